/*
 * Fragmentation and reassembly: every size, every order, overlaps (the first to arrive stands), contradictions, limits,
 * time.
 */
#include "tests/sim/net_fixture.h"

#define SEED 791
#define PROTO_TEST 253

/* ---- there and back ---- */

START_TEST(sizes)
{
	static const struct {
		uint32_t len;
		unsigned fragments;
	} table[] = {
		{ 0, 0 },    { 1, 0 },    { 1472, 0 },  { 1473, 2 }, { 1480, 2 }, { 2951, 2 }, { 2952, 2 },
		{ 2953, 3 }, { 3000, 3 }, { 20000, 14 }, { 65506, 45 }, { 65507, 45 },
	};
	struct link_params params = { .delay_ns = 1000, .rate_bps = 1000000000 };
	struct line line;
	struct sink *a, *b;

	line_make(&line, 4, &params, SEED);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[3], 2);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t before = ip_counters(line.node[0])->fragments_sent;

		send_numbered(&a->socket, line_ip(3, 2), 2, (uint16_t)i, table[i].len);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(b->count == i + 1 && b->len == table[i].len, "row %zu", i);
		ck_assert_msg(numbered_good(b->bytes, b->len, (uint16_t)i), "row %zu", i);
		ck_assert_msg(ip_counters(line.node[0])->fragments_sent - before == table[i].fragments, "row %zu", i);
	}
	send_numbered(&a->socket, line_ip(3, 2), 2, 1, 65508);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.too_big"), 1);
	ck_assert_uint_eq(ip_counters(line.node[3])->reassembled, 9);
	ck_assert_uint_eq(line.node[3]->ip->reassembling_bytes, 0);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

/* Loss, reordering and duplication: what arrives is whole, and what is not whole goes by the clock. */
START_TEST(over_a_bad_link)
{
	struct link_params params = { .delay_ns = 1000, .loss_ppm = 50000, .duplicate_ppm = 100000,
	                              .reorder_ppm = 200000,
				      .reorder_ns = 5000 };
	struct line line;
	struct sink *a, *b;
	unsigned good = 0;

	line_make(&line, 2, &params, SEED);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[1], 2);
	for (uint16_t k = 0; k < 200; k++) {
		unsigned before = b->count;

		send_numbered(&a->socket, line_ip(1, 2), 2, k, 5000);
		sim_run(line.sim, line.sim->now_ns + NS_PER_MS);
		if (b->count > before) {
			ck_assert(numbered_good(b->bytes, b->len, k));
			ck_assert_uint_eq(b->len, 5000);
			good++;
		}
	}
	ck_assert_uint_gt(good, 130);
	ck_assert_uint_lt(good, 200);
	ck_assert_uint_gt(line.node[1]->ip->reassembling_count, 0);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(line.node[1]->ip->reassembling_count, 0);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

/*
 * A router cuts what is too long for its link, options that ask for it copied; a packet that forbids it comes back as
 * an error.
 */
START_TEST(fragmented_on_the_way)
{
	static const uint8_t option[8] = { 0x94, 4, 0, 0, 7, 3, 4, 1 /* copied; record route, not copied; NOP */ };
	static uint8_t udp[4008];
	struct link_params params = { 0 };

	for (unsigned dont = 0; dont < 2; dont++) {
		struct watcher w;
		struct line line;
		struct sink *a, *b;
		struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(2, 2), .proto = 17, .bytes = udp,
		                   .options = option,
				   .option_len = 8, .frag = dont ? 0x4000 : 0 };
		uint8_t data[4000];

		for (unsigned i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(i * 13);
		line_make(&line, 3, &params, SEED);
		watch(line.sim, &w, TRACE_PACKET);
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[2], 2);
		raw.len = raw_udp(udp, raw.src, raw.dst, 1, 2, data, sizeof(data));
		link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(b->count, !dont);
		ck_assert_uint_eq(a->errors, dont);
		ck_assert_uint_eq(network_dropped(line.sim, "ip.too_big"), dont);
		if (dont) {
			ck_assert_uint_eq(a->error_type, 3);
			ck_assert_uint_eq(a->error_code, 4);
		} else {
			ck_assert_uint_eq(b->len, sizeof(data));
			ck_assert_mem_eq(b->bytes, data, sizeof(data));
			ck_assert_uint_eq(w.frame[1].head[14], 0x47);
			ck_assert_uint_eq(w.frame[2].head[14], 0x46);
			ck_assert_uint_eq(w.frame[2].head[14 + 20], 0x94);
		}
		run_out(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

/* ---- in every order, with overlaps ---- */

struct piece {
	uint16_t first; /* byte in the segment, a multiple of 8 */
	uint16_t len;   /* 0: no more pieces */
	char fill;
	bool last;      /* no more-fragments flag */
};

struct collected {
	unsigned count;
	uint32_t len;
	uint8_t bytes[65536];
};

static void collect(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	struct collected *c = ctx;

	(void)node;
	ck_assert_uint_eq(get_be16(info->header + 2), 20 + packet->len);
	ck_assert_uint_eq(get_be16(info->header + 6), 0);
	ck_assert_uint_eq(plain_checksum(info->header, 20, 0), 0);
	c->count++;
	c->len = packet->len;
	memcpy(c->bytes, packet->data, packet->len);
}

static void piece_send(struct line *line, const struct piece *piece, uint16_t ident)
{
	static uint8_t bytes[65536];
	struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = PROTO_TEST, .ident = ident,
	                   .bytes = bytes,
			   .len = piece->len, .frag = (uint16_t)(piece->first / 8 | (piece->last ? 0 : 0x2000)) };

	memset(bytes, piece->fill, piece->len);
	link_inject(line->link[0], NULL, line->left[1], raw_frame(line->right[0], line->left[1], &raw), 0);
	sim_run(line->sim, line->sim->now_ns + 1);
}

/* Which bytes stand, as runs "aaaa..." of 8 per letter in upper table; a refused datagram leaves nothing behind. */
START_TEST(overlaps)
{
	static const struct {
		const char *what;
		struct piece piece[8];
		const char *stands; /* a letter per 8 bytes, the last one maybe shorter; NULL: never whole */
		uint32_t len;
		uint64_t malformed;
		unsigned waiting;   /* datagrams still being put together */
	} table[] = {
		{ "in order", { { 0, 16, 'a', 0 }, { 16, 8, 'b', 0 }, { 24, 5, 'c', 1 } }, "aabc", 29, 0, 0 },
		{ "backwards", { { 24, 5, 'c', 1 }, { 16, 8, 'b', 0 }, { 0, 16, 'a', 0 } }, "aabc", 29, 0, 0 },
		{ "middle last", { { 0, 16, 'a', 0 }, { 24, 5, 'c', 1 }, { 16, 8, 'b', 0 } }, "aabc", 29, 0, 0 },
		{ "a hole", { { 0, 16, 'a', 0 }, { 24, 5, 'c', 1 } }, NULL, 0, 0, 1 },
		{ "no end", { { 0, 16, 'a', 0 }, { 16, 8, 'c', 0 } }, NULL, 0, 0, 1 },
		{ "repeated", { { 0, 16, 'a', 0 }, { 0, 16, 'x', 0 }, { 16, 8, 'b', 1 } }, "aab", 24, 0, 0 },
		{ "tail rewritten", { { 0, 16, 'a', 0 }, { 8, 16, 'x', 0 }, { 24, 8, 'b', 1 } }, "aaxb", 32, 0, 0 },
		{ "head rewritten", { { 8, 16, 'a', 0 }, { 0, 16, 'x', 0 }, { 24, 8, 'b', 1 } }, "xaab", 32, 0, 0 },
		{ "covered", { { 8, 8, 'a', 0 }, { 0, 24, 'x', 0 }, { 24, 8, 'b', 1 } }, "xaxb", 32, 0, 0 },
		{ "covering two", { { 8, 8, 'a', 0 }, { 24, 8, 'b', 0 }, { 0, 40, 'x', 0 }, { 40, 8, 'c', 1 } },
		  "xaxbxc", 48,
		  0, 0 },
		{ "inside", { { 0, 32, 'a', 0 }, { 8, 8, 'x', 0 }, { 32, 8, 'b', 1 } }, "aaaab", 40, 0, 0 },
		{ "last over first", { { 0, 16, 'a', 0 }, { 8, 16, 'x', 1 } }, "aax", 24, 0, 0 },
		{ "last is nothing new", { { 0, 16, 'a', 0 }, { 8, 8, 'x', 1 } }, "aa", 16, 0, 0 },
		{ "alone and last, not first", { { 8, 8, 'a', 1 } }, NULL, 0, 0, 1 },
		{ "all at once", { { 0, 7, 'a', 1 } }, "a", 7, 0, 0 },
		{ "first missing at last", { { 8, 8, 'b', 0 }, { 16, 3, 'c', 1 }, { 0, 8, 'a', 0 } }, "abc", 19, 0, 0 },
		{ "beyond the end", { { 8, 8, 'a', 1 }, { 16, 8, 'x', 0 } }, NULL, 0, 1, 0 },
		{ "another end, later", { { 8, 8, 'a', 1 }, { 16, 8, 'x', 1 } }, NULL, 0, 1, 0 },
		{ "another end, earlier", { { 16, 8, 'a', 1 }, { 8, 8, 'x', 1 } }, NULL, 0, 1, 0 },
		{ "end before what was seen", { { 16, 8, 'a', 0 }, { 8, 8, 'x', 1 } }, NULL, 0, 1, 0 },
		{ "same end twice", { { 8, 8, 'a', 1 }, { 8, 8, 'x', 1 }, { 0, 8, 'b', 0 } }, "ba", 16, 0, 0 },
		{ "not a multiple of 8", { { 0, 9, 'a', 0 } }, NULL, 0, 1, 0 },
		{ "ping of death", { { 0, 8, 'a', 0 }, { 65528, 8, 'x', 1 } }, NULL, 0, 1, 0 },
		{ "longest", { { 65504, 8, 'b', 0 } }, NULL, 0, 0, 1 },
		{ "one too long", { { 65512, 4, 'b', 1 } }, NULL, 0, 1, 0 },
	};
	static struct collected c;
	struct link_params params = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct line line;

		memset(&c, 0, sizeof(c));
		line_make(&line, 2, &params, SEED);
		ip_protocol(line.node[1], PROTO_TEST, collect, &c);
		for (unsigned k = 0; table[i].piece[k].len; k++)
			piece_send(&line, &table[i].piece[k], 7);
		ck_assert_msg(c.count == (table[i].stands != NULL), "%s: %u whole", table[i].what, c.count);
		if (table[i].stands) {
			ck_assert_msg(c.len == table[i].len, "%s: %u bytes", table[i].what, c.len);
			for (uint32_t at = 0; at < c.len; at++)
				ck_assert_msg(c.bytes[at] == (uint8_t)table[i].stands[at / 8], "%s: byte %u is %c",
				              table[i].what,
				              at, c.bytes[at]);
		}
		ck_assert_msg(network_dropped(line.sim, "ip.malformed") == table[i].malformed, "%s", table[i].what);
		ck_assert_msg(line.node[1]->ip->reassembling_count == table[i].waiting, "%s: %u waiting", table[i].what,
		              line.node[1]->ip->reassembling_count);
		run_out(line.sim);
	}
}
END_TEST

/* Random pieces in random order against a plain array in which the first to write a byte wins. */
START_TEST(random_pieces)
{
	static struct collected c;
	struct link_params params = { 0 };
	struct rng rng;

	rng_init(&rng, SEED, "test", "pieces");
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t want[512] = { 0 };
		uint32_t units = 2 + (uint32_t)rng_below(&rng, 30), end = units * 8;
		struct line line;
		unsigned sent = 0;

		memset(&c, 0, sizeof(c));
		line_make(&line, 2, &params, SEED);
		ip_protocol(line.node[1], PROTO_TEST, collect, &c);
		while (c.count == 0 && sent < 60) {
			uint32_t first = (uint32_t)rng_below(&rng, units);
			uint32_t len = 1 + (uint32_t)rng_below(&rng, units - first);
			struct piece piece;

			len -= len == units; /* the whole datagram would be no fragment */
			piece = (struct piece){ (uint16_t)(first * 8), (uint16_t)(len * 8), (char)('A' + sent),
			                        first + len == units };
			for (uint32_t at = first * 8; at < (first + len) * 8; at++)
				want[at] = want[at] ? want[at] : (uint8_t)piece.fill;
			piece_send(&line, &piece, 7);
			sent++;
			ck_assert_msg((memchr(want, 0, end) == NULL) == (c.count == 1), "round %u, piece %u", round,
			              sent);
		}
		if (c.count) {
			ck_assert_uint_eq(c.len, end);
			ck_assert_msg(memcmp(c.bytes, want, end) == 0, "round %u", round);
		}
		run_out(line.sim);
	}
}
END_TEST

/* Two datagrams that differ in one part of their key are two. */
START_TEST(keys)
{
	static struct collected c;
	struct link_params params = { 0 };
	struct line line;
	struct piece first = { 0, 8, 'a', false }, last = { 8, 8, 'b', true };

	memset(&c, 0, sizeof(c));
	line_make(&line, 2, &params, SEED);
	ip_protocol(line.node[1], PROTO_TEST, collect, &c);
	piece_send(&line, &first, 1);
	piece_send(&line, &last, 2);
	ck_assert_uint_eq(c.count, 0);
	piece_send(&line, &last, 1);
	ck_assert_uint_eq(c.count, 1);
	piece_send(&line, &first, 2);
	ck_assert_uint_eq(c.count, 2);
	run_out(line.sim);
}
END_TEST

/* ---- limits and time ---- */

START_TEST(too_many_datagrams)
{
	static struct collected c;
	struct link_params params = { 0 };
	struct line line;
	struct piece first = { 0, 8, 'a', false }, last = { 8, 8, 'b', true };

	memset(&c, 0, sizeof(c));
	line_make(&line, 2, &params, SEED);
	ip_protocol(line.node[1], PROTO_TEST, collect, &c);
	for (uint16_t i = 0; i < IP_REASSEMBLY_MAX + 3; i++)
		piece_send(&line, &first, i);
	ck_assert_uint_eq(line.node[1]->ip->reassembling_count, IP_REASSEMBLY_MAX);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.fragment_limit"), 3);
	for (uint16_t i = 0; i < IP_REASSEMBLY_MAX + 3; i++) /* the oldest were given up, the others stand */
		piece_send(&line, &last, (uint16_t)(IP_REASSEMBLY_MAX + 2 - i));
	ck_assert_uint_eq(c.count, IP_REASSEMBLY_MAX);
	run_out(line.sim);
}
END_TEST

START_TEST(too_many_fragments)
{
	struct link_params params = { 0 };
	struct line line;

	line_make(&line, 2, &params, SEED);
	for (unsigned i = 0; i < IP_FRAGMENTS_MAX; i++) {
		struct piece piece = { (uint16_t)(i * 16), 8, 'a', false };

		piece_send(&line, &piece, 7);
	}
	ck_assert_uint_eq(line.node[1]->ip->reassembling_count, 1);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.fragment_limit"), 0);
	piece_send(&line, &(struct piece){ 8, 8, 'a', false }, 7);
	ck_assert_uint_eq(line.node[1]->ip->reassembling_count, 0);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.fragment_limit"), 1);
	ck_assert_uint_eq(line.sim->packets_live, 0);
	run_out(line.sim);
}
END_TEST

START_TEST(bounded_bytes)
{
	struct link_params params = { 0 };
	struct line line;

	line_make(&line, 2, &params, SEED);
	for (uint16_t ident = 0; ident < 40; ident++) {
		for (unsigned i = 0; i < 40; i++) {
			struct piece piece = { (uint16_t)(8 + i * 1488), 1480, 'a', false };

			piece_send(&line, &piece, ident);
			ck_assert_uint_le(line.node[1]->ip->reassembling_bytes, IP_REASSEMBLY_BYTES_MAX);
			ck_assert_uint_le(line.node[1]->ip->reassembling_count, IP_REASSEMBLY_MAX);
		}
	}
	ck_assert_uint_gt(network_dropped(line.sim, "ip.fragment_limit"), 20);
	run_out(line.sim);
}
END_TEST

/* After 30 s: gone, with an ICMP error when the first fragment had come, and the message's fate told. */
START_TEST(time_out)
{
	struct link_params params = { 0 };

	for (unsigned with_first = 0; with_first < 2; with_first++) {
		struct watcher w;
		struct line line;
		struct sink *a;
		uint8_t udp[16] = { 0, 1, 0, 2, 0, 100 };
		struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = 17, .bytes = udp, .len = 16,
				   .frag = with_first ? 0x2000 : 0x2001 };
		struct packet *frame;

		line_make(&line, 2, &params, SEED);
		watch(line.sim, &w, TRACE_MESSAGE);
		a = sink_new(line.node[0], 1);
		frame = raw_frame(line.right[0], line.left[1], &raw);
		frame->tag = 41;
		link_inject(line.link[0], NULL, line.left[1], frame, 0);
		sim_run(line.sim, IP_REASSEMBLY_TIMEOUT_NS - 1);
		ck_assert_uint_eq(w.fates, 0);
		ck_assert_uint_eq(line.node[1]->ip->reassembling_count, 1);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(line.node[1]->ip->reassembling_count, 0);
		ck_assert_uint_eq(w.fates, 1);
		ck_assert_uint_eq(w.fate_tag, 41);
		ck_assert_str_eq(w.why, "ip.reassembly_timeout");
		ck_assert_uint_eq(a->errors, with_first);
		if (with_first) {
			ck_assert_uint_eq(a->error_type, 11);
			ck_assert_uint_eq(a->error_code, 1);
			ck_assert_uint_eq(a->error_dport, 2);
		}
		run_out(line.sim);
		free(a);
	}
}
END_TEST

/* A restart forgets what was half there, and its timer. */
START_TEST(reset)
{
	struct link_params params = { 0 };
	struct line line;

	line_make(&line, 2, &params, SEED);
	piece_send(&line, &(struct piece){ 0, 8, 'a', false }, 1);
	piece_send(&line, &(struct piece){ 0, 8, 'a', false }, 2);
	ip_reset(line.node[1]);
	ck_assert_uint_eq(line.node[1]->ip->reassembling_count, 0);
	ck_assert_uint_eq(line.node[1]->ip->reassembling_bytes, 0);
	ck_assert_uint_eq(line.sim->packets_live, 0);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.reassembly_timeout"), 0);
	piece_send(&line, &(struct piece){ 0, 8, 'a', false }, 1); /* and the end of a run frees it too */
	sim_free(line.sim);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ip fragment");
	TCase *cases = tcase_create("ip fragment");

	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, sizes);
	tcase_add_test(cases, over_a_bad_link);
	tcase_add_test(cases, fragmented_on_the_way);
	tcase_add_test(cases, overlaps);
	tcase_add_test(cases, random_pieces);
	tcase_add_test(cases, keys);
	tcase_add_test(cases, too_many_datagrams);
	tcase_add_test(cases, too_many_fragments);
	tcase_add_test(cases, bounded_bytes);
	tcase_add_test(cases, time_out);
	tcase_add_test(cases, reset);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

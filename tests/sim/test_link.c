/*
 * Links: when frames arrive, what chance and taps do to them, who a frame goes to, what the capture sees.
 */
#include "tests/sim/net_fixture.h"

#define SEED 4711

/* ---- time ---- */

/* A datagram of 100 bytes is 142 on the line. */
START_TEST(arrival_times)
{
	static const struct {
		sim_ns delay_ns;
		uint64_t rate_bps;
		sim_ns first_ns, second_ns; /* when two sent together arrive */
	} table[] = {
		{ 0, 0, 0, 0 },
		{ 5000, 0, 5000, 5000 },
		{ 0, 1000000000, 1136, 2272 },
		{ 20 * NS_PER_MS, 8000, 162 * NS_PER_MS, 304 * NS_PER_MS },
		{ 1, 3, INT64_C(378666666667), INT64_C(757333333333) },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct link_params params = { .delay_ns = table[i].delay_ns, .rate_bps = table[i].rate_bps };
		struct line line;
		struct sink *a, *b;

		line_make(&line, 2, &params, SEED);
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[1], 2);
		send_numbered(&a->socket, line_ip(1, 2), 2, 1, 100);
		send_numbered(&a->socket, line_ip(1, 2), 2, 2, 100);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(b->count, 2);
		ck_assert_int_eq(b->at_ns[0], table[i].first_ns);
		ck_assert_int_eq(b->at_ns[1], table[i].second_ns);
		run_out(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

/* Each direction has its own queue. */
START_TEST(directions_are_apart)
{
	struct link_params params = { .rate_bps = 1000000 };
	struct line line;
	struct sink *a, *b;

	line_make(&line, 2, &params, SEED);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[1], 2);
	send_numbered(&a->socket, line_ip(1, 2), 2, 1, 100);
	send_numbered(&b->socket, line_ip(1, 1), 1, 1, 100);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_int_eq(a->at_ns[0], 1136000);
	ck_assert_int_eq(b->at_ns[0], 1136000);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

/*
 * The first frame is on the line, the queue takes what fits behind it; an idle line takes a frame longer than its
 * queue.
 */
START_TEST(queue_bound)
{
	static const struct {
		uint32_t bound;
		unsigned sent, arrive;
	} table[] = {
		{ 1420, 30, 10 }, { 1419, 30, 9 }, { 141, 3, 1 }, { 284, 3, 2 }, { 0, 2000, 1846 /* 262144 / 142 */ },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct link_params params = { .rate_bps = 8000000, .queue_bytes = table[i].bound };
		struct line line;
		struct sink *a, *b;

		line_make(&line, 2, &params, SEED);
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[1], 2);
		for (unsigned k = 0; k < table[i].sent; k++)
			send_numbered(&a->socket, line_ip(1, 2), 2, (uint16_t)k, 100);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(b->count == table[i].arrive, "row %zu: %u arrived", i, b->count);
		ck_assert_uint_eq(network_dropped(line.sim, "link.queue"), table[i].sent - table[i].arrive);
		ck_assert_uint_eq(line.link[0]->lost, table[i].sent - table[i].arrive);
		ck_assert_uint_eq(line.link[0]->sent, table[i].arrive);
		send_numbered(&a->socket, line_ip(1, 2), 2, 9, 100); /* empty again */
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(b->count, table[i].arrive + 1);
		run_out(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

/* ---- chance ---- */

struct chance_result {
	unsigned count, out_of_order, late;
	uint64_t hash;
};

/* Sends 2000 datagrams 10 us apart over such a link. */
static struct chance_result by_chance(const struct link_params *params, uint64_t seed)
{
	struct chance_result result = { 0 };
	struct line line;
	struct sink *a, *b;

	line_make(&line, 2, params, seed);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[1], 2);
	for (unsigned k = 0; k < 2000; k++) {
		unsigned before = b->count;

		send_numbered(&a->socket, line_ip(1, 2), 2, (uint16_t)k, 50);
		sim_run(line.sim, line.sim->now_ns + 10 * NS_PER_US);
		if (k == 1999)
			sim_run(line.sim, SIM_NEVER);
		for (unsigned i = before; i < b->count; i++) {
			unsigned at = i % SEEN_MAX, was = (i + SEEN_MAX - 1) % SEEN_MAX;
			sim_ns took_ns = b->at_ns[at] - b->first[at] * 10 * NS_PER_US;

			result.out_of_order += i && b->first[at] < b->first[was];
			result.late += took_ns > params->delay_ns + params->jitter_ns;
			ck_assert_int_ge(took_ns, params->delay_ns);
			result.hash = (result.hash ^ (uint64_t)b->at_ns[at]) * 0x100000001b3 + b->first[at];
		}
	}
	result.count = b->count;
	run_out(line.sim);
	free(a);
	free(b);
	return result;
}

START_TEST(chance)
{
	static const struct {
		struct link_params params;
		unsigned count_min, count_max, disorder_min, disorder_max, late_max;
	} table[] = {
		{ { .delay_ns = 1000 }, 2000, 2000, 0, 0, 0 },
		{ { .delay_ns = 1000, .loss_ppm = 100000 }, 1740, 1860, 0, 0, 0 },
		{ { .delay_ns = 1000, .loss_ppm = 1000000 }, 0, 0, 0, 0, 0 },
		{ { .delay_ns = 1000, .duplicate_ppm = 100000 }, 2140, 2260, 0, 0, 0 },
		{ { .delay_ns = 1000, .jitter_ns = 50000 }, 2000, 2000, 0, 0, 0 },
		{ { .delay_ns = 1000, .reorder_ppm = 100000, .reorder_ns = 25000 }, 2000, 2000, 120, 240, 260 },
		{ { .delay_ns = 1000, .jitter_ns = 5000, .loss_ppm = 50000, .duplicate_ppm = 50000,
		    .reorder_ppm = 50000,
		    .reorder_ns = 25000 }, 1900, 2100, 40, 200, 200 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct chance_result once = by_chance(&table[i].params, SEED);
		struct chance_result again = by_chance(&table[i].params, SEED);
		struct chance_result other = by_chance(&table[i].params, SEED + 1);

		ck_assert_msg(once.count >= table[i].count_min && once.count <= table[i].count_max,
		              "row %zu: count %u", i, once.count);
		ck_assert_msg(once.out_of_order >= table[i].disorder_min && once.out_of_order <= table[i].disorder_max,
		              "row %zu: %u out of order", i, once.out_of_order);
		ck_assert_msg(once.late <= table[i].late_max, "row %zu: %u late", i, once.late);
		ck_assert_msg(once.hash == again.hash, "row %zu: not the same with the same seed", i);
		if (i > 0 && once.count)
			ck_assert_msg(once.hash != other.hash, "row %zu: the same with another seed", i);
	}
}
END_TEST

/* What one sender loses does not depend on what another sends. */
START_TEST(streams_are_apart)
{
	struct link_params params = { .loss_ppm = 300000 };
	uint16_t got[2][64];
	unsigned count[2];

	for (unsigned with = 0; with < 2; with++) {
		struct line line;
		struct sink *a, *b;

		line_make(&line, 2, &params, SEED);
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[1], 2);
		for (uint16_t k = 0; k < 64; k++) {
			send_numbered(&a->socket, line_ip(1, 2), 2, k, 50);
			if (with)
				send_numbered(&b->socket, line_ip(1, 1), 1, k, 50);
		}
		sim_run(line.sim, SIM_NEVER);
		count[with] = b->count;
		memcpy(got[with], b->first, sizeof(got[with]));
		run_out(line.sim);
		free(a);
		free(b);
	}
	ck_assert_uint_gt(count[0], 20);
	ck_assert_uint_lt(count[0], 64);
	ck_assert_uint_eq(count[0], count[1]);
	ck_assert_mem_eq(got[0], got[1], count[0] * sizeof(uint16_t));
}
END_TEST

START_TEST(down)
{
	struct link_params params = { .delay_ns = NS_PER_MS };
	struct watcher w;
	struct line line;
	struct sink *a, *b;
	struct packet *packet;

	line_make(&line, 2, &params, SEED);
	watch(line.sim, &w, TRACE_MESSAGE);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[1], 2);
	send_numbered(&a->socket, line_ip(1, 2), 2, 1, 100); /* on its way when the line is cut */
	line.link[0]->down = true;
	packet = packet_new(line.sim, 4);
	memset(packet_append(packet, 4), 0, 4);
	packet->tag = 99;
	udp_send(&a->socket, 0, line_ip(1, 2), 2, packet);
	ck_assert_uint_eq(w.fates, 1);
	ck_assert_uint_eq(w.fate_tag, 99);
	ck_assert_str_eq(w.why, "link.down");
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 0);
	ck_assert_uint_eq(network_dropped(line.sim, "link.down"), 2);
	line.link[0]->down = false;
	send_numbered(&a->socket, line_ip(1, 2), 2, 1, 100);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

/* ---- a shared medium ---- */

#define SEGMENT 5
struct segment {
	struct sim *sim;
	struct link *link;
	struct node *node[SEGMENT];
	struct sink *sink[SEGMENT];
};

static uint32_t segment_ip(unsigned i)
{
	return 0xc0a80101 + i;
}

static void segment_make(struct segment *segment, unsigned count)
{
	struct link_params params = { .delay_ns = 1000, .rate_bps = 1000000000 };
	char name[16];

	memset(segment, 0, sizeof(*segment));
	segment->sim = sim_new(SEED, 0);
	segment->link = link_new(segment->sim, "hfc", &params);
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		segment->node[i] = node_new(segment->sim, name);
		iface_new(segment->node[i], segment->link, "eth0", NULL, segment_ip(i), 24);
		segment->sink[i] = sink_new(segment->node[i], 7);
	}
}

static void segment_end(struct segment *segment)
{
	run_out(segment->sim);
	for (unsigned i = 0; i < SEGMENT; i++)
		free(segment->sink[i]);
}

/* Sends from node i and returns, as bits, which nodes it reached. */
static unsigned reach(struct segment *segment, unsigned i, uint32_t dst)
{
	unsigned before[SEGMENT] = { 0 }, reached = 0;

	for (unsigned k = 0; k < SEGMENT && segment->sink[k]; k++)
		before[k] = segment->sink[k]->count;
	send_numbered(&segment->sink[i]->socket, dst, 7, 1, 30);
	sim_run(segment->sim, SIM_NEVER);
	for (unsigned k = 0; k < SEGMENT && segment->sink[k]; k++)
		reached |= (segment->sink[k]->count - before[k]) << (4 * k);
	return reached;
}

START_TEST(neighbours)
{
	struct segment s;

	segment_make(&s, SEGMENT);
	ck_assert_uint_eq(reach(&s, 0, segment_ip(3)), 0x01000);
	ck_assert_uint_eq(reach(&s, 4, segment_ip(0)), 0x00001);
	ck_assert_uint_eq(reach(&s, 0, 0xffffffff), 0x11110);
	ck_assert_uint_eq(reach(&s, 2, 0xc0a801ff), 0x11011); /* the subnet's broadcast address */
	ck_assert_uint_eq(reach(&s, 0, segment_ip(9)), 0);
	ck_assert_uint_eq(network_dropped(s.sim, "link.no_neighbour"), 1);
	iface_set_ip(s.node[3]->ifaces, segment_ip(9), 24);
	ck_assert_uint_eq(reach(&s, 0, segment_ip(9)), 0x01000);
	ck_assert_uint_eq(reach(&s, 0, segment_ip(3)), 0);
	iface_set_ip(s.node[3]->ifaces, 0, 0); /* no address: still hears broadcasts */
	ck_assert_uint_eq(reach(&s, 0, segment_ip(9)), 0);
	ck_assert_uint_eq(reach(&s, 0, 0xffffffff), 0x11110);
	segment_end(&s);
}
END_TEST

/*
 * An interface that is carried to another link: what was under way to it is lost, what it sent arrives, nobody on the
 * old link reaches it, and those on the new one do once it has an address. Also the first and the last of a link, and
 * back again.
 */
START_TEST(moved)
{
	for (unsigned who = 0; who < SEGMENT; who++) {
		struct link_params params = { .delay_ns = 1000 };
		unsigned other = (who + 1) % SEGMENT;
		struct segment s;
		struct link *elsewhere;
		struct sink *far;
		struct node *node;

		segment_make(&s, SEGMENT);
		elsewhere = link_new(s.sim, "elsewhere", &params);
		node = node_new(s.sim, "far");
		iface_new(node, elsewhere, "eth0", NULL, 0xc0a80201, 24);
		far = sink_new(node, 7);
		send_numbered(&s.sink[other]->socket, segment_ip(who), 7, 1, 30);
		send_numbered(&s.sink[who]->socket, segment_ip(other), 7, 1, 30);
		iface_move(s.node[who]->ifaces, elsewhere);
		iface_set_ip(s.node[who]->ifaces, 0xc0a80202, 24);
		sim_run(s.sim, SIM_NEVER);
		ck_assert_uint_eq(s.sink[who]->count, 0);
		ck_assert_uint_eq(s.sink[other]->count, 1);
		ck_assert_uint_eq(network_dropped(s.sim, "link.moved"), 1);
		ck_assert_uint_eq(reach(&s, other, segment_ip(who)), 0);
		ck_assert_uint_eq(network_dropped(s.sim, "link.no_neighbour"), 1);
		ck_assert_uint_eq(reach(&s, other, 0xffffffff), 0x11111 & ~(1u << 4 * who) & ~(1u << 4 * other));
		send_numbered(&far->socket, 0xc0a80202, 7, 1, 30);
		sim_run(s.sim, SIM_NEVER);
		ck_assert_uint_eq(s.sink[who]->count, 1);
		iface_move(s.node[who]->ifaces, s.link);
		iface_set_ip(s.node[who]->ifaces, segment_ip(who), 24);
		ck_assert_uint_eq(reach(&s, other, segment_ip(who)), 1u << 4 * who);
		ck_assert_uint_eq(reach(&s, other, 0xffffffff), 0x11111 & ~(1u << 4 * other));
		ck_assert_uint_eq(elsewhere->iface_count, 1);
		segment_end(&s);
		free(far);
	}
}
END_TEST

/* One in the middle takes an address, reaches its true owner itself, and gives it back. */
START_TEST(claim)
{
	for (unsigned count = 2; count <= SEGMENT; count++) {
		struct segment s;
		unsigned thief = count - 1, owner = count > 2 ? 1 : 0;

		segment_make(&s, count);
		link_claim_ip(s.link, segment_ip(owner), s.node[thief]->ifaces);
		ip_alias_add(s.node[thief], segment_ip(owner));
		ck_assert_ptr_eq(link_neighbour(s.link, segment_ip(owner)), s.node[thief]->ifaces);
		if (count > 2) {
			ck_assert_uint_eq(reach(&s, 0, segment_ip(owner)), 1u << (4 * thief));
			iface_set_ip(s.node[owner]->ifaces, segment_ip(8), 24);
			iface_set_ip(s.node[owner]->ifaces, segment_ip(owner), 24);
			ck_assert_uint_eq(reach(&s, 0, segment_ip(owner)), 1u << (4 * thief));
		}
		link_claim_ip(s.link, segment_ip(owner), NULL);
		link_claim_ip(s.link, segment_ip(owner + 3), NULL); /* not claimed: harmless */
		ck_assert_ptr_eq(link_neighbour(s.link, segment_ip(owner)), s.node[owner]->ifaces);
		segment_end(&s);
	}
}
END_TEST

START_TEST(claimer_reaches_the_owner)
{
	struct segment s;

	segment_make(&s, 3);
	link_claim_ip(s.link, segment_ip(1), s.node[2]->ifaces);
	ck_assert_uint_eq(reach(&s, 2, segment_ip(1)), 0x010);
	ck_assert_uint_eq(reach(&s, 0, segment_ip(1)), 0); /* arrives at the claimer, who does not hold the address */
	ck_assert_uint_eq(network_dropped(s.sim, "ip.no_route"), 1);
	segment_end(&s);
}
END_TEST

/* ---- taps ---- */

struct tap {
	unsigned seen;
	enum { PASS, DROP, ALTER, DELAY, COPY } mode;
};

static enum tap_verdict tap_frame(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                  struct packet *frame)
{
	struct tap *tap = ctx;

	tap->seen++;
	ck_assert_uint_eq(get_be16(frame->data + 12), 0x0800);
	switch (tap->mode) {
	case PASS:
		return TAP_PASS;
	case DROP:
		packet_free(frame);
		return TAP_TAKEN;
	case ALTER:
		frame->data[frame->len - 1] ^= 1;
		return TAP_PASS;
	case DELAY:
		link_inject(link, from, to, frame, 5 * NS_PER_MS);
		return TAP_TAKEN;
	case COPY:
		link_inject(link, from, NULL, packet_copy(frame), 0);
		return TAP_PASS;
	}
	return TAP_PASS;
}

START_TEST(taps)
{
	static const struct {
		int mode;
		uint32_t loss_ppm;
		unsigned seen, count;
		uint64_t bad;
		sim_ns at_ns;
	} table[] = {
		{ PASS, 0, 1, 1, 0, 1000 },  { DROP, 0, 1, 0, 0, 0 },
		{ ALTER, 0, 1, 0, 1, 0 },    { DELAY, 0, 1, 1, 0, 1000 + 5 * NS_PER_MS },
		{ COPY, 0, 1, 2, 0, 1000 },  { PASS, 1000000, 1, 0, 0, 0 },
		{ DELAY, 1000000, 1, 1, 0, 1000 + 5 * NS_PER_MS }, /* what is injected is not lost */
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct link_params params = { .delay_ns = 1000, .loss_ppm = table[i].loss_ppm };
		struct tap tap = { .mode = table[i].mode };
		struct watcher w;
		struct line line;
		struct sink *a, *b;

		line_make(&line, 2, &params, SEED);
		watch(line.sim, &w, TRACE_REFUSAL);
		line.link[0]->tap = tap_frame;
		line.link[0]->tap_ctx = &tap;
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[1], 2);
		send_numbered(&a->socket, line_ip(1, 2), 2, 77, 100);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(tap.seen, table[i].seen);
		ck_assert_msg(b->count == table[i].count, "row %zu: %u arrived", i, b->count);
		ck_assert_uint_eq(network_dropped(line.sim, "udp.checksum"), table[i].bad);
		ck_assert_uint_eq(w.refusals, table[i].bad);
		if (b->count)
			ck_assert_int_eq(b->at_ns[0], table[i].at_ns);
		line.link[0]->tapper = line.node[0]; /* its own frames are not shown to it */
		send_numbered(&a->socket, line_ip(1, 2), 2, 78, 100);
		ck_assert_uint_eq(tap.seen, table[i].seen);
		run_out(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

/* A tap that makes frames longer or shorter, and takes itself off: the receiver finds out. */
static enum tap_verdict tap_resize(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                   struct packet *frame)
{
	const int *change = ctx;

	(void)from;
	(void)to;
	if (*change > 0)
		memset(packet_append(frame, (uint32_t)*change), 0xee, (uint32_t)*change);
	else
		packet_trim(frame, (uint32_t)-*change < frame->len ? (uint32_t)-*change : frame->len);
	link->tap = NULL;
	return TAP_PASS;
}

START_TEST(tap_changes_size)
{
	static const int changes[] = { 1, 40, -1, -100, -(100 + 8), -(100 + 8 + 20), -(100 + 8 + 20 + 1), -1000 };

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct link_params params = { .delay_ns = 1000 };
		int change = changes[i];
		struct line line;
		struct sink *a, *b;

		line_make(&line, 2, &params, SEED);
		line.link[0]->tap = tap_resize;
		line.link[0]->tap_ctx = &change;
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[1], 2);
		send_numbered(&a->socket, line_ip(1, 2), 2, 77, 100);
		send_numbered(&a->socket, line_ip(1, 2), 2, 78, 100);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(b->count, change > 0 ? 2 : 1);
		ck_assert(numbered_good(b->bytes, b->len, 78) && b->len == 100);
		ck_assert_uint_eq(network_dropped(line.sim, "ip.malformed"), change < 0);
		run_out(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

/* A forged frame: by interface, by MAC address, to all, and to nobody. */
START_TEST(inject)
{
	static const uint8_t nobody[6] = { 2, 9, 9, 9, 9, 9 }, all[6] = { 255, 255, 255, 255, 255, 255 };
	uint8_t udp[64];
	struct segment s;
	struct raw raw = { .dst = 0xffffffff, .proto = 17, .bytes = udp };
	struct packet *frame;

	segment_make(&s, SEGMENT);
	raw.src = segment_ip(77); /* nobody's */
	raw.len = raw_udp(udp, raw.src, raw.dst, 5, 7, (const uint8_t *)"hi", 2);
	link_inject(s.link, NULL, s.node[1]->ifaces, raw_frame(s.node[0]->ifaces, s.node[1]->ifaces, &raw), 0);
	sim_run(s.sim, SIM_NEVER);
	ck_assert_uint_eq(s.sink[1]->count, 1);
	ck_assert_uint_eq(s.sink[1]->from.src, segment_ip(77));
	link_inject(s.link, NULL, NULL, raw_frame(s.node[0]->ifaces, s.node[3]->ifaces, &raw), 0);
	sim_run(s.sim, SIM_NEVER);
	ck_assert_uint_eq(s.sink[3]->count, 1);
	frame = raw_frame(s.node[0]->ifaces, s.node[3]->ifaces, &raw);
	memcpy(frame->data, all, 6);
	link_inject(s.link, s.node[0]->ifaces, NULL, frame, 0);
	sim_run(s.sim, SIM_NEVER);
	ck_assert_uint_eq(s.sink[0]->count, 0);
	ck_assert_uint_eq(s.sink[1]->count, 2);
	ck_assert_uint_eq(s.sink[2]->count, 1);
	ck_assert_uint_eq(s.sink[3]->count, 2);
	frame = raw_frame(s.node[0]->ifaces, s.node[3]->ifaces, &raw);
	memcpy(frame->data, nobody, 6);
	link_inject(s.link, s.node[0]->ifaces, NULL, frame, 0);
	frame = packet_new(s.sim, 4);
	memset(packet_append(frame, 4), 2, 4);
	link_inject(s.link, NULL, NULL, frame, 0);
	sim_run(s.sim, SIM_NEVER);
	ck_assert_uint_eq(s.link->lost, 2);
	segment_end(&s);
}
END_TEST

/* ---- capture ---- */

START_TEST(capture)
{
	struct link_params params = { .delay_ns = 1000, .rate_bps = 1000000000 };
	struct watcher w;
	struct line line;
	struct sink *a, *b;

	line_make(&line, 3, &params, SEED);
	watch(line.sim, &w, TRACE_PACKET);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[2], 2);
	send_numbered(&a->socket, line_ip(2, 2), 2, 1, 100);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_uint_eq(w.frames, 4);
	for (unsigned i = 0; i < 4; i++) {
		const struct seen_frame *f = &w.frame[i];
		const struct iface *to = i < 2 ? line.left[1] : line.left[2];
		const struct iface *from = i < 2 ? line.right[0] : line.right[1];

		ck_assert_int_eq(f->what, i % 2 ? PACKET_IN : PACKET_OUT);
		ck_assert_ptr_eq(f->at, i % 2 ? to : from);
		ck_assert_uint_eq(f->len, 142);
		ck_assert_mem_eq(f->head, to->mac, 6);
		ck_assert_mem_eq(f->head + 6, from->mac, 6);
		ck_assert_uint_eq(get_be16(f->head + 12), 0x0800);
		ck_assert_uint_eq(f->head[14], 0x45);
		ck_assert_uint_eq(f->head[14 + 8], i < 2 ? 64 : 63);
		ck_assert_int_eq(f->at_ns, (i + 1) / 2 * (1000 + 1136));
	}
	line.link[1]->params.loss_ppm = 1000000; /* sent, not received */
	send_numbered(&a->socket, line_ip(2, 2), 2, 1, 100);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(w.frames, 7);
	ck_assert_uint_eq(network_dropped(line.sim, "link.loss"), 1);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

START_TEST(broadcast_frame)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	struct watcher w;
	struct segment s;

	segment_make(&s, SEGMENT);
	watch(s.sim, &w, TRACE_PACKET);
	reach(&s, 0, 0xffffffff);
	ck_assert_uint_eq(w.frames, 1 + 4); /* once on the line, heard by four */
	for (unsigned i = 0; i < 5; i++)
		ck_assert_mem_eq(w.frame[i].head, all, 6);
	for (unsigned i = 1; i < 5; i++)
		ck_assert_int_eq(w.frame[i].at_ns, w.frame[1].at_ns);
	segment_end(&s);
}
END_TEST

/* A delay beyond the end of time, of any kind: the frame is under way for ever, and goes with the run. */
START_TEST(without_end)
{
	static const struct link_params table[] = {
		{ .delay_ns = SIM_NEVER }, { .delay_ns = SIM_NEVER - 5, .rate_bps = 1000000 },
		{ .jitter_ns = SIM_NEVER, .delay_ns = SIM_NEVER - 1 },
		{ .reorder_ppm = 1000000, .reorder_ns = SIM_NEVER, .delay_ns = 1000 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct line line;
		struct sink *a, *b;
		struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = 17 };

		line_make(&line, 2, &table[i], SEED);
		sim_run(line.sim, 7);
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[1], 2);
		send_numbered(&a->socket, line_ip(1, 2), 2, 1, 100);
		link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), SIM_NEVER);
		sim_run(line.sim, SIM_NEVER - 1);
		ck_assert_uint_eq(b->count, 0);
		ck_assert_uint_eq(line.sim->packets_live, 2);
		sim_free(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

/* Frames under way when a run ends are freed with it. */
START_TEST(end_with_frames_under_way)
{
	struct link_params params = { .delay_ns = NS_PER_S };
	struct line line;
	struct sink *a;

	line_make(&line, 2, &params, SEED);
	a = sink_new(line.node[0], 1);
	for (uint16_t i = 0; i < 100; i++)
		send_numbered(&a->socket, line_ip(1, 2), 2, i, i * 100);
	sim_run(line.sim, NS_PER_MS);
	ck_assert_uint_gt(line.sim->packets_live, 100);
	sim_free(line.sim);
	free(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("link");
	TCase *cases = tcase_create("link");

	tcase_add_test(cases, arrival_times);
	tcase_add_test(cases, directions_are_apart);
	tcase_add_test(cases, queue_bound);
	tcase_add_test(cases, chance);
	tcase_add_test(cases, streams_are_apart);
	tcase_add_test(cases, down);
	tcase_add_test(cases, neighbours);
	tcase_add_test(cases, moved);
	tcase_add_test(cases, claim);
	tcase_add_test(cases, claimer_reaches_the_owner);
	tcase_add_test(cases, taps);
	tcase_add_test(cases, tap_changes_size);
	tcase_add_test(cases, inject);
	tcase_add_test(cases, capture);
	tcase_add_test(cases, broadcast_frame);
	tcase_add_test(cases, without_end);
	tcase_add_test(cases, end_with_frames_under_way);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

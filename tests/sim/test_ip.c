/*
 * IPv4 and ICMP: checksum vectors, routing against a plain search, TTL, unreachable, echo, forged errors, and hostile
 * packets.
 */
#include "tests/sim/net_fixture.h"

#define SEED 815
#define PROTO_TEST 253 /* RFC 3692: for experiments */

/* ---- checksum ---- */

START_TEST(checksum_vectors)
{
	static const uint8_t rfc1071[8] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 }; /* RFC 1071, section 3 */
	static const uint8_t header[20] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
		                            0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };
	static const uint8_t ones[4] = { 0xff, 0xff, 0xff, 0xff };

	ck_assert_uint_eq(inet_fold(inet_sum(rfc1071, 8, 0)), (uint16_t)~0xddf2);
	ck_assert_uint_eq(inet_fold(inet_sum(header, 20, 0)), 0);
	ck_assert_uint_eq(inet_fold(inet_sum(header + 12, 8, inet_sum(header, 10, 0))), 0xb861);
	ck_assert_uint_eq(inet_fold(inet_sum(ones, 4, 0)), 0);
	ck_assert_uint_eq(inet_fold(inet_sum(ones, 0, 0)), 0xffff);
}
END_TEST

/* Every length and alignment against the sum as the RFC words it. */
START_TEST(checksum_lengths)
{
	uint8_t bytes[320];
	struct rng rng;

	rng_init(&rng, SEED, "test", "checksum");
	for (unsigned round = 0; round < 3; round++) {
		rng_bytes(&rng, bytes, sizeof(bytes));
		if (round == 1)
			memset(bytes, 0xff, sizeof(bytes));
		for (unsigned at = 0; at < 8; at++) {
			for (unsigned len = 0; len <= 300; len++)
				ck_assert_msg(inet_fold(inet_sum(bytes + at, len, 0x1fffe)) ==
				              plain_checksum(bytes + at, len, 0x1fffe),
				              "round %u at %u len %u", round, at, len);
		}
	}
}
END_TEST

/* ---- routing ---- */

static uint32_t mask_of(uint8_t len)
{
	return len ? 0xffffffffu << (32 - len) : 0;
}

START_TEST(longest_prefix)
{
	static const struct {
		uint32_t dst, gateway;
	} table[] = {
		{ 0x0a000102, 0 },          /* the node itself's neighbour: connected */
		{ 0x14000001, 0x0a000110 }, /* default */
		{ 0x0b010203, 0x0a000111 }, /* 11/8 */
		{ 0x0b020303, 0x0a000112 }, /* 11.2/16 */
		{ 0x0b020201, 0x0a000113 }, /* 11.2.2/24, the older of two */
		{ 0x0b020207, 0x0a000115 }, /* a host */
	};
	struct link_params params = { 0 };
	struct line line;

	line_make(&line, 2, &params, SEED);
	ck_assert_ptr_null(ip_route_find(line.node[0], 0x14000001));
	ck_assert_uint_eq(ip_source_for(line.node[0], 0x14000001), 0);
	ip_route_add(line.node[0], 0x0b020207, 32, 0x0a000115, line.right[0]);
	ip_route_add(line.node[0], 0, 0, 0x0a000110, line.right[0]);
	ip_route_add(line.node[0], 0x0b000000, 8, 0x0a000111, NULL);
	ip_route_add(line.node[0], 0x0b020000, 16, 0x0a000112, line.right[0]);
	ip_route_add(line.node[0], 0x0b020200, 24, 0x0a000113, line.right[0]);
	ip_route_add(line.node[0], 0x0b020299, 24, 0x0a000114, line.right[0]); /* the same prefix */
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_uint_eq(ip_route_find(line.node[0], table[i].dst)->gateway, table[i].gateway);
		ck_assert_uint_eq(ip_source_for(line.node[0], table[i].dst), line_ip(1, 1));
	}
	run_out(line.sim);
}
END_TEST

/* Many routes against a plain search. */
START_TEST(many_routes)
{
	static struct { uint32_t prefix; uint8_t len; } route[600];
	struct link_params params = { 0 };
	struct rng rng;

	rng_init(&rng, SEED, "test", "routes");
	for (unsigned count = 4; count <= 600; count *= 5) {
		struct line line;

		line_make(&line, 2, &params, SEED);
		for (unsigned i = 0; i < count; i++) {
			route[i].len = (uint8_t)rng_below(&rng, 33);
			route[i].prefix = (uint32_t)rng_u64(&rng) & mask_of(route[i].len) & 0x8f0f0fff;
			route[i].prefix &= mask_of(route[i].len);
			ip_route_add(line.node[0], route[i].prefix, route[i].len, i + 1, line.right[0]);
		}
		for (unsigned k = 0; k < 5000; k++) {
			uint32_t any = (uint32_t)rng_u64(&rng), hit = k % count;
			uint32_t dst = k % 2 ? route[hit].prefix | (any & ~mask_of(route[hit].len)) : any & 0x8f0f0fff;
			const struct ip_route *found = ip_route_find(line.node[0], dst);
			unsigned best = count;

			if ((dst & 0xffffff00) == line_ip(1, 0))
				continue;
			for (unsigned i = 0; i < count; i++) {
				if ((dst & mask_of(route[i].len)) == route[i].prefix &&
				    (best == count || route[i].len > route[best].len))
					best = i;
			}
			ck_assert_msg(best == count ? !found : found && found->gateway == best + 1,
			              "%u routes, look-up %u of %08x", count, k, dst);
		}
		run_out(line.sim);
	}
}
END_TEST

START_TEST(connected_route_follows)
{
	struct link_params params = { 0 };
	struct line line;

	line_make(&line, 2, &params, SEED);
	iface_set_ip(line.right[0], 0x0c000001, 16);
	ck_assert_ptr_null(ip_route_find(line.node[0], line_ip(1, 2)));
	ck_assert_ptr_nonnull(ip_route_find(line.node[0], 0x0c00ffff));
	ck_assert(ip_is_broadcast(line.node[0], 0x0c00ffff));
	ck_assert(!ip_is_broadcast(line.node[0], 0x0c00fffe));
	ck_assert(ip_is_broadcast(line.node[0], 0xffffffff));
	ck_assert(ip_is_local(line.node[0], 0x0c000001));
	ck_assert(!ip_is_local(line.node[0], line_ip(1, 1)));
	iface_set_ip(line.right[0], 0, 0);
	ck_assert_ptr_null(ip_route_find(line.node[0], 0x0c000002));
	ck_assert(!ip_is_local(line.node[0], 0x0c000001));
	ck_assert(!ip_is_local(line.node[0], 0));
	run_out(line.sim);
}
END_TEST

/* Many interfaces and aliases. */
START_TEST(own_addresses)
{
	struct link_params params = { 0 };
	struct sim *sim = sim_new(SEED, 0);
	struct node *node = node_new(sim, "router");
	char name[16];

	ip_alias_add(node, 0x0d000001); /* without an interface it can be nobody's */
	ck_assert(!ip_is_local(node, 0x0d000001));
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "l%u", i);
		iface_new(node, link_new(sim, name, &params), name, NULL, 0x0a000001 + (i << 8), 24);
		ck_assert(ip_is_local(node, 0x0d000001));
		for (unsigned k = 0; k < 40; k++)
			ck_assert_int_eq(ip_is_local(node, 0x0a000001 + (k << 8)), k <= i);
	}
	ck_assert(!ip_is_local(node, 0x0a000002));
	ck_assert(ip_is_broadcast(node, 0x0a0005ff));
	sim_free(sim);
}
END_TEST

/* ---- TTL, unreachable, echo ---- */

START_TEST(ttl)
{
	struct link_params params = { .delay_ns = 1000 };

	for (uint8_t hops = 1; hops <= 5; hops++) {
		struct line line;
		struct sink *a, *b;
		uint8_t udp[64];
		struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(5, 2), .proto = 17, .ttl = hops, .bytes = udp };

		line_make(&line, 6, &params, SEED);
		a = sink_new(line.node[0], 33);
		b = sink_new(line.node[5], 44);
		raw.len = raw_udp(udp, raw.src, raw.dst, 33, 44, (const uint8_t *)"trace", 5);
		link_inject(line.link[0], line.right[0], line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(b->count, hops >= 5);
		ck_assert_uint_eq(a->errors, hops < 5);
		if (hops < 5) {
			ck_assert_uint_eq(a->error_type, 11);
			ck_assert_uint_eq(a->error_code, 0);
			ck_assert_uint_eq(a->error_dst, line_ip(5, 2));
			ck_assert_uint_eq(a->error_dport, 44);
			/* the router at which it ended */
			ck_assert_uint_eq(ip_counters(line.node[hops])->icmp_sent, 1);
			ck_assert_uint_eq(network_dropped(line.sim, "ip.ttl"), 1);
		}
		run_out(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

static void take_nothing(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	(void)node;
	(void)ctx;
	(void)packet;
	(void)info;
}

/* RFC 1624: the updated checksum is right for every identification, so for every value the sum can have. */
START_TEST(incremental_checksum)
{
	struct link_params params = { 0 };
	struct watcher w;
	struct line line;
	struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(2, 2), .proto = PROTO_TEST };

	line_make(&line, 3, &params, SEED);
	watch(line.sim, &w, TRACE_PACKET);
	ip_protocol(line.node[2], PROTO_TEST, take_nothing, NULL);
	for (uint32_t ident = 0; ident < 65536; ident++) {
		const struct seen_frame *out;

		raw.ident = (uint16_t)ident;
		raw.ttl = (uint8_t)(2 + ident % 254);
		w.frames = 0;
		link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
		sim_run(line.sim, SIM_NEVER);
		out = &w.frame[1]; /* in at the router, out of it */
		ck_assert_int_eq(out->what, PACKET_OUT);
		ck_assert_uint_eq(out->head[14 + 8], raw.ttl - 1);
		ck_assert_msg(plain_checksum(out->head + 14, 20, 0) == 0, "ident %u", ident);
	}
	ck_assert_uint_eq(ip_counters(line.node[1])->forwarded, 65536);
	run_out(line.sim);
}
END_TEST

struct icmp_seen {
	unsigned count;
	uint8_t type, code, tos;
	uint32_t src;
	uint32_t len;
	uint8_t bytes[600];
};

/* Takes the ICMP messages on their way to n0 off the first link. */
static enum tap_verdict icmp_tap(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                 struct packet *frame)
{
	struct icmp_seen *seen = ctx;
	const uint8_t *ip = frame->data + 14;

	(void)link;
	(void)from;
	(void)to;
	if (ip[9] != 1)
		return TAP_PASS;
	seen->count++;
	seen->tos = ip[1];
	seen->src = get_be32(ip + 12);
	seen->type = ip[20];
	seen->code = ip[21];
	seen->len = frame->len - 34;
	memcpy(seen->bytes, ip + 20, seen->len < sizeof(seen->bytes) ? seen->len : sizeof(seen->bytes));
	ck_assert_uint_eq(plain_checksum(ip + 20, seen->len, 0), 0);
	packet_free(frame);
	return TAP_TAKEN;
}

/* Who answers what with which ICMP error. */
START_TEST(icmp_errors)
{
	static const uint8_t echo_request[8] = { 8, 0, 0xf7, 0xff }, unreachable[8] = { 3, 1, 0xfc, 0xfe };
	static const uint8_t some[12] = { 0, 99, 0, 98, 0, 12 }; /* UDP without a checksum */
	static const struct {
		uint32_t src, dst;
		uint8_t proto, ttl;
		uint16_t frag;
		const uint8_t *bytes;
		uint32_t len;
		unsigned answers;
		uint8_t type, code;
		uint32_t from;
		const char *why;
	} table[] = {
		{ 0x0a000101, 0x0a000202, 17, 64, 0, some, 12, 1, 3, 3, 0x0a000202, "udp.no_port" },
		{ 0x0a000101, 0x0a000202, PROTO_TEST, 64, 0, some, 12, 1, 3, 2, 0x0a000202, "ip.no_protocol" },
		{ 0x0a000101, 0x0b000202, 17, 64, 0, some, 12, 1, 3, 0, 0x0a000102, "ip.no_route" },
		{ 0x0a000101, 0x0a000202, 17, 1, 0, some, 12, 1, 11, 0, 0x0a000102, "ip.ttl" },
		{ 0x0a000101, 0x0a000202, 1, 1, 0, echo_request, 8, 1, 11, 0, 0x0a000102, "ip.ttl" },
		/* an error about an error */
		{ 0x0a000101, 0x0a000202, 1, 1, 0, unreachable, 8, 0, 0, 0, 0, "ip.ttl" },
		/* not the first fragment */
		{ 0x0a000101, 0x0a000202, 17, 1, 5, some, 12, 0, 0, 0, 0, "ip.ttl" },
		{ 0x0a000101, 0x0a000202, 17, 1, 0x2000, some, 8, 1, 11, 0, 0x0a000102, "ip.ttl" }, /* the first */
		{ 0x0a000101, 0xffffffff, 17, 64, 0, some, 12, 0, 0, 0, 0, "udp.no_port" },    /* a broadcast */
		{ 0x0a000101, 0x0a0001ff, 17, 64, 0, some, 12, 0, 0, 0, 0, "udp.no_port" },
		/* from a broadcast address */
		{ 0x0a0001ff, 0x0a000202, 17, 1, 0, some, 12, 0, 0, 0, 0, "ip.ttl" },
		{ 0x0a000101, 0xe0000005, 17, 64, 0, some, 12, 0, 0, 0, 0, "ip.no_route" },    /* multicast */
		/* loopback from outside */
		{ 0x0a000101, 0x7f000001, 17, 64, 0, some, 12, 0, 0, 0, 0, "ip.no_route" },
		/* no source is not forwarded */
		{ 0, 0x0a000202, 17, 64, 0, some, 12, 0, 0, 0, 0, "ip.no_route" },
	};
	struct link_params params = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct icmp_seen seen = { 0 };
		struct line line;
		struct raw raw = { .src = table[i].src, .dst = table[i].dst, .proto = table[i].proto,
		                   .ttl = table[i].ttl,
				   .frag = table[i].frag, .bytes = table[i].bytes, .len = table[i].len };
		struct packet *frame;

		line_make(&line, 3, &params, SEED);
		line.link[0]->tap = icmp_tap;
		line.link[0]->tap_ctx = &seen;
		frame = raw_frame(line.right[0], line.left[1], &raw);
		link_inject(line.link[0], NULL, line.left[1], frame, 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(seen.count == table[i].answers, "row %zu: %u answers", i, seen.count);
		ck_assert_msg(network_dropped(line.sim, table[i].why) == 1, "row %zu: not %s", i, table[i].why);
		if (seen.count) {
			ck_assert_msg(seen.type == table[i].type && seen.code == table[i].code, "row %zu: %u/%u", i,
			              seen.type, seen.code);
			ck_assert_msg(seen.src == table[i].from, "row %zu: from %08x", i, seen.src);
			ck_assert_uint_eq(seen.tos, 0xc0);
			ck_assert_uint_eq(seen.len, 8 + 20 + table[i].len);
			ck_assert_uint_eq(get_be32(seen.bytes + 8 + 12), table[i].src);
			ck_assert_uint_eq(get_be32(seen.bytes + 8 + 16), table[i].dst);
			ck_assert_uint_eq(plain_checksum(seen.bytes + 8, 20, 0), 0);
			ck_assert_mem_eq(seen.bytes + 28, table[i].bytes, table[i].len);
		}
		run_out(line.sim);
	}
}
END_TEST

START_TEST(icmp_rate_and_size)
{
	struct link_params params = { 0 };
	struct icmp_seen seen = { 0 };
	struct line line;
	struct sink *a;

	line_make(&line, 2, &params, SEED);
	line.link[0]->tap = icmp_tap;
	line.link[0]->tap_ctx = &seen;
	a = sink_new(line.node[0], 9);
	send_numbered(&a->socket, line_ip(1, 2), 7, 1, 1400);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(seen.len, 576 - 20);
	for (unsigned i = 0; i < 1000; i++)
		send_numbered(&a->socket, line_ip(1, 2), 7, 1, 10);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(seen.count, ICMP_ERROR_BURST);
	ck_assert_uint_eq(network_dropped(line.sim, "udp.no_port"), 1001);
	sim_run(line.sim, 10 * NS_PER_MS);
	for (unsigned i = 0; i < 1000; i++)
		send_numbered(&a->socket, line_ip(1, 2), 7, 1, 10);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(seen.count, ICMP_ERROR_BURST + 10);
	run_out(line.sim);
	free(a);
}
END_TEST

START_TEST(echo)
{
	static const struct {
		uint32_t dst;
		bool spoil, answer;
	} table[] = {
		{ 0x0a000202, false, true }, { 0x0a000102, false, true }, { 0x0a000202, true, false },
		{ 0xffffffff, false, false },
	};
	struct link_params params = { 0 };
	uint8_t ping[64];

	for (size_t i = 0; i < 4; i++) {
		struct icmp_seen seen = { 0 };
		struct line line;
		struct raw raw = { .src = line_ip(1, 1), .dst = table[i].dst, .proto = 1, .bytes = ping, .len = 64 };

		for (unsigned k = 0; k < 64; k++)
			ping[k] = (uint8_t)k;
		ping[0] = 8;
		ping[1] = 0;
		put_be16(ping + 2, 0);
		put_be16(ping + 2, plain_checksum(ping, 64, 0));
		ping[60] ^= table[i].spoil;
		line_make(&line, 3, &params, SEED);
		line.link[0]->tap = icmp_tap;
		line.link[0]->tap_ctx = &seen;
		link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(seen.count == table[i].answer, "row %zu", i);
		ck_assert_uint_eq(network_dropped(line.sim, "icmp.checksum"), table[i].spoil);
		if (seen.count) {
			ck_assert_uint_eq(seen.type, 0);
			ck_assert_uint_eq(seen.src, table[i].dst);
			ck_assert_uint_eq(seen.len, 64);
			ck_assert_mem_eq(seen.bytes + 4, ping + 4, 60);
		}
		run_out(line.sim);
	}
}
END_TEST

/* A source that is everybody: of one request there would come answers to all. */
START_TEST(sources_that_are_all)
{
	static const uint32_t sources[] = { 0x0a0001ff, 0x0a0002ff };
	struct link_params params = { 0 };
	uint8_t udp[16], ping[8] = { 8, 0, 0xf7, 0xff };

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct line line;
		struct sink *sink;
		struct raw raw = { .src = sources[i], .dst = line_ip(1, 2), .proto = 1, .bytes = ping, .len = 8 };

		line_make(&line, 3, &params, SEED);
		sink = sink_new(line.node[1], 7);
		link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
		raw.proto = 17;
		raw.bytes = udp;
		raw.len = raw_udp(udp, raw.src, raw.dst, 7, 7, NULL, 0);
		link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(sink->count, 0);
		ck_assert_uint_eq(network_dropped(line.sim, "ip.malformed"), 2);
		ck_assert_uint_eq(ip_counters(line.node[1])->sent, 0);
		run_out(line.sim);
		free(sink);
	}
}
END_TEST

/* A frame is for who has its MAC address; one for all is believed only with a packet for all (RFC 1812 5.3.4). */
START_TEST(frames_of_others)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	/* which MAC: 0 ours, 1 another's, 2 everybody's; whose IP; whether it is heard, or passed on */
	static const struct {
		unsigned mac;
		uint32_t dst;
		unsigned heard, passed;
	} table[] = {
		{ 0, 0x0a000102, 1, 0 }, { 1, 0x0a000102, 0, 0 }, { 2, 0x0a000102, 0, 0 },
		{ 0, 0x0a000202, 0, 1 }, { 1, 0x0a000202, 0, 0 }, { 2, 0x0a000202, 0, 0 },
		{ 0, 0xffffffff, 1, 0 }, { 1, 0xffffffff, 0, 0 }, { 2, 0xffffffff, 1, 0 },
		{ 0, 0x0a0001ff, 1, 0 }, { 1, 0x0a0001ff, 0, 0 }, { 2, 0x0a0001ff, 1, 0 },
	};
	struct link_params params = { 0 };
	uint8_t udp[16];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct line line;
		struct sink *near, *far;
		struct raw raw = { .src = line_ip(1, 1), .dst = table[i].dst, .proto = 17, .bytes = udp };
		struct packet *frame;

		line_make(&line, 3, &params, SEED);
		near = sink_new(line.node[1], 7);
		far = sink_new(line.node[2], 7);
		raw.len = raw_udp(udp, raw.src, raw.dst, 7, 7, NULL, 0);
		frame = raw_frame(line.right[0], table[i].mac == 1 ? line.left[2] : line.left[1], &raw);
		if (table[i].mac == 2)
			memcpy(frame->data, all, 6);
		link_inject(line.link[0], NULL, line.left[1], frame, 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(near->count == table[i].heard && far->count == table[i].passed, "row %zu: %u, %u", i,
		              near->count, far->count);
		ck_assert_uint_eq(network_dropped(line.sim, "eth.not_us"), !table[i].heard && !table[i].passed);
		run_out(line.sim);
		free(near);
		free(far);
	}
}
END_TEST

/* ICMP errors that quote what we did not send, or too little, reach nobody. */
START_TEST(forged_icmp)
{
	static const struct {
		uint8_t first;      /* version and header length in the quote */
		uint32_t src;       /* in the quote */
		uint16_t sport;
		uint32_t len;       /* of the whole message */
		uint8_t type;
		unsigned errors;
		uint64_t malformed;
		uint16_t frag;      /* in the quote */
	} table[] = {
		{ 0x45, 0x0a000101, 9, 36, 3, 1, 0, 0 },  { 0x45, 0x0a000101, 8, 36, 3, 0, 0, 0 },
		{ 0x45, 0x0a000199, 9, 36, 3, 0, 1, 0 },  { 0x45, 0x0a000101, 9, 35, 3, 0, 1, 0 },
		{ 0x4f, 0x0a000101, 9, 36, 3, 0, 1, 0 },  { 0x44, 0x0a000101, 9, 36, 3, 0, 1, 0 },
		{ 0x65, 0x0a000101, 9, 36, 3, 0, 1, 0 },  { 0x45, 0x0a000101, 9, 8, 3, 0, 1, 0 },
		{ 0x45, 0x0a000101, 9, 7, 3, 0, 1, 0 },   { 0x45, 0x0a000101, 9, 36, 5, 0, 0, 0 },
		{ 0x45, 0x0a000101, 9, 36, 12, 1, 0, 0 }, { 0x45, 0x0a000101, 9, 36, 0, 0, 0, 0 },
		{ 0x45, 0x0a000101, 9, 36, 3, 1, 0, 0x2000 }, { 0x45, 0x0a000101, 9, 36, 3, 0, 1, 0x0001 },
	};
	struct link_params params = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t message[36] = { table[i].type, 4 };
		struct line line;
		struct sink *a;
		struct raw raw = { .src = line_ip(1, 2), .dst = line_ip(1, 1), .proto = 1, .bytes = message,
		                   .len = table[i].len };

		message[8] = table[i].first;
		put_be16(message + 8 + 6, table[i].frag);
		message[8 + 9] = 17;
		put_be32(message + 8 + 12, table[i].src);
		put_be32(message + 8 + 16, 0x0a000202);
		put_be16(message + 28, table[i].sport);
		put_be16(message + 30, 53);
		put_be16(message + 2, plain_checksum(message, table[i].len, 0));
		line_make(&line, 2, &params, SEED);
		a = sink_new(line.node[0], 9);
		link_inject(line.link[0], NULL, line.right[0], raw_frame(line.left[1], line.right[0], &raw), 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(a->errors == table[i].errors, "row %zu", i);
		ck_assert_msg(network_dropped(line.sim, "icmp.malformed") == table[i].malformed, "row %zu", i);
		if (a->errors) {
			ck_assert_uint_eq(a->error_code, 4);
			ck_assert_uint_eq(a->error_dst, 0x0a000202);
			ck_assert_uint_eq(a->error_dport, 53);
		}
		run_out(line.sim);
		free(a);
	}
}
END_TEST

/* ---- hostile headers ---- */

static void spoil_checksum(uint8_t *ip)
{
	ip[11] ^= 1;
}
static void repair_checksum(uint8_t *ip)
{
	uint32_t len = (uint32_t)(ip[0] & 15) * 4;

	put_be16(ip + 10, 0);
	if (len >= 20 && len <= 28)
		put_be16(ip + 10, plain_checksum(ip, len, 0));
}

START_TEST(hostile_headers)
{
	static const struct {
		const char *what;
		uint32_t cut;       /* keep so many bytes of the frame, 0: all */
		int at;             /* byte of the IP header to set, -1: none */
		uint8_t value;
		bool repair;        /* make the checksum right again */
		const char *check;  /* NULL: accepted */
	} table[] = {
		{ "sound", 0, -1, 0, false, NULL },
		{ "empty", 1, -1, 0, false, "ip.malformed" },
		{ "no Ethernet header", 13, -1, 0, false, "ip.malformed" },
		{ "no IP header", 14, -1, 0, false, "ip.malformed" },
		{ "half an IP header", 14 + 19, -1, 0, false, "ip.malformed" },
		{ "cut in the payload", 14 + 30, -1, 0, false, "ip.malformed" },
		{ "version 6", 0, 0, 0x65, true, "ip.malformed" },
		{ "header of 16 bytes", 0, 0, 0x44, true, "ip.malformed" },
		{ "header of 0 bytes", 0, 0, 0x40, true, "ip.malformed" },
		{ "header longer than the packet", 0, 0, 0x4f, true, "ip.malformed" },
		{ "length 19", 0, 3, 19, true, "ip.malformed" },
		{ "length 0", 0, 3, 0, true, "ip.malformed" },
		{ "length beyond the frame", 0, 3, 200, true, "ip.malformed" },
		{ "length 256 times too long", 0, 2, 1, true, "ip.malformed" },
		{ "source multicast", 0, 12, 0xe1, true, "ip.malformed" },
		{ "source loopback", 0, 12, 127, true, "ip.malformed" },
		{ "another TTL, checksum not", 0, 8, 9, false, "ip.checksum" },
		{ "another TTL, checksum too", 0, 8, 9, true, NULL },
	};
	struct link_params params = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t udp[24];
		struct watcher w;
		struct line line;
		struct sink *b;
		struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = 17, .bytes = udp };
		struct packet *frame;

		line_make(&line, 2, &params, SEED);
		watch(line.sim, &w, TRACE_REFUSAL);
		b = sink_new(line.node[1], 7);
		raw.len = raw_udp(udp, raw.src, raw.dst, 5, 7, (const uint8_t *)"0123456789abcdef", 16);
		frame = raw_frame(line.right[0], line.left[1], &raw);
		if (table[i].at >= 0)
			frame->data[14 + table[i].at] = table[i].value;
		if (table[i].repair)
			repair_checksum(frame->data + 14);
		if (table[i].cut)
			packet_trim(frame, frame->len - table[i].cut);
		link_inject(line.link[0], NULL, line.left[1], frame, 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(b->count == (table[i].check == NULL), "%s", table[i].what);
		if (table[i].check)
			ck_assert_msg(w.refusals == 1 && strcmp(w.check, table[i].check) == 0, "%s: %s", table[i].what,
			              w.check);
		run_out(line.sim);
		free(b);
	}
}
END_TEST

/* An Ethernet frame may be longer than its packet, and may hold no IP at all. */
START_TEST(frames)
{
	uint8_t udp[24];
	struct link_params params = { 0 };
	struct line line;
	struct sink *b;
	struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = 17, .bytes = udp };
	struct packet *frame;

	line_make(&line, 2, &params, SEED);
	b = sink_new(line.node[1], 7);
	raw.len = raw_udp(udp, raw.src, raw.dst, 5, 7, (const uint8_t *)"hi", 2);
	frame = raw_frame(line.right[0], line.left[1], &raw);
	memset(packet_append(frame, 20), 0xee, 20); /* padding */
	link_inject(line.link[0], NULL, line.left[1], frame, 0);
	frame = raw_frame(line.right[0], line.left[1], &raw);
	put_be16(frame->data + 12, 0x0806);
	link_inject(line.link[0], NULL, line.left[1], frame, 0);
	frame = raw_frame(line.right[0], line.left[1], &raw);
	spoil_checksum(frame->data + 14);
	link_inject(line.link[0], NULL, line.left[1], frame, 0);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_uint_eq(b->len, 2);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.malformed"), 1);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.checksum"), 1);
	run_out(line.sim);
	free(b);
}
END_TEST

/* Options are carried along untouched and skipped at the end. */
START_TEST(options)
{
	static const uint8_t option[8] = { 0x94, 4, 0, 0, 1, 1, 1, 0 };
	uint8_t udp[24];
	struct link_params params = { 0 };
	struct line line;
	struct sink *b;
	struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(2, 2), .proto = 17, .bytes = udp, .options = option,
			   .option_len = 8 };

	line_make(&line, 3, &params, SEED);
	b = sink_new(line.node[2], 7);
	raw.len = raw_udp(udp, raw.src, raw.dst, 5, 7, (const uint8_t *)"hi", 2);
	link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_mem_eq(b->bytes, "hi", 2);
	run_out(line.sim);
	free(b);
}
END_TEST

/* An idle node has a budget: a million of them must fit. */
START_TEST(idle_size)
{
	size_t idle = sizeof(struct node) + sizeof(struct iface) + sizeof(struct ip_stack) +
	              2 * sizeof(struct ip_route);

	ck_assert_uint_lt(idle, 768);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ip");
	TCase *cases = tcase_create("ip");

	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, checksum_vectors);
	tcase_add_test(cases, checksum_lengths);
	tcase_add_test(cases, longest_prefix);
	tcase_add_test(cases, many_routes);
	tcase_add_test(cases, connected_route_follows);
	tcase_add_test(cases, own_addresses);
	tcase_add_test(cases, ttl);
	tcase_add_test(cases, incremental_checksum);
	tcase_add_test(cases, icmp_errors);
	tcase_add_test(cases, icmp_rate_and_size);
	tcase_add_test(cases, echo);
	tcase_add_test(cases, sources_that_are_all);
	tcase_add_test(cases, frames_of_others);
	tcase_add_test(cases, forged_icmp);
	tcase_add_test(cases, hostile_headers);
	tcase_add_test(cases, frames);
	tcase_add_test(cases, options);
	tcase_add_test(cases, idle_size);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

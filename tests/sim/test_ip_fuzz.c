/*
 * Hostile bytes by the ten thousand: sound packets of every kind, cut, flipped and spliced, thrown at a router and
 * at the hosts behind it. Nothing may crash, loop, leak or grow beyond its limit, and a seed gives the same run again.
 * Under the sanitizers this is the test that matters.
 */
#include "tests/sim/net_fixture.h"

#define PACKETS 30000
#define SEED_FIRST 20000410
#define PROTO_TEST 253

static void take_nothing(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	uint64_t *sum = ctx;

	(void)node;
	for (uint32_t i = 0; i < packet->len; i++)
		*sum += packet->data[i];
	*sum += info->header ? info->header[0] : 0;
}

static void recv_sum(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	take_nothing(socket->node, socket->ctx, packet, &(struct ip_info){ .src = from->src });
}

static void error_sum(struct udp_socket *socket, uint8_t type, uint8_t code, uint32_t dst, uint16_t dport)
{
	uint64_t *sum = socket->ctx;

	*sum += (uint64_t)type + code + dst + dport;
}

/* A payload of some kind of packet: UDP, an ICMP request or error, a TCP segment, or anything. Returns its length. */
static uint32_t make_segment(struct rng *rng, struct raw *raw, uint8_t *out)
{
	uint8_t data[1600];
	uint32_t len = (uint32_t)rng_below(rng, rng_chance(rng, 900000) ? 64 : 1400);

	rng_bytes(rng, data, len);
	switch (rng_below(rng, 5)) {
	case 0:
		raw->proto = 17;
		return raw_udp(out, raw->src, raw->dst, (uint16_t)rng_below(rng, 4),
		               (uint16_t)(5000 + rng_below(rng, 3)), data, len);
	case 1:
		raw->proto = 1;
		len = len < 40 ? 40 : len;
		rng_bytes(rng, out, len);
		out[0] = (uint8_t)rng_below(rng, 14);
		out[8] = 0x45;
		out[17] = rng_chance(rng, 500000) ? 17 : 6;
		put_be32(out + 20, raw->dst);
		put_be16(out + 28, 5000);
		put_be16(out + 2, 0);
		put_be16(out + 2, plain_checksum(out, len, 0));
		return len;
	case 2:
		raw->proto = 6;
		len = len < 20 ? 20 : len;
		memcpy(out, data, len);
		put_be16(out + 2, (uint16_t)(5000 + rng_below(rng, 3)));
		out[12] = (uint8_t)(rng_below(rng, 16) << 4);
		return len;
	case 3:
		raw->proto = PROTO_TEST;
		break;
	default:
		raw->proto = (uint8_t)rng_u64(rng);
	}
	memcpy(out, data, len);
	return len;
}

static void mutate(struct rng *rng, struct packet *frame)
{
	for (uint64_t n = rng_below(rng, 4); n > 0 && frame->len > 0; n--) {
		uint32_t at = (uint32_t)rng_below(rng, rng_chance(rng, 700000) && frame->len > 54 ? 54 : frame->len);
		uint8_t flipped = (uint8_t)(frame->data[at] ^ 1u << rng_below(rng, 8));

		frame->data[at] = rng_chance(rng, 500000) ? (uint8_t)rng_u64(rng) : flipped;
	}
	if (rng_chance(rng, 100000))
		packet_trim(frame, (uint32_t)rng_below(rng, frame->len + 1));
	if (frame->len >= 34 && rng_chance(rng, 800000)) { /* past the header checksum, to what lies behind it */
		uint32_t len = (uint32_t)(frame->data[14] & 15) * 4;

		if (len >= 20 && len + 14 <= frame->len) {
			put_be16(frame->data + 24, 0);
			put_be16(frame->data + 24, plain_checksum(frame->data + 14, len, 0));
		}
	}
}

/* One of the halves of a few datagrams, so that some become whole. */
static void make_half(struct rng *rng, struct raw *raw, uint8_t *segment)
{
	raw->dst = 0x0a000202;
	raw->proto = PROTO_TEST;
	raw->ident = (uint16_t)rng_below(rng, 3);
	raw->frag = rng_chance(rng, 500000) ? 0x2000 : 2; /* bytes 0 to 15, 16 to 31 */
	raw->ttl = 4;
	raw->len = 16;
	rng_bytes(rng, segment, raw->len);
}

static struct packet *make_frame(struct rng *rng, const struct line *line)
{
	static const uint8_t option[16] = { 0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0x83, 3, 4, 0, 0 };
	static const uint32_t to[] = { 0x0a000102, 0x0a000202, 0x0a000202, 0x0a000101, 0xffffffff, 0x0a0002ff,
	                               0x0b000001 };
	uint8_t segment[1700];
	struct raw raw = { .src = line_ip(1, 1), .dst = to[rng_below(rng, 7)], .ident = (uint16_t)rng_below(rng, 20),
			   .ttl = (uint8_t)rng_below(rng, 4), .options = option, .bytes = segment };

	if (rng_chance(rng, 100000))
		raw.src = (uint32_t)rng_u64(rng);
	if (rng_chance(rng, 200000))
		raw.option_len = (uint32_t)rng_below(rng, 5) * 4;
	if (rng_chance(rng, 300000))
		raw.frag = (uint16_t)((rng_chance(rng, 600000) ? 0x2000 : 0) |
		                      rng_below(rng, rng_chance(rng, 900000) ? 16 : 8192));
	raw.len = make_segment(rng, &raw, segment);
	if (raw.frag & 0x2000)
		raw.len &= ~7u;
	if (rng_chance(rng, 50000))
		make_half(rng, &raw, segment);
	return raw_frame(line->right[0], line->left[1], &raw);
}

/* The run of one seed; the result is all that was counted on the way. */
static uint64_t fuzz(uint64_t seed)
{
	struct link_params params = { .delay_ns = 1000 };
	struct udp_socket socket[3] = { 0 };
	uint64_t sum = 0;
	struct line line;
	struct rng rng;

	line_make(&line, 3, &params, seed);
	rng_init(&rng, seed, "test", "fuzz");
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(udp_bind(line.node[i], &socket[i], 5000, recv_sum, &sum));
		socket[i].error = error_sum;
		ip_protocol(line.node[i], PROTO_TEST, take_nothing, &sum);
	}
	for (unsigned i = 0; i < PACKETS; i++) {
		struct packet *frame = make_frame(&rng, &line);
		struct iface *to = rng_chance(&rng, 500000) ? line.left[1] : line.left[2];

		memcpy(frame->data, to->mac, sizeof(to->mac));
		mutate(&rng, frame);
		link_inject(to->link, NULL, to, frame, 0);
		sim_run(line.sim, line.sim->now_ns + (sim_ns)rng_below(&rng, 20 * NS_PER_MS));
		for (unsigned k = 0; k < 3; k++) {
			ck_assert_uint_le(line.node[k]->ip->reassembling_count, IP_REASSEMBLY_MAX);
			ck_assert_uint_le(line.node[k]->ip->reassembling_bytes, IP_REASSEMBLY_BYTES_MAX);
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		const struct ip_counters *c = ip_counters(line.node[i]);

		sum = sum * 31 + c->received;
		sum = sum * 31 + c->delivered;
		sum = sum * 31 + c->forwarded;
		sum = sum * 31 + c->dropped;
		sum = sum * 31 + c->reassembled;
		sum = sum * 31 + c->icmp_sent;
	}
	for (unsigned i = 0; i < DROP_COUNT; i++)
		sum = sum * 31 + network_dropped(line.sim, drop_names[i]);
	ck_assert_uint_gt(ip_counters(line.node[2])->delivered, PACKETS / 20);
	ck_assert_uint_gt(ip_counters(line.node[2])->reassembled, PACKETS / 1000);
	ck_assert_uint_gt(network_dropped(line.sim, "ip.malformed"), PACKETS / 100);
	ck_assert_uint_gt(network_dropped(line.sim, "ip.checksum"), PACKETS / 100);
	ck_assert_uint_gt(network_dropped(line.sim, "udp.checksum"), 0);
	ck_assert_uint_gt(network_dropped(line.sim, "icmp.malformed"), 0);
	ck_assert_uint_gt(network_dropped(line.sim, "ip.reassembly_timeout") +
	                  network_dropped(line.sim, "ip.fragment_limit"), 0);
	run_out(line.sim);
	return sum;
}

START_TEST(mutated)
{
	uint64_t first = fuzz(SEED_FIRST);

	ck_assert_msg(fuzz(SEED_FIRST) == first, "seed %d does not give the same run twice", SEED_FIRST);
	ck_assert_uint_ne(fuzz(SEED_FIRST + 1), first);
}
END_TEST

/* Bytes that never were a packet. */
START_TEST(noise)
{
	struct link_params params = { 0 };
	struct line line;
	struct rng rng;

	line_make(&line, 3, &params, SEED_FIRST);
	rng_init(&rng, SEED_FIRST, "test", "noise");
	for (unsigned i = 0; i < PACKETS / 4; i++) {
		uint32_t len = (uint32_t)rng_below(&rng, 120);
		struct packet *frame = packet_new(line.sim, len);

		rng_bytes(&rng, packet_append(frame, len), len);
		if (len > 16 && i % 2) {
			put_be16(frame->data + 12, 0x0800);
			frame->data[14] = 0x45;
		}
		link_inject(line.link[0], NULL, line.left[1], frame, 0);
		sim_run(line.sim, line.sim->now_ns + 1000);
	}
	ck_assert_uint_eq(ip_counters(line.node[1])->dropped, PACKETS / 4);
	run_out(line.sim);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ip fuzz");
	TCase *cases = tcase_create("ip fuzz");

	tcase_set_timeout(cases, 300);
	tcase_add_test(cases, mutated);
	tcase_add_test(cases, noise);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

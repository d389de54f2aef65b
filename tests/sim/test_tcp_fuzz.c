/*
 * TCP under hostile segments, by the ten thousand: they never do more than end a connection. Fixed seeds; run under
 * the sanitizers it shows that nothing is read or written past an end, or twice freed.
 */
#include "tests/sim/tcp_bench.h"

#define FUZZ_SEGMENTS 40000

/* Sequence numbers near those that matter, or anything. */
static uint32_t near(struct rng *rng, uint32_t base)
{
	switch (rng_below(rng, 6)) {
	case 0:
		return base;
	case 1:
		return base + (uint32_t)rng_below(rng, 3) - 1;
	case 2:
		return base + (uint32_t)rng_below(rng, 70000);
	case 3:
		return base - (uint32_t)rng_below(rng, 70000);
	case 4:
		return base + UINT32_C(0x80000000);
	default:
		return (uint32_t)rng_u64(rng);
	}
}

/* Wild segments at a connection and a listener, with good checksums so that they get as far as they can. */
START_TEST(wild_segments)
{
	struct bench bench;
	struct rng rng;
	unsigned connections = 0;

	rng_init(&rng, (uint64_t)_i, "test", "wild");
	bench_start(&bench);
	for (unsigned i = 0; i < FUZZ_SEGMENTS; i++) {
		static const uint8_t usual[] = { TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_SYN, TCP_RST,
						 TCP_ACK };
		uint8_t flags = rng_below(&rng, 4) ? usual[rng_below(&rng, 6)] : (uint8_t)rng_u64(&rng);
		struct end *server = &bench.rig.server;
		struct tcp_stack *stack = bench.rig.b->ip->tcp;
		struct tcp_entry *entry = tcp_find(stack, IP_B, RIG_PORT, IP_A, PEER_PORT);
		struct tcp_conn *conn = entry && entry->state != TCP_TIME_WAIT ? conn_of(entry) : NULL;
		uint32_t len = rng_below(&rng, 3) ? 0 : (uint32_t)rng_below(&rng, 1400);
		struct packet *packet;

		if (rng_below(&rng, 8) == 0 && flags & TCP_RST)
			flags &= (uint8_t)~TCP_RST;
		bench.window = (uint16_t)(rng_below(&rng, 3) ? 65535 : rng_below(&rng, 4) * 500);
		packet = segment(&bench, flags, near(&rng, conn ? conn->entry.rcv_nxt : 0),
		                 near(&rng, conn ? conn->snd_max : 0), 0, len);
		if (rng_below(&rng, 10) == 0) {
			for (unsigned n = 0; n < 1 + rng_below(&rng, 4); n++)
				packet->data[rng_below(&rng, packet->len)] = (uint8_t)rng_u64(&rng);
			packet_trim(packet, (uint32_t)rng_below(&rng, packet->len));
		}
		checksum(packet, IP_A, IP_B);
		server->bite = 1 + rng_below(&rng, 3000);
		server->hungry_at_ns = rng_below(&rng, 50) ? 0 : bench.rig.sim->now_ns + NS_PER_S;
		send_packet(&bench, packet);
		if (server->conn && server->closes == 0 && server->connected && rng_below(&rng, 20) == 0)
			tcp_send(server->conn, (const uint8_t *)"0123456789", 1 + rng_below(&rng, 10), i);
		if (rng_below(&rng, 300) == 0)
			later(&bench, (sim_ns)rng_below(&rng, 100) * NS_PER_MS);
		if (tcp_waits_count(stack) && rng_below(&rng, 100) == 0)
			later(&bench, TCP_TIME_WAIT_NS);
		if (rng_below(&rng, 2000) == 0 && server->conn && server->connected && !server->closed)
			tcp_close(server->conn);
		if (server->closed || !server->connected) {
			connections += server->connected;
			*server = (struct end){ .rig = &bench.rig, .salt = 1, .keep_open = true, .conn = server->conn };
		}
	}
	ck_assert_uint_gt(connections, 100); /* it did get somewhere */
	sim_run(bench.rig.sim, bench.rig.sim->now_ns + 1000 * NS_PER_S);
	bench_stop(&bench);
}
END_TEST

/* Two hosts talk; a part of what they send is changed on the way. */
struct mutator {
	struct rng rng;
	unsigned changed;
};

static enum tap_verdict mutate(void *ctx, struct link *link, struct iface *from, struct iface *to, struct packet *frame)
{
	struct mutator *mutator = ctx;
	struct packet segment_part;
	uint8_t *ip = frame->data + ETHERNET_HEADER_LEN;

	(void)link;
	(void)from;
	(void)to;
	if (rng_below(&mutator->rng, 10) != 0)
		return TAP_PASS;
	mutator->changed++;
	for (unsigned n = 0; n < 1 + rng_below(&mutator->rng, 3); n++)
		ip[IP_HEADER_LEN + 4 + rng_below(&mutator->rng, rng_below(&mutator->rng, 2) ? 12 : frame->len - 38)] =
			(uint8_t)rng_u64(&mutator->rng);
	if (rng_below(&mutator->rng, 10) == 0)
		return TAP_PASS; /* the checksum finds it */
	segment_part = *frame;
	segment_part.data = ip + IP_HEADER_LEN;
	segment_part.len = frame->len - ETHERNET_HEADER_LEN - IP_HEADER_LEN;
	checksum(&segment_part, get_be32(ip + 12), get_be32(ip + 16));
	return TAP_PASS;
}

START_TEST(mutated_segments)
{
	struct mutator mutator = { .changed = 0 };
	unsigned conversations = 0;

	rng_init(&mutator.rng, (uint64_t)_i, "test", "mutate");
	while (mutator.changed < FUZZ_SEGMENTS / 10) {
		struct rig rig;

		rig_start(&rig, ++conversations, &rig_clean);
		rig.link->tap = mutate;
		rig.link->tap_ctx = &mutator;
		rig.client.to_send = rng_below(&mutator.rng, 100000);
		rig.server.to_send = rng_below(&mutator.rng, 100000);
		rig_open(&rig);
		sim_run(rig.sim, 4 * 3600 * NS_PER_S);
		/* whatever was changed: the end that opened hears what became of it, once */
		ck_assert_msg(rig.client.closes == 1 || rig.client.conn, "conversation %u of %d", conversations, _i);
		ck_assert_uint_le(rig.server.closes, 1);
		rig_stop(&rig);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp fuzz");
	TCase *tcase = tcase_create("fuzz");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, wild_segments, 1, 3);
	tcase_add_loop_test(tcase, mutated_segments, 1, 3);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * TCP between two hosts: every byte arrives, in order, over any link that lets some packets through; every way a
 * connection can end ends it once, at both ends, and leaves nothing behind.
 *
 * TCP_TEST_PCAP=FILE build/tests/sim/test_tcp writes the capture of a loss-free conversation.
 */
#include "tests/sim/tcp_rig.h"

static const size_t sizes[] = { 0, 1, 2, 535, 1459, 1460, 1461, 2920, 4096, 65534, 65535, 65536, 131071, 300000 };
#define SIZE_COUNT ((int)(sizeof(sizes) / sizeof(sizes[0])))

START_TEST(transfer)
{
	for (int other = 0; other < SIZE_COUNT; other++) {
		char what[64];
		struct rig rig;

		rig_start(&rig, 1, &rig_clean);
		rig.client.to_send = sizes[_i];
		rig.server.to_send = sizes[other];
		snprintf(what, sizeof(what), "%zu there, %zu back", sizes[_i], sizes[other]);
		rig_open(&rig);
		sim_run(rig.sim, 600 * NS_PER_S);
		rig_check_complete(&rig, what);
		ck_assert_msg(!tcp_counters(rig.a).retransmitted, "%s: sent again", what);
		ck_assert_msg(!tcp_counters(rig.b).retransmitted, "%s: sent again", what);
		ck_assert_uint_eq(equeue_count(rig.sim->queue), 0);
		rig_stop(&rig);
	}
}
END_TEST

START_TEST(bad_link)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		char what[64];
		struct rig rig;

		rig_start(&rig, seed, &bad_links[_i]);
		rig.client.to_send = _i == 2 ? 60000 : 300000;
		rig.server.to_send = 50000;
		snprintf(what, sizeof(what), "link %d, seed %d", _i, (int)seed);
		rig_open(&rig);
		sim_run(rig.sim, 48 * 3600 * NS_PER_S);
		rig_check_complete(&rig, what);
		rig_stop(&rig);
	}
}
END_TEST

/* Both directions pass the end of the sequence numbers in the middle of a transfer. */
START_TEST(sequence_numbers_wrap)
{
	static const char *const names[] = { "a", "b" };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t seed = 0;
		struct rig rig;
		struct rng rng;

		do {
			rng_init(&rng, ++seed, names[i], "tcp.isn");
		} while ((uint32_t)rng_u64(&rng) < UINT32_C(0xffffe000));
		rig_start(&rig, seed, &bad_links[i * 5]);
		rig.client.to_send = 300000;
		rig.server.to_send = 300000;
		rig_open(&rig);
		ck_assert(i == 1 || rig.client.conn->iss >= UINT32_C(0xffffe000));
		sim_run(rig.sim, 10000 * NS_PER_S);
		rig_check_complete(&rig, "sequence numbers wrap");
		rig_stop(&rig);
	}
}
END_TEST

/*
 * The first packet lost of a long transfer is repaired by duplicate ACKs: no time-out, which would take 200 ms and
 * more.
 */
struct dropper {
	unsigned seen, drop_number;
	bool dropped;
};

static enum tap_verdict drop_one(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                 struct packet *frame)
{
	struct dropper *dropper = ctx;

	(void)link;
	(void)from;
	(void)to;
	if (frame->len > 1000 && ++dropper->seen == dropper->drop_number) {
		dropper->dropped = true;
		packet_free(frame);
		return TAP_TAKEN;
	}
	return TAP_PASS;
}

START_TEST(fast_retransmit)
{
	struct dropper dropper = { .drop_number = 20 };
	struct rig rig;
	sim_ns undisturbed_ns;

	for (int lossy = 0; lossy < 2; lossy++) {
		rig_start(&rig, 1, &rig_clean);
		rig.client.to_send = 200000;
		if (lossy) {
			rig.link->tap = drop_one;
			rig.link->tap_ctx = &dropper;
		}
		rig_open(&rig);
		sim_run(rig.sim, 600 * NS_PER_S);
		rig_check_complete(&rig, "one loss");
		if (!lossy)
			undisturbed_ns = rig.server.closed_at_ns;
		else
			ck_assert_int_lt(rig.server.closed_at_ns - undisturbed_ns, TCP_RTO_MIN_NS / 2);
		ck_assert_uint_eq(tcp_counters(rig.a).retransmitted, lossy ? 1 : 0);
		rig_stop(&rig);
	}
	ck_assert(dropper.dropped);
}
END_TEST

/* ---- how connections fail to open ---- */

START_TEST(refused)
{
	enum { NO_STACK, NO_LISTENER, ACCEPT_SAYS_NO, NO_ROUTE, BROADCAST, CASES };

	for (int i = 0; i < CASES; i++) {
		uint32_t dst = i == NO_ROUTE ? UINT32_C(0xc0000201) : i == BROADCAST ? UINT32_C(0x0a0000ff) : IP_B;
		struct rig rig;

		rig_start(&rig, 1, &rig_clean);
		rig.server.refuse_accept = true;
		rig.listener.port = i == ACCEPT_SAYS_NO ? RIG_PORT : RIG_PORT + 1;
		if (i != NO_STACK)
			ck_assert(tcp_listen(rig.b, &rig.listener));
		rig.client.conn = tcp_connect(rig.a, 0, dst, RIG_PORT, &rig_handler, &rig.client);
		ck_assert_msg(!rig.client.closed, "case %d", i);
		sim_run(rig.sim, 10 * NS_PER_S);
		ck_assert_msg(rig.client.closed && rig.client.closes == 1, "case %d", i);
		ck_assert_msg(rig.client.how == (i == ACCEPT_SAYS_NO ? TCP_END_RESET : TCP_END_REFUSED), "case %d", i);
		ck_assert(!rig.server.connected && !rig.server.closed);
		ck_assert_uint_eq(rig_conns(rig.a) + rig_conns(rig.b), 0);
		rig_stop(&rig);
	}
}
END_TEST

START_TEST(icmp_error)
{
	static const struct {
		uint8_t type, code;
		bool hard;
	} cases[] = { { 3, 0, false }, { 3, 1, false }, { 3, 2, true }, { 3, 3, true }, { 3, 4, false },
		      { 3, 13, true }, { 11, 0, false }, { 4, 0, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int wrong_seq = 0; wrong_seq < 2; wrong_seq++) {
			uint8_t quoted[8];
			struct icmp_error error = { .type = cases[i].type, .code = cases[i].code, .from = IP_B,
						    .src = IP_A, .dst = IP_B, .transport = quoted, .transport_len = 8 };
			struct rig rig;

			rig_start(&rig, 1, &rig_clean);
			rig_open(&rig);
			put_be16(quoted, rig.client.conn->entry.local_port);
			put_be16(quoted + 2, RIG_PORT);
			put_be32(quoted + 4, rig.client.conn->iss + (uint32_t)wrong_seq);
			tcp_icmp_error(rig.a, &error);
			ck_assert_msg(rig.client.closed == (cases[i].hard && !wrong_seq), "type %d code %d",
			              cases[i].type, cases[i].code);
			if (rig.client.closed)
				ck_assert_int_eq(rig.client.how, TCP_END_REFUSED);
			sim_run(rig.sim, NS_PER_S);
			if (rig.client.conn) { /* stands: no ICMP message ends it */
				tcp_icmp_error(rig.a, &error);
				ck_assert(!rig.client.closed || rig.client.how == TCP_END_CLOSED);
			}
			rig_stop(&rig);
		}
	}
}
END_TEST

START_TEST(nobody_answers)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.link->down = true;
	rig_open(&rig);
	sim_run(rig.sim, 1000 * NS_PER_S);
	ck_assert(rig.client.closed);
	ck_assert_int_eq(rig.client.how, TCP_END_TIMEOUT);
	ck_assert_int_eq(rig.client.closed_at_ns, 120 * NS_PER_S + 3 * NS_PER_S); /* 1+2+4+8+16+32+60 */
	ck_assert_uint_eq(tcp_counters(rig.a).sent, 1 + TCP_SYN_RETRIES);
	rig_stop(&rig);
}
END_TEST

START_TEST(syn_ack_lost)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = 5000;
	rig_open(&rig);
	sim_run(rig.sim, 6 * NS_PER_MS); /* the SYN has arrived, its answer is under way */
	rig.link->down = true;
	sim_run(rig.sim, 20 * NS_PER_MS);
	rig.link->down = false;
	sim_run(rig.sim, 100 * NS_PER_S);
	rig_check_complete(&rig, "SYN-ACK lost");
	rig_stop(&rig);
}
END_TEST

START_TEST(half_open_expires)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig_open(&rig);
	sim_run(rig.sim, 6 * NS_PER_MS);
	rig.link->down = true;
	sim_run(rig.sim, 1000 * NS_PER_S);
	ck_assert_uint_eq(rig.listener.pending, 0);
	ck_assert_uint_eq(rig_conns(rig.b), 0);
	ck_assert(!rig.server.connected && !rig.server.closed);
	rig_stop(&rig);
}
END_TEST

/* ---- how connections end ---- */

START_TEST(peer_vanishes)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = 300000;
	rig.server.keep_open = true;
	rig_open(&rig);
	sim_run(rig.sim, 150 * NS_PER_MS);
	ck_assert(rig.server.got > 0 && rig.server.got < 300000);
	rig.link->down = true;
	sim_run(rig.sim, 3600 * NS_PER_S);
	ck_assert(rig.client.closed);
	ck_assert_int_eq(rig.client.how, TCP_END_TIMEOUT);
	ck_assert(!rig.server.closed); /* it has nothing to send and cannot know */
	ck_assert_uint_eq(rig_conns(rig.a), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(reset_in_the_middle)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = 300000;
	rig.server.abort_after = 10000;
	rig_open(&rig);
	sim_run(rig.sim, 100 * NS_PER_S);
	ck_assert(rig.client.closed && !rig.server.closed);
	ck_assert_int_eq(rig.client.how, TCP_END_RESET);
	ck_assert_int_lt(rig.client.closed_at_ns, NS_PER_S);
	ck_assert_uint_eq(rig_conns(rig.a) + rig_conns(rig.b), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(half_close)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = 20000;
	rig.server.to_send = 200000;
	rig.server.send_late = true;
	rig_open(&rig);
	sim_run(rig.sim, 100 * NS_PER_S);
	ck_assert(rig.server.peer_closed);
	rig_check_complete(&rig, "half close");
	rig_stop(&rig);
}
END_TEST

/* The peer's FIN fills a window that its data has closed: what it acknowledges after that is still heard. */
START_TEST(fin_at_a_closed_window)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = TCP_RECEIVE_WINDOW;
	rig.server.to_send = 3000;
	rig.server.send_late = rig.server.keep_open = true;
	rig.server.hungry_at_ns = 100 * NS_PER_S;
	rig_open(&rig);
	sim_run(rig.sim, 100 * NS_PER_S);
	ck_assert(rig.server.peer_closed);
	ck_assert_uint_eq(rig.client.got, 3000);
	ck_assert_uint_eq(rig.server.conn->snd_una, rig.server.conn->snd_max);
	ck_assert_uint_eq(rig.server.conn->entry.rcv_nxt, rig.server.conn->rcv_adv); /* and no window is advertised */
	tcp_resume(rig.server.conn);
	tcp_close(rig.server.conn);
	sim_run(rig.sim, 110 * NS_PER_S);
	rig_check_complete(&rig, "closed window and FIN");
	rig_stop(&rig);
}
END_TEST

/* A peer that neither sends nor closes after our FIN does not hold us for ever. */
START_TEST(fin_wait_2_expires)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.server.keep_open = true;
	rig_open(&rig);
	sim_run(rig.sim, 1000 * NS_PER_S);
	ck_assert(rig.server.peer_closed && rig.client.closed && rig.server.closed);
	ck_assert_int_eq(rig.client.how, TCP_END_TIMEOUT);
	ck_assert_int_eq(rig.server.how, TCP_END_RESET);
	rig_stop(&rig);
}
END_TEST

START_TEST(simultaneous_close)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.keep_open = rig.server.keep_open = true;
	rig_open(&rig);
	sim_run(rig.sim, NS_PER_S);
	ck_assert(rig.client.connected && rig.server.connected);
	tcp_close(rig.client.conn);
	tcp_close(rig.server.conn);
	sim_run(rig.sim, NS_PER_S + 6 * NS_PER_MS);
	ck_assert_int_eq(rig.client.conn->entry.state, TCP_CLOSING);
	ck_assert_int_eq(rig.server.conn->entry.state, TCP_CLOSING);
	sim_run(rig.sim, 2 * NS_PER_S);
	rig_check_complete(&rig, "simultaneous close");
	sim_run(rig.sim, 40 * NS_PER_S);
	ck_assert_uint_eq(equeue_count(rig.sim->queue), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(simultaneous_open)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = 30000;
	rig.server.to_send = 20000;
	rig.client.conn = tcp_connect(rig.a, 0, IP_B, TCP_PORT_EPHEMERAL_FIRST, &rig_handler, &rig.client);
	rig.server.conn = tcp_connect(rig.b, 0, IP_A, TCP_PORT_EPHEMERAL_FIRST, &rig_handler, &rig.server);
	sim_run(rig.sim, 6 * NS_PER_MS);
	ck_assert_int_eq(rig.client.conn->entry.state, TCP_SYN_RECEIVED);
	sim_run(rig.sim, 100 * NS_PER_S);
	ck_assert_uint_eq(rig.client.connects + rig.server.connects, 2);
	rig_check_complete(&rig, "simultaneous open");
	rig_stop(&rig);
}
END_TEST

START_TEST(restart)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.keep_open = rig.server.keep_open = true;
	rig_open(&rig);
	sim_run(rig.sim, NS_PER_S);
	tcp_reset(rig.b);
	ck_assert_uint_eq(rig_conns(rig.b), 0);
	sim_run(rig.sim, 2 * NS_PER_S);
	ck_assert(!rig.client.closed && !rig.server.closed); /* not a word */
	ck_assert(tcp_listen(rig.b, &rig.listener));
	ck_assert(tcp_send(rig.client.conn, (const uint8_t *)"?", 1, 0));
	sim_run(rig.sim, 3 * NS_PER_S);
	ck_assert(rig.client.closed);
	ck_assert_int_eq(rig.client.how, TCP_END_RESET);
	rig_stop(&rig);
}
END_TEST

/* The side that restarts opens again from the same port, while the other still has the old connection. */
START_TEST(reopen_after_restart)
{
	struct rig rig;
	struct end old;

	rig_start(&rig, 1, &rig_clean);
	rig.client.keep_open = rig.server.keep_open = true;
	rig_open(&rig);
	sim_run(rig.sim, NS_PER_S);
	((struct tcp_stack *)rig.a->ip->tcp)->next_port = TCP_PORT_EPHEMERAL_FIRST;
	tcp_reset(rig.a);
	old = rig.server;
	old.rig = &rig;
	rig.server.conn->ctx = &old;
	rig.client = (struct end){ .rig = &rig, .to_send = 100 };
	rig.server = (struct end){ .rig = &rig, .salt = 1 };
	rig.client.conn = tcp_connect(rig.a, 0, IP_B, RIG_PORT, &rig_handler, &rig.client);
	ck_assert_uint_eq(rig.client.conn->entry.local_port, TCP_PORT_EPHEMERAL_FIRST);
	sim_run(rig.sim, 100 * NS_PER_S);
	ck_assert(old.closed);
	ck_assert_int_eq(old.how, TCP_END_RESET);
	rig_check_complete(&rig, "opened again");
	rig_stop(&rig);
}
END_TEST

START_TEST(unlisten)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	tcp_unlisten(&rig.listener); /* never listened */
	rig_open(&rig);
	ck_assert(!tcp_listen(rig.b, &(struct tcp_listener){ .port = RIG_PORT, .accept = rig_accept }));
	sim_run(rig.sim, 6 * NS_PER_MS);
	ck_assert_uint_eq(rig.listener.pending, 1);
	tcp_unlisten(&rig.listener);
	tcp_unlisten(&rig.listener);
	sim_run(rig.sim, NS_PER_S);
	ck_assert(rig.client.closed);
	ck_assert_uint_eq(rig_conns(rig.a) + rig_conns(rig.b), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(loopback)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = 100000;
	rig.server.to_send = 100000;
	ck_assert(tcp_listen(rig.a, &rig.listener));
	rig.client.conn = tcp_connect(rig.a, 0, IP_A, RIG_PORT, &rig_handler, &rig.client);
	sim_run(rig.sim, 100 * NS_PER_S);
	rig_check_complete(&rig, "to itself");
	rig_stop(&rig);
}
END_TEST

/* ---- windows ---- */

START_TEST(zero_window)
{
	/* whether the owner says when it is hungry again, or leaves it to the next probe; how it eats */
	static const struct {
		bool resume;
		size_t bite;
	} cases[] = { { true, 0 }, { false, 0 }, { true, 700 }, { false, 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig rig;
		sim_ns hungry_ns = 300 * NS_PER_S;

		rig_start(&rig, 1, &rig_clean);
		rig.client.to_send = 200000;
		rig.server.hungry_at_ns = hungry_ns;
		rig.server.bite = cases[i].bite;
		rig_open(&rig);
		sim_run(rig.sim, hungry_ns - 1);
		ck_assert_uint_eq(rig.server.got, 0);
		ck_assert_uint_eq(rig.server.conn->received.len, TCP_RECEIVE_WINDOW);
		ck_assert_uint_eq(rig.client.conn->snd_wnd, 0);
		ck_assert(!rig.client.closed);
		sim_run(rig.sim, hungry_ns);
		if (cases[i].resume)
			tcp_resume(rig.server.conn);
		sim_run(rig.sim, hungry_ns + (cases[i].resume ? 2 : 70) * NS_PER_S);
		rig_check_complete(&rig, "closed window");
		rig_stop(&rig);
	}
}
END_TEST

START_TEST(zero_window_and_gone)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig.client.to_send = 200000;
	rig.server.hungry_at_ns = SIM_NEVER;
	rig_open(&rig);
	sim_run(rig.sim, 7200 * NS_PER_S);
	ck_assert(!rig.client.closed); /* a peer that answers probes may keep us waiting */
	rig.link->down = true;
	sim_run(rig.sim, 3 * 7200 * NS_PER_S);
	ck_assert(rig.client.closed);
	ck_assert_int_eq(rig.client.how, TCP_END_TIMEOUT);
	rig_stop(&rig);
}
END_TEST

START_TEST(send_buffer)
{
	static uint8_t bytes[TCP_SEND_BUFFER_MAX];
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig_open(&rig);
	ck_assert(tcp_send(rig.client.conn, bytes, 0, 0));
	ck_assert(tcp_send(rig.client.conn, bytes, TCP_SEND_BUFFER_MAX - 1, 0));
	ck_assert(!tcp_send(rig.client.conn, bytes, 2, 0));
	ck_assert(tcp_send(rig.client.conn, bytes, 1, 0));
	ck_assert(!tcp_send(rig.client.conn, bytes, 1, 0));
	tcp_close(rig.client.conn);
	ck_assert(!tcp_send(rig.client.conn, bytes, 0, 0));
	sim_run(rig.sim, 100 * NS_PER_S);
	ck_assert_uint_eq(rig.server.got, TCP_SEND_BUFFER_MAX);
	ck_assert_int_eq(rig.client.how, TCP_END_CLOSED);
	rig_stop(&rig);
}
END_TEST

/* ---- as others see it ---- */

static void ask(struct end *end, size_t len)
{
	uint8_t bytes[4000];

	for (size_t i = 0; i < len; i++)
		bytes[i] = rig_byte(end->salt, end->to_send + i);
	end->to_send += len;
	ck_assert(tcp_send(end->conn, bytes, len, 0));
}

/*
 * Questions and answers as of Kerberos, then a long transfer each way, then a second connection closed by the other
 * side.
 */
START_TEST(capture)
{
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rig_capture(&rig);
	rig.client.keep_open = rig.server.keep_open = true;
	rig_open(&rig);
	sim_run(rig.sim, NS_PER_S);
	for (unsigned i = 0; i < 5; i++) {
		ask(&rig.client, 300 + 400 * i);
		sim_run(rig.sim, rig.sim->now_ns + 30 * NS_PER_MS);
		ask(&rig.server, 3000);
		sim_run(rig.sim, rig.sim->now_ns + NS_PER_S);
	}
	for (unsigned i = 0; i < 60; i++) {
		ask(&rig.client, 4000);
		ask(&rig.server, 3999);
	}
	tcp_close(rig.client.conn);
	sim_run(rig.sim, rig.sim->now_ns + 10 * NS_PER_S);
	tcp_close(rig.server.conn);
	sim_run(rig.sim, rig.sim->now_ns + 10 * NS_PER_S);
	rig_check_complete(&rig, "captured");
	rig.client = (struct end){ .rig = &rig, .to_send = 100000 };
	rig.server = (struct end){ .rig = &rig, .salt = 1, .to_send = 1 };
	rig.client.conn = tcp_connect(rig.a, 0, IP_B, RIG_PORT, &rig_handler, &rig.client);
	sim_run(rig.sim, rig.sim->now_ns + 60 * NS_PER_S);
	rig_check_complete(&rig, "captured too");
	ck_assert_uint_eq(tcp_counters(rig.a).retransmitted + tcp_counters(rig.b).retransmitted, 0);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp");
	TCase *tcase = tcase_create("tcp");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, transfer, 0, SIZE_COUNT);
	tcase_add_loop_test(tcase, bad_link, 0, BAD_LINK_COUNT);
	tcase_add_test(tcase, sequence_numbers_wrap);
	tcase_add_test(tcase, fast_retransmit);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, icmp_error);
	tcase_add_test(tcase, nobody_answers);
	tcase_add_test(tcase, syn_ack_lost);
	tcase_add_test(tcase, half_open_expires);
	tcase_add_test(tcase, peer_vanishes);
	tcase_add_test(tcase, reset_in_the_middle);
	tcase_add_test(tcase, half_close);
	tcase_add_test(tcase, fin_at_a_closed_window);
	tcase_add_test(tcase, fin_wait_2_expires);
	tcase_add_test(tcase, simultaneous_close);
	tcase_add_test(tcase, simultaneous_open);
	tcase_add_test(tcase, restart);
	tcase_add_test(tcase, reopen_after_restart);
	tcase_add_test(tcase, unlisten);
	tcase_add_test(tcase, loopback);
	tcase_add_test(tcase, zero_window);
	tcase_add_test(tcase, zero_window_and_gone);
	tcase_add_test(tcase, send_buffer);
	tcase_add_test(tcase, capture);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * TCP against a peer that is no TCP: segments made by hand, to see the answer to each.
 */
#include "tests/sim/tcp_bench.h"

#define STREAM_MAX 200000

/* ---- order ---- */

START_TEST(out_of_order)
{
	/*
	 * pieces of a stream of 10 bytes, as offset and length, in the order of arrival; and what b acknowledges after
	 * each
	 */
	static const struct {
		uint32_t offset, len, acked;
	} cases[][6] = {
		{ { 0, 4, 4 }, { 4, 6, 10 } },
		{ { 4, 6, 0 }, { 0, 4, 10 } },
		{ { 8, 2, 0 }, { 4, 4, 0 }, { 2, 2, 0 }, { 0, 2, 10 } },
		{ { 2, 8, 0 }, { 4, 2, 0 }, { 0, 3, 10 } },             /* inside another; overlapping on the left */
		{ { 5, 5, 0 }, { 3, 4, 0 }, { 0, 4, 10 } },             /* overlapping each other */
		{ { 0, 6, 6 }, { 0, 6, 6 }, { 2, 6, 8 }, { 0, 10, 10 } }, /* again, and further */
		{ { 9, 1, 0 }, { 7, 1, 0 }, { 5, 1, 0 }, { 3, 1, 0 }, { 0, 10, 10 } },
		{ { 4, 1, 0 }, { 4, 3, 0 }, { 4, 6, 0 }, { 0, 4, 10 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench bench;

		bench_start(&bench);
		shake_hands(&bench, 0);
		for (size_t j = 0; j < 6 && cases[i][j].len; j++) {
			send_at(&bench, TCP_ACK, bench.seq + cases[i][j].offset, bench.ack, cases[i][j].offset,
			        cases[i][j].len);
			ck_assert_msg(bench.rig.server.got == cases[i][j].acked, "case %zu step %zu: %zu", i, j,
			              bench.rig.server.got);
			ck_assert_uint_eq(bench.rig.server.conn->entry.rcv_nxt, bench.seq + cases[i][j].acked);
			if (cases[i][j].acked == 0) /* out of order: an ACK at once (RFC 5681 4.2) */
				ck_assert_uint_eq(bench.answered, 1);
		}
		ck_assert(!bench.rig.server.wrong_byte);
		ck_assert_ptr_null(bench.rig.server.conn->pieces.first);
		bench_stop(&bench);
	}
}
END_TEST

START_TEST(fin_out_of_order)
{
	struct bench bench;

	bench_start(&bench);
	shake_hands(&bench, 0);
	send_at(&bench, TCP_ACK | TCP_FIN, bench.seq + 5, bench.ack, 5, 5);
	ck_assert(!bench.rig.server.peer_closed);
	send_at(&bench, TCP_ACK, bench.seq, bench.ack, 0, 5);
	ck_assert(bench.rig.server.peer_closed);
	ck_assert_uint_eq(bench.rig.server.got, 10);
	ck_assert_uint_eq(bench.answers[bench.answered - 1].ack, bench.seq + 11);
	send_at(&bench, TCP_ACK | TCP_FIN, bench.seq + 5, bench.ack, 5, 5); /* again */
	ck_assert_uint_eq(bench.answers[bench.answered - 1].ack, bench.seq + 11);
	ck_assert_uint_eq(bench.rig.server.got, 10);
	bench_stop(&bench);
}
END_TEST

START_TEST(kept_segments_are_bounded)
{
	struct bench bench;

	bench_start(&bench);
	shake_hands(&bench, 0);
	for (uint32_t i = 0; i < 1000; i++)
		send_at(&bench, TCP_ACK, bench.seq + 2 + 2 * i, bench.ack, 2 + 2 * i, 1);
	ck_assert_uint_eq(bench.rig.server.conn->pieces.count, TCP_OUT_OF_ORDER_MAX);
	for (uint32_t i = 0; i < 1000; i++)
		send_at(&bench, TCP_ACK, bench.seq + 2 + i, bench.ack, 2 + i, 1400);
	ck_assert_uint_le(bench.rig.server.conn->pieces.bytes, TCP_RECEIVE_WINDOW);
	ck_assert_uint_eq(bench.rig.server.got, 0);
	bench_stop(&bench);
}
END_TEST

START_TEST(delayed_ack)
{
	struct bench bench;

	bench_start(&bench);
	shake_hands(&bench, 0);
	send_at(&bench, TCP_ACK, bench.seq, bench.ack, 0, 100);
	ck_assert_uint_eq(bench.answered, 0);
	later(&bench, TCP_DELAYED_ACK_NS);
	ck_assert_uint_eq(bench.answered, 1);
	ck_assert_uint_eq(bench.answers[0].ack, bench.seq + 100);
	send_at(&bench, TCP_ACK, bench.seq + 100, bench.ack, 100, 100);
	send_at(&bench, TCP_ACK, bench.seq + 200, bench.ack, 200, 100); /* the second: at once */
	ck_assert_uint_eq(bench.answered, 1);
	send_at(&bench, TCP_ACK, bench.seq + 300, bench.ack, 300, 100);
	ck_assert_uint_eq(bench.answered, 0);
	ck_assert(tcp_send(bench.rig.server.conn, (const uint8_t *)"x", 1, 0)); /* it goes along */
	ck_assert_uint_eq(bench.answered, 1);
	ck_assert_uint_eq(bench.answers[0].len, 1);
	ck_assert_uint_eq(bench.answers[0].ack, bench.seq + 400);
	later(&bench, TCP_DELAYED_ACK_NS);
	ck_assert_uint_eq(bench.answered, 0);
	bench_stop(&bench);
}
END_TEST

/* ---- blind attacks (RFC 5961) ---- */

enum outcome { NOTHING, ACK_ONLY, ENDED, DELIVERED, ANSWERED_RST };

START_TEST(checks_of_a_segment)
{
	/* offsets from the next sequence number expected, and from the next to be acknowledged */
	static const struct {
		const char *what;
		uint8_t flags;
		int32_t seq, ack;
		uint32_t len;
		enum outcome outcome;
	} cases[] = {
		{ "RST exactly", TCP_RST, 0, 0, 0, ENDED },
		{ "RST in the window", TCP_RST, 1, 0, 0, ACK_ONLY },
		{ "RST at its end", TCP_RST, 65515, 0, 0, ACK_ONLY },
		{ "RST behind it", TCP_RST, 65516, 0, 0, NOTHING },
		{ "RST before it", TCP_RST, -1, 0, 0, NOTHING },
		{ "RST far away", TCP_RST, INT32_MIN, 0, 0, NOTHING },
		{ "SYN exactly", TCP_SYN, 0, 0, 0, ACK_ONLY },
		{ "SYN in the window", TCP_SYN, 1000, 0, 0, ACK_ONLY },
		{ "SYN outside", TCP_SYN, -70000, 0, 0, ACK_ONLY },
		{ "SYN with ACK", TCP_SYN | TCP_ACK, 10, 0, 0, ACK_ONLY },
		{ "the old SYN", TCP_SYN, -1, 0, 0, ACK_ONLY },
		{ "no ACK", 0, 0, 0, 10, NOTHING },
		{ "FIN without ACK", TCP_FIN, 0, 0, 0, NOTHING },
		{ "data", TCP_ACK, 0, 0, 10, DELIVERED },
		{ "data, every flag but SYN and RST", TCP_ACK | TCP_PSH | 0xe0, 0, 0, 10, DELIVERED },
		{ "ACK of what was not sent", TCP_ACK, 0, 1, 10, ACK_ONLY },
		{ "ACK far above", TCP_ACK, 0, INT32_MAX, 10, ACK_ONLY },
		{ "ACK a window below", TCP_ACK, 0, -65535, 10, DELIVERED },
		{ "ACK further below", TCP_ACK, 0, -65536, 10, ACK_ONLY },
		{ "data before the window", TCP_ACK, -10, 0, 10, ACK_ONLY },
		{ "data behind the window", TCP_ACK, 65515, 0, 10, ACK_ONLY },
		{ "data far away", TCP_ACK, INT32_MIN, 0, 10, ACK_ONLY },
		{ "data that begins before", TCP_ACK, -5, 0, 15, DELIVERED },
		{ "keep-alive", TCP_ACK, -1, 0, 0, ACK_ONLY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench bench;
		size_t got;

		bench_start(&bench);
		shake_hands(&bench, 0);
		/* 20 bytes first, so that there are some before; the window's edge stays where it was */
		send_at(&bench, TCP_ACK, bench.seq, bench.ack, 0, 20);
		later(&bench, NS_PER_S);
		bench.seq += 20;
		got = bench.rig.server.got;
		send_at(&bench, cases[i].flags, bench.seq + (uint32_t)cases[i].seq, bench.ack + (uint32_t)cases[i].ack,
		        (size_t)(20 + (cases[i].seq == -5 ? -5 : 0)), cases[i].len);
		ck_assert_msg(bench.rig.server.closed == (cases[i].outcome == ENDED), "%s", cases[i].what);
		ck_assert_msg((bench.rig.server.got > got) == (cases[i].outcome == DELIVERED), "%s", cases[i].what);
		ck_assert_msg(!bench.rig.server.wrong_byte, "%s", cases[i].what);
		ck_assert_msg(bench.answered == (cases[i].outcome == ACK_ONLY), "%s: %u answers", cases[i].what,
		              bench.answered);
		if (bench.answered) {
			ck_assert_msg(bench.answers[0].flags == TCP_ACK, "%s", cases[i].what);
			ck_assert_msg(bench.answers[0].ack == bench.seq && bench.answers[0].seq == bench.ack, "%s",
			              cases[i].what);
		}
		bench_stop(&bench);
	}
}
END_TEST

/* Two ends that disagree do not answer each other for ever. */
START_TEST(no_ack_storm)
{
	struct bench bench;
	unsigned answers = 0;

	bench_start(&bench);
	shake_hands(&bench, 0);
	for (unsigned i = 0; i < 1000; i++) { /* within 10 ms */
		send_at(&bench, TCP_ACK, bench.seq - 70000, bench.ack, 0, 0);
		answers += bench.answered;
	}
	ck_assert_uint_eq(answers, 1);
	bench_stop(&bench);
}
END_TEST

START_TEST(answers_of_nobody)
{
	static const struct {
		uint8_t flags;
		uint32_t len;
		bool answered;
	} cases[] = { { TCP_SYN, 0, true }, { TCP_ACK, 5, true }, { TCP_FIN, 7, true }, { 0, 3, true },
		      { TCP_RST, 0, false }, { TCP_RST | TCP_ACK, 0, false }, { TCP_SYN | TCP_ACK, 0, true } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench bench;
		uint32_t size = cases[i].len + (cases[i].flags & TCP_SYN ? 1 : 0) + (cases[i].flags & TCP_FIN ? 1 : 0);

		bench_start(&bench);
		tcp_unlisten(&bench.rig.listener);
		send_at(&bench, cases[i].flags, 1000, 2000, 0, cases[i].len);
		ck_assert_uint_eq(bench.answered, cases[i].answered);
		if (bench.answered && cases[i].flags & TCP_ACK) { /* RFC 793 3.4 */
			ck_assert_uint_eq(bench.answers[0].flags, TCP_RST);
			ck_assert_uint_eq(bench.answers[0].seq, 2000);
		} else if (bench.answered) {
			ck_assert_uint_eq(bench.answers[0].flags, TCP_RST | TCP_ACK);
			ck_assert_uint_eq(bench.answers[0].seq, 0);
			ck_assert_uint_eq(bench.answers[0].ack, 1000 + size);
		}
		bench_stop(&bench);
	}
}
END_TEST

/* ---- handshake ---- */

START_TEST(syn_again)
{
	struct bench bench;
	uint32_t isn;

	bench_start(&bench);
	send_at(&bench, TCP_SYN, PEER_ISN, 0, 0, 0);
	isn = bench.answers[0].seq;
	send_at(&bench, TCP_SYN, PEER_ISN, 0, 0, 0);
	ck_assert_uint_eq(bench.answered, 1);
	ck_assert_uint_eq(bench.answers[0].flags, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(bench.answers[0].seq, isn);
	send_at(&bench, TCP_ACK, PEER_ISN + 1, isn, 0, 0); /* not the ACK of our SYN */
	ck_assert_uint_eq(bench.answers[0].flags, TCP_RST);
	ck_assert_uint_eq(bench.answers[0].seq, isn);
	ck_assert(!bench.rig.server.connected);
	send_at(&bench, TCP_ACK | TCP_PSH, PEER_ISN + 1, isn + 1, 0, 40); /* with data */
	ck_assert(bench.rig.server.connected);
	ck_assert_uint_eq(bench.rig.server.got, 40);
	ck_assert_uint_eq(bench.rig.listener.pending, 0);
	bench_stop(&bench);
}
END_TEST

START_TEST(syn_flood)
{
	struct bench bench;
	struct packet *packet;

	bench_start(&bench);
	for (unsigned i = 0; i < TCP_BACKLOG_MAX + 100; i++) {
		packet = segment(&bench, TCP_SYN, i * 77777, 0, 0, 0);
		put_be16(packet->data, (uint16_t)(1000 + i));
		checksum(packet, IP_A, IP_B);
		send_packet(&bench, packet);
		ck_assert_uint_eq(bench.answered, i < TCP_BACKLOG_MAX);
	}
	ck_assert_uint_eq(bench.rig.listener.pending, TCP_BACKLOG_MAX);
	ck_assert_uint_eq(bench.refusals, 100);
	ck_assert_str_eq(bench.refused, "tcp.backlog");
	packet = segment(&bench, TCP_RST, 77778, 0, 0, 0); /* one of them gives up */
	put_be16(packet->data, 1001);
	checksum(packet, IP_A, IP_B);
	send_packet(&bench, packet);
	ck_assert_uint_eq(bench.rig.listener.pending, TCP_BACKLOG_MAX - 1);
	sim_run(bench.rig.sim, 200 * NS_PER_S);
	ck_assert_uint_eq(bench.rig.listener.pending, 0);
	ck_assert_uint_eq(rig_conns(bench.rig.b), 0);
	bench_stop(&bench);
}
END_TEST

START_TEST(malformed)
{
	static const struct {
		const char *what;
		uint32_t len;         /* of the segment; the header is 60 bytes long when there is an option */
		uint8_t offset;       /* in words */
		uint8_t option[8];
		uint8_t flags;
		bool bad_checksum;
		const char *refused;  /* NULL: taken */
	} cases[] = {
		{ "whole", 20, 5, { 0 }, TCP_SYN, false, NULL },
		{ "empty", 0, 5, { 0 }, TCP_SYN, false, "tcp.malformed" },
		{ "short", 19, 5, { 0 }, TCP_SYN, false, "tcp.malformed" },
		{ "offset 0", 20, 0, { 0 }, TCP_SYN, false, "tcp.malformed" },
		{ "offset 4", 20, 4, { 0 }, TCP_SYN, false, "tcp.malformed" },
		{ "offset beyond", 20, 6, { 0 }, TCP_SYN, false, "tcp.malformed" },
		{ "checksum", 20, 5, { 0 }, TCP_SYN, true, "tcp.checksum" },
		{ "options ended", 60, 15, { 0, 7, 7 }, TCP_SYN, false, NULL },
		{ "NOPs", 60, 15, { 1, 1, 1, 0 }, TCP_SYN, false, NULL },
		{ "MSS", 60, 15, { 2, 4, 5, 0xb4 }, TCP_SYN, false, NULL },
		{ "unknown", 60, 15, { 200, 5, 0, 0, 0 }, TCP_SYN, false, NULL },
		{ "unknown that loops", 60, 15, { 200, 0 }, TCP_SYN, false, "tcp.malformed" },
		{ "unknown of one byte", 60, 15, { 200, 1 }, TCP_SYN, false, "tcp.malformed" },
		{ "unknown too long", 60, 15, { 200, 41 }, TCP_SYN, false, "tcp.malformed" },
		{ "MSS of three bytes", 60, 15, { 2, 3, 5 }, TCP_SYN, false, "tcp.malformed" },
		{ "option cut", 24, 6, { 1, 1, 1, 8 }, TCP_SYN, false, "tcp.malformed" },
		{ "SYN and FIN", 20, 5, { 0 }, TCP_SYN | TCP_FIN, false, "tcp.malformed" },
		{ "SYN and RST", 20, 5, { 0 }, TCP_SYN | TCP_RST, false, "tcp.malformed" },
		{ "all flags", 20, 5, { 0 }, 0xff, false, "tcp.malformed" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench bench;
		struct packet *packet;

		bench_start(&bench);
		packet = segment(&bench, cases[i].flags, PEER_ISN, 0, 0, 40);
		memset(packet->data + 20, 0, 40);
		memcpy(packet->data + 20, cases[i].option, sizeof(cases[i].option));
		packet->data[12] = (uint8_t)(cases[i].offset << 4);
		packet_trim(packet, 60 - cases[i].len);
		checksum(packet, IP_A, IP_B);
		if (cases[i].bad_checksum)
			packet->data[16] ^= 1;
		send_packet(&bench, packet);
		ck_assert_msg(bench.refusals == (cases[i].refused != NULL), "%s", cases[i].what);
		if (cases[i].refused)
			ck_assert_msg(strcmp(bench.refused, cases[i].refused) == 0, "%s: %s", cases[i].what,
			              bench.refused);
		ck_assert_msg(bench.answered == (cases[i].refused == NULL), "%s", cases[i].what);
		bench_stop(&bench);
	}
}
END_TEST

/* ---- sending ---- */

static void server_sends(struct bench *bench, size_t len)
{
	static uint8_t bytes[STREAM_MAX];

	for (size_t i = 0; i < len; i++)
		bytes[i] = rig_byte(1, i);
	bench->answered = 0;
	ck_assert(tcp_send(bench->rig.server.conn, bytes, len, 0));
}

START_TEST(segment_size)
{
	static const struct {
		uint16_t option, used;
	} cases[] = { { 0, 536 }, { 1460, 1460 }, { 1459, 1459 }, { 9000, 1460 }, { 65535, 1460 }, { 500, 500 },
		      { 1, TCP_MSS_MIN } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench bench;

		bench_start(&bench);
		shake_hands(&bench, cases[i].option);
		server_sends(&bench, 6000);
		ck_assert_uint_ge(bench.answered, 2);
		for (unsigned j = 0; j < bench.answered; j++)
			ck_assert_uint_eq(bench.answers[j].len, cases[i].used);
		bench_stop(&bench);
	}
}
END_TEST

START_TEST(initial_and_slow_start)
{
	struct bench bench;

	bench_start(&bench);
	shake_hands(&bench, 1460);
	server_sends(&bench, 100000);
	ck_assert_uint_eq(bench.answered, 3); /* RFC 5681 3.1 */
	send_at(&bench, TCP_ACK, bench.seq, bench.ack + 1460, 0, 0);
	ck_assert_uint_eq(bench.answered, 2);
	send_at(&bench, TCP_ACK, bench.seq, bench.ack + 2 * 1460, 0, 0);
	ck_assert_uint_eq(bench.answered, 2);
	bench_stop(&bench);
}
END_TEST

START_TEST(peer_window)
{
	struct bench bench;
	uint32_t sent = 0;

	bench_start(&bench);
	bench.window = 1000;
	shake_hands(&bench, 536);
	server_sends(&bench, 5000);
	for (unsigned i = 0; i < bench.answered; i++)
		sent += bench.answers[i].len;
	ck_assert_uint_le(sent, 1000);
	ck_assert_uint_ge(sent, 536);
	bench.window = 0; /* shrinks to nothing */
	send_at(&bench, TCP_ACK, bench.seq, bench.ack + sent, 0, 0);
	ck_assert_uint_eq(bench.answered, 0);
	later(&bench, TCP_RTO_MIN_NS);
	ck_assert_uint_eq(bench.answered, 1); /* the probe */
	ck_assert_uint_eq(bench.answers[0].len, 1);
	ck_assert_uint_eq(bench.answers[0].seq, bench.ack + sent);
	ck_assert_uint_eq(bench.answers[0].first, rig_byte(1, sent));
	bench.window = 3000;
	send_at(&bench, TCP_ACK, bench.seq, bench.ack + sent + 1, 0, 0); /* the byte found room */
	ck_assert_uint_ge(bench.answered, 1);
	ck_assert_uint_eq(bench.answers[0].seq, bench.ack + sent + 1);
	ck_assert_uint_eq(bench.answers[0].first, rig_byte(1, sent + 1));
	bench_stop(&bench);
}
END_TEST

START_TEST(duplicate_acks)
{
	struct bench bench;

	bench_start(&bench);
	shake_hands(&bench, 1000);
	server_sends(&bench, 100000);
	for (uint32_t i = 1; i <= 8; i++)
		send_at(&bench, TCP_ACK, bench.seq, bench.ack + 1000 * i, 0, 0);
	bench.ack += 8000;
	for (unsigned i = 0; i < 2; i++) {
		send_at(&bench, TCP_ACK, bench.seq, bench.ack, 0, 0);
		ck_assert_uint_eq(bench.answered, 0);
	}
	bench.window--; /* another window: no duplicate */
	send_at(&bench, TCP_ACK, bench.seq, bench.ack, 0, 0);
	ck_assert_uint_eq(bench.answered, 0);
	send_at(&bench, TCP_ACK, bench.seq, bench.ack, 0, 0);
	ck_assert_uint_eq(bench.answered, 1);
	ck_assert_uint_eq(bench.answers[0].seq, bench.ack); /* what is missing */
	ck_assert_uint_eq(bench.answers[0].len, 1000);
	send_at(&bench, TCP_ACK, bench.seq, bench.ack + 3000, 0, 0); /* part: the next hole at once (RFC 6582) */
	ck_assert_uint_ge(bench.answered, 1);
	ck_assert_uint_eq(bench.answers[0].seq, bench.ack + 3000);
	bench_stop(&bench);
}
END_TEST

START_TEST(retransmission_times)
{
	struct bench bench;
	sim_ns start_ns, wait_ns = TCP_RTO_MIN_NS, due_ns;

	bench_start(&bench);
	shake_hands(&bench, 1000);
	start_ns = due_ns = bench.rig.sim->now_ns;
	server_sends(&bench, 500);
	bench.answered = 0;
	sim_run(bench.rig.sim, start_ns + 3600 * NS_PER_S);
	ck_assert_uint_eq(bench.answered, TCP_RETRIES + 1);
	for (unsigned i = 0; i < TCP_RETRIES; i++) {
		due_ns += wait_ns;
		ck_assert_int_eq(bench.answers[i].at_ns, due_ns);
		ck_assert_uint_eq(bench.answers[i].len, 500);
		ck_assert_uint_eq(bench.answers[i].flags, TCP_ACK | TCP_PSH);
		wait_ns = 2 * wait_ns < TCP_RTO_MAX_NS ? 2 * wait_ns : TCP_RTO_MAX_NS;
	}
	ck_assert_uint_eq(bench.answers[TCP_RETRIES].flags, TCP_RST | TCP_ACK);
	ck_assert_int_eq(bench.rig.server.how, TCP_END_TIMEOUT);
	ck_assert_int_eq(bench.rig.server.closed_at_ns, due_ns + wait_ns);
	bench_stop(&bench);
}
END_TEST

/* ---- TIME-WAIT ---- */

START_TEST(time_wait)
{
	struct bench bench;
	const struct tcp_stack *stack;
	uint32_t fin_ack;

	bench_start(&bench);
	shake_hands(&bench, 0);
	stack = bench.rig.b->ip->tcp;
	tcp_close(bench.rig.server.conn);
	fin_ack = bench.ack + 1;
	send_at(&bench, TCP_ACK, bench.seq, fin_ack, 0, 0);
	ck_assert_int_eq(bench.rig.server.conn->entry.state, TCP_FIN_WAIT_2);
	send_at(&bench, TCP_FIN | TCP_ACK, bench.seq, fin_ack, 0, 0);
	ck_assert_uint_eq(bench.answered, 1);
	ck_assert_uint_eq(bench.answers[0].ack, bench.seq + 1);
	ck_assert(bench.rig.server.closed && bench.rig.server.how == TCP_END_CLOSED);
	ck_assert_uint_eq(tcp_waits_count(stack), 1);
	later(&bench, 20 * NS_PER_S);
	send_at(&bench, TCP_FIN | TCP_ACK, bench.seq, fin_ack, 0, 0); /* our ACK was lost: it waits anew */
	ck_assert_uint_eq(bench.answers[0].ack, bench.seq + 1);
	send_at(&bench, TCP_RST, bench.seq + 1, 0, 0, 0); /* RFC 1337 */
	ck_assert_uint_eq(bench.answered, 0);
	later(&bench, 29 * NS_PER_S);
	ck_assert_uint_eq(tcp_waits_count(stack), 1);
	send_at(&bench, TCP_SYN, bench.seq, 0, 0, 0); /* an old SYN */
	ck_assert_uint_eq(bench.answers[0].flags, TCP_ACK);
	send_at(&bench, TCP_SYN, bench.seq + 100, 0, 0, 0); /* a new connection */
	ck_assert_uint_eq(bench.answers[0].flags, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(tcp_waits_count(stack), 0);
	bench_stop(&bench);
}
END_TEST

START_TEST(time_wait_expires)
{
	struct bench bench;
	const struct tcp_stack *stack;

	bench_start(&bench);
	shake_hands(&bench, 0);
	stack = bench.rig.b->ip->tcp;
	tcp_close(bench.rig.server.conn);
	send_at(&bench, TCP_FIN | TCP_ACK, bench.seq, bench.ack + 1, 0, 0);
	later(&bench, TCP_TIME_WAIT_NS - 20000);
	ck_assert_uint_eq(tcp_waits_count(stack), 1);
	later(&bench, 20000);
	ck_assert_uint_eq(tcp_waits_count(stack), 0);
	ck_assert_ptr_null(stack->tables); /* and nothing is left in the table */
	bench_stop(&bench);
}
END_TEST

/* An ACK that may be for either of two sendings is no measurement (Karn, RFC 6298 3). */
START_TEST(no_time_of_what_was_sent_twice)
{
	struct bench bench;
	sim_ns srtt_ns;

	bench_start(&bench);
	shake_hands(&bench, 1000);
	srtt_ns = bench.rig.server.conn->srtt_ns;
	server_sends(&bench, 4000);
	for (unsigned i = 0; i < 3; i++)
		send_at(&bench, TCP_ACK, bench.seq, bench.ack, 0, 0); /* the first is sent again */
	ck_assert_uint_eq(bench.answers[0].seq, bench.ack);
	later(&bench, 100 * NS_PER_MS);
	send_at(&bench, TCP_ACK, bench.seq, bench.ack + 4000, 0, 0);
	ck_assert_int_eq(bench.rig.server.conn->srtt_ns, srtt_ns);
	bench_stop(&bench);
}
END_TEST

/* A SYN that bears our own address and port, as if we had opened to ourselves: it costs some segments, and expires. */
START_TEST(syn_from_ourselves)
{
	struct ip_info info = { .src = IP_B, .dst = IP_B, .proto = IP_PROTO_TCP };
	struct tcp_counters counters;
	struct packet *packet;
	struct bench bench;

	bench_start(&bench);
	packet = segment(&bench, TCP_SYN, 77777, 0, 0, 0);
	put_be16(packet->data, RIG_PORT);
	checksum(packet, IP_B, IP_B);
	ip_send(bench.rig.a, &info, packet);
	sim_run(bench.rig.sim, bench.rig.sim->now_ns + NS_PER_MS);
	ck_assert_uint_eq(bench.rig.listener.pending, 1);
	sim_run(bench.rig.sim, bench.rig.sim->now_ns + 300 * NS_PER_S);
	counters = tcp_counters(bench.rig.b);
	ck_assert_uint_eq(rig_conns(bench.rig.b), 0);
	ck_assert_uint_eq(bench.rig.listener.pending, 0);
	ck_assert_uint_lt(counters.sent, 30);
	ck_assert_uint_eq(counters.accepted, 0);
	bench_stop(&bench);
}
END_TEST

/* What is consumed only after the peer's FIN still belongs to the message that it came with. */
static uint64_t late_tags[8];
static unsigned late_tag_count;

static size_t eat_late(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	(void)ctx;
	(void)bytes;
	(void)len;
	if (conn->entry.state != TCP_CLOSE_WAIT)
		return 0;
	late_tags[late_tag_count++ % 8] = tag;
	return 1;
}

static void stay_open(struct tcp_conn *conn, void *ctx)
{
	(void)conn;
	(void)ctx;
}

START_TEST(tags_behind_a_fin)
{
	static const struct tcp_handler late = { .received = eat_late, .peer_closed = stay_open };
	struct bench bench;
	struct tcp_conn *conn;

	late_tag_count = 0;
	bench_start(&bench);
	shake_hands(&bench, 0);
	conn = bench.rig.server.conn;
	conn->handler = &late;
	for (uint32_t i = 0; i < 3; i++) { /* three messages of one byte, and the FIN */
		struct packet *packet = segment(&bench, TCP_ACK | TCP_PSH, bench.seq + i, bench.ack, i, 1);

		if (i == 2)
			packet->data[13] |= TCP_FIN;
		packet->tag = 11 + i;
		checksum(packet, IP_A, IP_B);
		send_packet(&bench, packet);
	}
	ck_assert_uint_eq(late_tag_count, 0);
	ck_assert_uint_eq(conn->received.len, 3);
	tcp_resume(conn);
	ck_assert_uint_eq(late_tag_count, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(late_tags[i], 11 + i);
	tcp_abort(conn);
	bench_stop(&bench);
}
END_TEST

/* Marks of what comes now and then only: the last one does not get out of date by half the sequence space. */
START_TEST(marks_keep_up)
{
	struct tcp_marks marks = { 0 };
	uint32_t seq = 7;

	marks_add(&marks, seq, 1);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned k = 0; k < 5; k++) {
			seq += UINT32_C(1) << 29;
			marks_renew(&marks, seq);
			ck_assert_ptr_nonnull(marks_at(&marks, seq));
			ck_assert_uint_eq(marks_at(&marks, seq)->tag, i + 1);
		}
		marks_add(&marks, seq + 1, i + 2);
		ck_assert_uint_eq(marks_at(&marks, seq)->tag, i + 1);
		seq++;
	}
	marks_free(&marks);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp segments");
	TCase *tcase = tcase_create("segments");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, out_of_order);
	tcase_add_test(tcase, fin_out_of_order);
	tcase_add_test(tcase, kept_segments_are_bounded);
	tcase_add_test(tcase, delayed_ack);
	tcase_add_test(tcase, checks_of_a_segment);
	tcase_add_test(tcase, no_ack_storm);
	tcase_add_test(tcase, answers_of_nobody);
	tcase_add_test(tcase, syn_again);
	tcase_add_test(tcase, syn_flood);
	tcase_add_test(tcase, malformed);
	tcase_add_test(tcase, segment_size);
	tcase_add_test(tcase, initial_and_slow_start);
	tcase_add_test(tcase, peer_window);
	tcase_add_test(tcase, duplicate_acks);
	tcase_add_test(tcase, retransmission_times);
	tcase_add_test(tcase, time_wait);
	tcase_add_test(tcase, time_wait_expires);
	tcase_add_test(tcase, no_time_of_what_was_sent_twice);
	tcase_add_test(tcase, syn_from_ourselves);
	tcase_add_test(tcase, tags_behind_a_fin);
	tcase_add_test(tcase, marks_keep_up);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * TCP and its owners: callbacks that do the worst they may, runs that end in the middle, runs that repeat exactly, and
 * messages whose tags observers follow.
 */
#include "tests/sim/tcp_rig.h"

/* ---- callbacks that do the worst ---- */

enum where { IN_ACCEPT, IN_CONNECTED, IN_RECEIVED, IN_PEER_CLOSED, IN_CLOSED, WHERE_COUNT };
enum what { DO_ABORT, DO_RESET_NODE, DO_CLOSE_THEN_ABORT, DO_SEND_THEN_ABORT, DO_UNLISTEN, WHAT_COUNT };

struct rogue {
	struct rig *rig;
	enum where where;
	enum what what;
	bool dead;
	unsigned calls_after;
};

static void rogue_act(struct rogue *rogue, struct tcp_conn *conn, enum where here)
{
	static const uint8_t bytes[4000];

	rogue->calls_after += rogue->dead;
	if (rogue->where != here)
		return;
	switch (rogue->what) {
	case DO_RESET_NODE:
		tcp_reset(tcp_node(conn));
		break;
	case DO_UNLISTEN:
		tcp_unlisten(&rogue->rig->listener);
		return;
	case DO_CLOSE_THEN_ABORT:
		tcp_close(conn);
		tcp_abort(conn);
		break;
	case DO_SEND_THEN_ABORT:
		tcp_send(conn, bytes, sizeof(bytes), 0);
		tcp_resume(conn);
		tcp_abort(conn);
		break;
	default:
		tcp_abort(conn);
		tcp_abort(conn);
		break;
	}
	rogue->dead = true;
}

static void rogue_connected(struct tcp_conn *conn, void *ctx)
{
	rogue_act(ctx, conn, IN_CONNECTED);
}

static size_t rogue_received(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	static uint8_t sink;

	(void)tag;
	rogue_act(ctx, conn, IN_RECEIVED);
	sink ^= bytes[len - 1]; /* still ours to read */
	return len;
}

static void rogue_peer_closed(struct tcp_conn *conn, void *ctx)
{
	struct rogue *rogue = ctx;

	rogue_act(rogue, conn, IN_PEER_CLOSED);
	if (!rogue->dead)
		tcp_close(conn);
}

static void rogue_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	(void)how;
	rogue_act(ctx, conn, IN_CLOSED);
}

static const struct tcp_handler rogue_handler = {
	.connected = rogue_connected,
	.received = rogue_received,
	.peer_closed = rogue_peer_closed,
	.closed = rogue_closed,
};

static bool rogue_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler,
                         void **ctx)
{
	*handler = &rogue_handler;
	*ctx = listener->ctx;
	rogue_act(listener->ctx, conn, IN_ACCEPT);
	return true;
}

START_TEST(rogue_callbacks)
{
	struct rogue rogue = { .where = (enum where)(_i / WHAT_COUNT), .what = (enum what)(_i % WHAT_COUNT) };
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rogue.rig = &rig;
	rig.client.to_send = 100000;
	rig.listener.accept = rogue_accept;
	rig.listener.ctx = &rogue;
	rig_open(&rig);
	sim_run(rig.sim, 1000 * NS_PER_S);
	ck_assert_msg(rogue.calls_after == 0, "called after its end: where %d, what %d", rogue.where, rogue.what);
	ck_assert(rogue.dead || rogue.what == DO_UNLISTEN);
	ck_assert_uint_eq(rig_conns(rig.b), 0);
	ck_assert(rig.client.closed);
	rig_stop(&rig);
}
END_TEST

/* The same at the end that opened. */
START_TEST(rogue_client)
{
	struct rogue rogue = { .where = (enum where)(_i / WHAT_COUNT), .what = (enum what)(_i % WHAT_COUNT) };
	struct rig rig;

	rig_start(&rig, 1, &rig_clean);
	rogue.rig = &rig;
	rig.server.to_send = 100000;
	ck_assert(tcp_listen(rig.b, &rig.listener));
	tcp_connect(rig.a, 0, IP_B, RIG_PORT, &rogue_handler, &rogue);
	sim_run(rig.sim, 2000 * NS_PER_S);
	ck_assert_uint_eq(rogue.calls_after, 0);
	ck_assert_uint_eq(rig_conns(rig.a), 0);
	ck_assert(rig.server.closed || !rig.server.connected);
	rig_stop(&rig);
}
END_TEST

/* A simulation may end at any moment, whatever is under way. */
START_TEST(freed_in_the_middle)
{
	for (sim_ns at_ns = 0; at_ns < 400 * NS_PER_MS; at_ns += 3 * NS_PER_MS) {
		struct rig rig;

		rig_start(&rig, 3, &bad_links[5]);
		rig.client.to_send = 100000;
		rig.server.to_send = 100000;
		rig_open(&rig);
		sim_run(rig.sim, at_ns);
		rig_stop(&rig);
	}
}
END_TEST

/* ---- determinism, tags ---- */

START_TEST(deterministic)
{
	uint64_t events[2], digests[2];
	sim_ns ends[2];

	for (int i = 0; i < BAD_LINK_COUNT; i++) {
		for (int run = 0; run < 2; run++) {
			struct rig rig;

			rig_start(&rig, 7, &bad_links[i]);
			rig.client.to_send = 30000;
			rig.server.to_send = 30000;
			rig_open(&rig);
			sim_run(rig.sim, 10000 * NS_PER_S);
			events[run] = rig.sim->events_fired;
			digests[run] = rig.digest;
			ends[run] = rig.client.closed_at_ns;
			rig_stop(&rig);
		}
		ck_assert_uint_eq(events[0], events[1]);
		ck_assert_uint_eq(digests[0], digests[1]);
		ck_assert_int_eq(ends[0], ends[1]);
	}
}
END_TEST

/* Messages of many lengths: a 32-bit length, then that many bytes. Each third is sent without a tag. */
struct tagged {
	struct sim *sim;
	unsigned sent, received;
	size_t offered_max;
	bool wrong;
};

static uint32_t message_len(unsigned number)
{
	return number * number * 37 % 4001;
}

static uint64_t message_tag(unsigned number)
{
	return number % 3 == 2 ? 0 : 1000 + number;
}

static size_t tagged_received(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct tagged *tagged = ctx;

	(void)conn;
	if (len < 4 || len - 4 < get_be32(bytes))
		return 0;
	tagged->wrong |= get_be32(bytes) != message_len(tagged->received) || tag != message_tag(tagged->received) ||
			 tagged->sim->cause != tag;
	tagged->received++;
	return 4 + get_be32(bytes);
}

static const struct tcp_handler tagged_handler = { .received = tagged_received };

static bool tagged_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler,
                         void **ctx)
{
	(void)conn;
	*handler = &tagged_handler;
	*ctx = listener->ctx;
	return true;
}

START_TEST(tags)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		static uint8_t bytes[5000];
		struct tagged tagged = { 0 };
		struct rig rig;

		rig_start(&rig, seed, &bad_links[_i]);
		tagged.sim = rig.sim;
		rig.client.keep_open = true;
		rig.listener.accept = tagged_accept;
		rig.listener.ctx = &tagged;
		rig_open(&rig);
		for (; tagged.sent < 200; tagged.sent++) {
			put_be32(bytes, message_len(tagged.sent));
			ck_assert(tcp_send(rig.client.conn, bytes, 4 + message_len(tagged.sent),
			                   message_tag(tagged.sent)));
		}
		tcp_close(rig.client.conn);
		sim_run(rig.sim, 24 * 3600 * NS_PER_S);
		ck_assert_msg(!tagged.wrong, "link %d, seed %d", _i, (int)seed);
		ck_assert_uint_eq(tagged.received, 200);
		rig_stop(&rig);
	}
}
END_TEST

/* What is sent does not depend on whether anybody observes: tags change no segment. */
START_TEST(tags_change_nothing)
{
	uint64_t digests[2];

	for (int run = 0; run < 2; run++) {
		static const uint8_t bytes[3000];
		struct rig rig;

		rig_start(&rig, 7, &bad_links[5]);
		rig.client.keep_open = true;
		rig_open(&rig);
		for (unsigned i = 0; i < 50; i++)
			ck_assert(tcp_send(rig.client.conn, bytes, i * 59, run ? 100 + i : 0));
		sim_run(rig.sim, 100 * NS_PER_S);
		digests[run] = rig.digest;
		rig_stop(&rig);
	}
	ck_assert_uint_eq(digests[0], digests[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp owners");
	TCase *tcase = tcase_create("tcp owners");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, rogue_callbacks, 0, WHERE_COUNT * WHAT_COUNT);
	tcase_add_loop_test(tcase, rogue_client, WHAT_COUNT, WHERE_COUNT * WHAT_COUNT);
	tcase_add_test(tcase, freed_in_the_middle);
	tcase_add_test(tcase, deterministic);
	tcase_add_loop_test(tcase, tags, 0, BAD_LINK_COUNT);
	tcase_add_test(tcase, tags_change_nothing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

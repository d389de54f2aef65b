/*
 * The signaling link and the circuits between signaling gateway and PSTN: two trunk groups against each other, and one
 * against a peer made here of TALI and ISUP that says what it likes. What is expected follows from RFC 3094 and ITU-T
 * Q.764.
 */
#include "models/trunk_bearer.h"
#include "models/trunk_group.h"
#include "models/wire/tali.h"
#include "sim/tcp.h"
#include "tests/sim/net_fixture.h"

#define SEED 31
#define CIRCUITS 4
#define CALLS_MAX 64
#define CHECKS_MAX 32
#define CODE_A 4096
#define CODE_B 4097
#define STORM_STEPS 400

struct side;

struct talk { /* a call as one end's owner sees it */
	struct side *side;
	unsigned circuit, cause;
	unsigned alerted, answered, released, moved;
	char called[32], calling[32];
};

struct side {
	struct bench *bench;
	struct node *node;
	struct trunk_group *group;
	struct talk calls[CALLS_MAX];
	unsigned count;
	bool alerts, answers;      /* what it does at once with calls that come */
};

struct refused_by {
	char check[40];
	unsigned count;
};

struct bench {
	struct line line;
	struct sim *sim;
	struct side a, b;          /* a listens, b connects */
	struct refused_by refused[CHECKS_MAX];
	unsigned illegal_steps;
};

static void saw_refusal(void *ctx, const struct node *at, const char *check, uint32_t src, uint64_t tag,
                        const char *detail)
{
	struct bench *bench = ctx;
	unsigned i = 0;

	(void)at, (void)src, (void)tag, (void)detail;
	while (bench->refused[i].count && strcmp(bench->refused[i].check, check) != 0)
		i++;
	ck_assert_uint_lt(i, CHECKS_MAX - 1);
	snprintf(bench->refused[i].check, sizeof bench->refused[i].check, "%s", check);
	bench->refused[i].count++;
}

static void saw_step(void *ctx, const struct node *node, const struct machine *machine, unsigned before, unsigned event,
                     unsigned after, bool refused)
{
	(void)node, (void)machine, (void)before, (void)event, (void)after;
	((struct bench *)ctx)->illegal_steps += refused;
}

static unsigned refused(const struct bench *bench, const char *check)
{
	for (unsigned i = 0; bench->refused[i].count; i++)
		if (strcmp(bench->refused[i].check, check) == 0)
			return bench->refused[i].count;
	return 0;
}

static void nothing_refused(const struct bench *bench)
{
	ck_assert_msg(!bench->refused[0].count, "%s", bench->refused[0].check);
}

static void run_for(struct bench *bench, sim_ns time_ns)
{
	sim_run(bench->sim, bench->sim->now_ns + time_ns);
}

/* Owners */

static struct talk *talk_new(struct side *side)
{
	ck_assert_uint_lt(side->count, CALLS_MAX);
	side->calls[side->count] = (struct talk){ .side = side };
	return &side->calls[side->count++];
}

static void on_seized(void *ctx, unsigned circuit, const struct isup *iam)
{
	struct side *side = ctx;
	struct talk *talk = talk_new(side);

	talk->circuit = circuit;
	snprintf(talk->called, sizeof talk->called, "%s", iam->called.digits);
	snprintf(talk->calling, sizeof talk->calling, "%s", iam->calling.present ? iam->calling.digits : "");
	trunk_group_set_call(side->group, circuit, talk);
	if (side->alerts)
		trunk_group_alert(side->group, circuit);
	if (side->answers)
		trunk_group_answer(side->group, circuit);
}

static void on_alerting(void *ctx, void *call)
{
	(void)ctx;
	((struct talk *)call)->alerted++;
}

static void on_answered(void *ctx, void *call)
{
	(void)ctx;
	((struct talk *)call)->answered++;
}

static void on_moved(void *ctx, void *call, unsigned circuit)
{
	struct talk *talk = call;

	(void)ctx;
	talk->circuit = circuit;
	talk->moved++;
}

static void on_released(void *ctx, void *call, unsigned cause)
{
	struct talk *talk = call;

	(void)ctx;
	talk->circuit = 0;
	talk->released++;
	talk->cause = cause;
}

static void side_make(struct bench *bench, struct side *side, unsigned end, unsigned circuits)
{
	struct trunk_group_config config = { .node = bench->line.node[end], .connects = end == 1,
	                                     .local_ip = line_ip(1, end + 1),
		                             .peer_ip = line_ip(1, 2 - end), .local_code = end ? CODE_B : CODE_A,
		                             .peer_code = end ? CODE_A : CODE_B, .circuits = circuits,
		                             .seized = on_seized,
		                             .alerting = on_alerting, .answered = on_answered, .moved = on_moved,
		                             .released = on_released,
		                             .ctx = side };

	*side = (struct side){ .bench = bench, .node = bench->line.node[end] };
	side->group = trunk_group_new(&config);
	trunk_group_start(side->group);
}

static void bench_begin(struct bench *bench)
{
	static const struct link_params link = { .delay_ns = NS_PER_MS };
	static const struct trace_ops ops = { .refusal = saw_refusal, .step = saw_step };

	memset(bench, 0, sizeof *bench);
	line_make(&bench->line, 2, &link, SEED);
	bench->sim = bench->line.sim;
	trace_attach(bench->sim, &ops, bench, TRACE_REFUSAL | TRACE_STEP);
}

static void bench_make(struct bench *bench, unsigned circuits)
{
	bench_begin(bench);
	side_make(bench, &bench->a, 0, circuits);
	side_make(bench, &bench->b, 1, circuits);
	run_for(bench, NS_PER_S);
}

static void bench_free(struct bench *bench)
{
	ck_assert_uint_eq(bench->illegal_steps, 0);
	trunk_group_free(bench->a.group);
	trunk_group_free(bench->b.group);
	sim_run(bench->sim, bench->sim->now_ns + 10 * NS_PER_S);
	sim_free(bench->sim);
}

static struct talk *dial(struct side *side, const char *called)
{
	struct talk *talk = talk_new(side);

	talk->circuit = trunk_group_hold(side->group, talk, &talk->cause);
	if (talk->circuit)
		trunk_group_call(side->group, talk->circuit, called, "2155550101");
	return talk;
}

static void leave(struct talk *talk, unsigned cause)
{
	unsigned circuit = talk->circuit;

	talk->circuit = 0;
	if (circuit)
		trunk_group_release(talk->side->group, circuit, cause);
}

static void all_idle(const struct bench *bench, unsigned circuits)
{
	ck_assert_uint_eq(trunk_group_counters(bench->a.group).idle, circuits);
	ck_assert_uint_eq(trunk_group_counters(bench->b.group).idle, circuits);
}

/* Two groups */

START_TEST(circuits_are_blocked_until_they_are_reset)
{
	static const unsigned sizes[] = { 1, 2, 32, 33, 34, 480 };

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct bench bench;
		struct talk *talk;

		bench_begin(&bench);
		side_make(&bench, &bench.a, 0, sizes[i]);
		run_for(&bench, NS_PER_S);
		ck_assert_uint_eq(trunk_group_counters(bench.a.group).blocked, sizes[i]);
		talk = dial(&bench.a, "2125550001");
		ck_assert_uint_eq(talk->circuit, 0);
		ck_assert_uint_eq(talk->cause, ISUP_CAUSE_NETWORK);
		side_make(&bench, &bench.b, 1, sizes[i]);
		run_for(&bench, NS_PER_S);
		all_idle(&bench, sizes[i]);
		nothing_refused(&bench);
		bench_free(&bench);
	}
}
END_TEST

/* Either end calls, either end releases; with ringing, or an answer at once (CON). */
START_TEST(calls_are_set_up_and_released)
{
	for (unsigned variant = 0; variant < 8; variant++) {
		struct bench bench;
		struct side *from, *to;
		struct talk *talk, *other;

		bench_make(&bench, CIRCUITS);
		from = variant & 1 ? &bench.b : &bench.a;
		to = variant & 1 ? &bench.a : &bench.b;
		to->alerts = variant & 2;
		talk = dial(from, "2125550001");
		run_for(&bench, 100 * NS_PER_MS);
		other = &to->calls[0];
		ck_assert_uint_eq(to->count, 1);
		ck_assert_str_eq(other->called, "2125550001");
		ck_assert_str_eq(other->calling, "2155550101");
		ck_assert_uint_eq(other->circuit, talk->circuit);
		ck_assert_uint_eq(talk->alerted, variant & 2 ? 1 : 0);
		trunk_group_answer(to->group, other->circuit);
		run_for(&bench, 100 * NS_PER_MS);
		ck_assert_uint_eq(talk->answered, 1);
		ck_assert_str_eq(trunk_group_state(from->group, talk->circuit), "Talking");
		if (variant & 4) {
			leave(talk, ISUP_CAUSE_NORMAL);
			talk = other;
		} else {
			leave(other, ISUP_CAUSE_NORMAL);
		}
		run_for(&bench, 100 * NS_PER_MS);
		ck_assert_uint_eq(talk->released, 1);
		ck_assert_uint_eq(talk->cause, ISUP_CAUSE_NORMAL);
		all_idle(&bench, CIRCUITS);
		nothing_refused(&bench);
		bench_free(&bench);
	}
}
END_TEST

START_TEST(each_end_begins_with_circuits_it_controls)
{
	struct bench bench;

	bench_make(&bench, CIRCUITS);
	/* B has the higher point code: the even ones are its own (Q.764 section 2.9.1.4). */
	ck_assert_uint_eq(dial(&bench.a, "1")->circuit, 1);
	ck_assert_uint_eq(dial(&bench.a, "1")->circuit, 3);
	ck_assert_uint_eq(dial(&bench.b, "1")->circuit, 2);
	ck_assert_uint_eq(dial(&bench.b, "1")->circuit, 4);
	run_for(&bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(dial(&bench.b, "1")->cause, ISUP_CAUSE_NO_CIRCUIT);
	ck_assert_uint_eq(trunk_group_counters(bench.a.group).busy, CIRCUITS);
	nothing_refused(&bench);
	bench_free(&bench);
}
END_TEST

START_TEST(of_two_calls_on_one_circuit_the_controlling_ends_stands)
{
	struct bench bench;
	struct talk *ours, *theirs;

	bench_make(&bench, 1);
	ours = dial(&bench.a, "2125550001");
	theirs = dial(&bench.b, "2155550101");
	run_for(&bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(ours->released, 0);
	ck_assert_uint_eq(theirs->released, 1);
	ck_assert_uint_eq(theirs->cause, ISUP_CAUSE_CIRCUIT_UNAVAILABLE);
	ck_assert_uint_eq(bench.b.count, 2);
	ck_assert_uint_eq(bench.a.count, 1);
	ck_assert_str_eq(bench.b.calls[1].called, "2125550001");
	trunk_group_answer(bench.b.group, 1);
	run_for(&bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(ours->answered, 1);
	leave(ours, ISUP_CAUSE_NORMAL);
	run_for(&bench, 100 * NS_PER_MS);
	all_idle(&bench, 1);
	nothing_refused(&bench);
	bench_free(&bench);
}
END_TEST

/* Another circuit has become free meanwhile: the call that gives way goes on there. */
START_TEST(a_call_that_gives_way_is_begun_anew)
{
	struct bench bench;
	struct talk *first, *ours, *theirs;

	bench_make(&bench, 3);
	bench.a.answers = bench.b.answers = true;
	first = dial(&bench.a, "2125550001");
	ck_assert_uint_eq(dial(&bench.b, "2155550102")->circuit, 2);
	run_for(&bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(first->circuit, 1);
	leave(first, ISUP_CAUSE_NORMAL);
	ours = dial(&bench.a, "2125550002");
	theirs = dial(&bench.b, "2155550103");
	ck_assert_uint_eq(ours->circuit, 3);
	ck_assert_uint_eq(theirs->circuit, 3);
	run_for(&bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(theirs->moved, 1);
	ck_assert_uint_eq(theirs->circuit, 1);
	ck_assert_uint_eq(theirs->released + ours->released + ours->moved, 0);
	ck_assert_uint_eq(ours->answered, 1);
	ck_assert_uint_eq(theirs->answered, 1);
	ck_assert_str_eq(bench.a.calls[bench.a.count - 1].called, "2155550103");
	ck_assert_str_eq(bench.b.calls[bench.b.count - 1].called, "2125550002");
	nothing_refused(&bench);
	bench_free(&bench);
}
END_TEST

START_TEST(nobody_takes_the_call_or_answers)
{
	struct bench bench;
	struct talk *talk;

	bench_make(&bench, CIRCUITS);
	talk = dial(&bench.a, "2125550001");
	run_for(&bench, ISUP_T7_NS - NS_PER_MS);
	ck_assert_uint_eq(talk->released, 0);
	run_for(&bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(talk->cause, ISUP_CAUSE_TIMER);
	ck_assert_uint_eq(bench.b.calls[0].cause, ISUP_CAUSE_TIMER);
	all_idle(&bench, CIRCUITS);
	bench.b.alerts = true;
	talk = dial(&bench.a, "2125550001");
	run_for(&bench, ISUP_T9_NS);
	ck_assert_uint_eq(talk->alerted, 1);
	ck_assert_uint_eq(talk->released, 0);
	run_for(&bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(talk->cause, ISUP_CAUSE_NO_ANSWER);
	ck_assert_uint_eq(bench.b.calls[1].cause, ISUP_CAUSE_NO_ANSWER);
	all_idle(&bench, CIRCUITS);
	nothing_refused(&bench);
	bench_free(&bench);
}
END_TEST

/* A restart of either end, in every state of a call: the other end is told, and all circuits are idle again. */
START_TEST(a_restart_of_either_end_frees_all_circuits)
{
	for (unsigned variant = 0; variant < 16; variant++) {
		struct bench bench;
		struct talk *talk;
		struct side *other;

		bench_make(&bench, CIRCUITS);
		other = variant & 1 ? &bench.a : &bench.b;
		bench.b.alerts = variant & 2;
		bench.b.answers = variant & 4;
		talk = dial(&bench.a, "2125550001");
		run_for(&bench, 100 * NS_PER_MS);
		if (variant & 8)
			leave(talk, ISUP_CAUSE_NORMAL); /* the REL is under way */
		trunk_group_start(variant & 1 ? bench.b.group : bench.a.group);
		run_for(&bench, 60 * NS_PER_S);
		all_idle(&bench, CIRCUITS);
		if (!(variant & 8)) {
			ck_assert_uint_eq(other->calls[0].released, 1);
			ck_assert_uint_eq(other->calls[0].cause, ISUP_CAUSE_NORMAL_UNSPECIFIED);
		}
		bench_free(&bench);
	}
}
END_TEST

START_TEST(a_lost_link_keeps_calls_and_comes_back)
{
	struct bench bench;
	struct talk *talk;

	bench_make(&bench, CIRCUITS);
	bench.b.answers = true;
	talk = dial(&bench.a, "2125550001");
	run_for(&bench, 100 * NS_PER_MS);
	bench.line.link[0]->down = true;
	run_for(&bench, 60 * NS_PER_S);
	ck_assert(!trunk_group_counters(bench.a.group).link_up);
	ck_assert(!trunk_group_counters(bench.b.group).link_up);
	ck_assert_uint_eq(talk->released, 0);
	ck_assert_uint_eq(dial(&bench.b, "1")->cause, ISUP_CAUSE_NETWORK);
	leave(talk, ISUP_CAUSE_NORMAL); /* nobody hears it yet */
	run_for(&bench, 60 * NS_PER_S);
	ck_assert_uint_eq(bench.b.calls[0].released, 0);
	bench.line.link[0]->down = false;
	run_for(&bench, 120 * NS_PER_S); /* TCP's own back-off */
	ck_assert(trunk_group_counters(bench.a.group).link_up);
	ck_assert_uint_eq(bench.b.calls[0].released, 1);
	ck_assert_uint_eq(bench.b.calls[0].cause, ISUP_CAUSE_NORMAL);
	all_idle(&bench, CIRCUITS);
	nothing_refused(&bench);
	bench_free(&bench);
}
END_TEST

/* One step of chance at an end: a call, an answer, a release, a restart, a cut. */
static void storm_step(struct bench *bench, struct rng *rng)
{
	struct side *side = rng_below(rng, 2) ? &bench->a : &bench->b;
	struct talk *talk = side->count ? &side->calls[rng_below(rng, side->count)] : NULL;

	switch (rng_below(rng, 12)) {
	case 0:
		trunk_group_start(side->group);
		for (unsigned i = 0; i < side->count; i++)
			side->calls[i].circuit = 0;
		break;
	case 1:
		bench->line.link[0]->down = rng_below(rng, 3) == 0;
		break;
	case 2: case 3: case 4:
		if (talk)
			leave(talk, ISUP_CAUSE_NORMAL);
		break;
	case 5:
		if (talk && talk->circuit && strcmp(trunk_group_state(side->group, talk->circuit), "Alerting") == 0)
			trunk_group_answer(side->group, talk->circuit);
		break;
	default:
		if (side->count < CALLS_MAX / 2)
			dial(side, "2125550001");
		break;
	}
}

START_TEST(after_any_storm_all_circuits_are_idle)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct bench bench;
		struct rng rng;

		rng_init(&rng, seed, "test", "storm");
		bench_make(&bench, CIRCUITS);
		bench.a.alerts = bench.b.alerts = true;
		for (unsigned i = 0; i < STORM_STEPS; i++) {
			storm_step(&bench, &rng);
			run_for(&bench, (sim_ns)rng_below(&rng, 200) * NS_PER_MS);
			if (bench.a.count > CALLS_MAX - 8 || bench.b.count > CALLS_MAX - 8)
				break;
		}
		bench.line.link[0]->down = false;
		run_for(&bench, 120 * NS_PER_S);
		for (unsigned i = 0; i < CALLS_MAX; i++) {
			leave(&bench.a.calls[i], ISUP_CAUSE_NORMAL);
			leave(&bench.b.calls[i], ISUP_CAUSE_NORMAL);
		}
		run_for(&bench, 700 * NS_PER_S);
		ck_assert_msg(trunk_group_counters(bench.a.group).idle == CIRCUITS &&
		              trunk_group_counters(bench.b.group).idle == CIRCUITS, "seed %u", (unsigned)seed);
		ck_assert_msg(!bench.illegal_steps, "seed %u", (unsigned)seed);
		bench_free(&bench);
	}
}
END_TEST

/* A peer of our own making, in B's place */

#define TAKEN_MAX 128

struct peer {
	struct bench bench;
	struct tcp_conn *conn;
	bool mute, closed;            /* mute: answers no test, moni or reset */
	struct isup taken[TAKEN_MAX]; /* the ISUP messages that came */
	unsigned count, frames;
};

static void say_tali(struct peer *peer, enum tali_kind kind, struct span payload)
{
	uint8_t bytes[TALI_FRAME_MAX];
	size_t len = tali_write(&(struct tali){ kind, payload }, bytes, sizeof bytes);

	ck_assert_uint_gt(len, 0);
	tcp_send(peer->conn, bytes, len, 0);
}

static void say_labelled(struct peer *peer, struct isup message)
{
	uint8_t bytes[ISUP_MESSAGE_MAX];
	size_t len = isup_write(&message, bytes, sizeof bytes);

	ck_assert_uint_gt(len, 0);
	say_tali(peer, TALI_MTP3, (struct span){ (const char *)bytes, len });
}

static void say(struct peer *peer, struct isup message)
{
	message.network = ISUP_NATIONAL;
	message.opc = CODE_B;
	message.dpc = CODE_A;
	say_labelled(peer, message);
}

static void take(struct peer *peer, const struct isup *m)
{
	ck_assert_uint_lt(peer->count, TAKEN_MAX);
	peer->taken[peer->count++] = *m;
	ck_assert_uint_eq(m->opc, CODE_A);
	ck_assert_uint_eq(m->dpc, CODE_B);
	if (m->type == ISUP_GRS && !peer->mute)
		say(peer, (struct isup){ .type = ISUP_GRA, .cic = m->cic, .range = m->range });
}

static size_t peer_received(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct peer *peer = ctx;
	struct tali frame;
	struct isup message;
	long used = tali_parse(bytes, len, &frame);

	(void)conn, (void)tag;
	ck_assert_int_ge(used, 0);
	if (!used)
		return 0;
	peer->frames++;
	if (frame.kind == TALI_MTP3) {
		ck_assert(isup_parse((const uint8_t *)frame.payload.at, frame.payload.len, &message));
		take(peer, &message);
	} else if (frame.kind == TALI_TEST && !peer->mute) {
		say_tali(peer, TALI_ALLOW, (struct span){ 0 });
	} else if (frame.kind == TALI_MONITOR && !peer->mute) {
		say_tali(peer, TALI_MONITOR_ACK, frame.payload);
	}
	return (size_t)used;
}

static void peer_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct peer *peer = ctx;

	(void)how;
	peer->closed = true;
	if (conn == peer->conn)
		peer->conn = NULL;
}

static const struct tcp_handler peer_handler = { .received = peer_received, .closed = peer_closed };

static void peer_connect(struct peer *peer)
{
	peer->closed = false;
	peer->conn = tcp_connect(peer->bench.line.node[1], 0, line_ip(1, 1), TALI_PORT, &peer_handler, peer);
	run_for(&peer->bench, 100 * NS_PER_MS);
}

static void peer_make(struct peer *peer, bool mute)
{
	memset(peer, 0, sizeof *peer);
	peer->mute = mute;
	bench_begin(&peer->bench);
	side_make(&peer->bench, &peer->bench.a, 0, CIRCUITS);
	peer_connect(peer);
}

static void peer_free(struct peer *peer)
{
	if (peer->conn)
		tcp_abort(peer->conn);
	bench_free(&peer->bench);
}

static unsigned taken(const struct peer *peer, enum isup_type type)
{
	unsigned count = 0;

	for (unsigned i = 0; i < peer->count; i++)
		count += peer->taken[i].type == type;
	return count;
}

START_TEST(an_unacknowledged_reset_is_repeated)
{
	struct peer peer;

	peer_make(&peer, true);
	ck_assert(!trunk_group_counters(peer.bench.a.group).link_up); /* nothing was allowed */
	ck_assert_uint_eq(peer.count, 0);
	say_tali(&peer, TALI_ALLOW, (struct span){ 0 });
	run_for(&peer.bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(taken(&peer, ISUP_GRS), 1);
	ck_assert_uint_eq(peer.taken[0].range, CIRCUITS - 1);
	say(&peer, (struct isup){ .type = ISUP_GRA, .cic = 1, .range = 1 }); /* of another range */
	run_for(&peer.bench, 5 * NS_PER_S);
	ck_assert_uint_eq(refused(&peer.bench, "isup.unexpected"), 1);
	ck_assert_uint_eq(trunk_group_counters(peer.bench.a.group).blocked, CIRCUITS);
	ck_assert_uint_eq(taken(&peer, ISUP_GRS), 1);
	peer.mute = false;
	run_for(&peer.bench, ISUP_T22_NS);
	ck_assert_uint_eq(taken(&peer, ISUP_GRS), 2);
	ck_assert_uint_eq(trunk_group_counters(peer.bench.a.group).idle, CIRCUITS);
	peer_free(&peer);
}
END_TEST

/* RLC is no answer to GRS: the others of the group would be blocked for good. */
START_TEST(a_release_complete_acknowledges_no_group_reset)
{
	struct peer peer;

	peer_make(&peer, true);
	say_tali(&peer, TALI_ALLOW, (struct span){ 0 });
	run_for(&peer.bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(taken(&peer, ISUP_GRS), 1);
	say(&peer, (struct isup){ .type = ISUP_RLC, .cic = 2 });
	run_for(&peer.bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(refused(&peer.bench, "isup.unexpected"), 1);
	ck_assert_uint_eq(trunk_group_counters(peer.bench.a.group).blocked, CIRCUITS);
	say(&peer, (struct isup){ .type = ISUP_GRA, .cic = 1, .range = CIRCUITS - 1 });
	run_for(&peer.bench, 100 * NS_PER_MS);
	ck_assert_uint_eq(trunk_group_counters(peer.bench.a.group).idle, CIRCUITS);
	peer_free(&peer);
}
END_TEST

START_TEST(a_release_is_repeated_and_then_becomes_a_reset)
{
	struct peer peer;
	struct talk *talk;
	unsigned circuit;

	peer_make(&peer, false);
	talk = dial(&peer.bench.a, "2125550001");
	circuit = talk->circuit;
	say(&peer, (struct isup){ .type = ISUP_ACM, .cic = (uint16_t)circuit });
	run_for(&peer.bench, NS_PER_S);
	ck_assert_uint_eq(talk->alerted, 0); /* nothing of the subscriber yet */
	say(&peer, (struct isup){ .type = ISUP_CPG, .cic = (uint16_t)circuit, .event = ISUP_EVENT_ALERTING });
	run_for(&peer.bench, NS_PER_S);
	ck_assert_uint_eq(talk->alerted, 1);
	leave(talk, ISUP_CAUSE_NORMAL);
	run_for(&peer.bench, ISUP_T1_NS - NS_PER_MS);
	ck_assert_uint_eq(taken(&peer, ISUP_REL), 1);
	run_for(&peer.bench, ISUP_T5_NS - ISUP_T1_NS);
	ck_assert_uint_eq(taken(&peer, ISUP_REL), ISUP_T5_NS / ISUP_T1_NS);
	ck_assert_uint_eq(taken(&peer, ISUP_RSC), 0);
	run_for(&peer.bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(taken(&peer, ISUP_RSC), 1);
	ck_assert_str_eq(trunk_group_state(peer.bench.a.group, circuit), "Resetting");
	run_for(&peer.bench, ISUP_T16_NS);
	ck_assert_uint_eq(taken(&peer, ISUP_RSC), 2);
	say(&peer, (struct isup){ .type = ISUP_RLC, .cic = (uint16_t)circuit });
	run_for(&peer.bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(trunk_group_counters(peer.bench.a.group).idle, CIRCUITS);
	nothing_refused(&peer.bench);
	peer_free(&peer);
}
END_TEST

START_TEST(the_peer_resets_one_circuit)
{
	struct peer peer;
	struct talk *talk;

	peer_make(&peer, false);
	talk = dial(&peer.bench.a, "2125550001");
	say(&peer, (struct isup){ .type = ISUP_RSC, .cic = (uint16_t)talk->circuit });
	run_for(&peer.bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(talk->cause, ISUP_CAUSE_NORMAL_UNSPECIFIED);
	ck_assert_uint_eq(taken(&peer, ISUP_RLC), 1);
	ck_assert_uint_eq(trunk_group_counters(peer.bench.a.group).idle, CIRCUITS);
	say(&peer, (struct isup){ .type = ISUP_REL, .cic = 2, .cause = ISUP_CAUSE_NORMAL }); /* of no call */
	run_for(&peer.bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(taken(&peer, ISUP_RLC), 2);
	nothing_refused(&peer.bench);
	peer_free(&peer);
}
END_TEST

static const struct {
	struct isup message;
	const char *check;
} bad_messages[] = {
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_ACM, .cic = 1 }, "isup.unexpected" },
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_ANM, .cic = 1 }, "isup.unexpected" },
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_SUS, .cic = 1 }, "isup.unexpected" },
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_GRA, .cic = 1, .range = 3 },
	  "isup.unexpected" },
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_RLC, .cic = 0 }, "isup.circuit" },
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_RLC, .cic = CIRCUITS + 1 },
	  "isup.circuit" },
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_GRS, .cic = 2, .range = 3 },
	  "isup.circuit" },
	{ { .network = ISUP_NATIONAL, .opc = 99, .dpc = CODE_A, .type = ISUP_RSC, .cic = 1 }, "isup.label" },
	{ { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = 99, .type = ISUP_RSC, .cic = 1 }, "isup.label" },
	{ { .network = ISUP_INTERNATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_RSC, .cic = 1 }, "isup.label" },
};

START_TEST(a_bad_message_is_refused_by_its_check)
{
	struct peer peer;

	peer_make(&peer, false);
	say_labelled(&peer, bad_messages[_i].message);
	run_for(&peer.bench, NS_PER_S);
	ck_assert_uint_eq(refused(&peer.bench, bad_messages[_i].check), 1);
	ck_assert_uint_eq(trunk_group_counters(peer.bench.a.group).idle, CIRCUITS);
	ck_assert(!peer.closed);
	peer_free(&peer);
}
END_TEST

START_TEST(bad_frames_are_refused)
{
	struct peer peer;

	peer_make(&peer, false);
	say_tali(&peer, TALI_MTP3, span_of("no ISUP"));
	run_for(&peer.bench, NS_PER_S);
	ck_assert_uint_eq(refused(&peer.bench, "isup.malformed"), 1);
	say_tali(&peer, TALI_MONITOR_ACK, span_of("12345678"));
	say_tali(&peer, TALI_SCCP, span_of("anything"));
	run_for(&peer.bench, NS_PER_S);
	ck_assert_uint_eq(refused(&peer.bench, "tali.unexpected"), 2);
	ck_assert(trunk_group_counters(peer.bench.a.group).link_up);
	tcp_send(peer.conn, (const uint8_t *)"GET / HTTP/1.0\r\n", 16, 0);
	run_for(&peer.bench, NS_PER_S);
	ck_assert_uint_eq(refused(&peer.bench, "tali.malformed"), 1);
	ck_assert(peer.closed);
	ck_assert(!trunk_group_counters(peer.bench.a.group).link_up);
	peer_connect(&peer);
	run_for(&peer.bench, NS_PER_S);
	ck_assert(trunk_group_counters(peer.bench.a.group).link_up);
	ck_assert_uint_eq(taken(&peer, ISUP_GRS), 1); /* once is enough: nothing was restarted */
	peer_free(&peer);
}
END_TEST

START_TEST(a_prohibited_link_carries_nothing)
{
	struct peer peer;

	peer_make(&peer, false);
	peer.mute = true;
	say_tali(&peer, TALI_PROHIBIT, (struct span){ 0 });
	run_for(&peer.bench, NS_PER_S);
	ck_assert(!trunk_group_counters(peer.bench.a.group).link_up);
	ck_assert_uint_eq(dial(&peer.bench.a, "1")->cause, ISUP_CAUSE_NETWORK);
	peer.mute = false;
	run_for(&peer.bench, ISUP_LINK_TEST_NS);
	ck_assert(trunk_group_counters(peer.bench.a.group).link_up);
	nothing_refused(&peer.bench);
	peer_free(&peer);
}
END_TEST

START_TEST(a_silent_peer_is_given_up)
{
	struct peer peer;

	peer_make(&peer, false);
	peer.mute = true;
	run_for(&peer.bench, ISUP_LINK_MONITOR_NS + ISUP_LINK_ANSWER_NS);
	ck_assert(peer.closed);
	ck_assert(!trunk_group_counters(peer.bench.a.group).link_up);
	peer_free(&peer);
}
END_TEST

/* The peer has restarted and connects again, before its old connection is missed. */
START_TEST(a_second_connection_takes_the_first_ones_place)
{
	struct peer peer;
	struct tcp_conn *first;

	peer_make(&peer, false);
	first = peer.conn;
	peer_connect(&peer);
	run_for(&peer.bench, NS_PER_S);
	ck_assert(peer.closed); /* the first */
	ck_assert_ptr_ne(peer.conn, first);
	ck_assert(trunk_group_counters(peer.bench.a.group).link_up);
	peer_free(&peer);
}
END_TEST

static void stranger_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	(void)conn, (void)how;
	*(bool *)ctx = true;
}

START_TEST(a_stranger_gets_no_connection)
{
	static const struct tcp_handler handler = { .closed = stranger_closed };
	struct peer peer;
	struct node *mallory;
	bool closed = false;

	peer_make(&peer, false);
	mallory = node_new(peer.bench.sim, "mallory");
	iface_new(mallory, peer.bench.line.link[0], "eth0", NULL, line_ip(1, 66), 24);
	tcp_connect(mallory, 0, line_ip(1, 1), TALI_PORT, &handler, &closed);
	run_for(&peer.bench, NS_PER_S);
	ck_assert(closed);
	ck_assert_uint_eq(refused(&peer.bench, "tali.check_peer"), 1);
	ck_assert(trunk_group_counters(peer.bench.a.group).link_up); /* the true peer's */
	peer_free(&peer);
}
END_TEST

/* Any bytes: nothing breaks, and the link comes back. */
START_TEST(noise_on_the_link_breaks_nothing)
{
	struct peer peer;
	struct rng rng;

	peer_make(&peer, false);
	rng_init(&rng, SEED, "test", "noise");
	for (unsigned i = 0; i < 200; i++) {
		struct isup message = { .network = ISUP_NATIONAL, .opc = CODE_B, .dpc = CODE_A, .type = ISUP_REL,
		                        .cause = 16, .cic = 1 + (uint16_t)rng_below(&rng, CIRCUITS) };
		uint8_t bytes[ISUP_MESSAGE_MAX];
		size_t len = isup_write(&message, bytes, sizeof bytes);

		for (unsigned n = 0; n < 3; n++)
			bytes[rng_below(&rng, len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
		if (!peer.conn)
			peer_connect(&peer);
		peer.count = 0;
		say_tali(&peer, TALI_MTP3, (struct span){ (const char *)bytes, len });
		run_for(&peer.bench, 50 * NS_PER_MS);
	}
	run_for(&peer.bench, 700 * NS_PER_S);
	ck_assert_uint_gt(refused(&peer.bench, "isup.malformed") + refused(&peer.bench, "isup.label"), 50);
	ck_assert(trunk_group_counters(peer.bench.a.group).link_up);
	peer_free(&peer);
}
END_TEST

/* Causes */

START_TEST(causes_and_statuses_are_mapped)
{
	static const struct { unsigned cause; int status; } out[] = { /* RFC 3398 section 7.2.4.1 */
		{ 1, 404 }, { 16, 480 }, { 17, 486 }, { 18, 408 }, { 19, 480 }, { 21, 403 }, { 22, 410 }, { 28, 484 },
		{ 31, 480 },
		{ 34, 503 }, { 38, 503 }, { 41, 503 }, { 102, 504 }, { 127, 500 }, { 3, 404 }, { 99, 500 },
	}, in[] = { /* section 8.2.6.1 */
		{ 1, 404 }, { 17, 486 }, { 18, 480 }, { 21, 403 }, { 102, 408 }, { 41, 503 }, { 22, 410 }, { 28, 484 },
		{ 21, 603 },
		{ 17, 600 }, { 31, 699 },
	};

	for (unsigned i = 0; i < sizeof out / sizeof *out; i++)
		ck_assert_int_eq(cause_to_status(out[i].cause), out[i].status);
	for (unsigned i = 0; i < sizeof in / sizeof *in; i++)
		ck_assert_uint_eq(status_to_cause(in[i].status), in[i].cause);
}
END_TEST

/* Circuits' voice */

struct ear {
	uint64_t packets;
	uint8_t value, last;
	bool lost;
};

static void fill(void *ctx, uint8_t octets[RTP_PAYLOAD_LEN])
{
	memset(octets, ((struct ear *)ctx)->value, RTP_PAYLOAD_LEN);
}

static void heard(void *ctx, const uint8_t octets[RTP_PAYLOAD_LEN])
{
	struct ear *ear = ctx;

	ear->packets++;
	ear->last = octets[RTP_PAYLOAD_LEN - 1];
}

static void lost(void *ctx)
{
	((struct ear *)ctx)->lost = true;
}

static struct trunk_bearer *bearer(struct bench *bench, unsigned end, struct ear *ear)
{
	struct trunk_bearer_request request = { .node = bench->line.node[end], .circuit = 3,
	                                        .local_ip = line_ip(1, end + 1),
		                                .peer_ip = line_ip(1, 2 - end), .fill = fill, .heard = heard,
		                                .lost_after_ns = NS_PER_S, .lost = lost, .ctx = ear };

	return trunk_bearer_start(&request);
}

static void send_datagram(struct node *from, uint16_t sport, const uint8_t *bytes, uint32_t len)
{
	struct udp_socket socket = { 0 };
	struct packet *packet = packet_new(from->sim, len);

	ck_assert(udp_bind(from, &socket, sport, NULL, NULL));
	memcpy(packet_append(packet, len), bytes, len);
	udp_send(&socket, 0, line_ip(1, 1), TRUNK_PORT_FIRST + 6, packet);
	udp_unbind(&socket);
}

START_TEST(a_circuit_carries_octets_both_ways)
{
	struct ear a = { .value = 0x12 }, b = { .value = 0x34 };
	struct trunk_bearer *left, *right;
	struct bench bench;

	bench_begin(&bench);
	left = bearer(&bench, 0, &a);
	right = bearer(&bench, 1, &b);
	ck_assert_ptr_null(bearer(&bench, 0, &a)); /* the port is taken */
	run_for(&bench, 2 * NS_PER_S);
	ck_assert_uint_eq(a.packets + b.packets, 0);
	trunk_bearer_talk(left);
	run_for(&bench, NS_PER_S / 2);
	ck_assert_uint_eq(b.packets, 25);
	ck_assert_uint_eq(b.last, 0x12);
	ck_assert_uint_eq(a.packets, 0);
	trunk_bearer_talk(right);
	run_for(&bench, NS_PER_S / 2);
	ck_assert_uint_eq(a.packets, 25);
	ck_assert_uint_eq(a.last, 0x34);
	ck_assert(!a.lost);
	trunk_bearer_stop(right);
	run_for(&bench, 2 * NS_PER_S);
	ck_assert(a.lost);
	trunk_bearer_stop(left);
	sim_run(bench.sim, bench.sim->now_ns + NS_PER_S);
	sim_free(bench.sim);
}
END_TEST

START_TEST(what_is_no_circuits_voice_is_refused)
{
	uint8_t packet[RTP_HEADER_LEN + RTP_PAYLOAD_LEN] = { 0 };
	struct trunk_bearer *left;
	struct ear a = { 0 };
	struct bench bench;

	bench_begin(&bench);
	left = bearer(&bench, 0, &a);
	rtp_write(packet, &(struct rtp_header){ .payload_type = 0 });
	send_datagram(bench.line.node[1], TRUNK_PORT_FIRST + 8, packet, sizeof packet); /* another circuit's */
	run_for(&bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(refused(&bench, "trunk.source"), 1);
	send_datagram(bench.line.node[1], TRUNK_PORT_FIRST + 6, packet, sizeof packet - 1);
	rtp_write(packet, &(struct rtp_header){ .payload_type = 8 });
	send_datagram(bench.line.node[1], TRUNK_PORT_FIRST + 6, packet, sizeof packet);
	run_for(&bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(refused(&bench, "trunk.malformed"), 2);
	rtp_write(packet, &(struct rtp_header){ .payload_type = 0 });
	send_datagram(bench.line.node[1], TRUNK_PORT_FIRST + 6, packet, sizeof packet);
	run_for(&bench, 10 * NS_PER_MS);
	ck_assert_uint_eq(a.packets, 1);
	ck_assert_uint_eq(trunk_bearer_counters(left).refused, 3);
	trunk_bearer_stop(left);
	sim_free(bench.sim);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("PSTN");
	TCase *circuits = tcase_create("circuits"), *hostile = tcase_create("hostile"), *voice = tcase_create("voice");
	SRunner *runner;
	int failed;

	tcase_set_timeout(circuits, 120);
	tcase_set_timeout(hostile, 120);
	tcase_add_test(circuits, circuits_are_blocked_until_they_are_reset);
	tcase_add_test(circuits, calls_are_set_up_and_released);
	tcase_add_test(circuits, each_end_begins_with_circuits_it_controls);
	tcase_add_test(circuits, of_two_calls_on_one_circuit_the_controlling_ends_stands);
	tcase_add_test(circuits, a_call_that_gives_way_is_begun_anew);
	tcase_add_test(circuits, nobody_takes_the_call_or_answers);
	tcase_add_test(circuits, a_restart_of_either_end_frees_all_circuits);
	tcase_add_test(circuits, a_lost_link_keeps_calls_and_comes_back);
	tcase_add_test(circuits, after_any_storm_all_circuits_are_idle);
	tcase_add_test(circuits, causes_and_statuses_are_mapped);
	tcase_add_test(hostile, an_unacknowledged_reset_is_repeated);
	tcase_add_test(hostile, a_release_complete_acknowledges_no_group_reset);
	tcase_add_test(hostile, a_release_is_repeated_and_then_becomes_a_reset);
	tcase_add_test(hostile, the_peer_resets_one_circuit);
	tcase_add_loop_test(hostile, a_bad_message_is_refused_by_its_check, 0,
	                    sizeof bad_messages / sizeof *bad_messages);
	tcase_add_test(hostile, bad_frames_are_refused);
	tcase_add_test(hostile, a_prohibited_link_carries_nothing);
	tcase_add_test(hostile, a_silent_peer_is_given_up);
	tcase_add_test(hostile, a_second_connection_takes_the_first_ones_place);
	tcase_add_test(hostile, a_stranger_gets_no_connection);
	tcase_add_test(hostile, noise_on_the_link_breaks_nothing);
	tcase_add_test(voice, a_circuit_carries_octets_both_ways);
	tcase_add_test(voice, what_is_no_circuits_voice_is_refused);
	suite_add_tcase(suite, circuits);
	suite_add_tcase(suite, hostile);
	suite_add_tcase(suite, voice);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* forked cases would hide leaks from the sanitizer */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

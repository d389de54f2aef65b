/*
 * Call records between a controller and a real billing host: one for each call, right, whatever is lost, doubled,
 * late or restarted in between; calls under way at a restart; a billing host that is away; who pays for a late record.
 */
#include "models/call_records.h"
#include "tests/models/provisioning_rig.h"

#define ALICE "2155550001"
#define BOB "6105550102"
#define ROWS_MAX 64
#define MAX 40 /* entries of the controller's disk */

struct row { /* of the result database */
	char id[64], account[32], caller[32], callee[32], reason[32], at[16];
	sim_ns answer_ns, end_ns;
};

static struct bench {
	struct rig r;
	struct call_records *records;
	struct row rows[ROWS_MAX];
	unsigned row_count;
	bool away;                 /* nothing reaches the billing host */
	unsigned to_billing;       /* frames, so far */
	unsigned restarts;         /* of the controller */
	unsigned forgotten;        /* calls that did not stand at one */
} b;

static void on_record(void *ctx, const struct trace_record *record)
{
	struct row *row = &b.rows[b.row_count++];

	(void)ctx;
	ck_assert_uint_le(b.row_count, ROWS_MAX);
	snprintf(row->id, sizeof row->id, "%s", record->id);
	snprintf(row->account, sizeof row->account, "%s", record->account);
	snprintf(row->caller, sizeof row->caller, "%s", record->caller);
	snprintf(row->callee, sizeof row->callee, "%s", record->callee);
	snprintf(row->reason, sizeof row->reason, "%s", record->reason);
	snprintf(row->at, sizeof row->at, "%s", record->at->name);
	row->answer_ns = record->answer_ns;
	row->end_ns = record->end_ns;
}

static void on_call(void *ctx, const struct trace_call *call)
{
	(void)ctx, (void)call;
}

static enum tap_verdict on_frame(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                 struct packet *frame)
{
	if (to->node == b.r.bh) {
		b.to_billing++;
		if (b.away) {
			packet_free(frame);
			return TAP_TAKEN;
		}
	}
	return rig_tap(ctx, link, from, to, frame);
}

static void make(const struct rig_setup *setup, const char *billing)
{
	static const struct trace_ops ops = { .record = on_record, .call = on_call };
	struct call_records_config config = { .billing = billing, .max = MAX };

	memset(&b, 0, sizeof b);
	rig_make(&b.r, setup);
	b.r.core->tap = on_frame;
	trace_attach(b.r.sim, &ops, NULL, TRACE_CALL);
	config.node = b.r.sc1.node;
	config.backend = b.r.sc1.backend;
	config.questions = b.r.sc1.client;
	b.records = call_records_new(&config);
	call_records_reset(b.records);
	ck_assert(billing_host_enter(b.r.bh, "C-1", ALICE, DATA, ""));
}

static void end(void)
{
	call_records_free(b.records);
	rig_end(&b.r);
}

/* As a controller's restart() does. */
static void restart_controller(struct rig *r)
{
	b.restarts++;
	server_restart(&r->sc1);
	call_records_reset(b.records);
}

static void restart_billing(struct rig *r)
{
	r->bh->model->restart(r->bh);
}

/* Calls */

struct talk {
	const char *id, *account, *reason;
	int64_t talked_ms; /* < 0: never answered */
	bool stood;
	uint32_t seconds, cause;
};

static struct call_record record_of(const struct talk *t, sim_ns answer_ns)
{
	return (struct call_record){ .id = t->id, .account = t->account, .caller = ALICE, .callee = BOB, .reason = t->reason,
		                     .answer_ns = answer_ns, .end_ns = b.r.sim->now_ns };
}

static void hold(const struct talk *t)
{
	struct call_record at_first = record_of(t, -1), at_last;
	struct kept_record *kept = t->stood ? call_records_open(b.records, &at_first) : NULL;
	unsigned restarts = b.restarts;
	sim_ns answer_ns = -1;

	rig_run(&b.r, 2 * NS_PER_S);
	if (t->talked_ms >= 0) {
		answer_ns = b.r.sim->now_ns;
		if (b.restarts == restarts)
			call_records_answered(kept, answer_ns);
		rig_run(&b.r, t->talked_ms * NS_PER_MS);
	}
	if (b.restarts != restarts) { /* the controller knows nothing of the call any more */
		b.forgotten += !t->stood;
		return;
	}
	at_last = record_of(t, answer_ns);
	call_records_close(b.records, kept, &at_last, !t->stood);
}

static const struct row *row_of(const char *id)
{
	const struct row *found = NULL;

	for (unsigned i = 0; i < b.row_count; i++)
		if (strcmp(b.rows[i].id, id) == 0) {
			ck_assert_ptr_null(found);
			found = &b.rows[i];
		}
	ck_assert_ptr_nonnull(found);
	return found;
}

static void expect_row(const struct talk *t)
{
	const struct row *row = row_of(t->id);

	ck_assert_str_eq(row->account, t->account);
	ck_assert_str_eq(row->caller, ALICE);
	ck_assert_str_eq(row->callee, BOB);
	ck_assert_str_eq(row->reason, acct_cause_text(t->cause));
	ck_assert_str_eq(row->at, "bh1");
	if (t->seconds)
		ck_assert_int_eq((row->end_ns - row->answer_ns) / NS_PER_S, t->seconds);
	else
		ck_assert_int_lt(row->answer_ns, 0);
}

static const struct talk talks[] = {
	{ "answered", ALICE, "caller hung up", 10000, true, 10, ACCT_USER_REQUEST },
	{ "a-second-begun", ALICE, "callee hung up", 10001, true, 11, ACCT_HOST_REQUEST },
	{ "a-word", ALICE, "caller hung up", 1, true, 1, ACCT_USER_REQUEST },
	{ "no-word", ALICE, "caller hung up", 0, true, 1, ACCT_USER_REQUEST },
	{ "not-answered", ALICE, "caller hung up", -1, true, 0, ACCT_USER_REQUEST },
	{ "busy", ALICE, "Busy Here", -1, false, 0, ACCT_HOST_REQUEST },
	{ "away", ALICE, "far end unreachable", -1, false, 0, ACCT_SERVICE_UNAVAILABLE },
	{ "service", "restricted", "caller hung up", 3000, true, 3, ACCT_USER_REQUEST },
	{ "gone", ALICE, "no sign of life", 5000, true, 5, ACCT_LOST_CARRIER },
	{ "another-account", BOB, "caller hung up", 4000, true, 4, ACCT_USER_REQUEST },
};
#define TALKS (sizeof talks / sizeof *talks)

static void expect_all_billed(void)
{
	struct call_records_counters c = call_records_counters(b.records);

	ck_assert_uint_eq(c.made, TALKS);
	ck_assert_uint_eq(c.answered, 7);
	ck_assert_uint_eq(c.delivered, TALKS);
	ck_assert_uint_eq(c.lost, 0);
	ck_assert_uint_eq(c.waiting, 0);
	ck_assert_uint_eq(b.row_count, TALKS);
	for (size_t i = 0; i < TALKS; i++)
		expect_row(&talks[i]);
	ck_assert_int_eq(rig_get(b.r.bh, "records"), TALKS);
	ck_assert_int_eq(rig_int(b.r.bh, "records_of", ALICE), 8);
	ck_assert_int_eq(rig_int(b.r.bh, "calls", ALICE), 5);
	ck_assert_int_eq(rig_int(b.r.bh, "seconds", ALICE), 10 + 11 + 1 + 1 + 5);
	ck_assert_int_eq(rig_int(b.r.bh, "seconds", "restricted"), 3);
	ck_assert_int_eq(rig_int(b.r.bh, "seconds", BOB), 4);
	ck_assert_uint_eq(rig_refused(&b.r, b.r.bh, "bh.record_differs"), 0);
}

START_TEST(one_record_a_call)
{
	struct rig_setup setup = { .seed = 7, .ipsec = _i };

	make(&setup, "bh/bh1");
	for (size_t i = 0; i < TALKS; i++)
		hold(&talks[i]);
	rig_run(&b.r, 10 * NS_PER_S);
	expect_all_billed();
	ck_assert_int_eq(rig_get(b.r.bh, "repeated"), 0);
	end();
}
END_TEST

/* One that was refused by the controller is nobody's to pay, and no billing host is no reason to say nothing. */
START_TEST(what_is_no_record)
{
	struct rig_setup setup = { .seed = 7 };
	struct call_record refused;

	make(&setup, _i ? "bh/bh1" : "");
	refused = record_of(&talks[5], -1);
	call_records_close(b.records, NULL, &refused, false);
	rig_run(&b.r, 10 * NS_PER_S);
	ck_assert_uint_eq(b.row_count, !_i);
	if (!_i)
		ck_assert_str_eq(b.rows[0].at, "sc1");
	if (!_i)
		ck_assert_ptr_null(call_records_open(b.records, &refused));
	ck_assert_int_eq(rig_get(b.r.bh, "records"), 0);
	ck_assert_uint_eq(call_records_counters(b.records).made, !_i);
	end();
}
END_TEST

/* Every frame on the line, once lost, doubled, very late, or the moment at which one of the two restarts. */
static const struct {
	enum harm harm;
	sim_ns hold_ns;
	void (*restart)(struct rig *rig);
} harms[] = {
	{ HARM_LOSE, 0, NULL }, { HARM_TWICE, NS_PER_MS, NULL }, { HARM_TWICE, 45 * NS_PER_S, NULL },
	{ HARM_HOLD, 45 * NS_PER_S, NULL }, { HARM_RESTART, 0, restart_billing },
	{ HARM_RESTART, 0, restart_controller },
};
#define HARMS ((int)(sizeof harms / sizeof *harms))

static bool harmed(int which, unsigned frame, bool ipsec)
{
	struct rig_setup setup = { .seed = 9, .ipsec = ipsec };
	bool met;

	make(&setup, "bh/bh1");
	b.r.harm = harms[which].harm;
	b.r.hold_ns = harms[which].hold_ns;
	b.r.restart = harms[which].restart;
	b.r.at = frame;
	b.r.at2 = UINT32_MAX;
	b.r.armed = true;
	for (size_t i = 0; i < TALKS; i++)
		hold(&talks[i]);
	rig_run(&b.r, 1000 * NS_PER_S);
	met = b.r.frames > frame;
	if (harms[which].restart != restart_controller)
		expect_all_billed();
	/* a call that the restart ended is shorter; none is missing, and none is there twice */
	ck_assert_uint_le(b.forgotten, met);
	ck_assert_uint_eq(b.row_count, TALKS - b.forgotten);
	ck_assert_int_eq(rig_get(b.r.bh, "records"), TALKS - b.forgotten);
	for (unsigned i = 0; i < b.row_count; i++)
		row_of(b.rows[i].id);
	ck_assert_uint_eq(call_records_counters(b.records).waiting, 0);
	ck_assert_uint_eq(rig_refused(&b.r, b.r.bh, "bh.record_differs"), 0);
	end();
	return met;
}

START_TEST(each_frame_harmed)
{
	unsigned frame = 0;

	while (harmed(_i / 2, frame, _i % 2))
		frame++;
	ck_assert_uint_ge(frame, _i % 2 ? 24 : 20);
}
END_TEST

/* Calls under way at a restart of the controller: those that stood have a record that ends there. */
START_TEST(calls_at_a_restart)
{
	static const struct talk answered = { "answered", ALICE, "restart", 0, true, 8, ACCT_NAS_REBOOT };
	static const struct talk ringing = { "ringing", ALICE, "restart", -1, true, 0, ACCT_NAS_REBOOT };
	struct rig_setup setup = { .seed = 8, .ipsec = true };
	struct call_record record;
	struct kept_record *kept;

	make(&setup, "bh/bh1");
	record = record_of(&answered, -1);
	kept = call_records_open(b.records, &record);
	rig_run(&b.r, 3 * NS_PER_S);
	call_records_answered(kept, b.r.sim->now_ns);
	record = record_of(&ringing, -1);
	call_records_open(b.records, &record);
	rig_run(&b.r, 7100 * NS_PER_MS);
	ck_assert_uint_eq(call_records_counters(b.records).waiting, 0);
	ck_assert_uint_eq(b.to_billing, 0);
	restart_controller(&b.r);
	restart_controller(&b.r);
	rig_run(&b.r, 600 * NS_PER_S);
	ck_assert_uint_eq(b.row_count, 2);
	expect_row(&answered);
	expect_row(&ringing);
	ck_assert_int_eq(row_of("answered")->end_ns, 10 * NS_PER_S);
	ck_assert_uint_eq(call_records_counters(b.records).waiting, 0);
	end();
}
END_TEST

static void many(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char id[16];
		struct talk t = { id, ALICE, "Busy Here", -1, false, 0, ACCT_HOST_REQUEST };
		struct call_record record = record_of(&t, -1);

		snprintf(id, sizeof id, "call%u", i);
		call_records_close(b.records, NULL, &record, true);
	}
}

/*
 * A caller who has not noticed the restart asks once more for the same call: it has one record, and that is the last call's.
 * Later, or by another caller, it is another call.
 */
START_TEST(made_once_more_after_a_restart)
{
	static const struct { sim_ns after_ns; const char *account; unsigned records; } rows[] = {
		{ NS_PER_S, ALICE, 1 }, { 50 * NS_PER_S, ALICE, 1 }, { 70 * NS_PER_S, ALICE, 2 }, { NS_PER_S, BOB, 2 },
	};
	struct rig_setup setup = { .seed = 8 };
	struct talk again = talks[0];
	struct call_record record;

	make(&setup, "bh/bh1");
	record = record_of(&again, -1);
	call_records_open(b.records, &record);
	restart_controller(&b.r);
	rig_run(&b.r, rows[_i].after_ns / 2);
	restart_controller(&b.r);
	rig_run(&b.r, rows[_i].after_ns);
	again.account = rows[_i].account;
	hold(&again);
	rig_run(&b.r, 200 * NS_PER_S);
	ck_assert_uint_eq(b.row_count, rows[_i].records);
	ck_assert_int_eq(rig_int(b.r.bh, "seconds", rows[_i].account), 10);
	ck_assert_uint_eq(call_records_counters(b.records).made, rows[_i].records);
	ck_assert_uint_eq(call_records_counters(b.records).delivered, rows[_i].records);
	end();
}
END_TEST

/*
 * Away for a day, the controller restarted meanwhile: few questions, nothing lost but what had no room, and that is on
 * record.
 */
START_TEST(a_billing_host_away)
{
	struct rig_setup setup = { .seed = 8, .ipsec = _i };
	struct call_records_counters c;
	unsigned before;

	make(&setup, "bh/bh1");
	b.away = true;
	many(MAX + 3);
	rig_run(&b.r, 12 * 3600 * NS_PER_S);
	restart_controller(&b.r);
	rig_run(&b.r, 11 * 3600 * NS_PER_S);
	before = b.to_billing;
	rig_run(&b.r, 3600 * NS_PER_S);
	ck_assert_uint_gt(b.to_billing, before);
	ck_assert_uint_le(b.to_billing - before, 12 * CALL_RECORDS_WINDOW * RADIUS_TRIES);
	c = call_records_counters(b.records);
	ck_assert_uint_eq(c.waiting, MAX);
	ck_assert_uint_eq(c.lost, 3);
	ck_assert_uint_eq(rig_refused(&b.r, b.r.sc1.node, "sc.records_full"), 3);
	ck_assert_uint_eq(b.row_count, 0);

	b.away = false;
	rig_run(&b.r, CALL_RECORDS_PAUSE_MAX_NS + 60 * NS_PER_S);
	c = call_records_counters(b.records);
	ck_assert_uint_eq(c.waiting, 0);
	ck_assert_uint_eq(c.delivered, MAX);
	ck_assert_uint_eq(b.row_count, MAX);
	for (unsigned i = 0; i < MAX; i++)
		row_of(b.rows[i].id);
	many(1); /* there is room again */
	rig_run(&b.r, 10 * NS_PER_S);
	ck_assert_uint_eq(b.row_count, MAX + 1);
	end();
}
END_TEST

/* A call that stands takes its room when it begins to: what is lost is lost then, and once. */
START_TEST(no_room_for_a_call_that_stands)
{
	struct rig_setup setup = { .seed = 8 };

	make(&setup, "bh/bh1");
	b.away = true;
	many(MAX);
	hold(&talks[0]);
	ck_assert_uint_eq(call_records_counters(b.records).lost, 1);
	ck_assert_uint_eq(rig_refused(&b.r, b.r.sc1.node, "sc.records_full"), 1);
	ck_assert_uint_eq(call_records_counters(b.records).made, MAX);
	end();
}
END_TEST

/* No more than a window at a time: each of them is repeated, and no other is sent. */
START_TEST(a_window_at_a_time)
{
	struct rig_setup setup = { .seed = 8 };

	make(&setup, "bh/bh1");
	b.away = true;
	many(MAX);
	rig_run(&b.r, 500 * NS_PER_MS);
	ck_assert_uint_eq(b.to_billing, CALL_RECORDS_WINDOW);
	rig_run(&b.r, 31 * NS_PER_S);
	ck_assert_uint_eq(b.to_billing, CALL_RECORDS_WINDOW * RADIUS_TRIES);
	end();
}
END_TEST

/* What the host will not have (it may have no room for now) does not keep the others. */
START_TEST(a_record_that_is_refused)
{
	struct rig_setup setup = { .seed = 8 };
	struct talk bad = { "bad", "nobody", "Busy Here", -1, false, 0, ACCT_HOST_REQUEST };
	struct call_record record;

	make(&setup, "bh/bh1");
	record = record_of(&bad, -1);
	for (unsigned i = 0; i < CALL_RECORDS_WINDOW; i++)
		call_records_close(b.records, NULL, &record, true);
	many(5);
	rig_run(&b.r, 150 * NS_PER_S);
	ck_assert_uint_eq(call_records_counters(b.records).waiting, CALL_RECORDS_WINDOW);
	ck_assert_uint_eq(call_records_counters(b.records).delivered, 5);
	ck_assert_uint_eq(b.row_count, 5);
	ck_assert_uint_gt(rig_refused(&b.r, b.r.bh, "bh.malformed"), 0);
	end();
}
END_TEST

/* A caller uses an identifier again: it is another call, also after a restart, and also paid. */
START_TEST(an_identifier_used_again)
{
	struct rig_setup setup = { .seed = 8, .ipsec = true };

	make(&setup, "bh/bh1");
	hold(&talks[0]);
	hold(&talks[0]);
	rig_run(&b.r, NS_PER_S);
	restart_controller(&b.r);
	hold(&talks[0]);
	rig_run(&b.r, 60 * NS_PER_S);
	ck_assert_int_eq(rig_int(b.r.bh, "calls", ALICE), 3);
	ck_assert_int_eq(rig_int(b.r.bh, "seconds", ALICE), 30);
	ck_assert_int_eq(rig_get(b.r.bh, "repeated"), 0);
	end();
}
END_TEST

static struct radius said_of(const char *session, uint32_t seconds, int64_t end_s)
{
	struct radius q = { .code = RADIUS_ACCOUNTING_REQUEST, .acct_status = 2, .acct_session_s = seconds, .acct_cause = 1,
		            .user_name = ALICE, .calling_station = ALICE, .called_station = BOB,
		            .event_time_s = (uint32_t)end_s };

	snprintf(q.acct_session_id, sizeof q.acct_session_id, "%s", session);
	return q;
}

/* Sessions are each server's own to name: another's neither hides a record nor contradicts it. */
START_TEST(sessions_of_two_controllers)
{
	struct rig_setup setup = { .seed = 8 };
	struct radius q;

	make(&setup, "bh/bh1");
	q = said_of("same;1", 5, 0);
	ck_assert_int_eq(server_ask(&b.r.sc1, BH_IP, &q).answer.code, RADIUS_ACCOUNTING_RESPONSE);
	q.acct_session_s = 6;
	ck_assert_int_eq(server_ask(&b.r.sc2, BH_IP, &q).answer.code, RADIUS_ACCOUNTING_RESPONSE);
	ck_assert_int_eq(rig_int(b.r.bh, "seconds", ALICE), 11);
	ck_assert_uint_eq(rig_refused(&b.r, b.r.bh, "bh.record_differs"), 0);
	end();
}
END_TEST

static void give(struct server *pca, const char *what, const char *id)
{
	struct radius q = { .code = RADIUS_COA_REQUEST, .called_station = ALICE, .reply_message = DATA };

	snprintf(q.connect_info, sizeof q.connect_info, "%s", what);
	snprintf(q.user_name, sizeof q.user_name, "%s", id);
	snprintf(q.state, sizeof q.state, "%s/%s", what, id);
	ck_assert_int_eq(server_ask(pca, BH_IP, &q).answer.code, RADIUS_COA_ACK);
}

/*
 * A number has three customers one after the other, at 100, 200 and 300 s; records come when the last one has it. Who
 * pays is who had it when the call was answered.
 */
START_TEST(late_records)
{
	static const struct { int64_t end_s; uint32_t seconds; const char *payer; } rows[] = {
		{ 50, 10, "C-1" }, { 199, 50, "C-1" }, { 220, 30, "C-1" }, { 230, 20, "C-2" }, { 299, 0, "C-2" },
		{ 500, 350, "C-1" }, { 500, 250, "C-2" }, { 500, 150, "C-3" }, { 0, 10, "C-3" },
	};
	struct rig_setup setup = { .seed = 8 };

	make(&setup, "bh/bh1");
	server_end(&b.r.sc2);
	memset(&b.r.sc2, 0, sizeof b.r.sc2);
	server_make(&b.r, &b.r.sc2, "pca", "pca2", SC2_IP + 1);
	for (int i = 2; i <= 3; i++) {
		char old[16], new[16];

		rig_run(&b.r, (sim_ns)i * 100 * NS_PER_S - b.r.sim->now_ns);
		snprintf(old, sizeof old, "C-%d", i - 1);
		snprintf(new, sizeof new, "C-%d", i);
		give(&b.r.sc2, "close", old);
		give(&b.r.sc2, "open", new);
	}
	rig_run(&b.r, 300 * NS_PER_S);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t before = rig_int(b.r.bh, "records_of", rows[i].payer);
		char session[8];
		struct radius q;

		snprintf(session, sizeof session, "s;%zu", i);
		q = said_of(session, rows[i].seconds, rows[i].end_s ? b.r.sim->epoch_s + rows[i].end_s : 0);
		ck_assert_int_eq(server_ask(&b.r.sc1, BH_IP, &q).answer.code, RADIUS_ACCOUNTING_RESPONSE);
		ck_assert_msg(rig_int(b.r.bh, "records_of", rows[i].payer) == before + 1, "row %zu", i);
	}
	end();
}
END_TEST

/* A bad line and restarts of both in between. */
START_TEST(on_a_bad_line)
{
	struct rig_setup setup = { .seed = 100 + (uint64_t)_i, .ipsec = _i % 2 };

	make(&setup, "bh/bh1");
	b.r.core->params = (struct link_params){ .delay_ns = 5 * NS_PER_MS, .jitter_ns = 2 * NS_PER_MS, .loss_ppm = 200000,
		                                 .duplicate_ppm = 150000, .reorder_ppm = 150000, .reorder_ns = 40 * NS_PER_MS };
	for (unsigned n = 0; n < 20; n++) {
		hold(&talks[n % TALKS]);
		if (n % 7 == 3)
			restart_billing(&b.r);
		if (n % 6 == 5)
			restart_controller(&b.r);
	}
	rig_run(&b.r, 4000 * NS_PER_S);
	ck_assert_uint_eq(b.row_count, 20);
	ck_assert_int_eq(rig_get(b.r.bh, "records"), 20);
	ck_assert_int_eq(rig_int(b.r.bh, "seconds", ALICE), 2 * 28);
	ck_assert_uint_eq(call_records_counters(b.records).delivered, 20);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("call records");
	TCase *tc = tcase_create("call records");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, one_record_a_call, 0, 2);
	tcase_add_loop_test(tc, what_is_no_record, 0, 2);
	tcase_add_loop_test(tc, each_frame_harmed, 0, 2 * HARMS);
	tcase_add_test(tc, calls_at_a_restart);
	tcase_add_loop_test(tc, made_once_more_after_a_restart, 0, 4);
	tcase_add_loop_test(tc, a_billing_host_away, 0, 2);
	tcase_add_test(tc, no_room_for_a_call_that_stands);
	tcase_add_test(tc, a_window_at_a_time);
	tcase_add_test(tc, a_record_that_is_refused);
	tcase_add_test(tc, an_identifier_used_again);
	tcase_add_test(tc, sessions_of_two_controllers);
	tcase_add_test(tc, late_records);
	tcase_add_loop_test(tc, on_a_bad_line, 0, 10);
	suite_add_tcase(suite, tc);
	return rig_main(suite);
}

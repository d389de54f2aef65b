/* The recorder: what a run told it is in the database, under natural keys, at each level, and nothing else is. */
#define _GNU_SOURCE /* memmem */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/reports/fixture.h"

static struct fixture f;
static char path[FIXTURE_PATH_MAX];

static void setup(void)
{
	fixture_open(&f);
	fixture_path(&f, "run.db", path);
}

static void teardown(void)
{
	fixture_close(&f);
}

static struct recorder *start(enum record_level level, bool media)
{
	struct recorder *r = recorder_new(f.sim, path, level, media, f.error);

	ck_assert_msg(r != NULL, "%s", f.error);
	return r;
}

static void finish(struct recorder *r)
{
	ck_assert_msg(recorder_finish(r, f.error), "%s", f.error);
}

/* ---- messages ---- */

/* What becomes of a message that meets several fates; the times are 1, 2, 3 ms after it was sent. */
static const struct fate_row {
	enum fate fates[3]; /* FATE_SENT ends the list */
	const char *expected; /* fate|why|got_ns */
} fate_rows[] = {
	{ { FATE_SENT }, "sent||-\n" },
	{ { FATE_ACCEPTED }, "accepted||1000000\n" },
	{ { FATE_REFUSED }, "refused|why0|1000000\n" },
	{ { FATE_LOST }, "lost|why0|1000000\n" },
	{ { FATE_INTERCEPTED }, "intercepted|why0|1000000\n" },
	{ { FATE_LOST, FATE_ACCEPTED }, "accepted||2000000\n" },
	{ { FATE_LOST, FATE_LOST }, "lost|why0|1000000\n" },
	{ { FATE_LOST, FATE_REFUSED }, "refused|why1|2000000\n" },
	{ { FATE_LOST, FATE_LOST, FATE_ACCEPTED }, "accepted||3000000\n" },
	{ { FATE_ACCEPTED, FATE_REFUSED }, "accepted||1000000\n" },
	{ { FATE_ACCEPTED, FATE_LOST }, "accepted||1000000\n" },
	{ { FATE_ACCEPTED, FATE_ACCEPTED }, "accepted||1000000\n" },
	{ { FATE_REFUSED, FATE_ACCEPTED }, "accepted||2000000\n" },
	{ { FATE_REFUSED, FATE_REFUSED }, "refused|why0|1000000\n" },
	{ { FATE_REFUSED, FATE_LOST }, "refused|why0|1000000\n" },
	{ { FATE_INTERCEPTED, FATE_REFUSED }, "refused|why1|2000000\n" },
	{ { FATE_INTERCEPTED, FATE_LOST, FATE_ACCEPTED }, "accepted||3000000\n" },
};

START_TEST(fates)
{
	static const char *const whys[] = { "why0", "why1", "why2" };
	const struct fate_row *row = &fate_rows[_i];
	struct recorder *r = start(RECORD_FLOW, false);
	uint64_t tag = fixture_send(&f, "AP-REQ", f.alice, ALICE_IP, SC1_IP);

	for (int i = 0; i < 3 && row->fates[i] != FATE_SENT; i++) {
		f.sim->now_ns += NS_PER_MS;
		trace_fate(f.sim, tag, f.sc1, row->fates[i], row->fates[i] == FATE_ACCEPTED ? NULL : whys[i]);
	}
	finish(r);
	ck_ask(path, "SELECT fate, why, got_ns FROM message", row->expected);
}
END_TEST

START_TEST(message_row)
{
	struct recorder *r = start(RECORD_ALL, false);
	uint64_t tag;

	f.sim->now_ns = 5;
	tag = fixture_send(&f, "AS-REQ", f.mallory, ALICE_IP, KDC_IP);
	trace_cover(f.sim, tag, COVER_ESP);
	f.sim->now_ns = 9;
	trace_fate(f.sim, tag, f.kdc, FATE_ACCEPTED, NULL);
	finish(r);
	/* sha256("0123456789") */
	ck_ask(path, "SELECT * FROM message",
	       "alice|kdc|AS-REQ|1|5|9|accepted|||mallory|esp|krb5|10|"
	       "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882\n");
}
END_TEST

START_TEST(cover_after_fate)
{
	struct recorder *r = start(RECORD_FLOW, false);
	uint64_t tag = fixture_send(&f, "AS-REQ", f.alice, ALICE_IP, KDC_IP);

	trace_fate(f.sim, tag, f.alice, FATE_LOST, "link.loss");
	trace_cover(f.sim, tag, COVER_AH);
	finish(r);
	ck_ask(path, "SELECT fate, cover FROM message", "lost|ah\n");
}
END_TEST

START_TEST(natural_keys)
{
	struct recorder *r = start(RECORD_FLOW, false);
	static const char *const kinds[] = { "B", "A", "B", "B" };

	for (int i = 0; i < 4; i++)
		fixture_send(&f, kinds[i], f.alice, ALICE_IP, SC1_IP);
	fixture_send(&f, "B", f.sc1, SC1_IP, ALICE_IP);
	finish(r);
	ck_ask(path, "SELECT src, dst, kind, nth FROM message",
	       "alice|sc1|A|1\nalice|sc1|B|1\nalice|sc1|B|2\nalice|sc1|B|3\nsc1|alice|B|1\n");
}
END_TEST

START_TEST(causes)
{
	struct recorder *r = start(RECORD_FLOW, false);
	uint64_t first = fixture_send(&f, "AS-REQ", f.alice, ALICE_IP, KDC_IP);

	trace_fate(f.sim, first, f.kdc, FATE_ACCEPTED, NULL);
	f.sim->cause = first;
	fixture_send(&f, "AS-REP", f.kdc, KDC_IP, ALICE_IP);
	f.sim->cause_timer = "retry";
	fixture_send(&f, "AS-REQ", f.alice, ALICE_IP, KDC_IP);
	f.sim->cause = 4711; /* a message nobody recorded */
	f.sim->cause_timer = NULL;
	fixture_send(&f, "X", f.alice, ALICE_IP, KDC_IP);
	finish(r);
	ck_ask(path, "SELECT kind, nth, cause FROM message",
	       "AS-REQ|1|\nAS-REQ|2|timer:retry\nX|1|\nAS-REP|1|alice>kdc AS-REQ #1\n");
}
END_TEST

START_TEST(addresses_change)
{
	struct recorder *r = start(RECORD_FLOW, false);

	fixture_send(&f, "DISCOVER", f.alice, 0, UINT32_C(0xffffffff));
	fixture_send(&f, "A", f.alice, ALICE_IP, KDC_IP);
	iface_set_ip(f.alice->ifaces, ALICE_IP + 100, 24);
	fixture_send(&f, "A", f.alice, ALICE_IP, KDC_IP);
	fixture_send(&f, "A", f.alice, ALICE_IP + 100, KDC_IP);
	iface_set_ip(f.mallory->ifaces, ALICE_IP, 24);
	fixture_send(&f, "A", f.alice, ALICE_IP, KDC_IP);
	finish(r);
	ck_ask(path, "SELECT src, dst, kind, nth FROM message",
	       "0.0.0.0|255.255.255.255|DISCOVER|1\n10.1.0.2|kdc|A|1\nalice|kdc|A|1\nalice|kdc|A|2\nmallory|kdc|A|1\n");
	ck_ask(path, "SELECT node, ip FROM iface WHERE node IN ('alice', 'mallory')", "alice|10.1.0.102\nmallory|10.1.0.2\n");
}
END_TEST

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	(void)bytes, (void)len;
	sink(ctx, "via", "one", FIELD_RANDOM);
	sink(ctx, "nonce", "7", FIELD_RANDOM);
	sink(ctx, "via", "two", FIELD_RANDOM);
	sink(ctx, "time", "0", FIELD_TIME);
	sink(ctx, "bad\xff\x1b[31m", "\xe2\x82\xac \xc3\x28\x7f\xc2\x9b", FIELD_FACT); /* a euro sign, an ill-formed pair, controls */
}

static uint64_t send_described(const char *kind, bool media)
{
	struct trace_send send = { .actor = f.alice, .kind = kind, .proto = "sip", .src_ip = ALICE_IP, .dst_ip = SC1_IP,
		                   .cover = COVER_CLEAR, .bytes = (const uint8_t *)"", .len = 0, .describe = describe,
		                   .media = media };

	return trace_sent(f.sim, &send);
}

START_TEST(fields)
{
	struct recorder *r = start(RECORD_ALL, false);

	send_described("INVITE", false);
	send_described("INVITE", false);
	trace_field(f.sim, 1, "late", "x", FIELD_FACT);
	trace_field(f.sim, 99, "nobody's", "x", FIELD_FACT);
	finish(r);
	ck_ask(path, "SELECT nth, path, rep, value, class FROM field",
	       "1|bad\\xff\\x1b[31m|1|\xe2\x82\xac \\xc3(\\x7f\\xc2\\x9b|fact\n1|late|1|x|fact\n1|nonce|1|7|random\n1|time|1|0|time\n"
	       "1|via|1|one|random\n1|via|2|two|random\n"
	       "2|bad\\xff\\x1b[31m|1|\xe2\x82\xac \\xc3(\\x7f\\xc2\\x9b|fact\n2|nonce|1|7|random\n2|time|1|0|time\n"
	       "2|via|1|one|random\n2|via|2|two|random\n");
}
END_TEST

START_TEST(media)
{
	struct recorder *r = start(RECORD_ALL, _i == 1);
	struct recorder *other;
	char other_path[FIXTURE_PATH_MAX];
	uint64_t tag;

	/* An observer that wants media makes the tags exist for the other, too. */
	other = recorder_new(f.sim, fixture_path(&f, "other.db", other_path), RECORD_FLOW, true, f.error);
	ck_assert_ptr_nonnull(other);
	tag = send_described("RTP", true);
	ck_assert_uint_ne(tag, 0);
	trace_fate(f.sim, tag, f.sc1, FATE_ACCEPTED, NULL);
	send_described("INVITE", false);
	finish(r);
	recorder_abandon(other);
	ck_ask(path, "SELECT kind, fate FROM message", _i ? "INVITE|sent\nRTP|accepted\n" : "INVITE|sent\n");
	ck_ask(path, "SELECT kind, count(*) FROM field GROUP BY kind", _i ? "INVITE|5\nRTP|5\n" : "INVITE|5\n");
}
END_TEST

/* Many messages with fates out of order, so that the table of those under way grows, and gaps in it close. */
START_TEST(many_messages)
{
	enum { COUNT = 20000 };
	struct recorder *r = start(RECORD_FLOW, false);
	uint64_t *tags = calloc(COUNT, sizeof *tags);
	uint32_t random = 12345;
	char expected[64];

	for (int i = 0; i < COUNT; i++) {
		int victim;

		f.sim->now_ns++;
		tags[i] = fixture_send(&f, i % 3 ? "A" : "B", f.alice, ALICE_IP, SC1_IP);
		random = random * 1664525 + 1013904223;
		victim = (int)(random % (uint32_t)(i + 1));
		trace_fate(f.sim, tags[victim], f.sc1, random & 0x10000 ? FATE_ACCEPTED : FATE_LOST, "link.loss");
	}
	for (int i = 0; i < COUNT; i++)
		trace_fate(f.sim, tags[i], f.sc1, FATE_ACCEPTED, NULL);
	finish(r);
	free(tags);
	snprintf(expected, sizeof expected, "accepted|%d|13333\n", COUNT);
	ck_ask(path, "SELECT fate, count(*), max(nth) FROM message GROUP BY fate", expected);
	ck_ask(path, "SELECT count(*) FROM message WHERE sent_ns <> iif(kind = 'B', 3 * nth - 2, nth + 1 + (nth - 1) / 2)", "0\n");
}
END_TEST

/* ---- the rest of a run ---- */

static const char *const state_names[] = { "Idle", "Busy" };
static const char *const event_names[] = { "seize", "free" };
static const struct machine_cell cells[] = { { .legal = true, .next = 1 }, { 0 }, { 0 }, { .legal = true, .next = 0 } };
static const struct machine_def line_def = { .name = "line", .states = state_names, .events = event_names, .state_count = 2,
	                                     .event_count = 2, .cells = cells };

static void drive_machine(void)
{
	struct machine machine;

	machine_start(&machine, &line_def, 0);
	f.sim->cause = fixture_send(&f, "INVITE", f.alice, ALICE_IP, SC1_IP);
	f.sim->now_ns = 3;
	machine_event(f.sc1, &machine, 0, NULL);
	machine_event(f.sc1, &machine, 0, NULL);
	f.sim->cause_timer = "hold";
	machine_event(f.sc1, &machine, 1, NULL);
	f.sim->cause = 0;
	f.sim->cause_timer = NULL;
}

START_TEST(steps)
{
	struct recorder *r = start(_i ? RECORD_SUMMARY : RECORD_FLOW, false);

	drive_machine();
	finish(r);
	ck_ask(path, "SELECT * FROM step",
	       _i ? "sc1|line|1|3|Idle|seize|Busy|0|\nsc1|line|2|3|Busy|seize|Busy|1|\nsc1|line|3|3|Busy|free|Idle|0|timer:hold\n"
	          : "sc1|line|1|3|Idle|seize|Busy|0|alice>sc1 INVITE #1\nsc1|line|2|3|Busy|seize|Busy|1|alice>sc1 INVITE #1\n"
	            "sc1|line|3|3|Busy|free|Idle|0|timer:hold\n");
}
END_TEST

START_TEST(refusals)
{
	struct recorder *r = start(_i ? RECORD_SUMMARY : RECORD_FLOW, false);
	uint64_t tag = fixture_send(&f, "AP-REQ", f.mallory, ALICE_IP, SC1_IP);

	trace_refuse(f.sc1, "sc.replay_cache", ALICE_IP, tag, "seen at 1 s");
	trace_refuse(f.sc1, "esp.auth", UINT32_C(0x01020304), 0, "");
	trace_refuse(f.sc1, "esp.auth", 0, 0, "\x01");
	finish(r);
	ck_ask(path, "SELECT * FROM refusal_count", "sc1|esp.auth|2\nsc1|sc.replay_cache|1\n");
	ck_ask(path, "SELECT * FROM refusal",
	       _i ? "" : "sc1|esp.auth|1|0|1.2.3.4||\nsc1|esp.auth|2|0||\\x01|\n"
	                 "sc1|sc.replay_cache|1|0|alice|seen at 1 s|alice>sc1 AP-REQ #1\n");
	ck_ask(path, "SELECT fate, why FROM message", _i ? "" : "refused|sc.replay_cache\n");
}
END_TEST

static void key(enum key_step step, const char *holder, const char *role, uint8_t id, int parent)
{
	struct trace_key news = { .step = step, .holder = holder, .role = role, .algorithm = "des3-cbc", .how = "generated",
		                  .fingerprint = { 0xab, id }, .has_parent = parent >= 0, .parent = { 0xab, (uint8_t)parent } };

	f.sim->now_ns++;
	trace_key(f.sim, &news);
}

START_TEST(keys)
{
	struct recorder *r = start(RECORD_SUMMARY, false);

	key(KEY_BORN, "kdc", "krb.session", 1, -1);        /* 1 */
	key(KEY_DEAD, "kdc", "krb.session", 1, -1);        /* 2: before anybody else has it */
	key(KEY_HELD, "sc1", "krb.session", 1, 9);         /* 3 */
	key(KEY_HELD, "alice", "krb.session", 1, 8);       /* 4 */
	key(KEY_HELD, "alice", "krb.session", 1, -1);      /* 5: a second handle */
	key(KEY_BORN, "sc1", "subkey", 2, 1);              /* 6 */
	key(KEY_DEAD, "alice", "krb.session", 1, -1);      /* 7 */
	key(KEY_DEAD, "alice", "krb.session", 1, -1);      /* 8 */
	key(KEY_BORN, "sc1", "subkey", 3, 3);              /* 9: its own parent: nonsense, left out */
	key(KEY_DEAD, "sc1", "krb.session", 1, -1);        /* 10 */
	key(KEY_DEAD, "sc1", "krb.session", 7, -1);        /* 11: never heard of */
	finish(r);
	ck_ask(path, "SELECT name, parent, born_ns, dead_ns, holders, substr(fingerprint, 1, 6) FROM key",
	       "kdc/krb.session/1|ab090000000000000000000000000000|1|10|alice,kdc,sc1|ab0100\n"
	       "sc1/subkey/1|kdc/krb.session/1|6|-|sc1|ab0200\nsc1/subkey/2||9|-|sc1|ab0300\n");
	ck_ask(path, "SELECT depth, path FROM lineage",
	       "0|kdc/krb.session/1\n1|kdc/krb.session/1 > sc1/subkey/1\n0|sc1/subkey/2\n");
}
END_TEST

static void call(const char *id, const char *event, const char *reason)
{
	struct trace_call news = { .id = id, .caller = "5550101", .callee = "5550102", .event = event, .reason = reason, .at = f.alice };

	f.sim->now_ns += 10;
	trace_call(f.sim, &news);
}

START_TEST(calls)
{
	struct recorder *r = start(RECORD_SUMMARY, false);
	struct trace_record record = { .id = "c1", .account = "A-1", .caller = "5550101", .callee = "5550102", .reason = "",
		                       .start_ns = 10, .answer_ns = 40, .end_ns = 60, .at = f.sc1 };

	call("c1", "dialled", "");
	call("c2", "dialled", "");
	call("c1", "ringing", "");
	call("c1", "answered", "");
	call("c2", "failed", "486 Busy Here");
	call("c1", "released", "");
	call("c1", "released", "the other end's view");
	call("c3", "dialled", "");
	trace_record(f.sim, &record);
	trace_record(f.sim, &record);
	record.id = "c2";
	record.answer_ns = -1;
	trace_record(f.sim, &record);
	finish(r);
	ck_ask(path, "SELECT * FROM call",
	       "c1|5550101|5550102|10|30|40|60|released|\nc2|5550101|5550102|20|-|-|50|failed|486 Busy Here\n"
	       "c3|5550101|5550102|80|-|-|-|open|\n");
	ck_ask(path, "SELECT id, ringing_after_ns, answered_after_ns, talk_ns FROM call_setup", "c1|20|30|20\nc2|-|-|-\nc3|-|-|-\n");
	ck_ask(path, "SELECT id, nth, answer_ns, node FROM call_record", "c1|1|40|sc1\nc1|2|40|sc1\nc2|1|-|sc1\n");
	ck_ask(path, "SELECT * FROM account", "A-1|3|2|40\n");
}
END_TEST

START_TEST(samples_and_verdicts)
{
	struct recorder *r = start(RECORD_SUMMARY, false);
	struct verdict held = { .claim = "alice talks", .result = "held", .at_ns = 4, .because = "", .place = "calls/x.lua:3" };
	struct verdict failed = { .claim = "bob talks", .result = "failed", .at_ns = 5, .because = "no answer",
		                  .place = "calls/x.lua:4" };

	trace_sample(f.sc1, "b", -3, "ns");
	trace_sample(f.sc1, "a", INT64_MAX, "packets");
	trace_sample(f.sc1, "b", 4, "ns");
	recorder_verdict(r, &held);
	recorder_verdict(r, &failed);
	recorder_verdict(r, &held);
	finish(r);
	ck_ask(path, "SELECT * FROM sample", "sc1|a|1|0|9223372036854775807|packets\nsc1|b|1|0|-3|ns\nsc1|b|2|0|4|ns\n");
	ck_ask(path, "SELECT * FROM verdict", "alice talks|1|held|4||calls/x.lua:3\nalice talks|2|held|4||calls/x.lua:3\n"
	                                      "bob talks|1|failed|5|no answer|calls/x.lua:4\n");
	ck_ask(path, "SELECT * FROM failures", "5|verdict|calls/x.lua:4|bob talks: no answer\n");
}
END_TEST

START_TEST(run_and_topology)
{
	struct recorder *r = start(RECORD_SUMMARY, false);

	f.sim->now_ns = 77;
	recorder_run_value(r, "scenario", "x");
	recorder_run_value(r, "scenario", "scenarios/calls/x.lua");
	recorder_run_value(r, "seed", "host's");
	recorder_node_model(r, f.kdc, "kdc");
	finish(r);
	ck_ask(path, "SELECT * FROM run",
	       "end_ns|77\nepoch_s|955324800\nrecord|summary\nscenario|scenarios/calls/x.lua\nseed|host's\n");
	ck_ask(path, "SELECT * FROM node", "alice|\nkdc|kdc\nmallory|\nsc1|\n");
	ck_ask(path, "SELECT * FROM iface WHERE node = 'kdc'", "kdc|eth0|02:00:00:00:00:02|10.1.0.4|lan\n");
}
END_TEST

/* A run with something of everything. order: the fates come in another order at the same times. */
static void whole_run(struct recorder *r, int order)
{
	uint64_t tags[4];

	for (int i = 0; i < 4; i++)
		tags[i] = send_described(i & 1 ? "INVITE" : "BYE", false);
	f.sim->now_ns++;
	for (int i = 0; i < 4; i++)
		trace_fate(f.sim, tags[order ? 3 - i : i], f.sc1, FATE_ACCEPTED, NULL);
	drive_machine();
	trace_refuse(f.sc1, "sc.replay_cache", ALICE_IP, tags[0], "");
	key(KEY_BORN, "kdc", "krb.session", 1, -1);
	call("c1", "dialled", "");
	trace_sample(f.sc1, "rtp.sent", 3, "packets");
	if (order)
		recorder_run_value(r, "args", "first try");
	recorder_run_value(r, "args", "a=1");
}

START_TEST(same_bytes)
{
	struct recorder *r = start(RECORD_ALL, false);
	char other[FIXTURE_PATH_MAX];

	whole_run(r, 0);
	finish(r);
	sim_free(f.sim);
	fixture_run_new(&f);
	r = recorder_new(f.sim, fixture_path(&f, "a longer name of a file.db", other), RECORD_ALL, false, f.error);
	ck_assert_ptr_nonnull(r);
	whole_run(r, 1);
	ck_assert(recorder_finish(r, f.error));
	fixture_same_bytes(path, other);
	ck_assert_uint_eq(fixture_file_count(&f), 2);
}
END_TEST

START_TEST(nothing_of_the_host)
{
	struct recorder *r = start(RECORD_ALL, false);
	char host[256] = "", pid[32];
	size_t len;
	char *bytes;

	whole_run(r, 0);
	finish(r);
	gethostname(host, sizeof host - 1);
	snprintf(pid, sizeof pid, ".%ld.", (long)getpid());
	bytes = fixture_read(path, &len);
	ck_assert_ptr_null(memmem(bytes, len, f.folder, strlen(f.folder)));
	ck_assert_ptr_null(memmem(bytes, len, "run.db", 6));
	ck_assert_ptr_null(memmem(bytes, len, pid, strlen(pid)));
	ck_assert(host[0] == '\0' || memmem(bytes, len, host, strlen(host)) == NULL);
	free(bytes);
}
END_TEST

START_TEST(schema)
{
	struct recorder *r = start(RECORD_ALL, false);

	whole_run(r, 0);
	finish(r);
	ck_ask(path, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'"
	             " AND NOT (wr AND strict)", "0\n");
	ck_ask(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
	       "account\ncall\ncall_record\nfield\niface\nkey\nmessage\nnode\nrefusal\nrefusal_count\nrun\nsample\nstep\nverdict\n");
	ck_ask(path, "SELECT DISTINCT c.type FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1",
	       "INTEGER\nTEXT\n");
	ck_ask(path, "PRAGMA user_version", "1\n");
	ck_ask(path, "PRAGMA application_id", "1416588396\n");
	ck_ask(path, "PRAGMA integrity_check", "ok\n");
	ck_ask(path, "SELECT kind, nth FROM ladder", "BYE|1\nBYE|2\nINVITE|1\nINVITE|2\nINVITE|3\n");
	ck_ask(path, "SELECT what, count(*) FROM timeline GROUP BY what", "call|1\nkey|1\nmessage|5\nrefusal|1\nstep|3\n");
	ck_ask(path, "SELECT what, who, text FROM failures", "step|sc1|line: seize refused in Busy\n");
}
END_TEST

/* ---- accidents ---- */

static void put_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "wb");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void check_old_stands(const char *old)
{
	size_t len;
	char *bytes = fixture_read(path, &len);

	ck_assert_str_eq(bytes, old);
	free(bytes);
}

START_TEST(abandon)
{
	struct recorder *r;

	put_file(path, "old");
	r = start(RECORD_ALL, false);
	whole_run(r, 0);
	recorder_abandon(r);
	check_old_stands("old");
	ck_assert_uint_eq(fixture_file_count(&f), 1);
	ck_assert_uint_eq(f.sim->trace_mask, 0);
}
END_TEST

/* Writes until a limit on the size of a file, as a full disk would set it. Returns its exit status. */
static int write_with_limit(rlim_t bytes)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct rlimit limit = { bytes, bytes };
		struct recorder *r;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		r = recorder_new(f.sim, path, RECORD_ALL, false, f.error);
		for (int i = 0; r && i < 20000; i++)
			trace_fate(f.sim, fixture_send(&f, "A", f.alice, ALICE_IP, SC1_IP), f.sc1, FATE_ACCEPTED, NULL);
		if (r && recorder_finish(r, f.error))
			_exit(0);
		_exit(strstr(f.error, "cannot be written: ") ? 1 : 2);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(full_disk)
{
	static const rlim_t limits[] = { 0, 4096, 100000, 1000000, 4000000 };

	put_file(path, "old");
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		ck_assert_msg(write_with_limit(limits[i]) == 1, "limit %lu", (unsigned long)limits[i]);
		check_old_stands("old");
		ck_assert_uint_eq(fixture_file_count(&f), 1);
	}
	ck_assert_int_eq(write_with_limit(RLIM_INFINITY), 0);
	ck_ask(path, "SELECT count(*) FROM message", "20000\n");
	ck_assert_uint_eq(fixture_file_count(&f), 1);
}
END_TEST

START_TEST(bad_target)
{
	char bad[FIXTURE_PATH_MAX];

	ck_assert_ptr_null(recorder_new(f.sim, fixture_path(&f, "no/such/folder.db", bad), RECORD_ALL, false, f.error));
	ck_assert_ptr_nonnull(strstr(f.error, "cannot be written"));
	/* a folder stands where the file should go: noticed at the end, nothing is left */
	fixture_path(&f, "folder", path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	fixture_path(&f, "folder/inside", bad);
	put_file(bad, "x");
	ck_assert(!recorder_finish(start(RECORD_FLOW, false), f.error));
	ck_assert_ptr_nonnull(strstr(f.error, "cannot be written"));
	ck_assert_uint_eq(fixture_file_count(&f), 1);
}
END_TEST

/* Kills a writer after so many microseconds; then whatever stands is the old database or the new one, whole. */
static void kill_writer(long delay_us)
{
	pid_t child = fork();
	struct timespec delay = { 0, delay_us * 1000 };
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct recorder *r = recorder_new(f.sim, path, RECORD_ALL, false, f.error);

		for (int i = 0; r && i < 3000; i++)
			trace_fate(f.sim, fixture_send(&f, "A", f.alice, ALICE_IP, SC1_IP), f.sc1, FATE_ACCEPTED, NULL);
		_exit(r && recorder_finish(r, f.error) ? 0 : 1);
	}
	nanosleep(&delay, NULL);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

START_TEST(killed)
{
	struct recorder *r = start(RECORD_FLOW, false);

	fixture_send(&f, "OLD", f.alice, ALICE_IP, SC1_IP);
	finish(r);
	for (long i = 0; i < 60; i++) {
		const char *rows;

		kill_writer(i * 700);
		ck_ask(path, "PRAGMA integrity_check", "ok\n");
		rows = fixture_ask(path, "SELECT kind, count(*) FROM message GROUP BY kind");
		ck_assert_msg(strcmp(rows, "OLD|1\n") == 0 || strcmp(rows, "A|3000\n") == 0, "after %ld us: %s", i * 700, rows);
	}
	recorder_abandon(start(RECORD_FLOW, false)); /* sweeps what the killed left */
	ck_assert_uint_eq(fixture_file_count(&f), 1);
}
END_TEST

START_TEST(stale_files)
{
	char mine[FIXTURE_PATH_MAX], dead[FIXTURE_PATH_MAX], alive[FIXTURE_PATH_MAX], others[FIXTURE_PATH_MAX];
	pid_t child = fork();
	char name[64];

	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	snprintf(name, sizeof name, ".run.db.%ld.new", (long)getpid());
	put_file(fixture_path(&f, name, mine), "");
	snprintf(name, sizeof name, ".run.db.%ld.tmp", (long)child);
	put_file(fixture_path(&f, name, dead), "");
	snprintf(name, sizeof name, ".run.db.%ld.tmp", (long)getppid());
	put_file(fixture_path(&f, name, alive), "");
	snprintf(name, sizeof name, ".run.dbx.%ld.tmp", (long)child);
	put_file(fixture_path(&f, name, others), "");
	finish(start(RECORD_FLOW, false));
	ck_assert_int_ne(access(mine, F_OK), 0);
	ck_assert_int_ne(access(dead, F_OK), 0);
	ck_assert_int_eq(access(alive, F_OK), 0);
	ck_assert_int_eq(access(others, F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recorder");
	TCase *messages = tcase_create("messages"), *rest = tcase_create("rest"), *accidents = tcase_create("accidents");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(messages, setup, teardown);
	tcase_set_timeout(messages, 60);
	tcase_add_loop_test(messages, fates, 0, (int)(sizeof fate_rows / sizeof fate_rows[0]));
	tcase_add_test(messages, message_row);
	tcase_add_test(messages, cover_after_fate);
	tcase_add_test(messages, natural_keys);
	tcase_add_test(messages, causes);
	tcase_add_test(messages, addresses_change);
	tcase_add_test(messages, fields);
	tcase_add_loop_test(messages, media, 0, 2);
	tcase_add_test(messages, many_messages);
	tcase_add_checked_fixture(rest, setup, teardown);
	tcase_set_timeout(rest, 60);
	tcase_add_loop_test(rest, steps, 0, 2);
	tcase_add_loop_test(rest, refusals, 0, 2);
	tcase_add_test(rest, keys);
	tcase_add_test(rest, calls);
	tcase_add_test(rest, samples_and_verdicts);
	tcase_add_test(rest, run_and_topology);
	tcase_add_test(rest, same_bytes);
	tcase_add_test(rest, nothing_of_the_host);
	tcase_add_test(rest, schema);
	tcase_add_checked_fixture(accidents, setup, teardown);
	tcase_set_timeout(accidents, 60);
	tcase_add_test(accidents, abandon);
	tcase_add_test(accidents, full_disk);
	tcase_add_test(accidents, bad_target);
	tcase_add_test(accidents, killed);
	tcase_add_test(accidents, stale_files);
	suite_add_tcase(suite, messages);
	suite_add_tcase(suite, rest);
	suite_add_tcase(suite, accidents);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * The ladder and the list of verdicts: what they print for databases that this test has the recorder write, character by
 * character, at several widths and with each filter; and that a file which is no such database gives an error and no more.
 */
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

/* ---- a run ---- */

static const char *const state_names[] = { "NotConfigured", "UnprovisionedAccess" };
static const char *const event_names[] = { "pkinit" };
static const struct machine_cell cells[] = { { .legal = true, .next = 1 }, { 0 } };
static const struct machine_def telephony_def = { .name = "telephony", .states = state_names, .events = event_names,
	                                          .state_count = 2, .event_count = 1, .cells = cells };

static const char *call_id; /* of the message being described, NULL: none */

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	(void)bytes, (void)len;
	if (call_id)
		sink(ctx, "Call-ID", call_id, FIELD_RANDOM);
}

struct sending {
	const char *kind, *proto;
	struct node *actor;
	uint32_t src, dst;
	enum cover cover;
};

/* Sends, and lets it meet its fate after so long; FATE_SENT: none. Time goes on until then. */
static uint64_t deliver(const struct sending *s, sim_ns after_ns, enum fate fate, const char *why)
{
	struct trace_send send = { .actor = s->actor, .kind = s->kind, .proto = s->proto, .src_ip = s->src, .dst_ip = s->dst,
		                   .cover = s->cover, .bytes = (const uint8_t *)"0123456789", .len = 10, .describe = describe,
		                   .media = strcmp(s->proto, "rtp") == 0 };
	uint64_t tag = trace_sent(f.sim, &send);

	f.sim->now_ns += after_ns;
	if (fate != FATE_SENT)
		trace_fate(f.sim, tag, f.sc1, fate, why);
	return tag;
}

static void call_event(const char *id, const char *event, const char *reason)
{
	struct trace_call news = { .id = id, .caller = "5550101", .callee = "5550102", .event = event, .reason = reason, .at = f.alice };

	trace_call(f.sim, &news);
}

static void run(struct recorder *r)
{
	const struct sending as_req = { "AS-REQ", "krb5", f.alice, ALICE_IP, KDC_IP, COVER_KRB5 };
	const struct sending as_rep = { "AS-REP", "krb5", f.kdc, KDC_IP, ALICE_IP, COVER_KRB5 };
	const struct sending invite = { "INVITE", "sip", f.alice, ALICE_IP, SC1_IP, COVER_ESP };
	const struct sending replay = { "AP-REQ", "pktc", f.mallory, ALICE_IP, SC1_IP, COVER_CLEAR };
	const struct sending bye = { "BYE", "sip", f.sc1, SC1_IP, ALICE_IP, COVER_AH };
	const struct verdict failed = { "alice talks", "failed", 13 * NS_PER_S, "no \033[31manswer\nin time", "calls/x.lua:12" };
	struct verdict held = { "keys are gone", "held", 12 * NS_PER_S + 345678901, "", "calls/x.lua:9" };
	struct machine machine;

	recorder_run_value(r, "scenario", "scenarios/calls/x.lua");
	f.sim->now_ns = 1250000;
	call_id = NULL;
	deliver(&as_req, 12400000, FATE_ACCEPTED, NULL);
	deliver(&as_rep, 980, FATE_ACCEPTED, NULL);
	machine_start(&machine, &telephony_def, 0);
	machine_event(f.alice, &machine, 0, NULL);
	machine_event(f.kdc, &machine, 0, NULL);
	f.sim->now_ns = 10 * NS_PER_S;
	call_event("call-1", "dialled", "");
	call_id = "call-1";
	deliver(&invite, 0, FATE_LOST, "link.loss");
	deliver(&invite, NS_PER_MS, FATE_ACCEPTED, NULL);
	call_id = NULL;
	deliver(&replay, NS_PER_MS, FATE_REFUSED, "sc.replay_cache");
	trace_refuse(f.sc1, "esp.unknown_spi", MALLORY_IP, 0, "0x1234abcd");
	for (int i = 0; i < 5; i++) {
		f.sim->now_ns += NS_PER_S / 2;
		trace_sample(f.alice, "rtp.sent", 25, "packets");
		trace_sample(f.alice, "rtp.received", 24, "packets");
		trace_sample(f.sc1, "rtp.sent", 24, "packets");
		trace_sample(f.sc1, "queue", 9, "packets");
	}
	call_id = "leg-2";
	deliver(&bye, 0, FATE_INTERCEPTED, "");
	deliver(&bye, 0, FATE_SENT, NULL);
	call_event("call-1", "failed", "486 Busy Here");
	recorder_verdict(r, &held);
	recorder_verdict(r, &failed);
}

static void record(enum record_level level)
{
	struct recorder *r = recorder_new(f.sim, path, level, false, f.error);

	ck_assert_msg(r != NULL, "%s", f.error);
	run(r);
	ck_assert_msg(recorder_finish(r, f.error), "%s", f.error);
}

/* What is printed; f.error when that fails. */
static const char *printed(int (*print)(const char *, const struct ladder_options *, FILE *, char *),
                           const struct ladder_options *options, int expected_code)
{
	static char text[65536];
	FILE *out = fmemopen(text, sizeof text, "w");
	int code;

	memset(text, 0, sizeof text);
	ck_assert_ptr_nonnull(out);
	code = print(path, options, out, f.error);
	fclose(out);
	ck_assert_msg(code == expected_code, "%d: %s", code, f.error);
	return text;
}

static const char *ladder(const struct ladder_options *options)
{
	return printed(ladder_print, options, 0);
}

static int print_verdicts(const char *file, const struct ladder_options *options, FILE *out, char *error)
{
	(void)options;
	return verdicts_print(file, out, error);
}

static void ck_ladder(const struct ladder_options *options, const char *expected)
{
	ck_assert_str_eq(ladder(options), expected);
}

/* ---- what is printed ---- */

START_TEST(ascii)
{
	record(RECORD_ALL);
	ck_ladder(&(struct ladder_options){ 0 },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s     alice         kdc          sc1        mallory\n"
	          "  0.001250       |~ AS-REQ ~~>|            |            |  [krb5] 10 B 12.4 ms\n"
	          "  0.013650       |<~ AS-REP ~~|            |            |  [krb5] 10 B 980 ns\n"
	          "  0.013650       * telephony: NotConfigured -> UnprovisionedAccess\n"
	          "  0.013650       |            x telephony: pkinit refused in UnprovisionedAccess\n"
	          "            ... 9.98 s ...    |            |            |\n"
	          " 10.000000  call: 5550101 dials 5550102    |            |\n"
	          " 10.000000       |===== INVITE =====x      |            |  [esp] lost: link.loss\n"
	          " 10.000000       |====== INVITE #2 =======>|            |  [esp] 10 B 1.00 ms\n"
	          " 10.001000       |            |            |x- AP-REQ --|  [clear] as alice refused: sc.replay_cache\n"
	          " 10.002000       |            |            x refused: esp.unknown_spi from mallory: 0x1234abcd\n"
	          " 10.502000       |::::::::: media :::::::::|            |  [rtp] for 2.00 s\n"
	          "            sent/received: alice 125/120, sc1 120/0     |\n"
	          " 12.502000       |      x++++++ BYE +++++++|            |  [ah] intercepted\n"
	          " 12.502000       |?++++++++ BYE #2 ++++++++|            |  [ah] no fate\n"
	          " 12.502000  call: 5550101 to 5550102 failed: 486 Busy Here\n"
	          " 13.000000  claim failed: alice talks (calls/x.lua:12)  |\n"
	          "messages: 7\n");
}
END_TEST

START_TEST(utf8)
{
	record(RECORD_ALL);
	ck_ladder(&(struct ladder_options){ .utf8 = true },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s     alice         kdc          sc1        mallory\n"
	          "  0.001250       │~ AS-REQ ~~▶│            │            │  [krb5] 10 B 12.4 ms\n"
	          "  0.013650       │◀~ AS-REP ~~│            │            │  [krb5] 10 B 980 ns\n"
	          "  0.013650       * telephony: NotConfigured -> UnprovisionedAccess\n"
	          "  0.013650       │            ✗ telephony: pkinit refused in UnprovisionedAccess\n"
	          "            … 9.98 s …        │            │            │\n"
	          " 10.000000  call: 5550101 dials 5550102    │            │\n"
	          " 10.000000       │═════ INVITE ═════✗      │            │  [esp] lost: link.loss\n"
	          " 10.000000       │══════ INVITE #2 ═══════▶│            │  [esp] 10 B 1.00 ms\n"
	          " 10.001000       │            │            │✗─ AP-REQ ──│  [clear] as alice refused: sc.replay_cache\n"
	          " 10.002000       │            │            ✗ refused: esp.unknown_spi from mallory: 0x1234abcd\n"
	          " 10.502000       │::::::::: media :::::::::│            │  [rtp] for 2.00 s\n"
	          "            sent/received: alice 125/120, sc1 120/0     │\n"
	          " 12.502000       │      ✗━━━━━━ BYE ━━━━━━━│            │  [ah] intercepted\n"
	          " 12.502000       │?━━━━━━━━ BYE #2 ━━━━━━━━│            │  [ah] no fate\n"
	          " 12.502000  call: 5550101 to 5550102 failed: 486 Busy Here\n"
	          " 13.000000  claim failed: alice talks (calls/x.lua:12)  │\n"
	          "messages: 7\n");
}
END_TEST

START_TEST(narrow)
{
	record(RECORD_ALL);
	ck_ladder(&(struct ladder_options){ .width = 60 },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s   alice    kdc     sc1   mallory\n"
	          "  0.001250     |~~~~~~>|       |       |  AS-REQ [krb5] 10 ~\n"
	          "  0.013650     |<~~~~~~|       |       |  AS-REP [krb5] 10 ~\n"
	          "  0.013650     * telephony: NotConfigured -> UnprovisionedA~\n"
	          "  0.013650     |       x telephony: pkinit refused in Unpro~\n"
	          "            ... 9.98 s ...     |       |\n"
	          " 10.000000  call: 5550101 dials 5550102|\n"
	          " 10.000000     |= INVITE ==x   |       |  [esp] lost: link.~\n"
	          " 10.000000     |= INVITE #2 ==>|       |  [esp] 10 B 1.00 ms\n"
	          " 10.001000     |       |       |x------|  AP-REQ [clear] as~\n"
	          " 10.002000     |       |       x refused: esp.unknown_spi f~\n"
	          " 10.502000     |:::: media ::::|       |  [rtp] for 2.00 s\n"
	          "            sent/received: alice 125/120, sc1 120/0\n"
	          " 12.502000     |   x+++ BYE +++|       |  [ah] intercepted\n"
	          " 12.502000     |?+++ BYE #2 +++|       |  [ah] no fate\n"
	          " 12.502000  call: 5550101 to 5550102 failed: 486 Busy Here\n"
	          " 13.000000  claim failed: alice talks (calls/x.lua:12)\n"
	          "messages: 7\n"
	          "cut short, with ~ at the end: 7\n");
	ck_ladder(&(struct ladder_options){ .width = 48 },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s    alice       sc1\n"
	          "  0.013650      * telephony: NotConfigured -> U~\n"
	          "            ... 9.98 s ... |\n"
	          " 10.000000  call: 5550101 dials 5550102\n"
	          " 10.000000      |=======x  |  INVITE [esp] lost~\n"
	          " 10.000000      |=========>|  INVITE #2 [esp] 1~\n"
	          " 10.002000      |          x refused: esp.unkno~\n"
	          " 10.502000      |: media ::|  [rtp] for 2.00 s\n"
	          "            sent/received: alice 125/120, sc1 1~\n"
	          " 12.502000      |  x+ BYE +|  [ah] intercepted\n"
	          " 12.502000      |?+++++++++|  BYE #2 [ah] no fa~\n"
	          " 12.502000  call: 5550101 to 5550102 failed: 48~\n"
	          " 13.000000  claim failed: alice talks (calls/x.~\n"
	          "messages: 4\n"
	          "left out for want of width: kdc, mallory\n"
	          "  with them messages: 3, notes: 1\n"
	          "cut short, with ~ at the end: 8\n");
}
END_TEST

START_TEST(filters)
{
	record(RECORD_ALL);
	ck_ladder(&(struct ladder_options){ .node = "kdc" },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s     alice         kdc\n"
	          "  0.001250       |~ AS-REQ ~~>|  [krb5] 10 B 12.4 ms\n"
	          "  0.013650       |<~ AS-REP ~~|  [krb5] 10 B 980 ns\n"
	          "  0.013650       |            x telephony: pkinit refused in UnprovisionedAccess\n"
	          "messages: 2, not selected: 5\n");
	ck_ladder(&(struct ladder_options){ .node = "mallory" },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s    mallory        sc1\n"
	          " 10.001000       |- AP-REQ --x|  [clear] as alice refused: sc.replay_cache\n"
	          "messages: 1, not selected: 6\n");
	ck_ladder(&(struct ladder_options){ .kind = "INVITE" },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s       alice            sc1\n"
	          " 10.000000         |= INVITE ==x   |  [esp] lost: link.loss\n"
	          " 10.000000         |= INVITE #2 ==>|  [esp] 10 B 1.00 ms\n"
	          "messages: 2, not selected: 5\n");
	ck_ladder(&(struct ladder_options){ .until_ns = 13650980 },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s     alice         kdc\n"
	          "  0.001250       |~ AS-REQ ~~>|  [krb5] 10 B 12.4 ms\n"
	          "  0.013650       |<~ AS-REP ~~|  [krb5] 10 B 980 ns\n"
	          "  0.013650       * telephony: NotConfigured -> UnprovisionedAccess\n"
	          "  0.013650       |            x telephony: pkinit refused in UnprovisionedAccess\n"
	          "messages: 2, not selected: 5\n");
	ck_ladder(&(struct ladder_options){ .from_ns = 10 * NS_PER_S + 1, .until_ns = 11 * NS_PER_S },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s    mallory        sc1         alice\n"
	          " 10.001000       |- AP-REQ --x|            |  [clear] as alice refused: sc.replay_cache\n"
	          " 10.002000       |            x refused: esp.unknown_spi from mallory: 0x1234abcd\n"
	          " 10.502000       |            |:: media :::|  [rtp]\n"
	          "            sent/received: sc1 24/0, alice 25/24\n"
	          "messages: 1, not selected: 6\n");
	ck_ladder(&(struct ladder_options){ .from_ns = 20 * NS_PER_S },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "messages: 0, not selected: 7\n");
}
END_TEST

START_TEST(summary)
{
	record(RECORD_SUMMARY);
	ck_ladder(&(struct ladder_options){ .from_ns = 10 * NS_PER_S },
	          "scenario scenarios/calls/x.lua, seed 7\n"
	          "    time s     alice        sc1\n"
	          " 10.000000  call: 5550101 dials 5550102\n"
	          " 10.502000       |:: media ::|  [rtp] for 2.00 s\n"
	          "            sent/received: alice 125/120, sc1 120/0\n"
	          " 12.502000  call: 5550101 to 5550102 failed: 486 Busy Here\n"
	          " 13.000000  claim failed: alice talks (calls/x.lua:12)\n"
	          "messages: 0\n"
	          "recorded as a summary: there are no messages in it\n");
}
END_TEST

/* A call of two legs, with an exchange that has no Call-ID, while another call and a bystander go on. */
static void run_of_a_call(struct recorder *r)
{
	const struct sending leg1 = { "INVITE", "sip", f.alice, ALICE_IP, SC1_IP, COVER_ESP };
	const struct sending leg2 = { "INVITE", "sip", f.sc1, SC1_IP, KDC_IP, COVER_ESP };
	const struct sending ap = { "AP-REQ", "pktc", f.sc1, SC1_IP, KDC_IP, COVER_KRB5 };
	const struct sending foreign = { "INVITE", "sip", f.mallory, MALLORY_IP, SC1_IP, COVER_ESP };
	const struct sending bystander = { "AS-REQ", "krb5", f.mallory, MALLORY_IP, KDC_IP, COVER_KRB5 };
	const struct sending trying = { "100 INVITE", "sip", f.kdc, KDC_IP, SC1_IP, COVER_ESP };
	uint64_t first;

	(void)r;
	call_id = NULL;
	deliver(&ap, NS_PER_MS, FATE_ACCEPTED, NULL); /* before the call */
	call_event("call-1", "dialled", "");
	call_id = "call-1";
	first = deliver(&leg1, NS_PER_MS, FATE_ACCEPTED, NULL);
	f.sim->cause = first;
	call_id = "call-2"; /* in the table of calls: another one, though the first has led to it */
	call_event("call-2", "dialled", "");
	deliver(&foreign, NS_PER_MS, FATE_ACCEPTED, NULL);
	call_id = "leg-2";
	deliver(&leg2, NS_PER_MS, FATE_ACCEPTED, NULL);
	f.sim->cause = 0;
	call_id = NULL;
	deliver(&ap, NS_PER_MS, FATE_ACCEPTED, NULL);
	deliver(&bystander, NS_PER_MS, FATE_ACCEPTED, NULL);
	call_id = "leg-2";
	deliver(&trying, NS_PER_MS, FATE_ACCEPTED, NULL);
	call_event("call-1", "released", "");
	f.sim->now_ns += 6 * NS_PER_S;
	deliver(&leg2, NS_PER_MS, FATE_ACCEPTED, NULL); /* long after it */
}

static void record_call(enum record_level level)
{
	struct recorder *r = recorder_new(f.sim, path, level, false, f.error);

	ck_assert_msg(r != NULL, "%s", f.error);
	run_of_a_call(r);
	ck_assert_msg(recorder_finish(r, f.error), "%s", f.error);
}

START_TEST(one_call)
{
	record_call(RECORD_ALL);
	ck_ladder(&(struct ladder_options){ .call = "call-1" },
	          "seed 7\n"
	          "call call-1\n"
	          "    time s       alice             sc1              kdc\n"
	          "  0.001000  call: 5550101 dials 5550102              |\n"
	          "  0.001000         |=== INVITE ====>|                |  [esp] 10 B 1.00 ms\n"
	          "  0.003000         |                |=== INVITE ====>|  [esp] 10 B 1.00 ms\n"
	          "  0.004000         |                |~~ AP-REQ #2 ~~>|  [krb5] 10 B 1.00 ms\n"
	          "  0.006000         |                |<= 100 INVITE ==|  [esp] 10 B 1.00 ms\n"
	          "  0.007000  call: 5550101 to 5550102 released        |\n"
	          "messages: 4, not selected: 4\n");
	ck_ladder(&(struct ladder_options){ .call = "call-2" },
	          "seed 7\n"
	          "call call-2\n"
	          "    time s    mallory        sc1\n"
	          "  0.002000  call: 5550101 dials 5550102\n"
	          "  0.002000       |= INVITE ==>|  [esp] 10 B 1.00 ms\n"
	          "messages: 1, not selected: 7\n");
	printed(ladder_print, &(struct ladder_options){ .call = "call-" }, 2);
	ck_assert_ptr_nonnull(strstr(f.error, "more than one call whose id is or begins with \"call-\""));
	printed(ladder_print, &(struct ladder_options){ .call = "x" }, 2);
	ck_assert_ptr_nonnull(strstr(f.error, "no call whose id is or begins with \"x\""));
	printed(ladder_print, &(struct ladder_options){ .node = "alcie" }, 2);
	ck_assert_ptr_nonnull(strstr(f.error, "no node \"alcie\""));
}
END_TEST

START_TEST(one_call_without_fields)
{
	record_call(RECORD_FLOW);
	ck_ladder(&(struct ladder_options){ .call = "call-1", .kind = "AS-REQ" },
	          "seed 7\n"
	          "call call-1\n"
	          "no fields were recorded: this is all that\n"
	          "happened in the time of the call\n"
	          "    time s    mallory        kdc\n"
	          "  0.005000       |~ AS-REQ ~~>|  [krb5] 10 B 1.00 ms\n"
	          "messages: 1, not selected: 7\n");
}
END_TEST

/* Media packets recorded one by one, without samples, make a bar all the same; asked for by kind they are arrows. */
START_TEST(media_messages)
{
	const struct sending rtp = { "RTP", "rtp", f.alice, ALICE_IP, SC1_IP, COVER_RTP };
	struct recorder *r = recorder_new(f.sim, path, RECORD_FLOW, true, f.error);

	ck_assert_ptr_nonnull(r);
	for (int i = 0; i < 100; i++)
		deliver(&rtp, 20 * NS_PER_MS, i % 10 ? FATE_ACCEPTED : FATE_LOST, "link.loss");
	ck_assert(recorder_finish(r, f.error));
	ck_ladder(&(struct ladder_options){ 0 },
	          "seed 7\n"
	          "    time s     alice        sc1\n"
	          "  0.000000       |:: media ::|  [rtp] for 1.98 s\n"
	          "            sent/received: alice 100/0, sc1 0/90\n"
	          "messages: 0, folded into bars: 100\n");
	ck_ladder(&(struct ladder_options){ .kind = "RTP", .until_ns = 30 * NS_PER_MS },
	          "seed 7\n"
	          "    time s     alice         sc1\n"
	          "  0.000000       |:: RTP ::x  |  [rtp] lost: link.loss\n"
	          "  0.020000       |: RTP #2 ::>|  [rtp] 10 B 20.0 ms\n"
	          "messages: 2, not selected: 98\n");
}
END_TEST

/* A long run: pauses of every size, and names again after fifty lines. */
START_TEST(pauses)
{
	static const sim_ns lengths[] = { NS_PER_S - 1, NS_PER_S, 59 * NS_PER_S, 60 * NS_PER_S, 3599 * NS_PER_S, 3600 * NS_PER_S,
		                          86400 * NS_PER_S, 1000000 * NS_PER_S };
	const struct sending invite = { "INVITE", "sip", f.alice, ALICE_IP, SC1_IP, COVER_CLEAR };
	struct recorder *r = recorder_new(f.sim, path, RECORD_FLOW, false, f.error);
	const char *text, *names = "time s";
	int headers = 0;

	ck_assert_ptr_nonnull(r);
	deliver(&invite, 0, FATE_ACCEPTED, NULL);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
		deliver(&invite, lengths[i], FATE_ACCEPTED, NULL);
	deliver(&invite, 0, FATE_ACCEPTED, NULL);
	for (int i = 0; i < 100; i++)
		deliver(&invite, 1, FATE_ACCEPTED, NULL);
	ck_assert(recorder_finish(r, f.error));
	text = ladder(&(struct ladder_options){ 0 });
	ck_assert_ptr_nonnull(strstr(text, "... 1.00 s ..."));
	ck_assert_ptr_nonnull(strstr(text, "... 59.0 s ..."));
	ck_assert_ptr_nonnull(strstr(text, "... 1 min 0 s ..."));
	ck_assert_ptr_nonnull(strstr(text, "... 59 min 59 s ..."));
	ck_assert_ptr_nonnull(strstr(text, "... 1 h 0 min ..."));
	ck_assert_ptr_nonnull(strstr(text, "... 1 d 0 h ..."));
	ck_assert_ptr_nonnull(strstr(text, "... 11 d 13 h ..."));
	ck_assert_ptr_null(strstr(text, "999 ms ..."));
	for (const char *at = text; (at = strstr(at, names)) != NULL; at++)
		headers++;
	ck_assert_int_eq(headers, 3); /* 110 messages and 7 pauses */
}
END_TEST

/* Characters, not bytes. */
static size_t line_width(const char *line, const char *end)
{
	size_t width = 0;

	for (; line < end; line++)
		width += ((unsigned char)*line & 0xc0) != 0x80;
	return width;
}

START_TEST(widths)
{
	struct node *many[12];

	for (uint32_t i = 0; i < 12; i++) {
		char name[NODE_NAME_MAX + 1];

		snprintf(name, sizeof name, "a_rather_long_name_of_an_element_%u", i);
		many[i] = fixture_node(&f, name, UINT32_C(0x0a020000) + i);
	}
	{
		struct recorder *r = recorder_new(f.sim, path, RECORD_ALL, false, f.error);

		ck_assert_ptr_nonnull(r);
		run(r);
		for (uint32_t i = 0; i < 12; i++) {
			const struct sending hello = { "A-LONG-KIND-OF-MESSAGE", "x", many[i], UINT32_C(0x0a020000) + i,
				                       UINT32_C(0x0a020000) + (i * 5 + 1) % 12, COVER_CLEAR };

			deliver(&hello, 1, FATE_ACCEPTED, NULL);
		}
		ck_assert(recorder_finish(r, f.error));
	}
	for (unsigned width = 0; width < 300; width++) {
		const char *text = ladder(&(struct ladder_options){ .width = width, .utf8 = width % 2 });
		unsigned limit = width == 0 ? 100 : width < 48 ? 48 : width;

		for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
			ck_assert_msg(line_width(text, end) <= limit, "width %u: %.*s", width, (int)(end - text), text);
	}
	ck_assert_ptr_nonnull(strstr(ladder(&(struct ladder_options){ .width = 80 }), "\nleft out for want of width: "));
	ck_assert_ptr_nonnull(strstr(ladder(&(struct ladder_options){ .width = 200 }), "\nnames: "));
	ck_assert_ptr_null(strstr(ladder(&(struct ladder_options){ .width = 800 }), "left out"));
}
END_TEST

/* Without its color the text is the same, and nothing in a database reaches the terminal as a control. */
START_TEST(color)
{
	struct recorder *r = recorder_new(f.sim, path, RECORD_ALL, false, f.error);
	char plain[65536];
	size_t len = 0;
	const char *text;

	ck_assert_ptr_nonnull(r);
	recorder_run_value(r, "scenario", "\033[2J\xc2\x9b");
	run(r);
	recorder_run_value(r, "scenario", "\033[2J\xc2\x9b");
	ck_assert(recorder_finish(r, f.error));
	text = ladder(&(struct ladder_options){ .color = true });
	ck_assert_ptr_nonnull(strstr(text, "\033[0;32m"));
	while (*text) {
		if (*text == '\033') {
			text = strchr(text, 'm') + 1;
			continue;
		}
		plain[len++] = *text++;
	}
	plain[len] = '\0';
	ck_assert_str_eq(plain, ladder(&(struct ladder_options){ 0 }));
	ck_assert_int_eq(strncmp(plain, "scenario \\x1b[2J\\xc2\\x9b, seed 7\n", 33), 0);
}
END_TEST

START_TEST(verdicts)
{
	record(RECORD_ALL);
	ck_assert_str_eq(printed(print_verdicts, NULL, 0),
	          "held        12.345678 s  keys are gone  (calls/x.lua:9)\n"
	          "failed      13.000000 s  alice talks  (calls/x.lua:12)\n"
	          "        no \\x1b[31manswer\n"
	          "        in time\n"
	          "held 1, failed 1\n");
}
END_TEST

/* ---- files that are none ---- */

static void write_file(const char *bytes, size_t len)
{
	FILE *file = fopen(path, "wb");

	ck_assert_ptr_nonnull(file);
	fwrite(bytes, 1, len, file);
	fclose(file);
}

static void change(const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void check_refused(const char *says)
{
	static const struct ladder_options all;

	printed(ladder_print, &all, 2);
	ck_assert_msg(strstr(f.error, path) == f.error && strstr(f.error, says), "%s: %s wanted", f.error, says);
	printed(print_verdicts, NULL, 2);
	ck_assert_msg(strstr(f.error, path) == f.error && strstr(f.error, says), "%s: %s wanted", f.error, says);
}

START_TEST(no_database)
{
	check_refused("cannot be read: No such file");
	write_file("", 0);
	check_refused("not a result database");
	write_file("This is a text that is long enough to be looked at as if it were a database, one hundred bytes of it.", 101);
	check_refused("not a result database");
	unlink(path);
	change("CREATE TABLE verdict (x); PRAGMA user_version = 1");
	check_refused("not a result database");
	unlink(path);
	record(RECORD_ALL);
	change("PRAGMA user_version = 2");
	check_refused("schema version 2, this program reads version 1");
	change("PRAGMA user_version = 1; DROP VIEW failures; DROP VIEW timeline; DROP TABLE refusal");
	check_refused("table refusal is missing");
	change("CREATE VIEW refusal AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n");
	check_refused("table refusal is missing");
}
END_TEST

/* What a hostile writer puts into the tables: wrong types and extreme numbers cannot be told from a run, but do no harm. */
START_TEST(extreme_values)
{
	record(RECORD_ALL);
	change("UPDATE message SET got_ns = -9223372036854775808, size = -1 WHERE kind = 'AS-REQ';"
	       "UPDATE message SET sent_ns = 9223372036854775807, got_ns = 9223372036854775807 WHERE kind = 'BYE';"
	       "UPDATE message SET sent_ns = -5 WHERE kind = 'AS-REP';"
	       "UPDATE sample SET value = 9223372036854775807;"
	       "UPDATE call SET dialled_ns = -9223372036854775808, ended_ns = 9223372036854775807;"
	       "UPDATE step SET at_ns = 9223372036854775807, machine = hex(zeroblob(5000));"
	       "UPDATE verdict SET at_ns = -9223372036854775808, because = hex(zeroblob(100000));"
	       "INSERT INTO node VALUES (hex(zeroblob(3000)), '')");
	ladder(&(struct ladder_options){ 0 });
	ladder(&(struct ladder_options){ .call = "call-1" });
	printed(print_verdicts, NULL, 0);
}
END_TEST

/* Bytes of a good database altered, and its end cut off: a result or an error, whatever the bytes. */
START_TEST(damaged)
{
	static const struct ladder_options by_call = { .call = "call-1" }, all;
	uint32_t random = 2463534242u;
	unsigned errors = 0;
	size_t len;
	char *good, *bad;
	FILE *out = fopen("/dev/null", "w");

	record(RECORD_ALL);
	good = fixture_read(path, &len);
	bad = malloc(len);
	for (int i = 0; i < 600; i++) {
		memcpy(bad, good, len);
		for (int n = 0; n < 1 + i % 40; n++) {
			random ^= random << 13;
			random ^= random >> 17;
			random ^= random << 5;
			bad[random % len] = (char)(random >> 24);
		}
		write_file(bad, i % 5 ? len : len - random % len);
		errors += ladder_print(path, i % 2 ? &all : &by_call, out, f.error) == 2;
		errors += verdicts_print(path, out, f.error) == 2;
	}
	ck_assert_uint_gt(errors, 100); /* the damage is seen */
	fclose(out);
	free(good);
	free(bad);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ladder");
	TCase *text = tcase_create("text"), *files = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(text, setup, teardown);
	tcase_set_timeout(text, 60);
	tcase_add_test(text, ascii);
	tcase_add_test(text, utf8);
	tcase_add_test(text, narrow);
	tcase_add_test(text, filters);
	tcase_add_test(text, summary);
	tcase_add_test(text, one_call);
	tcase_add_test(text, one_call_without_fields);
	tcase_add_test(text, media_messages);
	tcase_add_test(text, pauses);
	tcase_add_test(text, widths);
	tcase_add_test(text, color);
	tcase_add_test(text, verdicts);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_set_timeout(files, 120);
	tcase_add_test(files, no_database);
	tcase_add_test(files, extreme_values);
	tcase_add_test(files, damaged);
	suite_add_tcase(suite, text);
	suite_add_tcase(suite, files);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

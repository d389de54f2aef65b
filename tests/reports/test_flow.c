/*
 * The flow of a run as text, to the letter, for small databases that this test has the recorder write; folding and
 * limits; and the escaping of markup.
 */
#include "reports/flow_text.h"
#include "reports/markup.h"
#include "reports/run_facts.h"
#include "tests/reports/fixture.h"

static struct fixture f;
static char path[FIXTURE_PATH_MAX];
static struct recorder *recorder;

static void setup(void)
{
	fixture_open(&f);
	fixture_path(&f, "run.db", path);
	recorder = recorder_new(f.sim, path, RECORD_FLOW, false, f.error);
	ck_assert_msg(recorder != NULL, "%s", f.error);
	recorder_run_value(recorder, "scenario", "scenarios/x.lua");
	recorder_node_model(recorder, f.alice, "cta");
	recorder_node_model(recorder, f.sc1, "signaling_controller");
	recorder_node_model(recorder, f.kdc, "kdc");
	recorder_node_model(recorder, f.mallory, "attacker");
}

static void teardown(void)
{
	if (recorder)
		recorder_abandon(recorder);
	recorder = NULL;
	fixture_close(&f);
}

static void finish(void)
{
	ck_assert_msg(recorder_finish(recorder, f.error), "%s", f.error);
	recorder = NULL;
}

/* The flow of the database; caller frees. */
static char *flow(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_msg(flow_print(path, out, f.error) == 0, "%s", f.error);
	fclose(out);
	return text;
}

static uint64_t sent(const char *kind, uint32_t src, uint32_t dst, uint64_t cause)
{
	uint64_t tag;

	f.sim->cause = cause;
	f.sim->cause_timer = "";
	tag = fixture_send(&f, kind, src == ALICE_IP ? f.alice : f.sc1, src, dst);
	f.sim->now_ns += NS_PER_MS;
	trace_fate(f.sim, tag, f.sc1, FATE_ACCEPTED, "");
	return tag;
}

START_TEST(to_the_letter)
{
	uint64_t tag = sent("AP-REQ", ALICE_IP, SC1_IP, 0);
	struct verdict verdict = { .claim = "a claim", .result = "held", .place = "scenarios/x.lua:7", .because = "" };
	char *text;

	sent("AP-REP", SC1_IP, ALICE_IP, tag);
	f.sim->cause = 0;
	f.sim->cause_timer = "scenario";
	tag = fixture_send(&f, "AP-REQ", f.mallory, ALICE_IP, SC1_IP);
	trace_fate(f.sim, tag, f.sc1, FATE_REFUSED, "sc.replay_cache");
	trace_refuse(f.sc1, "sc.replay_cache", ALICE_IP, tag, "seen before");
	recorder_verdict(recorder, &verdict);
	verdict.at_ns = 5;
	recorder_verdict(recorder, &verdict);
	verdict.result = "failed";
	verdict.because = "it is 3";
	recorder_verdict(recorder, &verdict);
	finish();
	text = flow();
	ck_assert_str_eq(text,
		"scenario = scenarios/x.lua\nseed = 7\nmessages\n"
		"  alice > sc1              AP-REQ               krb5  accepted\n"
		"  sc1 > alice              AP-REP               krb5  accepted  after AP-REQ\n"
		"  alice > sc1              AP-REQ               krb5  refused by sc.replay_cache  on scenario  really sent by mallory\n"
		"states\nrefused\n        1  sc1  sc.replay_cache\nclaims\n        1  failed  a claim  it is 3\n        2  held  a claim\n");
	free(text);
}
END_TEST

START_TEST(repetitions_fold)
{
	char *text;

	for (unsigned i = 0; i < 5; i++)
		sent("ACK", ALICE_IP, SC1_IP, 0);
	for (unsigned i = 0; i < 7; i++) {
		sent("DATA", SC1_IP, ALICE_IP, 0);
		sent("ACK", ALICE_IP, SC1_IP, 0);
	}
	sent("END", ALICE_IP, SC1_IP, 0);
	finish();
	text = flow();
	ck_assert_ptr_nonnull(strstr(text,
		"messages\n  5 x alice > sc1              ACK                  krb5  accepted\n"
		"  7 times\n"
		"  | sc1 > alice              DATA                 krb5  accepted\n"
		"  | alice > sc1              ACK                  krb5  accepted\n"
		"  alice > sc1              END                  krb5  accepted\nstates\n"));
	free(text);
}
END_TEST

/* What is left out is counted, so that one message more or less shows. */
START_TEST(long_flows_are_counted)
{
	char *text, kind[32];
	unsigned lines = 0;

	for (unsigned i = 0; i < 9000; i++) {
		snprintf(kind, sizeof kind, "K%u", (i * i + i / 3) % 61);
		sent(kind, i % 5 ? ALICE_IP : SC1_IP, i % 5 ? SC1_IP : KDC_IP, 0);
	}
	finish();
	text = flow();
	for (const char *s = text; *s; s++)
		lines += *s == '\n';
	ck_assert_uint_lt(lines, 400);
	ck_assert_ptr_nonnull(strstr(text, "more\nmessages in all, by kinds of elements\n"));
	ck_assert_ptr_nonnull(strstr(text, "  cta > signaling_controller  K2  krb5  accepted\n"));
	free(text);
}
END_TEST

START_TEST(bytes_of_others_stay_in_their_line)
{
	char *text;

	sent("A\nB\033[2J\xff", ALICE_IP, SC1_IP, 0);
	recorder_run_value(recorder, "title", "x\nmessages\n  forged");
	finish();
	text = flow();
	ck_assert_ptr_nonnull(strstr(text, "title = x messages   forged\n"));
	ck_assert_ptr_nonnull(strstr(text, "  alice > sc1              A B\\x1b[2J\\xff"));
	free(text);
}
END_TEST

START_TEST(no_database)
{
	struct run_facts facts;
	FILE *file = fopen(path, "w");

	recorder_abandon(recorder);
	recorder = NULL;
	fputs("no database", file);
	fclose(file);
	ck_assert_int_eq(flow_print(path, stderr, f.error), 2);
	ck_assert_ptr_nonnull(strstr(f.error, "not a result database"));
	ck_assert(!run_facts_read(path, true, &facts, f.error));
	run_facts_free(&facts);
}
END_TEST

/* The steps of an attack: the last ones, in order, no more than are kept. */
START_TEST(steps_of_an_attack)
{
	struct verdict verdict = { .claim = "refused", .result = "failed", .place = "scenarios/x.lua:9", .because = "accepted" };
	struct run_facts facts;
	uint64_t tag;

	for (unsigned i = 0; i < 150; i++) {
		f.sim->cause = 0;
		tag = fixture_send(&f, "AP-REQ", f.mallory, ALICE_IP, SC1_IP);
		f.sim->now_ns += NS_PER_MS;
		trace_fate(f.sim, tag, f.sc1, i % 2 ? FATE_ACCEPTED : FATE_REFUSED, i % 2 ? "" : "sc.replay_cache");
		sent("AP-REP", SC1_IP, ALICE_IP, tag);
		sent("BYE", SC1_IP, KDC_IP, 0); /* none of its business */
	}
	verdict.at_ns = f.sim->now_ns;
	recorder_verdict(recorder, &verdict);
	recorder_run_value(recorder, "attack", "T1");
	recorder_run_value(recorder, "attack.expected", "stopped");
	recorder_run_value(recorder, "attack.outcome", "succeeded");
	finish();
	ck_assert_msg(run_facts_read(path, true, &facts, f.error), "%s", f.error);
	ck_assert_int_eq(facts.attack_end, ATTACK_BROKE_THROUGH);
	ck_assert_uint_eq(facts.step_count, FACTS_STEPS_MAX);
	ck_assert_int_eq(facts.steps_left_out, 301 - FACTS_STEPS_MAX);
	ck_assert_int_eq(facts.steps[FACTS_STEPS_MAX - 1].kind, STEP_VERDICT);
	ck_assert_str_eq(facts.steps[FACTS_STEPS_MAX - 1].text, "does not hold: refused: accepted");
	ck_assert_str_eq(facts.steps[FACTS_STEPS_MAX - 2].text, "sc1 > alice  AP-REP #150 [krb5] accepted");
	ck_assert_str_eq(facts.steps[FACTS_STEPS_MAX - 3].text, "alice > sc1  AP-REQ #150 [krb5] accepted, really sent by mallory");
	ck_assert_str_eq(facts.refused_by, "sc.replay_cache at sc1 (75)");
	for (size_t i = 1; i < facts.step_count; i++)
		ck_assert_int_ge(facts.steps[i].at_ns, facts.steps[i - 1].at_ns);
	run_facts_free(&facts);
}
END_TEST

static const struct {
	void (*put)(FILE *out, const char *text);
	const char *text, *as;
} markup_cases[] = {
	{ put_json, "a\"b\\c\nd\te", "\"a\\\"b\\\\c\\nd\\te\"" },
	{ put_json, "\x01\x1b\x7f\xff\xc3(", "\"\\\\x01\\\\x1b\\\\x7f\\\\xff\\\\xc3(\"" },
	{ put_json, "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"" },
	{ put_json, "", "\"\"" },
	{ put_xml, "<a b='c' d=\"e\">&]]></a>", "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;]]&gt;&lt;/a&gt;" },
	{ put_xml, "\x01\r\n\t\xc2\x85", "\\x01\\x0d&#10;&#9;\\xc2\\x85" },
	{ put_xml, "\xef\xbf\xbe \xef\xbf\xbf \xef\xbf\xbd \xef\xbb\xbf", "\\xef\\xbf\\xbe \\xef\\xbf\\xbf \xef\xbf\xbd \xef\xbb\xbf" },
	{ put_uri, "scenarios/a b%\xc3\xbc\"<.lua", "scenarios/a%20b%25%C3%BC%22%3C.lua" },
};

START_TEST(markup)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	markup_cases[_i].put(out, markup_cases[_i].text);
	fclose(out);
	ck_assert_str_eq(text, markup_cases[_i].as);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flow");
	TCase *tc = tcase_create("flow");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, to_the_letter);
	tcase_add_test(tc, repetitions_fold);
	tcase_add_test(tc, long_flows_are_counted);
	tcase_add_test(tc, bytes_of_others_stay_in_their_line);
	tcase_add_test(tc, no_database);
	tcase_add_test(tc, steps_of_an_attack);
	tcase_add_loop_test(tc, markup, 0, (int)(sizeof markup_cases / sizeof *markup_cases));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * What comes of an attack: outcome { } with its probe, what the result database says of it, and the outputs of
 * `tollgate test` that are made from there.
 */
#include "reports/result_db.h"
#include "reports/run_facts.h"
#include "scenarios/host/test_internal.h"
#include "tests/scenarios/host_fixture.h"

#define ATTACK "scenario { title = 'replay', attack = 'T1', limit = '10s' }\nlocal net = network()\nlocal a = net:phone 'a' { number = '1' }\n"
#define BODY(stopped, succeeded) ATTACK "run(function() outcome { stopped = function() " stopped " end, succeeded = function() " \
	succeeded " end } end)"

static char *ask(const char *path, const char *sql)
{
	char error[REPORT_ERROR_LEN], *text = NULL;
	struct result_db db;
	sqlite3_stmt *rows;

	ck_assert_msg(result_open(&db, path, error), "%s", error);
	rows = result_query(&db, sql);
	ck_assert_msg(rows && result_next(&db, rows), "%s: %s", sql, error);
	text = sim_strdup(result_text(rows, 0));
	result_end(rows);
	result_close(&db);
	return text;
}

static const struct attack_case {
	const char *script;
	bool off;              /* with the switch turned off */
	enum host_code code;
	const char *outcome;
	unsigned held, failed; /* verdicts */
	enum attack_end end;
	int64_t end_ms;        /* virtual, of the run, not of its probe */
} attack_cases[] = {
	{ BODY("claim('s', true)", "claim('a', true)"), false, HOST_HELD, "stopped", 1, 0, ATTACK_STOPPED, 0 },
	{ BODY("claim('s', true)", "claim('a', true)"), true, HOST_HELD, "succeeded", 1, 0, ATTACK_SUCCEEDED, 0 },
	{ BODY("claim('s', false)", "claim('a', true) claim('b', true)"), false, HOST_FAILED, "succeeded", 0, 1, ATTACK_BROKE_THROUGH, 0 },
	{ BODY("claim('s', false)", "claim('a', true) claim('b', false)"), false, HOST_FAILED, "neither", 0, 1, ATTACK_STOPPED_OTHERWISE, 0 },
	/* nothing is tried the other way round */
	{ BODY("wait '1s' claim('s', true)", "claim('a', false)"), true, HOST_FAILED, "neither", 0, 1, ATTACK_STOPPED_OTHERWISE, 0 },
	/* it is tried as if nothing else had been done before */
	{ ATTACK "local used run(function() outcome { stopped = function() used = true; wait '5s' claim('s', false) end, "
	  "succeeded = function() claim('at once', not used and now() == 0) end } end)", false, HOST_FAILED, "succeeded", 0, 1,
	  ATTACK_BROKE_THROUGH, 5000 },
	/* a probe may use what only a successful attack has made */
	{ BODY("claim('s', false)", "local x = nil; claim('a', x.y)"), false, HOST_FAILED, "neither", 0, 1, ATTACK_STOPPED_OTHERWISE, 0 },
	{ BODY("claim('s', false)", "error('no')"), false, HOST_FAILED, "neither", 0, 1, ATTACK_STOPPED_OTHERWISE, 0 },
	/* it takes its time, */
	{ BODY("wait '1s' claim('s', false)", "wait '5s' claim('a', true)"), false, HOST_FAILED, "succeeded", 0, 1, ATTACK_BROKE_THROUGH, 1000 },
	/* but not beyond the limit, and that is no second failure */
	{ BODY("claim('s', false)", "wait '1h' claim('a', true)"), false, HOST_FAILED, "neither", 0, 1, ATTACK_STOPPED_OTHERWISE, 0 },
	/* its children are part of it; none of their claims is a verdict */
	{ BODY("claim('s', false)", "parallel(function() wait '1s' claim('a', true) end, function() within('2s', function() wait '1s' end) end)"),
	  false, HOST_FAILED, "succeeded", 0, 1, ATTACK_BROKE_THROUGH, 0 },
	{ BODY("claim('s', false)", "parallel(function() wait '1s' claim('a', false) end, function() claim('b', true) end)"),
	  false, HOST_FAILED, "neither", 0, 1, ATTACK_STOPPED_OTHERWISE, 0 },
	/* the branch that was to stop it fails in a child of its own */
	{ BODY("parallel(function() claim('s', false) end, function() wait '1s' claim('t', true) end)", "claim('a', true)"),
	  false, HOST_FAILED, "succeeded", 1, 1, ATTACK_BROKE_THROUGH, 1000 },
	{ BODY("within('1s', function() wait '2s' end)", "claim('a', true)"), false, HOST_FAILED, "succeeded", 0, 1, ATTACK_BROKE_THROUGH, 1000 },
	{ BODY("claim('s', true) stop()", "claim('a', true)"), false, HOST_HELD, "stopped", 1, 0, ATTACK_STOPPED, 0 },
	{ ATTACK "run(function() claim('ready', false) outcome { stopped = function() end, succeeded = function() end } end)", false,
	  HOST_FAILED, "not tried", 0, 1, ATTACK_NOT_TRIED, 0 },
	{ ATTACK "run(function() claim('ready', true) end)", false, HOST_HELD, "not tried", 1, 0, ATTACK_NOT_TRIED, 0 },
	/* what fails after it is another matter */
	{ ATTACK "run(function() outcome { stopped = function() claim('s', true) end, succeeded = function() end } claim('after', false) end)",
	  false, HOST_FAILED, "stopped", 1, 1, ATTACK_STOPPED, 0 },
	/* two of them: as expected only together */
	{ ATTACK "for i = 1, 2 do run(function() outcome { stopped = function() claim('s', i == 1) end, succeeded = function() claim('a', true) end } end) end",
	  false, HOST_FAILED, "succeeded", 1, 1, ATTACK_BROKE_THROUGH, 0 },
	/* another body goes on meanwhile, with verdicts of its own */
	{ ATTACK "run(function() wait '3s' claim('other', true) end) run(function() outcome { stopped = function() claim('s', false) end, "
	  "succeeded = function() wait '5s' claim('a', true) end } end)", false, HOST_FAILED, "succeeded", 1, 1, ATTACK_BROKE_THROUGH, 3000 },
};

START_TEST(outcomes)
{
	const struct attack_case *c = &attack_cases[_i];
	struct host_setting off = { "switch.sc.replay_cache", "off" };
	struct run_facts facts;
	char path[128], error[REPORT_ERROR_LEN], *said;
	struct run run;

	run_begin(&run, c->script);
	snprintf(path, sizeof path, "%s/a.db", run.dir);
	run.options.database = path;
	run.options.level = RECORD_SUMMARY;
	run.options.settings = &off;
	run.options.setting_count = c->off;
	ck_assert_msg(run_go(&run) == c->code, "code %d\n%s%s", run.result.code, run.out, run.err);
	ck_assert_uint_eq(run.result.held, c->held);
	ck_assert_uint_eq(run.result.failed, c->failed);
	ck_assert_int_eq(run.result.end_ns, c->end_ms * NS_PER_MS);
	said = ask(path, "SELECT value FROM run WHERE name = 'attack.outcome'");
	ck_assert_str_eq(said, c->outcome);
	free(said);
	ck_assert_msg(run_facts_read(path, true, &facts, error), "%s", error);
	ck_assert_int_eq(facts.attack_end, c->end);
	ck_assert_int_eq(facts.held, c->held);
	ck_assert_int_eq(facts.failed, c->failed);
	ck_assert_uint_eq(facts.claim_count, c->failed);
	ck_assert_str_eq(facts.attack_place, c->end == ATTACK_NOT_TRIED ? "" : "scenarios/t.lua:4");
	run_facts_free(&facts);
	run_end(&run);
}
END_TEST

START_TEST(probe_is_told)
{
	struct run run;
	char path[128], *said;

	run_begin(&run, BODY("claim('s', false)", "claim('a', true) claim('b', false)"));
	snprintf(path, sizeof path, "%s/a.db", run.dir);
	run.options.database = path;
	run_go(&run);
	ck_assert_ptr_nonnull(strstr(run.out, "\n  attack T1 did not go through: 1 of 2 claims of its success hold\n"));
	said = ask(path, "SELECT group_concat(value, '|') FROM run WHERE name GLOB 'attack.success.*'");
	ck_assert_str_eq(said, "holds: a (scenarios/t.lua:4)|does not hold: b (scenarios/t.lua:4)");
	free(said);
	run_end(&run);
}
END_TEST

START_TEST(no_outcome_within_another)
{
	expect_run(BODY("outcome { stopped = function() end, succeeded = function() end }", ""), HOST_BAD, "",
	           "scenarios/t.lua:4: an outcome cannot be part of another\n");
}
END_TEST

/* Every attack that a switch is about has words for its rule. */
START_TEST(attacks_have_words)
{
	for (const struct switch_def *def = switch_table; def->name; def++) {
		char *list = sim_strdup(def->attacks), *rest = NULL;

		for (char *id = strtok_r(list, ", ", &rest); id; id = strtok_r(NULL, ", ", &rest))
			ck_assert_msg(attack_words(id) != NULL, "%s: attack %s has no words in scenarios/host/test_attacks.c", def->name, id);
		free(list);
	}
	ck_assert_ptr_null(attack_words("T99"));
}
END_TEST

/* ---- outputs ---- */

struct outputs {
	struct run run;
	char junit[128], sarif[128], json[128], keep[128], scenarios[128];
	const char *paths[1];
	struct test_options options;
	char *out, *err;
};

static void outputs_begin(struct outputs *o, const char *script)
{
	memset(o, 0, sizeof *o);
	run_begin(&o->run, script);
	snprintf(o->junit, sizeof o->junit, "%s/j.xml", o->run.dir);
	snprintf(o->sarif, sizeof o->sarif, "%s/s.sarif", o->run.dir);
	snprintf(o->json, sizeof o->json, "%s/j.json", o->run.dir);
	snprintf(o->keep, sizeof o->keep, "%s/keep", o->run.dir);
	snprintf(o->scenarios, sizeof o->scenarios, "%s/scenarios", o->run.dir);
	o->paths[0] = o->scenarios;
	o->options = (struct test_options){
		.paths = o->paths, .path_count = 1, .models = phones, .seed_first = 1, .seed_last = 1, .jobs = 2,
		.junit = o->junit, .sarif = o->sarif, .json = o->json,
	};
}

static enum host_code outputs_go(struct outputs *o)
{
	size_t len;
	enum host_code code;

	free(o->out);
	free(o->err);
	o->options.out = open_memstream(&o->out, &len);
	o->options.err = open_memstream(&o->err, &len);
	code = host_test(&o->options);
	fclose(o->options.out);
	fclose(o->options.err);
	return code;
}

static void outputs_end(struct outputs *o)
{
	free(o->out);
	free(o->err);
	run_end(&o->run);
}

static char *slurp(const char *path)
{
	size_t len;
	char *bytes = file_read(path, &len);

	ck_assert_msg(bytes != NULL, "%s is not there", path);
	return bytes;
}

static void expect_in(const char *path, const char *text)
{
	char *bytes = slurp(path);

	ck_assert_msg(strstr(bytes, text) != NULL, "%s lacks %s:\n%s", path, text, bytes);
	free(bytes);
}

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	while (d && (entry = readdir(d)) != NULL)
		count += entry->d_name[0] != '.';
	if (d)
		closedir(d);
	return count;
}

START_TEST(files_for_others)
{
	struct outputs o;

	outputs_begin(&o, BODY("claim('</s>\\27[2J\\255', false, '\"\\\\')", "claim('a', true)"));
	add_file(&o.run, "scenarios/u.lua", "scenario { titel = '<' }");
	ck_assert_int_eq(outputs_go(&o), HOST_BAD);
	ck_assert_str_eq(o.err, "");
	ck_assert_ptr_nonnull(strstr(o.out, "T1      sc.replay_cache=off  SUCCEEDED UNEXPECTEDLY  succeeded as expected  scenarios/t.lua\n"));
	expect_in(o.junit, "<failure type=\"claim\" message=\"&lt;/s&gt;\\x1b[2J\\xff\">scenarios/t.lua:4 at 0.000 s&#10;found: &quot;\\");
	expect_in(o.junit, "<error type=\"bad\" message=\"the scenario is bad\">scenarios/u.lua:1: ");
	expect_in(o.sarif, "\"ruleId\": \"T1\", \"ruleIndex\": 0, \"kind\": \"fail\", \"level\": \"error\"");
	expect_in(o.sarif, "\"region\": { \"startLine\": 4 }");
	expect_in(o.json, "\"outcome\": \"succeeded unexpectedly\", \"place\": \"scenarios/t.lua:4\", \"refused_by\": \"\", \"success\": \"holds: a (scenarios/t.lua:4)\"");
	expect_in(o.json, "\"claim\": \"</s>\\\\x1b[2J\\\\xff\", \"found\": \"\\\"\\\\\"");
	outputs_end(&o);
}
END_TEST

START_TEST(tap)
{
	struct outputs o;

	outputs_begin(&o, BODY("claim('s # 1', false)", "claim('a', true)"));
	o.options.junit = o.options.sarif = o.options.json = NULL;
	o.options.tap = true;
	ck_assert_int_eq(outputs_go(&o), HOST_FAILED);
	hide_path_in(&o.run, o.out);
	ck_assert_str_eq(o.out,
		"TAP version 14\n1..2\nnot ok 1 - scenarios/t.lua seed 1\n  ---\n  result: \"FAILED\"\n  attack: \"SUCCEEDED UNEXPECTEDLY\"\n"
		"  failed:\n    - claim: \"s # 1\"\n      found: \"the condition is false\"\n      place: \"scenarios/t.lua:4\"\n      at: \"0.000 s\"\n"
		"  repeat: \"tollgate run @ --seed 1\"\n  ...\nok 2 - scenarios/t.lua switch.sc.replay_cache=off seed 1\n"
		"# attack  switch               defence on              defence off            scenario\n"
		"# T1      sc.replay_cache=off  SUCCEEDED UNEXPECTEDLY  succeeded as expected  scenarios/t.lua\n"
		"# attacks: 0 stopped as expected, 1 succeeded as expected, 1 SUCCEEDED UNEXPECTEDLY, 0 STOPPED UNEXPECTEDLY OR BY ANOTHER CHECK\n"
		"# 1 passed, 1 failed\n");
	outputs_end(&o);
}
END_TEST

START_TEST(kept_results)
{
	struct outputs o;
	char path[256];

	outputs_begin(&o, BODY("claim('s', true)", "claim('a', true)"));
	o.options.keep = o.keep;
	o.options.seed_last = 2;
	ck_assert_int_eq(outputs_go(&o), HOST_HELD);
	ck_assert_uint_eq(entries(o.keep), 4);
	snprintf(path, sizeof path, "%.120s/t.switch.sc.replay_cache=off.seed2.db", o.keep);
	free(ask(path, "SELECT 1 FROM run WHERE name = 'record' AND value = 'flow'"));
	/* a_b.lua and a/b.lua would both be a_b */
	add_file(&o.run, "scenarios/a_b.lua", "scenario { title = 't' } network() run(function() end)");
	add_file(&o.run, "scenarios/a/b.lua", "scenario { title = 't' } network() run(function() end)");
	ck_assert_int_eq(outputs_go(&o), HOST_BAD);
	ck_assert_ptr_nonnull(strstr(o.err, "/a_b.seed1.db; name fewer scenarios\n"));
	outputs_end(&o);
}
END_TEST

START_TEST(smallest_seed)
{
	struct outputs o;

	outputs_begin(&o, "scenario { title = 't' } network() run(function() claim('c', math.random(4) > 1) end)");
	o.options.seed_last = 30;
	ck_assert_int_eq(outputs_go(&o), HOST_FAILED);
	for (unsigned seed = 1; seed <= 30; seed++) {
		char command[64], line[128];

		o.run.options.seed = seed;
		if (run_go(&o.run) == HOST_HELD)
			continue;
		hide_path_in(&o.run, o.out);
		snprintf(command, sizeof command, "tollgate run @ --seed %u\n", seed);
		snprintf(line, sizeof line, "smallest failing seed %u: %s", seed, command);
		ck_assert_msg(strstr(o.out, line) != NULL, "%s in\n%s", line, o.out);
		break;
	}
	outputs_end(&o);
}
END_TEST

START_TEST(progress_is_for_terminals)
{
	struct outputs o;

	outputs_begin(&o, BODY("claim('s', true)", "claim('a', true)"));
	o.options.progress = true;
	o.options.progress_width = 30;
	ck_assert_int_eq(outputs_go(&o), HOST_HELD);
	ck_assert_ptr_nonnull(strstr(o.err, "\r\033[K0 of 2 runs, 0 failed; scenar\r"));
	ck_assert_str_eq(o.err + strlen(o.err) - 4, "\r\033[K"); /* gone in the end */
	ck_assert_ptr_null(strchr(o.out, '\r'));
	outputs_end(&o);
}
END_TEST

START_TEST(wrong_paths_are_told_first)
{
	struct outputs o;

	outputs_begin(&o, BODY("claim('s', true)", "claim('a', true)"));
	snprintf(o.sarif, sizeof o.sarif, "%s/nowhere/s", o.run.dir);
	ck_assert_int_eq(outputs_go(&o), HOST_BAD);
	ck_assert_str_eq(o.out, "");
	ck_assert_ptr_nonnull(strstr(o.err, "/nowhere/s: cannot be written"));
	ck_assert_uint_eq(entries(o.run.dir), 1); /* scenarios */
	outputs_end(&o);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("attack");

	tcase_add_loop_test(tc, outcomes, 0, (int)(sizeof attack_cases / sizeof *attack_cases));
	tcase_add_test(tc, probe_is_told);
	tcase_add_test(tc, no_outcome_within_another);
	tcase_add_test(tc, attacks_have_words);
	tcase_add_test(tc, files_for_others);
	tcase_add_test(tc, tap);
	tcase_add_test(tc, kept_results);
	tcase_add_test(tc, smallest_seed);
	tcase_add_test(tc, progress_is_for_terminals);
	tcase_add_test(tc, wrong_paths_are_told_first);
	return run_case(tc);
}

/* Attacks, `tollgate test`, and the documentation. */
#include <sys/resource.h>
#include "tests/scenarios/host_fixture.h"

#define ATTACK "--- An attack.\nscenario { title = 'replay', tags = { 'attack' }, attack = 'T1' }\nlocal net = network()\n" \
	"local a = net:phone 'a' { number = '1' }\n"

START_TEST(outcome)
{
	struct host_setting off = { "switch.sc.replay_cache", "off" };
	struct run run;

	run_begin(&run, ATTACK "run(function() outcome { stopped = function() wait '1s'; print 'stopped' end, succeeded = function() print 'succeeded' end } "
	          "print(switch 'sc.replay_cache', attacked()) end)");
	ck_assert_int_eq(run_go(&run), HOST_HELD);
	ck_assert_str_eq(run.out, "stopped\non\tfalse\n");
	run.options.settings = &off;
	run.options.setting_count = 1;
	ck_assert_int_eq(run_go(&run), HOST_HELD);
	ck_assert_str_eq(run.out, "succeeded\noff\ttrue\n");
	run_end(&run);
}
END_TEST

START_TEST(reading_the_header)
{
	struct run run;
	struct header header;
	char name[HOST_VARIANT_LEN];
	const char *value;

	run_begin(&run, "--- First.\n--- Second.\n" ATTACK);
	ck_assert_int_eq(header_read(run.script, phones, &header, stderr), HOST_HELD);
	ck_assert(header.found);
	ck_assert_str_eq(header.title, "replay");
	ck_assert_str_eq(header.attack, "T1");
	ck_assert_str_eq(header.doc, "First.\nSecond.\nAn attack.\n");
	ck_assert_uint_eq(header.tag_count, 1);
	ck_assert(header_variant(&header, 0, name, &value) && !*name);
	ck_assert(header_variant(&header, 1, name, &value));
	ck_assert_str_eq(name, "sc.replay_cache");
	ck_assert_str_eq(value, "off");
	ck_assert(!header_variant(&header, 2, name, &value));
	header_free(&header);
	run_end(&run);
}
END_TEST

static char *test_output(struct run *run, struct test_options *options, enum host_code want)
{
	const char *paths[1];
	char *out = NULL, *err = NULL, dir[128];
	size_t out_len, err_len;
	enum host_code code;

	snprintf(dir, sizeof dir, "%s/scenarios", run->dir);
	paths[0] = dir;
	options->paths = paths;
	options->path_count = 1;
	options->models = phones;
	if (options->seed_first == 0)
		options->seed_first = options->seed_last = 1;
	options->out = open_memstream(&out, &out_len);
	options->err = open_memstream(&err, &err_len);
	code = host_test(options);
	fclose(options->out);
	fclose(options->err);
	ck_assert_msg(code == want, "code %d\n%s%s", code, out, err);
	free(err);
	return out;
}

START_TEST(test_command)
{
	struct test_options options = { .jobs = 2 }, word = { .word = "replay" }, tag = { .tag = "none" };
	struct run run;
	char *out;

	run_begin(&run, ATTACK "run(function() wait '1s'; claim('it stands', switch 'sc.replay_cache' == 'on') end)");
	add_file(&run, "scenarios/calls/fine.lua", "scenario { title = 'fine' }\nnetwork() run(function() claim('x', true) end)");
	add_file(&run, "scenarios/calls/readme.txt", "not a scenario");
	add_file(&run, "scenarios/calls/library.lua", "return 1");
	add_file(&run, "scenarios/topologies/x.lua", "return function() end");
	out = test_output(&run, &options, HOST_FAILED);
	hide_path_in(&run, out);
	ck_assert_str_eq(out,
		"passed  scenarios/calls/fine.lua                    seed 1  1 of 1 claims hold  0.000 s\n"
		"passed  scenarios/t.lua                             seed 1  1 of 1 claims hold  1.000 s\n"
		"FAILED  scenarios/t.lua switch.sc.replay_cache=off  seed 1  0 of 1 claims hold  1.000 s\n"
		"FAILED 1.000 s  scenarios/t.lua:5: it stands\n  found: the condition is false\n"
		"  repeat: tollgate run @ switch.sc.replay_cache=off --seed 1\n"
		"attack  switch               defence on  defence off  scenario\n"
		"T1      sc.replay_cache=off  NOT TRIED   NOT TRIED    scenarios/t.lua\n"
		"attacks: 0 stopped as expected, 0 succeeded as expected, 0 SUCCEEDED UNEXPECTEDLY, "
		"0 STOPPED UNEXPECTEDLY OR BY ANOTHER CHECK, 2 NOT TRIED\n2 passed, 1 failed\n");
	free(out);
	out = test_output(&run, &word, HOST_FAILED);
	ck_assert_msg(strstr(out, "1 passed, 1 failed\n") != NULL, "%s", out);
	free(out);
	free(test_output(&run, &tag, HOST_BAD));
	run_end(&run);
}
END_TEST

START_TEST(test_survives_a_crash)
{
	struct test_options options = { .seed_first = 1, .seed_last = 2 };
	struct run run;
	char *out;

	run_begin(&run, HEAD "network() run(function() wait '1s'; error 'no' end)");
	out = test_output(&run, &options, HOST_BAD);
	hide_path_in(&run, out);
	ck_assert_str_eq(out, "BAD     scenarios/t.lua  seed 1\nscenarios/t.lua:2: no\n  repeat: tollgate run @ --seed 1\n"
	                 "BAD     scenarios/t.lua  seed 2\nscenarios/t.lua:2: no\n  repeat: tollgate run @ --seed 2\n"
	                 "smallest failing seed 1: tollgate run @ --seed 1\n0 passed, 2 failed\n");
	free(out);
	run_end(&run);
}
END_TEST

/* A scenario whose header cannot be read is a failed run in its place of the list, not a word at the beginning. */
START_TEST(test_counts_what_cannot_be_read)
{
	struct test_options options = { .seed_first = 1, .seed_last = 1 };
	struct run run;
	char *out;

	run_begin(&run, HEAD "network() run(function() claim('x', true) end)");
	add_file(&run, "scenarios/a.lua", "scenario { title = 't' }\nnetwork() run(function() claim('x', true) end)");
	add_file(&run, "scenarios/b.lua", "scenario { titel = 't' }");
	out = test_output(&run, &options, HOST_BAD);
	ck_assert_ptr_nonnull(strstr(out, "/b.lua --seed 1\n"));
	strstr(out, "  repeat: ")[0] = '\0';
	ck_assert_str_eq(out, "passed  scenarios/a.lua  seed 1  1 of 1 claims hold  0.000 s\nBAD     scenarios/b.lua  seed 1\n"
	                 "scenarios/b.lua:1: scenario: unknown key \"titel\"; did you mean \"title\"? Known: args, attack, epoch, limit, media, "
	                 "messages, set, settle, tags, title, turns_off\n");
	free(out);
	out = test_output(&run, &options, HOST_BAD);
	ck_assert_ptr_nonnull(strstr(out, "\n2 passed, 1 failed\n"));
	ck_assert_str_eq(strstr(out, "\n2 passed"), "\n2 passed, 1 failed\n");
	free(out);
	run_end(&run);
}
END_TEST

/* A run that no limit of the host's can end: a pattern that backtracks for ever. */
START_TEST(test_ends_what_hangs)
{
	struct test_options options = { .cpu_limit_s = 1 };
	struct run run;
	char *out;

	run_begin(&run, HEAD "network() run(function() print(1); wait '1s'; string.find(('a'):rep(300000), ('.-'):rep(20) .. 'b') end)");
	out = test_output(&run, &options, HOST_DEFECT);
	hide_path_in(&run, out);
	ck_assert_str_eq(out, "DEFECT  scenarios/t.lua  seed 1\n1\nended: its processor time is used up\n  repeat: tollgate run @ --seed 1\n"
	                 "0 passed, 1 failed\n");
	free(out);
	run_end(&run);
}
END_TEST

/* More runs than a process may have files open, the first of them the slowest. */
START_TEST(test_many_runs)
{
	struct test_options options = { .seed_first = 1, .seed_last = 400, .jobs = 2 };
	struct rlimit files, fewer;
	struct run run;
	char *out;

	run_begin(&run, HEAD "network() run(function() end)");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	fewer = (struct rlimit){ .rlim_cur = 256, .rlim_max = files.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &fewer), 0);
	out = test_output(&run, &options, HOST_HELD);
	setrlimit(RLIMIT_NOFILE, &files);
	ck_assert_ptr_nonnull(strstr(out, "seed 400  0 of 0 claims hold  0.000 s\n400 passed, 0 failed\n"));
	free(out);
	run_end(&run);
}
END_TEST

START_TEST(repeat_is_quoted)
{
	struct host_setting settings[] = { { "name", "it's $HOME" }, { "x", "5ms" } };
	struct run run;

	run_begin(&run, "scenario { title = 't', args = { name = 'n', x = '1s' } }\nnetwork() run(function() claim('c', false) end)");
	run.options.settings = settings;
	run.options.setting_count = 2;
	ck_assert_int_eq(run_go(&run), HOST_FAILED);
	hide_path(&run);
	ck_assert_ptr_nonnull(strstr(run.out, "  repeat: tollgate run @ 'name=it'\\''s $HOME' x=5ms --seed 1\n"));
	run_end(&run);
}
END_TEST

START_TEST(documentation)
{
	char *out = NULL, *err = NULL;
	size_t out_len, err_len;
	FILE *o = open_memstream(&out, &out_len), *e = open_memstream(&err, &err_len);

	ck_assert_int_eq(doc_print(phones, "phone", o, e), HOST_HELD);
	ck_assert_int_eq(doc_print(phones, "T1", o, e), HOST_HELD);
	ck_assert_int_eq(doc_print(phones, "sc.replay_cache", o, e), HOST_HELD);
	ck_assert_int_eq(doc_print(phones, "topology", o, e), HOST_HELD);
	ck_assert_int_eq(doc_print(phones, "language", o, e), HOST_HELD);
	ck_assert_int_eq(doc_list(phones, "models", o, e), HOST_HELD);
	ck_assert_int_eq(doc_list(phones, "things", o, e), HOST_BAD);
	ck_assert_int_eq(doc_print(phones, "fone", o, e), HOST_BAD);
	doc_annotations(phones, o);
	fclose(o);
	fclose(e);
	ck_assert_ptr_nonnull(strstr(out, "number           text, required\n      its number\n"));
	ck_assert_ptr_nonnull(strstr(out, "delay            time, default 10ms\n"));
	ck_assert_ptr_nonnull(strstr(out, "ring             loud|soft, default loud\n"));
	ck_assert_ptr_nonnull(strstr(out, "phone:dial { number, after? } -> call\n"));
	ck_assert_ptr_nonnull(strstr(out, "State machine phone: a phone\n  off "));
	ck_assert_ptr_nonnull(strstr(out, "Attack T1 is stopped by\n  sc.replay_cache"));
	ck_assert_ptr_nonnull(strstr(out, "---@class phone: element\n---@field number? string its number\n"));
	ck_assert_ptr_nonnull(strstr(out, "function phone:dial(first, args) end\n"));
	ck_assert_ptr_nonnull(strstr(out, "---@class call: object\n"));
	ck_assert_ptr_nonnull(strstr(err, "nothing is called \"fone\"; did you mean \"phone\"?"));
	free(out);
	free(err);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("command");

	tcase_add_test(tc, outcome);
	tcase_add_test(tc, reading_the_header);
	tcase_add_test(tc, test_command);
	tcase_add_test(tc, test_survives_a_crash);
	tcase_add_test(tc, test_counts_what_cannot_be_read);
	tcase_add_test(tc, test_ends_what_hangs);
	tcase_add_test(tc, test_many_runs);
	tcase_add_test(tc, repeat_is_quoted);
	tcase_add_test(tc, documentation);
	return run_case(tc);
}

/*
 * Scripts that mean ill or are badly wrong: each ends in an error that names a line, and none in a crash, a hang, a leak or a
 * look at an address.
 */
#include "tests/scenarios/host_fixture.h"

#define SORT_WAIT "nothing can be waited for inside a function that table.sort, string.gsub or the like calls"
#define PLACE "scenarios/t.lua:4: "

static const struct { const char *script, *out, *err; enum host_code code; sim_ns end_ns; } hostile_cases[] = {
	/* waiting where a coroutine cannot be left: the body goes on and its later waits are not disturbed */
	{ NET "run(function() print(pcall(table.sort, { 1, 2 }, function() wait '1s' end)); wait '2s'; print(now()) end)",
	  "false\t" PLACE SORT_WAIT "\n2000000000\n", "", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() print(pcall(table.sort, { 1, 2 }, function() parallel(function() wait '1s' end) end)); wait '2s' end)",
	  "false\t" PLACE SORT_WAIT "\n", "", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() pcall(table.sort, { 1, 2 }, function() within('1s', function() wait '1s' end) end) end)", "", "", HOST_HELD, 0 },
	{ NET "run(function() print(pcall(string.gsub, 'x', 'x', function() a:expect { boots = 1, within = '5s' } end)); a:boot(); wait '2s'; "
	  "print(now()) end)", "false\t" PLACE SORT_WAIT "\n2000000000\n", "", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() print(pcall(string.gsub, 'x', 'x', function() a:stays { boots = 0, during = '5s' } end)); a:boot(); wait '2s'; "
	  "print(now()) end)", "false\t" PLACE SORT_WAIT "\n2000000000\n", "", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() pcall(string.gsub, 'x', 'x', function() expect_messages { within = '5s' } end); a:say { kind = 'HELLO', to = b }; "
	  "wait '2s'; print(now()) end)", "2000000000\n", "", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() local t = setmetatable({}, { __index = function() wait '1s' end }); print(pcall(function() return t.x end)) end)",
	  "true\tnil\n", "", HOST_HELD, NS_PER_S }, /* Lua can leave a metamethod that Lua called */
	/* the host's own coroutines are not the script's */
	{ NET "run(function() coroutine.running() end)", "", PLACE "coroutine.running: a body is no coroutine of the scenario's own\n", HOST_BAD, 0 },
	{ NET "coroutine.running()", "", PLACE "coroutine.running: a body is no coroutine of the scenario's own\n", HOST_BAD, 0 },
	{ NET "run(function() coroutine.wrap(function() local co, main = coroutine.running(); print(main, coroutine.status(co)) end)() end)",
	  "false\trunning\n", "", HOST_HELD, 0 },
	/* a header that is caught half-way */
	{ "pcall(scenario, { title = 't', limit = 'x' })\nprint(pcall(network))", NULL, NULL, HOST_BAD, 0 },
	{ "print(pcall(scenario, { title = 't' }))", "false\tscenarios/t.lua:1: scenario { ... } must stand by itself at the beginning of the "
	  "file, not in a function or pcall\n", NULL, HOST_BAD, 0 },
	{ "(function() scenario { title = 't' } end)()", "", "scenarios/t.lua:1: scenario { ... } must stand by itself at the beginning of the "
	  "file, not in a function or pcall\n", HOST_BAD, 0 },
	{ "coroutine.wrap(scenario) { title = 't' }", "", NULL, HOST_BAD, 0 },
	{ "scenario(setmetatable({ title = 't' }, { __index = function(_, k) error('seen ' .. k) end }))", "", NULL, HOST_BAD, 0 },
	/* iterators and sizes that lie */
	{ NET "local f = pairs { 7 }; print(f()); print(f(3)); print(pcall(pairs, 5)) run(function() end)",
	  "1\t7\nnil\nfalse\tbad argument #1 to '?' (table expected, got number)\n", "", HOST_HELD, 0 },
	{ NET "print(pcall(table.sort, setmetatable({}, { __len = function() return math.maxinteger end }), rawequal)) run(function() end)",
	  "false\t" PLACE "table.sort: 9223372036854775807 elements; at most 10000000 can be sorted\n", "", HOST_HELD, 0 },
	{ NET "print(#(''):rep(math.maxinteger), #string.rep('', 1 << 60, ''), ('ab'):rep(2, '-'), #('x'):rep(-1)) run(function() end)",
	  "0\t0\tab-ab\t0\n", "", HOST_HELD, 0 },
	{ NET "a:get(setmetatable({}, { __tostring = function(t) return tostring(t) end }))", "", NULL, HOST_BAD, 0 },
	/* no address is shown */
	{ NET "print((string.format('\\0%s', {}))) run(function() end)", NULL, "", HOST_HELD, 0 },
	{ NET "print(pcall(string.format, '\\0%p', {})) run(function() end)", "false\t" PLACE "string.format: %p would show an address\n", "",
	  HOST_HELD, 0 },
	{ NET "net[{}] = 1", "", PLACE "net.table cannot be set; elements are made by net:MODEL \"name\" { ... }\n", HOST_BAD, 0 },
	{ NET "error({})", "", PLACE "error called with a table\n", HOST_BAD, 0 },
	{ NET "error(setmetatable({}, { __tostring = function() error 'again' end, __name = 'x' }))", "", PLACE "error called with a table\n",
	  HOST_BAD, 0 },
	{ NET "run(function() error(print) end)", "", PLACE "error called with a function\n", HOST_BAD, 0 },
	{ NET "run(function() error(nil) end)", "", PLACE "error called with nothing\n", HOST_BAD, 0 },
	{ NET "run(function() error('plain', 0) end)", "", PLACE "plain\n", HOST_BAD, 0 },
	{ NET "error('plain', 0)", "", PLACE "plain\n", HOST_BAD, 0 },
	{ NET "run(function() local function f() return f() + 1 end; f() end)", "", NULL, HOST_BAD, 0 },
	{ NET "run(function() print(xpcall(error, function() error 'again' end, 'x')) end)", NULL, "", HOST_HELD, 0 },
	{ NET "local t = {}; t.a = t; options(nil, t)", "", PLACE "options nest more than 16 deep\n", HOST_BAD, 0 },
	/* what a claim quotes cannot move the cursor of a terminal */
	{ NET "run(function() claim('a\\27[2Jb\\xff', false, '\\rc\\u{e4}') end)", "FAILED 0.000 s  scenarios/t.lua:4: a\\x1b[2Jb\\xff\n"
	  "  found: \\x0dc\xc3\xa4\n  repeat: tollgate run @ --seed 1\n", "", HOST_FAILED, 0 },
	/* what a table says later, or differently each time, does not matter */
	{ NET "run(function() a:dial(setmetatable({}, { __index = function() return ('9'):rep(100) end })) end)", "",
	  PLACE "a:dial: number is missing; write number = \"text\" (whom to call)\n", HOST_BAD, 0 },
	{ NET "local want = { telephony = ('Re'):rep(1) .. 'ady', within = '5s' }\nrun(function() a:expect(want); print(now()) end)\n"
	  "run(function() want.telephony = nil; local s = {}; for i = 1, 20000 do s[i % 9] = ('junk'):rep(i % 50) end; a:boot { after = '1s' } end)",
	  "1000000000\n", "", HOST_HELD, NS_PER_S },
	{ NET "local want = { number = one_of(('1'):rep(30), ('2'):rep(30)), within = '1s' }\nrun(function() pcall(function() a:expect(want) end) end)\n"
	  "run(function() want.number = nil; local s = {}; for i = 1, 20000 do s[i % 9] = ('junk'):rep(i % 50) end end)",
	  NULL, "", HOST_FAILED, NS_PER_S },
	{ NET "local c\nrun(function() c = a:dial '2'; local h = c.hangup; c = nil; print(pcall(h, a)); print(pcall(h)) end)",
	  "false\tscenarios/t.lua:5: write OBJECT:hangup(...) with a colon\nfalse\tscenarios/t.lua:5: write OBJECT:hangup(...) with a colon\n", "", HOST_HELD,
	  0 },
	/* a task stopped before the clock starts does not end the run */
	{ NET "local t = after('1s', function() print 'no' end); t:stop() run(function() wait '3s'; print(now()) end)", "3000000000\n", "",
	  HOST_HELD, 3 * NS_PER_S },
	{ NET "local t = after('1s', print); t:stop(); t:stop()", "", "scenarios/t.lua: the scenario has no body; write run(function() ... end)\n",
	  HOST_BAD, 0 },
	{ NET "run(function() local t = after('1s', print); wait '2s'; t:stop(); t.stop(t); print(pcall(t.stop, a)) end)",
	  "\nfalse\tbad argument #1 to '?' (task expected, got element)\n", "", HOST_HELD, 2 * NS_PER_S },
	/* times at the end of time */
	{ "scenario { title = 't', settle = '9223372036854775807ns' }\nnetwork() run(function() wait '1s' end)", "", "", HOST_HELD, SIM_NEVER - 1 },
	{ "scenario { title = 't', limit = '9223372036854775807ns' }\nnetwork() every('9223372036854775807ns', print)\n"
	  "run(function() wait '9223372036854775807ns'; print 'late'; wait '1s'; print 'later' end)", "\nlate\n\nlater\n", "", HOST_HELD,
	  SIM_NEVER - 1 },
	{ "scenario { title = 't', limit = '0s' }\nnetwork() run(function() end)", NULL, "", HOST_FAILED, 0 },
	/* a claim that could never fail */
	{ "scenario { title = 't', messages = false }\nnetwork() never { 'x', message = { kind = 'x' } } run(function() end)", "",
	  "scenarios/t.lua:2: never: messages are not observed in this scenario (messages = false)\n", HOST_BAD, 0 },
};

START_TEST(hostile)
{
	struct run run;

	run_begin(&run, hostile_cases[_i].script);
	run_go(&run);
	hide_path(&run);
	if (run.result.code != hostile_cases[_i].code || (hostile_cases[_i].out && strcmp(run.out, hostile_cases[_i].out) != 0)
	    || (hostile_cases[_i].err && strcmp(run.err, hostile_cases[_i].err) != 0) || strstr(run.out, "0x") || strstr(run.err, "0x")
	    || (run.result.code == HOST_BAD && strncmp(run.err, "scenarios/t.lua:", 16) != 0)
	    || (run.result.code != HOST_BAD && run.result.end_ns != hostile_cases[_i].end_ns))
		ck_abort_msg("script:\n%s\nwant code %d, end %lld\n%s%s\ngot code %d, end %lld\n%s%s", hostile_cases[_i].script,
		             hostile_cases[_i].code, (long long)hostile_cases[_i].end_ns, hostile_cases[_i].out ? hostile_cases[_i].out : "(any)",
		             hostile_cases[_i].err ? hostile_cases[_i].err : "(any)", run.result.code, (long long)run.result.end_ns, run.out, run.err);
	run_end(&run);
}
END_TEST

/* The clock does not move, so no instruction limit between two waits is ever reached. */
static const char *const standstills[] = {
	NET "run(function() while true do wait '0s' end end)",
	NET "local function again() after('0s', again) end run(again)",
	NET "run(function() while true do parallel(function() end) end end)",
};

START_TEST(standstill)
{
	struct run run;

	run_begin(&run, standstills[_i]);
	run.options.wake_limit = 5000;
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_msg(strncmp(run.err, PLACE, strlen(PLACE) - 3) == 0, "%s", run.err);
	ck_assert_msg(strstr(run.err, "more than 5000 wake-ups of bodies at 0.000 s: a loop of wait \"0s\"?\n") != NULL, "%s", run.err);
	run_end(&run);
}
END_TEST

/* An element of a model without verbs; what belongs to a phone is not for it. */
static const struct model model_test_box = { .name = "box", .doc = "an element for tests" };
static const struct model *const phones_and_boxes[] = { &model_test_box, &model_test_phone, NULL };

START_TEST(verbs_of_another_model)
{
	static const struct { const char *script, *err; } cases[] = {
		{ "a.boot(x)", PLACE "x is of another model and has no such boot\n" },
		{ "a.restart(x)", PLACE "x cannot be restarted\n" },
		{ "a.expect(x, { boots = 1 })", NULL },
		{ "a.get(x, 'boots')", NULL },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run run;
		char script[512];

		snprintf(script, sizeof script, NET "local x = net:box 'x' {} run(function() %s end)", cases[i].script);
		run_begin(&run, script);
		run.options.models = phones_and_boxes;
		ck_assert_int_eq(run_go(&run), HOST_BAD);
		if (cases[i].err)
			ck_assert_str_eq(run.err, cases[i].err);
		run_end(&run);
	}
}
END_TEST

/* An element that could not be made is nobody; a script that catches the error cannot use it. */
START_TEST(half_made_element)
{
	expect_run(NET "print(pcall(function() net:phone 'x' { number = '000' } end))\nlocal x = net.x\n"
	           "run(function() print(pcall(a.boot, x)); print(pcall(a.restart, x)); print(x.name, pcall(function() return x.boots end)) end)",
	           HOST_HELD, "false\tscenarios/t.lua:4: phone \"x\": 000 is nobody's number; write number = \"215\"\n"
	           "false\tscenarios/t.lua:6: x is of another model and has no such boot\nfalse\tscenarios/t.lua:6: x cannot be restarted\n"
	           "x\tfalse\tscenarios/t.lua:6: x (node) has no attribute or verb \"boots\". Known: expect, get, ip, mac, model, name, segment, stays\n",
	           "");
}
END_TEST

/* Memory that ends at any point: an error each time, and nothing lost (the sanitizers look). */
START_TEST(memory_ends_anywhere)
{
	struct run run;
	unsigned bad = 0, fine = 0;

	run_begin(&run, NET "never { 'n', message = { kind = { 'BYE', 'NONE' }, from = a } }\nnever { 'up', node = a, boots = 7 }\n"
	          "local t = after('1s', function() a:boot { after = '1s' } end)\n"
	          "run(function()\n  parallel(function() a:expect { 'up', telephony = one_of('Ready', 'Up'), within = '9s' } end,\n"
	          "    function() within('9s', function() expect_messages { 'm', kind = 'HELLO', count = at_least(1), within = '5s' } end) end,\n"
	          "    function() a:say { kind = 'HELLO', to = b }; local c = a:dial { number = '2', within = '5s' }; c:hangup() end)\n"
	          "  both(a, b):expect { name = is_not 'x' }; claim('c', true, 'x' .. now()); for k, v in pairs { 1, 2, x = 3 } do wait '1ms' end\nend)");
	for (size_t limit = 20000; fine < 3 && limit < 4 << 20; limit += 509) {
		run.options.memory_limit = limit;
		run_go(&run);
		ck_assert_msg(run.result.code == HOST_BAD || run.result.code == HOST_HELD || run.result.code == HOST_DEFECT, "limit %zu: code %d\n%s%s",
		              limit, run.result.code, run.out, run.err);
		if (run.result.code == HOST_HELD)
			fine++;
		else
			bad++;
		ck_assert_msg(run.result.code == HOST_HELD || strstr(run.err, "memory") != NULL, "limit %zu\n%s%s", limit, run.out, run.err);
	}
	ck_assert_uint_gt(bad, 20);
	ck_assert_uint_eq(fine, 3);
	run_end(&run);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("hostile");

	tcase_add_loop_test(tc, hostile, 0, COUNT(hostile_cases));
	tcase_add_loop_test(tc, standstill, 0, COUNT(standstills));
	tcase_add_test(tc, verbs_of_another_model);
	tcase_add_test(tc, half_made_element);
	tcase_add_test(tc, memory_ends_anywhere);
	return run_case(tc);
}

/* The sandbox: what a script finds, and what it cannot do. */
#include "tests/scenarios/host_fixture.h"

/* Each prints what it finds; all of it is the same in every run. */
static const struct { const char *script, *out; } sandbox_cases[] = {
	{ "print(rawget(_G, 'os'), rawget(_G, 'io'), rawget(_G, 'debug'), rawget(_G, 'package'), rawget(_G, 'require'))",
	  "nil\tnil\tnil\tnil\tnil\n" },
	{ "print(rawget(_G, 'load'), rawget(_G, 'loadstring'), rawget(_G, 'dofile'), rawget(_G, 'loadfile'), "
	  "rawget(_G, 'collectgarbage'))", "nil\tnil\tnil\tnil\tnil\n" },
	{ "print(string.dump, math.randomseed)", "nil\tnil\n" },
	{ "for k, v in pairs { z = 1, a = 2, [10] = 3, [2] = 4, [1.5] = 5, [true] = 6, m = 7 } do print(k, v) end",
	  "1.5\t5\n2\t4\n10\t3\na\t2\nm\t7\nz\t1\ntrue\t6\n" },
	{ "print(next { b = 1, a = 2 }); print(next({ b = 1, a = 2 }, 'a')); print(next({ b = 1, a = 2 }, 'b')); print(next {})",
	  "a\t2\nb\t1\nnil\nnil\n" },
	{ "local t = { a = 1, b = 2, c = 3 }; for k in pairs(t) do t.b = nil; print(k) end", "a\nc\n" },
	{ "print(pcall(pairs, { [{}] = 1 }))",
	  "false\tscenarios/t.lua:2: a key of the table is a table; only numbers, text, booleans, elements and links have an "
	  "order\n" },
	{ "print(tostring({}), tostring(print), tostring(coroutine.create(print)), tostring(nil), 1.5, 'x')",
	  "table\tfunction\tthread\tnil\t1.5\tx\n" },
	{ "print(string.format('%s %5s|%d %%s', {}, 'x', 3), ('%s'):format(print))", "table     x|3 %s\tfunction\n" },
	{ "print(pcall(string.format, '%p', {}))", "false\tscenarios/t.lua:2: string.format: %p would show an address\n" },
	{ "print(pcall(setmetatable, {}, { __gc = print }))",
	  "false\tscenarios/t.lua:2: a metatable with __gc is refused: a script must not see when memory is collected\n" },
	{ "print(pcall(setmetatable, {}, { __mode = 'k' }))",
	  "false\tscenarios/t.lua:2: a metatable with __mode is refused: a script must not see when memory is collected\n" },
	{ "print(getmetatable(_G), pcall(setmetatable, _G, {}))", "false\tfalse\tscenarios/t.lua:2: the metatable is protected\n" },
	{ "local t = {}; for i = 1, 300 do t[i] = { i % 7, i } end; table.sort(t, function(x, y) return x[1] < y[1] end); "
	  "local fine = true; for i = 2, 300 do local x, y = t[i - 1], t[i]; fine = fine and (x[1] < y[1] or x[1] == y[1] and "
	  "x[2] < y[2]) end; print(fine, t[1][2], t[300][2])", "true\t7\t300\n" },
	{ "local t = { 3, 1, 2 }; table.sort(t); print(table.concat(t, ' ')); t = { 'b', 'a' }; "
	  "table.sort(t, function(x, y) return x > y end); print(t[1])", "1 2 3\nb\n" },
	{ "print(pcall(table.sort, { 1, 'a' }))", "false\tattempt to compare string with number\n" },
	{ "print(math.random(1, 1000), math.random(1000), math.random() < 1)", NULL },
	{ "print(pcall(math.random, 2, 1))", "false\tscenarios/t.lua:2: math.random(2, 1): the interval is empty\n" },
	{ "print(pcall(function() error({ code = 1 }) end))", "false\ttable\n" },
	{ "print(pcall(function() return 1, 2 end)); print(xpcall(function() error('x', 0) end, function(m) return m .. '!' end))",
	  "true\t1\t2\nfalse\tx!\n" },
	{ "local co = coroutine.wrap(function(x) local y = coroutine.yield(x + 1); return y * 2 end); print(co(1), co(5))", "2\t10\n" },
	{ "print(pcall(function() return undefined_thing end))",
	  "false\tscenarios/t.lua:2: unknown name \"undefined_thing\". `tollgate doc language` lists what a scenario can use\n" },
	{ "print(utf8.char(228), ('abc'):upper(), math.floor(2.5), #'x')", "\xc3\xa4\tABC\t2\t1\n" },
	{ "print(ns '1.5ms', time(1500000), now())", "1500000\t1500us\t0\n" },
};

START_TEST(sandbox)
{
	char script[2048];

	snprintf(script, sizeof script, HEAD "%s\nlocal net = network(); run(function() end)", sandbox_cases[_i].script);
	expect_run(script, HOST_HELD, sandbox_cases[_i].out, "");
}
END_TEST

START_TEST(sandbox_bytecode)
{
	/* A precompiled chunk begins with ESC; the loader takes text only. */
	expect_run("\x1bLua\x54", HOST_BAD, "", "scenarios/t.lua: attempt to load a binary chunk (mode is 't')\n");
}
END_TEST

START_TEST(random_is_seeded)
{
	struct run run;
	char first[256];

	run_begin(&run, HEAD "print(math.random(1, 1000000), math.random(1, 1000000))\nlocal n = network(); run(function() end)");
	run_go(&run);
	snprintf(first, sizeof first, "%s", run.out);
	run_go(&run);
	ck_assert_str_eq(run.out, first);
	run.options.seed = 2;
	run_go(&run);
	ck_assert_str_ne(run.out, first);
	run_end(&run);
}
END_TEST

static const char *const endless[] = {
	"while true do end",
	"while true do pcall(function() while true do end end) end",
	"while true do xpcall(function() while true do end end, print) end",
	"while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
	"while true do pcall(coroutine.wrap(function() while true do end end)) end",
	"run(function() while true do pcall(function() while true do end end) end end) network()",
	"run(function() wait '1s'; while true do end end) network()",
};

START_TEST(instruction_limit)
{
	struct run run;
	char script[512];

	snprintf(script, sizeof script, HEAD "%s", endless[_i]);
	run_begin(&run, script);
	run.options.instruction_limit = 200000;
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_msg(strstr(run.err, "instructions") != NULL, "%s", run.err);
	ck_assert_msg(strncmp(run.err, "scenarios/t.lua:2: ", 19) == 0, "%s", run.err);
	run_end(&run);
}
END_TEST

START_TEST(instructions_are_counted_between_waits)
{
	struct run run;

	run_begin(&run, NET "run(function() for i = 1, 20 do for j = 1, 20000 do end; wait '1s' end end)");
	run.options.instruction_limit = 200000;
	ck_assert_int_eq(run_go(&run), HOST_HELD);
	ck_assert_int_eq(run.result.end_ns, 20 * NS_PER_S);
	run_end(&run);
}
END_TEST

START_TEST(memory_limit)
{
	struct run run;

	run_begin(&run, HEAD "local t = {}\nfor i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end");
	run.options.memory_limit = 2 << 20;
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_str_eq(run.err, "scenarios/t.lua: not enough memory; a scenario may use 2097152 bytes\n");
	run_end(&run);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("sandbox");

	tcase_add_loop_test(tc, sandbox, 0, COUNT(sandbox_cases));
	tcase_add_test(tc, sandbox_bytecode);
	tcase_add_test(tc, random_is_seeded);
	tcase_add_loop_test(tc, instruction_limit, 0, COUNT(endless));
	tcase_add_test(tc, instructions_are_counted_between_waits);
	tcase_add_test(tc, memory_limit);
	return run_case(tc);
}

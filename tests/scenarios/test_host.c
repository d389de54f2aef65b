/*
 * The scenario host: sandbox, units, error messages, claims, bodies over virtual time, arguments, `tollgate test`.
 *
 * Each case is a script run in a process of its own shape: a file scenarios/t.lua below a temporary folder, one seed, what it
 * prints held against the letter.
 */
#define _GNU_SOURCE /* memmem */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "scenarios/host/internal.h"
#include "tests/scenarios/phone_model.h"

static const struct model *const phones[] = { &model_test_phone, NULL };

#define HEAD "scenario { title = 't' }\n"
#define NET HEAD "local net = network()\nlocal a, b = net:phone 'a' { number = '1' }, net:phone 'b' { number = '2' }\n"

struct run {
	char dir[64], script[128];
	char *out, *err;
	size_t out_len, err_len;
	struct host_result result;
	struct host_options options;
};

static void run_begin(struct run *run, const char *script)
{
	FILE *f;
	char path[128];

	memset(run, 0, sizeof *run);
	snprintf(run->dir, sizeof run->dir, "/tmp/test_host.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(run->dir));
	snprintf(path, sizeof path, "%s/scenarios", run->dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(run->script, sizeof run->script, "%s/scenarios/t.lua", run->dir);
	f = fopen(run->script, "w");
	ck_assert_ptr_nonnull(f);
	fputs(script, f);
	fclose(f);
	run->options = (struct host_options){ .models = phones, .script = run->script, .seed = 1, .level = RECORD_ALL };
}

static void add_file(const struct run *run, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", run->dir, name);
	*strrchr(path, '/') = '\0';
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s", run->dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static enum host_code run_go(struct run *run)
{
	free(run->out);
	free(run->err);
	run->options.out = open_memstream(&run->out, &run->out_len);
	run->options.err = open_memstream(&run->err, &run->err_len);
	host_run(&run->options, &run->result);
	fclose(run->options.out);
	fclose(run->options.err);
	return run->result.code;
}

static void remove_below(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL) {
		char child[512];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof child, "%.200s/%.255s", path, entry->d_name);
		if (unlink(child) != 0)
			remove_below(child);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static void run_end(struct run *run)
{
	remove_below(run->dir);
	free(run->out);
	free(run->err);
}

static void expect_run(const char *script, enum host_code code, const char *out, const char *err)
{
	struct run run;

	run_begin(&run, script);
	run_go(&run);
	if (run.result.code != code || (out && strcmp(run.out, out) != 0) || (err && strcmp(run.err, err) != 0))
		ck_abort_msg("script:\n%s\nwant code %d\n%s%s\ngot code %d\n%s%s", script, code, out ? out : "(any)\n",
		             err ? err : "(any)", run.result.code, run.out, run.err);
	run_end(&run);
}

/* Units */

START_TEST(units)
{
	static const struct { const char *text; bool fine; sim_ns ns; } times[] = {
		{ "1ns", true, 1 }, { "20ms", true, 20 * NS_PER_MS }, { "1.5ms", true, 1500000 }, { "0.000000001s", true, 1 },
		{ "2min", true, 120 * NS_PER_S }, { "1h", true, 3600 * NS_PER_S }, { "3d", true, 259200 * NS_PER_S }, { "0s", true, 0 },
		{ "9223372036854775807ns", true, INT64_MAX }, { "9223372036854775808ns", false, 0 }, { "0.1ns", false, 0 },
		{ "1.0000000001s", false, 0 }, { "5", false, 0 }, { "", false, 0 }, { "s", false, 0 }, { "-1s", false, 0 },
		{ "1 s", false, 0 }, { "1.s", false, 0 }, { ".5s", false, 0 }, { "1e3s", false, 0 }, { "1sec", false, 0 },
		{ "999999999999d", false, 0 },
	};
	static const struct { const char *text; bool fine; uint64_t bps; } rates[] = {
		{ "1.5Mbit", true, 1500000 }, { "64kbit", true, 64000 }, { "1Gbit/s", true, 1000000000 }, { "unlimited", true, 0 },
		{ "0bit", false, 0 }, { "1.5bit", false, 0 }, { "10", false, 0 }, { "10Mb", false, 0 },
	};
	static const struct { const char *text; bool fine; uint32_t ppm; } ratios[] = {
		{ "1%", true, 10000 }, { "0.01%", true, 100 }, { "100%", true, 1000000 }, { "250ppm", true, 250 }, { "0%", true, 0 },
		{ "101%", false, 0 }, { "0.00001%", false, 0 }, { "1", false, 0 },
	};
	static const struct { const char *text; bool fine; int64_t unix_s; } epochs[] = {
		{ "2000-04-10T00:00:00Z", true, SIM_DEFAULT_EPOCH_S }, { "1970-01-01T00:00:00Z", true, 0 },
		{ "2000-02-29T12:34:56Z", true, 951827696 }, { "2001-02-29T00:00:00Z", false, 0 },
		{ "2000-13-01T00:00:00Z", false, 0 }, { "2000-04-10 00:00:00Z", false, 0 }, { "2000-04-10T00:00:00", false, 0 },
		{ "1969-12-31T23:59:59Z", false, 0 }, { "2000", false, 0 },
	};

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		sim_ns ns = -1;

		ck_assert_msg(time_parse(times[i].text, &ns) == times[i].fine, "%zu: %s", i, times[i].text);
		if (times[i].fine)
			ck_assert_msg(ns == times[i].ns, "%zu: %s", i, times[i].text);
	}
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		uint64_t bps = 1;

		ck_assert_msg(rate_parse(rates[i].text, &bps) == rates[i].fine, "%zu: %s", i, rates[i].text);
		if (rates[i].fine)
			ck_assert_msg(bps == rates[i].bps, "%zu: %s", i, rates[i].text);
	}
	for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
		uint32_t ppm = 1;

		ck_assert_msg(ratio_parse(ratios[i].text, &ppm) == ratios[i].fine, "%zu: %s", i, ratios[i].text);
		if (ratios[i].fine)
			ck_assert_msg(ppm == ratios[i].ppm, "%zu: %s", i, ratios[i].text);
	}
	for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++) {
		int64_t s = -1;

		ck_assert_msg(epoch_parse(epochs[i].text, &s) == epochs[i].fine, "%zu: %s", i, epochs[i].text);
		if (epochs[i].fine)
			ck_assert_msg(s == epochs[i].unix_s, "%zu: %s: %lld", i, epochs[i].text, (long long)s);
	}
}
END_TEST

START_TEST(addresses)
{
	uint8_t mac[6], len;
	uint32_t ip;
	char buf[TIME_TEXT_LEN];

	ck_assert(mac_parse("02:00:aB:Ff:00:01", mac) && mac[2] == 0xab && mac[3] == 0xff);
	ck_assert(!mac_parse("02:00:aB:Ff:00", mac));
	ck_assert(!mac_parse("02:00:aB:Ff:00:0g", mac));
	ck_assert(!mac_parse("02:00:aB:Ff:00:011", mac));
	ck_assert(subnet_parse("10.1.0.2/24", &ip, &len) && ip == 0x0a010002 && len == 24);
	ck_assert(!subnet_parse("10.1.0.2", &ip, &len));
	ck_assert(!subnet_parse("10.1.0.2/33", &ip, &len));
	ck_assert(!subnet_parse("10.1.0/24", &ip, &len));
	ck_assert_str_eq(time_text(1500 * NS_PER_US, buf), "1500us");
	ck_assert_str_eq(time_text(0, buf), "0s");
	ck_assert_str_eq(clock_text(5 * NS_PER_S, buf), "5.000 s");
	ck_assert_str_eq(clock_text(1, buf), "0.000000001 s");
	ck_assert_str_eq(clock_text(1500 * NS_PER_US, buf), "0.0015 s");
}
END_TEST

/* The sandbox */

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

/* Error messages, to the letter. Lines: HEAD is 1, NET is 3. */

static const struct { const char *script, *err; } error_cases[] = {
	{ "x = = 1", "scenarios/t.lua:1: unexpected symbol near '='\n" },
	{ "local net = network()", "scenarios/t.lua:1: a scenario begins with its header; write scenario { title = \"what it shows\" } first\n" },
	{ "scenario { title = 't', tag = {} }", "scenarios/t.lua:1: scenario: unknown key \"tag\"; did you mean \"tags\"? Known: args, attack, "
	  "epoch, limit, media, messages, set, settle, tags, title, turns_off\n" },
	{ "scenario { tags = {} }", "scenarios/t.lua:1: scenario: title is missing; write title = \"what it shows\"\n" },
	{ "scenario { title = 't', limit = 5 }", "scenarios/t.lua:1: scenario: limit must be a time, found number 5; write limit = \"20s\"\n" },
	{ "scenario { title = 't', epoch = 'now' }", "scenarios/t.lua:1: scenario: epoch must be a moment in UTC; write epoch = "
	  "\"2000-04-10T00:00:00Z\"\n" },
	{ "scenario { title = 't', turns_off = { 'sc.replay_cash' } }", NULL },
	{ "scenario { title = 't', set = { ['sc.replay_cache'] = 'maybe' } }",
	  "scenarios/t.lua:1: scenario: set: sc.replay_cache is \"maybe\", must be one of: on|off\n" },
	{ "scenario { title = 't', attack = 'Z9' }", "scenarios/t.lua:1: scenario: no switch belongs to attack \"Z9\"; write turns_off = { "
	  "\"NAME\" } (tollgate list switches)\n" },
	{ HEAD HEAD, "scenarios/t.lua:2: scenario { ... } may stand only once\n" },
	{ HEAD, "scenarios/t.lua: the scenario has no net; write local net = topology \"NAME\" {}\n" },
	{ HEAD "network()", "scenarios/t.lua: the scenario has no body; write run(function() ... end)\n" },
	{ HEAD "network(); network()", "scenarios/t.lua:2: a scenario has one net; the topology has been chosen already\n" },
	{ HEAD "exepct {}", "scenarios/t.lua:2: unknown name \"exepct\". `tollgate doc language` lists what a scenario can use\n" },
	{ HEAD "nevr {}", "scenarios/t.lua:2: unknown name \"nevr\"; did you mean \"never\"?\n" },
	{ HEAD "wait '1s'", "scenarios/t.lua:2: wait belongs inside run(function() ... end)\n" },
	{ HEAD "wait(2)", "scenarios/t.lua:2: wait must be given a time, found number 2; write wait \"2s\"\n" },
	{ NET "a:boot()", "scenarios/t.lua:4: a:boot: the clock has not started; verbs belong inside run(function() ... end)\n" },
	{ HEAD "local n = network()\nn:phone 'x' { nummer = '1' }", "scenarios/t.lua:3: phone \"x\": unknown key \"nummer\"; did you mean "
	  "\"number\"? Known: delay, gateway, lines, lit, number, on, peer, ring, routes, service, trunk\n" },
	{ HEAD "local n = network()\nn:phone 'x' {}", "scenarios/t.lua:3: phone \"x\": number is missing; write number = \"text\" (its number)\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = 1 }",
	  "scenarios/t.lua:3: phone \"x\": number must be text, found number 1; write number = \"text\"\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = '1', delay = 5 }",
	  "scenarios/t.lua:3: phone \"x\": delay must be a time, found number 5; write delay = \"20ms\"\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = '1', ring = 'off' }",
	  "scenarios/t.lua:3: phone \"x\": ring is \"off\", must be one of: loud|soft\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = '1', peer = 'y' }",
	  "scenarios/t.lua:3: phone \"x\": peer = y: there is no such element yet; make it first\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = '1', lines = 1.5 }",
	  "scenarios/t.lua:3: phone \"x\": lines must be a whole number, found number 1.5; write lines = 3\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = '000' }",
	  "scenarios/t.lua:3: phone \"x\": 000 is nobody's number; write number = \"215\"\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = '1', on = 'lan' }",
	  "scenarios/t.lua:3: phone \"x\": on must name links, found text \"lan\"; write on = { { link, \"10.1.0.2/24\" } }\n" },
	{ HEAD "local n = network()\nn:link 'lan' {}\nn:phone 'x' { number = '1', on = { 'lan', '10.0.0.256/24' } }",
	  "scenarios/t.lua:4: phone \"x\": on link lan: address must be \"10.1.0.2/24\", \"auto\" or \"none\", found 10.0.0.256/24\n" },
	{ HEAD "local n = network()\nn:link 'lan' {}\nn:phone 'x' { number = '1', on = { 'lan', '10.0.0.1/24' }, gateway = '10.0.1.1' }",
	  "scenarios/t.lua:4: phone \"x\": gateway 10.0.1.1 is on none of its networks\n" },
	{ HEAD "local n = network()\nn:link 'lan' {}\nn:phone 'x' { number = '1', on = { { 'lan', '10.0.0.1/24' } } }\n"
	  "n:phone 'y' { number = '1', on = { { 'lan', '10.0.0.1/24' } } }",
	  "scenarios/t.lua:5: phone \"y\": on link lan: 10.0.0.1/24 is taken by x\n" },
	{ HEAD "local n = network()\nn:phone 'x' { number = '1', service = { server = 2 } }",
	  "scenarios/t.lua:3: phone \"x\": service: unknown key \"server\"; did you mean \"servers\"? Known: cipher_kb, dh, hash_kb, message, "
	  "queue_max, rsa_private, rsa_public, servers\n" },
	{ HEAD "local n = network()\nn:link 'lan' { loss = 1 }",
	  "scenarios/t.lua:3: link lan: loss must be a ratio, found number 1; write loss = \"1%\"\n" },
	{ HEAD "local n = network()\nn:link 'lan' { dely = '1s' }", "scenarios/t.lua:3: link lan: unknown key \"dely\"; did you mean \"delay\"? "
	  "Known: delay, duplicate, first, gateway, jitter, loss, queue, rate, reorder, reorder_by, subnet\n" },
	{ HEAD "local n = network()\nn:link 'lan' { gateway = '10.0.0.1' }",
	  "scenarios/t.lua:3: link lan: gateway needs a subnet; write subnet = \"10.1.0.0/16\"\n" },
	{ NET "net:phone 'a' {}", "scenarios/t.lua:4: net:phone \"a\": the name is taken\n" },
	{ NET "net:phone 'link' {}", "scenarios/t.lua:4: net:phone \"link\": the name is a word of net's own; choose another\n" },
	{ NET "net:phone 'a b' {}", "scenarios/t.lua:4: net:phone \"a b\": a name is 1 to 63 letters, digits, _ . -\n" },
	{ NET "net:fone 'x' {}", "scenarios/t.lua:4: net has no element, link or model \"fone\"; did you mean \"phone\"? Known: a, b, has, "
	  "link, nodes, phone, place\n" },
	{ NET "print(a.nmber)", "scenarios/t.lua:4: a (phone) has no attribute or verb \"nmber\"; did you mean \"number\"? Known: boot, booted, "
	  "boots, dial, expect, get, ip, mac, model, name, number, peer, say, segment, stays, telephony\n" },
	{ NET "a.number = '3'", "scenarios/t.lua:4: a.number cannot be set\n" },
	{ NET "a { number = '1' }", "scenarios/t.lua:4: a has been made already\n" },
	{ NET "run(function() a:boot { aftr = '1s' } end)",
	  "scenarios/t.lua:4: a:boot: unknown key \"aftr\"; did you mean \"after\"? Known: after\n" },
	{ NET "run(function() a:dial() end)", "scenarios/t.lua:4: a:dial: number is missing; write number = \"text\" (whom to call)\n" },
	{ NET "run(function() a:dial(2) end)", "scenarios/t.lua:4: a:dial: number must be text, found number 2; write number = \"text\"\n" },
	{ NET "run(function() a:dial('2', '1s') end)", "scenarios/t.lua:4: a:dial: too many arguments; the first may stand alone, the others "
	  "are named: (first, { name = value })\n" },
	{ NET "run(function() a:dial('2', { number = '3' }) end)", "scenarios/t.lua:4: a:dial: number is given twice\n" },
	{ NET "run(function() a.boot() end)", "scenarios/t.lua:4: write ELEMENT:boot(...) with a colon\n" },
	{ NET "run(function() a:boot(); a:boot() end)", "scenarios/t.lua:4: a:boot: it is booting already\n" },
	{ NET "run(function() local c = a:dial '2'; c:hangup(1) end)", "scenarios/t.lua:4: call of a: hangup takes no arguments\n" },
	{ NET "run(function() local c = a:dial '2'; print(c.stat) end)", "scenarios/t.lua:4: a call has no attribute or verb \"stat\"; did you "
	  "mean \"state\"? Known: expect, get, hangup, ready, state, stays, took\n" },
	{ NET "run(function() a:expect { telephny = 'x' } end)", "scenarios/t.lua:4: a (phone) has no attribute \"telephny\"; did you mean "
	  "\"telephony\"? Known: booted, boots, ip, mac, model, name, number, peer, segment, telephony\n" },
	{ NET "run(function() a:expect { boots = 'x' } end)",
	  "scenarios/t.lua:4: boots must be a whole number, found text \"x\"; write 3\n" },
	{ NET "run(function() a:expect { telephony = at_least(2) } end)", "scenarios/t.lua:4: telephony is text, so at_least has no meaning here\n" },
	{ NET "run(function() a:expect { boots = 1, within = 5 } end)",
	  "scenarios/t.lua:4: within must be a time, found number 5; write within = \"5s\"\n" },
	{ NET "run(function() a:expect {} end)", "scenarios/t.lua:4: nothing is claimed; write { attribute = value, ... }\n" },
	{ NET "run(function() a:stays { boots = 0 } end)", "scenarios/t.lua:4: stays needs to know how long; write during = \"5s\"\n" },
	{ NET "run(function() both(a, 3):expect { boots = 1 } end)",
	  "scenarios/t.lua:4: member 2 of the group is number 3; it must be an element or an object\n" },
	{ NET "never { 'x', mesage = {} }", "scenarios/t.lua:4: never needs a message or a node; write never { \"title\", message = { kind = "
	  "\"AS-REQ\" } } or never { \"title\", node = alice, attribute = value }\n" },
	{ NET "never { message = { cover = 'none' } }", "scenarios/t.lua:4: never: message: unknown cover \"none\". Known: ah, clear, esp, krb5, "
	  "rtp\n" },
	{ NET "never { message = { form = a } }", "scenarios/t.lua:4: never: message: unknown key \"form\"; did you mean \"from\"? Known: actor, "
	  "by, cover, fate, from, kind, proto, to\n" },
	{ NET "run(function() messages { from = 'c' } end)",
	  "scenarios/t.lua:4: messages: from must be an element, found text \"c\"; write from = alice\n" },
	{ NET "run(function() messages { proto = 'rtp' } end)", "scenarios/t.lua:4: messages: media packets are not observed; write media = true "
	  "in scenario { ... }\n" },
	{ NET "run(function() expect_refusals { kind = 'x' } end)", "scenarios/t.lua:4: expect_refusals: unknown key \"kind\". Known: 1, at, by, "
	  "count, from, within\n" },
	{ NET "print(switch 'sc.replay_cach')", NULL },
	{ NET "run(function() coroutine.wrap(function() wait '1s' end)() end)", "scenarios/t.lua:4: scenarios/t.lua:4: wait cannot be used inside coroutine.create "
	  "or coroutine.wrap; use parallel(...) or after(...)\n" },
	{ NET "run(function() coroutine.yield() end)",
	  "scenarios/t.lua: coroutine.yield outside coroutine.create; write wait \"1s\"\n" },
	{ NET "run(function() local x = nil + 1 end)", "scenarios/t.lua:4: attempt to perform arithmetic on a nil value\n" },
	{ NET "run(function() error { 1 } end)", "scenarios/t.lua: error called with a table\n" },
	{ NET "run(function() outcome {} end)",
	  "scenarios/t.lua:4: outcome needs to know the attack; write attack = \"T1\" in scenario { ... }\n" },
	{ HEAD "topology 'nowhere' {}", NULL },
	{ HEAD "topology '../x' {}", "scenarios/t.lua:2: topology \"../x\": a name is letters, digits, _ and -\n" },
};

START_TEST(errors)
{
	expect_run(error_cases[_i].script, HOST_BAD, "", error_cases[_i].err);
}
END_TEST

START_TEST(missing_file)
{
	struct run run;

	run_begin(&run, "");
	run.options.script = "/nonexistent/x.lua";
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_str_eq(run.err, "/nonexistent/x.lua: cannot be read: No such file or directory\n");
	run_end(&run);
}
END_TEST

/* Arguments */

static const struct { const char *preset, *name, *value, *out, *err; } arg_cases[] = {
	{ "x = '20ms'", "x", "5ms", "5ms\tstring\n", "" },
	{ "x = '20ms'", "x", "5", "", "scenarios/t.lua:1: argument x=5 must be a time like its default; write x=20ms\n" },
	{ "x = 3", "x", "7", "7\tnumber\n", "" },
	{ "x = 3", "x", "7.5", "", "scenarios/t.lua:1: argument x=7.5 must be a whole number like its default; write x=3\n" },
	{ "x = 0.5", "x", "7", "7\tnumber\n", "" },
	{ "x = 0.5", "x", "7z", "", "scenarios/t.lua:1: argument x=7z must be a number like its default; write x=0.5\n" },
	{ "x = true", "x", "off", "false\tboolean\n", "" },
	{ "x = true", "x", "no", "", "scenarios/t.lua:1: argument x=no must be true or false like its default; write x=true\n" },
	{ "x = 'PCMU'", "x", "5ms", "5ms\tstring\n", "" },
	{ "x = '1%'", "x", "2%", "2%\tstring\n", "" },
	{ "x = '1%'", "x", "2", "", "scenarios/t.lua:1: argument x=2 must be a ratio like its default; write x=1%\n" },
	{ "x = '1Mbit'", "x", "fast", "", "scenarios/t.lua:1: argument x=fast must be a rate like its default; write x=1.5Mbit\n" },
	{ "wan = 1", "wam", "2", "", "scenarios/t.lua:1: command line: unknown argument \"wam\"; did you mean \"wan\"? Known: switch.NAME, wan\n" },
	{ "x = 1", "switch.sc.replay_cache", "off", "1\tnumber\n", "" },
	{ "x = 1", "switch.sc.replay_cache", "no", "",
	  "scenarios/t.lua:1: command line: sc.replay_cache is \"no\", must be one of: on|off\n" },
	{ "x = {}", "x", "1", "", "scenarios/t.lua:1: scenario: the default of argument x must be text, a number, true or false\n" },
};

START_TEST(arguments)
{
	struct host_setting setting = { arg_cases[_i].name, arg_cases[_i].value };
	struct run run;
	char script[512];

	snprintf(script, sizeof script, "scenario { title = 't', args = { %s } }\nprint(args.x, type(args.x))\nnetwork() run(function() end)",
	         arg_cases[_i].preset);
	run_begin(&run, script);
	run.options.settings = &setting;
	run.options.setting_count = 1;
	run_go(&run);
	ck_assert_str_eq(run.err, arg_cases[_i].err);
	ck_assert_str_eq(run.out, arg_cases[_i].out);
	run_end(&run);
}
END_TEST

/* Bodies and claims: what is printed, the code, the virtual end. */

static const struct { const char *script, *out; enum host_code code; sim_ns end_ns; } body_cases[] = {
	{ NET "run(function() wait '1.5s'; print(now()) end)", "1500000000\n", HOST_HELD, 1500 * NS_PER_MS },
	{ NET "run(function() wait '2s'; print 'one' end)\nrun(function() wait '1s'; print 'two' end)", "two\none\n", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() print 'one' end)\nrun(function() print 'two' end)", "one\ntwo\n", HOST_HELD, 0 },
	{ NET "run(function() parallel(function() wait '2s'; print 'x' end, function() wait '1s'; print 'y' end); print(now()) end)",
	  "y\nx\n2000000000\n", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() parallel(); print 'z' end)", "z\n", HOST_HELD, 0 },
	{ NET "run(function() within('2s', function() wait '1s' end); print(now()) end)", "1000000000\n", HOST_HELD, NS_PER_S },
	{ NET "run(function() after('3s', function() print(now()) end); print 'first' end)", "first\n3000000000\n", HOST_HELD, 3 * NS_PER_S },
	{ NET "after('3s', function() print(now()) end) run(function() wait '1s' end)", "3000000000\n", HOST_HELD, 3 * NS_PER_S },
	{ NET "run(function() local n = 0; local t = every('1s', function() n = n + 1 end); wait '3.5s'; t:stop(); wait '2s'; print(n) end)",
	  "3\n", HOST_HELD, 5500 * NS_PER_MS },
	{ NET "run(function() local t; t = every('1s', function() print(now()); t:stop() end); wait '5s' end)", "1000000000\n", HOST_HELD,
	  5 * NS_PER_S },
	{ NET "every('1s', function() wait '1.5s'; print(now()) end) run(function() wait '4.2s' end)", "2500000000\n4000000000\n", HOST_HELD,
	  4200 * NS_PER_MS },
	{ NET "run(function() wait '1s'; stop() end)\nrun(function() wait '5s' end)", "", HOST_HELD, NS_PER_S },
	/* expect: at once, waiting, at a later change */
	{ NET "run(function() a:expect { telephony = 'NotConfigured' }; print(now()) end)", "0\n", HOST_HELD, 0 },
	{ NET "run(function() a:boot(); a:expect { telephony = 'Ready', within = '5s' }; print(now()) end)", "10000000\n", HOST_HELD,
	  10 * NS_PER_MS },
	{ NET "run(function() a:boot { after = '1s' }; b:boot { after = '2s' }; both(a, b):expect { telephony = 'Ready', within = '5s' }; "
	  "print(now()) end)", "2000000000\n", HOST_HELD, 2 * NS_PER_S },
	{ NET "run(function() b:boot { after = '1s' }; a:boot { after = '2s' }; all { a, b }:expect { telephony = 'Ready', boots = at_least(1), "
	  "within = '5s' }; print(now()) end)", "2000000000\n", HOST_HELD, 2 * NS_PER_S },
	/* a is ready only before b is: never both */
	{ NET "run(function() a:boot { after = '1s' }; after('2s', function() a:restart(); b:boot { after = '1s' } end); "
	  "local fine = pcall(function() both(a, b):expect { telephony = 'Ready', within = '5s' } end); print(fine) end)",
	  "FAILED 5.000 s  scenarios/t.lua:4: a, b: telephony = \"Ready\" within 5s\n  found: a: telephony is \"NotConfigured\"\n"
	  "  repeat: tollgate run @ --seed 1\nfalse\n", HOST_FAILED, 5 * NS_PER_S },
	{ NET "run(function() local c = a:dial(b.number, { after = '3s' }); c:expect { state = 'ringing' }; c:expect { state = 'talking', within = "
	  "'5s' }; c:expect { took = at_most '3s' }; c:hangup(); c:expect { state = 'over' }; print(c.took, c:get 'state') end)",
	  "3000000000\tover\n", HOST_HELD, 3 * NS_PER_S },
	{ NET "run(function() local c = a:dial { number = '2', within = '2s' }; print(now(), c.state) end)", "1000000000\ttalking\n", HOST_HELD,
	  NS_PER_S },
	{ NET "run(function() a:dial { number = '2', after = '3s', within = '2s' } end)",
	  "FAILED 2.000 s  scenarios/t.lua:4: a:dial is done within 2s\n  found: ready is false\n  repeat: tollgate run @ --seed 1\n",
	  HOST_FAILED, 2 * NS_PER_S },
	{ NET "run(function() a:expect { booted = absent, boots = between(0, 1), number = one_of('7', '1'), name = is_not 'x', model = contains "
	  "'hon', telephony = present, peer = absent } end)", "", HOST_HELD, 0 },
	{ NET "run(function() a:boot(); a:expect { 'it comes up', telephony = 'Ready', boots = 1, within = '5ms' }; print 'not reached' end)",
	  "FAILED 0.005 s  scenarios/t.lua:4: it comes up\n  expected: a: boots = 1, telephony = \"Ready\" within 5ms\n"
	  "  found: boots is 0, telephony is \"NotConfigured\"\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED, 5 * NS_PER_MS },
	{ NET "run(function() a:expect { booted = at_most '1s' } end)",
	  "FAILED 0.000 s  scenarios/t.lua:4: a: booted at most 1s\n  found: booted is not known\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED, 0 },
	{ NET "run(function() a:stays { telephony = 'NotConfigured', during = '2s' }; print(now()) end)", "2000000000\n", HOST_HELD,
	  2 * NS_PER_S },
	{ NET "run(function() a:boot { after = '1s' }; a:stays { telephony = 'NotConfigured', during = '2s' } end)",
	  "FAILED 1.000 s  scenarios/t.lua:4: a: telephony = \"NotConfigured\" for 2s\n  found: telephony is \"Ready\"\n"
	  "  repeat: tollgate run @ --seed 1\n", HOST_FAILED, NS_PER_S },
	/* a failed claim ends its body, not the others */
	{ NET "run(function() a:expect { boots = 1 } end)\nrun(function() wait '1s'; print 'other' end)",
	  "FAILED 0.000 s  scenarios/t.lua:4: a: boots = 1\n  found: boots is 0\n  repeat: tollgate run @ --seed 1\nother\n", HOST_FAILED,
	  NS_PER_S },
	{ NET "run(function() parallel(function() a:expect { boots = 1 } end, function() wait '1s'; print 'y' end); print 'no' end)",
	  "FAILED 0.000 s  scenarios/t.lua:4: a: boots = 1\n  found: boots is 0\n  repeat: tollgate run @ --seed 1\ny\n", HOST_FAILED,
	  NS_PER_S },
	{ NET "run(function() within('1s', function() parallel(function() wait '5s'; print 'no' end) end) end)",
	  "FAILED 1.000 s  scenarios/t.lua:4: the block ends within 1s\n  found: it has not ended\n  repeat: tollgate run @ --seed 1\n",
	  HOST_FAILED, NS_PER_S },
	{ NET "run(function() claim('two is two', 1 + 1 == 2); claim('one is two', 1 == 2) end)",
	  "FAILED 0.000 s  scenarios/t.lua:4: one is two\n  found: the condition is false\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED, 0 },
	{ NET "run(function() claim('x', nil, 'there is none') end)",
	  "FAILED 0.000 s  scenarios/t.lua:4: x\n  found: there is none\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED, 0 },
	/* the limit, and a standstill */
	{ "scenario { title = 't', limit = '10s' }\nnetwork()\nrun(function()\n  wait '20s'\nend)",
	  "FAILED 10.000 s  scenarios/t.lua: the scenario ends\n  found: the limit of 10s is reached; waiting at scenarios/t.lua:4\n"
	  "  repeat: tollgate run @ --seed 1\n", HOST_FAILED, 10 * NS_PER_S },
	{ "scenario { title = 't', settle = '2s' }\nnetwork() run(function() wait '1s' end)", "", HOST_HELD, 3 * NS_PER_S },
	/* standing claims about nodes */
	{ NET "never { 'a is up', node = a, telephony = 'Ready' }\nrun(function() a:boot(); wait '1s'; print 'on' end)",
	  "FAILED 0.010 s  scenarios/t.lua:4: a is up\n  found: telephony is \"Ready\"\n  repeat: tollgate run @ --seed 1\non\n", HOST_FAILED, NS_PER_S },
	{ NET "never { node = a, telephony = 'Ready', boots = 2 }\nrun(function() a:boot(); wait '1s' end)", "", HOST_HELD, NS_PER_S },
	{ NET "never { 'at the start', node = a, boots = 0 }\nrun(function() wait '1s' end)",
	  "FAILED 0.000 s  scenarios/t.lua:4: at the start\n  found: boots is 0\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED, NS_PER_S },
};

/* Replaces the path of the temporary folder by "@". */
static void hide_path(struct run *run)
{
	char *at;

	while ((at = strstr(run->out, run->script)) != NULL) {
		*at = '@';
		memmove(at + 1, at + strlen(run->script), strlen(at + strlen(run->script)) + 1);
	}
}

START_TEST(bodies)
{
	struct run run;

	run_begin(&run, body_cases[_i].script);
	run_go(&run);
	hide_path(&run);
	if (run.result.code != body_cases[_i].code || strcmp(run.out, body_cases[_i].out) != 0
	    || run.result.end_ns != body_cases[_i].end_ns)
		ck_abort_msg("script:\n%s\nwant code %d, end %lld\n%s\ngot code %d, end %lld\n%s%s", body_cases[_i].script,
		             body_cases[_i].code, (long long)body_cases[_i].end_ns, body_cases[_i].out, run.result.code,
		             (long long)run.result.end_ns, run.out, run.err);
	run_end(&run);
}
END_TEST

/* Messages */

#define LAN HEAD "local net = network()\nlocal lan = net:link 'lan' { subnet = '10.0.0.0/24' }\n" \
	"local a, b, c = net:phone 'a' { number = '1', on = lan }, net:phone 'b' { number = '2', on = lan }, net:phone 'c' { number = '3', on = lan }\n"

static const struct { const char *script, *out; enum host_code code; } message_cases[] = {
	{ LAN "run(function() a:say { kind = 'HELLO', to = b }; a:say { kind = 'BYE', to = b }; b:say { kind = 'HELLO', to = c, refused_by = 'x' }\n"
	  "print(messages {}, messages { kind = 'HELLO' }, messages { fate = 'sent' }); wait '1s'\n"
	  "print(messages { fate = 'accepted' }, messages { from = a }, messages { to = { b, c } }, messages { by = 'sc.replay_cache' }, refusals "
	  "{ at = c }, refusals { at = b }, messages { actor = b, kind = { 'HELLO', 'BYE' } }, messages { kind = 'NONE' }) end)",
	  "3\t2\t3\n2\t2\t3\t1\t1\t0\t1\t0\n", HOST_HELD },
	{ LAN "run(function() after('1s', function() a:say { kind = 'HELLO', to = b } end); expect_messages { kind = 'HELLO', within = '3s' }; "
	  "print(now()); expect_messages { fate = 'accepted', count = 1, within = '1s' }; print(now()) end)", "1000000000\n1010000000\n", HOST_HELD },
	{ LAN "run(function() a:say { kind = 'HELLO', to = b, refused_by = 'x' }; expect_refusals { by = 'sc.replay_cache', at = b, from = a, "
	  "within = '1s' }; print(now()) end)", "10000000\n", HOST_HELD },
	{ LAN "run(function() a:say { kind = 'HELLO', to = b }; wait '1s'; expect_messages { kind = 'HELLO', from = a, count = at_least(2), "
	  "within = '1s' } end)",
	  "FAILED 2.000 s  scenarios/t.lua:5: messages HELLO from a: at least 2 within 1s\n  found: 1\n  last messages of a:\n"
	  "    0.000 s  a > b  HELLO (test, clear)  accepted\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED },
	{ LAN "run(function() for i = 1, 6 do a:say { kind = 'HELLO', to = b }; b:say { kind = 'BYE', to = a, refused_by = 'x' }; "
	  "c:say { kind = 'BYE', to = b }; wait '1s' end; a:expect { boots = 1 } end)",
	  "FAILED 6.000 s  scenarios/t.lua:5: a: boots = 1\n  found: boots is 0\n  last messages of a:\n"
	  "    2.000 s  a > b  HELLO (test, clear)  accepted\n    2.000 s  b > a  BYE (test, clear)  refused by sc.replay_cache\n"
	  "    3.000 s  a > b  HELLO (test, clear)  accepted\n    3.000 s  b > a  BYE (test, clear)  refused by sc.replay_cache\n"
	  "    4.000 s  a > b  HELLO (test, clear)  accepted\n    4.000 s  b > a  BYE (test, clear)  refused by sc.replay_cache\n"
	  "    5.000 s  a > b  HELLO (test, clear)  accepted\n    5.000 s  b > a  BYE (test, clear)  refused by sc.replay_cache\n"
	  "  repeat: tollgate run @ --seed 1\n", HOST_FAILED },
	{ LAN "never { 'no goodbye', message = { kind = 'BYE' } }\nrun(function() a:say { kind = 'HELLO', to = b }; wait '1s' end)", "", HOST_HELD },
	{ LAN "never { 'no goodbye', message = { kind = 'BYE' } }\nrun(function() wait '1s'; a:say { kind = 'BYE', to = b }; wait '1s' end)",
	  "FAILED 1.000 s  scenarios/t.lua:5: no goodbye\n  found: sent at 1.000 s: a > b  BYE (test, clear)  sent\n  last messages of a, b:\n"
	  "    1.000 s  a > b  BYE (test, clear)  sent\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED },
	/* cover is judged when the fate is known, not when the message is announced */
	{ LAN "never { 'in clear', message = { cover = 'clear' } }\nrun(function() a:say { kind = 'HELLO', to = b, cover = 'esp' }; wait '1s' end)", "",
	  HOST_HELD },
	{ LAN "never { 'in clear', message = { cover = 'clear' } }\nrun(function() a:say { kind = 'HELLO', to = b }; wait '1s' end)", NULL, HOST_FAILED },
	/* one without a fate is judged at the end */
	{ LAN "never { 'in clear', message = { cover = 'clear' } }\nrun(function() a:say { kind = 'HELLO', to = b } end)", NULL, HOST_FAILED },
	{ LAN "never { 'voice in clear', message = { proto = 'rtp', cover = 'clear' } }\nrun(function() a:say { kind = 'HELLO', to = b, media = true }; wait '1s' end)",
	  NULL, HOST_FAILED },
	{ LAN "never { 'voice', message = { proto = 'rtp', cover = 'clear' } }\nrun(function() a:say { kind = 'HELLO', to = b, media = true, cover = 'esp' }; "
	  "wait '1s'; print(messages { proto = 'rtp' }) end)", "1\n", HOST_HELD },
	{ "scenario { title = 't', messages = false }\nlocal net = network()\nlocal a = net:phone 'a' { number = '1' }\n"
	  "run(function() a:say { kind = 'HELLO', to = a }; print(pcall(messages, {})) end)",
	  "false\tscenarios/t.lua:4: messages: messages are not observed in this scenario (messages = false)\n", HOST_HELD },
};

START_TEST(message_claims)
{
	struct run run;

	run_begin(&run, message_cases[_i].script);
	run_go(&run);
	hide_path(&run);
	if (run.result.code != message_cases[_i].code || (message_cases[_i].out && strcmp(run.out, message_cases[_i].out) != 0))
		ck_abort_msg("script:\n%s\nwant code %d\n%s\ngot code %d\n%s%s", message_cases[_i].script, message_cases[_i].code,
		             message_cases[_i].out ? message_cases[_i].out : "(any)", run.result.code, run.out, run.err);
	run_end(&run);
}
END_TEST

START_TEST(many_messages)
{
	/* More than the ring holds: counts stay exact, and those that fell out of it are still judged. */
	expect_run(LAN "never { 'nothing to c', message = { to = c, fate = 'sent' } }\n"
	           "run(function() a:say { kind = 'BYE', to = b }; for i = 1, 300 do for j = 1, 40 do a:say { kind = 'HELLO', to = b } end; "
	           "wait '1ms' end; wait '1s'; print(messages { kind = 'HELLO', fate = 'accepted' }) end)", HOST_HELD, "12000\n", "");
}
END_TEST

/* Topologies */

static const char topology_text[] =
"--- A line of phones.\n"
"return function(net, opts)\n"
"  opts = options(opts, { count = 2, wan = { delay = '20ms', loss = '0%' } }, { 'extra' })\n"
"  for i = 1, opts.count do\n"
"    net:link('seg' .. i) { subnet = '10.' .. i .. '.0.0/16', gateway = '10.' .. i .. '.0.1', first = '10.' .. i .. '.0.100', delay = opts.wan.delay }\n"
"  end\n"
"  net:place('phone', function(net, name, opts, nth)\n"
"    return { on = net['seg' .. (opts.branch or (nth - 1) % 2 + 1)], number = tostring(100 + nth), delay = '30ms' }\n"
"  end, { branch = 'which segment' })\n"
"end\n";

static const struct { const char *script; enum host_code code; const char *out, *err; } topology_cases[] = {
	{ "local net = topology 'line' { wan = { loss = '1%' } }\nlocal a, b, c = net:phone 'a', net:phone 'b' { number = '7' }, net:phone 'c' { branch = 1 }\n"
	  "print(a.ip, b.ip, c.ip, a.number, b.number, a.segment, c.segment.name, net.seg1 == a.segment, net.a == a, #net:nodes 'phone', net:has 'x')\n"
	  "run(function() a:boot(); a:expect { telephony = 'Ready', within = '1s' }; print(now()) end)", HOST_HELD,
	  "10.1.0.100\t10.2.0.100\t10.1.0.101\t101\t7\tseg1\tseg1\ttrue\ttrue\t3\tfalse\n30000000\n", "" },
	{ "local net = topology 'line'\nprint(net.seg2.name)\nrun(function() end)", HOST_HELD, "seg2\n", "" },
	{ "local net = topology 'line' { cuont = 3 }", HOST_BAD, "",
	  "scenarios/t.lua:2: topology line: unknown option \"cuont\"; did you mean \"count\"? Known: count, extra, wan\n" },
	{ "local net = topology 'line' { wan = { dely = '1s' } }", HOST_BAD, "",
	  "scenarios/t.lua:2: topology line: unknown option of wan \"dely\"; did you mean \"delay\"? Known: delay, loss\n" },
	{ "local net = topology 'line' { wan = { delay = 5 } }", HOST_BAD, "",
	  "scenarios/t.lua:2: topology option wan.delay must be a string, found number 5\n" },
	{ "local net = topology 'line' { wan = { delay = '5' } }", HOST_BAD, "",
	  "scenarios/t.lua:2: topology option wan.delay is \"5\", must be like its default \"20ms\"\n" },
	{ "local net = topology 'line' { count = 2 }\nnet:phone 'a' { brnch = 1 }", HOST_BAD, "",
	  "scenarios/t.lua:3: phone \"a\": unknown key \"brnch\"; did you mean \"branch\"? Known: branch, delay, gateway, lines, lit, number, on, "
	  "peer, ring, routes, service, trunk\n" },
	{ "local net = topology 'line' { count = 'x' }", HOST_BAD, "",
	  "scenarios/t.lua:2: topology option count must be a number, found text \"x\"\n" },
	{ "local net = topology 'line' { count = 300 }", HOST_BAD, "",
	  "scenarios/topologies/line.lua:5: link seg256: subnet must be a network of at least 4 addresses; write subnet = \"10.1.0.0/16\"\n"
	  "  called from scenarios/t.lua:2\n" },
	{ "local net = topology 'line' {}\nnet.seg1:set { loss = '5%' }\nnet.seg1:cut(); print(net.seg1.down); net.seg1:mend(); print(net.seg1.down, net.seg1.sent)\n"
	  "run(function() end)", HOST_HELD, "true\nfalse\t0\n", "" },
};

START_TEST(topologies)
{
	struct run run;
	char script[2048];

	snprintf(script, sizeof script, HEAD "%s", topology_cases[_i].script);
	run_begin(&run, script);
	add_file(&run, "scenarios/topologies/line.lua", topology_text);
	run_go(&run);
	if (run.result.code != topology_cases[_i].code || strcmp(run.out, topology_cases[_i].out) != 0
	    || strcmp(run.err, topology_cases[_i].err) != 0)
		ck_abort_msg("script:\n%s\nwant code %d\n%s%s\ngot code %d\n%s%s", script, topology_cases[_i].code, topology_cases[_i].out,
		             topology_cases[_i].err, run.result.code, run.out, run.err);
	run_end(&run);
}
END_TEST

/* Reports */

START_TEST(database_is_the_same)
{
	struct run run;
	char first[256], second[256], *a, *b;
	size_t a_len, b_len;

	run_begin(&run, "scenario { title = 't', args = { x = 1 } }\nlocal net = network()\nlocal lan = net:link 'lan' { subnet = '10.0.0.0/24' }\n"
	          "local a, b = net:phone 'a' { number = '1', on = lan }, net:phone 'b' { number = '2', on = lan }\n"
	          "never { 'n', message = { kind = 'BYE' } }\n"
	          "run(function() a:say { kind = 'HELLO', to = b }; a:boot(); a:expect { boots = 1, within = '1s' } end)");
	snprintf(first, sizeof first, "%s/1.db", run.dir);
	snprintf(second, sizeof second, "%s/2.db", run.dir);
	run.options.database = first;
	ck_assert_int_eq(run_go(&run), HOST_HELD);
	run.options.database = second;
	ck_assert_int_eq(run_go(&run), HOST_HELD);
	a = file_read(first, &a_len);
	b = file_read(second, &b_len);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(a_len, b_len);
	ck_assert_int_eq(memcmp(a, b, a_len), 0);
	ck_assert_ptr_null(memmem(a, a_len, run.dir, strlen(run.dir)));
	free(a);
	free(b);
	run_end(&run);
}
END_TEST

START_TEST(bad_script_leaves_no_database)
{
	struct run run;
	char path[256];

	run_begin(&run, NET "run(function() wait '1s'; error 'x' end)");
	snprintf(path, sizeof path, "%s/1.db", run.dir);
	run.options.database = path;
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_int_ne(access(path, F_OK), 0);
	run.options.database = "/nonexistent/folder/1.db";
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_msg(strstr(run.err, "/nonexistent/folder/1.db: ") != NULL, "%s", run.err);
	run_end(&run);
}
END_TEST

START_TEST(interrupt)
{
	volatile sig_atomic_t flag = 1;
	struct run run;
	char path[256];

	run_begin(&run, NET "run(function() wait '1s' end)");
	snprintf(path, sizeof path, "%s/1.db", run.dir);
	run.options.database = path;
	run.options.interrupt = &flag;
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_str_eq(run.err, "scenarios/t.lua: interrupted\n");
	ck_assert_int_ne(access(path, F_OK), 0);
	run_end(&run);
}
END_TEST

/* Attacks and `tollgate test` */

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
	{
		char *at;

		while ((at = strstr(out, run.script)) != NULL) {
			*at = '@';
			memmove(at + 1, at + strlen(run.script), strlen(at + strlen(run.script)) + 1);
		}
	}
	ck_assert_str_eq(out,
		"passed  scenarios/calls/fine.lua                    seed 1  1 of 1 claims hold  0.000 s\n"
		"passed  scenarios/t.lua                             seed 1  1 of 1 claims hold  1.000 s\n"
		"FAILED  scenarios/t.lua switch.sc.replay_cache=off  seed 1  0 of 1 claims hold  1.000 s\n"
		"FAILED 1.000 s  scenarios/t.lua:5: it stands\n  found: the condition is false\n"
		"  repeat: tollgate run @ switch.sc.replay_cache=off --seed 1\n2 passed, 1 failed\n");
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
	ck_assert_str_eq(out, "BAD     scenarios/t.lua  seed 1\nscenarios/t.lua:2: no\nBAD     scenarios/t.lua  seed 2\nscenarios/t.lua:2: no\n"
	                 "0 passed, 2 failed\n");
	free(out);
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

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *tc = tcase_create("host");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, units);
	tcase_add_test(tc, addresses);
	tcase_add_loop_test(tc, sandbox, 0, COUNT(sandbox_cases));
	tcase_add_test(tc, sandbox_bytecode);
	tcase_add_test(tc, random_is_seeded);
	tcase_add_loop_test(tc, instruction_limit, 0, COUNT(endless));
	tcase_add_test(tc, instructions_are_counted_between_waits);
	tcase_add_test(tc, memory_limit);
	tcase_add_loop_test(tc, errors, 0, COUNT(error_cases));
	tcase_add_test(tc, missing_file);
	tcase_add_loop_test(tc, arguments, 0, COUNT(arg_cases));
	tcase_add_loop_test(tc, bodies, 0, COUNT(body_cases));
	tcase_add_loop_test(tc, message_claims, 0, COUNT(message_cases));
	tcase_add_test(tc, many_messages);
	tcase_add_loop_test(tc, topologies, 0, COUNT(topology_cases));
	tcase_add_test(tc, database_is_the_same);
	tcase_add_test(tc, bad_script_leaves_no_database);
	tcase_add_test(tc, interrupt);
	tcase_add_test(tc, outcome);
	tcase_add_test(tc, reading_the_header);
	tcase_add_test(tc, test_command);
	tcase_add_test(tc, test_survives_a_crash);
	tcase_add_test(tc, documentation);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

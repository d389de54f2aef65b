/* Topologies: placement, options, links; and Lua that scenarios share. */
#include "tests/scenarios/host_fixture.h"

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
	/* What stands between an element's braces may read the net, other elements, and what they know. */
	{ "local net = topology 'line' {}\nlocal a = net:phone 'a'\nlocal b = net:phone 'b' { on = a.segment, number = '9', peer = net.a }\n"
	  "local c = net:phone 'c' { on = net.seg2, number = net.b.number .. '1', peer = b }\n"
	  "print(b.segment.name, b.number, b.peer.name, c.segment.name, c.number)\nrun(function() end)", HOST_HELD, "seg1\t9\ta\tseg2\t91\n", "" },
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

static const struct { const char *script; enum host_code code; const char *out, *err; } shared_cases[] = {
	/* It runs once. */
	{ "local net = topology 'line' {}\nlocal a, b = shared 'sum', shared 'sum'\nprint(a == b, a.of(1, 2))\nrun(function() end)", HOST_HELD, "read\ntrue\t3\n", "" },
	{ "shared 'summ'", HOST_BAD, "",
	  "scenarios/t.lua:2: there is no shared \"summ\": no file shared/summ.lua beside the scenario or in scenarios\n" },
	{ "shared '../sum'", HOST_BAD, "", "scenarios/t.lua:2: shared \"../sum\": a name is letters, digits, _ and -\n" },
	{ "shared {}", HOST_BAD, "", "scenarios/t.lua:2: shared must be given a name; write local claims = shared \"invariants\"\n" },
	{ "shared 'empty'", HOST_BAD, "", "scenarios/t.lua:2: shared/empty.lua must return what is shared\n" },
	{ "shared 'bad'", HOST_BAD, "", "scenarios/shared/bad.lua:1: no\n  called from scenarios/t.lua:2\n" },
	/* Its claims are its own lines'. */
	{ "local net = topology 'line' {}\nlocal sum = shared 'sum'\nrun(function() sum.check(1) end)", HOST_FAILED, NULL, "" },
};

START_TEST(shared_files)
{
	struct run run;
	char script[2048];

	snprintf(script, sizeof script, HEAD "%s", shared_cases[_i].script);
	run_begin(&run, script);
	add_file(&run, "scenarios/shared/sum.lua",
	         "print 'read'\nreturn { of = function(a, b) return a + b end, check = function(a)\n  claim('two', a == 2)\nend }\n");
	add_file(&run, "scenarios/topologies/line.lua", topology_text);
	add_file(&run, "scenarios/shared/empty.lua", "local x = 1\n");
	add_file(&run, "scenarios/shared/bad.lua", "error 'no'\n");
	run_go(&run);
	ck_assert_msg(run.result.code == shared_cases[_i].code, "code %d\n%s%s", run.result.code, run.out, run.err);
	ck_assert_str_eq(run.err, shared_cases[_i].err);
	if (shared_cases[_i].out)
		ck_assert_str_eq(run.out, shared_cases[_i].out);
	else
		ck_assert_msg(strstr(run.out, "scenarios/shared/sum.lua:3: two\n") != NULL, "%s", run.out);
	run_end(&run);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("topologies");

	tcase_add_loop_test(tc, topologies, 0, COUNT(topology_cases));
	tcase_add_loop_test(tc, shared_files, 0, COUNT(shared_cases));
	return run_case(tc);
}

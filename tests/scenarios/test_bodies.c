/* Bodies over virtual time and their claims: what is printed, the code, the virtual end. */
#include "tests/scenarios/host_fixture.h"

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

int main(void)
{
	TCase *tc = tcase_create("bodies");

	tcase_add_loop_test(tc, bodies, 0, COUNT(body_cases));
	return run_case(tc);
}

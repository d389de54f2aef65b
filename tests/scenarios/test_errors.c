/* Error messages, to the letter, and the arguments of the command line. Lines: HEAD is 1, NET is 3. */
#include "tests/scenarios/host_fixture.h"

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
	{ NET "run(function() messages { kind = { 'BYE', 'RTP' } } end)", "scenarios/t.lua:4: messages: media packets are not observed; write "
	  "media = true in scenario { ... }\n" },
	{ NET "run(function() expect_refusals { kind = 'x' } end)", "scenarios/t.lua:4: expect_refusals: unknown key \"kind\". Known: 1, at, by, "
	  "count, from, within\n" },
	{ NET "print(switch 'sc.replay_cach')", NULL },
	{ NET "run(function() coroutine.wrap(function() wait '1s' end)() end)", "scenarios/t.lua:4: scenarios/t.lua:4: wait cannot be used inside coroutine.create "
	  "or coroutine.wrap; use parallel(...) or after(...)\n" },
	{ NET "run(function() coroutine.yield() end)",
	  "scenarios/t.lua:4: coroutine.yield outside coroutine.create; write wait \"1s\"\n" },
	{ NET "run(function() local x = nil + 1 end)", "scenarios/t.lua:4: attempt to perform arithmetic on a nil value\n" },
	{ NET "run(function() error { 1 } end)", "scenarios/t.lua:4: error called with a table\n" },
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

int main(void)
{
	TCase *tc = tcase_create("errors");

	tcase_add_loop_test(tc, errors, 0, COUNT(error_cases));
	tcase_add_test(tc, missing_file);
	tcase_add_loop_test(tc, arguments, 0, COUNT(arg_cases));
	return run_case(tc);
}

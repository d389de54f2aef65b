/* Claims about messages and refusals. */
#include <sqlite3.h>
#include "tests/scenarios/host_fixture.h"

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
	/* what may still be sent again is judged at the end */
	{ LAN "never { 'all arrive', message = { fate = 'lost' } }\nrun(function() a:say { kind = 'HELLO', to = b, fates = 'lost' }; wait '1s' end)",
	  "FAILED 1.000 s  scenarios/t.lua:5: all arrive\n  found: sent at 0.000 s: a > b  HELLO (test, clear)  lost by lost\n"
	  "  last messages of a, b:\n    0.000 s  a > b  HELLO (test, clear)  lost by lost\n  repeat: tollgate run @ --seed 1\n", HOST_FAILED },
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

/* What a message meets, in this order; the one fate that stands in the host's log and in the database. */
static const struct { const char *fates, *stands; } fate_cases[] = {
	{ "lost accepted", "accepted" }, { "accepted lost", "accepted" }, { "lost refused", "refused" },
	{ "refused lost", "refused" }, { "refused accepted", "accepted" }, { "accepted refused", "accepted" },
	{ "lost intercepted", "intercepted" }, { "intercepted lost", "intercepted" }, { "intercepted refused", "refused" },
	{ "lost lost intercepted refused accepted refused", "accepted" },
};

static char *only_fate(const char *path)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	char *fate;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT fate FROM message", -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	fate = sim_strdup((const char *)sqlite3_column_text(stmt, 0));
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return fate;
}

START_TEST(one_fate)
{
	struct run run;
	char script[1024], path[128], *recorded;

	/* A standing claim sees what stands at the end, not what was outranked. */
	snprintf(script, sizeof script, LAN "for _, f in ipairs { 'accepted', 'refused', 'intercepted', 'lost' } do\n"
	         "if f ~= '%s' then never { 'other', message = { fate = f } } end end\n"
	         "run(function() a:say { kind = 'HELLO', to = b, fates = '%s' }; wait '1s'\n"
	         "print(messages { fate = '%s' }, messages {}) end)", fate_cases[_i].stands, fate_cases[_i].fates, fate_cases[_i].stands);
	run_begin(&run, script);
	snprintf(path, sizeof path, "%s/1.db", run.dir);
	run.options.database = path;
	ck_assert_msg(run_go(&run) == HOST_HELD, "%s%s", run.out, run.err);
	ck_assert_str_eq(run.out, "1\t1\n");
	recorded = only_fate(path);
	ck_assert_str_eq(recorded, fate_cases[_i].stands);
	free(recorded);
	run_end(&run);
}
END_TEST

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

int main(void)
{
	TCase *tc = tcase_create("messages");

	tcase_add_loop_test(tc, message_claims, 0, COUNT(message_cases));
	tcase_add_loop_test(tc, one_fate, 0, COUNT(fate_cases));
	tcase_add_test(tc, many_messages);
	return run_case(tc);
}

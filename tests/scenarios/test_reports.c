/* What a run writes, and what a bad or interrupted one leaves behind. */
#define _GNU_SOURCE /* memmem */
#include <sqlite3.h>
#include "tests/scenarios/host_fixture.h"

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

/* The one value of a query over the database of a run, against the letter. */
static void expect_in_database(const char *script, const char *sql, const char *value)
{
	struct run run;
	char path[256];
	sqlite3 *db;
	sqlite3_stmt *stmt;

	run_begin(&run, script);
	snprintf(path, sizeof path, "%s/1.db", run.dir);
	run.options.database = path;
	ck_assert_msg(run_go(&run) == HOST_HELD, "%s%s", run.out, run.err);
	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), value);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	run_end(&run);
}

/* Table node says what kind each element is, also one that was made while the clock ran. */
START_TEST(nodes_have_models)
{
	expect_in_database(NET "run(function() wait '1s'; net:phone 'c' { number = '3' } end)",
	                   "SELECT group_concat(name || '=' || model, ' ') FROM (SELECT * FROM node ORDER BY name)", "a=phone b=phone c=phone");
}
END_TEST

/* What was given is recorded, not what the script made of it. */
START_TEST(arguments_are_those_given)
{
	expect_in_database("scenario { title = 't', args = { x = 1, y = '2s' } }\nargs.x = setmetatable({}, { __tostring = error }); args.z = 2\n"
	                   "network() run(function() end)",
	                   "SELECT group_concat(name || '=' || value, ' ') FROM (SELECT * FROM run WHERE name LIKE 'arg.%' ORDER BY name)",
	                   "arg.x=1 arg.y=2s");
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

int main(void)
{
	TCase *tc = tcase_create("reports");

	tcase_add_test(tc, database_is_the_same);
	tcase_add_test(tc, nodes_have_models);
	tcase_add_test(tc, arguments_are_those_given);
	tcase_add_test(tc, bad_script_leaves_no_database);
	tcase_add_test(tc, interrupt);
	return run_case(tc);
}

/*
 * What a diff costs: two databases of N messages with eleven fields each that differ in one field, against the floor of it: every
 * row of both read by a bare sqlite3_step(). Taken in turn, best of ROUNDS; on the processor's clock. What is wanted: 100,000
 * messages in less than two seconds, and no more than RATIO_MAX of the floor.
 *
 *   bench_diff [messages]
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "reports/diff.h"
#include "reports/reports.h"
#include "reports/schema.h"

#define ROUNDS 5
#define RATIO_MAX 4.0
#define GOAL_S 2.0
#define GOAL_MESSAGES 100000

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(db));
		exit(1);
	}
}

/* A thousand CTAs that each talk with one of twenty controllers, fifty messages at a time. */
static void make(const char *path, long messages, const char *change)
{
	sqlite3 *db;
	char text[1024];

	if (sqlite3_open(path, &db) != SQLITE_OK)
		exit(1);
	snprintf(text, sizeof text, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA user_version = %d;"
	         "PRAGMA application_id = %d; BEGIN", REPORT_SCHEMA_VERSION, REPORT_APPLICATION_ID);
	sql(db, text);
	sql(db, schema_sql);
	sql(db, "INSERT INTO run VALUES ('seed', '1'), ('record', 'all')");
	snprintf(text, sizeof text, "INSERT INTO message WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %ld)"
	         " SELECT printf('cta%%04d', i / 50 %% 1000) AS src, printf('sc%%02d', i / 50 %% 20) AS dst, 'KIND' || (i %% 5) AS kind,"
	         " i / 50000 * 10 + (i %% 50) / 5 + 1 AS nth, i * 1000, i * 1000 + 500, 'accepted', '', '', 'cta', 'esp', 'sip', 400,"
	         " lower(hex(zeroblob(32))) FROM n ORDER BY src, dst, kind, nth", messages - 1);
	sql(db, text);
	sql(db, "INSERT INTO field WITH RECURSIVE f(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM f WHERE k < 10)"
	        " SELECT src, dst, kind, nth, 'Field-' || char(97 + k), 1, 'value of some length ' || nth || k, 'fact' FROM message, f"
	        " ORDER BY src, dst, kind, nth, k");
	if (change)
		sql(db, change);
	sql(db, "COMMIT");
	sqlite3_close(db);
}

/* Every row of a query, nothing done with it. */
static void step_all(sqlite3 *db, const char *text)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
		exit(1);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		;
	sqlite3_finalize(stmt);
}

static double floor_of(const char *a, const char *b)
{
	const char *const paths[] = { a, b };
	double begin = now_s();

	for (int i = 0; i < 2; i++) {
		sqlite3 *db;

		if (sqlite3_open_v2(paths[i], &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
			exit(1);
		step_all(db, "SELECT * FROM message");
		step_all(db, "SELECT * FROM field");
		sqlite3_close(db);
	}
	return now_s() - begin;
}

static double diff_of(const char *a, const char *b, FILE *out)
{
	const struct diff_options options = { .format = DIFF_TEXT };
	char error[REPORT_ERROR_LEN];
	double begin = now_s();

	if (diff_print(a, b, &options, out, error) != 1) {
		fprintf(stderr, "one field was to differ: %s\n", error);
		exit(1);
	}
	return now_s() - begin;
}

int main(int argc, char **argv)
{
	long messages = argc > 1 ? atol(argv[1]) : GOAL_MESSAGES;
	char folder[] = "/tmp/tollgate-bench-XXXXXX", a[64], b[64];
	double best_floor = 1e9, best = 1e9, one;
	FILE *out = fopen("/dev/null", "w");
	struct rusage usage;

	if (!mkdtemp(folder) || !out) {
		perror(folder);
		return 1;
	}
	snprintf(a, sizeof a, "%s/a.db", folder);
	snprintf(b, sizeof b, "%s/b.db", folder);
	make(a, messages, NULL);
	make(b, messages, "UPDATE field SET value = 'other' WHERE src = 'cta0500' AND kind = 'KIND3' AND nth = 2 AND path = 'Field-c'");
	for (int i = 0; i < ROUNDS; i++) {
		if ((one = floor_of(a, b)) < best_floor)
			best_floor = one;
		if ((one = diff_of(a, b, out)) < best)
			best = one;
	}
	fclose(out);
	unlink(a);
	unlink(b);
	rmdir(folder);
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld messages, one field differs: %.2f s, %.2f of reading all rows of both; at most %ld MB in memory\n", messages, best,
	       best / best_floor, usage.ru_maxrss / 1024);
	return best / best_floor <= RATIO_MAX && (messages > GOAL_MESSAGES || best < GOAL_S) ? 0 : 1;
}

/*
 * The recorder's hand at the database: one transaction in a temporary file without a journal, prepared statements, and at the
 * end sorted copies and VACUUM INTO. The first failure is kept; after it rows are dropped and finishing fails.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/output.h"
#include "reports/recorder_internal.h"

/* The page size is the library's default today and must stay it: equal content is equal bytes. */
static const char open_sql[] =
	"PRAGMA page_size = 4096; PRAGMA encoding = 'UTF-8'; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
	"PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -32768; PRAGMA auto_vacuum = NONE;";

void rows_fail(struct recorder *r)
{
	if (!r->error[0])
		report_error(r->error, "cannot be written: %s", r->db ? sqlite3_errmsg(r->db) : "out of memory");
}

static bool run_sql(struct recorder *r, const char *sql)
{
	if (!r->error[0] && sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		rows_fail(r);
	return !r->error[0];
}

static bool set_versions(struct recorder *r)
{
	char sql[96];

	snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d;", REPORT_SCHEMA_VERSION,
	         REPORT_APPLICATION_ID);
	return run_sql(r, sql);
}

static bool prepare_rows(struct recorder *r)
{
	for (int i = 0; i < ROW_COUNT; i++) {
		if (sqlite3_prepare_v3(r->db, schema_row_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &r->rows[i], NULL) != SQLITE_OK) {
			rows_fail(r);
			return false;
		}
	}
	return true;
}

bool rows_open(struct recorder *r)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

	if (sqlite3_open_v2(r->temp, &r->db, flags, NULL) != SQLITE_OK)
		rows_fail(r);
	return run_sql(r, open_sql) && run_sql(r, "BEGIN") && set_versions(r) && run_sql(r, schema_sql) &&
	       run_sql(r, schema_stage_sql) && prepare_rows(r);
}

static void drop_statements(struct recorder *r)
{
	for (int i = 0; i < ROW_COUNT; i++) {
		sqlite3_finalize(r->rows[i]);
		r->rows[i] = NULL;
	}
}

static void vacuum_into(struct recorder *r, const char *into)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(r->db, "VACUUM INTO ?", -1, &stmt, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(stmt, 1, into, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_DONE)
		rows_fail(r);
	sqlite3_finalize(stmt);
}

bool rows_finish(struct recorder *r, const char *into)
{
	drop_statements(r);
	for (const char *const *sql = schema_finish_sql; *sql; sql++)
		run_sql(r, *sql);
	if (run_sql(r, "COMMIT"))
		vacuum_into(r, into);
	return !r->error[0];
}

void rows_close(struct recorder *r)
{
	drop_statements(r);
	sqlite3_close(r->db);
	r->db = NULL;
	unlink(r->temp);
}

struct put put_row(struct recorder *r, enum row row)
{
	return (struct put){ .stmt = r->rows[row], .at = 0 };
}

void put_text(struct put *p, const char *text)
{
	sqlite3_bind_text(p->stmt, ++p->at, text ? text : "", -1, SQLITE_STATIC);
}

void put_clean(struct put *p, const char *text)
{
	char *copy;
	const char *clean = text_clean(text ? text : "", &copy);

	if (copy)
		sqlite3_bind_text(p->stmt, ++p->at, copy, -1, free);
	else
		put_text(p, clean);
}

void put_int(struct put *p, int64_t value)
{
	sqlite3_bind_int64(p->stmt, ++p->at, value);
}

void put_time(struct put *p, sim_ns at_ns)
{
	if (at_ns >= 0)
		put_int(p, at_ns);
	else
		sqlite3_bind_null(p->stmt, ++p->at);
}

void put_bytes(struct put *p, const void *bytes, size_t len)
{
	sqlite3_bind_blob64(p->stmt, ++p->at, bytes, len, SQLITE_STATIC);
}

void put_done(struct recorder *r, struct put *p)
{
	if (!r->error[0] && sqlite3_step(p->stmt) != SQLITE_DONE)
		rows_fail(r);
	sqlite3_reset(p->stmt);
}

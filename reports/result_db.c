/* Reading a result database; see result_db.h. */
#include "reports/result_db.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "reports/output.h"
#include "reports/reports.h"

#define VALUE_LEN_MAX (1 << 24) /* of a text or row in a file that claims to be ours */

static const char *const tables[] = {
	"run", "node", "iface", "message", "field", "step", "key", "call", "account", "call_record", "verdict", "sample", "refusal",
	"refusal_count",
};

static void fail(struct result_db *r)
{
	if (!r->error[0])
		report_error(r->error, "%s: %s", r->path, sqlite3_errmsg(r->db));
}

static bool not_ours(struct result_db *r)
{
	report_error(r->error, "%s: not a result database of Tollgate", r->path);
	return false;
}

static bool table_there(struct result_db *r, const char *name)
{
	sqlite3_stmt *stmt = result_query(r, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
	bool there = false;

	if (stmt) {
		result_bind_text(stmt, 1, name);
		there = result_next(r, stmt);
	}
	result_end(stmt);
	return there;
}

static bool check_schema(struct result_db *r)
{
	int64_t application = result_int(r, "PRAGMA application_id", 0);
	int64_t version = result_int(r, "PRAGMA user_version", 0);

	if (r->error[0])
		return sqlite3_errcode(r->db) == SQLITE_NOTADB ? not_ours(r) : false;
	if (application != REPORT_APPLICATION_ID)
		return not_ours(r);
	if (version != REPORT_SCHEMA_VERSION) {
		report_error(r->error, "%s: result database of schema version %lld, this program reads version %d", r->path,
		             (long long)version, REPORT_SCHEMA_VERSION);
		return false;
	}
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		if (!table_there(r, tables[i])) {
			if (!r->error[0])
				report_error(r->error, "%s: damaged: table %s is missing", r->path, tables[i]);
			return false;
		}
	}
	return true;
}

bool result_open(struct result_db *r, const char *path, char *error)
{
	*r = (struct result_db){ .path = path, .error = error };
	error[0] = '\0';
	if (access(path, R_OK) != 0) {
		report_error(error, "%s: cannot be read: %s", path, strerror(errno));
		return false;
	}
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		fail(r);
	} else {
		sqlite3_limit(r->db, SQLITE_LIMIT_LENGTH, VALUE_LEN_MAX);
		sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(r->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		sqlite3_exec(r->db, "PRAGMA cell_size_check = ON; BEGIN", NULL, NULL, NULL); /* all queries see one state */
		check_schema(r);
	}
	if (!error[0])
		return true;
	result_close(r);
	return false;
}

void result_close(struct result_db *r)
{
	sqlite3_close(r->db);
	r->db = NULL;
}

sqlite3_stmt *result_query(struct result_db *r, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail(r);
	return stmt;
}

bool result_next(struct result_db *r, sqlite3_stmt *stmt)
{
	int code = sqlite3_step(stmt);

	if (code != SQLITE_ROW && code != SQLITE_DONE)
		fail(r);
	return code == SQLITE_ROW;
}

void result_end(sqlite3_stmt *stmt)
{
	sqlite3_finalize(stmt);
}

const char *result_text(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text ? text : "";
}

void result_bind_text(sqlite3_stmt *stmt, int parameter, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, parameter, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, parameter);
}

int64_t result_int(struct result_db *r, const char *sql, int64_t preset)
{
	sqlite3_stmt *stmt = result_query(r, sql);
	int64_t value = preset;

	if (stmt && result_next(r, stmt))
		value = sqlite3_column_int64(stmt, 0);
	result_end(stmt);
	return value;
}

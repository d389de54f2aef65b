/* Campaigns: runs in, one database out; see campaign.h. */
#include "reports/campaign.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/campaign_internal.h"
#include "reports/output.h"
#include "reports/reports.h"
#include "reports/result_db.h"
#include "sim/sim.h"

#define APPLICATION_ID_AT 68 /* in the header of an SQLite file, big-endian */
#define BUSY_TIMEOUT_MS 10000 /* of another process that reads it */

struct campaign {
	sqlite3 *db;
	char *path;
	bool fresh; /* made by this program: goes again when no run comes into it */
};

static bool failed(struct campaign *c, char *error)
{
	report_error(error, "%s: %s", c->path, sqlite3_errmsg(c->db));
	return false;
}

static bool exec(struct campaign *c, const char *sql, char *error)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK || failed(c, error);
}

static int64_t pragma(struct campaign *c, const char *schema, const char *name)
{
	char sql[64];
	sqlite3_stmt *stmt;
	int64_t value = -1;

	snprintf(sql, sizeof sql, "PRAGMA %s.%s", schema, name);
	if (sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

/* A new file gets its tables; an old one must be a campaign of this version. */
static bool check_or_make(struct campaign *c, char *error)
{
	char sql[128];
	int64_t application = pragma(c, "main", "application_id"), version = pragma(c, "main", "user_version");

	if (application == 0 && version == 0 && pragma(c, "main", "schema_version") == 0) {
		c->fresh = true;
		snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", CAMPAIGN_APPLICATION_ID,
		         CAMPAIGN_SCHEMA_VERSION);
		return exec(c, "BEGIN IMMEDIATE", error) && exec(c, campaign_schema_sql, error) && exec(c, sql, error)
		       && exec(c, "COMMIT", error);
	}
	if (application != CAMPAIGN_APPLICATION_ID) {
		report_error(error, "%s: not a campaign of Tollgate; it is left as it is", c->path);
		return false;
	}
	if (version != CAMPAIGN_SCHEMA_VERSION) {
		report_error(error, "%s: campaign of schema version %lld, this program knows version %d", c->path, (long long)version,
		             CAMPAIGN_SCHEMA_VERSION);
		return false;
	}
	return true;
}

struct campaign *campaign_open(const char *path, char *error)
{
	struct campaign *c = sim_alloc(sizeof *c);

	*c = (struct campaign){ .path = sim_strdup(path) };
	if (sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK) {
		failed(c, error);
	} else {
		sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		if (check_or_make(c, error))
			return c;
	}
	campaign_leave(c);
	return NULL;
}

bool campaign_is_one(const char *path)
{
	uint8_t head[APPLICATION_ID_AT + 4] = { 0 }, *id = head + APPLICATION_ID_AT;
	FILE *file = fopen(path, "rb");
	bool whole = file && fread(head, sizeof head, 1, file) == 1;

	if (file)
		fclose(file);
	return whole && ((uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3]) == CAMPAIGN_APPLICATION_ID;
}

/* The text of a query's one value into out, "" when there is none. */
static bool one_text(struct campaign *c, const char *sql, const char *bound, char *out, size_t room, char *error)
{
	sqlite3_stmt *stmt;
	int code;

	out[0] = '\0';
	if (sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return failed(c, error);
	if (bound)
		sqlite3_bind_text(stmt, 1, bound, -1, SQLITE_STATIC);
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW && sqlite3_column_text(stmt, 0))
		snprintf(out, room, "%s", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	return code == SQLITE_ROW || code == SQLITE_DONE || failed(c, error);
}

bool campaign_has(struct campaign *c, const char *key)
{
	char found[8], error[REPORT_ERROR_LEN];

	return one_text(c, "SELECT 1 FROM run WHERE run = ?", key, found, sizeof found, error) && found[0];
}

/* Runs statements with the parameters that each of them has. */
static bool run_all(struct campaign *c, const char *const *statements, const char *key, const char *variant, int code, char *error)
{
	for (; *statements; statements++) {
		sqlite3_stmt *stmt;
		int result;

		if (sqlite3_prepare_v2(c->db, *statements, -1, &stmt, NULL) != SQLITE_OK)
			return failed(c, error);
		if (sqlite3_bind_parameter_count(stmt) >= 1)
			sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
		if (sqlite3_bind_parameter_count(stmt) >= 3) {
			sqlite3_bind_text(stmt, 2, variant, -1, SQLITE_STATIC);
			sqlite3_bind_int(stmt, 3, code);
		}
		result = sqlite3_step(stmt);
		sqlite3_finalize(stmt);
		if (result != SQLITE_DONE)
			return failed(c, error);
	}
	return true;
}

static bool attach(struct campaign *c, const char *path, char *error)
{
	sqlite3_stmt *stmt;
	int code;

	if (access(path, R_OK) != 0) {
		report_error(error, "%s: cannot be read: %s", path, strerror(errno));
		return false;
	}
	if (sqlite3_prepare_v2(c->db, "ATTACH ? AS part", -1, &stmt, NULL) != SQLITE_OK)
		return failed(c, error);
	sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
	code = sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	if (code != SQLITE_DONE)
		report_error(error, "%s: %s", path, sqlite3_errmsg(c->db));
	return code == SQLITE_DONE;
}

/* Ends what was begun with attach() and BEGIN: kept when all went well, else as if nothing had been. */
static bool settle(struct campaign *c, bool fine, char *error)
{
	fine = fine && exec(c, "COMMIT", error);
	if (!fine && !sqlite3_get_autocommit(c->db))
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_exec(c->db, "DETACH part", NULL, NULL, NULL);
	return fine;
}

/* False, with an error, when the campaign is about something else. */
static bool same_text(struct campaign *c, const char *sql, char *error)
{
	char name[64];

	if (!one_text(c, sql, NULL, name, sizeof name, error))
		return false;
	if (name[0])
		report_error(error, "%s: a campaign of something else (%s differs); name another file", c->path, name);
	return !name[0];
}

bool campaign_add(struct campaign *c, const char *key, const char *variant, int code, const char *result, char *error)
{
	struct result_db check;

	if (!result_open(&check, result, error)) /* proves that it is one */
		return false;
	result_close(&check);
	if (!attach(c, result, error))
		return false;
	return settle(c, exec(c, "BEGIN IMMEDIATE", error) && same_text(c, campaign_other_text_sql, error)
	              && run_all(c, campaign_add_sql, key, variant, code, error), error);
}

static bool is_campaign(struct campaign *c, const char *path, char *error)
{
	if (pragma(c, "part", "application_id") == CAMPAIGN_APPLICATION_ID
	    && pragma(c, "part", "user_version") == CAMPAIGN_SCHEMA_VERSION)
		return true;
	report_error(error, "%s: not a campaign of Tollgate, or one of another version than %d", path, CAMPAIGN_SCHEMA_VERSION);
	return false;
}

static bool same_runs(struct campaign *c, const char *path, char *error)
{
	char run[160];

	if (!one_text(c, campaign_differs_sql, NULL, run, sizeof run, error))
		return false;
	if (run[0])
		report_error(error, "%s: run \"%s\" is there already and differs", path, run);
	return !run[0];
}

bool campaign_join(struct campaign *c, const char *path, char *error)
{
	if (!attach(c, path, error))
		return false;
	return settle(c, is_campaign(c, path, error) && exec(c, "BEGIN IMMEDIATE", error)
	              && same_text(c, campaign_other_campaign_sql, error) && same_runs(c, path, error)
	              && run_all(c, campaign_join_sql, NULL, NULL, 0, error), error);
}

bool campaign_finish(struct campaign *c, char *error)
{
	char *temp = output_temp_name(c->path, "new");
	sqlite3_stmt *stmt = NULL;
	bool fine;

	output_remove_stale(c->path);
	/* The vacuum counts it up: a campaign that is finished twice would differ in it. */
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	sqlite3_exec(c->db, "PRAGMA main.schema_version = 1", NULL, NULL, NULL);
	fine = sqlite3_prepare_v2(c->db, "VACUUM INTO ?", -1, &stmt, NULL) == SQLITE_OK;
	sqlite3_bind_text(stmt, 1, temp, -1, SQLITE_STATIC);
	fine = (fine && sqlite3_step(stmt) == SQLITE_DONE) || failed(c, error);
	sqlite3_finalize(stmt);
	if (!fine)
		unlink(temp);
	sqlite3_close(c->db);
	c->db = NULL;
	fine = fine && output_commit(temp, c->path, error);
	free(temp);
	campaign_leave(c);
	return fine;
}

void campaign_leave(struct campaign *c)
{
	char first[8] = "", error[REPORT_ERROR_LEN];

	if (!c)
		return;
	if (c->fresh && c->db && one_text(c, "SELECT 1 FROM run LIMIT 1", NULL, first, sizeof first, error) && !first[0])
		unlink(c->path);
	sqlite3_close(c->db);
	free(c->path);
	free(c);
}

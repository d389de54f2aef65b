/*
 * Reading a result database: opening it with proof that it is one, and queries that turn every fault of the file into an
 * error text. A damaged or hostile file gives an error, never a crash: SQLite checks what it reads, and texts are made clean
 * by whoever prints them.
 */
#ifndef TOLLGATE_REPORTS_RESULT_DB_H
#define TOLLGATE_REPORTS_RESULT_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct result_db {
	sqlite3 *db;
	const char *path;
	char *error; /* of REPORT_ERROR_LEN bytes, the caller's; "" while all is well */
};

/* Opens read-only. path and error are borrowed. False: error says why: not there, not a result database, another version. */
bool result_open(struct result_db *result, const char *path, char *error);
void result_close(struct result_db *result);

/* Prepares a query. NULL: error. Freed by result_end(). */
sqlite3_stmt *result_query(struct result_db *result, const char *sql);
/* The next row; false at the end and on an error. */
bool result_next(struct result_db *result, sqlite3_stmt *stmt);
/* Finalizes; NULL is harmless. */
void result_end(sqlite3_stmt *stmt);
/* A column as text, "" for NULL; lives until the next row. */
const char *result_text(sqlite3_stmt *stmt, int column);
/* NULL binds NULL. text outlives the query. */
void result_bind_text(sqlite3_stmt *stmt, int parameter, const char *text);
/* The one integer of a query without parameters, preset when there is no row. */
int64_t result_int(struct result_db *result, const char *sql, int64_t preset);

#endif

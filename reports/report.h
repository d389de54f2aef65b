/*
 * A result database as one HTML page: `tollgate report`.
 *
 * The page stands alone: it fetches nothing, and a content security policy forbids it to; its only script and style are those
 * of this program, by their hashes. All text from the database is escaped. It reads well without the script, which only filters
 * and follows links. Equal databases give equal bytes. Its size is bounded: what is left off is counted and said.
 */
#ifndef TOLLGATE_REPORTS_REPORT_H
#define TOLLGATE_REPORTS_REPORT_H

#include <stdio.h>

/*
 * Writes the page of the result database at path to `out`, or, when out is NULL, moves it into place at out_path once it is
 * whole. 0, or 2 with error (REPORT_ERROR_LEN bytes), which names the file it is about.
 */
int report_write(const char *path, const char *out_path, FILE *out, char *error);
/* Likewise two of them side by side, with what differs between them. */
int report_write_pair(const char *path_a, const char *path_b, const char *out_path, FILE *out, char *error);

#endif

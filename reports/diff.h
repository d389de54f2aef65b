/*
 * What differs between two result databases, told as what it means and not row by row: claims first, then the first
 * divergence and what follows from it, then the rest. Random fields and digests are no differences.
 */
#ifndef TOLLGATE_REPORTS_DIFF_H
#define TOLLGATE_REPORTS_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DIFF_JSON_VERSION 1         /* "schema" in the JSON; a new one whenever a key changes its meaning or goes */
#define DIFF_MARKDOWN_MAX 65536     /* bytes; a comment of a pull request takes so many characters */

enum diff_format { DIFF_TEXT, DIFF_JSON, DIFF_MARKDOWN };

struct diff_options {
	enum diff_format format;
	bool all;         /* unfolded: what follows from another difference too, every row */
	bool exact_times; /* each time that moved, not only their summary */
	bool color;       /* of text */
};

/*
 * Compares and prints. 0: same, 1: different, 2: trouble, and error (REPORT_ERROR_LEN bytes) names the file and says why; what
 * was printed until then is void.
 *
 * Memory does not grow with the databases: differences lie in a temporary database of SQLite's (SQLITE_TMPDIR).
 */
int diff_print(const char *path_a, const char *path_b, const struct diff_options *options, FILE *out, char *error);

#endif

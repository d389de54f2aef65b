/* The verdicts of a result database as lines: what was claimed, what came of it, and where and why it failed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/output.h"
#include "reports/reports.h"
#include "reports/result_db.h"
#include "reports/text.h"

#define NS_PER_MICROSECOND 1000

/* Prints text from the file; lines of it after the first are indented to stand under it. */
static void print_clean(FILE *out, const char *text, const char *indent)
{
	char *copy;

	for (const char *s = text_clean(text, &copy); *s; s++) {
		fputc(*s, out);
		if (*s == '\n')
			fputs(indent, out);
	}
	free(copy);
}

static void print_verdict(sqlite3_stmt *row, FILE *out)
{
	const char *because = result_text(row, 3);
	int64_t at_us = sqlite3_column_int64(row, 2) / NS_PER_MICROSECOND;

	print_clean(out, result_text(row, 0), "");
	for (size_t i = strlen(result_text(row, 0)); i < 8; i++)
		fputc(' ', out);
	fprintf(out, "%6" PRId64 ".%06d s  ", at_us / 1000000, abs((int)(at_us % 1000000)));
	print_clean(out, result_text(row, 1), "        ");
	fputs("  (", out);
	print_clean(out, result_text(row, 4), "");
	fputs(")\n", out);
	if (*because) {
		fputs("        ", out);
		print_clean(out, because, "        ");
		fputc('\n', out);
	}
}

int verdicts_print(const char *path, FILE *out, char *error)
{
	struct result_db result;
	sqlite3_stmt *rows;
	long long held = 0, failed = 0;

	if (!result_open(&result, path, error))
		return 2;
	rows = result_query(&result, "SELECT result, claim, at_ns, because, place FROM verdict ORDER BY at_ns, place, claim, nth");
	while (rows && result_next(&result, rows)) {
		if (strcmp(result_text(rows, 0), "held") == 0)
			held++;
		else
			failed++;
		print_verdict(rows, out);
	}
	result_end(rows);
	result_close(&result);
	if (error[0])
		return 2;
	fprintf(out, "held %lld, failed %lld\n", held, failed);
	return 0;
}

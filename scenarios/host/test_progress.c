/*
 * `tollgate test`: one line on the terminal that says how far it is, drawn over itself and gone before anything else
 * is printed. It goes to the error output, and only when that is a terminal, so that no file ever holds it.
 */
#include <stdlib.h>
#include <string.h>
#include "reports/text.h"
#include "scenarios/host/test_internal.h"

#define PROGRESS_COLUMNS_DEFAULT 80

/* The first run that is still going on. */
static const struct job *running_job(const struct test *test, size_t started)
{
	for (size_t i = test->told; i < started; i++)
		if (!test->jobs.list[i].done)
			return &test->jobs.list[i];
	return NULL;
}

void progress_show(struct test *test, size_t started)
{
	unsigned columns = test->o->progress_width ? test->o->progress_width : PROGRESS_COLUMNS_DEFAULT;
	const struct job *job;
	char name[512], line[1024], *copy;
	const char *clean;
	size_t len;

	if (!test->o->progress)
		return;
	job = running_job(test, started);
	if (job)
		job_name(job, name, sizeof name);
	snprintf(line, sizeof line, "%zu of %zu runs, %zu failed%s%s", test->done, test->jobs.count, test->failed, job ? "; " : "",
	         job ? name : "");
	clean = text_clean(line, &copy);
	len = strnlen(clean, columns - 1);
	while (len && ((unsigned char)clean[len] & 0xc0) == 0x80) /* no half characters */
		len--;
	fprintf(test->o->err, "\r\033[K%.*s", (int)len, clean);
	fflush(test->o->err);
	free(copy);
	test->progress_columns = columns;
}

void progress_clear(struct test *test)
{
	if (!test->progress_columns)
		return;
	fputs("\r\033[K", test->o->err);
	fflush(test->o->err);
	test->progress_columns = 0;
}

/*
 * `tollgate test`: what is printed while runs end and after all have, and the files for other programs.
 *
 * The files are opened before the first run, so that a wrong path is told at once, and appear when all is known,
 * whole or not at all. No wall clock is in anything here: same scenarios, seeds and program, same bytes.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/test_internal.h"

/* ---- the table ---- */

/* Copies what a run has said; the last line is ended if the run did not. */
static void copy_output(FILE *from, FILE *to)
{
	char buf[4096], last = '\n';
	size_t n;

	rewind(from);
	while ((n = fread(buf, 1, sizeof buf, from)) > 0) {
		fwrite(buf, 1, n, to);
		last = buf[n - 1];
	}
	if (last != '\n')
		fputc('\n', to);
}

/* Under the line of a run that failed: what it said, and how to repeat it unless its claims have said so. */
static void print_failure(const struct test *test, const struct job *job, enum host_code code)
{
	char *command;

	if (job->unreadable)
		fputs(job->unreadable, test->o->out);
	else
		copy_output(job->output, test->o->out);
	if (code == HOST_FAILED)
		return;
	command = job_command(test->o, job);
	fprintf(test->o->out, "  repeat: %s\n", command);
	free(command);
}

static void print_run(const struct test *test, size_t i)
{
	const struct job *job = &test->jobs.list[i];
	const struct host_result *result = &test->jobs.results[i];
	char buf[TIME_TEXT_LEN], name[512];

	job_name(job, name, sizeof name);
	fprintf(test->o->out, "%-6s  %-*s  seed %llu", result_word(result->code), (int)test->width, name,
	        (unsigned long long)job->seed);
	if (result->code == HOST_HELD || result->code == HOST_FAILED)
		fprintf(test->o->out, "  %u of %u claims hold  %s", result->held, result->held + result->failed,
		        clock_text(result->end_ns, buf));
	fputc('\n', test->o->out);
	if (result->code != HOST_HELD)
		print_failure(test, job, result->code);
}

void test_tell(struct test *test, size_t i)
{
	struct job *job = &test->jobs.list[i];

	progress_clear(test);
	results_read(test, i);
	if (test->o->tap)
		tap_run(test, i);
	else
		print_run(test, i);
	fflush(test->o->out);
	if (job->output)
		fclose(job->output);
	job->output = NULL;
}

/* ---- below it ---- */

/* Of a range of seeds: the smallest with which a run failed, and of its runs the first. */
static void print_smallest_seed(const struct test *test, const char *before)
{
	const struct job *least = NULL;
	char *command;

	for (size_t i = 0; i < test->jobs.count; i++) {
		const struct job *job = &test->jobs.list[i];

		if (test->jobs.results[i].code != HOST_HELD && !job->unreadable && (!least || job->seed < least->seed))
			least = job;
	}
	if (!least || test->o->seed_first == test->o->seed_last)
		return;
	command = job_command(test->o, least);
	fprintf(test->o->out, "%ssmallest failing seed %llu: %s\n", before, (unsigned long long)least->seed, command);
	free(command);
}

void test_summarise(struct test *test)
{
	const char *before = test->o->tap ? "# " : "";
	size_t passed = 0;

	for (size_t i = 0; i < test->jobs.count; i++)
		passed += test->jobs.results[i].code == HOST_HELD;
	attacks_print(test, test->o->out, before);
	print_smallest_seed(test, before);
	fprintf(test->o->out, "%s%zu passed, %zu failed\n", before, passed, test->jobs.count - passed);
}

/* ---- files ---- */

static bool open_one(struct test *test, struct output *output, const char *path)
{
	char error[REPORT_ERROR_LEN];

	if (!path || output_open(output, path, 0666, error))
		return true;
	fprintf(test->o->err, "%s: %s\n", path, error);
	return false;
}

bool outputs_open(struct test *test)
{
	const struct test_options *o = test->o;

	if (open_one(test, &test->junit, o->junit) && open_one(test, &test->sarif, o->sarif) && open_one(test, &test->json, o->json))
		return true;
	outputs_abandon(test);
	return false;
}

static bool finish_one(struct test *test, struct output *output, const char *path,
                       void (*write)(const struct test *test, FILE *out))
{
	char error[REPORT_ERROR_LEN];

	if (!output->file)
		return true;
	write(test, output->file);
	if (output_finish(output, error))
		return true;
	fprintf(test->o->err, "%s: %s\n", path, error);
	return false;
}

bool outputs_finish(struct test *test)
{
	bool fine = finish_one(test, &test->junit, test->o->junit, junit_write);

	fine = finish_one(test, &test->sarif, test->o->sarif, sarif_write) && fine;
	return finish_one(test, &test->json, test->o->json, json_write) && fine;
}

void outputs_abandon(struct test *test)
{
	output_abandon(&test->junit);
	output_abandon(&test->sarif);
	output_abandon(&test->json);
}

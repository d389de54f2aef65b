/*
 * `tollgate test`: every scenario, every claim, and what came of the attacks. test_internal.h says which file does
 * what.
 */
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "scenarios/host/test_internal.h"

static size_t name_width(const struct jobs *jobs)
{
	size_t width = 0;

	for (size_t i = 0; i < jobs->count; i++) {
		char name[512];

		job_name(&jobs->list[i], name, sizeof name);
		if (strlen(name) > width)
			width = strlen(name);
	}
	return width;
}

/* Makes the runs of all scenarios that are chosen. False: it has been said why there are none. */
static bool find_runs(struct test *test, struct scenario_list *list)
{
	const struct test_options *o = test->o;
	bool found = true;

	for (size_t i = 0; i < o->path_count; i++)
		found = scenario_find(o->paths[i], list, o->err) && found;
	if (o->path_count == 0)
		found = scenario_find(host_scenarios_dir(), list, o->err);
	for (size_t i = 0; i < list->count; i++)
		if (i == 0 || strcmp(list->paths[i], list->paths[i - 1]) != 0)
			jobs_for(&test->jobs, o, list->paths[i]);
	if (test->jobs.too_many)
		fprintf(o->err, "more than %d runs; name fewer scenarios or seeds\n", TEST_RUNS_MAX);
	else if (found && test->jobs.count == 0)
		fprintf(o->err, "no scenario found\n");
	return found && !test->jobs.too_many && test->jobs.count > 0;
}

static enum host_code worst_code(const struct jobs *jobs)
{
	enum host_code worst = HOST_HELD;

	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->results[i].code > worst)
			worst = jobs->results[i].code;
	return worst;
}

/* From the list of runs to the last line. */
static enum host_code run_all(struct test *test)
{
	struct jobs *jobs = &test->jobs;
	enum host_code code;

	jobs->results = mmap(NULL, (jobs->count + 1) * sizeof *jobs->results, PROT_READ | PROT_WRITE,
	                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (jobs->results == MAP_FAILED) {
		jobs->results = NULL;
		return HOST_DEFECT;
	}
	test->width = name_width(jobs);
	if (test->o->tap)
		tap_begin(test);
	code = jobs_run(test);
	if (code != HOST_HELD && test->o->tap)
		fputs("Bail out! ended before all runs had\n", test->o->out);
	if (code != HOST_HELD)
		return code;
	code = worst_code(jobs);
	if (!outputs_finish(test) && code < HOST_BAD)
		code = HOST_BAD;
	test_summarise(test);
	return code;
}

enum host_code host_test(const struct test_options *o)
{
	struct scenario_list list = { .count = 0 };
	struct test test = { .o = o };
	enum host_code code = HOST_BAD;

	if (find_runs(&test, &list) && outputs_open(&test) && results_open(&test))
		code = run_all(&test);
	outputs_abandon(&test);
	results_close(&test);
	jobs_free(&test.jobs);
	scenario_list_free(&list);
	return code;
}

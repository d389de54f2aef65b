/*
 * `tollgate test --junit`: the XML that JUnit's reports have made common, as Jenkins publishes a schema of it
 * (tests/schemas). A scenario is a test suite, a run a test case, a claim that failed a failure; a run without a
 * result is an error.
 *
 * time is virtual time in seconds. There is neither timestamp nor host: nothing of them is a result.
 */
#include <stdlib.h>
#include <string.h>
#include "reports/markup.h"
#include "scenarios/host/test_internal.h"

static void put_attribute(FILE *out, const char *name, const char *text)
{
	fprintf(out, " %s=\"", name);
	put_xml(out, text);
	fputc('"', out);
}

static void put_seconds(FILE *out, sim_ns ns)
{
	fprintf(out, " time=\"%lld.%09lld\"", (long long)(ns / NS_PER_S), (long long)(ns % NS_PER_S));
}

static void put_failure(FILE *out, const struct failed_claim *c, const char *command)
{
	char buf[TIME_TEXT_LEN];

	fputs("      <failure type=\"claim\"", out);
	put_attribute(out, "message", c->claim);
	fputc('>', out);
	put_xml(out, c->place);
	fprintf(out, " at %s&#10;", clock_text(c->at_ns, buf));
	if (*c->because) {
		fputs("found: ", out);
		put_xml(out, c->because);
		fputs("&#10;", out);
	}
	fputs("repeat: ", out);
	put_xml(out, command);
	fputs("</failure>\n", out);
}

/* What was not told one by one, so that the number of failures does not mislead. */
static void put_rest(FILE *out, const struct run_facts *facts)
{
	if (facts->failed > (int64_t)facts->claim_count)
		fprintf(out, "      <failure type=\"claim\" message=\"and %lld more\"/>\n",
		        (long long)(facts->failed - (int64_t)facts->claim_count));
}

static void put_error(FILE *out, const struct job *job, enum host_code code, const char *command)
{
	fprintf(out, "      <error type=\"%s\" message=\"%s\">", code == HOST_BAD ? "bad" : "defect",
	        code == HOST_BAD ? "the scenario is bad" : "the run came to no result");
	put_xml(out, job->said ? job->said : "");
	fputs("&#10;repeat: ", out);
	put_xml(out, command);
	fputs("</error>\n", out);
}

static void put_case(FILE *out, const struct test *test, size_t i)
{
	const struct job *job = &test->jobs.list[i];
	enum host_code code = test->jobs.results[i].code;
	char name[HOST_VARIANT_LEN + 160], claims[32], *command;

	snprintf(name, sizeof name, "%s%s%.80s%sseed %llu", job->variant, job->variant[0] ? "=" : "", job->value,
	         job->variant[0] ? " " : "", (unsigned long long)job->seed);
	fputs("    <testcase", out);
	put_attribute(out, "classname", job->name);
	put_attribute(out, "name", name);
	if (job->has_facts) {
		snprintf(claims, sizeof claims, "%lld", (long long)(job->facts.held + job->facts.failed));
		put_attribute(out, "assertions", claims);
		put_seconds(out, job->facts.end_ns);
	}
	if (code == HOST_HELD) {
		fputs("/>\n", out);
		return;
	}
	fputs(">\n", out);
	command = job_command(test->o, job);
	if (!job->has_facts)
		put_error(out, job, code, command);
	for (size_t n = 0; n < job->facts.claim_count; n++)
		put_failure(out, &job->facts.claims[n], command);
	put_rest(out, &job->facts);
	fputs("    </testcase>\n", out);
	free(command);
}

struct sums {
	size_t tests, failures, errors;
	sim_ns time_ns;
};

/* The runs of one scenario stand beside each other: up to which one. */
static size_t suite_end(const struct jobs *jobs, size_t from)
{
	size_t to = from + 1;

	while (to < jobs->count && strcmp(jobs->list[to].path, jobs->list[from].path) == 0)
		to++;
	return to;
}

static struct sums sum_up(const struct jobs *jobs, size_t from, size_t to)
{
	struct sums sums = { .tests = to - from };

	for (size_t i = from; i < to; i++) {
		sums.failures += jobs->results[i].code == HOST_FAILED;
		sums.errors += jobs->results[i].code >= HOST_BAD;
		if (jobs->list[i].has_facts)
			sums.time_ns = moment_after(sums.time_ns, jobs->list[i].facts.end_ns);
	}
	return sums;
}

static void put_sums(FILE *out, const struct sums *sums)
{
	fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"", sums->tests, sums->failures, sums->errors);
	put_seconds(out, sums->time_ns);
}

static void put_suite(FILE *out, const struct test *test, size_t from, size_t to)
{
	const struct job *first = &test->jobs.list[from];
	struct sums sums = sum_up(&test->jobs, from, to);

	fputs("  <testsuite", out);
	put_attribute(out, "name", first->name);
	put_sums(out, &sums);
	fputs(">\n    <properties>\n      <property name=\"time\" value=\"virtual seconds\"/>\n", out);
	if (first->title) {
		fputs("      <property name=\"title\"", out);
		put_attribute(out, "value", first->title);
		fputs("/>\n", out);
	}
	if (first->attack) {
		fputs("      <property name=\"attack\"", out);
		put_attribute(out, "value", first->attack);
		fputs("/>\n", out);
	}
	fputs("    </properties>\n", out);
	for (size_t i = from; i < to; i++)
		put_case(out, test, i);
	fputs("  </testsuite>\n", out);
}

void junit_write(const struct test *test, FILE *out)
{
	struct sums sums = sum_up(&test->jobs, 0, test->jobs.count);

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tollgate test\"", out);
	put_sums(out, &sums);
	fputs(">\n", out);
	for (size_t i = 0, end; i < test->jobs.count; i = end) {
		end = suite_end(&test->jobs, i);
		put_suite(out, test, i, end);
	}
	fputs("</testsuites>\n", out);
}

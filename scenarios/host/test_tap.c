/*
 * `tollgate test --tap`: the Test Anything Protocol, version 14, on the output, a line a run. Under a run that failed
 * stands a YAML block; its texts are JSON strings, which YAML 1.2 reads as they are.
 */
#include <stdlib.h>
#include "reports/markup.h"
#include "reports/text.h"
#include "scenarios/host/test_internal.h"

/* A description: no line ends, and "#" would begin a directive. */
static void put_description(FILE *out, const char *text)
{
	char *copy;

	for (const char *s = text_clean(text, &copy); *s; s++) {
		if (*s == '#' || *s == '\\')
			fputc('\\', out);
		fputc(*s == '\n' || *s == '\t' ? ' ' : *s, out);
	}
	free(copy);
}

void tap_begin(struct test *test)
{
	fprintf(test->o->out, "TAP version 14\n1..%zu\n", test->jobs.count);
}

static void put_pair(FILE *out, const char *name, const char *text)
{
	fprintf(out, "  %s: ", name);
	put_json(out, text);
	fputc('\n', out);
}

static void put_claims(FILE *out, const struct run_facts *facts)
{
	if (facts->claim_count)
		fputs("  failed:\n", out);
	for (size_t i = 0; i < facts->claim_count; i++) {
		const struct failed_claim *c = &facts->claims[i];
		char buf[TIME_TEXT_LEN];

		fputs("    - claim: ", out);
		put_json(out, c->claim);
		fputs("\n      found: ", out);
		put_json(out, c->because);
		fputs("\n      place: ", out);
		put_json(out, c->place);
		fprintf(out, "\n      at: \"%s\"\n", clock_text(c->at_ns, buf));
	}
}

static void put_diagnosis(const struct test *test, const struct job *job, enum host_code code)
{
	FILE *out = test->o->out;
	char *command = job_command(test->o, job);

	fputs("  ---\n", out);
	put_pair(out, "result", result_word(code));
	if (job->attack)
		put_pair(out, "attack", attack_end_text[job_attack_end(job)]);
	if (job->has_facts)
		put_claims(out, &job->facts);
	if (job->said)
		put_pair(out, "said", job->said);
	put_pair(out, "repeat", command);
	fputs("  ...\n", out);
	free(command);
}

void tap_run(struct test *test, size_t i)
{
	const struct job *job = &test->jobs.list[i];
	enum host_code code = test->jobs.results[i].code;
	char name[512];

	job_name(job, name, sizeof name);
	fprintf(test->o->out, "%s %zu - ", code == HOST_HELD ? "ok" : "not ok", i + 1);
	put_description(test->o->out, name);
	fprintf(test->o->out, " seed %llu\n", (unsigned long long)job->seed);
	if (code != HOST_HELD)
		put_diagnosis(test, job, code);
}

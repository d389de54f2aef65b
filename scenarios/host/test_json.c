/*
 * `tollgate test --json`: all runs, for programs. Keys stand in a fixed order, times are integers in nanoseconds of virtual time.
 *
 *   { "format": "tollgate-test", "version": 1,
 *     "passed": N, "failed": N,                         counted in runs
 *     "runs": [ {
 *       "scenario": PATH, "title": TEXT, "switch": NAME | null, "value": TEXT | null, "seed": N,
 *       "result": "passed" | "failed" | "bad" | "defect",
 *       "claims_held": N, "claims_failed": N, "end_ns": N,   null where there is no result (bad, defect)
 *       "attack": null | { "id": ID, "outcome": "stopped" | "succeeded" | "succeeded unexpectedly" |
 *           "stopped unexpectedly or by another check" | "not tried",
 *           "place": "FILE:LINE", "refused_by": TEXT, "success": TEXT },
 *       "failed": [ { "claim": TEXT, "found": TEXT, "place": "FILE:LINE", "at_ns": N } ],   at most 100
 *       "said": TEXT | null,                            what a run without a result has said
 *       "repeat": COMMAND } ] }
 *
 * The version rises when a key goes or changes its meaning; new keys may come without.
 */
#include <stdlib.h>
#include "reports/markup.h"
#include "scenarios/host/test_internal.h"

static void put_key(FILE *out, const char *before, const char *key, const char *text)
{
	fprintf(out, "%s\"%s\": ", before, key);
	if (text)
		put_json(out, text);
	else
		fputs("null", out);
}

static void put_attack(FILE *out, const struct job *job)
{
	static const char *const words[ATTACK_END_COUNT] = {
		[ATTACK_NONE] = "not tried", [ATTACK_STOPPED] = "stopped", [ATTACK_SUCCEEDED] = "succeeded",
		[ATTACK_BROKE_THROUGH] = "succeeded unexpectedly",
		[ATTACK_STOPPED_OTHERWISE] = "stopped unexpectedly or by another check", [ATTACK_NOT_TRIED] = "not tried",
	};

	fputs(", \"attack\": ", out);
	if (!job->attack) {
		fputs("null", out);
		return;
	}
	put_key(out, "{ ", "id", job->attack);
	put_key(out, ", ", "outcome", words[job_attack_end(job)]);
	put_key(out, ", ", "place", job->has_facts ? job->facts.attack_place : "");
	put_key(out, ", ", "refused_by", job->has_facts ? job->facts.refused_by : "");
	put_key(out, ", ", "success", job->has_facts ? job->facts.success : "");
	fputs(" }", out);
}

static void put_failed(FILE *out, const struct run_facts *facts)
{
	fputs(",\n      \"failed\": [", out);
	for (size_t i = 0; i < facts->claim_count; i++) {
		const struct failed_claim *c = &facts->claims[i];

		put_key(out, i ? ",\n        { " : "\n        { ", "claim", c->claim);
		put_key(out, ", ", "found", c->because);
		put_key(out, ", ", "place", c->place);
		fprintf(out, ", \"at_ns\": %lld }", (long long)c->at_ns);
	}
	fputs(facts->claim_count ? "\n      ]" : "]", out);
}

static void put_run(FILE *out, const struct test *test, size_t i)
{
	static const char *const words[] = {
		[HOST_HELD] = "passed", [HOST_FAILED] = "failed", [HOST_BAD] = "bad", [HOST_DEFECT] = "defect",
	};
	const struct job *job = &test->jobs.list[i];
	char *command = job_command(test->o, job);

	put_key(out, i ? ",\n    { " : "\n    { ", "scenario", job->name);
	put_key(out, ", ", "title", job->title ? job->title : "");
	put_key(out, ", ", "switch", job->variant[0] ? job->variant + sizeof "switch." - 1 : NULL);
	put_key(out, ", ", "value", job->variant[0] ? job->value : NULL);
	fprintf(out, ", \"seed\": %llu", (unsigned long long)job->seed);
	put_key(out, ",\n      ", "result", words[test->jobs.results[i].code]);
	if (job->has_facts)
		fprintf(out, ", \"claims_held\": %lld, \"claims_failed\": %lld, \"end_ns\": %lld", (long long)job->facts.held,
		        (long long)job->facts.failed, (long long)job->facts.end_ns);
	else
		fputs(", \"claims_held\": null, \"claims_failed\": null, \"end_ns\": null", out);
	put_attack(out, job);
	put_failed(out, &job->facts);
	put_key(out, ",\n      ", "said", job->said);
	put_key(out, ", ", "repeat", command);
	fputs(" }", out);
	free(command);
}

void json_write(const struct test *test, FILE *out)
{
	size_t passed = 0;

	for (size_t i = 0; i < test->jobs.count; i++)
		passed += test->jobs.results[i].code == HOST_HELD;
	fprintf(out, "{ \"format\": \"tollgate-test\", \"version\": 1, \"passed\": %zu, \"failed\": %zu,\n  \"runs\": [", passed,
	        test->jobs.count - passed);
	for (size_t i = 0; i < test->jobs.count; i++)
		put_run(out, test, i);
	fputs("\n  ] }\n", out);
}

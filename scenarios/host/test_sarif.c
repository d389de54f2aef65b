/*
 * `tollgate test --sarif`: SARIF 2.1.0 (OASIS), a result for each attack that did not end as expected, and for
 * nothing else. Runs that came to no end of their attack are notifications, so that silence never passes for safety.
 *
 * A rule is an attack; its id stays. A result lies at the outcome { } of the scenario, its code flow has the steps of
 * the run: what attackers sent, what answered, what was refused, the claim that failed.
 */
#include <stdlib.h>
#include <string.h>
#include "reports/markup.h"
#include "reports/text.h"
#include "scenarios/host/test_internal.h"

#define SARIF_SCHEMA "https://json.schemastore.org/sarif-2.1.0-rtm.5.json"

/* ---- places ---- */

/* "scenarios/x.lua:12" taken apart; line 1 where it has none. Returns the length of the path. */
static size_t split_place(const char *place, unsigned long *line)
{
	const char *colon = strrchr(place, ':');
	char *end;

	*line = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || *line == 0 || *line > INT32_MAX || *end) {
		*line = 1;
		return strlen(place);
	}
	return (size_t)(colon - place);
}

static void put_physical(FILE *out, const char *place)
{
	unsigned long line;
	char *path = sim_strdup(place);

	path[split_place(place, &line)] = '\0';
	fputs("\"physicalLocation\": { \"artifactLocation\": { \"uri\": \"", out);
	put_uri(out, path);
	fprintf(out, "\", \"uriBaseId\": \"%%SRCROOT%%\" }, \"region\": { \"startLine\": %lu } }", line);
	free(path);
}

static const char *place_of_job(const struct job *job)
{
	return job->has_facts && *job->facts.attack_place ? job->facts.attack_place : job->name;
}

/* ---- rules ---- */

static bool is_unexpected(const struct job *job)
{
	enum attack_end end = job_attack_end(job);

	return job->attack && (end == ATTACK_BROKE_THROUGH || end == ATTACK_STOPPED_OTHERWISE);
}

static size_t rule_index(const struct names *rules, const char *attack)
{
	size_t i = 0;

	while (i < rules->count && strcmp(rules->list[i], attack) != 0)
		i++;
	return i;
}

/* The attacks that were run, each once, in the order of first sight. */
static struct names rules_of(const struct jobs *jobs)
{
	struct names rules = { .count = 0 };

	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->list[i].attack && rule_index(&rules, jobs->list[i].attack) == rules.count)
			names_add(&rules, jobs->list[i].attack);
	return rules;
}

/* "sc.replay_cache: the signaling controller remembers ..." for each switch that an attack is about. */
static char *defences_of(const char *attack)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return sim_strdup("");
	fprintf(out, "Stopped by");
	for (const struct switch_def *def = switch_table; def->name; def++)
		if (switch_concerns(def, attack))
			fprintf(out, "\n%s: %s", def->name, def->doc);
	fclose(out);
	return text;
}

static void put_rule(FILE *out, const char *attack)
{
	const char *words = attack_words(attack);
	char *defences = defences_of(attack);

	fputs("\n          { \"id\": ", out);
	put_json(out, attack);
	fputs(", \"shortDescription\": { \"text\": ", out);
	put_json(out, words ? words : attack);
	fputs(" },\n            \"fullDescription\": { \"text\": ", out);
	put_json(out, defences);
	fputs(" }, \"defaultConfiguration\": { \"level\": \"error\" } }", out);
	free(defences);
}

/* ---- results ---- */

static void put_message(FILE *out, const struct test *test, const struct job *job)
{
	const struct run_facts *facts = &job->facts;
	char name[512], *text = NULL, *command = job_command(test->o, job);
	const char *words = attack_words(job->attack);
	size_t len;
	FILE *m = open_memstream(&text, &len);

	if (m) {
		job_name(job, name, sizeof name);
		fprintf(m, "Attack %s%s%s%s: %s in %s, seed %llu.", job->attack, words ? " (" : "", words ? words : "", words ? ")" : "",
		        attack_end_text[facts->attack_end], name, (unsigned long long)job->seed);
		if (facts->claim_count)
			fprintf(m, "\nDoes not hold: %s: %s", facts->claims[0].claim, facts->claims[0].because);
		if (*facts->success)
			fprintf(m, "\nOf its success\n%s", facts->success);
		if (*facts->refused_by)
			fprintf(m, "\nRefused by %s", facts->refused_by);
		fprintf(m, "\nRepeat: %s", command);
		fclose(m);
	}
	fputs("\"message\": { \"text\": ", out);
	put_json(out, text ? text : "");
	fputs(" }", out);
	free(text);
	free(command);
}

static void put_step(FILE *out, const struct job *job, const struct run_step *step, size_t nth)
{
	static const char *const kinds[] = { [STEP_MESSAGE] = "message", [STEP_REFUSAL] = "refusal", [STEP_VERDICT] = "verdict" };
	char buf[TIME_TEXT_LEN], *text = text_make("%s  %s", clock_text(step->at_ns, buf), step->text);

	fprintf(out, "\n            { \"executionOrder\": %zu, \"kinds\": [\"%s\"], \"importance\": \"%s\",\n"
	        "              \"location\": { ", nth, kinds[step->kind], step->kind == STEP_VERDICT ? "essential" : "important");
	put_physical(out, *step->place ? step->place : place_of_job(job));
	fputs(",\n                \"message\": { \"text\": ", out);
	put_json(out, text);
	fputs(" } } }", out);
	free(text);
}

static void put_flow(FILE *out, const struct job *job)
{
	const struct run_facts *facts = &job->facts;

	if (!facts->step_count)
		return;
	fputs(",\n          \"codeFlows\": [ { ", out);
	if (facts->steps_left_out)
		fprintf(out, "\"message\": { \"text\": \"the last %zu steps; %lld earlier ones are left out\" }, ", facts->step_count,
		        (long long)facts->steps_left_out);
	fputs("\"threadFlows\": [ { \"locations\": [", out);
	for (size_t i = 0; i < facts->step_count; i++) {
		fputs(i ? "," : "", out);
		put_step(out, job, &facts->steps[i], i + 1);
	}
	fputs("\n          ] } ] } ]", out);
}

static void put_result(FILE *out, const struct test *test, const struct job *job, const struct names *rules)
{
	char name[512], *fingerprint;

	job_name(job, name, sizeof name);
	fingerprint = text_make("%s %s", job->attack, name);
	fputs("\n        { \"ruleId\": ", out);
	put_json(out, job->attack);
	fprintf(out, ", \"ruleIndex\": %zu, \"kind\": \"fail\", \"level\": \"error\",\n          ", rule_index(rules, job->attack));
	put_message(out, test, job);
	fputs(",\n          \"locations\": [ { ", out);
	put_physical(out, place_of_job(job));
	fputs(" } ],\n          \"partialFingerprints\": { \"attackRun/v1\": ", out);
	put_json(out, fingerprint);
	fputs(" }", out);
	put_flow(out, job);
	fputs(" }", out);
	free(fingerprint);
}

/* Attack runs that came to no end of their attack. */
static void put_notifications(FILE *out, const struct test *test)
{
	const char *between = "";

	for (size_t i = 0; i < test->jobs.count; i++) {
		const struct job *job = &test->jobs.list[i];
		char name[512], *text;

		if (!job->unreadable && (!job->attack || job_attack_end(job) != ATTACK_NOT_TRIED))
			continue;
		job_name(job, name, sizeof name);
		text = text_make("%s, seed %llu: %s", name, (unsigned long long)job->seed,
		                 job->unreadable ? "cannot be read" : "the run ended before the attack");
		fprintf(out, "%s\n          { \"level\": \"error\", \"message\": { \"text\": ", between);
		put_json(out, text);
		fputs(" }, \"locations\": [ { ", out);
		put_physical(out, place_of_job(job));
		fputs(" } ] }", out);
		free(text);
		between = ",";
	}
}

static bool all_ended(const struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->results[i].code >= HOST_BAD)
			return false;
	return true;
}

void sarif_write(const struct test *test, FILE *out)
{
	struct names rules = rules_of(&test->jobs);
	const char *between = "";

	fputs("{ \"$schema\": \"" SARIF_SCHEMA "\", \"version\": \"2.1.0\",\n  \"runs\": [\n    { \"tool\": { \"driver\": { \"name\": "
	      "\"Tollgate\"", out);
	if (test->o->version) {
		fputs(", \"version\": ", out);
		put_json(out, test->o->version);
	}
	fputs(",\n        \"rules\": [", out);
	for (size_t i = 0; i < rules.count; i++) {
		fputs(i ? "," : "", out);
		put_rule(out, rules.list[i]);
	}
	fputs("\n        ] } },\n      \"originalUriBaseIds\": { \"%SRCROOT%\": "
	      "{ \"description\": { \"text\": \"the folder that scenarios lies in\" } } },\n", out);
	fprintf(out, "      \"invocations\": [ { \"executionSuccessful\": %s, \"toolExecutionNotifications\": [",
	        all_ended(&test->jobs) ? "true" : "false");
	put_notifications(out, test);
	fputs("\n        ] } ],\n      \"columnKind\": \"unicodeCodePoints\",\n      \"results\": [", out);
	for (size_t i = 0; i < test->jobs.count; i++) {
		if (!is_unexpected(&test->jobs.list[i]))
			continue;
		fputs(between, out);
		put_result(out, test, &test->jobs.list[i], &rules);
		between = ",";
	}
	fputs("\n      ] } ] }\n", out);
}

/*
 * What came of an attack: whether the branch of outcome { stopped, succeeded } that the switches ask for holds and, when the
 * attack was to be stopped and that does not hold, whether its success does.
 *
 * The second question is asked of a run of its own: same scenario, arguments, switches and seed, so same events up to the
 * outcome, but there the branch `succeeded` runs. That run, the probe, leaves nothing behind but the answer: an attack whose
 * branch `succeeded` holds to its end went through; else something stopped it, only not as the scenario claims.
 */
#include <stdlib.h>
#include <string.h>
#include "reports/text.h"
#include "scenarios/host/internal.h"

#define PROBE_CLAIMS_MAX 32 /* kept with their text */

struct attack_probe {
	unsigned begun, held;
	unsigned claims_held, claims_failed; /* from the outcome on */
	char *claims[PROBE_CLAIMS_MAX];      /* "holds: CLAIM (PLACE)" */
	size_t claim_count;
	bool went_through;
};

bool attack_begin(struct host *host, const char *place)
{
	if (!host->attack.begun++)
		snprintf(host->attack.place, sizeof host->attack.place, "%s", place);
	return host->options->probe || attack_on(host->L);
}

void attack_held(struct host *host)
{
	host->attack.held++;
}

static void probe_add(struct attack_probe *probe, char *text)
{
	if (probe->claim_count < PROBE_CLAIMS_MAX)
		probe->claims[probe->claim_count++] = text;
	else
		free(text);
}

void attack_claim(struct host *host, const struct verdict_facts *facts)
{
	struct attack_probe *probe = host->options->probe;

	if (!probe || !host->attack.begun)
		return;
	probe->claims_held += facts->held;
	probe->claims_failed += !facts->held;
	probe_add(probe, text_make("%s: %s (%s)", facts->held ? "holds" : "does not hold", facts->claim, facts->place));
}

/* What the probe said of an error; it may have used what only a successful attack makes. */
static void probe_error(struct attack_probe *probe, const char *said)
{
	probe->claims_failed++;
	probe_add(probe, text_make("ends in an error: %.*s", (int)strcspn(said, "\n"), said));
}

static void probe_run(const struct host *host, struct attack_probe *probe)
{
	struct host_options options = *host->options;
	struct host_result result;
	char *said = NULL;
	size_t len;

	options.database = options.capture = options.keylog = NULL;
	options.claims = false;
	options.meter = NULL;
	options.probe = probe;
	options.out = options.err = open_memstream(&said, &len);
	if (!options.out)
		return;
	host_run(&options, &result);
	fclose(options.out);
	if (result.code >= HOST_BAD)
		probe_error(probe, said);
	else
		probe->went_through = probe->begun && probe->held == probe->begun;
	free(said);
}

/* The word for table run; see schema.c. */
static const char *outcome_word(const struct host *host, const struct attack_probe *probe, bool on)
{
	const struct attack *attack = &host->attack;

	if (!attack->begun)
		return "not tried";
	if (attack->held == attack->begun)
		return on ? "succeeded" : "stopped";
	return probe->went_through ? "succeeded" : "neither";
}

static void write_outcome(struct host *host, const struct attack_probe *probe, bool on)
{
	recorder_run_value(host->recorder, "attack.outcome", outcome_word(host, probe, on));
	if (host->attack.begun)
		recorder_run_value(host->recorder, "attack.place", host->attack.place);
	for (size_t i = 0; i < probe->claim_count; i++) {
		char name[sizeof "attack.success." + 20];

		snprintf(name, sizeof name, "attack.success.%zu", i + 1);
		recorder_run_value(host->recorder, name, probe->claims[i]);
	}
}

void attack_finish(struct host *host)
{
	const struct attack *attack = &host->attack;
	struct attack_probe probe = { .begun = 0 };
	bool on;

	if (!host->header.attack)
		return;
	if (host->options->probe) {
		host->options->probe->begun = attack->begun;
		host->options->probe->held = attack->held;
		return;
	}
	on = attack_on(host->L);
	if (!on && attack->held < attack->begun) {
		probe_run(host, &probe);
		fprintf(host->options->out, "  attack %s %s: %u of %u claims of its success hold\n", host->header.attack,
		        probe.went_through ? "went through" : "did not go through", probe.claims_held,
		        probe.claims_held + probe.claims_failed);
	}
	if (host->recorder)
		write_outcome(host, &probe, on);
	for (size_t i = 0; i < probe.claim_count; i++)
		free(probe.claims[i]);
}

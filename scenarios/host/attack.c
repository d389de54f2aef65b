/*
 * What came of an attack: whether the branch of outcome { stopped, succeeded } that the switches ask for holds and,
 * when the attack was to be stopped and that does not hold, whether its success does.
 *
 * The second question is put on the side: the body of the branch `succeeded` runs once more as a probe (tasks.c). Its
 * claims are no verdicts and change no count; they only tell an attack that went through from one that something else
 * stopped. A probe runs after the other branch has failed, so later than it was written for: where one of its claims
 * does not hold for that reason, the attack counts as not gone through, and how many of its claims hold is said.
 */
#include <stdlib.h>
#include <string.h>
#include "reports/text.h"
#include "scenarios/host/internal.h"

void attack_begin(struct host *host, const char *place)
{
	if (!host->attack.begun++)
		snprintf(host->attack.place, sizeof host->attack.place, "%s", place);
}

void attack_held(struct host *host)
{
	host->attack.held++;
}

void attack_probe_claim(struct host *host, const struct verdict_facts *facts)
{
	struct attack *attack = &host->attack;
	struct attack_claim *claim;

	attack->probe_held += facts->held;
	attack->probe_failed += !facts->held;
	if (attack->claim_count == ATTACK_CLAIMS_MAX)
		return;
	claim = &attack->claims[attack->claim_count++];
	claim->text = text_make("%s: %s (%s)", facts->held ? "holds" : "does not hold", facts->claim, facts->place);
}

void attack_probe_error(struct host *host, const char *text)
{
	struct verdict_facts facts = { .claim = text, .place = host->attack.place };

	attack_probe_claim(host, &facts);
}

void attack_probe_end(struct host *host, bool held)
{
	host->attack.probes++;
	host->attack.probes_held += held;
}

/* The word for table run; see schema.c. */
static const char *outcome_word(const struct attack *attack, bool on)
{
	if (!attack->begun)
		return "not tried";
	if (attack->held == attack->begun)
		return on ? "succeeded" : "stopped";
	return !on && attack->probes_held ? "succeeded" : "neither";
}

static void write_claims(struct host *host)
{
	const struct attack *attack = &host->attack;

	for (size_t i = 0; i < attack->claim_count; i++) {
		char name[sizeof "attack.success." + 20];

		snprintf(name, sizeof name, "attack.success.%zu", i + 1);
		recorder_run_value(host->recorder, name, attack->claims[i].text);
	}
}

void attack_finish(struct host *host)
{
	const struct attack *attack = &host->attack;
	bool on;

	if (!host->header.attack)
		return;
	on = attack_on(host->L);
	if (attack->probes)
		fprintf(host->options->out, "  attack %s %s: %u of %u claims of its success hold\n", host->header.attack,
		        attack->probes_held ? "went through" : "did not go through", attack->probe_held,
		        attack->probe_held + attack->probe_failed);
	if (!host->recorder)
		return;
	recorder_run_value(host->recorder, "attack.outcome", outcome_word(attack, on));
	if (attack->begun)
		recorder_run_value(host->recorder, "attack.place", attack->place);
	write_claims(host);
}

void attack_free(struct host *host)
{
	for (size_t i = 0; i < host->attack.claim_count; i++)
		free(host->attack.claims[i].text);
	host->attack.claim_count = 0;
}

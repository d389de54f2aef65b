/*
 * What a result database says of its run as a whole: title, claims that failed, what came of the attack, and the
 * steps that led there. `tollgate test` writes its outputs from these.
 */
#ifndef TOLLGATE_REPORTS_RUN_FACTS_H
#define TOLLGATE_REPORTS_RUN_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/trace.h"

#define FACTS_CLAIMS_MAX 100 /* failed claims that are kept */
#define FACTS_STEPS_MAX 100  /* the last ones are kept */

struct failed_claim {
	char *claim, *because, *place;
	sim_ns at_ns;
};

enum step_kind { STEP_MESSAGE, STEP_REFUSAL, STEP_VERDICT };
struct run_step {
	enum step_kind kind;
	sim_ns at_ns;
	char *text;
	char *place; /* of a verdict; else "" */
};

/* The four ways an attack can end, and that it was not even tried. */
enum attack_end {
	ATTACK_NONE, /* the run has no attack */
	ATTACK_STOPPED, ATTACK_SUCCEEDED, ATTACK_BROKE_THROUGH, ATTACK_STOPPED_OTHERWISE, ATTACK_NOT_TRIED, ATTACK_END_COUNT
};
/* "stopped as expected", "SUCCEEDED UNEXPECTEDLY", ... */
extern const char *const attack_end_text[ATTACK_END_COUNT];

struct run_facts { /* texts are owned; "" where the database says nothing */
	char *title, *attack, *attack_place;
	enum attack_end attack_end;
	sim_ns end_ns;
	int64_t held, failed;
	struct failed_claim *claims;
	size_t claim_count;
	char *success;            /* what holds of an attack's success and what does not, as lines; of one that was to be stopped */
	char *refused_by;         /* "sc.replay_cache at sc1 (1), ...": which checks refused what attackers sent */
	struct run_step *steps;   /* in order of time */
	size_t step_count;
	int64_t steps_left_out;   /* earlier ones */
};

/*
 * Reads them. steps: also the steps that concern the attack, for which messages must be recorded (level flow): what
 * attackers sent, what answered it, what was refused, claims that failed. False: error says why, and nothing is to be
 * freed.
 */
bool run_facts_read(const char *path, bool steps, struct run_facts *facts, char *error);
/* Harmless on a zeroed struct. */
void run_facts_free(struct run_facts *facts);

#endif

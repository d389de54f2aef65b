/*
 * The CTAs that a signaling controller is talking with at the moment, by address. A party is there while an association with its CTA is: it
 * knows how many call legs use it and what the ticket restricts it to. When the last leg has ended it lingers for
 * PARTY_LINGER_NS, so that repetitions are answered, then association, keys and party are forgotten; so they are when PARTY_IDLE_NS
 * after the AP exchange no call has taken the association up: between calls a controller keeps no state for a CTA (patent [0050]; flows.md 2).
 */
#ifndef TOLLGATE_MODELS_PARTY_H
#define TOLLGATE_MODELS_PARTY_H

#include "models/ipsec.h"

#define PARTY_LINGER_NS (800 * NS_PER_MS)
#define PARTY_IDLE_NS (60 * NS_PER_S) /* from the AP exchange to the first leg */

struct party {
	struct party *next;
	struct parties *parties;
	uint32_t ip;
	unsigned legs;
	sim_ns since_ns;           /* when its last leg ended; associations made later outlive it */
	struct event closing;
	bool restricted;           /* of an unprovisioned CTA [0134], [0138] */
	unsigned number_count;
	char (*numbers)[KRB_NUMBER_LEN]; /* that it may call; NULL: none */
};

struct parties;
struct parties *parties_new(struct node *node, struct ipsec *ipsec);
void parties_free(struct parties *parties);
void parties_reset(struct parties *parties);
/* An association of a CTA stands: enters the party, or renews what its ticket says. Sets the association's expiry callback. */
void parties_enter(struct parties *parties, struct association *association, const struct krb_ticket_facts *ticket);
struct party *party_at(const struct parties *parties, uint32_t ip); /* NULL: no association with that CTA */
/* A leg with the party begins, or has ended for good. */
void party_hold(struct party *party);
void party_release(struct party *party);
bool party_may_call(const struct party *party, const char *digits);
unsigned parties_count(const struct parties *parties);

#endif

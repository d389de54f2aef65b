/*
 * The CTAs that a signaling controller is talking with at the moment: a party is a name out of a ticket at an address,
 * for an address alone says nothing about who is there. It is there while an association with its CTA is; it knows how
 * many call legs use it and what the ticket restricts it to. When the last leg has ended it lingers for
 * PARTY_LINGER_NS, so that repetitions are answered, then associations, keys and party are forgotten; so they are when
 * PARTY_IDLE_NS after the AP exchange no call has taken the association up: between calls a controller keeps no state
 * for a CTA (patent [0050]; flows.md 2).
 */
#ifndef TOLLGATE_MODELS_PARTY_H
#define TOLLGATE_MODELS_PARTY_H

#include "models/ipsec.h"

#define PARTY_LINGER_NS (800 * NS_PER_MS)
#define PARTY_IDLE_NS (60 * NS_PER_S) /* from the AP exchange to the first leg */
#define PARTY_CALLS_MAX 16            /* that it may have begun and that are not over: a CTA has one line, calls end in seconds */

struct party {
	struct party *next;
	struct parties *parties;
	uint32_t ip;
	char name[KRB_NAME_MAX + 1]; /* of its tickets */
	unsigned legs;               /* that need it */
	unsigned calling;            /* those of calls that it has begun */
	struct event closing;
	bool restricted;           /* of an unprovisioned CTA [0134], [0138] */
	unsigned number_count;
	char (*numbers)[KRB_NUMBER_LEN]; /* that it may call; NULL: none */
};

struct parties;
struct parties *parties_new(struct node *node, struct ipsec *ipsec);
void parties_free(struct parties *parties);
void parties_reset(struct parties *parties);
/*
 * An association of a CTA stands: enters the party, or renews what its ticket says. Sets the association's expiry
 * callback.
 */
void parties_enter(struct parties *parties, struct association *association, const struct krb_ticket_facts *ticket);
/* NULL: no association with that CTA at that address. */
struct party *party_of(const struct parties *parties, uint32_t ip, const char *name);
/* Whether somebody else than name, at this address, is in a call. */
bool parties_other_at(const struct parties *parties, uint32_t ip, const char *name);
/* The newest association with a party's CTA; NULL: it has come to its end. */
struct association *party_association(const struct party *party);
/* A leg with the party begins, or has ended for good. */
void party_hold(struct party *party);
void party_release(struct party *party);
bool party_may_call(const struct party *party, const char *digits);
unsigned parties_count(const struct parties *parties);

#endif

/* The CTAs a signaling controller talks with; see party.h. */
#include "models/party.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"

#define BUCKETS_FIRST 16

struct parties {
	struct node *node;
	struct ipsec *ipsec;
	struct party **buckets;
	uint32_t bucket_count, count;
};

/* All parties at an address are in its bucket. */
static struct party **bucket_of(const struct parties *ps, uint32_t ip)
{
	return &ps->buckets[(ip * 0x9e3779b1u >> 8) & (ps->bucket_count - 1)];
}

static struct party **place_of(const struct parties *ps, uint32_t ip, const char *name)
{
	struct party **at = bucket_of(ps, ip);

	while (*at && ((*at)->ip != ip || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	return at;
}

static void grow(struct parties *ps)
{
	struct party **old = ps->buckets;
	uint32_t count = ps->bucket_count;

	ps->bucket_count = count ? count * 2 : BUCKETS_FIRST;
	ps->buckets = sim_alloc(ps->bucket_count * sizeof *ps->buckets);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct party *p = old[b], **at = place_of(ps, p->ip, p->name);

			old[b] = p->next;
			p->next = NULL;
			*at = p;
		}
	free(old);
}

struct party *party_of(const struct parties *ps, uint32_t ip, const char *name)
{
	return ps->bucket_count ? *place_of(ps, ip, name) : NULL;
}

bool parties_other_at(const struct parties *ps, uint32_t ip, const char *name)
{
	for (const struct party *p = ps->bucket_count ? *bucket_of(ps, ip) : NULL; p; p = p->next)
		if (p->ip == ip && p->legs && strcmp(p->name, name) != 0)
			return true;
	return false;
}

struct association *party_association(const struct party *p)
{
	struct association *a = ipsec_find(p->parties->ipsec, p->ip, LABEL_CTA_SC);

	while (a && (a->peer_ip != p->ip || strcmp(a->label, LABEL_CTA_SC) != 0 || strcmp(a->peer, p->name) != 0))
		a = a->next_peer;
	return a;
}

static void forget(struct party *p)
{
	struct parties *ps = p->parties;
	struct party **at = place_of(ps, p->ip, p->name);

	*at = p->next;
	ps->count--;
	sim_cancel(ps->node->sim, &p->closing);
	free(p->numbers);
	free(p);
	sim_changed(ps->node->sim, ps->node);
}

/*
 * Associations made since the last leg ended, or an exchange was done, have set the time anew: there are none that
 * came later.
 */
static void on_closing(struct sim *sim, struct event *event)
{
	struct party *p = event_owner(event, struct party, closing);
	struct association *a;

	(void)sim;
	while ((a = party_association(p)))
		ipsec_remove(a);
	forget(p);
}

/* An association has come to its end by itself, and is still in the tables. */
static void on_expired(struct association *association)
{
	struct parties *ps = association->owner;
	struct party *p = party_of(ps, association->peer_ip, association->peer);

	if (p && !p->legs && party_association(p) == association)
		forget(p);
}

static struct party *party_new(struct parties *ps, uint32_t ip, const char *name)
{
	struct party *p;

	if (ps->count >= ps->bucket_count)
		grow(ps);
	p = sim_alloc(sizeof *p);
	p->parties = ps;
	p->ip = ip;
	snprintf(p->name, sizeof p->name, "%s", name);
	*place_of(ps, ip, name) = p;
	ps->count++;
	return p;
}

static void close_in(struct party *p, sim_ns time_ns)
{
	struct sim *sim = p->parties->node->sim;

	sim_cancel(sim, &p->closing);
	sim_after(sim, &p->closing, time_ns, on_closing, "party.linger");
}

void parties_enter(struct parties *ps, struct association *association, const struct krb_ticket_facts *ticket)
{
	struct party *p = party_of(ps, association->peer_ip, association->peer);

	if (!p)
		p = party_new(ps, association->peer_ip, association->peer);
	association->owner = ps;
	association->expired = on_expired;
	p->restricted = ticket->restricted;
	free(p->numbers);
	p->numbers = NULL;
	p->number_count = ticket->restricted ? ticket->number_count : 0;
	if (p->number_count) {
		p->numbers = sim_alloc(p->number_count * sizeof *p->numbers);
		memcpy(p->numbers, ticket->numbers, p->number_count * sizeof *p->numbers);
	}
	if (!p->legs)
		close_in(p, PARTY_IDLE_NS);
}

void party_hold(struct party *p)
{
	p->legs++;
	sim_cancel(p->parties->node->sim, &p->closing);
}

void party_release(struct party *p)
{
	if (--p->legs == 0)
		close_in(p, PARTY_LINGER_NS);
}

bool party_may_call(const struct party *p, const char *digits)
{
	if (!p->restricted)
		return true;
	for (unsigned i = 0; i < p->number_count; i++)
		if (strcmp(p->numbers[i], digits) == 0)
			return true;
	return false;
}

unsigned parties_count(const struct parties *ps)
{
	return ps->count;
}

struct parties *parties_new(struct node *node, struct ipsec *ipsec)
{
	struct parties *ps = sim_alloc(sizeof *ps);

	ps->node = node;
	ps->ipsec = ipsec;
	return ps;
}

void parties_reset(struct parties *ps)
{
	for (uint32_t b = 0; b < ps->bucket_count; b++)
		while (ps->buckets[b])
			forget(ps->buckets[b]);
}

void parties_free(struct parties *ps)
{
	if (!ps)
		return;
	parties_reset(ps);
	free(ps->buckets);
	free(ps);
}

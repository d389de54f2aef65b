/* Whether a device is still where its lease says; see presence.h. */
#include "models/presence.h"

#include <stdlib.h>
#include <string.h>
#include "sim/rng.h"

#define IDENT_AT 4 /* in the ICMP header (RFC 792) */
#define SEQUENCE_AT 6

struct look {
	struct look *next;
	struct presence *presence;
	struct event timer;
	uint8_t mac[LEASE_MAC_LEN];
	uint32_t ip;
	uint16_t ident, sequence; /* of the last echo */
	unsigned tries;
	bool here;
};

struct presence {
	struct node *node;
	const struct iface *hfc;
	presence_fn *settled;
	void *ctx;
	struct rng rng;
	struct look *looks;
	unsigned count;
};

static struct look *look_of(const struct presence *p, const uint8_t mac[LEASE_MAC_LEN])
{
	struct look *l = p->looks;

	while (l && memcmp(l->mac, mac, LEASE_MAC_LEN) != 0)
		l = l->next;
	return l;
}

static void look_free(struct look *l)
{
	struct look **at = &l->presence->looks;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	l->presence->count--;
	sim_cancel(l->presence->node->sim, &l->timer);
	free(l);
}

static void on_settled(struct sim *sim, struct event *event)
{
	struct look known = *event_owner(event, struct look, timer);

	(void)sim;
	look_free(event_owner(event, struct look, timer));
	known.presence->settled(known.presence->ctx, known.mac, known.here);
}

/* Told by an event of its own: whoever finds out is in the middle of something else. */
static void settle(struct look *l, bool here)
{
	struct sim *sim = l->presence->node->sim;

	l->here = here;
	sim_cancel(sim, &l->timer);
	sim_after(sim, &l->timer, 0, on_settled, "presence.settled");
}

static void on_timer(struct sim *sim, struct event *event);

static void ask(struct look *l)
{
	struct presence *p = l->presence;
	uint32_t drawn = (uint32_t)rng_u64(&p->rng);

	l->tries++;
	l->ident = (uint16_t)(drawn >> 16);
	l->sequence = (uint16_t)drawn;
	ip_ping(p->node, p->hfc->ip, l->ip, l->ident, l->sequence);
	sim_after(p->node->sim, &l->timer, PRESENCE_WAIT_NS, on_timer, "presence.timeout");
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct look *l = event_owner(event, struct look, timer);

	(void)sim;
	if (l->tries == PRESENCE_TRIES)
		settle(l, false);
	else
		ask(l);
}

static void on_echo(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	struct presence *p = ctx;
	struct look *l = p->looks;

	while (l && l->ip != info->src)
		l = l->next;
	if (!l) /* a repeated one: it is known already */
		return;
	if (info->in == p->hfc && l->ident == get_be16(packet->data + IDENT_AT) &&
	    l->sequence == get_be16(packet->data + SEQUENCE_AT))
		settle(l, true);
	else
		trace_refuse(node, "he.echo", info->src, info->tag, "");
}

bool presence_look(struct presence *p, const uint8_t mac[LEASE_MAC_LEN], uint32_t ip)
{
	struct look *l = look_of(p, mac);

	if (l)
		return true;
	if (p->count == PRESENCE_MAX)
		return false;
	l = sim_alloc(sizeof *l);
	l->presence = p;
	memcpy(l->mac, mac, LEASE_MAC_LEN);
	l->ip = ip;
	l->next = p->looks;
	p->looks = l;
	p->count++;
	ask(l);
	return true;
}

void presence_heard(struct presence *p, const uint8_t mac[LEASE_MAC_LEN])
{
	struct look *l = p->count ? look_of(p, mac) : NULL;

	if (l)
		settle(l, true);
}

struct presence *presence_new(struct node *node, const struct iface *hfc, presence_fn *settled, void *ctx)
{
	struct presence *p = sim_alloc(sizeof *p);

	p->node = node;
	p->hfc = hfc;
	p->settled = settled;
	p->ctx = ctx;
	rng_init(&p->rng, node->sim->seed, node->name, "presence");
	ip_protocol(node, IP_PROTO_ICMP, on_echo, p);
	return p;
}

void presence_reset(struct presence *p)
{
	while (p->looks)
		look_free(p->looks);
}

void presence_free(struct presence *p)
{
	if (!p)
		return;
	presence_reset(p);
	free(p);
}

/*
 * Links: how a frame gets from one interface to the others.
 *
 * A frame passes, in this order: the link is up; the neighbour is known; the sender's queue has room; the capture at
 * the sender; the tap; loss; duplication; reordering and jitter. What is left is one event, the arrival. Chance is
 * drawn only for what the link's parameters ask for, from the sender's own stream, so that a link without chance costs
 * no random numbers.
 *
 * On the line a frame is as long as its bytes here: header and payload, without preamble, padding and check sequence.
 * Ethernet II framing: RFC 894.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "sim/ip_stack.h"

#define BROADCAST_IP UINT32_C(0xffffffff)
#define ETHERTYPE_IPV4 0x0800
#define NEIGHBOUR_SLOTS_FIRST 8
#define BITS_NS_PER_BYTE (8 * NS_PER_S) /* a byte takes this divided by the rate in bit/s */

static const uint8_t broadcast_mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

struct neighbour {
	struct iface *iface; /* NULL: free */
	uint32_t ip;
	bool claimed;
};

/* Open-addressed by IP address, never walked. Exists when there are more than two interfaces, or a claim. */
struct neighbour_table {
	size_t slot_count, used;
	struct neighbour *slots;
	struct iface *last; /* of the link's list, where the next one goes */
};

struct link *link_new(struct sim *sim, const char *name, const struct link_params *params)
{
	struct link *link = sim_alloc(sizeof(*link));
	bool unique;

	link->sim = sim;
	link->name = sim_strdup(name);
	link->params = *params;
	unique = name_table_add(&network_of(sim)->link_names, link);
	assert(unique);
	(void)unique;
	if (!sim->links)
		sim->links_tail = &sim->links;
	*sim->links_tail = link;
	sim->links_tail = &link->next;
	return link;
}

struct link *link_find(const struct sim *sim, const char *name)
{
	return sim->free_packets ? name_table_find(&network_get(sim)->link_names, name) : NULL;
}

void link_free_all(struct sim *sim)
{
	while (sim->links) {
		struct link *link = sim->links;

		sim->links = link->next;
		if (link->neighbours)
			free(link->neighbours->slots);
		free(link->neighbours);
		free(link->name);
		free(link);
	}
	sim->links_tail = &sim->links;
}

/* ---- neighbours ---- */

static size_t neighbour_home(const struct neighbour_table *table, uint32_t ip)
{
	return (size_t)((uint64_t)ip * UINT64_C(0x9e3779b97f4a7c15) >> 24) & (table->slot_count - 1);
}

/* The slot of an address, or the free one where it belongs. */
static struct neighbour *neighbour_slot(const struct neighbour_table *table, uint32_t ip)
{
	size_t at = neighbour_home(table, ip);

	while (table->slots[at].iface && table->slots[at].ip != ip)
		at = (at + 1) & (table->slot_count - 1);
	return &table->slots[at];
}

static void neighbours_resize(struct neighbour_table *table, size_t slot_count)
{
	struct neighbour_table bigger = { .slot_count = slot_count, .used = table->used, .last = table->last };

	bigger.slots = sim_alloc(slot_count * sizeof(*bigger.slots));
	for (size_t i = 0; i < table->slot_count; i++) {
		if (table->slots[i].iface)
			*neighbour_slot(&bigger, table->slots[i].ip) = table->slots[i];
	}
	free(table->slots);
	*table = bigger;
}

/* Sets who has an address. A claim stands against its true owner. */
static void neighbour_set(struct neighbour_table *table, uint32_t ip, struct iface *iface, bool claimed)
{
	struct neighbour *slot;

	if ((table->used + 1) * 4 > table->slot_count * 3)
		neighbours_resize(table, table->slot_count * 2);
	slot = neighbour_slot(table, ip);
	if (slot->iface && slot->claimed && !claimed)
		return;
	if (!slot->iface)
		table->used++;
	*slot = (struct neighbour){ .iface = iface, .ip = ip, .claimed = claimed };
}

/* Forgets an address and closes the gap (Knuth 6.4, algorithm R). */
static void neighbour_remove(struct neighbour_table *table, uint32_t ip)
{
	size_t mask = table->slot_count - 1;
	size_t gap = (size_t)(neighbour_slot(table, ip) - table->slots);

	for (size_t at = (gap + 1) & mask; table->slots[at].iface; at = (at + 1) & mask) {
		size_t home = neighbour_home(table, table->slots[at].ip);

		if (((at - home) & mask) >= ((at - gap) & mask)) {
			table->slots[gap] = table->slots[at];
			gap = at;
		}
	}
	table->slots[gap] = (struct neighbour){ 0 };
	table->used--;
}

/* The interface that has an address as its own, the last of the link that does. */
static struct iface *true_owner(const struct link *link, uint32_t ip)
{
	struct iface *owner = NULL;

	for (struct iface *iface = link->ifaces; iface; iface = iface->next_on_link) {
		if (iface->ip == ip)
			owner = iface;
	}
	return owner;
}

/* Makes the table of a link that has done without. */
static void neighbours_make(struct link *link)
{
	link->neighbours = sim_alloc(sizeof(*link->neighbours));
	neighbours_resize(link->neighbours, NEIGHBOUR_SLOTS_FIRST);
	for (struct iface *iface = link->ifaces; iface; iface = iface->next_on_link) {
		if (iface->ip)
			neighbour_set(link->neighbours, iface->ip, iface, false);
		link->neighbours->last = iface;
	}
}

void link_attach(struct link *link, struct iface *iface)
{
	struct neighbour_table *table = link->neighbours;
	struct iface **tail = table && table->last ? &table->last->next_on_link : &link->ifaces;

	assert(iface->ip == 0);
	while (*tail)
		tail = &(*tail)->next_on_link;
	*tail = iface;
	if (table)
		table->last = iface;
	iface->link = link;
	link->iface_count++;
	if (link->iface_count > 2 && !link->neighbours)
		neighbours_make(link);
}

void link_detach(struct iface *iface)
{
	struct link *link = iface->link;
	struct iface **at = &link->ifaces, *before = NULL;

	assert(iface->ip == 0 && link->tapper != iface->node);
	for (; *at != iface; at = &(*at)->next_on_link)
		before = *at;
	*at = iface->next_on_link;
	iface->next_on_link = NULL;
	if (link->neighbours && link->neighbours->last == iface)
		link->neighbours->last = before;
	for (size_t i = 0; link->neighbours && i < link->neighbours->slot_count; i++)
		assert(link->neighbours->slots[i].iface != iface);
	link->iface_count--;
}

void link_iface_changed(struct iface *iface, uint32_t old_ip)
{
	struct neighbour_table *table = iface->link->neighbours;

	if (!table)
		return;
	if (old_ip) {
		const struct neighbour *slot = neighbour_slot(table, old_ip);

		if (slot->iface == iface && !slot->claimed) {
			struct iface *other = true_owner(iface->link, old_ip);

			neighbour_remove(table, old_ip);
			if (other)
				neighbour_set(table, old_ip, other, false);
		}
	}
	if (iface->ip)
		neighbour_set(table, iface->ip, iface, false);
}

void link_claim_ip(struct link *link, uint32_t ip, struct iface *iface)
{
	struct iface *owner;

	if (!link->neighbours)
		neighbours_make(link);
	if (iface) {
		assert(iface->link == link);
		neighbour_set(link->neighbours, ip, iface, true);
		return;
	}
	if (!neighbour_slot(link->neighbours, ip)->iface)
		return;
	neighbour_remove(link->neighbours, ip);
	owner = true_owner(link, ip);
	if (owner)
		neighbour_set(link->neighbours, ip, owner, false);
}

struct iface *link_neighbour(const struct link *link, uint32_t ip)
{
	if (ip == 0)
		return NULL;
	return link->neighbours ? neighbour_slot(link->neighbours, ip)->iface : true_owner(link, ip);
}

/*
 * To whom from sends for next_hop. One who claims an address itself still reaches its true owner: it is in the middle.
 */
static struct iface *resolve(const struct iface *from, uint32_t next_hop)
{
	const struct link *link = from->link;
	struct iface *to;

	if (!link->neighbours) {
		to = link->ifaces == from ? from->next_on_link : link->ifaces;
		return to && to->ip == next_hop && next_hop ? to : NULL;
	}
	to = link_neighbour(link, next_hop);
	if (to == from)
		to = true_owner(link, next_hop);
	return to == from ? NULL : to;
}

/* ---- on the line ---- */

static void lose(const struct node *node, struct link *link, enum drop why, struct packet *packet)
{
	link->lost++;
	network_lose(node, why, packet);
}

static void arrive(struct sim *sim, struct event *event)
{
	struct packet *packet = event_owner(event, struct packet, delivery);
	struct iface *to = packet->to;

	if (to->link != packet->on) {
		network_lose(to->node, DROP_LINK_MOVED, packet);
		return;
	}
	if (to->link->down) {
		lose(to->node, to->link, DROP_LINK_DOWN, packet);
		return;
	}
	if (trace_wants(sim, TRACE_PACKET))
		trace_packet(sim, to, PACKET_IN, packet);
	ip_input(to, packet);
}

/*
 * Puts a frame of this length behind what the sender still has to send. False: no room in the queue. ready_ns is when
 * its last bit is on the line.
 */
static bool line_take(struct iface *from, uint32_t bytes, sim_ns *ready_ns)
{
	const struct link_params *params = &from->link->params;
	uint32_t bound = params->queue_bytes ? params->queue_bytes : LINK_QUEUE_DEFAULT_BYTES;
	sim_ns now_ns = from->link->sim->now_ns;
	sim_ns start_ns = from->free_at_ns > now_ns ? from->free_at_ns : now_ns;
	uint64_t backlog = 0;

	*ready_ns = now_ns;
	if (!params->rate_bps)
		return true;
	if (start_ns > now_ns) {
		if (__builtin_mul_overflow((uint64_t)(start_ns - now_ns), params->rate_bps, &backlog))
			return false; /* the rate was raised behind a huge backlog */
		backlog /= BITS_NS_PER_BYTE;
		if (backlog && backlog + bytes > bound)
			return false;
	}
	from->queued_bytes = (uint32_t)backlog + bytes;
	from->free_at_ns = sim_later(start_ns, (sim_ns)(bytes * (uint64_t)BITS_NS_PER_BYTE / params->rate_bps));
	*ready_ns = from->free_at_ns;
	return true;
}

static struct rng *chance_of(struct iface *from)
{
	char name[2 * NODE_NAME_MAX + 2];

	if (!from->chance) {
		snprintf(name, sizeof(name), "%s:%s", from->node->name, from->name);
		from->chance = sim_alloc(sizeof(*from->chance));
		rng_init(from->chance, from->node->sim->seed, name, "link");
	}
	return from->chance;
}

static void schedule(struct iface *to, struct packet *packet, sim_ns at_ns)
{
	packet->to = to;
	packet->on = to->link;
	sim_at(packet->sim, &packet->delivery, at_ns, arrive, NULL);
}

/* When a frame arrives that meets no accident: never before one that was sent earlier. */
static sim_ns in_order(struct iface *from, sim_ns at_ns)
{
	if (at_ns < from->last_arrival_ns)
		at_ns = from->last_arrival_ns;
	from->last_arrival_ns = at_ns;
	return at_ns;
}

/* The way of a frame over a link on which chance plays. */
static void send_by_chance(struct iface *from, struct iface *to, struct packet *packet, sim_ns at_ns)
{
	const struct link_params *params = &from->link->params;
	struct rng *chance = chance_of(from);
	struct packet *twin = NULL;

	if (params->loss_ppm && rng_chance(chance, params->loss_ppm)) {
		lose(from->node, from->link, DROP_LINK_LOSS, packet);
		return;
	}
	if (params->duplicate_ppm && rng_chance(chance, params->duplicate_ppm))
		twin = packet_copy(packet);
	if (params->jitter_ns)
		at_ns = sim_later(at_ns, (sim_ns)rng_below(chance, (uint64_t)params->jitter_ns + 1));
	if (params->reorder_ppm && rng_chance(chance, params->reorder_ppm))
		at_ns = sim_later(at_ns, params->reorder_ns);
	else
		at_ns = in_order(from, at_ns);
	schedule(to, packet, at_ns);
	if (twin)
		schedule(to, twin, at_ns);
}

/* A frame enters the link towards one interface. */
static inline void enter(struct iface *from, struct iface *to, struct packet *packet, sim_ns ready_ns)
{
	struct link *link = from->link;
	const struct link_params *params = &link->params;
	sim_ns at_ns = sim_later(ready_ns, params->delay_ns);

	link->sent++;
	if (link->tap && from->node != link->tapper && link->tap(link->tap_ctx, link, from, to, packet) == TAP_TAKEN)
		return;
	if (params->loss_ppm | params->duplicate_ppm | params->reorder_ppm || params->jitter_ns)
		send_by_chance(from, to, packet, at_ns);
	else
		schedule(to, packet, in_order(from, at_ns));
}

/* A frame enters the link towards all interfaces but from, which may be NULL. Takes it. */
static void enter_all(struct link *link, struct iface *from, struct packet *packet, sim_ns ready_ns,
                      void (*enter_one)(struct iface *, struct iface *, struct packet *, sim_ns))
{
	struct iface *last = NULL;

	for (struct iface *to = link->ifaces; to; to = to->next_on_link) {
		if (to == from)
			continue;
		if (last)
			enter_one(from, last, packet_copy(packet), ready_ns);
		last = to;
	}
	if (last)
		enter_one(from, last, packet, ready_ns);
	else
		packet_free(packet);
}

static void enter_copy(struct iface *from, struct iface *to, struct packet *packet, sim_ns ready_ns)
{
	enter(from, to, packet, ready_ns);
}

void link_send(struct iface *from, uint32_t next_hop, struct packet *packet)
{
	struct link *link = from->link;
	struct iface *to = NULL;
	sim_ns ready_ns;
	uint8_t *header;

	if (link->down) {
		lose(from->node, link, DROP_LINK_DOWN, packet);
		return;
	}
	if (next_hop != BROADCAST_IP) {
		to = resolve(from, next_hop);
		if (!to) {
			lose(from->node, link, DROP_LINK_NO_NEIGHBOUR, packet);
			return;
		}
	}
	header = packet_push(packet, ETHERNET_HEADER_LEN);
	memcpy(header, to ? to->mac : broadcast_mac, 6);
	memcpy(header + 6, from->mac, 6);
	put_be16(header + 12, ETHERTYPE_IPV4);
	if (!line_take(from, packet->len, &ready_ns)) {
		lose(from->node, link, DROP_LINK_QUEUE, packet);
		return;
	}
	if (trace_wants(link->sim, TRACE_PACKET))
		trace_packet(link->sim, from, PACKET_OUT, packet);
	if (to)
		enter(from, to, packet, ready_ns);
	else
		enter_all(link, from, packet, ready_ns, enter_copy);
}

static void inject_one(struct iface *from, struct iface *to, struct packet *packet, sim_ns at_ns)
{
	(void)from;
	schedule(to, packet, at_ns);
}

void link_inject(struct link *link, struct iface *from, struct iface *to, struct packet *frame, sim_ns delay_ns)
{
	sim_ns at_ns = sim_later(sim_later(link->sim->now_ns, delay_ns), link->params.delay_ns);

	assert((!from || from->link == link) && (!to || to->link == link) && delay_ns >= 0);
	link->sent++;
	if (!frame->actor)
		frame->actor = link->tapper;
	if (from && trace_wants(link->sim, TRACE_PACKET))
		trace_packet(link->sim, from, PACKET_OUT, frame);
	if (!to && frame->len >= 6 && memcmp(frame->data, broadcast_mac, 6) == 0) {
		enter_all(link, from, frame, at_ns, inject_one);
		return;
	}
	if (!to && frame->len >= 6) {
		for (to = link->ifaces; to && memcmp(to->mac, frame->data, 6) != 0; to = to->next_on_link)
			;
	}
	if (to) {
		schedule(to, frame, at_ns);
		return;
	}
	link->lost++;
	if (from)
		network_lose(from->node, DROP_LINK_NO_NEIGHBOUR, frame);
	else
		packet_free(frame);
}

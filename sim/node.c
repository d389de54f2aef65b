/*
 * Nodes and interfaces, the two indexes that find them by name and by address, and the account of what the network
 * drops.
 *
 * The indexes are hash tables that are only ever asked for one key, never walked: their order reaches no result.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "sim/ip_stack.h"
#include "sim/service.h"

#define NODES_MAX (1u << 24)        /* three bytes of a made-up MAC address */
#define NODE_INTERFACES_MAX (1u << 16) /* two */
#define TABLE_SLOTS_FIRST 64

const char *const drop_names[DROP_COUNT] = {
	[DROP_LINK_LOSS] = "link.loss",
	[DROP_LINK_QUEUE] = "link.queue",
	[DROP_LINK_DOWN] = "link.down",
	[DROP_LINK_NO_NEIGHBOUR] = "link.no_neighbour",
	[DROP_LINK_MOVED] = "link.moved",
	[DROP_ETH_NOT_US] = "eth.not_us",
	[DROP_IP_MALFORMED] = "ip.malformed",
	[DROP_IP_CHECKSUM] = "ip.checksum",
	[DROP_IP_TTL] = "ip.ttl",
	[DROP_IP_NO_ROUTE] = "ip.no_route",
	[DROP_IP_NO_PROTOCOL] = "ip.no_protocol",
	[DROP_IP_FRAGMENT_LIMIT] = "ip.fragment_limit",
	[DROP_IP_REASSEMBLY_TIMEOUT] = "ip.reassembly_timeout",
	[DROP_IP_TOO_BIG] = "ip.too_big",
	[DROP_IP_FILTER] = "ip.filter",
	[DROP_ICMP_MALFORMED] = "icmp.malformed",
	[DROP_ICMP_CHECKSUM] = "icmp.checksum",
	[DROP_UDP_MALFORMED] = "udp.malformed",
	[DROP_UDP_CHECKSUM] = "udp.checksum",
	[DROP_UDP_NO_PORT] = "udp.no_port",
};

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static size_t name_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return (size_t)(hash ^ hash >> 32);
}

static const char *name_of(const struct name_table *table, const void *object)
{
	const char *name;

	memcpy(&name, (const char *)object + table->name_offset, sizeof(name));
	return name;
}

/* The slot of a name, or the free one where it belongs. The table has free slots. */
static void **name_slot(const struct name_table *table, const char *name)
{
	size_t at = name_hash(name) & (table->slot_count - 1);

	while (table->slots[at] && strcmp(name_of(table, table->slots[at]), name) != 0)
		at = (at + 1) & (table->slot_count - 1);
	return &table->slots[at];
}

static void name_table_grow(struct name_table *table)
{
	struct name_table bigger = *table;

	bigger.slot_count = table->slot_count ? table->slot_count * 2 : TABLE_SLOTS_FIRST;
	bigger.slots = sim_alloc(bigger.slot_count * sizeof(*bigger.slots));
	for (size_t i = 0; i < table->slot_count; i++) {
		if (table->slots[i])
			*name_slot(&bigger, name_of(table, table->slots[i])) = table->slots[i];
	}
	free(table->slots);
	*table = bigger;
}

bool name_table_add(struct name_table *table, void *object)
{
	void **slot;

	if (table->used * 4 >= table->slot_count * 3)
		name_table_grow(table);
	slot = name_slot(table, name_of(table, object));
	if (*slot)
		return false;
	*slot = object;
	table->used++;
	return true;
}

void *name_table_find(const struct name_table *table, const char *name)
{
	return table->slot_count ? *name_slot(table, name) : NULL;
}

/* Spreads an address over a table (Knuth's multiplicative hash). */
static size_t address_home(const struct address_table *table, uint32_t ip)
{
	return (size_t)((uint64_t)ip * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (table->slot_count - 1);
}

static void address_place(struct address_table *table, struct iface *iface)
{
	size_t at = address_home(table, iface->ip);

	while (table->slots[at])
		at = (at + 1) & (table->slot_count - 1);
	table->slots[at] = iface;
}

static void address_add(struct address_table *table, struct iface *iface)
{
	if (table->used * 4 >= table->slot_count * 3) {
		struct address_table bigger = { .used = table->used };

		bigger.slot_count = table->slot_count ? table->slot_count * 2 : TABLE_SLOTS_FIRST;
		bigger.slots = sim_alloc(bigger.slot_count * sizeof(*bigger.slots));
		for (size_t i = 0; i < table->slot_count; i++) {
			if (table->slots[i])
				address_place(&bigger, table->slots[i]);
		}
		free(table->slots);
		*table = bigger;
	}
	address_place(table, iface);
	table->used++;
}

/* Removes an interface, which still has the address it was added under, and closes the gap (Knuth 6.4, algorithm R). */
static void address_remove(struct address_table *table, const struct iface *iface)
{
	size_t mask = table->slot_count - 1;
	size_t gap = address_home(table, iface->ip);

	while (table->slots[gap] != iface)
		gap = (gap + 1) & mask;
	for (size_t at = (gap + 1) & mask; table->slots[at]; at = (at + 1) & mask) {
		size_t home = address_home(table, table->slots[at]->ip);

		if (((at - home) & mask) >= ((at - gap) & mask)) {
			table->slots[gap] = table->slots[at];
			gap = at;
		}
	}
	table->slots[gap] = NULL;
	table->used--;
}

struct node *node_by_ip(const struct sim *sim, uint32_t ip)
{
	const struct address_table *table;
	struct node *found = NULL;

	if (!sim->free_packets || ip == 0)
		return NULL;
	table = &network_get(sim)->addresses;
	if (!table->slot_count)
		return NULL;
	for (size_t at = address_home(table, ip); table->slots[at]; at = (at + 1) & (table->slot_count - 1)) {
		const struct iface *iface = table->slots[at];

		if (iface->ip == ip && (!found || iface->node->index < found->index))
			found = iface->node;
	}
	return found;
}

struct node *node_new(struct sim *sim, const char *name)
{
	size_t name_size = strlen(name) + 1;
	struct node_piece {
		struct node node;
		struct ip_stack ip;
		char name[];
	} *piece = sim_alloc(sizeof(*piece) + name_size); /* all in one piece */
	struct node *node = &piece->node;
	bool unique;

	assert(name_size <= NODE_NAME_MAX + 1 && sim->node_count < NODES_MAX);
	node->sim = sim;
	node->name = memcpy(piece->name, name, name_size);
	unique = name_table_add(&network_of(sim)->node_names, node);
	assert(unique);
	(void)unique;
	node->index = (uint32_t)sim->node_count++;
	node->ip = &piece->ip;
	if (!sim->nodes)
		sim->nodes_tail = &sim->nodes;
	*sim->nodes_tail = node;
	sim->nodes_tail = &node->next;
	if (trace_wants(sim, TRACE_TOPOLOGY))
		trace_node(sim, node);
	return node;
}

struct node *node_find(const struct sim *sim, const char *name)
{
	return sim->free_packets ? name_table_find(&network_get(sim)->node_names, name) : NULL;
}

/* Locally administered: 02, the number of the interface at its node, the number of the node. */
static void mac_make(uint8_t mac[6], uint32_t node_index, uint32_t iface_index)
{
	mac[0] = 0x02;
	put_be16(mac + 1, (uint16_t)iface_index);
	mac[3] = (uint8_t)(node_index >> 16);
	put_be16(mac + 4, (uint16_t)node_index);
}

struct iface *iface_new(struct node *node, struct link *link, const char *name, const uint8_t mac[6], uint32_t ip,
                        uint8_t prefix_len)
{
	size_t name_size = strlen(name) + 1;
	size_t size = offsetof(struct iface, name) + name_size; /* a short name lies in the padding */
	struct iface *iface = sim_alloc(size > sizeof(*iface) ? size : sizeof(*iface));
	struct iface **tail = &node->ifaces;
	uint32_t number = 0;

	assert(link->sim == node->sim && name_size <= NODE_NAME_MAX + 1);
	for (; *tail; tail = &(*tail)->next)
		number++;
	assert(number < NODE_INTERFACES_MAX);
	*tail = iface;
	iface->node = node;
	memcpy(iface->name, name, name_size);
	if (mac)
		memcpy(iface->mac, mac, sizeof(iface->mac));
	else
		mac_make(iface->mac, node->index, number);
	link_attach(link, iface);
	iface_set_ip(iface, ip, prefix_len);
	if (trace_wants(node->sim, TRACE_TOPOLOGY))
		trace_iface(node->sim, iface);
	return iface;
}

void iface_set_ip(struct iface *iface, uint32_t ip, uint8_t prefix_len)
{
	struct address_table *table = &network_of(iface->node->sim)->addresses;
	uint32_t old_ip = iface->ip;
	uint8_t old_prefix_len = iface->prefix_len;

	assert(prefix_len <= 32);
	if (old_ip)
		address_remove(table, iface);
	iface->ip = ip;
	iface->prefix_len = prefix_len;
	if (ip)
		address_add(table, iface);
	if (old_ip != ip)
		link_iface_changed(iface, old_ip);
	ip_iface_changed(iface, old_ip, old_prefix_len);
}

void iface_move(struct iface *iface, struct link *link)
{
	assert(link->sim == iface->node->sim);
	if (iface->ip)
		iface_set_ip(iface, 0, 0);
	if (link == iface->link)
		return;
	link_detach(iface);
	iface->free_at_ns = iface->last_arrival_ns = 0;
	iface->queued_bytes = 0;
	link_attach(link, iface);
}

static void node_free(struct node *node)
{
	ip_stack_end(node);
	service_free(node);
	while (node->ifaces) {
		struct iface *iface = node->ifaces;

		node->ifaces = iface->next;
		free(iface->chance);
		free(iface);
	}
	free(node);
}

/* First every model lets go of what it holds, while all stacks still stand; then the nodes go. */
void node_free_all(struct sim *sim)
{
	for (struct node *node = sim->nodes; node; node = node->next) {
		if (node->destroy)
			node->destroy(node);
	}
	while (sim->nodes) {
		struct node *node = sim->nodes;

		sim->nodes = node->next;
		node_free(node);
	}
	sim->nodes_tail = &sim->nodes;
	sim->node_count = 0;
}

bool ip_parse(const char *text, uint32_t *out)
{
	uint32_t ip = 0;

	for (unsigned octet = 0; octet < 4; octet++) {
		uint32_t value = 0;
		unsigned digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
			value = value * 10 + (uint32_t)(*text - '0');
		if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[-(int)digits] == '0'))
			return false;
		if (*text++ != (octet < 3 ? '.' : '\0'))
			return false;
		ip = ip << 8 | value;
	}
	*out = ip;
	return true;
}

const char *ip_text(uint32_t ip, char buf[IP_TEXT_LEN])
{
	snprintf(buf, IP_TEXT_LEN, "%u.%u.%u.%u", (unsigned)(ip >> 24), (unsigned)(ip >> 16 & 255),
	         (unsigned)(ip >> 8 & 255),
	         (unsigned)(ip & 255));
	return buf;
}

uint64_t network_dropped(const struct sim *sim, const char *why)
{
	if (!sim->free_packets)
		return 0;
	for (unsigned i = 0; i < DROP_COUNT; i++) {
		if (strcmp(drop_names[i], why) == 0)
			return network_get(sim)->drops[i];
	}
	return 0;
}

void network_lost(const struct node *node, enum drop why, const struct packet *packet)
{
	network_of(node->sim)->drops[why]++;
	node->ip->counters.dropped++;
	if (packet->tag)
		trace_fate(node->sim, packet->tag, node, FATE_LOST, drop_names[why]);
}

void network_lose(const struct node *node, enum drop why, struct packet *packet)
{
	network_lost(node, why, packet);
	packet_free(packet);
}

void network_refuse(const struct node *node, enum drop why, uint32_t src, const struct packet *packet)
{
	network_of(node->sim)->drops[why]++;
	node->ip->counters.dropped++;
	trace_refuse(node, drop_names[why], src, packet->tag, "");
}

uint32_t node_first_ip(const struct node *node)
{
	const struct iface *iface = node->ifaces;

	while (iface && !iface->ip)
		iface = iface->next;
	return iface ? iface->ip : 0;
}

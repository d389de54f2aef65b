/*
 * The packet pool: buffers of two sizes cut from slabs, and single allocations for what is larger (a reassembled
 * datagram).
 *
 * Invariants: every packet of a run lies in a slab or on the list of big ones, so that the end of a run frees those
 * under way too, wherever they are; a free packet is on exactly one free list. A slab is zeroed once: what a buffer
 * holds before it is written never depends on the host's memory.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"
#include "sim/ip_stack.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define SLAB_BYTES (64 * 1024)

struct packet_slab {
	struct packet_slab *next;
	uint64_t bytes[]; /* aligned for struct packet */
};

struct packet_big {
	struct packet_big *next, **link;
	struct packet packet;
};

struct network *network_make(struct sim *sim)
{
	struct network *net = sim_alloc(sizeof(*net));

	net->anchor.sim = sim;
	net->node_names.name_offset = offsetof(struct node, name);
	net->link_names.name_offset = offsetof(struct link, name);
	sim->free_packets = &net->anchor;
	return net;
}

/* Cuts a new slab into free packets of this capacity, the first to be used in front. */
static void slab_add(struct sim *sim, struct network *net, struct packet **list, uint32_t capacity)
{
	size_t each = (sizeof(struct packet) + capacity + 7) & ~(size_t)7;
	size_t count = (SLAB_BYTES - sizeof(struct packet_slab)) / each;
	struct packet_slab *slab = sim_alloc(sizeof(*slab) + count * each);

	slab->next = net->slabs;
	net->slabs = slab;
	for (size_t i = count; i-- > 0;) {
		struct packet *packet = (struct packet *)(void *)((char *)slab->bytes + i * each);

		packet->sim = sim;
		packet->capacity = capacity;
		packet->next = *list;
		*list = packet;
		ASAN_POISON_MEMORY_REGION(packet->buffer, capacity);
	}
}

static struct packet *big_new(struct sim *sim, struct network *net, uint32_t capacity)
{
	struct packet_big *big = sim_alloc(sizeof(*big) + capacity);

	big->next = net->big;
	big->link = &net->big;
	if (big->next)
		big->next->link = &big->next;
	net->big = big;
	big->packet.sim = sim;
	big->packet.capacity = capacity;
	return &big->packet;
}

static void big_free(struct packet *packet)
{
	struct packet_big *big = event_owner(packet, struct packet_big, packet);

	*big->link = big->next;
	if (big->next)
		big->next->link = big->link;
	free(big);
}

static struct packet *pool_take(struct sim *sim, uint32_t capacity)
{
	struct network *net = network_of(sim);
	bool small = capacity <= PACKET_SMALL;
	struct packet **list = small ? &net->free_small : &net->free_large;
	struct packet *packet;

	sim->packets_live++;
	if (capacity > PACKET_LARGE)
		return big_new(sim, net, capacity);
	if (!*list)
		slab_add(sim, net, list, small ? PACKET_SMALL : PACKET_LARGE);
	packet = *list;
	*list = packet->next;
	packet->next = NULL;
	ASAN_UNPOISON_MEMORY_REGION(packet->buffer, packet->capacity);
	return packet;
}

struct packet *packet_new(struct sim *sim, uint32_t room)
{
	struct packet *packet;

	assert(room <= PACKET_MAX - PACKET_HEADROOM - PACKET_TAILROOM);
	packet = pool_take(sim, PACKET_HEADROOM + room + PACKET_TAILROOM);
	packet->delivery = (struct event){ 0 };
	packet->to = NULL;
	packet->data = packet->buffer + PACKET_HEADROOM;
	packet->len = 0;
	packet->tag = 0;
	packet->actor = NULL;
	packet->kept = false;
	return packet;
}

void packet_free(struct packet *packet)
{
	struct network *net;
	struct packet **list;

	if (!packet)
		return;
	if (packet->kept) {
		packet->kept = false;
		return;
	}
	assert(!event_pending(&packet->delivery));
	packet->sim->packets_live--;
	if (packet->capacity > PACKET_LARGE) {
		big_free(packet);
		return;
	}
	net = network_of(packet->sim);
	list = packet->capacity == PACKET_SMALL ? &net->free_small : &net->free_large;
	packet->next = *list;
	*list = packet;
	ASAN_POISON_MEMORY_REGION(packet->buffer, packet->capacity);
}

struct packet *packet_keep(struct packet *packet)
{
	assert(!packet->kept);
	packet->kept = true;
	return packet;
}

struct packet *packet_copy(const struct packet *packet)
{
	struct packet *copy = pool_take(packet->sim, packet->capacity);

	copy->delivery = (struct event){ 0 };
	copy->to = packet->to;
	copy->data = copy->buffer + (packet->data - packet->buffer);
	copy->len = packet->len;
	copy->tag = packet->tag;
	copy->actor = packet->actor;
	copy->kept = false;
	memcpy(copy->data, packet->data, packet->len);
	return copy;
}

void packet_pool_free(struct sim *sim)
{
	struct network *net;

	if (!sim->free_packets)
		return;
	net = network_of(sim);
	while (net->slabs) {
		struct packet_slab *slab = net->slabs;

		net->slabs = slab->next;
		free(slab);
	}
	while (net->big)
		big_free(&net->big->packet);
	free(net->node_names.slots);
	free(net->link_names.slots);
	free(net->addresses.slots);
	free(net);
	sim->free_packets = NULL;
}

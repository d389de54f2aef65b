/* The lease database; see lease_table.h. Two hash tables over the same entries, which only go with the table. */
#include "models/lease_table.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64

struct pool {
	uint32_t first, last; /* 0, 0: none */
	uint32_t fresh;       /* the first address that was perhaps never given out */
	struct lease **heap;  /* its entries but static ones; none ends before its parent, of two alike the lower first */
	uint32_t heap_count, heap_room;
};

struct lease_table {
	struct lease **by_ip, **by_mac;
	uint32_t bucket_count, count;
	struct pool pools[LEASE_POOLS];
};

struct lease_table *lease_table_new(void)
{
	return sim_alloc(sizeof(struct lease_table));
}

void lease_table_free(struct lease_table *t)
{
	if (!t)
		return;
	for (uint32_t b = 0; b < t->bucket_count; b++)
		while (t->by_ip[b]) {
			struct lease *l = t->by_ip[b];

			t->by_ip[b] = l->next_by_ip;
			free(l);
		}
	for (int p = 0; p < LEASE_POOLS; p++)
		free(t->pools[p].heap);
	free(t->by_ip);
	free(t->by_mac);
	free(t);
}

bool lease_table_pool(struct lease_table *t, enum lease_pool pool, uint32_t first, uint32_t last)
{
	const struct pool *other = &t->pools[!pool];

	if (!first || last < first || last - first >= LEASES_MAX || last >> 29 == 7 ||
	    (other->first && first <= other->last && other->first <= last))
		return false;
	t->pools[pool] = (struct pool){ .first = first, .last = last, .fresh = first };
	return true;
}

bool lease_table_pools(const struct lease_table *t)
{
	return t->pools[LEASE_UNPROVISIONED].first && t->pools[LEASE_PROVISIONED].first;
}

bool lease_table_pool_of(const struct lease_table *t, uint32_t ip, enum lease_pool *pool)
{
	for (int p = 0; p < LEASE_POOLS; p++)
		if (ip && ip >= t->pools[p].first && ip <= t->pools[p].last) {
			*pool = (enum lease_pool)p;
			return true;
		}
	return false;
}

/* The heap of a pool */

static bool ends_before(const struct lease *a, const struct lease *b)
{
	return a->until_ns != b->until_ns ? a->until_ns < b->until_ns : a->ip < b->ip;
}

static void heap_put(struct pool *pool, uint32_t at, struct lease *l)
{
	pool->heap[at] = l;
	l->heap_at = at;
}

/* Moves the entry to where its end belongs. */
static void heap_settle(struct pool *pool, struct lease *l)
{
	uint32_t at = l->heap_at, child;

	while (at && ends_before(l, pool->heap[(at - 1) / 2])) {
		heap_put(pool, at, pool->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	while ((child = 2 * at + 1) < pool->heap_count) {
		if (child + 1 < pool->heap_count && ends_before(pool->heap[child + 1], pool->heap[child]))
			child++;
		if (!ends_before(pool->heap[child], l))
			break;
		heap_put(pool, at, pool->heap[child]);
		at = child;
	}
	heap_put(pool, at, l);
}

static bool in_heap(const struct lease_table *t, const struct lease *l)
{
	const struct pool *pool = &t->pools[l->pool];

	return l->heap_at < pool->heap_count && pool->heap[l->heap_at] == l;
}

static void heap_add(struct lease_table *t, struct lease *l)
{
	struct pool *pool = &t->pools[l->pool];

	if (pool->heap_count == pool->heap_room) {
		pool->heap_room = pool->heap_room ? 2 * pool->heap_room : BUCKETS_FIRST;
		pool->heap = sim_realloc(pool->heap, pool->heap_room * sizeof(struct lease *));
	}
	heap_put(pool, pool->heap_count++, l);
	heap_settle(pool, l);
}

static void heap_remove(struct lease_table *t, const struct lease *l)
{
	struct pool *pool = &t->pools[l->pool];
	struct lease *last;

	if (!in_heap(t, l))
		return;
	last = pool->heap[--pool->heap_count];
	if (last == l)
		return;
	heap_put(pool, l->heap_at, last);
	heap_settle(pool, last);
}

void lease_until(struct lease_table *t, struct lease *l, sim_ns until_ns)
{
	l->until_ns = until_ns;
	if (in_heap(t, l))
		heap_settle(&t->pools[l->pool], l);
}

/* The two tables */

static uint32_t place_of_ip(const struct lease_table *t, uint32_t ip)
{
	return (ip * 0x9e3779b1u >> 8) & (t->bucket_count - 1);
}

static uint32_t place_of_mac(const struct lease_table *t, const uint8_t mac[LEASE_MAC_LEN])
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < LEASE_MAC_LEN; i++)
		h = (h ^ mac[i]) * 16777619u;
	return (h ^ h >> 16) & (t->bucket_count - 1);
}

static void link_ip(struct lease_table *t, struct lease *l)
{
	struct lease **at = &t->by_ip[place_of_ip(t, l->ip)];

	l->next_by_ip = *at;
	*at = l;
}

static void link_mac(struct lease_table *t, struct lease *l)
{
	struct lease **at = &t->by_mac[place_of_mac(t, l->mac)];

	l->next_by_mac = *at;
	*at = l;
}

static void unlink_mac(struct lease_table *t, struct lease *l)
{
	struct lease **at = &t->by_mac[place_of_mac(t, l->mac)];

	while (*at != l)
		at = &(*at)->next_by_mac;
	*at = l->next_by_mac;
}

static void grow(struct lease_table *t)
{
	struct lease **old = t->by_ip;
	uint32_t count = t->bucket_count;

	t->bucket_count = count ? count * 2 : BUCKETS_FIRST;
	t->by_ip = sim_alloc(t->bucket_count * sizeof(struct lease *));
	free(t->by_mac);
	t->by_mac = sim_alloc(t->bucket_count * sizeof(struct lease *));
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct lease *l = old[b];

			old[b] = l->next_by_ip;
			link_ip(t, l);
			link_mac(t, l);
		}
	free(old);
}

struct lease *lease_of_ip(const struct lease_table *t, uint32_t ip)
{
	struct lease *l = t->bucket_count ? t->by_ip[place_of_ip(t, ip)] : NULL;

	while (l && l->ip != ip)
		l = l->next_by_ip;
	return l;
}

static struct lease *find_mac(const struct lease_table *t, const uint8_t mac[LEASE_MAC_LEN], bool is_static,
                              enum lease_pool pool)
{
	struct lease *l = t->bucket_count ? t->by_mac[place_of_mac(t, mac)] : NULL;

	while (l && (memcmp(l->mac, mac, LEASE_MAC_LEN) != 0 || (l->kind == LEASE_STATIC) != is_static ||
	             (!is_static && (l->kind == LEASE_BLOCKED || l->pool != pool))))
		l = l->next_by_mac;
	return l;
}

struct lease *lease_of_mac(const struct lease_table *t, enum lease_pool pool, const uint8_t mac[LEASE_MAC_LEN])
{
	return find_mac(t, mac, false, pool);
}

struct lease *lease_static_of_mac(const struct lease_table *t, const uint8_t mac[LEASE_MAC_LEN])
{
	return find_mac(t, mac, true, LEASE_UNPROVISIONED);
}

/* The entry of an address under this MAC: a new one, or the one that another MAC has lost. NULL: no room. */
static struct lease *enter(struct lease_table *t, uint32_t ip, const uint8_t mac[LEASE_MAC_LEN])
{
	struct lease *l;

	if (t->count >= t->bucket_count)
		grow(t);
	l = lease_of_ip(t, ip);
	if (l) {
		unlink_mac(t, l);
	} else {
		if (t->count >= LEASES_MAX)
			return NULL;
		l = sim_alloc(sizeof *l);
		l->ip = ip;
		link_ip(t, l);
		t->count++;
	}
	memcpy(l->mac, mac, LEASE_MAC_LEN);
	link_mac(t, l);
	l->refuse_renewal = l->closed = false;
	return l;
}

bool lease_table_add_static(struct lease_table *t, uint32_t ip, const uint8_t mac[LEASE_MAC_LEN])
{
	struct lease *l = enter(t, ip, mac);

	if (!l)
		return false;
	heap_remove(t, l);
	l->kind = LEASE_STATIC;
	l->until_ns = SIM_NEVER;
	return true;
}

/* Giving out */

bool lease_live(const struct lease *l, sim_ns now_ns)
{
	return l->kind == LEASE_STATIC || (l->kind == LEASE_BOUND && l->until_ns > now_ns);
}

/* Nobody has it, waits for it or found it taken. */
static bool is_free(const struct lease *l, sim_ns now_ns)
{
	return l->kind != LEASE_STATIC && l->until_ns <= now_ns;
}

/* The one that has been free longest; of two alike the lower address. */
static uint32_t longest_free(const struct pool *pool, sim_ns now_ns)
{
	return pool->heap_count && is_free(pool->heap[0], now_ns) ? pool->heap[0]->ip : 0;
}

static uint32_t choose(struct lease_table *t, struct pool *pool, uint32_t wish, sim_ns now_ns)
{
	const struct lease *l = wish >= pool->first && wish <= pool->last ? lease_of_ip(t, wish) : NULL;

	if (wish >= pool->first && wish <= pool->last && (!l || is_free(l, now_ns)))
		return wish;
	while (pool->fresh <= pool->last && lease_of_ip(t, pool->fresh))
		pool->fresh++;
	return pool->fresh <= pool->last ? pool->fresh : longest_free(pool, now_ns);
}

struct lease *lease_offer(struct lease_table *t, enum lease_pool pool, const uint8_t mac[LEASE_MAC_LEN],
                          uint32_t wish, sim_ns now_ns, sim_ns until_ns)
{
	struct lease *l = lease_of_mac(t, pool, mac);
	uint32_t ip;

	if (l && lease_live(l, now_ns))
		return l;
	if (!l) {
		ip = choose(t, &t->pools[pool], wish, now_ns);
		l = ip ? enter(t, ip, mac) : NULL;
	}
	if (!l)
		return NULL;
	l->kind = LEASE_OFFERED;
	l->pool = pool;
	if (!in_heap(t, l))
		heap_add(t, l);
	lease_until(t, l, until_ns);
	return l;
}

unsigned lease_blocked_by(const struct lease_table *t, const uint8_t mac[LEASE_MAC_LEN], sim_ns now_ns)
{
	const struct lease *l = t->bucket_count ? t->by_mac[place_of_mac(t, mac)] : NULL;
	unsigned n = 0;

	for (; l; l = l->next_by_mac)
		n += l->kind == LEASE_BLOCKED && l->until_ns > now_ns && memcmp(l->mac, mac, LEASE_MAC_LEN) == 0;
	return n;
}

unsigned lease_count(const struct lease_table *t, sim_ns now_ns)
{
	unsigned n = 0;

	for (uint32_t b = 0; b < t->bucket_count; b++)
		for (const struct lease *l = t->by_ip[b]; l; l = l->next_by_ip)
			n += lease_live(l, now_ns);
	return n;
}

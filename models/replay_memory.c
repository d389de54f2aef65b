/* An acceptor's memory of authenticators; see replay_memory.h. */
#include "models/replay_memory.h"

#include <stdlib.h>
#include <string.h>
#include "sim/sim.h"

#define BUCKETS_FIRST 64
#define NEWEST_FIRST 16

struct replay { /* an authenticator that has been accepted */
	struct replay *next; /* in its bucket */
	uint8_t hash[REPLAY_HASH_LEN];
	int64_t expires_s;
};

struct newest { /* the newest authenticator accepted from a client address */
	uint32_t ip, spi;
	struct krb_time ctime;
	int64_t second;      /* in which the last came, and how many came in it */
	uint32_t in_second;
};

struct replay_memory {
	struct replay **replays;
	uint32_t buckets, count;
	int64_t cleaned_s;
	struct newest *newest; /* open addressing by address */
	uint32_t newest_size, newest_count;
};

struct replay_memory *replay_memory_new(void)
{
	return sim_alloc(sizeof(struct replay_memory));
}

void replay_memory_reset(struct replay_memory *m)
{
	for (uint32_t b = 0; b < m->buckets; b++)
		while (m->replays[b]) {
			struct replay *r = m->replays[b];

			m->replays[b] = r->next;
			free(r);
		}
	free(m->replays);
	free(m->newest);
	*m = (struct replay_memory){ .replays = NULL };
}

void replay_memory_free(struct replay_memory *m)
{
	if (!m)
		return;
	replay_memory_reset(m);
	free(m);
}

/* Each until it is too old */

static uint32_t bucket_of(const struct replay_memory *m, const uint8_t hash[REPLAY_HASH_LEN])
{
	uint32_t h;

	memcpy(&h, hash, sizeof h); /* already a digest; no result depends on the order */
	return h & (m->buckets - 1);
}

bool replay_memory_holds(const struct replay_memory *m, const uint8_t hash[REPLAY_HASH_LEN])
{
	if (!m->buckets)
		return false;
	for (const struct replay *r = m->replays[bucket_of(m, hash)]; r; r = r->next)
		if (memcmp(r->hash, hash, sizeof r->hash) == 0)
			return true;
	return false;
}

/* Moves what is in memory to a table of so many buckets, without what the skew check would refuse anyway. */
static void rebuild(struct replay_memory *m, uint32_t buckets, int64_t now_s)
{
	struct replay **old = m->replays;
	uint32_t old_buckets = m->buckets;

	m->buckets = buckets;
	m->replays = sim_alloc(m->buckets * sizeof *m->replays);
	for (uint32_t b = 0; b < old_buckets; b++)
		while (old[b]) {
			struct replay *r = old[b], **at;

			old[b] = r->next;
			if (r->expires_s < now_s) {
				free(r);
				m->count--;
				continue;
			}
			at = &m->replays[bucket_of(m, r->hash)];
			r->next = *at;
			*at = r;
		}
	free(old);
	m->cleaned_s = now_s;
}

/* Makes room for one more; at most one cleaning a second when the cache is full of what is still valid. */
static bool make_room(struct replay_memory *m, int64_t now_s)
{
	if (!m->buckets)
		rebuild(m, BUCKETS_FIRST, now_s);
	if (m->count < m->buckets && m->count < REPLAY_CACHE_MAX)
		return true;
	if (m->cleaned_s != now_s)
		rebuild(m, m->buckets, now_s);
	if (m->count * 2 > m->buckets && m->buckets < REPLAY_CACHE_MAX)
		rebuild(m, m->buckets * 2, now_s);
	return m->count < REPLAY_CACHE_MAX;
}

bool replay_memory_add(struct replay_memory *m, const uint8_t hash[REPLAY_HASH_LEN], struct krb_time ctime, int64_t now_s)
{
	struct replay *r, **at;

	if (!make_room(m, now_s))
		return false;
	r = sim_alloc(sizeof *r);
	memcpy(r->hash, hash, sizeof r->hash);
	r->expires_s = ctime.s + CLOCK_SKEW_S;
	at = &m->replays[bucket_of(m, r->hash)];
	r->next = *at;
	*at = r;
	m->count++;
	return true;
}

/* The newest of each address */

static struct newest *slot_of(struct newest *table, uint32_t size, uint32_t ip)
{
	uint32_t at = (ip * 0x9e3779b1u) >> 7 & (size - 1);

	while (table[at].ip && table[at].ip != ip)
		at = (at + 1) & (size - 1);
	return &table[at];
}

static const struct newest *newest_of(const struct replay_memory *m, uint32_t ip)
{
	const struct newest *n = m->newest_size ? slot_of(m->newest, m->newest_size, ip) : NULL;

	return n && n->ip == ip ? n : NULL;
}

/* An older authenticator than these is refused by the skew check alone: they may go. */
static bool outdated(const struct newest *n, int64_t now_s)
{
	return n->ctime.s + CLOCK_SKEW_S < now_s;
}

static void grow(struct replay_memory *m, int64_t now_s)
{
	struct newest *old = m->newest;
	uint32_t size = m->newest_size, live = 0;

	for (uint32_t i = 0; i < size; i++)
		live += old[i].ip && !outdated(&old[i], now_s);
	m->newest_size = !size ? NEWEST_FIRST : live * 4 > size ? size * 2 : size;
	m->newest_count = live;
	m->newest = sim_alloc(m->newest_size * sizeof *m->newest);
	for (uint32_t i = 0; i < size; i++)
		if (old[i].ip && !outdated(&old[i], now_s))
			*slot_of(m->newest, m->newest_size, old[i].ip) = old[i];
	free(old);
}

bool krb_time_older(struct krb_time a, struct krb_time b)
{
	return a.s != b.s ? a.s < b.s : a.us < b.us;
}

bool replay_memory_newest(const struct replay_memory *m, uint32_t ip, uint32_t spi, struct krb_time *ctime)
{
	const struct newest *n = newest_of(m, ip);

	if (!n || n->spi != spi)
		return false;
	*ctime = n->ctime;
	return true;
}

bool replay_memory_crowded(const struct replay_memory *m, uint32_t ip, int64_t now_s)
{
	const struct newest *n = newest_of(m, ip);

	return m->count > REPLAY_CROWDED && n && n->second == now_s && n->in_second >= AP_PER_SECOND_MAX;
}

void replay_memory_note(struct replay_memory *m, uint32_t ip, uint32_t spi, struct krb_time ctime, int64_t now_s)
{
	struct newest *n;
	uint32_t in_second;

	if (m->newest_count * 2 >= m->newest_size)
		grow(m, now_s);
	n = slot_of(m->newest, m->newest_size, ip);
	if (!n->ip)
		m->newest_count++;
	in_second = n->second == now_s ? n->in_second + 1 : 1;
	*n = (struct newest){ ip, spi, ctime, now_s, in_second };
}

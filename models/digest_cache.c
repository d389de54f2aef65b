/* A bounded memory of digests; see digest_cache.h. */
#include "models/digest_cache.h"

#include <stdlib.h>
#include <string.h>
#include "sim/packet.h"
#include "sim/sim.h"

#define BUCKETS_FIRST 64

struct entry {
	struct entry *next;       /* in its bucket */
	struct entry *next_newer; /* in order of coming */
	int64_t until_s;
	uint8_t digest[DIGEST_LEN];
};

struct digest_cache {
	struct entry **buckets, *oldest, **newest_tail;
	uint32_t bucket_count, count, max;
};

static struct entry **bucket_of(const struct digest_cache *cache, const uint8_t *digest)
{
	return &cache->buckets[get_be32(digest) & (cache->bucket_count - 1)];
}

static struct entry *find(const struct digest_cache *cache, const uint8_t *digest)
{
	struct entry *e = cache->bucket_count ? *bucket_of(cache, digest) : NULL;

	while (e && memcmp(e->digest, digest, DIGEST_LEN) != 0)
		e = e->next;
	return e;
}

static void enter(struct digest_cache *cache, struct entry *e)
{
	struct entry **at = bucket_of(cache, e->digest);

	e->next = *at;
	*at = e;
}

static void grow(struct digest_cache *cache)
{
	free(cache->buckets);
	cache->bucket_count = cache->bucket_count ? cache->bucket_count * 2 : BUCKETS_FIRST;
	cache->buckets = sim_alloc(cache->bucket_count * sizeof *cache->buckets);
	for (struct entry *e = cache->oldest; e; e = e->next_newer)
		enter(cache, e);
}

bool digest_cache_get(const struct digest_cache *cache, const uint8_t digest[DIGEST_LEN], int64_t *until_s)
{
	const struct entry *e = find(cache, digest);

	if (e)
		*until_s = e->until_s;
	return e != NULL;
}

bool digest_cache_add(struct digest_cache *cache, const uint8_t digest[DIGEST_LEN], int64_t until_s)
{
	struct entry *e = find(cache, digest);

	if (e) {
		e->until_s = until_s;
		return true;
	}
	if (cache->count >= cache->max)
		return false;
	if (cache->count >= cache->bucket_count)
		grow(cache);
	e = sim_alloc(sizeof *e);
	memcpy(e->digest, digest, sizeof e->digest);
	e->until_s = until_s;
	enter(cache, e);
	*cache->newest_tail = e;
	cache->newest_tail = &e->next_newer;
	cache->count++;
	return true;
}

void digest_cache_drop_oldest(struct digest_cache *cache)
{
	struct entry *e = cache->oldest, **at;

	if (!e)
		return;
	at = bucket_of(cache, e->digest);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	cache->oldest = e->next_newer;
	if (!cache->oldest)
		cache->newest_tail = &cache->oldest;
	cache->count--;
	free(e);
}

void digest_cache_age(struct digest_cache *cache, int64_t now_s)
{
	while (cache->oldest && cache->oldest->until_s < now_s)
		digest_cache_drop_oldest(cache);
}

uint32_t digest_cache_count(const struct digest_cache *cache)
{
	return cache->count;
}

struct digest_cache *digest_cache_new(uint32_t max)
{
	struct digest_cache *cache = sim_alloc(sizeof *cache);

	cache->max = max;
	cache->newest_tail = &cache->oldest;
	return cache;
}

void digest_cache_clear(struct digest_cache *cache)
{
	while (cache->oldest) {
		struct entry *e = cache->oldest;

		cache->oldest = e->next_newer;
		free(e);
	}
	free(cache->buckets);
	cache->buckets = NULL;
	cache->newest_tail = &cache->oldest;
	cache->bucket_count = cache->count = 0;
}

void digest_cache_free(struct digest_cache *cache)
{
	if (!cache)
		return;
	digest_cache_clear(cache);
	free(cache);
}

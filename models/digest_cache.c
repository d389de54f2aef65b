/* A bounded memory of digests; see digest_cache.h. */
#include "models/digest_cache.h"

#include <stdlib.h>
#include <string.h>
#include "models/slots.h"
#include "sim/packet.h"

#define BUCKETS_FIRST 64

struct entry {
	uint32_t next;       /* in its bucket; numbers, 0: none */
	uint32_t next_newer; /* in order of coming */
	uint8_t digest[DIGEST_LEN];
	uint32_t until_s[2]; /* the time's lower and upper half: no padding */
};

struct digest_cache {
	struct slots entries; /* of struct entry */
	uint32_t *buckets;
	uint32_t oldest, newest;
	uint32_t bucket_count, count, max;
};

static struct entry *entry_at(const struct digest_cache *cache, uint32_t number)
{
	return slots_at(&cache->entries, number);
}

static int64_t until_get(const struct entry *e)
{
	return (int64_t)((uint64_t)e->until_s[1] << 32 | e->until_s[0]);
}

static void until_set(struct entry *e, int64_t until_s)
{
	e->until_s[0] = (uint32_t)until_s;
	e->until_s[1] = (uint32_t)((uint64_t)until_s >> 32);
}

static uint32_t *bucket_of(const struct digest_cache *cache, const uint8_t *digest)
{
	return &cache->buckets[get_be32(digest) & (cache->bucket_count - 1)];
}

static struct entry *find(const struct digest_cache *cache, const uint8_t *digest)
{
	uint32_t number = cache->bucket_count ? *bucket_of(cache, digest) : 0;

	while (number && memcmp(entry_at(cache, number)->digest, digest, DIGEST_LEN) != 0)
		number = entry_at(cache, number)->next;
	return number ? entry_at(cache, number) : NULL;
}

static void enter(struct digest_cache *cache, uint32_t number)
{
	struct entry *e = entry_at(cache, number);
	uint32_t *at = bucket_of(cache, e->digest);

	e->next = *at;
	*at = number;
}

static void grow(struct digest_cache *cache)
{
	free(cache->buckets);
	cache->bucket_count = cache->bucket_count ? cache->bucket_count * 2 : BUCKETS_FIRST;
	cache->buckets = sim_alloc(cache->bucket_count * sizeof *cache->buckets);
	for (uint32_t number = cache->oldest; number; number = entry_at(cache, number)->next_newer)
		enter(cache, number);
}

bool digest_cache_get(const struct digest_cache *cache, const uint8_t digest[DIGEST_LEN], int64_t *until_s)
{
	const struct entry *e = find(cache, digest);

	if (e)
		*until_s = until_get(e);
	return e != NULL;
}

bool digest_cache_add(struct digest_cache *cache, const uint8_t digest[DIGEST_LEN], int64_t until_s)
{
	struct entry *e = find(cache, digest);
	uint32_t number;

	if (e) {
		until_set(e, until_s);
		return true;
	}
	if (cache->count >= cache->max)
		return false;
	if (cache->count >= cache->bucket_count)
		grow(cache);
	number = slots_take(&cache->entries);
	e = entry_at(cache, number);
	memcpy(e->digest, digest, sizeof e->digest);
	until_set(e, until_s);
	enter(cache, number);
	*(cache->oldest ? &entry_at(cache, cache->newest)->next_newer : &cache->oldest) = number;
	cache->newest = number;
	cache->count++;
	return true;
}

void digest_cache_drop_oldest(struct digest_cache *cache)
{
	uint32_t number = cache->oldest, *at;
	struct entry *e;

	if (!number)
		return;
	e = entry_at(cache, number);
	at = bucket_of(cache, e->digest);
	while (*at != number)
		at = &entry_at(cache, *at)->next;
	*at = e->next;
	cache->oldest = e->next_newer;
	cache->count--;
	slots_give_back(&cache->entries, number);
}

void digest_cache_age(struct digest_cache *cache, int64_t now_s)
{
	while (cache->oldest && until_get(entry_at(cache, cache->oldest)) < now_s)
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
	cache->entries.item_size = sizeof(struct entry);
	return cache;
}

void digest_cache_clear(struct digest_cache *cache)
{
	slots_end(&cache->entries);
	free(cache->buckets);
	cache->buckets = NULL;
	cache->oldest = cache->newest = cache->bucket_count = cache->count = 0;
}

void digest_cache_free(struct digest_cache *cache)
{
	if (!cache)
		return;
	digest_cache_clear(cache);
	free(cache);
}

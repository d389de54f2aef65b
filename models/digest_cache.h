/*
 * A bounded memory of digests with an age each: which authenticators a KDC has seen, which certificates it has
 * verified. Entries leave in the order in which they came; no result depends on the order of its buckets.
 */
#ifndef TOLLGATE_MODELS_DIGEST_CACHE_H
#define TOLLGATE_MODELS_DIGEST_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_LEN 20 /* SHA-1 */

struct digest_cache;

/* max: entries it holds at most. Owned by the caller. */
struct digest_cache *digest_cache_new(uint32_t max);
void digest_cache_free(struct digest_cache *cache);
void digest_cache_clear(struct digest_cache *cache);
/* Whether the digest is in it, and until when it counts (Unix seconds); an entry past its time is the caller's to judge. */
bool digest_cache_get(const struct digest_cache *cache, const uint8_t digest[DIGEST_LEN], int64_t *until_s);
/* Adds the digest, or sets the time of the one that is there. False: full. */
bool digest_cache_add(struct digest_cache *cache, const uint8_t digest[DIGEST_LEN], int64_t until_s);
/* Drops the oldest entries that are past their time, up to the first that is not. */
void digest_cache_age(struct digest_cache *cache, int64_t now_s);
/* Drops the oldest entry. Harmless on an empty one. */
void digest_cache_drop_oldest(struct digest_cache *cache);
uint32_t digest_cache_count(const struct digest_cache *cache);

#endif

/*
 * RSA key pairs made once and cached (a fleet's keys take longer to make than to use).
 *
 * The key of (pool seed, bits, name) follows from these three alone; the cache only saves the time. It is one
 * append-only file per (seed, bits) in the cache directory, safe for several processes; a torn or foreign record is
 * made anew. A directory that cannot be written is no error: keys are then made again next time.
 */
#ifndef TOLLGATE_CRYPTO_KEY_POOL_H
#define TOLLGATE_CRYPTO_KEY_POOL_H

#include "crypto/crypto.h"

struct key_pool;

/* directory NULL or empty: no cache; one that is missing is made. The context outlives the pool. */
struct key_pool *key_pool_new(struct crypto *crypto, uint64_t seed, const char *directory);
void key_pool_free(struct key_pool *pool);
/* PKCS#8 DER of a key pair, borrowed until the pool is freed. bits: 1024, 2048 or 4096. Never NULL (aborts). */
const uint8_t *key_pool_get(struct key_pool *pool, const char *name, unsigned bits, size_t *len);

#endif

/*
 * What ESP and the RTP cipher share: one direction's 3DES-CBC and HMAC-SHA-1 under keys that follow from a sub-key.
 *
 * The keys stay in struct transform; their birth and death are told to the context's watcher. What libcrypto makes of
 * them, schedules and hash states (symmetric.h), is made at the first use, in one block, and kept until
 * transform_sleep().
 */
#ifndef TOLLGATE_CRYPTO_TRANSFORM_H
#define TOLLGATE_CRYPTO_TRANSFORM_H

#include "crypto/derive.h"
#include "crypto/esp.h"
#include "crypto/internal.h"
#include "crypto/symmetric.h"

#define TRANSFORM_BLOCK_LEN 8
#define TRANSFORM_MAC_LEN 12 /* HMAC-SHA-1-96, RFC 2404 */

struct transform_names {
	const char *cipher_role, *auth_role; /* literals */
};

/* The keys in the form in which they are used: the MAC's first, for a packet that is opened is checked first. */
struct transform_ready {
	struct crypto *crypto;     /* the module's: a packet need not touch the module */
	struct hmac_sha1_key auth; /* made with a MAC only */
	struct des3_key cipher;
};

struct transform {
	struct secure_module *sm;
	const struct transform_names *names;
	char *context;                /* for key logs; owned */
	struct transform_ready *ready; /* NULL: asleep */
	uint8_t cipher_key[24];
	uint8_t auth_key[20];         /* zeros without MAC */
	bool has_mac;
};

/* A sub-key's keys under a label, for both directions. transform_keys_end() wipes them. */
struct transform_keys {
	struct derived_keys derived;
	uint8_t parent_id[KEY_ID_LEN];
	const char *label; /* borrowed */
};

/* False when the module has no such key; nothing is to be wiped then. */
bool transform_derive(struct transform_keys *keys, struct secure_module *sm, key_handle subkey, const char *label);
void transform_keys_end(struct transform_keys *keys);
/*
 * Takes one direction's keys and tells them; mac false: no authentication key exists. start_sn: as derived. names must
 * outlive the transform; context is copied.
 */
void transform_init(struct transform *t, struct secure_module *sm, const struct transform_keys *keys,
                    enum esp_direction direction, const struct transform_names *names, const char *context, bool mac,
                    uint32_t *start_sn);
/* Tells the keys' death, wipes them, frees what is owned. */
void transform_end(struct transform *t);
/* Wipes and frees what was made of the keys until the next use. */
void transform_sleep(struct transform *t);
/* 3DES-CBC in place over a multiple of the block length (0 is allowed). Not metered: see transform_count(). */
void transform_cbc(struct transform *t, bool encrypt, const uint8_t iv[TRANSFORM_BLOCK_LEN], uint8_t *bytes,
                   size_t len);
/* HMAC-SHA-1-96 over the bytes. Metered. Only for a transform with a MAC. */
void transform_mac(struct transform *t, const uint8_t *bytes, size_t len, uint8_t out[TRANSFORM_MAC_LEN]);
/* Counts the cipher operation just done, if the simulated device performs it (undoing one is no work of the device). */
static inline void transform_count(const struct transform *t, size_t len)
{
	if (t->ready)
		crypto_count(t->ready->crypto, CRYPTO_DES3, (uint32_t)len);
}

#endif

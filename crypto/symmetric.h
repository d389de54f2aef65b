/*
 * 3DES-CBC and HMAC-SHA-1 under keys that lie flat in the caller's memory: the schedules of three DES keys, the hash's two
 * states behind the padded key (RFC 2104 section 4).
 *
 * Internal to crypto/. A run has thousands of keys in use in turn, so that each packet finds its key out of the
 * processor's caches. Behind EVP one association's keys are eight objects in as many places; here they are seven cache
 * lines in a row. The functions are those that OpenSSL's default provider calls itself; OpenSSL 3 has them marked as
 * deprecated in favour of EVP, and no other file uses them. They cannot fail.
 */
#ifndef TOLLGATE_CRYPTO_SYMMETRIC_H
#define TOLLGATE_CRYPTO_SYMMETRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DES3_BLOCK_LEN 8
#define DES3_KEY_LEN 24
#define DES3_SCHEDULE_WORDS 96
#define SHA1_LEN 20
#define SHA1_WORDS 5

struct des3_key {
	uint32_t schedule[DES3_SCHEDULE_WORDS];
};

struct hmac_sha1_key {
	uint32_t inner[SHA1_WORDS], outer[SHA1_WORDS];
};

/* The keys' parity bits have no meaning here. The owner wipes the structure. */
void des3_key_init(struct des3_key *key, const uint8_t bytes[DES3_KEY_LEN]);
/* Whole blocks; out may be in. */
void des3_cbc(const struct des3_key *key, bool encrypt, const uint8_t iv[DES3_BLOCK_LEN], const uint8_t *in,
              uint8_t *out, size_t len);

/* A key of any length; the owner wipes the structure. */
void hmac_sha1_key_init(struct hmac_sha1_key *key, const uint8_t *bytes, size_t len);
/* Over a | b; b_len may be 0, then b may be NULL. out may be a or b. */
void hmac_sha1(const struct hmac_sha1_key *key, const void *a, size_t a_len, const void *b, size_t b_len,
               uint8_t out[SHA1_LEN]);

#endif

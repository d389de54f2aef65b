/*
 * The cryptographic context of one run: an OpenSSL library context whose randomness comes from named streams only.
 *
 * Each call that needs chance takes the caller's random source; for the length of that call it is what OpenSSL's RAND
 * draws from (keys, nonces, IVs, padding). Drawing outside such a call is a programming error and aborts. Algorithms
 * are fetched once, here. Nothing in crypto/ knows a simulator: bytes and keys in, bytes out.
 */
#ifndef TOLLGATE_CRYPTO_CRYPTO_H
#define TOLLGATE_CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crypto;

struct random_source {
	void (*fill)(void *ctx, uint8_t *out, size_t len);
	void *ctx;
};

/*
 * What an operation was, for those who count or replay them. size: bytes for ciphers, MACs and hashes, bits for RSA and
 * DH and for the keys that 3DES and HMAC are set up with. A signature's hash is an operation of its own; key derivation
 * is the HMACs or ciphers it consists of.
 */
enum crypto_op {
	CRYPTO_RSA_SIGN, CRYPTO_RSA_VERIFY, CRYPTO_RSA_ENCRYPT, CRYPTO_RSA_DECRYPT, CRYPTO_DH_GENERATE,
	CRYPTO_DH_DERIVE,
	CRYPTO_DES3, CRYPTO_HMAC_SHA1, CRYPTO_SHA1, CRYPTO_SHA256, CRYPTO_DES3_KEY, CRYPTO_HMAC_KEY, CRYPTO_OP_COUNT
};
extern const char *const crypto_op_names[CRYPTO_OP_COUNT];

enum key_life { KEY_LIFE_BORN, KEY_LIFE_HELD, KEY_LIFE_DEAD };
#define KEY_ID_LEN 16

/* A step in a key's life, as its module sees it. secret is for key logs and for nobody else; it lives for the call. */
struct key_news {
	enum key_life life;
	const char *owner;     /* the module's owner */
	const char *role;      /* "krb.session", "krb.reply", "krb.server", "subkey", "esp.up.cipher", ... */
	const char *algorithm; /* "des3-cbc", "hmac-sha1", "rsa-2048", ... */
	const char *how;       /* "generated", "loaded", "unwrapped", "derived:LABEL" */
	const char *context;   /* what it serves, for key logs: "sc/sc1@REALM", "10.1.0.2 10.9.0.5 0x1234abcd"; "" if nothing */
	uint8_t id[KEY_ID_LEN];      /* first bytes of SHA-256 over the key (public key for RSA) */
	bool has_parent;
	uint8_t parent[KEY_ID_LEN];
	const uint8_t *secret;
	size_t secret_len;
};

/*
 * For a program that is alone in its process, before the first crypto_new(); of several calls the first counts. OpenSSL
 * then knows by name only the digests and ciphers that a context has (lean_provider.h), not each one there is: it walks
 * through all names for every operation with a key, and at a thousand calls finds none of them in the cache.
 */
void crypto_own_process(void);
/* NULL when OpenSSL cannot be set up (reason on stderr). */
struct crypto *crypto_new(void);
void crypto_free(struct crypto *crypto);
/* At most one meter and one watcher; NULL removes it. */
void crypto_set_meter(struct crypto *crypto, void (*meter)(void *ctx, enum crypto_op op, uint32_t size), void *ctx);
void crypto_set_key_watcher(struct crypto *crypto, void (*watch)(void *ctx, const struct key_news *news), void *ctx);

/*
 * Why the token of modules with sm_use_token() failed last; "" when there is none or it never did. A run in which it
 * did is no result.
 */
const char *crypto_token_failure(const struct crypto *crypto);

void crypto_sha1(struct crypto *crypto, const uint8_t *bytes, size_t len, uint8_t out[20]);
void crypto_sha256(struct crypto *crypto, const uint8_t *bytes, size_t len, uint8_t out[32]);
/* Constant-time comparison. */
bool crypto_equal(const uint8_t *a, const uint8_t *b, size_t len);
void crypto_wipe(void *bytes, size_t len);

#endif

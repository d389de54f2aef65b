/*
 * The inside of the secure module, for the files of crypto/ that work on keys. Nothing outside crypto/ may include this
 * file (make layers checks it): here, and only here, key bytes can be reached.
 */
#ifndef TOLLGATE_CRYPTO_INTERNAL_H
#define TOLLGATE_CRYPTO_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/types.h>
#include "crypto/crypto.h"
#include "crypto/secure_module.h"

struct crypto {
	OSSL_LIB_CTX *lib;
	OSSL_PROVIDER *provider_default, *provider_random;
	const struct random_source *random; /* set between crypto_random_begin and _end */
	void (*meter)(void *ctx, enum crypto_op op, uint32_t size);
	void *meter_ctx;
	void (*watch)(void *ctx, const struct key_news *news);
	void *watch_ctx;
	/* Fetched once. */
	EVP_CIPHER *des3_cbc;
	EVP_MD *sha1, *sha256;
	EVP_MAC *hmac;
	EVP_KDF *krb5kdf;
	EVP_MD_CTX *md_scratch;
};

void crypto_random_begin(struct crypto *crypto, const struct random_source *random);
void crypto_random_end(struct crypto *crypto);
static inline void crypto_count(const struct crypto *crypto, enum crypto_op op, uint32_t size)
{
	if (crypto->meter)
		crypto->meter(crypto->meter_ctx, op, size);
}

enum sm_kind { SM_NONE, SM_DES3, SM_HMAC, SM_RSA };

struct sm_key {
	key_handle handle;
	enum sm_kind kind;
	const char *role;        /* static or interned */
	uint8_t bytes[24];       /* SM_DES3: 24, SM_HMAC: 20 */
	uint8_t id[KEY_ID_LEN];
	struct key_pool *pool;   /* SM_RSA: where its PKCS#8 is */
	char *pool_name;
	unsigned bits;
	EVP_PKEY *pkey;          /* SM_RSA: cached while awake */
};

/* NULL when the handle is not a key of that kind. */
struct sm_key *sm_lookup(const struct secure_module *sm, key_handle handle, enum sm_kind kind);
/* Adds a symmetric key and tells its birth (or, told by how "unwrapped"/"loaded", that it is held). parent may be NULL. */
key_handle sm_add(struct secure_module *sm, enum sm_kind kind, const char *role, const uint8_t *bytes, size_t len,
                  const char *how, const char *context, const struct sm_key *parent);
/* The RSA key object, made when it sleeps. NULL: no such key. Borrowed. */
EVP_PKEY *sm_rsa_pkey(struct secure_module *sm, key_handle handle);
const struct random_source *sm_random(const struct secure_module *sm);
/* DER of the root verification key's certificate; NULL when none is installed. */
const uint8_t *sm_root(const struct secure_module *sm, size_t *len);

/* Tells the watcher of a key that lives outside the handle table (ESP and RTP keys). */
void key_tell(struct crypto *crypto, enum key_life life, const char *owner, const char *role, const char *algorithm,
              const char *how, const char *context, const uint8_t *secret, size_t len, const uint8_t *parent_id);
void key_id_of(struct crypto *crypto, const uint8_t *secret, size_t len, uint8_t id[KEY_ID_LEN]);

/* RFC 3961 des3-cbc-sha1-kd over raw keys (kerberos_crypto.c). out has room for krb_sealed_len(len). */
size_t krb_sealed_len(size_t plain_len);
bool krb_seal(struct crypto *crypto, const struct random_source *random, const uint8_t key[24], uint32_t usage,
              const uint8_t *plain, size_t len, uint8_t *out);
/* In place is allowed (out == sealed). *len becomes the padded plain length. False: MAC or length wrong. */
bool krb_open(struct crypto *crypto, const uint8_t key[24], uint32_t usage, const uint8_t *sealed, size_t sealed_len,
              uint8_t *out, size_t *len);
/* hmac-sha1-des3-kd checksum. */
bool krb_checksum(struct crypto *crypto, const uint8_t key[24], uint32_t usage, const uint8_t *bytes, size_t len,
                  uint8_t out[20]);

#endif

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
#include "crypto/seed_stream.h"

#define CRYPTO_RANDOM_DEPTH_MAX 8 /* nested crypto_random_begin() */

struct crypto {
	OSSL_LIB_CTX *lib;  /* RSA and Diffie-Hellman keys only: see lean_provider.h */
	OSSL_LIB_CTX *base; /* where the provider behind it is loaded; what that fetches for itself comes from here */
	OSSL_PROVIDER *provider_lean, *provider_default, *provider_random, *provider_base_random;
	const struct random_source *random; /* set between crypto_random_begin and _end */
	void (*meter)(void *ctx, enum crypto_op op, uint32_t size);
	void *meter_ctx;
	void (*watch)(void *ctx, const struct key_news *news);
	void *watch_ctx;
	/* Fetched once. */
	EVP_CIPHER *des3_cbc;
	EVP_MD *sha1, *sha256;
	EVP_MAC *hmac;
	EVP_MD_CTX *md_scratch;
	EVP_CIPHER_CTX *des3_scratch; /* has the cipher, no padding, and the key of its last use */
	/* Sources hidden by nested calls of crypto_random_begin(). */
	const struct random_source *random_outer[CRYPTO_RANDOM_DEPTH_MAX];
	unsigned random_depth;
	struct seed_stream blinding_stream;
	struct random_source blinding;
	struct root_cert *roots; /* distinct root certificates, shared by the modules (root_cert.c) */
	struct pkcs11_token *token; /* where RSA keys of modules with sm_use_token() are; opened by the first */
	struct signer_cache *signers; /* keys of authorities (rsa_key.c); made at the first */
	struct cert_cache *certs; /* lately parsed certificates (cert_cache.c); made at the first */
	struct crl_cache *crl;    /* the CRL parsed last (pki_verify.c) */
};

/*
 * Between begin and end OpenSSL draws from random, which must live until the end. Pairs may nest (a key made by the
 * pool while a message is built): the inner source holds until its end.
 */
void crypto_random_begin(struct crypto *crypto, const struct random_source *random);
void crypto_random_end(struct crypto *crypto);
/*
 * The source to set for operations whose result does not depend on the random bytes they draw: RSA blinding in signing
 * and decryption with PKCS #1 v1.5, checks of a key pair. It is the context's own fixed stream, so that a module which
 * slept (and sets up blinding again) draws the same numbers from its node's stream as one that did not.
 */
const struct random_source *crypto_blinding(struct crypto *crypto);
/* HMAC-SHA-1 under raw bytes (1 or more); not metered: the caller knows what it stands for. */
void crypto_hmac_sha1(const uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len, uint8_t out[20]);
/* The key object of a PKCS #8 DER private key in this context. NULL: not exactly one RSA key. The caller frees it. */
EVP_PKEY *crypto_private_key(struct crypto *crypto, const uint8_t *pkcs8, size_t len);
/* The same for a key that issues certificates, out of a small cache. The caller frees it. */
EVP_PKEY *crypto_signer_key(struct crypto *crypto, const uint8_t *pkcs8, size_t len);
void signer_cache_free(struct signer_cache *cache);
/* RSAPublicKey DER of such a private key; OPENSSL_free(). False: not exactly one RSA key. */
bool crypto_public_numbers(const uint8_t *pkcs8, size_t len, uint8_t **out, int *out_len);
/* Its SubjectPublicKeyInfo DER, as of a key object; returns the length, 0 or less: not exactly one RSA key. */
int crypto_spki(const uint8_t *pkcs8, size_t len, uint8_t **out);
/* Counts an operation for the meter. */
static inline void crypto_count(const struct crypto *crypto, enum crypto_op op, uint32_t size)
{
	if (crypto->meter)
		crypto->meter(crypto->meter_ctx, op, size);
}

#define DES3_KEY_BITS 192
#define HMAC_KEY_BITS 160

struct derived_keys;
/*
 * Derivation as a device performs it: derive_keys(), and of its result the up cipher key alone, which takes fewer
 * HMACs. Metered.
 */
void crypto_derive_keys(struct crypto *crypto, const uint8_t subkey[24], const char *label, struct derived_keys *out);
void crypto_derive_cipher_key(struct crypto *crypto, const uint8_t subkey[24], const char *label, uint8_t out[24]);

enum sm_kind { SM_NONE, SM_DES3, SM_HMAC, SM_RSA };

struct sm_key {
	key_handle handle;
	uint16_t bits;           /* SM_RSA */
	enum sm_kind kind : 8;
	bool in_token : 1;       /* SM_RSA: its private half works in the token; */
	bool imported : 1;       /* and it leaves it with this key */
	bool id_known : 1;       /* SM_RSA: false until somebody asks */
	const char *role;        /* a string that outlives the module: a literal */
	uint8_t id[KEY_ID_LEN];
	union {
		uint8_t bytes[24];   /* SM_DES3: 24, SM_HMAC: 20 */
		struct {             /* SM_RSA */
			uint64_t token_key;    /* in a token: its handle there */
			struct key_pool *pool; /* where its PKCS#8 is */
			const char *pool_name; /* the module's owner's, or a copy */
			EVP_PKEY *pkey;        /* cached while awake */
		};
	};
};

/* NULL when the handle is not a key of that kind. The pointer holds until that key is destroyed. */
struct sm_key *sm_lookup(const struct secure_module *sm, key_handle handle, enum sm_kind kind);
/*
 * Adds a symmetric key (SM_DES3: 24 bytes, SM_HMAC: 20) and tells its birth (or, told by how "unwrapped"/"loaded", that
 * it is held). role: a literal. parent may be NULL.
 */
key_handle sm_add(struct secure_module *sm, enum sm_kind kind, const char *role, const uint8_t *bytes, size_t len,
                  const char *how, const char *context, const struct sm_key *parent);
/* The RSA key object, made when it sleeps. NULL: no such key, or its token does not answer. Borrowed. */
EVP_PKEY *sm_rsa_pkey(struct secure_module *sm, key_handle handle);
const struct random_source *sm_random(const struct secure_module *sm);
/* DER of the root verification key's certificate; NULL when none is installed. */
const uint8_t *sm_root(const struct secure_module *sm, size_t *len);

/*
 * A root certificate, kept once a context however many modules hold it. hold: NULL when the bytes are not one
 * self-signed CA certificate whose signature verifies. A holder releases it; crypto_free() asserts that all did.
 */
struct root_cert {
	struct root_cert *next;
	unsigned holders;
	size_t len;
	uint8_t der[];
};
struct root_cert *root_cert_hold(struct crypto *crypto, const uint8_t *der, size_t len);
void root_cert_release(struct crypto *crypto, struct root_cert *root);

/*
 * Exactly one certificate, parsed in the context; NULL otherwise. A shared object out of a small cache: its holder
 * changes nothing in it and gives it back with X509_free(). len 0 is no certificate.
 */
X509 *cert_parse(struct crypto *crypto, const uint8_t *der, size_t len);
void cert_cache_free(struct cert_cache *cache);
void crl_cache_free(struct crl_cache *cache);

/* Tells the watcher of a key that lives outside the handle table (ESP and RTP keys). */
void key_tell(struct crypto *crypto, enum key_life life, const char *owner, const char *role, const char *algorithm,
              const char *how, const char *context, const uint8_t *secret, size_t len, const uint8_t *parent_id);
/* The id of a symmetric key: the first bytes of its SHA-256. Not metered. */
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

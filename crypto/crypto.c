/*
 * The cryptographic context: library context, providers, algorithms fetched once, hashes, and the door for randomness.
 *
 * OpenSSL's configuration file is never read, so that the machine's settings have no influence; the context has its own
 * provider instances and its own generator (random_provider.c). Failure of an algorithm that was fetched at the start
 * is a defect of the machine, not of a peer, and aborts.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include "crypto/internal.h"
#include "crypto/lean_provider.h"
#include "crypto/pkcs11_token.h"
#include "crypto/random_provider.h"
#include "crypto/symmetric.h"

const char *const crypto_op_names[CRYPTO_OP_COUNT] = {
	[CRYPTO_RSA_SIGN] = "rsa_sign",
	[CRYPTO_RSA_VERIFY] = "rsa_verify",
	[CRYPTO_RSA_ENCRYPT] = "rsa_encrypt",
	[CRYPTO_RSA_DECRYPT] = "rsa_decrypt",
	[CRYPTO_DH_GENERATE] = "dh_generate",
	[CRYPTO_DH_DERIVE] = "dh_derive",
	[CRYPTO_DES3] = "des3",
	[CRYPTO_HMAC_SHA1] = "hmac_sha1",
	[CRYPTO_SHA1] = "sha1",
	[CRYPTO_SHA256] = "sha256",
	[CRYPTO_DES3_KEY] = "des3_key",
	[CRYPTO_HMAC_KEY] = "hmac_key",
};

static bool fetch_algorithms(struct crypto *crypto)
{
	crypto->des3_cbc = EVP_CIPHER_fetch(crypto->lib, "DES-EDE3-CBC", NULL);
	crypto->sha1 = EVP_MD_fetch(crypto->lib, "SHA1", NULL);
	crypto->sha256 = EVP_MD_fetch(crypto->lib, "SHA256", NULL);
	crypto->hmac = EVP_MAC_fetch(crypto->lib, "HMAC", NULL);
	crypto->md_scratch = EVP_MD_CTX_new();
	crypto->des3_scratch = EVP_CIPHER_CTX_new();
	return crypto->des3_cbc && crypto->sha1 && crypto->sha256 && crypto->hmac && crypto->md_scratch && crypto->des3_scratch &&
	       EVP_CipherInit_ex2(crypto->des3_scratch, crypto->des3_cbc, NULL, NULL, 1, NULL) &&
	       EVP_CIPHER_CTX_set_padding(crypto->des3_scratch, 0);
}

static bool load_providers(struct crypto *crypto)
{
	crypto->base = OSSL_LIB_CTX_new();
	crypto->lib = OSSL_LIB_CTX_new();
	if (!crypto->base || !crypto->lib)
		return false;
	crypto->provider_base_random = random_provider_load(crypto, crypto->base);
	crypto->provider_random = random_provider_load(crypto, crypto->lib);
	crypto->provider_default = OSSL_PROVIDER_load(crypto->base, "default");
	if (!crypto->provider_base_random || !crypto->provider_random || !crypto->provider_default)
		return false;
	crypto->provider_lean = lean_provider_load(crypto->lib, crypto->provider_default);
	return crypto->provider_lean != NULL;
}

void crypto_own_process(void)
{
	const EVP_MD *const digests[] = { EVP_md5(), EVP_sha1(), EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512() };
	const EVP_CIPHER *const ciphers[] = { EVP_des_ede3_cbc(), EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc() };

	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
	                    OPENSSL_INIT_NO_ADD_ALL_DIGESTS, NULL);
	for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++)
		EVP_add_digest(digests[i]);
	for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
		EVP_add_cipher(ciphers[i]);
}

struct crypto *crypto_new(void)
{
	struct crypto *crypto = calloc(1, sizeof *crypto);

	if (!crypto)
		return NULL;
	seed_stream_init(&crypto->blinding_stream, "rsa blinding");
	crypto->blinding = (struct random_source){ seed_stream_fill, &crypto->blinding_stream };
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
		goto fail;
	if (!load_providers(crypto) || !fetch_algorithms(crypto))
		goto fail;
	return crypto;
fail:
	fprintf(stderr, "crypto: OpenSSL cannot be set up\n");
	ERR_print_errors_fp(stderr);
	crypto_free(crypto);
	return NULL;
}

static void unload(OSSL_PROVIDER *provider)
{
	if (provider)
		OSSL_PROVIDER_unload(provider);
}

void crypto_free(struct crypto *crypto)
{
	if (!crypto)
		return;
	assert(crypto->random_depth == 0 && !crypto->roots);
	pkcs11_token_close(crypto->token);
	cert_cache_free(crypto->certs);
	crl_cache_free(crypto->crl);
	signer_cache_free(crypto->signers);
	EVP_MD_CTX_free(crypto->md_scratch);
	EVP_CIPHER_CTX_free(crypto->des3_scratch);
	EVP_MAC_free(crypto->hmac);
	EVP_MD_free(crypto->sha256);
	EVP_MD_free(crypto->sha1);
	EVP_CIPHER_free(crypto->des3_cbc);
	unload(crypto->provider_lean);
	unload(crypto->provider_random);
	OSSL_LIB_CTX_free(crypto->lib);
	unload(crypto->provider_default);
	unload(crypto->provider_base_random);
	OSSL_LIB_CTX_free(crypto->base);
	free(crypto);
}

void crypto_set_meter(struct crypto *crypto, void (*meter)(void *ctx, enum crypto_op op, uint32_t size), void *ctx)
{
	crypto->meter = meter;
	crypto->meter_ctx = ctx;
}

void crypto_set_key_watcher(struct crypto *crypto, void (*watch)(void *ctx, const struct key_news *news), void *ctx)
{
	crypto->watch = watch;
	crypto->watch_ctx = ctx;
}

void crypto_random_begin(struct crypto *crypto, const struct random_source *random)
{
	assert(random && crypto->random_depth < CRYPTO_RANDOM_DEPTH_MAX);
	crypto->random_outer[crypto->random_depth++] = crypto->random;
	crypto->random = random;
}

void crypto_random_end(struct crypto *crypto)
{
	assert(crypto->random_depth > 0);
	crypto->random = crypto->random_outer[--crypto->random_depth];
}

const struct random_source *crypto_blinding(struct crypto *crypto)
{
	return &crypto->blinding;
}

const char *crypto_token_failure(const struct crypto *crypto)
{
	return crypto->token ? pkcs11_token_failure(crypto->token) : "";
}

static void digest(struct crypto *crypto, const EVP_MD *md, const uint8_t *bytes, size_t len, uint8_t *out)
{
	if (!EVP_DigestInit_ex2(crypto->md_scratch, md, NULL) || !EVP_DigestUpdate(crypto->md_scratch, bytes, len) ||
	    !EVP_DigestFinal_ex(crypto->md_scratch, out, NULL)) {
		fprintf(stderr, "crypto: a hash failed\n");
		abort();
	}
}

void crypto_sha1(struct crypto *crypto, const uint8_t *bytes, size_t len, uint8_t out[20])
{
	digest(crypto, crypto->sha1, bytes, len, out);
	crypto_count(crypto, CRYPTO_SHA1, (uint32_t)len);
}

void crypto_sha256(struct crypto *crypto, const uint8_t *bytes, size_t len, uint8_t out[32])
{
	digest(crypto, crypto->sha256, bytes, len, out);
	crypto_count(crypto, CRYPTO_SHA256, (uint32_t)len);
}

void crypto_hmac_sha1(const uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len, uint8_t out[20])
{
	struct hmac_sha1_key ready;

	hmac_sha1_key_init(&ready, key, key_len);
	hmac_sha1(&ready, bytes, len, NULL, 0, out);
	crypto_wipe(&ready, sizeof ready);
}

bool crypto_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *bytes, size_t len)
{
	OPENSSL_cleanse(bytes, len);
}

void key_id_of(struct crypto *crypto, const uint8_t *secret, size_t len, uint8_t id[KEY_ID_LEN])
{
	uint8_t hash[32];

	digest(crypto, crypto->sha256, secret, len, hash);
	memcpy(id, hash, KEY_ID_LEN);
}

void key_tell(struct crypto *crypto, enum key_life life, const char *owner, const char *role, const char *algorithm,
              const char *how, const char *context, const uint8_t *secret, size_t len, const uint8_t *parent_id)
{
	struct key_news news = {
		.life = life, .owner = owner, .role = role, .algorithm = algorithm, .how = how,
		.context = context ? context : "", .has_parent = parent_id != NULL, .secret = secret, .secret_len = len,
	};

	if (!crypto->watch)
		return;
	key_id_of(crypto, secret, len, news.id);
	if (parent_id)
		memcpy(news.parent, parent_id, KEY_ID_LEN);
	crypto->watch(crypto->watch_ctx, &news);
}

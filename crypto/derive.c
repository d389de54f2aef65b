/*
 * P_SHA1 (RFC 2246 section 5) and the cut of its output into association keys; see derive.h.
 *
 * The functions are pure and take no cryptographic context. HMAC is fetched from OpenSSL's default context, keyed once
 * a call and rewound between the blocks. It draws no randomness.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "crypto/derive.h"

#define SHA1_LEN 20
#define DIRECTION_LEN (20 + 24 + 4)

struct part {
	const void *bytes;
	size_t len;
};

/* HMAC-SHA-1 under the context's key over a | b. */
static void hmac_parts(EVP_MAC_CTX *ctx, struct part a, struct part b, uint8_t out[SHA1_LEN])
{
	size_t len = 0;

	if (!EVP_MAC_init(ctx, NULL, 0, NULL) || !EVP_MAC_update(ctx, a.bytes, a.len) ||
	    !EVP_MAC_update(ctx, b.bytes, b.len) || !EVP_MAC_final(ctx, out, &len, SHA1_LEN) || len != SHA1_LEN) {
		fprintf(stderr, "crypto: HMAC-SHA-1 failed\n");
		abort();
	}
}

static EVP_MAC_CTX *keyless;
static pthread_once_t keyless_once = PTHREAD_ONCE_INIT;

/* Names are looked up once a process. */
static void make_keyless(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	char digest[] = "SHA1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()
	};

	keyless = mac ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	if (!keyless || !EVP_MAC_CTX_set_params(keyless, params)) {
		fprintf(stderr, "crypto: HMAC-SHA-1 is not available\n");
		abort();
	}
}

static EVP_MAC_CTX *hmac_keyed(const uint8_t *key, size_t key_len)
{
	EVP_MAC_CTX *ctx = pthread_once(&keyless_once, make_keyless) == 0 ? EVP_MAC_CTX_dup(keyless) : NULL;

	if (!ctx || !EVP_MAC_init(ctx, key, key_len, NULL)) {
		fprintf(stderr, "crypto: HMAC-SHA-1 failed\n");
		abort();
	}
	return ctx;
}

void p_sha1(const uint8_t *secret, size_t secret_len, const char *label, uint8_t *out, size_t out_len)
{
	const struct part seed = { label, strlen(label) }, nothing = { "", 0 };
	uint8_t a[SHA1_LEN], block[SHA1_LEN];
	EVP_MAC_CTX *ctx = hmac_keyed(secret, secret_len);

	assert(secret_len > 0);
	hmac_parts(ctx, seed, nothing, a);
	while (out_len > 0) {
		size_t n = out_len < SHA1_LEN ? out_len : SHA1_LEN;

		hmac_parts(ctx, (struct part){ a, SHA1_LEN }, seed, block);
		memcpy(out, block, n);
		out += n;
		out_len -= n;
		if (out_len > 0)
			hmac_parts(ctx, (struct part){ a, SHA1_LEN }, nothing, a);
	}
	EVP_MAC_CTX_free(ctx);
	OPENSSL_cleanse(a, sizeof a);
	OPENSSL_cleanse(block, sizeof block);
}

void des_parity(uint8_t *key, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t fold = key[i] >> 1;

		fold ^= fold >> 4;
		fold ^= fold >> 2;
		fold ^= fold >> 1;
		key[i] = (uint8_t)((key[i] & 0xfe) | (~fold & 1));
	}
}

static void cut_direction(const uint8_t *material, struct derived_direction *out)
{
	const uint8_t *sn = material + 44;

	memcpy(out->auth_key, material, 20);
	memcpy(out->cipher_key, material + 20, 24);
	des_parity(out->cipher_key, 24);
	out->start_sn = (uint32_t)sn[0] << 24 | (uint32_t)sn[1] << 16 | (uint32_t)sn[2] << 8 | sn[3];
}

void derive_keys(const uint8_t *subkey, size_t subkey_len, const char *label, struct derived_keys *out)
{
	uint8_t material[2 * DIRECTION_LEN];

	p_sha1(subkey, subkey_len, label, material, sizeof material);
	cut_direction(material, &out->up);
	cut_direction(material + DIRECTION_LEN, &out->down);
	OPENSSL_cleanse(material, sizeof material);
}

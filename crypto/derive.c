/*
 * P_SHA1 (RFC 2246 section 5) and the cut of its output into association keys; see derive.h.
 *
 * p_sha1() and derive_keys() are pure and take no cryptographic context: SHA-1 is fetched from OpenSSL's default
 * context. HMAC is by hand (RFC 2104), which for such short messages takes a third less time than EVP_MAC. No randomness
 * is drawn.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "crypto/derive.h"
#include "crypto/internal.h"

#define SHA1_LEN 20
#define SHA1_BLOCK_LEN 64
#define AUTH_KEY_LEN 20
#define CIPHER_KEY_LEN 24
#define DIRECTION_LEN (AUTH_KEY_LEN + CIPHER_KEY_LEN + 4)

static EVP_MD *sha1;
static pthread_once_t sha1_once = PTHREAD_ONCE_INIT;

static _Noreturn void broken(void)
{
	fprintf(stderr, "crypto: HMAC-SHA-1 failed\n");
	abort();
}

/* Names are looked up once a process. */
static void fetch_sha1(void)
{
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
}

/* HMAC under one key (RFC 2104 section 2): the hash's states behind the padded key, copied for each message. */
struct hmac {
	EVP_MD_CTX *inner, *outer, *work;
};

static EVP_MD_CTX *padded(const uint8_t block[SHA1_BLOCK_LEN], uint8_t pad)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t padded_key[SHA1_BLOCK_LEN];

	for (size_t i = 0; i < SHA1_BLOCK_LEN; i++)
		padded_key[i] = block[i] ^ pad;
	if (!ctx || !EVP_DigestInit_ex2(ctx, sha1, NULL) || !EVP_DigestUpdate(ctx, padded_key, sizeof padded_key))
		broken();
	OPENSSL_cleanse(padded_key, sizeof padded_key);
	return ctx;
}

static void hmac_init(struct hmac *h, const uint8_t *key, size_t key_len)
{
	uint8_t block[SHA1_BLOCK_LEN] = { 0 };

	if (pthread_once(&sha1_once, fetch_sha1) != 0 || !sha1)
		broken();
	if (key_len <= sizeof block)
		memcpy(block, key, key_len);
	else if (!EVP_Digest(key, key_len, block, NULL, sha1, NULL))
		broken();
	h->inner = padded(block, 0x36);
	h->outer = padded(block, 0x5c);
	h->work = EVP_MD_CTX_new();
	OPENSSL_cleanse(block, sizeof block);
}

/* The contexts wipe what they hold. */
static void hmac_free(struct hmac *h)
{
	EVP_MD_CTX_free(h->inner);
	EVP_MD_CTX_free(h->outer);
	EVP_MD_CTX_free(h->work);
}

/* Over a | b; out may be a. */
static void hmac_parts(struct hmac *h, const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[SHA1_LEN])
{
	if (!h->work || !EVP_MD_CTX_copy_ex(h->work, h->inner) || !EVP_DigestUpdate(h->work, a, a_len) ||
	    !EVP_DigestUpdate(h->work, b, b_len) || !EVP_DigestFinal_ex(h->work, out, NULL) ||
	    !EVP_MD_CTX_copy_ex(h->work, h->outer) || !EVP_DigestUpdate(h->work, out, SHA1_LEN) ||
	    !EVP_DigestFinal_ex(h->work, out, NULL))
		broken();
}

void p_sha1(const uint8_t *secret, size_t secret_len, const char *label, uint8_t *out, size_t out_len)
{
	const size_t label_len = strlen(label);
	uint8_t a[SHA1_LEN], block[SHA1_LEN];
	struct hmac h;

	assert(secret_len > 0);
	hmac_init(&h, secret, secret_len);
	hmac_parts(&h, label, label_len, "", 0, a);
	while (out_len > 0) {
		size_t n = out_len < SHA1_LEN ? out_len : SHA1_LEN;

		hmac_parts(&h, a, SHA1_LEN, label, label_len, block);
		memcpy(out, block, n);
		out += n;
		out_len -= n;
		if (out_len > 0)
			hmac_parts(&h, a, SHA1_LEN, "", 0, a);
	}
	hmac_free(&h);
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

/* The HMACs of P_SHA1: A(1) over the label; then for each block its own, and A(i) for the next. */
static void count_derivation(struct crypto *crypto, const char *label, size_t out_len)
{
	const uint32_t label_len = (uint32_t)strlen(label);

	crypto_count(crypto, CRYPTO_HMAC_KEY, HMAC_KEY_BITS);
	crypto_count(crypto, CRYPTO_HMAC_SHA1, label_len);
	for (size_t done = 0; done < out_len; done += SHA1_LEN) {
		crypto_count(crypto, CRYPTO_HMAC_SHA1, SHA1_LEN + label_len);
		if (done + SHA1_LEN < out_len)
			crypto_count(crypto, CRYPTO_HMAC_SHA1, SHA1_LEN);
	}
}

void crypto_derive_keys(struct crypto *crypto, const uint8_t subkey[24], const char *label, struct derived_keys *out)
{
	derive_keys(subkey, CIPHER_KEY_LEN, label, out);
	count_derivation(crypto, label, 2 * DIRECTION_LEN);
}

void crypto_derive_cipher_key(struct crypto *crypto, const uint8_t subkey[24], const char *label, uint8_t out[24])
{
	uint8_t material[AUTH_KEY_LEN + CIPHER_KEY_LEN];

	p_sha1(subkey, CIPHER_KEY_LEN, label, material, sizeof material);
	memcpy(out, material + AUTH_KEY_LEN, CIPHER_KEY_LEN);
	des_parity(out, CIPHER_KEY_LEN);
	OPENSSL_cleanse(material, sizeof material);
	count_derivation(crypto, label, sizeof material);
}

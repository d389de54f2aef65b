/*
 * P_SHA1 (RFC 2246 section 5) and the cut of its output into association keys; see derive.h.
 *
 * p_sha1() and derive_keys() are pure and take no cryptographic context. No randomness is drawn.
 */
#include <assert.h>
#include <string.h>
#include <openssl/crypto.h>
#include "crypto/derive.h"
#include "crypto/internal.h"
#include "crypto/symmetric.h"

#define AUTH_KEY_LEN 20
#define CIPHER_KEY_LEN 24
#define DIRECTION_LEN (AUTH_KEY_LEN + CIPHER_KEY_LEN + 4)

void p_sha1(const uint8_t *secret, size_t secret_len, const char *label, uint8_t *out, size_t out_len)
{
	const size_t label_len = strlen(label);
	uint8_t a[SHA1_LEN], block[SHA1_LEN];
	struct hmac_sha1_key key;

	assert(secret_len > 0);
	hmac_sha1_key_init(&key, secret, secret_len);
	hmac_sha1(&key, label, label_len, NULL, 0, a);
	while (out_len > 0) {
		size_t n = out_len < SHA1_LEN ? out_len : SHA1_LEN;

		hmac_sha1(&key, a, SHA1_LEN, label, label_len, block);
		memcpy(out, block, n);
		out += n;
		out_len -= n;
		if (out_len > 0)
			hmac_sha1(&key, a, SHA1_LEN, NULL, 0, a);
	}
	OPENSSL_cleanse(&key, sizeof key);
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

/*
 * The encryption profile des3-cbc-sha1-kd and the checksum hmac-sha1-des3-kd (RFC 3961 sections 5 and 6.3).
 *
 * A message is confounder | plain | zeros, encrypted with 3DES-CBC under Ke (initial vector 0) and followed by
 * HMAC-SHA-1 of the same bytes under Ki; Ke, Ki and Kc come from the base key and the usage by DK. Opening
 * compares MACs in constant time and tells no reason.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "crypto/derive.h"
#include "crypto/kerberos_internal.h"
#include "crypto/symmetric.h"

#define BLOCK_LEN 8
#define MAC_LEN 20
#define DERIVATION_LEN 24 /* bytes that DK enciphers */

static const uint8_t zero_iv[BLOCK_LEN];

/* Last octet of the constants of RFC 3961 section 5.3. */
enum { CONSTANT_CHECKSUM = 0x99, CONSTANT_ENCRYPTION = 0xaa, CONSTANT_INTEGRITY = 0x55 };

static void broken(const char *what)
{
	fprintf(stderr, "kerberos: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

/* n-fold to one block (RFC 3961 section 5.1): the repetitions' sum, each turned 13 bits more, with end-around carry. */
static void n_fold(const uint8_t *in, unsigned len, uint8_t out[BLOCK_LEN])
{
	const unsigned bits = 8 * len;
	unsigned whole = BLOCK_LEN;
	unsigned sum = 0;
	while (whole % len != 0)
		whole += BLOCK_LEN;
	memset(out, 0, BLOCK_LEN);
	for (unsigned i = whole; i-- > 0;) {
		/* The first bit of this byte in the repetition that it belongs to. */
		unsigned first = (bits - 1 + (bits + 13) * (i / len) + 8 * (len - i % len)) % bits;
		unsigned pair = (unsigned)in[(len - 1 - first / 8) % len] << 8 | in[(len - first / 8) % len];
		sum += (pair >> (first % 8 + 1) & 0xff) + out[i % BLOCK_LEN];
		out[i % BLOCK_LEN] = (uint8_t)sum;
		sum >>= 8;
	}
	for (unsigned i = BLOCK_LEN; sum && i-- > 0;) {
		sum += out[i];
		out[i] = (uint8_t)sum;
		sum >>= 8;
	}
}

/* 3DES-CBC, initial vector 0, whole blocks, in place. */
static void des3(struct crypto *crypto, const uint8_t *key, bool encrypt, uint8_t *bytes, size_t len)
{
	struct des3_key ready;

	des3_key_init(&ready, key);
	des3_cbc(&ready, encrypt, zero_iv, bytes, bytes, len);
	crypto_wipe(&ready, sizeof(ready));
	crypto_count(crypto, CRYPTO_DES3_KEY, DES3_KEY_BITS);
	crypto_count(crypto, CRYPTO_DES3, (uint32_t)len);
}

/*
 * DK (RFC 3961 section 5.1), by hand: OpenSSL's KRB5KDF looks its cipher up by name each time, which takes longer than
 * the derivation. As there, a result whose parts are equal, so that it enciphers once, is none.
 */
bool krb_derive(struct crypto *crypto, const uint8_t key[KRB_KEY_LEN], const uint8_t *constant, size_t len,
                uint8_t out[KRB_KEY_LEN])
{
	uint8_t bytes[DERIVATION_LEN];
	if (len == 0 || len > BLOCK_LEN)
		return false;
	/* Each part is the one before enciphered: CBC over zeros. */
	n_fold(constant, (unsigned)len, bytes);
	memset(bytes + BLOCK_LEN, 0, sizeof(bytes) - BLOCK_LEN);
	des3(crypto, key, true, bytes, sizeof(bytes));
	krb_random_to_key(bytes, out);
	crypto_wipe(bytes, sizeof(bytes));
	return !crypto_equal(out, out + 8, 8) && !crypto_equal(out + 8, out + 16, 8);
}

static bool derive_usage(struct crypto *crypto, const uint8_t *key, uint32_t usage, uint8_t last, uint8_t *out)
{
	const uint8_t constant[5] = { (uint8_t)(usage >> 24), (uint8_t)(usage >> 16), (uint8_t)(usage >> 8),
		                      (uint8_t)usage, last };
	return krb_derive(crypto, key, constant, sizeof(constant), out);
}

/* DES keys that must not be used (FIPS 74): four weak, twelve semi-weak. */
static const uint8_t weak_keys[][8] = {
	{ 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01 }, { 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe },
	{ 0x1f, 0x1f, 0x1f, 0x1f, 0x0e, 0x0e, 0x0e, 0x0e }, { 0xe0, 0xe0, 0xe0, 0xe0, 0xf1, 0xf1, 0xf1, 0xf1 },
	{ 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe }, { 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01 },
	{ 0x1f, 0xe0, 0x1f, 0xe0, 0x0e, 0xf1, 0x0e, 0xf1 }, { 0xe0, 0x1f, 0xe0, 0x1f, 0xf1, 0x0e, 0xf1, 0x0e },
	{ 0x01, 0xe0, 0x01, 0xe0, 0x01, 0xf1, 0x01, 0xf1 }, { 0xe0, 0x01, 0xe0, 0x01, 0xf1, 0x01, 0xf1, 0x01 },
	{ 0x1f, 0xfe, 0x1f, 0xfe, 0x0e, 0xfe, 0x0e, 0xfe }, { 0xfe, 0x1f, 0xfe, 0x1f, 0xfe, 0x0e, 0xfe, 0x0e },
	{ 0x01, 0x1f, 0x01, 0x1f, 0x01, 0x0e, 0x01, 0x0e }, { 0x1f, 0x01, 0x1f, 0x01, 0x0e, 0x01, 0x0e, 0x01 },
	{ 0xe0, 0xfe, 0xe0, 0xfe, 0xf1, 0xfe, 0xf1, 0xfe }, { 0xfe, 0xe0, 0xfe, 0xe0, 0xfe, 0xf1, 0xfe, 0xf1 },
};

void krb_random_to_key(const uint8_t seed[KRB_SEED_LEN], uint8_t key[KRB_KEY_LEN])
{
	for (int part = 0; part < 3; part++) {
		const uint8_t *in = seed + 7 * part;
		uint8_t *out = key + 8 * part;
		uint8_t eighth = 0; /* the low bits that parity displaces */
		for (int i = 0; i < 7; i++)
			eighth |= (uint8_t)((in[i] & 1) << (i + 1));
		memcpy(out, in, 7);
		out[7] = eighth;
		des_parity(out, 8);
		for (size_t i = 0; i < sizeof(weak_keys) / sizeof(weak_keys[0]); i++) {
			if (memcmp(out, weak_keys[i], 8) == 0) {
				out[7] ^= 0xf0;
				break;
			}
		}
	}
}

void krb_fresh_key(struct secure_module *sm, uint8_t key[KRB_KEY_LEN])
{
	const struct random_source *random = sm_random(sm);
	uint8_t seed[KRB_SEED_LEN];
	random->fill(random->ctx, seed, sizeof(seed));
	krb_random_to_key(seed, key);
	crypto_wipe(seed, sizeof(seed));
}

uint32_t krb_fresh_nonce(struct secure_module *sm)
{
	const struct random_source *random = sm_random(sm);
	uint8_t b[4];
	random->fill(random->ctx, b, sizeof(b));
	return ((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]) & 0x7fffffff;
}

static void hmac(struct crypto *crypto, const uint8_t *key, const uint8_t *bytes, size_t len, uint8_t out[MAC_LEN])
{
	crypto_hmac_sha1(key, KRB_KEY_LEN, bytes, len, out);
	crypto_count(crypto, CRYPTO_HMAC_KEY, HMAC_KEY_BITS);
	crypto_count(crypto, CRYPTO_HMAC_SHA1, (uint32_t)len);
}

static size_t padded(size_t plain_len)
{
	return (BLOCK_LEN + plain_len + BLOCK_LEN - 1) / BLOCK_LEN * BLOCK_LEN;
}

size_t krb_sealed_len(size_t plain_len)
{
	return padded(plain_len) + MAC_LEN;
}

bool krb_seal(struct crypto *crypto, const struct random_source *random, const uint8_t key[24], uint32_t usage,
              const uint8_t *plain, size_t len, uint8_t *out)
{
	uint8_t ke[KRB_KEY_LEN], ki[KRB_KEY_LEN];
	size_t body_len = padded(len);
	bool ok = derive_usage(crypto, key, usage, CONSTANT_ENCRYPTION, ke) &&
	          derive_usage(crypto, key, usage, CONSTANT_INTEGRITY, ki);
	if (ok) {
		memmove(out + BLOCK_LEN, plain, len);
		random->fill(random->ctx, out, BLOCK_LEN);
		memset(out + BLOCK_LEN + len, 0, body_len - BLOCK_LEN - len);
		hmac(crypto, ki, out, body_len, out + body_len);
		des3(crypto, ke, true, out, body_len);
	}
	crypto_wipe(ke, sizeof(ke));
	crypto_wipe(ki, sizeof(ki));
	return ok;
}

static bool open_any(struct crypto *crypto, const uint8_t *key, uint32_t usage, const uint8_t *sealed,
                     size_t sealed_len, bool check, uint8_t *out, size_t *len)
{
	uint8_t ke[KRB_KEY_LEN], ki[KRB_KEY_LEN], mac[MAC_LEN], *body = NULL;
	if (sealed_len < BLOCK_LEN + MAC_LEN || (sealed_len - MAC_LEN) % BLOCK_LEN || sealed_len > KRB_MESSAGE_MAX)
		return false;
	size_t body_len = sealed_len - MAC_LEN;
	bool ok = derive_usage(crypto, key, usage, CONSTANT_ENCRYPTION, ke) &&
	          derive_usage(crypto, key, usage, CONSTANT_INTEGRITY, ki);
	if (!ok)
		goto done;
	body = malloc(body_len);
	if (!body)
		broken("allocation");
	memcpy(body, sealed, body_len);
	des3(crypto, ke, false, body, body_len);
	hmac(crypto, ki, body, body_len, mac);
	ok = !check || crypto_equal(mac, sealed + body_len, MAC_LEN);
	if (ok) {
		memcpy(out, body + BLOCK_LEN, body_len - BLOCK_LEN);
		*len = body_len - BLOCK_LEN;
	}
	crypto_wipe(body, body_len);
	free(body);
	crypto_wipe(mac, sizeof(mac));
done:
	crypto_wipe(ke, sizeof(ke));
	crypto_wipe(ki, sizeof(ki));
	return ok;
}

bool krb_open(struct crypto *crypto, const uint8_t key[24], uint32_t usage, const uint8_t *sealed, size_t sealed_len,
              uint8_t *out, size_t *len)
{
	return open_any(crypto, key, usage, sealed, sealed_len, true, out, len);
}

bool krb_open_unchecked(struct crypto *crypto, const uint8_t key[KRB_KEY_LEN], uint32_t usage, const uint8_t *sealed,
                        size_t sealed_len, uint8_t *out, size_t *len)
{
	return open_any(crypto, key, usage, sealed, sealed_len, false, out, len);
}

bool krb_checksum(struct crypto *crypto, const uint8_t key[24], uint32_t usage, const uint8_t *bytes, size_t len,
                  uint8_t out[20])
{
	uint8_t kc[KRB_KEY_LEN];
	bool ok = derive_usage(crypto, key, usage, CONSTANT_CHECKSUM, kc);
	if (ok)
		hmac(crypto, kc, bytes, len, out);
	crypto_wipe(kc, sizeof(kc));
	return ok;
}

void krb_der_wipe(struct der *der)
{
	if (der->bytes)
		crypto_wipe(der->bytes, der->len);
	der_free(der);
}

bool krb_der_copy(struct der *out, const uint8_t *bytes, size_t len)
{
	assert(bytes || len == 0);
	out->bytes = malloc(len ? len : 1);
	if (!out->bytes)
		broken("allocation");
	if (len)
		memcpy(out->bytes, bytes, len);
	out->len = len;
	return true;
}

bool krb_seal_value(struct crypto *crypto, const struct random_source *random, const uint8_t *key, enum krb_usage usage,
                    uint32_t kvno, const void *value, const ASN1_ITEM *item, KRB_SEALED **out)
{
	struct der plain = { 0 };
	if (!krb_encode(value, item, &plain))
		return false;
	size_t len = krb_sealed_len(plain.len);
	uint8_t *sealed = malloc(len);
	if (!sealed)
		broken("allocation");
	bool ok = krb_seal(crypto, random, key, usage, plain.bytes, plain.len, sealed);
	if (ok) {
		if (!*out)
			*out = KRB_NEW(KRB_SEALED);
		(*out)->etype = KRB_ETYPE_DES3;
		if (kvno)
			krb_put_uint(&(*out)->kvno, kvno);
		krb_put_octets(&(*out)->cipher, sealed, len);
	}
	free(sealed);
	krb_der_wipe(&plain);
	return ok;
}

bool krb_open_sealed(struct crypto *crypto, const uint8_t *key, enum krb_usage usage, const KRB_SEALED *sealed,
                     struct der *plain)
{
	size_t sealed_len = (size_t)ASN1_STRING_length(sealed->cipher), len = 0;
	if (sealed->etype != KRB_ETYPE_DES3 || sealed_len == 0)
		return false;
	uint8_t *bytes = malloc(sealed_len);
	if (!bytes)
		broken("allocation");
	if (!krb_open(crypto, key, usage, ASN1_STRING_get0_data(sealed->cipher), sealed_len, bytes, &len)) {
		free(bytes);
		return false;
	}
	plain->bytes = bytes;
	plain->len = len;
	return true;
}

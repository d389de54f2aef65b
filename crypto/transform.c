/*
 * Keyed contexts of one direction: 3DES-CBC and HMAC-SHA-1-96. See transform.h for why they look as they do.
 *
 * Sources: RFC 2104 section 2 (HMAC), RFC 2404, RFC 2451.
 */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/transform.h"

#define SHA1_LEN 20
#define SHA1_BLOCK_LEN 64
#define IPAD 0x36
#define OPAD 0x5c
#define HOW_MAX 96

static _Noreturn void machine_defect(const char *what)
{
	fprintf(stderr, "crypto: %s failed\n", what);
	abort();
}

static void tell(const struct transform *t, enum key_life life, const char *how, const uint8_t *parent_id)
{
	struct crypto *crypto = sm_crypto(t->sm);

	key_tell(crypto, life, sm_owner(t->sm), t->names->cipher_role, "des3-cbc", how, t->context, t->cipher_key,
	         sizeof t->cipher_key, parent_id);
	if (t->has_mac)
		key_tell(crypto, life, sm_owner(t->sm), t->names->auth_role, "hmac-sha1", how, t->context, t->auth_key,
		         sizeof t->auth_key, parent_id);
}

bool transform_derive(struct transform_keys *keys, struct secure_module *sm, key_handle subkey, const char *label)
{
	const struct sm_key *parent = sm_lookup(sm, subkey, SM_DES3);

	if (!parent)
		return false;
	crypto_derive_keys(sm_crypto(sm), parent->bytes, label, &keys->derived);
	memcpy(keys->parent_id, parent->id, KEY_ID_LEN);
	keys->label = label;
	return true;
}

void transform_keys_end(struct transform_keys *keys)
{
	crypto_wipe(keys, sizeof *keys);
}

void transform_init(struct transform *t, struct secure_module *sm, const struct transform_keys *keys,
                    enum esp_direction direction, const struct transform_names *names, const char *context, bool mac,
                    uint32_t *start_sn)
{
	const struct derived_direction *half = direction == ESP_UP ? &keys->derived.up : &keys->derived.down;
	char how[HOW_MAX];

	*t = (struct transform){ .sm = sm, .names = names, .has_mac = mac, .context = strdup(context) };
	if (!t->context)
		machine_defect("strdup");
	memcpy(t->cipher_key, half->cipher_key, sizeof t->cipher_key);
	if (mac)
		memcpy(t->auth_key, half->auth_key, sizeof t->auth_key);
	*start_sn = half->start_sn;
	snprintf(how, sizeof how, "derived:%s", keys->label);
	tell(t, KEY_LIFE_BORN, how, keys->parent_id);
}

void transform_end(struct transform *t)
{
	tell(t, KEY_LIFE_DEAD, "destroyed", NULL);
	transform_sleep(t);
	free(t->context);
	crypto_wipe(t, sizeof *t);
}

void transform_sleep(struct transform *t)
{
	EVP_CIPHER_CTX_free(t->cipher);
	EVP_MD_CTX_free(t->inner);
	EVP_MD_CTX_free(t->outer);
	t->cipher = NULL;
	t->inner = t->outer = NULL;
}

static void wake_cipher(struct transform *t)
{
	const EVP_CIPHER *des3 = sm_crypto(t->sm)->des3_cbc;

	t->cipher = EVP_CIPHER_CTX_new();
	if (!t->cipher || !EVP_CipherInit_ex2(t->cipher, des3, t->cipher_key, NULL, 1, NULL) ||
	    !EVP_CIPHER_CTX_set_padding(t->cipher, 0))
		machine_defect("3DES setup");
	crypto_count(sm_crypto(t->sm), CRYPTO_DES3_KEY, DES3_KEY_BITS);
}

/* The hash state after the key padded with one of RFC 2104's two constants. */
static EVP_MD_CTX *padded_state(const struct transform *t, uint8_t pad)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t block[SHA1_BLOCK_LEN];

	memset(block, pad, sizeof block);
	for (size_t i = 0; i < sizeof t->auth_key; i++)
		block[i] ^= t->auth_key[i];
	if (!ctx || !EVP_DigestInit_ex2(ctx, sm_crypto(t->sm)->sha1, NULL) ||
	    !EVP_DigestUpdate(ctx, block, sizeof block))
		machine_defect("HMAC setup");
	crypto_wipe(block, sizeof block);
	return ctx;
}

/* The EVP contexts take the direction per message: 3DES has the same key schedule for both. */
void transform_cbc(struct transform *t, bool encrypt, const uint8_t iv[TRANSFORM_BLOCK_LEN], uint8_t *bytes, size_t len)
{
	int done = 0;

	assert(len % TRANSFORM_BLOCK_LEN == 0 && len <= INT_MAX);
	if (len == 0)
		return;
	if (!t->cipher)
		wake_cipher(t);
	if (!EVP_CipherInit_ex2(t->cipher, NULL, NULL, iv, encrypt, NULL) ||
	    !EVP_CipherUpdate(t->cipher, bytes, &done, bytes, (int)len) || (size_t)done != len)
		machine_defect("3DES");
}

void transform_mac(struct transform *t, const uint8_t *bytes, size_t len, uint8_t out[TRANSFORM_MAC_LEN])
{
	struct crypto *crypto = sm_crypto(t->sm);
	EVP_MD_CTX *work = crypto->md_scratch;
	uint8_t hash[SHA1_LEN];

	assert(t->has_mac);
	if (!t->inner) {
		t->inner = padded_state(t, IPAD);
		t->outer = padded_state(t, OPAD);
		crypto_count(crypto, CRYPTO_HMAC_KEY, HMAC_KEY_BITS);
	}
	if (!EVP_MD_CTX_copy_ex(work, t->inner) || !EVP_DigestUpdate(work, bytes, len) ||
	    !EVP_DigestFinal_ex(work, hash, NULL) || !EVP_MD_CTX_copy_ex(work, t->outer) ||
	    !EVP_DigestUpdate(work, hash, sizeof hash) || !EVP_DigestFinal_ex(work, hash, NULL))
		machine_defect("HMAC-SHA-1");
	memcpy(out, hash, TRANSFORM_MAC_LEN);
	crypto_count(crypto, CRYPTO_HMAC_SHA1, (uint32_t)len);
}

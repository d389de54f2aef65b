/*
 * Keys of one direction in use: 3DES-CBC and HMAC-SHA-1-96. See transform.h for why they look as they do.
 *
 * Sources: RFC 2104 section 2 (HMAC), RFC 2404, RFC 2451.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/transform.h"

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
	if (!t->ready)
		return;
	crypto_wipe(t->ready, sizeof *t->ready);
	free(t->ready);
	t->ready = NULL;
}

static struct transform_ready *ready_of(struct transform *t)
{
	struct transform_ready *ready = t->ready;

	if (ready)
		return ready;
	ready = malloc(sizeof *ready);
	if (!ready)
		machine_defect("memory");
	ready->crypto = sm_crypto(t->sm);
	des3_key_init(&ready->cipher, t->cipher_key);
	crypto_count(ready->crypto, CRYPTO_DES3_KEY, DES3_KEY_BITS);
	if (t->has_mac) {
		hmac_sha1_key_init(&ready->auth, t->auth_key, sizeof t->auth_key);
		crypto_count(ready->crypto, CRYPTO_HMAC_KEY, HMAC_KEY_BITS);
	}
	t->ready = ready;
	return ready;
}

/* 3DES has the same key schedule for both directions. */
void transform_cbc(struct transform *t, bool encrypt, const uint8_t iv[TRANSFORM_BLOCK_LEN], uint8_t *bytes, size_t len)
{
	if (len)
		des3_cbc(&ready_of(t)->cipher, encrypt, iv, bytes, bytes, len);
}

void transform_mac(struct transform *t, const uint8_t *bytes, size_t len, uint8_t out[TRANSFORM_MAC_LEN])
{
	uint8_t hash[SHA1_LEN];

	assert(t->has_mac);
	hmac_sha1(&ready_of(t)->auth, bytes, len, NULL, 0, hash);
	memcpy(out, hash, TRANSFORM_MAC_LEN);
	crypto_count(t->ready->crypto, CRYPTO_HMAC_SHA1, (uint32_t)len);
}

/*
 * The secure module: a table of keys by handle, sorted because handles only grow, and what may be done with them.
 *
 * Keys are allocated one by one, so that pointers from sm_lookup() hold while others come and go. Every key that enters
 * is told to the context's watcher as born or held, and every key that leaves as dead, including those of sm_free().
 * Key bytes are wiped before their memory is freed.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/x509.h>
#include "crypto/derive.h"
#include "crypto/internal.h"
#include "crypto/key_pool.h"
#include "crypto/pkcs11_token.h"

#define DES3_LEN 24
#define HMAC_KEY_LEN 20
#define HOW_MAX 96

struct secure_module {
	struct crypto *crypto;
	struct random_source random;
	struct root_cert *root;
	struct sm_key **keys; /* by ascending handle */
	uint32_t count, capacity;
	key_handle last;      /* the newest handle given out */
	bool use_token;       /* for RSA keys to come */
	char owner[];
};

static void *checked(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

struct secure_module *sm_new(struct crypto *crypto, const char *owner, const struct random_source *random)
{
	size_t owner_size = strlen(owner) + 1;
	struct secure_module *sm = checked(calloc(1, sizeof *sm + owner_size));

	sm->crypto = crypto;
	sm->random = *random;
	memcpy(sm->owner, owner, owner_size);
	return sm;
}

struct crypto *sm_crypto(const struct secure_module *sm)
{
	return sm->crypto;
}

const char *sm_owner(const struct secure_module *sm)
{
	return sm->owner;
}

const struct random_source *sm_random(const struct secure_module *sm)
{
	return &sm->random;
}

/* A symmetric key has no room for what only RSA keys have. */
static size_t key_size(enum sm_kind kind)
{
	return kind == SM_RSA ? sizeof(struct sm_key) : offsetof(struct sm_key, bytes) + DES3_LEN;
}

static size_t secret_len(const struct sm_key *key)
{
	return key->kind == SM_DES3 ? DES3_LEN : key->kind == SM_HMAC ? HMAC_KEY_LEN : 0;
}

/* Index of the handle in the table, or count. */
static uint32_t find(const struct secure_module *sm, key_handle handle)
{
	uint32_t low = 0, high = sm->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (sm->keys[middle]->handle < handle)
			low = middle + 1;
		else
			high = middle;
	}
	return low < sm->count && sm->keys[low]->handle == handle ? low : sm->count;
}

static struct sm_key *find_key(const struct secure_module *sm, key_handle handle)
{
	uint32_t index = find(sm, handle);

	return index < sm->count ? sm->keys[index] : NULL;
}

struct sm_key *sm_lookup(const struct secure_module *sm, key_handle handle, enum sm_kind kind)
{
	struct sm_key *key = find_key(sm, handle);

	return key && key->kind == kind ? key : NULL;
}

static void resize(struct secure_module *sm, uint32_t capacity)
{
	sm->keys = checked(realloc(sm->keys, capacity * sizeof *sm->keys));
	sm->capacity = capacity;
}

static struct sm_key *append(struct secure_module *sm, enum sm_kind kind, const char *role)
{
	struct sm_key *key = checked(calloc(1, key_size(kind)));

	assert(role && sm->last < UINT32_MAX);
	if (sm->count == sm->capacity)
		resize(sm, sm->capacity ? sm->capacity * 2 : 4);
	key->handle = ++sm->last;
	key->kind = kind;
	key->role = role;
	sm->keys[sm->count++] = key;
	return key;
}

/*
 * The RSA key object of a key, made from the pool or of its token's key when it sleeps. NULL: the token does not
 * answer.
 */
static EVP_PKEY *awake(struct crypto *crypto, struct sm_key *key)
{
	if (!key->pkey && key->in_token) {
		char error[PKCS11_ERROR_LEN];

		key->pkey = pkcs11_token_pkey(crypto->token, key->token_key, error);
	} else if (!key->pkey) {
		size_t len;
		const uint8_t *pkcs8 = key_pool_get(key->pool, key->pool_name, key->bits, &len);

		key->pkey = checked(crypto_private_key(crypto, pkcs8, len));
	}
	return key->pkey;
}

/* A key that sleeps is not woken for its public half. */
static void find_rsa_id(struct crypto *crypto, struct sm_key *key)
{
	uint8_t *spki = NULL;
	size_t pkcs8_len;
	int len;

	if (key->id_known)
		return;
	if (key->in_token) {
		len = i2d_PUBKEY(awake(crypto, key), &spki);
	} else {
		const uint8_t *pkcs8 = key_pool_get(key->pool, key->pool_name, key->bits, &pkcs8_len);

		len = crypto_spki(pkcs8, pkcs8_len, &spki);
	}
	assert(len > 0);
	key_id_of(crypto, spki, (size_t)len, key->id);
	OPENSSL_free(spki);
	key->id_known = true;
}

static const char *algorithm_name(const struct sm_key *key)
{
	switch (key->kind) {
	case SM_DES3:
		return "des3-cbc";
	case SM_HMAC:
		return "hmac-sha1";
	default:
		return key->bits == 1024 ? "rsa-1024" : key->bits == 2048 ? "rsa-2048" : "rsa-4096";
	}
}

static void tell(struct secure_module *sm, struct sm_key *key, enum key_life life, const char *how, const char *context,
                 const uint8_t *parent_id)
{
	struct crypto *crypto = sm->crypto;
	struct key_news news = {
		.life = life, .owner = sm->owner, .role = key->role, .algorithm = algorithm_name(key), .how = how,
		.context = context ? context : "", .has_parent = parent_id != NULL,
		.secret = key->bytes, .secret_len = secret_len(key),
	};

	if (!crypto->watch)
		return;
	if (key->kind == SM_RSA) {
		find_rsa_id(crypto, key);
		news.secret = key_pool_get(key->pool, key->pool_name, key->bits, &news.secret_len);
	}
	memcpy(news.id, key->id, KEY_ID_LEN);
	if (parent_id)
		memcpy(news.parent, parent_id, KEY_ID_LEN);
	crypto->watch(crypto->watch_ctx, &news);
}

key_handle sm_add(struct secure_module *sm, enum sm_kind kind, const char *role, const uint8_t *bytes, size_t len,
                  const char *how, const char *context, const struct sm_key *parent)
{
	bool held = strcmp(how, "unwrapped") == 0 || strcmp(how, "loaded") == 0;
	struct sm_key *key = append(sm, kind, role);

	assert((kind == SM_DES3 || kind == SM_HMAC) && len == secret_len(key));
	memcpy(key->bytes, bytes, len);
	key_id_of(sm->crypto, bytes, len, key->id);
	key->id_known = true;
	tell(sm, key, held ? KEY_LIFE_HELD : KEY_LIFE_BORN, how, context, parent ? parent->id : NULL);
	return key->handle;
}

bool sm_use_token(struct secure_module *sm, char error[SM_ERROR_LEN])
{
	_Static_assert(SM_ERROR_LEN == PKCS11_ERROR_LEN, "errors of tokens are handed on");
	if (!sm->crypto->token)
		sm->crypto->token = pkcs11_token_from_environment(error);
	sm->use_token = sm->crypto->token != NULL;
	return sm->use_token;
}

/*
 * Puts the key into the token, or finds it there. Its id is found at once, while a token that fails can still be told.
 */
static bool move_to_token(struct crypto *crypto, struct sm_key *key)
{
	char error[PKCS11_ERROR_LEN];
	size_t len;
	const uint8_t *pkcs8 = key_pool_get(key->pool, key->pool_name, key->bits, &len);

	key->token_key = pkcs11_token_find(crypto->token, pkcs8, len);
	if (!key->token_key) {
		key->token_key = pkcs11_token_import(crypto->token, key->pool_name, pkcs8, len, error);
		key->imported = key->token_key != 0;
	}
	key->in_token = key->token_key != 0;
	if (!key->in_token || !awake(crypto, key))
		return false;
	find_rsa_id(crypto, key);
	return true;
}

/* Frees a key and what it has in a token. */
static void discard(struct secure_module *sm, struct sm_key *key)
{
	if (key->kind == SM_RSA) {
		EVP_PKEY_free(key->pkey);
		if (key->imported)
			pkcs11_token_destroy(sm->crypto->token, key->token_key);
		if (key->pool_name != sm->owner)
			free((char *)key->pool_name);
	}
	crypto_wipe(key, key_size(key->kind));
	free(key);
}

key_handle sm_install_rsa(struct secure_module *sm, struct key_pool *pool, const char *name, unsigned bits)
{
	struct sm_key *key = append(sm, SM_RSA, "rsa");

	key->pool = pool;
	key->pool_name = strcmp(name, sm->owner) == 0 ? sm->owner : checked(strdup(name));
	key->bits = (uint16_t)bits;
	if (sm->use_token && !move_to_token(sm->crypto, key)) {
		sm->count--;
		discard(sm, key);
		return 0;
	}
	tell(sm, key, KEY_LIFE_HELD, "loaded", name, NULL);
	return key->handle;
}

key_handle sm_install_des3(struct secure_module *sm, const char *role, const char *context, const uint8_t key[24])
{
	return sm_add(sm, SM_DES3, role, key, DES3_LEN, "loaded", context, NULL);
}

key_handle sm_generate_des3(struct secure_module *sm, const char *role)
{
	uint8_t bytes[DES3_LEN];
	key_handle handle;

	sm->random.fill(sm->random.ctx, bytes, sizeof bytes);
	des_parity(bytes, sizeof bytes);
	handle = sm_add(sm, SM_DES3, role, bytes, sizeof bytes, "generated", "", NULL);
	crypto_wipe(bytes, sizeof bytes);
	return handle;
}

bool sm_install_root(struct secure_module *sm, const uint8_t *der, size_t len)
{
	struct root_cert *root = root_cert_hold(sm->crypto, der, len);

	if (!root)
		return false;
	root_cert_release(sm->crypto, sm->root);
	sm->root = root;
	return true;
}

const uint8_t *sm_root(const struct secure_module *sm, size_t *len)
{
	*len = sm->root ? sm->root->len : 0;
	return sm->root ? sm->root->der : NULL;
}

EVP_PKEY *sm_rsa_pkey(struct secure_module *sm, key_handle handle)
{
	struct sm_key *key = sm_lookup(sm, handle, SM_RSA);

	return key ? awake(sm->crypto, key) : NULL;
}

static void bury(struct secure_module *sm, struct sm_key *key)
{
	tell(sm, key, KEY_LIFE_DEAD, "destroyed", "", NULL);
	discard(sm, key);
}

void sm_destroy_key(struct secure_module *sm, key_handle handle)
{
	uint32_t index;
	struct sm_key *key;

	if (handle == 0)
		return;
	index = find(sm, handle);
	assert(index < sm->count);
	key = sm->keys[index];
	sm->count--;
	memmove(sm->keys + index, sm->keys + index + 1, (sm->count - index) * sizeof *sm->keys);
	bury(sm, key);
}

void sm_free(struct secure_module *sm)
{
	if (!sm)
		return;
	for (uint32_t i = 0; i < sm->count; i++)
		bury(sm, sm->keys[i]);
	free(sm->keys);
	root_cert_release(sm->crypto, sm->root);
	free(sm);
}

void sm_key_id(const struct secure_module *sm, key_handle handle, uint8_t id[KEY_ID_LEN])
{
	struct sm_key *key = find_key(sm, handle);

	assert(key);
	if (!key->id_known) {
		/* The id of an RSA key needs its public key; a key that slept sleeps again afterwards. */
		bool slept = !key->pkey;

		find_rsa_id(sm->crypto, key);
		if (slept) {
			EVP_PKEY_free(key->pkey);
			key->pkey = NULL;
		}
	}
	memcpy(id, key->id, KEY_ID_LEN);
}

size_t sm_key_count(const struct secure_module *sm)
{
	return sm->count;
}

void sm_sleep(struct secure_module *sm)
{
	for (uint32_t i = 0; i < sm->count; i++)
		if (sm->keys[i]->kind == SM_RSA) {
			EVP_PKEY_free(sm->keys[i]->pkey);
			sm->keys[i]->pkey = NULL;
		}
	if (sm->count > 0 && sm->count < sm->capacity)
		resize(sm, sm->count);
}

bool sm_subkey_proof(struct secure_module *sm, key_handle subkey, uint32_t spi, uint8_t out[SUBKEY_PROOF_LEN])
{
	const struct sm_key *key = sm_lookup(sm, subkey, SM_DES3);
	uint8_t input[DES3_LEN + 4];

	if (!key)
		return false;
	memcpy(input, key->bytes, DES3_LEN);
	for (int i = 0; i < 4; i++)
		input[DES3_LEN + i] = (uint8_t)(spi >> (24 - 8 * i));
	crypto_sha1(sm->crypto, input, sizeof input, out);
	crypto_wipe(input, sizeof input);
	return true;
}

bool sm_wrap(struct secure_module *sm, key_handle wrapping, uint32_t usage, key_handle handle,
             uint8_t out[KEY_WRAPPED_LEN])
{
	const struct sm_key *outer = sm_lookup(sm, wrapping, SM_DES3);
	const struct sm_key *inner = sm_lookup(sm, handle, SM_DES3);

	assert(krb_sealed_len(DES3_LEN) == KEY_WRAPPED_LEN);
	return outer && inner && krb_seal(sm->crypto, &sm->random, outer->bytes, usage, inner->bytes, DES3_LEN, out);
}

key_handle sm_unwrap(struct secure_module *sm, key_handle wrapping, uint32_t usage, const char *role,
                     const uint8_t *wrapped, size_t len)
{
	const struct sm_key *outer = sm_lookup(sm, wrapping, SM_DES3);
	uint8_t plain[KEY_WRAPPED_LEN];
	size_t plain_len = 0;
	key_handle handle = 0;

	if (!outer || len != KEY_WRAPPED_LEN)
		return 0;
	if (krb_open(sm->crypto, outer->bytes, usage, wrapped, len, plain, &plain_len) && plain_len == DES3_LEN)
		handle = sm_add(sm, SM_DES3, role, plain, DES3_LEN, "unwrapped", "", outer);
	crypto_wipe(plain, sizeof plain);
	return handle;
}

key_handle sm_derive_des3(struct secure_module *sm, key_handle subkey, const char *label, const char *role)
{
	const struct sm_key *parent = sm_lookup(sm, subkey, SM_DES3);
	uint8_t bytes[DES3_LEN];
	char how[HOW_MAX];
	key_handle handle;

	if (!parent)
		return 0;
	crypto_derive_cipher_key(sm->crypto, parent->bytes, label, bytes);
	snprintf(how, sizeof how, "derived:%s", label);
	handle = sm_add(sm, SM_DES3, role, bytes, DES3_LEN, how, "", parent);
	crypto_wipe(bytes, sizeof bytes);
	return handle;
}

bool sm_hmac_sha1(struct secure_module *sm, key_handle handle, const uint8_t *bytes, size_t len,
                  uint8_t out[SM_HMAC_LEN])
{
	const struct sm_key *key = find_key(sm, handle);

	if (!key || key->kind == SM_RSA)
		return false;
	crypto_hmac_sha1(key->bytes, secret_len(key), bytes, len, out);
	crypto_count(sm->crypto, CRYPTO_HMAC_KEY, HMAC_KEY_BITS);
	crypto_count(sm->crypto, CRYPTO_HMAC_SHA1, (uint32_t)len);
	return true;
}

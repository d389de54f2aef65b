/*
 * The shared ground of a run; see world.h. Switch values, modules, server keys, and the census of keys that is fed by what the
 * modules tell.
 */
#include "models/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/authority.h"
#include "models/directory.h"
#include "models/slots.h"

#define SWITCHES_MAX 64
#define CENSUS_BUCKETS_FIRST 256
#define WATCH_BUCKETS 1024

struct census_key { /* a key somebody holds, or one from which a held key descends */
	uint8_t id[KEY_ID_LEN];
	uint32_t parent, next;   /* numbers in the census; 0: none */
	uint32_t holders;        /* modules that hold it */
	uint32_t below : 31, watched : 1; /* live keys derived from it; has a struct key_watch */
};

struct key_watch { /* of world_watch_key(), for few keys */
	struct key_watch *next;
	const struct census_key *key;
	void (*gone)(void *ctx);
	void *gone_ctx;
};

struct world {
	struct sim *sim;
	struct crypto *crypto;
	struct key_pool *pool;
	struct authorities *authorities;
	struct directory *directory;
	const char *values[SWITCHES_MAX]; /* owned; NULL: the default */
	char *defaults[SWITCHES_MAX];
	void (*listen)(void *ctx, const struct key_news *news);
	void *listen_ctx;
	struct slots census;              /* of struct census_key */
	uint32_t *buckets;                /* numbers of keys */
	size_t bucket_count, census_count;
	struct key_watch *watches[WATCH_BUCKETS];
	struct module_random { /* the streams of modules, which live as long as the world */
		struct module_random *next;
		struct node_random random;
	} *randoms;
};

static size_t bucket_of(const struct world *world, const uint8_t id[KEY_ID_LEN])
{
	uint64_t h;

	memcpy(&h, id, sizeof h); /* already a digest */
	return h & (world->bucket_count - 1);
}

static struct census_key *census_at(const struct world *world, uint32_t number)
{
	return slots_at(&world->census, number);
}

/* The number of a key; 0: not in the census. */
static uint32_t census_number(const struct world *world, const uint8_t id[KEY_ID_LEN])
{
	uint32_t number = world->buckets[bucket_of(world, id)];

	while (number && memcmp(census_at(world, number)->id, id, KEY_ID_LEN) != 0)
		number = census_at(world, number)->next;
	return number;
}

static struct census_key *census_find(const struct world *world, const uint8_t id[KEY_ID_LEN])
{
	uint32_t number = census_number(world, id);

	return number ? census_at(world, number) : NULL;
}

static void bucket_put(struct world *world, uint32_t number)
{
	struct census_key *k = census_at(world, number);
	uint32_t *bucket = &world->buckets[bucket_of(world, k->id)];

	k->next = *bucket;
	*bucket = number;
}

static void census_grow(struct world *world)
{
	uint32_t *old = world->buckets;
	size_t old_count = world->bucket_count;

	world->bucket_count *= 2;
	world->buckets = sim_alloc(world->bucket_count * sizeof *world->buckets);
	for (size_t i = 0; i < old_count; i++)
		while (old[i]) {
			uint32_t number = old[i];

			old[i] = census_at(world, number)->next;
			bucket_put(world, number);
		}
	free(old);
}

/* The number of a key, that is in the census then. */
static uint32_t census_enter(struct world *world, const uint8_t id[KEY_ID_LEN])
{
	uint32_t number = census_number(world, id);

	if (number)
		return number;
	if (world->census_count++ == world->bucket_count)
		census_grow(world);
	number = slots_take(&world->census);
	memcpy(census_at(world, number)->id, id, KEY_ID_LEN);
	bucket_put(world, number);
	return number;
}

/* Where the pointer to a key's watch stands; it points to NULL when there is none. */
static struct key_watch **watch_of(struct world *world, const struct census_key *k)
{
	struct key_watch **at = &world->watches[k->id[0] | (k->id[1] & 3) << 8];

	while (*at && (*at)->key != k)
		at = &(*at)->next;
	return at;
}

/* Takes a key's watch off the list; the caller frees it. NULL: none. */
static struct key_watch *watch_take(struct world *world, struct census_key *k)
{
	struct key_watch **at = watch_of(world, k), *watch = *at;

	if (watch)
		*at = watch->next;
	k->watched = false;
	return watch;
}

static bool census_needs(const struct world *world, uint32_t number)
{
	const struct census_key *k = census_at(world, number);

	return k->holders || k->below;
}

/* A key that nobody holds, and from which none descends, leaves; then its parent may have to. number 0: none. */
static void census_leave(struct world *world, uint32_t number)
{
	while (number && !census_needs(world, number)) {
		struct census_key *k = census_at(world, number);
		struct key_watch *watch = k->watched ? watch_take(world, k) : NULL;
		uint32_t parent = k->parent, *at = &world->buckets[bucket_of(world, k->id)];

		while (*at != number)
			at = &census_at(world, *at)->next;
		*at = k->next;
		slots_give_back(&world->census, number);
		world->census_count--;
		if (watch)
			watch->gone(watch->gone_ctx);
		free(watch);
		if (parent)
			census_at(world, parent)->below--;
		number = parent;
	}
}

static void census_news(struct world *world, const struct key_news *news)
{
	struct census_key *k;
	uint32_t number;

	if (news->life == KEY_LIFE_DEAD) {
		number = census_number(world, news->id);
		if (number && census_at(world, number)->holders) {
			census_at(world, number)->holders--;
			census_leave(world, number);
		}
		return;
	}
	k = census_at(world, census_enter(world, news->id));
	k->holders++;
	if (news->has_parent && !k->parent && memcmp(news->parent, news->id, KEY_ID_LEN) != 0) {
		k->parent = census_enter(world, news->parent); /* k stays where it is */
		census_at(world, k->parent)->below++;
	}
}

unsigned world_key_holders(const struct world *world, const uint8_t id[KEY_ID_LEN])
{
	const struct census_key *k = census_find(world, id);

	return k ? k->holders + k->below : 0;
}

void world_watch_key(struct world *world, const uint8_t id[KEY_ID_LEN], void (*gone)(void *ctx), void *ctx)
{
	struct census_key *k = census_find(world, id);
	struct key_watch **watch;

	assert(k && "somebody holds the key");
	watch = watch_of(world, k);
	if (!*watch)
		*watch = sim_alloc(sizeof **watch);
	**watch = (struct key_watch){ .next = (*watch)->next, .key = k, .gone = gone, .gone_ctx = ctx };
	k->watched = true;
}

void world_unwatch_key(struct world *world, const uint8_t id[KEY_ID_LEN])
{
	struct census_key *k = census_find(world, id);

	if (k && k->watched)
		free(watch_take(world, k));
}

static void watch_keys(void *ctx, const struct key_news *news)
{
	struct world *world = ctx;

	census_news(world, news);
	if (trace_wants(world->sim, TRACE_KEY)) {
		struct trace_key key = { .holder = news->owner, .role = news->role, .algorithm = news->algorithm,
			                 .how = news->how, .has_parent = news->has_parent };

		key.step = news->life == KEY_LIFE_DEAD ? KEY_DEAD : news->life == KEY_LIFE_BORN ? KEY_BORN : KEY_HELD;
		memcpy(key.fingerprint, news->id, KEY_FINGERPRINT_LEN);
		memcpy(key.parent, news->parent, KEY_FINGERPRINT_LEN);
		trace_key(world->sim, &key);
	}
	if (world->listen)
		world->listen(world->listen_ctx, news);
}

static char *first_value(const char *values)
{
	char *copy = sim_strdup(values);

	copy[strcspn(copy, "|")] = '\0';
	return copy;
}

struct world *world_new(struct sim *sim, uint64_t pool_seed, const char *cache_dir)
{
	struct world *world = sim_alloc(sizeof *world);

	world->sim = sim;
	world->directory = directory_new();
	world->census.item_size = sizeof(struct census_key);
	world->bucket_count = CENSUS_BUCKETS_FIRST;
	world->buckets = sim_alloc(world->bucket_count * sizeof *world->buckets);
	for (size_t i = 0; switch_table[i].name; i++) {
		assert(i < SWITCHES_MAX);
		world->defaults[i] = first_value(switch_table[i].values);
	}
	world->crypto = crypto_new();
	if (!world->crypto) {
		world_free(world);
		return NULL;
	}
	crypto_set_key_watcher(world->crypto, watch_keys, world);
	world->pool = key_pool_new(world->crypto, pool_seed, cache_dir);
	world->authorities = authorities_new(world->crypto, world->pool, sim->epoch_s);
	sim->crypto = world;
	return world;
}

void world_free(struct world *world)
{
	if (!world)
		return;
	authorities_free(world->authorities);
	directory_free(world->directory);
	if (world->pool)
		key_pool_free(world->pool);
	if (world->crypto)
		crypto_free(world->crypto);
	for (size_t i = 0; i < SWITCHES_MAX; i++) {
		free((char *)world->values[i]);
		free(world->defaults[i]);
	}
	slots_end(&world->census);
	free(world->buckets);
	for (size_t i = 0; i < WATCH_BUCKETS; i++)
		while (world->watches[i]) {
			struct key_watch *watch = world->watches[i];

			world->watches[i] = watch->next;
			free(watch);
		}
	while (world->randoms) {
		struct module_random *r = world->randoms;

		world->randoms = r->next;
		free(r);
	}
	free(world);
}

struct world *world_of(const struct sim *sim)
{
	return sim->crypto;
}

struct crypto *world_crypto(struct world *world)
{
	return world->crypto;
}

struct key_pool *world_key_pool(struct world *world)
{
	return world->pool;
}

struct directory *world_directory(struct world *world)
{
	return world->directory;
}

struct authorities *world_authorities(struct world *world)
{
	return world->authorities;
}

static bool value_known(const char *values, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = values; *p; p += strcspn(p, "|"), p += *p == '|')
		if (strcspn(p, "|") == len && strncmp(p, value, len) == 0)
			return true;
	return false;
}

bool world_switch_set(struct world *world, const char *name, const char *value, char error[MODEL_ERROR_LEN])
{
	size_t at = 0;

	for (size_t i = 0; switch_table[i].name; i++) {
		if (strcmp(switch_table[i].name, name) != 0)
			continue;
		if (!value_known(switch_table[i].values, value)) {
			snprintf(error, MODEL_ERROR_LEN, "switch %s has no value '%s'; it takes %s", name, value,
			         switch_table[i].values);
			return false;
		}
		free((char *)world->values[i]);
		world->values[i] = sim_strdup(value);
		return true;
	}
	at = (size_t)snprintf(error, MODEL_ERROR_LEN, "no switch '%s'; known are", name);
	for (size_t i = 0; switch_table[i].name && at < MODEL_ERROR_LEN; i++)
		at += (size_t)snprintf(error + at, MODEL_ERROR_LEN - at, " %s", switch_table[i].name);
	return false;
}

const char *world_switch(const struct world *world, const char *name)
{
	for (size_t i = 0; switch_table[i].name; i++)
		if (strcmp(switch_table[i].name, name) == 0)
			return world->values[i] ? world->values[i] : world->defaults[i];
	assert(!"a switch of the table");
	return "";
}

void world_set_key_listener(struct world *world, void (*listen)(void *ctx, const struct key_news *news), void *ctx)
{
	world->listen = listen;
	world->listen_ctx = ctx;
}

static void fill_from_rng(void *ctx, uint8_t *out, size_t len)
{
	struct node_random *random = ctx;

	rng_bytes(&random->rng, out, len);
}

struct random_source node_random_source(struct node_random *random, struct node *node, const char *purpose)
{
	rng_init(&random->rng, node->sim->seed, node->name, purpose);
	return (struct random_source){ fill_from_rng, random };
}

struct secure_module *world_module(struct world *world, struct node *node, const char *purpose)
{
	struct module_random *r = sim_alloc(sizeof *r);
	struct random_source source = node_random_source(&r->random, node, purpose);

	r->next = world->randoms;
	world->randoms = r;
	return sm_new(world->crypto, node->name, &source);
}

key_handle world_server_key(struct world *world, struct secure_module *sm, const char *principal)
{
	struct rng rng;
	uint8_t key[24];
	char context[KRB_NAME_MAX + KRB_REALM_MAX + 2];
	key_handle handle;

	rng_init(&rng, world->sim->seed, principal, "server-key");
	rng_bytes(&rng, key, sizeof key);
	des_parity(key, sizeof key);
	snprintf(context, sizeof context, "%s@%s", principal, WORLD_REALM);
	handle = sm_install_des3(sm, "krb.server", context, key);
	crypto_wipe(key, sizeof key);
	return handle;
}

struct krb_time world_now(const struct sim *sim)
{
	return (struct krb_time){ sim_unix_s(sim), sim_unix_us(sim) };
}

/*
 * What the elements of one run share outside the wire, as its builder set it up: the cryptographic context, the factory
 * where devices got their keys, the authorities, the switches, and the census of keys that proves which are gone.
 *
 * Nothing here carries a message: it is what is in a device when it is plugged in, and what an observer may know.
 */
#ifndef TOLLGATE_MODELS_WORLD_H
#define TOLLGATE_MODELS_WORLD_H

#include "crypto/kerberos.h"
#include "models/model.h"

#define WORLD_REALM "TOLLGATE.EXAMPLE"
#define WORLD_KDC_BITS 2048 /* patent [0054] */

/* A switch: a defence or option by its name in attacks.md. */
struct switch_def {
	const char *name;      /* "sc.replay_cache", "pkinit.bind" */
	const char *values;    /* "on|off", "aschecksum|nonce"; the first is the default */
	const char *attacks;   /* "T1"; "" for a plain option */
	const char *doc;
};
extern const struct switch_def switch_table[]; /* ended by a NULL name; sorted by name */

struct world;

/* cache_dir NULL: key pairs are not cached. pool_seed: seed of the key pairs. NULL when OpenSSL fails. Sets sim->crypto. */
struct world *world_new(struct sim *sim, uint64_t pool_seed, const char *cache_dir);
void world_free(struct world *world);
struct world *world_of(const struct sim *sim);
struct crypto *world_crypto(struct world *world);
struct key_pool *world_key_pool(struct world *world);
struct directory;
struct directory *world_directory(struct world *world); /* models/directory.h */

/* Sets a switch; false when the name or the value is unknown (error says which are known). */
bool world_switch_set(struct world *world, const char *name, const char *value, char error[MODEL_ERROR_LEN]);
/* The value in force; name must be in the table (asserted). */
const char *world_switch(const struct world *world, const char *name);
static inline bool world_on(const struct world *world, const char *name)
{
	const char *value = world_switch(world, name);

	return value[0] == 'o' && value[1] == 'n';
}

/* Told of every key as its module tells it, after the trace has heard of it: for a key log. */
void world_set_key_listener(struct world *world, void (*listen)(void *ctx, const struct key_news *news), void *ctx);
/* How many modules hold this key or one derived from it. */
unsigned world_key_holders(const struct world *world, const uint8_t id[KEY_ID_LEN]);
/*
 * Calls gone(ctx) once, as soon as nobody holds the key or one derived from it any more; one watch a key, held now (asserted). For
 * what a scenario may ask, never for a model's decision.
 */
void world_watch_key(struct world *world, const uint8_t id[KEY_ID_LEN], void (*gone)(void *ctx), void *ctx);
void world_unwatch_key(struct world *world, const uint8_t id[KEY_ID_LEN]);

/* A module of a node, its randomness the node's stream PURPOSE. Owned by the caller. */
struct secure_module *world_module(struct world *world, struct node *node, const char *purpose);
/* The server key of a principal without realm ("sc/sc1"), as operator and KDC configured it on both sides. */
key_handle world_server_key(struct world *world, struct secure_module *sm, const char *principal);

/* The authorities' certificates, made at first use. Borrowed. */
enum authority { AUTHORITY_MANUFACTURER_ROOT, AUTHORITY_MANUFACTURER, AUTHORITY_OPERATOR_ROOT, AUTHORITY_OPERATOR,
	         AUTHORITY_COUNT };
const struct der *world_authority(struct world *world, enum authority which);
/*
 * The factory's and the operator's counters: certificates for key NAME of the pool. Valid from the run's epoch minus a day
 * (a device: minus a year) for the time given; lifetime_s 0: the default of the kind. Owned by the caller; asserted to work.
 */
void world_device_certificate(struct world *world, const char *key_name, unsigned bits, const uint8_t mac[6], struct der *out);
void world_operator_certificate(struct world *world, const char *key_name, unsigned bits, const char *number,
                                int64_t lifetime_s, struct der *out);
void world_kdc_certificate(struct world *world, const char *key_name, struct der *out);
/* Puts the certificate for this key on the operator's CRL. False: the CRL is full. */
bool world_revoke_kdc(struct world *world, const char *key_name);
/* The operator's CRL of KDC certificates, empty at first. Borrowed, until a certificate is revoked. */
const struct der *world_crl(struct world *world);
/* Calls fn for every authority and issued certificate made so far, in order of making. */
void world_each_certificate(struct world *world, void (*fn)(void *ctx, const char *name, const uint8_t *der, size_t len),
                            void *ctx);

/* Random source over a named stream of a node; state is the caller's. */
struct node_random {
	struct rng rng;
};
struct random_source node_random_source(struct node_random *random, struct node *node, const char *purpose);

/* The clock of a node as Kerberos writes it. */
struct krb_time world_now(const struct sim *sim);

#endif

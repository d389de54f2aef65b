/*
 * What the elements of one run share outside the wire, as its builder set it up: the cryptographic context, the factory
 * where devices got their keys, the authorities, the switches, the numbering plan that an operator configures.
 *
 * Nothing here carries a message: it is what is in a device when it is plugged in.
 */
#ifndef TOLLGATE_MODELS_WORLD_H
#define TOLLGATE_MODELS_WORLD_H

#include "crypto/kerberos.h"
#include "models/model.h"

#define WORLD_REALM "TOLLGATE.EXAMPLE"

/* A switch: a defence or option by its name in attacks.md. */
struct switch_def {
	const char *name;      /* "sc.replay_cache", "pkinit.bind" */
	const char *values;    /* "on|off", "aschecksum|nonce"; the first is the default */
	const char *attacks;   /* "T1" */
	const char *doc;
};
extern const struct switch_def switch_table[]; /* ended by a NULL name; sorted by name */

struct world;

/* cache_dir NULL: key pairs are not cached. pool_seed: seed of the key pairs. NULL when OpenSSL fails. */
struct world *world_new(struct sim *sim, uint64_t pool_seed, const char *cache_dir);
void world_free(struct world *world);
struct world *world_of(const struct sim *sim); /* sim->crypto */
struct crypto *world_crypto(struct world *world);

/* Sets a switch; false when the name or the value is unknown (error says which are known). */
bool world_switch_set(struct world *world, const char *name, const char *value, char error[MODEL_ERROR_LEN]);
/* The value in force; name must be in the table (asserted). */
const char *world_switch(const struct world *world, const char *name);
static inline bool world_on(const struct world *world, const char *name)
{
	return world_switch(world, name)[0] == 'o' && world_switch(world, name)[1] == 'n';
}

#endif

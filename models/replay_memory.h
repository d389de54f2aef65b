/*
 * What an acceptor of AP exchanges remembers of the authenticators that it has accepted (RFC 4120 section 3.2.3): each
 * one until the skew check refuses it anyway, so that none counts twice; and of each address the newest, so that one
 * overtaken on the way undoes nothing.
 *
 * Bounded: REPLAY_CACHE_MAX authenticators; addresses as many as have shown one within the skew. One client cannot
 * fill it: when more than REPLAY_CROWDED are remembered, an address is heard AP_PER_SECOND_MAX times a second.
 */
#ifndef TOLLGATE_MODELS_REPLAY_MEMORY_H
#define TOLLGATE_MODELS_REPLAY_MEMORY_H

#include "crypto/kerberos.h"

#define CLOCK_SKEW_S 300 /* flows.md 1 */
#define REPLAY_CACHE_MAX 1000000
#define REPLAY_CROWDED (REPLAY_CACHE_MAX / 4)
#define AP_PER_SECOND_MAX 16
#define REPLAY_HASH_LEN 20

struct replay_memory;
struct replay_memory *replay_memory_new(void);
void replay_memory_free(struct replay_memory *memory); /* NULL is harmless */
/* A restart: everything is forgotten. */
void replay_memory_reset(struct replay_memory *memory);

bool replay_memory_holds(const struct replay_memory *memory, const uint8_t hash[REPLAY_HASH_LEN]);
/* Whether this address has had its share of a crowded memory in this second. */
bool replay_memory_crowded(const struct replay_memory *memory, uint32_t ip, int64_t now_s);
/* Remembers an authenticator of time ctime. False: full of what is still valid. */
bool replay_memory_add(struct replay_memory *memory, const uint8_t hash[REPLAY_HASH_LEN], struct krb_time ctime, int64_t now_s);
/*
 * The time of the newest authenticator from an address if that asked for this SPI; false: there is none, or it was
 * for another.
 */
bool replay_memory_newest(const struct replay_memory *memory, uint32_t ip, uint32_t spi, struct krb_time *ctime);
void replay_memory_note(struct replay_memory *memory, uint32_t ip, uint32_t spi, struct krb_time ctime, int64_t now_s);
bool krb_time_older(struct krb_time a, struct krb_time b);

#endif

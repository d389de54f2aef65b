/*
 * What the files of sim/ know of each other and nobody else needs.
 *
 * Not for models, reports or hosts; tests of sim/ may include it.
 */
#ifndef TOLLGATE_SIM_INTERNAL_H
#define TOLLGATE_SIM_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

struct sim;

/* Teardown, called by sim_free() in this order; the queue still exists, so owners may cancel their events. */
void node_free_all(struct sim *sim);
void link_free_all(struct sim *sim);
/* Frees the pool and the packets still under way: those are the events that sim_free() leaves in sim->queue. */
void packet_pool_free(struct sim *sim);

/* splitmix64 (Steele, Lea, Flood 2014): advances state and returns the next number. */
uint64_t rng_splitmix64(uint64_t *state);
/* SipHash-2-4 (Aumasson, Bernstein 2012) of bytes under the key (k0, k1). */
uint64_t rng_siphash(uint64_t k0, uint64_t k1, const uint8_t *bytes, size_t len);

#endif

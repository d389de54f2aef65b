/*
 * Named random streams: the only source of chance in a run.
 *
 * A stream is named by node and purpose ("alice/krb5"); its state follows from the run's seed and that name alone, so a
 * change in one node leaves the numbers of every other node alone and a difference between two runs stays local.
 * Integers only: no result depends on a rounding mode.
 */
#ifndef TOLLGATE_SIM_RNG_H
#define TOLLGATE_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s[4];
};

/* Starts the stream "NODE/PURPOSE" of the run with this seed. */
void rng_init(struct rng *rng, uint64_t seed, const char *node, const char *purpose);
uint64_t rng_u64(struct rng *rng);
/* Uniform in [0, bound), without bias; bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* True with a probability of ppm parts in a million. */
bool rng_chance(struct rng *rng, uint32_t ppm);
void rng_bytes(struct rng *rng, uint8_t *out, size_t len);

#endif

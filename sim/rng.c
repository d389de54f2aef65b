/*
 * Named random streams: xoshiro256** (Blackman, Vigna 2018), one state per stream.
 *
 * Seeding: SipHash-2-4 (Aumasson, Bernstein 2012) of the name "NODE/PURPOSE" is taken twice, under two keys that
 * splitmix64 makes from the run's seed; each of the two hashes starts a splitmix64 that gives half of the state. So a
 * stream's state depends on every bit of seed and name through 128 bits, and two streams of a run do not start alike
 * even among millions. The state is never all zero: splitmix64's output is a bijection of its counter, so that two
 * successive numbers of it differ.
 */
#include "sim/rng.h"

#include <assert.h>
#include <string.h>

#include "sim/internal.h"

#define PPM UINT64_C(1000000)

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

uint64_t rng_splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* SipHash taken byte by byte, so that a name need not be put together first. */
struct sip {
	uint64_t v[4];
	uint64_t word; /* bytes not yet absorbed, little-endian */
	size_t len;
};

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[0] = rotl(v[0], 32);
		v[2] += v[3];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

static void sip_word(struct sip *sip, uint64_t word)
{
	sip->v[3] ^= word;
	sip_rounds(sip->v, 2);
	sip->v[0] ^= word;
}

static void sip_start(struct sip *sip, uint64_t k0, uint64_t k1)
{
	sip->v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
	sip->v[1] = k1 ^ UINT64_C(0x646f72616e646f6d);
	sip->v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
	sip->v[3] = k1 ^ UINT64_C(0x7465646279746573);
	sip->word = 0;
	sip->len = 0;
}

static void sip_absorb(struct sip *sip, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sip->word |= (uint64_t)bytes[i] << 8 * (sip->len % 8);
		if (++sip->len % 8 == 0) {
			sip_word(sip, sip->word);
			sip->word = 0;
		}
	}
}

static uint64_t sip_end(struct sip *sip)
{
	sip_word(sip, sip->word | (uint64_t)(sip->len & 0xff) << 56);
	sip->v[2] ^= 0xff;
	sip_rounds(sip->v, 4);
	return sip->v[0] ^ sip->v[1] ^ sip->v[2] ^ sip->v[3];
}

uint64_t rng_siphash(uint64_t k0, uint64_t k1, const uint8_t *bytes, size_t len)
{
	struct sip sip;

	sip_start(&sip, k0, k1);
	sip_absorb(&sip, bytes, len);
	return sip_end(&sip);
}

void rng_init(struct rng *rng, uint64_t seed, const char *node, const char *purpose)
{
	uint64_t keys = seed;

	for (unsigned half = 0; half < 2; half++) {
		uint64_t k0 = rng_splitmix64(&keys), k1 = rng_splitmix64(&keys), state;
		struct sip sip;

		sip_start(&sip, k0, k1);
		sip_absorb(&sip, (const uint8_t *)node, strlen(node));
		sip_absorb(&sip, (const uint8_t *)"/", 1);
		sip_absorb(&sip, (const uint8_t *)purpose, strlen(purpose));
		state = sip_end(&sip);
		rng->s[2 * half] = rng_splitmix64(&state);
		rng->s[2 * half + 1] = rng_splitmix64(&state);
	}
}

uint64_t rng_u64(struct rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

/* Lemire 2019: the high half of number x bound, numbers of the first, incomplete interval being drawn again. */
uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	unsigned __int128 product;

	assert(bound > 0);
	product = (unsigned __int128)rng_u64(rng) * bound;
	if ((uint64_t)product < bound) {
		uint64_t threshold = -bound % bound;

		while ((uint64_t)product < threshold)
			product = (unsigned __int128)rng_u64(rng) * bound;
	}
	return (uint64_t)(product >> 64);
}

/* Draws whatever ppm is, so that another probability does not shift the numbers that follow. */
bool rng_chance(struct rng *rng, uint32_t ppm)
{
	return rng_below(rng, PPM) < ppm;
}

/* Least significant byte first, whatever the host's order. */
void rng_bytes(struct rng *rng, uint8_t *out, size_t len)
{
	while (len > 0) {
		uint64_t word = rng_u64(rng);

		for (unsigned i = 0; i < 8 && len > 0; i++, len--) {
			*out++ = (uint8_t)word;
			word >>= 8;
		}
	}
}

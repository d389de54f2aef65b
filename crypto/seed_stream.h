/*
 * A small deterministic byte stream: SHA-256 in counter mode over a label.
 *
 * Block i of the stream is SHA-256(SHA-256(label) | i as 8 bytes, big endian). The key pool draws each key pair from the
 * stream of its own label, so that a pair follows from its label alone; RSA blinding has one of its own; tests use it as
 * their random source. It is not meant to keep secrets: whoever knows the label knows the stream.
 */
#ifndef TOLLGATE_CRYPTO_SEED_STREAM_H
#define TOLLGATE_CRYPTO_SEED_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define SEED_STREAM_BLOCK_LEN 32

struct seed_stream {
	uint8_t seed[SEED_STREAM_BLOCK_LEN];
	uint8_t block[SEED_STREAM_BLOCK_LEN];
	uint64_t counter;
	size_t used; /* bytes of block already given out */
};

/* Starts the stream of the label (copied by hashing; not kept). */
void seed_stream_init(struct seed_stream *stream, const char *label);
/* The next len bytes. stream is a struct seed_stream; shaped like random_source's fill. */
void seed_stream_fill(void *stream, uint8_t *out, size_t len);

#endif

/*
 * SHA-256 in counter mode over a label; see seed_stream.h for the construction.
 */
#include <assert.h>
#include <string.h>
#include <openssl/sha.h>
#include "crypto/seed_stream.h"

void seed_stream_init(struct seed_stream *stream, const char *label)
{
	memset(stream, 0, sizeof *stream);
	stream->used = SEED_STREAM_BLOCK_LEN;
	if (!SHA256((const unsigned char *)label, strlen(label), stream->seed))
		assert(!"SHA-256 is not available");
}

static void next_block(struct seed_stream *stream)
{
	uint8_t input[SEED_STREAM_BLOCK_LEN + 8];

	memcpy(input, stream->seed, SEED_STREAM_BLOCK_LEN);
	for (int i = 0; i < 8; i++)
		input[SEED_STREAM_BLOCK_LEN + i] = (uint8_t)(stream->counter >> (56 - 8 * i));
	stream->counter++;
	if (!SHA256(input, sizeof input, stream->block))
		assert(!"SHA-256 is not available");
	stream->used = 0;
}

void seed_stream_fill(void *ctx, uint8_t *out, size_t len)
{
	struct seed_stream *stream = ctx;

	while (len > 0) {
		if (stream->used == SEED_STREAM_BLOCK_LEN)
			next_block(stream);
		size_t n = SEED_STREAM_BLOCK_LEN - stream->used;

		if (n > len)
			n = len;
		memcpy(out, stream->block + stream->used, n);
		stream->used += n;
		out += n;
		len -= n;
	}
}

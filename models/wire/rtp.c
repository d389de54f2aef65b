/* RTP headers and G.711; see rtp.h. RFC 3550 section 5.1, ITU-T G.711. */
#include "models/wire/rtp.h"

#include <stdio.h>

void rtp_write(uint8_t out[RTP_HEADER_LEN], const struct rtp_header *h)
{
	out[0] = 0x80;
	out[1] = (uint8_t)((h->marker ? 0x80 : 0) | h->payload_type);
	out[2] = (uint8_t)(h->sequence >> 8);
	out[3] = (uint8_t)h->sequence;
	for (int i = 0; i < 4; i++) {
		out[4 + i] = (uint8_t)(h->timestamp >> (24 - 8 * i));
		out[8 + i] = (uint8_t)(h->ssrc >> (24 - 8 * i));
	}
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool rtp_parse(const uint8_t *bytes, size_t len, struct rtp_header *header, size_t *payload_at)
{
	size_t at;

	if (len < RTP_HEADER_LEN || bytes[0] >> 6 != 2)
		return false;
	at = RTP_HEADER_LEN + 4u * (bytes[0] & 15);
	if (bytes[0] & 0x10) {
		if (len < at + 4)
			return false;
		at += 4 + 4u * (unsigned)(bytes[at + 2] << 8 | bytes[at + 3]);
	}
	if (at > len)
		return false;
	*header = (struct rtp_header){ .marker = bytes[1] >> 7, .payload_type = bytes[1] & 127,
		                       .sequence = (uint16_t)(bytes[2] << 8 | bytes[3]),
		                       .timestamp = be32(bytes + 4), .ssrc = be32(bytes + 8) };
	*payload_at = at;
	return true;
}

/* Position of the highest set bit among bits 7..14 of v, as a segment number 0..7. */
static inline int segment_of(int v)
{
	return v < 256 ? 0 : 24 - __builtin_clz((unsigned)v);
}

uint8_t g711_ulaw(int16_t sample)
{
	int sign = sample < 0 ? 0x80 : 0, v = sign ? -(int)sample : sample, segment;

	if (v > 32635)
		v = 32635;
	v += 132;
	segment = segment_of(v);
	return (uint8_t)~(sign | segment << 4 | (v >> (segment + 3) & 15));
}

int16_t g711_ulaw_decode(uint8_t code)
{
	int c = ~code & 0xff, v = ((((c & 15) << 3) + 132) << (c >> 4 & 7)) - 132;

	return (int16_t)(c & 0x80 ? -v : v);
}

uint8_t g711_alaw(int16_t sample)
{
	int sign = sample < 0 ? 0 : 0x80, v = sign ? sample : -(int)sample - 1, segment;

	if (v < 0)
		v = 0;
	segment = segment_of(v);
	return (uint8_t)((sign | segment << 4 | (v >> (segment ? segment + 3 : 4) & 15)) ^ 0x55);
}

/*
 * g711_ulaw() without branches, several at once: segment and mantissa of a code are the exponent and the first four
 * bits of the mantissa of an IEEE 754 number, and a small integer is such a number exactly.
 */
static void ulaw_encode(const int16_t *samples, size_t count, uint8_t *out)
{
	for (size_t i = 0; i < count; i++) {
		int32_t sign = samples[i] >> 15, size = (samples[i] ^ sign) - sign;
		union {
			float number;
			int32_t bits;
		} v = { .number = (float)((size > 32635 ? 32635 : size) + 132) };

		out[i] = (uint8_t)~((sign & 0x80) | ((v.bits >> 19) - ((127 + 7) << 4)));
	}
}

void g711_encode(uint8_t (*law)(int16_t sample), const int16_t *samples, size_t count, uint8_t *out)
{
	if (law == g711_ulaw) {
		ulaw_encode(samples, count, out);
		return;
	}
	for (size_t i = 0; i < count; i++)
		out[i] = law(samples[i]);
}

int16_t g711_alaw_decode(uint8_t code)
{
	int c = code ^ 0x55, segment = c >> 4 & 7, v = ((c & 15) << 4) + 8;

	if (segment)
		v = (v + 256) << (segment - 1);
	return (int16_t)(c & 0x80 ? v : -v);
}

void rtp_describe(const uint8_t *bytes, size_t len,
                  void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx)
{
	struct rtp_header h;
	size_t at;
	char value[16];

	if (!rtp_parse(bytes, len, &h, &at))
		return;
	snprintf(value, sizeof value, "%u", h.payload_type);
	field(ctx, "payload-type", value, 0);
	snprintf(value, sizeof value, "%u", h.sequence);
	field(ctx, "sequence", value, 1);
	snprintf(value, sizeof value, "%u", h.timestamp);
	field(ctx, "timestamp", value, 1);
	snprintf(value, sizeof value, "%08x", h.ssrc);
	field(ctx, "ssrc", value, 1);
}

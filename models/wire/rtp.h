/*
 * RTP headers (RFC 3550 section 5.1) and the G.711 payload (RFC 3551, ITU-T G.711 mu-law and A-law). The header of a packet in
 * cipher text cannot be read: decode after crypto/rtp_cipher.h.
 */
#ifndef TOLLGATE_WIRE_RTP_H
#define TOLLGATE_WIRE_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_HEADER_LEN 12
#define RTP_PAYLOAD_LEN 160  /* 20 ms of G.711 */
#define RTP_PACKET_NS INT64_C(20000000)

struct rtp_header {
	bool marker;
	uint8_t payload_type;
	uint16_t sequence;
	uint32_t timestamp, ssrc;
};

void rtp_write(uint8_t out[RTP_HEADER_LEN], const struct rtp_header *header);
/* *payload_at: offset of the payload (CSRCs and extension skipped). False: not RTP version 2, or too short. */
bool rtp_parse(const uint8_t *bytes, size_t len, struct rtp_header *header, size_t *payload_at);

/* 16-bit linear sample <-> G.711. */
uint8_t g711_ulaw(int16_t sample);
uint8_t g711_alaw(int16_t sample);
/* law: one of the two above. */
void g711_encode(uint8_t (*law)(int16_t sample), const int16_t *samples, size_t count, uint8_t *out);
int16_t g711_ulaw_decode(uint8_t code);
int16_t g711_alaw_decode(uint8_t code);

void rtp_describe(const uint8_t *bytes, size_t len,
                  void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx);

#endif

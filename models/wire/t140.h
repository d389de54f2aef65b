/*
 * Text among the packets of a voice stream: RTP payload audio/t140c (RFC 4351), a 16-bit number and a block of T.140
 * text in UTF-8. Here are the payload and a receiver that makes one text of the blocks again. RTP itself is rtp.h.
 *
 * The sender numbers its blocks from 0 and sends each of them in several packets; any one that arrives gives the
 * block, once, in the order of the numbers. Where all packets of a block are lost stands U+FFFD (T.140, RFC 4103).
 */
#ifndef TOLLGATE_WIRE_T140_H
#define TOLLGATE_WIRE_T140_H

#include "models/wire/span.h"

#define T140_PAYLOAD_TYPE 98 /* dynamic */
#define T140_HEADER_LEN 2
#define T140_BLOCK_MAX 158   /* with its number no longer than 20 ms of G.711; a receiver takes any length */
#define T140_MISSING "\xef\xbf\xbd"

/* Whole characters of UTF-8 (RFC 3629), none of them U+0000. */
bool utf8_valid(struct span text);
/* The longest beginning of valid text that is not longer than max and does not part a character. */
size_t utf8_cut(struct span text, size_t max);

/* Length of the payload; text is at most T140_BLOCK_MAX long. */
size_t t140_write(uint16_t number, struct span text, uint8_t out[T140_HEADER_LEN + T140_BLOCK_MAX]);
/* False: no number, no text, or not UTF-8. */
bool t140_parse(const uint8_t *payload, size_t len, uint16_t *number, struct span *text);

/* What a receiver remembers of one stream; starts as zeros. */
struct t140_receiver {
	uint16_t next; /* number of the block that has not been heard */
};
enum t140_result {
	T140_TEXT,     /* the next block: *text is set, *missing says whether others were before it that did not come */
	T140_REPEATED, /* heard already */
	T140_REFUSED   /* not a payload */
};
enum t140_result t140_receive(struct t140_receiver *receiver, const uint8_t *payload, size_t len, struct span *text,
                              bool *missing);

/* Digits are not said: they may be a card's or a PIN's. */
void t140_describe(const uint8_t *bytes, size_t len,
                   void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx);

#endif

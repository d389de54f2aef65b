/*
 * DER by hand (ITU-T X.690), for the few frames that are taken apart or put together on the way of every device: tags
 * of one byte, definite lengths.
 *
 * Internal to crypto/. Reading goes forwards in what lies there; writing goes backwards, so that a header is written
 * when the length of its content is known.
 */
#ifndef TOLLGATE_CRYPTO_DER_H
#define TOLLGATE_CRYPTO_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum der_tag {
	DER_INTEGER = 0x02, DER_OCTETS = 0x04, DER_NULL = 0x05, DER_OID = 0x06, DER_SEQUENCE = 0x30, DER_SET = 0x31,
	DER_CONTEXT_0 = 0xa0, /* constructed */
};

struct der_span { /* borrowed */
	const uint8_t *bytes;
	size_t len;
};

/*
 * Takes an element with this tag from the front of in. whole: with its header; content: without; NULL: not asked.
 * False: another tag, or no DER; in is untouched then.
 */
bool der_take(struct der_span *in, uint8_t tag, struct der_span *whole, struct der_span *content);

#define DER_HEADER_MAX 6 /* of a header that is written */

struct der_writer { /* what is written lies from at to the end of the buffer */
	uint8_t *buffer, *at;
};

/* Puts bytes, or an element's header for what lies from at to end, in front. The caller has given room (asserted). */
void der_put(struct der_writer *w, const void *bytes, size_t len);
void der_wrap(struct der_writer *w, uint8_t tag, const uint8_t *end);

#endif

/* DER by hand; see der.h. ITU-T X.690 sections 8.1 and 10.1. */
#include "crypto/der.h"

#include <assert.h>
#include <string.h>

#define LENGTH_BYTES_MAX 4 /* DER_HEADER_MAX without tag and first byte */

/* The long form of a length: as short as can be. False: none. */
static bool long_length(const uint8_t *bytes, size_t count, size_t *len)
{
	if (count == 0 || count > LENGTH_BYTES_MAX || bytes[0] == 0)
		return false;
	*len = 0;
	for (size_t i = 0; i < count; i++)
		*len = *len << 8 | bytes[i];
	return *len >= 0x80;
}

bool der_take(struct der_span *in, uint8_t tag, struct der_span *whole, struct der_span *content)
{
	size_t header_len = 2, len;

	if (in->len < 2 || in->bytes[0] != tag)
		return false;
	len = in->bytes[1];
	if (len >= 0x80) {
		size_t count = len & 0x7f;

		if (in->len - 2 < count || !long_length(in->bytes + 2, count, &len))
			return false;
		header_len += count;
	}
	if (len > in->len - header_len)
		return false;
	if (content)
		*content = (struct der_span){ in->bytes + header_len, len };
	if (whole)
		*whole = (struct der_span){ in->bytes, header_len + len };
	in->bytes += header_len + len;
	in->len -= header_len + len;
	return true;
}

void der_put(struct der_writer *w, const void *bytes, size_t len)
{
	assert((size_t)(w->at - w->buffer) >= len);
	w->at -= len;
	if (len > 0)
		memcpy(w->at, bytes, len);
}

void der_wrap(struct der_writer *w, uint8_t tag, const uint8_t *end)
{
	size_t len = (size_t)(end - w->at);
	uint8_t header[DER_HEADER_MAX], count = 0;

	assert(len <= UINT32_MAX);
	while (len >= 0x80 && len >> (8 * count) != 0)
		count++;
	header[0] = tag;
	header[1] = (uint8_t)(count ? 0x80 | count : len);
	for (uint8_t i = 0; i < count; i++)
		header[2 + i] = (uint8_t)(len >> (8 * (count - 1 - i)));
	der_put(w, header, 2u + count);
}

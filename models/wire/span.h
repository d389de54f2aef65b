/*
 * A span: text or bytes inside somebody else's buffer. Decoders return spans, so that nothing is copied and nothing needs
 * freeing; a span lives as long as the packet it points into.
 */
#ifndef TOLLGATE_WIRE_SPAN_H
#define TOLLGATE_WIRE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *at;
	size_t len;
};

static inline struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}
static inline bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}
static inline bool span_is_nocase(struct span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}
static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}
/* Copies as a C string; false (and "") when it does not fit whole or holds a NUL. */
bool span_copy(struct span s, char *out, size_t size);
struct span span_trim(struct span s);
/* Decimal digits only, up to max. */
bool span_number(struct span s, uint64_t max, uint64_t *out);

/* A bounded text under construction. full is set, for good, by the first thing that did not fit. */
struct text {
	char *at;
	size_t size, len;
	bool full;
};
void text_put(struct text *t, const char *bytes, size_t len);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* RFC 4648 base 64 and hex. Decoders return the number of bytes, or -1 for bad input or too many. */
size_t base64_encode(const uint8_t *bytes, size_t len, char *out, size_t size);
long base64_decode(struct span in, uint8_t *out, size_t size);
void hex_encode(const uint8_t *bytes, size_t len, char *out);
long hex_decode(struct span in, uint8_t *out, size_t size);

#endif

/* See text.h. */
#include "reports/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sim/sim.h"

#define ESCAPED_LEN 4 /* \xHH */

size_t utf8_len(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t code;
	size_t len;

	if (p[0] < 0x80)
		return p[0] != 0;
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	code = p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && code < 0x800) || (len == 4 && code < 0x10000) || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return len;
}

/* How many bytes at s may stay as they are; 0: this one may not. */
static size_t clean_len(const char *s)
{
	unsigned char c = (unsigned char)*s;

	if ((c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t')
		return 1;
	if (c == 0xc2 && (unsigned char)s[1] < 0xa0)
		return 0; /* the C1 controls */
	return c < 0x80 ? 0 : utf8_len(s);
}

const char *text_clean(const char *text, char **copy)
{
	const char *s = text;
	size_t len, at = 0;
	char *out;

	*copy = NULL;
	while (*s && (len = clean_len(s)) > 0)
		s += len;
	if (!*s)
		return text;
	out = sim_alloc(strlen(text) * ESCAPED_LEN + 1);
	for (s = text; *s; s += len) {
		len = clean_len(s);
		if (len) {
			memcpy(out + at, s, len);
			at += len;
		} else {
			at += (size_t)snprintf(out + at, ESCAPED_LEN + 1, "\\x%02x", (unsigned char)*s);
			len = 1;
		}
	}
	return *copy = out;
}

char *text_make(const char *format, ...)
{
	va_list args, again;
	char *text;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	assert(len >= 0);
	text = sim_alloc((size_t)len + 1);
	vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}

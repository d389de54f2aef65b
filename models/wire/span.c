/* Spans and small text codecs; see span.h. Base 64 and hex after RFC 4648. */
#include "models/wire/span.h"

#include <stdarg.h>
#include <stdio.h>

bool span_copy(struct span s, char *out, size_t size)
{
	if (s.len >= size || memchr(s.at ? s.at : "", '\0', s.len)) {
		if (size)
			out[0] = '\0';
		return false;
	}
	if (s.len)
		memcpy(out, s.at, s.len);
	out[s.len] = '\0';
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
	while (s.len && is_blank(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool span_number(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!s.len)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned char)s.at[i] - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
		if (value > max)
			return false;
	}
	*out = value;
	return true;
}

void text_put(struct text *t, const char *bytes, size_t len)
{
	if (t->full || len > t->size - t->len) {
		t->full = true;
		return;
	}
	if (len)
		memcpy(t->at + t->len, bytes, len);
	t->len += len;
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, format);
	n = vsnprintf(t->at + t->len, t->size - t->len, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->size - t->len)
		t->full = true;
	else
		t->len += (size_t)n;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const uint8_t *bytes, size_t len, char *out, size_t size)
{
	size_t n = 0;

	if (size < (len + 2) / 3 * 4 + 1)
		return 0;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
		             (left > 2 ? bytes[i + 2] : 0);

		out[n++] = base64_digits[v >> 18];
		out[n++] = base64_digits[v >> 12 & 63];
		out[n++] = left > 1 ? base64_digits[v >> 6 & 63] : '=';
		out[n++] = left > 2 ? base64_digits[v & 63] : '=';
	}
	out[n] = '\0';
	return n;
}

static int base64_value(char c)
{
	const char *p = c ? strchr(base64_digits, c) : NULL;

	return p ? (int)(p - base64_digits) : -1;
}

long base64_decode(struct span in, uint8_t *out, size_t size)
{
	size_t n = 0;

	if (in.len % 4)
		return -1;
	for (size_t i = 0; i < in.len; i += 4) {
		bool last = i + 4 == in.len;
		int pad = last ? (in.at[i + 3] == '=') + (in.at[i + 3] == '=' && in.at[i + 2] == '=') : 0;
		uint32_t v = 0;

		for (int k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : base64_value(in.at[i + (size_t)k]);

			if (d < 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)) || n + 3 - (size_t)pad > size)
			return -1;
		for (int k = 0; k < 3 - pad; k++)
			out[n++] = (uint8_t)(v >> (16 - 8 * k));
	}
	return (long)n;
}

void hex_encode(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long hex_decode(struct span in, uint8_t *out, size_t size)
{
	if (in.len % 2 || in.len / 2 > size)
		return -1;
	for (size_t i = 0; i < in.len; i += 2) {
		int high = hex_value(in.at[i]), low = hex_value(in.at[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return (long)(in.len / 2);
}

/* Text in a voice stream; see t140.h. RFC 4351 (payload), RFC 4103 (loss), RFC 3629 section 4 (UTF-8). */
#include "models/wire/t140.h"

#include <assert.h>
#include <stdio.h>

#define DESCRIBED_MAX 512

/* Length of the character at s, 0: none that UTF-8 allows (RFC 3629 section 4). */
static size_t character_len(const uint8_t *s, size_t left)
{
	static const struct {
		uint8_t first, last, second_first, second_last, len;
	} forms[] = {
		{ 0x01, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t form = 0;

	while (form < sizeof forms / sizeof *forms && (s[0] < forms[form].first || s[0] > forms[form].last))
		form++;
	if (form == sizeof forms / sizeof *forms || forms[form].len > left)
		return 0;
	if (forms[form].len > 1 && (s[1] < forms[form].second_first || s[1] > forms[form].second_last))
		return 0;
	for (size_t i = 2; i < forms[form].len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return forms[form].len;
}

bool utf8_valid(struct span text)
{
	size_t at = 0, len;

	while (at < text.len) {
		len = character_len((const uint8_t *)text.at + at, text.len - at);
		if (!len)
			return false;
		at += len;
	}
	return true;
}

size_t utf8_cut(struct span text, size_t max)
{
	size_t len = text.len;

	if (len <= max)
		return len;
	len = max;
	while (len > 0 && ((uint8_t)text.at[len] & 0xc0) == 0x80)
		len--;
	return len;
}

size_t t140_write(uint16_t number, struct span text, uint8_t out[T140_HEADER_LEN + T140_BLOCK_MAX])
{
	assert(text.len <= T140_BLOCK_MAX);
	out[0] = (uint8_t)(number >> 8);
	out[1] = (uint8_t)number;
	memcpy(out + T140_HEADER_LEN, text.at, text.len);
	return T140_HEADER_LEN + text.len;
}

bool t140_parse(const uint8_t *payload, size_t len, uint16_t *number, struct span *text)
{
	if (len <= T140_HEADER_LEN)
		return false;
	*number = (uint16_t)(payload[0] << 8 | payload[1]);
	*text = (struct span){ (const char *)payload + T140_HEADER_LEN, len - T140_HEADER_LEN };
	return utf8_valid(*text);
}

enum t140_result t140_receive(struct t140_receiver *receiver, const uint8_t *payload, size_t len, struct span *text,
                              bool *missing)
{
	uint16_t number;
	int16_t ahead;

	if (!t140_parse(payload, len, &number, text))
		return T140_REFUSED;
	ahead = (int16_t)(number - receiver->next);
	if (ahead < 0)
		return T140_REPEATED;
	*missing = ahead > 0;
	receiver->next = (uint16_t)(number + 1);
	return T140_TEXT;
}

void t140_describe(const uint8_t *bytes, size_t len,
                   void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx)
{
	char value[DESCRIBED_MAX];
	uint16_t number;
	struct span text;

	if (!t140_parse(bytes, len, &number, &text))
		return;
	snprintf(value, sizeof value, "%u", number);
	field(ctx, "block", value, 0);
	text.len = utf8_cut(text, sizeof value - 1);
	if (!span_copy(text, value, sizeof value))
		return;
	for (char *at = value; *at; at++)
		if (*at >= '0' && *at <= '9')
			*at = '#';
	field(ctx, "text", value, 0);
}

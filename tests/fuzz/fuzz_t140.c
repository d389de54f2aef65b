/*
 * Fuzzing of text in a voice stream. Input: payloads as they come, each behind a byte that says how long it is.
 *
 * What must hold: any payload is heard, known already, or refused; what is heard is whole characters inside the payload
 * and writes to the same bytes again; a payload that was heard is known when it comes once more; cut anywhere, text stays
 * whole.
 */
#include "models/wire/t140.h"
#include "tests/fuzz/fuzz.h"

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && utf8_valid(span_of(value)) && class_ >= 0 && class_ <= 2);
}

static void check_text(const uint8_t *payload, size_t len, struct span text)
{
	uint8_t again[T140_HEADER_LEN + T140_BLOCK_MAX];
	size_t cut;

	fuzz_require((const uint8_t *)text.at == payload + T140_HEADER_LEN && text.len + T140_HEADER_LEN == len);
	fuzz_require(text.len > 0 && !memchr(text.at, '\0', text.len) && utf8_valid(text));
	for (size_t max = 0; max <= text.len; max++) {
		cut = utf8_cut(text, max);
		fuzz_require(cut <= max && utf8_valid((struct span){ text.at, cut }));
	}
	if (text.len <= T140_BLOCK_MAX)
		fuzz_require(t140_write((uint16_t)(payload[0] << 8 | payload[1]), text, again) == len &&
		             memcmp(again, payload, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct t140_receiver receiver = { 0 };
	size_t at = 0, len;
	struct span text;
	bool missing;

	while (at < size) {
		len = data[at++];
		if (len > size - at)
			len = size - at;
		uint8_t *payload = fuzz_exact(data + at, len);

		t140_describe(payload, len, take_field, NULL);
		if (t140_receive(&receiver, payload, len, &text, &missing) == T140_TEXT) {
			check_text(payload, len, text);
			fuzz_require(t140_receive(&receiver, payload, len, &text, &missing) == T140_REPEATED);
		}
		free(payload);
		at += len;
	}
	return 0;
}

/* Three blocks, the second of them lost, with characters of every length. */
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const char *const texts[] = { "name=J\xc3\xb6rg", "\xe2\x82\xac 20", "\xf0\x9f\x93\x9e 411\n" };
	size_t len = 0;

	if (nth > 2 || size < 3 * (3 + 16))
		return 0;
	for (uint16_t n = 0; n < 3; n++)
		if (n != 1 || nth == 0) {
			uint16_t number = (uint16_t)(nth == 2 ? n + 65535 : n);

			out[len] = (uint8_t)t140_write(number, span_of(texts[n]), out + len + 1);
			len += out[len] + 1u;
		}
	return len;
}

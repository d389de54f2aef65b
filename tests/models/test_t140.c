/*
 * Text in a voice stream: UTF-8 held against a decoder of the test's own, over every sequence of up to three bytes and
 * many of four; blocks, their numbers and their gaps.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "models/wire/t140.h"

/* RFC 3629 by arithmetic: value of the character at s, 0: none; *len is how long it is. */
static uint32_t decode(const uint8_t *s, size_t left, size_t *len)
{
	static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 };
	uint32_t value = s[0];

	*len = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	if (*len == 0 || *len > left)
		return 0;
	if (*len > 1)
		value &= 0xffu >> (*len + 1);
	for (size_t i = 1; i < *len; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		value = value << 6 | (s[i] & 63);
	}
	return value < least[*len] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : value;
}

static bool valid(const uint8_t *s, size_t left)
{
	size_t len;

	for (; left; s += len, left -= len)
		if (!decode(s, left, &len))
			return false;
	return true;
}

static void agree(const uint8_t *bytes, size_t len)
{
	if (utf8_valid((struct span){ (const char *)bytes, len }) != valid(bytes, len))
		ck_abort_msg("%02x %02x %02x %02x, %zu bytes", bytes[0], bytes[1], bytes[2], bytes[3], len);
}

START_TEST(every_short_sequence)
{
	uint8_t bytes[4] = { 0 };

	for (uint32_t n = 0; n < 1u << 24; n += 3) {
		bytes[0] = (uint8_t)(n >> 16);
		bytes[1] = (uint8_t)(n >> 8);
		bytes[2] = (uint8_t)n;
		agree(bytes, 3);
		if (!bytes[2])
			agree(bytes, 2);
		if (!bytes[1] && !bytes[2])
			agree(bytes, 1);
	}
}
END_TEST

START_TEST(four_bytes)
{
	static const uint8_t edges[] = { 0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xf4, 0xff };
	const size_t count = sizeof edges;
	uint8_t bytes[4];

	for (unsigned first = 0xc0; first < 0x100; first++)
		for (unsigned second = 0; second < 0x100; second++)
			for (size_t n = 0; n < count * count; n++) {
				bytes[0] = (uint8_t)first;
				bytes[1] = (uint8_t)second;
				bytes[2] = edges[n % count];
				bytes[3] = edges[n / count];
				agree(bytes, 4);
			}
}
END_TEST

/* Whatever the limit, what is cut off is whole characters, and no more of them than must be. */
START_TEST(cut_between_characters)
{
	const struct span text = span_of("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\x9ez");

	for (size_t max = 0; max <= text.len + 1; max++) {
		size_t len = utf8_cut(text, max), next;

		ck_assert(len <= max && utf8_valid((struct span){ text.at, len }));
		if (len == text.len)
			continue;
		ck_assert(decode((const uint8_t *)text.at + len, text.len - len, &next) && len + next > max);
	}
}
END_TEST

static enum t140_result hear(struct t140_receiver *receiver, uint16_t number, bool *missing)
{
	uint8_t payload[T140_HEADER_LEN + T140_BLOCK_MAX];
	size_t len = t140_write(number, span_of("word"), payload);
	enum t140_result result;
	struct span text;

	*missing = false;
	result = t140_receive(receiver, payload, len, &text, missing);
	ck_assert(result == T140_REPEATED || span_is(text, "word"));
	return result;
}

START_TEST(blocks_come_once_and_in_order)
{
	struct t140_receiver receiver = { 0 };
	bool missing;

	for (uint32_t n = 0; n < 3 * 65536; n++) /* the numbers come round */
		for (unsigned copy = 0; copy < 3; copy++) {
			ck_assert_int_eq(hear(&receiver, (uint16_t)n, &missing), copy ? T140_REPEATED : T140_TEXT);
			ck_assert(!missing);
		}
	ck_assert(hear(&receiver, 2, &missing) == T140_TEXT && missing);
	ck_assert(hear(&receiver, 1, &missing) == T140_REPEATED); /* too late: what is behind it has been heard */
	ck_assert(hear(&receiver, 3, &missing) == T140_TEXT && !missing);
}
END_TEST

START_TEST(the_first_block_may_be_missing)
{
	struct t140_receiver receiver = { 0 };
	bool missing;

	ck_assert(hear(&receiver, 1, &missing) == T140_TEXT && missing);
}
END_TEST

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)class_;
	if (strcmp(path, "text") == 0)
		snprintf(ctx, 64, "%s", value);
}

START_TEST(digits_are_not_described)
{
	uint8_t payload[T140_HEADER_LEN + T140_BLOCK_MAX];
	char text[64] = "";

	t140_describe(payload, t140_write(3, span_of("pay=4111 1;pin=47"), payload), take_field, text);
	ck_assert_str_eq(text, "pay=#### #;pin=##");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text in voice");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, every_short_sequence);
	tcase_add_test(t, four_bytes);
	tcase_add_test(t, cut_between_characters);
	tcase_add_test(t, blocks_come_once_and_in_order);
	tcase_add_test(t, the_first_block_may_be_missing);
	tcase_add_test(t, digits_are_not_described);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* forked cases would hide leaks from the sanitizer */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * What the tests of the wire formats share: bytes out of hex text, messages with one thing changed, and mutations from
 * a fixed seed. Every message is parsed from a heap block of exactly its length, so that the sanitizers see a read past
 * it.
 */
#ifndef TOLLGATE_TESTS_WIRE_FIXTURE_H
#define TOLLGATE_TESTS_WIRE_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_MAX 2048
#define FIXTURE_MUTATIONS 20000

/* "01 0a ff", "00*16 ff": two digits a byte, spaces at will, N times the byte before a '*'. Returns the length. */
static inline size_t bytes_of(const char *hex, uint8_t out[FIXTURE_MAX])
{
	size_t len = 0;

	while (*hex) {
		unsigned value;
		int read = 0;

		if (*hex == ' ') {
			hex++;
		} else if (*hex == '*') {
			unsigned count = (unsigned)strtoul(hex + 1, (char **)(uintptr_t)&hex, 10);

			ck_assert(len > 0 && count > 0 && len + count - 1 <= FIXTURE_MAX);
			memset(out + len, out[len - 1], count - 1);
			len += count - 1;
		} else {
			ck_assert_msg(sscanf(hex, "%2x%n", &value, &read) == 1 && read == 2 && len < FIXTURE_MAX,
			              "hex: %s", hex);
			out[len++] = (uint8_t)value;
			hex += 2;
		}
	}
	return len;
}

static inline uint8_t *exact_copy(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(copy);
	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

/* One thing that makes a good message bad: at offset at (from the end when negative) cut bytes give way to insert. */
struct edit {
	const char *why;
	long at;
	size_t cut;
	const char *insert;
};

static inline uint8_t *edited(const uint8_t *bytes, size_t len, const struct edit *e, size_t *out_len)
{
	static uint8_t insert[FIXTURE_MAX], all[2 * FIXTURE_MAX];
	size_t n = bytes_of(e->insert, insert), at = (size_t)(e->at < 0 ? (long)len + e->at : e->at);

	ck_assert_msg(at + e->cut <= len, "%s", e->why);
	memcpy(all, bytes, at);
	memcpy(all + at, insert, n);
	memcpy(all + at + n, bytes + at + e->cut, len - at - e->cut);
	*out_len = len - e->cut + n;
	ck_assert_msg(*out_len != len || memcmp(all, bytes, len) != 0, "changes nothing: %s", e->why);
	return exact_copy(all, *out_len);
}

/* Gives run FIXTURE_MUTATIONS variants of bytes: up to three bytes changed, half of them cut short. */
static inline void mutate(const uint8_t *bytes, size_t len, uint64_t seed, void (*run)(const uint8_t *, size_t))
{
	for (int round = 0; round < FIXTURE_MUTATIONS; round++) {
		uint8_t *copy = exact_copy(bytes, len);
		size_t cut = len;

		for (int k = 0; k < 4; k++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			if (k == 3 && round & 1)
				cut = (size_t)(seed >> 33) % (len + 1);
			else if (k < 3)
				copy[(size_t)(seed >> 33) % len] = (uint8_t)(seed >> 24);
		}
		if (cut < len) {
			uint8_t *shorter = exact_copy(copy, cut);

			free(copy);
			copy = shorter;
		}
		run(copy, cut);
		free(copy);
	}
}

/* Collects what a describe function says as "path=value;"; ctx is char[FIXTURE_MAX]. */
static inline void collect(void *ctx, const char *path, const char *value, int class_)
{
	char *all = ctx;
	size_t used = strlen(all);

	ck_assert(class_ >= 0 && class_ <= 2);
	snprintf(all + used, FIXTURE_MAX - used, "%s=%s;", path, value);
}

static inline int run_suite(const char *name, TCase *t)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

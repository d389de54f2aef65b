/*
 * Random streams: the generators against their authors' numbers, and what the engine relies on besides.
 */
#include <check.h>
#include <inttypes.h>
#include <string.h>

#include "sim/internal.h"
#include "sim/rng.h"

/* First numbers of splitmix64 from 1234567, as its reference implementation prints them. */
START_TEST(test_splitmix64_reference)
{
	static const uint64_t want[] = { UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
		                         UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
		                         UINT64_C(16408922859458223821) };
	uint64_t state = 1234567;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ck_assert_uint_eq(rng_splitmix64(&state), want[i]);
}
END_TEST

/* First numbers of xoshiro256** from the state 1, 2, 3, 4, as its reference implementation prints them. */
START_TEST(test_xoshiro_reference)
{
	static const uint64_t want[] = { 11520,
		                         0,
		                         1509978240,
		                         UINT64_C(1215971899390074240),
		                         UINT64_C(1216172134540287360),
		                         UINT64_C(607988272756665600),
		                         UINT64_C(16172922978634559625),
		                         UINT64_C(8476171486693032832),
		                         UINT64_C(10595114339597558777),
		                         UINT64_C(2904607092377533576) };
	struct rng rng = { { 1, 2, 3, 4 } };

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ck_assert_uint_eq(rng_u64(&rng), want[i]);
}
END_TEST

/* SipHash-2-4 under the key 00 01 .. 0f of the bytes 00 01 .., from the vectors of its reference implementation. */
START_TEST(test_siphash_reference)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} want[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) },
		{ 1, UINT64_C(0x74f839c593dc67fd) },
		{ 7, UINT64_C(0xab0200f58b01d137) },
		{ 8, UINT64_C(0x93f5f5799a932462) },
		{ 15, UINT64_C(0xa129ca6149be45e5) }, /* the example of the paper's appendix A */
	};
	uint8_t bytes[16];

	for (uint8_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		uint64_t hash = rng_siphash(UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908), bytes, want[i].len);

		ck_assert_msg(hash == want[i].hash, "length %zu: %016" PRIx64, want[i].len, hash);
	}
}
END_TEST

/* The seeding is part of what makes a run repeatable: it must not change from version to version unnoticed. */
START_TEST(test_seeding)
{
	struct rng rng;
	uint64_t keys = 1;
	uint64_t k0 = rng_splitmix64(&keys), k1 = rng_splitmix64(&keys), k2 = rng_splitmix64(&keys), k3 = rng_splitmix64(&keys);
	static const uint8_t name[] = "alice/krb5";
	uint64_t a = rng_siphash(k0, k1, name, sizeof(name) - 1), b = rng_siphash(k2, k3, name, sizeof(name) - 1);

	rng_init(&rng, 1, "alice", "krb5");
	ck_assert_uint_eq(rng.s[0], rng_splitmix64(&a));
	ck_assert_uint_eq(rng.s[1], rng_splitmix64(&a));
	ck_assert_uint_eq(rng.s[2], rng_splitmix64(&b));
	ck_assert_uint_eq(rng.s[3], rng_splitmix64(&b));
}
END_TEST

START_TEST(test_streams_differ)
{
	static const struct {
		uint64_t seed;
		const char *node, *purpose;
	} stream[] = {
		{ 1, "alice", "krb5" }, { 2, "alice", "krb5" }, { UINT64_C(1) << 63 | 1, "alice", "krb5" },
		{ 1, "bob", "krb5" },   { 1, "alice", "rtp" },  { 1, "alic", "ekrb5" },
		{ 1, "", "" },          { 1, "alicf", "krb5" }, { 0, "alice", "krb5" },
	};
	enum { STREAMS = sizeof(stream) / sizeof(stream[0]) };
	struct rng rng[STREAMS], again;

	for (size_t i = 0; i < STREAMS; i++) {
		rng_init(&rng[i], stream[i].seed, stream[i].node, stream[i].purpose);
		rng_init(&again, stream[i].seed, stream[i].node, stream[i].purpose);
		ck_assert_mem_eq(&again, &rng[i], sizeof(again));
		for (size_t j = 0; j < i; j++) {
			int differing = 0;

			for (size_t word = 0; word < 4; word++)
				differing += __builtin_popcountll(rng[i].s[word] ^ rng[j].s[word]);
			/* 256 coins: 128 +- 8. */
			ck_assert_msg(differing > 80 && differing < 176, "streams %zu and %zu: %d bits", i, j, differing);
		}
	}
}
END_TEST

START_TEST(test_below)
{
	static const uint64_t bounds[] = { 1, 2, 3, 10, 1000000, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_MAX };
	struct rng rng;

	rng_init(&rng, 1, "test_rng", "below");
	for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
		uint64_t most = 0;

		for (unsigned i = 0; i < 10000; i++) {
			uint64_t value = rng_below(&rng, bounds[b]);

			most = value > most ? value : most;
		}
		ck_assert_uint_lt(most, bounds[b]);
		ck_assert_uint_ge(most, bounds[b] - 1 - bounds[b] / 100);
	}
}
END_TEST

/*
 * With the bound 3 * 2^62, three quarters of the range, taking the high half of a product without drawing again (or a
 * remainder) would make a third of the values twice as likely as the others: here those divisible by 3, or the lowest.
 */
START_TEST(test_below_has_no_bias)
{
	const uint64_t bound = UINT64_C(3) << 62;
	unsigned rest[3] = { 0 }, part[3] = { 0 };
	struct rng rng;

	rng_init(&rng, 1, "test_rng", "bias");
	for (unsigned i = 0; i < 300000; i++) {
		uint64_t value = rng_below(&rng, bound);

		rest[value % 3]++;
		part[value >> 62]++;
	}
	for (unsigned i = 0; i < 3; i++) { /* 100000 +- 258 */
		ck_assert_msg(rest[i] > 98500 && rest[i] < 101500, "remainder %u: %u times", i, rest[i]);
		ck_assert_msg(part[i] > 98500 && part[i] < 101500, "part %u: %u times", i, part[i]);
	}
}
END_TEST

START_TEST(test_chance)
{
	static const struct {
		uint32_t ppm, least, most; /* hits in a million: ppm +- 5 deviations */
	} row[] = { { 0, 0, 0 }, { 1000, 842, 1158 }, { 500000, 497500, 502500 }, { 1000000, 1000000, 1000000 } };
	struct rng rng, other;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint32_t hits = 0;

		rng_init(&rng, 1, "test_rng", "chance");
		for (unsigned n = 0; n < 1000000; n++)
			hits += rng_chance(&rng, row[i].ppm);
		ck_assert_uint_ge(hits, row[i].least);
		ck_assert_uint_le(hits, row[i].most);
	}
	rng_init(&rng, 1, "a", "b");
	other = rng;
	rng_chance(&rng, 0);
	rng_chance(&other, 1000000);
	ck_assert_mem_eq(&rng, &other, sizeof(rng));
}
END_TEST

START_TEST(test_bytes)
{
	uint8_t whole[32], part[32];
	struct rng rng;

	for (size_t len = 0; len <= sizeof(part); len++) {
		rng_init(&rng, 1, "test_rng", "bytes");
		rng_bytes(&rng, whole, sizeof(whole));
		memset(part, 0xa5, sizeof(part));
		rng_init(&rng, 1, "test_rng", "bytes");
		rng_bytes(&rng, part, len);
		ck_assert(memcmp(part, whole, len) == 0);
		for (size_t i = len; i < sizeof(part); i++)
			ck_assert_uint_eq(part[i], 0xa5);
	}
	rng = (struct rng){ { 1, 2, 3, 4 } };
	rng_bytes(&rng, whole, 8);
	ck_assert_uint_eq(whole[0], 11520 & 0xff);
	ck_assert_uint_eq(whole[1], 11520 >> 8);
	ck_assert_uint_eq(whole[7], 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rng");
	TCase *reference = tcase_create("reference"), *stream = tcase_create("stream");
	SRunner *runner;
	int failed;

	tcase_add_test(reference, test_splitmix64_reference);
	tcase_add_test(reference, test_xoshiro_reference);
	tcase_add_test(reference, test_siphash_reference);
	suite_add_tcase(suite, reference);
	tcase_add_test(stream, test_seeding);
	tcase_add_test(stream, test_streams_differ);
	tcase_add_test(stream, test_below);
	tcase_add_test(stream, test_below_has_no_bias);
	tcase_add_test(stream, test_chance);
	tcase_add_test(stream, test_bytes);
	tcase_set_timeout(stream, 60);
	suite_add_tcase(suite, stream);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

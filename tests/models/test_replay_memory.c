/* An acceptor's memory of authenticators: what is remembered, for how long, and what one address can do to it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "models/replay_memory.h"

#define NOW 1000000
#define IP 0x0a000001u

static void hash_of(uint64_t n, uint8_t hash[REPLAY_HASH_LEN])
{
	memset(hash, 0, REPLAY_HASH_LEN);
	n *= 0x9e3779b97f4a7c15u;
	memcpy(hash, &n, sizeof n);
}

static bool add(struct replay_memory *m, uint64_t n, int64_t ctime_s, int64_t now_s)
{
	uint8_t hash[REPLAY_HASH_LEN];

	hash_of(n, hash);
	return replay_memory_add(m, hash, (struct krb_time){ ctime_s, 0 }, now_s);
}

static bool holds(const struct replay_memory *m, uint64_t n)
{
	uint8_t hash[REPLAY_HASH_LEN];

	hash_of(n, hash);
	return replay_memory_holds(m, hash);
}

START_TEST(each_is_remembered_until_it_is_too_old_anyway)
{
	enum { MANY = 10000 };
	struct replay_memory *m = replay_memory_new();

	ck_assert(!holds(m, 1));
	for (uint64_t n = 0; n < MANY; n++)
		ck_assert(add(m, n, NOW + (int64_t)n % 7, NOW));
	for (uint64_t n = 0; n < MANY; n++)
		ck_assert(holds(m, n));
	ck_assert(!holds(m, MANY));
	for (uint64_t n = 0; n < 8 * MANY; n++) /* later ones make room of what the skew check refuses */
		ck_assert(add(m, 2 * MANY + n, NOW + CLOCK_SKEW_S + 10, NOW + CLOCK_SKEW_S + 10));
	ck_assert(!holds(m, 0));
	ck_assert(holds(m, 2 * MANY));
	replay_memory_reset(m);
	ck_assert(!holds(m, 2 * MANY));
	replay_memory_free(m);
	replay_memory_free(NULL);
}
END_TEST

START_TEST(an_addresss_newest_is_of_one_spi)
{
	struct replay_memory *m = replay_memory_new();
	struct krb_time t;

	ck_assert(!replay_memory_newest(m, IP, 8, &t));
	for (uint32_t i = 0; i < 3000; i++)
		replay_memory_note(m, IP + i, 8, (struct krb_time){ NOW, (int32_t)i }, NOW);
	for (uint32_t i = 0; i < 3000; i++) {
		ck_assert(replay_memory_newest(m, IP + i, 8, &t));
		ck_assert_int_eq(t.us, i);
	}
	replay_memory_note(m, IP, 10, (struct krb_time){ NOW, 5 }, NOW);
	ck_assert(!replay_memory_newest(m, IP, 8, &t));
	ck_assert(replay_memory_newest(m, IP, 10, &t));
	ck_assert(krb_time_older((struct krb_time){ 1, 9 }, (struct krb_time){ 2, 0 }));
	ck_assert(krb_time_older((struct krb_time){ 1, 8 }, (struct krb_time){ 1, 9 }));
	ck_assert(!krb_time_older((struct krb_time){ 1, 9 }, (struct krb_time){ 1, 9 }));
	replay_memory_free(m);
}
END_TEST

/*
 * One address, at the rate that the processor allows, fills a quarter; then it has its share of a second and others
 * still come in.
 */
START_TEST(one_address_does_not_fill_it)
{
	struct replay_memory *m = replay_memory_new();
	uint64_t n = 0, accepted = 0;

	for (int64_t second = 0; second < 100; second++)
		for (unsigned i = 0; i < (second ? 100 : 2 * REPLAY_CROWDED); i++) {
			if (replay_memory_crowded(m, IP, NOW + second))
				continue;
			ck_assert(add(m, n++, NOW + second, NOW + second));
			replay_memory_note(m, IP, 8, (struct krb_time){ NOW + second, 0 }, NOW + second);
			accepted++;
		}
	ck_assert_uint_le(accepted, REPLAY_CROWDED + 1 + 100 * AP_PER_SECOND_MAX);
	ck_assert_uint_gt(accepted, REPLAY_CROWDED);
	ck_assert(replay_memory_crowded(m, IP, NOW + 99));
	ck_assert(!replay_memory_crowded(m, IP, NOW + 100));
	ck_assert(!replay_memory_crowded(m, IP + 1, NOW + 99));
	ck_assert(add(m, n, NOW + 99, NOW + 99));
	replay_memory_free(m);
}
END_TEST

START_TEST(a_full_one_takes_no_more)
{
	struct replay_memory *m = replay_memory_new();

	for (uint64_t n = 0; n < REPLAY_CACHE_MAX; n++)
		ck_assert(add(m, n, NOW, NOW));
	ck_assert(!add(m, REPLAY_CACHE_MAX, NOW, NOW));
	ck_assert(!add(m, REPLAY_CACHE_MAX, NOW, NOW + CLOCK_SKEW_S));
	ck_assert(add(m, REPLAY_CACHE_MAX, NOW, NOW + CLOCK_SKEW_S + 1));
	ck_assert(!holds(m, 0));
	replay_memory_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replay memory");
	TCase *t = tcase_create("replay memory");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_is_remembered_until_it_is_too_old_anyway);
	tcase_add_test(t, an_addresss_newest_is_of_one_spi);
	tcase_add_test(t, one_address_does_not_fill_it);
	tcase_add_test(t, a_full_one_takes_no_more);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

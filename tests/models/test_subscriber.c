/* The subscriber database: put, replace, find both ways, remove; through several growths of its tables. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/subscriber.h"

#define RECORDS 1000

static void number_of(int i, char out[SUBSCRIBER_NUMBER_LEN])
{
	snprintf(out, SUBSCRIBER_NUMBER_LEN, "(215) 55%d-%04d", i / 10000, i % 10000);
}

START_TEST(records_are_found_both_ways)
{
	struct crypto *crypto = crypto_new();
	struct subscribers *db = subscribers_new();
	char number[SUBSCRIBER_NUMBER_LEN], digits[SUBSCRIBER_NUMBER_LEN];

	for (int i = 0; i < RECORDS; i++) {
		uint8_t mac[6] = { 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

		number_of(i, number);
		ck_assert(subscribers_put(db, crypto, number, mac, (uint32_t)i));
	}
	ck_assert_uint_eq(subscribers_count(db), RECORDS);
	for (int i = 0; i < RECORDS; i++) {
		struct subscriber *s;
		uint8_t id[PHONE_ID_LEN];

		number_of(i, number);
		ck_assert(number_digits(number, digits));
		crypto_sha1(crypto, (const uint8_t *)digits, strlen(digits), id);
		s = subscribers_by_number(db, digits);
		ck_assert_ptr_nonnull(s);
		ck_assert_uint_eq(s->ip, (uint32_t)i);
		ck_assert_ptr_eq(subscribers_by_phone_id(db, id), s);
		if (i % 2) {
			ck_assert(subscribers_remove(db, number));
			ck_assert_ptr_null(subscribers_by_number(db, number));
			ck_assert_ptr_null(subscribers_by_phone_id(db, id));
			ck_assert(!subscribers_remove(db, number));
		}
	}
	ck_assert_uint_eq(subscribers_count(db), RECORDS / 2);
	subscribers_free(db);
	crypto_free(crypto);
}
END_TEST

START_TEST(a_number_has_one_record)
{
	static const uint8_t one[6] = { 2, 0, 0, 0, 0, 1 }, two[6] = { 2, 0, 0, 0, 0, 2 };
	struct crypto *crypto = crypto_new();
	struct subscribers *db = subscribers_new();

	ck_assert(subscribers_put(db, crypto, "215-555-0101", one, 1));
	ck_assert(subscribers_put(db, crypto, "2155550101", two, 2));
	ck_assert_uint_eq(subscribers_count(db), 1);
	ck_assert_mem_eq(subscribers_by_number(db, "215 555 0101")->mac, two, 6);
	ck_assert(!subscribers_put(db, crypto, "no digits", one, 1));
	ck_assert(!subscribers_put(db, crypto, "123456789012345678901234", one, 1));
	subscribers_free(db);
	crypto_free(crypto);
}
END_TEST

START_TEST(a_device_may_have_several_numbers)
{
	static const uint8_t one[6] = { 2, 0, 0, 0, 0, 1 }, two[6] = { 2, 0, 0, 0, 0, 2 };
	struct crypto *crypto = crypto_new();
	struct subscribers *db = subscribers_new();
	const struct subscriber *s = NULL;
	char number[SUBSCRIBER_NUMBER_LEN];
	unsigned found = 0;

	for (int i = 0; i < RECORDS; i++) {
		number_of(i, number);
		ck_assert(subscribers_put(db, crypto, number, i % 2 ? one : two, 1));
	}
	for (int i = 0; i < RECORDS; i += 3) { /* another device's now, or nobody's */
		number_of(i, number);
		ck_assert(i % 2 ? subscribers_put(db, crypto, number, two, 1) : subscribers_remove(db, number));
	}
	while ((s = subscribers_next_of_mac(db, one, s)))
		found++;
	ck_assert_uint_eq(found, RECORDS / 2 - (RECORDS + 3) / 6);
	found = 0;
	while ((s = subscribers_next_of_mac(db, two, s)))
		found++;
	ck_assert_uint_eq(found, subscribers_count(db) - (RECORDS / 2 - (RECORDS + 3) / 6));
	subscribers_free(db);
	crypto_free(crypto);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("subscribers");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(t, records_are_found_both_ways);
	tcase_add_test(t, a_number_has_one_record);
	tcase_add_test(t, a_device_may_have_several_numbers);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

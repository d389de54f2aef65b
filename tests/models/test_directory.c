/* The operator's directory: services, head-ends, numbers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/directory.h"

#define MANY 3000

START_TEST(services_have_one_place_and_addresses_their_first_service)
{
	struct directory *d = directory_new();

	ck_assert_uint_eq(directory_service_ip(d, "sc/sc1"), 0);
	directory_service_add(d, "sc/sc1", 0x0a000001);
	directory_service_add(d, "kdc/sc1", 0x0a000001);
	directory_service_add(d, "sc/sc2", 0x0a000002);
	ck_assert_uint_eq(directory_service_ip(d, "sc/sc2"), 0x0a000002);
	ck_assert_str_eq(directory_service_at(d, 0x0a000001), "sc/sc1");
	ck_assert_ptr_null(directory_service_at(d, 0x0a000003));
	directory_service_add(d, "sc/sc1", 0x0a000003); /* moves */
	ck_assert_str_eq(directory_service_at(d, 0x0a000003), "sc/sc1");
	ck_assert_str_eq(directory_service_at(d, 0x0a000001), "kdc/sc1");
	directory_free(d);
	directory_free(NULL);
}
END_TEST

/* A number may be routed to a service that has no address yet: no address is not an address. */
START_TEST(a_service_without_a_place_is_nowhere)
{
	struct directory *d = directory_new();

	directory_number_set(d, "2155550101", "sc/later");
	ck_assert_str_eq(directory_number(d, "2155550101"), "sc/later");
	ck_assert_uint_eq(directory_service_ip(d, "sc/later"), 0);
	ck_assert_ptr_null(directory_service_at(d, 0));
	directory_service_add(d, "sc/later", 0x0a000009);
	ck_assert_str_eq(directory_service_at(d, 0x0a000009), "sc/later");
	directory_free(d);
}
END_TEST

START_TEST(the_smallest_subnet_has_the_address_in_whatever_order)
{
	static const struct {
		uint32_t prefix;
		uint8_t len;
		const char *name;
	} nets[] = { { 0x0a000000, 8, "he/all" }, { 0x0a010000, 16, "he/one" }, { 0x0a010200, 24, "he/two" }, { 0, 0, "he/any" } };
	static const struct {
		uint32_t ip;
		const char *name;
	} rows[] = { { 0x0a010203, "he/two" }, { 0x0a0102ff, "he/two" }, { 0x0a010301, "he/one" }, { 0x0a020000, "he/all" },
		     { 0x0b000000, "he/any" } };

	for (unsigned first = 0; first < 4; first++) {
		struct directory *d = directory_new();

		ck_assert_ptr_null(directory_head_end_of(d, rows[0].ip));
		for (unsigned i = 0; i < 4; i++) {
			unsigned n = (first + i) % 4;

			directory_head_end_add(d, nets[n].prefix | 1, nets[n].len, nets[n].name);
		}
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			ck_assert_str_eq(directory_head_end_of(d, rows[i].ip), rows[i].name);
		directory_free(d);
	}
}
END_TEST

/* One that no head-end names serves all; one that is named, those segments only. */
START_TEST(a_controller_serves_its_segments)
{
	struct directory *d = directory_new();

	directory_head_end_add(d, 0x0a010000, 16, "he/one");
	directory_head_end_add(d, 0x0a020000, 16, "he/two");
	directory_head_end_add(d, 0x0a030000, 16, "he/three");
	directory_head_end_add(d, 0x0a010200, 24, "he/within");
	ck_assert(directory_serves(d, "sc/sc1", 0x0a020001));
	ck_assert(directory_serves(d, "sc/sc1", 0x0b000001));
	directory_segment_set(d, "he/one", "sc/sc2");
	directory_segment_set(d, "he/one", "sc/sc1");
	directory_segment_set(d, "he/three", "sc/sc1");
	directory_segment_set(d, "he/within", "sc/sc2");
	ck_assert(directory_serves(d, "sc/sc1", 0x0a010001));
	ck_assert(directory_serves(d, "sc/sc1", 0x0a030001));
	ck_assert(!directory_serves(d, "sc/sc1", 0x0a020001));
	ck_assert(!directory_serves(d, "sc/sc1", 0x0a010201));
	ck_assert(!directory_serves(d, "sc/sc1", 0x0b000001));
	ck_assert(directory_serves(d, "sc/sc2", 0x0a010201));
	ck_assert(!directory_serves(d, "sc/sc2", 0x0a010001));
	ck_assert(directory_serves(d, "ns/announce", 0x0b000001));
	directory_free(d);
}
END_TEST

START_TEST(numbers_come_move_and_go)
{
	struct directory *d = directory_new();
	char digits[16];

	ck_assert_ptr_null(directory_number(d, "1"));
	directory_number_set(d, "1", NULL);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(digits, sizeof digits, "215%07u", i);
		directory_number_set(d, digits, i % 2 ? "sc/odd" : "sc/even");
	}
	for (unsigned i = 0; i < MANY; i += 3) {
		snprintf(digits, sizeof digits, "215%07u", i);
		directory_number_set(d, digits, i % 2 ? NULL : "sc/third");
	}
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(digits, sizeof digits, "215%07u", i);
		if (i % 3 == 0 && i % 2)
			ck_assert_ptr_null(directory_number(d, digits));
		else
			ck_assert_str_eq(directory_number(d, digits), i % 3 == 0 ? "sc/third" : i % 2 ? "sc/odd" : "sc/even");
	}
	ck_assert_ptr_null(directory_number(d, "215"));
	directory_free(d);
}
END_TEST

/* The longest beginning decides, whatever the order of entering; a number of a service goes before all. */
START_TEST(beginnings_of_numbers_lead_to_gateways)
{
	static const struct {
		const char *number, *principal;
	} rows[] = {
		{ "2125550001", "sg/one" }, { "2129990001", "sg/two" }, { "2129", "sg/two" }, { "212", "sg/one" }, { "21", NULL },
		{ "8005550100", "sg/all" }, { "8", "sg/all" }, { "2155550101", "sc/sc1" }, { "2155550102", NULL }, { "", NULL },
	};
	static const char *const entered[][2] = { { "212", "sg/one" }, { "8", "sg/all" }, { "2129", "sg/two" } };

	for (unsigned order = 0; order < 3; order++) {
		struct directory *d = directory_new();

		directory_number_set(d, "2155550101", "sc/sc1");
		for (unsigned i = 0; i < 3; i++)
			directory_prefix_add(d, entered[(i + order) % 3][0], entered[(i + order) % 3][1]);
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			const char *got = directory_number(d, rows[i].number);

			ck_assert_msg(rows[i].principal ? got && strcmp(got, rows[i].principal) == 0 : !got, "order %u row %zu", order, i);
		}
		directory_free(d);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("directory");
	TCase *t = tcase_create("directory");
	SRunner *runner;
	int failed;

	tcase_add_test(t, services_have_one_place_and_addresses_their_first_service);
	tcase_add_test(t, a_service_without_a_place_is_nowhere);
	tcase_add_test(t, the_smallest_subnet_has_the_address_in_whatever_order);
	tcase_add_test(t, a_controller_serves_its_segments);
	tcase_add_test(t, numbers_come_move_and_go);
	tcase_add_test(t, beginnings_of_numbers_lead_to_gateways);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

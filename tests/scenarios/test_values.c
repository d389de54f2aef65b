/* Units and addresses as a scenario writes them. */
#include "tests/scenarios/host_fixture.h"

START_TEST(units)
{
	static const struct { const char *text; bool fine; sim_ns ns; } times[] = {
		{ "1ns", true, 1 }, { "20ms", true, 20 * NS_PER_MS }, { "1.5ms", true, 1500000 }, { "0.000000001s", true, 1 },
		{ "2min", true, 120 * NS_PER_S }, { "1h", true, 3600 * NS_PER_S }, { "3d", true, 259200 * NS_PER_S }, { "0s", true, 0 },
		{ "9223372036854775807ns", true, INT64_MAX }, { "9223372036854775808ns", false, 0 }, { "0.1ns", false, 0 },
		{ "1.0000000001s", false, 0 }, { "5", false, 0 }, { "", false, 0 }, { "s", false, 0 }, { "-1s", false, 0 },
		{ "1 s", false, 0 }, { "1.s", false, 0 }, { ".5s", false, 0 }, { "1e3s", false, 0 }, { "1sec", false, 0 },
		{ "999999999999d", false, 0 },
	};
	static const struct { const char *text; bool fine; uint64_t bps; } rates[] = {
		{ "1.5Mbit", true, 1500000 }, { "64kbit", true, 64000 }, { "1Gbit/s", true, 1000000000 }, { "unlimited", true, 0 },
		{ "0bit", false, 0 }, { "1.5bit", false, 0 }, { "10", false, 0 }, { "10Mb", false, 0 },
	};
	static const struct { const char *text; bool fine; uint32_t ppm; } ratios[] = {
		{ "1%", true, 10000 }, { "0.01%", true, 100 }, { "100%", true, 1000000 }, { "250ppm", true, 250 }, { "0%", true, 0 },
		{ "101%", false, 0 }, { "0.00001%", false, 0 }, { "1", false, 0 },
	};
	static const struct { const char *text; bool fine; int64_t unix_s; } epochs[] = {
		{ "2000-04-10T00:00:00Z", true, SIM_DEFAULT_EPOCH_S }, { "1970-01-01T00:00:00Z", true, 0 },
		{ "2000-02-29T12:34:56Z", true, 951827696 }, { "2001-02-29T00:00:00Z", false, 0 },
		{ "2000-13-01T00:00:00Z", false, 0 }, { "2000-04-10 00:00:00Z", false, 0 }, { "2000-04-10T00:00:00", false, 0 },
		{ "1969-12-31T23:59:59Z", false, 0 }, { "2000", false, 0 },
	};

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		sim_ns ns = -1;

		ck_assert_msg(time_parse(times[i].text, &ns) == times[i].fine, "%zu: %s", i, times[i].text);
		if (times[i].fine)
			ck_assert_msg(ns == times[i].ns, "%zu: %s", i, times[i].text);
	}
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		uint64_t bps = 1;

		ck_assert_msg(rate_parse(rates[i].text, &bps) == rates[i].fine, "%zu: %s", i, rates[i].text);
		if (rates[i].fine)
			ck_assert_msg(bps == rates[i].bps, "%zu: %s", i, rates[i].text);
	}
	for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
		uint32_t ppm = 1;

		ck_assert_msg(ratio_parse(ratios[i].text, &ppm) == ratios[i].fine, "%zu: %s", i, ratios[i].text);
		if (ratios[i].fine)
			ck_assert_msg(ppm == ratios[i].ppm, "%zu: %s", i, ratios[i].text);
	}
	for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++) {
		int64_t s = -1;

		ck_assert_msg(epoch_parse(epochs[i].text, &s) == epochs[i].fine, "%zu: %s", i, epochs[i].text);
		if (epochs[i].fine)
			ck_assert_msg(s == epochs[i].unix_s, "%zu: %s: %lld", i, epochs[i].text, (long long)s);
	}
}
END_TEST

START_TEST(addresses)
{
	uint8_t mac[6], len;
	uint32_t ip;
	char buf[TIME_TEXT_LEN];

	ck_assert(mac_parse("02:00:aB:Ff:00:01", mac) && mac[2] == 0xab && mac[3] == 0xff);
	ck_assert(!mac_parse("02:00:aB:Ff:00", mac));
	ck_assert(!mac_parse("02:00:aB:Ff:00:0g", mac));
	ck_assert(!mac_parse("02:00:aB:Ff:00:011", mac));
	ck_assert(subnet_parse("10.1.0.2/24", &ip, &len) && ip == 0x0a010002 && len == 24);
	ck_assert(!subnet_parse("10.1.0.2", &ip, &len));
	ck_assert(!subnet_parse("10.1.0.2/33", &ip, &len));
	ck_assert(!subnet_parse("10.1.0/24", &ip, &len));
	ck_assert_str_eq(time_text(1500 * NS_PER_US, buf), "1500us");
	ck_assert_str_eq(time_text(0, buf), "0s");
	ck_assert_str_eq(clock_text(5 * NS_PER_S, buf), "5.000 s");
	ck_assert_str_eq(clock_text(1, buf), "0.000000001 s");
	ck_assert_str_eq(clock_text(1500 * NS_PER_US, buf), "0.0015 s");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("values");

	tcase_add_test(tc, units);
	tcase_add_test(tc, addresses);
	return run_case(tc);
}

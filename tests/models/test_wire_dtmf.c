/*
 * Telephone events: the example of RFC 2833 (a caller dials 911), the packets of a press, a receiver under loss,
 * repetition and reordering, mutations.
 */
#include "models/wire/dtmf.h"
#include "tests/models/wire_fixture.h"

START_TEST(events_of_rfc2833) /* "911" dialled, seen while the last 1 is held */
{
	static const struct {
		const char *hex;
		struct dtmf_event e;
	} events[] = {
		{ "09 87 0640", { 9, true, 7, 1600 } },
		{ "01 8a 07d0", { 1, true, 10, 2000 } },
		{ "10 3f 0000", { 16, false, 63, 0 } },
		{ "01 14 0190", { 1, false, 20, 400 } },
		/* put together by hand; tshark 4.0: DTMF Five 5, volume 10, duration 320 */
		{ "05 0a 0140", { 5, false, 10, 320 } },
	};

	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		uint8_t bytes[FIXTURE_MAX], out[DTMF_PAYLOAD_LEN];
		size_t len = bytes_of(events[i].hex, bytes);
		struct dtmf_event e;

		ck_assert(dtmf_parse(bytes, len, &e));
		ck_assert(e.event == events[i].e.event && e.end == events[i].e.end && e.volume == events[i].e.volume &&
		          e.duration == events[i].e.duration);
		ck_assert(dtmf_write(&e, out));
		ck_assert_mem_eq(out, bytes, len);
		bytes[1] |= 0x40; /* the reserved bit */
		ck_assert(dtmf_parse(bytes, len, &e) && e.volume == events[i].e.volume);
		ck_assert(!dtmf_parse(bytes, len - 1, &e) && !dtmf_parse(bytes, len + 1, &e) &&
		          !dtmf_parse(bytes, 0, &e));
	}
	ck_assert(!dtmf_write(&(struct dtmf_event){ .volume = 64 }, (uint8_t[DTMF_PAYLOAD_LEN]){ 0 }));
}
END_TEST

START_TEST(digits) /* RFC 2833 table 1 */
{
	static const char all[] = "0123456789*#ABCD!";

	for (unsigned event = 0; event < 256; event++) {
		char expected = event < sizeof all - 1 ? all[event] : '\0';

		ck_assert_int_eq(dtmf_digit((uint8_t)event), expected);
		if (expected)
			ck_assert_int_eq(dtmf_event_of(expected), (int)event);
	}
	ck_assert_int_eq(dtmf_event_of('a'), 12);
	ck_assert_int_eq(dtmf_event_of('d'), 15);
	ck_assert_int_eq(dtmf_event_of('e'), -1);
	ck_assert_int_eq(dtmf_event_of('E'), -1);
	ck_assert_int_eq(dtmf_event_of('\0'), -1);
}
END_TEST

START_TEST(packets_of_a_press) /* a 9 of 200 ms reported every 50 ms, as in the same example */
{
	static const struct {
		uint32_t at;
		const char *hex;
	} expected[] = {
		{ 400, "09 0a 0190" }, { 800, "09 0a 0320" }, { 1200, "09 0a 04b0" },
		{ 1600, "09 8a 0640" }, { 2000, "09 8a 0640" }, { 2400, "09 8a 0640" },
	};
	struct dtmf_press press;
	struct dtmf_packet packet;

	ck_assert(dtmf_press_start(&press, '9', 1600, 400));
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		uint8_t bytes[FIXTURE_MAX];

		bytes_of(expected[i].hex, bytes);
		ck_assert(dtmf_press_next(&press, &packet));
		ck_assert_uint_eq(packet.at, expected[i].at);
		ck_assert(packet.marker == (i == 0));
		ck_assert_mem_eq(packet.payload, bytes, DTMF_PAYLOAD_LEN);
	}
	ck_assert(!dtmf_press_next(&press, &packet) && !dtmf_press_next(&press, &packet));
}
END_TEST

START_TEST(presses_at_the_limits)
{
	struct dtmf_press press;
	struct dtmf_packet packet;
	unsigned count = 0;

	ck_assert(!dtmf_press_start(&press, 'x', 1600, DTMF_STEP));
	ck_assert(!dtmf_press_start(&press, '1', 0, DTMF_STEP));
	ck_assert(!dtmf_press_start(&press, '1', 1600, 0));
	ck_assert(!dtmf_press_start(&press, '1', DTMF_DURATION_MAX + 1, DTMF_STEP));
	/* over before the first report: three ends, the first marked */
	ck_assert(dtmf_press_start(&press, '#', 1, DTMF_STEP));
	while (dtmf_press_next(&press, &packet)) {
		ck_assert(packet.marker == (count == 0) && packet.payload[1] & 0x80);
		ck_assert_uint_eq(packet.at, 1 + count++ * DTMF_STEP);
	}
	ck_assert_uint_eq(count, DTMF_END_PACKETS);
	ck_assert(dtmf_press_start(&press, '#', DTMF_DURATION_MAX, DTMF_STEP));
	for (count = 0; dtmf_press_next(&press, &packet); count++)
		;
	ck_assert_uint_eq(count, DTMF_DURATION_MAX / DTMF_STEP + DTMF_END_PACKETS);
	ck_assert(packet.payload[2] == 0xff && packet.payload[3] == 0xff);
}
END_TEST

struct sent {
	uint32_t timestamp;
	uint8_t payload[DTMF_PAYLOAD_LEN];
};

/* Presses of 100 ms every 200 ms, the time stamp running over in the middle. */
static size_t dial(const char *number, struct sent *out)
{
	uint32_t start = UINT32_MAX - 4000;
	size_t count = 0;

	for (; *number; number++, start += 1600) {
		struct dtmf_press press;
		struct dtmf_packet packet;

		ck_assert(dtmf_press_start(&press, *number, 800, DTMF_STEP));
		while (dtmf_press_next(&press, &packet)) {
			out[count].timestamp = start;
			memcpy(out[count++].payload, packet.payload, DTMF_PAYLOAD_LEN);
		}
	}
	return count;
}

static void hear(struct dtmf_receiver *r, const struct sent *sent, char *text)
{
	char digit;

	if (dtmf_receive(r, sent->timestamp, sent->payload, DTMF_PAYLOAD_LEN, &digit) == DTMF_KEY)
		strncat(text, &digit, 1);
}

#define NUMBER "6105550102#*"
#define PACKETS_A_PRESS 7 /* four on the way, three ends */

START_TEST(any_packets_of_a_press_give_the_key) /* every subset of the packets of each press but none of them */
{
	struct sent sent[128];
	size_t count = dial(NUMBER, sent);

	ck_assert_uint_eq(count, strlen(NUMBER) * PACKETS_A_PRESS);
	for (unsigned kept = 1; kept < 1u << PACKETS_A_PRESS; kept++) {
		struct dtmf_receiver r = { 0 };
		char text[128] = "";

		for (size_t i = 0; i < count; i++)
			if (kept & 1u << i % PACKETS_A_PRESS)
				hear(&r, &sent[i], text);
		ck_assert_str_eq(text, NUMBER);
	}
}
END_TEST

START_TEST(repetition_and_order_within_a_press_do_not_matter)
{
	struct sent sent[128];
	size_t count = dial(NUMBER, sent);
	struct dtmf_receiver r = { 0 };
	char text[128] = "";

	for (size_t press = 0; press < count; press += PACKETS_A_PRESS)
		for (int twice = 0; twice < 2; twice++)
			for (size_t i = PACKETS_A_PRESS; i-- > 0;)
				hear(&r, &sent[press + i], text);
	ck_assert_str_eq(text, NUMBER);
	for (size_t i = 0; i + 1 < count; i++) /* all of it again, late */
		hear(&r, &sent[i], text);
	ck_assert_str_eq(text, NUMBER);
}
END_TEST

START_TEST(a_lost_press_is_a_lost_key)
{
	struct sent sent[128];
	size_t count = dial("123", sent);
	struct dtmf_receiver r = { 0 };
	char text[128] = "";

	for (size_t i = 0; i < count; i++)
		if (i / PACKETS_A_PRESS != 1)
			hear(&r, &sent[i], text);
	ck_assert_str_eq(text, "13");
}
END_TEST

START_TEST(what_is_no_key)
{
	struct dtmf_receiver r = { 0 };
	char digit = '\0';

	/* answer tone */
	ck_assert_int_eq(dtmf_receive(&r, 0, (const uint8_t *)"\x20\x8a\0\1", 4, &digit), DTMF_NO_KEY);
	ck_assert_int_eq(dtmf_receive(&r, 0, (const uint8_t *)"\1\x0a\0", 3, &digit), DTMF_REFUSED);
	ck_assert(!r.heard && !digit);
	ck_assert_int_eq(dtmf_receive(&r, 0, (const uint8_t *)"\1\x0a\0\xa0", 4, &digit), DTMF_KEY);
	ck_assert_int_eq(digit, '1');
	ck_assert_int_eq(dtmf_receive(&r, 0, (const uint8_t *)"\2\x0a\0\xa0", 4, &digit), DTMF_REFUSED);
	ck_assert_int_eq(dtmf_receive(&r, 0, (const uint8_t *)"\1\x8a\1\0", 4, &digit), DTMF_REPEATED);
	ck_assert(r.ended && r.duration == 256 && digit == '1');
}
END_TEST

START_TEST(a_long_press_is_one_key) /* RFC 4733 section 2.5.1.3: segments; the same key pressed again is another */
{
	struct dtmf_receiver r = { 0 };
	char digit = '\0';

	ck_assert_int_eq(dtmf_receive(&r, 5, (const uint8_t *)"\3\x0a\xff\xff", 4, &digit), DTMF_KEY);
	ck_assert_int_eq(dtmf_receive(&r, 5 + 0xffff, (const uint8_t *)"\3\x0a\0\xa0", 4, &digit), DTMF_REPEATED);
	ck_assert_int_eq(dtmf_receive(&r, 5 + 0xffff, (const uint8_t *)"\3\x8a\xff\xff", 4, &digit), DTMF_REPEATED);
	ck_assert_int_eq(dtmf_receive(&r, 5 + 2 * 0xffff, (const uint8_t *)"\3\x0a\0\xa0", 4, &digit), DTMF_KEY);
}
END_TEST

static size_t keys;

static void run_mutant(const uint8_t *bytes, size_t len)
{
	static struct dtmf_receiver r;
	static uint32_t timestamp;
	char all[FIXTURE_MAX] = "", digit = '\0';

	if (dtmf_receive(&r, timestamp += 80, bytes, len, &digit) == DTMF_KEY) {
		ck_assert_int_eq(dtmf_event_of(digit), bytes[0]);
		keys++;
	}
	dtmf_describe(bytes, len, collect, all);
	ck_assert((len == DTMF_PAYLOAD_LEN) == (strlen(all) > 0));
}

START_TEST(survives_mutations)
{
	mutate((const uint8_t *)"\5\x0a\1\x40", DTMF_PAYLOAD_LEN, 2833, run_mutant);
	ck_assert(keys > 0 && keys < FIXTURE_MUTATIONS);
}
END_TEST

START_TEST(describes)
{
	char all[FIXTURE_MAX] = "";

	dtmf_describe((const uint8_t *)"\12\x8a\1\x40", DTMF_PAYLOAD_LEN, collect, all);
	ck_assert_str_eq(all, "event=10;key=*;end=yes;duration=320;");
	all[0] = '\0';
	dtmf_describe((const uint8_t *)"\7\x8a\1\x40", DTMF_PAYLOAD_LEN, collect, all); /* may be a PIN's */
	ck_assert_str_eq(all, "key=digit;end=yes;duration=320;");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_test(t, events_of_rfc2833);
	tcase_add_test(t, digits);
	tcase_add_test(t, packets_of_a_press);
	tcase_add_test(t, presses_at_the_limits);
	tcase_add_test(t, any_packets_of_a_press_give_the_key);
	tcase_add_test(t, repetition_and_order_within_a_press_do_not_matter);
	tcase_add_test(t, a_lost_press_is_a_lost_key);
	tcase_add_test(t, what_is_no_key);
	tcase_add_test(t, a_long_press_is_one_key);
	tcase_add_test(t, survives_mutations);
	tcase_add_test(t, describes);
	return run_suite("telephone events", t);
}

/*
 * Keys as tones: what is sent has the frequencies of Q.23 (by another reckoning than the receiver's), what is heard is
 * what was sent, in whatever phase it comes, and voice is no key.
 */
#include "models/dtmf_tone.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sim/rng.h"

#define ALL "123A456B789C*0#D"
#define PACKETS 400
#define TURN 6.283185307179586

static void fill(struct dtmf_tone_sender *sender, uint8_t *out, unsigned packets)
{
	for (unsigned i = 0; i < packets; i++)
		if (!dtmf_tone_fill(sender, out + i * RTP_PAYLOAD_LEN))
			memset(out + i * RTP_PAYLOAD_LEN, 0xff, RTP_PAYLOAD_LEN);
}

/* What is heard in a stretch of voice, from some sample on. */
static void hear(const uint8_t *octets, unsigned packets, unsigned from, char *out)
{
	struct dtmf_tone_receiver receiver = { 0 };
	char key;

	for (unsigned i = 0; i + 1 < packets; i++) {
		key = dtmf_tone_hear(&receiver, octets + from + i * RTP_PAYLOAD_LEN);
		if (key)
			*out++ = key;
	}
	*out = '\0';
}

static double amplitude(const uint8_t *octets, unsigned count, double hz)
{
	double re = 0, im = 0;

	for (unsigned i = 0; i < count; i++) {
		re += g711_ulaw_decode(octets[i]) * cos(TURN * hz * i / 8000);
		im += g711_ulaw_decode(octets[i]) * sin(TURN * hz * i / 8000);
	}
	return 2 * sqrt(re * re + im * im) / count;
}

START_TEST(tones_are_those_of_q23)
{
	static const double low[] = { 697, 770, 852, 941 }, high[] = { 1209, 1336, 1477, 1633 };

	for (unsigned k = 0; k < 16; k++) {
		struct dtmf_tone_sender sender = { 0 };
		uint8_t octets[(DTMF_TONE_PACKETS + DTMF_PAUSE_PACKETS) * RTP_PAYLOAD_LEN];
		unsigned count = DTMF_TONE_PACKETS * RTP_PAYLOAD_LEN;

		ck_assert(dtmf_tone_press(&sender, (char[]){ ALL[k], '\0' }));
		fill(&sender, octets, DTMF_TONE_PACKETS + DTMF_PAUSE_PACKETS);
		for (unsigned i = 0; i < 4; i++) {
			ck_assert_int_eq(amplitude(octets, count, low[i]) > 3500, i == k / 4);
			ck_assert_int_eq(amplitude(octets, count, high[i]) > 3500, i == k % 4);
			ck_assert(i == k / 4 || amplitude(octets, count, low[i]) < 500);
			ck_assert(i == k % 4 || amplitude(octets, count, high[i]) < 500);
		}
		for (unsigned i = count; i < sizeof octets; i++)
			ck_assert_int_eq(g711_ulaw_decode(octets[i]), 0);
		ck_assert(!dtmf_tone_fill(&sender, octets));
	}
}
END_TEST

/* However the two clocks stand to each other; each once, and twice where it is pressed twice. */
START_TEST(what_is_pressed_is_heard)
{
	static uint8_t octets[PACKETS * RTP_PAYLOAD_LEN];

	for (unsigned from = 0; from < RTP_PAYLOAD_LEN; from++) {
		struct dtmf_tone_sender sender = { 0 };
		char heard[64];

		ck_assert(dtmf_tone_press(&sender, ALL) && dtmf_tone_press(&sender, "11"));
		fill(&sender, octets, PACKETS);
		hear(octets, PACKETS, from, heard);
		ck_assert_str_eq(heard, ALL "11");
	}
}
END_TEST

START_TEST(a_told_tone_lasts_until_it_ends)
{
	struct dtmf_tone_sender sender = { 0 };
	struct dtmf_tone_receiver receiver = { 0 };
	uint8_t octets[RTP_PAYLOAD_LEN];

	ck_assert(dtmf_tone_press(&sender, "5"));
	for (unsigned i = 0; dtmf_tone_fill(&sender, octets); i++) {
		ck_assert_int_eq(dtmf_tone_hear(&receiver, octets), i == 1 ? '5' : 0);
		ck_assert_int_eq(dtmf_tone_lasts(&receiver), i >= 1 && i < DTMF_TONE_PACKETS);
	}
}
END_TEST

START_TEST(what_is_no_key_is_not_pressed)
{
	struct dtmf_tone_sender sender = { 0 };
	char many[DTMF_TONE_KEYS_MAX + 2];
	uint8_t octets[RTP_PAYLOAD_LEN];

	ck_assert(!dtmf_tone_press(&sender, "12!") && !dtmf_tone_press(&sender, "a") && !dtmf_tone_press(&sender, " "));
	ck_assert(dtmf_tone_press(&sender, ""));
	ck_assert(!dtmf_tone_fill(&sender, octets));
	memset(many, '7', sizeof many - 1);
	many[sizeof many - 1] = '\0';
	ck_assert(!dtmf_tone_press(&sender, many));
	many[DTMF_TONE_KEYS_MAX] = '\0';
	ck_assert(dtmf_tone_press(&sender, many));
	ck_assert(!dtmf_tone_press(&sender, "1"));
}
END_TEST

/* Samples by a function of time. */
static unsigned keys_in(int16_t (*sample)(unsigned n, struct rng *rng), uint64_t seed)
{
	static uint8_t octets[PACKETS * RTP_PAYLOAD_LEN];
	char heard[PACKETS];
	struct rng rng;

	rng_init(&rng, seed, "test", "voice");
	for (unsigned i = 0; i < sizeof octets; i++)
		octets[i] = g711_ulaw(sample(i, &rng));
	hear(octets, PACKETS, 0, heard);
	return (unsigned)strlen(heard);
}

static int16_t silence(unsigned n, struct rng *rng)
{
	(void)n, (void)rng;
	return 0;
}

static int16_t noise(unsigned n, struct rng *rng)
{
	(void)n;
	return (int16_t)(rng_below(rng, 65536) - 32768);
}

static int16_t one_tone(unsigned n, struct rng *rng)
{
	(void)rng;
	return (int16_t)(8000 * sin(TURN * 770 * n / 8000));
}

/* Harmonics of a pitch that glides: it has every pair of tones at some time, and others besides. */
static int16_t vowel(unsigned n, struct rng *rng)
{
	double pitch = TURN * (90.0 * n + 0.0008 * n * n) / 8000, sum = 0;

	(void)rng;
	for (unsigned k = 1; k < 14; k++)
		sum += sin(pitch * k) / k;
	return (int16_t)(6000 * sum);
}

static int16_t faint(unsigned n, struct rng *rng)
{
	(void)rng;
	return (int16_t)(60 * (sin(TURN * 770 * n / 8000) + sin(TURN * 1336 * n / 8000)));
}

static int16_t loud(unsigned n, struct rng *rng)
{
	(void)rng;
	return (int16_t)(16000 * (sin(TURN * 770 * n / 8000) + sin(TURN * 1336 * n / 8000)));
}

START_TEST(voice_is_no_key)
{
	ck_assert_uint_eq(keys_in(silence, 1), 0);
	ck_assert_uint_eq(keys_in(one_tone, 1), 0);
	ck_assert_uint_eq(keys_in(vowel, 1), 0);
	ck_assert_uint_eq(keys_in(faint, 1), 0);
	ck_assert_uint_eq(keys_in(loud, 1), 1);
	for (uint64_t seed = 1; seed < 20; seed++)
		ck_assert_uint_eq(keys_in(noise, seed), 0);
}
END_TEST

/* Any octets at all: no sum runs over (the sanitizer watches). */
START_TEST(extremes_do_no_harm)
{
	static const uint8_t codes[] = { 0x00, 0x80, 0x7f, 0xff };
	struct dtmf_tone_receiver receiver = { 0 };
	uint8_t octets[RTP_PAYLOAD_LEN];

	for (unsigned period = 1; period <= RTP_PAYLOAD_LEN; period++)
		for (unsigned c = 0; c < 4; c++) {
			for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++)
				octets[i] = codes[i / period % 2 ? 1 : c];
			dtmf_tone_hear(&receiver, octets);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("DTMF tones");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(t, tones_are_those_of_q23);
	tcase_add_test(t, what_is_pressed_is_heard);
	tcase_add_test(t, a_told_tone_lasts_until_it_ends);
	tcase_add_test(t, what_is_no_key_is_not_pressed);
	tcase_add_test(t, voice_is_no_key);
	tcase_add_test(t, extremes_do_no_harm);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

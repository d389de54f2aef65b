/* Keys as tones; see dtmf_tone.h. Frequencies: ITU-T Q.23; the receiver is Goertzel's, at each of them. */
#include "models/dtmf_tone.h"

#include <string.h>
#include "models/media.h"

#define LINES 4 /* of either group */
#define COEFFICIENT_BITS 14
#define LOUDNESS_SHIFT 3           /* each tone is an eighth of what a sample can hold */
#define AMPLITUDE_MIN 250          /* of each tone: -42 dBm0 */
#define POWER_OF(amplitude) ((int64_t)(amplitude) * (amplitude) * (RTP_PAYLOAD_LEN / 2) * (RTP_PAYLOAD_LEN / 2))
#define TWIST_MAX 8                /* powers of the two tones: 9 dB */
#define APART_MIN 4                /* from the next one of its group: 6 dB */

static const char keys[LINES][LINES + 1] = { "123A", "456B", "789C", "*0#D" };

struct line {
	uint16_t step;        /* of a 16-bit phase, a sample */
	int32_t coefficient;  /* 2 cos(2 pi f / 8000), COEFFICIENT_BITS behind the point */
};
static const struct line low[LINES] = { { 5710, 27980 }, { 6308, 26956 }, { 6980, 25701 }, { 7709, 24219 } };
static const struct line high[LINES] = { { 9904, 19073 }, { 10945, 16325 }, { 12100, 13085 }, { 13378, 9315 } };

/* Sending */

static bool place_of(char key, unsigned *row, unsigned *column)
{
	for (*row = 0; key && *row < LINES; ++*row) {
		const char *at = strchr(keys[*row], key);

		if (at) {
			*column = (unsigned)(at - keys[*row]);
			return true;
		}
	}
	return false;
}

bool dtmf_tone_press(struct dtmf_tone_sender *s, const char *pressed)
{
	size_t count = strlen(pressed);
	unsigned row, column;

	if (count > DTMF_TONE_KEYS_MAX - s->key_count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!place_of(pressed[i], &row, &column))
			return false;
	memcpy(s->keys + s->key_count, pressed, count);
	s->key_count += (unsigned)count;
	return true;
}

static bool next_key(struct dtmf_tone_sender *s)
{
	unsigned row, column;

	if (!s->key_count || !place_of(s->keys[0], &row, &column))
		return false;
	memmove(s->keys, s->keys + 1, --s->key_count);
	s->step[0] = low[row].step;
	s->step[1] = high[column].step;
	s->phase[0] = s->phase[1] = 0;
	s->packets = DTMF_TONE_PACKETS + DTMF_PAUSE_PACKETS;
	return true;
}

/* A sine as parabolas, -32768..32768, by its phase. */
static int32_t wave(uint16_t phase)
{
	int32_t x = phase & 0x7fff, v = x * (0x8000 - x) >> 13;

	return phase & 0x8000 ? -v : v;
}

bool dtmf_tone_fill(struct dtmf_tone_sender *s, uint8_t octets[RTP_PAYLOAD_LEN])
{
	if (!s->packets && !next_key(s))
		return false;
	for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++) {
		int32_t sum = (wave(s->phase[0]) + wave(s->phase[1])) / (1 << LOUDNESS_SHIFT);

		octets[i] = g711_ulaw(s->packets > DTMF_PAUSE_PACKETS ? (int16_t)sum : 0);
		s->phase[0] = (uint16_t)(s->phase[0] + s->step[0]);
		s->phase[1] = (uint16_t)(s->phase[1] + s->step[1]);
	}
	s->packets--;
	return true;
}

/* Receiving */

/* Power at one frequency, in units of POWER_OF() an amplitude. */
static int64_t power_at(const int16_t samples[RTP_PAYLOAD_LEN], int32_t coefficient)
{
	int64_t before = 0, last = 0;

	for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++) {
		int64_t now = samples[i] + coefficient * last / (1 << COEFFICIENT_BITS) - before;

		before = last;
		last = now;
	}
	return last * last + before * before - coefficient * last / (1 << COEFFICIENT_BITS) * before;
}

/* The one line of a group that stands out; LINES: none does. */
static unsigned strongest(const int16_t samples[RTP_PAYLOAD_LEN], const struct line lines[LINES], int64_t *power)
{
	int64_t second = 0;
	unsigned best = 0;

	*power = -1;
	for (unsigned i = 0; i < LINES; i++) {
		int64_t here = power_at(samples, lines[i].coefficient);

		if (here > *power) {
			second = *power;
			*power = here;
			best = i;
		} else if (here > second) {
			second = here;
		}
	}
	return *power >= POWER_OF(AMPLITUDE_MIN) && *power >= second * APART_MIN ? best : LINES;
}

/* Both tones alike, and two thirds of all that there is: voice has them too, but not alone. */
static char key_in(const uint8_t octets[RTP_PAYLOAD_LEN])
{
	int16_t samples[RTP_PAYLOAD_LEN];
	int64_t energy = 0, low_power, high_power;
	unsigned row, column;

	for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++) {
		samples[i] = g711_ulaw_decode(octets[i]);
		energy += (int64_t)samples[i] * samples[i];
	}
	/* Of one sine this is its power as above; of two, the sum of both. */
	energy *= RTP_PAYLOAD_LEN / 2;
	if (energy < 2 * POWER_OF(AMPLITUDE_MIN))
		return '\0';
	row = strongest(samples, low, &low_power);
	if (row == LINES)
		return '\0';
	column = strongest(samples, high, &high_power);
	if (column == LINES || low_power > high_power * TWIST_MAX || high_power > low_power * TWIST_MAX ||
	    3 * (low_power + high_power) < 2 * energy)
		return '\0';
	return keys[row][column];
}

char dtmf_tone_hear(struct dtmf_tone_receiver *r, const uint8_t octets[RTP_PAYLOAD_LEN])
{
	char key = key_in(octets);
	bool again = key && key == r->key, first = again && !r->told;

	r->key = key;
	r->told = again;
	return first ? key : '\0';
}

bool dtmf_tone_lasts(const struct dtmf_tone_receiver *r)
{
	return r->told;
}

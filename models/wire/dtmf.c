/* Telephone events; see dtmf.h. RFC 2833 sections 3.5 (payload), 3.6 (sending), 3.10 (events). */
#include "models/wire/dtmf.h"

#define FLAG_END 0x80

static const char digits[] = "0123456789*#ABCD!";
#define DIGIT_COUNT (sizeof digits - 1)

bool dtmf_parse(const uint8_t *bytes, size_t len, struct dtmf_event *out)
{
	if (len != DTMF_PAYLOAD_LEN)
		return false;
	*out = (struct dtmf_event){ bytes[0], bytes[1] & FLAG_END, bytes[1] & DTMF_VOLUME_MAX, be16(bytes + 2) };
	return true;
}

bool dtmf_write(const struct dtmf_event *event, uint8_t out[DTMF_PAYLOAD_LEN])
{
	if (event->volume > DTMF_VOLUME_MAX)
		return false;
	out[0] = event->event;
	out[1] = (uint8_t)((event->end ? FLAG_END : 0) | event->volume);
	out[2] = (uint8_t)(event->duration >> 8);
	out[3] = (uint8_t)event->duration;
	return true;
}

char dtmf_digit(uint8_t event)
{
	return event < DIGIT_COUNT ? digits[event] : '\0';
}

int dtmf_event_of(char digit)
{
	const char *place = digit ? strchr(digits, digit >= 'a' && digit <= 'd' ? digit - 'a' + 'A' : digit) : NULL;

	return place ? (int)(place - digits) : -1;
}

bool dtmf_press_start(struct dtmf_press *press, char digit, uint32_t duration, uint16_t step)
{
	int event = dtmf_event_of(digit);

	if (event < 0 || !step || !duration || duration > DTMF_DURATION_MAX)
		return false;
	*press = (struct dtmf_press){ (uint8_t)event, DTMF_VOLUME, (uint16_t)duration, step, 0, 0 };
	return true;
}

bool dtmf_press_next(struct dtmf_press *press, struct dtmf_packet *out)
{
	uint32_t elapsed = (press->sent + 1) * press->step;
	struct dtmf_event event = { press->event, false, press->volume, (uint16_t)elapsed };

	out->marker = press->sent + press->ends == 0;
	if (elapsed < press->duration) {
		out->at = elapsed;
		press->sent++;
	} else if (press->ends < DTMF_END_PACKETS) {
		event.end = true;
		event.duration = press->duration;
		out->at = press->duration + press->ends++ * press->step;
	} else {
		return false;
	}
	return dtmf_write(&event, out->payload);
}

/*
 * A press longer than DTMF_DURATION_MAX is sent in segments: the next begins where that ends, and no end was told
 * (RFC 4733 section 2.5.1.3).
 */
static bool is_segment(const struct dtmf_receiver *r, uint32_t timestamp, const struct dtmf_event *e)
{
	return e->event == r->event && !r->ended && r->duration == DTMF_DURATION_MAX &&
	       timestamp - r->timestamp == DTMF_DURATION_MAX;
}

enum dtmf_result dtmf_receive(struct dtmf_receiver *r, uint32_t timestamp, const uint8_t *payload, size_t len,
                              char *digit)
{
	struct dtmf_event e;
	bool segment;

	if (!dtmf_parse(payload, len, &e))
		return DTMF_REFUSED;
	if (!dtmf_digit(e.event))
		return DTMF_NO_KEY;
	if (r->heard && timestamp == r->timestamp) {
		if (e.event != r->event)
			return DTMF_REFUSED;
		r->ended |= e.end;
		if (e.duration > r->duration)
			r->duration = e.duration;
		return DTMF_REPEATED;
	}
	if (r->heard && (int32_t)(timestamp - r->timestamp) < 0)
		return DTMF_REPEATED;
	segment = r->heard && is_segment(r, timestamp, &e);
	*r = (struct dtmf_receiver){ true, e.end, e.event, e.duration, timestamp };
	if (segment)
		return DTMF_REPEATED;
	*digit = dtmf_digit(e.event);
	return DTMF_KEY;
}

void dtmf_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx)
{
	struct dtmf_event e;
	char key[2] = { 0 };

	if (!dtmf_parse(bytes, len, &e))
		return;
	key[0] = dtmf_digit(e.event);
	if (key[0] >= '0' && key[0] <= '9') {
		field(ctx, "key", "digit", WIRE_FACT);
	} else {
		field_number(field, ctx, "event", e.event, WIRE_FACT);
		if (key[0])
			field(ctx, "key", key, WIRE_FACT);
	}
	field(ctx, "end", e.end ? "yes" : "no", WIRE_FACT);
	field_number(field, ctx, "duration", e.duration, WIRE_TIME);
}

/*
 * Telephone events (RFC 2833): keys pressed on a phone, as RTP payloads among the packets of the voice. Here are the
 * payload, the packets of one key press, and a receiver that makes keys of payloads again. Bytes <-> struct; RTP itself
 * is rtp.h.
 *
 * All packets of a press have the RTP time stamp of its beginning: that is what tells one press from the next. Hence
 * any one packet of a press that arrives gives the key, once, in whatever order and however often they come.
 */
#ifndef TOLLGATE_WIRE_DTMF_H
#define TOLLGATE_WIRE_DTMF_H

#include "models/wire/bytes.h"

#define DTMF_PAYLOAD_TYPE 101     /* dynamic; the number everybody takes */
#define DTMF_PAYLOAD_LEN 4
#define DTMF_END_PACKETS 3        /* RFC 2833 section 3.6 */
#define DTMF_STEP 160u            /* samples between packets: the 20 ms of an RTP packet of voice */
#define DTMF_VOLUME 10u           /* dBm0 below zero */
#define DTMF_VOLUME_MAX 63u
#define DTMF_DURATION_MAX 0xffffu /* samples: 8 s */

struct dtmf_event {
	uint8_t event;               /* 0-9, 10 *, 11 #, 12-15 A-D, 16 hook flash; others are no keys */
	bool end;
	uint8_t volume;              /* 0..63: dBm0 with the sign dropped */
	uint16_t duration;           /* samples since the time stamp */
};

/* One event only (no second one packed behind it); the reserved bit is ignored, as the RFC demands. */
bool dtmf_parse(const uint8_t *bytes, size_t len, struct dtmf_event *out);
/* False: volume out of range. */
bool dtmf_write(const struct dtmf_event *event, uint8_t out[DTMF_PAYLOAD_LEN]);
/* '0'..'9' '*' '#' 'A'..'D', '!' for a hook flash; 0: no key. -1: no such key. */
char dtmf_digit(uint8_t event);
int dtmf_event_of(char digit);

/* One key press on its way out. Set up with dtmf_press_start. */
struct dtmf_press {
	uint8_t event, volume;
	uint16_t duration, step;
	uint32_t sent, ends;         /* packets before the end; end packets */
};
struct dtmf_packet {
	uint32_t at;                 /* samples after the beginning of the press: when it is to be sent */
	bool marker;                 /* of the RTP header: the first packet of the press */
	uint8_t payload[DTMF_PAYLOAD_LEN];
};
/*
 * A key held for duration samples, reported every step samples. False: no such key, no step, a duration of 0 or above
 * DTMF_DURATION_MAX.
 */
bool dtmf_press_start(struct dtmf_press *press, char digit, uint32_t duration, uint16_t step);
/* The next packet; false: there are no more. */
bool dtmf_press_next(struct dtmf_press *press, struct dtmf_packet *out);

/* What a receiver remembers of one stream; starts as zeros. */
struct dtmf_receiver {
	bool heard, ended;
	uint8_t event;
	uint16_t duration;           /* longest reported of the press */
	uint32_t timestamp;          /* of the press */
};
enum dtmf_result {
	DTMF_KEY,                    /* a new press: *digit is set */
	DTMF_REPEATED,               /* more of the press already reported, or of an earlier one */
	DTMF_NO_KEY,                 /* an event that is no key: ignored */
	DTMF_REFUSED                 /* not a payload, or another key at the time of the press that was heard */
};
enum dtmf_result dtmf_receive(struct dtmf_receiver *receiver, uint32_t timestamp, const uint8_t *payload, size_t len,
                              char *digit);

/* Which digit it is is not said: it may be a PIN's. */
void dtmf_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx);

#endif

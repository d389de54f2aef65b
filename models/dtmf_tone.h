/*
 * Keys of a phone as tones in the voice of a circuit: two sines at once, one of four low and one of four high ones
 * (ITU-T Q.23; bell and receiver as Q.24 asks). In packets of the IP network keys are telephone events
 * (models/wire/dtmf.h); a trunk gateway makes one of the other.
 *
 * Both directions work on 20 ms of mu-law G.711 and in integers. A key is sent for DTMF_TONE_PACKETS of them and
 * followed by DTMF_PAUSE_PACKETS of silence. It is heard with the second whole packet in a row that has both tones and
 * hardly anything else, and once: until a packet comes that has not.
 */
#ifndef TOLLGATE_MODELS_DTMF_TONE_H
#define TOLLGATE_MODELS_DTMF_TONE_H

#include <stdbool.h>
#include "models/wire/rtp.h"

#define DTMF_TONE_PACKETS 5  /* 100 ms */
#define DTMF_PAUSE_PACKETS 2 /* 40 ms, the least that Q.24 takes for a pause */
#define DTMF_TONE_KEYS_MAX 64 /* that wait to be sent */

struct dtmf_tone_sender { /* starts as zeros */
	char keys[DTMF_TONE_KEYS_MAX];
	unsigned key_count;
	unsigned packets;            /* of the key that is being sent: what is left of it, pause and all */
	uint16_t phase[2], step[2];  /* of its tones, as a 16-bit phase and that of a sample */
};

/* Keys after those that wait: 0-9 * # A-D. False, and none is sent: another, or too many. */
bool dtmf_tone_press(struct dtmf_tone_sender *sender, const char *keys);
/* The next 20 ms, if there is a key or its pause to send: false, there is not. */
bool dtmf_tone_fill(struct dtmf_tone_sender *sender, uint8_t octets[RTP_PAYLOAD_LEN]);

struct dtmf_tone_receiver { /* starts as zeros */
	char key;      /* in the last packet; 0: none */
	bool told;
};

/* The next 20 ms that came: the key that is heard with them, 0: none. */
char dtmf_tone_hear(struct dtmf_tone_receiver *receiver, const uint8_t octets[RTP_PAYLOAD_LEN]);
/* The last 20 ms are part of a key that has been told. */
bool dtmf_tone_lasts(const struct dtmf_tone_receiver *receiver);

#endif

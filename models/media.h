/*
 * The voice of one call at one end, both directions: G.711 in RTP packets of 20 ms (RFC 3550, RFC 3551), each packet
 * encrypted whole under keys of the call's sub-key (crypto/rtp_cipher.h; patent [0096]-[0098]; flows.md 4, C7), in
 * UDP, past ESP.
 *
 * What comes in is judged in this order, and what fails is refused under that name: "rtp.source" (not the peer's
 * address and port), "rtp.malformed" (no RTP packet under this key), "rtp.mac", "rtp.payload_type", "rtp.ssrc",
 * "rtp.replay", "rtp.event" and "rtp.text" (a key or text that is none).
 *
 * Keys pressed (RFC 2833, models/wire/dtmf.h) and text (RFC 4351, models/wire/t140.h) travel in packets of the same
 * stream, under the same keys and numbers, each in the place of 20 ms of voice. A key has seven packets, a block of
 * text MEDIA_TEXT_COPIES: any one of them is enough, and the receiver hears each once and in order. Text of which
 * nothing came is heard as U+FFFD.
 *
 * Packets leave at start + n * 20 ms, to the nanosecond, whatever the node is busy with; the work of its ciphers is
 * charged to it (sim/service.h), so that what waits there waits longer. Nothing is allocated or formatted per packet.
 */
#ifndef TOLLGATE_MODELS_MEDIA_H
#define TOLLGATE_MODELS_MEDIA_H

#include "crypto/secure_module.h"
#include "sim/ip.h"

#define MEDIA_PCMU 0 /* RFC 3551 section 6 */
#define MEDIA_PCMA 8
#define MEDIA_WINDOW 64             /* packets: how far behind the newest one may still come */
#define MEDIA_CHANGED_PACKETS 10    /* how many pass between two sim_changed(); one more at the stop */
#define MEDIA_KEYS_MAX 64           /* that wait to be sent */
#define MEDIA_TEXT_MAX 1024         /* bytes of text, likewise */
#define MEDIA_TEXT_COPIES 3
#define MEDIA_TEXT_EVERY 2

struct media;

enum media_source {
	MEDIA_TONE,         /* syllables of a voiced sound; the pitch follows from the node's name alone */
	MEDIA_ANNOUNCEMENT, /* the three tones that precede a recorded announcement (ITU-T E.180), again and again */
	MEDIA_SILENCE,      /* packets of silence; there is no suppression of it (attack R4) */
	MEDIA_OWNER         /* what fill() gives: a gateway's voice from elsewhere */
};

struct media_request {
	struct node *node;
	struct secure_module *sm; /* outlives the media */
	key_handle subkey;        /* may be destroyed when media_start() has returned */
	const char *label;        /* LABEL_RTP */
	bool initiator;           /* the caller: sends "up" */
	uint16_t local_port;      /* not 0 (asserted) */
	uint32_t peer_ip;
	uint16_t peer_port;
	uint8_t payload_type;     /* MEDIA_PCMU or MEDIA_PCMA (asserted), both ways */
	bool mac;
	enum media_source source;
	const void *watched;      /* what sim_changed() is told when the counters have moved; NULL: nobody is */
	/* Nothing was received for so long: lost(), once. 0: never. */
	sim_ns lost_after_ns;
	void (*lost)(void *ctx);
	/* Each packet's voice as it comes, in the order in which it comes; borrowed. NULL: it is thrown away. */
	void (*played)(void *ctx, const uint8_t *payload, size_t len, uint32_t timestamp);
	/* A key, once a press: '0'..'9' '*' '#' 'A'..'D', '!' for a hook flash. NULL: keys are not heard. */
	void (*digit)(void *ctx, char digit);
	/* Text as it comes, whole characters of UTF-8, not ended by a NUL; borrowed. NULL: it is not heard. */
	void (*text)(void *ctx, const char *bytes, size_t len);
	/* MEDIA_OWNER: the next RTP_PAYLOAD_LEN octets of voice, in the law of payload_type; may not stop the media. */
	void (*fill)(void *ctx, uint8_t *payload);
	void *ctx;                /* of them all; but for fill() they may stop the media */
};

struct media_counters { /* packets since the start */
	uint64_t sent;
	uint64_t received; /* accepted, each number once */
	uint64_t refused;
	uint64_t lost;     /* missing between first and last received (RFC 3550 A.3); falls when one comes late */
	uint64_t late;     /* of those received: behind one with a higher number */
};

/*
 * Starts sending, at once, and receiving. The request is copied. NULL: the port is taken, or the module has no such
 * key. Owned by the caller, who stops it before the node's sockets are reset and before the node goes.
 */
struct media *media_start(const struct media_request *request);
/*
 * Tells the last samples and, with the counters still to be read, sim_changed(); then wipes the keys and frees. NULL
 * is harmless.
 */
void media_stop(struct media *media);
struct media_counters media_counters(const struct media *media);
/* Presses keys, 100 ms each, after those that wait. False, and none is pressed: no such key, or too many. */
bool media_send_digits(struct media *media, const char *keys);
/* Sends text behind what waits. False, and nothing is sent: not UTF-8, or more than MEDIA_TEXT_MAX bytes would wait. */
bool media_send_text(struct media *media, const char *text);

#endif

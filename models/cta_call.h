/*
 * A call at a CTA from inside, as cta_call.c (the line, legs and keys), cta_call_message.c (session descriptions) and
 * cta_call_object.c (what scenarios may ask of it) share it. Private to them.
 */
#ifndef TOLLGATE_MODELS_CTA_CALL_H
#define TOLLGATE_MODELS_CTA_CALL_H

#include "models/cta.h"
#include "models/media.h"

#define CALL_BODY_LEN 512
#define CALL_LINE_MAX 511  /* of text; a longer one is cut */
#define CALL_KEYS_HEARD_MAX 63

enum line_state { LINE_IDLE, LINE_SECURING, LINE_CALLING, LINE_SETTING_UP, LINE_RINGBACK, LINE_OFFERED, LINE_RINGING, LINE_TALKING,
	          LINE_STATES };

struct call_words { /* what the other end has said besides voice */
	char keys[CALL_KEYS_HEARD_MAX + 1];
	char heard[CALL_LINE_MAX + 1];  /* the last whole line */
	char line[CALL_LINE_MAX + 1];   /* the one that is coming */
	size_t key_count, line_len;
};

struct cta_call {
	struct object object;          /* first: the host sees this */
	struct cta *cta;
	struct world *world;
	struct cta_call *next;         /* in cta->ending */
	bool caller, over, retried, rekeyed;
	char id[CALL_ID_MAX + 1], number[SUBSCRIBER_NUMBER_LEN]; /* number: the other end's */
	struct sip_leg *sc_leg, *peer_leg;
	struct association *direct;    /* with the other end; its sub-key is the call's */
	const char *label;
	uint32_t spi, peer_ip;
	struct sdp peer_media;
	uint16_t local_port;
	struct media *media;
	struct media_counters counted; /* of media that has stopped */
	struct call_words *words;      /* NULL: nothing yet */
	bool key_known, watching, keys_gone;
	uint8_t key_id[KEY_ID_LEN];
	int status;                    /* of what refused it; 0 */
	const char *reason;
	sim_ns dialled_ns, ringing_ns, answered_ns, ended_ns; /* < 0: not yet */
	struct event guard, answer_timer;
};

/* The call's own voice as a session description: an offer, or the answer to the peer's. */
void cta_call_describe(const struct cta_call *call, char body[CALL_BODY_LEN]);
/*
 * An INVITE to the controller or, under the call's own key, to the other end; leg tells it from others of the call.
 * NULL: no room.
 */
struct sip_leg *cta_call_invite(struct cta_call *call, uint32_t to_ip, const char *leg);
/*
 * What a peer says of its voice that can be used: a place that is not our own or our controller's (an association
 * "with the controller" would take that one's signaling), and one of the two laws of G.711.
 */
bool cta_media_usable(const struct cta *cta, struct span body, struct sdp *out);
/* A call is freed with its last reference. */
void cta_call_free(struct object *object);
/* The user hangs up: the event, with what the call says about its end. */
void cta_call_hang_up(struct cta_call *call);

#endif

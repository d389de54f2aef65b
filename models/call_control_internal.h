/*
 * The calls of a signaling controller from inside: what call_control.c (the table, the legs and what they tell),
 * call_judge.c (whether and where an INVITE may go) and call_table.c (a call's life, look-up, what others may ask)
 * share. Private to them.
 */
#ifndef TOLLGATE_MODELS_CALL_CONTROL_INTERNAL_H
#define TOLLGATE_MODELS_CALL_CONTROL_INTERNAL_H

#include "models/call_control.h"
#include "sim/machine.h"

enum call_state { CALL_REACHING, CALL_OFFERING, CALL_CONFIRMING, CALL_UP, CALL_ENDING, CALL_OVER, CALL_STATES };

struct call {
	struct call *next, **at;          /* of all; at: what points to it */
	struct call *next_id;             /* in its bucket by identifier */
	bool entered;                     /* in the table by identifier */
	struct call_control *control;
	struct machine machine;
	char id[CALL_ID_MAX + 1];
	char caller[SUBSCRIBER_NUMBER_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	char account[SUBSCRIBER_NUMBER_LEN]; /* that pays, at the source controller; "": nobody is known */
	char origin[SUBSCRIBER_NUMBER_LEN];  /* the caller as the record names it: its number, or the MAC of one without */
	bool authorised;                  /* it may go on towards its callee */
	bool booked;                      /* an entry of it has been asked for, */
	struct kept_record *kept;         /* and is this one; NULL: there is none */
	struct sip_leg *near, *far;       /* NULL: not begun, or ended for good */
	struct party *near_party;         /* held; NULL: a server's leg */
	struct party *far_party;          /* held; NULL: a server's leg, or not begun */
	bool far_cta;                     /* the far leg is, or will be, with a CTA of this segment */
	char far_name[2 * PHONE_ID_LEN + 1]; /* that such a CTA's ticket must have */
	bool near_cta;                    /* a CTA of this segment calls: we are its source controller */
	bool near_gateway;                /* the PSTN calls: there is no other controller */
	bool far_server;                  /* a network server or the POTS signaling gateway, not a controller */
	bool far_gateway;                 /* the latter: its voice is at a trunk gateway */
	bool waiting;                     /* for the far end to be reachable */
	uint32_t near_ip, far_ip;
	key_handle subkey;
	uint32_t spi;
	uint64_t offered_under;           /* serial of the association whose key the offer's sub-key is wrapped under */
	bool offered_again;
	struct sdp near_media, far_media; /* without keys */
	int status;                       /* that refuses the near leg */
	const char *reason;               /* of its end, as the record says it */
	sim_ns start_ns, answer_ns;       /* answer_ns < 0: never */
	bool recorded;
	bool asked, near_heard, far_heard; /* the CTAs whether they still know of the call; what came back */
	char *cookie;
	struct event guard;               /* of the set-up; then of the next question to the CTAs, or its end */
};

struct call_control {
	struct call_control_config config;
	struct secure_module *sm;
	struct sip_endpoint *sip;
	struct call *calls;               /* newest first */
	struct call **buckets;            /* by identifier */
	uint32_t bucket_count, entered;
	uint32_t salt;                    /* callers choose identifiers: which ones collide they cannot know */
	struct call_counters counters;
};

/* A call in its first state. Frees with call_free(). */
struct call *call_new(struct call_control *control);
void call_free(struct call *call);
/* Enters it under its identifier. False: that is another call's. */
bool call_enter(struct call *call);
void call_take_key(struct call *call, key_handle key);
void call_drop_key(struct call *call);
/* Its legs' parties: held once each. */
void call_hold_near(struct call *call, struct party *party);
void call_release_near(struct call *call);
void call_hold_far(struct call *call, struct party *party);
void call_release_far(struct call *call);

struct invitation { /* an INVITE, read and judged */
	const struct sip_message *message;
	const struct udp_from *from;
	struct sdp media;
	char to[SUBSCRIBER_NUMBER_LEN], from_user[SUBSCRIBER_NUMBER_LEN];
};
struct verdict { /* of an INVITE: check NULL: none against it */
	const char *check;
	int status;
};
/*
 * Who calls whom, and whether they may: fills in what the call needs to know to go on. near_party is found, not yet
 * held.
 */
struct verdict call_judge(struct call *call, struct invitation *invitation);
/* The caller's party, NULL: no CTA's INVITE, or none that we talk with. */
struct party *call_inviting_party(const struct call_control *control, const struct udp_from *from);
/*
 * Whether a place of voice is one that the peer may name: a POTS signaling gateway's is at a trunk gateway of the
 * directory, with signaling at the peer itself; anybody else's has both at one address.
 */
bool call_place_good(const struct call_control *control, const struct sdp *place, uint32_t peer_ip, bool gateway);
bool call_servers_uncovered(const struct call_control *control);

#endif

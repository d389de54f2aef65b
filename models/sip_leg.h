/*
 * SIP legs: one INVITE dialog each, with the transactions it needs (RFC 3261 sections 12-15, 17): INVITE, CANCEL, ACK, BYE over
 * UDP with retransmission and time-out, either side, whatever is lost, repeated or late.
 *
 * A call is made of several legs (flows.md 4): its caller's and its callee's with their signaling controllers, one between the
 * controllers, and the direct one between the CTAs. The state of a leg is a table; what it does not foresee is a refusal
 * ("sip.unexpected"). Others: "sip.malformed", "signaling.esp" (came in clear), "sip.no_dialog".
 */
#ifndef TOLLGATE_MODELS_SIP_LEG_H
#define TOLLGATE_MODELS_SIP_LEG_H

#include "models/ipsec.h"
#include "models/wire/sip.h"

#define SIP_T1_NS (500 * NS_PER_MS)
#define SIP_T2_NS (4 * NS_PER_S)
#define SIP_TIMEOUT_NS (64 * SIP_T1_NS) /* timers B, F, H */
#define SIP_LINGER_NS (5 * NS_PER_S)    /* T4: how long an ended leg still answers repetitions */
#define SIP_LEGS_MAX 100000
#define SIP_CALL_ID_MAX 95

struct sip_endpoint;
struct sip_leg;

enum leg_state { LEG_CALLING, LEG_PROCEEDING, LEG_INCOMING, LEG_ANSWERED, LEG_CONFIRMED, LEG_CANCELLING, LEG_ENDING, LEG_ENDED,
	         LEG_STATE_COUNT };

/*
 * A leg may be ended and released from inside any of these. One call of rejected, hung_up or ended is the last of a leg: then it
 * has nothing more to tell and waits for sip_leg_release().
 */
struct sip_owner {
	/* A new INVITE: set the leg's owner, then answer now or later. False: 503. */
	bool (*invited)(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from);
	void (*progress)(struct sip_leg *leg, const struct sip_message *response);     /* 1xx */
	void (*answered)(struct sip_leg *leg, const struct sip_message *response);     /* 2xx: call sip_leg_ack() */
	void (*rejected)(struct sip_leg *leg, int status);                             /* final, not 2xx; 408: nobody answered */
	void (*acknowledged)(struct sip_leg *leg, const struct sip_message *ack);      /* NULL ack: none came in time */
	void (*cancelled)(struct sip_leg *leg);                                        /* by the peer; 487 is sent, ended() follows */
	void (*hung_up)(struct sip_leg *leg, const struct sip_message *bye);           /* by the peer; already answered 200 */
	void (*ended)(struct sip_leg *leg, bool timed_out);     /* our BYE, CANCEL or rejection has come to its end */
	void (*informed)(struct sip_leg *leg, const struct sip_message *info);         /* INFO; NULL: answered and no more */
};

/* owner is borrowed, ctx goes to invited(). Binds UDP 5060 at reset. Owned by the caller. */
struct sip_endpoint *sip_endpoint_new(struct node *node, struct ipsec *ipsec, const struct sip_owner *owner, void *ctx);
void sip_endpoint_free(struct sip_endpoint *endpoint);
/* Forgets all legs without a word and binds the port again (a restart). */
void sip_endpoint_reset(struct sip_endpoint *endpoint);
unsigned sip_leg_count(const struct sip_endpoint *endpoint);

struct sip_invite {
	uint32_t peer_ip;
	const char *call_id;              /* unique at this endpoint */
	const char *from_user, *to_user;  /* numbers */
	const char *headers;              /* whole extra header lines with CRLF; "" */
	const char *body;                 /* SDP; "" */
};
/* Sends an INVITE. NULL: too many legs or the message does not fit. The leg is the endpoint's; see sip_leg_release(). */
struct sip_leg *sip_leg_invite(struct sip_endpoint *endpoint, const struct sip_invite *invite, void *owner);
/* Answers an incoming INVITE; 100..199 may be repeated, a final status ends the answering. What does not fit becomes a 500. */
void sip_leg_answer(struct sip_leg *leg, int status, const char *headers, const char *body);
/* ACK to a 2xx, kept for its repetitions. */
void sip_leg_ack(struct sip_leg *leg, const char *headers);
/*
 * Tells the peer something in mid-call: an INFO (RFC 2976), repeated until it is answered or SIP_TIMEOUT_NS are over; what becomes of it changes
 * nothing about the leg. Before the ACK it waits for that. headers: whole lines, up to SIP_INFO_MAX; one INFO at a time: a second takes the
 * first one's place.
 */
#define SIP_INFO_MAX 63
void sip_leg_inform(struct sip_leg *leg, const char *headers);
/*
 * Ends the leg in whatever state: CANCEL (once the peer has said anything), a 487, or BYE (once the peer's ACK is there). reason:
 * text of a Reason header, cut to 63 characters, or "".
 */
void sip_leg_end(struct sip_leg *leg, const char *reason);
/* The owner forgets the leg; it ends by itself and is freed when nothing can come for it any more. */
void sip_leg_release(struct sip_leg *leg);
/* The leg is gone at once and without a word: there is nothing left that could carry one. Not from inside its own callbacks. */
void sip_leg_abandon(struct sip_leg *leg);

enum leg_state sip_leg_state(const struct sip_leg *leg);
void *sip_leg_owner(const struct sip_leg *leg);
void sip_leg_set_owner(struct sip_leg *leg, void *owner);
uint32_t sip_leg_peer(const struct sip_leg *leg);
const char *sip_leg_call_id(const struct sip_leg *leg);
struct node *sip_leg_node(const struct sip_leg *leg);

#endif

/*
 * The POTS signaling gateway from inside: its state and that of its calls, as signaling_gateway.c (the element),
 * signaling_gateway_call.c (a call's table and life, its legs), signaling_gateway_out.c (CTA -> PSTN),
 * signaling_gateway_in.c (PSTN -> CTA) and signaling_gateway_trunk.c (the trunk gateway) share it. Private to them.
 */
#ifndef TOLLGATE_MODELS_SIGNALING_GATEWAY_INTERNAL_H
#define TOLLGATE_MODELS_SIGNALING_GATEWAY_INTERNAL_H

#include "models/gateway_control.h"
#include "models/trunk_group.h"
#include "sim/machine.h"

#define POTS_BODY_LEN 512

struct signaling { /* the element */
	struct gateway gateway;
	uint32_t trunk_ip;         /* the trunk gateway */
	bool trunk_ready;          /* it has answered our reset */
	struct sip_leg *reset_leg;
	struct event reset_timer;
	struct trunk_group *trunks;
	struct radius_server *answers;
	struct rng ids;
	struct pots_call *calls;   /* those that are ending too */
	unsigned active, keys;
	uint64_t to_pstn, from_pstn, from_pstn_answered, answered, refused;
	sim_ns from_pstn_ns;       /* talked in those that are over */
};

struct pots_call {
	struct pots_call *next;
	struct signaling *sg;
	struct machine machine;
	bool to_pstn;
	char id[CALL_ID_MAX + 1], caller[SUBSCRIBER_NUMBER_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	struct sip_leg *controller_leg, *cta_leg, *trunk_leg; /* NULL: not begun, or ended for good */
	bool waits_for_reset;        /* of the trunk gateway */
	uint64_t offered_under;      /* serial of the association that the last offer's key was wrapped under */
	bool offered_again;
	uint32_t controller_ip;
	unsigned circuit;            /* 0: none, or released by the PSTN */
	bool moved;                  /* it is not the one that was reserved at first */
	key_handle subkey;           /* of PSTN -> CTA until the CTA has it; then it is direct's */
	struct association *direct;  /* with the CTA */
	uint32_t spi;
	struct sdp cta, trunk;       /* where each takes its voice */
	sim_ns began_ns, answered_ns; /* answered < 0: not yet */
	unsigned cause;              /* that the PSTN is told */
	int status;                  /* that the CTA or its controller is told */
	const char *reason;
	struct event timer;          /* guards; then the keys' last */
};

enum call_state { CALL_RESERVING, CALL_OFFERED, CALL_DIALLING, CALL_RINGING, CALL_REACHING, CALL_OFFERING,
	          CALL_CALLING, CALL_ALERTING, CALL_TALKING, CALL_ENDING, CALL_OVER, CALL_STATES };
enum call_event { EV_TRUNK_REACHED, EV_RESERVED, EV_RESERVED_IN, EV_CTA_CALLS, EV_PSTN_RINGS, EV_PSTN_ANSWERS,
	          EV_REACHED, EV_KEYED, EV_CTA_RINGS, EV_CTA_ANSWERS, EV_REFUSED, EV_CTA_ENDS, EV_CONTROLLER_ENDS,
	          EV_TRUNK_ENDS, EV_PSTN_ENDS, EV_TIMEOUT, EV_ALL_GONE, CALL_EVENTS };
extern const struct machine_def pots_call_machine;

/* What a call does when; each in the file of its subject. */
extern machine_action pots_invite_trunk, pots_answer_controller, pots_dial, pots_ring_back, pots_answer_cta,
	pots_reach_controller, pots_invite_controller, pots_invite_cta, pots_alert_pstn, pots_answer_pstn;

/* A call (signaling_gateway_call.c) */

extern const struct sip_owner pots_sip_owner;
struct pots_call *pots_call_new(struct signaling *sg, bool to_pstn);
/* At once and without a word, whatever state it is in. */
void pots_call_free(struct pots_call *call);
struct node *pots_call_node(const struct pots_call *call);
void pots_changed(const struct signaling *sg);
void pots_call_happen(struct pots_call *call, enum call_event event);
bool pots_call_ending(const struct pots_call *call);
/*
 * Ends it; harmless when it is ending. cause: what the PSTN is told; status: what the CTA or its controller is told;
 * reason: static.
 */
void pots_call_end(struct pots_call *call, enum call_event event, unsigned cause, int status, const char *reason);
/* One guard at a time; 0: none. */
void pots_call_guard(struct pots_call *call, sim_ns time_ns);
key_handle pots_call_key(const struct pots_call *call);
/* An association with the CTA from the call's sub-key, which is its own from here on. False: it is destroyed. */
bool pots_call_take_key(struct pots_call *call, key_handle key, bool initiator, const char *label);
/* What another network owes for a call that it sent: see models/call_records.h. */
sim_ns pots_call_owed_ns(const struct pots_call *call);
/* What we say of voice: it is the trunk gateway's, signaling is ours. key: wrapped for a server, or NULL. */
void pots_call_describe(const struct pots_call *call, const char *key, char body[POTS_BODY_LEN]);
/* An INVITE with the sub-key to a server; NULL: there is no association any more, or too many legs. */
struct sip_leg *pots_call_invite_server(struct pots_call *call, uint32_t ip, const char *leg, const char *line);

struct directory *pots_directory(const struct signaling *sg);
/* A CTA is no server: an association with one must not come between us and that server's own. */
bool pots_place_usable(const struct signaling *sg, const struct sdp *media);

struct verdict { /* check NULL: none against it */
	const char *check;
	int status;
};
#define REFUSE(name, code) ((struct verdict){ name, code })
void pots_refuse(struct signaling *sg, struct sip_leg *leg, const struct udp_from *from, struct verdict verdict,
                 const char *detail);

/* CTA -> PSTN (signaling_gateway_out.c): a controller's INVITE, and a CTA's under the association with it. */
void pots_take_offer(struct signaling *sg, struct sip_leg *leg, const struct sip_message *invite,
                     const struct udp_from *from);
void pots_take_cta(struct signaling *sg, struct sip_leg *leg, const struct sip_message *invite,
                   const struct udp_from *from);

/* PSTN -> CTA (signaling_gateway_in.c): an IAM, as struct trunk_group_config has it; the controller's 200. */
void pots_on_seized(void *ctx, unsigned circuit, const struct isup *iam);
void pots_call_take_controller_answer(struct pots_call *call, const struct sip_message *response);

/* The rest of what the PSTN tells, likewise (signaling_gateway_call.c). */
void pots_on_alerting(void *ctx, void *call);
void pots_on_answered(void *ctx, void *call);
void pots_on_released(void *ctx, void *owner, unsigned cause);

/* The trunk gateway (signaling_gateway_trunk.c) */

/* Timer: frees there what we had reserved before our start, again and again until it has succeeded. */
void pots_start_reset(struct sim *sim, struct event *event);
/* What the reset's own leg tells; answered false: it is rejected with this status. */
void pots_reset_leg_over(struct signaling *sg, struct sip_leg *leg, bool answered, int status);
/* Reserves the call's circuit, when that has been done. */
void pots_call_reach_trunk(struct pots_call *call);
void pots_call_take_trunk_answer(struct pots_call *call, const struct sip_message *response);
/* Voice flows from here on. */
void pots_call_connect(struct pots_call *call);
/* The call has another circuit, as struct trunk_group_config has it: so has the reservation. */
void pots_on_moved(void *ctx, void *owner, unsigned circuit);

#endif

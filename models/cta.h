/*
 * A cable telephony adapter, as its files share it: cta.c (power, PKINIT, AP exchange, the telephony machine of FIG.
 * 5B), cta_call.c, cta_call_message.c and cta_call_object.c (the line and its calls). Nobody else looks in here.
 */
#ifndef TOLLGATE_MODELS_CTA_H
#define TOLLGATE_MODELS_CTA_H

#include "crypto/pkinit.h"
#include "models/call_key.h"
#include "models/kdc_client.h"
#include "models/key_management.h"
#include "models/sip_leg.h"
#include "models/subscriber.h"
#include "sim/machine.h"

struct cta_call;

#define CTA_REKEYS_MAX 4           /* AP exchanges that others can make it begin (a wake-up, an unknown SPI) in ... */
#define CTA_REKEY_WINDOW_NS (4 * NS_PER_S)

struct cta_ticket { /* kept for days: in few bytes */
	struct der der;                    /* len 0: none */
	key_handle session_key;
	/* The client's name without realm, which is WORLD_REALM, and the server's behind it: behind the ticket, one piece. */
	const char *names;
	int64_t end_time_s;
};

struct pkinit_try { /* from the first request to the ticket, or until it is given up */
	struct cta *cta;
	struct pkinit_client *client;      /* between request and reply */
	struct service_job job;
	struct packet *reply;              /* a KDC's answer waiting for the processor */
	uint64_t reply_tag;
};

struct cta_keying { /* from the first exchange on */
	struct cta *cta;
	struct event idle_timer;           /* until an association that no call takes up is given up */
	sim_ns keyed_ns[CTA_REKEYS_MAX];   /* when somebody else last made it key again, in turn; 0: never */
	unsigned keyed_next;
	struct event rekey_timer;          /* for a wake-up that came too soon after others */
};

struct cta {
	struct node *node;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct kdc_client *kdc;
	struct sip_endpoint *sip;
	struct node *sc_node;              /* NULL: the configuration names it */
	struct cta_provisioning *provisioning; /* NULL: fixed for the run */
	uint32_t ip, sc_ip, kdc_ip;
	key_handle rsa;
	struct der device_cert, operator_cert; /* operator_cert.len 0: not provisioned */
	const char *number;                /* as the subscriber writes it, in one piece with this; NULL: none */
	char principal[2 * PHONE_ID_LEN + 1]; /* that its certificate names: phone ID in hex, or MAC */
	bool powered : 1, dh : 1, tcp : 1, will_answer : 1;
	bool keeps_ticket : 1;             /* changed software (attack T2) */
	bool keeps_controller : 1;         /* changed software (attack P6) */
	bool renewed : 1;                  /* the line's call has cost a new ticket already */
	uint8_t payload_type;
	uint16_t rsa_bits;
	struct machine telephony, line;

	struct cta_ticket ticket;
	struct krb_credentials *lent;      /* the ticket for an exchange under way; NULL: none is */
	struct pkinit_try *pkinit;         /* NULL: not asking for a ticket */
	uint32_t pkinit_failures;          /* in a row */
	uint32_t calls_made;
	struct event ticket_timer;         /* its expiry, or the next try */
	struct cta_keying *keying;         /* NULL: it has not keyed yet */

	struct cta_call *call;             /* the line's; NULL: idle */
	struct cta_call *last;             /* the call before, for scenarios; NULL: none */
	struct cta_call *ending;           /* calls whose legs are coming to their ends */
	sim_ns answer_after_ns, ring_timeout_ns, lost_after_ns;
	int64_t ticket_lifetime_s;
	struct rng *call_ids;              /* NULL: none drawn yet */

	uint32_t tickets, refusals, exchanges, wake_ups;
	const char *last_refusal;          /* the KDC's or our own check, "" */
};

/* cta.c: an association with the signaling controller is wanted for an outgoing call; cta_call_secured() tells. */
/* False: nothing could be begun now. */
bool cta_secure(struct cta *cta);
/* Drops those that were made up to then. */
void cta_associations_drop(struct cta *cta, sim_ns until_ns);
const char *cta_sc_principal(const struct cta *cta);
key_handle cta_call_direct_key(const struct cta_call *call);

/* cta_call.c */
extern const struct machine_def cta_line_machine;
extern const struct object_class cta_call_class;
extern const struct sip_owner cta_sip_owner;
/* Outcome of cta_secure(); reason when it is not ok. */
void cta_call_secured(struct cta *cta, bool ok, const char *reason);
struct cta_call *cta_dial(struct cta *cta, const char *digits);
void cta_answer(struct cta *cta, sim_ns after_ns);
void cta_hang_up(struct cta *cta);
/* Power is lost, or the node is destroyed: everything of calls is gone without a word. */
void cta_calls_forget(struct cta *cta);
/* Gives the controller's associations made up to then up, when no call needs one. */
void cta_associations_done(struct cta *cta, sim_ns until_ns);
/* The line's call waits for an association with the controller. */
bool cta_call_waits(const struct cta *cta);
void cta_call_unref(struct cta_call *call); /* NULL is harmless */
struct object *cta_call_object(struct cta_call *call);
bool cta_line_get(const struct cta *cta, const char *attribute, struct value *out);

#endif

/*
 * The attacker's insides, as its files share them: attacker.c (what scenarios see: objects, rules' verbs, life),
 * attacker_tap.c (what happens to frames, and what observers tell of them), attacker_send.c (what it sends, and what it
 * does with an account), attacker_provisioning.c (certificates, configurations, a KDC's refusals), attacker_forge.c (what it
 * signs itself), attacker_device.c (with a device of its own). Nobody else looks in here. Its ear and its place in the middle are by themselves: attacker_listen.h, mitm.h.
 */
#ifndef TOLLGATE_MODELS_ATTACKER_H
#define TOLLGATE_MODELS_ATTACKER_H

#include "models/attacker_listen.h"
#include "models/kdc_client.h"
#include "models/mitm.h"
#include "models/model.h"
#include "models/wiretap.h"
#include "models/world.h"
#include "sim/ip.h"

#define ATTACKER_RSA_BITS 1024     /* a customer's device [0103] */
#define ATTACKER_TICKET_S 86400
#define ATTACKER_TRACKED_MAX 4096  /* packets whose fate is waited for; of more, the oldest keeps the fate it has */
#define INJECT_MAX 1472            /* payload of one datagram in one frame */
#define FLIPS_MAX 4
#define PPM INT64_C(1000000)
#define FATE_BY_LEN 64
#define HOLDS_MAX 32

struct attacker;

enum deed_kind { DEED_CAPTURE, DEED_ALTER, DEED_DROP, DEED_DELAY, DEED_SEND, DEED_MITM, DEED_TICKET, DEED_LISTEN,
	         DEED_RECORD, DEED_SUBSTITUTE, DEED_BRING };

struct flip { /* which byte of a payload */
	enum { FLIP_START, FLIP_END, FLIP_IV, FLIP_TEXT, FLIP_ICV } from;
	uint32_t offset;
};

struct track { /* of the packet that went out */
	uint64_t tag; /* 0: none yet */
	const struct node *to;
	enum fate fate;
	char by[FATE_BY_LEN];
};

struct deed { /* a rule, a packet sent, an exchange: what the verbs return */
	struct object object;
	struct attacker *attacker;
	enum deed_kind what;
	struct deed *next, **link;      /* in one of the attacker's lists, which holds a reference; link NULL: in none */

	enum wire_kind kind;            /* rules: what they match */
	const struct node *from, *to;
	int64_t skip, left;             /* matches to let pass; matches to act on, negative: all */
	uint32_t chance_ppm;
	sim_ns by_ns;
	bool keep;
	struct flip flips[FLIPS_MAX];
	unsigned flip_count;
	uint8_t mask;
	int64_t hits;

	bool ready;
	struct packet *packet;          /* captured, or to be sent: a frame */
	struct der message;             /* captured, or to be sent: a Kerberos message that came in TCP */
	struct wire_view view;          /* of the captured packet; src, dst, ports and kind for a message */
	char src[IP_TEXT_LEN], dst[IP_TEXT_LEN];
	struct track track;
	struct event due;
	struct tcp_conn *conn;
	char answer[16];

	uint16_t block;                 /* of a TFTP transfer: the last one recorded */
	uint32_t block_len;             /* 0: not known yet */
	char holds[HOLDS_MAX];          /* what the first block of a transfer must hold; "": any */
	uint16_t ports[2];              /* of the transfer that did */
	struct certificate_sender *sender;
	struct ear *ear;
	struct mitm *mitm;
	struct mitm_facts facts;        /* of one that has ended */
	struct kdc_client *client;
	struct krb_name server;
	struct pkinit_identity as;      /* in whose name it asks for a ticket */
	struct der cert;                /* a forged one for that; len 0: none */
	struct pkinit_client *pkinit;
	struct krb_credentials credentials;
	const char *refused_by;
};

struct retired { /* a client that is done: the end of its last connection may still come */
	struct retired *next;
	struct kdc_client *client;
};

struct attacker {
	struct node *node;
	struct link *link;
	struct iface *iface;
	struct attacker *next_watching;
	struct wire_streams *streams;
	struct deed *rules, *others, *tracked; /* rules still looking; exchanges under way; packets without a final fate */
	unsigned tracked_count;
	struct rng chance, forgery;
	bool take_segment;              /* a rule wants the TCP segment that completed a message */
	struct deed *mitm;              /* the one under way */
	struct retired *retired;
	int64_t seen;
	char number[SUBSCRIBER_NUMBER_LEN];
	struct secure_module *sm;       /* NULL: without account and device */
	key_handle rsa;
	struct pkinit_identity identity, device; /* the customer's, that of a device of its own */
	struct der cert, device_cert;   /* theirs; len 0: it has none */
	struct secure_module *kdc_sm;   /* of a KDC of its own; NULL: it has been none */
	struct pkinit_kdc kdc;          /* its certificates are owned */
	key_handle server_key;          /* made up: what it seals tickets under */
};

struct attacker_datagram { /* to be sent, bytes are copied */
	uint32_t src, dst;
	uint16_t sport, dport;
	const uint8_t *bytes;
	uint32_t len;
	sim_ns after_ns;
};

/* attacker.c */
extern const struct object_class attacker_sent_class, attacker_capture_class, attacker_mitm_class, attacker_ticket_class,
	attacker_ear_class, attacker_brought_class, attacker_rule_class;
/* A deed in no list and without references. */
struct deed *deed_new(struct node *node, enum deed_kind what, const struct object_class *class_);
void deed_free(struct object *object);
/* Stops a client and keeps it until its node goes. */
void attacker_retire(struct attacker *attacker, struct kdc_client *client);
bool attacker_switch_is(const struct node *node, const char *name, const char *value);

/* Its secure module with its key pair, the same for account and device. */
void attacker_take_module(struct attacker *attacker);

/* attacker_tap.c */
/* Moves a deed to the end of one of the attacker's lists, whose reference it needs only once. */
void deed_hold(struct deed **list, struct deed *deed);
/* Takes it out of its list; the last reference frees it. Harmless when it is in none. */
void deed_let_go(struct deed *deed);
static inline void deed_changed(struct deed *deed)
{
	sim_changed(deed->object.node->sim, &deed->object);
}
/* The first attacker of a run brings the observer, the last to go takes it along. False: no room for one. */
bool attacker_watch(struct attacker *attacker);
void attacker_unwatch(struct attacker *attacker);
/* Waits for the fate of a message to dst. */
void deed_track(struct deed *deed, uint64_t tag, uint32_t dst);
/* Makes the frame a message of the deed and tracks it; what it was before has its fate from its caller. */
void deed_announce(struct deed *deed, struct packet *frame, const struct wire_view *view);
void der_copy(struct der *out, const uint8_t *bytes, size_t len);
link_tap_fn attacker_on_frame;

/* attacker_send.c */
void attacker_verb_send(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_inject(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_forge_bye(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_present_ticket(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_mitm(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_false_kdc(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_ticket(struct node *node, const struct args *args, struct verb_result *result);
/* Sends payload to whoever sent the captured datagram, as if from where it was going. */
void attacker_send_answer(const struct deed *capture, const struct der *payload, struct verb_result *result);

/* A UDP datagram with any source address, in IP fragments if it is long. nil with an error: no way there. */
struct value attacker_send_datagram(struct node *node, const struct attacker_datagram *datagram,
                                    struct verb_result *result);
enum pkinit_bind attacker_bind_of(const struct node *node);

/* attacker_device.c */
/* A device of its own: key pair, manufacturer's certificate. */
void attacker_take_device(struct attacker *attacker);
void attacker_verb_register_as(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_take_lease(struct node *node, const struct args *args, struct verb_result *result);
/* A recorded certificate is for the key of the device. */
bool attacker_file_is_own(const struct deed *deed);

/* attacker_provisioning.c */
/* True: with this frame the file that the deed records is whole. */
bool attacker_record_frame(struct deed *deed, const struct packet *frame, const struct wire_view *view);
/* Puts the deed's file into a frame that carries a block of another; true: it has. */
bool attacker_substitute(struct deed *deed, struct packet *frame, struct wire_view *view);
/* What record_file() or forge_file() returned; NULL with an error. */
const struct deed *attacker_file_arg(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_substitute_file(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_record_file(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_bring_certificate(struct node *node, const struct args *args, struct verb_result *result);
void attacker_verb_forge_krb_error(struct node *node, const struct args *args, struct verb_result *result);

/* attacker_forge.c */
/*
 * An operator certificate for a customer's number and the attacker's own key, signed by a CA that it has made up under the name of the
 * operator's. Owned by the caller. False: no number.
 */
bool attacker_forge_certificate(struct node *node, const char *number, struct der *out);
enum false_kdc { KDC_MADE_UP, KDC_OWN, KDC_STOLEN };
/*
 * A KDC of its own: under a made-up CA, with its own customer's certificate, or with key and certificate of the KDC stolen_from. Takes
 * the place of the one before.
 */
void attacker_equip_kdc(struct attacker *attacker, enum false_kdc kind, const char *stolen_from);
void attacker_drop_kdc(struct attacker *attacker);
/* That KDC's AS-REP to a request: a ticket that nobody can open, under a session key that the client gets. Owned by the caller. */
bool attacker_false_reply(struct attacker *attacker, const struct der *request, struct der *reply);
void attacker_verb_forge_file(struct node *node, const struct args *args, struct verb_result *result);

#endif

/*
 * Attack K1: the man in the middle of RSA-mode PKINIT (Cervesato, Jaggard, Scedrov, Tsay, Walstad 2006), with the wire and an
 * own identity and nothing else. A part of the attacker (models/attacker.c), which shows it every frame of its link.
 *
 * What it does, in the order in which it can:
 *  1. the victim's TCP segments for the KDC are turned to its own node; what its node answers bears the KDC's address. Nobody
 *     else's traffic is touched, and the KDC may be anywhere behind the link;
 *  2. the victim's AS-REQ is signed anew and asked of the KDC over an own connection; the answer is opened, sealed to the
 *     victim and passed on (crypto/pkinit.h). What is no PKINIT request is passed on as it is;
 *  3. the victim's AP-REQ on UDP 1293 gets its own name and a new keyed hash; the sub-key is read from the AP-REP;
 *  4. the victim's ESP is opened, the SIP in it read, and in its requests to the server the caller's number made its own; a call's sub-key is unwrapped from the session description, and with it the
 *     CTA-to-CTA signaling and the RTP are opened.
 * Under pkinit.bind = aschecksum the victim refuses in step 2, and nothing follows.
 *
 * It can also be a KDC of its own (attacks K3, K4): then nobody is asked, and of what follows it can open nothing.
 */
#ifndef TOLLGATE_MODELS_MITM_H
#define TOLLGATE_MODELS_MITM_H

#include "crypto/pkinit.h"
#include "crypto/rtp_cipher.h"
#include "models/kdc_client.h"
#include "models/subscriber.h"
#include "models/wiretap.h"
#include "sim/node.h"

#define MITM_ASSOCIATIONS_MAX 32 /* that it can open; the oldest makes room */

struct mitm;

struct mitm_config { /* all borrowed */
	struct node *node;             /* its own */
	struct iface *iface;           /* on the tapped link */
	struct secure_module *sm;
	const struct pkinit_identity *identity;
	const char *number;            /* its own, digits */
	const struct node *victim, *kdc;
	/* May be NULL. Answers the victim's AS-REQ without asking anybody; false: with nothing. reply is the caller's. */
	bool (*answer)(void *ctx, const struct der *request, struct der *reply);
	/* Something of the facts has changed; tag: of an AS-REP that went to the victim just now, or 0. */
	void (*changed)(void *ctx, uint64_t tag);
	/* Takes the KDC client, whose last connection may still be closing; frees it with its node. */
	void (*retire)(void *ctx, struct kdc_client *client);
	void *ctx;
};

struct mitm_facts {
	bool session_key, subkey;      /* it holds, or held until it was ended, the victim's */
	bool gave_up;                  /* the KDC's answer could not be opened: Diffie-Hellman; the victim's traffic passes */
	unsigned read, rtp_opened;     /* SIP messages, RTP packets in clear */
	char ticket_name[KRB_NAME_MAX + 1];      /* client in the rewritten AP-REQ */
	char dialled[SUBSCRIBER_NUMBER_LEN];     /* by the victim, out of an INVITE */
};

/* NULL: its node's TCP port 88 is taken. Config is copied. Owned by the caller. */
struct mitm *mitm_new(const struct mitm_config *config);
/* Lets all traffic pass again and wipes all keys. */
void mitm_free(struct mitm *mitm);
const struct mitm_facts *mitm_facts(const struct mitm *mitm);
/* A frame as it enters the link; it may change the frame. True: it has taken it. */
bool mitm_frame(struct mitm *mitm, struct packet *frame, const struct wire_view *view);

struct voice { /* one direction of a call's RTP; the cipher is the owner's */
	struct rtp_cipher *cipher;     /* NULL: none can be opened */
	bool seen;
	uint32_t ssrc;                 /* of what was opened first */
};
/* Whether the frame's payload is 20 ms of G.711 of this call under the cipher. The frame stays as it is. */
bool voice_open(struct voice *voice, uint8_t payload_type, const struct packet *frame, const struct wire_view *view);

#endif

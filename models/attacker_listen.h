/*
 * An ear: a passive listener to a wire. It reads the SIP that passes in clear and keeps of each dialog what a forger
 * needs; where a call's sub-key travels in clear (models/call_key.h: between servers without IPsec) it takes the key,
 * and opens the voice of that call if it passes, too. It has no key but what it reads, and sends nothing.
 *
 * Everything survives any bytes: messages that sip_parse() refuses are not read, dialogs whose names do not fit are
 * not kept.
 */
#ifndef TOLLGATE_MODELS_ATTACKER_LISTEN_H
#define TOLLGATE_MODELS_ATTACKER_LISTEN_H

#include "models/mitm.h"

#define EAR_CALLS_MAX 32 /* dialogs kept; the oldest makes room */

struct ear;

struct ear_facts {
	int64_t sip_read, keys, rtp_opened;  /* messages in clear, sub-keys, RTP packets */
	char caller[SUBSCRIBER_NUMBER_LEN], dialled[SUBSCRIBER_NUMBER_LEN]; /* by the newest INVITE; "" */
};

/* node: whose randomness and record; rtp_mac: as the network's packets are (switch rtp.mac). Owned by the caller. */
struct ear *ear_new(struct node *node, bool rtp_mac);
void ear_free(struct ear *ear);
/* Hears no more: its keys are wiped, what it has read stays. */
void ear_stop(struct ear *ear);
const struct ear_facts *ear_facts(const struct ear *ear);
/* A frame as it enters the link. True: the facts have changed. */
bool ear_frame(struct ear *ear, const struct packet *frame, const struct wire_view *view);

/*
 * A BYE in the name of the host at src to the one at dst, as text: of the newest dialog read between the two, with the
 * next CSeq; with none (or ear NULL) one whose Call-ID and tags are drawn from rng. Returns its length; 0: it does not
 * fit.
 */
size_t ear_forge_bye(const struct ear *ear, struct rng *rng, uint32_t src, uint32_t dst, char *out, size_t size);

#endif

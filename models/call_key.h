/*
 * How a call's sub-key travels in a session description (flows.md 4, C2 and C4): k=base64: holds it wrapped under the
 * association's own wrapping key (label "key wrap"), so that it is in clear nowhere but inside secure modules, even
 * though the message itself is inside ESP; a=X-spi: is the SPI of caller -> callee. Proof of receipt (C3, C5) is the
 * header X-Key-Proof: SHA-1(sub-key, SPI) in hex.
 */
#ifndef TOLLGATE_MODELS_CALL_KEY_H
#define TOLLGATE_MODELS_CALL_KEY_H

#include "models/ipsec.h"
#include "models/wire/sip.h"

#define KEY_USAGE_CALL 1026  /* of a call's sub-key wrapped for an association's peer; numbers from 1024 on are ours (RFC 4120 section 7.5.1) */
#define KEY_USAGE_ESCROW 1027 /* of a sub-key parked as a cookie (patent [0101]) */
#define HEADER_KEY_PROOF "X-Key-Proof"
#define HEADER_CALL "X-Call"
#define HEADER_EVENT "X-Event"   /* in an INFO */
#define EVENT_ANSWERED "answered"
#define EVENT_PRESENT_ASK "present?" /* a controller to its CTA: do you still know of this call? */
#define EVENT_PRESENT "present"
#define CALL_ID_MAX 63

/*
 * Wraps the sub-key for the association's peer as text of k=base64:, which takes CALL_KEY_TEXT_LEN. False: no such
 * key.
 */
#define CALL_KEY_TEXT_LEN 80
bool call_key_wrap(const struct association *association, key_handle subkey, char out[CALL_KEY_TEXT_LEN]);
/* The sub-key that the association's peer wrapped; 0: not under this association's key. The caller destroys it. */
key_handle call_key_unwrap(const struct association *association, struct span text);
/*
 * The same for what may have been wrapped under another association with the same peer: a message that is repeated
 * goes under the newest association, with the key in it as it was. Tries those that there are; 0: under none of them.
 */
key_handle call_key_unwrap_any(const struct association *association, struct span text);
/*
 * Between servers without associations (backend.ipsec off) the sub-key travels wrapped under a key that stands in this
 * file's source: in clear, for whoever can read. The module yields no key in any other form.
 */
bool call_key_wrap_open(struct secure_module *sm, key_handle subkey, char out[CALL_KEY_TEXT_LEN]);
key_handle call_key_unwrap_open(struct secure_module *sm, struct span text);
/* The whole header line with CRLF. False: no such key. */
#define CALL_PROOF_LEN 64
bool call_key_proof(struct secure_module *sm, key_handle subkey, uint32_t spi, char out[CALL_PROOF_LEN]);
/* Whether the message's X-Key-Proof proves possession. */
bool call_key_proven(struct secure_module *sm, key_handle subkey, uint32_t spi, const struct sip_message *message);

#endif

/*
 * The calls of a signaling controller: a back-to-back user agent (flows.md 4, C1-C5, C8; patent [0079]-[0093]).
 *
 * A call has a near leg (towards its caller) and a far leg (towards its callee); each is a CTA of this segment or
 * another server, so the same table serves the source controller (near CTA, far server), the destination controller
 * (near server, far CTA), a local call (both CTAs) and a call to a network server. The source controller makes the
 * sub-key and SPI and checks both proofs of receipt; the destination controller passes sub-key and proof on.
 *
 * Who calls is known from the association that the INVITE came under, never from what the INVITE says; whom a call
 * reaches from the name in the ticket of the called CTA, never from its address alone. Refusals, each with the
 * response it gives: "sc.no_ticket" 403 (no party), "sc.check_subscriber" 403, "sc.check_caller" 403 (From is
 * another's number), "sc.check_controller" 403 (a server that controls no calls), "sc.enforce_restriction" 403,
 * "sc.unknown_number" 404, "sc.unreachable" 480, "sc.verify_proof" 500, "subkey.unwrap" 488, "sc.media_offer" 488 (no
 * usable place for the voice, or not the party's own), "sc.call_in_progress" 482, "sc.party_limit" 503 (too many calls
 * of one CTA). "sc.no_sign_of_life" ends a call whose CTAs know of it no more.
 *
 * A call that a CTA began and that has an account has one record, however it ends (models/call_records.h).
 *
 * The sub-key dies at the moment a call begins to end, whatever becomes of its legs; at a controller that only passes
 * it on, as soon as the call stands.
 */
#ifndef TOLLGATE_MODELS_CALL_CONTROL_H
#define TOLLGATE_MODELS_CALL_CONTROL_H

#include "models/backend.h"
#include "models/call_key.h"
#include "models/call_records.h"
#include "models/party.h"
#include "models/sip_leg.h"
#include "models/subscriber.h"

#define CALL_SETUP_TIMEOUT_NS (40 * NS_PER_S)
#define CALL_AUDIT_NS (300 * NS_PER_S)     /* between questions to the CTAs of a call that stands */
#define CALL_AUDIT_WAIT_NS (40 * NS_PER_S) /* for their answers: longer than a question is repeated */

struct call_control;
struct call;

struct call_control_config {
	struct node *node;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct parties *parties;
	struct subscribers *subscribers;
	struct call_records *records;
	const char *principal;       /* borrowed */
	/* A source controller's call stands, its bearer key is in force: for lawful intercept. NULL: nobody. */
	void (*established)(void *ctx, struct call *call);
	void *ctx;
};

/* Owned by the caller; config is copied. */
struct call_control *call_control_new(const struct call_control_config *config);
void call_control_free(struct call_control *control);
/* A restart: all calls are forgotten without a word; binds SIP again. */
void call_control_reset(struct call_control *control);

struct call_counters {
	unsigned active, keys;             /* calls not yet over; call sub-keys held */
	uint64_t set_up, refused;
};
struct call_counters call_control_counters(const struct call_control *control);

/* What lawful intercept asks of a call. */
struct call *call_control_first(const struct call_control *control);
struct call *call_next(const struct call *call);
struct call *call_control_find(const struct call_control *control, const char *id);
const char *call_id(const struct call *call);
const char *call_caller(const struct call *call);
const char *call_callee(const struct call *call);
/* We are its source controller; of a call from the PSTN the only one there is, and in the source's place. */
bool call_is_source(const struct call *call);
bool call_is_up(const struct call *call);
key_handle call_subkey(const struct call *call); /* 0: not held here */
/* The sub-key leaves for another place (a cookie): this controller holds it no longer. */
void call_drop_subkey(struct call *call);
bool call_far_is_controller(const struct call *call);
uint32_t call_far_ip(const struct call *call);
uint32_t call_near_ip(const struct call *call);
/* Where its voice flows: caller's and callee's address and port. */
void call_media(const struct call *call, struct sdp *caller, struct sdp *callee);
/* A text that belongs to the call and dies with it (the cookie of another controller's key), copied; NULL: none. */
void call_set_cookie(struct call *call, const char *cookie);
const char *call_cookie(const struct call *call);

extern const struct machine_def call_control_machine;

#endif

/*
 * Call records of a signaling controller on their way to the billing host (flows.md 4 C8, 13; patent [0077], [0128];
 * RFC 2866).
 *
 * Who sends it. The source controller: the caller pays, and only it knows the caller, by the ticket that the call
 * began under. The account is the caller's number; of a CTA whose ticket is restricted [0134] "restricted", whoever
 * its customer will be, and the record names its MAC as the caller. A destination controller sends none. Of a call
 * from the PSTN no customer of ours is the payer, so nobody here sends one; of a call into the PSTN the source
 * controller does. The PSTN's caller pays the PSTN, which has him on record; what its network owes ours for ending the
 * call here goes by the sum of such seconds and not by the call, and the signaling gateway counts those
 * (from_pstn_answered, from_pstn_s). Nothing of it goes to the billing host: its accounts are customers'.
 *
 * Which calls. Every call that was authorised, that is, that the controller let go on towards its callee, has exactly
 * one record, answered or not (acct_session_s 0: never answered; a second begun is a second). A call that was refused
 * here has none: it is a refusal.
 *
 * The session's name is the call's identifier, ";" and a number that this controller gives once: callers choose
 * identifiers, and one that uses an identifier again must not have its call taken for a repetition and go free.
 *
 * What is on disk: before the caller is given the key, with which both ends can talk without us, an entry of the
 * call, and the record from its end until the billing host has acknowledged it. A restart loses calls under way, but
 * not their entries: each becomes a record that ends at the restart, cause NAS Reboot. What is talked after it no
 * controller sees and nobody pays. A call that had not come so far leaves nothing: its caller asks again, and that is
 * the call. So may one who had not heard yet that he has been given the key: records of unanswered calls wait
 * CALL_RECORDS_HOLD_NS after a restart, and such a call that is made once more takes its entry over. No interim
 * records: an entry on our own disk serves.
 *
 * Delivery: at most CALL_RECORDS_WINDOW at a time, oldest first, each repeated by radius_client; one that is not
 * acknowledged goes to the end of the queue, and the queue pauses, CALL_RECORDS_PAUSE_NS at first, twice as long
 * after each round in vain, CALL_RECORDS_PAUSE_MAX_NS at most. For good: the billing host takes a repetition for what
 * it is.
 *
 * Refusal: "sc.records_full": there is no room for another entry; this call's record is lost, and counted. The call
 * goes on: nobody is cut off, from the emergency call least of all, because a billing host is away.
 */
#ifndef TOLLGATE_MODELS_CALL_RECORDS_H
#define TOLLGATE_MODELS_CALL_RECORDS_H

#include "models/backend.h"
#include "models/radius_client.h"

#define CALL_RECORDS_MAX 100000 /* on disk */
#define CALL_RECORDS_WINDOW 8   /* under way to the billing host */
#define CALL_RECORDS_PAUSE_NS (10 * NS_PER_S)
#define CALL_RECORDS_PAUSE_MAX_NS (320 * NS_PER_S)
#define CALL_RECORDS_HOLD_NS (60 * NS_PER_S) /* longer than an INVITE is repeated */
#define CALL_RECORDS_RESTRICTED "restricted" /* the account of CTAs that have none */

/* Acct-Terminate-Cause, RFC 2866 section 5.10: those in use. */
enum acct_cause {
	ACCT_USER_REQUEST = 1, ACCT_LOST_CARRIER = 2, ACCT_SESSION_TIMEOUT = 5, ACCT_NAS_ERROR = 9, ACCT_NAS_REBOOT = 11,
	ACCT_SERVICE_UNAVAILABLE = 15, ACCT_HOST_REQUEST = 18
};
/* For people; static. */
const char *acct_cause_text(uint32_t cause);
/* Of the word that a controller has for a call's end ("caller hung up", "Busy Here"). */
enum acct_cause acct_cause_of(const char *reason);

struct call_records;
struct kept_record; /* the entry of a call under way */

struct call_records_config {
	struct node *node;
	struct backend *backend;
	struct radius_client *questions;
	/* The billing host's principal, borrowed; "": there is none, records go to the result database only. */
	const char *billing;
	uint32_t max;       /* entries */
};
struct call_record { /* texts are copied */
	const char *id, *account, *caller, *callee, *reason;
	sim_ns start_ns, answer_ns, end_ns; /* answer_ns < 0: never */
};
struct call_records_counters {
	uint64_t made, answered;  /* records; of them, of calls that were answered */
	uint64_t delivered, lost; /* acknowledged by the billing host; without room */
	uint32_t waiting;         /* not yet acknowledged */
};

/* Owned by the caller; config is copied. */
struct call_records *call_records_new(const struct call_records_config *config);
void call_records_free(struct call_records *records);
/*
 * A restart, after the backend's and the client's: what was under way is to be sent again, open entries become records.
 */
void call_records_reset(struct call_records *records);
/*
 * A call is about to stand. NULL: nothing is kept of it (no billing host, or no room). Valid until closed, or until a
 * reset.
 */
struct kept_record *call_records_open(struct call_records *records, const struct call_record *record);
/* It has been answered. kept NULL is harmless. */
void call_records_answered(struct kept_record *kept, sim_ns answer_ns);
/*
 * It has ended. kept NULL: nothing has been kept of it; due: none has been asked for, and a record of it is to be
 * made now.
 * Without billing host what happened is told in any case.
 */
void call_records_close(struct call_records *records, struct kept_record *kept, const struct call_record *record,
                        bool due);
struct call_records_counters call_records_counters(const struct call_records *records);

#endif

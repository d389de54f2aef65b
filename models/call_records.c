/* Call records on their way to the billing host; see call_records.h. */
#include "models/call_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/call_key.h"
#include "models/directory.h"
#include "models/message.h"
#include "models/subscriber.h"
#include "models/world.h"

#define ACCT_STOP 2

enum kept_state { KEPT_OPEN, KEPT_WAITING, KEPT_ASKED };

struct kept_record {
	struct kept_record *next, **at;
	struct call_records *records;
	enum kept_state state;
	uint64_t serial;
	char id[CALL_ID_MAX + 1];
	char account[SUBSCRIBER_NUMBER_LEN], caller[SUBSCRIBER_NUMBER_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	sim_ns answer_ns, end_ns;
	enum acct_cause cause;
	bool held;                /* unanswered at a restart */
};

struct queue { /* oldest first */
	struct kept_record *first, **tail;
};

struct call_records {
	struct call_records_config config;
	struct queue open, waiting;
	uint32_t kept, open_count, asked;
	uint64_t next_serial;     /* on disk, like the entries */
	unsigned failures;        /* rounds in vain, one after the other */
	bool keying;              /* waits for an association with the billing host */
	sim_ns held_until_ns;
	struct event pause, held;
	struct call_records_counters counters;
};

/* Causes */

const char *acct_cause_text(uint32_t cause)
{
	static const struct { enum acct_cause cause; const char *text; } texts[] = {
		{ ACCT_USER_REQUEST, "User Request" }, { ACCT_LOST_CARRIER, "Lost Carrier" },
		{ ACCT_SESSION_TIMEOUT, "Session Timeout" }, { ACCT_NAS_ERROR, "NAS Error" },
		{ ACCT_NAS_REBOOT, "NAS Reboot" }, { ACCT_SERVICE_UNAVAILABLE, "Service Unavailable" },
		{ ACCT_HOST_REQUEST, "Host Request" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if ((uint32_t)texts[i].cause == cause)
			return texts[i].text;
	return "";
}

enum acct_cause acct_cause_of(const char *reason)
{
	static const struct { const char *reason; enum acct_cause cause; } causes[] = {
		{ "caller hung up", ACCT_USER_REQUEST }, { "cancelled", ACCT_USER_REQUEST },
		{ "callee hung up", ACCT_HOST_REQUEST }, { "Busy Here", ACCT_HOST_REQUEST }, { "Decline", ACCT_HOST_REQUEST },
		{ "Forbidden", ACCT_HOST_REQUEST }, { "no sign of life", ACCT_LOST_CARRIER }, { "no ACK", ACCT_LOST_CARRIER },
		{ "caller unreachable", ACCT_LOST_CARRIER }, { "set-up time-out", ACCT_SESSION_TIMEOUT },
		{ "sc.media_offer", ACCT_NAS_ERROR }, { "sc.verify_proof", ACCT_NAS_ERROR },
		{ "restart", ACCT_NAS_REBOOT },
	};

	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		if (strcmp(causes[i].reason, reason) == 0)
			return causes[i].cause;
	return ACCT_SERVICE_UNAVAILABLE; /* the far end or the way there */
}

/* The queues */

static void enqueue(struct queue *q, struct kept_record *k)
{
	k->next = NULL;
	k->at = q->tail;
	*q->tail = k;
	q->tail = &k->next;
}

static void dequeue(struct queue *q, struct kept_record *k)
{
	*k->at = k->next;
	if (k->next)
		k->next->at = k->at;
	else
		q->tail = k->at;
}

static void forget(struct call_records *r, struct queue *q, struct kept_record *k)
{
	dequeue(q, k);
	r->kept--;
	free(k);
}

static uint32_t billing_ip(const struct call_records *r)
{
	return directory_service_ip(world_directory(world_of(r->config.node->sim)), r->config.billing);
}

/* NULL: no room, which is on record. */
static struct kept_record *keep(struct call_records *r, struct queue *q, const struct call_record *record)
{
	struct kept_record *k;

	if (r->kept == r->config.max) {
		r->counters.lost++;
		trace_refuse(r->config.node, "sc.records_full", billing_ip(r), 0, record->id);
		return NULL;
	}
	k = sim_alloc(sizeof *k);
	k->records = r;
	k->serial = ++r->next_serial;
	k->answer_ns = record->answer_ns;
	snprintf(k->id, sizeof k->id, "%s", record->id);
	snprintf(k->account, sizeof k->account, "%s", record->account);
	snprintf(k->caller, sizeof k->caller, "%s", record->caller);
	snprintf(k->callee, sizeof k->callee, "%s", record->callee);
	r->kept++;
	enqueue(q, k);
	return k;
}

/* Delivery */

static void deliver(struct call_records *r);

static void on_pause(struct sim *sim, struct event *event)
{
	(void)sim;
	deliver(event_owner(event, struct call_records, pause));
}

static void on_held(struct sim *sim, struct event *event)
{
	(void)sim;
	deliver(event_owner(event, struct call_records, held));
}

static void pause_for(struct call_records *r)
{
	sim_ns pause_ns = CALL_RECORDS_PAUSE_NS;

	if (event_pending(&r->pause))
		return; /* of the same round */
	for (unsigned i = 0; i < r->failures && pause_ns < CALL_RECORDS_PAUSE_MAX_NS; i++)
		pause_ns *= 2;
	r->failures++;
	sim_after(r->config.node->sim, &r->pause, pause_ns < CALL_RECORDS_PAUSE_MAX_NS ? pause_ns : CALL_RECORDS_PAUSE_MAX_NS,
	          on_pause, "records.pause");
}

static void acknowledged(struct call_records *r, struct kept_record *k)
{
	forget(r, &r->waiting, k);
	r->counters.delivered++;
	r->failures = 0;
	sim_cancel(r->config.node->sim, &r->pause);
}

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct kept_record *k = ctx;
	struct call_records *r = k->records;

	r->asked--;
	if (answer && answer->code == RADIUS_ACCOUNTING_RESPONSE) {
		message_accept(r->config.node, tag);
		acknowledged(r, k);
	} else {
		k->state = KEPT_WAITING;
		dequeue(&r->waiting, k); /* behind the others: what the host will not have must not keep them */
		enqueue(&r->waiting, k);
		if (!event_pending(&r->pause))
			backend_drop(r->config.backend, billing_ip(r)); /* it may know nothing of our association */
		pause_for(r);
	}
	deliver(r);
	sim_changed(r->config.node->sim, r->config.node);
}

/* A second begun is a second: 0 says that nobody answered. */
static uint32_t seconds_talked(const struct kept_record *k)
{
	sim_ns talked_ns = k->end_ns - k->answer_ns;

	if (k->answer_ns < 0)
		return 0;
	return talked_ns <= 0 ? 1 : (uint32_t)((talked_ns + NS_PER_S - 1) / NS_PER_S);
}

static bool ask(struct call_records *r, struct kept_record *k)
{
	struct radius q = { .code = RADIUS_ACCOUNTING_REQUEST, .acct_status = ACCT_STOP, .acct_session_s = seconds_talked(k),
		            .acct_cause = k->cause };

	q.event_time_s = (uint32_t)(r->config.node->sim->epoch_s + k->end_ns / NS_PER_S);
	snprintf(q.acct_session_id, sizeof q.acct_session_id, "%s;%llu", k->id, (unsigned long long)k->serial);
	snprintf(q.user_name, sizeof q.user_name, "%s", k->account);
	snprintf(q.calling_station, sizeof q.calling_station, "%s", k->caller);
	snprintf(q.called_station, sizeof q.called_station, "%s", k->callee);
	if (!radius_client_ask(r->config.questions, billing_ip(r), &q, on_answer, k))
		return false;
	k->state = KEPT_ASKED;
	k->held = false; /* the billing host may have it: from now on it is not to change */
	r->asked++;
	return true;
}

static bool is_held(const struct call_records *r, const struct kept_record *k)
{
	return k->held && r->config.node->sim->now_ns < r->held_until_ns;
}

static struct kept_record *next_waiting(const struct call_records *r)
{
	struct kept_record *k = r->waiting.first;

	while (k && (k->state == KEPT_ASKED || is_held(r, k)))
		k = k->next;
	return k;
}

static void on_ready(void *ctx, bool ready)
{
	struct call_records *r = ctx;
	struct kept_record *k;

	r->keying = false;
	while (ready && r->asked < CALL_RECORDS_WINDOW && (k = next_waiting(r)))
		ready = ask(r, k);
	if (!ready)
		pause_for(r);
}

static void deliver(struct call_records *r)
{
	if (r->keying || event_pending(&r->pause) || r->asked == CALL_RECORDS_WINDOW || !next_waiting(r))
		return;
	if (!billing_ip(r)) {
		pause_for(r); /* not in the directory */
		return;
	}
	r->keying = true;
	backend_ensure(r->config.backend, billing_ip(r), on_ready, r);
}

/* What the calls say */

/* The entry of the same call, from before a restart that its caller has not noticed. NULL: there is none. */
static struct kept_record *held_of(const struct call_records *r, const struct call_record *record)
{
	struct kept_record *k = r->config.node->sim->now_ns < r->held_until_ns ? r->waiting.first : NULL;

	while (k && !(k->held && strcmp(k->id, record->id) == 0 && strcmp(k->account, record->account) == 0 &&
	              strcmp(k->caller, record->caller) == 0 && strcmp(k->callee, record->callee) == 0))
		k = k->next;
	return k;
}

struct kept_record *call_records_open(struct call_records *r, const struct call_record *record)
{
	struct kept_record *k;

	if (!r->config.billing[0])
		return NULL;
	k = held_of(r, record);
	if (k) {
		dequeue(&r->waiting, k);
		enqueue(&r->open, k);
		k->held = false;
		r->counters.made--;
	} else if (!(k = keep(r, &r->open, record))) {
		return NULL;
	}
	k->state = KEPT_OPEN;
	r->open_count++;
	return k;
}

void call_records_answered(struct kept_record *k, sim_ns answer_ns)
{
	if (k)
		k->answer_ns = answer_ns;
}

/* An open entry becomes a record. */
static void close_open(struct call_records *r, struct kept_record *k)
{
	dequeue(&r->open, k);
	enqueue(&r->waiting, k);
	r->open_count--;
}

static void finish(struct call_records *r, struct kept_record *k, sim_ns end_ns, enum acct_cause cause)
{
	k->end_ns = end_ns;
	k->cause = cause;
	k->state = KEPT_WAITING;
	r->counters.made++;
	r->counters.answered += k->answer_ns >= 0;
}

static void trace_alone(struct call_records *r, const struct call_record *record)
{
	struct trace_record traced = { .id = record->id, .account = record->account, .caller = record->caller,
		                       .callee = record->callee, .reason = record->reason, .start_ns = record->start_ns,
		                       .answer_ns = record->answer_ns, .end_ns = record->end_ns, .at = r->config.node };

	r->counters.made++;
	r->counters.answered += record->answer_ns >= 0;
	trace_record(r->config.node->sim, &traced);
}

void call_records_close(struct call_records *r, struct kept_record *k, const struct call_record *record,
                        bool due)
{
	if (!r->config.billing[0]) {
		trace_alone(r, record);
		return;
	}
	if (k)
		close_open(r, k);
	else if (due)
		k = keep(r, &r->waiting, record);
	if (!k)
		return;
	finish(r, k, record->end_ns, acct_cause_of(record->reason));
	deliver(r);
	sim_changed(r->config.node->sim, r->config.node);
}

/* Life */

static void empty(struct queue *q)
{
	q->first = NULL;
	q->tail = &q->first;
}

struct call_records *call_records_new(const struct call_records_config *config)
{
	struct call_records *r = sim_alloc(sizeof *r);

	r->config = *config;
	empty(&r->open);
	empty(&r->waiting);
	return r;
}

/* For as long as their callers may ask once more. */
static void hold_unanswered(struct call_records *r)
{
	struct kept_record *k = r->waiting.first;

	while (k && !k->held)
		k = k->next;
	sim_cancel(r->config.node->sim, &r->held);
	if (!k)
		return;
	r->held_until_ns = r->config.node->sim->now_ns + CALL_RECORDS_HOLD_NS;
	sim_after(r->config.node->sim, &r->held, CALL_RECORDS_HOLD_NS, on_held, "records.held");
}

void call_records_reset(struct call_records *r)
{
	struct kept_record *k;

	sim_cancel(r->config.node->sim, &r->pause);
	r->keying = false;
	r->asked = 0;
	r->failures = 0;
	for (k = r->waiting.first; k; k = k->next)
		k->state = KEPT_WAITING;
	while ((k = r->open.first)) {
		close_open(r, k);
		k->held = k->answer_ns < 0;
		finish(r, k, r->config.node->sim->now_ns, ACCT_NAS_REBOOT);
	}
	hold_unanswered(r);
	deliver(r);
}

void call_records_free(struct call_records *r)
{
	if (!r)
		return;
	sim_cancel(r->config.node->sim, &r->pause);
	sim_cancel(r->config.node->sim, &r->held);
	while (r->open.first)
		forget(r, &r->open, r->open.first);
	while (r->waiting.first)
		forget(r, &r->waiting, r->waiting.first);
	free(r);
}

struct call_records_counters call_records_counters(const struct call_records *r)
{
	struct call_records_counters counters = r->counters;

	counters.waiting = r->kept - r->open_count;
	return counters;
}

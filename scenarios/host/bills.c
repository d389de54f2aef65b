/*
 * Standing claims about call records: never { "title", record = "wrong" }, never { "title", record = "missing" }.
 * Invariant I4: every call record belongs to one authorised call and the right payer; and its other half, no answered
 * call goes free.
 *
 * What a record is judged by comes from the callers themselves, not from the elements that make records: that a caller
 * has dialled it, whom, that it was answered, and who the caller is by the certificate that it holds: the number of its
 * account, or none while its tickets are restricted. The record is the one of the result database: what the billing
 * host took, or, in a net without one, what the controller wrote.
 *
 * "wrong" is judged when the record is taken. "missing" is judged when the run ends, of the calls of CTAs that were
 * answered and ended more than BILLS_PATIENCE_NS before; a run that ends while a billing host is away has records that
 * are still to come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "crypto/pki.h"
#include "models/model.h"
#include "models/name_index.h"
#include "models/subscriber.h"
#include "models/world.h"
#include "scenarios/host/internal.h"

#define BILLS_PATIENCE_NS (2 * NS_PER_S)
/* A second begun is a second; and the controller hears of an answer before the caller. */
#define BILLS_ROUNDING_NS (2 * NS_PER_S)
#define PRINCIPAL_LEN 64
#define BILL_ID_LEN 128

struct bill_call { /* as its caller tells it */
	struct bill_call *next;
	char id[BILL_ID_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	char principal[PRINCIPAL_LEN]; /* in its unrestricted tickets; "": it has none */
	struct node *at;
	sim_ns answered_ns, ended_ns;  /* < 0: not */
	bool power_lost;               /* so it ended: the caller cannot know what came after */
	unsigned records;
};

struct bills {
	struct host *host;
	struct standing *wrong, *missing; /* NULL: not claimed */
	struct name_index *by_id;
	struct bill_call *first, **tail;  /* in order of dialling */
};

static const char *const kinds[] = { "wrong", "missing" };

/* What callers tell */

static void text_attribute(struct node *node, const char *attribute, char *out, size_t room)
{
	struct value value = value_nil();

	out[0] = '\0';
	if (node->model->get(node, attribute, &value) && value.type == VALUE_TEXT && value.text.bytes)
		snprintf(out, room, "%s", value.text.bytes);
}

/* Until it is answered: it may have got another ticket on the way. */
static void note_caller(struct bill_call *call)
{
	char state[PRINCIPAL_LEN];

	if (strcmp(call->at->model->name, "cta") != 0)
		return;
	text_attribute(call->at, "telephony", state, sizeof state);
	if (strcmp(state, "ProvisionedAccess") == 0)
		text_attribute(call->at, "principal", call->principal, sizeof call->principal);
	else
		call->principal[0] = '\0';
}

static struct bill_call *call_of(struct bills *b, const struct trace_call *told)
{
	struct bill_call *call = name_index_get(b->by_id, told->id);

	if (call)
		return call;
	call = sim_alloc(sizeof *call);
	snprintf(call->id, sizeof call->id, "%s", told->id);
	number_digits(told->callee, call->callee);
	call->at = (struct node *)(uintptr_t)told->at;
	call->answered_ns = call->ended_ns = -1;
	name_index_set(b->by_id, call->id, call);
	*b->tail = call;
	b->tail = &call->next;
	return call;
}

static void on_call(void *ctx, const struct trace_call *told)
{
	struct bills *b = ctx;
	struct bill_call *call = call_of(b, told);
	sim_ns now_ns = b->host->sim->now_ns;

	if (call->answered_ns < 0)
		note_caller(call);
	if (strcmp(told->event, "answered") == 0 && call->answered_ns < 0)
		call->answered_ns = now_ns;
	if (strcmp(told->event, "released") == 0 || strcmp(told->event, "failed") == 0)
		call->ended_ns = now_ns;
	call->power_lost |= strcmp(told->reason, "power lost") == 0;
}

/* Records */

static bool pays(const struct bills *b, const struct bill_call *call, const char *account)
{
	uint8_t id[PHONE_ID_LEN];
	char hex[2 * PHONE_ID_LEN + 1];

	if (!call->principal[0])
		return strcmp(account, "restricted") == 0;
	if (!phone_id(world_crypto(b->host->world), account, id))
		return false;
	for (size_t i = 0; i < PHONE_ID_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	return strcmp(hex, call->principal) == 0;
}

static bool never_answered(const struct bill_call *call, const struct trace_record *record)
{
	return call->answered_ns < 0 && call->ended_ns >= 0 && !call->power_lost && record->answer_ns >= 0 &&
	       record->end_ns - record->answer_ns > BILLS_ROUNDING_NS;
}

/* NULL: nothing is wrong with it. */
static const char *wrong_with(const struct bills *b, const struct bill_call *call, const struct trace_record *record)
{
	char callee[SUBSCRIBER_NUMBER_LEN];

	if (!call)
		return "nobody has made the call";
	if (call->records)
		return "the call has a record already";
	if (!number_digits(record->callee, callee) || strcmp(callee, call->callee) != 0)
		return "another number was called";
	if (!pays(b, call, record->account))
		return "it is not the caller's account";
	if (never_answered(call, record))
		return "nobody has answered";
	return NULL;
}

static void on_record(void *ctx, const struct trace_record *record)
{
	struct bills *b = ctx;
	struct bill_call *call = name_index_get(b->by_id, record->id);
	const char *wrong = wrong_with(b, call, record);
	struct node *nodes[2] = { (struct node *)(uintptr_t)record->at, call ? call->at : NULL };
	struct text because = { .len = 0 };

	if (call)
		call->records++;
	if (!wrong || !b->wrong)
		return;
	text_add(&because, "call %s, to %s, account %s: %s", record->id, record->callee, record->account, wrong);
	standing_violated(b->wrong, b->host, because.s, nodes, call ? 2 : 1);
}

static bool is_missing(const struct bills *b, const struct bill_call *call)
{
	return strcmp(call->at->model->name, "cta") == 0 && call->answered_ns >= 0 && call->ended_ns >= 0 && !call->records &&
	       call->ended_ns + BILLS_PATIENCE_NS < b->host->sim->now_ns;
}

void bills_finish(struct host *host)
{
	struct bills *b = host->bills;

	if (!b || !b->missing)
		return;
	for (struct bill_call *call = b->first; call; call = call->next) {
		struct text because = { .len = 0 };

		if (!is_missing(b, call))
			continue;
		text_add(&because, "call %s of %s, to %s", call->id, call->at->name, call->callee);
		standing_violated(b->missing, host, because.s, &call->at, 1);
	}
}

/* Construction */

bool bills_known(const char *kind, struct names *known)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		names_add(known, kinds[i]);
	return strcmp(kind, kinds[0]) == 0 || strcmp(kind, kinds[1]) == 0;
}

bool bills_never(struct host *host, const char *kind, struct standing *claim)
{
	struct standing **place;

	if (!host->bills) {
		host->bills = sim_alloc(sizeof *host->bills);
		host->bills->host = host;
		host->bills->by_id = name_index_new();
		host->bills->tail = &host->bills->first;
	}
	place = strcmp(kind, "wrong") == 0 ? &host->bills->wrong : &host->bills->missing;
	if (*place)
		return false;
	*place = claim;
	return true;
}

void bills_attach(struct host *host)
{
	static const struct trace_ops ops = { .call = on_call, .record = on_record };

	if (host->bills)
		trace_attach(host->sim, &ops, host->bills, TRACE_CALL);
}

void bills_free(struct host *host)
{
	struct bills *b = host->bills;

	if (!b)
		return;
	while (b->first) {
		struct bill_call *call = b->first;

		b->first = call->next;
		free(call);
	}
	name_index_free(b->by_id);
	free(b);
	host->bills = NULL;
}

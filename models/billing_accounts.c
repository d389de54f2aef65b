/* Accounts, call records and answers of the billing host; see billing_accounts.h. */
#include "models/billing_accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/name_index.h"
#include "sim/sim.h"

struct record {
	struct record *next;
	struct account *account;
	char caller[RADIUS_TEXT_MAX], callee[RADIUS_TEXT_MAX];
	uint32_t seconds, cause;
	int64_t end_s;
};

struct kept_answer {
	struct kept_answer *next;
	char state[RADIUS_TEXT_MAX];
	struct billing_answer answer;
};

struct billing_accounts {
	struct account *first, **tail;
	struct record *records, **records_tail;
	struct kept_answer *answers, **answers_tail; /* oldest first */
	struct name_index *by_id, *by_state, *denied;
	struct name_index *by_number; /* whose it is, or was last */
	struct name_index *newest;    /* the account of a number that was opened last, whosever it is now */
	struct name_index *by_call;   /* "principal session" */
	struct billing_totals totals[ACCOUNT_KINDS];
	uint32_t account_count;
};

const char *const account_kind_names[ACCOUNT_KINDS] = { "customer", "repair", "restricted", "nobody" };

struct billing_accounts *billing_accounts_new(void)
{
	struct billing_accounts *b = sim_alloc(sizeof *b);

	b->tail = &b->first;
	b->records_tail = &b->records;
	b->answers_tail = &b->answers;
	b->by_id = name_index_new();
	b->by_number = name_index_new();
	b->newest = name_index_new();
	b->by_call = name_index_new();
	b->by_state = name_index_new();
	b->denied = name_index_new();
	return b;
}

static void forget_answer(struct billing_accounts *b)
{
	struct kept_answer *k = b->answers;

	name_index_set(b->by_state, k->state, NULL);
	b->answers = k->next;
	if (!b->answers)
		b->answers_tail = &b->answers;
	free(k);
}

void billing_accounts_free(struct billing_accounts *b)
{
	if (!b)
		return;
	while (b->answers)
		forget_answer(b);
	while (b->records) {
		struct record *r = b->records;

		b->records = r->next;
		free(r);
	}
	while (b->first) {
		struct account *a = b->first;

		b->first = a->next;
		free(a);
	}
	name_index_free(b->by_id);
	name_index_free(b->by_number);
	name_index_free(b->newest);
	name_index_free(b->by_call);
	name_index_free(b->by_state);
	name_index_free(b->denied);
	free(b);
}

/* Accounts */

static struct account *by_id(const struct billing_accounts *b, const char *id)
{
	return name_index_get(b->by_id, id);
}

static struct account *by_number(const struct billing_accounts *b, const char *digits)
{
	return name_index_get(b->by_number, digits);
}

const struct account *account_of_customer(const struct billing_accounts *b, const char *id)
{
	return by_id(b, id);
}

const struct account *account_of_number(const struct billing_accounts *b, const char *digits)
{
	return by_number(b, digits);
}

static void set_open(struct billing_accounts *b, struct account *a, bool open)
{
	if (a->open != open) {
		if (open)
			b->totals[a->kind].open++;
		else
			b->totals[a->kind].open--;
	}
	a->open = open;
	if (open)
		name_index_set(b->by_number, a->number, a);
}

static struct account *account_new(struct billing_accounts *b, enum account_kind kind, const char *id,
                                   const char *number, int64_t now_s)
{
	struct account *a;

	if (b->account_count == BILLING_ACCOUNTS_MAX)
		return NULL;
	b->account_count++;
	a = sim_alloc(sizeof *a);
	a->kind = kind;
	snprintf(a->id, sizeof a->id, "%s", id);
	snprintf(a->number, sizeof a->number, "%s", number);
	a->opened_s = now_s;
	a->earlier = name_index_get(b->newest, number);
	name_index_set(b->newest, number, a);
	*b->tail = a;
	b->tail = &a->next;
	if (id[0])
		name_index_set(b->by_id, id, a);
	set_open(b, a, true);
	return a;
}

static void describe(struct account *a, const struct account_order *o)
{
	memcpy(a->data_before, a->data, sizeof a->data_before);
	snprintf(a->data, sizeof a->data, "%s", o->data);
	snprintf(a->options, sizeof a->options, "%s", o->options);
}

static bool number_in_use(const struct billing_accounts *b, const char *number, const struct account *besides)
{
	const struct account *a = by_number(b, number);

	return a && a->open && a->id[0] && a != besides;
}

/* The customer's name in "name=...;address=...": a part of its own, not the end of another's ("nickname="). */
static void name_of(const char *data, char out[RADIUS_TEXT_MAX])
{
	const char *at = data;

	while (at && strncmp(at, "name=", 5) != 0) {
		at = strchr(at, ';');
		at += at ? 1 : 0;
	}
	snprintf(out, RADIUS_TEXT_MAX, "%.*s", at ? (int)strcspn(at + 5, ";") : 0, at ? at + 5 : "");
}

static bool is_denied(const struct billing_accounts *b, const char *data)
{
	char name[RADIUS_TEXT_MAX];

	name_of(data, name);
	return name_index_get(b->denied, name) != NULL;
}

bool billing_deny(struct billing_accounts *b, const char *name, bool denied)
{
	if (denied && name_index_count(b->denied) == BILLING_DENIED_MAX)
		return false;
	name_index_set(b->denied, name, denied ? b : NULL);
	return true;
}

/* A closed account is opened again where a close is taken back: its customer is known already, and was approved. */
const char *account_open(struct billing_accounts *b, const struct account_order *o)
{
	struct account *a = by_id(b, o->id);

	if (a && (strcmp(a->number, o->number) != 0 || (a->kind == ACCOUNT_REPAIR) != o->repair))
		return "bh.customer_exists";
	if (number_in_use(b, o->number, a))
		return "bh.number_in_use";
	if (!a && is_denied(b, o->data))
		return "bh.denied";
	if (!a)
		a = account_new(b, o->repair ? ACCOUNT_REPAIR : ACCOUNT_CUSTOMER, o->id, o->number, o->now_s);
	if (!a)
		return "bh.limit";
	set_open(b, a, true);
	describe(a, o);
	return NULL;
}

/* Who was denied meanwhile can still have back what was before: a change must be possible to take back. */
const char *account_change(struct billing_accounts *b, const struct account_order *o)
{
	struct account *a = by_id(b, o->id);

	if (!a || !a->open || strcmp(a->number, o->number) != 0)
		return "bh.unknown_customer";
	if (is_denied(b, o->data) && strcmp(o->data, a->data_before) != 0)
		return "bh.denied";
	describe(a, o);
	return NULL;
}

const char *account_close(struct billing_accounts *b, const struct account_order *o)
{
	struct account *a = by_id(b, o->id);

	if (!a || strcmp(a->number, o->number) != 0)
		return "bh.unknown_customer";
	set_open(b, a, false);
	return NULL;
}

/* Taking a move back is a move too: the old customer, who was closed by it, is opened again. */
const char *account_move(struct billing_accounts *b, const struct account_order *o)
{
	struct account *from = by_id(b, o->old_id), *to = by_id(b, o->id);

	if (!from || !from->open || from == to)
		return "bh.unknown_customer";
	if (to && (to->moved_to != from || strcmp(to->number, o->number) != 0))
		return "bh.customer_exists";
	if (number_in_use(b, o->number, to))
		return "bh.number_in_use";
	if (!to)
		to = account_new(b, from->kind, o->id, o->number, o->now_s);
	if (!to)
		return "bh.limit";
	set_open(b, from, false);
	from->moved_to = to;
	to->moved_to = NULL;
	set_open(b, to, true);
	describe(to, o);
	return NULL;
}

struct billing_totals billing_totals(const struct billing_accounts *b, enum account_kind kind)
{
	return b->totals[kind];
}

/* Records */

/* Whose the number was when the call was answered, or ended unanswered. */
static struct account *payer(struct billing_accounts *b, const struct billed_call *c)
{
	struct account *a = c->end_s ? name_index_get(b->newest, c->account) : by_number(b, c->account);
	bool restricted = strcmp(c->account, RESTRICTED_ACCOUNT) == 0;

	while (c->end_s && a && a->opened_s > c->end_s - (int64_t)c->seconds && a->earlier)
		a = a->earlier;
	return a ? a : account_new(b, restricted ? ACCOUNT_RESTRICTED : ACCOUNT_NOBODY, "", c->account, 0);
}

static bool same_record(const struct record *r, const struct billed_call *c)
{
	return strcmp(r->account->number, c->account) == 0 && strcmp(r->caller, c->caller) == 0 &&
	       strcmp(r->callee, c->callee) == 0 && r->seconds == c->seconds && r->cause == c->cause &&
	       r->end_s == c->end_s;
}

enum billed account_bill(struct billing_accounts *b, const struct billed_call *c)
{
	char session[2 * RADIUS_TEXT_MAX];
	struct record *r;
	struct account *a;

	snprintf(session, sizeof session, "%s %s", c->from, c->id);
	r = name_index_get(b->by_call, session);
	if (r)
		return same_record(r, c) ? BILLED_BEFORE : BILLED_OTHERWISE;
	a = name_index_count(b->by_call) < BILLING_RECORDS_MAX ? payer(b, c) : NULL;
	if (!a)
		return BILLED_NO_ROOM;
	r = sim_alloc(sizeof *r);
	r->account = a;
	snprintf(r->caller, sizeof r->caller, "%s", c->caller);
	snprintf(r->callee, sizeof r->callee, "%s", c->callee);
	r->seconds = c->seconds;
	r->cause = c->cause;
	r->end_s = c->end_s;
	*b->records_tail = r;
	b->records_tail = &r->next;
	name_index_set(b->by_call, session, r);
	a->records++;
	a->calls += c->seconds > 0;
	a->seconds += c->seconds;
	b->totals[a->kind].calls += c->seconds > 0;
	b->totals[a->kind].seconds += c->seconds;
	return BILLED;
}

uint64_t billing_records(const struct billing_accounts *b)
{
	return name_index_count(b->by_call);
}

/* Answers */

const struct billing_answer *billing_answer_find(const struct billing_accounts *b, const char *state)
{
	const struct kept_answer *k = name_index_get(b->by_state, state);

	return k ? &k->answer : NULL;
}

void billing_answer_keep(struct billing_accounts *b, const char *state, const struct billing_answer *answer)
{
	struct kept_answer *k;

	if (name_index_count(b->by_state) == BILLING_ANSWERS_MAX)
		forget_answer(b);
	k = sim_alloc(sizeof *k);
	snprintf(k->state, sizeof k->state, "%s", state);
	k->answer = *answer;
	*b->answers_tail = k;
	b->answers_tail = &k->next;
	name_index_set(b->by_state, k->state, k);
}

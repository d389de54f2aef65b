/*
 * Billing host (flows.md 0, 5 to 10; patent [0128], [0146], [0170], [0176]): keeps the customers' accounts as the
 * provisioning CA says, and the records of calls as the signaling controllers and gateways say.
 *
 * From the provisioning CA, RADIUS CoA-Requests (V8): connect_info "open", "change", "close" or "move"; user_name, the
 * customer's ID; called_station, the number; filter_id, the options; reply_message, the customer's data; class_,
 * "repair" for a repair facility's account, and of a move the old customer's ID; state, the name of the request. The
 * answer has the ID in class_ and the billing terms in reply_message. A repetition of a state is answered as the first
 * time and changes nothing.
 *
 * From controllers and gateways, Accounting-Requests (stop): acct_session_id, the call; user_name, whose account: a
 * number, or "restricted"; calling_station, called_station, acct_session_s (0: never answered), acct_cause,
 * event_time_s (the call's end). One record is kept for a session of a server, and is what the result database has of
 * the call: times are the record's, in seconds, and the call's identifier is the session's up to ";".
 *
 * Refusals: "bh.check_service" (who keys with it is no server of the directory, or not at its address),
 * "bh.check_provisioning", "bh.check_controller" (not that server's to say), "bh.malformed", "bh.unknown_request",
 * "bh.state_in_use" (another request had this name), "bh.customer_exists", "bh.unknown_customer", "bh.number_in_use",
 * "bh.denied" (a customer whom the operator does not want), "bh.limit", "bh.record_differs" (a call was recorded
 * already, otherwise; the first record stays), "bh.check_segment" (a controller's record on the account of a number
 * that is another controller's).
 *
 * Accounts, records and answers are on disk. A restart loses associations and tickets.
 */
#include "models/billing_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/backend.h"
#include "models/billing_accounts.h"
#include "models/call_records.h"
#include "models/directory.h"
#include "models/message.h"
#include "models/radius_server.h"

#define ACCT_STOP 2

struct billing {
	struct node *node;
	char principal[KRB_NAME_MAX + 1];
	char terms[RADIUS_TEXT_MAX];
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct radius_server *orders, *records;
	struct billing_accounts *accounts;
	uint64_t asked, refused, repeated;
};

/* The provisioning CA */

static const struct {
	const char *about;
	const char *(*act)(struct billing_accounts *accounts, const struct account_order *order);
} acts[] = {
	{ "open", account_open }, { "change", account_change }, { "close", account_close }, { "move", account_move },
};
#define ACTS (sizeof acts / sizeof *acts)

static const char *obey(struct billing *b, const struct radius *q)
{
	char number[SUBSCRIBER_NUMBER_LEN];
	struct account_order order = { .id = q->user_name, .number = number, .data = q->reply_message,
		                       .options = q->filter_id,
		                       .old_id = "", .now_s = sim_unix_s(b->node->sim) };

	if (!q->user_name[0] || strlen(q->user_name) >= BILLING_ID_LEN || !number_digits(q->called_station, number))
		return "bh.malformed";
	order.repair = strcmp(q->class_, "repair") == 0;
	if (!order.repair)
		order.old_id = q->class_;
	for (size_t i = 0; i < ACTS; i++)
		if (strcmp(acts[i].about, q->connect_info) == 0)
			return acts[i].act(b->accounts, &order);
	return "bh.unknown_request";
}

static void digest_of(const struct billing *b, const struct radius_asked *asked, uint8_t out[32])
{
	const struct radius *q = &asked->question;
	char text[8 * RADIUS_TEXT_MAX];
	int len = snprintf(text, sizeof text, "%s\n%s\n%s\n%s\n%s\n%s\n%s", asked->principal, q->connect_info,
	                   q->user_name, q->class_,
	                   q->called_station, q->filter_id, q->reply_message);

	crypto_sha256(world_crypto(world_of(b->node->sim)), (const uint8_t *)text, (size_t)len, out);
}

/* Says what was decided, now or before. */
static void answer(struct billing *b, const struct radius_asked *asked, const struct billing_answer *decided)
{
	struct radius a = { .code = RADIUS_COA_ACK };

	if (decided->check) {
		radius_server_judge(b->orders, asked, decided->check);
		return;
	}
	message_accept(b->node, asked->tag);
	snprintf(a.state, sizeof a.state, "%s", asked->question.state);
	snprintf(a.class_, sizeof a.class_, "%s", decided->id);
	snprintf(a.reply_message, sizeof a.reply_message, "%s", b->terms);
	radius_server_answer(b->orders, asked, &a);
}

static void refuse(struct billing *b, const struct radius_asked *asked, const char *check)
{
	b->refused++;
	radius_server_judge(b->orders, asked, check);
}

static void on_order(void *ctx, const struct radius_asked *asked)
{
	struct billing *b = ctx;
	const struct radius *q = &asked->question;
	const struct billing_answer *before = billing_answer_find(b->accounts, q->state);
	struct billing_answer now = { .check = NULL };

	b->asked++;
	digest_of(b, asked, now.digest);
	if (strncmp(asked->principal, "pca/", 4) != 0) {
		refuse(b, asked, "bh.check_provisioning");
	} else if (q->code != RADIUS_COA_REQUEST || !q->state[0]) {
		refuse(b, asked, "bh.malformed");
	} else if (before && memcmp(before->digest, now.digest, sizeof now.digest) != 0) {
		refuse(b, asked, "bh.state_in_use");
	} else if (before) {
		b->repeated++;
		answer(b, asked, before);
	} else {
		now.check = obey(b, q);
		b->refused += now.check != NULL;
		snprintf(now.id, sizeof now.id, "%.*s", BILLING_ID_LEN - 1, q->user_name);
		billing_answer_keep(b->accounts, q->state, &now);
		answer(b, asked, &now);
	}
	sim_changed(b->node->sim, b->node);
}

/* Call records */

static bool may_record(const char *principal)
{
	static const char *const kinds[] = { "sc/", "sg/", "tg/" };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(principal, kinds[i], 3) == 0)
			return true;
	return false;
}

static const char *judge_record(const struct radius_asked *asked, char account[SUBSCRIBER_NUMBER_LEN])
{
	const struct radius *q = &asked->question;

	if (!may_record(asked->principal))
		return "bh.check_controller";
	if (q->code != RADIUS_ACCOUNTING_REQUEST || q->acct_status != ACCT_STOP || !q->acct_session_id[0])
		return "bh.malformed";
	if (strcmp(q->user_name, RESTRICTED_ACCOUNT) == 0)
		snprintf(account, SUBSCRIBER_NUMBER_LEN, "%s", RESTRICTED_ACCOUNT);
	else if (!number_digits(q->user_name, account))
		return "bh.malformed";
	return NULL;
}

/* What a controller that is broken into says of another segment's customers is not believed (attack S2). */
static bool is_anothers(const struct billing *b, const struct radius_asked *asked, const char *account)
{
	const char *owner = directory_number(world_directory(world_of(b->node->sim)), account);

	return strncmp(asked->principal, "sc/", 3) == 0 && owner && strncmp(owner, "sc/", 3) == 0 &&
	       strcmp(owner, asked->principal) != 0;
}

/* A record that will never be taken is acknowledged all the same, so that it does not come for ever. */
static void acknowledge_refused(struct billing *b, const struct radius_asked *asked, const char *check)
{
	static const struct radius response = { .code = RADIUS_ACCOUNTING_RESPONSE };

	b->refused++;
	trace_refuse(b->node, check, asked->ip, asked->tag, asked->question.acct_session_id);
	radius_server_answer(b->records, asked, &response);
}

/* What it has taken is what the run's database has. */
static void trace_billed(const struct billing *b, const struct billed_call *call)
{
	const struct sim *sim = b->node->sim;
	sim_ns end_ns = call->end_s ? (call->end_s - sim->epoch_s) * NS_PER_S : sim->now_ns;
	sim_ns answer_ns = end_ns - call->seconds * NS_PER_S;
	char id[RADIUS_TEXT_MAX];

	snprintf(id, sizeof id, "%.*s", (int)strcspn(call->id, ";"), call->id);
	trace_record(b->node->sim, &(struct trace_record){
		.id = id, .account = call->account, .caller = call->caller, .callee = call->callee,
		.reason = acct_cause_text(call->cause), .start_ns = answer_ns,
		.answer_ns = call->seconds ? answer_ns : -1, .end_ns = end_ns, .at = b->node });
}

static void on_record(void *ctx, const struct radius_asked *asked)
{
	struct billing *b = ctx;
	const struct radius *q = &asked->question;
	char account[SUBSCRIBER_NUMBER_LEN];
	struct billed_call call = { .from = asked->principal, .id = q->acct_session_id, .end_s = q->event_time_s,
		                    .account = account, .caller = q->calling_station,
		                    .callee = q->called_station, .seconds = q->acct_session_s, .cause = q->acct_cause };
	const char *check = judge_record(asked, account);
	bool others = !check && is_anothers(b, asked, account);
	enum billed billed = check || others ? BILLED : account_bill(b->accounts, &call);

	if (billed == BILLED_NO_ROOM)
		check = "bh.limit";
	b->repeated += billed == BILLED_BEFORE;
	if (!check && !others && billed == BILLED)
		trace_billed(b, &call);
	if (others || billed == BILLED_OTHERWISE) {
		acknowledge_refused(b, asked, others ? "bh.check_segment" : "bh.record_differs");
	} else {
		b->refused += check != NULL;
		radius_server_judge(b->records, asked, check);
	}
	sim_changed(b->node->sim, b->node);
}

/* Only servers have an association with it. */
static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct billing *b = ctx;

	*check = "bh.check_service";
	return strchr(accepted->ticket.client.name, '/') && strcmp(accepted->ticket.server.name, b->principal) == 0 &&
	       directory_service_ip(world_directory(world_of(b->node->sim)), accepted->ticket.client.name) == from_ip;
}

/* Construction */

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .required = true,
	  .doc = "the KDC it gets tickets from, or what has one in it" },
	{ .name = "terms", .type = VALUE_TEXT, .preset = "20.00 a month, 0.05 a minute",
	  .doc = "the billing terms, as customers are told [0150]" },
	{ .name = NULL },
};

static void destroy(struct node *node)
{
	struct billing *b = node->state;

	radius_server_free(b->orders);
	radius_server_free(b->records);
	backend_free(b->backend);
	key_management_free(b->km);
	ipsec_free(b->ipsec);
	billing_accounts_free(b->accounts);
	sm_free(b->sm);
	free(b);
}

static void make_parts(struct billing *b, uint32_t kdc_ip)
{
	struct world *world = world_of(b->node->sim);
	struct key_management_owner owner = { .ctx = b, .authorise = authorise };
	struct backend_config backend = { .node = b->node, .principal = b->principal, .kdc_ip = kdc_ip };

	b->sm = world_module(world, b->node, "module");
	backend.server_key = world_server_key(world, b->sm, b->principal);
	b->ipsec = backend.ipsec = ipsec_new(b->node, b->sm, true);
	b->km = backend.km = key_management_new(b->node, b->ipsec, b->principal, backend.server_key, &owner);
	b->backend = backend_new(&backend);
	b->orders = radius_server_new(b->node, b->ipsec, RADIUS_DYNAMIC_PORT, on_order, b);
	b->records = radius_server_new(b->node, b->ipsec, RADIUS_ACCT_PORT, on_record, b);
	b->accounts = billing_accounts_new();
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	const char *terms = args_text(args, "terms", "");
	struct billing *b;

	if (!node_first_ip(node)) {
		snprintf(error, MODEL_ERROR_LEN,
		         "a billing host needs an address; write on = { link, \"10.104.0.31/24\" }");
		return false;
	}
	if (strlen(terms) >= RADIUS_TEXT_MAX) {
		snprintf(error, MODEL_ERROR_LEN, "terms has room for %d characters; write terms = \"20.00 a month\"",
		         RADIUS_TEXT_MAX - 1);
		return false;
	}
	b = sim_alloc(sizeof *b);
	b->node = node;
	node->state = b;
	node->destroy = destroy;
	snprintf(b->principal, sizeof b->principal, "bh/%s", node->name);
	snprintf(b->terms, sizeof b->terms, "%s", terms);
	make_parts(b, node_first_ip(args_node(args, "kdc")));
	directory_service_add(world_directory(world_of(node->sim)), b->principal, node_first_ip(node));
	return true;
}

static void power_on(struct node *node)
{
	struct billing *b = node->state;

	key_management_reset(b->km);
	radius_server_reset(b->orders);
	radius_server_reset(b->records);
}

static void restart(struct node *node)
{
	struct billing *b = node->state;

	backend_reset(b->backend);
	ipsec_reset(b->ipsec);
	power_on(node);
	service_reset(node);
	sim_changed(node->sim, node);
}

const char *billing_host_principal(const struct node *node)
{
	const struct billing *b = node->state;

	return b->principal;
}

bool billing_host_enter(struct node *node, const char *id, const char *number, const char *data, const char *options)
{
	struct billing *b = node->state;
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct account_order order = { .id = id, .number = digits, .data = data, .options = options, .old_id = "" };

	return id[0] && strlen(id) < BILLING_ID_LEN && number_digits(number, digits) &&
	       account_open(b->accounts, &order) == NULL;
}

/* What a scenario may ask and do */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct billing *b = node->state;
	struct billing_totals customer = billing_totals(b->accounts, ACCOUNT_CUSTOMER);
	struct billing_totals repair = billing_totals(b->accounts, ACCOUNT_REPAIR);
	struct billing_totals restricted = billing_totals(b->accounts, ACCOUNT_RESTRICTED);
	struct billing_totals nobody = billing_totals(b->accounts, ACCOUNT_NOBODY);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "accounts", customer.open }, { "customer_calls", customer.calls }, { "total_seconds", customer.seconds },
		{ "repair_accounts", repair.open }, { "repair_calls", repair.calls }, 
		{ "repair_seconds", repair.seconds },
		{ "restricted_calls", restricted.calls }, { "restricted_seconds", restricted.seconds },
		{ "nobodys_calls", nobody.calls }, { "nobodys_seconds", nobody.seconds },
		{ "records", billing_records(b->accounts) }, { "asked", b->asked }, { "refused", b->refused },
		{ "repeated", b->repeated }, { "associations", ipsec_count(b->ipsec) },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	return false;
}

/* The newest account of a number, or of "restricted", or that of a customer's ID; NULL: none. */
static const struct account *account_asked(struct node *node, const struct args *args)
{
	const struct billing *b = node->state;
	const char *number = args_text(args, "number", "");
	const struct account *customers = account_of_customer(b->accounts, number);
	char digits[SUBSCRIBER_NUMBER_LEN];

	if (strcmp(number, RESTRICTED_ACCOUNT) == 0)
		return account_of_number(b->accounts, RESTRICTED_ACCOUNT);
	return customers ? customers : number_digits(number, digits) ? account_of_number(b->accounts, digits) : NULL;
}

static void verb_seconds(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct account *a = account_asked(node, args);

	result->value = value_int(a ? (int64_t)a->seconds : 0);
}

static void verb_calls(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct account *a = account_asked(node, args);

	result->value = value_int(a ? (int64_t)a->calls : 0);
}

static void verb_records_of(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct account *a = account_asked(node, args);

	result->value = value_int(a ? (int64_t)a->records : 0);
}

static void verb_customer(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct account *a = account_asked(node, args);

	result->value = value_text(a && a->open && a->id[0] ? a->id : NULL);
}

static void verb_options(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct account *a = account_asked(node, args);

	result->value = value_text(a && a->open ? a->options : NULL);
}

static void verb_kind(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct account *a = account_asked(node, args);

	result->value = value_text(a ? account_kind_names[a->kind] : NULL);
}

static void set_denied(struct node *node, const struct args *args, struct verb_result *result, bool denied)
{
	struct billing *b = node->state;
	const char *name = args_text(args, "name", "");

	if (!name[0] || strlen(name) >= RADIUS_TEXT_MAX)
		snprintf(result->error, sizeof result->error, "found name = \"%.40s\"; write name = \"Mallory\"", name);
	else if (!billing_deny(b->accounts, name, denied))
		snprintf(result->error, sizeof result->error, "%s denies %d customers, which is all it can hold",
		         node->name,
		         BILLING_DENIED_MAX);
}

static void verb_deny(struct node *node, const struct args *args, struct verb_result *result)
{
	set_denied(node, args, result, true);
}

static void verb_approve(struct node *node, const struct args *args, struct verb_result *result)
{
	set_denied(node, args, result, false);
}

static const struct param number_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true,
	  .doc = "\"215-555-0200\", or \"restricted\", or a customer's ID" },
	{ .name = NULL },
};
static const struct param name_params[] = {
	{ .name = "name", .type = VALUE_TEXT, .required = true, .doc = "as the customer's data say: name=Mallory;..." },
	{ .name = NULL },
};
static const struct verb verbs[] = {
	{ "seconds", "seconds talked on the account of a number", number_params, "integer", verb_seconds },
	{ "calls", "answered calls on the account of a number", number_params, "integer", verb_calls },
	{ "records_of", "call records on the account of a number, answered or not", number_params, "integer",
	  verb_records_of },
	{ "customer", "the ID of the customer of a number, nil: it has none", number_params, "text", verb_customer },
	{ "options", "the options that the customer of a number pays for", number_params, "text", verb_options },
	{ "kind", "whose the account of a number is: customer, repair, restricted, nobody", number_params, "text",
	  verb_kind },
	{ "deny", "opens no account for a customer of this name, and changes none", name_params, "", verb_deny },
	{ "approve", "takes that back", name_params, "", verb_approve },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attributes[] = {
	{ "accounts", VALUE_INT, "customers' accounts that are open" },
	{ "customer_calls", VALUE_INT, "answered calls of customers" },
	{ "total_seconds", VALUE_INT, "seconds talked by customers" },
	{ "repair_accounts", VALUE_INT, "accounts of repair facilities that are open" },
	{ "repair_calls", VALUE_INT, "answered calls of repair facilities" },
	{ "repair_seconds", VALUE_INT, "seconds talked by repair facilities" },
	{ "restricted_calls", VALUE_INT, "answered calls of unprovisioned CTAs" },
	{ "restricted_seconds", VALUE_INT, "seconds talked by unprovisioned CTAs" },
	{ "nobodys_calls", VALUE_INT, "answered calls of numbers that no customer has had" },
	{ "nobodys_seconds", VALUE_INT, "seconds talked by those" },
	{ "records", VALUE_INT, "call records, one a call" },
	{ "asked", VALUE_INT, "requests of the provisioning CA, so far" },
	{ "refused", VALUE_INT, "requests and records refused, so far" },
	{ "repeated", VALUE_INT, "requests and records that had come before" },
	{ "associations", VALUE_INT, "security associations with servers" },
	{ NULL, VALUE_NIL, NULL },
};

const struct model model_billing_host = {
	.name = "billing_host", .doc = "billing host: customers' accounts, records of calls",
	.params = params, .verbs = verbs, .attributes = attributes, .create = create, .start = power_on, .get = get,
	.restart = restart,
};

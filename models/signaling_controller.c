/*
 * Signaling controller (flows.md 0, 2, 4; patent [0036]-[0040], [0050]-[0052], [0077]-[0093]): holds the subscriber database of its
 * segment, accepts AP exchanges, makes and distributes the sub-keys of calls, writes call records, answers the KDC about
 * subscribers. A KDC may stand in the same machine [0041].
 *
 * It keeps no state for a CTA between calls. A restart loses everything but the subscriber database, the call records that the
 * billing host has not acknowledged yet (models/call_records.h) and the server key.
 */
#include "models/signaling_controller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/call_control.h"
#include "models/call_records.h"
#include "models/directory.h"
#include "models/intercept.h"
#include "models/kdc_service.h"
#include "models/message.h"
#include "models/radius_client.h"
#include "models/radius_server.h"
#include "models/subscriber_orders.h"

struct controller {
	struct node *node;
	char principal[KRB_NAME_MAX + 1];
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct radius_client *questions;
	struct radius_server *answers, *accounts, *dynamic;
	struct subscriber_orders *orders;
	struct subscribers *subscribers;
	struct parties *parties;
	struct call_records *records;
	char billing[KRB_NAME_MAX + 1]; /* the billing host's principal; "": none */
	struct call_control *calls;
	struct intercept *intercept;
	struct kdc_service *kdc;   /* NULL: the KDC is elsewhere */
	struct node *kdc_node;
	uint64_t exchanges;
};

/* Tickets: whom the AP exchange admits */

static struct subscriber *known_phone(const struct controller *c, const char *name)
{
	uint8_t id[PHONE_ID_LEN];

	return hex_decode(span_of(name), id, sizeof id) == PHONE_ID_LEN ? subscribers_by_phone_id(c->subscribers, id) : NULL;
}

/* What we send to an address goes under the newest association with it: nobody may enter where another is in a call, but its subscriber. */
static const char *judge_client(const struct controller *c, const struct krb_ticket_facts *ticket, uint32_t from_ip)
{
	const struct subscriber *subscriber = known_phone(c, ticket->client.name);

	if (!subscriber && !ticket->restricted)
		return "sc.check_subscriber";
	if (!(subscriber && subscriber->ip == from_ip) && parties_other_at(c->parties, from_ip, ticket->client.name))
		return "sc.check_address";
	return NULL;
}

static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct controller *c = ctx;
	const struct krb_ticket_facts *ticket = &accepted->ticket;

	if (strcmp(ticket->server.name, c->principal) != 0) {
		*check = "sc.not_us";
		return false;
	}
	if (strchr(ticket->client.name, '/')) {
		*check = "sc.check_service";
		return directory_service_ip(world_directory(world_of(c->node->sim)), ticket->client.name) == from_ip;
	}
	*check = judge_client(c, ticket, from_ip);
	return *check == NULL;
}

static void accepted_association(void *ctx, struct association *association, const struct krb_ticket_facts *ticket)
{
	struct controller *c = ctx;

	struct subscriber *subscriber = known_phone(c, ticket->client.name);

	c->exchanges++;
	if (subscriber)
		subscriber->ip = association->peer_ip;
	if (!strchr(ticket->client.name, '/'))
		parties_enter(c->parties, association, ticket);
	sim_changed(c->node->sim, c->node);
}

/* Questions of other servers: the KDC's about a phone ID, and lawful intercept's */

/* A KDC of its own, or one in the machine of another controller [0041], which asks with that one's principal. */
static bool is_kdc(const struct controller *c, const struct radius_asked *asked)
{
	char principal[KRB_NAME_MAX + 1];

	if (strncmp(asked->principal, "kdc/", 4) == 0)
		return true;
	if (strncmp(asked->principal, "sc/", 3) != 0 || strcmp(asked->question.user_name, "cookie") == 0)
		return false;
	snprintf(principal, sizeof principal, "kdc/%s", asked->principal + 3);
	return directory_service_ip(world_directory(world_of(c->node->sim)), principal) == asked->ip;
}

/* The KDC has verified its signature: from now on it can be woken where it asked from (V14: the address of a provisioned device). */
static void judge_phone(struct controller *c, const struct radius_asked *asked)
{
	struct subscriber *subscriber = known_phone(c, asked->question.user_name);

	if (subscriber && asked->question.framed_ip)
		subscriber->ip = asked->question.framed_ip;
	radius_server_judge(c->answers, asked, subscriber ? NULL : "sc.unknown_subscriber");
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct controller *c = ctx;

	if (is_kdc(c, asked) && strcmp(asked->question.connect_info, "device") == 0)
		subscriber_orders_device(c->orders, asked);
	else if (is_kdc(c, asked) && asked->question.code == RADIUS_ACCESS_REQUEST)
		judge_phone(c, asked);
	else if (!intercept_question(c->intercept, asked))
		radius_server_judge(c->answers, asked, "sc.unknown_question");
}

static void on_account(void *ctx, const struct radius_asked *asked)
{
	struct controller *c = ctx;

	if (!intercept_account(c->intercept, asked))
		trace_refuse(c->node, "sc.unknown_question", asked->ip, asked->tag, "");
}

static void on_order(void *ctx, const struct radius_asked *asked)
{
	struct controller *c = ctx;

	subscriber_orders_take(c->orders, asked);
}

static void on_established(void *ctx, struct call *call)
{
	struct controller *c = ctx;

	intercept_established(c->intercept, call);
}

static bool local_subscriber(void *ctx, const uint8_t id[PHONE_ID_LEN])
{
	const struct controller *c = ctx;

	return subscribers_by_phone_id(c->subscribers, id) != NULL;
}

/* Construction */

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .doc = "the KDC it gets tickets from; without one it has a KDC of its own [0041]" },
	{ .name = "association_lifetime", .type = VALUE_TIME, .preset = "1h", .doc = "of a CTA's association with it" },
	{ .name = "escrow", .type = VALUE_TEXT, .preset = "kept", .choices = "kept|cookie",
	  .doc = "where the sub-keys of its calls are for lawful intercept: here, or sealed at the other controller [0100]" },
	{ .name = "restricted_numbers", .type = VALUE_TEXT, .preset = "",
	  .doc = "that a CTA with its device certificate may call, by tickets of its own KDC" },
	{ .name = "ticket_lifetime", .type = VALUE_TIME, .preset = "7d", .doc = "of tickets of its own KDC" },
	{ .name = "billing", .type = VALUE_TEXT, .preset = "",
	  .doc = "name of the billing host that gets its call records, which may be created later; \"\": there is none" },
	{ .name = NULL },
};

static void destroy(struct node *node)
{
	struct controller *c = node->state;

	kdc_service_free(c->kdc);
	intercept_free(c->intercept);
	subscriber_orders_free(c->orders);
	call_control_free(c->calls);
	call_records_free(c->records);
	parties_free(c->parties);
	radius_server_free(c->answers);
	radius_server_free(c->accounts);
	radius_server_free(c->dynamic);
	radius_client_free(c->questions);
	backend_free(c->backend);
	key_management_free(c->km);
	ipsec_free(c->ipsec);
	subscribers_free(c->subscribers);
	sm_free(c->sm);
	free(c);
}

static void make_kdc(struct controller *c, const struct args *args)
{
	char principal[KRB_NAME_MAX + 1];
	struct kdc_config config = {
		.node = c->node, .sm = c->sm, .ipsec = c->ipsec, .km = c->km, .backend = c->backend, .radius = c->questions,
		.name = c->node->name, .ticket_lifetime_s = args_time(args, "ticket_lifetime", 0) / NS_PER_S,
		.restricted_numbers = args_text(args, "restricted_numbers", NULL), .local_service = c->principal, .local_subscriber = local_subscriber, .local_ctx = c,
	};

	snprintf(principal, sizeof principal, "kdc/%s", c->node->name);
	directory_service_add(world_directory(world_of(c->node->sim)), principal, node_first_ip(c->node));
	c->kdc = kdc_service_new(&config);
}

static void make_parts(struct controller *c, key_handle server_key)
{
	struct key_management_owner owner = { .ctx = c, .authorise = authorise, .accepted = accepted_association };
	struct backend_config backend = { .node = c->node, .principal = c->principal, .server_key = server_key,
		                          .kdc_ip = c->kdc_node ? node_first_ip(c->kdc_node) : 0, .self_issue = !c->kdc_node };
	struct call_records_config records = { .node = c->node, .billing = c->billing, .max = CALL_RECORDS_MAX };
	struct call_control_config calls = { .node = c->node, .principal = c->principal, .established = on_established, .ctx = c };

	c->ipsec = calls.ipsec = backend.ipsec = ipsec_new(c->node, c->sm, true);
	c->km = calls.km = backend.km = key_management_new(c->node, c->ipsec, c->principal, server_key, &owner);
	c->backend = calls.backend = backend_new(&backend);
	c->parties = calls.parties = parties_new(c->node, c->ipsec);
	c->subscribers = calls.subscribers = subscribers_new();
	c->questions = radius_client_new(c->node, c->ipsec);
	c->answers = radius_server_new(c->node, c->ipsec, RADIUS_AUTH_PORT, on_question, c);
	c->accounts = radius_server_new(c->node, c->ipsec, RADIUS_ACCT_PORT, on_account, c);
	records.backend = c->backend;
	records.questions = c->questions;
	c->records = calls.records = call_records_new(&records);
	c->calls = call_control_new(&calls);
}

static void make_orders(struct controller *c)
{
	struct subscriber_orders_config config = { .node = c->node, .backend = c->backend, .subscribers = c->subscribers,
		                                   .questions = c->questions, .answers = c->answers, .principal = c->principal };

	c->dynamic = config.dynamic = radius_server_new(c->node, c->ipsec, RADIUS_DYNAMIC_PORT, on_order, c);
	c->orders = subscriber_orders_new(&config);
}

static void make_intercept(struct controller *c, const struct args *args)
{
	struct intercept_config config = { .node = c->node, .ipsec = c->ipsec, .backend = c->backend, .calls = c->calls,
		                           .questions = c->questions, .answers = c->answers, .accounts = c->accounts };

	config.form = strcmp(args_text(args, "escrow", "kept"), "cookie") == 0 ? INTERCEPT_COOKIE : INTERCEPT_KEPT;
	c->intercept = intercept_new(&config);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct world *world = world_of(node->sim);
	struct controller *c;

	if (!node_first_ip(node)) {
		snprintf(error, MODEL_ERROR_LEN, "a signaling controller needs an address; write on = { link, \"10.1.0.2/24\" }");
		return false;
	}
	if (!kdc_numbers_fit(args_text(args, "restricted_numbers", ""))) {
		snprintf(error, MODEL_ERROR_LEN, "restricted_numbers takes up to %d numbers; write restricted_numbers = \"411,911\"",
		         KRB_NUMBERS_MAX);
		return false;
	}
	c = sim_alloc(sizeof *c);
	c->node = node;
	c->kdc_node = args_node(args, "kdc");
	node->state = c;
	node->destroy = destroy;
	snprintf(c->principal, sizeof c->principal, "sc/%s", node->name);
	if (args_text(args, "billing", "")[0])
		snprintf(c->billing, sizeof c->billing, "bh/%s", args_text(args, "billing", ""));
	c->sm = world_module(world, node, "module");
	make_parts(c, world_server_key(world, c->sm, c->principal));
	make_intercept(c, args);
	make_orders(c);
	key_management_set_lifetime(c->km, args_time(args, "association_lifetime", ASSOCIATION_LIFETIME_DEFAULT_NS));
	directory_service_add(world_directory(world), c->principal, node_first_ip(node));
	if (!c->kdc_node)
		make_kdc(c, args);
	return true;
}

static void power_on(struct node *node)
{
	struct controller *c = node->state;

	key_management_reset(c->km);
	radius_client_reset(c->questions);
	radius_server_reset(c->answers);
	radius_server_reset(c->accounts);
	radius_server_reset(c->dynamic);
	call_control_reset(c->calls);
	if (c->kdc)
		kdc_service_start(c->kdc);
	call_records_reset(c->records);
}

/* What a power failure loses: calls, associations, tickets, replay cache. Subscriber database and call records are on disk. */
static void restart(struct node *node)
{
	struct controller *c = node->state;

	intercept_reset(c->intercept);
	subscriber_orders_reset(c->orders);
	call_control_reset(c->calls);
	parties_reset(c->parties);
	backend_reset(c->backend);
	ipsec_reset(c->ipsec);
	if (c->kdc)
		kdc_service_reset(c->kdc);
	power_on(node);
	sim_changed(node->sim, node);
}

/* For other elements' construction */

bool signaling_controller_subscribe(struct node *node, const char *number, const uint8_t mac[6], uint32_t ip)
{
	struct controller *c = node->state;
	struct world *world = world_of(node->sim);
	char digits[SUBSCRIBER_NUMBER_LEN];

	if (!number_digits(number, digits) || directory_number(world_directory(world), digits) ||
	    !subscribers_put(c->subscribers, world_crypto(world), digits, mac, ip))
		return false;
	directory_number_set(world_directory(world), digits, c->principal);
	return true;
}

const char *signaling_controller_principal(const struct node *node)
{
	const struct controller *c = node->state;

	return c->principal;
}

/* What a scenario may ask */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct controller *c = node->state;
	struct call_counters calls = call_control_counters(c->calls);
	struct call_records_counters records = call_records_counters(c->records);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "calls", calls.active }, { "call_keys", calls.keys }, { "set_up", calls.set_up }, { "refused", calls.refused },
		{ "records", records.made }, { "answered", records.answered }, { "records_waiting", records.waiting },
		{ "records_delivered", records.delivered }, { "records_lost", records.lost }, { "associations", ipsec_count(c->ipsec) }, { "parties", parties_count(c->parties) },
		{ "subscribers", subscribers_count(c->subscribers) }, { "exchanges", c->exchanges },
		{ "orders", subscriber_orders_under_way(c->orders) },
		{ "keys_released", intercept_released(c->intercept) },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	return false;
}

static const struct attribute attributes[] = {
	{ "calls", VALUE_INT, "calls that are not yet over" },
	{ "call_keys", VALUE_INT, "sub-keys of calls it holds" },
	{ "set_up", VALUE_INT, "calls whose sub-key both ends have proven, so far" },
	{ "refused", VALUE_INT, "calls refused, so far" },
	{ "records", VALUE_INT, "call records written" },
	{ "answered", VALUE_INT, "call records of calls that were answered" },
	{ "records_waiting", VALUE_INT, "call records that the billing host has not acknowledged yet" },
	{ "records_delivered", VALUE_INT, "call records that it has acknowledged" },
	{ "records_lost", VALUE_INT, "call records for which there was no room" },
	{ "associations", VALUE_INT, "security associations with CTAs and servers" },
	{ "parties", VALUE_INT, "CTAs it keeps any state of" },
	{ "subscribers", VALUE_INT, "numbers of its segment" },
	{ "exchanges", VALUE_INT, "AP exchanges accepted" },
	{ "orders", VALUE_INT, "orders of the provisioning CA it is working on" },
	{ "keys_released", VALUE_INT, "times it released a call's key to one with a warrant" },
	{ NULL, VALUE_NIL, NULL },
};

static void verb_unsubscribe(struct node *node, const struct args *args, struct verb_result *result)
{
	struct controller *c = node->state;
	char digits[SUBSCRIBER_NUMBER_LEN];
	const char *number = args_text(args, "number", "");

	if (!number_digits(number, digits) || !subscribers_remove(c->subscribers, digits))
		snprintf(result->error, sizeof result->error, "%s has no subscriber %s", node->name, number);
	else
		directory_number_set(world_directory(world_of(node->sim)), digits, NULL);
}

static void verb_warrant(struct node *node, const struct args *args, struct verb_result *result)
{
	struct controller *c = node->state;
	const char *number = args_text(args, "number", "");
	const struct node *to = args_node(args, "to");
	char digits[SUBSCRIBER_NUMBER_LEN], principal[KRB_NAME_MAX + 1];

	snprintf(principal, sizeof principal, "lea/%s", to->name);
	if (!number_digits(number, digits))
		snprintf(result->error, sizeof result->error, "\"%s\" is no telephone number; write number = \"215-555-0101\"", number);
	else if (!intercept_warrant(c->intercept, digits, principal, node->sim->now_ns + args_time(args, "lasts", 0)))
		snprintf(result->error, sizeof result->error, "%s has %d warrants already", node->name, WARRANTS_MAX);
}

static void verb_revoke(struct node *node, const struct args *args, struct verb_result *result)
{
	struct controller *c = node->state;
	const char *number = args_text(args, "number", "");
	char digits[SUBSCRIBER_NUMBER_LEN];

	if (!number_digits(number, digits) || !intercept_revoke(c->intercept, digits))
		snprintf(result->error, sizeof result->error, "%s has no warrant for %s", node->name, number);
}

static void verb_swap_cookies(struct node *node, const struct args *args, struct verb_result *result)
{
	struct controller *c = node->state;

	if (!intercept_swap_cookies(c->intercept, args_text(args, "call", ""), args_text(args, "with", "")))
		snprintf(result->error, sizeof result->error, "%s has not the cookies of both calls", node->name);
}

static const struct param swap_params[] = {
	{ .name = "call", .type = VALUE_TEXT, .required = true, .doc = "a call by its identifier" },
	{ .name = "with", .type = VALUE_TEXT, .required = true, .doc = "another" },
	{ .name = NULL },
};
static const struct param warrant_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "whose calls" },
	{ .name = "to", .type = VALUE_NODE, .required = true, .doc = "the law_enforcement that may ask" },
	{ .name = "lasts", .type = VALUE_TIME, .preset = "30d", .doc = "for how long" },
	{ .name = NULL },
};
static const struct param unsubscribe_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "as it was subscribed: \"215-555-0101\"" },
	{ .name = NULL },
};
static const struct verb verbs[] = {
	{ "unsubscribe", "takes a number out of the subscriber database: its tickets are refused from now on", unsubscribe_params,
	  "", verb_unsubscribe },
	{ "warrant", "the operator enters a court's order: keys of calls of a number may be released [0099]", warrant_params, "",
	  verb_warrant },
	{ "swap_cookies", "attack S4: broken into, it gives back the cookie of one call for that of another", swap_params, "",
	  verb_swap_cookies },
	{ "revoke", "takes the orders for a number out again", unsubscribe_params, "", verb_revoke },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct machine_def *const machines[] = { &call_control_machine, NULL };

const struct model model_signaling_controller = {
	.name = "signaling_controller",
	.doc = "signaling controller: subscriber database, AP exchange, sub-keys of calls, call records",
	.params = params, .verbs = verbs, .attributes = attributes, .machines = machines, .create = create, .start = power_on,
	.get = get, .restart = restart,
};

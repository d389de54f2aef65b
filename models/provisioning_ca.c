/*
 * Provisioning CA (flows.md 0, 5 to 10; patent [0127], [0135]-[0136], [0140]-[0149]): knows the devices that signaling
 * controllers report, assigns numbers, tells billing host and controllers of customers, and issues the operator
 * certificates.
 *
 * It answers RADIUS Access-Requests. Of a controller: "device" (V3), a device's certificate and address; accepted is
 * approved, and says that certificate, address and controller are stored. Of a centre's terminal: what a customer wants
 * (V7; models/provisioning_request.h), which starts a transaction (models/provisioning_flow.h) and is answered when
 * that has ended; a repetition joins it, and is answered again afterwards.
 *
 * A certificate is issued for the key in the certificate of the device that was reported at the calling CTA's address,
 * and for no other [0144], [0149]. If that record was overwritten while the call or the transaction lasted, it is
 * nobody's ("pca.bind_call"). Each certificate of a device starts later than those before it [0161].
 *
 * Refusals: "pca.check_service" (who keys with it is no server of the directory, or not at its address),
 * "pca.check_controller", "pca.check_centre" (the question is not for this server to ask),
 * "pca.check_segment" (a controller reports an address that is in no segment of its own), "pca.mac_mismatch"
 * (certificate and name differ), "pca.device_certificate" (not of a manufacturer), "pca.denied", "pca.device_limit",
 * "pca.state_in_use" (another request had this name), those of provisioning_request.h and provisioning_flow.h, and what
 * billing host, controllers and CTAs refuse by.
 *
 * On disk: devices, customers, numbers, work orders, transactions. A restart loses associations, tickets and who has
 * asked.
 */
#include "models/provisioning_ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/authority.h"
#include "models/directory.h"
#include "models/message.h"
#include "models/provisioning_request.h"
#include "sim/service.h"

#define PATIENCE_MIN_NS NS_PER_S

struct pca {
	struct node *node;
	char principal[KRB_NAME_MAX + 1], billing[KRB_NAME_MAX + 1];
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct radius_client *questions;
	struct radius_server *answers;
	/* On disk. */
	struct provisioning_store *store;
	struct work_orders *orders;
	struct flows *flows;
	int64_t lifetime_s, repair_lifetime_s;
	uint64_t reports, requests, refused, issued;
	uint64_t decisions; /* of the network's own, so far: their names */
};

/* V3: devices */

static const char *judge_certificate(const struct pca *p, const struct radius *q, uint8_t mac[6])
{
	struct world *world = world_of(p->node->sim);
	const struct der cert = { (uint8_t *)q->certificate, q->certificate_len };
	struct cert_facts facts;

	if (!device_mac_parse(q->user_name, mac) || !q->framed_ip)
		return "pca.malformed";
	if (!cert_read_with(world_crypto(world), cert.bytes, cert.len, &facts) || facts.kind != CERT_DEVICE ||
	    cert_verify(world_crypto(world), &cert, world_authority(world, AUTHORITY_MANUFACTURER), 1,
	                world_authority(world, AUTHORITY_MANUFACTURER_ROOT), 1, sim_unix_s(p->node->sim),
	                false) != CERT_OK)
		return "pca.device_certificate";
	return facts.has_mac && memcmp(facts.mac, mac, 6) == 0 ? NULL : "pca.mac_mismatch";
}

static const char *take_device(struct pca *p, const struct radius_asked *asked)
{
	const struct radius *q = &asked->question;
	const char *check;
	uint8_t mac[6];

	if (strncmp(asked->principal, "sc/", 3) != 0)
		return "pca.check_controller";
	service_charge(p->node, &(struct service_cost){ .rsa_public = 2 });
	check = judge_certificate(p, q, mac);
	if (check)
		return check;
	if (!directory_serves(world_directory(world_of(p->node->sim)), asked->principal, q->framed_ip))
		return "pca.check_segment";
	if (device_denied(p->store, mac))
		return "pca.denied";
	return device_report(p->store, mac, q->framed_ip, asked->principal, q->certificate, q->certificate_len,
	                     p->node->sim->now_ns) ? NULL : "pca.device_limit";
}

static void on_report(struct pca *p, const struct radius_asked *asked)
{
	const char *check = take_device(p, asked);

	p->reports++;
	p->refused += check != NULL;
	radius_server_judge(p->answers, asked, check);
}

/* V7: requests of the centre, and their answers */

static void answer(struct pca *p, struct transaction *t, bool done)
{
	struct radius a = { .code = done ? RADIUS_ACCESS_ACCEPT : RADIUS_ACCESS_REJECT };

	if (!t->asked)
		return;
	if (!done) {
		radius_server_judge(p->answers, t->asked, t->check);
	} else {
		message_accept(p->node, t->asked->tag);
		snprintf(a.called_station, sizeof a.called_station, "%s", t->number);
		snprintf(a.class_, sizeof a.class_, "%s", t->customer_id);
		snprintf(a.reply_message, sizeof a.reply_message, "%s", t->terms);
		snprintf(a.state, sizeof a.state, "%s", t->name);
		a.session_timeout_s = (uint32_t)t->lifetime_s;
		radius_server_answer(p->answers, t->asked, &a);
	}
	flow_drop_asked(t);
}

/* What makes a repetition one: the same server asks the same under the same name. */
static void digest_of(const struct pca *p, const struct radius_asked *asked, uint8_t out[32])
{
	const struct radius *q = &asked->question;
	char text[8 * RADIUS_TEXT_MAX];
	int len = snprintf(text, sizeof text, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%u\n%u", asked->principal, q->connect_info,
	                   q->user_name, q->class_,
	                   q->called_station, q->calling_station, q->filter_id, q->framed_ip, q->session_timeout_s);

	crypto_sha256(world_crypto(world_of(p->node->sim)), (const uint8_t *)text, (size_t)len, out);
}

static const char *repeated(struct pca *p, struct transaction *t, const struct radius_asked *asked)
{
	uint8_t digest[32];

	digest_of(p, asked, digest);
	if (memcmp(digest, t->digest, sizeof digest) != 0)
		return "pca.state_in_use";
	flow_keep_asked(t, asked);
	if (flow_over(t) || t->given_up)
		answer(p, t, !t->check[0]);
	return NULL;
}

static const char *take_request(struct pca *p, const struct radius_asked *asked)
{
	const struct request_ground ground = { .node = p->node, .store = p->store, .orders = p->orders, 
		                               .flows = p->flows,
		                               .lifetime_s = p->lifetime_s, .repair_lifetime_s = p->repair_lifetime_s };
	struct transaction *t = flow_find(p->flows, asked->question.state);
	const char *check;

	if (strncmp(asked->principal, "csr/", 4) != 0)
		return "pca.check_centre";
	if (t)
		return repeated(p, t, asked);
	check = provisioning_request_take(&ground, &asked->question, &t);
	if (check)
		return check;
	p->requests++;
	digest_of(p, asked, t->digest);
	flow_keep_asked(t, asked);
	flow_start(t);
	return NULL;
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct pca *p = ctx;
	const char *check = "pca.unknown_request";

	if (asked->question.code == RADIUS_ACCESS_REQUEST && strcmp(asked->question.connect_info, "device") == 0) {
		on_report(p, asked);
	} else {
		if (asked->question.code == RADIUS_ACCESS_REQUEST)
			check = take_request(p, asked);
		if (check) {
			p->refused++;
			radius_server_judge(p->answers, asked, check);
		}
	}
	sim_changed(p->node->sim, p->node);
}

/* What transactions ask for */

static const char *check_binding(const struct pca *p, const struct transaction *t)
{
	const struct binding *b = binding_find(p->store, t->cta_ip);

	if (!world_on(world_of(p->node->sim), "pca.bind_call"))
		return NULL;
	return !t->binding || (b && b->serial == t->binding) ? NULL : "pca.bind_call";
}

static bool sign(struct pca *p, struct transaction *t)
{
	struct device *d = t->device;
	int64_t now_s = sim_unix_s(p->node->sim);
	struct der spki = { 0 };
	bool ok;

	t->cert_start_s = d->last_start_s >= now_s ? d->last_start_s + 1 : now_s;
	ok = cert_public_key(d->cert.bytes, d->cert.len, &spki) &&
	     world_operator_certificate_for(world_of(p->node->sim), &spki, t->after->number, t->cert_start_s,
	                                    t->lifetime_s, &t->cert);
	der_free(&spki);
	if (ok) {
		d->last_start_s = t->cert_start_s;
		p->issued++;
	}
	return ok;
}

/* It leaves when the signature is made, and not before the certificate is valid. */
static const char *issue(void *ctx, struct transaction *t, sim_ns *wait_ns)
{
	struct pca *p = ctx;
	struct sim *sim = p->node->sim;
	const char *check = check_binding(p, t);
	sim_ns signed_ns = sim->now_ns, starts_ns;

	if (check)
		return check;
	if (!t->cert.len) {
		if (!sign(p, t))
			return "pca.device_certificate";
		signed_ns = service_charge(p->node, &(struct service_cost){ .rsa_private = 1 });
	}
	starts_ns = (t->cert_start_s - sim->epoch_s) * NS_PER_S;
	*wait_ns = (signed_ns > starts_ns ? signed_ns : starts_ns) - sim->now_ns;
	if (*wait_ns < 0)
		*wait_ns = 0;
	return NULL;
}

static void given_up(void *ctx, struct transaction *t)
{
	answer(ctx, t, false);
}

static void done_well(struct pca *p, struct transaction *t)
{
	if (t->kind == FLOW_CHANGE) {
		snprintf(t->after->options, sizeof t->after->options, "%s", t->new_options);
		snprintf(t->after->data, sizeof t->after->data, "%s", t->new_data);
	}
	if (t->before && t->kind != FLOW_CHANGE)
		customer_remove(p->store, t->before);
	if (t->after && t->after != t->before)
		customer_settle(p->store, t->after);
}

static void finished(void *ctx, struct transaction *t, bool done)
{
	struct pca *p = ctx;
	struct work_order *order = t->work_order[0] ? work_orders_find(p->orders, t->work_order) : NULL;

	t->device->busy = NULL;
	if (order) {
		order->taken = false;
		order->used = done;
	}
	if (done)
		done_well(p, t);
	else if (t->after && t->after->pending)
		customer_remove(p->store, t->after);
	answer(p, t, done);
	sim_changed(p->node->sim, p->node);
}

/* Only servers have an association with it. */
static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct pca *p = ctx;

	*check = "pca.check_service";
	return strchr(accepted->ticket.client.name, '/') && strcmp(accepted->ticket.server.name, p->principal) == 0 &&
	       directory_service_ip(world_directory(world_of(p->node->sim)), accepted->ticket.client.name) == from_ip;
}

/* Construction */

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .required = true,
	  .doc = "the KDC it gets tickets from, or what has one in it" },
	{ .name = "billing", .type = VALUE_NODE, .required = true, .doc = "the billing_host" },
	{ .name = "numbers", .type = VALUE_TEXT, .preset = "",
	  .doc = "by location: \"sc/sc1=2155550200-2155550299;sc/sc2=6105550200-6105550299\"" },
	{ .name = "deny", .type = VALUE_TEXT, .preset = "",
	  .doc = "devices it does not approve: \"02:00:00:00:00:01,...\"" },
	{ .name = "certificate_lifetime", .type = VALUE_TIME, .preset = "730d", .doc = "of operator certificates" },
	{ .name = "repair_lifetime", .type = VALUE_TIME, .preset = "8h",
	  .doc = "of a repair facility's, where the request does not say [0177]" },
	{ .name = "patience", .type = VALUE_TIME, .preset = "5min",
	  .doc = "a CTA or server that has not answered for so long: the request is refused, and taken back" },
	{ .name = NULL },
};

static void destroy(struct node *node)
{
	struct pca *p = node->state;

	flows_free(p->flows);
	radius_server_free(p->answers);
	radius_client_free(p->questions);
	backend_free(p->backend);
	key_management_free(p->km);
	ipsec_free(p->ipsec);
	work_orders_free(p->orders);
	provisioning_store_free(p->store);
	sm_free(p->sm);
	free(p);
}

static bool read_denied(struct pca *p, const char *text, char error[MODEL_ERROR_LEN])
{
	while (*text) {
		size_t len = strcspn(text, ",");
		char one[MAC_TEXT_LEN];
		uint8_t mac[6];

		if (!span_copy(span_trim((struct span){ text, len }), one, sizeof one) || !device_mac_parse(one, mac) ||
		    !device_set_denied(p->store, mac, true)) {
			snprintf(error, MODEL_ERROR_LEN,
			         "deny takes up to %d MACs, found \"%.40s\"; write deny = \"02:00:00:00:00:01\"",
			         PROVISIONING_DENIED_MAX, text);
			return false;
		}
		text += len;
		text += *text == ',';
	}
	return true;
}

static bool check_params(const struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	const struct node *billing = args_node(args, "billing");

	if (!node_first_ip(node))
		snprintf(error, MODEL_ERROR_LEN,
		         "a provisioning CA needs an address; write on = { link, \"10.104.0.30/24\" }");
	else if (!billing->model || strcmp(billing->model->name, "billing_host") != 0)
		snprintf(error, MODEL_ERROR_LEN, "billing must be a billing_host, found %.60s; write billing = bh1",
		         billing->name);
	else if (args_time(args, "certificate_lifetime", NS_PER_S) < NS_PER_S ||
	         args_time(args, "repair_lifetime", NS_PER_S) < NS_PER_S)
		snprintf(error, MODEL_ERROR_LEN,
		         "certificate_lifetime and repair_lifetime must be a second or more; write "
		         "repair_lifetime = \"8h\"");
	else if (args_time(args, "patience", PATIENCE_MIN_NS) < PATIENCE_MIN_NS)
		snprintf(error, MODEL_ERROR_LEN, "patience must be a second or more; write patience = \"5min\"");
	else
		return true;
	return false;
}

static void make_parts(struct pca *p, const struct args *args)
{
	struct world *world = world_of(p->node->sim);
	struct key_management_owner owner = { .ctx = p, .authorise = authorise };
	struct backend_config backend = { .node = p->node, .principal = p->principal, 
		                          .kdc_ip = node_first_ip(args_node(args, "kdc")) };
	struct flow_config flows = { .node = p->node, .billing = p->billing, .ctx = p, .issue = issue,
		                     .given_up = given_up,
		                     .finished = finished, .patience_ns = args_time(args, "patience", 300 * NS_PER_S) };

	p->sm = world_module(world, p->node, "module");
	backend.server_key = world_server_key(world, p->sm, p->principal);
	p->ipsec = backend.ipsec = ipsec_new(p->node, p->sm, true);
	p->km = backend.km = key_management_new(p->node, p->ipsec, p->principal, backend.server_key, &owner);
	p->backend = flows.backend = backend_new(&backend);
	p->questions = flows.questions = radius_client_new(p->node, p->ipsec);
	p->answers = radius_server_new(p->node, p->ipsec, RADIUS_AUTH_PORT, on_question, p);
	p->store = provisioning_store_new();
	p->orders = work_orders_new();
	p->flows = flows_new(&flows);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct pca *p;

	if (!check_params(node, args, error))
		return false;
	p = sim_alloc(sizeof *p);
	p->node = node;
	snprintf(p->principal, sizeof p->principal, "pca/%s", node->name);
	snprintf(p->billing, sizeof p->billing, "bh/%s", args_node(args, "billing")->name);
	p->lifetime_s = args_time(args, "certificate_lifetime", 0) / NS_PER_S;
	p->repair_lifetime_s = args_time(args, "repair_lifetime", 0) / NS_PER_S;
	node->state = p;
	node->destroy = destroy;
	make_parts(p, args);
	directory_service_add(world_directory(world_of(node->sim)), p->principal, node_first_ip(node));
	return number_blocks_read(p->store, args_text(args, "numbers", ""), error) &&
	       read_denied(p, args_text(args, "deny", ""), error);
}

static void power_on(struct node *node)
{
	struct pca *p = node->state;

	key_management_reset(p->km);
	radius_client_reset(p->questions);
	radius_server_reset(p->answers);
	flows_resume(p->flows);
}

static void restart(struct node *node)
{
	struct pca *p = node->state;

	flows_stop(p->flows);
	backend_reset(p->backend);
	ipsec_reset(p->ipsec);
	service_reset(node);
	power_on(node);
	sim_changed(node->sim, node);
}

/* For other elements' construction */

const char *provisioning_ca_principal(const struct node *node)
{
	const struct pca *p = node->state;

	return p->principal;
}

const char *provisioning_ca_enter(struct node *node, const struct provisioned *who)
{
	struct pca *p = node->state;
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct customer_request request = { .number = digits, .data = who->data, .options = who->options,
		                            .controller = who->controller };
	struct customer *c;

	if (!number_digits(who->number, digits) || !number_free(p->store, digits))
		return NULL;
	request.device = device_enter(p->store, who->mac, who->controller, who->device_cert);
	if (!request.device || request.device->owner)
		return NULL;
	c = customer_add(p->store, &request);
	if (!c)
		return NULL;
	customer_settle(p->store, c);
	return c->id;
}

/* What a scenario may ask and do */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct pca *p = node->state;
	struct flow_counters flows = flows_counters(p->flows);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "devices", device_count(p->store) }, { "denied", device_denied_count(p->store) },
		{ "customers", customer_count(p->store, false) }, { "repairs", customer_count(p->store, true) },
		{ "work_orders", work_orders_open(p->orders) }, { "under_way", flows.under_way }, 
		{ "done", flows.done },
		{ "taken_back", flows.undone }, { "retries", flows.retries }, { "reports", p->reports },
		{ "requests", p->requests }, { "refused", p->refused }, { "issued", p->issued },
		{ "associations", ipsec_count(p->ipsec) },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	return false;
}

/* The MAC that a verb names: its text, or a device's. */
static bool mac_of(const struct args *args, uint8_t mac[6], struct verb_result *result)
{
	const char *text = args_text(args, "mac", NULL);
	const struct node *device = args_node(args, "node");

	if (text && !device && device_mac_parse(text, mac))
		return true;
	if (device && !text && device->ifaces) {
		memcpy(mac, device->ifaces->mac, 6);
		return true;
	}
	snprintf(result->error, sizeof result->error,
	         "found %s%.40s; write mac = \"02:00:00:00:00:01\" or node = alice",
	         text ? "mac = " : "neither mac nor node", text ? text : "");
	return false;
}

static void set_denied(struct node *node, const struct args *args, struct verb_result *result, bool denied)
{
	struct pca *p = node->state;
	uint8_t mac[6];

	if (!mac_of(args, mac, result))
		return;
	if (!device_set_denied(p->store, mac, denied))
		snprintf(result->error, sizeof result->error, "%s denies %d devices, which is all it can hold",
		         node->name,
		         PROVISIONING_DENIED_MAX);
	sim_changed(node->sim, node);
}

static void verb_deny(struct node *node, const struct args *args, struct verb_result *result)
{
	set_denied(node, args, result, true);
}

static void verb_approve(struct node *node, const struct args *args, struct verb_result *result)
{
	set_denied(node, args, result, false);
}

static void verb_work_order(struct node *node, const struct args *args, struct verb_result *result)
{
	struct pca *p = node->state;
	struct work_order order = { .number = "" };
	const char *wish = args_text(args, "wish", "");

	order.has_mac = args_get(args, "mac") || args_get(args, "node");
	if (order.has_mac && !mac_of(args, order.mac, result))
		return;
	if ((wish[0] && !number_digits(wish, order.wish)) ||
	    !span_copy(span_of(args_text(args, "number", "")), order.number, sizeof order.number) ||
	    !span_copy(span_of(args_text(args, "customer", "")), order.customer, sizeof order.customer) ||
	    !span_copy(span_of(args_text(args, "options", "")), order.options, sizeof order.options))
		snprintf(result->error, sizeof result->error,
		         "a text is longer than %d, or wish is no telephone number; write "
		         "number = \"4711\", customer = \"name=Ada;address=1 Main Street;pay=invoice\"",
		         WORK_ORDER_TEXT - 1);
	else if (!work_orders_add(p->orders, &order))
		snprintf(result->error, sizeof result->error, "%s has a work order %.31s, or %d of them", node->name,
		         order.number,
		         WORK_ORDERS_MAX);
	sim_changed(node->sim, node);
}

static const struct customer *customer_asked(struct node *node, const struct args *args)
{
	const struct pca *p = node->state;
	char digits[SUBSCRIBER_NUMBER_LEN];
	const struct customer *c = NULL;

	if (number_digits(args_text(args, "number", ""), digits))
		c = customer_by_number(p->store, digits);
	return c && !c->pending ? c : NULL;
}

static void verb_customer(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct customer *c = customer_asked(node, args);

	result->value = value_text(c ? c->id : NULL);
}

/* The network's own decision [0155]: the same transaction, which nobody outside waits for. */
static void verb_terminate(struct node *node, const struct args *args, struct verb_result *result)
{
	struct pca *p = node->state;
	const struct request_ground ground = { .node = node, .store = p->store, .orders = p->orders, .flows = p->flows,
		                               .lifetime_s = p->lifetime_s, .repair_lifetime_s = p->repair_lifetime_s };
	struct radius decision = { .code = RADIUS_ACCESS_REQUEST, .connect_info = "terminate" };
	struct transaction *t;
	const char *check;

	if (!number_digits(args_text(args, "number", ""), decision.called_station)) {
		snprintf(result->error, sizeof result->error, "number is no telephone number; write number = \"215-555-0200\"");
		return;
	}
	snprintf(decision.state, sizeof decision.state, "%.64s/%llu", p->principal, (unsigned long long)++p->decisions);
	check = flow_find(p->flows, decision.state) ? "pca.state_in_use" : provisioning_request_take(&ground, &decision, &t);
	if (check)
		snprintf(result->error, sizeof result->error, "%s cannot terminate %s: %s", node->name, decision.called_station, check);
	else
		flow_start(t);
	sim_changed(node->sim, node);
}

static void verb_options(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct customer *c = customer_asked(node, args);

	result->value = value_text(c ? c->options : NULL);
}

static void verb_number(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct pca *p = node->state;
	const struct device *d;
	const struct customer *c;
	uint8_t mac[6];

	if (!mac_of(args, mac, result))
		return;
	d = device_find(p->store, mac);
	c = !d ? NULL : args_bool(args, "repair", false) ? d->repair : d->owner;
	result->value = value_text(c && !c->pending ? c->number : NULL);
}

#define DEVICE_PARAMS \
	{ .name = "mac", .type = VALUE_TEXT, .doc = "\"02:00:00:00:00:01\"" }, \
	{ .name = "node", .type = VALUE_NODE, .doc = "or the device that has it" }

static const struct param device_params[] = { DEVICE_PARAMS, { .name = NULL } };
static const struct param number_of_params[] = {
	DEVICE_PARAMS,
	{ .name = "repair", .type = VALUE_BOOL, .preset = "false",
	  .doc = "the repair facility's instead of the owner's" },
	{ .name = NULL },
};
static const struct param number_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "\"215-555-0200\"" },
	{ .name = NULL },
};
static const struct param work_order_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "that the installer will say: \"4711\"" },
	{ .name = "customer", .type = VALUE_TEXT, .required = true,
	  .doc = "\"name=Ada;address=1 Main Street;pay=invoice\"" },
	{ .name = "options", .type = VALUE_TEXT, .doc = "\"caller-id,3way\"" },
	{ .name = "wish", .type = VALUE_TEXT, .doc = "the telephone number wished" },
	DEVICE_PARAMS,
	{ .name = NULL },
};
static const struct verb verbs[] = {
	{ "deny", "does not approve a device: it is not provisioned", device_params, "", verb_deny },
	{ "approve", "takes that back", device_params, "", verb_approve },
	{ "work_order", "enters what is known of a customer before an installer comes [0142]", work_order_params, "",
	  verb_work_order },
	{ "terminate", "ends a customer's service by the network's own decision [0155]", number_params, "", verb_terminate },
	{ "customer", "the ID of the customer of a number, nil: it has none", number_params, "text", verb_customer },
	{ "options", "the options of the customer of a number", number_params, "text", verb_options },
	{ "number", "the number of a device, digits; nil: it has none", number_of_params, "text", verb_number },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attributes[] = {
	{ "devices", VALUE_INT, "devices that controllers have reported" },
	{ "denied", VALUE_INT, "devices it does not approve" },
	{ "customers", VALUE_INT, "customers that are provisioned" },
	{ "repairs", VALUE_INT, "accounts of repair facilities that are open" },
	{ "work_orders", VALUE_INT, "work orders that are not used up" },
	{ "under_way", VALUE_INT, "transactions that have not come to their end" },
	{ "done", VALUE_INT, "transactions done, so far" },
	{ "taken_back", VALUE_INT, "transactions taken back, so far" },
	{ "retries", VALUE_INT, "steps asked again after no answer, so far" },
	{ "reports", VALUE_INT, "reports of devices by controllers, so far" },
	{ "requests", VALUE_INT, "requests of the centre taken on, so far" },
	{ "refused", VALUE_INT, "reports and requests refused at once, so far" },
	{ "issued", VALUE_INT, "operator certificates issued, so far" },
	{ "associations", VALUE_INT, "security associations with servers" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &flow_machine, NULL };

const struct model model_provisioning_ca = {
	.name = "provisioning_ca",
	.doc = "provisioning CA: devices, numbers, customers, their transactions; operator certificates",
	.params = params, .verbs = verbs, .attributes = attributes, .machines = machines, .create = create,
	.start = power_on, .get = get, .restart = restart,
};

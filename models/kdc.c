/*
 * Key distribution centre in a machine of its own (flows.md 0, 1 and 13; patent [0041], [0102]-[0105]): the service of
 * models/kdc_service.h with a secure module, and ESP associations with the signaling controllers and head-ends it asks.
 *
 * A restart loses tickets, associations, thumbprints and authenticators; keys and certificate stay.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/directory.h"
#include "models/kdc_service.h"

struct kdc {
	struct node *node;
	char principal[KRB_NAME_MAX + 1];
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct radius_client *questions;
	struct kdc_service *service;
};

extern const struct model model_kdc;

/* A server keys with us when it hears our ESP under an association it has lost. */
static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct kdc *kdc = ctx;

	*check = "kdc.check_service";
	return directory_service_ip(world_directory(world_of(kdc->node->sim)), accepted->ticket.client.name) == from_ip;
}

static void destroy(struct node *node)
{
	struct kdc *kdc = node->state;

	kdc_service_free(kdc->service);
	radius_client_free(kdc->questions);
	backend_free(kdc->backend);
	key_management_free(kdc->km);
	ipsec_free(kdc->ipsec);
	sm_free(kdc->sm);
	free(kdc);
}

static void make_parts(struct kdc *kdc, const struct args *args)
{
	struct key_management_owner owner = { .ctx = kdc, .authorise = authorise };
	struct backend_config backend = { .node = kdc->node, .principal = kdc->principal, .self_issue = true };
	struct kdc_config service = {
		.node = kdc->node, .name = kdc->node->name, .ticket_lifetime_s = args_time(args, "ticket_lifetime", 0) / NS_PER_S,
		.restricted_numbers = args_text(args, "restricted_numbers", ""),
	};

	service.sm = kdc->sm = world_module(world_of(kdc->node->sim), kdc->node, "module");
	service.ipsec = backend.ipsec = kdc->ipsec = ipsec_new(kdc->node, kdc->sm, true);
	kdc->km = key_management_new(kdc->node, kdc->ipsec, kdc->principal,
	                             world_server_key(world_of(kdc->node->sim), kdc->sm, kdc->principal), &owner);
	service.km = backend.km = kdc->km;
	service.backend = kdc->backend = backend_new(&backend);
	service.radius = kdc->questions = radius_client_new(kdc->node, kdc->ipsec);
	kdc->service = kdc_service_new(&service);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	const char *numbers = args_text(args, "restricted_numbers", "");
	struct kdc *kdc;

	if (!node_first_ip(node)) {
		snprintf(error, MODEL_ERROR_LEN, "a KDC needs an address; write on = { link, \"10.1.0.9/24\" }");
		return false;
	}
	if (args_time(args, "ticket_lifetime", NS_PER_S) < NS_PER_S) {
		snprintf(error, MODEL_ERROR_LEN, "ticket_lifetime must be a second or more; write ticket_lifetime = \"7d\"");
		return false;
	}
	if (!kdc_numbers_fit(numbers)) {
		snprintf(error, MODEL_ERROR_LEN, "restricted_numbers takes up to %d numbers of up to %d digits, found \"%.80s\"; "
		         "write restricted_numbers = \"411,911\"", KRB_NUMBERS_MAX, KRB_NUMBER_LEN - 1, numbers);
		return false;
	}
	kdc = sim_alloc(sizeof *kdc);
	kdc->node = node;
	node->state = kdc;
	node->destroy = destroy;
	snprintf(kdc->principal, sizeof kdc->principal, "kdc/%s", node->name);
	make_parts(kdc, args);
	directory_service_add(world_directory(world_of(node->sim)), kdc->principal, node_first_ip(node));
	return true;
}

static void power_on(struct node *node)
{
	struct kdc *kdc = node->state;

	key_management_reset(kdc->km);
	radius_client_reset(kdc->questions);
	kdc_service_start(kdc->service);
}

static void restart(struct node *node)
{
	struct kdc *kdc = node->state;

	kdc_service_reset(kdc->service);
	backend_reset(kdc->backend);
	ipsec_reset(kdc->ipsec);
	power_on(node);
	service_reset(node);
	sim_changed(node->sim, node);
}

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct kdc *kdc = node->state;
	struct kdc_counters c = kdc_service_counters(kdc->service);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "requests", c.requests }, { "issued", c.issued }, { "refused", c.refused }, { "under_way", c.under_way },
		{ "connections", c.connections }, { "cached_certificates", c.certificates }, { "cache_hits", c.cache_hits },
		{ "authenticators", c.authenticators }, { "associations", ipsec_count(kdc->ipsec) },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	return false;
}

/* The operator's CA learns that another KDC's key has been stolen. */
static void verb_revoke(struct node *node, const struct args *args, struct verb_result *result)
{
	char name[KRB_NAME_MAX + 1];

	snprintf(name, sizeof name, "kdc/%s", args_text(args, "name", ""));
	if (!world_revoke_kdc(world_of(node->sim), name))
		snprintf(result->error, sizeof result->error, "the CRL is full");
}

static const struct param revoke_params[] = {
	{ .name = "name", .type = VALUE_TEXT, .required = true, .doc = "of the KDC: \"kdc1\"" }, { .name = NULL },
};
static const struct verb verbs[] = {
	{ "revoke", "puts the certificate of a KDC on the operator's CRL [0208]", revoke_params, "", verb_revoke },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct param params[] = {
	{ .name = "ticket_lifetime", .type = VALUE_TIME, .preset = "7d", .doc = "how long a ticket is good for at most" },
	{ .name = "restricted_numbers", .type = VALUE_TEXT, .preset = "",
	  .doc = "what an unprovisioned CTA may call, by its ticket: \"411,911\" [0134], [0138]" },
	{ .name = NULL },
};
static const struct attribute attributes[] = {
	{ "requests", VALUE_INT, "AS-REQs that came, so far" },
	{ "issued", VALUE_INT, "tickets issued, so far" },
	{ "refused", VALUE_INT, "requests answered with a KRB-ERROR, so far" },
	{ "under_way", VALUE_INT, "requests in the queue or waiting for another server" },
	{ "connections", VALUE_INT, "TCP connections that are open" },
	{ "cached_certificates", VALUE_INT, "thumbprints of verified certificates [0104]" },
	{ "cache_hits", VALUE_INT, "certificate chains not verified because the thumbprint was known, so far" },
	{ "authenticators", VALUE_INT, "authenticators remembered against replay" },
	{ "associations", VALUE_INT, "security associations with servers it asks" },
	{ NULL, VALUE_NIL, NULL },
};

const struct model model_kdc = {
	.name = "kdc", .doc = "key distribution centre: tickets for CTAs by their certificates, for servers by their server keys",
	.params = params, .verbs = verbs, .attributes = attributes, .create = create, .start = power_on, .get = get, .restart = restart,
};

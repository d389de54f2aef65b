/*
 * HFC head-end; see cmts.h. It forwards between its segment and the network, and answers the KDC's question whether a
 * MAC has the address a request came from (flows.md 1, 13; patent [0133]). The question is a RADIUS Access-Request:
 * User-Name is the MAC, Framed-IP-Address the address.
 *
 * Refusals: "he.unknown_lease" (nobody was given this address), "he.mac_mismatch" (somebody else was), "he.bad_mark",
 * "he.unknown_question". Leases and marks are on disk: a restart keeps them.
 */
#include "models/cmts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/backend.h"
#include "models/directory.h"
#include "models/radius_server.h"

#define LEASE_BUCKETS_FIRST 64
#define MAC_LEN 6

struct lease {
	struct lease *next;
	uint32_t ip;
	uint8_t mac[MAC_LEN];
};

struct cmts {
	struct node *node;
	char principal[KRB_NAME_MAX + 1];
	const struct iface *hfc;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;   /* NULL: it knows no KDC, and keys with nobody by itself */
	struct radius_server *answers;
	struct lease **leases;     /* by address */
	uint32_t bucket_count, lease_count;
	uint8_t (*bad)[MAC_LEN];
	unsigned bad_count, bad_room;
	uint64_t asked, refused;
};

/* Leases */

static struct lease **place_of(const struct cmts *c, uint32_t ip)
{
	struct lease **at = &c->leases[(ip * 0x9e3779b1u >> 8) & (c->bucket_count - 1)];

	while (*at && (*at)->ip != ip)
		at = &(*at)->next;
	return at;
}

static void grow(struct cmts *c)
{
	struct lease **old = c->leases;
	uint32_t count = c->bucket_count;

	c->bucket_count = count ? count * 2 : LEASE_BUCKETS_FIRST;
	c->leases = sim_alloc(c->bucket_count * sizeof *c->leases);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct lease *l = old[b], **at = place_of(c, l->ip);

			old[b] = l->next;
			l->next = NULL;
			*at = l;
		}
	free(old);
}

static const struct lease *lease_find(const struct cmts *c, uint32_t ip)
{
	return c->bucket_count ? *place_of(c, ip) : NULL;
}

bool cmts_lease_add(struct node *node, uint32_t ip, const uint8_t mac[6])
{
	struct cmts *c = node->state;
	struct lease **at;

	if (c->lease_count >= c->bucket_count)
		grow(c);
	at = place_of(c, ip);
	if (!*at) {
		if (c->lease_count >= CMTS_LEASES_MAX)
			return false;
		*at = sim_alloc(sizeof **at);
		(*at)->ip = ip;
		c->lease_count++;
	}
	memcpy((*at)->mac, mac, MAC_LEN);
	sim_changed(node->sim, node);
	return true;
}

static unsigned bad_place(const struct cmts *c, const uint8_t mac[MAC_LEN])
{
	unsigned i = 0;

	while (i < c->bad_count && memcmp(c->bad[i], mac, MAC_LEN) != 0)
		i++;
	return i;
}

static bool mark(struct cmts *c, const uint8_t mac[MAC_LEN])
{
	if (bad_place(c, mac) < c->bad_count)
		return true;
	if (c->bad_count == CMTS_BAD_MARKS_MAX)
		return false;
	if (c->bad_count == c->bad_room) {
		c->bad_room = c->bad_room ? c->bad_room * 2 : 4;
		c->bad = sim_realloc(c->bad, c->bad_room * sizeof *c->bad);
	}
	memcpy(c->bad[c->bad_count++], mac, MAC_LEN);
	return true;
}

static bool unmark(struct cmts *c, const uint8_t mac[MAC_LEN])
{
	unsigned i = bad_place(c, mac);

	if (i == c->bad_count)
		return false;
	memmove(c->bad[i], c->bad[i + 1], (--c->bad_count - i) * sizeof *c->bad);
	return true;
}

/* Questions of the KDC, alone or beside a signaling controller */

static bool read_mac(const char *text, uint8_t mac[MAC_LEN])
{
	char digits[2 * MAC_LEN + 1];

	if (strlen(text) != 3 * MAC_LEN - 1)
		return false;
	for (int i = 0; i < MAC_LEN; i++) {
		memcpy(digits + 2 * i, text + 3 * i, 2);
		if (i && text[3 * i - 1] != ':')
			return false;
	}
	digits[2 * MAC_LEN] = '\0';
	return hex_decode(span_of(digits), mac, MAC_LEN) == MAC_LEN;
}

static const char *judge(const struct cmts *c, const struct radius_asked *asked)
{
	const struct radius *q = &asked->question;
	const struct lease *lease;
	uint8_t mac[MAC_LEN];

	if ((strncmp(asked->principal, "kdc/", 4) != 0 && strncmp(asked->principal, "sc/", 3) != 0) ||
	    q->code != RADIUS_ACCESS_REQUEST || !read_mac(q->user_name, mac))
		return "he.unknown_question";
	lease = lease_find(c, q->framed_ip);
	if (!lease)
		return "he.unknown_lease";
	if (memcmp(lease->mac, mac, MAC_LEN) != 0)
		return "he.mac_mismatch";
	return bad_place(c, mac) < c->bad_count ? "he.bad_mark" : NULL;
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct cmts *c = ctx;
	const char *check = judge(c, asked);

	c->asked++;
	c->refused += check != NULL;
	radius_server_judge(c->answers, asked, check);
	sim_changed(c->node->sim, c->node);
}

/* Only servers have an association with a head-end. */
static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct cmts *c = ctx;

	*check = "he.check_service";
	return directory_service_ip(world_directory(world_of(c->node->sim)), accepted->ticket.client.name) == from_ip;
}

/* Construction */

static void destroy(struct node *node)
{
	struct cmts *c = node->state;

	radius_server_free(c->answers);
	backend_free(c->backend);
	key_management_free(c->km);
	ipsec_free(c->ipsec);
	for (uint32_t b = 0; b < c->bucket_count; b++)
		while (c->leases[b]) {
			struct lease *l = c->leases[b];

			c->leases[b] = l->next;
			free(l);
		}
	free(c->leases);
	free(c->bad);
	sm_free(c->sm);
	free(c);
}

static uint32_t first_ip(const struct node *node)
{
	const struct iface *iface = node->ifaces;

	while (iface && !iface->ip)
		iface = iface->next;
	return iface ? iface->ip : 0;
}

static void make_parts(struct cmts *c, const struct node *kdc)
{
	struct key_management_owner owner = { .ctx = c, .authorise = authorise };
	struct backend_config backend = { .node = c->node, .principal = c->principal };

	c->sm = world_module(world_of(c->node->sim), c->node, "module");
	backend.server_key = world_server_key(world_of(c->node->sim), c->sm, c->principal);
	backend.ipsec = c->ipsec = ipsec_new(c->node, c->sm, true);
	backend.km = c->km = key_management_new(c->node, c->ipsec, c->principal, backend.server_key, &owner);
	backend.kdc_ip = kdc ? first_ip(kdc) : 0;
	if (kdc)
		c->backend = backend_new(&backend);
	c->answers = radius_server_new(c->node, c->ipsec, RADIUS_AUTH_PORT, on_question, c);
}

static const struct iface *segment_of(const struct node *node, const struct args *args)
{
	const struct value *hfc = args_get(args, "hfc");
	const struct iface *iface = node->ifaces;

	if (hfc && hfc->type == VALUE_LINK)
		while (iface && iface->link != hfc->link)
			iface = iface->next;
	return iface;
}

/* Where other servers find it: on the network's side, so that its answers come from the address they asked. */
static uint32_t service_ip(const struct cmts *c)
{
	const struct iface *iface = c->node->ifaces;

	while (iface && (iface == c->hfc || !iface->ip))
		iface = iface->next;
	return iface ? iface->ip : c->hfc->ip;
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	const struct iface *hfc = segment_of(node, args);
	struct directory *directory = world_directory(world_of(node->sim));
	struct cmts *c;

	if (!hfc || !hfc->ip) {
		snprintf(error, MODEL_ERROR_LEN, "a head-end needs an address on its HFC segment; write "
		         "on = { { hfc, \"10.1.0.1/16\" }, { core, \"10.0.0.2/24\" } }, hfc = hfc");
		return false;
	}
	c = sim_alloc(sizeof *c);
	c->node = node;
	c->hfc = hfc;
	node->state = c;
	node->destroy = destroy;
	snprintf(c->principal, sizeof c->principal, "he/%s", node->name);
	make_parts(c, args_node(args, "kdc"));
	ip_set_forwarding(node, true);
	directory_service_add(directory, c->principal, service_ip(c));
	directory_head_end_add(directory, hfc->ip, hfc->prefix_len, c->principal);
	return true;
}

static void power_on(struct node *node)
{
	struct cmts *c = node->state;

	key_management_reset(c->km);
	radius_server_reset(c->answers);
}

static void restart(struct node *node)
{
	struct cmts *c = node->state;

	if (c->backend)
		backend_reset(c->backend);
	ipsec_reset(c->ipsec);
	power_on(node);
	service_reset(node);
	sim_changed(node->sim, node);
}

const char *cmts_principal(const struct node *node)
{
	const struct cmts *c = node->state;

	return c->principal;
}

/* What a scenario may ask and do */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct cmts *c = node->state;
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "leases", c->lease_count }, { "bad_marks", c->bad_count }, { "asked", c->asked }, { "refused", c->refused },
		{ "associations", ipsec_count(c->ipsec) }, { "forwarded", ip_counters(node)->forwarded },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	return false;
}

/* The MAC that a verb names: its text, or a device's on this segment. */
static bool mac_of(const struct cmts *c, const struct args *args, uint8_t mac[MAC_LEN], struct verb_result *result)
{
	const char *text = args_text(args, "mac", NULL);
	const struct node *device = args_node(args, "node");

	if (text ? read_mac(text, mac) && !device : false)
		return true;
	for (const struct iface *i = device && !text ? device->ifaces : NULL; i; i = i->next)
		if (i->link == c->hfc->link) {
			memcpy(mac, i->mac, MAC_LEN);
			return true;
		}
	if (device && !text)
		snprintf(result->error, sizeof result->error, "%s is not on %s's segment %s", device->name, c->node->name,
		         c->hfc->link->name);
	else
		snprintf(result->error, sizeof result->error, "found %s%.40s; write mac = \"02:00:00:00:00:01\" or node = alice",
		         text ? "mac = " : "neither mac nor node", text ? text : "");
	return false;
}

static void verb_mark_bad(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cmts *c = node->state;
	uint8_t mac[MAC_LEN];

	if (!mac_of(c, args, mac, result))
		return;
	if (!mark(c, mac))
		snprintf(result->error, sizeof result->error, "%s has %d marks, which is all it can hold", node->name,
		         CMTS_BAD_MARKS_MAX);
	sim_changed(node->sim, node);
}

static void verb_unmark(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cmts *c = node->state;
	uint8_t mac[MAC_LEN];

	if (!mac_of(c, args, mac, result))
		return;
	if (!unmark(c, mac))
		snprintf(result->error, sizeof result->error, "%s has not marked it", node->name);
	sim_changed(node->sim, node);
}

static const struct param params[] = {
	{ .name = "hfc", .type = VALUE_LINK, .doc = "its HFC segment; without it: the first of its links" },
	{ .name = "kdc", .type = VALUE_NODE, .doc = "the KDC it gets tickets from, to key anew after a restart" },
	{ .name = NULL },
};
static const struct param mark_params[] = {
	{ .name = "mac", .type = VALUE_TEXT, .doc = "\"02:00:00:00:00:01\"" },
	{ .name = "node", .type = VALUE_NODE, .doc = "or the device that has it" },
	{ .name = NULL },
};
static const struct verb verbs[] = {
	{ "mark_bad", "marks a MAC as bad: its device gets no ticket by its manufacturer certificate [0133]", mark_params, "",
	  verb_mark_bad },
	{ "unmark", "takes the mark away", mark_params, "", verb_unmark },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attributes[] = {
	{ "leases", VALUE_INT, "addresses it has given out" },
	{ "bad_marks", VALUE_INT, "MACs marked as bad" },
	{ "asked", VALUE_INT, "questions of a KDC, so far" },
	{ "refused", VALUE_INT, "those answered with no" },
	{ "associations", VALUE_INT, "security associations with servers" },
	{ "forwarded", VALUE_INT, "packets forwarded, so far" },
	{ NULL, VALUE_NIL, NULL },
};

const struct model model_cmts = {
	.name = "cmts", .doc = "HFC head-end: forwards for its segment, knows its leases, tells the KDC", .params = params,
	.verbs = verbs, .attributes = attributes, .create = create, .start = power_on, .get = get, .restart = restart,
};

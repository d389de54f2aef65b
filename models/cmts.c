/*
 * HFC head-end; see cmts.h. It forwards between its segment and the network, and answers the KDC's question
 * whether a MAC has the address a request came from (flows.md 1, 13; patent [0133]). The question is a RADIUS
 * Access-Request: User-Name is the MAC, Framed-IP-Address the address. A signaling controller opens and closes a
 * MAC by CoA- and Disconnect-Request (flows.md 5, V10). Another head-end asks where a MAC is
 * (models/clone_detector.h); before it says where, it looks whether the device is still there (models/presence.h),
 * and takes its lease back if not. With pools of addresses it serves its devices (models/head_end_access.h).
 *
 * Refusals: "he.unknown_lease" (nobody has this address), "he.mac_mismatch" (somebody else has), "he.bad_mark",
 * "he.unknown_question"; "he.check_controller" (an order of another than its segment's controller),
 * "he.unknown_order", "he.unknown_filter", "he.accounts_full". Leases, accounts, marks and the answers
 * to orders are on disk: a restart keeps them.
 */
#include "models/cmts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/backend.h"
#include "models/clone_detector.h"
#include "models/directory.h"
#include "models/head_end_access.h"
#include "models/mac_list.h"
#include "models/order_answers.h"
#include "models/presence.h"
#include "models/radius_server.h"

#define MAC_LEN 6
#define CMTS_LOOKS_MAX 1024 /* questions of head-ends that wait for an answer */
#define CMTS_FILTER_VOICE "voice" /* what a controller lets a device's packets do: everything */

struct look { /* a head-end's question that waits until it is known whether the device is here */
	struct look *next;
	uint8_t mac[MAC_LEN];
	struct radius_asked asked;
};

struct cmts {
	struct node *node;
	char principal[KRB_NAME_MAX + 1];
	const struct iface *hfc;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;   /* NULL: it knows no KDC, and keys with nobody by itself */
	struct radius_server *answers, *orders;
	struct clone_detector *clones;  /* NULL: without access */
	struct presence *presence;
	struct look *looks;
	unsigned look_count;
	struct head_end_access *access; /* NULL: it gives out no addresses, and its devices have theirs from their makers */
	char controller[KRB_NAME_MAX + 1]; /* whose orders it takes; "": any controller's */
	struct lease_table *leases;
	struct mac_list *accounts;
	struct order_answers *answered;
	uint8_t (*bad)[MAC_LEN];
	unsigned bad_count, bad_room;
	uint64_t asked, refused;
};

/* Leases and accounts */

bool cmts_lease_add(struct node *node, uint32_t ip, const uint8_t mac[6])
{
	struct cmts *c = node->state;

	if (!lease_table_add_static(c->leases, ip, mac))
		return false;
	sim_changed(node->sim, node);
	return true;
}

/* Entered by the operator, by its lease or through a signaling controller. */
static bool has_account(void *ctx, const uint8_t mac[MAC_LEN])
{
	const struct cmts *c = ctx;
	const struct lease *fixed = lease_static_of_mac(c->leases, mac);

	return mac_list_has(c->accounts, mac) || (fixed && !fixed->closed);
}

static void close_account(struct cmts *c, const uint8_t mac[MAC_LEN])
{
	struct lease *fixed = lease_static_of_mac(c->leases, mac);

	mac_list_remove(c->accounts, mac);
	if (fixed)
		fixed->closed = true;
}

/* Marks */

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

/* Questions of the KDC, alone or beside a signaling controller, and of another head-end */

static const char *judge_lease(const struct cmts *c, const struct radius *q, const uint8_t mac[MAC_LEN])
{
	const struct lease *lease = lease_of_ip(c->leases, q->framed_ip);

	if (!lease || !lease_live(lease, c->node->sim->now_ns))
		return "he.unknown_lease";
	if (memcmp(lease->mac, mac, MAC_LEN) != 0)
		return "he.mac_mismatch";
	return bad_place(c, mac) < c->bad_count ? "he.bad_mark" : NULL;
}

/* What the device has here, given or offered; NULL: nothing. An account's address, which it had later, goes first. */
static struct lease *entry_of(const struct cmts *c, const uint8_t mac[MAC_LEN])
{
	struct lease *l = lease_static_of_mac(c->leases, mac);

	for (int pool = LEASE_POOLS - 1; !l && pool >= 0; pool--) {
		l = lease_of_mac(c->leases, (enum lease_pool)pool, mac);
		if (l && l->until_ns <= c->node->sim->now_ns)
			l = NULL;
	}
	return l;
}

/* The address that the device has here, given and not only offered; 0: none. */
static uint32_t address_of(void *ctx, const uint8_t mac[MAC_LEN])
{
	const struct cmts *c = ctx;
	const struct lease *l = entry_of(c, mac);

	return l && lease_live(l, c->node->sim->now_ns) ? l->ip : 0;
}

/* Another head-end's question, answered by where the device is. */
static void tell_head_end(struct cmts *c, const uint8_t mac[MAC_LEN], const struct radius_asked *asked)
{
	struct radius answer = { .code = RADIUS_ACCESS_ACCEPT };
	const struct lease *l = entry_of(c, mac);

	if (l)
		answer.framed_ip = l->ip;
	else if (c->clones && clone_detector_claims(c->clones, mac, asked->principal, asked->question.framed_ip != 0))
		answer.framed_ip = c->hfc->ip; /* it is about to have one */
	message_accept(c->node, asked->tag);
	radius_server_answer(c->answers, asked, &answer);
}

/* Keeps a question, or its repetition, until it is known whether its device is here. False: it is to be told now. */
static bool look_first(struct cmts *c, const uint8_t mac[MAC_LEN], const struct radius_asked *asked)
{
	const struct lease *l = entry_of(c, mac);
	struct look *k = c->looks;

	if (!l || l->kind != LEASE_BOUND)
		return false;
	while (k && (memcmp(k->mac, mac, MAC_LEN) != 0 || k->asked.ip != asked->ip))
		k = k->next;
	if (!k && (c->look_count == CMTS_LOOKS_MAX || !presence_look(c->presence, mac, l->ip)))
		return false;
	if (!k) {
		k = sim_alloc(sizeof *k);
		memcpy(k->mac, mac, MAC_LEN);
		k->next = c->looks;
		c->looks = k;
		c->look_count++;
	}
	k->asked = *asked;
	return true;
}

/* A device that has gone leaves no lease behind: it is to have one where it is. */
static void take_back(struct cmts *c, const uint8_t mac[MAC_LEN])
{
	for (int pool = 0; pool < LEASE_POOLS; pool++) {
		struct lease *l = lease_of_mac(c->leases, (enum lease_pool)pool, mac);

		if (l && lease_live(l, c->node->sim->now_ns))
			lease_until(c->leases, l, c->node->sim->now_ns);
	}
	sim_changed(c->node->sim, c->node);
}

static void on_presence(void *ctx, const uint8_t mac[MAC_LEN], bool here)
{
	struct cmts *c = ctx;
	struct look **at = &c->looks;

	if (!here)
		take_back(c, mac);
	while (*at) {
		struct look *k = *at;

		if (memcmp(k->mac, mac, MAC_LEN) != 0) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		c->look_count--;
		tell_head_end(c, mac, &k->asked);
		free(k);
	}
}

static void forget_looks(struct cmts *c)
{
	while (c->looks) {
		struct look *k = c->looks;

		c->looks = k->next;
		free(k);
	}
	c->look_count = 0;
}

/* Another head-end's clone detector asks. False: it is another question. */
static bool answer_head_end(struct cmts *c, const struct radius_asked *asked)
{
	uint8_t mac[MAC_LEN];

	if (strncmp(asked->principal, "he/", 3) != 0 || asked->question.code != RADIUS_ACCESS_REQUEST ||
	    strcmp(asked->question.connect_info, CLONE_QUESTION) != 0 || !device_mac_read(asked->question.user_name, mac))
		return false;
	if (!look_first(c, mac, asked))
		tell_head_end(c, mac, asked);
	return true;
}

static const char *judge(const struct cmts *c, const struct radius_asked *asked)
{
	const struct radius *q = &asked->question;
	uint8_t mac[MAC_LEN];

	if ((strncmp(asked->principal, "kdc/", 4) != 0 && strncmp(asked->principal, "sc/", 3) != 0) ||
	    q->code != RADIUS_ACCESS_REQUEST || !device_mac_read(q->user_name, mac))
		return "he.unknown_question";
	return judge_lease(c, q, mac);
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct cmts *c = ctx;
	const char *check;

	if (answer_head_end(c, asked))
		return;
	check = judge(c, asked);

	c->asked++;
	c->refused += check != NULL;
	radius_server_judge(c->answers, asked, check);
	sim_changed(c->node->sim, c->node);
}

/*
 * Orders of a signaling controller (V10 and its undoing). Each may be repeated, and is answered as the first time: an
 * opening that was held back on its way must not open again what was closed meanwhile.
 */

static const char *judge_order(struct cmts *c, const struct radius_asked *asked)
{
	const struct radius *q = &asked->question;
	uint8_t mac[MAC_LEN];

	if (!device_mac_read(q->user_name, mac))
		return "he.unknown_order";
	if (q->code == RADIUS_DISCONNECT_REQUEST) {
		close_account(c, mac);
		return NULL;
	}
	if (q->code != RADIUS_COA_REQUEST || strcmp(q->connect_info, "subscriber") != 0)
		return "he.unknown_order";
	if (strcmp(q->filter_id, CMTS_FILTER_VOICE) != 0)
		return "he.unknown_filter";
	return mac_list_add(c->accounts, mac) ? NULL : "he.accounts_full";
}

static void on_order(void *ctx, const struct radius_asked *asked)
{
	struct cmts *c = ctx;
	const char *check = "he.check_controller";

	if (strncmp(asked->principal, "sc/", 3) == 0 && (!c->controller[0] || strcmp(asked->principal, c->controller) == 0) &&
	    !order_answers_find(c->answered, asked, &check)) {
		check = judge_order(c, asked);
		order_answers_keep(c->answered, asked, check);
	}
	radius_server_judge(c->orders, asked, check);
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

	head_end_access_free(c->access);
	clone_detector_free(c->clones);
	presence_free(c->presence);
	forget_looks(c);
	radius_server_free(c->answers);
	radius_server_free(c->orders);
	backend_free(c->backend);
	key_management_free(c->km);
	ipsec_free(c->ipsec);
	lease_table_free(c->leases);
	mac_list_free(c->accounts);
	order_answers_free(c->answered);
	free(c->bad);
	sm_free(c->sm);
	free(c);
}

static void make_parts(struct cmts *c, const struct node *kdc)
{
	struct key_management_owner owner = { .ctx = c, .authorise = authorise };
	struct backend_config backend = { .node = c->node, .principal = c->principal };

	c->sm = world_module(world_of(c->node->sim), c->node, "module");
	backend.server_key = world_server_key(world_of(c->node->sim), c->sm, c->principal);
	backend.ipsec = c->ipsec = ipsec_new(c->node, c->sm, true);
	backend.km = c->km = key_management_new(c->node, c->ipsec, c->principal, backend.server_key, &owner);
	backend.kdc_ip = kdc ? node_first_ip(kdc) : 0;
	if (kdc)
		c->backend = backend_new(&backend);
	c->answers = radius_server_new(c->node, c->ipsec, RADIUS_AUTH_PORT, on_question, c);
	c->orders = radius_server_new(c->node, c->ipsec, RADIUS_DYNAMIC_PORT, on_order, c);
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

/* "10.1.64.10-10.1.127.254" */
static bool read_pool(struct cmts *c, enum lease_pool pool, const char *text)
{
	char first[IP_TEXT_LEN] = "";
	const char *dash = strchr(text, '-');
	uint32_t from, to, mask = c->hfc->prefix_len ? UINT32_MAX << (32 - c->hfc->prefix_len) : 0;

	if (!dash || (size_t)(dash - text) >= sizeof first)
		return false;
	memcpy(first, text, (size_t)(dash - text));
	return ip_parse(first, &from) && ip_parse(dash + 1, &to) && !((from ^ c->hfc->ip) & mask) &&
	       !((to ^ c->hfc->ip) & mask) && (from > c->hfc->ip || to < c->hfc->ip) &&
	       lease_table_pool(c->leases, pool, from, to);
}

static const char *admit(void *ctx, const uint8_t mac[MAC_LEN], bool *wait)
{
	struct cmts *c = ctx;

	return clone_detector_admit(c->clones, mac, wait);
}

static void on_settled(void *ctx, const uint8_t mac[MAC_LEN])
{
	const struct cmts *c = ctx;

	head_end_access_admitted(c->access, mac);
}

static void on_heard(void *ctx, const uint8_t mac[MAC_LEN])
{
	const struct cmts *c = ctx;

	presence_heard(c->presence, mac);
}

static bool make_detector(struct cmts *c, const char *peers, char error[MODEL_ERROR_LEN])
{
	struct clone_detector_config config = { .node = c->node, .ipsec = c->ipsec, .backend = c->backend,
		                                .principal = c->principal, .address = address_of,
		                                .settled = on_settled, .ctx = c };

	c->clones = clone_detector_new(&config, peers);
	if (!c->clones)
		snprintf(error, MODEL_ERROR_LEN, "found peers = %.100s; write peers = \"cmts2, cmts3\", at most %d", peers,
		         CLONE_PEERS_MAX);
	return c->clones != NULL;
}

/* Everything it needs to give out addresses; none of it: it gives out none. */
static bool make_access(struct cmts *c, const struct args *args, char error[MODEL_ERROR_LEN])
{
	const char *pools[] = { args_text(args, "unprovisioned", NULL), args_text(args, "provisioned", NULL) };
	struct head_end_access_config config = { .node = c->node, .hfc = c->hfc, .leases = c->leases,
		                                 .has_account = has_account, .admit = admit, .heard = on_heard, .ctx = c,
		                                 .kdc = args_node(args, "kdc"),
		                                 .controller = args_node(args, "controller"),
		                                 .lease_ns = args_time(args, "lease", CMTS_LEASE_NS),
		                                 .version = args_text(args, "software", CMTS_SOFTWARE) };
	int64_t image_bytes = args_int(args, "image_bytes", CMTS_IMAGE_BYTES);
	bool asks = world_on(world_of(c->node->sim), "hfc.clone_detection");

	if (!pools[0] && !pools[1])
		return true;
	if (!pools[0] || !pools[1] || !config.kdc || !config.controller || config.lease_ns < CMTS_LEASE_MIN_NS ||
	    config.lease_ns / NS_PER_S >= UINT32_MAX || image_bytes < 0 || image_bytes > DEVICE_IMAGE_MAX ||
	    !read_pool(c, LEASE_UNPROVISIONED, pools[0]) || !read_pool(c, LEASE_PROVISIONED, pools[1])) {
		snprintf(error, MODEL_ERROR_LEN, "a head-end that gives out addresses needs two pools of its segment that "
		         "do not overlap, kdc and controller; write unprovisioned = \"10.1.128.10-10.1.191.254\", provisioned = "
		         "\"10.1.64.10-10.1.127.254\", lease = \"10s\" or more");
		return false;
	}
	if (!make_detector(c, asks ? args_text(args, "peers", "") : "", error))
		return false;
	config.kdc_ip = node_first_ip(config.kdc);
	config.controller_ip = node_first_ip(config.controller);
	config.image_bytes = (size_t)image_bytes;
	c->access = head_end_access_new(&config, args_text(args, "reach", ""));
	if (!c->access)
		snprintf(error, MODEL_ERROR_LEN, "found reach = %.60s and software = %.40s; write "
		         "reach = \"10.0.0.7, 10.0.0.8\", software = \"1.0\"", args_text(args, "reach", ""), config.version);
	return c->access != NULL;
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
	c->leases = lease_table_new();
	c->accounts = mac_list_new();
	c->presence = presence_new(node, hfc, on_presence, c);
	c->answered = order_answers_new();
	make_parts(c, args_node(args, "kdc"));
	if (args_node(args, "controller"))
		snprintf(c->controller, sizeof c->controller, "sc/%s", args_node(args, "controller")->name);
	if (!make_access(c, args, error))
		return false;
	ip_set_forwarding(node, true);
	directory_service_add(directory, c->principal, service_ip(c));
	directory_head_end_add(directory, hfc->ip, hfc->prefix_len, c->principal);
	if (c->controller[0])
		directory_segment_set(directory, c->principal, c->controller);
	return true;
}

static void power_on(struct node *node)
{
	struct cmts *c = node->state;

	key_management_reset(c->km);
	radius_server_reset(c->answers);
	radius_server_reset(c->orders);
	presence_reset(c->presence);
	forget_looks(c);
	if (c->access) {
		clone_detector_reset(c->clones);
		head_end_access_reset(c->access);
	}
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

static bool number_of(const struct node *node, const char *attribute, uint64_t *out)
{
	const struct cmts *c = node->state;
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "bad_marks", c->bad_count },
		{ "asked", c->asked }, { "refused", c->refused },
		{ "associations", ipsec_count(c->ipsec) }, { "forwarded", ip_counters(node)->forwarded },
		{ "accounts", mac_list_count(c->accounts) },
		{ "filtered", c->access ? head_end_access_filtered(c->access) : 0 },
		{ "clones", c->clones ? clone_detector_found(c->clones) : 0 },
		{ "transfers", c->access ? head_end_access_transfers(c->access) : 0 },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = numbers[i].value;
			return true;
		}
	return false;
}

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct cmts *c = node->state;
	uint64_t number;

	if (strcmp(attribute, "leases") == 0) /* counted, so only for whom it concerns */
		number = lease_count(c->leases, node->sim->now_ns);
	else if (!number_of(node, attribute, &number))
		return false;
	*out = value_int((int64_t)number);
	return true;
}

/* The MAC that a verb names: its text, or a device's on this segment. */
static bool mac_of(const struct cmts *c, const struct args *args, uint8_t mac[MAC_LEN], struct verb_result *result)
{
	const char *text = args_text(args, "mac", NULL);
	const struct node *device = args_node(args, "node");

	if (text ? device_mac_read(text, mac) && !device : false)
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

static void verb_enter_lease(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cmts *c = node->state;
	uint32_t ip = 0, mask = c->hfc->prefix_len ? UINT32_MAX << (32 - c->hfc->prefix_len) : 0;
	const char *text = args_text(args, "ip", "");
	uint8_t mac[MAC_LEN];

	if (!mac_of(c, args, mac, result))
		return;
	if (!ip_parse(text, &ip) || ((ip ^ c->hfc->ip) & mask) || ip == c->hfc->ip)
		snprintf(result->error, sizeof result->error, "ip must be a device's on %s, found %.40s; write ip = \"10.1.0.200\"",
		         c->hfc->link->name, text);
	else if (!cmts_lease_add(node, ip, mac))
		snprintf(result->error, sizeof result->error, "%s has %d leases, which is all it can hold", node->name,
		         CMTS_LEASES_MAX);
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

static void verb_offer_software(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct cmts *c = node->state;
	const char *version = args_text(args, "version", "");

	if (!c->access || !head_end_access_offer(c->access, version))
		snprintf(result->error, sizeof result->error, "found version = %.40s; write version = \"1.1\", at a head-end "
		         "that gives out addresses and of at most %d versions", version, HEAD_END_IMAGES_MAX);
}

/* Its device starts anew when it next asks for its address [0160]. */
static void verb_direct_reboot(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cmts *c = node->state;
	uint8_t mac[MAC_LEN];
	bool any = false;

	if (!mac_of(c, args, mac, result))
		return;
	for (int pool = 0; pool < LEASE_POOLS; pool++) {
		struct lease *l = lease_of_mac(c->leases, (enum lease_pool)pool, mac);

		if (l && lease_live(l, node->sim->now_ns))
			any = l->refuse_renewal = true;
	}
	if (!any)
		snprintf(result->error, sizeof result->error, "%s has leased it no address", node->name);
}

static const struct param params[] = {
	{ .name = "hfc", .type = VALUE_LINK, .doc = "its HFC segment; without it: the first of its links" },
	{ .name = "kdc", .type = VALUE_NODE, .doc = "the KDC it gets tickets from, to key anew after a restart" },
	{ .name = "controller", .type = VALUE_NODE, .doc = "its segment's signaling controller, whose orders it takes" },
	{ .name = "unprovisioned", .type = VALUE_TEXT, .doc = "addresses for devices without an account: "
	  "\"10.1.128.10-10.1.191.254\"; with these it gives out addresses, configurations and software, and filters" },
	{ .name = "provisioned", .type = VALUE_TEXT, .doc = "addresses for devices with an account" },
	{ .name = "lease", .type = VALUE_TIME, .preset = "1h", .doc = "how long an address is given for" },
	{ .name = "reach", .type = VALUE_TEXT, .doc = "addresses that devices without an account reach beside KDC, "
	  "controller, customer service and provisioning CA: \"10.3.0.7, 10.3.0.8\"" },
	{ .name = "peers", .type = VALUE_TEXT, .doc = "other head-ends that are asked whether they have a device already, "
	  "against clones: \"cmts2, cmts3\"; none: nobody is asked" },
	{ .name = "software", .type = VALUE_TEXT, .preset = "1.0", .doc = "version that devices are to run" },
	{ .name = "image_bytes", .type = VALUE_INT, .preset = "16384", .doc = "code in a software image" },
	{ .name = NULL },
};
static const struct param lease_params[] = {
	{ .name = "ip", .type = VALUE_TEXT, .required = true, .doc = "address on its segment, in no pool: \"10.1.0.200\"" },
	{ .name = "mac", .type = VALUE_TEXT, .doc = "\"02:00:00:00:00:01\"" },
	{ .name = "node", .type = VALUE_NODE, .doc = "or the device that has it" },
	{ .name = NULL },
};
static const struct param mark_params[] = {
	{ .name = "mac", .type = VALUE_TEXT, .doc = "\"02:00:00:00:00:01\"" },
	{ .name = "node", .type = VALUE_NODE, .doc = "or the device that has it" },
	{ .name = NULL },
};
static const struct param software_params[] = {
	{ .name = "version", .type = VALUE_TEXT, .required = true, .doc = "\"1.1\"" },
	{ .name = NULL },
};
static const struct verb verbs[] = {
	{ "mark_bad", "marks a MAC as bad: its device gets no ticket by its manufacturer certificate [0133]", mark_params, "",
	  verb_mark_bad },
	{ "enter_lease", "enters an address for a device, for good: it has access to the network, whatever it has beside that",
	  lease_params, "", verb_enter_lease },
	{ "unmark", "takes the mark away", mark_params, "", verb_unmark },
	{ "offer_software", "from now on devices that start are told to run this version [0160]", software_params, "",
	  verb_offer_software },
	{ "direct_reboot", "its device is refused its next renewal, and so starts anew [0160]", mark_params, "",
	  verb_direct_reboot },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attributes[] = {
	{ "leases", VALUE_INT, "addresses that devices have from it now" },
	{ "accounts", VALUE_INT, "MACs that a signaling controller has opened" },
	{ "filtered", VALUE_INT, "packets its filter has stopped, so far" },
	{ "clones", VALUE_INT, "requests for an address of a MAC that has one at another head-end" },
	{ "transfers", VALUE_INT, "files under way" },
	{ "bad_marks", VALUE_INT, "MACs marked as bad" },
	{ "asked", VALUE_INT, "questions of a KDC, so far" },
	{ "refused", VALUE_INT, "those answered with no" },
	{ "associations", VALUE_INT, "security associations with servers" },
	{ "forwarded", VALUE_INT, "packets forwarded, so far" },
	{ NULL, VALUE_NIL, NULL },
};

const struct model model_cmts = {
	.name = "cmts", .params = params, .verbs = verbs, .attributes = attributes, .create = create, .start = power_on,
	.doc = "HFC head-end: addresses, files, names and a filter for its segment; tells the KDC of its leases", .get = get,
	.restart = restart,
};

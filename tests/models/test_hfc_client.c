/*
 * A device's way to its segment: registrations against the head-end itself, over a bad line, with each message
 * lost or doubled and either end restarted behind each; renewals and what ends them; false servers; and the two
 * state machines, cell by cell.
 */
#include "tests/models/access_rig.h"

#include "crypto/signed_file.h"
#include "models/dhcp_server.h"
#include "models/dns_server.h"
#include "models/hfc_client.h"
#include "models/tftp_client.h"
#include "models/tftp_server.h"
#include "sim/ip_stack.h"
#include "tests/models/table_walk.h"

#define DEV_TEXT "00:11:22:33:44:55"

struct owner {
	struct access_rig *r;
	struct hfc_client *client;
	unsigned configured, lost, installed;
	struct hfc_configured last;
	char why[32];
};

static void on_configured(void *ctx, const struct hfc_configured *configured)
{
	struct owner *o = ctx;

	ck_assert_uint_eq(o->configured, o->lost); /* one after the other */
	o->configured++;
	o->last = *configured;
}

static void on_lost(void *ctx, const char *why)
{
	struct owner *o = ctx;

	o->lost++;
	ck_assert_uint_eq(o->configured, o->lost);
	snprintf(o->why, sizeof o->why, "%s", why);
}

static void on_installed(void *ctx, const char *version, const struct der *operator_ca)
{
	struct owner *o = ctx;

	(void)version;
	ck_assert_uint_gt(operator_ca->len, 0);
	o->installed++;
}

static void owner_make(struct owner *o, struct access_rig *r, bool verify, const char *version)
{
	struct hfc_client_config config = { .node = r->dev, .iface = r->dev->ifaces, .verify_config = verify,
		                            .verify_image = verify, .version = version, .configured = on_configured,
		                            .lost = on_lost,
		                            .installed = on_installed, .ctx = o };

	memset(o, 0, sizeof *o);
	o->r = r;
	config.operator_ca = world_authority(r->world, AUTHORITY_OPERATOR);
	config.manufacturer_ca = world_authority(r->world, AUTHORITY_MANUFACTURER);
	o->client = hfc_client_new(&config);
}

static void owner_end(struct owner *o)
{
	hfc_client_free(o->client);
	access_end(o->r);
}

static bool wait_configured(struct owner *o, sim_ns within_ns)
{
	sim_ns end_ns = o->r->sim->now_ns + within_ns;

	while (!hfc_client_configured(o->client) && o->r->sim->now_ns < end_ns)
		access_run(o->r, 100 * NS_PER_MS);
	return hfc_client_configured(o->client) != NULL;
}

static void expect_place(const struct owner *o, bool provisioned)
{
	const struct hfc_configured *c = hfc_client_configured(o->client);

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(hfc_client_state(o->client), provisioned ? HFC_PROVISIONED_ACCESS : HFC_UNPROVISIONED_ACCESS);
	ck_assert_uint_eq(c->lease.ip, provisioned ? PAID_FIRST : FREE_FIRST);
	ck_assert_uint_eq(o->r->dev->ifaces->ip, c->lease.ip);
	ck_assert_uint_eq(o->r->dev->ifaces->prefix_len, 16);
	ck_assert_uint_eq(c->kdc_ip, KDC_IP);
	ck_assert_uint_eq(c->kdc_port, 88);
	ck_assert_uint_eq(c->controller_ip, SC_IP);
	ck_assert_uint_eq(c->controller_port, 5060);
	ck_assert_str_eq(c->config.controller, "sc/sc1");
	ck_assert_str_eq(c->config.realm, WORLD_REALM);
	ck_assert_int_eq(c->config.provisioned, provisioned);
	ck_assert_str_eq(hfc_client_version(o->client), "1.0");
	ck_assert(hfc_client_image_is_signed(o->client));
}

/* Bit 0: it has an account; bit 1: it has the image already. */
START_TEST(registration)
{
	struct access_rig r;
	struct owner o;

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, _i & 2 ? "1.0" : NULL);
	if (_i & 1)
		access_order(&r, RADIUS_COA_REQUEST, DEV_TEXT);
	ck_assert_int_eq(hfc_client_state(o.client), HFC_NOT_CONFIGURED);
	hfc_client_boot(o.client);
	ck_assert(wait_configured(&o, 3 * NS_PER_S));
	expect_place(&o, _i & 1);
	ck_assert_uint_eq(o.installed, _i & 2 ? 0 : 1);
	ck_assert_uint_gt(r.fields, 3 * r.messages); /* observers can read them */
	ck_assert_uint_eq(hfc_client_operator_ca(o.client)->len, world_authority(r.world, AUTHORITY_OPERATOR)->len);
	ck_assert_uint_eq(r.refusal_count, 0);
	access_run(&r, 10 * NS_PER_S);
	ck_assert_int_eq(access_get(r.he, "transfers"), 0);
	owner_end(&o);
}
END_TEST

/* FIG. 5A from end to end, and back by each way. */
START_TEST(life)
{
	struct access_rig r;
	struct owner o;

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, NULL);
	hfc_client_boot(o.client);
	ck_assert(wait_configured(&o, 5 * NS_PER_S));
	hfc_client_tell(o.client, HFC_PROVISIONING_REJECTED);
	expect_place(&o, false);
	access_order(&r, RADIUS_COA_REQUEST, DEV_TEXT);
	hfc_client_tell(o.client, HFC_ACCOUNT_SET_UP);
	ck_assert_str_eq(hfc_client_state_name(o.client), "FullyRegistered");
	ck_assert_uint_eq(o.lost, 0);
	hfc_client_boot(o.client);
	ck_assert_str_eq(o.why, "reboot");
	ck_assert_uint_eq(r.dev->ifaces->ip, 0);
	ck_assert_str_eq(hfc_client_state_name(o.client), "FullyRegistered");
	ck_assert(wait_configured(&o, 5 * NS_PER_S));
	expect_place(&o, true);
	ck_assert_uint_eq(o.installed, 1);
	hfc_client_boot(o.client);
	ck_assert_str_eq(hfc_client_state_name(o.client), "NotConfigured");
	ck_assert(wait_configured(&o, 5 * NS_PER_S));
	expect_place(&o, true);
	access_order(&r, RADIUS_DISCONNECT_REQUEST, DEV_TEXT);
	if (_i) { /* it is told; else it finds out by its renewal */
		hfc_client_tell(o.client, HFC_DEPROVISIONED);
		ck_assert_str_eq(hfc_client_state_name(o.client), "NotConfigured");
		ck_assert_str_eq(o.why, "de-provisioned");
	} else {
		access_run(&r, LEASE_S / 2 * NS_PER_S + NS_PER_S);
		ck_assert_str_eq(o.why, "refused");
	}
	ck_assert(wait_configured(&o, 10 * NS_PER_S));
	expect_place(&o, false);
	hfc_client_power_off(o.client);
	hfc_client_tell(o.client, HFC_DEPROVISIONED); /* harmless; it stays off */
	access_run(&r, 100 * NS_PER_S);
	ck_assert(!hfc_client_configured(o.client));
	owner_end(&o);
}
END_TEST

/* An address is kept for as long as it is renewed, whatever befalls single renewals and the head-end. */
START_TEST(renewals)
{
	struct access_rig r;
	struct owner o;
	unsigned before;

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, "1.0");
	hfc_client_boot(o.client);
	ck_assert(wait_configured(&o, 5 * NS_PER_S));
	before = r.messages;
	access_run(&r, 10 * LEASE_S * NS_PER_S);
	ck_assert_uint_ge(r.messages - before, 2 * 19); /* a question and an answer every half */
	ck_assert_uint_le(r.messages - before, 2 * 21);
	for (int i = 0; i < 8; i++) { /* the line is down about a T1 in two */
		r.hfc->down = i & 1;
		access_run(&r, LEASE_S / 4 * NS_PER_S);
		if (i == 4)
			r.he->model->restart(r.he);
	}
	r.hfc->down = false;
	access_run(&r, LEASE_S * NS_PER_S);
	ck_assert_uint_eq(o.lost, 0);
	ck_assert_int_eq(access_get(r.he, "leases"), 1);
	ck_assert_uint_eq(r.refusal_count, 0);
	owner_end(&o);
}
END_TEST

/* Nobody answers until the lease ends; then all that was built on it is void, and the device goes on trying. */
START_TEST(expiry)
{
	struct access_rig r;
	struct owner o;

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, "1.0");
	hfc_client_boot(o.client);
	ck_assert(wait_configured(&o, 5 * NS_PER_S));
	r.hfc->down = true;
	access_run(&r, (LEASE_S - 10) * NS_PER_S);
	ck_assert_uint_eq(o.lost, 0);
	access_run(&r, 20 * NS_PER_S);
	ck_assert_uint_eq(o.lost, 1);
	ck_assert_str_eq(o.why, "expired");
	ck_assert_uint_eq(r.dev->ifaces->ip, 0);
	ck_assert_int_eq(hfc_client_state(o.client), HFC_NOT_CONFIGURED);
	access_run(&r, 3 * LEASE_S * NS_PER_S);
	r.hfc->down = false;
	ck_assert(wait_configured(&o, 70 * NS_PER_S));
	expect_place(&o, false);
	owner_end(&o);
}
END_TEST

/* The head-end has another image, and tells the device to start anew. */
START_TEST(new_software)
{
	struct access_rig r;
	struct owner o;
	struct arg version = { "version", value_text("1.1") }, node = { "node", { .type = VALUE_NODE } };
	struct verb_result result = { .error = "" };

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, NULL);
	hfc_client_boot(o.client);
	ck_assert(wait_configured(&o, 5 * NS_PER_S));
	node.value.node = r.dev;
	for (const struct verb *v = model_cmts.verbs; v->name; v++) {
		if (strcmp(v->name, "offer_software") == 0)
			v->fn(r.he, &(struct args){ &version, 1 }, &result);
		if (strcmp(v->name, "direct_reboot") == 0)
			v->fn(r.he, &(struct args){ &node, 1 }, &result);
		ck_assert_str_eq(result.error, "");
	}
	access_run(&r, LEASE_S * NS_PER_S);
	ck_assert_uint_eq(o.lost, 1);
	ck_assert(wait_configured(&o, 10 * NS_PER_S));
	ck_assert_str_eq(hfc_client_version(o.client), "1.1");
	ck_assert_uint_eq(o.installed, 2);
	hfc_client_boot(o.client); /* the image is in flash */
	ck_assert(wait_configured(&o, 10 * NS_PER_S));
	ck_assert_uint_eq(o.installed, 2);
	owner_end(&o);
}
END_TEST

/* One frame of a registration lost, doubled or followed by a restart of either end; and a bad line */

enum harm { LOSE, LOSE_TWO, DOUBLE, CLIENT_RESTARTS, HEAD_END_RESTARTS, HARMS };

struct harmer {
	struct owner *o;
	enum harm harm;
	unsigned nth, seen;
	struct event restart;
};

static void on_restart(struct sim *sim, struct event *event)
{
	struct harmer *h = event_owner(event, struct harmer, restart);

	(void)sim;
	if (h->harm == CLIENT_RESTARTS) {
		hfc_client_power_off(h->o->client);
		hfc_client_boot(h->o->client);
	} else {
		h->o->r->he->model->restart(h->o->r->he);
	}
}

static enum tap_verdict harm_tap(void *ctx, struct link *link, struct iface *from, struct iface *to,
			         struct packet *frame)
{
	struct harmer *h = ctx;
	unsigned n;

	if (to->node == h->o->r->other) /* a bystander of what goes to all */
		return TAP_PASS;
	n = h->seen++;
	if (n == h->nth || (h->harm == LOSE_TWO && n == h->nth + 1)) {
		if (h->harm == LOSE || h->harm == LOSE_TWO) {
			packet_free(frame);
			return TAP_TAKEN;
		}
		if (h->harm == DOUBLE)
			link_inject(link, from, to, packet_copy(frame), 20 * NS_PER_MS);
		else
			sim_after(link->sim, &h->restart, 1, on_restart, "test");
	}
	return TAP_PASS;
}

START_TEST(each_message)
{
	enum harm harm = (enum harm)_i;
	struct access_rig r;
	struct owner o;
	struct harmer h;

	for (unsigned nth = 0;; nth++) {
		access_make(&r, NULL, 1);
		owner_make(&o, &r, true, NULL);
		h = (struct harmer){ .o = &o, .harm = harm, .nth = nth };
		r.hfc->tap = harm_tap;
		r.hfc->tap_ctx = &h;
		hfc_client_boot(o.client);
		ck_assert_msg(wait_configured(&o, 120 * NS_PER_S), "frame %u", nth);
		access_run(&r, 60 * NS_PER_S); /* a head-end that restarts is no reason to lose anything */
		expect_place(&o, false);
		ck_assert_uint_eq(o.configured, o.lost + 1);
		ck_assert_int_eq(access_get(r.he, "leases"), 1);
		ck_assert_int_eq(access_get(r.he, "transfers"), 0);
		owner_end(&o);
		if (h.seen <= nth)
			break;
		ck_assert_uint_lt(nth, 100);
	}
}
END_TEST

START_TEST(bad_line)
{
	static const struct link_params bad = { .delay_ns = 5 * NS_PER_MS, .jitter_ns = 2 * NS_PER_MS, .loss_ppm = 150000,
		                                .duplicate_ppm = 150000, .reorder_ppm = 150000, .reorder_ns = 40 * NS_PER_MS };
	static const char *const late[] = { "dhcp.xid", "dhcp.state", "tftp.unknown_tid", "tftp.block", "tftp.options" };
	struct access_rig r;
	struct owner o;
	unsigned harmless = 0;

	access_make(&r, &bad, 100 + (uint64_t)_i);
	owner_make(&o, &r, true, NULL);
	hfc_client_boot(o.client);
	ck_assert(wait_configured(&o, 900 * NS_PER_S));
	expect_place(&o, false);
	access_run(&r, 20 * LEASE_S * NS_PER_S);
	ck_assert(wait_configured(&o, 900 * NS_PER_S));
	expect_place(&o, false);
	for (size_t i = 0; i < sizeof late / sizeof *late; i++)
		harmless += access_refused(&r, NULL, late[i]);
	ck_assert_uint_eq(r.refusal_count, harmless); /* nothing but what is late */
	owner_end(&o);
}
END_TEST

/* Power comes back to a whole street: everybody gets an address of its own, and keeps it. */
#define STREET 150

START_TEST(a_street)
{
	struct access_rig r;
	struct owner o[STREET];
	struct hfc_client_config config = { .verify_config = true, .verify_image = true, .version = "1.0",
		                            .configured = on_configured, .lost = on_lost };
	char name[16];

	access_pools[0] = "10.1.128.10-10.1.129.9";
	access_make(&r, NULL, 1);
	config.operator_ca = world_authority(r.world, AUTHORITY_OPERATOR);
	config.manufacturer_ca = world_authority(r.world, AUTHORITY_MANUFACTURER);
	memset(o, 0, sizeof o);
	for (unsigned i = 0; i < STREET; i++) {
		snprintf(name, sizeof name, "cta%u", i);
		config.node = access_node(&r, name, r.hfc, NULL, 0, 0);
		config.iface = config.node->ifaces;
		config.ctx = &o[i];
		o[i].r = &r;
		ip_route_add(config.node, 0, 0, HE_HFC, config.iface);
		o[i].client = hfc_client_new(&config);
		hfc_client_boot(o[i].client);
	}
	access_run(&r, 3 * LEASE_S * NS_PER_S);
	ck_assert_int_eq(access_get(r.he, "leases"), STREET);
	for (unsigned i = 0; i < STREET; i++) {
		ck_assert_uint_eq(o[i].configured, 1);
		ck_assert_uint_eq(o[i].lost, 0);
		ck_assert_ptr_eq(node_by_ip(r.sim, o[i].last.lease.ip)->ifaces, link_neighbour(r.hfc, o[i].last.lease.ip));
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_ne(o[i].last.lease.ip, o[k].last.lease.ip);
		hfc_client_free(o[i].client);
	}
	ck_assert_uint_eq(r.refusal_count, 0);
	access_end(&r);
}
END_TEST

/* False servers. The head-end's place is taken by one made by hand of its parts. */

struct false_server {
	struct access_rig *r;
	struct lease_table *leases;
	struct dhcp_server *dhcp;
	struct tftp_server *tftp;
	struct dns_server *dns;
	const struct lie *lie;
	unsigned configs, images;
};

enum signer { OPERATOR, MANUFACTURER, A_DEVICE, FORGER /* in the authority's name under a key of its own */, NOBODY };
static const struct lie {
	enum signer config_signer;
	bool other_device, other_kdc, malformed;
	enum signer image_signer;
	const char *image_version;
	const char *dns_kdc, *dns_controller;
	const char *check;  /* that stops it */
	bool unverified;    /* the device looks at no signature */
} lies[] = {
	/* 0: the truth */
	{ OPERATOR, false, false, false, MANUFACTURER, "1.0", "kdc1", "sc1", NULL, false },
	/* 1: configuration */
	{ MANUFACTURER, false, false, false, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.verify_config", false },
	{ A_DEVICE, false, false, false, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.verify_config", false },
	{ FORGER, false, false, false, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.verify_config", false },
	{ NOBODY, false, false, false, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.verify_config", false },
	{ OPERATOR, true, false, false, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.verify_config", false },
	{ OPERATOR, false, false, true, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.verify_config", false },
	/* 7: image */
	{ OPERATOR, false, false, false, OPERATOR, "1.0", "kdc1", "sc1", "cta.verify_image", false },
	{ OPERATOR, false, false, false, A_DEVICE, "1.0", "kdc1", "sc1", "cta.verify_image", false },
	{ OPERATOR, false, false, false, FORGER, "1.0", "kdc1", "sc1", "cta.verify_image", false },
	{ OPERATOR, false, false, false, NOBODY, "1.0", "kdc1", "sc1", "cta.verify_image", false },
	{ OPERATOR, false, false, false, MANUFACTURER, "0.9", "kdc1", "sc1", "cta.verify_image", false },
	/* 12: names */
	{ OPERATOR, false, false, false, MANUFACTURER, "1.0", "pca1", "sc1", "cta.dns_target", false },
	{ OPERATOR, false, false, false, MANUFACTURER, "1.0", "kdc1", "pca1", "cta.dns_target", false },
	{ OPERATOR, false, true, false, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.dns_target", false },
	/* 15: with no look at signatures they are believed */
	{ A_DEVICE, false, false, false, A_DEVICE, "1.0", "kdc1", "sc1", NULL, true },
	{ FORGER, false, false, false, FORGER, "1.0", "kdc1", "sc1", NULL, true },
	{ A_DEVICE, true, false, false, A_DEVICE, "1.0", "kdc1", "sc1", "cta.verify_config", true },
	{ NOBODY, false, false, false, MANUFACTURER, "1.0", "kdc1", "sc1", "cta.verify_config", true },
};
#define LIES ((int)(sizeof lies / sizeof *lies))

static bool lie_sign(struct access_rig *r, enum signer signer, enum authority named, const struct der *content,
                     struct der *out)
{
	static const struct { const char *key; unsigned bits; } keys[] = {
		{ "authority/operator", 2048 }, { "authority/manufacturer", 2048 },
		{ "cta/thief", 1024 }, { "cta/thief", 1024 },
	};
	struct der device = { NULL, 0 };
	const struct der *cert = world_authority(r->world, signer == OPERATOR ? AUTHORITY_OPERATOR :
	                                                   signer == MANUFACTURER ? AUTHORITY_MANUFACTURER : named);
	const uint8_t *key;
	size_t len;
	bool ok;

	if (signer == NOBODY) {
		out->bytes = sim_alloc(content->len);
		memcpy(out->bytes, content->bytes, content->len);
		out->len = content->len;
		return true;
	}
	key = key_pool_get(world_key_pool(r->world), keys[signer].key, keys[signer].bits, &len);
	if (signer == A_DEVICE) {
		world_device_certificate(r->world, keys[signer].key, keys[signer].bits, other_mac, &device);
		cert = &device;
	}
	ok = signed_file_make(world_crypto(r->world), key, len, cert, content, sim_unix_s(r->sim), out);
	der_free(&device);
	return ok;
}

static bool lie_file(void *ctx, struct span file, uint32_t ip, struct tftp_file *out)
{
	struct false_server *s = ctx;
	const struct lie *lie = s->lie;
	struct device_config c = { .realm = WORLD_REALM, .kdc = "kdc1.tollgate.example", .controller = "sc/sc1",
		                   .version = "1.0", .image = "i" };
	char text[DEVICE_CONFIG_MAX];
	struct der content = { (uint8_t *)text, 0 };
	bool ok;

	(void)ip;
	if (span_is(file, "i")) {
		s->images++;
		ck_assert(device_image_write(world_crypto(s->r->world), lie->image_version,
		                             world_authority(s->r->world, AUTHORITY_OPERATOR), 3000, &content));
		ok = lie_sign(s->r, lie->image_signer, AUTHORITY_MANUFACTURER, &content, &out->bytes);
		der_free(&content);
		return ok;
	}
	s->configs++;
	memcpy(c.mac, lie->other_device ? other_mac : dev_mac, 6);
	if (lie->other_kdc)
		strcpy(c.kdc, "kdc2.tollgate.example");
	content.len = device_config_write(&c, text, sizeof text) - lie->malformed;
	return lie_sign(s->r, lie->config_signer, AUTHORITY_OPERATOR, &content, &out->bytes);
}

static bool no_account(void *ctx, const uint8_t mac[6])
{
	(void)ctx, (void)mac;
	return false;
}

static void lie_make(struct false_server *s, struct access_rig *r, const struct lie *lie)
{
	struct node *node = access_node(r, "false", r->hfc, NULL, 0x0a010002, 16);
	struct dhcp_server_config dhcp = { .node = node, .hfc = node->ifaces, .lease_ns = LEASE_S * NS_PER_S, .file = "c",
		                           .realm = WORLD_REALM, .has_account = no_account };
	struct dns_server_config dns = { .node = node, .kdc = lie->dns_kdc, .controller = lie->dns_controller,
		                         .kdc_port = 88, .controller_port = 5060, .realm = WORLD_REALM };

	*s = (struct false_server){ .r = r, .lie = lie, .leases = lease_table_new() };
	dhcp.leases = s->leases;
	ck_assert(lease_table_pool(s->leases, LEASE_UNPROVISIONED, FREE_FIRST, FREE_FIRST + 9));
	s->dhcp = dhcp_server_new(&dhcp);
	s->tftp = tftp_server_new(node, lie_file, s);
	s->dns = dns_server_new(&dns);
	dhcp_server_reset(s->dhcp);
	tftp_server_reset(s->tftp);
	dns_server_reset(s->dns);
}

static enum tap_verdict deaf_tap(void *ctx, struct link *link, struct iface *from, struct iface *to,
			         struct packet *frame)
{
	const struct false_server *s = ctx;

	(void)link;
	if (from->node != s->r->he && to->node != s->r->he)
		return TAP_PASS;
	packet_free(frame);
	return TAP_TAKEN;
}

START_TEST(false_servers)
{
	const struct lie *lie = &lies[_i];
	struct access_rig r;
	struct false_server s;
	struct owner o;

	access_make(&r, NULL, 1);
	lie_make(&s, &r, lie);
	r.hfc->tap = deaf_tap;
	r.hfc->tap_ctx = &s;
	owner_make(&o, &r, !lie->unverified, NULL);
	hfc_client_boot(o.client);
	ck_assert_int_eq(wait_configured(&o, 60 * NS_PER_S), !lie->check);
	ck_assert_int_eq(hfc_client_state(o.client), lie->check ? HFC_NOT_CONFIGURED : HFC_UNPROVISIONED_ACCESS);
	ck_assert_int_eq(access_refused(&r, r.dev, lie->check) > 0, lie->check != NULL);
	ck_assert_uint_eq(access_refused(&r, r.dev, lie->check), access_refused(&r, r.dev, NULL));
	if (lie->check && strcmp(lie->check, "cta.dns_target") != 0)
		ck_assert_str_eq(hfc_client_version(o.client), ""); /* nothing of it was installed */
	ck_assert_int_eq(hfc_client_image_is_signed(o.client), !lie->unverified || lie->check);
	/* it goes on, not in haste: 10, 20, 40 s */
	if (lie->check)
		ck_assert_uint_le(s.configs, 4);
	hfc_client_free(o.client);
	dhcp_server_free(s.dhcp);
	tftp_server_free(s.tftp);
	dns_server_free(s.dns);
	lease_table_free(s.leases);
	access_end(&r);
}
END_TEST

/* Answers that a device has not asked for, or not so: refused by name, and the address stands. */

enum when { SELECTING, BOUND };
static const struct answer_row {
	enum when when;
	enum dhcp_type type;
	bool right_xid, right_server, from_it, other_device;
	uint32_t ip, mask, router;
	const char *check; /* NULL: passed over */
	uint32_t lease_s;  /* 0: LEASE_S */
} answer_rows[] = {
	{ SELECTING, DHCP_OFFER, false, true, true, false, FREE_FIRST, 0xffff0000, HE_HFC, "dhcp.xid", 0 },
	{ SELECTING, DHCP_OFFER, true, true, false, false, FREE_FIRST, 0xffff0000, HE_HFC, "dhcp.server", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, true, FREE_FIRST, 0xffff0000, HE_HFC, NULL, 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, FREE_FIRST, 0xffff00f0, HE_HFC, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, FREE_FIRST, 0xffffffff, HE_HFC, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, FREE_FIRST, 0, HE_HFC, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, FREE_FIRST, 0xffff0000, 0, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, FREE_FIRST, 0xffff0000, 0x0a020001, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, HE_HFC, 0xffff0000, HE_HFC, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, 0xe0000001, 0xf0000000, 0xe0000002, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, 0x0a01ffff, 0xffff0000, HE_HFC, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, 0x0a010000, 0xffff0000, HE_HFC, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, FREE_FIRST, 0xffff0000, 0x0a01ffff, "dhcp.offer", 0 },
	{ SELECTING, DHCP_OFFER, true, true, true, false, FREE_FIRST, 0xffff0000, HE_HFC, "dhcp.offer", DHCP_LEASE_MIN_S - 1 },
	{ BOUND, DHCP_ACK, true, true, true, false, FREE_FIRST, 0xffff0000, HE_HFC, "dhcp.offer", 1 },
	{ SELECTING, DHCP_ACK, true, false, true, false, FREE_FIRST, 0xffff0000, HE_HFC, "dhcp.server", 0 },
	{ SELECTING, DHCP_NAK, true, false, true, false, 0, 0, 0, "dhcp.server", 0 },
	{ SELECTING, DHCP_DISCOVER, true, true, true, false, 0, 0, 0, "dhcp.type", 0 },
	{ BOUND, DHCP_NAK, false, true, true, false, 0, 0, 0, "dhcp.xid", 0 },
	{ BOUND, DHCP_NAK, true, true, true, false, 0, 0, 0, "dhcp.state", 0 },
	{ BOUND, DHCP_NAK, true, false, true, false, 0, 0, 0, "dhcp.server", 0 },
	{ BOUND, DHCP_NAK, true, true, true, true, 0, 0, 0, NULL, 0 },
	{ BOUND, DHCP_ACK, true, true, true, false, FREE_FIRST + 1, 0xffff0000, HE_HFC, "dhcp.offer", 0 },
	{ BOUND, DHCP_ACK, true, true, true, false, FREE_FIRST, 0xffffff00, HE_HFC, "dhcp.offer", 0 },
	{ BOUND, DHCP_ACK, true, true, true, false, FREE_FIRST, 0xffff0000, HE_HFC, NULL, 0 },
	{ BOUND, DHCP_OFFER, true, true, true, false, FREE_FIRST + 5, 0xffff0000, HE_HFC, NULL, 0 },
};
#define ANSWER_ROWS ((int)(sizeof answer_rows / sizeof *answer_rows))

struct listener {
	struct access_rig *r;
	uint32_t xid;
	bool deaf;
};

static enum tap_verdict listen_tap(void *ctx, struct link *link, struct iface *from, struct iface *to,
			           struct packet *frame)
{
	struct listener *l = ctx;
	struct dhcp m;

	(void)link;
	if (from->node == l->r->dev && frame->len > 42 && dhcp_parse(frame->data + 42, frame->len - 42, &m))
		l->xid = m.xid;
	if (!l->deaf || (from->node != l->r->he && to->node != l->r->he))
		return TAP_PASS;
	packet_free(frame);
	return TAP_TAKEN;
}

/* Says it in the head-end's name, from its address or from the other device's. */
static void answer_as(struct access_rig *r, const struct answer_row *row, uint32_t xid)
{
	struct udp_socket socket = { .node = NULL };
	struct dhcp m = { .type = row->type, .xid = row->right_xid ? xid : xid + 1, .broadcast = true, .yiaddr = row->ip,
		          .siaddr = HE_HFC, .mask = row->mask, .router = row->router, .dns = { HE_HFC },
		          .lease_s = row->type == DHCP_NAK ? 0 : row->lease_s ? row->lease_s : LEASE_S, .server_id = HE_HFC };

	memcpy(m.chaddr, row->other_device ? other_mac : dev_mac, 6);
	if (row->type != DHCP_NAK)
		m.boot_file = span_of("cta.cfg");
	if (row->type == DHCP_DISCOVER)
		m = (struct dhcp){ .type = DHCP_DISCOVER, .xid = xid, .chaddr = { 0, 0x11, 0x22, 0x33, 0x44, 0x55 } };
	iface_set_ip(r->other->ifaces, 0x0a010063, 16);
	if (row->from_it && row->right_server)
		iface_set_ip(r->other->ifaces, HE_HFC, 16); /* it has taken the head-end's address */
	else if (row->from_it)
		m.server_id = 0x0a010063;
	ck_assert(udp_bind(r->other, &socket, DHCP_SERVER_PORT, NULL, NULL));
	dhcp_send(&socket, r->other->ifaces->ip, 0xffffffffu, DHCP_CLIENT_PORT, &m);
	udp_unbind(&socket);
	access_run(r, 100 * NS_PER_MS);
	iface_set_ip(r->other->ifaces, 0, 0);
}

START_TEST(false_answers)
{
	const struct answer_row *row = &answer_rows[_i];
	struct access_rig r;
	struct owner o;
	struct listener l = { .r = &r, .deaf = row->when == SELECTING };
	unsigned before;

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, "1.0");
	r.hfc->tap = listen_tap;
	r.hfc->tap_ctx = &l;
	hfc_client_boot(o.client);
	if (row->when == BOUND)
		ck_assert(wait_configured(&o, 5 * NS_PER_S));
	else
		access_run(&r, 3 * NS_PER_S / 2);
	before = r.messages;
	answer_as(&r, row, l.xid);
	ck_assert_uint_eq(r.messages - before, 1); /* it says nothing to it */
	ck_assert_uint_eq(access_refused(&r, r.dev, row->check), row->check ? 1 : 0);
	ck_assert_uint_eq(access_refused(&r, r.dev, NULL), row->check ? 1 : 0);
	ck_assert_uint_eq(r.dev->ifaces->ip, row->when == BOUND ? FREE_FIRST : 0);
	ck_assert_uint_eq(o.lost, 0);
	l.deaf = false;
	ck_assert(wait_configured(&o, 20 * NS_PER_S));
	expect_place(&o, false);
	owner_end(&o);
}
END_TEST

static void passed_over(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)socket, (void)packet, (void)from;
}

/* Bytes of any kind to the ports of a device: each refused or passed over, and it goes on. */
START_TEST(noise)
{
	struct access_rig r;
	struct owner o;
	struct rng rng;
	struct udp_socket socket = { .node = NULL };

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, NULL);
	iface_set_ip(r.other->ifaces, 0x0a010063, 16);
	ck_assert(udp_bind(r.other, &socket, 0, passed_over, NULL));
	rng_init(&rng, 1, "test", "noise");
	hfc_client_boot(o.client);
	for (int i = 0; i < 200; i++) {
		uint32_t len = (uint32_t)rng_below(&rng, 600);
		struct packet *p = packet_new(r.sim, len);

		rng_bytes(&rng, packet_append(p, len), len);
		udp_send(&socket, 0, 0xffffffffu, i & 1 ? DHCP_CLIENT_PORT : (uint16_t)(49152 + rng_below(&rng, 8)), p);
		access_run(&r, 5 * NS_PER_MS);
	}
	ck_assert_uint_ge(access_refused(&r, r.dev, "dhcp.malformed"), 90);
	udp_unbind(&socket);
	ck_assert(wait_configured(&o, 30 * NS_PER_S));
	expect_place(&o, false);
	owner_end(&o);
}
END_TEST

/* Addresses that no server has: a device that sent there would speak to all, or to itself. */
START_TEST(false_addresses)
{
	static const uint32_t ips[] = { 0x7f000001, 0xffffffffu, 0xe0000001, 0x0a01ffff, 0x0a010000, FREE_FIRST, 0x00000001 };
	struct access_rig r;
	struct owner o;

	access_make(&r, NULL, 1);
	directory_service_add(world_directory(r.world), _i & 1 ? "kdc/kdc1" : "sc/sc1", ips[_i / 2]);
	owner_make(&o, &r, true, "1.0");
	hfc_client_boot(o.client);
	ck_assert(!wait_configured(&o, 20 * NS_PER_S));
	ck_assert_uint_gt(access_refused(&r, r.dev, "cta.dns_address"), 0);
	owner_end(&o);
}
END_TEST

/* A device that is carried about, or believes another's offers, has one default route. */
START_TEST(one_default_route)
{
	struct access_rig r;
	struct owner o;
	uint32_t routes;

	access_make(&r, NULL, 1);
	owner_make(&o, &r, true, "1.0");
	routes = r.dev->ip->route_count;
	for (int i = 0; i < 3; i++) {
		hfc_client_boot(o.client);
		ck_assert(wait_configured(&o, 10 * NS_PER_S));
		ck_assert_uint_eq(r.dev->ip->route_count, routes + 1); /* and that to its subnet */
	}
	owner_end(&o);
}
END_TEST

/* A TFTP server made by hand that never comes to the point */

static void on_request_again(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct udp_from *last = socket->ctx;

	(void)packet;
	*last = *from;
}

static void on_read(void *ctx, const struct der *file)
{
	ck_assert_ptr_null(file);
	++*(unsigned *)ctx;
}

/* Who says for ever that it is about to send keeps nobody waiting for ever. */
START_TEST(options_without_end)
{
	struct access_rig r;
	struct udp_socket server = { .node = NULL };
	struct udp_from from = { .src = 0 };
	struct tftp_client *client;
	unsigned ended = 0;

	access_make(&r, NULL, 1);
	iface_set_ip(r.dev->ifaces, FREE_FIRST, 16);
	client = tftp_client_new(r.dev);
	ck_assert(udp_bind(r.far, &server, TFTP_PORT, on_request_again, &from));
	directory_service_add(world_directory(r.world), "csr/far", FAR_IP);
	cmts_lease_add(r.he, FREE_FIRST, dev_mac);
	tftp_client_read(client, FAR_IP, "f", 1000, on_read, &ended);
	for (int i = 0; i < 200; i++) {
		access_run(&r, NS_PER_S);
		if (from.src && !ended)
			tftp_send(&server, 0, from.src, from.sport, &(struct tftp){ .kind = TFTP_OPTIONS, .block_len = 512 });
	}
	ck_assert_uint_eq(ended, 1);
	tftp_client_free(client);
	access_end(&r);
}
END_TEST

/* It says nothing to an error from a port that it does not know. */
START_TEST(an_error_is_not_answered)
{
	struct access_rig r;
	struct udp_socket server = { .node = NULL }, stranger = { .node = NULL };
	struct udp_from from = { .src = 0 };
	struct tftp_client *client;
	unsigned ended = 0, before;
	struct tftp error = { .kind = TFTP_ERROR, .error = TFTP_UNKNOWN_TID, .message = span_of("?") };

	access_make(&r, NULL, 1);
	iface_set_ip(r.dev->ifaces, FREE_FIRST, 16);
	cmts_lease_add(r.he, FREE_FIRST, dev_mac);
	client = tftp_client_new(r.dev);
	ck_assert(udp_bind(r.far, &server, TFTP_PORT, on_request_again, &from));
	ck_assert(udp_bind(r.far, &stranger, 0, passed_over, NULL));
	tftp_client_read(client, FAR_IP, "f", 1000, on_read, &ended);
	access_run(&r, NS_PER_S);
	ck_assert_uint_ne(from.src, 0);
	tftp_send(&server, 0, from.src, from.sport, &(struct tftp){ .kind = TFTP_OPTIONS, .block_len = 512 });
	access_run(&r, NS_PER_S / 2);
	before = r.messages;
	tftp_send(&stranger, 0, from.src, from.sport, &error);
	access_run(&r, NS_PER_S / 2);
	ck_assert_uint_eq(r.messages - before, 1);
	ck_assert_uint_eq(access_refused(&r, r.dev, "tftp.unknown_tid"), 1);
	tftp_client_free(client);
	access_end(&r);
}
END_TEST

/* The tables */

START_TEST(access_table)
{
	/* registered without, with an account, failed, account set up, rejected, de-provisioned, address lost, reboot */
	static const char *const expected[] = {
		"UPNNNN.N", /* NotConfigured */
		"...FUNNN", /* UnprovisionedAccess */
		"UPFFFNFF", /* FullyRegistered */
		"...PPNNN", /* ProvisionedAccess */
	};

	table_walk(&hfc_access_machine, expected, "NUFP");
}
END_TEST

START_TEST(dhcp_table)
{
	/* start, offer, ack, nak, no answer, none at all, T1, T2, expired, stop */
	static const char *const expected[] = {
		"s........i", /* Init */
		".r..s....i", /* Selecting */
		".Rbiri...i", /* Requesting */
		".BB...n..i", /* Bound */
		"..bin..e.i", /* Renewing */
		"..bie...ii", /* Rebinding */
	};

	table_walk(&dhcp_client_machine, expected, "ISRBNE");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hfc client");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, registration, 0, 4);
	tcase_add_loop_test(t, life, 0, 2);
	tcase_add_test(t, renewals);
	tcase_add_test(t, expiry);
	tcase_add_test(t, new_software);
	tcase_add_loop_test(t, each_message, 0, HARMS);
	tcase_add_loop_test(t, bad_line, 0, 8);
	tcase_add_test(t, a_street);
	tcase_add_loop_test(t, false_servers, 0, LIES);
	tcase_add_loop_test(t, false_answers, 0, ANSWER_ROWS);
	tcase_add_loop_test(t, false_addresses, 0, 14);
	tcase_add_test(t, one_default_route);
	tcase_add_test(t, options_without_end);
	tcase_add_test(t, an_error_is_not_answered);
	tcase_add_test(t, noise);
	tcase_add_test(t, access_table);
	tcase_add_test(t, dhcp_table);
	suite_add_tcase(suite, t);
	return access_main(suite);
}

/*
 * The clone detector: a device and its twin, with the same MAC, on two segments; one after the other, both at
 * once, with restarts and silence between the head-ends, carried from one to the other, under floods; between servers
 * in clear (_i 0) and in ESP with the KDC's tickets (_i 1).
 */
#include "tests/models/access_rig.h"

#include "models/clone_detector.h"
#include "models/hfc_client.h"

#define HE2_HFC 0x0a020001u
#define HE2_CORE 0x0a000002u

extern const struct model model_kdc;

struct device {
	struct hfc_client *client;
	unsigned configured;
};

struct pair {
	struct access_rig r;
	struct link *hfc2;
	struct node *he2, *twin_node;
	struct device dev, twin;
};

static void on_configured(void *ctx, const struct hfc_configured *configured)
{
	(void)configured;
	((struct device *)ctx)->configured++;
}

static void on_lost(void *ctx, const char *why)
{
	(void)ctx, (void)why;
}

static void device_make(struct pair *p, struct device *d, struct node *node)
{
	struct hfc_client_config config = { .node = node, .iface = node->ifaces, .verify_config = true,
		                            .verify_image = true, .version = "1.0", .configured = on_configured, .lost = on_lost, .ctx = d };

	config.operator_ca = world_authority(p->r.world, AUTHORITY_OPERATOR);
	config.manufacturer_ca = world_authority(p->r.world, AUTHORITY_MANUFACTURER);
	d->configured = 0;
	d->client = hfc_client_new(&config);
}

static void element(struct node *node, const struct model *model, const struct arg *list, size_t count)
{
	char error[MODEL_ERROR_LEN] = "";

	node->model = model;
	ck_assert_msg(model->create(node, &(struct args){ list, count }, error), "%s", error);
	model->start(node);
}

static void second_head_end(struct pair *p, const char *peers)
{
	static const struct link_params clean = { .delay_ns = 5 * NS_PER_MS };
	struct arg args[] = {
		{ "hfc", { .type = VALUE_LINK } }, { "kdc", { .type = VALUE_NODE } }, { "controller", { .type = VALUE_NODE } },
		{ "unprovisioned", value_text("10.2.128.10-10.2.128.12") },
		{ "provisioned", value_text("10.2.64.10-10.2.64.12") },
		{ "lease", value_time(LEASE_S * NS_PER_S) }, { "image_bytes", value_int(100) }, { "peers", value_text(peers) },
	};

	p->hfc2 = link_new(p->r.sim, "hfc2", &clean);
	p->twin_node = access_node(&p->r, "twin", p->hfc2, dev_mac, 0, 0);
	ip_route_add(p->twin_node, 0, 0, HE2_HFC, p->twin_node->ifaces);
	p->he2 = access_node(&p->r, "he2", p->r.core, NULL, HE2_CORE, 24);
	iface_new(p->he2, p->hfc2, "eth1", NULL, HE2_HFC, 16);
	args[0].value.link = p->hfc2;
	args[1].value.node = p->r.kdc;
	args[2].value.node = p->r.sc;
	element(p->he2, &model_cmts, args, 8);
}

static void pair_make(struct pair *p, bool esp, bool ask)
{
	struct arg kdc = { "restricted_numbers", value_text("") };

	memset(p, 0, sizeof *p);
	access_backend = esp ? "on" : "off";
	access_more = (struct arg){ "peers", value_text(ask ? "he2" : "") };
	access_make(&p->r, NULL, 1);
	element(p->r.kdc, &model_kdc, &kdc, 1);
	second_head_end(p, ask ? "he1" : "");
	device_make(p, &p->dev, p->r.dev);
	device_make(p, &p->twin, p->twin_node);
}

static void pair_end(struct pair *p)
{
	hfc_client_free(p->dev.client);
	hfc_client_free(p->twin.client);
	access_end(&p->r);
}

static int64_t leases(const struct pair *p)
{
	return access_get(p->r.he, "leases") + access_get(p->he2, "leases");
}

/* The device first, its twin later: it gets an address when the device's has ended, as one that has moved does. */
START_TEST(one_after_the_other)
{
	struct pair p;

	pair_make(&p, _i, true);
	hfc_client_boot(p.dev.client);
	access_run(&p.r, 20 * NS_PER_S);
	ck_assert_uint_eq(p.dev.configured, 1);
	ck_assert_uint_eq(p.r.refusal_count, 0);
	hfc_client_boot(p.twin.client);
	access_run(&p.r, 10 * 60 * NS_PER_S);
	ck_assert_uint_eq(p.twin.configured, 0);
	ck_assert_int_eq(access_get(p.he2, "leases"), 0);
	ck_assert_uint_gt(access_refused(&p.r, p.he2, "he.clone"), 0);
	ck_assert_int_eq(access_get(p.he2, "clones"), access_refused(&p.r, p.he2, "he.clone"));
	ck_assert_uint_eq(access_refused(&p.r, p.he2, "he.clone"), access_refused(&p.r, NULL, NULL));
	ck_assert_uint_eq(p.dev.configured, 1); /* and is renewed undisturbed */
	ck_assert_int_eq(access_get(p.r.he, "leases"), 1);
	hfc_client_power_off(p.dev.client);
	access_run(&p.r, (LEASE_S + 120) * NS_PER_S);
	ck_assert_uint_eq(p.twin.configured, 1);
	pair_end(&p);
}
END_TEST

/* Nobody is asked: both have their address, which is what a clone lives on. */
START_TEST(without_peers)
{
	struct pair p;

	pair_make(&p, _i, false);
	hfc_client_boot(p.dev.client);
	hfc_client_boot(p.twin.client);
	access_run(&p.r, 20 * NS_PER_S);
	ck_assert_uint_eq(p.dev.configured, 1);
	ck_assert_uint_eq(p.twin.configured, 1);
	ck_assert_int_eq(leases(&p), 2);
	pair_end(&p);
}
END_TEST

/* Both at once, give or take: one gets in, and never both. */
START_TEST(both_at_once)
{
	for (int late = -4; late <= 4; late++) {
		struct pair p;

		pair_make(&p, _i, true);
		if (late >= 0)
			hfc_client_boot(p.dev.client);
		if (late <= 0)
			hfc_client_boot(p.twin.client);
		access_run(&p.r, (late < 0 ? -late : late) * 150 * NS_PER_MS);
		if (late < 0)
			hfc_client_boot(p.dev.client);
		if (late > 0)
			hfc_client_boot(p.twin.client);
		for (int i = 0; i < 200; i++) {
			access_run(&p.r, NS_PER_S);
			ck_assert_int_le(leases(&p), 1);
		}
		ck_assert_uint_eq(p.dev.configured + p.twin.configured, 1);
		pair_end(&p);
	}
}
END_TEST

/* A head-end that says nothing keeps nobody from its service; one that restarts in the middle neither. */
START_TEST(silence_and_restarts)
{
	struct pair p;

	pair_make(&p, _i, true);
	p.r.he->model->restart(p.r.he);
	p.r.he->ifaces->link->down = true; /* the network between them */
	hfc_client_boot(p.twin.client);
	access_run(&p.r, 180 * NS_PER_S);
	ck_assert_uint_eq(p.twin.configured, 1);
	p.r.he->ifaces->link->down = false;
	hfc_client_boot(p.twin.client);
	for (int i = 0; i < 30; i++) {
		access_run(&p.r, 700 * NS_PER_MS);
		if (i < 10)
			p.he2->model->restart(p.he2);
		if (i % 4 == 1 && i < 10)
			p.r.he->model->restart(p.r.he);
	}
	access_run(&p.r, 120 * NS_PER_S);
	ck_assert_uint_eq(p.twin.configured, 2);
	hfc_client_boot(p.dev.client);
	access_run(&p.r, 120 * NS_PER_S);
	ck_assert_uint_eq(p.dev.configured, 0);
	ck_assert_uint_gt(access_refused(&p.r, p.r.he, "he.clone"), 0);
	pair_end(&p);
}
END_TEST

/* A device that has moved: its old head-end looks for it, and it need not wait for its old lease's end. */
START_TEST(a_device_that_moved)
{
	struct pair p;

	pair_make(&p, _i, true);
	hfc_client_boot(p.dev.client);
	access_run(&p.r, 20 * NS_PER_S);
	ck_assert_uint_eq(p.dev.configured, 1);
	hfc_client_power_off(p.dev.client);
	hfc_client_boot(p.twin.client);
	access_run(&p.r, 30 * NS_PER_S);
	ck_assert_uint_eq(p.twin.configured, 1);
	ck_assert_int_eq(access_get(p.r.he, "leases"), 0);
	ck_assert_int_eq(access_get(p.he2, "leases"), 1);
	hfc_client_power_off(p.twin.client); /* and back */
	hfc_client_boot(p.dev.client);
	access_run(&p.r, 30 * NS_PER_S);
	ck_assert_uint_eq(p.dev.configured, 2);
	ck_assert_int_eq(leases(&p), 1);
	ck_assert_uint_eq(p.r.refusal_count, 0);
	pair_end(&p);
}
END_TEST

/* It is looked for while it starts anew: what it says to its head-end then counts, whichever head-end's name is first. */
START_TEST(looked_for_while_it_starts)
{
	for (int i = 0; i < 40; i++) {
		struct pair p;
		struct device *first, *second;

		pair_make(&p, false, true);
		first = _i ? &p.twin : &p.dev;
		second = _i ? &p.dev : &p.twin;
		hfc_client_boot(first->client);
		access_run(&p.r, 20 * NS_PER_S);
		ck_assert_uint_eq(first->configured, 1);
		hfc_client_boot(second->client);
		access_run(&p.r, i * 50 * NS_PER_MS);
		hfc_client_boot(first->client);
		for (int k = 0; k < 120; k++) {
			access_run(&p.r, NS_PER_S);
			ck_assert_int_le(leases(&p), 1);
		}
		ck_assert_uint_eq(first->configured, 2);
		ck_assert_uint_eq(second->configured, 0);
		pair_end(&p);
	}
}
END_TEST

/* An answer that is no answer to the echo, or comes from elsewhere, does not keep a lease. */
START_TEST(forged_echoes)
{
	struct pair p;
	struct ip_info info = { .dst = HE_HFC, .proto = IP_PROTO_ICMP };
	struct packet *reply;

	pair_make(&p, false, true);
	hfc_client_boot(p.dev.client);
	access_run(&p.r, 20 * NS_PER_S);
	info.src = p.r.dev->ifaces->ip;
	hfc_client_power_off(p.dev.client);
	hfc_client_boot(p.twin.client);
	for (int i = 0; i < 200; i++) {
		reply = packet_new(p.r.sim, 8);
		memset(packet_append(reply, 8), 0, 8);
		put_be16(reply->data + 2, 0xffff);
		ip_send(i & 1 ? p.r.far : p.r.other, &info, reply);
		access_run(&p.r, 100 * NS_PER_MS);
	}
	ck_assert_uint_gt(access_refused(&p.r, p.r.he, "he.echo"), 0);
	ck_assert_uint_eq(access_refused(&p.r, p.r.he, "he.echo"), access_refused(&p.r, NULL, NULL));
	ck_assert_uint_eq(p.twin.configured, 1);
	pair_end(&p);
}
END_TEST

static void on_offer(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct dhcp m;

	(void)from;
	ck_assert(dhcp_parse(packet->data, packet->len, &m));
	*(unsigned *)socket->ctx += memcmp(m.chaddr, dev_mac, 6) == 0;
}

/* DISCOVERs of many MACs on the second segment, and at the end of the device's; how often that is answered in 20 s. */
static unsigned flood(struct pair *p, struct node *node, unsigned count, sim_ns pause_ns)
{
	struct udp_socket socket = { .node = NULL };
	unsigned offers = 0;
	struct dhcp m = { .type = DHCP_DISCOVER, .xid = 1, .broadcast = true, .class_id = span_of("pktc1.0"),
		          .chaddr = { 2, 3 } };

	ck_assert(udp_bind(node, &socket, DHCP_CLIENT_PORT, on_offer, &offers));
	for (unsigned i = 0; i <= count; i++) {
		put_be32(m.chaddr + 2, i);
		if (i == count)
			memcpy(m.chaddr, dev_mac, 6);
		dhcp_send(&socket, 0, 0xffffffffu, DHCP_SERVER_PORT, &m);
		access_run(&p->r, pause_ns);
	}
	access_run(&p->r, 20 * NS_PER_S);
	udp_unbind(&socket);
	p->r.refusal_count = 0; /* of a small pool */
	return offers;
}

/* More questions than there are identifiers: they wait for their turn, and a clone among them is found. */
START_TEST(a_flood_blinds_nobody)
{
	struct pair p;
	struct node *noise;

	pair_make(&p, _i, true);
	noise = access_node(&p.r, "noise", p.hfc2, NULL, 0, 0);
	hfc_client_boot(p.dev.client);
	access_run(&p.r, 20 * NS_PER_S);
	ck_assert_uint_eq(flood(&p, noise, 1, 0), 0); /* the head-ends know each other now */
	ck_assert_uint_eq(flood(&p, noise, RADIUS_PENDING_MAX + 50, 0), 0);
	ck_assert_int_ge(access_get(p.he2, "clones"), 2);
	ck_assert_int_eq(access_get(p.r.he, "leases"), 1);
	pair_end(&p);
}
END_TEST

/* When it is over there is room again for everybody, at once. */
START_TEST(a_flood_ends)
{
	struct pair p;
	struct node *noise;

	pair_make(&p, _i, true);
	noise = access_node(&p.r, "noise", p.hfc2, NULL, 0, 0);
	flood(&p, noise, 3 * CLONE_INQUIRIES_MAX, NS_PER_MS);
	access_run(&p.r, 120 * NS_PER_S);
	hfc_client_boot(p.twin.client);
	access_run(&p.r, 3 * NS_PER_S);
	ck_assert_uint_eq(p.twin.configured, 1);
	pair_end(&p);
}
END_TEST

/* A stranger's or another server's question is none of a head-end. */
START_TEST(who_asks)
{
	struct access_rig r;
	struct radius q = { .code = RADIUS_ACCESS_REQUEST, .connect_info = CLONE_QUESTION,
		            .user_name = "00:11:22:33:44:55" };

	access_backend = "off";
	access_more.name = NULL;
	access_make(&r, NULL, 1);
	ck_assert(cmts_lease_add(r.he, FREE_FIRST, dev_mac));
	ck_assert_str_eq(access_ask(&r, &q).why, "he.unknown_lease"); /* a controller asks about addresses */
	directory_service_add(world_directory(r.world), "sc/sc1", 0x0a0000c8);
	directory_service_add(world_directory(r.world), "he/he7", SC_IP);
	ck_assert_int_eq(access_ask(&r, &q).code, RADIUS_ACCESS_ACCEPT);
	q.connect_info[0] = '\0';
	ck_assert_str_eq(access_ask(&r, &q).why, "he.unknown_question");
	snprintf(q.connect_info, sizeof q.connect_info, CLONE_QUESTION);
	snprintf(q.user_name, sizeof q.user_name, "nobody");
	ck_assert_str_eq(access_ask(&r, &q).why, "he.unknown_question");
	access_end(&r);
}
END_TEST

START_TEST(peers_are_names)
{
	static const struct { const char *text; bool good; } rows[] = {
		{ "", true }, { "he2", true }, { "he2, he3,he4", true }, { " , ", true },
		{ "a b c d e f g h i j k l m n o p", true }, { "a b c d e f g h i j k l m n o p q", false },
	};
	struct access_rig r;
	struct clone_detector_config config = { .principal = "he/x" };
	struct clone_detector *d;

	access_backend = "off";
	access_more.name = NULL;
	access_make(&r, NULL, 1);
	config.node = r.far;
	config.ipsec = r.sc_ipsec;
	d = clone_detector_new(&config, rows[_i].text);
	ck_assert_int_eq(d != NULL, rows[_i].good);
	clone_detector_free(d);
	access_end(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clone detector");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, one_after_the_other, 0, 2);
	tcase_add_loop_test(t, without_peers, 0, 2);
	tcase_add_loop_test(t, both_at_once, 0, 2);
	tcase_add_loop_test(t, silence_and_restarts, 0, 2);
	tcase_add_loop_test(t, a_device_that_moved, 0, 2);
	tcase_add_loop_test(t, looked_for_while_it_starts, 0, 2);
	tcase_add_test(t, forged_echoes);
	tcase_add_loop_test(t, a_flood_blinds_nobody, 0, 2);
	tcase_add_loop_test(t, a_flood_ends, 0, 2);
	tcase_add_test(t, who_asks);
	tcase_add_loop_test(t, peers_are_names, 0, 6);
	suite_add_tcase(suite, t);
	return access_main(suite);
}

/*
 * The head-end: what it forwards, its leases and bad marks, its answers to servers and to others, in clear and under ESP, and its restart.
 * The router, which only forwards.
 */
#include "tests/models/kdc_rig.h"

extern const struct model model_router;

static const struct rig_setup plain = { .seed = 3 };
static const struct rig_setup covered = { .seed = 3, .ipsec = true };

static void call(struct kdc_rig *r, const char *name, const struct arg *list, size_t count, char error[MODEL_ERROR_LEN])
{
	struct verb_result result = { .error = "" };
	const struct verb *verb = r->he->model->verbs;

	while (verb->name && strcmp(verb->name, name) != 0)
		verb++;
	ck_assert_ptr_nonnull(verb->name);
	verb->fn(r->he, &(struct args){ list, count }, &result);
	memcpy(error, result.error, MODEL_ERROR_LEN);
}

static void mark(struct kdc_rig *r, const char *name, const char *mac)
{
	struct arg arg = { "mac", value_text(mac) };
	char error[MODEL_ERROR_LEN];

	call(r, name, &arg, 1, error);
	ck_assert_str_eq(error, "");
}

/* Questions as another server puts them */

struct asker {
	struct radius_client *client;
	bool answered;
	enum radius_code code; /* 0: no answer */
	char why[RADIUS_TEXT_MAX];
};

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct asker *a = ctx;

	(void)tag;
	a->answered = true;
	a->code = answer ? answer->code : 0;
	snprintf(a->why, sizeof a->why, "%s", answer ? answer->reply_message : "");
}

static void ask_as(struct kdc_rig *r, struct node *node, struct ipsec *ipsec, const char *mac, uint32_t ip, enum radius_code code,
                   struct asker *out)
{
	struct radius question = { .code = code, .framed_ip = ip };

	*out = (struct asker){ .client = radius_client_new(node, ipsec) };
	snprintf(question.user_name, sizeof question.user_name, "%s", mac);
	radius_client_reset(out->client);
	ck_assert(radius_client_ask(out->client, HE_IP, &question, on_answer, out));
	rig_run(r, 60 * NS_PER_S);
	ck_assert(out->answered);
	radius_client_free(out->client);
}

static const struct question {
	const char *mac;
	uint32_t ip;
	bool marked;
	const char *check; /* NULL: yes */
} questions[] = {
	{ "00:11:22:33:44:55", DEVICE_IP, false, NULL },
	{ "00:11:22:33:44:55", DEVICE_IP + 1, false, "he.unknown_lease" },
	{ "00:11:22:33:44:56", DEVICE_IP, false, "he.mac_mismatch" },
	{ "00:11:22:33:44:55", DEVICE_IP, true, "he.bad_mark" },
	{ "00:11:22:33:44", DEVICE_IP, false, "he.unknown_question" },
	{ "00:11:22:33:44:5x", DEVICE_IP, false, "he.unknown_question" },
	{ "00-11-22-33-44-55", DEVICE_IP, false, "he.unknown_question" },
	{ "", DEVICE_IP, false, "he.unknown_question" },
	{ "00:11:22:33:44:55:66", DEVICE_IP, false, "he.unknown_question" },
};
#define QUESTIONS ((int)(sizeof questions / sizeof *questions))

START_TEST(answers)
{
	const struct question *q = &questions[_i];
	struct kdc_rig r;
	struct asker a;

	rig_make(&r, &plain, false);
	if (q->marked)
		mark(&r, "mark_bad", q->mac);
	ask_as(&r, r.sc, r.sc_ipsec, q->mac, q->ip, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_int_eq(a.code, q->check ? RADIUS_ACCESS_REJECT : RADIUS_ACCESS_ACCEPT);
	ck_assert_str_eq(a.why, q->check ? q->check : "");
	ck_assert_uint_eq(rig_refused(&r, r.he, NULL), q->check ? 1 : 0);
	ck_assert_uint_eq(rig_refused(&r, r.he, q->check), q->check ? 1 : 0);
	ck_assert_int_eq(rig_get(r.he, "asked"), 1);
	ck_assert_int_eq(rig_get(r.he, "refused"), q->check ? 1 : 0);
	rig_end(&r);
}
END_TEST

/* Marks go as they came, one by one. */
START_TEST(marks)
{
	struct kdc_rig r;
	struct asker a;

	rig_make(&r, &plain, false);
	mark(&r, "mark_bad", "02:00:00:00:00:01");
	mark(&r, "mark_bad", "00:11:22:33:44:55");
	mark(&r, "mark_bad", "02:00:00:00:00:02");
	mark(&r, "mark_bad", "00:11:22:33:44:55"); /* once is enough */
	ck_assert_int_eq(rig_get(r.he, "bad_marks"), 3);
	mark(&r, "unmark", "02:00:00:00:00:01");
	ask_as(&r, r.sc, r.sc_ipsec, "00:11:22:33:44:55", DEVICE_IP, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_str_eq(a.why, "he.bad_mark");
	mark(&r, "unmark", "00:11:22:33:44:55");
	ask_as(&r, r.sc, r.sc_ipsec, "00:11:22:33:44:55", DEVICE_IP, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_int_eq(a.code, RADIUS_ACCESS_ACCEPT);
	ck_assert_int_eq(rig_get(r.he, "bad_marks"), 1);
	rig_end(&r);
}
END_TEST

/* The operator's own entry: from then on the KDC is told that the device is there. */
START_TEST(a_lease_is_entered)
{
	static const char *const no_device[] = { "", "10.1.0", "10.2.0.200", "10.1.0.1" };
	struct arg list[] = { { .name = "mac", .value = value_text("02:00:00:00:00:07") }, { .name = "ip" } };
	char error[MODEL_ERROR_LEN];
	struct kdc_rig r;
	struct asker a;

	rig_make(&r, &plain, false);
	for (size_t i = 0; i < sizeof no_device / sizeof *no_device; i++) {
		list[1].value = value_text(no_device[i]);
		call(&r, "enter_lease", list, 2, error);
		ck_assert_ptr_nonnull(strstr(error, "ip must be"));
	}
	ask_as(&r, r.sc, r.sc_ipsec, "02:00:00:00:00:07", 0x0a0100c8, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_str_eq(a.why, "he.unknown_lease");
	list[1].value = value_text("10.1.0.200");
	call(&r, "enter_lease", list, 2, error);
	ck_assert_str_eq(error, "");
	ask_as(&r, r.sc, r.sc_ipsec, "02:00:00:00:00:07", 0x0a0100c8, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_int_eq(a.code, RADIUS_ACCESS_ACCEPT);
	rig_end(&r);
}
END_TEST
START_TEST(marks_are_bounded)
{
	struct kdc_rig r;
	char mac[18], error[MODEL_ERROR_LEN];
	struct arg arg = { .name = "mac" };

	rig_make(&r, &plain, false);
	for (int i = 0; i < CMTS_BAD_MARKS_MAX; i++) {
		snprintf(mac, sizeof mac, "02:00:00:00:%02x:%02x", i >> 8, i & 255);
		mark(&r, "mark_bad", mac);
	}
	snprintf(mac, sizeof mac, "02:00:00:01:00:00");
	arg.value = value_text(mac);
	call(&r, "mark_bad", &arg, 1, error);
	ck_assert_str_ne(error, "");
	ck_assert_int_eq(rig_get(r.he, "bad_marks"), CMTS_BAD_MARKS_MAX);
	rig_end(&r);
}
END_TEST

/* A verb that cannot know whom it is about says so and marks nobody. */
START_TEST(verbs_ask_back)
{
	struct kdc_rig r;
	char error[MODEL_ERROR_LEN];
	struct arg mac = { "mac", value_text("00:11:22:33:44") }, node = { "node", { .type = VALUE_NODE } };
	struct arg both[2] = { { "mac", value_text("00:11:22:33:44:55") }, { "node", { .type = VALUE_NODE } } };

	rig_make(&r, &plain, false);
	both[1].value.node = r.device;
	call(&r, "mark_bad", NULL, 0, error);
	ck_assert_ptr_nonnull(strstr(error, "neither mac nor node"));
	call(&r, "mark_bad", &mac, 1, error);
	ck_assert_ptr_nonnull(strstr(error, "00:11:22:33:44;"));
	call(&r, "mark_bad", both, 2, error);
	ck_assert_str_ne(error, "");
	node.value.node = r.kdc;
	call(&r, "mark_bad", &node, 1, error);
	ck_assert_ptr_nonnull(strstr(error, "kdc1 is not on he1's segment hfc"));
	ck_assert_int_eq(rig_get(r.he, "bad_marks"), 0);
	node.value.node = r.device;
	call(&r, "unmark", &node, 1, error);
	ck_assert_ptr_nonnull(strstr(error, "has not marked"));
	call(&r, "mark_bad", &node, 1, error);
	ck_assert_str_eq(error, "");
	ck_assert_int_eq(rig_get(r.he, "bad_marks"), 1);
	rig_end(&r);
}
END_TEST

/* Who is no server of the operator is not answered; under ESP nothing in clear is. */
START_TEST(strangers)
{
	struct kdc_rig r;
	struct asker a;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct node *stranger;

	rig_make(&r, &plain, false);
	stranger = rig_node(&r, "stranger", r.core, NULL, 0x0a000063, 24);
	sm = world_module(r.world, stranger, "module");
	ipsec = ipsec_new(stranger, sm, true);
	ask_as(&r, stranger, ipsec, "00:11:22:33:44:55", DEVICE_IP, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_int_eq(a.code, 0);
	ck_assert_uint_eq(rig_refused(&r, r.he, "radius.stranger"), RADIUS_TRIES);
	ck_assert_int_eq(rig_get(r.he, "asked"), 0);
	/* a server of another kind */
	directory_service_add(world_directory(r.world), "ns/news", 0x0a000063);
	ask_as(&r, stranger, ipsec, "00:11:22:33:44:55", DEVICE_IP, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_str_eq(a.why, "he.unknown_question");
	ipsec_free(ipsec);
	sm_free(sm);
	rig_end(&r);
}
END_TEST

START_TEST(nothing_in_clear)
{
	struct kdc_rig r;
	struct udp_socket socket = { .node = NULL };
	struct radius question = { .code = RADIUS_ACCESS_REQUEST, .user_name = "00:11:22:33:44:55", .framed_ip = DEVICE_IP };
	struct packet *p;
	uint8_t bytes[RADIUS_MESSAGE_MAX];
	size_t len;

	rig_make(&r, &covered, false);
	len = radius_write(&question, bytes, sizeof bytes);
	ck_assert(udp_bind(r.device, &socket, 0, NULL, NULL));
	p = packet_new(r.sim, (uint32_t)len);
	memcpy(packet_append(p, (uint32_t)len), bytes, len);
	udp_send(&socket, KDC_IP, HE_IP, RADIUS_AUTH_PORT, p); /* in the KDC's name */
	rig_run(&r, NS_PER_S);
	ck_assert_uint_eq(rig_refused(&r, r.he, "backend.ipsec"), 1);
	ck_assert_int_eq(rig_get(r.he, "asked"), 0);
	udp_unbind(&socket);
	rig_end(&r);
}
END_TEST

START_TEST(leases)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 7 };
	struct kdc_rig r;
	struct asker a;

	rig_make(&r, &plain, false);
	for (uint32_t i = 1; i < CMTS_LEASES_MAX; i++) {
		uint8_t mac[6] = { 2, 1, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };

		ck_assert(cmts_lease_add(r.he, DEVICE_IP + i, mac));
	}
	ck_assert_int_eq(rig_get(r.he, "leases"), CMTS_LEASES_MAX);
	ck_assert(!cmts_lease_add(r.he, DEVICE_IP - 1, other));
	ck_assert(cmts_lease_add(r.he, DEVICE_IP, other)); /* the address changes hands */
	ck_assert_int_eq(rig_get(r.he, "leases"), CMTS_LEASES_MAX);
	ask_as(&r, r.sc, r.sc_ipsec, "02:00:00:00:00:07", DEVICE_IP, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_int_eq(a.code, RADIUS_ACCESS_ACCEPT);
	ask_as(&r, r.sc, r.sc_ipsec, "02:01:00:00:12:34", DEVICE_IP + 0x1234, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_int_eq(a.code, RADIUS_ACCESS_ACCEPT);
	ask_as(&r, r.sc, r.sc_ipsec, "00:11:22:33:44:55", DEVICE_IP, RADIUS_ACCESS_REQUEST, &a);
	ck_assert_str_eq(a.why, "he.mac_mismatch");
	rig_end(&r);
}
END_TEST

/*
 * A restart under ESP: leases and marks stay, associations go. _i: the head-end knows the KDC and keys anew by itself when it hears ESP it
 * cannot read, so that the KDC's repeated question is answered; else the KDC finds out by silence and the next question is.
 */
START_TEST(restart)
{
	struct rig_setup setup = { .seed = 3, .ipsec = true, .he_keys = _i };
	struct kdc_rig r;

	rig_make(&r, &setup, true);
	rig_identity(&r, false);
	mark(&r, "mark_bad", "02:00:00:00:00:01");
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	ck_assert_int_eq(rig_get(r.he, "associations"), 1);
	r.he->model->restart(r.he);
	ck_assert_int_eq(rig_get(r.he, "associations"), 0);
	ck_assert_int_eq(rig_get(r.he, "leases"), 1);
	ck_assert_int_eq(rig_get(r.he, "bad_marks"), 1);
	rig_ask(&r);
	ck_assert_uint_gt(rig_refused(&r, r.he, "esp.unknown_spi"), 0);
	if (_i) {
		ck_assert_int_eq(rig_outcome(&r), 0);
		ck_assert_uint_eq(r.requests, 2);
		ck_assert_int_eq(rig_get(r.kdc, "issued"), 3); /* one of them the head-end's own */
	} else {
		rig_run(&r, 60 * NS_PER_S);
		rig_ask(&r);
		ck_assert_int_eq(rig_outcome(&r), 0);
	}
	ck_assert_uint_eq(r.clear_radius, 0);
	rig_end(&r);
}
END_TEST

static void on_exchange(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	(void)association;
	(void)krb_error;
	*(enum ap_outcome *)ctx = outcome;
}

/*
 * A ticket for a head-end is a server's thing: a CTA's is of no use there, nor a server's from elsewhere, nor one for another
 * service that has the same key.
 */
START_TEST(associations_are_for_servers)
{
	static const struct { const char *client, *server, *check; } rows[] = {
		{ "a9993e364706816aba3e25717850c26c9cd0d89d", "he/he1", "he.check_service" },
		{ "kdc/kdc1", "he/he1", "he.check_service" },
		{ "sc/sc1", "he/he2", "sc.not_us" },
		{ "sc/sc1", "he/he1", NULL },
	};
	struct kdc_rig r;
	struct krb_ticket_facts facts = { .start_time_s = SIM_DEFAULT_EPOCH_S, .end_time_s = SIM_DEFAULT_EPOCH_S + 3600 };
	struct krb_credentials credentials = { .session_key = 0 };
	enum ap_outcome outcome = AP_TIMEOUT;
	key_handle key;

	rig_make(&r, &covered, false);
	key = world_server_key(r.world, r.sc_sm, "he/he1"); /* as the KDC has it */
	ck_assert(krb_name_set(&facts.client, rows[_i].client, WORLD_REALM));
	ck_assert(krb_name_set(&facts.server, rows[_i].server, WORLD_REALM));
	ck_assert(krb_self_issue(r.sc_sm, key, &facts, &credentials));
	ck_assert(key_management_initiate(r.sc_km, HE_IP, &credentials, LABEL_SERVER, 0, on_exchange, &outcome));
	rig_run(&r, 50 * NS_PER_S);
	ck_assert_int_eq(outcome, rows[_i].check ? AP_REFUSED : AP_ESTABLISHED);
	ck_assert_str_eq(r.refusal_count ? r.refusals[0].check : "", rows[_i].check ? rows[_i].check : "");
	ck_assert_uint_eq(rig_refused(&r, r.he, rows[_i].check), rig_refused(&r, r.he, NULL));
	ck_assert_int_eq(rig_get(r.he, "associations"), rows[_i].check ? 0 : 1);
	krb_credentials_free(r.sc_sm, &credentials);
	rig_end(&r);
}
END_TEST

START_TEST(directory_knows_it)
{
	struct kdc_rig r;

	rig_make(&r, &plain, false);
	ck_assert_str_eq(directory_head_end_of(world_directory(r.world), DEVICE_IP), "he/he1");
	ck_assert_str_eq(directory_head_end_of(world_directory(r.world), 0x0a01ffff), "he/he1");
	ck_assert_ptr_null(directory_head_end_of(world_directory(r.world), KDC_IP));
	ck_assert_uint_eq(directory_service_ip(world_directory(r.world), "he/he1"), HE_IP);
	ck_assert_str_eq(cmts_principal(r.he), "he/he1");
	rig_end(&r);
}
END_TEST

START_TEST(needs_its_segment)
{
	struct kdc_rig r;
	struct arg elsewhere = { "hfc", { .type = VALUE_LINK } };
	char error[MODEL_ERROR_LEN] = "";
	struct node *bare;

	rig_make(&r, &plain, false);
	elsewhere.value.link = r.hfc;
	bare = node_new(r.sim, "bare");
	ck_assert(!model_cmts.create(bare, &(struct args){ NULL, 0 }, error));
	ck_assert_ptr_nonnull(strstr(error, "HFC segment"));
	bare = rig_node(&r, "elsewhere", r.core, NULL, 0x0a000064, 24);
	ck_assert(!model_cmts.create(bare, &(struct args){ &elsewhere, 1 }, error));
	bare = rig_node(&r, "here", r.hfc, NULL, 0, 0);
	ck_assert(!model_cmts.create(bare, &(struct args){ &elsewhere, 1 }, error));
	ck_assert_ptr_null(bare->state);
	rig_end(&r);
}
END_TEST

/* Forwarding, through head-end and router */

static void count_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)packet;
	(void)from;
	++*(unsigned *)socket->ctx;
}

START_TEST(a_router_forwards)
{
	struct kdc_rig r;
	struct udp_socket from = { .node = NULL }, to = { .node = NULL };
	struct node *router, *far;
	struct link *link;
	char error[MODEL_ERROR_LEN] = "";
	unsigned got = 0;
	static const struct link_params lan = { .delay_ns = NS_PER_MS };

	rig_make(&r, &plain, false);
	link = link_new(r.sim, "far", &lan);
	router = rig_node(&r, "router", r.core, NULL, 0x0a000002, 24);
	ck_assert(!model_router.create(router, &(struct args){ NULL, 0 }, error));
	ck_assert_ptr_nonnull(strstr(error, "two interfaces"));
	iface_new(router, link, "eth1", NULL, 0x0a020001, 24);
	ck_assert(model_router.create(router, &(struct args){ NULL, 0 }, error));
	router->model = &model_router;
	far = rig_node(&r, "distant", link, NULL, 0x0a020002, 24);
	ip_route_add(r.he, 0x0a020000, 16, 0x0a000002, NULL);
	ip_route_add(router, 0x0a010000, 16, HE_IP, NULL);
	ck_assert(udp_bind(r.device, &from, 0, NULL, NULL) && udp_bind(far, &to, 4000, count_datagram, &got));
	udp_send(&from, 0, 0x0a020002, 4000, packet_new(r.sim, 0));
	udp_send(&from, 0, 0x0a020102, 4000, packet_new(r.sim, 0)); /* the router has no route there */
	rig_run(&r, NS_PER_S);
	ck_assert_uint_eq(got, 1);
	ck_assert_int_eq(rig_get(r.he, "forwarded"), 3); /* the last says that the other was lost */
	ck_assert_int_eq(rig_get(router, "forwarded"), 1);
	ck_assert_int_eq(rig_get(router, "dropped"), 1);
	udp_unbind(&from);
	udp_unbind(&to);
	rig_end(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cmts");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, answers, 0, QUESTIONS);
	tcase_add_test(t, marks);
	tcase_add_test(t, a_lease_is_entered);
	tcase_add_test(t, marks_are_bounded);
	tcase_add_test(t, verbs_ask_back);
	tcase_add_test(t, strangers);
	tcase_add_test(t, nothing_in_clear);
	tcase_add_test(t, leases);
	tcase_add_loop_test(t, restart, 0, 2);
	tcase_add_loop_test(t, associations_are_for_servers, 0, 4);
	tcase_add_test(t, directory_knows_it);
	tcase_add_test(t, needs_its_segment);
	tcase_add_test(t, a_router_forwards);
	suite_add_tcase(suite, t);
	return rig_main(suite);
}

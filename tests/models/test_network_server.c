/*
 * The network server driven from outside; see served_rig.h. What is expected follows from flows.md 4 and patent
 * [0081]-[0087].
 */
#define SERVER_NAME "announce"
#define NUMBER "8005550100"
#include "tests/models/served_rig.h"

#define LOSSY_RUNS 20

struct setting {
	sim_ns announcement_ns, media_timeout_ns;
	int lines;
	bool backend_off;
	struct link_params link;
	uint64_t seed;
};
static const struct setting plain = { .announcement_ns = 2 * NS_PER_S, .media_timeout_ns = 5 * NS_PER_S, .lines = 10,
	                              .link = { .delay_ns = NS_PER_MS, .rate_bps = 100000000 }, .seed = SEED };

static bool server_make(struct rig *rig, const char *number, int64_t lines, const struct setting *setting,
                        char error[MODEL_ERROR_LEN])
{
	struct arg list[] = {
		{ "kdc", { .type = VALUE_NODE, .node = node_find(rig->sim, "kdc") } }, { "number", value_text(number) },
		{ "lines", value_int(lines) }, { "announcement", value_time(setting->announcement_ns) },
		{ "media_timeout", value_time(setting->media_timeout_ns) },
	};
	struct args args = { list, sizeof list / sizeof *list };

	rig->server->model = model_find("network_server");
	return rig->server->model->create(rig->server, &args, error);
}

static void rig_make(struct rig *rig, const struct setting *setting)
{
	char error[MODEL_ERROR_LEN] = "";

	rig_begin(rig, &setting->link, setting->seed, setting->backend_off);
	ck_assert_msg(server_make(rig, "800-555-0100", setting->lines, setting, error), "%s", error);
	rig_ready(rig);
}

/* Up to the announcement. */
static struct leg_news *call_stands(struct rig *rig, struct leg_news **controller)
{
	struct leg_news *caller;

	ck_assert(secure(&rig->sc));
	*controller = offer(&rig->sc, "call-1;s", &(struct offer){ 0 });
	run_for(rig, 100 * NS_PER_MS);
	ck_assert_uint_eq((*controller)->answered, 1);
	ck_assert((*controller)->proven);
	ck_assert_uint_eq((*controller)->media.ip, NS_IP);
	ck_assert_int_eq(ask(rig, "calls"), 1);
	ck_assert_int_eq(ask(rig, "answered"), 0);
	caller_gets_key(rig);
	caller = caller_invites(rig, "call-1;d", "call-1");
	run_for(rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(caller->answered, 1);
	ck_assert_str_eq((*controller)->event, EVENT_ANSWERED); /* the caller's word is not the only one */
	ck_assert_uint_eq(caller->ringing, 0); /* a machine does not ring */
	ck_assert_uint_eq(caller->media.port, (*controller)->media.port);
	ck_assert_int_eq(ask(rig, "answered"), 1);
	ck_assert_int_eq(ask(rig, "call_keys"), 1);
	ck_assert_int_eq(ask(rig, "associations"), 2); /* with the controller and with the caller */
	caller_talks(rig, caller);
	return caller;
}

/* The call ended at ended_ns: until 0.8 s later the server may hold the key, then nobody does. */
static void keys_die(struct rig *rig, sim_ns ended_ns)
{
	ck_assert_int_eq(ask(rig, "calls"), 0);
	others_forget(rig);
	ck_assert_int_le(rig->sim->now_ns, ended_ns + LINGER_NS);
	sim_run(rig->sim, ended_ns + LINGER_NS);
	ck_assert_uint_eq(world_key_holders(rig->world, rig->key_id), 0);
	ck_assert_int_eq(ask(rig, "call_keys"), 0);
	ck_assert_int_eq(ask(rig, "associations"), 1);
}

/* Calls */

START_TEST(a_call_is_announced_to_its_end)
{
	struct rig rig;
	struct leg_news *caller, *controller;
	sim_ns ended_ns;

	rig_make(&rig, &plain);
	caller = call_stands(&rig, &controller);
	run_for(&rig, plain.announcement_ns - 20 * NS_PER_MS);
	ck_assert_int_lt(caller->hung_up_ns, 0);
	ck_assert_int_ge(ask(&rig, "rtp_received"), 90);
	run_for(&rig, 50 * NS_PER_MS);
	caller_stops(&rig);
	ended_ns = caller->hung_up_ns - NS_PER_MS; /* one way */
	ck_assert_int_gt(ended_ns, 0);
	ck_assert_int_ge(controller->hung_up_ns, 0);
	ck_assert_ptr_nonnull(strstr(controller->reason, "announcement over"));
	ck_assert_uint_ge(rig.heard, plain.announcement_ns / (20 * NS_PER_MS) - 3);
	ck_assert_int_ge(ask(&rig, "rtp_sent"), (int64_t)rig.heard);
	ck_assert_int_eq(ask(&rig, "rtp_lost"), 0);
	ck_assert_int_eq(ask(&rig, "rtp_refused"), 0);
	ck_assert_uint_gt(world_key_holders(rig.world, rig.key_id), 0);
	nothing_refused(&rig);
	keys_die(&rig, ended_ns);
	rig_free(&rig);
}
END_TEST

START_TEST(the_caller_hangs_up_when_it_likes)
{
	struct setting endless = plain;
	struct rig rig;
	struct leg_news *caller, *controller;

	endless.announcement_ns = 0;
	rig_make(&rig, &endless);
	caller = call_stands(&rig, &controller);
	run_for(&rig, 60 * NS_PER_S);
	ck_assert_int_eq(ask(&rig, "calls"), 1);
	ck_assert_int_lt(caller->hung_up_ns, 0);
	sip_leg_end(caller->leg, "");
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert(caller->gone);
	ck_assert_int_ge(controller->hung_up_ns, 0); /* its controller may not have heard of it */
	keys_die(&rig, controller->hung_up_ns);
	ck_assert_uint_ge(rig.heard, 2990);
	rig_free(&rig);
}
END_TEST

START_TEST(the_controller_ends_a_call)
{
	struct rig rig;
	struct leg_news *caller, *controller;

	rig_make(&rig, &plain);
	caller = call_stands(&rig, &controller);
	sip_leg_end(controller->leg, "");
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert(controller->gone);
	ck_assert_int_ge(caller->hung_up_ns, 0);
	keys_die(&rig, caller->hung_up_ns);
	nothing_refused(&rig);
	rig_free(&rig);
}
END_TEST

START_TEST(an_offer_that_nobody_takes_up_is_over_after_20_s)
{
	struct rig rig;
	struct leg_news *controller;
	sim_ns offered_ns;

	rig_make(&rig, &plain);
	ck_assert(secure(&rig.sc));
	offered_ns = rig.sim->now_ns;
	controller = offer(&rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&rig, 19 * NS_PER_S);
	ck_assert_int_eq(ask(&rig, "calls"), 1);
	ck_assert_int_lt(controller->hung_up_ns, 0);
	run_for(&rig, 1100 * NS_PER_MS);
	ck_assert_int_ge(controller->hung_up_ns, offered_ns + 20 * NS_PER_S);
	ck_assert_ptr_nonnull(strstr(controller->reason, "caller did not come"));
	keys_die(&rig, controller->hung_up_ns);
	rig_free(&rig);
}
END_TEST

START_TEST(the_controller_gives_up_before_the_caller_comes)
{
	struct rig rig;
	struct leg_news *controller;

	rig_make(&rig, &plain);
	ck_assert(secure(&rig.sc));
	controller = offer(&rig.sc, "call-1;s", &(struct offer){ 0 });
	sip_leg_end(controller->leg, ""); /* CANCEL crosses the 200, a BYE follows */
	run_for(&rig, 100 * NS_PER_MS);
	ck_assert(controller->gone);
	keys_die(&rig, rig.sim->now_ns - 90 * NS_PER_MS);
	nothing_refused(&rig);
	rig_free(&rig);
}
END_TEST

START_TEST(a_caller_that_says_nothing_is_lost)
{
	struct rig rig;
	struct leg_news *caller, *controller;
	struct setting endless = plain;

	endless.announcement_ns = 0;
	rig_make(&rig, &endless);
	caller = call_stands(&rig, &controller);
	caller_stops(&rig);
	run_for(&rig, 4 * NS_PER_S);
	ck_assert_int_lt(caller->hung_up_ns, 0);
	run_for(&rig, 2 * NS_PER_S);
	ck_assert_int_ge(caller->hung_up_ns, 0);
	ck_assert_ptr_nonnull(strstr(caller->reason, "voice lost"));
	ck_assert_int_eq(ask(&rig, "calls"), 0);
	rig_free(&rig);
}
END_TEST

START_TEST(one_call_more_than_lines_is_busy)
{
	struct setting one_line = plain;
	struct rig rig;
	struct leg_news *first, *second;
	struct offer another = { .spi = SPI + 2, .call = "call-2" };

	one_line.lines = 1;
	rig_make(&rig, &one_line);
	ck_assert(secure(&rig.sc));
	first = offer(&rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&rig, 10 * NS_PER_MS);
	second = offer(&rig.sc, "call-2;s", &another);
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(first->answered, 1);
	ck_assert_int_eq(second->status, 486);
	ck_assert_uint_eq(refused(&rig, "ns.busy"), 1);
	ck_assert_int_eq(ask(&rig, "refused"), 1);
	ck_assert_int_eq(ask(&rig, "call_keys"), 1);
	sip_leg_end(first->leg, "");
	run_for(&rig, 10 * NS_PER_MS); /* the line is free although the keys of the first call linger */
	second = offer(&rig.sc, "call-2;s2", &another);
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(second->answered, 1);
	ck_assert_uint_ne(second->media.port, first->media.port);
	rig_free(&rig);
}
END_TEST

START_TEST(a_restart_loses_calls_and_associations)
{
	struct rig rig;
	struct leg_news *caller, *controller;

	rig_make(&rig, &plain);
	caller = call_stands(&rig, &controller);
	run_for(&rig, 500 * NS_PER_MS);
	rig.server->model->restart(rig.server);
	ck_assert_int_eq(ask(&rig, "calls"), 0);
	ck_assert_int_eq(ask(&rig, "associations"), 0);
	caller_stops(&rig);
	sip_leg_end(caller->leg, "");
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_uint_ge(refused(&rig, "esp.unknown_spi"), 1);
	others_forget(&rig);
	ck_assert_uint_eq(world_key_holders(rig.world, rig.key_id), 0);
	backend_drop(rig.sc.backend, NS_IP);
	ck_assert(secure(&rig.sc));
	controller = offer(&rig.sc, "call-2;s", &(struct offer){ .call = "call-2" });
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(controller->answered, 1);
	ck_assert_int_eq(ask(&rig, "calls"), 1);
	rig_free(&rig);
}
END_TEST

/* Hostile */

static const struct {
	struct offer offer;
	int status;
	const char *check;
} bad_offers[] = {
	{ { .key = "AAAA" }, 488, "subkey.unwrap" },
	{ { .key = "" }, 488, "subkey.unwrap" },
	{ { .key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMw==" }, 488, "subkey.unwrap" },
	{ { .number = "8005550199" }, 404, "ns.unknown_number" },
	{ { .number = "none" }, 404, "ns.unknown_number" },
	{ { .no_body = true }, 488, "ns.media_offer" },
	{ { .spi = 255 }, 488, "ns.media_offer" },
	{ { .spi = UINT32_MAX }, 488, "ns.media_offer" },
	{ { .ip = NS_IP }, 488, "ns.media_offer" },
	{ { .ip = SC_IP }, 488, "ns.media_offer" },
	{ { .ip = HE_IP }, 488, "ns.media_offer" },
	{ { .ip = 0xc0a80001u }, 488, "ns.media_offer" }, /* no route */
	{ { .payload_type = 3 }, 488, "ns.media_offer" },
	{ { .call = " " }, 488, "ns.media_offer" },
};

START_TEST(a_bad_offer_is_refused_by_its_check)
{
	struct rig rig;
	struct leg_news *news;

	rig_make(&rig, &plain);
	ck_assert(secure(&rig.sc));
	news = offer(&rig.sc, "bad", &bad_offers[_i].offer);
	run_for(&rig, 50 * NS_PER_MS);
	ck_assert_int_eq(news->status, bad_offers[_i].status);
	ck_assert_uint_eq(refused(&rig, bad_offers[_i].check), 1);
	ck_assert_int_eq(ask(&rig, "refused"), 1);
	ck_assert_int_eq(ask(&rig, "calls"), 0);
	ck_assert_int_eq(ask(&rig, "call_keys"), 0);
	ck_assert_int_eq(ask(&rig, "associations"), 1);
	others_forget(&rig);
	ck_assert_uint_eq(world_key_holders(rig.world, rig.key_id), 0);
	rig_free(&rig);
}
END_TEST

/* A second offer with the first one's address and SPI would put its keys in the place of the first one's. */
START_TEST(an_spi_in_use_is_refused)
{
	struct rig rig;
	struct leg_news *caller, *controller, *second;

	rig_make(&rig, &plain);
	caller = call_stands(&rig, &controller);
	second = offer(&rig.sc, "call-2;s", &(struct offer){ .call = "call-2" });
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_int_eq(second->status, 488);
	ck_assert_uint_eq(refused(&rig, "ns.spi_in_use"), 1);
	run_for(&rig, 2 * NS_PER_S);
	ck_assert_int_ge(caller->hung_up_ns, 0); /* the first one was not harmed */
	rig_free(&rig);
}
END_TEST

START_TEST(a_caller_has_only_its_own_call)
{
	struct rig rig;
	struct leg_news *caller;

	rig_make(&rig, &plain);
	ck_assert(secure(&rig.sc));
	offer(&rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&rig, 10 * NS_PER_MS);
	caller_gets_key(&rig);
	caller = caller_invites(&rig, "other", "call-7");
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_int_eq(caller->status, 403);
	ck_assert_uint_eq(refused(&rig, "ns.unknown_call"), 1);
	caller = caller_invites(&rig, "own", "call-1");
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(caller->answered, 1);
	caller = caller_invites(&rig, "again", "call-1");
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_int_eq(caller->status, 403);
	ck_assert_uint_eq(refused(&rig, "ns.unknown_call"), 2);
	ck_assert_int_eq(ask(&rig, "answered"), 1);
	rig_free(&rig);
}
END_TEST

START_TEST(another_server_offers_no_calls)
{
	struct rig rig;
	struct leg_news *news;

	rig_make(&rig, &plain);
	ck_assert(secure(&rig.he));
	news = offer(&rig.he, "call-1;s", &(struct offer){ 0 });
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_int_eq(news->status, 403);
	ck_assert_uint_eq(refused(&rig, "ns.check_controller"), 1);
	ck_assert_int_eq(ask(&rig, "calls"), 0);
	rig_free(&rig);
}
END_TEST

static void on_exchange(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	(void)association, (void)krb_error;
	((struct end *)ctx)->outcome = (int)outcome;
}

/* A ticket that only the KDC could make, for whomever it says. */
static void ticket_is_refused(const char *client, const char *server, const char *check)
{
	struct rig rig;
	struct krb_ticket_facts facts = { .auth_time_s = SIM_DEFAULT_EPOCH_S, .start_time_s = SIM_DEFAULT_EPOCH_S,
		                          .end_time_s = SIM_DEFAULT_EPOCH_S + 3600 };
	struct krb_credentials credentials = { 0 };
	key_handle key;

	rig_make(&rig, &plain);
	key = world_server_key(rig.world, rig.cta.sm, "ns/announce");
	ck_assert(krb_name_set(&facts.client, client, WORLD_REALM) && krb_name_set(&facts.server, server, WORLD_REALM));
	ck_assert(krb_self_issue(rig.cta.sm, key, &facts, &credentials));
	ck_assert(key_management_initiate(rig.cta.km, NS_IP, &credentials, LABEL_SERVER, 0, on_exchange, &rig.cta));
	run_for(&rig, 10 * NS_PER_S); /* one error alone ends nothing */
	ck_assert_int_eq(rig.cta.outcome, AP_REFUSED);
	ck_assert_uint_ge(refused(&rig, check), 1);
	ck_assert_int_eq(ask(&rig, "associations"), 0);
	krb_credentials_free(rig.cta.sm, &credentials);
	rig_free(&rig);
}

START_TEST(only_servers_at_their_addresses_get_associations)
{
	ticket_is_refused("0123456789abcdef0123456789abcdef01234567", "ns/announce", "ns.check_service");
	ticket_is_refused("sc/sc1", "ns/announce", "ns.check_service");
	ticket_is_refused("sc/unheard-of", "ns/announce", "ns.check_service");
	ticket_is_refused("sc/sc1", "ns/other", "sc.not_us");
}
END_TEST

/* Without ESP between servers there is no key to wrap a sub-key under; a stranger's clear INVITE is refused earlier. */
START_TEST(without_backend_ipsec_no_key_is_taken)
{
	struct setting off = plain;
	struct rig rig;
	struct leg_news *news;

	off.backend_off = true;
	rig_make(&rig, &off);
	news = offer(&rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_int_eq(news->status, 488);
	ck_assert_uint_eq(refused(&rig, "subkey.unwrap"), 1);
	news = offer(&rig.he, "call-2;s", &(struct offer){ 0 });
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_int_eq(news->status, 403);
	ck_assert_uint_eq(refused(&rig, "ns.check_controller"), 1);
	ck_assert_int_eq(ask(&rig, "calls"), 0);
	rig_free(&rig);
}
END_TEST

START_TEST(an_invite_in_clear_is_refused)
{
	static const char text[] = "INVITE sip:" NUMBER "@10.104.0.20 SIP/2.0\r\n"
				   "Via: SIP/2.0/UDP 10.104.0.66;branch=z9hG4bK1\r\nCall-ID: clear\r\n"
				   "From: <sip:1@10.104.0.66>;tag=1\r\nTo: <sip:" NUMBER "@10.104.0.20>\r\n"
				   "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
	struct udp_socket socket = { 0 };
	struct packet *packet;
	struct rig rig;

	rig_make(&rig, &plain);
	ck_assert(udp_bind(host(&rig, "mallory", 0x0a680042u), &socket, 0, NULL, NULL));
	packet = packet_new(rig.sim, sizeof text - 1);
	memcpy(packet_append(packet, sizeof text - 1), text, sizeof text - 1);
	udp_send(&socket, 0, NS_IP, SIP_PORT, packet);
	run_for(&rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(refused(&rig, "signaling.esp"), 1);
	ck_assert_int_eq(ask(&rig, "calls"), 0);
	udp_unbind(&socket);
	rig_free(&rig);
}
END_TEST

/* Whatever the network does: in the end there is no call, no key and no association with a caller. */
START_TEST(a_bad_network_leaves_nothing_behind)
{
	struct setting lossy = plain;
	unsigned talked = 0;

	lossy.link.loss_ppm = 150000;
	lossy.link.duplicate_ppm = 50000;
	lossy.link.reorder_ppm = 50000;
	lossy.link.reorder_ns = 5 * NS_PER_MS;
	for (lossy.seed = 1; lossy.seed <= LOSSY_RUNS; lossy.seed++) {
		struct leg_news *controller, *caller = NULL;
		struct rig rig;

		rig_make(&rig, &lossy);
		if (secure(&rig.sc)) {
			controller = offer(&rig.sc, "call-1;s", &(struct offer){ 0 });
			run_for(&rig, 8 * NS_PER_S);
			if (controller->answered) {
				caller_gets_key(&rig);
				caller = caller_invites(&rig, "call-1;d", "call-1");
				run_for(&rig, 1 * NS_PER_S);
				talked += caller->answered > 0;
			}
			run_for(&rig, 120 * NS_PER_S);
			others_forget(&rig);
			ck_assert_uint_eq(world_key_holders(rig.world, rig.key_id), 0);
		}
		ck_assert_msg(ask(&rig, "calls") == 0 && ask(&rig, "call_keys") == 0, "seed %u", (unsigned)lossy.seed);
		rig_free(&rig);
	}
	ck_assert_uint_gt(talked, LOSSY_RUNS / 2);
}
END_TEST

START_TEST(parameters_must_make_sense)
{
	static const struct {
		const char *number;
		int64_t lines;
		const char *error;
	} bad[] = {
		{ "none", 10, "number must be a telephone number" },
		{ NUMBER, 0, "lines must be 1 to" },
		{ NUMBER, 4097, "lines must be 1 to" },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		char error[MODEL_ERROR_LEN] = "";
		struct rig rig = { .sim = sim_new(SEED, SIM_DEFAULT_EPOCH_S) };

		rig.world = world_new(rig.sim, SEED, NULL);
		rig.link = link_new(rig.sim, "lan", &plain.link);
		rig.server = host(&rig, "announce", NS_IP);
		host(&rig, "kdc", KDC_IP);
		ck_assert(!server_make(&rig, bad[i].number, bad[i].lines, &plain, error));
		ck_assert_ptr_nonnull(strstr(error, bad[i].error));
		sim_free(rig.sim);
		world_free(rig.world);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("network server");
	TCase *calls = tcase_create("calls"), *hostile = tcase_create("hostile");
	SRunner *runner;
	int failed;

	tcase_set_timeout(calls, 120);
	tcase_add_test(calls, a_call_is_announced_to_its_end);
	tcase_add_test(calls, the_caller_hangs_up_when_it_likes);
	tcase_add_test(calls, the_controller_ends_a_call);
	tcase_add_test(calls, an_offer_that_nobody_takes_up_is_over_after_20_s);
	tcase_add_test(calls, the_controller_gives_up_before_the_caller_comes);
	tcase_add_test(calls, a_caller_that_says_nothing_is_lost);
	tcase_add_test(calls, one_call_more_than_lines_is_busy);
	tcase_add_test(calls, a_restart_loses_calls_and_associations);
	tcase_add_test(calls, a_bad_network_leaves_nothing_behind);
	tcase_add_test(calls, parameters_must_make_sense);
	tcase_add_loop_test(hostile, a_bad_offer_is_refused_by_its_check, 0, sizeof bad_offers / sizeof *bad_offers);
	tcase_add_test(hostile, an_spi_in_use_is_refused);
	tcase_add_test(hostile, a_caller_has_only_its_own_call);
	tcase_add_test(hostile, another_server_offers_no_calls);
	tcase_add_test(hostile, only_servers_at_their_addresses_get_associations);
	tcase_add_test(hostile, without_backend_ipsec_no_key_is_taken);
	tcase_add_test(hostile, an_invite_in_clear_is_refused);
	suite_add_tcase(suite, calls);
	suite_add_tcase(suite, hostile);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* forked cases would hide leaks from the sanitizer */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

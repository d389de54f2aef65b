/*
 * A signaling controller among customers who lie, fall silent or come twice. Each client's software is the test's; its
 * secure module and its ticket are real.
 */
#include "models/wire/pktc.h"
#include "tests/models/call_rig.h"

#define MS NS_PER_MS

/* A call from one client to another, standing. */
static void stand(struct call_rig *r, unsigned from, unsigned to, const char *id)
{
	client_dial(&r->client[from], id, NULL, r->client[to].number);
	call_rig_run(r, 500 * MS);
	ck_assert_uint_eq(r->client[from].answered, 1);
	ck_assert_uint_eq(r->client[to].acknowledged, 1);
}

static void say_answered(struct client *c)
{
	sip_leg_inform(c->leg, HEADER_EVENT ": " EVENT_ANSWERED "\r\n");
}

/* Who calls */

START_TEST(nobody_calls_in_anothers_name)
{
	struct call_rig r;

	call_rig_make(&r);
	client_dial(&r.client[MALLORY], "a", r.client[CALLER].number, r.client[CALLEE].number);
	call_rig_run(&r, 500 * MS);
	ck_assert_int_eq(r.client[MALLORY].status, 403);
	ck_assert_uint_eq(refused(&r, "sc.check_caller"), 1);
	ck_assert_uint_eq(r.records, 0); /* there is nobody who would have to pay */
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

/* One without a number has none to give: a record would be the account's whose number it named. */
START_TEST(an_unprovisioned_one_has_no_number)
{
	struct call_rig r;
	struct client *mallory = &r.client[MALLORY];

	call_rig_make(&r);
	client_ticket(mallory, "00:11:22:33:44:55", true, r.client[CALLEE].number);
	client_dial(mallory, "a", r.client[CALLER].number, r.client[CALLEE].number);
	call_rig_run(&r, 500 * MS);
	ck_assert_int_eq(mallory->status, 403);
	ck_assert_uint_eq(refused(&r, "sc.check_caller"), 1);
	ck_assert_uint_eq(r.records, 0);
	client_dial(mallory, "b", "0", r.client[FOURTH].number);
	call_rig_run(&r, 500 * MS);
	ck_assert_int_eq(mallory->status, 403);
	ck_assert_uint_eq(refused(&r, "sc.enforce_restriction"), 1);
	client_dial(mallory, "c", "0", r.client[CALLEE].number);
	call_rig_run(&r, 500 * MS);
	ck_assert_uint_eq(mallory->answered, 1);
	sip_leg_end(mallory->leg, "");
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

/* Who is called: the name in the ticket, not whoever is at the address with a ticket of his own. */
START_TEST(an_impostor_at_the_address_gets_no_key)
{
	struct call_rig r;
	struct client *impostor = &r.client[CALLEE];

	call_rig_make(&r);
	client_ticket_of(impostor, r.client[MALLORY].number); /* mallory's ticket, from the callee's address */
	client_secure(impostor);
	ck_assert_uint_eq(impostor->keyed, 1);
	client_dial(&r.client[CALLER], "a", NULL, r.client[CALLEE].number);
	call_rig_run(&r, 30 * NS_PER_S);
	ck_assert_uint_eq(impostor->invited, 0);
	ck_assert_uint_eq(impostor->key, 0);
	ck_assert_int_eq(r.client[CALLER].status, 480);
	ck_assert_uint_eq(r.client[CALLER].answered, 0);
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

START_TEST(nobody_enters_where_another_is_in_a_call)
{
	struct call_rig r;
	struct client *callee = &r.client[CALLEE];
	struct krb_credentials own;

	call_rig_make(&r);
	stand(&r, CALLER, CALLEE, "a");
	own = callee->ticket;
	callee->ticket = (struct krb_credentials){ .session_key = 0 };
	client_ticket_of(callee, r.client[MALLORY].number);
	ck_assert(client_key(callee, 0));
	call_rig_run(&r, 5 * NS_PER_S);
	ck_assert_uint_ge(refused(&r, "sc.check_address"), 1);
	krb_credentials_free(callee->sm, &callee->ticket);
	callee->ticket = own;
	ck_assert(client_key(callee, 0)); /* who belongs there may */
	call_rig_run(&r, 5 * NS_PER_S);
	sip_leg_end(r.client[CALLER].leg, "");
	call_rig_run(&r, 5 * NS_PER_S);
	ck_assert_uint_eq(callee->hung_up, 1);
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

/* Offers, proofs and identifiers */

START_TEST(voice_must_be_its_partys_own)
{
	for (unsigned who = 0; who < 2; who++) {
		struct call_rig r;

		call_rig_make(&r);
		r.client[who].media_ip = r.client[FOURTH].ip;
		client_dial(&r.client[CALLER], "a", NULL, r.client[CALLEE].number);
		call_rig_run(&r, 90 * NS_PER_S);
		ck_assert_int_eq(r.client[CALLER].status, 488);
		ck_assert_uint_eq(refused(&r, "sc.media_offer"), 1);
		ck_assert_uint_eq(r.records, 1); /* the caller is known: it was his attempt */
		ck_assert_int_lt(r.record[0].answer_ns, 0);
		call_rig_expect_clean(&r);
		call_rig_end(&r);
	}
}
END_TEST

START_TEST(a_proof_is_of_this_calls_key)
{
	for (unsigned way = 0; way < 3; way++) {
		struct call_rig r;
		struct client *liar = &r.client[way == 2 ? CALLEE : CALLER];

		call_rig_make(&r);
		stand(&r, MALLORY, FOURTH, "other"); /* another call, whose proof is known to its ends */
		if (way == 0)
			liar->keep_ack = true;
		else
			liar->proof = &r.client[FOURTH];
		client_dial(&r.client[CALLER], "a", NULL, r.client[CALLEE].number);
		call_rig_run(&r, 2 * NS_PER_S);
		ck_assert_uint_eq(refused(&r, "sc.verify_proof"), 1);
		ck_assert_int_eq(sc_get(&r, "set_up"), 1); /* the other one */
		ck_assert_int_eq(sc_get(&r, "call_keys"), 1);
		if (way == 2)
			ck_assert_int_eq(r.client[CALLER].status, 500);
		else
			ck_assert_uint_eq(r.client[CALLER].hung_up, 1);
		sip_leg_end(r.client[MALLORY].leg, "");
		call_rig_run(&r, 90 * NS_PER_S);
		ck_assert_uint_eq(r.records, 2);
		call_rig_expect_clean(&r);
		call_rig_end(&r);
	}
}
END_TEST

START_TEST(an_identifier_is_one_calls)
{
	struct call_rig r;
	char body[256];
	struct sip_invite invite = { .call_id = "twin", .headers = HEADER_CALL ": a\r\n", .body = body };
	struct client *mallory = &r.client[MALLORY];

	call_rig_make(&r);
	stand(&r, CALLER, CALLEE, "a");
	client_secure(mallory);
	client_describe(mallory, body);
	invite.peer_ip = r.sc->ifaces->ip;
	invite.from_user = mallory->number;
	invite.to_user = r.client[FOURTH].number;
	mallory->leg = sip_leg_invite(mallory->sip, &invite, mallory);
	call_rig_run(&r, 500 * MS);
	ck_assert_int_eq(mallory->status, 482);
	ck_assert_uint_eq(refused(&r, "sc.call_in_progress"), 1);
	ck_assert_int_eq(sc_get(&r, "set_up"), 1);
	sip_leg_end(r.client[CALLER].leg, "");
	call_rig_run(&r, 90 * NS_PER_S);
	ck_assert_uint_eq(r.records, 1);
	call_rig_expect_clean(&r);
	ipsec_reset(mallory->ipsec); /* the controller has forgotten it between calls */
	client_dial(mallory, "a", NULL, r.client[FOURTH].number); /* free again */
	call_rig_run(&r, 500 * MS);
	ck_assert_uint_eq(mallory->answered, 1);
	call_rig_end(&r);
}
END_TEST

START_TEST(a_call_to_oneself_is_the_callees_to_decline)
{
	struct call_rig r;
	struct client *c = &r.client[CALLER];

	call_rig_make(&r);
	c->refuse = 486;
	client_dial(c, "a", NULL, c->number);
	call_rig_run(&r, 90 * NS_PER_S);
	ck_assert_uint_eq(c->invited, 1);
	ck_assert_int_eq(c->status, 486);
	ck_assert_uint_eq(r.records, 1);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

START_TEST(one_customers_calls_are_so_many)
{
	enum { FLOOD = 200 };
	struct call_rig r;
	struct client *mallory = &r.client[MALLORY];
	char id[16];

	call_rig_make(&r);
	r.client[CALLEE].silent = true;
	for (unsigned i = 0; i < FLOOD; i++) {
		snprintf(id, sizeof id, "flood%u", i);
		client_dial(mallory, id, NULL, r.client[CALLEE].number);
		call_rig_run(&r, 10 * MS);
	}
	ck_assert_int_le(sc_get(&r, "calls"), PARTY_CALLS_MAX);
	ck_assert_uint_eq(refused(&r, "sc.party_limit"), FLOOD - PARTY_CALLS_MAX);
	client_dial(&r.client[FOURTH], "b", NULL, r.client[CALLER].number); /* others' are not counted with them */
	call_rig_run(&r, 500 * MS);
	ck_assert_uint_eq(r.client[FOURTH].answered, 1);
	sip_leg_end(r.client[FOURTH].leg, "");
	call_rig_run(&r, 180 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

/* Reaching the callee */

START_TEST(two_callers_of_one_that_sleeps_both_reach_it)
{
	struct call_rig r;

	call_rig_make(&r);
	client_secure(&r.client[CALLER]);
	client_secure(&r.client[FOURTH]);
	r.client[CALLEE].refuse = 486;
	client_dial(&r.client[CALLER], "a", NULL, r.client[CALLEE].number);
	client_dial(&r.client[FOURTH], "b", NULL, r.client[CALLEE].number);
	call_rig_run(&r, 500 * MS);
	ck_assert_uint_eq(r.client[CALLEE].woken, 1);
	ck_assert_uint_eq(r.client[CALLEE].invited, 2);
	ck_assert_int_eq(r.client[CALLER].status, 486);
	ck_assert_int_eq(r.client[FOURTH].status, 486);
	call_rig_run(&r, 90 * NS_PER_S);
	ck_assert_uint_eq(r.records, 2);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

/*
 * The callee has restarted: the offer's repetition comes under the association that it makes, its key under the one
 * that is no more.
 */
START_TEST(an_offer_is_made_again_under_a_new_association)
{
	struct call_rig r;
	struct client *callee = &r.client[CALLEE];

	call_rig_make(&r);
	client_secure(callee);
	ipsec_reset(callee->ipsec);
	client_dial(&r.client[CALLER], "a", NULL, callee->number);
	call_rig_run(&r, 5 * NS_PER_S);
	ck_assert_uint_eq(callee->invited, 2);
	ck_assert_uint_eq(r.client[CALLER].answered, 1);
	ck_assert_int_eq(sc_get(&r, "set_up"), 1);
	sip_leg_end(r.client[CALLER].leg, "");
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

/* One that will not open it gets no third. */
START_TEST(a_callee_that_refuses_the_key_is_asked_once_more_at_most)
{
	struct call_rig r;
	struct client *callee = &r.client[CALLEE];

	call_rig_make(&r);
	callee->refuse = 488;
	client_dial(&r.client[CALLER], "a", NULL, callee->number);
	call_rig_run(&r, 5 * NS_PER_S);
	ck_assert_uint_eq(callee->invited, 1); /* under the same association */
	ck_assert_int_eq(r.client[CALLER].status, 488);
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

START_TEST(a_caller_that_gives_up_at_any_moment_leaves_nothing)
{
	for (unsigned ms = 0; ms < 30; ms++) {
		struct call_rig r;

		call_rig_make(&r);
		client_secure(&r.client[CALLER]);
		r.client[CALLEE].deaf = ms % 2;
		client_dial(&r.client[CALLER], "a", NULL, r.client[CALLEE].number);
		call_rig_run(&r, ms * MS);
		if (r.client[CALLER].leg)
			sip_leg_end(r.client[CALLER].leg, "");
		call_rig_run(&r, 120 * NS_PER_S);
		ck_assert_uint_eq(r.records, 1);
		call_rig_expect_clean(&r);
		call_rig_end(&r);
	}
}
END_TEST

/* Records */

START_TEST(an_answer_before_the_callers_ack_counts)
{
	struct call_rig r;
	struct client *caller = &r.client[CALLER];
	char proof[CALL_PROOF_LEN];

	call_rig_make(&r);
	caller->no_ack = true;
	client_dial(caller, "a", NULL, r.client[CALLEE].number);
	call_rig_run(&r, 300 * MS);
	say_answered(&r.client[CALLEE]);
	call_rig_run(&r, 100 * MS);
	client_proof(caller, proof);
	sip_leg_ack(caller->leg, proof);
	call_rig_run(&r, 2 * NS_PER_S);
	sip_leg_end(caller->leg, "");
	call_rig_run(&r, 2 * NS_PER_S);
	ck_assert_uint_eq(r.records, 1);
	ck_assert_int_ge(r.record[0].answer_ns, 300 * MS);
	ck_assert_int_le(r.record[0].answer_ns, 600 * MS);
	call_rig_end(&r);
}
END_TEST

START_TEST(the_first_word_of_the_answer_is_the_records)
{
	for (unsigned who = 0; who < 3; who++) { /* caller, callee, both */
		struct call_rig r;
		sim_ns at_ns;

		call_rig_make(&r);
		stand(&r, CALLER, CALLEE, "a");
		at_ns = r.sim->now_ns;
		if (who != 0)
			say_answered(&r.client[CALLEE]);
		call_rig_run(&r, 10 * MS);
		if (who != 1)
			say_answered(&r.client[CALLER]);
		call_rig_run(&r, 5 * NS_PER_S);
		sip_leg_end(r.client[who == 1 ? CALLER : CALLEE].leg, "");
		call_rig_run(&r, 90 * NS_PER_S);
		ck_assert_uint_eq(r.records, 1);
		ck_assert_str_eq(r.record_caller[0], r.client[CALLER].number);
		ck_assert_int_ge(r.record[0].answer_ns, at_ns);
		ck_assert_int_le(r.record[0].answer_ns, at_ns + 15 * MS);
		call_rig_expect_clean(&r);
		call_rig_end(&r);
	}
}
END_TEST

/* Calls that nobody ends */

START_TEST(a_call_that_both_ends_have_forgotten_ends)
{
	for (unsigned dead = 1; dead < 4; dead++) { /* bit 0: the caller, bit 1: the callee */
		struct call_rig r;

		call_rig_make(&r);
		stand(&r, CALLER, CALLEE, "a");
		say_answered(&r.client[CALLEE]);
		call_rig_run(&r, NS_PER_S);
		for (unsigned n = 0; n < 2; n++)
			if (dead >> n & 1) {
				r.client[n].deaf = true;
				ipsec_reset(r.client[n].ipsec);
				sip_endpoint_reset(r.client[n].sip);
			}
		call_rig_run(&r, CALL_AUDIT_NS + CALL_AUDIT_WAIT_NS);
		ck_assert_uint_eq(refused(&r, "sc.no_sign_of_life"), 1);
		ck_assert_uint_eq(r.records, 1);
		ck_assert_int_ge(r.record[0].answer_ns, 0);
		ck_assert_int_eq(sc_get(&r, "call_keys"), 0);
		call_rig_run(&r, 90 * NS_PER_S);
		call_rig_expect_clean(&r);
		call_rig_end(&r);
	}
}
END_TEST

/* And one that is alive goes on, longer than its associations last, and its farewell comes through. */
START_TEST(a_call_that_its_ends_know_goes_on_for_hours)
{
	struct call_rig r;

	call_rig_make(&r);
	stand(&r, CALLER, CALLEE, "a");
	call_rig_run(&r, 5 * 3600 * NS_PER_S);
	ck_assert_int_eq(sc_get(&r, "calls"), 1);
	ck_assert_int_eq(sc_get(&r, "call_keys"), 1);
	ck_assert_uint_ge(r.client[CALLEE].informed, 40);
	ck_assert_uint_eq(refused(&r, "sc.no_sign_of_life"), 0);
	sip_leg_end(r.client[CALLER].leg, "");
	call_rig_run(&r, 5 * NS_PER_S);
	ck_assert_uint_eq(r.client[CALLEE].hung_up, 1);
	ck_assert_uint_eq(r.records, 1);
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

/* Keying */

START_TEST(one_customers_associations_are_so_many)
{
	struct call_rig r;
	struct client *mallory = &r.client[MALLORY];

	call_rig_make(&r);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert(client_key(mallory, 0));
		call_rig_run(&r, 100 * MS);
	}
	ck_assert_uint_eq(mallory->keyed, 100);
	ck_assert_int_le(sc_get(&r, "associations"), AP_ASSOCIATIONS_MAX);
	ck_assert_int_eq(sc_get(&r, "parties"), 1);
	client_dial(mallory, "a", NULL, r.client[CALLEE].number);
	call_rig_run(&r, 500 * MS);
	ck_assert_uint_eq(mallory->answered, 1);
	sip_leg_end(mallory->leg, "");
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

static void hear(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)socket, (void)packet, (void)from;
}

/* An AP-REQ under the client's present ticket that asks for an SPI of the test's choice. */
static void ask_for_spi(struct client *c, uint32_t spi)
{
	struct pktc frame = { .kind = PKTC_AP_REQUEST, .spi = spi + 1 };
	struct udp_socket socket = { .ctx = NULL };
	struct gss_initiator state;
	struct der token = { 0 };
	uint8_t bytes[PKTC_MESSAGE_MAX];
	struct packet *packet;
	size_t len;

	ck_assert(gss_init_start(c->sm, &c->ticket, world_now(c->rig->sim), spi, &state, &token));
	frame.kerberos = (struct span){ (const char *)token.bytes, token.len };
	len = pktc_write(&frame, bytes, sizeof bytes);
	ck_assert(len && sm_hmac_sha1(c->sm, c->ticket.session_key, bytes, len - PKTC_HASH_LEN, bytes + len - PKTC_HASH_LEN));
	packet = packet_new(c->rig->sim, (uint32_t)len);
	memcpy(packet_append(packet, (uint32_t)len), bytes, len);
	ck_assert(udp_bind(c->node, &socket, 0, hear, NULL));
	udp_send(&socket, 0, c->rig->sc->ifaces->ip, PKTC_PORT, packet);
	call_rig_run(c->rig, 100 * MS);
	udp_unbind(&socket);
	der_free(&token);
}

/* The SPI of an association stands in every packet of it: whoever sends from its address could take its place (E4). */
START_TEST(nobody_takes_the_place_of_anothers_association)
{
	struct call_rig r;
	struct client *c = &r.client[CALLER];
	uint32_t spi;

	call_rig_make(&r);
	client_secure(c);
	spi = ipsec_find(c->ipsec, r.sc->ifaces->ip, LABEL_CTA_SC)->spi;
	client_ticket_of(c, r.client[MALLORY].number);
	ask_for_spi(c, spi);
	ck_assert_uint_eq(refused(&r, "sad.spi_in_use"), 1);
	ck_assert_int_eq(sc_get(&r, "exchanges"), 1);
	ask_for_spi(c, spi ^ 0x10000);
	ck_assert_int_eq(sc_get(&r, "exchanges"), 2);
	client_ticket_of(c, c->number); /* its own may be replaced by its owner */
	ask_for_spi(c, spi);
	ck_assert_int_eq(sc_get(&r, "exchanges"), 3);
	ck_assert_uint_eq(refused(&r, "sad.spi_in_use"), 1);
	call_rig_run(&r, 90 * NS_PER_S);
	call_rig_expect_clean(&r);
	call_rig_end(&r);
}
END_TEST

START_TEST(a_number_is_given_once)
{
	struct call_rig r;

	call_rig_make(&r);
	ck_assert(!signaling_controller_subscribe(r.sc, r.client[CALLER].number, r.client[CALLER].node->ifaces->mac, 0x0a0000ff));
	ck_assert(!signaling_controller_subscribe(r.sc, "no digits", r.client[CALLER].node->ifaces->mac, 0x0a0000ff));
	directory_number_set(world_directory(r.world), "8005550100", "ns/announce");
	ck_assert(!signaling_controller_subscribe(r.sc, "800-555-0100", r.client[CALLER].node->ifaces->mac, 0x0a0000ff));
	ck_assert_int_eq(sc_get(&r, "subscribers"), CLIENTS);
	call_rig_end(&r);
}
END_TEST

/* A restart at any moment of a call, from the middle of it to its end. */
START_TEST(a_controller_that_restarts_at_any_moment_begins_clean)
{
	for (unsigned ms = 0; ms < 40; ms++) {
		struct call_rig r;
		unsigned records;

		call_rig_make(&r);
		client_dial(&r.client[CALLER], "a", NULL, r.client[CALLEE].number);
		call_rig_run(&r, ms / 2 * MS);
		if (ms % 2 && r.client[CALLER].leg)
			sip_leg_end(r.client[CALLER].leg, "");
		model_signaling_controller.restart(r.sc);
		call_rig_expect_clean(&r);
		records = r.records;
		call_rig_run(&r, 120 * NS_PER_S);
		ck_assert_uint_le(r.records - records, 1); /* what was repeated may have been taken for a new call */
		ck_assert_uint_eq(r.illegal_steps, 0);
		call_rig_end(&r);
	}
}
END_TEST

static Suite *call_control_suite(void)
{
	Suite *suite = suite_create("call control");
	TCase *t = tcase_create("call control");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, nobody_calls_in_anothers_name);
	tcase_add_test(t, an_unprovisioned_one_has_no_number);
	tcase_add_test(t, an_impostor_at_the_address_gets_no_key);
	tcase_add_test(t, nobody_enters_where_another_is_in_a_call);
	tcase_add_test(t, voice_must_be_its_partys_own);
	tcase_add_test(t, a_proof_is_of_this_calls_key);
	tcase_add_test(t, an_identifier_is_one_calls);
	tcase_add_test(t, a_call_to_oneself_is_the_callees_to_decline);
	tcase_add_test(t, one_customers_calls_are_so_many);
	tcase_add_test(t, two_callers_of_one_that_sleeps_both_reach_it);
	tcase_add_test(t, an_offer_is_made_again_under_a_new_association);
	tcase_add_test(t, a_callee_that_refuses_the_key_is_asked_once_more_at_most);
	tcase_add_test(t, a_caller_that_gives_up_at_any_moment_leaves_nothing);
	tcase_add_test(t, an_answer_before_the_callers_ack_counts);
	tcase_add_test(t, the_first_word_of_the_answer_is_the_records);
	tcase_add_test(t, a_call_that_both_ends_have_forgotten_ends);
	tcase_add_test(t, a_call_that_its_ends_know_goes_on_for_hours);
	tcase_add_test(t, one_customers_associations_are_so_many);
	tcase_add_test(t, nobody_takes_the_place_of_anothers_association);
	tcase_add_test(t, a_number_is_given_once);
	tcase_add_test(t, a_controller_that_restarts_at_any_moment_begins_clean);
	suite_add_tcase(suite, t);
	return suite;
}

int main(void)
{
	return rig_main(call_control_suite());
}

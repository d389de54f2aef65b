/*
 * The signaling gateway driven from outside: a controller, a CTA, a trunk gateway made of the layers below it, and a
 * trunk group as the PSTN. What is expected follows from flows.md 4, patent [0094]-[0095], RFC 3398 and Q.764.
 */
#define SERVER_NAME "sg"
#define NUMBER "2125550001"
#include "tests/models/served_rig.h"
#include "models/gateway_control.h"
#include "models/radius_client.h"
#include "models/trunk_group.h"

#define TG_IP 0x0a68001fu
#define SG_TRUNK_IP 0x0acb0014u /* 10.203.0.20 */
#define PSTN_IP 0x0acb000au     /* 10.203.0.10 */
#define CIRCUITS 2
#define VOICE_PORT 16384
#define OFFER_GUARD_NS (20 * NS_PER_S)

enum conduct { GOOD, DECLINES, BAD_PROOF, BAD_PLACE, NO_PLACE }; /* of who is offered a key */

struct bench {
	struct rig rig; /* first */
	struct end tg;
	struct node *exchange;
	struct link *trunk_link;
	struct trunk_group *pstn;
	enum conduct trunk, controller;
	int declines_with;
	unsigned resets;         /* of the trunk gateway */
	bool refuses_reset;
	struct leg_news *at_trunk, *at_controller, *at_cta; /* the legs that the gateway began */
	char connect[GATEWAY_LINE_LEN], circuit[GATEWAY_LINE_LEN];
	struct sdp offered;      /* the controller, by the gateway */
	/* the PSTN's call */
	unsigned pstn_circuit, pstn_cause, pstn_alerted, pstn_answered, pstn_released;
	char called[32], calling[32];
	const char *from;        /* the number that a phone of the PSTN says; NULL: NUMBER */
	char told[32];           /* who calls, as the controller hears it */
	char mark;               /* its address is the call at the PSTN */
};

static const struct link_params lan = { .delay_ns = NS_PER_MS, .rate_bps = 100000000 };

static struct bench *bench_of(struct rig *rig)
{
	return (struct bench *)rig;
}

/* SIP: what the ends do when they are called, and what else the rig's do not expect */

static void progress(struct sip_leg *leg, const struct sip_message *response)
{
	((struct leg_news *)sip_leg_owner(leg))->ringing += response->status == 180;
}

static void answer_with_key(struct leg_news *news, const struct sip_message *invite, const struct udp_from *from,
                            enum conduct conduct, struct sdp place)
{
	struct end *end = news->end;
	char body[512], proof[CALL_PROOF_LEN];
	struct text t = { body, sizeof body, 0, false };
	uint8_t link[KEY_WRAPPED_LEN];
	struct sdp offer;
	key_handle key;

	ck_assert(sdp_parse(invite->body, &offer));
	key = call_key_unwrap(from->sa, offer.key);
	ck_assert_uint_ne(key, 0);
	ck_assert(call_key_proof(end->sm, key, offer.spi ^ (conduct == BAD_PROOF), proof));
	if (end == &end->rig->sc) { /* C2: its CTA gets it */
		struct association_request request = { .peer_ip = sdp_signaling(&offer), .spi = offer.spi,
			                               .label = LABEL_CTA_CTA, .lifetime_ns = 3600 * NS_PER_S };

		ck_assert(sm_wrap(end->sm, end->link_key, LINK_KEY_USAGE, key, link));
		request.subkey = sm_unwrap(end->rig->cta.sm, end->rig->cta.link_key, LINK_KEY_USAGE, "call.subkey",
		                           link, sizeof link);
		end->rig->direct = ipsec_add(end->rig->cta.ipsec, &request);
		sm_key_id(end->sm, key, end->rig->key_id);
		bench_of(end->rig)->offered = offer;
		span_copy(sip_user(invite->from), bench_of(end->rig)->told, sizeof bench_of(end->rig)->told);
	}
	sm_destroy_key(end->sm, key);
	if (conduct != NO_PLACE)
		sdp_write(&t, &place, 1);
	text_put(&t, "", 1);
	sip_leg_answer(news->leg, 200, proof, body);
}

static bool invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	struct end *end = ctx;
	struct bench *b = bench_of(end->rig);
	struct leg_news *news = &end->news[end->legs++];
	struct sdp place = { .ip = TG_IP, .port = VOICE_PORT, .payload_type = MEDIA_PCMU };
	bool trunk = end == &b->tg;
	enum conduct conduct = trunk ? b->trunk : b->controller;

	if (trunk && circuit_is_reset(invite)) {
		b->resets++;
		sip_leg_set_owner(leg, news);
		*news = (struct leg_news){ .end = end, .leg = leg, .hung_up_ns = -1 };
		sip_leg_answer(leg, b->refuses_reset ? 503 : 200, "", "");
		return true;
	}
	*news = (struct leg_news){ .end = end, .leg = leg, .hung_up_ns = -1 };
	sip_leg_set_owner(leg, news);
	if (end == &b->rig.cta) {
		b->at_cta = news;
		return true;
	}
	*(trunk ? &b->at_trunk : &b->at_controller) = news;
	if (trunk)
		span_copy(sip_header(invite, HEADER_CIRCUIT), b->circuit, sizeof b->circuit);
	else
		place = (struct sdp){ .ip = CTA_IP, .port = CTA_PORT, .payload_type = MEDIA_PCMU };
	if (conduct == BAD_PLACE)
		place.ip = 0x0a680063u - (trunk ? 0 : 0x63 - 0x0b); /* no trunk gateway's; a server's */
	if (conduct == DECLINES)
		sip_leg_answer(leg, b->declines_with, "", "");
	else
		answer_with_key(news, invite, from, conduct, place);
	return true;
}

static void informed(struct sip_leg *leg, const struct sip_message *info)
{
	struct leg_news *news = sip_leg_owner(leg);
	struct bench *b = bench_of(news->end->rig);

	if (news != b->at_trunk)
		return;
	if (sip_header(info, HEADER_CIRCUIT).at)
		span_copy(sip_header(info, HEADER_CIRCUIT), b->circuit, sizeof b->circuit);
	if (sip_header(info, HEADER_CONNECT).at)
		span_copy(sip_header(info, HEADER_CONNECT), b->connect, sizeof b->connect);
}

static void acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	(void)leg;
	ck_assert_ptr_nonnull(ack);
}

static void cancelled(struct sip_leg *leg)
{
	(void)leg; /* ended() follows */
}

static const struct sip_owner busy_owner = {
	.acknowledged = acknowledged, .cancelled = cancelled,
	.invited = invited, .progress = progress, .answered = on_answered, .rejected = on_rejected,
	.hung_up = on_hung_up, .ended = on_ended, .informed = informed,
};

static void make_callable(struct end *end)
{
	sip_endpoint_free(end->sip);
	end->sip = sip_endpoint_new(end->node, end->ipsec, &busy_owner, end);
	sip_endpoint_reset(end->sip);
}

/* The PSTN */

static void on_seized(void *ctx, unsigned circuit, const struct isup *iam)
{
	struct bench *b = ctx;

	b->pstn_circuit = circuit;
	snprintf(b->called, sizeof b->called, "%s", iam->called.digits);
	snprintf(b->calling, sizeof b->calling, "%s", iam->calling.digits);
	trunk_group_set_call(b->pstn, circuit, &b->mark);
}

static void on_pstn_alerting(void *ctx, void *call)
{
	(void)call;
	((struct bench *)ctx)->pstn_alerted++;
}

static void on_pstn_answered(void *ctx, void *call)
{
	(void)call;
	((struct bench *)ctx)->pstn_answered++;
}

static void on_pstn_released(void *ctx, void *call, unsigned cause)
{
	struct bench *b = ctx;

	ck_assert_ptr_eq(call, &b->mark);
	b->pstn_circuit = 0;
	b->pstn_released++;
	b->pstn_cause = cause;
}

static void pstn_dials(struct bench *b, const char *number)
{
	unsigned cause;

	b->pstn_circuit = trunk_group_hold(b->pstn, &b->mark, &cause);
	ck_assert_uint_ne(b->pstn_circuit, 0);
	trunk_group_call(b->pstn, b->pstn_circuit, number, b->from ? b->from : NUMBER);
}

static void pstn_releases(struct bench *b, unsigned cause)
{
	trunk_group_release(b->pstn, b->pstn_circuit, cause);
	b->pstn_circuit = 0;
}

/* The bench */

static bool make_gateway(struct bench *b, const char *prefixes, int64_t circuits, int64_t code, const char *pstn,
                         char error[MODEL_ERROR_LEN])
{
	struct arg list[] = {
		{ "kdc", { .type = VALUE_NODE, .node = node_find(b->rig.sim, "kdc") } }, { "pstn", value_text(pstn) },
		{ "trunk_gateway", { .type = VALUE_NODE, .node = b->tg.node } }, { "prefixes", value_text(prefixes) },
		{ "circuits", value_int(circuits) }, { "point_code", value_int(code) },
		{ "pstn_code", value_int(4097) },
	};
	struct args args = { list, sizeof list / sizeof *list };

	b->rig.server->model = model_find("signaling_gateway");
	return b->rig.server->model->create(b->rig.server, &args, error);
}

static void bench_begin(struct bench *b)
{
	memset(b, 0, sizeof *b);
	rig_begin(&b->rig, &lan, SEED, false);
	b->trunk_link = link_new(b->rig.sim, "trunk", &lan);
	iface_new(b->rig.server, b->trunk_link, "eth1", NULL, SG_TRUNK_IP, 24);
	end_make(&b->rig, &b->tg, "tg", TG_IP, "tg/tg");
	b->tg.node->model = model_find("trunk_gateway");
	b->exchange = node_new(b->rig.sim, "exchange");
	iface_new(b->exchange, b->trunk_link, "eth0", NULL, PSTN_IP, 24);
}

static void bench_make(struct bench *b)
{
	struct trunk_group_config pstn = { .connects = true, .local_ip = PSTN_IP, .peer_ip = SG_TRUNK_IP,
		                           .local_code = 4097, .peer_code = 4096, .circuits = CIRCUITS,
		                           .seized = on_seized,
		                           .alerting = on_pstn_alerting, .answered = on_pstn_answered,
		                           .released = on_pstn_released };
	char error[MODEL_ERROR_LEN] = "";

	bench_begin(b);
	pstn.node = b->exchange;
	pstn.ctx = b;
	b->pstn = trunk_group_new(&pstn);
	ck_assert_msg(make_gateway(b, "212", CIRCUITS, 4096, "10.203.0.10", error), "%s", error);
	rig_ready(&b->rig);
	trunk_group_start(b->pstn);
	make_callable(&b->tg);
	make_callable(&b->rig.sc);
	make_callable(&b->rig.cta);
	directory_number_set(world_directory(b->rig.world), "2155550101", "sc/sc1");
	ck_assert(secure(&b->tg) && secure(&b->rig.sc));
	run_for(&b->rig, 60 * NS_PER_S); /* there is no KDC here: it finds the trunk gateway's association later */
	ck_assert_uint_eq(b->resets, 1);
	ck_assert_int_eq(ask(&b->rig, "circuits_idle"), CIRCUITS);
}

static void bench_free(struct bench *b)
{
	trunk_group_free(b->pstn);
	end_free(&b->tg);
	rig_free(&b->rig);
}

static void nothing_left(struct bench *b)
{
	ck_assert_int_eq(ask(&b->rig, "calls"), 0);
	ck_assert_int_eq(ask(&b->rig, "call_keys"), 0);
	ck_assert_int_eq(ask(&b->rig, "circuits_idle"), CIRCUITS);
	ck_assert_uint_eq(trunk_group_counters(b->pstn).idle, CIRCUITS);
	others_forget(&b->rig);
	ck_assert_uint_eq(world_key_holders(b->rig.world, b->rig.key_id), 0);
}

/* CTA -> PSTN, up to the IAM. */
static struct leg_news *calls_out(struct bench *b, struct leg_news **controller)
{
	struct leg_news *caller;

	*controller = offer(&b->rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&b->rig, 20 * NS_PER_MS);
	ck_assert_uint_eq((*controller)->answered, 1);
	ck_assert((*controller)->proven);
	ck_assert_uint_eq((*controller)->media.ip, TG_IP);
	ck_assert_uint_eq((*controller)->media.port, VOICE_PORT);
	ck_assert_uint_eq((*controller)->media.signaling_ip, NS_IP);
	ck_assert_str_eq(b->circuit, "1;callee");
	caller_gets_key(&b->rig);
	caller = caller_invites(&b->rig, "call-1;d", "call-1");
	run_for(&b->rig, 20 * NS_PER_MS);
	ck_assert_uint_eq(b->pstn_circuit, 1);
	ck_assert_str_eq(b->called, NUMBER);
	ck_assert_str_eq(b->calling, CALLER);
	return caller;
}

static struct leg_news *talks_out(struct bench *b, struct leg_news **controller)
{
	struct leg_news *caller = calls_out(b, controller);

	trunk_group_alert(b->pstn, b->pstn_circuit);
	run_for(&b->rig, 20 * NS_PER_MS);
	ck_assert_uint_eq(caller->ringing, 1);
	ck_assert_str_eq(b->connect, "");
	trunk_group_answer(b->pstn, b->pstn_circuit);
	run_for(&b->rig, 20 * NS_PER_MS);
	ck_assert_uint_eq(caller->answered, 1);
	ck_assert_uint_eq(caller->media.ip, TG_IP);
	ck_assert_str_eq(b->connect, "10.104.0.101:30000/0");
	ck_assert_int_eq(ask(&b->rig, "answered"), 1);
	return caller;
}

START_TEST(a_call_to_the_pstn_is_ended_by_anybody)
{
	static const unsigned causes[] = { 16, 0, 16, 41 }; /* that the PSTN hears: 0: it released itself */

	for (unsigned who = 0; who < 4; who++) {
		struct leg_news *controller, *caller;
		struct bench b;

		bench_make(&b);
		caller = talks_out(&b, &controller);
		if (who == 1)
			pstn_releases(&b, ISUP_CAUSE_NORMAL);
		else
			sip_leg_end(who == 0 ? caller->leg : who == 2 ? controller->leg : b.at_trunk->leg, "");
		run_for(&b.rig, NS_PER_S);
		ck_assert(controller->gone && caller->gone && b.at_trunk->gone);
		ck_assert_uint_eq(b.pstn_cause, causes[who]);
		nothing_left(&b);
		nothing_refused(&b.rig);
		bench_free(&b);
	}
}
END_TEST

/* The CSR centre's terminal asks who talks with its phone. */

#define CSR_IP 0x0a680028u

struct told {
	unsigned answers;
	struct radius answer;
};

static void on_told(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct told *told = ctx;

	(void)tag;
	ck_assert_ptr_nonnull(answer);
	told->answers++;
	told->answer = *answer;
}

static void who_calls(struct bench *b, struct end *end, const char *number, const char *what, enum radius_code code,
                      struct told *told)
{
	struct radius_client *client = radius_client_new(end->node, end->ipsec);
	struct radius question = { .code = RADIUS_ACCESS_REQUEST };

	*told = (struct told){ 0 };
	snprintf(question.called_station, sizeof question.called_station, "%s", number);
	snprintf(question.connect_info, sizeof question.connect_info, "%s", what);
	radius_client_reset(client);
	ck_assert(radius_client_ask(client, NS_IP, &question, on_told, told));
	run_for(&b->rig, 100 * NS_PER_MS);
	ck_assert_uint_eq(told->answers, 1);
	ck_assert_int_eq(told->answer.code, code);
	radius_client_free(client);
}

START_TEST(the_csr_centre_learns_who_calls)
{
	struct leg_news *controller, *caller;
	struct end csr = { 0 };
	struct told told;
	struct bench b;

	bench_make(&b);
	end_make(&b.rig, &csr, "csr1", CSR_IP, "csr/csr1");
	ck_assert(secure(&csr));
	who_calls(&b, &csr, NUMBER, "caller", RADIUS_ACCESS_REJECT, &told);
	ck_assert_str_eq(told.answer.reply_message, "sg.no_call");
	caller = talks_out(&b, &controller);
	who_calls(&b, &csr, "212-555-0001", "caller", RADIUS_ACCESS_ACCEPT, &told);
	ck_assert_uint_eq(told.answer.framed_ip, CTA_IP);
	ck_assert_str_eq(told.answer.calling_station, CALLER);
	who_calls(&b, &csr, "2125550002", "caller", RADIUS_ACCESS_REJECT, &told);
	who_calls(&b, &csr, NUMBER, "weather", RADIUS_ACCESS_REJECT, &told);
	ck_assert_str_eq(told.answer.reply_message, "sg.unknown_question");
	who_calls(&b, &b.rig.sc, NUMBER, "caller", RADIUS_ACCESS_REJECT, &told);
	ck_assert_str_eq(told.answer.reply_message, "sg.check_asker");
	sip_leg_end(caller->leg, "");
	run_for(&b.rig, NS_PER_S);
	who_calls(&b, &csr, NUMBER, "caller", RADIUS_ACCESS_REJECT, &told);
	nothing_left(&b);
	end_free(&csr);
	bench_free(&b);
}
END_TEST

/* The PSTN seizes the circuit that is held for a CTA's call: that goes to another one, at the trunk gateway too. */
START_TEST(a_call_whose_circuit_is_seized_gets_another)
{
	struct leg_news *controller, *caller, *second;
	struct bench b;

	bench_make(&b);
	caller = talks_out(&b, &controller);
	sip_leg_end(caller->leg, "");
	run_for(&b.rig, NS_PER_MS + NS_PER_MS / 2);
	second = offer(&b.rig.sc, "call-2;s", &(struct offer){ .call = "call-2", .spi = SPI + 8 });
	run_for(&b.rig, NS_PER_MS + NS_PER_MS / 2); /* circuit 1 is being released, 2 is held */
	b.controller = DECLINES;
	b.declines_with = 486;
	pstn_dials(&b, "2155550101");
	ck_assert_uint_eq(b.pstn_circuit, 2);
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert_uint_eq(second->answered, 1);
	ck_assert_int_eq(second->status, 0);
	ck_assert_int_eq(ask(&b.rig, "calls"), 1);
	ck_assert_int_eq(ask(&b.rig, "circuits_busy"), 1);
	ck_assert_str_eq(trunk_group_state(b.pstn, 2), "Idle"); /* its called CTA was busy */
	sip_leg_end(second->leg, "");
	run_for(&b.rig, NS_PER_S);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(a_release_before_the_answer_is_a_status)
{
	static const struct { unsigned cause; int status; } table[] = {
		{ ISUP_CAUSE_BUSY, 486 }, { ISUP_CAUSE_UNALLOCATED, 404 }, { ISUP_CAUSE_NO_CIRCUIT, 503 },
		{ ISUP_CAUSE_REJECTED, 403 }, { ISUP_CAUSE_NO_ANSWER, 480 }, { ISUP_CAUSE_NORMAL, 480 }, { 127, 500 },
	};

	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
		struct leg_news *controller, *caller;
		struct bench b;

		bench_make(&b);
		caller = calls_out(&b, &controller);
		if (i % 2)
			trunk_group_alert(b.pstn, b.pstn_circuit);
		pstn_releases(&b, table[i].cause);
		run_for(&b.rig, NS_PER_S);
		ck_assert_int_eq(caller->status, table[i].status);
		ck_assert(controller->gone && b.at_trunk->gone);
		nothing_left(&b);
		bench_free(&b);
	}
}
END_TEST

START_TEST(a_cta_gives_up_while_it_rings)
{
	struct leg_news *controller, *caller;
	struct bench b;

	bench_make(&b);
	caller = calls_out(&b, &controller);
	trunk_group_alert(b.pstn, b.pstn_circuit);
	run_for(&b.rig, 20 * NS_PER_MS);
	sip_leg_end(caller->leg, "");
	run_for(&b.rig, NS_PER_S);
	ck_assert_uint_eq(b.pstn_cause, ISUP_CAUSE_NORMAL);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(a_cta_that_does_not_come_holds_nothing)
{
	struct leg_news *controller;
	struct bench b;

	bench_make(&b);
	controller = offer(&b.rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&b.rig, OFFER_GUARD_NS - NS_PER_S);
	ck_assert_int_eq(ask(&b.rig, "circuits_busy"), 1);
	run_for(&b.rig, 3 * NS_PER_S);
	ck_assert_int_ge(controller->hung_up_ns, 0);
	ck_assert_uint_eq(b.pstn_circuit, 0); /* it never heard of the call */
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

static const struct {
	struct offer offer;
	const char *check;
	int status;
} bad_offers[] = {
	{ { .number = "3035550001" }, "sg.unknown_number", 404 },
	{ { .number = "2155550101" }, "sg.unknown_number", 404 }, /* a controller's */
	{ { .no_body = true }, "sg.media_offer", 488 },
	{ { .payload_type = 3 }, "sg.media_offer", 488 },
	{ { .ip = NS_IP }, "sg.media_offer", 488 },
	{ { .ip = HE_IP }, "sg.media_offer", 488 },
	{ { .spi = 1 }, "sg.media_offer", 488 },
	{ { .call = "a b" }, "sg.media_offer", 488 },
	{ { .key = "AAAA" }, "subkey.unwrap", 488 },
};

START_TEST(a_bad_offer_is_refused_by_its_check)
{
	struct leg_news *news;
	struct bench b;

	bench_make(&b);
	news = offer(&b.rig.sc, "call-1;s", &bad_offers[_i].offer);
	run_for(&b.rig, 20 * NS_PER_MS);
	ck_assert_int_eq(news->status, bad_offers[_i].status);
	ck_assert_uint_eq(refused(&b.rig, bad_offers[_i].check), 1);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(only_controllers_offer_calls)
{
	struct leg_news *news;
	struct bench b;

	bench_make(&b);
	ck_assert(secure(&b.rig.he));
	news = offer(&b.rig.he, "call-1;s", &(struct offer){ 0 });
	run_for(&b.rig, 20 * NS_PER_MS);
	ck_assert_int_eq(news->status, 403);
	ck_assert_uint_eq(refused(&b.rig, "sg.check_controller"), 1);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(without_a_free_circuit_a_call_is_refused)
{
	struct leg_news *news;
	struct bench b;

	bench_make(&b);
	b.trunk_link->down = true;
	run_for(&b.rig, 60 * NS_PER_S);
	news = offer(&b.rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&b.rig, 20 * NS_PER_MS);
	ck_assert_int_eq(news->status, 503);
	ck_assert_uint_eq(refused(&b.rig, "sg.no_circuit"), 1);
	ck_assert_int_eq(ask(&b.rig, "call_keys"), 0);
	bench_free(&b);
}
END_TEST

START_TEST(a_cta_has_only_its_own_call)
{
	struct leg_news *controller, *caller;
	struct bench b;

	bench_make(&b);
	controller = offer(&b.rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&b.rig, 20 * NS_PER_MS);
	ck_assert_uint_eq(controller->answered, 1);
	caller_gets_key(&b.rig);
	caller = caller_invites(&b.rig, "call-7;d", "call-7");
	run_for(&b.rig, 20 * NS_PER_MS);
	ck_assert_int_eq(caller->status, 403);
	ck_assert_uint_eq(refused(&b.rig, "sg.unknown_call"), 1);
	caller = offer(&b.rig.sc, "call-2;s", &(struct offer){ .call = "call-2" }); /* under the SPI of the first */
	run_for(&b.rig, 20 * NS_PER_MS);
	ck_assert_int_eq(caller->status, 488);
	ck_assert_uint_eq(refused(&b.rig, "sg.spi_in_use"), 1);
	sip_leg_end(controller->leg, "");
	run_for(&b.rig, NS_PER_S);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(a_trunk_gateway_that_fails_costs_the_call_only)
{
	static const enum conduct conducts[] = { DECLINES, BAD_PROOF, BAD_PLACE };

	for (unsigned i = 0; i < sizeof conducts / sizeof *conducts; i++) {
		struct leg_news *news;
		struct bench b;

		bench_make(&b);
		b.trunk = conducts[i];
		b.declines_with = 404;
		news = offer(&b.rig.sc, "call-1;s", &(struct offer){ 0 });
		run_for(&b.rig, NS_PER_S);
		ck_assert_int_eq(news->status, 503);
		ck_assert_uint_eq(refused(&b.rig, "sg.trunk_answer"), conducts[i] != DECLINES);
		nothing_left(&b);
		pstn_dials(&b, "2155550101");
		run_for(&b.rig, 2 * NS_PER_S);
		ck_assert_uint_eq(b.pstn_cause, ISUP_CAUSE_NO_RESOURCE);
		nothing_left(&b);
		bench_free(&b);
	}
}
END_TEST

/* PSTN -> CTA, up to the direct INVITE. */
static void calls_in(struct bench *b)
{
	pstn_dials(b, "2155550101");
	run_for(&b->rig, 50 * NS_PER_MS);
	ck_assert_str_eq(b->circuit, "2;caller"); /* the PSTN's code is the higher: the even ones are its own */
	ck_assert_uint_eq(b->offered.ip, TG_IP);
	ck_assert_uint_eq(b->offered.port, VOICE_PORT);
	ck_assert_uint_eq(b->offered.signaling_ip, NS_IP);
	ck_assert_ptr_nonnull(b->at_cta);
}

START_TEST(a_call_from_the_pstn_is_ended_by_anybody)
{
	static const unsigned causes[] = { 16, 0, 16, 41 };

	for (unsigned who = 0; who < 4; who++) {
		struct bench b;

		bench_make(&b);
		calls_in(&b);
		sip_leg_answer(b.at_cta->leg, 180, "", "");
		run_for(&b.rig, 20 * NS_PER_MS);
		ck_assert_uint_eq(b.pstn_alerted, 1);
		sip_leg_answer(b.at_cta->leg, 200, "", "");
		run_for(&b.rig, 20 * NS_PER_MS);
		ck_assert_uint_eq(b.pstn_answered, 1);
		ck_assert_str_eq(b.connect, "10.104.0.101:30000/0");
		if (who == 1)
			pstn_releases(&b, ISUP_CAUSE_NORMAL);
		else
			sip_leg_end(who == 0 ? b.at_cta->leg : who == 2 ? b.at_controller->leg : b.at_trunk->leg, "");
		run_for(&b.rig, NS_PER_S);
		ck_assert(b.at_controller->gone && b.at_cta->gone && b.at_trunk->gone);
		ck_assert_uint_eq(b.pstn_cause, causes[who]);
		nothing_left(&b);
		nothing_refused(&b.rig);
		bench_free(&b);
	}
}
END_TEST

START_TEST(a_call_from_the_pstn_is_given_up_or_declined)
{
	for (unsigned ringing = 0; ringing < 2; ringing++)
		for (unsigned who = 0; who < 2; who++) {
			struct bench b;

			bench_make(&b);
			calls_in(&b);
			if (ringing)
				sip_leg_answer(b.at_cta->leg, 180, "", "");
			run_for(&b.rig, 20 * NS_PER_MS);
			if (who)
				sip_leg_answer(b.at_cta->leg, 486, "", "");
			else
				pstn_releases(&b, ISUP_CAUSE_NORMAL);
			run_for(&b.rig, NS_PER_S);
			ck_assert_uint_eq(b.pstn_cause, who ? ISUP_CAUSE_BUSY : 0);
			nothing_left(&b);
			bench_free(&b);
		}
}
END_TEST

/* A number of ours that comes from outside is somebody's who wants to be taken for its owner. */
START_TEST(a_forged_callers_number_is_not_told)
{
	static const struct { const char *says, *told; unsigned refused; } callers[] = {
		{ NUMBER, NUMBER, 0 }, { "3035550123", "3035550123", 0 }, { "3035550123f", "3035550123", 0 }, { "", "0", 0 },
		{ "2155550101", "0", 1 }, { "303b550123", "0", 0 },
	};

	for (unsigned i = 0; i < sizeof callers / sizeof *callers; i++) {
		struct bench b;

		bench_make(&b);
		b.from = callers[i].says;
		pstn_dials(&b, i % 2 ? "2155550101f" : "2155550101");
		run_for(&b.rig, 50 * NS_PER_MS);
		ck_assert_ptr_nonnull(b.at_cta);
		ck_assert_str_eq(b.told, callers[i].told);
		ck_assert_uint_eq(refused(&b.rig, "sg.caller_number"), callers[i].refused);
		pstn_releases(&b, ISUP_CAUSE_NORMAL);
		run_for(&b.rig, NS_PER_S);
		nothing_left(&b);
		bench_free(&b);
	}
}
END_TEST

static const struct {
	enum conduct conduct;
	int status;
	const char *check;
	unsigned cause;
} controllers[] = {
	{ DECLINES, 486, NULL, ISUP_CAUSE_BUSY }, { DECLINES, 404, NULL, ISUP_CAUSE_UNALLOCATED },
	{ DECLINES, 480, NULL, ISUP_CAUSE_NO_RESPONSE }, { DECLINES, 503, NULL, ISUP_CAUSE_TEMPORARY },
	{ BAD_PROOF, 0, "sg.verify_proof", ISUP_CAUSE_TEMPORARY },
	{ BAD_PLACE, 0, "sg.media_answer", ISUP_CAUSE_TEMPORARY },
	{ NO_PLACE, 0, "sg.media_answer", ISUP_CAUSE_TEMPORARY },
};

START_TEST(a_controllers_answer_is_judged)
{
	struct bench b;

	bench_make(&b);
	b.controller = controllers[_i].conduct;
	b.declines_with = controllers[_i].status;
	pstn_dials(&b, "2155550101");
	run_for(&b.rig, 2 * NS_PER_S);
	ck_assert_uint_eq(b.pstn_cause, controllers[_i].cause);
	if (controllers[_i].check)
		ck_assert_uint_eq(refused(&b.rig, controllers[_i].check), 1);
	else
		nothing_refused(&b.rig);
	ck_assert_ptr_null(b.at_cta);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(a_number_of_nobody_is_unallocated)
{
	static const char *const numbers[] = { "3035550001", "2125550009" /* the PSTN's own */ };
	struct bench b;

	bench_make(&b);
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		pstn_dials(&b, numbers[i]);
		run_for(&b.rig, 100 * NS_PER_MS);
		ck_assert_uint_eq(b.pstn_released, i + 1);
		ck_assert_uint_eq(b.pstn_cause, ISUP_CAUSE_UNALLOCATED);
		ck_assert_uint_eq(refused(&b.rig, "sg.unknown_number"), i + 1);
	}
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(a_restart_frees_the_pstns_circuit)
{
	struct leg_news *controller;
	struct bench b;

	bench_make(&b);
	talks_out(&b, &controller);
	b.rig.server->model->restart(b.rig.server);
	ck_assert_int_eq(ask(&b.rig, "calls"), 0);
	ck_assert_int_eq(ask(&b.rig, "call_keys"), 0);
	ck_assert_int_eq(ask(&b.rig, "associations"), 0);
	ck_assert_int_eq(ask(&b.rig, "circuits_blocked"), CIRCUITS);
	run_for(&b.rig, 40 * NS_PER_S);
	ck_assert_uint_eq(b.pstn_cause, ISUP_CAUSE_NORMAL_UNSPECIFIED);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

/* Nothing is reserved before the trunk gateway has forgotten what was; a call waits for that as long as it may. */
START_TEST(a_start_resets_the_trunk_gateway_first)
{
	struct leg_news *early, *late;
	struct bench b;

	bench_make(&b);
	b.refuses_reset = true;
	b.rig.server->model->restart(b.rig.server);
	backend_drop(b.tg.backend, NS_IP);
	backend_drop(b.rig.sc.backend, NS_IP);
	ck_assert(secure(&b.tg) && secure(&b.rig.sc));
	run_for(&b.rig, 60 * NS_PER_S);
	early = offer(&b.rig.sc, "call-1;s", &(struct offer){ 0 });
	run_for(&b.rig, 35 * NS_PER_S);
	ck_assert_uint_gt(b.resets, 2);
	ck_assert_int_eq(early->status, 504);
	ck_assert_ptr_null(b.at_trunk);
	late = offer(&b.rig.sc, "call-2;s", &(struct offer){ .call = "call-2" });
	run_for(&b.rig, NS_PER_S);
	ck_assert_ptr_null(b.at_trunk);
	b.refuses_reset = false;
	run_for(&b.rig, 10 * NS_PER_S);
	ck_assert_uint_eq(late->answered, 1);
	sip_leg_end(late->leg, "");
	run_for(&b.rig, NS_PER_S);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(parameters_must_make_sense)
{
	static const struct {
		const char *prefixes;
		int64_t circuits, code;
		const char *pstn, *error;
	} bad[] = {
		{ "", 2, 1, "10.203.0.10", "prefixes must be" },
		{ "212,,800", 2, 1, "10.203.0.10", "prefixes must be" },
		{ "none", 2, 1, "10.203.0.10", "prefixes must be" }, { "212", 0, 1, "10.203.0.10", "circuits must be" },
		{ "212", 481, 1, "10.203.0.10", "circuits must be" },
		{ "212", 2, 4097, "10.203.0.10", "point codes must be" },
		{ "212", 2, 16384, "10.203.0.10", "point codes must be" }, { "212", 2, 1, "10.9.0.10", "pstn must be" },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		char error[MODEL_ERROR_LEN] = "";
		struct bench b;

		bench_begin(&b);
		ck_assert(!make_gateway(&b, bad[i].prefixes, bad[i].circuits, bad[i].code, bad[i].pstn, error));
		ck_assert_msg(strstr(error, bad[i].error), "%u: %s", i, error);
		end_free(&b.tg);
		sim_free(b.rig.sim);
		world_free(b.rig.world);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signaling gateway");
	TCase *calls = tcase_create("calls"), *hostile = tcase_create("hostile");
	SRunner *runner;
	int failed;

	tcase_set_timeout(calls, 120);
	tcase_set_timeout(hostile, 120);
	tcase_add_test(calls, a_call_to_the_pstn_is_ended_by_anybody);
	tcase_add_test(calls, the_csr_centre_learns_who_calls);
	tcase_add_test(calls, a_release_before_the_answer_is_a_status);
	tcase_add_test(calls, a_call_whose_circuit_is_seized_gets_another);
	tcase_add_test(calls, a_cta_gives_up_while_it_rings);
	tcase_add_test(calls, a_cta_that_does_not_come_holds_nothing);
	tcase_add_test(calls, without_a_free_circuit_a_call_is_refused);
	tcase_add_test(calls, a_call_from_the_pstn_is_ended_by_anybody);
	tcase_add_test(calls, a_call_from_the_pstn_is_given_up_or_declined);
	tcase_add_test(calls, a_number_of_nobody_is_unallocated);
	tcase_add_test(calls, a_restart_frees_the_pstns_circuit);
	tcase_add_test(calls, a_start_resets_the_trunk_gateway_first);
	tcase_add_test(calls, parameters_must_make_sense);
	tcase_add_loop_test(hostile, a_bad_offer_is_refused_by_its_check, 0, sizeof bad_offers / sizeof *bad_offers);
	tcase_add_test(hostile, only_controllers_offer_calls);
	tcase_add_test(hostile, a_cta_has_only_its_own_call);
	tcase_add_test(hostile, a_forged_callers_number_is_not_told);
	tcase_add_test(hostile, a_trunk_gateway_that_fails_costs_the_call_only);
	tcase_add_loop_test(hostile, a_controllers_answer_is_judged, 0, sizeof controllers / sizeof *controllers);
	suite_add_tcase(suite, calls);
	suite_add_tcase(suite, hostile);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* forked cases would hide leaks from the sanitizer */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

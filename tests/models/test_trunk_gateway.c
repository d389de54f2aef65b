/*
 * The trunk gateway driven from outside: a signaling gateway, a CTA's voice and a circuit's other end made of the
 * layers below it. What is expected follows from models/gateway_control.h and patent [0094]-[0098].
 */
#define SERVER_NAME "tg"
#define NUMBER "2125550001"
#include "tests/models/served_rig.h"
#include "models/dtmf_tone.h"
#include "models/gateway_control.h"
#include "models/trunk_bearer.h"

#define SG_IP 0x0a68001eu
#define TRUNK_IP 0x0acb0015u /* 10.203.0.21 */
#define PSTN_IP 0x0acb000au  /* 10.203.0.10 */
#define CIRCUITS 4
#define CIRCUIT 3
#define TALK_NS (2 * NS_PER_S)
#define MEDIA_TIMEOUT_NS (5 * NS_PER_S)
#define CONNECT_GUARD_NS (300 * NS_PER_S)

struct voice { /* at one end */
	uint64_t packets;
	uint8_t says, heard;
	unsigned strange;  /* packets of neither silence nor what was expected */
	uint8_t expects;
	bool lost;
	struct dtmf_tone_sender tones;
	struct dtmf_tone_receiver ear;
	char keys[64];
};

struct bench {
	struct rig rig;
	struct end sg;
	struct node *exchange;
	struct trunk_bearer *bearer;
	struct voice cta, circuit;
	key_handle cta_key;
};

static const struct link_params lan = { .delay_ns = NS_PER_MS, .rate_bps = 100000000 };

static bool make_gateway(struct bench *b, const char *pstn, int64_t circuits, char error[MODEL_ERROR_LEN])
{
	struct arg list[] = {
		{ "kdc", { .type = VALUE_NODE, .node = node_find(b->rig.sim, "kdc") } }, { "pstn", value_text(pstn) },
		{ "circuits", value_int(circuits) }, { "media_timeout", value_time(MEDIA_TIMEOUT_NS) },
	};
	struct args args = { list, sizeof list / sizeof *list };

	b->rig.server->model = model_find("trunk_gateway");
	return b->rig.server->model->create(b->rig.server, &args, error);
}

static void bench_begin(struct bench *b, bool backend_off)
{
	struct link *trunk;

	memset(b, 0, sizeof *b);
	rig_begin(&b->rig, &lan, SEED, backend_off);
	trunk = link_new(b->rig.sim, "trunk", &lan);
	iface_new(b->rig.server, trunk, "eth1", NULL, TRUNK_IP, 24);
	b->exchange = node_new(b->rig.sim, "exchange");
	iface_new(b->exchange, trunk, "eth0", NULL, PSTN_IP, 24);
}

static void bench_make(struct bench *b, bool backend_off)
{
	char error[MODEL_ERROR_LEN] = "";

	bench_begin(b, backend_off);
	ck_assert_msg(make_gateway(b, "10.203.0.10", CIRCUITS, error), "%s", error);
	rig_ready(&b->rig);
	end_make(&b->rig, &b->sg, "sg1", SG_IP, "sg/sg1");
	if (!backend_off)
		ck_assert(secure(&b->sg));
}

static void bench_free(struct bench *b)
{
	trunk_bearer_stop(b->bearer);
	if (b->cta_key)
		sm_destroy_key(b->rig.cta.sm, b->cta_key);
	end_free(&b->sg);
	rig_free(&b->rig);
}

struct order { /* what a signaling gateway asks; zero: as it should be */
	const char *circuit, *call, *key;
	uint32_t spi;
	uint8_t payload_type;
	bool no_body, no_spi, open;
};

static struct leg_news *reserve(struct bench *b, struct end *from, const char *leg, const struct order *o)
{
	const struct association *a = ipsec_find(from->ipsec, NS_IP, LABEL_SERVER);
	char body[512] = "", headers[192], wrapped[CALL_KEY_TEXT_LEN] = "AAAA";
	struct text t = { body, sizeof body, 0, false };
	struct sdp sdp = { .ip = SG_IP, .port = 9, .spi = o->no_spi ? 0 : SPI, .payload_type = o->payload_type };
	uint8_t link[KEY_WRAPPED_LEN];
	key_handle key = sm_generate_des3(from->sm, "call.subkey");

	sm_key_id(from->sm, key, b->rig.key_id);
	if (a)
		ck_assert(call_key_wrap(a, key, wrapped));
	else if (o->open)
		ck_assert(call_key_wrap_open(from->sm, key, wrapped));
	ck_assert(sm_wrap(from->sm, from->link_key, LINK_KEY_USAGE, key, link));
	if (b->cta_key)
		sm_destroy_key(b->rig.cta.sm, b->cta_key);
	b->cta_key = sm_unwrap(b->rig.cta.sm, b->rig.cta.link_key, LINK_KEY_USAGE, "call.subkey", link, sizeof link);
	sm_destroy_key(from->sm, key);
	sdp.key = span_of(o->key ? o->key : wrapped);
	if (!o->no_body)
		sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
	snprintf(headers, sizeof headers, "%s%s" HEADER_CALL ": %s\r\n",
	         o->circuit ? o->circuit : HEADER_CIRCUIT ": 3;callee",
	         o->circuit && !o->circuit[0] ? "" : "\r\n", o->call ? o->call : "call-1");
	return invite(from, leg, NUMBER, headers, body);
}

/* The CTA's voice and the circuit's. */

static void cta_plays(void *ctx, const uint8_t *payload, size_t len, uint32_t timestamp)
{
	struct voice *v = ctx;
	uint8_t silence = v->says == 0x55 ? 0xd5 : 0xff; /* A-law's and mu-law's */

	(void)timestamp;
	v->packets++;
	v->heard = payload[len - 1] == silence ? v->heard : payload[len - 1];
	v->strange += payload[len - 1] != silence && payload[len - 1] != v->expects;
}

static void key_heard(struct voice *v, char key)
{
	size_t count = strlen(v->keys);

	ck_assert_uint_lt(count, sizeof v->keys - 1);
	v->keys[count] = key;
}

static void cta_hears_key(void *ctx, char key)
{
	key_heard(ctx, key);
}

static void cta_fills(void *ctx, uint8_t *payload)
{
	memset(payload, ((struct voice *)ctx)->says, RTP_PAYLOAD_LEN);
}

static void circuit_hears(void *ctx, const uint8_t octets[RTP_PAYLOAD_LEN])
{
	struct voice *v = ctx;
	char key = dtmf_tone_hear(&v->ear, octets);

	if (key)
		key_heard(v, key);
	v->packets++;
	v->heard = octets[0] == TRUNK_SILENCE ? v->heard : octets[0];
	v->strange += octets[0] != TRUNK_SILENCE && octets[0] != v->expects;
}

static void circuit_fills(void *ctx, uint8_t octets[RTP_PAYLOAD_LEN])
{
	struct voice *v = ctx;

	if (!dtmf_tone_fill(&v->tones, octets))
		memset(octets, v->says, RTP_PAYLOAD_LEN);
}

static void open_voice(struct bench *b, const struct leg_news *news, bool callee)
{
	struct media_request media = { .node = b->rig.cta.node, .sm = b->rig.cta.sm, .subkey = b->cta_key,
		                       .label = LABEL_RTP, .initiator = callee, .local_port = CTA_PORT,
		                       .peer_ip = news->media.ip,
		                       .peer_port = news->media.port, .payload_type = news->media.payload_type,
		                       .mac = true, .source = MEDIA_OWNER, .fill = cta_fills, .played = cta_plays,
		                       .digit = cta_hears_key,
		                       .ctx = &b->cta };
	struct trunk_bearer_request bearer = { .node = b->exchange, .circuit = CIRCUIT, .local_ip = PSTN_IP,
		                               .peer_ip = TRUNK_IP, .fill = circuit_fills, .heard = circuit_hears,
		                               .ctx = &b->circuit };

	b->rig.media = media_start(&media);
	b->bearer = trunk_bearer_start(&bearer);
	ck_assert(b->rig.media && b->bearer);
	trunk_bearer_talk(b->bearer);
}

static void connect(struct leg_news *news, const char *line)
{
	sip_leg_inform(news->leg, line);
}

/* Up to voice. */
static struct leg_news *call_stands(struct bench *b, const struct order *o, bool callee)
{
	struct leg_news *news = reserve(b, &b->sg, "call-1;t", o);
	char line[GATEWAY_LINE_LEN];

	run_for(&b->rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(news->answered, 1);
	ck_assert_uint_eq(news->media.ip, NS_IP);
	ck_assert_int_eq(ask(&b->rig, "call_keys"), 1);
	open_voice(b, news, callee);
	connect_line(line, &(struct sdp){ .ip = CTA_IP, .port = CTA_PORT, .payload_type = o->payload_type });
	connect(news, line);
	run_for(&b->rig, TALK_NS);
	ck_assert_int_eq(ask(&b->rig, "connected"), 1);
	ck_assert_int_eq(ask(&b->rig, "call_keys"), 0); /* only what was made from it */
	return news;
}

static void nothing_left(struct bench *b)
{
	caller_stops(&b->rig);
	if (b->cta_key)
		sm_destroy_key(b->rig.cta.sm, b->cta_key);
	b->cta_key = 0;
	ck_assert_int_eq(ask(&b->rig, "calls"), 0);
	ck_assert_int_eq(ask(&b->rig, "call_keys"), 0);
	ck_assert_uint_eq(world_key_holders(b->rig.world, b->rig.key_id), 0);
}

/* Mu-law as it is; A-law by way of the linear samples. Either end of the call. */
START_TEST(voice_goes_through_both_ways)
{
	for (unsigned variant = 0; variant < 4; variant++) {
		struct order o = { .payload_type = variant & 1 ? MEDIA_PCMA : MEDIA_PCMU };
		struct leg_news *news;
		struct bench b;

		if (variant & 2)
			o.circuit = HEADER_CIRCUIT ": 3;caller";
		bench_make(&b, false);
		b.cta.says = variant & 1 ? 0x55 : 0x21;
		b.circuit.says = 0x12;
		b.circuit.expects = variant & 1 ? g711_ulaw(g711_alaw_decode(0x55)) : 0x21;
		b.cta.expects = variant & 1 ? g711_alaw(g711_ulaw_decode(0x12)) : 0x12;
		news = call_stands(&b, &o, !(variant & 2));
		ck_assert_uint_ge(b.cta.packets, 98);
		ck_assert_uint_ge(b.circuit.packets, 98);
		ck_assert_uint_eq(b.cta.heard, b.cta.expects);
		ck_assert_uint_eq(b.circuit.heard, b.circuit.expects);
		ck_assert_uint_eq(b.cta.strange + b.circuit.strange, 0);
		ck_assert_int_le(ask(&b.rig, "slips"), 1);
		nothing_refused(&b.rig);
		sip_leg_end(news->leg, "over");
		run_for(&b.rig, 100 * NS_PER_MS);
		nothing_left(&b);
		bench_free(&b);
	}
}
END_TEST

static const struct {
	struct order order;
	const char *check;
	int status;
} bad_orders[] = {
	{ { .circuit = "" }, "tg.circuit", 404 },
	{ { .circuit = HEADER_CIRCUIT ": 3" }, "tg.circuit", 404 },
	{ { .circuit = HEADER_CIRCUIT ": 0;callee" }, "tg.circuit", 404 },
	{ { .circuit = HEADER_CIRCUIT ": 5;callee" }, "tg.circuit", 404 },
	{ { .circuit = HEADER_CIRCUIT ": 3;nobody" }, "tg.circuit", 404 },
	{ { .circuit = HEADER_CIRCUIT ": -1;callee" }, "tg.circuit", 404 },
	{ { .no_body = true }, "tg.media_offer", 488 },
	{ { .no_spi = true }, "tg.media_offer", 488 },
	{ { .payload_type = 3 }, "tg.media_offer", 488 },
	{ { .call = "call/1" }, "tg.media_offer", 488 },
	{ { .key = "AAAA" }, "subkey.unwrap", 488 },
};

START_TEST(a_bad_order_is_refused_by_its_check)
{
	struct bench b;
	struct leg_news *news;

	bench_make(&b, false);
	news = reserve(&b, &b.sg, "call-1;t", &bad_orders[_i].order);
	run_for(&b.rig, 10 * NS_PER_MS);
	ck_assert_int_eq(news->status, bad_orders[_i].status);
	ck_assert_uint_eq(refused(&b.rig, bad_orders[_i].check), 1);
	ck_assert_int_eq(ask(&b.rig, "refused"), 1);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(only_signaling_gateways_give_orders)
{
	struct bench b;
	struct leg_news *news;

	bench_make(&b, false);
	ck_assert(secure(&b.rig.sc) && secure(&b.rig.he));
	news = reserve(&b, &b.rig.sc, "call-1;t", &(struct order){ 0 });
	run_for(&b.rig, 10 * NS_PER_MS);
	ck_assert_int_eq(news->status, 403);
	news = reserve(&b, &b.rig.he, "call-2;t", &(struct order){ 0 });
	run_for(&b.rig, 10 * NS_PER_MS);
	ck_assert_int_eq(news->status, 403);
	ck_assert_uint_eq(refused(&b.rig, "tg.check_gateway"), 2);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(a_place_for_voice_that_is_none_is_refused)
{
	static const char *const lines[] = {
		HEADER_CONNECT ": nowhere\r\n", HEADER_CONNECT ": 10.104.0.20:5000/0\r\n",
		HEADER_CONNECT ": 10.104.0.101:0/0\r\n",
		HEADER_CONNECT ": 10.104.0.101:30000/8\r\n", HEADER_CONNECT ": 192.168.7.7:30000/0\r\n",
		HEADER_CONNECT ": 0.0.0.0:30000/0\r\n", HEADER_CONNECT ": 10.104.0.101:30000\r\n",
	};
	struct bench b;
	struct leg_news *news;

	bench_make(&b, false);
	news = reserve(&b, &b.sg, "call-1;t", &(struct order){ 0 });
	run_for(&b.rig, 10 * NS_PER_MS);
	for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
		connect(news, lines[i]);
		run_for(&b.rig, 10 * NS_PER_MS);
		ck_assert_uint_eq(refused(&b.rig, "tg.connect"), i + 1);
	}
	ck_assert_int_eq(ask(&b.rig, "connected"), 0);
	ck_assert_int_eq(ask(&b.rig, "calls"), 1); /* the true one may still come */
	connect(news, HEADER_CONNECT ": 10.104.0.101:30000/0\r\n");
	run_for(&b.rig, 10 * NS_PER_MS);
	ck_assert_int_eq(ask(&b.rig, "connected"), 1);
	sip_leg_end(news->leg, "");
	run_for(&b.rig, 100 * NS_PER_MS);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

/* Telephone events of the CTA are tones on the circuit, and back; a hook flash is none. */
START_TEST(keys_go_through_both_ways)
{
	for (unsigned law = 0; law < 2; law++) {
		struct order o = { .payload_type = law ? MEDIA_PCMA : MEDIA_PCMU };
		struct leg_news *news;
		struct bench b;

		bench_make(&b, false);
		b.cta.says = law ? 0x55 : 0x21;
		b.circuit.says = 0x12;
		news = call_stands(&b, &o, true);
		ck_assert(media_send_digits(b.rig.media, "47!11#D"));
		ck_assert(dtmf_tone_press(&b.circuit.tones, "0815*A"));
		run_for(&b.rig, 2 * NS_PER_S);
		ck_assert_str_eq(b.circuit.keys, "4711#D");
		ck_assert_str_eq(b.cta.keys, "0815*A");
		ck_assert_int_eq(ask(&b.rig, "keys_to_circuit"), 6);
		ck_assert_int_eq(ask(&b.rig, "keys_to_cta"), 6);
		nothing_refused(&b.rig);
		sip_leg_end(news->leg, "over");
		run_for(&b.rig, 100 * NS_PER_MS);
		nothing_left(&b);
		bench_free(&b);
	}
}
END_TEST

START_TEST(a_circuit_reserved_anew_ends_the_old_call)
{
	struct bench b;
	struct leg_news *old, *new;

	bench_make(&b, false);
	old = call_stands(&b, &(struct order){ 0 }, true);
	new = reserve(&b, &b.sg, "call-2;t", &(struct order){ .call = "call-2" });
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert_uint_eq(new->answered, 1);
	ck_assert_int_ge(old->hung_up_ns, 0);
	ck_assert_int_eq(ask(&b.rig, "calls"), 1);
	sip_leg_end(new->leg, "");
	run_for(&b.rig, 100 * NS_PER_MS);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

/* Each signaling gateway has its own circuits; one cannot take another's call off its circuit. */
START_TEST(a_circuit_of_another_gateway_is_refused)
{
	struct bench b;
	struct leg_news *old, *news;
	struct end other = { 0 };

	bench_make(&b, false);
	end_make(&b.rig, &other, "sg2", SG_IP + 1, "sg/sg2");
	ck_assert(secure(&other));
	old = reserve(&b, &b.sg, "call-1;t", &(struct order){ 0 });
	run_for(&b.rig, 10 * NS_PER_MS);
	news = reserve(&b, &other, "call-2;t", &(struct order){ .call = "call-2" });
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert_int_eq(news->status, 403);
	ck_assert_uint_eq(refused(&b.rig, "tg.held"), 1);
	ck_assert_int_lt(old->hung_up_ns, 0);
	sip_leg_end(old->leg, "");
	run_for(&b.rig, 100 * NS_PER_MS);
	nothing_left(&b);
	end_free(&other);
	bench_free(&b);
}
END_TEST

/* From the IP telephony network, with the address of the PSTN on it. */
static void forge_circuit_voice(struct bench *b)
{
	struct node *node = b->rig.he.node;
	struct packet *packet = packet_new(b->rig.sim, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	uint8_t *bytes = packet_append(packet, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	struct udp_socket socket = { 0 };

	memset(bytes, 0x77, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	rtp_write(bytes, &(struct rtp_header){ .payload_type = MEDIA_PCMU });
	ck_assert(udp_bind(node, &socket, TRUNK_PORT_FIRST + 2 * CIRCUIT, NULL, NULL));
	ip_route_add(node, 0x0acb0000u, 24, NS_IP, NULL);
	udp_send(&socket, PSTN_IP, TRUNK_IP, TRUNK_PORT_FIRST + 2 * CIRCUIT, packet);
	udp_unbind(&socket);
}

START_TEST(a_circuits_voice_comes_from_its_network_only)
{
	struct bench b;
	struct leg_news *news;

	bench_make(&b, false);
	b.circuit.says = 0x12;
	b.cta.expects = 0x12;
	news = call_stands(&b, &(struct order){ 0 }, true);
	forge_circuit_voice(&b);
	run_for(&b.rig, 200 * NS_PER_MS);
	ck_assert_uint_eq(refused(&b.rig, "trunk.source"), 1);
	ck_assert_int_eq(ask(&b.rig, "circuit_refused"), 1);
	ck_assert_uint_eq(b.cta.strange, 0);
	sip_leg_end(news->leg, "");
	run_for(&b.rig, 100 * NS_PER_MS);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

/* Before it is connected: to one of ours, for the same end of the call, that nobody else has. */
START_TEST(a_reservation_moves_to_another_circuit)
{
	static const char *const bad[] = { "0;callee", "5;callee", "2;caller", "reset", "4;callee" /* the other's */ };
	struct end other = { 0 };
	struct leg_news *news;
	char line[2 * GATEWAY_LINE_LEN];
	struct bench b;

	bench_make(&b, false);
	end_make(&b.rig, &other, "sg2", SG_IP + 1, "sg/sg2");
	ck_assert(secure(&other));
	reserve(&b, &other, "call-9;t", &(struct order){ .circuit = HEADER_CIRCUIT ": 4;callee", .call = "call-9" });
	news = reserve(&b, &b.sg, "call-1;t", &(struct order){ .circuit = HEADER_CIRCUIT ": 1;callee" });
	run_for(&b.rig, 10 * NS_PER_MS);
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(line, sizeof line, HEADER_CIRCUIT ": %s\r\n", bad[i]);
		connect(news, line);
		run_for(&b.rig, 10 * NS_PER_MS);
	}
	ck_assert_uint_eq(refused(&b.rig, "tg.circuit"), 4);
	ck_assert_uint_eq(refused(&b.rig, "tg.held"), 1);
	connect(news, HEADER_CIRCUIT ": 2;callee\r\n");
	run_for(&b.rig, 10 * NS_PER_MS);
	ck_assert_int_eq(ask(&b.rig, "connected"), 0);
	b.cta.says = b.circuit.expects = 0x21;
	b.circuit.says = b.cta.expects = 0x12;
	open_voice(&b, news, true); /* of circuit 3 */
	connect(news, HEADER_CIRCUIT ": 3;callee\r\n" HEADER_CONNECT ": 10.104.0.101:30000/0\r\n");
	run_for(&b.rig, NS_PER_S);
	ck_assert_uint_eq(b.circuit.heard, 0x21);
	ck_assert_uint_eq(b.cta.heard, 0x12);
	sip_leg_end(news->leg, "");
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert_int_eq(ask(&b.rig, "calls"), 1); /* the other's */
	end_free(&other);
	bench_free(&b);
}
END_TEST

static void reset_answered(struct sip_leg *leg, const struct sip_message *response)
{
	((struct leg_news *)sip_leg_owner(leg))->answered += response->body.len == 0;
	sip_leg_ack(leg, "");
}

static struct leg_news *resets(struct end *end, const char *leg)
{
	static const struct sip_owner owner = { .answered = reset_answered, .rejected = on_rejected, .hung_up = on_hung_up,
		                                .ended = on_ended };

	sip_endpoint_free(end->sip); /* with its legs: it is as if it had started anew */
	end->sip = sip_endpoint_new(end->node, end->ipsec, &owner, end);
	sip_endpoint_reset(end->sip);
	return invite(end, leg, "0", CIRCUIT_RESET_LINE, "");
}

/* By the signaling gateway that reserved it, and nobody else. */
START_TEST(a_reset_frees_what_was_reserved)
{
	struct bench b;
	struct leg_news *old, *reset;
	struct end other = { 0 };

	bench_make(&b, false);
	end_make(&b.rig, &other, "sg2", SG_IP + 1, "sg/sg2");
	ck_assert(secure(&b.rig.sc) && secure(&other));
	old = call_stands(&b, &(struct order){ 0 }, true);
	reset = invite(&b.rig.sc, "r1", "0", CIRCUIT_RESET_LINE, "");
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert_int_eq(reset->status, 403);
	ck_assert_uint_eq(refused(&b.rig, "tg.check_gateway"), 1);
	resets(&other, "r2");
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert_int_eq(ask(&b.rig, "calls"), 1);
	reset = resets(&b.sg, "r3");
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert_uint_eq(reset->answered, 1);
	ck_assert_int_lt(old->hung_up_ns, 0); /* its leg here is gone with the start */
	sip_leg_end(reset->leg, "");
	run_for(&b.rig, 100 * NS_PER_MS);
	ck_assert(reset->gone);
	nothing_left(&b);
	end_free(&other);
	bench_free(&b);
}
END_TEST

START_TEST(lost_voice_of_either_side_ends_the_call)
{
	for (unsigned side = 0; side < 2; side++) {
		struct bench b;
		struct leg_news *news;

		bench_make(&b, false);
		news = call_stands(&b, &(struct order){ 0 }, true);
		if (side) {
			caller_stops(&b.rig);
		} else {
			trunk_bearer_stop(b.bearer);
			b.bearer = NULL;
		}
		run_for(&b.rig, MEDIA_TIMEOUT_NS - 100 * NS_PER_MS);
		ck_assert_int_lt(news->hung_up_ns, 0);
		run_for(&b.rig, 200 * NS_PER_MS);
		ck_assert_int_ge(news->hung_up_ns, 0);
		nothing_left(&b);
		bench_free(&b);
	}
}
END_TEST

START_TEST(a_reservation_that_is_not_connected_is_given_up)
{
	struct bench b;
	struct leg_news *news;

	bench_make(&b, false);
	news = reserve(&b, &b.sg, "call-1;t", &(struct order){ 0 });
	run_for(&b.rig, CONNECT_GUARD_NS - NS_PER_S);
	ck_assert_int_lt(news->hung_up_ns, 0);
	run_for(&b.rig, 2 * NS_PER_S);
	ck_assert_int_ge(news->hung_up_ns, 0);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(a_restart_loses_everything)
{
	struct bench b;

	bench_make(&b, false);
	call_stands(&b, &(struct order){ 0 }, true);
	b.rig.server->model->restart(b.rig.server);
	ck_assert_int_eq(ask(&b.rig, "associations"), 0);
	nothing_left(&b);
	bench_free(&b);
}
END_TEST

START_TEST(without_backend_ipsec_the_address_is_believed)
{
	struct bench b;
	struct leg_news *news;

	bench_make(&b, true);
	news = reserve(&b, &b.sg, "call-1;t", &(struct order){ .open = true });
	run_for(&b.rig, 10 * NS_PER_MS);
	ck_assert_uint_eq(news->answered, 1);
	news = reserve(&b, &b.rig.he, "call-2;t", &(struct order){ .open = true });
	run_for(&b.rig, 10 * NS_PER_MS);
	ck_assert_int_eq(news->status, 403);
	bench_free(&b);
}
END_TEST

START_TEST(parameters_must_make_sense)
{
	static const struct {
		const char *pstn;
		int64_t circuits;
		const char *error;
	} bad[] = {
		{ "nowhere", 4, "pstn must be an address" }, { "192.168.1.1", 4, "pstn must be an address" },
		{ "10.203.0.21", 4, "pstn must be an address" }, /* its own */
		{ "10.203.0.10", 0, "circuits must be 1 to" }, { "10.203.0.10", 481, "circuits must be 1 to" },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		char error[MODEL_ERROR_LEN] = "";
		struct bench b;

		bench_begin(&b, false);
		ck_assert(!make_gateway(&b, bad[i].pstn, bad[i].circuits, error));
		ck_assert_ptr_nonnull(strstr(error, bad[i].error));
		sim_free(b.rig.sim);
		world_free(b.rig.world);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trunk gateway");
	TCase *calls = tcase_create("calls"), *hostile = tcase_create("hostile");
	SRunner *runner;
	int failed;

	tcase_set_timeout(calls, 120);
	tcase_set_timeout(hostile, 120);
	tcase_add_test(calls, voice_goes_through_both_ways);
	tcase_add_test(calls, keys_go_through_both_ways);
	tcase_add_test(calls, a_reservation_moves_to_another_circuit);
	tcase_add_test(calls, a_circuit_reserved_anew_ends_the_old_call);
	tcase_add_test(calls, a_reset_frees_what_was_reserved);
	tcase_add_test(calls, lost_voice_of_either_side_ends_the_call);
	tcase_add_test(calls, a_reservation_that_is_not_connected_is_given_up);
	tcase_add_test(calls, a_restart_loses_everything);
	tcase_add_test(calls, parameters_must_make_sense);
	tcase_add_loop_test(hostile, a_bad_order_is_refused_by_its_check, 0, sizeof bad_orders / sizeof *bad_orders);
	tcase_add_test(hostile, only_signaling_gateways_give_orders);
	tcase_add_test(hostile, a_circuit_of_another_gateway_is_refused);
	tcase_add_test(hostile, a_circuits_voice_comes_from_its_network_only);
	tcase_add_test(hostile, a_place_for_voice_that_is_none_is_refused);
	tcase_add_test(hostile, without_backend_ipsec_the_address_is_believed);
	suite_add_tcase(suite, calls);
	suite_add_tcase(suite, hostile);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* forked cases would hide leaks from the sanitizer */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

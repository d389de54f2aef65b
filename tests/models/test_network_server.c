/*
 * The network server driven from outside: signaling controllers and a caller made of the layers below it (tickets, AP
 * exchange, IPsec, SIP legs, media), all on one link. What is expected follows from flows.md 4 and patent
 * [0081]-[0087].
 *
 * The controller makes its own tickets, so no KDC is needed. The caller gets the sub-key wrapped under a key that both
 * modules were given beforehand.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/backend.h"
#include "models/call_key.h"
#include "models/directory.h"
#include "models/media.h"
#include "models/sip_leg.h"
#include "sim/ip.h"

#define SEED 20001
#define NS_IP 0x0a680014u /* 10.104.0.20 */
#define KDC_IP 0x0a680005u
#define SC_IP 0x0a68000au
#define HE_IP 0x0a68000bu
#define CTA_IP 0x0a680065u
#define NUMBER "8005550100"
#define CALLER "2155550101"
#define CTA_PORT 30000
#define SPI 0x4000
#define LINGER_NS (800 * NS_PER_MS)
#define CHECKS_MAX 32
#define LEGS 16
#define LINK_KEY_USAGE 2000
#define LOSSY_RUNS 20

struct refused_by {
	char check[40];
	unsigned count;
};

struct leg_news { /* what a leg has told */
	struct end *end;
	struct sip_leg *leg;
	bool gone, proven;
	unsigned answered;
	int status;          /* that rejected it */
	struct sdp media;
	sim_ns hung_up_ns;   /* by the server; < 0: not */
	char reason[64];
};

struct end { /* a controller, another server, a caller */
	struct rig *rig;
	struct node *node;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend; /* NULL: no server */
	struct sip_endpoint *sip;
	struct leg_news news[LEGS];
	unsigned legs;
	key_handle link_key;
	int ready;           /* of backend_ensure(): -1 not yet */
	int outcome;         /* of an AP exchange: -1 not yet */
};

struct rig {
	struct sim *sim;
	struct world *world;
	struct link *link;
	struct node *server;
	struct end sc, he, cta;
	key_handle subkey;   /* of the call, in the controller's module */
	uint8_t key_id[KEY_ID_LEN];
	struct association *direct; /* the caller's */
	struct media *media;
	uint64_t heard;      /* voice packets at the caller */
	struct refused_by refused[CHECKS_MAX];
	unsigned illegal_steps;
};

struct setting {
	sim_ns announcement_ns, media_timeout_ns;
	int lines;
	bool backend_off;
	struct link_params link;
	uint64_t seed;
};
static const struct setting plain = { .announcement_ns = 2 * NS_PER_S, .media_timeout_ns = 5 * NS_PER_S, .lines = 10,
	                              .link = { .delay_ns = NS_PER_MS, .rate_bps = 100000000 }, .seed = SEED };

/* The observer */

static void saw_refusal(void *ctx, const struct node *at, const char *check, uint32_t src, uint64_t tag,
                        const char *detail)
{
	struct rig *rig = ctx;
	unsigned i = 0;

	(void)src, (void)tag, (void)detail;
	if (at != rig->server)
		return;
	while (rig->refused[i].count && strcmp(rig->refused[i].check, check) != 0)
		i++;
	ck_assert_uint_lt(i, CHECKS_MAX - 1);
	snprintf(rig->refused[i].check, sizeof rig->refused[i].check, "%s", check);
	rig->refused[i].count++;
}

static void saw_step(void *ctx, const struct node *node, const struct machine *machine, unsigned before, unsigned event,
                     unsigned after, bool refused)
{
	(void)node, (void)machine, (void)before, (void)event, (void)after;
	((struct rig *)ctx)->illegal_steps += refused;
}

static unsigned refused(const struct rig *rig, const char *check)
{
	for (unsigned i = 0; rig->refused[i].count; i++)
		if (strcmp(rig->refused[i].check, check) == 0)
			return rig->refused[i].count;
	return 0;
}

static void nothing_refused(const struct rig *rig)
{
	ck_assert_msg(rig->refused[0].count == 0, "%s", rig->refused[0].check);
}

static int64_t ask(const struct rig *rig, const char *attribute)
{
	struct value value;

	ck_assert(rig->server->model->get(rig->server, attribute, &value));
	ck_assert_int_eq(value.type, VALUE_INT);
	return value.integer;
}

static void run_for(struct rig *rig, sim_ns time_ns)
{
	sim_run(rig->sim, rig->sim->now_ns + time_ns);
}

/* SIP at the ends */

static void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct leg_news *news = sip_leg_owner(leg);
	struct rig *rig = news->end->rig;

	news->answered++;
	ck_assert(sdp_parse(response->body, &news->media));
	news->proven = rig->subkey && news->end == &rig->sc && call_key_proven(rig->sc.sm, rig->subkey, SPI, response);
	sip_leg_ack(leg, "");
}

static void gone(struct sip_leg *leg)
{
	struct leg_news *news = sip_leg_owner(leg);

	news->gone = true;
	sip_leg_release(leg);
}

static void on_rejected(struct sip_leg *leg, int status)
{
	((struct leg_news *)sip_leg_owner(leg))->status = status;
	gone(leg);
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct leg_news *news = sip_leg_owner(leg);

	news->hung_up_ns = sip_leg_node(leg)->sim->now_ns;
	span_copy(sip_header(bye, "Reason"), news->reason, sizeof news->reason);
	gone(leg);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	(void)timed_out;
	gone(leg);
}

static void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	ck_abort_msg("leg %s: a machine does not ring (%d)", sip_leg_call_id(leg), response->status);
}

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	(void)ctx, (void)leg, (void)invite, (void)from;
	ck_abort_msg("it calls nobody");
	return false;
}

static const struct sip_owner sip_owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.hung_up = on_hung_up, .ended = on_ended,
};

static struct leg_news *invite(struct end *end, const char *call_id, const char *number, const char *headers,
                               const char *body)
{
	struct sip_invite request = { .peer_ip = NS_IP, .call_id = call_id, .from_user = CALLER, .to_user = number,
		                      .headers = headers, .body = body };
	struct leg_news *news = &end->news[end->legs++];

	ck_assert_uint_lt(end->legs, LEGS);
	*news = (struct leg_news){ .end = end, .hung_up_ns = -1 };
	news->leg = sip_leg_invite(end->sip, &request, news);
	ck_assert_ptr_nonnull(news->leg);
	return news;
}

/* The rig */

static struct node *host(struct rig *rig, const char *name, uint32_t ip)
{
	struct node *node = node_new(rig->sim, name);

	iface_new(node, rig->link, "eth0", NULL, ip, 24);
	return node;
}

static void end_make(struct rig *rig, struct end *end, const char *name, uint32_t ip, const char *principal)
{
	static const uint8_t link_key[24] = { 0x13, 0x34, 0x57, 0x79, 0x9b, 0xbc, 0xdf, 0xf1, 0x0e, 0x32, 0x92, 0x32,
		                              0xea, 0x6d, 0x0d, 0x73, 0x46, 0x8c, 0x91, 0xa2, 0xb5, 0xc8, 0xd9, 0xea };
	struct backend_config config = { .principal = principal, .self_issue = true };
	struct key_management_owner owner = { .ctx = end };

	end->rig = rig;
	end->ready = end->outcome = -1;
	end->node = host(rig, name, ip);
	end->sm = world_module(rig->world, end->node, "module");
	end->link_key = sm_install_des3(end->sm, "link", "", link_key);
	end->ipsec = ipsec_new(end->node, end->sm, principal != NULL);
	end->km = key_management_new(end->node, end->ipsec, name, 0, &owner);
	key_management_reset(end->km);
	end->sip = sip_endpoint_new(end->node, end->ipsec, &sip_owner, end);
	sip_endpoint_reset(end->sip);
	if (!principal)
		return;
	config.node = end->node;
	config.ipsec = end->ipsec;
	config.km = end->km;
	end->backend = backend_new(&config);
	directory_service_add(world_directory(rig->world), principal, ip);
}

static void end_free(struct end *end)
{
	sip_endpoint_free(end->sip);
	backend_free(end->backend);
	key_management_free(end->km);
	ipsec_free(end->ipsec);
	sm_free(end->sm);
}

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
	static const struct trace_ops ops = { .refusal = saw_refusal, .step = saw_step };
	char error[MODEL_ERROR_LEN] = "";

	memset(rig, 0, sizeof *rig);
	rig->sim = sim_new(setting->seed, SIM_DEFAULT_EPOCH_S);
	rig->world = world_new(rig->sim, SEED, NULL);
	if (setting->backend_off)
		ck_assert(world_switch_set(rig->world, "backend.ipsec", "off", error));
	trace_attach(rig->sim, &ops, rig, TRACE_REFUSAL | TRACE_STEP);
	rig->link = link_new(rig->sim, "lan", &setting->link);
	rig->server = host(rig, "announce", NS_IP);
	host(rig, "kdc", KDC_IP);
	ck_assert_msg(server_make(rig, "800-555-0100", setting->lines, setting, error), "%s", error);
	end_make(rig, &rig->sc, "sc1", SC_IP, "sc/sc1");
	end_make(rig, &rig->he, "cmts1", HE_IP, "he/cmts1");
	end_make(rig, &rig->cta, "alice", CTA_IP, NULL);
	rig->server->model->start(rig->server);
}

static void caller_stops(struct rig *rig)
{
	if (rig->media)
		rig->heard += media_counters(rig->media).received;
	media_stop(rig->media);
	rig->media = NULL;
}

/* What the caller and the controller hold of the call. */
static void others_forget(struct rig *rig)
{
	caller_stops(rig);
	ipsec_remove(rig->direct);
	rig->direct = NULL;
	if (rig->subkey)
		sm_destroy_key(rig->sc.sm, rig->subkey);
	rig->subkey = 0;
}

static void rig_free(struct rig *rig)
{
	ck_assert_uint_eq(rig->illegal_steps, 0);
	others_forget(rig);
	end_free(&rig->sc);
	end_free(&rig->he);
	end_free(&rig->cta);
	sim_free(rig->sim);
	world_free(rig->world);
}

/* Steps of a call */

static void on_ready(void *ctx, bool ready)
{
	((struct end *)ctx)->ready = ready;
}

static bool secure(struct end *end)
{
	end->ready = -1;
	backend_ensure(end->backend, NS_IP, on_ready, end);
	for (int s = 0; s < 40 && end->ready < 0; s++)
		run_for(end->rig, NS_PER_S);
	return end->ready == 1;
}

struct offer { /* what a controller offers; zero: as it should be */
	const char *number, *call, *key;
	uint32_t ip, spi;
	uint8_t payload_type;
	bool no_body;
};

static struct leg_news *offer(struct end *end, const char *leg, const struct offer *o)
{
	struct rig *rig = end->rig;
	const struct association *a = ipsec_find(end->ipsec, NS_IP, LABEL_SERVER);
	char body[512] = "", headers[128], wrapped[CALL_KEY_TEXT_LEN] = "AAAA";
	struct text t = { body, sizeof body, 0, false };
	struct sdp sdp = { .ip = o->ip ? o->ip : CTA_IP, .port = CTA_PORT, .spi = o->spi ? o->spi : SPI,
		           .payload_type = o->payload_type };
	key_handle key = end == &rig->sc ? rig->subkey : 0, fresh = 0;

	if (!key)
		key = fresh = sm_generate_des3(end->sm, "call.subkey");
	if (end == &rig->sc && fresh) {
		rig->subkey = fresh;
		sm_key_id(end->sm, fresh, rig->key_id);
		fresh = 0;
	}
	if (a)
		ck_assert(call_key_wrap(a, key, wrapped));
	sm_destroy_key(end->sm, fresh);
	sdp.key = span_of(o->key ? o->key : wrapped);
	if (!o->no_body)
		sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", o->call ? o->call : "call-1");
	return invite(end, leg, o->number ? o->number : NUMBER, headers, body);
}

/* C4: the caller has the same sub-key. */
static void caller_gets_key(struct rig *rig)
{
	uint8_t wrapped[KEY_WRAPPED_LEN];
	struct association_request request = { .peer_ip = NS_IP, .spi = SPI, .initiator = true,
		                               .label = LABEL_CTA_SERVER, .lifetime_ns = 3600 * NS_PER_S };

	ck_assert(sm_wrap(rig->sc.sm, rig->sc.link_key, LINK_KEY_USAGE, rig->subkey, wrapped));
	request.subkey = sm_unwrap(rig->cta.sm, rig->cta.link_key, LINK_KEY_USAGE, "call.subkey", wrapped,
	                           sizeof wrapped);
	ck_assert_uint_ne(request.subkey, 0);
	rig->direct = ipsec_add(rig->cta.ipsec, &request);
	ck_assert_ptr_nonnull(rig->direct);
}

static struct leg_news *caller_invites(struct rig *rig, const char *leg, const char *call)
{
	char headers[128], body[512];
	struct text t = { body, sizeof body, 0, false };
	struct sdp sdp = { .ip = CTA_IP, .port = CTA_PORT };

	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", call);
	return invite(&rig->cta, leg, NUMBER, headers, body);
}

static void caller_talks(struct rig *rig, const struct leg_news *leg)
{
	struct media_request request = { .node = rig->cta.node, .sm = rig->cta.sm, .subkey = rig->direct->subkey,
		                         .label = LABEL_RTP, .initiator = true, .local_port = CTA_PORT,
		                         .peer_ip = leg->media.ip, .peer_port = leg->media.port,
		                         .payload_type = leg->media.payload_type,
		                         .mac = world_on(rig->world, "rtp.mac"), .source = MEDIA_TONE };

	rig->media = media_start(&request);
	ck_assert_ptr_nonnull(rig->media);
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

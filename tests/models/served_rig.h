/*
 * A server that answers calls, driven from outside: signaling controllers, another server and a caller made of the
 * layers below it (tickets, AP exchange, IPsec, SIP legs, media), all on one link.
 *
 * The controller makes its own tickets, so no KDC is needed. The caller gets the sub-key wrapped under a key that
 * both modules were given beforehand. Before it is included: SERVER_NAME and NUMBER, of the server.
 */
#ifndef TOLLGATE_TESTS_SERVED_RIG_H
#define TOLLGATE_TESTS_SERVED_RIG_H

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
#define CALLER "2155550101"
#define CTA_PORT 30000
#define SPI 0x4000
#define LINGER_NS (800 * NS_PER_MS)
#define CHECKS_MAX 32
#define LEGS 16
#define LINK_KEY_USAGE 2000

static const char *rig_cache; /* a folder for key pairs; NULL: none */

struct refused_by {
	char check[40];
	unsigned count;
};

struct leg_news { /* what a leg has told */
	struct end *end;
	struct sip_leg *leg;
	bool gone, proven;
	unsigned answered, ringing;
	int status;          /* that rejected it */
	struct sdp media;
	sim_ns hung_up_ns;   /* by the server; < 0: not */
	char reason[64];
	char event[32];      /* of the last INFO */
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
	char text[4096];     /* that it heard */
	size_t text_len;
	const char *caller;  /* the number that its controller says */
	struct refused_by refused[CHECKS_MAX];
	unsigned illegal_steps;
};

/* The observer */

static inline void saw_refusal(void *ctx, const struct node *at, const char *check, uint32_t src, uint64_t tag,
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

static inline void saw_step(void *ctx, const struct node *node, const struct machine *machine, unsigned before,
                            unsigned event, unsigned after, bool refused)
{
	(void)node, (void)machine, (void)before, (void)event, (void)after;
	((struct rig *)ctx)->illegal_steps += refused;
}

static inline unsigned refused(const struct rig *rig, const char *check)
{
	for (unsigned i = 0; rig->refused[i].count; i++)
		if (strcmp(rig->refused[i].check, check) == 0)
			return rig->refused[i].count;
	return 0;
}

static inline void nothing_refused(const struct rig *rig)
{
	ck_assert_msg(rig->refused[0].count == 0, "%s", rig->refused[0].check);
}

static inline int64_t ask(const struct rig *rig, const char *attribute)
{
	struct value value;

	ck_assert(rig->server->model->get(rig->server, attribute, &value));
	ck_assert_int_eq(value.type, VALUE_INT);
	return value.integer;
}

static inline void run_for(struct rig *rig, sim_ns time_ns)
{
	sim_run(rig->sim, rig->sim->now_ns + time_ns);
}

/* SIP at the ends */

static inline void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct leg_news *news = sip_leg_owner(leg);
	struct rig *rig = news->end->rig;

	news->answered++;
	ck_assert(sdp_parse(response->body, &news->media));
	news->proven = rig->subkey && news->end == &rig->sc && call_key_proven(rig->sc.sm, rig->subkey, SPI, response);
	sip_leg_ack(leg, "");
}

static inline void gone(struct sip_leg *leg)
{
	struct leg_news *news = sip_leg_owner(leg);

	news->gone = true;
	sip_leg_release(leg);
}

static inline void on_rejected(struct sip_leg *leg, int status)
{
	((struct leg_news *)sip_leg_owner(leg))->status = status;
	gone(leg);
}

static inline void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct leg_news *news = sip_leg_owner(leg);

	news->hung_up_ns = sip_leg_node(leg)->sim->now_ns;
	span_copy(sip_header(bye, "Reason"), news->reason, sizeof news->reason);
	gone(leg);
}

static inline void on_ended(struct sip_leg *leg, bool timed_out)
{
	(void)timed_out;
	gone(leg);
}

static inline void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	ck_assert_int_eq(response->status, 180);
	((struct leg_news *)sip_leg_owner(leg))->ringing++;
}

static inline bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite,
                              const struct udp_from *from)
{
	(void)ctx, (void)leg, (void)invite, (void)from;
	ck_abort_msg("it calls nobody");
	return false;
}

static inline void on_informed(struct sip_leg *leg, const struct sip_message *info)
{
	struct leg_news *news = sip_leg_owner(leg);

	span_copy(sip_header(info, HEADER_EVENT), news->event, sizeof news->event);
}

static const struct sip_owner sip_owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.hung_up = on_hung_up, .ended = on_ended, .informed = on_informed,
};

static inline struct leg_news *invite(struct end *end, const char *call_id, const char *number, const char *headers,
                               const char *body)
{
	struct sip_invite request = { .peer_ip = NS_IP, .call_id = call_id, .from_user = end->rig->caller,
		                      .to_user = number,
		                      .headers = headers, .body = body };
	struct leg_news *news = &end->news[end->legs++];

	ck_assert_uint_lt(end->legs, LEGS);
	*news = (struct leg_news){ .end = end, .hung_up_ns = -1 };
	news->leg = sip_leg_invite(end->sip, &request, news);
	ck_assert_ptr_nonnull(news->leg);
	return news;
}

/* The rig */

static inline struct node *host(struct rig *rig, const char *name, uint32_t ip)
{
	struct node *node = node_new(rig->sim, name);

	iface_new(node, rig->link, "eth0", NULL, ip, 24);
	return node;
}

static inline void end_make(struct rig *rig, struct end *end, const char *name, uint32_t ip, const char *principal)
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
	end->km = key_management_new(end->node, end->ipsec, principal ? principal : name,
	                             principal ? world_server_key(rig->world, end->sm, principal) : 0, &owner);
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

static inline void end_free(struct end *end)
{
	sip_endpoint_free(end->sip);
	backend_free(end->backend);
	key_management_free(end->km);
	ipsec_free(end->ipsec);
	sm_free(end->sm);
}

/* Up to the server's own making: its node, the KDC's, a link. */
static inline void rig_begin(struct rig *rig, const struct link_params *link, uint64_t seed, bool backend_off)
{
	static const struct trace_ops ops = { .refusal = saw_refusal, .step = saw_step };
	char error[MODEL_ERROR_LEN] = "";

	memset(rig, 0, sizeof *rig);
	rig->caller = CALLER;
	rig->sim = sim_new(seed, SIM_DEFAULT_EPOCH_S);
	rig->world = world_new(rig->sim, SEED, rig_cache);
	if (backend_off)
		ck_assert(world_switch_set(rig->world, "backend.ipsec", "off", error));
	trace_attach(rig->sim, &ops, rig, TRACE_REFUSAL | TRACE_STEP);
	rig->link = link_new(rig->sim, "lan", link);
	rig->server = host(rig, SERVER_NAME, NS_IP);
	host(rig, "kdc", KDC_IP);
}

/* The others; then the server starts. */
static inline void rig_ready(struct rig *rig)
{
	end_make(rig, &rig->sc, "sc1", SC_IP, "sc/sc1");
	end_make(rig, &rig->he, "cmts1", HE_IP, "he/cmts1");
	end_make(rig, &rig->cta, "alice", CTA_IP, NULL);
	rig->server->model->start(rig->server);
}

static inline void caller_stops(struct rig *rig)
{
	if (rig->media)
		rig->heard += media_counters(rig->media).received;
	media_stop(rig->media);
	rig->media = NULL;
}

/* What the caller and the controller hold of the call. */
static inline void others_forget(struct rig *rig)
{
	caller_stops(rig);
	ipsec_remove(rig->direct);
	rig->direct = NULL;
	if (rig->subkey)
		sm_destroy_key(rig->sc.sm, rig->subkey);
	rig->subkey = 0;
}

static inline void rig_free(struct rig *rig)
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

static inline void on_ready(void *ctx, bool ready)
{
	((struct end *)ctx)->ready = ready;
}

static inline bool secure(struct end *end)
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

static inline struct leg_news *offer(struct end *end, const char *leg, const struct offer *o)
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
static inline void caller_gets_key(struct rig *rig)
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

static inline struct leg_news *caller_invites(struct rig *rig, const char *leg, const char *call)
{
	char headers[128], body[512];
	struct text t = { body, sizeof body, 0, false };
	struct sdp sdp = { .ip = CTA_IP, .port = CTA_PORT };

	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", call);
	return invite(&rig->cta, leg, NUMBER, headers, body);
}

static inline void caller_hears(void *ctx, const char *bytes, size_t len)
{
	struct rig *rig = ctx;

	ck_assert_uint_lt(rig->text_len + len, sizeof rig->text);
	memcpy(rig->text + rig->text_len, bytes, len);
	rig->text_len += len;
	rig->text[rig->text_len] = '\0';
}

static inline void caller_talks(struct rig *rig, const struct leg_news *leg)
{
	struct media_request request = { .node = rig->cta.node, .sm = rig->cta.sm, .subkey = rig->direct->subkey,
		                         .label = LABEL_RTP, .initiator = true, .local_port = CTA_PORT,
		                         .peer_ip = leg->media.ip, .peer_port = leg->media.port,
		                         .payload_type = leg->media.payload_type,
		                         .mac = world_on(rig->world, "rtp.mac"), .source = MEDIA_TONE,
		                         .text = caller_hears, .ctx = rig };

	rig->media = media_start(&request);
	ck_assert_ptr_nonnull(rig->media);
}

#endif

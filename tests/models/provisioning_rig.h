/*
 * The back office on one link: a real KDC, provisioning CA and billing host; two signaling controllers, a centre's
 * terminal and CTAs made of the layers below the elements (RADIUS, TFTP, tickets, IPsec). A tap can lose, repeat or
 * hold any frame, and cut a node's power when it passes.
 *
 * The controllers do as the contract of V9 says: they do once what a state names, and answer it often; what they hold
 * is on disk.
 */
#ifndef TOLLGATE_TESTS_PROVISIONING_RIG_H
#define TOLLGATE_TESTS_PROVISIONING_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/authority.h"
#include "models/backend.h"
#include "models/billing_host.h"
#include "models/directory.h"
#include "models/message.h"
#include "models/provisioning_ca.h"
#include "models/radius_client.h"
#include "models/radius_server.h"
#include "models/wire/tftp.h"
#include "sim/ip.h"

#define POOL_SEED 11
#define KDC_IP 0x0a680009u
#define PCA_IP 0x0a68001eu
#define BH_IP 0x0a68001fu
#define SC1_IP 0x0a680005u
#define SC2_IP 0x0a680006u
#define CSR_IP 0x0a680014u
#define CTA_IP 0x0a680065u
#define BLOCKS "sc/sc1=2155550200-2155550204;sc/sc2=6105550200-6105550204"
#define DATA "name=Ada;address=1 Main Street;pay=invoice"
#define SUBSCRIBERS_MAX 16
#define STATES_MAX 64
#define REFUSALS_MAX 256
#define CTAS 2
#define QUIET_NS (1800 * NS_PER_S)

extern const struct model model_kdc;

static char rig_cache[] = "/tmp/tollgate-test-pca-XXXXXX"; /* key pairs, made once a program */

struct rig;

struct server { /* a stand-in for one of the operator's servers */
	struct rig *rig;
	struct node *node;
	char principal[32];
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct radius_client *client;
	struct radius_server *dynamic;
	/* A controller's disk. */
	struct { char number[RADIUS_TEXT_MAX], mac[RADIUS_TEXT_MAX],
	         options[RADIUS_TEXT_MAX]; } subscriber[SUBSCRIBERS_MAX];
	unsigned subscribers;
	struct { char state[RADIUS_TEXT_MAX]; const char *check; } answered[STATES_MAX];
	unsigned states, orders;
	const char *deny; /* NAKs every addition by this check */
	const char *deny_removal;
};

struct cta {
	struct rig *rig;
	struct node *node;
	uint8_t mac[6];
	char mac_text[18], key_name[16];
	uint32_t ip;
	struct der device_cert, operator_cert, coming;
	struct udp_socket listener, transfer;
	uint16_t peer_port;
	uint16_t block;        /* the last one taken */
	bool receiving;
	int64_t start_s;
	unsigned transfers, taken;
	const char *deny;      /* refuses every certificate by this check */
	const char *refused;   /* what it said of the one that came last; NULL */
	bool silent;
};

struct terminal { /* a request of the centre and what came of it */
	struct server *server;
	struct radius question;
	unsigned asked;
	bool answered, accepted;
	unsigned answers;
	char number[RADIUS_TEXT_MAX], why[RADIUS_TEXT_MAX], id[RADIUS_TEXT_MAX];
	uint32_t validity_s;
	sim_ns at_ns;
	struct event timer;
	bool patient;          /* asks again until it is answered */
};

struct rig_refusal {
	const struct node *at;
	char check[48];
};

enum harm { HARM_NONE, HARM_LOSE, HARM_TWICE, HARM_HOLD, HARM_RESTART };

struct rig {
	struct sim *sim;
	struct world *world;
	struct link *core;
	struct node *kdc, *pca, *bh;
	struct server sc1, sc2, csr;
	struct cta cta[CTAS];
	struct terminal terminal;
	struct rig_refusal refusals[REFUSALS_MAX];
	unsigned refusal_count;
	/* The tap. Frames are counted from when it is armed. */
	bool armed;
	unsigned frames;
	enum harm harm;
	unsigned at, at2;       /* which frame; a second one to lose */
	sim_ns hold_ns;
	void (*restart)(struct rig *rig);
	struct event restarting;
};

struct rig_setup {
	bool ipsec;
	const char *deny, *numbers;
	const char *patience_s;  /* NULL: the default */
	uint64_t seed;
	struct link_params link;
};

/* What was seen */

static inline void rig_refusal(void *ctx, const struct node *at, const char *check, uint32_t src_ip, uint64_t tag,
                               const char *detail)
{
	struct rig *r = ctx;
	struct rig_refusal *refusal = &r->refusals[r->refusal_count++ % REFUSALS_MAX];

	(void)src_ip, (void)tag, (void)detail;
	refusal->at = at;
	snprintf(refusal->check, sizeof refusal->check, "%s", check);
}

static inline unsigned rig_refused(const struct rig *r, const struct node *at, const char *check)
{
	unsigned n = 0;

	ck_assert_uint_le(r->refusal_count, REFUSALS_MAX);
	for (unsigned i = 0; i < r->refusal_count; i++)
		n += r->refusals[i].at == at && (!check || strcmp(r->refusals[i].check, check) == 0);
	return n;
}

static inline int64_t rig_get(struct node *node, const char *attribute)
{
	struct value value;

	ck_assert_msg(node->model->get(node, attribute, &value), "%s", attribute);
	return value.integer;
}

static inline struct verb_result rig_verb(struct node *node, const char *name, const struct arg *list, size_t count)
{
	struct verb_result result = { .error = "" };
	const struct verb *verb = node->model->verbs;

	while (verb->name && strcmp(verb->name, name) != 0)
		verb++;
	ck_assert_msg(verb->name != NULL, "%s", name);
	verb->fn(node, &(struct args){ list, count }, &result);
	return result;
}

/* A verb with one text; "" stands for nil. */
static inline const char *rig_text(struct node *node, const char *verb, const char *arg, const char *text)
{
	struct arg list = { arg, value_text(text) };
	struct verb_result result = rig_verb(node, verb, &list, 1);

	ck_assert_str_eq(result.error, "");
	return result.value.type == VALUE_TEXT ? result.value.text.bytes : "";
}

static inline int64_t rig_int(struct node *node, const char *verb, const char *number)
{
	struct arg list = { "number", value_text(number) };

	return rig_verb(node, verb, &list, 1).value.integer;
}

/* Harm on the way */

static inline void rig_on_restart(struct sim *sim, struct event *event)
{
	struct rig *r = event_owner(event, struct rig, restarting);

	(void)sim;
	r->restart(r);
}

static inline enum tap_verdict rig_tap(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                       struct packet *frame)
{
	struct rig *r = ctx;
	unsigned n = r->armed ? r->frames++ : 0;

	if (!r->armed || (n != r->at && n != r->at2))
		return TAP_PASS;
	switch (r->harm) {
	case HARM_LOSE:
		packet_free(frame);
		return TAP_TAKEN;
	case HARM_TWICE:
		link_inject(link, from, to, packet_copy(frame), r->hold_ns);
		return TAP_PASS;
	case HARM_HOLD:
		link_inject(link, from, to, frame, r->hold_ns);
		return TAP_TAKEN;
	case HARM_RESTART:
		if (!event_pending(&r->restarting))
			sim_after(r->sim, &r->restarting, 0, rig_on_restart, "test.restart");
		return TAP_PASS;
	default:
		return TAP_PASS;
	}
}

/* Controllers */

static inline int sc_place(const struct server *s, const char *number)
{
	for (unsigned i = 0; i < s->subscribers; i++)
		if (strcmp(s->subscriber[i].number, number) == 0)
			return (int)i;
	return -1;
}

static inline const char *sc_mac(const struct server *s, const char *number)
{
	int i = sc_place(s, number);

	return i < 0 ? "" : s->subscriber[i].mac;
}

static inline const char *sc_options(const struct server *s, const char *number)
{
	int i = sc_place(s, number);

	return i < 0 ? "" : s->subscriber[i].options;
}

static inline const char *sc_do(struct server *s, const struct radius *q)
{
	int i = sc_place(s, q->called_station);

	s->orders++;
	if (q->code == RADIUS_DISCONNECT_REQUEST) {
		if (s->deny_removal)
			return s->deny_removal;
		if (i >= 0)
			s->subscriber[i] = s->subscriber[--s->subscribers];
		return NULL;
	}
	ck_assert_str_eq(q->connect_info, "subscriber");
	if (s->deny)
		return s->deny;
	if (i < 0)
		i = (int)s->subscribers++;
	ck_assert_int_lt(i, SUBSCRIBERS_MAX);
	snprintf(s->subscriber[i].number, RADIUS_TEXT_MAX, "%s", q->called_station);
	snprintf(s->subscriber[i].mac, RADIUS_TEXT_MAX, "%s", q->calling_station);
	snprintf(s->subscriber[i].options, RADIUS_TEXT_MAX, "%s", q->filter_id);
	return NULL;
}

static inline void sc_order(void *ctx, const struct radius_asked *asked)
{
	struct server *s = ctx;
	const struct radius *q = &asked->question;
	unsigned i = 0;

	ck_assert_str_eq(asked->principal, "pca/pca1");
	ck_assert_str_ne(q->state, "");
	while (i < s->states && strcmp(s->answered[i].state, q->state) != 0)
		i++;
	ck_assert_uint_lt(i, STATES_MAX);
	if (i == s->states) {
		s->states++;
		snprintf(s->answered[i].state, RADIUS_TEXT_MAX, "%s", q->state);
		s->answered[i].check = sc_do(s, q);
	}
	radius_server_judge(s->dynamic, asked, s->answered[i].check);
}

static inline bool server_authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip,
                                    const char **check)
{
	struct server *s = ctx;

	*check = "test.check_service";
	return directory_service_ip(world_directory(s->rig->world), accepted->ticket.client.name) == from_ip;
}

static inline void server_power_on(struct server *s)
{
	key_management_reset(s->km);
	radius_client_reset(s->client);
	radius_server_reset(s->dynamic);
}

static inline void server_restart(struct server *s)
{
	backend_reset(s->backend);
	ipsec_reset(s->ipsec);
	server_power_on(s);
}

static inline void server_make(struct rig *r, struct server *s, const char *kind, const char *name, uint32_t ip)
{
	struct key_management_owner owner = { .ctx = s, .authorise = server_authorise };
	struct backend_config backend = { .principal = s->principal, .kdc_ip = KDC_IP };

	s->rig = r;
	s->node = backend.node = node_new(r->sim, name);
	iface_new(s->node, r->core, "eth0", NULL, ip, 24);
	snprintf(s->principal, sizeof s->principal, "%s/%s", kind, name);
	s->sm = world_module(r->world, s->node, "module");
	backend.server_key = world_server_key(r->world, s->sm, s->principal);
	s->ipsec = backend.ipsec = ipsec_new(s->node, s->sm, true);
	s->km = backend.km = key_management_new(s->node, s->ipsec, s->principal, backend.server_key, &owner);
	s->backend = backend_new(&backend);
	s->client = radius_client_new(s->node, s->ipsec);
	s->dynamic = radius_server_new(s->node, s->ipsec, RADIUS_DYNAMIC_PORT, sc_order, s);
	directory_service_add(world_directory(r->world), s->principal, ip);
	server_power_on(s);
}

static inline void server_end(struct server *s)
{
	radius_client_free(s->client);
	radius_server_free(s->dynamic);
	backend_free(s->backend);
	key_management_free(s->km);
	ipsec_free(s->ipsec);
	sm_free(s->sm);
}

/* CTAs: the server's side of a write request */

static inline void cta_put(struct udp_socket *socket, uint32_t ip, uint16_t port, const struct tftp *m)
{
	uint8_t bytes[600];
	size_t len = tftp_write(m, bytes, sizeof bytes);
	struct packet *p = packet_new(socket->node->sim, (uint32_t)len);

	ck_assert_uint_gt(len, 0);
	memcpy(packet_append(p, (uint32_t)len), bytes, len);
	udp_send(socket, 0, ip, port, p);
}

/* What V12 says: the operator's signature, our key, and a later start than what is here; the same once more is fine. */
static inline const char *cta_judge(struct cta *c)
{
	struct crypto *crypto = world_crypto(c->rig->world);
	struct der ours = { 0 }, theirs = { 0 };
	struct cert_facts facts;
	bool same;

	if (c->deny)
		return c->deny;
	if (!cert_read(c->coming.bytes, c->coming.len, &facts) || facts.kind != CERT_OPERATOR ||
	    cert_verify(crypto, &c->coming, NULL, 0, world_authority(c->rig->world, AUTHORITY_OPERATOR), 1,
	                sim_unix_s(c->rig->sim), false) != CERT_OK)
		return "cta.verify_certificate";
	ck_assert(cert_public_key(c->device_cert.bytes, c->device_cert.len, &ours));
	ck_assert(cert_public_key(c->coming.bytes, c->coming.len, &theirs));
	same = ours.len == theirs.len && memcmp(ours.bytes, theirs.bytes, ours.len) == 0;
	der_free(&ours);
	der_free(&theirs);
	if (!same)
		return "cta.check_key";
	same = c->operator_cert.len == c->coming.len &&
	       memcmp(c->operator_cert.bytes, c->coming.bytes, c->coming.len) == 0;
	if (!same && c->operator_cert.len && facts.not_before_s <= c->start_s)
		return "cta.check_start_time";
	c->start_s = facts.not_before_s;
	return NULL;
}

static inline void cta_answer(struct cta *c, const char *check)
{
	struct tftp m = { .kind = check ? TFTP_ERROR : TFTP_ACK, .block = c->block, .error = TFTP_ACCESS };

	if (check)
		m.message = span_of(check);
	cta_put(&c->transfer, PCA_IP, c->peer_port, &m);
}

static inline void cta_data(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct cta *c = socket->ctx;
	struct tftp m;

	if (!tftp_parse(packet->data, packet->len, &m) || from->sport != c->peer_port || m.kind != TFTP_DATA)
		return;
	if (m.block == c->block + 1 && c->receiving) {
		c->coming.bytes = sim_realloc(c->coming.bytes, c->coming.len + m.data.len + 1);
		memcpy(c->coming.bytes + c->coming.len, m.data.at, m.data.len);
		c->coming.len += m.data.len;
		c->block = m.block;
		if (m.data.len < TFTP_BLOCK_DEFAULT) {
			c->receiving = false;
			c->refused = cta_judge(c);
			if (!c->refused) {
				der_free(&c->operator_cert);
				c->operator_cert = c->coming;
				c->coming = (struct der){ NULL, 0 };
				c->taken++;
			}
		}
	}
	if (m.block == c->block)
		cta_answer(c, c->refused);
}

static inline void cta_request(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct cta *c = socket->ctx;
	struct tftp m;

	if (c->silent)
		return;
	ck_assert(tftp_parse(packet->data, packet->len, &m));
	ck_assert_int_eq(m.kind, TFTP_WRITE);
	ck_assert(span_is(m.file, "operator.cer") && !m.netascii);
	if (c->receiving && c->block == 0 && c->peer_port == from->sport) {
		cta_answer(c, NULL); /* a copy of the request */
		return;
	}
	c->transfers++;
	der_free(&c->coming);
	c->coming = (struct der){ NULL, 0 };
	udp_unbind(&c->transfer);
	udp_bind(c->node, &c->transfer, 0, cta_data, c);
	c->peer_port = from->sport;
	c->block = 0;
	c->receiving = true;
	c->refused = NULL;
	cta_answer(c, NULL);
}

static inline void cta_restart(struct cta *c)
{
	udp_unbind(&c->transfer);
	c->receiving = false;
	der_free(&c->coming);
	c->coming = (struct der){ NULL, 0 };
}

static inline void cta_make(struct rig *r, unsigned i)
{
	struct cta *c = &r->cta[i];
	char name[16];

	c->rig = r;
	snprintf(name, sizeof name, "cta%u", i);
	snprintf(c->key_name, sizeof c->key_name, "cta/%u", i);
	memcpy(c->mac, (uint8_t[]){ 0x00, 0x11, 0x22, 0x33, 0x44, (uint8_t)(0x50 + i) }, 6);
	snprintf(c->mac_text, sizeof c->mac_text, "00:11:22:33:44:%02X", 0x50 + i);
	c->ip = CTA_IP + i;
	c->node = node_new(r->sim, name);
	iface_new(c->node, r->core, "eth0", c->mac, c->ip, 24);
	world_device_certificate(r->world, c->key_name, 1024, c->mac, &c->device_cert);
	ck_assert(udp_bind(c->node, &c->listener, TFTP_PORT, cta_request, c));
}

static inline void cta_end(struct cta *c)
{
	udp_unbind(&c->listener);
	udp_unbind(&c->transfer);
	der_free(&c->device_cert);
	der_free(&c->operator_cert);
	der_free(&c->coming);
}

/* The whole */

static inline void rig_element(struct node *node, const struct model *model, const struct arg *list, size_t count)
{
	char error[MODEL_ERROR_LEN] = "";

	node->model = model;
	ck_assert_msg(model->create(node, &(struct args){ list, count }, error), "%s", error);
	model->start(node);
}

static inline struct node *rig_node(struct rig *r, const char *name, uint32_t ip)
{
	struct node *node = node_new(r->sim, name);

	iface_new(node, r->core, "eth0", NULL, ip, 24);
	return node;
}

static inline void rig_elements(struct rig *r, const struct rig_setup *setup)
{
	struct arg kdc[] = { { "restricted_numbers", value_text("") } };
	struct arg bh[] = { { "kdc", { .type = VALUE_NODE, .node = r->kdc } },
	                    { "terms", value_text("20.00 a month") } };
	struct arg pca[] = { { "kdc", { .type = VALUE_NODE, .node = r->kdc } },
	                     { "billing", { .type = VALUE_NODE, .node = r->bh } },
		             { "numbers", value_text(setup->numbers ? setup->numbers : BLOCKS) },
		             { "deny", value_text(setup->deny ? setup->deny : "") },
		             { "certificate_lifetime", value_time(730 * 86400 * NS_PER_S) },
		             { "repair_lifetime", value_time(8 * 3600 * NS_PER_S) },
		             { "patience",
		               value_time((setup->patience_s ? atoi(setup->patience_s) : 300) * NS_PER_S) } };

	rig_element(r->kdc, &model_kdc, kdc, 1);
	rig_element(r->bh, &model_billing_host, bh, 2);
	rig_element(r->pca, &model_provisioning_ca, pca, 7);
}

static inline void rig_make(struct rig *r, const struct rig_setup *setup)
{
	static const struct trace_ops ops = { .refusal = rig_refusal };
	static const struct link_params lan = { .delay_ns = NS_PER_MS };
	char error[MODEL_ERROR_LEN];

	memset(r, 0, sizeof *r);
	r->at = r->at2 = ~0u;
	r->sim = sim_new(setup->seed ? setup->seed : 3, SIM_DEFAULT_EPOCH_S);
	trace_attach(r->sim, &ops, r, TRACE_REFUSAL);
	r->world = world_new(r->sim, POOL_SEED, rig_cache);
	ck_assert(world_switch_set(r->world, "backend.ipsec", setup->ipsec ? "on" : "off", error));
	r->core = link_new(r->sim, "core", setup->link.delay_ns ? &setup->link : &lan);
	r->core->tap = rig_tap;
	r->core->tap_ctx = r;
	r->kdc = rig_node(r, "kdc1", KDC_IP);
	r->bh = rig_node(r, "bh1", BH_IP);
	r->pca = rig_node(r, "pca1", PCA_IP);
	rig_elements(r, setup);
	server_make(r, &r->sc1, "sc", "sc1", SC1_IP);
	server_make(r, &r->sc2, "sc", "sc2", SC2_IP);
	server_make(r, &r->csr, "csr", "csr1", CSR_IP);
	for (unsigned i = 0; i < CTAS; i++)
		cta_make(r, i);
}

static inline void rig_end(struct rig *r)
{
	sim_cancel(r->sim, &r->terminal.timer);
	sim_cancel(r->sim, &r->restarting);
	server_end(&r->sc1);
	server_end(&r->sc2);
	server_end(&r->csr);
	for (unsigned i = 0; i < CTAS; i++)
		cta_end(&r->cta[i]);
	sim_free(r->sim);
	world_free(r->world);
}

static inline void rig_run(struct rig *r, sim_ns for_ns)
{
	sim_run(r->sim, r->sim->now_ns + for_ns);
}

/* Questions of a stand-in: what came of the last one */

struct reply {
	bool answered;
	struct radius answer; /* code 0: none came */
};
struct asking {
	struct server *server;
	uint32_t ip;
	struct radius question;
	struct reply *reply;
};

static inline void on_reply(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct asking *a = ctx;

	(void)tag;
	a->reply->answered = true;
	if (answer)
		a->reply->answer = *answer;
	else
		backend_drop(a->server->backend, a->ip);
}

static inline void on_ready(void *ctx, bool ready)
{
	struct asking *a = ctx;

	if (!ready || !radius_client_ask(a->server->client, a->ip, &a->question, on_reply, a))
		a->reply->answered = true;
}

static inline struct reply server_ask(struct server *s, uint32_t ip, const struct radius *question)
{
	struct reply reply = { .answered = false };
	struct asking a = { s, ip, *question, &reply };

	backend_ensure(s->backend, ip, on_ready, &a);
	for (int i = 0; i < 60000 && !reply.answered; i++)
		rig_run(s->rig, 10 * NS_PER_MS);
	ck_assert(reply.answered);
	return reply;
}

/* V3 */
static inline struct radius report_of(const struct cta *c)
{
	struct radius q = { .code = RADIUS_ACCESS_REQUEST, .connect_info = "device", .framed_ip = c->ip };

	snprintf(q.user_name, sizeof q.user_name, "%s", c->mac_text);
	memcpy(q.certificate, c->device_cert.bytes, c->device_cert.len);
	q.certificate_len = (uint16_t)c->device_cert.len;
	return q;
}

static inline void report(struct server *sc, const struct cta *c)
{
	struct radius q = report_of(c);

	ck_assert_int_eq(server_ask(sc, PCA_IP, &q).answer.code, RADIUS_ACCESS_ACCEPT);
}

/* V7, as a terminal asks: with the same state until it has an answer */

static inline void terminal_ask(struct terminal *t);

static inline void terminal_again(struct sim *sim, struct event *event)
{
	(void)sim;
	terminal_ask(event_owner(event, struct terminal, timer));
}

static inline void terminal_pause(struct terminal *t)
{
	if (!event_pending(&t->timer))
		sim_after(t->server->rig->sim, &t->timer, 5 * NS_PER_S, terminal_again, "test.again");
}

static inline void terminal_reply(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct terminal *t = ctx;

	(void)tag;
	if (!answer) {
		backend_drop(t->server->backend, PCA_IP);
		terminal_pause(t);
		return;
	}
	t->answered = true;
	t->answers++;
	t->at_ns = t->server->rig->sim->now_ns;
	t->accepted = answer->code == RADIUS_ACCESS_ACCEPT;
	snprintf(t->number, sizeof t->number, "%s", answer->called_station);
	snprintf(t->why, sizeof t->why, "%s", answer->reply_message);
	snprintf(t->id, sizeof t->id, "%s", answer->class_);
	t->validity_s = answer->session_timeout_s;
}

static inline void terminal_ready(void *ctx, bool ready)
{
	struct terminal *t = ctx;

	if (!ready || !radius_client_ask(t->server->client, PCA_IP, &t->question, terminal_reply, t))
		terminal_pause(t);
}

static inline void terminal_ask(struct terminal *t)
{
	t->asked++;
	backend_ensure(t->server->backend, PCA_IP, terminal_ready, t);
}

static inline struct radius request_of(const char *kind, const struct cta *c, const char *number, const char *options)
{
	static unsigned count;
	struct radius q = { .code = RADIUS_ACCESS_REQUEST, .framed_ip = c ? c->ip : 0 };

	snprintf(q.connect_info, sizeof q.connect_info, "%s", kind);
	snprintf(q.state, sizeof q.state, "P-%u", ++count);
	if (strcmp(kind, "new") == 0 || strcmp(kind, "repair") == 0)
		snprintf(q.user_name, sizeof q.user_name, "%s", DATA);
	snprintf(q.called_station, sizeof q.called_station, "%s", number);
	snprintf(q.filter_id, sizeof q.filter_id, "%s", options);
	return q;
}

static inline void request_start(struct rig *r, const struct radius *q)
{
	struct terminal *t = &r->terminal;

	ck_assert(!event_pending(&t->timer));
	*t = (struct terminal){ .server = &r->csr, .question = *q };
	terminal_ask(t);
}

/* Until the terminal has its answer and nothing is under way. */
static inline void request_end(struct rig *r)
{
	sim_ns end_ns = r->sim->now_ns + QUIET_NS;

	while (r->sim->now_ns < end_ns && (!r->terminal.answered || rig_get(r->pca, "under_way")))
		rig_run(r, 10 * NS_PER_MS);
	ck_assert_msg(r->terminal.answered, "no answer");
	ck_assert_int_eq(rig_get(r->pca, "under_way"), 0);
}

static inline void request(struct rig *r, const char *kind, const struct cta *c, const char *number,
                           const char *options)
{
	struct radius q = request_of(kind, c, number, options);

	request_start(r, &q);
	request_end(r);
}

/* I10: provisioning CA, billing host and controllers agree about every number there is. */
static inline void check_agreement(struct rig *r)
{
	static const char *const blocks[] = { "21555502", "61055502" };
	unsigned known = 0;

	for (unsigned b = 0; b < 2; b++)
		for (unsigned n = 0; n < 5; n++) {
			struct server *here = b ? &r->sc2 : &r->sc1, *there = b ? &r->sc1 : &r->sc2;
			char number[16], id[32], options[RADIUS_TEXT_MAX];

			snprintf(number, sizeof number, "%s%02u", blocks[b], n);
			snprintf(id, sizeof id, "%s", rig_text(r->pca, "customer", "number", number));
			snprintf(options, sizeof options, "%s", rig_text(r->pca, "options", "number", number));
			ck_assert_str_eq(rig_text(r->bh, "customer", "number", number), id);
			ck_assert_str_eq(rig_text(r->bh, "options", "number", number), options);
			ck_assert_int_eq(sc_place(here, number) >= 0, id[0] != '\0');
			ck_assert_str_eq(sc_options(here, number), options);
			ck_assert_int_lt(sc_place(there, number), 0);
			known += id[0] != '\0';
		}
	ck_assert_int_eq(rig_get(r->pca, "customers") + rig_get(r->pca, "repairs"), known);
	ck_assert_int_eq(rig_get(r->bh, "accounts") + rig_get(r->bh, "repair_accounts"), known);
	ck_assert_uint_eq(r->sc1.subscribers + r->sc2.subscribers, known);
}

/* Makes the key pairs that every test needs. */
static inline void rig_fill_cache(void)
{
	static const struct { const char *name; unsigned bits; } keys[] = {
		{ "authority/manufacturer-root", 2048 }, { "authority/manufacturer", 2048 },
		{ "authority/operator-root", 2048 },
		{ "authority/operator", 2048 }, { "kdc/kdc1", WORLD_KDC_BITS }, { "cta/0", 1024 }, { "cta/1", 1024 },
	};
	struct crypto *crypto = crypto_new();
	struct key_pool *pool = key_pool_new(crypto, POOL_SEED, rig_cache);
	size_t len;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		key_pool_get(pool, keys[i].name, keys[i].bits, &len);
	key_pool_free(pool);
	crypto_free(crypto);
}

/* Runs a suite with a cache of key pairs, which goes with it. */
static inline int rig_main(Suite *suite)
{
	char command[64];
	SRunner *runner;
	int failed;

	if (!mkdtemp(rig_cache))
		return EXIT_FAILURE;
	rig_fill_cache();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	snprintf(command, sizeof command, "rm -rf %s", rig_cache);
	return system(command) != 0 || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

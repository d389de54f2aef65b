/*
 * A real signaling controller with its own KDC on a line with clients whose software is the test's: each has what a
 * customer has (a secure module, a ticket in its own name, SIP over ESP) and says what the test wants. For tests of
 * what a controller makes of hostile customers.
 */
#ifndef TOLLGATE_TESTS_CALL_RIG_H
#define TOLLGATE_TESTS_CALL_RIG_H

#include "crypto/derive.h"
#include "models/call_control.h"
#include "models/signaling_controller.h"
#include "tests/models/kdc_rig.h"

#define CLIENTS 4
#define CALLER 0
#define CALLEE 1
#define MALLORY 2
#define FOURTH 3
#define CALL_RIG_RECORDS 64

struct client {
	struct call_rig *rig;
	struct node *node;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct sip_endpoint *sip;
	struct krb_credentials ticket;
	char number[SUBSCRIBER_NUMBER_LEN];
	uint32_t ip;
	bool deaf;                   /* follows no wake-ups */
	unsigned woken, keyed;
	/* its newest leg, and what has been said on it */
	struct sip_leg *leg;
	unsigned invited, answered, acknowledged, cancelled, hung_up, ended, informed, rejected;
	int status;                  /* of the newest rejection */
	bool silent;                 /* does not answer an INVITE */
	int refuse;                  /* answers with this status instead */
	bool no_ack, keep_ack;       /* sends none, or one without a proof */
	const struct client *proof;  /* whose key it proves; NULL: its own */
	uint32_t media_ip;           /* it offers; 0: its own */
	key_handle key;
	uint32_t spi;
};

struct call_rig {
	struct sim *sim;
	struct world *world;
	struct link *link;
	struct node *sc;
	struct client client[CLIENTS];
	struct trace_record record[CALL_RIG_RECORDS];
	char record_caller[CALL_RIG_RECORDS][SUBSCRIBER_NUMBER_LEN];
	unsigned records;
	struct rig_refusal refusal[256];
	unsigned refusals, illegal_steps;
	unsigned dialled, over;      /* calls of real CTAs */
};

static inline void call_rig_record(void *ctx, const struct trace_record *record)
{
	struct call_rig *r = ctx;

	ck_assert_uint_lt(r->records, CALL_RIG_RECORDS);
	snprintf(r->record_caller[r->records], SUBSCRIBER_NUMBER_LEN, "%s", record->account);
	r->record[r->records++] = *record; /* its texts are the call's: not to be read later */
}

/* Endings as their callers tell of them. */
static inline void call_rig_call(void *ctx, const struct trace_call *call)
{
	struct call_rig *r = ctx;

	r->dialled += strcmp(call->event, "dialled") == 0;
	r->over += strcmp(call->event, "failed") == 0 || strcmp(call->event, "released") == 0;
}

static inline void call_rig_refusal(void *ctx, const struct node *at, const char *check, uint32_t src, uint64_t tag, const char *detail)
{
	struct call_rig *r = ctx;

	(void)src, (void)tag, (void)detail;
	if (r->refusals == sizeof r->refusal / sizeof r->refusal[0])
		return;
	r->refusal[r->refusals].at = at;
	snprintf(r->refusal[r->refusals++].check, sizeof r->refusal[0].check, "%s", check);
}

static inline void call_rig_step(void *ctx, const struct node *node, const struct machine *machine, unsigned before, unsigned event,
                                 unsigned after, bool refused)
{
	(void)node, (void)machine, (void)before, (void)event, (void)after;
	((struct call_rig *)ctx)->illegal_steps += refused;
}

/* How often the controller refused by this check. */
static inline unsigned refused(const struct call_rig *r, const char *check)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->refusals; i++)
		n += r->refusal[i].at == r->sc && strcmp(r->refusal[i].check, check) == 0;
	return n;
}

/* What a client hears */

static inline void client_describe(const struct client *c, char body[256])
{
	struct text t = { body, 256, 0, false };
	struct sdp sdp = { .ip = c->media_ip ? c->media_ip : c->ip, .port = 16384, .payload_type = 0 };

	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
	ck_assert(!t.full);
}

static inline bool client_take_key(struct client *c, struct span body)
{
	const struct association *a = ipsec_find(c->ipsec, c->rig->sc->ifaces->ip, LABEL_CTA_SC);
	struct sdp sdp;
	key_handle key = a && sdp_parse(body, &sdp) ? call_key_unwrap_any(a, sdp.key) : 0;

	if (!key)
		return false;
	sm_destroy_key(c->sm, c->key);
	c->key = key;
	c->spi = sdp.spi;
	return true;
}

static inline void client_proof(const struct client *c, char out[CALL_PROOF_LEN])
{
	const struct client *whose = c->proof ? c->proof : c;

	ck_assert(call_key_proof(whose->sm, whose->key, whose->spi, out));
}

static inline bool client_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	struct client *c = ctx;
	char body[256], proof[CALL_PROOF_LEN];

	(void)from;
	c->invited++;
	c->leg = leg;
	sip_leg_set_owner(leg, c);
	if (c->silent)
		return true;
	if (c->refuse || !client_take_key(c, invite->body)) {
		sip_leg_answer(leg, c->refuse ? c->refuse : 488, "", "");
		return true;
	}
	client_describe(c, body);
	client_proof(c, proof);
	sip_leg_answer(leg, 200, proof, body);
	return true;
}

static inline void client_heard(struct sip_leg *leg, const struct sip_message *response)
{
	(void)leg, (void)response;
}

static inline void client_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct client *c = sip_leg_owner(leg);
	char proof[CALL_PROOF_LEN];

	c->answered++;
	ck_assert(client_take_key(c, response->body));
	if (c->no_ack)
		return;
	client_proof(c, proof);
	sip_leg_ack(leg, c->keep_ack ? "" : proof);
}

static inline void client_over(struct client *c, struct sip_leg *leg)
{
	sip_leg_release(leg);
	if (c->leg == leg)
		c->leg = NULL;
}

static inline void client_rejected(struct sip_leg *leg, int status)
{
	struct client *c = sip_leg_owner(leg);

	c->rejected++;
	c->status = status;
	client_over(c, leg);
}

static inline void client_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	((struct client *)sip_leg_owner(leg))->acknowledged += ack != NULL;
}

static inline void client_cancelled(struct sip_leg *leg)
{
	((struct client *)sip_leg_owner(leg))->cancelled++;
}

static inline void client_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct client *c = sip_leg_owner(leg);

	(void)bye;
	c->hung_up++;
	client_over(c, leg);
}

static inline void client_ended(struct sip_leg *leg, bool timed_out)
{
	struct client *c = sip_leg_owner(leg);

	(void)timed_out;
	c->ended++;
	client_over(c, leg);
}

static inline void client_informed(struct sip_leg *leg, const struct sip_message *info)
{
	struct client *c = sip_leg_owner(leg);

	c->informed++;
	if (!c->deaf && span_is(sip_header(info, HEADER_EVENT), EVENT_PRESENT_ASK))
		sip_leg_inform(leg, HEADER_EVENT ": " EVENT_PRESENT "\r\n");
}

static const struct sip_owner client_owner = {
	.invited = client_invited, .progress = client_heard, .answered = client_answered, .rejected = client_rejected,
	.acknowledged = client_acknowledged, .cancelled = client_cancelled, .hung_up = client_hung_up, .ended = client_ended,
	.informed = client_informed,
};

static inline void client_keyed(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	(void)association, (void)krb_error;
	((struct client *)ctx)->keyed += outcome == AP_ESTABLISHED;
}

static inline bool client_key(struct client *c, uint32_t nonce)
{
	return key_management_initiate(c->km, c->rig->sc->ifaces->ip, &c->ticket, LABEL_CTA_SC, nonce, client_keyed, c);
}

static inline bool client_wake(void *ctx, uint32_t server_ip, const char *principal, uint32_t nonce)
{
	struct client *c = ctx;

	(void)server_ip, (void)principal;
	c->woken++;
	if (!c->deaf)
		client_key(c, nonce);
	return !c->deaf;
}

static inline void client_unknown_spi(void *ctx, uint32_t ip)
{
	struct client *c = ctx;

	if (ip == c->rig->sc->ifaces->ip && !c->deaf)
		client_key(c, 0);
}

/* A ticket as its KDC would give it: name is a phone ID in hex or a MAC. */
static inline void client_ticket(struct client *c, const char *name, bool restricted, const char *only)
{
	struct krb_ticket_facts facts = { .auth_time_s = sim_unix_s(c->rig->sim), .start_time_s = sim_unix_s(c->rig->sim),
		                          .end_time_s = sim_unix_s(c->rig->sim) + 86400, .restricted = restricted };
	key_handle key = world_server_key(c->rig->world, c->sm, signaling_controller_principal(c->rig->sc));

	if (only)
		snprintf(facts.numbers[facts.number_count++], KRB_NUMBER_LEN, "%s", only);
	ck_assert(krb_name_set(&facts.client, name, WORLD_REALM));
	ck_assert(krb_name_set(&facts.server, signaling_controller_principal(c->rig->sc), WORLD_REALM));
	krb_credentials_free(c->sm, &c->ticket);
	ck_assert(krb_self_issue(c->sm, key, &facts, &c->ticket));
	sm_destroy_key(c->sm, key);
}

/* A subscriber's ticket: of the number's phone ID. */
static inline void client_ticket_of(struct client *c, const char *number)
{
	uint8_t id[PHONE_ID_LEN];
	char name[2 * PHONE_ID_LEN + 1];

	ck_assert(phone_id(world_crypto(c->rig->world), number, id));
	hex_encode(id, sizeof id, name);
	client_ticket(c, name, false, NULL);
}

static inline void client_make(struct call_rig *r, unsigned n)
{
	static const char *const names[CLIENTS] = { "caller", "callee", "mallory", "fourth" };
	struct client *c = &r->client[n];
	struct key_management_owner owner = { .ctx = c, .wake_up = client_wake };

	c->rig = r;
	c->node = node_new(r->sim, names[n]);
	c->ip = 0x0a000010 + n;
	iface_new(c->node, r->link, "eth0", NULL, c->ip, 24);
	snprintf(c->number, sizeof c->number, "215555010%u", n);
	c->sm = world_module(r->world, c->node, "module");
	c->ipsec = ipsec_new(c->node, c->sm, false);
	ipsec_on_unknown_spi(c->ipsec, client_unknown_spi, c);
	c->km = key_management_new(c->node, c->ipsec, "", 0, &owner);
	key_management_reset(c->km);
	c->sip = sip_endpoint_new(c->node, c->ipsec, &client_owner, c);
	sip_endpoint_reset(c->sip);
	ck_assert(signaling_controller_subscribe(r->sc, c->number, c->node->ifaces->mac, c->ip));
	client_ticket_of(c, c->number);
}

static inline void call_rig_make(struct call_rig *r)
{
	static const struct trace_ops ops = { .record = call_rig_record, .call = call_rig_call, .refusal = call_rig_refusal, .step = call_rig_step };
	static const struct link_params lan = { .delay_ns = NS_PER_MS };
	struct arg list[] = { { "association_lifetime", value_time(3600 * NS_PER_S) }, { "ticket_lifetime", value_time(86400 * NS_PER_S) } };
	char error[MODEL_ERROR_LEN];

	memset(r, 0, sizeof *r);
	r->sim = sim_new(5, SIM_DEFAULT_EPOCH_S);
	trace_attach(r->sim, &ops, r, TRACE_REFUSAL | TRACE_CALL | TRACE_STEP);
	r->world = world_new(r->sim, POOL_SEED, rig_cache);
	ck_assert(world_switch_set(r->world, "kdc.check_mac_ip", "off", error)); /* there is no head-end */
	r->link = link_new(r->sim, "lan", &lan);
	r->sc = node_new(r->sim, "sc1");
	iface_new(r->sc, r->link, "eth0", NULL, 0x0a000001, 24);
	rig_element(r->sc, &model_signaling_controller, list, 2);
	for (unsigned n = 0; n < CLIENTS; n++)
		client_make(r, n);
}

static inline void call_rig_run(struct call_rig *r, sim_ns for_ns)
{
	sim_run(r->sim, r->sim->now_ns + for_ns);
}

static inline int64_t sc_get(const struct call_rig *r, const char *attribute)
{
	return rig_get(r->sc, attribute);
}

/* Nothing is left of any call. */
static inline void call_rig_expect_clean(const struct call_rig *r)
{
	ck_assert_int_eq(sc_get(r, "calls"), 0);
	ck_assert_int_eq(sc_get(r, "call_keys"), 0);
	ck_assert_int_eq(sc_get(r, "parties"), 0);
	ck_assert_int_eq(sc_get(r, "associations"), 0);
	ck_assert_uint_eq(r->illegal_steps, 0);
}

static inline void call_rig_end(struct call_rig *r)
{
	for (unsigned n = 0; n < CLIENTS; n++) {
		struct client *c = &r->client[n];

		sip_endpoint_free(c->sip);
		key_management_free(c->km);
		ipsec_free(c->ipsec);
		krb_credentials_free(c->sm, &c->ticket);
		sm_free(c->sm);
	}
	sim_free(r->sim);
	world_free(r->world);
}

/* An association of its own, in case it has none. */
static inline void client_secure(struct client *c)
{
	if (ipsec_find(c->ipsec, c->rig->sc->ifaces->ip, LABEL_CTA_SC))
		return;
	ck_assert(client_key(c, 0));
	call_rig_run(c->rig, 100 * NS_PER_MS);
}

/* An INVITE that says what the test wants. from NULL: its own number. */
static inline struct sip_leg *client_dial(struct client *c, const char *id, const char *from, const char *to)
{
	char body[256], headers[128];
	struct sip_invite invite = { .peer_ip = c->rig->sc->ifaces->ip, .call_id = id, .from_user = from ? from : c->number,
		                     .to_user = to, .headers = headers, .body = body };

	client_secure(c);
	client_describe(c, body);
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", id);
	c->leg = sip_leg_invite(c->sip, &invite, c);
	return c->leg;
}

#endif

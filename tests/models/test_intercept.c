/*
 * Lawful intercept, its dialogue: a source controller, the other controller of the call, a third one, an agency and a
 * KDC on one link. Intercept, RADIUS, ESP, AP exchange, agency and KDC are the real ones; the table of calls is the
 * test's own, so that calls stand where a case wants them and a controller can lie. Real calls through it:
 * scenarios/calls/wiretap.lua.
 */
#include <check.h>
#include <dirent.h>
#include <unistd.h>
#include "crypto/derive.h"
#include "crypto/rtp_cipher.h"
#include "models/directory.h"
#include "models/intercept.h"
#include "models/wire/rtp.h"
#include "tests/sim/net_fixture.h"

extern const struct model model_kdc, model_law_enforcement;

#define KDC_IP 0x0a010009
#define LEA_IP 0x0a010030
#define ALICE_IP 0x0a010041
#define BOB_IP 0x0a010042
#define CALLER_PORT 16384
#define CALLEE_PORT 16390
#define ALICE "2155550101"
#define BOB "6105550102"
#define HOUR_NS (3600 * NS_PER_S)
#define RTP_ROOM (RTP_HEADER_LEN + RTP_PAYLOAD_LEN + RTP_SEAL_EXTRA_MAX)

/* The test's table of calls in the place of call control */

struct call {
	struct call *next;
	struct call_control *control;
	const char *id;
	bool source, up, local;
	uint32_t near_ip, far_ip;
	key_handle subkey;
	char *cookie;
};
struct call_control {
	struct secure_module *sm;
	struct call *calls;
};
const struct machine_def call_control_machine = { .name = "call control" };

struct call_control *call_control_new(const struct call_control_config *config)
{
	struct call_control *c = sim_alloc(sizeof *c);

	c->sm = ipsec_module(config->ipsec);
	return c;
}

static void call_end(struct call *call)
{
	struct call **at = &call->control->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	call_drop_subkey(call);
	free(call->cookie);
	free(call);
}

void call_control_reset(struct call_control *c)
{
	while (c->calls)
		call_end(c->calls);
}

void call_control_free(struct call_control *c)
{
	call_control_reset(c);
	free(c);
}

struct call_counters call_control_counters(const struct call_control *c)
{
	struct call_counters counters = { 0 };

	for (const struct call *call = c->calls; call; call = call->next)
		counters.keys += call->subkey != 0;
	return counters;
}

struct call *call_control_first(const struct call_control *c)
{
	return c->calls;
}

struct call *call_next(const struct call *call)
{
	return call->next;
}

struct call *call_control_find(const struct call_control *c, const char *id)
{
	struct call *call = c->calls;

	while (call && strcmp(call->id, id) != 0)
		call = call->next;
	return call;
}

const char *call_id(const struct call *call)
{
	return call->id;
}

const char *call_caller(const struct call *call)
{
	(void)call;
	return ALICE;
}

const char *call_callee(const struct call *call)
{
	(void)call;
	return BOB;
}

bool call_is_source(const struct call *call)
{
	return call->source;
}

bool call_is_up(const struct call *call)
{
	return call->up;
}

key_handle call_subkey(const struct call *call)
{
	return call->subkey;
}

void call_drop_subkey(struct call *call)
{
	sm_destroy_key(call->control->sm, call->subkey);
	call->subkey = 0;
}

bool call_far_is_controller(const struct call *call)
{
	return !call->local;
}

uint32_t call_far_ip(const struct call *call)
{
	return call->far_ip;
}

uint32_t call_near_ip(const struct call *call)
{
	return call->near_ip;
}

void call_media(const struct call *call, struct sdp *caller, struct sdp *callee)
{
	(void)call;
	*caller = (struct sdp){ .ip = ALICE_IP, .port = CALLER_PORT };
	*callee = (struct sdp){ .ip = BOB_IP, .port = CALLEE_PORT };
}

void call_set_cookie(struct call *call, const char *cookie)
{
	free(call->cookie);
	call->cookie = sim_strdup(cookie);
}

const char *call_cookie(const struct call *call)
{
	return call->cookie;
}

static char cache[] = "/tmp/test_intercept.XXXXXX"; /* key pairs, made once for all cases */

/* Controllers, and what a case makes one do */

#define SERVERS 3
enum { SOURCE, HOLDER, THIRD };

struct server {
	struct node *node;
	char principal[16];
	uint32_t ip;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct radius_client *questions;
	struct radius_server *answers, *accounts;
	struct call_control *calls;
	struct intercept *intercept;
	bool mute;                    /* does not answer */
	bool hold;                    /* keeps the next question for the case to pass on */
	struct radius_asked held;
	const struct radius *forged;  /* answered whatever was asked */
	bool forge_key;               /* and with a key the agency can unwrap */
	unsigned asked;
};

struct rig {
	struct sim *sim;
	struct world *world;
	struct link *link;
	struct server server[SERVERS];
	struct node *lea, *kdc, *alice, *bob;
	struct udp_socket caller, callee;
	struct watcher watcher;
	unsigned answers;             /* of radius_client_ask() by a case itself */
	enum radius_code answer_code;
	char answer_text[RADIUS_TEXT_MAX];
};

static void forge(struct server *s, const struct radius_asked *asked)
{
	struct radius answer = *s->forged;
	key_handle key = sm_generate_des3(s->sm, "call.subkey");
	char wrapped[CALL_KEY_TEXT_LEN];

	ck_assert(call_key_wrap(ipsec_find(s->ipsec, asked->ip, LABEL_SERVER), key, wrapped));
	sm_destroy_key(s->sm, key);
	if (s->forge_key)
		snprintf(answer.class_, sizeof answer.class_, "%s", wrapped);
	radius_server_answer(s->answers, asked, &answer);
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct server *s = ctx;

	s->asked++;
	if (s->hold)
		s->held = *asked;
	else if (s->forged)
		forge(s, asked);
	else if (!s->mute)
		ck_assert(intercept_question(s->intercept, asked));
}

static void on_account(void *ctx, const struct radius_asked *asked)
{
	struct server *s = ctx;

	s->asked++;
	if (!s->mute)
		ck_assert(intercept_account(s->intercept, asked));
}

static void server_destroy(struct node *node)
{
	struct server *s = node->state;

	intercept_free(s->intercept);
	call_control_free(s->calls);
	radius_server_free(s->answers);
	radius_server_free(s->accounts);
	radius_client_free(s->questions);
	backend_free(s->backend);
	key_management_free(s->km);
	ipsec_free(s->ipsec);
	sm_free(s->sm);
}

static struct node *node_on(struct rig *r, const char *name, uint32_t ip)
{
	struct node *node = node_new(r->sim, name);

	iface_new(node, r->link, "eth0", NULL, ip, 24);
	return node;
}

static void server_make(struct rig *r, unsigned nth, enum intercept_form form)
{
	struct server *s = &r->server[nth];
	char name[8];
	struct key_management_owner anyone = { .ctx = s };
	struct backend_config backend = { .principal = s->principal, .self_issue = true };
	struct call_control_config calls = { .principal = s->principal };
	struct intercept_config config = { .form = form };

	snprintf(name, sizeof name, "sc%u", nth + 1);
	snprintf(s->principal, sizeof s->principal, "sc/%s", name);
	s->ip = 0x0a010010 + nth;
	s->node = backend.node = calls.node = config.node = node_on(r, name, s->ip);
	s->node->state = s;
	s->node->destroy = server_destroy;
	s->sm = world_module(r->world, s->node, "module");
	s->ipsec = backend.ipsec = calls.ipsec = config.ipsec = ipsec_new(s->node, s->sm, true);
	s->km = backend.km = key_management_new(s->node, s->ipsec, s->principal,
	                                        world_server_key(r->world, s->sm, s->principal), &anyone);
	s->backend = config.backend = backend_new(&backend);
	s->questions = config.questions = radius_client_new(s->node, s->ipsec);
	s->answers = config.answers = radius_server_new(s->node, s->ipsec, RADIUS_AUTH_PORT, on_question, s);
	s->accounts = config.accounts = radius_server_new(s->node, s->ipsec, RADIUS_ACCT_PORT, on_account, s);
	s->calls = config.calls = call_control_new(&calls);
	s->intercept = intercept_new(&config);
	key_management_reset(s->km);
	radius_client_reset(s->questions);
	radius_server_reset(s->answers);
	radius_server_reset(s->accounts);
	directory_service_add(world_directory(r->world), s->principal, s->ip);
}

#define TEXT(n, t) { n, { .type = VALUE_TEXT, .text = { t, strlen(t) } } }

static bool make(struct node *node, const struct model *model, const struct arg *list, size_t count,
                 char error[MODEL_ERROR_LEN])
{
	node->model = model;
	if (!model->create(node, &(struct args){ list, count }, error))
		return false;
	model->start(node);
	return true;
}

static bool make_agency(struct rig *r, struct node *node, char error[MODEL_ERROR_LEN])
{
	const struct arg args[] = { { "kdc", { .type = VALUE_NODE, .node = r->kdc } },
		                    { "tap", { .type = VALUE_LINK, .link = r->link } } };

	return make(node, &model_law_enforcement, args, 2, error);
}

static void deaf(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)socket, (void)packet, (void)from;
}

/* off: a switch that is off; NULL: none */
static void rig_make_without(struct rig *r, enum intercept_form form, const char *off)
{
	static const struct link_params params = { .delay_ns = NS_PER_MS };
	const struct arg kdc[] = { { "ticket_lifetime", { .type = VALUE_TIME, .integer = 24 * HOUR_NS } },
		                   TEXT("restricted_numbers", "") };
	char error[MODEL_ERROR_LEN] = "";

	memset(r, 0, sizeof *r);
	r->sim = sim_new(3, SIM_DEFAULT_EPOCH_S);
	r->world = world_new(r->sim, 7, cache);
	ck_assert(!off || world_switch_set(r->world, off, "off", error));
	r->link = link_new(r->sim, "lan", &params);
	r->kdc = node_on(r, "kdc1", KDC_IP);
	ck_assert_msg(make(r->kdc, &model_kdc, kdc, 2, error), "%s", error);
	for (unsigned i = 0; i < SERVERS; i++)
		server_make(r, i, form);
	r->lea = node_on(r, "lea", LEA_IP);
	ck_assert_msg(make_agency(r, r->lea, error), "%s", error);
	r->alice = node_on(r, "alice", ALICE_IP);
	r->bob = node_on(r, "bob", BOB_IP);
	udp_bind(r->alice, &r->caller, CALLER_PORT, deaf, r);
	udp_bind(r->bob, &r->callee, CALLEE_PORT, deaf, r);
	watch(r->sim, &r->watcher, TRACE_REFUSAL);
}

static void rig_make(struct rig *r, enum intercept_form form)
{
	rig_make_without(r, form, NULL);
}

static void rig_end(struct rig *r)
{
	sim_free(r->sim);
	world_free(r->world);
}

static void run_for(struct rig *r, sim_ns for_ns)
{
	sim_run(r->sim, r->sim->now_ns + for_ns);
}

/* A call between the source and the holder, its sub-key made and proven by both ends. */
static struct call *call_at(struct rig *r, unsigned nth, const char *id)
{
	struct call *call = sim_alloc(sizeof *call);

	call->control = r->server[nth].calls;
	call->id = id;
	call->source = nth == SOURCE;
	call->up = true;
	call->near_ip = call->source ? ALICE_IP : r->server[SOURCE].ip;
	call->far_ip = call->source ? r->server[HOLDER].ip : BOB_IP;
	call->next = call->control->calls;
	call->control->calls = call;
	if (call->source)
		call->subkey = sm_generate_des3(call->control->sm, "call.subkey");
	return call;
}

static struct call *talk(struct rig *r, const char *id)
{
	struct call *call = call_at(r, SOURCE, id);

	call_at(r, HOLDER, id);
	intercept_established(r->server[SOURCE].intercept, call);
	return call;
}

static struct call *at_holder(const struct rig *r, const char *id)
{
	return call_control_find(r->server[HOLDER].calls, id);
}

static void warrant(struct rig *r, sim_ns lasts_ns)
{
	ck_assert(intercept_warrant(r->server[SOURCE].intercept, ALICE, "lea/lea", r->sim->now_ns + lasts_ns));
}

static uint64_t released(const struct rig *r)
{
	return intercept_released(r->server[SOURCE].intercept);
}

/* The agency as a scenario uses it */

static struct object *request_call(struct rig *r, const char *number, const char *call)
{
	const struct arg list[] = { TEXT("number", number), TEXT("call", call),
		                    { "from", { .type = VALUE_NODE, .node = r->server[SOURCE].node } } };
	struct args args = { list, 3 };
	struct verb_result result = { .error = "" };

	model_law_enforcement.verbs[0].fn(r->lea, &args, &result);
	ck_assert_str_eq(result.error, "");
	result.value.object->refs++;
	return result.value.object;
}

static struct object *request(struct rig *r)
{
	return request_call(r, "215-555-0101", "");
}

static void drop(struct object *object)
{
	if (--object->refs == 0)
		object->class_->free(object);
}

static void forget(struct object *object)
{
	struct verb_result result = { .error = "" };

	object->class_->verbs[0].fn(object, &(struct args){ NULL, 0 }, &result);
	ck_assert_str_eq(result.error, "");
}

static int64_t number_of(struct object *object, const char *attribute)
{
	struct value value;

	ck_assert_msg(object->class_->get(object, attribute, &value), "%s is not known", attribute);
	return value.type == VALUE_BOOL ? value.boolean : value.integer;
}

static int64_t agency_has(const struct rig *r, const char *attribute)
{
	struct value value;

	ck_assert(model_law_enforcement.get(r->lea, attribute, &value));
	return value.integer;
}

static void came_out(struct object *object, bool granted, const char *by)
{
	struct value value;

	ck_assert(object->class_->get(object, "by", &value));
	ck_assert_str_eq(value.text.bytes, by);
	ck_assert_int_eq(number_of(object, "granted"), granted);
}

/* Asks and holds the outcome against what is expected. */
static void asks(struct rig *r, bool granted, const char *by)
{
	struct object *release = request(r);

	run_for(r, 5 * NS_PER_S);
	came_out(release, granted, by);
	if (granted)
		forget(release);
	else
		ck_assert_int_eq(number_of(release, "packets"), 0);
	ck_assert_int_eq(agency_has(r, "keys"), 0);
	drop(release);
}

/* Voice: one packet from caller to callee or back under a key that a controller's module has; 0: bytes of no key */

static void say(struct rig *r, struct secure_module *sm, key_handle key, bool to_callee, bool mac)
{
	const enum esp_direction way = to_callee ? ESP_UP : ESP_DOWN;
	struct rtp_cipher *cipher = key ? rtp_cipher_new(sm, key, LABEL_RTP, way, "", mac) : NULL;
	struct packet *packet = packet_new(r->sim, RTP_ROOM);
	uint8_t *bytes = packet_append(packet, RTP_ROOM);
	size_t len = RTP_HEADER_LEN + RTP_PAYLOAD_LEN;

	memset(bytes, 0x5a, RTP_ROOM);
	rtp_write(bytes, &(struct rtp_header){ .payload_type = 8, .sequence = 7, .timestamp = 9, .ssrc = 5 });
	len = cipher ? rtp_seal(cipher, bytes, len) : 176;
	rtp_cipher_free(cipher);
	packet_trim(packet, (uint32_t)(RTP_ROOM - len));
	if (to_callee)
		udp_send(&r->caller, 0, BOB_IP, CALLEE_PORT, packet);
	else
		udp_send(&r->callee, 0, ALICE_IP, CALLER_PORT, packet);
	run_for(r, 20 * NS_PER_MS);
}

/* Kept keys */

START_TEST(nothing_without_a_warrant)
{
	static const struct { const char *digits, *to; sim_ns lasts_ns; const char *by; } rows[] = {
		{ "2155550999", "lea/lea", HOUR_NS, "intercept.authorise" }, /* another number */
		{ ALICE, "lea/else", HOUR_NS, "intercept.authorise" },       /* another agency */
		{ ALICE, "lea/le", HOUR_NS, "intercept.authorise" },
		{ ALICE, "lea/lea", 1, "intercept.authorise" },              /* over when the question comes */
		{ ALICE, "lea/lea", HOUR_NS, "" },
		{ BOB, "lea/lea", HOUR_NS, "intercept.authorise" },          /* the callee's is not asked for */
	};
	struct rig *r = sim_alloc(sizeof *r);
	const int i = _i;

	rig_make(r, INTERCEPT_KEPT);
	talk(r, "call-1");
	asks(r, false, "intercept.authorise");
	ck_assert(intercept_warrant(r->server[SOURCE].intercept, rows[i].digits, rows[i].to,
	                            r->sim->now_ns + rows[i].lasts_ns));
	asks(r, rows[i].by[0] == '\0', rows[i].by);
	ck_assert_uint_eq(released(r), rows[i].by[0] == '\0');
	ck_assert_uint_eq(r->server[SOURCE].asked, 2); /* none was repeated */
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(warrants_end)
{
	struct rig *r = sim_alloc(sizeof *r);

	rig_make(r, INTERCEPT_KEPT);
	talk(r, "call-1");
	warrant(r, 10 * NS_PER_S);
	asks(r, true, "");
	run_for(r, 5 * NS_PER_S); /* asks() took five, too */
	asks(r, false, "intercept.authorise");
	warrant(r, HOUR_NS);
	warrant(r, 2 * HOUR_NS);
	asks(r, true, "");
	ck_assert(intercept_revoke(r->server[SOURCE].intercept, ALICE)); /* all of the number */
	asks(r, false, "intercept.authorise");
	ck_assert(!intercept_revoke(r->server[SOURCE].intercept, ALICE));
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(warrants_have_a_limit)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct intercept *i;

	rig_make(r, INTERCEPT_KEPT);
	i = r->server[SOURCE].intercept;
	for (unsigned n = 0; n < WARRANTS_MAX; n++)
		ck_assert(intercept_warrant(i, ALICE, "lea/lea", NS_PER_S));
	ck_assert(!intercept_warrant(i, BOB, "lea/lea", HOUR_NS));
	run_for(r, NS_PER_S);
	ck_assert(intercept_warrant(i, BOB, "lea/lea", HOUR_NS)); /* those that are over make room */
	ck_assert(!intercept_revoke(i, ALICE));
	warrant(r, HOUR_NS); /* two are left when the controller goes */
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(calls_that_are_not)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct call *call;
	struct object *one, *other;
	struct value value;

	rig_make(r, INTERCEPT_KEPT);
	warrant(r, HOUR_NS);
	asks(r, false, "intercept.no_call");
	call = talk(r, "call-1");
	call->up = false;
	asks(r, false, "intercept.no_call");
	call->up = true;
	call->source = false;
	asks(r, false, "intercept.no_call"); /* another controller's to yield */
	call->source = true;
	talk(r, "call-2");
	one = request_call(r, ALICE, "call-1");
	other = request_call(r, ALICE, "call-3");
	run_for(r, 5 * NS_PER_S);
	came_out(one, true, "");
	ck_assert(one->class_->get(one, "call", &value));
	ck_assert_str_eq(value.text.bytes, "call-1");
	came_out(other, false, "intercept.no_call");
	drop(one);
	drop(other);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(the_key_opens_the_voice)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct secure_module *sm;
	struct object *release;
	struct call *call;
	key_handle other;
	const bool mac = _i;

	rig_make(r, INTERCEPT_KEPT);
	sm = r->server[SOURCE].sm;
	call = talk(r, "call-1");
	other = sm_generate_des3(sm, "call.subkey");
	warrant(r, HOUR_NS);
	for (int i = 0; i < 3; i++)
		say(r, sm, call->subkey, true, mac);
	say(r, sm, call->subkey, false, mac);
	release = request(r);
	ck_assert_int_eq(number_of(release, "ready"), 0);
	run_for(r, NS_PER_S);
	came_out(release, true, "");
	ck_assert_int_eq(number_of(release, "to_callee"), 3);
	ck_assert_int_eq(number_of(release, "to_caller"), 1);
	for (int i = 0; i < 5; i++)
		say(r, sm, call->subkey, false, mac);
	say(r, sm, other, true, mac);  /* between the places, under another key, */
	say(r, sm, 0, false, mac);     /* and none at all */
	ck_assert_int_eq(number_of(release, "packets"), 11);
	ck_assert_int_eq(number_of(release, "decrypted"), 9);
	ck_assert_int_eq(number_of(release, "to_caller"), 6);
	ck_assert_int_eq(agency_has(r, "recorded"), 11);
	ck_assert_int_eq(agency_has(r, "keys"), 1);
	forget(release);
	say(r, sm, call->subkey, true, mac);
	ck_assert_int_eq(number_of(release, "packets"), 11);
	ck_assert_int_eq(agency_has(r, "recorded"), 12);
	ck_assert_int_eq(agency_has(r, "keys"), 0);
	forget(release); /* harmless */
	drop(release);
	sm_destroy_key(sm, other);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(keys_die_with_who_holds_them)
{
	struct rig *r = sim_alloc(sizeof *r);
	uint8_t id[KEY_ID_LEN];
	struct object *release;
	struct call *call;

	rig_make(r, INTERCEPT_KEPT);
	call = talk(r, "call-1");
	warrant(r, HOUR_NS);
	sm_key_id(r->server[SOURCE].sm, call->subkey, id);
	release = request(r);
	run_for(r, NS_PER_S);
	came_out(release, true, "");
	call_end(call);
	ck_assert_uint_gt(world_key_holders(r->world, id), 0);
	if (_i == 0)
		forget(release);
	else
		model_law_enforcement.restart(r->lea);
	ck_assert_uint_eq(world_key_holders(r->world, id), 0);
	came_out(release, true, "");
	drop(release);
	rig_end(r);
	free(r);
}
END_TEST

/* Cookies */

START_TEST(cookie_there_and_back)
{
	struct rig *r = sim_alloc(sizeof *r);
	uint8_t id[KEY_ID_LEN];
	struct object *release;
	struct call *call;

	rig_make(r, INTERCEPT_COOKIE);
	call = talk(r, "call-1");
	sm_key_id(r->server[SOURCE].sm, call->subkey, id);
	warrant(r, HOUR_NS);
	asks(r, true, ""); /* at once: the cookie is still on its way, or has arrived */
	run_for(r, 5 * NS_PER_S);
	ck_assert_uint_eq(call->subkey, 0);
	ck_assert_ptr_nonnull(call_cookie(at_holder(r, "call-1")));
	ck_assert_uint_eq(world_key_holders(r->world, id), 0); /* the key is in no module at all */
	release = request(r);
	run_for(r, 5 * NS_PER_S);
	came_out(release, true, "");
	ck_assert_uint_eq(call->subkey, 0);
	ck_assert_uint_gt(world_key_holders(r->world, id), 0);
	forget(release);
	ck_assert_uint_eq(world_key_holders(r->world, id), 0);
	drop(release);
	call_end(call);
	asks(r, false, "intercept.no_call");
	rig_end(r);
	free(r);
}
END_TEST

/* A call within the segment has no other controller. */
START_TEST(local_call_is_kept)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct call *call;

	rig_make(r, INTERCEPT_COOKIE);
	call = call_at(r, SOURCE, "call-1");
	call->local = true;
	intercept_established(r->server[SOURCE].intercept, call);
	run_for(r, 5 * NS_PER_S);
	ck_assert_uint_ne(call->subkey, 0);
	warrant(r, HOUR_NS);
	asks(r, true, "");
	ck_assert_uint_eq(r->server[HOLDER].asked, 0);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(holder_gives_something_else)
{
	static const char *const checks[] = { "cookie.integrity", "cookie.integrity", "cookie.integrity", "cookie.gone",
		                              "cookie.gone" };
	struct rig *r = sim_alloc(sizeof *r);
	char *cookie;

	rig_make(r, INTERCEPT_COOKIE);
	talk(r, "call-1");
	talk(r, "call-2");
	warrant(r, HOUR_NS);
	run_for(r, 5 * NS_PER_S);
	cookie = sim_strdup(call_cookie(at_holder(r, "call-2")));
	if (_i == 0) { /* that of another call of the same controller (attack S4); call-2 is the newest */
		call_set_cookie(at_holder(r, "call-2"), call_cookie(at_holder(r, "call-1")));
	} else if (_i == 1) {
		cookie[20] = cookie[20] == 'A' ? 'B' : 'A';
		call_set_cookie(at_holder(r, "call-2"), cookie);
	} else if (_i == 2) {
		call_set_cookie(at_holder(r, "call-2"), "short");
	} else if (_i == 3) {
		call_end(at_holder(r, "call-2"));
	} else { /* restarted, the call set up again by nobody's fault */
		call_end(at_holder(r, "call-2"));
		call_at(r, HOLDER, "call-2");
	}
	asks(r, false, checks[_i]);
	ck_assert_uint_eq(released(r), 0);
	free(cookie);
	rig_end(r);
	free(r);
}
END_TEST

/* S4: cookies that change places, with and without a key for each (_i). */
START_TEST(swapped_cookies)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct intercept *holder;

	rig_make_without(r, INTERCEPT_COOKIE, _i ? "cookie.bind" : NULL);
	holder = r->server[HOLDER].intercept;
	talk(r, "call-1");
	talk(r, "call-2");
	warrant(r, HOUR_NS);
	run_for(r, 5 * NS_PER_S);
	ck_assert(!intercept_swap_cookies(holder, "call-1", "call-3"));
	ck_assert(!intercept_swap_cookies(holder, "call-3", "call-1"));
	ck_assert(!intercept_swap_cookies(r->server[SOURCE].intercept, "call-1", "call-2"));
	ck_assert(intercept_swap_cookies(holder, "call-1", "call-2"));
	asks(r, _i, _i ? "" : "cookie.integrity");
	ck_assert_uint_eq(released(r), _i);
	ck_assert(intercept_swap_cookies(holder, "call-2", "call-1")); /* and back */
	asks(r, true, "");
	ck_assert_uint_eq(released(r), _i + 1);
	rig_end(r);
	free(r);
}
END_TEST

/* S8: nobody has a warrant. _i: the switch is off. */
START_TEST(nobody_has_a_warrant)
{
	struct rig *r = sim_alloc(sizeof *r);

	rig_make_without(r, _i & 2 ? INTERCEPT_COOKIE : INTERCEPT_KEPT, _i & 1 ? "intercept.authorise" : NULL);
	talk(r, "call-1");
	run_for(r, 5 * NS_PER_S);
	asks(r, _i & 1, _i & 1 ? "" : "intercept.authorise");
	ck_assert_uint_eq(released(r), _i & 1);
	rig_end(r);
	free(r);
}
END_TEST

static void got_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct rig *r = ctx;

	(void)tag;
	r->answers += answer != NULL;
	if (answer) {
		r->answer_code = answer->code;
		snprintf(r->answer_text, sizeof r->answer_text, "%s", answer->reply_message);
	}
}

static void ready(void *ctx, bool ok)
{
	(void)ctx;
	ck_assert(ok);
}

/* Any controller has an association; only the one that brought the call parks and fetches. */
START_TEST(strangers)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct server *third;
	struct radius fetch = { .code = RADIUS_ACCESS_REQUEST, .user_name = "cookie", .acct_session_id = "call-1" };
	struct radius park = { .code = RADIUS_ACCOUNTING_REQUEST, .acct_status = 1, .class_ = "mine",
		               .acct_session_id = "call-1" };
	char *cookie;

	rig_make(r, INTERCEPT_COOKIE);
	third = &r->server[THIRD];
	talk(r, "call-1");
	run_for(r, 5 * NS_PER_S);
	cookie = sim_strdup(call_cookie(at_holder(r, "call-1")));
	backend_ensure(third->backend, r->server[HOLDER].ip, ready, r);
	run_for(r, 5 * NS_PER_S);
	ck_assert(radius_client_ask(third->questions, r->server[HOLDER].ip, &fetch, got_answer, r));
	run_for(r, NS_PER_S);
	ck_assert_uint_eq(r->answers, 1);
	ck_assert_int_eq(r->answer_code, RADIUS_ACCESS_REJECT);
	ck_assert_str_eq(r->answer_text, "cookie.stranger");
	ck_assert(radius_client_ask(third->questions, r->server[HOLDER].ip, &park, got_answer, r));
	run_for(r, NS_PER_S / 2);
	ck_assert_str_eq(r->watcher.check, "cookie.stranger");
	ck_assert_uint_eq(r->answers, 1);
	ck_assert_str_eq(call_cookie(at_holder(r, "call-1")), cookie);
	/* And the source gets none of a call that it did not bring: one with the same identifier from elsewhere. */
	at_holder(r, "call-1")->near_ip = third->ip;
	warrant(r, HOUR_NS);
	asks(r, false, "cookie.gone");
	free(cookie);
	rig_end(r);
	free(r);
}
END_TEST

/* A cookie that nobody took stays what it was: a key at its source. */
START_TEST(parking_that_fails)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct call *call;

	rig_make(r, INTERCEPT_COOKIE);
	r->server[HOLDER].mute = _i == 0;
	call = talk(r, "call-1");
	if (_i == 1)
		call_end(at_holder(r, "call-1"));
	run_for(r, 60 * NS_PER_S);
	ck_assert_uint_ne(call->subkey, 0);
	ck_assert_uint_gt(r->server[HOLDER].asked, 1); /* repeated */
	warrant(r, HOUR_NS);
	asks(r, true, "");
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(holder_is_silent)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *release;

	rig_make(r, INTERCEPT_COOKIE);
	talk(r, "call-1");
	warrant(r, HOUR_NS);
	run_for(r, 5 * NS_PER_S);
	r->server[HOLDER].mute = true;
	release = request(r);
	run_for(r, COOKIE_TIMEOUT_NS - NS_PER_S);
	ck_assert_int_eq(number_of(release, "ready"), 0);
	run_for(r, 2 * NS_PER_S);
	came_out(release, false, "cookie.timeout");
	drop(release);
	r->server[HOLDER].mute = false;
	asks(r, true, ""); /* the old errand is still waiting: it is in nobody's way */
	run_for(r, 60 * NS_PER_S);
	ck_assert_uint_eq(released(r), 1);
	asks(r, true, "");
	rig_end(r);
	free(r);
}
END_TEST

/* What was right when the question came must be right when the key leaves. */
START_TEST(things_change_during_a_fetch)
{
	static const char *const checks[] = { "intercept.authorise", "intercept.authorise", "intercept.no_call", "" };
	struct rig *r = sim_alloc(sizeof *r);
	struct server *holder;
	struct object *release;
	struct call *call;
	unsigned refusals;

	rig_make(r, INTERCEPT_COOKIE);
	holder = &r->server[HOLDER];
	call = talk(r, "call-1");
	run_for(r, 5 * NS_PER_S);
	warrant(r, _i == 1 ? 2 * NS_PER_S : HOUR_NS);
	holder->hold = true;
	release = request(r);
	run_for(r, 5 * NS_PER_S);
	ck_assert_uint_ne(holder->held.ip, 0);
	ck_assert_uint_gt(r->server[SOURCE].asked, 1); /* the agency has asked again meanwhile */
	refusals = r->watcher.refusals;
	if (_i == 0)
		intercept_revoke(r->server[SOURCE].intercept, ALICE);
	else if (_i == 2)
		call_end(call);
	holder->hold = false;
	ck_assert(intercept_question(holder->intercept, &holder->held));
	run_for(r, 5 * NS_PER_S);
	came_out(release, checks[_i][0] == '\0', checks[_i]);
	ck_assert_uint_eq(released(r), checks[_i][0] == '\0');
	/* One answer, and no second that surprises. */
	ck_assert_uint_eq(r->watcher.refusals - refusals, checks[_i][0] != '\0');
	drop(release);
	rig_end(r);
	free(r);
}
END_TEST

/* Loss and restarts */

START_TEST(lost_answer)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *release;

	rig_make(r, INTERCEPT_KEPT);
	talk(r, "call-1");
	warrant(r, HOUR_NS);
	asks(r, true, ""); /* the association stands */
	release = request(r);
	run_for(r, 3 * NS_PER_MS / 2); /* the question has arrived, its answer is on the line */
	ck_assert_uint_eq(released(r), 2);
	r->link->down = true;
	run_for(r, NS_PER_S / 2);
	ck_assert_int_eq(number_of(release, "ready"), 0);
	r->link->down = false;
	run_for(r, NS_PER_S);
	came_out(release, true, "");
	ck_assert_uint_eq(released(r), 3); /* answered again */
	drop(release);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(no_answer)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *release;

	rig_make(r, INTERCEPT_KEPT);
	talk(r, "call-1");
	warrant(r, HOUR_NS);
	if (_i == 0)
		r->server[SOURCE].mute = true;
	else
		r->link->down = true; /* not even a ticket */
	release = request(r);
	run_for(r, 300 * NS_PER_S);
	came_out(release, false, "no answer");
	drop(release);
	r->server[SOURCE].mute = false;
	r->link->down = false;
	asks(r, true, "");
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(agency_restarts)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *waiting, *held;
	struct call *call;

	rig_make(r, INTERCEPT_KEPT);
	call = talk(r, "call-1");
	warrant(r, HOUR_NS);
	held = request(r);
	run_for(r, NS_PER_S);
	say(r, r->server[SOURCE].sm, call->subkey, true, false);
	waiting = request(r);
	model_law_enforcement.restart(r->lea);
	came_out(waiting, false, "no answer");
	came_out(held, true, "");
	ck_assert_int_eq(agency_has(r, "keys"), 0);
	ck_assert_int_eq(agency_has(r, "recorded"), 1);
	say(r, r->server[SOURCE].sm, call->subkey, true, false);
	ck_assert_int_eq(number_of(held, "packets"), 1);
	drop(held);
	drop(waiting);
	held = request(r); /* what was recorded before opens again */
	run_for(r, 10 * NS_PER_S);
	came_out(held, true, "");
	ck_assert_int_eq(number_of(held, "decrypted"), 2);
	drop(held);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(controller_restarts_during_a_fetch)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct server *source;
	struct object *release;

	rig_make(r, INTERCEPT_COOKIE);
	source = &r->server[SOURCE];
	talk(r, "call-1");
	warrant(r, HOUR_NS);
	run_for(r, 5 * NS_PER_S);
	r->server[HOLDER].mute = true;
	release = request(r);
	run_for(r, NS_PER_S / 2);
	intercept_reset(source->intercept);
	call_control_reset(source->calls);
	backend_reset(source->backend);
	ipsec_reset(source->ipsec);
	radius_client_reset(source->questions);
	r->server[HOLDER].mute = false;
	run_for(r, 60 * NS_PER_S);
	came_out(release, false, "intercept.no_call"); /* the question came again; calls did not survive */
	talk(r, "call-2");
	run_for(r, 5 * NS_PER_S);
	asks(r, true, ""); /* the warrant and the escrow key did */
	drop(release);
	rig_end(r);
	free(r);
}
END_TEST

/* The element goes while objects are held and requests are under way. */
START_TEST(objects_outlive_the_agency)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *waiting, *held;

	rig_make(r, INTERCEPT_KEPT);
	talk(r, "call-1");
	warrant(r, HOUR_NS);
	held = request(r);
	run_for(r, NS_PER_S);
	waiting = request(r);
	rig_end(r);
	came_out(held, true, "");
	ck_assert_int_eq(number_of(waiting, "ready"), 0);
	forget(held);
	drop(held);
	drop(waiting);
	free(r);
}
END_TEST

/* A controller that lies */

START_TEST(hostile_answers)
{
	static const struct { struct radius answer; bool key; const char *by; } rows[] = {
		{ { .code = RADIUS_ACCESS_ACCEPT }, true, "lea.malformed_answer" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .acct_session_id = "call-1", .calling_station = "10.1.0.65:16384",
		    .called_station = "10.1.0.66:16390" }, true, "" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .acct_session_id = "call-1", .calling_station = "10.1.0.65:16384",
		    .called_station = "10.1.0.66:16390", .class_ = "bm8ga2V5" }, false, "subkey.unwrap" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .acct_session_id = "call-2", .calling_station = "10.1.0.65:16384",
		    .called_station = "10.1.0.66:16390" }, true, "lea.other_call" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .acct_session_id = "call-1", .calling_station = "10.1.0.65:65536",
		    .called_station = "10.1.0.66:16390" }, true, "lea.malformed_answer" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .acct_session_id = "call-1", .calling_station = "10.1.0.65:",
		    .called_station = "10.1.0.66:16390" }, true, "lea.malformed_answer" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .acct_session_id = "call-1", .calling_station = "10.1.0.65:16384",
		    .called_station = "1111111111111111111111.2:3" }, true, "lea.malformed_answer" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .acct_session_id = "call-1", .calling_station = "10.1.0.65:0",
		    .called_station = "10.1.0.66:16390" }, true, "lea.malformed_answer" },
		{ { .code = RADIUS_ACCESS_ACCEPT, .calling_station = "10.1.0.65:16384", .called_station = "10.1.0.66:16390",
		    .acct_session_id = "0123456789012345678901234567890123456789012345678901234567890123" },
		  true, "lea.malformed_answer" },
		{ { .code = RADIUS_ACCOUNTING_RESPONSE, .acct_session_id = "call-1", .calling_station = "10.1.0.65:16384",
		    .called_station = "10.1.0.66:16390" }, true, "lea.malformed_answer" },
	};
	struct rig *r = sim_alloc(sizeof *r);
	struct object *release;

	rig_make(r, INTERCEPT_KEPT);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		r->server[SOURCE].forged = &rows[i].answer;
		r->server[SOURCE].forge_key = rows[i].key;
		release = request_call(r, ALICE, "call-1");
		run_for(r, 5 * NS_PER_S);
		came_out(release, rows[i].by[0] == '\0', rows[i].by);
		ck_assert_int_eq(agency_has(r, "keys"), rows[i].by[0] == '\0');
		if (!rows[i].by[0])
			forget(release);
		else
			ck_assert_str_eq(r->watcher.check, rows[i].by);
		drop(release);
	}
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(bad_arguments)
{
	struct rig *r = sim_alloc(sizeof *r);
	const struct { const char *number, *call; bool from_lea; const char *says; } rows[] = {
		{ "no digits", "", false, "telephone number" },
		{ ALICE, "0123456789012345678901234567890123456789012345678901234567890123", false, "identifier" },
		{ ALICE, "", true, "no signaling controller" },
	};
	char error[MODEL_ERROR_LEN] = "";

	rig_make(r, INTERCEPT_KEPT);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct arg list[] = { TEXT("number", rows[i].number), TEXT("call", rows[i].call),
			{ "from", { .type = VALUE_NODE, .node = rows[i].from_lea ? r->lea : r->server[SOURCE].node } } };
		struct args args = { list, 3 };
		struct verb_result result = { .error = "" };

		model_law_enforcement.verbs[0].fn(r->lea, &args, &result);
		ck_assert_msg(strstr(result.error, rows[i].says) != NULL, "%s", result.error);
		ck_assert_int_eq(result.value.type, VALUE_NIL);
	}
	ck_assert_int_eq(agency_has(r, "requests"), 0);
	ck_assert(!make_agency(r, node_on(r, "lea2", LEA_IP + 1), error));
	ck_assert_msg(strstr(error, "tapped already, by lea") != NULL, "%s", error);
	rig_end(r);
	free(r);
}
END_TEST

static void remove_cache(void)
{
	char path[512];
	DIR *d = opendir(cache);
	struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL) {
		snprintf(path, sizeof path, "%s/%.400s", cache, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(cache);
}

int main(void)
{
	Suite *suite = suite_create("intercept");
	TCase *kept = tcase_create("kept"), *cookie = tcase_create("cookie"), *trouble = tcase_create("trouble");
	int failed;

	if (!mkdtemp(cache))
		return 1;
	tcase_set_timeout(kept, 120);
	tcase_add_loop_test(kept, nothing_without_a_warrant, 0, 6);
	tcase_add_test(kept, warrants_end);
	tcase_add_test(kept, warrants_have_a_limit);
	tcase_add_test(kept, calls_that_are_not);
	tcase_add_loop_test(kept, the_key_opens_the_voice, 0, 2);
	tcase_add_loop_test(kept, keys_die_with_who_holds_them, 0, 2);
	suite_add_tcase(suite, kept);
	tcase_set_timeout(cookie, 120);
	tcase_add_test(cookie, cookie_there_and_back);
	tcase_add_test(cookie, local_call_is_kept);
	tcase_add_loop_test(cookie, holder_gives_something_else, 0, 5);
	tcase_add_loop_test(cookie, swapped_cookies, 0, 2);
	tcase_add_loop_test(cookie, nobody_has_a_warrant, 0, 4);
	tcase_add_test(cookie, strangers);
	tcase_add_loop_test(cookie, parking_that_fails, 0, 2);
	tcase_add_test(cookie, holder_is_silent);
	tcase_add_loop_test(cookie, things_change_during_a_fetch, 0, 4);
	suite_add_tcase(suite, cookie);
	tcase_set_timeout(trouble, 120);
	tcase_add_test(trouble, lost_answer);
	tcase_add_loop_test(trouble, no_answer, 0, 2);
	tcase_add_test(trouble, agency_restarts);
	tcase_add_test(trouble, controller_restarts_during_a_fetch);
	tcase_add_test(trouble, objects_outlive_the_agency);
	tcase_add_test(trouble, hostile_answers);
	tcase_add_test(trouble, bad_arguments);
	suite_add_tcase(suite, trouble);
	failed = run_suite(suite);
	remove_cache();
	return failed;
}

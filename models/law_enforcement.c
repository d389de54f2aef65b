/*
 * A law enforcement agency, the other end of lawful intercept (CALEA; patent [0099]-[0101]; flows.md 4): it has the
 * operator's copy of the voice on one link, and asks a source signaling controller for the key of a call. Without the
 * key it has cipher text; with it, it counts what the key opens.
 *
 * The copy is a tap through which everything passes untouched. It keeps the datagrams that an eavesdropper would take
 * for 20 ms of G.711 (models/wiretap.h), RECORDED_MAX of them, whoever they are of. The wire dialogue is in
 * models/intercept.h: what is known of a call, its places and its key, comes out of the controller's answer and
 * nowhere else.
 *
 * A packet is a call's when it travels between the two places that the controller released; a packet is decrypted when
 * the released key makes of it RTP of 160 bytes of G.711 behind a plain header (payload type 0 or 8). Under another
 * key about one packet in four million does. Places are ports that a CTA uses again after RTP_PORTS calls: recordings
 * of then would count as packets that the key does not open.
 *
 * A restart loses keys and requests, those unanswered as "no answer"; recordings are on disk.
 *
 * Refusals: "backend.ipsec", "radius.malformed", "radius.unexpected" (models/radius_client.h), "lea.check_service" (an
 * AP-REQ of one who is no server of the directory), "lea.malformed_answer", "lea.other_call", "subkey.unwrap".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "crypto/rtp_cipher.h"
#include "models/backend.h"
#include "models/call_key.h"
#include "models/directory.h"
#include "models/message.h"
#include "models/radius_client.h"
#include "models/subscriber.h"
#include "models/wire/rtp.h"
#include "models/wiretap.h"
#include "sim/service.h"

#define RECORDED_FIRST 256
#define RECORDED_MAX 131072      /* packets: 22 minutes of one call, both directions */
#define RECORDED_PACKET_MAX 184  /* the longest that models/wiretap.h takes for RTP */
#define NO_ANSWER "no answer"
#define PORT_MAX 65535

struct recorded { /* a datagram as it was on the link */
	sim_ns at_ns;
	uint32_t src, dst;
	uint16_t sport, dport, len;
	uint8_t bytes[RECORDED_PACKET_MAX];
};

struct place {
	uint32_t ip;
	uint16_t port;
};

enum way { TO_CALLEE, TO_CALLER, WAYS };

struct agency;

struct release { /* a request and what became of it */
	struct object object;
	struct agency *agency;          /* NULL: the element is gone */
	struct release *next, **link;   /* in the agency's list, which holds a reference; link NULL: not in it */
	char number[RADIUS_TEXT_MAX], wanted[CALL_ID_MAX + 1];
	uint32_t controller_ip;
	bool ready, granted;
	char by[RADIUS_TEXT_MAX];       /* the check that refused it */
	char call[CALL_ID_MAX + 1];
	key_handle subkey;              /* 0: not released, or forgotten */
	struct place caller, callee;
	struct rtp_cipher *ciphers[WAYS][2]; /* [1]: with MAC */
	int64_t packets, opened[WAYS];
};

struct agency {
	struct node *node;
	char principal[KRB_NAME_MAX + 1];
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct radius_client *questions;
	struct release *releases;       /* unanswered, or with a key */
	struct recorded *recorded;
	uint32_t recorded_count, recorded_room;
	uint64_t unrecorded, requests;
};

/* Releases and their keys */

static void release_free(struct object *object)
{
	free(object);
}

static void release_hold(struct agency *a, struct release *r)
{
	struct release **at = &a->releases;

	while (*at)
		at = &(*at)->next;
	*at = r;
	r->link = at;
	r->object.refs++;
}

static void release_let_go(struct release *r)
{
	if (!r->link)
		return;
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	r->link = NULL;
	r->next = NULL;
	if (--r->object.refs == 0)
		release_free(&r->object);
}

static void destroy_key(struct release *r)
{
	for (unsigned way = 0; way < WAYS; way++)
		for (unsigned mac = 0; mac < 2; mac++) {
			rtp_cipher_free(r->ciphers[way][mac]);
			r->ciphers[way][mac] = NULL;
		}
	sm_destroy_key(r->agency->sm, r->subkey);
	r->subkey = 0;
}

/* Nothing more will come of it: the key goes, and the agency's reference with it. */
static void release_close(struct release *r)
{
	struct agency *a = r->agency;

	destroy_key(r);
	sim_changed(a->node->sim, &r->object);
	sim_changed(a->node->sim, a->node);
	release_let_go(r);
}

static void refused(struct release *r, const char *by)
{
	r->ready = true;
	snprintf(r->by, sizeof r->by, "%s", by);
	release_close(r);
}

/* What the key opens */

static bool voice(struct rtp_cipher *cipher, const struct recorded *p)
{
	uint8_t bytes[RECORDED_PACKET_MAX];
	struct rtp_header header;
	size_t len, payload_at;

	memcpy(bytes, p->bytes, p->len);
	len = rtp_open(cipher, bytes, p->len);
	return len == RTP_HEADER_LEN + RTP_PAYLOAD_LEN && rtp_parse(bytes, len, &header, &payload_at) &&
	       payload_at == RTP_HEADER_LEN && (header.payload_type == 0 || header.payload_type == 8);
}

static bool between(const struct recorded *p, struct place from, struct place to)
{
	return p->src == from.ip && p->sport == from.port && p->dst == to.ip && p->dport == to.port;
}

/* True when the packet is one of the call's. */
static bool try_packet(struct release *r, const struct recorded *p)
{
	enum way way = between(p, r->caller, r->callee) ? TO_CALLEE : TO_CALLER;

	if (way == TO_CALLER && !between(p, r->callee, r->caller))
		return false;
	r->packets++;
	service_charge(r->agency->node, &(struct service_cost){ .cipher_bytes = p->len });
	/* Which of the two forms a call has is not said: the one with MAC proves itself. */
	if (voice(r->ciphers[way][1], p) || voice(r->ciphers[way][0], p))
		r->opened[way]++;
	return true;
}

static bool make_ciphers(struct release *r)
{
	char caller[IP_TEXT_LEN], callee[IP_TEXT_LEN], context[WAYS][2 * (IP_TEXT_LEN + 6) + 2];
	static const enum esp_direction ways[WAYS] = { [TO_CALLEE] = ESP_UP, [TO_CALLER] = ESP_DOWN };
	bool ok = true;

	ip_text(r->caller.ip, caller);
	ip_text(r->callee.ip, callee);
	snprintf(context[TO_CALLEE], sizeof context[0], "%s:%u %s:%u", caller, r->caller.port, callee, r->callee.port);
	snprintf(context[TO_CALLER], sizeof context[0], "%s:%u %s:%u", callee, r->callee.port, caller, r->caller.port);
	for (unsigned way = 0; way < WAYS; way++)
		for (unsigned mac = 0; mac < 2; mac++) {
			r->ciphers[way][mac] = rtp_cipher_new(r->agency->sm, r->subkey, LABEL_RTP, ways[way], context[way],
			                                      mac == 1);
			ok = ok && r->ciphers[way][mac];
		}
	return ok;
}

/* The controller's answer */

static bool read_place(const char *text, struct place *out)
{
	char ip[IP_TEXT_LEN];
	const char *colon = strchr(text, ':');
	uint32_t port = 0;

	if (!colon || (size_t)(colon - text) >= sizeof ip || !colon[1])
		return false;
	memcpy(ip, text, (size_t)(colon - text));
	ip[colon - text] = '\0';
	for (const char *c = colon + 1; *c; c++) {
		if (*c < '0' || *c > '9')
			return false;
		port = port * 10 + (uint32_t)(*c - '0');
		if (port > PORT_MAX)
			return false;
	}
	out->port = (uint16_t)port;
	return port != 0 && ip_parse(ip, &out->ip);
}

/* Both ends may have keyed at once: the controller wraps under the newest it has, which need not be the newest here. */
static key_handle unwrap(const struct agency *a, uint32_t from_ip, const char *wrapped)
{
	key_handle key = 0;

	for (const struct association *s = ipsec_find(a->ipsec, from_ip, LABEL_SERVER); s && !key; s = s->next_peer)
		if (s->peer_ip == from_ip && strcmp(s->label, LABEL_SERVER) == 0)
			key = call_key_unwrap(s, span_of(wrapped));
	return key;
}

/* The check that refuses an Accept; NULL: the key is taken. */
static const char *take_key(struct release *r, const struct radius *answer)
{
	size_t id_len = strlen(answer->acct_session_id);
	struct place caller, callee;
	key_handle key;

	if (id_len == 0 || id_len > CALL_ID_MAX || !read_place(answer->calling_station, &caller) ||
	    !read_place(answer->called_station, &callee))
		return "lea.malformed_answer";
	if (r->wanted[0] && strcmp(r->wanted, answer->acct_session_id) != 0)
		return "lea.other_call";
	key = unwrap(r->agency, r->controller_ip, answer->class_);
	if (!key)
		return "subkey.unwrap";
	r->subkey = key;
	r->caller = caller;
	r->callee = callee;
	memcpy(r->call, answer->acct_session_id, id_len + 1);
	return make_ciphers(r) ? NULL : "subkey.unwrap";
}

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct release *r = ctx;
	struct agency *a = r->agency;
	const char *check = NULL;

	if (!answer) {
		backend_drop(a->backend, r->controller_ip); /* it may know nothing of our association */
		refused(r, NO_ANSWER);
		return;
	}
	if (answer->code == RADIUS_ACCESS_REJECT) {
		message_accept(a->node, tag);
		refused(r, answer->reply_message);
		return;
	}
	check = answer->code == RADIUS_ACCESS_ACCEPT ? take_key(r, answer) : "lea.malformed_answer";
	if (check) {
		trace_refuse(a->node, check, r->controller_ip, tag, answer->acct_session_id);
		refused(r, check);
		return;
	}
	message_accept(a->node, tag);
	for (uint32_t i = 0; i < a->recorded_count; i++)
		try_packet(r, &a->recorded[i]);
	r->ready = r->granted = true;
	sim_changed(a->node->sim, &r->object);
	sim_changed(a->node->sim, a->node);
}

static void on_ready(void *ctx, bool ready)
{
	struct release *r = ctx;
	struct radius question = { .code = RADIUS_ACCESS_REQUEST };

	snprintf(question.user_name, sizeof question.user_name, "%s", r->agency->principal);
	snprintf(question.calling_station, sizeof question.calling_station, "%s", r->number);
	snprintf(question.acct_session_id, sizeof question.acct_session_id, "%s", r->wanted);
	if (!ready || !radius_client_ask(r->agency->questions, r->controller_ip, &question, on_answer, r))
		refused(r, NO_ANSWER);
}

/* The copy of the voice */

static struct recorded *record_room(struct agency *a)
{
	if (a->recorded_count == RECORDED_MAX)
		return NULL;
	if (a->recorded_count == a->recorded_room) {
		a->recorded_room = a->recorded_room ? 2 * a->recorded_room : RECORDED_FIRST;
		a->recorded = sim_realloc(a->recorded, a->recorded_room * sizeof *a->recorded);
	}
	return &a->recorded[a->recorded_count++];
}

static enum tap_verdict on_frame(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                 struct packet *frame)
{
	struct agency *a = ctx;
	struct recorded *p;
	struct wire_view v;

	(void)link;
	(void)from;
	(void)to;
	if (!wire_read(frame->data, frame->len, &v) || v.kind != WIRE_RTP || v.payload_len > RECORDED_PACKET_MAX)
		return TAP_PASS;
	p = record_room(a);
	if (!p) {
		a->unrecorded++;
		return TAP_PASS;
	}
	*p = (struct recorded){ .at_ns = a->node->sim->now_ns, .src = v.src, .dst = v.dst, .sport = v.sport,
		                .dport = v.dport, .len = (uint16_t)v.payload_len };
	memcpy(p->bytes, frame->data + v.payload_at, v.payload_len);
	for (struct release *r = a->releases; r; r = r->next)
		if (r->granted && try_packet(r, p))
			sim_changed(a->node->sim, &r->object);
	sim_changed(a->node->sim, a->node);
	return TAP_PASS;
}

/* Construction */

static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct agency *a = ctx;

	*check = "lea.check_service";
	return directory_service_ip(world_directory(world_of(a->node->sim)), accepted->ticket.client.name) == from_ip;
}

static void destroy(struct node *node)
{
	struct agency *a = node->state;

	while (a->releases) {
		struct release *r = a->releases;

		destroy_key(r);
		r->agency = NULL;
		release_let_go(r);
	}
	radius_client_free(a->questions);
	backend_free(a->backend);
	key_management_free(a->km);
	ipsec_free(a->ipsec);
	sm_free(a->sm);
	free(a->recorded);
	free(a);
}

static void make_parts(struct agency *a, const struct node *kdc)
{
	struct world *world = world_of(a->node->sim);
	struct key_management_owner owner = { .ctx = a, .authorise = authorise };
	struct backend_config backend = { .node = a->node, .principal = a->principal, .kdc_ip = node_first_ip(kdc) };

	a->sm = world_module(world, a->node, "module");
	backend.server_key = world_server_key(world, a->sm, a->principal);
	a->ipsec = backend.ipsec = ipsec_new(a->node, a->sm, true);
	a->km = backend.km = key_management_new(a->node, a->ipsec, a->principal, backend.server_key, &owner);
	a->backend = backend_new(&backend);
	a->questions = radius_client_new(a->node, a->ipsec);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct link *link = args_get(args, "tap")->link;
	const struct node *kdc = args_node(args, "kdc");
	struct agency *a;

	if (!node_first_ip(node) || !node_first_ip(kdc)) {
		snprintf(error, MODEL_ERROR_LEN, "%s needs an address; write on = { link, \"10.1.0.2/24\" }",
		         node_first_ip(node) ? kdc->name : "a law enforcement agency");
		return false;
	}
	if (link->tap) {
		snprintf(error, MODEL_ERROR_LEN, "link %s is tapped already, by %s; choose another link the voice crosses",
		         link->name, link->tapper->name);
		return false;
	}
	a = sim_alloc(sizeof *a);
	a->node = node;
	node->state = a;
	node->destroy = destroy;
	snprintf(a->principal, sizeof a->principal, "lea/%s", node->name);
	make_parts(a, kdc);
	directory_service_add(world_directory(world_of(node->sim)), a->principal, node_first_ip(node));
	link->tap = on_frame;
	link->tap_ctx = a;
	link->tapper = node;
	return true;
}

static void power_on(struct node *node)
{
	struct agency *a = node->state;

	key_management_reset(a->km);
	radius_client_reset(a->questions);
}

static void restart(struct node *node)
{
	struct agency *a = node->state;

	backend_reset(a->backend);
	ipsec_reset(a->ipsec);
	power_on(node);
	while (a->releases) {
		struct release *r = a->releases;

		if (r->ready)
			release_close(r);
		else
			refused(r, NO_ANSWER);
	}
	sim_changed(node->sim, node);
}

/* What a scenario may ask */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct agency *a = node->state;
	int64_t keys = 0;

	for (const struct release *r = a->releases; r; r = r->next)
		keys += r->subkey != 0;
	*out = value_nil();
	if (strcmp(attribute, "recorded") == 0)
		*out = value_int(a->recorded_count);
	else if (strcmp(attribute, "unrecorded") == 0)
		*out = value_int((int64_t)a->unrecorded);
	else if (strcmp(attribute, "requests") == 0)
		*out = value_int((int64_t)a->requests);
	else if (strcmp(attribute, "keys") == 0)
		*out = value_int(keys);
	return out->type != VALUE_NIL;
}

static bool release_get(struct object *object, const char *attribute, struct value *out)
{
	const struct release *r = (const struct release *)object;

	*out = value_nil();
	if (strcmp(attribute, "ready") == 0)
		*out = value_bool(r->ready);
	else if (!r->ready)
		return false;
	else if (strcmp(attribute, "granted") == 0)
		*out = value_bool(r->granted);
	else if (strcmp(attribute, "by") == 0)
		*out = value_text(r->by);
	else if (strcmp(attribute, "call") == 0)
		*out = value_text(r->call);
	else if (strcmp(attribute, "packets") == 0)
		*out = value_int(r->packets);
	else if (strcmp(attribute, "decrypted") == 0)
		*out = value_int(r->opened[TO_CALLEE] + r->opened[TO_CALLER]);
	else if (strcmp(attribute, "to_callee") == 0)
		*out = value_int(r->opened[TO_CALLEE]);
	else if (strcmp(attribute, "to_caller") == 0)
		*out = value_int(r->opened[TO_CALLER]);
	return out->type != VALUE_NIL;
}

static void verb_forget(struct object *object, const struct args *args, struct verb_result *result)
{
	struct release *r = (struct release *)object;

	(void)args;
	if (!r->ready)
		snprintf(result->error, sizeof result->error, "it has no answer yet; expect { ready = true } first");
	else if (r->agency && r->link)
		release_close(r);
}

static const struct attribute release_attributes[] = {
	{ "ready", VALUE_BOOL, "answered, or given up" },
	{ "granted", VALUE_BOOL, "the controller released the key" },
	{ "by", VALUE_TEXT, "the check that refused it; \"no answer\" when none came" },
	{ "call", VALUE_TEXT, "the identifier of the call it is for" },
	{ "packets", VALUE_INT, "recorded packets of the call, also from before the release, until the key is forgotten" },
	{ "decrypted", VALUE_INT, "how many of them the key opened to G.711 voice" },
	{ "to_callee", VALUE_INT, "of those decrypted: from the caller to the callee" },
	{ "to_caller", VALUE_INT, "of those decrypted: from the callee to the caller" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct object_verb release_verbs[] = {
	{ "forget", "destroys the key; the counts stay", NULL, "", verb_forget }, { NULL, NULL, NULL, NULL, NULL },
};
static const struct object_class release_class = {
	.name = "release", .doc = "a request for the key of a call, and what the key opened",
	.attributes = release_attributes, .get = release_get, .verbs = release_verbs, .free = release_free,
};
static const struct object_class *const objects[] = { &release_class, NULL };

/* Where the controller is, out of the directory; 0 with an error. */
static uint32_t controller_of(const struct agency *a, const struct node *from, struct verb_result *result)
{
	char principal[KRB_NAME_MAX + 1];
	uint32_t ip;

	snprintf(principal, sizeof principal, "sc/%s", from->name);
	ip = directory_service_ip(world_directory(world_of(a->node->sim)), principal);
	if (!ip)
		snprintf(result->error, sizeof result->error, "%s is no signaling controller; write from = net.sc1",
		         from->name);
	return ip;
}

static void verb_request(struct node *node, const struct args *args, struct verb_result *result)
{
	struct agency *a = node->state;
	const char *number = args_text(args, "number", ""), *call = args_text(args, "call", "");
	uint32_t ip = controller_of(a, args_node(args, "from"), result);
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct release *r;

	if (!ip)
		return;
	if (!number_digits(number, digits)) {
		snprintf(result->error, sizeof result->error,
		         "\"%.40s\" is no telephone number; write number = \"215-555-0101\"", number);
		return;
	}
	if (strlen(call) > CALL_ID_MAX) {
		snprintf(result->error, sizeof result->error, "\"%.80s\" is no call's identifier; write call = c.id",
		         call);
		return;
	}
	r = sim_alloc(sizeof *r);
	r->object.class_ = &release_class;
	r->object.node = node;
	r->agency = a;
	r->controller_ip = ip;
	snprintf(r->number, sizeof r->number, "%s", digits);
	snprintf(r->wanted, sizeof r->wanted, "%s", call);
	release_hold(a, r);
	a->requests++;
	result->value = value_object(&r->object);
	r->object.refs++; /* for it may be refused at once, before anybody else has it */
	backend_ensure(a->backend, ip, on_ready, r);
	r->object.refs--;
	sim_changed(node->sim, node);
}

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "the KDC it gets tickets from" },
	{ .name = "tap", .type = VALUE_LINK, .required = true, .doc = "the link whose voice it gets a copy of" },
	{ .name = NULL },
};
static const struct param request_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "whose call" },
	{ .name = "from", .type = VALUE_NODE, .required = true, .doc = "the call's source signaling controller" },
	{ .name = "call", .type = VALUE_TEXT, .doc = "which of several calls, by its identifier; default: the newest" },
	{ .name = NULL },
};
static const struct verb verbs[] = {
	{ "request", "asks for the key of a number's call [0099]", request_params, "release", verb_request },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attributes[] = {
	{ "recorded", VALUE_INT, "packets of voice it has a copy of" },
	{ "unrecorded", VALUE_INT, "packets of voice that came when its store was full" },
	{ "requests", VALUE_INT, "requests made so far" },
	{ "keys", VALUE_INT, "sub-keys of calls it holds" },
	{ NULL, VALUE_NIL, NULL },
};

const struct model model_law_enforcement = {
	.name = "law_enforcement",
	.doc = "law enforcement agency: records encrypted voice on a link, gets a call's key where it has a warrant [0099]",
	.params = params, .verbs = verbs, .attributes = attributes, .objects = objects, .create = create,
	.start = power_on, .get = get, .restart = restart,
};

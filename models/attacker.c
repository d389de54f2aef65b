/*
 * The attacker: a node with a tap on one link, and perhaps an account of its own (attacks.md).
 *
 * It has the wire and its own credentials. Kinds of messages are told from bytes alone (models/wiretap.h); no other node's
 * state is read but its addresses, which are in every packet. What it does goes through rules, asked in the order in which
 * they were made for every frame as it enters the link; the first that takes a frame is the last to see it.
 *
 * What became of a packet that it sent or changed it cannot know. The attributes `fate` and `by` are an observer's knowledge,
 * put beside the packet for the scenario: one trace observer a run serves all attackers; no rule acts on what it says.
 *
 * A changed or repeated packet is a message of its own in the record, with the attacker as its actor; the one that it was
 * made from, if it did not go on, is intercepted.
 */
#include "models/attacker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/esp.h"
#include "models/certificate_sender.h"
#include "models/signaling_controller.h"
#include "models/wire/span.h"

/* Objects */

void attacker_retire(struct attacker *a, struct kdc_client *client)
{
	struct retired *r = sim_alloc(sizeof *r);

	kdc_client_cancel(client);
	*r = (struct retired){ a->retired, client };
	a->retired = r;
}

static void end_mitm(struct deed *d)
{
	d->facts = *mitm_facts(d->mitm);
	mitm_free(d->mitm);
	d->mitm = NULL;
	d->attacker->mitm = NULL;
}

void deed_free(struct object *object)
{
	struct deed *d = (struct deed *)object;

	assert(!d->link);
	sim_cancel(object->node->sim, &d->due);
	packet_free(d->packet);
	der_free(&d->message);
	der_free(&d->cert);
	if (d->mitm)
		end_mitm(d);
	ear_free(d->ear);
	certificate_sender_stop(d->sender);
	if (d->client)
		attacker_retire(d->attacker, d->client);
	pkinit_client_free(d->pkinit);
	if (d->conn)
		tcp_abort(d->conn);
	if (d->attacker->sm)
		krb_credentials_free(d->attacker->sm, &d->credentials);
	free(d);
}

struct deed *deed_new(struct node *node, enum deed_kind what, const struct object_class *class_)
{
	struct deed *d = sim_alloc(sizeof *d);

	d->object.class_ = class_;
	d->object.node = node;
	d->attacker = node->state;
	d->what = what;
	d->left = 1;
	d->chance_ppm = PPM;
	d->kind = WIRE_ANY;
	return d;
}

static bool get_fate(const struct deed *d, const char *attribute, struct value *out)
{
	static const char *const names[] = { [FATE_SENT] = "sent", [FATE_ACCEPTED] = "accepted", [FATE_REFUSED] = "refused",
		                             [FATE_LOST] = "lost", [FATE_INTERCEPTED] = "intercepted" };

	if (!d->track.tag)
		return false;
	if (strcmp(attribute, "fate") == 0)
		*out = value_text(names[d->track.fate]);
	else if (strcmp(attribute, "by") == 0 && d->track.by[0])
		*out = value_text(d->track.by);
	return out->type != VALUE_NIL;
}

static uint32_t size_of(const struct deed *d)
{
	return d->message.bytes ? (uint32_t)d->message.len : d->view.payload_len;
}

static bool get_capture(struct object *object, const char *attribute, struct value *out)
{
	struct deed *d = (struct deed *)object;

	*out = value_nil();
	if (strcmp(attribute, "ready") == 0)
		*out = value_bool(d->ready);
	else if (!d->ready)
		return false;
	else if (strcmp(attribute, "kind") == 0)
		*out = value_text(wire_kind_name(d->view.kind));
	else if (strcmp(attribute, "size") == 0)
		*out = value_int(size_of(d));
	else if (strcmp(attribute, "src") == 0)
		*out = value_text(d->src);
	else if (strcmp(attribute, "dst") == 0)
		*out = value_text(d->dst);
	else if (strcmp(attribute, "spi") == 0 && d->view.kind == WIRE_ESP)
		*out = value_int(d->view.spi);
	else if (strcmp(attribute, "own_key") == 0 && d->what == DEED_RECORD)
		*out = value_bool(attacker_file_is_own(d));
	return out->type != VALUE_NIL;
}

static bool get_sent(struct object *object, const char *attribute, struct value *out)
{
	struct deed *d = (struct deed *)object;

	*out = value_nil();
	if (strcmp(attribute, "ready") == 0)
		*out = value_bool(d->ready);
	else if (strcmp(attribute, "answer") == 0)
		*out = d->answer[0] ? value_text(d->answer) : value_nil();
	else
		return get_fate(d, attribute, out);
	return out->type != VALUE_NIL;
}

static bool get_rule(struct object *object, const char *attribute, struct value *out)
{
	struct deed *d = (struct deed *)object;

	*out = value_nil();
	if (strcmp(attribute, "hits") == 0)
		*out = value_int(d->hits);
	else if (strcmp(attribute, "active") == 0)
		*out = value_bool(d->link != NULL);
	return out->type != VALUE_NIL;
}

static bool get_mitm(struct object *object, const char *attribute, struct value *out)
{
	struct deed *d = (struct deed *)object;
	const struct mitm_facts *f = d->mitm ? mitm_facts(d->mitm) : &d->facts;

	*out = value_nil();
	if (strcmp(attribute, "ready") == 0 || strcmp(attribute, "session_key") == 0)
		*out = value_bool(f->session_key);
	else if (strcmp(attribute, "subkey") == 0)
		*out = value_bool(f->subkey);
	else if (strcmp(attribute, "gave_up") == 0)
		*out = value_bool(f->gave_up);
	else if (strcmp(attribute, "read") == 0)
		*out = value_int(f->read);
	else if (strcmp(attribute, "rtp_opened") == 0)
		*out = value_int(f->rtp_opened);
	else if (strcmp(attribute, "ticket_name") == 0)
		*out = f->ticket_name[0] ? value_text(f->ticket_name) : value_nil();
	else if (strcmp(attribute, "dialled") == 0)
		*out = f->dialled[0] ? value_text(f->dialled) : value_nil();
	else
		return get_fate(d, attribute, out);
	return out->type != VALUE_NIL;
}

static bool get_ticket(struct object *object, const char *attribute, struct value *out)
{
	struct deed *d = (struct deed *)object;

	*out = value_nil();
	if (strcmp(attribute, "ready") == 0)
		*out = value_bool(d->ready);
	else if (strcmp(attribute, "client") == 0 && d->ready)
		*out = value_text(d->credentials.client.name);
	else if (strcmp(attribute, "server") == 0 && d->ready)
		*out = value_text(d->credentials.server.name);
	else if (strcmp(attribute, "refused") == 0)
		*out = value_text(d->refused_by);
	return out->type != VALUE_NIL;
}

static bool get_ear(struct object *object, const char *attribute, struct value *out)
{
	const struct ear_facts *f = ear_facts(((struct deed *)object)->ear);

	*out = value_nil();
	if (strcmp(attribute, "ready") == 0)
		*out = value_bool(f->sip_read > 0);
	else if (strcmp(attribute, "sip_read") == 0)
		*out = value_int(f->sip_read);
	else if (strcmp(attribute, "keys") == 0)
		*out = value_int(f->keys);
	else if (strcmp(attribute, "rtp_opened") == 0)
		*out = value_int(f->rtp_opened);
	else if (strcmp(attribute, "caller") == 0 && f->caller[0])
		*out = value_text(f->caller);
	else if (strcmp(attribute, "dialled") == 0 && f->dialled[0])
		*out = value_text(f->dialled);
	return out->type != VALUE_NIL;
}

/* Ends a rule, an ear or the man in the middle; what has been caught or sent stays. */
static void end_deed(struct deed *d)
{
	bool tracked = d->track.tag && d->track.fate == FATE_SENT;

	if (d->mitm)
		end_mitm(d);
	if (d->ear)
		ear_stop(d->ear);
	if (d->what != DEED_SEND && d->link && !tracked) {
		deed_changed(d);
		deed_let_go(d);
	}
}

static void stop_deed(struct object *object, const struct args *args, struct verb_result *result)
{
	(void)args;
	(void)result;
	end_deed((struct deed *)object);
}

#define FATE_ATTRIBUTES                                                                                                    \
	{ "fate", VALUE_TEXT,                                                                                              \
	  "sent, accepted, refused, lost, intercepted; an observer's knowledge, not the attacker's" },                      \
	{ "by", VALUE_TEXT, "the check that refused it, the place that lost it; an observer's knowledge" }

static const struct attribute capture_attributes[] = {
	{ "ready", VALUE_BOOL, "something has been caught" },
	{ "kind", VALUE_TEXT, "what it is" },
	{ "size", VALUE_INT, "bytes of its payload; ESP: from the SPI on; Kerberos over TCP: of the message" },
	{ "src", VALUE_TEXT, "source address" },
	{ "dst", VALUE_TEXT, "destination address" },
	{ "spi", VALUE_INT, "ESP: its SPI" },
	{ "own_key", VALUE_BOOL, "a recorded file: it is a certificate for the key of the attacker's own device" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct attribute sent_attributes[] = {
	{ "ready", VALUE_BOOL, "it has gone out" },
	FATE_ATTRIBUTES,
	{ "answer", VALUE_TEXT, "kind of what came back over TCP: \"AS-REP\", \"KRB-ERROR\"" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct attribute altered_attributes[] = {
	{ "ready", VALUE_BOOL, "a packet has been altered" }, FATE_ATTRIBUTES, { NULL, VALUE_NIL, NULL },
};
static const struct attribute rule_attributes[] = {
	{ "hits", VALUE_INT, "how many packets it has met" },
	{ "active", VALUE_BOOL, "it still looks for packets" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct attribute mitm_attributes[] = {
	{ "ready", VALUE_BOOL, "as session_key" },
	{ "session_key", VALUE_BOOL, "it holds the session key that the victim was given" },
	{ "subkey", VALUE_BOOL, "it holds a sub-key out of an AP-REP to the victim" },
	{ "gave_up", VALUE_BOOL, "the KDC's answer could not be opened (Diffie-Hellman)" },
	{ "ticket_name", VALUE_TEXT, "client name in the victim's rewritten AP-REQ" },
	{ "read", VALUE_INT, "SIP messages of the victim read in clear" },
	{ "dialled", VALUE_TEXT, "number that the victim dialled, read from its INVITE" },
	{ "rtp_opened", VALUE_INT, "RTP packets of the victim's call opened" },
	{ "fate", VALUE_TEXT, "what the victim made of the newest AS-REP passed to it; an observer's knowledge" },
	{ "by", VALUE_TEXT, "the check by which the victim refused it; an observer's knowledge" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct attribute ticket_attributes[] = {
	{ "ready", VALUE_BOOL, "it has the ticket" },
	{ "client", VALUE_TEXT, "name in it" },
	{ "server", VALUE_TEXT, "for whom" },
	{ "refused", VALUE_TEXT, "why there is none: the attacker's own check, or the error's name" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct attribute ear_attributes[] = {
	{ "ready", VALUE_BOOL, "a SIP message has been read in clear" },
	{ "sip_read", VALUE_INT, "SIP messages read in clear" },
	{ "caller", VALUE_TEXT, "who calls, by the newest INVITE" },
	{ "dialled", VALUE_TEXT, "number called, by the newest INVITE" },
	{ "keys", VALUE_INT, "sub-keys of calls that it could unwrap" },
	{ "rtp_opened", VALUE_INT, "RTP packets that decrypted to the G.711 of such a call" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct object_verb stop_verbs[] = {
	{ "stop", "ends it; what has been caught or changed stays", NULL, "", stop_deed }, { NULL, NULL, NULL, NULL, NULL },
};
const struct object_class attacker_capture_class = {
	.name = "capture", .doc = "a packet off the wire", .attributes = capture_attributes, .get = get_capture,
	.verbs = stop_verbs, .free = deed_free,
};
const struct object_class attacker_sent_class = {
	.name = "sent", .doc = "a packet that the attacker put on the wire", .attributes = sent_attributes, .get = get_sent,
	.free = deed_free,
};
static const struct object_class altered_class = {
	.name = "altered", .doc = "a packet that passed changed", .attributes = altered_attributes, .get = get_sent,
	.verbs = stop_verbs, .free = deed_free,
};
const struct object_class attacker_rule_class = {
	.name = "rule", .doc = "what happens to packets of a kind", .attributes = rule_attributes, .get = get_rule,
	.verbs = stop_verbs, .free = deed_free,
};
const struct object_class attacker_mitm_class = {
	.name = "mitm", .doc = "a man in the middle of PKINIT and what follows from it", .attributes = mitm_attributes,
	.get = get_mitm, .verbs = stop_verbs, .free = deed_free,
};
const struct object_class attacker_ticket_class = {
	.name = "own_ticket", .doc = "a ticket that the attacker asks for", .attributes = ticket_attributes, .get = get_ticket,
	.free = deed_free,
};
const struct object_class attacker_ear_class = {
	.name = "ear", .doc = "a listener to SIP in clear, and to voice whose key it has read there",
	.attributes = ear_attributes, .get = get_ear, .verbs = stop_verbs, .free = deed_free,
};
static const struct object_class *const attacker_objects[] = {
	&attacker_capture_class, &attacker_sent_class, &altered_class, &attacker_rule_class, &attacker_mitm_class,
	&attacker_ticket_class,
	&attacker_ear_class, &attacker_brought_class, NULL,
};

/* Verbs: rules */

/* Fills what all rules have in common; false with an error. */
static bool rule_args(struct deed *d, const struct args *args, int64_t count, struct verb_result *result)
{
	int64_t nth = args_int(args, "nth", 1);

	d->kind = wire_kind_find(args_text(args, "kind", "any"));
	d->from = args_node(args, "from");
	d->to = args_node(args, "to");
	d->skip = nth - 1;
	d->left = args_int(args, "count", count);
	if (d->kind == WIRE_OTHER)
		snprintf(result->error, sizeof result->error, "kind must be one of " WIRE_KIND_CHOICES);
	else if (nth < 1)
		snprintf(result->error, sizeof result->error, "nth counts from 1");
	else if (d->left < 0)
		snprintf(result->error, sizeof result->error, "count must be 1 or more, or 0 for all");
	if (d->left == 0)
		d->left = -1;
	return !result->error[0];
}

static void rule_begin(struct deed *d, struct verb_result *result)
{
	deed_hold(&d->attacker->rules, d);
	result->value = value_object(&d->object);
}

static void verb_capture(struct node *node, const struct args *args, struct verb_result *result)
{
	struct deed *d = deed_new(node, DEED_CAPTURE, &attacker_capture_class);

	d->keep = args_bool(args, "keep", false);
	if (rule_args(d, args, 1, result))
		rule_begin(d, result);
	else
		deed_free(&d->object);
}

/* One place: "7", "-1", "iv", "icv+3". */
static bool flip_parse(struct span s, struct flip *out)
{
	static const struct {
		const char *name;
		int from;
		uint32_t room;
	} places[] = { { "icv", FLIP_ICV, ESP_ICV_LEN }, { "iv", FLIP_IV, ESP_IV_LEN }, { "text", FLIP_TEXT, WIRE_FRAME_MAX } };
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		size_t len = strlen(places[i].name);
		struct span rest;

		if (s.len < len || memcmp(s.at, places[i].name, len) != 0)
			continue;
		rest = (struct span){ s.at + len, s.len - len };
		if (rest.len && (rest.at[0] != '+' || !span_number((struct span){ rest.at + 1, rest.len - 1 },
		                                                    places[i].room - 1, &n)))
			return false;
		out->from = places[i].from;
		out->offset = (uint32_t)n;
		return true;
	}
	out->from = s.len && s.at[0] == '-' ? FLIP_END : FLIP_START;
	if (out->from == FLIP_END)
		s = (struct span){ s.at + 1, s.len - 1 };
	if (!span_number(s, WIRE_FRAME_MAX, &n) || (out->from == FLIP_END && n == 0))
		return false;
	out->offset = (uint32_t)n;
	return true;
}

bool attacker_switch_is(const struct node *node, const char *name, const char *value)
{
	const struct world *world = world_of(node->sim);

	return world && strcmp(world_switch(world, name), value) == 0;
}

/* "iv+1,iv+7" */
static bool flips_parse(struct deed *d, const char *text, struct verb_result *result)
{
	struct span rest = span_of(text);

	do {
		const char *comma = memchr(rest.at, ',', rest.len);
		size_t len = comma ? (size_t)(comma - rest.at) : rest.len;
		struct flip *f = &d->flips[d->flip_count];

		if (d->flip_count == FLIPS_MAX || !flip_parse((struct span){ rest.at, len }, f)) {
			snprintf(result->error, sizeof result->error, "flip is \"%.40s\"; write up to %d places with commas: \"7\", "
			         "\"-1\" from the end, \"iv\", \"text\", \"icv\", each of these with \"+N\"", text, FLIPS_MAX);
			return false;
		}
		if ((f->from == FLIP_IV && attacker_switch_is(d->attacker->node, "esp.iv", "implicit")) ||
		    (f->from == FLIP_ICV && attacker_switch_is(d->attacker->node, "esp.auth", "off"))) {
			snprintf(result->error, sizeof result->error, "ESP packets of this run have no %s",
			         f->from == FLIP_IV ? "IV (esp.iv = implicit)" : "ICV (esp.auth = off)");
			return false;
		}
		d->flip_count++;
		rest = (struct span){ rest.at + len + (comma != NULL), rest.len - len - (comma != NULL) };
		if (!comma)
			return true;
	} while (true);
}

static void verb_alter(struct node *node, const struct args *args, struct verb_result *result)
{
	struct deed *d = deed_new(node, DEED_ALTER, &altered_class);
	int64_t mask = args_int(args, "mask", 1);

	d->mask = (uint8_t)mask;
	if (mask < 1 || mask > 255)
		snprintf(result->error, sizeof result->error, "mask must be 1 to 255");
	else if (rule_args(d, args, 1, result) && flips_parse(d, args_text(args, "flip", "-1"), result)) {
		rule_begin(d, result);
		return;
	}
	deed_free(&d->object);
}

/* "50%", "250ppm" */
static bool chance_parse(const char *text, uint32_t *ppm)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t n;

	if (!span_number((struct span){ text, digits }, (uint64_t)PPM, &n))
		return false;
	if (strcmp(text + digits, "%") == 0)
		n *= (uint64_t)PPM / 100;
	else if (strcmp(text + digits, "ppm") != 0)
		return false;
	*ppm = (uint32_t)n;
	return n <= (uint64_t)PPM;
}

static void verb_drop(struct node *node, const struct args *args, struct verb_result *result)
{
	struct deed *d = deed_new(node, DEED_DROP, &attacker_rule_class);

	if (!chance_parse(args_text(args, "probability", "100%"), &d->chance_ppm))
		snprintf(result->error, sizeof result->error, "probability must be a ratio; write probability = \"50%%\"");
	else if (rule_args(d, args, 1, result)) {
		rule_begin(d, result);
		return;
	}
	deed_free(&d->object);
}

static void verb_delay(struct node *node, const struct args *args, struct verb_result *result)
{
	struct deed *d = deed_new(node, DEED_DELAY, &attacker_rule_class);

	d->by_ns = args_time(args, "by", 0);
	if (rule_args(d, args, 0, result))
		rule_begin(d, result);
	else
		deed_free(&d->object);
}

static void verb_listen(struct node *node, const struct args *args, struct verb_result *result)
{
	struct deed *d = deed_new(node, DEED_LISTEN, &attacker_ear_class);

	(void)args;
	d->ear = ear_new(node, attacker_switch_is(node, "rtp.mac", "on"));
	rule_begin(d, result);
}

static void release_all(struct attacker *a)
{
	while (a->rules)
		end_deed(a->rules);
	if (a->mitm)
		end_deed(a->mitm);
}

static void verb_release(struct node *node, const struct args *args, struct verb_result *result)
{
	(void)args;
	(void)result;
	release_all(node->state);
}

/* Life */

static void attacker_destroy(struct node *node)
{
	struct attacker *a = node->state;

	attacker_unwatch(a);
	release_all(a);
	while (a->others)
		deed_let_go(a->others);
	while (a->tracked)
		deed_let_go(a->tracked);
	while (a->retired) {
		struct retired *r = a->retired;

		a->retired = r->next;
		kdc_client_free(r->client);
		free(r);
	}
	wire_streams_free(a->streams);
	attacker_drop_kdc(a);
	if (a->sm)
		sm_free(a->sm);
	der_free(&a->cert);
	der_free(&a->device_cert);
	free(a);
}

void attacker_take_module(struct attacker *a)
{
	struct world *world = world_of(a->node->sim);
	const struct der *root = world_authority(world, AUTHORITY_OPERATOR_ROOT);

	if (a->sm)
		return;
	a->sm = world_module(world, a->node, "krb5");
	sm_install_root(a->sm, root->bytes, root->len);
	a->rsa = sm_install_rsa(a->sm, world_key_pool(world), a->node->name, ATTACKER_RSA_BITS);
}

static bool take_account(struct attacker *a, const char *number, char error[MODEL_ERROR_LEN])
{
	struct world *world = world_of(a->node->sim);
	uint8_t id[PHONE_ID_LEN];
	char name[2 * PHONE_ID_LEN + 1];

	if (!number_digits(number, a->number)) {
		snprintf(error, MODEL_ERROR_LEN, "provisioned is \"%.40s\"; write a number, provisioned = \"215-555-0199\"", number);
		return false;
	}
	phone_id(world_crypto(world), number, id);
	hex_encode(id, sizeof id, name);
	attacker_take_module(a);
	world_operator_certificate(world, a->node->name, ATTACKER_RSA_BITS, number, 0, &a->cert);
	a->identity.rsa_key = a->rsa;
	a->identity.cert = a->cert;
	krb_name_set(&a->identity.name, name, WORLD_REALM);
	return true;
}

/* It is in the subscriber database of its segment like any customer. */
static bool subscribe(struct attacker *a, struct node *controller, char error[MODEL_ERROR_LEN])
{
	if (controller->model != &model_signaling_controller)
		snprintf(error, MODEL_ERROR_LEN, "controller must be a signaling_controller, %s is none", controller->name);
	else if (!a->number[0])
		snprintf(error, MODEL_ERROR_LEN, "a customer has a number; write provisioned = \"215-555-0199\"");
	else if (!signaling_controller_subscribe(controller, a->number, a->iface->mac, a->iface->ip))
		snprintf(error, MODEL_ERROR_LEN, "number %s is taken", a->number);
	return !error[0];
}

static bool attacker_create(struct node *node, const struct args *params, char error[MODEL_ERROR_LEN])
{
	const char *number = args_text(params, "provisioned", NULL);
	struct node *controller = args_node(params, "controller");
	struct attacker *a;

	if (!node->ifaces) {
		snprintf(error, MODEL_ERROR_LEN, "it has no link to tap; write { on = LINK }");
		return false;
	}
	if (node->ifaces->link->tap) {
		snprintf(error, MODEL_ERROR_LEN, "link %s is tapped already, by %s", node->ifaces->link->name,
		         node->ifaces->link->tapper->name);
		return false;
	}
	a = sim_alloc(sizeof *a);
	a->node = node;
	a->iface = node->ifaces;
	a->link = a->iface->link;
	if (!attacker_watch(a)) {
		snprintf(error, MODEL_ERROR_LEN, "the run has no room for another observer");
		free(a);
		return false;
	}
	a->streams = wire_streams_new();
	rng_init(&a->chance, node->sim->seed, node->name, "tap");
	rng_init(&a->forgery, node->sim->seed, node->name, "forgery");
	node->state = a;
	node->destroy = attacker_destroy;
	if (number && !take_account(a, number, error))
		return false;
	if (args_bool(params, "device", false))
		attacker_take_device(a);
	if (controller && !subscribe(a, controller, error))
		return false;
	a->link->tap = attacker_on_frame;
	a->link->tap_ctx = a;
	a->link->tapper = node;
	return true;
}

/* Connections and timers go; what has been caught stays with who holds it. */
static void forget(struct deed *d)
{
	sim_cancel(d->attacker->node->sim, &d->due);
	if (d->conn)
		tcp_abort(d->conn);
	d->conn = NULL;
	certificate_sender_stop(d->sender);
	d->sender = NULL;
	if (d->client)
		kdc_client_cancel(d->client);
}

static void attacker_restart(struct node *node)
{
	struct attacker *a = node->state;

	release_all(a);
	for (struct deed *d = a->tracked; d; d = d->next)
		forget(d);
	while (a->others) {
		forget(a->others);
		deed_let_go(a->others);
	}
	ip_reset(node);
	sim_changed(node->sim, node);
}

static bool attacker_get(struct node *node, const char *attribute, struct value *out)
{
	const struct attacker *a = node->state;

	*out = value_nil();
	if (strcmp(attribute, "seen") == 0)
		*out = value_int(a->seen);
	else if (strcmp(attribute, "number") == 0 && a->number[0])
		*out = value_text(a->number);
	else if (strcmp(attribute, "principal") == 0 && a->number[0])
		*out = value_text(a->identity.name.name);
	return out->type != VALUE_NIL;
}

/* Descriptor */

#define KIND_PARAM { .name = "kind", .type = VALUE_TEXT, .preset = "any", .choices = WIRE_KIND_CHOICES,                       \
		     .doc = "what, told from its bytes: AS-REQ, AS-REP on port 88 (UDP, or whole messages out of TCP); AP-REQ, "  \
			    "AP-REP, Wake-up on UDP 1293; SIP in clear; ESP; RTP by its length" }
#define FROM_PARAM { .name = "from", .type = VALUE_NODE, .doc = "only with a source address of this element" }
#define TO_PARAM { .name = "to", .type = VALUE_NODE, .doc = "only with a destination address of this element" }
#define NTH_PARAM { .name = "nth", .type = VALUE_INT, .preset = "1", .doc = "the first that counts, from now" }

static const struct param attacker_params[] = {
	{ .name = "provisioned", .type = VALUE_TEXT,
	  .doc = "its own number, if it is a customer: then it has an RSA key pair and an operator certificate" },
	{ .name = "controller", .type = VALUE_NODE, .doc = "the signaling controller that it is a customer of" },
	{ .name = "device", .type = VALUE_BOOL, .preset = "false",
	  .doc = "it has a CTA of its own, with changed software: an RSA key pair and its manufacturer's certificate for its MAC" },
	{ .name = NULL },
};
static const struct param capture_params[] = {
	KIND_PARAM, FROM_PARAM, TO_PARAM, NTH_PARAM,
	{ .name = "keep", .type = VALUE_BOOL, .preset = "false",
	  .doc = "take it off the wire; of a message in TCP, all segments from its first to the end of the connection" },
	{ .name = NULL },
};
static const struct param alter_params[] = {
	KIND_PARAM, FROM_PARAM, TO_PARAM, NTH_PARAM,
	{ .name = "flip", .type = VALUE_TEXT, .preset = "-1",
	  .doc = "bytes to change, with commas: \"7\" from the payload's start, \"-1\" from its end; of ESP \"iv\", \"text\", "
	         "\"icv\", each also with \"+N\"; in ESP \"7\" counts from the SPI, in TCP from the segment's data" },
	{ .name = "mask", .type = VALUE_INT, .preset = "1", .doc = "what is added modulo 2 to each of them, 1 to 255" },
	{ .name = NULL },
};
static const struct param drop_params[] = {
	KIND_PARAM, FROM_PARAM, TO_PARAM, NTH_PARAM,
	{ .name = "count", .type = VALUE_INT, .preset = "1", .doc = "how many packets (of TCP: segments); 0: all" },
	{ .name = "probability", .type = VALUE_TEXT, .preset = "100%", .doc = "\"50%\", \"250ppm\" of those" },
	{ .name = NULL },
};
static const struct param delay_params[] = {
	KIND_PARAM, FROM_PARAM, TO_PARAM, NTH_PARAM,
	{ .name = "by", .type = VALUE_TIME, .required = true, .doc = "how much later they arrive" },
	{ .name = "count", .type = VALUE_INT, .preset = "0", .doc = "how many packets; 0: all" },
	{ .name = NULL },
};
static const struct param send_params[] = {
	{ .name = "capture", .type = VALUE_OBJECT, .required = true, .doc = "what" },
	{ .name = "after", .type = VALUE_TIME, .preset = "0s", .doc = "when, from now" },
	{ .name = "to", .type = VALUE_NODE, .doc = "another destination; default: the packet's" },
	{ .name = NULL },
};
static const struct param inject_params[] = {
	{ .name = "to", .type = VALUE_NODE, .required = true, .doc = "destination" },
	{ .name = "from", .type = VALUE_NODE, .doc = "in whose name; default: its own" },
	{ .name = "proto", .type = VALUE_TEXT, .preset = "udp", .choices = "udp|esp", .doc = "what the payload travels in" },
	{ .name = "sport", .type = VALUE_INT, .preset = "0", .doc = "UDP: source port" },
	{ .name = "dport", .type = VALUE_INT, .preset = "0", .doc = "UDP: destination port" },
	{ .name = "bytes", .type = VALUE_BYTES, .doc = "the payload; of ESP from the SPI on" },
	{ .name = "hex", .type = VALUE_TEXT, .doc = "the payload in hex" },
	{ .name = "after", .type = VALUE_TIME, .preset = "0s", .doc = "when, from now" },
	{ .name = NULL },
};
static const struct param forge_bye_params[] = {
	{ .name = "from", .type = VALUE_NODE, .required = true, .doc = "in whose name" },
	{ .name = "to", .type = VALUE_NODE, .required = true, .doc = "destination" },
	{ .name = "ear", .type = VALUE_OBJECT, .doc = "what has been read; default: nothing" },
	{ .name = "after", .type = VALUE_TIME, .preset = "0s", .doc = "when, from now" },
	{ .name = NULL },
};
#define HOLDS_PARAM { .name = "holds", .type = VALUE_TEXT, .preset = "",                                                       \
		      .doc = "only one whose first block holds this text: \"tollgate-image\"" }
static const struct param record_params[] = {
	FROM_PARAM, TO_PARAM, HOLDS_PARAM, { .name = NULL },
};
static const struct param substitute_params[] = {
	{ .name = "file", .type = VALUE_OBJECT, .required = true, .doc = "what has been recorded or forged" },
	FROM_PARAM, TO_PARAM, HOLDS_PARAM, { .name = NULL },
};
static const struct param forge_file_params[] = {
	{ .name = "file", .type = VALUE_OBJECT, .required = true, .doc = "a configuration or software image that has been recorded" },
	{ .name = "provisioned", .type = VALUE_BOOL, .preset = "false", .doc = "of a configuration: whether it says that there is an account" },
	{ .name = NULL },
};
static const struct param bring_params[] = {
	{ .name = "file", .type = VALUE_OBJECT, .required = true, .doc = "what has been recorded" },
	{ .name = "to", .type = VALUE_NODE, .required = true, .doc = "the CTA" },
	{ .name = NULL },
};
static const struct param forge_krb_error_params[] = {
	{ .name = "capture", .type = VALUE_OBJECT, .required = true, .doc = "the AS-REQ that it answers, over UDP" },
	{ .name = "code", .type = VALUE_INT, .preset = "18", .doc = "RFC 4120 section 7.5.9; 18: KDC_ERR_CLIENT_REVOKED" },
	{ .name = "server", .type = VALUE_TEXT, .preset = "krbtgt", .doc = "principal in it" },
	{ .name = NULL },
};
static const struct param present_params[] = {
	{ .name = "capture", .type = VALUE_OBJECT, .required = true, .doc = "the AP-REQ in which the ticket was" }, { .name = NULL },
};
static const struct param mitm_params[] = {
	{ .name = "victim", .type = VALUE_NODE, .required = true, .doc = "whose exchanges; its traffic passes the link" },
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "in whose place" },
	{ .name = NULL },
};
static const struct param false_kdc_params[] = {
	{ .name = "victim", .type = VALUE_NODE, .required = true, .doc = "whose requests; its traffic passes the link" },
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "in whose place" },
	{ .name = "certificate", .type = VALUE_TEXT, .preset = "made up", .choices = "made up|own|stolen",
	  .doc = "as a KDC's by a CA that it has made up; the one that it has as a customer, which needs provisioned; one stolen with its key" },
	{ .name = "stolen_from", .type = VALUE_TEXT, .preset = "", .doc = "stolen: the KDC that had them, \"kdc0\"" },
	{ .name = NULL },
};
static const struct param ticket_params[] = {
	{ .name = "server", .type = VALUE_TEXT, .required = true, .doc = "for whom: \"sc/sc1\"" },
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "asked over TCP" },
	{ .name = "as", .type = VALUE_TEXT, .doc = "a customer's number, whose name it takes by a certificate that it has signed itself" },
	{ .name = NULL },
};
static const struct param register_params[] = {
	{ .name = "victim", .type = VALUE_NODE, .required = true, .doc = "whose address" },
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "asked over UDP" },
	{ .name = "server", .type = VALUE_TEXT, .required = true, .doc = "for whom: \"sc/sc1\"" },
	{ .name = NULL },
};
static const struct param take_lease_params[] = {
	{ .name = "victim", .type = VALUE_NODE, .required = true, .doc = "whose address" },
	{ .name = "head_end", .type = VALUE_NODE, .required = true, .doc = "that gave it" },
	{ .name = NULL },
};
static const struct verb attacker_verbs[] = {
	{ "capture", "keeps a copy of a packet; a message over TCP is put together from its segments", capture_params, "capture",
	  verb_capture },
	{ "send", "sends a capture again, byte for byte: a packet on the link as it was, a message that came in TCP over a "
	          "connection of its own", send_params, "sent", attacker_verb_send },
	{ "alter", "lets the next such packet pass changed, its checksums right again", alter_params, "altered", verb_alter },
	{ "drop", "takes packets off the wire", drop_params, "rule", verb_drop },
	{ "delay", "lets packets arrive later", delay_params, "rule", verb_delay },
	{ "release", "ends all its rules and its being in the middle", NULL, "", verb_release },
	{ "inject", "sends a forged packet in any element's name", inject_params, "sent", attacker_verb_inject },
	{ "listen", "reads the SIP that passes in clear; where a call's sub-key passes in clear, also that call's voice", NULL,
	  "ear", verb_listen },
	{ "forge_bye", "sends a hang-up in clear in another's name: of the newest dialog that the ear has read between the two; "
	               "with none read, one whose Call-ID and tags are guessed", forge_bye_params, "sent",
	  attacker_verb_forge_bye },
	{ "record_file", "puts together the next file that passes by TFTP", record_params, "capture", attacker_verb_record_file },
	{ "substitute_file", "puts a recorded file into the place of those that pass by TFTP, block by block", substitute_params,
	  "rule", attacker_verb_substitute_file },
	{ "forge_file", "makes another file of a recorded one and signs it by a CA that it has made up: a software image with another "
	                "operator's certificate in it, a configuration that is newer than any (attack P8)", forge_file_params, "capture",
	  attacker_verb_forge_file },
	{ "bring_certificate", "brings a recorded operator certificate to a CTA (attack P4)", bring_params, "brought",
	  attacker_verb_bring_certificate },
	{ "forge_krb_error", "answers a captured AS-REQ in the KDC's name that its client is refused (attack K8)",
	  forge_krb_error_params, "sent", attacker_verb_forge_krb_error },
	{ "present_ticket", "shows a server, from its own address, the ticket out of another's AP-REQ, without its session key (attack T3)",
	  present_params, "sent", attacker_verb_present_ticket },
	{ "mitm", "attack K1: asks the KDC in its own name what the victim asks and passes the answer on; then rewrites the "
	          "victim's AP-REQ and reads what follows. Needs provisioned", mitm_params, "mitm", attacker_verb_mitm },
	{ "false_kdc", "is a KDC of its own to the victim, over TCP, whoever is asked (attacks K3, K4, K5)", false_kdc_params, "mitm",
	  attacker_verb_false_kdc },
	{ "register_as", "attack P3: with the certificate of its own device it asks a KDC for a ticket in the victim's address; the "
	                 "answer goes there. Needs device", register_params, "sent", attacker_verb_register_as },
	{ "take_lease", "attack P3: gives the victim's address back in its name, and asks for it for itself", take_lease_params,
	  "sent", attacker_verb_take_lease },
	{ "ticket", "gets a ticket by PKINIT, in its own name if no other is given. Needs provisioned", ticket_params, "own_ticket",
	  attacker_verb_ticket },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attacker_attributes[] = {
	{ "seen", VALUE_INT, "frames that its tap has seen" },
	{ "number", VALUE_TEXT, "its own number" },
	{ "principal", VALUE_TEXT, "its name in tickets" },
	{ NULL, VALUE_NIL, NULL },
};

const struct model model_attacker = {
	.name = "attacker",
	.doc = "one who reads, drops, delays, changes and injects packets on the link of its first interface; with `provisioned` "
	       "also a customer. It has no key but its own, and tells packets apart by their bytes",
	.params = attacker_params,
	.verbs = attacker_verbs,
	.attributes = attacker_attributes,
	.objects = attacker_objects,
	.create = attacker_create,
	.get = attacker_get,
	.restart = attacker_restart,
};

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
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/esp.h"
#include "models/kdc_client.h"
#include "models/message.h"
#include "models/mitm.h"
#include "models/model.h"
#include "models/wire/span.h"
#include "models/wiretap.h"
#include "models/world.h"
#include "sim/ip.h"

#define ATTACKER_RSA_BITS 1024     /* a customer's device [0103] */
#define ATTACKER_TICKET_S 86400
#define ATTACKER_TRACKED_MAX 4096  /* packets whose fate is waited for; of more, the oldest keeps the fate it has */
#define INJECT_MAX 1472            /* payload of one datagram in one frame */
#define FLIPS_MAX 4
#define PPM INT64_C(1000000)
#define FATE_BY_LEN 64

struct attacker;

enum deed_kind { DEED_CAPTURE, DEED_ALTER, DEED_DROP, DEED_DELAY, DEED_SEND, DEED_MITM, DEED_TICKET };

struct flip { /* which byte of a payload */
	enum { FLIP_START, FLIP_END, FLIP_IV, FLIP_TEXT, FLIP_ICV } from;
	uint32_t offset;
};

struct track { /* of the packet that went out */
	uint64_t tag; /* 0: none yet */
	const struct node *to;
	enum fate fate;
	char by[FATE_BY_LEN];
};

struct deed { /* a rule, a packet sent, an exchange: what the verbs return */
	struct object object;
	struct attacker *attacker;
	enum deed_kind what;
	struct deed *next, **link;      /* in one of the attacker's lists, which holds a reference; link NULL: in none */

	enum wire_kind kind;            /* rules: what they match */
	const struct node *from, *to;
	int64_t skip, left;             /* matches to let pass; matches to act on, negative: all */
	uint32_t chance_ppm;
	sim_ns by_ns;
	bool keep;
	struct flip flips[FLIPS_MAX];
	unsigned flip_count;
	uint8_t mask;
	int64_t hits;

	bool ready;
	struct packet *packet;          /* captured, or to be sent: a frame */
	struct der message;             /* captured, or to be sent: a Kerberos message that came in TCP */
	struct wire_view view;          /* of the captured packet; src, dst, ports and kind for a message */
	char src[IP_TEXT_LEN], dst[IP_TEXT_LEN];
	struct track track;
	struct event due;
	struct tcp_conn *conn;
	char answer[16];

	struct mitm *mitm;
	struct mitm_facts facts;        /* of one that has ended */
	struct kdc_client *client;
	struct krb_name server;
	struct pkinit_client *pkinit;
	struct krb_credentials credentials;
	const char *refused_by;
};

struct retired { /* a client that is done: the end of its last connection may still come */
	struct retired *next;
	struct kdc_client *client;
};

struct attacker {
	struct node *node;
	struct link *link;
	struct iface *iface;
	struct attacker *next_watching;
	struct wire_streams *streams;
	struct deed *rules, *others, *tracked; /* rules still looking; exchanges under way; packets without a final fate */
	unsigned tracked_count;
	struct rng chance;
	bool take_segment;              /* a rule wants the TCP segment that completed a message */
	struct deed *mitm;              /* the one under way */
	struct retired *retired;
	int64_t seen;
	char number[SUBSCRIBER_NUMBER_LEN];
	struct secure_module *sm;       /* NULL: without an account */
	struct pkinit_identity identity;
	struct der cert;
};

/* Lists and references */

static void deed_free(struct object *object);

/* Moves a deed to the end of one of the attacker's lists, whose reference it needs only once. */
static void hold(struct deed **list, struct deed *d)
{
	if (d->link) {
		*d->link = d->next;
		if (d->next)
			d->next->link = d->link;
	} else {
		d->object.refs++;
	}
	while (*list)
		list = &(*list)->next;
	*list = d;
	d->link = list;
	d->next = NULL;
}

static void let_go(struct deed *d)
{
	if (!d->link)
		return;
	*d->link = d->next;
	if (d->next)
		d->next->link = d->link;
	d->link = NULL;
	if (--d->object.refs == 0)
		deed_free(&d->object);
}

static void deed_changed(struct deed *d)
{
	sim_changed(d->attacker->node->sim, &d->object);
}

/* Fates, which only observers know */

static void stop_tracking(struct deed *d)
{
	if (d->mitm || d->conn) /* goes on */
		hold(&d->attacker->others, d);
	else
		let_go(d);
}

static void track_final(struct attacker *a, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	for (struct deed *d = a->tracked; d; d = d->next) {
		if (d->track.tag != tag)
			continue;
		if ((fate == FATE_ACCEPTED || fate == FATE_REFUSED) && d->track.to && at && at != d->track.to)
			return;
		if (fate == FATE_LOST && (d->message.bytes || d->mitm))
			return; /* a segment: TCP sends it again */
		d->track.fate = fate;
		snprintf(d->track.by, sizeof d->track.by, "%s", why ? why : "");
		deed_changed(d);
		a->tracked_count--;
		stop_tracking(d);
		return;
	}
}

static void on_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	struct attacker *next;

	if (fate == FATE_SENT)
		return;
	for (struct attacker *a = *(struct attacker **)ctx; a; a = next) {
		next = a->next_watching;
		track_final(a, tag, at, fate, why);
	}
}

static void on_message(void *ctx, const struct trace_message *message)
{
	(void)ctx;
	(void)message;
}

static void on_cover(void *ctx, uint64_t tag, enum cover cover)
{
	(void)ctx;
	(void)tag;
	(void)cover;
}

static const struct trace_ops fate_ops = { .message = on_message, .fate = on_fate, .cover = on_cover };

static struct trace_observer *observer_of(struct sim *sim)
{
	for (unsigned i = 0; i < sim->observer_count; i++)
		if (sim->observers[i].ops == &fate_ops && sim->observers[i].ctx)
			return &sim->observers[i];
	return NULL;
}

/* The first attacker of a run brings the observer, the last to go takes it along. False: no room for one. */
static bool watch_fates(struct attacker *a)
{
	struct trace_observer *observer = observer_of(a->node->sim);
	struct attacker **first;

	if (!observer) {
		if (a->node->sim->observer_count == TRACE_OBSERVERS_MAX)
			return false;
		trace_attach(a->node->sim, &fate_ops, sim_alloc(sizeof *first), TRACE_MESSAGE);
		observer = observer_of(a->node->sim);
	}
	first = observer->ctx;
	a->next_watching = *first;
	*first = a;
	return true;
}

/* Also when the host has already let all observers go: then the place where ours was still tells of it. */
static void unwatch_fates(struct attacker *a)
{
	struct sim *sim = a->node->sim;

	for (unsigned i = 0; i < TRACE_OBSERVERS_MAX; i++) {
		struct attacker **at = sim->observers[i].ctx, **first = at;

		if (sim->observers[i].ops != &fate_ops || !first)
			continue;
		while (*at != a)
			at = &(*at)->next_watching;
		*at = a->next_watching;
		if (!*first) {
			sim->observers[i].wants = 0;
			sim->observers[i].ctx = NULL;
			free(first);
		}
		return;
	}
}

/* Waits for a message's fate. */
static void track(struct deed *d, uint64_t tag, uint32_t dst)
{
	struct attacker *a = d->attacker;

	if (d->track.tag && d->track.fate == FATE_SENT && d->link)
		a->tracked_count--; /* tracked already: it is the newest message that counts */
	d->track = (struct track){ .tag = tag, .to = node_by_ip(a->node->sim, dst), .fate = FATE_SENT };
	hold(&a->tracked, d);
	if (++a->tracked_count > ATTACKER_TRACKED_MAX) {
		a->tracked_count--;
		stop_tracking(a->tracked);
	}
}

static const struct message_form *form_of(enum wire_kind kind)
{
	static const struct message_form forms[WIRE_KIND_COUNT] = {
		[WIRE_OTHER] = { "ip", COVER_CLEAR, NULL },
		[WIRE_ESP] = { "esp", COVER_ESP, NULL },
		[WIRE_RTP] = { "rtp", COVER_RTP, NULL },
	};

	switch (kind) {
	case WIRE_AS_REQ: case WIRE_AS_REP:
		return &form_kerberos;
	case WIRE_AP_REQ: case WIRE_AP_REP: case WIRE_KRB_ERROR: case WIRE_WAKE_UP:
		return &form_pktc;
	case WIRE_SIP:
		return &form_sip;
	default:
		return &forms[kind];
	}
}

/* Makes the frame a message of ours; what it was before has its fate from its caller. */
static void announce(struct deed *d, struct packet *frame, const struct wire_view *v)
{
	struct node *node = d->attacker->node;
	bool kdc_udp = v->sport == KDC_PORT || v->dport == KDC_PORT;
	const struct message_form *form = v->kind == WIRE_KRB_ERROR && kdc_udp ? &form_kerberos : form_of(v->kind);

	frame->tag = message_announce(node, v->src, v->dst, wire_kind_name(v->kind), form, frame->data + v->payload_at,
	                              v->payload_len);
	frame->actor = node;
	track(d, frame->tag, v->dst);
}

/* Matching */

static bool has_address(const struct node *node, uint32_t ip)
{
	for (const struct iface *i = node->ifaces; i; i = i->next)
		if (ip && i->ip == ip)
			return true;
	return false;
}

static bool matches(const struct deed *d, const struct wire_view *v)
{
	return (d->kind == WIRE_ANY || d->kind == v->kind) && (!d->from || has_address(d->from, v->src)) &&
	       (!d->to || has_address(d->to, v->dst));
}

/* Whether it is this match's turn. */
static bool turn(struct deed *d)
{
	if (d->skip > 0) {
		d->skip--;
		return false;
	}
	return d->chance_ppm >= PPM || rng_chance(&d->attacker->chance, d->chance_ppm);
}

/* One match less; the rule ends with the last. */
static void use_up(struct deed *d)
{
	d->hits++;
	if (d->left > 0)
		d->left--;
	deed_changed(d);
	if (d->left == 0)
		let_go(d);
}

/* Capture */

static void caught(struct deed *d, const struct wire_view *v)
{
	d->ready = true;
	d->hits++;
	d->view = *v;
	ip_text(v->src, d->src);
	ip_text(v->dst, d->dst);
	deed_changed(d);
}

static void der_copy(struct der *out, const uint8_t *bytes, size_t len)
{
	out->bytes = malloc(len ? len : 1);
	if (!out->bytes)
		abort();
	memcpy(out->bytes, bytes, len);
	out->len = len;
}

/* A Kerberos message has come together out of TCP segments. */
static void on_tcp_message(void *ctx, enum wire_kind kind, const struct wire_view *last, const uint8_t *bytes, size_t len)
{
	struct attacker *a = ctx;
	struct wire_view v = *last;
	struct deed *next;

	v.kind = kind;
	for (struct deed *d = a->rules; d; d = next) {
		next = d->next;
		if (d->what != DEED_CAPTURE || d->ready || !matches(d, &v) || !turn(d))
			continue;
		der_copy(&d->message, bytes, len);
		caught(d, &v);
		if (d->keep)
			a->take_segment = true; /* stays a rule: what is sent again is taken, too */
		else
			let_go(d);
		return;
	}
}

static bool same_stream(const struct wire_view *a, const struct wire_view *b)
{
	return a->src == b->src && a->dst == b->dst && a->sport == b->sport && a->dport == b->dport;
}

/* True: the frame is to be taken off the wire. */
static bool capture(struct deed *d, const struct packet *frame, const struct wire_view *v)
{
	if (v->proto == IP_PROTO_TCP) {
		if (!d->keep || !v->payload_len)
			return false;
		return d->ready ? same_stream(&d->view, v) : matches(d, v) && v->kind != WIRE_OTHER && d->skip == 0;
	}
	if (d->ready || !matches(d, v) || !turn(d))
		return false;
	d->packet = packet_copy(frame);
	d->packet->tag = 0;
	caught(d, v);
	return d->keep;
}

/* Alter */

/* Offset in the frame; 0: the payload has no such byte. */
static uint32_t flip_offset(const struct flip *f, const struct wire_view *v)
{
	static const uint32_t esp_starts[] = { [FLIP_START] = 0, [FLIP_IV] = ESP_HEADER_LEN, [FLIP_TEXT] = ESP_FRONT_MAX };
	uint32_t at = 0, len = v->payload_len;
	bool esp_only = f->from == FLIP_IV || f->from == FLIP_TEXT || f->from == FLIP_ICV;

	if (esp_only && v->kind != WIRE_ESP)
		return 0;
	if (f->from == FLIP_END || f->from == FLIP_ICV) {
		uint32_t back = f->from == FLIP_END ? f->offset : ESP_ICV_LEN - f->offset;

		return back >= 1 && back <= len ? v->payload_at + len - back : 0;
	}
	at = esp_starts[f->from] + f->offset;
	return at < len ? v->payload_at + at : 0;
}

static bool alterable(const struct deed *d, const struct wire_view *v)
{
	if (v->fragment)
		return false; /* the rest of the datagram, and so its checksum, is elsewhere */
	for (unsigned i = 0; i < d->flip_count; i++)
		if (!flip_offset(&d->flips[i], v))
			return false;
	return true;
}

static void alter(struct deed *d, struct packet *frame, const struct wire_view *v)
{
	struct node *node = d->attacker->node;

	for (unsigned i = 0; i < d->flip_count; i++)
		frame->data[flip_offset(&d->flips[i], v)] ^= d->mask;
	wire_checksums(frame->data, v);
	if (v->proto != IP_PROTO_TCP)
		trace_fate(node->sim, frame->tag, node, FATE_INTERCEPTED, "");
	d->ready = true;
	d->hits++;
	announce(d, frame, v);
	deed_changed(d);
}

/* The tap */

static enum tap_verdict take(struct attacker *a, struct packet *frame, const struct wire_view *v)
{
	/* A TCP segment comes again by itself: that is not yet its message's end. */
	if (v->proto != IP_PROTO_TCP)
		trace_fate(a->node->sim, frame->tag, a->node, FATE_INTERCEPTED, "");
	packet_free(frame);
	return TAP_TAKEN;
}

static void delay(struct deed *d, struct iface *to, struct packet *frame)
{
	sim_ns by_ns = d->by_ns;
	struct link *link = d->attacker->link;

	use_up(d);
	link_inject(link, NULL, to, frame, by_ns);
}

static enum tap_verdict ask_rules(struct attacker *a, struct iface *to, struct packet *frame, struct wire_view *v)
{
	struct deed *next;

	for (struct deed *d = a->rules; d; d = next) {
		next = d->next;
		switch (d->what) {
		case DEED_CAPTURE:
			if (capture(d, frame, v)) {
				if (d->ready && v->proto != IP_PROTO_TCP)
					let_go(d);
				return take(a, frame, v);
			}
			if (d->ready && !d->keep)
				let_go(d);
			break;
		case DEED_ALTER:
			if (matches(d, v) && alterable(d, v) && turn(d))
				alter(d, frame, v);
			break;
		case DEED_DROP:
			if (matches(d, v) && turn(d)) {
				use_up(d);
				return take(a, frame, v);
			}
			break;
		case DEED_DELAY:
			if (matches(d, v) && turn(d)) {
				delay(d, to, frame);
				return TAP_TAKEN;
			}
			break;
		default:
			break;
		}
	}
	return TAP_PASS;
}

static enum tap_verdict on_frame(void *ctx, struct link *link, struct iface *from, struct iface *to, struct packet *frame)
{
	struct attacker *a = ctx;
	struct wire_view v;

	(void)link;
	(void)from;
	a->seen++;
	if (!wire_read(frame->data, frame->len, &v))
		return TAP_PASS;
	a->take_segment = false;
	if (v.proto == IP_PROTO_TCP)
		v.kind = wire_stream_feed(a->streams, frame->data, &v, on_tcp_message, a);
	if (a->take_segment)
		return take(a, frame, &v);
	if (a->mitm && mitm_frame(a->mitm->mitm, frame, &v))
		return TAP_TAKEN;
	return ask_rules(a, to, frame, &v);
}

/* Sending */

static size_t on_answer_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct deed *d = ctx;

	(void)tag;
	if (len < WIRE_LENGTH_PREFIX || len - WIRE_LENGTH_PREFIX < get_be32(bytes))
		return len > WIRE_LENGTH_PREFIX + KRB_MESSAGE_MAX ? len : 0;
	snprintf(d->answer, sizeof d->answer, "%s", kerberos_kind(bytes + WIRE_LENGTH_PREFIX, get_be32(bytes)));
	deed_changed(d);
	tcp_close(conn);
	return len;
}

static void on_send_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct deed *d = ctx;

	(void)conn;
	(void)how;
	d->conn = NULL;
	if (d->track.fate != FATE_SENT)
		let_go(d);
}

static const struct tcp_handler send_side = { .received = on_answer_bytes, .closed = on_send_closed };

/* A message that came in TCP goes over a connection of our own, from our own address. */
static void send_message(struct deed *d)
{
	struct node *node = d->attacker->node;
	uint8_t framed[WIRE_LENGTH_PREFIX + KRB_MESSAGE_MAX];
	uint64_t tag;

	put_be32(framed, (uint32_t)d->message.len);
	memcpy(framed + WIRE_LENGTH_PREFIX, d->message.bytes, d->message.len);
	tag = message_announce(node, 0, d->view.dst, wire_kind_name(d->view.kind), &form_kerberos, d->message.bytes,
	                       d->message.len);
	d->conn = tcp_connect(node, 0, d->view.dst, d->view.dport, &send_side, d);
	track(d, tag, d->view.dst);
	tcp_send(d->conn, framed, WIRE_LENGTH_PREFIX + d->message.len, tag);
}

static void on_due(struct sim *sim, struct event *event)
{
	struct deed *d = event_owner(event, struct deed, due);
	struct attacker *a = d->attacker;
	struct packet *frame = d->packet;

	(void)sim;
	d->ready = true;
	deed_changed(d); /* first: a packet that is lost at once may be the end of it */
	if (!frame) {
		send_message(d);
		return;
	}
	d->packet = NULL;
	announce(d, frame, &d->view);
	link_inject(a->link, a->iface, NULL, frame, 0);
}

/* A packet with any source address goes its way through our own node. */
static void on_due_forged(struct sim *sim, struct event *event)
{
	struct deed *d = event_owner(event, struct deed, due);
	struct attacker *a = d->attacker;
	struct packet *frame = d->packet;
	struct ip_info info = { .src = d->view.src, .dst = d->view.dst, .proto = d->view.proto };

	(void)sim;
	d->packet = NULL;
	d->ready = true;
	deed_changed(d);
	announce(d, frame, &d->view);
	info.tag = frame->tag;
	packet_pull(frame, d->view.segment_at);
	ip_send(a->node, &info, frame);
}

/* Objects */

static void retire(struct attacker *a, struct kdc_client *client)
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

static void deed_free(struct object *object)
{
	struct deed *d = (struct deed *)object;

	assert(!d->link);
	sim_cancel(object->node->sim, &d->due);
	packet_free(d->packet);
	der_free(&d->message);
	if (d->mitm)
		end_mitm(d);
	if (d->client)
		retire(d->attacker, d->client);
	pkinit_client_free(d->pkinit);
	if (d->conn)
		tcp_abort(d->conn);
	if (d->attacker->sm)
		krb_credentials_free(d->attacker->sm, &d->credentials);
	free(d);
}

static struct deed *deed_new(struct node *node, enum deed_kind what, const struct object_class *class_)
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

/* Ends a rule or the man in the middle; what has been caught or sent stays. */
static void end_deed(struct deed *d)
{
	bool tracked = d->track.tag && d->track.fate == FATE_SENT;

	if (d->mitm)
		end_mitm(d);
	if (d->what != DEED_SEND && d->link && !tracked) {
		deed_changed(d);
		let_go(d);
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
static const struct object_verb stop_verbs[] = {
	{ "stop", "ends it; what has been caught or changed stays", NULL, "", stop_deed }, { NULL, NULL, NULL, NULL, NULL },
};
static const struct object_class capture_class = {
	.name = "capture", .doc = "a packet off the wire", .attributes = capture_attributes, .get = get_capture,
	.verbs = stop_verbs, .free = deed_free,
};
static const struct object_class sent_class = {
	.name = "sent", .doc = "a packet that the attacker put on the wire", .attributes = sent_attributes, .get = get_sent,
	.free = deed_free,
};
static const struct object_class altered_class = {
	.name = "altered", .doc = "a packet that passed changed", .attributes = altered_attributes, .get = get_sent,
	.verbs = stop_verbs, .free = deed_free,
};
static const struct object_class rule_class = {
	.name = "rule", .doc = "what happens to packets of a kind", .attributes = rule_attributes, .get = get_rule,
	.verbs = stop_verbs, .free = deed_free,
};
static const struct object_class mitm_class = {
	.name = "mitm", .doc = "a man in the middle of PKINIT and what follows from it", .attributes = mitm_attributes,
	.get = get_mitm, .verbs = stop_verbs, .free = deed_free,
};
static const struct object_class ticket_class = {
	.name = "own_ticket", .doc = "a ticket in the attacker's own name", .attributes = ticket_attributes, .get = get_ticket,
	.free = deed_free,
};
static const struct object_class *const attacker_objects[] = {
	&capture_class, &sent_class, &altered_class, &rule_class, &mitm_class, &ticket_class, NULL,
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
	hold(&d->attacker->rules, d);
	result->value = value_object(&d->object);
}

static void verb_capture(struct node *node, const struct args *args, struct verb_result *result)
{
	struct deed *d = deed_new(node, DEED_CAPTURE, &capture_class);

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

static bool switch_is(const struct node *node, const char *name, const char *value)
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
		if ((f->from == FLIP_IV && switch_is(d->attacker->node, "esp.iv", "implicit")) ||
		    (f->from == FLIP_ICV && switch_is(d->attacker->node, "esp.auth", "off"))) {
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
	struct deed *d = deed_new(node, DEED_DROP, &rule_class);

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
	struct deed *d = deed_new(node, DEED_DELAY, &rule_class);

	d->by_ns = args_time(args, "by", 0);
	if (rule_args(d, args, 0, result))
		rule_begin(d, result);
	else
		deed_free(&d->object);
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

/* Verbs: sending */

/* Another destination: address, frame's receiver, checksums. */
static void redirect(struct attacker *a, struct deed *d, uint32_t dst)
{
	struct iface *to = link_neighbour(a->link, dst);

	d->view.dst = dst;
	if (!d->packet)
		return;
	put_be32(d->packet->data + d->view.ip_at + 16, dst);
	if (to)
		memcpy(d->packet->data, to->mac, 6);
	wire_checksums(d->packet->data, &d->view);
}

static void verb_send(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct value *given = args_get(args, "capture");
	const struct deed *c = (const struct deed *)given->object;
	const struct node *to = args_node(args, "to");
	struct deed *d;

	if (given->object->class_ != &capture_class || given->object->node != node)
		snprintf(result->error, sizeof result->error, "what is sent must be a capture of %s itself", node->name);
	else if (!c->ready)
		snprintf(result->error, sizeof result->error, "nothing has been captured yet; give the capture within = \"30s\"");
	else if (c->message.bytes && c->view.dport != KDC_PORT)
		snprintf(result->error, sizeof result->error, "an answer that came in TCP has a connection no more");
	else if (to && (!to->ifaces || !to->ifaces->ip))
		snprintf(result->error, sizeof result->error, "%s has no address", to->name);
	if (result->error[0])
		return;
	d = deed_new(node, DEED_SEND, &sent_class);
	d->view = c->view;
	if (c->message.bytes)
		der_copy(&d->message, c->message.bytes, c->message.len);
	else
		d->packet = packet_copy(c->packet);
	if (to)
		redirect(d->attacker, d, to->ifaces->ip);
	hold(&d->attacker->others, d);
	sim_after(node->sim, &d->due, args_time(args, "after", 0), on_due, "attacker.send");
	result->value = value_object(&d->object);
}

/* The payload out of `bytes` or `hex`; -1 with an error. */
static long payload_args(const struct args *args, uint8_t out[INJECT_MAX], struct verb_result *result)
{
	const struct value *bytes = args_get(args, "bytes");
	const char *hex = args_text(args, "hex", NULL);
	long len = -1;

	if (bytes && hex)
		snprintf(result->error, sizeof result->error, "give bytes or hex, not both");
	else if (bytes && bytes->text.len > INJECT_MAX)
		snprintf(result->error, sizeof result->error, "bytes are more than %d", INJECT_MAX);
	else if (bytes)
		memcpy(out, bytes->text.bytes, (size_t)(len = (long)bytes->text.len));
	else if (hex && (len = hex_decode(span_of(hex), out, INJECT_MAX)) < 0)
		snprintf(result->error, sizeof result->error, "hex must be pairs of hex digits, at most %d of them", INJECT_MAX);
	else if (!hex)
		snprintf(result->error, sizeof result->error, "there is no payload; write bytes = \"...\" or hex = \"...\"");
	return result->error[0] ? -1 : len;
}

/* A frame as it would be on our link, so that it is read like any other. */
static struct packet *forge(const struct attacker *a, uint8_t proto, uint32_t src, uint32_t dst, const uint16_t ports[2],
                            const uint8_t *payload, uint32_t len)
{
	uint32_t front = ETHERNET_HEADER_LEN + IP_HEADER_LEN, header_len = proto == IP_PROTO_UDP ? UDP_HEADER_LEN : 0;
	struct packet *p = packet_new(a->node->sim, front + header_len + len);
	uint8_t *frame = packet_append(p, front + header_len + len), *ip = frame + ETHERNET_HEADER_LEN;
	struct wire_view v = { .proto = proto, .ip_at = ETHERNET_HEADER_LEN, .segment_at = front };

	memset(frame, 0, front + header_len);
	put_be16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)(IP_HEADER_LEN + header_len + len));
	ip[8] = IP_TTL_DEFAULT;
	ip[9] = proto;
	put_be32(ip + 12, src);
	put_be32(ip + 16, dst);
	if (header_len) {
		put_be16(frame + front, ports[0]);
		put_be16(frame + front + 2, ports[1]);
		put_be16(frame + front + 4, (uint16_t)(UDP_HEADER_LEN + len));
	}
	memcpy(frame + front + header_len, payload, len);
	wire_checksums(frame, &v);
	return p;
}

static void verb_inject(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct node *from = args_node(args, "from"), *to = args_node(args, "to");
	int64_t sport = args_int(args, "sport", 0), dport = args_int(args, "dport", 0);
	bool udp = strcmp(args_text(args, "proto", "udp"), "udp") == 0;
	uint16_t ports[2] = { (uint16_t)sport, (uint16_t)dport };
	uint8_t payload[INJECT_MAX];
	long len = payload_args(args, payload, result);
	struct deed *d;

	if (!from)
		from = node;
	if (len < 0)
		return;
	if (!from->ifaces || !from->ifaces->ip || !to->ifaces || !to->ifaces->ip)
		snprintf(result->error, sizeof result->error, "from and to must have addresses");
	else if (udp && (sport < 1 || sport > 65535 || dport < 1 || dport > 65535))
		snprintf(result->error, sizeof result->error, "sport and dport must be 1 to 65535");
	if (result->error[0])
		return;
	d = deed_new(node, DEED_SEND, &sent_class);
	d->packet = forge(d->attacker, udp ? IP_PROTO_UDP : IP_PROTO_ESP, from->ifaces->ip, to->ifaces->ip, ports, payload,
	                  (uint32_t)len);
	wire_read(d->packet->data, d->packet->len, &d->view);
	hold(&d->attacker->others, d);
	sim_after(node->sim, &d->due, args_time(args, "after", 0), on_due_forged, "attacker.inject");
	result->value = value_object(&d->object);
}

/* Verbs: with an account */

static void on_mitm_retires(void *ctx, struct kdc_client *client)
{
	struct deed *d = ctx;

	retire(d->attacker, client);
}

static void on_mitm_changed(void *ctx, uint64_t tag)
{
	struct deed *d = ctx;

	if (tag)
		track(d, tag, d->from->ifaces ? d->from->ifaces->ip : 0);
	deed_changed(d);
}

static bool has_account(const struct attacker *a, struct verb_result *result)
{
	if (!a->sm)
		snprintf(result->error, sizeof result->error, "%s has no account; write net:attacker \"%s\" { provisioned = \"NUMBER\" }",
		         a->node->name, a->node->name);
	return a->sm != NULL;
}

static void verb_mitm(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	struct deed *d;

	if (!has_account(a, result))
		return;
	if (a->mitm || !a->iface->ip) {
		snprintf(result->error, sizeof result->error, a->iface->ip ? "it is in the middle already; stop() that first" :
		         "%s has no address on the link", node->name);
		return;
	}
	d = deed_new(node, DEED_MITM, &mitm_class);
	d->from = args_node(args, "victim");
	d->to = args_node(args, "kdc");
	d->mitm = mitm_new(&(struct mitm_config){ .node = node, .iface = a->iface, .sm = a->sm, .identity = &a->identity,
		                                  .victim = d->from, .kdc = d->to, .changed = on_mitm_changed, .retire = on_mitm_retires,
		                                  .ctx = d });
	if (!d->mitm) {
		snprintf(result->error, sizeof result->error, "TCP port 88 of %s is taken", node->name);
		deed_free(&d->object);
		return;
	}
	a->mitm = d;
	hold(&a->others, d);
	result->value = value_object(&d->object);
}

/* PKINIT in its own name; an honest customer's request. */

static enum pkinit_bind bind_of(const struct node *node)
{
	for (const struct switch_def *s = switch_table; s->name; s++)
		if (strcmp(s->name, "pkinit.bind") == 0)
			return switch_is(node, s->name, "nonce") ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM;
	return PKINIT_BIND_ASCHECKSUM;
}

static bool on_ticket_request(void *ctx, struct der *out)
{
	struct deed *d = ctx;
	struct attacker *a = d->attacker;
	struct krb_time now = world_now(a->node->sim);

	pkinit_client_free(d->pkinit);
	d->pkinit = pkinit_request(a->sm, &a->identity, &d->server, now, now.s + ATTACKER_TICKET_S, false, bind_of(a->node), out);
	return d->pkinit != NULL;
}

static void on_ticket_answer(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct deed *d = ctx;
	struct attacker *a = d->attacker;
	struct world *world = world_of(a->node->sim);
	struct pkinit_policy policy = {
		.verify_root = true, .require_kdc_eku = true, .check_kdc_name = true, .check_nonce = true, .check_bind = true,
		.check_sealed_sname = true, .bind = bind_of(a->node), .kdc_ca = world_authority(world, AUTHORITY_OPERATOR),
		.kdc_ca_count = 1, .now_s = sim_unix_s(a->node->sim),
	};
	struct krb_error_info error;
	enum krb_reply_verdict verdict;

	if (!bytes) {
		d->refused_by = "no answer";
	} else if (krb_error_parse(bytes, len, &error)) {
		d->refused_by = krb_error_name(error.code);
		message_accept(a->node, tag);
	} else {
		verdict = pkinit_reply(a->sm, d->pkinit, &a->identity, &policy, bytes, len, &d->credentials, NULL);
		d->ready = verdict == KRB_REPLY_OK;
		if (d->ready)
			message_accept(a->node, tag);
		else
			trace_refuse(a->node, d->refused_by = krb_reply_checks[verdict], 0, tag, "");
	}
	deed_changed(d);
	let_go(d);
}

static void verb_ticket(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	const struct node *kdc = args_node(args, "kdc");
	struct deed *d;

	if (!has_account(a, result))
		return;
	d = deed_new(node, DEED_TICKET, &ticket_class);
	if (!kdc->ifaces || !kdc->ifaces->ip || !krb_name_set(&d->server, args_text(args, "server", ""), WORLD_REALM)) {
		snprintf(result->error, sizeof result->error, "server must be a principal like \"sc/sc1\", kdc must have an address");
		deed_free(&d->object);
		return;
	}
	d->client = kdc_client_new(node, kdc->ifaces->ip, true);
	hold(&a->others, d);
	result->value = value_object(&d->object);
	d->object.refs++; /* an answer may come at once */
	kdc_client_ask(d->client, on_ticket_request, on_ticket_answer, d);
	d->object.refs--;
}

/* Life */

static void attacker_destroy(struct node *node)
{
	struct attacker *a = node->state;

	unwatch_fates(a);
	release_all(a);
	while (a->others)
		let_go(a->others);
	while (a->tracked)
		let_go(a->tracked);
	while (a->retired) {
		struct retired *r = a->retired;

		a->retired = r->next;
		kdc_client_free(r->client);
		free(r);
	}
	wire_streams_free(a->streams);
	if (a->sm)
		sm_free(a->sm);
	der_free(&a->cert);
	free(a);
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
	a->sm = world_module(world, a->node, "krb5");
	world_operator_certificate(world, a->node->name, ATTACKER_RSA_BITS, number, 0, &a->cert);
	sm_install_root(a->sm, world_authority(world, AUTHORITY_OPERATOR_ROOT)->bytes,
	                world_authority(world, AUTHORITY_OPERATOR_ROOT)->len);
	a->identity.rsa_key = sm_install_rsa(a->sm, world_key_pool(world), a->node->name, ATTACKER_RSA_BITS);
	a->identity.cert = a->cert;
	krb_name_set(&a->identity.name, name, WORLD_REALM);
	return true;
}

static bool attacker_create(struct node *node, const struct args *params, char error[MODEL_ERROR_LEN])
{
	const char *number = args_text(params, "provisioned", NULL);
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
	if (!watch_fates(a)) {
		snprintf(error, MODEL_ERROR_LEN, "the run has no room for another observer");
		free(a);
		return false;
	}
	a->streams = wire_streams_new();
	rng_init(&a->chance, node->sim->seed, node->name, "tap");
	node->state = a;
	node->destroy = attacker_destroy;
	if (number && !take_account(a, number, error))
		return false;
	a->link->tap = on_frame;
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
		let_go(a->others);
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
	else if (strcmp(attribute, "number") == 0 && a->sm)
		*out = value_text(a->number);
	else if (strcmp(attribute, "principal") == 0 && a->sm)
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
static const struct param mitm_params[] = {
	{ .name = "victim", .type = VALUE_NODE, .required = true, .doc = "whose exchanges; its traffic passes the link" },
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "in whose place" },
	{ .name = NULL },
};
static const struct param ticket_params[] = {
	{ .name = "server", .type = VALUE_TEXT, .required = true, .doc = "for whom: \"sc/sc1\"" },
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "asked over TCP" },
	{ .name = NULL },
};
static const struct verb attacker_verbs[] = {
	{ "capture", "keeps a copy of a packet; a message over TCP is put together from its segments", capture_params, "capture",
	  verb_capture },
	{ "send", "sends a capture again, byte for byte: a packet on the link as it was, a message that came in TCP over a "
	          "connection of its own", send_params, "sent", verb_send },
	{ "alter", "lets the next such packet pass changed, its checksums right again", alter_params, "altered", verb_alter },
	{ "drop", "takes packets off the wire", drop_params, "rule", verb_drop },
	{ "delay", "lets packets arrive later", delay_params, "rule", verb_delay },
	{ "release", "ends all its rules and its being in the middle", NULL, "", verb_release },
	{ "inject", "sends a forged packet in any element's name", inject_params, "sent", verb_inject },
	{ "mitm", "attack K1: asks the KDC in its own name what the victim asks and passes the answer on; then rewrites the "
	          "victim's AP-REQ and reads what follows. Needs provisioned", mitm_params, "mitm", verb_mitm },
	{ "ticket", "gets a ticket in its own name by PKINIT. Needs provisioned", ticket_params, "own_ticket", verb_ticket },
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

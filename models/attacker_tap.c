/* What the attacker does to frames on its link, and what observers know of it; see attacker.h. */
#include "models/attacker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/esp.h"
#include "models/message.h"

/* Lists and references */

/* Moves a deed to the end of one of the attacker's lists, whose reference it needs only once. */
void deed_hold(struct deed **list, struct deed *d)
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

void deed_let_go(struct deed *d)
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

/* Fates, which only observers know */

static void stop_tracking(struct deed *d)
{
	if (d->mitm || d->conn) /* goes on */
		deed_hold(&d->attacker->others, d);
	else
		deed_let_go(d);
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
bool attacker_watch(struct attacker *a)
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
void attacker_unwatch(struct attacker *a)
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
void deed_track(struct deed *d, uint64_t tag, uint32_t dst)
{
	struct attacker *a = d->attacker;

	if (d->track.tag && d->track.fate == FATE_SENT && d->link)
		a->tracked_count--; /* tracked already: it is the newest message that counts */
	d->track = (struct track){ .tag = tag, .to = node_by_ip(a->node->sim, dst), .fate = FATE_SENT };
	deed_hold(&a->tracked, d);
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
void deed_announce(struct deed *d, struct packet *frame, const struct wire_view *v)
{
	struct node *node = d->attacker->node;
	bool kdc_udp = v->sport == KDC_PORT || v->dport == KDC_PORT;
	const struct message_form *form = v->kind == WIRE_KRB_ERROR && kdc_udp ? &form_kerberos : form_of(v->kind);

	frame->tag = message_announce(node, v->src, v->dst, wire_kind_name(v->kind), form, frame->data + v->payload_at,
	                              v->payload_len);
	frame->actor = node;
	deed_track(d, frame->tag, v->dst);
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
		deed_let_go(d);
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

void der_copy(struct der *out, const uint8_t *bytes, size_t len)
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
			deed_let_go(d);
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
	deed_announce(d, frame, v);
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

/* What the attacker itself puts on the wire is no news to it. */
static void hear(struct deed *d, const struct iface *from, const struct packet *frame, const struct wire_view *v)
{
	if (from != d->attacker->iface && ear_frame(d->ear, frame, v))
		deed_changed(d);
}

static enum tap_verdict ask_rules(struct attacker *a, struct iface *from, struct iface *to, struct packet *frame,
                                  struct wire_view *v)
{
	struct deed *next;

	for (struct deed *d = a->rules; d; d = next) {
		next = d->next;
		switch (d->what) {
		case DEED_CAPTURE:
			if (capture(d, frame, v)) {
				if (d->ready && v->proto != IP_PROTO_TCP)
					deed_let_go(d);
				return take(a, frame, v);
			}
			if (d->ready && !d->keep)
				deed_let_go(d);
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
		case DEED_RECORD:
			if (matches(d, v) && attacker_record_frame(d, frame, v)) {
				caught(d, v);
				deed_let_go(d);
			}
			break;
		case DEED_SUBSTITUTE:
			if (matches(d, v))
				attacker_substitute(d, frame, v);
			break;
		case DEED_LISTEN:
			hear(d, from, frame, v);
			break;
		default:
			break;
		}
	}
	return TAP_PASS;
}

enum tap_verdict attacker_on_frame(void *ctx, struct link *link, struct iface *from, struct iface *to, struct packet *frame)
{
	struct attacker *a = ctx;
	struct wire_view v;

	(void)link;
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
	return ask_rules(a, from, to, frame, &v);
}

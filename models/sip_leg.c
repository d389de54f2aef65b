/* SIP legs; see sip_leg.h. RFC 3261 sections 8, 9, 12-15, 17; timers A, B, E, F, G, H, I of its table 4. */
#include "models/sip_leg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "models/message.h"

#define TAG_LEN 12
#define BUCKETS_FIRST 4
#define USER_MAX 47
#define REASON_MAX 63
#define INVITE_CSEQ 1        /* a leg has one INVITE */
#define NO_LEG_TAG "none"    /* our tag where there is no leg to have one */

enum repeat { REPEAT_NONE, REPEAT_INVITE, REPEAT_ANSWER, REPEAT_CANCEL, REPEAT_BYE };

struct stored { /* a message that may have to go out again */
	char *text;
	size_t len;
	const char *kind;
};

struct sip_leg {
	struct sip_leg *next;         /* in its bucket by Call-ID */
	struct sip_endpoint *endpoint;
	void *owner;
	bool released;
	bool hang_up;                 /* the owner has ended it before the ACK came: a BYE is due then */
	enum leg_state state;
	enum repeat repeat;
	bool caller;                  /* we sent the INVITE */
	uint32_t peer_ip, cseq, peer_cseq, bye_cseq;
	char call_id[SIP_CALL_ID_MAX + 1];
	char local_tag[TAG_LEN + 1], remote_tag[64];
	char local_user[USER_MAX + 1], remote_user[USER_MAX + 1];
	char branch[32];              /* of our INVITE */
	char reason[REASON_MAX + 1];  /* of the BYE that is due */
	struct stored request, response, ack;
	sim_ns interval_ns, deadline_ns;
	struct event timer;
};

struct sip_endpoint {
	struct node *node;
	struct ipsec *ipsec;
	const struct sip_owner *owner;
	void *ctx;
	struct udp_socket socket;
	struct sip_leg **buckets;
	uint32_t bucket_count, count;
	struct rng tags;
};

/* What may come in which state. A cell that is false is a refusal; what is only late is taken and changes nothing. */
enum leg_input { IN_PROGRESS, IN_ANSWER, IN_REJECTION, IN_CANCEL_RESPONSE, IN_BYE_RESPONSE, IN_ACK, IN_BYE, IN_CANCEL, IN_COUNT };
static const bool foreseen[LEG_STATE_COUNT][IN_COUNT] = {
	[LEG_CALLING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true },
	[LEG_PROCEEDING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true },
	[LEG_INCOMING] = { [IN_CANCEL] = true },
	[LEG_ANSWERED] = { [IN_ACK] = true, [IN_BYE] = true, [IN_CANCEL] = true },
	[LEG_CONFIRMED] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_ACK] = true, [IN_BYE] = true, [IN_CANCEL] = true },
	[LEG_CANCELLING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true, [IN_CANCEL_RESPONSE] = true },
	[LEG_ENDING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true, [IN_CANCEL_RESPONSE] = true,
	                 [IN_BYE_RESPONSE] = true, [IN_ACK] = true, [IN_BYE] = true, [IN_CANCEL] = true },
	[LEG_ENDED] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true, [IN_CANCEL_RESPONSE] = true,
	                [IN_BYE_RESPONSE] = true, [IN_ACK] = true, [IN_BYE] = true, [IN_CANCEL] = true },
};

/* Legs by Call-ID */

static uint32_t hash_of(struct span call_id)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < call_id.len; i++)
		h = (h ^ (uint8_t)call_id.at[i]) * 16777619u;
	return h;
}

static struct sip_leg *find(const struct sip_endpoint *e, struct span call_id)
{
	struct sip_leg *leg = e->bucket_count ? e->buckets[hash_of(call_id) & (e->bucket_count - 1)] : NULL;

	while (leg && !span_is(call_id, leg->call_id))
		leg = leg->next;
	return leg;
}

static void enter(struct sip_endpoint *e, struct sip_leg *leg)
{
	struct sip_leg **bucket = &e->buckets[hash_of(span_of(leg->call_id)) & (e->bucket_count - 1)];

	leg->next = *bucket;
	*bucket = leg;
}

static void grow(struct sip_endpoint *e)
{
	struct sip_leg **old = e->buckets;
	uint32_t count = e->bucket_count;

	e->bucket_count = count ? count * 4 : BUCKETS_FIRST;
	e->buckets = sim_alloc(e->bucket_count * sizeof *e->buckets);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct sip_leg *leg = old[b];

			old[b] = leg->next;
			enter(e, leg);
		}
	free(old);
}

static void stored_free(struct stored *s)
{
	free(s->text);
	*s = (struct stored){ NULL, 0, NULL };
}

static void leg_free(struct sip_leg *leg)
{
	struct sip_endpoint *e = leg->endpoint;
	struct sip_leg **at = &e->buckets[hash_of(span_of(leg->call_id)) & (e->bucket_count - 1)];

	while (*at != leg)
		at = &(*at)->next;
	*at = leg->next;
	e->count--;
	sim_cancel(e->node->sim, &leg->timer);
	stored_free(&leg->request);
	stored_free(&leg->response);
	stored_free(&leg->ack);
	free(leg);
}

static void random_tag(struct sip_endpoint *e, char out[TAG_LEN + 1])
{
	snprintf(out, TAG_LEN + 1, "%012llx", (unsigned long long)(rng_u64(&e->tags) >> 16));
}

static struct sip_leg *leg_new(struct sip_endpoint *e, uint32_t peer_ip, struct span call_id)
{
	struct sip_leg *leg;

	if (e->count >= SIP_LEGS_MAX || call_id.len > SIP_CALL_ID_MAX || find(e, call_id))
		return NULL;
	if (e->count >= e->bucket_count)
		grow(e);
	leg = sim_alloc(sizeof *leg);
	leg->endpoint = e;
	leg->peer_ip = peer_ip;
	span_copy(call_id, leg->call_id, sizeof leg->call_id);
	random_tag(e, leg->local_tag);
	e->count++;
	enter(e, leg);
	return leg;
}

/* Sending */

static void transmit(struct sip_leg *leg, const struct stored *s)
{
	if (s->text)
		message_send(&leg->endpoint->socket, leg->peer_ip, SIP_PORT, s->kind, &form_sip, (const uint8_t *)s->text, s->len);
}

static bool store(struct stored *s, const struct text *t, const char *kind)
{
	stored_free(s);
	if (t->full)
		return false;
	s->text = sim_alloc(t->len);
	memcpy(s->text, t->at, t->len);
	s->len = t->len;
	s->kind = kind;
	return true;
}

static void on_timer(struct sim *sim, struct event *event);

/* Starts repeating: first after interval, doubling, until the deadline. */
static void repeat(struct sip_leg *leg, enum repeat what)
{
	struct sim *sim = leg->endpoint->node->sim;

	sim_cancel(sim, &leg->timer);
	leg->repeat = what;
	leg->interval_ns = SIP_T1_NS;
	leg->deadline_ns = sim->now_ns + SIP_TIMEOUT_NS;
	sim_after(sim, &leg->timer, leg->interval_ns, on_timer, "sip.retransmit");
}

/* Stops repeating; the leg's time-out still stands where something is still awaited. */
static void await(struct sip_leg *leg, sim_ns time_ns)
{
	struct sim *sim = leg->endpoint->node->sim;

	sim_cancel(sim, &leg->timer);
	leg->repeat = REPEAT_NONE;
	leg->deadline_ns = sim->now_ns + time_ns;
	sim_after(sim, &leg->timer, time_ns, on_timer, "sip.timeout");
}

static void quiet(struct sip_leg *leg)
{
	sim_cancel(leg->endpoint->node->sim, &leg->timer);
	leg->repeat = REPEAT_NONE;
}

static void finish(struct sip_leg *leg)
{
	leg->state = LEG_ENDED;
	await(leg, SIP_LINGER_NS);
}

static void put_common(struct sip_leg *leg, struct text *t, const char *method, const char *branch, uint32_t cseq)
{
	struct node *node = leg->endpoint->node;
	char own[IP_TEXT_LEN], peer[IP_TEXT_LEN];

	ip_text(ip_source_for(node, leg->peer_ip), own);
	ip_text(leg->peer_ip, peer);
	text_printf(t, "%s sip:%s@%s SIP/2.0\r\n", method, leg->remote_user, peer);
	text_printf(t, "Via: SIP/2.0/UDP %s:%u;branch=%s\r\nMax-Forwards: 70\r\n", own, SIP_PORT, branch);
	text_printf(t, "From: <sip:%s@%s>;tag=%s\r\n", leg->local_user, own, leg->local_tag);
	text_printf(t, "To: <sip:%s@%s>%s%s\r\n", leg->remote_user, peer, leg->remote_tag[0] ? ";tag=" : "", leg->remote_tag);
	text_printf(t, "Call-ID: %s\r\nCSeq: %u %s\r\nContact: <sip:%s@%s>\r\n", leg->call_id, cseq, method, leg->local_user, own);
}

static void put_body(struct text *t, const char *headers, const char *body)
{
	size_t len = strlen(body);

	text_printf(t, "%s", headers);
	if (len)
		text_printf(t, "Content-Type: application/sdp\r\n");
	text_printf(t, "Content-Length: %zu\r\n\r\n%s", len, body);
}

static void new_branch(struct sip_endpoint *e, char out[32])
{
	snprintf(out, 32, "z9hG4bK%016llx", (unsigned long long)rng_u64(&e->tags));
}

static bool build_request(struct sip_leg *leg, struct stored *into, enum sip_method method, const char *branch, uint32_t cseq,
                          const char *headers, const char *body)
{
	char bytes[SIP_MESSAGE_MAX];
	struct text t = { bytes, sizeof bytes, 0, false };

	put_common(leg, &t, sip_method_names[method], branch, cseq);
	put_body(&t, headers, body);
	return store(into, &t, sip_method_names[method]);
}

/* The kinds of responses are few; observers need names that last. */
static const char *response_kind(int status, enum sip_method method)
{
	static const struct {
		int status;
		enum sip_method method;
		const char *kind;
	} kinds[] = {
		{ 100, SIP_INVITE, "100 INVITE" }, { 180, SIP_INVITE, "180 INVITE" }, { 200, SIP_INVITE, "200 INVITE" },
		{ 200, SIP_BYE, "200 BYE" },       { 200, SIP_CANCEL, "200 CANCEL" }, { 403, SIP_INVITE, "403 INVITE" },
		{ 404, SIP_INVITE, "404 INVITE" }, { 408, SIP_INVITE, "408 INVITE" }, { 480, SIP_INVITE, "480 INVITE" },
		{ 481, SIP_BYE, "481 BYE" },       { 481, SIP_CANCEL, "481 CANCEL" }, { 486, SIP_INVITE, "486 INVITE" },
		{ 487, SIP_INVITE, "487 INVITE" }, { 488, SIP_INVITE, "488 INVITE" }, { 500, SIP_INVITE, "500 INVITE" },
		{ 503, SIP_INVITE, "503 INVITE" }, { 603, SIP_INVITE, "603 INVITE" },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].status == status && kinds[i].method == method)
			return kinds[i].kind;
	return "response";
}

/* A response to a request of the peer: Via, From, To, Call-ID and CSeq as the request has them (RFC 3261 section 8.2.6). */
static void put_response(struct text *t, int status, const struct sip_message *request, const char *to_tag)
{
	text_printf(t, "SIP/2.0 %d %s\r\nVia: %.*s\r\n", status, sip_reason(status), (int)request->via.len, request->via.at);
	text_printf(t, "From: %.*s\r\nTo: %.*s", (int)request->from.len, request->from.at, (int)request->to.len, request->to.at);
	if (!request->to_tag.at && status > 100)
		text_printf(t, ";tag=%s", to_tag);
	text_printf(t, "\r\nCall-ID: %.*s\r\nCSeq: %u %s\r\n", (int)request->call_id.len, request->call_id.at, request->cseq,
	            sip_method_names[request->method]);
}

static void respond(struct sip_endpoint *e, uint32_t to, int status, const struct sip_message *request, const char *to_tag)
{
	char bytes[SIP_MESSAGE_MAX];
	struct text t = { bytes, sizeof bytes, 0, false };

	put_response(&t, status, request, to_tag);
	put_body(&t, "", "");
	if (!t.full)
		message_send(&e->socket, to, SIP_PORT, response_kind(status, request->method), &form_sip, (uint8_t *)bytes, t.len);
}

/* What the owner asks for */

struct sip_leg *sip_leg_invite(struct sip_endpoint *e, const struct sip_invite *invite, void *owner)
{
	struct sip_leg *leg = leg_new(e, invite->peer_ip, span_of(invite->call_id));

	if (!leg)
		return NULL;
	leg->caller = true;
	leg->owner = owner;
	leg->cseq = INVITE_CSEQ;
	snprintf(leg->local_user, sizeof leg->local_user, "%s", invite->from_user);
	snprintf(leg->remote_user, sizeof leg->remote_user, "%s", invite->to_user);
	new_branch(e, leg->branch);
	if (!build_request(leg, &leg->request, SIP_INVITE, leg->branch, leg->cseq, invite->headers, invite->body)) {
		leg_free(leg);
		return NULL;
	}
	leg->state = LEG_CALLING;
	transmit(leg, &leg->request);
	repeat(leg, REPEAT_INVITE);
	return leg;
}

void sip_leg_answer(struct sip_leg *leg, int status, const char *headers, const char *body)
{
	char bytes[SIP_MESSAGE_MAX];
	struct text t = { bytes, sizeof bytes, 0, false };
	struct sip_message invite;

	if (leg->state != LEG_INCOMING || !sip_parse((uint8_t *)leg->request.text, leg->request.len, &invite))
		return;
	put_response(&t, status, &invite, leg->local_tag);
	put_body(&t, headers, body);
	if (t.full) { /* too long to be said: the peer must not wait for it */
		t = (struct text){ bytes, sizeof bytes, 0, false };
		status = 500;
		put_response(&t, status, &invite, leg->local_tag);
		put_body(&t, "", "");
	}
	if (!store(&leg->response, &t, response_kind(status, SIP_INVITE)))
		return;
	transmit(leg, &leg->response);
	if (status < 200)
		return;
	leg->state = status < 300 ? LEG_ANSWERED : LEG_ENDING;
	repeat(leg, REPEAT_ANSWER); /* until the ACK */
}

void sip_leg_ack(struct sip_leg *leg, const char *headers)
{
	char branch[32];

	new_branch(leg->endpoint, branch);
	if (build_request(leg, &leg->ack, SIP_ACK, branch, leg->cseq, headers, ""))
		transmit(leg, &leg->ack);
}

static void send_bye(struct sip_leg *leg, const char *reason)
{
	char branch[32], header[REASON_MAX + 32] = "";

	if (reason[0])
		snprintf(header, sizeof header, "Reason: SIP;text=\"%.*s\"\r\n", REASON_MAX, reason);
	new_branch(leg->endpoint, branch);
	leg->bye_cseq = ++leg->cseq;
	leg->state = LEG_ENDING;
	if (build_request(leg, &leg->request, SIP_BYE, branch, leg->bye_cseq, header, "")) {
		transmit(leg, &leg->request);
		repeat(leg, REPEAT_BYE);
	}
}

static void send_cancel(struct sip_leg *leg)
{
	leg->state = LEG_CANCELLING;
	if (build_request(leg, &leg->request, SIP_CANCEL, leg->branch, leg->cseq, "", "")) {
		transmit(leg, &leg->request);
		repeat(leg, REPEAT_CANCEL);
	}
}

void sip_leg_end(struct sip_leg *leg, const char *reason)
{
	switch (leg->state) {
	case LEG_CALLING: /* RFC 3261 section 9.1: a CANCEL waits for a first response, else it could overtake the INVITE */
		leg->state = LEG_CANCELLING;
		break;
	case LEG_PROCEEDING:
		send_cancel(leg);
		break;
	case LEG_INCOMING:
		sip_leg_answer(leg, 487, "", "");
		break;
	case LEG_ANSWERED: /* section 15: no BYE before the ACK, for the peer may not know of the dialog yet */
		leg->hang_up = true;
		snprintf(leg->reason, sizeof leg->reason, "%s", reason);
		break;
	case LEG_CONFIRMED:
		if (leg->caller && !leg->ack.text)
			sip_leg_ack(leg, "");
		send_bye(leg, reason);
		break;
	default:
		break;
	}
}

void sip_leg_release(struct sip_leg *leg)
{
	leg->released = true;
	leg->owner = NULL;
	sip_leg_end(leg, "");
	if (leg->state == LEG_ENDED && !event_pending(&leg->timer)) /* it has lingered long enough already */
		leg_free(leg);
}

/* Time */

/* RFC 3261 section 13.3.1.4: no ACK to our 2xx, so the dialog is ended by a BYE. */
static void no_ack(struct sip_leg *leg)
{
	if (!leg->released && !leg->hang_up)
		leg->endpoint->owner->acknowledged(leg, NULL);
	if (leg->state == LEG_ANSWERED)
		send_bye(leg, leg->hang_up ? leg->reason : "no ACK");
}

static void timed_out(struct sip_leg *leg)
{
	const struct sip_owner *owner = leg->endpoint->owner;
	enum leg_state before = leg->state;

	if (before == LEG_ENDED) {
		if (leg->released)
			leg_free(leg);
		return;
	}
	if (before == LEG_ANSWERED) {
		no_ack(leg);
		return;
	}
	finish(leg);
	if (leg->released)
		return;
	if (before == LEG_CALLING)
		owner->rejected(leg, 408);
	else
		owner->ended(leg, true);
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct sip_leg *leg = event_owner(event, struct sip_leg, timer);

	if (leg->repeat == REPEAT_NONE || sim->now_ns >= leg->deadline_ns) {
		timed_out(leg);
		return;
	}
	transmit(leg, leg->repeat == REPEAT_ANSWER ? &leg->response : &leg->request);
	leg->interval_ns *= 2;
	if (leg->repeat != REPEAT_INVITE && leg->interval_ns > SIP_T2_NS)
		leg->interval_ns = SIP_T2_NS;
	if (leg->interval_ns > leg->deadline_ns - sim->now_ns)
		leg->interval_ns = leg->deadline_ns - sim->now_ns;
	sim_after(sim, &leg->timer, leg->interval_ns, on_timer, "sip.retransmit");
}

/* What comes in */

static void ack_rejection(struct sip_leg *leg)
{
	struct stored ack = { NULL, 0, NULL };

	if (build_request(leg, &ack, SIP_ACK, leg->branch, INVITE_CSEQ, "", ""))
		transmit(leg, &ack);
	stored_free(&ack);
}

static void take_rejection(struct sip_leg *leg, const struct sip_message *m)
{
	const struct sip_owner *owner = leg->endpoint->owner;
	enum leg_state before = leg->state;

	ack_rejection(leg);
	if (before == LEG_ENDED || before == LEG_ENDING)
		return;
	finish(leg);
	if (leg->released)
		return;
	if (before == LEG_CANCELLING)
		owner->ended(leg, false);
	else
		owner->rejected(leg, m->status);
}

static void take_answer(struct sip_leg *leg, const struct sip_message *m)
{
	enum leg_state before = leg->state;

	if (before == LEG_CALLING || before == LEG_PROCEEDING) {
		leg->state = LEG_CONFIRMED;
		quiet(leg);
		leg->endpoint->owner->answered(leg, m);
	} else if (before == LEG_CANCELLING || (before == LEG_ENDED && leg->released && !leg->ack.text)) {
		/* Answered while our CANCEL was under way, or after we had given up. */
		sip_leg_ack(leg, "");
		send_bye(leg, "cancelled");
	} else {
		transmit(leg, &leg->ack); /* a repeated 2xx: our ACK was lost */
	}
}

static void take_invite_response(struct sip_leg *leg, const struct sip_message *m)
{
	if (m->status >= 200) {
		if (!leg->remote_tag[0])
			span_copy(m->to_tag, leg->remote_tag, sizeof leg->remote_tag);
		if (m->status < 300)
			take_answer(leg, m);
		else
			take_rejection(leg, m);
		return;
	}
	if (leg->state == LEG_CALLING) {
		leg->state = LEG_PROCEEDING;
		quiet(leg); /* the owner decides how long it may ring */
	} else if (leg->state == LEG_CANCELLING && leg->repeat == REPEAT_INVITE) {
		send_cancel(leg);
	}
	if (!leg->released && leg->state == LEG_PROCEEDING && m->status > 100)
		leg->endpoint->owner->progress(leg, m);
}

/* Our CANCEL or BYE has been taken, or the peer knows of no such dialog any more. */
static void take_end_response(struct sip_leg *leg, const struct sip_message *m)
{
	if (m->status < 200)
		return;
	if (m->method == SIP_CANCEL && m->status < 300 && leg->state == LEG_CANCELLING) {
		await(leg, SIP_TIMEOUT_NS); /* for the 487 */
	} else if (leg->state == (m->method == SIP_CANCEL ? LEG_CANCELLING : LEG_ENDING)) {
		finish(leg);
		if (!leg->released)
			leg->endpoint->owner->ended(leg, false);
	}
}

static bool response_foreseen(const struct sip_leg *leg, const struct sip_message *m)
{
	const bool *may = foreseen[leg->state];
	bool same_dialog = m->status < 200 || !leg->remote_tag[0] || span_is(m->to_tag, leg->remote_tag);

	if (!span_is(m->from_tag, leg->local_tag))
		return false;
	if (m->method == SIP_INVITE)
		return leg->caller && m->cseq == INVITE_CSEQ && same_dialog &&
		       may[m->status < 200 ? IN_PROGRESS : m->status < 300 ? IN_ANSWER : IN_REJECTION];
	if (m->method == SIP_CANCEL)
		return leg->caller && m->cseq == INVITE_CSEQ && may[IN_CANCEL_RESPONSE];
	return m->method == SIP_BYE && leg->bye_cseq && m->cseq == leg->bye_cseq && may[IN_BYE_RESPONSE];
}

static void take_response(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	struct sip_endpoint *e = leg->endpoint;

	if (!response_foreseen(leg, m)) {
		trace_refuse(e->node, "sip.unexpected", from->src, from->tag, "");
		return;
	}
	message_accept(e->node, from->tag);
	if (m->method == SIP_INVITE)
		take_invite_response(leg, m);
	else
		take_end_response(leg, m);
}

/* Names and tags that do not fit are the peer's fault: nothing could be answered in its dialog. */
static bool take_names(struct sip_leg *leg, const struct sip_message *m)
{
	return span_copy(m->from_tag, leg->remote_tag, sizeof leg->remote_tag) &&
	       span_copy(sip_user(m->from), leg->remote_user, sizeof leg->remote_user) &&
	       span_copy(sip_user(m->uri), leg->local_user, sizeof leg->local_user);
}

static void take_new_invite(struct sip_endpoint *e, const struct sip_message *m, const struct udp_from *from,
                            const struct packet *packet)
{
	struct sip_leg *leg = leg_new(e, from->src, m->call_id);
	struct text copy = { (char *)packet->data, packet->len, packet->len, false };

	if (leg && !take_names(leg, m)) {
		trace_refuse(e->node, "sip.malformed", from->src, from->tag, "");
		respond(e, from->src, 400, m, NO_LEG_TAG);
		leg_free(leg);
		return;
	}
	message_accept(e->node, from->tag);
	if (!leg) {
		respond(e, from->src, 503, m, NO_LEG_TAG);
		return;
	}
	leg->state = LEG_INCOMING;
	leg->peer_cseq = m->cseq;
	store(&leg->request, &copy, "INVITE");
	if (!e->owner->invited(e->ctx, leg, m, from)) {
		sip_leg_answer(leg, 503, "", "");
		sip_leg_release(leg);
	}
}

static void take_ack(struct sip_leg *leg, const struct sip_message *m)
{
	if (leg->state == LEG_ANSWERED) {
		leg->state = LEG_CONFIRMED;
		quiet(leg);
		if (leg->hang_up)
			send_bye(leg, leg->reason);
		else if (!leg->released)
			leg->endpoint->owner->acknowledged(leg, m);
	} else if (leg->state == LEG_ENDING && leg->repeat == REPEAT_ANSWER) { /* of our rejection */
		finish(leg);
		if (!leg->released)
			leg->endpoint->owner->ended(leg, false);
	}
}

static void take_bye(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	bool was_talking = leg->state == LEG_ANSWERED || leg->state == LEG_CONFIRMED;

	respond(leg->endpoint, from->src, 200, m, leg->local_tag);
	if (!was_talking)
		return; /* a repetition, or both hung up at once: our own BYE goes on by itself */
	finish(leg);
	if (leg->released)
		return;
	if (leg->hang_up)
		leg->endpoint->owner->ended(leg, false);
	else
		leg->endpoint->owner->hung_up(leg, m);
}

static void take_cancel(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	respond(leg->endpoint, from->src, 200, m, leg->local_tag);
	if (leg->state != LEG_INCOMING)
		return;
	sip_leg_answer(leg, 487, "", "");
	if (!leg->released)
		leg->endpoint->owner->cancelled(leg);
}

/* An INVITE that came before: what has been said to it last, or that we are at it. */
static void repeated_invite(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	if (!leg->response.text)
		respond(leg->endpoint, from->src, 100, m, leg->local_tag);
	else if (leg->state == LEG_INCOMING || leg->repeat == REPEAT_ANSWER)
		transmit(leg, &leg->response);
}

static bool request_foreseen(const struct sip_leg *leg, const struct sip_message *m)
{
	static const int input_of[SIP_METHOD_COUNT] = { [SIP_ACK] = IN_ACK, [SIP_BYE] = IN_BYE, [SIP_CANCEL] = IN_CANCEL };
	bool before_dialog = m->method == SIP_INVITE || m->method == SIP_CANCEL;

	if (!span_is(m->from_tag, leg->remote_tag) || (before_dialog && (leg->caller || m->cseq != leg->peer_cseq)))
		return false;
	if (m->to_tag.at ? !span_is(m->to_tag, leg->local_tag) : !before_dialog)
		return false;
	return m->method == SIP_INVITE || (input_of[m->method] && foreseen[leg->state][input_of[m->method]]);
}

static void take_request(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	struct sip_endpoint *e = leg->endpoint;

	if (!request_foreseen(leg, m)) {
		trace_refuse(e->node, "sip.unexpected", from->src, from->tag, "");
		if (m->method == SIP_BYE || m->method == SIP_CANCEL)
			respond(e, from->src, 481, m, NO_LEG_TAG);
		return;
	}
	message_accept(e->node, from->tag);
	if (m->method == SIP_INVITE)
		repeated_invite(leg, m, from);
	else if (m->method == SIP_ACK)
		take_ack(leg, m);
	else if (m->method == SIP_BYE)
		take_bye(leg, m, from);
	else
		take_cancel(leg, m, from);
}

static void take_stray(struct sip_endpoint *e, const struct sip_message *m, const struct udp_from *from)
{
	if (m->request && m->method == SIP_ACK && m->to_tag.at && span_is(m->to_tag, NO_LEG_TAG)) {
		message_accept(e->node, from->tag); /* of a rejection for which no leg was made */
		return;
	}
	trace_refuse(e->node, "sip.no_dialog", from->src, from->tag, "");
	if (m->request && (m->method == SIP_BYE || m->method == SIP_CANCEL))
		respond(e, from->src, 481, m, NO_LEG_TAG);
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct sip_endpoint *e = socket->ctx;
	struct sip_message m;
	struct sip_leg *leg;

	if (!ipsec_covered(e->ipsec, from)) {
		trace_refuse(e->node, "signaling.esp", from->src, from->tag, "");
		return;
	}
	if (!sip_parse(packet->data, packet->len, &m)) {
		trace_refuse(e->node, "sip.malformed", from->src, from->tag, "");
		return;
	}
	leg = find(e, m.call_id);
	if (leg && leg->peer_ip != from->src) {
		trace_refuse(e->node, "sip.no_dialog", from->src, from->tag, "");
	} else if (leg) {
		if (m.request)
			take_request(leg, &m, from);
		else
			take_response(leg, &m, from);
	} else if (m.request && m.method == SIP_INVITE && !m.to_tag.at) {
		take_new_invite(e, &m, from, packet);
	} else {
		take_stray(e, &m, from);
	}
}

/* Life */

struct sip_endpoint *sip_endpoint_new(struct node *node, struct ipsec *ipsec, const struct sip_owner *owner, void *ctx)
{
	struct sip_endpoint *e = sim_alloc(sizeof *e);

	e->node = node;
	e->ipsec = ipsec;
	e->owner = owner;
	e->ctx = ctx;
	rng_init(&e->tags, node->sim->seed, node->name, "sip");
	return e;
}

static void forget(struct sip_endpoint *e)
{
	for (uint32_t b = 0; b < e->bucket_count; b++)
		while (e->buckets[b])
			leg_free(e->buckets[b]);
}

void sip_endpoint_reset(struct sip_endpoint *e)
{
	forget(e);
	udp_unbind(&e->socket);
	udp_bind(e->node, &e->socket, SIP_PORT, on_datagram, e);
}

void sip_endpoint_free(struct sip_endpoint *e)
{
	if (!e)
		return;
	forget(e);
	udp_unbind(&e->socket);
	free(e->buckets);
	free(e);
}

unsigned sip_leg_count(const struct sip_endpoint *e)
{
	return e->count;
}

enum leg_state sip_leg_state(const struct sip_leg *leg)
{
	return leg->state;
}

void *sip_leg_owner(const struct sip_leg *leg)
{
	return leg->owner;
}

void sip_leg_set_owner(struct sip_leg *leg, void *owner)
{
	leg->owner = owner;
}

uint32_t sip_leg_peer(const struct sip_leg *leg)
{
	return leg->peer_ip;
}

const char *sip_leg_call_id(const struct sip_leg *leg)
{
	return leg->call_id;
}

struct node *sip_leg_node(const struct sip_leg *leg)
{
	return leg->endpoint->node;
}

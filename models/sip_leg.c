/* SIP legs: their life, what owners ask for, and time; see sip_leg.h. RFC 3261 sections 9, 13-15, 17; its table 4 of timers. */
#include "models/sip_leg_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define BUCKETS_FIRST 4

/* Legs by Call-ID */

static uint32_t hash_of(struct span call_id)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < call_id.len; i++)
		h = (h ^ (uint8_t)call_id.at[i]) * 16777619u;
	return h;
}

struct sip_leg *leg_find(const struct sip_endpoint *e, struct span call_id)
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

void leg_free(struct sip_leg *leg)
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

uint64_t sip_random(struct sip_endpoint *e)
{
	if (!e->tags) {
		e->tags = sim_alloc(sizeof *e->tags);
		rng_init(e->tags, e->node->sim->seed, e->node->name, "sip");
	}
	return rng_u64(e->tags);
}

static void random_tag(struct sip_endpoint *e, char out[TAG_LEN + 1])
{
	snprintf(out, TAG_LEN + 1, "%012llx", (unsigned long long)(sip_random(e) >> 16));
}

struct sip_leg *leg_new(struct sip_endpoint *e, uint32_t peer_ip, struct span call_id)
{
	struct sip_leg *leg;

	if (e->count >= SIP_LEGS_MAX || call_id.len > SIP_CALL_ID_MAX || leg_find(e, call_id))
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

/* Time */

static void on_timer(struct sim *sim, struct event *event);

void leg_repeat(struct sip_leg *leg, enum repeat what)
{
	struct sim *sim = leg->endpoint->node->sim;

	sim_cancel(sim, &leg->timer);
	leg->repeat = what;
	leg->interval_ns = SIP_T1_NS;
	leg->deadline_ns = sim->now_ns + SIP_TIMEOUT_NS;
	sim_after(sim, &leg->timer, leg->interval_ns, on_timer, "sip.retransmit");
}

void leg_await(struct sip_leg *leg, sim_ns time_ns)
{
	struct sim *sim = leg->endpoint->node->sim;

	sim_cancel(sim, &leg->timer);
	leg->repeat = REPEAT_NONE;
	leg->deadline_ns = sim->now_ns + time_ns;
	sim_after(sim, &leg->timer, time_ns, on_timer, "sip.timeout");
}

void leg_quiet(struct sip_leg *leg)
{
	sim_cancel(leg->endpoint->node->sim, &leg->timer);
	leg->repeat = REPEAT_NONE;
}

void leg_finish(struct sip_leg *leg)
{
	leg->state = LEG_ENDED;
	leg_await(leg, SIP_LINGER_NS);
}

/* RFC 3261 section 13.3.1.4: no ACK to our 2xx, so the dialog is ended by a BYE. */
static void no_ack(struct sip_leg *leg)
{
	if (!leg->released && !leg->hang_up)
		leg->endpoint->owner->acknowledged(leg, NULL);
	if (leg->state == LEG_ANSWERED)
		leg_send_bye(leg, leg->hang_up ? leg->reason : "no ACK");
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
	if (before == LEG_CONFIRMED) { /* an INFO that nobody answered */
		leg_quiet(leg);
		return;
	}
	leg_finish(leg);
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
	leg_transmit(leg, leg->repeat == REPEAT_ANSWER ? &leg->response : &leg->request);
	leg->interval_ns *= 2;
	if (leg->repeat != REPEAT_INVITE && leg->interval_ns > SIP_T2_NS)
		leg->interval_ns = SIP_T2_NS;
	if (leg->interval_ns > leg->deadline_ns - sim->now_ns)
		leg->interval_ns = leg->deadline_ns - sim->now_ns;
	sim_after(sim, &leg->timer, leg->interval_ns, on_timer, "sip.retransmit");
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
	sip_new_branch(e, leg->branch);
	if (!leg_build_request(leg, &leg->request, SIP_INVITE, leg->branch, leg->cseq, invite->headers, invite->body)) {
		leg_free(leg);
		return NULL;
	}
	leg->state = LEG_CALLING;
	leg_transmit(leg, &leg->request);
	leg_repeat(leg, REPEAT_INVITE);
	return leg;
}

void sip_leg_answer(struct sip_leg *leg, int status, const char *headers, const char *body)
{
	if (leg->state != LEG_INCOMING || !(status = leg_build_answer(leg, status, headers, body)))
		return;
	leg_transmit(leg, &leg->response);
	if (status < 200)
		return;
	leg->state = status < 300 ? LEG_ANSWERED : LEG_ENDING;
	leg_repeat(leg, REPEAT_ANSWER); /* until the ACK */
}

void sip_leg_ack(struct sip_leg *leg, const char *headers)
{
	char branch[SIP_BRANCH_LEN];

	sip_new_branch(leg->endpoint, branch);
	if (leg_build_request(leg, &leg->ack, SIP_ACK, branch, leg->cseq, headers, ""))
		leg_transmit(leg, &leg->ack);
}

void sip_leg_inform(struct sip_leg *leg, const char *headers)
{
	if (leg->state == LEG_CONFIRMED)
		leg_send_info(leg, headers);
	else if (leg->state == LEG_ANSWERED)
		snprintf(leg->info, sizeof leg->info, "%s", headers);
}

void sip_leg_end(struct sip_leg *leg, const char *reason)
{
	switch (leg->state) {
	case LEG_CALLING: /* RFC 3261 section 9.1: a CANCEL waits for a first response, else it could overtake the INVITE */
		leg->state = LEG_CANCELLING;
		break;
	case LEG_PROCEEDING:
		leg_send_cancel(leg);
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
		leg_send_bye(leg, reason);
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

void sip_leg_abandon(struct sip_leg *leg)
{
	leg_free(leg);
}

/* Life */

struct sip_endpoint *sip_endpoint_new(struct node *node, struct ipsec *ipsec, const struct sip_owner *owner, void *ctx)
{
	struct sip_endpoint *e = sim_alloc(sizeof *e);

	e->node = node;
	e->ipsec = ipsec;
	e->owner = owner;
	e->ctx = ctx;
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
	udp_bind(e->node, &e->socket, SIP_PORT, sip_leg_receive, e);
}

void sip_endpoint_free(struct sip_endpoint *e)
{
	if (!e)
		return;
	forget(e);
	udp_unbind(&e->socket);
	free(e->buckets);
	free(e->tags);
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

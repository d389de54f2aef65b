/*
 * SIP legs: messages in; see sip_leg_internal.h. RFC 3261 sections 9.2, 12.2.2, 13.2.2, 15.1.2, 17. Whoever calls an owner here does so
 * last: the leg may be ended or released from inside.
 */
#include "models/sip_leg_internal.h"

#include "models/message.h"

#define RESPONSE_REST_MAX 160 /* of a response without headers of its own: all that is not the request's */

/* What may come in which state. A cell that is false is a refusal; what is only late is taken and changes nothing. */
enum leg_input { IN_PROGRESS, IN_ANSWER, IN_REJECTION, IN_CANCEL_RESPONSE, IN_BYE_RESPONSE, IN_INFO_RESPONSE, IN_ACK, IN_BYE, IN_CANCEL,
	         IN_INFO, IN_COUNT };
static const bool foreseen[LEG_STATE_COUNT][IN_COUNT] = {
	[LEG_CALLING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true },
	[LEG_PROCEEDING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true },
	[LEG_INCOMING] = { [IN_CANCEL] = true },
	[LEG_ANSWERED] = { [IN_ACK] = true, [IN_BYE] = true, [IN_CANCEL] = true, [IN_INFO] = true },
	[LEG_CONFIRMED] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_INFO_RESPONSE] = true, [IN_ACK] = true, [IN_BYE] = true,
	                    [IN_CANCEL] = true, [IN_INFO] = true },
	[LEG_CANCELLING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true, [IN_CANCEL_RESPONSE] = true },
	[LEG_ENDING] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true, [IN_CANCEL_RESPONSE] = true,
	                 [IN_BYE_RESPONSE] = true, [IN_INFO_RESPONSE] = true, [IN_ACK] = true, [IN_BYE] = true, [IN_CANCEL] = true,
	                 [IN_INFO] = true },
	[LEG_ENDED] = { [IN_PROGRESS] = true, [IN_ANSWER] = true, [IN_REJECTION] = true, [IN_CANCEL_RESPONSE] = true,
	                [IN_BYE_RESPONSE] = true, [IN_INFO_RESPONSE] = true, [IN_ACK] = true, [IN_BYE] = true, [IN_CANCEL] = true,
	                [IN_INFO] = true },
};

static void ack_rejection(struct sip_leg *leg)
{
	struct stored ack = { NULL, 0, NULL };

	if (leg_build_request(leg, &ack, SIP_ACK, leg->branch, INVITE_CSEQ, "", ""))
		leg_transmit(leg, &ack);
	stored_free(&ack);
}

static void take_rejection(struct sip_leg *leg, const struct sip_message *m)
{
	const struct sip_owner *owner = leg->endpoint->owner;
	enum leg_state before = leg->state;

	ack_rejection(leg);
	if (before == LEG_ENDED || before == LEG_ENDING)
		return;
	leg_finish(leg);
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
		leg_quiet(leg);
		leg->endpoint->owner->answered(leg, m);
	} else if (before == LEG_CANCELLING || (before == LEG_ENDED && leg->released && !leg->ack.text)) {
		/* Answered while our CANCEL was under way, or after we had given up. */
		sip_leg_ack(leg, "");
		leg_send_bye(leg, "cancelled");
	} else {
		leg_transmit(leg, &leg->ack); /* a repeated 2xx: our ACK was lost */
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
		leg_quiet(leg); /* the owner decides how long it may ring */
	} else if (leg->state == LEG_CANCELLING && leg->repeat == REPEAT_INVITE) {
		leg_send_cancel(leg);
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
		leg_await(leg, SIP_TIMEOUT_NS); /* for the 487 */
	} else if (leg->state == (m->method == SIP_CANCEL ? LEG_CANCELLING : LEG_ENDING)) {
		leg_finish(leg);
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
	if (m->method == SIP_INFO)
		return leg->info_cseq && m->cseq == leg->info_cseq && may[IN_INFO_RESPONSE];
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
	if (m->method == SIP_INVITE) {
		take_invite_response(leg, m);
	} else if (m->method == SIP_INFO) {
		if (m->status >= 200 && leg->repeat == REPEAT_INFO)
			leg_quiet(leg);
	} else {
		take_end_response(leg, m);
	}
}

/* Whether any answer has room: it repeats these (put_response() in sip_leg_send.c). */
static bool answerable(const struct sip_message *m)
{
	return m->via.len + m->from.len + m->to.len + m->call_id.len + RESPONSE_REST_MAX <= SIP_MESSAGE_MAX;
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
	struct sip_leg *leg;
	struct text copy = { (char *)packet->data, packet->len, packet->len, false };

	if (!answerable(m)) {
		trace_refuse(e->node, "sip.malformed", from->src, from->tag, "");
		return;
	}
	leg = leg_new(e, from->src, m->call_id);
	if (leg && !take_names(leg, m)) {
		trace_refuse(e->node, "sip.malformed", from->src, from->tag, "");
		sip_respond(e, from->src, 400, m, NO_LEG_TAG);
		leg_free(leg);
		return;
	}
	message_accept(e->node, from->tag);
	if (!leg) {
		sip_respond(e, from->src, 503, m, NO_LEG_TAG);
		return;
	}
	leg->state = LEG_INCOMING;
	leg->peer_cseq = m->cseq;
	stored_set(&leg->request, &copy, "INVITE");
	if (!e->owner->invited(e->ctx, leg, m, from)) {
		sip_leg_answer(leg, 503, "", "");
		sip_leg_release(leg);
	}
}

static void take_ack(struct sip_leg *leg, const struct sip_message *m)
{
	if (leg->state == LEG_ANSWERED) {
		leg->state = LEG_CONFIRMED;
		leg_quiet(leg);
		if (leg->hang_up) {
			leg_send_bye(leg, leg->reason);
			return;
		}
		if (leg->info[0])
			leg_send_info(leg, leg->info);
		if (!leg->released)
			leg->endpoint->owner->acknowledged(leg, m);
	} else if (leg->state == LEG_ENDING && leg->repeat == REPEAT_ANSWER) { /* of our rejection */
		leg_finish(leg);
		if (!leg->released)
			leg->endpoint->owner->ended(leg, false);
	}
}

static void take_bye(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	bool was_talking = leg->state == LEG_ANSWERED || leg->state == LEG_CONFIRMED;

	sip_respond(leg->endpoint, from->src, 200, m, leg->local_tag);
	if (!was_talking)
		return; /* a repetition, or both hung up at once: our own BYE goes on by itself */
	leg_finish(leg);
	if (leg->released)
		return;
	if (leg->hang_up)
		leg->endpoint->owner->ended(leg, false);
	else
		leg->endpoint->owner->hung_up(leg, m);
}

static void take_cancel(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	sip_respond(leg->endpoint, from->src, 200, m, leg->local_tag);
	if (leg->state != LEG_INCOMING)
		return;
	sip_leg_answer(leg, 487, "", "");
	if (!leg->released)
		leg->endpoint->owner->cancelled(leg);
}

static void take_info(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	const struct sip_owner *owner = leg->endpoint->owner;
	bool repeated = m->cseq <= leg->peer_info_cseq;

	if (leg->state == LEG_ANSWERED)
		return; /* the ACK before it was lost: both are repeated, and a response would end that */
	sip_respond(leg->endpoint, from->src, 200, m, leg->local_tag);
	if (!repeated)
		leg->peer_info_cseq = m->cseq;
	if (!repeated && owner->informed && !leg->released && leg->state == LEG_CONFIRMED)
		owner->informed(leg, m);
}

/* An INVITE that came before: what has been said to it last, or that we are at it. */
static void repeated_invite(struct sip_leg *leg, const struct sip_message *m, const struct udp_from *from)
{
	if (!leg->response.text)
		sip_respond(leg->endpoint, from->src, 100, m, leg->local_tag);
	else if (leg->state == LEG_INCOMING || leg->repeat == REPEAT_ANSWER)
		leg_transmit(leg, &leg->response);
}

static bool request_foreseen(const struct sip_leg *leg, const struct sip_message *m)
{
	static const int input_of[SIP_METHOD_COUNT] = { [SIP_ACK] = IN_ACK, [SIP_BYE] = IN_BYE, [SIP_CANCEL] = IN_CANCEL,
		                                        [SIP_INFO] = IN_INFO };
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
		if (m->method == SIP_BYE || m->method == SIP_CANCEL || m->method == SIP_INFO)
			sip_respond(e, from->src, 481, m, NO_LEG_TAG);
		return;
	}
	message_accept(e->node, from->tag);
	if (m->method == SIP_INVITE)
		repeated_invite(leg, m, from);
	else if (m->method == SIP_ACK)
		take_ack(leg, m);
	else if (m->method == SIP_BYE)
		take_bye(leg, m, from);
	else if (m->method == SIP_INFO)
		take_info(leg, m, from);
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
	if (m->request && (m->method == SIP_BYE || m->method == SIP_CANCEL || m->method == SIP_INFO))
		sip_respond(e, from->src, 481, m, NO_LEG_TAG);
}

void sip_leg_receive(struct udp_socket *socket, struct packet *packet, const struct udp_from *datagram)
{
	struct sip_endpoint *e = socket->ctx;
	struct udp_from known = *datagram;
	const struct udp_from *from = &known;
	const char *check = ipsec_check_signaling(e->ipsec, &known);
	struct sip_message m;
	struct sip_leg *leg;

	if (check) {
		trace_refuse(e->node, check, from->src, from->tag, "");
		return;
	}
	if (!sip_parse(packet->data, packet->len, &m)) {
		trace_refuse(e->node, "sip.malformed", from->src, from->tag, "");
		return;
	}
	leg = leg_find(e, m.call_id);
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

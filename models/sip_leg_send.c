/* SIP legs: messages out; see sip_leg_internal.h. RFC 3261 sections 8.1.1, 8.2.6, 9.1, 12.2.1, 15.1.1. */
#include "models/sip_leg_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include "models/message.h"

void stored_free(struct stored *s)
{
	free(s->text);
	*s = (struct stored){ NULL, 0, NULL };
}

void leg_transmit(struct sip_leg *leg, const struct stored *s)
{
	if (s->text)
		message_send(&leg->endpoint->socket, leg->peer_ip, SIP_PORT, s->kind, &form_sip, (const uint8_t *)s->text, s->len);
}

bool stored_set(struct stored *s, const struct text *t, const char *kind)
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

void sip_new_branch(struct sip_endpoint *e, char out[SIP_BRANCH_LEN])
{
	snprintf(out, SIP_BRANCH_LEN, "z9hG4bK%016llx", (unsigned long long)sip_random(e));
}

bool leg_build_request(struct sip_leg *leg, struct stored *into, enum sip_method method, const char *branch, uint32_t cseq,
                          const char *headers, const char *body)
{
	char bytes[SIP_MESSAGE_MAX];
	struct text t = { bytes, sizeof bytes, 0, false };

	put_common(leg, &t, sip_method_names[method], branch, cseq);
	put_body(&t, headers, body);
	return stored_set(into, &t, sip_method_names[method]);
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
		{ 200, SIP_INFO, "200 INFO" },     { 481, SIP_INFO, "481 INFO" },     { 482, SIP_INVITE, "482 INVITE" },
		{ 200, SIP_BYE, "200 BYE" },       { 200, SIP_CANCEL, "200 CANCEL" }, { 400, SIP_INVITE, "400 INVITE" },
		{ 403, SIP_INVITE, "403 INVITE" },
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

int leg_build_answer(struct sip_leg *leg, int status, const char *headers, const char *body)
{
	char bytes[SIP_MESSAGE_MAX];
	struct text t = { bytes, sizeof bytes, 0, false };
	struct sip_message invite;

	if (!sip_parse((uint8_t *)leg->request.text, leg->request.len, &invite))
		return 0;
	put_response(&t, status, &invite, leg->local_tag);
	put_body(&t, headers, body);
	if (t.full) { /* too long to be said: the peer must not wait for it */
		t = (struct text){ bytes, sizeof bytes, 0, false };
		status = 500;
		put_response(&t, status, &invite, leg->local_tag);
		put_body(&t, "", "");
	}
	return stored_set(&leg->response, &t, response_kind(status, SIP_INVITE)) ? status : 0;
}

void sip_respond(struct sip_endpoint *e, uint32_t to, int status, const struct sip_message *request, const char *to_tag)
{
	char bytes[SIP_MESSAGE_MAX];
	struct text t = { bytes, sizeof bytes, 0, false };

	put_response(&t, status, request, to_tag);
	put_body(&t, "", "");
	if (!t.full)
		message_send(&e->socket, to, SIP_PORT, response_kind(status, request->method), &form_sip, (uint8_t *)bytes, t.len);
}

void leg_send_bye(struct sip_leg *leg, const char *reason)
{
	char branch[SIP_BRANCH_LEN], header[REASON_MAX + 32] = "";

	if (reason[0])
		snprintf(header, sizeof header, "Reason: SIP;text=\"%.*s\"\r\n", REASON_MAX, reason);
	sip_new_branch(leg->endpoint, branch);
	leg->bye_cseq = ++leg->cseq;
	leg->state = LEG_ENDING;
	if (leg_build_request(leg, &leg->request, SIP_BYE, branch, leg->bye_cseq, header, "")) {
		leg_transmit(leg, &leg->request);
		leg_repeat(leg, REPEAT_BYE);
	}
}

void leg_send_info(struct sip_leg *leg, const char *headers)
{
	char branch[SIP_BRANCH_LEN];

	sip_new_branch(leg->endpoint, branch);
	leg->info_cseq = ++leg->cseq;
	if (leg_build_request(leg, &leg->request, SIP_INFO, branch, leg->info_cseq, headers, "")) {
		leg_transmit(leg, &leg->request);
		leg_repeat(leg, REPEAT_INFO);
	}
}

void leg_send_cancel(struct sip_leg *leg)
{
	leg->state = LEG_CANCELLING;
	if (leg_build_request(leg, &leg->request, SIP_CANCEL, leg->branch, leg->cseq, "", "")) {
		leg_transmit(leg, &leg->request);
		leg_repeat(leg, REPEAT_CANCEL);
	}
}

/* Answering servers' questions; see radius_server.h. */
#include "models/radius_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/directory.h"
#include "models/message.h"
#include "sim/service.h"

struct radius_server {
	struct node *node;
	struct ipsec *ipsec;
	uint16_t port;
	radius_question_fn *fn;
	void *ctx;
	struct udp_socket socket;
};

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	static const uint8_t zeros[16];
	struct radius_server *s = socket->ctx;
	struct radius_asked asked = { .ip = from->src, .port = from->sport, .tag = from->tag };
	const char *check = NULL;

	asked.principal = directory_service_at(world_directory(world_of(s->node->sim)), from->src);
	if (!ipsec_covered(s->ipsec, from))
		check = "backend.ipsec";
	else if (!radius_parse(packet->data, packet->len, &asked.question))
		check = "radius.malformed";
	else if (asked.question.code != RADIUS_ACCESS_REQUEST && !radius_check(packet->data, packet->len, zeros))
		check = "radius.authenticator";
	else if (!asked.principal)
		check = "radius.stranger";
	if (check) {
		trace_refuse(s->node, check, from->src, from->tag, "");
		return;
	}
	service_charge(s->node, &(struct service_cost){ .messages = 1 });
	s->fn(s->ctx, &asked);
}

void radius_server_answer(struct radius_server *s, const struct radius_asked *asked, const struct radius *answer)
{
	struct radius m = *answer;
	uint8_t bytes[RADIUS_MESSAGE_MAX];
	size_t len;

	m.id = asked->question.id;
	memset(m.authenticator, 0, sizeof m.authenticator);
	len = radius_write(&m, bytes, sizeof bytes);
	if (!len)
		return;
	radius_sign(bytes, len, asked->question.authenticator);
	message_send(&s->socket, asked->ip, asked->port, radius_kind(m.code), &form_radius, bytes, len);
}

/* The two answers to each kind of request; accounting has but one (RFC 2866 section 4.2). */
static enum radius_code answer_code(enum radius_code request, bool accept)
{
	switch (request) {
	case RADIUS_ACCOUNTING_REQUEST:
		return RADIUS_ACCOUNTING_RESPONSE;
	case RADIUS_DISCONNECT_REQUEST:
		return accept ? RADIUS_DISCONNECT_ACK : RADIUS_DISCONNECT_NAK;
	case RADIUS_COA_REQUEST:
		return accept ? RADIUS_COA_ACK : RADIUS_COA_NAK;
	default:
		return accept ? RADIUS_ACCESS_ACCEPT : RADIUS_ACCESS_REJECT;
	}
}

void radius_server_judge(struct radius_server *s, const struct radius_asked *asked, const char *check)
{
	struct radius answer = { .code = answer_code(asked->question.code, !check) };
	char about[RADIUS_TEXT_MAX];

	if (check) {
		snprintf(answer.reply_message, sizeof answer.reply_message, "%s", check);
		snprintf(about, sizeof about, "%s", asked->question.user_name);
		radius_mask_secrets(about);
		trace_refuse(s->node, check, asked->ip, asked->tag, about);
	} else {
		message_accept(s->node, asked->tag);
	}
	if (!check || asked->question.code != RADIUS_ACCOUNTING_REQUEST)
		radius_server_answer(s, asked, &answer);
}

struct radius_server *radius_server_new(struct node *node, struct ipsec *ipsec, uint16_t port, radius_question_fn *fn, void *ctx)
{
	struct radius_server *s = sim_alloc(sizeof *s);

	s->node = node;
	s->ipsec = ipsec;
	s->port = port;
	s->fn = fn;
	s->ctx = ctx;
	return s;
}

void radius_server_reset(struct radius_server *s)
{
	udp_unbind(&s->socket);
	udp_bind(s->node, &s->socket, s->port, on_datagram, s);
}

void radius_server_free(struct radius_server *s)
{
	if (!s)
		return;
	udp_unbind(&s->socket);
	free(s);
}

/* Questions between servers; see radius_client.h. RFC 2865 sections 2 and 3. */
#include "models/radius_client.h"

#include <stdlib.h>
#include <string.h>
#include "models/message.h"

struct question {
	struct radius_client *client;
	bool pending;
	uint8_t id;
	uint32_t server_ip;
	unsigned tries;
	const char *kind;
	uint16_t port;
	size_t len;
	uint8_t *bytes;                 /* of the question, len of them */
	struct event timer;
	radius_answer_fn *answer;
	void *ctx;
};

struct radius_client {
	struct node *node;
	struct ipsec *ipsec;
	struct udp_socket socket;
	struct question *questions[RADIUS_PENDING_MAX]; /* by identifier, made at first use */
	uint8_t next_id;
	struct rng authenticators;
};

static void forget(struct question *q)
{
	sim_cancel(q->client->node->sim, &q->timer);
	q->pending = false;
	free(q->bytes);
	q->bytes = NULL;
}

static void finish(struct question *q, const struct radius *answer, uint64_t tag)
{
	forget(q);
	q->answer(q->ctx, answer, tag);
}

static void on_timer(struct sim *sim, struct event *event);

static void transmit(struct question *q)
{
	struct radius_client *c = q->client;

	message_send(&c->socket, q->server_ip, q->port, q->kind, &form_radius, q->bytes, q->len);
	sim_after(c->node->sim, &q->timer, RADIUS_RETRANSMIT_NS << q->tries, on_timer, "radius.retransmit");
	q->tries++;
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct question *q = event_owner(event, struct question, timer);

	(void)sim;
	if (q->tries == RADIUS_TRIES)
		finish(q, NULL, 0);
	else
		transmit(q);
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct radius_client *c = socket->ctx;
	struct question *q;
	struct radius m;

	if (!ipsec_covered(c->ipsec, from)) {
		trace_refuse(c->node, "backend.ipsec", from->src, from->tag, "");
		return;
	}
	if (!radius_parse(packet->data, packet->len, &m)) {
		trace_refuse(c->node, "radius.malformed", from->src, from->tag, "");
		return;
	}
	q = c->questions[m.id];
	if (!q || !q->pending || q->server_ip != from->src || !radius_check(packet->data, packet->len, q->bytes + 4)) {
		trace_refuse(c->node, "radius.unexpected", from->src, from->tag, "");
		return;
	}
	finish(q, &m, from->tag);
}

static struct question *free_question(struct radius_client *c)
{
	for (unsigned i = 0; i < RADIUS_PENDING_MAX; i++) {
		uint8_t id = (uint8_t)(c->next_id + i);
		struct question *q = c->questions[id];

		if (q && q->pending)
			continue;
		if (!q) {
			q = c->questions[id] = sim_alloc(sizeof *q);
			q->client = c;
			q->id = id;
		}
		c->next_id = (uint8_t)(id + 1);
		return q;
	}
	return NULL;
}

/* Requests whose authenticator is over their own bytes (RFC 2866 section 3, RFC 5176 section 2.3), and where each kind goes. */
static bool self_signed(enum radius_code code)
{
	return code != RADIUS_ACCESS_REQUEST;
}

static uint16_t port_of(enum radius_code code)
{
	return code == RADIUS_ACCESS_REQUEST       ? RADIUS_AUTH_PORT
	       : code == RADIUS_ACCOUNTING_REQUEST ? RADIUS_ACCT_PORT
	                                           : RADIUS_DYNAMIC_PORT;
}

bool radius_client_ask(struct radius_client *c, uint32_t server_ip, const struct radius *question,
                       radius_answer_fn *answer, void *ctx)
{
	static const uint8_t zeros[16];
	struct radius m = *question;
	struct question *q = free_question(c);
	uint8_t bytes[RADIUS_MESSAGE_MAX];

	if (!q)
		return false;
	m.id = q->id;
	rng_bytes(&c->authenticators, m.authenticator, sizeof m.authenticator);
	q->len = radius_write(&m, bytes, sizeof bytes);
	if (!q->len)
		return false;
	if (self_signed(m.code))
		radius_sign(bytes, q->len, zeros);
	q->bytes = sim_alloc(q->len);
	memcpy(q->bytes, bytes, q->len);
	q->pending = true;
	q->server_ip = server_ip;
	q->tries = 0;
	q->kind = radius_kind(m.code);
	q->port = port_of(m.code);
	q->answer = answer;
	q->ctx = ctx;
	transmit(q);
	return true;
}

void radius_client_reset(struct radius_client *c)
{
	for (unsigned i = 0; i < RADIUS_PENDING_MAX; i++)
		if (c->questions[i])
			forget(c->questions[i]);
	udp_unbind(&c->socket);
	udp_bind(c->node, &c->socket, 0, on_datagram, c);
}

struct radius_client *radius_client_new(struct node *node, struct ipsec *ipsec)
{
	struct radius_client *c = sim_alloc(sizeof *c);

	c->node = node;
	c->ipsec = ipsec;
	rng_init(&c->authenticators, node->sim->seed, node->name, "radius");
	return c;
}

void radius_client_free(struct radius_client *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < RADIUS_PENDING_MAX; i++)
		if (c->questions[i]) {
			forget(c->questions[i]);
			free(c->questions[i]);
		}
	udp_unbind(&c->socket);
	free(c);
}

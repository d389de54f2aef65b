/* Asking a KDC; see kdc_client.h. RFC 4120 section 7.2, patent [0069]. */
#include "models/kdc_client.h"

#include <stdlib.h>
#include <string.h>
#include "models/message.h"

#define LENGTH_PREFIX 4

struct kdc_client {
	struct node *node;
	uint32_t kdc_ip;
	bool tcp;
	struct question *question; /* NULL: none under way */
	struct tcp_conn *closing;  /* it has brought its answer and waits for the KDC's end */
};

struct question {
	struct kdc_client *client;
	unsigned tries;
	kdc_request_fn *request;
	kdc_answer_fn *answer;
	void *ctx;
	struct event timer;
	struct udp_socket socket;
	struct tcp_conn *conn;
};

static void try_again(struct question *q, sim_ns pause_ns);

/* Ends the try under way; nothing of it can come in any more. */
static void let_go(struct question *q)
{
	struct tcp_conn *conn = q->conn;

	sim_cancel(q->client->node->sim, &q->timer);
	udp_unbind(&q->socket);
	q->conn = NULL;
	if (conn)
		tcp_abort(conn);
}

/* Ends the question, if there is one. */
static void drop(struct kdc_client *c)
{
	struct question *q = c->question;

	if (!q)
		return;
	let_go(q);
	c->question = NULL;
	free(q);
}

static void let_all_go(struct kdc_client *c)
{
	struct tcp_conn *closing = c->closing;

	drop(c);
	c->closing = NULL;
	if (closing)
		tcp_abort(closing);
}

/* The question is over before the answer is told, so that the answer may ask the next one. */
static void finish(struct kdc_client *c, const uint8_t *bytes, size_t len, uint64_t tag)
{
	kdc_answer_fn *answer = c->question->answer;
	void *ctx = c->question->ctx;

	drop(c);
	answer(ctx, bytes, len, tag);
}

/* UDP */

/* About a copy of our request that the network or somebody else made: each of our tries is new (RFC 4120 section 3.1.3). */
static bool about_a_copy(const struct packet *p)
{
	struct krb_error_info info;

	return krb_type(p->data, p->len) == KRB_ERROR && krb_error_parse(p->data, p->len, &info) &&
	       info.code == KRB_AP_ERR_REPEAT;
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct kdc_client *c = ((struct question *)socket->ctx)->client;

	if (from->src != c->kdc_ip || from->sport != KDC_PORT) {
		trace_refuse(c->node, "kdc_client.source", from->src, from->tag, "");
		return;
	}
	if (about_a_copy(packet)) {
		message_accept(c->node, from->tag);
		return;
	}
	packet_keep(packet);
	finish(c, packet->data, packet->len, from->tag);
	packet_free(packet);
}

static void ask_udp(struct question *q, const struct der *request)
{
	struct kdc_client *c = q->client;

	if (!udp_bind(c->node, &q->socket, 0, on_datagram, q))
		return;
	message_send(&q->socket, c->kdc_ip, KDC_PORT, kerberos_kind(request->bytes, request->len), &form_kerberos,
	             request->bytes, request->len);
}

/* TCP */

static size_t on_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct kdc_client *c = ctx;
	struct question *q = c->question;
	uint32_t want;

	if (!q || conn != q->conn)
		return len; /* behind an answer that has been had */
	if (len < LENGTH_PREFIX)
		return 0;
	want = get_be32(bytes);
	if (want > KRB_MESSAGE_MAX) {
		trace_refuse(c->node, "krb.too_long", c->kdc_ip, tag, "");
		q->conn = NULL;
		tcp_abort(conn);
		try_again(q, KDC_RETRY_NS);
		return 0;
	}
	if (len - LENGTH_PREFIX < want)
		return 0;
	q->conn = NULL;
	if (c->closing)
		tcp_abort(c->closing);
	c->closing = conn;
	tcp_close(conn);
	finish(c, bytes + LENGTH_PREFIX, want, tag);
	return LENGTH_PREFIX + want;
}

static void on_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct kdc_client *c = ctx;
	struct question *q = c->question;

	(void)how;
	if (c->closing == conn)
		c->closing = NULL;
	if (!q || q->conn != conn)
		return; /* the answer has been had; this is the end of its connection */
	q->conn = NULL;
	try_again(q, KDC_RETRY_NS);
}

static const struct tcp_handler tcp_answers = { .received = on_bytes, .closed = on_closed };

static void ask_tcp(struct question *q, const struct der *request)
{
	struct kdc_client *c = q->client;
	uint8_t framed[LENGTH_PREFIX + KRB_MESSAGE_MAX];
	uint64_t tag;

	if (request->len > KRB_MESSAGE_MAX)
		return;
	put_be32(framed, (uint32_t)request->len);
	memcpy(framed + LENGTH_PREFIX, request->bytes, request->len);
	q->conn = tcp_connect(c->node, 0, c->kdc_ip, KDC_PORT, &tcp_answers, c);
	tag = message_announce(c->node, 0, c->kdc_ip, kerberos_kind(request->bytes, request->len), &form_kerberos,
	                       request->bytes, request->len);
	tcp_send(q->conn, framed, LENGTH_PREFIX + request->len, tag);
}

/* Tries */

static void on_timer(struct sim *sim, struct event *event);

static void ask(struct question *q)
{
	struct kdc_client *c = q->client;
	struct sim *sim = c->node->sim;
	struct der request = { 0 };

	if (q->tries == KDC_TRIES || !q->request(q->ctx, &request)) {
		der_free(&request);
		finish(c, NULL, 0, 0);
		return;
	}
	if (c->tcp) {
		ask_tcp(q, &request);
		sim_after(sim, &q->timer, KDC_TCP_TIMEOUT_NS, on_timer, "kdc.timeout");
	} else {
		ask_udp(q, &request);
		sim_after(sim, &q->timer, KDC_RETRY_NS << q->tries, on_timer, "kdc.retransmit");
	}
	q->tries++;
	der_free(&request);
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct question *q = event_owner(event, struct question, timer);

	(void)sim;
	let_go(q); /* a connection that hangs; a port where only a late answer to an older request could arrive */
	ask(q);
}

static void try_again(struct question *q, sim_ns pause_ns)
{
	struct sim *sim = q->client->node->sim;

	sim_cancel(sim, &q->timer);
	sim_after(sim, &q->timer, pause_ns, on_timer, "kdc.retry");
}

bool kdc_client_ask(struct kdc_client *c, kdc_request_fn *request, kdc_answer_fn *answer, void *ctx)
{
	struct question *q;

	if (c->question)
		return false;
	q = c->question = sim_alloc(sizeof *q);
	*q = (struct question){ .client = c, .request = request, .answer = answer, .ctx = ctx };
	ask(q);
	return true;
}

void kdc_client_cancel(struct kdc_client *c)
{
	let_all_go(c);
}

struct kdc_client *kdc_client_new(struct node *node, uint32_t kdc_ip, bool tcp)
{
	struct kdc_client *c = sim_alloc(sizeof *c);

	c->node = node;
	c->kdc_ip = kdc_ip;
	c->tcp = tcp;
	return c;
}

void kdc_client_free(struct kdc_client *c)
{
	if (!c)
		return;
	let_all_go(c);
	free(c);
}

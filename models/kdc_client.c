/* Asking a KDC; see kdc_client.h. RFC 4120 section 7.2, patent [0069]. */
#include "models/kdc_client.h"

#include <stdlib.h>
#include <string.h>
#include "models/message.h"

#define LENGTH_PREFIX 4

struct kdc_client {
	struct node *node;
	uint32_t kdc_ip;
	bool tcp, asking;
	unsigned tries;
	kdc_request_fn *request;
	kdc_answer_fn *answer;
	void *ctx;
	struct event timer;
	struct udp_socket socket;
	struct tcp_conn *conn;    /* of the question under way */
	struct tcp_conn *closing; /* it has brought its answer and waits for the KDC's end */
};

static void try_again(struct kdc_client *c, sim_ns pause_ns);

/* Ends the try under way; nothing of it can come in any more. */
static void let_go(struct kdc_client *c)
{
	struct tcp_conn *conn = c->conn;

	sim_cancel(c->node->sim, &c->timer);
	udp_unbind(&c->socket);
	c->conn = NULL;
	if (conn)
		tcp_abort(conn);
}

static void let_all_go(struct kdc_client *c)
{
	struct tcp_conn *closing = c->closing;

	let_go(c);
	c->closing = NULL;
	if (closing)
		tcp_abort(closing);
}

/* The question is over before the answer is told, so that the answer may ask the next one. */
static void finish(struct kdc_client *c, const uint8_t *bytes, size_t len, uint64_t tag)
{
	kdc_answer_fn *answer = c->answer;
	void *ctx = c->ctx;

	sim_cancel(c->node->sim, &c->timer);
	c->asking = false;
	answer(ctx, bytes, len, tag);
}

/* UDP */

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct kdc_client *c = socket->ctx;

	if (from->src != c->kdc_ip || from->sport != KDC_PORT) {
		trace_refuse(c->node, "kdc_client.source", from->src, from->tag, "");
		return;
	}
	packet_keep(packet);
	udp_unbind(&c->socket);
	finish(c, packet->data, packet->len, from->tag);
	packet_free(packet);
}

static void ask_udp(struct kdc_client *c, const struct der *request)
{
	if (!udp_bind(c->node, &c->socket, 0, on_datagram, c))
		return;
	message_send(&c->socket, c->kdc_ip, KDC_PORT, kerberos_kind(request->bytes, request->len), &form_kerberos,
	             request->bytes, request->len);
}

/* TCP */

static size_t on_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct kdc_client *c = ctx;
	uint32_t want;

	if (conn != c->conn)
		return len; /* behind an answer that has been had */
	if (len < LENGTH_PREFIX)
		return 0;
	want = get_be32(bytes);
	if (want > KRB_MESSAGE_MAX) {
		trace_refuse(c->node, "krb.too_long", c->kdc_ip, tag, "");
		c->conn = NULL;
		tcp_abort(conn);
		try_again(c, KDC_RETRY_NS);
		return 0;
	}
	if (len - LENGTH_PREFIX < want)
		return 0;
	c->conn = NULL;
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

	(void)how;
	if (c->closing == conn)
		c->closing = NULL;
	if (c->conn != conn)
		return; /* the answer has been had; this is the end of its connection */
	c->conn = NULL;
	try_again(c, KDC_RETRY_NS);
}

static const struct tcp_handler tcp_answers = { .received = on_bytes, .closed = on_closed };

static void ask_tcp(struct kdc_client *c, const struct der *request)
{
	uint8_t framed[LENGTH_PREFIX + KRB_MESSAGE_MAX];
	uint64_t tag;

	if (request->len > KRB_MESSAGE_MAX)
		return;
	put_be32(framed, (uint32_t)request->len);
	memcpy(framed + LENGTH_PREFIX, request->bytes, request->len);
	c->conn = tcp_connect(c->node, 0, c->kdc_ip, KDC_PORT, &tcp_answers, c);
	tag = message_announce(c->node, 0, c->kdc_ip, kerberos_kind(request->bytes, request->len), &form_kerberos,
	                       request->bytes, request->len);
	tcp_send(c->conn, framed, LENGTH_PREFIX + request->len, tag);
}

/* Tries */

static void on_timer(struct sim *sim, struct event *event);

static void ask(struct kdc_client *c)
{
	struct sim *sim = c->node->sim;
	struct der request = { 0 };

	if (c->tries == KDC_TRIES || !c->request(c->ctx, &request)) {
		der_free(&request);
		finish(c, NULL, 0, 0);
		return;
	}
	if (c->tcp) {
		ask_tcp(c, &request);
		sim_after(sim, &c->timer, KDC_TCP_TIMEOUT_NS, on_timer, "kdc.timeout");
	} else {
		ask_udp(c, &request);
		sim_after(sim, &c->timer, KDC_RETRY_NS << c->tries, on_timer, "kdc.retransmit");
	}
	c->tries++;
	der_free(&request);
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct kdc_client *c = event_owner(event, struct kdc_client, timer);

	(void)sim;
	let_go(c); /* a connection that hangs; a port where only a late answer to an older request could arrive */
	ask(c);
}

static void try_again(struct kdc_client *c, sim_ns pause_ns)
{
	sim_cancel(c->node->sim, &c->timer);
	sim_after(c->node->sim, &c->timer, pause_ns, on_timer, "kdc.retry");
}

bool kdc_client_ask(struct kdc_client *c, kdc_request_fn *request, kdc_answer_fn *answer, void *ctx)
{
	if (c->asking)
		return false;
	c->asking = true;
	c->tries = 0;
	c->request = request;
	c->answer = answer;
	c->ctx = ctx;
	ask(c);
	return true;
}

void kdc_client_cancel(struct kdc_client *c)
{
	let_all_go(c);
	c->asking = false;
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

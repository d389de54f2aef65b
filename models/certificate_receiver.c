/* Taking an operator certificate; see certificate_receiver.h. */
#include "models/certificate_receiver.h"

#include <stdlib.h>
#include <string.h>

#define CERTIFICATE_FILE "operator.cer"

struct certificate_receiver {
	struct node *node;
	certificate_judge_fn *judge;
	void *ctx;
	struct udp_socket socket, transfer; /* the transfer's own port */
	uint32_t peer_ip;
	uint16_t peer_port, block;          /* block: the last one taken */
	bool over;                          /* judged: only repetitions are answered */
	const char *check;                  /* its verdict */
	uint8_t *bytes;                     /* NULL: no transfer */
	size_t len;
	struct event timer;
};

static void forget(struct certificate_receiver *r)
{
	sim_cancel(r->node->sim, &r->timer);
	udp_unbind(&r->transfer);
	free(r->bytes);
	r->bytes = NULL;
}

static void on_timer(struct sim *sim, struct event *event)
{
	(void)sim;
	forget(event_owner(event, struct certificate_receiver, timer));
}

static void keep_for(struct certificate_receiver *r, sim_ns time_ns)
{
	sim_cancel(r->node->sim, &r->timer);
	sim_after(r->node->sim, &r->timer, time_ns, on_timer, "certificate.idle");
}

static void refuse(struct certificate_receiver *r, const struct udp_from *from, const char *check)
{
	trace_refuse(r->node, check, from->src, from->tag, "");
}

static void send_error(struct udp_socket *socket, uint32_t to, uint16_t port, enum tftp_error error, const char *text)
{
	tftp_send(socket, 0, to, port, &(struct tftp){ .kind = TFTP_ERROR, .error = error, .message = span_of(text) });
}

/* What has been said to the newest block, now or again. */
static void answer(struct certificate_receiver *r)
{
	struct tftp ack = { .kind = TFTP_ACK, .block = r->block };

	if (r->over && r->check)
		send_error(&r->transfer, r->peer_ip, r->peer_port, TFTP_ACCESS, r->check);
	else
		tftp_send(&r->transfer, 0, r->peer_ip, r->peer_port, &ack);
}

static void take_block(struct certificate_receiver *r, const struct tftp *m, const struct udp_from *from)
{
	if (r->len + m->data.len > CERTIFICATE_BYTES_MAX) {
		refuse(r, from, "cta.certificate_too_long");
		send_error(&r->transfer, from->src, from->sport, TFTP_DISK_FULL, "cta.certificate_too_long");
		forget(r);
		return;
	}
	memcpy(r->bytes + r->len, m->data.at, m->data.len);
	r->len += m->data.len;
	r->block++;
	keep_for(r, CERTIFICATE_IDLE_NS);
	if (m->data.len < TFTP_BLOCK_DEFAULT) {
		r->over = true;
		r->check = r->judge(r->ctx, r->bytes, r->len, r->peer_ip);
		keep_for(r, CERTIFICATE_LINGER_NS);
	}
	if (r->over && r->check)
		refuse(r, from, r->check);
	else
		message_accept(r->node, from->tag);
	answer(r);
}

static void on_transfer(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct certificate_receiver *r = socket->ctx;
	struct tftp m;

	if (!tftp_parse(packet->data, packet->len, &m)) {
		refuse(r, from, "tftp.malformed");
	} else if (from->src != r->peer_ip || from->sport != r->peer_port) {
		refuse(r, from, "tftp.unexpected");
		send_error(socket, from->src, from->sport, TFTP_UNKNOWN_TID, "not the peer of this transfer");
	} else if (m.kind == TFTP_ERROR) {
		message_accept(r->node, from->tag);
		forget(r);
	} else if (m.kind == TFTP_DATA && m.block == r->block) { /* repeated: our acknowledgement was lost */
		message_accept(r->node, from->tag);
		answer(r);
	} else if (m.kind == TFTP_DATA && !r->over && m.block == (uint16_t)(r->block + 1) && m.data.len <= TFTP_BLOCK_DEFAULT) {
		take_block(r, &m, from);
	} else {
		refuse(r, from, "tftp.unexpected");
	}
}

static void begin(struct certificate_receiver *r, const struct udp_from *from)
{
	forget(r);
	if (!udp_bind(r->node, &r->transfer, 0, on_transfer, r))
		return;
	r->bytes = sim_alloc(CERTIFICATE_BYTES_MAX);
	r->len = 0;
	r->block = 0;
	r->over = false;
	r->check = NULL;
	r->peer_ip = from->src;
	r->peer_port = from->sport;
	keep_for(r, CERTIFICATE_IDLE_NS);
	answer(r);
}

static void on_request(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct certificate_receiver *r = socket->ctx;
	bool same = r->bytes && from->src == r->peer_ip && from->sport == r->peer_port;
	struct tftp m;

	if (!tftp_parse(packet->data, packet->len, &m)) {
		refuse(r, from, "tftp.malformed");
	} else if (m.kind != TFTP_WRITE || m.netascii || !span_is(m.file, CERTIFICATE_FILE)) {
		refuse(r, from, "tftp.unexpected");
		send_error(socket, from->src, from->sport, TFTP_ACCESS, "tftp.unexpected");
	} else if (same) { /* repeated */
		message_accept(r->node, from->tag);
		answer(r);
	} else if (r->bytes && !r->over && from->src != r->peer_ip) { /* the same machine has restarted, and begins anew */
		refuse(r, from, "tftp.busy");
		send_error(socket, from->src, from->sport, TFTP_UNDEFINED, "tftp.busy");
	} else {
		message_accept(r->node, from->tag);
		begin(r, from);
	}
}

struct certificate_receiver *certificate_receiver_new(struct node *node, certificate_judge_fn *judge, void *ctx)
{
	struct certificate_receiver *r = sim_alloc(sizeof *r);

	r->node = node;
	r->judge = judge;
	r->ctx = ctx;
	return r;
}

void certificate_receiver_stop(struct certificate_receiver *r)
{
	forget(r);
	udp_unbind(&r->socket);
}

void certificate_receiver_reset(struct certificate_receiver *r)
{
	certificate_receiver_stop(r);
	udp_bind(r->node, &r->socket, TFTP_PORT, on_request, r);
}

void certificate_receiver_free(struct certificate_receiver *r)
{
	if (!r)
		return;
	certificate_receiver_stop(r);
	free(r);
}

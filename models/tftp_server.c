/* TFTP server; see tftp_server.h. */
#include "models/tftp_server.h"

#include <stdlib.h>
#include <string.h>
#include "sim/service.h"

#define ICMP_TYPE_UNREACHABLE 3 /* RFC 792 */
#define ICMP_CODE_PORT 3

struct transfer {
	struct transfer *next;
	struct tftp_server *server;
	struct udp_socket socket;
	struct event timer;
	uint32_t peer_ip, own_ip;
	uint16_t peer_port;
	struct tftp_file file;
	uint32_t block_len;
	uint16_t block;      /* the one that waits for its acknowledgement; 0: the OACK */
	unsigned tries;
};

struct tftp_server {
	struct node *node;
	tftp_file_fn *fn;
	void *ctx;
	struct udp_socket socket;
	struct transfer *transfers;
	unsigned transfer_count;
};

static void send_error(struct udp_socket *socket, const struct udp_from *to, enum tftp_error error, const char *why)
{
	tftp_send(socket, to->dst, to->src, to->sport,
	          &(struct tftp){ .kind = TFTP_ERROR, .error = error, .message = span_of(why) });
}

static void file_free(struct tftp_file *file)
{
	if (!file->lent)
		der_free(&file->bytes);
}

/* A transfer */

static void transfer_end(struct transfer *t)
{
	struct transfer **at = &t->server->transfers;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->server->transfer_count--;
	sim_cancel(t->server->node->sim, &t->timer);
	udp_unbind(&t->socket);
	file_free(&t->file);
	free(t);
}

static void on_timeout(struct sim *sim, struct event *event);

/* Sends what waits for its acknowledgement. */
static void transfer_send(struct transfer *t)
{
	struct tftp m = { .kind = TFTP_DATA, .block = t->block };
	size_t at = (size_t)(t->block - 1) * t->block_len;

	if (t->block == 0) {
		m.kind = TFTP_OPTIONS;
		m.block_len = t->block_len;
	} else {
		size_t left = t->file.bytes.len - at;

		m.data = span_at(t->file.bytes.bytes + at, left < t->block_len ? left : t->block_len);
	}
	tftp_send(&t->socket, t->own_ip, t->peer_ip, t->peer_port, &m);
	sim_after(t->server->node->sim, &t->timer, TFTP_TIMEOUT_NS << t->tries, on_timeout, "tftp.timeout");
}

static void on_timeout(struct sim *sim, struct event *event)
{
	struct transfer *t = event_owner(event, struct transfer, timer);

	(void)sim;
	if (++t->tries == TFTP_TRIES)
		transfer_end(t);
	else
		transfer_send(t);
}

static void on_ack(struct transfer *t, uint16_t block, uint64_t tag)
{
	struct node *node = t->server->node;

	if (block != t->block) {
		if (block > t->block)
			trace_refuse(node, "tftp.block", t->peer_ip, tag, "");
		return; /* an older one has come twice or late */
	}
	message_accept(node, tag);
	sim_cancel(node->sim, &t->timer);
	if (t->block && (size_t)t->block * t->block_len > t->file.bytes.len) {
		transfer_end(t);
		return;
	}
	t->block++;
	t->tries = 0;
	service_charge(node, &(struct service_cost){ .messages = 1 });
	transfer_send(t);
}

static void on_transfer(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct transfer *t = socket->ctx;
	struct node *node = t->server->node;
	struct tftp m;

	bool read = tftp_parse(packet->data, packet->len, &m);

	if (from->src != t->peer_ip || from->sport != t->peer_port) {
		trace_refuse(node, "tftp.unknown_tid", from->src, from->tag, "");
		if (read && m.kind != TFTP_ERROR) /* an error about an error would go back and forth for good */
			send_error(socket, from, TFTP_UNKNOWN_TID, "unknown transfer");
	} else if (!read || (m.kind != TFTP_ACK && m.kind != TFTP_ERROR)) {
		trace_refuse(node, "tftp.malformed", from->src, from->tag, "");
	} else if (m.kind == TFTP_ERROR) {
		message_accept(node, from->tag);
		transfer_end(t);
	} else {
		on_ack(t, m.block, from->tag);
	}
}

static void on_unreachable(struct udp_socket *socket, uint8_t type, uint8_t code, uint32_t dst, uint16_t dport)
{
	struct transfer *t = socket->ctx;

	if (type == ICMP_TYPE_UNREACHABLE && code == ICMP_CODE_PORT && dst == t->peer_ip && dport == t->peer_port)
		transfer_end(t);
}

/* Requests */

static struct transfer *transfer_of(const struct tftp_server *s, const struct udp_from *from, unsigned *of_peer)
{
	struct transfer *found = NULL;

	*of_peer = 0;
	for (struct transfer *t = s->transfers; t; t = t->next) {
		*of_peer += t->peer_ip == from->src;
		if (t->peer_ip == from->src && t->peer_port == from->sport)
			found = t;
	}
	return found;
}

/* The block number has 16 bits and does not start again here. */
static bool fits(const struct der *bytes, uint32_t block_len)
{
	return bytes->len / block_len < UINT16_MAX;
}

static uint32_t block_len_of(const struct tftp *m)
{
	if (!m->block_len)
		return TFTP_BLOCK_DEFAULT;
	return m->block_len < TFTP_BLOCK_OFFERED_MAX ? m->block_len : TFTP_BLOCK_OFFERED_MAX;
}

static void transfer_start(struct tftp_server *s, const struct tftp *m, const struct udp_from *from,
                           const struct tftp_file *file)
{
	struct transfer *t = sim_alloc(sizeof *t);

	t->server = s;
	t->peer_ip = from->src;
	t->peer_port = from->sport;
	t->own_ip = from->dst;
	t->file = *file;
	t->block = m->block_len ? 0 : 1;
	t->block_len = block_len_of(m);
	t->next = s->transfers;
	s->transfers = t;
	s->transfer_count++;
	if (udp_bind(s->node, &t->socket, 0, on_transfer, t)) {
		t->socket.error = on_unreachable;
		transfer_send(t);
	} else {
		transfer_end(t);
	}
}

static const struct {
	const char *check, *text;
	enum tftp_error error;
} refusals[] = {
	{ "tftp.write", "nothing is written here", TFTP_ACCESS }, { "tftp.mode", "octet only", TFTP_ILLEGAL },
	{ "tftp.busy", "too many transfers", TFTP_UNDEFINED }, { "tftp.not_found", "no such file", TFTP_NOT_FOUND },
	{ "tftp.too_long", "more blocks than can be numbered", TFTP_BAD_OPTIONS },
};
enum { WRITE_REFUSED, MODE_REFUSED, BUSY, NOT_FOUND, TOO_LONG };

static void refuse(struct tftp_server *s, const struct udp_from *from, int which)
{
	trace_refuse(s->node, refusals[which].check, from->src, from->tag, "");
	send_error(&s->socket, from, refusals[which].error, refusals[which].text);
}

static void on_read(struct tftp_server *s, const struct tftp *m, const struct udp_from *from)
{
	struct tftp_file file = { { NULL, 0 }, false };
	unsigned of_peer;
	struct transfer *t = transfer_of(s, from, &of_peer);

	if (t) /* asked again; nothing that was acknowledged is sent again, and time repeats the rest */
		return;
	if (m->netascii)
		refuse(s, from, MODE_REFUSED);
	else if (s->transfer_count >= TFTP_TRANSFERS_MAX || of_peer >= TFTP_TRANSFERS_PER_PEER_MAX)
		refuse(s, from, BUSY);
	else if (!s->fn(s->ctx, m->file, from->src, &file))
		refuse(s, from, NOT_FOUND);
	else if (!fits(&file.bytes, block_len_of(m))) {
		file_free(&file);
		refuse(s, from, TOO_LONG);
	} else {
		message_accept(s->node, from->tag);
		transfer_start(s, m, from, &file);
	}
}

static void on_request(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct tftp_server *s = socket->ctx;
	struct tftp m;

	if (!tftp_parse(packet->data, packet->len, &m) || (m.kind != TFTP_READ && m.kind != TFTP_WRITE)) {
		trace_refuse(s->node, "tftp.malformed", from->src, from->tag, "");
		return;
	}
	if (!ip_is_local(s->node, from->dst)) {
		trace_refuse(s->node, "tftp.broadcast", from->src, from->tag, "");
		return;
	}
	service_charge(s->node, &(struct service_cost){ .messages = 1 });
	if (m.kind == TFTP_WRITE)
		refuse(s, from, WRITE_REFUSED);
	else
		on_read(s, &m, from);
}

struct tftp_server *tftp_server_new(struct node *node, tftp_file_fn *fn, void *ctx)
{
	struct tftp_server *s = sim_alloc(sizeof *s);

	s->node = node;
	s->fn = fn;
	s->ctx = ctx;
	return s;
}

static void forget(struct tftp_server *s)
{
	while (s->transfers)
		transfer_end(s->transfers);
	udp_unbind(&s->socket);
}

void tftp_server_reset(struct tftp_server *s)
{
	forget(s);
	udp_bind(s->node, &s->socket, TFTP_PORT, on_request, s);
}

void tftp_server_free(struct tftp_server *s)
{
	if (!s)
		return;
	forget(s);
	free(s);
}

unsigned tftp_server_transfers(const struct tftp_server *s)
{
	return s->transfer_count;
}

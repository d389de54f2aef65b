/* Reading a file by TFTP; see tftp_client.h. */
#include "models/tftp_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME_MAX 127
#define FIRST_ROOM 4096

struct tftp_client {
	struct node *node;
	struct udp_socket socket;
	struct event timer;
	tftp_done_fn *done;  /* NULL: nothing is under way but perhaps the last acknowledgement */
	void *ctx;
	uint32_t server;
	uint16_t port;       /* 0: no answer yet */
	char file[FILE_NAME_MAX + 1];
	uint8_t *bytes;
	size_t len, room, max;
	uint32_t block_len;
	uint16_t acked;      /* the last block that was acknowledged */
	bool options;        /* the server has answered with options */
	unsigned tries;
};

static void on_timer(struct sim *sim, struct event *event);

/* Says again what was said last: the request, or the acknowledgement. */
static void say(struct tftp_client *c)
{
	struct tftp ack = { .kind = TFTP_ACK, .block = c->acked };
	struct tftp request = { .kind = TFTP_READ, .file = span_of(c->file), .block_len = TFTP_BLOCK_WANTED };

	if (c->port)
		tftp_send(&c->socket, 0, c->server, c->port, &ack);
	else
		tftp_send(&c->socket, 0, c->server, TFTP_PORT, &request);
}

static void wait_for(struct tftp_client *c, sim_ns time_ns)
{
	sim_cancel(c->node->sim, &c->timer);
	sim_after(c->node->sim, &c->timer, time_ns, on_timer, "tftp.timeout");
}

void tftp_client_reset(struct tftp_client *c)
{
	sim_cancel(c->node->sim, &c->timer);
	udp_unbind(&c->socket);
	free(c->bytes);
	c->bytes = NULL;
	c->done = NULL;
	c->len = c->room = 0;
}

static void fail(struct tftp_client *c)
{
	tftp_done_fn *done = c->done;
	void *ctx = c->ctx;

	tftp_client_reset(c);
	done(ctx, NULL);
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct tftp_client *c = event_owner(event, struct tftp_client, timer);

	(void)sim;
	if (!c->done) {
		tftp_client_reset(c);
	} else if (++c->tries == TFTP_CLIENT_TRIES) {
		fail(c);
	} else {
		say(c);
		wait_for(c, TFTP_CLIENT_TIMEOUT_NS << c->tries);
	}
}

static void send_error(struct tftp_client *c, uint32_t ip, uint16_t port, enum tftp_error error, const char *text)
{
	tftp_send(&c->socket, 0, ip, port, &(struct tftp){ .kind = TFTP_ERROR, .error = error, .message = span_of(text) });
}

static void keep(struct tftp_client *c, struct span data)
{
	if (c->len + data.len > c->room) {
		c->room = c->room ? 2 * c->room : FIRST_ROOM;
		while (c->room < c->len + data.len)
			c->room *= 2;
		c->bytes = sim_realloc(c->bytes, c->room);
	}
	if (data.len)
		memcpy(c->bytes + c->len, data.at, data.len);
	c->len += data.len;
}

/* The file is whole. The socket stays a while, in case the last acknowledgement is lost. */
static void finish(struct tftp_client *c)
{
	struct der file = { c->bytes, c->len };
	tftp_done_fn *done = c->done;

	c->bytes = NULL;
	c->len = c->room = 0;
	c->done = NULL;
	wait_for(c, TFTP_DALLY_NS);
	done(c->ctx, &file);
	free(file.bytes);
}

/* A block that is next, as the first answer without options is too. */
static void on_next(struct tftp_client *c, const struct tftp *m, uint64_t tag)
{
	if (c->len + m->data.len > c->max) {
		trace_refuse(c->node, "tftp.too_long", c->server, tag, c->file);
		send_error(c, c->server, c->port, TFTP_DISK_FULL, "too long");
		fail(c);
		return;
	}
	message_accept(c->node, tag);
	keep(c, m->data);
	c->acked++;
	c->tries = 0;
	say(c);
	if (m->data.len < c->block_len)
		finish(c);
	else
		wait_for(c, TFTP_CLIENT_TIMEOUT_NS);
}

static void on_data(struct tftp_client *c, const struct tftp *m, uint64_t tag)
{
	if (m->block == c->acked && c->acked)
		say(c); /* it has not heard */
	else if (c->done && m->block == (uint16_t)(c->acked + 1) && m->block && m->data.len <= c->block_len)
		on_next(c, m, tag);
	else
		trace_refuse(c->node, "tftp.block", c->server, tag, c->file);
}

static void on_options(struct tftp_client *c, const struct tftp *m, uint64_t tag)
{
	if (c->acked || m->block_len > TFTP_BLOCK_WANTED || !m->block_len || m->timeout_s || m->has_size) {
		trace_refuse(c->node, "tftp.options", c->server, tag, c->file);
		return;
	}
	message_accept(c->node, tag);
	if (c->options) { /* it has not heard; but who repeats it for good does not keep the transfer alive */
		say(c);
		return;
	}
	c->block_len = m->block_len;
	c->options = true;
	c->tries = 0;
	say(c);
	wait_for(c, TFTP_CLIENT_TIMEOUT_NS);
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct tftp_client *c = socket->ctx;
	struct tftp m;

	bool read = tftp_parse(packet->data, packet->len, &m);

	if (from->src != c->server || (c->port && from->sport != c->port)) {
		trace_refuse(c->node, "tftp.unknown_tid", from->src, from->tag, c->file);
		if (read && m.kind != TFTP_ERROR) /* an error about an error would go back and forth for good */
			send_error(c, from->src, from->sport, TFTP_UNKNOWN_TID, "unknown transfer");
		return;
	}
	if (!read || (m.kind != TFTP_DATA && m.kind != TFTP_OPTIONS && m.kind != TFTP_ERROR)) {
		trace_refuse(c->node, "tftp.malformed", from->src, from->tag, c->file);
		return;
	}
	if (m.kind == TFTP_ERROR) {
		message_accept(c->node, from->tag);
		if (c->done)
			fail(c);
		return;
	}
	c->port = from->sport;
	if (m.kind == TFTP_OPTIONS)
		on_options(c, &m, from->tag);
	else
		on_data(c, &m, from->tag);
}

void tftp_client_read(struct tftp_client *c, uint32_t server, const char *file, size_t max, tftp_done_fn *done,
                      void *ctx)
{
	tftp_client_reset(c);
	c->server = server;
	c->port = 0;
	snprintf(c->file, sizeof c->file, "%s", file);
	c->max = max;
	c->block_len = TFTP_BLOCK_DEFAULT;
	c->acked = 0;
	c->options = false;
	c->tries = 0;
	c->done = done;
	c->ctx = ctx;
	udp_bind(c->node, &c->socket, 0, on_datagram, c);
	say(c);
	wait_for(c, TFTP_CLIENT_TIMEOUT_NS);
}

struct tftp_client *tftp_client_new(struct node *node)
{
	struct tftp_client *c = sim_alloc(sizeof *c);

	c->node = node;
	return c;
}

void tftp_client_free(struct tftp_client *c)
{
	if (!c)
		return;
	tftp_client_reset(c);
	free(c);
}

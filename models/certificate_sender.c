/* A certificate by TFTP; see certificate_sender.h. RFC 1350 sections 2 to 7. */
#include "models/certificate_sender.h"

#include <stdlib.h>
#include <string.h>
#include "models/message.h"
#include "models/wire/tftp.h"

struct certificate_sender {
	struct node *node;
	uint32_t ip;
	uint16_t port;               /* of the CTA's end; 0 until it has answered */
	struct udp_socket socket;
	struct event timer;
	unsigned tries;
	uint16_t block;              /* that is under way; 0: the request */
	struct der cert;
	certificate_sent_fn *done;
	void *ctx;
};

/* The wire formats know no trace: their field classes are the same numbers under another name. */
struct adapter {
	field_sink *sink;
	void *ctx;
};

static void adapt(void *ctx, const char *path, const char *value, int class_)
{
	struct adapter *a = ctx;

	a->sink(a->ctx, path, value, (enum field_class)class_);
}

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	struct adapter a = { sink, ctx };

	tftp_describe(bytes, len, adapt, &a);
}

static const struct message_form form = { "tftp", COVER_CLEAR, describe };

void certificate_sender_stop(struct certificate_sender *s)
{
	if (!s)
		return;
	sim_cancel(s->node->sim, &s->timer);
	udp_unbind(&s->socket);
	der_free(&s->cert);
	free(s);
}

static void finish(struct certificate_sender *s, enum certificate_outcome outcome, const char *check)
{
	certificate_sent_fn *done = s->done;
	void *ctx = s->ctx;

	certificate_sender_stop(s);
	done(ctx, outcome, check);
}

static void put(struct certificate_sender *s, const struct tftp *m, uint16_t port)
{
	uint8_t bytes[TFTP_HEADER_LEN + TFTP_BLOCK_DEFAULT];
	size_t len = tftp_write(m, bytes, sizeof bytes);

	if (len)
		message_send(&s->socket, s->ip, port, tftp_name(m->kind), &form, bytes, len);
}

static void on_timer(struct sim *sim, struct event *event);

static size_t offset_of(uint16_t block)
{
	return ((size_t)block - 1) * TFTP_BLOCK_DEFAULT;
}

static void transmit(struct certificate_sender *s)
{
	struct tftp m = { .kind = TFTP_WRITE, .file = span_of(CERTIFICATE_FILE) };

	if (s->block) {
		size_t at = offset_of(s->block), left = s->cert.len - at;

		m = (struct tftp){ .kind = TFTP_DATA, .block = s->block };
		m.data.at = (const char *)s->cert.bytes + at;
		m.data.len = left < TFTP_BLOCK_DEFAULT ? left : TFTP_BLOCK_DEFAULT;
	}
	put(s, &m, s->block ? s->port : TFTP_PORT);
	sim_after(s->node->sim, &s->timer, CERTIFICATE_SENDER_RETRANSMIT_NS << s->tries, on_timer, "tftp.retransmit");
	s->tries++;
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct certificate_sender *s = event_owner(event, struct certificate_sender, timer);

	(void)sim;
	if (s->tries == CERTIFICATE_SENDER_TRIES)
		finish(s, CERTIFICATE_NO_ANSWER, "");
	else
		transmit(s);
}

/* The last block is the first that is not full, which may be empty. */
static bool last_block(const struct certificate_sender *s)
{
	return s->block && s->cert.len < offset_of(s->block) + TFTP_BLOCK_DEFAULT;
}

static void on_acknowledged(struct certificate_sender *s, const struct tftp *m, const struct udp_from *from)
{
	if (m->block > s->block) {
		trace_refuse(s->node, "tftp.unexpected", from->src, from->tag, "");
		return;
	}
	message_accept(s->node, from->tag);
	if (m->block < s->block)
		return; /* a copy of the one before */
	s->port = from->sport;
	sim_cancel(s->node->sim, &s->timer);
	if (last_block(s)) {
		finish(s, CERTIFICATE_TAKEN, "");
		return;
	}
	s->block++;
	s->tries = 0;
	transmit(s);
}

/* What may stand in the record as a check: "cta.verify_certificate". */
static bool is_check(const char *text)
{
	return text[0] && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.")] == '\0';
}

/*
 * A CTA that knows nothing of our transfer has restarted, and one that is busy is with another transfer (anybody may begin one):
 * it has not refused, and will be asked anew.
 */
static void on_error(struct certificate_sender *s, const struct tftp *m, const struct udp_from *from)
{
	char check[CERTIFICATE_CHECK_MAX];

	message_accept(s->node, from->tag);
	if (m->error == TFTP_UNKNOWN_TID || span_is(m->message, "tftp.busy"))
		finish(s, CERTIFICATE_NO_ANSWER, "");
	else if (!span_copy(m->message, check, sizeof check) || !is_check(check))
		finish(s, CERTIFICATE_REFUSED, "cta.refused");
	else
		finish(s, CERTIFICATE_REFUSED, check);
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	static const struct tftp stray = { .kind = TFTP_ERROR, .error = TFTP_UNKNOWN_TID,
		                           .message = { "not yours", 9 } };
	struct certificate_sender *s = socket->ctx;
	struct tftp m;

	if (!tftp_parse(packet->data, packet->len, &m)) {
		trace_refuse(s->node, "tftp.malformed", from->src, from->tag, "");
	} else if (from->src != s->ip || (s->port && from->sport != s->port) ||
	           (m.kind != TFTP_ACK && m.kind != TFTP_ERROR)) {
		trace_refuse(s->node, "tftp.unexpected", from->src, from->tag, "");
		if (from->src == s->ip && m.kind != TFTP_ERROR)
			put(s, &stray, from->sport);
	} else if (m.kind == TFTP_ACK) {
		on_acknowledged(s, &m, from);
	} else {
		on_error(s, &m, from);
	}
}

struct certificate_sender *certificate_sender_start(struct node *node, uint32_t ip, const struct der *cert,
                                                    certificate_sent_fn *done, void *ctx)
{
	struct certificate_sender *s = sim_alloc(sizeof *s);

	s->node = node;
	s->ip = ip;
	s->cert.bytes = sim_alloc(cert->len);
	memcpy(s->cert.bytes, cert->bytes, cert->len);
	s->cert.len = cert->len;
	s->done = done;
	s->ctx = ctx;
	udp_bind(node, &s->socket, 0, on_datagram, s);
	transmit(s);
	return s;
}

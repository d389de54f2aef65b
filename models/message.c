/* Sending messages; see message.h. */
#include "models/message.h"

#include <string.h>
#include "models/wire/pktc.h"
#include "models/wire/radius.h"
#include "models/wire/sip.h"

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

static void adapt_krb(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	adapt(ctx, path, value, (int)class_);
}

static void describe_kerberos(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	struct adapter a = { sink, ctx };

	krb_describe(bytes, len, adapt_krb, &a);
}

static void describe_pktc(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	struct adapter a = { sink, ctx };
	struct pktc m;
	char spi[9];

	if (!pktc_parse(bytes, len, krb_message_len, &m))
		return;
	if (m.kind == PKTC_WAKE_UP) {
		sink(ctx, "server-principal", m.principal, FIELD_FACT);
		return;
	}
	krb_describe((const uint8_t *)m.kerberos.at, m.kerberos.len, adapt_krb, &a);
	if (m.spi) {
		uint8_t be[4] = { (uint8_t)(m.spi >> 24), (uint8_t)(m.spi >> 16), (uint8_t)(m.spi >> 8), (uint8_t)m.spi };

		hex_encode(be, sizeof be, spi);
		sink(ctx, "spi", spi, FIELD_RANDOM);
	}
}

static void describe_sip(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	struct adapter a = { sink, ctx };

	sip_describe(bytes, len, adapt, &a);
}

static void describe_radius(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	struct adapter a = { sink, ctx };

	radius_describe(bytes, len, adapt, &a);
}

const struct message_form form_kerberos = { "krb5", COVER_KRB5, describe_kerberos };
const struct message_form form_pktc = { "pktc", COVER_KRB5, describe_pktc };
const struct message_form form_sip = { "sip", COVER_CLEAR, describe_sip };
const struct message_form form_radius = { "radius", COVER_CLEAR, describe_radius };

uint64_t message_announce(struct node *node, uint32_t src, uint32_t dst, const char *kind, const struct message_form *form,
                          const uint8_t *bytes, size_t len)
{
	struct trace_send send = { .actor = node, .kind = kind, .proto = form->proto, .dst_ip = dst, .cover = form->cover,
		                   .bytes = bytes, .len = len, .describe = form->describe };

	if (!trace_wants(node->sim, TRACE_MESSAGE))
		return 0;
	send.src_ip = src ? src : ip_source_for(node, dst);
	return trace_sent(node->sim, &send);
}

void message_send(struct udp_socket *socket, uint32_t dst, uint16_t dport, const char *kind, const struct message_form *form,
                  const uint8_t *bytes, size_t len)
{
	struct packet *p = packet_new(socket->node->sim, (uint32_t)len);

	memcpy(packet_append(p, (uint32_t)len), bytes, len);
	p->tag = message_announce(socket->node, 0, dst, kind, form, bytes, len);
	p->actor = socket->node;
	udp_send(socket, 0, dst, dport, p);
}

const char *kerberos_kind(const uint8_t *bytes, size_t len)
{
	switch (krb_type(bytes, len)) {
	case KRB_AS_REQ:
		return "AS-REQ";
	case KRB_AS_REP:
		return "AS-REP";
	case KRB_AP_REQ:
		return "AP-REQ";
	case KRB_AP_REP:
		return "AP-REP";
	case KRB_ERROR:
		return "KRB-ERROR";
	default:
		return "krb5";
	}
}

/* DHCP, TFTP and DNS as observers see them; see access_message.h. */
#include "models/access_message.h"

#include <stdio.h>
#include <string.h>

/* The wire formats' field classes are the trace's under another name. */
struct adapter {
	field_sink *sink;
	void *ctx;
};

static void adapt(void *ctx, const char *path, const char *value, int class_)
{
	struct adapter *a = ctx;

	a->sink(a->ctx, path, value, (enum field_class)class_);
}

static void describe_dhcp(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	dhcp_describe(bytes, len, adapt, &(struct adapter){ sink, ctx });
}

static void describe_tftp(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	tftp_describe(bytes, len, adapt, &(struct adapter){ sink, ctx });
}

static void describe_dns(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	dns_describe(bytes, len, adapt, &(struct adapter){ sink, ctx });
}

static const struct message_form form_dhcp = { "dhcp", COVER_CLEAR, describe_dhcp };
static const struct message_form form_tftp = { "tftp", COVER_CLEAR, describe_tftp };
static const struct message_form form_dns = { "dns", COVER_CLEAR, describe_dns };

struct outgoing {
	struct udp_socket *socket;
	uint32_t src, dst;
	uint16_t port;
	const char *kind;
	const struct message_form *form;
};

static void send_bytes(const struct outgoing *out, const uint8_t *bytes, size_t len)
{
	struct node *node = out->socket->node;
	struct packet *p;

	if (!len)
		return;
	p = packet_new(node->sim, (uint32_t)len);
	memcpy(packet_append(p, (uint32_t)len), bytes, len);
	p->tag = message_announce(node, out->src, out->dst, out->kind, out->form, bytes, len);
	p->actor = node;
	udp_send(out->socket, out->src, out->dst, out->port, p);
}

void dhcp_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t port, const struct dhcp *message)
{
	uint8_t bytes[ACCESS_MESSAGE_MAX];

	send_bytes(&(struct outgoing){ socket, src, dst, port, dhcp_kind(message->type), &form_dhcp }, bytes,
	           dhcp_write(message, bytes, sizeof bytes));
}

void tftp_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t port, const struct tftp *message)
{
	uint8_t bytes[ACCESS_MESSAGE_MAX];

	send_bytes(&(struct outgoing){ socket, src, dst, port, tftp_name(message->kind), &form_tftp }, bytes,
	           tftp_write(message, bytes, sizeof bytes));
}

/* Kinds are interned: what dns_kind() can say of the messages that are sent here. */
static const char *dns_name_of(const struct dns *m)
{
	static const char *const names[] = { "query A", "query SRV", "query PTR", "response A", "response SRV",
		                             "response PTR" };
	int type = m->type == DNS_A ? 0 : m->type == DNS_SRV ? 1 : 2;

	if (m->response && m->rcode)
		return m->rcode == DNS_NAME_ERROR ? "NXDOMAIN" : "refusal";
	return names[type + (m->response ? 3 : 0)];
}

void dns_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t port, const struct dns *message)
{
	uint8_t bytes[DNS_MESSAGE_MAX];

	send_bytes(&(struct outgoing){ socket, src, dst, port, dns_name_of(message), &form_dns }, bytes,
	           dns_write(message, bytes, sizeof bytes));
}

const char *device_mac_text(const uint8_t mac[6], char out[MAC_TEXT_LEN])
{
	snprintf(out, MAC_TEXT_LEN, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return out;
}

bool device_mac_read(const char *text, uint8_t mac[6])
{
	char digits[13];

	if (strlen(text) != MAC_TEXT_LEN - 1)
		return false;
	for (int i = 0; i < 6; i++) {
		memcpy(digits + 2 * i, text + 3 * i, 2);
		if (i && text[3 * i - 1] != ':')
			return false;
	}
	digits[12] = '\0';
	return hex_decode(span_of(digits), mac, 6) == 6;
}

/* DHCP; see dhcp.h. RFC 2131 section 2 and tables 3 and 5, RFC 2132, RFC 3495 sections 4, 5.1 and 8. */
#include "models/wire/dhcp.h"

#include <stdio.h>

#define HEADER_LEN 236
#define COOKIE 0x63825363u
#define CHADDR_AT 28
#define SNAME_AT 44
#define SNAME_LEN 64
#define FILE_AT 108
#define FILE_LEN 128
#define LABEL_MAX 63
#define WIRE_NAME_MAX 255
#define FLAG_BROADCAST 0x8000

enum { OPTION_PAD = 0, OPTION_OVERLOAD = 52, OPTION_TYPE = 53, OPTION_CABLE = 122, OPTION_END = 255 };
enum { CABLE_PROVISIONING = 3, CABLE_REALM = 6 };

enum option_kind { KIND_NUMBER, KIND_ADDRESS, KIND_ADDRESSES, KIND_TEXT, KIND_BYTES };
static const struct option {
	uint8_t code, min, count; /* shortest span; addresses kept */
	enum option_kind kind;
	size_t offset;
	const char *name;
} options[] = {
	{ 1, 4, 1, KIND_ADDRESS, offsetof(struct dhcp, mask), "subnet-mask" },
	{ 3, 4, 1, KIND_ADDRESSES, offsetof(struct dhcp, router), "router" },
	{ 6, 4, DHCP_DNS_MAX, KIND_ADDRESSES, offsetof(struct dhcp, dns), "dns" },
	{ 12, 1, 0, KIND_TEXT, offsetof(struct dhcp, host_name), "host-name" },
	{ 15, 1, 0, KIND_TEXT, offsetof(struct dhcp, domain), "domain" },
	{ 43, 1, 0, KIND_BYTES, offsetof(struct dhcp, vendor_specific), "vendor-specific" },
	{ 50, 4, 1, KIND_ADDRESS, offsetof(struct dhcp, requested_ip), "requested-ip" },
	{ 51, 4, 1, KIND_NUMBER, offsetof(struct dhcp, lease_s), "lease-s" },
	{ 54, 4, 1, KIND_ADDRESS, offsetof(struct dhcp, server_id), "server-id" },
	{ 55, 1, 0, KIND_BYTES, offsetof(struct dhcp, parameters), "parameters" },
	{ 56, 1, 0, KIND_TEXT, offsetof(struct dhcp, message), "message" },
	{ 58, 4, 1, KIND_NUMBER, offsetof(struct dhcp, renew_s), "renew-s" },
	{ 59, 4, 1, KIND_NUMBER, offsetof(struct dhcp, rebind_s), "rebind-s" },
	{ 60, 1, 0, KIND_TEXT, offsetof(struct dhcp, class_id), "class-id" },
	{ 61, 2, 0, KIND_BYTES, offsetof(struct dhcp, client_id), "client-id" },
	{ 66, 1, 0, KIND_TEXT, offsetof(struct dhcp, tftp_server), "tftp-server" },
	{ 67, 1, 0, KIND_TEXT, offsetof(struct dhcp, boot_file), "boot-file" },
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

/* What each kind of message must hold, RFC 2131 tables 3 and 5. */
static const struct {
	const char *name;
	uint8_t op;
	bool server_id, lease, yiaddr, ciaddr, requested_ip;
} types[DHCP_TYPE_COUNT] = {
	[DHCP_DISCOVER] = { .name = "DHCPDISCOVER", .op = 1 },
	[DHCP_OFFER] = { .name = "DHCPOFFER", .op = 2, .server_id = true, .lease = true, .yiaddr = true },
	[DHCP_REQUEST] = { .name = "DHCPREQUEST", .op = 1 },
	[DHCP_DECLINE] = { .name = "DHCPDECLINE", .op = 1, .server_id = true, .requested_ip = true },
	[DHCP_ACK] = { .name = "DHCPACK", .op = 2, .server_id = true },
	[DHCP_NAK] = { .name = "DHCPNAK", .op = 2, .server_id = true },
	[DHCP_RELEASE] = { .name = "DHCPRELEASE", .op = 1, .server_id = true, .ciaddr = true },
	[DHCP_INFORM] = { .name = "DHCPINFORM", .op = 1, .ciaddr = true },
};

static const struct option *option_of(uint8_t code)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].code == code)
			return &options[i];
	return NULL;
}

/* Text of options and header fields: printable, so that it cannot end early or change a log. */
static bool printable(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] < ' ' || s.at[i] > '~')
			return false;
	return true;
}

static bool take_addresses(uint32_t *out, unsigned count, const uint8_t *value, size_t len)
{
	if (len < 4 || len % 4)
		return false;
	for (unsigned i = 0; 4u * i < len; i++) {
		if (!be32(value + 4u * i))
			return false;
		if (i < count)
			out[i] = be32(value + 4u * i);
	}
	return true;
}

static bool take_option(struct dhcp *m, const struct option *o, const uint8_t *value, size_t len)
{
	void *field = (char *)m + o->offset;
	struct span s = span_at(value, len);

	switch (o->kind) {
	case KIND_NUMBER:
	case KIND_ADDRESS:
		if (len == 4)
			*(uint32_t *)field = be32(value);
		return len == 4;
	case KIND_ADDRESSES:
		return take_addresses(field, o->count, value, len);
	case KIND_TEXT:
		if (!printable(s))
			return false;
		/* fall through */
	case KIND_BYTES:
		*(struct span *)field = s;
		return len >= o->min;
	}
	return false;
}

static bool name_character(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* A name in the form of RFC 1035 section 3.1, without compression, that fills its place. */
static bool take_name(const uint8_t *value, size_t len, char out[DHCP_NAME_MAX + 1])
{
	size_t at = 0, used = 0;

	if (len > WIRE_NAME_MAX)
		return false;
	while (at < len && value[at]) {
		size_t label = value[at++];

		if (label > LABEL_MAX || label >= len - at)
			return false;
		if (used)
			out[used++] = '.';
		for (size_t i = 0; i < label; i++) {
			if (!name_character(value[at + i]))
				return false;
			out[used++] = (char)value[at + i];
		}
		at += label;
	}
	out[used] = '\0';
	return used > 0 && at + 1 == len;
}

static bool take_provisioning(struct dhcp *m, const uint8_t *value, size_t len)
{
	if (m->provisioning_ip || m->provisioning_name[0] || !len)
		return false;
	if (value[0] == 0)
		return take_name(value + 1, len - 1, m->provisioning_name);
	if (value[0] != 1 || len != 5)
		return false;
	m->provisioning_ip = be32(value + 1);
	return m->provisioning_ip != 0;
}

static bool take_cable(struct dhcp *m, const uint8_t *value, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = len - at >= 2 ? value[at + 1] : 0;
		uint8_t code = value[at];

		if (!n || n > len - at - 2)
			return false;
		if (code == CABLE_PROVISIONING && !take_provisioning(m, value + at + 2, n))
			return false;
		if (code == CABLE_REALM && (m->realm[0] || !take_name(value + at + 2, n, m->realm)))
			return false;
		at += n + 2;
	}
	return len > 0;
}

static bool take_any(struct dhcp *m, uint8_t code, const uint8_t *value, size_t len)
{
	const struct option *o = option_of(code);

	if (code == OPTION_OVERLOAD)
		return false;
	if (code == OPTION_CABLE)
		return take_cable(m, value, len);
	if (code == OPTION_TYPE) {
		if (len != 1 || value[0] < DHCP_DISCOVER || value[0] >= DHCP_TYPE_COUNT)
			return false;
		m->type = (enum dhcp_type)value[0];
		return true;
	}
	return !o || take_option(m, o, value, len);
}

static bool take_options(struct dhcp *m, const uint8_t *bytes, size_t len)
{
	uint8_t seen[32] = { 0 };
	size_t at = 0;

	while (at < len && bytes[at] != OPTION_END) {
		uint8_t code = bytes[at++];
		size_t n;

		if (code == OPTION_PAD)
			continue;
		n = at < len ? bytes[at++] : 0;
		if (n > len - at || seen[code / 8] & 1 << code % 8)
			return false;
		seen[code / 8] |= (uint8_t)(1 << code % 8);
		if (!take_any(m, code, bytes + at, n))
			return false;
		at += n;
	}
	if (at == len)
		return false;
	while (++at < len)
		if (bytes[at] != OPTION_PAD)
			return false;
	return true;
}

/* Text in a field of the header: up to the NUL that must be there. */
static bool take_field(const uint8_t *bytes, size_t size, struct span *out)
{
	const uint8_t *end = memchr(bytes, 0, size);

	if (!end)
		return false;
	*out = end == bytes ? (struct span){ NULL, 0 } : span_at(bytes, (size_t)(end - bytes));
	return printable(*out);
}

static bool complete(const struct dhcp *m)
{
	return (!types[m->type].server_id || m->server_id) && (!types[m->type].lease || m->lease_s) &&
	       (!types[m->type].yiaddr || m->yiaddr) && (!types[m->type].ciaddr || m->ciaddr) &&
	       (!types[m->type].requested_ip || m->requested_ip);
}

bool dhcp_parse(const uint8_t *bytes, size_t len, struct dhcp *out)
{
	struct dhcp m = { 0 };

	if (len < HEADER_LEN + 4 || len > DHCP_MESSAGE_MAX || bytes[1] != 1 || bytes[2] != 6 ||
	    be32(bytes + HEADER_LEN) != COOKIE)
		return false;
	m.hops = bytes[3];
	m.xid = be32(bytes + 4);
	m.secs = be16(bytes + 8);
	m.broadcast = be16(bytes + 10) & FLAG_BROADCAST;
	m.ciaddr = be32(bytes + 12);
	m.yiaddr = be32(bytes + 16);
	m.siaddr = be32(bytes + 20);
	m.giaddr = be32(bytes + 24);
	memcpy(m.chaddr, bytes + CHADDR_AT, sizeof m.chaddr);
	if (!take_field(bytes + SNAME_AT, SNAME_LEN, &m.sname) || !take_field(bytes + FILE_AT, FILE_LEN, &m.file) ||
	    !take_options(&m, bytes + HEADER_LEN + 4, len - HEADER_LEN - 4))
		return false;
	if (!m.type || types[m.type].op != bytes[0] || !complete(&m))
		return false;
	*out = m;
	return true;
}

bool dhcp_is_for_other(const uint8_t *bytes, size_t len, const uint8_t mac[6])
{
	return len >= HEADER_LEN + 4 && be32(bytes + HEADER_LEN) == COOKIE && memcmp(bytes + CHADDR_AT, mac, 6) != 0;
}

static void put_option(struct text *t, uint8_t code, const void *value, size_t len)
{
	t->full |= len > UINT8_MAX;
	put_u8(t, code);
	put_u8(t, (unsigned)len);
	text_put(t, value, len);
}

static void put_known(struct text *t, const struct dhcp *m, const struct option *o)
{
	const void *field = (const char *)m + o->offset;
	const uint32_t *numbers = field;
	const struct span *s = field;
	unsigned count = 0;

	if (!o->count) {
		if (s->at)
			put_option(t, o->code, s->at, s->len);
		return;
	}
	while (count < o->count && numbers[count])
		count++;
	if (!count)
		return;
	put_u8(t, o->code);
	put_u8(t, 4 * count);
	for (unsigned i = 0; i < count; i++)
		put_u32(t, numbers[i]);
}

/* "a.b" as labels; refused by making t full. */
static void put_name(struct text *t, const char *name)
{
	if (strlen(name) > WIRE_NAME_MAX - 2)
		t->full = true;
	while (!t->full && *name) {
		size_t label = strcspn(name, ".");

		t->full |= !label || label > LABEL_MAX;
		put_u8(t, (unsigned)label);
		text_put(t, name, label);
		name += label + (name[label] == '.');
	}
	put_u8(t, 0);
}

static void put_cable(struct text *t, const struct dhcp *m)
{
	char room[UINT8_MAX], name[WIRE_NAME_MAX + 1];
	struct text all = { room, sizeof room, 0, false }, one = { name, sizeof name, 0, false };

	if (m->provisioning_ip) {
		put_u8(&all, CABLE_PROVISIONING);
		put_u8(&all, 5);
		put_u8(&all, 1);
		put_u32(&all, m->provisioning_ip);
	} else if (m->provisioning_name[0]) {
		put_u8(&one, 0);
		put_name(&one, m->provisioning_name);
		put_option(&all, CABLE_PROVISIONING, name, one.len);
	}
	if (m->realm[0]) {
		one.len = 0;
		put_name(&one, m->realm);
		put_option(&all, CABLE_REALM, name, one.len);
	}
	t->full |= all.full || one.full;
	if (all.len)
		put_option(t, OPTION_CABLE, room, all.len);
}

static void put_field(struct text *t, struct span s, size_t size)
{
	if (s.len >= size) {
		t->full = true;
		return;
	}
	text_put(t, s.at, s.len);
	put_zeros(t, size - s.len);
}

static void put_header(struct text *t, const struct dhcp *m)
{
	put_u8(t, types[m->type].op);
	put_u8(t, 1);
	put_u8(t, 6);
	put_u8(t, m->hops);
	put_u32(t, m->xid);
	put_u16(t, m->secs);
	put_u16(t, m->broadcast ? FLAG_BROADCAST : 0);
	put_u32(t, m->ciaddr);
	put_u32(t, m->yiaddr);
	put_u32(t, m->siaddr);
	put_u32(t, m->giaddr);
	text_put(t, (const char *)m->chaddr, sizeof m->chaddr);
	put_zeros(t, 16 - sizeof m->chaddr);
	put_field(t, m->sname, SNAME_LEN);
	put_field(t, m->file, FILE_LEN);
	put_u32(t, COOKIE);
}

size_t dhcp_write(const struct dhcp *m, uint8_t *out, size_t size)
{
	struct text t = { (char *)out, size < DHCP_MESSAGE_MAX ? size : DHCP_MESSAGE_MAX, 0, false };
	uint8_t type = (uint8_t)m->type;

	if (m->type < DHCP_DISCOVER || m->type >= DHCP_TYPE_COUNT || !complete(m))
		return 0;
	put_header(&t, m);
	put_option(&t, OPTION_TYPE, &type, 1);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		put_known(&t, m, &options[i]);
	put_cable(&t, m);
	put_u8(&t, OPTION_END);
	if (t.len < DHCP_MESSAGE_MIN)
		put_zeros(&t, DHCP_MESSAGE_MIN - t.len);
	return t.full ? 0 : t.len;
}

const char *dhcp_kind(enum dhcp_type type)
{
	return types[type].name;
}

bool dhcp_wants(const struct dhcp *m, uint8_t option)
{
	return m->parameters.len && memchr(m->parameters.at, option, m->parameters.len);
}

static void describe_option(const struct dhcp *m, const struct option *o, wire_field *field, void *ctx)
{
	const void *at = (const char *)m + o->offset;
	const struct span *s = at;
	char hex[2 * WIRE_FIELD_MAX / 2 + 1];

	if (o->count) {
		uint32_t v = *(const uint32_t *)at;

		if (v && o->kind == KIND_NUMBER)
			field_number(field, ctx, o->name, v, WIRE_FACT);
		else if (v)
			field_ip(field, ctx, o->name, v);
	} else if (s->at && o->kind == KIND_TEXT) {
		field_span(field, ctx, o->name, *s);
	} else if (s->at) {
		hex_encode((const uint8_t *)s->at, s->len < WIRE_FIELD_MAX / 2 ? s->len : WIRE_FIELD_MAX / 2, hex);
		field(ctx, o->name, hex, WIRE_FACT);
	}
}

static void describe_addresses(const struct dhcp *m, wire_field *field, void *ctx)
{
	if (m->ciaddr)
		field_ip(field, ctx, "ciaddr", m->ciaddr);
	if (m->yiaddr)
		field_ip(field, ctx, "yiaddr", m->yiaddr);
	if (m->siaddr)
		field_ip(field, ctx, "siaddr", m->siaddr);
	if (m->giaddr)
		field_ip(field, ctx, "giaddr", m->giaddr);
	if (m->provisioning_ip)
		field_ip(field, ctx, "provisioning-server", m->provisioning_ip);
}

void dhcp_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx)
{
	struct dhcp m;
	char mac[18];

	if (!dhcp_parse(bytes, len, &m))
		return;
	snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", m.chaddr[0], m.chaddr[1], m.chaddr[2], m.chaddr[3],
	         m.chaddr[4], m.chaddr[5]);
	field_hex32(field, ctx, "xid", m.xid, WIRE_RANDOM);
	field_number(field, ctx, "secs", m.secs, WIRE_TIME);
	field(ctx, "chaddr", mac, WIRE_FACT);
	describe_addresses(&m, field, ctx);
	if (m.file.at)
		field_span(field, ctx, "file", m.file);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		describe_option(&m, &options[i], field, ctx);
	if (m.provisioning_name[0])
		field_span(field, ctx, "provisioning-server", span_of(m.provisioning_name));
	if (m.realm[0])
		field_span(field, ctx, "realm", span_of(m.realm));
}

/* TFTP; see tftp.h. RFC 1350 section 5, RFC 2347, 2348, 2349. */
#include "models/wire/tftp.h"

#include <inttypes.h>

#define TIMEOUT_MAX_S 255

static const char *const names[TFTP_KIND_COUNT] = {
	[TFTP_READ] = "RRQ", [TFTP_WRITE] = "WRQ", [TFTP_DATA] = "DATA", [TFTP_ACK] = "ACK", [TFTP_ERROR] = "ERROR",
	[TFTP_OPTIONS] = "OACK",
};

/* Cuts the next NUL-terminated, printable text off bytes. */
static bool take_text(struct span *rest, struct span *out)
{
	const char *end = rest->len ? memchr(rest->at, '\0', rest->len) : NULL;

	if (!end)
		return false;
	*out = (struct span){ rest->at, (size_t)(end - rest->at) };
	rest->at = end + 1;
	rest->len -= out->len + 1;
	for (size_t i = 0; i < out->len; i++)
		if (out->at[i] < ' ' || out->at[i] > '~')
			return false;
	return true;
}

static bool take_number(struct span value, uint64_t min, uint32_t max, uint32_t *out)
{
	uint64_t n;

	if (*out || !span_number(value, max, &n) || n < min)
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool take_option(struct tftp *p, struct span name, struct span value)
{
	if (span_is_nocase(name, "blksize"))
		return take_number(value, TFTP_BLOCK_MIN, TFTP_BLOCK_MAX, &p->block_len);
	if (span_is_nocase(name, "timeout"))
		return take_number(value, 1, TIMEOUT_MAX_S, &p->timeout_s);
	if (span_is_nocase(name, "tsize")) {
		if (p->has_size)
			return false;
		p->has_size = true;
		return span_number(value, UINT64_MAX, &p->size);
	}
	return p->kind != TFTP_OPTIONS && name.len > 0;
}

static bool take_options(struct tftp *p, struct span rest)
{
	struct span name, value;

	while (rest.len)
		if (!take_text(&rest, &name) || !take_text(&rest, &value) || !take_option(p, name, value))
			return false;
	return true;
}

static bool take_request(struct tftp *p, struct span rest)
{
	struct span mode;

	if (!take_text(&rest, &p->file) || !p->file.len || !take_text(&rest, &mode))
		return false;
	p->netascii = span_is_nocase(mode, "netascii");
	return (p->netascii || span_is_nocase(mode, "octet")) && take_options(p, rest);
}

static bool take_block(struct tftp *p, struct span rest)
{
	if (rest.len < 2 || rest.len > 2 + TFTP_BLOCK_MAX)
		return false;
	p->block = be16((const uint8_t *)rest.at);
	p->data = (struct span){ rest.at + 2, rest.len - 2 };
	return p->kind == TFTP_DATA || p->data.len == 0;
}

static bool take_error(struct tftp *p, struct span rest)
{
	unsigned code;

	if (rest.len < 3)
		return false;
	code = be16((const uint8_t *)rest.at);
	rest.at += 2;
	rest.len -= 2;
	if (code >= TFTP_ERROR_COUNT || !take_text(&rest, &p->message) || rest.len)
		return false;
	p->error = (enum tftp_error)code;
	return true;
}

static bool take_body(struct tftp *p, struct span rest)
{
	switch (p->kind) {
	case TFTP_READ:
	case TFTP_WRITE:
		return rest.len <= TFTP_REQUEST_MAX - 2 && take_request(p, rest);
	case TFTP_DATA:
	case TFTP_ACK:
		return take_block(p, rest);
	case TFTP_ERROR:
		return take_error(p, rest);
	case TFTP_OPTIONS:
		return rest.len > 0 && rest.len <= TFTP_REQUEST_MAX - 2 && take_options(p, rest);
	default:
		return false;
	}
}

bool tftp_parse(const uint8_t *bytes, size_t len, struct tftp *out)
{
	struct tftp p = { 0 };

	if (len < 4 || be16(bytes) < TFTP_READ || be16(bytes) >= TFTP_KIND_COUNT)
		return false;
	p.kind = (enum tftp_kind)be16(bytes);
	if (!take_body(&p, span_at(bytes + 2, len - 2)))
		return false;
	*out = p;
	return true;
}

static void put_string(struct text *t, struct span s)
{
	t->full |= s.len && memchr(s.at, '\0', s.len);
	text_put(t, s.at, s.len);
	put_u8(t, 0);
}

static void put_option(struct text *t, const char *name, uint64_t value)
{
	put_string(t, span_of(name));
	text_printf(t, "%" PRIu64, value);
	put_u8(t, 0);
}

static void put_options(struct text *t, const struct tftp *p)
{
	if (p->block_len)
		put_option(t, "blksize", p->block_len);
	if (p->timeout_s)
		put_option(t, "timeout", p->timeout_s);
	if (p->has_size)
		put_option(t, "tsize", p->size);
	t->full |= t->len > TFTP_REQUEST_MAX;
}

static void put_body(struct text *t, const struct tftp *p)
{
	switch (p->kind) {
	case TFTP_READ:
	case TFTP_WRITE:
		t->full |= !p->file.len;
		put_string(t, p->file);
		put_string(t, span_of(p->netascii ? "netascii" : "octet"));
		put_options(t, p);
		break;
	case TFTP_DATA:
		t->full |= p->data.len > TFTP_BLOCK_MAX;
		/* fall through */
	case TFTP_ACK:
		put_u16(t, p->block);
		if (p->kind == TFTP_DATA)
			text_put(t, p->data.at, p->data.len);
		break;
	case TFTP_ERROR:
		put_u16(t, p->error);
		put_string(t, p->message);
		break;
	case TFTP_OPTIONS:
		put_options(t, p);
		t->full |= t->len == 2;
		break;
	default:
		t->full = true;
	}
}

size_t tftp_write(const struct tftp *packet, uint8_t *out, size_t size)
{
	struct text t = { (char *)out, size, 0, false };

	put_u16(&t, packet->kind);
	put_body(&t, packet);
	return t.full ? 0 : t.len;
}

const char *tftp_name(enum tftp_kind kind)
{
	return names[kind];
}

static void describe_options(const struct tftp *p, wire_field *field, void *ctx)
{
	if (p->block_len)
		field_number(field, ctx, "blksize", p->block_len, WIRE_FACT);
	if (p->timeout_s)
		field_number(field, ctx, "timeout", p->timeout_s, WIRE_FACT);
	if (p->has_size)
		field_number(field, ctx, "tsize", p->size, WIRE_FACT);
}

void tftp_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx)
{
	struct tftp p;

	if (!tftp_parse(bytes, len, &p))
		return;
	if (p.kind == TFTP_READ || p.kind == TFTP_WRITE) {
		field_span(field, ctx, "file", p.file);
		field(ctx, "mode", p.netascii ? "netascii" : "octet", WIRE_FACT);
	}
	describe_options(&p, field, ctx);
	if (p.kind == TFTP_DATA || p.kind == TFTP_ACK)
		field_number(field, ctx, "block", p.block, WIRE_FACT);
	if (p.kind == TFTP_DATA)
		field_number(field, ctx, "length", p.data.len, WIRE_FACT);
	if (p.kind == TFTP_ERROR) {
		field_number(field, ctx, "error", p.error, WIRE_FACT);
		field_span(field, ctx, "message", p.message);
	}
}

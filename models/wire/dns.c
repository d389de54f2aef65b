/* DNS; see dns.h. RFC 1035 sections 3.1, 4.1; RFC 2782. */
#include "models/wire/dns.h"

#include <stdio.h>

#define HEADER_LEN 12
#define CLASS_IN 1
#define LABEL_MAX 63
#define WIRE_NAME_MAX 255
#define RECORD_FIXED_LEN 10 /* type, class, TTL, length */
#define SRV_FIXED_LEN 6

enum {
	FLAG_RESPONSE = 0x8000, FLAG_AUTHORITATIVE = 0x0400, FLAG_TRUNCATED = 0x0200, FLAG_RECURSION_DESIRED = 0x0100,
	FLAG_RECURSION_AVAILABLE = 0x0080, MASK_OPCODE = 0x7800, MASK_RCODE = 0x000f
};

struct reader {
	const uint8_t *bytes;
	size_t len, at;
};

static int folded(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 'a';
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? c : -1;
}

/* Appends one label, if it is one and fits. */
static bool take_label(const uint8_t *label, size_t len, char out[DNS_NAME_MAX + 1], size_t *used)
{
	if (*used + len + (*used > 0) > DNS_NAME_MAX)
		return false;
	if (*used)
		out[(*used)++] = '.';
	for (size_t i = 0; i < len; i++) {
		int c = folded(label[i]);

		if (c < 0)
			return false;
		out[(*used)++] = (char)c;
	}
	return true;
}

/* The root is the empty name. Moves the reader behind the name where it stands, not where a pointer leads. */
static bool take_name(struct reader *r, char out[DNS_NAME_MAX + 1])
{
	size_t at = r->at, used = 0, end = 0, before = r->at;
	unsigned pointers = 0;

	for (;;) {
		size_t label = at < r->len ? r->bytes[at] : LABEL_MAX + 1;

		if (label >> 6 == 3 && r->len - at >= 2) {
			size_t to = be16(r->bytes + at) & 0x3fff;

			if (!end)
				end = at + 2;
			if (to < HEADER_LEN || to >= before || ++pointers > DNS_POINTERS_MAX)
				return false;
			at = before = to;
			continue;
		}
		at++;
		if (!label)
			break;
		if (label > LABEL_MAX || label > r->len - at || !take_label(r->bytes + at, label, out, &used))
			return false;
		at += label;
	}
	out[used] = '\0';
	r->at = end ? end : at;
	return true;
}

static bool known_type(unsigned type)
{
	return type == DNS_A || type == DNS_PTR || type == DNS_SRV;
}

static bool take_question(struct reader *r, struct dns *m)
{
	if (!take_name(r, m->question) || !m->question[0] || r->len - r->at < 4 ||
	    !known_type(be16(r->bytes + r->at)) || be16(r->bytes + r->at + 2) != CLASS_IN)
		return false;
	m->type = (enum dns_type)be16(r->bytes + r->at);
	r->at += 4;
	return true;
}

/* The data of a known record, which must end where its length says. */
static bool take_data(struct reader *r, size_t end, struct dns_record *record)
{
	const uint8_t *data = r->bytes + r->at;
	size_t len = end - r->at;

	if (record->type == DNS_A) {
		if (len != 4)
			return false;
		record->ip = be32(data);
		r->at = end;
		return true;
	}
	if (record->type == DNS_SRV) {
		if (len <= SRV_FIXED_LEN)
			return false;
		record->priority = be16(data);
		record->weight = be16(data + 2);
		record->port = be16(data + 4);
		r->at += SRV_FIXED_LEN;
	}
	return take_name(r, record->target) && r->at == end;
}

/* A record of any section; *known: one to keep. */
static bool take_record(struct reader *r, struct dns_record *record, bool *known)
{
	unsigned type, class_;
	size_t end;

	if (!take_name(r, record->name) || r->len - r->at < RECORD_FIXED_LEN)
		return false;
	type = be16(r->bytes + r->at);
	class_ = be16(r->bytes + r->at + 2);
	record->ttl_s = be32(r->bytes + r->at + 4);
	end = be16(r->bytes + r->at + 8);
	r->at += RECORD_FIXED_LEN;
	if (end > r->len - r->at)
		return false;
	end += r->at;
	*known = known_type(type) && class_ == CLASS_IN;
	if (*known) {
		record->type = (enum dns_type)type;
		return record->name[0] && record->ttl_s <= INT32_MAX && take_data(r, end, record);
	}
	r->at = end;
	return true;
}

static bool take_answers(struct reader *r, struct dns *m, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct dns_record record = { .ttl_s = 0 };
		bool known;

		if (!take_record(r, &record, &known))
			return false;
		if (known && m->answer_count == DNS_ANSWERS_MAX)
			return false;
		if (known)
			m->answers[m->answer_count++] = record;
	}
	return true;
}

static bool skip_records(struct reader *r, unsigned count)
{
	struct dns_record record;
	bool known;

	for (unsigned i = 0; i < count; i++)
		if (!take_record(r, &record, &known))
			return false;
	return true;
}

static bool take_flags(struct dns *m, unsigned flags)
{
	m->response = flags & FLAG_RESPONSE;
	m->authoritative = flags & FLAG_AUTHORITATIVE;
	m->truncated = flags & FLAG_TRUNCATED;
	m->recursion_desired = flags & FLAG_RECURSION_DESIRED;
	m->recursion_available = flags & FLAG_RECURSION_AVAILABLE;
	m->rcode = (enum dns_rcode)(flags & MASK_RCODE);
	return !(flags & MASK_OPCODE) && m->rcode < DNS_RCODE_COUNT && (m->response || m->rcode == DNS_NO_ERROR);
}

bool dns_parse(const uint8_t *bytes, size_t len, struct dns *out)
{
	struct reader r = { bytes, len, HEADER_LEN };
	struct dns m = { 0 };

	if (len < HEADER_LEN || len > DNS_MESSAGE_MAX || !take_flags(&m, be16(bytes + 2)) || be16(bytes + 4) != 1 ||
	    (!m.response && be16(bytes + 6)))
		return false;
	m.id = be16(bytes);
	if (!take_question(&r, &m) || !take_answers(&r, &m, be16(bytes + 6)) || !skip_records(&r, be16(bytes + 8)) ||
	    !skip_records(&r, be16(bytes + 10)) || r.at != len)
		return false;
	*out = m;
	return true;
}

static void put_name(struct text *t, const char *name)
{
	t->full |= strlen(name) > DNS_NAME_MAX;
	while (!t->full && *name) {
		size_t label = strcspn(name, ".");

		t->full |= !label || label > LABEL_MAX;
		put_u8(t, (unsigned)label);
		text_put(t, name, label);
		name += label + (name[label] == '.');
	}
	put_u8(t, 0);
}

/* A place that may be compressed: the question stands right behind the header. */
static void put_name_or_question(struct text *t, const struct dns *m, const char *name)
{
	if (strcmp(name, m->question) == 0)
		put_u16(t, 0xc000 | HEADER_LEN);
	else
		put_name(t, name);
}

static void put_record(struct text *t, const struct dns *m, const struct dns_record *record)
{
	size_t length_at, length;

	put_name_or_question(t, m, record->name);
	put_u16(t, record->type);
	put_u16(t, CLASS_IN);
	put_u32(t, record->ttl_s);
	length_at = t->len;
	put_u16(t, 0);
	if (record->type == DNS_A)
		put_u32(t, record->ip);
	if (record->type == DNS_SRV) {
		put_u16(t, record->priority);
		put_u16(t, record->weight);
		put_u16(t, record->port);
		put_name(t, record->target);
	}
	if (record->type == DNS_PTR)
		put_name_or_question(t, m, record->target);
	if (t->full)
		return;
	length = t->len - length_at - 2;
	t->at[length_at] = (char)(length >> 8);
	t->at[length_at + 1] = (char)length;
}

static void put_header(struct text *t, const struct dns *m)
{
	put_u16(t, m->id);
	put_u16(t, (m->response ? FLAG_RESPONSE : 0u) | (m->authoritative ? FLAG_AUTHORITATIVE : 0u) |
	           (m->truncated ? FLAG_TRUNCATED : 0u) | (m->recursion_desired ? FLAG_RECURSION_DESIRED : 0u) |
	           (m->recursion_available ? FLAG_RECURSION_AVAILABLE : 0u) | m->rcode);
	put_u16(t, 1);
	put_u16(t, m->answer_count);
	put_u32(t, 0);
}

size_t dns_write(const struct dns *m, uint8_t *out, size_t size)
{
	struct text t = { (char *)out, size < DNS_MESSAGE_MAX ? size : DNS_MESSAGE_MAX, 0, false };

	if (!m->question[0] || m->answer_count > DNS_ANSWERS_MAX || (!m->response && m->answer_count))
		return 0;
	put_header(&t, m);
	put_name(&t, m->question);
	put_u16(&t, m->type);
	put_u16(&t, CLASS_IN);
	for (unsigned i = 0; i < m->answer_count; i++) {
		t.full |= !known_type(m->answers[i].type) || !m->answers[i].name[0];
		put_record(&t, m, &m->answers[i]);
	}
	return t.full ? 0 : t.len;
}

bool dns_answers(const struct dns *query, const struct dns *response)
{
	return !query->response && response->response && query->id == response->id && query->type == response->type &&
	       strcasecmp(query->question, response->question) == 0;
}

void dns_reverse_name(uint32_t ip, char out[DNS_REVERSE_LEN])
{
	snprintf(out, DNS_REVERSE_LEN, "%u.%u.%u.%u.in-addr.arpa", ip & 255, ip >> 8 & 255, ip >> 16 & 255, ip >> 24);
}

static const char *type_name(enum dns_type type)
{
	return type == DNS_A ? "A" : type == DNS_SRV ? "SRV" : "PTR";
}

const char *dns_kind(const struct dns *m, char *out, size_t size)
{
	if (m->rcode == DNS_NAME_ERROR)
		snprintf(out, size, "NXDOMAIN");
	else
		snprintf(out, size, "%s %s", m->response ? "response" : "query", type_name(m->type));
	return out;
}

static void describe_record(const struct dns_record *record, wire_field *field, void *ctx)
{
	if (record->type == DNS_A)
		field_ip(field, ctx, "answer", record->ip);
	else
		field(ctx, "answer", record->target, WIRE_FACT);
	if (record->type == DNS_SRV)
		field_number(field, ctx, "port", record->port, WIRE_FACT);
	field_number(field, ctx, "ttl-s", record->ttl_s, WIRE_FACT);
}

void dns_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx)
{
	struct dns m;

	if (!dns_parse(bytes, len, &m))
		return;
	field_number(field, ctx, "id", m.id, WIRE_RANDOM);
	field(ctx, "question", m.question, WIRE_FACT);
	field(ctx, "type", type_name(m.type), WIRE_FACT);
	if (m.response)
		field_number(field, ctx, "rcode", m.rcode, WIRE_FACT);
	for (unsigned i = 0; i < m.answer_count; i++)
		describe_record(&m.answers[i], field, ctx);
}

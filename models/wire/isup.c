/* ISUP; see isup.h. Q.763 sections 1 (format), 2 (parameters), 3 and 4; Q.704 section 14.2 (routing label). */
#include "models/wire/isup.h"

#define SERVICE_ISUP 5
#define LABEL_LEN 5          /* service information octet and routing label */
#define TYPE_AT (LABEL_LEN + 2)
#define BODY_AT (TYPE_AT + 1)
#define CODE_END_OF_OPTIONAL 0
#define EXTENSION 0x80       /* the last octet of its group */
#define DIGIT_COUNT 16

/* Parameter codes, Q.763 table 5. */
enum {
	CODE_MEDIUM = 0x02, CODE_CALLED = 0x04, CODE_CONNECTION = 0x06, CODE_FORWARD = 0x07, CODE_CATEGORY = 0x09,
	CODE_CALLING = 0x0a, CODE_BACKWARD = 0x11, CODE_CAUSE = 0x12, CODE_RANGE = 0x16, CODE_SUSPEND = 0x22,
	CODE_EVENT = 0x24, CODE_OPTIONAL_BACKWARD = 0x29
};

#define FIXED_MAX 4
#define OPTIONAL_MAX 2
/* The parameters of each message, Q.763 tables 21 to 39. */
static const struct layout {
	enum isup_type type;
	const char *name;
	uint8_t fixed[FIXED_MAX], variable, optional[OPTIONAL_MAX];
	bool no_optional_part;
} layouts[] = {
	{ ISUP_IAM, "IAM", { CODE_CONNECTION, CODE_FORWARD, CODE_CATEGORY, CODE_MEDIUM }, CODE_CALLED, { CODE_CALLING },
	  false },
	{ ISUP_ACM, "ACM", { CODE_BACKWARD }, 0, { CODE_OPTIONAL_BACKWARD, CODE_CAUSE }, false },
	{ ISUP_CON, "CON", { CODE_BACKWARD }, 0, { CODE_OPTIONAL_BACKWARD }, false },
	{ ISUP_ANM, "ANM", { 0 }, 0, { CODE_OPTIONAL_BACKWARD }, false },
	{ ISUP_CPG, "CPG", { CODE_EVENT }, 0, { CODE_OPTIONAL_BACKWARD, CODE_CAUSE }, false },
	{ ISUP_REL, "REL", { 0 }, CODE_CAUSE, { 0 }, false },
	{ ISUP_RLC, "RLC", { 0 }, 0, { CODE_CAUSE }, false },
	{ ISUP_SUS, "SUS", { CODE_SUSPEND }, 0, { 0 }, false },
	{ ISUP_RES, "RES", { CODE_SUSPEND }, 0, { 0 }, false },
	{ ISUP_RSC, "RSC", { 0 }, 0, { 0 }, true },
	{ ISUP_GRS, "GRS", { 0 }, CODE_RANGE, { 0 }, true },
	{ ISUP_GRA, "GRA", { 0 }, CODE_RANGE, { 0 }, true },
	{ ISUP_UCIC, "UCIC", { 0 }, 0, { 0 }, true },
};
#define LAYOUT_COUNT (sizeof layouts / sizeof layouts[0])

/* Codes of digits, Q.763 section 3.9 f; a space is a code that may not stand in a number. */
static const char digit_of[DIGIT_COUNT + 1] = "0123456789 bc  f";

static const struct layout *layout_of(unsigned type)
{
	for (size_t i = 0; i < LAYOUT_COUNT; i++)
		if (layouts[i].type == type)
			return &layouts[i];
	return NULL;
}

/* The field of a parameter that is one octet and nothing more; NULL: it is none. */
static uint8_t *octet_of(struct isup *m, uint8_t code)
{
	switch (code) {
	case CODE_CONNECTION: return &m->connection;
	case CODE_CATEGORY: return &m->category;
	case CODE_MEDIUM: return &m->medium;
	case CODE_EVENT: return &m->event;
	case CODE_SUSPEND: return &m->suspend;
	case CODE_OPTIONAL_BACKWARD: return &m->optional_backward;
	default: return NULL;
	}
}

/* The field of a parameter of two octets of indicators. */
static uint16_t *pair_of(struct isup *m, uint8_t code)
{
	return code == CODE_FORWARD ? &m->forward : code == CODE_BACKWARD ? &m->backward : NULL;
}

static bool take_number(struct isup_number *n, const uint8_t *value, size_t len, bool calling)
{
	bool odd;
	size_t count;

	if (len < 2)
		return false;
	odd = value[0] & 0x80;
	count = 2 * (len - 2) - odd;
	if (count > ISUP_DIGITS_MAX || (len == 2 && (odd || !calling)) || (odd && value[len - 1] >> 4))
		return false;
	n->present = true;
	n->nature = value[0] & 0x7f;
	n->flag = value[1] & 0x80;
	n->plan = value[1] >> 4 & 7;
	n->presentation = calling ? value[1] >> 2 & 3 : 0;
	n->screening = calling ? value[1] & 3 : 0;
	for (size_t i = 0; i < count; i++) {
		n->digits[i] = digit_of[value[2 + i / 2] >> (i % 2 * 4) & 15];
		if (n->digits[i] == ' ')
			return false;
	}
	n->digits[count] = '\0';
	return true;
}

/* Q.850 section 2.2: [location] [recommendation] cause, diagnostics. Only the coding of the ITU is known here. */
static bool take_cause(struct isup *m, const uint8_t *value, size_t len)
{
	size_t at = 1;

	if (len < 2 || value[0] & 0x60)
		return false;
	if (!(value[0] & EXTENSION))
		at++;
	if (at >= len || !(value[at] & EXTENSION) || (at == 2 && !(value[1] & EXTENSION)))
		return false;
	m->location = value[0] & 15;
	m->cause = value[at] & 0x7f;
	return m->cause != 0;
}

static size_t status_len(unsigned range)
{
	return range / 8 + 1;
}

static uint32_t status_mask(unsigned range)
{
	return range >= 31 ? UINT32_MAX : (UINT32_C(1) << (range + 1)) - 1;
}

static bool take_range(struct isup *m, const uint8_t *value, size_t len)
{
	if (!len || !value[0] || value[0] > ISUP_RANGE_MAX ||
	    len != 1 + (m->type == ISUP_GRA ? status_len(value[0]) : 0))
		return false;
	m->range = value[0];
	for (size_t i = 1; i < len; i++)
		m->status |= (uint32_t)value[i] << (8 * (i - 1));
	return (m->status & ~status_mask(m->range)) == 0;
}

static bool take_parameter(struct isup *m, uint8_t code, const uint8_t *value, size_t len)
{
	uint8_t *octet = octet_of(m, code);
	uint16_t *pair = pair_of(m, code);

	if (octet) {
		*octet = len == 1 ? value[0] : 0;
		m->has_optional_backward |= code == CODE_OPTIONAL_BACKWARD;
		return len == 1;
	}
	if (pair) {
		*pair = len == 2 ? (uint16_t)(value[0] | value[1] << 8) : 0;
		return len == 2;
	}
	if (code == CODE_CAUSE)
		return take_cause(m, value, len);
	if (code == CODE_RANGE)
		return take_range(m, value, len);
	return take_number(code == CODE_CALLED ? &m->called : &m->calling, value, len, code == CODE_CALLING);
}

static bool take_optional(struct isup *m, const struct layout *layout, const uint8_t *bytes, size_t len)
{
	uint8_t seen[32] = { 0 };
	size_t at = 0;

	while (at < len && bytes[at] != CODE_END_OF_OPTIONAL) {
		uint8_t code = bytes[at];
		size_t n = len - at >= 2 ? bytes[at + 1] : 0;

		if (!n || n > len - at - 2 || seen[code / 8] & 1 << code % 8)
			return false;
		seen[code / 8] |= (uint8_t)(1 << code % 8);
		if ((code == layout->optional[0] || code == layout->optional[1]) &&
		    !take_parameter(m, code, bytes + at + 2, n))
			return false;
		at += n + 2;
	}
	return at + 1 == len;
}

static size_t fixed_len(uint8_t code)
{
	return code == CODE_FORWARD || code == CODE_BACKWARD ? 2 : 1;
}

/* Everything behind the message type. A pointer counts from itself to where its part begins. */
static bool take_body(struct isup *m, const struct layout *layout, const uint8_t *bytes, size_t len)
{
	size_t at = 0, end, pointers = (layout->variable != 0) + !layout->no_optional_part, optional;

	for (int i = 0; i < FIXED_MAX && layout->fixed[i]; i++) {
		size_t n = fixed_len(layout->fixed[i]);

		if (n > len - at || !take_parameter(m, layout->fixed[i], bytes + at, n))
			return false;
		at += n;
	}
	end = at + pointers;
	if (end > len)
		return false;
	if (layout->variable) {
		if (bytes[at] != pointers || end >= len || bytes[end] > len - end - 1 ||
		    !take_parameter(m, layout->variable, bytes + end + 1, bytes[end]))
			return false;
		end += 1u + bytes[end];
		at++;
	}
	optional = layout->no_optional_part ? 0 : bytes[at];
	if (!optional)
		return end == len;
	return at + optional == end && take_optional(m, layout, bytes + end, len - end);
}

bool isup_parse(const uint8_t *bytes, size_t len, struct isup *out)
{
	struct isup m = { 0 };
	const struct layout *layout = len >= BODY_AT ? layout_of(bytes[TYPE_AT]) : NULL;
	uint32_t label;

	if (!layout || len > ISUP_MESSAGE_MAX || (bytes[0] & 15) != SERVICE_ISUP || bytes[LABEL_LEN + 1] >> 4)
		return false;
	label = bytes[1] | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3] << 16 | (uint32_t)bytes[4] << 24;
	m.network = bytes[0] >> 6;
	m.dpc = label & ISUP_POINT_CODE_MAX;
	m.opc = label >> 14 & ISUP_POINT_CODE_MAX;
	m.sls = (uint8_t)(label >> 28);
	m.cic = (uint16_t)(bytes[LABEL_LEN] | bytes[LABEL_LEN + 1] << 8);
	m.type = layout->type;
	if (!take_body(&m, layout, bytes + BODY_AT, len - BODY_AT))
		return false;
	*out = m;
	return true;
}

static void put_number(struct text *t, const struct isup_number *n, bool calling)
{
	size_t count = strlen(n->digits);
	unsigned octet = 0;

	t->full |= n->nature > 127 || n->plan > 7 || n->presentation > 3 || n->screening > 3 || (!calling && !count);
	put_u8(t, (unsigned)(count % 2 ? 0x80 : 0) | n->nature);
	put_u8(t, (n->flag ? 0x80u : 0) | (unsigned)n->plan << 4 |
	          (calling ? (unsigned)n->presentation << 2 | n->screening : 0));
	for (size_t i = 0; i < count; i++) {
		const char *place = n->digits[i] == ' ' ? NULL : memchr(digit_of, n->digits[i], DIGIT_COUNT);

		t->full |= !place;
		octet |= (place ? (unsigned)(place - digit_of) : 0) << (i % 2 * 4);
		if (i % 2 || i + 1 == count) {
			put_u8(t, octet);
			octet = 0;
		}
	}
}

static void put_cause(struct text *t, const struct isup *m)
{
	t->full |= !m->cause || m->cause > 127 || m->location > 15;
	put_u8(t, EXTENSION | m->location);
	put_u8(t, EXTENSION | m->cause);
}

static void put_range(struct text *t, const struct isup *m)
{
	t->full |= !m->range || m->range > ISUP_RANGE_MAX || m->status & ~status_mask(m->range);
	put_u8(t, m->range);
	for (size_t i = 0; m->type == ISUP_GRA && i < status_len(m->range); i++)
		put_u8(t, m->status >> (8 * i) & 255);
}

static void put_parameter(struct text *t, const struct isup *m, uint8_t code)
{
	struct isup copy = *m;
	const uint8_t *octet = octet_of(&copy, code);
	const uint16_t *pair = pair_of(&copy, code);

	if (octet) {
		put_u8(t, *octet);
	} else if (pair) {
		put_u8(t, *pair & 255);
		put_u8(t, *pair >> 8);
	} else if (code == CODE_CAUSE) {
		put_cause(t, m);
	} else if (code == CODE_RANGE) {
		put_range(t, m);
	} else {
		put_number(t, code == CODE_CALLED ? &m->called : &m->calling, code == CODE_CALLING);
	}
}

/* A parameter behind its length. */
static void put_with_len(struct text *t, const struct isup *m, uint8_t code)
{
	size_t at = t->len;

	put_u8(t, 0);
	put_parameter(t, m, code);
	if (!t->full)
		t->at[at] = (char)(t->len - at - 1);
}

static bool present(const struct isup *m, uint8_t code)
{
	return (code == CODE_CALLING && m->calling.present) || (code == CODE_CAUSE && m->cause) ||
	       (code == CODE_OPTIONAL_BACKWARD && m->has_optional_backward);
}

static void put_optional(struct text *t, const struct isup *m, const struct layout *layout, size_t pointer_at)
{
	size_t start = t->len;

	for (int i = 0; i < OPTIONAL_MAX; i++)
		if (present(m, layout->optional[i])) {
			put_u8(t, layout->optional[i]);
			put_with_len(t, m, layout->optional[i]);
		}
	if (t->full || t->len == start)
		return;
	put_u8(t, CODE_END_OF_OPTIONAL);
	t->at[pointer_at] = (char)(start - pointer_at);
}

static void put_body(struct text *t, const struct isup *m, const struct layout *layout)
{
	size_t pointers = (layout->variable != 0) + !layout->no_optional_part, pointer_at;

	for (int i = 0; i < FIXED_MAX && layout->fixed[i]; i++)
		put_parameter(t, m, layout->fixed[i]);
	if (layout->variable)
		put_u8(t, (unsigned)pointers);
	pointer_at = t->len;
	if (!layout->no_optional_part)
		put_u8(t, 0);
	if (layout->variable)
		put_with_len(t, m, layout->variable);
	if (!layout->no_optional_part)
		put_optional(t, m, layout, pointer_at);
}

size_t isup_write(const struct isup *m, uint8_t *out, size_t size)
{
	struct text t = { (char *)out, size < ISUP_MESSAGE_MAX ? size : ISUP_MESSAGE_MAX, 0, false };
	const struct layout *layout = layout_of(m->type);
	uint32_t label = m->dpc | (uint32_t)m->opc << 14 | (uint32_t)m->sls << 28;

	if (!layout || m->network > 3 || m->dpc > ISUP_POINT_CODE_MAX || m->opc > ISUP_POINT_CODE_MAX ||
	    m->sls > ISUP_SLS_MAX || m->cic > ISUP_CIC_MAX)
		return 0;
	put_u8(&t, (unsigned)m->network << 6 | SERVICE_ISUP);
	for (int i = 0; i < 4; i++)
		put_u8(&t, label >> (8 * i) & 255);
	put_u8(&t, m->cic & 255);
	put_u8(&t, m->cic >> 8);
	put_u8(&t, m->type);
	put_body(&t, m, layout);
	return t.full ? 0 : t.len;
}

const char *isup_kind(enum isup_type type)
{
	const struct layout *layout = layout_of(type);

	return layout ? layout->name : NULL;
}

bool isup_dialled(const struct isup_number *number, char out[ISUP_DIGITS_MAX + 1])
{
	size_t count = strspn(number->digits, "0123456789");

	if (!number->present || !count || strcmp(number->digits + count, number->digits[count] == 'f' ? "f" : "") != 0)
		return false;
	memcpy(out, number->digits, count);
	out[count] = '\0';
	return true;
}

static void describe_call(const struct isup *m, wire_field *field, void *ctx)
{
	if (m->called.present)
		field(ctx, "called", m->called.digits, WIRE_FACT);
	if (m->calling.present)
		field(ctx, "calling", m->calling.digits, WIRE_FACT);
	if (m->type == ISUP_IAM)
		field_number(field, ctx, "category", m->category, WIRE_FACT);
	if (m->type == ISUP_CPG)
		field_number(field, ctx, "event", m->event, WIRE_FACT);
	if (m->cause)
		field_number(field, ctx, "cause", m->cause, WIRE_FACT);
	if (m->range)
		field_number(field, ctx, "range", m->range, WIRE_FACT);
}

void isup_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx)
{
	struct isup m;

	if (!isup_parse(bytes, len, &m))
		return;
	field_number(field, ctx, "opc", m.opc, WIRE_FACT);
	field_number(field, ctx, "dpc", m.dpc, WIRE_FACT);
	field_number(field, ctx, "cic", m.cic, WIRE_FACT);
	describe_call(&m, field, ctx);
}

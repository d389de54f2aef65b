/* TALI; see tali.h. RFC 3094 sections 3.2 and 3.3. */
#include "models/wire/tali.h"

#define SYNC "TALI"
#define SYNC_LEN 4
#define OPCODE_LEN 4

static const struct {
	const char *opcode;
	uint16_t min, max; /* length of the payload */
} kinds[TALI_KIND_COUNT] = {
	[TALI_TEST] = { "test", 0, 0 }, [TALI_ALLOW] = { "allo", 0, 0 }, [TALI_PROHIBIT] = { "proh", 0, 0 },
	[TALI_PROHIBIT_ACK] = { "proa", 0, 0 }, [TALI_MONITOR] = { "moni", 0, TALI_MONITOR_MAX },
	[TALI_MONITOR_ACK] = { "mona", 0, TALI_MONITOR_MAX }, [TALI_SCCP] = { "sccp", 1, TALI_PAYLOAD_MAX },
	[TALI_ISOT] = { "isot", 1, TALI_PAYLOAD_MAX }, [TALI_MTP3] = { "mtp3", 1, TALI_PAYLOAD_MAX },
	[TALI_SAAL] = { "saal", 1, TALI_PAYLOAD_MAX },
};

/* The kind whose first n letters these are; TALI_KIND_COUNT: none. */
static enum tali_kind kind_of(const uint8_t *opcode, size_t n)
{
	unsigned kind = 0;

	while (kind < TALI_KIND_COUNT && memcmp(kinds[kind].opcode, opcode, n) != 0)
		kind++;
	return (enum tali_kind)kind;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

long tali_parse(const uint8_t *bytes, size_t len, struct tali *out)
{
	enum tali_kind kind;
	size_t payload;

	if (!len)
		return 0;
	if (memcmp(bytes, SYNC, least(len, SYNC_LEN)) != 0)
		return -1;
	if (len <= SYNC_LEN)
		return 0;
	kind = kind_of(bytes + SYNC_LEN, least(len - SYNC_LEN, OPCODE_LEN));
	if (kind == TALI_KIND_COUNT)
		return -1;
	if (len < TALI_HEADER_LEN)
		return 0;
	payload = (size_t)bytes[8] | (size_t)bytes[9] << 8;
	if (payload < kinds[kind].min || payload > kinds[kind].max)
		return -1;
	if (len - TALI_HEADER_LEN < payload)
		return 0;
	*out = (struct tali){ kind, span_at(bytes + TALI_HEADER_LEN, payload) };
	return (long)(TALI_HEADER_LEN + payload);
}

size_t tali_write(const struct tali *frame, uint8_t *out, size_t size)
{
	struct text t = { (char *)out, size, 0, false };
	size_t payload = frame->payload.len;

	if ((unsigned)frame->kind >= TALI_KIND_COUNT || payload < kinds[frame->kind].min ||
	    payload > kinds[frame->kind].max)
		return 0;
	text_put(&t, SYNC, SYNC_LEN);
	text_put(&t, kinds[frame->kind].opcode, OPCODE_LEN);
	put_u8(&t, payload & 255);
	put_u8(&t, (unsigned)(payload >> 8));
	text_put(&t, frame->payload.at, payload);
	return t.full ? 0 : t.len;
}

const char *tali_name(enum tali_kind kind)
{
	return kinds[kind].opcode;
}

void tali_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx)
{
	struct tali frame;

	if (tali_parse(bytes, len, &frame) <= 0)
		return;
	field(ctx, "opcode", kinds[frame.kind].opcode, WIRE_FACT);
	field_number(field, ctx, "length", frame.payload.len, WIRE_FACT);
}

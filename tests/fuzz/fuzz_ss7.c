/*
 * Fuzzing of TALI and ISUP. Input: bytes of a TALI connection, from the beginning of a frame on; or an MTP3 message.
 *
 * What must hold: any bytes are frames, the beginning of one, or refused, and that does not depend on how many of them
 * have come; what is accepted says the same when it is written and read again.
 */
#include "models/wire/isup.h"
#include "models/wire/tali.h"
#include "tests/fuzz/fuzz.h"

static void check_number(const struct isup_number *a, const struct isup_number *b)
{
	fuzz_require(a->present == b->present && a->nature == b->nature && a->plan == b->plan && a->flag == b->flag);
	fuzz_require(a->presentation == b->presentation && a->screening == b->screening);
	fuzz_require(strcmp(a->digits, b->digits) == 0 && strlen(a->digits) <= ISUP_DIGITS_MAX);
}

static void check_same(const struct isup *a, const struct isup *b)
{
	fuzz_require(a->network == b->network && a->dpc == b->dpc && a->opc == b->opc && a->sls == b->sls);
	fuzz_require(a->cic == b->cic && a->type == b->type && a->connection == b->connection &&
	             a->forward == b->forward);
	fuzz_require(a->category == b->category && a->medium == b->medium && a->backward == b->backward);
	fuzz_require(a->has_optional_backward == b->has_optional_backward &&
	             a->optional_backward == b->optional_backward);
	fuzz_require(a->event == b->event && a->location == b->location && a->cause == b->cause);
	fuzz_require(a->range == b->range && a->status == b->status && a->suspend == b->suspend);
	check_number(&a->called, &b->called);
	check_number(&a->calling, &b->calling);
}

static void check_message(const struct isup *m)
{
	uint8_t *room = malloc(ISUP_MESSAGE_MAX), *exact;
	struct isup again;
	size_t written;

	fuzz_require(room && isup_kind(m->type) != NULL);
	written = isup_write(m, room, ISUP_MESSAGE_MAX);
	fuzz_require(written >= 8 && isup_parse(room, written, &again));
	check_same(m, &again);
	exact = malloc(written);
	fuzz_require(exact && isup_write(m, exact, written) == written && isup_write(m, exact, written - 1) == 0);
	free(exact);
	free(room);
}

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && strlen(value) <= WIRE_FIELD_MAX && class_ >= 0 && class_ <= 2);
}

static void run_isup(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_exact(data, size);
	struct isup m;

	isup_describe(bytes, size, take_field, NULL);
	if (isup_parse(bytes, size, &m))
		check_message(&m);
	free(bytes);
}

/* The first frame: every shorter beginning wants more. Returns its length. */
static size_t run_frame(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_exact(data, size), again[TALI_FRAME_MAX];
	struct tali frame, part;
	long taken = tali_parse(bytes, size, &frame);

	tali_describe(bytes, size, take_field, NULL);
	fuzz_require(taken <= (long)size && taken >= -1);
	for (long n = 0; n < taken; n++)
		fuzz_require(tali_parse(bytes, (size_t)n, &part) == 0);
	if (taken > 0) {
		fuzz_require(tali_write(&frame, again, sizeof again) == (size_t)taken &&
		             memcmp(again, bytes, (size_t)taken) == 0);
		fuzz_require(tali_write(&frame, again, (size_t)taken - 1) == 0);
		if (frame.kind == TALI_MTP3)
			run_isup((const uint8_t *)frame.payload.at, frame.payload.len);
	}
	free(bytes);
	return taken > 0 ? (size_t)taken : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0, n;

	run_isup(data, size);
	while (at < size && (n = run_frame(data + at, size - at)) > 0)
		at += n;
	return 0;
}

static const struct isup seeds[] = {
	{ .network = ISUP_NATIONAL, .opc = 1001, .dpc = 2002, .sls = 5, .cic = 5, .type = ISUP_IAM,
	  .forward = ISUP_FORWARD_ISUP_ALL_THE_WAY | ISUP_FORWARD_ISDN_ACCESS, .category = ISUP_ORDINARY_SUBSCRIBER,
	  .medium = ISUP_AUDIO_3K1,
	  .called = { true, ISUP_NATIONAL_NUMBER, ISUP_PLAN_E164, false, 0, 0, "6105550102f" },
	  .calling = { true, ISUP_NATIONAL_NUMBER, ISUP_PLAN_E164, false, ISUP_ALLOWED, ISUP_NETWORK_PROVIDED,
	               "2155550101" } },
	{ .opc = 1001, .dpc = 2002, .cic = 4095, .type = ISUP_IAM, .called = { true, 3, 1, true, 0, 0, "911" } },
	{ .opc = 2, .dpc = 1, .cic = 5, .type = ISUP_ACM, .backward = 0x1416, .has_optional_backward = true,
	  .optional_backward = ISUP_OPTIONAL_IN_BAND, .location = ISUP_LOCATION_LOCAL_PUBLIC,
	  .cause = ISUP_CAUSE_BUSY },
	{ .opc = 2, .dpc = 1, .cic = 5, .type = ISUP_CON, .backward = 0x1416 },
	{ .opc = 2, .dpc = 1, .cic = 5, .type = ISUP_ANM },
	{ .opc = 2, .dpc = 1, .cic = 5, .type = ISUP_CPG, .event = ISUP_EVENT_ALERTING },
	{ .opc = 2, .dpc = 1, .cic = 5, .type = ISUP_REL, .location = ISUP_LOCATION_LOCAL_PUBLIC,
	  .cause = ISUP_CAUSE_NORMAL },
	{ .opc = 1, .dpc = 2, .cic = 5, .type = ISUP_RLC },
	{ .opc = 1, .dpc = 2, .cic = 5, .type = ISUP_SUS, .suspend = ISUP_BY_NETWORK },
	{ .opc = 1, .dpc = 2, .cic = 5, .type = ISUP_RES, .suspend = ISUP_BY_NETWORK },
	{ .opc = 1, .dpc = 2, .cic = 5, .type = ISUP_RSC },
	{ .opc = 1, .dpc = 2, .cic = 1, .type = ISUP_GRS, .range = 29 },
	{ .opc = 2, .dpc = 1, .cic = 1, .type = ISUP_GRA, .range = 29, .status = 0x20000001 },
	{ .opc = 2, .dpc = 1, .cic = 5, .type = ISUP_UCIC },
};
#define SEED_COUNT (sizeof seeds / sizeof seeds[0])

/* Each message in a frame, then each alone, then one frame of each other kind on one connection. */
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	uint8_t message[ISUP_MESSAGE_MAX];
	size_t len = 0;

	if (nth >= SEED_COUNT && nth < 2 * SEED_COUNT)
		return isup_write(&seeds[nth - SEED_COUNT], out, size);
	if (nth < SEED_COUNT) {
		len = isup_write(&seeds[nth], message, sizeof message);
		return tali_write(&(struct tali){ TALI_MTP3, span_at(message, len) }, out, size);
	}
	if (nth > 2 * SEED_COUNT)
		return 0;
	for (int kind = 0; kind < TALI_KIND_COUNT; kind++)
		len += tali_write(&(struct tali){ (enum tali_kind)kind, { "12345", kind < TALI_MONITOR ? 0 : 5 } },
		                  out + len, size - len);
	return len;
}

/*
 * Fuzzing of TFTP. Input: a packet, as it comes in a datagram.
 *
 * What must hold: any bytes are parsed or refused; what is accepted says the same when it is written and read again.
 */
#include "models/wire/tftp.h"
#include "tests/fuzz/fuzz.h"

static void check_packet(const struct tftp *p, size_t size)
{
	size_t room_len = size + TFTP_REQUEST_MAX, written;
	uint8_t *room = malloc(room_len), *exact;
	struct tftp again;

	fuzz_require(room && tftp_name(p->kind) != NULL);
	written = tftp_write(p, room, room_len);
	/* The long form of a number or mode ("007", "OCTET") becomes the short one, so that there is always room. */
	fuzz_require(written > 0 && written <= size && tftp_parse(room, written, &again));
	fuzz_require(p->kind == again.kind && span_equal(p->file, again.file) && p->netascii == again.netascii);
	fuzz_require(p->block_len == again.block_len && p->timeout_s == again.timeout_s &&
	             p->has_size == again.has_size);
	fuzz_require(p->size == again.size && p->block == again.block && span_equal(p->data, again.data));
	fuzz_require(p->error == again.error && span_equal(p->message, again.message));
	exact = malloc(written);
	fuzz_require(exact && tftp_write(p, exact, written) == written && tftp_write(p, exact, written - 1) == 0);
	free(exact);
	free(room);
}

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && strlen(value) <= WIRE_FIELD_MAX && class_ >= 0 && class_ <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_exact(data, size);
	struct tftp p;

	tftp_describe(bytes, size, take_field, NULL);
	if (tftp_parse(bytes, size, &p))
		check_packet(&p, size);
	free(bytes);
	return 0;
}

#define TEXT(s) { s, sizeof s - 1 }
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const struct tftp seeds[] = {
		{ .kind = TFTP_READ, .file = TEXT("cta.img") },
		{ .kind = TFTP_READ, .file = TEXT("cta.img"), .block_len = 1400, .timeout_s = 2, .has_size = true },
		{ .kind = TFTP_WRITE, .file = TEXT("log.txt"), .netascii = true, .has_size = true, .size = 673312 },
		{ .kind = TFTP_DATA, .block = 1, .data = TEXT("operator certificate and program") },
		{ .kind = TFTP_DATA, .block = 2 },
		{ .kind = TFTP_ACK, .block = 65535 },
		{ .kind = TFTP_ERROR, .error = TFTP_NOT_FOUND, .message = TEXT("no such image") },
		{ .kind = TFTP_OPTIONS, .block_len = 1400, .timeout_s = 2, .has_size = true, .size = 90123 },
	};

	return nth < sizeof seeds / sizeof seeds[0] ? tftp_write(&seeds[nth], out, size) : 0;
}

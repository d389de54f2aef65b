/*
 * Fuzzing of RADIUS. Input: a message, as it comes in a datagram.
 *
 * What must hold: any bytes are parsed or refused; what is accepted says the same when it is written and read again;
 * a signature that was just put on is right, and any other is not.
 */
#include "models/wire/radius.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t no_request[16];

static void check_same(const struct radius *a, const struct radius *b)
{
	fuzz_require(a->code == b->code && a->id == b->id && memcmp(a->authenticator, b->authenticator, 16) == 0);
	fuzz_require(strcmp(a->user_name, b->user_name) == 0 && a->framed_ip == b->framed_ip);
	fuzz_require(strcmp(a->reply_message, b->reply_message) == 0 &&
	             strcmp(a->called_station, b->called_station) == 0);
	fuzz_require(strcmp(a->calling_station, b->calling_station) == 0);
	fuzz_require(strcmp(a->nas_identifier, b->nas_identifier) == 0 && a->acct_status == b->acct_status);
	fuzz_require(strcmp(a->acct_session_id, b->acct_session_id) == 0 && a->acct_session_s == b->acct_session_s);
	fuzz_require(a->acct_cause == b->acct_cause);
}

static void check_message(const struct radius *m, uint8_t *bytes, size_t len)
{
	uint8_t *room = malloc(RADIUS_MESSAGE_MAX);
	struct radius again;
	size_t written;

	fuzz_require(room && radius_kind(m->code) != NULL);
	written = radius_write(m, room, RADIUS_MESSAGE_MAX);
	fuzz_require(written >= 20 && radius_parse(room, written, &again));
	check_same(m, &again);
	free(room);
	room = malloc(written);
	fuzz_require(room && radius_write(m, room, written) == written && radius_write(m, room, written - 1) == 0);
	free(room);
	radius_check(bytes, len, m->authenticator);
	radius_sign(bytes, len, no_request);
	fuzz_require(radius_check(bytes, len, no_request));
	bytes[4 + m->id % 16] ^= 1;
	fuzz_require(!radius_check(bytes, len, no_request));
}

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && strlen(value) < RADIUS_TEXT_MAX && class_ >= 0 && class_ <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_exact(data, size);
	struct radius m;

	radius_describe(bytes, size, take_field, NULL);
	if (radius_parse(bytes, size, &m))
		check_message(&m, bytes, size);
	free(bytes);
	return 0;
}

size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const struct radius seeds[] = {
		{ .code = RADIUS_ACCESS_REQUEST,
		  .id = 9,
		  .user_name = "00112233445566778899aabbccddeeff00112233",
		  .nas_identifier = "kdc1" },
		{ .code = RADIUS_ACCESS_REQUEST,
		  .id = 10,
		  .user_name = "00:11:22:33:44:55",
		  .framed_ip = 0x0a010002,
		  .nas_identifier = "kdc1" },
		{ .code = RADIUS_ACCESS_ACCEPT,
		  .id = 9,
		  .called_station = "2155550101",
		  .calling_station = "00:11:22:33:44:55" },
		{ .code = RADIUS_ACCESS_REJECT, .id = 10, .reply_message = "no such lease" },
		{ .code = RADIUS_ACCOUNTING_REQUEST,
		  .id = 11,
		  .acct_status = 2,
		  .acct_session_id = "a84b4c76e66710",
		  .called_station = "6105550102",
		  .calling_station = "2155550101",
		  .acct_session_s = 61,
		  .acct_cause = 1,
		  .nas_identifier = "sc1" },
		{ .code = RADIUS_ACCOUNTING_RESPONSE, .id = 11 },
	};
	size_t len;

	if (nth >= sizeof seeds / sizeof seeds[0])
		return 0;
	len = radius_write(&seeds[nth], out, size);
	radius_sign(out, len, no_request);
	return len;
}

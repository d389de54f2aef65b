/*
 * TFTP on the wire: the examples of RFC 2347 to 2349, round trips, what is refused, mutations.
 */
#include "models/wire/tftp.h"
#include "tests/models/wire_fixture.h"

/* Text after the operation code; \0 where the figures of the RFCs have a 0. The last NUL is the string's own. */
#define RRQ_FOOFILE "\0\1" "foofile\0octet\0blksize\0" "1432"
#define WRQ_FOOFILE "\0\2" "foofile\0octet\0blksize\0" "2048"
#define OACK_1432 "\0\6" "blksize\0" "1432"
#define RRQ_ALL "\0\1" "cta.img\0octet\0blksize\0" "1400\0timeout\0" "2\0tsize\0" "0"

static bool parse(const char *text, size_t len, struct tftp *p, uint8_t **block)
{
	*block = exact_copy((const uint8_t *)text, len);
	return tftp_parse(*block, len, p);
}

static void check_written(const struct tftp *p, const char *text, size_t len)
{
	uint8_t out[FIXTURE_MAX];

	ck_assert_uint_eq(tftp_write(p, out, sizeof out), len);
	ck_assert_mem_eq(out, text, len);
	ck_assert_uint_eq(tftp_write(p, out, len), len);
	ck_assert_uint_eq(tftp_write(p, out, len - 1), 0);
}

START_TEST(requests_of_the_rfcs) /* RFC 2347 "Packet Formats" and "Examples" */
{
	struct tftp p;
	uint8_t *block;

	ck_assert(parse(RRQ_FOOFILE, sizeof RRQ_FOOFILE, &p, &block));
	ck_assert(p.kind == TFTP_READ && span_is(p.file, "foofile") && !p.netascii);
	ck_assert(p.block_len == 1432 && !p.timeout_s && !p.has_size);
	check_written(&p, RRQ_FOOFILE, sizeof RRQ_FOOFILE);
	free(block);
	ck_assert(parse(WRQ_FOOFILE, sizeof WRQ_FOOFILE, &p, &block));
	ck_assert(p.kind == TFTP_WRITE && p.block_len == 2048);
	check_written(&p, WRQ_FOOFILE, sizeof WRQ_FOOFILE);
	free(block);
	ck_assert(parse(OACK_1432, sizeof OACK_1432, &p, &block));
	ck_assert(p.kind == TFTP_OPTIONS && p.block_len == 1432);
	check_written(&p, OACK_1432, sizeof OACK_1432);
	free(block);
	ck_assert(parse(RRQ_ALL, sizeof RRQ_ALL, &p, &block)); /* RFC 2349: tsize 0 asks for the size */
	ck_assert(p.block_len == 1400 && p.timeout_s == 2 && p.has_size && p.size == 0);
	check_written(&p, RRQ_ALL, sizeof RRQ_ALL);
	free(block);
}
END_TEST

START_TEST(other_spellings) /* names and modes in any case, options nobody here knows */
{
	static const char text[] = "\0\1" "a\0NetASCII\0BlkSize\0" "0512\0multicast\0";
	struct tftp p;
	uint8_t *block;

	ck_assert(parse(text, sizeof text, &p, &block));
	ck_assert(p.netascii && p.block_len == 512);
	free(block);
}
END_TEST

START_TEST(blocks_and_errors) /* RFC 1350 figures 5-2 to 5-4 */
{
	static const struct {
		const char *hex;
		struct tftp p;
	} packets[] = {
		{ "0003 0001 414243", { .kind = TFTP_DATA, .block = 1, .data = { "ABC", 3 } } },
		{ "0003 ffff", { .kind = TFTP_DATA, .block = 65535 } },
		{ "0003 0000 00", { .kind = TFTP_DATA, .block = 0, .data = { "", 1 } } },
		{ "0004 0001", { .kind = TFTP_ACK, .block = 1 } },
		{ "0004 0000", { .kind = TFTP_ACK } },
		{ "0005 0001 6e6f 00", { .kind = TFTP_ERROR, .error = TFTP_NOT_FOUND, .message = { "no", 2 } } },
		{ "0005 0008 00", { .kind = TFTP_ERROR, .error = TFTP_BAD_OPTIONS } },
	};

	for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
		uint8_t bytes[FIXTURE_MAX], *block;
		size_t len = bytes_of(packets[i].hex, bytes);
		struct tftp p;

		ck_assert(parse((const char *)bytes, len, &p, &block));
		ck_assert(p.kind == packets[i].p.kind && p.block == packets[i].p.block &&
		          p.error == packets[i].p.error);
		ck_assert(span_equal(p.data, packets[i].p.data) && span_equal(p.message, packets[i].p.message));
		check_written(&packets[i].p, (const char *)bytes, len);
		free(block);
	}
}
END_TEST

#define REFUSED(why, text) { why, text, sizeof text }
static const struct {
	const char *why, *text;
	size_t len;
} refusals[] = {
	REFUSED("operation 0", "\0\0" "a\0octet"),
	REFUSED("operation 7", "\0\7" "a\0octet"),
	REFUSED("operation 257", "\1\1" "a\0octet"),
	REFUSED("no file name", "\0\1" "\0octet"),
	REFUSED("no mode", "\0\1" "abc"),
	REFUSED("mode mail", "\0\1" "a\0mail"),
	REFUSED("file name that is no text", "\0\1" "a\nb\0octet"),
	REFUSED("file name with a DEL", "\0\1" "a\x7f" "b\0octet"),
	REFUSED("option without a value", "\0\1" "a\0octet\0blksize"),
	REFUSED("option without a name", "\0\1" "a\0octet\0\0" "1"),
	REFUSED("block size too small", "\0\1" "a\0octet\0blksize\0" "7"),
	REFUSED("block size too large", "\0\1" "a\0octet\0blksize\0" "65465"),
	REFUSED("block size twice", "\0\1" "a\0octet\0blksize\0" "512\0blksize\0" "512"),
	REFUSED("block size that is no number", "\0\1" "a\0octet\0blksize\0" "512x"),
	REFUSED("block size of no digits", "\0\1" "a\0octet\0blksize\0"),
	REFUSED("timeout 0", "\0\1" "a\0octet\0timeout\0" "0"),
	REFUSED("timeout too long", "\0\1" "a\0octet\0timeout\0" "256"),
	REFUSED("size twice", "\0\1" "a\0octet\0tsize\0" "0\0tsize\0" "0"),
	REFUSED("size beyond 64 bits", "\0\1" "a\0octet\0tsize\0" "18446744073709551616"),
	REFUSED("size below 0", "\0\1" "a\0octet\0tsize\0" "-1"),
	REFUSED("OACK with an option that was not asked for", "\0\6" "multicast\0" "1"),
	REFUSED("ACK with data", "\0\4\0\1"),
	REFUSED("error with an unknown code", "\0\5\0\11" "no"),
	REFUSED("error with bytes behind its message", "\0\5\0\1no\0"),
	{ "error without the NUL", "\0\5\0\1no", 6 },
	{ "error without a message", "\0\5\0\1", 4 },
	{ "request without the last NUL", "\0\1" "a\0octet", 9 },
	{ "OACK of nothing", "\0\6", 2 },
	{ "no block number", "\0\3\0", 3 },
	{ "no bytes", "", 0 },
};

START_TEST(refuses)
{
	struct tftp p = { .block = 77 };
	uint8_t *block;

	ck_assert_msg(!parse(refusals[_i].text, refusals[_i].len, &p, &block), "accepted: %s", refusals[_i].why);
	ck_assert_uint_eq(p.block, 77);
	free(block);
}
END_TEST

START_TEST(bounds_of_options)
{
	static const char least[] = "\0\1 ~\0octet\0blksize\0" "8\0timeout\0" "1\0tsize\0" "18446744073709551615";
	static const char most[] = "\0\1 ~\0octet\0blksize\0" "65464\0timeout\0" "255";
	struct tftp p;
	uint8_t *block;

	ck_assert(parse(least, sizeof least, &p, &block));
	ck_assert(p.block_len == 8 && p.timeout_s == 1 && p.size == UINT64_MAX && span_is(p.file, " ~"));
	free(block);
	ck_assert(parse(most, sizeof most, &p, &block));
	ck_assert(p.block_len == 65464 && p.timeout_s == 255);
	free(block);
}
END_TEST

START_TEST(lengths) /* of a request (RFC 2347: 512) and of a block (RFC 2348: 65464) */
{
	static uint8_t bytes[TFTP_BLOCK_MAX + 8];
	static char big[TFTP_BLOCK_MAX + 1];
	struct tftp p = { .kind = TFTP_READ, .file = { big, TFTP_REQUEST_MAX - 9 } }, again;
	size_t len;

	memset(big, 'a', sizeof big);
	len = tftp_write(&p, bytes, sizeof bytes);
	ck_assert_uint_eq(len, TFTP_REQUEST_MAX);
	ck_assert(tftp_parse(bytes, len, &again));
	p.file.len++;
	ck_assert_uint_eq(tftp_write(&p, bytes, sizeof bytes), 0);
	memset(bytes, 'a', sizeof bytes);
	memcpy(bytes, "\0\1", 2);
	memcpy(bytes + TFTP_REQUEST_MAX - 6, "\0octet", 7);
	ck_assert(!tftp_parse(bytes, TFTP_REQUEST_MAX + 1, &again));
	p = (struct tftp){ .kind = TFTP_DATA, .block = 1, .data = { big, TFTP_BLOCK_MAX } };
	len = tftp_write(&p, bytes, sizeof bytes);
	ck_assert_uint_eq(len, TFTP_BLOCK_MAX + TFTP_HEADER_LEN);
	ck_assert(tftp_parse(bytes, len, &again) && again.data.len == TFTP_BLOCK_MAX);
	ck_assert(!tftp_parse(bytes, len + 1, &again));
	p.data.len++;
	ck_assert_uint_eq(tftp_write(&p, bytes, sizeof bytes), 0);
	p = (struct tftp){ .kind = TFTP_OPTIONS };
	ck_assert_uint_eq(tftp_write(&p, bytes, sizeof bytes), 0);
	p = (struct tftp){ .kind = TFTP_READ };
	ck_assert_uint_eq(tftp_write(&p, bytes, sizeof bytes), 0);
	p = (struct tftp){ .kind = TFTP_READ, .file = { "a\0b", 3 } };
	ck_assert_uint_eq(tftp_write(&p, bytes, sizeof bytes), 0);
}
END_TEST

static size_t accepted, described;

static void run_mutant(const uint8_t *bytes, size_t len)
{
	char all[FIXTURE_MAX] = "";
	struct tftp p;

	accepted += tftp_parse(bytes, len, &p);
	tftp_describe(bytes, len, collect, all);
	described += strlen(all) > 0;
}

START_TEST(survives_mutations)
{
	mutate((const uint8_t *)RRQ_ALL, sizeof RRQ_ALL, 1350, run_mutant);
	ck_assert(accepted > 0 && accepted < FIXTURE_MUTATIONS && described == accepted);
}
END_TEST

START_TEST(describes)
{
	char all[FIXTURE_MAX] = "";

	tftp_describe((const uint8_t *)RRQ_ALL, sizeof RRQ_ALL, collect, all);
	tftp_describe((const uint8_t *)"\0\3\0\2abc", 7, collect, all);
	tftp_describe((const uint8_t *)"\0\5\0\1no", 7, collect, all);
	ck_assert_str_eq(all,
	                 "file=cta.img;mode=octet;blksize=1400;timeout=2;tsize=0;block=2;length=3;error=1;message=no;");
	ck_assert_str_eq(tftp_name(TFTP_OPTIONS), "OACK");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_test(t, requests_of_the_rfcs);
	tcase_add_test(t, other_spellings);
	tcase_add_test(t, blocks_and_errors);
	tcase_add_loop_test(t, refuses, 0, (int)(sizeof refusals / sizeof refusals[0]));
	tcase_add_test(t, bounds_of_options);
	tcase_add_test(t, lengths);
	tcase_add_test(t, survives_mutations);
	tcase_add_test(t, describes);
	return run_suite("TFTP", t);
}

/*
 * The wire formats: round trips, published examples, and mutations with a fixed seed that must neither crash nor read past the
 * end (the sanitizer build sees to that: every message is parsed from a buffer of exactly its length).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "models/wire/pktc.h"
#include "models/wire/radius.h"
#include "models/wire/rtp.h"
#include "models/wire/sip.h"

static const char invite[] =
	"INVITE sip:6105550102@sc1.tollgate.example SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bK776asdhds\r\n"
	"Max-Forwards: 70\r\n"
	"To: <sip:6105550102@sc1.tollgate.example>\r\n"
	"From: <sip:2155550101@sc1.tollgate.example;user=phone>;tag=1928301774\r\n"
	"Call-ID: a84b4c76e66710@10.1.0.2\r\n"
	"CSeq: 314159 INVITE\r\n"
	"Contact: <sip:2155550101@10.1.0.2>\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 86\r\n"
	"\r\n"
	"v=0\r\no=- 1 0 IN IP4 10.1.0.2\r\ns=-\r\nc=IN IP4 10.1.0.2\r\nt=0 0\r\nm=audio 49152 RTP/AVP 0\r\n";

/* Parses from a heap block of exactly len bytes. */
static bool parse_exact(const char *text, size_t len, struct sip_message *m, char **block)
{
	*block = malloc(len ? len : 1);
	memcpy(*block, text, len);
	return sip_parse((const uint8_t *)*block, len, m);
}

START_TEST(sip_invite_is_read)
{
	struct sip_message m;
	struct sdp sdp;
	char *block, kind[32];

	ck_assert(parse_exact(invite, sizeof invite - 1, &m, &block));
	ck_assert(m.request && m.method == SIP_INVITE);
	ck_assert(span_is(m.branch, "z9hG4bK776asdhds"));
	ck_assert(span_is(m.from_tag, "1928301774"));
	ck_assert(!m.to_tag.at);
	ck_assert(span_is(m.call_id, "a84b4c76e66710@10.1.0.2"));
	ck_assert_uint_eq(m.cseq, 314159);
	ck_assert(span_is(sip_user(m.uri), "6105550102"));
	ck_assert(span_is(sip_user(m.from), "2155550101"));
	ck_assert(span_is(sip_header(&m, "max-forwards"), "70"));
	ck_assert_str_eq(sip_kind(&m, kind, sizeof kind), "INVITE");
	ck_assert(sdp_parse(m.body, &sdp));
	ck_assert_uint_eq(sdp.ip, 0x0a010002);
	ck_assert_uint_eq(sdp.port, 49152);
	free(block);
}
END_TEST

/* What must be refused, each by one change to the INVITE above. */
static const struct {
	const char *why, *from, *to;
} refusals[] = {
	{ "two Call-IDs", "Max-Forwards: 70", "Call-ID: other" },
	{ "two CSeqs", "Max-Forwards: 70", "CSeq: 1 INVITE" },
	{ "CSeq of another method", "314159 INVITE", "314159 BYE" },
	{ "body shorter than it says", "Content-Length: 86", "Content-Length: 85" },
	{ "body longer than it says", "Content-Length: 86", "Content-Length: 87" },
	{ "no branch", ";branch=z9hG4bK776asdhds", "" },
	{ "no From tag", ";tag=1928301774", "" },
	{ "folded header", "Max-Forwards: 70", "Max-Forwards:\r\n 70" },
	{ "bare line feed", "Max-Forwards: 70\r\n", "Max-Forwards: 70\n" },
	{ "another version", "SIP/2.0\r\nVia", "SIP/3.0\r\nVia" },
	{ "header without a name", "Max-Forwards: 70", ": 70" },
	{ "header name that is no token", "Max-Forwards: 70", "Max Forwards: 70" },
	{ "CSeq out of range", "314159 INVITE", "4294967296 INVITE" },
};

START_TEST(sip_refuses)
{
	char text[2048];
	const char *at = strstr(invite, refusals[_i].from);
	struct sip_message m;
	char *block;

	ck_assert_ptr_nonnull(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - invite), invite, refusals[_i].to, at + strlen(refusals[_i].from));
	ck_assert_msg(!parse_exact(text, strlen(text), &m, &block), "accepted: %s", refusals[_i].why);
	free(block);
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void ignore_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)class_;
	*(size_t *)ctx += strlen(path) + strlen(value);
}

START_TEST(sip_survives_mutations)
{
	uint64_t seed = 2155550101;
	size_t total = 0;

	for (int round = 0; round < 20000; round++) {
		char text[sizeof invite];
		size_t len = next_random(&seed) % sizeof invite;
		struct sip_message m;
		struct sdp sdp;
		char *block;

		memcpy(text, invite, sizeof text);
		for (int k = 0; k < 3; k++)
			text[next_random(&seed) % sizeof text] = (char)next_random(&seed);
		if (round & 1)
			len = sizeof invite - 1;
		if (parse_exact(text, len, &m, &block))
			sdp_parse(m.body, &sdp);
		sip_describe((const uint8_t *)block, len, ignore_field, &total);
		free(block);
	}
	ck_assert_uint_gt(total, 0);
}
END_TEST

START_TEST(sdp_round_trip)
{
	char at[512];
	struct text t = { at, sizeof at, 0, false };
	struct sdp in = { .ip = 0x0a020304, .port = 50000, .payload_type = 8, .key = span_of("c3ViLWtleQ=="), .spi = 0x1234abcc,
		          .signaling_ip = 0x0a020309 };
	struct sdp out;

	sdp_write(&t, &in, 7);
	ck_assert(!t.full);
	ck_assert(sdp_parse((struct span){ at, t.len }, &out));
	ck_assert_uint_eq(out.ip, in.ip);
	ck_assert_uint_eq(out.port, in.port);
	ck_assert_uint_eq(out.payload_type, in.payload_type);
	ck_assert_uint_eq(out.spi, in.spi);
	ck_assert(span_equal(out.key, in.key));
	ck_assert_uint_eq(sdp_signaling(&out), in.signaling_ip);
	text_put(&t, "a=X-signaling:10.2.3.9\r\n", 24);
	ck_assert(!sdp_parse((struct span){ at, t.len }, &out)); /* said twice */
	t.len = 0;
	in.signaling_ip = 0;
	sdp_write(&t, &in, 7);
	ck_assert(sdp_parse((struct span){ at, t.len }, &out));
	ck_assert_uint_eq(out.signaling_ip, 0);
	ck_assert_uint_eq(sdp_signaling(&out), in.ip);
}
END_TEST

START_TEST(base64_vectors) /* RFC 4648 section 10 */
{
	static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		                                { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	static const char *const bad[] = { "Zg=", "Zg", "Z===", "Zh==", "Zm9=", "Zm 9", "====" };

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		char text[16];
		uint8_t bytes[16];
		size_t len = strlen(pairs[i][0]);

		base64_encode((const uint8_t *)pairs[i][0], len, text, sizeof text);
		ck_assert_str_eq(text, pairs[i][1]);
		ck_assert_int_eq(base64_decode(span_of(text), bytes, sizeof bytes), (long)len);
		ck_assert_mem_eq(bytes, pairs[i][0], len);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t bytes[16];

		ck_assert_msg(base64_decode(span_of(bad[i]), bytes, sizeof bytes) < 0, "accepted %s", bad[i]);
	}
}
END_TEST

START_TEST(rtp_round_trip)
{
	struct rtp_header in = { .marker = true, .payload_type = 0, .sequence = 65535, .timestamp = 4000000000u,
		                 .ssrc = 0xdeadbeef }, out;
	uint8_t bytes[RTP_HEADER_LEN];
	size_t at;

	rtp_write(bytes, &in);
	ck_assert(rtp_parse(bytes, sizeof bytes, &out, &at));
	ck_assert_uint_eq(at, RTP_HEADER_LEN);
	ck_assert(out.marker);
	ck_assert_uint_eq(out.sequence, in.sequence);
	ck_assert_uint_eq(out.timestamp, in.timestamp);
	ck_assert_uint_eq(out.ssrc, in.ssrc);
	ck_assert(!rtp_parse(bytes, sizeof bytes - 1, &out, &at));
	bytes[0] = 0x8f; /* fifteen CSRCs that are not there */
	ck_assert(!rtp_parse(bytes, sizeof bytes, &out, &at));
}
END_TEST

START_TEST(g711_codes_are_stable) /* every code decodes to a sample that encodes to it again */
{
	for (int code = 0; code < 256; code++) {
		if (code != 0x7f) /* minus zero of mu-law is written as plus zero */
			ck_assert_int_eq(g711_ulaw(g711_ulaw_decode((uint8_t)code)), code);
		ck_assert_int_eq(g711_alaw(g711_alaw_decode((uint8_t)code)), code);
	}
	ck_assert_int_eq(g711_ulaw(0), 0xff); /* ITU-T G.711: silence */
	ck_assert_int_eq(g711_alaw(0), 0xd5);
}
END_TEST

START_TEST(g711_of_many_samples_is_that_of_each)
{
	static int16_t samples[65536];
	static uint8_t codes[65536];

	for (int i = 0; i < 65536; i++)
		samples[i] = (int16_t)(i - 32768);
	g711_encode(g711_ulaw, samples, 65536, codes);
	for (int i = 0; i < 65536; i++)
		ck_assert_uint_eq(codes[i], g711_ulaw(samples[i]));
	g711_encode(g711_alaw, samples, 65536, codes);
	for (int i = 0; i < 65536; i++)
		ck_assert_uint_eq(codes[i], g711_alaw(samples[i]));
}
END_TEST

static size_t two_byte_message(const uint8_t *bytes, size_t len)
{
	return len >= 2 && bytes[0] == 0x6e ? 2u : 0;
}

START_TEST(pktc_round_trip)
{
	static const enum pktc_kind kinds[] = { PKTC_WAKE_UP, PKTC_AP_REQUEST, PKTC_AP_REPLY, PKTC_ERROR_REPLY };
	struct pktc in = { .kind = kinds[_i], .kerberos = { "\x6e\x00", 2 }, .server_nonce = 0x01020304,
		           .principal = "sc/sc1", .spi = 0xa0b0c0d0, .lifetime_s = 3600, .grace_s = 60 }, out;
	uint8_t bytes[256], *exact;
	size_t len = pktc_write(&in, bytes, sizeof bytes);

	ck_assert_uint_gt(len, 0);
	for (size_t cut = 0; cut <= len; cut++) {
		exact = malloc(cut ? cut : 1);
		memcpy(exact, bytes, cut);
		ck_assert_int_eq(pktc_parse(exact, cut, two_byte_message, &out), cut == len);
		free(exact);
	}
	ck_assert_int_eq(out.kind, in.kind);
	if (in.kind == PKTC_WAKE_UP)
		ck_assert_str_eq(out.principal, "sc/sc1");
	if (in.kind == PKTC_AP_REQUEST || in.kind == PKTC_AP_REPLY) {
		ck_assert_uint_eq(out.spi, in.spi);
		ck_assert_uint_eq(out.hashed_len + PKTC_HASH_LEN, len);
	}
	if (in.kind == PKTC_AP_REPLY)
		ck_assert_uint_eq(out.lifetime_s, 3600);
}
END_TEST

START_TEST(pktc_wake_up_without_nonce) /* too short for the nonce, but with the NUL of a name in what there is */
{
	static const uint8_t head[] = { PKTC_WAKE_UP, 1, 0x10, 'a', 0, 0 };
	struct pktc out;

	for (size_t len = 3; len <= sizeof head; len++) {
		uint8_t *exact = malloc(len);

		memcpy(exact, head, len);
		ck_assert(!pktc_parse(exact, len, two_byte_message, &out));
		free(exact);
	}
}
END_TEST

START_TEST(radius_round_trip)
{
	struct radius in = { .code = RADIUS_ACCESS_REQUEST, .id = 9, .user_name = "00ff", .framed_ip = 0x0a010002,
		             .calling_station = "00:11:22:33:44:55", .acct_session_s = 61 }, out;
	uint8_t bytes[RADIUS_MESSAGE_MAX];
	static const uint8_t zeros[16];
	size_t len = radius_write(&in, bytes, sizeof bytes);

	ck_assert_uint_gt(len, 20);
	ck_assert(radius_parse(bytes, len, &out));
	ck_assert_str_eq(out.user_name, in.user_name);
	ck_assert_str_eq(out.calling_station, in.calling_station);
	ck_assert_uint_eq(out.framed_ip, in.framed_ip);
	ck_assert_uint_eq(out.acct_session_s, 61);
	ck_assert(!radius_parse(bytes, len - 1, &out));
	radius_sign(bytes, len, zeros);
	ck_assert(radius_check(bytes, len, zeros));
	bytes[len - 1] ^= 1;
	ck_assert(!radius_check(bytes, len, zeros));
}
END_TEST

START_TEST(radius_carries_certificates) /* of every length around the pieces' bound; codes of RFC 5176 */
{
	static const size_t lens[] = { 1, 252, 253, 254, 506, 507, 900, RADIUS_CERTIFICATE_MAX };
	static const enum radius_code codes[] = { RADIUS_COA_REQUEST, RADIUS_DISCONNECT_REQUEST, RADIUS_COA_NAK, RADIUS_ACCESS_REQUEST };

	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		struct radius in = { .code = codes[i % 4], .state = "s1", .filter_id = "voice", .session_timeout_s = 7200,
			             .connect_info = "new", .certificate_len = (uint16_t)lens[i] }, out;
		uint8_t bytes[RADIUS_MESSAGE_MAX];
		size_t len;

		for (size_t b = 0; b < lens[i]; b++)
			in.certificate[b] = (uint8_t)(b * 7 + i);
		len = radius_write(&in, bytes, sizeof bytes);
		ck_assert_uint_gt(len, 0);
		ck_assert(radius_parse(bytes, len, &out));
		ck_assert_int_eq(out.code, in.code);
		ck_assert_uint_eq(out.certificate_len, lens[i]);
		ck_assert_mem_eq(out.certificate, in.certificate, lens[i]);
		ck_assert_str_eq(out.state, "s1");
		ck_assert_str_eq(out.filter_id, "voice");
		ck_assert_str_eq(out.connect_info, "new");
		ck_assert_uint_eq(out.session_timeout_s, 7200);
		ck_assert_uint_eq(radius_write(&in, bytes, len - 1), 0);
	}
}
END_TEST

static void take_text(void *ctx, const char *path, const char *value, int class_)
{
	(void)class_;
	if (strcmp(path, "User-Name") == 0)
		snprintf(ctx, RADIUS_TEXT_MAX, "%s", value);
}

START_TEST(radius_describes_no_secrets)
{
	static const char *const rows[][2] = {
		{ "name=Ann;address=1 Elm St;pay=4111", "name=Ann;address=1 Elm St;pay=****" },
		{ "pay=invoice;name=Ann; pin=4711", "pay=*******;name=Ann; pin=****" },
		{ "name=Ann;card=4111-1111 1111 1111;a=2", "name=Ann;card=*******************;a=2" },
		{ "phone=2155550101;display=3", "phone=2155550101;display=3" },
		{ "00112233445566778899aabb", "00112233445566778899aabb" }, /* an identifier */
		{ "02:00:00:00:00:01", "02:00:00:00:00:01" }, { "=", "=" }, { ";;pay=", ";;pay=" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct radius in = { .code = RADIUS_ACCESS_REQUEST };
		uint8_t bytes[RADIUS_MESSAGE_MAX];
		char text[RADIUS_TEXT_MAX] = "";

		snprintf(in.user_name, sizeof in.user_name, "%s", rows[i][0]);
		radius_describe(bytes, radius_write(&in, bytes, sizeof bytes), take_text, text);
		ck_assert_str_eq(text, rows[i][1]);
	}
}
END_TEST

START_TEST(radius_refuses) /* unknown codes, and more certificate than there may be */
{
	struct radius in = { .code = RADIUS_COA_REQUEST, .certificate_len = RADIUS_CERTIFICATE_MAX }, out;
	uint8_t bytes[RADIUS_MESSAGE_MAX];
	size_t len = radius_write(&in, bytes, sizeof bytes);

	ck_assert(radius_parse(bytes, len, &out));
	bytes[len] = 79; /* one byte of EAP-Message more */
	bytes[len + 1] = 3;
	bytes[len + 2] = 0;
	len += 3;
	bytes[2] = (uint8_t)(len >> 8);
	bytes[3] = (uint8_t)len;
	ck_assert(!radius_parse(bytes, len, &out));
	for (unsigned code = 0; code < 256; code++) {
		uint8_t message[20] = { (uint8_t)code, 1, 0, 20 };

		ck_assert_msg(radius_parse(message, sizeof message, &out) == ((code >= 1 && code <= 5) || (code >= 40 && code <= 45)),
		              "code %u", code);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire formats");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(t, sip_invite_is_read);
	tcase_add_loop_test(t, sip_refuses, 0, (int)(sizeof refusals / sizeof refusals[0]));
	tcase_add_test(t, sip_survives_mutations);
	tcase_add_test(t, sdp_round_trip);
	tcase_add_test(t, base64_vectors);
	tcase_add_test(t, rtp_round_trip);
	tcase_add_test(t, g711_codes_are_stable);
	tcase_add_test(t, g711_of_many_samples_is_that_of_each);
	tcase_add_loop_test(t, pktc_round_trip, 0, 4);
	tcase_add_test(t, pktc_wake_up_without_nonce);
	tcase_add_test(t, radius_round_trip);
	tcase_add_test(t, radius_carries_certificates);
	tcase_add_test(t, radius_describes_no_secrets);
	tcase_add_test(t, radius_refuses);
	tcase_set_timeout(t, 60);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

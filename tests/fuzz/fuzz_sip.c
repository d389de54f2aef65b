/*
 * Fuzzing of the SIP and SDP parsers. Input: a message, as it comes in a datagram.
 *
 * What must hold: any bytes are parsed or refused; every span lies in the message; a message that is accepted has
 * what the parser promises (a branch, a From tag, a Call-ID, a body of the length it names); an SDP body that is
 * accepted says the same when it is written and read again.
 */
#include "models/wire/sip.h"
#include "tests/fuzz/fuzz.h"

static void check_span(struct span s, const uint8_t *bytes, size_t len)
{
	const char *start = (const char *)bytes;

	fuzz_require(s.at ? s.at >= start && s.at + s.len <= start + len : s.len == 0);
}

static void check_message(const struct sip_message *m, const uint8_t *bytes, size_t len)
{
	const struct span spans[] = { m->uri,      m->reason, m->via,     m->branch,  m->from,         m->to,
		                      m->from_tag, m->to_tag, m->call_id, m->contact, m->content_type, m->body };
	char kind[32];

	for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
		check_span(spans[i], bytes, len);
	fuzz_require(m->header_count <= SIP_HEADERS_MAX);
	for (unsigned i = 0; i < m->header_count; i++) {
		check_span(m->headers[i].name, bytes, len);
		check_span(m->headers[i].value, bytes, len);
	}
	fuzz_require(m->branch.len > 0 && m->from_tag.len > 0 && m->call_id.len > 0);
	fuzz_require(m->request ? m->status == 0 : m->status >= 100 && m->status <= 699);
	fuzz_require(m->method >= SIP_OTHER && m->method < SIP_METHOD_COUNT);
	check_span(sip_user(m->uri), bytes, len);
	check_span(sip_user(m->from), bytes, len);
	check_span(sip_user(m->to), bytes, len);
	check_span(sip_user(m->contact), bytes, len);
	check_span(sip_header(m, "Reason"), bytes, len);
	fuzz_require(sip_kind(m, kind, sizeof kind) == kind && memchr(kind, '\0', sizeof kind) != NULL);
	fuzz_require(sip_kind(m, kind, 4) == kind && memchr(kind, '\0', 4) != NULL);
	fuzz_require(sip_reason(m->status) != NULL);
}

static void check_sdp(struct span body, const uint8_t *bytes, size_t len)
{
	char at[2 * SIP_MESSAGE_MAX];
	struct text t = { at, sizeof at, 0, false };
	struct sdp sdp, again;

	if (!sdp_parse(body, &sdp))
		return;
	check_span(sdp.key, bytes, len);
	sdp_write(&t, &sdp, 7);
	fuzz_require(!t.full && sdp_parse((struct span){ at, t.len }, &again));
	fuzz_require(again.ip == sdp.ip && again.port == sdp.port && again.payload_type == sdp.payload_type);
	fuzz_require(again.spi == sdp.spi && span_equal(again.key, sdp.key) && again.signaling_ip == sdp.signaling_ip);
}

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(path[0] && strlen(path) < 64 && strlen(value) <= SIP_MESSAGE_MAX && class_ >= 0 && class_ <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sip_message m;
	uint8_t *bytes = fuzz_exact(data, size);

	if (sip_parse(bytes, size, &m)) {
		check_message(&m, bytes, size);
		check_sdp(m.body, bytes, size);
	}
	check_sdp((struct span){ (const char *)bytes, size }, bytes, size);
	sip_describe(bytes, size, take_field, NULL);
	free(bytes);
	return 0;
}

static void put_message(struct text *t, const char *start, const char *cseq, const char *headers, const char *body)
{
	text_printf(t,
	            "%s\r\nVia: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bK776asdhds\r\nMax-Forwards: 70\r\n"
	            "From: <sip:2155550101@10.1.0.2;user=phone>;tag=1928301774\r\nTo: "
	            "<sip:6105550102@10.9.0.5>;tag=a6c85cf\r\n"
	            "Call-ID: a84b4c76e66710@10.1.0.2\r\nCSeq: 314159 %s\r\n%sContent-Length: %zu\r\n\r\n%s",
	            start, cseq, headers, strlen(body), body);
}

size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const struct {
		const char *start, *cseq, *headers;
		bool body;
	} seeds[] = {
		{ "INVITE sip:6105550102@10.9.0.5 SIP/2.0", "INVITE",
		  "Contact: <sip:2155550101@10.1.0.2>\r\nContent-Type: application/sdp\r\n", true },
		{ "SIP/2.0 180 Ringing", "INVITE", "Contact: <sip:6105550102@10.9.0.5>\r\n", false },
		{ "SIP/2.0 200 OK", "INVITE", "m: <sip:6105550102@10.9.0.5>\r\nc: application/sdp\r\n", true },
		{ "ACK sip:6105550102@10.9.0.5 SIP/2.0", "ACK", "X-Proof: c3ViLWtleS1hbmQtc3BpLWhhc2g=\r\n", false },
		{ "BYE sip:6105550102@10.9.0.5 SIP/2.0", "BYE", "Reason: SIP;cause=200;text=\"Call completed\"\r\n",
		  false },
		{ "CANCEL sip:6105550102@10.9.0.5 SIP/2.0", "CANCEL", "", false },
		{ "SIP/2.0 487 Request Terminated", "INVITE", "", false },
	};
	const unsigned count = sizeof seeds / sizeof seeds[0];
	const struct sdp sdp = {
		.ip = 0x0a010002, .port = 49152, .payload_type = 8, .key = span_of("c3ViLWtleQ=="), .spi = 0x1234abcc
	};
	char body[512] = "";
	struct text t = { body, sizeof body - 1, 0, false }, whole = { (char *)out, size, 0, false };

	if (nth > count)
		return 0;
	if (nth == count || seeds[nth].body)
		sdp_write(&t, &sdp, 7);
	if (nth == count) /* a body alone */
		text_put(&whole, body, t.len);
	else
		put_message(&whole, seeds[nth].start, seeds[nth].cseq, seeds[nth].headers, body);
	fuzz_require(!t.full && !whole.full);
	return whole.len;
}

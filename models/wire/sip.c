/* SIP parsing and description, SDP; see sip.h. RFC 3261 sections 7, 8.1.1, 20, 25; RFC 2327 sections 6. */
#include "models/wire/sip.h"

#include <stdio.h>

const char *const sip_method_names[SIP_METHOD_COUNT] = {
	[SIP_OTHER] = "?",       [SIP_INVITE] = "INVITE", [SIP_ACK] = "ACK", [SIP_BYE] = "BYE",
	[SIP_CANCEL] = "CANCEL", [SIP_OPTIONS] = "OPTIONS", [SIP_INFO] = "INFO",
};

static enum sip_method method_of(struct span s)
{
	for (int m = SIP_OTHER + 1; m < SIP_METHOD_COUNT; m++)
		if (span_is(s, sip_method_names[m]))
			return (enum sip_method)m;
	return SIP_OTHER;
}

/* Takes what stands before the first stop off the front of rest; false when there is no stop. */
static bool split(struct span *rest, char stop, struct span *first)
{
	const char *p = rest->len ? memchr(rest->at, stop, rest->len) : NULL;

	if (!p)
		return false;
	*first = (struct span){ rest->at, (size_t)(p - rest->at) };
	rest->len -= first->len + 1;
	rest->at = p + 1;
	return true;
}

/* A line that ends in CRLF, without it. */
static bool take_line(struct span *rest, struct span *line)
{
	if (!split(rest, '\n', line) || !line->len || line->at[line->len - 1] != '\r')
		return false;
	line->len--;
	return !(line->len && (memchr(line->at, '\r', line->len) || memchr(line->at, '\0', line->len)));
}

static struct span parameter(struct span value, const char *name)
{
	struct span part;
	bool more = true;

	if (!split(&value, ';', &part))
		return (struct span){ NULL, 0 };
	while (more) {
		struct span key;

		more = split(&value, ';', &part);
		if (!more)
			part = value;
		part = span_trim(part);
		if (split(&part, '=', &key) && span_is_nocase(key, name))
			return part;
	}
	return (struct span){ NULL, 0 };
}

/* Parameters behind the <address>, which may hold semicolons of its own. */
static struct span address_parameter(struct span value, const char *name)
{
	const char *close = value.len ? memchr(value.at, '>', value.len) : NULL;

	if (close) {
		value.len -= (size_t)(close - value.at);
		value.at = close;
	}
	return parameter(value, name);
}

static bool parse_start(struct span line, struct sip_message *m)
{
	struct span first, second;
	uint64_t status;

	if (!split(&line, ' ', &first) || !split(&line, ' ', &second))
		return false;
	if (span_is(first, "SIP/2.0")) {
		if (second.len != 3 || !span_number(second, 699, &status) || status < 100)
			return false;
		m->status = (int)status;
		m->reason = line;
		return true;
	}
	m->request = true;
	m->method = method_of(first);
	m->uri = second;
	return first.len && second.len && span_is(line, "SIP/2.0");
}

static bool take_once(struct span *slot, struct span value)
{
	if (slot->at)
		return false;
	*slot = value;
	return true;
}

static bool take_cseq(struct sip_message *m, struct span value, bool *seen)
{
	struct span number;
	uint64_t n;
	enum sip_method method;

	if (*seen || !split(&value, ' ', &number) || !span_number(number, INT32_MAX, &n))
		return false;
	*seen = true;
	method = method_of(span_trim(value));
	if (m->request && method != m->method)
		return false;
	m->method = method;
	m->cseq = (uint32_t)n;
	return true;
}

static bool named(struct span name, const char *full, const char *compact)
{
	return span_is_nocase(name, full) || (compact && span_is_nocase(name, compact));
}

struct scan { /* what must hold over all headers */
	bool cseq, has_length;
	uint64_t length;
};

static bool take_header(struct sip_message *m, struct span name, struct span value, struct scan *scan)
{
	if (named(name, "Via", "v")) {
		if (!m->via.at) {
			m->via = value;
			m->branch = parameter(value, "branch");
		}
		return true;
	}
	if (named(name, "From", "f")) {
		m->from_tag = address_parameter(value, "tag");
		return take_once(&m->from, value);
	}
	if (named(name, "To", "t")) {
		m->to_tag = address_parameter(value, "tag");
		return take_once(&m->to, value);
	}
	if (named(name, "Call-ID", "i"))
		return take_once(&m->call_id, value);
	if (named(name, "CSeq", NULL))
		return take_cseq(m, value, &scan->cseq);
	if (named(name, "Contact", "m"))
		return take_once(&m->contact, value);
	if (named(name, "Content-Type", "c"))
		return take_once(&m->content_type, value);
	if (named(name, "Content-Length", "l")) {
		if (scan->has_length || !span_number(value, SIP_MESSAGE_MAX, &scan->length))
			return false;
		scan->has_length = true;
	}
	return true;
}

/* RFC 3261 section 25.1. */
static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-.!%*_+`'~", c))))
			return false;
	}
	return s.len > 0;
}

bool sip_parse(const uint8_t *bytes, size_t len, struct sip_message *out)
{
	struct span rest = { (const char *)bytes, len }, line;
	struct sip_message m = { 0 };
	struct scan scan = { 0 };

	if (len > SIP_MESSAGE_MAX || !take_line(&rest, &line) || !parse_start(line, &m))
		return false;
	for (;;) {
		struct span name;

		if (!take_line(&rest, &line))
			return false;
		if (!line.len)
			break;
		if (line.at[0] == ' ' || line.at[0] == '\t' || !split(&line, ':', &name) ||
		    m.header_count == SIP_HEADERS_MAX)
			return false;
		name = span_trim(name);
		if (!is_token(name))
			return false;
		line = span_trim(line);
		m.headers[m.header_count++] = (struct sip_header){ name, line };
		if (!take_header(&m, name, line, &scan))
			return false;
	}
	if (!m.via.at || !m.branch.len || !m.from_tag.len || !m.to.at || !m.call_id.len || !scan.cseq)
		return false;
	if (scan.has_length ? scan.length != rest.len : rest.len != 0)
		return false;
	m.body = rest;
	*out = m;
	return true;
}

struct span sip_header(const struct sip_message *message, const char *name)
{
	for (unsigned i = 0; i < message->header_count; i++)
		if (span_is_nocase(message->headers[i].name, name))
			return message->headers[i].value;
	return (struct span){ NULL, 0 };
}

struct span sip_user(struct span uri)
{
	struct span part;
	const char *p = uri.len ? memchr(uri.at, '<', uri.len) : NULL;

	if (p) {
		uri.len -= (size_t)(p + 1 - uri.at);
		uri.at = p + 1;
	}
	if (!split(&uri, ':', &part) || !(span_is_nocase(part, "sip") || span_is_nocase(part, "tel")) ||
	    !split(&uri, '@', &part))
		return (struct span){ NULL, 0 };
	return part;
}

const char *sip_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} table[] = {
		{ 100, "Trying" }, { 180, "Ringing" }, { 183, "Session Progress" }, { 200, "OK" }, { 400, "Bad Request" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 408, "Request Timeout" }, { 480, "Temporarily Unavailable" },
		{ 481, "Call/Transaction Does Not Exist" }, { 482, "Loop Detected" }, { 486, "Busy Here" }, { 487, "Request Terminated" },
		{ 488, "Not Acceptable Here" }, { 491, "Request Pending" }, { 500, "Server Internal Error" },
		{ 501, "Not Implemented" }, { 503, "Service Unavailable" }, { 504, "Server Time-out" },
		{ 603, "Decline" },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].status == status)
			return table[i].reason;
	return "Unknown";
}

const char *sip_kind(const struct sip_message *m, char *out, size_t size)
{
	if (m->request)
		snprintf(out, size, "%s", sip_method_names[m->method]);
	else
		snprintf(out, size, "%d %s", m->status, sip_method_names[m->method]);
	return out;
}

static int class_of_header(struct span name)
{
	static const char *const random[] = { "Via", "v", "From", "f", "To", "t", "Call-ID", "i", "X-Key-Proof", "X-Call" };

	for (size_t i = 0; i < sizeof random / sizeof random[0]; i++)
		if (span_is_nocase(name, random[i]))
			return 1;
	return 0;
}

static void describe_body(struct span body, void (*field)(void *, const char *, const char *, int), void *ctx)
{
	struct span line;
	char value[SIP_MESSAGE_MAX + 1];

	while (take_line(&body, &line)) {
		char path[] = "sdp.?";

		if (line.len < 2 || line.at[1] != '=' || line.at[0] < 'a' || line.at[0] > 'z')
			continue;
		path[4] = line.at[0];
		line.at += 2;
		line.len -= 2;
		if (span_copy(line, value, sizeof value))
			field(ctx, path, value, path[4] == 'k' || path[4] == 'o' || path[4] == 'a' ? 1 : 0);
	}
}

void sip_describe(const uint8_t *bytes, size_t len,
                  void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx)
{
	struct sip_message m;
	char name[64], value[SIP_MESSAGE_MAX + 1];

	if (!sip_parse(bytes, len, &m))
		return;
	if (m.request) {
		field(ctx, "method", sip_method_names[m.method], 0);
		if (span_copy(m.uri, value, sizeof value))
			field(ctx, "uri", value, 0);
	} else {
		snprintf(value, sizeof value, "%d", m.status);
		field(ctx, "status", value, 0);
	}
	for (unsigned i = 0; i < m.header_count; i++)
		if (span_copy(m.headers[i].name, name, sizeof name) && span_copy(m.headers[i].value, value, sizeof value))
			field(ctx, name, value, class_of_header(m.headers[i].name));
	describe_body(m.body, field, ctx);
}

/* "10.1.2.3" */
static bool parse_ip(struct span s, uint32_t *out)
{
	uint32_t ip = 0;

	for (int i = 0; i < 4; i++) {
		struct span part;
		uint64_t n;

		if (i < 3 ? !split(&s, '.', &part) : (part = s, false))
			return false;
		if (part.len > 3 || !span_number(part, 255, &n))
			return false;
		ip = ip << 8 | (uint32_t)n;
	}
	*out = ip;
	return true;
}

static bool sdp_connection(struct span v, struct sdp *out)
{
	struct span net, type;

	return split(&v, ' ', &net) && split(&v, ' ', &type) && span_is(net, "IN") && span_is(type, "IP4") &&
	       parse_ip(v, &out->ip);
}

static bool sdp_media(struct span v, struct sdp *out)
{
	struct span media, port, proto;
	uint64_t p, type;

	if (!split(&v, ' ', &media) || !split(&v, ' ', &port) || !split(&v, ' ', &proto))
		return false;
	if (!span_is(media, "audio") || !span_is(proto, "RTP/AVP") || !span_number(port, 65535, &p) ||
	    !span_number(v, 127, &type))
		return false;
	out->port = (uint16_t)p;
	out->payload_type = (uint8_t)type;
	return true;
}

static bool sdp_attribute(struct span v, struct sdp *out)
{
	struct span name;
	uint8_t spi[4];

	if (!split(&v, ':', &name))
		return true;
	if (span_is(name, "X-signaling"))
		return !out->signaling_ip && parse_ip(v, &out->signaling_ip) && out->signaling_ip;
	if (!span_is(name, "X-spi"))
		return true;
	if (hex_decode(v, spi, sizeof spi) != 4)
		return false;
	out->spi = (uint32_t)spi[0] << 24 | (uint32_t)spi[1] << 16 | (uint32_t)spi[2] << 8 | spi[3];
	return true;
}

bool sdp_parse(struct span body, struct sdp *out)
{
	struct sdp sdp = { 0 };
	struct span line, value;
	bool media = false;

	while (body.len) {
		if (!take_line(&body, &line) || line.len < 2 || line.at[1] != '=')
			return false;
		value = (struct span){ line.at + 2, line.len - 2 };
		switch (line.at[0]) {
		case 'c':
			if (!sdp_connection(value, &sdp))
				return false;
			break;
		case 'm':
			if (media || !sdp_media(value, &sdp))
				return false;
			media = true;
			break;
		case 'k':
			if (sdp.key.at || value.len < 7 || memcmp(value.at, "base64:", 7) != 0)
				return false;
			sdp.key = (struct span){ value.at + 7, value.len - 7 };
			break;
		case 'a':
			if (!sdp_attribute(value, &sdp))
				return false;
			break;
		default:
			break;
		}
	}
	if (!media || !sdp.ip)
		return false;
	*out = sdp;
	return true;
}

void sdp_write(struct text *t, const struct sdp *sdp, uint64_t session)
{
	unsigned a = sdp->ip >> 24, b = sdp->ip >> 16 & 255, c = sdp->ip >> 8 & 255, d = sdp->ip & 255;

	text_printf(t, "v=0\r\no=- %llu 0 IN IP4 %u.%u.%u.%u\r\ns=-\r\nc=IN IP4 %u.%u.%u.%u\r\nt=0 0\r\n",
	            (unsigned long long)session, a, b, c, d, a, b, c, d);
	text_printf(t, "m=audio %u RTP/AVP %u\r\n", sdp->port, sdp->payload_type);
	if (sdp->key.at)
		text_printf(t, "k=base64:%.*s\r\n", (int)sdp->key.len, sdp->key.at);
	text_printf(t, "a=rtpmap:%u %s/8000\r\na=ptime:20\r\n", sdp->payload_type, sdp->payload_type == 8 ? "PCMA" : "PCMU");
	if (sdp->spi)
		text_printf(t, "a=X-spi:%08x\r\n", sdp->spi);
	if (sdp->signaling_ip)
		text_printf(t, "a=X-signaling:%u.%u.%u.%u\r\n", sdp->signaling_ip >> 24, sdp->signaling_ip >> 16 & 255,
		            sdp->signaling_ip >> 8 & 255, sdp->signaling_ip & 255);
}

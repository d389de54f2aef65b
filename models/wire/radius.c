/* RADIUS; see radius.h. RFC 2865 sections 3 and 5, RFC 2866 sections 3 and 5, RFC 2869 section 5.3. */
#include "models/wire/radius.h"

#include <stdio.h>
#include <openssl/evp.h>

enum attribute_type { TYPE_TEXT, TYPE_INTEGER, TYPE_ADDRESS };
static const struct attribute {
	uint8_t number;
	enum attribute_type type;
	size_t offset;
	const char *name;
} attributes[] = {
	{ 1, TYPE_TEXT, offsetof(struct radius, user_name), "User-Name" },
	{ 8, TYPE_ADDRESS, offsetof(struct radius, framed_ip), "Framed-IP-Address" },
	{ 11, TYPE_TEXT, offsetof(struct radius, filter_id), "Filter-Id" },
	{ 18, TYPE_TEXT, offsetof(struct radius, reply_message), "Reply-Message" },
	{ 24, TYPE_TEXT, offsetof(struct radius, state), "State" },
	{ 25, TYPE_TEXT, offsetof(struct radius, class_), "Class" },
	{ 27, TYPE_INTEGER, offsetof(struct radius, session_timeout_s), "Session-Timeout" },
	{ 30, TYPE_TEXT, offsetof(struct radius, called_station), "Called-Station-Id" },
	{ 31, TYPE_TEXT, offsetof(struct radius, calling_station), "Calling-Station-Id" },
	{ 32, TYPE_TEXT, offsetof(struct radius, nas_identifier), "NAS-Identifier" },
	{ 40, TYPE_INTEGER, offsetof(struct radius, acct_status), "Acct-Status-Type" },
	{ 44, TYPE_TEXT, offsetof(struct radius, acct_session_id), "Acct-Session-Id" },
	{ 46, TYPE_INTEGER, offsetof(struct radius, acct_session_s), "Acct-Session-Time" },
	{ 49, TYPE_INTEGER, offsetof(struct radius, acct_cause), "Acct-Terminate-Cause" },
	{ 55, TYPE_INTEGER, offsetof(struct radius, event_time_s), "Event-Timestamp" },
	{ 77, TYPE_TEXT, offsetof(struct radius, connect_info), "Connect-Info" },
};
#define ATTRIBUTE_COUNT (sizeof attributes / sizeof attributes[0])
#define HEADER_LEN 20
#define EAP_MESSAGE 79
#define VALUE_MAX 253

static const struct attribute *attribute_of(uint8_t number)
{
	for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
		if (attributes[i].number == number)
			return &attributes[i];
	return NULL;
}

static bool take_attribute(struct radius *m, const struct attribute *a, const uint8_t *value, size_t len)
{
	char *field = (char *)m + a->offset;

	if (a->type == TYPE_TEXT)
		return span_copy((struct span){ (const char *)value, len }, field, RADIUS_TEXT_MAX);
	if (len != 4)
		return false;
	*(uint32_t *)(void *)field = (uint32_t)value[0] << 24 | (uint32_t)value[1] << 16 | (uint32_t)value[2] << 8 | value[3];
	return true;
}

static bool code_known(uint8_t code)
{
	return (code >= RADIUS_ACCESS_REQUEST && code <= RADIUS_ACCOUNTING_RESPONSE) ||
	       (code >= RADIUS_DISCONNECT_REQUEST && code <= RADIUS_COA_NAK);
}

static bool take_certificate(struct radius *m, const uint8_t *value, size_t len)
{
	if (len > (size_t)RADIUS_CERTIFICATE_MAX - m->certificate_len)
		return false;
	memcpy(m->certificate + m->certificate_len, value, len);
	m->certificate_len = (uint16_t)(m->certificate_len + len);
	return true;
}

static size_t put_certificate(const struct radius *m, uint8_t *out, size_t room)
{
	size_t at = 0;

	for (size_t done = 0, n; done < m->certificate_len; done += n) {
		n = m->certificate_len - done < VALUE_MAX ? m->certificate_len - done : VALUE_MAX;
		if (n + 2 > room - at)
			return 0;
		out[at] = EAP_MESSAGE;
		out[at + 1] = (uint8_t)(n + 2);
		memcpy(out + at + 2, m->certificate + done, n);
		at += n + 2;
	}
	return at;
}

bool radius_parse(const uint8_t *bytes, size_t len, struct radius *out)
{
	struct radius m = { 0 };

	if (len < HEADER_LEN || len > RADIUS_MESSAGE_MAX || (size_t)(bytes[2] << 8 | bytes[3]) != len || !code_known(bytes[0]))
		return false;
	m.code = (enum radius_code)bytes[0];
	m.id = bytes[1];
	memcpy(m.authenticator, bytes + 4, 16);
	for (size_t at = HEADER_LEN; at < len;) {
		size_t n = len - at >= 2 ? bytes[at + 1] : 0;
		const struct attribute *a = attribute_of(bytes[at]);

		if (n < 2 || n > len - at)
			return false;
		if (bytes[at] == EAP_MESSAGE && !take_certificate(&m, bytes + at + 2, n - 2))
			return false;
		if (a && !take_attribute(&m, a, bytes + at + 2, n - 2))
			return false;
		at += n;
	}
	*out = m;
	return true;
}

static size_t put_attribute(const struct radius *m, const struct attribute *a, uint8_t *out, size_t room)
{
	const char *field = (const char *)m + a->offset;
	uint32_t v;
	size_t n;

	if (a->type == TYPE_TEXT) {
		n = strlen(field);
		if (n + 2 > room)
			return 0;
		memcpy(out + 2, field, n);
	} else {
		if (room < 6)
			return 0;
		n = 4;
		memcpy(&v, field, 4);
		for (int i = 0; i < 4; i++)
			out[2 + i] = (uint8_t)(v >> (24 - 8 * i));
	}
	out[0] = a->number;
	out[1] = (uint8_t)(n + 2);
	return n + 2;
}

static bool present(const struct radius *m, const struct attribute *a)
{
	const char *field = (const char *)m + a->offset;
	uint32_t v;

	memcpy(&v, field, 4);
	return a->type == TYPE_TEXT ? field[0] != '\0' : v != 0;
}

size_t radius_write(const struct radius *m, uint8_t *out, size_t size)
{
	size_t at = HEADER_LEN;

	if (size < HEADER_LEN)
		return 0;
	for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
		size_t n;

		if (!present(m, &attributes[i]))
			continue;
		n = put_attribute(m, &attributes[i], out + at, size - at);
		if (!n)
			return 0;
		at += n;
	}
	if (m->certificate_len) {
		size_t n = put_certificate(m, out + at, size - at);

		if (!n)
			return 0;
		at += n;
	}
	out[0] = (uint8_t)m->code;
	out[1] = m->id;
	out[2] = (uint8_t)(at >> 8);
	out[3] = (uint8_t)at;
	memcpy(out + 4, m->authenticator, 16);
	return at;
}

static void authenticator(const uint8_t *bytes, size_t len, const uint8_t request[16], uint8_t out[16])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || EVP_DigestInit_ex(ctx, EVP_md5(), NULL) != 1 || EVP_DigestUpdate(ctx, bytes, 4) != 1 ||
	    EVP_DigestUpdate(ctx, request, 16) != 1 || EVP_DigestUpdate(ctx, bytes + HEADER_LEN, len - HEADER_LEN) != 1 ||
	    EVP_DigestUpdate(ctx, RADIUS_SECRET, sizeof RADIUS_SECRET - 1) != 1 || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		memset(out, 0, 16);
	EVP_MD_CTX_free(ctx);
}

void radius_sign(uint8_t *bytes, size_t len, const uint8_t request[16])
{
	authenticator(bytes, len, request, bytes + 4);
}

bool radius_check(const uint8_t *bytes, size_t len, const uint8_t request[16])
{
	uint8_t expected[16];

	authenticator(bytes, len, request, expected);
	return memcmp(expected, bytes + 4, 16) == 0;
}

const char *radius_kind(enum radius_code code)
{
	static const char *const kinds[] = {
		[RADIUS_ACCESS_REQUEST] = "Access-Request", [RADIUS_ACCESS_ACCEPT] = "Access-Accept",
		[RADIUS_ACCESS_REJECT] = "Access-Reject", [RADIUS_ACCOUNTING_REQUEST] = "Accounting-Request",
		[RADIUS_ACCOUNTING_RESPONSE] = "Accounting-Response",
		[RADIUS_DISCONNECT_REQUEST] = "Disconnect-Request", [RADIUS_DISCONNECT_ACK] = "Disconnect-ACK",
		[RADIUS_DISCONNECT_NAK] = "Disconnect-NAK", [RADIUS_COA_REQUEST] = "CoA-Request", [RADIUS_COA_ACK] = "CoA-ACK",
		[RADIUS_COA_NAK] = "CoA-NAK",
	};

	return kinds[code];
}

/* What of a customer's data ("name=...;pay=4111...") is not for the record: how he pays, his PIN, and what may be a card. */

#define CARD_DIGITS_MIN 12

static void mask(char *from, const char *end)
{
	for (; from < end; from++)
		*from = '*';
}

static void mask_parts(char *text)
{
	for (char *part = text, *end; part; part = *end ? end + 1 : NULL) {
		end = part + strcspn(part, ";");
		part += strspn(part, " ");
		if (strncmp(part, "pay=", 4) == 0 || strncmp(part, "pin=", 4) == 0)
			mask(part + 4, end);
	}
}

/* Digits with spaces or dashes between them. */
static void mask_cards(char *text)
{
	while (*text) {
		size_t len = strspn(text, "0123456789 -"), digits = 0;

		for (size_t i = 0; i < len; i++)
			digits += text[i] >= '0' && text[i] <= '9';
		if (digits >= CARD_DIGITS_MIN)
			mask(text, text + len);
		text += len ? len : 1;
	}
}

void radius_mask_secrets(char *text)
{
	if (!strchr(text, '='))
		return;
	mask_parts(text);
	mask_cards(text);
}

/* Random, a time, or a fact: enum field_class. */
static int class_of(uint8_t number)
{
	return number == 44 || number == 25 || number == 24 ? 1 : number == 55 ? 2 : 0;
}

void radius_describe(const uint8_t *bytes, size_t len,
                     void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx)
{
	struct radius m;
	char text[16];

	if (!radius_parse(bytes, len, &m))
		return;
	for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
		const struct attribute *a = &attributes[i];
		char *at = (char *)&m + a->offset;
		uint32_t v;

		if (!present(&m, a))
			continue;
		memcpy(&v, at, 4);
		if (a->type == TYPE_TEXT)
			radius_mask_secrets(at);
		else if (a->type == TYPE_INTEGER)
			snprintf(text, sizeof text, "%u", v);
		else
			snprintf(text, sizeof text, "%u.%u.%u.%u", v >> 24, v >> 16 & 255, v >> 8 & 255, v & 255);
		field(ctx, a->name, a->type == TYPE_TEXT ? at : text, class_of(a->number));
	}
	if (m.certificate_len) {
		snprintf(text, sizeof text, "%u bytes", m.certificate_len);
		field(ctx, "EAP-Message", text, 0);
	}
}

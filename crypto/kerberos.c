/*
 * Kerberos messages' common ground: names, message types and lengths, KRB-ERROR, tickets and credentials (RFC 4120).
 *
 * A name is joined text inside and components on the wire; text that could be read as another name is refused in both
 * directions, so that equal text is equal principal. Tickets carry a TicketProfile (kerberos_asn1.h) when there is
 * something to say about their client.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/kerberos_internal.h"

/* Longest header of a DER value within KRB_MESSAGE_MAX. */
#define DER_HEADER_MAX 6

static bool name_text_ok(const char *text, size_t max, bool slashes)
{
	size_t len = strnlen(text, max + 1);
	if (len == 0 || len > max || text[0] == '/' || text[len - 1] == '/')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c <= ' ' || c > '~' || c == '@' || c == '\\' || (c == '/' && (!slashes || text[i + 1] == '/')))
			return false;
	}
	return true;
}

bool krb_name_set(struct krb_name *out, const char *name, const char *realm)
{
	if (!name_text_ok(name, KRB_NAME_MAX, true) || !name_text_ok(realm, KRB_REALM_MAX, false))
		return false;
	*out = (struct krb_name){ .name = "" };
	memcpy(out->name, name, strlen(name));
	memcpy(out->realm, realm, strlen(realm));
	return true;
}

bool krb_name_equal(const struct krb_name *a, const struct krb_name *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->realm, b->realm) == 0;
}

void krb_principal_text(const struct krb_name *name, char out[KRB_PRINCIPAL_MAX])
{
	snprintf(out, KRB_PRINCIPAL_MAX, "%s@%s", name->name, name->realm);
}

enum krb_type krb_type(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return KRB_OTHER;
	switch (bytes[0]) { /* [APPLICATION n], constructed */
	case 0x60 | KRB_AS_REQ:
		return KRB_AS_REQ;
	case 0x60 | KRB_AS_REP:
		return KRB_AS_REP;
	case 0x60 | KRB_AP_REQ:
		return KRB_AP_REQ;
	case 0x60 | KRB_AP_REP:
		return KRB_AP_REP;
	case 0x60 | KRB_ERROR:
		return KRB_ERROR;
	default:
		return KRB_OTHER;
	}
}

size_t krb_message_len(const uint8_t *bytes, size_t len)
{
	if (len < 2 || krb_type(bytes, len) == KRB_OTHER)
		return 0;
	size_t header = 2, content = bytes[1];
	if (content & 0x80) {
		size_t count = content & 0x7f;
		header += count;
		if (count == 0 || header > DER_HEADER_MAX || header > len)
			return 0;
		content = 0;
		for (size_t i = 0; i < count; i++)
			content = content << 8 | bytes[2 + i];
	}
	if (content > KRB_MESSAGE_MAX - header || content > len - header)
		return 0;
	return header + content;
}

/* Errors */

struct error_text {
	int code;
	const char *name;
};
#define NAMED(code) { code, #code }
static const struct error_text error_texts[] = {
	NAMED(KDC_ERR_NONE),
	NAMED(KDC_ERR_C_PRINCIPAL_UNKNOWN),
	NAMED(KDC_ERR_S_PRINCIPAL_UNKNOWN),
	NAMED(KDC_ERR_POLICY),
	NAMED(KDC_ERR_BADOPTION),
	NAMED(KDC_ERR_ETYPE_NOSUPP),
	NAMED(KDC_ERR_PADATA_TYPE_NOSUPP),
	NAMED(KDC_ERR_CLIENT_REVOKED),
	NAMED(KDC_ERR_PREAUTH_FAILED),
	NAMED(KDC_ERR_PREAUTH_REQUIRED),
	NAMED(KRB_AP_ERR_BAD_INTEGRITY),
	NAMED(KRB_AP_ERR_TKT_EXPIRED),
	NAMED(KRB_AP_ERR_TKT_NYV),
	NAMED(KRB_AP_ERR_REPEAT),
	NAMED(KRB_AP_ERR_NOT_US),
	NAMED(KRB_AP_ERR_BADMATCH),
	NAMED(KRB_AP_ERR_SKEW),
	NAMED(KRB_AP_ERR_MSG_TYPE),
	NAMED(KRB_AP_ERR_MODIFIED),
	NAMED(KRB_ERR_GENERIC),
	NAMED(KRB_ERR_FIELD_TOOLONG),
	NAMED(KDC_ERR_CLIENT_NOT_TRUSTED),
	NAMED(KDC_ERR_INVALID_SIG),
	NAMED(KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED),
	NAMED(KDC_ERR_CANT_VERIFY_CERTIFICATE),
	NAMED(KDC_ERR_INVALID_CERTIFICATE),
	NAMED(KDC_ERR_REVOKED_CERTIFICATE),
	NAMED(KDC_ERR_CLIENT_NAME_MISMATCH),
};

/* Names of the codes that RFC 4120 leaves to others, as constants: there is no buffer to share. */
#define N1(n) "KRB_ERROR_" #n
#define N10(t) N1(t##0), N1(t##1), N1(t##2), N1(t##3), N1(t##4), N1(t##5), N1(t##6), N1(t##7), N1(t##8), N1(t##9)
static const char *const numbered[] = { N1(0),  N1(1),  N1(2),  N1(3),   N1(4),   N1(5),  N1(6),  N1(7),
	                                N1(8),  N1(9),  N10(1), N10(2),  N10(3),  N10(4), N10(5), N10(6),
	                                N10(7), N10(8), N10(9), N10(10), N10(11), N10(12) };

const char *krb_error_name(int code)
{
	for (size_t i = 0; i < sizeof(error_texts) / sizeof(error_texts[0]); i++) {
		if (error_texts[i].code == code)
			return error_texts[i].name;
	}
	if (code >= 0 && (size_t)code < sizeof(numbered) / sizeof(numbered[0]))
		return numbered[code];
	return "KRB_ERROR_OTHER";
}

/* METHOD-DATA of a KDC that wants pre-authentication: PKINIT, encrypted time stamp (RFC 4120 section 5.9.1). */
static bool put_methods(KRB_ERROR_MSG *error)
{
	KRB_METHOD_DATA *methods = NULL;
	struct der der = { 0 };
	krb_push_typed(&methods, KRB_PA_PK_AS_REQ, (const uint8_t *)"", 0);
	krb_push_typed(&methods, KRB_PA_ENC_TIMESTAMP, (const uint8_t *)"", 0);
	bool ok = KRB_ENCODE(KRB_METHOD_DATA, methods, &der);
	if (ok)
		krb_put_octets(&error->e_data, der.bytes, der.len);
	der_free(&der);
	KRB_FREE(KRB_METHOD_DATA, methods);
	return ok;
}

bool krb_error_build(struct crypto *crypto, const struct krb_error_info *info, struct der *out)
{
	(void)crypto; /* an error is clear text; the parameter keeps the builders alike */
	KRB_ERROR_MSG *error = KRB_NEW(KRB_ERROR_MSG);
	error->pvno = KRB_PVNO;
	error->msg_type = KRB_ERROR;
	krb_put_time(&error->stime, info->stime.s);
	error->susec = info->stime.us;
	error->error_code = info->code;
	krb_put_name(&error->sname, &error->realm, &info->server);
	if (info->text[0])
		krb_put_text(&error->e_text, info->text);
	bool ok =
		(info->code != KDC_ERR_PREAUTH_REQUIRED || put_methods(error)) && KRB_ENCODE(KRB_ERROR_MSG, error, out);
	KRB_FREE(KRB_ERROR_MSG, error);
	return ok;
}

/* A peer's text, made printable and cut to the room there is. */
static void take_printable(const ASN1_STRING *text, char *out, size_t size)
{
	size_t len = text ? (size_t)ASN1_STRING_length(text) : 0;
	const uint8_t *p = text ? ASN1_STRING_get0_data(text) : NULL;
	if (len > size - 1)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		out[i] = p[i] >= ' ' && p[i] <= '~' ? (char)p[i] : '?';
	out[len] = '\0';
}

bool krb_error_parse(const uint8_t *bytes, size_t len, struct krb_error_info *out)
{
	struct krb_error_info got = { .code = 0 };
	KRB_ERROR_MSG *error = krb_type(bytes, len) == KRB_ERROR ? KRB_DECODE(KRB_ERROR_MSG, bytes, len) : NULL;
	bool ok = error && error->pvno == KRB_PVNO && error->msg_type == KRB_ERROR && error->susec >= 0 &&
	          error->susec <= 999999 && krb_get_time(error->stime, &got.stime.s) &&
	          krb_get_name(error->sname, error->realm, &got.server);
	if (ok) {
		got.code = error->error_code;
		got.stime.us = error->susec;
		take_printable(error->e_text, got.text, sizeof(got.text));
		*out = got;
	}
	KRB_FREE(KRB_ERROR_MSG, error);
	return ok;
}

/* Tickets */

static bool put_profile(const struct krb_ticket_facts *facts, STACK_OF(KRB_TYPED) **list)
{
	size_t mac_len = strnlen(facts->mac, sizeof(facts->mac));
	if (!facts->restricted && mac_len == 0)
		return true;
	if ((mac_len != 0 && mac_len != KRB_PROFILE_MAC_LEN) || facts->number_count > KRB_NUMBERS_MAX)
		return false;
	uint8_t device[KRB_PROFILE_DEVICE_LEN];
	memset(device, ' ', KRB_PROFILE_MAC_LEN);
	memcpy(device, facts->mac, mac_len);
	device[KRB_PROFILE_MAC_LEN] = facts->restricted ? KRB_PROFILE_RESTRICTED : 0;
	KRB_TICKET_PROFILE *profile = KRB_NEW(KRB_TICKET_PROFILE);
	krb_put_octets(&profile->device, device, sizeof(device));
	bool ok = true;
	if (facts->restricted) {
		profile->numbers = sk_ASN1_IA5STRING_new_null();
		ok = profile->numbers != NULL;
		for (unsigned i = 0; ok && i < facts->number_count; i++) {
			ASN1_IA5STRING *number = ASN1_IA5STRING_new();
			size_t number_len = strnlen(facts->numbers[i], KRB_NUMBER_LEN);
			ok = number_len < KRB_NUMBER_LEN && number &&
			     ASN1_STRING_set(number, facts->numbers[i], (int)number_len) &&
			     sk_ASN1_IA5STRING_push(profile->numbers, number);
			if (!ok)
				ASN1_IA5STRING_free(number);
		}
	}
	struct der der = { 0 };
	ok = ok && KRB_ENCODE(KRB_TICKET_PROFILE, profile, &der);
	if (ok)
		krb_push_typed(list, KRB_AD_TICKET_PROFILE, der.bytes, der.len);
	der_free(&der);
	KRB_FREE(KRB_TICKET_PROFILE, profile);
	return ok;
}

static bool read_numbers(const KRB_TICKET_PROFILE *profile, struct krb_ticket_facts *facts)
{
	int count = profile->numbers ? sk_ASN1_IA5STRING_num(profile->numbers) : 0;
	if (count > KRB_NUMBERS_MAX)
		return false;
	for (int i = 0; i < count; i++) {
		const ASN1_IA5STRING *number = sk_ASN1_IA5STRING_value(profile->numbers, i);
		if (ASN1_STRING_length(number) <= 0 || ASN1_STRING_length(number) >= KRB_NUMBER_LEN)
			return false;
		take_printable(number, facts->numbers[i], KRB_NUMBER_LEN);
	}
	facts->number_count = (unsigned)count;
	return true;
}

/* Any authorisation data that we do not know restricts in a way we do not know: refused (RFC 4120 section 5.2.6). */
static bool read_profile(const STACK_OF(KRB_TYPED) *list, struct krb_ticket_facts *facts)
{
	if (!list)
		return true;
	const KRB_TYPED *element = sk_KRB_TYPED_num(list) == 1 ? krb_find_typed(list, KRB_AD_TICKET_PROFILE) : NULL;
	if (!element)
		return false;
	KRB_TICKET_PROFILE *profile = KRB_DECODE(KRB_TICKET_PROFILE, ASN1_STRING_get0_data(element->value),
	                                         (size_t)ASN1_STRING_length(element->value));
	bool ok = profile && ASN1_STRING_length(profile->device) == KRB_PROFILE_DEVICE_LEN &&
	          read_numbers(profile, facts);
	if (ok) {
		const uint8_t *device = ASN1_STRING_get0_data(profile->device);
		facts->restricted = device[KRB_PROFILE_MAC_LEN] & KRB_PROFILE_RESTRICTED;
		take_printable(profile->device, facts->mac, KRB_PROFILE_MAC_LEN + 1);
		if (strspn(facts->mac, " ") == KRB_PROFILE_MAC_LEN)
			facts->mac[0] = '\0';
	}
	KRB_FREE(KRB_TICKET_PROFILE, profile);
	return ok;
}

KRB_ENC_TICKET_PART *krb_ticket_part(const struct krb_ticket_facts *facts, const uint8_t session[KRB_KEY_LEN])
{
	KRB_ENC_TICKET_PART *part = KRB_NEW(KRB_ENC_TICKET_PART);
	krb_put_flags(&part->flags, KRB_TICKET_INITIAL | KRB_TICKET_PRE_AUTHENT);
	krb_put_typed(&part->key, KRB_ETYPE_DES3, session, KRB_KEY_LEN);
	krb_put_name(&part->cname, &part->crealm, &facts->client);
	krb_put_typed(&part->transited, 1, (const uint8_t *)"", 0); /* DOMAIN-X500-COMPRESS of no realms */
	krb_put_time(&part->authtime, facts->auth_time_s);
	krb_put_time(&part->starttime, facts->start_time_s);
	krb_put_time(&part->endtime, facts->end_time_s);
	if (!put_profile(facts, &part->authorization_data)) {
		krb_wipe_typed(part->key);
		KRB_FREE(KRB_ENC_TICKET_PART, part);
		return NULL;
	}
	return part;
}

KRB_TICKET *krb_ticket_seal(struct secure_module *sm, const struct sm_key *server_key,
                            const struct krb_ticket_facts *facts, const uint8_t session[KRB_KEY_LEN])
{
	KRB_ENC_TICKET_PART *part = krb_ticket_part(facts, session);
	if (!part)
		return NULL;
	KRB_TICKET *ticket = KRB_NEW(KRB_TICKET);
	ticket->vno = KRB_PVNO;
	krb_put_name(&ticket->sname, &ticket->realm, &facts->server);
	bool ok = krb_seal_value(sm_crypto(sm), sm_random(sm), server_key->bytes, KRB_USAGE_TICKET, KRB_TICKET_KVNO,
	                         part, ASN1_ITEM_rptr(KRB_ENC_TICKET_PART), &ticket->enc_part);
	krb_wipe_typed(part->key);
	KRB_FREE(KRB_ENC_TICKET_PART, part);
	if (!ok) {
		KRB_FREE(KRB_TICKET, ticket);
		ticket = NULL;
	}
	return ticket;
}

bool krb_ticket_read(const KRB_TICKET *ticket, const KRB_ENC_TICKET_PART *part, struct krb_ticket_facts *facts)
{
	struct krb_ticket_facts got = { .restricted = false };
	bool ok = krb_get_key(part->key) && krb_get_name(part->cname, part->crealm, &got.client) &&
	          krb_get_name(ticket->sname, ticket->realm, &got.server) &&
	          krb_get_time(part->authtime, &got.auth_time_s) && krb_get_time(part->endtime, &got.end_time_s) &&
	          read_profile(part->authorization_data, &got);
	if (ok && part->starttime)
		ok = krb_get_time(part->starttime, &got.start_time_s);
	else
		got.start_time_s = got.auth_time_s; /* RFC 4120 section 5.3: absent means authtime */
	if (ok)
		*facts = got;
	return ok;
}

void krb_credentials_free(struct secure_module *sm, struct krb_credentials *credentials)
{
	der_free(&credentials->ticket);
	sm_destroy_key(sm, credentials->session_key);
	*credentials = (struct krb_credentials){ .session_key = 0 };
}

bool krb_self_issue(struct secure_module *sm, key_handle server_key, const struct krb_ticket_facts *facts,
                    struct krb_credentials *out)
{
	const struct sm_key *key = sm_lookup(sm, server_key, SM_DES3);
	if (!key)
		return false;
	uint8_t session[KRB_KEY_LEN];
	struct krb_credentials made = { .client = facts->client,
		                        .server = facts->server,
		                        .start_time_s = facts->start_time_s,
		                        .end_time_s = facts->end_time_s };
	krb_fresh_key(sm, session);
	KRB_TICKET *ticket = krb_ticket_seal(sm, key, facts, session);
	bool ok = ticket && KRB_ENCODE(KRB_TICKET, ticket, &made.ticket);
	if (ok) {
		char context[KRB_PRINCIPAL_MAX];
		krb_principal_text(&facts->server, context);
		made.session_key =
			sm_add(sm, SM_DES3, "krb.session", session, sizeof(session), "generated", context, NULL);
		*out = made;
	}
	KRB_FREE(KRB_TICKET, ticket);
	crypto_wipe(session, sizeof(session));
	return ok;
}

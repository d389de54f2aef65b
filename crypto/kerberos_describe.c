/*
 * Clear fields of Kerberos messages as paths and values, for the record (RFC 4120's own field names).
 *
 * Nothing is opened here: sealed parts show as their length. Values are printable whatever the peer sent. Certificates
 * and the AuthPack of a PKINIT request are clear text and show.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/pkinit_cms.h"

#define VALUE_MAX 256
#define LIST_MAX 16 /* elements of a list that are shown */

struct sink {
	void (*field)(void *ctx, const char *path, const char *value, enum krb_field class_);
	void *ctx;
};

static void put(const struct sink *sink, const char *path, const char *value, enum krb_field class_)
{
	sink->field(sink->ctx, path, value, class_);
}

static void put_number(const struct sink *sink, const char *path, int64_t number, enum krb_field class_)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)number);
	put(sink, path, text, class_);
}

static void put_string(const struct sink *sink, const char *path, const ASN1_STRING *string, enum krb_field class_)
{
	char text[VALUE_MAX];
	size_t len = string ? (size_t)ASN1_STRING_length(string) : 0;
	if (!string)
		return;
	if (len > sizeof(text) - 1)
		len = sizeof(text) - 1;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = ASN1_STRING_get0_data(string)[i];
		text[i] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	text[len] = '\0';
	put(sink, path, text, class_);
}

static void put_time(const struct sink *sink, const char *path, const ASN1_GENERALIZEDTIME *time)
{
	put_string(sink, path, time, KRB_FIELD_TIME);
}

static void put_principal(const struct sink *sink, const char *path, const KRB_PRINCIPAL *principal,
                          const ASN1_GENERALSTRING *realm)
{
	struct krb_name name;
	char text[KRB_PRINCIPAL_MAX];
	if (!principal)
		return;
	if (krb_get_name(principal, realm, &name))
		krb_principal_text(&name, text);
	else
		snprintf(text, sizeof(text), "(not a name)");
	put(sink, path, text, KRB_FIELD_FACT);
}

static void put_sealed(const struct sink *sink, const char *part, const KRB_SEALED *sealed)
{
	char path[64];
	snprintf(path, sizeof(path), "%s.etype", part);
	put_number(sink, path, sealed->etype, KRB_FIELD_FACT);
	uint32_t kvno;
	snprintf(path, sizeof(path), "%s.kvno", part);
	if (sealed->kvno && krb_get_uint(sealed->kvno, &kvno))
		put_number(sink, path, kvno, KRB_FIELD_FACT);
	snprintf(path, sizeof(path), "%s.cipher-bytes", part);
	put_number(sink, path, ASN1_STRING_length(sealed->cipher), KRB_FIELD_FACT);
}

static void put_ticket(const struct sink *sink, const KRB_TICKET *ticket)
{
	put_principal(sink, "ticket.sname", ticket->sname, ticket->realm);
	put_sealed(sink, "ticket.enc-part", ticket->enc_part);
}

/* "16,2": numbers of a list, comma between. */
struct list {
	char text[VALUE_MAX];
	size_t used;
};

static void append(struct list *list, int64_t number)
{
	int n = snprintf(list->text + list->used, sizeof(list->text) - list->used, "%s%lld", list->used ? "," : "",
	                 (long long)number);
	if (n > 0 && (size_t)n < sizeof(list->text) - list->used)
		list->used += (size_t)n;
	else
		list->text[list->used] = '\0';
}

static void put_padata(const struct sink *sink, const STACK_OF(KRB_TYPED) *padata)
{
	struct list types = { .used = 0 };
	if (!padata)
		return;
	for (int i = 0; i < sk_KRB_TYPED_num(padata) && i < LIST_MAX; i++)
		append(&types, sk_KRB_TYPED_value(padata, i)->type);
	put(sink, "padata.types", types.text, KRB_FIELD_FACT);
}

static void put_etypes(const struct sink *sink, const STACK_OF(ASN1_INTEGER) *etypes)
{
	struct list numbers = { .used = 0 };
	for (int i = 0; i < sk_ASN1_INTEGER_num(etypes) && i < LIST_MAX; i++) {
		int64_t number;
		if (ASN1_INTEGER_get_int64(&number, sk_ASN1_INTEGER_value(etypes, i)))
			append(&numbers, number);
	}
	put(sink, "etype", numbers.text, KRB_FIELD_FACT);
}

/* PKINIT */

static void put_auth_pack(const struct sink *sink, const struct pkinit_signed *read)
{
	PKINIT_AUTH_PACK *rfc = read->type == PKINIT_AUTH_DATA ?
	                                KRB_DECODE(PKINIT_AUTH_PACK, read->content.bytes, read->content.len) :
	                                NULL;
	PKINIT_DRAFT_AUTH_PACK *draft =
		read->type == PKINIT_ID_DATA ?
			KRB_DECODE(PKINIT_DRAFT_AUTH_PACK, read->content.bytes, read->content.len) :
			NULL;
	if (rfc || draft) {
		put(sink, "pkinit.profile", rfc ? "rfc4556" : "draft", KRB_FIELD_FACT);
		put_time(sink, "pkinit.ctime", rfc ? rfc->authenticator->ctime : draft->authenticator->ctime);
		put_number(sink, "pkinit.nonce", rfc ? rfc->authenticator->nonce : draft->authenticator->nonce,
		           KRB_FIELD_RANDOM);
		put(sink, "pkinit.dh", (rfc ? rfc->client_public_value : draft->client_public_value) ? "yes" : "no",
		    KRB_FIELD_FACT);
	}
	KRB_FREE(PKINIT_AUTH_PACK, rfc);
	KRB_FREE(PKINIT_DRAFT_AUTH_PACK, draft);
}

static void put_signer(const struct sink *sink, const struct pkinit_signed *read)
{
	struct cert_facts facts;
	char serial[24];
	if (!cert_read(read->signer.bytes, read->signer.len, &facts))
		return;
	snprintf(serial, sizeof(serial), "%llu", (unsigned long long)facts.serial);
	put(sink, "pkinit.signer.subject", facts.subject, KRB_FIELD_FACT);
	put(sink, "pkinit.signer.issuer", facts.issuer, KRB_FIELD_FACT);
	put(sink, "pkinit.signer.serial", serial, KRB_FIELD_FACT);
}

static void put_pkinit_request(const struct sink *sink, const KRB_TYPED *padata)
{
	struct pkinit_signed read;
	PKINIT_AS_REQ *request = padata ? KRB_DECODE(PKINIT_AS_REQ, ASN1_STRING_get0_data(padata->value),
	                                             (size_t)ASN1_STRING_length(padata->value)) : NULL;
	if (request && pkinit_signed_read(NULL, ASN1_STRING_get0_data(request->signed_auth_pack),
	                                  (size_t)ASN1_STRING_length(request->signed_auth_pack), &read)) {
		put_auth_pack(sink, &read);
		put_signer(sink, &read);
		pkinit_signed_free(&read);
	}
	KRB_FREE(PKINIT_AS_REQ, request);
}

static void put_pkinit_reply(const struct sink *sink, const KRB_TYPED *padata)
{
	struct pkinit_signed read;
	PKINIT_AS_REP *reply = padata ? KRB_DECODE(PKINIT_AS_REP, ASN1_STRING_get0_data(padata->value),
	                                           (size_t)ASN1_STRING_length(padata->value)) : NULL;
	if (reply && reply->which == 1) {
		put(sink, "pkinit.mode", "rsa", KRB_FIELD_FACT);
		put_number(sink, "pkinit.enc-key-pack-bytes", ASN1_STRING_length(reply->d.enc_key_pack),
		           KRB_FIELD_FACT);
	} else if (reply) {
		const ASN1_OCTET_STRING *signed_data = reply->d.dh_info->signed_data;
		put(sink, "pkinit.mode", "dh", KRB_FIELD_FACT);
		if (pkinit_signed_read(NULL, ASN1_STRING_get0_data(signed_data),
		                       (size_t)ASN1_STRING_length(signed_data), &read)) {
			put_signer(sink, &read);
			pkinit_signed_free(&read);
		}
	}
	KRB_FREE(PKINIT_AS_REP, reply);
}

/* Messages */

static bool describe_as_req(const struct sink *sink, const uint8_t *bytes, size_t len)
{
	KRB_KDC_REQ *request = KRB_DECODE(KRB_AS_REQUEST, bytes, len);
	if (!request)
		return false;
	const KRB_KDC_REQ_BODY *body = request->body;
	put_principal(sink, "cname", body->cname, body->realm);
	put_principal(sink, "sname", body->sname, body->realm);
	put_string(sink, "realm", body->realm, KRB_FIELD_FACT);
	if (body->from)
		put_time(sink, "from", body->from);
	put_time(sink, "till", body->till);
	put_number(sink, "nonce", body->nonce, KRB_FIELD_RANDOM);
	put_etypes(sink, body->etypes);
	put_padata(sink, request->padata);
	put_pkinit_request(sink, krb_find_typed(request->padata, KRB_PA_PK_AS_REQ));
	KRB_FREE(KRB_AS_REQUEST, request);
	return true;
}

static bool describe_as_rep(const struct sink *sink, const uint8_t *bytes, size_t len)
{
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, bytes, len);
	if (!rep)
		return false;
	put_principal(sink, "cname", rep->cname, rep->crealm);
	put_ticket(sink, rep->ticket);
	put_sealed(sink, "enc-part", rep->enc_part);
	put_padata(sink, rep->padata);
	put_pkinit_reply(sink, krb_find_typed(rep->padata, KRB_PA_PK_AS_REP));
	KRB_FREE(KRB_AS_REPLY, rep);
	return true;
}

static bool describe_ap_req(const struct sink *sink, const uint8_t *bytes, size_t len)
{
	KRB_AP_REQ_MSG *request = KRB_DECODE(KRB_AP_REQ_MSG, bytes, len);
	if (!request)
		return false;
	put_ticket(sink, request->ticket);
	put_sealed(sink, "authenticator", request->authenticator);
	KRB_FREE(KRB_AP_REQ_MSG, request);
	return true;
}

static bool describe_ap_rep(const struct sink *sink, const uint8_t *bytes, size_t len)
{
	KRB_AP_REP_MSG *rep = KRB_DECODE(KRB_AP_REP_MSG, bytes, len);
	if (!rep)
		return false;
	put_sealed(sink, "enc-part", rep->enc_part);
	KRB_FREE(KRB_AP_REP_MSG, rep);
	return true;
}

static bool describe_error(const struct sink *sink, const uint8_t *bytes, size_t len)
{
	KRB_ERROR_MSG *error = KRB_DECODE(KRB_ERROR_MSG, bytes, len);
	if (!error)
		return false;
	put(sink, "error-code", krb_error_name(error->error_code), KRB_FIELD_FACT);
	put_time(sink, "stime", error->stime);
	put_principal(sink, "sname", error->sname, error->realm);
	put_string(sink, "e-text", error->e_text, KRB_FIELD_FACT);
	if (error->e_data)
		put_number(sink, "e-data.bytes", ASN1_STRING_length(error->e_data), KRB_FIELD_FACT);
	KRB_FREE(KRB_ERROR_MSG, error);
	return true;
}

void krb_describe(const uint8_t *bytes, size_t len,
                  void (*field)(void *ctx, const char *path, const char *value, enum krb_field class_), void *ctx)
{
	static const struct message {
		enum krb_type type;
		const char *name;
		bool (*describe)(const struct sink *sink, const uint8_t *bytes, size_t len);
	} messages[] = {
		{ KRB_AS_REQ, "AS-REQ", describe_as_req }, { KRB_AS_REP, "AS-REP", describe_as_rep },
		{ KRB_AP_REQ, "AP-REQ", describe_ap_req }, { KRB_AP_REP, "AP-REP", describe_ap_rep },
		{ KRB_ERROR, "KRB-ERROR", describe_error },
	};
	const struct sink sink = { field, ctx };
	enum krb_type type = krb_type(bytes, len);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (messages[i].type != type)
			continue;
		put(&sink, "msg-type", messages[i].name, KRB_FIELD_FACT);
		if (!messages[i].describe(&sink, bytes, len))
			put(&sink, "malformed", "yes", KRB_FIELD_FACT);
		ERR_clear_error(); /* of numbers out of range, keys nobody knows */
		return;
	}
}

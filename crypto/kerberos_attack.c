/*
 * Alterations of Kerberos messages by one who holds no key (kerberos_attack.h).
 *
 * They decode with the templates, change one thing, and encode: what then stops or passes the message is the check
 * under test, and never a malformed byte.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/kerberos_attack.h"
#include "crypto/pkinit_cms.h"

bool krb_attack_take_ticket(const uint8_t *ap_req, size_t len, struct der *ticket, struct krb_name *server)
{
	KRB_AP_REQ_MSG *request = KRB_DECODE(KRB_AP_REQ_MSG, ap_req, len);
	bool ok = request && krb_get_name(request->ticket->sname, request->ticket->realm, server) &&
	          KRB_ENCODE(KRB_TICKET, request->ticket, ticket);
	KRB_FREE(KRB_AP_REQ_MSG, request);
	return ok;
}

bool krb_attack_rename_server(const uint8_t *as_rep, size_t len, const struct krb_name *server, struct der *out)
{
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, as_rep, len);
	if (!rep)
		return false;
	krb_put_name(&rep->ticket->sname, &rep->ticket->realm, server);
	bool ok = KRB_ENCODE(KRB_AS_REPLY, rep, out);
	KRB_FREE(KRB_AS_REPLY, rep);
	return ok;
}

/* Where the flags octet stands in the plain ticket part; 0: nowhere. *plain_len receives that part's length. */
static size_t flag_offset(const struct krb_ticket_facts *known, size_t *plain_len)
{
	static const uint8_t zero_key[KRB_KEY_LEN];
	/* [0] { OCTET STRING of KRB_PROFILE_DEVICE_LEN }, the start of a TicketProfile's content */
	static const uint8_t head[] = { 0xa0, KRB_PROFILE_DEVICE_LEN + 2, 0x04, KRB_PROFILE_DEVICE_LEN };
	KRB_ENC_TICKET_PART *part = krb_ticket_part(known, zero_key);
	struct der der = { 0 };
	size_t at = 0;
	if (part && KRB_ENCODE(KRB_ENC_TICKET_PART, part, &der)) {
		/* the last one: the profile is the last thing in the part, and a name could hold the same octets */
		for (size_t i = 0; i + sizeof(head) + KRB_PROFILE_DEVICE_LEN <= der.len; i++) {
			if (memcmp(der.bytes + i, head, sizeof(head)) == 0)
				at = i + sizeof(head) + KRB_PROFILE_MAC_LEN;
		}
		*plain_len = der.len;
	}
	der_free(&der);
	KRB_FREE(KRB_ENC_TICKET_PART, part);
	return at;
}

bool krb_attack_lift_restriction(const struct krb_ticket_facts *known, struct der *ticket)
{
	size_t plain_len = 0, flag = known->restricted ? flag_offset(known, &plain_len) : 0;
	KRB_TICKET *opened = flag ? KRB_DECODE(KRB_TICKET, ticket->bytes, ticket->len) : NULL;
	struct der altered = { 0 };
	bool ok = opened && (size_t)ASN1_STRING_length(opened->enc_part->cipher) == krb_sealed_len(plain_len);
	if (ok) {
		/* In CBC a bit of block n - 1 flips the same bit of plain block n; the confounder shifts the text by
		 * one block, so the offsets meet. */
		opened->enc_part->cipher->data[flag] ^= KRB_PROFILE_RESTRICTED;
		ok = KRB_ENCODE(KRB_TICKET, opened, &altered);
	}
	if (ok) {
		der_free(ticket);
		*ticket = altered;
	}
	KRB_FREE(KRB_TICKET, opened);
	return ok;
}

/* Puts the AuthPack without its public value into the SignedData; nothing is signed again. */
static bool replace_content(struct krb_as_inside *inside, PKINIT_AS_REQ *padata)
{
	struct der pack = { 0 };
	unsigned char *bytes = NULL;
	PKINIT_SPKI **value =
		inside->auth_pack ? &inside->auth_pack->client_public_value : &inside->draft->client_public_value;
	ASN1_OCTET_STRING **content = CMS_get0_content(inside->cms);
	KRB_FREE(PKINIT_SPKI, *value);
	*value = NULL;
	bool ok = inside->auth_pack ? KRB_ENCODE(PKINIT_AUTH_PACK, inside->auth_pack, &pack) :
	                              KRB_ENCODE(PKINIT_DRAFT_AUTH_PACK, inside->draft, &pack);
	ok = ok && content && *content && ASN1_STRING_set(*content, pack.bytes, (int)pack.len);
	int len = ok ? i2d_CMS_ContentInfo(inside->cms, &bytes) : 0;
	if (len > 0)
		krb_put_octets(&padata->signed_auth_pack, bytes, (size_t)len);
	OPENSSL_free(bytes);
	der_free(&pack);
	return len > 0;
}

bool krb_attack_strip_dh(struct crypto *crypto, const uint8_t *as_req, size_t len, struct der *out)
{
	struct krb_as_facts facts;
	struct der der = { 0 };
	if (!krb_as_parse(crypto, as_req, len, &facts))
		return false;
	struct krb_as_inside *inside = facts.inside;
	KRB_TYPED *typed = (KRB_TYPED *)krb_find_typed(inside->request->padata, KRB_PA_PK_AS_REQ);
	PKINIT_AS_REQ *padata = facts.wants_dh ? KRB_DECODE(PKINIT_AS_REQ, ASN1_STRING_get0_data(typed->value),
	                                                    (size_t)ASN1_STRING_length(typed->value)) : NULL;
	bool ok = padata && replace_content(inside, padata) && KRB_ENCODE(PKINIT_AS_REQ, padata, &der);
	if (ok) {
		krb_put_octets(&typed->value, der.bytes, der.len);
		ok = KRB_ENCODE(KRB_AS_REQUEST, inside->request, out);
	}
	der_free(&der);
	KRB_FREE(PKINIT_AS_REQ, padata);
	krb_as_facts_free(&facts);
	return ok;
}

/* EnvelopedData (RFC 5652 section 6.1) as PKINIT's KDC makes it: key transport only, down to the two strings of
 * interest. */
typedef struct {
	int32_t version;
	ASN1_TYPE *recipient;
	X509_ALGOR *algorithm;
	ASN1_OCTET_STRING *key;
} SPOIL_RECIPIENT;
DEFINE_STACK_OF(SPOIL_RECIPIENT)
typedef struct {
	ASN1_OBJECT *type;
	X509_ALGOR *algorithm;
	ASN1_OCTET_STRING *cipher;
} SPOIL_CONTENT;
typedef struct {
	int32_t version;
	STACK_OF(SPOIL_RECIPIENT) *recipients;
	SPOIL_CONTENT *content;
} SPOIL_ENVELOPE;
typedef struct {
	ASN1_OBJECT *type;
	SPOIL_ENVELOPE *envelope;
} SPOIL_INFO;

ASN1_SEQUENCE(SPOIL_RECIPIENT) = {
	ASN1_EMBED(SPOIL_RECIPIENT, version, INT32),
	ASN1_SIMPLE(SPOIL_RECIPIENT, recipient, ASN1_ANY),
	ASN1_SIMPLE(SPOIL_RECIPIENT, algorithm, X509_ALGOR),
	ASN1_SIMPLE(SPOIL_RECIPIENT, key, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(SPOIL_RECIPIENT)

ASN1_SEQUENCE(SPOIL_CONTENT) = {
	ASN1_SIMPLE(SPOIL_CONTENT, type, ASN1_OBJECT),
	ASN1_SIMPLE(SPOIL_CONTENT, algorithm, X509_ALGOR),
	ASN1_IMP(SPOIL_CONTENT, cipher, ASN1_OCTET_STRING, 0),
} static_ASN1_SEQUENCE_END(SPOIL_CONTENT)

ASN1_SEQUENCE(SPOIL_ENVELOPE) = {
	ASN1_EMBED(SPOIL_ENVELOPE, version, INT32),
	ASN1_SET_OF(SPOIL_ENVELOPE, recipients, SPOIL_RECIPIENT),
	ASN1_SIMPLE(SPOIL_ENVELOPE, content, SPOIL_CONTENT),
} static_ASN1_SEQUENCE_END(SPOIL_ENVELOPE)

ASN1_SEQUENCE(SPOIL_INFO) = {
	ASN1_SIMPLE(SPOIL_INFO, type, ASN1_OBJECT),
	ASN1_EXP(SPOIL_INFO, envelope, SPOIL_ENVELOPE, 0),
} static_ASN1_SEQUENCE_END(SPOIL_INFO)

static bool spoil(ASN1_OCTET_STRING *pack, enum krb_attack_spoil what)
{
	struct der der = { 0 };
	SPOIL_INFO *info = KRB_DECODE(SPOIL_INFO, ASN1_STRING_get0_data(pack), (size_t)ASN1_STRING_length(pack));
	ASN1_OCTET_STRING *target = NULL;
	if (info && what == KRB_ATTACK_SPOIL_CONTENT)
		target = info->envelope->content->cipher;
	else if (info && sk_SPOIL_RECIPIENT_num(info->envelope->recipients) > 0)
		target = sk_SPOIL_RECIPIENT_value(info->envelope->recipients, 0)->key;
	bool ok = target && ASN1_STRING_length(target) > 0;
	if (ok) {
		/* The cipher's first byte keeps its last block, and so its padding, whole; a key's last byte keeps it
		 * below the modulus. */
		target->data[what == KRB_ATTACK_SPOIL_CONTENT ? 0 : target->length - 1] ^= 0x01;
		ok = KRB_ENCODE(SPOIL_INFO, info, &der);
	}
	if (ok)
		krb_put_octets(&pack, der.bytes, der.len);
	der_free(&der);
	KRB_FREE(SPOIL_INFO, info);
	return ok;
}

bool krb_attack_spoil_envelope(const uint8_t *as_rep, size_t len, enum krb_attack_spoil what, struct der *out)
{
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, as_rep, len);
	KRB_TYPED *typed = rep ? (KRB_TYPED *)krb_find_typed(rep->padata, KRB_PA_PK_AS_REP) : NULL;
	PKINIT_AS_REP *padata = typed ? KRB_DECODE(PKINIT_AS_REP, ASN1_STRING_get0_data(typed->value),
	                                           (size_t)ASN1_STRING_length(typed->value)) : NULL;
	struct der der = { 0 };
	bool ok = padata && padata->which == 1 && spoil(padata->d.enc_key_pack, what) &&
	          KRB_ENCODE(PKINIT_AS_REP, padata, &der);
	if (ok) {
		krb_put_octets(&typed->value, der.bytes, der.len);
		ok = KRB_ENCODE(KRB_AS_REPLY, rep, out);
	}
	der_free(&der);
	KRB_FREE(PKINIT_AS_REP, padata);
	KRB_FREE(KRB_AS_REPLY, rep);
	return ok;
}

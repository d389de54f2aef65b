/*
 * Templates of the Kerberos and PKINIT types and access to their fields (kerberos_asn1.h; RFC 4120, RFC 4556).
 *
 * Nothing here knows a key's meaning or a protocol's order: values in, DER out, and back.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include "crypto/kerberos_asn1.h"

#define APPLICATION(n, NAME, TYPE) \
	ASN1_ITEM_TEMPLATE(NAME) = ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_EXPTAG | ASN1_TFLG_APPLICATION, n, NAME, TYPE) \
	ASN1_ITEM_TEMPLATE_END(NAME)

ASN1_SEQUENCE(KRB_PRINCIPAL) = {
	ASN1_EXP_EMBED(KRB_PRINCIPAL, type, INT32, 0),
	ASN1_EXP_SEQUENCE_OF(KRB_PRINCIPAL, parts, ASN1_GENERALSTRING, 1),
} ASN1_SEQUENCE_END(KRB_PRINCIPAL)

ASN1_SEQUENCE(KRB_SEALED) = {
	ASN1_EXP_EMBED(KRB_SEALED, etype, INT32, 0),
	ASN1_EXP_OPT(KRB_SEALED, kvno, ASN1_INTEGER, 1),
	ASN1_EXP(KRB_SEALED, cipher, ASN1_OCTET_STRING, 2),
} ASN1_SEQUENCE_END(KRB_SEALED)

/* EncryptionKey, Checksum, HostAddress, TransitedEncoding, AuthorizationData's element. */
ASN1_SEQUENCE(KRB_TYPED) = {
	ASN1_EXP_EMBED(KRB_TYPED, type, INT32, 0),
	ASN1_EXP(KRB_TYPED, value, ASN1_OCTET_STRING, 1),
} ASN1_SEQUENCE_END(KRB_TYPED)

/* PA-DATA counts from 1. */
typedef KRB_TYPED KRB_PA_DATA;
ASN1_SEQUENCE(KRB_PA_DATA) = {
	ASN1_EXP_EMBED(KRB_PA_DATA, type, INT32, 1),
	ASN1_EXP(KRB_PA_DATA, value, ASN1_OCTET_STRING, 2),
} ASN1_SEQUENCE_END(KRB_PA_DATA)

ASN1_ITEM_TEMPLATE(KRB_METHOD_DATA) = ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SEQUENCE_OF, 0, KRB_METHOD_DATA, KRB_PA_DATA)
ASN1_ITEM_TEMPLATE_END(KRB_METHOD_DATA)

typedef KRB_TICKET KRB_TICKET_SEQUENCE;
ASN1_SEQUENCE(KRB_TICKET_SEQUENCE) = {
	ASN1_EXP_EMBED(KRB_TICKET, vno, INT32, 0),
	ASN1_EXP(KRB_TICKET, realm, ASN1_GENERALSTRING, 1),
	ASN1_EXP(KRB_TICKET, sname, KRB_PRINCIPAL, 2),
	ASN1_EXP(KRB_TICKET, enc_part, KRB_SEALED, 3),
} static_ASN1_SEQUENCE_END(KRB_TICKET_SEQUENCE)
APPLICATION(1, KRB_TICKET, KRB_TICKET_SEQUENCE)

ASN1_SEQUENCE_enc(KRB_KDC_REQ_BODY, enc, 0) = {
	ASN1_EXP(KRB_KDC_REQ_BODY, options, ASN1_BIT_STRING, 0),
	ASN1_EXP_OPT(KRB_KDC_REQ_BODY, cname, KRB_PRINCIPAL, 1),
	ASN1_EXP(KRB_KDC_REQ_BODY, realm, ASN1_GENERALSTRING, 2),
	ASN1_EXP_OPT(KRB_KDC_REQ_BODY, sname, KRB_PRINCIPAL, 3),
	ASN1_EXP_OPT(KRB_KDC_REQ_BODY, from, ASN1_GENERALIZEDTIME, 4),
	ASN1_EXP(KRB_KDC_REQ_BODY, till, ASN1_GENERALIZEDTIME, 5),
	ASN1_EXP_OPT(KRB_KDC_REQ_BODY, rtime, ASN1_GENERALIZEDTIME, 6),
	ASN1_EXP_EMBED(KRB_KDC_REQ_BODY, nonce, UINT32, 7),
	ASN1_EXP_SEQUENCE_OF(KRB_KDC_REQ_BODY, etypes, ASN1_INTEGER, 8),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_KDC_REQ_BODY, addresses, KRB_TYPED, 9),
	ASN1_EXP_OPT(KRB_KDC_REQ_BODY, enc_authorization_data, KRB_SEALED, 10),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_KDC_REQ_BODY, additional_tickets, KRB_TICKET, 11),
} ASN1_SEQUENCE_END_enc(KRB_KDC_REQ_BODY, KRB_KDC_REQ_BODY)

ASN1_SEQUENCE(KRB_KDC_REQ) = {
	ASN1_EXP_EMBED(KRB_KDC_REQ, pvno, INT32, 1),
	ASN1_EXP_EMBED(KRB_KDC_REQ, msg_type, INT32, 2),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_KDC_REQ, padata, KRB_PA_DATA, 3),
	ASN1_EXP(KRB_KDC_REQ, body, KRB_KDC_REQ_BODY, 4),
} static_ASN1_SEQUENCE_END(KRB_KDC_REQ)
APPLICATION(10, KRB_AS_REQUEST, KRB_KDC_REQ)

ASN1_SEQUENCE(KRB_KDC_REP) = {
	ASN1_EXP_EMBED(KRB_KDC_REP, pvno, INT32, 0),
	ASN1_EXP_EMBED(KRB_KDC_REP, msg_type, INT32, 1),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_KDC_REP, padata, KRB_PA_DATA, 2),
	ASN1_EXP(KRB_KDC_REP, crealm, ASN1_GENERALSTRING, 3),
	ASN1_EXP(KRB_KDC_REP, cname, KRB_PRINCIPAL, 4),
	ASN1_EXP(KRB_KDC_REP, ticket, KRB_TICKET, 5),
	ASN1_EXP(KRB_KDC_REP, enc_part, KRB_SEALED, 6),
} static_ASN1_SEQUENCE_END(KRB_KDC_REP)
APPLICATION(11, KRB_AS_REPLY, KRB_KDC_REP)

ASN1_SEQUENCE(KRB_LAST_REQ) = {
	ASN1_EXP_EMBED(KRB_LAST_REQ, type, INT32, 0),
	ASN1_EXP(KRB_LAST_REQ, value, ASN1_GENERALIZEDTIME, 1),
} ASN1_SEQUENCE_END(KRB_LAST_REQ)

ASN1_SEQUENCE(KRB_ENC_REP_PART) = {
	ASN1_EXP(KRB_ENC_REP_PART, key, KRB_TYPED, 0),
	ASN1_EXP_SEQUENCE_OF(KRB_ENC_REP_PART, last_req, KRB_LAST_REQ, 1),
	ASN1_EXP_EMBED(KRB_ENC_REP_PART, nonce, UINT32, 2),
	ASN1_EXP_OPT(KRB_ENC_REP_PART, key_expiration, ASN1_GENERALIZEDTIME, 3),
	ASN1_EXP(KRB_ENC_REP_PART, flags, ASN1_BIT_STRING, 4),
	ASN1_EXP(KRB_ENC_REP_PART, authtime, ASN1_GENERALIZEDTIME, 5),
	ASN1_EXP_OPT(KRB_ENC_REP_PART, starttime, ASN1_GENERALIZEDTIME, 6),
	ASN1_EXP(KRB_ENC_REP_PART, endtime, ASN1_GENERALIZEDTIME, 7),
	ASN1_EXP_OPT(KRB_ENC_REP_PART, renew_till, ASN1_GENERALIZEDTIME, 8),
	ASN1_EXP(KRB_ENC_REP_PART, srealm, ASN1_GENERALSTRING, 9),
	ASN1_EXP(KRB_ENC_REP_PART, sname, KRB_PRINCIPAL, 10),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_ENC_REP_PART, caddr, KRB_TYPED, 11),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_ENC_REP_PART, encrypted_pa_data, KRB_PA_DATA, 12), /* RFC 6806 section 11 */
} static_ASN1_SEQUENCE_END(KRB_ENC_REP_PART)
APPLICATION(25, KRB_ENC_AS_REP_PART, KRB_ENC_REP_PART)
APPLICATION(26, KRB_ENC_TGS_REP_PART, KRB_ENC_REP_PART)

typedef KRB_ENC_TICKET_PART KRB_ENC_TICKET_SEQUENCE;
ASN1_SEQUENCE(KRB_ENC_TICKET_SEQUENCE) = {
	ASN1_EXP(KRB_ENC_TICKET_PART, flags, ASN1_BIT_STRING, 0),
	ASN1_EXP(KRB_ENC_TICKET_PART, key, KRB_TYPED, 1),
	ASN1_EXP(KRB_ENC_TICKET_PART, crealm, ASN1_GENERALSTRING, 2),
	ASN1_EXP(KRB_ENC_TICKET_PART, cname, KRB_PRINCIPAL, 3),
	ASN1_EXP(KRB_ENC_TICKET_PART, transited, KRB_TYPED, 4),
	ASN1_EXP(KRB_ENC_TICKET_PART, authtime, ASN1_GENERALIZEDTIME, 5),
	ASN1_EXP_OPT(KRB_ENC_TICKET_PART, starttime, ASN1_GENERALIZEDTIME, 6),
	ASN1_EXP(KRB_ENC_TICKET_PART, endtime, ASN1_GENERALIZEDTIME, 7),
	ASN1_EXP_OPT(KRB_ENC_TICKET_PART, renew_till, ASN1_GENERALIZEDTIME, 8),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_ENC_TICKET_PART, caddr, KRB_TYPED, 9),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_ENC_TICKET_PART, authorization_data, KRB_TYPED, 10),
} static_ASN1_SEQUENCE_END(KRB_ENC_TICKET_SEQUENCE)
APPLICATION(3, KRB_ENC_TICKET_PART, KRB_ENC_TICKET_SEQUENCE)

typedef KRB_AP_REQ_MSG KRB_AP_REQ_SEQUENCE;
ASN1_SEQUENCE(KRB_AP_REQ_SEQUENCE) = {
	ASN1_EXP_EMBED(KRB_AP_REQ_MSG, pvno, INT32, 0),
	ASN1_EXP_EMBED(KRB_AP_REQ_MSG, msg_type, INT32, 1),
	ASN1_EXP(KRB_AP_REQ_MSG, options, ASN1_BIT_STRING, 2),
	ASN1_EXP(KRB_AP_REQ_MSG, ticket, KRB_TICKET, 3),
	ASN1_EXP(KRB_AP_REQ_MSG, authenticator, KRB_SEALED, 4),
} static_ASN1_SEQUENCE_END(KRB_AP_REQ_SEQUENCE)
APPLICATION(14, KRB_AP_REQ_MSG, KRB_AP_REQ_SEQUENCE)

typedef KRB_AUTHENTICATOR KRB_AUTHENTICATOR_SEQUENCE;
ASN1_SEQUENCE(KRB_AUTHENTICATOR_SEQUENCE) = {
	ASN1_EXP_EMBED(KRB_AUTHENTICATOR, vno, INT32, 0),
	ASN1_EXP(KRB_AUTHENTICATOR, crealm, ASN1_GENERALSTRING, 1),
	ASN1_EXP(KRB_AUTHENTICATOR, cname, KRB_PRINCIPAL, 2),
	ASN1_EXP_OPT(KRB_AUTHENTICATOR, cksum, KRB_TYPED, 3),
	ASN1_EXP_EMBED(KRB_AUTHENTICATOR, cusec, INT32, 4),
	ASN1_EXP(KRB_AUTHENTICATOR, ctime, ASN1_GENERALIZEDTIME, 5),
	ASN1_EXP_OPT(KRB_AUTHENTICATOR, subkey, KRB_TYPED, 6),
	ASN1_EXP_OPT(KRB_AUTHENTICATOR, seq_number, ASN1_INTEGER, 7),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_AUTHENTICATOR, authorization_data, KRB_TYPED, 8),
} static_ASN1_SEQUENCE_END(KRB_AUTHENTICATOR_SEQUENCE)
APPLICATION(2, KRB_AUTHENTICATOR, KRB_AUTHENTICATOR_SEQUENCE)

typedef KRB_AP_REP_MSG KRB_AP_REP_SEQUENCE;
ASN1_SEQUENCE(KRB_AP_REP_SEQUENCE) = {
	ASN1_EXP_EMBED(KRB_AP_REP_MSG, pvno, INT32, 0),
	ASN1_EXP_EMBED(KRB_AP_REP_MSG, msg_type, INT32, 1),
	ASN1_EXP(KRB_AP_REP_MSG, enc_part, KRB_SEALED, 2),
} static_ASN1_SEQUENCE_END(KRB_AP_REP_SEQUENCE)
APPLICATION(15, KRB_AP_REP_MSG, KRB_AP_REP_SEQUENCE)

typedef KRB_ENC_AP_REP_PART KRB_ENC_AP_REP_SEQUENCE;
ASN1_SEQUENCE(KRB_ENC_AP_REP_SEQUENCE) = {
	ASN1_EXP(KRB_ENC_AP_REP_PART, ctime, ASN1_GENERALIZEDTIME, 0),
	ASN1_EXP_EMBED(KRB_ENC_AP_REP_PART, cusec, INT32, 1),
	ASN1_EXP_OPT(KRB_ENC_AP_REP_PART, subkey, KRB_TYPED, 2),
	ASN1_EXP_OPT(KRB_ENC_AP_REP_PART, seq_number, ASN1_INTEGER, 3),
} static_ASN1_SEQUENCE_END(KRB_ENC_AP_REP_SEQUENCE)
APPLICATION(27, KRB_ENC_AP_REP_PART, KRB_ENC_AP_REP_SEQUENCE)

typedef KRB_ERROR_MSG KRB_ERROR_SEQUENCE;
ASN1_SEQUENCE(KRB_ERROR_SEQUENCE) = {
	ASN1_EXP_EMBED(KRB_ERROR_MSG, pvno, INT32, 0),
	ASN1_EXP_EMBED(KRB_ERROR_MSG, msg_type, INT32, 1),
	ASN1_EXP_OPT(KRB_ERROR_MSG, ctime, ASN1_GENERALIZEDTIME, 2),
	ASN1_EXP_OPT(KRB_ERROR_MSG, cusec, ASN1_INTEGER, 3),
	ASN1_EXP(KRB_ERROR_MSG, stime, ASN1_GENERALIZEDTIME, 4),
	ASN1_EXP_EMBED(KRB_ERROR_MSG, susec, INT32, 5),
	ASN1_EXP_EMBED(KRB_ERROR_MSG, error_code, INT32, 6),
	ASN1_EXP_OPT(KRB_ERROR_MSG, crealm, ASN1_GENERALSTRING, 7),
	ASN1_EXP_OPT(KRB_ERROR_MSG, cname, KRB_PRINCIPAL, 8),
	ASN1_EXP(KRB_ERROR_MSG, realm, ASN1_GENERALSTRING, 9),
	ASN1_EXP(KRB_ERROR_MSG, sname, KRB_PRINCIPAL, 10),
	ASN1_EXP_OPT(KRB_ERROR_MSG, e_text, ASN1_GENERALSTRING, 11),
	ASN1_EXP_OPT(KRB_ERROR_MSG, e_data, ASN1_OCTET_STRING, 12),
} static_ASN1_SEQUENCE_END(KRB_ERROR_SEQUENCE)
APPLICATION(30, KRB_ERROR_MSG, KRB_ERROR_SEQUENCE)

ASN1_SEQUENCE(KRB_PA_TIMESTAMP) = {
	ASN1_EXP(KRB_PA_TIMESTAMP, time, ASN1_GENERALIZEDTIME, 0),
	ASN1_EXP_OPT(KRB_PA_TIMESTAMP, usec, ASN1_INTEGER, 1),
} ASN1_SEQUENCE_END(KRB_PA_TIMESTAMP)

ASN1_SEQUENCE(KRB_TICKET_PROFILE) = {
	ASN1_EXP(KRB_TICKET_PROFILE, device, ASN1_OCTET_STRING, 0),
	ASN1_EXP_SEQUENCE_OF_OPT(KRB_TICKET_PROFILE, numbers, ASN1_IA5STRING, 1),
} ASN1_SEQUENCE_END(KRB_TICKET_PROFILE)

ASN1_SEQUENCE(PKINIT_CERTIFIER) = {
	ASN1_IMP_OPT(PKINIT_CERTIFIER, subject_name, ASN1_OCTET_STRING, 0),
	ASN1_IMP_OPT(PKINIT_CERTIFIER, issuer_and_serial, ASN1_OCTET_STRING, 1),
	ASN1_IMP_OPT(PKINIT_CERTIFIER, subject_key_id, ASN1_OCTET_STRING, 2),
} ASN1_SEQUENCE_END(PKINIT_CERTIFIER)

ASN1_SEQUENCE(PKINIT_AS_REQ) = {
	ASN1_IMP(PKINIT_AS_REQ, signed_auth_pack, ASN1_OCTET_STRING, 0),
	ASN1_EXP_SEQUENCE_OF_OPT(PKINIT_AS_REQ, trusted_certifiers, PKINIT_CERTIFIER, 1),
	ASN1_IMP_OPT(PKINIT_AS_REQ, kdc_pk_id, ASN1_OCTET_STRING, 2),
} ASN1_SEQUENCE_END(PKINIT_AS_REQ)

ASN1_SEQUENCE(PKINIT_AUTHENTICATOR) = {
	ASN1_EXP_EMBED(PKINIT_AUTHENTICATOR, cusec, INT32, 0),
	ASN1_EXP(PKINIT_AUTHENTICATOR, ctime, ASN1_GENERALIZEDTIME, 1),
	ASN1_EXP_EMBED(PKINIT_AUTHENTICATOR, nonce, UINT32, 2),
	ASN1_EXP_OPT(PKINIT_AUTHENTICATOR, pa_checksum, ASN1_OCTET_STRING, 3),
	ASN1_EXP_OPT(PKINIT_AUTHENTICATOR, freshness_token, ASN1_OCTET_STRING, 4), /* RFC 8070 */
} static_ASN1_SEQUENCE_END(PKINIT_AUTHENTICATOR)

ASN1_SEQUENCE(PKINIT_DH_DOMAIN) = {
	ASN1_SIMPLE(PKINIT_DH_DOMAIN, p, ASN1_INTEGER),
	ASN1_SIMPLE(PKINIT_DH_DOMAIN, g, ASN1_INTEGER),
	ASN1_SIMPLE(PKINIT_DH_DOMAIN, q, ASN1_INTEGER),
	ASN1_OPT(PKINIT_DH_DOMAIN, j, ASN1_INTEGER),
	ASN1_OPT(PKINIT_DH_DOMAIN, validation, ASN1_ANY),
} ASN1_SEQUENCE_END(PKINIT_DH_DOMAIN)

ASN1_SEQUENCE(PKINIT_SPKI) = {
	ASN1_SIMPLE(PKINIT_SPKI, algorithm, X509_ALGOR),
	ASN1_SIMPLE(PKINIT_SPKI, key, ASN1_BIT_STRING),
} ASN1_SEQUENCE_END(PKINIT_SPKI)

ASN1_SEQUENCE(PKINIT_KDF_ID) = { /* RFC 8636 */
	ASN1_EXP(PKINIT_KDF_ID, id, ASN1_OBJECT, 0),
} static_ASN1_SEQUENCE_END(PKINIT_KDF_ID)

ASN1_SEQUENCE(PKINIT_AUTH_PACK) = {
	ASN1_EXP(PKINIT_AUTH_PACK, authenticator, PKINIT_AUTHENTICATOR, 0),
	ASN1_EXP_OPT(PKINIT_AUTH_PACK, client_public_value, PKINIT_SPKI, 1),
	ASN1_EXP_SEQUENCE_OF_OPT(PKINIT_AUTH_PACK, cms_types, X509_ALGOR, 2),
	ASN1_EXP_OPT(PKINIT_AUTH_PACK, client_dh_nonce, ASN1_OCTET_STRING, 3),
	ASN1_EXP_SEQUENCE_OF_OPT(PKINIT_AUTH_PACK, kdfs, PKINIT_KDF_ID, 4),
} ASN1_SEQUENCE_END(PKINIT_AUTH_PACK)

ASN1_SEQUENCE(PKINIT_DRAFT_AUTHENTICATOR) = {
	ASN1_EXP(PKINIT_DRAFT_AUTHENTICATOR, kdc_name, KRB_PRINCIPAL, 0),
	ASN1_EXP(PKINIT_DRAFT_AUTHENTICATOR, kdc_realm, ASN1_GENERALSTRING, 1),
	ASN1_EXP_EMBED(PKINIT_DRAFT_AUTHENTICATOR, cusec, INT32, 2),
	ASN1_EXP(PKINIT_DRAFT_AUTHENTICATOR, ctime, ASN1_GENERALIZEDTIME, 3),
	ASN1_EXP_EMBED(PKINIT_DRAFT_AUTHENTICATOR, nonce, UINT32, 4),
} static_ASN1_SEQUENCE_END(PKINIT_DRAFT_AUTHENTICATOR)

ASN1_SEQUENCE(PKINIT_DRAFT_AUTH_PACK) = {
	ASN1_EXP(PKINIT_DRAFT_AUTH_PACK, authenticator, PKINIT_DRAFT_AUTHENTICATOR, 0),
	ASN1_EXP_OPT(PKINIT_DRAFT_AUTH_PACK, client_public_value, PKINIT_SPKI, 1),
} ASN1_SEQUENCE_END(PKINIT_DRAFT_AUTH_PACK)

ASN1_SEQUENCE(PKINIT_DH_REP_INFO) = {
	ASN1_IMP(PKINIT_DH_REP_INFO, signed_data, ASN1_OCTET_STRING, 0),
	ASN1_EXP_OPT(PKINIT_DH_REP_INFO, server_dh_nonce, ASN1_OCTET_STRING, 1),
	ASN1_EXP_OPT(PKINIT_DH_REP_INFO, kdf, PKINIT_KDF_ID, 2),
} ASN1_SEQUENCE_END(PKINIT_DH_REP_INFO)

ASN1_CHOICE(PKINIT_AS_REP) = {
	ASN1_EXP(PKINIT_AS_REP, d.dh_info, PKINIT_DH_REP_INFO, 0),
	ASN1_IMP(PKINIT_AS_REP, d.enc_key_pack, ASN1_OCTET_STRING, 1),
} ASN1_CHOICE_END_selector(PKINIT_AS_REP, PKINIT_AS_REP, which)

ASN1_SEQUENCE(PKINIT_DH_KEY_INFO) = {
	ASN1_EXP(PKINIT_DH_KEY_INFO, public_key, ASN1_BIT_STRING, 0),
	ASN1_EXP_EMBED(PKINIT_DH_KEY_INFO, nonce, UINT32, 1),
	ASN1_EXP_OPT(PKINIT_DH_KEY_INFO, expiration, ASN1_GENERALIZEDTIME, 2),
} ASN1_SEQUENCE_END(PKINIT_DH_KEY_INFO)

ASN1_SEQUENCE(PKINIT_REPLY_KEY_PACK) = {
	ASN1_EXP(PKINIT_REPLY_KEY_PACK, reply_key, KRB_TYPED, 0),
	ASN1_EXP(PKINIT_REPLY_KEY_PACK, as_checksum, KRB_TYPED, 1),
} ASN1_SEQUENCE_END(PKINIT_REPLY_KEY_PACK)

ASN1_SEQUENCE(PKINIT_DRAFT_REPLY_KEY_PACK) = {
	ASN1_EXP(PKINIT_DRAFT_REPLY_KEY_PACK, reply_key, KRB_TYPED, 0),
	ASN1_EXP_EMBED(PKINIT_DRAFT_REPLY_KEY_PACK, nonce, UINT32, 1),
} ASN1_SEQUENCE_END(PKINIT_DRAFT_REPLY_KEY_PACK)

ASN1_SEQUENCE(PKINIT_CONTENT_INFO) = {
	ASN1_SIMPLE(PKINIT_CONTENT_INFO, type, ASN1_OBJECT),
	ASN1_EXP(PKINIT_CONTENT_INFO, content, ASN1_ANY, 0),
} ASN1_SEQUENCE_END(PKINIT_CONTENT_INFO)

static void out_of_memory(void)
{
	fprintf(stderr, "kerberos: out of memory\n");
	abort();
}

static void *decode(const ASN1_ITEM *item, const uint8_t *bytes, size_t len, size_t padding_max)
{
	if (len == 0 || len > KRB_MESSAGE_MAX)
		return NULL;
	const uint8_t *p = bytes;
	ASN1_VALUE *value = ASN1_item_d2i(NULL, &p, (long)len, item);
	if (value && (size_t)(bytes + len - p) > padding_max) {
		ASN1_item_free(value, item);
		value = NULL;
	}
	if (!value)
		ERR_clear_error(); /* a peer's error is a value, not a queue entry */
	return value;
}

void *krb_decode(const ASN1_ITEM *item, const uint8_t *bytes, size_t len)
{
	return decode(item, bytes, len, 0);
}

void *krb_decode_padded(const ASN1_ITEM *item, const uint8_t *bytes, size_t len)
{
	return decode(item, bytes, len, 7);
}

void *krb_asn1_new(const ASN1_ITEM *item)
{
	ASN1_VALUE *value = ASN1_item_new(item);
	if (!value)
		out_of_memory();
	return value;
}

void krb_asn1_free(void *value, const ASN1_ITEM *item)
{
	ASN1_item_free(value, item);
}

bool krb_encode(const void *value, const ASN1_ITEM *item, struct der *out)
{
	unsigned char *bytes = NULL;
	int len = ASN1_item_i2d(value, &bytes, item);
	if (len <= 0) {
		ERR_clear_error();
		return false;
	}
	/* der_free() frees with free(): the bytes move out of OpenSSL's heap. */
	out->bytes = malloc((size_t)len);
	if (!out->bytes)
		out_of_memory();
	memcpy(out->bytes, bytes, (size_t)len);
	out->len = (size_t)len;
	OPENSSL_clear_free(bytes, (size_t)len);
	return true;
}

void krb_put_octets(ASN1_OCTET_STRING **field, const uint8_t *bytes, size_t len)
{
	if (!*field)
		*field = ASN1_OCTET_STRING_new();
	if (!*field || !ASN1_STRING_set(*field, bytes, (int)len))
		out_of_memory();
}

void krb_put_typed(KRB_TYPED **field, int32_t type, const uint8_t *bytes, size_t len)
{
	if (!*field)
		*field = KRB_NEW(KRB_TYPED);
	(*field)->type = type;
	krb_put_octets(&(*field)->value, bytes, len);
}

void krb_push_typed(STACK_OF(KRB_TYPED) **list, int32_t type, const uint8_t *bytes, size_t len)
{
	KRB_TYPED *element = NULL;
	krb_put_typed(&element, type, bytes, len);
	if (!*list)
		*list = sk_KRB_TYPED_new_null();
	if (!*list || !sk_KRB_TYPED_push(*list, element))
		out_of_memory();
}

const KRB_TYPED *krb_find_typed(const STACK_OF(KRB_TYPED) *list, int32_t type)
{
	for (int i = 0; i < sk_KRB_TYPED_num(list); i++) {
		const KRB_TYPED *element = sk_KRB_TYPED_value(list, i);
		if (element->type == type)
			return element;
	}
	return NULL;
}

void krb_put_uint(ASN1_INTEGER **field, uint32_t value)
{
	if (!*field)
		*field = ASN1_INTEGER_new();
	if (!*field || !ASN1_INTEGER_set_uint64(*field, value))
		out_of_memory();
}

bool krb_get_uint(const ASN1_INTEGER *field, uint32_t *value)
{
	uint64_t wide;
	if (!field || !ASN1_INTEGER_get_uint64(&wide, field) || wide > UINT32_MAX) {
		ERR_clear_error();
		return false;
	}
	*value = (uint32_t)wide;
	return true;
}

void krb_put_time(ASN1_GENERALIZEDTIME **field, int64_t time_s)
{
	ASN1_GENERALIZEDTIME *set = ASN1_GENERALIZEDTIME_set(*field, (time_t)time_s);
	if (!set)
		out_of_memory();
	*field = set;
}

bool krb_get_time(const ASN1_GENERALIZEDTIME *field, int64_t *time_s)
{
	static const int widths[] = { 4, 2, 2, 2, 2, 2 };
	if (!field || ASN1_STRING_length(field) != 15)
		return false;
	const uint8_t *p = ASN1_STRING_get0_data(field);
	int parts[6] = { 0 };
	for (int i = 0; i < 6; i++) {
		for (int k = 0; k < widths[i]; k++, p++) {
			if (*p < '0' || *p > '9')
				return false;
			parts[i] = parts[i] * 10 + (*p - '0');
		}
	}
	/* timegm() would fold month 13 into the next year: only what encodes back the same is a time. */
	struct tm tm = { .tm_year = parts[0] - 1900, .tm_mon = parts[1] - 1, .tm_mday = parts[2], .tm_hour = parts[3],
	                 .tm_min = parts[4], .tm_sec = parts[5] };
	struct tm given = tm;
	time_t t = timegm(&tm);
	if (*p != 'Z' || parts[0] < 1970 || tm.tm_mon != given.tm_mon || tm.tm_mday != given.tm_mday ||
	    tm.tm_hour != given.tm_hour || tm.tm_min != given.tm_min || tm.tm_sec != given.tm_sec)
		return false;
	*time_s = (int64_t)t;
	return true;
}

void krb_put_flags(ASN1_BIT_STRING **field, uint32_t flags)
{
	uint8_t bytes[4] = { (uint8_t)(flags >> 24), (uint8_t)(flags >> 16), (uint8_t)(flags >> 8), (uint8_t)flags };
	if (!*field)
		*field = ASN1_BIT_STRING_new();
	if (!*field || !ASN1_STRING_set(*field, bytes, sizeof(bytes)))
		out_of_memory();
	/* KerberosFlags keep their trailing zero bits (RFC 4120 section 5.2.8), which DER's named bits would drop. */
	(*field)->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
	(*field)->flags |= ASN1_STRING_FLAG_BITS_LEFT;
}

void krb_put_text(ASN1_GENERALSTRING **field, const char *text)
{
	if (!*field)
		*field = ASN1_GENERALSTRING_new();
	if (!*field || !ASN1_STRING_set(*field, text, (int)strlen(text)))
		out_of_memory();
}

void krb_put_name(KRB_PRINCIPAL **principal, ASN1_GENERALSTRING **realm, const struct krb_name *name)
{
	krb_put_text(realm, name->realm);
	KRB_FREE(KRB_PRINCIPAL, *principal);
	KRB_PRINCIPAL *made = KRB_NEW(KRB_PRINCIPAL);
	for (const char *p = name->name;;) {
		size_t len = strcspn(p, "/");
		ASN1_GENERALSTRING *part = ASN1_GENERALSTRING_new();
		if (!part || !ASN1_STRING_set(part, p, (int)len) || !sk_ASN1_GENERALSTRING_push(made->parts, part))
			out_of_memory();
		p += len;
		if (!*p++)
			break;
	}
	made->type = sk_ASN1_GENERALSTRING_num(made->parts) == 1 ? KRB_NT_PRINCIPAL : KRB_NT_SRV_INST;
	*principal = made;
}

/* Copies a component behind out[*used]; printable ASCII less the separators of the joined form. */
static bool take_text(const ASN1_GENERALSTRING *text, char *out, size_t room, size_t *used)
{
	const uint8_t *p = ASN1_STRING_get0_data(text);
	size_t len = (size_t)ASN1_STRING_length(text);
	if (len == 0 || len > room - *used)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] <= ' ' || p[i] > '~' || p[i] == '/' || p[i] == '@' || p[i] == '\\')
			return false;
		out[*used + i] = (char)p[i];
	}
	*used += len;
	out[*used] = '\0';
	return true;
}

bool krb_get_name(const KRB_PRINCIPAL *principal, const ASN1_GENERALSTRING *realm, struct krb_name *name)
{
	struct krb_name got = { .name = "" };
	size_t used = 0;
	if (!principal || !realm || !take_text(realm, got.realm, KRB_REALM_MAX, &used))
		return false;
	used = 0;
	int count = sk_ASN1_GENERALSTRING_num(principal->parts);
	for (int i = 0; i < count; i++) {
		if (i > 0) {
			if (used >= KRB_NAME_MAX)
				return false;
			got.name[used++] = '/';
		}
		if (!take_text(sk_ASN1_GENERALSTRING_value(principal->parts, i), got.name, KRB_NAME_MAX, &used))
			return false;
	}
	if (count <= 0)
		return false;
	*name = got;
	return true;
}

const uint8_t *krb_get_key(const KRB_TYPED *key)
{
	if (!key || key->type != KRB_ETYPE_DES3 || ASN1_STRING_length(key->value) != 24)
		return NULL;
	return ASN1_STRING_get0_data(key->value);
}

void krb_wipe_typed(KRB_TYPED *key)
{
	if (key && key->value && key->value->data)
		OPENSSL_cleanse(key->value->data, (size_t)key->value->length);
}

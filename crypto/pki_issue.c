/*
 * Issuing certificates and CRLs (RFC 5280; RFC 4556 sections 3.2.2 and 3.2.4).
 *
 * Names, serial numbers and times come from the caller and the signature is RSA with PKCS #1 v1.5, which is
 * deterministic: the same request gives the same bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/pki_internal.h"

#define KEY_ID_SHA1_LEN 20

static bool in_range(int64_t time_s)
{
	return time_s >= 0 && time_s <= CERT_NO_EXPIRY_S;
}

/* Extensions. */

static bool add_basic_constraints(X509 *cert)
{
	BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
	bool ok;

	if (!constraints)
		abort();
	constraints->ca = 0xff;
	ok = X509_add1_ext_i2d(cert, NID_basic_constraints, constraints, 1, X509V3_ADD_DEFAULT) == 1;
	BASIC_CONSTRAINTS_free(constraints);
	return ok;
}

static bool add_key_usage(X509 *cert, int bit1, int bit2)
{
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	bool ok = bits && ASN1_BIT_STRING_set_bit(bits, bit1, 1) && ASN1_BIT_STRING_set_bit(bits, bit2, 1) &&
	          X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1;

	ASN1_BIT_STRING_free(bits);
	return ok;
}

static bool add_extended_usage(X509 *cert, int nid)
{
	EXTENDED_KEY_USAGE *usages = EXTENDED_KEY_USAGE_new();
	bool ok = usages && sk_ASN1_OBJECT_push(usages, OBJ_nid2obj(nid)) > 0 &&
	          X509_add1_ext_i2d(cert, NID_ext_key_usage, usages, 0, X509V3_ADD_DEFAULT) == 1;

	EXTENDED_KEY_USAGE_free(usages); /* objects of the built-in table are not freed by this */
	return ok;
}

/* SHA-1 of the public key's bits (RFC 5280 section 4.2.1.2, method 1). */
static bool add_subject_key_id(struct crypto *crypto, X509 *cert)
{
	uint8_t id[KEY_ID_SHA1_LEN];
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	bool ok = octets && X509_pubkey_digest(cert, crypto->sha1, id, NULL) &&
	          ASN1_OCTET_STRING_set(octets, id, sizeof id) &&
	          X509_add1_ext_i2d(cert, NID_subject_key_identifier, octets, 0, X509V3_ADD_DEFAULT) == 1;

	ASN1_OCTET_STRING_free(octets);
	return ok;
}

/* The issuer's subject key identifier, or what it would be. */
static AUTHORITY_KEYID *authority_key_id(struct crypto *crypto, X509 *issuer)
{
	const ASN1_OCTET_STRING *given = X509_get0_subject_key_id(issuer);
	AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
	uint8_t id[KEY_ID_SHA1_LEN];

	if (!authority)
		abort();
	authority->keyid = given ? ASN1_OCTET_STRING_dup(given) : ASN1_OCTET_STRING_new();
	if (!authority->keyid)
		abort();
	if (!given && (!X509_pubkey_digest(issuer, crypto->sha1, id, NULL) ||
	               !ASN1_OCTET_STRING_set(authority->keyid, id, sizeof id)))
		abort();
	return authority;
}

static bool add_authority_key_id(struct crypto *crypto, X509 *cert, X509 *issuer)
{
	AUTHORITY_KEYID *authority = authority_key_id(crypto, issuer);
	bool ok = X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0, X509V3_ADD_DEFAULT) == 1;

	AUTHORITY_KEYID_free(authority);
	return ok;
}

/* The DER of KRB5PrincipalName as an ANY. */
static ASN1_TYPE *principal_value(const struct krb_name *name)
{
	PKI_PRINCIPAL *principal = KRB_NEW(PKI_PRINCIPAL);
	struct der der = { NULL, 0 };
	ASN1_TYPE *value = NULL;

	krb_put_name(&principal->name, &principal->realm, name);
	if (krb_encode(principal, ASN1_ITEM_rptr(PKI_PRINCIPAL), &der)) {
		ASN1_STRING *sequence = ASN1_STRING_type_new(V_ASN1_SEQUENCE);

		value = ASN1_TYPE_new();
		if (!value || !sequence || !ASN1_STRING_set(sequence, der.bytes, (int)der.len))
			abort();
		ASN1_TYPE_set(value, V_ASN1_SEQUENCE, sequence);
	}
	der_free(&der);
	KRB_FREE(PKI_PRINCIPAL, principal);
	return value;
}

static bool add_principal(X509 *cert, const struct krb_name *name)
{
	ASN1_TYPE *value = principal_value(name);
	ASN1_OBJECT *oid = OBJ_txt2obj(PKI_OID_PKINIT_SAN, 1);
	GENERAL_NAME *general = GENERAL_NAME_new();
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool ok = false;

	if (!oid || !general || !names || !sk_GENERAL_NAME_push(names, general))
		abort();
	if (value && GENERAL_NAME_set0_othername(general, oid, value)) {
		ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
	} else {
		ASN1_TYPE_free(value);
		ASN1_OBJECT_free(oid);
	}
	GENERAL_NAMES_free(names);
	return ok;
}

static void phone_id_text(const uint8_t id[PHONE_ID_LEN], char text[2 * PHONE_ID_LEN + 1])
{
	for (int i = 0; i < PHONE_ID_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

/* The principal that the certificate's subject alternative name gives, if its kind has one. */
static bool add_kind_principal(X509 *cert, const struct cert_request *request)
{
	char text[KRB_NAME_MAX + 1];
	struct krb_name name;

	if (request->kind != CERT_OPERATOR && request->kind != CERT_KDC)
		return true;
	if (!request->realm || (request->kind == CERT_OPERATOR && !request->phone_id))
		return false;
	if (request->kind == CERT_OPERATOR)
		phone_id_text(request->phone_id, text);
	else if ((size_t)snprintf(text, sizeof text, "krbtgt/%s", request->realm) >= sizeof text)
		return false;
	return krb_name_set(&name, text, request->realm) && add_principal(cert, &name);
}

static bool add_extensions(struct crypto *crypto, X509 *cert, const struct cert_request *request, X509 *issuer)
{
	bool ok;

	switch (request->kind) {
	case CERT_ROOT:
	case CERT_CA:
		ok = add_basic_constraints(cert) && add_key_usage(cert, PKI_KEY_CERT_SIGN, PKI_CRL_SIGN);
		break;
	case CERT_KDC:
		ok = add_key_usage(cert, PKI_DIGITAL_SIGNATURE, PKI_DIGITAL_SIGNATURE) &&
		     add_extended_usage(cert, NID_pkInitKDC);
		break;
	case CERT_DEVICE:
	case CERT_OPERATOR:
		ok = add_key_usage(cert, PKI_DIGITAL_SIGNATURE, PKI_KEY_ENCIPHERMENT) &&
		     add_extended_usage(cert, NID_pkInitClientAuth);
		break;
	default:
		ok = add_key_usage(cert, PKI_DIGITAL_SIGNATURE, PKI_KEY_ENCIPHERMENT);
		break;
	}
	/* RFC 5280 section 4.2.1.1: a self-signed certificate needs no authority key identifier. */
	return ok && add_kind_principal(cert, request) && add_subject_key_id(crypto, cert) &&
	       (request->kind == CERT_ROOT || add_authority_key_id(crypto, cert, issuer));
}

/* Names, validity, key. */

/* The common name a request gives or, left open, its kind has. NULL: none. */
static const char *common_name(const struct cert_request *request, char text[2 * PHONE_ID_LEN + 1])
{
	const uint8_t *mac = request->mac;

	if (request->common_name)
		return request->common_name;
	if (request->kind == CERT_DEVICE && mac) {
		snprintf(text, 2 * PHONE_ID_LEN + 1, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3],
		         mac[4], mac[5]);
		return text;
	}
	if (request->kind == CERT_OPERATOR && request->phone_id) {
		phone_id_text(request->phone_id, text);
		return text;
	}
	return NULL;
}

static bool add_name(X509_NAME *name, const char *field, const char *text)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool set_subject(X509 *cert, const struct cert_request *request)
{
	char text[2 * PHONE_ID_LEN + 1];
	const char *cn = common_name(request, text);
	X509_NAME *name = X509_get_subject_name(cert); /* filled where it is: to set one means to decode a copy */

	return cn && (!request->organisation || add_name(name, "O", request->organisation)) && add_name(name, "CN", cn);
}

static bool set_validity(X509 *cert, const struct cert_request *request)
{
	return in_range(request->not_before_s) && in_range(request->not_after_s) &&
	       request->not_before_s <= request->not_after_s &&
	       ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)request->not_before_s) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)request->not_after_s);
}

static EVP_PKEY *public_key(struct crypto *crypto, const uint8_t *spki, size_t len)
{
	const uint8_t *p = spki;
	EVP_PKEY *key = spki && len <= PKI_CERT_MAX ? d2i_PUBKEY_ex(NULL, &p, (long)len, crypto->lib, NULL) : NULL;

	if (key && (p != spki + len || !EVP_PKEY_is_a(key, "RSA"))) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

/* The public key of a private one. Its parts are put in place: X509_set_pubkey() goes through OpenSSL's encoders. */
static bool set_own_key(X509 *cert, const uint8_t *pkcs8, size_t len)
{
	uint8_t *numbers;
	int numbers_len;
	bool ok = crypto_public_numbers(pkcs8, len, &numbers, &numbers_len) &&
	          X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), OBJ_nid2obj(NID_rsaEncryption), V_ASN1_NULL, NULL,
	                                 numbers, numbers_len);

	if (!ok)
		OPENSSL_free(numbers);
	return ok;
}

static bool set_given_key(struct crypto *crypto, X509 *cert, const uint8_t *spki, size_t len)
{
	EVP_PKEY *key = public_key(crypto, spki, len);
	bool ok = key && X509_set_pubkey(cert, key);

	EVP_PKEY_free(key);
	return ok;
}

static bool set_body(struct crypto *crypto, X509 *cert, const struct cert_request *request, X509 *issuer)
{
	return request->serial > 0 && X509_set_version(cert, X509_VERSION_3) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), request->serial) && set_validity(cert, request) &&
	       set_subject(cert, request) && X509_set_issuer_name(cert, X509_get_subject_name(issuer)) &&
	       add_extensions(crypto, cert, request, issuer);
}

/* Signs, drawing only for blinding. */
static bool sign_cert(struct crypto *crypto, X509 *cert, EVP_PKEY *key, bool sha1)
{
	bool ok;

	crypto_random_begin(crypto, crypto_blinding(crypto));
	ok = X509_sign(cert, key, sha1 ? crypto->sha1 : crypto->sha256) > 0;
	crypto_random_end(crypto);
	pki_count_cert_hash(crypto, cert);
	crypto_count(crypto, CRYPTO_RSA_SIGN, (uint32_t)EVP_PKEY_get_bits(key));
	return ok;
}

bool cert_issue(struct crypto *crypto, const struct cert_request *request, const uint8_t *subject_key,
                size_t subject_key_len,
                const uint8_t *subject_spki, size_t spki_len, const struct der *issuer_cert, const uint8_t *issuer_key,
                size_t issuer_key_len, struct der *out)
{
	bool self = request->kind == CERT_ROOT;
	EVP_PKEY *signer = crypto_signer_key(crypto, issuer_key, issuer_key_len);
	X509 *cert = X509_new_ex(crypto->lib, NULL);
	X509 *issuer = self || !issuer_cert ? NULL : cert_parse(crypto, issuer_cert->bytes, issuer_cert->len);
	uint8_t *der = NULL;
	bool ok = signer && cert && self == !issuer_cert && (self || issuer) &&
	          (subject_key ? set_own_key(cert, subject_key, subject_key_len)
	                       : set_given_key(crypto, cert, subject_spki, spki_len)) &&
	          set_body(crypto, cert, request, self ? cert : issuer) &&
	          sign_cert(crypto, cert, signer, request->sha1);

	*out = (struct der){ NULL, 0 };
	if (ok) {
		int len = i2d_X509(cert, &der);

		ok = pki_take(der, len, out);
	}
	X509_free(issuer);
	X509_free(cert);
	EVP_PKEY_free(signer);
	ERR_clear_error();
	return ok;
}

/* CRL. */

static bool add_revoked(X509_CRL *crl, uint64_t serial, int64_t time_s)
{
	X509_REVOKED *revoked = X509_REVOKED_new();
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)time_s);
	bool ok = revoked && number && time && ASN1_INTEGER_set_uint64(number, serial) &&
	          X509_REVOKED_set_serialNumber(revoked, number) && X509_REVOKED_set_revocationDate(revoked, time) &&
	          X509_CRL_add0_revoked(crl, revoked);

	if (!ok)
		X509_REVOKED_free(revoked);
	ASN1_INTEGER_free(number);
	ASN1_TIME_free(time);
	return ok;
}

static bool set_crl_times(X509_CRL *crl, int64_t this_update_s, int64_t next_update_s)
{
	ASN1_TIME *this_update = ASN1_TIME_set(NULL, (time_t)this_update_s);
	ASN1_TIME *next_update = ASN1_TIME_set(NULL, (time_t)next_update_s);
	bool ok = this_update && next_update && X509_CRL_set1_lastUpdate(crl, this_update) &&
	          X509_CRL_set1_nextUpdate(crl, next_update);

	ASN1_TIME_free(this_update);
	ASN1_TIME_free(next_update);
	return ok;
}

/* The CRL number (RFC 5280 section 5.2.3: it only grows) is the time of issue. */
static bool add_crl_extensions(struct crypto *crypto, X509_CRL *crl, X509 *issuer, int64_t this_update_s)
{
	AUTHORITY_KEYID *authority = authority_key_id(crypto, issuer);
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	bool ok = number && ASN1_INTEGER_set_int64(number, this_update_s) &&
	          X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, authority, 0, X509V3_ADD_DEFAULT) == 1 &&
	          X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, X509V3_ADD_DEFAULT) == 1;

	ASN1_INTEGER_free(number);
	AUTHORITY_KEYID_free(authority);
	return ok;
}

static bool sign_crl(struct crypto *crypto, X509_CRL *crl, EVP_PKEY *key)
{
	bool ok;

	X509_CRL_sort(crl);
	crypto_random_begin(crypto, crypto_blinding(crypto));
	ok = X509_CRL_sign(crl, key, crypto->sha256) > 0;
	crypto_random_end(crypto);
	pki_count_crl_hash(crypto, crl);
	crypto_count(crypto, CRYPTO_RSA_SIGN, (uint32_t)EVP_PKEY_get_bits(key));
	return ok;
}

bool crl_issue(struct crypto *crypto, const struct der *issuer_cert, const uint8_t *issuer_key, size_t issuer_key_len,
               const uint64_t *serials, size_t count, int64_t this_update_s, int64_t next_update_s, struct der *out)
{
	EVP_PKEY *signer = crypto_signer_key(crypto, issuer_key, issuer_key_len);
	X509 *issuer = cert_parse(crypto, issuer_cert->bytes, issuer_cert->len);
	X509_CRL *crl = X509_CRL_new_ex(crypto->lib, NULL);
	uint8_t *der = NULL;
	bool ok = signer && issuer && crl && in_range(this_update_s) && in_range(next_update_s) &&
	          this_update_s <= next_update_s && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
	          X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) &&
	          set_crl_times(crl, this_update_s, next_update_s) &&
	          add_crl_extensions(crypto, crl, issuer, this_update_s);

	for (size_t i = 0; ok && i < count; i++)
		ok = serials[i] > 0 && add_revoked(crl, serials[i], this_update_s);
	ok = ok && sign_crl(crypto, crl, signer);
	*out = (struct der){ NULL, 0 };
	if (ok) {
		int len = i2d_X509_CRL(crl, &der);

		ok = pki_take(der, len, out);
	}
	X509_CRL_free(crl);
	X509_free(issuer);
	EVP_PKEY_free(signer);
	ERR_clear_error();
	return ok;
}

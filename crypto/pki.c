/*
 * Reading certificates (RFC 5280; RFC 4556 section 3.2.4 for the names of Kerberos principals).
 *
 * A certificate from a peer is judged twice: here, whether it is well-formed and what it claims; in pki_verify.c,
 * whether the claim holds. What cannot be read without doubt (two principals, separators inside a component, an
 * extension that does not decode) is refused as a whole rather than read in part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/err.h>
#include "crypto/pki_internal.h"

ASN1_SEQUENCE(PKI_PRINCIPAL) = {
	ASN1_EXP(PKI_PRINCIPAL, realm, ASN1_GENERALSTRING, 0),
	ASN1_EXP(PKI_PRINCIPAL, name, KRB_PRINCIPAL, 1),
} ASN1_SEQUENCE_END(PKI_PRINCIPAL)

void der_free(struct der *der)
{
	free(der->bytes);
	der->bytes = NULL;
	der->len = 0;
}

bool phone_id(struct crypto *crypto, const char *number, uint8_t out[PHONE_ID_LEN])
{
	char *digits = malloc(strlen(number) + 1);
	size_t len = 0;

	if (!digits)
		abort();
	for (const char *p = number; *p; p++)
		if (*p >= '0' && *p <= '9')
			digits[len++] = *p;
	if (len > 0)
		crypto_sha1(crypto, (const uint8_t *)digits, len, out);
	free(digits);
	return len > 0;
}

void cert_thumbprint(struct crypto *crypto, const struct der *cert, uint8_t out[20])
{
	crypto_sha1(crypto, cert->bytes, cert->len, out);
}

bool pki_take(uint8_t *bytes, int len, struct der *out)
{
	if (len <= 0)
		return false;
	out->bytes = malloc((size_t)len);
	if (!out->bytes)
		abort();
	memcpy(out->bytes, bytes, (size_t)len);
	out->len = (size_t)len;
	OPENSSL_free(bytes);
	return true;
}

/* Of a certificate or CRL whose DER is len bytes long (256 or more): less the algorithm and signature at its end. */
static void count_hash(struct crypto *crypto, int len, const X509_ALGOR *algorithm, const ASN1_BIT_STRING *signature)
{
	const int outer_header = 4;
	int behind = i2d_X509_ALGOR(algorithm, NULL) +
	             ASN1_object_size(0, ASN1_STRING_length(signature) + 1, V_ASN1_BIT_STRING);
	bool sha1 = OBJ_obj2nid(algorithm->algorithm) == NID_sha1WithRSAEncryption;

	if (len > outer_header + behind)
		crypto_count(crypto, sha1 ? CRYPTO_SHA1 : CRYPTO_SHA256, (uint32_t)(len - outer_header - behind));
}

void pki_count_cert_hash(struct crypto *crypto, X509 *cert)
{
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *algorithm;

	if (!crypto->meter)
		return;
	X509_get0_signature(&signature, &algorithm, cert);
	count_hash(crypto, i2d_X509(cert, NULL), algorithm, signature);
}

void pki_count_crl_hash(struct crypto *crypto, X509_CRL *crl)
{
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *algorithm;

	if (!crypto->meter)
		return;
	X509_CRL_get0_signature(crl, &signature, &algorithm);
	count_hash(crypto, i2d_X509_CRL(crl, NULL), algorithm, signature);
}

X509 *pki_parse(OSSL_LIB_CTX *lib, const uint8_t *der, size_t len)
{
	const uint8_t *p = der;
	X509 *cert;

	if (len == 0 || len > PKI_CERT_MAX)
		return NULL;
	cert = X509_new_ex(lib, NULL);
	if (!cert)
		abort();
	/* On failure d2i_X509() frees the certificate and sets the pointer to NULL. */
	if (!d2i_X509(&cert, &p, (long)len) || p != der + len) {
		X509_free(cert);
		cert = NULL;
		ERR_clear_error();
	}
	return cert;
}

bool pki_time(const ASN1_TIME *time, int64_t *time_s)
{
	struct tm tm;

	if (!time || !ASN1_TIME_to_tm(time, &tm))
		return false;
	*time_s = (int64_t)timegm(&tm);
	return true;
}

/* "O=Example,CN=00:11": RFC 2253 escapes, so that what is printed is ASCII without control characters. */
static bool name_text(const X509_NAME *name, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;
	bool ok;

	if (!bio)
		abort();
	ok = X509_NAME_print_ex(bio, name, 0, (ASN1_STRFLGS_RFC2253 & ~(unsigned long)ASN1_STRFLGS_DUMP_UNKNOWN) |
	                        XN_FLAG_SEP_COMMA_PLUS | XN_FLAG_FN_SN) >= 0;
	len = BIO_get_mem_data(bio, &text);
	ok = ok && len >= 0 && (size_t)len < size;
	if (ok && len > 0) /* a name without components: text may be NULL */
		memcpy(out, text, (size_t)len);
	if (ok)
		out[len] = '\0';
	BIO_free(bio);
	return ok;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* count bytes of hex, with the separator between them unless it is 0; all of text. */
static bool parse_hex(const uint8_t *text, size_t len, size_t count, char separator, uint8_t *out)
{
	size_t step = separator ? 3 : 2;

	if (len != count * step - (separator ? 1 : 0))
		return false;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *p = text + i * step;
		int high = hex_digit(p[0]), low = hex_digit(p[1]);

		if (high < 0 || low < 0 || (separator && i + 1 < count && p[2] != (uint8_t)separator))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The MAC or the phone ID that the only common name is. */
static void read_common_name(const X509 *cert, struct cert_facts *facts)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *text;

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return;
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	facts->has_mac = parse_hex(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text), sizeof facts->mac,
	                           ':', facts->mac);
	facts->has_phone_id = parse_hex(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text), PHONE_ID_LEN, 0,
	                                facts->phone_id);
}

/* One id-pkinit-san's value as "name@realm". */
static bool read_principal(const ASN1_TYPE *value, struct cert_facts *facts)
{
	PKI_PRINCIPAL *principal;
	struct krb_name name;
	bool ok;

	if (!value || value->type != V_ASN1_SEQUENCE)
		return false;
	principal = KRB_DECODE(PKI_PRINCIPAL, value->value.sequence->data, (size_t)value->value.sequence->length);
	ok = principal && krb_get_name(principal->name, principal->realm, &name) &&
	     (size_t)snprintf(facts->principal, sizeof facts->principal, "%s@%s", name.name, name.realm) <
	     sizeof facts->principal;
	KRB_FREE(PKI_PRINCIPAL, principal);
	return ok;
}

static bool is_pkinit_san(const GENERAL_NAME *name)
{
	char oid[32];

	return name->type == GEN_OTHERNAME && OBJ_obj2txt(oid, sizeof oid, name->d.otherName->type_id, 1) > 0 &&
	       strcmp(oid, PKI_OID_PKINIT_SAN) == 0;
}

/* The Kerberos principal among the subject's alternative names: none or one. */
static bool read_alternative_names(const X509 *cert, struct cert_facts *facts)
{
	int critical;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
	bool ok = true;

	if (!names)
		return critical == -1; /* absent; otherwise twice or undecodable */
	for (int i = 0; ok && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (is_pkinit_san(name))
			ok = facts->principal[0] == '\0' && read_principal(name->d.otherName->value, facts);
	}
	GENERAL_NAMES_free(names);
	return ok;
}

static bool read_extended_usage(const X509 *cert, struct cert_facts *facts)
{
	int critical;
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);

	if (!usages)
		return critical == -1;
	for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));

		facts->has_kdc_eku |= nid == NID_pkInitKDC;
		facts->has_client_eku |= nid == NID_pkInitClientAuth;
	}
	EXTENDED_KEY_USAGE_free(usages);
	return true;
}

/* A positive number; of one that is longer than 64 bits the low ones. */
static bool read_serial(const X509 *cert, uint64_t *serial)
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(cert);

	*serial = 0;
	if (ASN1_STRING_type(number) != V_ASN1_INTEGER)
		return false; /* negative */
	for (int i = 0; i < ASN1_STRING_length(number); i++)
		*serial = *serial << 8 | ASN1_STRING_get0_data(number)[i];
	return true;
}

/* Whether the principal is the phone ID that the common name is, in some realm. */
static bool principal_is_phone_id(const struct cert_facts *facts)
{
	const char *at = strchr(facts->principal, '@');
	uint8_t id[PHONE_ID_LEN];

	return facts->has_phone_id && at &&
	       parse_hex((const uint8_t *)facts->principal, (size_t)(at - facts->principal), PHONE_ID_LEN, 0, id) &&
	       memcmp(id, facts->phone_id, PHONE_ID_LEN) == 0;
}

static enum cert_kind kind_of(X509 *cert, const struct cert_facts *facts)
{
	uint32_t flags = X509_get_extension_flags(cert);

	if (flags & EXFLAG_CA)
		return flags & EXFLAG_SI ? CERT_ROOT : CERT_CA;
	if (facts->has_kdc_eku && !facts->has_client_eku)
		return CERT_KDC;
	if (facts->has_client_eku && !facts->has_kdc_eku && principal_is_phone_id(facts))
		return CERT_OPERATOR;
	if (facts->has_client_eku && !facts->has_kdc_eku && facts->has_mac && !facts->principal[0])
		return CERT_DEVICE;
	return CERT_UNKNOWN;
}

bool pki_facts(X509 *cert, struct cert_facts *facts)
{
	struct cert_facts read = { .kind = CERT_UNKNOWN };
	EVP_PKEY *key = X509_get0_pubkey(cert);
	bool ok = key && EVP_PKEY_is_a(key, "RSA") && !(X509_get_extension_flags(cert) & EXFLAG_INVALID) &&
	          read_serial(cert, &read.serial) &&
	          pki_time(X509_get0_notBefore(cert), &read.not_before_s) &&
	          pki_time(X509_get0_notAfter(cert), &read.not_after_s) &&
	          name_text(X509_get_subject_name(cert), read.subject, sizeof read.subject) &&
	          name_text(X509_get_issuer_name(cert), read.issuer, sizeof read.issuer) &&
	          read_alternative_names(cert, &read) && read_extended_usage(cert, &read);

	ERR_clear_error();
	if (!ok)
		return false;
	read_common_name(cert, &read);
	read.rsa_bits = (unsigned)EVP_PKEY_get_bits(key);
	read.kind = kind_of(cert, &read);
	*facts = read;
	return true;
}

bool cert_read(const uint8_t *der, size_t len, struct cert_facts *facts)
{
	X509 *cert = pki_parse(NULL, der, len);
	bool ok = cert && pki_facts(cert, facts);

	X509_free(cert);
	return ok;
}

bool cert_public_key(const uint8_t *der, size_t len, struct der *spki)
{
	X509 *cert = pki_parse(NULL, der, len);
	uint8_t *bytes = NULL;
	int out_len = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &bytes) : 0;

	X509_free(cert);
	return pki_take(bytes, out_len, spki);
}

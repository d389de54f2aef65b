/*
 * SignedData by hand (RFC 5652 section 5): one signer, named by issuer and serial number, RSA with PKCS #1 v1.5 and
 * SHA-256; signed attributes are content type, signing time and message digest.
 *
 * The bytes are those that OpenSSL's CMS makes of the same request. Its way there goes through an object for each part
 * and parses the signer's certificate with its key, which for a 1024-bit signature is the greater part of the work. DER
 * wants the elements of a SET in the order of their bytes: the attributes' lengths put them in the order above whatever
 * their values are, the certificates are compared.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include "crypto/der.h"
#include "crypto/pkinit_cms.h"

#define SHA256_LEN 32
#define SIGNATURE_MAX 512    /* RSA with 4096 bits */
#define ATTRIBUTES_MAX 256
#define FRAME_MAX 1024       /* headers, identifiers, attributes: all but content, certificates, name and signature */

static const uint8_t oid_signed_data[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
static const uint8_t oid_content_type[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03 };
static const uint8_t oid_message_digest[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04 };
static const uint8_t oid_signing_time[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05 };
/* SHA-256 without parameters (RFC 5754 section 2), rsaEncryption with NULL (RFC 3370 section 3.2). */
static const uint8_t sha256_id[] = { 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01 };
static const uint8_t rsa_id[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
	                              0x00 };

static struct der_span content_type(enum pkinit_content type)
{
	static const uint8_t auth_data[] = { 0x06, 0x07, 0x2b, 0x06, 0x01, 0x05, 0x02, 0x03, 0x01 };
	static const uint8_t dh_key_data[] = { 0x06, 0x07, 0x2b, 0x06, 0x01, 0x05, 0x02, 0x03, 0x02 };
	static const uint8_t reply_key_data[] = { 0x06, 0x07, 0x2b, 0x06, 0x01, 0x05, 0x02, 0x03, 0x03 };
	static const uint8_t id_data[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };

	switch (type) {
	case PKINIT_AUTH_DATA:
		return (struct der_span){ auth_data, sizeof auth_data };
	case PKINIT_DH_KEY_DATA:
		return (struct der_span){ dh_key_data, sizeof dh_key_data };
	case PKINIT_REPLY_KEY_DATA:
		return (struct der_span){ reply_key_data, sizeof reply_key_data };
	default:
		return (struct der_span){ id_data, sizeof id_data };
	}
}

bool cms_name_read(const struct der *cert, struct cms_name *name)
{
	struct der_span in = { cert->bytes, cert->len }, body, to_be_signed;

	if (!cert->len || !der_take(&in, DER_SEQUENCE, NULL, &body) || in.len ||
	    !der_take(&body, DER_SEQUENCE, NULL, &to_be_signed))
		return false;
	der_take(&to_be_signed, DER_CONTEXT_0, NULL, NULL); /* the version, when it is not 1 */
	return der_take(&to_be_signed, DER_INTEGER, &name->serial, NULL) &&
	       der_take(&to_be_signed, DER_SEQUENCE, NULL, NULL) &&
	       der_take(&to_be_signed, DER_SEQUENCE, &name->issuer, NULL);
}

/* Closes an Attribute with one value, which lies from at to end. */
static void wrap_attribute(struct der_writer *w, const uint8_t *oid, size_t oid_len, const uint8_t *end)
{
	der_wrap(w, DER_SET, end);
	der_put(w, oid, oid_len);
	der_wrap(w, DER_SEQUENCE, end);
}

/* The signed attributes, without the header around them all. */
static bool put_attributes(struct der_writer *w, const struct der_span *type, int64_t now_s,
                           const uint8_t digest[SHA256_LEN])
{
	ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)now_s);
	const uint8_t *end = w->at;

	if (!time)
		return false;
	der_put(w, digest, SHA256_LEN);
	der_wrap(w, DER_OCTETS, end);
	wrap_attribute(w, oid_message_digest, sizeof oid_message_digest, end);
	end = w->at;
	der_put(w, ASN1_STRING_get0_data(time), (size_t)ASN1_STRING_length(time));
	der_wrap(w, (uint8_t)ASN1_STRING_type(time), end); /* UTCTime or, from 2050 on, GeneralizedTime */
	wrap_attribute(w, oid_signing_time, sizeof oid_signing_time, end);
	end = w->at;
	der_put(w, type->bytes, type->len);
	wrap_attribute(w, oid_content_type, sizeof oid_content_type, end);
	ASN1_TIME_free(time);
	return true;
}

static bool sign_bytes(struct crypto *crypto, EVP_PKEY *pkey, const uint8_t *bytes, size_t len,
                       uint8_t signature[SIGNATURE_MAX], size_t *signature_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	if (!ctx)
		abort();
	*signature_len = SIGNATURE_MAX;
	crypto_random_begin(crypto, crypto_blinding(crypto));
	ok = EVP_PKEY_get_size(pkey) <= SIGNATURE_MAX &&
	     EVP_DigestSignInit_ex(ctx, NULL, "SHA256", crypto->lib, NULL, pkey, NULL) > 0 &&
	     EVP_DigestSign(ctx, signature, signature_len, bytes, len) > 0;
	crypto_random_end(crypto);
	EVP_MD_CTX_free(ctx);
	if (ok) {
		crypto_count(crypto, CRYPTO_SHA256, (uint32_t)len);
		crypto_count(crypto, CRYPTO_RSA_SIGN, (uint32_t)EVP_PKEY_get_bits(pkey));
	}
	return ok;
}

/* The certificates as a SET: DER's order, none twice. */
static void put_certificates(struct der_writer *w, const struct der *cert, const struct der *extra)
{
	const uint8_t *end = w->at;

	if (extra && extra->len) {
		size_t common = cert->len < extra->len ? cert->len : extra->len;
		int order = memcmp(cert->bytes, extra->bytes, common);

		if (order < 0 || (order == 0 && cert->len < extra->len))
			der_put(w, extra->bytes, extra->len);
		der_put(w, cert->bytes, cert->len);
		if (order > 0 || (order == 0 && cert->len > extra->len))
			der_put(w, extra->bytes, extra->len);
	} else {
		der_put(w, cert->bytes, cert->len);
	}
	der_wrap(w, DER_CONTEXT_0, end);
}

/* SignerInfo in its SET. attributes: without header. */
static void put_signer(struct der_writer *w, const struct cms_name *name, const struct der_span *attributes,
                       const struct der_span *signature)
{
	static const uint8_t version_1[] = { DER_INTEGER, 1, 1 };
	const uint8_t *end = w->at, *inner_end;

	der_put(w, signature->bytes, signature->len);
	der_wrap(w, DER_OCTETS, end);
	der_put(w, rsa_id, sizeof rsa_id);
	inner_end = w->at;
	der_put(w, attributes->bytes, attributes->len);
	der_wrap(w, DER_CONTEXT_0, inner_end);
	der_put(w, sha256_id, sizeof sha256_id);
	inner_end = w->at;
	der_put(w, name->serial.bytes, name->serial.len);
	der_put(w, name->issuer.bytes, name->issuer.len);
	der_wrap(w, DER_SEQUENCE, inner_end);
	der_put(w, version_1, sizeof version_1);
	der_wrap(w, DER_SEQUENCE, end);
	der_wrap(w, DER_SET, end);
}

/* EncapsulatedContentInfo, digest algorithms, version: 3 for content that is not id-data (RFC 5652 section 5.1). */
static void put_content(struct der_writer *w, enum pkinit_content type, const struct der *content)
{
	const struct der_span oid = content_type(type);
	const uint8_t *end = w->at, version[] = { DER_INTEGER, 1, type == PKINIT_ID_DATA ? 1 : 3 };

	der_put(w, content->bytes, content->len);
	der_wrap(w, DER_OCTETS, end);
	der_wrap(w, DER_CONTEXT_0, end);
	der_put(w, oid.bytes, oid.len);
	der_wrap(w, DER_SEQUENCE, end);
	end = w->at;
	der_put(w, sha256_id, sizeof sha256_id);
	der_wrap(w, DER_SET, end);
	der_put(w, version, sizeof version);
}

/* The attributes and the signature over them, which takes them as a SET (RFC 5652 section 5.4). */
struct signed_part {
	uint8_t buffer[ATTRIBUTES_MAX], signature[SIGNATURE_MAX];
	struct der_span attributes, signed_by;
};

static bool sign_attributes(struct crypto *crypto, EVP_PKEY *pkey, enum pkinit_content type,
                            const struct der *content, int64_t now_s, struct signed_part *part)
{
	struct der_writer w = { part->buffer, part->buffer + ATTRIBUTES_MAX };
	const uint8_t *end = w.at;
	const struct der_span oid = content_type(type);
	uint8_t digest[SHA256_LEN];
	size_t len;

	if (!EVP_Digest(content->bytes, content->len, digest, NULL, crypto->sha256, NULL) ||
	    !put_attributes(&w, &oid, now_s, digest))
		return false;
	crypto_count(crypto, CRYPTO_SHA256, (uint32_t)content->len);
	part->attributes = (struct der_span){ w.at, (size_t)(end - w.at) };
	der_wrap(&w, DER_SET, end);
	if (!sign_bytes(crypto, pkey, w.at, (size_t)(end - w.at), part->signature, &len))
		return false;
	part->signed_by = (struct der_span){ part->signature, len };
	return true;
}

bool cms_sign(struct crypto *crypto, EVP_PKEY *pkey, const struct der *cert, const struct der *extra,
              enum pkinit_content type, const struct der *content, int64_t now_s, struct der *out)
{
	size_t size = FRAME_MAX + SIGNATURE_MAX + content->len + 2 * cert->len + (extra ? extra->len : 0);
	struct cms_name name;
	struct signed_part part;
	struct der_writer w;
	const uint8_t *end;
	bool ok;

	if (!cms_name_read(cert, &name) || !sign_attributes(crypto, pkey, type, content, now_s, &part)) {
		ERR_clear_error();
		return false;
	}
	w.buffer = malloc(size);
	if (!w.buffer)
		abort();
	w.at = w.buffer + size;
	end = w.at;
	put_signer(&w, &name, &part.attributes, &part.signed_by);
	put_certificates(&w, cert, extra);
	put_content(&w, type, content);
	der_wrap(&w, DER_SEQUENCE, end);
	der_wrap(&w, DER_CONTEXT_0, end);
	der_put(&w, oid_signed_data, sizeof oid_signed_data);
	der_wrap(&w, DER_SEQUENCE, end);
	ok = krb_der_copy(out, w.at, (size_t)(end - w.at));
	crypto_wipe(w.buffer, size); /* the content may be a reply key */
	free(w.buffer);
	return ok;
}

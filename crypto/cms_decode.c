/*
 * Decoding CMS with the certificates taken out first (RFC 5652 sections 3 and 5.1).
 *
 * A SignedData brings its signer's certificate and the CA's along. OpenSSL decodes each of them anew, keys and all,
 * though both sides of PKINIT meet the same ones again and again. So a SignedData in DER is decoded without its
 * certificates, and these are put back as the context's shared objects (cert_parse()). The result is what OpenSSL makes
 * of the whole.
 *
 * Nothing is judged here: whatever is not exactly the expected frame (indefinite lengths, other forms of certificates,
 * one twice, many) is left to OpenSSL as it stands.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/der.h"
#include "crypto/pki_internal.h"
#include "crypto/pkinit_cms.h"

#define CMS_MESSAGE_MAX (16u << 20) /* a software image; what comes by Kerberos is bounded there */
#define CERTS_MAX 4 /* more than PKINIT's messages have */

/* A SignedData taken apart; all spans lie in the message. */
struct parts {
	struct der_span type;  /* the OID of ContentInfo */
	struct der_span front; /* version, digest algorithms, content */
	struct der_span certs[CERTS_MAX];
	unsigned cert_count;
	struct der_span rest;  /* CRLs, signers */
};

static bool is_signed_data(const struct der_span *oid)
{
	static const uint8_t signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };

	return oid->len == sizeof signed_data && memcmp(oid->bytes, signed_data, sizeof signed_data) == 0;
}

static bool take_apart(struct der_span message, struct parts *parts)
{
	struct der_span info, oid, explicit_content, body, certs, unused;

	*parts = (struct parts){ .cert_count = 0 };
	if (!der_take(&message, DER_SEQUENCE, NULL, &info) || message.len ||
	    !der_take(&info, DER_OID, &parts->type, &oid) || !is_signed_data(&oid) ||
	    !der_take(&info, DER_CONTEXT_0, NULL, &explicit_content) || info.len ||
	    !der_take(&explicit_content, DER_SEQUENCE, NULL, &body) || explicit_content.len)
		return false;
	parts->front.bytes = body.bytes;
	if (!der_take(&body, DER_INTEGER, NULL, &unused) || !der_take(&body, DER_SET, NULL, &unused) ||
	    !der_take(&body, DER_SEQUENCE, NULL, &unused))
		return false;
	parts->front.len = (size_t)(body.bytes - parts->front.bytes);
	if (!der_take(&body, DER_CONTEXT_0, NULL, &certs) || !certs.len)
		return false;
	/* The field twice is an error, which taking out the first one would hide. */
	if (body.len && body.bytes[0] == DER_CONTEXT_0)
		return false;
	parts->rest = body;
	while (certs.len)
		if (parts->cert_count == CERTS_MAX ||
		    !der_take(&certs, DER_SEQUENCE, &parts->certs[parts->cert_count++], &unused))
			return false;
	return true;
}

/* The message without its certificates, in a buffer of the message's length. */
static struct der_span put_together(const struct parts *parts, uint8_t *buffer, size_t size)
{
	struct der_writer w = { buffer, buffer + size };
	const uint8_t *end = w.at;

	der_put(&w, parts->rest.bytes, parts->rest.len);
	der_put(&w, parts->front.bytes, parts->front.len);
	der_wrap(&w, DER_SEQUENCE, end);
	der_wrap(&w, DER_CONTEXT_0, end);
	der_put(&w, parts->type.bytes, parts->type.len);
	der_wrap(&w, DER_SEQUENCE, end);
	return (struct der_span){ w.at, (size_t)(end - w.at) };
}

static CMS_ContentInfo *decode_plain(OSSL_LIB_CTX *lib, const uint8_t *bytes, size_t len)
{
	const uint8_t *p = bytes;
	CMS_ContentInfo *cms = CMS_ContentInfo_new_ex(lib, NULL);

	if (!cms)
		abort();
	if (!d2i_CMS_ContentInfo(&cms, &p, (long)len))
		return NULL;
	if (p != bytes + len) {
		CMS_ContentInfo_free(cms);
		return NULL;
	}
	return cms;
}

static bool put_back(struct crypto *crypto, CMS_ContentInfo *cms, const struct parts *parts)
{
	bool ok = true;

	for (unsigned i = 0; ok && i < parts->cert_count; i++) {
		X509 *cert = cert_parse(crypto, parts->certs[i].bytes, parts->certs[i].len);

		ok = cert && CMS_add1_cert(cms, cert) > 0;
		X509_free(cert);
	}
	return ok;
}

/* NULL: not the expected frame, or no CMS. */
static CMS_ContentInfo *decode_apart(struct crypto *crypto, const uint8_t *bytes, size_t len)
{
	struct parts parts;
	struct der_span bare;
	uint8_t *buffer;
	CMS_ContentInfo *cms;

	if (!take_apart((struct der_span){ bytes, len }, &parts))
		return NULL;
	buffer = malloc(len);
	if (!buffer)
		abort();
	bare = put_together(&parts, buffer, len);
	cms = decode_plain(crypto->lib, bare.bytes, bare.len);
	crypto_wipe(buffer, len); /* it may hold a reply key */
	free(buffer);
	if (cms && !put_back(crypto, cms, &parts)) {
		CMS_ContentInfo_free(cms);
		cms = NULL;
	}
	return cms;
}

CMS_ContentInfo *cms_decode(struct crypto *crypto, const uint8_t *bytes, size_t len)
{
	CMS_ContentInfo *cms = NULL;

	if (!len || len > CMS_MESSAGE_MAX)
		return NULL;
	if (crypto)
		cms = decode_apart(crypto, bytes, len);
	if (!cms)
		cms = decode_plain(crypto ? crypto->lib : NULL, bytes, len);
	ERR_clear_error();
	return cms;
}

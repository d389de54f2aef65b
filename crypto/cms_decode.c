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
#include "crypto/pki_internal.h"
#include "crypto/pkinit_cms.h"

#define TAG_INTEGER 0x02
#define TAG_OID 0x06
#define TAG_SEQUENCE 0x30
#define TAG_SET 0x31
#define TAG_0 0xa0
#define HEADER_MAX 5 /* a tag and the length of KRB_MESSAGE_MAX bytes at most */
#define CERTS_MAX 4  /* more than PKINIT's messages have */

struct span {
	const uint8_t *bytes;
	size_t len;
};

/* Takes an element with this tag from the front. whole: with its header, NULL: not asked. False: another, or no DER. */
static bool take(struct span *in, uint8_t tag, struct span *whole, struct span *content)
{
	size_t header_len = 2, len;

	if (in->len < 2 || in->bytes[0] != tag)
		return false;
	len = in->bytes[1];
	if (len >= 0x80) {
		size_t count = len & 0x7f;

		if (count == 0 || count > HEADER_MAX - 2 || in->len < 2 + count || in->bytes[2] == 0)
			return false;
		len = 0;
		for (size_t i = 0; i < count; i++)
			len = len << 8 | in->bytes[2 + i];
		if (len < 0x80 || (count > 1 && len >> (8 * (count - 1)) == 0))
			return false;
		header_len += count;
	}
	if (len > in->len - header_len)
		return false;
	*content = (struct span){ in->bytes + header_len, len };
	if (whole)
		*whole = (struct span){ in->bytes, header_len + len };
	in->bytes += header_len + len;
	in->len -= header_len + len;
	return true;
}

/* A SignedData taken apart; all spans lie in the message. */
struct parts {
	struct span type;  /* the OID of ContentInfo */
	struct span front; /* version, digest algorithms, content */
	struct span certs[CERTS_MAX];
	unsigned cert_count;
	struct span rest;  /* CRLs, signers */
};

static bool is_signed_data(const struct span *oid)
{
	static const uint8_t signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };

	return oid->len == sizeof signed_data && memcmp(oid->bytes, signed_data, sizeof signed_data) == 0;
}

static bool take_apart(struct span message, struct parts *parts)
{
	struct span info, oid, explicit_content, body, certs, unused;

	*parts = (struct parts){ .cert_count = 0 };
	if (!take(&message, TAG_SEQUENCE, NULL, &info) || message.len || !take(&info, TAG_OID, &parts->type, &oid) ||
	    !is_signed_data(&oid) || !take(&info, TAG_0, NULL, &explicit_content) || info.len ||
	    !take(&explicit_content, TAG_SEQUENCE, NULL, &body) || explicit_content.len)
		return false;
	parts->front.bytes = body.bytes;
	if (!take(&body, TAG_INTEGER, NULL, &unused) || !take(&body, TAG_SET, NULL, &unused) ||
	    !take(&body, TAG_SEQUENCE, NULL, &unused))
		return false;
	parts->front.len = (size_t)(body.bytes - parts->front.bytes);
	if (!take(&body, TAG_0, NULL, &certs) || !certs.len)
		return false;
	/* The field twice is an error, which taking out the first one would hide. */
	if (body.len && body.bytes[0] == TAG_0)
		return false;
	parts->rest = body;
	while (certs.len)
		if (parts->cert_count == CERTS_MAX ||
		    !take(&certs, TAG_SEQUENCE, &parts->certs[parts->cert_count++], &unused))
			return false;
	return true;
}

static size_t header_len(size_t len)
{
	return len < 0x80 ? 2 : len < 0x100 ? 3 : len < 0x10000 ? 4 : 5;
}

static uint8_t *put_header(uint8_t *out, uint8_t tag, size_t len)
{
	size_t count = header_len(len) - 2;

	*out++ = tag;
	*out++ = (uint8_t)(count ? 0x80 | count : len);
	while (count > 0)
		*out++ = (uint8_t)(len >> (8 * --count));
	return out;
}

static uint8_t *put_span(uint8_t *out, const struct span *span)
{
	memcpy(out, span->bytes, span->len);
	return out + span->len;
}

/* The message without its certificates; the caller frees it. */
static uint8_t *put_together(const struct parts *parts, size_t *len)
{
	size_t body_len = parts->front.len + parts->rest.len, data_len = header_len(body_len) + body_len;
	size_t info_len = parts->type.len + header_len(data_len) + data_len;
	uint8_t *bytes = malloc(header_len(info_len) + info_len), *p = bytes;

	if (!bytes)
		abort();
	p = put_span(put_header(p, TAG_SEQUENCE, info_len), &parts->type);
	p = put_header(put_header(p, TAG_0, data_len), TAG_SEQUENCE, body_len);
	p = put_span(put_span(p, &parts->front), &parts->rest);
	*len = (size_t)(p - bytes);
	return bytes;
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
	size_t bare_len;
	uint8_t *bare;
	CMS_ContentInfo *cms;

	if (!take_apart((struct span){ bytes, len }, &parts))
		return NULL;
	bare = put_together(&parts, &bare_len);
	cms = decode_plain(crypto->lib, bare, bare_len);
	crypto_wipe(bare, bare_len); /* it may hold a reply key */
	free(bare);
	if (cms && !put_back(crypto, cms, &parts)) {
		CMS_ContentInfo_free(cms);
		cms = NULL;
	}
	return cms;
}

CMS_ContentInfo *cms_decode(struct crypto *crypto, const uint8_t *bytes, size_t len)
{
	CMS_ContentInfo *cms = NULL;

	if (!len || len > KRB_MESSAGE_MAX)
		return NULL;
	if (crypto)
		cms = decode_apart(crypto, bytes, len);
	if (!cms)
		cms = decode_plain(crypto ? crypto->lib : NULL, bytes, len);
	ERR_clear_error();
	return cms;
}

/*
 * CMS for PKINIT (pkinit_cms.h; RFC 5652, RFC 4556 sections 3.2.1 and 3.2.3): what is read is read by OpenSSL.
 *
 * Randomness: sealing draws from the module's stream; signing and opening draw only what does not show in the
 * result, from the context's blinding stream. A peer's errors leave nothing in OpenSSL's error queue.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include "crypto/pki_internal.h"
#include "crypto/pkinit_cms.h"

static const char *const content_oids[] = {
	[PKINIT_AUTH_DATA] = "1.3.6.1.5.2.3.1",
	[PKINIT_DH_KEY_DATA] = "1.3.6.1.5.2.3.2",
	[PKINIT_REPLY_KEY_DATA] = "1.3.6.1.5.2.3.3",
	[PKINIT_ID_DATA] = "1.2.840.113549.1.7.1",
};

static ASN1_OBJECT *content_oid(enum pkinit_content type)
{
	ASN1_OBJECT *oid = OBJ_txt2obj(content_oids[type], 1);
	if (!oid)
		abort();
	return oid;
}

/* Signing */

bool pkinit_sign(struct secure_module *sm, key_handle key, const struct der *cert, const struct der *extra,
                 enum pkinit_content type, const struct der *content, int64_t now_s, struct der *out)
{
	EVP_PKEY *pkey = sm_rsa_pkey(sm, key);
	return pkey && cms_sign(sm_crypto(sm), pkey, cert, extra, type, content, now_s, out);
}

/* Reading */

static bool is_content(const ASN1_OBJECT *oid, enum pkinit_content *type)
{
	for (size_t i = 0; i < sizeof(content_oids) / sizeof(content_oids[0]); i++) {
		ASN1_OBJECT *candidate = content_oid((enum pkinit_content)i);
		bool same = OBJ_cmp(oid, candidate) == 0;
		ASN1_OBJECT_free(candidate);
		if (same) {
			*type = (enum pkinit_content)i;
			return true;
		}
	}
	return false;
}

static bool copy_certificate(const X509 *x509, struct der *out)
{
	unsigned char *bytes = NULL;
	int len = i2d_X509(x509, &bytes);
	bool ok = len > 0 && krb_der_copy(out, bytes, (size_t)len);
	OPENSSL_free(bytes);
	return ok;
}

/* The signer's certificate and up to two others. */
static bool sort_certificates(CMS_ContentInfo *cms, CMS_SignerInfo *signer, struct pkinit_signed *got)
{
	STACK_OF(X509) *certs = CMS_get1_certs(cms);
	bool ok = true;
	for (int i = 0; ok && i < sk_X509_num(certs); i++) {
		X509 *x509 = sk_X509_value(certs, i);
		if (!got->signer.bytes && CMS_SignerInfo_cert_cmp(signer, x509) == 0)
			ok = copy_certificate(x509, &got->signer);
		else if (got->extra_count < sizeof(got->extra) / sizeof(got->extra[0]))
			ok = copy_certificate(x509, &got->extra[got->extra_count++]);
		else
			ok = false;
	}
	sk_X509_pop_free(certs, X509_free);
	return ok && got->signer.bytes;
}

bool pkinit_signed_read(struct crypto *crypto, const uint8_t *bytes, size_t len, struct pkinit_signed *out)
{
	struct pkinit_signed got = { .cms = cms_decode(crypto, bytes, len) };
	bool ok = got.cms && OBJ_obj2nid(CMS_get0_type(got.cms)) == NID_pkcs7_signed;
	ASN1_OCTET_STRING **content = ok ? CMS_get0_content(got.cms) : NULL;
	STACK_OF(CMS_SignerInfo) *signers = ok ? CMS_get0_SignerInfos(got.cms) : NULL;
	ok = content && *content && ASN1_STRING_length(*content) > 0 && sk_CMS_SignerInfo_num(signers) == 1 &&
	     is_content(CMS_get0_eContentType(got.cms), &got.type) &&
	     sort_certificates(got.cms, sk_CMS_SignerInfo_value(signers, 0), &got) &&
	     krb_der_copy(&got.content, ASN1_STRING_get0_data(*content), (size_t)ASN1_STRING_length(*content));
	ERR_clear_error();
	if (ok)
		*out = got;
	else
		pkinit_signed_free(&got);
	return ok;
}

void pkinit_signed_free(struct pkinit_signed *read)
{
	CMS_ContentInfo_free(read->cms);
	krb_der_wipe(&read->content);
	der_free(&read->signer);
	for (unsigned i = 0; i < read->extra_count; i++)
		der_free(&read->extra[i]);
	*read = (struct pkinit_signed){ .cms = NULL };
}

/* RFC 5652 section 5.3 wants attributes here, and RFC 5652 section 11.1 wants this one to repeat the content type. */
static bool attribute_names_type(CMS_ContentInfo *cms)
{
	CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
	const ASN1_OBJECT *oid =
		CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT);
	return oid ? OBJ_cmp(oid, CMS_get0_eContentType(cms)) == 0 :
	             OBJ_obj2nid(CMS_get0_eContentType(cms)) == NID_pkcs7_data && CMS_signed_get_attr_count(signer) < 0;
}

static unsigned key_bits(struct crypto *crypto, const struct der *cert)
{
	X509 *x509 = cert_parse(crypto, cert->bytes, cert->len);
	EVP_PKEY *pkey = x509 ? X509_get0_pubkey(x509) : NULL;
	unsigned bits = pkey ? (unsigned)EVP_PKEY_get_bits(pkey) : 0;
	ERR_clear_error();
	X509_free(x509);
	return bits;
}

/* RSA over a digest that can bear a signature: the peer chooses both, and OpenSSL would take MD5 as well. */
static bool suite_known(struct crypto *crypto, const struct pkinit_signed *read)
{
	CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(read->cms), 0);
	X509 *x509 = cert_parse(crypto, read->signer.bytes, read->signer.len);
	EVP_PKEY *pkey = x509 ? X509_get0_pubkey(x509) : NULL;
	bool rsa = pkey && EVP_PKEY_is_a(pkey, "RSA");
	X509_ALGOR *digest;
	CMS_SignerInfo_get0_algs(signer, NULL, NULL, &digest, NULL);
	int nid = OBJ_obj2nid(digest->algorithm);
	X509_free(x509);
	return rsa && (nid == NID_sha1 || nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512);
}

/* The hash of content and that of the attributes, which are hashed as a SET. */
static void count_hashes(struct crypto *crypto, const struct pkinit_signed *read)
{
	CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(read->cms), 0);
	X509_ALGOR *digest;
	int attributes_len = 0;
	if (!crypto->meter)
		return;
	CMS_SignerInfo_get0_algs(signer, NULL, NULL, &digest, NULL);
	enum crypto_op op = OBJ_obj2nid(digest->algorithm) == NID_sha1 ? CRYPTO_SHA1 : CRYPTO_SHA256;
	for (int i = 0; i < CMS_signed_get_attr_count(signer); i++)
		attributes_len += i2d_X509_ATTRIBUTE(CMS_signed_get_attr(signer, i), NULL);
	crypto_count(crypto, op, (uint32_t)read->content.len);
	if (attributes_len > 0)
		crypto_count(crypto, op, (uint32_t)ASN1_object_size(1, attributes_len, V_ASN1_SET));
}

bool pkinit_signed_verify(struct crypto *crypto, const struct pkinit_signed *read)
{
	bool ok = suite_known(crypto, read) && attribute_names_type(read->cms) &&
	          CMS_verify(read->cms, NULL, NULL, NULL, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) > 0;
	count_hashes(crypto, read);
	crypto_count(crypto, CRYPTO_RSA_VERIFY, key_bits(crypto, &read->signer));
	ERR_clear_error();
	return ok;
}

/* Envelopes */

bool pkinit_wrap(const struct der *signed_data, struct der *content_info)
{
	const uint8_t *p = signed_data->bytes;
	PKINIT_CONTENT_INFO *info = KRB_NEW(PKINIT_CONTENT_INFO);
	ASN1_OBJECT_free(info->type);
	info->type = OBJ_nid2obj(NID_pkcs7_signed);
	ASN1_TYPE_free(info->content);
	info->content = signed_data->len ? d2i_ASN1_TYPE(NULL, &p, (long)signed_data->len) : NULL;
	bool ok = info->content && info->content->type == V_ASN1_SEQUENCE &&
	          p == signed_data->bytes + signed_data->len && KRB_ENCODE(PKINIT_CONTENT_INFO, info, content_info);
	ERR_clear_error();
	KRB_FREE(PKINIT_CONTENT_INFO, info);
	return ok;
}

bool pkinit_unwrap(const struct der *content_info, struct der *signed_data)
{
	PKINIT_CONTENT_INFO *info = KRB_DECODE(PKINIT_CONTENT_INFO, content_info->bytes, content_info->len);
	bool ok = info && OBJ_obj2nid(info->type) == NID_pkcs7_signed && info->content->type == V_ASN1_SEQUENCE &&
	          krb_der_copy(signed_data, info->content->value.sequence->data,
	                       (size_t)info->content->value.sequence->length);
	KRB_FREE(PKINIT_CONTENT_INFO, info);
	return ok;
}

bool pkinit_envelope(struct secure_module *sm, const struct der *recipient, const struct der *signed_data,
                     struct der *out)
{
	struct crypto *crypto = sm_crypto(sm);
	X509 *x509 = cert_parse(crypto, recipient->bytes, recipient->len);
	EVP_PKEY *pkey = x509 ? X509_get0_pubkey(x509) : NULL;
	bool ok = pkey && EVP_PKEY_is_a(pkey, "RSA") && cms_envelope(sm, recipient, pkey, signed_data, out);
	if (ok) {
		crypto_count(crypto, CRYPTO_RSA_ENCRYPT, (uint32_t)EVP_PKEY_get_bits(pkey));
		crypto_count(crypto, CRYPTO_DES3_KEY, DES3_KEY_BITS);
		crypto_count(crypto, CRYPTO_DES3, (uint32_t)signed_data->len / 8 * 8 + 8);
	}
	ERR_clear_error();
	X509_free(x509);
	return ok;
}

/* The content under the content key that the structure now has; none: under a random one. */
static bool decrypt_content(CMS_ContentInfo *cms, struct der *out)
{
	BIO *plain = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	bool ok = plain && CMS_decrypt(cms, NULL, NULL, NULL, plain, CMS_BINARY) > 0;
	long len = ok ? BIO_get_mem_data(plain, &bytes) : 0;
	ok = len > 0 && krb_der_copy(out, (const uint8_t *)bytes, (size_t)len);
	if (bytes && len > 0)
		crypto_wipe(bytes, (size_t)len);
	BIO_free(plain);
	return ok;
}

/* The one recipient, when the key was transported to it and the content is what PKINIT puts there. */
static CMS_RecipientInfo *only_recipient(CMS_ContentInfo *cms)
{
	STACK_OF(CMS_RecipientInfo) *list = OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_enveloped ?
	                                    CMS_get0_RecipientInfos(cms) : NULL;
	CMS_RecipientInfo *recipient = sk_CMS_RecipientInfo_num(list) == 1 ? sk_CMS_RecipientInfo_value(list, 0) : NULL;
	if (!recipient || CMS_RecipientInfo_type(recipient) != CMS_RECIPINFO_TRANS ||
	    OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_signed)
		return NULL;
	return recipient;
}

/* By OpenSSL, for what cms_open_envelope() did not take. */
static enum pkinit_opened open_any(struct crypto *crypto, EVP_PKEY *pkey, const uint8_t *bytes, size_t len,
                                   bool tell_padding, struct der *signed_data)
{
	CMS_ContentInfo *cms = cms_decode(crypto, bytes, len);
	CMS_RecipientInfo *recipient = cms ? only_recipient(cms) : NULL;
	enum pkinit_opened opened = PKINIT_OPEN_FAILED;
	if (recipient && EVP_PKEY_up_ref(pkey)) {
		CMS_RecipientInfo_set0_pkey(recipient, pkey);
		bool unpadded = CMS_RecipientInfo_decrypt(cms, recipient) > 0;
		if (!unpadded && tell_padding)
			opened = PKINIT_OPEN_PADDING;
		else if (decrypt_content(cms, signed_data))
			opened = PKINIT_OPENED;
		crypto_count(crypto, CRYPTO_RSA_DECRYPT, (uint32_t)EVP_PKEY_get_bits(pkey));
		crypto_count(crypto, CRYPTO_DES3_KEY, DES3_KEY_BITS);
		crypto_count(crypto, CRYPTO_DES3, (uint32_t)len); /* hostile or foreign: about its content */
	}
	CMS_ContentInfo_free(cms);
	return opened;
}

enum pkinit_opened pkinit_open_envelope(struct secure_module *sm, key_handle key, const uint8_t *bytes, size_t len,
                                        bool tell_padding, struct der *signed_data)
{
	struct crypto *crypto = sm_crypto(sm);
	EVP_PKEY *pkey = sm_rsa_pkey(sm, key);
	enum pkinit_opened opened = PKINIT_OPEN_FAILED;
	size_t content_len;
	if (!pkey)
		return opened;
	crypto_random_begin(crypto, crypto_blinding(crypto));
	if (cms_open_envelope(crypto, pkey, bytes, len, signed_data, &content_len)) {
		opened = PKINIT_OPENED;
		crypto_count(crypto, CRYPTO_RSA_DECRYPT, (uint32_t)EVP_PKEY_get_bits(pkey));
		crypto_count(crypto, CRYPTO_DES3_KEY, DES3_KEY_BITS);
		crypto_count(crypto, CRYPTO_DES3, (uint32_t)content_len);
	} else {
		ERR_clear_error();
		opened = open_any(crypto, pkey, bytes, len, tell_padding, signed_data);
	}
	crypto_random_end(crypto);
	ERR_clear_error();
	return opened;
}

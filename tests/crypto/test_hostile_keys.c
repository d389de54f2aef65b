/*
 * Certificates whose key is no RSA key, from a peer that chose it for the harm it does: OpenSSL draws random numbers
 * while it decodes a compressed point of some curves and while it verifies a signature on others. What a peer sends
 * must neither reach a generator that has no source at that moment (which is a defect of ours and ends the run) nor be
 * taken for a signature.
 */
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include "crypto/internal.h"
#include "crypto/pki_internal.h"
#include "tests/crypto/pkinit_world.h"

/*
 * c2pnb176v1: a compressed point is decoded by a search with random numbers. sect233k1: a ladder with random
 * coordinates.
 */
static const struct hostile_key {
	const char *curve, *form;
} hostile_keys[] = {
	{ "c2pnb176v1", OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED },
	{ "sect233k1", OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED },
	{ "prime256v1", OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED },
};
#define HOSTILE_KEYS ((int)(sizeof hostile_keys / sizeof *hostile_keys))

/*
 * In OpenSSL's default context, which knows such keys and has a generator of its own: which key it is does not matter.
 */
static EVP_PKEY *make_key(const struct hostile_key *hostile)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pkey = NULL;

	ck_assert_int_gt(EVP_PKEY_keygen_init(ctx), 0);
	ck_assert_int_gt(EVP_PKEY_CTX_set_group_name(ctx, hostile->curve), 0);
	ck_assert_int_gt(EVP_PKEY_generate(ctx, &pkey), 0);
	ck_assert(EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, hostile->form));
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* Signs itself; its issuer's name is the operator's CA's. */
static X509 *make_cert(struct world *w, EVP_PKEY *pkey)
{
	X509 *cert = X509_new(), *ca = cert_parse(w->crypto, w->pki.op_ca.bytes, w->pki.op_ca.len);

	ck_assert(X509_set_version(cert, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 77) &&
	          X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	                                     (const uint8_t *)"mallory", -1, -1, 0) &&
	          X509_set_issuer_name(cert, X509_get_subject_name(ca)) &&
	          ASN1_TIME_set(X509_getm_notBefore(cert), NOW - 60) &&
	          ASN1_TIME_set(X509_getm_notAfter(cert), NOW + 86400) &&
	          X509_set_pubkey(cert, pkey));
	ck_assert_int_gt(X509_sign(cert, pkey, EVP_sha256()), 0);
	X509_free(ca);
	return cert;
}

/* ContentInfo(SignedData) of that type over the content, as pkinit_sign() makes it but with any key and digest. */
static struct der sign(OSSL_LIB_CTX *lib, X509 *cert, EVP_PKEY *pkey, const char *type, const char *digest,
                       const struct der *content)
{
	const unsigned flags = CMS_PARTIAL | CMS_BINARY | CMS_NOSMIMECAP;
	CMS_ContentInfo *cms = CMS_sign_ex(NULL, NULL, NULL, NULL, flags, lib, NULL);
	ASN1_OBJECT *oid = OBJ_txt2obj(type, 1);
	EVP_MD *md = EVP_MD_fetch(lib, digest, NULL);
	BIO *in = BIO_new_mem_buf(content->bytes, (int)content->len);
	struct der out = { 0 };
	uint8_t *bytes = NULL;
	int len;

	ck_assert(cms && CMS_set1_eContentType(cms, oid) && CMS_add1_signer(cms, cert, pkey, md, flags) &&
	          CMS_final(cms, in, NULL, CMS_BINARY) > 0);
	len = i2d_CMS_ContentInfo(cms, &bytes);
	ck_assert_int_gt(len, 0);
	krb_der_copy(&out, bytes, (size_t)len);
	OPENSSL_free(bytes);
	BIO_free(in);
	EVP_MD_free(md);
	ASN1_OBJECT_free(oid);
	CMS_ContentInfo_free(cms);
	return out;
}

/* The AuthPack of a request, signed anew by somebody. */
static void sign_request(struct world *w, struct exchange *x, OSSL_LIB_CTX *lib, X509 *cert, EVP_PKEY *pkey,
                         const char *digest)
{
	struct krb_as_facts facts;
	struct der signed_pack, padata_der = { 0 };
	KRB_KDC_REQ *request;
	KRB_TYPED *typed;
	PKINIT_AS_REQ *padata;

	ck_assert(krb_as_parse(w->crypto, x->request.bytes, x->request.len, &facts));
	signed_pack = sign(lib, cert, pkey, "1.3.6.1.5.2.3.1", digest,
	                   &((struct krb_as_inside *)facts.inside)->content);
	krb_as_facts_free(&facts);
	request = KRB_DECODE(KRB_AS_REQUEST, x->request.bytes, x->request.len);
	typed = (KRB_TYPED *)krb_find_typed(request->padata, KRB_PA_PK_AS_REQ);
	padata = KRB_DECODE(PKINIT_AS_REQ, ASN1_STRING_get0_data(typed->value),
	                    (size_t)ASN1_STRING_length(typed->value));
	krb_put_octets(&padata->signed_auth_pack, signed_pack.bytes, signed_pack.len);
	ck_assert(KRB_ENCODE(PKINIT_AS_REQ, padata, &padata_der));
	krb_put_octets(&typed->value, padata_der.bytes, padata_der.len);
	der_free(&x->request);
	ck_assert(KRB_ENCODE(KRB_AS_REQUEST, request, &x->request));
	der_free(&padata_der);
	der_free(&signed_pack);
	KRB_FREE(PKINIT_AS_REQ, padata);
	KRB_FREE(KRB_AS_REQUEST, request);
}

/* A request at the KDC: parsed at most, and never verified. */
START_TEST(as_request)
{
	struct world *w = &the_world;
	struct krb_as_facts facts;
	struct exchange x;
	EVP_PKEY *pkey;
	X509 *cert;

	ask(w, &x, false, PKINIT_BIND_ASCHECKSUM);
	pkey = make_key(&hostile_keys[_i]);
	cert = make_cert(w, pkey);
	sign_request(w, &x, NULL, cert, pkey, "SHA256");
	if (krb_as_parse(w->crypto, x.request.bytes, x.request.len, &facts)) {
		ck_assert(!pkinit_check_signature(w->crypto, &facts));
		krb_as_facts_free(&facts);
	}
	ck_assert_uint_eq(ERR_peek_error(), 0);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	finish(&x);
}
END_TEST

static const uint8_t *spare_bytes;
static size_t spare_len;

static void replace_signed(struct der *whole)
{
	der_free(whole);
	krb_der_copy(whole, spare_bytes, spare_len);
}

/* A reply at a CTA, sealed or not, with every check that a switch can turn off turned off. */
START_TEST(as_reply)
{
	struct world *w = &the_world;
	const bool dh = _i >= HOSTILE_KEYS;
	struct pkinit_policy policy = { .now_s = NOW };
	struct pkinit_signed read;
	struct der whole;
	struct exchange x;
	EVP_PKEY *pkey;
	X509 *cert;

	ask(w, &x, dh, PKINIT_BIND_ASCHECKSUM);
	answer(w, &x, &w->authority, PKINIT_BIND_ASCHECKSUM, NULL);
	pkey = make_key(&hostile_keys[_i % HOSTILE_KEYS]);
	cert = make_cert(w, pkey);
	whole = (struct der){ 0 };
	krb_der_copy(&whole, (const uint8_t *)"content", 7);
	read = (struct pkinit_signed){ .content = whole };
	whole = sign(NULL, cert, pkey, dh ? "1.3.6.1.5.2.3.2" : "1.3.6.1.5.2.3.3", "SHA256", &read.content);
	der_free(&read.content);
	spare_bytes = whole.bytes;
	spare_len = whole.len;
	alter_signed(w, &x, replace_signed);
	ck_assert_int_ne(judge(w, &x, &policy), KRB_REPLY_OK);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	der_free(&whole);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	finish(&x);
}
END_TEST

/* A certificate by itself: read, verified, as a root, as an issuer in a chain, with a CRL. */
START_TEST(certificate)
{
	struct world *w = &the_world;
	struct cert_facts facts;
	struct der der = { 0 };
	EVP_PKEY *pkey;
	X509 *cert;
	uint8_t *bytes = NULL;
	int len;

	pkey = make_key(&hostile_keys[_i]);
	cert = make_cert(w, pkey);
	len = i2d_X509(cert, &bytes);
	ck_assert(pki_take(bytes, len, &der));
	X509_free(cert);
	ck_assert(!cert_read_with(w->crypto, der.bytes, der.len, &facts));
	ck_assert_int_ne(cert_verify(w->crypto, &der, &w->pki.op_ca, 1, &w->pki.root, 1, NOW, false), CERT_OK);
	ck_assert_int_ne(cert_verify(w->crypto, &w->pki.kdc, &der, 1, &der, 1, NOW, false), CERT_OK);
	ck_assert_int_ne(crl_check(w->crypto, &w->crl, &der, &w->pki.kdc, NOW), CRL_CLEAR);
	ck_assert(!sm_install_root(w->cta.sm, der.bytes, der.len));
	ck_assert_uint_eq(ERR_peek_error(), 0);
	EVP_PKEY_free(pkey);
	der_free(&der);
}
END_TEST

/* RSA, but over a digest that no suite here has. */
START_TEST(digests)
{
	static const struct {
		const char *digest;
		bool good;
	} cases[] = { { "SHA256", true }, { "SHA1", true }, { "SHA512", true }, { "MD5", false }, { "SHA224", false } };
	struct world *w = &the_world;
	struct krb_as_facts facts;
	struct exchange x;
	X509 *cert = cert_parse(w->crypto, w->identity.cert.bytes, w->identity.cert.len);

	ask(w, &x, false, PKINIT_BIND_ASCHECKSUM);
	crypto_random_begin(w->crypto, crypto_blinding(w->crypto));
	sign_request(w, &x, w->crypto->lib, cert, sm_rsa_pkey(w->cta.sm, w->identity.rsa_key), cases[_i].digest);
	crypto_random_end(w->crypto);
	ck_assert(krb_as_parse(w->crypto, x.request.bytes, x.request.len, &facts));
	ck_assert_msg(pkinit_check_signature(w->crypto, &facts) == cases[_i].good, "%s", cases[_i].digest);
	krb_as_facts_free(&facts);
	X509_free(cert);
	finish(&x);
}
END_TEST

/* The header of a DER element of up to 64 kB, four bytes long; returns the bytes behind it. */
static uint8_t *put_header(uint8_t *out, uint8_t tag, size_t len)
{
	*out++ = tag;
	*out++ = 0x82;
	*out++ = (uint8_t)(len >> 8);
	*out++ = (uint8_t)len;
	return out;
}

/*
 * A SignedData with its certificates said twice: the field may be there once (RFC 5652 section 5.1). The field stands
 * behind the content, whose length is known; all elements around it have lengths of two bytes.
 */
static struct der say_certificates_twice(const struct der *in)
{
	static const uint8_t front[] = { 0xa0, 0x82 }; /* [0], and then a SEQUENCE: a certificate */
	const uint8_t *certs = NULL;
	struct der out = { 0 };
	uint8_t *p;
	size_t certs_len, info_at, whole_len;

	for (size_t i = 30; i + 6 < in->len && !certs; i++)
		if (memcmp(in->bytes + i, front, 2) == 0 && in->bytes[i + 4] == 0x30 && in->bytes[i + 5] == 0x82 &&
		    i + 4 + ((size_t)in->bytes[i + 2] << 8 | in->bytes[i + 3]) < in->len && in->bytes[i + 8] == 0x30)
			certs = in->bytes + i;
	ck_assert_ptr_nonnull(certs);
	certs_len = 4 + ((size_t)certs[2] << 8 | certs[3]);
	/* SEQUENCE { OID (11 bytes) [0] { SEQUENCE { ... */
	info_at = 4 + 11;
	ck_assert(in->bytes[1] == 0x82 && in->bytes[info_at] == 0xa0 && in->bytes[info_at + 5] == 0x82);
	whole_len = in->len + certs_len;
	out.bytes = p = malloc(whole_len);
	out.len = whole_len;
	p = put_header(p, 0x30, whole_len - 4);
	memcpy(p, in->bytes + 4, 11);
	p = put_header(p + 11, 0xa0, whole_len - info_at - 4);
	p = put_header(p, 0x30, whole_len - info_at - 8);
	memcpy(p, in->bytes + info_at + 8, (size_t)(certs + certs_len - in->bytes) - info_at - 8);
	p += (size_t)(certs + certs_len - in->bytes) - info_at - 8;
	memcpy(p, certs, certs_len);
	p[certs_len - 1] ^= 1; /* another certificate: one twice would be noticed */
	memcpy(p + certs_len, certs + certs_len, in->len - (size_t)(certs - in->bytes) - certs_len);
	return out;
}

START_TEST(certificates_twice)
{
	struct world *w = &the_world;
	X509 *cert = cert_parse(w->crypto, w->identity.cert.bytes, w->identity.cert.len);
	struct der content = { 0 }, once, twice;
	struct pkinit_signed read;

	krb_der_copy(&content, (const uint8_t *)"content", 7);
	crypto_random_begin(w->crypto, crypto_blinding(w->crypto));
	once = sign(w->crypto->lib, cert, sm_rsa_pkey(w->cta.sm, w->identity.rsa_key), "1.3.6.1.5.2.3.1", "SHA256",
	            &content);
	crypto_random_end(w->crypto);
	twice = say_certificates_twice(&once);
	ck_assert(pkinit_signed_read(w->crypto, once.bytes, once.len, &read));
	pkinit_signed_free(&read);
	ck_assert(!pkinit_signed_read(w->crypto, twice.bytes, twice.len, &read));
	X509_free(cert);
	der_free(&content);
	der_free(&once);
	der_free(&twice);
}
END_TEST

/* Nobody at all: a subject without components can be read, and is nobody that anything is granted to. */
START_TEST(empty_subject)
{
	struct world *w = &the_world;
	EVP_PKEY *pkey = sm_rsa_pkey(w->cta.sm, w->identity.rsa_key);
	X509_NAME *nobody = X509_NAME_new();
	struct cert_facts facts;
	struct der der = { 0 };
	uint8_t *bytes = NULL;
	X509 *cert;
	int len;

	crypto_random_begin(w->crypto, crypto_blinding(w->crypto));
	cert = make_cert(w, pkey);
	ck_assert(X509_set_subject_name(cert, nobody) && X509_sign(cert, pkey, EVP_sha256()) > 0);
	crypto_random_end(w->crypto);
	len = i2d_X509(cert, &bytes);
	ck_assert(pki_take(bytes, len, &der));
	ck_assert(cert_read_with(w->crypto, der.bytes, der.len, &facts));
	ck_assert_str_eq(facts.subject, "");
	ck_assert_int_eq(facts.kind, CERT_UNKNOWN);
	X509_NAME_free(nobody);
	X509_free(cert);
	der_free(&der);
}
END_TEST

static void ignore(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	(void)ctx;
	(void)path;
	(void)value;
	(void)class_;
}

static void free_typed(KRB_TYPED *typed)
{
	KRB_FREE(KRB_PA_DATA, typed);
}

/* An encryption type of 80 bits: described without it, and nothing stays in OpenSSL's queue of errors. */
START_TEST(huge_number)
{
	struct world *w = &the_world;
	struct krb_as_facts facts;
	struct exchange x;
	KRB_KDC_REQ *request;
	ASN1_INTEGER *huge = ASN1_INTEGER_new();

	ask(w, &x, false, PKINIT_BIND_ASCHECKSUM);
	request = KRB_DECODE(KRB_AS_REQUEST, x.request.bytes, x.request.len);
	ck_assert(ASN1_STRING_set(huge, "\x7f\0\0\0\0\0\0\0\0\0", 10) &&
	          sk_ASN1_INTEGER_push(request->body->etypes, huge));
	request->body->enc.modified = 1;
	sk_KRB_TYPED_pop_free(request->padata, free_typed);
	request->padata = NULL;
	der_free(&x.request);
	ck_assert(KRB_ENCODE(KRB_AS_REQUEST, request, &x.request));
	krb_describe(x.request.bytes, x.request.len, ignore, NULL);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	ck_assert(krb_as_parse(w->crypto, x.request.bytes, x.request.len, &facts));
	ck_assert(facts.wants_des3);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	krb_as_facts_free(&facts);
	KRB_FREE(KRB_AS_REQUEST, request);
	finish(&x);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile_keys");
	TCase *cases = tcase_create("hostile_keys");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(cases, world_init, world_free);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, as_request, 0, HOSTILE_KEYS);
	tcase_add_loop_test(cases, as_reply, 0, 2 * HOSTILE_KEYS);
	tcase_add_loop_test(cases, certificate, 0, HOSTILE_KEYS);
	tcase_add_loop_test(cases, digests, 0, 5);
	tcase_add_test(cases, certificates_twice);
	tcase_add_test(cases, empty_subject);
	tcase_add_test(cases, huge_number);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

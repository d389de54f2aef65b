/*
 * CMS by hand against OpenSSL's: SignedData and EnvelopedData with the same bytes (cms_sign.c, cms_envelope.c), the same
 * verdict on every mutilated SignedData (cms_decode.c), and no mutilated EnvelopedData opened that OpenSSL would not open.
 */
#include <openssl/err.h>
#include "crypto/pki_internal.h"
#include "tests/crypto/pkinit_world.h"

/* OpenSSL's way to the same SignedData. */
static struct der reference(const struct world *w, EVP_PKEY *pkey, const struct der *cert, const struct der *extra,
                            const char *oid, const struct der *content, int64_t now_s)
{
	const unsigned flags = CMS_PARTIAL | CMS_BINARY | CMS_NOSMIMECAP;
	OSSL_LIB_CTX *lib = w->crypto->lib;
	X509 *signer = cert_parse(w->crypto, cert->bytes, cert->len);
	X509 *other = extra ? cert_parse(w->crypto, extra->bytes, extra->len) : NULL;
	BIO *in = BIO_new_mem_buf(content->bytes, (int)content->len);
	ASN1_OBJECT *type = OBJ_txt2obj(oid, 1);
	ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)now_s);
	CMS_ContentInfo *cms = CMS_sign_ex(NULL, NULL, NULL, NULL, flags, lib, NULL);
	CMS_SignerInfo *info;
	struct der out = { NULL, 0 };
	unsigned char *bytes = NULL;
	int len;

	ck_assert(CMS_set1_eContentType(cms, type));
	info = CMS_add1_signer(cms, signer, pkey, w->crypto->sha256, flags);
	ck_assert_ptr_nonnull(info);
	ck_assert(!other || CMS_add1_cert(cms, other));
	ck_assert(CMS_signed_add1_attr_by_NID(info, NID_pkcs9_signingTime, ASN1_STRING_type(time), time, -1));
	crypto_random_begin(w->crypto, crypto_blinding(w->crypto));
	ck_assert(CMS_final(cms, in, NULL, CMS_BINARY));
	crypto_random_end(w->crypto);
	len = i2d_CMS_ContentInfo(cms, &bytes);
	ck_assert(len > 0 && krb_der_copy(&out, bytes, (size_t)len));
	OPENSSL_free(bytes);
	CMS_ContentInfo_free(cms);
	ASN1_TIME_free(time);
	ASN1_OBJECT_free(type);
	BIO_free(in);
	X509_free(other);
	X509_free(signer);
	return out;
}

static const char *const oids[] = {
	[PKINIT_AUTH_DATA] = "1.3.6.1.5.2.3.1",
	[PKINIT_DH_KEY_DATA] = "1.3.6.1.5.2.3.2",
	[PKINIT_REPLY_KEY_DATA] = "1.3.6.1.5.2.3.3",
	[PKINIT_ID_DATA] = "1.2.840.113549.1.7.1",
};

static void check_same(const struct world *w, enum pkinit_content type, size_t content_len, const struct der *extra,
                       int64_t now_s)
{
	struct der content = { malloc(content_len), content_len }, ours, theirs;
	EVP_PKEY *pkey = sm_rsa_pkey(w->cta.sm, w->identity.rsa_key);

	memset(content.bytes, 0x5a, content_len);
	ck_assert(cms_sign(w->crypto, pkey, &w->identity.cert, extra, type, &content, now_s, &ours));
	theirs = reference(w, pkey, &w->identity.cert, extra, oids[type], &content, now_s);
	ck_assert_uint_eq(ours.len, theirs.len);
	ck_assert_mem_eq(ours.bytes, theirs.bytes, ours.len);
	der_free(&ours);
	der_free(&theirs);
	der_free(&content);
}

START_TEST(signed_data_has_openssls_bytes)
{
	const struct world *w = &the_world;
	const struct der *extras[] = { NULL, &w->pki.op_ca, &w->pki.root, &w->pki.kdc, &w->pki.device };
	static const size_t lengths[] = { 1, 100, 127, 128, 255, 256, 1000, 10000 };
	const int64_t times[] = { 0, NOW, INT64_C(2524607999), INT64_C(2524608000) }; /* UTCTime ends with 2049 */

	for (int type = 0; type < 4; type++)
		for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++)
			check_same(w, (enum pkinit_content)type, 200, extras[i], NOW);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
		check_same(w, PKINIT_AUTH_DATA, lengths[i], &w->pki.op_ca, NOW);
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
		check_same(w, PKINIT_AUTH_DATA, 50, NULL, times[i]);
}
END_TEST

START_TEST(certificate_that_is_none_signs_nothing)
{
	const struct world *w = &the_world;
	EVP_PKEY *pkey = sm_rsa_pkey(w->cta.sm, w->identity.rsa_key);
	uint8_t byte = 1;
	struct der content = { &byte, 1 }, cut = w->identity.cert, none = { NULL, 0 }, out;

	for (cut.len = 0; cut.len < w->identity.cert.len; cut.len++)
		ck_assert(!cms_sign(w->crypto, pkey, &cut, NULL, PKINIT_AUTH_DATA, &content, NOW, &out));
	ck_assert(!cms_sign(w->crypto, pkey, &none, NULL, PKINIT_AUTH_DATA, &content, NOW, &out));
}
END_TEST

/* OpenSSL's encoding of what was decoded; empty: nothing was. */
static struct der encoding_of(CMS_ContentInfo *cms)
{
	struct der out = { NULL, 0 };
	int len = cms ? i2d_CMS_ContentInfo(cms, &out.bytes) : 0;

	out.len = len > 0 ? (size_t)len : 0;
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	return out;
}

static CMS_ContentInfo *decode_whole(const struct world *w, const uint8_t *bytes, size_t len)
{
	const uint8_t *p = bytes;
	CMS_ContentInfo *cms = CMS_ContentInfo_new_ex(w->crypto->lib, NULL);

	if (!d2i_CMS_ContentInfo(&cms, &p, (long)len))
		return NULL;
	if (p == bytes + len)
		return cms;
	CMS_ContentInfo_free(cms);
	return NULL;
}

static void check_decoded(const struct world *w, const uint8_t *bytes, size_t len)
{
	struct der ours = encoding_of(cms_decode(w->crypto, bytes, len));
	struct der theirs = encoding_of(decode_whole(w, bytes, len));

	ck_assert_uint_eq(ours.len, theirs.len);
	ck_assert(ours.len == 0 || memcmp(ours.bytes, theirs.bytes, ours.len) == 0);
	OPENSSL_free(ours.bytes);
	OPENSSL_free(theirs.bytes);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

/* Every bit that can decide how the frame is read, and a sample of the others; and every cut. */
START_TEST(mutilated_signed_data_is_read_as_openssl_reads_it)
{
	const struct world *w = &the_world;
	EVP_PKEY *pkey = sm_rsa_pkey(w->cta.sm, w->identity.rsa_key);
	uint8_t bytes[20] = { 0x30, 0x12 };
	struct der content = { bytes, sizeof bytes }, whole;

	ck_assert(cms_sign(w->crypto, pkey, &w->identity.cert, &w->pki.op_ca, PKINIT_AUTH_DATA, &content, NOW, &whole));
	check_decoded(w, whole.bytes, whole.len);
	for (size_t at = 0; at < whole.len; at += at < 160 ? 1 : 7) {
		for (unsigned bit = 0; bit < 8; bit += at < 160 ? 1 : 3) {
			whole.bytes[at] ^= (uint8_t)(1u << bit);
			check_decoded(w, whole.bytes, whole.len);
			whole.bytes[at] ^= (uint8_t)(1u << bit);
		}
	}
	for (size_t len = 0; len < whole.len; len += 3)
		check_decoded(w, whole.bytes, len);
	der_free(&whole);
}
END_TEST

/* EnvelopedData */

static struct der sealed_by_openssl(const struct world *w, const struct der *plain)
{
	struct seed_stream stream;
	struct random_source random = { seed_stream_fill, &stream };
	X509 *cert = cert_parse(w->crypto, w->identity.cert.bytes, w->identity.cert.len);
	BIO *in = BIO_new_mem_buf(plain->bytes, (int)plain->len);
	CMS_ContentInfo *cms;
	struct der out = { NULL, 0 };
	unsigned char *bytes = NULL;
	int len;

	seed_stream_init(&stream, "envelope");
	crypto_random_begin(w->crypto, &random);
	cms = CMS_EnvelopedData_create_ex(w->crypto->des3_cbc, w->crypto->lib, NULL);
	ck_assert(cms && CMS_set_detached(cms, 0) && CMS_set1_eContentType(cms, OBJ_nid2obj(NID_pkcs7_signed)) &&
	          CMS_add1_recipient_cert(cms, cert, 0) && CMS_final(cms, in, NULL, CMS_BINARY));
	crypto_random_end(w->crypto);
	len = i2d_CMS_ContentInfo(cms, &bytes);
	ck_assert(len > 0 && krb_der_copy(&out, bytes, (size_t)len));
	OPENSSL_free(bytes);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	X509_free(cert);
	return out;
}

static struct der sealed_by_us(const struct world *w, const struct der *plain)
{
	struct seed_stream stream;
	struct random_source random = { seed_stream_fill, &stream };
	struct secure_module *sm = sm_new(w->crypto, "sealer", &random);
	struct der out = { NULL, 0 };

	seed_stream_init(&stream, "envelope");
	ck_assert(pkinit_envelope(sm, &w->identity.cert, plain, &out));
	sm_free(sm);
	return out;
}

START_TEST(enveloped_data_has_openssls_bytes)
{
	static const size_t lengths[] = { 1, 7, 8, 9, 100, 127, 128, 255, 256, 1000, 10000 };
	const struct world *w = &the_world;

	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct der plain = { malloc(lengths[i]), lengths[i] }, ours, theirs;

		memset(plain.bytes, 0xa5, plain.len);
		ours = sealed_by_us(w, &plain);
		theirs = sealed_by_openssl(w, &plain);
		ck_assert_uint_eq(ours.len, theirs.len);
		ck_assert_mem_eq(ours.bytes, theirs.bytes, ours.len);
		der_free(&ours);
		der_free(&theirs);
		der_free(&plain);
	}
}
END_TEST

static bool opened_by_openssl(const struct world *w, EVP_PKEY *pkey, const uint8_t *bytes, size_t len, struct der *plain)
{
	CMS_ContentInfo *cms = decode_whole(w, bytes, len);
	STACK_OF(CMS_RecipientInfo) *list = cms ? CMS_get0_RecipientInfos(cms) : NULL;
	BIO *out = BIO_new(BIO_s_mem());
	char *text = NULL;
	bool ok = false;

	if (list && sk_CMS_RecipientInfo_num(list) == 1 && EVP_PKEY_up_ref(pkey)) {
		CMS_RecipientInfo_set0_pkey(sk_CMS_RecipientInfo_value(list, 0), pkey);
		ok = CMS_RecipientInfo_decrypt(cms, sk_CMS_RecipientInfo_value(list, 0)) > 0 &&
		     CMS_decrypt(cms, NULL, NULL, NULL, out, CMS_BINARY) > 0;
	}
	if (ok) {
		long text_len = BIO_get_mem_data(out, &text);

		ok = krb_der_copy(plain, (uint8_t *)text, (size_t)text_len);
	}
	BIO_free(out);
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	return ok;
}

/* Whether it was opened by hand; then OpenSSL must find the same in it. */
static bool check_opened(const struct world *w, EVP_PKEY *pkey, const uint8_t *bytes, size_t len)
{
	struct der ours = { NULL, 0 }, theirs = { NULL, 0 };
	size_t content_len;
	bool opened;

	crypto_random_begin(w->crypto, crypto_blinding(w->crypto));
	opened = cms_open_envelope(w->crypto, pkey, bytes, len, &ours, &content_len);
	ERR_clear_error();
	if (opened) {
		ck_assert(opened_by_openssl(w, pkey, bytes, len, &theirs));
		ck_assert_uint_eq(ours.len, theirs.len);
		ck_assert_mem_eq(ours.bytes, theirs.bytes, ours.len);
	}
	crypto_random_end(w->crypto);
	der_free(&ours);
	der_free(&theirs);
	return opened;
}

START_TEST(mutilated_enveloped_data_is_opened_only_as_openssl_opens_it)
{
	const struct world *w = &the_world;
	EVP_PKEY *pkey = sm_rsa_pkey(w->cta.sm, w->identity.rsa_key);
	uint8_t bytes[20] = { 0x30, 0x12 };
	struct der plain = { bytes, sizeof bytes }, whole = sealed_by_us(w, &plain);
	unsigned opened = 0;

	ck_assert(check_opened(w, pkey, whole.bytes, whole.len));
	for (size_t at = 0; at < whole.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			whole.bytes[at] ^= (uint8_t)(1u << bit);
			opened += check_opened(w, pkey, whole.bytes, whole.len);
			whole.bytes[at] ^= (uint8_t)(1u << bit);
		}
	}
	ck_assert_uint_gt(opened, 64); /* the initial vector at least, and what names the recipient */
	for (size_t len = 0; len < whole.len; len++)
		ck_assert(!check_opened(w, pkey, whole.bytes, len));
	der_free(&whole);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cms");
	TCase *tc = tcase_create("by hand");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, world_init, world_free);
	tcase_add_test(tc, signed_data_has_openssls_bytes);
	tcase_add_test(tc, certificate_that_is_none_signs_nothing);
	tcase_add_test(tc, mutilated_signed_data_is_read_as_openssl_reads_it);
	tcase_add_test(tc, enveloped_data_has_openssls_bytes);
	tcase_add_test(tc, mutilated_enveloped_data_is_opened_only_as_openssl_opens_it);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

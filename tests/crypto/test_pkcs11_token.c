/*
 * An external PKCS#11 token for RSA: SoftHSM2, initialised in a temporary folder, against the keys in the module
 * itself. PKCS #1 v1.5 signatures are deterministic, so both must give the same bytes. Without SoftHSM2 the tests say
 * so and are skipped.
 */
#define _XOPEN_SOURCE 700 /* nftw() */
#define _DEFAULT_SOURCE
#include <check.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include "crypto/internal.h"
#include "crypto/pkcs11_token.h"
#include "tests/crypto/fixture.h"
#include "tests/crypto/softhsm.h"

#define PIN SOFTHSM_PIN
#define LABEL "tollgate test"

/* SoftHSM2 with one initialised token, and the same RSA key in it and in a module. */
struct bench {
	char folder[64];
	struct fixture f;
	struct key_pool *pool;
	const uint8_t *pkcs8;
	size_t pkcs8_len;
	EVP_PKEY *built_in;
	struct pkcs11_token *token;
};

static void bench_init(struct bench *b)
{
	char error[PKCS11_ERROR_LEN] = "";

	fixture_init(&b->f, "token");
	b->pool = key_pool_new(b->f.crypto, FIXTURE_POOL_SEED, NULL);
	b->pkcs8 = key_pool_get(b->pool, "device", 1024, &b->pkcs8_len);
	b->built_in = crypto_private_key(b->f.crypto, b->pkcs8, b->pkcs8_len);
	ck_assert_ptr_nonnull(b->built_in);
	snprintf(b->folder, sizeof b->folder, "%s", "/tmp/tollgate-softhsm-XXXXXX");
	softhsm_init(b->folder, LABEL);
	b->token = pkcs11_token_open(softhsm_library(), LABEL, PIN, error);
	ck_assert_msg(b->token, "%s", error);
}

static void bench_free(struct bench *b)
{
	pkcs11_token_close(b->token);
	EVP_PKEY_free(b->built_in);
	key_pool_free(b->pool);
	fixture_free(&b->f);
	softhsm_free(b->folder);
}

static EVP_PKEY *load_key(struct bench *b)
{
	char error[PKCS11_ERROR_LEN] = "";
	EVP_PKEY *pkey = pkcs11_token_load(b->token, "device", b->pkcs8, b->pkcs8_len, error);

	ck_assert_msg(pkey, "%s", error);
	return pkey;
}

/* EVP_DigestSign() in the crypto's library context. */
static size_t sign(struct bench *b, EVP_PKEY *pkey, const char *digest, const char *text, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = PKCS11_SIGNATURE_MAX;
	bool ok;

	crypto_random_begin(b->f.crypto, crypto_blinding(b->f.crypto));
	ok = EVP_DigestSignInit_ex(ctx, NULL, digest, b->f.crypto->lib, NULL, pkey, NULL) > 0 &&
	     EVP_DigestSign(ctx, out, &len, (const uint8_t *)text, strlen(text)) > 0;
	crypto_random_end(b->f.crypto);
	if (!ok)
		ERR_print_errors_fp(stderr);
	ck_assert(ok);
	EVP_MD_CTX_free(ctx);
	return len;
}

START_TEST(evp_signatures)
{
	const char *digests[] = { "SHA1", "SHA256" };
	uint8_t ours[PKCS11_SIGNATURE_MAX], theirs[PKCS11_SIGNATURE_MAX];
	struct bench b;
	EVP_PKEY *pkey;

	bench_init(&b);
	pkey = load_key(&b);
	for (int i = 0; i < 2; i++) {
		size_t len = sign(&b, b.built_in, digests[i], "signed at two places", ours);

		ck_assert_uint_eq(len, 128);
		ck_assert_uint_eq(sign(&b, pkey, digests[i], "signed at two places", theirs), len);
		ck_assert_mem_eq(ours, theirs, len);
	}
	EVP_PKEY_free(pkey);
	bench_free(&b);
}
END_TEST

/* The token's own functions: it hashes itself; and what is not to be had is refused with words. */
START_TEST(direct)
{
	char error[PKCS11_ERROR_LEN] = "";
	uint8_t ours[PKCS11_SIGNATURE_MAX], theirs[PKCS11_SIGNATURE_MAX];
	size_t len;
	struct bench b;
	pkcs11_key key;

	bench_init(&b);
	key = pkcs11_token_import(b.token, "device", b.pkcs8, b.pkcs8_len, error);
	ck_assert_msg(key, "%s", error);
	for (int i = 0; i < 2; i++) {
		sign(&b, b.built_in, i ? "SHA256" : "SHA1", "text", ours);
		len = sizeof theirs;
		ck_assert(pkcs11_token_sign(b.token, key, i ? PKCS11_SIGN_SHA256 : PKCS11_SIGN_SHA1,
		                            (const uint8_t *)"text", 4, theirs, &len, error));
		ck_assert_uint_eq(len, 128);
		ck_assert_mem_eq(ours, theirs, len);
	}
	len = 100; /* no room: refused, and the next one finds no operation open */
	ck_assert(!pkcs11_token_sign(b.token, key, PKCS11_SIGN_SHA256, (const uint8_t *)"text", 4, theirs, &len,
	                             error));
	ck_assert_str_eq(error, "the token's answer has 128 bytes, there is room for 100");
	len = sizeof theirs;
	ck_assert(pkcs11_token_sign(b.token, key, PKCS11_SIGN_SHA256, (const uint8_t *)"text", 4, theirs, &len, error));
	len = sizeof theirs;
	ck_assert(!pkcs11_token_decrypt(b.token, key, ours, 128, theirs, &len, error));
	ck_assert_ptr_nonnull(strstr(error, "C_Decrypt"));
	pkcs11_token_destroy(b.token, key);
	len = sizeof theirs;
	ck_assert(!pkcs11_token_sign(b.token, key, PKCS11_SIGN_SHA1, ours, 4, theirs, &len, error));
	ck_assert_uint_eq(pkcs11_token_import(b.token, "none", (const uint8_t *)"0", 1, error), 0);
	ck_assert_uint_eq(pkcs11_token_import(b.token, "cut", b.pkcs8, b.pkcs8_len - 1, error), 0);
	bench_free(&b);
}
END_TEST

/* A certificate for the key, made with the built-in one. */
static X509 *certificate(struct bench *b)
{
	X509 *cert = X509_new_ex(b->f.crypto->lib, NULL);
	X509_NAME *name = X509_get_subject_name(cert);

	ck_assert(X509_set_version(cert, 2) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
	          X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"token", -1, -1, 0) &&
	          X509_set_issuer_name(cert, name) &&
	          ASN1_TIME_set_string(X509_getm_notBefore(cert), "20270101000000Z") &&
	          ASN1_TIME_set_string(X509_getm_notAfter(cert), "20370101000000Z") &&
	          X509_set_pubkey(cert, b->built_in));
	crypto_random_begin(b->f.crypto, crypto_blinding(b->f.crypto));
	ck_assert_int_gt(X509_sign(cert, b->built_in, b->f.crypto->sha256), 0);
	crypto_random_end(b->f.crypto);
	return cert;
}

/* SignedData without attributes, as DER. */
static size_t cms_sign(struct bench *b, X509 *cert, EVP_PKEY *pkey, uint8_t **out)
{
	const unsigned flags = CMS_BINARY | CMS_NOATTR;
	BIO *content = BIO_new_mem_buf("content", 7);
	CMS_ContentInfo *cms;
	int len;

	crypto_random_begin(b->f.crypto, crypto_blinding(b->f.crypto));
	cms = CMS_sign_ex(cert, pkey, NULL, content, flags, b->f.crypto->lib, NULL);
	crypto_random_end(b->f.crypto);
	if (!cms)
		ERR_print_errors_fp(stderr);
	ck_assert_ptr_nonnull(cms);
	*out = NULL;
	len = i2d_CMS_ContentInfo(cms, out);
	ck_assert_int_gt(len, 0);
	CMS_ContentInfo_free(cms);
	BIO_free(content);
	return (size_t)len;
}

START_TEST(cms_signatures)
{
	uint8_t *ours, *theirs;
	struct bench b;
	EVP_PKEY *pkey;
	size_t len;
	X509 *cert;

	bench_init(&b);
	pkey = load_key(&b);
	cert = certificate(&b);
	len = cms_sign(&b, cert, b.built_in, &ours);
	ck_assert_uint_eq(cms_sign(&b, cert, pkey, &theirs), len);
	ck_assert_mem_eq(ours, theirs, len);
	OPENSSL_free(ours);
	OPENSSL_free(theirs);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	bench_free(&b);
}
END_TEST

START_TEST(cms_decryption)
{
	static const char text[] = "for the holder of the key";
	STACK_OF(X509) *recipients = sk_X509_new_null();
	BIO *in = BIO_new_mem_buf(text, sizeof text), *out = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms;
	struct bench b;
	EVP_PKEY *pkey;
	X509 *cert;
	char *clear;
	int ok;

	bench_init(&b);
	pkey = load_key(&b);
	cert = certificate(&b);
	sk_X509_push(recipients, cert);
	crypto_random_begin(b.f.crypto, &b.f.random.random);
	cms = CMS_encrypt_ex(recipients, in, b.f.crypto->des3_cbc, CMS_BINARY, b.f.crypto->lib, NULL);
	crypto_random_end(b.f.crypto);
	ck_assert_ptr_nonnull(cms);
	crypto_random_begin(b.f.crypto, crypto_blinding(b.f.crypto));
	ok = CMS_decrypt(cms, pkey, cert, NULL, out, CMS_BINARY);
	crypto_random_end(b.f.crypto);
	if (!ok)
		ERR_print_errors_fp(stderr);
	ck_assert(ok);
	ck_assert_int_eq(BIO_get_mem_data(out, &clear), sizeof text);
	ck_assert_mem_eq(clear, text, sizeof text);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	BIO_free(out);
	sk_X509_free(recipients);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	bench_free(&b);
}
END_TEST

START_TEST(cannot_open)
{
	char error[PKCS11_ERROR_LEN];
	struct bench b;

	ck_assert_ptr_null(pkcs11_token_open("/nonexistent/pkcs11.so", LABEL, PIN, error));
	ck_assert_ptr_nonnull(strstr(error, "/nonexistent/pkcs11.so"));
	bench_init(&b);
	ck_assert_ptr_null(pkcs11_token_open(softhsm_library(), "another label", PIN, error));
	ck_assert_str_eq(error, "no token is labelled \"another label\"");
	ck_assert_ptr_null(pkcs11_token_open(softhsm_library(), "a label of more than thirty-two bytes", PIN, error));
	pkcs11_token_close(b.token);
	b.token = NULL;
	ck_assert_ptr_null(pkcs11_token_open(softhsm_library(), LABEL, "9999", error));
	ck_assert_str_eq(error, "C_Login: PKCS#11 error 0xa0");
	bench_free(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pkcs11_token");
	TCase *tcase = tcase_create("pkcs11_token");
	SRunner *runner;
	int failed;

	if (access(softhsm_library(), R_OK) != 0) {
		printf("pkcs11_token: SKIPPED, there is no SoftHSM2 at %s (set SOFTHSM2_LIBRARY)\n", softhsm_library());
		return 0;
	}
	runner = srunner_create(suite);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, evp_signatures);
	tcase_add_test(tcase, direct);
	tcase_add_test(tcase, cms_signatures);
	tcase_add_test(tcase, cms_decryption);
	tcase_add_test(tcase, cannot_open);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

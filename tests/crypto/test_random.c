/*
 * Every random byte that OpenSSL uses in a context comes from the source that was set: with the same source, keys,
 * certificates, CMS envelopes and Diffie-Hellman values are the same bytes in two contexts; with another they differ; a
 * draw without a source aborts. Sources nest. The meter and the hashes are looked at here, too.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include "crypto/internal.h"
#include "tests/crypto/fixture.h"

/* Bytes of an operation's result, on the heap. */
struct result {
	uint8_t *bytes;
	size_t len;
};

static struct result taken(uint8_t *der, int len)
{
	ck_assert_int_gt(len, 0);
	return (struct result){ der, (size_t)len };
}

static EVP_PKEY *make_rsa(struct crypto *crypto, int bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto->lib, "RSA", NULL);
	EVP_PKEY *pkey = NULL;

	ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits), 1);
	ck_assert_int_eq(EVP_PKEY_generate(ctx, &pkey), 1);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static struct result private_key_der(EVP_PKEY *pkey)
{
	uint8_t *der = NULL;
	int len = i2d_PrivateKey(pkey, &der);

	EVP_PKEY_free(pkey);
	return taken(der, len);
}

static struct result rsa_1024(struct crypto *crypto)
{
	return private_key_der(make_rsa(crypto, 1024));
}

static struct result rsa_2048(struct crypto *crypto)
{
	return private_key_der(make_rsa(crypto, 2048));
}

static X509 *make_cert(struct crypto *crypto, EVP_PKEY *pkey)
{
	X509 *cert = X509_new_ex(crypto->lib, NULL);
	uint8_t serial[8];

	ck_assert_int_eq(RAND_bytes_ex(crypto->lib, serial, sizeof serial, 0), 1);
	serial[0] &= 0x7f;
	ck_assert_int_eq(ASN1_STRING_set(X509_get_serialNumber(cert), serial, sizeof serial), 1);
	ck_assert_ptr_nonnull(ASN1_TIME_set(X509_getm_notBefore(cert), FIXTURE_NOW_S));
	ck_assert_ptr_nonnull(ASN1_TIME_set(X509_getm_notAfter(cert), FIXTURE_NOW_S + FIXTURE_DAY_S));
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
	                                            (const unsigned char *)"x", -1, -1, 0), 1);
	ck_assert_int_eq(X509_set_pubkey(cert, pkey), 1);
	ck_assert_int_gt(X509_sign(cert, pkey, crypto->sha256), 0);
	return cert;
}

static struct result x509(struct crypto *crypto)
{
	EVP_PKEY *pkey = make_rsa(crypto, 1024);
	X509 *cert = make_cert(crypto, pkey);
	uint8_t *der = NULL;
	int len = i2d_X509(cert, &der);

	X509_free(cert);
	EVP_PKEY_free(pkey);
	return taken(der, len);
}

static struct result cms_enveloped(struct crypto *crypto)
{
	EVP_PKEY *pkey = make_rsa(crypto, 1024);
	X509 *cert = make_cert(crypto, pkey);
	STACK_OF(X509) *recipients = sk_X509_new_null();
	BIO *in = BIO_new_mem_buf("reply key pack", -1);
	CMS_ContentInfo *cms;
	uint8_t *der = NULL;
	int len;

	sk_X509_push(recipients, cert);
	cms = CMS_encrypt_ex(recipients, in, crypto->des3_cbc, CMS_BINARY, crypto->lib, NULL);
	ck_assert_ptr_nonnull(cms);
	len = i2d_CMS_ContentInfo(cms, &der);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	sk_X509_free(recipients);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	return taken(der, len);
}

static struct result dh_value(struct crypto *crypto)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto->lib, "DH", NULL);
	char group[] = "modp_2048";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		                OSSL_PARAM_construct_end() };
	EVP_PKEY *pkey = NULL;

	ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_params(ctx, params), 1);
	ck_assert_int_eq(EVP_PKEY_generate(ctx, &pkey), 1);
	EVP_PKEY_CTX_free(ctx);
	return private_key_der(pkey);
}

static struct result plain_bytes(struct crypto *crypto)
{
	uint8_t *bytes = OPENSSL_malloc(3000);

	ck_assert_int_eq(RAND_bytes_ex(crypto->lib, bytes, 1000, 0), 1);
	ck_assert_int_eq(RAND_priv_bytes_ex(crypto->lib, bytes + 1000, 2000, 0), 1);
	return taken(bytes, 3000);
}

static const struct operation {
	const char *name;
	struct result (*run)(struct crypto *crypto);
} operations[] = {
	{ "RSA-1024 key", rsa_1024 },
	{ "RSA-2048 key", rsa_2048 },
	{ "certificate", x509 },
	{ "CMS EnvelopedData", cms_enveloped },
	{ "Diffie-Hellman value", dh_value },
	{ "bytes", plain_bytes },
};

static struct result run_with(const struct operation *operation, const char *label)
{
	struct crypto *crypto = crypto_new();
	struct fixture_random random;
	struct result result;

	ck_assert_ptr_nonnull(crypto);
	fixture_random_init(&random, label);
	crypto_random_begin(crypto, &random.random);
	result = operation->run(crypto);
	crypto_random_end(crypto);
	crypto_free(crypto);
	return result;
}

START_TEST(same_source_same_bytes)
{
	const struct operation *operation = &operations[_i];
	struct result a = run_with(operation, "one"), b = run_with(operation, "one"), c = run_with(operation, "two");

	ck_assert_msg(a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0, "%s: not the same twice",
	              operation->name);
	ck_assert_msg(a.len != c.len || memcmp(a.bytes, c.bytes, a.len) != 0, "%s: same from another source",
	              operation->name);
	OPENSSL_free(a.bytes);
	OPENSSL_free(b.bytes);
	OPENSSL_free(c.bytes);
}
END_TEST

/* What OpenSSL hands out are the source's bytes, in order and nothing between, whichever generator is asked. */
START_TEST(bytes_are_the_sources)
{
	struct result drawn = run_with(&operations[5], "three");
	struct fixture_random random;
	uint8_t expected[3000];

	fixture_random_init(&random, "three");
	seed_stream_fill(&random.stream, expected, sizeof expected);
	ck_assert_uint_eq(drawn.len, sizeof expected);
	ck_assert_mem_eq(drawn.bytes, expected, sizeof expected);
	OPENSSL_free(drawn.bytes);
}
END_TEST

/* Aborts; the runner expects the signal. */
START_TEST(draw_without_source)
{
	struct crypto *crypto = crypto_new();
	struct fixture_random random;
	uint8_t byte;

	fixture_random_init(&random, "x");
	crypto_random_begin(crypto, &random.random);
	crypto_random_end(crypto);
	if (!freopen("/dev/null", "w", stderr))
		return;
	RAND_bytes_ex(crypto->lib, &byte, 1, 0);
	_exit(0); /* reached: the draw was allowed, the signal does not come, the test fails */
}
END_TEST

START_TEST(sources_nest)
{
	struct crypto *crypto = crypto_new();
	struct fixture_random outer, inner;
	uint8_t drawn[30], expected[20];

	fixture_random_init(&outer, "outer");
	fixture_random_init(&inner, "inner");
	crypto_random_begin(crypto, &outer.random);
	RAND_bytes_ex(crypto->lib, drawn, 10, 0);
	crypto_random_begin(crypto, &inner.random);
	RAND_bytes_ex(crypto->lib, drawn + 20, 10, 0);
	crypto_random_end(crypto);
	RAND_bytes_ex(crypto->lib, drawn + 10, 10, 0);
	crypto_random_end(crypto);
	fixture_random_init(&outer, "outer");
	fixture_random_init(&inner, "inner");
	seed_stream_fill(&outer.stream, expected, 20);
	ck_assert_mem_eq(drawn, expected, 20);
	seed_stream_fill(&inner.stream, expected, 10);
	ck_assert_mem_eq(drawn + 20, expected, 10);
	crypto_free(crypto);
}
END_TEST

static void sign(struct crypto *crypto, EVP_PKEY *pkey, uint8_t *signature, size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	ck_assert_int_eq(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", crypto->lib, NULL, pkey, NULL), 1);
	ck_assert_int_eq(EVP_DigestSign(ctx, signature, len, (const uint8_t *)"text", 4), 1);
	EVP_MD_CTX_free(ctx);
}

/* The ground for crypto_blinding(): a signature does not depend on what blinding draws, nor a decryption. */
START_TEST(blinding_leaves_no_trace)
{
	struct fixture f;
	struct key_pool *pool;
	uint8_t first[256], second[256];
	size_t first_len = sizeof first, second_len = sizeof second, key_len;
	EVP_PKEY *pkey;

	fixture_init(&f, "blinding");
	pool = key_pool_new(f.crypto, 1, NULL);
	const uint8_t *pkcs8 = key_pool_get(pool, "k", 1024, &key_len);

	pkey = crypto_private_key(f.crypto, pkcs8, key_len);
	crypto_random_begin(f.crypto, &f.random.random);
	sign(f.crypto, pkey, first, &first_len);
	crypto_random_end(f.crypto);
	EVP_PKEY_free(pkey);
	pkey = crypto_private_key(f.crypto, pkcs8, key_len);
	crypto_random_begin(f.crypto, crypto_blinding(f.crypto));
	for (int i = 0; i < 70; i++) { /* past the point where blinding is set up anew */
		second_len = sizeof second;
		sign(f.crypto, pkey, second, &second_len);
		ck_assert_uint_eq(first_len, second_len);
		ck_assert_mem_eq(first, second, first_len);
	}
	crypto_random_end(f.crypto);
	EVP_PKEY_free(pkey);
	key_pool_free(pool);
	fixture_free(&f);
}
END_TEST

static void add_up(void *ctx, enum crypto_op op, uint32_t size)
{
	((uint64_t *)ctx)[op] += size;
}

START_TEST(meter_and_hashes)
{
	struct crypto *crypto = crypto_new();
	uint64_t sums[CRYPTO_OP_COUNT] = { 0 };
	/* FIPS 180-2 appendix A.1 and B.1: "abc". */
	static const uint8_t sha1_abc[] = { 0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
		                            0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d };
	static const uint8_t sha256_abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
		                              0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
		                              0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	uint8_t out[32];

	crypto_set_meter(crypto, add_up, sums);
	crypto_sha1(crypto, (const uint8_t *)"abc", 3, out);
	ck_assert_mem_eq(out, sha1_abc, 20);
	crypto_sha256(crypto, (const uint8_t *)"abc", 3, out);
	ck_assert_mem_eq(out, sha256_abc, 32);
	ck_assert_uint_eq(sums[CRYPTO_SHA1], 3);
	ck_assert_uint_eq(sums[CRYPTO_SHA256], 3);
	crypto_set_meter(crypto, NULL, NULL);
	crypto_sha1(crypto, (const uint8_t *)"abc", 3, out);
	ck_assert_uint_eq(sums[CRYPTO_SHA1], 3);
	for (int op = 0; op < CRYPTO_OP_COUNT; op++)
		ck_assert_ptr_nonnull(crypto_op_names[op]);
	ck_assert(crypto_equal(sha1_abc, sha1_abc, 20) && !crypto_equal(sha1_abc, sha256_abc, 20));
	crypto_free(crypto);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("random");
	TCase *tcase = tcase_create("random");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, same_source_same_bytes, 0, sizeof operations / sizeof *operations);
	tcase_add_test(tcase, bytes_are_the_sources);
	tcase_add_test_raise_signal(tcase, draw_without_source, SIGABRT);
	tcase_add_test(tcase, sources_nest);
	tcase_add_test(tcase, blinding_leaves_no_trace);
	tcase_add_test(tcase, meter_and_hashes);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

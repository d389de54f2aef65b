/*
 * Key derivation: HMAC-SHA-1 against RFC 2202 section 3, P_SHA1 against vectors made with Python
 * (tests/vectors/p_sha1.txt), the cut of the output, parity, and the seed stream against values made with Python's
 * hashlib.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "crypto/internal.h"
#include "crypto/seed_stream.h"

#define LINE_MAX_LEN 2048

static size_t unhex(const char *hex, uint8_t *out, size_t max)
{
	size_t n = strlen(hex) / 2;

	ck_assert_uint_le(n, max);
	for (size_t i = 0; i < n; i++) {
		unsigned byte;

		ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return n;
}

static void assert_hex(const uint8_t *bytes, const char *hex)
{
	uint8_t expected[256];
	size_t n = unhex(hex, expected, sizeof expected);

	ck_assert_mem_eq(bytes, expected, n);
}

/* RFC 2202 section 3: key (a byte repeated, or 01..19, or text), data, digest. */
static const struct hmac_case {
	const char *key_hex, *data_hex, *digest;
} hmac_cases[] = {
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265", "b617318655057264e28bc0b6fb378c8ef146be00" },
	{ "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
	  "125d7342b9ac11cd91a39af48aa17b4f63f175d3" },
	{ "0102030405060708090a0b0c0d0e0f10111213141516171819",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
	  "4c9007f4026250c6bc8414f9bf50c86c2d7235da" },
	{ "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "546573742057697468205472756e636174696f6e",
	  "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04" },
};

START_TEST(hmac_rfc2202)
{
	const struct hmac_case *c = &hmac_cases[_i];
	struct crypto *crypto = crypto_new();
	uint8_t key[64], data[64], out[20];
	size_t key_len = unhex(c->key_hex, key, sizeof key), data_len = unhex(c->data_hex, data, sizeof data);

	crypto_hmac_sha1(key, key_len, data, data_len, out);
	assert_hex(out, c->digest);
	crypto_free(crypto);
}
END_TEST

/* RFC 2202 cases 6 and 7: a key longer than the block. */
START_TEST(hmac_rfc2202_long_key)
{
	static const char *const text[] = { "Test Using Larger Than Block-Size Key - Hash Key First",
		                            "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data" };
	static const char *const digest[] = { "aa4ae5e15272d00e95705637ce8a3b55ed402112",
		                              "e8e99d0f45237d786d6bbaa7965c7808bbff1a91" };
	struct crypto *crypto = crypto_new();
	uint8_t key[80], out[20];

	memset(key, 0xaa, sizeof key);
	for (int i = 0; i < 2; i++) {
		crypto_hmac_sha1(key, sizeof key, (const uint8_t *)text[i], strlen(text[i]), out);
		assert_hex(out, digest[i]);
	}
	crypto_free(crypto);
}
END_TEST

START_TEST(p_sha1_vectors)
{
	FILE *file = fopen("tests/vectors/p_sha1.txt", "r");
	char line[LINE_MAX_LEN];
	int count = 0;

	ck_assert_msg(file != NULL, "tests/vectors/p_sha1.txt not found: run from the top of the repository");
	while (fgets(line, sizeof line, file)) {
		uint8_t secret[256], expected[256], out[256];
		char *label, *output;

		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		label = strchr(line, '|');
		ck_assert_ptr_nonnull(label);
		*label++ = '\0';
		output = strchr(label, '|');
		ck_assert_ptr_nonnull(output);
		*output++ = '\0';
		size_t secret_len = unhex(line, secret, sizeof secret),
		                    out_len = unhex(output, expected, sizeof expected);

		memset(out, 0x5a, sizeof out);
		p_sha1(secret, secret_len, label, out, out_len);
		ck_assert_msg(memcmp(out, expected, out_len) == 0, "vector %d, label \"%s\"", count, label);
		ck_assert_uint_eq(out[out_len], 0x5a); /* nothing behind the end */
		count++;
	}
	fclose(file);
	ck_assert_int_eq(count, 18);
}
END_TEST

/* The cut; the values of each field were made with Python. */
START_TEST(cut_of_the_output)
{
	struct derived_keys keys;
	uint8_t subkey[24];

	for (int i = 0; i < 24; i++)
		subkey[i] = (uint8_t)(3 * i + 1);
	derive_keys(subkey, sizeof subkey, LABEL_CTA_SC, &keys);
	assert_hex(keys.up.auth_key, "541b9207e8de74787d42eda45ba95a263cb42187");
	assert_hex(keys.up.cipher_key, "a4348a7537fb6e0d1c0208c43e7585014a379bec6892ea43");
	ck_assert_uint_eq(keys.up.start_sn, 0xf267cb8b); /* as derived: the top bit is there */
	assert_hex(keys.down.auth_key, "2a33f14b25b3a282e8fd928ca1762c6fa7a12151");
	assert_hex(keys.down.cipher_key, "0efb678cfb34df625792ef7f1ad07aaedc2534b9c883bca8");
	ck_assert_uint_eq(keys.down.start_sn, 0x4a506ccc);
	ck_assert_uint_eq(keys.up.start_sn & START_SN_MASK, 0x7267cb8b);
}
END_TEST

START_TEST(labels_separate)
{
	static const char *const labels[] = { LABEL_CTA_SC, LABEL_CTA_CTA, LABEL_CTA_SERVER, LABEL_SERVER, LABEL_RTP,
		                              LABEL_ROUTER_AH, LABEL_WRAP };
	struct derived_keys keys[7];
	uint8_t subkey[24] = { 1 };

	for (int i = 0; i < 7; i++) {
		derive_keys(subkey, sizeof subkey, labels[i], &keys[i]);
		ck_assert_mem_ne(keys[i].up.cipher_key, keys[i].down.cipher_key, 24);
		for (int k = 0; k < i; k++)
			ck_assert_mem_ne(&keys[i], &keys[k], sizeof keys[i]);
	}
}
END_TEST

START_TEST(parity_of_every_byte)
{
	for (unsigned value = 0; value < 256; value++) {
		uint8_t byte = (uint8_t)value;

		des_parity(&byte, 1);
		ck_assert_int_eq(__builtin_popcount(byte) % 2, 1);
		ck_assert_uint_eq(byte & 0xfe, value & 0xfe);
	}
}
END_TEST

START_TEST(seed_stream_values)
{
	static const char expected[] = "301e81aaf3145fc57620803652b794ead6c85f8934f06a6ad58d8f164e0b20388a3199e141b91526d3cde71b4e5f4bd4"
		                       "0ddbc30794d2c3fdd8750d7b3242e2476fc448e20b6b733432d311e243e3154b";
	struct seed_stream stream;
	uint8_t whole[80], pieces[80];
	size_t at = 0;

	seed_stream_init(&stream, "7/2048/kdc");
	seed_stream_fill(&stream, whole, sizeof whole);
	assert_hex(whole, expected);
	/* The cut of the requests makes no difference. */
	seed_stream_init(&stream, "7/2048/kdc");
	for (size_t n = 1; at < sizeof pieces; n++) {
		size_t len = n < sizeof pieces - at ? n : sizeof pieces - at;

		seed_stream_fill(&stream, pieces + at, len);
		at += len;
	}
	ck_assert_mem_eq(whole, pieces, sizeof whole);
	seed_stream_init(&stream, "7/2048/kdc2");
	seed_stream_fill(&stream, pieces, sizeof pieces);
	ck_assert_mem_ne(whole, pieces, 32);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("derive");
	TCase *tcase = tcase_create("derive");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tcase, hmac_rfc2202, 0, sizeof hmac_cases / sizeof *hmac_cases);
	tcase_add_test(tcase, hmac_rfc2202_long_key);
	tcase_add_test(tcase, p_sha1_vectors);
	tcase_add_test(tcase, cut_of_the_output);
	tcase_add_test(tcase, labels_separate);
	tcase_add_test(tcase, parity_of_every_byte);
	tcase_add_test(tcase, seed_stream_values);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

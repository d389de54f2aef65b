/*
 * des3-cbc-sha1-kd and hmac-sha1-des3-kd against RFC 3961 appendix A.3, against bytes sealed by MIT Kerberos 1.20, and
 * against tampering.
 */
#include <check.h>
#include "crypto/kerberos_internal.h"
#include "tests/crypto/fixture.h"

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;
	for (size_t i = 0; i < len; i++) {
		unsigned byte;
		ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

/* RFC 3961 A.3: key, usage constant, DR, DK. */
static const struct {
	const char *key, *constant, *dr, *dk;
} derivations[] = {
	{ "dce06b1f64c857a11c3db57c51899b2cc1791008ce973b92", "0000000155",
	  "935079d14490a75c3093c4a6e8c3b049c71e6ee705", "925179d04591a79b5d3192c4a7e9c289b049c71f6ee604cd" },
	{ "5e13d31c70ef765746578531cb51c15bf11ca82c97cee9f2", "00000001aa",
	  "9f58e5a047d894101c469845d67ae3c5249ed812f2", "9e58e5a146d9942a101c469845d67a20e3c4259ed913f207" },
	{ "98e6fd8a04a4b6859b75a176540b9752bad3ecd610a252bc", "0000000155",
	  "12fff90c773f956d13fc2ca0d0840349dbd39908eb", "13fef80d763e94ec6d13fd2ca1d085070249dad39808eabf" },
	{ "622aec25a2fe2cad7094680b7c64940280084c1a7cec92b5", "00000001aa",
	  "f8debf05b097e7dc0603686aca35d91fd9a5516a70", "f8dfbf04b097e6d9dc0702686bcb3489d91fd9a4516b703e" },
	{ "d3f8298ccb166438dcb9b93ee5a7629286a491f838f802fb", "6b65726265726f73",
	  "2270db565d2a3d64cfbfdc5305d4f778a6de42d9da", "2370da575d2a3da864cebfdc5204d56df779a7df43d9da43" },
	{ "c1081649ada74362e6a1459d01dfd30d67c2234c940704da", "0000000155",
	  "348056ec98fcc517171d2b4d7a9493af482d999175", "348057ec98fdc48016161c2a4c7a943e92ae492c989175f7" },
	{ "5d154af238f46713155719d55e2f1f790dd661f279a7917c", "00000001aa",
	  "a8818bc367dadacbe9a6c84627fb60c294b01215e5", "a8808ac267dada3dcbe9a7c84626fbc761c294b01315e5c1" },
	{ "798562e049852f57dc8c343ba17f2ca1d97394efc8adc443", "0000000155",
	  "c813f88b3be2b2f75424ce9175fbc8483b88c8713a", "c813f88a3be3b334f75425ce9175fbe3c8493b89c8703b49" },
	{ "26dce334b545292f2feab9a8701a89a4b99eb9942cecd016", "00000001aa",
	  "f58efc6f83f93e55e695fd252cf8fe59f7d5ba37ec", "f48ffd6e83f83e7354e694fd252cf83bfe58f7d5ba37ec5d" },
};

START_TEST(derives_as_rfc_3961)
{
	struct fixture f;
	uint8_t key[24], constant[16], dr[21], dk[24], got[24];
	fixture_init(&f, "kdf");
	unhex(derivations[_i].key, key);
	size_t len = unhex(derivations[_i].constant, constant);
	unhex(derivations[_i].dr, dr);
	unhex(derivations[_i].dk, dk);
	ck_assert(krb_derive(f.crypto, key, constant, len, got));
	ck_assert_mem_eq(got, dk, 24);
	krb_random_to_key(dr, got); /* DK = random-to-key(DR) */
	ck_assert_mem_eq(got, dk, 24);
	fixture_free(&f);
}
END_TEST

START_TEST(corrects_weak_keys)
{
	/* Seven zero octets spread to 01..01, a weak key: RFC 3961 section 6.3.1 has its last octet changed by f0. */
	uint8_t seed[21] = { 0 }, key[24];
	static const uint8_t expected[8] = { 1, 1, 1, 1, 1, 1, 1, 0xf1 };
	krb_random_to_key(seed, key);
	for (int part = 0; part < 3; part++)
		ck_assert_mem_eq(key + 8 * part, expected, 8);
	/* A semi-weak one, 01fe01fe01fe01fe, in the first part only. */
	static const uint8_t semi[21] = { 0x01, 0xff, 0x01, 0xff, 0x01, 0xff, 0x01,
		                          0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde };
	static const uint8_t semi_expected[8] = { 0x01, 0xfe, 0x01, 0xfe, 0x01, 0xfe, 0x01, 0x0e };
	krb_random_to_key(semi, key);
	ck_assert_mem_eq(key, semi_expected, 8);
	for (size_t i = 0; i < 24; i++)
		ck_assert_int_eq(__builtin_popcount(key[i]) & 1, 1);
}
END_TEST

static const uint8_t text[] = "signaling controller";
#define TEXT_LEN 20
static const char mit_key[] = "dce06b1f64c857a11c3db57c51899b2cc1791008ce973b92";

START_TEST(opens_what_mit_sealed)
{
	struct fixture f;
	uint8_t key[24], sealed[64], plain[64], sum[20], expected[20];
	size_t len = 0, sealed_len;
	fixture_init(&f, "mit");
	unhex(mit_key, key);
	/* krb5_c_encrypt(ENCTYPE_DES3_CBC_SHA1, usage 2) of MIT Kerberos 1.20.1 */
	sealed_len = unhex("c4b4f025b9e780c2147cc77c65bb52a0dcb17dd9726e289e1953f088d2df27d0"
	                   "a55e6f3952bfe069b133ae2ad0881ddb7af435ef", sealed);
	ck_assert_uint_eq(sealed_len, krb_sealed_len(TEXT_LEN));
	ck_assert(krb_open(f.crypto, key, 2, sealed, sealed_len, plain, &len));
	ck_assert_uint_eq(len, 24);
	ck_assert_mem_eq(plain, text, TEXT_LEN);
	ck_assert(!krb_open(f.crypto, key, 3, sealed, sealed_len, plain, &len)); /* another usage */
	/* krb5_c_make_checksum(CKSUMTYPE_HMAC_SHA1_DES3, usage 6) */
	unhex("8bc27868b238da72aa97a0d6338bcfb807005216", expected);
	ck_assert(krb_checksum(f.crypto, key, 6, text, TEXT_LEN, sum));
	ck_assert_mem_eq(sum, expected, 20);
	fixture_free(&f);
}
END_TEST

START_TEST(seals_and_opens_every_length)
{
	struct fixture f;
	uint8_t key[24], plain[128], sealed[256], out[256];
	fixture_init(&f, "lengths");
	unhex(mit_key, key);
	for (size_t len = 0; len <= 64; len++) {
		size_t got = 0;
		for (size_t i = 0; i < len; i++)
			plain[i] = (uint8_t)(i * 7 + len);
		ck_assert(krb_seal(f.crypto, &f.random.random, key, 11, plain, len, sealed));
		ck_assert(krb_open(f.crypto, key, 11, sealed, krb_sealed_len(len), out, &got));
		ck_assert_uint_eq(got, (len + 7) / 8 * 8);
		ck_assert_mem_eq(out, plain, len);
		for (size_t i = len; i < got; i++)
			ck_assert_int_eq(out[i], 0);
		ck_assert(krb_open(f.crypto, key, 11, sealed, krb_sealed_len(len), sealed, &got)); /* in place */
		ck_assert_mem_eq(sealed, plain, len);
	}
	fixture_free(&f);
}
END_TEST

START_TEST(refuses_every_flipped_bit)
{
	struct fixture f;
	uint8_t key[24], sealed[64], out[64];
	size_t len, sealed_len = krb_sealed_len(TEXT_LEN);
	fixture_init(&f, "flips");
	unhex(mit_key, key);
	ck_assert(krb_seal(f.crypto, &f.random.random, key, 2, text, TEXT_LEN, sealed));
	for (size_t bit = 0; bit < 8 * sealed_len; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_msg(!krb_open(f.crypto, key, 2, sealed, sealed_len, out, &len), "bit %zu", bit);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < sealed_len; cut++)
		ck_assert_msg(!krb_open(f.crypto, key, 2, sealed, cut, out, &len), "cut to %zu", cut);
	ck_assert(krb_open(f.crypto, key, 2, sealed, sealed_len, out, &len));
	sealed[sealed_len - 1] ^= 1; /* the one that skips the MAC reads on */
	ck_assert(krb_open_unchecked(f.crypto, key, 2, sealed, sealed_len, out, &len));
	ck_assert_mem_eq(out, text, TEXT_LEN);
	fixture_free(&f);
}
END_TEST

START_TEST(same_stream_same_bytes)
{
	uint8_t key[24], a[64], b[64], c[64];
	unhex(mit_key, key);
	for (int i = 0; i < 2; i++) {
		struct fixture f;
		fixture_init(&f, "stream");
		ck_assert(krb_seal(f.crypto, &f.random.random, key, 2, text, TEXT_LEN, i ? b : a));
		ck_assert(krb_seal(f.crypto, &f.random.random, key, 2, text, TEXT_LEN, c));
		fixture_free(&f);
	}
	ck_assert_mem_eq(a, b, krb_sealed_len(TEXT_LEN));
	ck_assert_mem_ne(a, c, krb_sealed_len(TEXT_LEN)); /* a fresh confounder each time */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kerberos_crypto");
	TCase *cases = tcase_create("des3-cbc-sha1-kd");
	tcase_add_loop_test(cases, derives_as_rfc_3961, 0, (int)(sizeof(derivations) / sizeof(derivations[0])));
	tcase_add_test(cases, corrects_weak_keys);
	tcase_add_test(cases, opens_what_mit_sealed);
	tcase_add_test(cases, seals_and_opens_every_length);
	tcase_add_test(cases, refuses_every_flipped_bit);
	tcase_add_test(cases, same_stream_same_bytes);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * The secure module: handles, what the watcher hears of each key's life, wrapping, derivation, proofs, sleep and size.
 */
#include <check.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "crypto/internal.h"
#include "tests/crypto/fixture.h"

#define NEWS_MAX 64
#define USAGE 1024

/* News as heard, texts and secret copied. */
struct heard {
	enum key_life life;
	char owner[32], role[32], algorithm[32], how[64], context[64];
	uint8_t id[KEY_ID_LEN], parent[KEY_ID_LEN], secret[32];
	bool has_parent;
	size_t secret_len;
};
struct log {
	struct heard heard[NEWS_MAX];
	int count;
};

static void hear(void *ctx, const struct key_news *news)
{
	struct log *log = ctx;
	struct heard *h = &log->heard[log->count++];

	ck_assert_int_le(log->count, NEWS_MAX);
	h->life = news->life;
	snprintf(h->owner, sizeof h->owner, "%s", news->owner);
	snprintf(h->role, sizeof h->role, "%s", news->role);
	snprintf(h->algorithm, sizeof h->algorithm, "%s", news->algorithm);
	snprintf(h->how, sizeof h->how, "%s", news->how);
	snprintf(h->context, sizeof h->context, "%s", news->context);
	memcpy(h->id, news->id, KEY_ID_LEN);
	memcpy(h->parent, news->parent, KEY_ID_LEN);
	h->has_parent = news->has_parent;
	h->secret_len = news->secret_len;
	if (news->secret_len <= sizeof h->secret)
		memcpy(h->secret, news->secret, news->secret_len);
}

static const uint8_t test_key[24] = { 0x01, 0x04, 0x07, 0x0a, 0x0d, 0x10, 0x13, 0x16, 0x19, 0x1c, 0x1f, 0x22,
	                              0x25, 0x28, 0x2b, 0x2e, 0x31, 0x34, 0x37, 0x3a, 0x3d, 0x40, 0x43, 0x46 };

static struct fixture f;

static void setup(void)
{
	fixture_init(&f, "module");
}

static void teardown(void)
{
	fixture_free(&f);
}

START_TEST(handles_only_grow)
{
	key_handle handles[200];

	for (int i = 0; i < 200; i++) {
		handles[i] = sm_generate_des3(f.sm, "krb.session");
		ck_assert_uint_eq(handles[i], (key_handle)i + 1);
	}
	for (int i = 0; i < 200; i += 2)
		sm_destroy_key(f.sm, handles[i]);
	ck_assert_uint_eq(sm_key_count(f.sm), 100);
	for (int i = 0; i < 200; i++) {
		struct sm_key *key = sm_lookup(f.sm, handles[i], SM_DES3);

		ck_assert_int_eq(key != NULL, i % 2);
		if (key)
			ck_assert_uint_eq(key->handle, handles[i]);
		ck_assert_ptr_null(sm_lookup(f.sm, handles[i], SM_RSA));
		ck_assert_ptr_null(sm_lookup(f.sm, handles[i], SM_HMAC));
	}
	ck_assert_uint_eq(sm_generate_des3(f.sm, "krb.session"), 201); /* none is used again */
	sm_destroy_key(f.sm, 0);
	ck_assert_ptr_null(sm_lookup(f.sm, 0, SM_DES3));
	ck_assert_ptr_null(sm_lookup(f.sm, 9999, SM_DES3));
}
END_TEST

/* esp.c and others keep a key's address while more keys come and go. */
START_TEST(addresses_hold)
{
	key_handle first = sm_generate_des3(f.sm, "subkey");
	struct sm_key *key = sm_lookup(f.sm, first, SM_DES3);
	uint8_t copy[24];

	memcpy(copy, key->bytes, 24);
	for (int i = 0; i < 1000; i++) {
		key_handle other = sm_generate_des3(f.sm, "subkey");

		if (i % 3)
			sm_destroy_key(f.sm, other);
	}
	ck_assert_ptr_eq(key, sm_lookup(f.sm, first, SM_DES3));
	ck_assert_mem_eq(copy, key->bytes, 24);
}
END_TEST

START_TEST(generated_keys)
{
	struct fixture_random again;
	uint8_t expected[24];
	const struct sm_key *key = sm_lookup(f.sm, sm_generate_des3(f.sm, "krb.session"), SM_DES3);

	fixture_random_init(&again, "module");
	seed_stream_fill(&again.stream, expected, sizeof expected);
	des_parity(expected, sizeof expected);
	ck_assert_mem_eq(key->bytes, expected, 24);
	ck_assert_str_eq(sm_owner(f.sm), "module");
	ck_assert_ptr_eq(sm_crypto(f.sm), f.crypto);
}
END_TEST

START_TEST(unknown_handle_asserts)
{
	if (!freopen("/dev/null", "w", stderr))
		return;
	sm_destroy_key(f.sm, 77);
}
END_TEST

START_TEST(life_is_told)
{
	static const struct {
		enum key_life life;
		const char *role, *algorithm, *how, *context;
		bool has_parent;
	} expected[] = {
		{ KEY_LIFE_HELD, "krb.server", "des3-cbc", "loaded", "sc/sc1@R", false },
		{ KEY_LIFE_BORN, "subkey", "des3-cbc", "generated", "", false },
		{ KEY_LIFE_BORN, "wrap", "des3-cbc", "derived:key wrap", "", true },
		{ KEY_LIFE_BORN, "mac", "hmac-sha1", "derived:x", "c", true },
		{ KEY_LIFE_DEAD, "subkey", "des3-cbc", "destroyed", "", false },
		{ KEY_LIFE_DEAD, "krb.server", "des3-cbc", "destroyed", "", false },
		{ KEY_LIFE_DEAD, "wrap", "des3-cbc", "destroyed", "", false },
		{ KEY_LIFE_DEAD, "mac", "hmac-sha1", "destroyed", "", false },
	};
	struct log log = { .count = 0 };
	struct fixture_party party;
	key_handle sub, wrap;
	uint8_t id[KEY_ID_LEN], bytes[20] = { 9 };

	fixture_party_init(&party, f.crypto, "bob");
	crypto_set_key_watcher(f.crypto, hear, &log);
	sm_install_des3(party.sm, "krb.server", "sc/sc1@R", test_key);
	sub = sm_generate_des3(party.sm, "subkey");
	wrap = sm_derive_des3(party.sm, sub, LABEL_WRAP, "wrap");
	sm_add(party.sm, SM_HMAC, "mac", bytes, sizeof bytes, "derived:x", "c", sm_lookup(party.sm, wrap, SM_DES3));
	sm_destroy_key(party.sm, sub);
	fixture_party_free(&party);
	crypto_set_key_watcher(f.crypto, NULL, NULL);

	ck_assert_int_eq(log.count, sizeof expected / sizeof *expected);
	for (int i = 0; i < log.count; i++) {
		const struct heard *h = &log.heard[i];

		ck_assert_str_eq(h->owner, "bob");
		ck_assert_int_eq(h->life, expected[i].life);
		ck_assert_str_eq(h->role, expected[i].role);
		ck_assert_str_eq(h->algorithm, expected[i].algorithm);
		ck_assert_str_eq(h->how, expected[i].how);
		ck_assert_str_eq(h->context, expected[i].context);
		ck_assert_int_eq(h->has_parent, expected[i].has_parent);
		key_id_of(f.crypto, h->secret, h->secret_len, id);
		ck_assert_mem_eq(id, h->id, KEY_ID_LEN);
	}
	ck_assert_uint_eq(log.heard[0].secret_len, 24);
	ck_assert_mem_eq(log.heard[0].secret, test_key, 24);
	ck_assert_uint_eq(log.heard[3].secret_len, 20);
	ck_assert_mem_eq(log.heard[2].parent, log.heard[1].id, KEY_ID_LEN);
	ck_assert_mem_eq(log.heard[3].parent, log.heard[2].id, KEY_ID_LEN);
	ck_assert_mem_eq(log.heard[4].id, log.heard[1].id, KEY_ID_LEN);
}
END_TEST

START_TEST(key_tell_outside_the_table)
{
	struct log log = { .count = 0 };
	static const uint8_t parent[KEY_ID_LEN] = { 5 };
	/* Python: hashlib.sha256(key).digest()[:16] */
	static const uint8_t id[KEY_ID_LEN] = { 0x2f, 0x1c, 0xd0, 0x38, 0xed, 0xc2, 0xd3, 0x21,
		                                0x47, 0xd2, 0x64, 0xbf, 0xdd, 0x74, 0x9f, 0xd7 };

	key_tell(f.crypto, KEY_LIFE_BORN, "o", "esp.cipher", "des3-cbc", "derived:L", "ctx", test_key, 24, parent);
	crypto_set_key_watcher(f.crypto, hear, &log);
	key_tell(f.crypto, KEY_LIFE_BORN, "o", "esp.cipher", "des3-cbc", "derived:L", "ctx", test_key, 24, parent);
	crypto_set_key_watcher(f.crypto, NULL, NULL);
	ck_assert_int_eq(log.count, 1);
	ck_assert_mem_eq(log.heard[0].id, id, KEY_ID_LEN);
	ck_assert_mem_eq(log.heard[0].parent, parent, KEY_ID_LEN);
	ck_assert_str_eq(log.heard[0].context, "ctx");
}
END_TEST

/* Values made with Python's hashlib and hmac over 01 04 07 ... 46. */
START_TEST(proof_hmac_derivation)
{
	static const uint8_t proof[] = { 0xa0, 0x63, 0xce, 0xb9, 0xf4, 0xc0, 0xfe, 0x77, 0x0e, 0x32,
		                         0x00, 0x05, 0xab, 0xdf, 0x9e, 0x8f, 0xba, 0xf8, 0xae, 0x7f };
	static const uint8_t hmac[] = { 0xc8, 0x0b, 0x49, 0x7e, 0xb2, 0x44, 0x60, 0x3e, 0x0a, 0x6d,
		                        0x75, 0x05, 0x9d, 0xac, 0x9b, 0x30, 0x2f, 0x43, 0x80, 0x99 };
	static const uint8_t derived[] = { 0x85, 0x29, 0x4c, 0x0b, 0x64, 0xa2, 0xec, 0x3b, 0x70, 0xec, 0x23, 0x10,
		                           0x8a, 0x79, 0x02, 0x5b, 0x89, 0x40, 0x45, 0xd0, 0xce, 0x5b, 0xb0, 0x49 };
	const char *text = "what do ya want for nothing?";
	key_handle key = sm_install_des3(f.sm, "subkey", "", test_key), wrap;
	uint8_t out[20];

	ck_assert(sm_subkey_proof(f.sm, key, 0x1234abcd, out));
	ck_assert_mem_eq(out, proof, sizeof proof);
	ck_assert(!sm_subkey_proof(f.sm, 99, 0x1234abcd, out));
	ck_assert(sm_hmac_sha1(f.sm, key, (const uint8_t *)text, strlen(text), out));
	ck_assert_mem_eq(out, hmac, sizeof hmac);
	ck_assert(!sm_hmac_sha1(f.sm, 99, (const uint8_t *)text, strlen(text), out));
	wrap = sm_derive_des3(f.sm, key, LABEL_WRAP, "wrap");
	ck_assert_mem_eq(sm_lookup(f.sm, wrap, SM_DES3)->bytes, derived, sizeof derived);
	ck_assert_uint_eq(sm_derive_des3(f.sm, 99, LABEL_WRAP, "wrap"), 0);
}
END_TEST

START_TEST(wrap_and_back)
{
	struct fixture_party bob;
	key_handle wrapping = sm_install_des3(f.sm, "wrap", "", test_key), key = sm_generate_des3(f.sm, "subkey");
	key_handle bobs_wrapping, got;
	uint8_t wrapped[KEY_WRAPPED_LEN], bad[KEY_WRAPPED_LEN], id[KEY_ID_LEN], bobs_id[KEY_ID_LEN];
	size_t count;

	fixture_party_init(&bob, f.crypto, "bob");
	bobs_wrapping = sm_install_des3(bob.sm, "wrap", "", test_key);
	ck_assert(sm_wrap(f.sm, wrapping, USAGE, key, wrapped));
	got = sm_unwrap(bob.sm, bobs_wrapping, USAGE, "subkey", wrapped, sizeof wrapped);
	ck_assert_uint_ne(got, 0);
	sm_key_id(f.sm, key, id);
	sm_key_id(bob.sm, got, bobs_id);
	ck_assert_mem_eq(id, bobs_id, KEY_ID_LEN);
	count = sm_key_count(bob.sm);
	/* Every bit counts, the usage and the length too; a failure leaves no key behind. */
	for (size_t bit = 0; bit < 8 * sizeof wrapped; bit++) {
		memcpy(bad, wrapped, sizeof bad);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_uint_eq(sm_unwrap(bob.sm, bobs_wrapping, USAGE, "subkey", bad, sizeof bad), 0);
	}
	ck_assert_uint_eq(sm_unwrap(bob.sm, bobs_wrapping, USAGE + 1, "subkey", wrapped, sizeof wrapped), 0);
	for (size_t len = 0; len < sizeof wrapped; len++)
		ck_assert_uint_eq(sm_unwrap(bob.sm, bobs_wrapping, USAGE, "subkey", wrapped, len), 0);
	ck_assert_uint_eq(sm_unwrap(bob.sm, got, USAGE, "subkey", wrapped, sizeof wrapped), 0);
	ck_assert_uint_eq(sm_unwrap(bob.sm, 999, USAGE, "subkey", wrapped, sizeof wrapped), 0);
	ck_assert_uint_eq(sm_key_count(bob.sm), count);
	ck_assert(!sm_wrap(f.sm, wrapping, USAGE, 999, wrapped));
	ck_assert(!sm_wrap(f.sm, 999, USAGE, key, wrapped));
	fixture_party_free(&bob);
}
END_TEST

START_TEST(unwrapped_key_names_its_parent)
{
	struct log log = { .count = 0 };
	key_handle wrapping = sm_install_des3(f.sm, "wrap", "", test_key), key = sm_generate_des3(f.sm, "subkey");
	uint8_t wrapped[KEY_WRAPPED_LEN], id[KEY_ID_LEN], parent[KEY_ID_LEN];

	ck_assert(sm_wrap(f.sm, wrapping, USAGE, key, wrapped));
	crypto_set_key_watcher(f.crypto, hear, &log);
	ck_assert_uint_ne(sm_unwrap(f.sm, wrapping, USAGE, "subkey", wrapped, sizeof wrapped), 0);
	crypto_set_key_watcher(f.crypto, NULL, NULL);
	sm_key_id(f.sm, key, id);
	sm_key_id(f.sm, wrapping, parent);
	ck_assert_int_eq(log.count, 1);
	ck_assert_int_eq(log.heard[0].life, KEY_LIFE_HELD);
	ck_assert_str_eq(log.heard[0].how, "unwrapped");
	ck_assert_mem_eq(log.heard[0].id, id, KEY_ID_LEN);
	ck_assert(log.heard[0].has_parent);
	ck_assert_mem_eq(log.heard[0].parent, parent, KEY_ID_LEN);
}
END_TEST

/*
 * The id of an RSA key is over its SubjectPublicKeyInfo, the same before, during and after sleep and in every module.
 */
/* A root, a CA and a device with the smallest keys there are: their size is not the point here. */
static void small_pki_init(struct fixture_pki *pki)
{
	struct cert_request r = fixture_request(CERT_ROOT, "Manufacturer Root", "Example Devices", 1);

	*pki = (struct fixture_pki){ .crypto = f.crypto, .pool = key_pool_new(f.crypto, FIXTURE_POOL_SEED, NULL) };
	pki->root = fixture_issue(pki, &r, "root", 1024, NULL, "root", 1024);
	r = fixture_request(CERT_CA, "Manufacturer CA", "Example Devices", 2);
	pki->mfg_ca = fixture_issue(pki, &r, "mfg-ca", 1024, &pki->root, "root", 1024);
	r = fixture_request(CERT_DEVICE, NULL, "Example Devices", 4);
	r.mac = fixture_mac;
	pki->device = fixture_issue(pki, &r, "device", 1024, &pki->mfg_ca, "mfg-ca", 1024);
}

START_TEST(rsa_keys_sleep)
{
	struct fixture_pki pki;
	struct fixture_party party;
	struct der spki;
	uint8_t hash[32], id[KEY_ID_LEN];
	key_handle rsa, other;

	small_pki_init(&pki);
	rsa = sm_install_rsa(f.sm, pki.pool, "device", 1024);
	sm_key_id(f.sm, rsa, id);
	ck_assert_ptr_null(sm_lookup(f.sm, rsa, SM_RSA)->pkey); /* asking does not wake it */
	ck_assert(cert_public_key(pki.device.bytes, pki.device.len, &spki));
	crypto_sha256(f.crypto, spki.bytes, spki.len, hash);
	ck_assert_mem_eq(id, hash, KEY_ID_LEN);
	ck_assert_int_eq(EVP_PKEY_get_bits(sm_rsa_pkey(f.sm, rsa)), 1024);
	ck_assert_ptr_eq(sm_rsa_pkey(f.sm, rsa), sm_rsa_pkey(f.sm, rsa));
	sm_sleep(f.sm);
	ck_assert_ptr_null(sm_lookup(f.sm, rsa, SM_RSA)->pkey);
	ck_assert_ptr_nonnull(sm_rsa_pkey(f.sm, rsa));
	ck_assert_ptr_null(sm_rsa_pkey(f.sm, 99));
	ck_assert(!sm_hmac_sha1(f.sm, rsa, hash, 1, hash));
	fixture_party_init(&party, f.crypto, "other");
	other = sm_install_rsa(party.sm, pki.pool, "device", 1024);
	sm_rsa_pkey(party.sm, other);
	sm_key_id(party.sm, other, hash);
	ck_assert_mem_eq(id, hash, KEY_ID_LEN);
	fixture_party_free(&party);
	der_free(&spki);
	sm_destroy_key(f.sm, rsa);
	fixture_pki_free(&pki);
}
END_TEST

START_TEST(rsa_life_is_told)
{
	struct log log = { .count = 0 };
	struct key_pool *pool = key_pool_new(f.crypto, 3, NULL);
	struct fixture_party party;
	uint8_t id[KEY_ID_LEN];
	size_t len;

	fixture_party_init(&party, f.crypto, "cta");
	crypto_set_key_watcher(f.crypto, hear, &log);
	sm_key_id(party.sm, sm_install_rsa(party.sm, pool, "cta-1", 1024), id);
	fixture_party_free(&party);
	crypto_set_key_watcher(f.crypto, NULL, NULL);
	key_pool_get(pool, "cta-1", 1024, &len);
	ck_assert_int_eq(log.count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(log.heard[i].life, i ? KEY_LIFE_DEAD : KEY_LIFE_HELD);
		ck_assert_str_eq(log.heard[i].algorithm, "rsa-1024");
		ck_assert_mem_eq(log.heard[i].id, id, KEY_ID_LEN);
		ck_assert_uint_eq(log.heard[i].secret_len, len);
	}
	ck_assert_str_eq(log.heard[0].context, "cta-1");
	key_pool_free(pool);
}
END_TEST

START_TEST(roots)
{
	struct fixture_pki pki;
	struct fixture_party party;
	struct der bad;
	size_t len;

	small_pki_init(&pki);
	ck_assert_ptr_null(sm_root(f.sm, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert(!sm_install_root(f.sm, pki.mfg_ca.bytes, pki.mfg_ca.len)); /* a CA but not self-signed */
	ck_assert(!sm_install_root(f.sm, pki.device.bytes, pki.device.len));
	ck_assert(!sm_install_root(f.sm, pki.root.bytes, pki.root.len - 1));
	ck_assert(!sm_install_root(f.sm, pki.root.bytes, 0));
	bad.len = pki.root.len;
	bad.bytes = malloc(bad.len);
	memcpy(bad.bytes, pki.root.bytes, bad.len);
	bad.bytes[bad.len - 1] ^= 1; /* last byte of the signature */
	ck_assert(!sm_install_root(f.sm, bad.bytes, bad.len));
	ck_assert_ptr_null(sm_root(f.sm, &len));
	ck_assert(sm_install_root(f.sm, pki.root.bytes, pki.root.len));
	ck_assert(sm_install_root(f.sm, pki.root.bytes, pki.root.len)); /* again: itself replaced by itself */
	ck_assert_mem_eq(sm_root(f.sm, &len), pki.root.bytes, pki.root.len);
	ck_assert_uint_eq(len, pki.root.len);
	fixture_party_init(&party, f.crypto, "other");
	ck_assert(sm_install_root(party.sm, pki.root.bytes, pki.root.len));
	ck_assert_ptr_eq(sm_root(f.sm, &len), sm_root(party.sm, &len)); /* kept once */
	fixture_party_free(&party);
	ck_assert_mem_eq(sm_root(f.sm, &len), pki.root.bytes, pki.root.len);
	der_free(&bad);
	fixture_pki_free(&pki);
}
END_TEST

#if defined __SANITIZE_ADDRESS__
#define HEAP_IS_MEASURABLE 0
#else
#define HEAP_IS_MEASURABLE 1
#endif

enum { MODULES = 200 };

/* Heap bytes that a sleeping device's module takes: one RSA key, two session keys, the root. */
static size_t sleeping_size(struct fixture_pki *pki)
{
	struct fixture_party *parties = calloc(MODULES, sizeof *parties);
	size_t before = mallinfo2().uordblks, after;

	for (int i = 0; i < MODULES; i++) {
		struct secure_module *sm;

		fixture_party_init(&parties[i], f.crypto, "cta-123456");
		sm = parties[i].sm;
		ck_assert(sm_install_root(sm, pki->root.bytes, pki->root.len));
		ck_assert_ptr_nonnull(sm_rsa_pkey(sm, sm_install_rsa(sm, pki->pool, "device", 1024)));
		sm_generate_des3(sm, "krb.session");
		sm_generate_des3(sm, "subkey");
		sm_sleep(sm);
	}
	after = mallinfo2().uordblks;
	for (int i = 0; i < MODULES; i++)
		fixture_party_free(&parties[i]);
	free(parties);
	return (after - before) / MODULES;
}

START_TEST(sleeping_module_is_small)
{
	struct fixture_pki pki;
	size_t size;

	small_pki_init(&pki);
	sleeping_size(&pki); /* OpenSSL fills caches of its own the first time */
	size = sleeping_size(&pki);
	if (HEAP_IS_MEASURABLE)
		ck_assert_uint_le(size, 640);
	fixture_pki_free(&pki);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secure_module");
	TCase *tcase = tcase_create("secure_module");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, handles_only_grow);
	tcase_add_test(tcase, addresses_hold);
	tcase_add_test(tcase, generated_keys);
	tcase_add_test_raise_signal(tcase, unknown_handle_asserts, SIGABRT);
	tcase_add_test(tcase, life_is_told);
	tcase_add_test(tcase, key_tell_outside_the_table);
	tcase_add_test(tcase, proof_hmac_derivation);
	tcase_add_test(tcase, wrap_and_back);
	tcase_add_test(tcase, unwrapped_key_names_its_parent);
	tcase_add_test(tcase, rsa_keys_sleep);
	tcase_add_test(tcase, rsa_life_is_told);
	tcase_add_test(tcase, roots);
	tcase_add_test(tcase, sleeping_module_is_small);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

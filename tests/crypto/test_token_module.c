/*
 * A secure module whose RSA part is a PKCS#11 token, against the built-in one: PKINIT in all its modes must give the
 * same bytes, the same keys and the same count of operations; a token that is missing, refuses a key or goes away is
 * told and hurts nobody. SoftHSM2 imports the keys; build/tollgate-pkcs11.so holds the device's for good. What is not
 * there is skipped.
 */
#define _XOPEN_SOURCE 700 /* nftw() */
#define _DEFAULT_SOURCE
#include <openssl/err.h>
#include "crypto/internal.h"
#include "crypto/pkcs11_token.h"
#include "tests/crypto/pkinit_world.h"
#include "tests/crypto/softhsm.h"

#define MODES 4
#define DEVICE_KEY "device"
#define DEVICE_BITS "1024"
#define POOL_SEED "7" /* FIXTURE_POOL_SEED */

static char own_library[512];

/* What an exchange leaves behind. */
struct outcome {
	struct der request, reply;
	uint8_t session_id[KEY_ID_LEN], device_id[KEY_ID_LEN];
	unsigned counts[CRYPTO_OP_COUNT];
	struct books books;
};

static void count(void *ctx, enum crypto_op op, uint32_t size)
{
	struct outcome *o = ctx;

	o->counts[op] += size;
}

/* New modules of the same names: their streams begin anew. */
static bool equip(struct world *w, bool cta_token, bool kdc_token)
{
	char error[SM_ERROR_LEN] = "";

	fixture_party_free(&w->cta);
	fixture_party_free(&w->kdc);
	fixture_party_init(&w->cta, w->crypto, "cta");
	fixture_party_init(&w->kdc, w->crypto, "kdc");
	ck_assert_msg(!cta_token || sm_use_token(w->cta.sm, error), "%s", error);
	ck_assert_msg(!kdc_token || sm_use_token(w->kdc.sm, error), "%s", error);
	sm_install_root(w->cta.sm, w->pki.root.bytes, w->pki.root.len);
	w->server_key = sm_install_des3(w->kdc.sm, "krb.server", "sc/sc1", sc_key);
	w->identity.rsa_key = sm_install_rsa(w->cta.sm, w->pki.pool, DEVICE_KEY, 1024);
	w->authority.rsa_key = sm_install_rsa(w->kdc.sm, w->pki.pool, "kdc", 2048);
	return w->identity.rsa_key && w->authority.rsa_key;
}

static struct outcome perform(struct world *w, int mode)
{
	struct outcome o = { .books = { 0 } };
	struct pkinit_policy policy = w->policy;
	struct krb_credentials got = { 0 };
	struct exchange x;

	policy.bind = mode_bind(mode);
	w->books = (struct books){ 0 };
	crypto_set_meter(w->crypto, count, &o);
	ask(w, &x, mode_dh(mode), mode_bind(mode));
	sm_sleep(w->cta.sm);
	answer(w, &x, &w->authority, mode_bind(mode), NULL);
	ck_assert_int_eq(pkinit_reply(w->cta.sm, x.client, &w->identity, &policy, x.reply.bytes, x.reply.len, &got,
	                              NULL),
	                 KRB_REPLY_OK);
	crypto_set_meter(w->crypto, NULL, NULL);
	sm_key_id(w->cta.sm, got.session_key, o.session_id);
	sm_key_id(w->cta.sm, w->identity.rsa_key, o.device_id);
	krb_credentials_free(w->cta.sm, &got);
	ck_assert(krb_der_copy(&o.request, x.request.bytes, x.request.len) &&
	          krb_der_copy(&o.reply, x.reply.bytes, x.reply.len));
	o.books = w->books;
	finish(&x);
	return o;
}

static void same(struct outcome *a, struct outcome *b)
{
	ck_assert_uint_eq(a->request.len, b->request.len);
	ck_assert_mem_eq(a->request.bytes, b->request.bytes, a->request.len);
	ck_assert_uint_eq(a->reply.len, b->reply.len);
	ck_assert_mem_eq(a->reply.bytes, b->reply.bytes, a->reply.len);
	ck_assert_mem_eq(a->session_id, b->session_id, KEY_ID_LEN);
	ck_assert_mem_eq(a->device_id, b->device_id, KEY_ID_LEN);
	ck_assert_mem_eq(a->counts, b->counts, sizeof a->counts);
	ck_assert_uint_gt(a->counts[CRYPTO_RSA_SIGN], 0);
	ck_assert_mem_eq(&a->books, &b->books, sizeof a->books);
	der_free(&a->request);
	der_free(&a->reply);
	der_free(&b->request);
	der_free(&b->reply);
}

/* A world and SoftHSM2 with one token in the environment. */
struct bench {
	struct world *w;
	char folder[64];
};

static void bench_init(struct bench *b)
{
	b->w = &the_world;
	snprintf(b->folder, sizeof b->folder, "%s", "/tmp/tollgate-softhsm-XXXXXX");
	softhsm_init(b->folder, "part");
	setenv("TOLLGATE_PKCS11_MODULE", softhsm_library(), 1);
	setenv("TOLLGATE_PKCS11_PIN", SOFTHSM_PIN, 1);
	unsetenv("TOLLGATE_PKCS11_LABEL");
}

static void bench_free(struct bench *b)
{
	world_free(); /* this process's copy */
	softhsm_free(b->folder);
}

/* Private keys that SoftHSM2 holds; the library is in use. */
static CK_ULONG keys_in_token(void)
{
	CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE wanted = { CKA_CLASS, &object_class, sizeof object_class };
	CK_OBJECT_HANDLE found[16];
	CK_SESSION_HANDLE session;
	CK_SLOT_ID slots[8];
	CK_ULONG n = 8;
	void *library;
	CK_FUNCTION_LIST *p11 = softhsm_functions(softhsm_library(), &library);

	ck_assert_uint_eq(p11->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	ck_assert_uint_eq(p11->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK);
	ck_assert_uint_eq(p11->C_FindObjectsInit(session, &wanted, 1), CKR_OK);
	ck_assert_uint_eq(p11->C_FindObjects(session, found, 16, &n), CKR_OK);
	ck_assert_uint_eq(p11->C_FindObjectsFinal(session), CKR_OK);
	ck_assert_uint_eq(p11->C_CloseSession(session), CKR_OK);
	dlclose(library);
	return n;
}

START_TEST(pkinit_is_the_same)
{
	struct outcome built_in, token;
	struct bench b;

	bench_init(&b);
	ck_assert(equip(b.w, false, false));
	built_in = perform(b.w, _i);
	ck_assert(equip(b.w, true, true));
	ck_assert_uint_eq(keys_in_token(), 2);
	token = perform(b.w, _i);
	ck_assert_str_eq(crypto_token_failure(b.w->crypto), "");
	same(&built_in, &token);
	bench_free(&b);
}
END_TEST

/* Keys are in the token from installation to destruction, asleep or awake; nobody else's go with them. */
START_TEST(keys_come_and_go)
{
	struct bench b;
	key_handle again;

	bench_init(&b);
	ck_assert(equip(b.w, true, true));
	again = sm_install_rsa(b.w->kdc.sm, b.w->pki.pool, DEVICE_KEY, 1024);
	ck_assert(again);
	sm_sleep(b.w->cta.sm);
	ck_assert_uint_eq(keys_in_token(), 3);
	sm_destroy_key(b.w->kdc.sm, again);
	ck_assert_uint_eq(keys_in_token(), 2);
	ck_assert_ptr_nonnull(sm_rsa_pkey(b.w->cta.sm, b.w->identity.rsa_key));
	ck_assert(equip(b.w, false, true));
	ck_assert_uint_eq(keys_in_token(), 1);
	bench_free(&b);
}
END_TEST

/*
 * Attack K11's material: both parts say the same of a reply whose RSA block is not padded, and the token is not blamed.
 */
START_TEST(bad_padding)
{
	struct bench b;
	enum krb_reply_verdict verdicts[2][2];

	bench_init(&b);
	for (int token = 0; token < 2; token++) {
		ck_assert(equip(b.w, token, token));
		for (int tell = 0; tell < 2; tell++) {
			struct pkinit_policy policy = b.w->policy;
			struct krb_credentials got = { 0 };
			struct der spoilt = { 0 };
			struct exchange x;

			policy.tell_padding = tell;
			ask(b.w, &x, false, PKINIT_BIND_ASCHECKSUM);
			answer(b.w, &x, &b.w->authority, PKINIT_BIND_ASCHECKSUM, NULL);
			ck_assert(krb_attack_spoil_envelope(x.reply.bytes, x.reply.len, KRB_ATTACK_SPOIL_KEY, &spoilt));
			verdicts[token][tell] =
				pkinit_reply(b.w->cta.sm, x.client, &b.w->identity, &policy, spoilt.bytes, spoilt.len,
				             &got, NULL);
			der_free(&spoilt);
			finish(&x);
		}
	}
	ck_assert_int_eq(verdicts[0][1], KRB_REPLY_PADDING);
	ck_assert_mem_eq(verdicts[0], verdicts[1], sizeof verdicts[0]);
	ck_assert_str_eq(crypto_token_failure(b.w->crypto), "");
	bench_free(&b);
}
END_TEST

/* Somebody pulls the card. */
START_TEST(token_goes_away)
{
	struct bench b;
	struct der out = { 0 };
	struct exchange x;
	struct krb_credentials got = { 0 };
	void *library;
	CK_FUNCTION_LIST *p11;

	bench_init(&b);
	ck_assert(equip(b.w, true, false));
	ask(b.w, &x, false, PKINIT_BIND_ASCHECKSUM);
	answer(b.w, &x, &b.w->authority, PKINIT_BIND_ASCHECKSUM, NULL);
	p11 = softhsm_functions(softhsm_library(), &library);
	ck_assert_uint_eq(p11->C_Finalize(NULL), CKR_OK);
	if (_i == 1)
		sm_sleep(b.w->cta.sm);
	ck_assert_int_ne(pkinit_reply(b.w->cta.sm, x.client, &b.w->identity, &b.w->policy, x.reply.bytes, x.reply.len,
	                              &got, NULL),
	                 KRB_REPLY_OK);
	ck_assert_msg(strstr(crypto_token_failure(b.w->crypto), "PKCS#11 error 0x190"), "%s",
	              crypto_token_failure(b.w->crypto));
	ck_assert_ptr_null(pkinit_request(b.w->cta.sm, &b.w->identity, &b.w->server, now, NOW + 86400, false,
	                                  PKINIT_BIND_ASCHECKSUM, &out));
	ck_assert_uint_eq(sm_install_rsa(b.w->cta.sm, b.w->pki.pool, "kdc", 2048), 0);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	finish(&x);
	bench_free(&b);
	dlclose(library);
}
END_TEST

START_TEST(no_token)
{
	char error[SM_ERROR_LEN] = "";
	struct bench b;

	bench_init(&b);
	unsetenv("TOLLGATE_PKCS11_MODULE");
	ck_assert(!sm_use_token(b.w->cta.sm, error));
	ck_assert_str_eq(error, "a token is asked for, but TOLLGATE_PKCS11_MODULE does not name its PKCS#11 library");
	setenv("TOLLGATE_PKCS11_MODULE", "/nonexistent/pkcs11.so", 1);
	ck_assert(!sm_use_token(b.w->cta.sm, error));
	ck_assert_ptr_nonnull(strstr(error, "/nonexistent/pkcs11.so"));
	setenv("TOLLGATE_PKCS11_MODULE", softhsm_library(), 1);
	setenv("TOLLGATE_PKCS11_PIN", "9999", 1);
	ck_assert(!sm_use_token(b.w->cta.sm, error));
	ck_assert_str_eq(error, "C_Login: PKCS#11 error 0xa0");
	setenv("TOLLGATE_PKCS11_PIN", SOFTHSM_PIN, 1);
	softhsm_add_token("other");
	ck_assert(!sm_use_token(b.w->cta.sm, error));
	ck_assert_str_eq(error, "there are 2 tokens; a label must choose one");
	ck_assert(sm_install_rsa(b.w->cta.sm, b.w->pki.pool, "kdc", 2048)); /* built in: nothing was chosen */
	setenv("TOLLGATE_PKCS11_LABEL", "other", 1);
	ck_assert_msg(sm_use_token(b.w->cta.sm, error), "%s", error);
	ck_assert_str_eq(crypto_token_failure(b.w->crypto), "");
	bench_free(&b);
}
END_TEST

/*
 * The module's own PKCS#11 face as the token: it holds the device's key pair, made from seed and name, and takes no
 * other.
 */
START_TEST(personalised_token)
{
	struct world *w = &the_world;
	struct outcome built_in, token;

	setenv("TOLLGATE_PKCS11_MODULE", own_library, 1);
	setenv("TOLLGATE_PKCS11_PIN", "1234", 1);
	setenv("TOLLGATE_PKCS11_NAME", DEVICE_KEY, 1);
	setenv("TOLLGATE_PKCS11_SEED", POOL_SEED, 1);
	setenv("TOLLGATE_PKCS11_BITS", DEVICE_BITS, 1);
	unsetenv("TOLLGATE_PKCS11_LABEL");
	ck_assert(equip(w, false, false));
	built_in = perform(w, _i);
	ck_assert(equip(w, true, false));
	token = perform(w, _i);
	ck_assert_str_eq(crypto_token_failure(w->crypto), "");
	same(&built_in, &token);
	ck_assert_uint_eq(sm_install_rsa(w->cta.sm, w->pki.pool, "kdc", 2048), 0);
	ck_assert_ptr_nonnull(strstr(crypto_token_failure(w->crypto), "C_CreateObject: PKCS#11 error"));
	ck_assert(equip(w, true, false)); /* the old module let go of the key; it is still there */
	world_free();
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("token_module");
	TCase *tcase = tcase_create("token_module");
	SRunner *runner;
	int failed;

	(void)argc;
	/* BUILD/tests/crypto/this */
	snprintf(own_library, sizeof own_library, "%.*s../../tollgate-pkcs11.so",
	         (int)(strrchr(argv[0], '/') - argv[0] + 1), argv[0]);
	if (access(softhsm_library(), R_OK) == 0) {
		tcase_add_loop_test(tcase, pkinit_is_the_same, 0, MODES);
		tcase_add_test(tcase, keys_come_and_go);
		tcase_add_test(tcase, bad_padding);
		tcase_add_loop_test(tcase, token_goes_away, 0, 2);
		tcase_add_test(tcase, no_token);
	} else {
		printf("token_module: SKIPPED, there is no SoftHSM2 at %s (set SOFTHSM2_LIBRARY)\n", softhsm_library());
	}
	if (access(own_library, R_OK) == 0)
		tcase_add_loop_test(tcase, personalised_token, 0, MODES);
	else
		printf("token_module: personalised_token SKIPPED, %s is not built\n", own_library);
	tcase_add_unchecked_fixture(tcase, world_init, world_free);
	runner = srunner_create(suite);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * PKINIT against hostile bytes: mutated requests, replies, and signed contents that are mutated inside their envelope.
 * Seeds are fixed; the module's table of keys must be as long after each refusal as before.
 */
#include "tests/crypto/pkinit_world.h"

#define MUTATIONS 1000 /* of each message; tests/fuzz/fuzz_kerberos.c goes on from here */

static uint64_t step(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void ignore(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	(void)ctx;
	(void)class_;
	ck_assert(strlen(path) > 0 && strlen(value) < 512);
}

static uint8_t *mutate(const struct der *m, uint64_t *seed, size_t *len)
{
	*len = step(seed) % 16 == 0 ? step(seed) % (m->len + 1) : m->len;
	uint8_t *bytes = malloc(*len ? *len : 1); /* to the byte, so that a read past the end is seen */
	memcpy(bytes, m->bytes, *len);
	for (unsigned k = 1 + step(seed) % 3; k > 0 && *len > 0; k--) {
		size_t at = step(seed) % *len;
		bytes[at] = (uint8_t)(step(seed) % 2 ? step(seed) : bytes[at] ^ 1u << step(seed) % 8);
	}
	return bytes;
}

START_TEST(survives_mutated_requests)
{
	struct world *w = &the_world;
	struct exchange x;
	uint64_t seed = 0xa5e90 + (uint64_t)_i;
	unsigned parsed = 0, passed = 0;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	for (unsigned i = 0; i < MUTATIONS; i++) {
		size_t len;
		struct krb_as_facts facts;
		uint8_t *bytes = mutate(&x.request, &seed, &len);
		bool same = len == x.request.len && !memcmp(bytes, x.request.bytes, len);
		krb_describe(bytes, len, ignore, NULL);
		if (krb_as_parse(w->crypto, bytes, len, &facts)) {
			parsed++;
			passed += !same && pkinit_check_signature(w->crypto, &facts);
			krb_as_facts_free(&facts);
		}
		free(bytes);
	}
	ck_assert_uint_gt(parsed, 100); /* the mutations reach behind the first decoder */
	/* under RFC 4556 only bytes outside body, AuthPack and signature may change unnoticed: the list of trusted CAs
	 */
	ck_assert_uint_lt(passed, parsed);
	finish(&x);
}
END_TEST

START_TEST(survives_mutated_replies)
{
	struct world *w = &the_world;
	struct exchange x;
	uint64_t seed = 0xa5e40 + (uint64_t)_i;
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	for (unsigned i = 0; i < MUTATIONS; i++) {
		size_t len;
		struct exchange m = { .client = x.client, .request = x.request };
		m.reply.bytes = mutate(&x.reply, &seed, &len);
		m.reply.len = len;
		/* half of them as a CTA with every defence off, so that the mutations get far */
		policy.verify_root = policy.require_kdc_eku = policy.check_crl = policy.check_kdc_name =
			policy.check_nonce = policy.check_bind = policy.check_sealed_sname = i & 1;
		krb_describe(m.reply.bytes, m.reply.len, ignore, NULL);
		judge(w, &m, &policy);
		der_free(&m.reply);
	}
	finish(&x);
}
END_TEST

/* The KDC's signed part itself, mutated inside the envelope: what the RSA decryption hands on. */
static uint64_t inner_seed;

static void mutate_inside(struct der *whole)
{
	for (unsigned k = 1 + step(&inner_seed) % 3; k > 0; k--)
		whole->bytes[40 + step(&inner_seed) % (whole->len - 40)] ^= (uint8_t)(1u << step(&inner_seed) % 8);
}

START_TEST(survives_mutated_contents)
{
	struct world *w = &the_world;
	struct exchange x;
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	inner_seed = 0x1aaaa + (uint64_t)_i;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	for (unsigned i = 0; i < MUTATIONS / 5; i++) {
		struct exchange m = { .client = x.client, .request = x.request };
		krb_der_copy(&m.reply, x.reply.bytes, x.reply.len);
		alter_signed(w, &m, mutate_inside);
		enum krb_reply_verdict verdict = judge(w, &m, &policy);
		ck_assert_msg(verdict != KRB_REPLY_TIME && verdict != KRB_REPLY_SNAME, "round %u: %d", i, verdict);
		der_free(&m.reply);
	}
	finish(&x);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pkinit_hostile");
	TCase *cases = tcase_create("mutations");
	tcase_set_timeout(cases, 300);
	tcase_add_unchecked_fixture(cases, world_init, world_free);
	tcase_add_loop_test(cases, survives_mutated_requests, 0, 4);
	tcase_add_loop_test(cases, survives_mutated_replies, 0, 4);
	tcase_add_loop_test(cases, survives_mutated_contents, 0, 4);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/* The CTAs that a controller talks with: when they come, what they may, when they and their keys go. */
#include "models/party.h"
#include "tests/models/rig.h"

#define NAME "00112233445566778899aabbccddeeff00112233"
#define OTHER "ffffffffffffffffffffffffffffffffffffffff"
#define SC 1 /* the rig's end that has parties */

struct set {
	struct rig rig;
	struct parties *parties;
	uint32_t ip;
};

static void set_make(struct set *s)
{
	rig_make(&s->rig, &rig_clean, 1, false, NULL);
	s->parties = parties_new(s->rig.end[SC].node, s->rig.end[SC].ipsec);
	s->ip = s->rig.end[!SC].ip;
}

static void set_free(struct set *s)
{
	parties_free(s->parties);
	rig_free(&s->rig, NULL);
}

/* An AP exchange of a client named so, at an address, has been accepted. */
static struct association *enter(struct set *s, const char *name, uint32_t ip, uint32_t spi, const char *only)
{
	struct krb_ticket_facts ticket = { .restricted = only != NULL, .number_count = only && only[0] };
	uint8_t key[24];
	struct association_request request = { .peer_ip = ip, .spi = spi, .label = LABEL_CTA_SC, .peer = name,
		                               .lifetime_ns = RIG_LIFETIME_NS };
	struct association *a;

	memset(key, (int)(1 + spi % 200), sizeof key);
	request.subkey = sm_install_des3(s->rig.end[SC].sm, "subkey", "test", key);
	if (only)
		snprintf(ticket.numbers[0], sizeof ticket.numbers[0], "%s", only);
	a = ipsec_add(s->rig.end[SC].ipsec, &request);
	ck_assert_ptr_nonnull(a);
	parties_enter(s->parties, a, &ticket);
	return a;
}

static void expect(const struct set *s, unsigned parties, unsigned associations)
{
	ck_assert_uint_eq(parties_count(s->parties), parties);
	ck_assert_uint_eq(ipsec_count(s->rig.end[SC].ipsec), associations);
}

START_TEST(one_that_never_calls_is_forgotten_after_a_minute)
{
	struct set s;

	set_make(&s);
	enter(&s, NAME, s.ip, 0x1000, NULL);
	rig_run_for(&s.rig, PARTY_IDLE_NS / 2);
	enter(&s, NAME, s.ip, 0x2000, NULL); /* again: the minute begins anew */
	rig_run_for(&s.rig, PARTY_IDLE_NS - 1);
	expect(&s, 1, 2);
	rig_run_for(&s.rig, 1);
	expect(&s, 0, 0);
	ck_assert_uint_eq(sm_key_count(s.rig.end[SC].sm), 0);
	set_free(&s);
}
END_TEST

START_TEST(it_stays_as_long_as_a_leg_needs_it)
{
	struct set s;
	struct party *p;

	set_make(&s);
	enter(&s, NAME, s.ip, 0x1000, NULL);
	p = party_of(s.parties, s.ip, NAME);
	party_hold(p);
	party_hold(p);
	rig_run_for(&s.rig, 10 * PARTY_IDLE_NS);
	party_release(p);
	rig_run_for(&s.rig, PARTY_IDLE_NS);
	expect(&s, 1, 1);
	party_release(p);
	rig_run_for(&s.rig, PARTY_LINGER_NS - 1);
	expect(&s, 1, 1);
	rig_run_for(&s.rig, 1);
	expect(&s, 0, 0);
	set_free(&s);
}
END_TEST

/* A call longer than its association: the party stays without one, takes a new one, and goes with its last leg. */
START_TEST(a_call_outlives_its_association)
{
	struct set s;
	struct party *p;

	set_make(&s);
	enter(&s, NAME, s.ip, 0x1000, NULL);
	p = party_of(s.parties, s.ip, NAME);
	party_hold(p);
	rig_run_for(&s.rig, RIG_LIFETIME_NS + 1);
	expect(&s, 1, 0);
	ck_assert_ptr_null(party_association(p));
	enter(&s, NAME, s.ip, 0x2000, NULL);
	ck_assert_ptr_eq(party_of(s.parties, s.ip, NAME), p);
	ck_assert_uint_eq(party_association(p)->spi, 0x2000);
	party_release(p);
	rig_run_for(&s.rig, PARTY_LINGER_NS);
	expect(&s, 0, 0);
	set_free(&s);
}
END_TEST

START_TEST(an_expired_one_without_legs_is_forgotten)
{
	struct set s;
	struct party *p;

	set_make(&s);
	enter(&s, NAME, s.ip, 0x1000, NULL);
	p = party_of(s.parties, s.ip, NAME);
	party_hold(p);
	rig_run_for(&s.rig, RIG_LIFETIME_NS - PARTY_LINGER_NS / 2);
	party_release(p); /* it lingers, and its association ends first */
	rig_run_for(&s.rig, PARTY_LINGER_NS);
	expect(&s, 0, 0);
	set_free(&s);
}
END_TEST

/* An address says nothing about who is there. */
START_TEST(two_names_at_one_address_are_two_parties)
{
	struct set s;
	struct party *p, *other;
	struct association *a;

	set_make(&s);
	a = enter(&s, NAME, s.ip, 0x1000, NULL);
	p = party_of(s.parties, s.ip, NAME);
	party_hold(p);
	ck_assert(!parties_other_at(s.parties, s.ip, NAME));
	ck_assert(parties_other_at(s.parties, s.ip, OTHER));
	enter(&s, OTHER, s.ip, 0x2000, "411");
	other = party_of(s.parties, s.ip, OTHER);
	ck_assert_ptr_ne(p, other);
	ck_assert(!parties_other_at(s.parties, s.ip, NAME)); /* the other is in no call */
	ck_assert_ptr_eq(party_association(p), a);
	ck_assert_uint_eq(party_association(other)->spi, 0x2000);
	ck_assert(party_may_call(p, "2155550101")); /* what the other's ticket says is the other's */
	ck_assert(!party_may_call(other, "2155550101"));
	ck_assert(party_may_call(other, "411"));
	rig_run_for(&s.rig, PARTY_IDLE_NS);
	expect(&s, 1, 1);
	ck_assert_ptr_eq(party_association(p), a);
	party_release(p);
	rig_run_for(&s.rig, PARTY_LINGER_NS);
	expect(&s, 0, 0);
	set_free(&s);
}
END_TEST

START_TEST(a_newer_ticket_says_what_it_may)
{
	struct set s;
	struct party *p;

	set_make(&s);
	enter(&s, NAME, s.ip, 0x1000, "");
	p = party_of(s.parties, s.ip, NAME);
	ck_assert(p->restricted && !party_may_call(p, "411"));
	enter(&s, NAME, s.ip, 0x2000, "911");
	ck_assert(party_may_call(p, "911") && !party_may_call(p, "411"));
	enter(&s, NAME, s.ip, 0x3000, NULL);
	ck_assert(!p->restricted && party_may_call(p, "411"));
	parties_reset(s.parties);
	ck_assert_uint_eq(parties_count(s.parties), 0);
	ipsec_reset(s.rig.end[SC].ipsec);
	set_free(&s);
}
END_TEST

START_TEST(thousands_are_found)
{
	enum { MANY = 3000 };
	struct set s;

	set_make(&s);
	for (uint32_t i = 1; i <= MANY; i++)
		enter(&s, i % 2 ? NAME : OTHER, 0x0b000000 + i, 0x1000 + 2 * i, NULL);
	for (uint32_t i = 1; i <= MANY; i++) {
		ck_assert_ptr_nonnull(party_of(s.parties, 0x0b000000 + i, i % 2 ? NAME : OTHER));
		ck_assert_ptr_null(party_of(s.parties, 0x0b000000 + i, i % 2 ? OTHER : NAME));
	}
	rig_run_for(&s.rig, PARTY_IDLE_NS);
	expect(&s, 0, 0);
	set_free(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("party");
	TCase *t = tcase_create("party");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, one_that_never_calls_is_forgotten_after_a_minute);
	tcase_add_test(t, it_stays_as_long_as_a_leg_needs_it);
	tcase_add_test(t, a_call_outlives_its_association);
	tcase_add_test(t, an_expired_one_without_legs_is_forgotten);
	tcase_add_test(t, two_names_at_one_address_are_two_parties);
	tcase_add_test(t, a_newer_ticket_says_what_it_may);
	tcase_add_test(t, thousands_are_found);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

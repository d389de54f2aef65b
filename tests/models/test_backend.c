/*
 * Associations between servers: end 0 makes its own tickets (a KDC's backend), end 1 accepts or is silent. Tickets
 * from a KDC by AS-REQ are tests/models/test_kdc.c's.
 */
#include "models/backend.h"
#include "models/directory.h"
#include "tests/models/rig.h"

struct asker {
	struct set *set;
	unsigned told, ready;
	unsigned nth;                    /* in the order of telling */
	void (*then)(struct asker *asker); /* what it does when it is told; NULL: nothing */
};

struct set {
	struct rig rig;
	struct backend *backend;
	uint32_t peer;
	unsigned told;
	struct asker asker[4];
};

static void on_ready(void *ctx, bool ready)
{
	struct asker *a = ctx;

	a->told++;
	a->ready += ready;
	a->nth = ++a->set->told;
	if (a->then)
		a->then(a);
}

static void set_make(struct set *s, const char *const *sets)
{
	struct key_management_owner owner = { .ctx = NULL };
	struct backend_config config = { .principal = "kdc/a", .self_issue = true };
	struct rig_end *own, *other;
	key_handle key;

	memset(s, 0, sizeof *s);
	rig_make(&s->rig, &rig_clean, 1, true, sets);
	own = &s->rig.end[0];
	other = &s->rig.end[1];
	key = world_server_key(s->rig.world, other->sm, "sc/b");
	own->km = key_management_new(own->node, own->ipsec, "kdc/a", 0, &owner);
	other->km = key_management_new(other->node, other->ipsec, "sc/b", key, &owner);
	key_management_reset(own->km);
	key_management_reset(other->km);
	config.node = own->node;
	config.ipsec = own->ipsec;
	config.km = own->km;
	s->backend = backend_new(&config);
	s->peer = other->ip;
	directory_service_add(world_directory(s->rig.world), "kdc/a", own->ip);
	directory_service_add(world_directory(s->rig.world), "sc/b", other->ip);
	for (unsigned i = 0; i < 4; i++)
		s->asker[i].set = s;
}

static void set_free(struct set *s)
{
	backend_free(s->backend);
	rig_free(&s->rig, (unsigned[]){ 0, 1 });
}

static void ask(struct asker *a)
{
	backend_ensure(a->set->backend, a->set->peer, on_ready, a);
}

static unsigned exchanges(const struct set *s)
{
	return book_count(&s->rig.sent, "AP-REQ");
}

START_TEST(all_who_wait_are_told_in_turn)
{
	struct set s;

	set_make(&s, NULL);
	for (unsigned i = 0; i < 3; i++)
		ask(&s.asker[i]);
	ck_assert_uint_eq(s.told, 0);
	rig_run_for(&s.rig, NS_PER_S);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(s.asker[i].ready, 1);
		ck_assert_uint_eq(s.asker[i].nth, i + 1);
	}
	ask(&s.asker[3]); /* there is one already: at once */
	ck_assert_uint_eq(s.asker[3].ready, 1);
	ck_assert_uint_eq(exchanges(&s), 1);
	ck_assert_uint_eq(ipsec_count(s.rig.end[0].ipsec), 1);
	set_free(&s);
}
END_TEST

START_TEST(a_silent_peer_and_a_stranger_are_not_ready)
{
	struct set s;

	set_make(&s, NULL);
	s.rig.take_all = true;
	ask(&s.asker[0]);
	ask(&s.asker[1]);
	rig_run_for(&s.rig, 60 * NS_PER_S);
	ck_assert_uint_eq(s.asker[0].told, 1);
	ck_assert_uint_eq(s.asker[1].told, 1);
	ck_assert_uint_eq(s.asker[0].ready + s.asker[1].ready, 0);
	backend_ensure(s.backend, s.peer + 7, on_ready, &s.asker[2]);
	ck_assert_uint_eq(s.asker[2].told, 1);
	ck_assert_uint_eq(s.asker[2].ready, 0);
	s.rig.take_all = false;
	ask(&s.asker[3]); /* and it asks again, with the ticket it has */
	rig_run_for(&s.rig, NS_PER_S);
	ck_assert_uint_eq(s.asker[3].ready, 1);
	set_free(&s);
}
END_TEST

START_TEST(without_ipsec_everybody_is_ready)
{
	static const char *const off[] = { "backend.ipsec=off", NULL };
	struct set s;

	set_make(&s, off);
	ask(&s.asker[0]);
	ck_assert_uint_eq(s.asker[0].ready, 1);
	ck_assert_uint_eq(exchanges(&s), 0);
	set_free(&s);
}
END_TEST

/* What those who are told may do */

static void cancel_others(struct asker *a)
{
	for (unsigned i = 0; i < 4; i++)
		if (&a->set->asker[i] != a)
			backend_cancel(a->set->backend, &a->set->asker[i]);
}

static void restart(struct asker *a)
{
	backend_reset(a->set->backend);
}

static void drop_and_ask(struct asker *a)
{
	a->then = NULL;
	backend_drop(a->set->backend, a->set->peer);
	ask(a);
}

/*
 * It cannot begin: somebody else's exchange with the peer is under way. Told from inside, with others still to be
 * told.
 */
static void ask_in_vain(struct asker *a)
{
	static const struct krb_credentials none;

	a->then = NULL;
	backend_drop(a->set->backend, a->set->peer);
	key_management_cancel(a->set->rig.end[0].km, a->set->peer);
	ck_assert(key_management_initiate(a->set->rig.end[0].km, a->set->peer, &none, LABEL_SERVER, 0, NULL, NULL));
	ask(a);
	key_management_cancel(a->set->rig.end[0].km, a->set->peer);
}

START_TEST(one_who_is_told_may_take_back_what_others_asked)
{
	struct set s;

	set_make(&s, NULL);
	for (unsigned i = 0; i < 4; i++)
		ask(&s.asker[i]);
	s.asker[1].then = cancel_others;
	rig_run_for(&s.rig, NS_PER_S);
	ck_assert_uint_eq(s.asker[0].told, 1);
	ck_assert_uint_eq(s.asker[1].told, 1);
	ck_assert_uint_eq(s.asker[2].told + s.asker[3].told, 0);
	set_free(&s);
}
END_TEST

START_TEST(one_who_is_told_may_restart_the_server)
{
	struct set s;

	set_make(&s, NULL);
	for (unsigned i = 0; i < 4; i++)
		ask(&s.asker[i]);
	s.asker[1].then = restart;
	rig_run_for(&s.rig, NS_PER_S);
	ck_assert_uint_eq(s.told, 2);
	ask(&s.asker[3]);
	ck_assert_uint_eq(s.asker[3].ready, 1); /* IPsec was not reset here: the association stands */
	set_free(&s);
}
END_TEST

START_TEST(one_who_is_told_may_ask_again)
{
	for (unsigned vain = 0; vain < 2; vain++) {
		struct set s;

		set_make(&s, NULL);
		for (unsigned i = 0; i < 4; i++)
			ask(&s.asker[i]);
		s.asker[1].then = vain ? ask_in_vain : drop_and_ask;
		rig_run_for(&s.rig, NS_PER_S);
		for (unsigned i = 0; i < 4; i++)
			ck_assert_uint_eq(s.asker[i].told, i == 1 ? 2 : 1);
		ck_assert_uint_eq(s.asker[1].ready, vain ? 1 : 2);
		ck_assert_uint_eq(s.asker[3].ready, 1);
		set_free(&s);
	}
}
END_TEST

START_TEST(a_reset_tells_nobody)
{
	struct set s;

	set_make(&s, NULL);
	ask(&s.asker[0]);
	rig_run_for(&s.rig, NS_PER_MS);
	backend_reset(s.backend);
	rig_run_for(&s.rig, 60 * NS_PER_S);
	ck_assert_uint_eq(s.told, 0);
	set_free(&s);
}
END_TEST

/* Keying again because of a packet under an SPI that nobody knows: such packets are anybody's. */

static void forge(struct set *s, uint32_t spi)
{
	struct packet *packet = packet_new(s->rig.sim, 64);
	uint8_t *bytes = packet_append(packet, 64);

	memset(bytes, 0x55, 64);
	put_be32(bytes, spi);
	ip_send(s->rig.end[1].node, &(struct ip_info){ .dst = s->rig.end[0].ip, .proto = IP_PROTO_ESP }, packet);
}

START_TEST(unknown_spis_make_it_key_again_once_a_second_and_no_more)
{
	struct set s;

	set_make(&s, NULL);
	for (unsigned i = 0; i < 1000; i++) {
		forge(&s, 0x10000 + 2 * i);
		rig_run_for(&s.rig, 20 * NS_PER_MS);
	}
	ck_assert_uint_gt(exchanges(&s), 15);
	ck_assert_uint_le(exchanges(&s), 21); /* in 20 s */
	/* and what comes of it does not pile up at either end */
	ck_assert_uint_le(ipsec_count(s.rig.end[0].ipsec), AP_ASSOCIATIONS_MAX);
	ck_assert_uint_le(ipsec_count(s.rig.end[1].ipsec), AP_ASSOCIATIONS_MAX);
	set_free(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backend");
	TCase *t = tcase_create("backend");
	SRunner *runner;
	int failed;

	tcase_add_test(t, all_who_wait_are_told_in_turn);
	tcase_add_test(t, a_silent_peer_and_a_stranger_are_not_ready);
	tcase_add_test(t, without_ipsec_everybody_is_ready);
	tcase_add_test(t, one_who_is_told_may_take_back_what_others_asked);
	tcase_add_test(t, one_who_is_told_may_restart_the_server);
	tcase_add_test(t, one_who_is_told_may_ask_again);
	tcase_add_test(t, a_reset_tells_nobody);
	tcase_add_test(t, unknown_spis_make_it_key_again_once_a_second_and_no_more);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

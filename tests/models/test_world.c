/* The shared ground of a run: switches, server keys, the census of keys and who watches it. */
#include "tests/models/rig.h"

static const uint8_t key_bytes[24] = "\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23";

static void note_gone(void *ctx)
{
	++*(unsigned *)ctx;
}

struct held {
	key_handle key;
	uint8_t id[KEY_ID_LEN];
};

static struct held install(struct rig *rig, unsigned end)
{
	struct held h = { .key = sm_install_des3(rig->end[end].sm, "call.subkey", "test", key_bytes) };

	sm_key_id(rig->end[end].sm, h.key, h.id);
	return h;
}

START_TEST(a_key_is_held_by_as_many_as_have_it)
{
	struct rig rig;
	struct held a, b;
	unsigned gone = 0;

	rig_make(&rig, &rig_clean, 1, true, NULL);
	a = install(&rig, 0);
	b = install(&rig, 1);
	ck_assert_mem_eq(a.id, b.id, KEY_ID_LEN);
	ck_assert_uint_eq(world_key_holders(rig.world, a.id), 2);
	world_watch_key(rig.world, a.id, note_gone, &gone);
	sm_destroy_key(rig.end[0].sm, a.key);
	ck_assert_uint_eq(world_key_holders(rig.world, a.id), 1);
	ck_assert_uint_eq(gone, 0);
	sm_destroy_key(rig.end[1].sm, b.key);
	ck_assert_uint_eq(world_key_holders(rig.world, a.id), 0);
	ck_assert_uint_eq(gone, 1);
	a = install(&rig, 0); /* the watch was for once */
	sm_destroy_key(rig.end[0].sm, a.key);
	ck_assert_uint_eq(gone, 1);
	rig_free(&rig, NULL);
}
END_TEST

/* A sub-key is not gone while somebody can still encrypt with what came of it, in whatever order they die. */
START_TEST(what_is_derived_counts_for_its_parent)
{
	for (unsigned order = 0; order < 6; order++) {
		static const uint8_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
		struct rig rig;
		struct held a;
		key_handle keys[3];
		unsigned gone = 0;

		rig_make(&rig, &rig_clean, 1, true, NULL);
		a = install(&rig, 0);
		keys[0] = a.key;
		keys[1] = sm_derive_des3(rig.end[0].sm, a.key, LABEL_WRAP, "wrap");
		keys[2] = sm_derive_des3(rig.end[0].sm, keys[1], LABEL_RTP, "rtp");
		ck_assert(keys[1] && keys[2]);
		world_watch_key(rig.world, a.id, note_gone, &gone);
		for (unsigned i = 0; i < 3; i++) {
			ck_assert_uint_eq(gone, 0);
			ck_assert_uint_gt(world_key_holders(rig.world, a.id), 0);
			sm_destroy_key(rig.end[0].sm, keys[orders[order][i]]);
		}
		ck_assert_uint_eq(gone, 1);
		ck_assert_uint_eq(world_key_holders(rig.world, a.id), 0);
		rig_free(&rig, NULL);
	}
}
END_TEST

START_TEST(a_watch_can_be_taken_back)
{
	struct rig rig;
	struct held a;
	unsigned gone = 0;
	static const uint8_t unknown[KEY_ID_LEN];

	rig_make(&rig, &rig_clean, 1, true, NULL);
	a = install(&rig, 0);
	world_watch_key(rig.world, a.id, note_gone, &gone);
	world_unwatch_key(rig.world, a.id);
	world_unwatch_key(rig.world, unknown);
	ck_assert_uint_eq(world_key_holders(rig.world, unknown), 0);
	sm_destroy_key(rig.end[0].sm, a.key);
	ck_assert_uint_eq(gone, 0);
	rig_free(&rig, NULL);
}
END_TEST

/* A module that goes takes its keys with it. */
START_TEST(the_end_of_a_module_is_the_end_of_its_keys)
{
	struct rig rig;
	struct secure_module *sm;
	uint8_t id[KEY_ID_LEN];
	unsigned gone = 0;

	rig_make(&rig, &rig_clean, 1, true, NULL);
	sm = world_module(rig.world, rig.end[0].node, "another");
	sm_key_id(sm, sm_install_des3(sm, "call.subkey", "test", key_bytes), id);
	world_watch_key(rig.world, id, note_gone, &gone);
	sm_free(sm);
	ck_assert_uint_eq(gone, 1);
	ck_assert_uint_eq(world_key_holders(rig.world, id), 0);
	rig_free(&rig, NULL);
}
END_TEST

START_TEST(the_census_grows_and_shrinks)
{
	enum { MANY = 2000 };
	struct rig rig;
	static struct held held[MANY];
	unsigned gone = 0;

	rig_make(&rig, &rig_clean, 1, true, NULL);
	for (unsigned i = 0; i < MANY; i++) {
		held[i].key = sm_generate_des3(rig.end[0].sm, "call.subkey");
		sm_key_id(rig.end[0].sm, held[i].key, held[i].id);
		world_watch_key(rig.world, held[i].id, note_gone, &gone);
	}
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_uint_eq(world_key_holders(rig.world, held[i].id), 1);
	for (unsigned i = 0; i < MANY; i++) {
		sm_destroy_key(rig.end[0].sm, held[(i * 7) % MANY].key);
		ck_assert_uint_eq(gone, i + 1);
	}
	rig_free(&rig, NULL);
}
END_TEST

START_TEST(switches_take_their_values_and_no_others)
{
	struct rig rig;
	char error[MODEL_ERROR_LEN];

	rig_make(&rig, &rig_clean, 1, true, NULL);
	ck_assert_str_eq(world_switch(rig.world, "pkinit.bind"), "aschecksum");
	ck_assert(world_on(rig.world, "sc.replay_cache"));
	ck_assert(world_switch_set(rig.world, "sc.replay_cache", "off", error));
	ck_assert(!world_on(rig.world, "sc.replay_cache"));
	ck_assert(world_switch_set(rig.world, "sc.replay_cache", "on", error));
	ck_assert(world_on(rig.world, "sc.replay_cache"));
	ck_assert(!world_switch_set(rig.world, "sc.replay_cache", "of", error));
	ck_assert_ptr_nonnull(strstr(error, "on|off"));
	ck_assert(!world_switch_set(rig.world, "sc.replay_cache", "on|off", error));
	ck_assert(!world_switch_set(rig.world, "sc.replay", "on", error));
	ck_assert_ptr_nonnull(strstr(error, "no switch 'sc.replay'"));
	ck_assert_uint_lt(strlen(error), MODEL_ERROR_LEN);
	rig_free(&rig, NULL);
}
END_TEST

START_TEST(switches_are_sorted_and_told_once)
{
	for (const struct switch_def *def = switch_table; def[0].name && def[1].name; def++)
		ck_assert_msg(strcmp(def[0].name, def[1].name) < 0, "%s stands before %s", def[0].name, def[1].name);
}
END_TEST

START_TEST(a_server_key_is_its_principals_on_both_sides)
{
	struct rig rig;
	uint8_t a[KEY_ID_LEN], b[KEY_ID_LEN], c[KEY_ID_LEN];
	unsigned left[2] = { 1, 2 };

	rig_make(&rig, &rig_clean, 1, true, NULL);
	sm_key_id(rig.end[0].sm, world_server_key(rig.world, rig.end[0].sm, "sc/sc1"), a);
	sm_key_id(rig.end[1].sm, world_server_key(rig.world, rig.end[1].sm, "sc/sc1"), b);
	sm_key_id(rig.end[1].sm, world_server_key(rig.world, rig.end[1].sm, "sc/sc2"), c);
	ck_assert_mem_eq(a, b, KEY_ID_LEN);
	ck_assert_mem_ne(a, c, KEY_ID_LEN);
	rig_free(&rig, left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("world");
	TCase *t = tcase_create("world");
	SRunner *runner;
	int failed;

	tcase_add_test(t, a_key_is_held_by_as_many_as_have_it);
	tcase_add_test(t, what_is_derived_counts_for_its_parent);
	tcase_add_test(t, a_watch_can_be_taken_back);
	tcase_add_test(t, the_end_of_a_module_is_the_end_of_its_keys);
	tcase_add_test(t, the_census_grows_and_shrinks);
	tcase_add_test(t, switches_take_their_values_and_no_others);
	tcase_add_test(t, switches_are_sorted_and_told_once);
	tcase_add_test(t, a_server_key_is_its_principals_on_both_sides);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * A real signaling controller between a provisioning CA and a head-end that the test speaks for: who may order what,
 * orders that come again, late, and after a restart; a head-end that is away or says no; a device with two numbers.
 */
#include "tests/models/provisioning_rig.h"
#include "models/order_answers.h"
#include "models/signaling_controller.h"
#include "models/subscriber_orders.h"

#define SC_IP 0x0a680007u
#define HE_IP 0x0a680008u
#define OWNERS "2155550200"
#define SHOPS "2155550201"

extern const struct model model_signaling_controller;

static const struct rig_setup plain = { .seed = 9 };
static const struct rig_setup covered = { .seed = 9, .ipsec = true };

static struct { /* the head-end */
	bool away;
	const char *deny;
	unsigned orders;
	struct radius last;
	bool has[CTAS];
} he;

static struct node *sc;

static void he_order(void *ctx, const struct radius_asked *asked)
{
	struct server *s = ctx;
	const struct radius *q = &asked->question;

	he.last = *q;
	if (he.away)
		return;
	he.orders++;
	for (unsigned i = 0; i < CTAS; i++)
		if (!he.deny && strcmp(q->user_name, s->rig->cta[i].mac_text) == 0)
			he.has[i] = q->code == RADIUS_COA_REQUEST;
	radius_server_judge(s->dynamic, asked, he.deny);
}

/* The second controller's place is the head-end's, the centre's that of a second provisioning CA. */
static void make(struct rig *r, const struct rig_setup *setup)
{
	struct arg list[] = { { "kdc", { .type = VALUE_NODE, .node = NULL } } };

	memset(&he, 0, sizeof he);
	rig_make(r, setup);
	list[0].value.node = r->kdc;
	sc = rig_node(r, "sc9", SC_IP);
	rig_element(sc, &model_signaling_controller, list, 1);
	server_end(&r->sc2);
	memset(&r->sc2, 0, sizeof r->sc2);
	server_make(r, &r->sc2, "he", "he1", HE_IP);
	radius_server_free(r->sc2.dynamic);
	r->sc2.dynamic = radius_server_new(r->sc2.node, r->sc2.ipsec, RADIUS_DYNAMIC_PORT, he_order, &r->sc2);
	radius_server_reset(r->sc2.dynamic);
	server_end(&r->csr);
	memset(&r->csr, 0, sizeof r->csr);
	server_make(r, &r->csr, "pca", "pca2", CSR_IP + 1);
	directory_head_end_add(world_directory(r->world), CTA_IP, 30, "he/he1");
}

static struct radius order_of(const struct rig *r, unsigned cta, const char *number, const char *state, bool remove)
{
	struct radius q = { .code = remove ? RADIUS_DISCONNECT_REQUEST : RADIUS_COA_REQUEST };

	snprintf(q.called_station, sizeof q.called_station, "%s", number);
	snprintf(q.calling_station, sizeof q.calling_station, "%s", r->cta[cta].mac_text);
	snprintf(q.state, sizeof q.state, "%s", state);
	if (remove)
		return q;
	snprintf(q.connect_info, sizeof q.connect_info, "subscriber");
	q.framed_ip = r->cta[cta].ip;
	return q;
}

/* The check that refuses, or "". */
static const char *give(struct server *from, const struct radius *q)
{
	static char why[RADIUS_TEXT_MAX];
	struct reply reply = server_ask(from, SC_IP, q);

	snprintf(why, sizeof why, "%s", reply.answer.code ? reply.answer.reply_message : "no answer");
	return why;
}

static const char *order(struct rig *r, unsigned cta, const char *number, const char *state, bool remove)
{
	struct radius q = order_of(r, cta, number, state, remove);

	return give(&r->csr, &q);
}

static void expect(unsigned subscribers, bool first_mac)
{
	ck_assert_int_eq(rig_get(sc, "subscribers"), subscribers);
	ck_assert_int_eq(he.has[0], first_mac);
	ck_assert_int_eq(rig_get(sc, "orders"), 0);
}

START_TEST(entered_and_taken_out)
{
	struct rig r;

	make(&r, _i ? &covered : &plain);
	ck_assert_str_eq(order(&r, 0, OWNERS, "P-1/2", false), "");
	expect(1, true);
	ck_assert_str_eq(he.last.filter_id, "voice");
	ck_assert_str_eq(directory_number(world_directory(r.world), OWNERS), "sc/sc9");
	ck_assert_str_eq(order(&r, 1, OWNERS, "P-2/2", false), "sc.number_taken");
	ck_assert_str_eq(order(&r, 0, OWNERS, "P-3/2", true), "");
	expect(0, false);
	ck_assert_ptr_null(directory_number(world_directory(r.world), OWNERS));
	ck_assert_str_eq(order(&r, 0, OWNERS, "P-4/2", true), ""); /* nothing there */
	rig_end(&r);
}
END_TEST

/* Only a provisioning CA orders, and only what an order is. */
START_TEST(orders_of_others)
{
	struct radius q;
	struct rig r;

	make(&r, _i ? &covered : &plain);
	for (int remove = 0; remove < 2; remove++) {
		if (remove)
			ck_assert_str_eq(order(&r, 0, OWNERS, "P-1/2", false), "");
		q = order_of(&r, 0, OWNERS, "P-9/2", remove);
		ck_assert_str_eq(give(&r.sc1, &q), "sc.check_pca");   /* another controller */
		ck_assert_str_eq(give(&r.sc2, &q), "sc.check_pca");   /* the head-end itself */
		expect(remove, remove);
	}
	ck_assert_str_eq(order(&r, 0, "none", "P-2/2", false), "sc.malformed_order");
	q = order_of(&r, 0, OWNERS, "P-3/2", false);
	q.framed_ip = 0;
	ck_assert_str_eq(give(&r.csr, &q), "sc.malformed_order");
	q.framed_ip = 0x0b000001;
	ck_assert_str_eq(give(&r.csr, &q), "sc.no_head_end");
	snprintf(q.calling_station, sizeof q.calling_station, "00:11:22");
	ck_assert_str_eq(give(&r.csr, &q), "sc.malformed_order");
	q = order_of(&r, 0, OWNERS, "P-4/2", false);
	q.connect_info[0] = 'S';
	ck_assert_str_eq(give(&r.csr, &q), "sc.malformed_order");
	expect(1, true);
	rig_end(&r);
}
END_TEST

/* Every order of a history comes again, however late and whatever was restarted: it changes nothing. */
START_TEST(late_copies)
{
	static const struct { const char *state; bool remove; } history[] = {
		{ "P-1/2", false }, { "P-1/2u", true }, { "P-2/2", false }, { "P-3/2", true }, { "P-4/2", false },
	};
	struct rig r;

	make(&r, &plain);
	for (int i = 0; i < 5; i++) {
		ck_assert_str_eq(order(&r, 0, OWNERS, history[i].state, history[i].remove), "");
		for (int late = 0; late <= i; late++) {
			unsigned orders = he.orders;

			ck_assert_str_eq(order(&r, 0, OWNERS, history[late].state, history[late].remove), "");
			expect(i % 2 ? 0 : 1, i % 2 == 0);
			ck_assert_uint_eq(he.orders, orders);
			if (_i)
				sc->model->restart(sc);
		}
	}
	/* a refusal stays one */
	ck_assert_str_eq(order(&r, 1, OWNERS, "P-5/2", false), "sc.number_taken");
	ck_assert_str_eq(order(&r, 0, OWNERS, "P-6/2", true), "");
	ck_assert_str_eq(order(&r, 1, OWNERS, "P-5/2", false), "sc.number_taken");
	he.deny = "he.accounts_full";
	ck_assert_str_eq(order(&r, 0, OWNERS, "P-7/2", false), "he.accounts_full");
	he.deny = NULL;
	ck_assert_str_eq(order(&r, 0, OWNERS, "P-7/2", false), "he.accounts_full");
	expect(0, false);
	rig_end(&r);
}
END_TEST

/* That the head-end is away is no answer to be kept. */
START_TEST(a_head_end_is_away)
{
	struct radius q;
	struct rig r;

	make(&r, _i ? &covered : &plain);
	if (_i > 1)
		ck_assert_str_eq(order(&r, 0, OWNERS, "P-0/2", false), "");
	q = order_of(&r, 0, OWNERS, "P-1/2", _i > 1);
	he.away = true;
	ck_assert_str_eq(give(&r.csr, &q), "no answer");
	rig_run(&r, 60 * NS_PER_S);
	ck_assert_uint_ge(rig_refused(&r, sc, SUBSCRIBER_ORDERS_UNKNOWN), 1);
	expect(_i > 1, _i > 1);
	he.away = false;
	ck_assert_str_eq(give(&r.csr, &q), "");
	expect(_i <= 1, _i <= 1);
	rig_end(&r);
}
END_TEST

/* The owner's number and a repair facility's: the head-end lets the device go with the last of them. */
START_TEST(a_device_with_two_numbers)
{
	const char *first = _i ? OWNERS : SHOPS, *last = _i ? SHOPS : OWNERS;
	struct rig r;

	make(&r, &plain);
	ck_assert_str_eq(order(&r, 0, OWNERS, "P-1/2", false), "");
	ck_assert_str_eq(order(&r, 0, SHOPS, "P-2/2", false), "");
	ck_assert_str_eq(order(&r, 1, "2155550202", "P-3/2", false), "");
	expect(3, true);
	ck_assert_str_eq(order(&r, 0, first, "P-4/3", true), "");
	expect(2, true);
	ck_assert_ptr_null(directory_number(world_directory(r.world), first));
	ck_assert_str_eq(directory_number(world_directory(r.world), last), "sc/sc9");
	ck_assert_str_eq(order(&r, 0, last, "P-5/2", true), "");
	expect(1, false);
	ck_assert(he.has[1]);
	rig_end(&r);
}
END_TEST

/* One whose address is no head-end's any more is taken out all the same. */
START_TEST(taken_out_without_head_end)
{
	struct rig r;
	uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	struct radius q;

	make(&r, &plain);
	ck_assert(signaling_controller_subscribe(sc, OWNERS, mac, 0));
	q = order_of(&r, 0, OWNERS, "P-1/2", true);
	snprintf(q.calling_station, sizeof q.calling_station, "02:00:00:00:00:09");
	ck_assert_str_eq(give(&r.csr, &q), "");
	expect(0, false);
	ck_assert_ptr_null(directory_number(world_directory(r.world), OWNERS));
	rig_end(&r);
}
END_TEST

START_TEST(kept_answers_are_bounded)
{
	struct order_answers *o = order_answers_new();
	struct radius_asked asked = { .principal = "pca/pca1" };
	const char *check = "";

	asked.question.code = RADIUS_COA_REQUEST;
	order_answers_keep(o, &asked, NULL); /* it has no name */
	ck_assert(!order_answers_find(o, &asked, &check));
	for (int i = 0; i <= ORDER_ANSWERS_MAX; i++) {
		snprintf(asked.question.state, sizeof asked.question.state, "P-%d", i);
		order_answers_keep(o, &asked, i % 2 ? "sc.trouble" : NULL);
		order_answers_keep(o, &asked, "sc.other"); /* the first answer stays */
		ck_assert(order_answers_find(o, &asked, &check));
		ck_assert_pstr_eq(check, i % 2 ? "sc.trouble" : NULL);
	}
	ck_assert_uint_eq(order_answers_count(o), ORDER_ANSWERS_MAX);
	snprintf(asked.question.state, sizeof asked.question.state, "P-0");
	ck_assert(!order_answers_find(o, &asked, &check));
	snprintf(asked.question.state, sizeof asked.question.state, "P-1");
	ck_assert(order_answers_find(o, &asked, &check));
	asked.principal = "pca/pca2"; /* names are their giver's */
	ck_assert(!order_answers_find(o, &asked, &check));
	order_answers_free(o);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("orders of subscribers");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, entered_and_taken_out, 0, 2);
	tcase_add_loop_test(tc, orders_of_others, 0, 2);
	tcase_add_loop_test(tc, late_copies, 0, 2);
	tcase_add_loop_test(tc, a_head_end_is_away, 0, 4);
	tcase_add_loop_test(tc, a_device_with_two_numbers, 0, 2);
	tcase_add_test(tc, taken_out_without_head_end);
	tcase_add_test(tc, kept_answers_are_bounded);
	suite_add_tcase(suite, tc);
	return rig_main(suite);
}

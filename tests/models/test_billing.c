/*
 * The billing host alone: what the provisioning CA may have it do, in every order and repeated; call records, one for
 * each call, on the right account; who may not ask; restarts.
 */
#include "tests/models/provisioning_rig.h"

static const struct rig_setup plain = { .seed = 5 };
static const struct rig_setup covered = { .seed = 5, .ipsec = true };

static const struct link_params bad_link = { .delay_ns = 5 * NS_PER_MS, .jitter_ns = 2 * NS_PER_MS, .loss_ppm = 150000,
	                                     .duplicate_ppm = 150000, .reorder_ppm = 150000,
	                                     .reorder_ns = 40 * NS_PER_MS };

/* The first controller's place is a second provisioning CA's, where a test speaks for one. */
static void make(struct rig *r, const struct rig_setup *setup)
{
	rig_make(r, setup);
	server_end(&r->sc2);
	memset(&r->sc2, 0, sizeof r->sc2);
	server_make(r, &r->sc2, "pca", "pca2", SC2_IP + 1);
}

static struct radius order_of(const char *what, const char *id, const char *number, const char *state)
{
	struct radius q = { .code = RADIUS_COA_REQUEST, .reply_message = DATA };

	snprintf(q.connect_info, sizeof q.connect_info, "%s", what);
	snprintf(q.user_name, sizeof q.user_name, "%s", id);
	snprintf(q.called_station, sizeof q.called_station, "%s", number);
	snprintf(q.state, sizeof q.state, "%s", state);
	return q;
}

static const char *order(struct rig *r, const struct radius *q)
{
	static char why[RADIUS_TEXT_MAX];
	struct reply reply = server_ask(&r->sc2, BH_IP, q);

	snprintf(why, sizeof why, "%s", reply.answer.reply_message);
	if (reply.answer.code == RADIUS_COA_ACK) {
		ck_assert_str_eq(reply.answer.class_, q->user_name);
		ck_assert_str_eq(why, "20.00 a month");
		return "";
	}
	ck_assert_int_eq(reply.answer.code, RADIUS_COA_NAK);
	return why;
}

/* A history of orders, and what each comes to: the check, and the open customer of number 1 and 2 after it. */
static const struct step {
	const char *what, *id, *number, *old_id, *check, *first, *second;
} history[] = {
	{ "open", "C-1", "2155550001", "", "", "C-1", "" },
	{ "open", "C-1", "2155550001", "", "", "C-1", "" },
	{ "open", "C-2", "2155550001", "", "bh.number_in_use", "C-1", "" },
	{ "open", "C-1", "2155550002", "", "bh.customer_exists", "C-1", "" },
	{ "open", "C-1", "2155550001", "repair", "bh.customer_exists", "C-1", "" },
	{ "change", "C-1", "2155550001", "", "", "C-1", "" },
	{ "change", "C-1", "2155550002", "", "bh.unknown_customer", "C-1", "" },
	{ "change", "C-2", "2155550001", "", "bh.unknown_customer", "C-1", "" },
	{ "close", "C-2", "2155550001", "", "bh.unknown_customer", "C-1", "" },
	{ "close", "C-1", "2155550002", "", "bh.unknown_customer", "C-1", "" },
	{ "move", "C-2", "2155550002", "C-3", "bh.unknown_customer", "C-1", "" },
	{ "move", "C-1", "2155550002", "C-1", "bh.unknown_customer", "C-1", "" },
	{ "move", "C-2", "2155550002", "C-1", "", "", "C-2" },
	{ "move", "C-2", "2155550002", "C-1", "bh.unknown_customer", "", "C-2" },
	{ "move", "C-1", "2155550001", "C-2", "", "C-1", "" },         /* taken back */
	{ "move", "C-2", "2155550002", "C-1", "", "", "C-2" },
	{ "open", "C-3", "2155550001", "", "", "C-3", "C-2" },         /* the number is somebody else's */
	{ "move", "C-3", "2155550001", "C-2", "bh.customer_exists", "C-3", "C-2" },
	{ "move", "C-1", "2155550001", "C-2", "bh.number_in_use", "C-3", "C-2" },
	{ "close", "C-3", "2155550001", "", "", "", "C-2" },
	{ "close", "C-3", "2155550001", "", "", "", "C-2" },
	{ "change", "C-3", "2155550001", "", "bh.unknown_customer", "", "C-2" },
	{ "open", "C-3", "2155550001", "", "", "C-3", "C-2" },         /* a close taken back */
	{ "move", "C-4", "2155550002", "C-3", "bh.number_in_use", "C-3", "C-2" },
	{ "close", "C-2", "2155550002", "", "", "C-3", "" },
	{ "open", "C-5", "2155550002", "repair", "", "C-3", "C-5" },
	{ "shut", "C-5", "2155550002", "", "bh.unknown_request", "C-3", "C-5" },
	{ "open", "", "2155550004", "", "bh.malformed", "C-3", "C-5" },
	{ "open", "C-1234567890123456789012", "2155550004", "", "bh.malformed", "C-3", "C-5" },
	{ "open", "C-6", "none", "", "bh.malformed", "C-3", "C-5" },
};
#define STEPS (sizeof history / sizeof *history)

START_TEST(orders)
{
	struct rig r;

	make(&r, _i ? &covered : &plain);
	for (unsigned i = 0; i < STEPS; i++) {
		const struct step *s = &history[i];
		struct radius q;
		char state[16];

		snprintf(state, sizeof state, "S/%u", i);
		q = order_of(s->what, s->id, s->number, state);
		snprintf(q.class_, sizeof q.class_, "%s", s->old_id);
		for (int twice = 0; twice < 2; twice++) {
			ck_assert_msg(strcmp(order(&r, &q), s->check) == 0, "step %u", i);
			ck_assert_str_eq(rig_text(r.bh, "customer", "number", "2155550001"), s->first);
			ck_assert_str_eq(rig_text(r.bh, "customer", "number", "2155550002"), s->second);
			if (i % 3 == 0)
				r.bh->model->restart(r.bh);
		}
	}
	/* what was said first comes again, though it is long past and would not do now */
	struct radius q = order_of("move", "C-2", "2155550002", "S/12");
	snprintf(q.class_, sizeof q.class_, "C-1");
	ck_assert_str_eq(order(&r, &q), "");
	ck_assert_str_eq(rig_text(r.bh, "customer", "number", "2155550002"), "C-5");
	snprintf(q.filter_id, sizeof q.filter_id, "fax");
	ck_assert_str_eq(order(&r, &q), "bh.state_in_use");
	ck_assert_int_eq(rig_get(r.bh, "accounts"), 1);
	ck_assert_int_eq(rig_get(r.bh, "repair_accounts"), 1);
	ck_assert_str_eq(rig_text(r.bh, "kind", "number", "2155550002"), "repair");
	rig_end(&r);
}
END_TEST

START_TEST(denied_customers)
{
	struct rig r;
	struct radius q = order_of("open", "C-1", "2155550001", "a");

	make(&r, &plain);
	rig_text(r.bh, "deny", "name", "Ada");
	ck_assert_str_eq(order(&r, &q), "bh.denied");
	q = order_of("open", "C-1", "2155550001", "b");
	snprintf(q.reply_message, sizeof q.reply_message, "address=1 Main Street;name=Adam;pay=invoice");
	ck_assert_str_eq(order(&r, &q), "");
	q = order_of("change", "C-1", "2155550001", "c");
	ck_assert_str_eq(order(&r, &q), "bh.denied");
	rig_text(r.bh, "approve", "name", "Ada");
	snprintf(q.state, sizeof q.state, "d");
	snprintf(q.filter_id, sizeof q.filter_id, "fax");
	ck_assert_str_eq(order(&r, &q), "");
	ck_assert_str_eq(rig_text(r.bh, "options", "number", "2155550001"), "fax");
	rig_end(&r);
}
END_TEST

/* Another part of the data that ends like the name is not the name. */
START_TEST(denied_customers_by_their_name_only)
{
	static const struct { const char *data, *check; } rows[] = {
		{ "nickname=Bob;name=Ada", "bh.denied" }, { "nickname=Ada;name=Bob", "" }, { "name=Ada", "bh.denied" },
		{ "", "" }, { "nickname=Ada", "" }, { ";;name=Ada;", "bh.denied" },
	};
	struct radius q;
	struct rig r;

	make(&r, &plain);
	rig_text(r.bh, "deny", "name", "Ada");
	for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
		char id[16], number[32];

		snprintf(id, sizeof id, "C-%d", i + 1);
		snprintf(number, sizeof number, "215555001%d", i);
		q = order_of("open", id, number, id);
		snprintf(q.reply_message, sizeof q.reply_message, "%s", rows[i].data);
		ck_assert_str_eq(order(&r, &q), rows[i].check);
	}
	rig_end(&r);
}
END_TEST

/* The provisioning CA takes a change back until it is taken back: of one who was denied meanwhile, too. */
START_TEST(denied_while_it_changes)
{
	struct radius open = order_of("open", "C-1", "2155550001", "a"), q;
	struct rig r;

	make(&r, &plain);
	ck_assert_str_eq(order(&r, &open), "");
	q = order_of("change", "C-1", "2155550001", "b");
	snprintf(q.reply_message, sizeof q.reply_message, "name=Bob");
	ck_assert_str_eq(order(&r, &q), "");
	rig_text(r.bh, "deny", "name", "Ada");
	q = order_of("change", "C-1", "2155550001", "c");
	snprintf(q.reply_message, sizeof q.reply_message, "name=Ada;address=2 Elm St");
	ck_assert_str_eq(order(&r, &q), "bh.denied");
	q = order_of("change", "C-1", "2155550001", "bu");
	ck_assert_str_eq(order(&r, &q), "");
	rig_end(&r);
}
END_TEST

/* Who may not */

static const struct stranger {
	bool controller; /* else the provisioning CA */
	enum radius_code code;
	const char *state, *check;
} strangers[] = {
	{ true, RADIUS_COA_REQUEST, "x", "bh.check_provisioning" },
	{ false, RADIUS_DISCONNECT_REQUEST, "x", "bh.malformed" },
	{ false, RADIUS_COA_REQUEST, "", "bh.malformed" },
};
#define STRANGERS ((int)(sizeof strangers / sizeof *strangers))

START_TEST(orders_of_others)
{
	const struct stranger *s = &strangers[_i];
	struct rig r;
	struct radius q = order_of("open", "C-1", "2155550001", s->state);
	struct reply reply;

	make(&r, &covered);
	q.code = s->code;
	reply = server_ask(s->controller ? &r.sc1 : &r.sc2, BH_IP, &q);
	ck_assert_str_eq(reply.answer.reply_message, s->check);
	ck_assert_uint_eq(rig_refused(&r, r.bh, s->check), 1);
	ck_assert_int_eq(rig_get(r.bh, "accounts"), 0);
	rig_end(&r);
}
END_TEST

/* P9: an account opened in the provisioning CA's name, by one who has no association; without IPsec it is believed. */
START_TEST(forged_order)
{
	struct rig r;
	static const uint8_t zeros[16];
	struct radius q = order_of("open", "C-1", "2155550001", "x");
	struct udp_socket socket = { .node = NULL };
	struct packet *p;
	uint8_t bytes[RADIUS_MESSAGE_MAX];
	size_t len = radius_write(&q, bytes, sizeof bytes);

	make(&r, _i ? &covered : &plain);
	radius_sign(bytes, len, zeros);
	ck_assert(udp_bind(r.cta[1].node, &socket, 0, NULL, NULL));
	p = packet_new(r.sim, (uint32_t)len);
	memcpy(packet_append(p, (uint32_t)len), bytes, len);
	udp_send(&socket, PCA_IP, BH_IP, RADIUS_DYNAMIC_PORT, p);
	rig_run(&r, NS_PER_S);
	ck_assert_uint_eq(rig_refused(&r, r.bh, "backend.ipsec"), _i);
	ck_assert_int_eq(rig_get(r.bh, "accounts"), !_i);
	udp_unbind(&socket);
	rig_end(&r);
}
END_TEST

/* Call records */

static struct radius record_of(const char *id, const char *account, uint32_t seconds)
{
	struct radius q = { .code = RADIUS_ACCOUNTING_REQUEST, .acct_status = 2, .acct_session_s = seconds,
		            .acct_cause = 1, .calling_station = "2155550001", .called_station = "6105550102" };

	snprintf(q.acct_session_id, sizeof q.acct_session_id, "%s", id);
	snprintf(q.user_name, sizeof q.user_name, "%s", account);
	return q;
}

static bool record(struct rig *r, const struct radius *q)
{
	enum radius_code code = server_ask(&r->sc1, BH_IP, q).answer.code;

	ck_assert(code == 0 || code == RADIUS_ACCOUNTING_RESPONSE);
	return code != 0;
}

START_TEST(calls_are_billed_once)
{
	static const struct {
		const char *id, *account;
		uint32_t seconds;
	} calls[] = {
		{ "a", "2155550001", 61 }, { "b", "215-555-0001", 0 }, { "c", "2155550001", 5 },
		{ "d", "restricted", 17 },
		{ "e", "2155550002", 100 }, { "f", "6105559999", 3 }, { "g", "restricted", 0 },
	};
	struct rig r;
	struct radius q = order_of("open", "C-1", "2155550001", "a");

	make(&r, _i ? &covered : &plain);
	ck_assert_str_eq(order(&r, &q), "");
	q = order_of("open", "C-2", "2155550002", "b");
	snprintf(q.class_, sizeof q.class_, "repair");
	ck_assert_str_eq(order(&r, &q), "");
	for (int twice = 0; twice < 2; twice++)
		for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
			q = record_of(calls[i].id, calls[i].account, calls[i].seconds);
			ck_assert(record(&r, &q));
			if (i == 3)
				r.bh->model->restart(r.bh);
		}
	ck_assert_int_eq(rig_get(r.bh, "records"), 7);
	ck_assert_int_eq(rig_get(r.bh, "repeated"), 7);
	ck_assert_int_eq(rig_int(r.bh, "seconds", "215-555-0001"), 66);
	ck_assert_int_eq(rig_int(r.bh, "calls", "2155550001"), 2);
	ck_assert_int_eq(rig_get(r.bh, "customer_calls"), 2);
	ck_assert_int_eq(rig_get(r.bh, "total_seconds"), 66);
	ck_assert_int_eq(rig_get(r.bh, "restricted_seconds"), 17);
	ck_assert_int_eq(rig_get(r.bh, "restricted_calls"), 1);
	ck_assert_int_eq(rig_int(r.bh, "seconds", "restricted"), 17);
	ck_assert_int_eq(rig_get(r.bh, "repair_seconds"), 100);
	ck_assert_int_eq(rig_get(r.bh, "nobodys_seconds"), 3);
	ck_assert_str_eq(rig_text(r.bh, "kind", "number", "6105559999"), "nobody");
	ck_assert_int_eq(rig_int(r.bh, "seconds", "6105550000"), 0);
	rig_end(&r);
}
END_TEST

/* The first record stays; the account stays after its closing, and the number's next customer does not pay for it. */
/* A controller that is broken into bills another segment's customer. */
START_TEST(records_of_anothers_segment)
{
	struct radius q = order_of("open", "C-1", "6105550200", "a");
	struct directory *directory;
	struct rig r;

	make(&r, &plain);
	directory = world_directory(r.world);
	ck_assert_str_eq(order(&r, &q), "");
	directory_number_set(directory, "6105550200", "sc/sc2");
	directory_number_set(directory, "2155550200", "sc/sc1");
	q = record_of("call-1", "6105550200", 3600);
	ck_assert(record(&r, &q)); /* and is not to say it for ever */
	ck_assert_uint_eq(rig_refused(&r, r.bh, "bh.check_segment"), 1);
	ck_assert_int_eq(rig_int(r.bh, "seconds", "6105550200"), 0);
	ck_assert_int_eq(rig_get(r.bh, "records"), 0);
	q = record_of("call-2", "2155550200", 60);
	ck_assert(record(&r, &q));
	q = record_of("call-3", "2155550299", 60); /* a number that ended meanwhile */
	ck_assert(record(&r, &q));
	ck_assert_int_eq(rig_get(r.bh, "records"), 2);
	rig_end(&r);
}
END_TEST

START_TEST(records_and_accounts)
{
	struct rig r;
	struct radius q = order_of("open", "C-1", "2155550001", "a");

	make(&r, &plain);
	ck_assert_str_eq(order(&r, &q), "");
	q = record_of("a", "2155550001", 10);
	ck_assert(record(&r, &q));
	q.acct_session_s = 11;
	ck_assert(record(&r, &q)); /* acknowledged, lest it come for ever */
	ck_assert_uint_eq(rig_refused(&r, r.bh, "bh.record_differs"), 1);
	ck_assert_int_eq(rig_get(r.bh, "total_seconds"), 10);
	q = order_of("close", "C-1", "2155550001", "b");
	ck_assert_str_eq(order(&r, &q), "");
	q = record_of("b", "2155550001", 7); /* a late one */
	ck_assert(record(&r, &q));
	ck_assert_int_eq(rig_int(r.bh, "seconds", "2155550001"), 17);
	q = order_of("open", "C-2", "2155550001", "c");
	ck_assert_str_eq(order(&r, &q), "");
	ck_assert_int_eq(rig_int(r.bh, "seconds", "2155550001"), 0);
	q = record_of("c", "2155550001", 5);
	ck_assert(record(&r, &q));
	ck_assert_int_eq(rig_int(r.bh, "seconds", "2155550001"), 5);
	ck_assert_int_eq(rig_get(r.bh, "total_seconds"), 22);
	rig_end(&r);
}
END_TEST

static const struct bad_record {
	const char *id, *account, *check;
	uint32_t status;
	bool by_ca;
} bad_records[] = {
	{ "a", "2155550001", "bh.check_controller", 2, true }, { "a", "2155550001", "bh.malformed", 1, false },
	{ "", "2155550001", "bh.malformed", 2, false }, { "a", "", "bh.malformed", 2, false },
	{ "a", "nobody", "bh.malformed", 2, false }, { "a", "1234567890123456789012345", "bh.malformed", 2, false },
};
#define BAD_RECORDS ((int)(sizeof bad_records / sizeof *bad_records))

START_TEST(records_are_judged)
{
	const struct bad_record *b = &bad_records[_i];
	struct rig r;
	struct radius q = record_of(b->id, b->account, 5);

	make(&r, &plain);
	q.acct_status = b->status;
	ck_assert_int_eq(server_ask(b->by_ca ? &r.sc2 : &r.sc1, BH_IP, &q).answer.code, 0);
	ck_assert_uint_eq(rig_refused(&r, r.bh, b->check), RADIUS_TRIES);
	ck_assert_int_eq(rig_get(r.bh, "records"), 0);
	rig_end(&r);
}
END_TEST

/* Losses and restarts in between: every call is billed once in the end. */
START_TEST(on_a_bad_link)
{
	struct rig_setup setup = { .seed = 100 + (uint64_t)_i, .ipsec = _i % 2 };
	struct rig r;

	make(&r, &setup);
	r.core->params = bad_link;
	for (int i = 0; i < 20; i++) {
		char id[16];
		struct radius q;

		snprintf(id, sizeof id, "c%d", i);
		q = record_of(id, "2155550001", 10);
		if (i % 7 == 3)
			r.bh->model->restart(r.bh);
		while (!record(&r, &q))
			continue;
	}
	ck_assert_int_eq(rig_get(r.bh, "records"), 20);
	ck_assert_int_eq(rig_int(r.bh, "seconds", "2155550001"), 200);
	rig_end(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("billing");
	TCase *tc = tcase_create("billing");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, orders, 0, 2);
	tcase_add_test(tc, denied_customers);
	tcase_add_test(tc, denied_customers_by_their_name_only);
	tcase_add_test(tc, denied_while_it_changes);
	tcase_add_loop_test(tc, orders_of_others, 0, STRANGERS);
	tcase_add_loop_test(tc, forged_order, 0, 2);
	tcase_add_loop_test(tc, calls_are_billed_once, 0, 2);
	tcase_add_test(tc, records_and_accounts);
	tcase_add_test(tc, records_of_anothers_segment);
	tcase_add_loop_test(tc, records_are_judged, 0, BAD_RECORDS);
	tcase_add_loop_test(tc, on_a_bad_link, 0, 10);
	suite_add_tcase(suite, tc);
	return rig_main(suite);
}

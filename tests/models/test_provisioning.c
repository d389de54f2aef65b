/*
 * The provisioning CA with the billing host: every kind of transaction, each step refused, each message lost, repeated
 * and held back, each machine restarted at every message, and what hostile requests are refused by. The ends agree
 * afterwards, whatever happened (I10).
 */
#include "tests/models/provisioning_rig.h"
#include "models/certificate_sender.h"
#include "models/provisioning_flow.h"

static const struct rig_setup plain = { .seed = 3 };
static const struct rig_setup covered = { .seed = 3, .ipsec = true };

/* What flows do when nothing is in their way */

static void expect_certificate(const struct rig *r, const struct cta *c, const char *number, int64_t validity_s)
{
	struct cert_facts facts;
	uint8_t id[PHONE_ID_LEN];

	ck_assert(phone_id(world_crypto(r->world), number, id));
	ck_assert(cert_read(c->operator_cert.bytes, c->operator_cert.len, &facts));
	ck_assert_mem_eq(facts.phone_id, id, PHONE_ID_LEN);
	ck_assert_int_eq(facts.not_after_s - facts.not_before_s, validity_s);
	ck_assert_int_le(facts.not_before_s, sim_unix_s(r->sim));
}

START_TEST(a_new_customer)
{
	struct rig r;

	rig_make(&r, _i ? &covered : &plain);
	report(&r.sc1, &r.cta[0]);
	request(&r, "new", &r.cta[0], "", "caller-id");
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	ck_assert_str_eq(r.terminal.number, "2155550200");
	ck_assert_str_eq(r.terminal.why, "20.00 a month");
	ck_assert_str_eq(r.terminal.id, "C-1001");
	ck_assert_uint_eq(r.terminal.validity_s, 730 * 86400);
	ck_assert_str_eq(sc_mac(&r.sc1, "2155550200"), r.cta[0].mac_text);
	ck_assert_str_eq(rig_text(r.pca, "number", "mac", r.cta[0].mac_text), "2155550200");
	expect_certificate(&r, &r.cta[0], "2155550200", 730 * 86400);
	check_agreement(&r);
	ck_assert_int_eq(rig_get(r.bh, "accounts"), 1);
	ck_assert_uint_eq(r.refusal_count, 0);
	rig_end(&r);
}
END_TEST

/* The next customer has the next number; one that comes back rests until the others have been given. */
START_TEST(numbers)
{
	struct rig r;

	rig_make(&r, &plain);
	report(&r.sc1, &r.cta[0]);
	report(&r.sc1, &r.cta[1]);
	request(&r, "new", &r.cta[0], "215-555-0203", ""); /* by wish */
	ck_assert_str_eq(r.terminal.number, "2155550203");
	request(&r, "new", &r.cta[1], "2155550203", "");
	ck_assert_str_eq(r.terminal.why, "pca.number_taken");
	request(&r, "new", &r.cta[1], "6105550200", "");
	ck_assert_str_eq(r.terminal.why, "pca.number_location");
	for (int i = 0; i < 9; i++) {
		static const char *const expected[] = { "2155550200", "2155550201", "2155550202", "2155550204",
		                                        "2155550200",
			                                "2155550201", "2155550202", "2155550204", "2155550200" };

		request(&r, "new", &r.cta[1], "", "");
		ck_assert_str_eq(r.terminal.number, expected[i]);
		check_agreement(&r);
		request(&r, "terminate", NULL, expected[i], "");
		ck_assert(r.terminal.accepted);
	}
	directory_number_set(world_directory(r.world), "2155550201", "sc/sc1"); /* in use, though not by us */
	request(&r, "new", &r.cta[1], "2155550201", "");
	ck_assert_str_eq(r.terminal.why, "pca.number_taken");
	request(&r, "new", &r.cta[1], "", "");
	ck_assert_str_eq(r.terminal.number, "2155550202");
	rig_end(&r);
}
END_TEST

START_TEST(no_number_is_left)
{
	static const struct rig_setup one = { .numbers = "sc/sc1=2155550200-2155550200" };
	struct rig r;

	rig_make(&r, &one);
	report(&r.sc1, &r.cta[0]);
	report(&r.sc1, &r.cta[1]);
	request(&r, "new", &r.cta[0], "", "");
	ck_assert(r.terminal.accepted);
	request(&r, "new", &r.cta[1], "", "");
	ck_assert_str_eq(r.terminal.why, "pca.no_number");
	request(&r, "terminate", NULL, "2155550200", "");
	request(&r, "new", &r.cta[1], "", "");
	ck_assert_str_eq(r.terminal.number, "2155550200");
	ck_assert_str_eq(r.terminal.id, "C-1002"); /* the number is the same, the customer is not */
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

START_TEST(change_of_service)
{
	struct rig r;
	int64_t start_s;

	rig_make(&r, &covered);
	report(&r.sc1, &r.cta[0]);
	request(&r, "new", &r.cta[0], "", "");
	start_s = r.cta[0].start_s;
	request(&r, "change", &r.cta[0], "2155550200", "3way");
	ck_assert(r.terminal.accepted);
	ck_assert_str_eq(sc_options(&r.sc1, "2155550200"), "3way");
	ck_assert_str_eq(rig_text(r.bh, "options", "number", "2155550200"), "3way");
	ck_assert_int_gt(r.cta[0].start_s, start_s); /* P4 */
	ck_assert_uint_gt(r.terminal.validity_s, 0);
	check_agreement(&r);
	/* the caller is another device: it has no use for the certificate, and the change stands */
	request(&r, "change", &r.cta[1], "2155550200", "");
	ck_assert(r.terminal.accepted);
	ck_assert_uint_eq(r.terminal.validity_s, 0);
	ck_assert_uint_eq(r.cta[1].taken, 0);
	ck_assert_str_eq(sc_options(&r.sc1, "2155550200"), "");
	check_agreement(&r);
	/* nor is it sent where another device is known to be (I6) */
	report(&r.sc1, &r.cta[1]);
	ck_assert_uint_eq(r.cta[1].transfers, 1);
	request(&r, "change", &r.cta[1], "2155550200", "");
	ck_assert(r.terminal.accepted);
	ck_assert_uint_eq(r.terminal.validity_s, 0);
	ck_assert_uint_eq(r.cta[1].transfers, 1);
	/* nobody is said to call: nothing is sent */
	request(&r, "change", NULL, "2155550200", "fax");
	ck_assert(r.terminal.accepted);
	ck_assert_uint_eq(r.cta[0].transfers, 2);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

START_TEST(termination)
{
	struct rig r;

	rig_make(&r, &covered);
	report(&r.sc1, &r.cta[0]);
	request(&r, "new", &r.cta[0], "", "");
	request(&r, "terminate", &r.cta[0], "2155550200", "");
	ck_assert(r.terminal.accepted);
	ck_assert_uint_eq(r.sc1.subscribers, 0);
	ck_assert_int_eq(rig_get(r.pca, "customers"), 0);
	ck_assert_int_eq(rig_get(r.bh, "accounts"), 0);
	request(&r, "terminate", &r.cta[0], "2155550200", "");
	ck_assert_str_eq(r.terminal.why, "pca.unknown_customer");
	request(&r, "new", &r.cta[0], "", ""); /* the device may be somebody else's now */
	ck_assert(r.terminal.accepted);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

START_TEST(segment_move)
{
	struct rig r;

	rig_make(&r, &covered);
	report(&r.sc1, &r.cta[0]);
	request(&r, "new", &r.cta[0], "", "caller-id");
	request(&r, "move", &r.cta[0], "2155550200", "");
	ck_assert_str_eq(r.terminal.why, "pca.same_segment");
	report(&r.sc2, &r.cta[0]);
	report(&r.sc2, &r.cta[1]);
	request(&r, "move", &r.cta[1], "2155550200", "");
	ck_assert_str_eq(r.terminal.why, "pca.not_owner");
	request(&r, "move", &r.cta[0], "2155550200", "");
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	ck_assert_str_eq(r.terminal.number, "6105550200");
	ck_assert_str_eq(r.terminal.id, "C-1002");
	ck_assert_str_eq(sc_mac(&r.sc2, "6105550200"), r.cta[0].mac_text);
	ck_assert_str_eq(sc_options(&r.sc2, "6105550200"), "caller-id");
	ck_assert_uint_eq(r.sc1.subscribers, 0);
	ck_assert_str_eq(rig_text(r.pca, "number", "mac", r.cta[0].mac_text), "6105550200");
	expect_certificate(&r, &r.cta[0], "6105550200", 730 * 86400);
	check_agreement(&r);
	request(&r, "terminate", NULL, "6105550200", "");
	ck_assert(r.terminal.accepted);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/*
 * FIG. 11: the facility's account beside the owner's, with a certificate of hours; then the owner's certificate again.
 */
START_TEST(repair)
{
	struct rig r;
	struct radius q;

	rig_make(&r, &covered);
	report(&r.sc1, &r.cta[0]);
	request(&r, "new", &r.cta[0], "", "");
	report(&r.sc2, &r.cta[0]);
	q = request_of("repair", &r.cta[0], "", "");
	q.session_timeout_s = 7200;
	request_start(&r, &q);
	request_end(&r);
	ck_assert_str_eq(r.terminal.number, "6105550200");
	ck_assert_uint_eq(r.terminal.validity_s, 7200);
	expect_certificate(&r, &r.cta[0], "6105550200", 7200);
	ck_assert_int_eq(rig_get(r.pca, "customers"), 1);
	ck_assert_int_eq(rig_get(r.pca, "repairs"), 1);
	ck_assert_str_eq(rig_text(r.bh, "kind", "number", "6105550200"), "repair");
	check_agreement(&r);
	request(&r, "repair", &r.cta[0], "", "");
	ck_assert_str_eq(r.terminal.why, "pca.device_in_use");
	if (_i == 0)
		request(&r, "repair", &r.cta[0], "2155550200", ""); /* with the owner's number */
	else
		request(&r, "terminate", NULL, "6105550200", "");
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	ck_assert_int_eq(rig_get(r.pca, "repairs"), 0);
	if (_i == 0)
		expect_certificate(&r, &r.cta[0], "2155550200", 730 * 86400);
	ck_assert_str_eq(rig_text(r.pca, "number", "mac", r.cta[0].mac_text), "2155550200");
	check_agreement(&r);
	/* hours that are none, and days that are too many */
	q = request_of("repair", &r.cta[0], "", "");
	q.session_timeout_s = 7 * 86400 + 1;
	request_start(&r, &q);
	request_end(&r);
	ck_assert_uint_eq(r.terminal.validity_s, 8 * 3600);
	rig_end(&r);
}
END_TEST

START_TEST(work_orders)
{
	static const char customer[] = "name=Bob;address=2 Main Street;pay=invoice";
	struct rig r;
	struct radius q;
	struct arg order[] = { { "number", value_text("4711") }, { "customer", value_text(customer) },
		               { "options", value_text("fax") }, { "wish", value_text("215-555-0204") },
		               { "mac", value_text("00:11:22:33:44:51") } };

	rig_make(&r, &plain);
	report(&r.sc1, &r.cta[0]);
	report(&r.sc1, &r.cta[1]);
	ck_assert_str_eq(rig_verb(r.pca, "work_order", order, 5).error, "");
	ck_assert_str_ne(rig_verb(r.pca, "work_order", order, 5).error, ""); /* once */
	ck_assert_int_eq(rig_get(r.pca, "work_orders"), 1);
	for (int i = 0; i < 3; i++) { /* another device; the right one; used up */
		q = request_of("new", &r.cta[i == 1], "", "");
		q.user_name[0] = '\0';
		snprintf(q.class_, sizeof q.class_, "4711");
		request_start(&r, &q);
		request_end(&r);
		ck_assert_str_eq(i == 1 ? r.terminal.number : r.terminal.why, i == 1 ? "2155550204" : "pca.work_order");
	}
	ck_assert_str_eq(sc_options(&r.sc1, "2155550204"), "fax");
	ck_assert_int_eq(rig_get(r.pca, "work_orders"), 0);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* Two installers say the same work order at the same time: one account is opened for it. */
START_TEST(a_work_order_is_used_once)
{
	struct rig r;
	struct radius first, second;
	struct arg order[] = { { "number", value_text("4711") }, { "customer", value_text(DATA) } };

	rig_make(&r, &plain);
	report(&r.sc1, &r.cta[0]);
	report(&r.sc1, &r.cta[1]);
	ck_assert_str_eq(rig_verb(r.pca, "work_order", order, 2).error, "");
	for (int i = 0; i < 2; i++) {
		first = request_of("new", &r.cta[0], "", "");
		second = request_of("new", &r.cta[1], "", "");
		first.user_name[0] = second.user_name[0] = '\0';
		snprintf(first.class_, sizeof first.class_, "4711");
		snprintf(second.class_, sizeof second.class_, "4711");
		r.cta[0].silent = true;
		r.cta[0].deny = i ? NULL : "cta.trouble";
		request_start(&r, &first);
		rig_run(&r, 10 * NS_PER_S);
		ck_assert_str_eq(server_ask(&r.csr, PCA_IP, &second).answer.reply_message, "pca.work_order");
		r.cta[0].silent = false;
		request_end(&r);
		ck_assert_int_eq(r.terminal.accepted, i); /* refused: it is there for another try */
		ck_assert_int_eq(rig_get(r.pca, "work_orders"), !i);
	}
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* The centre knows the caller by its name instead of its address. */
START_TEST(callers_by_name)
{
	struct rig r;
	struct radius q;

	rig_make(&r, &plain);
	report(&r.sc1, &r.cta[0]);
	q = request_of("new", NULL, "", "");
	snprintf(q.calling_station, sizeof q.calling_station, "%s", r.cta[0].mac_text);
	request_start(&r, &q);
	request_end(&r);
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	expect_certificate(&r, &r.cta[0], "2155550200", 730 * 86400);
	q = request_of("repair", NULL, "", "");
	snprintf(q.calling_station, sizeof q.calling_station, "215-555-0200");
	request_start(&r, &q);
	request_end(&r);
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* Each flow, with what goes before it */

static const struct flow_case {
	const char *kind, *number, *options;
	bool moved;
} flow_cases[] = {
	{ "new", "", "caller-id", false }, { "change", "2155550200", "3way", false }, 
	{ "terminate", "2155550200", "", false },
	{ "move", "2155550200", "fax", true }, { "repair", "", "", true }, { "repair", "2155550200", "", true },
};
#define FLOW_CASES ((int)(sizeof flow_cases / sizeof *flow_cases))
enum { CASE_NEW, CASE_CHANGE, CASE_TERMINATE, CASE_MOVE, CASE_REPAIR, CASE_RESTORE };

static void prepare(struct rig *r, int flow)
{
	report(&r->sc1, &r->cta[0]);
	if (flow == CASE_NEW)
		return;
	request(r, "new", &r->cta[0], "", "");
	ck_assert(r->terminal.accepted);
	if (flow_cases[flow].moved)
		report(&r->sc2, &r->cta[0]);
	if (flow == CASE_RESTORE) {
		request(r, "repair", &r->cta[0], "", "");
		ck_assert(r->terminal.accepted);
	}
}

static void start_case(struct rig *r, int flow)
{
	const struct flow_case *f = &flow_cases[flow];
	struct radius q = request_of(f->kind, &r->cta[0], f->number, f->options);

	r->armed = true;
	request_start(r, &q);
}

static void expect_case(const struct rig *r, int flow, bool done)
{
	bool owner = flow == CASE_NEW ? done : flow == CASE_TERMINATE ? !done : true;
	bool facility = flow == CASE_REPAIR ? done : flow == CASE_RESTORE ? !done : false;

	ck_assert_int_eq(rig_get(r->pca, "customers"), owner);
	ck_assert_int_eq(rig_get(r->pca, "repairs"), facility);
}

/* Whatever was in its way: it was done, once. */
static void run_case(struct rig *r, int flow, const char *what, unsigned at)
{
	uint64_t done = (uint64_t)rig_get(r->pca, "done");

	start_case(r, flow);
	request_end(r);
	ck_assert_msg(r->terminal.accepted, "%s %s, %s at frame %u: %s", flow_cases[flow].kind, flow_cases[flow].number,
	              what, at,
	              r->terminal.why);
	ck_assert_int_eq(rig_get(r->pca, "done"), done + 1);
	rig_run(r, 600 * NS_PER_S); /* what was held back has come */
	expect_case(r, flow, true);
	check_agreement(r);
	ck_assert_uint_eq(r->terminal.answers, 1);
}

/*
 * Every stride-th frame, a different one of them for each harm, so that each frame meets some harm in every run;
 * TOLLGATE_THOROUGH=1 in the environment lets each meet all.
 */
static unsigned stride(void)
{
	return getenv("TOLLGATE_THOROUGH") ? 1 : 5;
}

static unsigned frames_of(int flow, const struct rig_setup *setup)
{
	struct rig r;
	unsigned frames;

	rig_make(&r, setup);
	prepare(&r, flow);
	run_case(&r, flow, "nothing", 0);
	frames = r.frames;
	rig_end(&r);
	return frames;
}

static const struct {
	const char *what;
	enum harm harm;
	sim_ns hold_ns;
} harms[] = {
	{ "lost", HARM_LOSE, 0 }, { "repeated at once", HARM_TWICE, 0 }, { "repeated", HARM_TWICE, 20 * NS_PER_MS }, 
	{ "repeated late", HARM_TWICE, 100 * NS_PER_S },
	{ "late", HARM_HOLD, 1500 * NS_PER_MS }, { "very late", HARM_HOLD, 100 * NS_PER_S },
};
#define HARMS ((int)(sizeof harms / sizeof *harms))

/* Each frame of each flow, in clear and under ESP. */
START_TEST(each_message_harmed)
{
	const struct rig_setup *setup = _i / HARMS / FLOW_CASES ? &covered : &plain;
	int flow = _i / HARMS % FLOW_CASES;
	unsigned frames = frames_of(flow, setup);

	for (unsigned at = (unsigned)_i % stride(); at < frames; at += stride()) {
		struct rig r;

		rig_make(&r, setup);
		prepare(&r, flow);
		r.harm = harms[_i % HARMS].harm;
		r.hold_ns = harms[_i % HARMS].hold_ns;
		r.at = at;
		run_case(&r, flow, harms[_i % HARMS].what, at);
		rig_end(&r);
	}
}
END_TEST

/* Two of them, chosen by seed. */
START_TEST(pairs_lost)
{
	int flow = _i % FLOW_CASES;
	unsigned frames = frames_of(flow, &covered);
	struct rng rng;

	rng_init(&rng, 77, "pairs", flow_cases[flow].kind);
	for (int run = 0; run < 40; run += (int)stride()) {
		struct rig r;

		rig_make(&r, &covered);
		prepare(&r, flow);
		r.harm = HARM_LOSE;
		r.at = (unsigned)rng_below(&rng, frames);
		r.at2 = (unsigned)rng_below(&rng, frames + 10);
		run_case(&r, flow, "pair lost", r.at);
		rig_end(&r);
	}
}
END_TEST

static const struct link_params bad_link = { .delay_ns = 5 * NS_PER_MS, .jitter_ns = 2 * NS_PER_MS, .loss_ppm = 100000,
	                                     .duplicate_ppm = 100000, .reorder_ppm = 100000,
	                                     .reorder_ns = 40 * NS_PER_MS };

START_TEST(on_a_bad_link)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rig_setup setup = { .seed = seed, .ipsec = seed % 2 };
		struct rig r;

		rig_make(&r, &setup);
		prepare(&r, _i);
		r.core->params = bad_link;
		run_case(&r, _i, "bad link, seed", (unsigned)seed);
		rig_end(&r);
	}
}
END_TEST

/* Power is lost at each message */

static void restart_pca(struct rig *r)
{
	r->pca->model->restart(r->pca);
}
static void restart_bh(struct rig *r)
{
	r->bh->model->restart(r->bh);
}
static void restart_controllers(struct rig *r)
{
	server_restart(&r->sc1);
	server_restart(&r->sc2);
}
static void restart_cta(struct rig *r)
{
	cta_restart(&r->cta[0]);
}
static void restart_all(struct rig *r)
{
	restart_pca(r);
	restart_bh(r);
	restart_controllers(r);
	restart_cta(r);
}
static void (*const restarts[])(struct rig *r) = { restart_pca, restart_bh, restart_controllers, restart_cta,
                                                   restart_all };
#define RESTARTS ((int)(sizeof restarts / sizeof *restarts))

START_TEST(restarts_at_each_message)
{
	const struct rig_setup *setup = _i / RESTARTS / FLOW_CASES ? &covered : &plain;
	int flow = _i / RESTARTS % FLOW_CASES;
	unsigned frames = frames_of(flow, setup);

	for (unsigned at = (unsigned)_i % stride(); at < frames; at += stride()) {
		struct rig r;

		rig_make(&r, setup);
		prepare(&r, flow);
		r.harm = HARM_RESTART;
		r.restart = restarts[_i % RESTARTS];
		r.at = at;
		run_case(&r, flow, "restart", at);
		rig_end(&r);
	}
}
END_TEST

/* Each step refused for good: what is done is taken back */

enum denier { DENY_BILLING, DENY_ADDITION, DENY_REMOVAL, DENY_CERTIFICATE };
static const struct refused_step {
	int flow;
	enum denier denier;
	const char *check; /* NULL: the flow stands all the same */
} refused_steps[] = {
	{ CASE_NEW, DENY_BILLING, "bh.denied" }, { CASE_NEW, DENY_ADDITION, "sc.full" },
	{ CASE_NEW, DENY_CERTIFICATE, "cta.verify_certificate" },
	{ CASE_CHANGE, DENY_BILLING, "bh.denied" }, { CASE_CHANGE, DENY_ADDITION, "sc.full" }, 
	{ CASE_CHANGE, DENY_CERTIFICATE, NULL },
	{ CASE_TERMINATE, DENY_REMOVAL, "sc.trouble" },
	{ CASE_MOVE, DENY_REMOVAL, "sc.trouble" }, { CASE_MOVE, DENY_ADDITION, "sc.full" },
	{ CASE_MOVE, DENY_CERTIFICATE, "cta.verify_certificate" },
	{ CASE_REPAIR, DENY_BILLING, "bh.denied" }, { CASE_REPAIR, DENY_ADDITION, "sc.full" },
	{ CASE_REPAIR, DENY_CERTIFICATE, "cta.verify_certificate" },
	{ CASE_RESTORE, DENY_CERTIFICATE, "cta.verify_certificate" }, { CASE_RESTORE, DENY_REMOVAL, "sc.trouble" },
};
#define REFUSED_STEPS ((int)(sizeof refused_steps / sizeof *refused_steps))

static void deny(struct rig *r, const struct refused_step *s)
{
	struct server *added_at = flow_cases[s->flow].moved ? &r->sc2 : &r->sc1;
	struct server *removed_at = s->flow == CASE_RESTORE ? &r->sc2 : &r->sc1;

	if (s->denier == DENY_BILLING)
		rig_text(r->bh, "deny", "name", "Ada");
	if (s->denier == DENY_ADDITION)
		added_at->deny = "sc.full";
	if (s->denier == DENY_REMOVAL)
		removed_at->deny_removal = "sc.trouble";
	if (s->denier == DENY_CERTIFICATE)
		r->cta[0].deny = "cta.verify_certificate";
}

static void deny_and_arm(struct rig *r, const struct refused_step *s, const struct rig_setup *setup)
{
	rig_make(r, setup);
	prepare(r, s->flow);
	deny(r, s);
}

static void expect_refused(struct rig *r, const struct refused_step *s)
{
	int64_t undone = rig_get(r->pca, "taken_back");

	start_case(r, s->flow);
	request_end(r);
	ck_assert_int_eq(r->terminal.accepted, !s->check);
	ck_assert_str_eq(r->terminal.why, s->check ? s->check : "20.00 a month");
	ck_assert_int_eq(rig_get(r->pca, "taken_back"), undone + (s->check != NULL));
	rig_run(r, 600 * NS_PER_S);
	expect_case(r, s->flow, !s->check);
	ck_assert_str_eq(rig_text(r->pca, "number", "mac", r->cta[0].mac_text),
	                 s->flow == CASE_NEW ? "" : "2155550200");
	check_agreement(r);
}

START_TEST(each_step_refused)
{
	const struct refused_step *s = &refused_steps[_i];
	struct rig r;

	deny_and_arm(&r, s, &covered);
	expect_refused(&r, s);
	/* and afterwards everything is as it was: the same works once nobody refuses it any more */
	rig_text(r.bh, "approve", "name", "Ada");
	r.sc1.deny = r.sc2.deny = r.sc1.deny_removal = r.sc2.deny_removal = r.cta[0].deny = NULL;
	start_case(&r, s->flow);
	request_end(&r);
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	expect_case(&r, s->flow, true);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* Taking back goes on through losses and restarts too. */
START_TEST(each_step_refused_and_each_message_harmed)
{
	const struct refused_step *s = &refused_steps[_i % REFUSED_STEPS];
	unsigned frames;
	struct rig r;

	deny_and_arm(&r, s, &plain);
	expect_refused(&r, s);
	frames = r.frames;
	rig_end(&r);
	for (unsigned at = (unsigned)_i % stride(); at < frames; at += stride())
		for (int how = 0; how < 3; how++) {
			deny_and_arm(&r, s, &plain);
			r.at = at;
			r.harm = how == 0 ? HARM_LOSE : how == 1 ? HARM_HOLD : HARM_RESTART;
			r.hold_ns = 100 * NS_PER_S;
			r.restart = restart_all;
			expect_refused(&r, s);
			rig_end(&r);
		}
}
END_TEST

/* Nor can taking back be refused: it is asked until it is done. */
START_TEST(taking_back_refused)
{
	int64_t retries;
	struct rig r;

	rig_make(&r, &plain);
	prepare(&r, CASE_NEW);
	r.cta[0].deny = "cta.verify_certificate";
	r.sc1.deny_removal = "sc.trouble";
	start_case(&r, CASE_NEW);
	rig_run(&r, 300 * NS_PER_S);
	ck_assert(!r.terminal.answered);
	ck_assert_int_eq(rig_get(r.pca, "under_way"), 1);
	retries = rig_get(r.pca, "retries");
	ck_assert_int_ge(retries, 6);
	ck_assert_int_le(retries, 12);
	ck_assert_uint_eq(r.sc1.subscribers, 1);
	r.sc1.deny_removal = NULL;
	request_end(&r);
	ck_assert_str_eq(r.terminal.why, "cta.verify_certificate");
	expect_case(&r, CASE_NEW, false);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* What a controller does not know of its head-end is nobody's refusal: it is asked again, under the same name. */
START_TEST(a_head_end_is_away)
{
	struct rig r;

	rig_make(&r, &plain);
	prepare(&r, _i ? CASE_TERMINATE : CASE_NEW);
	r.sc1.deny = r.sc1.deny_removal = "sc.head_end_timeout";
	start_case(&r, _i ? CASE_TERMINATE : CASE_NEW);
	for (int i = 0; i < 12; i++) {
		rig_run(&r, 10 * NS_PER_S);
		ck_assert(!r.terminal.answered);
		r.sc1.states = 0; /* this answer is not kept */
	}
	r.sc1.deny = r.sc1.deny_removal = NULL;
	request_end(&r);
	ck_assert(r.terminal.accepted);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* Somebody is away */

START_TEST(the_cta_is_away)
{
	struct rig r;

	rig_make(&r, &covered);
	prepare(&r, CASE_NEW);
	r.cta[0].silent = true;
	start_case(&r, CASE_NEW);
	request_end(&r);
	ck_assert_str_eq(r.terminal.why, "pca.cta_away");
	expect_case(&r, CASE_NEW, false);
	check_agreement(&r);
	/* it comes back in time */
	start_case(&r, CASE_NEW);
	rig_run(&r, 200 * NS_PER_S);
	r.cta[0].silent = false;
	request_end(&r);
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* The centre is told after the patience; what was asked is done when the server is back, and taken back then. */
START_TEST(a_server_is_away)
{
	struct server *sc;
	struct radius q;
	struct rig r;

	rig_make(&r, _i % 2 ? &covered : &plain);
	prepare(&r, _i / 2);
	sc = &r.sc1;
	iface_set_ip(sc->node->ifaces, 0x0a6800fau, 24);
	start_case(&r, _i / 2);
	if (_i / 2 == CASE_TERMINATE) {
		rig_run(&r, QUIET_NS);
		ck_assert(!r.terminal.answered); /* it will be done */
	} else {
		while (!r.terminal.answered)
			rig_run(&r, NS_PER_S);
		ck_assert_str_eq(r.terminal.why, "pca.controller_away");
		ck_assert_int_eq(rig_get(r.pca, "under_way"), 1);
		ck_assert_int_lt(r.sim->now_ns, 600 * NS_PER_S);
		q = request_of("terminate", NULL, "2155550200", "");
		ck_assert_str_eq(server_ask(&r.csr, PCA_IP, &q).answer.reply_message,
		                 _i / 2 == CASE_NEW ? "pca.unknown_customer" : "pca.busy");
	}
	iface_set_ip(sc->node->ifaces, SC1_IP, 24);
	rig_run(&r, 600 * NS_PER_S);
	ck_assert_int_eq(rig_get(r.pca, "under_way"), 0);
	expect_case(&r, _i / 2, _i / 2 == CASE_TERMINATE);
	ck_assert_int_eq(r.terminal.accepted, _i / 2 == CASE_TERMINATE);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* Repetitions of a request, at any time, by the same server and by others */
START_TEST(repetitions)
{
	struct rig r;
	struct radius q, other;
	struct reply reply;

	rig_make(&r, &plain);
	report(&r.sc1, &r.cta[0]);
	q = request_of("new", &r.cta[0], "", "");
	request_start(&r, &q);
	request_end(&r);
	for (int i = 0; i < 3; i++) {
		reply = server_ask(&r.csr, PCA_IP, &q);
		ck_assert_int_eq(reply.answer.code, RADIUS_ACCESS_ACCEPT);
		ck_assert_str_eq(reply.answer.called_station, "2155550200");
		if (i == 1)
			restart_pca(&r);
	}
	ck_assert_int_eq(rig_get(r.pca, "requests"), 1);
	other = q;
	snprintf(other.filter_id, sizeof other.filter_id, "fax");
	reply = server_ask(&r.csr, PCA_IP, &other);
	ck_assert_str_eq(reply.answer.reply_message, "pca.state_in_use");
	check_agreement(&r);
	r.cta[0].deny = "cta.full";
	q = request_of("repair", &r.cta[0], "", "");
	request_start(&r, &q);
	request_end(&r);
	reply = server_ask(&r.csr, PCA_IP, &q);
	ck_assert_int_eq(reply.answer.code, RADIUS_ACCESS_REJECT);
	ck_assert_str_eq(reply.answer.reply_message, "cta.full");
	rig_end(&r);
}
END_TEST

/* Reports of devices */

static const struct bad_report {
	const char *name, *check;
	uint32_t ip;
	int cert; /* 0: its own; 1: an operator's; 2: broken; 3: none; 4: the other device's */
	bool by_terminal;
} bad_reports[] = {
	{ "00:11:22:33:44:50", "pca.check_controller", CTA_IP, 0, true },
	{ "00:11:22:33:44:5", "pca.malformed", CTA_IP, 0, false },
	{ "00:11:22:33:44:50", "pca.malformed", 0, 0, false },
	{ "00:11:22:33:44:51", "pca.mac_mismatch", CTA_IP, 0, false },
	{ "00:11:22:33:44:50", "pca.mac_mismatch", CTA_IP, 4, false },
	{ "00:11:22:33:44:50", "pca.device_certificate", CTA_IP, 1, false },
	{ "00:11:22:33:44:50", "pca.device_certificate", CTA_IP, 2, false },
	{ "00:11:22:33:44:50", "pca.device_certificate", CTA_IP, 3, false },
};
#define BAD_REPORTS ((int)(sizeof bad_reports / sizeof *bad_reports))

START_TEST(reports_are_judged)
{
	const struct bad_report *b = &bad_reports[_i];
	struct rig r;
	struct radius q;
	struct reply reply;
	struct der cert = { 0 };

	rig_make(&r, &plain);
	q = report_of(&r.cta[b->cert == 4]);
	q.framed_ip = b->ip;
	snprintf(q.user_name, sizeof q.user_name, "%s", b->name);
	if (b->cert == 1) {
		world_operator_certificate(r.world, "cta/0", 1024, "215-555-0101", 0, &cert);
		memcpy(q.certificate, cert.bytes, cert.len);
		q.certificate_len = (uint16_t)cert.len;
		der_free(&cert);
	}
	q.certificate[q.certificate_len - 10] ^= b->cert == 2;
	if (b->cert == 3)
		q.certificate_len = 0;
	reply = server_ask(b->by_terminal ? &r.csr : &r.sc1, PCA_IP, &q);
	ck_assert_int_eq(reply.answer.code, RADIUS_ACCESS_REJECT);
	ck_assert_str_eq(reply.answer.reply_message, b->check);
	ck_assert_uint_eq(rig_refused(&r, r.pca, b->check), 1);
	ck_assert_int_eq(rig_get(r.pca, "devices"), 0);
	rig_end(&r);
}
END_TEST

/* A controller that is broken into reports a device of another's segment, to have its customer's number. */
START_TEST(reports_of_anothers_segment)
{
	static const char *const names[] = { "sc/sc1", "sc/sc2" };
	struct directory *directory;
	struct radius q;
	struct rig r;

	rig_make(&r, &plain);
	directory = world_directory(r.world);
	directory_head_end_add(directory, CTA_IP, 32, "he/he1");
	directory_segment_set(directory, "he/he1", names[0]);
	directory_head_end_add(directory, CTA_IP + 1, 32, "he/he2");
	directory_segment_set(directory, "he/he2", names[1]);
	report(&r.sc1, &r.cta[0]);
	q = report_of(&r.cta[0]);
	ck_assert_str_eq(server_ask(&r.sc2, PCA_IP, &q).answer.reply_message, "pca.check_segment");
	ck_assert_uint_eq(rig_refused(&r, r.pca, "pca.check_segment"), 1);
	q = report_of(&r.cta[1]);
	ck_assert_str_eq(server_ask(&r.sc1, PCA_IP, &q).answer.reply_message, "pca.check_segment");
	ck_assert_int_eq(rig_get(r.pca, "devices"), 1);
	request(&r, "new", &r.cta[0], "", "");
	ck_assert_str_eq(r.terminal.number, "2155550200");
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

START_TEST(devices_are_denied)
{
	static const struct rig_setup setup = { .deny = "00:11:22:33:44:50, 02:00:00:00:00:01" };
	struct rig r;
	struct radius q;

	rig_make(&r, &setup);
	q = report_of(&r.cta[0]);
	ck_assert_str_eq(server_ask(&r.sc1, PCA_IP, &q).answer.reply_message, "pca.denied");
	ck_assert_int_eq(rig_get(r.pca, "denied"), 2);
	rig_text(r.pca, "approve", "mac", "00:11:22:33:44:50");
	report(&r.sc1, &r.cta[0]);
	rig_text(r.pca, "deny", "mac", "00:11:22:33:44:50"); /* while it calls */
	request(&r, "new", &r.cta[0], "", "");
	ck_assert_str_eq(r.terminal.why, "pca.denied");
	rig_text(r.pca, "approve", "mac", "00:11:22:33:44:50");
	request(&r, "new", &r.cta[0], "", "");
	ck_assert(r.terminal.accepted);
	rig_end(&r);
}
END_TEST

/* P3: whose is the address? */

static const struct overwritten {
	uint32_t call_s;          /* the call has lasted so long when the centre asks; 0: not said */
	sim_ns overwritten_ns;    /* before that another device was reported there */
	const char *calling;      /* "" not said */
	const char *check;
} overwritten[] = {
	{ 60, 30 * NS_PER_S, "", "pca.bind_call" }, { 60, 59 * NS_PER_S, "", "pca.bind_call" },
	{ 60, 62 * NS_PER_S, "", NULL }, /* the caller is the one who is there now */
	{ 0, 30 * NS_PER_S, "00:11:22:33:44:50", "pca.bind_call" }, { 0, 30 * NS_PER_S, "00:11:22:33:44:51", NULL },
};
#define OVERWRITTEN ((int)(sizeof overwritten / sizeof *overwritten))

START_TEST(the_record_is_bound_to_the_call)
{
	const struct overwritten *o = &overwritten[_i];
	struct rig r;
	struct radius q;

	rig_make(&r, &plain);
	report(&r.sc1, &r.cta[0]);
	rig_run(&r, 100 * NS_PER_S);
	q = report_of(&r.cta[1]);
	q.framed_ip = r.cta[0].ip;
	ck_assert_int_eq(server_ask(&r.sc1, PCA_IP, &q).answer.code, RADIUS_ACCESS_ACCEPT);
	rig_run(&r, o->overwritten_ns);
	q = request_of("new", &r.cta[0], "", "");
	q.acct_session_s = o->call_s;
	snprintf(q.calling_station, sizeof q.calling_station, "%s", o->calling);
	request_start(&r, &q);
	request_end(&r);
	if (o->check) {
		ck_assert_str_eq(r.terminal.why, o->check);
		ck_assert_int_eq(rig_get(r.pca, "issued"), 0);
	} else {
		ck_assert_str_eq(r.terminal.why, "cta.check_key"); /* it goes to that address, and is for that device */
	}
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* With the switch off it is whose record there is. */
START_TEST(the_record_is_not_bound_to_the_call)
{
	const struct overwritten *o = &overwritten[_i];
	char error[MODEL_ERROR_LEN];
	struct rig r;
	struct radius q;

	rig_make(&r, &plain);
	ck_assert(world_switch_set(r.world, "pca.bind_call", "off", error));
	report(&r.sc1, &r.cta[0]);
	q = report_of(&r.cta[1]);
	q.framed_ip = r.cta[0].ip;
	ck_assert_int_eq(server_ask(&r.sc1, PCA_IP, &q).answer.code, RADIUS_ACCESS_ACCEPT);
	rig_run(&r, o->overwritten_ns);
	q = request_of("new", &r.cta[0], "", "");
	q.acct_session_s = o->call_s;
	snprintf(q.calling_station, sizeof q.calling_station, "%s", o->calling);
	request_start(&r, &q);
	request_end(&r);
	ck_assert_str_eq(r.terminal.why, "cta.check_key");
	ck_assert_int_eq(rig_get(r.pca, "issued"), 1);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* The record changes hands while the transaction is under way, at each of its messages. */
/* A device that was reported elsewhere since is not where it was. */
START_TEST(old_addresses)
{
	struct rig r;
	struct radius q;

	rig_make(&r, &plain);
	report(&r.sc1, &r.cta[0]);
	q = report_of(&r.cta[0]);
	q.framed_ip = CTA_IP + 40;
	ck_assert_int_eq(server_ask(&r.sc1, PCA_IP, &q).answer.code, RADIUS_ACCESS_ACCEPT);
	request(&r, "new", &r.cta[0], "", "");
	ck_assert_str_eq(r.terminal.why, "pca.unknown_device");
	report(&r.sc1, &r.cta[0]);
	request(&r, "new", &r.cta[0], "", "");
	ck_assert(r.terminal.accepted);
	rig_end(&r);
}
END_TEST

static struct terminal overwriting;

static void overwrite_from(struct rig *r)
{
	struct radius q = report_of(&r->cta[1]);

	q.framed_ip = r->cta[0].ip;
	overwriting = (struct terminal){ .server = &r->sc2 };
	ck_assert(radius_client_ask(r->sc2.client, PCA_IP, &q, terminal_reply, &overwriting));
}

START_TEST(the_record_is_bound_to_the_transaction)
{
	unsigned frames = frames_of(CASE_NEW, &plain), stopped = 0;

	for (unsigned at = 1; at < frames; at++) {
		struct rig r;

		rig_make(&r, &plain);
		prepare(&r, CASE_NEW);
		r.at = at;
		r.harm = HARM_RESTART;
		r.restart = overwrite_from;
		start_case(&r, CASE_NEW);
		request_end(&r);
		if (!r.terminal.accepted)
			ck_assert_str_eq(r.terminal.why, "pca.bind_call");
		stopped += !r.terminal.accepted;
		if (r.cta[0].operator_cert.len)
			expect_certificate(&r, &r.cta[0], "2155550200", 730 * 86400);
		check_agreement(&r);
		rig_end(&r);
	}
	ck_assert_uint_ge(stopped, 2);
}
END_TEST

/* Hostile requests */

static const struct hostile {
	const char *kind, *state, *number, *class_, *data, *check;
	uint32_t ip;
} hostile[] = {
	{ "new", "", "", "", DATA, "pca.malformed", CTA_IP },
	{ "new", "x", "no number", "", DATA, "pca.malformed", CTA_IP },
	{ "steal", "x", "", "", DATA, "pca.unknown_request", CTA_IP },
	{ "", "x", "", "", DATA, "pca.unknown_request", CTA_IP },
	{ "new", "x", "", "", DATA, "pca.unknown_device", CTA_IP + 50 },
	{ "new", "x", "", "", DATA, "pca.unknown_device", 0 },
	{ "repair", "x", "", "", DATA, "pca.unknown_device", CTA_IP + 50 },
	{ "move", "x", "2155550200", "", DATA, "pca.unknown_device", CTA_IP + 50 },
	{ "new", "x", "", "", DATA, "pca.device_in_use", CTA_IP },
	{ "new", "x", "", "", "", "pca.customer_data", CTA_IP + 1 },
	{ "new", "x", "", "12", "", "pca.work_order", CTA_IP + 1 },
	{ "change", "x", "2155550201", "", "", "pca.unknown_customer", CTA_IP },
	{ "change", "x", "", "", "", "pca.unknown_customer", CTA_IP },
	{ "terminate", "x", "9999999999", "", "", "pca.unknown_customer", CTA_IP },
	{ "move", "x", "2155550200", "", "", "pca.not_owner", CTA_IP + 1 },
};
#define HOSTILE ((int)(sizeof hostile / sizeof *hostile))

START_TEST(hostile_requests)
{
	const struct hostile *h = &hostile[_i];
	struct rig r;
	struct radius q = { .code = RADIUS_ACCESS_REQUEST, .framed_ip = h->ip };
	struct reply reply;

	rig_make(&r, &covered);
	report(&r.sc1, &r.cta[0]);
	report(&r.sc1, &r.cta[1]);
	request(&r, "new", &r.cta[0], "", "");
	ck_assert_str_eq(r.terminal.number, "2155550200");
	snprintf(q.connect_info, sizeof q.connect_info, "%s", h->kind);
	snprintf(q.state, sizeof q.state, "%s", h->state);
	snprintf(q.called_station, sizeof q.called_station, "%s", h->number);
	snprintf(q.class_, sizeof q.class_, "%s", h->class_);
	snprintf(q.user_name, sizeof q.user_name, "%s", h->data);
	reply = server_ask(&r.csr, PCA_IP, &q);
	ck_assert_int_eq(reply.answer.code, RADIUS_ACCESS_REJECT);
	ck_assert_str_eq(reply.answer.reply_message, h->check);
	ck_assert_uint_eq(rig_refused(&r, r.pca, h->check), 1);
	ck_assert_uint_eq(rig_refused(&r, r.pca, NULL), 1);
	ck_assert_int_eq(rig_get(r.pca, "requests"), 1);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* P9: a termination in the centre's name, by one who has no association; without IPsec it is believed. */
START_TEST(forged_termination)
{
	struct rig r;
	struct radius q = request_of("terminate", NULL, "2155550200", "");
	struct udp_socket socket = { .node = NULL };
	struct packet *p;
	uint8_t bytes[RADIUS_MESSAGE_MAX];
	size_t len = radius_write(&q, bytes, sizeof bytes);

	rig_make(&r, _i ? &covered : &plain);
	report(&r.sc1, &r.cta[0]);
	request(&r, "new", &r.cta[0], "", "");
	ck_assert(udp_bind(r.cta[1].node, &socket, 0, NULL, NULL));
	p = packet_new(r.sim, (uint32_t)len);
	memcpy(packet_append(p, (uint32_t)len), bytes, len);
	udp_send(&socket, CSR_IP, PCA_IP, RADIUS_AUTH_PORT, p);
	rig_run(&r, 100 * NS_PER_S);
	ck_assert_uint_eq(rig_refused(&r, r.pca, "backend.ipsec"), _i);
	ck_assert_int_eq(rig_get(r.pca, "customers"), _i);
	check_agreement(&r);
	udp_unbind(&socket);
	rig_end(&r);
}
END_TEST

/* Servers of another kind ask in vain. */
START_TEST(not_theirs_to_ask)
{
	struct rig r;
	struct radius q;

	rig_make(&r, &covered);
	report(&r.sc1, &r.cta[0]);
	q = request_of("new", &r.cta[0], "", "");
	ck_assert_str_eq(server_ask(&r.sc1, PCA_IP, &q).answer.reply_message, "pca.check_centre");
	ck_assert_int_eq(rig_get(r.pca, "requests"), 0);
	rig_end(&r);
}
END_TEST

/* Two requests about one device at a time */
START_TEST(one_at_a_time)
{
	struct rig r;
	struct radius q;

	rig_make(&r, &plain);
	prepare(&r, CASE_CHANGE);
	r.cta[0].silent = true;
	start_case(&r, CASE_CHANGE);
	rig_run(&r, 10 * NS_PER_S);
	for (int i = 0; i < 4; i++) {
		static const char *const kinds[] = { "change", "terminate", "move", "repair" };

		q = request_of(kinds[i], &r.cta[0], i == 3 ? "" : "2155550200", "");
		ck_assert_str_eq(server_ask(&r.csr, PCA_IP, &q).answer.reply_message, "pca.busy");
	}
	r.cta[0].silent = false;
	request_end(&r);
	ck_assert(r.terminal.accepted);
	check_agreement(&r);
	rig_end(&r);
}
END_TEST

/* The start of each certificate lies after those before it, however fast they follow. */
START_TEST(starts_increase)
{
	struct rig r;
	int64_t start_s;

	rig_make(&r, &plain);
	prepare(&r, CASE_CHANGE);
	for (int i = 0; i < 8; i++) {
		start_s = r.cta[0].start_s;
		request(&r, "change", &r.cta[0], "2155550200", i % 2 ? "fax" : "");
		ck_assert(r.terminal.accepted);
		ck_assert_uint_gt(r.terminal.validity_s, 0);
		ck_assert_int_eq(r.cta[0].start_s, start_s + 1);
	}
	rig_end(&r);
}
END_TEST

/* Answers to repetitions are kept for the newest FLOWS_KEPT_MAX transactions, and no longer. */
START_TEST(finished_transactions_are_bounded)
{
	struct rig r;
	struct radius first;

	rig_make(&r, &plain);
	prepare(&r, CASE_CHANGE);
	first = request_of("change", NULL, "2155550200", "first");
	request_start(&r, &first);
	request_end(&r);
	r.sc1.states = 0; /* it need not remember all of them */
	for (int i = 0; i < FLOWS_KEPT_MAX - 2; i++) {
		request(&r, "change", NULL, "2155550200", i % 2 ? "fax" : "");
		ck_assert(r.terminal.accepted);
		r.sc1.states = 0;
	}
	ck_assert_int_eq(server_ask(&r.csr, PCA_IP, &first).answer.code, RADIUS_ACCESS_ACCEPT);
	ck_assert_str_ne(sc_options(&r.sc1, "2155550200"), "first"); /* answered, not done again */
	for (int i = 0; i < 2; i++)
		request(&r, "change", NULL, "2155550200", "");
	request_start(&r, &first);
	request_end(&r);
	ck_assert_str_eq(sc_options(&r.sc1, "2155550200"), "first"); /* forgotten: a new one */
	rig_end(&r);
}
END_TEST

/* Customers of before the run */
START_TEST(customers_from_before)
{
	struct rig r;
	struct provisioned who = { .number = "215-555-0101", .controller = "sc/sc1", .data = DATA, .options = "fax" };
	const char *id;

	rig_make(&r, &plain);
	who.mac = r.cta[0].mac;
	who.device_cert = &r.cta[0].device_cert;
	id = provisioning_ca_enter(r.pca, &who);
	ck_assert_ptr_nonnull(id);
	ck_assert_ptr_null(provisioning_ca_enter(r.pca, &who));
	ck_assert(billing_host_enter(r.bh, id, who.number, who.data, who.options));
	request(&r, "change", &r.cta[0], "2155550101", "3way");
	ck_assert_msg(r.terminal.accepted, "%s", r.terminal.why);
	expect_certificate(&r, &r.cta[0], "2155550101", 730 * 86400);
	ck_assert_str_eq(rig_text(r.bh, "options", "number", "2155550101"), "3way");
	request(&r, "terminate", NULL, "2155550101", "");
	ck_assert(r.terminal.accepted);
	ck_assert_int_eq(rig_get(r.bh, "accounts"), 0);
	rig_end(&r);
}
END_TEST

/* A builder's mistakes are told to him. */
static const struct {
	const char *param, *value, *says;
} mistakes[] = {
	{ "numbers", "sc1", "numbers takes" }, { "numbers", "sc/sc1=5-4", "numbers takes" }, 
	{ "numbers", "sc/sc1=5-14", "numbers takes" },
	{ "numbers", "sc/sc1=10-20;sc/sc2=20-30", "do not overlap" }, { "numbers", "sc/sc1=-", "numbers takes" },
	{ "deny", "02:00", "deny takes" }, { "deny", "02:00:00:00:00:01;", "deny takes" },
};
#define MISTAKES ((int)(sizeof mistakes / sizeof *mistakes))

START_TEST(parameters)
{
	struct rig r;
	struct node *node;
	struct arg list[] = { { "kdc", { .type = VALUE_NODE } }, { "billing", { .type = VALUE_NODE } },
		              { "certificate_lifetime", value_time(NS_PER_S) }, 
		              { "repair_lifetime", value_time(NS_PER_S) }, { "patience", value_time(NS_PER_S) },
		              { mistakes[_i].param, value_text(mistakes[_i].value) } };
	char error[MODEL_ERROR_LEN] = "";

	rig_make(&r, &plain);
	node = rig_node(&r, "pca2", 0x0a680020u);
	list[0].value.node = r.kdc;
	list[1].value.node = r.bh;
	ck_assert(!model_provisioning_ca.create(node, &(struct args){ list, 6 }, error));
	ck_assert_msg(strstr(error, mistakes[_i].says) != NULL, "%s", error);
	rig_end(&r);
}
END_TEST

/* TFTP */

static const size_t lengths[] = { 1, 511, 512, 513, 1024, 1500 };
#define LENGTHS ((int)(sizeof lengths / sizeof *lengths))

struct sent {
	bool told;
	enum certificate_outcome outcome;
	char check[CERTIFICATE_CHECK_MAX];
};

static void on_sent(void *ctx, enum certificate_outcome outcome, const char *check)
{
	struct sent *sent = ctx;

	ck_assert(!sent->told);
	sent->told = true;
	sent->outcome = outcome;
	snprintf(sent->check, sizeof sent->check, "%s", check);
}

/* A file that fills its blocks ends with an empty one; what comes is what was sent. */
START_TEST(files_of_every_length)
{
	struct rig r;
	struct sent sent = { .told = false };
	uint8_t bytes[1500];
	struct der file = { bytes, lengths[_i] };

	rig_make(&r, &plain);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	certificate_sender_start(r.pca, r.cta[0].ip, &file, on_sent, &sent);
	ck_assert(!sent.told);
	rig_run(&r, NS_PER_S);
	ck_assert(sent.told);
	ck_assert_int_eq(sent.outcome, CERTIFICATE_REFUSED); /* it is no certificate */
	ck_assert_str_eq(sent.check, "cta.verify_certificate");
	ck_assert_uint_eq(r.cta[0].coming.len, file.len);
	ck_assert_mem_eq(r.cta[0].coming.bytes, bytes, file.len);
	ck_assert_uint_eq(r.cta[0].block, lengths[_i] / 512 + 1);
	rig_end(&r);
}
END_TEST

/* Strangers and nonsense in the middle of a transfer */

static const struct intruder {
	const char *check;
	bool other_node, other_port;
	struct tftp packet; /* kind 0: bytes that are no packet */
} intruders[] = {
	{ "tftp.unexpected", true, false, { .kind = TFTP_ERROR, .error = TFTP_ACCESS, .message = { "cta.no", 6 } } },
	{ "tftp.unexpected", true, false, { .kind = TFTP_ACK, .block = 1 } },
	{ "tftp.unexpected", false, true, { .kind = TFTP_ACK, .block = 1 } },
	{ "tftp.unexpected", false, true, { .kind = TFTP_ERROR, .error = TFTP_ACCESS, .message = { "cta.no", 6 } } },
	{ "tftp.unexpected", false, false, { .kind = TFTP_ACK, .block = 9 } },
	{ "tftp.unexpected", false, false, { .kind = TFTP_DATA, .block = 1, .data = { "x", 1 } } },
	{ "tftp.malformed", false, false, { .kind = 0 } },
};
#define INTRUDERS ((int)(sizeof intruders / sizeof *intruders))

static const struct intruder *intruding;
static struct udp_socket intruder_socket;

static void told_off(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct tftp m;

	(void)socket, (void)from;
	ck_assert(tftp_parse(packet->data, packet->len, &m));
	ck_assert_int_eq(m.kind, TFTP_ERROR);
	ck_assert_int_eq(m.error, TFTP_UNKNOWN_TID);
}

static void intrude(struct rig *r)
{
	const struct intruder *x = intruding;
	struct udp_socket *from = x->other_node || x->other_port ? &intruder_socket : &r->cta[0].transfer;
	struct packet *p;

	if (!from->port) {
		from->node = x->other_node ? r->cta[1].node : r->cta[0].node;
		ck_assert(udp_bind(from->node, from, 0, told_off, NULL));
	}
	if (x->packet.kind) {
		cta_put(from, PCA_IP, r->cta[0].peer_port, &x->packet);
		return;
	}
	p = packet_new(r->sim, 3);
	memcpy(packet_append(p, 3), "abc", 3);
	udp_send(from, 0, PCA_IP, r->cta[0].peer_port, p);
}

START_TEST(intruders_in_a_transfer)
{
	unsigned frames = frames_of(CASE_NEW, &plain), seen = 0;

	intruding = &intruders[_i];
	for (unsigned at = 0; at < frames; at++) {
		struct rig r;

		rig_make(&r, &plain);
		prepare(&r, CASE_NEW);
		r.harm = HARM_RESTART;
		r.restart = intrude;
		r.at = at;
		memset(&intruder_socket, 0, sizeof intruder_socket);
		run_case(&r, CASE_NEW, "intruder", at);
		seen += rig_refused(&r, r.pca, intruding->check);
		udp_unbind(&intruder_socket);
		rig_end(&r);
	}
	ck_assert_uint_gt(seen, 0);
}
END_TEST

/* A CTA that knows nothing of the transfer any more has not refused. */
static void forget_transfer(struct rig *r)
{
	static const struct tftp unknown = { .kind = TFTP_ERROR, .error = TFTP_UNKNOWN_TID, .message = { "who?", 4 } };

	if (r->cta[0].transfer.port)
		cta_put(&r->cta[0].transfer, PCA_IP, r->cta[0].peer_port, &unknown);
}

START_TEST(forgotten_transfers)
{
	unsigned frames = frames_of(CASE_NEW, &plain), again = 0;

	for (unsigned at = 0; at < frames; at++) {
		struct rig r;

		rig_make(&r, &plain);
		prepare(&r, CASE_NEW);
		r.harm = HARM_RESTART;
		r.restart = forget_transfer;
		r.at = at;
		run_case(&r, CASE_NEW, "forgotten transfer", at);
		again += r.cta[0].transfers > 1;
		rig_end(&r);
	}
	ck_assert_uint_gt(again, 0);
}
END_TEST

/* Whatever is asked for, by several at once, however it is harmed: in the end everything ends, and all agree. */

#define CHAOS_RUNS 8
#define CHAOS_ROUNDS 12
#define CHAOS_TERMINALS 3

static unsigned pick(struct rng *rng, unsigned of)
{
	return (unsigned)rng_below(rng, of);
}

static struct radius any_request(struct rng *rng, const struct rig *r)
{
	static const char *const kinds[] = { "new", "new", "change", "change", "terminate", "move", "move", "repair",
		                             "repair", "restore" };
	static const char *const orders[] = { "", "", "1", "2" };
	const struct cta *c = &r->cta[pick(rng, CTAS)];
	struct radius q;
	char number[16] = "";

	if (pick(rng, 4) == 0)
		snprintf(number, sizeof number, "%s%02u", pick(rng, 2) ? "21555502" : "61055502", pick(rng, 6));
	else if (pick(rng, 4))
		snprintf(number, sizeof number, "%s", rig_text(r->pca, "number", "mac", c->mac_text));
	q = request_of(kinds[pick(rng, 10)], pick(rng, 8) ? c : NULL, number, pick(rng, 2) ? "fax" : "");
	snprintf(q.class_, sizeof q.class_, "%s", orders[pick(rng, 4)]);
	if (pick(rng, 4) == 0)
		snprintf(q.calling_station, sizeof q.calling_station, "%s", pick(rng, 2) ? number : c->mac_text);
	if (pick(rng, 6) == 0)
		q.user_name[0] = '\0';
	q.acct_session_s = pick(rng, 4) ? 0 : 5;
	q.session_timeout_s = pick(rng, 3) * 1800;
	return q;
}

static void any_trouble(struct rng *rng, struct rig *r)
{
	static const char *const checks[] = { NULL, NULL, NULL, "test.trouble" };
	struct cta *c = &r->cta[pick(rng, CTAS)];
	struct server *sc = pick(rng, 2) ? &r->sc1 : &r->sc2;
	struct radius q = report_of(c);

	switch (pick(rng, 12)) {
	case 0:
	case 1:
		server_ask(sc, PCA_IP, &q); /* it has moved, or not */
		break;
	case 2:
		c->deny = checks[pick(rng, 4)];
		break;
	case 3:
		sc->deny = checks[pick(rng, 4)];
		break;
	case 4:
		c->silent = pick(rng, 4) == 0;
		break;
	case 5:
		restarts[pick(rng, RESTARTS)](r);
		break;
	}
}

/* As report(), on a link that may lose all repetitions of a question. */
static void known_at(struct server *sc, const struct cta *c)
{
	struct radius q = report_of(c);

	while (server_ask(sc, PCA_IP, &q).answer.code != RADIUS_ACCESS_ACCEPT)
		rig_run(sc->rig, NS_PER_S);
}

START_TEST(anything_at_once)
{
	struct rig_setup setup = { .seed = (uint64_t)_i + 1, .ipsec = _i % 2 != 0, .patience_s = "40" };
	struct terminal terminals[CHAOS_TERMINALS];
	struct rng rng;
	struct rig r;

	if (_i % 3)
		setup.link = bad_link;
	rig_make(&r, &setup);
	rng_init(&rng, (uint64_t)_i, "test", "chaos");
	for (int n = 1; n <= 2; n++) {
		struct arg order[] = { { "number", value_text(n == 1 ? "1" : "2") }, { "customer", value_text(DATA) } };

		ck_assert_str_eq(rig_verb(r.pca, "work_order", order, 2).error, "");
	}
	known_at(&r.sc1, &r.cta[0]);
	known_at(&r.sc2, &r.cta[1]);
	for (int round = 0; round < CHAOS_ROUNDS; round++) {
		for (unsigned t = 0; t < CHAOS_TERMINALS; t++) {
			terminals[t] = (struct terminal){ .server = &r.csr, .question = any_request(&rng, &r) };
			terminal_ask(&terminals[t]);
			any_trouble(&rng, &r);
			rig_run(&r, pick(&rng, 3000) * NS_PER_MS);
			any_trouble(&rng, &r);
		}
		r.sc1.deny = r.sc2.deny = r.cta[0].deny = r.cta[1].deny = NULL;
		r.cta[0].silent = r.cta[1].silent = false;
		for (sim_ns end_ns = r.sim->now_ns + QUIET_NS; r.sim->now_ns < end_ns && rig_get(r.pca, "under_way");)
			rig_run(&r, NS_PER_S);
		ck_assert_int_eq(rig_get(r.pca, "under_way"), 0);
		for (unsigned t = 0; t < CHAOS_TERMINALS; t++) {
			for (int s = 0; s < 200 && !terminals[t].answered; s++)
				rig_run(&r, NS_PER_S);
			ck_assert(terminals[t].answered);
			sim_cancel(r.sim, &terminals[t].timer);
		}
		rig_run(&r, 120 * NS_PER_S);
		check_agreement(&r);
		r.sc1.states = r.sc2.states = r.refusal_count = 0; /* there is room for so many */
	}
	ck_assert_int_ge(rig_get(r.pca, "done"), 1);
	rig_end(&r);
}
END_TEST

static void add_faults(Suite *suite)
{
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, each_message_harmed, 0, 2 * HARMS * FLOW_CASES);
	tcase_add_loop_test(tc, pairs_lost, 0, FLOW_CASES);
	tcase_add_loop_test(tc, on_a_bad_link, 0, FLOW_CASES);
	tcase_add_loop_test(tc, restarts_at_each_message, 0, 2 * RESTARTS * FLOW_CASES);
	tcase_add_loop_test(tc, each_step_refused, 0, REFUSED_STEPS);
	tcase_add_loop_test(tc, each_step_refused_and_each_message_harmed, 0, REFUSED_STEPS);
	tcase_add_test(tc, taking_back_refused);
	tcase_add_loop_test(tc, a_head_end_is_away, 0, 2);
	tcase_add_test(tc, the_cta_is_away);
	tcase_add_loop_test(tc, anything_at_once, 0, CHAOS_RUNS);
	tcase_add_loop_test(tc, a_server_is_away, 0, 2 * (CASE_TERMINATE + 1));
	suite_add_tcase(suite, tc);
}

static void add_hostile(Suite *suite)
{
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, reports_are_judged, 0, BAD_REPORTS);
	tcase_add_test(tc, reports_of_anothers_segment);
	tcase_add_test(tc, devices_are_denied);
	tcase_add_loop_test(tc, the_record_is_bound_to_the_call, 0, OVERWRITTEN);
	tcase_add_loop_test(tc, the_record_is_not_bound_to_the_call, 0, OVERWRITTEN);
	tcase_add_test(tc, the_record_is_bound_to_the_transaction);
	tcase_add_test(tc, old_addresses);
	tcase_add_loop_test(tc, hostile_requests, 0, HOSTILE);
	tcase_add_loop_test(tc, forged_termination, 0, 2);
	tcase_add_test(tc, not_theirs_to_ask);
	tcase_add_test(tc, one_at_a_time);
	tcase_add_loop_test(tc, files_of_every_length, 0, LENGTHS);
	tcase_add_loop_test(tc, intruders_in_a_transfer, 0, INTRUDERS);
	tcase_add_test(tc, forgotten_transfers);
	tcase_add_loop_test(tc, parameters, 0, MISTAKES);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("provisioning");
	TCase *tc = tcase_create("flows");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_new_customer, 0, 2);
	tcase_add_test(tc, numbers);
	tcase_add_test(tc, no_number_is_left);
	tcase_add_test(tc, change_of_service);
	tcase_add_test(tc, termination);
	tcase_add_test(tc, segment_move);
	tcase_add_loop_test(tc, repair, 0, 2);
	tcase_add_test(tc, work_orders);
	tcase_add_test(tc, a_work_order_is_used_once);
	tcase_add_test(tc, callers_by_name);
	tcase_add_test(tc, repetitions);
	tcase_add_test(tc, starts_increase);
	tcase_add_test(tc, finished_transactions_are_bounded);
	tcase_add_test(tc, customers_from_before);
	suite_add_tcase(suite, tc);
	add_faults(suite);
	add_hostile(suite);
	return rig_main(suite);
}

/*
 * The customer service centre driven from outside (served_rig.h): callers that type and press keys in the encrypted
 * voice stream, a true KDC, and a provisioning CA that is a RADIUS server of the test's. What is expected follows
 * from flows.md 5 (V5 to V7, V13), 7 to 10, attack P11 and patent [0139]-[0145], [0150].
 */
#define SERVER_NAME "centre"
#define NUMBER "411"
#include "tests/models/served_rig.h"
#include <unistd.h>
#include "models/csr_terminal.h"
#include "models/message.h"
#include "models/radius_server.h"

#define PCA_IP 0x0a68000cu
#define LINE "2155550200"   /* that the provisioning CA gives */
#define OTHER "2155550300"  /* somebody else's */
#define NONE "0"            /* a caller without a number */
#define STATES_MAX 64
#define SILENCE_NS (31 * NS_PER_S) /* how long a question and its repetitions take */

extern const struct model model_kdc;

struct centre { /* the rig and the provisioning CA */
	struct rig rig;
	struct end pca;
	struct radius_server *answers;
	bool away, keeps;          /* says nothing; keeps questions until pca_answers() */
	const char *denies;        /* refuses by this check */
	const char *bad_state, *terms;
	struct radius_asked asked; /* the last question */
	unsigned questions, transactions;
	char states[STATES_MAX][RADIUS_TEXT_MAX];
	unsigned calls;
	struct leg_news *caller, *controller;
};

struct plan {
	const char *answers;
	bool scenario, backend_off;
	sim_ns after_ns, patience_ns;
	struct link_params link;
	uint64_t seed;
};
static const struct plan agent = { .answers = "agent", .after_ns = 2 * NS_PER_S, .patience_ns = 60 * NS_PER_S,
	                           .seed = SEED, .link = { .delay_ns = NS_PER_MS, .rate_bps = 100000000 } };
static const struct plan menu = { .answers = "menu", .patience_ns = 60 * NS_PER_S, .seed = SEED,
	                          .link = { .delay_ns = NS_PER_MS, .rate_bps = 100000000 } };

/* The provisioning CA */

static void pca_answers(struct centre *c)
{
	struct radius accept = { .code = RADIUS_ACCESS_ACCEPT, .called_station = LINE, .session_timeout_s = 3600 };

	if (c->denies) {
		radius_server_judge(c->answers, &c->asked, c->denies);
		return;
	}
	snprintf(accept.reply_message, sizeof accept.reply_message, "%s", c->terms ? c->terms : "20 USD a month");
	snprintf(accept.state, sizeof accept.state, "%s", c->bad_state ? c->bad_state : c->asked.question.state);
	message_accept(c->pca.node, c->asked.tag);
	radius_server_answer(c->answers, &c->asked, &accept);
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct centre *c = ctx;
	unsigned i = 0;

	ck_assert_str_eq(asked->principal, "csr/centre");
	ck_assert_int_eq(asked->question.code, RADIUS_ACCESS_REQUEST);
	c->questions++;
	c->asked = *asked;
	while (i < c->transactions && strcmp(c->states[i], asked->question.state) != 0)
		i++;
	if (i == c->transactions) {
		ck_assert_uint_lt(i, STATES_MAX);
		snprintf(c->states[c->transactions++], RADIUS_TEXT_MAX, "%s", asked->question.state);
	}
	if (!c->away && !c->keeps)
		pca_answers(c);
}

/* The rig */

static bool centre_create(struct centre *c, const struct plan *plan, const char *number, char error[MODEL_ERROR_LEN])
{
	struct rig *rig = &c->rig;
	struct arg list[] = {
		{ "kdc", { .type = VALUE_NODE, .node = node_find(rig->sim, "kdc") } }, { "number", value_text(number) },
		{ "lines", value_int(10) }, { "media_timeout", value_time(5 * NS_PER_S) },
		{ "pca", { .type = VALUE_NODE, .node = c->pca.node } }, { "answers", value_text(plan->answers) },
		{ "after", value_time(plan->after_ns) }, { "automatic", value_bool(!plan->scenario) },
		{ "types_after", value_time(NS_PER_S) }, { "patience", value_time(plan->patience_ns) },
	};
	struct args args = { list, sizeof list / sizeof *list };

	rig->server->model = model_find("csr");
	return rig->server->model->create(rig->server, &args, error);
}

static void kdc_make(struct rig *rig)
{
	struct arg list[] = { { "ticket_lifetime", value_time(3600 * NS_PER_S) },
		              { "restricted_numbers", value_text("") } };
	struct args args = { list, 2 };
	struct node *kdc = node_find(rig->sim, "kdc");
	char error[MODEL_ERROR_LEN];

	kdc->model = &model_kdc;
	ck_assert(model_kdc.create(kdc, &args, error));
	model_kdc.start(kdc);
}

static void centre_make(struct centre *c, const struct plan *plan)
{
	char error[MODEL_ERROR_LEN] = "";

	memset(c, 0, sizeof *c);
	rig_begin(&c->rig, &plan->link, plan->seed, plan->backend_off);
	kdc_make(&c->rig);
	end_make(&c->rig, &c->pca, "pca1", PCA_IP, "pca/pca1");
	c->answers = radius_server_new(c->pca.node, c->pca.ipsec, RADIUS_AUTH_PORT, on_question, c);
	radius_server_reset(c->answers);
	ck_assert_msg(centre_create(c, plan, NUMBER, error), "%s", error);
	rig_ready(&c->rig);
	c->rig.caller = NONE;
}

static void centre_free(struct centre *c)
{
	radius_server_free(c->answers);
	end_free(&c->pca);
	rig_free(&c->rig);
}

static const char *told(const struct centre *c, const char *attribute)
{
	struct value value;

	ck_assert(c->rig.server->model->get(c->rig.server, attribute, &value));
	ck_assert_int_eq(value.type, VALUE_TEXT);
	return value.text.bytes;
}

/* A call, up to the answer. */
static void dials_as(struct centre *c, const char *number)
{
	char call[32], leg[40];

	c->rig.caller = number;
	c->calls++;
	ck_assert(secure(&c->rig.sc));
	snprintf(call, sizeof call, "call-%u", c->calls);
	snprintf(leg, sizeof leg, "%s;s", call);
	c->controller = offer(&c->rig.sc, leg, &(struct offer){ .call = call });
	run_for(&c->rig, 100 * NS_PER_MS);
	ck_assert_uint_eq(c->controller->answered, 1);
	caller_gets_key(&c->rig);
	snprintf(leg, sizeof leg, "%s;d", call);
	c->caller = caller_invites(&c->rig, leg, call);
}

static void answered(struct centre *c, const struct plan *plan)
{
	run_for(&c->rig, plan->after_ns + 100 * NS_PER_MS);
	ck_assert_uint_eq(c->caller->answered, 1);
	ck_assert_uint_eq(c->caller->ringing, plan->after_ns > 0);
	caller_talks(&c->rig, c->caller);
	run_for(&c->rig, NS_PER_S);
}

static void calls_as(struct centre *c, const char *number, const struct plan *plan)
{
	dials_as(c, number);
	answered(c, plan);
}

static void hangs_up(struct centre *c)
{
	if (!c->caller->gone)
		sip_leg_end(c->caller->leg, "");
	run_for(&c->rig, 100 * NS_PER_MS);
	ck_assert_int_eq(ask(&c->rig, "calls"), 0);
	others_forget(&c->rig);
	run_for(&c->rig, NS_PER_S);
	ck_assert_int_eq(ask(&c->rig, "call_keys"), 0);
}

static void types(struct centre *c, const char *line)
{
	ck_assert(media_send_text(c->rig.media, line) && media_send_text(c->rig.media, "\n"));
	run_for(&c->rig, 2500 * NS_PER_MS);
}

static void presses(struct centre *c, const char *keys)
{
	ck_assert(media_send_digits(c->rig.media, keys));
	run_for(&c->rig, (sim_ns)(strlen(keys) + 5) * 200 * NS_PER_MS);
}

/* Whether the caller has read this, and forgets what it has read. */
static bool reads(struct centre *c, const char *text)
{
	bool found = strstr(c->rig.text, text) != NULL;

	c->rig.text_len = 0;
	c->rig.text[0] = '\0';
	return found;
}

#define DONE_NEW "done=new;number=" LINE ";terms=20 USD a month\n"

/* Provisioning */

START_TEST(an_installer_presses_a_work_order)
{
	struct centre c;

	centre_make(&c, &menu);
	calls_as(&c, NONE, &menu);
	ck_assert(reads(&c, "1 new customer"));
	presses(&c, "1");
	ck_assert(reads(&c, "work order number, then #\n"));
	presses(&c, "4711#");
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_uint_eq(c.questions, 1);
	ck_assert_str_eq(c.asked.question.connect_info, "new");
	ck_assert_str_eq(c.asked.question.class_, "4711");
	ck_assert_str_eq(c.asked.question.user_name, "");
	ck_assert_str_eq(c.asked.question.nas_identifier, "csr/centre");
	ck_assert_uint_eq(c.asked.question.framed_ip, CTA_IP);
	ck_assert_str_eq(c.asked.question.calling_station, "");
	ck_assert_uint_ge(c.asked.question.acct_session_s, 4);
	ck_assert_uint_le(c.asked.question.acct_session_s, 6);
	ck_assert_int_eq(ask(&c.rig, "requests"), 1);
	ck_assert_int_eq(ask(&c.rig, "done"), 1);
	ck_assert_int_eq(ask(&c.rig, "open"), 0);
	ck_assert_str_eq(told(&c, "last_number"), LINE);
	ck_assert_str_eq(told(&c, "last_terms"), "20 USD a month");
	ck_assert_str_eq(told(&c, "last_reason"), "");
	ck_assert_int_lt(c.caller->hung_up_ns, 0);
	hangs_up(&c);
	nothing_refused(&c.rig);
	centre_free(&c);
}
END_TEST

START_TEST(a_customer_tells_a_representative)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	ck_assert(reads(&c, "customer service"));
	types(&c, "name=J\xc3\xb6rg; address=1 Elm St;number=(215) 555-0299;pay=4111;options=caller-id,3way;pin=4711");
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_str_eq(c.asked.question.connect_info, "new");
	ck_assert_str_eq(c.asked.question.user_name, "name=J\xc3\xb6rg;address=1 Elm St;pay=4111"); /* no PIN in it */
	ck_assert_str_eq(c.asked.question.called_station, "2155550299");
	ck_assert_str_eq(c.asked.question.filter_id, "caller-id,3way");
	ck_assert_uint_eq(c.asked.question.framed_ip, CTA_IP);
	ck_assert_int_eq(ask(&c.rig, "pins"), 1);
	ck_assert_ptr_nonnull(strstr(told(&c, "heard"), "address=1 Elm St"));
	hangs_up(&c);
	nothing_refused(&c.rig);
	centre_free(&c);
}
END_TEST

/* Whatever a customer says of it, the address is the call's [0144]. */
START_TEST(the_address_is_not_the_customers_to_say)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	types(&c, "name=Mallory;framed_ip=10.9.9.9;ip=10.9.9.9");
	ck_assert_uint_eq(c.questions, 1);
	ck_assert_uint_eq(c.asked.question.framed_ip, CTA_IP);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

START_TEST(the_provisioning_ca_denies)
{
	struct centre c;

	centre_make(&c, &agent);
	c.denies = "pca.denied";
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann");
	ck_assert(reads(&c, "refused=pca.denied\n"));
	ck_assert_int_eq(ask(&c.rig, "refused"), 1);
	ck_assert_int_eq(ask(&c.rig, "open"), 0);
	ck_assert_str_eq(told(&c, "last_reason"), "pca.denied");
	c.denies = NULL; /* once more, in the same call: another transaction */
	types(&c, "name=Ann");
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_uint_eq(c.transactions, 2);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

START_TEST(one_request_at_a_time)
{
	struct centre c;

	centre_make(&c, &agent);
	c.keeps = true;
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann\nname=Bob"); /* the second while the first is typed */
	ck_assert(reads(&c, "one moment"));
	types(&c, "name=Cid");
	ck_assert(reads(&c, "one moment"));
	ck_assert_uint_eq(c.transactions, 1);
	run_for(&c.rig, 70 * NS_PER_S); /* it is not the caller who keeps us waiting */
	ck_assert_int_lt(c.caller->hung_up_ns, 0);
	run_for(&c.rig, 10 * NS_PER_S);
	pca_answers(&c);
	run_for(&c.rig, NS_PER_S);
	ck_assert(reads(&c, DONE_NEW));
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

/* P11 */

START_TEST(an_impostor_changes_nothing)
{
	static const char *const wants[] = { "change", "terminate", "move" };
	char line[64];
	struct centre c;

	centre_make(&c, &agent);
	for (unsigned i = 0; i < 3; i++) {
		calls_as(&c, i == 1 ? NONE : CALLER, &agent);
		snprintf(line, sizeof line, "want=%s;number=" OTHER, wants[i]);
		types(&c, line);
		ck_assert(reads(&c, "refused=csr.verify_caller\n"));
		hangs_up(&c);
	}
	ck_assert_uint_eq(c.questions, 0);
	ck_assert_uint_eq(refused(&c.rig, "csr.verify_caller"), 3);
	ck_assert_int_eq(ask(&c.rig, "refused"), 3);
	ck_assert_str_eq(told(&c, "last_reason"), "csr.verify_caller");
	calls_as(&c, NONE, &agent);
	types(&c, "want=terminate");
	ck_assert(reads(&c, "refused=csr.no_number\n"));
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

START_TEST(the_line_itself_may_change_and_terminate)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, CALLER, &agent);
	types(&c, "want=change;options=3way");
	ck_assert(reads(&c, "done=change;"));
	ck_assert_str_eq(c.asked.question.connect_info, "change");
	ck_assert_str_eq(c.asked.question.called_station, CALLER);
	ck_assert_str_eq(c.asked.question.calling_station, CALLER);
	ck_assert_str_eq(c.asked.question.filter_id, "3way");
	types(&c, "want=terminate;number=215-555-0101");
	ck_assert(reads(&c, "done=terminate;"));
	ck_assert_uint_eq(c.transactions, 2);
	hangs_up(&c);
	nothing_refused(&c.rig);
	centre_free(&c);
}
END_TEST

START_TEST(a_pin_speaks_for_its_line)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann;pin=12x4");
	ck_assert(reads(&c, "refused=csr.pin\n"));
	types(&c, "name=Ann;pin=4711");
	ck_assert(reads(&c, DONE_NEW));
	hangs_up(&c);
	calls_as(&c, OTHER, &agent); /* from elsewhere */
	types(&c, "want=change;number=" LINE ";options=3way;pin=4712");
	ck_assert(reads(&c, "refused=csr.verify_caller\n"));
	types(&c, "want=change;number=" LINE ";options=3way;pin=4711");
	ck_assert(reads(&c, "done=change;"));
	for (unsigned i = 0; i < PIN_TRIES; i++) {
		types(&c, "want=change;number=" LINE ";options=voice;pin=0000");
		ck_assert(reads(&c, "refused=csr.verify_caller\n"));
	}
	types(&c, "want=change;number=" LINE ";options=voice;pin=4711"); /* blocked */
	ck_assert(reads(&c, "refused=csr.verify_caller\n"));
	hangs_up(&c);
	calls_as(&c, LINE, &agent); /* its own line lifts that */
	types(&c, "want=change;options=voice");
	ck_assert(reads(&c, "done=change;"));
	hangs_up(&c);
	calls_as(&c, NONE, &agent); /* moved: unprovisioned, elsewhere */
	types(&c, "want=move;number=" LINE ";address=2 Oak St;pin=4711");
	ck_assert(reads(&c, "done=move;number=" LINE));
	ck_assert_str_eq(c.asked.question.called_station, LINE);
	ck_assert_int_eq(ask(&c.rig, "pins"), 1);
	types(&c, "want=terminate;number=" LINE ";pin=4711");
	ck_assert(reads(&c, "done=terminate;"));
	ck_assert_int_eq(ask(&c.rig, "pins"), 0);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

/*
 * A number that ended without this terminal (by the network's own decision) and is given again: the PIN on file for it
 * does not speak for the next customer, whether or not that one chose any.
 */
START_TEST(a_pin_does_not_outlast_its_customer)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann;pin=4711");
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_int_eq(ask(&c.rig, "pins"), 1);
	types(&c, _i ? "want=repair;name=Shop" : "name=Bob");
	ck_assert(reads(&c, _i ? "done=repair;number=" LINE : DONE_NEW));
	ck_assert_int_eq(ask(&c.rig, "pins"), 0);
	types(&c, "want=terminate;number=" LINE ";pin=4711");
	ck_assert(reads(&c, "refused=csr.verify_caller\n"));
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

/* The menu */

static const struct {
	const char *keys, *kind, *number, *options, *order;
} ways[] = {
	{ "1#", "new", "", "", "" },
	{ "1*14712#", "new", "", "", "4712" },
	{ "91#", "new", "", "", "" },
	{ "212#2155550101##", "change", CALLER, "caller-id,3way", "" },
	{ "2#2155550101#1234#", "change", CALLER, "", "" },
	{ "29#1###", "change", CALLER, "caller-id", "" },
	{ "3##", "terminate", CALLER, "", "" },
	{ "4##", "move", CALLER, "", "" },
	{ "5A99#", "repair", "", "", "99" },
	{ "1111111111111111111111111#7#", "new", "", "", "" },
};

START_TEST(ways_through_the_menu)
{
	struct centre c;

	centre_make(&c, &menu);
	calls_as(&c, CALLER, &menu);
	presses(&c, ways[_i].keys);
	ck_assert_uint_ge(c.questions, 1);
	ck_assert_str_eq(c.asked.question.connect_info, ways[_i].kind);
	ck_assert_str_eq(c.asked.question.called_station, ways[_i].number);
	ck_assert_str_eq(c.asked.question.filter_id, ways[_i].options);
	if (_i < 9)
		ck_assert_str_eq(c.asked.question.class_, ways[_i].order);
	hangs_up(&c);
	nothing_refused(&c.rig);
	centre_free(&c);
}
END_TEST

/* Something goes wrong */

START_TEST(a_caller_hangs_up_in_the_middle)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	c.keeps = true;
	types(&c, "name=Ann");
	ck_assert_uint_eq(c.questions, 2); /* asked, and repeated after 1 s */
	hangs_up(&c);
	ck_assert_int_eq(ask(&c.rig, "open"), 1);
	pca_answers(&c);
	run_for(&c.rig, NS_PER_S);
	ck_assert_int_eq(ask(&c.rig, "done"), 1);
	calls_as(&c, NONE, &agent); /* it says the same again: it hears what came of it, and nothing is done twice */
	types(&c, "name=Ann");
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_uint_eq(c.transactions, 1);
	ck_assert_int_eq(ask(&c.rig, "requests"), 1);
	ck_assert_int_eq(ask(&c.rig, "open"), 0);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

/* Done, not heard, and nobody calls again: it is forgotten, and a later wish of the same words is a new one. */
START_TEST(what_nobody_hears_is_forgotten)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	c.keeps = true;
	types(&c, "name=Ann");
	hangs_up(&c);
	pca_answers(&c);
	run_for(&c.rig, NS_PER_S);
	c.rig.server->model->restart(c.rig.server);
	backend_drop(c.rig.sc.backend, NS_IP);
	run_for(&c.rig, REQUEST_LIFE_NS - 2 * NS_PER_S);
	ck_assert_int_eq(ask(&c.rig, "open"), 1);
	run_for(&c.rig, 3 * NS_PER_S);
	ck_assert_int_eq(ask(&c.rig, "open"), 0);
	c.keeps = false;
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann");
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_uint_eq(c.transactions, 2);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

START_TEST(hung_up_while_it_is_typed_nothing_is_asked)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	ck_assert(media_send_text(c.rig.media, "name=Ann\nname=unfini"));
	run_for(&c.rig, 500 * NS_PER_MS);
	hangs_up(&c);
	run_for(&c.rig, 10 * NS_PER_S);
	ck_assert_uint_eq(c.questions, 0);
	ck_assert_int_eq(ask(&c.rig, "requests"), 0);
	centre_free(&c);
}
END_TEST

START_TEST(the_provisioning_ca_is_away_for_a_while)
{
	struct centre c;

	centre_make(&c, &agent);
	c.away = true;
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann");
	ck_assert(!reads(&c, "does not answer"));
	run_for(&c.rig, SILENCE_NS);
	ck_assert(reads(&c, "provisioning does not answer; wait, or call again\n"));
	ck_assert_int_eq(ask(&c.rig, "open"), 1);
	hangs_up(&c);
	calls_as(&c, NONE, &agent); /* again, with the same wish */
	types(&c, "name=Ann");
	ck_assert(!reads(&c, "does not answer"));
	c.away = false;
	run_for(&c.rig, SILENCE_NS);
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_uint_eq(c.transactions, 1);
	ck_assert_uint_gt(c.questions, 5);
	ck_assert_int_eq(ask(&c.rig, "requests"), 1);
	ck_assert_int_eq(ask(&c.rig, "open"), 0);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

START_TEST(the_provisioning_ca_stays_away)
{
	struct centre c;

	centre_make(&c, &agent);
	c.away = true;
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann");
	hangs_up(&c);
	run_for(&c.rig, REQUEST_LIFE_NS + 200 * NS_PER_S);
	ck_assert_int_eq(ask(&c.rig, "given_up"), 1);
	ck_assert_int_eq(ask(&c.rig, "open"), 0);
	ck_assert_uint_eq(c.transactions, 1);
	ck_assert_uint_ge(c.questions, 30); /* all of them under one name */
	centre_free(&c);
}
END_TEST

/* Restarted in mid-call: the call is lost, the request is on the terminal's disk. */
START_TEST(restarted_in_mid_call)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	c.keeps = true;
	types(&c, "name=Ann");
	ck_assert_uint_eq(c.transactions, 1);
	c.rig.server->model->restart(c.rig.server);
	ck_assert_int_eq(ask(&c.rig, "calls"), 0);
	ck_assert_int_eq(ask(&c.rig, "open"), 1);
	c.keeps = false;
	others_forget(&c.rig);
	backend_drop(c.rig.sc.backend, NS_IP);
	run_for(&c.rig, 5 * NS_PER_S);
	ck_assert_int_eq(ask(&c.rig, "done"), 1);
	ck_assert_uint_eq(c.transactions, 1);
	calls_as(&c, NONE, &agent);
	types(&c, "name=Ann");
	ck_assert(reads(&c, DONE_NEW));
	types(&c, "name=Bob"); /* names of before the restart do not come again */
	ck_assert_uint_eq(c.transactions, 2);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

/* Restarted between the answer and the end of the customer's call, and with nothing under way. */
START_TEST(restarted_when_all_is_told)
{
	struct centre c;

	centre_make(&c, &menu);
	calls_as(&c, NONE, &menu);
	presses(&c, "1#");
	ck_assert_int_eq(ask(&c.rig, "done"), 1);
	c.rig.server->model->restart(c.rig.server);
	others_forget(&c.rig);
	run_for(&c.rig, 60 * NS_PER_S);
	ck_assert_uint_eq(c.questions, 1);
	ck_assert_int_eq(ask(&c.rig, "open"), 0);
	centre_free(&c);
}
END_TEST

START_TEST(who_says_nothing_is_hung_up_on)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	run_for(&c.rig, 50 * NS_PER_S);
	types(&c, "what shall I say?");
	ck_assert(reads(&c, "I did not understand"));
	run_for(&c.rig, 55 * NS_PER_S);
	ck_assert_int_lt(c.caller->hung_up_ns, 0);
	run_for(&c.rig, 6 * NS_PER_S);
	ck_assert_int_ge(c.caller->hung_up_ns, 0);
	ck_assert_ptr_nonnull(strstr(c.caller->reason, "caller said nothing"));
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

START_TEST(a_caller_gives_up_while_it_rings)
{
	struct centre c;

	centre_make(&c, &agent);
	dials_as(&c, NONE);
	run_for(&c.rig, NS_PER_S);
	ck_assert_uint_eq(c.caller->ringing, 1);
	ck_assert_int_eq(ask(&c.rig, "calls"), 1);
	sip_leg_end(c.caller->leg, "");
	run_for(&c.rig, 100 * NS_PER_MS);
	ck_assert(c.caller->gone);
	ck_assert_int_ge(c.controller->hung_up_ns, 0);
	ck_assert_int_eq(ask(&c.rig, "calls"), 0);
	ck_assert_int_eq(ask(&c.rig, "answered"), 0);
	others_forget(&c.rig);
	run_for(&c.rig, NS_PER_S);
	ck_assert_int_eq(ask(&c.rig, "call_keys"), 0);
	centre_free(&c);
}
END_TEST

static const char *const unclear[] = {
	"name", "=Ann", "name=Ann;number=none", "name=Ann;;order=123456789012345678901234567890123", "want=revolution",
	"name=\xef\xbf\xbd", "name=A\tB", "pin=12345678901234", "options=",
};

START_TEST(what_cannot_be_understood_is_not_asked)
{
	char line[200] = "name=";
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	for (unsigned i = 0; i < 8; i++) {
		types(&c, unclear[i]);
		ck_assert_msg(reads(&c, i == 4 ? "refused=csr.unknown_wish" : "I did not understand"), "%s",
		              unclear[i]);
	}
	memset(line + 5, 'x', 140); /* more than a RADIUS attribute's text here holds */
	types(&c, line);
	ck_assert(reads(&c, "I did not understand"));
	for (unsigned i = 0; i < 4; i++)
		ck_assert(media_send_text(c.rig.media, line)); /* 4 * 145 bytes, more than a line */
	types(&c, "");
	ck_assert(reads(&c, "I did not understand"));
	ck_assert_uint_eq(c.questions, 0);
	ck_assert_uint_eq(refused(&c.rig, "csr.customer_data"), 9);
	types(&c, "name=Ann\r");
	ck_assert(reads(&c, DONE_NEW));
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

/* A customer that says anything: whatever is asked is one of five wishes, and has no control characters in it. */
START_TEST(any_line)
{
	static const char *const words[] = { "name", "want", "number", "order", "options", "pin", "=", "=", ";", ";",
		                             "new", "move", "change", "411", "2155550101", "caller-id,3way",
		                             "\xc3\xa9", "\t", " ", "" };
	struct plan patient = agent;
	char line[MEDIA_TEXT_MAX];
	struct centre c;
	struct rng rng;
	size_t len;

	patient.patience_ns = 0;
	centre_make(&c, &patient);
	calls_as(&c, CALLER, &patient);
	rng_init(&rng, SEED, "customer", "words");
	for (unsigned n = 0; n < 400; n++) {
		len = 0;
		for (uint64_t i = rng_below(&rng, rng_chance(&rng, 100000) ? 80 : 12); i > 0; i--)
			len += (size_t)snprintf(line + len, sizeof line - len, "%s", words[rng_below(&rng, 20)]);
		types(&c, line);
		reads(&c, "");
		c.transactions = 0;
		if (c.questions == 0)
			continue;
		ck_assert_ptr_nonnull(strstr("new change terminate move repair", c.asked.question.connect_info));
		ck_assert_ptr_null(strchr(c.asked.question.user_name, '\t'));
		ck_assert_uint_eq(c.asked.question.framed_ip, CTA_IP);
	}
	ck_assert_uint_gt(c.questions, 5);
	ck_assert_int_lt(c.caller->hung_up_ns, 0);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

START_TEST(answers_that_are_none)
{
	struct centre c;

	centre_make(&c, &agent);
	calls_as(&c, NONE, &agent);
	c.bad_state = "csr/centre-17";
	types(&c, "name=Ann");
	ck_assert_uint_eq(refused(&c.rig, "csr.answer"), 1);
	ck_assert(reads(&c, "does not answer"));
	c.bad_state = NULL;
	c.terms = "\xff";
	run_for(&c.rig, 6 * NS_PER_S);
	ck_assert_uint_eq(refused(&c.rig, "csr.answer"), 2);
	c.terms = NULL;
	run_for(&c.rig, 11 * NS_PER_S);
	ck_assert(reads(&c, DONE_NEW));
	ck_assert_uint_eq(c.transactions, 1);
	hangs_up(&c);
	centre_free(&c);
}
END_TEST

/* Whatever the network does: every request has one name, and in the end nothing is under way. */
START_TEST(on_a_bad_network)
{
	struct plan bad = menu;
	unsigned done = 0;

	bad.link.loss_ppm = 50000;
	bad.link.duplicate_ppm = 50000;
	bad.link.reorder_ppm = 50000;
	bad.link.reorder_ns = 30 * NS_PER_MS;
	for (bad.seed = 1; bad.seed <= 10; bad.seed++) {
		struct centre c;

		centre_make(&c, &bad);
		c.rig.caller = NONE;
		if (secure(&c.rig.sc)) {
			c.controller = offer(&c.rig.sc, "call-1;s", &(struct offer){ 0 });
			run_for(&c.rig, 4 * NS_PER_S);
			if (c.controller->answered) {
				caller_gets_key(&c.rig);
				c.caller = caller_invites(&c.rig, "call-1;d", "call-1");
				run_for(&c.rig, 2 * NS_PER_S);
			}
			if (c.caller && c.caller->answered) {
				caller_talks(&c.rig, c.caller);
				presses(&c, "14711#");
				run_for(&c.rig, 20 * NS_PER_S);
				ck_assert_uint_eq(c.transactions, 1);
				ck_assert_str_eq(c.asked.question.class_, "4711");
				done += reads(&c, DONE_NEW);
			}
		}
		run_for(&c.rig, 120 * NS_PER_S);
		others_forget(&c.rig);
		run_for(&c.rig, 10 * NS_PER_S);
		ck_assert_int_eq(ask(&c.rig, "open"), 0);
		ck_assert_int_eq(ask(&c.rig, "calls"), 0);
		ck_assert_int_eq(ask(&c.rig, "call_keys"), 0);
		centre_free(&c);
	}
	ck_assert_uint_ge(done, 6);
}
END_TEST

/* A scenario at the terminal */

static struct verb_result does(struct centre *c, const char *verb, const struct arg *list, size_t count)
{
	struct args args = { list, count };
	struct verb_result result = { 0 };

	for (const struct verb *v = c->rig.server->model->verbs; v->name; v++)
		if (strcmp(v->name, verb) == 0) {
			v->fn(c->rig.server, &args, &result);
			return result;
		}
	ck_abort_msg("no verb %s", verb);
	return result;
}

START_TEST(a_scenario_at_the_terminal)
{
	struct plan plan = agent;
	struct centre c;
	struct arg want[] = { { "want", value_text("terminate") }, { "number", value_text("215-555-0300") },
		              { "pin", value_text("2222") } };
	struct arg pin[] = { { "number", value_text("215-555-0300") }, { "pin", value_text("22") } };
	struct arg words[] = { { "text", value_text("which line?") }, { "caller", { .type = VALUE_NODE } } };
	struct verb_result result;
	struct value value;

	plan.scenario = true;
	centre_make(&c, &plan);
	ck_assert(does(&c, "enter", want, 3).error[0] && does(&c, "say", words, 1).error[0]);
	ck_assert(does(&c, "hangup", NULL, 0).error[0]);
	ck_assert(does(&c, "set_pin", pin, 2).error[0]);
	pin[1].value = value_text("2222");
	ck_assert(!does(&c, "set_pin", pin, 2).error[0]);
	calls_as(&c, NONE, &plan);
	types(&c, "please end the line 215-555-0300");
	ck_assert_str_eq(told(&c, "heard"), "please end the line 215-555-0300");
	ck_assert_uint_eq(c.questions, 0);
	words[1].value.node = c.rig.cta.node;
	ck_assert(!does(&c, "say", words, 2).error[0]);
	run_for(&c.rig, NS_PER_S);
	ck_assert(reads(&c, "which line?\n"));
	words[1].value.node = c.rig.sc.node; /* does not call */
	ck_assert(does(&c, "say", words, 2).error[0]);
	result = does(&c, "enter", want, 3);
	ck_assert(!result.error[0]);
	ck_assert_int_eq(result.value.type, VALUE_OBJECT);
	result.value.object->refs++; /* as the host does */
	ck_assert(csr_request_class.get(result.value.object, "state", &value));
	ck_assert_str_eq(value.text.bytes, "asking");
	ck_assert(does(&c, "enter", want, 3).error[0]); /* under way */
	run_for(&c.rig, NS_PER_S);
	ck_assert(csr_request_class.get(result.value.object, "state", &value));
	ck_assert_str_eq(value.text.bytes, "done");
	ck_assert(reads(&c, "done=terminate;"));
	ck_assert(!does(&c, "hangup", NULL, 0).error[0]);
	run_for(&c.rig, NS_PER_S);
	ck_assert_int_ge(c.caller->hung_up_ns, 0);
	hangs_up(&c);
	centre_free(&c);
	ck_assert(csr_request_class.get(result.value.object, "number", &value)); /* it outlives the centre */
	csr_request_unref((struct csr_request *)result.value.object);
}
END_TEST

START_TEST(without_ipsec_between_servers)
{
	struct plan plan = menu;
	struct centre c;

	plan.backend_off = true;
	centre_make(&c, &plan);
	ck_assert(secure(&c.rig.sc));
	ck_assert_int_eq(ask(&c.rig, "associations"), 0);
	centre_free(&c);
}
END_TEST

START_TEST(parameters_must_make_sense)
{
	char error[MODEL_ERROR_LEN] = "";
	struct centre c = { 0 };

	rig_begin(&c.rig, &agent.link, SEED, false);
	c.pca.node = host(&c.rig, "pca1", PCA_IP);
	ck_assert(!centre_create(&c, &agent, "none", error));
	ck_assert_ptr_nonnull(strstr(error, "number must be a telephone number"));
	sim_free(c.rig.sim);
	world_free(c.rig.world);
}
END_TEST

int main(void)
{
	char folder[] = "/tmp/tollgate-test-csr-XXXXXX", command[sizeof folder + 16];
	Suite *suite = suite_create("customer service centre");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	if (!mkdtemp(folder))
		return EXIT_FAILURE;
	rig_cache = folder;
	tcase_set_timeout(t, 120);
	tcase_add_test(t, an_installer_presses_a_work_order);
	tcase_add_test(t, a_customer_tells_a_representative);
	tcase_add_test(t, the_address_is_not_the_customers_to_say);
	tcase_add_test(t, the_provisioning_ca_denies);
	tcase_add_test(t, one_request_at_a_time);
	tcase_add_test(t, an_impostor_changes_nothing);
	tcase_add_test(t, the_line_itself_may_change_and_terminate);
	tcase_add_test(t, a_pin_speaks_for_its_line);
	tcase_add_loop_test(t, a_pin_does_not_outlast_its_customer, 0, 2);
	tcase_add_loop_test(t, ways_through_the_menu, 0, sizeof ways / sizeof *ways);
	tcase_add_test(t, a_caller_hangs_up_in_the_middle);
	tcase_add_test(t, what_nobody_hears_is_forgotten);
	tcase_add_test(t, hung_up_while_it_is_typed_nothing_is_asked);
	tcase_add_test(t, the_provisioning_ca_is_away_for_a_while);
	tcase_add_test(t, the_provisioning_ca_stays_away);
	tcase_add_test(t, restarted_in_mid_call);
	tcase_add_test(t, restarted_when_all_is_told);
	tcase_add_test(t, who_says_nothing_is_hung_up_on);
	tcase_add_test(t, a_caller_gives_up_while_it_rings);
	tcase_add_test(t, what_cannot_be_understood_is_not_asked);
	tcase_add_test(t, any_line);
	tcase_add_test(t, answers_that_are_none);
	tcase_add_test(t, on_a_bad_network);
	tcase_add_test(t, a_scenario_at_the_terminal);
	tcase_add_test(t, without_ipsec_between_servers);
	tcase_add_test(t, parameters_must_make_sense);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* forked cases would hide leaks from the sanitizer */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

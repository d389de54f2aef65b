/*
 * Claims about call records: never { record = "wrong" } and never { record = "missing" }, held against callers and a
 * record maker that say what the test wants.
 */
#include "crypto/pki.h"
#include "models/subscriber.h"
#include "models/world.h"
#include "tests/scenarios/host_fixture.h"

/* A caller by the name of the real one; it makes the records too. */
struct caller {
	char principal[2 * PHONE_ID_LEN + 1];
	bool provisioned;
};

static bool caller_create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct caller *c = sim_alloc(sizeof *c);
	const char *number = args_text(args, "number", "");
	uint8_t id[PHONE_ID_LEN];

	(void)error;
	node->state = c;
	if (number[0] && phone_id(world_crypto(world_of(node->sim)), number, id)) {
		c->provisioned = true;
		for (size_t i = 0; i < PHONE_ID_LEN; i++)
			snprintf(c->principal + 2 * i, 3, "%02x", id[i]);
	} else {
		snprintf(c->principal, sizeof c->principal, "02:00:00:00:00:01");
	}
	return true;
}

static void caller_destroy(struct node *node)
{
	free(node->state);
}

static bool caller_start(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	node->destroy = caller_destroy;
	return caller_create(node, args, error);
}

static bool caller_get(struct node *node, const char *attribute, struct value *out)
{
	const struct caller *c = node->state;

	*out = value_text(strcmp(attribute, "principal") == 0 ? c->principal
	                  : c->provisioned                    ? "ProvisionedAccess"
	                                                      : "UnprovisionedAccess");
	return true;
}

static void verb_tell(struct node *node, const struct args *args, struct verb_result *result)
{
	(void)result;
	trace_call(node->sim, &(struct trace_call){ .id = args_text(args, "id", ""), .caller = "",
		.callee = args_text(args, "to", "610-555-0102"), .event = args_text(args, "event", ""),
		.reason = args_text(args, "reason", ""), .at = node });
}

static void verb_record(struct node *node, const struct args *args, struct verb_result *result)
{
	sim_ns talked_ns = args_time(args, "talked", 0);

	(void)result;
	trace_record(node->sim, &(struct trace_record){ .id = args_text(args, "id", ""),
		.account = args_text(args, "account", ""), .caller = "", .callee = args_text(args, "to", "6105550102"),
		.reason = "", .end_ns = node->sim->now_ns,
		.answer_ns = talked_ns ? node->sim->now_ns - talked_ns : -1, .at = node });
}

static const struct param caller_params[] = { { .name = "number", .type = VALUE_TEXT }, { .name = NULL } };
static const struct param tell_params[] = {
	{ .name = "id", .type = VALUE_TEXT }, { .name = "event", .type = VALUE_TEXT }, { .name = "to", .type = VALUE_TEXT },
	{ .name = "reason", .type = VALUE_TEXT }, { .name = NULL },
};
static const struct param record_params[] = {
	{ .name = "id", .type = VALUE_TEXT }, { .name = "account", .type = VALUE_TEXT },
	{ .name = "talked", .type = VALUE_TIME }, { .name = "to", .type = VALUE_TEXT }, { .name = NULL },
};
static const struct verb caller_verbs[] = {
	{ "tell", "says what becomes of a call", tell_params, "", verb_tell },
	{ "bill", "makes a record", record_params, "", verb_record }, { NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute caller_attributes[] = {
	{ "principal", VALUE_TEXT, "" }, { "telephony", VALUE_TEXT, "" }, { NULL, VALUE_NIL, NULL },
};
static const struct model caller_model = {
	.name = "cta", .doc = "a caller", .params = caller_params, .verbs = caller_verbs, .attributes = caller_attributes,
	.create = caller_start, .get = caller_get,
};
static const struct model gateway_model = {
	.name = "pstn", .doc = "a caller who is no customer", .params = caller_params, .verbs = caller_verbs,
	.attributes = caller_attributes, .create = caller_start, .get = caller_get,
};
static const struct model *const callers[] = { &caller_model, &gateway_model, NULL };

#define CALLERS HEAD "local net = network()\nlocal a, r = net:cta 'a' { number = '2155550101' }, net:cta 'r' {}\n" \
	"local p = net:pstn 'p' {}\n"
#define WRONG "never { 'wrong', record = 'wrong' }\n"
#define MISSING "never { 'missing', record = 'missing' }\n"
/* Told: dialled, answered; two seconds later over. */
#define CALL(who) who ":tell { id = 'x', event = 'dialled' }; " who ":tell { id = 'x', event = 'answered' }; wait '2s'\n" \
	who ":tell { id = 'x', event = 'released' }\n"
#define FOUND(text) "found: call x, to 6105550102, account " text

static const struct {
	const char *script, *says; /* part of what is printed; "": it holds */
} cases[] = {
	{ WRONG MISSING "run(function() " CALL("a")
	  "a:bill { id = 'x', account = '2155550101', talked = '2s' }; wait '5s' end)", "" },
	{ WRONG MISSING "run(function() " CALL("r")
	  "r:bill { id = 'x', account = 'restricted', talked = '2s' }; wait '5s' end)", "" },
	/* the payer */
	{ WRONG "run(function() " CALL("a") "a:bill { id = 'x', account = '2155550102', talked = '2s' } end)",
	  FOUND("2155550102: it is not the caller's account") },
	{ WRONG "run(function() " CALL("a") "a:bill { id = 'x', account = 'restricted', talked = '2s' } end)",
	  FOUND("restricted: it is not the caller's account") },
	{ WRONG "run(function() " CALL("r") "r:bill { id = 'x', account = '2155550101', talked = '2s' } end)",
	  FOUND("2155550101: it is not the caller's account") },
	{ WRONG "run(function() " CALL("p") "p:bill { id = 'x', account = '2155550101', talked = '2s' } end)",
	  FOUND("2155550101: it is not the caller's account") },
	/* the call */
	{ WRONG "run(function() a:bill { id = 'x', account = '2155550101', talked = '2s' } end)",
	  FOUND("2155550101: nobody has made the call") },
	{ WRONG "run(function() " CALL("a")
	  "for i = 1, 2 do a:bill { id = 'x', account = '2155550101', talked = '2s' } end end)",
	  FOUND("2155550101: the call has a record already") },
	{ WRONG "run(function() " CALL("a")
	  "a:bill { id = 'x', account = '2155550101', to = '911', talked = '2s' } end)",
	  "found: call x, to 911, account 2155550101: another number was called" },
	{ WRONG "run(function() a:tell { id = 'x', event = 'dialled' }; a:tell { id = 'x', event = 'failed' }\n"
	  "wait '9s'\n"
	  "a:bill { id = 'x', account = '2155550101', talked = '9s' } end)", FOUND("2155550101: nobody has answered") },
	/* a caller without power cannot say */
	{ WRONG "run(function() a:tell { id = 'x', event = 'dialled' }\n"
	  "a:tell { id = 'x', event = 'failed', reason = 'power lost' }\n"
	  "wait '9s'; a:bill { id = 'x', account = '2155550101', talked = '9s' } end)", "" },
	{ WRONG "run(function() a:tell { id = 'x', event = 'dialled' }; a:tell { id = 'x', event = 'failed' }\n"
	  "a:bill { id = 'x', account = '2155550101' } end)", "" },
	/* what is missing */
	{ MISSING "run(function() " CALL("a") "wait '5s' end)", "found: call x of a, to 6105550102" },
	{ MISSING "run(function() " CALL("a") "wait '1s' end)", "" },
	{ MISSING "run(function() " CALL("p") "wait '5s' end)", "" },
	{ MISSING "run(function() a:tell { id = 'x', event = 'dialled' }; a:tell { id = 'x', event = 'failed' }\n"
	  "wait '9s' end)", "" },
	{ MISSING "run(function() a:tell { id = 'x', event = 'dialled' }; a:tell { id = 'x', event = 'answered' }\n"
	  "wait '9s' end)", "" },
};

START_TEST(bills)
{
	struct run run;
	char script[2048];
	bool holds = !cases[_i].says[0];

	snprintf(script, sizeof script, CALLERS "%s", cases[_i].script);
	run_begin(&run, script);
	run.options.models = callers;
	run_go(&run);
	if (run.result.code != (holds ? HOST_HELD : HOST_FAILED) || !strstr(run.out, cases[_i].says) ||
	    run.result.failed > 1)
		ck_abort_msg("script:\n%s\nwant \"%s\"\ngot code %d\n%s%s", script, cases[_i].says, run.result.code,
		             run.out, run.err);
	run_end(&run);
}
END_TEST

static const struct { const char *script, *err; } bad[] = {
	{ "never { record = 'wrnog' }", "scenarios/t.lua:5: never: record is \"wrnog\"; did you mean"
	  " \"wrong\"? Known: missing, wrong" },
	{ "never { record = true }", "scenarios/t.lua:5: never: record is \"\". Known: missing, wrong" },
	{ "never { record = 'wrong', by = 'x' }", "scenarios/t.lua:5: never: unknown key beside record: \"by\"" },
	{ WRONG "never { record = 'wrong' }", "scenarios/t.lua:6: never: record = \"wrong\" is claimed already" },
	{ "run(function() wait '1s'; never { record = 'wrong' } end)",
	  "scenarios/t.lua:5: never: call records are not observed; say so before the clock starts" },
};

START_TEST(bad_claims)
{
	struct run run;
	char script[1024];

	snprintf(script, sizeof script, CALLERS "%s", bad[_i].script);
	run_begin(&run, script);
	run.options.models = callers;
	ck_assert_int_eq(run_go(&run), HOST_BAD);
	ck_assert_msg(strstr(run.err, bad[_i].err) != NULL, "%s", run.err);
	run_end(&run);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bills");

	tcase_add_loop_test(tc, bills, 0, COUNT(cases));
	tcase_add_loop_test(tc, bad_claims, 0, COUNT(bad));
	return run_case(tc);
}

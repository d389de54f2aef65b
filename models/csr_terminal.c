/* The centre's terminal; see csr_terminal.h. RFC 2865; flows.md 5 (V7, V13), 7 to 10; attack P11. */
#include "models/csr_terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/message.h"
#include "models/radius_client.h"
#include "models/wire/t140.h"

struct pin { /* on disk */
	struct pin *next;
	char number[SUBSCRIBER_NUMBER_LEN], digits[PIN_MAX + 1];
	unsigned wrong;              /* in a row */
};

struct csr_terminal {
	struct csr_terminal_config config;
	struct node *node;
	struct radius_client *questions;
	struct csr_request *requests; /* on disk: not over, or done and not heard */
	struct csr_request *last;
	struct pin *pins;
	uint64_t next;                /* of names; on disk */
	bool verifies;                /* switch csr.verify_caller */
	struct csr_figures figures;
};

struct csr_request {
	struct object object;         /* first: the host sees this */
	struct csr_terminal *terminal; /* as long as it is listed there */
	struct csr_request *next;
	struct machine machine;
	char name[RADIUS_TEXT_MAX];
	struct csr_wish wish;
	char phone[SUBSCRIBER_NUMBER_LEN]; /* of the PSTN, where the caller is; "": the caller has a call here */
	uint32_t caller_ip;          /* 0: the gateway has not said yet */
	char caller[SUBSCRIBER_NUMBER_LEN];
	struct served_call *call;
	bool listed;
	sim_ns call_began_ns, entered_ns, pause_ns;
	struct event timer;           /* until it is asked again, or forgotten */
	char number[SUBSCRIBER_NUMBER_LEN], terms[RADIUS_TEXT_MAX], reason[RADIUS_TEXT_MAX];
};

/* The table: states are csr_outcomes */

enum request_event { EV_ACCEPTED, EV_REJECTED, EV_SILENCE, EV_AGAIN, EV_TOO_OLD, EV_RESTART, REQUEST_EVENTS };
static const char *const state_names[] = { "Asking", "Waiting", "Done", "Refused", "GivenUp" };
static const char *const event_names[] = { "accepted", "rejected", "no answer", "asked again", "too old", "restart" };

static machine_action ask, wait_a_while, conclude;

#define CELL(state, event, next, action) [(state) * REQUEST_EVENTS + (event)] = { true, next, action }
static const struct machine_cell cells[CSR_OUTCOMES * REQUEST_EVENTS] = {
	CELL(CSR_ASKING, EV_ACCEPTED, CSR_DONE, conclude),
	CELL(CSR_ASKING, EV_REJECTED, CSR_REFUSED, conclude),
	CELL(CSR_ASKING, EV_SILENCE, CSR_WAITING, wait_a_while),
	CELL(CSR_ASKING, EV_RESTART, CSR_ASKING, ask),
	CELL(CSR_WAITING, EV_AGAIN, CSR_ASKING, ask),
	CELL(CSR_WAITING, EV_RESTART, CSR_ASKING, ask),
	CELL(CSR_WAITING, EV_TOO_OLD, CSR_GIVEN_UP, conclude),
};
#undef CELL
const struct machine_def csr_request_machine = {
	.name = "request", .doc = "what a customer wants, from the terminal to the provisioning CA and back",
	.states = state_names, .events = event_names, .state_count = CSR_OUTCOMES, .event_count = REQUEST_EVENTS,
	.cells = cells,
};

static void happen(struct csr_request *r, enum request_event event)
{
	r->object.refs++; /* it may be over, and unlisted, before we are done */
	machine_event(r->terminal->node, &r->machine, event, r);
	sim_changed(r->object.node->sim, r);
	csr_request_unref(r);
}

static bool is_over(const struct csr_request *r)
{
	return r->machine.state >= CSR_DONE;
}

/* PINs */

static struct pin *pin_of(const struct csr_terminal *t, const char *number)
{
	struct pin *pin = t->pins;

	while (pin && strcmp(pin->number, number) != 0)
		pin = pin->next;
	return pin;
}

static bool is_pin(const char *digits)
{
	size_t len = strspn(digits, "0123456789");

	return digits[len] == '\0' && len >= PIN_MIN && len <= PIN_MAX;
}

static void pin_put(struct csr_terminal *t, const char *number, const char *digits)
{
	struct pin *pin = pin_of(t, number);

	if (!pin) {
		pin = sim_alloc(sizeof *pin);
		snprintf(pin->number, sizeof pin->number, "%s", number);
		pin->next = t->pins;
		t->pins = pin;
		t->figures.pins++;
	}
	snprintf(pin->digits, sizeof pin->digits, "%s", digits);
	pin->wrong = 0;
}

static void pin_remove(struct csr_terminal *t, const char *number)
{
	struct pin **at = &t->pins, *pin;

	while (*at && strcmp((*at)->number, number) != 0)
		at = &(*at)->next;
	pin = *at;
	if (!pin)
		return;
	*at = pin->next;
	free(pin);
	t->figures.pins--;
}

bool csr_terminal_set_pin(struct csr_terminal *t, const char *number, const char *digits)
{
	char plain[SUBSCRIBER_NUMBER_LEN];

	if (!number_digits(number, plain) || !is_pin(digits))
		return false;
	pin_put(t, plain, digits);
	return true;
}

/*
 * A line has another number now, or none any more. Of a number that ended without this terminal the PIN is still here:
 * it is not the next customer's.
 */
static void keep_pin(struct csr_terminal *t, const struct csr_request *r)
{
	const struct pin *old = r->wish.number[0] ? pin_of(t, r->wish.number) : NULL;
	char digits[PIN_MAX + 1] = "";

	if (strcmp(r->wish.kind, "repair") == 0) {
		if (strcmp(r->wish.number, r->number) != 0) /* not the owner's, which is to come back */
			pin_remove(t, r->number);
		return;
	}
	if (r->wish.pin[0])
		snprintf(digits, sizeof digits, "%s", r->wish.pin);
	else if (old && strcmp(r->wish.kind, "move") == 0)
		snprintf(digits, sizeof digits, "%s", old->digits);
	if (strcmp(r->wish.kind, "move") == 0 || strcmp(r->wish.kind, "terminate") == 0)
		pin_remove(t, r->wish.number);
	if (strcmp(r->wish.kind, "change") != 0) /* nor does who had the new number before speak for it */
		pin_remove(t, r->number);
	if (digits[0] && r->number[0] && strcmp(r->wish.kind, "terminate") != 0)
		pin_put(t, r->number, digits);
}

/* Life of a request */

static void link_request(struct csr_request *r)
{
	struct csr_request **at = &r->terminal->requests;

	while (*at)
		at = &(*at)->next;
	*at = r;
	r->listed = true;
	r->object.refs++;
	r->terminal->figures.open++;
}

static void unlink_request(struct csr_request *r)
{
	struct csr_request **at = &r->terminal->requests;

	if (!r->listed)
		return;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->next = NULL;
	r->listed = false;
	sim_cancel(r->terminal->node->sim, &r->timer);
	r->call = NULL;
	r->terminal->figures.open--;
	csr_request_unref(r);
}

static void free_request(struct object *object)
{
	free(object); /* it is listed as long as anything else could point to it */
}

void csr_request_unref(struct csr_request *r)
{
	if (r && --r->object.refs == 0)
		free_request(&r->object);
}

static struct csr_request *request_new(struct csr_terminal *t, struct served_call *call, const struct csr_wish *wish)
{
	struct csr_request *r = sim_alloc(sizeof *r);

	r->object = (struct object){ .class_ = &csr_request_class, .node = t->node, .refs = 1 };
	r->terminal = t;
	r->wish = *wish;
	if (call) {
		r->caller_ip = served_call_ip(call);
		snprintf(r->caller, sizeof r->caller, "%s", served_call_number(call));
		r->call_began_ns = served_call_began_ns(call);
	}
	r->call = call;
	r->entered_ns = t->node->sim->now_ns;
	r->pause_ns = REQUEST_PAUSE_NS;
	csr_request_unref(t->last);
	t->last = r;
	r->object.refs++;
	t->figures.requests++;
	return r;
}

static void on_unheard(struct sim *sim, struct event *event)
{
	struct csr_request *r = event_owner(event, struct csr_request, timer);
	struct node *node = r->terminal->node;

	unlink_request(r); /* which may have been all that kept it */
	sim_changed(sim, node);
}

/* Doing it again is as good as telling that it is done, and better when something else was done meanwhile. */
static bool repeatable(const struct csr_wish *wish)
{
	return strcmp(wish->kind, "change") == 0 || (strcmp(wish->kind, "repair") == 0 && wish->number[0]);
}

static bool about(const struct csr_request *r, const char *number)
{
	return number[0] && (strcmp(r->wish.number, number) == 0 || strcmp(r->number, number) == 0);
}

/* What nobody has heard of a line is no longer true once something else is done about it. */
static void forget_older(struct csr_terminal *t, const struct csr_request *done)
{
	struct csr_request *next;

	for (struct csr_request *r = t->requests; r; r = next) {
		next = r->next;
		if (r != done && is_over(r) && (about(r, done->wish.number) || about(r, done->number)))
			unlink_request(r);
	}
}

/* It is done, and perhaps its customer calls again to hear so. */
static void remember(struct csr_request *r)
{
	sim_cancel(r->terminal->node->sim, &r->timer);
	sim_after(r->terminal->node->sim, &r->timer, REQUEST_LIFE_NS, on_unheard, "csr.unheard");
}

/* What came of it: done or refused by the provisioning CA, or nothing. */
static void conclude(struct node *node, struct machine *machine, void *ctx)
{
	struct csr_request *r = ctx;
	struct csr_terminal *t = r->terminal;

	(void)machine;
	sim_cancel(node->sim, &r->timer);
	if (r->machine.state == CSR_DONE) {
		t->figures.done++;
		keep_pin(t, r);
		forget_older(t, r);
	} else if (r->machine.state == CSR_REFUSED) {
		t->figures.refused++;
	} else {
		t->figures.given_up++;
		snprintf(r->reason, sizeof r->reason, "provisioning CA does not answer");
	}
	t->config.news(t->config.ctx, r);
	if (r->machine.state != CSR_DONE || r->phone[0]) /* nothing to be told again: who calls again asks anew */
		unlink_request(r);
	else if (r->listed)
		remember(r);
}

void csr_request_told(struct csr_request *r)
{
	if (is_over(r))
		unlink_request(r);
}

/* The question [0144] */

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct csr_request *r = ctx;
	struct csr_terminal *t = r->terminal;

	if (!answer) {
		/* Perhaps it knows nothing of our association. */
		backend_drop(call_server_backend(t->config.calls), t->config.pca_ip);
		happen(r, EV_SILENCE);
		return;
	}
	if ((answer->state[0] && strcmp(answer->state, r->name) != 0) ||
	    (answer->code != RADIUS_ACCESS_ACCEPT && answer->code != RADIUS_ACCESS_REJECT) ||
	    !utf8_valid(span_of(answer->reply_message))) {
		trace_refuse(t->node, "csr.answer", t->config.pca_ip, tag, r->name);
		happen(r, EV_SILENCE);
		return;
	}
	message_accept(t->node, tag);
	if (answer->code == RADIUS_ACCESS_REJECT) {
		snprintf(r->reason, sizeof r->reason, "%s",
		         answer->reply_message[0] ? answer->reply_message : "pca.refused");
		happen(r, EV_REJECTED);
		return;
	}
	if (!number_digits(answer->called_station, r->number))
		r->number[0] = '\0';
	snprintf(r->terms, sizeof r->terms, "%s", answer->reply_message);
	happen(r, EV_ACCEPTED);
}

static void question_of(const struct csr_request *r, struct radius *q)
{
	*q = (struct radius){ .code = RADIUS_ACCESS_REQUEST, .framed_ip = r->caller_ip };
	snprintf(q->connect_info, sizeof q->connect_info, "%s", r->wish.kind);
	snprintf(q->user_name, sizeof q->user_name, "%s", r->wish.data);
	snprintf(q->class_, sizeof q->class_, "%s", r->wish.order);
	snprintf(q->called_station, sizeof q->called_station, "%s", r->wish.number);
	snprintf(q->calling_station, sizeof q->calling_station, "%s", r->caller);
	snprintf(q->filter_id, sizeof q->filter_id, "%s", r->wish.options);
	snprintf(q->nas_identifier, sizeof q->nas_identifier, "%s", call_server_principal(r->terminal->config.calls));
	snprintf(q->state, sizeof q->state, "%s", r->name);
	q->acct_session_s = (uint32_t)((r->object.node->sim->now_ns - r->call_began_ns) / NS_PER_S) + 1;
}

static void on_ready(void *ctx, bool ready)
{
	struct csr_request *r = ctx;
	struct csr_terminal *t = r->terminal;
	struct radius question;

	question_of(r, &question);
	if (!ready || !radius_client_ask(t->questions, t->config.pca_ip, &question, on_answer, r))
		happen(r, EV_SILENCE);
}

static void ask_provisioning(struct csr_request *r)
{
	backend_ensure(call_server_backend(r->terminal->config.calls), r->terminal->config.pca_ip, on_ready, r);
}

/* The gateway, about a caller on a phone of the PSTN [0145] */

static const char *judge_caller(struct csr_terminal *t, struct csr_request *r);

static void refuse(struct csr_request *r, const char *check)
{
	snprintf(r->reason, sizeof r->reason, "%s", check);
	happen(r, EV_REJECTED);
}

/*
 * The gateway may have been silent until another caller was on that phone: the call must be older than what was entered
 * (the gateway counts begun seconds).
 */
static bool is_later_call(const struct csr_request *r, const struct radius *answer)
{
	sim_ns waited_ns = r->terminal->node->sim->now_ns - r->entered_ns;

	return !answer->acct_session_s || (sim_ns)(answer->acct_session_s - 1) * NS_PER_S < waited_ns;
}

static void learn_caller(struct csr_request *r, const struct radius *answer)
{
	r->caller_ip = answer->framed_ip;
	if (strcmp(answer->calling_station, "0") == 0 || !number_digits(answer->calling_station, r->caller))
		r->caller[0] = '\0'; /* it has none */
	r->call_began_ns = r->terminal->node->sim->now_ns - (sim_ns)answer->acct_session_s * NS_PER_S;
}

static void on_caller(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct csr_request *r = ctx;
	struct csr_terminal *t = r->terminal;
	const char *check = "csr.caller_changed";

	if (!answer) {
		backend_drop(call_server_backend(t->config.calls), t->config.gateway_ip);
		happen(r, EV_SILENCE);
		return;
	}
	if (answer->code == RADIUS_ACCESS_ACCEPT && !answer->framed_ip) {
		trace_refuse(t->node, "csr.answer", t->config.gateway_ip, tag, r->name);
		happen(r, EV_SILENCE);
		return;
	}
	if (answer->code != RADIUS_ACCESS_ACCEPT) {
		message_accept(t->node, tag);
		refuse(r, answer->reply_message[0] && utf8_valid(span_of(answer->reply_message)) ? answer->reply_message
		                                                                                 : "sg.refused");
		return;
	}
	if (!is_later_call(r, answer)) {
		learn_caller(r, answer);
		check = judge_caller(t, r);
	}
	if (check) {
		trace_refuse(t->node, check, answer->framed_ip, tag, r->wish.number);
		refuse(r, check);
	} else {
		message_accept(t->node, tag);
		ask_provisioning(r);
	}
}

static void on_gateway_ready(void *ctx, bool ready)
{
	struct csr_request *r = ctx;
	struct csr_terminal *t = r->terminal;
	struct radius question = { .code = RADIUS_ACCESS_REQUEST };

	snprintf(question.connect_info, sizeof question.connect_info, "caller");
	snprintf(question.called_station, sizeof question.called_station, "%s", r->phone);
	snprintf(question.nas_identifier, sizeof question.nas_identifier, "%s", call_server_principal(t->config.calls));
	if (!ready || !radius_client_ask(t->questions, t->config.gateway_ip, &question, on_caller, r))
		happen(r, EV_SILENCE);
}

static void ask(struct node *node, struct machine *machine, void *ctx)
{
	struct csr_request *r = ctx;

	(void)machine;
	sim_cancel(node->sim, &r->timer);
	if (r->caller_ip)
		ask_provisioning(r);
	else
		backend_ensure(call_server_backend(r->terminal->config.calls), r->terminal->config.gateway_ip, on_gateway_ready, r);
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct csr_request *r = event_owner(event, struct csr_request, timer);

	happen(r, sim->now_ns - r->entered_ns < REQUEST_LIFE_NS ? EV_AGAIN : EV_TOO_OLD);
}

/* The caller is told; perhaps the next time it answers. */
static void wait_a_while(struct node *node, struct machine *machine, void *ctx)
{
	struct csr_request *r = ctx;

	(void)machine;
	sim_after(node->sim, &r->timer, r->pause_ns, on_timer, "csr.ask_again");
	r->pause_ns = r->pause_ns * 2 < REQUEST_PAUSE_MAX_NS ? r->pause_ns * 2 : REQUEST_PAUSE_MAX_NS;
	r->terminal->config.news(r->terminal->config.ctx, r);
}

/* What is entered, judged */

static const struct wish_kind {
	const char *name;
	bool customer_only; /* about a line that is somebody's */
} kinds[] = { { "new", false }, { "change", true }, { "terminate", true }, { "move", true }, { "repair", false } };

static const struct wish_kind *kind_of(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* P11: the line itself calls, or the caller knows the PIN. */
static bool verify_caller(struct csr_terminal *t, const struct csr_request *r)
{
	struct pin *pin = pin_of(t, r->wish.number);

	if (strcmp(r->caller, r->wish.number) == 0) {
		if (pin)
			pin->wrong = 0;
		return true;
	}
	if (!pin || pin->wrong >= PIN_TRIES)
		return false;
	if (strcmp(pin->digits, r->wish.pin) == 0) {
		pin->wrong = 0;
		return true;
	}
	pin->wrong++;
	return false;
}

/* Once it is known who calls. */
static const char *judge_caller(struct csr_terminal *t, struct csr_request *r)
{
	if (!kind_of(r->wish.kind)->customer_only)
		return NULL;
	if (!r->wish.number[0])
		snprintf(r->wish.number, sizeof r->wish.number, "%s", r->caller);
	if (!r->wish.number[0])
		return "csr.no_number";
	return !t->verifies || verify_caller(t, r) ? NULL : "csr.verify_caller";
}

static const char *judge(struct csr_terminal *t, struct csr_request *r)
{
	const char *check;

	if (!kind_of(r->wish.kind))
		return "csr.unknown_wish";
	if (!utf8_valid(span_of(r->wish.data)) || !utf8_valid(span_of(r->wish.options)))
		return "csr.customer_data";
	if (r->wish.pin[0] && !is_pin(r->wish.pin))
		return "csr.pin";
	check = r->caller_ip ? judge_caller(t, r) : NULL;
	if (check)
		return check;
	return t->figures.open < REQUESTS_MAX ? NULL : "csr.limit";
}

static bool same_wish(const struct csr_wish *a, const struct csr_wish *b)
{
	return strcmp(a->kind, b->kind) == 0 && strcmp(a->data, b->data) == 0 && strcmp(a->order, b->order) == 0 &&
	       strcmp(a->number, b->number) == 0 && strcmp(a->options, b->options) == 0;
}

static struct csr_request *find_same(const struct csr_terminal *t, const struct csr_request *like)
{
	struct csr_request *r = t->requests;

	while (r && (r->caller_ip != like->caller_ip || strcmp(r->phone, like->phone) != 0 ||
	             !same_wish(&r->wish, &like->wish) || (is_over(r) && repeatable(&r->wish))))
		r = r->next;
	return r;
}

static struct csr_request *join(struct csr_request *r, struct csr_request *fresh)
{
	struct csr_terminal *t = r->terminal;

	r->call = fresh->call;
	r->entered_ns = fresh->entered_ns;
	t->figures.requests--;
	t->last = r;
	csr_request_unref(fresh); /* last's */
	csr_request_unref(fresh);
	r->object.refs += 2;
	if (r->machine.state == CSR_WAITING) {
		sim_cancel(t->node->sim, &r->timer);
		/* Not from inside: it may bring news. */
		sim_after(t->node->sim, &r->timer, 0, on_timer, "csr.ask_again");
	}
	return r;
}

static void on_entered(struct sim *sim, struct event *event)
{
	struct csr_request *r = event_owner(event, struct csr_request, timer);

	(void)sim;
	ask(r->terminal->node, &r->machine, r);
}

static struct csr_request *enter(struct csr_terminal *t, struct csr_request *r)
{
	const char *check = judge(t, r);
	struct csr_request *before;

	if (check) {
		machine_start(&r->machine, &csr_request_machine, CSR_REFUSED);
		snprintf(r->reason, sizeof r->reason, "%s", check);
		t->figures.refused++;
		trace_refuse(t->node, check, r->caller_ip, 0, r->wish.number);
		r->call = NULL;
		return r;
	}
	before = find_same(t, r);
	if (before)
		return join(before, r);
	machine_start(&r->machine, &csr_request_machine, CSR_ASKING);
	snprintf(r->name, sizeof r->name, "%s-%llu", call_server_principal(t->config.calls),
	         (unsigned long long)t->next++);
	link_request(r);
	sim_after(t->node->sim, &r->timer, 0, on_entered, "csr.entered");
	return r;
}

struct csr_request *csr_terminal_enter(struct csr_terminal *t, struct served_call *call, const struct csr_wish *wish)
{
	return enter(t, request_new(t, call, wish));
}

struct csr_request *csr_terminal_enter_phone(struct csr_terminal *t, const char *phone, const struct csr_wish *wish)
{
	struct csr_request *r = request_new(t, NULL, wish);

	snprintf(r->phone, sizeof r->phone, "%s", phone);
	return enter(t, r);
}

void csr_terminal_forget_call(struct csr_terminal *t, const struct served_call *call)
{
	for (struct csr_request *r = t->requests; r; r = r->next)
		if (r->call == call)
			r->call = NULL;
}

/* Life */

struct csr_terminal *csr_terminal_new(const struct csr_terminal_config *config)
{
	struct csr_terminal *t = sim_alloc(sizeof *t);

	t->config = *config;
	t->node = config->node;
	t->verifies = world_on(world_of(config->node->sim), "csr.verify_caller");
	t->questions = radius_client_new(config->node, call_server_ipsec(config->calls));
	return t;
}

void csr_terminal_free(struct csr_terminal *t)
{
	if (!t)
		return;
	radius_client_free(t->questions);
	while (t->requests) {
		struct csr_request *r = t->requests;

		backend_cancel(call_server_backend(t->config.calls), r);
		unlink_request(r);
	}
	csr_request_unref(t->last);
	while (t->pins)
		pin_remove(t, t->pins->number);
	free(t);
}

void csr_terminal_start(struct csr_terminal *t)
{
	radius_client_reset(t->questions);
}

void csr_terminal_restart(struct csr_terminal *t)
{
	csr_terminal_start(t);
	for (struct csr_request *r = t->requests; r; r = r->next) {
		r->call = NULL;
		sim_cancel(t->node->sim, &r->timer);
		if (is_over(r))
			remember(r);
		else
			happen(r, EV_RESTART);
	}
}

/* What others ask */

enum csr_outcome csr_request_outcome(const struct csr_request *r)
{
	return (enum csr_outcome)r->machine.state;
}

struct served_call *csr_request_call(const struct csr_request *r)
{
	return r->call;
}

const char *csr_request_kind(const struct csr_request *r)
{
	return r->wish.kind;
}

const char *csr_request_number(const struct csr_request *r)
{
	return r->number;
}

const char *csr_request_terms(const struct csr_request *r)
{
	return r->terms;
}

const char *csr_request_reason(const struct csr_request *r)
{
	return r->reason;
}

struct object *csr_request_object(struct csr_request *r)
{
	return &r->object;
}

struct csr_figures csr_terminal_figures(const struct csr_terminal *t)
{
	return t->figures;
}

struct csr_request *csr_terminal_last(const struct csr_terminal *t)
{
	return t->last;
}

static bool get_request(struct object *object, const char *attribute, struct value *out)
{
	static const char *const names[CSR_OUTCOMES] = { "asking", "waiting", "done", "refused", "given up" };
	const struct csr_request *r = (const struct csr_request *)object;

	*out = value_nil();
	if (strcmp(attribute, "state") == 0)
		*out = value_text(names[r->machine.state]);
	else if (strcmp(attribute, "ready") == 0)
		*out = value_bool(is_over(r));
	else if (strcmp(attribute, "want") == 0)
		*out = value_text(r->wish.kind);
	else if (strcmp(attribute, "name") == 0)
		*out = value_text(r->name);
	else if (strcmp(attribute, "number") == 0)
		*out = value_text(r->number);
	else if (strcmp(attribute, "terms") == 0)
		*out = value_text(r->terms);
	else if (strcmp(attribute, "reason") == 0)
		*out = value_text(r->reason);
	return out->type != VALUE_NIL;
}

static const struct attribute request_attributes[] = {
	{ "state", VALUE_TEXT, "asking, waiting (the provisioning CA does not answer), done, refused, given up" },
	{ "ready", VALUE_BOOL, "it is over" },
	{ "want", VALUE_TEXT, "new, change, terminate, move, repair" },
	{ "name", VALUE_TEXT, "the transaction's name" },
	{ "number", VALUE_TEXT, "the number, once it is done" },
	{ "terms", VALUE_TEXT, "how the customer will be billed" },
	{ "reason", VALUE_TEXT, "the check that refused it" },
	{ NULL, VALUE_NIL, NULL },
};
const struct object_class csr_request_class = {
	.name = "request", .doc = "what a customer wants, as entered at the terminal of the customer service centre",
	.attributes = request_attributes, .get = get_request, .free = free_request,
};

/* Transactions of the provisioning CA; see provisioning_flow.h. */
#include "models/provisioning_flow.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/directory.h"
#include "models/message.h"
#include "models/name_index.h"
#include "models/subscriber_orders.h"

struct flows {
	struct flow_config config;
	struct transaction *first, *last; /* as they came */
	struct name_index *by_name;
	struct flow_counters counters;
	unsigned kept;
};

/* The tables */

enum peer { PEER_BILLING, PEER_CONTROLLER, PEER_CTA };
enum side { BEFORE, AFTER };

struct flow_request { /* code 0: nothing is said */
	enum radius_code code;
	const char *about; /* connect_info */
	enum side side;
};

struct flow_step {
	enum peer peer;
	struct flow_request act, take_back;
	bool optional;     /* refused: the transaction stands without */
};

#define CHANGE(about, side) { RADIUS_COA_REQUEST, about, side }
#define REMOVE(side) { RADIUS_DISCONNECT_REQUEST, "", side }
static const struct flow_step
	open_account = { PEER_BILLING, CHANGE("open", AFTER), CHANGE("close", AFTER), false },
	change_account = { PEER_BILLING, CHANGE("change", AFTER), CHANGE("change", BEFORE), false },
	close_account = { PEER_BILLING, CHANGE("close", BEFORE), CHANGE("open", BEFORE), false },
	move_account = { PEER_BILLING, CHANGE("move", AFTER), CHANGE("move", BEFORE), false },
	add_number = { PEER_CONTROLLER, CHANGE("subscriber", AFTER), REMOVE(AFTER), false },
	change_number = { PEER_CONTROLLER, CHANGE("subscriber", AFTER), CHANGE("subscriber", BEFORE), false },
	remove_number = { PEER_CONTROLLER, REMOVE(BEFORE), CHANGE("subscriber", BEFORE), false },
	certify = { .peer = PEER_CTA },
	certify_anew = { .peer = PEER_CTA, .optional = true };
#undef CHANGE
#undef REMOVE

#define STEPS_MAX 5
static const struct flow_def {
	const char *name; /* in a request */
	bool lasting;     /* it is not given up */
	const struct flow_step *steps[STEPS_MAX];
} defs[FLOW_KINDS] = {
	[FLOW_NEW] = { "new", false, { &open_account, &add_number, &certify } },
	[FLOW_CHANGE] = { "change", false, { &change_account, &change_number, &certify_anew } },
	[FLOW_TERMINATE] = { "terminate", true, { &close_account, &remove_number } },
	[FLOW_MOVE] = { "move", false, { &move_account, &remove_number, &add_number, &certify } },
	[FLOW_REPAIR] = { "repair", false, { &open_account, &add_number, &certify } },
	[FLOW_RESTORE] = { "", false, { &certify, &close_account, &remove_number } },
};

enum flow_state { WORKING, TAKING_BACK, DONE, TAKEN_BACK, FLOW_STATES };
enum flow_event { EV_STEP_DONE, EV_STEP_REFUSED, EV_NO_ANSWER, EV_ALL_DONE, EV_ALL_TAKEN_BACK, FLOW_EVENTS };
static const char *const state_names[] = { "Working", "TakingBack", "Done", "TakenBack" };
static const char *const event_names[] = { "step done", "step refused", "no answer", "all done", "all taken back" };

static machine_action go_on, take_back, wait_and_ask, end_well, end_badly;

static const struct machine_cell cells[FLOW_STATES * FLOW_EVENTS] = {
#define CELL(state, event, next, action) [(state) * FLOW_EVENTS + (event)] = { true, next, action }
	CELL(WORKING, EV_STEP_DONE, WORKING, go_on),
	CELL(WORKING, EV_STEP_REFUSED, TAKING_BACK, take_back),
	CELL(WORKING, EV_NO_ANSWER, WORKING, wait_and_ask),
	CELL(WORKING, EV_ALL_DONE, DONE, end_well),
	CELL(TAKING_BACK, EV_STEP_DONE, TAKING_BACK, take_back),
	CELL(TAKING_BACK, EV_STEP_REFUSED, TAKING_BACK, wait_and_ask), /* it cannot be left as it is */
	CELL(TAKING_BACK, EV_NO_ANSWER, TAKING_BACK, wait_and_ask),
	CELL(TAKING_BACK, EV_ALL_TAKEN_BACK, TAKEN_BACK, end_badly),
#undef CELL
};
const struct machine_def flow_machine = {
	.name = "provisioning", .doc = "a transaction of the provisioning CA: its steps are done, or all taken back",
	.states = state_names, .events = event_names, .state_count = FLOW_STATES, .event_count = FLOW_EVENTS,
	.cells = cells,
};

static void happen(struct transaction *t, enum flow_event event)
{
	machine_event(t->flows->config.node, &t->machine, event, t);
	sim_changed(t->flows->config.node->sim, t->flows->config.node);
}

enum flow_kind flow_kind_of(const char *name)
{
	for (int k = 0; k < FLOW_KINDS; k++)
		if (name[0] && strcmp(defs[k].name, name) == 0)
			return (enum flow_kind)k;
	return FLOW_KINDS;
}

bool flow_over(const struct transaction *t)
{
	return t->machine.state >= DONE;
}

/* What is said */

static const struct flow_step *step_of(const struct transaction *t)
{
	return t->step < STEPS_MAX ? defs[t->kind].steps[t->step] : NULL;
}

static const struct flow_request *request_of(const struct transaction *t)
{
	return t->machine.state == TAKING_BACK ? &step_of(t)->take_back : &step_of(t)->act;
}

static struct customer *customer_of(const struct transaction *t, enum side side)
{
	return side == BEFORE ? t->before : t->after;
}

static void set(char out[RADIUS_TEXT_MAX], const char *text)
{
	snprintf(out, RADIUS_TEXT_MAX, "%s", text);
}

static void fill_billing(const struct transaction *t, const struct flow_request *request, struct radius *q)
{
	const struct customer *c = customer_of(t, request->side);
	const struct customer *other = customer_of(t, request->side == BEFORE ? AFTER : BEFORE);

	set(q->user_name, c->id);
	set(q->reply_message, request->side == BEFORE ? t->old_data : t->new_data);
	if (c->repair)
		set(q->class_, "repair");
	if (strcmp(request->about, "move") == 0)
		set(q->class_, other->id);
}

static void name_request(const struct transaction *t, char state[RADIUS_TEXT_MAX])
{
	if (t->machine.state != TAKING_BACK)
		snprintf(state, RADIUS_TEXT_MAX, "%s/%u", t->name, t->step + 1);
	else if (!t->refusals)
		snprintf(state, RADIUS_TEXT_MAX, "%s/%uu", t->name, t->step + 1);
	else
		snprintf(state, RADIUS_TEXT_MAX, "%s/%uu%u", t->name, t->step + 1, t->refusals);
}

static void fill(const struct transaction *t, const struct flow_request *request, struct radius *q)
{
	struct customer *c = customer_of(t, request->side);

	q->code = request->code;
	set(q->connect_info, request->about);
	name_request(t, q->state);
	set(q->called_station, c->number);
	if (request->code == RADIUS_COA_REQUEST)
		set(q->filter_id, request->side == BEFORE ? t->old_options : t->new_options);
	if (step_of(t)->peer == PEER_BILLING) {
		fill_billing(t, request, q);
		return;
	}
	set(q->calling_station, c->device->mac_text);
	if (request->code == RADIUS_COA_REQUEST)
		q->framed_ip = customer_ip(c);
}

static uint32_t peer_ip(const struct transaction *t)
{
	const struct flow_config *config = &t->flows->config;
	const char *principal = config->billing;

	if (step_of(t)->peer == PEER_CONTROLLER)
		principal = customer_of(t, request_of(t)->side)->controller;
	return directory_service_ip(world_directory(world_of(config->node->sim)), principal);
}

/* What comes of it */

static void step_done(struct transaction *t);

static void refused(struct transaction *t, const char *check)
{
	if (step_of(t)->optional && t->machine.state == WORKING) {
		t->lifetime_s = 0;
		step_done(t);
		return;
	}
	if (t->machine.state == TAKING_BACK)
		t->refusals++;
	else if (!t->check[0])
		snprintf(t->check, sizeof t->check, "%s", check);
	happen(t, EV_STEP_REFUSED);
}

/*
 * A step is done. Of one that was given up meanwhile this is the moment to turn round: what it has done is known now.
 */
static void step_done(struct transaction *t)
{
	if (t->machine.state == WORKING && t->given_up) {
		t->step++;
		happen(t, EV_STEP_REFUSED);
	} else {
		happen(t, EV_STEP_DONE);
	}
}

static void give_up(struct transaction *t)
{
	const struct flow_config *config = &t->flows->config;

	if (t->given_up || t->machine.state != WORKING || defs[t->kind].lasting ||
	    config->node->sim->now_ns - t->began_ns < config->patience_ns)
		return;
	t->given_up = true;
	snprintf(t->check, sizeof t->check, "%s",
	         step_of(t)->peer == PEER_BILLING ? "pca.billing_away" : "pca.controller_away");
	config->given_up(config->ctx, t);
}

static void no_answer(struct transaction *t)
{
	give_up(t);
	happen(t, EV_NO_ANSWER);
}

static bool acknowledges(enum radius_code request, enum radius_code answer)
{
	return answer == (request == RADIUS_COA_REQUEST ? RADIUS_COA_ACK : RADIUS_DISCONNECT_ACK);
}

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct transaction *t = ctx;
	const struct flow_request *request = request_of(t);

	if (!answer) {
		backend_drop(t->flows->config.backend, peer_ip(t));
		no_answer(t);
		return;
	}
	message_accept(t->flows->config.node, tag);
	if (strcmp(answer->reply_message, SUBSCRIBER_ORDERS_UNKNOWN) == 0) {
		no_answer(t); /* the controller had none itself */
		return;
	}
	if (!acknowledges(request->code, answer->code)) {
		refused(t, answer->reply_message[0] ? answer->reply_message : "pca.refused");
		return;
	}
	if (step_of(t)->peer == PEER_BILLING && t->machine.state == WORKING)
		snprintf(t->terms, sizeof t->terms, "%s", answer->reply_message);
	step_done(t);
}

static void on_ready(void *ctx, bool ready)
{
	struct transaction *t = ctx;
	struct radius question = { .code = 0 };

	fill(t, request_of(t), &question);
	if (!ready || !radius_client_ask(t->flows->config.questions, peer_ip(t), &question, on_answer, t))
		no_answer(t);
}

/* The certificate */

static void on_sent(void *ctx, enum certificate_outcome outcome, const char *check)
{
	struct transaction *t = ctx;
	const struct flow_config *config = &t->flows->config;

	t->sender = NULL;
	if (outcome == CERTIFICATE_TAKEN)
		step_done(t);
	else if (outcome == CERTIFICATE_REFUSED)
		refused(t, check);
	else if (config->node->sim->now_ns - t->step_began_ns >= config->patience_ns)
		refused(t, "pca.cta_away");
	else
		happen(t, EV_NO_ANSWER);
}

static void send_certificate(struct transaction *t)
{
	t->sender = certificate_sender_start(t->flows->config.node, t->cta_ip, &t->cert, on_sent, t);
}

static void on_issued(struct sim *sim, struct event *event)
{
	(void)sim;
	send_certificate(event_owner(event, struct transaction, timer));
}

static void certificate_step(struct transaction *t)
{
	const struct flow_config *config = &t->flows->config;
	sim_ns wait_ns = 0;
	const char *check;

	if (!t->cta_ip) {
		t->lifetime_s = 0;
		step_done(t);
		return;
	}
	check = config->issue(config->ctx, t, &wait_ns);
	if (check)
		refused(t, check);
	else
		sim_after(config->node->sim, &t->timer, wait_ns, on_issued, "provisioning.certificate");
}

/* Going on */

static void run(struct transaction *t)
{
	const struct flow_step *step = step_of(t);
	const struct flow_request *request = request_of(t);

	if (step->peer == PEER_CTA && t->machine.state == WORKING)
		certificate_step(t);
	else if (!request->code || !customer_of(t, request->side))
		step_done(t); /* nothing is to be said */
	else
		backend_ensure(t->flows->config.backend, peer_ip(t), on_ready, t);
}

static void enter_step(struct transaction *t)
{
	t->refusals = 0;
	t->pause_ns = FLOW_PAUSE_FIRST_NS;
	t->step_began_ns = t->flows->config.node->sim->now_ns;
	run(t);
}

static void go_on(struct node *node, struct machine *machine, void *ctx)
{
	struct transaction *t = ctx;

	(void)node;
	(void)machine;
	t->step++;
	if (step_of(t))
		enter_step(t);
	else
		happen(t, EV_ALL_DONE);
}

static void take_back(struct node *node, struct machine *machine, void *ctx)
{
	struct transaction *t = ctx;

	(void)node;
	(void)machine;
	if (t->step == 0) {
		happen(t, EV_ALL_TAKEN_BACK);
		return;
	}
	t->step--;
	enter_step(t);
}

static void on_pause(struct sim *sim, struct event *event)
{
	(void)sim;
	run(event_owner(event, struct transaction, timer));
}

static void wait_and_ask(struct node *node, struct machine *machine, void *ctx)
{
	struct transaction *t = ctx;

	(void)machine;
	t->flows->counters.retries++;
	sim_after(node->sim, &t->timer, t->pause_ns, on_pause, "provisioning.retry");
	t->pause_ns = t->pause_ns * 2 < FLOW_PAUSE_MAX_NS ? t->pause_ns * 2 : FLOW_PAUSE_MAX_NS;
}

static void forget(struct transaction *t)
{
	struct flows *f = t->flows;

	sim_cancel(f->config.node->sim, &t->timer);
	certificate_sender_stop(t->sender);
	if (t->prev)
		t->prev->next = t->next;
	else
		f->first = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else
		f->last = t->prev;
	name_index_set(f->by_name, t->name, NULL);
	der_free(&t->cert);
	free(t->asked);
	free(t);
}

static void forget_oldest(struct flows *f)
{
	struct transaction *t = f->first;

	while (t && !flow_over(t))
		t = t->next;
	if (t)
		forget(t);
	f->kept--;
}

static void end(struct transaction *t, bool done)
{
	struct flows *f = t->flows;

	f->counters.under_way--;
	f->counters.done += done;
	f->counters.undone += !done;
	der_free(&t->cert);
	f->config.finished(f->config.ctx, t, done);
	t->device = NULL;
	t->before = t->after = NULL;
	f->kept++;
}

static void end_well(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	end(ctx, true);
}

static void end_badly(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	end(ctx, false);
}

/* From outside */

struct transaction *flow_find(const struct flows *f, const char *name)
{
	return name_index_get(f->by_name, name);
}

struct transaction *flow_add(struct flows *f, const char *name, enum flow_kind kind)
{
	struct transaction *t;

	assert(!flow_find(f, name) && strlen(name) <= FLOW_NAME_MAX);
	if (f->counters.under_way == FLOWS_UNDER_WAY_MAX)
		return NULL;
	while (f->kept >= FLOWS_KEPT_MAX)
		forget_oldest(f);
	f->counters.under_way++;
	t = sim_alloc(sizeof *t);
	t->flows = f;
	snprintf(t->name, sizeof t->name, "%s", name);
	t->kind = kind;
	t->began_ns = f->config.node->sim->now_ns;
	machine_start(&t->machine, &flow_machine, WORKING);
	t->prev = f->last;
	if (t->prev)
		t->prev->next = t;
	else
		f->first = t;
	f->last = t;
	name_index_set(f->by_name, t->name, t);
	return t;
}

void flow_abandon(struct transaction *t)
{
	t->flows->counters.under_way--;
	forget(t);
}

void flow_start(struct transaction *t)
{
	enter_step(t);
}

void flow_drop_asked(struct transaction *t)
{
	free(t->asked);
	t->asked = NULL;
}

void flow_keep_asked(struct transaction *t, const struct radius_asked *asked)
{
	if (t->asked)
		message_accept(t->flows->config.node, t->asked->tag);
	else
		t->asked = sim_alloc(sizeof *t->asked);
	*t->asked = *asked;
}

void flows_stop(struct flows *f)
{
	for (struct transaction *t = f->first; t; t = t->next) {
		sim_cancel(f->config.node->sim, &t->timer);
		certificate_sender_stop(t->sender);
		t->sender = NULL;
		flow_drop_asked(t);
	}
}

void flows_resume(struct flows *f)
{
	for (struct transaction *t = f->first; t; t = t->next)
		if (!flow_over(t)) {
			t->pause_ns = FLOW_PAUSE_FIRST_NS;
			sim_after(f->config.node->sim, &t->timer, 0, on_pause, "provisioning.resume");
		}
}

struct flow_counters flows_counters(const struct flows *f)
{
	return f->counters;
}

struct flows *flows_new(const struct flow_config *config)
{
	struct flows *f = sim_alloc(sizeof *f);

	f->config = *config;
	f->by_name = name_index_new();
	return f;
}

void flows_free(struct flows *f)
{
	if (!f)
		return;
	while (f->first)
		forget(f->first);
	name_index_free(f->by_name);
	free(f);
}

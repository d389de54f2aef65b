/* Circuits and the calls on them; see trunk_group.h. ITU-T Q.764 sections 2.1, 2.3, 2.9; timers table A.1. */
#include "models/trunk_group.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "models/message.h"

#define CHUNK (ISUP_RANGE_MAX + 1) /* circuits that one GRS resets */
#define CHUNKS ((TRUNK_CIRCUITS_MAX + CHUNK - 1) / CHUNK)

struct circuit {
	struct machine machine;
	struct trunk_group *group;
	unsigned number;
	void *call;                   /* the owner's; NULL: none, or released */
	unsigned cause;               /* of the REL that was sent */
	bool own_reset;               /* by RSC, not with its group */
	bool dialled;                 /* the call that has or had it is begun */
	char called[ISUP_DIGITS_MAX + 1], calling[ISUP_DIGITS_MAX + 1];
	const struct isup *message;   /* the one that is being taken */
	struct event timer;           /* T1, T7, T9, T16 by state */
	struct event limit;           /* T5 */
};

struct trunk_group {
	struct trunk_group_config config;
	struct isup_link *link;
	struct circuit *circuits;     /* number - 1 */
	bool pending[CHUNKS];         /* reset not acknowledged yet */
	struct event reset_timer;     /* T22 */
	uint64_t seizures, resets;
};

/* The table */

enum circuit_state { CIRCUIT_RESETTING, CIRCUIT_IDLE, CIRCUIT_HELD, CIRCUIT_CALLING, CIRCUIT_WAITING, CIRCUIT_TAKEN,
	             CIRCUIT_ALERTING, CIRCUIT_TALKING, CIRCUIT_RELEASING, CIRCUIT_STATES };
enum circuit_event { EV_HOLD, EV_CALL, EV_ALERT, EV_ANSWER, EV_RELEASE, EV_IAM, EV_IAM_OURS, EV_ACM, EV_CPG, EV_ANM,
	             EV_CON, EV_REL, EV_RLC, EV_PEER_RESETS, EV_RESET_DONE, EV_T1, EV_T5, EV_T7, EV_T9, EV_T16,
	             CIRCUIT_EVENTS };
static const char *const state_names[] = { "Resetting", "Idle", "Held", "Calling", "Waiting", "Taken", "Alerting",
	                                   "Talking", "Releasing" };
static const char *const event_names[] = { "hold", "call", "alert", "answer", "release", "IAM",
	                                   "IAM on a circuit of ours", "ACM", "CPG", "ANM", "CON", "REL", "RLC",
	                                   "peer resets", "reset acknowledged", "T1", "T5", "T7", "T9", "T16" };

static machine_action send_iam, note_acm, note_progress, note_answer, take_call, give_way, send_acm, send_anm,
	send_con, send_rel,
	be_held, be_released, send_rlc, be_free, be_reset, repeat_rel, send_rsc, give_up_calling, give_up_waiting;

#define CELL(state, event, next, action) [(state) * CIRCUIT_EVENTS + (event)] = { true, next, action }
#define RELEASED_BY_EITHER(state) \
	CELL(state, EV_RELEASE, CIRCUIT_RELEASING, send_rel), CELL(state, EV_REL, CIRCUIT_IDLE, be_released), \
	CELL(state, EV_PEER_RESETS, CIRCUIT_IDLE, be_reset)
static const struct machine_cell cells[CIRCUIT_STATES * CIRCUIT_EVENTS] = {
	CELL(CIRCUIT_RESETTING, EV_RESET_DONE, CIRCUIT_IDLE, be_free),
	CELL(CIRCUIT_RESETTING, EV_RLC, CIRCUIT_IDLE, be_free),
	CELL(CIRCUIT_RESETTING, EV_REL, CIRCUIT_RESETTING, send_rlc),
	CELL(CIRCUIT_RESETTING, EV_PEER_RESETS, CIRCUIT_RESETTING, NULL),
	CELL(CIRCUIT_RESETTING, EV_T16, CIRCUIT_RESETTING, send_rsc),
	CELL(CIRCUIT_IDLE, EV_HOLD, CIRCUIT_HELD, be_held),
	CELL(CIRCUIT_IDLE, EV_IAM, CIRCUIT_TAKEN, take_call),
	CELL(CIRCUIT_IDLE, EV_REL, CIRCUIT_IDLE, send_rlc),  /* ours was lost (2.9.5.1) */
	CELL(CIRCUIT_IDLE, EV_RLC, CIRCUIT_IDLE, NULL),      /* to a REL that was repeated */
	CELL(CIRCUIT_IDLE, EV_PEER_RESETS, CIRCUIT_IDLE, NULL),
	CELL(CIRCUIT_HELD, EV_CALL, CIRCUIT_CALLING, send_iam),
	CELL(CIRCUIT_HELD, EV_RELEASE, CIRCUIT_IDLE, be_free),
	CELL(CIRCUIT_HELD, EV_IAM, CIRCUIT_TAKEN, give_way), /* nothing of ours is on the line yet */
	CELL(CIRCUIT_HELD, EV_REL, CIRCUIT_HELD, send_rlc),
	CELL(CIRCUIT_HELD, EV_RLC, CIRCUIT_HELD, NULL),
	CELL(CIRCUIT_HELD, EV_PEER_RESETS, CIRCUIT_IDLE, be_reset),
	CELL(CIRCUIT_CALLING, EV_ACM, CIRCUIT_WAITING, note_acm),
	CELL(CIRCUIT_CALLING, EV_CON, CIRCUIT_TALKING, note_answer),
	CELL(CIRCUIT_CALLING, EV_IAM, CIRCUIT_TAKEN, give_way),
	CELL(CIRCUIT_CALLING, EV_IAM_OURS, CIRCUIT_CALLING, NULL), /* the peer gives way */
	CELL(CIRCUIT_CALLING, EV_T7, CIRCUIT_RELEASING, give_up_calling),
	RELEASED_BY_EITHER(CIRCUIT_CALLING),
	CELL(CIRCUIT_WAITING, EV_CPG, CIRCUIT_WAITING, note_progress),
	CELL(CIRCUIT_WAITING, EV_ANM, CIRCUIT_TALKING, note_answer),
	CELL(CIRCUIT_WAITING, EV_T9, CIRCUIT_RELEASING, give_up_waiting),
	RELEASED_BY_EITHER(CIRCUIT_WAITING),
	CELL(CIRCUIT_TAKEN, EV_ALERT, CIRCUIT_ALERTING, send_acm),
	CELL(CIRCUIT_TAKEN, EV_ANSWER, CIRCUIT_TALKING, send_con),
	RELEASED_BY_EITHER(CIRCUIT_TAKEN),
	CELL(CIRCUIT_ALERTING, EV_ANSWER, CIRCUIT_TALKING, send_anm),
	RELEASED_BY_EITHER(CIRCUIT_ALERTING),
	RELEASED_BY_EITHER(CIRCUIT_TALKING),
	CELL(CIRCUIT_RELEASING, EV_RLC, CIRCUIT_IDLE, be_free),
	CELL(CIRCUIT_RELEASING, EV_REL, CIRCUIT_RELEASING, send_rlc), /* both release at once (2.3.1 c) */
	CELL(CIRCUIT_RELEASING, EV_ACM, CIRCUIT_RELEASING, NULL),     /* they crossed our REL */
	CELL(CIRCUIT_RELEASING, EV_CPG, CIRCUIT_RELEASING, NULL),
	CELL(CIRCUIT_RELEASING, EV_ANM, CIRCUIT_RELEASING, NULL),
	CELL(CIRCUIT_RELEASING, EV_CON, CIRCUIT_RELEASING, NULL),
	CELL(CIRCUIT_RELEASING, EV_PEER_RESETS, CIRCUIT_IDLE, be_free),
	CELL(CIRCUIT_RELEASING, EV_T1, CIRCUIT_RELEASING, repeat_rel),
	CELL(CIRCUIT_RELEASING, EV_T5, CIRCUIT_RESETTING, send_rsc),
};
#undef RELEASED_BY_EITHER
#undef CELL
const struct machine_def trunk_circuit_machine = {
	.name = "circuit",
	.doc = "a circuit between signaling gateway and PSTN: reset, seized by either end, talking, released",
	.states = state_names, .events = event_names, .state_count = CIRCUIT_STATES, .event_count = CIRCUIT_EVENTS,
	.cells = cells,
};

static struct sim *sim_of(const struct circuit *c)
{
	return c->group->config.node->sim;
}

static void happen(struct circuit *c, enum circuit_event event)
{
	machine_event(c->group->config.node, &c->machine, event, c);
	sim_changed(sim_of(c), c->group->config.node);
}

static bool expects(const struct circuit *c, enum circuit_event event)
{
	return cells[c->machine.state * CIRCUIT_EVENTS + event].legal;
}

/* Timers */

#define TIMER(name, member, event_code) \
	static void name(struct sim *sim, struct event *event) \
	{ \
		(void)sim; \
		happen(event_owner(event, struct circuit, member), event_code); \
	}
TIMER(on_t1, timer, EV_T1)
TIMER(on_t5, limit, EV_T5)
TIMER(on_t7, timer, EV_T7)
TIMER(on_t9, timer, EV_T9)
TIMER(on_t16, timer, EV_T16)

static void stop_timers(struct circuit *c)
{
	sim_cancel(sim_of(c), &c->timer);
	sim_cancel(sim_of(c), &c->limit);
}

static void run_timer(struct circuit *c, sim_ns time_ns, event_fn *fire, const char *name)
{
	sim_cancel(sim_of(c), &c->timer);
	sim_after(sim_of(c), &c->timer, time_ns, fire, name);
}

/* Sending. What cannot be sent because the link is down is as good as lost: the timers deal with both. */

static void send(struct circuit *c, struct isup *message)
{
	message->cic = (uint16_t)c->number;
	isup_link_send(c->group->link, message);
}

static void set_number(struct isup_number *number, const char *digits)
{
	number->present = digits[0] != '\0';
	number->nature = ISUP_NATIONAL_NUMBER;
	number->plan = ISUP_PLAN_E164;
	snprintf(number->digits, sizeof number->digits, "%s", digits);
}

static void send_iam(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;
	struct isup iam = { .type = ISUP_IAM, .forward = ISUP_FORWARD_ISUP_ALL_THE_WAY,
	                    .category = ISUP_ORDINARY_SUBSCRIBER, .medium = ISUP_AUDIO_3K1 };

	(void)node;
	(void)machine;
	set_number(&iam.called, c->called);
	set_number(&iam.calling, c->calling);
	iam.calling.screening = ISUP_NETWORK_PROVIDED;
	send(c, &iam);
	run_timer(c, ISUP_T7_NS, on_t7, "isup.t7");
}

static void send_acm(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	send(ctx, &(struct isup){ .type = ISUP_ACM, .backward = ISUP_BACKWARD_CHARGE | ISUP_BACKWARD_SUBSCRIBER_FREE |
	                                                        ISUP_BACKWARD_ORDINARY_SUBSCRIBER |
	                                                        ISUP_BACKWARD_ISUP_ALL_THE_WAY });
}

static void send_anm(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	send(ctx, &(struct isup){ .type = ISUP_ANM });
}

static void send_con(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	send(ctx, &(struct isup){ .type = ISUP_CON, .backward = ISUP_BACKWARD_CHARGE |
	                                                        ISUP_BACKWARD_ORDINARY_SUBSCRIBER |
	                                                        ISUP_BACKWARD_ISUP_ALL_THE_WAY });
}

static void send_rlc(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	send(ctx, &(struct isup){ .type = ISUP_RLC });
}

static void repeat_rel(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	(void)node;
	(void)machine;
	send(c, &(struct isup){ .type = ISUP_REL, .location = ISUP_LOCATION_LOCAL_PUBLIC, .cause = (uint8_t)c->cause });
	run_timer(c, ISUP_T1_NS, on_t1, "isup.t1");
}

static void send_rel(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	stop_timers(c);
	repeat_rel(node, machine, ctx);
	sim_after(node->sim, &c->limit, ISUP_T5_NS, on_t5, "isup.t5");
}

static void send_rsc(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	(void)node;
	(void)machine;
	if (!c->own_reset)
		c->group->resets++;
	c->own_reset = true;
	stop_timers(c);
	send(c, &(struct isup){ .type = ISUP_RSC });
	run_timer(c, ISUP_T16_NS, on_t16, "isup.t16");
}

/* The owner is told; the call is no longer on the circuit by then. */

static void let_go(struct circuit *c, unsigned cause)
{
	void *call = c->call;

	stop_timers(c);
	c->call = NULL;
	if (call)
		c->group->config.released(c->group->config.ctx, call, cause);
}

static void be_released(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;
	unsigned cause = c->message->cause;

	send_rlc(node, machine, ctx);
	let_go(c, cause);
}

static void be_held(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	((struct circuit *)ctx)->dialled = false;
}

static void be_free(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	(void)node;
	(void)machine;
	stop_timers(c);
	c->call = NULL;
	c->own_reset = false;
}

static void be_reset(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	let_go(ctx, ISUP_CAUSE_NORMAL_UNSPECIFIED);
}

static void give_up_calling(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	c->cause = ISUP_CAUSE_TIMER;
	send_rel(node, machine, ctx);
	if (c->call) {
		void *call = c->call;

		c->call = NULL;
		c->group->config.released(c->group->config.ctx, call, ISUP_CAUSE_TIMER);
	}
}

static void give_up_waiting(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;
	void *call = c->call;

	c->cause = ISUP_CAUSE_NO_ANSWER;
	send_rel(node, machine, ctx);
	c->call = NULL;
	if (call)
		c->group->config.released(c->group->config.ctx, call, ISUP_CAUSE_NO_ANSWER);
}

static void take_call(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	(void)node;
	(void)machine;
	stop_timers(c);
	c->group->seizures++;
	c->group->config.seized(c->group->config.ctx, c->number, c->message);
}

static struct circuit *find_idle(struct trunk_group *g);

/* The call goes to another circuit, as far as it was begun. False: there is none. */
static bool move_call(struct circuit *c)
{
	const struct trunk_group_config *config = &c->group->config;
	struct circuit *other = c->call && config->moved ? find_idle(c->group) : NULL;

	if (!other)
		return false;
	stop_timers(c);
	other->call = c->call;
	c->call = NULL;
	happen(other, EV_HOLD);
	config->moved(config->ctx, other->call, other->number);
	if (!c->dialled || !other->call || other->machine.state != CIRCUIT_HELD)
		return true;
	trunk_group_call(c->group, other->number, c->called, c->calling);
	return true;
}

static void give_way(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	if (!move_call(c))
		let_go(c, ISUP_CAUSE_CIRCUIT_UNAVAILABLE);
	take_call(node, machine, ctx);
}

static void tell_alerting(struct circuit *c)
{
	if (c->call)
		c->group->config.alerting(c->group->config.ctx, c->call);
}

static void note_acm(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	(void)node;
	(void)machine;
	run_timer(c, ISUP_T9_NS, on_t9, "isup.t9");
	if (c->message->backward & ISUP_BACKWARD_SUBSCRIBER_FREE)
		tell_alerting(c);
}

static void note_progress(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	(void)node;
	(void)machine;
	if ((c->message->event & 0x7f) == ISUP_EVENT_ALERTING)
		tell_alerting(c);
}

static void note_answer(struct node *node, struct machine *machine, void *ctx)
{
	struct circuit *c = ctx;

	(void)node;
	(void)machine;
	stop_timers(c);
	if (c->call)
		c->group->config.answered(c->group->config.ctx, c->call);
}

/* What the peer says */

/* Section 2.9.1.4. */
static bool we_control(const struct trunk_group *g, unsigned circuit)
{
	return (g->config.local_code > g->config.peer_code) == (circuit % 2 == 0);
}

static bool event_of(const struct circuit *c, const struct isup *message, enum circuit_event *event)
{
	static const struct { enum isup_type type; enum circuit_event event; } table[] = {
		{ ISUP_ACM, EV_ACM }, { ISUP_CPG, EV_CPG }, { ISUP_ANM, EV_ANM }, { ISUP_CON, EV_CON },
		{ ISUP_REL, EV_REL },
		{ ISUP_RLC, EV_RLC }, { ISUP_RSC, EV_PEER_RESETS },
	};

	if (message->type == ISUP_IAM) {
		*event = c->machine.state == CIRCUIT_CALLING && we_control(c->group, c->number) ? EV_IAM_OURS : EV_IAM;
		return true;
	}
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].type == message->type) {
			*event = table[i].event;
			return true;
		}
	return false;
}

static void refuse(const struct trunk_group *g, const char *check, const struct isup *message, uint64_t tag)
{
	trace_refuse(g->config.node, check, g->config.peer_ip, tag, isup_kind(message->type));
}

/* Circuits of one reset. */
static unsigned chunk_size(const struct trunk_group *g, unsigned chunk)
{
	unsigned count = g->config.circuits - chunk * CHUNK;

	return count > CHUNK ? CHUNK : count;
}

static void send_group_reset(struct trunk_group *g, unsigned chunk)
{
	struct circuit *first = &g->circuits[chunk * CHUNK];
	unsigned count = chunk_size(g, chunk);

	if (count == 1) /* a group reset has two circuits at least (Q.763 section 3.43) */
		send(first, &(struct isup){ .type = ISUP_RSC });
	else
		send(first, &(struct isup){ .type = ISUP_GRS, .range = (uint8_t)(count - 1) });
}

static void on_t22(struct sim *sim, struct event *event)
{
	struct trunk_group *g = event_owner(event, struct trunk_group, reset_timer);
	bool any = false;

	for (unsigned chunk = 0; chunk * CHUNK < g->config.circuits; chunk++)
		if (g->pending[chunk]) {
			any = true;
			send_group_reset(g, chunk);
		}
	if (any)
		sim_after(sim, &g->reset_timer, ISUP_T22_NS, on_t22, "isup.t22");
}

static void chunk_done(struct trunk_group *g, unsigned chunk)
{
	g->pending[chunk] = false;
	for (unsigned i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < g->config.circuits; i++)
		if (g->circuits[i].machine.state == CIRCUIT_RESETTING && !g->circuits[i].own_reset)
			happen(&g->circuits[i], EV_RESET_DONE);
}

/* The acknowledgement of our own reset. */
static void take_gra(struct trunk_group *g, const struct isup *message, uint64_t tag)
{
	unsigned first = message->cic - 1u, chunk = first / CHUNK;

	if (first % CHUNK || message->range + 1u != chunk_size(g, chunk) || !g->pending[chunk]) {
		refuse(g, "isup.unexpected", message, tag);
		return;
	}
	message_accept(g->config.node, tag);
	chunk_done(g, chunk);
}

static void take_grs(struct trunk_group *g, const struct isup *message, uint64_t tag)
{
	if (message->cic + message->range > g->config.circuits) {
		refuse(g, "isup.circuit", message, tag);
		return;
	}
	message_accept(g->config.node, tag);
	g->resets++;
	for (unsigned i = 0; i <= message->range; i++)
		happen(&g->circuits[message->cic - 1 + i], EV_PEER_RESETS);
	isup_link_send(g->link, &(struct isup){ .type = ISUP_GRA, .cic = message->cic, .range = message->range });
}

/*
 * A circuit that is reset with others waits for GRA: RLC says nothing about the rest of its group, which would be
 * blocked for good, and a later repetition of GRS would take the call that the circuit had by then.
 */
static bool reset_by_rsc(const struct circuit *c)
{
	return c->machine.state != CIRCUIT_RESETTING || c->own_reset ||
	       chunk_size(c->group, (c->number - 1) / CHUNK) == 1;
}

static void take_circuit_message(struct circuit *c, const struct isup *message, uint64_t tag)
{
	struct trunk_group *g = c->group;
	enum circuit_event event;

	if (!event_of(c, message, &event) || !expects(c, event) || (event == EV_RLC && !reset_by_rsc(c))) {
		refuse(g, "isup.unexpected", message, tag);
		return;
	}
	message_accept(g->config.node, tag);
	if (event == EV_RLC && c->machine.state == CIRCUIT_RESETTING && !c->own_reset)
		g->pending[(c->number - 1) / CHUNK] = false; /* a group of one */
	c->message = message;
	happen(c, event);
	c->message = NULL;
	if (event == EV_PEER_RESETS) {
		g->resets++;
		send(c, &(struct isup){ .type = ISUP_RLC });
	}
}

static void on_received(void *ctx, const struct isup *message, uint64_t tag)
{
	struct trunk_group *g = ctx;

	if (message->cic < 1 || message->cic > g->config.circuits)
		refuse(g, "isup.circuit", message, tag);
	else if (message->type == ISUP_GRA)
		take_gra(g, message, tag);
	else if (message->type == ISUP_GRS)
		take_grs(g, message, tag);
	else
		take_circuit_message(&g->circuits[message->cic - 1], message, tag);
}

/* The first time after a start all circuits are reset; later, what was lost is repeated at once. */
static void on_up(void *ctx)
{
	struct trunk_group *g = ctx;

	sim_cancel(g->config.node->sim, &g->reset_timer);
	sim_at(g->config.node->sim, &g->reset_timer, g->config.node->sim->now_ns, on_t22, "isup.t22");
	for (unsigned i = 0; i < g->config.circuits; i++)
		if (g->circuits[i].machine.state == CIRCUIT_RELEASING)
			happen(&g->circuits[i], EV_T1);
}

static void on_down(void *ctx)
{
	struct trunk_group *g = ctx;

	sim_cancel(g->config.node->sim, &g->reset_timer);
}

/* What the owner wants */

static struct circuit *find_idle(struct trunk_group *g)
{
	struct circuit *other = NULL;

	for (unsigned i = 0; i < g->config.circuits; i++) {
		struct circuit *c = &g->circuits[i];

		if (c->machine.state != CIRCUIT_IDLE)
			continue;
		if (we_control(g, c->number))
			return c;
		other = c; /* the last: the peer begins with the first */
	}
	return other;
}

unsigned trunk_group_hold(struct trunk_group *g, void *call, unsigned *cause)
{
	struct circuit *c;

	*cause = ISUP_CAUSE_NETWORK;
	if (!isup_link_is_up(g->link))
		return 0;
	*cause = ISUP_CAUSE_NO_CIRCUIT;
	c = find_idle(g);
	if (!c)
		return 0;
	g->seizures++;
	c->call = call;
	happen(c, EV_HOLD);
	return c->number;
}

static struct circuit *circuit_of(struct trunk_group *g, unsigned number)
{
	assert(number >= 1 && number <= g->config.circuits);
	return &g->circuits[number - 1];
}

void trunk_group_call(struct trunk_group *g, unsigned number, const char *called, const char *calling)
{
	struct circuit *c = circuit_of(g, number);

	c->dialled = true;
	snprintf(c->called, sizeof c->called, "%s", called);
	snprintf(c->calling, sizeof c->calling, "%s", calling);
	happen(c, EV_CALL);
}

void trunk_group_set_call(struct trunk_group *g, unsigned number, void *call)
{
	circuit_of(g, number)->call = call;
}

void trunk_group_alert(struct trunk_group *g, unsigned number)
{
	happen(circuit_of(g, number), EV_ALERT);
}

void trunk_group_answer(struct trunk_group *g, unsigned number)
{
	happen(circuit_of(g, number), EV_ANSWER);
}

void trunk_group_release(struct trunk_group *g, unsigned number, unsigned cause)
{
	struct circuit *c = circuit_of(g, number);

	c->call = NULL;
	c->cause = cause;
	happen(c, EV_RELEASE);
}

/* Life */

struct trunk_group *trunk_group_new(const struct trunk_group_config *config)
{
	struct trunk_group *g = sim_alloc(sizeof *g);
	struct isup_link_config link = { .node = config->node, .connects = config->connects,
	                                 .local_ip = config->local_ip,
		                         .peer_ip = config->peer_ip, .local_code = config->local_code,
		                         .peer_code = config->peer_code, .up = on_up, .down = on_down,
		                         .received = on_received, .ctx = g };

	assert(config->circuits >= 1 && config->circuits <= TRUNK_CIRCUITS_MAX &&
	       config->local_code != config->peer_code);
	g->config = *config;
	g->link = isup_link_new(&link);
	g->circuits = sim_alloc(config->circuits * sizeof *g->circuits);
	for (unsigned i = 0; i < config->circuits; i++) {
		g->circuits[i].group = g;
		g->circuits[i].number = i + 1;
		machine_start(&g->circuits[i].machine, &trunk_circuit_machine, CIRCUIT_RESETTING);
	}
	return g;
}

static void forget(struct trunk_group *g)
{
	sim_cancel(g->config.node->sim, &g->reset_timer);
	for (unsigned i = 0; i < g->config.circuits; i++) {
		stop_timers(&g->circuits[i]);
		g->circuits[i].call = NULL;
		g->circuits[i].own_reset = false;
		machine_start(&g->circuits[i].machine, &trunk_circuit_machine, CIRCUIT_RESETTING);
	}
}

void trunk_group_start(struct trunk_group *g)
{
	forget(g);
	for (unsigned chunk = 0; chunk * CHUNK < g->config.circuits; chunk++)
		g->pending[chunk] = true;
	g->resets++;
	isup_link_start(g->link);
}

void trunk_group_free(struct trunk_group *g)
{
	if (!g)
		return;
	forget(g);
	isup_link_free(g->link);
	free(g->circuits);
	free(g);
}

struct trunk_counters trunk_group_counters(const struct trunk_group *g)
{
	struct trunk_counters counters = { .link_up = isup_link_is_up(g->link), .seizures = g->seizures,
	                                   .resets = g->resets };

	for (unsigned i = 0; i < g->config.circuits; i++) {
		counters.idle += g->circuits[i].machine.state == CIRCUIT_IDLE;
		counters.blocked += g->circuits[i].machine.state == CIRCUIT_RESETTING;
	}
	counters.busy = g->config.circuits - counters.idle - counters.blocked;
	return counters;
}

const char *trunk_group_state(const struct trunk_group *g, unsigned number)
{
	return machine_state_name(&g->circuits[number - 1].machine);
}

/* Causes */

struct cause_status {
	uint16_t from, to;
};

static unsigned look_up(const struct cause_status *table, size_t count, unsigned from, unsigned otherwise)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].from == from)
			return table[i].to;
	return otherwise;
}

int cause_to_status(unsigned cause)
{
	static const struct cause_status table[] = {
		{ 1, 404 }, { 2, 404 }, { 3, 404 }, { 16, 480 }, { 17, 486 }, { 18, 408 }, { 19, 480 }, { 20, 480 },
		{ 21, 403 },
		{ 22, 410 }, { 23, 410 }, { 26, 404 }, { 27, 502 }, { 28, 484 }, { 29, 501 }, { 31, 480 }, { 34, 503 },
		{ 38, 503 }, { 41, 503 }, { 42, 503 }, { 44, 503 }, { 47, 503 }, { 55, 403 }, { 57, 403 }, { 58, 503 },
		{ 65, 488 }, { 70, 488 }, { 79, 501 }, { 87, 403 }, { 88, 503 }, { 102, 504 }, { 111, 500 },
		{ 127, 500 },
	};

	return (int)look_up(table, sizeof table / sizeof *table, cause, 500);
}

unsigned status_to_cause(int status)
{
	static const struct cause_status table[] = {
		{ 400, 41 }, { 401, 21 }, { 402, 21 }, { 403, 21 }, { 404, 1 }, { 405, 63 }, { 406, 79 }, { 407, 21 },
		{ 408, 102 },
		{ 410, 22 }, { 413, 127 }, { 414, 127 }, { 415, 79 }, { 416, 127 }, { 420, 127 }, { 421, 127 },
		{ 423, 127 },
		{ 480, 18 }, { 481, 41 }, { 482, 25 }, { 483, 25 }, { 484, 28 }, { 485, 1 }, { 486, 17 }, { 487, 16 },
		{ 488, 31 },
		{ 500, 41 }, { 501, 79 }, { 502, 38 }, { 503, 41 }, { 504, 102 }, { 505, 127 }, { 513, 127 },
		{ 600, 17 },
		{ 603, 21 }, { 604, 1 }, { 606, 31 },
	};

	return look_up(table, sizeof table / sizeof *table, (unsigned)status, ISUP_CAUSE_NORMAL_UNSPECIFIED);
}

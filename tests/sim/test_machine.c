/*
 * State machines, and the run they live in: clock, causes, stopping.
 */
#include <check.h>
#include <stdlib.h>

#include "sim/machine.h"
#include "sim/node.h"

enum { IDLE, RINGING, TALKING, STATES };
enum { DIAL, ANSWER, HANGUP, EVENTS };

static const char *const state_names[STATES] = { "Idle", "Ringing", "Talking" };
static const char *const event_names[EVENTS] = { "dial", "answer", "hangup" };

struct seen {
	unsigned steps, actions, changes;
	unsigned before, event, after, state_in_action;
	bool refused;
	void *ctx;
	const struct machine *machine;
	const void *changed;
};

static void act(struct node *node, struct machine *machine, void *ctx)
{
	struct seen *seen = node->sim->user;

	seen->actions++;
	seen->state_in_action = machine->state;
	seen->ctx = ctx;
}

/* Takes the next event from within: legal, as the new state already stands. */
static void act_and_hang_up(struct node *node, struct machine *machine, void *ctx)
{
	act(node, machine, ctx);
	ck_assert(machine_event(node, machine, HANGUP, ctx));
}

static const struct machine_cell cells[STATES * EVENTS] = {
	[IDLE * EVENTS + DIAL] = { true, RINGING, act },
	[RINGING * EVENTS + ANSWER] = { true, TALKING, act_and_hang_up },
	[RINGING * EVENTS + HANGUP] = { true, IDLE, NULL },
	[TALKING * EVENTS + HANGUP] = { true, IDLE, act },
};
static const struct machine_def def = {
	.name = "phone",
	.doc = "a telephone",
	.states = state_names,
	.events = event_names,
	.state_count = STATES,
	.event_count = EVENTS,
	.cells = cells,
};

static void on_step(void *ctx, const struct node *node, const struct machine *machine, unsigned before, unsigned event,
                    unsigned after, bool refused)
{
	struct seen *seen = ctx;

	(void)node;
	seen->steps++;
	seen->machine = machine;
	seen->before = before;
	seen->event = event;
	seen->after = after;
	seen->refused = refused;
}

static const struct trace_ops step_ops = { .step = on_step };

static void on_changed(struct sim *sim, const void *object)
{
	struct seen *seen = sim->user;

	seen->changes++;
	seen->changed = object;
}

/* Every cell: legal or refused, next state, action, record. */
START_TEST(test_table)
{
	static const struct {
		unsigned state, event;
		bool legal;
		unsigned after, steps, actions;
	} row[] = {
		{ IDLE, DIAL, true, RINGING, 1, 1 },       { IDLE, ANSWER, false, IDLE, 1, 0 },
		{ IDLE, HANGUP, false, IDLE, 1, 0 },       { RINGING, DIAL, false, RINGING, 1, 0 },
		{ RINGING, ANSWER, true, IDLE, 2, 2 },     { RINGING, HANGUP, true, IDLE, 1, 0 },
		{ TALKING, DIAL, false, TALKING, 1, 0 },   { TALKING, ANSWER, false, TALKING, 1, 0 },
		{ TALKING, HANGUP, true, IDLE, 1, 1 },
	};
	struct sim *sim = sim_new(1, SIM_DEFAULT_EPOCH_S);
	struct node *node = node_new(sim, "alice");
	struct seen seen;
	int ctx;

	sim->user = &seen;
	sim->changed = on_changed;
	trace_attach(sim, &step_ops, &seen, TRACE_STEP);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct machine machine;

		seen = (struct seen){ 0 };
		machine_start(&machine, &def, row[i].state);
		ck_assert_str_eq(machine_state_name(&machine), state_names[row[i].state]);
		ck_assert_msg(machine_event(node, &machine, row[i].event, &ctx) == row[i].legal, "row %zu", i);
		ck_assert_msg(machine.state == row[i].after, "row %zu: state %u", i, machine.state);
		ck_assert_msg(seen.steps == row[i].steps && seen.actions == row[i].actions, "row %zu: %u steps, %u actions", i,
		              seen.steps, seen.actions);
		ck_assert_msg(seen.changes == (row[i].legal ? row[i].steps : 0), "row %zu: %u changes", i, seen.changes);
		ck_assert_ptr_eq(seen.machine, &machine);
		ck_assert(seen.refused == !row[i].legal);
		ck_assert_uint_eq(seen.after, row[i].after);
		if (row[i].steps == 1) {
			ck_assert_uint_eq(seen.before, row[i].state);
			ck_assert_uint_eq(seen.event, row[i].event);
		}
		if (row[i].legal)
			ck_assert_ptr_eq(seen.changed, node);
		if (row[i].actions == 1) {
			ck_assert_uint_eq(seen.state_in_action, row[i].after);
			ck_assert_ptr_eq(seen.ctx, &ctx);
		}
	}
	sim_free(sim);
}
END_TEST

/* The run */

struct probe {
	struct event event, next;
	struct event *victim;
	unsigned fired;
	sim_ns at_ns;
	uint64_t cause;
	const char *timer;
	bool stop;
};

static void note(struct sim *sim, struct probe *probe)
{
	probe->fired++;
	probe->at_ns = sim->now_ns;
	probe->cause = sim->cause;
	probe->timer = sim->cause_timer;
}

static void fire(struct sim *sim, struct event *event)
{
	struct probe *probe = event_owner(event, struct probe, event);

	ck_assert(!event_pending(event));
	note(sim, probe);
	if (probe->stop)
		sim_stop(sim);
	if (probe->victim)
		sim_cancel(sim, probe->victim);
}

static void fire_next(struct sim *sim, struct event *event)
{
	note(sim, event_owner(event, struct probe, next));
}

static void fire_chain(struct sim *sim, struct event *event)
{
	struct probe *probe = event_owner(event, struct probe, event);

	note(sim, probe);
	sim_after(sim, &probe->next, 5, fire_next, "chain.next");
}

START_TEST(test_clock)
{
	struct sim *sim = sim_new(1, SIM_DEFAULT_EPOCH_S);
	struct probe a = { 0 }, b = { 0 };

	sim_run(sim, 10);
	ck_assert_int_eq(sim->now_ns, 10);
	sim_at(sim, &a.event, 30, fire, "a");
	sim_after(sim, &b.event, 30, fire, NULL);
	sim_run(sim, 29);
	ck_assert_int_eq(sim->now_ns, 29);
	ck_assert_uint_eq(a.fired, 0);
	sim_run(sim, 30);
	ck_assert_uint_eq(a.fired, 1);
	ck_assert_str_eq(a.timer, "a");
	ck_assert_uint_eq(b.fired, 0);
	sim_run(sim, SIM_NEVER);
	ck_assert_int_eq(b.at_ns, 40);
	ck_assert_ptr_null(b.timer);
	ck_assert_int_eq(sim->now_ns, 40); /* the queue is empty: where the last event was */
	ck_assert_uint_eq(sim->events_fired, 2);
	sim_run(sim, NS_PER_S + 2 * NS_PER_US + 1);
	ck_assert_int_eq(sim_unix_s(sim), SIM_DEFAULT_EPOCH_S + 1);
	ck_assert_int_eq(sim_unix_us(sim), 2);
	sim_free(sim);
}
END_TEST

/* Later than time can say is never: nothing wraps, nothing fires, and the clock stops short of it. */
START_TEST(test_never)
{
	struct sim *sim = sim_new(1, 0);
	struct probe a = { 0 }, b = { 0 }, c = { 0 };

	sim_run(sim, 10);
	sim_after(sim, &a.event, SIM_NEVER, fire, "a");
	sim_after(sim, &b.event, SIM_NEVER - 10, fire, "b");
	sim_after(sim, &c.event, SIM_NEVER - 11, fire, "c");
	ck_assert_int_eq(a.event.at_ns, SIM_NEVER);
	sim_run(sim, SIM_NEVER);
	ck_assert_uint_eq(a.fired + b.fired, 0);
	ck_assert_uint_eq(c.fired, 1);
	ck_assert_int_eq(sim->now_ns, SIM_NEVER - 1);
	sim_cancel(sim, &a.event);
	sim_cancel(sim, &b.event);
	sim_free(sim);
}
END_TEST

START_TEST(test_ties_fire_in_order_and_cancel)
{
	struct sim *sim = sim_new(1, 0);
	struct probe a = { 0 }, b = { 0 }, c = { 0 };

	sim_at(sim, &a.event, 5, fire, "a");
	sim_at(sim, &b.event, 5, fire, "b");
	sim_at(sim, &c.event, 5, fire, "c");
	a.victim = &b.event;
	c.victim = &b.event; /* not pending any more: harmless */
	sim_run(sim, SIM_NEVER);
	ck_assert_uint_eq(a.fired, 1);
	ck_assert_uint_eq(b.fired, 0);
	ck_assert_uint_eq(c.fired, 1);
	sim_free(sim);
}
END_TEST

START_TEST(test_stop)
{
	struct sim *sim = sim_new(1, 0);
	struct probe a = { .stop = true }, b = { 0 };

	sim_at(sim, &a.event, 5, fire, "a");
	sim_at(sim, &b.event, 5, fire, "b");
	sim_run(sim, 100);
	ck_assert_int_eq(sim->now_ns, 5);
	ck_assert_uint_eq(b.fired, 0);
	sim_run(sim, 100);
	ck_assert_uint_eq(b.fired, 1);
	ck_assert_int_eq(sim->now_ns, 100);
	sim_free(sim);
}
END_TEST

/* What an event schedules is a consequence of the same message; each handler hears the name of its own timer. */
START_TEST(test_cause)
{
	struct sim *sim = sim_new(1, 0);
	struct probe a = { 0 }, b = { 0 };

	sim->cause = 42;
	sim_at(sim, &a.event, 5, fire_chain, "chain");
	sim->cause = 0;
	sim_at(sim, &b.event, 7, fire, "b");
	sim_run(sim, 6);
	ck_assert_uint_eq(a.cause, 42);
	ck_assert_str_eq(a.timer, "chain");
	ck_assert_uint_eq(sim->cause, 0);
	ck_assert_ptr_null(sim->cause_timer);
	sim_run(sim, SIM_NEVER);
	ck_assert_uint_eq(b.cause, 0);
	ck_assert_uint_eq(a.fired, 2);
	ck_assert_int_eq(a.at_ns, 10);
	ck_assert_uint_eq(a.cause, 42);
	ck_assert_str_eq(a.timer, "chain.next");
	sim_free(sim);
	sim_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine");
	TCase *machine = tcase_create("machine"), *run = tcase_create("run");
	SRunner *runner;
	int failed;

	tcase_add_test(machine, test_table);
	suite_add_tcase(suite, machine);
	tcase_add_test(run, test_clock);
	tcase_add_test(run, test_never);
	tcase_add_test(run, test_ties_fire_in_order_and_cancel);
	tcase_add_test(run, test_stop);
	tcase_add_test(run, test_cause);
	suite_add_tcase(suite, run);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

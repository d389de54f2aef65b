/*
 * A state machine's table, cell by cell, against what a test expects of it. A letter a cell: the first of the next
 * state's name, small where the cell has an action; '.' for what is not in the table: there the event is refused, the
 * refusal recorded, and the state stays. Rows are states, columns events.
 */
#ifndef TOLLGATE_TESTS_MODELS_TABLE_WALK_H
#define TOLLGATE_TESTS_MODELS_TABLE_WALK_H

#include <check.h>
#include <ctype.h>
#include <string.h>
#include "sim/machine.h"
#include "sim/node.h"
#include "sim/sim.h"
#include "sim/trace.h"

#define WALK_CELLS_MAX 64

struct walk_book {
	unsigned refused, taken;
	unsigned before, event, after; /* of the last step */
};

static inline void walk_step(void *ctx, const struct node *node, const struct machine *machine, unsigned before,
                             unsigned event, unsigned after, bool refused)
{
	struct walk_book *b = ctx;

	(void)node, (void)machine;
	b->refused += refused;
	b->taken += !refused;
	b->before = before;
	b->event = event;
	b->after = after;
}

/* letters: of the states, in their order. */
static inline void table_walk(const struct machine_def *def, const char *const *expected, const char *letters)
{
	static const struct trace_ops ops = { .step = walk_step };
	struct machine_cell bare[WALK_CELLS_MAX]; /* without actions, which need a model */
	struct machine_def copy = *def;
	struct walk_book book = { .refused = 0 };
	struct sim *sim = sim_new(1, SIM_DEFAULT_EPOCH_S);
	struct node *node = node_new(sim, "n");
	struct machine m;

	ck_assert_uint_le(def->state_count * def->event_count, WALK_CELLS_MAX);
	ck_assert_uint_eq(strlen(letters), def->state_count);
	for (unsigned i = 0; i < def->state_count * (unsigned)def->event_count; i++)
		bare[i] = (struct machine_cell){ def->cells[i].legal, def->cells[i].next, NULL };
	copy.cells = bare;
	trace_attach(sim, &ops, &book, TRACE_STEP);
	for (unsigned s = 0; s < def->state_count; s++) {
		ck_assert_uint_eq(strlen(expected[s]), def->event_count);
		for (unsigned e = 0; e < def->event_count; e++) {
			char want = expected[s][e];
			bool legal = want != '.';
			unsigned next = legal ? (unsigned)(strchr(letters, toupper((unsigned char)want)) - letters) : s;
			struct walk_book before = book;

			machine_start(&m, &copy, s);
			ck_assert_msg(machine_event(node, &m, e, NULL) == legal, "%s, %s", def->states[s], def->events[e]);
			ck_assert_msg(m.state == next, "%s, %s: %s", def->states[s], def->events[e], def->states[m.state]);
			ck_assert_uint_eq(book.refused - before.refused, !legal);
			ck_assert_uint_eq(book.taken - before.taken, legal);
			ck_assert_msg(book.before == s && book.event == e && book.after == next, "%s, %s: recorded otherwise",
			              def->states[s], def->events[e]);
			ck_assert_msg((def->cells[s * def->event_count + e].action != NULL) == (islower((unsigned char)want) != 0),
			              "%s, %s: action", def->states[s], def->events[e]);
		}
	}
	sim_free(sim);
}

#endif

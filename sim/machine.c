/*
 * State machines as tables. machine_event() is the one place where a state changes.
 */
#include "sim/machine.h"

#include <assert.h>

#include "sim/node.h"

void machine_start(struct machine *machine, const struct machine_def *def, unsigned state)
{
	assert(state < def->state_count);
	machine->def = def;
	machine->state = (uint8_t)state;
}

bool machine_event(struct node *node, struct machine *machine, unsigned event, void *ctx)
{
	const struct machine_def *def = machine->def;
	const struct machine_cell *cell;
	struct sim *sim = node->sim;
	unsigned before = machine->state;

	assert(event < def->event_count);
	cell = &def->cells[before * def->event_count + event];
	if (!cell->legal) {
		trace_step(node, machine, before, event, before, true);
		return false;
	}
	assert(cell->next < def->state_count);
	machine->state = cell->next;
	trace_step(node, machine, before, event, cell->next, false);
	if (cell->action)
		cell->action(node, machine, ctx); /* may end the machine's owner */
	sim_changed(sim, node);
	return true;
}

const char *machine_state_name(const struct machine *machine)
{
	return machine->def->states[machine->state];
}

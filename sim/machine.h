/*
 * State machines as tables: state x event -> next state and action. One function changes a state, checks it against the
 * table and reports it. A cell that is not in the table is a refusal: it is recorded and the state stays.
 */
#ifndef TOLLGATE_SIM_MACHINE_H
#define TOLLGATE_SIM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct node;
struct machine;

/* Done on a transition, after the new state stands. ctx is machine_event()'s. */
typedef void machine_action(struct node *node, struct machine *machine, void *ctx);

struct machine_cell {
	bool legal;
	uint8_t next;
	machine_action *action; /* may be NULL */
};

struct machine_def {
	const char *name; /* "telephony" */
	const char *doc;
	const char *const *states;
	const char *const *events;
	uint8_t state_count, event_count;
	const struct machine_cell *cells; /* [state * event_count + event] */
};

struct machine {
	const struct machine_def *def;
	uint8_t state;
};

/* Puts the machine into its first state without an event (creation). */
void machine_start(struct machine *machine, const struct machine_def *def, unsigned state);
/* Takes an event. False when the cell is not in the table: recorded, nothing changed. */
bool machine_event(struct node *node, struct machine *machine, unsigned event, void *ctx);
const char *machine_state_name(const struct machine *machine);

#endif

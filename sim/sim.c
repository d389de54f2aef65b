/*
 * One simulation: its clock and its loop.
 *
 * sim_run() is the hot loop of everything: it takes the next event, moves the clock, says whose consequence the event is
 * and fires it. Nothing else moves the clock.
 */
#include "sim/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/internal.h"

struct sim *sim_new(uint64_t seed, int64_t epoch_s)
{
	struct sim *sim = sim_alloc(sizeof(*sim));

	sim->seed = seed;
	sim->epoch_s = epoch_s;
	sim->queue = equeue_new();
	sim->nodes_tail = &sim->nodes;
	sim->links_tail = &sim->links;
	sim->next_tag = 1;
	return sim;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	node_free_all(sim);
	link_free_all(sim);
	packet_pool_free(sim);
	equeue_free(sim->queue);
	free(sim);
}

void sim_at(struct sim *sim, struct event *event, sim_ns at_ns, event_fn *fire, const char *timer)
{
	assert(at_ns >= sim->now_ns);
	event->at_ns = at_ns;
	event->seq = sim->next_seq++;
	event->fire = fire;
	event->timer = timer;
	event->cause = sim->cause;
	equeue_push(sim->queue, event);
}

void sim_cancel(struct sim *sim, struct event *event)
{
	if (event_pending(event))
		equeue_cancel(sim->queue, event);
}

void sim_run(struct sim *sim, sim_ns until_ns)
{
	sim_ns last_ns = until_ns < SIM_NEVER ? until_ns : SIM_NEVER - 1;
	struct event *event;

	assert(until_ns >= sim->now_ns);
	sim->stopping = false;
	while (!sim->stopping && (event = equeue_pop_until(sim->queue, last_ns)) != NULL) {
		sim->now_ns = event->at_ns;
		sim->cause = event->cause;
		sim->cause_timer = event->timer;
		sim->events_fired++;
		event->fire(sim, event); /* may free the event */
	}
	sim->cause = 0;
	sim->cause_timer = NULL;
	if (!sim->stopping && until_ns != SIM_NEVER)
		sim->now_ns = until_ns;
}

void sim_stop(struct sim *sim)
{
	sim->stopping = true;
}

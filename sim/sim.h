/*
 * One simulation: its clock, its queue, its streams, its nodes, its observers. All state of a run hangs here.
 *
 * Invariants: now_ns never goes back; events fire in (time, sequence); nothing here reads a wall clock.
 */
#ifndef TOLLGATE_SIM_SIM_H
#define TOLLGATE_SIM_SIM_H

#include "sim/event.h"
#include "sim/rng.h"
#include "sim/trace.h"

/* 2000-04-10T00:00:00Z, the filing day of the patent's parent application. */
#define SIM_DEFAULT_EPOCH_S INT64_C(955324800)

struct packet;

struct sim {
	sim_ns now_ns;
	uint64_t next_seq;
	struct equeue *queue;
	uint64_t seed;
	int64_t epoch_s;         /* Unix time of now_ns == 0 */
	uint64_t cause;          /* tag of the message being handled, 0 outside one */
	const char *cause_timer; /* name of the timer being handled, or NULL */
	bool stopping;

	struct node *nodes, **nodes_tail; /* in order of creation */
	size_t node_count;
	struct link *links, **links_tail;

	struct packet *free_packets; /* pool, see packet.h */
	size_t packets_live;

	unsigned trace_mask; /* union of what the observers want */
	struct trace_observer observers[TRACE_OBSERVERS_MAX];
	unsigned observer_count;
	uint64_t next_tag;
	struct trace_message *sending; /* the message being announced */

	void *crypto;   /* the run's struct crypto, opaque here: set by whoever builds the run */
	void *user;     /* the scenario host's */
	void (*changed)(struct sim *sim, const void *object); /* the host's: something a scenario may wait for has changed */
	uint64_t events_fired;
};

/* A new run. Aborts when memory runs out. */
struct sim *sim_new(uint64_t seed, int64_t epoch_s);
/* Destroys all nodes, links and packets; observers are the caller's. */
void sim_free(struct sim *sim);

/*
 * Schedules an event that is not pending; at_ns >= now. timer names it for the record (static string) or is NULL. One
 * for SIM_NEVER, or after a delay that reaches so far, stays pending and never fires.
 */
void sim_at(struct sim *sim, struct event *event, sim_ns at_ns, event_fn *fire, const char *timer);
static inline void sim_after(struct sim *sim, struct event *event, sim_ns delay_ns, event_fn *fire, const char *timer)
{
	sim_at(sim, event, sim_later(sim->now_ns, delay_ns), fire, timer);
}
/* Cancels an event if it is pending; harmless otherwise. */
void sim_cancel(struct sim *sim, struct event *event);
/* Fires events until the queue is empty, sim_stop() is called or the next event lies after until_ns (now becomes until_ns). */
void sim_run(struct sim *sim, sim_ns until_ns);
void sim_stop(struct sim *sim);

/* Virtual wall-clock time: Unix seconds, and the microseconds within. */
static inline int64_t sim_unix_s(const struct sim *sim)
{
	return sim->epoch_s + sim->now_ns / NS_PER_S;
}
static inline int32_t sim_unix_us(const struct sim *sim)
{
	return (int32_t)(sim->now_ns % NS_PER_S / NS_PER_US);
}

static inline bool trace_wants(const struct sim *sim, enum trace_kind kind)
{
	return (sim->trace_mask & kind) != 0;
}

/* Tells the scenario host that an attribute of object (a node, a call, ...) may have changed. */
static inline void sim_changed(struct sim *sim, const void *object)
{
	if (sim->changed)
		sim->changed(sim, object);
}

/* Memory that cannot be had ends the program: a simulation that lost an object has no meaning. Never returns NULL. */
void *sim_alloc(size_t size); /* zeroed */
void *sim_realloc(void *old, size_t size);
char *sim_strdup(const char *s);

#endif

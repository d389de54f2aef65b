/*
 * The event queue: what happens next in virtual time.
 *
 * Events are intrusive: their owner embeds a struct event (a packet its delivery, a connection its timer), so
 * scheduling never allocates. The order is (at_ns, seq), both set by the owner of the queue before a push; seq grows
 * from push to push, so the order is total and cannot depend on addresses or on the shape of the queue.
 *
 * Invariant: an event is in the queue exactly when event_pending() says so; its owner may not free it then. A zeroed
 * event is not pending. Once cancelled it is the owner's again at once: to be freed, or pushed with another time.
 */
#ifndef TOLLGATE_SIM_EVENT_H
#define TOLLGATE_SIM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Virtual time in nanoseconds since the start of the run. Never negative. */
typedef int64_t sim_ns;

#define SIM_NEVER INT64_MAX
#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

/* delay_ns after at_ns, neither of them negative; SIM_NEVER when time cannot say it. */
static inline sim_ns sim_later(sim_ns at_ns, sim_ns delay_ns)
{
	sim_ns later_ns;

	return __builtin_add_overflow(at_ns, delay_ns, &later_ns) ? SIM_NEVER : later_ns;
}

struct sim;
struct event;

typedef void event_fn(struct sim *sim, struct event *event);

struct event {
	sim_ns at_ns;
	uint64_t seq;
	event_fn *fire;
	const char *timer;   /* name of the timer, for the record; NULL for a packet under way */
	uint64_t cause;      /* tag of the message during whose handling this was scheduled */
	uint32_t place;      /* the queue's own: its handle + 1 while it is queued, 0 when it is not */
};

static inline bool event_pending(const struct event *event)
{
	return event->place != 0;
}

/* The object of TYPE that embeds the event EV as MEMBER. */
#define event_owner(ev, type, member) ((type *)(void *)((char *)(ev) - offsetof(type, member)))

struct equeue;

/* An empty queue. Aborts when memory runs out. Owned by the caller, freed by equeue_free(). */
struct equeue *equeue_new(void);
/* Frees the queue, not the events still in it, which it does not touch. NULL is harmless. */
void equeue_free(struct equeue *q);
/* Adds an event that is not pending and whose at_ns (>= 0) and seq are set. O(1) amortised. */
void equeue_push(struct equeue *q, struct event *event);
/* Removes and returns the first event by (at_ns, seq), NULL when empty. */
struct event *equeue_pop(struct equeue *q);
/* The same, but leaves an event after until_ns where it is and returns NULL. */
struct event *equeue_pop_until(struct equeue *q, sim_ns until_ns);
/* The time of the first event, SIM_NEVER when empty. */
sim_ns equeue_peek_ns(struct equeue *q);
/* Removes a pending event. O(1) amortised; the queue does not look at it again. */
void equeue_cancel(struct equeue *q, struct event *event);
/* How many events are pending. */
size_t equeue_count(const struct equeue *q);

#endif

/*
 * The event queue: push, pop and cancel. How it is built and its invariants stand in event_queue.h.
 */
#include "sim/event_queue.h"

#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define HANDLES_MIN 256u
#define SWEEP_MIN 4096u         /* marked entries worth a sweep */
#define NUMBER_FIRST (UINT32_MAX - 20000) /* near the end, so that every longer run proves that renumbering works */

struct equeue *equeue_new(void)
{
	struct equeue *q = sim_alloc(sizeof(*q));

	q->next_number = NUMBER_FIRST;
	return q;
}

void equeue_free(struct equeue *q)
{
	if (!q)
		return;
	while (q->slabs) {
		struct slab *slab = q->slabs;

		q->slabs = slab->next;
		free(slab);
	}
	for (unsigned i = 0; i < RUNGS_MAX; i++)
		free(q->rung[i].bucket);
	free(q->bottom);
	free(q->marked);
	free(q->free_handles);
	free(q->scratch);
	free(q);
}

size_t equeue_count(const struct equeue *q)
{
	return q->live;
}

/* Makes more handles, the lowest to be taken first. */
static void handles_grow(struct equeue *q)
{
	uint32_t old = q->handle_capacity, capacity = old ? 2 * old : HANDLES_MIN;

	assert(capacity > old && q->free_handle_count == 0);
	q->marked = sim_realloc(q->marked, capacity / 8);
	memset((uint8_t *)q->marked + old / 8, 0, (capacity - old) / 8);
	q->free_handles = sim_realloc(q->free_handles, capacity * sizeof(*q->free_handles));
	q->handle_capacity = capacity;
	while (capacity > old)
		q->free_handles[q->free_handle_count++] = --capacity;
}

/* True when the bottom is all there is, and few: sorting those one by one is cheaper than the way down the ladder. */
static inline bool only_bottom(const struct equeue *q)
{
	return q->rungs == 0 && q->top.count == 0 && q->tail - q->head < FEW;
}

/* A push that numbers or handles have run out for. */
static RARELY void push_after_growth(struct equeue *q, struct event *event)
{
	if (q->next_number == UINT32_MAX)
		equeue_renumber(q);
	if (q->free_handle_count == 0)
		handles_grow(q);
	equeue_push(q, event);
}

void equeue_push(struct equeue *q, struct event *event)
{
	uint64_t at = (uint64_t)event->at_ns;
	struct entry entry;

	assert(!event_pending(event) && event->at_ns >= 0 && event->seq >= q->seq_floor);
	if (q->next_number == UINT32_MAX || q->free_handle_count == 0) {
		push_after_growth(q, event);
		return;
	}
	entry = (struct entry){ at, event, q->next_number++, q->free_handles[--q->free_handle_count] };
	event->place = entry.handle + 1;
	q->seq_floor = event->seq + 1;
	q->live++;
	if (at >= q->top_start) {
		if (!only_bottom(q)) {
			top_add(q, entry);
			return;
		}
		q->top_start = at + 1; /* the bottom reaches further */
	}
	for (uint32_t i = 0; i < q->rungs; i++) {
		if (at >= q->rung[i].current_start) {
			rung_add(q, &q->rung[i], entry);
			return;
		}
	}
	if (q->tail < q->capacity && (q->head == q->tail || at >= q->bottom[q->tail - 1].at))
		entry_copy(&q->bottom[q->tail++], entry);
	else
		equeue_bottom_add(q, at, event, entry.number, entry.handle);
}

/* Brings the first entry that is not cancelled to the head of the bottom. False: nothing is pending. */
static RARELY bool settle(struct equeue *q)
{
	for (;;) {
		if (q->head == q->tail && !equeue_refill(q))
			return false;
		if (!entry_bury(q, &q->bottom[q->head]))
			return true;
		q->head++;
	}
}

/* True when there is nothing to settle() first. */
static inline bool settled(const struct equeue *q)
{
	return q->head < q->tail && (q->dead == 0 || !handle_is_marked(q, q->bottom[q->head].handle));
}

static inline struct event *take_first(struct equeue *q, uint64_t until)
{
	const struct entry *entry = &q->bottom[q->head];
	struct event *event = entry->event;

	if (entry->at > until)
		return NULL;
	q->head++;
	bottom_prefetch(q, q->head + PREFETCH_AHEAD - 1);
	handle_give(q, entry->handle);
	q->live--;
	event->place = 0;
	return event;
}

static RARELY struct event *settle_and_take(struct equeue *q, uint64_t until)
{
	return settle(q) ? take_first(q, until) : NULL;
}

struct event *equeue_pop_until(struct equeue *q, sim_ns until_ns)
{
	return settled(q) ? take_first(q, (uint64_t)until_ns) : settle_and_take(q, (uint64_t)until_ns);
}

struct event *equeue_pop(struct equeue *q)
{
	return equeue_pop_until(q, SIM_NEVER);
}

sim_ns equeue_peek_ns(struct equeue *q)
{
	return settled(q) || settle(q) ? (sim_ns)q->bottom[q->head].at : SIM_NEVER;
}

/* Drops cancelled entries of a bucket. */
static void bucket_sweep(struct equeue *q, struct bucket *bucket)
{
	struct bucket old = *bucket;
	struct entry *entry;
	struct chunk *chunk;
	uint32_t count;

	*bucket = (struct bucket){ 0 };
	while ((chunk = bucket_take(&old, &entry, &count)) != NULL) {
		for (; count > 0; count--, entry++) {
			if (!entry_bury(q, entry))
				bucket_add(q, bucket, *entry);
		}
		chunk_give(q, chunk);
	}
}

static RARELY void sweep(struct equeue *q)
{
	uint32_t kept = q->head;

	for (uint32_t i = q->head; i < q->tail; i++) {
		if (!entry_bury(q, &q->bottom[i]))
			q->bottom[kept++] = q->bottom[i];
	}
	q->tail = kept;
	for (uint32_t r = 0; r < q->rungs; r++) {
		for (uint32_t i = q->rung[r].current; i < q->rung[r].buckets; i++)
			bucket_sweep(q, &q->rung[r].bucket[i]);
	}
	bucket_sweep(q, &q->top);
	assert(q->dead == 0);
}

void equeue_cancel(struct equeue *q, struct event *event)
{
	uint32_t handle = event->place - 1;

	assert(event_pending(event) && handle < q->handle_capacity);
	q->marked[handle / 64] |= UINT64_C(1) << handle % 64;
	event->place = 0;
	q->live--;
	q->dead++;
	if (q->dead >= SWEEP_MIN && q->dead > q->live)
		sweep(q);
}

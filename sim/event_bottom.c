/*
 * The bottom of the event queue: what comes next, a sorted array with room on both sides.
 *
 * Something new has the highest number of all, so it belongs behind everything that is not later.
 */
#include "sim/event_queue.h"

#include <string.h>

#include "sim/sim.h"

#define BOTTOM_CAPACITY_MIN 256u
#define NEAR 6                  /* entries at either end of the bottom that are looked at one by one */

/* Gives the bottom free entries on both sides, at least half as many as it will have with `more` entries. */
static RARELY void bottom_make_room(struct equeue *q, uint32_t more)
{
	uint32_t count = q->tail - q->head, capacity = q->capacity ? q->capacity : BOTTOM_CAPACITY_MIN, head;

	while (capacity < 2 * (count + more)) {
		assert(capacity <= UINT32_MAX / 2);
		capacity *= 2;
	}
	if (capacity != q->capacity)
		q->bottom = sim_realloc(q->bottom, capacity * sizeof(*q->bottom));
	q->capacity = capacity;
	head = (capacity - count - more) / 2;
	memmove(q->bottom + head, q->bottom + q->head, count * sizeof(*q->bottom));
	q->head = head;
	q->tail = head + count;
}

void equeue_bottom_reserve(struct equeue *q, uint32_t count)
{
	q->head = q->tail = 0;
	if (q->capacity < 2 * (size_t)count)
		bottom_make_room(q, count);
	q->head = q->tail = (q->capacity - count) / 2;
}

void equeue_bottom_append(struct equeue *q, struct bucket *bucket, uint64_t *low, uint64_t *high)
{
	struct entry *to = q->bottom + q->tail, *entry;
	struct chunk *chunk;
	uint32_t count;

	while ((chunk = bucket_take(bucket, &entry, &count)) != NULL) {
		for (; count > 0; count--, entry++) {
			if (q->dead > 0 && entry_bury(q, entry))
				continue;
			*low = entry->at < *low ? entry->at : *low;
			*high = entry->at > *high ? entry->at : *high;
			*to++ = *entry;
		}
		chunk_give(q, chunk);
	}
	q->tail = (uint32_t)(to - q->bottom);
}

void equeue_bottom_sort(struct equeue *q, uint64_t low, uint64_t high)
{
	equeue_sort(q, q->bottom + q->head, q->tail - q->head, low, high);
	for (uint32_t i = q->head; i < q->head + PREFETCH_AHEAD; i++)
		bottom_prefetch(q, i);
}

/* Where in the bottom something new belongs: after everything that is not later, as its number is the highest. */
static uint32_t bottom_place(const struct equeue *q, uint64_t at)
{
	uint32_t low = q->head, high = q->tail;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (at < q->bottom[middle].at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Opens a gap at `place` by moving the shorter side. */
static void bottom_insert(struct equeue *q, uint32_t place, struct entry entry)
{
	struct entry *bottom;

	if (q->head == 0 || q->tail == q->capacity) {
		uint32_t offset = place - q->head;

		bottom_make_room(q, 1);
		place = q->head + offset;
	}
	bottom = q->bottom;
	if (place - q->head < q->tail - place) {
		memmove(bottom + q->head - 1, bottom + q->head, (place - q->head) * sizeof(*bottom));
		q->head--;
		place--;
	} else {
		memmove(bottom + place + 1, bottom + place, (q->tail - place) * sizeof(*bottom));
		q->tail++;
	}
	bottom[place] = entry;
}

static RARELY void bottom_add_far(struct equeue *q, uint64_t at, struct event *event, uint32_t number,
                                  uint32_t handle)
{
	struct entry entry = { at, event, number, handle };
	uint32_t place = bottom_place(q, entry.at);
	uint32_t moved = min_u32(place - q->head, q->tail - place);

	bottom_insert(q, place, entry);
	if (moved > load_max(q) && q->bottom[q->head].at != q->bottom[q->tail - 1].at)
		equeue_bottom_split(q);
}

/* For what is not the last. Mostly it belongs near one end, where its neighbours are moved one by one. */
void equeue_bottom_add(struct equeue *q, uint64_t at, struct event *event, uint32_t number, uint32_t handle)
{
	struct entry *head, *tail, *place, entry = { at, event, number, handle };

	if (q->head == 0 || q->tail == q->capacity)
		bottom_make_room(q, 1);
	head = place = q->bottom + q->head;
	tail = q->bottom + q->tail;
	if (head == tail || at >= q->bottom[q->head + (q->tail - q->head) / 2].at) {
		for (place = tail; place > head && at < place[-1].at && tail - place < NEAR;)
			place--;
		if (place == head || at >= place[-1].at) {
			for (struct entry *to = tail; to > place; to--)
				entry_copy(to, to[-1]);
			entry_copy(place, entry);
			q->tail++;
			return;
		}
	} else {
		for (; at >= place->at && place - head < NEAR;)
			place++;
		if (at < place->at) {
			for (struct entry *to = head; to < place; to++)
				entry_copy(to - 1, *to);
			entry_copy(place - 1, entry);
			q->head--;
			return;
		}
	}
	bottom_add_far(q, at, event, number, handle);
}

/*
 * The oracle of the event queue: a 4-ary heap, simple enough to be right by inspection.
 *
 * It keeps copies of keys and the index of the test's event, so it shares nothing with the queue under test, not even
 * struct event.
 */
#ifndef TOLLGATE_TESTS_HEAP_ORACLE_H
#define TOLLGATE_TESTS_HEAP_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_item {
	int64_t at_ns;
	uint64_t seq;
	size_t id;
};

struct heap_oracle {
	struct heap_item *item; /* the test's array, with room for all */
	size_t *position;       /* by id: where it is in the heap; kept so that a large heap can be cancelled from */
	size_t count;
};

static inline bool heap_before(const struct heap_item *a, const struct heap_item *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static inline void heap_set(struct heap_oracle *heap, size_t i, struct heap_item item)
{
	heap->item[i] = item;
	heap->position[item.id] = i;
}

static inline void heap_up(struct heap_oracle *heap, size_t i, struct heap_item item)
{
	while (i > 0 && heap_before(&item, &heap->item[(i - 1) / 4])) {
		heap_set(heap, i, heap->item[(i - 1) / 4]);
		i = (i - 1) / 4;
	}
	heap_set(heap, i, item);
}

static inline void heap_down(struct heap_oracle *heap, size_t i, struct heap_item item)
{
	for (;;) {
		size_t least = 4 * i + 1;

		if (least >= heap->count)
			break;
		for (size_t child = least + 1; child < heap->count && child <= 4 * i + 4; child++) {
			if (heap_before(&heap->item[child], &heap->item[least]))
				least = child;
		}
		if (!heap_before(&heap->item[least], &item))
			break;
		heap_set(heap, i, heap->item[least]);
		i = least;
	}
	heap_set(heap, i, item);
}

static inline void heap_push(struct heap_oracle *heap, struct heap_item item)
{
	heap_up(heap, heap->count++, item);
}

static inline void heap_remove_at(struct heap_oracle *heap, size_t i)
{
	struct heap_item last = heap->item[--heap->count];

	if (i == heap->count)
		return;
	if (i > 0 && heap_before(&last, &heap->item[(i - 1) / 4]))
		heap_up(heap, i, last);
	else
		heap_down(heap, i, last);
}

static inline void heap_cancel(struct heap_oracle *heap, size_t id)
{
	heap_remove_at(heap, heap->position[id]);
}

/* False when empty. */
static inline bool heap_pop(struct heap_oracle *heap, struct heap_item *out)
{
	if (heap->count == 0)
		return false;
	*out = heap->item[0];
	heap_remove_at(heap, 0);
	return true;
}

#endif

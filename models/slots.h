/*
 * Small items of one size, each with a number: less memory for an item than one allocation each, and four bytes for a
 * link between two. Items stay where they are; a number that was given back is given out again, the last one first.
 * The slabs stay until slots_end().
 */
#ifndef TOLLGATE_MODELS_SLOTS_H
#define TOLLGATE_MODELS_SLOTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "sim/sim.h"

#define SLOTS_PER_SLAB 64

struct slots {
	uint8_t **slabs;
	uint32_t item_size;            /* bytes: a multiple of what the item's alignment asks, 4 at least */
	uint32_t slab_count, capacity; /* capacity: of slabs */
	uint32_t used;                 /* numbers given out at least once */
	uint32_t free;                 /* the first given back, which begins with the next's number; 0: none */
};

/* The item with a number, from 1 on. */
static inline void *slots_at(const struct slots *slots, uint32_t number)
{
	return slots->slabs[(number - 1) / SLOTS_PER_SLAB] + (number - 1) % SLOTS_PER_SLAB * (size_t)slots->item_size;
}

/* Gives out an item, all zero. Never 0. */
static inline uint32_t slots_take(struct slots *slots)
{
	uint32_t number = slots->free;

	if (number) {
		memcpy(&slots->free, slots_at(slots, number), sizeof slots->free);
		memset(slots_at(slots, number), 0, slots->item_size);
		return number;
	}
	if (slots->used == slots->slab_count * SLOTS_PER_SLAB) {
		if (slots->slab_count == slots->capacity) {
			slots->capacity = slots->capacity ? slots->capacity * 2 : 4;
			slots->slabs = sim_realloc(slots->slabs, slots->capacity * sizeof *slots->slabs);
		}
		slots->slabs[slots->slab_count++] = sim_alloc(SLOTS_PER_SLAB * (size_t)slots->item_size);
	}
	return ++slots->used;
}

static inline void slots_give_back(struct slots *slots, uint32_t number)
{
	memcpy(slots_at(slots, number), &slots->free, sizeof slots->free);
	slots->free = number;
}

/* Frees all items; it can be used again. */
static inline void slots_end(struct slots *slots)
{
	for (uint32_t i = 0; i < slots->slab_count; i++)
		free(slots->slabs[i]);
	free(slots->slabs);
	*slots = (struct slots){ .item_size = slots->item_size };
}

#endif

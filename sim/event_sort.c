/*
 * The event queue's sorting. Small buckets are sorted by insertion, usual ones by spreading them over their interval in
 * one pass, the rest by merging: nothing is slower than O(n log n), whatever the times are.
 */
#include "sim/event_queue.h"

#include <string.h>

#include "sim/sim.h"

#define INSERTION_SORT_MAX 12u
#define SPREAD_SORT_MAX 1024u
#define SPREAD_CROWD 16u        /* more entries than this in one place: the spread is of no use */

static void insertion_sort(struct entry *entry, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		struct entry moving = entry[i];
		uint32_t j = i;

		for (; j > 0 && before(&moving, &entry[j - 1]); j--)
			entry[j] = entry[j - 1];
		entry[j] = moving;
	}
}

static void merge(struct entry *to, const struct entry *a, uint32_t a_count, const struct entry *b, uint32_t b_count)
{
	while (a_count > 0 && b_count > 0) {
		if (before(b, a)) {
			*to++ = *b++;
			b_count--;
		} else {
			*to++ = *a++;
			a_count--;
		}
	}
	memcpy(to, a, a_count * sizeof(*a));
	memcpy(to + a_count, b, b_count * sizeof(*b));
}

void equeue_scratch_reserve(struct equeue *q, uint32_t count)
{
	if (q->scratch_capacity >= count)
		return;
	q->scratch = sim_realloc(q->scratch, count * sizeof(*q->scratch));
	q->scratch_capacity = count;
}

/* Bottom-up, for what cannot be spread: many events at the same time, or some that lie far apart from the rest. */
static void merge_sort(struct equeue *q, struct entry *entry, uint32_t count)
{
	struct entry *from = entry, *to;

	equeue_scratch_reserve(q, count);
	to = q->scratch;
	for (uint32_t i = 0; i < count; i += INSERTION_SORT_MAX)
		insertion_sort(entry + i, min_u32(INSERTION_SORT_MAX, count - i));
	for (uint64_t width = INSERTION_SORT_MAX; width < count; width *= 2) {
		struct entry *swap = from;

		for (uint64_t i = 0; i < count; i += 2 * width) {
			uint32_t left = count - (uint32_t)i;
			uint32_t a = width < left ? (uint32_t)width : left;
			uint32_t b = width < left - a ? (uint32_t)width : left - a;

			merge(to + i, from + i, a, from + i + a, b);
		}
		from = to;
		to = swap;
	}
	if (from != entry)
		memcpy(entry, from, count * sizeof(*entry));
}

static bool is_sorted(const struct entry *entry, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		if (before(&entry[i], &entry[i - 1]))
			return false;
	}
	return true;
}

static void reverse(struct entry *entry, uint32_t count)
{
	for (uint32_t i = 0, j = count; i + 1 < j; i++) {
		struct entry swap = entry[i];

		entry[i] = entry[--j];
		entry[j] = swap;
	}
}

/*
 * Puts each entry about where its time within [low, high] says it belongs; what is left is done by an insertion sort of
 * an almost sorted array. False, with nothing changed, when too many entries belong at one place.
 */
static bool spread_sort(struct equeue *q, struct entry *entry, uint32_t count, uint64_t low, uint64_t high)
{
	uint32_t place[SPREAD_SORT_MAX], sum = 0, crowd = 0;
	unsigned place_bits = bits(count - 1);
	unsigned shift = bits(high - low) > place_bits ? bits(high - low) - place_bits : 0;

	memset(place, 0, sizeof(*place) << place_bits);
	for (uint32_t i = 0; i < count; i++)
		place[(entry[i].at - low) >> shift]++;
	for (uint32_t i = 0; i < 1u << place_bits; i++) {
		uint32_t here = place[i];

		crowd = here > crowd ? here : crowd;
		place[i] = sum;
		sum += here;
	}
	if (crowd > SPREAD_CROWD)
		return false;
	equeue_scratch_reserve(q, count);
	memcpy(q->scratch, entry, count * sizeof(*entry));
	for (uint32_t i = 0; i < count; i++)
		entry[place[(q->scratch[i].at - low) >> shift]++] = q->scratch[i];
	insertion_sort(entry, count);
	return true;
}

/*
 * Events at the same time mostly lie in the order of their pushes, or in its reverse when they were moved an odd
 * number of times.
 */
void equeue_sort(struct equeue *q, struct entry *entry, uint32_t count, uint64_t low, uint64_t high)
{
	if (count <= INSERTION_SORT_MAX) {
		insertion_sort(entry, count);
		return;
	}
	if (low < high && count <= SPREAD_SORT_MAX && spread_sort(q, entry, count, low, high))
		return;
	if (before(&entry[count - 1], &entry[0]))
		reverse(entry, count);
	if (!is_sorted(entry, count))
		merge_sort(q, entry, count);
}

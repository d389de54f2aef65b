/*
 * The top and the rungs of the event queue, and how their buckets become finer and reach the bottom.
 */
#include "sim/event_queue.h"

#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define RUNG_BUCKETS_MIN 16u
#define TOP_AIM 4u              /* entries a bucket made from the top should get; later pushes will fill it further */
#define BUCKET_AIM 32u          /* entries a bucket made from another bucket should get */
#define LOAD_MIN 16u            /* entries the bottom is filled with at a time, if the rung still has them */

static RARELY void slab_add(struct equeue *q)
{
	struct slab *slab = sim_alloc(sizeof(*slab));
	struct chunk *chunk = (void *)(((uintptr_t)slab->room + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));

	slab->next = q->slabs;
	q->slabs = slab;
	for (unsigned i = SLAB_CHUNKS; i-- > 0;) {
		chunk[i].older[0] = q->free_chunks;
		q->free_chunks = &chunk[i];
	}
}

static void bucket_extend(struct equeue *q, struct bucket *bucket)
{
	struct chunk *chunk = q->free_chunks;

	if (!chunk) {
		slab_add(q);
		chunk = q->free_chunks;
	}
	q->free_chunks = chunk->older[0];
	chunk->older[0] = bucket->newest;
	for (unsigned i = 1; i < CHUNK_LINKS; i++)
		chunk->older[i] = bucket->newest ? bucket->newest->older[i - 1] : NULL;
	bucket->newest = chunk;
	bucket->room = CHUNK_ENTRIES;
}

void equeue_bucket_add_chunk(struct equeue *q, struct bucket *bucket, uint64_t at, struct event *event, uint32_t number,
                             uint32_t handle)
{
	bucket_extend(q, bucket);
	bucket->count++;
	entry_copy(&bucket->newest->entry[--bucket->room], (struct entry){ at, event, number, handle });
}

/* A new last rung of about `aim` buckets for entries in [low, high], low < high. */
static struct rung *rung_new(struct equeue *q, uint32_t aim, uint64_t low, uint64_t high)
{
	struct rung *rung = &q->rung[q->rungs++];
	uint32_t buckets = RUNG_BUCKETS_MIN;

	assert(q->rungs <= RUNGS_MAX && low < high);
	while (buckets < RUNG_BUCKETS_MAX && buckets < aim)
		buckets *= 2;
	if (!rung->bucket)
		rung->bucket = sim_alloc(RUNG_BUCKETS_MAX * sizeof(*rung->bucket));
	rung->shift = bits(high - low) > bits(buckets - 1) ? bits(high - low) - bits(buckets - 1) : 0;
	rung->buckets = (uint32_t)((high - low) >> rung->shift) + 1;
	rung->start = rung->current_start = low;
	rung->current = 0;
	return rung;
}

/* Spreads a bucket over a new rung of about `aim` buckets. The bucket is then empty. */
static void bucket_split(struct equeue *q, struct bucket *bucket, uint32_t aim, uint64_t low, uint64_t high)
{
	struct rung *rung = rung_new(q, aim, low, high);
	struct entry *entry;
	struct chunk *chunk;
	uint32_t count;

	while ((chunk = bucket_take(bucket, &entry, &count)) != NULL) {
		for (; count > 0; count--, entry++)
			rung_add(q, rung, *entry);
		chunk_give(q, chunk);
	}
}

static void bucket_range(const struct bucket *bucket, uint64_t *low, uint64_t *high)
{
	uint32_t i = bucket->room;

	*low = UINT64_MAX;
	*high = 0;
	for (const struct chunk *chunk = bucket->newest; chunk; chunk = chunk->older[0], i = 0) {
		chunk_prefetch(chunk->older[CHUNK_LINKS - 1]);
		for (; i < CHUNK_ENTRIES; i++) {
			uint64_t at = chunk->entry[i].at;

			*low = at < *low ? at : *low;
			*high = at > *high ? at : *high;
		}
	}
}

/* Moves the last rung to its next bucket that is not empty; takes the rung away and returns NULL when there is none. */
static struct bucket *rung_next(struct equeue *q)
{
	struct rung *rung = &q->rung[q->rungs - 1];

	while (rung->current < rung->buckets && rung->bucket[rung->current].count == 0)
		rung->current++;
	if (rung->current < rung->buckets)
		return &rung->bucket[rung->current];
	q->rungs--;
	return NULL;
}

/* Leaves the last rung's current bucket, which the caller has emptied or copied, for the next. */
static inline void rung_advance(struct equeue *q)
{
	struct rung *rung = &q->rung[q->rungs - 1];

	rung->bucket[rung->current++] = (struct bucket){ 0 };
	rung->current_start = rung->start + ((uint64_t)rung->current << rung->shift);
	if (rung->current == rung->buckets)
		q->rungs--;
}

/* Sorts the last rung's next buckets into the bottom; the current one is not empty and small enough. */
static void rung_load(struct equeue *q, uint32_t max)
{
	struct rung *rung = &q->rung[q->rungs - 1];
	uint64_t low = UINT64_MAX, high = 0;
	uint32_t rungs = q->rungs, enough = q->live < LOAD_MIN * LOAD_PART ? LOAD_MIN : max;

	equeue_bottom_reserve(q, max + enough);
	do {
		equeue_bottom_append(q, &rung->bucket[rung->current], &low, &high);
		rung_advance(q);
	} while (q->rungs == rungs && q->tail - q->head < enough && rung->bucket[rung->current].count <= max);
	equeue_bottom_sort(q, low, high);
	if (q->rungs == rungs)
		chunk_prefetch(rung->bucket[rung->current].newest);
}

/* Takes the last rung's current bucket, too large to be sorted lightly, and splits it, or sorts it if it cannot. */
static void rung_split(struct equeue *q)
{
	struct rung *rung = &q->rung[q->rungs - 1];
	struct bucket bucket = rung->bucket[rung->current];
	uint64_t low, high;

	rung_advance(q);
	bucket_range(&bucket, &low, &high);
	if (low < high && q->rungs < RUNGS_MAX) {
		bucket_split(q, &bucket, bucket.count / BUCKET_AIM, low, high);
		return;
	}
	equeue_bottom_reserve(q, bucket.count);
	equeue_bottom_append(q, &bucket, &low, &high);
	equeue_bottom_sort(q, low, high);
}

/* The ladder is used up: begins another with the top, which is not empty. */
static void top_split(struct equeue *q)
{
	struct bucket bucket = q->top;
	uint64_t low = q->top_min, high = q->top_max;

	q->top = (struct bucket){ 0 };
	q->top_start = high + 1;
	if (bucket.count > LOAD_SMALL && low < high) {
		bucket_split(q, &bucket, bucket.count / TOP_AIM, low, high);
		return;
	}
	equeue_bottom_reserve(q, bucket.count);
	equeue_bottom_append(q, &bucket, &low, &high);
	equeue_bottom_sort(q, low, high);
}

bool equeue_refill(struct equeue *q)
{
	while (q->head == q->tail) {
		uint32_t max = load_max(q);
		const struct bucket *bucket;

		if (q->rungs > 0) {
			bucket = rung_next(q);
			if (!bucket)
				continue;
			if (bucket->count <= max)
				rung_load(q, max);
			else
				rung_split(q);
		} else if (q->top.count > 0) {
			top_split(q);
		} else {
			return false;
		}
	}
	return true;
}

/* Puts everything back into the top, unsorted: for a ladder out of rungs, which takes a hostile order of pushes. */
static void collapse(struct equeue *q)
{
	struct entry *entry;
	struct chunk *chunk;
	uint32_t count;

	for (; q->rungs > 0; q->rungs--) {
		struct rung *rung = &q->rung[q->rungs - 1];

		for (uint32_t i = rung->current; i < rung->buckets; i++) {
			while ((chunk = bucket_take(&rung->bucket[i], &entry, &count)) != NULL) {
				for (; count > 0; count--, entry++)
					top_add(q, *entry);
				chunk_give(q, chunk);
			}
		}
	}
	for (; q->head < q->tail; q->head++)
		top_add(q, q->bottom[q->head]);
	q->top_start = 0;
}

void equeue_bottom_split(struct equeue *q)
{
	struct rung *rung;

	if (q->rungs == RUNGS_MAX) {
		collapse(q);
		return;
	}
	rung = rung_new(q, (q->tail - q->head) / BUCKET_AIM, q->bottom[q->head].at, q->bottom[q->tail - 1].at);
	for (; q->head < q->tail; q->head++)
		rung_add(q, rung, q->bottom[q->head]);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct entry *)a)->number, y = ((const struct entry *)b)->number;

	return x < y ? -1 : x > y;
}

void equeue_renumber(struct equeue *q)
{
	struct bucket all;
	struct entry *entry;
	struct chunk *chunk;
	uint32_t count, total = 0;

	collapse(q);
	all = q->top;
	q->top = (struct bucket){ 0 };
	equeue_scratch_reserve(q, all.count);
	while ((chunk = bucket_take(&all, &entry, &count)) != NULL) {
		memcpy(q->scratch + total, entry, count * sizeof(*entry));
		total += count;
		chunk_give(q, chunk);
	}
	if (total > 0)
		qsort(q->scratch, total, sizeof(*q->scratch), by_number);
	for (q->next_number = 0; q->next_number < total; q->next_number++) {
		q->scratch[q->next_number].number = q->next_number;
		top_add(q, q->scratch[q->next_number]);
	}
}

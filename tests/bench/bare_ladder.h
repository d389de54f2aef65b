/*
 * The floor of bench_hold: a ladder queue (Tang, Goh, Thng, ACM TOMACS 15(3), 2005) with nothing around it.
 *
 * It holds keys of 16 bytes (time, number of the push, number of the caller's object) and no more, in chunks of eight
 * cache lines, which are read in sequence and fetched ahead: with a million objects linked into lists one by one, as in
 * the paper, it was three times slower. Widths are powers of two, the bottom is a sorted array. An object is not
 * touched, but fetched ahead too, as its owner will call it. Left out is all that an engine needs and a hold does not:
 * checks, times of any range, renumbering, return of memory, help against a hostile order of pushes.
 *
 * Cancelling is lazy and costs nothing but the caller's array `stamp`: a key whose number is not that of its event's
 * last push is dropped when its turn comes. Without that array nothing can be cancelled.
 */
#ifndef TOLLGATE_TESTS_BARE_LADDER_H
#define TOLLGATE_TESTS_BARE_LADDER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BARE_RUNGS 8u
#define BARE_BUCKETS 4096u /* in a rung at most: their ends fit the second-level cache */
#define BARE_TOP_AIM 4u    /* keys a bucket gets from the top, */
#define BARE_AIM 16u       /* and from another bucket */
#define BARE_SORTED 64u    /* a bucket this small is sorted, not split */
#define BARE_KEYS 31u      /* in a chunk */
#define BARE_LINE 64u

struct bare_key {
	uint64_t at;
	uint32_t seq, id;
};

struct bare_chunk {
	struct bare_chunk *next, *after_next;
	struct bare_key key[BARE_KEYS]; /* filled from the end */
};
_Static_assert(sizeof(struct bare_chunk) == 8 * BARE_LINE, "a chunk is to be whole cache lines");

struct bare_bucket {
	struct bare_chunk *first;
	uint32_t room, count;
};

struct bare_rung {
	uint64_t start, current_start;
	uint32_t shift, current, buckets;
	struct bare_bucket bucket[BARE_BUCKETS];
};

struct bare_ladder {
	struct bare_rung rung[BARE_RUNGS];
	uint32_t rungs;
	struct bare_bucket top;
	uint64_t top_start, top_min, top_max;
	struct bare_key *bottom; /* sorted: [head, tail) */
	uint32_t head, tail, capacity;
	uint32_t seq;
	uint32_t *stamp; /* by event: number of its last push; NULL: nothing is cancelled */
	const char *object; /* the caller's, a cache line each */
	struct bare_chunk *spare, *fresh, *fresh_end;
};

/* The chunks are the caller's; there must be enough. */
static inline void bare_init(struct bare_ladder *q, struct bare_chunk *chunks, uint32_t count, const void *objects,
                             uint32_t *stamp)
{
	memset(q, 0, sizeof(*q));
	q->fresh = chunks;
	q->fresh_end = chunks + count;
	q->object = objects;
	q->stamp = stamp;
}

static inline void bare_more(struct bare_ladder *q, struct bare_bucket *bucket)
{
	struct bare_chunk *chunk = q->spare;

	if (chunk)
		q->spare = chunk->next;
	else if (q->fresh < q->fresh_end)
		chunk = q->fresh++;
	else
		abort();
	chunk->next = bucket->first;
	chunk->after_next = bucket->first ? bucket->first->next : NULL;
	bucket->first = chunk;
	bucket->room = BARE_KEYS;
}

static inline void bare_add(struct bare_ladder *q, struct bare_bucket *bucket, struct bare_key key)
{
	if (bucket->room == 0)
		bare_more(q, bucket);
	bucket->first->key[--bucket->room] = key;
	bucket->count++;
}

static inline __attribute__((always_inline)) void bare_fetch(const struct bare_chunk *chunk)
{
	for (uint32_t line = 0; chunk && line < sizeof(*chunk); line += BARE_LINE)
		__builtin_prefetch((const char *)chunk + line);
}

static inline int bare_before(const struct bare_key *a, const struct bare_key *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static __attribute__((noinline)) void bare_grow(struct bare_ladder *q)
{
	q->capacity = q->capacity ? 2 * q->capacity : 1024;
	q->bottom = realloc(q->bottom, q->capacity * sizeof(*q->bottom));
	if (!q->bottom)
		abort();
}

/* Sorts a key into the bottom, from its end. */
static inline void bare_sort_in(struct bare_ladder *q, struct bare_key key)
{
	uint32_t i;

	if (q->tail == q->capacity)
		bare_grow(q);
	for (i = q->tail++; i > q->head && bare_before(&key, &q->bottom[i - 1]); i--)
		q->bottom[i] = q->bottom[i - 1];
	q->bottom[i] = key;
}

static inline void bare_rung_add(struct bare_ladder *q, struct bare_rung *rung, struct bare_key key)
{
	bare_add(q, &rung->bucket[(key.at - rung->start) >> rung->shift], key);
}

/* Spreads a bucket over a new rung. */
static inline void bare_spread(struct bare_ladder *q, struct bare_bucket from, uint32_t aim, uint64_t low,
                               uint64_t high)
{
	struct bare_rung *rung = &q->rung[q->rungs++];
	uint32_t wanted = 2, i = from.room;

	while (wanted < BARE_BUCKETS && wanted < from.count / aim)
		wanted *= 2;
	for (rung->shift = 0; (high - low) >> rung->shift >= wanted;)
		rung->shift++;
	rung->buckets = (uint32_t)((high - low) >> rung->shift) + 1;
	rung->start = rung->current_start = low;
	rung->current = 0;
	for (struct bare_chunk *chunk = from.first, *next; chunk; chunk = next, i = 0) {
		next = chunk->next;
		bare_fetch(chunk->after_next);
		for (; i < BARE_KEYS; i++)
			bare_rung_add(q, rung, chunk->key[i]);
		chunk->next = q->spare;
		q->spare = chunk;
	}
}

static inline void bare_sort(struct bare_ladder *q, struct bare_bucket from)
{
	uint32_t i = from.room;

	for (struct bare_chunk *chunk = from.first, *next; chunk; chunk = next, i = 0) {
		next = chunk->next;
		for (; i < BARE_KEYS; i++) {
			__builtin_prefetch(q->object + (size_t)chunk->key[i].id * BARE_LINE);
			bare_sort_in(q, chunk->key[i]);
		}
		chunk->next = q->spare;
		q->spare = chunk;
	}
}

/* Fills the empty bottom; something must be pending. */
static __attribute__((noinline)) void bare_refill(struct bare_ladder *q)
{
	q->head = q->tail = 0;
	while (q->tail == 0) {
		struct bare_bucket bucket = q->top;
		struct bare_rung *rung;

		if (q->rungs == 0) {
			q->top = (struct bare_bucket){ NULL, 0, 0 };
			q->top_start = q->top_max + 1;
			bare_spread(q, bucket, BARE_TOP_AIM, q->top_min, q->top_max);
			continue;
		}
		rung = &q->rung[q->rungs - 1];
		while (rung->current < rung->buckets && rung->bucket[rung->current].count == 0)
			rung->current++;
		if (rung->current == rung->buckets) {
			q->rungs--;
			continue;
		}
		bucket = rung->bucket[rung->current];
		rung->bucket[rung->current++] = (struct bare_bucket){ NULL, 0, 0 };
		rung->current_start = rung->start + ((uint64_t)rung->current << rung->shift);
		if (bucket.count > BARE_SORTED && rung->shift > 0 && q->rungs < BARE_RUNGS)
			bare_spread(q, bucket, BARE_AIM, rung->current_start - (UINT64_C(1) << rung->shift),
			            rung->current_start - 1);
		else
			bare_sort(q, bucket);
	}
}

static inline void bare_push(struct bare_ladder *q, uint32_t id, uint64_t at)
{
	struct bare_key key = { at, q->seq++, id };

	if (q->stamp)
		q->stamp[id] = key.seq;
	if (at >= q->top_start) {
		if (q->top.count == 0)
			q->top_min = q->top_max = at;
		q->top_min = at < q->top_min ? at : q->top_min;
		q->top_max = at > q->top_max ? at : q->top_max;
		bare_add(q, &q->top, key);
		return;
	}
	for (uint32_t i = 0; i < q->rungs; i++) {
		if (at >= q->rung[i].current_start) {
			bare_rung_add(q, &q->rung[i], key);
			return;
		}
	}
	bare_sort_in(q, key);
}

/* The first key; something must be pending. */
static inline struct bare_key bare_pop(struct bare_ladder *q)
{
	for (;;) {
		struct bare_key key;

		if (q->head == q->tail)
			bare_refill(q);
		key = q->bottom[q->head++];
		if (!q->stamp || q->stamp[key.id] == key.seq)
			return key;
	}
}

#endif

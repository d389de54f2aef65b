/*
 * The event queue: a ladder queue (Tang, Goh, Thng: "Ladder queue: an O(1) priority queue structure for large-scale
 * discrete event simulation", ACM TOMACS 15(3), 2005), laid out for caches.
 *
 *   top      everything from top_start on, unsorted
 *   rungs    arrays of buckets, each an interval of time, unsorted; rung 0 is the coarsest and latest, a further rung
 *            splits one bucket of the rung before it
 *   bottom   what comes next, sorted by (at, seq)
 *
 * An event travels top -> rung -> finer rung -> bottom, each time with its whole bucket. What travels is not the event but
 * a struct entry, its time, number and address, packed into chunks: moving a bucket reads and writes memory in
 * sequence and does not touch the events, which lie wherever their owners put them. An event's own cache line is fetched
 * ahead once its entry is near the head of the bottom.
 *
 * Cancelling must not look for the entry, which has moved since: every entry has a handle, the event knows its handle, and
 * a cancelled handle gets a mark. The entry is dropped when its turn comes; its event is never looked at again, so the
 * owner may free it at once. When marked entries outnumber the others, all are swept out, which keeps memory in
 * proportion to the pending events and a cancellation O(1) amortised.
 *
 * Invariants:
 *   - bottom < bottom_end <= current bucket of the last rung, ..., <= current bucket of rung 0 < top_start <= top, where
 *     the last bucket of a rung is open-ended: it holds whatever comes before the coarser rung's current bucket.
 *   - Buckets before a rung's current one are empty and hold no chunk; so are all buckets of a rung not in use.
 *   - A handle is free, live, or marked; it belongs to exactly one entry in the two latter cases.
 *   - The order of the result depends on (at, seq) alone. As seq grows from push to push, a number of the push says the
 *     same in half the space.
 *
 * Times are never negative, so keys are kept unsigned; the ends of intervals, up to 2^63 + 2^57, then do not overflow.
 */
#include "sim/event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define CHUNK_ENTRIES 20u       /* with the links one chunk is 512 bytes: eight cache lines */
#define CHUNK_LINKS 4u          /* how many chunks ahead of the one being read are fetched */
#define CACHE_LINE 64u
#define SLAB_CHUNKS 64u         /* chunks are taken from the system by the slab, and returned when the queue is freed */
#define RUNGS_MAX 24u
#define RUNG_BUCKETS_MAX 4096u  /* as many as have their ends in the second-level cache */
#define RUNG_BUCKETS_MIN 16u
#define TOP_AIM 4u              /* entries a bucket made from the top should get; later pushes will fill it further */
#define BUCKET_AIM 32u          /* entries a bucket made from another bucket should get */
#define LOAD_MIN 16u            /* entries the bottom is filled with at a time, if the rung still has them */
#define LOAD_SMALL 64u          /* a bucket this small is sorted rather than split, */
#define LOAD_LARGE 512u         /* or this small if it is also a small part of the queue: few pushes will meet it there */
#define LOAD_PART 256u
#define INSERTION_SORT_MAX 12u
#define SPREAD_SORT_MAX 1024u
#define SPREAD_CROWD 16u        /* more entries than this in one place: the spread is of no use */
#define BOTTOM_CAPACITY_MIN 256u
#define NEAR 6                  /* entries at either end of the bottom that are looked at one by one */
#define FEW 64u                 /* so many events are kept in the bottom alone */
#define HANDLES_MIN 256u
#define SWEEP_MIN 4096u         /* marked entries worth a sweep */
#define PREFETCH_AHEAD 16u
#define NUMBER_FIRST (UINT32_MAX - 20000) /* near the end, so that every longer run proves that renumbering works */

/*
 * Not only for speed: GCC takes a function that does nothing but prefetch for one without effect, and leaves its calls out
 * unless it is inlined before that.
 */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct entry {
	uint64_t at;
	struct event *event;
	uint32_t number; /* of the push: orders like seq, in half the space */
	uint32_t handle;
};

struct chunk {
	struct chunk *older[CHUNK_LINKS]; /* the one before this in its bucket, the one before that, ... */
	struct entry entry[CHUNK_ENTRIES]; /* filled from the end down, so that reading is from the newest to the oldest */
};
_Static_assert(sizeof(struct chunk) == 8 * CACHE_LINE, "a chunk is to be whole cache lines");

struct slab {
	struct slab *next;
	char room[CACHE_LINE + SLAB_CHUNKS * sizeof(struct chunk)]; /* one line more, to begin the first chunk on one */
};

/* All zero when empty. Only the newest chunk has room. */
struct bucket {
	struct chunk *newest;
	uint32_t room;  /* free entries at the start of the newest chunk */
	uint32_t count;
};

struct rung {
	uint64_t start;         /* of bucket 0 */
	uint64_t current_start; /* of bucket `current` */
	unsigned shift;         /* a bucket is 2^shift ns wide */
	uint32_t current, buckets;
	struct bucket *bucket;  /* RUNG_BUCKETS_MAX; NULL until the rung is first used */
};

struct equeue {
	struct rung rung[RUNGS_MAX];
	uint32_t rungs;

	struct entry *bottom; /* sorted: [head, tail) */
	uint32_t head, tail, capacity;

	struct bucket top;
	uint64_t top_start, top_min, top_max;

	struct chunk *free_chunks;
	struct slab *slabs;

	uint64_t *marked;       /* a bit for each handle: cancelled, entry still here */
	uint32_t *free_handles; /* stack: the handle freed last is used next and is in the cache */
	uint32_t handle_capacity, free_handle_count;
	size_t live, dead;
	uint64_t seq_floor;     /* what the next seq must reach */
	uint32_t next_number;

	struct entry *scratch;  /* for sorting */
	uint32_t scratch_capacity;
};

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

/* Handles */

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

static inline void handle_give(struct equeue *q, uint32_t handle)
{
	q->free_handles[q->free_handle_count++] = handle;
}

static inline bool handle_is_marked(const struct equeue *q, uint32_t handle)
{
	return q->marked[handle / 64] >> handle % 64 & 1;
}

/* True when the entry was cancelled; it is accounted for then, and to be dropped. */
static inline bool entry_bury(struct equeue *q, const struct entry *entry)
{
	if (!handle_is_marked(q, entry->handle))
		return false;
	q->marked[entry->handle / 64] &= ~(UINT64_C(1) << entry->handle % 64);
	handle_give(q, entry->handle);
	q->dead--;
	return true;
}

/* Buckets */

static __attribute__((noinline)) void slab_add(struct equeue *q)
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

ALWAYS_INLINE void chunk_prefetch(const struct chunk *chunk)
{
	if (!chunk)
		return;
	for (unsigned line = 0; line < sizeof(*chunk) / CACHE_LINE; line++)
		__builtin_prefetch((const char *)chunk + line * CACHE_LINE);
}

/* Member by member: a wide load of what was just stored in parts has to wait for it. */
ALWAYS_INLINE void entry_copy(struct entry *to, struct entry entry)
{
	to->at = entry.at;
	to->event = entry.event;
	to->number = entry.number;
	to->handle = entry.handle;
}

/* Out of line, and with arguments that fit registers, so that the usual case saves none. */
static __attribute__((noinline)) void bucket_add_chunk(struct equeue *q, struct bucket *bucket, uint64_t at,
                                                       struct event *event, uint32_t number, uint32_t handle)
{
	bucket_extend(q, bucket);
	bucket->count++;
	entry_copy(&bucket->newest->entry[--bucket->room], (struct entry){ at, event, number, handle });
}

ALWAYS_INLINE void bucket_add(struct equeue *q, struct bucket *bucket, struct entry entry)
{
	if (bucket->room == 0) {
		bucket_add_chunk(q, bucket, entry.at, entry.event, entry.number, entry.handle);
		return;
	}
	bucket->count++;
	entry_copy(&bucket->newest->entry[--bucket->room], entry);
}

/* Takes the newest chunk's entries, *count of them; the caller gives the chunk back with chunk_give(). NULL: empty. */
static inline struct chunk *bucket_take(struct bucket *bucket, struct entry **first, uint32_t *count)
{
	struct chunk *chunk = bucket->newest;

	if (!chunk)
		return NULL;
	*first = &chunk->entry[bucket->room];
	*count = CHUNK_ENTRIES - bucket->room;
	bucket->newest = chunk->older[0];
	bucket->room = 0;
	bucket->count -= *count;
	chunk_prefetch(chunk->older[CHUNK_LINKS - 1]);
	return chunk;
}

static inline void chunk_give(struct equeue *q, struct chunk *chunk)
{
	chunk->older[0] = q->free_chunks;
	q->free_chunks = chunk;
}

/* Order */

static inline bool before(const struct entry *a, const struct entry *b)
{
	return ((unsigned __int128)a->at << 64 | a->number) < ((unsigned __int128)b->at << 64 | b->number);
}

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

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void scratch_reserve(struct equeue *q, uint32_t count)
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

	scratch_reserve(q, count);
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

static inline unsigned bits(uint64_t x)
{
	return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

/*
 * Puts each entry about where its time within [low, high] says it belongs; what is left is done by an insertion sort of an
 * almost sorted array. False, with nothing changed, when too many entries belong at one place.
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
	scratch_reserve(q, count);
	memcpy(q->scratch, entry, count * sizeof(*entry));
	for (uint32_t i = 0; i < count; i++)
		entry[place[(q->scratch[i].at - low) >> shift]++] = q->scratch[i];
	insertion_sort(entry, count);
	return true;
}

/*
 * Events at the same time mostly lie in the order of their pushes, or in its reverse when they were moved an odd number of
 * times.
 */
static void sort(struct equeue *q, struct entry *entry, uint32_t count, uint64_t low, uint64_t high)
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

/* Bottom */

/* Gives the bottom free entries on both sides, at least half as many as it will have with `more` entries. */
static __attribute__((noinline)) void bottom_make_room(struct equeue *q, uint32_t more)
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

ALWAYS_INLINE void bottom_prefetch(const struct equeue *q, uint32_t i)
{
	const struct event *event;

	if (i >= q->tail)
		return;
	event = q->bottom[i].event;
	__builtin_prefetch(event, 1);
	__builtin_prefetch((const char *)(event + 1) - 1, 1); /* it may lie across two lines */
}

/* Makes the bottom, which is empty, able to take this many entries, with room on both sides. */
static void bottom_reserve(struct equeue *q, uint32_t count)
{
	q->head = q->tail = 0;
	if (q->capacity < 2 * (size_t)count)
		bottom_make_room(q, count);
	q->head = q->tail = (q->capacity - count) / 2;
}

/* Moves what is pending in a bucket behind the bottom, for which there is room, unsorted. The bucket is then empty. */
static inline void bottom_append(struct equeue *q, struct bucket *bucket, uint64_t *low, uint64_t *high)
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

static inline void bottom_sort(struct equeue *q, uint64_t low, uint64_t high)
{
	sort(q, q->bottom + q->head, q->tail - q->head, low, high);
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

/* Rungs */

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

ALWAYS_INLINE void rung_add(struct equeue *q, struct rung *rung, struct entry entry)
{
	uint64_t i = (entry.at - rung->start) >> rung->shift;

	bucket_add(q, &rung->bucket[i < rung->buckets ? i : rung->buckets - 1], entry);
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

/* The largest bucket to be sorted rather than split. */
static inline uint32_t load_max(const struct equeue *q)
{
	size_t part = q->live / LOAD_PART;

	return part < LOAD_SMALL ? LOAD_SMALL : part > LOAD_LARGE ? LOAD_LARGE : (uint32_t)part;
}

/* Sorts the last rung's next buckets into the bottom; the current one is not empty and small enough. */
static void rung_load(struct equeue *q, uint32_t max)
{
	struct rung *rung = &q->rung[q->rungs - 1];
	uint64_t low = UINT64_MAX, high = 0;
	uint32_t rungs = q->rungs, enough = q->live < LOAD_MIN * LOAD_PART ? LOAD_MIN : max;

	bottom_reserve(q, max + enough);
	do {
		bottom_append(q, &rung->bucket[rung->current], &low, &high);
		rung_advance(q);
	} while (q->rungs == rungs && q->tail - q->head < enough && rung->bucket[rung->current].count <= max);
	bottom_sort(q, low, high);
	if (q->rungs == rungs)
		chunk_prefetch(rung->bucket[rung->current].newest);
}

/* Takes the last rung's current bucket, too large to be sorted lightly, and splits it; sorts it if it cannot be split. */
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
	bottom_reserve(q, bucket.count);
	bottom_append(q, &bucket, &low, &high);
	bottom_sort(q, low, high);
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
	bottom_reserve(q, bucket.count);
	bottom_append(q, &bucket, &low, &high);
	bottom_sort(q, low, high);
}

/* Fills the empty bottom. False: nothing is left. */
static __attribute__((noinline)) bool bottom_refill(struct equeue *q)
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

ALWAYS_INLINE void top_add(struct equeue *q, struct entry entry)
{
	if (q->top.count == 0) {
		q->top_min = q->top_max = entry.at;
	} else {
		q->top_min = entry.at < q->top_min ? entry.at : q->top_min;
		q->top_max = entry.at > q->top_max ? entry.at : q->top_max;
	}
	bucket_add(q, &q->top, entry);
}

/* Puts everything back into the top, unsorted: for a ladder that ran out of rungs, which takes a hostile order of pushes. */
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

/* Makes a rung of a bottom that has grown large and is not all at one time. */
static void bottom_split(struct equeue *q)
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

static __attribute__((noinline)) void bottom_add_far(struct equeue *q, uint64_t at, struct event *event, uint32_t number,
                                                     uint32_t handle)
{
	struct entry entry = { at, event, number, handle };
	uint32_t place = bottom_place(q, entry.at);
	uint32_t moved = min_u32(place - q->head, q->tail - place);

	bottom_insert(q, place, entry);
	if (moved > load_max(q) && q->bottom[q->head].at != q->bottom[q->tail - 1].at)
		bottom_split(q);
}

/* For what is not the last. Mostly it belongs near one end, where its neighbours are moved one by one. */
static __attribute__((noinline)) void bottom_add(struct equeue *q, uint64_t at, struct event *event, uint32_t number,
                                                 uint32_t handle)
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

/* True when the bottom is all there is, and few: sorting those one by one is cheaper than the way down the ladder. */
static inline bool only_bottom(const struct equeue *q)
{
	return q->rungs == 0 && q->top.count == 0 && q->tail - q->head < FEW;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct entry *)a)->number, y = ((const struct entry *)b)->number;

	return x < y ? -1 : x > y;
}

/* The numbers are used up: gives those who are here the lowest ones, in the same order. Once in four thousand million pushes. */
static __attribute__((noinline)) void renumber(struct equeue *q)
{
	struct bucket all;
	struct entry *entry;
	struct chunk *chunk;
	uint32_t count, total = 0;

	collapse(q);
	all = q->top;
	q->top = (struct bucket){ 0 };
	scratch_reserve(q, all.count);
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

/* A push that numbers or handles have run out for. */
static __attribute__((noinline)) void push_after_growth(struct equeue *q, struct event *event)
{
	if (q->next_number == UINT32_MAX)
		renumber(q);
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
		bottom_add(q, at, event, entry.number, entry.handle);
}

/* Brings the first entry that is not cancelled to the head of the bottom. False: nothing is pending. */
static __attribute__((noinline)) bool settle(struct equeue *q)
{
	for (;;) {
		if (q->head == q->tail && !bottom_refill(q))
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

static __attribute__((noinline)) struct event *settle_and_take(struct equeue *q, uint64_t until)
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

static __attribute__((noinline)) void sweep(struct equeue *q)
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

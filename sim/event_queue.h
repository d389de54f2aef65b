/*
 * The inside of the event queue, for its own files: event.c (push, pop, cancel), event_ladder.c (top and rungs),
 * event_bottom.c (the sorted bottom), event_sort.c. What is hot is inline here.
 *
 * It is a ladder queue (Tang, Goh, Thng: "Ladder queue: an O(1) priority queue structure for large-scale discrete event
 * simulation", ACM TOMACS 15(3), 2005), laid out for caches.
 *
 *   top      everything from top_start on, unsorted
 *   rungs    arrays of buckets, each an interval of time, unsorted; rung 0 is the coarsest and latest, a further rung
 *            splits one bucket of the rung before it
 *   bottom   what comes next, sorted by (at, seq)
 *
 * An event travels top -> rung -> finer rung -> bottom, each time with its whole bucket. What travels is not the event
 * but a struct entry, its time, number and address, packed into chunks: moving a bucket reads and writes memory in
 * sequence and does not touch the events, which lie wherever their owners put them. An event's own cache line is
 * fetched ahead once its entry is near the head of the bottom. While few events are pending they are kept in the bottom
 * alone.
 *
 * Cancelling must not look for the entry, which has moved since: every entry has a handle, the event knows its handle,
 * and a cancelled handle gets a mark. The entry is dropped when its turn comes; its event is never looked at again, so
 * the owner may free it at once. When marked entries outnumber the others, all are swept out, which keeps memory in
 * proportion to the pending events and a cancellation O(1) amortised.
 *
 * Invariants:
 *   - bottom < bottom_end <= current bucket of the last rung, ..., <= current bucket of rung 0 < top_start <= top,
 *     where the last bucket of a rung is open-ended: it holds whatever comes before the coarser rung's current bucket.
 *   - Buckets before a rung's current one are empty and hold no chunk; so are all buckets of a rung not in use.
 *   - A handle is free, live, or marked; it belongs to exactly one entry in the two latter cases.
 *   - The order of the result depends on (at, seq) alone. As seq grows from push to push, a number of the push says the
 *     same in half the space.
 *
 * Times are never negative, so keys are kept unsigned; the ends of intervals, up to 2^63 + 2^57, then do not overflow.
 */
#ifndef TOLLGATE_SIM_EVENT_QUEUE_H
#define TOLLGATE_SIM_EVENT_QUEUE_H

#include <assert.h>

#include "sim/event.h"

#define CHUNK_ENTRIES 20u       /* with the links one chunk is 512 bytes: eight cache lines */
#define CHUNK_LINKS 4u          /* how many chunks ahead of the one being read are fetched */
#define CACHE_LINE 64u
#define SLAB_CHUNKS 64u         /* chunks are taken from the system by the slab, returned when the queue is freed */
#define RUNGS_MAX 24u
#define RUNG_BUCKETS_MAX 4096u  /* as many as have their ends in the second-level cache */
#define PREFETCH_AHEAD 16u      /* how far before its turn an event is fetched */
#define FEW 64u                 /* so many events are kept in the bottom alone */
#define LOAD_SMALL 64u          /* a bucket this small is sorted rather than split, */
#define LOAD_LARGE 512u         /* or this small if it is also at most the LOAD_PARTth part of the queue: */
#define LOAD_PART 256u          /* few pushes will meet it there */

/*
 * Not only for speed: GCC takes a function that does nothing but prefetch for one without effect, and leaves its calls
 * out unless it is inlined before that.
 */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define RARELY __attribute__((noinline)) /* out of line, so that the usual way through saves no registers */

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

/* event_ladder.c */

/*
 * Puts an entry into a bucket whose newest chunk is full. Out of line, and with arguments that fit registers, so that
 * the usual case saves none.
 */
void equeue_bucket_add_chunk(struct equeue *q, struct bucket *bucket, uint64_t at, struct event *event, uint32_t number,
                             uint32_t handle);
/* Fills the empty bottom. False: nothing is left. */
bool equeue_refill(struct equeue *q);
/* Makes a rung of a bottom that has grown large and is not all at one time. */
void equeue_bottom_split(struct equeue *q);
/* The numbers are used up: gives those who are here the lowest ones, in the same order. Once in 2^32 pushes. */
void equeue_renumber(struct equeue *q);

/* event_bottom.c */

/* Makes the bottom, which is empty, able to take this many entries, with room on both sides. */
void equeue_bottom_reserve(struct equeue *q, uint32_t count);
/*
 * Moves what is pending in a bucket behind the bottom, for which there is room, unsorted, and widens [*low, *high] to
 * its times. The bucket is then empty.
 */
void equeue_bottom_append(struct equeue *q, struct bucket *bucket, uint64_t *low, uint64_t *high);
/* Sorts a bottom that was appended to, with times in [low, high]. */
void equeue_bottom_sort(struct equeue *q, uint64_t low, uint64_t high);
/* Inserts something new; what is the last is also appended by equeue_push() itself. */
void equeue_bottom_add(struct equeue *q, uint64_t at, struct event *event, uint32_t number, uint32_t handle);

/* event_sort.c */

/* Sorts entries with times in [low, high]. */
void equeue_sort(struct equeue *q, struct entry *entry, uint32_t count, uint64_t low, uint64_t high);
/* Makes q->scratch able to hold this many entries. */
void equeue_scratch_reserve(struct equeue *q, uint32_t count);

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline unsigned bits(uint64_t x)
{
	return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

static inline bool before(const struct entry *a, const struct entry *b)
{
	return ((unsigned __int128)a->at << 64 | a->number) < ((unsigned __int128)b->at << 64 | b->number);
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

/* Member by member: a wide load of what was just stored in parts has to wait for it. */
ALWAYS_INLINE void entry_copy(struct entry *to, struct entry entry)
{
	to->at = entry.at;
	to->event = entry.event;
	to->number = entry.number;
	to->handle = entry.handle;
}

ALWAYS_INLINE void chunk_prefetch(const struct chunk *chunk)
{
	if (!chunk)
		return;
	for (unsigned line = 0; line < sizeof(*chunk) / CACHE_LINE; line++)
		__builtin_prefetch((const char *)chunk + line * CACHE_LINE);
}

ALWAYS_INLINE void bucket_add(struct equeue *q, struct bucket *bucket, struct entry entry)
{
	if (bucket->room == 0) {
		equeue_bucket_add_chunk(q, bucket, entry.at, entry.event, entry.number, entry.handle);
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

ALWAYS_INLINE void rung_add(struct equeue *q, struct rung *rung, struct entry entry)
{
	uint64_t i = (entry.at - rung->start) >> rung->shift;

	bucket_add(q, &rung->bucket[i < rung->buckets ? i : rung->buckets - 1], entry);
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

/* The largest bucket to be sorted rather than split. */
static inline uint32_t load_max(const struct equeue *q)
{
	size_t part = q->live / LOAD_PART;

	return part < LOAD_SMALL ? LOAD_SMALL : part > LOAD_LARGE ? LOAD_LARGE : (uint32_t)part;
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

#endif

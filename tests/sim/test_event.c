/*
 * The event queue against a 4-ary heap: whatever is pushed, popped and cancelled, both give the same order.
 *
 * Every sequence follows from one seed, printed with the workload's name on failure:
 * `TEST_EVENT_SEED=N test_event` runs the workloads with that seed alone.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/event.h"
#include "sim/rng.h"
#include "tests/sim/heap_oracle.h"

#define EVENTS_MAX 40000u

/* Queue and oracle side by side. Event i is idle or pending in both. */
struct pair {
	struct equeue *queue;
	struct heap_oracle heap;
	struct event *event;
	size_t *idle, idle_count;
	size_t *pending, *pending_at, pending_count; /* for picking one to cancel */
	uint64_t next_seq;
	int64_t now_ns;
	struct rng rng;
	const char *name;
	uint64_t seed;
	uint64_t operations;
};

static struct pair *pair_new(const char *name, uint64_t seed)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->queue = equeue_new();
	p->heap.item = calloc(EVENTS_MAX, sizeof(*p->heap.item));
	p->heap.position = calloc(EVENTS_MAX, sizeof(*p->heap.position));
	p->event = calloc(EVENTS_MAX, sizeof(*p->event));
	p->idle = calloc(EVENTS_MAX, sizeof(*p->idle));
	p->pending = calloc(EVENTS_MAX, sizeof(*p->pending));
	p->pending_at = calloc(EVENTS_MAX, sizeof(*p->pending_at));
	for (size_t i = 0; i < EVENTS_MAX; i++)
		p->idle[p->idle_count++] = i;
	p->name = name;
	p->seed = seed;
	rng_init(&p->rng, seed, "test_event", name);
	return p;
}

static void pair_free(struct pair *p)
{
	equeue_free(p->queue);
	free(p->heap.item);
	free(p->heap.position);
	free(p->event);
	free(p->idle);
	free(p->pending);
	free(p->pending_at);
	free(p);
}

#define PAIR_ASSERT(p, condition, ...)                                                                          \
	do {                                                                                                    \
		if (!(condition)) {                                                                             \
			char text_[200];                                                                        \
			snprintf(text_, sizeof(text_), __VA_ARGS__);                                            \
			ck_abort_msg("%s, TEST_EVENT_SEED=%" PRIu64 ", operation %" PRIu64 ": %s", (p)->name,   \
			             (p)->seed, (p)->operations, text_);                                        \
		}                                                                                               \
	} while (0)

static void pair_push(struct pair *p, int64_t at_ns)
{
	uint64_t seq = p->next_seq;
	size_t id = p->idle[--p->idle_count];
	struct event *event = &p->event[id];

	event->at_ns = at_ns;
	event->seq = seq;
	equeue_push(p->queue, event);
	heap_push(&p->heap, (struct heap_item){ .at_ns = at_ns, .seq = seq, .id = id });
	p->pending_at[id] = p->pending_count;
	p->pending[p->pending_count++] = id;
	/* Owners may leave out numbers, even very many. */
	p->next_seq += rng_below(&p->rng, 100) == 0 ? UINT64_C(5000000000) : 1 + rng_below(&p->rng, 2);
	p->operations++;
	PAIR_ASSERT(p, event_pending(event), "a pushed event is not pending");
}

static void pair_idle(struct pair *p, size_t id)
{
	size_t last = p->pending[--p->pending_count];

	p->pending[p->pending_at[id]] = last;
	p->pending_at[last] = p->pending_at[id];
	/* What the queue must not look at any more, it finds spoilt. */
	memset(&p->event[id], 0, sizeof(p->event[id]));
	p->idle[p->idle_count++] = id;
}

static void pair_cancel(struct pair *p, size_t id)
{
	equeue_cancel(p->queue, &p->event[id]);
	PAIR_ASSERT(p, !event_pending(&p->event[id]), "a cancelled event is still pending");
	heap_cancel(&p->heap, id);
	pair_idle(p, id);
	p->operations++;
}

static void pair_cancel_any(struct pair *p)
{
	if (p->pending_count > 0)
		pair_cancel(p, p->pending[rng_below(&p->rng, p->pending_count)]);
}

static bool pair_pop(struct pair *p)
{
	struct heap_item want;
	struct event *event;

	p->operations++;
	if (rng_below(&p->rng, 4) == 0) {
		sim_ns peek_ns = equeue_peek_ns(p->queue), heap_ns = p->heap.count ? p->heap.item[0].at_ns : SIM_NEVER;

		PAIR_ASSERT(p, peek_ns == heap_ns, "peek %" PRId64 ", oracle %" PRId64, peek_ns, heap_ns);
		if (peek_ns > 0)
			PAIR_ASSERT(p, !equeue_pop_until(p->queue, peek_ns - 1), "popped before the first event");
	}
	event = equeue_pop(p->queue);
	if (!heap_pop(&p->heap, &want)) {
		PAIR_ASSERT(p, !event, "popped from an empty queue");
		return false;
	}
	PAIR_ASSERT(p, event, "nothing popped, %zu are pending", p->heap.count + 1);
	PAIR_ASSERT(p, event == &p->event[want.id], "popped (%" PRId64 ", %" PRIu64 "), oracle (%" PRId64 ", %" PRIu64 ")",
	            event->at_ns, event->seq, want.at_ns, want.seq);
	PAIR_ASSERT(p, !event_pending(event), "a popped event is still pending");
	p->now_ns = want.at_ns;
	pair_idle(p, want.id);
	PAIR_ASSERT(p, equeue_count(p->queue) == p->heap.count, "count %zu, oracle %zu", equeue_count(p->queue),
	            p->heap.count);
	return true;
}

static void pair_drain(struct pair *p)
{
	while (pair_pop(p))
		;
}

/* How long after now the next push is, by workload. */
typedef int64_t delay_fn(struct pair *p);

static int64_t delay_uniform(struct pair *p)
{
	return (int64_t)rng_below(&p->rng, 1000000);
}

/* About exponential: a geometric number of doublings. */
static int64_t delay_skewed(struct pair *p)
{
	return (int64_t)rng_below(&p->rng, UINT64_C(1000) << __builtin_ctzll(rng_u64(&p->rng) | UINT64_C(1) << 30));
}

static int64_t delay_ties(struct pair *p)
{
	return (int64_t)rng_below(&p->rng, 3) * 20000;
}

static int64_t delay_zero(struct pair *p)
{
	(void)p;
	return 0;
}

/* Clusters at the ends of the scale, from a nanosecond to three centuries. */
static int64_t delay_far(struct pair *p)
{
	return (int64_t)(rng_u64(&p->rng) >> (2 + rng_below(&p->rng, 62)));
}

/* Timers of a protocol: few values, each exact, so that series of ties arise. */
static int64_t delay_timers(struct pair *p)
{
	static const int64_t timer_ns[] = { 0, 125000, 20000000, 500000000, 30000000000, 86400000000000 };

	return timer_ns[rng_below(&p->rng, sizeof(timer_ns) / sizeof(timer_ns[0]))];
}

/* A source and the packets under way: what is new is mostly the last, else among the first. */
static int64_t delay_two(struct pair *p)
{
	return rng_below(&p->rng, 4) == 0 ? 1000 : 10000;
}

/* Mostly soon, now and then after everything else. */
static int64_t delay_outliers(struct pair *p)
{
	return rng_below(&p->rng, 1000) == 0 ? INT64_MAX / 2 : (int64_t)rng_below(&p->rng, 50);
}

static const struct workload {
	const char *name;
	delay_fn *delay;
	unsigned push, pop, cancel; /* weights while it is growing; push and pop change places when it shrinks */
	uint32_t level;             /* pending events between which and none it swings */
} workloads[] = {
	{ "uniform", delay_uniform, 50, 40, 10, 20000 },
	{ "skewed", delay_skewed, 50, 40, 10, 20000 },
	{ "skewed, few", delay_skewed, 50, 40, 10, 40 },
	{ "ties", delay_ties, 50, 40, 10, 5000 },
	/* Around the number that the bottom holds alone: in and out of the ladder. */
	{ "ties, few", delay_ties, 50, 40, 10, 70 },
	{ "timers, few", delay_timers, 50, 40, 10, 100 },
	{ "far, few", delay_far, 50, 40, 10, 80 },
	{ "outliers, few", delay_outliers, 50, 45, 5, 66 },
	{ "two delays, few", delay_two, 50, 45, 5, 40 },
	{ "two delays", delay_two, 50, 45, 5, 300 },
	{ "all now", delay_zero, 50, 40, 10, 5000 },
	{ "far", delay_far, 50, 40, 10, 5000 },
	{ "timers", delay_timers, 50, 40, 10, 20000 },
	{ "timers, mostly cancelled", delay_timers, 50, 5, 45, 30000 },
	{ "outliers", delay_outliers, 50, 45, 5, 3000 },
};

static int64_t later(int64_t now_ns, int64_t delay_ns)
{
	return delay_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + delay_ns;
}

static void run_workload(const struct workload *w, uint64_t seed, uint64_t operations)
{
	struct pair *p = pair_new(w->name, seed);
	bool growing = true;

	while (p->operations < operations) {
		uint64_t dice = rng_below(&p->rng, w->push + w->pop + w->cancel);
		unsigned push = growing ? w->push : w->pop;

		if (dice < w->cancel)
			pair_cancel_any(p);
		else if (dice < w->cancel + push && p->idle_count > 0)
			pair_push(p, later(p->now_ns, w->delay(p)));
		else
			pair_pop(p);
		if (p->heap.count >= w->level)
			growing = false;
		else if (p->heap.count == 0)
			growing = true;
		if (p->now_ns > INT64_MAX / 4 && p->heap.count == 0)
			p->now_ns = 0; /* an empty queue has no past */
	}
	pair_drain(p);
	pair_free(p);
}

static const uint64_t seeds[] = { 1, 2, 20000410 };

START_TEST(test_workload)
{
	const char *only = getenv("TEST_EVENT_SEED");

	if (only) {
		run_workload(&workloads[_i], strtoull(only, NULL, 10), 150000);
		return;
	}
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		run_workload(&workloads[_i], seeds[i], 150000);
}
END_TEST

START_TEST(test_empty)
{
	struct equeue *q = equeue_new();

	ck_assert_ptr_null(equeue_pop(q));
	ck_assert_ptr_null(equeue_pop_until(q, SIM_NEVER));
	ck_assert_int_eq(equeue_peek_ns(q), SIM_NEVER);
	ck_assert_uint_eq(equeue_count(q), 0);
	equeue_free(q);
	equeue_free(NULL);
}
END_TEST

/* Events pushed at one time, before the first is taken and while they are. */
START_TEST(test_all_equal)
{
	struct pair *p = pair_new("all equal", 3);

	for (unsigned i = 0; i < 30000; i++)
		pair_push(p, 77);
	for (unsigned i = 0; i < 10000; i++) {
		pair_pop(p);
		if (i % 3 == 0)
			pair_push(p, 77);
	}
	pair_drain(p);
	pair_free(p);
}
END_TEST

/*
 * The queue numbers pushes in 32 bits and starts close to their end, so that it renumbers what is pending after some
 * 20 000 pushes: here with ties in every tier, and events cancelled, around that.
 */
START_TEST(test_renumbering)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct pair *p = pair_new("renumbering", seed);

		for (unsigned i = 0; i < 19000; i++)
			pair_push(p, (int64_t)rng_below(&p->rng, 8) * 100000);
		for (unsigned i = 0; i < 5000; i++) {
			pair_pop(p);
			pair_cancel_any(p);
			pair_push(p, p->now_ns + (int64_t)rng_below(&p->rng, 8) * 100000);
		}
		pair_drain(p);
		pair_free(p);
	}
}
END_TEST

START_TEST(test_ends_of_time)
{
	struct pair *p = pair_new("ends of time", 5);

	for (unsigned i = 0; i < 2000; i++) {
		pair_push(p, INT64_MAX - (int64_t)rng_below(&p->rng, 3));
		pair_push(p, (int64_t)rng_below(&p->rng, 3));
	}
	for (unsigned i = 0; i < 3000; i++)
		pair_pop(p);
	for (unsigned i = 0; i < 2000; i++)
		pair_push(p, INT64_MAX - (int64_t)rng_below(&p->rng, 200));
	pair_drain(p);
	pair_free(p);
}
END_TEST

/* Always earlier than everything that is there, after the bottom was filled: the order that makes the most rungs. */
START_TEST(test_ever_earlier)
{
	struct pair *p = pair_new("ever earlier", 6);
	int64_t at_ns = INT64_C(1) << 50;

	pair_push(p, at_ns + 1);
	for (unsigned round = 0; round < 80; round++) {
		at_ns -= at_ns / 16;
		equeue_peek_ns(p->queue);
		for (unsigned i = 0; i < 400; i++)
			pair_push(p, at_ns + (int64_t)rng_below(&p->rng, (uint64_t)(at_ns / 32)));
	}
	pair_drain(p);
	pair_free(p);
}
END_TEST

/* A large bottom of ties that is added to before, between and after. */
START_TEST(test_around_ties)
{
	struct pair *p = pair_new("around ties", 7);

	for (unsigned i = 0; i < 10000; i++)
		pair_push(p, 1000000);
	equeue_peek_ns(p->queue);
	for (unsigned i = 0; i < 10000; i++)
		pair_push(p, 1000000 + (int64_t)rng_below(&p->rng, 5) - 2);
	pair_pop(p);
	for (unsigned i = 0; i < 10000; i++)
		pair_push(p, 999998 + (int64_t)rng_below(&p->rng, 5));
	pair_drain(p);
	pair_free(p);
}
END_TEST

/* One large set, of which all, or all but a few, are cancelled. */
START_TEST(test_cancel_all)
{
	struct pair *p = pair_new("cancel all", 8);

	for (unsigned left = 0; left < 3; left++) {
		for (unsigned i = 0; i < 30000; i++)
			pair_push(p, later(p->now_ns, delay_skewed(p)));
		for (unsigned i = 0; i < 50; i++)
			pair_pop(p);
		while (p->pending_count > left)
			pair_cancel_any(p);
		ck_assert_uint_eq(equeue_count(p->queue), left);
		pair_drain(p);
	}
	pair_free(p);
}
END_TEST

/* A timer put off again and again, far ahead of all else: cancelled entries must not pile up. */
START_TEST(test_put_off)
{
	struct equeue *q = equeue_new();
	struct event timer = { 0 }, tick = { 0 };

	for (uint64_t i = 0; i < 1000000; i++) {
		if (event_pending(&timer))
			equeue_cancel(q, &timer);
		timer.at_ns = 3600 * NS_PER_S + (int64_t)i;
		timer.seq = 2 * i;
		equeue_push(q, &timer);
		tick.at_ns = (int64_t)i;
		tick.seq = 2 * i + 1;
		equeue_push(q, &tick);
		/* Handles are numbered from 0 and used again, so a high number tells of entries kept. */
		if (equeue_pop(q) != &tick || timer.place > 10000)
			ck_abort_msg("after putting off %" PRIu64 " times, handle %" PRIu32, i, timer.place);
	}
	ck_assert_uint_eq(equeue_count(q), 1);
	ck_assert_ptr_eq(equeue_pop(q), &timer);
	equeue_free(q);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event");
	TCase *edges = tcase_create("edges"), *oracle = tcase_create("oracle");
	SRunner *runner;
	int failed;

	tcase_add_test(edges, test_empty);
	tcase_add_test(edges, test_all_equal);
	tcase_add_test(edges, test_renumbering);
	tcase_add_test(edges, test_ends_of_time);
	tcase_add_test(edges, test_ever_earlier);
	tcase_add_test(edges, test_around_ties);
	tcase_add_test(edges, test_cancel_all);
	tcase_add_test(edges, test_put_off);
	tcase_set_timeout(edges, 120);
	suite_add_tcase(suite, edges);
	tcase_add_loop_test(oracle, test_workload, 0, (int)(sizeof(workloads) / sizeof(workloads[0])));
	tcase_set_timeout(oracle, 120);
	suite_add_tcase(suite, oracle);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

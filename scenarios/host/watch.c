/*
 * Who waits for a change of which node or object: a hash table from pointer to the watches on it.
 *
 * A bucket keeps its watches in the order they came, so waking follows that order and never the pointers' values.
 */
#include "scenarios/host/internal.h"
#include <stdlib.h>

#define WATCH_BUCKETS 4096

struct watch_table {
	struct { struct watch *first, **tail; } buckets[WATCH_BUCKETS];
};

static size_t bucket_of(const void *what)
{
	uint64_t h = (uint64_t)(uintptr_t)what * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h >> 52) % WATCH_BUCKETS;
}

struct watch_table *watch_table_new(void)
{
	struct watch_table *table = sim_alloc(sizeof *table);

	for (size_t i = 0; i < WATCH_BUCKETS; i++)
		table->buckets[i].tail = &table->buckets[i].first;
	return table;
}

void watch_table_free(struct watch_table *table)
{
	free(table);
}

void watch_add(struct watch_table *table, struct watch *watch, const void *what)
{
	size_t b = bucket_of(what);

	watch->what = what;
	watch->next = NULL;
	watch->table = table;
	watch->link = table->buckets[b].tail;
	*watch->link = watch;
	table->buckets[b].tail = &watch->next;
}

void watch_remove(struct watch *watch)
{
	if (!watch->link)
		return;
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	else
		watch->table->buckets[bucket_of(watch->what)].tail = watch->link;
	watch->link = NULL;
}

/* Waking only schedules; it neither adds nor removes watches, so the list is stable meanwhile. */
void watch_changed(struct sim *sim, const void *what)
{
	struct host *host = sim->user;
	struct watch_table *table = host->watches;

	for (struct watch *w = table->buckets[bucket_of(what)].first; w; w = w->next) {
		if (w->what != what)
			continue;
		if (w->task)
			task_wake(w->task);
		else
			standing_touch(host, w->standing);
	}
}

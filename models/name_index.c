/* Names to records; see name_index.h. */
#include "models/name_index.h"

#include <stdlib.h>
#include <string.h>
#include "sim/sim.h"

#define BUCKETS_FIRST 16

struct entry {
	struct entry *next;
	void *record;
	char *name;
};

struct name_index {
	struct entry **buckets;
	uint32_t bucket_count, count;
};

static struct entry **place_of(const struct name_index *x, const char *name)
{
	uint32_t h = 2166136261u;
	struct entry **at;

	for (const char *p = name; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	at = &x->buckets[(h ^ h >> 16) & (x->bucket_count - 1)];
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void resize(struct name_index *x, uint32_t bucket_count)
{
	struct entry **old = x->buckets;
	uint32_t old_count = x->bucket_count;

	x->bucket_count = bucket_count;
	x->buckets = sim_alloc(bucket_count * sizeof *x->buckets);
	for (uint32_t b = 0; b < old_count; b++)
		while (old[b]) {
			struct entry *e = old[b], **at = place_of(x, e->name);

			old[b] = e->next;
			e->next = NULL;
			*at = e;
		}
	free(old);
}

struct name_index *name_index_new(void)
{
	struct name_index *x = sim_alloc(sizeof *x);

	resize(x, BUCKETS_FIRST);
	return x;
}

void name_index_free(struct name_index *x)
{
	if (!x)
		return;
	for (uint32_t b = 0; b < x->bucket_count; b++)
		while (x->buckets[b]) {
			struct entry *e = x->buckets[b];

			x->buckets[b] = e->next;
			free(e->name);
			free(e);
		}
	free(x->buckets);
	free(x);
}

static void take_out(struct name_index *x, struct entry **at)
{
	struct entry *e = *at;

	if (!e)
		return;
	*at = e->next;
	free(e->name);
	free(e);
	x->count--;
}

void name_index_set(struct name_index *x, const char *name, void *record)
{
	struct entry **at = place_of(x, name);

	if (!record) {
		take_out(x, at);
		return;
	}
	if (!*at) {
		if (x->count++ == x->bucket_count) {
			resize(x, x->bucket_count * 2);
			at = place_of(x, name);
		}
		*at = sim_alloc(sizeof **at);
		(*at)->name = sim_strdup(name);
	}
	(*at)->record = record;
}

void *name_index_get(const struct name_index *x, const char *name)
{
	const struct entry *e = *place_of(x, name);

	return e ? e->record : NULL;
}

uint32_t name_index_count(const struct name_index *x)
{
	return x->count;
}

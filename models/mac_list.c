/* The MAC list; see mac_list.h. */
#include "models/mac_list.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 16

struct entry {
	struct entry *next;
	uint8_t mac[6];
};

struct mac_list {
	struct entry **buckets;
	uint32_t bucket_count, count;
};

struct mac_list *mac_list_new(void)
{
	return sim_alloc(sizeof(struct mac_list));
}

void mac_list_free(struct mac_list *l)
{
	if (!l)
		return;
	for (uint32_t b = 0; b < l->bucket_count; b++)
		while (l->buckets[b]) {
			struct entry *e = l->buckets[b];

			l->buckets[b] = e->next;
			free(e);
		}
	free(l->buckets);
	free(l);
}

/* Where the entry is, or would be. */
static struct entry **place_of(const struct mac_list *l, const uint8_t mac[6])
{
	uint32_t h = 2166136261u;
	struct entry **at;

	for (int i = 0; i < 6; i++)
		h = (h ^ mac[i]) * 16777619u;
	at = &l->buckets[(h ^ h >> 16) & (l->bucket_count - 1)];
	while (*at && memcmp((*at)->mac, mac, 6) != 0)
		at = &(*at)->next;
	return at;
}

static void grow(struct mac_list *l)
{
	struct entry **old = l->buckets;
	uint32_t count = l->bucket_count;

	l->bucket_count = count ? count * 2 : BUCKETS_FIRST;
	l->buckets = sim_alloc(l->bucket_count * sizeof *l->buckets);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct entry *e = old[b], **at = place_of(l, e->mac);

			old[b] = e->next;
			e->next = NULL;
			*at = e;
		}
	free(old);
}

bool mac_list_has(const struct mac_list *l, const uint8_t mac[6])
{
	return l->bucket_count && *place_of(l, mac);
}

bool mac_list_add(struct mac_list *l, const uint8_t mac[6])
{
	struct entry **at;

	if (mac_list_has(l, mac))
		return true;
	if (l->count == MAC_LIST_MAX)
		return false;
	if (l->count >= l->bucket_count)
		grow(l);
	at = place_of(l, mac);
	*at = sim_alloc(sizeof **at);
	memcpy((*at)->mac, mac, 6);
	l->count++;
	return true;
}

bool mac_list_remove(struct mac_list *l, const uint8_t mac[6])
{
	struct entry **at = l->bucket_count ? place_of(l, mac) : NULL, *e = at ? *at : NULL;

	if (!e)
		return false;
	*at = e->next;
	free(e);
	l->count--;
	return true;
}

unsigned mac_list_count(const struct mac_list *l)
{
	return l->count;
}

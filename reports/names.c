/* Interned names and tallies; see names.h. */
#include "reports/names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define SLOTS_FIRST 64

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t text_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash_mix(hash);
}

static void slot_put(uint32_t *slots, size_t slot_count, uint64_t hash, uint32_t value)
{
	size_t at = hash & (slot_count - 1);

	while (slots[at])
		at = (at + 1) & (slot_count - 1);
	slots[at] = value;
}

static void names_grow(struct names *names)
{
	size_t slot_count = names->slot_count ? names->slot_count * 2 : SLOTS_FIRST;

	assert(names->count < UINT32_MAX / 2);
	free(names->slots);
	names->slots = sim_alloc(slot_count * sizeof *names->slots);
	names->slot_count = slot_count;
	names->room = slot_count / 2;
	names->texts = sim_realloc(names->texts, names->room * sizeof *names->texts);
	for (size_t i = 0; i < names->count; i++)
		slot_put(names->slots, slot_count, text_hash(names->texts[i]), (uint32_t)i + 1);
}

/* The slot of a text, or the free one where it belongs. */
static uint32_t *names_slot(const struct names *names, const char *text)
{
	size_t at = text_hash(text) & (names->slot_count - 1);

	while (names->slots[at] && strcmp(names->texts[names->slots[at] - 1], text) != 0)
		at = (at + 1) & (names->slot_count - 1);
	return &names->slots[at];
}

static uint32_t names_id_clean(struct names *names, const char *text)
{
	uint32_t *slot;

	if (names->count == names->room)
		names_grow(names);
	slot = names_slot(names, text);
	if (!*slot) {
		names->texts[names->count] = sim_strdup(text);
		*slot = (uint32_t)++names->count;
	}
	return *slot - 1;
}

bool names_has(const struct names *names, const char *text)
{
	char *copy;
	bool has;

	if (!names->slot_count)
		return false;
	has = *names_slot(names, text_clean(text, &copy)) != 0;
	free(copy);
	return has;
}

uint32_t names_id(struct names *names, const char *text)
{
	char *copy;
	uint32_t id = names_id_clean(names, text_clean(text ? text : "", &copy));

	free(copy);
	return id;
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->texts[i]);
	free(names->texts);
	free(names->slots);
	*names = (struct names){ 0 };
}

static uint64_t key_hash(const uint32_t key[3])
{
	return hash_mix(hash_mix((uint64_t)key[0] << 32 | key[1]) ^ key[2]);
}

static void tally_grow(struct tally *tally)
{
	size_t slot_count = tally->slot_count ? tally->slot_count * 2 : SLOTS_FIRST;

	assert(tally->count < UINT32_MAX / 2);
	free(tally->slots);
	tally->slots = sim_alloc(slot_count * sizeof *tally->slots);
	tally->slot_count = slot_count;
	tally->room = slot_count / 2;
	tally->entries = sim_realloc(tally->entries, tally->room * sizeof *tally->entries);
	for (size_t i = 0; i < tally->count; i++)
		slot_put(tally->slots, slot_count, key_hash(tally->entries[i].key), (uint32_t)i + 1);
}

uint32_t tally_at(struct tally *tally, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t key[3] = { a, b, c };
	size_t at;

	if (tally->count == tally->room)
		tally_grow(tally);
	at = key_hash(key) & (tally->slot_count - 1);
	while (tally->slots[at]) {
		if (memcmp(tally->entries[tally->slots[at] - 1].key, key, sizeof key) == 0)
			return tally->slots[at] - 1;
		at = (at + 1) & (tally->slot_count - 1);
	}
	tally->entries[tally->count] = (struct tally_entry){ .key = { a, b, c } };
	tally->slots[at] = (uint32_t)++tally->count;
	return (uint32_t)tally->count - 1;
}

void tally_free(struct tally *tally)
{
	free(tally->entries);
	free(tally->slots);
	*tally = (struct tally){ 0 };
}

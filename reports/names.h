/*
 * Small numbers for the texts and keys of a report: interned names, and tallies that count per key.
 *
 * Both are hash tables that are asked, and walked only in the order of entry, so hash order reaches no result.
 */
#ifndef TOLLGATE_REPORTS_NAMES_H
#define TOLLGATE_REPORTS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reports/text.h"

/* Texts, each kept once. A zeroed struct is empty. */
struct names {
	char **texts;
	uint32_t *slots; /* id + 1; 0: free */
	size_t count, room, slot_count;
};
/* The number of a text, from 0 on in order of entry. NULL counts as "". The text is made clean first. */
uint32_t names_id(struct names *names, const char *text);
/* Whether a text is there. */
bool names_has(const struct names *names, const char *text);
/* Lives as long as names. */
static inline const char *names_text(const struct names *names, uint32_t id)
{
	return names->texts[id];
}
void names_free(struct names *names);

/* Counts per key of three numbers. A zeroed struct is empty. */
struct tally_entry {
	uint32_t key[3];
	uint32_t count;
};
struct tally {
	struct tally_entry *entries;
	uint32_t *slots; /* index + 1; 0: free */
	size_t count, room, slot_count;
};
/* The index of a key's entry, from 0 on in order of entry; a new one has count 0. The caller counts. */
uint32_t tally_at(struct tally *tally, uint32_t a, uint32_t b, uint32_t c);
void tally_free(struct tally *tally);

/* Spreads a 64-bit key over a table (the finisher of MurmurHash3). */
static inline uint64_t hash_mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

#endif

/*
 * Percentiles, exact by rank, of any number of times in bounded memory: what does not fit lies in a temporary file, and a value
 * is found digit by digit, with a count per digit (radix selection).
 */
#include <assert.h>
#include <stdlib.h>

#include "reports/diff_internal.h"
#include "sim/sim.h"

#define DIGIT_BITS 16
#define DIGITS (1u << DIGIT_BITS)

static void spill(struct ranks *r)
{
	if (!r->file)
		r->file = tmpfile();
	if (!r->file || fwrite(r->recent, sizeof *r->recent, r->recent_count, r->file) != r->recent_count)
		r->failed = true;
	r->recent_count = 0;
}

void ranks_add(struct ranks *r, int64_t value)
{
	assert(value >= 0);
	if (!r->recent)
		r->recent = sim_alloc(RANKS_IN_MEMORY * sizeof *r->recent);
	if (r->recent_count == RANKS_IN_MEMORY)
		spill(r);
	r->recent[r->recent_count++] = value;
	r->count++;
}

/* Counts the digit at `shift` of the values that have these digits above it. */
static void count_digits(const int64_t *values, size_t count, unsigned shift, uint64_t above, int64_t *counts)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t rest = (uint64_t)values[i] >> shift;

		if (rest >> DIGIT_BITS == above)
			counts[rest & (DIGITS - 1)]++;
	}
}

static void count_all(struct ranks *r, unsigned shift, uint64_t above, int64_t *counts)
{
	int64_t part[1024];
	size_t got;

	for (size_t i = 0; i < DIGITS; i++)
		counts[i] = 0;
	count_digits(r->recent, r->recent_count, shift, above, counts);
	if (!r->file)
		return;
	rewind(r->file);
	while ((got = fread(part, sizeof part[0], sizeof part / sizeof part[0], r->file)) > 0)
		count_digits(part, got, shift, above, counts);
	if (ferror(r->file) || fseek(r->file, 0, SEEK_END) != 0)
		r->failed = true;
}

int64_t ranks_at(struct ranks *r, unsigned percent)
{
	int64_t rank = (r->count / 100) * percent + (r->count % 100 * percent + 99) / 100, *counts;
	uint64_t value = 0;

	if (r->count == 0 || r->failed)
		return 0;
	counts = sim_alloc(DIGITS * sizeof *counts);
	for (unsigned shift = 64; shift > 0;) {
		size_t digit = 0;

		shift -= DIGIT_BITS;
		count_all(r, shift, value, counts);
		for (; digit < DIGITS - 1 && rank > counts[digit]; digit++)
			rank -= counts[digit];
		value = value << DIGIT_BITS | digit;
	}
	free(counts);
	return (int64_t)value;
}

void ranks_free(struct ranks *r)
{
	if (r->file)
		fclose(r->file);
	free(r->recent);
	*r = (struct ranks){ 0 };
}

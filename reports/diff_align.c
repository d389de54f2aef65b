/*
 * The longest common subsequence by Myers' greedy algorithm, after common beginning and end are put aside: time O((N + M) D),
 * memory O(D^2) for D edits, and D is limited.
 *
 * v[d][k] is how far in a one gets on diagonal k = x - y with d edits; rows of all d are kept to walk back.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/diff_internal.h"
#include "sim/sim.h"

struct walk {
	const uint32_t *a, *b;
	int64_t n, m;
	int32_t *rows; /* row d has 2d + 1 cells and begins at d * d */
	size_t room;
};

static int32_t *row(struct walk *w, int64_t d)
{
	return w->rows + d * d + d; /* its middle: index by k */
}

static void rows_grow(struct walk *w, int64_t d)
{
	size_t need = (size_t)((d + 1) * (d + 1));

	if (need <= w->room)
		return;
	w->room = need * 2;
	w->rows = sim_realloc(w->rows, w->room * sizeof *w->rows);
}

/* Whether the best way to diagonal k with d edits comes down from k + 1 (something of b alone). */
static bool from_above(struct walk *w, int64_t d, int64_t k)
{
	const int32_t *last = row(w, d - 1);

	return k == -d || (k != d && last[k - 1] < last[k + 1]);
}

static int64_t step(struct walk *w, int64_t d, int64_t k)
{
	if (d == 0)
		return 0;
	return from_above(w, d, k) ? row(w, d - 1)[k + 1] : row(w, d - 1)[k - 1] + 1;
}

/* The number of edits, -1 for too many. */
static int64_t edits(struct walk *w)
{
	for (int64_t d = 0; d <= ALIGN_EDITS_MAX; d++) {
		rows_grow(w, d);
		for (int64_t k = -d; k <= d; k += 2) {
			int64_t x = step(w, d, k), y = x - k;

			while (x < w->n && y < w->m && w->a[x] == w->b[y])
				x++, y++;
			row(w, d)[k] = (int32_t)x;
			if (x >= w->n && k == w->n - w->m) /* the end: a way past it is longer than one to it */
				return d;
		}
	}
	return -1;
}

static void walk_back(struct walk *w, int64_t d, uint8_t *a_alone, uint8_t *b_alone)
{
	for (int64_t k = w->n - w->m; d > 0; d--) {
		if (from_above(w, d, k)) {
			k++;
			b_alone[row(w, d - 1)[k] - k] = 1;
		} else {
			k--;
			a_alone[row(w, d - 1)[k]] = 1;
		}
	}
}

bool align(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count, uint8_t *a_alone, uint8_t *b_alone)
{
	struct walk w = { 0 };
	size_t head = 0, tail = 0;
	int64_t d;

	memset(a_alone, 0, a_count);
	memset(b_alone, 0, b_count);
	while (head < a_count && head < b_count && a[head] == b[head])
		head++;
	while (tail < a_count - head && tail < b_count - head && a[a_count - 1 - tail] == b[b_count - 1 - tail])
		tail++;
	w.a = a + head;
	w.b = b + head;
	w.n = (int64_t)(a_count - head - tail);
	w.m = (int64_t)(b_count - head - tail);
	d = edits(&w);
	if (d >= 0)
		walk_back(&w, d, a_alone + head, b_alone + head);
	free(w.rows);
	return d >= 0;
}

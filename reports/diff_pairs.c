/*
 * Which message of A is which of B: per conversation (two ends, both directions, in order of sending) the longest common
 * subsequence over kinds. What is left over on both sides of a kind has moved; the rest of it is missing or added. Within a
 * (src, dst, kind) the messages that remain are partners in the order of their numbers.
 *
 * Memory is bounded per conversation: one of more than CONVERSATION_MAX messages or with more than ALIGN_EDITS_MAX edits is
 * paired by number within each kind, and a note says so. So is one whose kinds are no clean text.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/diff_internal.h"
#include "reports/output.h"
#include "sim/sim.h"

#define CONVERSATION_MAX (1u << 18) /* messages a side */
#define KINDS_MAX 4096              /* of a conversation, both directions */

struct sighted { /* a message of a conversation */
	int64_t sent_ns, nth;
	uint32_t symbol;
	uint8_t alone;
};

struct sequence {
	struct sighted *items;
	uint32_t *symbols;
	uint8_t *alone;
	size_t count, room;
};

struct pairs {
	struct diff *d;
	sqlite3_stmt *next[SIDES];  /* the next (src, dst) */
	sqlite3_stmt *has[SIDES];
	sqlite3_stmt *load[SIDES];
	sqlite3_stmt *kinds[SIDES], *rest[SIDES], *cause[SIDES];
	char *ends[2];              /* of the conversation */
	char *group;
	struct names kinds_seen;    /* id * 2 + direction: the symbol */
	struct sequence sequence[SIDES];
	int64_t *surplus[SIDES];    /* by symbol */
	size_t surplus_room;
	int64_t by_number;          /* conversations paired so */
};

void message_name(char out[MESSAGE_NAME_LEN], const char *src, const char *dst, const char *kind, int64_t nth)
{
	snprintf(out, MESSAGE_NAME_LEN, "%.300s>%.300s %.300s #%" PRId64, src, dst, kind, nth);
}

bool message_parse(struct message_key *key, const char *name)
{
	char *dst, *kind, *number, *end;

	if (snprintf(key->text, sizeof key->text, "%s", name) >= (int)sizeof key->text)
		return false;
	dst = strchr(key->text, '>');
	kind = dst ? strchr(dst, ' ') : NULL;
	number = kind ? strrchr(kind, '#') : NULL;
	if (!number || number < kind + 2 || number[-1] != ' ' || number[1] < '1' || number[1] > '9')
		return false;
	key->nth = strtoll(number + 1, &end, 10);
	*dst = *kind = number[-1] = '\0';
	key->src = key->text;
	key->dst = dst + 1;
	key->kind = kind + 1;
	return *end == '\0';
}

/* ---- what is left over ---- */

static void lone(struct pairs *p, int side, int direction, const char *kind, int64_t nth, int64_t sent_ns)
{
	const char *src = p->ends[direction], *dst = p->ends[!direction];
	char name[MESSAGE_NAME_LEN];
	struct item item = { .section = SECTION_MESSAGE, .what = side == SIDE_A ? MISSING : ADDED, .at_ns = sent_ns,
		             .group = p->group };
	sqlite3_stmt *cause = p->cause[side];

	message_name(name, src, dst, kind, nth);
	item.subject[side] = name;
	result_bind_text(cause, 1, src);
	result_bind_text(cause, 2, dst);
	result_bind_text(cause, 3, kind);
	sqlite3_bind_int64(cause, 4, nth);
	if (result_next(&p->d->side[side], cause))
		item.cause[side] = result_text(cause, 0);
	store_item(p->d, &item);
	sqlite3_reset(cause);
	store_lone(p->d, side, src, dst, kind, nth);
}

static void moved(struct pairs *p, int direction, const char *kind, const struct sighted *a)
{
	char name[MESSAGE_NAME_LEN];
	struct item item = { .section = SECTION_MESSAGE, .what = MOVED, .at_ns = a->sent_ns, .group = p->group };

	message_name(name, p->ends[direction], p->ends[!direction], kind, a->nth);
	item.subject[SIDE_A] = name;
	store_item(p->d, &item);
}

/* ---- pairing by the longest common subsequence ---- */

static void sequence_free(struct sequence *s)
{
	free(s->items);
	free(s->symbols);
	free(s->alone);
}

static struct sighted *sequence_add(struct sequence *s)
{
	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->items = sim_realloc(s->items, s->room * sizeof *s->items);
		s->symbols = sim_realloc(s->symbols, s->room * sizeof *s->symbols);
		s->alone = sim_realloc(s->alone, s->room);
	}
	return &s->items[s->count++];
}

/* Ids of kinds depend on neither side's order of rows: both are sorted by kind, A is read first. */
static int by_time(const void *a, const void *b)
{
	const struct sighted *x = a, *y = b;

	if (x->sent_ns != y->sent_ns)
		return x->sent_ns < y->sent_ns ? -1 : 1;
	if (x->symbol != y->symbol)
		return x->symbol < y->symbol ? -1 : 1;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

static bool load_direction(struct pairs *p, int side, int direction)
{
	sqlite3_stmt *rows = p->load[side];
	struct sequence *s = &p->sequence[side];
	uint32_t symbol = 0;
	bool fits = true;

	result_bind_text(rows, 1, p->ends[direction]);
	result_bind_text(rows, 2, p->ends[!direction]);
	while (fits && result_next(&p->d->side[side], rows)) {
		const char *kind = result_text(rows, 0);
		struct sighted *m;

		if (s->count == CONVERSATION_MAX) {
			fits = false;
			break;
		}
		if (s->count == 0 || (symbol & 1) != (uint32_t)direction ||
		    strcmp(names_text(&p->kinds_seen, symbol / 2), kind) != 0)
			symbol = names_id(&p->kinds_seen, kind) * 2 + (uint32_t)direction;
		/* names are clean: a kind that is not cannot be looked up by its name */
		fits = p->kinds_seen.count < KINDS_MAX && strcmp(names_text(&p->kinds_seen, symbol / 2), kind) == 0;
		m = sequence_add(s);
		*m = (struct sighted){ .nth = sqlite3_column_int64(rows, 1), .sent_ns = sqlite3_column_int64(rows, 2), .symbol = symbol };
	}
	sqlite3_reset(rows);
	return fits;
}

static bool is_sorted(const struct sequence *s)
{
	for (size_t i = 1; i < s->count; i++)
		if (by_time(&s->items[i - 1], &s->items[i]) > 0)
			return false;
	return true;
}

static bool load(struct pairs *p, int side)
{
	struct sequence *s = &p->sequence[side];
	bool same_ends = strcmp(p->ends[0], p->ends[1]) == 0;

	s->count = 0;
	if (!load_direction(p, side, 0) || (!same_ends && !load_direction(p, side, 1)))
		return false;
	if (s->count && !is_sorted(s))
		qsort(s->items, s->count, sizeof *s->items, by_time);
	for (size_t i = 0; i < s->count; i++)
		s->symbols[i] = s->items[i].symbol;
	return true;
}

static void surplus_reset(struct pairs *p)
{
	size_t need = p->kinds_seen.count * 2;

	for (int side = 0; side < SIDES; side++) {
		if (need > p->surplus_room)
			p->surplus[side] = sim_realloc(p->surplus[side], need * sizeof *p->surplus[side]);
		memset(p->surplus[side], 0, need * sizeof *p->surplus[side]);
	}
	if (need > p->surplus_room)
		p->surplus_room = need;
}

static int64_t apart(const struct sighted *a, const struct sighted *b)
{
	int64_t ns;

	return __builtin_sub_overflow(a->sent_ns, b->sent_ns, &ns) || ns == INT64_MIN ? INT64_MAX : ns < 0 ? -ns : ns;
}

/*
 * In a run of the same kind any may be the one without a partner, and the search takes the last: what is alone goes back in its
 * run as long as the partners come closer in time.
 */
static void slide(struct sequence *s, const struct sequence *other)
{
	size_t partner = other->count;

	for (size_t i = s->count; i-- > 0;) {
		while (partner > 0 && other->alone[partner - 1])
			partner--; /* the last that has a partner at i or before */
		if (s->alone[i] && i > 0 && partner > 0 && !s->alone[i - 1] && s->symbols[i - 1] == s->symbols[i] &&
		    apart(&s->items[i], &other->items[partner - 1]) < apart(&s->items[i - 1], &other->items[partner - 1])) {
			s->alone[i] = 0;
			s->alone[i - 1] = 1;
		}
		if (!s->alone[i] && partner > 0)
			partner--;
	}
}

/* surplus: how many of each symbol are alone on both sides; these keep their partners, the rest is missing or added. */
static void tell_side(struct pairs *p, int side)
{
	struct sequence *s = &p->sequence[side];

	for (size_t i = 0; i < s->count; i++) {
		const struct sighted *m = &s->items[i];
		const char *kind = names_text(&p->kinds_seen, m->symbol / 2);
		int direction = (int)(m->symbol & 1);

		if (!s->alone[i])
			continue;
		if (p->surplus[side][m->symbol] == 0)
			lone(p, side, direction, kind, m->nth, m->sent_ns);
		else if (p->surplus[side][m->symbol]-- && side == SIDE_A)
			moved(p, direction, kind, m);
	}
}

static void tell(struct pairs *p)
{
	surplus_reset(p);
	for (int side = 0; side < SIDES; side++)
		for (size_t i = 0; i < p->sequence[side].count; i++)
			p->surplus[side][p->sequence[side].items[i].symbol] += p->sequence[side].alone[i];
	for (size_t i = 0; i < p->kinds_seen.count * 2; i++) {
		int64_t a = p->surplus[SIDE_A][i], b = p->surplus[SIDE_B][i];

		p->surplus[SIDE_A][i] = p->surplus[SIDE_B][i] = a < b ? a : b;
	}
	tell_side(p, SIDE_A);
	tell_side(p, SIDE_B);
}

/* False: it must be paired by number. */
static bool by_subsequence(struct pairs *p)
{
	struct sequence *a = &p->sequence[SIDE_A], *b = &p->sequence[SIDE_B];

	if (p->kinds_seen.count > KINDS_MAX / 2)
		names_free(&p->kinds_seen);
	if (!load(p, SIDE_A) || !load(p, SIDE_B))
		return false;
	if (a->count == b->count && (a->count == 0 || memcmp(a->symbols, b->symbols, a->count * sizeof *a->symbols) == 0))
		return true;
	if (!a->count || !b->count) { /* nothing to be found */
		memset(a->count ? a->alone : b->alone, 1, a->count + b->count);
	} else if (!align(a->symbols, a->count, b->symbols, b->count, a->alone, b->alone)) {
		return false;
	} else {
		slide(a, b);
		slide(b, a);
	}
	tell(p);
	return true;
}

/* ---- pairing by number ---- */

static void surplus_of(struct pairs *p, int side, int direction, const char *kind, int64_t partners)
{
	sqlite3_stmt *rows = p->rest[side];

	result_bind_text(rows, 1, p->ends[direction]);
	result_bind_text(rows, 2, p->ends[!direction]);
	result_bind_text(rows, 3, kind);
	sqlite3_bind_int64(rows, 4, partners);
	while (!p->d->error[0] && result_next(&p->d->side[side], rows))
		lone(p, side, direction, kind, sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1));
	sqlite3_reset(rows);
}

/* Kinds and how many there are of each, on both sides in the same order. */
static void direction_by_number(struct pairs *p, int direction)
{
	bool more[SIDES];

	for (int side = 0; side < SIDES; side++) {
		result_bind_text(p->kinds[side], 1, p->ends[direction]);
		result_bind_text(p->kinds[side], 2, p->ends[!direction]);
		more[side] = result_next(&p->d->side[side], p->kinds[side]);
	}
	while ((more[SIDE_A] || more[SIDE_B]) && !p->d->error[0]) {
		int order = !more[SIDE_A] ? 1 : !more[SIDE_B] ? -1
			    : strcmp(result_text(p->kinds[SIDE_A], 0), result_text(p->kinds[SIDE_B], 0));
		int64_t n[SIDES] = { order <= 0 ? sqlite3_column_int64(p->kinds[SIDE_A], 1) : 0,
			             order >= 0 ? sqlite3_column_int64(p->kinds[SIDE_B], 1) : 0 };

		if (n[SIDE_A] > n[SIDE_B])
			surplus_of(p, SIDE_A, direction, result_text(p->kinds[SIDE_A], 0), n[SIDE_B]);
		if (n[SIDE_B] > n[SIDE_A])
			surplus_of(p, SIDE_B, direction, result_text(p->kinds[SIDE_B], 0), n[SIDE_A]);
		if (order <= 0)
			more[SIDE_A] = result_next(&p->d->side[SIDE_A], p->kinds[SIDE_A]);
		if (order >= 0)
			more[SIDE_B] = result_next(&p->d->side[SIDE_B], p->kinds[SIDE_B]);
	}
	sqlite3_reset(p->kinds[SIDE_A]);
	sqlite3_reset(p->kinds[SIDE_B]);
}

static void by_number(struct pairs *p)
{
	p->by_number++;
	direction_by_number(p, 0);
	if (strcmp(p->ends[0], p->ends[1]) != 0)
		direction_by_number(p, 1);
}

/* ---- all conversations ---- */

/* Whether a conversation is met under its other direction, which sorts before this one. */
static bool met_otherwise(struct pairs *p, const char *src, const char *dst)
{
	bool has = false;

	if (strcmp(src, dst) <= 0)
		return false;
	for (int side = 0; side < SIDES && !has; side++) {
		result_bind_text(p->has[side], 1, dst);
		result_bind_text(p->has[side], 2, src);
		has = result_next(&p->d->side[side], p->has[side]);
		sqlite3_reset(p->has[side]);
	}
	return has;
}

static void conversation(struct pairs *p)
{
	if (met_otherwise(p, p->ends[0], p->ends[1]))
		return;
	free(p->group);
	p->group = text_make("%.300s <> %.300s", p->ends[0], p->ends[1]);
	if (!by_subsequence(p) && !p->d->error[0])
		by_number(p);
}

/* The first (src, dst) of a side after this one; false: there is none. A damaged tree may lead back: that is an error. */
static bool next_ends(struct pairs *p, int side, char *ends[2])
{
	sqlite3_stmt *stmt = p->next[side];
	char *src, *dst;
	int order;

	result_bind_text(stmt, 1, ends[0]);
	result_bind_text(stmt, 2, ends[1]);
	if (!result_next(&p->d->side[side], stmt)) {
		sqlite3_reset(stmt);
		return false;
	}
	src = sim_strdup(result_text(stmt, 0));
	dst = sim_strdup(result_text(stmt, 1));
	sqlite3_reset(stmt);
	order = strcmp(src, ends[0]);
	if (order < 0 || (order == 0 && strcmp(dst, ends[1]) <= 0)) {
		report_error(p->d->error, "%s: damaged: messages are out of order", p->d->side[side].path);
		free(src);
		free(dst);
		return false;
	}
	free(ends[0]);
	free(ends[1]);
	ends[0] = src;
	ends[1] = dst;
	return true;
}

static void each_conversation(struct pairs *p)
{
	char *ends[SIDES][2];
	bool more[SIDES];

	for (int side = 0; side < SIDES; side++) {
		ends[side][0] = sim_strdup("");
		ends[side][1] = sim_strdup("");
		more[side] = next_ends(p, side, ends[side]);
	}
	while ((more[SIDE_A] || more[SIDE_B]) && !p->d->error[0]) {
		int order = !more[SIDE_A] ? 1 : !more[SIDE_B] ? -1 : strcmp(ends[SIDE_A][0], ends[SIDE_B][0]);
		int first;

		if (!order && more[SIDE_A] && more[SIDE_B])
			order = strcmp(ends[SIDE_A][1], ends[SIDE_B][1]);
		first = order <= 0 ? SIDE_A : SIDE_B;
		for (int i = 0; i < 2; i++) {
			free(p->ends[i]);
			p->ends[i] = sim_strdup(ends[first][i]);
		}
		conversation(p);
		for (int side = 0; side < SIDES; side++)
			if (side == first || order == 0)
				more[side] = next_ends(p, side, ends[side]);
	}
	for (int side = 0; side < SIDES; side++) {
		free(ends[side][0]);
		free(ends[side][1]);
	}
}

#define OF_MESSAGE "FROM message WHERE src = ?1 AND dst = ?2"

static bool pairs_open(struct pairs *p)
{
	bool fine = true;

	for (int side = 0; side < SIDES; side++) {
		struct result_db *r = &p->d->side[side];

		p->next[side] = result_query(r, "SELECT src, dst FROM message WHERE (src, dst) > (?1, ?2) ORDER BY src, dst LIMIT 1");
		p->has[side] = result_query(r, "SELECT 1 " OF_MESSAGE " LIMIT 1");
		p->load[side] = result_query(r, "SELECT kind, nth, sent_ns " OF_MESSAGE " ORDER BY kind, nth");
		p->kinds[side] = result_query(r, "SELECT kind, count(*) " OF_MESSAGE " GROUP BY kind ORDER BY kind");
		p->rest[side] = result_query(r, "SELECT nth, sent_ns " OF_MESSAGE " AND kind = ?3 ORDER BY nth LIMIT -1 OFFSET ?4");
		p->cause[side] = result_query(r, "SELECT cause " OF_MESSAGE " AND kind = ?3 AND nth = ?4");
		fine = fine && p->next[side] && p->has[side] && p->load[side] && p->kinds[side] && p->rest[side] && p->cause[side];
	}
	return fine;
}

static void pairs_close(struct pairs *p)
{
	for (int side = 0; side < SIDES; side++) {
		result_end(p->next[side]);
		result_end(p->has[side]);
		result_end(p->load[side]);
		result_end(p->kinds[side]);
		result_end(p->rest[side]);
		result_end(p->cause[side]);
		sequence_free(&p->sequence[side]);
		free(p->surplus[side]);
		free(p->ends[side]);
	}
	free(p->group);
	names_free(&p->kinds_seen);
}

void diff_pairs(struct diff *d)
{
	struct pairs p = { .d = d };
	char *note;

	if (pairs_open(&p))
		each_conversation(&p);
	if (p.by_number && !d->error[0]) {
		note = text_make("conversations with more than %u messages, %u kinds or %d differences, or kinds that are no text: %" PRId64
		                 "; paired by number within each kind, not by the longest common subsequence", CONVERSATION_MAX, KINDS_MAX,
		                 ALIGN_EDITS_MAX, p.by_number);
		store_note(d, note);
		free(note);
	}
	pairs_close(&p);
}

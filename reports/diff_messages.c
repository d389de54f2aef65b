/*
 * Partners compared: both databases are read once in the order of their keys, messages and their fields side by side, the lone
 * messages of diff_pairs.c passed over. Nothing is kept but what differs.
 */
#include <string.h>

#include "reports/diff_internal.h"
#include "reports/output.h"

enum { M_SRC, M_DST, M_KIND, M_NTH, M_SENT, M_GOT, M_FATE, M_WHY, M_CAUSE, M_ACTOR, M_COVER, M_PROTO, M_SIZE };
enum { F_SRC, F_DST, F_KIND, F_NTH, F_PATH, F_REP, F_VALUE, F_CLASS };

#define CAUSE_SHIFT_MAX 64 /* lone messages of one (src, dst, kind): with more, only the kinds of causes are compared */

struct cursor { /* over one table, in the order of its key */
	struct result_db *db;
	sqlite3_stmt *rows;
	bool more;
};

struct merge {
	struct diff *d;
	struct cursor message[SIDES], field[SIDES], lone[SIDES];
	sqlite3_stmt *lone_of;          /* the numbers of a kind's lone messages */
	bool same_seed;
	/* of the pair being compared */
	char name[SIDES][MESSAGE_NAME_LEN];
	bool has_item, random_differs, named;
	bool as_sent; /* it differs in more than its fate */
};

static void cursor_next(struct cursor *c)
{
	c->more = result_next(c->db, c->rows);
}

static bool cursor_open(struct cursor *c, struct result_db *db, const char *sql)
{
	c->db = db;
	c->rows = result_query(db, sql);
	return c->rows != NULL;
}

static int compare_int(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static bool same_text(sqlite3_stmt *a, int a_column, sqlite3_stmt *b, int b_column)
{
	const char *x = result_text(a, a_column), *y = result_text(b, b_column);
	size_t x_len = (size_t)sqlite3_column_bytes(a, a_column), y_len = (size_t)sqlite3_column_bytes(b, b_column);

	return x_len == y_len && memcmp(x, y, x_len) == 0;
}

/* Orders two rows by the message they are of: four columns from a_column and b_column on. */
static int compare_keys(sqlite3_stmt *a, int a_column, sqlite3_stmt *b, int b_column)
{
	int order = 0;

	for (int i = 0; i < 3 && order == 0; i++)
		order = strcmp(result_text(a, a_column + i), result_text(b, b_column + i));
	return order ? order : compare_int(sqlite3_column_int64(a, a_column + 3), sqlite3_column_int64(b, b_column + 3));
}

/* ---- what differs in the pair ---- */

static void pair_names(struct merge *m)
{
	for (int side = 0; side < SIDES && !m->named; side++) {
		sqlite3_stmt *row = m->message[side].rows;

		message_name(m->name[side], result_text(row, M_SRC), result_text(row, M_DST), result_text(row, M_KIND),
		             sqlite3_column_int64(row, M_NTH));
	}
	m->named = true;
}

/* The item of the pair, made when the first difference is found. */
static void pair_item(struct merge *m)
{
	sqlite3_stmt *a = m->message[SIDE_A].rows, *b = m->message[SIDE_B].rows;
	int64_t a_ns = sqlite3_column_int64(a, M_SENT), b_ns = sqlite3_column_int64(b, M_SENT);
	struct item item = { .section = SECTION_FIELD, .what = CHANGED, .at_ns = a_ns < b_ns ? a_ns : b_ns,
		             .cause = { result_text(a, M_CAUSE), result_text(b, M_CAUSE) } };

	if (m->has_item)
		return;
	pair_names(m);
	item.subject[SIDE_A] = m->name[SIDE_A];
	item.subject[SIDE_B] = m->name[SIDE_B];
	store_item(m->d, &item);
	m->has_item = true;
}

/* The lone messages of a kind below nth, or up to it when it is lone itself: *itself. -1: too many to go through. */
static int lone_below(struct merge *m, int side, const struct message_key *key, int64_t nth[CAUSE_SHIFT_MAX])
{
	int count = 0;

	sqlite3_bind_int(m->lone_of, 1, side);
	result_bind_text(m->lone_of, 2, key->src);
	result_bind_text(m->lone_of, 3, key->dst);
	result_bind_text(m->lone_of, 4, key->kind);
	while (count >= 0 && result_next(&m->d->store, m->lone_of)) {
		if (count == CAUSE_SHIFT_MAX)
			count = -1;
		else
			nth[count++] = sqlite3_column_int64(m->lone_of, 0);
	}
	sqlite3_reset(m->lone_of);
	return count;
}

/* Whether the n-th of A's is the partner of the n-th of B's, for causes of the same kind. */
static bool same_number(struct merge *m, const struct message_key *a, const struct message_key *b)
{
	int64_t lone_a[CAUSE_SHIFT_MAX], lone_b[CAUSE_SHIFT_MAX];
	int count_a = lone_below(m, SIDE_A, a, lone_a), count_b = lone_below(m, SIDE_B, b, lone_b);
	int64_t rank_a = a->nth, rank_b = b->nth;

	if (count_a < 0 || count_b < 0)
		return true;
	for (int i = 0; i < count_a && lone_a[i] <= a->nth; i++, rank_a--)
		if (lone_a[i] == a->nth)
			return false;
	for (int i = 0; i < count_b && lone_b[i] <= b->nth; i++, rank_b--)
		if (lone_b[i] == b->nth)
			return false;
	return rank_a == rank_b;
}

/* Whether two messages answer partners. */
static bool same_cause(struct merge *m, const char *a, const char *b)
{
	struct message_key key_a, key_b;

	if (m->d->lone_count == 0 || !message_parse(&key_a, a) || !message_parse(&key_b, b))
		return strcmp(a, b) == 0;
	if (strcmp(key_a.src, key_b.src) != 0 || strcmp(key_a.dst, key_b.dst) != 0 || strcmp(key_a.kind, key_b.kind) != 0)
		return false;
	return same_number(m, &key_a, &key_b);
}

static void compare_message(struct merge *m)
{
	static const struct { int column; const char *path; } texts[] = {
		{ M_FATE, "fate" }, { M_WHY, "why" }, { M_ACTOR, "actor" }, { M_COVER, "cover" }, { M_PROTO, "proto" },
	};
	sqlite3_stmt *a = m->message[SIDE_A].rows, *b = m->message[SIDE_B].rows;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (same_text(a, texts[i].column, b, texts[i].column))
			continue;
		pair_item(m);
		m->as_sent = m->as_sent || (texts[i].column != M_FATE && texts[i].column != M_WHY);
		store_detail_text(m->d, texts[i].path, result_text(a, texts[i].column), result_text(b, texts[i].column));
	}
	if (!same_cause(m, result_text(a, M_CAUSE), result_text(b, M_CAUSE))) {
		pair_item(m);
		m->as_sent = true;
		store_detail_text(m->d, "cause", result_text(a, M_CAUSE), result_text(b, M_CAUSE));
	}
}

/* The length follows chance where what is in the message does: then it is no difference. */
static void compare_size(struct merge *m)
{
	sqlite3_stmt *a = m->message[SIDE_A].rows, *b = m->message[SIDE_B].rows;

	if (sqlite3_column_int64(a, M_SIZE) == sqlite3_column_int64(b, M_SIZE) || m->random_differs || !m->same_seed)
		return;
	pair_item(m);
	m->as_sent = true;
	store_detail_int(m->d, "size", a, b, M_SIZE);
}

static void exact_times(struct merge *m)
{
	sqlite3_stmt *a = m->message[SIDE_A].rows, *b = m->message[SIDE_B].rows;
	struct item item = { .section = SECTION_TIME, .what = CHANGED, .at_ns = sqlite3_column_int64(a, M_SENT),
		             .group = "message" };

	pair_names(m);
	item.subject[SIDE_A] = m->name[SIDE_A];
	item.subject[SIDE_B] = m->name[SIDE_B];
	store_item(m->d, &item);
	store_detail_int(m->d, "sent_ns", a, b, M_SENT);
	store_detail_int(m->d, "got_ns", a, b, M_GOT);
}

static void compare_times(struct merge *m)
{
	sqlite3_stmt *row[SIDES] = { m->message[SIDE_A].rows, m->message[SIDE_B].rows };
	int64_t sent[SIDES], span[SIDES] = { 0 };
	bool got[SIDES];

	for (int side = 0; side < SIDES; side++) {
		sent[side] = sqlite3_column_int64(row[side], M_SENT);
		got[side] = sqlite3_column_type(row[side], M_GOT) != SQLITE_NULL &&
			    !__builtin_sub_overflow(sqlite3_column_int64(row[side], M_GOT), sent[side], &span[side]);
	}
	if (sent[SIDE_A] != sent[SIDE_B])
		pair_names(m);
	timing_moved(m->d, MOVED_MESSAGE, sent[SIDE_A], sent[SIDE_B], m->name[SIDE_A]);
	if (got[SIDE_A] && got[SIDE_B])
		timing_span(m->d, SPAN_DELIVERY, span[SIDE_A], span[SIDE_B]);
	if (m->d->options->exact_times && (sent[SIDE_A] != sent[SIDE_B] || span[SIDE_A] != span[SIDE_B]))
		exact_times(m);
}

/* ---- fields ---- */

static bool is_class(sqlite3_stmt *row, const char *class)
{
	return row && strcmp(result_text(row, F_CLASS), class) == 0;
}

/* One field; NULL: not on this side. It counts as a fact when either side says so. */
static void compare_field(struct merge *m, sqlite3_stmt *a, sqlite3_stmt *b)
{
	char path[160];
	sqlite3_stmt *row = a ? a : b;

	if (a && b && same_text(a, F_VALUE, b, F_VALUE))
		return;
	if (!is_class(a, "fact") && !is_class(b, "fact")) {
		m->random_differs = m->random_differs || is_class(a, "random") || is_class(b, "random");
		m->d->timing.fields += is_class(a, "time") || is_class(b, "time");
		return;
	}
	pair_item(m);
	m->as_sent = true;
	if (sqlite3_column_int64(row, F_REP) > 1)
		snprintf(path, sizeof path, "%.120s (%lld)", result_text(row, F_PATH), (long long)sqlite3_column_int64(row, F_REP));
	else
		snprintf(path, sizeof path, "%.150s", result_text(row, F_PATH));
	store_detail(m->d, path, a ? result_text(a, F_VALUE) : NULL, a ? (size_t)sqlite3_column_bytes(a, F_VALUE) : 0,
	             b ? result_text(b, F_VALUE) : NULL, b ? (size_t)sqlite3_column_bytes(b, F_VALUE) : 0);
}

/* Whether the field cursor stands in the message of its side; fields of messages that are not there are passed. */
static bool in_message(struct merge *m, int side)
{
	struct cursor *field = &m->field[side];
	int order = -1;

	while (field->more && (order = compare_keys(field->rows, F_SRC, m->message[side].rows, M_SRC)) < 0)
		cursor_next(field);
	return field->more && order == 0;
}

static void compare_fields(struct merge *m)
{
	struct cursor *a = &m->field[SIDE_A], *b = &m->field[SIDE_B];
	bool in_a = in_message(m, SIDE_A), in_b = in_message(m, SIDE_B);

	while (in_a || in_b) {
		int order = !in_a ? 1 : !in_b ? -1 : strcmp(result_text(a->rows, F_PATH), result_text(b->rows, F_PATH));

		if (in_a && in_b && order == 0)
			order = compare_int(sqlite3_column_int64(a->rows, F_REP), sqlite3_column_int64(b->rows, F_REP));
		compare_field(m, order <= 0 ? a->rows : NULL, order >= 0 ? b->rows : NULL);
		if (order <= 0) {
			cursor_next(a);
			in_a = in_message(m, SIDE_A);
		}
		if (order >= 0) {
			cursor_next(b);
			in_b = in_message(m, SIDE_B);
		}
	}
}

/* ---- the walk ---- */

/* Two messages that only end differently differ when the first of them ends. */
static void at_fate(struct merge *m)
{
	int64_t at_ns = INT64_MAX;

	for (int side = 0; side < SIDES; side++) {
		sqlite3_stmt *row = m->message[side].rows;

		if (sqlite3_column_type(row, M_GOT) != SQLITE_NULL && sqlite3_column_int64(row, M_GOT) < at_ns)
			at_ns = sqlite3_column_int64(row, M_GOT);
	}
	if (at_ns != INT64_MAX)
		store_item_at(m->d, at_ns);
}

static void compare_pair(struct merge *m)
{
	m->has_item = m->random_differs = m->named = m->as_sent = false;
	compare_message(m);
	if (m->d->fields_compared)
		compare_fields(m);
	compare_size(m);
	if (m->has_item && !m->as_sent)
		at_fate(m);
	compare_times(m);
}

/* Goes to the next message of a side that has a partner. */
static void skip_lone(struct merge *m, int side)
{
	struct cursor *message = &m->message[side], *lone = &m->lone[side];

	while (message->more && lone->more) {
		int order = compare_keys(message->rows, M_SRC, lone->rows, 0);

		if (order < 0)
			return;
		if (order == 0)
			cursor_next(message);
		cursor_next(lone);
	}
}

static bool partners(const struct merge *m)
{
	sqlite3_stmt *a = m->message[SIDE_A].rows, *b = m->message[SIDE_B].rows;

	return same_text(a, M_SRC, b, M_SRC) && same_text(a, M_DST, b, M_DST) && same_text(a, M_KIND, b, M_KIND);
}

static bool merge_open(struct merge *m)
{
	struct diff *d = m->d;
	bool fine = true;

	m->lone_of = result_query(&d->store, "SELECT nth FROM lone WHERE side = ? AND src = ? AND dst = ? AND kind = ? ORDER BY nth");
	for (int side = 0; side < SIDES && fine; side++) {
		fine = cursor_open(&m->message[side], &d->side[side],
		                   "SELECT src, dst, kind, nth, sent_ns, got_ns, fate, why, cause, actor, cover, proto, size FROM message"
		                   " ORDER BY src, dst, kind, nth") &&
		       cursor_open(&m->field[side], &d->side[side], "SELECT src, dst, kind, nth, path, rep, value, class FROM field"
		                   " ORDER BY src, dst, kind, nth, path, rep") &&
		       cursor_open(&m->lone[side], &d->store, side == SIDE_A
				? "SELECT src, dst, kind, nth FROM lone WHERE side = 0 ORDER BY src, dst, kind, nth"
				: "SELECT src, dst, kind, nth FROM lone WHERE side = 1 ORDER BY src, dst, kind, nth");
	}
	return fine && m->lone_of;
}

static void merge_walk(struct merge *m)
{
	char *error = m->d->error;

	for (int side = 0; side < SIDES; side++) {
		cursor_next(&m->message[side]);
		cursor_next(&m->lone[side]);
		if (m->d->fields_compared)
			cursor_next(&m->field[side]);
		skip_lone(m, side);
	}
	while (m->message[SIDE_A].more && m->message[SIDE_B].more && !error[0]) {
		if (!partners(m))
			break;
		compare_pair(m);
		for (int side = 0; side < SIDES; side++) {
			cursor_next(&m->message[side]);
			skip_lone(m, side);
		}
	}
	if (!error[0] && (m->message[SIDE_A].more || m->message[SIDE_B].more))
		report_error(error, "%s, %s: one of them is damaged: its messages are not in order", m->d->side[SIDE_A].path,
		             m->d->side[SIDE_B].path);
}

void diff_messages(struct diff *d)
{
	static const char seed_sql[] = "SELECT value FROM run WHERE name = 'seed'";
	struct merge m = { .d = d };

	m.same_seed = result_int(&d->side[SIDE_A], seed_sql, -1) == result_int(&d->side[SIDE_B], seed_sql, -1);
	if (merge_open(&m) && !d->error[0])
		merge_walk(&m);
	for (int side = 0; side < SIDES; side++) {
		result_end(m.message[side].rows);
		result_end(m.field[side].rows);
		result_end(m.lone[side].rows);
	}
	result_end(m.lone_of);
}

/*
 * The other tables: each is read from both databases in the order of its key, rows side by side. What a table compares is a row
 * of tables[]; calls and call records have random ids, so the n-th of the same two parties are partners.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/diff_internal.h"
#include "sim/sim.h"

#define COLUMNS_MAX 8

struct table {
	enum section section;
	const char *group;
	/* Columns: the name of the row, its time or -1, `keys` columns that it is sorted by, those compared, those told as well. */
	const char *sql;
	int keys;
	const char *compared[COLUMNS_MAX], *told[COLUMNS_MAX];
	int begin; /* so many of the compared columns are as they are from the row's time on; the time of others is not known */
	void (*pair)(struct diff *d, sqlite3_stmt *a, sqlite3_stmt *b, int column); /* more about two partners; NULL: nothing */
};

enum { T_NAME, T_AT, T_KEYS };

static bool is_null(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL;
}

static void span_of(struct diff *d, enum span span, sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	if (!is_null(a, column) && !is_null(b, column))
		timing_span(d, span, sqlite3_column_int64(a, column), sqlite3_column_int64(b, column));
}

static void verdict_pair(struct diff *d, sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	(void)column;
	timing_moved(d, MOVED_VERDICT, sqlite3_column_int64(a, T_AT), sqlite3_column_int64(b, T_AT), result_text(a, T_NAME));
}

static void key_pair(struct diff *d, sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	timing_moved(d, MOVED_KEY, sqlite3_column_int64(a, T_AT), sqlite3_column_int64(b, T_AT), result_text(a, T_NAME));
	if (!is_null(a, column) && !is_null(b, column))
		timing_moved(d, MOVED_KEY, sqlite3_column_int64(a, column), sqlite3_column_int64(b, column), result_text(a, T_NAME));
}

static void call_pair(struct diff *d, sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	span_of(d, SPAN_RINGING, a, b, column);
	span_of(d, SPAN_ANSWERED, a, b, column + 1);
}

static void record_pair(struct diff *d, sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	span_of(d, SPAN_TALK, a, b, column);
}

static const struct table tables[] = {
	{ SECTION_RUN, "run", "SELECT name, -1, name, value FROM run WHERE name <> 'end_ns' ORDER BY name", 1, { "value" }, { NULL }, 0,
	  NULL },
	{ SECTION_VERDICT, "claim", "SELECT claim || iif(nth > 1, ' #' || nth, ''), at_ns, claim, nth, result, place, because"
	  " FROM verdict ORDER BY claim, nth", 2, { "result" }, { "place", "because" }, 1, verdict_pair },
	{ SECTION_KEY, "key", "SELECT name, born_ns, name, role, algorithm, iif(parent = '' OR instr(parent, '/'), parent, 'unknown'),"
	  " how, holders, iif(dead_ns IS NULL, 'alive', 'dropped'), dead_ns FROM key ORDER BY name",
	  1, { "role", "algorithm", "parent", "how", "holders", "at the end" }, { NULL }, 4, key_pair },
	{ SECTION_BILL, "account", "SELECT name, -1, name, records, answered, talk_ns FROM account ORDER BY name",
	  1, { "records", "answered", "talk_ns" }, { NULL }, 0, NULL },
	{ SECTION_BILL, "call record", "SELECT account || ': ' || caller || ' to ' || callee || ' #' || n, start_ns, account, caller,"
	  " callee, n, reason, node, iif(answer_ns IS NULL, 'no', 'yes'), iif(nth > 1, 'again', 'once'), end_ns - answer_ns FROM"
	  " (SELECT *, row_number() OVER (PARTITION BY account, caller, callee ORDER BY start_ns, answer_ns, end_ns, reason, id, nth)"
	  " AS n FROM call_record)"
	  " ORDER BY account, caller, callee, n", 4, { "reason", "node", "answered", "recorded" }, { NULL }, 4, record_pair },
	{ SECTION_BILL, "call", "SELECT caller || ' to ' || callee || ' #' || n, dialled_ns, caller, callee, n, outcome, reason,"
	  " iif(ringing_ns IS NULL, 'no', 'yes'), iif(answered_ns IS NULL, 'no', 'yes'), ringing_ns - dialled_ns,"
	  " answered_ns - dialled_ns FROM"
	  " (SELECT *, row_number() OVER (PARTITION BY caller, callee ORDER BY dialled_ns, ringing_ns, answered_ns, ended_ns,"
	  " reason, id) AS n FROM call)"
	  " ORDER BY caller, callee, n", 3, { "outcome", "reason", "rang", "answered" }, { NULL }, 4, call_pair },
	{ SECTION_REFUSAL, "refusals", "SELECT node || ': ' || why, -1, node, why, count FROM refusal_count ORDER BY node, why",
	  2, { "count" }, { NULL }, 0, NULL },
	{ SECTION_ELEMENT, "node", "SELECT name, -1, name, model FROM node ORDER BY name", 1, { "model" }, { NULL }, 0, NULL },
	{ SECTION_ELEMENT, "interface", "SELECT node || ':' || name, -1, node, name, ip, link FROM iface ORDER BY node, name",
	  2, { "ip", "link" }, { NULL }, 0, NULL },
};

static bool same_value(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	return is_null(a, column) == is_null(b, column) && strcmp(result_text(a, column), result_text(b, column)) == 0;
}

static int compare_value(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	if (sqlite3_column_type(a, column) == SQLITE_INTEGER && sqlite3_column_type(b, column) == SQLITE_INTEGER) {
		int64_t x = sqlite3_column_int64(a, column), y = sqlite3_column_int64(b, column);

		return x < y ? -1 : x > y;
	}
	return strcmp(result_text(a, column), result_text(b, column));
}

static int compare_keys(sqlite3_stmt *a, sqlite3_stmt *b, int first, int count)
{
	int order = 0;

	for (int i = first; i < first + count && order == 0; i++)
		order = compare_value(a, b, i);
	return order;
}

static void row_item(struct diff *d, const struct table *t, sqlite3_stmt *a, sqlite3_stmt *b)
{
	sqlite3_stmt *row = a ? a : b;
	struct item item = { .section = t->section, .what = !b ? MISSING : !a ? ADDED : CHANGED, .group = t->group,
		             .at_ns = is_null(row, T_AT) ? -1 : sqlite3_column_int64(row, T_AT),
		             .subject = { a ? result_text(a, T_NAME) : "", b ? result_text(b, T_NAME) : "" } };

	if (a && b && sqlite3_column_int64(b, T_AT) < item.at_ns)
		item.at_ns = sqlite3_column_int64(b, T_AT);
	store_item(d, &item);
}

/* One row, or two partners. What is on one side only tells all its columns. */
static void compare_row(struct diff *d, const struct table *t, sqlite3_stmt *a, sqlite3_stmt *b)
{
	int column = T_KEYS + t->keys;
	bool has_item = !a || !b;

	if (has_item)
		row_item(d, t, a, b);
	for (int i = 0; i < COLUMNS_MAX && t->compared[i]; i++, column++) {
		if (a && b && same_value(a, b, column))
			continue;
		if (!has_item)
			row_item(d, t, a, b);
		if (!has_item && i >= t->begin)
			store_item_at(d, -1);
		has_item = true;
		store_detail_int(d, t->compared[i], a, b, column);
	}
	for (int i = 0; i < COLUMNS_MAX && t->told[i]; i++, column++) {
		if (has_item)
			store_detail_int(d, t->told[i], a, b, column);
	}
	if (a && b && t->pair)
		t->pair(d, a, b, column);
}

static void compare_table(struct diff *d, const struct table *t)
{
	sqlite3_stmt *a = result_query(&d->side[SIDE_A], t->sql), *b = result_query(&d->side[SIDE_B], t->sql);
	bool more_a = a && result_next(&d->side[SIDE_A], a), more_b = b && result_next(&d->side[SIDE_B], b);

	while ((more_a || more_b) && !d->error[0]) {
		int order = !more_a ? 1 : !more_b ? -1 : compare_keys(a, b, T_KEYS, t->keys);

		compare_row(d, t, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
		if (order <= 0)
			more_a = result_next(&d->side[SIDE_A], a);
		if (order >= 0)
			more_b = result_next(&d->side[SIDE_B], b);
	}
	result_end(a);
	result_end(b);
}

/* ---- samples: only counted ---- */

static void compare_samples(struct diff *d)
{
	static const char sql[] = "SELECT node, metric, nth, at_ns, value FROM sample ORDER BY node, metric, nth";
	sqlite3_stmt *a = result_query(&d->side[SIDE_A], sql), *b = result_query(&d->side[SIDE_B], sql);
	bool more_a = a && result_next(&d->side[SIDE_A], a), more_b = b && result_next(&d->side[SIDE_B], b);

	while ((more_a || more_b) && !d->error[0]) {
		int order = !more_a ? 1 : !more_b ? -1 : compare_keys(a, b, 0, 3);

		d->timing.samples++;
		d->timing.samples_differ += order != 0 || !same_value(a, b, 3) || !same_value(a, b, 4);
		if (order <= 0)
			more_a = result_next(&d->side[SIDE_A], a);
		if (order >= 0)
			more_b = result_next(&d->side[SIDE_B], b);
	}
	result_end(a);
	result_end(b);
}

/* ---- state paths ---- */

#define PATH_MAX_STEPS (1u << 16)  /* of one machine after the first difference, a side */
#define PATH_DETAILS_MAX 1000      /* steps told of one machine */

enum { S_NODE, S_MACHINE, S_NTH, S_AT, S_TEXT, S_CAUSE };

static const char steps_sql[] =
	"SELECT node, machine, nth, at_ns, before || ' -' || event || '-> ' || iif(refused, 'refused', after), cause FROM step"
	" ORDER BY node, machine, nth";

struct path {
	uint32_t symbols[PATH_MAX_STEPS]; /* names */
	int64_t at_ns[PATH_MAX_STEPS];
	uint8_t alone[PATH_MAX_STEPS];
	size_t count;
	char first_cause[MESSAGE_NAME_LEN]; /* of the first that is loaded */
};

struct paths {
	struct diff *d;
	sqlite3_stmt *rows[SIDES];
	bool more[SIDES];
	struct path *path[SIDES];
	struct names names;
	char *node, *machine; /* being compared */
	int64_t before;       /* steps that are the same at the beginning */
	bool too_long;
};

static void paths_next(struct paths *p, int side)
{
	p->more[side] = result_next(&p->d->side[side], p->rows[side]);
}

static bool in_machine(const struct paths *p, int side)
{
	return p->more[side] && strcmp(result_text(p->rows[side], S_NODE), p->node) == 0 &&
	       strcmp(result_text(p->rows[side], S_MACHINE), p->machine) == 0;
}

static void machine_name(const struct paths *p, char out[SUBJECT_LEN])
{
	snprintf(out, SUBJECT_LEN, "%.110s %.110s", p->node, p->machine);
}

/* Passes the steps that both begin with. */
static void skip_same(struct paths *p)
{
	sqlite3_stmt *a = p->rows[SIDE_A], *b = p->rows[SIDE_B];
	char name[SUBJECT_LEN];

	machine_name(p, name);
	for (p->before = 0; in_machine(p, SIDE_A) && in_machine(p, SIDE_B) && same_value(a, b, S_TEXT); p->before++) {
		timing_moved(p->d, MOVED_STEP, sqlite3_column_int64(a, S_AT), sqlite3_column_int64(b, S_AT), name);
		paths_next(p, SIDE_A);
		paths_next(p, SIDE_B);
	}
}

static void load_path(struct paths *p, int side)
{
	struct path *path = p->path[side];

	path->count = 0;
	path->first_cause[0] = '\0';
	for (; in_machine(p, side); paths_next(p, side)) {
		if (path->count == PATH_MAX_STEPS) {
			p->too_long = true;
			continue;
		}
		if (path->count == 0)
			snprintf(path->first_cause, sizeof path->first_cause, "%s", result_text(p->rows[side], S_CAUSE));
		path->symbols[path->count] = names_id(&p->names, result_text(p->rows[side], S_TEXT));
		path->at_ns[path->count++] = sqlite3_column_int64(p->rows[side], S_AT);
	}
}

static void path_detail(struct paths *p, size_t at[SIDES], bool has_a, bool has_b)
{
	const struct path *a = p->path[SIDE_A], *b = p->path[SIDE_B];
	char step[64];

	snprintf(step, sizeof step, "step %" PRId64, p->before + 1 + (int64_t)(has_a ? at[SIDE_A] : at[SIDE_B]));
	if (p->d->details < PATH_DETAILS_MAX)
		store_detail_text(p->d, step, has_a ? names_text(&p->names, a->symbols[at[SIDE_A]]) : NULL,
		                  has_b ? names_text(&p->names, b->symbols[at[SIDE_B]]) : NULL);
	else
		p->too_long = true;
}

/* Tells what is alone, what stands at the same place of both in one; partners give their times. */
static void tell_path(struct paths *p, const char *name)
{
	struct path *a = p->path[SIDE_A], *b = p->path[SIDE_B];
	size_t at[SIDES] = { 0, 0 };

	while (at[SIDE_A] < a->count || at[SIDE_B] < b->count) {
		bool alone_a = at[SIDE_A] < a->count && a->alone[at[SIDE_A]];
		bool alone_b = at[SIDE_B] < b->count && b->alone[at[SIDE_B]];

		if (alone_a || alone_b) {
			path_detail(p, at, alone_a, alone_b);
		} else if (at[SIDE_A] >= a->count || at[SIDE_B] >= b->count) {
			break;
		} else {
			timing_moved(p->d, MOVED_STEP, a->at_ns[at[SIDE_A]], b->at_ns[at[SIDE_B]], name);
			alone_a = alone_b = true;
		}
		at[SIDE_A] += alone_a;
		at[SIDE_B] += alone_b;
	}
}

static int64_t first_at(const struct path *a, const struct path *b)
{
	if (!a->count || !b->count)
		return a->count ? a->at_ns[0] : b->at_ns[0];
	return a->at_ns[0] < b->at_ns[0] ? a->at_ns[0] : b->at_ns[0];
}

static void compare_path(struct paths *p)
{
	struct path *a = p->path[SIDE_A], *b = p->path[SIDE_B];
	char name[SUBJECT_LEN];
	struct item item = { .section = SECTION_STATE, .what = CHANGED, .subject = { name, name } };

	skip_same(p);
	names_free(&p->names);
	load_path(p, SIDE_A);
	load_path(p, SIDE_B);
	if (!a->count && !b->count)
		return;
	machine_name(p, name);
	item.at_ns = first_at(a, b);
	item.cause[SIDE_A] = a->first_cause;
	item.cause[SIDE_B] = b->first_cause;
	store_item(p->d, &item);
	if (!align(a->symbols, a->count, b->symbols, b->count, a->alone, b->alone)) {
		p->too_long = true;
		memset(a->alone, 1, a->count);
		memset(b->alone, 1, b->count);
	}
	tell_path(p, name);
}

/* The machine that the next rows are of, whichever side has it first. */
static void next_machine(struct paths *p)
{
	int order = !p->more[SIDE_A] ? 1 : !p->more[SIDE_B] ? -1 : compare_keys(p->rows[SIDE_A], p->rows[SIDE_B], S_NODE, 2);
	sqlite3_stmt *row = p->rows[order <= 0 ? SIDE_A : SIDE_B];

	free(p->node);
	free(p->machine);
	p->node = sim_strdup(result_text(row, S_NODE));
	p->machine = sim_strdup(result_text(row, S_MACHINE));
}

static void compare_paths(struct diff *d)
{
	struct paths p = { .d = d };

	for (int side = 0; side < SIDES; side++) {
		p.path[side] = sim_alloc(sizeof *p.path[side]);
		p.rows[side] = result_query(&d->side[side], steps_sql);
		if (p.rows[side])
			paths_next(&p, side);
	}
	while ((p.more[SIDE_A] || p.more[SIDE_B]) && !d->error[0]) {
		next_machine(&p);
		compare_path(&p);
	}
	if (p.too_long)
		store_note(d, "a state path differs in too many steps to tell all of them");
	for (int side = 0; side < SIDES; side++) {
		result_end(p.rows[side]);
		free(p.path[side]);
	}
	names_free(&p.names);
	free(p.node);
	free(p.machine);
}

void diff_tables(struct diff *d)
{
	for (size_t i = 0; i < sizeof tables / sizeof tables[0] && !d->error[0]; i++)
		compare_table(d, &tables[i]);
	if (!d->error[0])
		compare_paths(d);
	if (!d->error[0])
		compare_samples(d);
	for (int side = 0; side < SIDES && !d->error[0]; side++)
		d->timing.end_ns[side] = result_int(&d->side[side], "SELECT value FROM run WHERE name = 'end_ns'", 0);
}

/*
 * Where differences are kept until all are known: a temporary database of SQLite's that lies on the disk when it is large. Texts
 * are made clean on their way in.
 *
 * Folding: a difference follows from the nearest message that it was caused by and that differs as well; messages in between
 * that are the same on both sides are passed. Every difference names the root it comes from in the end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/diff_internal.h"
#include "reports/output.h"
#include "sim/sim.h"

#define FOLD_DEPTH_MAX 32        /* same messages passed on the way to a difference */
#define FOLD_LOOKUPS_MAX 4000000 /* of passed messages, for all differences; then only what is caused directly is folded */
#define ROOT_DEPTH_MAX 1000      /* differences in a chain; more only where causes go in a circle */

static const char store_sql[] =
	"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192; BEGIN;"
	"CREATE TABLE item (id INTEGER PRIMARY KEY, section INT, what INT, at_ns INT, grp TEXT, a TEXT, b TEXT, cause_a TEXT,"
	" cause_b TEXT, parent INT, root INT, followers INT);"
	"CREATE TABLE detail (item INT, nth INT, path TEXT, a TEXT, b TEXT, start INT, PRIMARY KEY (item, nth)) WITHOUT ROWID;"
	"CREATE TABLE lone (side INT, src TEXT, dst TEXT, kind TEXT, nth INT, PRIMARY KEY (side, src, dst, kind, nth)) WITHOUT ROWID;";

static void store_fail(struct diff *d)
{
	if (!d->error[0])
		report_error(d->error, "the differences cannot be kept: %s", sqlite3_errmsg(d->store.db));
}

static bool run(struct diff *d, const char *sql)
{
	if (sqlite3_exec(d->store.db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	store_fail(d);
	return false;
}

bool store_open(struct diff *d)
{
	d->store = (struct result_db){ .path = "temporary database", .error = d->error };
	if (sqlite3_open("", &d->store.db) != SQLITE_OK || !run(d, store_sql)) {
		store_fail(d);
		return false;
	}
	d->put_item = result_query(&d->store, "INSERT INTO item VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0)");
	d->put_detail = result_query(&d->store, "INSERT INTO detail VALUES (?, ?, ?, ?, ?, ?)");
	d->put_lone = result_query(&d->store, "INSERT OR IGNORE INTO lone VALUES (?, ?, ?, ?, ?)");
	d->set_at = result_query(&d->store, "UPDATE item SET at_ns = ? WHERE id = ?");
	return d->put_item && d->put_detail && d->put_lone && d->set_at;
}

void store_close(struct diff *d)
{
	result_end(d->put_item);
	result_end(d->put_detail);
	result_end(d->put_lone);
	result_end(d->set_at);
	result_close(&d->store);
}

static void put(struct diff *d, sqlite3_stmt *stmt)
{
	if (sqlite3_step(stmt) != SQLITE_DONE)
		store_fail(d);
	sqlite3_reset(stmt);
}

static void bind_clean(sqlite3_stmt *stmt, int parameter, const char *text)
{
	char *copy;

	sqlite3_bind_text(stmt, parameter, text_clean(text ? text : "", &copy), -1, SQLITE_TRANSIENT);
	free(copy);
}

int64_t store_item(struct diff *d, const struct item *item)
{
	sqlite3_bind_int(d->put_item, 1, (int)item->section);
	sqlite3_bind_int(d->put_item, 2, (int)item->what);
	sqlite3_bind_int64(d->put_item, 3, item->at_ns);
	bind_clean(d->put_item, 4, item->group);
	bind_clean(d->put_item, 5, item->subject[SIDE_A]);
	bind_clean(d->put_item, 6, item->subject[SIDE_B]);
	bind_clean(d->put_item, 7, item->cause[SIDE_A]);
	bind_clean(d->put_item, 8, item->cause[SIDE_B]);
	put(d, d->put_item);
	d->details = 0;
	d->item_id = sqlite3_last_insert_rowid(d->store.db);
	return d->item_id;
}

void store_item_at(struct diff *d, int64_t at_ns)
{
	sqlite3_bind_int64(d->set_at, 1, at_ns);
	sqlite3_bind_int64(d->set_at, 2, d->item_id);
	put(d, d->set_at);
}

/* Binds the part of a value from start on, NULL for none. */
static void bind_part(sqlite3_stmt *stmt, int parameter, const char *value, size_t len, size_t start)
{
	char part[DIFF_VALUE_MAX + 1];

	if (!value) {
		sqlite3_bind_null(stmt, parameter);
		return;
	}
	len = len > start ? len - start : 0;
	if (len > DIFF_VALUE_MAX)
		len = DIFF_VALUE_MAX;
	memcpy(part, value + (len ? start : 0), len);
	part[len] = '\0';
	bind_clean(stmt, parameter, part);
}

/* How much of both values is left out before the part that is kept. */
static size_t detail_start(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t same = 0, before = DIFF_VALUE_MAX / 8;

	if (!a || !b || (a_len <= DIFF_VALUE_MAX && b_len <= DIFF_VALUE_MAX))
		return 0;
	while (same < a_len && same < b_len && a[same] == b[same])
		same++;
	return same > before ? same - before : 0;
}

void store_detail(struct diff *d, const char *path, const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t start = detail_start(a, a_len, b, b_len);

	sqlite3_bind_int64(d->put_detail, 1, d->item_id);
	sqlite3_bind_int(d->put_detail, 2, ++d->details);
	bind_part(d->put_detail, 3, path, strlen(path), 0);
	bind_part(d->put_detail, 4, a, a_len, start);
	bind_part(d->put_detail, 5, b, b_len, start);
	sqlite3_bind_int64(d->put_detail, 6, (int64_t)start);
	put(d, d->put_detail);
}

void store_detail_text(struct diff *d, const char *path, const char *a, const char *b)
{
	store_detail(d, path, a, a ? strlen(a) : 0, b, b ? strlen(b) : 0);
}

static const char *column_value(sqlite3_stmt *row, int column)
{
	return row && sqlite3_column_type(row, column) != SQLITE_NULL ? result_text(row, column) : NULL;
}

void store_detail_int(struct diff *d, const char *path, sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	store_detail_text(d, path, column_value(a, column), column_value(b, column));
}

void store_note(struct diff *d, const char *text)
{
	const struct item item = { .section = SECTION_NOTE, .at_ns = -1, .subject = { text, text } };

	store_item(d, &item);
}

void store_lone(struct diff *d, int side, const char *src, const char *dst, const char *kind, int64_t nth)
{
	sqlite3_bind_int(d->put_lone, 1, side);
	result_bind_text(d->put_lone, 2, src);
	result_bind_text(d->put_lone, 3, dst);
	result_bind_text(d->put_lone, 4, kind);
	sqlite3_bind_int64(d->put_lone, 5, nth);
	put(d, d->put_lone);
	d->lone_count++;
}

/* ---- folding ---- */

struct fold {
	struct diff *d;
	sqlite3_stmt *find[SIDES];  /* the difference of a message, by its name */
	sqlite3_stmt *cause[SIDES]; /* what a message answers */
	sqlite3_stmt *set_parent, *root, *set_root;
	int64_t lookups;
};

static void fold_open(struct fold *f, struct diff *d)
{
	*f = (struct fold){ .d = d };
	for (int side = 0; side < SIDES; side++) {
		f->find[side] = result_query(&d->store, side == SIDE_A
			? "SELECT id FROM item WHERE section IN (1, 2) AND a = ?1 AND id <> ?2 ORDER BY id DESC LIMIT 1"
			: "SELECT id FROM item WHERE section IN (1, 2) AND b = ?1 AND id <> ?2 ORDER BY id DESC LIMIT 1");
		f->cause[side] = result_query(&d->side[side],
			"SELECT cause FROM message WHERE src = ? AND dst = ? AND kind = ? AND nth = ?");
	}
	f->set_parent = result_query(&d->store, "UPDATE item SET parent = ?2 WHERE id = ?1");
	f->root = result_query(&d->store, "SELECT parent, root FROM item WHERE id = ?");
	f->set_root = result_query(&d->store, "UPDATE item SET root = ?2 WHERE id = ?1");
}

static void fold_close(struct fold *f)
{
	for (int side = 0; side < SIDES; side++) {
		result_end(f->find[side]);
		result_end(f->cause[side]);
	}
	result_end(f->set_parent);
	result_end(f->root);
	result_end(f->set_root);
}

/* The difference of a message other than this one; 0: none. */
static int64_t fold_find(struct fold *f, int side, const char *name, int64_t self)
{
	int64_t id = 0;

	result_bind_text(f->find[side], 1, name);
	sqlite3_bind_int64(f->find[side], 2, self);
	if (result_next(&f->d->store, f->find[side]))
		id = sqlite3_column_int64(f->find[side], 0);
	sqlite3_reset(f->find[side]);
	return id;
}

/* Replaces a message's name by the name of what it answers. False: it answers nothing, or is unknown. */
static bool fold_cause(struct fold *f, int side, char name[MESSAGE_NAME_LEN])
{
	sqlite3_stmt *stmt = f->cause[side];
	struct message_key key;
	bool found = false;

	if (++f->lookups > FOLD_LOOKUPS_MAX || !message_parse(&key, name))
		return false;
	result_bind_text(stmt, 1, key.src);
	result_bind_text(stmt, 2, key.dst);
	result_bind_text(stmt, 3, key.kind);
	sqlite3_bind_int64(stmt, 4, key.nth);
	if (result_next(&f->d->side[side], stmt)) {
		found = snprintf(name, MESSAGE_NAME_LEN, "%s", result_text(stmt, 0)) < MESSAGE_NAME_LEN;
		found = found && name[0];
	}
	sqlite3_reset(stmt);
	return found;
}

static int64_t fold_parent(struct fold *f, int side, const char *cause, int64_t self)
{
	char name[MESSAGE_NAME_LEN];
	int64_t id;

	if (!cause[0] || snprintf(name, sizeof name, "%s", cause) >= (int)sizeof name)
		return 0;
	for (int depth = 0; depth < FOLD_DEPTH_MAX; depth++) {
		id = fold_find(f, side, name, self);
		if (id)
			return id;
		if (!fold_cause(f, side, name))
			return 0;
	}
	return 0;
}

static void fold_parents(struct fold *f)
{
	struct diff *d = f->d;
	sqlite3_stmt *rows = result_query(&d->store, "SELECT id, cause_a, cause_b FROM item WHERE cause_a <> '' OR cause_b <> ''");

	while (rows && !d->error[0] && result_next(&d->store, rows)) {
		int64_t id = sqlite3_column_int64(rows, 0), parent;

		parent = fold_parent(f, SIDE_A, result_text(rows, 1), id);
		if (!parent)
			parent = fold_parent(f, SIDE_B, result_text(rows, 2), id);
		if (!parent)
			continue;
		sqlite3_bind_int64(f->set_parent, 1, id);
		sqlite3_bind_int64(f->set_parent, 2, parent);
		put(d, f->set_parent);
	}
	result_end(rows);
}

/* Up from an item to one without parent, or with its root known already. */
static int64_t fold_root(struct fold *f, int64_t id)
{
	for (int depth = 0; depth < ROOT_DEPTH_MAX; depth++) {
		int64_t parent = 0, root = 0;

		sqlite3_bind_int64(f->root, 1, id);
		if (result_next(&f->d->store, f->root)) {
			parent = sqlite3_column_int64(f->root, 0);
			root = sqlite3_column_int64(f->root, 1);
		}
		sqlite3_reset(f->root);
		if (root || !parent)
			return root ? root : id;
		id = parent;
	}
	return id;
}

static void fold_roots(struct fold *f)
{
	struct diff *d = f->d;
	sqlite3_stmt *rows = result_query(&d->store, "SELECT id FROM item WHERE parent IS NOT NULL ORDER BY at_ns, id");

	while (rows && !d->error[0] && result_next(&d->store, rows)) {
		int64_t id = sqlite3_column_int64(rows, 0), root = fold_root(f, id);

		if (root == id)
			continue; /* a circle */
		sqlite3_bind_int64(f->set_root, 1, id);
		sqlite3_bind_int64(f->set_root, 2, root);
		put(d, f->set_root);
	}
	result_end(rows);
	/* A circle of causes leaves roots that have a root themselves: these stand for themselves. */
	run(d, "UPDATE item SET root = NULL WHERE root IS NOT NULL AND id IN (SELECT root FROM item)");
}

void store_fold(struct diff *d)
{
	struct fold f;

	if (d->error[0] || !run(d, "CREATE INDEX item_a ON item (a) WHERE section IN (1, 2);"
	                           "CREATE INDEX item_b ON item (b) WHERE section IN (1, 2);"))
		return;
	fold_open(&f, d);
	if (!d->error[0])
		fold_parents(&f);
	if (!d->error[0])
		fold_roots(&f);
	fold_close(&f);
	if (f.lookups > FOLD_LOOKUPS_MAX)
		store_note(d, "many differences: of what follows from others only what answers them directly is folded");
	run(d, "CREATE INDEX item_root ON item (root) WHERE root IS NOT NULL;"
	       "UPDATE item SET followers = (SELECT count(*) FROM item f WHERE f.root = item.id) WHERE id IN (SELECT root FROM item);"
	       "CREATE INDEX item_section ON item (section, at_ns, id);"
	       "CREATE INDEX item_group ON item (grp, at_ns, id) WHERE section = 1");
	if (!d->error[0])
		d->first_id = result_int(&d->store, "SELECT id FROM item WHERE section IN (1, 2, 3, 4) AND at_ns >= 0"
		                                    " ORDER BY at_ns, root IS NOT NULL, section, id LIMIT 1", 0);
}

/* ---- reading ---- */

static sqlite3_stmt *query_int(struct diff *d, const char *sql, int64_t value)
{
	sqlite3_stmt *stmt = result_query(&d->store, sql);

	if (stmt)
		sqlite3_bind_int64(stmt, 1, value);
	return stmt;
}

static int64_t count(struct diff *d, const char *sql, enum section section)
{
	sqlite3_stmt *stmt = query_int(d, sql, (int64_t)section);
	int64_t value = stmt && result_next(&d->store, stmt) ? sqlite3_column_int64(stmt, 0) : 0;

	result_end(stmt);
	return value;
}

int64_t store_count(struct diff *d, enum section section)
{
	return count(d, "SELECT count(*) FROM item WHERE section = ?", section);
}

int64_t store_details(struct diff *d, enum section section)
{
	return count(d, "SELECT count(*) FROM item JOIN detail ON detail.item = item.id WHERE section = ?", section);
}

bool store_different(struct diff *d)
{
	return timing_different(d) || result_int(&d->store, "SELECT EXISTS (SELECT 1 FROM item WHERE section <= 7)", 0);
}

#define ITEM_COLUMNS "id, what, at_ns, grp, a, b, root, followers, section"

sqlite3_stmt *store_items(struct diff *d, enum section section, bool all)
{
	return query_int(d, all ? "SELECT " ITEM_COLUMNS " FROM item WHERE section = ?1 ORDER BY at_ns, id"
	                        : "SELECT " ITEM_COLUMNS " FROM item WHERE section = ?1 AND root IS NULL ORDER BY at_ns, id",
	                 (int64_t)section);
}

sqlite3_stmt *store_one(struct diff *d, int64_t id)
{
	return query_int(d, "SELECT " ITEM_COLUMNS " FROM item WHERE id = ?", id);
}

sqlite3_stmt *store_followers(struct diff *d, int64_t root)
{
	return query_int(d, "SELECT " ITEM_COLUMNS " FROM item WHERE root = ? ORDER BY at_ns, id", root);
}

sqlite3_stmt *store_groups(struct diff *d)
{
	return result_query(&d->store, "SELECT grp, sum(what = 1), sum(what = 2), sum(what = 3), sum(root IS NOT NULL) FROM item"
	                               " WHERE section = 1 GROUP BY grp ORDER BY min(at_ns), grp");
}

sqlite3_stmt *store_group_items(struct diff *d, const char *group, bool all)
{
	sqlite3_stmt *stmt = result_query(&d->store, all
		? "SELECT " ITEM_COLUMNS " FROM item WHERE section = 1 AND grp = ? ORDER BY at_ns, id"
		: "SELECT " ITEM_COLUMNS " FROM item WHERE section = 1 AND grp = ? AND root IS NULL ORDER BY at_ns, id");

	if (stmt)
		result_bind_text(stmt, 1, group);
	return stmt;
}

int64_t store_following(struct diff *d, enum section section)
{
	return count(d, "SELECT count(*) FROM item WHERE section = ? AND root IS NOT NULL", section);
}

sqlite3_stmt *store_item_details(struct diff *d, int64_t id)
{
	return query_int(d, "SELECT path, a, b, start FROM detail WHERE item = ? ORDER BY nth", id);
}

/* ---- times ---- */

/* |b - a|, whatever a file says they are. */
static int64_t distance(int64_t a, int64_t b)
{
	int64_t apart;

	if (__builtin_sub_overflow(b, a, &apart) || apart == INT64_MIN)
		return INT64_MAX;
	return apart < 0 ? -apart : apart;
}

void timing_moved(struct diff *d, enum moved what, int64_t a_ns, int64_t b_ns, const char *subject)
{
	int64_t apart = distance(a_ns, b_ns), worst = d->timing.moved[what].worst_ns;

	ranks_add(&d->timing.moved[what].by, apart);
	if (apart == 0)
		return;
	d->timing.moved[what].moved++;
	if (apart <= (worst < 0 ? -worst : worst))
		return;
	d->timing.moved[what].worst_ns = b_ns > a_ns ? apart : -apart;
	snprintf(d->timing.moved[what].worst, SUBJECT_LEN, "%s", subject);
}

void timing_span(struct diff *d, enum span what, int64_t a_ns, int64_t b_ns)
{
	ranks_add(&d->timing.span[what].of[SIDE_A], a_ns < 0 ? 0 : a_ns);
	ranks_add(&d->timing.span[what].of[SIDE_B], b_ns < 0 ? 0 : b_ns);
	d->timing.span[what].changed += a_ns != b_ns;
}

bool timing_different(const struct diff *d)
{
	const struct timing *t = &d->timing;
	bool different = t->fields || t->samples_differ || t->end_ns[SIDE_A] != t->end_ns[SIDE_B];

	for (int i = 0; i < MOVED_COUNT; i++)
		different = different || t->moved[i].moved;
	for (int i = 0; i < SPAN_COUNT; i++)
		different = different || t->span[i].changed;
	return different;
}

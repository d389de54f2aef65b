/*
 * The diff as GitHub Flavored Markdown for a comment of a pull request: tables, at most DIFF_MARKDOWN_MAX bytes; what did not fit
 * is counted at the end. Whatever comes from a database stands in <code>, its signs as entities, so that it is neither markup
 * nor mention nor reference.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "reports/diff_internal.h"
#include "sim/sim.h"

#define TAIL_MAX 400  /* bytes kept for what is said at the end */
#define ROW_MAX 8192
#define ROWS_SHORT 20 /* of a section */
#define VALUE_LEN 100

struct markdown {
	struct diff *d;
	FILE *out;
	size_t used;
	char row[ROW_MAX];      /* being written; goes out whole or not at all */
	size_t len;
	bool cut;               /* the row does not fit */
	bool open;              /* the section's heading is out */
	int64_t rows, left_out; /* of the section; of all */
};

static void say(struct markdown *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct markdown *m, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(m->row + m->len, ROW_MAX - m->len, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= ROW_MAX - m->len)
		m->cut = true;
	else
		m->len += (size_t)len;
}

/* Writes the row out if there is room. */
static bool flush_row(struct markdown *m)
{
	bool fits = !m->cut && m->used + m->len + TAIL_MAX <= DIFF_MARKDOWN_MAX;

	if (fits) {
		fwrite(m->row, 1, m->len, m->out);
		m->used += m->len;
	}
	m->len = 0;
	m->cut = false;
	return fits;
}

static void code(struct markdown *m, const char *path, const char *value, int64_t start)
{
	char text[SHORT_LEN];

	text_short(path, value, start, VALUE_LEN, text);
	say(m, "<code>");
	for (const char *s = text; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr(" -/,=()\"'", *s) ||
			     (*s == '.' && s > text && s[-1] != 'w' && s[-1] != 'W') || (unsigned char)*s >= 0x80;

		if (plain)
			say(m, "%c", *s);
		else
			say(m, "&#%d;", *s);
	}
	say(m, "</code>");
}

static const char *column(sqlite3_stmt *row, int index)
{
	return sqlite3_column_type(row, index) == SQLITE_NULL ? NULL : result_text(row, index);
}

static void cell_head(struct markdown *m, sqlite3_stmt *item)
{
	static const char *const words[] = { [CHANGED] = "", [MISSING] = " only in A", [ADDED] = " only in B", [MOVED] = " moved" };
	int64_t followers = sqlite3_column_int64(item, ITEM_FOLLOWERS);
	const char *a = result_text(item, ITEM_A);
	char at[64];

	text_at(sqlite3_column_int64(item, ITEM_AT), at, sizeof at);
	say(m, "| %s | ", at);
	code(m, "", *a ? a : result_text(item, ITEM_B), 0);
	say(m, "%s", words[sqlite3_column_int(item, ITEM_WHAT)]);
	if (followers)
		say(m, " (%" PRId64 " follow%s)", followers, followers == 1 ? "s" : "");
}

static void heading(struct markdown *m, const char *title)
{
	if (m->open)
		return;
	say(m, "\n**%s**\n\n| time | what | | A | B |\n|---|---|---|---|---|\n", title);
	m->open = true;
}

static void row_end(struct markdown *m)
{
	if (m->len && !flush_row(m))
		m->left_out++;
	m->rows++;
}

/* The values of what is on one side only, in the cell of that side. */
static void lone_row(struct markdown *m, const char *title, sqlite3_stmt *item)
{
	sqlite3_stmt *rows = store_item_details(m->d, sqlite3_column_int64(item, ITEM_ID));
	bool in_b = sqlite3_column_int(item, ITEM_WHAT) == ADDED;

	heading(m, title);
	cell_head(m, item);
	say(m, in_b ? " | | | " : " | | ");
	while (rows && result_next(&m->d->store, rows)) {
		int from = in_b ? DETAIL_B : DETAIL_A;
		const char *path = result_text(rows, DETAIL_PATH);

		if (!*result_text(rows, from))
			continue;
		say(m, "%s ", path);
		code(m, path, column(rows, from), 0);
		say(m, " ");
	}
	result_end(rows);
	say(m, in_b ? "|\n" : "| |\n");
	row_end(m);
}

static void item_rows(struct markdown *m, const char *title, sqlite3_stmt *item)
{
	sqlite3_stmt *rows = store_item_details(m->d, sqlite3_column_int64(item, ITEM_ID));
	bool any = false;

	if (m->rows >= ROWS_SHORT && !m->d->options->all) {
		m->left_out++;
		result_end(rows);
		return;
	}
	if (sqlite3_column_int(item, ITEM_WHAT) != CHANGED) {
		lone_row(m, title, item);
		result_end(rows);
		return;
	}
	while (rows && result_next(&m->d->store, rows)) {
		const char *path = result_text(rows, DETAIL_PATH);
		int64_t start = sqlite3_column_int64(rows, DETAIL_START);

		heading(m, title);
		cell_head(m, item);
		say(m, " | ");
		code(m, "", path, 0);
		say(m, " | ");
		code(m, path, column(rows, DETAIL_A), start);
		say(m, " | ");
		code(m, path, column(rows, DETAIL_B), start);
		say(m, " |\n");
		row_end(m);
		any = true;
	}
	result_end(rows);
	if (any)
		return;
	heading(m, title);
	cell_head(m, item);
	say(m, " | | | |\n");
	row_end(m);
}

static void section(struct markdown *m, enum section section)
{
	sqlite3_stmt *rows = store_items(m->d, section, m->d->options->all || section == SECTION_STATE);

	m->open = false;
	m->rows = 0;
	while (rows && result_next(&m->d->store, rows))
		item_rows(m, section_titles[section], rows);
	result_end(rows);
}

static void first(struct markdown *m)
{
	sqlite3_stmt *row = m->d->first_id ? store_one(m->d, m->d->first_id) : NULL;

	m->open = false;
	m->rows = 0;
	if (row && result_next(&m->d->store, row))
		item_rows(m, "first divergence", row);
	result_end(row);
}

static void timing_line(void *ctx, const char *name, const char *text)
{
	struct markdown *m = ctx;

	if (!m->open)
		say(m, "\n**timing**\n\n| | |\n|---|---|\n");
	m->open = true;
	say(m, "| %s | ", name);
	code(m, "", text, 0);
	say(m, " |\n");
	row_end(m);
}

static void result_line(struct markdown *m)
{
	char *summary;

	if (m->d->identical) {
		say(m, "**identical**: the same bytes\n");
	} else if (!store_different(m->d)) {
		say(m, "**same**%s: what differs is random or a digest\n",
		    m->d->fields_compared ? "" : ", in what both have recorded");
	} else {
		summary = diff_summary(m->d);
		say(m, "**different**: %s\n", summary);
		free(summary);
	}
	flush_row(m);
}

static void tail(struct markdown *m, int64_t folded)
{
	if (folded)
		fprintf(m->out, "\n%" PRId64 " differences that follow from others are left out.\n", folded);
	if (m->left_out)
		fprintf(m->out, "\n%" PRId64 " rows are left out for want of space; `tollgate diff --all` shows everything.\n", m->left_out);
}

void diff_markdown(struct diff *d, FILE *out)
{
	static const enum section order[] = { SECTION_MESSAGE, SECTION_STATE, SECTION_KEY, SECTION_FIELD, SECTION_BILL,
		                              SECTION_REFUSAL, SECTION_ELEMENT };
	struct markdown *m = sim_alloc(sizeof *m);
	int64_t folded = 0;

	m->d = d;
	m->out = out;
	result_line(m);
	if (!d->identical) {
		section(m, SECTION_NOTE);
		section(m, SECTION_RUN);
		section(m, SECTION_VERDICT);
		first(m);
		for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
			section(m, order[i]);
			if (!d->options->all && order[i] != SECTION_STATE)
				folded += store_following(d, order[i]);
		}
		m->open = false;
		timing_lines(d, timing_line, m);
		if (d->options->exact_times)
			section(m, SECTION_TIME);
		tail(m, folded);
	}
	free(m);
}

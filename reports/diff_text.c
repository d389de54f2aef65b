/*
 * The diff for a reader at a terminal: short unless asked for all. Signs and words say what color repeats: - is only in A, + only
 * in B, ~ stands elsewhere.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/diff_internal.h"
#include "sim/sim.h"

#define ROWS_SHORT 8      /* of a section */
#define GROUP_ROWS_SHORT 4 /* of a conversation */
#define VALUE_SHORT 60    /* bytes of a value */
#define VALUE_ALL 400

struct text {
	struct diff *d;
	FILE *out;
	bool all, color;
};

static const char *const signs[] = { [CHANGED] = " ", [MISSING] = "-", [ADDED] = "+", [MOVED] = "~" };

static void paint(struct text *t, const char *code)
{
	if (t->color)
		fprintf(t->out, "\033[%sm", code);
}

static void title(struct text *t, const char *name)
{
	paint(t, "1");
	fputs(name, t->out);
	paint(t, "0");
}

static void clean(struct text *t, const char *text, size_t limit)
{
	char value[SHORT_LEN];

	text_short("", *text ? text : " ", 0, limit, value);
	fputs(value, t->out);
}

static int64_t rows_max(const struct text *t, int64_t rows)
{
	return t->all ? INT64_MAX : rows;
}

static void more(struct text *t, const char *indent, int64_t left, const char *what)
{
	if (left > 0)
		fprintf(t->out, "%s%" PRId64 " %s; --all shows them\n", indent, left, what);
}

/* ---- parts ---- */

static void value(struct text *t, const char *path, const char *text, int64_t start)
{
	char line[SHORT_LEN];

	text_short(path, text, start, t->all ? VALUE_ALL : VALUE_SHORT, line);
	fputs(line, t->out);
}

static const char *column(sqlite3_stmt *row, int index)
{
	return sqlite3_column_type(row, index) == SQLITE_NULL ? NULL : result_text(row, index);
}

/* "a -> b"; of what is on one side only its value. */
static void detail_values(struct text *t, sqlite3_stmt *detail, int what)
{
	const char *path = result_text(detail, DETAIL_PATH);
	int64_t start = sqlite3_column_int64(detail, DETAIL_START);

	if (what != ADDED)
		value(t, path, column(detail, DETAIL_A), start);
	if (what != ADDED && what != MISSING)
		fputs(" -> ", t->out);
	if (what != MISSING)
		value(t, path, column(detail, DETAIL_B), start);
	fputc('\n', t->out);
}

static void detail_lines(struct text *t, int64_t id, int what, const char *indent)
{
	sqlite3_stmt *rows = store_item_details(t->d, id);
	int64_t shown = 0, left = 0;

	while (rows && result_next(&t->d->store, rows)) {
		if ((what == MISSING || what == ADDED) && !*result_text(rows, what == MISSING ? DETAIL_A : DETAIL_B))
			continue;
		if (shown == rows_max(t, ROWS_SHORT)) {
			left++;
			continue;
		}
		shown++;
		fputs(indent, t->out);
		clean(t, result_text(rows, DETAIL_PATH), 200);
		fputs(": ", t->out);
		detail_values(t, rows, what);
	}
	result_end(rows);
	more(t, indent, left, "more");
}

/* What an item is called: on A, and on B where that differs. */
static void subject(struct text *t, sqlite3_stmt *item)
{
	const char *a = result_text(item, ITEM_A), *b = result_text(item, ITEM_B);

	clean(t, *a ? a : b, 200);
	if (*a && *b && strcmp(a, b) != 0) {
		fputs(" (in B ", t->out);
		clean(t, b, 200);
		fputc(')', t->out);
	}
}

static void item_head(struct text *t, sqlite3_stmt *item, const char *indent, bool with_group)
{
	int what = sqlite3_column_int(item, ITEM_WHAT);
	int64_t followers = sqlite3_column_int64(item, ITEM_FOLLOWERS);
	char at[64];

	text_at(sqlite3_column_int64(item, ITEM_AT), at, sizeof at);
	fputs(indent, t->out);
	paint(t, what == MISSING ? "31" : what == ADDED ? "32" : "0");
	fprintf(t->out, "%s ", signs[what]);
	if (*at)
		fprintf(t->out, "%13s  ", at);
	if (with_group && *result_text(item, ITEM_GROUP))
		fprintf(t->out, "%s ", result_text(item, ITEM_GROUP));
	subject(t, item);
	paint(t, "0");
	if (followers)
		fprintf(t->out, " (%" PRId64 " follow%s)", followers, followers == 1 ? "s" : "");
}

/* The values of what is on one side only, one after the other. */
static void lone_values(struct text *t, int64_t id, int what)
{
	sqlite3_stmt *rows = store_item_details(t->d, id);
	const char *comma = ": ";

	while (rows && result_next(&t->d->store, rows)) {
		int from = what == MISSING ? DETAIL_A : DETAIL_B;
		const char *path = result_text(rows, DETAIL_PATH);

		if (!*result_text(rows, from))
			continue;
		fprintf(t->out, "%s%s ", comma, path);
		value(t, path, column(rows, from), 0);
		comma = ", ";
	}
	result_end(rows);
}

static bool has_one_detail(struct text *t, int64_t id)
{
	sqlite3_stmt *rows = store_item_details(t->d, id);
	bool one = rows && result_next(&t->d->store, rows) && !result_next(&t->d->store, rows);

	result_end(rows);
	return one;
}

static void item_line(struct text *t, sqlite3_stmt *item, const char *indent)
{
	item_head(t, item, indent, false);
	fputc('\n', t->out);
}

/* An item with what differs in it: on its line when that is one value, else on lines of their own. */
static void item_whole(struct text *t, sqlite3_stmt *item, const char *indent, bool with_group)
{
	int64_t id = sqlite3_column_int64(item, ITEM_ID);
	int what = sqlite3_column_int(item, ITEM_WHAT);

	item_head(t, item, indent, with_group);
	if (what != CHANGED) {
		lone_values(t, id, what);
		fputc('\n', t->out);
	} else if (has_one_detail(t, id)) {
		detail_lines(t, id, what, "  ");
	} else {
		fputc('\n', t->out);
		detail_lines(t, id, what, "        ");
	}
}

/* ---- sections ---- */

/* "held -> failed  CLAIM  (PLACE)", and why it failed. */
static void verdict(struct text *t, sqlite3_stmt *item)
{
	sqlite3_stmt *rows = store_item_details(t->d, sqlite3_column_int64(item, ITEM_ID));
	int what = sqlite3_column_int(item, ITEM_WHAT), side = what == MISSING ? DETAIL_A : DETAIL_B;

	fprintf(t->out, "  %s ", signs[what]);
	for (int i = 0; rows && result_next(&t->d->store, rows); i++) {
		const char *text = result_text(rows, side);

		if (i == 0) { /* result */
			value(t, "", column(rows, DETAIL_A), 0);
			fputs(" -> ", t->out);
			value(t, "", column(rows, DETAIL_B), 0);
			fputs("  ", t->out);
			subject(t, item);
		} else if (*text) { /* place, because */
			fputs(i == 1 ? "  (" : "\n        ", t->out);
			value(t, "", text, 0);
			fputs(i == 1 ? ")" : "", t->out);
		}
	}
	fputc('\n', t->out);
	result_end(rows);
}

static void verdicts(struct text *t)
{
	sqlite3_stmt *rows = store_items(t->d, SECTION_VERDICT, true);
	int64_t count = store_count(t->d, SECTION_VERDICT), shown = 0;

	if (count) {
		title(t, "claims");
		fprintf(t->out, ": %" PRId64 "\n", count);
	}
	while (rows && shown < rows_max(t, ROWS_SHORT * 2) && result_next(&t->d->store, rows)) {
		verdict(t, rows);
		shown++;
	}
	result_end(rows);
	more(t, "  ", count - shown, "more");
}

static void followers(struct text *t, int64_t root, int64_t count)
{
	sqlite3_stmt *rows = count ? store_followers(t->d, root) : NULL;
	int64_t shown = 0;

	if (count)
		fprintf(t->out, "  %" PRId64 " %s from it:\n", count, count == 1 ? "difference follows" : "differences follow");
	while (rows && shown < rows_max(t, ROWS_SHORT) && result_next(&t->d->store, rows)) {
		if (t->all)
			item_whole(t, rows, "  ", false);
		else
			item_line(t, rows, "  ");
		shown++;
	}
	result_end(rows);
	more(t, "    ", count - shown, "more");
}

static void first(struct text *t)
{
	static const char *const words[] = { [CHANGED] = "", [MISSING] = ", only in A", [ADDED] = ", only in B",
		                             [MOVED] = ", in another place in B" };
	sqlite3_stmt *item = t->d->first_id ? store_one(t->d, t->d->first_id) : NULL;
	char at[64];

	if (item && result_next(&t->d->store, item)) {
		text_at(sqlite3_column_int64(item, ITEM_AT), at, sizeof at);
		title(t, "first divergence");
		fprintf(t->out, ": %s  ", at);
		subject(t, item);
		fprintf(t->out, "%s\n", words[sqlite3_column_int(item, ITEM_WHAT)]);
		detail_lines(t, t->d->first_id, sqlite3_column_int(item, ITEM_WHAT), "        ");
		followers(t, t->d->first_id, sqlite3_column_int64(item, ITEM_FOLLOWERS));
	}
	result_end(item);
}

static void conversation(struct text *t, sqlite3_stmt *group)
{
	sqlite3_stmt *rows = store_group_items(t->d, result_text(group, GROUP_NAME), t->all);
	int64_t following = sqlite3_column_int64(group, GROUP_FOLLOWING), shown = 0, left = 0;

	fputs("  ", t->out);
	clean(t, result_text(group, GROUP_NAME), 100);
	for (int i = 0; i < 3; i++)
		fprintf(t->out, "%s %s %" PRId64, i ? "," : ":", what_names[MISSING + i],
		        (int64_t)sqlite3_column_int64(group, GROUP_MISSING + i));
	if (following && !t->all)
		fprintf(t->out, "; %" PRId64 " of them %s", following, following == 1 ? "follows from another" : "follow from others");
	fputc('\n', t->out);
	while (rows && result_next(&t->d->store, rows)) {
		if (shown == rows_max(t, GROUP_ROWS_SHORT)) {
			left++;
			continue;
		}
		item_line(t, rows, "    ");
		shown++;
	}
	result_end(rows);
	more(t, "      ", left, "more");
}

static void messages(struct text *t)
{
	sqlite3_stmt *groups = store_groups(t->d);
	int64_t count = store_count(t->d, SECTION_MESSAGE), shown = 0, left = 0;

	if (count) {
		title(t, "messages");
		fprintf(t->out, " missing, added, moved: %" PRId64 "\n", count);
	}
	while (groups && result_next(&t->d->store, groups)) {
		if (shown == rows_max(t, ROWS_SHORT)) {
			left++;
			continue;
		}
		conversation(t, groups);
		shown++;
	}
	result_end(groups);
	more(t, "  ", left, "more conversations");
}

/* What was told as the first divergence, or follows from another difference, is told again only when all is. */
static void plain(struct text *t, enum section section)
{
	bool all = t->all || section == SECTION_STATE;
	sqlite3_stmt *rows = store_items(t->d, section, all);
	int64_t count = store_count(t->d, section), shown = 0, left = 0, told = 0;

	if (count) {
		title(t, section_titles[section]);
		fprintf(t->out, ": %" PRId64 "\n", section == SECTION_FIELD ? store_details(t->d, section) : count);
	}
	while (rows && result_next(&t->d->store, rows)) {
		if (!t->all && sqlite3_column_int64(rows, ITEM_ID) == t->d->first_id) {
			told++;
		} else if (shown == rows_max(t, ROWS_SHORT)) {
			left++;
		} else {
			item_whole(t, rows, "  ", section == SECTION_BILL || section == SECTION_ELEMENT);
			shown++;
		}
	}
	result_end(rows);
	more(t, "  ", left, "more");
	if (told)
		fputs("  the first divergence, above\n", t->out);
	if (!all)
		more(t, "  ", store_following(t->d, section), "more, following from those told");
}

static void timing_line(void *ctx, const char *name, const char *text)
{
	struct text *t = ctx;

	fprintf(t->out, "  %-15s  %s\n", name, text);
}

static void timing(struct text *t)
{
	if (!timing_different(t->d))
		return;
	title(t, "timing");
	fputc('\n', t->out);
	timing_lines(t->d, timing_line, t);
	if (t->d->options->exact_times) {
		struct text every = *t;

		every.all = true;
		plain(&every, SECTION_TIME);
	}
}

static void run_value(struct text *t, sqlite3_stmt *item)
{
	sqlite3_stmt *rows = store_item_details(t->d, sqlite3_column_int64(item, ITEM_ID));

	fputs("run ", t->out);
	subject(t, item);
	fputs(": ", t->out);
	if (rows && result_next(&t->d->store, rows))
		detail_values(t, rows, CHANGED);
	result_end(rows);
}

/* What the runs are of, and what could not be compared. */
static void head(struct text *t)
{
	sqlite3_stmt *rows = store_items(t->d, SECTION_RUN, true);

	while (rows && result_next(&t->d->store, rows))
		run_value(t, rows);
	result_end(rows);
	rows = store_items(t->d, SECTION_NOTE, true);
	while (rows && result_next(&t->d->store, rows)) {
		fputs("note: ", t->out);
		clean(t, result_text(rows, ITEM_A), SHORT_LEN);
		fputc('\n', t->out);
	}
	result_end(rows);
}

static void result_line(struct text *t)
{
	char *summary;

	if (t->d->identical) {
		fputs("identical: the same bytes\n", t->out);
	} else if (!store_different(t->d)) {
		fprintf(t->out, "same%s: what differs is random or a digest\n",
		        t->d->fields_compared ? "" : ", in what both have recorded");
	} else {
		summary = diff_summary(t->d);
		title(t, "different");
		fprintf(t->out, ": %s\n", summary);
		free(summary);
	}
}

void diff_text(struct diff *d, FILE *out)
{
	struct text t = { .d = d, .out = out, .all = d->options->all, .color = d->options->color };

	result_line(&t);
	if (d->identical)
		return;
	head(&t);
	verdicts(&t);
	first(&t);
	messages(&t);
	plain(&t, SECTION_STATE);
	plain(&t, SECTION_KEY);
	plain(&t, SECTION_FIELD);
	plain(&t, SECTION_BILL);
	plain(&t, SECTION_REFUSAL);
	plain(&t, SECTION_ELEMENT);
	timing(&t);
}

/*
 * The diff for programs: one JSON object (RFC 8259), keys in a fixed order:
 *
 *   schema      DIFF_JSON_VERSION
 *   result      "identical" (bytes), "same", "different"
 *   a, b        the paths as they were given
 *   notes       [text]: what could not be compared, or not fully
 *   runs        [item]: arguments, switches, seeds; told, not counted as differences
 *   claims      [item]
 *   first       item, the first divergence, or null; its section is "messages", "fields", "state paths" or "keys"
 *   messages, state_paths, keys, fields, accounts_and_calls, refusals, elements   [item]
 *   folded      how many items were left out since they follow from another one; 0 with --all
 *   timing      {moved, spans, fields, samples, end_ns}; times in ns, percentiles exact by rank
 *   times       [item], with --time=exact
 *
 * item: {section, what, at_ns, group, a, b, follows, followers, values}: what is "changed", "missing", "added" or "moved"; at_ns
 * null for no time; a, b its name on each side, null where it is not; follows the name of the item that it comes from, or null;
 * followers how many come from this one; values [{path, a, b, start}]: null for not there, start the bytes left out before a
 * and b. Numbers in values are text.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/diff_internal.h"

struct json {
	struct diff *d;
	FILE *out;
	int64_t folded;
};

/* text is clean: UTF-8, of control characters line feed and tab only. NULL: null. */
static void string(struct json *j, const char *text)
{
	if (!text) {
		fputs("null", j->out);
		return;
	}
	fputc('"', j->out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(j->out, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", j->out);
		else if (*text == '\t')
			fputs("\\t", j->out);
		else
			fputc(*text, j->out);
	}
	fputc('"', j->out);
}

static void raw_string(struct json *j, const char *text)
{
	char *copy;

	string(j, text_clean(text, &copy));
	free(copy);
}

static const char *column(sqlite3_stmt *row, int index)
{
	return sqlite3_column_type(row, index) == SQLITE_NULL ? NULL : result_text(row, index);
}

static const char *name(sqlite3_stmt *row, int index)
{
	const char *text = result_text(row, index);

	return *text ? text : NULL;
}

static void values(struct json *j, int64_t id)
{
	sqlite3_stmt *rows = store_item_details(j->d, id);
	const char *comma = "";

	while (rows && result_next(&j->d->store, rows)) {
		fprintf(j->out, "%s{\"path\":", comma);
		string(j, result_text(rows, DETAIL_PATH));
		fputs(",\"a\":", j->out);
		string(j, column(rows, DETAIL_A));
		fputs(",\"b\":", j->out);
		string(j, column(rows, DETAIL_B));
		fprintf(j->out, ",\"start\":%" PRId64 "}", (int64_t)sqlite3_column_int64(rows, DETAIL_START));
		comma = ",";
	}
	result_end(rows);
}

static void follows(struct json *j, sqlite3_stmt *item)
{
	int64_t id = sqlite3_column_int64(item, ITEM_ROOT);
	sqlite3_stmt *root = id ? store_one(j->d, id) : NULL;

	if (root && result_next(&j->d->store, root))
		string(j, name(root, ITEM_A) ? name(root, ITEM_A) : name(root, ITEM_B));
	else
		string(j, NULL);
	result_end(root);
}

static void item(struct json *j, sqlite3_stmt *row)
{
	fputs("{\"section\":", j->out);
	string(j, section_titles[sqlite3_column_int(row, ITEM_SECTION)]);
	fprintf(j->out, ",\"what\":\"%s\",\"at_ns\":", what_names[sqlite3_column_int(row, ITEM_WHAT)]);
	if (sqlite3_column_int64(row, ITEM_AT) < 0)
		fputs("null", j->out);
	else
		fprintf(j->out, "%" PRId64, (int64_t)sqlite3_column_int64(row, ITEM_AT));
	fputs(",\"group\":", j->out);
	string(j, name(row, ITEM_GROUP));
	fputs(",\"a\":", j->out);
	string(j, name(row, ITEM_A));
	fputs(",\"b\":", j->out);
	string(j, name(row, ITEM_B));
	fputs(",\"follows\":", j->out);
	follows(j, row);
	fprintf(j->out, ",\"followers\":%" PRId64 ",\"values\":[", (int64_t)sqlite3_column_int64(row, ITEM_FOLLOWERS));
	values(j, sqlite3_column_int64(row, ITEM_ID));
	fputs("]}", j->out);
}

static void items(struct json *j, const char *key, enum section section)
{
	bool all = j->d->options->all;
	sqlite3_stmt *rows = store_items(j->d, section, all);
	const char *comma = "\n";

	fprintf(j->out, ",\n\"%s\":[", key);
	while (rows && result_next(&j->d->store, rows)) {
		fputs(comma, j->out);
		item(j, rows);
		comma = ",\n";
	}
	fputc(']', j->out);
	result_end(rows);
	if (!all)
		j->folded += store_following(j->d, section);
}

static void notes(struct json *j)
{
	sqlite3_stmt *rows = store_items(j->d, SECTION_NOTE, true);
	const char *comma = "";

	fputs(",\n\"notes\":[", j->out);
	while (rows && result_next(&j->d->store, rows)) {
		fputs(comma, j->out);
		string(j, result_text(rows, ITEM_A));
		comma = ",";
	}
	fputc(']', j->out);
	result_end(rows);
}

static void first(struct json *j)
{
	sqlite3_stmt *row = j->d->first_id ? store_one(j->d, j->d->first_id) : NULL;

	fputs(",\n\"first\":", j->out);
	if (row && result_next(&j->d->store, row))
		item(j, row);
	else
		string(j, NULL);
	result_end(row);
}

static void timing(struct json *j)
{
	struct timing *t = &j->d->timing;

	fputs(",\n\"timing\":{\"moved\":{", j->out);
	for (int i = 0; i < MOVED_COUNT; i++) {
		struct ranks *by = &t->moved[i].by;

		fprintf(j->out, "%s\"%s\":{\"of\":%" PRId64 ",\"moved\":%" PRId64 ",\"p50_ns\":%" PRId64 ",\"p95_ns\":%" PRId64
		        ",\"worst_ns\":%" PRId64 ",\"worst\":", i ? "," : "", moved_titles[i], by->count, t->moved[i].moved,
		        ranks_at(by, 50), ranks_at(by, 95), t->moved[i].worst_ns);
		raw_string(j, t->moved[i].moved ? t->moved[i].worst : "");
		fputc('}', j->out);
	}
	fputs("},\"spans\":{", j->out);
	for (int i = 0; i < SPAN_COUNT; i++) {
		fprintf(j->out, "%s\"%s\":{\"changed\":%" PRId64, i ? "," : "", span_titles[i], t->span[i].changed);
		for (int side = 0; side < SIDES; side++) {
			struct ranks *of = &t->span[i].of[side];

			fprintf(j->out, ",\"%s\":{\"of\":%" PRId64 ",\"p50_ns\":%" PRId64 ",\"p95_ns\":%" PRId64 ",\"worst_ns\":%" PRId64
			        "}", side ? "b" : "a", of->count, ranks_at(of, 50), ranks_at(of, 95), ranks_at(of, 100));
		}
		fputc('}', j->out);
	}
	fprintf(j->out, "},\"fields\":%" PRId64 ",\"samples\":%" PRId64 ",\"end_ns\":[%" PRId64 ",%" PRId64 "]}", t->fields,
	        t->samples_differ, t->end_ns[SIDE_A], t->end_ns[SIDE_B]);
}

void diff_json(struct diff *d, FILE *out)
{
	struct json j = { .d = d, .out = out };

	fprintf(out, "{\"schema\":%d,\n\"result\":\"%s\",\n\"a\":", DIFF_JSON_VERSION,
	        d->identical ? "identical" : store_different(d) ? "different" : "same");
	raw_string(&j, d->side[SIDE_A].path);
	fputs(",\n\"b\":", out);
	raw_string(&j, d->side[SIDE_B].path);
	notes(&j);
	items(&j, "runs", SECTION_RUN);
	items(&j, "claims", SECTION_VERDICT);
	first(&j);
	items(&j, "messages", SECTION_MESSAGE);
	items(&j, "state_paths", SECTION_STATE);
	items(&j, "keys", SECTION_KEY);
	items(&j, "fields", SECTION_FIELD);
	items(&j, "accounts_and_calls", SECTION_BILL);
	items(&j, "refusals", SECTION_REFUSAL);
	items(&j, "elements", SECTION_ELEMENT);
	fprintf(out, ",\n\"folded\":%" PRId64, j.folded);
	timing(&j);
	if (d->options->exact_times)
		items(&j, "times", SECTION_TIME);
	fputs("\n}\n", out);
}

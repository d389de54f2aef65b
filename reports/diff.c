/*
 * The diff: opens two result databases, has them compared and printed; and the texts that more than one format has.
 *
 * Not compared: digests, random fields, the length of messages where chance has a part in it, MAC addresses, keys' fingerprints,
 * where a claim stands and why it failed, and what run the database is of (arguments, switches: these are told, not counted).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reports/diff_internal.h"
#include "reports/output.h"
#include "sim/sim.h"

#define COMPARE_BYTES 65536
#define HEADER_LEN 100 /* of a database: https://www.sqlite.org/fileformat.html section 1.3 */

const char *const section_titles[SECTION_COUNT] = {
	[SECTION_VERDICT] = "claims", [SECTION_MESSAGE] = "messages", [SECTION_FIELD] = "fields", [SECTION_STATE] = "state paths",
	[SECTION_KEY] = "keys", [SECTION_BILL] = "accounts and calls", [SECTION_REFUSAL] = "refusals",
	[SECTION_ELEMENT] = "elements", [SECTION_TIME] = "times", [SECTION_RUN] = "runs", [SECTION_NOTE] = "notes",
};
const char *const moved_titles[MOVED_COUNT] = {
	[MOVED_MESSAGE] = "messages", [MOVED_STEP] = "steps", [MOVED_KEY] = "keys", [MOVED_VERDICT] = "verdicts",
};
const char *const span_titles[SPAN_COUNT] = {
	[SPAN_DELIVERY] = "delivery", [SPAN_RINGING] = "ringing after", [SPAN_ANSWERED] = "answered after", [SPAN_TALK] = "talk",
};
const char *const what_names[] = { [CHANGED] = "changed", [MISSING] = "missing", [ADDED] = "added", [MOVED] = "moved" };

/* ---- texts ---- */

void text_at(int64_t at_ns, char *out, size_t size)
{
	int64_t us = at_ns / NS_PER_US;

	if (at_ns < 0)
		out[0] = '\0';
	else
		snprintf(out, size, "%" PRId64 ".%06" PRId64 " s", us / 1000000, us % 1000000);
}

/* Six digits of a duration, more than a reader needs and fewer than nanoseconds. */
static void text_span(int64_t ns, char *out, size_t size)
{
	int64_t us = ns / NS_PER_US;

	if (ns < NS_PER_US)
		snprintf(out, size, "%" PRId64 " ns", ns);
	else if (ns < NS_PER_MS)
		snprintf(out, size, "%" PRId64 ".%03" PRId64 " us", us, ns % NS_PER_US);
	else if (ns < NS_PER_S)
		snprintf(out, size, "%" PRId64 ".%03" PRId64 " ms", us / 1000, us % 1000);
	else
		snprintf(out, size, "%" PRId64 ".%06" PRId64 " s", us / 1000000, us % 1000000);
}

void text_shift(int64_t ns, char *out, size_t size)
{
	out[0] = ns < 0 ? '-' : '+';
	text_span(ns < 0 ? -ns : ns, out + 1, size - 1);
}

static bool is_duration(const char *path, const char *value)
{
	size_t len = strlen(path), digits = strspn(value, "0123456789");

	return len > 3 && strcmp(path + len - 3, "_ns") == 0 && digits <= 18 && !value[digits];
}

void text_short(const char *path, const char *value, int64_t start, size_t limit, char out[SHORT_LEN])
{
	size_t at = 0, len;

	if (!value || !*value) {
		snprintf(out, SHORT_LEN, "%s", value ? "(empty)" : "(none)");
		return;
	}
	if (is_duration(path, value)) {
		text_span(strtoll(value, NULL, 10), out, SHORT_LEN);
		return;
	}
	if (start)
		at = (size_t)snprintf(out, SHORT_LEN, "...");
	for (; *value && at < limit && at < SHORT_LEN - 8; value += len) {
		len = utf8_len(value);
		if (len == 0)
			len = 1;
		if (*value == '\n' || *value == '\t') {
			out[at++] = '\\';
			out[at++] = *value == '\n' ? 'n' : 't';
			continue;
		}
		memcpy(out + at, value, len);
		at += len;
	}
	snprintf(out + at, SHORT_LEN - at, "%s", *value ? "..." : "");
}

/* ---- the summary of times ---- */

static void moved_line(struct diff *d, enum moved i, void (*fn)(void *ctx, const char *title, const char *text), void *ctx)
{
	char p50[48], p95[48], worst[48], name[SHORT_LEN], *copy, *text;
	struct ranks *by = &d->timing.moved[i].by;

	if (!d->timing.moved[i].moved)
		return;
	text_span(ranks_at(by, 50), p50, sizeof p50);
	text_span(ranks_at(by, 95), p95, sizeof p95);
	text_shift(d->timing.moved[i].worst_ns, worst, sizeof worst);
	text_short("", d->timing.moved[i].worst, 0, SUBJECT_LEN, name);
	text = text_make("%" PRId64 " of %" PRId64 " moved: p50 %s, p95 %s, worst %s (%s)", d->timing.moved[i].moved, by->count, p50,
	                 p95, worst, text_clean(name, &copy));
	fn(ctx, moved_titles[i], text);
	free(copy);
	free(text);
}

static void span_line(struct diff *d, enum span i, void (*fn)(void *ctx, const char *title, const char *text), void *ctx)
{
	static const unsigned percents[] = { 50, 95, 100 };
	char value[SIDES][3][48], *text;

	if (!d->timing.span[i].changed)
		return;
	for (int side = 0; side < SIDES; side++)
		for (int k = 0; k < 3; k++)
			text_span(ranks_at(&d->timing.span[i].of[side], percents[k]), value[side][k], sizeof value[side][k]);
	text = text_make("p50 %s -> %s, p95 %s -> %s, worst %s -> %s", value[0][0], value[1][0], value[0][1], value[1][1],
	                 value[0][2], value[1][2]);
	fn(ctx, span_titles[i], text);
	free(text);
}

void timing_lines(struct diff *d, void (*fn)(void *ctx, const char *title, const char *text), void *ctx)
{
	struct timing *t = &d->timing;
	char text[SIDES * 64], end[SIDES][48];

	for (int i = 0; i < SPAN_COUNT; i++)
		span_line(d, (enum span)i, fn, ctx);
	for (int i = 0; i < MOVED_COUNT; i++)
		moved_line(d, (enum moved)i, fn, ctx);
	if (t->fields) {
		snprintf(text, sizeof text, "%" PRId64 " differ", t->fields);
		fn(ctx, "fields of time", text);
	}
	if (t->samples_differ) {
		snprintf(text, sizeof text, "%" PRId64 " differ, of %" PRId64, t->samples_differ, t->samples);
		fn(ctx, "samples", text);
	}
	if (t->end_ns[SIDE_A] != t->end_ns[SIDE_B]) {
		text_at(t->end_ns[SIDE_A], end[SIDE_A], sizeof end[SIDE_A]);
		text_at(t->end_ns[SIDE_B], end[SIDE_B], sizeof end[SIDE_B]);
		snprintf(text, sizeof text, "%s -> %s", end[SIDE_A], end[SIDE_B]);
		fn(ctx, "end of the run", text);
	}
}

static char *append(char *text, int64_t count, const char *one, const char *many)
{
	char *longer;

	if (!count)
		return text;
	longer = text_make("%s%s%" PRId64 " %s", text, *text ? ", " : "", count, count == 1 ? one : many);
	free(text);
	return longer;
}

char *diff_summary(struct diff *d)
{
	char *text = sim_strdup(""), *longer;

	text = append(text, store_count(d, SECTION_VERDICT), "claim", "claims");
	text = append(text, store_count(d, SECTION_MESSAGE), "message missing, added or moved", "messages missing, added or moved");
	text = append(text, store_count(d, SECTION_STATE), "state path", "state paths");
	text = append(text, store_count(d, SECTION_KEY), "key", "keys");
	text = append(text, store_details(d, SECTION_FIELD), "field", "fields");
	text = append(text, store_count(d, SECTION_BILL), "account or call", "accounts and calls");
	text = append(text, store_count(d, SECTION_REFUSAL), "count of refusals", "counts of refusals");
	text = append(text, store_count(d, SECTION_ELEMENT), "element", "elements");
	if (!timing_different(d))
		return text;
	longer = text_make("%s%s", text, *text ? ", timing" : "timing");
	free(text);
	return longer;
}

/* ---- the files ---- */

/* Says that a file is shorter than its own header has it; what is no database is for others to tell. */
static bool whole(const char *path, char *error)
{
	uint8_t h[HEADER_LEN];
	uint64_t page, pages;
	struct stat info;
	FILE *file;
	size_t got;

	if (stat(path, &info) != 0)
		return true;
	if (!S_ISREG(info.st_mode)) {
		report_error(error, "%s: cannot be read: not a file", path);
		return false;
	}
	file = fopen(path, "rb");
	got = file ? fread(h, 1, sizeof h, file) : 0;
	if (file)
		fclose(file);
	/* the number of pages counts only where the two change counters agree */
	if (got < sizeof h || memcmp(h, "SQLite format 3", 16) != 0 || memcmp(h + 24, h + 92, 4) != 0)
		return true;
	page = (uint64_t)h[16] << 8 | h[17];
	page = page == 1 ? 65536 : page;
	pages = (uint64_t)h[28] << 24 | (uint64_t)h[29] << 16 | (uint64_t)h[30] << 8 | h[31];
	if (page * pages <= (uint64_t)info.st_size)
		return true;
	report_error(error, "%s: truncated: %" PRIu64 " of %" PRIu64 " bytes are there", path, (uint64_t)info.st_size, page * pages);
	return false;
}

static bool same_bytes(const char *path_a, const char *path_b)
{
	FILE *a = fopen(path_a, "rb"), *b = fopen(path_b, "rb");
	char *buffer = sim_alloc(2 * COMPARE_BYTES);
	size_t got = 1;
	bool same = a && b;

	while (same && got > 0) {
		got = fread(buffer, 1, COMPARE_BYTES, a);
		same = fread(buffer + COMPARE_BYTES, 1, COMPARE_BYTES, b) == got && memcmp(buffer, buffer + COMPARE_BYTES, got) == 0;
	}
	same = same && !ferror(a) && !ferror(b);
	if (a)
		fclose(a);
	if (b)
		fclose(b);
	free(buffer);
	return same;
}

/* ---- all of it ---- */

/* What the level of recording lets be compared. */
static void levels(struct diff *d)
{
	static const char flow_sql[] = "SELECT value = 'flow' FROM run WHERE name = 'record'";
	static const char summary_sql[] = "SELECT value = 'summary' FROM run WHERE name = 'record'";

	d->messages_compared = d->fields_compared = true;
	for (int side = 0; side < SIDES; side++) {
		bool summary = result_int(&d->side[side], summary_sql, 0);

		d->messages_compared = d->messages_compared && !summary;
		d->fields_compared = d->fields_compared && !summary && !result_int(&d->side[side], flow_sql, 0);
	}
	if (!d->messages_compared)
		store_note(d, "recorded as a summary: messages are not compared");
	else if (!d->fields_compared)
		store_note(d, "recorded as flow: fields are not compared");
}

static void times_kept(struct diff *d, const struct ranks *ranks)
{
	if (ranks->failed && !d->error[0])
		report_error(d->error, "times cannot be kept in a temporary file");
}

static void compare(struct diff *d)
{
	levels(d);
	if (!d->error[0] && d->messages_compared)
		diff_pairs(d);
	if (!d->error[0] && d->messages_compared)
		diff_messages(d);
	if (!d->error[0])
		diff_tables(d);
	if (!d->error[0])
		store_fold(d);
	for (int i = 0; i < MOVED_COUNT; i++)
		times_kept(d, &d->timing.moved[i].by);
	for (int i = 0; i < SPAN_COUNT; i++)
		for (int side = 0; side < SIDES; side++)
			times_kept(d, &d->timing.span[i].of[side]);
}

static void print(struct diff *d, FILE *out)
{
	if (d->options->format == DIFF_JSON)
		diff_json(d, out);
	else if (d->options->format == DIFF_MARKDOWN)
		diff_markdown(d, out);
	else
		diff_text(d, out);
}

static void diff_free(struct diff *d)
{
	for (int i = 0; i < MOVED_COUNT; i++)
		ranks_free(&d->timing.moved[i].by);
	for (int i = 0; i < SPAN_COUNT; i++)
		for (int side = 0; side < SIDES; side++)
			ranks_free(&d->timing.span[i].of[side]);
	store_close(d);
	result_close(&d->side[SIDE_A]);
	result_close(&d->side[SIDE_B]);
}

int diff_print(const char *path_a, const char *path_b, const struct diff_options *options, FILE *out, char *error)
{
	struct diff d = { .options = options, .error = error };
	int code = 2;

	error[0] = '\0';
	if (!whole(path_a, error) || !whole(path_b, error))
		return code;
	if (result_open(&d.side[SIDE_A], path_a, error) && result_open(&d.side[SIDE_B], path_b, error) && store_open(&d)) {
		d.identical = same_bytes(path_a, path_b);
		if (!d.identical)
			compare(&d);
		if (!error[0])
			print(&d, out);
		if (!error[0])
			code = store_different(&d) ? 1 : 0;
	}
	diff_free(&d);
	return error[0] ? 2 : code;
}

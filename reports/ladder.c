/*
 * The ladder: the messages of a run as arrows between its nodes, one line each, time downwards.
 *
 * ladder_walk.c says what there is to be seen; here it is drawn for the terminal. Line styles and words carry what color
 * repeats. Time is not to scale: where nothing was to be shown for a while, a line says how long. Media is one bar. No line
 * is wider than the terminal, and what was left out, cut, folded or not asked for is said at the end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/ladder_internal.h"
#include "reports/output.h"
#include "sim/sim.h"

#define HEADER_EVERY 50 /* lines */

struct ladder {
	struct result_db result;
	struct ladder_walk walk;
	FILE *out;
	int64_t messages, lines;
};

/* ---- rows ---- */

static void begin_row(struct ladder *l)
{
	if (l->lines++ % HEADER_EVERY == 0)
		line_header(&l->walk.layout, l->out);
}

static void print_gap(void *ctx, sim_ns pause_ns)
{
	struct ladder *l = ctx;
	struct layout *layout = &l->walk.layout;
	char duration[48], text[80];
	struct line line;

	text_duration(pause_ns, duration, sizeof duration);
	snprintf(text, sizeof text, "%s %s %s", layout_dots(layout), duration, layout_dots(layout));
	begin_row(l);
	line_begin(&line, layout, -1, true);
	line_text(&line, layout->clock_width + 2, layout->width, text, PAINT_DIM);
	line_print(&line, l->out);
}

/* Prints the bar of the media since the last one. */
static void print_media(void *ctx, const struct ladder_walk *walk)
{
	struct ladder *l = ctx;
	struct layout *layout = &l->walk.layout;
	unsigned low = UINT32_MAX, high = 0;
	char duration[48], remark[64];
	struct line line;
	char *text;

	for (size_t i = 0; i < layout->count; i++) {
		const struct column *c = &layout->columns[i];

		if (c->left_out || (!walk->flows[i].sent && !walk->flows[i].received))
			continue;
		low = c->x < low ? c->x : low;
		high = c->x > high ? c->x : high;
	}
	text_duration(walk->media_to_ns - walk->media_from_ns, duration, sizeof duration);
	snprintf(remark, sizeof remark, "[rtp]%s%s", walk->media_to_ns > walk->media_from_ns ? " for " : "",
	         walk->media_to_ns > walk->media_from_ns ? duration : "");
	begin_row(l);
	line_begin(&line, layout, walk->media_from_ns, true);
	if (low < high)
		line_bar(&line, low + 1, high - 1, LADDER_MEDIA_LABEL);
	else if (high)
		line_text(&line, low, low + layout->pitch - 1, LADDER_MEDIA_LABEL, PAINT_RTP);
	text = ladder_media_text(walk);
	line_text(&line, layout->right, layout->width, remark, PAINT_RTP);
	line_print(&line, l->out);
	line_begin(&line, layout, -1, true);
	line_text(&line, layout->clock_width + 2, layout->width, text, PAINT_RTP);
	line_print(&line, l->out);
	free(text);
}

static enum paint paint_of(const char *cover)
{
	static const struct {
		const char *cover;
		enum paint paint;
	} table[] = { { "krb5", PAINT_KRB5 }, { "esp", PAINT_ESP }, { "ah", PAINT_AH }, { "rtp", PAINT_RTP } };

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (strcmp(cover, table[i].cover) == 0)
			return table[i].paint;
	}
	return PAINT_CLEAR;
}

static enum arrow_end end_of(const char *fate)
{
	if (strcmp(fate, "accepted") == 0)
		return ARROW_HEAD;
	if (strcmp(fate, "refused") == 0)
		return ARROW_REFUSED;
	return strcmp(fate, "sent") == 0 ? ARROW_OPEN : ARROW_LOST;
}

static void print_message(void *ctx, const struct item *m)
{
	struct ladder *l = ctx;
	const struct column *from = layout_shown(&l->walk.layout, m->from), *to = layout_shown(&l->walk.layout, m->dst);
	enum paint cover = paint_of(m->cover);
	enum arrow_end end = end_of(m->fate);
	char label[LADDER_TEXT_MAX], remark[LADDER_TEXT_MAX];
	bool inside = false;
	struct line line;
	char *beside;

	begin_row(l);
	l->messages++;
	text_label(m, label);
	text_remark(m, remark);
	line_begin(&line, &l->walk.layout, m->at_ns, true);
	if (from != to)
		inside = line_arrow(&line, from->x, to->x, label, cover, end);
	else
		line_text(&line, from->x, from->x + 1, end == ARROW_HEAD ? "@" : "x", cover);
	beside = inside ? sim_strdup(remark) : text_make("%s %s", label, remark);
	line_text(&line, l->walk.layout.right, l->walk.layout.width, beside, end == ARROW_HEAD || end == ARROW_OPEN ? cover : PAINT_BAD);
	line_print(&line, l->out);
	free(beside);
}

static void print_note(void *ctx, const struct item *item)
{
	struct ladder *l = ctx;
	const struct column *column = layout_shown(&l->walk.layout, item->from);
	char text[LADDER_TEXT_MAX];
	struct line line;

	begin_row(l);
	text_note(item, text);
	line_begin(&line, &l->walk.layout, item->at_ns, true);
	line_note(&line, column->x, text, item->what == WHAT_REFUSAL || item->size != 0);
	line_print(&line, l->out);
}

static void print_across(void *ctx, const struct item *item)
{
	struct ladder *l = ctx;
	struct line line;

	begin_row(l);
	line_begin(&line, &l->walk.layout, item->at_ns, true);
	line_text(&line, l->walk.layout.clock_width + 2, l->walk.layout.width, item->kind,
	          item->what == WHAT_VERDICT ? PAINT_BAD : PAINT_PLAIN);
	line_print(&line, l->out);
}

static bool is_shown(void *ctx, const struct item *item)
{
	struct ladder *l = ctx;
	struct layout *layout = &l->walk.layout;

	if (item->what == WHAT_MESSAGE && (!layout_shown(layout, item->from) || !layout_shown(layout, item->dst))) {
		layout->messages_left_out++;
		return false;
	}
	if ((item->what == WHAT_STEP || item->what == WHAT_REFUSAL) && !layout_shown(layout, item->from)) {
		layout->notes_left_out++;
		return false;
	}
	return true;
}

static const struct ladder_pen terminal_pen = {
	.wants = is_shown, .gap = print_gap, .media = print_media, .message = print_message, .note = print_note, .across = print_across,
};

/* ---- before and after ---- */

/* A line of text from the file, cut to the width of the ladder. */
static void print_fit(struct ladder *l, const char *text)
{
	struct line line;
	char *copy;

	line_begin(&line, &l->walk.layout, -1, false);
	line_text(&line, 0, l->walk.layout.width, text_clean(text, &copy), PAINT_PLAIN);
	line_print(&line, l->out);
	free(copy);
}

static void print_title(struct ladder *l)
{
	sqlite3_stmt *rows = result_query(&l->result, "SELECT group_concat(name || ' ' || value, ', ') FROM"
	                                              " (SELECT name, value FROM run WHERE name IN ('scenario', 'seed') ORDER BY name)");
	char *text;

	if (rows && result_next(&l->result, rows) && result_text(rows, 0)[0])
		print_fit(l, result_text(rows, 0));
	result_end(rows);
	if (!l->walk.by_call)
		return;
	text = text_make("call %s", l->walk.call.id);
	print_fit(l, text);
	free(text);
	if (!l->walk.call.by_fields)
		fputs("no fields were recorded: this is all that\nhappened in the time of the call\n", l->out);
}

/* A list of names under the ladder, in lines no wider than it. */
struct list {
	FILE *out;
	const char *title; /* before the first name */
	size_t at, width;  /* characters in this line; how many it may have */
};

static void list_add(struct list *list, const char *text)
{
	size_t len = text_width(text);

	if (!list->at) {
		fputs(list->title, list->out);
		list->at = text_width(list->title);
		fputs(text, list->out);
	} else if (list->at + 2 + len + 1 > list->width) { /* 1: the comma after it */
		fprintf(list->out, ",\n  %s", text);
		list->at = 0;
	} else {
		fprintf(list->out, ", %s", text);
	}
	list->at += len + 2;
}

static void print_legend(const struct ladder *l)
{
	const struct layout *layout = &l->walk.layout;
	struct list list = { .out = l->out, .title = "names: ", .width = layout->width };

	for (size_t i = 0; i < layout->count; i++) {
		const struct column *c = &layout->columns[i];

		if (!c->left_out && text_width(c->name) >= layout->pitch)
			list_add(&list, c->name);
	}
	if (list.at)
		fputc('\n', l->out);
}

static void print_left_out(const struct ladder *l)
{
	const struct layout *layout = &l->walk.layout;
	struct list list = { .out = l->out, .title = "left out for want of width: ", .width = layout->width };

	for (size_t i = 0; i < layout->count; i++) {
		if (layout->columns[i].left_out)
			list_add(&list, layout->columns[i].name);
	}
	if (list.at)
		fprintf(l->out, "\n  with them messages: %" PRId64 ", notes: %" PRId64 "\n", layout->messages_left_out,
		        layout->notes_left_out);
	if (layout->cut)
		fprintf(l->out, "cut short, with %s at the end: %" PRId64 "\n", layout->utf8 ? layout_dots(layout) : "~", layout->cut);
}

/* How many messages there are, and how many of the run were not asked for or are in a bar. */
static void print_count(struct ladder *l)
{
	int64_t all = result_int(&l->result, "SELECT count(*) FROM message", 0);
	int64_t unseen = all - l->messages - l->walk.layout.messages_left_out - l->walk.folded;

	fprintf(l->out, "messages: %" PRId64, l->messages);
	if (unseen > 0)
		fprintf(l->out, ", not selected: %" PRId64, unseen);
	if (l->walk.folded > 0)
		fprintf(l->out, ", folded into bars: %" PRId64, l->walk.folded);
	fputc('\n', l->out);
}

static void print_end(struct ladder *l)
{
	char *level = NULL;
	sqlite3_stmt *rows = result_query(&l->result, "SELECT value FROM run WHERE name = 'record'");

	if (rows && result_next(&l->result, rows))
		level = sim_strdup(result_text(rows, 0));
	result_end(rows);
	print_count(l);
	if (level && strcmp(level, "summary") == 0)
		fputs("recorded as a summary: there are no messages in it\n", l->out);
	free(level);
	print_legend(l);
	print_left_out(l);
}

static unsigned width_of(const struct ladder_options *options)
{
	unsigned width = options->width ? options->width : LADDER_WIDTH_DEFAULT;

	return width < LADDER_WIDTH_MIN ? LADDER_WIDTH_MIN : width > LADDER_WIDTH_MAX ? LADDER_WIDTH_MAX : width;
}

int ladder_print(const char *path, const struct ladder_options *options, FILE *out, char *error)
{
	struct ladder l = { .out = out };

	if (!result_open(&l.result, path, error))
		return 2;
	l.walk.layout.width = width_of(options);
	l.walk.layout.utf8 = options->utf8;
	l.walk.layout.color = options->color;
	if (ladder_walk_open(&l.walk, &l.result, options)) {
		print_title(&l);
		if (ladder_walk_draw(&l.walk, &terminal_pen, &l))
			print_end(&l);
	}
	ladder_walk_close(&l.walk);
	result_close(&l.result);
	return error[0] ? 2 : 0;
}

/*
 * The ladder: the messages of a run as arrows between its nodes, one line each, time downwards.
 *
 * It reads the database and nothing else, twice: first to learn which columns there are and how long labels get, then to
 * print; so a long run takes no memory. Line styles and words carry what color repeats. Time is not to scale: where
 * nothing was to be shown for a while, a line says how long. Media packets are folded into a bar: from the samples
 * "rtp.sent" and "rtp.received" where there are any, else from recorded RTP messages.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/ladder_internal.h"
#include "reports/output.h"
#include "sim/sim.h"

#define GAP_NS NS_PER_S       /* from here on a pause is told */
#define HEADER_EVERY 50       /* lines */
#define FOLDED_PROTO "rtp"
#define MEDIA_LABEL "media"

struct flow { /* media of a node since the last bar */
	int64_t sent, received;
};

struct ladder {
	struct result_db result;
	const struct ladder_options *options;
	struct call_filter call;
	bool by_call, has_samples;
	struct layout layout;
	FILE *out;
	/* while printing */
	int64_t messages, lines;
	sim_ns last_ns;         /* up to when has been told; negative: nothing yet */
	struct flow *flows;     /* by column */
	bool media;             /* flows hold something */
	sim_ns media_from_ns, media_to_ns;
};

/* ---- the selection ---- */

/*
 * Columns as in struct item; ?1, ?2: times. Of what happens at one time, the last column says the order: what samples have
 * counted, the dialling that messages follow, messages, and what these lead to.
 */
static const char items_sql[] =
	"SELECT sent_ns AS at, 0 AS what, iif(actor = '', src, actor), src, dst, kind, nth, cover, fate, why, proto, size, got_ns, 2"
	" FROM message WHERE sent_ns BETWEEN ?1 AND ?2 "
	"UNION ALL SELECT at_ns, 1, node, '', '', machine, nth, before, event, after, '', refused, NULL, 3 FROM step"
	" WHERE at_ns BETWEEN ?1 AND ?2 "
	"UNION ALL SELECT at_ns, 2, node, src, '', why, nth, '', '', detail, '', 0, NULL, 4 FROM refusal"
	" WHERE message = '' AND at_ns BETWEEN ?1 AND ?2 "
	"UNION ALL SELECT at_ns, 3, node, '', '', metric, nth, '', '', '', '', value, NULL, 0 FROM sample"
	" WHERE metric IN ('rtp.sent', 'rtp.received') AND at_ns BETWEEN ?1 AND ?2 "
	"UNION ALL SELECT at, 4, id, '', '', text, 1, '', '', '', '', 0, NULL, rank FROM ("
	" SELECT dialled_ns AS at, id, 'call: ' || caller || ' dials ' || callee AS text, 1 AS rank FROM call"
	" UNION ALL SELECT ringing_ns, id, 'call: ' || callee || ' rings', 5 FROM call"
	" UNION ALL SELECT answered_ns, id, 'call: ' || callee || ' answers ' || caller, 6 FROM call"
	" UNION ALL SELECT ended_ns, id, 'call: ' || caller || ' to ' || callee || ' ' || outcome ||"
	"  iif(reason = '', '', ': ' || reason), 7 FROM call) WHERE at BETWEEN ?1 AND ?2 "
	"UNION ALL SELECT at_ns, 5, place, '', '', 'claim failed: ' || claim || ' (' || place || ')', nth, '', '', '', '', 0, NULL, 8"
	" FROM verdict WHERE result <> 'held' AND at_ns BETWEEN ?1 AND ?2 "
	"ORDER BY 1, 14, 3, 4, 5, 6, 7";

static bool is_folded(const struct ladder *l, const struct item *item)
{
	return item->what == WHAT_SAMPLE ||
	       (item->what == WHAT_MESSAGE && !l->options->kind && strcmp(item->proto, FOLDED_PROTO) == 0);
}

static bool message_wanted(const struct ladder *l, const struct item *m)
{
	const struct ladder_options *o = l->options;

	if (o->node && strcmp(m->from, o->node) != 0 && strcmp(m->src, o->node) != 0 && strcmp(m->dst, o->node) != 0)
		return false;
	if (o->kind && strcmp(m->kind, o->kind) != 0)
		return false;
	if (is_folded(l, m) && l->has_samples)
		return false; /* the samples tell it */
	if (l->by_call && is_folded(l, m))
		return call_has_node(&l->call, m->from);
	return !l->by_call || call_has_message(&l->call, m);
}

static bool item_wanted(const struct ladder *l, const struct item *item)
{
	const struct ladder_options *o = l->options;

	if (item->what == WHAT_MESSAGE)
		return message_wanted(l, item);
	if (o->kind)
		return false;
	if (item->what == WHAT_CALL)
		return !o->node && (!l->by_call || strcmp(item->from, l->call.id) == 0);
	if (item->what == WHAT_VERDICT)
		return !o->node;
	return (!o->node || strcmp(item->from, o->node) == 0) && (!l->by_call || call_has_node(&l->call, item->from));
}

static void item_read(struct item *item, sqlite3_stmt *row)
{
	*item = (struct item){
		.at_ns = sqlite3_column_int64(row, 0),
		.what = (enum what)sqlite3_column_int(row, 1),
		.from = result_text(row, 2),
		.src = result_text(row, 3),
		.dst = result_text(row, 4),
		.kind = result_text(row, 5),
		.nth = sqlite3_column_int64(row, 6),
		.cover = result_text(row, 7),
		.fate = result_text(row, 8),
		.why = result_text(row, 9),
		.proto = result_text(row, 10),
		.size = sqlite3_column_int64(row, 11),
		.got_ns = sqlite3_column_type(row, 12) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, 12),
	};
}

/* Goes over the selection in order of time. */
static void each_item(struct ladder *l, void (*fn)(struct ladder *l, const struct item *item))
{
	sim_ns from_ns = l->options->from_ns, until_ns = l->options->until_ns ? l->options->until_ns : SIM_NEVER;
	sqlite3_stmt *rows = result_query(&l->result, items_sql);
	struct item item;

	if (!rows)
		return;
	if (l->by_call && l->call.from_ns > from_ns)
		from_ns = l->call.from_ns;
	if (l->by_call && l->call.until_ns < until_ns)
		until_ns = l->call.until_ns;
	sqlite3_bind_int64(rows, 1, from_ns);
	sqlite3_bind_int64(rows, 2, until_ns);
	while (result_next(&l->result, rows)) {
		item_read(&item, rows);
		if (item_wanted(l, &item))
			fn(l, &item);
	}
	result_end(rows);
}

/* ---- first time: what there is ---- */

static void longest(size_t *len, const char *text)
{
	size_t width = text_width(text);

	if (width > *len)
		*len = width;
}

static void measure(struct ladder *l, const struct item *item)
{
	char text[LADDER_TEXT_MAX];

	text_clock(item->at_ns, text, sizeof text);
	longest(&l->layout.clock_len, text);
	switch (item->what) {
	case WHAT_MESSAGE:
		layout_column(&l->layout, item->from)->messages++;
		layout_column(&l->layout, item->dst)->messages++;
		if (is_folded(l, item)) {
			longest(&l->layout.label_len, MEDIA_LABEL);
			break;
		}
		text_label(item, text);
		longest(&l->layout.label_len, text);
		text_remark(item, text);
		longest(&l->layout.remark_len, text);
		break;
	case WHAT_CALL:
	case WHAT_VERDICT:
		break;
	case WHAT_SAMPLE:
		longest(&l->layout.label_len, MEDIA_LABEL);
		/* fall through */
	default:
		layout_column(&l->layout, item->from)->notes++;
	}
}

/* ---- second time: lines ---- */

static void begin_row(struct ladder *l)
{
	if (l->lines++ % HEADER_EVERY == 0)
		line_header(&l->layout, l->out);
}

/* Says how long nothing was to be shown before at_ns. */
static void tell_gap(struct ladder *l, sim_ns at_ns)
{
	char duration[48], text[80];
	const char *dots = layout_dots(&l->layout);
	struct line line;

	if (l->last_ns >= 0 && at_ns - l->last_ns >= GAP_NS) {
		text_duration(at_ns - l->last_ns, duration, sizeof duration);
		snprintf(text, sizeof text, "%s %s %s", dots, duration, dots);
		begin_row(l);
		line_begin(&line, &l->layout, -1, true);
		line_text(&line, l->layout.clock_width + 2, l->layout.width, text, PAINT_DIM);
		line_print(&line, l->out);
	}
	if (at_ns > l->last_ns)
		l->last_ns = at_ns;
}

/* "sent/received: alice 498/497, bob 497/498" */
static char *media_text(const struct ladder *l)
{
	char *text = sim_strdup("sent/received:");
	const char *between = " ";

	for (size_t i = 0; i < l->layout.count; i++) {
		char *longer;

		if (!l->flows[i].sent && !l->flows[i].received)
			continue;
		longer = text_make("%s%s%s %" PRId64 "/%" PRId64, text, between, l->layout.columns[i].name, l->flows[i].sent,
		                   l->flows[i].received);
		free(text);
		text = longer;
		between = ", ";
	}
	return text;
}

/* Prints the bar of the media since the last one. */
static void tell_media(struct ladder *l)
{
	unsigned low = UINT32_MAX, high = 0;
	char duration[48], remark[64];
	struct line line;
	char *text;

	if (!l->media)
		return;
	tell_gap(l, l->media_from_ns);
	for (size_t i = 0; i < l->layout.count; i++) {
		const struct column *c = &l->layout.columns[i];

		if (c->left_out || (!l->flows[i].sent && !l->flows[i].received))
			continue;
		low = c->x < low ? c->x : low;
		high = c->x > high ? c->x : high;
	}
	text_duration(l->media_to_ns - l->media_from_ns, duration, sizeof duration);
	snprintf(remark, sizeof remark, "[rtp]%s%s", l->media_to_ns > l->media_from_ns ? " for " : "",
	         l->media_to_ns > l->media_from_ns ? duration : "");
	begin_row(l);
	line_begin(&line, &l->layout, l->media_from_ns, true);
	if (low < high)
		line_bar(&line, low + 1, high - 1, MEDIA_LABEL);
	else if (high)
		line_text(&line, low, low + l->layout.pitch - 1, MEDIA_LABEL, PAINT_RTP);
	text = media_text(l);
	line_text(&line, l->layout.right, l->layout.width, remark, PAINT_RTP);
	line_print(&line, l->out);
	line_begin(&line, &l->layout, -1, true);
	line_text(&line, l->layout.clock_width + 2, l->layout.width, text, PAINT_RTP);
	line_print(&line, l->out);
	free(text);
	l->last_ns = l->media_to_ns > l->last_ns ? l->media_to_ns : l->last_ns;
	l->media = false;
	memset(l->flows, 0, l->layout.count * sizeof *l->flows);
}

/* Sums of what a file says may be anything. */
static void count_up(int64_t *sum, int64_t by)
{
	if (by > 0 && __builtin_add_overflow(*sum, by, sum))
		*sum = INT64_MAX;
}

static struct flow *flow_of(struct ladder *l, const char *node)
{
	return &l->flows[layout_column(&l->layout, node) - l->layout.columns];
}

static void fold(struct ladder *l, const struct item *item)
{
	if (!l->media)
		l->media_from_ns = item->at_ns;
	l->media = true;
	l->media_to_ns = item->at_ns;
	if (item->what == WHAT_SAMPLE) {
		struct flow *flow = flow_of(l, item->from);

		count_up(strcmp(item->kind, "rtp.sent") == 0 ? &flow->sent : &flow->received, item->size);
		return;
	}
	flow_of(l, item->from)->sent++;
	if (strcmp(item->fate, "accepted") == 0)
		flow_of(l, item->dst)->received++;
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

static void print_message(struct ladder *l, const struct item *m)
{
	const struct column *from = layout_shown(&l->layout, m->from), *to = layout_shown(&l->layout, m->dst);
	enum paint cover = paint_of(m->cover);
	enum arrow_end end = end_of(m->fate);
	char label[LADDER_TEXT_MAX], remark[LADDER_TEXT_MAX];
	bool inside = false;
	struct line line;
	char *beside;

	if (!from || !to) {
		l->layout.messages_left_out++;
		return;
	}
	tell_gap(l, m->at_ns);
	begin_row(l);
	l->messages++;
	text_label(m, label);
	text_remark(m, remark);
	line_begin(&line, &l->layout, m->at_ns, true);
	if (from != to)
		inside = line_arrow(&line, from->x, to->x, label, cover, end);
	else
		line_text(&line, from->x, from->x + 1, end == ARROW_HEAD ? "@" : "x", cover);
	beside = inside ? sim_strdup(remark) : text_make("%s %s", label, remark);
	line_text(&line, l->layout.right, l->layout.width, beside, end == ARROW_HEAD || end == ARROW_OPEN ? cover : PAINT_BAD);
	line_print(&line, l->out);
	free(beside);
}

static void print_note(struct ladder *l, const struct item *item)
{
	const struct column *column = layout_shown(&l->layout, item->from);
	char text[LADDER_TEXT_MAX];
	struct line line;

	if (!column) {
		l->layout.notes_left_out++;
		return;
	}
	tell_gap(l, item->at_ns);
	begin_row(l);
	text_note(item, text);
	line_begin(&line, &l->layout, item->at_ns, true);
	line_note(&line, column->x, text, item->what == WHAT_REFUSAL || item->size != 0);
	line_print(&line, l->out);
}

static void print_across(struct ladder *l, const struct item *item)
{
	struct line line;

	tell_gap(l, item->at_ns);
	begin_row(l);
	line_begin(&line, &l->layout, item->at_ns, true);
	line_text(&line, l->layout.clock_width + 2, l->layout.width, item->kind,
	          item->what == WHAT_VERDICT ? PAINT_BAD : PAINT_PLAIN);
	line_print(&line, l->out);
}

static void print_item(struct ladder *l, const struct item *item)
{
	if (is_folded(l, item)) {
		fold(l, item);
		return;
	}
	tell_media(l);
	if (item->what == WHAT_MESSAGE)
		print_message(l, item);
	else if (item->what == WHAT_STEP || item->what == WHAT_REFUSAL)
		print_note(l, item);
	else
		print_across(l, item);
}

/* ---- before and after ---- */

static void print_clean(FILE *out, const char *text)
{
	char *copy;

	fputs(text_clean(text, &copy), out);
	free(copy);
}

static void print_title(struct ladder *l)
{
	sqlite3_stmt *rows = result_query(&l->result, "SELECT name, value FROM run WHERE name IN ('scenario', 'seed') ORDER BY name");
	const char *between = "";

	while (rows && result_next(&l->result, rows)) {
		fprintf(l->out, "%s%s ", between, result_text(rows, 0)[1] == 'e' ? "seed" : "scenario");
		print_clean(l->out, result_text(rows, 1));
		between = ", ";
	}
	if (*between)
		fputc('\n', l->out);
	result_end(rows);
	if (l->by_call) {
		fputs("call ", l->out);
		print_clean(l->out, l->call.id);
		fputs(l->call.by_fields ? "\n" : ": no fields were recorded, so this is all that happened in its time\n", l->out);
	}
}

static void print_legend(const struct ladder *l)
{
	const struct layout *layout = &l->layout;
	const char *before = "names: ";

	for (size_t i = 0; i < layout->count; i++) {
		const struct column *c = &layout->columns[i];

		if (c->left_out || text_width(c->name) < layout->pitch)
			continue;
		fprintf(l->out, "%s%s", before, c->name);
		before = ", ";
	}
	if (before[0] == ',')
		fputc('\n', l->out);
}

static void print_left_out(const struct ladder *l)
{
	const struct layout *layout = &l->layout;
	const char *before = "left out for want of width: ";

	for (size_t i = 0; i < layout->count; i++) {
		if (!layout->columns[i].left_out)
			continue;
		fprintf(l->out, "%s%s", before, layout->columns[i].name);
		before = ", ";
	}
	if (before[0] == ',')
		fprintf(l->out, " (messages: %" PRId64 ", notes: %" PRId64 ")\n", layout->messages_left_out, layout->notes_left_out);
	if (layout->cut)
		fprintf(l->out, "cut short, with %s at the end: %" PRId64 "\n", layout->utf8 ? layout_dots(layout) : "~", layout->cut);
}

static void print_end(struct ladder *l)
{
	char *level = NULL;
	sqlite3_stmt *rows = result_query(&l->result, "SELECT value FROM run WHERE name = 'record'");

	if (rows && result_next(&l->result, rows))
		level = sim_strdup(result_text(rows, 0));
	result_end(rows);
	fprintf(l->out, "messages: %" PRId64 "\n", l->messages);
	if (level && strcmp(level, "summary") == 0)
		fputs("recorded as a summary: there are no messages in it\n", l->out);
	free(level);
	print_legend(l);
	print_left_out(l);
}

/* A node asked for must be there: a typing error shall not look like silence. */
static void check_node(struct ladder *l)
{
	sqlite3_stmt *rows;

	if (!l->options->node || l->result.error[0])
		return;
	rows = result_query(&l->result, "SELECT 1 FROM node WHERE name = ?1 UNION ALL SELECT 1 FROM message WHERE src = ?1 OR dst = ?1"
	                                " OR actor = ?1 LIMIT 1");
	if (!rows)
		return;
	result_bind_text(rows, 1, l->options->node);
	if (!result_next(&l->result, rows) && !l->result.error[0])
		report_error(l->result.error, "%s: no node \"%.80s\"; table node lists them", l->result.path, l->options->node);
	result_end(rows);
}

static void print_all(struct ladder *l)
{
	each_item(l, measure);
	if (l->result.error[0])
		return;
	layout_fit(&l->layout);
	l->flows = sim_alloc((l->layout.count + 1) * sizeof *l->flows);
	l->last_ns = -1;
	print_title(l);
	each_item(l, print_item);
	if (l->result.error[0])
		return;
	tell_media(l);
	print_end(l);
}

static unsigned width_of(const struct ladder_options *options)
{
	unsigned width = options->width ? options->width : LADDER_WIDTH_DEFAULT;

	return width < LADDER_WIDTH_MIN ? LADDER_WIDTH_MIN : width > LADDER_WIDTH_MAX ? LADDER_WIDTH_MAX : width;
}

int ladder_print(const char *path, const struct ladder_options *options, FILE *out, char *error)
{
	struct ladder l = { .options = options, .out = out };

	if (!result_open(&l.result, path, error))
		return 2;
	l.layout.width = width_of(options);
	l.layout.utf8 = options->utf8;
	l.layout.color = options->color;
	check_node(&l);
	l.has_samples = result_int(&l.result, "SELECT EXISTS (SELECT 1 FROM sample WHERE metric IN ('rtp.sent', 'rtp.received'))", 0);
	l.by_call = options->call != NULL;
	if (l.by_call && !error[0])
		call_filter_open(&l.call, &l.result, options->call);
	if (!error[0])
		print_all(&l);
	call_filter_close(&l.call);
	layout_free(&l.layout);
	free(l.flows);
	result_close(&l.result);
	return error[0] ? 2 : 0;
}

/*
 * The walk over a run that every ladder is drawn by, in the terminal and on the page.
 *
 * It reads the database and nothing else, twice: first to learn which columns there are and how long labels get, then to have
 * a pen draw row after row in order of time; so a long run takes no memory. What is to be seen is decided here and only here:
 * the selection, the pauses that are told, the media packets that are folded into a bar (from the samples "rtp.sent" and
 * "rtp.received" where there are any, else from recorded RTP messages).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/ladder_internal.h"
#include "reports/output.h"
#include "sim/sim.h"

#define GAP_NS NS_PER_S       /* from here on a pause is told */
#define FOLDED_PROTO "rtp"

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

static bool is_folded(const struct ladder_walk *w, const struct item *item)
{
	return item->what == WHAT_SAMPLE ||
	       (item->what == WHAT_MESSAGE && !w->options->kind && strcmp(item->proto, FOLDED_PROTO) == 0);
}

static bool message_wanted(const struct ladder_walk *w, const struct item *m)
{
	const struct ladder_options *o = w->options;

	if (o->node && strcmp(m->from, o->node) != 0 && strcmp(m->src, o->node) != 0 && strcmp(m->dst, o->node) != 0)
		return false;
	if (o->kind && strcmp(m->kind, o->kind) != 0)
		return false;
	if (is_folded(w, m) && w->has_samples)
		return false; /* the samples tell it */
	if (w->by_call && is_folded(w, m))
		return call_has_node(&w->call, m->from);
	return !w->by_call || call_has_message(&w->call, m);
}

static bool item_wanted(const struct ladder_walk *w, const struct item *item)
{
	const struct ladder_options *o = w->options;

	if (item->what == WHAT_MESSAGE)
		return message_wanted(w, item);
	if (o->kind)
		return false;
	if (item->what == WHAT_CALL)
		return !o->node && (!w->by_call || strcmp(item->from, w->call.id) == 0);
	if (item->what == WHAT_VERDICT)
		return !o->node;
	return (!o->node || strcmp(item->from, o->node) == 0) && (!w->by_call || call_has_node(&w->call, item->from));
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
static void each_item(struct ladder_walk *w, void (*fn)(struct ladder_walk *w, const struct item *item))
{
	sim_ns from_ns = w->options->from_ns, until_ns = w->options->until_ns ? w->options->until_ns : SIM_NEVER;
	sqlite3_stmt *rows = result_query(w->result, items_sql);
	struct item item;

	if (!rows)
		return;
	if (w->by_call && w->call.from_ns > from_ns)
		from_ns = w->call.from_ns;
	if (w->by_call && w->call.until_ns < until_ns)
		until_ns = w->call.until_ns;
	sqlite3_bind_int64(rows, 1, from_ns);
	sqlite3_bind_int64(rows, 2, until_ns);
	while (result_next(w->result, rows)) {
		item_read(&item, rows);
		if (item_wanted(w, &item))
			fn(w, &item);
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

static void measure(struct ladder_walk *w, const struct item *item)
{
	char text[LADDER_TEXT_MAX];

	text_clock(item->at_ns, text, sizeof text);
	longest(&w->layout.clock_len, text);
	switch (item->what) {
	case WHAT_MESSAGE:
		layout_column(&w->layout, item->from)->messages++;
		layout_column(&w->layout, item->dst)->messages++;
		if (is_folded(w, item)) {
			longest(&w->layout.label_len, LADDER_MEDIA_LABEL);
			break;
		}
		text_label(item, text);
		longest(&w->layout.label_len, text);
		text_remark(item, text);
		longest(&w->layout.remark_len, text);
		break;
	case WHAT_CALL:
	case WHAT_VERDICT:
		break;
	case WHAT_SAMPLE:
		longest(&w->layout.label_len, LADDER_MEDIA_LABEL);
		/* fall through */
	default:
		layout_column(&w->layout, item->from)->notes++;
	}
}

/* ---- second time: rows ---- */

/* Tells how long nothing was to be shown before at_ns. */
static void tell_gap(struct ladder_walk *w, sim_ns at_ns)
{
	sim_ns pause_ns;

	if (w->last_ns >= 0 && !__builtin_sub_overflow(at_ns, w->last_ns, &pause_ns) && pause_ns >= GAP_NS)
		w->pen->gap(w->ctx, pause_ns);
	if (at_ns > w->last_ns)
		w->last_ns = at_ns;
}

char *ladder_media_text(const struct ladder_walk *w)
{
	char *text = sim_strdup("sent/received:");
	const char *between = " ";

	for (size_t i = 0; i < w->layout.count; i++) {
		char *longer;

		if (!w->flows[i].sent && !w->flows[i].received)
			continue;
		longer = text_make("%s%s%s %" PRId64 "/%" PRId64, text, between, w->layout.columns[i].name, w->flows[i].sent,
		                   w->flows[i].received);
		free(text);
		text = longer;
		between = ", ";
	}
	return text;
}

static void tell_media(struct ladder_walk *w)
{
	if (!w->media)
		return;
	tell_gap(w, w->media_from_ns);
	w->pen->media(w->ctx, w);
	w->last_ns = w->media_to_ns > w->last_ns ? w->media_to_ns : w->last_ns;
	w->media = false;
	memset(w->flows, 0, w->layout.count * sizeof *w->flows);
}

/* Sums of what a file says may be anything. */
static void count_up(int64_t *sum, int64_t by)
{
	if (by > 0 && __builtin_add_overflow(*sum, by, sum))
		*sum = INT64_MAX;
}

static struct ladder_flow *flow_of(struct ladder_walk *w, const char *node)
{
	return &w->flows[layout_column(&w->layout, node) - w->layout.columns];
}

static void fold(struct ladder_walk *w, const struct item *item)
{
	if (!w->media)
		w->media_from_ns = item->at_ns;
	w->media = true;
	w->media_to_ns = item->at_ns;
	if (item->what == WHAT_SAMPLE) {
		struct ladder_flow *flow = flow_of(w, item->from);

		count_up(strcmp(item->kind, "rtp.sent") == 0 ? &flow->sent : &flow->received, item->size);
		return;
	}
	w->folded++;
	flow_of(w, item->from)->sent++;
	if (strcmp(item->fate, "accepted") == 0)
		flow_of(w, item->dst)->received++;
}

static void draw_item(struct ladder_walk *w, const struct item *item)
{
	if (is_folded(w, item)) {
		fold(w, item);
		return;
	}
	tell_media(w);
	if (!w->pen->wants(w->ctx, item))
		return;
	tell_gap(w, item->at_ns);
	if (item->what == WHAT_MESSAGE)
		w->pen->message(w->ctx, item);
	else if (item->what == WHAT_STEP || item->what == WHAT_REFUSAL)
		w->pen->note(w->ctx, item);
	else
		w->pen->across(w->ctx, item);
}

/* A node asked for must be there: a typing error shall not look like silence. */
static void check_node(struct ladder_walk *w)
{
	sqlite3_stmt *rows;

	if (!w->options->node || w->result->error[0])
		return;
	rows = result_query(w->result, "SELECT 1 FROM node WHERE name = ?1 UNION ALL SELECT 1 FROM message WHERE src = ?1 OR dst = ?1"
	                               " OR actor = ?1 LIMIT 1");
	if (!rows)
		return;
	result_bind_text(rows, 1, w->options->node);
	if (!result_next(w->result, rows) && !w->result->error[0])
		report_error(w->result->error, "%s: no node \"%.80s\"; table node lists them", w->result->path, w->options->node);
	result_end(rows);
}

bool ladder_walk_open(struct ladder_walk *w, struct result_db *result, const struct ladder_options *options)
{
	w->result = result;
	w->options = options;
	check_node(w);
	w->has_samples = result_int(result, "SELECT EXISTS (SELECT 1 FROM sample WHERE metric IN ('rtp.sent', 'rtp.received'))", 0);
	w->by_call = options->call != NULL;
	if (w->by_call && !result->error[0])
		call_filter_open(&w->call, result, options->call);
	if (!result->error[0])
		each_item(w, measure);
	if (result->error[0])
		return false;
	layout_fit(&w->layout);
	w->flows = sim_alloc((w->layout.count + 1) * sizeof *w->flows);
	return true;
}

bool ladder_walk_draw(struct ladder_walk *w, const struct ladder_pen *pen, void *ctx)
{
	w->pen = pen;
	w->ctx = ctx;
	w->last_ns = -1;
	each_item(w, draw_item);
	if (!w->result->error[0])
		tell_media(w);
	return !w->result->error[0];
}

void ladder_walk_close(struct ladder_walk *w)
{
	call_filter_close(&w->call);
	layout_free(&w->layout);
	free(w->flows);
	w->flows = NULL;
}

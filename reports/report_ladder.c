/*
 * On the page: the ladder, with the rows and columns of the terminal's (ladder_walk.c, ladder_layout.c) as wide as REPORT_WIDTH.
 *
 * A long run does not fit. It is walked once to choose: what went wrong (a message refused, lost, intercepted or in another's
 * name, a refusal, a claim that failed) and all that led to it, up to PAGE_MUST_MAX rows, then the first rows up to
 * PAGE_ROWS_MAX. Where rows are left off, a row says how many and how the terminal shows them. Nodes without a column of their
 * own share the last one. Rows open in slices.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"
#include "sim/sim.h"

#define REPORT_WIDTH 120 /* characters, of the layout */
#define LANES_MAX 16     /* that have a class in the style, beside the shared one */
#define LANES_PX 820     /* of all lanes, on a screen of 1280 */
#define CHARACTER_PX 8   /* of a label */
#define ARROW_PX 24      /* around it */
#define MUST_CHAIN_MAX 64 /* how far back causes are followed */

struct page_ladder {
	struct page *page;
	struct ladder_walk walk;
	struct ladder_options options;
	struct names must;         /* messages on the page out of turn */
	unsigned *lane_of;         /* by column */
	int64_t rows, first_rows;  /* rows of the run; how many of its first are on the page */
	int64_t must_rows;
	/* while drawing */
	int64_t at, written;
	int64_t folded_messages, folded_others;
	sim_ns folded_from_ns, folded_to_ns;
	unsigned lanes;
	bool in_slice;
};

/* ---- choosing ---- */

static char *message_key(const struct item *m)
{
	return text_make("%s>%s %s #%" PRId64, m->src, m->dst, m->kind, m->nth);
}

static bool is_bad(const struct item *item)
{
	if (item->what == WHAT_MESSAGE)
		return strcmp(item->fate, "accepted") != 0 || strcmp(item->from, item->src) != 0;
	if (item->what == WHAT_STEP)
		return item->size != 0;
	return item->what == WHAT_REFUSAL || item->what == WHAT_VERDICT;
}

static bool count_row(void *ctx, const struct item *item)
{
	struct page_ladder *l = ctx;

	l->rows++;
	if (is_bad(item) && l->must_rows < PAGE_MUST_MAX) {
		l->must_rows++;
		if (item->what == WHAT_MESSAGE) {
			char *key = message_key(item);

			names_id(&l->must, key);
			free(key);
		}
	}
	return false;
}

/* Splits 'SRC>DST KIND #NTH'; the parts lie in text, which is changed. */
static bool split_key(char *text, const char *part[3], int64_t *nth)
{
	char *dst = strchr(text, '>'), *kind = dst ? strchr(dst, ' ') : NULL, *number = NULL;

	for (char *at = kind; at && (at = strstr(at + 1, " #")) != NULL; )
		number = at;
	if (!number)
		return false;
	*dst = *kind = *number = '\0';
	part[0] = text;
	part[1] = dst + 1;
	part[2] = kind + 1;
	*nth = strtoll(number + 2, NULL, 10);
	return true;
}

/* The cause of a message by its key; "" when there is none. Caller frees. */
static char *cause_of(struct page_ladder *l, sqlite3_stmt *query, const char *key)
{
	char *copy = sim_strdup(key), *cause;
	const char *part[3];
	int64_t nth;

	if (!split_key(copy, part, &nth)) {
		free(copy);
		return sim_strdup("");
	}
	sqlite3_reset(query);
	for (int i = 0; i < 3; i++)
		sqlite3_bind_text(query, i + 1, part[i], -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(query, 4, nth);
	cause = sim_strdup(result_next(&l->page->db, query) ? result_text(query, 0) : "");
	sqlite3_reset(query);
	free(copy);
	return cause;
}

static sqlite3_stmt *cause_query(struct page_ladder *l)
{
	return result_query(&l->page->db, "SELECT cause FROM message WHERE src = ?1 AND dst = ?2 AND kind = ?3 AND nth = ?4");
}

/* Adds what led to the messages that must be there. */
static void add_chains(struct page_ladder *l)
{
	sqlite3_stmt *query = cause_query(l);
	size_t bad = l->must.count;

	for (size_t i = 0; query && i < bad; i++) {
		char *key = sim_strdup(l->must.texts[i]);

		for (int depth = 0; *key && depth < MUST_CHAIN_MAX && l->must.count < PAGE_MUST_MAX; depth++) {
			char *cause = cause_of(l, query, key);

			free(key);
			key = cause;
			if (!*key || names_has(&l->must, key))
				break;
			names_id(&l->must, key);
		}
		free(key);
	}
	result_end(query);
}

/* Whether a row is on the page; rows are asked for in order. */
static bool is_on_page(struct page_ladder *l, const struct item *item)
{
	bool on = l->at++ < l->first_rows;
	char *key;

	if (on || l->first_rows == l->rows)
		return true;
	if (item->what != WHAT_MESSAGE) {
		on = is_bad(item) && l->must_rows < PAGE_MUST_MAX;
		l->must_rows += on;
		return on;
	}
	key = message_key(item);
	on = names_has(&l->must, key);
	free(key);
	return on;
}

static bool register_row(void *ctx, const struct item *item)
{
	struct page_ladder *l = ctx;
	char *key;

	if (is_on_page(l, item) && item->what == WHAT_MESSAGE) {
		key = message_key(item);
		names_id(&l->page->messages, key);
		free(key);
	}
	return false;
}

static void ignore_gap(void *ctx, sim_ns pause_ns)
{
	(void)ctx, (void)pause_ns;
}

static void ignore_media(void *ctx, const struct ladder_walk *walk)
{
	(void)ctx, (void)walk;
}

static const struct ladder_pen count_pen = { .wants = count_row, .gap = ignore_gap, .media = ignore_media };
static const struct ladder_pen register_pen = { .wants = register_row, .gap = ignore_gap, .media = ignore_media };

/* Links the messages on the page with those that answer them. */
static void link_messages(struct page_ladder *l)
{
	struct page *page = l->page;
	size_t count = page->messages.count;
	sqlite3_stmt *query = cause_query(l);

	page->shown = sim_alloc((count + 1) * sizeof *page->shown);
	page->shown_count = count;
	for (size_t i = 0; i < count; i++)
		page->shown[i] = (struct shown){ SHOWN_NONE, SHOWN_NONE };
	for (size_t i = count; query && i-- > 0; ) { /* backwards, so that the lists are in order */
		char *cause = cause_of(l, query, page->messages.texts[i]);

		if (*cause && names_has(&page->messages, cause)) {
			uint32_t parent = names_id(&page->messages, cause);

			page->shown[i].next = page->shown[parent].first;
			page->shown[parent].first = (uint32_t)i;
		}
		free(cause);
	}
	result_end(query);
}

void page_ladder_choose(struct page *page)
{
	struct page_ladder *l = sim_alloc(sizeof *l);

	*l = (struct page_ladder){ .page = page };
	page->ladder = l;
	l->walk.layout.width = REPORT_WIDTH;
	l->walk.layout.utf8 = true;
	if (!ladder_walk_open(&l->walk, &page->db, &l->options))
		return;
	ladder_walk_draw(&l->walk, &count_pen, l);
	l->first_rows = l->rows;
	if (l->rows > PAGE_ROWS_MAX) {
		add_chains(l);
		l->first_rows = PAGE_ROWS_MAX - 2 * PAGE_MUST_MAX; /* messages, and other rows */
	} else {
		names_free(&l->must);
	}
	l->at = l->must_rows = 0;
	ladder_walk_draw(&l->walk, &register_pen, l);
	link_messages(l);
	l->at = l->must_rows = 0;
}

void page_ladder_free(struct page *page)
{
	struct page_ladder *l = page->ladder;

	if (!l)
		return;
	ladder_walk_close(&l->walk);
	names_free(&l->must);
	free(l->lane_of);
	free(l);
	page->ladder = NULL;
}

/* ---- lanes ---- */

static unsigned shown_columns(const struct layout *layout)
{
	unsigned count = 0;

	for (size_t i = 0; i < layout->count; i++)
		count += !layout->columns[i].left_out;
	return count;
}

static bool has_shared(const struct page_ladder *l)
{
	unsigned own = shown_columns(&l->walk.layout);

	return own < l->walk.layout.count || own > LANES_MAX;
}

/* Numbers the lifelines from 1; the shared one is the last. */
static void number_lanes(struct page_ladder *l)
{
	const struct layout *layout = &l->walk.layout;
	unsigned own = shown_columns(layout), next = 1;

	l->lanes = (own > LANES_MAX ? LANES_MAX : own) + has_shared(l);
	l->lane_of = sim_alloc((layout->count + 1) * sizeof *l->lane_of);
	for (size_t i = 0; i < layout->count; i++)
		l->lane_of[i] = layout->columns[i].left_out || next > LANES_MAX ? l->lanes : next++;
}

static unsigned lane_of(struct page_ladder *l, const char *node)
{
	return l->lane_of[layout_column(&l->walk.layout, node) - l->walk.layout.columns];
}

/* Whether a node's lifeline is the shared one. */
static bool is_other(struct page_ladder *l, const char *node)
{
	return has_shared(l) && lane_of(l, node) == l->lanes;
}

static void put_names(struct page_ladder *l)
{
	unsigned lane = 0;

	page_f(l->page,
	       "<div class=\"row names\" aria-hidden=\"true\"><span class=\"t\">time s</span><span class=\"g n%u\">",
	       l->lanes);
	for (size_t i = 0; i < l->walk.layout.count && lane < LANES_MAX; i++) {
		if (l->walk.layout.columns[i].left_out)
			continue;
		page_f(l->page, "<span class=\"h%u%s\">", ++lane,
		       page_is_attacker(l->page, l->walk.layout.columns[i].name) ? " bad" : "");
		page_cut(l->page, l->walk.layout.columns[i].name, PAGE_TEXT_MAX);
		page_raw(l->page, "</span>");
	}
	if (has_shared(l))
		page_f(l->page, "<span class=\"h%u\">others</span>", l->lanes);
	page_raw(l->page, "</span></div>\n");
}

/* ---- rows ---- */

static void put_time(struct page_ladder *l, sim_ns at_ns)
{
	char text[48];

	text_clock(at_ns, text, sizeof text);
	page_f(l->page, "<span class=\"t\">%s</span>", text);
}

static void end_slice(struct page_ladder *l)
{
	if (l->in_slice)
		page_raw(l->page, "</details>\n");
	l->in_slice = false;
}

static void begin_row(struct page_ladder *l, sim_ns at_ns)
{
	if (l->written % PAGE_SLICE_ROWS == 0) {
		end_slice(l);
		page_f(l->page, "<details class=\"slice\"%s><summary>From ", l->written ? "" : " open");
		page_clock(l->page, at_ns);
		page_f(l->page, ", row %" PRId64 "</summary>\n", l->written + 1);
		put_names(l);
		l->in_slice = true;
	}
	l->written++;
}

/* Says what was left off since the last row. */
static void tell_folded(struct page_ladder *l)
{
	char from[48], until[48];

	if (!l->folded_messages && !l->folded_others)
		return;
	text_clock(l->folded_from_ns, from, sizeof from);
	text_clock(l->folded_to_ns < SIM_NEVER - NS_PER_US ? l->folded_to_ns + NS_PER_US - 1 : l->folded_to_ns, until, sizeof until);
	begin_row(l, l->folded_from_ns);
	page_f(l->page,
	       "<div class=\"row folded\"><span class=\"t\">%s</span><span class=\"full\">%" PRId64 " messages and %" PRId64
	       " other rows until %s s are left off: <code>tollgate ladder RUN.db --from %ss --until "
	       "%ss</code></span></div>\n",
	       from, l->folded_messages, l->folded_others, until, from, until);
	l->folded_messages = l->folded_others = 0;
}

static bool draws_row(void *ctx, const struct item *item)
{
	struct page_ladder *l = ctx;

	if (is_on_page(l, item)) {
		tell_folded(l);
		return true;
	}
	if (!l->folded_messages && !l->folded_others)
		l->folded_from_ns = item->at_ns;
	l->folded_to_ns = l->walk.last_ns = item->at_ns; /* no pause: something was there */
	*(item->what == WHAT_MESSAGE ? &l->folded_messages : &l->folded_others) += 1;
	return false;
}

static void put_gap(void *ctx, sim_ns pause_ns)
{
	struct page_ladder *l = ctx;

	begin_row(l, l->walk.last_ns);
	page_raw(l->page, "<div class=\"row gap\"><span class=\"t\"></span><span class=\"full\">\xe2\x80\xa6 ");
	page_duration(l->page, pause_ns);
	page_raw(l->page, " \xe2\x80\xa6</span></div>\n");
}

static void put_media(void *ctx, const struct ladder_walk *walk)
{
	struct page_ladder *l = ctx;
	unsigned low = UINT32_MAX, high = 0;
	char *text;

	if (l->at > l->first_rows) { /* among rows that are left off */
		if (!l->folded_messages && !l->folded_others++)
			l->folded_from_ns = walk->media_from_ns;
		return;
	}
	for (size_t i = 0; i < walk->layout.count; i++) {
		unsigned lane = l->lane_of[i];

		if (!walk->flows[i].sent && !walk->flows[i].received)
			continue;
		low = lane < low ? lane : low;
		high = lane > high ? lane : high;
	}
	text = ladder_media_text(walk);
	begin_row(l, walk->media_from_ns);
	page_raw(l->page, "<div class=\"row media\">");
	put_time(l, walk->media_from_ns);
	page_f(l->page, "<span class=\"g n%u\" aria-hidden=\"true\">", l->lanes);
	if (low < high)
		page_f(l->page, "<i class=\"a rtp mid s%u e%u\"><b>%s</b></i>", low, high, LADDER_MEDIA_LABEL);
	page_raw(l->page, "</span><span class=\"w\">media </span><span class=\"x\">[rtp] for ");
	page_duration(l->page, walk->media_to_ns - walk->media_from_ns);
	page_raw(l->page, "</span></div>\n<div class=\"row\"><span class=\"t\"></span><span class=\"full dim\">");
	page_cut(l->page, text, PAGE_TEXT_MAX);
	page_raw(l->page, "</span></div>\n");
	free(text);
}

/* The class of a cover: one of those in the style. */
static const char *cover_class(const char *cover)
{
	static const char *const known[] = { "clear", "krb5", "esp", "ah", "rtp" };

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(cover, known[i]) == 0)
			return known[i];
	}
	return "clear";
}

static const char *fate_class(const char *fate)
{
	if (strcmp(fate, "accepted") == 0)
		return "";
	if (strcmp(fate, "sent") == 0)
		return " op";
	return strcmp(fate, "refused") == 0 ? " no" : " no lost";
}

/* Whether a label finds place in an arrow on a wide screen; else it stands beside it, as in the terminal. */
static bool label_fits(struct page_ladder *l, const struct item *m, const char *label)
{
	unsigned from = lane_of(l, m->from), to = lane_of(l, m->dst), lanes_between = from < to ? to - from : from - to;

	return from == to || text_width(label) * CHARACTER_PX + ARROW_PX <= lanes_between * (LANES_PX / l->lanes);
}

static void put_arrow(struct page_ladder *l, const struct item *m, const char *label)
{
	unsigned from = lane_of(l, m->from), to = lane_of(l, m->dst);

	page_f(l->page, "<span class=\"g n%u\" aria-hidden=\"true\">", l->lanes);
	if (from == to)
		page_f(l->page, "<i class=\"a self h%u\">%s", from, is_other(l, m->from) ? "" : "\xe2\x86\xbb ");
	else
		page_f(l->page, "<i class=\"a %c %s%s s%u e%u\">", from < to ? 'R' : 'L', cover_class(m->cover),
		       fate_class(m->fate), from < to ? from : to, from < to ? to : from);
	if (label_fits(l, m, label)) {
		page_raw(l->page, "<b>");
		page_cut(l->page, label, PAGE_TEXT_MAX);
		page_raw(l->page, "</b>");
	}
	page_raw(l->page, "</i></span>");
}

/* Who speaks to whom, as words: for a narrow screen, a screen reader and the filter. */
static void put_words(struct page_ladder *l, const struct item *m, const char *label)
{
	page_raw(l->page, "<span class=\"w\">");
	page_cut(l->page, m->from, PAGE_TEXT_MAX);
	page_raw(l->page, " \xe2\x86\x92 ");
	page_cut(l->page, m->dst, PAGE_TEXT_MAX);
	page_raw(l->page, ": ");
	page_cut(l->page, label, PAGE_TEXT_MAX);
	page_raw(l->page, " </span>");
}

/* Names the ends that have no lifeline of their own. */
static void put_others(struct page_ladder *l, const struct item *m)
{
	bool from = is_other(l, m->from), to = is_other(l, m->dst);

	if (from)
		page_cut(l->page, m->from, PAGE_TEXT_MAX);
	page_raw(l->page, to ? from ? " to " : "to " : "");
	if (to)
		page_cut(l->page, m->dst, PAGE_TEXT_MAX);
	page_raw(l->page, from || to ? ": " : "");
}

static void put_message(void *ctx, const struct item *m)
{
	struct page_ladder *l = ctx;
	char label[LADDER_TEXT_MAX], remark[LADDER_TEXT_MAX], *key = message_key(m);
	uint32_t index = names_id(&l->page->messages, key);
	bool bad = strcmp(m->fate, "accepted") != 0;

	free(key);
	text_label(m, label);
	text_remark(m, remark);
	begin_row(l, m->at_ns);
	page_f(l->page, "<details class=\"m\" id=\"%sm%" PRIu32 "\" data-c=\"%s\" data-f=\"%s\" data-n=\" ", l->page->tag,
	       index, cover_class(m->cover), bad ? "bad" : "accepted");
	page_cut(l->page, m->from, PAGE_TEXT_MAX);
	page_raw(l->page, " ");
	page_cut(l->page, m->src, PAGE_TEXT_MAX);
	page_raw(l->page, " ");
	page_cut(l->page, m->dst, PAGE_TEXT_MAX);
	page_raw(l->page, " \"><summary>");
	put_time(l, m->at_ns);
	put_arrow(l, m, label);
	put_words(l, m, label);
	page_f(l->page, "<span class=\"x%s\">", bad ? " bad" : "");
	if (!label_fits(l, m, label)) {
		page_raw(l->page, "<b class=\"la\" aria-hidden=\"true\">");
		page_cut(l->page, label, PAGE_TEXT_MAX);
		page_raw(l->page, "</b> ");
	}
	put_others(l, m);
	page_cut(l->page, remark, PAGE_TEXT_MAX);
	page_raw(l->page, "</span></summary>");
	page_message(l->page, m, index);
	page_raw(l->page, "</details>\n");
}

static void put_note(void *ctx, const struct item *item)
{
	struct page_ladder *l = ctx;
	unsigned lane = lane_of(l, item->from);
	bool bad = item->what == WHAT_REFUSAL || item->size != 0, left = lane * 2 > l->lanes + 1;
	char text[LADDER_TEXT_MAX];

	text_note(item, text);
	begin_row(l, item->at_ns);
	page_f(l->page, "<div class=\"row n%s\">", bad ? " no" : "");
	put_time(l, item->at_ns);
	page_f(l->page, "<span class=\"g n%u\" aria-hidden=\"true\"><i class=\"%s %c%u\">", l->lanes, left ? "q" : "o",
	       left ? 'e' : 's', lane);
	if (is_other(l, item->from)) {
		page_cut(l->page, item->from, PAGE_TEXT_MAX);
		page_raw(l->page, " ");
	}
	page_cut(l->page, text, PAGE_TEXT_MAX);
	page_raw(l->page, "</i></span><span class=\"w\">");
	page_cut(l->page, item->from, PAGE_TEXT_MAX);
	page_raw(l->page, ": ");
	page_cut(l->page, text, PAGE_TEXT_MAX);
	page_raw(l->page, "</span><span class=\"x\"></span></div>\n");
}

static void put_across(void *ctx, const struct item *item)
{
	struct page_ladder *l = ctx;

	begin_row(l, item->at_ns);
	page_raw(l->page, "<div class=\"row\">");
	put_time(l, item->at_ns);
	page_f(l->page, "<span class=\"full%s\">", item->what == WHAT_VERDICT ? " bad" : "");
	page_cut(l->page, item->kind, PAGE_TEXT_MAX);
	page_raw(l->page, "</span></div>\n");
}

static const struct ladder_pen page_pen = {
	.wants = draws_row, .gap = put_gap, .media = put_media, .message = put_message, .note = put_note, .across = put_across,
};

/* ---- around them ---- */

static void put_filter(struct page_ladder *l)
{
	struct page *page = l->page;

	page_raw(page, "<form class=\"bar\" role=\"search\" aria-label=\"Filter messages\" hidden>\n"
	               "<label>Text<input type=\"search\" name=\"text\" autocomplete=\"off\" spellcheck=\"false\" "
	               "placeholder=\"kind, check, name\"></label>\n"
	               "<label>Element<select name=\"node\"><option value=\"\">all</option>");
	for (size_t i = 0; i < l->walk.layout.count; i++) {
		page_raw(page, "<option>");
		page_cut(page, l->walk.layout.columns[i].name, PAGE_TEXT_MAX);
		page_raw(page, "</option>");
	}
	page_raw(
		page,
		"</select></label>\n<label>Cover<select name=\"cover\"><option value=\"\">all</option><option "
	        "value=\"clear\">clear</option>"
		"<option value=\"krb5\">Kerberos</option><option value=\"esp\">ESP</option><option value=\"ah\">AH</option>"
		"<option value=\"rtp\">RTP</option></select></label>\n"
		"<label class=\"ck\"><input type=\"checkbox\" name=\"bad\">Only refused, lost, intercepted</label>\n"
		"<output name=\"count\" aria-live=\"polite\"></output>\n</form>\n");
}

static void put_legend(struct page_ladder *l)
{
	page_raw(l->page,
	         "<ul class=\"key\" aria-label=\"Covers\"><li><i class=\"clear\"></i>clear</li><li><i "
	         "class=\"krb5\"></i>Kerberos</li>"
	         "<li><i class=\"esp\"></i>ESP</li><li><i class=\"ah\"></i>AH</li><li><i class=\"rtp\"></i>RTP</li>"
	         "<li><span class=\"bad\">\xe2\x9c\x97</span>&nbsp; refused (with the check), lost or "
	         "intercepted</li></ul>\n");
}

static void put_left_off(struct page_ladder *l)
{
	int64_t all = result_int(&l->page->db, "SELECT count(*) FROM message", 0);
	size_t own = shown_columns(&l->walk.layout);
	char *level;

	if (l->first_rows < l->rows)
		page_f(l->page,
		       "<p class=\"more\">This run has %" PRId64
		       " messages; %zu of them are on this page: the first ones, and those that were"
		       " refused, lost, intercepted or sent in another&#39;s name, with what led to them (up to %d rows). "
		       "A line stands"
		       " where others are left off.</p>\n",
		       all, l->page->messages.count, PAGE_MUST_MAX);
	if (own > LANES_MAX)
		own = LANES_MAX;
	if (own < l->walk.layout.count)
		page_f(l->page,
		       "<p class=\"more\">%zu elements share the last column; their names stand beside the message.</p>\n",
		       l->walk.layout.count - own);
	level = page_run_value(l->page, "record");
	if (strcmp(level, "summary") == 0)
		page_raw(l->page, "<p class=\"more\">Recorded as a summary: there are no messages in it.</p>\n");
	free(level);
}

void page_ladder(struct page *page)
{
	struct page_ladder *l = page->ladder;

	if (page->db.error[0])
		return;
	number_lanes(l);
	page_section(page, "ladder", "Messages");
	page_raw(page, "<p class=\"dim\">Time runs down, not to scale: pauses of a second and more are told. A message "
	               "opens to its fields.</p>\n");
	put_left_off(l);
	put_filter(l);
	put_legend(l);
	page_raw(page, "<div class=\"lad\">\n");
	if (ladder_walk_draw(&l->walk, &page_pen, l))
		tell_folded(l);
	end_slice(l);
	page_raw(page, "</div>\n");
	page_section_end(page);
}

/*
 * On the page: calls, their set-up as stages and as a distribution; accounts and call records.
 *
 * The stages of a call are the times its caller's state machine "line" spent in each state between dialling and the answer.
 * Table call knows numbers, not nodes: the caller is the one node whose line left Idle at the moment of dialling. When two
 * nodes dial in the same nanosecond the call has no stages.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"
#include "sim/sim.h"

#define STAGES_MAX 8 /* that have a class in the style */
#define BINS 24

struct call_row {
	sim_ns dialled_ns, ringing_ns, answered_ns, ended_ns;
	uint32_t node; /* of the caller, in calls.texts */
	sim_ns stage_ns[STAGES_MAX];
	bool staged;
};

struct calls {
	struct page *page;
	struct names texts;
	struct names stages; /* states, in order of first sight */
	struct call_row *list;
	size_t count;
};

/* ---- stages ---- */

static void load(struct calls *calls)
{
	char *sql = text_make("SELECT dialled_ns, ringing_ns, answered_ns, ended_ns FROM call ORDER BY dialled_ns IS NULL, "
	                      "dialled_ns, id LIMIT %d",
	                      PAGE_CALLS_COUNTED);
	sqlite3_stmt *rows = result_query(&calls->page->db, sql);

	calls->list = sim_alloc(PAGE_CALLS_COUNTED * sizeof *calls->list);
	while (rows && calls->count < PAGE_CALLS_COUNTED && result_next(&calls->page->db, rows))
		calls->list[calls->count++] = (struct call_row){
			.dialled_ns = page_ns(rows, 0), .ringing_ns = page_ns(rows, 1), .answered_ns = page_ns(rows, 2),
			.ended_ns = page_ns(rows, 3), .node = SHOWN_NONE,
		};
	result_end(rows);
	free(sql);
}

/* Gives calls their caller's node: both lists go by time. */
static void find_callers(struct calls *calls)
{
	sqlite3_stmt *rows = result_query(
		&calls->page->db, "SELECT at_ns, min(node), count(*) FROM step WHERE machine = 'line' AND before = 'Idle'"
				  " AND NOT refused GROUP BY at_ns ORDER BY at_ns");
	size_t at = 0;

	while (rows && at < calls->count && result_next(&calls->page->db, rows)) {
		sim_ns at_ns = sqlite3_column_int64(rows, 0);

		while (at < calls->count && calls->list[at].dialled_ns < at_ns)
			at++;
		if (at < calls->count && calls->list[at].dialled_ns == at_ns && sqlite3_column_int(rows, 2) == 1 &&
		    (at + 1 == calls->count || calls->list[at + 1].dialled_ns != at_ns))
			calls->list[at].node = names_id(&calls->texts, result_text(rows, 1));
	}
	result_end(rows);
}

/* The time in each state from dialling to the answer, or to the end when nobody answered. */
static void measure(struct calls *calls, struct call_row *call, sqlite3_stmt *steps)
{
	sim_ns until_ns = call->answered_ns >= 0 ? call->answered_ns : call->ended_ns, last_ns = call->dialled_ns;
	uint32_t state = SHOWN_NONE;

	if (call->node == SHOWN_NONE || until_ns < call->dialled_ns)
		return;
	sqlite3_reset(steps);
	result_bind_text(steps, 1, names_text(&calls->texts, call->node));
	sqlite3_bind_int64(steps, 2, call->dialled_ns);
	sqlite3_bind_int64(steps, 3, until_ns);
	while (result_next(&calls->page->db, steps)) {
		sim_ns at_ns = sqlite3_column_int64(steps, 0);

		if (state < STAGES_MAX && at_ns > last_ns)
			call->stage_ns[state] += at_ns - last_ns;
		if (at_ns >= until_ns)
			state = SHOWN_NONE;
		else
			state = names_id(&calls->stages, result_text(steps, 1));
		last_ns = at_ns;
		call->staged = true;
	}
	if (state < STAGES_MAX && until_ns > last_ns)
		call->stage_ns[state] += until_ns - last_ns;
}

static void measure_all(struct calls *calls)
{
	sqlite3_stmt *steps =
		result_query(&calls->page->db, "SELECT at_ns, after FROM step WHERE node = ?1 AND machine = 'line'"
	                                       " AND at_ns BETWEEN ?2 AND ?3 AND NOT refused ORDER BY nth");

	for (size_t i = 0; steps && i < calls->count; i++)
		measure(calls, &calls->list[i], steps);
	result_end(steps);
}

static unsigned stage_count(const struct calls *calls)
{
	return calls->stages.count < STAGES_MAX ? (unsigned)calls->stages.count : STAGES_MAX;
}

/* ---- figures ---- */

static int by_value(const void *a, const void *b)
{
	sim_ns x = *(const sim_ns *)a, y = *(const sim_ns *)b;

	return (x > y) - (x < y);
}

/* Of a sorted list, the smallest value that so many percent do not exceed (nearest rank). */
static sim_ns percentile(const sim_ns *sorted, size_t count, unsigned percent)
{
	size_t rank = (count * percent + 99) / 100;

	return sorted[rank ? rank - 1 : 0];
}

/* A sum of stages, or a time of the call itself; negative: this call has none. */
static sim_ns figure_of(const struct call_row *call, int what)
{
	if (what >= 0)
		return call->staged ? call->stage_ns[what] : -1;
	if (call->dialled_ns < 0)
		return -1;
	if (what == -1)
		return call->ringing_ns >= call->dialled_ns ? call->ringing_ns - call->dialled_ns : -1;
	return call->answered_ns >= call->dialled_ns ? call->answered_ns - call->dialled_ns : -1;
}

/* The sorted figures of all calls that have one; caller frees. */
static sim_ns *figures(const struct calls *calls, int what, size_t *count)
{
	sim_ns *list = sim_alloc((calls->count + 1) * sizeof *list);

	*count = 0;
	for (size_t i = 0; i < calls->count; i++) {
		sim_ns value = figure_of(&calls->list[i], what);

		if (value >= 0)
			list[(*count)++] = value;
	}
	qsort(list, *count, sizeof *list, by_value);
	return list;
}

static void put_swatch(struct page *page, unsigned stage)
{
	page_f(page,
	       "<span class=\"sw\" aria-hidden=\"true\"><svg viewBox=\"0 0 1 1\"><rect class=\"p%u\" width=\"1\" "
	       "height=\"1\"/></svg></span>",
	       stage + 1);
}

static void put_figure_row(struct calls *calls, int what)
{
	struct page *page = calls->page;
	size_t count;
	sim_ns *list = figures(calls, what, &count);

	if (count) {
		page_raw(page, "<tr><th scope=\"row\">");
		if (what >= 0) {
			put_swatch(page, (unsigned)what);
			page_cut(page, calls->stages.texts[what], PAGE_TEXT_MAX);
		} else {
			page_raw(page, what == -1 ? "Dialled until it rings" : "Dialled until answered");
		}
		page_f(page, "</th><td class=\"num\">%zu</td><td class=\"num\">", count);
		page_duration(page, percentile(list, count, 50));
		page_raw(page, "</td><td class=\"num\">");
		page_duration(page, percentile(list, count, 95));
		page_raw(page, "</td><td class=\"num\">");
		page_duration(page, list[count - 1]);
		page_raw(page, "</td></tr>\n");
	}
	free(list);
}

static void put_figures(struct calls *calls)
{
	struct page *page = calls->page;

	page_raw(page, "<div class=\"scroll\"><table class=\"fit\"><caption>Set-up latency</caption><thead><tr><th "
	               "scope=\"col\">Stage</th>"
	               "<th scope=\"col\" class=\"num\">Calls</th><th scope=\"col\" class=\"num\">p50</th><th "
	               "scope=\"col\" class=\"num\">p95</th>"
	               "<th scope=\"col\" class=\"num\">Worst</th></tr></thead><tbody>\n");
	for (unsigned stage = 0; stage < stage_count(calls); stage++)
		put_figure_row(calls, (int)stage);
	put_figure_row(calls, -1);
	put_figure_row(calls, -2);
	page_raw(page, "</tbody></table></div>\n");
}

/* How the time until ringing is spread, when there are enough calls to ask. */
static void put_distribution(struct calls *calls)
{
	struct page *page = calls->page;
	size_t count, bins[BINS] = { 0 }, highest = 1;
	sim_ns *list = figures(calls, -1, &count), low, span;

	if (count < 5) {
		free(list);
		return;
	}
	low = list[0];
	span = list[count - 1] - low;
	for (size_t i = 0; i < count; i++) {
		size_t bin = span ? (size_t)((double)(list[i] - low) / (double)span * (BINS - 1)) : 0;

		if (++bins[bin] > highest)
			highest = bins[bin];
	}
	page_f(page,
	       "<figure><figcaption><b>Dialled until it rings</b>, %zu calls; the highest bar is %zu</figcaption>"
	       "<svg viewBox=\"0 0 %d 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Histogram of the time "
	       "until it rings\">"
	       "<path class=\"ax\" d=\"M0 100H%d\"/>",
	       count, highest, BINS * 10, BINS * 10);
	for (int i = 0; i < BINS; i++) {
		size_t height = bins[i] * 96 / highest + (bins[i] ? 4 : 0);

		if (bins[i])
			page_f(page, "<rect class=\"ba\" x=\"%d\" y=\"%zu\" width=\"9\" height=\"%zu\"/>", i * 10,
			       100 - height, height);
	}
	page_raw(page, "</svg><div class=\"axis\"><span>");
	page_duration(page, low);
	page_raw(page, "</span><span>");
	page_duration(page, list[count - 1]);
	page_raw(page, "</span></div></figure>\n");
	free(list);
}

/* ---- the table ---- */

static void put_bar(struct calls *calls, const struct call_row *call, sim_ns longest_ns)
{
	int64_t x = 0;

	if (!call->staged || longest_ns <= 0)
		return;
	page_raw(calls->page, "<svg class=\"st\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
	for (unsigned stage = 0; stage < stage_count(calls); stage++) {
		int64_t width = (int64_t)((double)call->stage_ns[stage] / (double)longest_ns * 1000);

		if (width > 0)
			page_f(calls->page, "<rect class=\"p%u\" x=\"%" PRId64 "\" width=\"%" PRId64 "\" height=\"10\"/>",
			       stage + 1, x, width);
		x += width;
	}
	page_raw(calls->page, "</svg>");
}

static sim_ns longest_stages(const struct calls *calls, size_t count)
{
	sim_ns longest_ns = 0;

	for (size_t i = 0; i < count; i++) {
		sim_ns sum_ns = 0;

		for (unsigned stage = 0; stage < STAGES_MAX; stage++)
			sum_ns += calls->list[i].stage_ns[stage];
		longest_ns = sum_ns > longest_ns ? sum_ns : longest_ns;
	}
	return longest_ns;
}

static void put_call(struct calls *calls, const struct call_row *call, sqlite3_stmt *row, sim_ns longest_ns)
{
	struct page *page = calls->page;
	bool failed = strcmp(result_text(row, 3), "failed") == 0;

	page_f(page, "<tr%s><td class=\"num\">", failed ? " class=\"f\"" : "");
	page_clock(page, call->dialled_ns);
	page_raw(page, "</td><td class=\"nw\">");
	page_cut(page, result_text(row, 1), PAGE_TEXT_MAX);
	page_raw(page, " \xe2\x86\x92 ");
	page_cut(page, result_text(row, 2), PAGE_TEXT_MAX);
	page_raw(page, "</td><td class=\"num\">");
	page_duration(page, figure_of(call, -1));
	page_raw(page, "</td><td class=\"num\">");
	page_duration(page, figure_of(call, -2));
	page_raw(page, "</td><td>");
	put_bar(calls, call, longest_ns);
	page_raw(page, "</td><td class=\"num\">");
	page_duration(page, call->answered_ns >= 0 && call->ended_ns >= call->answered_ns
	                            ? call->ended_ns - call->answered_ns
	                            : -1);
	page_raw(page, failed ? "</td><td class=\"bad\">" : "</td><td>");
	page_cut(page, result_text(row, 3), PAGE_TEXT_MAX);
	page_raw(page, result_text(row, 4)[0] ? ": " : "");
	page_cut(page, result_text(row, 4), PAGE_TEXT_MAX);
	page_raw(page, "</td></tr>\n");
}

static void put_table(struct calls *calls)
{
	struct page *page = calls->page;
	size_t count = calls->count < PAGE_CALLS_MAX ? calls->count : PAGE_CALLS_MAX, at = 0;
	sim_ns longest_ns = longest_stages(calls, count);
	sqlite3_stmt *rows = result_query(&page->db, "SELECT id, caller, callee, outcome, reason FROM call"
	                                             " ORDER BY dialled_ns IS NULL, dialled_ns, id");

	page_raw(page, "<div class=\"scroll\"><table><caption>Each call; the bar shows the stages of its "
	               "set-up</caption><thead><tr>"
	               "<th scope=\"col\" class=\"num\">Dialled</th><th scope=\"col\">Call</th><th scope=\"col\" "
	               "class=\"num\">Rings after</th>"
	               "<th scope=\"col\" class=\"num\">Answered after</th><th scope=\"col\">Stages</th><th scope=\"col\" "
	               "class=\"num\">Talk</th>"
	               "<th scope=\"col\">Outcome</th></tr></thead><tbody>\n");
	while (rows && at < count && result_next(&page->db, rows))
		put_call(calls, &calls->list[at++], rows, longest_ns);
	page_raw(page, "</tbody></table></div>\n");
	result_end(rows);
}

void page_calls(struct page *page)
{
	int64_t all = result_int(&page->db, "SELECT count(*) FROM call", 0);
	struct calls calls = { .page = page };

	if (!all || page->db.error[0])
		return;
	load(&calls);
	find_callers(&calls);
	measure_all(&calls);
	page_section(page, "calls", "Calls");
	if (all > PAGE_CALLS_COUNTED)
		page_f(page, "<p class=\"more\">The figures are of the first %d of %" PRId64 " calls.</p>\n",
		       PAGE_CALLS_COUNTED, all);
	put_figures(&calls);
	put_distribution(&calls);
	put_table(&calls);
	page_more(page, all - PAGE_CALLS_MAX, "calls are", "SELECT * FROM call_setup");
	page_section_end(page);
	free(calls.list);
	names_free(&calls.texts);
	names_free(&calls.stages);
}

/* ---- accounts ---- */

static void put_account(struct page *page, sqlite3_stmt *row)
{
	page_raw(page, "<tr><td>");
	page_cut(page, result_text(row, 0), PAGE_TEXT_MAX);
	page_f(page, "</td><td class=\"num\">%lld</td><td class=\"num\">%lld</td><td class=\"num\">",
	       (long long)sqlite3_column_int64(row, 1), (long long)sqlite3_column_int64(row, 2));
	page_duration(page, sqlite3_column_int64(row, 3));
	page_raw(page, "</td></tr>\n");
}

static void put_record(struct page *page, sqlite3_stmt *row)
{
	page_raw(page, "<tr><td class=\"num\">");
	page_clock(page, page_ns(row, 0));
	page_raw(page, "</td><td>");
	page_cut(page, result_text(row, 1), PAGE_TEXT_MAX);
	page_raw(page, "</td><td>");
	page_cut(page, result_text(row, 2), PAGE_TEXT_MAX);
	page_raw(page, " \xe2\x86\x92 ");
	page_cut(page, result_text(row, 3), PAGE_TEXT_MAX);
	page_raw(page, "</td><td class=\"num\">");
	page_duration(page, page_ns(row, 4));
	page_raw(page, "</td><td>");
	page_cut(page, result_text(row, 5), PAGE_TEXT_MAX);
	page_raw(page, "</td><td>");
	page_cut(page, result_text(row, 6), PAGE_TEXT_MAX);
	page_raw(page, "</td></tr>\n");
}

static void put_rows(struct page *page, const char *sql, const char *head, void (*put)(struct page *page, sqlite3_stmt *row))
{
	char *limited = text_make("%s LIMIT %d", sql, PAGE_RECORDS_MAX);
	sqlite3_stmt *rows = result_query(&page->db, limited);

	page_raw(page, head);
	while (rows && result_next(&page->db, rows))
		put(page, rows);
	page_raw(page, "</tbody></table></div>\n");
	result_end(rows);
	free(limited);
}

void page_accounts(struct page *page)
{
	int64_t accounts = result_int(&page->db, "SELECT count(*) FROM account", 0);
	int64_t records = result_int(&page->db, "SELECT count(*) FROM call_record", 0);

	if (!records)
		return;
	page_section(page, "accounts", "Accounts and call records");
	put_rows(page, "SELECT name, records, answered, talk_ns FROM account ORDER BY talk_ns DESC, name",
	         "<div class=\"scroll\"><table class=\"fit\"><caption>Accounts</caption><thead><tr><th "
	         "scope=\"col\">Account</th>"
	         "<th scope=\"col\" class=\"num\">Records</th><th scope=\"col\" class=\"num\">Answered</th>"
	         "<th scope=\"col\" class=\"num\">Talk</th></tr></thead><tbody>\n",
	         put_account);
	page_more(page, accounts - PAGE_RECORDS_MAX, "accounts are", "SELECT * FROM account");
	page_f(page, "<details class=\"fold\"%s><summary>Call records (%" PRId64 ")</summary>\n",
	       records <= 20 ? " open" : "", records);
	put_rows(page,
	         "SELECT start_ns, account, caller, callee, end_ns - answer_ns, reason, node FROM call_record ORDER BY "
	         "start_ns, id, nth",
	         "<div class=\"scroll\"><table><thead><tr><th scope=\"col\" class=\"num\">Start</th><th "
	         "scope=\"col\">Account</th>"
	         "<th scope=\"col\">Call</th><th scope=\"col\" class=\"num\">Talk</th><th scope=\"col\">Ended by</th>"
	         "<th scope=\"col\">Recorded by</th></tr></thead><tbody>\n",
	         put_record);
	page_more(page, records - PAGE_RECORDS_MAX, "call records are", "SELECT * FROM call_record");
	page_raw(page, "</details>\n");
	page_section_end(page);
}

/*
 * On the page: the state machines of each node, those of CTAs first, as lanes side by side in time.
 *
 * Within a drawing time is not to scale: each moment at which a machine of the node stepped takes one column, so that a state
 * held for an hour and one held for a millisecond can both be read. The table below it has every step.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"
#include "sim/sim.h"

#define MACHINES_MAX 4 /* of a node, drawn */

struct step_row {
	uint32_t machine, before, event, after; /* in lanes.texts */
	sim_ns at_ns;
	unsigned column; /* from 1 */
	bool refused;
};

struct lanes {
	struct page *page;
	struct names texts, machines;
	struct step_row *steps;
	size_t count;
	unsigned columns;
	bool more; /* steps after those drawn */
};

static void load_row(struct lanes *lanes, sqlite3_stmt *row)
{
	struct step_row *s = &lanes->steps[lanes->count];
	sim_ns at_ns = sqlite3_column_int64(row, 0);

	if (!lanes->columns || at_ns != lanes->steps[lanes->count - 1].at_ns)
		lanes->columns++;
	if (lanes->columns > PAGE_STEPS_DRAWN) {
		lanes->columns--;
		lanes->more = true;
		return;
	}
	*s = (struct step_row){
		.at_ns = at_ns,
		.machine = names_id(&lanes->machines, result_text(row, 1)),
		.before = names_id(&lanes->texts, result_text(row, 2)),
		.event = names_id(&lanes->texts, result_text(row, 3)),
		.after = names_id(&lanes->texts, result_text(row, 4)),
		.refused = sqlite3_column_int(row, 5) != 0,
		.column = lanes->columns,
	};
	lanes->count++;
}

static void load(struct lanes *lanes, const char *node)
{
	sqlite3_stmt *rows = result_query(&lanes->page->db,
	                                  "SELECT at_ns, machine, before, event, after, refused FROM step WHERE node = ?1"
	                                  " ORDER BY at_ns, machine, nth");

	if (!rows)
		return;
	result_bind_text(rows, 1, node);
	while (!lanes->more && lanes->count < PAGE_STEPS_MAX && result_next(&lanes->page->db, rows))
		load_row(lanes, rows);
	result_end(rows);
}

static void put_times(struct lanes *lanes)
{
	unsigned column = 0;

	page_raw(lanes->page,
	         "<div class=\"lane\" aria-hidden=\"true\"><b>time</b><div class=\"lg\"><span class=\"u1\">0 s</span>");
	for (size_t i = 0; i < lanes->count; i++) {
		char text[48];

		if (lanes->steps[i].column == column)
			continue;
		column = lanes->steps[i].column;
		snprintf(text, sizeof text, "%" PRId64 ".%03" PRId64, lanes->steps[i].at_ns / NS_PER_S,
		         lanes->steps[i].at_ns / NS_PER_MS % 1000);
		page_f(lanes->page, "<span class=\"u%u\">%s</span>", column + 1, text);
	}
	page_raw(lanes->page, "</div></div>\n");
}

/* A state from one column up to another, with what led to it. */
static void put_state(struct lanes *lanes, unsigned from, unsigned to, uint32_t state, const struct step_row *by)
{
	struct page *page = lanes->page;

	page_f(page, "<li class=\"u%u v%u%s\" title=\"", from, to, by && by->refused ? " no" : "");
	page_cut(page, names_text(&lanes->texts, state), PAGE_TEXT_MAX);
	if (by) {
		page_raw(page, by->refused ? ": refused " : ": by ");
		page_cut(page, names_text(&lanes->texts, by->event), PAGE_TEXT_MAX);
	}
	page_raw(page, "\">");
	page_raw(page, by && by->refused ? "\xe2\x9c\x97 " : "");
	page_cut(page, names_text(&lanes->texts, state), PAGE_TEXT_MAX);
	page_raw(page, "</li>");
}

/* Of several steps in one column the last one is drawn. */
static void put_lane(struct lanes *lanes, uint32_t machine)
{
	const struct step_row *last = NULL;
	uint32_t first = 0;

	page_raw(lanes->page, "<div class=\"lane\"><b>");
	page_cut(lanes->page, names_text(&lanes->machines, machine), PAGE_TEXT_MAX);
	page_raw(lanes->page, "</b><ol class=\"lg\">");
	for (size_t i = 0; i < lanes->count; i++) {
		const struct step_row *s = &lanes->steps[i];

		if (s->machine != machine)
			continue;
		if (!last)
			first = s->before;
		if (!last)
			put_state(lanes, 1, s->column + 1, first, NULL);
		else if (s->column != last->column)
			put_state(lanes, last->column + 1, s->column + 1, last->refused ? last->before : last->after, last);
		last = s;
	}
	if (last)
		put_state(lanes, last->column + 1, lanes->columns + 2, last->refused ? last->before : last->after, last);
	page_raw(lanes->page, "</ol></div>\n");
}

static void put_steps(struct page *page, const char *node, int64_t count)
{
	char *sql = text_make("SELECT at_ns, machine, before, event, after, refused, cause FROM step WHERE node = ?1"
	                      " ORDER BY at_ns, machine, nth LIMIT %d", PAGE_STEPS_MAX);
	sqlite3_stmt *rows = result_query(&page->db, sql);

	if (rows)
		result_bind_text(rows, 1, node);
	page_f(page,
	       "<details class=\"fold\"><summary>Each step (%" PRId64 ")</summary><div class=\"scroll\"><table><thead><tr>"
	       "<th scope=\"col\" class=\"num\">Time</th><th scope=\"col\">Machine</th><th scope=\"col\">From</th><th "
	       "scope=\"col\">Event</th>"
	       "<th scope=\"col\">To</th><th scope=\"col\">Because of</th></tr></thead><tbody>\n",
	       count);
	while (rows && result_next(&page->db, rows)) {
		bool refused = sqlite3_column_int(rows, 5) != 0;

		page_f(page, "<tr%s><td class=\"num\">", refused ? " class=\"f\"" : "");
		page_clock(page, sqlite3_column_int64(rows, 0));
		for (int column = 1; column <= 4; column++) {
			page_raw(page, "</td><td>");
			if (column == 4 && refused)
				page_raw(page, "<strong class=\"bad\">refused</strong>");
			else
				page_cut(page, result_text(rows, column), PAGE_TEXT_MAX);
		}
		page_raw(page, "</td><td>");
		page_cause(page, result_text(rows, 6));
		page_raw(page, "</td></tr>\n");
	}
	page_raw(page, "</tbody></table></div>\n");
	page_more(page, count - PAGE_STEPS_MAX, "steps are", "SELECT * FROM step ORDER BY node, at_ns");
	page_raw(page, "</details>\n");
	result_end(rows);
	free(sql);
}

static void put_node(struct page *page, const char *node, const char *model, int64_t count)
{
	struct lanes lanes = { .page = page };

	lanes.steps = sim_alloc(PAGE_STEPS_MAX * sizeof *lanes.steps);
	load(&lanes, node);
	page_raw(page, "<h3>");
	page_cut(page, node, PAGE_TEXT_MAX);
	page_raw(page, " <span class=\"dim\">");
	page_cut(page, model, PAGE_TEXT_MAX);
	page_raw(page, "</span></h3>\n<div class=\"scroll\"><div class=\"lanes\">\n");
	put_times(&lanes);
	for (uint32_t i = 0; i < lanes.machines.count && i < MACHINES_MAX; i++)
		put_lane(&lanes, i);
	page_raw(page, "</div></div>\n");
	if (lanes.more)
		page_f(page, "<p class=\"more\">The drawing ends after %u moments; the table goes on.</p>\n", lanes.columns);
	put_steps(page, node, count);
	free(lanes.steps);
	names_free(&lanes.texts);
	names_free(&lanes.machines);
}

void page_machines(struct page *page)
{
	int64_t all = result_int(&page->db, "SELECT count(DISTINCT node) FROM step", 0);
	char *sql =
		text_make("SELECT s.node, coalesce(n.model, ''), count(*) FROM step s LEFT JOIN node n ON n.name = s.node "
	                  "GROUP BY s.node"
	                  " ORDER BY coalesce(n.model, '') <> 'cta', max(s.refused) DESC, min(s.at_ns), s.node LIMIT %d",
	                  PAGE_NODES_MAX);
	sqlite3_stmt *rows = result_query(&page->db, sql);

	if (all) {
		page_section(page, "machines", "State machines");
		page_raw(page, "<p class=\"dim\">Each column is a moment at which a machine of the element stepped; their "
		               "widths say nothing.</p>\n");
		while (rows && result_next(&page->db, rows))
			put_node(page, result_text(rows, 0), result_text(rows, 1), sqlite3_column_int64(rows, 2));
		page_more(page, all - PAGE_NODES_MAX, "elements are", "SELECT * FROM step ORDER BY node, at_ns");
		page_section_end(page);
	}
	result_end(rows);
	free(sql);
}

/*
 * On the page: the queues of KDCs and signaling controllers over time. Of all samples in a slice of time the largest is drawn,
 * so that a short peak stays visible.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"
#include "sim/sim.h"

#define SLICES 120
#define CHART_HEIGHT 100

struct chart {
	int64_t highest[SLICES]; /* negative: no sample */
	int64_t peak;
	sim_ns peak_ns;
	int64_t samples;
};

static void load(struct page *page, struct chart *chart, const char *node, const char *metric, sim_ns end_ns)
{
	sqlite3_stmt *rows =
		result_query(&page->db, "SELECT at_ns, value FROM sample WHERE node = ?1 AND metric = ?2 ORDER BY nth");

	*chart = (struct chart){ .peak = INT64_MIN };
	for (int i = 0; i < SLICES; i++)
		chart->highest[i] = -1;
	if (!rows)
		return;
	result_bind_text(rows, 1, node);
	result_bind_text(rows, 2, metric);
	while (result_next(&page->db, rows)) {
		sim_ns at_ns = sqlite3_column_int64(rows, 0);
		int64_t value = sqlite3_column_int64(rows, 1);
		int slice;

		if (at_ns < 0 || at_ns > end_ns || value < 0)
			continue;
		slice = (int)((double)at_ns / (double)end_ns * (SLICES - 1));
		chart->highest[slice] = value > chart->highest[slice] ? value : chart->highest[slice];
		chart->samples++;
		if (value > chart->peak) {
			chart->peak = value;
			chart->peak_ns = at_ns;
		}
	}
	result_end(rows);
}

static void put_chart(struct page *page, const char *node, const char *metric, const char *unit, sim_ns end_ns)
{
	struct chart chart;
	int64_t top;

	load(page, &chart, node, metric, end_ns);
	if (!chart.samples)
		return;
	top = chart.peak > 0 ? chart.peak : 1;
	page_raw(page, "<figure><figcaption><b>");
	page_cut(page, node, PAGE_TEXT_MAX);
	page_raw(page, "</b> ");
	page_cut(page, strcmp(metric, "kdc.requests") == 0 ? "requests under way" : "queue", PAGE_TEXT_MAX);
	page_f(page, ", peak %" PRId64 " ", chart.peak);
	page_cut(page, unit, PAGE_TEXT_MAX);
	page_raw(page, " at ");
	page_clock(page, chart.peak_ns);
	page_f(page,
	       "</figcaption><svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Over time, "
	       "peak %" PRId64 "\">"
	       "<path class=\"ax\" d=\"M0 %dH%d\"/><path class=\"cv\" d=\"",
	       SLICES, CHART_HEIGHT, chart.peak, CHART_HEIGHT, SLICES);
	for (int i = 0; i < SLICES; i++) {
		if (chart.highest[i] >= 0)
			page_f(page, "M%d %dV%d", i, CHART_HEIGHT,
			       CHART_HEIGHT - 1 - (int)((double)chart.highest[i] / (double)top * (CHART_HEIGHT - 4)));
	}
	page_raw(page, "\"/></svg><div class=\"axis\"><span>0 s</span><span>");
	page_clock(page, end_ns);
	page_raw(page, "</span></div></figure>\n");
}

void page_load(struct page *page)
{
	static const char rows_sql[] =
		"SELECT s.node, s.metric, max(s.unit) FROM sample s LEFT JOIN node n ON n.name = s.node"
		" WHERE s.metric IN ('service.queued', 'kdc.requests') AND coalesce(n.model, '') IN ('kdc', "
	        "'signaling_controller', '')"
		" GROUP BY s.node, s.metric ORDER BY max(s.value) DESC, s.node, s.metric";
	int64_t end_ns = result_int(&page->db, "SELECT CAST(value AS INTEGER) FROM run WHERE name = 'end_ns'", 0);
	sqlite3_stmt *rows;
	int64_t count = 0;

	if (end_ns <= 0)
		end_ns = result_int(&page->db, "SELECT max(at_ns) FROM sample", 0);
	if (end_ns <= 0 ||
	    !result_int(&page->db,
	                "SELECT EXISTS (SELECT 1 FROM sample WHERE metric IN ('service.queued', 'kdc.requests'))", 0))
		return;
	rows = result_query(&page->db, rows_sql);
	page_section(page, "load", "Queues");
	page_raw(page,
	         "<p class=\"dim\">Each stroke is the largest sample of a 120th of the run.</p>\n<div class=\"charts\">\n");
	for (; rows && result_next(&page->db, rows); count++) {
		if (count < PAGE_CHARTS_MAX)
			put_chart(page, result_text(rows, 0), result_text(rows, 1), result_text(rows, 2), end_ns);
	}
	page_raw(page, "</div>\n");
	page_more(page, count - PAGE_CHARTS_MAX, "series are", "SELECT * FROM sample ORDER BY node, metric, nth");
	page_section_end(page);
	result_end(rows);
}

/* On the page: what was claimed and what came of it, the attack with the check that should stop it, and all refusals. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"

#define HELD_OPEN 40 /* as many held claims are shown unfolded */

/* ---- claims ---- */

static void put_verdict(struct page *page, sqlite3_stmt *row)
{
	bool held = strcmp(result_text(row, 0), "held") == 0;

	page_f(page, "<tr%s><td class=\"nw\">%s</td><td>", held ? "" : " class=\"f\"",
	       held ? "\xe2\x9c\x93 held" : "<strong class=\"bad\">\xe2\x9c\x97 failed</strong>");
	page_cut(page, result_text(row, 1), PAGE_TEXT_MAX);
	if (result_text(row, 3)[0]) {
		page_raw(page, "<div class=\"because\">");
		page_cut(page, result_text(row, 3), 4 * PAGE_TEXT_MAX);
		page_raw(page, "</div>");
	}
	page_raw(page, "</td><td class=\"num\">");
	page_clock(page, sqlite3_column_int64(row, 2));
	page_raw(page, "</td><td><code>");
	page_cut(page, result_text(row, 4), PAGE_TEXT_MAX);
	page_raw(page, "</code></td></tr>\n");
}

static void put_verdicts(struct page *page, const char *where, int64_t limit)
{
	char *sql = text_make("SELECT result, claim, at_ns, because, place FROM verdict WHERE result %s 'held'"
	                      " ORDER BY at_ns, place, claim, nth LIMIT %" PRId64, where, limit);
	sqlite3_stmt *rows = result_query(&page->db, sql);

	page_raw(page, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Result</th><th scope=\"col\">Claim</th>"
	               "<th scope=\"col\" class=\"num\">Decided at</th><th scope=\"col\">Place</th></tr></thead><tbody>\n");
	while (rows && result_next(&page->db, rows))
		put_verdict(page, rows);
	page_raw(page, "</tbody></table></div>\n");
	result_end(rows);
	free(sql);
}

void page_verdicts(struct page *page)
{
	int64_t held = result_int(&page->db, "SELECT count(*) FROM verdict WHERE result = 'held'", 0);
	int64_t failed = result_int(&page->db, "SELECT count(*) FROM verdict WHERE result <> 'held'", 0);
	bool folded = held > HELD_OPEN;

	page_section(page, "claims", "Claims");
	if (!held && !failed)
		page_raw(page, "<p class=\"dim\">Nothing was claimed in this run.</p>\n");
	if (failed)
		put_verdicts(page, "<>", PAGE_VERDICTS_MAX);
	page_more(page, failed - PAGE_VERDICTS_MAX, "failed claims are", "SELECT * FROM verdict WHERE result <> 'held'");
	if (held && folded)
		page_f(page, "<details class=\"fold\"><summary>%" PRId64 " claims held</summary>\n", held);
	if (held)
		put_verdicts(page, "=", PAGE_VERDICTS_MAX);
	page_more(page, held - PAGE_VERDICTS_MAX, "claims that held are", "SELECT * FROM verdict");
	page_raw(page, held && folded ? "</details>\n" : "");
	page_section_end(page);
}

/* ---- the attack ---- */

/* A row for each switch that belongs to the attack: its value, what refused, what was claimed. */
static void put_attack_row(struct page *page, const char *attack, const char *name, const char *value, const char *expected)
{
	int64_t failed = result_int(&page->db, "SELECT count(*) FROM verdict WHERE result <> 'held'", 0);
	sqlite3_stmt *rows = result_query(&page->db, "SELECT node, count FROM refusal_count WHERE why = ?1 ORDER BY node");
	bool any = false;

	page_raw(page, "<tr><td>");
	page_cut(page, attack, PAGE_TEXT_MAX);
	page_raw(page, "</td><td><code>");
	page_cut(page, name, PAGE_TEXT_MAX);
	page_raw(page, " = ");
	page_cut(page, value, PAGE_TEXT_MAX);
	page_raw(page, "</code></td><td>");
	page_raw(page, strcmp(expected, "stopped") == 0 ? "been " : "");
	page_cut(page, expected, PAGE_TEXT_MAX);
	page_raw(page, failed ? "</td><td><strong class=\"bad\">\xe2\x9c\x97 not so: a claim failed</strong></td><td>"
	                      : "</td><td>\xe2\x9c\x93 so it was: every claim held</td><td>");
	if (rows)
		result_bind_text(rows, 1, name);
	while (rows && result_next(&page->db, rows)) {
		page_raw(page, any ? ", " : "");
		page_cut(page, result_text(rows, 0), PAGE_TEXT_MAX);
		page_f(page, " \xc3\x97 %lld", (long long)sqlite3_column_int64(rows, 1));
		any = true;
	}
	page_raw(page, any ? "</td></tr>\n" : "nobody</td></tr>\n");
	result_end(rows);
}

void page_attack(struct page *page)
{
	char *attack = page_run_value(page, "attack"), *switches = page_run_value(page, "attack.switches");
	char *expected = page_run_value(page, "attack.expected"), *rest = NULL;

	if (*attack) {
		page_section(page, "attack", "Attack");
		page_raw(page, "<div class=\"scroll\"><table class=\"fit\"><thead><tr><th scope=\"col\">Attack</th><th "
		               "scope=\"col\">Switch</th>"
		               "<th scope=\"col\">Expected to have</th><th scope=\"col\">What came of it</th>"
		               "<th scope=\"col\">Refused by this check</th></tr></thead><tbody>\n");
		for (char *name = strtok_r(switches, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
			char *full = text_make("switch.%s", name), *value = page_run_value(page, full);

			put_attack_row(page, attack, name, value, expected);
			free(full);
			free(value);
		}
		page_raw(page, "</tbody></table></div>\n");
		page_section_end(page);
	}
	free(attack);
	free(switches);
	free(expected);
}

/* ---- refusals ---- */

static void put_refusal(struct page *page, sqlite3_stmt *row)
{
	page_raw(page, "<tr><td class=\"num\">");
	page_clock(page, sqlite3_column_int64(row, 2));
	page_raw(page, "</td><td>");
	page_cut(page, result_text(row, 0), PAGE_TEXT_MAX);
	page_raw(page, "</td><td><code>");
	page_cut(page, result_text(row, 1), PAGE_TEXT_MAX);
	page_raw(page, "</code></td><td>");
	page_cut(page, result_text(row, 3), PAGE_TEXT_MAX);
	page_raw(page, "</td><td>");
	page_cause(page, result_text(row, 5));
	if (result_text(row, 4)[0]) {
		page_raw(page, "<div class=\"because\">");
		page_cut(page, result_text(row, 4), PAGE_TEXT_MAX);
		page_raw(page, "</div>");
	}
	page_raw(page, "</td></tr>\n");
}

static void put_refusal_counts(struct page *page)
{
	sqlite3_stmt *rows = result_query(
		&page->db, "SELECT node, why, count FROM refusal_count ORDER BY count DESC, node, why LIMIT 100");

	page_raw(page, "<div class=\"scroll\"><table class=\"fit\"><thead><tr><th scope=\"col\">Check</th><th "
	               "scope=\"col\">Who refused</th>"
	               "<th scope=\"col\" class=\"num\">Times</th></tr></thead><tbody>\n");
	while (rows && result_next(&page->db, rows)) {
		page_raw(page, "<tr><td><code>");
		page_cut(page, result_text(rows, 1), PAGE_TEXT_MAX);
		page_raw(page, "</code></td><td>");
		page_cut(page, result_text(rows, 0), PAGE_TEXT_MAX);
		page_f(page, "</td><td class=\"num\">%lld</td></tr>\n", (long long)sqlite3_column_int64(rows, 2));
	}
	page_raw(page, "</tbody></table></div>\n");
	result_end(rows);
}

void page_refusals(struct page *page)
{
	int64_t count = result_int(&page->db, "SELECT count(*) FROM refusal", 0);
	char *sql;
	sqlite3_stmt *rows;

	if (!result_int(&page->db, "SELECT EXISTS (SELECT 1 FROM refusal_count)", 0))
		return;
	page_section(page, "refusals", "Refusals");
	put_refusal_counts(page);
	if (count) {
		sql = text_make("SELECT node, why, at_ns, src, detail, message FROM refusal ORDER BY at_ns, node, why, nth "
		                "LIMIT %d",
		                PAGE_REFUSALS_MAX);
		rows = result_query(&page->db, sql);
		page_f(page,
		       "<details class=\"fold\"><summary>Each refusal (%" PRId64
		       ")</summary><div class=\"scroll\"><table><thead><tr>"
		       "<th scope=\"col\" class=\"num\">Time</th><th scope=\"col\">Who refused</th><th "
		       "scope=\"col\">Check</th>"
		       "<th scope=\"col\">Claimed sender</th><th scope=\"col\">Message</th></tr></thead><tbody>\n",
		       count);
		while (rows && result_next(&page->db, rows))
			put_refusal(page, rows);
		page_raw(page, "</tbody></table></div>\n");
		page_more(page, count - PAGE_REFUSALS_MAX, "refusals are", "SELECT * FROM refusal ORDER BY at_ns");
		page_raw(page, "</details>\n");
		result_end(rows);
		free(sql);
	}
	page_section_end(page);
}

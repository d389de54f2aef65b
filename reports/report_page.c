/*
 * The frame of the page, and the escaping that all its text goes through.
 *
 * The policy: nothing is loaded or sent, no form, no base; the one style and the one script are allowed by the SHA-256 of their
 * text. Escaping: text is made clean as for a terminal, then what HTML could take for markup becomes entities, and characters
 * that would turn or hide what stands beside them (Unicode TR 36, TR 39) are shown by number.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "reports/output.h"
#include "reports/report.h"
#include "reports/report_internal.h"
#include "sim/sim.h"

#define PAGE_MODE 0644
#define HASH_LEN 32
#define HASH_TEXT_LEN 48

/* ---- text ---- */

void page_raw(struct page *page, const char *html)
{
	fputs(html, page->out);
}

void page_f(struct page *page, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(page->out, format, args);
	va_end(args);
}

/* Whether a character is invisible, or changes how others are read. */
static bool is_deceiving(uint32_t code)
{
	return code == 0xad || code == 0x61c || code == 0x180e || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb) || (code & 0xfffe) == 0xfffe ||
	       code >= 0xe0000;
}

static uint32_t decode(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t code = len == 1 ? *p : *p & (0x7fu >> len);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (p[i] & 0x3f);
	return code;
}

/* One character of clean text; its length. */
static size_t put_character(struct page *page, const char *s)
{
	size_t len = utf8_len(s);
	uint32_t code = decode(s, len);

	switch (code) {
	case '&':
		page_raw(page, "&amp;");
		break;
	case '<':
		page_raw(page, "&lt;");
		break;
	case '>':
		page_raw(page, "&gt;");
		break;
	case '"':
		page_raw(page, "&quot;");
		break;
	case '\'':
		page_raw(page, "&#39;");
		break;
	default:
		if (is_deceiving(code))
			page_f(page, "\\u{%" PRIx32 "}", code);
		else
			fwrite(s, 1, len, page->out);
	}
	return len;
}

void page_cut(struct page *page, const char *text, size_t max)
{
	char *copy;
	const char *s = text_clean(text, &copy);

	for (size_t n = 0; *s && n < max; n++)
		s += put_character(page, s);
	if (*s)
		page_f(page, "\xe2\x80\xa6 (%zu bytes more)", strlen(s));
	free(copy);
}

void page_text(struct page *page, const char *text)
{
	page_cut(page, text, SIZE_MAX);
}

void page_clock(struct page *page, sim_ns at_ns)
{
	char text[48];

	if (at_ns < 0) {
		page_raw(page, "\xe2\x80\x93");
		return;
	}
	text_clock(at_ns, text, sizeof text);
	page_f(page, "%s s", text);
}

void page_duration(struct page *page, sim_ns ns)
{
	char text[48];

	if (ns < 0) {
		page_raw(page, "\xe2\x80\x93");
		return;
	}
	text_duration(ns, text, sizeof text);
	page_text(page, text);
}

void page_section(struct page *page, const char *id, const char *title)
{
	page_f(page, "<section id=\"%s\" aria-labelledby=\"%s-h\">\n<h2 id=\"%s-h\">%s</h2>\n", id, id, id, title);
}

void page_section_end(struct page *page)
{
	page_raw(page, "</section>\n");
}

void page_more(struct page *page, int64_t more, const char *what, const char *sql)
{
	if (more <= 0)
		return;
	page_f(page, "<p class=\"more\">%" PRId64 " more %s left off this page: <code>sqlite3 RUN.db &quot;", more, what);
	page_text(page, sql);
	page_raw(page, "&quot;</code></p>\n");
}

void page_cause(struct page *page, const char *cause)
{
	uint32_t index;
	bool linked = *cause && names_has(&page->messages, cause);

	if (linked) {
		index = names_id(&page->messages, cause);
		page_f(page, "<a href=\"#m%" PRIu32 "\">", index);
	}
	page_cut(page, cause, PAGE_TEXT_MAX);
	page_raw(page, linked ? "</a>" : "");
}

bool page_is_attacker(const struct page *page, const char *node)
{
	return names_has(&page->attackers, node);
}

sim_ns page_ns(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, column);
}

char *page_run_value(struct page *page, const char *name)
{
	sqlite3_stmt *rows = result_query(&page->db, "SELECT value FROM run WHERE name = ?1");
	char *value;

	if (rows)
		result_bind_text(rows, 1, name);
	value = sim_strdup(rows && result_next(&page->db, rows) ? result_text(rows, 0) : "");
	result_end(rows);
	return value;
}

/* ---- head and foot ---- */

/* The source expression of the policy for a text: 'sha256-BASE64'. */
static void put_hash(struct page *page, const char *text)
{
	unsigned char hash[HASH_LEN], base64[HASH_TEXT_LEN];
	unsigned len = 0;

	if (EVP_Digest(text, strlen(text), hash, &len, EVP_sha256(), NULL) != 1 || len != HASH_LEN)
		report_error(page->db.error, "SHA-256 failed");
	else
		page_f(page, "'sha256-%.*s'", EVP_EncodeBlock(base64, hash, HASH_LEN), (char *)base64);
}

static void put_head(struct page *page, const char *title)
{
	page_raw(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src ");
	put_hash(page, report_style);
	page_raw(page, "; script-src ");
	put_hash(page, report_script);
	page_raw(page, "; base-uri 'none'; form-action 'none'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
	               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	page_cut(page, title, PAGE_TEXT_MAX);
	page_raw(page, " \xc2\xb7 Tollgate</title>\n<style>");
	page_raw(page, report_style);
	page_raw(page, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#claims\">Skip to the claims</a>\n");
}

/* "9 of 9 claims held", or how many failed. */
static void put_sum(struct page *page)
{
	int64_t all = result_int(&page->db, "SELECT count(*) FROM verdict", 0);
	int64_t failed = result_int(&page->db, "SELECT count(*) FROM verdict WHERE result <> 'held'", 0);

	if (failed)
		page_f(page, "<p class=\"sum\"><strong class=\"bad\">\xe2\x9c\x97 %" PRId64 " of %" PRId64 " claims failed</strong></p>\n", failed, all);
	else if (all)
		page_f(page, "<p class=\"sum\"><strong>\xe2\x9c\x93 %s %" PRId64 " claim%s held</strong></p>\n", all == 1 ? "the" : "all", all,
		       all == 1 ? "" : "s");
	else
		page_raw(page, "<p class=\"sum\">Nothing was claimed in this run</p>\n");
}

static void put_fact(struct page *page, const char *label, const char *value)
{
	if (!*value)
		return;
	page_f(page, "<dt>%s</dt><dd>", label);
	page_cut(page, value, PAGE_TEXT_MAX);
	page_raw(page, "</dd>\n");
}

/* The rows of table run that begin so, as "name = value, ...". */
static void put_values(struct page *page, const char *label, const char *prefix, const char *only)
{
	sqlite3_stmt *rows = result_query(&page->db, "SELECT substr(name, length(?1) + 1), value FROM run"
	                                             " WHERE substr(name, 1, length(?1)) = ?1 AND (?2 IS NULL OR value = ?2) ORDER BY name");
	bool any = false;

	if (!rows)
		return;
	result_bind_text(rows, 1, prefix);
	result_bind_text(rows, 2, only);
	while (result_next(&page->db, rows)) {
		if (any)
			page_raw(page, ", ");
		else
			page_f(page, "<dt>%s</dt><dd>", label);
		any = true;
		page_raw(page, "<code>");
		page_cut(page, result_text(rows, 0), PAGE_TEXT_MAX);
		if (!only) {
			page_raw(page, " = ");
			page_cut(page, result_text(rows, 1), PAGE_TEXT_MAX);
		}
		page_raw(page, "</code>");
	}
	page_raw(page, any ? "</dd>\n" : "");
	result_end(rows);
}

static void put_facts(struct page *page)
{
	char *scenario = page_run_value(page, "scenario"), *seed = page_run_value(page, "seed"), *end = page_run_value(page, "end_ns");
	char *level = page_run_value(page, "record"), *topology = page_run_value(page, "topology");

	page_raw(page, "<dl>\n");
	put_fact(page, "Scenario", scenario);
	put_fact(page, "Topology", topology);
	put_fact(page, "Seed", seed);
	if (*end) {
		page_raw(page, "<dt>Virtual time</dt><dd>");
		page_clock(page, strtoll(end, NULL, 10));
		page_raw(page, "</dd>\n");
	}
	put_values(page, "Arguments", "arg.", NULL);
	put_values(page, "Switches that are off", "switch.", "off");
	put_fact(page, "Recorded", level);
	page_raw(page, "</dl>\n<details class=\"fold\"><summary>All switches</summary><dl>\n");
	put_values(page, "Switches", "switch.", NULL);
	page_raw(page, "</dl></details>\n");
	free(scenario);
	free(seed);
	free(end);
	free(level);
	free(topology);
}

/* The contents; a section without rows has no entry. */
static void put_nav(struct page *page)
{
	static const struct {
		const char *id, *title, *sql;
	} entries[] = {
		{ "claims", "Claims", "SELECT 1" },
		{ "attack", "Attack", "SELECT EXISTS (SELECT 1 FROM run WHERE name = 'attack')" },
		{ "refusals", "Refusals", "SELECT EXISTS (SELECT 1 FROM refusal_count)" },
		{ "ladder", "Messages", "SELECT 1" },
		{ "calls", "Calls", "SELECT EXISTS (SELECT 1 FROM call)" },
		{ "machines", "State machines", "SELECT EXISTS (SELECT 1 FROM step)" },
		{ "keys", "Keys", "SELECT EXISTS (SELECT 1 FROM key)" },
		{ "load", "Queues", "SELECT EXISTS (SELECT 1 FROM sample WHERE metric IN ('service.queued', 'kdc.requests'))" },
		{ "accounts", "Accounts", "SELECT EXISTS (SELECT 1 FROM call_record)" },
	};

	page_raw(page, "<nav aria-label=\"Contents\"><ul>\n");
	for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
		if (result_int(&page->db, entries[i].sql, 0))
			page_f(page, "<li><a href=\"#%s\">%s</a></li>\n", entries[i].id, entries[i].title);
	}
	page_raw(page, "</ul></nav>\n");
}

static void put_header(struct page *page)
{
	char *title = page_run_value(page, "title");
	char *scenario = page_run_value(page, "scenario");
	const char *shown = *title ? title : *scenario ? scenario : "A run";

	put_head(page, shown);
	page_raw(page, "<header>\n<h1>");
	page_cut(page, shown, PAGE_TEXT_MAX);
	page_raw(page, "</h1>\n");
	put_sum(page);
	put_facts(page);
	put_nav(page);
	page_raw(page, "</header>\n<main>\n");
	free(title);
	free(scenario);
}

static void put_footer(struct page *page)
{
	page_raw(page, "</main>\n<footer><p>Made by <code>tollgate report</code> from the result database of one run; times are virtual, from the"
	               " start of the run. The page is made of that database alone and asks the network for nothing.</p></footer>\n<script>");
	page_raw(page, report_script);
	page_raw(page, "</script>\n</body>\n</html>\n");
}

static void find_attackers(struct page *page)
{
	sqlite3_stmt *rows = result_query(&page->db, "SELECT name FROM node WHERE model = 'attacker' ORDER BY name");

	while (rows && result_next(&page->db, rows))
		names_id(&page->attackers, result_text(rows, 0));
	result_end(rows);
}

static void page_free(struct page *page)
{
	page_ladder_free(page);
	names_free(&page->attackers);
	names_free(&page->texts);
	names_free(&page->messages);
	free(page->shown);
	free(page->keys);
}

static void put_page(struct page *page)
{
	find_attackers(page);
	put_header(page);
	page_keys_load(page);
	page_ladder_choose(page);
	page_verdicts(page);
	page_attack(page);
	page_refusals(page);
	page_ladder(page);
	page_calls(page);
	page_machines(page);
	page_keys(page);
	page_load(page);
	page_accounts(page);
	put_footer(page);
}

int report_write(const char *path, const char *out_path, FILE *out, char *error)
{
	struct page page = { .out = out };
	struct output output = { 0 };
	char why[REPORT_ERROR_LEN] = "";

	if (!result_open(&page.db, path, error))
		return 2;
	if (!out && !output_open(&output, out_path, PAGE_MODE, why)) {
		report_error(error, "%s: %.200s", out_path, why);
	} else {
		if (!out)
			page.out = output.file;
		put_page(&page);
		if (!out && error[0])
			output_abandon(&output);
		else if (!out && !output_finish(&output, why))
			report_error(error, "%s: %.200s", out_path, why);
	}
	page_free(&page);
	result_close(&page.db);
	return error[0] ? 2 : 0;
}

/*
 * The frame of the page. Its policy: nothing is loaded or sent, no form, no base; the one style and the one script are allowed
 * by the SHA-256 of their text.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "reports/output.h"
#include "reports/report.h"
#include "reports/report_internal.h"
#include "sim/sim.h"

#define PAGE_MODE 0644
#define HASH_LEN 32
#define HASH_TEXT_LEN 48

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

void page_head(struct page *page, const char *title, const char *skip_to, bool wide)
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
	page_f(page, "</style>\n</head>\n<body%s>\n<a class=\"skip\" href=\"#%s\">Skip to the content</a>\n",
	       wide ? " class=\"two\"" : "", skip_to);
}

/* "9 of 9 claims held", or how many failed. */
void page_sum(struct page *page)
{
	int64_t all = result_int(&page->db, "SELECT count(*) FROM verdict", 0);
	int64_t failed = result_int(&page->db, "SELECT count(*) FROM verdict WHERE result <> 'held'", 0);

	if (failed)
		page_f(page,
		       "<p class=\"sum\"><strong class=\"bad\">\xe2\x9c\x97 %" PRId64 " of %" PRId64
		       " claims failed</strong></p>\n",
		       failed, all);
	else if (all)
		page_f(page, "<p class=\"sum\"><strong>\xe2\x9c\x93 %s %" PRId64 " claim%s held</strong></p>\n",
		       all == 1 ? "the" : "all", all, all == 1 ? "" : "s");
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
	sqlite3_stmt *rows = result_query(
		&page->db, "SELECT substr(name, length(?1) + 1), value FROM run"
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

void page_facts(struct page *page)
{
	char *scenario = page_run_value(page, "scenario"), *seed = page_run_value(page, "seed"),
	     *end = page_run_value(page, "end_ns");
	char *level = page_run_value(page, "record"), *topology = page_run_value(page, "topology");

	page_raw(page, "<dl class=\"facts\">\n");
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
	page_raw(page, "</dl>\n<details class=\"fold\"><summary>All switches</summary><dl class=\"facts\">\n");
	put_values(page, "Switches", "switch.", NULL);
	page_raw(page, "</dl></details>\n");
	free(scenario);
	free(seed);
	free(end);
	free(level);
	free(topology);
}

const struct page_part page_parts[] = {
	{ "claims", "Claims", "SELECT 1", page_verdicts },
	{ "attack", "Attack", "SELECT EXISTS (SELECT 1 FROM run WHERE name = 'attack')", page_attack },
	{ "refusals", "Refusals", "SELECT EXISTS (SELECT 1 FROM refusal_count)", page_refusals },
	{ "ladder", "Messages", "SELECT 1", page_ladder },
	{ "calls", "Calls", "SELECT EXISTS (SELECT 1 FROM call)", page_calls },
	{ "machines", "State machines", "SELECT EXISTS (SELECT 1 FROM step)", page_machines },
	{ "keys", "Keys", "SELECT EXISTS (SELECT 1 FROM key)", page_keys },
	{ "load", "Queues", "SELECT EXISTS (SELECT 1 FROM sample WHERE metric IN ('service.queued', 'kdc.requests'))",
	  page_load },
	{ "accounts", "Accounts", "SELECT EXISTS (SELECT 1 FROM call_record)", page_accounts },
};
const size_t page_part_count = sizeof page_parts / sizeof page_parts[0];

static bool part_there(struct page *page, const struct page_part *part)
{
	return result_int(&page->db, part->there, 0) != 0;
}

char *page_title(struct page *page)
{
	char *title = page_run_value(page, "title");

	if (!*title) {
		free(title);
		title = page_run_value(page, "scenario");
	}
	if (!*title) {
		free(title);
		title = sim_strdup("A run");
	}
	return title;
}

static void put_header(struct page *page)
{
	char *title = page_title(page);

	page_head(page, title, "claims", false);
	page_raw(page, "<header>\n<h1>");
	page_cut(page, title, PAGE_TEXT_MAX);
	page_raw(page, "</h1>\n");
	page_sum(page);
	page_facts(page);
	page_raw(page, "<nav aria-label=\"Contents\"><ul>\n");
	for (size_t i = 0; i < page_part_count; i++) {
		if (part_there(page, &page_parts[i]))
			page_f(page, "<li><a href=\"#%s\">%s</a></li>\n", page_parts[i].id, page_parts[i].title);
	}
	page_raw(page, "</ul></nav>\n</header>\n<main>\n");
	free(title);
}

void page_foot(struct page *page)
{
	page_raw(page, "</main>\n<footer><p>Made by <code>tollgate report</code> from result databases; times are virtual, "
	               "from the start of the"
	               " run. The page is made of them alone and asks the network for nothing.</p></footer>\n<script>");
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

void page_prepare(struct page *page)
{
	find_attackers(page);
	page_keys_load(page);
	page_ladder_choose(page);
}

void page_free(struct page *page)
{
	page_ladder_free(page);
	names_free(&page->attackers);
	names_free(&page->texts);
	names_free(&page->messages);
	free(page->shown);
	free(page->keys);
}

bool page_file_open(struct page_file *file, const char *path, FILE *stream, char *error)
{
	char why[REPORT_ERROR_LEN] = "";

	*file = (struct page_file){ .out = stream, .path = path };
	if (!stream && output_open(&file->output, path, PAGE_MODE, why))
		file->out = file->output.file;
	if (!file->out)
		report_error(error, "%s: %.200s", path, why);
	return file->out != NULL;
}

void page_file_close(struct page_file *file, char *error)
{
	char why[REPORT_ERROR_LEN] = "";

	if (error[0])
		output_abandon(&file->output);
	else if (file->output.file && !output_finish(&file->output, why))
		report_error(error, "%s: %.200s", file->path, why);
}

int report_write(const char *path, const char *out_path, FILE *out, char *error)
{
	struct page page = { .tag = "" };
	struct page_file file;

	if (!result_open(&page.db, path, error))
		return 2;
	if (page_file_open(&file, out_path, out, error)) {
		page.out = file.out;
		page_prepare(&page);
		put_header(&page);
		for (size_t i = 0; i < page_part_count; i++)
			page_parts[i].write(&page);
		page_foot(&page);
		page_file_close(&file, error);
	}
	page_free(&page);
	result_close(&page.db);
	return error[0] ? 2 : 0;
}

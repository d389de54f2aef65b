/*
 * Two runs on one page: what each is, what differs between them, then their sections side by side.
 *
 * The difference is what `tollgate diff` says, in its own words (diff.h). It is kept in a temporary file without a name, for it
 * is told before it is known how long it gets; of a long one the page has the first PAGE_DIFF_MAX bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/diff.h"
#include "reports/report.h"
#include "reports/report_internal.h"

#define PAGE_DIFF_MAX 200000 /* bytes */
#define DIFF_LINE_MAX 4096

static void put_side(struct page *page)
{
	char *title = page_title(page);

	page_f(page, "<div class=\"side\"><p class=\"dim\"><span class=\"who\">%s</span>", page->mark);
	page_cut(page, title, PAGE_TEXT_MAX);
	page_raw(page, "</p>\n");
	page_sum(page);
	page_facts(page);
	page_raw(page, "</div>\n");
	free(title);
}

static void put_header(struct page *a, struct page *b)
{
	char *title_a = page_title(a), *title_b = page_title(b);
	bool same = strcmp(title_a, title_b) == 0;

	page_head(a, title_a, "diff", true);
	page_raw(a, "<header>\n<h1>");
	page_cut(a, title_a, PAGE_TEXT_MAX);
	if (!same) {
		page_raw(a, " and ");
		page_cut(a, title_b, PAGE_TEXT_MAX);
	}
	page_raw(a, "</h1>\n<div class=\"pair\">\n");
	put_side(a);
	put_side(b);
	page_raw(a, "</div>\n<nav aria-label=\"Contents\"><ul>\n<li><a href=\"#diff\">Differences</a></li>\n");
	for (size_t i = 0; i < page_part_count; i++) {
		struct page *first = result_int(&a->db, page_parts[i].there, 0) ? a : b;

		if (first == a || result_int(&b->db, page_parts[i].there, 0))
			page_f(a, "<li><a href=\"#%s%s\">%s</a></li>\n", first->tag, page_parts[i].id, page_parts[i].title);
	}
	page_raw(a, "</ul></nav>\n</header>\n<main>\n");
	free(title_a);
	free(title_b);
}

/* A line of the difference: a heading begins at the margin, what came or went has a sign. */
static void put_line(struct page *page, const char *line)
{
	size_t indent = strspn(line, " ");
	const char *element = indent == 0 && *line ? "b" : line[indent] == '+' ? "ins" : line[indent] == '-' ? "del" : NULL;

	if (element)
		page_f(page, "<%s>", element);
	page_text(page, line);
	if (element)
		page_f(page, "</%s>", element);
	page_raw(page, "\n");
}

static void put_text(struct page *page, FILE *text)
{
	char line[DIFF_LINE_MAX];
	long len = 0;

	rewind(text);
	page_raw(page, "<pre class=\"diff mono\">");
	while (len < PAGE_DIFF_MAX && fgets(line, sizeof line, text)) {
		len += (long)strlen(line);
		line[strcspn(line, "\n")] = '\0';
		put_line(page, line);
	}
	page_raw(page, "</pre>\n");
	if (fgetc(text) != EOF)
		page_raw(page, "<p class=\"more\">The rest is left off this page: <code>tollgate diff A.db B.db</code></p>\n");
	page_raw(page, "<p class=\"more\">Folded as there; <code>tollgate diff --all A.db B.db</code> unfolds it.</p>\n");
}

static void put_diff(struct page *page, const char *path_a, const char *path_b)
{
	static const struct diff_options options = { .format = DIFF_TEXT };
	FILE *text = tmpfile();

	page_raw(page, "<section id=\"diff\" aria-labelledby=\"diff-h\">\n<h2 id=\"diff-h\">Differences</h2>\n");
	if (!text)
		report_error(page->db.error, "no temporary file can be made");
	else if (diff_print(path_a, path_b, &options, text, page->db.error) != 2)
		put_text(page, text);
	page_section_end(page);
	if (text)
		fclose(text);
}

static void put_parts(struct page *a, struct page *b)
{
	for (size_t i = 0; i < page_part_count; i++) {
		page_raw(a, "<div class=\"pair\"><div class=\"side\">\n");
		page_parts[i].write(a);
		page_raw(a, "</div><div class=\"side\">\n");
		page_parts[i].write(b);
		page_raw(a, "</div></div>\n");
	}
}

static void put_page(struct page *a, struct page *b, const char *path_a, const char *path_b)
{
	page_prepare(a);
	page_prepare(b);
	put_header(a, b);
	put_diff(a, path_a, path_b);
	put_parts(a, b);
	page_foot(a);
}

int report_write_pair(const char *path_a, const char *path_b, const char *out_path, FILE *out, char *error)
{
	struct page a = { .tag = "a-", .mark = "A" }, b = { .tag = "b-", .mark = "B" };
	char error_b[REPORT_ERROR_LEN] = "";
	struct page_file file;

	if (result_open(&a.db, path_a, error) && result_open(&b.db, path_b, error_b) &&
	    page_file_open(&file, out_path, out, error)) {
		a.out = b.out = file.out;
		put_page(&a, &b, path_a, path_b);
		if (!error[0] && error_b[0])
			report_error(error, "%s", error_b);
		page_file_close(&file, error);
	}
	if (!error[0] && error_b[0])
		report_error(error, "%s", error_b);
	page_free(&a);
	page_free(&b);
	if (a.db.db)
		result_close(&a.db);
	if (b.db.db)
		result_close(&b.db);
	return error[0] ? 2 : 0;
}

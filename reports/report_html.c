/*
 * The escaping that all text of the page goes through, and its small parts.
 *
 * Text is made clean as for a terminal, then what HTML could take for markup becomes entities, and characters that would turn
 * or hide what stands beside them (Unicode TR 36, TR 39) are shown by number.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"
#include "sim/sim.h"

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
	return code == 0xad || code == 0x61c || code == 0x180e || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	       (code >= 0xfff0 && code <= 0xfffb) || (code & 0xfffe) == 0xfffe || code >= 0xe0000;
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
	page_f(page, "<section id=\"%s%s\"%s aria-labelledby=\"%s%s-h\">\n<h2 id=\"%s%s-h\">", page->tag, id,
	       strcmp(id, "ladder") == 0 ? " class=\"ladder\"" : "", page->tag, id, page->tag, id);
	if (page->mark)
		page_f(page, "<b>%s</b>", page->mark);
	page_f(page, "%s</h2>\n", title);
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
		page_f(page, "<a href=\"#%sm%" PRIu32 "\">", page->tag, index);
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

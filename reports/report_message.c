/*
 * On the page: what a message opens to. Its fate and the check, the message it answers and those that answer it, the keys that
 * both ends held, and its fields.
 *
 * Which key sealed a message is not recorded. What is recorded is who ever held a key, and when: the keys named are those of
 * the kind its cover uses that sender and receiver both held, and that were alive when it was sent.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"

#define ANSWERS_MAX 8
#define KEYS_MAX 8

static void put_where(struct page *page, const struct item *m)
{
	page_raw(page, "<dt>Sent</dt><dd>");
	page_clock(page, m->at_ns);
	page_raw(page, " by ");
	page_cut(page, m->from, PAGE_TEXT_MAX);
	if (page_is_attacker(page, m->from))
		page_raw(page, " <span class=\"bad\">(attacker)</span>");
	if (strcmp(m->from, m->src) != 0) {
		page_raw(page, " <span class=\"bad\">in the name of ");
		page_cut(page, m->src, PAGE_TEXT_MAX);
		page_raw(page, "</span>");
	}
	page_raw(page, " to ");
	page_cut(page, m->dst, PAGE_TEXT_MAX);
	page_f(page, ", %" PRId64 " bytes, ", m->size);
	page_cut(page, m->proto, PAGE_TEXT_MAX);
	page_raw(page, ", cover ");
	page_cut(page, m->cover, PAGE_TEXT_MAX);
	page_raw(page, "</dd>");
}

/* What the one who refused it said besides the check. */
static void put_refused_detail(struct page *page, const struct item *m)
{
	sqlite3_stmt *rows = result_query(&page->db, "SELECT node, detail FROM refusal WHERE why = ?1 AND message ="
	                                             " ?2 || '>' || ?3 || ' ' || ?4 || ' #' || ?5 ORDER BY node, nth LIMIT 1");

	if (!rows)
		return;
	result_bind_text(rows, 1, m->why);
	result_bind_text(rows, 2, m->src);
	result_bind_text(rows, 3, m->dst);
	result_bind_text(rows, 4, m->kind);
	sqlite3_bind_int64(rows, 5, m->nth);
	if (result_next(&page->db, rows)) {
		page_raw(page, " at ");
		page_cut(page, result_text(rows, 0), PAGE_TEXT_MAX);
		page_raw(page, result_text(rows, 1)[0] ? ": " : "");
		page_cut(page, result_text(rows, 1), PAGE_TEXT_MAX);
	}
	result_end(rows);
}

static void put_fate(struct page *page, const struct item *m)
{
	bool good = strcmp(m->fate, "accepted") == 0;

	page_f(page, "<dt>Fate</dt><dd%s>", good ? "" : " class=\"bad\"");
	page_cut(page, strcmp(m->fate, "sent") == 0 ? "none until the end of the run" : m->fate, PAGE_TEXT_MAX);
	if (m->why[0]) {
		page_raw(page, " by <code>");
		page_cut(page, m->why, PAGE_TEXT_MAX);
		page_raw(page, "</code>");
	}
	if (strcmp(m->fate, "refused") == 0 && page->details++ < PAGE_REFUSALS_MAX) /* each looks through the table */
		put_refused_detail(page, m);
	if (m->got_ns >= m->at_ns) {
		page_raw(page, " after ");
		page_duration(page, m->got_ns - m->at_ns);
	}
	page_raw(page, "</dd>");
}

static void put_answers(struct page *page, uint32_t index)
{
	uint32_t at = index < page->shown_count ? page->shown[index].first : SHOWN_NONE;
	unsigned count = 0;

	if (at == SHOWN_NONE)
		return;
	page_raw(page, "<dt>Led to</dt><dd>");
	for (; at != SHOWN_NONE && count < ANSWERS_MAX; at = page->shown[at].next, count++) {
		page_f(page, "%s<a href=\"#%sm%" PRIu32 "\">", count ? ", " : "", page->tag, at);
		page_cut(page, page->messages.texts[at], PAGE_TEXT_MAX);
		page_raw(page, "</a>");
	}
	page_raw(page, at == SHOWN_NONE ? "</dd>" : " and more</dd>");
}

/* Whether a sorted list "alice,sc1" has a name. */
static bool holds(const char *holders, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = holders; (at = strstr(at, name)) != NULL; at += len ? len : 1) {
		if ((at == holders || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
	}
	return false;
}

static bool role_fits(const char *role, const char *cover)
{
	if (strcmp(cover, "krb5") == 0)
		return strncmp(role, "krb.session", 11) == 0 || strncmp(role, "krb.reply", 9) == 0 ||
		       strcmp(role, "subkey") == 0;
	if (strcmp(cover, "esp") == 0 || strcmp(cover, "rtp") == 0 || strcmp(cover, "ah") == 0)
		return strncmp(role, cover, strlen(cover)) == 0 && role[strlen(cover)] == '.';
	return false;
}

static void put_keys(struct page *page, const struct item *m)
{
	unsigned count = 0;

	for (size_t i = 0; i < page->key_count && count <= KEYS_MAX; i++) {
		const struct page_key *k = &page->keys[i];
		const char *holders = names_text(&page->texts, k->holders);

		if (k->born_ns > m->at_ns || (k->dead_ns >= 0 && k->dead_ns < m->at_ns) ||
		    !role_fits(names_text(&page->texts, k->role), m->cover) || !holds(holders, m->from) ||
		    !holds(holders, m->dst))
			continue;
		if (count++ == KEYS_MAX) {
			page_raw(page, " and more");
			break;
		}
		page_f(page, "%s<a href=\"#%sk%zu\">", count == 1 ? "<dt>Keys of its cover that both hold</dt><dd>" : ", ",
		       page->tag, i);
		page_cut(page, names_text(&page->texts, k->name), PAGE_TEXT_MAX);
		page_raw(page, "</a>");
	}
	page_raw(page, count ? "</dd>" : "");
}

static void put_field(struct page *page, sqlite3_stmt *row)
{
	int64_t rep = sqlite3_column_int64(row, 1);

	page_raw(page, "<tr><th scope=\"row\">");
	page_cut(page, result_text(row, 0), PAGE_TEXT_MAX);
	if (rep > 1)
		page_f(page, " (%" PRId64 ")", rep);
	page_raw(page, "</th><td class=\"v\">");
	page_cut(page, result_text(row, 2), PAGE_TEXT_MAX);
	page_raw(page, "</td><td class=\"dim\">");
	if (strcmp(result_text(row, 3), "fact") != 0)
		page_cut(page, result_text(row, 3), PAGE_TEXT_MAX);
	page_raw(page, "</td></tr>");
}

static void put_fields(struct page *page, const struct item *m)
{
	sqlite3_stmt *rows = result_query(
		&page->db, "SELECT path, rep, value, class FROM field WHERE src = ?1 AND dst = ?2 AND kind = ?3"
			   " AND nth = ?4 ORDER BY path, rep");
	bool any = false, more = false;

	if (!rows)
		return;
	result_bind_text(rows, 1, m->src);
	result_bind_text(rows, 2, m->dst);
	result_bind_text(rows, 3, m->kind);
	sqlite3_bind_int64(rows, 4, m->nth);
	while (!more && result_next(&page->db, rows)) {
		more = page->fields >= PAGE_FIELDS_MAX;
		if (more)
			break;
		if (!any)
			page_raw(page, "<table><thead><tr><th scope=\"col\">Field</th><th scope=\"col\">Value</th><th "
			               "scope=\"col\"></th></tr></thead>"
			               "<tbody>");
		any = true;
		put_field(page, rows);
		page->fields++;
	}
	result_end(rows);
	page_raw(page, any ? "</tbody></table>" : "");
	if (more)
		page_raw(page, "<p class=\"more\">More fields are left off this page: table field has them.</p>");
}

/* The digest of its bytes, and the link to the message it answers. */
static void put_origin(struct page *page, const struct item *m)
{
	sqlite3_stmt *rows = result_query(
		&page->db, "SELECT cause, sha256 FROM message WHERE src = ?1 AND dst = ?2 AND kind = ?3 AND nth = ?4");

	if (!rows)
		return;
	result_bind_text(rows, 1, m->src);
	result_bind_text(rows, 2, m->dst);
	result_bind_text(rows, 3, m->kind);
	sqlite3_bind_int64(rows, 4, m->nth);
	if (result_next(&page->db, rows)) {
		if (result_text(rows, 0)[0]) {
			page_raw(page, "<dt>Because of</dt><dd>");
			page_cause(page, result_text(rows, 0));
			page_raw(page, "</dd>");
		}
		page_raw(page, "<dt>SHA-256</dt><dd class=\"mono\">");
		page_cut(page, result_text(rows, 1), PAGE_TEXT_MAX);
		page_raw(page, "</dd>");
	}
	result_end(rows);
}

void page_message(struct page *page, const struct item *m, uint32_t index)
{
	page_raw(page, "<div class=\"d\"><dl>");
	put_where(page, m);
	put_fate(page, m);
	put_origin(page, m);
	put_answers(page, index);
	put_keys(page, m);
	page_raw(page, "</dl>");
	put_fields(page, m);
	page_raw(page, "</div>");
}

/*
 * On the page: keys as trees, each below the one it comes from, with birth, death and all who ever held it; one that an
 * attacker held is red and says so.
 *
 * When there are more than PAGE_KEYS_MAX, those an attacker held come first, with their ancestors, then the others by birth.
 * A file may say anything about parents, so a circle is cut where it is met.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report_internal.h"
#include "sim/sim.h"

#define DEPTH_MAX 32

/* ---- reading ---- */

static bool attacker_holds(struct page *page, const char *holders)
{
	char *copy = sim_strdup(holders), *rest = NULL;
	bool any = false;

	for (char *name = strtok_r(copy, ",", &rest); name && !any; name = strtok_r(NULL, ",", &rest))
		any = page_is_attacker(page, name);
	free(copy);
	return any;
}

static void take_key(struct page *page, sqlite3_stmt *row)
{
	struct names *texts = &page->texts;

	page->keys[page->key_count++] = (struct page_key){
		.name = names_id(texts, result_text(row, 0)),
		.role = names_id(texts, result_text(row, 1)),
		.algorithm = names_id(texts, result_text(row, 2)),
		.parent = names_id(texts, result_text(row, 3)),
		.how = names_id(texts, result_text(row, 4)),
		.born_ns = sqlite3_column_int64(row, 5),
		.dead_ns = page_ns(row, 6),
		.holders = names_id(texts, result_text(row, 7)),
		.fingerprint = names_id(texts, result_text(row, 8)),
		.first = SHOWN_NONE,
		.next = SHOWN_NONE,
		.root = true,
		.attacker = attacker_holds(page, result_text(row, 7)),
	};
}

/* Hangs each key below its parent; backwards, so that children are in order. */
static void link_keys(struct page *page)
{
	uint32_t *by_name = sim_alloc((page->texts.count + 1) * sizeof *by_name);

	for (size_t i = 0; i < page->texts.count; i++)
		by_name[i] = SHOWN_NONE;
	for (size_t i = 0; i < page->key_count; i++)
		by_name[page->keys[i].name] = (uint32_t)i;
	for (size_t i = page->key_count; i-- > 0; ) {
		struct page_key *key = &page->keys[i];
		uint32_t parent = by_name[key->parent];

		if (parent == SHOWN_NONE || parent == i)
			continue;
		key->root = false;
		key->next = page->keys[parent].first;
		page->keys[parent].first = (uint32_t)i;
	}
	free(by_name);
}

void page_keys_load(struct page *page)
{
	/* Held by an attacker: in a list with commas around. */
	char *sql = text_make(
		"WITH RECURSIVE seen(name) AS ("
		" SELECT k.name FROM key k JOIN node n ON n.model = 'attacker' AND instr(',' || k.holders || ',', ',' || "
	        "n.name || ',')"
		" UNION SELECT k.parent FROM key k JOIN seen s ON k.name = s.name WHERE k.parent <> '') "
		"SELECT * FROM (SELECT name, role, algorithm, parent, how, born_ns, dead_ns, holders, fingerprint FROM key"
		" ORDER BY name NOT IN (SELECT name FROM seen), born_ns, name LIMIT %d) ORDER BY born_ns, name",
		PAGE_KEYS_MAX);
	sqlite3_stmt *rows = result_query(&page->db, sql);

	page->keys = sim_alloc((PAGE_KEYS_MAX + 1) * sizeof *page->keys);
	while (rows && page->key_count < PAGE_KEYS_MAX && result_next(&page->db, rows))
		take_key(page, rows);
	result_end(rows);
	free(sql);
	link_keys(page);
}

/* ---- writing ---- */

static void put_holders(struct page *page, const char *holders)
{
	char *copy = sim_strdup(holders), *rest = NULL;
	const char *between = "";

	for (char *name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		bool attacker = page_is_attacker(page, name);

		page_raw(page, between);
		page_raw(page, attacker ? "<strong class=\"bad\">" : "");
		page_cut(page, name, PAGE_TEXT_MAX);
		page_raw(page, attacker ? " (attacker)</strong>" : "");
		between = ", ";
	}
	free(copy);
}

static void put_key(struct page *page, const struct page_key *k)
{
	const struct names *texts = &page->texts;

	page_raw(page, k->attacker ? "<strong class=\"bad\">\xe2\x9a\xa0 " : "<strong>");
	page_cut(page, names_text(texts, k->name), PAGE_TEXT_MAX);
	page_raw(page, "</strong> ");
	page_cut(page, names_text(texts, k->algorithm), PAGE_TEXT_MAX);
	page_raw(page, " <span class=\"meta\">");
	page_cut(page, names_text(texts, k->how), PAGE_TEXT_MAX);
	page_raw(page, " \xc2\xb7 ");
	page_clock(page, k->born_ns);
	page_raw(page, " until ");
	if (k->dead_ns >= 0)
		page_clock(page, k->dead_ns);
	else
		page_raw(page, "the end of the run");
	page_raw(page, " \xc2\xb7 held by ");
	put_holders(page, names_text(texts, k->holders));
	page_raw(page, "</span>");
}

static void put_tree(struct page *page, uint32_t index, unsigned depth)
{
	struct page_key *k = &page->keys[index];
	bool inner = k->first != SHOWN_NONE && depth < DEPTH_MAX;

	if (k->printed)
		return;
	k->printed = true;
	page_f(page, "<li id=\"%sk%" PRIu32 "\">%s", page->tag, index,
	       inner ? "<details open><summary>" : "<div class=\"leaf\">");
	put_key(page, k);
	if (inner) {
		page_raw(page, "</summary><ul>\n");
		for (uint32_t child = k->first; child != SHOWN_NONE; child = page->keys[child].next)
			put_tree(page, child, depth + 1);
		page_raw(page, "</ul></details>");
	} else {
		page_raw(page, "</div>");
	}
	page_raw(page, "</li>\n");
}

/* Roots with children, or an attacker's, are what is looked for; the others are folded. */
static void put_roots(struct page *page, bool alone)
{
	for (size_t i = 0; i < page->key_count; i++) {
		const struct page_key *k = &page->keys[i];

		if (k->root && (k->first == SHOWN_NONE && !k->attacker) == alone)
			put_tree(page, (uint32_t)i, 0);
	}
}

void page_keys(struct page *page)
{
	int64_t all = result_int(&page->db, "SELECT count(*) FROM key", 0), held = 0, alone = 0;

	if (!all || page->db.error[0])
		return;
	for (size_t i = 0; i < page->key_count; i++) {
		held += page->keys[i].attacker;
		alone += page->keys[i].root && page->keys[i].first == SHOWN_NONE && !page->keys[i].attacker;
	}
	page_section(page, "keys", "Keys");
	if (page->attackers.count)
		page_f(page, "<p%s>%s%" PRId64 " of these keys were held by an attacker.</p>\n",
		       held ? " class=\"bad\"" : " class=\"dim\"", held ? "\xe2\x9a\xa0 " : "", held);
	page_raw(page, "<ul class=\"tree\">\n");
	put_roots(page, false);
	for (size_t i = 0; i < page->key_count; i++) { /* what hangs in a circle, or too deep */
		if (!page->keys[i].root && !page->keys[i].printed)
			put_tree(page, (uint32_t)i, DEPTH_MAX);
	}
	page_raw(page, "</ul>\n");
	if (alone) {
		page_f(page,
		       "<details class=\"fold\"><summary>Keys that nothing came from (%" PRId64
		       ")</summary><ul class=\"tree\">\n",
		       alone);
		put_roots(page, true);
		page_raw(page, "</ul></details>\n");
	}
	page_more(page, all - (int64_t)page->key_count, "keys are", "SELECT * FROM lineage");
	page_section_end(page);
}

/*
 * What the files of the page know of each other.
 *
 * report_page.c has the frame of a page for one run, report_pair.c that for two side by side, report_html.c all escaping. Each
 * other file writes a section or two: report_verdicts.c (claims, the attack, refusals), report_ladder.c with report_message.c,
 * report_calls.c (set-up, accounts, records), report_machines.c, report_keys.c, report_load.c (queues). A section that has
 * nothing to show writes nothing.
 *
 * Rule: text from the database goes through page_text() or page_cut(); page_f() is for markup, constants and numbers. Ids on
 * the page are made of numbers.
 */
#ifndef TOLLGATE_REPORTS_REPORT_INTERNAL_H
#define TOLLGATE_REPORTS_REPORT_INTERNAL_H

#include "reports/ladder_internal.h"
#include "reports/output.h"

/* How much of each the page has at most; what is more is said. */
#define PAGE_VERDICTS_MAX 400
#define PAGE_REFUSALS_MAX 200
#define PAGE_ROWS_MAX 3000     /* of the ladder */
#define PAGE_MUST_MAX 750      /* of these, messages out of turn: what went wrong, and what led to it; as many other rows */
#define PAGE_SLICE_ROWS 250    /* rows of the ladder that open together */
#define PAGE_FIELDS_MAX 60000
#define PAGE_CALLS_MAX 200     /* rows of the table of calls */
#define PAGE_CALLS_COUNTED 20000 /* in the figures of stages */
#define PAGE_KEYS_MAX 1500
#define PAGE_NODES_MAX 24      /* with machines */
#define PAGE_STEPS_DRAWN 24    /* in one drawing */
#define PAGE_STEPS_MAX 400     /* in one table */
#define PAGE_CHARTS_MAX 12
#define PAGE_RECORDS_MAX 200
#define PAGE_TEXT_MAX 400      /* characters of a value */

struct shown { /* a message on the page */
	uint32_t first, next; /* the first message that answers it, the next one with the same cause; SHOWN_NONE ends */
};
#define SHOWN_NONE UINT32_MAX

struct page_key { /* texts are names in page.texts */
	uint32_t name, role, algorithm, how, holders, parent, fingerprint;
	sim_ns born_ns, dead_ns; /* dead_ns negative: never */
	uint32_t first, next;    /* children; SHOWN_NONE ends */
	bool root, attacker, printed;
};

struct page {
	struct result_db db;
	const char *tag;          /* before every id: "", or "a-" and "b-" where two runs share a page */
	const char *mark;         /* in every heading: NULL, or "A" and "B" */
	FILE *out;
	struct names attackers;
	struct names texts;       /* of keys */
	struct names messages;    /* 'SRC>DST KIND #NTH' of those on the page; the index makes the id */
	struct shown *shown;
	size_t shown_count;
	struct page_ladder *ladder; /* of report_ladder.c */
	struct page_key *keys;
	size_t key_count, key_room;
	int64_t fields, details;  /* written so far */
};

/* ---- report_html.c ---- */

void page_raw(struct page *page, const char *html);
void page_f(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text from anywhere, whole or cut after so many characters; also right within an attribute's quotes. */
void page_text(struct page *page, const char *text);
void page_cut(struct page *page, const char *text, size_t max);
/* "12.345678 s"; a dash for a negative one. */
void page_clock(struct page *page, sim_ns at_ns);
void page_duration(struct page *page, sim_ns ns);
/* ---- report_page.c ---- */

/* The page up to the body, with a skip link to this id; wide: for two runs. */
void page_head(struct page *page, const char *title, const char *skip_to, bool wide);
void page_foot(struct page *page);
/* The title of a run, never empty; caller frees. */
char *page_title(struct page *page);
/* How many claims held; the facts of the run. */
void page_sum(struct page *page);
void page_facts(struct page *page);
/* What must be known of a run before its sections are written; what there is to free. */
void page_prepare(struct page *page);
void page_free(struct page *page);
/* How the page is written: opens out_path unless there is a stream; error: of REPORT_ERROR_LEN bytes. */
struct page_file {
	struct output output;
	FILE *out;
	const char *path;
};
bool page_file_open(struct page_file *file, const char *path, FILE *stream, char *error);
/* Moves it into place, or away when there is an error. */
void page_file_close(struct page_file *file, char *error);

/* The sections in order. */
struct page_part {
	const char *id, *title;
	const char *there; /* a query whose one integer says whether a run has it */
	void (*write)(struct page *page);
};
extern const struct page_part page_parts[];
extern const size_t page_part_count;

/* Begins a section with its heading; the id is also the anchor of the contents. */
void page_section(struct page *page, const char *id, const char *title);
void page_section_end(struct page *page);
/* "<p class=more>N more KINDS are not on this page: <code>COMMAND</code></p>" when more > 0. */
void page_more(struct page *page, int64_t more, const char *what, const char *sql);
/* The text of a cause: a link when that message is on the page. */
void page_cause(struct page *page, const char *cause);
bool page_is_attacker(const struct page *page, const char *node);
/* A column of a row: time or NULL as negative. */
sim_ns page_ns(sqlite3_stmt *row, int column);
/* A value of table run; "" when there is none. Caller frees. */
char *page_run_value(struct page *page, const char *name);

/* ---- the sections ---- */

void page_verdicts(struct page *page);
void page_attack(struct page *page);
void page_refusals(struct page *page);
/* Chooses which rows are on the page, and keeps the messages among them in page->messages and shown, to be linked to. */
void page_ladder_choose(struct page *page);
void page_ladder(struct page *page);
void page_ladder_free(struct page *page);
void page_calls(struct page *page);
void page_accounts(struct page *page);
void page_machines(struct page *page);
/* Reads the keys that are on the page; before the ladder, whose messages link to them. */
void page_keys_load(struct page *page);
void page_keys(struct page *page);
void page_load(struct page *page);

/* ---- report_message.c ---- */

/* What a message opens to. index: of page->messages. */
void page_message(struct page *page, const struct item *message, uint32_t index);

/* ---- generated from report.css and report.js ---- */

extern const char report_style[], report_script[];

#endif

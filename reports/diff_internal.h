/*
 * What the files of the diff know of each other.
 *
 * diff.c opens the two databases and calls the others in turn. diff_align.c finds the longest common subsequence;
 * diff_pairs.c tells which message of A is which of B; diff_messages.c compares those; diff_tables.c the other tables;
 * diff_store.c keeps differences and folds those that follow from others; diff_ranks.c keeps times for their percentiles;
 * diff_text.c, diff_json.c and diff_markdown.c print.
 */
#ifndef TOLLGATE_REPORTS_DIFF_INTERNAL_H
#define TOLLGATE_REPORTS_DIFF_INTERNAL_H

#include <stdint.h>

#include "reports/diff.h"
#include "reports/names.h"
#include "reports/reports.h"
#include "reports/result_db.h"

enum { SIDE_A, SIDE_B, SIDES };

enum section {
	SECTION_VERDICT, SECTION_MESSAGE, SECTION_FIELD /* changed messages */, SECTION_STATE, SECTION_KEY, SECTION_BILL,
	SECTION_REFUSAL, SECTION_ELEMENT, SECTION_TIME, SECTION_RUN, SECTION_NOTE, SECTION_COUNT
};

enum what { CHANGED, MISSING, ADDED, MOVED };

/* ---- diff_ranks.c: exact percentiles of any number of times ---- */

#define RANKS_IN_MEMORY 8192

struct ranks { /* a zeroed struct is empty */
	FILE *file;                 /* what does not fit in memory */
	int64_t *recent;            /* of RANKS_IN_MEMORY */
	size_t recent_count;
	int64_t count;
	bool failed;                /* the file could not be written or read */
};
/* value is not negative. */
void ranks_add(struct ranks *ranks, int64_t value);
/* The smallest value that at least `percent` of 100 of them do not exceed (nearest rank); 0 when there are none. */
int64_t ranks_at(struct ranks *ranks, unsigned percent);
void ranks_free(struct ranks *ranks);

/* ---- timing ---- */

/* What moved: how far a thing of A is from its partner in B, both ways. */
enum moved { MOVED_MESSAGE, MOVED_STEP, MOVED_KEY, MOVED_VERDICT, MOVED_COUNT };
/* What takes time: how long it does on each side. */
enum span { SPAN_DELIVERY, SPAN_RINGING, SPAN_ANSWERED, SPAN_TALK, SPAN_COUNT };

#define SUBJECT_LEN 240

struct timing {
	struct {
		struct ranks by;        /* distances of all pairs, 0 where nothing moved */
		int64_t moved;          /* pairs that did */
		int64_t worst_ns;       /* B - A of the farthest */
		char worst[SUBJECT_LEN];
	} moved[MOVED_COUNT];
	struct {
		struct ranks of[SIDES];
		int64_t changed;        /* pairs whose span differs */
	} span[SPAN_COUNT];
	int64_t fields;             /* of class time that differ */
	int64_t samples, samples_differ; /* rows of either side */
	int64_t end_ns[SIDES];
};

/* ---- diff_store.c ---- */

#define DIFF_VALUE_MAX 1024 /* bytes of a value that is kept; of longer ones the part around the first difference */

struct item { /* a difference; texts "" for none */
	enum section section;
	enum what what;
	int64_t at_ns;          /* negative: at no time */
	const char *group;      /* conversation, machine, ... */
	const char *subject[SIDES]; /* its name on each side; "" where it is not */
	const char *cause[SIDES];
};

struct diff {
	const struct diff_options *options;
	struct result_db side[SIDES];
	struct result_db store;      /* the differences */
	sqlite3_stmt *put_item, *put_detail, *put_lone, *set_at;
	int64_t item_id;             /* the last one */
	int details;                 /* of it */
	int64_t lone_count;          /* messages without a partner */
	struct timing timing;
	bool identical;              /* byte for byte */
	bool fields_compared, messages_compared;
	int64_t first_id;            /* the first divergence; 0: none */
	char *error;
};

bool store_open(struct diff *d);
void store_close(struct diff *d);
/* Adds a difference and returns its number. */
int64_t store_item(struct diff *d, const struct item *item);
/* Gives the last item another time. */
void store_item_at(struct diff *d, int64_t at_ns);
/* Adds to the last item what differs. NULL: not there. */
void store_detail(struct diff *d, const char *path, const char *a, size_t a_len, const char *b, size_t b_len);
void store_detail_text(struct diff *d, const char *path, const char *a, const char *b);
void store_detail_int(struct diff *d, const char *path, sqlite3_stmt *a, sqlite3_stmt *b, int column);
/* Says something about the comparison itself. */
void store_note(struct diff *d, const char *text);
/* A message that has no partner on the other side. */
void store_lone(struct diff *d, int side, const char *src, const char *dst, const char *kind, int64_t nth);
/* Finds what each difference follows from, and the first divergence. */
void store_fold(struct diff *d);
/* How many differences there are; details: how many values differ in them. */
int64_t store_count(struct diff *d, enum section section);
int64_t store_details(struct diff *d, enum section section);
bool store_different(struct diff *d);
/*
 * A query over the items of a section, in the order for printing; with all false without those that follow from others. Columns
 * as in enum item_column.
 */
enum item_column { ITEM_ID, ITEM_WHAT, ITEM_AT, ITEM_GROUP, ITEM_A, ITEM_B, ITEM_ROOT, ITEM_FOLLOWERS, ITEM_SECTION };
sqlite3_stmt *store_items(struct diff *d, enum section section, bool all);
/* The item with this number; what follows from it. */
sqlite3_stmt *store_one(struct diff *d, int64_t id);
sqlite3_stmt *store_followers(struct diff *d, int64_t root);
/* Conversations with lone or moved messages: columns name, missing, added, moved, those that follow from others. */
enum group_column { GROUP_NAME, GROUP_MISSING, GROUP_ADDED, GROUP_MOVED, GROUP_FOLLOWING };
sqlite3_stmt *store_groups(struct diff *d);
sqlite3_stmt *store_group_items(struct diff *d, const char *group, bool all); /* group outlives the query */
/* How many items of a section follow from others. */
int64_t store_following(struct diff *d, enum section section);
/* What differs in an item: columns path, a, b, start (bytes left out before a and b). */
enum detail_column { DETAIL_PATH, DETAIL_A, DETAIL_B, DETAIL_START };
sqlite3_stmt *store_item_details(struct diff *d, int64_t id);

void timing_moved(struct diff *d, enum moved what, int64_t a_ns, int64_t b_ns, const char *subject);
void timing_span(struct diff *d, enum span what, int64_t a_ns, int64_t b_ns);
bool timing_different(const struct diff *d);

/* ---- diff_align.c ---- */

#define ALIGN_EDITS_MAX 1024 /* differences in one sequence up to which the longest common subsequence is found */

/*
 * The longest common subsequence of two sequences of symbols (Myers, "An O(ND) Difference Algorithm and Its Variations",
 * Algorithmica 1986): *_alone[i] becomes 1 for what is not in it, 0 else. False: more than ALIGN_EDITS_MAX edits apart.
 */
bool align(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count, uint8_t *a_alone, uint8_t *b_alone);

/* ---- the comparisons ---- */

void diff_pairs(struct diff *d);    /* first: fills the lone messages */
void diff_messages(struct diff *d);
void diff_tables(struct diff *d);

/* A message's name, "SRC>DST KIND #NTH". Long ones are cut. */
#define MESSAGE_NAME_LEN 1024
void message_name(char out[MESSAGE_NAME_LEN], const char *src, const char *dst, const char *kind, int64_t nth);
struct message_key {
	char text[MESSAGE_NAME_LEN]; /* what the others point into */
	const char *src, *dst, *kind;
	int64_t nth;
};
bool message_parse(struct message_key *key, const char *name);

/* ---- printing ---- */

extern const char *const section_titles[SECTION_COUNT];
extern const char *const moved_titles[MOVED_COUNT];
extern const char *const span_titles[SPAN_COUNT];
extern const char *const what_names[]; /* by enum what */

void diff_text(struct diff *d, FILE *out);
void diff_json(struct diff *d, FILE *out);
void diff_markdown(struct diff *d, FILE *out);

#define SHORT_LEN 512
/*
 * A value for a line: without line feeds and tabs, at most `limit` bytes of it, "(none)" for NULL, "(empty)" for "", times as a
 * duration where path ends in _ns.
 */
void text_short(const char *path, const char *value, int64_t start, size_t limit, char out[SHORT_LEN]);
/* A signed duration: "+1.20 ms". */
void text_shift(int64_t ns, char *out, size_t size);
/* "1.234567 s", "" for no time */
void text_at(int64_t at_ns, char *out, size_t size);
/* The lines of the summary of times, each given to fn: its title and what it says. */
void timing_lines(struct diff *d, void (*fn)(void *ctx, const char *title, const char *text), void *ctx);
/* "1 claim, 3 messages added or missing, timing": what differs. */
char *diff_summary(struct diff *d);

#endif

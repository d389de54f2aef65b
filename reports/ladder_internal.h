/*
 * What the files of the ladder know of each other.
 *
 * ladder_walk.c selects rows and goes over them twice, first to lay the columns out, then to have a pen draw them: that of
 * ladder.c in the terminal, that of report_ladder.c on a page. ladder_call.c finds the messages of a call; ladder_layout.c has
 * the columns and the line being drawn; ladder_text.c the texts on it.
 */
#ifndef TOLLGATE_REPORTS_LADDER_INTERNAL_H
#define TOLLGATE_REPORTS_LADDER_INTERNAL_H

#include "reports/names.h"
#include "reports/reports.h"
#include "reports/result_db.h"

#define LADDER_WIDTH_DEFAULT 100
#define LADDER_WIDTH_MIN 48
#define LADDER_WIDTH_MAX 1000

enum what { WHAT_MESSAGE, WHAT_STEP, WHAT_REFUSAL, WHAT_SAMPLE, WHAT_CALL, WHAT_VERDICT };

struct item { /* a row of the selection; texts live until the next one */
	sim_ns at_ns;
	enum what what;
	const char *from;  /* whoever really sent the message; the node of a step, refusal or sample */
	const char *src, *dst; /* of a message: claimed sender, receiver; of a refusal src */
	const char *kind;  /* of a message; machine, check or metric; text of a call or verdict */
	int64_t nth;
	const char *cover, *fate, *why; /* of a message; a step: before, event, after; a refusal: why is its detail */
	const char *proto;
	int64_t size;      /* bytes of a message, value of a sample, 1 for a refused step */
	sim_ns got_ns;     /* negative: never */
};

/* ---- ladder_text.c ---- */

#define LADDER_TEXT_MAX 512

/* "12.345678", seconds. Returns its length. */
size_t text_clock(sim_ns at_ns, char *out, size_t size);
/* "980 ns", "12.4 us", "3.20 ms", "9.98 s", "2 min 5 s", "3 h 4 min", "2 d 3 h" */
void text_duration(sim_ns ns, char *out, size_t size);
/* "AP-REQ #2": what stands in the arrow. */
void text_label(const struct item *message, char out[LADDER_TEXT_MAX]);
/* "[esp] 412 B 1.20 ms", "[clear] as alice refused: sc.replay_cache": what stands beside it. */
void text_remark(const struct item *message, char out[LADDER_TEXT_MAX]);
/* What stands at the node's line for a step or a refusal. */
void text_note(const struct item *item, char out[LADDER_TEXT_MAX]);

/* ---- ladder_layout.c ---- */

struct column {
	char *name;
	int64_t messages, notes; /* in the selection */
	bool left_out;
	unsigned x;              /* of its lifeline */
};

struct layout {
	unsigned width, clock_width, pitch, right; /* right: where remarks begin */
	bool utf8, color;
	struct names names;     /* of columns; the id is the index */
	struct column *columns; /* in order of first sight */
	size_t count, room;
	size_t clock_len, label_len, remark_len; /* longest of the selection */
	int64_t messages_left_out, notes_left_out, cut; /* counted while drawing */
};

enum paint { PAINT_PLAIN, PAINT_CLEAR, PAINT_KRB5, PAINT_ESP, PAINT_AH, PAINT_RTP, PAINT_BAD, PAINT_DIM };

/* The column of a node, added when it is new. The pointer lives until the next addition. */
struct column *layout_column(struct layout *layout, const char *name);
/* Whether a node has a place on the line. */
struct column *layout_shown(struct layout *layout, const char *name);
/* Gives the columns their places. */
void layout_fit(struct layout *layout);
void layout_free(struct layout *layout);

struct line { /* being drawn */
	struct layout *layout;
	uint32_t cells[LADDER_WIDTH_MAX]; /* code points */
	uint8_t paint[LADDER_WIDTH_MAX];
};

/* Begins a line: the time (negative: none) and, when asked, the lifelines. */
void line_begin(struct line *line, struct layout *layout, sim_ns at_ns, bool lifelines);
/* Writes text from x on, at most up to limit; cuts it visibly. */
void line_text(struct line *line, unsigned x, unsigned limit, const char *text, enum paint paint);
enum arrow_end { ARROW_HEAD, ARROW_REFUSED, ARROW_LOST, ARROW_OPEN };
/* An arrow between two different lifelines. Returns whether the label found place in it. */
bool line_arrow(struct line *line, unsigned from_x, unsigned to_x, const char *label, enum paint cover, enum arrow_end end);
/* A bar without heads, both ends included; the label only where it finds place. */
void line_bar(struct line *line, unsigned from_x, unsigned to_x, const char *label);
/* A mark on a lifeline and a text beside it, to the right if there is room, else to the left. */
void line_note(struct line *line, unsigned x, const char *text, bool bad);
void line_print(const struct line *line, FILE *out);
/* The line of names. */
void line_header(struct layout *layout, FILE *out);
/* How much of a text there is on the screen. */
size_t text_width(const char *text);
const char *layout_dots(const struct layout *layout); /* "..." or its character */

/* ---- ladder_call.c ---- */

struct call_filter {
	char *id, *caller, *callee;
	sim_ns from_ns, until_ns; /* what is looked at */
	bool by_fields;           /* the messages of the call are known by their fields; else by time alone */
	struct names messages, nodes; /* that belong to it */
};

/* Finds the call with this id, or the one whose id begins so. False: result->error. */
bool call_filter_open(struct call_filter *filter, struct result_db *result, const char *id);
bool call_has_message(const struct call_filter *filter, const struct item *message);
bool call_has_node(const struct call_filter *filter, const char *node);
void call_filter_close(struct call_filter *filter);

/* ---- ladder_walk.c ---- */

#define LADDER_MEDIA_LABEL "media"

struct ladder_flow { /* media of a node since the last bar */
	int64_t sent, received;
};

struct ladder_walk;
struct ladder_pen { /* how rows are drawn; each takes the ctx of ladder_walk_draw() */
	/* Whether a row is to be drawn; counts it when it is not. Pauses are told between rows that are. */
	bool (*wants)(void *ctx, const struct item *item);
	void (*gap)(void *ctx, sim_ns pause_ns);
	void (*media)(void *ctx, const struct ladder_walk *walk); /* flows, media_from_ns, media_to_ns */
	void (*message)(void *ctx, const struct item *item);
	void (*note)(void *ctx, const struct item *item);   /* a step or refusal at its node */
	void (*across)(void *ctx, const struct item *item); /* of a call; a claim that failed */
};

struct ladder_walk { /* zeroed but for layout.width, utf8 and color before it is opened */
	struct result_db *result;
	const struct ladder_options *options;
	struct call_filter call;
	bool by_call, has_samples;
	struct layout layout;
	/* while drawing */
	const struct ladder_pen *pen;
	void *ctx;
	sim_ns last_ns;            /* up to when has been told; negative: nothing yet */
	struct ladder_flow *flows; /* by column */
	bool media;                /* flows hold something */
	sim_ns media_from_ns, media_to_ns;
	int64_t folded;            /* messages drawn as part of a bar */
};

/* Checks node and call, measures the selection and lays it out. False: result->error. Close in any case. */
bool ladder_walk_open(struct ladder_walk *walk, struct result_db *result, const struct ladder_options *options);
/* Draws all rows, once. False: result->error. */
bool ladder_walk_draw(struct ladder_walk *walk, const struct ladder_pen *pen, void *ctx);
void ladder_walk_close(struct ladder_walk *walk);
/* "sent/received: alice 498/497, bob 497/498"; caller frees. */
char *ladder_media_text(const struct ladder_walk *walk);

#endif

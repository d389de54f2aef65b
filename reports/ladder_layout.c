/*
 * The columns of the ladder and the line being drawn.
 *
 * A line is an array of code points as wide as the terminal; what is drawn later covers what was there. ASCII always works;
 * box characters and arrows only where the caller says so. Text comes from a file that may be anybody's: what is no plain
 * character of one column becomes '?'.
 *
 * How a selection is made to fit: columns without a message go first, then the distance between columns and the room for
 * remarks shrink, then the columns with the fewest messages go. What went is counted and said at the end.
 */
#include "reports/ladder_internal.h"

#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define PITCH_MIN 8
#define PITCH_MAX 26
#define REMARK_MIN 18
#define REMARK_MAX 44
#define REMARK_GAP 2
#define LABEL_AROUND 7 /* lifeline, head, two spaces, three strokes */

/* ---- columns ---- */

struct column *layout_column(struct layout *layout, const char *name)
{
	uint32_t id = names_id(&layout->names, name);

	if (id == layout->count) {
		if (layout->count == layout->room) {
			layout->room = layout->room ? layout->room * 2 : 16;
			layout->columns = sim_realloc(layout->columns, layout->room * sizeof *layout->columns);
		}
		layout->columns[layout->count++] = (struct column){ .name = layout->names.texts[id] };
	}
	return &layout->columns[id];
}

struct column *layout_shown(struct layout *layout, const char *name)
{
	struct column *column = layout_column(layout, name);

	return column->left_out ? NULL : column;
}

static size_t shown_count(const struct layout *layout)
{
	size_t count = 0;

	for (size_t i = 0; i < layout->count; i++)
		count += !layout->columns[i].left_out;
	return count;
}

static unsigned clamp(size_t value, unsigned low, unsigned high)
{
	return value < low ? low : value > high ? high : (unsigned)value;
}

/* The distance between columns that names and labels would like. */
static unsigned pitch_wanted(const struct layout *layout)
{
	size_t wanted = layout->label_len + LABEL_AROUND;

	for (size_t i = 0; i < layout->count; i++) {
		size_t name = text_width(layout->columns[i].name) + 2;

		if (!layout->columns[i].left_out && name > wanted)
			wanted = name;
	}
	return clamp(wanted, PITCH_MIN, PITCH_MAX);
}

/* The place of the first lifeline: half a name fits between it and the clock. */
static unsigned first_x(const struct layout *layout, unsigned pitch)
{
	return layout->clock_width + 1 + pitch / 2;
}

static bool fits(const struct layout *layout, size_t count, unsigned pitch, unsigned remark)
{
	return first_x(layout, pitch) + (count ? count - 1 : 0) * pitch + 1 + REMARK_GAP + remark <= layout->width;
}

/* Leaves out the column that matters least: fewest messages, then fewest notes, of two alike the later. */
static void leave_one_out(struct layout *layout)
{
	struct column *least = NULL;

	for (size_t i = 0; i < layout->count; i++) {
		struct column *c = &layout->columns[i];

		if (!c->left_out && (!least || c->messages < least->messages ||
		                     (c->messages == least->messages && c->notes <= least->notes)))
			least = c;
	}
	least->left_out = true;
}

static bool leave_silent_out(struct layout *layout)
{
	bool any = false;

	for (size_t i = 0; i < layout->count; i++) {
		if (!layout->columns[i].messages && !layout->columns[i].left_out)
			any = layout->columns[i].left_out = true;
	}
	return any;
}

/* Chooses pitch and room for remarks for the columns still in. False: they do not fit however narrow. */
static bool choose(struct layout *layout, bool shrink)
{
	size_t count = shown_count(layout);
	unsigned pitch = pitch_wanted(layout), remark = clamp(layout->remark_len, REMARK_MIN, REMARK_MAX);

	if (shrink) {
		while (pitch > 12 && !fits(layout, count, pitch, remark))
			pitch--;
		while (remark > REMARK_MIN && !fits(layout, count, pitch, remark))
			remark--;
		while (pitch > PITCH_MIN && !fits(layout, count, pitch, remark))
			pitch--;
	}
	layout->pitch = pitch;
	return fits(layout, count, pitch, remark);
}

static bool anybody_speaks(const struct layout *layout)
{
	for (size_t i = 0; i < layout->count; i++) {
		if (layout->columns[i].messages)
			return true;
	}
	return false;
}

void layout_fit(struct layout *layout)
{
	unsigned x;

	layout->clock_width = clamp(layout->clock_len, 10, 24);
	if (!choose(layout, false)) {
		if (anybody_speaks(layout))
			leave_silent_out(layout);
		while (!choose(layout, true) && shown_count(layout) > 1)
			leave_one_out(layout);
	}
	x = first_x(layout, layout->pitch);
	layout->right = x + 1 + REMARK_GAP;
	for (size_t i = 0; i < layout->count; i++) {
		if (layout->columns[i].left_out)
			continue;
		layout->columns[i].x = x;
		layout->right = x + 1 + REMARK_GAP;
		x += layout->pitch;
	}
}

void layout_free(struct layout *layout)
{
	names_free(&layout->names);
	free(layout->columns);
	*layout = (struct layout){ 0 };
}

/* ---- characters ---- */

/* Whether a character takes one column and does nothing else: no control, nothing that combines, turns direction or is wide. */
static bool is_plain(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} plain[] = {
		{ 0x20, 0x7e }, { 0xa1, 0x2ff }, { 0x370, 0x482 }, { 0x48a, 0x52f }, { 0x2010, 0x2027 }, { 0x2030, 0x205e },
		{ 0x20a0, 0x20c0 }, { 0x2190, 0x22ff }, { 0x2500, 0x25ff },
	};

	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		if (code >= plain[i].first && code <= plain[i].last)
			return code != 0xad; /* the soft hyphen */
	}
	return false;
}

/* The next character of a text as the screen may have it; moves on. */
static uint32_t next_character(const char **text, bool utf8)
{
	const unsigned char *p = (const unsigned char *)*text;
	size_t len = utf8_len(*text);
	uint32_t code;

	if (len <= 1) {
		*text += 1;
		return len == 1 && is_plain(*p) ? *p : '?';
	}
	*text += len;
	code = *p & (0x7fu >> len);
	for (size_t i = 1; i < len; i++)
		code = code << 6 | (p[i] & 0x3f);
	return utf8 && is_plain(code) ? code : '?';
}

size_t text_width(const char *text)
{
	size_t width = 0;

	while (*text) {
		next_character(&text, true);
		width++;
	}
	return width;
}

static void print_character(uint32_t code, FILE *out)
{
	if (code < 0x80) {
		fputc((int)code, out);
	} else if (code < 0x800) {
		fputc((int)(0xc0 | code >> 6), out);
		fputc((int)(0x80 | (code & 0x3f)), out);
	} else {
		fputc((int)(0xe0 | code >> 12), out);
		fputc((int)(0x80 | (code >> 6 & 0x3f)), out);
		fputc((int)(0x80 | (code & 0x3f)), out);
	}
}

static uint32_t glyph(const struct layout *layout, char ascii, uint32_t box)
{
	return layout->utf8 ? box : (uint32_t)ascii;
}

/* Covers differ without color, too. */
static uint32_t stroke(const struct layout *layout, enum paint cover)
{
	switch (cover) {
	case PAINT_ESP:
		return glyph(layout, '=', 0x2550);
	case PAINT_KRB5:
		return '~';
	case PAINT_AH:
		return glyph(layout, '+', 0x2501);
	case PAINT_RTP:
		return ':';
	default:
		return glyph(layout, '-', 0x2500);
	}
}

const char *layout_dots(const struct layout *layout)
{
	return layout->utf8 ? "\xe2\x80\xa6" : "...";
}

/* ---- the line ---- */

static void put(struct line *line, unsigned x, uint32_t code, enum paint paint)
{
	if (x < line->layout->width) {
		line->cells[x] = code;
		line->paint[x] = (uint8_t)paint;
	}
}

void line_begin(struct line *line, struct layout *layout, sim_ns at_ns, bool lifelines)
{
	char clock[32];
	size_t len;

	line->layout = layout;
	for (unsigned x = 0; x < layout->width; x++) {
		line->cells[x] = ' ';
		line->paint[x] = PAINT_PLAIN;
	}
	for (size_t i = 0; lifelines && i < layout->count; i++) {
		if (!layout->columns[i].left_out)
			put(line, layout->columns[i].x, glyph(layout, '|', 0x2502), PAINT_DIM);
	}
	if (at_ns < 0)
		return;
	len = text_clock(at_ns, clock, sizeof clock);
	line_text(line, len < layout->clock_width ? layout->clock_width - (unsigned)len : 0, layout->width, clock, PAINT_PLAIN);
}

void line_text(struct line *line, unsigned x, unsigned limit, const char *text, enum paint paint)
{
	const struct layout *layout = line->layout;

	if (limit > layout->width)
		limit = layout->width;
	if (x >= limit)
		return;
	for (; *text && x < limit; x++)
		put(line, x, next_character(&text, layout->utf8), paint);
	if (*text) {
		put(line, limit - 1, glyph(layout, '~', 0x2026), paint);
		line->layout->cut++;
	}
}

/* Writes a label into the middle of [from_x, to_x]; false when it has no room with two strokes on each side. */
static bool put_label(struct line *line, unsigned from_x, unsigned to_x, const char *label, enum paint paint)
{
	size_t len = text_width(label) + 2, room = to_x - from_x + 1;
	unsigned x;

	if (len + 2 > room)
		return false;
	x = from_x + (unsigned)(room - len) / 2;
	put(line, x, ' ', paint);
	line_text(line, x + 1, to_x, label, paint);
	put(line, x + (unsigned)len - 1, ' ', paint);
	return true;
}

static uint32_t end_glyph(const struct layout *layout, enum arrow_end end, bool rightward)
{
	switch (end) {
	case ARROW_HEAD:
		return rightward ? glyph(layout, '>', 0x25b6) : glyph(layout, '<', 0x25c0);
	case ARROW_OPEN:
		return '?';
	default:
		return glyph(layout, 'x', 0x2717);
	}
}

bool line_arrow(struct line *line, unsigned from_x, unsigned to_x, const char *label, enum paint cover, enum arrow_end end)
{
	bool rightward = to_x > from_x;
	unsigned low = (rightward ? from_x : to_x) + 1, high = (rightward ? to_x : from_x) - 1;
	enum paint paint = end == ARROW_HEAD ? cover : PAINT_BAD;

	if (end == ARROW_LOST && rightward) /* it goes three quarters of the way */
		high -= (high - low) / 4;
	else if (end == ARROW_LOST)
		low += (high - low) / 4;
	for (unsigned x = low; x <= high; x++)
		put(line, x, stroke(line->layout, cover), paint);
	put(line, rightward ? high : low, end_glyph(line->layout, end, rightward), paint);
	return put_label(line, rightward ? low : low + 1, rightward ? high - 1 : high, label, paint);
}

void line_bar(struct line *line, unsigned from_x, unsigned to_x, const char *label)
{
	for (unsigned x = from_x; x <= to_x; x++)
		put(line, x, stroke(line->layout, PAINT_RTP), PAINT_RTP);
	put_label(line, from_x, to_x, label, PAINT_RTP);
}

void line_note(struct line *line, unsigned x, const char *text, bool bad)
{
	const struct layout *layout = line->layout;
	enum paint paint = bad ? PAINT_BAD : PAINT_PLAIN;
	size_t len = text_width(text);
	unsigned first = layout->clock_width + 1;

	put(line, x, bad ? glyph(layout, 'x', 0x2717) : '*', paint);
	if (x + 2 + len <= layout->width || layout->width - x > x - first)
		line_text(line, x + 2, layout->width, text, paint);
	else
		line_text(line, len + 1 < x - first ? x - 1 - (unsigned)len : first, x - 1, text, paint);
}

static const char *const paint_codes[] = {
	[PAINT_PLAIN] = "0", [PAINT_CLEAR] = "0", [PAINT_KRB5] = "33", [PAINT_ESP] = "32", [PAINT_AH] = "34", [PAINT_RTP] = "36",
	[PAINT_BAD] = "1;31", [PAINT_DIM] = "2",
};

void line_print(const struct line *line, FILE *out)
{
	const struct layout *layout = line->layout;
	unsigned end = layout->width;
	uint8_t paint = PAINT_PLAIN;

	while (end > 0 && line->cells[end - 1] == ' ')
		end--;
	for (unsigned x = 0; x < end; x++) {
		if (layout->color && line->paint[x] != paint && line->cells[x] != ' ') {
			paint = line->paint[x];
			fprintf(out, "\033[0;%sm", paint_codes[paint]);
		}
		print_character(line->cells[x], out);
	}
	fputs(paint == PAINT_PLAIN ? "\n" : "\033[0m\n", out);
}

void line_header(struct layout *layout, FILE *out)
{
	struct line line;

	line_begin(&line, layout, -1, false);
	line_text(&line, layout->clock_width > 6 ? layout->clock_width - 6 : 0, layout->width, "time s", PAINT_PLAIN);
	for (size_t i = 0; i < layout->count; i++) {
		const struct column *c = &layout->columns[i];
		size_t len = text_width(c->name);

		if (c->left_out)
			continue;
		if (len > layout->pitch - 1)
			len = layout->pitch - 1;
		line_text(&line, c->x - (unsigned)len / 2, c->x - (unsigned)len / 2 + (unsigned)len, c->name, PAINT_PLAIN);
	}
	line_print(&line, out);
}

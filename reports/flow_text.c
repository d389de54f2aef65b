/*
 * The flow of a run as text; see flow_text.h. For people and for `git diff`, so it is short: repeated lines are
 * folded, media is a sum, and where a list gets long its rest stands there in counts, by kinds of elements instead of
 * their names, so that a change shows there too.
 *
 * Memory is bounded by the limits below; everything else is counted by the database.
 */
#include "reports/flow_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/names.h"
#include "reports/reports.h"
#include "reports/result_db.h"
#include "reports/text.h"
#include "sim/sim.h"

#define ROWS_MAX 4000       /* messages or steps that are looked at for folding */
#define MESSAGE_LINES 120
#define COUNT_LINES 150
#define PATH_LINES 45
#define PATH_STEPS 30       /* of one path, after folding */
#define REFUSAL_LINES 40
#define VERDICT_LINES 25
#define PERIOD_MAX 16       /* lines that are folded when they repeat together */

struct flow {
	struct result_db db;
	FILE *out;
};

static void print_clean(FILE *out, const char *text)
{
	char *copy;

	for (const char *s = text_clean(text, &copy); *s; s++)
		fputc(*s == '\n' || *s == '\t' ? ' ' : *s, out);
	free(copy);
}

/* Rows "count, text, text ..." as lines; the rest as a sum. */
static void print_rows(struct flow *f, const char *title, const char *sql, size_t room, const char *what)
{
	sqlite3_stmt *rows = result_query(&f->db, sql);
	int64_t rest = 0, kinds = 0;
	size_t lines = 0;

	fprintf(f->out, "%s\n", title);
	while (rows && result_next(&f->db, rows)) {
		if (lines++ >= room) {
			rest += sqlite3_column_int64(rows, 0);
			kinds++;
			continue;
		}
		fprintf(f->out, "  %7" PRId64, (int64_t)sqlite3_column_int64(rows, 0));
		for (int i = 1; i < sqlite3_column_count(rows); i++) {
			fputs(*result_text(rows, i) ? "  " : "", f->out);
			print_clean(f->out, result_text(rows, i));
		}
		fputc('\n', f->out);
	}
	if (kinds)
		fprintf(f->out, "  %7" PRId64 "  of %" PRId64 " further %s\n", rest, kinds, what);
	if (!lines)
		fputs("  none\n", f->out);
	result_end(rows);
}

/* ---- folding ---- */

struct fold {
	size_t period, times;
};

/* What repeats from `at` on, so that most is saved; period 1, times 1: nothing. */
static struct fold fold_at(const uint32_t *ids, size_t at, size_t count)
{
	struct fold best = { 1, 1 };

	for (size_t period = 1; period <= PERIOD_MAX && at + 2 * period <= count; period++) {
		size_t times = 1;

		while (at + (times + 1) * period <= count
		       && memcmp(ids + at, ids + at + times * period, period * sizeof *ids) == 0)
			times++;
		if ((times - 1) * period > (best.times - 1) * best.period && (period == 1 || (times - 1) * period >= 3))
			best = (struct fold){ period, times };
	}
	return best;
}

/* Prints lines, folded, until `room` is used. Returns how many of them were told of. */
static size_t print_folded(FILE *out, const struct names *names, const uint32_t *ids, size_t count, size_t room)
{
	size_t at = 0, lines = 0;

	while (at < count) {
		struct fold fold = fold_at(ids, at, count);

		if (lines + fold.period + 1 > room)
			break;
		if (fold.period > 1) {
			fprintf(out, "  %zu times\n", fold.times);
			lines++;
		}
		for (size_t i = 0; i < fold.period; i++, lines++) {
			fputs(fold.period > 1 ? "  | " : "  ", out);
			if (fold.period == 1 && fold.times > 1)
				fprintf(out, "%zu x ", fold.times);
			fprintf(out, "%s\n", names_text(names, ids[at + i]));
		}
		at += fold.period * fold.times;
	}
	return at;
}

/* ---- messages ---- */

#define MESSAGES_SQL \
	"SELECT src, dst, kind, cover, fate, why, cause, iif(actor IN ('', src), '', actor) FROM message WHERE proto <> 'rtp'" \
	" ORDER BY sent_ns, src, dst, kind, nth LIMIT ?"

/*
 * "SRC>DST KIND #NTH" as "after KIND", with who sent it unless that is whom the message goes to; "timer:NAME" as "on
 * NAME".
 */
static char *cause_text(const char *cause, const char *dst)
{
	const char *arrow = strchr(cause, '>'), *kind = arrow ? strchr(arrow, ' ') : NULL, *number = strrchr(cause, '#');

	if (strncmp(cause, "timer:", 6) == 0)
		return text_make("  on %s", cause + 6);
	if (!kind || !number || number < kind + 2)
		return sim_strdup("");
	if ((size_t)(arrow - cause) == strlen(dst) && strncmp(cause, dst, strlen(dst)) == 0)
		return text_make("  after %.*s", (int)(number - kind - 2), kind + 1);
	return text_make("  after %.*s from %.*s", (int)(number - kind - 2), kind + 1, (int)(arrow - cause), cause);
}

static uint32_t message_line(struct names *names, sqlite3_stmt *row)
{
	const char *why = result_text(row, 5), *actor = result_text(row, 7);
	char *cause = cause_text(result_text(row, 6), result_text(row, 1));
	char *ends = text_make("%s > %s", result_text(row, 0), result_text(row, 1));
	char *line = text_make("%-24s %-20s %-5s %s%s%s%s%s%s", ends, result_text(row, 2), result_text(row, 3), result_text(row, 4),
	                       *why ? " by " : "", why, cause, *actor ? "  really sent by " : "", actor);
	uint32_t id;

	for (char *s = line; *s; s++)
		if (*s == '\n' || *s == '\t')
			*s = ' ';
	id = names_id(names, line);
	free(cause);
	free(ends);
	free(line);
	return id;
}

/* Model names instead of nodes; addresses that are nobody's are one kind. */
#define MODEL_OF(node) "coalesce((SELECT iif(model = '', 'node', model) FROM node WHERE name = " node "), 'nobody')"

/*
 * All messages in counts: by elements of both ends, kind, cover and fate; without the ends where that would be too
 * long.
 */
#define COUNTS_SQL(ends) \
	"SELECT sum(n), " ends " AS ends, kind, cover, fate || iif(why = '', '', ' by ' || why) FROM (SELECT src, dst, kind, cover, fate, why," \
	" count(*) AS n FROM message WHERE proto <> 'rtp' GROUP BY src, dst, kind, cover, fate, why) GROUP BY 2, 3, 4, 5 ORDER BY 2, 3, 4, 5"

static void print_counts(struct flow *f)
{
	static const char by_ends[] = COUNTS_SQL(MODEL_OF("src") " || ' > ' || " MODEL_OF("dst"));
	static const char by_kind[] = COUNTS_SQL("''");
	char *count = text_make("SELECT count(*) FROM (%s)", by_ends);
	bool few = result_int(&f->db, count, 0) <= COUNT_LINES;

	free(count);
	print_rows(f, few ? "messages in all, by kinds of elements" : "messages in all", few ? by_ends : by_kind, COUNT_LINES, "kinds");
}

static void print_messages(struct flow *f)
{
	int64_t total = result_int(&f->db, "SELECT count(*) FROM message WHERE proto <> 'rtp'", 0);
	sqlite3_stmt *rows = result_query(&f->db, MESSAGES_SQL);
	uint32_t *ids = sim_alloc(ROWS_MAX * sizeof *ids);
	struct names names = { 0 };
	size_t count = 0, told;

	if (rows)
		sqlite3_bind_int(rows, 1, ROWS_MAX);
	while (rows && count < ROWS_MAX && result_next(&f->db, rows))
		ids[count++] = message_line(&names, rows);
	result_end(rows);
	fputs("messages\n", f->out);
	told = print_folded(f->out, &names, ids, count, MESSAGE_LINES);
	if ((int64_t)told < total) {
		fprintf(f->out, "  and %" PRId64 " more\n", total - (int64_t)told);
		print_counts(f);
	}
	names_free(&names);
	free(ids);
}

static void print_media(struct flow *f)
{
	sqlite3_stmt *rows = result_query(&f->db, "SELECT " MODEL_OF("node") ", metric, count(DISTINCT node), sum(value) FROM sample"
	                                          " WHERE metric IN ('rtp.sent', 'rtp.received') GROUP BY 1, 2 ORDER BY 1, 2 DESC");
	bool any = false;

	while (rows && result_next(&f->db, rows)) {
		fputs(any ? "" : "media packets\n", f->out);
		any = true;
		fputs("  ", f->out);
		print_clean(f->out, result_text(rows, 0));
		fprintf(f->out, " (%" PRId64 ") %s %" PRId64 "\n", (int64_t)sqlite3_column_int64(rows, 2),
		        strcmp(result_text(rows, 1), "rtp.sent") == 0 ? "sent" : "received", (int64_t)sqlite3_column_int64(rows, 3));
	}
	result_end(rows);
}

/* ---- state paths ---- */

/* A path: "Idle -dial-> Dialling ...", repetitions folded, cut where it gets long. */
static char *path_text(const struct names *names, const uint32_t *ids, size_t count, const char *first, int64_t left_out)
{
	char *text = NULL;
	size_t len, at = 0, steps = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return sim_strdup("");
	fputs(first, out);
	while (at < count && steps < PATH_STEPS) {
		struct fold fold = fold_at(ids, at, count);

		if (fold.times > 1)
			fprintf(out, " {");
		for (size_t i = 0; i < fold.period; i++, steps++)
			fprintf(out, " %s", names_text(names, ids[at + i]));
		if (fold.times > 1)
			fprintf(out, " } x %zu", fold.times);
		at += fold.period * fold.times;
	}
	if (at < count || left_out)
		fprintf(out, " and %" PRId64 " more", (int64_t)(count - at) + left_out);
	fclose(out);
	return text;
}

struct path { /* being read */
	char *node, *machine, *first, *last; /* last: the state it is in */
	struct names names;
	uint32_t ids[ROWS_MAX];
	size_t count;
	int64_t left_out;
};

struct paths { /* equal ones together: by model, machine and text; tallied in order of entry */
	struct names keys;
	struct tally tally;
	char **nodes; /* the first with each */
	size_t room;
};

static char *model_of(struct flow *f, const char *node)
{
	sqlite3_stmt *row = result_query(&f->db, "SELECT iif(model = '', 'node', model) FROM node WHERE name = ?");
	char *model = NULL;

	if (row) {
		result_bind_text(row, 1, node);
		if (result_next(&f->db, row))
			model = sim_strdup(result_text(row, 0));
	}
	result_end(row);
	return model ? model : sim_strdup("node");
}

static void path_end(struct flow *f, struct path *path, struct paths *paths)
{
	char *text, *model, *key;
	uint32_t entry;

	if (!path->node)
		return;
	text = path_text(&path->names, path->ids, path->count, path->first, path->left_out);
	model = model_of(f, path->node);
	key = text_make("%s  %s: %s", model, path->machine, text);
	entry = tally_at(&paths->tally, names_id(&paths->keys, key), 0, 0);
	if (entry >= paths->room) {
		paths->room = paths->room ? 2 * paths->room : 64;
		paths->nodes = sim_realloc(paths->nodes, paths->room * sizeof *paths->nodes);
	}
	if (paths->tally.entries[entry].count++ == 0)
		paths->nodes[entry] = sim_strdup(path->node);
	free(key);
	free(model);
	free(text);
	free(path->node);
	free(path->machine);
	free(path->first);
	free(path->last);
	names_free(&path->names);
	path->node = path->machine = path->first = path->last = NULL;
	path->count = 0;
	path->left_out = 0;
}

/* A node may have several machines of a name (one a call): where the state jumps, another one goes on. */
static void path_step(struct path *path, sqlite3_stmt *row)
{
	const char *before = result_text(row, 2), *event = result_text(row, 3), *after = result_text(row, 4);
	bool jumps = path->last && strcmp(path->last, before) != 0;
	char *step;

	if (path->count == ROWS_MAX) {
		path->left_out++;
		return;
	}
	if (sqlite3_column_int(row, 5))
		step = text_make("%s%s%s-%s-| refused", jumps ? "/ " : "", jumps ? before : "", jumps ? " " : "", event);
	else
		step = text_make("%s%s%s-%s-> %s", jumps ? "/ " : "", jumps ? before : "", jumps ? " " : "", event,
		                 strcmp(before, after) == 0 ? "." : after);
	path->ids[path->count++] = names_id(&path->names, step);
	free(step);
	free(path->last);
	path->last = sim_strdup(sqlite3_column_int(row, 5) ? before : after);
}

static void print_paths(struct flow *f)
{
	sqlite3_stmt *rows = result_query(&f->db, "SELECT node, machine, before, event, after, refused FROM step ORDER BY node, machine, nth");
	struct path *path = sim_alloc(sizeof *path);
	struct paths paths = { .room = 0 };
	int64_t rest = 0;

	*path = (struct path){ .node = NULL };
	while (rows && result_next(&f->db, rows)) {
		if (!path->node || strcmp(path->node, result_text(rows, 0)) != 0 || strcmp(path->machine, result_text(rows, 1)) != 0) {
			path_end(f, path, &paths);
			path->node = sim_strdup(result_text(rows, 0));
			path->machine = sim_strdup(result_text(rows, 1));
			path->first = sim_strdup(result_text(rows, 2));
		}
		path_step(path, rows);
	}
	result_end(rows);
	path_end(f, path, &paths);
	fputs("states\n", f->out);
	for (size_t i = 0; i < paths.tally.count; i++) {
		const struct tally_entry *entry = &paths.tally.entries[i];

		if (i < PATH_LINES) {
			fputs("  ", f->out);
			print_clean(f->out, paths.nodes[i]);
			if (entry->count > 1)
				fprintf(f->out, " and %" PRIu32 " more", entry->count - 1);
			fprintf(f->out, ", ");
			print_clean(f->out, names_text(&paths.keys, entry->key[0]));
			fputc('\n', f->out);
		} else {
			rest += entry->count;
		}
		free(paths.nodes[i]);
	}
	if (rest)
		fprintf(f->out, "  and %" PRId64 " machines with %zu other paths\n", rest, paths.tally.count - PATH_LINES);
	free(paths.nodes);
	tally_free(&paths.tally);
	names_free(&paths.keys);
	free(path);
}

/* ---- refusals and verdicts ---- */

static void print_refusals(struct flow *f)
{
	bool many = result_int(&f->db, "SELECT count(*) FROM refusal_count", 0) > REFUSAL_LINES;

	print_rows(f, "refused",
	           many ? "SELECT sum(count), " MODEL_OF("node") ", why FROM refusal_count GROUP BY 2, 3 ORDER BY 2, 3"
	                : "SELECT count, node, why FROM refusal_count ORDER BY node, why",
	           REFUSAL_LINES, "checks");
}

/* Verdicts in the order of their first; failed ones with what was found. */
static void print_verdicts(struct flow *f)
{
	print_rows(f, "claims", "SELECT count(*), result, claim, iif(result = 'held', '', because) FROM verdict GROUP BY 2, 3, 4"
	                        " ORDER BY result = 'held', min(at_ns), claim, 4", VERDICT_LINES, "claims");
}

static void print_head(struct flow *f)
{
	sqlite3_stmt *rows = result_query(&f->db, "SELECT name, value FROM run WHERE name IN ('scenario', 'title', 'seed', 'attack',"
	                                          " 'attack.expected', 'attack.outcome', 'topology') OR name GLOB 'arg.*' ORDER BY name");

	while (rows && result_next(&f->db, rows)) {
		print_clean(f->out, result_text(rows, 0));
		fputs(" = ", f->out);
		print_clean(f->out, result_text(rows, 1));
		fputc('\n', f->out);
	}
	result_end(rows);
}

int flow_print(const char *path, FILE *out, char *error)
{
	struct flow f = { .out = out };

	if (!result_open(&f.db, path, error))
		return 2;
	print_head(&f);
	if (result_int(&f.db, "SELECT count(*) FROM run WHERE name = 'record' AND value = 'summary'", 0))
		fputs("messages\n  were not recorded\n", out);
	else
		print_messages(&f);
	print_media(&f);
	print_paths(&f);
	print_refusals(&f);
	print_verdicts(&f);
	result_close(&f.db);
	return error[0] ? 2 : 0;
}

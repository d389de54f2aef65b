/*
 * Which messages belong to a call.
 *
 * A call is several dialogs, each with its own Call-ID, and exchanges without one (AP-REQ, accounting). Beginning with the
 * Call-ID of the caller's dialog, a message belongs when its Call-ID does, or when the message it answers does; its Call-ID
 * then belongs, too, unless it is that of another call. Further, messages without a Call-ID between two nodes of the call
 * during it. This needs fields; a run recorded without them gives all messages of the call's time instead.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/ladder_internal.h"
#include "reports/output.h"
#include "sim/sim.h"

#define AFTERWARDS_NS (5 * NS_PER_S) /* what a call leaves behind: its record, keys going */
#define NOBODY UINT32_MAX

struct candidate {
	uint32_t key, cause, call_id; /* texts; call_id NOBODY: it has none */
	uint32_t from, to;
	bool belongs;
};

struct search {
	struct names texts;
	struct candidate *list;
	size_t count, room;
	bool *text_belongs; /* by text: a message or Call-ID of the call */
	bool *text_foreign; /* a Call-ID of another call */
};

static char *copy_text(sqlite3_stmt *row, int column)
{
	return sim_strdup(result_text(row, column));
}

static sim_ns first_time(sqlite3_stmt *row)
{
	for (int column = 3; column <= 6; column++) {
		if (sqlite3_column_type(row, column) != SQLITE_NULL)
			return sqlite3_column_int64(row, column);
	}
	return 0;
}

static void take_call(struct call_filter *filter, sqlite3_stmt *row)
{
	bool ended = sqlite3_column_type(row, 6) != SQLITE_NULL;
	sim_ns end_ns = sqlite3_column_int64(row, 6);

	filter->id = copy_text(row, 0);
	filter->caller = copy_text(row, 1);
	filter->callee = copy_text(row, 2);
	filter->from_ns = first_time(row);
	filter->until_ns = ended && end_ns < SIM_NEVER - AFTERWARDS_NS ? end_ns + AFTERWARDS_NS : SIM_NEVER;
}

/* The call row of this id, or the only one whose id begins so. */
static bool find_call(struct call_filter *filter, struct result_db *result, const char *id)
{
	sqlite3_stmt *rows = result_query(result, "SELECT id, caller, callee, dialled_ns, ringing_ns, answered_ns, ended_ns FROM call"
	                                          " WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id <> ?1, id LIMIT 2");
	unsigned found = 0;
	bool exact = false;

	if (rows)
		result_bind_text(rows, 1, id);
	while (rows && !exact && result_next(result, rows)) {
		if (found++ == 0) {
			take_call(filter, rows);
			exact = strcmp(filter->id, id) == 0;
		}
	}
	result_end(rows);
	if (!result->error[0] && found != 1)
		report_error(result->error, "%s: %s call whose id is or begins with \"%.80s\"; table call lists them", result->path,
		             found ? "more than one" : "no", id);
	return !result->error[0];
}

/* ---- the search ---- */

static void load(struct search *s, struct result_db *result, const struct call_filter *filter)
{
	sqlite3_stmt *rows = result_query(result,
		"SELECT src || '>' || dst || ' ' || kind || ' #' || nth, cause,"
		" (SELECT value FROM field f WHERE f.src = m.src AND f.dst = m.dst AND f.kind = m.kind AND f.nth = m.nth"
		"  AND f.path IN ('Call-ID', 'i') LIMIT 1), iif(actor = '', src, actor), dst"
		" FROM message m WHERE sent_ns BETWEEN ?1 AND ?2 ORDER BY sent_ns, 1");

	if (!rows)
		return;
	sqlite3_bind_int64(rows, 1, filter->from_ns);
	sqlite3_bind_int64(rows, 2, filter->until_ns);
	while (result_next(result, rows)) {
		struct candidate *c;

		if (s->count == s->room) {
			s->room = s->room ? s->room * 2 : 256;
			s->list = sim_realloc(s->list, s->room * sizeof *s->list);
		}
		c = &s->list[s->count++];
		*c = (struct candidate){
			.key = names_id(&s->texts, result_text(rows, 0)),
			.cause = names_id(&s->texts, result_text(rows, 1)),
			.call_id = NOBODY,
			.from = names_id(&s->texts, result_text(rows, 3)),
			.to = names_id(&s->texts, result_text(rows, 4)),
		};
		if (sqlite3_column_type(rows, 2) != SQLITE_NULL)
			c->call_id = names_id(&s->texts, result_text(rows, 2));
	}
	result_end(rows);
}

/* Marks the Call-IDs of the table of calls: the one that is looked for, and the others. */
static void mark_calls(struct search *s, struct result_db *result, const struct call_filter *filter)
{
	sqlite3_stmt *rows = result_query(result, "SELECT id FROM call");
	uint32_t own = names_id(&s->texts, filter->id);
	size_t known = s->texts.count; /* other ids matter only when a message has them */

	s->text_belongs = sim_alloc(known * sizeof *s->text_belongs);
	s->text_foreign = sim_alloc(known * sizeof *s->text_foreign);
	while (rows && result_next(result, rows)) {
		uint32_t id = names_id(&s->texts, result_text(rows, 0));

		if (id < known && id != own)
			s->text_foreign[id] = true;
	}
	result_end(rows);
	s->text_belongs[own] = true;
}

/* Goes over the messages until no more are found; the order of time makes that two or three times. */
static void spread(struct search *s)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < s->count; i++) {
			struct candidate *c = &s->list[i];
			bool foreign = c->call_id != NOBODY && s->text_foreign[c->call_id];

			if (c->belongs || foreign)
				continue;
			if (!s->text_belongs[c->cause] && (c->call_id == NOBODY || !s->text_belongs[c->call_id]))
				continue;
			c->belongs = more = true;
			s->text_belongs[c->key] = true;
			if (c->call_id != NOBODY)
				s->text_belongs[c->call_id] = true;
		}
	}
}

static void collect(struct search *s, struct call_filter *filter)
{
	bool *touched = sim_alloc(s->texts.count * sizeof *touched);

	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].belongs)
			touched[s->list[i].from] = touched[s->list[i].to] = true;
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct candidate *c = &s->list[i];

		if (c->belongs || (c->call_id == NOBODY && touched[c->from] && touched[c->to])) {
			names_id(&filter->messages, s->texts.texts[c->key]);
			names_id(&filter->nodes, s->texts.texts[c->from]);
			names_id(&filter->nodes, s->texts.texts[c->to]);
		}
	}
	free(touched);
}

static void search_free(struct search *s)
{
	names_free(&s->texts);
	free(s->list);
	free(s->text_belongs);
	free(s->text_foreign);
}

bool call_filter_open(struct call_filter *filter, struct result_db *result, const char *id)
{
	struct search search = { 0 };

	*filter = (struct call_filter){ 0 };
	if (!find_call(filter, result, id))
		return false;
	filter->by_fields = result_int(result, "SELECT EXISTS (SELECT 1 FROM field)", 0) != 0;
	if (filter->by_fields) {
		load(&search, result, filter);
		names_id(&search.texts, ""); /* a message without a cause has this one, which nothing is */
		mark_calls(&search, result, filter);
		spread(&search);
		collect(&search, filter);
		search_free(&search);
	}
	return !result->error[0];
}

bool call_has_message(const struct call_filter *filter, const struct item *message)
{
	char *key;
	bool has;

	if (message->at_ns < filter->from_ns || message->at_ns > filter->until_ns)
		return false;
	if (!filter->by_fields)
		return true;
	key = text_make("%s>%s %s #%lld", message->src, message->dst, message->kind, (long long)message->nth);
	has = names_has(&filter->messages, key);
	free(key);
	return has;
}

bool call_has_node(const struct call_filter *filter, const char *node)
{
	return !filter->by_fields || names_has(&filter->nodes, node);
}

void call_filter_close(struct call_filter *filter)
{
	names_free(&filter->messages);
	names_free(&filter->nodes);
	free(filter->id);
	free(filter->caller);
	free(filter->callee);
	*filter = (struct call_filter){ 0 };
}

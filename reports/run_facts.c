/* The facts of a run as a whole; see run_facts.h. */
#include "reports/run_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/reports.h"
#include "reports/result_db.h"
#include "reports/text.h"
#include "sim/sim.h"

const char *const attack_end_text[ATTACK_END_COUNT] = {
	[ATTACK_NONE] = "", [ATTACK_STOPPED] = "stopped as expected", [ATTACK_SUCCEEDED] = "succeeded as expected",
	[ATTACK_BROKE_THROUGH] = "SUCCEEDED UNEXPECTEDLY", [ATTACK_STOPPED_OTHERWISE] = "STOPPED UNEXPECTEDLY OR BY ANOTHER CHECK",
	[ATTACK_NOT_TRIED] = "NOT TRIED",
};

/* A text of the file, clean; caller frees. */
static char *clean_copy(const char *text)
{
	char *copy;
	const char *clean = text_clean(text, &copy);

	return copy ? copy : sim_strdup(clean);
}

static char *run_value(struct result_db *db, const char *name)
{
	sqlite3_stmt *row = result_query(db, "SELECT value FROM run WHERE name = ?");
	char *value = NULL;

	if (row) {
		result_bind_text(row, 1, name);
		if (result_next(db, row))
			value = clean_copy(result_text(row, 0));
	}
	result_end(row);
	return value ? value : sim_strdup("");
}

/* All rows of a query with one column, joined. */
static char *joined(struct result_db *db, const char *sql, const char *between)
{
	sqlite3_stmt *rows = result_query(db, sql);
	char *text = sim_strdup("");

	while (rows && result_next(db, rows)) {
		char *clean = clean_copy(result_text(rows, 0)), *longer = text_make("%s%s%s", text, *text ? between : "", clean);

		free(clean);
		free(text);
		text = longer;
	}
	result_end(rows);
	return text;
}

static enum attack_end attack_end_of(struct result_db *db)
{
	char *attack = run_value(db, "attack"), *expected = run_value(db, "attack.expected"), *outcome = run_value(db, "attack.outcome");
	enum attack_end end = ATTACK_NOT_TRIED;

	if (!*attack)
		end = ATTACK_NONE;
	else if (strcmp(outcome, "neither") == 0)
		end = ATTACK_STOPPED_OTHERWISE;
	else if (strcmp(outcome, "stopped") == 0)
		end = strcmp(expected, "stopped") == 0 ? ATTACK_STOPPED : ATTACK_STOPPED_OTHERWISE;
	else if (strcmp(outcome, "succeeded") == 0)
		end = strcmp(expected, "succeeded") == 0 ? ATTACK_SUCCEEDED : ATTACK_BROKE_THROUGH;
	free(attack);
	free(expected);
	free(outcome);
	return end;
}

static void read_claims(struct result_db *db, struct run_facts *facts)
{
	sqlite3_stmt *rows = result_query(db, "SELECT claim, because, place, at_ns FROM verdict WHERE result <> 'held'"
	                                      " ORDER BY at_ns, place, claim, nth");

	facts->claims = sim_alloc(FACTS_CLAIMS_MAX * sizeof *facts->claims);
	while (rows && facts->claim_count < FACTS_CLAIMS_MAX && result_next(db, rows)) {
		facts->claims[facts->claim_count++] = (struct failed_claim){
			.claim = clean_copy(result_text(rows, 0)), .because = clean_copy(result_text(rows, 1)),
			.place = clean_copy(result_text(rows, 2)), .at_ns = sqlite3_column_int64(rows, 3),
		};
	}
	result_end(rows);
}

/* ---- steps ---- */

#define TEXT_OF_(n) #n
#define TEXT_OF(n) TEXT_OF_(n)
#define KEY_OF(m) m ".src || '>' || " m ".dst || ' ' || " m ".kind || ' #' || " m ".nth"
#define ATTACKERS "(SELECT name FROM node WHERE model = 'attacker')"

/* Columns: time, kind, text, place; the last column orders what happens at one time. */
#define STEPS \
	"SELECT sent_ns AS at, 0 AS kind, src || ' > ' || dst || '  ' || m.kind || ' #' || nth || ' [' || cover || '] ' || fate ||" \
	" iif(why = '', '', ' by ' || why) || iif(actor IN ('', src), '', ', really sent by ' || actor) AS text, '' AS place, src AS a," \
	" dst AS b, m.kind AS c, nth AS d FROM message m WHERE proto <> 'rtp' AND (fate = 'refused' OR actor IN " ATTACKERS \
	" OR cause IN (SELECT " KEY_OF("n") " FROM message n WHERE n.actor IN " ATTACKERS " AND n.proto <> 'rtp'))" \
	" UNION ALL SELECT at_ns, 1, node || ' refuses: ' || why || iif(src = '', '', ', from ' || src) ||" \
	" iif(detail = '', '', ': ' || detail), '', node, why, '', nth FROM refusal WHERE message = ''" \
	" UNION ALL SELECT at_ns, 2, 'does not hold: ' || claim || iif(because = '', '', ': ' || because), place, place, claim, '', nth" \
	" FROM verdict WHERE result <> 'held'"

static void read_steps(struct result_db *db, struct run_facts *facts)
{
	sqlite3_stmt *rows = result_query(db, "SELECT at, kind, text, place FROM (SELECT * FROM (" STEPS ") ORDER BY 1 DESC, 2 DESC, 5 DESC,"
	                                      " 6 DESC, 7 DESC, 8 DESC LIMIT " TEXT_OF(FACTS_STEPS_MAX) ") ORDER BY 1, 2, a, b, c, d");

	facts->steps = sim_alloc(FACTS_STEPS_MAX * sizeof *facts->steps);
	while (rows && facts->step_count < FACTS_STEPS_MAX && result_next(db, rows)) {
		facts->steps[facts->step_count++] = (struct run_step){
			.at_ns = sqlite3_column_int64(rows, 0), .kind = (enum step_kind)sqlite3_column_int(rows, 1),
			.text = clean_copy(result_text(rows, 2)), .place = clean_copy(result_text(rows, 3)),
		};
	}
	result_end(rows);
	facts->steps_left_out = result_int(db, "SELECT count(*) FROM (" STEPS ")", 0) - (int64_t)facts->step_count;
}

/* ---- together ---- */

bool run_facts_read(const char *path, bool steps, struct run_facts *facts, char *error)
{
	struct result_db db;

	*facts = (struct run_facts){ 0 };
	if (!result_open(&db, path, error))
		return false;
	facts->title = run_value(&db, "title");
	facts->attack = run_value(&db, "attack");
	facts->attack_place = run_value(&db, "attack.place");
	facts->attack_end = attack_end_of(&db);
	facts->end_ns = result_int(&db, "SELECT CAST(value AS INTEGER) FROM run WHERE name = 'end_ns'", 0);
	facts->held = result_int(&db, "SELECT count(*) FROM verdict WHERE result = 'held'", 0);
	facts->failed = result_int(&db, "SELECT count(*) FROM verdict WHERE result <> 'held'", 0);
	read_claims(&db, facts);
	facts->success = joined(&db, "SELECT value FROM run WHERE name GLOB 'attack.success.*'"
	                             " ORDER BY CAST(substr(name, 16) AS INTEGER)", "\n");
	facts->refused_by = joined(&db, "SELECT why || iif(at = '', '', ' at ' || at) || ' (' || count(*) || ')' FROM"
	                                " (SELECT why, dst AS at FROM message WHERE fate = 'refused' AND actor IN " ATTACKERS
	                                " UNION ALL SELECT why, node FROM refusal WHERE message = '' AND src IN " ATTACKERS ")"
	                                " GROUP BY why, at ORDER BY why, at", ", ");
	if (steps)
		read_steps(&db, facts);
	result_close(&db);
	if (!error[0])
		return true;
	run_facts_free(facts);
	return false;
}

void run_facts_free(struct run_facts *facts)
{
	for (size_t i = 0; i < facts->claim_count; i++) {
		free(facts->claims[i].claim);
		free(facts->claims[i].because);
		free(facts->claims[i].place);
	}
	for (size_t i = 0; i < facts->step_count; i++) {
		free(facts->steps[i].text);
		free(facts->steps[i].place);
	}
	free(facts->claims);
	free(facts->steps);
	free(facts->title);
	free(facts->attack);
	free(facts->attack_place);
	free(facts->success);
	free(facts->refused_by);
	*facts = (struct run_facts){ 0 };
}

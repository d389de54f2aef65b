/*
 * The result database: its tables and views, the staging tables a run is first written to, and how one becomes the other.
 *
 * Rows arrive in the order of events, but a natural key sorts otherwise, and inserting in random order is slow. So the big
 * tables are first appended to staging tables with rowids and copied over, sorted, at the end of the run.
 */
#ifndef TOLLGATE_REPORTS_SCHEMA_H
#define TOLLGATE_REPORTS_SCHEMA_H

/* Tables and views; what `sqlite3 run.db .schema` shows is the documentation of the columns. */
extern const char schema_sql[];
/* The staging tables. A message's rowid is its tag. */
extern const char schema_stage_sql[];
/* Statements that fill the tables from the staging tables and drop these; ended by NULL. */
extern const char *const schema_finish_sql[];

/* The statements that add a row. Parameters are in the order of the columns. */
enum row {
	ROW_RUN, ROW_RUN_PRESET, ROW_NODE, ROW_IFACE, ROW_CALL, ROW_VERDICT, ROW_REFUSAL_COUNT, ROW_KEY, ROW_FLOW, ROW_MESSAGE, ROW_FIELD,
	ROW_STEP, ROW_SAMPLE, ROW_REFUSAL, ROW_RECORD,
	ROW_FATE,  /* changes the fate of a message already written */
	ROW_COVER, /* and its cover */
	ROW_COUNT
};
extern const char *const schema_row_sql[ROW_COUNT];

#endif

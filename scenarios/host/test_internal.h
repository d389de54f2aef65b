/*
 * What the files of `tollgate test` know of each other: test_find.c finds scenarios, test_jobs.c makes runs of them
 * and drives their processes, test_outputs.c and its writers (TAP, JUnit, SARIF, JSON) say what came of it, test.c
 * puts it together.
 */
#ifndef TOLLGATE_SCENARIOS_HOST_TEST_INTERNAL_H
#define TOLLGATE_SCENARIOS_HOST_TEST_INTERNAL_H

#include "reports/output.h"
#include "reports/run_facts.h"
#include "scenarios/host/internal.h"

#define TEST_PATH_LEN 4096
#define TEST_SAID_MAX 65536 /* of what a run said, kept for outputs; the last bytes count */

struct job {
	const char *path;
	char *name;                     /* of the scenario */
	char *title, *attack;           /* of its header; NULL: none */
	char variant[HOST_VARIANT_LEN]; /* "switch.NAME", "" */
	char *value;
	uint64_t seed;
	pid_t pid;
	FILE *output;
	char *unreadable;               /* why its header could not be read: it is not run, and has failed */
	bool done;
	char *database;                 /* where its result goes; NULL: nowhere */
	struct run_facts facts;         /* read from there */
	bool has_facts;
	char *said;                     /* what a run without a result has said; NULL: not kept */
};

struct jobs {
	struct job *list;
	size_t count, room;
	struct host_result *results;    /* shared with the children */
	bool too_many;
};

struct test {
	const struct test_options *o;
	struct jobs jobs;
	struct output junit, sarif, json; /* zeroed: not asked for */
	char temp[64];                  /* folder of results that are not kept; "" before there is one */
	size_t width;                   /* of names in the table */
	size_t done, failed;            /* runs that have ended so far */
	size_t told;                    /* runs whose lines are printed */
	unsigned progress_columns;      /* of the line that shows; 0: none does */
};

/* ---- test_jobs.c ---- */

/* Adds the runs of a scenario. */
void jobs_for(struct jobs *jobs, const struct test_options *o, const char *path);
/* Runs all, and has each told (test_tell) in order. */
enum host_code jobs_run(struct test *test);
void jobs_free(struct jobs *jobs);
/* "scenarios/x.lua switch.y=off", cut to size. */
void job_name(const struct job *job, char *out, size_t size);
/* The command that repeats a run; caller frees. */
char *job_command(const struct test_options *o, const struct job *job);
const char *result_word(enum host_code code); /* "passed", "FAILED", ... */

/* ---- test_results.c: where the results of the runs are ---- */

/* Names a database for each run that needs one. False: it has been said. */
bool results_open(struct test *test);
/* Reads what a run has left; removes it unless it is to be kept. */
void results_read(struct test *test, size_t i);
void results_close(struct test *test);
enum record_level results_level(const struct test_options *o, const struct job *job);

/* ---- test_progress.c: one line on the terminal while runs go on ---- */

void progress_show(struct test *test, size_t started);
void progress_clear(struct test *test);

/* ---- test_outputs.c ---- */

bool outputs_open(struct test *test);
/* A run has ended, and all before it: its lines of the table or of TAP. */
void test_tell(struct test *test, size_t i);
/* What stands below: attacks, the smallest failing seed, the sum. */
void test_summarise(struct test *test);
/* Writes the files. False: it has been said. */
bool outputs_finish(struct test *test);
void outputs_abandon(struct test *test);

void tap_begin(struct test *test);
void tap_run(struct test *test, size_t i);
void junit_write(const struct test *test, FILE *out);
void sarif_write(const struct test *test, FILE *out);
void json_write(const struct test *test, FILE *out);

/* ---- test_attacks.c ---- */

/* The table of attacks; each line begins with `before`. */
void attacks_print(const struct test *test, FILE *out, const char *before);
/* What an attack is, in words; NULL: not known. */
const char *attack_words(const char *attack);
/* The end of a run's attack; ATTACK_NOT_TRIED where there is no result. */
enum attack_end job_attack_end(const struct job *job);

#endif

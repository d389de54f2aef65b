/*
 * The scenario host: runs a Lua scenario over a simulation. This header is what the command line and the tests see.
 *
 * One call of host_run() is one run: it owns its simulation, world, Lua state and reports and leaves nothing behind, so
 * that a process may do several, one after the other. Nothing here is global; the wall clock is never read.
 */
#ifndef TOLLGATE_SCENARIOS_HOST_HOST_H
#define TOLLGATE_SCENARIOS_HOST_HOST_H

#include <signal.h>
#include <stdio.h>
#include "models/model.h"
#include "models/world.h"
#include "reports/reports.h"

#define HOST_MEMORY_LIMIT_BYTES ((size_t)64 * 1024 * 1024)
#define HOST_WAKE_LIMIT 10000000 /* of bodies at one moment of virtual time */
#define HOST_INSTRUCTION_LIMIT UINT64_C(500000000) /* of one resume: between two waits of a body */

/* Exit codes of the program. */
enum host_code { HOST_HELD = 0, HOST_FAILED = 1, HOST_BAD = 2, HOST_DEFECT = 3 };

struct host_setting { /* name=value of the command line; "switch.NAME" sets a switch */
	const char *name, *value;
};

struct host_options {
	const struct model *const *models;   /* NULL-ended, sorted by name */
	const char *script;                  /* path of the file */
	uint64_t seed;
	const struct host_setting *settings; /* the later of two with one name wins */
	size_t setting_count;
	const char *database, *capture, *keylog; /* where to write; NULL: not */
	enum record_level level;
	bool media;                          /* record every media packet */
	const char *cache_dir;               /* of key pairs; NULL: none */
	FILE *out, *err;
	bool claims;                         /* print claims that hold, too */
	size_t memory_limit;                 /* 0: the default */
	uint64_t instruction_limit;          /* 0: the default */
	unsigned wake_limit;                 /* of bodies at one moment; 0: the default */
	const volatile sig_atomic_t *interrupt; /* not 0: the run is abandoned; may be NULL */
	/* Told of every cryptographic operation, for those who count them; may be NULL. */
	void (*meter)(void *ctx, enum crypto_op op, uint32_t size);
	void *meter_ctx;
	/* Runs the branch `succeeded` of every outcome { } whatever the switches are, and reports there (attack.c); NULL: not. */
	struct attack_probe *probe;
};

struct host_result {
	enum host_code code;
	sim_ns end_ns;      /* virtual time at the end */
	unsigned held, failed;
};

/* One run. What is wrong has been said on options->err. Returns result->code. */
enum host_code host_run(const struct host_options *options, struct host_result *result);

#define HEADER_TAGS_MAX 16
#define HEADER_SWITCHES_MAX 16

struct header_arg {
	char *name, *preset; /* the default as text */
};

/* What scenario { ... } says; strings are owned. */
struct header {
	bool found;
	char *doc;      /* the leading --- lines */
	char *title, *attack;
	char *tags[HEADER_TAGS_MAX];
	size_t tag_count;
	char *turns_off[HEADER_SWITCHES_MAX]; /* completed from the table of switches when the scenario names none */
	size_t turns_off_count;
	struct header_arg *args;
	size_t arg_count;
	struct header_arg *variants; /* a switch and its value for each run of `test` beside the default one */
	size_t variant_count;
	int64_t epoch_s;
	sim_ns limit_ns, settle_ns;
	bool media, messages;
};

/*
 * Reads the header of a scenario without running it. HOST_HELD: done (found says whether it is a scenario at all); HOST_BAD:
 * the reason is on err. Freed by header_free() in any case.
 */
enum host_code header_read(const char *path, const struct model *const *models, struct header *header, FILE *err);
void header_free(struct header *header);

/* How a path is called in messages and in the database: from "scenarios/" on, never absolute. Caller frees. */
char *host_script_name(const char *path);

#define HOST_VARIANT_LEN 96
/* The settings that `test` runs a scenario with: the n-th variant, 0 being the defaults. False: there is no such variant. */
bool header_variant(const struct header *header, size_t nth, char name[HOST_VARIANT_LEN], const char **value);

struct test_options {
	const char *const *paths; /* files or directories */
	size_t path_count;
	const char *word, *tag;   /* NULL: all */
	uint64_t seed_first, seed_last;
	const struct model *const *models;
	const char *cache_dir;
	FILE *out, *err;
	unsigned jobs;            /* child processes at a time; 0: one a core */
	unsigned cpu_limit_s;     /* processor time of a run; 0: the default */
	const char *keep;         /* folder for the result databases, at level flow; NULL: none is kept */
	const char *junit, *sarif, *json; /* files to write; NULL: not */
	bool tap;                 /* the Test Anything Protocol on out, in the place of the table */
	const char *version;      /* of the program; may be NULL */
	bool progress;            /* a line on err, which is a terminal */
	unsigned progress_width;  /* its columns; 0: not known */
	const volatile sig_atomic_t *interrupt;
};
#define TEST_CPU_LIMIT_S 3600
#define TEST_RUNS_MAX 1000000
/*
 * Runs every scenario found, each in a child process, and prints a table in the order of paths, under each failed run what it
 * said and the command that repeats it, then a table of the attacks that were run, of a range of seeds the smallest that failed,
 * and a last line "N passed, N failed".
 */
enum host_code host_test(const struct test_options *options);

struct campaign_setting { /* name=v1,v2 of the command line */
	const char *name;
	const char **values;
	size_t value_count; /* at least 1 */
};
struct campaign_options {
	struct host_options host; /* of each run; its seed, settings and outputs are the campaign's matter */
	const struct campaign_setting *settings;
	size_t setting_count;
	uint64_t seed_first, seed_last;
	const char *path;     /* the campaign's database, reports/campaign.h; NULL: none is kept */
	unsigned jobs;        /* child processes at a time; 0: one a core */
	FILE *progress;       /* a terminal that is told how far it is; NULL: none */
};
#define CAMPAIGN_RUNS_MAX UINT64_C(10000000)
/*
 * Does every run that the campaign at `path` lacks: each seed with each value of each setting. A run whose claims fail is kept,
 * shown (the first few) and counted; a bad scenario or a defect ends the campaign, which keeps what it has.
 */
enum host_code host_campaign(const struct campaign_options *options);

struct scenario_list { /* sorted */
	char **paths;
	size_t count;
};
/* Files *.lua below a directory (or the file itself), without those in folders "topologies" and "shared". False: cannot be read. */
bool scenario_find(const char *path, struct scenario_list *list, FILE *err);
void scenario_list_free(struct scenario_list *list);

/* "2s", "1500ms" as in a scenario; false: it is no time. */
bool host_time_parse(const char *text, sim_ns *out);

/* The folder of the scenarios: $TOLLGATE_SCENARIOS, else ./scenarios. The program sets the variable where it is installed. */
const char *host_scenarios_dir(void);

/* `tollgate list`, `tollgate doc`. what NULL: everything. */
enum host_code doc_list(const struct model *const *models, const char *what, FILE *out, FILE *err);
enum host_code doc_print(const struct model *const *models, const char *name, FILE *out, FILE *err);
/* Lua annotations (---@meta) for editors. */
void doc_annotations(const struct model *const *models, FILE *out);

#endif

/*
 * What the verbs of the command `tollgate` share. A verb is a file that defines command_NAME(), with its help text, and a row in
 * tollgate.c.
 */
#ifndef SCENARIOS_CMD_CMD_H
#define SCENARIOS_CMD_CMD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TOLLGATE_VERSION "0.4.0"
#define CMD_PATH_LEN 4096

/* Set by SIGINT and SIGTERM: a run ends at its next event. */
extern volatile sig_atomic_t cmd_interrupted;

/* Each takes its own name as argv[0] and returns the program's exit code. */
int command_run(int argc, char **argv);
int command_test(int argc, char **argv);
int command_ladder(int argc, char **argv);
int command_verdicts(int argc, char **argv);
int command_flow(int argc, char **argv);
int command_report(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_list(int argc, char **argv);
int command_doc(int argc, char **argv);

/* Says on the error output what is wrong with the arguments of `verb` ("" for the program), with `found` (NULL: nothing) quoted.
 * Returns the exit code for bad arguments. */
int cmd_usage_error(const char *verb, const char *what, const char *found);

/* Whether the first argument asks for help. */
bool cmd_wants_help(int argc, char **argv);

/* A decimal number that ends at `end`. False when it is none or too large. */
bool cmd_number(const char *text, const char *end, uint64_t *out);

/* "N" or "A..B" with A <= B. */
bool cmd_seeds(const char *text, uint64_t *first, uint64_t *last);

/* Where key pairs are cached, from the environment; NULL: nowhere. The text lies in `path` or in the environment. */
const char *cmd_cache_dir(char path[CMD_PATH_LEN]);

/* The width of the terminal or of COLUMNS, 0 when there is neither; whether colours are wanted (NO_COLOR, a terminal); whether
 * the locale writes UTF-8. */
unsigned cmd_terminal_width(void);
bool cmd_colored(void);
bool cmd_locale_is_utf8(void);

/* What a run writes into files is wanted also when nobody reads its output any more. */
void cmd_outlive_the_reader(void);

#endif

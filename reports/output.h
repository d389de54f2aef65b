/*
 * How a report gets onto the disk: written under a hidden temporary name beside its target, moved over it in one step.
 *
 * Invariant: at any moment, also when the process is killed, the target is the old file, the whole new one, or absent as it
 * was. A temporary name is ".NAME.PID.SUFFIX"; the process number is in that name only and never in a result.
 */
#ifndef TOLLGATE_REPORTS_OUTPUT_H
#define TOLLGATE_REPORTS_OUTPUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* Writes into an error buffer of REPORT_ERROR_LEN bytes, cutting what does not fit. */
void report_error(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The temporary name of a target; caller frees. suffix has no dot. */
char *output_temp_name(const char *path, const char *suffix);
/* Removes temporary files of this target that no living process owns, and those under this process's own number. */
void output_remove_stale(const char *path);
/*
 * Makes a hidden folder ".NAME.PID.runs" beside a target for files on the way to it, after removing those that no living process
 * owns. Caller frees the name and calls output_remove_folder(). NULL: error.
 */
char *output_temp_folder(const char *path, char *error);
/* Removes a folder and the files in it. */
void output_remove_folder(const char *folder);
/* Puts what was written to temp on the disk, renames it over path and makes that last. On failure temp is removed. */
bool output_commit(const char *temp, const char *path, char *error);

/* A file being written, by stdio; a failed write is noticed at the end. */
struct output {
	char *path, *temp;
	FILE *file;
};
/* mode: permission bits of a new file. False: error, and nothing is left to free. */
bool output_open(struct output *output, const char *path, unsigned mode, char *error);
/* Closes and commits. False: error, temp removed. Frees in any case. */
bool output_finish(struct output *output, char *error);
/* Closes and removes. Harmless on a zeroed or finished output. */
void output_abandon(struct output *output);

#endif

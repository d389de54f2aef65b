/*
 * The flow of a run as text that two runs can be compared by: what was sent and what became of it, in order, without
 * times, random values and numbers of lines, so that a line changes only when the run does.
 */
#ifndef TOLLGATE_REPORTS_FLOW_TEXT_H
#define TOLLGATE_REPORTS_FLOW_TEXT_H

#include <stdio.h>

/* Prints the flow of a result database. 0, or 2 with error (REPORT_ERROR_LEN bytes). */
int flow_print(const char *path, FILE *out, char *error);

#endif

/*
 * Text that came from anywhere, written into a structured file. It is made clean first (text.h), so that what a
 * reader gets is what the terminal shows: bytes that are no text stand there as \xHH.
 */
#ifndef TOLLGATE_REPORTS_MARKUP_H
#define TOLLGATE_REPORTS_MARKUP_H

#include <stdio.h>

/* A JSON string with its quotes (RFC 8259). */
void put_json(FILE *out, const char *text);
/* Character data of XML 1.0, also inside quotes of either kind. */
void put_xml(FILE *out, const char *text);
/* A relative reference of RFC 3986 for a path. */
void put_uri(FILE *out, const char *path);

#endif

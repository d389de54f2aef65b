/* Text that came from anywhere, made fit for a database or a terminal. */
#ifndef TOLLGATE_REPORTS_TEXT_H
#define TOLLGATE_REPORTS_TEXT_H

#include <stddef.h>

/*
 * Text as a database or terminal can take it: valid UTF-8 without control characters other than line feed and tab; any other
 * byte becomes \xHH. Returns text itself when it is clean, else *copy, which the caller frees (NULL when unused).
 */
const char *text_clean(const char *text, char **copy);
/* As printf writes; caller frees. */
char *text_make(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How many bytes at s are one valid UTF-8 character (RFC 3629); 0: none. s is NUL-terminated. */
size_t utf8_len(const char *s);

#endif

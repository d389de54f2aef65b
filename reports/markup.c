/* Escaping for JSON, XML and URIs; see markup.h. */
#include "reports/markup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reports/text.h"

void put_json(FILE *out, const char *text)
{
	char *copy;

	fputc('"', out);
	for (const char *s = text_clean(text, &copy); *s; s++) {
		switch (*s) {
		case '"': case '\\':
			fputc('\\', out);
			fputc(*s, out);
			break;
		case '\n':
			fputs("\\n", out);
			break;
		case '\t':
			fputs("\\t", out);
			break;
		default:
			fputc(*s, out);
		}
	}
	fputc('"', out);
	free(copy);
}

/* U+FFFE and U+FFFF are characters of UTF-8, but none of XML (XML 1.0, 2.2). */
static bool is_no_character(const char *s)
{
	return memcmp(s, "\xef\xbf", 2) == 0 && ((unsigned char)s[2] == 0xbe || (unsigned char)s[2] == 0xbf);
}

void put_xml(FILE *out, const char *text)
{
	static const struct { char c; const char *as; } table[] = {
		{ '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&#39;" }, { '\n', "&#10;" }, { '\t', "&#9;" },
	};
	char *copy;

	for (const char *s = text_clean(text, &copy); *s; s++) {
		size_t i = 0;

		if (*s == '\xef' && is_no_character(s)) {
			fprintf(out, "\\xef\\xbf\\x%02x", (unsigned char)s[2]);
			s += 2;
			continue;
		}
		while (i < sizeof table / sizeof *table && table[i].c != *s)
			i++;
		if (i < sizeof table / sizeof *table)
			fputs(table[i].as, out);
		else
			fputc(*s, out);
	}
	free(copy);
}

void put_uri(FILE *out, const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";

	for (; *path; path++) {
		if (strchr(plain, *path))
			fputc(*path, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*path);
	}
}

/*
 * What the host says when a scenario is wrong: the place, what was found, what is known, how to write it.
 *
 * Texts are stable and free of addresses, since tests hold them to the letter.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"

static void text_vadd(struct text *text, const char *format, va_list ap)
{
	size_t room = sizeof text->s - text->len;
	int n = vsnprintf(text->s + text->len, room, format, ap);

	if (n < 0)
		return;
	if ((size_t)n < room) {
		text->len += (size_t)n;
		return;
	}
	text->len = sizeof text->s - 1;
	memcpy(text->s + text->len - 3, "...", 3);
}

void text_add(struct text *text, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	text_vadd(text, format, ap);
	va_end(ap);
}

/* The innermost line of Lua; with a source, the innermost line of that file. */
static bool find_line(lua_State *L, const char *source, char *out, size_t room)
{
	lua_Debug ar;

	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline <= 0 || ar.source[0] != '@')
			continue;
		if (source && strcmp(ar.source + 1, source) != 0)
			continue;
		snprintf(out, room, "%s:%d", ar.source + 1, ar.currentline);
		return true;
	}
	return false;
}

void place_of(lua_State *L, char *out, size_t room)
{
	if (!find_line(L, NULL, out, room))
		snprintf(out, room, "%s", host_of(L)->script_name);
}

int fail_at(lua_State *L, const char *place, const char *text)
{
	lua_pushfstring(L, "%s: %s", place, text);
	lua_error(L);
	abort();
}

int fail_here(lua_State *L, const char *format, ...)
{
	struct text text = { .len = 0 };
	char place[PLACE_LEN];
	va_list ap;

	va_start(ap, format);
	text_vadd(&text, format, ap);
	va_end(ap);
	place_of(L, place, sizeof place);
	fail_at(L, place, text.s);
}

int fail_scenario(lua_State *L, const char *format, ...)
{
	struct text text = { .len = 0 };
	char place[PLACE_LEN];
	va_list ap;

	va_start(ap, format);
	text_vadd(&text, format, ap);
	va_end(ap);
	if (!find_line(L, host_of(L)->script_name, place, sizeof place))
		place_of(L, place, sizeof place);
	fail_at(L, place, text.s);
}

void names_add(struct names *names, const char *name)
{
	if (names->count < NAMES_MAX)
		names->list[names->count++] = name;
}

#define DISTANCE_LEN_MAX 48

/* Edit distance with transpositions (optimal string alignment); long names count as far away. */
static unsigned edit_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned rows[3][DISTANCE_LEN_MAX + 1];

	if (la > DISTANCE_LEN_MAX || lb > DISTANCE_LEN_MAX)
		return DISTANCE_LEN_MAX;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[la % 3][lb];
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds `"foo"; did you mean "for"?`, or `"foo".` when nothing is near. Sorts the names. */
bool text_guess(struct text *text, const char *found, struct names *known)
{
	unsigned near = ((unsigned)strlen(found) + 2) / 3, best = near + 1;
	const char *guess = NULL;

	qsort(known->list, known->count, sizeof *known->list, compare_names);
	for (size_t i = 0; i < known->count; i++) {
		unsigned d = edit_distance(found, known->list[i]);

		if (d < best) {
			best = d;
			guess = known->list[i];
		}
	}
	if (guess && best > 0)
		text_add(text, "\"%s\"; did you mean \"%s\"?", found, guess);
	else
		text_add(text, "\"%s\".", found);
	return guess != NULL;
}

void text_unknown(struct text *text, const char *found, struct names *known)
{
	text_guess(text, found, known);
	if (known->count == 0)
		return;
	text_add(text, " Known:");
	for (size_t i = 0; i < known->count; i++)
		if (i == 0 || strcmp(known->list[i], known->list[i - 1]) != 0)
			text_add(text, "%s %s", i ? "," : "", known->list[i]);
}

void text_found(struct text *text, lua_State *L, int index)
{
	size_t len;
	const char *s;

	switch (lua_type(L, index)) {
	case LUA_TNUMBER:
		lua_pushvalue(L, index);
		text_add(text, "number %s", lua_tostring(L, -1));
		lua_pop(L, 1);
		break;
	case LUA_TSTRING:
		s = lua_tolstring(L, index, &len);
		text_add(text, "text \"%.*s\"%s", (int)(len > 60 ? 60 : len), s, len > 60 ? "..." : "");
		break;
	case LUA_TBOOLEAN:
		text_add(text, "%s", lua_toboolean(L, index) ? "true" : "false");
		break;
	case LUA_TNIL: case LUA_TNONE:
		text_add(text, "nothing");
		break;
	case LUA_TUSERDATA:
		safe_tostring(L, index);
		text_add(text, "%s", lua_tostring(L, -1));
		lua_pop(L, 1);
		break;
	default:
		text_add(text, "a %s", luaL_typename(L, index));
	}
}

static bool has_place(const char *s)
{
	return strstr(s, ".lua:") != NULL;
}

void error_text(lua_State *L, struct text *out)
{
	struct host *host = host_of(L);
	const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	size_t limit = host->memory_limit;
	char place[PLACE_LEN];

	if (s && has_place(s)) {
		text_add(out, "%s", s);
		return;
	}
	place_of(L, place, sizeof place);
	text_add(out, "%s: ", place);
	if (s) {
		text_add(out, "%s", s);
		if (strcmp(s, "not enough memory") == 0)
			text_add(out, "; a scenario may use %zu bytes", limit);
		return;
	}
	/* Nobody would catch a want of memory here. */
	host->memory_limit = SIZE_MAX;
	text_add(out, "error called with ");
	text_found(out, L, -1);
	host->memory_limit = limit;
}

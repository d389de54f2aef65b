/*
 * What a claim wants of a value: a plain value, or at_least, at_most, between, one_of, is_not, contains, absent, present.
 *
 * A matcher is compiled into C values once, for the type of the attribute it is held against, so that a claim is judged
 * without Lua.
 */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"

struct matcher_kind {
	const char *name;
	enum match_kind kind;
	int operands; /* -1: one or more */
	bool ordered; /* only for numbers and times */
	const char *example;
};

static const struct matcher_kind kinds[] = {
	{ "at_least", MATCH_AT_LEAST, 1, true, "at_least(3)" }, { "at_most", MATCH_AT_MOST, 1, true, "at_most \"2s\"" },
	{ "between", MATCH_BETWEEN, 2, true, "between(3, 5)" }, { "one_of", MATCH_ONE_OF, -1, false, "one_of(\"a\", \"b\")" },
	{ "is_not", MATCH_NOT, 1, false, "is_not \"a\"" }, { "contains", MATCH_CONTAINS, 1, false, "contains \"text\"" },
	{ "absent", MATCH_ABSENT, 0, false, "absent" }, { "present", MATCH_PRESENT, 0, false, "present" },
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

/* Operands at 1..n become the first user value. */
static int matcher_new(lua_State *L, const struct matcher_kind *kind)
{
	const struct matcher_kind **box;
	int n = lua_gettop(L);

	if (kind->operands < 0 ? n < 1 : n != kind->operands)
		fail_here(L, "%s: wrong number of values; write %s", kind->name, kind->example);
	lua_createtable(L, n, 0);
	lua_insert(L, 1);
	for (int i = n; i >= 1; i--)
		lua_rawseti(L, 1, i);
	box = lua_newuserdatauv(L, sizeof *box, 1);
	*box = kind;
	lua_insert(L, 1);
	lua_setiuservalue(L, 1, 1);
	luaL_setmetatable(L, TYPE_MATCH);
	return 1;
}

static int fn_matcher(lua_State *L)
{
	return matcher_new(L, lua_touserdata(L, lua_upvalueindex(1)));
}

static int matcher_tostring(lua_State *L)
{
	const struct matcher_kind **box = luaL_checkudata(L, 1, TYPE_MATCH);

	lua_pushstring(L, (*box)->name);
	return 1;
}

void matchers_open(lua_State *L)
{
	static const luaL_Reg methods[] = { { "__tostring", matcher_tostring }, { NULL, NULL } };

	new_type(L, TYPE_MATCH, methods);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (kinds[i].operands == 0) {
			lua_settop(L, 0);
			matcher_new(L, &kinds[i]);
		} else {
			lua_pushlightuserdata(L, (void *)(uintptr_t)&kinds[i]);
			lua_pushcclosure(L, fn_matcher, 1);
		}
		lua_setglobal(L, kinds[i].name);
	}
}

static bool is_text(const struct value *value)
{
	return value->type == VALUE_TEXT || value->type == VALUE_BYTES;
}

/* A claim may outlive the table it was read from, so an operand is a copy. */
static void operand_keep(struct value *value)
{
	char *copy;

	if (is_text(value)) {
		copy = sim_alloc(value->text.len + 1);
		memcpy(copy, value->text.bytes, value->text.len);
		value->text.bytes = copy;
	} else if (value->type == VALUE_OBJECT) {
		value->object->refs++;
	}
}

static bool operand(lua_State *L, int index, enum value_type type, struct value *out, struct text *why)
{
	if (value_from_lua(L, index, type, out)) {
		operand_keep(out);
		return true;
	}
	text_add(why, "must be %s, found ", type_text(type));
	text_found(why, L, index);
	text_add(why, "; write %s", type_example(type));
	return false;
}

static bool kind_fits(const struct matcher_kind *kind, enum value_type type, struct text *why)
{
	if (kind->ordered && type != VALUE_INT && type != VALUE_TIME) {
		text_add(why, "is %s, so %s has no meaning here", type_text(type), kind->name);
		return false;
	}
	if (kind->kind == MATCH_CONTAINS && type != VALUE_TEXT && type != VALUE_BYTES) {
		text_add(why, "is %s, so contains has no meaning here", type_text(type));
		return false;
	}
	return true;
}

bool match_compile(lua_State *L, int index, enum value_type type, struct match *out, struct text *why)
{
	const struct matcher_kind **box = luaL_testudata(L, index, TYPE_MATCH);
	size_t count;
	bool fine;

	memset(out, 0, sizeof *out);
	if (box && !kind_fits(*box, type, why))
		return false;
	if (!box) {
		out->operands = sim_alloc(sizeof *out->operands);
		fine = operand(L, index, type, out->operands, why);
		out->count = fine;
	} else {
		out->kind = (*box)->kind;
		lua_getiuservalue(L, index, 1);
		count = lua_rawlen(L, -1);
		out->operands = sim_alloc((count + 1) * sizeof *out->operands);
		fine = true;
		for (size_t i = 0; i < count && fine; i++) {
			lua_rawgeti(L, -1, (lua_Integer)i + 1);
			fine = operand(L, -1, type, &out->operands[i], why);
			out->count += fine;
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
	if (!fine)
		match_free(out);
	return fine;
}

void match_free(struct match *match)
{
	for (size_t i = 0; i < match->count; i++) {
		const struct value *value = &match->operands[i];

		if (is_text(value))
			free((char *)(uintptr_t)value->text.bytes);
		else if (value->type == VALUE_OBJECT)
			object_release(value->object);
	}
	free(match->operands);
	match->operands = NULL;
	match->count = 0;
}

static bool found_within(const struct value *value, const struct value *part)
{
	return part->text.len == 0
		|| (value->text.len >= part->text.len
		    && memmem(value->text.bytes, value->text.len, part->text.bytes, part->text.len) != NULL);
}

bool match_holds(const struct match *match, bool known, const struct value *value)
{
	const struct value *o = match->operands;

	known = known && value->type != VALUE_NIL;
	if (match->kind == MATCH_ABSENT)
		return !known;
	if (!known)
		return false;
	switch (match->kind) {
	case MATCH_PRESENT:
		return true;
	case MATCH_IS:
		return value_equal(value, &o[0]);
	case MATCH_NOT:
		return !value_equal(value, &o[0]);
	case MATCH_AT_LEAST:
		return value->integer >= o[0].integer;
	case MATCH_AT_MOST:
		return value->integer <= o[0].integer;
	case MATCH_BETWEEN:
		return value->integer >= o[0].integer && value->integer <= o[1].integer;
	case MATCH_CONTAINS:
		return found_within(value, &o[0]);
	case MATCH_ONE_OF:
		for (size_t i = 0; i < match->count; i++)
			if (value_equal(value, &o[i]))
				return true;
		return false;
	default:
		return false;
	}
}

void text_match(struct text *text, const struct match *match)
{
	static const char *const words[] = {
		[MATCH_IS] = "= ", [MATCH_NOT] = "not ", [MATCH_AT_LEAST] = "at least ", [MATCH_AT_MOST] = "at most ",
		[MATCH_BETWEEN] = "between ", [MATCH_ONE_OF] = "one of ", [MATCH_CONTAINS] = "contains ", [MATCH_ABSENT] = "absent",
		[MATCH_PRESENT] = "present",
	};

	text_add(text, "%s", words[match->kind]);
	for (size_t i = 0; i < match->count; i++) {
		text_add(text, "%s", i == 0 ? "" : match->kind == MATCH_BETWEEN ? " and " : ", ");
		text_value(text, &match->operands[i]);
	}
}

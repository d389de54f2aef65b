/*
 * options(given, defaults, optional): how a topology reads what the scenario gave it.
 *
 * The defaults say which keys there are and what a value looks like; what does not fit is an error at the scenario's line,
 * since the topology is right.
 */
#include <string.h>
#include "scenarios/host/internal.h"

#define OPTIONS_DEPTH_MAX 16

static bool listed(lua_State *L, int list, const char *key)
{
	size_t n = lua_istable(L, list) ? lua_rawlen(L, list) : 0;
	bool found = false;

	for (size_t i = 1; i <= n && !found; i++) {
		lua_rawgeti(L, list, (lua_Integer)i);
		found = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), key) == 0;
		lua_pop(L, 1);
	}
	return found;
}

static void fail_option(lua_State *L, const char *path, const char *key, int defaults, int optional)
{
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const char *topology = host_of(L)->topology_name;
	size_t count = push_sorted_keys(L, defaults);
	int keys = lua_gettop(L);

	for (size_t i = 1; i <= count; i++, lua_settop(L, keys))
		if (lua_rawgeti(L, keys, (lua_Integer)i) == LUA_TSTRING)
			names_add(&known, lua_tostring(L, -1));
	count = lua_istable(L, optional) ? lua_rawlen(L, optional) : 0;
	for (size_t i = 1; i <= count; i++, lua_settop(L, keys))
		if (lua_rawgeti(L, optional, (lua_Integer)i) == LUA_TSTRING)
			names_add(&known, lua_tostring(L, -1));
	text_unknown(&text, key, &known);
	fail_scenario(L, "topology %s: unknown option%s%s %s", topology ? topology : "", *path ? " of " : "", path, text.s);
}

static void check_option_keys(lua_State *L, const char *path, int given, int defaults, int optional)
{
	size_t count = push_sorted_keys(L, given);
	int keys = lua_gettop(L);

	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, keys, (lua_Integer)i);
		safe_tostring(L, -1);
		lua_pushvalue(L, -2);
		if (lua_rawget(L, defaults) == LUA_TNIL && !listed(L, optional, lua_tostring(L, -2)))
			fail_option(L, path, lua_tostring(L, -2), defaults, optional);
		lua_settop(L, keys);
	}
	lua_pop(L, 1);
}

static void check_option_type(lua_State *L, const char *path, const char *key, int given, int preset)
{
	struct text found = { .len = 0 };
	sim_ns ns;
	uint64_t bps;
	uint32_t ppm;
	const char *a, *b;

	if (lua_type(L, given) != lua_type(L, preset)) {
		text_found(&found, L, given);
		fail_scenario(L, "topology option %s%s%s must be a %s, found %s", path, *path ? "." : "", key, luaL_typename(L, preset), found.s);
	}
	if (lua_type(L, preset) != LUA_TSTRING)
		return;
	a = lua_tostring(L, given);
	b = lua_tostring(L, preset);
	if ((time_parse(b, &ns) && !time_parse(a, &ns)) || (rate_parse(b, &bps) && !rate_parse(a, &bps))
	    || (ratio_parse(b, &ppm) && !ratio_parse(a, &ppm)))
		fail_scenario(L, "topology option %s%s%s is \"%s\", must be like its default \"%s\"", path,
		              *path ? "." : "", key, a, b);
}

/* Pushes the defaults completed by what is given. */
static void merge_options(lua_State *L, const char *path, int given, int defaults, int optional, int depth)
{
	size_t count;
	int result, keys;

	if (depth == OPTIONS_DEPTH_MAX)
		fail_here(L, "options nest more than %d deep", OPTIONS_DEPTH_MAX);
	luaL_checkstack(L, 20, "options");
	check_option_keys(L, path, given, defaults, optional);
	lua_newtable(L);
	result = lua_gettop(L);
	for (lua_pushnil(L); lua_next(L, given); lua_pop(L, 1)) {
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, result);
	}
	count = push_sorted_keys(L, defaults);
	keys = lua_gettop(L);
	for (size_t i = 1; i <= count; i++) {
		const char *key;
		bool nested;

		lua_rawgeti(L, keys, (lua_Integer)i);
		lua_pushvalue(L, -1);
		lua_rawget(L, defaults);
		lua_pushvalue(L, -2);
		lua_rawget(L, given);
		safe_tostring(L, -3);
		key = lua_tostring(L, -1); /* stack: key, default, given, text of key */
		nested = lua_istable(L, -3) && lua_rawlen(L, -3) == 0;
		if (!lua_isnil(L, -2))
			check_option_type(L, path, key, lua_gettop(L) - 1, lua_gettop(L) - 2);
		if (nested) {
			struct text below = { .len = 0 };
			int base = lua_gettop(L);

			text_add(&below, "%s%s%s", path, *path ? "." : "", key);
			if (lua_isnil(L, base - 1)) {
				lua_newtable(L);
				lua_replace(L, base - 1);
			}
			lua_pushnil(L);
			merge_options(L, below.s, base - 1, base - 2, base + 1, depth + 1);
			lua_pushvalue(L, base - 3);
			lua_insert(L, -2);
			lua_rawset(L, result);
		} else if (lua_isnil(L, -2)) {
			lua_pushvalue(L, -4);
			lua_pushvalue(L, -4);
			lua_rawset(L, result);
		}
		lua_settop(L, keys);
	}
	lua_settop(L, result);
}

static int fn_options(lua_State *L)
{
	lua_settop(L, 3);
	if (lua_isnil(L, 1)) {
		lua_newtable(L);
		lua_replace(L, 1);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, 2, LUA_TTABLE);
	merge_options(L, "", 1, 2, 3, 0);
	return 1;
}

void options_open(lua_State *L)
{
	lua_register(L, "options", fn_options);
}

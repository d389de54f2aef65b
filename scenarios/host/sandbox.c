/*
 * The Lua state of a run: a sandbox that can neither reach out of the simulation nor bring chance into it.
 *
 * What differs from plain Lua 5.4, and why:
 *  - no os, io, debug, package, load, dofile, collectgarbage, math.randomseed, string.dump: nothing outside, no bytecode;
 *  - pairs and next go by sorted key, and keys that have no order are refused: a hash order differs from run to run;
 *  - table.sort is a stable merge sort: Lua's picks pivots by the clock, so that equal elements would change places;
 *  - tostring, print, string.format show no addresses; "%p" is refused;
 *  - __gc and __mode are refused: they would let a script see when memory is collected;
 *  - math.random draws from the scenario's stream;
 *  - reading a global that does not exist is an error that names the known ones;
 *  - pcall, xpcall and coroutines cannot swallow the end of a body that ran out of instructions;
 *  - coroutine.running is refused in a body, which is the host's to resume.
 */
#include <errno.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"

#define HOOK_EVERY 10000 /* instructions */
#define LUA_PAUSE_PERCENT 150 /* of what was left by the last collection: the next begins. Default 200 */
#define SORT_MAX 10000000 /* elements of table.sort */

static void *sandbox_alloc(void *ud, void *old, size_t old_size, size_t size)
{
	struct host *host = ud;
	void *new;

	if (!old)
		old_size = 0;
	if (size == 0) {
		host->memory_used -= old_size;
		free(old);
		return NULL;
	}
	if (size > old_size && size - old_size > host->memory_limit - host->memory_used)
		return NULL;
	new = realloc(old, size);
	if (new)
		host->memory_used += size - old_size;
	return new;
}

static void raise_exhausted(lua_State *L)
{
	const struct host *host = host_of(L);

	if (host->interrupted)
		fail_here(L, "interrupted");
	fail_here(L, "more than %llu instructions without a wait: a loop that does not end?",
	          (unsigned long long)host->instruction_limit);
}

static void count_hook(lua_State *L, lua_Debug *ar)
{
	struct host *host = host_of(L);

	(void)ar;
	host->instructions += HOOK_EVERY;
	if (host->options->interrupt && *host->options->interrupt) {
		host->interrupted = host->exhausted = true;
	} else if (host->instructions > host->instruction_limit) {
		host->exhausted = true;
	}
	if (host->exhausted)
		raise_exhausted(L);
}

/* tostring and friends */

void safe_tostring(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	if (luaL_callmeta(L, index, "__tostring")) {
		if (!lua_isstring(L, -1))
			fail_here(L, "__tostring must return text");
		return;
	}
	switch (lua_type(L, index)) {
	case LUA_TNUMBER: case LUA_TSTRING: case LUA_TBOOLEAN: case LUA_TNIL:
		luaL_tolstring(L, index, NULL);
		break;
	case LUA_TLIGHTUSERDATA:
		lua_pushstring(L, is_claim_failed(L, index) ? "a claim failed" : "userdata");
		break;
	default:
		if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
			break;
		lua_pushstring(L, luaL_typename(L, index));
	}
}

static int base_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	safe_tostring(L, 1);
	return 1;
}

static int base_print(lua_State *L)
{
	struct host *host = host_of(L);
	FILE *out = host->options->out;
	int n = lua_gettop(L);

	if (host->header_only)
		return 0;
	for (int i = 1; i <= n; i++) {
		size_t len;
		const char *s;

		safe_tostring(L, i);
		s = lua_tolstring(L, -1, &len);
		if (i > 1)
			fputc('\t', out);
		fwrite(s, 1, len, out);
		lua_pop(L, 1);
	}
	fputc('\n', out);
	return 0;
}

/* string.format: arguments of %s become text without addresses before the original sees them. Upvalue 1: the original. */
static int safe_format(lua_State *L)
{
	size_t len;
	const char *f = luaL_checklstring(L, 1, &len), *end = f + len;
	int arg = 1, top = lua_gettop(L);

	while ((f = memchr(f, '%', (size_t)(end - f))) != NULL) {
		f++;
		if (*f == '%') {
			f++;
			continue;
		}
		f += strspn(f, "-+#0 123456789.");
		arg++;
		if (*f == 'p')
			fail_here(L, "string.format: %%p would show an address");
		if (*f == 's' && arg <= top) {
			safe_tostring(L, arg);
			lua_replace(L, arg);
		}
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, top, 1);
	return 1;
}

/* Keys in order */

struct key {
	int rank; /* numbers, text, booleans, elements, links */
	bool is_integer;
	lua_Integer integer;
	lua_Number number;
	const char *s;
	size_t len;
	lua_Integer index; /* where the key is in the unsorted array */
};

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int c;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->rank == 0 && !(x->is_integer && y->is_integer) && x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->integer != y->integer)
		return x->integer < y->integer ? -1 : 1;
	c = len ? memcmp(x->s, y->s, len) : 0;
	if (c)
		return c;
	return x->len < y->len ? -1 : x->len > y->len;
}

static void key_read(lua_State *L, int index, struct key *key)
{
	struct node *node;
	struct link *link;

	switch (lua_type(L, index)) {
	case LUA_TNUMBER:
		key->is_integer = lua_isinteger(L, index);
		key->number = lua_tonumber(L, index);
		key->integer = key->is_integer ? lua_tointeger(L, index) : 0;
		return;
	case LUA_TSTRING:
		key->rank = 1;
		key->s = lua_tolstring(L, index, &key->len);
		return;
	case LUA_TBOOLEAN:
		key->rank = 2;
		key->integer = lua_toboolean(L, index);
		return;
	default:
		break;
	}
	node = element_at(L, index);
	link = link_at(L, index);
	if (node) {
		key->rank = 3;
		key->integer = node->index;
	} else if (link) {
		key->rank = 4;
		key->s = link->name;
		key->len = strlen(link->name);
	} else {
		struct text text = { .len = 0 };

		text_found(&text, L, index);
		fail_here(L, "a key of the table is %s; only numbers, text, booleans, elements and links have an order", text.s);
	}
}

size_t push_sorted_keys(lua_State *L, int index)
{
	size_t count = 0;
	struct key *keys;
	int unsorted;

	index = lua_absindex(L, index);
	lua_newtable(L);
	unsorted = lua_gettop(L);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		lua_pushvalue(L, -2);
		lua_rawseti(L, unsorted, (lua_Integer)++count);
	}
	keys = lua_newuserdatauv(L, count * sizeof *keys + 1, 0);
	memset(keys, 0, count * sizeof *keys);
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(L, unsorted, (lua_Integer)i + 1);
		key_read(L, -1, &keys[i]);
		keys[i].index = (lua_Integer)i + 1;
		lua_pop(L, 1);
	}
	if (count > 1)
		qsort(keys, count, sizeof *keys, compare_keys);
	lua_createtable(L, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(L, unsorted, keys[i].index);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_replace(L, unsorted);
	lua_settop(L, unsorted);
	return count;
}

/* Upvalues: the keys, how many were visited, the table. A key that has lost its value meanwhile is passed over. */
static int pairs_next(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));

	for (;;) {
		lua_settop(L, 0);
		if (lua_rawgeti(L, lua_upvalueindex(1), ++i) == LUA_TNIL)
			return 1;
		lua_pushvalue(L, -1);
		if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL)
			break;
	}
	lua_pushinteger(L, i);
	lua_replace(L, lua_upvalueindex(2));
	return 2;
}

static int base_pairs(lua_State *L)
{
	luaL_checkany(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
		lua_pushvalue(L, 1);
		lua_call(L, 1, 3);
		return 3;
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	push_sorted_keys(L, 1);
	lua_pushinteger(L, 0);
	lua_pushvalue(L, 1);
	lua_pushcclosure(L, pairs_next, 3);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

static int base_next(lua_State *L)
{
	size_t count;
	lua_Integer i = 1;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	count = push_sorted_keys(L, 1);
	if (!lua_isnil(L, 2)) {
		while (i <= (lua_Integer)count && (lua_rawgeti(L, 3, i), !lua_rawequal(L, 2, -1))) {
			lua_pop(L, 1);
			i++;
		}
		i++;
	}
	if (i > (lua_Integer)count) {
		lua_pushnil(L);
		return 1;
	}
	lua_rawgeti(L, 3, i);
	lua_pushvalue(L, -1);
	lua_rawget(L, 1);
	return 2;
}

/* table.sort: stable, by insertion of merges from the bottom up, between the table (1) and a second one (3). */

static bool sort_less(lua_State *L, int table, lua_Integer a, lua_Integer b)
{
	bool less;

	lua_geti(L, table, a);
	lua_geti(L, table, b);
	if (lua_isnoneornil(L, 2)) {
		less = lua_compare(L, -2, -1, LUA_OPLT);
		lua_pop(L, 2);
		return less;
	}
	lua_pushvalue(L, 2);
	lua_insert(L, -3);
	lua_call(L, 2, 1);
	less = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return less;
}

static void merge(lua_State *L, int from, int to, lua_Integer low, lua_Integer middle, lua_Integer high)
{
	lua_Integer a = low, b = middle;

	for (lua_Integer i = low; i < high; i++) {
		bool second = a >= middle || (b < high && sort_less(L, from, b, a));

		lua_geti(L, from, second ? b++ : a++);
		lua_seti(L, to, i);
	}
}

static int table_sort(lua_State *L)
{
	lua_Integer n;
	int from = 1, to = 3;

	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_newtable(L);
	n = luaL_len(L, 1);
	if (n >= SORT_MAX)
		fail_here(L, "table.sort: %lld elements; at most %d can be sorted", (long long)n, SORT_MAX);
	for (lua_Integer width = 1; width < n; width *= 2) {
		for (lua_Integer low = 1; low <= n; low += 2 * width) {
			lua_Integer middle = low + width, high = low + 2 * width;

			merge(L, from, to, low, middle > n + 1 ? n + 1 : middle, high > n + 1 ? n + 1 : high);
		}
		from = from == 1 ? 3 : 1;
		to = to == 1 ? 3 : 1;
	}
	for (lua_Integer i = 1; from == 3 && i <= n; i++) {
		lua_geti(L, 3, i);
		lua_seti(L, 1, i);
	}
	return 0;
}

/* Chance */

static int math_random(lua_State *L)
{
	struct host *host = host_of(L);
	lua_Integer low = 1, high;
	uint64_t span;

	if (!host->random_ready) {
		rng_init(&host->random, host->options->seed, "scenario", "lua");
		host->random_ready = true;
	}
	if (lua_gettop(L) == 0) {
		lua_pushnumber(L, (lua_Number)(rng_u64(&host->random) >> 11) * 0x1p-53);
		return 1;
	}
	if (lua_gettop(L) > 1)
		low = luaL_checkinteger(L, 1);
	high = luaL_checkinteger(L, lua_gettop(L) > 1 ? 2 : 1);
	if (low > high)
		fail_here(L, "math.random(%lld, %lld): the interval is empty", (long long)low, (long long)high);
	span = (uint64_t)high - (uint64_t)low;
	span = span == UINT64_MAX ? rng_u64(&host->random) : rng_below(&host->random, span + 1);
	lua_pushinteger(L, (lua_Integer)((uint64_t)low + span));
	return 1;
}

/* Errors that cannot be swallowed */

static int pcall_end(lua_State *L, int status, lua_KContext ctx)
{
	if (status != LUA_OK && status != LUA_YIELD) {
		if (host_of(L)->exhausted)
			raise_exhausted(L);
		lua_pushboolean(L, 0);
		lua_pushvalue(L, -2);
		return 2;
	}
	return lua_gettop(L) - (int)ctx;
}

static int base_pcall(lua_State *L)
{
	int status;

	luaL_checkany(L, 1);
	lua_pushboolean(L, 1);
	lua_insert(L, 1);
	status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, pcall_end);
	return pcall_end(L, status, 0);
}

static int base_xpcall(lua_State *L)
{
	int n = lua_gettop(L), status;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushboolean(L, 1);
	lua_pushvalue(L, 1);
	lua_rotate(L, 3, 2);
	status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, pcall_end);
	return pcall_end(L, status, 2);
}

/* coroutine.resume and close as they are, but for exhaustion. Upvalue 1: the original. */
static int checked_coroutine(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	if (host_of(L)->exhausted)
		raise_exhausted(L);
	return lua_gettop(L);
}

/* A body in the hands of a script could be resumed or closed behind the host's back. */
static int coroutine_running(lua_State *L)
{
	int is_main = lua_pushthread(L);

	if (is_main || is_body(host_of(L), L))
		fail_here(L, "coroutine.running: a body is no coroutine of the scenario's own");
	lua_pushboolean(L, 0);
	return 2;
}

/* string.rep loops over an empty text as often as it is told to. Upvalue 1: the original. */
static int safe_rep(lua_State *L)
{
	size_t len, between = 0;

	luaL_checklstring(L, 1, &len);
	luaL_optlstring(L, 3, "", &between);
	if (len + between == 0 && luaL_checkinteger(L, 2) > 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

/* Metatables */

static int base_setmetatable(lua_State *L)
{
	static const char *const refused[] = { "__gc", "__mode" };

	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		for (size_t i = 0; i < 2; i++) {
			lua_pushstring(L, refused[i]);
			if (lua_rawget(L, 2) != LUA_TNIL)
				fail_here(L, "a metatable with %s is refused: a script must not see when memory is collected", refused[i]);
			lua_pop(L, 1);
		}
	}
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		fail_here(L, "the metatable is protected");
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	lua_settop(L, 1);
	return 1;
}

static int unknown_global(lua_State *L)
{
	struct text text = { .len = 0 };
	struct names known = { .count = 0 };

	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
		if (lua_type(L, -2) == LUA_TSTRING)
			names_add(&known, lua_tostring(L, -2));
	text_add(&text, "unknown name ");
	if (!text_guess(&text, lua_tostring(L, 2), &known))
		text_add(&text, " `tollgate doc language` lists what a scenario can use");
	return fail_here(L, "%s", text.s);
}

static void wrap_field(lua_State *L, int table, const char *name, lua_CFunction fn)
{
	table = lua_absindex(L, table);
	lua_getfield(L, table, name);
	lua_pushcclosure(L, fn, 1);
	lua_setfield(L, table, name);
}

static void remove_fields(lua_State *L, const char *const *names)
{
	for (; *names; names++) {
		lua_pushnil(L);
		lua_setfield(L, -2, *names);
	}
}

static void open_library(lua_State *L, const char *name, lua_CFunction open)
{
	luaL_requiref(L, name, open, 1);
}

static void open_base(lua_State *L)
{
	static const char *const away[] = { "dofile", "loadfile", "load", "collectgarbage", "warn", "require", NULL };
	static const luaL_Reg ours[] = {
		{ "pairs", base_pairs }, { "next", base_next }, { "tostring", base_tostring }, { "print", base_print },
		{ "pcall", base_pcall }, { "xpcall", base_xpcall }, { "setmetatable", base_setmetatable }, { NULL, NULL },
	};

	open_library(L, LUA_GNAME, luaopen_base);
	remove_fields(L, away);
	luaL_setfuncs(L, ours, 0);
	lua_newtable(L);
	lua_pushcfunction(L, unknown_global);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

static int open_libraries(lua_State *L)
{
	static const char *const string_away[] = { "dump", NULL }, *const math_away[] = { "randomseed", NULL };

	open_base(L);
	open_library(L, LUA_STRLIBNAME, luaopen_string);
	remove_fields(L, string_away);
	wrap_field(L, -1, "format", safe_format);
	wrap_field(L, -1, "rep", safe_rep);
	open_library(L, LUA_TABLIBNAME, luaopen_table);
	lua_pushcfunction(L, table_sort);
	lua_setfield(L, -2, "sort");
	open_library(L, LUA_MATHLIBNAME, luaopen_math);
	remove_fields(L, math_away);
	lua_pushcfunction(L, math_random);
	lua_setfield(L, -2, "random");
	open_library(L, LUA_UTF8LIBNAME, luaopen_utf8);
	open_library(L, LUA_COLIBNAME, luaopen_coroutine);
	wrap_field(L, -1, "resume", checked_coroutine);
	wrap_field(L, -1, "close", checked_coroutine);
	lua_pushcfunction(L, coroutine_running);
	lua_setfield(L, -2, "running");
	lua_settop(L, 0);
	/* luaL_requiref() keeps a table of what is loaded; nothing in the sandbox needs it. */
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	return 0;
}

lua_State *sandbox_new(struct host *host)
{
	lua_State *L;

	host->memory_limit = host->options->memory_limit ? host->options->memory_limit : HOST_MEMORY_LIMIT_BYTES;
	host->instruction_limit = host->options->instruction_limit ? host->options->instruction_limit : HOST_INSTRUCTION_LIMIT;
	L = lua_newstate(sandbox_alloc, host);
	if (!L)
		return NULL;
	*(struct host **)lua_getextraspace(L) = host;
	lua_gc(L, LUA_GCINC, LUA_PAUSE_PERCENT, 0, 0);
	lua_pushcfunction(L, open_libraries);
	if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
		lua_close(L);
		return NULL;
	}
	lua_sethook(L, count_hook, LUA_MASKCOUNT, HOOK_EVERY);
	return L;
}

void new_type(lua_State *L, const char *name, const luaL_Reg *functions)
{
	luaL_newmetatable(L, name);
	luaL_setfuncs(L, functions, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* The innermost line of the scenario itself that runs; false: there is none. */
static bool scenario_line(lua_State *L, char *out, size_t room)
{
	const struct host *host = host_of(L);
	lua_Debug ar;

	for (int level = 1; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline > 0 && ar.source[0] == '@' && strcmp(ar.source + 1, host->script_name) == 0) {
			snprintf(out, room, "%s:%d", host->script_name, ar.currentline);
			return true;
		}
	}
	return false;
}

/*
 * Completes an error of a main chunk while the stack still tells where it was: the place when it has none, and from where in
 * the scenario a library or topology was called when the error is not in the scenario itself.
 */
static int add_caller(lua_State *L)
{
	const struct host *host = host_of(L);
	char line[PLACE_LEN], place[PLACE_LEN];
	struct text text = { .len = 0 };
	const char *message;

	if (lua_type(L, 1) == LUA_TLIGHTUSERDATA)
		return 1; /* of the host's own */
	if (lua_type(L, 1) != LUA_TSTRING || !strstr(lua_tostring(L, 1), ".lua:")) {
		place_of(L, place, sizeof place);
		text_add(&text, "%s: ", place);
		if (lua_type(L, 1) != LUA_TSTRING) {
			text_add(&text, "error called with ");
			text_found(&text, L, 1);
		} else {
			text_add(&text, "%s", lua_tostring(L, 1));
		}
		lua_pushstring(L, text.s);
		lua_replace(L, 1);
		lua_settop(L, 1);
	}
	message = lua_tostring(L, 1);
	if (strncmp(message, host->script_name, strlen(host->script_name)) == 0 || strstr(message, "\n  called from ")
	    || !scenario_line(L, line, sizeof line))
		return 1;
	lua_pushfstring(L, "%s\n  called from %s", message, line);
	return 1;
}

int sandbox_load(lua_State *L, const char *bytes, size_t len, const char *name)
{
	int status, base;

	lua_pushcfunction(L, add_caller);
	base = lua_gettop(L);
	lua_pushfstring(L, "@%s", name);
	status = luaL_loadbufferx(L, bytes, len, lua_tostring(L, -1), "t");
	lua_remove(L, base + 1);
	if (status == LUA_OK)
		status = lua_pcall(L, 0, LUA_MULTRET, base);
	lua_remove(L, base);
	return status;
}

char *file_read(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *bytes;

	if (!f)
		return NULL;
	bytes = sim_alloc(SCRIPT_LEN_MAX + 1);
	*len = fread(bytes, 1, SCRIPT_LEN_MAX + 1, f);
	if (ferror(f) || *len > SCRIPT_LEN_MAX) {
		int why = ferror(f) ? errno : EFBIG;

		fclose(f);
		free(bytes);
		errno = why ? why : EIO;
		return NULL;
	}
	fclose(f);
	bytes = sim_realloc(bytes, *len + 1);
	bytes[*len] = '\0';
	return bytes;
}

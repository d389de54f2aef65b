/*
 * Lua that several scenarios share: shared "NAME" runs shared/NAME.lua in the scenario's own sandbox, once, and gives what it
 * returns. It is found like a topology (beside the scenario, above it, where scenarios are installed); the result database
 * names each such file with its SHA-256.
 */
#include <stdlib.h>
#include "scenarios/host/internal.h"

#define REGISTRY_SHARED "tollgate.shared" /* name -> what its file returned */

static void note(struct host *host, const char *name, const char *hash)
{
	struct shared_file *file = sim_alloc(sizeof *file), **at = &host->shared;

	while (*at)
		at = &(*at)->next;
	*at = file;
	file->name = sim_strdup(name);
	snprintf(file->hash, sizeof file->hash, "%s", hash);
}

void shared_free(struct host *host)
{
	while (host->shared) {
		struct shared_file *next = host->shared->next;

		free(host->shared->name);
		free(host->shared);
		host->shared = next;
	}
}

/* Pushes what the file returns. */
static void load(lua_State *L, const char *name)
{
	struct host *host = host_of(L);
	char path[SCENARIO_PATH_LEN], what[80], hash[65] = "";
	int top = lua_gettop(L);

	if (!scenario_file_path(host, "shared", name, path))
		fail_here(L, "there is no shared \"%s\": no file shared/%s.lua beside the scenario or in %s", name, name,
		     host_scenarios_dir());
	snprintf(what, sizeof what, "shared %.60s", name);
	if (scenario_file_load(L, path, what, hash) != LUA_OK)
		lua_error(L);
	lua_settop(L, top + 1);
	if (lua_isnil(L, -1))
		fail_here(L, "shared/%s.lua must return what is shared", name);
	note(host, name, hash);
}

static int fn_shared(lua_State *L)
{
	const char *name;

	need_header(L);
	if (lua_type(L, 1) != LUA_TSTRING)
		fail_here(L, "shared must be given a name; write local claims = shared \"invariants\"");
	name = lua_tostring(L, 1);
	if (!scenario_file_name(name))
		fail_here(L, "shared \"%s\": a name is letters, digits, _ and -", name);
	lua_settop(L, 1);
	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_SHARED);
	if (lua_getfield(L, 2, name) != LUA_TNIL)
		return 1;
	load(L, name);
	lua_pushvalue(L, -1);
	lua_setfield(L, 2, name);
	return 1;
}

void shared_open(lua_State *L)
{
	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_SHARED);
	lua_register(L, "shared", fn_shared);
}

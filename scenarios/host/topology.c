/*
 * Topologies: the net a scenario builds on, its links, and where a topology places the elements a scenario adds.
 *
 * A topology is a Lua file that returns function(net, options); it runs in the scenario's own sandbox. Everything it uses is
 * open to a scenario, too: `network()` gives an empty net.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scenarios/host/internal.h"


#define REGISTRY_NET "tollgate.net"
#define REGISTRY_SUBNETS "tollgate.subnets" /* link -> struct subnet */
#define REGISTRY_PLACES "tollgate.places"   /* model name -> { function, keys, nth } */

struct subnet { /* addresses a link gives to interfaces that ask for none */
	uint32_t base, next, gateway;
	uint8_t prefix_len;
	bool used_up;
};

static void topology_load(lua_State *L, int options);

/* The net is complete once a topology named without its table has been built with defaults. */
static void topology_ready(lua_State *L)
{
	struct host *host = host_of(L);

	if (host->topology_pending) {
		lua_newtable(L);
		topology_load(L, lua_gettop(L));
		lua_pop(L, 1);
	}
}

void net_ready(lua_State *L)
{
	topology_ready(L);
	pending_finish(L);
}

void push_net(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_NET);
}

/* Links */

struct link_field {
	const char *name, *what, *example;
	bool (*set)(struct link_params *params, const char *text);
};

static bool set_delay(struct link_params *p, const char *text)
{
	return time_parse(text, &p->delay_ns);
}

static bool set_rate(struct link_params *p, const char *text)
{
	return rate_parse(text, &p->rate_bps);
}

static bool set_loss(struct link_params *p, const char *text)
{
	return ratio_parse(text, &p->loss_ppm);
}

static bool set_jitter(struct link_params *p, const char *text)
{
	return time_parse(text, &p->jitter_ns);
}

static bool set_reorder(struct link_params *p, const char *text)
{
	return ratio_parse(text, &p->reorder_ppm);
}

static bool set_reorder_by(struct link_params *p, const char *text)
{
	return time_parse(text, &p->reorder_ns);
}

static bool set_duplicate(struct link_params *p, const char *text)
{
	return ratio_parse(text, &p->duplicate_ppm);
}

static bool set_queue(struct link_params *p, const char *text)
{
	uint64_t bytes;

	if (!size_parse(text, &bytes) || bytes == 0 || bytes > UINT32_MAX)
		return false;
	p->queue_bytes = (uint32_t)bytes;
	return true;
}

static const struct link_field link_fields[] = {
	{ "delay", "a time", "20ms", set_delay }, { "rate", "a rate", "1.5Mbit", set_rate }, { "loss", "a ratio", "1%", set_loss },
	{ "jitter", "a time", "2ms", set_jitter }, { "reorder", "a ratio", "1%", set_reorder },
	{ "reorder_by", "a time", "5ms", set_reorder_by }, { "duplicate", "a ratio", "1%", set_duplicate },
	{ "queue", "a size", "256KiB", set_queue }, { NULL, NULL, NULL, NULL },
};
static const char *const subnet_keys[] = { "subnet", "first", "gateway" };

static void check_link_keys(lua_State *L, const struct link *link, int index)
{
	size_t count = push_sorted_keys(L, index);

	for (size_t i = 1; i <= count; i++) {
		struct names known = { .count = 0 };
		struct text text = { .len = 0 };
		const char *key;
		bool found = false;

		lua_rawgeti(L, -1, (lua_Integer)i);
		safe_tostring(L, -1);
		key = lua_tostring(L, -1);
		for (const struct link_field *f = link_fields; f->name; f++) {
			names_add(&known, f->name);
			found = found || strcmp(f->name, key) == 0;
		}
		for (size_t k = 0; k < 3; k++) {
			names_add(&known, subnet_keys[k]);
			found = found || strcmp(subnet_keys[k], key) == 0;
		}
		if (!found) {
			text_unknown(&text, key, &known);
			fail_here(L, "link %s: unknown key %s", link->name, text.s);
		}
		lua_pop(L, 2);
	}
	lua_pop(L, 1);
}

static uint32_t mask_of(uint8_t prefix_len)
{
	return prefix_len == 0 ? 0 : UINT32_MAX << (32 - prefix_len);
}

/* An address of the table at index; false: the key is not there. */
static bool address_field(lua_State *L, const struct link *link, int index, const char *key, uint32_t *ip)
{
	if (lua_getfield(L, index, key) == LUA_TNIL) {
		lua_pop(L, 1);
		return false;
	}
	if (lua_type(L, -1) != LUA_TSTRING || !ip_parse(lua_tostring(L, -1), ip))
		fail_here(L, "link %s: %s must be an address; write %s = \"10.1.0.1\"", link->name, key, key);
	lua_pop(L, 1);
	return true;
}

static void configure_subnet(lua_State *L, const struct link *link, int index)
{
	struct subnet subnet = { .base = 0 }, *kept;
	uint32_t ip;

	if (lua_getfield(L, index, "subnet") == LUA_TNIL) {
		lua_pop(L, 1);
		for (size_t i = 1; i < 3; i++)
			if (address_field(L, link, index, subnet_keys[i], &ip))
				fail_here(L, "link %s: %s needs a subnet; write subnet = \"10.1.0.0/16\"", link->name, subnet_keys[i]);
		return;
	}
	if (lua_type(L, -1) != LUA_TSTRING || !subnet_parse(lua_tostring(L, -1), &ip, &subnet.prefix_len)
	    || subnet.prefix_len > 30)
		fail_here(L, "link %s: subnet must be a network of at least 4 addresses; write subnet = \"10.1.0.0/16\"", link->name);
	lua_pop(L, 1);
	subnet.base = ip & mask_of(subnet.prefix_len);
	subnet.next = subnet.base + 1;
	address_field(L, link, index, "first", &subnet.next);
	address_field(L, link, index, "gateway", &subnet.gateway);
	if ((subnet.next & mask_of(subnet.prefix_len)) != subnet.base
	    || (subnet.gateway && (subnet.gateway & mask_of(subnet.prefix_len)) != subnet.base))
		fail_here(L, "link %s: first and gateway must lie in the subnet", link->name);
	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_SUBNETS);
	kept = lua_newuserdatauv(L, sizeof *kept, 0);
	*kept = subnet;
	lua_rawsetp(L, -2, link);
	lua_pop(L, 1);
}

void link_configure(lua_State *L, struct link *link, int index)
{
	struct link_params params = link->params;

	check_link_keys(L, link, index);
	for (const struct link_field *f = link_fields; f->name; f++) {
		struct text found = { .len = 0 };

		if (lua_getfield(L, index, f->name) != LUA_TNIL
		    && (lua_type(L, -1) != LUA_TSTRING || !f->set(&params, lua_tostring(L, -1)))) {
			text_found(&found, L, -1);
			fail_here(L, "link %s: %s must be %s, found %s; write %s = \"%s\"", link->name, f->name, f->what, found.s, f->name,
			     f->example);
		}
		lua_pop(L, 1);
	}
	configure_subnet(L, link, index);
	link->params = params;
}

bool subnet_next(lua_State *L, const struct link *link, uint32_t *ip, uint8_t *prefix_len, uint32_t *gateway)
{
	struct subnet *subnet;
	uint32_t last;

	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_SUBNETS);
	lua_rawgetp(L, -1, link);
	subnet = lua_touserdata(L, -1);
	lua_pop(L, 2);
	if (!subnet)
		return false;
	last = (subnet->base | ~mask_of(subnet->prefix_len)) - 1;
	while (subnet->next <= last && (subnet->next == subnet->gateway || link_neighbour(link, subnet->next)))
		subnet->next++;
	if (subnet->next > last)
		fail_here(L, "link %s has no address left in its subnet", link->name);
	*ip = subnet->next++;
	*prefix_len = subnet->prefix_len;
	*gateway = subnet->gateway;
	return true;
}

/* A name for a new node or link: free, usable in a file name and as a field of net. */
const char *new_name(lua_State *L, int index, const char *what)
{
	struct host *host = host_of(L);
	const char *name;
	size_t len;

	if (lua_type(L, index) != LUA_TSTRING)
		fail_here(L, "net:%s must be given a name; write net:%s \"name\" { ... }", what, what);
	name = lua_tolstring(L, index, &len);
	if (len == 0 || len > NODE_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != len
	    || name[0] == '.' || name[0] == '-')
		fail_here(L, "net:%s \"%s\": a name is 1 to %d letters, digits, _ . -", what, name, NODE_NAME_MAX);
	if (node_find(host->sim, name) || link_find(host->sim, name))
		fail_here(L, "net:%s \"%s\": the name is taken", what, name);
	if (model_named(host, name) || strcmp(name, "link") == 0 || strcmp(name, "place") == 0 || strcmp(name, "nodes") == 0
	    || strcmp(name, "has") == 0)
		fail_here(L, "net:%s \"%s\": the name is a word of net's own; choose another", what, name);
	return name;
}

static void check_net(lua_State *L, const char *method)
{
	if (!luaL_testudata(L, 1, TYPE_NET))
		fail_here(L, "write net:%s with a colon", method);
	net_ready(L);
}

static int net_link(lua_State *L)
{
	struct host *host = host_of(L);
	struct link_params params = { .delay_ns = 0 };
	struct link *link;

	check_net(L, "link");
	link = link_new(host->sim, new_name(L, 2, "link"), &params);
	if (lua_istable(L, 3))
		link_configure(L, link, 3);
	else
		host->pending.link = link;
	push_link(L, link);
	return 1;
}

static int net_nodes(lua_State *L)
{
	const char *model = luaL_optstring(L, 2, NULL);
	lua_Integer n = 0;

	check_net(L, "nodes");
	if (model && !model_named(host_of(L), model))
		fail_here(L, "net:nodes \"%s\": there is no such model (tollgate list models)", model);
	lua_newtable(L);
	for (struct node *node = host_of(L)->sim->nodes; node; node = node->next) {
		if (model && (!node->model || strcmp(node->model->name, model) != 0))
			continue;
		push_element(L, node);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

static int net_has(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2);

	check_net(L, "has");
	lua_pushboolean(L, node_find(host_of(L)->sim, name) || link_find(host_of(L)->sim, name));
	return 1;
}

/* net:place("cta", function(net, name, opts, nth) ... end, { key = "doc" }) */
static int net_place(lua_State *L)
{
	const char *name;

	check_net(L, "place");
	name = luaL_checkstring(L, 2);
	luaL_checktype(L, 3, LUA_TFUNCTION);
	if (!model_named(host_of(L), name))
		fail_here(L, "net:place(\"%s\"): there is no such model (tollgate list models)", name);
	if (lua_isnoneornil(L, 4)) {
		lua_settop(L, 3);
		lua_newtable(L);
	}
	luaL_checktype(L, 4, LUA_TTABLE);
	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_PLACES);
	lua_createtable(L, 0, 3);
	lua_pushvalue(L, 3);
	lua_setfield(L, -2, "fn");
	lua_pushvalue(L, 4);
	lua_setfield(L, -2, "keys");
	lua_pushinteger(L, 0);
	lua_setfield(L, -2, "nth");
	lua_setfield(L, -2, name);
	return 0;
}

/*
 * Upon return the table at index has what the placement gave where the scenario was silent, and no longer the placement's
 * own keys. The scenario's table itself is not touched: index is replaced by a copy.
 */
void placement_apply(lua_State *L, const struct model *model, const char *name, int index)
{
	int place, keys, given;
	size_t count;

	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -5);
	}
	lua_replace(L, index);
	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_PLACES);
	if (lua_getfield(L, -1, model->name) != LUA_TTABLE) {
		lua_pop(L, 2);
		return;
	}
	place = lua_gettop(L);
	lua_getfield(L, place, "nth");
	lua_pushinteger(L, lua_tointeger(L, -1) + 1);
	lua_setfield(L, place, "nth");
	lua_pop(L, 1);
	lua_getfield(L, place, "fn");
	push_net(L);
	lua_pushstring(L, name);
	lua_pushvalue(L, index);
	lua_getfield(L, place, "nth");
	lua_call(L, 4, 1);
	given = lua_gettop(L);
	if (!lua_istable(L, given))
		fail_here(L, "the topology's placement of %s must return a table, found a %s", model->name, luaL_typename(L, given));
	for (lua_pushnil(L); lua_next(L, given); lua_pop(L, 1)) {
		lua_pushvalue(L, -2);
		if (lua_rawget(L, index) == LUA_TNIL) {
			lua_pushvalue(L, -3);
			lua_pushvalue(L, -3);
			lua_rawset(L, index);
		}
		lua_pop(L, 1);
	}
	lua_getfield(L, place, "keys");
	keys = lua_gettop(L);
	count = push_sorted_keys(L, keys);
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i);
		lua_pushnil(L);
		lua_rawset(L, index);
	}
	lua_settop(L, place - 2);
}

void placement_names(lua_State *L, const struct model *model, struct names *known)
{
	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_PLACES);
	if (lua_getfield(L, -1, model->name) == LUA_TTABLE) {
		size_t count;

		lua_getfield(L, -1, "keys");
		count = push_sorted_keys(L, -1);
		for (size_t i = 1; i <= count; i++) {
			/* The names are anchored in the table of keys, which lives as long as the placement. */
			if (lua_rawgeti(L, -1, (lua_Integer)i) == LUA_TSTRING)
				names_add(known, lua_tostring(L, -1));
			lua_pop(L, 1);
		}
		lua_pop(L, 2);
	}
	lua_pop(L, 2);
}

/* net.NAME */
static int net_index(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "link", net_link }, { "nodes", net_nodes }, { "has", net_has }, { "place", net_place }, { NULL, NULL },
	};
	struct host *host = host_of(L);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const struct model *model;
	struct node *node;
	struct link *link;

	topology_ready(L);
	for (const luaL_Reg *m = methods; m->name; m++) {
		if (strcmp(m->name, name) == 0) {
			lua_pushcfunction(L, m->func);
			return 1;
		}
		names_add(&known, m->name);
	}
	model = model_named(host, name);
	node = node_find(host->sim, name);
	link = link_find(host->sim, name);
	pending_finish_own(L, model ? NULL : node);
	if (model) {
		push_constructor(L, model);
	} else if (node) {
		push_element(L, node);
	} else if (link) {
		push_link(L, link);
	} else {
		for (const struct model *const *m = host->options->models; *m; m++)
			names_add(&known, (*m)->name);
		for (node = host->sim->nodes; node; node = node->next)
			names_add(&known, node->name);
		for (link = host->sim->links; link; link = link->next)
			names_add(&known, link->name);
		text_unknown(&text, name, &known);
		fail_here(L, "net has no element, link or model %s", text.s);
	}
	return 1;
}

static int net_call(lua_State *L)
{
	if (!host_of(L)->topology_pending)
		fail_here(L, "the net has been built already");
	luaL_checktype(L, 2, LUA_TTABLE);
	topology_load(L, 2);
	lua_settop(L, 1);
	return 1;
}

static int net_new_index(lua_State *L)
{
	safe_tostring(L, 2);
	return fail_here(L, "net.%s cannot be set; elements are made by net:MODEL \"name\" { ... }", lua_tostring(L, -1));
}

static void net_new(lua_State *L)
{
	struct host *host = host_of(L);

	need_header(L);
	if (host->net_made)
		fail_here(L, "a scenario has one net; the topology has been chosen already");
	host->net_made = true;
	lua_newuserdatauv(L, 0, 0);
	luaL_setmetatable(L, TYPE_NET);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_NET);
}

/* Topology files */

const char *host_scenarios_dir(void)
{
	const char *dir = getenv("TOLLGATE_SCENARIOS");

	return dir && *dir ? dir : "scenarios";
}

static bool readable(const char *path)
{
	return access(path, R_OK) == 0;
}

bool scenario_file_path(const struct host *host, const char *folder, const char *name, char path[SCENARIO_PATH_LEN])
{
	size_t len = strlen(host->options->script);

	while (len > 0) {
		while (len > 0 && host->options->script[len - 1] != '/')
			len--;
		if (len > SCENARIO_PATH_LEN / 2)
			break;
		snprintf(path, SCENARIO_PATH_LEN, "%.*s%s/%s.lua", (int)len, host->options->script, folder, name);
		if (readable(path))
			return true;
		snprintf(path, SCENARIO_PATH_LEN, "%.*sscenarios/%s/%s.lua", (int)len, host->options->script, folder, name);
		if (readable(path))
			return true;
		if (len > 0)
			len--;
	}
	snprintf(path, SCENARIO_PATH_LEN, "%s/%s.lua", folder, name);
	if (readable(path))
		return true;
	snprintf(path, SCENARIO_PATH_LEN, "%s/%s/%s.lua", host_scenarios_dir(), folder, name);
	return readable(path);
}

bool scenario_file_name(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(name);
}

int scenario_file_load(lua_State *L, const char *path, const char *what, char hash[65])
{
	struct host *host = host_of(L);
	uint8_t digest[32];
	size_t len;
	char *bytes = file_read(path, &len), *name;
	int status;

	if (!bytes)
		fail_here(L, "%s: %s cannot be read: %s", what, path, strerror(errno));
	crypto_sha256(world_crypto(host->world), (const uint8_t *)bytes, len, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(hash + 2 * i, 3, "%02x", digest[i]);
	name = host_script_name(path);
	status = sandbox_load(L, bytes, len, name);
	free(bytes);
	free(name);
	return status;
}

static void topology_read(lua_State *L, const char *path)
{
	struct host *host = host_of(L);
	char what[SCENARIO_PATH_LEN];

	snprintf(what, sizeof what, "topology %s", host->topology_name);
	if (scenario_file_load(L, path, what, host->topology_hash) != LUA_OK)
		lua_error(L);
}

static void topology_load(lua_State *L, int options)
{
	struct host *host = host_of(L);
	char path[SCENARIO_PATH_LEN];
	int top = lua_gettop(L);

	host->topology_pending = false;
	if (!scenario_file_path(host, "topologies", host->topology_name, path))
		fail_here(L, "there is no topology \"%s\": no file topologies/%s.lua beside the scenario or in %s", host->topology_name,
		     host->topology_name, host_scenarios_dir());
	topology_read(L, path);
	lua_settop(L, top + 1);
	if (!lua_isfunction(L, -1))
		fail_here(L, "topology %s must return function(net, options)", host->topology_name);
	push_net(L);
	lua_pushvalue(L, options);
	lua_call(L, 2, 0);
	pending_finish(L);
	lua_settop(L, top);
}

static int fn_topology(lua_State *L)
{
	struct host *host = host_of(L);
	const char *name;

	if (lua_type(L, 1) != LUA_TSTRING)
		fail_here(L, "topology must be given a name; write topology \"two_branches\" {}");
	name = lua_tostring(L, 1);
	if (!scenario_file_name(name))
		fail_here(L, "topology \"%s\": a name is letters, digits, _ and -", name);
	net_new(L);
	host->topology_name = sim_strdup(name);
	host->topology_pending = true;
	if (lua_istable(L, 2))
		topology_load(L, 2);
	push_net(L);
	return 1;
}

static int fn_network(lua_State *L)
{
	net_new(L);
	return 1;
}

void topology_open(lua_State *L)
{
	static const luaL_Reg net[] = {
		{ "__index", net_index }, { "__newindex", net_new_index }, { "__call", net_call }, { NULL, NULL },
	};

	new_type(L, TYPE_NET, net);
	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_SUBNETS);
	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_PLACES);
	lua_register(L, "topology", fn_topology);
	lua_register(L, "network", fn_network);
}

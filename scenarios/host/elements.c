/*
 * net:MODEL "name" { ... }: makes an element from a model's descriptor.
 *
 * The table's keys are the model's parameters, what the topology's placement understands, and what every element takes: on,
 * gateway, routes, service. All of it is checked before the first interface is made.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"
#include "sim/ip.h"
#include "sim/service.h"

#define ELEMENT_INTERFACES_MAX 64

static const char *const common_keys[] = { "on", "gateway", "routes", "service" };

struct iface_plan {
	struct link *link;
	uint32_t ip, gateway;
	uint8_t prefix_len, mac[6];
	bool has_mac;
	char name[16];
};

struct element_plan {
	struct iface_plan ifaces[ELEMENT_INTERFACES_MAX];
	size_t iface_count;
	char what[NODE_NAME_MAX + 64];
};

static struct link *link_arg(lua_State *L, const struct element_plan *plan, int index)
{
	struct value value;
	struct text found = { .len = 0 };

	if (value_from_lua(L, index, VALUE_LINK, &value))
		return value.link;
	text_found(&found, L, index);
	fail_here(L, "%s: on must name links, found %s; write on = { { link, \"10.1.0.2/24\" } }", plan->what, found.s);
}

static bool is_address_word(lua_State *L, int index)
{
	const char *s = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";

	return strchr(s, '/') || strcmp(s, "auto") == 0 || strcmp(s, "none") == 0;
}

static void plan_address(lua_State *L, const struct element_plan *plan, struct iface_plan *iface, int index)
{
	const char *s = lua_isnil(L, index) ? "auto" : lua_tostring(L, index);

	if (s && strcmp(s, "none") == 0)
		return;
	if (s && strcmp(s, "auto") == 0) {
		subnet_next(L, iface->link, &iface->ip, &iface->prefix_len, &iface->gateway);
		return;
	}
	if (!s || !subnet_parse(s, &iface->ip, &iface->prefix_len))
		fail_here(L, "%s: on link %s: address must be \"10.1.0.2/24\", \"auto\" or \"none\", found %s", plan->what,
		     iface->link->name, s ? s : luaL_typename(L, index));
	if (link_neighbour(iface->link, iface->ip))
		fail_here(L, "%s: on link %s: %s is taken by %s", plan->what, iface->link->name, s,
		     link_neighbour(iface->link, iface->ip)->node->name);
}

static void check_iface_keys(lua_State *L, const struct element_plan *plan, int entry)
{
	size_t count = push_sorted_keys(L, entry);

	for (size_t i = 1; i <= count; i++) {
		struct names known = { .count = 0 };
		struct text text = { .len = 0 };

		lua_rawgeti(L, -1, (lua_Integer)i);
		safe_tostring(L, -1);
		if (strcmp(lua_tostring(L, -1), "1") != 0 && strcmp(lua_tostring(L, -1), "2") != 0
		    && strcmp(lua_tostring(L, -1), "mac") != 0 && strcmp(lua_tostring(L, -1), "name") != 0) {
			names_add(&known, "mac");
			names_add(&known, "name");
			text_unknown(&text, lua_tostring(L, -1), &known);
			fail_here(L, "%s: on: unknown key %s; write { link, \"10.1.0.2/24\", mac = \"02:00:00:00:00:01\", name = \"eth0\" }",
			     plan->what, text.s);
		}
		lua_pop(L, 2);
	}
	lua_pop(L, 1);
}

static void plan_entry_table(lua_State *L, const struct element_plan *plan, struct iface_plan *iface, int entry)
{
	int top = lua_gettop(L);

	check_iface_keys(L, plan, entry);
	lua_geti(L, entry, 1);
	iface->link = link_arg(L, plan, -1);
	lua_geti(L, entry, 2);
	plan_address(L, plan, iface, -1);
	if (lua_getfield(L, entry, "mac") != LUA_TNIL) {
		if (lua_type(L, -1) != LUA_TSTRING || !mac_parse(lua_tostring(L, -1), iface->mac))
			fail_here(L, "%s: mac must be six bytes; write mac = \"02:00:00:00:00:01\"", plan->what);
		iface->has_mac = true;
	}
	if (lua_getfield(L, entry, "name") != LUA_TNIL) {
		if (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) == 0 || lua_rawlen(L, -1) >= sizeof iface->name)
			fail_here(L, "%s: name of an interface must be a short text; write name = \"eth0\"", plan->what);
		snprintf(iface->name, sizeof iface->name, "%s", lua_tostring(L, -1));
	}
	lua_settop(L, top);
}

static void plan_iface(lua_State *L, struct element_plan *plan, int entry)
{
	struct iface_plan *iface = &plan->ifaces[plan->iface_count];

	if (plan->iface_count == ELEMENT_INTERFACES_MAX)
		fail_here(L, "%s: more than %d interfaces", plan->what, ELEMENT_INTERFACES_MAX);
	memset(iface, 0, sizeof *iface);
	snprintf(iface->name, sizeof iface->name, "eth%zu", plan->iface_count);
	if (lua_istable(L, entry)) {
		plan_entry_table(L, plan, iface, entry);
	} else {
		iface->link = link_arg(L, plan, entry);
		lua_pushnil(L);
		plan_address(L, plan, iface, -1);
		lua_pop(L, 1);
	}
	plan->iface_count++;
}

/* Whether the table at index is one interface and not a list of them. */
static bool is_single_entry(lua_State *L, int index)
{
	bool single;

	lua_geti(L, index, 2);
	lua_getfield(L, index, "mac");
	lua_getfield(L, index, "name");
	single = is_address_word(L, -3) || !lua_isnil(L, -2) || !lua_isnil(L, -1);
	lua_pop(L, 3);
	return single;
}

static void plan_on(lua_State *L, struct element_plan *plan, int opts)
{
	int on;

	if (lua_getfield(L, opts, "on") == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	on = lua_gettop(L);
	if (!lua_istable(L, on) || is_single_entry(L, on)) {
		plan_iface(L, plan, on);
	} else {
		lua_Integer n = luaL_len(L, on);

		for (lua_Integer i = 1; i <= n; i++) {
			lua_geti(L, on, i);
			plan_iface(L, plan, lua_gettop(L));
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

/* Routes */

static uint32_t prefix_mask(uint8_t prefix_len)
{
	return prefix_len == 0 ? 0 : UINT32_MAX << (32 - prefix_len);
}

/* The interface through which a gateway is reached; raises when there is none. */
static size_t gateway_iface(lua_State *L, const struct element_plan *plan, uint32_t gateway, const char *key)
{
	char text[IP_TEXT_LEN];

	for (size_t i = 0; i < plan->iface_count; i++) {
		const struct iface_plan *iface = &plan->ifaces[i];

		if (iface->ip && ((iface->ip ^ gateway) & prefix_mask(iface->prefix_len)) == 0)
			return i;
	}
	fail_here(L, "%s: %s %s is on none of its networks", plan->what, key, ip_text(gateway, text));
}

static uint32_t gateway_text(lua_State *L, const struct element_plan *plan, const char *key, int index)
{
	uint32_t ip;

	if (lua_type(L, index) != LUA_TSTRING || !ip_parse(lua_tostring(L, index), &ip))
		fail_here(L, "%s: %s must be an address; write \"10.1.0.1\"", plan->what, key);
	return ip;
}

static struct iface *nth_iface(struct node *node, size_t n)
{
	struct iface *iface = node->ifaces;

	while (n-- > 0)
		iface = iface->next;
	return iface;
}

/* Checks gateway and routes when node is NULL, else makes them. */
static void routes_do(lua_State *L, const struct element_plan *plan, struct node *node, int opts)
{
	int top = lua_gettop(L), routes;
	uint32_t gateway = 0, prefix;
	uint8_t prefix_len;
	size_t via, count;

	if (lua_getfield(L, opts, "gateway") != LUA_TNIL)
		gateway = gateway_text(L, plan, "gateway", -1);
	for (size_t i = 0; i < plan->iface_count && !gateway; i++)
		if (plan->ifaces[i].gateway != plan->ifaces[i].ip)
			gateway = plan->ifaces[i].gateway;
	if (gateway) {
		via = gateway_iface(L, plan, gateway, "gateway");
		if (node)
			ip_route_add(node, 0, 0, gateway, nth_iface(node, via));
	}
	if (lua_getfield(L, opts, "routes") == LUA_TNIL) {
		lua_settop(L, top);
		return;
	}
	routes = lua_gettop(L);
	if (!lua_istable(L, routes))
		fail_here(L, "%s: routes must be a table; write routes = { [\"10.2.0.0/16\"] = \"10.0.0.2\" }", plan->what);
	count = push_sorted_keys(L, routes);
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, routes + 1, (lua_Integer)i);
		if (lua_type(L, -1) != LUA_TSTRING || !subnet_parse(lua_tostring(L, -1), &prefix, &prefix_len))
			fail_here(L, "%s: routes must name networks; write routes = { [\"10.2.0.0/16\"] = \"10.0.0.2\" }", plan->what);
		lua_gettable(L, routes);
		gateway = gateway_text(L, plan, "the gateway of a route", -1);
		via = gateway_iface(L, plan, gateway, "gateway");
		if (node)
			ip_route_add(node, prefix & prefix_mask(prefix_len), prefix_len, gateway, nth_iface(node, via));
		lua_pop(L, 1);
	}
	lua_settop(L, top);
}

/* Service times */

struct profile {
	struct service_profile service;
	struct profile *next;
};

void profiles_free(struct host *host)
{
	while (host->profiles) {
		struct profile *next = host->profiles->next;

		free(host->profiles);
		host->profiles = next;
	}
}

static const char *const service_keys[SERVICE_OP_COUNT] = {
	[SERVICE_RSA_PRIVATE] = "rsa_private", [SERVICE_RSA_PUBLIC] = "rsa_public", [SERVICE_DH] = "dh",
	[SERVICE_CIPHER_KB] = "cipher_kb", [SERVICE_HASH_KB] = "hash_kb", [SERVICE_MESSAGE] = "message",
};

#define SERVICE_PARAM_COUNT (SERVICE_OP_COUNT + 2)

/* The `service` table goes through the same check as any arguments. */
static const struct args *service_args(lua_State *L, const struct element_plan *plan, int opts)
{
	struct param params[SERVICE_PARAM_COUNT + 1] = {
		{ .name = "servers", .type = VALUE_INT }, { .name = "queue_max", .type = VALUE_INT },
	};
	struct text what = { .len = 0 };

	if (lua_getfield(L, opts, "service") == LUA_TNIL) {
		lua_pop(L, 1);
		return NULL;
	}
	text_add(&what, "%s: service", plan->what);
	if (!lua_istable(L, -1))
		fail_here(L, "%s must be a table; write service = { servers = 4, rsa_private = \"8ms\" }", what.s);
	for (size_t i = 0; i < SERVICE_OP_COUNT; i++)
		params[i + 2] = (struct param){ .name = service_keys[i], .type = VALUE_TIME };
	return args_check(L, what.s, params, 0, lua_gettop(L), NULL);
}

static void service_apply(lua_State *L, struct host *host, struct node *node, const struct args *args)
{
	const struct service_profile *base = service_profile(node);
	int64_t servers, queue_max;
	struct profile *profile;

	if (!args)
		return;
	if (!base)
		base = &service_server;
	servers = args_int(args, "servers", base->servers);
	queue_max = args_int(args, "queue_max", base->queue_max);
	if (servers < 1 || servers > 1024 || queue_max < 0 || queue_max > INT32_MAX)
		fail_here(L, "%s: service: servers must be 1 to 1024, queue_max 0 or more", node->name);
	profile = sim_alloc(sizeof *profile);
	profile->next = host->profiles;
	host->profiles = profile;
	profile->service = *base;
	profile->service.servers = (unsigned)servers;
	profile->service.queue_max = (unsigned)queue_max;
	for (size_t i = 0; i < SERVICE_OP_COUNT; i++)
		profile->service.cost_ns[i] = args_time(args, service_keys[i], base->cost_ns[i]);
	service_set(node, &profile->service);
}

/* Building */

static void make_ifaces(struct node *node, const struct element_plan *plan)
{
	for (size_t i = 0; i < plan->iface_count; i++) {
		const struct iface_plan *p = &plan->ifaces[i];

		iface_new(node, p->link, p->name, p->has_mac ? p->mac : NULL, p->ip, p->prefix_len);
	}
}

void element_build(lua_State *L, int index)
{
	struct host *host = host_of(L);
	struct node *node = host->pending.node;
	const struct model *model = host->pending.model;
	struct names extra = { .count = 0 };
	char error[MODEL_ERROR_LEN] = "";
	struct element_plan *plan;
	const struct args *args, *service;
	int top = lua_gettop(L), opts;

	host->pending.node = NULL;
	lua_pushvalue(L, index);
	opts = lua_gettop(L);
	placement_apply(L, model, node->name, opts);
	plan = lua_newuserdatauv(L, sizeof *plan, 0);
	memset(plan, 0, sizeof *plan);
	snprintf(plan->what, sizeof plan->what, "%s \"%s\"", model->name, node->name);
	for (size_t i = 0; i < sizeof common_keys / sizeof *common_keys; i++)
		names_add(&extra, common_keys[i]);
	placement_names(L, model, &extra);
	args = args_check(L, plan->what, model->params, 0, opts, &extra);
	plan_on(L, plan, opts);
	routes_do(L, plan, NULL, opts);
	service = service_args(L, plan, opts);
	make_ifaces(node, plan);
	routes_do(L, plan, node, opts);
	node->model = model;
	if (model->create && !model->create(node, args, error)) {
		node->model = NULL;
		fail_here(L, "%s: %s", plan->what, error);
	}
	service_apply(L, host, node, service);
	if (host->started && model->start)
		model->start(node);
	lua_settop(L, top);
}

void pending_finish(lua_State *L)
{
	struct host *host = host_of(L);

	host->pending.link = NULL;
	if (!host->pending.node)
		return;
	lua_newtable(L);
	element_build(L, lua_gettop(L));
	lua_pop(L, 1);
}

/* Reading something of another element, as between the braces of the one that is pending, leaves that one alone. */
void pending_finish_own(lua_State *L, const struct node *node)
{
	if (node && host_of(L)->pending.node == node)
		pending_finish(L);
}

/* Upvalue 1: the model. */
static int construct(lua_State *L)
{
	const struct model *model = lua_touserdata(L, lua_upvalueindex(1));
	struct host *host = host_of(L);
	struct node *node;

	if (!luaL_testudata(L, 1, TYPE_NET))
		fail_here(L, "write net:%s \"name\" { ... } with a colon", model->name);
	pending_finish(L);
	node = node_new(host->sim, new_name(L, 2, model->name));
	host->pending.node = node;
	host->pending.model = model;
	if (lua_istable(L, 3))
		element_build(L, 3);
	push_element(L, node);
	return 1;
}

void push_constructor(lua_State *L, const struct model *model)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)model);
	lua_pushcclosure(L, construct, 1);
}

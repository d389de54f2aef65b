/*
 * What a scenario holds in its hands: elements (nodes), links, and the objects verbs return, as userdata.
 *
 * One userdata a thing (kept in a weak table), so that == works. An object counts references: each userdata holds one; the
 * last to let go calls the class's free. A model that keeps a pointer of its own holds a reference, too.
 */
#include <string.h>
#include "scenarios/host/internal.h"

#define REGISTRY_WRAPPED "tollgate.wrapped" /* pointer -> userdata, weak */

static void *unwrap(lua_State *L, int index, const char *type)
{
	void **box = luaL_testudata(L, index, type);

	return box ? *box : NULL;
}

/* Pushes the userdata of a pointer; true when it is new. */
static bool push_wrapped(lua_State *L, void *what, const char *type)
{
	void **box;

	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_WRAPPED);
	if (lua_rawgetp(L, -1, what) == LUA_TUSERDATA) {
		lua_remove(L, -2);
		return false;
	}
	lua_pop(L, 1);
	box = lua_newuserdatauv(L, sizeof *box, 0);
	*box = NULL;
	luaL_setmetatable(L, type);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, -3, what);
	lua_remove(L, -2);
	*box = what;
	return true;
}

void push_element(lua_State *L, struct node *node)
{
	push_wrapped(L, node, TYPE_ELEMENT);
}

void push_link(lua_State *L, struct link *link)
{
	push_wrapped(L, link, TYPE_LINK);
}

void push_object(lua_State *L, struct object *object)
{
	if (push_wrapped(L, object, TYPE_OBJECT))
		object->refs++;
}

struct node *element_at(lua_State *L, int index)
{
	return unwrap(L, index, TYPE_ELEMENT);
}

struct link *link_at(lua_State *L, int index)
{
	return unwrap(L, index, TYPE_LINK);
}

struct object *object_at(lua_State *L, int index)
{
	return unwrap(L, index, TYPE_OBJECT);
}

void object_release(struct object *object)
{
	if (--object->refs == 0 && object->class_->free)
		object->class_->free(object);
}

static int object_gc(lua_State *L)
{
	struct object *object = object_at(L, 1);

	if (object)
		object_release(object);
	return 0;
}

/* Attributes */

static const struct attribute common_attributes[] = {
	{ "name", VALUE_TEXT, "its name" },
	{ "model", VALUE_TEXT, "what kind of element it is" },
	{ "ip", VALUE_TEXT, "address of its first interface" },
	{ "mac", VALUE_TEXT, "hardware address of its first interface" },
	{ "segment", VALUE_LINK, "link of its first interface" },
	{ NULL, VALUE_NIL, NULL },
};

const struct attribute *common_attribute_list(void)
{
	return common_attributes;
}

static const struct attribute *attribute_find(const struct attribute *list, const char *name)
{
	for (; list && list->name; list++)
		if (strcmp(list->name, name) == 0)
			return list;
	return NULL;
}

static void attributes_name(const struct attribute *list, struct names *known)
{
	for (; list && list->name; list++)
		names_add(known, list->name);
}

const struct attribute *attribute_of(const struct node *node, const struct object *object, const char *name,
                                     struct names *known)
{
	const struct attribute *list = object ? object->class_->attributes : node->model ? node->model->attributes : NULL;
	const struct attribute *found = attribute_find(list, name);

	if (!found && !object)
		found = attribute_find(common_attributes, name);
	if (!found && known) {
		attributes_name(list, known);
		if (!object)
			attributes_name(common_attributes, known);
	}
	return found;
}

static bool common_value(struct node *node, const char *name, struct value *out, char room[32])
{
	const struct iface *iface = node->ifaces;

	*out = value_nil();
	if (strcmp(name, "name") == 0) {
		*out = value_text(node->name);
	} else if (strcmp(name, "model") == 0) {
		*out = value_text(node->model ? node->model->name : NULL);
	} else if (strcmp(name, "ip") == 0 && iface && iface->ip) {
		*out = value_text(ip_text(iface->ip, room));
	} else if (strcmp(name, "mac") == 0 && iface) {
		snprintf(room, 32, "%02x:%02x:%02x:%02x:%02x:%02x", iface->mac[0], iface->mac[1], iface->mac[2], iface->mac[3],
		         iface->mac[4], iface->mac[5]);
		*out = value_text(room);
	} else if (strcmp(name, "segment") == 0 && iface) {
		out->type = VALUE_LINK;
		out->link = iface->link;
	}
	return out->type != VALUE_NIL;
}

bool attribute_value(struct node *node, struct object *object, const char *name, struct value *out, char room[32])
{
	*out = value_nil();
	if (object)
		return object->class_->get(object, name, out);
	if (node->model && attribute_find(node->model->attributes, name))
		return node->model->get && node->model->get(node, name, out);
	return common_value(node, name, out, room);
}

/* Pushes an attribute's value; nil when it is not known yet. */
static void push_attribute(lua_State *L, struct node *node, struct object *object, const char *name)
{
	struct value value;
	char room[32];

	if (attribute_value(node, object, name, &value, room))
		value_push(L, &value);
	else
		lua_pushnil(L);
}

/* Verbs */

struct call { /* a verb about to be called */
	const char *name, *returns;
	const struct param *params;
	const struct verb *verb;
	const struct object_verb *object_verb;
	struct node *node;
	struct object *object;
};

static bool is_plain_table(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TTABLE;
}

static bool has_param(const struct param *params, const char *name)
{
	for (; params && params->name; params++)
		if (strcmp(params->name, name) == 0)
			return true;
	return false;
}

/* The host's own `within`: how long to wait until what the verb returns is ready. -1: not given. */
static sim_ns take_within(lua_State *L, const struct call *call, const char *what, int named)
{
	struct value value;

	if (!named || has_param(call->params, "within"))
		return -1;
	lua_pushliteral(L, "within");
	if (lua_rawget(L, named) == LUA_TNIL) {
		lua_pop(L, 1);
		return -1;
	}
	if (!value_from_lua(L, -1, VALUE_TIME, &value)) {
		struct text found = { .len = 0 };

		text_found(&found, L, -1);
		fail_here(L, "%s: within must be a time, found %s; write within = \"5s\"", what, found.s);
	}
	lua_pop(L, 1);
	return value.integer;
}

static void invoke(lua_State *L, const struct call *call, const struct args *args, struct verb_result *result)
{
	memset(result, 0, sizeof *result);
	if (call->verb)
		call->verb->fn(call->node, args, result);
	else
		call->object_verb->fn(call->object, args, result);
	(void)L;
}

static int call_verb(lua_State *L, const struct call *call)
{
	struct names extra = { .count = 0 };
	struct verb_result result;
	struct text what = { .len = 0 };
	int top = lua_gettop(L), named, first;
	struct args *args;
	sim_ns within_ns;

	if (call->object)
		text_add(&what, "%s of %s: %s", call->object->class_->name, call->node->name, call->name);
	else
		text_add(&what, "%s:%s", call->node->name, call->name);
	if (!host_of(L)->started)
		fail_here(L, "%s: the clock has not started; verbs belong inside run(function() ... end)", what.s);
	named = top >= 2 && is_plain_table(L, top) ? top : 0;
	first = top >= 2 && named != 2 ? 2 : 0;
	if (top > 3 || (top == 3 && !named))
		fail_here(L, "%s: too many arguments; the first may stand alone, the others are named: (first, { name = value })", what.s);
	if (first && lua_isnil(L, first)) {
		fail_here(L, "%s: the first argument is nil", what.s);
	}
	if (call->returns && call->returns[0])
		names_add(&extra, "within");
	within_ns = take_within(L, call, what.s, named);
	args = args_check(L, what.s, call->params, first, named, &extra);
	invoke(L, call, args, &result);
	if (result.error[0])
		fail_here(L, "%s: %s", what.s, result.error);
	value_push(L, &result.value);
	if (within_ns < 0)
		return 1;
	if (result.value.type != VALUE_OBJECT || !attribute_of(NULL, result.value.object, "ready", NULL))
		fail_here(L, "%s: what it returns is never \"ready\", so within has no meaning here", what.s);
	return claim_ready(L, lua_gettop(L), what.s, within_ns);
}

static const struct verb *verb_of(const struct node *node, const char *name)
{
	const struct verb *verb = node->model ? node->model->verbs : NULL;

	for (; verb && verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

static const struct object_verb *object_verb_of(const struct object *object, const char *name)
{
	for (const struct object_verb *verb = object->class_->verbs; verb && verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

static int element_verb(lua_State *L)
{
	const struct verb *verb = lua_touserdata(L, lua_upvalueindex(1));
	struct call call = { .name = verb->name, .returns = verb->returns, .params = verb->params, .verb = verb };

	call.node = element_at(L, 1);
	if (!call.node)
		fail_here(L, "write ELEMENT:%s(...) with a colon", verb->name);
	pending_finish(L);
	if (verb_of(call.node, verb->name) != verb)
		fail_here(L, "%s is of another model and has no such %s", call.node->name, verb->name);
	return call_verb(L, &call);
}

static int object_verb(lua_State *L)
{
	const struct object_verb *verb = lua_touserdata(L, lua_upvalueindex(1));
	struct call call = { .name = verb->name, .returns = verb->returns, .params = verb->params, .object_verb = verb };

	call.object = object_at(L, 1);
	if (!call.object)
		fail_here(L, "write OBJECT:%s(...) with a colon", verb->name);
	if (object_verb_of(call.object, verb->name) != verb)
		fail_here(L, "a %s has no such %s", call.object->class_->name, verb->name);
	call.node = call.object->node;
	return call_verb(L, &call);
}

static int element_restart(lua_State *L)
{
	struct node *node = element_at(L, 1);

	if (!node)
		fail_here(L, "write ELEMENT:restart() with a colon");
	if (!host_of(L)->started)
		fail_here(L, "%s:restart: the clock has not started; verbs belong inside run(function() ... end)", node->name);
	if (!node->model || !node->model->restart)
		fail_here(L, "%s cannot be restarted", node->name);
	node->model->restart(node);
	return 0;
}

/* Elements */

/* Any attribute by name, also one that a verb hides. */
static int element_get(lua_State *L)
{
	struct node *node = element_at(L, 1);
	struct object *object = object_at(L, 1);
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const char *name;

	if (!node && !object)
		fail_here(L, "write ELEMENT:get \"attribute\" with a colon");
	if (lua_type(L, 2) != LUA_TSTRING)
		fail_here(L, "get must be given a name; write %s:get \"attribute\"", node ? node->name : object->class_->name);
	pending_finish_own(L, node);
	name = lua_tostring(L, 2);
	if (!attribute_of(node, object, name, &known)) {
		text_unknown(&text, name, &known);
		fail_here(L, "%s: unknown attribute %s", node ? node->name : object->class_->name, text.s);
	}
	push_attribute(L, node, object, name);
	return 1;
}

static void push_interfaces(lua_State *L, const struct node *node)
{
	lua_Integer n = 0;
	char room[32];

	lua_newtable(L);
	for (struct iface *iface = node->ifaces; iface; iface = iface->next) {
		lua_newtable(L);
		lua_pushstring(L, iface->name);
		lua_setfield(L, -2, "name");
		if (iface->ip)
			lua_pushstring(L, ip_text(iface->ip, room));
		else
			lua_pushnil(L);
		lua_setfield(L, -2, "ip");
		snprintf(room, sizeof room, "%02x:%02x:%02x:%02x:%02x:%02x", iface->mac[0], iface->mac[1], iface->mac[2],
		         iface->mac[3], iface->mac[4], iface->mac[5]);
		lua_pushstring(L, room);
		lua_setfield(L, -2, "mac");
		push_link(L, iface->link);
		lua_setfield(L, -2, "link");
		lua_rawseti(L, -2, ++n);
	}
}

static void fail_unknown_member(lua_State *L, const struct node *node, const struct object *object, const char *name)
{
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };

	attribute_of(node, object, name, &known);
	for (const struct verb *v = node && node->model ? node->model->verbs : NULL; v && v->name; v++)
		names_add(&known, v->name);
	for (const struct object_verb *v = object ? object->class_->verbs : NULL; v && v->name; v++)
		names_add(&known, v->name);
	names_add(&known, "expect");
	names_add(&known, "stays");
	names_add(&known, "get");
	text_unknown(&text, name, &known);
	if (node)
		fail_here(L, "%s (%s) has no attribute or verb %s", node->name, node->model ? node->model->name : "node", text.s);
	fail_here(L, "a %s has no attribute or verb %s", object->class_->name, text.s);
}

/* expect, stays, get; false: none of these. */
static bool push_common_method(lua_State *L, const char *name)
{
	lua_CFunction fn = strcmp(name, "expect") == 0 ? claim_expect
		: strcmp(name, "stays") == 0 ? claim_stays : strcmp(name, "get") == 0 ? element_get : NULL;

	if (!fn)
		return false;
	lua_pushcfunction(L, fn);
	return true;
}

static int element_index(lua_State *L)
{
	struct node *node = element_at(L, 1);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	const struct verb *verb;

	pending_finish_own(L, node);
	verb = verb_of(node, name);
	if (verb) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)verb);
		lua_pushcclosure(L, element_verb, 1);
		return 1;
	}
	if (push_common_method(L, name))
		return 1;
	if (attribute_of(node, NULL, name, NULL)) {
		push_attribute(L, node, NULL, name);
		return 1;
	}
	if (strcmp(name, "interfaces") == 0) {
		push_interfaces(L, node);
		return 1;
	}
	if (strcmp(name, "restart") == 0 && node->model && node->model->restart) {
		lua_pushcfunction(L, element_restart);
		return 1;
	}
	fail_unknown_member(L, node, NULL, name);
	return 0;
}

static int read_only(lua_State *L)
{
	safe_tostring(L, 1);
	safe_tostring(L, 2);
	return fail_here(L, "%s.%s cannot be set", lua_tostring(L, -2), lua_tostring(L, -1));
}

static int element_tostring(lua_State *L)
{
	lua_pushstring(L, element_at(L, 1)->name);
	return 1;
}

/* net:MODEL "name" { ... }: the table that follows the name. */
static int element_call(lua_State *L)
{
	struct node *node = element_at(L, 1);

	if (host_of(L)->pending.node != node)
		fail_here(L, "%s has been made already", node->name);
	luaL_checktype(L, 2, LUA_TTABLE);
	element_build(L, 2);
	lua_settop(L, 1);
	return 1;
}

/* Objects */

static int object_index(lua_State *L)
{
	struct object *object = object_at(L, 1);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	const struct object_verb *verb;

	verb = object_verb_of(object, name);
	if (verb) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)verb);
		lua_pushcclosure(L, object_verb, 1);
		return 1;
	}
	if (push_common_method(L, name))
		return 1;
	if (!attribute_of(NULL, object, name, NULL))
		fail_unknown_member(L, NULL, object, name);
	push_attribute(L, NULL, object, name);
	return 1;
}

static int object_tostring(lua_State *L)
{
	struct object *object = object_at(L, 1);

	lua_pushfstring(L, "%s of %s", object->class_->name, object->node->name);
	return 1;
}

/* Links */

static int link_set(lua_State *L)
{
	struct link *link = link_at(L, 1);

	if (!link)
		fail_here(L, "write LINK:set { ... } with a colon");
	luaL_checktype(L, 2, LUA_TTABLE);
	link_configure(L, link, 2);
	return 0;
}

static int link_down(lua_State *L, bool down)
{
	struct link *link = link_at(L, 1);

	if (!link)
		fail_here(L, "write LINK:%s() with a colon", down ? "cut" : "mend");
	link->down = down;
	return 0;
}

static int link_cut(lua_State *L)
{
	return link_down(L, true);
}

static int link_mend(lua_State *L)
{
	return link_down(L, false);
}

static int link_index(lua_State *L)
{
	static const luaL_Reg methods[] = { { "set", link_set }, { "cut", link_cut }, { "mend", link_mend }, { NULL, NULL } };
	static const char *const members[] = { "name", "sent", "lost", "down", "set", "cut", "mend" };
	struct link *link = link_at(L, 1);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };

	for (const luaL_Reg *m = methods; m->name; m++) {
		if (strcmp(m->name, name) == 0) {
			lua_pushcfunction(L, m->func);
			return 1;
		}
	}
	if (strcmp(name, "name") == 0) {
		lua_pushstring(L, link->name);
	} else if (strcmp(name, "sent") == 0) {
		lua_pushinteger(L, (lua_Integer)link->sent);
	} else if (strcmp(name, "lost") == 0) {
		lua_pushinteger(L, (lua_Integer)link->lost);
	} else if (strcmp(name, "down") == 0) {
		lua_pushboolean(L, link->down);
	} else {
		for (size_t i = 0; i < sizeof members / sizeof *members; i++)
			names_add(&known, members[i]);
		text_unknown(&text, name, &known);
		fail_here(L, "link %s has no member %s", link->name, text.s);
	}
	return 1;
}

static int link_tostring(lua_State *L)
{
	lua_pushstring(L, link_at(L, 1)->name);
	return 1;
}

/* net:link "name" { ... } */
static int link_call(lua_State *L)
{
	struct host *host = host_of(L);
	struct link *link = link_at(L, 1);

	if (host->pending.link != link)
		fail_here(L, "link %s has been made already; change it by %s:set { ... }", link->name, link->name);
	host->pending.link = NULL;
	luaL_checktype(L, 2, LUA_TTABLE);
	link_configure(L, link, 2);
	lua_settop(L, 1);
	return 1;
}

/* Groups */

size_t group_count(lua_State *L, int index)
{
	size_t n;

	lua_getiuservalue(L, index, 1);
	n = lua_rawlen(L, -1);
	lua_pop(L, 1);
	return n;
}

static int group_index(lua_State *L)
{
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

	if (strcmp(name, "get") == 0 || !push_common_method(L, name))
		fail_here(L, "a group has only expect { ... } and stays { ... }, not \"%s\"", name);
	return 1;
}

static int make_group(lua_State *L, int members)
{
	size_t n = lua_rawlen(L, members);

	if (n == 0)
		fail_here(L, "nothing to expect of; write both(alice, bob) or all { alice, bob }");
	for (size_t i = 1; i <= n; i++) {
		struct text found = { .len = 0 };

		lua_rawgeti(L, members, (lua_Integer)i);
		if (!element_at(L, -1) && !object_at(L, -1)) {
			text_found(&found, L, -1);
			fail_here(L, "member %zu of the group is %s; it must be an element or an object", i, found.s);
		}
		lua_pop(L, 1);
	}
	lua_newuserdatauv(L, 0, 1);
	lua_pushvalue(L, members);
	lua_setiuservalue(L, -2, 1);
	luaL_setmetatable(L, TYPE_GROUP);
	return 1;
}

static int fn_both(lua_State *L)
{
	int n = lua_gettop(L);

	lua_createtable(L, n, 0);
	lua_insert(L, 1);
	for (int i = n; i >= 1; i--)
		lua_rawseti(L, 1, i);
	return make_group(L, 1);
}

static int fn_all(lua_State *L)
{
	size_t n;

	luaL_checktype(L, 1, LUA_TTABLE);
	n = lua_rawlen(L, 1);
	lua_createtable(L, (int)n, 0);
	for (size_t i = 1; i <= n; i++) {
		lua_rawgeti(L, 1, (lua_Integer)i);
		lua_rawseti(L, -2, (lua_Integer)i);
	}
	return make_group(L, lua_gettop(L));
}

const struct model *model_named(const struct host *host, const char *name)
{
	for (const struct model *const *m = host->options->models; *m; m++)
		if (strcmp((*m)->name, name) == 0)
			return *m;
	return NULL;
}

void objects_open(lua_State *L)
{
	static const luaL_Reg element[] = {
		{ "__index", element_index }, { "__newindex", read_only }, { "__tostring", element_tostring },
		{ "__call", element_call }, { NULL, NULL },
	};
	static const luaL_Reg object[] = {
		{ "__index", object_index }, { "__newindex", read_only }, { "__tostring", object_tostring },
		{ "__gc", object_gc }, { NULL, NULL },
	};
	static const luaL_Reg link[] = {
		{ "__index", link_index }, { "__newindex", read_only }, { "__tostring", link_tostring },
		{ "__call", link_call }, { NULL, NULL },
	};
	static const luaL_Reg group[] = { { "__index", group_index }, { "__newindex", read_only }, { NULL, NULL } };

	lua_newtable(L);
	lua_newtable(L);
	lua_pushstring(L, "v");
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
	lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_WRAPPED);
	new_type(L, TYPE_ELEMENT, element);
	new_type(L, TYPE_OBJECT, object);
	new_type(L, TYPE_LINK, link);
	new_type(L, TYPE_GROUP, group);
	lua_register(L, "both", fn_both);
	lua_register(L, "all", fn_all);
}

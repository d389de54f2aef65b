/*
 * Values between Lua and the models: units, conversion both ways, checked arguments.
 *
 * Quantities with a unit are text in a scenario and exact integers here: "1.5ms" is parsed digit by digit, never through a
 * floating-point number. A bare number for a time is refused, since nobody can see its unit.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"

struct unit {
	const char *name;
	int64_t factor;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* DIGITS[.DIGITS]UNIT to a whole number of the smallest unit; false when it is none or does not fit. */
static bool quantity_parse(const char *text, const struct unit *units, int64_t *out)
{
	__int128 value = 0, divisor = 1;
	const char *p = text;

	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++)
		if ((value = value * 10 + (*p - '0')) > INT64_MAX)
			return false;
	if (*p == '.') {
		if (!is_digit(*++p))
			return false;
		for (; is_digit(*p); p++) {
			value = value * 10 + (*p - '0');
			divisor *= 10;
			if (divisor > INT64_C(1000000000000000) || value > (__int128)INT64_MAX * divisor)
				return false;
		}
	}
	for (; units->name; units++)
		if (strcmp(p, units->name) == 0)
			break;
	if (!units->name)
		return false;
	value *= units->factor;
	if (value % divisor || value / divisor > INT64_MAX)
		return false;
	*out = (int64_t)(value / divisor);
	return true;
}

bool time_parse(const char *text, sim_ns *out)
{
	static const struct unit units[] = {
		{ "ns", 1 }, { "us", NS_PER_US }, { "ms", NS_PER_MS }, { "s", NS_PER_S }, { "min", 60 * NS_PER_S },
		{ "h", 3600 * NS_PER_S }, { "d", 86400 * NS_PER_S }, { NULL, 0 },
	};

	return quantity_parse(text, units, out);
}

bool host_time_parse(const char *text, sim_ns *out)
{
	return time_parse(text, out);
}

bool rate_parse(const char *text, uint64_t *bps)
{
	static const struct unit units[] = {
		{ "bit", 1 }, { "kbit", 1000 }, { "Mbit", 1000000 }, { "Gbit", 1000000000 }, { "bit/s", 1 },
		{ "kbit/s", 1000 }, { "Mbit/s", 1000000 }, { "Gbit/s", 1000000000 }, { NULL, 0 },
	};
	int64_t value;

	if (strcmp(text, "unlimited") == 0) {
		*bps = 0;
		return true;
	}
	if (!quantity_parse(text, units, &value) || value == 0)
		return false;
	*bps = (uint64_t)value;
	return true;
}

bool ratio_parse(const char *text, uint32_t *ppm)
{
	static const struct unit units[] = { { "%", 10000 }, { "ppm", 1 }, { NULL, 0 } };
	int64_t value;

	if (!quantity_parse(text, units, &value) || value > 1000000)
		return false;
	*ppm = (uint32_t)value;
	return true;
}

bool size_parse(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "B", 1 }, { "kB", 1000 }, { "MB", 1000000 }, { "KiB", 1024 }, { "MiB", 1048576 }, { NULL, 0 },
	};
	int64_t value;

	if (!quantity_parse(text, units, &value))
		return false;
	*bytes = (uint64_t)value;
	return true;
}

bool integer_parse(const char *text, int64_t *out)
{
	static const struct unit units[] = { { "", 1 }, { NULL, 0 } };
	bool minus = *text == '-';

	if (strchr(text, '.') || !quantity_parse(text + minus, units, out))
		return false;
	if (minus)
		*out = -*out;
	return true;
}

static bool digits(const char **p, int count, int *out)
{
	*out = 0;
	for (; count > 0; count--, (*p)++) {
		if (!is_digit(**p))
			return false;
		*out = *out * 10 + (**p - '0');
	}
	return true;
}

static bool literal(const char **p, char c)
{
	return *(*p)++ == c;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

bool epoch_parse(const char *text, int64_t *unix_s)
{
	static const int month_days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, mo, d, h, mi, s;
	bool leap;

	if (!digits(&text, 4, &y) || !literal(&text, '-') || !digits(&text, 2, &mo) || !literal(&text, '-')
	    || !digits(&text, 2, &d) || !literal(&text, 'T') || !digits(&text, 2, &h) || !literal(&text, ':')
	    || !digits(&text, 2, &mi) || !literal(&text, ':') || !digits(&text, 2, &s) || strcmp(text, "Z") != 0)
		return false;
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > month_days[mo - 1] || (mo == 2 && d == 29 && !leap) || h > 23
	    || mi > 59 || s > 59)
		return false;
	*unix_s = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
	return true;
}

bool subnet_parse(const char *text, uint32_t *ip, uint8_t *prefix_len)
{
	const char *slash = strchr(text, '/');
	char address[IP_TEXT_LEN];
	int64_t len;

	if (!slash || (size_t)(slash - text) >= sizeof address)
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (!ip_parse(address, ip) || !integer_parse(slash + 1, &len) || len < 0 || len > 32)
		return false;
	*prefix_len = (uint8_t)len;
	return true;
}

static int hex_digit(char c)
{
	static const char hex[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(hex, c) : NULL;

	return at ? (int)(at - hex) % 16 : -1;
}

bool mac_parse(const char *text, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

const char *time_text(sim_ns ns, char buf[TIME_TEXT_LEN])
{
	static const struct unit units[] = { { "s", NS_PER_S }, { "ms", NS_PER_MS }, { "us", NS_PER_US }, { "ns", 1 } };
	size_t i = 0;

	while (ns % units[i].factor)
		i++;
	snprintf(buf, TIME_TEXT_LEN, "%lld%s", (long long)(ns / units[i].factor), units[i].name);
	return buf;
}

const char *clock_text(sim_ns ns, char buf[TIME_TEXT_LEN])
{
	int n = snprintf(buf, TIME_TEXT_LEN, "%lld.%09lld", (long long)(ns / NS_PER_S), (long long)(ns % NS_PER_S));

	for (int zeros = 0; zeros < 6 && buf[n - 1] == '0'; zeros++)
		buf[--n] = '\0';
	snprintf(buf + n, (size_t)(TIME_TEXT_LEN - n), " s");
	return buf;
}

const char *type_text(enum value_type type)
{
	static const char *const names[] = {
		[VALUE_NIL] = "nothing", [VALUE_BOOL] = "true or false", [VALUE_INT] = "a whole number", [VALUE_TEXT] = "text",
		[VALUE_BYTES] = "bytes", [VALUE_TIME] = "a time", [VALUE_NODE] = "an element", [VALUE_OBJECT] = "an object",
		[VALUE_LINK] = "a link",
	};

	return names[type];
}

const char *type_example(enum value_type type)
{
	static const char *const examples[] = {
		[VALUE_NIL] = "nil", [VALUE_BOOL] = "true", [VALUE_INT] = "3", [VALUE_TEXT] = "\"text\"",
		[VALUE_BYTES] = "\"\\x00\\xff\"", [VALUE_TIME] = "\"20ms\"", [VALUE_NODE] = "alice or \"alice\"",
		[VALUE_OBJECT] = "what a verb returned", [VALUE_LINK] = "alice.segment or \"hfc1\"",
	};

	return examples[type];
}

static bool plain_text(lua_State *L, int index, const char **s, size_t *len)
{
	if (lua_type(L, index) != LUA_TSTRING)
		return false;
	*s = lua_tolstring(L, index, len);
	return strlen(*s) == *len;
}

/* A node by its element or name. */
static bool node_from_lua(lua_State *L, int index, struct value *out)
{
	const char *s;
	size_t len;

	out->node = element_at(L, index);
	if (!out->node && host_of(L)->sim && plain_text(L, index, &s, &len))
		out->node = node_find(host_of(L)->sim, s);
	return out->node != NULL;
}

static bool link_from_lua(lua_State *L, int index, struct value *out)
{
	const char *s;
	size_t len;

	out->link = link_at(L, index);
	if (!out->link && host_of(L)->sim && plain_text(L, index, &s, &len))
		out->link = link_find(host_of(L)->sim, s);
	return out->link != NULL;
}

static bool integer_from_lua(lua_State *L, int index, int64_t *out)
{
	const char *s;
	size_t len;
	int whole;

	if (lua_type(L, index) == LUA_TNUMBER) {
		*out = lua_tointegerx(L, index, &whole);
		return whole;
	}
	return plain_text(L, index, &s, &len) && integer_parse(s, out);
}

static bool bool_from_lua(lua_State *L, int index, bool *out)
{
	const char *s;
	size_t len;
	struct value value;

	if (lua_isboolean(L, index)) {
		*out = lua_toboolean(L, index);
		return true;
	}
	if (!plain_text(L, index, &s, &len) || !value_from_text(host_of(L), s, VALUE_BOOL, &value))
		return false;
	*out = value.boolean;
	return true;
}

bool value_from_lua(lua_State *L, int index, enum value_type type, struct value *out)
{
	const char *s;
	size_t len;

	memset(out, 0, sizeof *out);
	out->type = type;
	switch (type) {
	case VALUE_NIL:
		return lua_isnoneornil(L, index);
	case VALUE_BOOL:
		return bool_from_lua(L, index, &out->boolean);
	case VALUE_INT:
		return integer_from_lua(L, index, &out->integer);
	case VALUE_TIME:
		return plain_text(L, index, &s, &len) && time_parse(s, &out->integer);
	case VALUE_TEXT:
		if (!plain_text(L, index, &s, &len))
			return false;
		out->text.bytes = s;
		out->text.len = len;
		return true;
	case VALUE_BYTES:
		if (lua_type(L, index) != LUA_TSTRING)
			return false;
		out->text.bytes = lua_tolstring(L, index, &out->text.len);
		return true;
	case VALUE_NODE:
		return node_from_lua(L, index, out);
	case VALUE_LINK:
		return link_from_lua(L, index, out);
	case VALUE_OBJECT:
		out->object = object_at(L, index);
		return out->object != NULL;
	}
	return false;
}

bool value_from_text(struct host *host, const char *text, enum value_type type, struct value *out)
{
	memset(out, 0, sizeof *out);
	out->type = type;
	switch (type) {
	case VALUE_BOOL:
		out->boolean = strcmp(text, "true") == 0 || strcmp(text, "on") == 0;
		return out->boolean || strcmp(text, "false") == 0 || strcmp(text, "off") == 0;
	case VALUE_INT:
		return integer_parse(text, &out->integer);
	case VALUE_TIME:
		return time_parse(text, &out->integer);
	case VALUE_TEXT: case VALUE_BYTES:
		out->text.bytes = text;
		out->text.len = strlen(text);
		return true;
	case VALUE_NODE:
		out->node = host->sim ? node_find(host->sim, text) : NULL;
		return out->node != NULL;
	case VALUE_LINK:
		out->link = host->sim ? link_find(host->sim, text) : NULL;
		return out->link != NULL;
	default:
		return false;
	}
}

/* "a|b|c" */
bool choice_known(const char *choices, const struct value *value)
{
	while (*choices) {
		size_t len = strcspn(choices, "|");

		if (len == value->text.len && memcmp(choices, value->text.bytes, len) == 0)
			return true;
		choices += len + (choices[len] == '|');
	}
	return false;
}

void value_push(lua_State *L, const struct value *value)
{
	switch (value->type) {
	case VALUE_NIL:
		lua_pushnil(L);
		break;
	case VALUE_BOOL:
		lua_pushboolean(L, value->boolean);
		break;
	case VALUE_INT: case VALUE_TIME:
		lua_pushinteger(L, value->integer);
		break;
	case VALUE_TEXT: case VALUE_BYTES:
		lua_pushlstring(L, value->text.bytes, value->text.len);
		break;
	case VALUE_NODE:
		push_element(L, value->node);
		break;
	case VALUE_OBJECT:
		push_object(L, value->object);
		break;
	case VALUE_LINK:
		push_link(L, value->link);
		break;
	}
}

bool value_equal(const struct value *a, const struct value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case VALUE_NIL:
		return true;
	case VALUE_BOOL:
		return a->boolean == b->boolean;
	case VALUE_INT: case VALUE_TIME:
		return a->integer == b->integer;
	case VALUE_TEXT: case VALUE_BYTES:
		return a->text.len == b->text.len && memcmp(a->text.bytes, b->text.bytes, a->text.len) == 0;
	case VALUE_NODE:
		return a->node == b->node;
	case VALUE_OBJECT:
		return a->object == b->object;
	case VALUE_LINK:
		return a->link == b->link;
	}
	return false;
}

#define SHOWN_BYTES 24

void text_value(struct text *text, const struct value *value)
{
	char buf[TIME_TEXT_LEN];

	switch (value->type) {
	case VALUE_NIL:
		text_add(text, "absent");
		break;
	case VALUE_BOOL:
		text_add(text, "%s", value->boolean ? "true" : "false");
		break;
	case VALUE_INT:
		text_add(text, "%lld", (long long)value->integer);
		break;
	case VALUE_TIME:
		text_add(text, "%s", time_text(value->integer, buf));
		break;
	case VALUE_TEXT:
		text_add(text, "\"%.*s\"", (int)value->text.len, value->text.bytes);
		break;
	case VALUE_BYTES:
		text_add(text, "%zu bytes", value->text.len);
		for (size_t i = 0; i < value->text.len && i < SHOWN_BYTES; i++)
			text_add(text, "%s%02x", i ? "" : " ", (uint8_t)value->text.bytes[i]);
		break;
	case VALUE_NODE:
		text_add(text, "%s", value->node->name);
		break;
	case VALUE_OBJECT:
		text_add(text, "a %s of %s", value->object->class_->name, value->object->node->name);
		break;
	case VALUE_LINK:
		text_add(text, "%s", value->link->name);
		break;
	}
}

/* Arguments */

static const struct param *param_named(const struct param *params, const char *name)
{
	for (; params && params->name; params++)
		if (strcmp(params->name, name) == 0)
			return params;
	return NULL;
}

static bool extra_known(const struct names *extra, const char *name)
{
	for (size_t i = 0; extra && i < extra->count; i++)
		if (strcmp(extra->list[i], name) == 0)
			return true;
	return false;
}

static void check_key(lua_State *L, const char *what, const struct param *params, const struct names *extra)
{
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const char *name;

	if (lua_type(L, -1) != LUA_TSTRING) {
		text_found(&text, L, -1);
		fail_here(L, "%s: %s is not a name; write { name = value, ... }", what, text.s);
	}
	name = lua_tostring(L, -1);
	if (param_named(params, name) || extra_known(extra, name))
		return;
	for (; params && params->name; params++)
		names_add(&known, params->name);
	for (size_t i = 0; extra && i < extra->count; i++)
		names_add(&known, extra->list[i]);
	text_unknown(&text, name, &known);
	fail_here(L, "%s: unknown key %s", what, text.s);
}

static void fail_type(lua_State *L, const char *what, const struct param *param, int index)
{
	struct text found = { .len = 0 };

	text_found(&found, L, index);
	if ((param->type == VALUE_NODE || param->type == VALUE_LINK) && lua_type(L, index) == LUA_TSTRING)
		fail_here(L, "%s: %s = %s: there is no such %s yet; make it first", what, param->name, lua_tostring(L, index),
		     param->type == VALUE_NODE ? "element" : "link");
	fail_here(L, "%s: %s must be %s, found %s; write %s = %s", what, param->name, type_text(param->type), found.s, param->name,
	     type_example(param->type));
}

static void check_choice(lua_State *L, const char *what, const struct param *param, const struct value *value)
{
	if (!param->choices || value->type != VALUE_TEXT || choice_known(param->choices, value))
		return;
	fail_here(L, "%s: %s is \"%s\", must be one of: %s", what, param->name, value->text.bytes, param->choices);
}

/* Past __index, which could make a text that nobody keeps. */
static int raw_field(lua_State *L, int table, const char *name)
{
	lua_pushstring(L, name);
	return lua_rawget(L, table);
}

/* The argument for one parameter from the stack; false: none was given and there is no preset. */
static bool arg_take(lua_State *L, const char *what, const struct param *param, int first, int named, struct value *out)
{
	int top = lua_gettop(L);

	if (first)
		lua_pushvalue(L, first);
	else if (named)
		raw_field(L, named, param->name);
	else
		lua_pushnil(L);
	if (lua_isnil(L, -1)) {
		lua_settop(L, top);
		if (param->required)
			fail_here(L, "%s: %s is missing; write %s = %s (%s)", what, param->name, param->name, type_example(param->type),
			     param->doc);
		if (!param->preset)
			return false;
		if (!value_from_text(host_of(L), param->preset, param->type, out))
			fail_here(L, "%s: %s has no usable default (\"%s\"); give one", what, param->name, param->preset);
		return true;
	}
	if (!value_from_lua(L, -1, param->type, out))
		fail_type(L, what, param, -1);
	check_choice(L, what, param, out);
	/* Text stays alive in its table or on the stack of the caller; a converted number has none. */
	lua_settop(L, top);
	return true;
}

struct args *args_check(lua_State *L, const char *what, const struct param *params, int first, int named,
                        const struct names *extra)
{
	size_t room = 0;
	struct args *args;
	struct arg *list;

	while (params && params[room].name)
		room++;
	if (first && room == 0)
		fail_here(L, "%s takes no arguments", what);
	if (named) {
		size_t count = push_sorted_keys(L, named);

		for (size_t i = 1; i <= count; i++) {
			lua_rawgeti(L, -1, (lua_Integer)i);
			check_key(L, what, params, extra);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
		if (first && raw_field(L, named, params[0].name) != LUA_TNIL)
			fail_here(L, "%s: %s is given twice", what, params[0].name);
	}
	args = lua_newuserdatauv(L, sizeof *args + room * sizeof *list, 0);
	list = (struct arg *)(args + 1);
	args->list = list;
	args->count = 0;
	for (size_t i = 0; i < room; i++) {
		struct arg *arg = &list[args->count];

		arg->name = params[i].name;
		if (arg_take(L, what, &params[i], i == 0 ? first : 0, named, &arg->value))
			args->count++;
	}
	return args;
}

/* Functions */

static int fn_now(lua_State *L)
{
	need_header(L);
	lua_pushinteger(L, host_of(L)->sim ? host_of(L)->sim->now_ns : 0);
	return 1;
}

static int fn_ns(lua_State *L)
{
	struct value value;
	struct text found = { .len = 0 };

	if (!value_from_lua(L, 1, VALUE_TIME, &value)) {
		text_found(&found, L, 1);
		fail_here(L, "ns must be given a time, found %s; write ns \"20ms\"", found.s);
	}
	lua_pushinteger(L, value.integer);
	return 1;
}

static int fn_time(lua_State *L)
{
	char buf[TIME_TEXT_LEN];
	int64_t ns;
	struct text found = { .len = 0 };

	if (lua_type(L, 1) != LUA_TNUMBER || !integer_from_lua(L, 1, &ns) || ns < 0) {
		text_found(&found, L, 1);
		fail_here(L, "time must be given whole nanoseconds, found %s; write time(now() + ns \"20ms\")", found.s);
	}
	lua_pushstring(L, time_text(ns, buf));
	return 1;
}

void values_open(lua_State *L)
{
	lua_register(L, "now", fn_now);
	lua_register(L, "ns", fn_ns);
	lua_register(L, "time", fn_time);
}

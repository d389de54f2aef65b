/*
 * The header of a scenario: scenario { title, tags, args, attack, ... }, the arguments of the command line, the switches.
 *
 * The header is data: it is read without running the rest of the file (header_read), so that `tollgate test` and `list` know
 * titles and attacks before anything runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"

#define LIMIT_DEFAULT_NS (3600 * NS_PER_S)

/* The error value that ends a reading of the header alone. */
static const char header_done;

static const char *const header_keys[] = {
	"title", "tags", "args", "attack", "turns_off", "set", "epoch", "limit", "settle", "media", "messages",
};

static void check_header_keys(lua_State *L)
{
	size_t count = push_sorted_keys(L, 1);

	for (size_t i = 1; i <= count; i++) {
		struct names known = { .count = 0 };
		struct text text = { .len = 0 };
		bool found = false;

		lua_rawgeti(L, -1, (lua_Integer)i);
		for (size_t k = 0; k < sizeof header_keys / sizeof *header_keys; k++) {
			names_add(&known, header_keys[k]);
			found = found || (lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), header_keys[k]) == 0);
		}
		if (!found) {
			safe_tostring(L, -1);
			text_unknown(&text, lua_tostring(L, -1), &known);
			fail_here(L, "scenario: unknown key %s", text.s);
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

static char *text_field(lua_State *L, const char *key, const char *example)
{
	struct text found = { .len = 0 };
	char *copy;

	if (lua_getfield(L, 1, key) == LUA_TNIL) {
		lua_pop(L, 1);
		return NULL;
	}
	if (lua_type(L, -1) != LUA_TSTRING) {
		text_found(&found, L, -1);
		fail_here(L, "scenario: %s must be text, found %s; write %s = %s", key, found.s, key, example);
	}
	copy = sim_strdup(lua_tostring(L, -1));
	lua_pop(L, 1);
	return copy;
}

static void time_field(lua_State *L, const char *key, sim_ns *out)
{
	struct text found = { .len = 0 };
	struct value value;

	if (lua_getfield(L, 1, key) != LUA_TNIL) {
		text_found(&found, L, -1);
		if (!value_from_lua(L, -1, VALUE_TIME, &value))
			fail_here(L, "scenario: %s must be a time, found %s; write %s = \"20s\"", key, found.s, key);
		*out = value.integer;
	}
	lua_pop(L, 1);
}

static void bool_field(lua_State *L, const char *key, bool *out)
{
	if (lua_getfield(L, 1, key) != LUA_TNIL) {
		if (!lua_isboolean(L, -1))
			fail_here(L, "scenario: %s must be true or false", key);
		*out = lua_toboolean(L, -1);
	}
	lua_pop(L, 1);
}

static void list_field(lua_State *L, const char *key, char **list, size_t max, size_t *count)
{
	if (lua_getfield(L, 1, key) == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	if (lua_type(L, -1) != LUA_TTABLE)
		fail_here(L, "scenario: %s must be a list; write %s = { \"a\", \"b\" }", key, key);
	for (lua_Integer i = 1; lua_geti(L, -1, i) != LUA_TNIL; i++) {
		if (lua_type(L, -1) != LUA_TSTRING || *count == max)
			fail_here(L, "scenario: %s must be a list of at most %zu texts; write %s = { \"a\", \"b\" }", key, max, key);
		list[(*count)++] = sim_strdup(lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	lua_pop(L, 2);
}

static void epoch_field(lua_State *L, struct header *header)
{
	if (lua_getfield(L, 1, "epoch") != LUA_TNIL
	    && (lua_type(L, -1) != LUA_TSTRING || !epoch_parse(lua_tostring(L, -1), &header->epoch_s)))
		fail_here(L, "scenario: epoch must be a moment in UTC; write epoch = \"2000-04-10T00:00:00Z\"");
	lua_pop(L, 1);
}

/* Switches */

const struct switch_def *switch_find(const char *name)
{
	for (const struct switch_def *def = switch_table; def->name; def++)
		if (strcmp(def->name, name) == 0)
			return def;
	return NULL;
}

/* Whether word is one of a list with separators out of `between`. */
static bool in_list(const char *list, const char *word, const char *between)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n;

		list += strspn(list, between);
		n = strcspn(list, between);
		if (n == len && memcmp(list, word, n) == 0)
			return true;
		list += n;
	}
	return false;
}

bool switch_concerns(const struct switch_def *def, const char *attack)
{
	return in_list(def->attacks, attack, ", ");
}

static struct names switch_names(void)
{
	struct names known = { .count = 0 };

	for (const struct switch_def *def = switch_table; def->name; def++)
		names_add(&known, def->name);
	return known;
}

static const struct switch_def *switch_need(lua_State *L, const char *where, const char *name)
{
	const struct switch_def *def = switch_find(name);
	struct names known = switch_names();
	struct text text = { .len = 0 };

	if (def)
		return def;
	text_unknown(&text, name, &known);
	fail_here(L, "%s: unknown switch %s", where, text.s);
}

static void check_switch_value(lua_State *L, const char *where, const struct switch_def *def, const char *value)
{
	if (!in_list(def->values, value, "|"))
		fail_here(L, "%s: %s is \"%s\", must be one of: %s", where, def->name, value, def->values);
}

#define REGISTRY_SET "tollgate.set"
#define REGISTRY_ARGS "tollgate.args"

/* Pushes the value of a switch before anybody attacks: the scenario's `set`, else the table's default. */
static void push_baseline(lua_State *L, const struct switch_def *def)
{
	int top = lua_gettop(L);

	if (lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_SET) == LUA_TTABLE
	    && lua_getfield(L, -1, def->name) == LUA_TSTRING) {
		lua_remove(L, -2);
		return;
	}
	lua_settop(L, top);
	lua_pushlstring(L, def->values, strcspn(def->values, "|"));
}

static void set_field(lua_State *L)
{
	size_t count;

	lua_newtable(L);
	if (lua_getfield(L, 1, "set") != LUA_TNIL) {
		if (lua_type(L, -1) != LUA_TTABLE)
			fail_here(L, "scenario: set must be a table; write set = { [\"esp.iv\"] = \"implicit\" }");
		count = push_sorted_keys(L, -1);
		for (size_t i = 1; i <= count; i++) {
			lua_rawgeti(L, -1, (lua_Integer)i);
			if (lua_type(L, -1) != LUA_TSTRING)
				fail_here(L, "scenario: set must name switches; write set = { [\"esp.iv\"] = \"implicit\" }");
			lua_pushvalue(L, -1);
			lua_gettable(L, -4);
			if (lua_type(L, -1) != LUA_TSTRING)
				fail_here(L, "scenario: the value of a switch is text; write set = { [\"esp.iv\"] = \"implicit\" }");
			check_switch_value(L, "scenario: set", switch_need(L, "scenario: set", lua_tostring(L, -2)),
			                   lua_tostring(L, -1));
			lua_settable(L, -5);
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_SET);
}

static void complete_turns_off(lua_State *L, struct header *header)
{
	for (size_t i = 0; i < header->turns_off_count; i++)
		switch_need(L, "scenario: turns_off", header->turns_off[i]);
	if (!header->attack || header->turns_off_count)
		return;
	for (const struct switch_def *def = switch_table; def->name; def++)
		if (switch_concerns(def, header->attack) && header->turns_off_count < HEADER_SWITCHES_MAX)
			header->turns_off[header->turns_off_count++] = sim_strdup(def->name);
	if (header->turns_off_count == 0)
		fail_here(L, "scenario: no switch belongs to attack \"%s\"; write turns_off = { \"NAME\" } (tollgate list switches)",
		     header->attack);
}

static bool other_value(const char *values, const char *baseline, size_t nth, char *out, size_t room)
{
	while (*values) {
		size_t len = strcspn(values, "|");
		bool is_baseline = len == strlen(baseline) && memcmp(values, baseline, len) == 0;

		if (!is_baseline && nth-- == 0) {
			snprintf(out, room, "%.*s", (int)len, values);
			return true;
		}
		values += len + (values[len] == '|');
	}
	return false;
}

bool header_variant(const struct header *header, size_t nth, char name[HOST_VARIANT_LEN], const char **value)
{
	if (nth == 0) {
		name[0] = '\0';
		*value = "";
		return true;
	}
	if (nth > header->variant_count)
		return false;
	snprintf(name, HOST_VARIANT_LEN, "%s", header->variants[nth - 1].name);
	*value = header->variants[nth - 1].preset;
	return true;
}

/* A switch is turned off by each of its values that is not the baseline, in a run of its own. */
static void make_variants(lua_State *L, struct header *header)
{
	for (size_t i = 0; i < header->turns_off_count; i++) {
		const struct switch_def *def = switch_find(header->turns_off[i]);
		char value[HOST_VARIANT_LEN];

		push_baseline(L, def);
		for (size_t n = 0; other_value(def->values, lua_tostring(L, -1), n, value, sizeof value); n++) {
			struct header_arg *variant;

			header->variants = sim_realloc(header->variants, (header->variant_count + 1) * sizeof *variant);
			variant = &header->variants[header->variant_count++];
			variant->name = sim_strdup(def->name);
			variant->preset = sim_strdup(value);
		}
		lua_pop(L, 1);
	}
}

bool attack_on(lua_State *L)
{
	struct host *host = host_of(L);

	for (size_t i = 0; i < host->header.turns_off_count; i++) {
		const struct switch_def *def = switch_find(host->header.turns_off[i]);
		bool same;

		push_baseline(L, def);
		same = strcmp(lua_tostring(L, -1), world_switch(host->world, def->name)) == 0;
		lua_pop(L, 1);
		if (!same)
			return true;
	}
	return false;
}

/* Arguments */

/* The last setting of the command line with this name. */
static const char *setting_value(const struct host *host, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < host->options->setting_count; i++)
		if (strcmp(host->options->settings[i].name, name) == 0)
			value = host->options->settings[i].value;
	return value;
}

enum arg_kind { ARG_BOOL, ARG_INTEGER, ARG_NUMBER, ARG_TIME, ARG_RATE, ARG_RATIO, ARG_TEXT };

static const struct { const char *what, *example; } arg_kinds[] = {
	[ARG_BOOL] = { "true or false", "true" }, [ARG_INTEGER] = { "a whole number", "3" },
	[ARG_NUMBER] = { "a number", "0.5" }, [ARG_TIME] = { "a time", "20ms" }, [ARG_RATE] = { "a rate", "1.5Mbit" },
	[ARG_RATIO] = { "a ratio", "1%" }, [ARG_TEXT] = { "text", "word" },
};

static bool text_is(const char *text, enum arg_kind kind)
{
	sim_ns ns;
	uint64_t bps;
	uint32_t ppm;

	switch (kind) {
	case ARG_TIME:
		return time_parse(text, &ns);
	case ARG_RATE:
		return rate_parse(text, &bps);
	case ARG_RATIO:
		return ratio_parse(text, &ppm);
	default:
		return true;
	}
}

/* What kind of argument the default at the top of the stack makes it. */
static enum arg_kind arg_kind_of(lua_State *L, const char *name)
{
	switch (lua_type(L, -1)) {
	case LUA_TBOOLEAN:
		return ARG_BOOL;
	case LUA_TNUMBER:
		return lua_isinteger(L, -1) ? ARG_INTEGER : ARG_NUMBER;
	case LUA_TSTRING:
		for (enum arg_kind kind = ARG_TIME; kind < ARG_TEXT; kind++)
			if (text_is(lua_tostring(L, -1), kind))
				return kind;
		return ARG_TEXT;
	default:
		fail_here(L, "scenario: the default of argument %s must be text, a number, true or false", name);
	}
}

/* Replaces the default at the top of the stack by what the command line says, typed like it. */
static void arg_override(lua_State *L, const char *name, const char *given)
{
	enum arg_kind kind = arg_kind_of(L, name);
	struct value value;
	bool fine = true;

	lua_pop(L, 1);
	switch (kind) {
	case ARG_BOOL:
		fine = value_from_text(host_of(L), given, VALUE_BOOL, &value);
		lua_pushboolean(L, fine && value.boolean);
		break;
	case ARG_INTEGER:
		fine = value_from_text(host_of(L), given, VALUE_INT, &value);
		lua_pushinteger(L, fine ? value.integer : 0);
		break;
	case ARG_NUMBER:
		fine = lua_stringtonumber(L, given) == strlen(given) + 1;
		if (!fine)
			lua_pushinteger(L, 0);
		break;
	default:
		fine = text_is(given, kind);
		lua_pushstring(L, given);
	}
	if (!fine)
		fail_here(L, "argument %s=%s must be %s like its default; write %s=%s", name, given, arg_kinds[kind].what, name,
		     arg_kinds[kind].example);
}

static void add_arg(struct header *header, const char *name, const char *preset)
{
	struct header_arg *arg;

	header->args = sim_realloc(header->args, (header->arg_count + 1) * sizeof *arg);
	arg = &header->args[header->arg_count++];
	arg->name = sim_strdup(name);
	arg->preset = sim_strdup(preset);
}

static bool is_switch_setting(const char *name)
{
	return strncmp(name, "switch.", 7) == 0;
}

/* Every setting of the command line must be an argument of the scenario or a switch. */
static void check_settings(lua_State *L)
{
	struct host *host = host_of(L);

	for (size_t i = 0; i < host->options->setting_count; i++) {
		const struct host_setting *setting = &host->options->settings[i];
		struct names known = { .count = 0 };
		struct text text = { .len = 0 };
		bool found = false;

		if (is_switch_setting(setting->name)) {
			check_switch_value(L, "command line", switch_need(L, "command line", setting->name + 7), setting->value);
			continue;
		}
		for (size_t k = 0; k < host->header.arg_count; k++) {
			names_add(&known, host->header.args[k].name);
			found = found || strcmp(host->header.args[k].name, setting->name) == 0;
		}
		if (found)
			continue;
		names_add(&known, "switch.NAME");
		text_unknown(&text, setting->name, &known);
		fail_here(L, "command line: unknown argument %s", text.s);
	}
}

static void args_field(lua_State *L)
{
	struct host *host = host_of(L);
	size_t count = 0;

	lua_newtable(L);
	if (lua_getfield(L, 1, "args") != LUA_TNIL) {
		if (lua_type(L, -1) != LUA_TTABLE)
			fail_here(L, "scenario: args must be a table of defaults; write args = { wan = \"20ms\" }");
		count = push_sorted_keys(L, -1);
		for (size_t i = 1; i <= count; i++) {
			const char *name, *given;

			if (lua_rawgeti(L, -1, (lua_Integer)i) != LUA_TSTRING)
				fail_here(L, "scenario: args must be named; write args = { wan = \"20ms\" }");
			name = lua_tostring(L, -1);
			lua_getfield(L, -3, name);
			arg_kind_of(L, name);
			safe_tostring(L, -1);
			add_arg(&host->header, name, lua_tostring(L, -1));
			lua_pop(L, 1);
			given = setting_value(host, name);
			if (given)
				arg_override(L, name, given);
			lua_setfield(L, -5, name);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	check_settings(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_ARGS);
	lua_setglobal(L, "args");
}

void push_args(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_ARGS);
}

/* Applies set and the command line to the world. */
void switches_apply(lua_State *L)
{
	struct host *host = host_of(L);
	char error[MODEL_ERROR_LEN];

	for (const struct switch_def *def = switch_table; def->name; def++) {
		char name[HOST_VARIANT_LEN];
		const char *given;

		snprintf(name, sizeof name, "switch.%s", def->name);
		given = setting_value(host, name);
		push_baseline(L, def);
		if (!world_switch_set(host->world, def->name, given ? given : lua_tostring(L, -1), error))
			fail_here(L, "%s", error);
		lua_pop(L, 1);
	}
}

/* Functions */

/* Nothing may catch an error of the header and go on with half a run; so it stands in the main chunk itself. */
static void need_main_chunk(lua_State *L)
{
	lua_Debug ar;

	if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) && strcmp(ar.what, "main") == 0 && !lua_getstack(L, 2, &ar)
	    && lua_pushthread(L)) {
		lua_pop(L, 1);
		return;
	}
	fail_here(L, "scenario { ... } must stand by itself at the beginning of the file, not in a function or pcall");
}

static int fn_scenario(lua_State *L)
{
	struct host *host = host_of(L);
	struct header *header = &host->header;

	need_main_chunk(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	if (header->found)
		fail_here(L, "scenario { ... } may stand only once");
	check_header_keys(L);
	header->found = true;
	header->epoch_s = SIM_DEFAULT_EPOCH_S;
	header->limit_ns = LIMIT_DEFAULT_NS;
	header->messages = true;
	header->title = text_field(L, "title", "\"what it shows\"");
	if (!header->title)
		fail_here(L, "scenario: title is missing; write title = \"what it shows\"");
	header->attack = text_field(L, "attack", "\"T1\"");
	list_field(L, "tags", header->tags, HEADER_TAGS_MAX, &header->tag_count);
	list_field(L, "turns_off", header->turns_off, HEADER_SWITCHES_MAX, &header->turns_off_count);
	time_field(L, "limit", &header->limit_ns);
	time_field(L, "settle", &header->settle_ns);
	bool_field(L, "media", &header->media);
	bool_field(L, "messages", &header->messages);
	epoch_field(L, header);
	set_field(L);
	complete_turns_off(L, header);
	make_variants(L, header);
	args_field(L);
	if (host->header_only) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)&header_done);
		return lua_error(L);
	}
	run_build(L);
	return 0;
}

void need_header(lua_State *L)
{
	if (!host_of(L)->header.found)
		fail_here(L, "a scenario begins with its header; write scenario { title = \"what it shows\" } first");
}

static int fn_switch(lua_State *L)
{
	need_header(L);
	if (lua_type(L, 1) != LUA_TSTRING)
		fail_here(L, "switch must be given a name; write switch \"sc.replay_cache\"");
	lua_pushstring(L, world_switch(host_of(L)->world, switch_need(L, "switch", lua_tostring(L, 1))->name));
	return 1;
}

void header_open(lua_State *L)
{
	lua_register(L, "scenario", fn_scenario);
	lua_register(L, "switch", fn_switch);
}

/* Reading a header alone */

/* The leading lines of "---" comments without their dashes. */
static char *doc_of(const char *s)
{
	char *doc = sim_alloc(strlen(s) + 1);
	size_t len = 0;

	while (strncmp(s, "---", 3) == 0) {
		size_t n = strcspn(s, "\n");
		size_t skip = s[3] == ' ' ? 4 : 3;

		if (n > skip) {
			memcpy(doc + len, s + skip, n - skip);
			len += n - skip;
		}
		doc[len++] = '\n';
		s += n + (s[n] == '\n');
	}
	doc[len] = '\0';
	return doc;
}

char *file_doc(const char *path)
{
	size_t len;
	char *bytes = file_read(path, &len), *doc;

	if (!bytes)
		return NULL;
	doc = doc_of(bytes);
	free(bytes);
	return doc;
}

void header_free(struct header *header)
{
	free(header->doc);
	free(header->title);
	free(header->attack);
	for (size_t i = 0; i < header->tag_count; i++)
		free(header->tags[i]);
	for (size_t i = 0; i < header->turns_off_count; i++)
		free(header->turns_off[i]);
	for (size_t i = 0; i < header->arg_count; i++) {
		free(header->args[i].name);
		free(header->args[i].preset);
	}
	for (size_t i = 0; i < header->variant_count; i++) {
		free(header->variants[i].name);
		free(header->variants[i].preset);
	}
	free(header->args);
	free(header->variants);
	memset(header, 0, sizeof *header);
}

static enum host_code header_execute(struct host *host, FILE *err)
{
	lua_State *L = host_lua_new(host);
	enum host_code code = HOST_HELD;

	if (!L) {
		fprintf(err, "%s: out of memory\n", host->script_name);
		return HOST_DEFECT;
	}
	if (sandbox_load(L, host->script, host->script_len, host->script_name) != LUA_OK
	    && lua_touserdata(L, -1) != (void *)(uintptr_t)&header_done) {
		struct text text = { .len = 0 };

		error_text(L, &text);
		fprintf(err, "%s\n", text.s);
		code = HOST_BAD;
	}
	lua_close(L);
	return code;
}

enum host_code header_read(const char *path, const struct model *const *models, struct header *header, FILE *err)
{
	struct host_options options = { .models = models, .script = path, .out = err, .err = err };
	struct host host = { .options = &options, .header_only = true };
	enum host_code code;

	memset(header, 0, sizeof *header);
	host.script = file_read(path, &host.script_len);
	if (!host.script) {
		fprintf(err, "%s: cannot be read: %s\n", path, strerror(errno));
		return HOST_BAD;
	}
	host.script_name = host_script_name(path);
	host.header.doc = doc_of(host.script);
	code = header_execute(&host, err);
	*header = host.header;
	free(host.script);
	free(host.script_name);
	return code;
}

char *host_script_name(const char *path)
{
	const char *name = path, *p = path;

	while ((p = strstr(p, "scenarios/")) != NULL) {
		if (p == path || p[-1] == '/') {
			name = p;
		}
		p++;
	}
	if (name != path)
		return sim_strdup(name);
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	if (*name == '/' || strstr(name, "../")) {
		p = strrchr(name, '/');
		name = p + 1;
	}
	return sim_strdup(name);
}

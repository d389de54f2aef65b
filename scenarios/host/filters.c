/*
 * Filters over the log of messages, and what a scenario asks by them: messages, refusals, expect_messages, expect_refusals.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/messages.h"

#define TYPE_EXPECTED "expected"

static bool set_names(const struct value_set *set, const char *text)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->list[i], text) == 0)
			return true;
	return false;
}

bool filter_is_media(const struct message_filter *filter)
{
	return set_names(&filter->protos, "rtp") || set_names(&filter->kinds, "RTP");
}

static void set_add(lua_State *L, struct value_set *set, const char *what, const char *key, const void *value)
{
	if (set->count == FILTER_VALUES_MAX)
		fail_here(L, "%s: %s has more than %d values", what, key, FILTER_VALUES_MAX);
	set->list[set->count++] = value;
}

static void add_text(lua_State *L, struct value_set *set, const char *what, const char *key)
{
	struct text found = { .len = 0 };

	if (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) == 0) {
		text_found(&found, L, -1);
		fail_here(L, "%s: %s must be text, found %s", what, key, found.s);
	}
	set_add(L, set, what, key, messages_intern(host_of(L), lua_tostring(L, -1)));
}

static void add_node(lua_State *L, struct value_set *set, const char *what, const char *key)
{
	struct text found = { .len = 0 };
	struct value value;

	if (!value_from_lua(L, -1, VALUE_NODE, &value)) {
		text_found(&found, L, -1);
		fail_here(L, "%s: %s must be an element, found %s; write %s = alice", what, key, found.s, key);
	}
	set_add(L, set, what, key, value.node);
}

static void add_word(lua_State *L, unsigned *bits, const char *what, const char *key, const char *const *words, size_t count)
{
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const char *given;

	safe_tostring(L, -1);
	given = lua_tostring(L, -1);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(words[i], given) == 0) {
			*bits |= 1u << i;
			lua_pop(L, 1);
			return;
		}
		names_add(&known, words[i]);
	}
	text_unknown(&text, given, &known);
	fail_here(L, "%s: unknown %s %s", what, key, text.s);
}

struct filter_key {
	const char *name;
	enum { KEY_TEXT, KEY_NODE, KEY_COVER, KEY_FATE } kind;
	size_t offset; /* of the set in the filter */
	bool messages, refusals; /* where it makes sense */
};
#define SET(member) offsetof(struct message_filter, member)
static const struct filter_key filter_keys[] = {
	{ "kind", KEY_TEXT, SET(kinds), true, false }, { "proto", KEY_TEXT, SET(protos), true, false },
	{ "by", KEY_TEXT, SET(by), true, true }, { "from", KEY_NODE, SET(from), true, true },
	{ "to", KEY_NODE, SET(to), true, false }, { "actor", KEY_NODE, SET(actors), true, false },
	{ "at", KEY_NODE, SET(at), false, true }, { "cover", KEY_COVER, 0, true, false },
	{ "fate", KEY_FATE, 0, true, false }, { NULL, KEY_TEXT, 0, false, false },
};

static void add_value(lua_State *L, struct message_filter *f, const struct filter_key *key, const char *what)
{
	struct value_set *set = (struct value_set *)(void *)((char *)f + key->offset);

	switch (key->kind) {
	case KEY_TEXT:
		add_text(L, set, what, key->name);
		break;
	case KEY_NODE:
		add_node(L, set, what, key->name);
		break;
	case KEY_COVER:
		add_word(L, &f->covers, what, key->name, cover_names, COVER_COUNT);
		break;
	case KEY_FATE:
		add_word(L, &f->fates, what, key->name, fate_names, FATE_COUNT);
		break;
	}
}

/* The value or list of values at the top of the stack. */
static void add_values(lua_State *L, struct message_filter *f, const struct filter_key *key, const char *what)
{
	size_t n;

	if (!lua_istable(L, -1)) {
		add_value(L, f, key, what);
		return;
	}
	n = lua_rawlen(L, -1);
	if (n == 0)
		fail_here(L, "%s: %s is an empty list", what, key->name);
	for (size_t i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i);
		add_value(L, f, key, what);
		lua_pop(L, 1);
	}
}

static bool is_extra(const struct names *extra, const char *name)
{
	for (size_t i = 0; extra && i < extra->count; i++)
		if (strcmp(extra->list[i], name) == 0)
			return true;
	return false;
}

static void filter_key_read(lua_State *L, struct message_filter *f, const char *what, const struct names *extra)
{
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const char *name;

	safe_tostring(L, -2);
	name = lua_tostring(L, -1);
	lua_insert(L, -2); /* key, its text, value */
	if (is_extra(extra, name))
		return;
	for (const struct filter_key *key = filter_keys; key->name; key++) {
		if (f->refusals ? !key->refusals : !key->messages)
			continue;
		if (strcmp(key->name, name) == 0) {
			add_values(L, f, key, what);
			return;
		}
		names_add(&known, key->name);
	}
	for (size_t i = 0; extra && i < extra->count; i++)
		names_add(&known, extra->list[i]);
	text_unknown(&text, name, &known);
	fail_here(L, "%s: unknown key %s", what, text.s);
}

static struct message_filter *compile(lua_State *L, int index, const char *what, const struct names *extra, bool refusals)
{
	struct message_filter *f;
	size_t count;
	int keys;

	luaL_checktype(L, index, LUA_TTABLE);
	count = push_sorted_keys(L, index);
	keys = lua_gettop(L);
	f = lua_newuserdatauv(L, sizeof *f, 0);
	memset(f, 0, sizeof *f);
	f->refusals = refusals;
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, keys, (lua_Integer)i);
		lua_pushvalue(L, -1);
		lua_gettable(L, index);
		filter_key_read(L, f, what, extra);
		lua_settop(L, keys + 1);
	}
	lua_remove(L, keys);
	return f;
}

struct message_filter *filter_compile(lua_State *L, int index, const char *what, const struct names *extra)
{
	return compile(L, index, what, extra, false);
}

static void text_set(struct text *text, const char *key, const struct value_set *set, bool nodes)
{
	for (size_t i = 0; i < set->count; i++) {
		const char *s = nodes ? ((const struct node *)set->list[i])->name : set->list[i];

		text_add(text, "%s%s", i ? " or " : key, s);
	}
}

static void text_bits(struct text *text, const char *key, unsigned bits, const char *const *words, size_t count)
{
	bool first = true;

	for (size_t i = 0; i < count; i++) {
		if (!(bits & 1u << i))
			continue;
		text_add(text, "%s%s", first ? key : " or ", words[i]);
		first = false;
	}
}

void text_filter(struct text *text, const struct message_filter *f)
{
	text_add(text, f->refusals ? "refusals" : "messages");
	text_set(text, " ", &f->kinds, false);
	text_set(text, " of ", &f->protos, false);
	text_set(text, " from ", &f->from, true);
	text_set(text, " to ", &f->to, true);
	text_set(text, " at ", &f->at, true);
	text_set(text, " sent by ", &f->actors, true);
	text_bits(text, " under cover ", f->covers, cover_names, COVER_COUNT);
	text_bits(text, " ", f->fates, fate_names, FATE_COUNT);
	text_set(text, " by ", &f->by, false);
}

/* Functions */

static void check_observed(lua_State *L, const struct message_filter *f, const char *what)
{
	struct host *host = host_of(L);

	if (!host->header.messages)
		fail_here(L, "%s: messages are not observed in this scenario (messages = false)", what);
	if (filter_is_media(f) && host->started && !messages_media(host))
		fail_here(L, "%s: media packets are not observed; write media = true in scenario { ... }", what);
}

static int count_matching(lua_State *L, const char *what, bool refusals)
{
	struct message_filter *f;

	need_header(L);
	pending_finish(L);
	f = compile(L, 1, what, NULL, refusals);
	check_observed(L, f, what);
	lua_pushinteger(L, (lua_Integer)messages_count(host_of(L), f));
	return 1;
}

static int fn_messages(lua_State *L)
{
	return count_matching(L, "messages", false);
}

static int fn_refusals(lua_State *L)
{
	return count_matching(L, "refusals", true);
}

struct expected { /* expect_messages under way; a userdata with the filter as user value */
	struct message_filter *filter;
	struct match count;
	sim_ns within_ns, deadline_ns;
	char *title;
	char place[PLACE_LEN];
};

static int expected_gc(lua_State *L)
{
	struct expected *e = lua_touserdata(L, 1);

	match_free(&e->count);
	free(e->title);
	return 0;
}

static void expected_verdict(lua_State *L, const struct expected *e, uint64_t count, bool held)
{
	struct text claim = { .len = 0 }, because = { .len = 0 };
	char buf[TIME_TEXT_LEN];
	struct node *nodes[4];
	struct verdict_facts facts = { .place = e->place, .held = held, .nodes = nodes };
	const struct value_set *sets[] = { &e->filter->from, &e->filter->to, &e->filter->at };

	text_filter(&claim, e->filter);
	text_add(&claim, ": ");
	text_match(&claim, &e->count);
	if (e->within_ns >= 0)
		text_add(&claim, " within %s", time_text(e->within_ns, buf));
	text_add(&because, "%llu", (unsigned long long)count);
	for (size_t s = 0; s < 3; s++)
		for (size_t i = 0; i < sets[s]->count && facts.node_count < 4; i++)
			nodes[facts.node_count++] = (struct node *)(uintptr_t)sets[s]->list[i];
	facts.claim = e->title ? e->title : claim.s;
	facts.expected = e->title ? claim.s : NULL;
	facts.because = because.s;
	verdict_give(host_of(L), &facts);
}

static int expected_step(lua_State *L, int status, lua_KContext ctx)
{
	struct expected *e = (struct expected *)ctx;
	struct host *host = host_of(L);
	struct value count = value_int((int64_t)messages_count(host, e->filter));
	bool holds = match_holds(&e->count, true, &count);

	(void)status;
	messages_forget_task(host, host->current);
	if (holds || host->sim->now_ns >= e->deadline_ns) {
		expected_verdict(L, e, (uint64_t)count.integer, holds);
		if (holds)
			return 0;
		push_claim_failed(L);
		return lua_error(L);
	}
	messages_wait(host, e->filter, host->current);
	return task_block(L, e->deadline_ns, ctx, expected_step);
}

static void expected_read(lua_State *L, struct expected *e, const char *what)
{
	struct text why = { .len = 0 };
	struct value value;
	sim_ns now = host_of(L)->sim->now_ns;

	e->within_ns = -1;
	lua_geti(L, 1, 1);
	if (lua_type(L, -1) == LUA_TSTRING)
		e->title = sim_strdup(lua_tostring(L, -1));
	if (lua_getfield(L, 1, "count") == LUA_TNIL) {
		e->count.kind = MATCH_AT_LEAST;
		e->count.operands = sim_alloc(sizeof *e->count.operands);
		e->count.operands[0] = value_int(1);
		e->count.count = 1;
	} else if (!match_compile(L, -1, VALUE_INT, &e->count, &why)) {
		fail_here(L, "%s: count %s", what, why.s);
	}
	if (lua_getfield(L, 1, "within") != LUA_TNIL) {
		text_found(&why, L, -1);
		if (!value_from_lua(L, -1, VALUE_TIME, &value))
			fail_here(L, "%s: within must be a time, found %s; write within = \"5s\"", what, why.s);
		e->within_ns = value.integer;
	}
	lua_pop(L, 3);
	e->deadline_ns = moment_after(now, e->within_ns < 0 ? 0 : e->within_ns);
}

static int expect_matching(lua_State *L, const char *what, bool refusals)
{
	struct names extra = { .list = { "1", "count", "within" }, .count = 3 };
	struct expected *e;

	task_here(L, what);
	pending_finish(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	e = lua_newuserdatauv(L, sizeof *e, 1);
	memset(e, 0, sizeof *e);
	luaL_setmetatable(L, TYPE_EXPECTED);
	place_of(L, e->place, sizeof e->place);
	e->filter = compile(L, 1, what, &extra, refusals);
	lua_setiuservalue(L, 2, 1);
	check_observed(L, e->filter, what);
	expected_read(L, e, what);
	return expected_step(L, LUA_OK, (lua_KContext)e);
}

static int fn_expect_messages(lua_State *L)
{
	return expect_matching(L, "expect_messages", false);
}

static int fn_expect_refusals(lua_State *L)
{
	return expect_matching(L, "expect_refusals", true);
}

void filters_open(lua_State *L)
{
	static const luaL_Reg methods[] = { { "__gc", expected_gc }, { NULL, NULL } };

	new_type(L, TYPE_EXPECTED, methods);
	lua_register(L, "messages", fn_messages);
	lua_register(L, "refusals", fn_refusals);
	lua_register(L, "expect_messages", fn_expect_messages);
	lua_register(L, "expect_refusals", fn_expect_refusals);
}

/*
 * Standing claims: never { ... }, about messages, call records (bills.c), or about a node or object, held from the start of the clock to the end.
 *
 * The first violation is the verdict; the run goes on. Changes only mark a claim; it is judged in an event of its own, after
 * the model that changed has finished.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/claims.h"

struct standing {
	struct standing *next;
	struct host *host;
	struct claim *claim;      /* about a node or object; NULL: about messages */
	char *text, place[PLACE_LEN];
	const struct message_filter *filter;
	struct watch watch;
	bool touched, violated;
};

void standing_violated(struct standing *s, struct host *host, const char *because, struct node *const *nodes,
                       size_t node_count)
{
	struct verdict_facts facts = {
		.claim = s->text, .place = s->place, .because = because, .nodes = nodes, .node_count = node_count,
	};

	if (s->violated)
		return;
	s->violated = true;
	verdict_give(host, &facts);
}

static void standing_check(struct standing *s)
{
	struct text because = { .len = 0 };
	const struct target *target = s->claim->targets;

	s->touched = false;
	if (s->violated || !target_holds(s->claim, target))
		return;
	text_target_found(&because, s->claim, target, true);
	standing_violated(s, s->host, because.s, &target->node, 1);
}

static void standing_fire(struct sim *sim, struct event *event)
{
	struct host *host = event_owner(event, struct host, standing_event);

	(void)sim;
	for (struct standing *s = host->standing; s; s = s->next)
		if (s->touched)
			standing_check(s);
}

void standing_touch(struct host *host, struct standing *s)
{
	s->touched = true;
	if (!event_pending(&host->standing_event))
		sim_at(host->sim, &host->standing_event, host->sim->now_ns, standing_fire, NULL);
}

void standing_start(struct host *host)
{
	for (struct standing *s = host->standing; s; s = s->next)
		if (s->claim)
			standing_touch(host, s);
}

void standing_finish(struct host *host)
{
	messages_finish(host);
	bills_finish(host);
	for (struct standing *s = host->standing; s; s = s->next) {
		struct verdict_facts facts = { .claim = s->text, .place = s->place, .held = true, .because = "" };

		if (s->claim)
			standing_check(s);
		if (!s->violated)
			verdict_give(host, &facts);
	}
}

void standing_free(struct host *host)
{
	if (host->sim)
		sim_cancel(host->sim, &host->standing_event);
	while (host->standing) {
		struct standing *next = host->standing->next;

		watch_remove(&host->standing->watch);
		free(host->standing->text);
		free(host->standing);
		host->standing = next;
	}
}

bool standing_wants_media(const struct host *host)
{
	for (const struct standing *s = host->standing; s; s = s->next)
		if (s->filter && filter_is_media(s->filter))
			return true;
	return false;
}

/* Keeps the value at the top of the stack until the state closes. */
static void keep_forever(lua_State *L)
{
	luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct standing *standing_new(lua_State *L)
{
	struct host *host = host_of(L);
	struct standing *s = sim_alloc(sizeof *s);

	s->host = host;
	s->watch.standing = s;
	place_of(L, s->place, sizeof s->place);
	*host->standing_tail = s;
	host->standing_tail = &s->next;
	return s;
}

static void never_message(lua_State *L, const char *title)
{
	struct host *host = host_of(L);
	struct text text = { .len = 0 };
	struct message_filter *filter;
	struct standing *s;

	if (!lua_istable(L, -1))
		fail_here(L, "never: message must be a table; write message = { proto = \"rtp\", cover = \"clear\" }");
	filter = filter_compile(L, lua_gettop(L), "never: message", NULL);
	if (!host->header.messages)
		fail_here(L, "never: messages are not observed in this scenario (messages = false)");
	if (filter_is_media(filter) && host->started && !messages_media(host))
		fail_here(L, "never: media packets are not observed; say so before the clock starts, or media = true in scenario { ... }");
	if (title)
		text_add(&text, "%s", title);
	else
		text_filter(&text, filter);
	keep_forever(L);
	s = standing_new(L);
	s->filter = filter;
	s->text = sim_strdup(text.s);
	messages_never(host, filter, s);
}

static void never_node(lua_State *L)
{
	struct host *host = host_of(L);
	struct claim *claim;
	struct standing *s;
	int subject;

	lua_getfield(L, 1, "node");
	subject = lua_gettop(L);
	if (!element_at(L, subject) && !object_at(L, subject))
		fail_here(L, "never needs a message or a node; write never { \"title\", message = { kind = \"AS-REQ\" } } or "
		     "never { \"title\", node = alice, attribute = value }");
	claim = claim_new(L, subject, 1);
	claim_targets(L, claim, subject, "never");
	claim_read(L, claim, 1, NULL, "node");
	claim_describe(claim, "");
	keep_forever(L);
	s = standing_new(L);
	s->claim = claim;
	if (!claim->title) {
		struct text text = { .len = 0 };

		text_add(&text, "never %s", claim->text);
		s->text = sim_strdup(text.s);
	} else {
		s->text = sim_strdup(claim->title);
	}
	watch_add(host->watches, &s->watch, claim->targets->object ? (const void *)claim->targets->object : claim->targets->node);
	if (host->started)
		standing_touch(host, s);
}

static void never_record(lua_State *L, const char *title)
{
	struct host *host = host_of(L);
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const char *kind = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	struct standing *s;

	if (!bills_known(kind, &known)) {
		text_unknown(&text, kind, &known);
		fail_here(L, "never: record is %s", text.s);
	}
	if (host->started)
		fail_here(L, "never: call records are not observed; say so before the clock starts");
	text_add(&text, "never a %s call record", kind);
	s = standing_new(L);
	s->text = sim_strdup(title ? title : text.s);
	if (!bills_never(host, kind, s))
		fail_here(L, "never: record = \"%s\" is claimed already", kind);
}

static void check_never_keys(lua_State *L, const char *key)
{
	size_t count = push_sorted_keys(L, 1);

	for (size_t i = 1; i <= count; i++) {
		struct names known = { .count = 0 };
		struct text text = { .len = 0 };

		lua_rawgeti(L, -1, (lua_Integer)i);
		safe_tostring(L, -1);
		names_add(&known, key);
		if (strcmp(lua_tostring(L, -1), key) != 0 && strcmp(lua_tostring(L, -1), "1") != 0) {
			text_unknown(&text, lua_tostring(L, -1), &known);
			fail_here(L, "never: unknown key beside %s: %s", key, text.s);
		}
		lua_pop(L, 2);
	}
	lua_pop(L, 1);
}

static int fn_never(lua_State *L)
{
	const char *title;

	need_header(L);
	pending_finish(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_geti(L, 1, 1);
	title = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
	if (lua_getfield(L, 1, "record") != LUA_TNIL) {
		check_never_keys(L, "record");
		never_record(L, title);
		return 0;
	}
	if (lua_getfield(L, 1, "message") == LUA_TNIL) {
		never_node(L);
		return 0;
	}
	check_never_keys(L, "message");
	never_message(L, title);
	return 0;
}

void standing_open(lua_State *L)
{
	lua_register(L, "never", fn_never);
}

/*
 * Claims about a moment: expect, stays, claim. Every claim becomes a verdict, once.
 *
 * expect holds when all it names holds at one moment. It looks at once, then at each change of the first target that is not
 * as expected: the last one to become so is always watched, so no moment at which all hold is missed. Changes within one
 * event are seen together, after it.
 */
#include <stdlib.h>
#include <string.h>
#include "reports/text.h"
#include "scenarios/host/claims.h"

#define SUBJECTS_SHOWN 4

static const char claim_failed;

void push_claim_failed(lua_State *L)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)&claim_failed);
}

bool is_claim_failed(lua_State *L, int index)
{
	return lua_islightuserdata(L, index) && lua_touserdata(L, index) == (void *)(uintptr_t)&claim_failed;
}

/* Verdicts */

/* A word of a command; in quotes where a shell would take it apart. */
static void print_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/:%=,@";

	if (strspn(word, plain) == strlen(word)) {
		fprintf(out, " %s", word);
		return;
	}
	fputs(" '", out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

void print_command(const struct host_options *options, FILE *out)
{
	fprintf(out, "tollgate run");
	print_word(out, options->script);
	for (size_t i = 0; i < options->setting_count; i++) {
		const struct host_setting *setting = &options->settings[i];
		size_t room = strlen(setting->name) + strlen(setting->value) + 2;
		char *word = sim_alloc(room);

		snprintf(word, room, "%s=%s", setting->name, setting->value);
		print_word(out, word);
		free(word);
	}
	fprintf(out, " --seed %llu", (unsigned long long)options->seed);
}

void print_repeat(const struct host_options *options, FILE *out)
{
	fputs("  repeat: ", out);
	print_command(options, out);
	fputc('\n', out);
}

/* A line of a failed claim. What it quotes may come off the wire and must not move a terminal's cursor. */
static void print_clean(FILE *out, const char *before, const char *text)
{
	char *copy;

	fprintf(out, "%s%s\n", before, text_clean(text, &copy));
	free(copy);
}

void verdict_give(struct host *host, const struct verdict_facts *facts)
{
	FILE *out = host->options->out;
	char buf[TIME_TEXT_LEN];
	struct text because = { .len = 0 };

	attack_claim(host, facts);
	clock_text(host->sim->now_ns, buf);
	if (facts->held)
		host->result->held++;
	else
		host->result->failed++;
	text_add(&because, "%s", facts->held ? "" : facts->because);
	if (host->recorder) {
		struct verdict verdict = {
			.claim = facts->claim, .result = facts->held ? "held" : "failed", .at_ns = host->sim->now_ns,
			.because = because.s, .place = facts->place,
		};

		recorder_verdict(host->recorder, &verdict);
	}
	if (facts->held) {
		if (host->options->claims) {
			fprintf(out, "held   %s  %s", buf, facts->place);
			print_clean(out, ": ", facts->claim);
		}
		return;
	}
	fprintf(out, "FAILED %s  %s", buf, facts->place);
	print_clean(out, ": ", facts->claim);
	if (facts->expected)
		print_clean(out, "  expected: ", facts->expected);
	if (because.len)
		print_clean(out, "  found: ", because.s);
	messages_print_last(host, facts->nodes, facts->node_count, out);
	print_repeat(host->options, out);
}

/* Building a claim */

static void claim_clear(struct claim *claim)
{
	for (size_t i = 0; i < claim->wanted_count; i++) {
		free(claim->wanted[i].name);
		match_free(&claim->wanted[i].match);
	}
	free(claim->wanted);
	free(claim->targets);
	free(claim->title);
	free(claim->text);
	claim->wanted = NULL;
	claim->targets = NULL;
	claim->title = claim->text = NULL;
	claim->wanted_count = claim->target_count = 0;
}

static int claim_gc(lua_State *L)
{
	claim_clear(luaL_checkudata(L, 1, TYPE_CLAIM));
	return 0;
}

struct claim *claim_new(lua_State *L, int self, int table)
{
	struct claim *claim = lua_newuserdatauv(L, sizeof *claim, 2);

	memset(claim, 0, sizeof *claim);
	claim->within_ns = -1;
	claim->result = 1;
	luaL_setmetatable(L, TYPE_CLAIM);
	if (self) {
		lua_pushvalue(L, self);
		lua_setiuservalue(L, -2, 1);
	}
	if (table) {
		lua_pushvalue(L, table);
		lua_setiuservalue(L, -2, 2);
	}
	place_of(L, claim->place, sizeof claim->place);
	return claim;
}

static void claim_target(lua_State *L, struct claim *claim, int index)
{
	struct target *target = &claim->targets[claim->target_count];

	target->object = object_at(L, index);
	target->node = target->object ? target->object->node : element_at(L, index);
	claim->target_count += target->node != NULL;
}

void claim_targets(lua_State *L, struct claim *claim, int self, const char *verb)
{
	if (luaL_testudata(L, self, TYPE_GROUP)) {
		size_t n = group_count(L, self);

		claim->targets = sim_alloc((n + 1) * sizeof *claim->targets);
		lua_getiuservalue(L, self, 1);
		for (size_t i = 1; i <= n; i++) {
			lua_rawgeti(L, -1, (lua_Integer)i);
			claim_target(L, claim, -1);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
		return;
	}
	claim->targets = sim_alloc(sizeof *claim->targets);
	claim_target(L, claim, self);
	if (claim->target_count == 0)
		fail_here(L, "write OBJECT:%s { attribute = value } with a colon", verb);
}

static void text_subject(struct text *text, const struct claim *claim)
{
	for (size_t i = 0; i < claim->target_count && i < SUBJECTS_SHOWN; i++) {
		const struct target *t = &claim->targets[i];

		text_add(text, "%s", i ? ", " : "");
		if (t->object)
			text_add(text, "%s of ", t->object->class_->name);
		text_add(text, "%s", t->node->name);
	}
	if (claim->target_count > SUBJECTS_SHOWN)
		text_add(text, " and %zu more", claim->target_count - SUBJECTS_SHOWN);
}

static void claim_want(lua_State *L, struct claim *claim, const char *name, int value)
{
	struct wanted *wanted;
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };
	const struct attribute *attribute = NULL;

	for (size_t i = 0; i < claim->target_count; i++) {
		const struct target *t = &claim->targets[i];

		attribute = attribute_of(t->node, t->object, name, &known);
		if (attribute)
			continue;
		text_unknown(&text, name, &known);
		if (t->object)
			fail_here(L, "a %s has no attribute %s", t->object->class_->name, text.s);
		fail_here(L, "%s (%s) has no attribute %s", t->node->name, t->node->model ? t->node->model->name : "node", text.s);
	}
	claim->wanted = sim_realloc(claim->wanted, (claim->wanted_count + 1) * sizeof *wanted);
	wanted = &claim->wanted[claim->wanted_count];
	memset(wanted, 0, sizeof *wanted);
	if (!match_compile(L, value, attribute->type, &wanted->match, &text))
		fail_here(L, "%s %s", name, text.s);
	wanted->name = sim_strdup(name);
	claim->wanted_count++;
}

void claim_read(lua_State *L, struct claim *claim, int table, const char *time_key, const char *skip)
{
	size_t count = push_sorted_keys(L, table);
	int keys = lua_gettop(L);

	for (size_t i = 1; i <= count; i++) {
		const char *name;
		struct value value;

		lua_rawgeti(L, keys, (lua_Integer)i);
		lua_pushvalue(L, -1);
		lua_gettable(L, table);
		if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1 && lua_type(L, -1) == LUA_TSTRING) {
			claim->title = sim_strdup(lua_tostring(L, -1));
			lua_settop(L, keys);
			continue;
		}
		if (lua_type(L, -2) != LUA_TSTRING)
			fail_here(L, "a claim is { \"title\", attribute = value, ... }");
		name = lua_tostring(L, -2);
		if (time_key && strcmp(name, time_key) == 0) {
			struct text found = { .len = 0 };

			text_found(&found, L, -1);
			if (!value_from_lua(L, -1, VALUE_TIME, &value))
				fail_here(L, "%s must be a time, found %s; write %s = \"5s\"", name, found.s, name);
			claim->within_ns = value.integer;
		} else if (!skip || strcmp(name, skip) != 0) {
			claim_want(L, claim, name, lua_gettop(L));
		}
		lua_settop(L, keys);
	}
	lua_settop(L, keys - 1);
	if (claim->wanted_count == 0)
		fail_here(L, "nothing is claimed; write { attribute = value, ... }");
}

void claim_describe(struct claim *claim, const char *word)
{
	struct text text = { .len = 0 };
	char buf[TIME_TEXT_LEN];

	text_subject(&text, claim);
	text_add(&text, ":");
	for (size_t i = 0; i < claim->wanted_count; i++) {
		text_add(&text, "%s %s ", i ? "," : "", claim->wanted[i].name);
		text_match(&text, &claim->wanted[i].match);
	}
	if (claim->within_ns >= 0)
		text_add(&text, " %s %s", word, time_text(claim->within_ns, buf));
	claim->text = sim_strdup(text.s);
}

/* Judging */

static bool wanted_holds(const struct target *target, const struct wanted *wanted)
{
	struct value value;
	char room[32];
	bool known = attribute_value(target->node, target->object, wanted->name, &value, room);

	return match_holds(&wanted->match, known, &value);
}

bool target_holds(const struct claim *claim, const struct target *target)
{
	for (size_t i = 0; i < claim->wanted_count; i++)
		if (!wanted_holds(target, &claim->wanted[i]))
			return false;
	return true;
}

/* The first target that is not as claimed; NULL: all are. */
static const struct target *first_wrong(const struct claim *claim)
{
	for (size_t i = 0; i < claim->target_count; i++)
		if (!target_holds(claim, &claim->targets[i]))
			return &claim->targets[i];
	return NULL;
}

void text_target_found(struct text *text, const struct claim *claim, const struct target *target, bool all)
{
	bool first = true;

	for (size_t i = 0; i < claim->wanted_count; i++) {
		const struct wanted *wanted = &claim->wanted[i];
		struct value value;
		char room[32];

		if (!all && wanted_holds(target, wanted))
			continue;
		text_add(text, "%s%s ", first ? "" : ", ", wanted->name);
		first = false;
		if (attribute_value(target->node, target->object, wanted->name, &value, room) && value.type != VALUE_NIL) {
			text_add(text, "is ");
			text_value(text, &value);
		} else {
			text_add(text, "is not known");
		}
	}
}

/* What is not as claimed, target by target. */
static void text_wrong(struct text *text, const struct claim *claim)
{
	unsigned shown = 0;

	for (size_t i = 0; i < claim->target_count; i++) {
		const struct target *target = &claim->targets[i];

		if (target_holds(claim, target))
			continue;
		if (shown++ == SUBJECTS_SHOWN) {
			text_add(text, "; and more");
			return;
		}
		text_add(text, "%s", shown > 1 ? "; " : "");
		if (claim->target_count > 1)
			text_add(text, "%s: ", target->node->name);
		text_target_found(text, claim, target, false);
	}
}

#define NODES_SHOWN 4

static void claim_verdict(struct host *host, const struct claim *claim, bool held)
{
	struct text because = { .len = 0 };
	struct node *nodes[NODES_SHOWN];
	struct verdict_facts facts = {
		.claim = claim->title ? claim->title : claim->text, .expected = claim->title ? claim->text : NULL,
		.place = claim->place, .held = held, .nodes = nodes,
	};

	if (!held)
		text_wrong(&because, claim);
	facts.because = because.s;
	for (size_t i = 0; i < claim->target_count && facts.node_count < NODES_SHOWN; i++)
		if (!target_holds(claim, &claim->targets[i]))
			nodes[facts.node_count++] = claim->targets[i].node;
	verdict_give(host, &facts);
}

static void watch_target(struct task *task, const struct target *target)
{
	task_watch(task, target->node);
	if (target->object)
		task_watch(task, target->object);
}

static int claim_raise(lua_State *L)
{
	push_claim_failed(L);
	return lua_error(L);
}

static int expect_step(lua_State *L, int status, lua_KContext ctx)
{
	struct claim *claim = (struct claim *)ctx;
	struct host *host = host_of(L);
	const struct target *wrong = first_wrong(claim);

	(void)status;
	task_unwatch(host->current);
	if (!wrong) {
		claim_verdict(host, claim, true);
		claim_clear(claim); /* at once: a thousand settled claims would wait for the collector */
		lua_pushvalue(L, claim->result);
		return 1;
	}
	if (host->sim->now_ns >= claim->deadline_ns) {
		claim_verdict(host, claim, false);
		return claim_raise(L);
	}
	watch_target(host->current, wrong);
	return task_block(L, claim->deadline_ns, ctx, expect_step);
}

static int stays_step(lua_State *L, int status, lua_KContext ctx)
{
	struct claim *claim = (struct claim *)ctx;
	struct host *host = host_of(L);

	(void)status;
	if (first_wrong(claim)) {
		task_unwatch(host->current);
		claim_verdict(host, claim, false);
		return claim_raise(L);
	}
	if (host->sim->now_ns >= claim->deadline_ns) {
		task_unwatch(host->current);
		claim_verdict(host, claim, true);
		claim_clear(claim);
		lua_pushvalue(L, claim->result);
		return 1;
	}
	return task_block(L, claim->deadline_ns, ctx, stays_step);
}

static void claim_deadline(struct host *host, struct claim *claim)
{
	claim->deadline_ns = moment_after(host->sim->now_ns, claim->within_ns < 0 ? 0 : claim->within_ns);
}

/* Common start of expect and stays: self at 1, table at 2. */
static struct claim *claim_begin(lua_State *L, const char *verb, const char *time_key, const char *word)
{
	struct claim *claim;

	task_here(L, verb);
	if (!lua_istable(L, 2))
		fail_here(L, "%s must be given a table; write OBJECT:%s { attribute = value }", verb, verb);
	pending_finish(L);
	lua_settop(L, 2);
	claim = claim_new(L, 1, 2);
	claim_targets(L, claim, 1, verb);
	claim_read(L, claim, 2, time_key, NULL);
	claim_describe(claim, word);
	claim_deadline(host_of(L), claim);
	return claim;
}

int claim_expect(lua_State *L)
{
	struct claim *claim = claim_begin(L, "expect", "within", "within");

	return expect_step(L, LUA_OK, (lua_KContext)claim);
}

int claim_stays(lua_State *L)
{
	struct claim *claim = claim_begin(L, "stays", "during", "for");

	if (claim->within_ns < 0)
		fail_here(L, "stays needs to know how long; write during = \"5s\"");
	for (size_t i = 0; i < claim->target_count; i++)
		watch_target(host_of(L)->current, &claim->targets[i]);
	return stays_step(L, LUA_OK, (lua_KContext)claim);
}

int claim_ready(lua_State *L, int object, const char *what, sim_ns within_ns)
{
	struct text text = { .len = 0 };
	char buf[TIME_TEXT_LEN];
	struct claim *claim;

	task_here(L, what);
	claim = claim_new(L, object, 0);
	claim_targets(L, claim, object, "expect");
	lua_pushboolean(L, 1);
	claim_want(L, claim, "ready", lua_gettop(L));
	lua_pop(L, 1);
	claim->within_ns = within_ns;
	claim->result = object;
	text_add(&text, "%s is done within %s", what, time_text(within_ns, buf));
	claim->text = sim_strdup(text.s);
	claim_deadline(host_of(L), claim);
	return expect_step(L, LUA_OK, (lua_KContext)claim);
}

/* claim("text", condition, "because") */
static int fn_claim(lua_State *L)
{
	char place[PLACE_LEN];
	struct verdict_facts facts = { .place = place };

	task_here(L, "claim");
	if (lua_type(L, 1) != LUA_TSTRING || lua_gettop(L) < 2)
		fail_here(L, "claim must be given a text and a condition; write claim(\"the number is in the capture\", found)");
	place_of(L, place, sizeof place);
	facts.claim = lua_tostring(L, 1);
	facts.held = lua_toboolean(L, 2);
	if (lua_isnoneornil(L, 3))
		lua_pushfstring(L, "the condition is %s", lua_isnil(L, 2) ? "nil" : "false");
	else
		safe_tostring(L, 3);
	facts.because = lua_tostring(L, -1);
	verdict_give(host_of(L), &facts);
	return facts.held ? 0 : claim_raise(L);
}

void claims_open(lua_State *L)
{
	static const luaL_Reg methods[] = { { "__gc", claim_gc }, { NULL, NULL } };

	new_type(L, TYPE_CLAIM, methods);
	lua_register(L, "claim", fn_claim);
}

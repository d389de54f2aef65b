/*
 * Bodies over virtual time: run, parallel, within, after, every, wait.
 *
 * A body is a coroutine. It runs only in an event of its own; what it waits for (a moment, a change, its children) only
 * schedules that event, so that Lua never runs inside a model. What a body does has the cause "scenario" in the record.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"

struct task {
	struct event wake;
	struct host *host;
	struct task *next, **link; /* all live tasks, in order of creation */
	struct task *parent;
	unsigned children;         /* not yet ended */
	bool child_failed;
	lua_State *co;
	int co_ref, fn_ref;        /* in the registry; fn_ref for `every` */
	bool counts;               /* the run waits for it */
	bool in_outcome;
	bool blocked, woken, stopped, has_handle, done;
	sim_ns delay_ns, period_ns, began_ns;
	struct watch *watches;
	size_t watch_count, watch_room;
};

/* The error value of stop(). */
static const char run_stopped;

static void task_fire(struct sim *sim, struct event *event);

sim_ns moment_after(sim_ns from_ns, sim_ns delay_ns)
{
	return delay_ns > SIM_NEVER - 1 - from_ns ? SIM_NEVER - 1 : from_ns + delay_ns;
}

static struct task *task_new(lua_State *L, int fn)
{
	struct host *host = host_of(L);
	struct task *task;
	lua_State *co;
	int fn_ref, co_ref;

	/* What may raise comes before the task is in the list. */
	luaL_checktype(L, fn, LUA_TFUNCTION);
	lua_pushvalue(L, fn);
	fn_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	co = lua_newthread(L);
	co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	task = sim_alloc(sizeof *task);
	task->host = host;
	task->co = co;
	task->fn_ref = fn_ref;
	task->co_ref = co_ref;
	task->link = host->tasks_tail;
	*task->link = task;
	host->tasks_tail = &task->next;
	return task;
}

static void task_unlink(struct task *task)
{
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	else
		task->host->tasks_tail = task->link;
}

static void task_delete(struct task *task)
{
	task_unlink(task);
	free(task->watches);
	free(task);
}

/* Gives back what a task holds while it can still run. */
static void task_release(struct task *task)
{
	struct host *host = task->host;

	task_unwatch(task);
	messages_forget_task(host, task);
	sim_cancel(host->sim, &task->wake);
	luaL_unref(host->L, LUA_REGISTRYINDEX, task->co_ref);
	luaL_unref(host->L, LUA_REGISTRYINDEX, task->fn_ref);
	task->co_ref = task->fn_ref = LUA_NOREF;
	task->done = true;
	if (task->counts && --host->bodies == 0 && host->started) {
		host->ended = true;
		sim_stop(host->sim);
	}
	if (!task->has_handle)
		task_delete(task);
}

static void task_kill(struct task *task)
{
	struct task *next;

	for (struct task *t = task->host->tasks; t; t = next) {
		next = t->next;
		if (t->parent != task || t->done)
			continue;
		task_kill(t);
		next = task->host->tasks; /* the list has changed; children already gone are skipped */
	}
	task_release(task);
}

static void task_schedule(struct task *task, sim_ns at_ns)
{
	sim_at(task->host->sim, &task->wake, at_ns, task_fire, NULL);
}

void task_wake(struct task *task)
{
	if (task->woken || task->done || !task->blocked)
		return;
	sim_cancel(task->host->sim, &task->wake);
	task->woken = true;
	task_schedule(task, task->host->sim->now_ns);
}

void task_watch(struct task *task, const void *what)
{
	if (task->watch_count == task->watch_room) {
		size_t room = task->watch_room ? 2 * task->watch_room : 2, count = task->watch_count;
		struct watch *old = task->watches, *list = sim_alloc(room * sizeof *list);

		/* Watches are linked into the table by address: move them one by one. */
		for (size_t i = 0; i < count; i++) {
			watch_remove(&old[i]);
			list[i].task = task;
			watch_add(task->host->watches, &list[i], old[i].what);
		}
		free(old);
		task->watches = list;
		task->watch_room = room;
	}
	task->watches[task->watch_count].task = task;
	watch_add(task->host->watches, &task->watches[task->watch_count++], what);
}

void task_unwatch(struct task *task)
{
	for (size_t i = 0; i < task->watch_count; i++)
		watch_remove(&task->watches[i]);
	task->watch_count = 0;
}

bool is_body(const struct host *host, const lua_State *L)
{
	for (const struct task *task = host->tasks; task; task = task->next)
		if (task->co == L && !task->done)
			return true;
	return false;
}

/* A C function between a body and its wait (table.sort, which compares by it) cannot be left and entered again. */
static void need_yieldable(lua_State *L)
{
	struct task *task = host_of(L)->current;

	if (lua_isyieldable(L))
		return;
	task_unwatch(task);
	messages_forget_task(task->host, task);
	fail_here(L, "nothing can be waited for inside a function that table.sort, string.gsub or the like calls");
}

struct task *task_here(lua_State *L, const char *what)
{
	struct host *host = host_of(L);

	need_header(L);
	if (!host->current)
		fail_here(L, "%s belongs inside run(function() ... end)", what);
	if (host->current->co != L)
		fail_here(L, "%s cannot be used inside coroutine.create or coroutine.wrap; use parallel(...) or after(...)", what);
	return host->current;
}

int task_block(lua_State *L, sim_ns deadline_ns, lua_KContext ctx, lua_KFunction k)
{
	struct task *task = host_of(L)->current;

	need_yieldable(L);
	task->blocked = true;
	task->woken = false;
	if (deadline_ns != SIM_NEVER)
		task_schedule(task, deadline_ns);
	return lua_yieldk(L, 0, ctx, k);
}

static void end_badly(struct host *host)
{
	host->script_failed = host->ended = true;
	sim_stop(host->sim);
}

/* What went wrong in a body that is no failed claim: said once, then the run is over. */
static void script_error(struct host *host, lua_State *co)
{
	struct text text = { .len = 0 };
	lua_Debug ar;

	end_badly(host);
	if (host->interrupted)
		return;
	error_text(co, &text);
	fprintf(host->options->err, "%s\n", text.s);
	for (int level = 0; strncmp(text.s, host->script_name, strlen(host->script_name)) != 0 && lua_getstack(co, level, &ar);
	     level++) {
		lua_getinfo(co, "Sl", &ar);
		if (ar.currentline <= 0 || strcmp(ar.source + 1, host->script_name) != 0)
			continue;
		fprintf(host->options->err, "  called from %s:%d\n", host->script_name, ar.currentline);
		break;
	}
}

static void child_ended(struct task *parent, bool failed)
{
	parent->children--;
	parent->child_failed = parent->child_failed || failed;
	if (parent->children == 0)
		task_wake(parent);
}

static void task_ended(struct task *task, int status)
{
	struct host *host = task->host;
	struct task *parent = task->parent;
	bool failed = status != LUA_OK;

	if (status != LUA_OK && lua_touserdata(task->co, -1) == (void *)(uintptr_t)&run_stopped) {
		failed = false;
		if (task->in_outcome)
			attack_held(host);
	} else if (status != LUA_OK && !is_claim_failed(task->co, -1)) {
		script_error(host, task->co);
	}
	if (status == LUA_OK && task->period_ns > 0 && !task->stopped && !host->ended) {
		sim_ns next_ns = moment_after(task->began_ns, task->period_ns);

		lua_settop(task->co, 0);
		task->blocked = false;
		task_schedule(task, next_ns > host->sim->now_ns ? next_ns : host->sim->now_ns);
		return;
	}
	task_release(task);
	if (parent)
		child_ended(parent, failed);
}

static unsigned wake_limit(const struct host *host)
{
	return host->options->wake_limit ? host->options->wake_limit : HOST_WAKE_LIMIT;
}

static void say_standstill(const struct task *task)
{
	struct host *host = task->host;
	char place[PLACE_LEN], buf[TIME_TEXT_LEN];

	place_of(task->co, place, sizeof place);
	fprintf(host->options->err, "%s: more than %u wake-ups of bodies at %s: a loop of wait \"0s\"?\n", place, wake_limit(host),
	        clock_text(host->sim->now_ns, buf));
	end_badly(host);
}

/* Bodies that wake each other without end stop the clock, and no instruction limit sees it. */
static bool stands_still(struct host *host)
{
	if (host->moment_ns != host->sim->now_ns) {
		host->moment_ns = host->sim->now_ns;
		host->moment_wakes = 0;
	}
	if (host->options->interrupt && *host->options->interrupt)
		sim_stop(host->sim);
	return ++host->moment_wakes > wake_limit(host);
}

static void task_fire(struct sim *sim, struct event *event)
{
	struct task *task = event_owner(event, struct task, wake);
	struct host *host = task->host;
	int status, results = 0;

	if (host->ended)
		return;
	if (stands_still(host)) {
		say_standstill(task);
		return;
	}
	sim->cause = 0;
	sim->cause_timer = "scenario";
	if (!task->blocked) {
		task->began_ns = sim->now_ns;
		lua_rawgeti(host->L, LUA_REGISTRYINDEX, task->fn_ref);
		lua_xmove(host->L, task->co, 1);
	}
	task->blocked = task->woken = false;
	host->instructions = 0;
	host->current = task;
	status = lua_resume(task->co, host->L, 0, &results);
	host->current = NULL;
	if (status == LUA_YIELD && task->blocked) {
		lua_pop(task->co, results);
		return;
	}
	if (status == LUA_YIELD) {
		char place[PLACE_LEN];

		place_of(task->co, place, sizeof place);
		fprintf(host->options->err, "%s: coroutine.yield outside coroutine.create; write wait \"1s\"\n", place);
		end_badly(host);
		return;
	}
	task_ended(task, status);
}

/* Functions */

static sim_ns time_arg(lua_State *L, int index, const char *what)
{
	struct value value;
	struct text found = { .len = 0 };

	if (!value_from_lua(L, index, VALUE_TIME, &value)) {
		text_found(&found, L, index);
		fail_here(L, "%s must be given a time, found %s; write %s \"2s\"", what, found.s, what);
	}
	return value.integer;
}

static int wait_end(lua_State *L, int status, lua_KContext ctx)
{
	(void)L;
	(void)status;
	(void)ctx;
	return 0;
}

static int fn_wait(lua_State *L)
{
	sim_ns delay_ns = time_arg(L, 1, "wait");

	task_here(L, "wait");
	return task_block(L, moment_after(host_of(L)->sim->now_ns, delay_ns), 0, wait_end);
}

/* A task of its own: now when the clock runs, else when it starts. */
static struct task *launch(lua_State *L, int fn, sim_ns delay_ns, bool counts)
{
	struct host *host = host_of(L);
	struct task *task = task_new(L, fn);

	task->delay_ns = delay_ns;
	task->counts = counts;
	host->bodies += counts;
	if (host->started)
		task_schedule(task, moment_after(host->sim->now_ns, delay_ns));
	return task;
}

static void check_function(lua_State *L, int index, const char *example)
{
	if (!lua_isfunction(L, index))
		fail_here(L, "a function is missing; write %s", example);
}

static int fn_run(lua_State *L)
{
	need_header(L);
	check_function(L, 1, "run(function() ... end)");
	launch(L, 1, 0, true);
	return 0;
}

static void push_handle(lua_State *L, struct task *task)
{
	struct task **box = lua_newuserdatauv(L, sizeof *box, 0);

	*box = task;
	task->has_handle = true;
	luaL_setmetatable(L, TYPE_TASK);
}

static int fn_after(lua_State *L)
{
	need_header(L);
	check_function(L, 2, "after(\"5s\", function() ... end)");
	push_handle(L, launch(L, 2, time_arg(L, 1, "after"), true));
	return 1;
}

static int fn_every(lua_State *L)
{
	struct task *task;
	sim_ns period_ns;

	need_header(L);
	check_function(L, 2, "every(\"1s\", function() ... end)");
	period_ns = time_arg(L, 1, "every");
	if (period_ns <= 0)
		fail_here(L, "every must be given a time above 0; write every(\"1s\", function() ... end)");
	task = launch(L, 2, period_ns, false);
	task->period_ns = period_ns;
	push_handle(L, task);
	return 1;
}

static int handle_stop(lua_State *L)
{
	struct task **box = luaL_checkudata(L, 1, TYPE_TASK), *task = *box;

	for (const struct task *t = host_of(L)->current; t; t = t->parent)
		if (t == task && t != host_of(L)->current)
			fail_here(L, "a body cannot stop the task that waits for it");
	task->stopped = true;
	if (!task->done && task != host_of(L)->current) {
		struct task *parent = task->parent;

		task_kill(task);
		if (parent)
			child_ended(parent, false);
	}
	return 0;
}

static int spawn_end(lua_State *L, int status, lua_KContext ctx)
{
	struct task *task = host_of(L)->current;

	(void)status;
	(void)ctx;
	if (task->children > 0)
		return task_block(L, SIM_NEVER, 0, spawn_end);
	if (task->child_failed) {
		task->child_failed = false;
		push_claim_failed(L);
		return lua_error(L);
	}
	return 0;
}

static void spawn_child(lua_State *L, struct task *parent, int fn)
{
	struct task *child = launch(L, fn, 0, true);

	child->parent = parent;
	parent->children++;
}

static int fn_parallel(lua_State *L)
{
	struct task *task = task_here(L, "parallel");
	int n = lua_gettop(L);

	for (int i = 1; i <= n; i++)
		check_function(L, i, "parallel(function() ... end, function() ... end)");
	need_yieldable(L);
	for (int i = 1; i <= n; i++)
		spawn_child(L, task, i);
	return spawn_end(L, LUA_OK, 0);
}

struct within {
	sim_ns deadline_ns, within_ns;
	char place[PLACE_LEN];
};

static void within_verdict(lua_State *L, const struct within *w, bool held)
{
	char buf[TIME_TEXT_LEN];
	struct text claim = { .len = 0 };
	struct verdict_facts facts = { .place = w->place, .held = held, .because = held ? "" : "it has not ended" };

	text_add(&claim, "the block ends within %s", time_text(w->within_ns, buf));
	facts.claim = claim.s;
	verdict_give(host_of(L), &facts);
}

static int within_end(lua_State *L, int status, lua_KContext ctx)
{
	struct within *w = (struct within *)ctx;
	struct task *task = host_of(L)->current, *child = NULL;

	(void)status;
	if (task->children == 0) {
		if (task->child_failed)
			return spawn_end(L, LUA_OK, 0);
		within_verdict(L, w, true);
		return 0;
	}
	if (task->host->sim->now_ns < w->deadline_ns)
		return task_block(L, w->deadline_ns, ctx, within_end);
	for (child = task->host->tasks; child->parent != task || child->done; child = child->next)
		;
	task_kill(child);
	task->children = 0;
	within_verdict(L, w, false);
	push_claim_failed(L);
	return lua_error(L);
}

static int fn_within(lua_State *L)
{
	struct task *task = task_here(L, "within");
	sim_ns within_ns = time_arg(L, 1, "within");
	struct within *w;

	check_function(L, 2, "within(\"5s\", function() ... end)");
	need_yieldable(L);
	w = lua_newuserdatauv(L, sizeof *w, 0);
	w->within_ns = within_ns;
	w->deadline_ns = moment_after(task->host->sim->now_ns, within_ns);
	place_of(L, w->place, sizeof w->place);
	spawn_child(L, task, 2);
	return within_end(L, LUA_OK, (lua_KContext)w);
}

static int fn_stop(lua_State *L)
{
	struct host *host = host_of(L);

	task_here(L, "stop");
	host->ended = true;
	sim_stop(host->sim);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&run_stopped);
	return lua_error(L);
}

static int fn_attacked(lua_State *L)
{
	need_header(L);
	lua_pushboolean(L, attack_on(L));
	return 1;
}

static int outcome_end(lua_State *L, int status, lua_KContext ctx)
{
	struct host *host = host_of(L);

	(void)status;
	(void)ctx;
	host->current->in_outcome = false;
	attack_held(host);
	return 0;
}

static int fn_outcome(lua_State *L)
{
	static const char example[] = "outcome { stopped = function() ... end, succeeded = function() ... end }";
	struct task *task = task_here(L, "outcome");
	char place[PLACE_LEN];

	luaL_checktype(L, 1, LUA_TTABLE);
	if (host_of(L)->header.turns_off_count == 0)
		fail_here(L, "outcome needs to know the attack; write attack = \"T1\" in scenario { ... }");
	if (task->in_outcome)
		fail_here(L, "an outcome cannot be part of another");
	lua_settop(L, 1);
	lua_getfield(L, 1, "stopped");
	lua_getfield(L, 1, "succeeded");
	check_function(L, 2, example);
	check_function(L, 3, example);
	place_of(L, place, sizeof place);
	task->in_outcome = true;
	lua_settop(L, attack_begin(host_of(L), place) ? 3 : 2);
	lua_callk(L, 0, 0, 0, outcome_end);
	return outcome_end(L, LUA_OK, 0);
}

void tasks_start(struct host *host)
{
	/* Only what the main chunk declared is here, and may have stopped again. */
	for (struct task *task = host->tasks; task; task = task->next)
		if (!task->done)
			task_schedule(task, moment_after(host->sim->now_ns, task->delay_ns));
}

void tasks_free(struct host *host)
{
	while (host->tasks) {
		struct task *task = host->tasks;

		task_unwatch(task);
		if (host->sim)
			sim_cancel(host->sim, &task->wake);
		task_delete(task);
	}
}

void text_waiting(struct text *text, const struct host *host)
{
	for (struct task *task = host->tasks; task; task = task->next) {
		char place[PLACE_LEN];

		if (!task->counts || task->done || !task->blocked || task->children)
			continue;
		place_of(task->co, place, sizeof place);
		text_add(text, "%s%s", text->len ? ", " : "", place);
	}
}

void tasks_open(lua_State *L)
{
	static const luaL_Reg handle[] = { { "stop", handle_stop }, { NULL, NULL } };
	static const luaL_Reg functions[] = {
		{ "run", fn_run }, { "wait", fn_wait }, { "after", fn_after }, { "every", fn_every }, { "parallel", fn_parallel },
		{ "within", fn_within }, { "stop", fn_stop }, { "attacked", fn_attacked }, { "outcome", fn_outcome }, { NULL, NULL },
	};

	new_type(L, TYPE_TASK, handle);
	luaL_getmetatable(L, TYPE_TASK);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	for (const luaL_Reg *f = functions; f->name; f++)
		lua_register(L, f->name, f->func);
}

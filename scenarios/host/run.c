/*
 * One run: simulation, world, reports and Lua state, made, driven and taken down.
 *
 * Order: the main chunk (header, topology, claims, bodies) at time 0; then the elements start in order of creation; then the
 * clock runs until every body has ended, and on for the scenario's settle time. What is written appears only when the run
 * is over; a bad scenario or an interrupted run leaves no file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/crypto.h"
#include "scenarios/host/internal.h"

#define SLICE_NS NS_PER_S /* of virtual time between two looks at the interrupt flag */

lua_State *host_lua_new(struct host *host)
{
	lua_State *L = sandbox_new(host);

	host->L = L;
	if (!L)
		return NULL;
	objects_open(L);
	values_open(L);
	header_open(L);
	topology_open(L);
	shared_open(L);
	options_open(L);
	matchers_open(L);
	claims_open(L);
	standing_open(L);
	filters_open(L);
	tasks_open(L);
	return L;
}

static void on_key(void *ctx, const struct key_news *news)
{
	struct host *host = ctx;

	if (host->keylog && news->life != KEY_LIFE_DEAD && news->secret_len)
		keylog_key(host->keylog, news->role, news->context, news->algorithm, news->secret, news->secret_len);
}

static void open_reports(lua_State *L)
{
	struct host *host = host_of(L);
	const struct host_options *o = host->options;
	char error[REPORT_ERROR_LEN] = "";

	if (o->database) {
		host->recorder = recorder_new(host->sim, o->database, o->level, o->media, error);
		if (!host->recorder)
			fail_here(L, "%s: %s", o->database, error);
	}
	if (o->capture) {
		host->capture = capture_new(host->sim, o->capture, error);
		if (!host->capture)
			fail_here(L, "%s: %s", o->capture, error);
	}
	if (o->keylog) {
		host->keylog = keylog_new(o->keylog, error);
		if (!host->keylog)
			fail_here(L, "%s: %s", o->keylog, error);
		world_set_key_listener(host->world, on_key, host);
	}
}

static void run_value(struct host *host, const char *prefix, const char *name, const char *value)
{
	char full[256];

	snprintf(full, sizeof full, "%s%s", prefix, name);
	recorder_run_value(host->recorder, full, value);
}

/* The arguments in force, before the script can change its table of them. */
static int write_args(lua_State *L)
{
	struct host *host = host_of(L);
	size_t count;

	push_args(L);
	count = push_sorted_keys(L, 1);
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, 2, (lua_Integer)i);
		lua_pushvalue(L, -1);
		lua_rawget(L, 1);
		safe_tostring(L, -1);
		run_value(host, "arg.", lua_tostring(L, 3), lua_tostring(L, -1));
		lua_settop(L, 2);
	}
	return 0;
}

void run_build(lua_State *L)
{
	struct host *host = host_of(L);

	host->sim = sim_new(host->options->seed, host->header.epoch_s);
	host->sim->user = host;
	host->watches = watch_table_new();
	host->sim->changed = watch_changed;
	host->world = world_new(host->sim, HOST_KEY_POOL_SEED, host->options->cache_dir);
	if (!host->world) {
		host->defect = true;
		fail_here(L, "OpenSSL cannot be set up");
	}
	crypto_set_meter(world_crypto(host->world), host->options->meter, host->options->meter_ctx);
	switches_apply(L);
	open_reports(L);
	if (host->recorder) {
		lua_pushcfunction(L, write_args);
		lua_call(L, 0, 0);
	}
}

/* The last of the main chunk: an element without its table, a scenario without bodies. */
static int finish_chunk(lua_State *L)
{
	struct host *host = host_of(L);

	need_header(L);
	push_net(L);
	if (lua_isnil(L, -1))
		fail_here(L, "the scenario has no net; write local net = topology \"NAME\" {}");
	net_ready(L);
	if (host->bodies == 0)
		fail_here(L, "the scenario has no body; write run(function() ... end)");
	return 0;
}

/* False: the scenario is bad, and it has been said. */
static bool run_chunk(struct host *host)
{
	lua_State *L = host->L;
	struct text text = { .len = 0 };
	int status = sandbox_load(L, host->script, host->script_len, host->script_name);

	if (status == LUA_OK) {
		lua_settop(L, 0);
		lua_pushcfunction(L, finish_chunk);
		status = lua_pcall(L, 0, 0, 0);
	}
	if (status == LUA_OK)
		return true;
	error_text(L, &text);
	fprintf(host->options->err, "%s\n", text.s);
	lua_settop(L, 0);
	return false;
}

static bool is_interrupted(struct host *host)
{
	if (host->options->interrupt && *host->options->interrupt)
		host->interrupted = true;
	return host->interrupted;
}

static void start_elements(struct host *host)
{
	struct node *last = NULL;

	/* An element made while another starts has been started by its maker. */
	for (struct node *node = host->sim->nodes; node; node = node->next)
		last = node;
	for (struct node *node = host->sim->nodes; last; node = node->next) {
		if (node->model && node->model->start)
			node->model->start(node);
		if (node == last)
			break;
	}
	host->started = true;
}

/* Lets the clock run to end_ns, or until `over`; false: nothing more can happen before. */
static bool run_clock(struct host *host, sim_ns end_ns, const bool *over)
{
	struct sim *sim = host->sim;

	while (!*over && !is_interrupted(host) && sim->now_ns < end_ns) {
		sim_ns next_ns = equeue_peek_ns(sim->queue), until_ns = moment_after(sim->now_ns, SLICE_NS);

		if (next_ns == SIM_NEVER)
			return false;
		if (next_ns > until_ns)
			until_ns = next_ns;
		sim_run(sim, until_ns < end_ns ? until_ns : end_ns);
	}
	return true;
}

/* Runs until the bodies have ended or the limit is reached. */
static void run_bodies(struct host *host)
{
	run_clock(host, host->header.limit_ns, &host->ended);
}

static void run_settle(struct host *host)
{
	static const bool never = false;
	sim_ns end_ns = moment_after(host->sim->now_ns, host->header.settle_ns);

	if (!run_clock(host, end_ns, &never))
		sim_run(host->sim, end_ns);
}

static void judge_end(struct host *host)
{
	char buf[TIME_TEXT_LEN];
	struct text because = { .len = 0 }, waiting = { .len = 0 };
	struct verdict_facts facts = { .claim = "the scenario ends", .place = host->script_name };

	if (host->ended)
		return;
	text_waiting(&waiting, host);
	if (host->sim->now_ns >= host->header.limit_ns)
		text_add(&because, "the limit of %s is reached", time_text(host->header.limit_ns, buf));
	else
		text_add(&because, "nothing more can happen");
	text_add(&because, "; waiting at %s", waiting.s);
	facts.because = because.s;
	verdict_give(host, &facts);
}

/* Reports */

static void hash_text(const struct host *host, char out[65])
{
	uint8_t hash[32];

	crypto_sha256(world_crypto(host->world), (const uint8_t *)host->script, host->script_len, hash);
	for (size_t i = 0; i < sizeof hash; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* Of an attack scenario: which attack, the switches that decide it, and what they should make of it. */
static void write_attack(struct host *host)
{
	const struct header *header = &host->header;
	char names[HEADER_SWITCHES_MAX * 40] = "";
	size_t len = 0;

	if (!header->attack)
		return;
	for (size_t i = 0; i < header->turns_off_count && len < sizeof names; i++)
		len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? "," : "", header->turns_off[i]);
	run_value(host, "", "attack", header->attack);
	run_value(host, "attack.", "switches", names);
	run_value(host, "attack.", "expected", attack_on(host->L) ? "succeeded" : "stopped");
}

static void write_values(struct host *host)
{
	char text[72];

	run_value(host, "", "scenario", host->script_name);
	hash_text(host, text);
	run_value(host, "", "scenario.sha256", text);
	run_value(host, "", "title", host->header.title);
	if (host->topology_name) {
		run_value(host, "", "topology", host->topology_name);
		run_value(host, "", "topology.sha256", host->topology_hash);
	}
	for (const struct shared_file *f = host->shared; f; f = f->next)
		run_value(host, "shared.", f->name, f->hash);
	snprintf(text, sizeof text, "%llu", (unsigned long long)host->options->seed);
	run_value(host, "", "seed", text);
	snprintf(text, sizeof text, "%lld", (long long)host->header.epoch_s);
	run_value(host, "", "epoch_s", text);
	snprintf(text, sizeof text, "%lld", (long long)host->sim->now_ns);
	run_value(host, "", "end_ns", text);
	write_attack(host);
	for (const struct switch_def *def = switch_table; def->name; def++)
		run_value(host, "switch.", def->name, world_switch(host->world, def->name));
	for (const struct node *node = host->sim->nodes; node; node = node->next)
		if (node->model)
			recorder_node_model(host->recorder, node, node->model->name);
}

static void on_certificate(void *ctx, const char *name, const uint8_t *der, size_t len)
{
	struct host *host = ctx;

	keylog_certificate(host->keylog, name, der, len);
}

/* False: something could not be written, and it has been said. */
static bool finish_reports(struct host *host)
{
	char error[REPORT_ERROR_LEN] = "";
	bool fine = true;

	if (host->recorder) {
		write_values(host);
		if (!recorder_finish(host->recorder, error)) {
			fprintf(host->options->err, "%s: %s\n", host->options->database, error);
			fine = false;
		}
		host->recorder = NULL;
	}
	if (host->capture && !capture_finish(host->capture, error)) {
		fprintf(host->options->err, "%s: %s\n", host->options->capture, error);
		fine = false;
	}
	host->capture = NULL;
	if (host->keylog)
		world_each_certificate(host->world, on_certificate, host);
	if (host->keylog && !keylog_finish(host->keylog, error)) {
		fprintf(host->options->err, "%s: %s\n", host->options->keylog, error);
		fine = false;
	}
	host->keylog = NULL;
	return fine;
}

static void abandon_reports(struct host *host)
{
	if (host->recorder)
		recorder_abandon(host->recorder);
	if (host->capture)
		capture_abandon(host->capture);
	if (host->keylog)
		keylog_abandon(host->keylog);
	host->recorder = NULL;
	host->capture = NULL;
	host->keylog = NULL;
}

static void host_take_down(struct host *host)
{
	abandon_reports(host);
	if (host->sim) {
		/* The observers are gone; what dies from here on is nobody's news. */
		host->sim->observer_count = 0;
		host->sim->trace_mask = 0;
		host->sim->changed = NULL;
	}
	standing_free(host);
	tasks_free(host);
	messages_free(host);
	bills_free(host);
	if (host->L)
		lua_close(host->L);
	if (host->world)
		world_set_key_listener(host->world, NULL, NULL);
	sim_free(host->sim);
	world_free(host->world);
	profiles_free(host);
	watch_table_free(host->watches);
	header_free(&host->header);
	free(host->topology_name);
	shared_free(host);
	free(host->script);
	free(host->script_name);
}

/* A token that failed in mid-run (it was pulled) is trouble of this machine, not of the scenario. */
static bool token_fine(struct host *host)
{
	const char *why = crypto_token_failure(world_crypto(host->world));

	if (*why)
		fprintf(host->options->err, "%s: PKCS#11 token: %s\n", host->script_name, why);
	return !*why;
}

/* From the loaded script to the last verdict. */
static enum host_code drive(struct host *host)
{
	if (!run_chunk(host))
		return host->defect ? HOST_DEFECT : HOST_BAD;
	messages_attach(host);
	bills_attach(host);
	start_elements(host);
	tasks_start(host);
	standing_start(host);
	run_bodies(host);
	if (!host->script_failed && host->ended)
		run_settle(host);
	if (is_interrupted(host)) {
		fprintf(host->options->err, "%s: interrupted\n", host->script_name);
		return HOST_BAD;
	}
	if (host->script_failed || !token_fine(host))
		return HOST_BAD;
	judge_end(host);
	standing_finish(host);
	attack_finish(host);
	host->result->end_ns = host->sim->now_ns;
	if (!finish_reports(host))
		return HOST_BAD;
	return host->result->failed ? HOST_FAILED : HOST_HELD;
}

enum host_code host_run(const struct host_options *options, struct host_result *result)
{
	struct host host = { .options = options, .result = result };

	crypto_own_process();
	memset(result, 0, sizeof *result);
	result->code = HOST_BAD;
	host.tasks_tail = &host.tasks;
	host.standing_tail = &host.standing;
	host.script = file_read(options->script, &host.script_len);
	if (!host.script) {
		fprintf(options->err, "%s: cannot be read: %s\n", options->script, strerror(errno));
		return result->code;
	}
	host.script_name = host_script_name(options->script);
	if (!host_lua_new(&host)) {
		fprintf(options->err, "%s: no memory for Lua\n", host.script_name);
		result->code = HOST_DEFECT;
	} else {
		result->code = drive(&host);
	}
	host_take_down(&host);
	return result->code;
}

/*
 * Campaigns: a scenario over seeds and values of its arguments, a child process for each run, so many at a time as there are cores.
 *
 * Runs are numbered: the last setting changes fastest, the seed slowest. A child writes its result database beside the
 * campaign; this process alone writes the campaign. What a killed campaign has is skipped by the next one with the same file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports/campaign.h"
#include "reports/output.h"
#include "scenarios/host/internal.h"

#define KEY_LEN 4096
#define FAILURES_SHOWN 5

struct slot { /* a run under way */
	pid_t pid;
	uint64_t run;
	char *database; /* where it leaves its result */
	FILE *output;
};

struct work {
	const struct campaign_options *o;
	struct campaign *campaign;
	char *folder; /* where children leave their results */
	struct slot *slots;
	unsigned slot_count, running;
	uint64_t total, next, had, held, failed;
	enum host_code worst;
};

/* Which value of each setting, and which seed, a run has. */
static uint64_t choose(const struct campaign_options *o, uint64_t run, struct host_setting *out)
{
	for (size_t i = o->setting_count; i-- > 0;) {
		const struct campaign_setting *s = &o->settings[i];

		out[i] = (struct host_setting){ s->name, s->values[run % s->value_count] };
		run /= s->value_count;
	}
	return o->seed_first + run;
}

static size_t add_escaped(char *out, size_t at, const char *text)
{
	for (; *text && at + 2 < KEY_LEN; text++) {
		if (*text == ' ' || *text == '\\')
			out[at++] = '\\';
		out[at++] = *text;
	}
	out[at] = '\0';
	return at;
}

/* "wan=80ms talk=2s" in the order given. */
static void variant_text(const struct campaign_options *o, const struct host_setting *settings, char out[KEY_LEN])
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < o->setting_count && at + 3 < KEY_LEN; i++) {
		if (at)
			out[at++] = ' ';
		at = add_escaped(out, at, settings[i].name);
		if (at + 3 < KEY_LEN)
			out[at++] = '=';
		at = add_escaped(out, at, settings[i].value);
	}
}

static void key_text(uint64_t seed, const char *variant, char out[KEY_LEN + 32])
{
	snprintf(out, KEY_LEN + 32, "seed=%llu%s%s", (unsigned long long)seed, *variant ? " " : "", variant);
}

static struct host_options run_options(const struct work *w, const struct slot *slot, struct host_setting *settings)
{
	struct host_options options = w->o->host;

	options.seed = choose(w->o, slot->run, settings);
	options.settings = settings;
	options.setting_count = w->o->setting_count;
	options.database = slot->database;
	options.out = options.err = slot->output;
	options.claims = false;
	return options;
}

static int child(const struct work *w, const struct slot *slot)
{
	struct host_setting *settings = sim_alloc((w->o->setting_count + 1) * sizeof *settings);
	struct host_options options = run_options(w, slot, settings);
	struct host_result result;

	host_run(&options, &result);
	fflush(slot->output);
	return (int)result.code;
}

static bool start(struct work *w, struct slot *slot)
{
	slot->run = w->next;
	if (w->folder) {
		size_t room = strlen(w->folder) + 32;

		slot->database = sim_alloc(room);
		snprintf(slot->database, room, "%s/%u.db", w->folder, (unsigned)(slot - w->slots));
	}
	slot->output = tmpfile();
	fflush(NULL);
	slot->pid = slot->output ? fork() : -1;
	if (slot->pid == 0)
		_exit(child(w, slot));
	if (slot->pid > 0)
		return true;
	fprintf(w->o->host.err, "a child process cannot be started: %s\n", strerror(errno));
	return false;
}

static void slot_free(struct slot *slot)
{
	if (slot->database)
		unlink(slot->database);
	free(slot->database);
	if (slot->output)
		fclose(slot->output);
	*slot = (struct slot){ 0 };
}

/* What a run that failed has said, and how to do it again alone. */
static void show(const struct work *w, struct slot *slot, FILE *out)
{
	struct host_setting *settings = sim_alloc((w->o->setting_count + 1) * sizeof *settings);
	struct host_options options = run_options(w, slot, settings);
	char buf[4096];
	size_t n;

	rewind(slot->output);
	while ((n = fread(buf, 1, sizeof buf, slot->output)) > 0)
		fwrite(buf, 1, n, out);
	print_repeat(&options, out);
	free(settings);
}

static bool keep(struct work *w, struct slot *slot, int code)
{
	struct host_setting *settings = sim_alloc((w->o->setting_count + 1) * sizeof *settings);
	char variant[KEY_LEN], key[KEY_LEN + 32], error[REPORT_ERROR_LEN];
	uint64_t seed = choose(w->o, slot->run, settings);
	bool fine;

	variant_text(w->o, settings, variant);
	key_text(seed, variant, key);
	fine = !w->campaign || campaign_add(w->campaign, key, variant, code, slot->database, error);
	if (!fine)
		fprintf(w->o->host.err, "%s\n", error);
	free(settings);
	return fine;
}

/* HOST_HELD: go on. */
static enum host_code end(struct work *w, struct slot *slot, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : HOST_DEFECT;

	if (code == HOST_HELD || code == HOST_FAILED) {
		w->held += code == HOST_HELD;
		w->failed += code == HOST_FAILED;
		if (code == HOST_FAILED && w->failed <= FAILURES_SHOWN)
			show(w, slot, w->o->host.out);
		code = keep(w, slot, code) ? HOST_HELD : HOST_BAD;
	} else {
		if (WIFSIGNALED(status))
			fprintf(w->o->host.err, "a run ended by signal %d\n", WTERMSIG(status));
		if (!w->o->host.interrupt || !*w->o->host.interrupt)
			show(w, slot, w->o->host.err);
	}
	slot_free(slot);
	return (enum host_code)code;
}

/* The next run that the campaign lacks; false: there is none. */
static bool find_next(struct work *w)
{
	struct host_setting *settings = sim_alloc((w->o->setting_count + 1) * sizeof *settings);
	char variant[KEY_LEN], key[KEY_LEN + 32];
	bool found = false;

	for (; w->next < w->total && !found; w->next += !found) {
		uint64_t seed = choose(w->o, w->next, settings);

		variant_text(w->o, settings, variant);
		key_text(seed, variant, key);
		found = !w->campaign || !campaign_has(w->campaign, key);
		w->had += !found;
	}
	free(settings);
	return found;
}

static void progress(const struct work *w)
{
	if (w->o->progress)
		fprintf(w->o->progress, "\r%llu of %llu runs, %llu failed ", (unsigned long long)(w->had + w->held + w->failed),
		        (unsigned long long)w->total, (unsigned long long)w->failed);
}

static struct slot *slot_of(struct work *w, pid_t pid)
{
	for (unsigned i = 0; i < w->slot_count; i++)
		if (w->slots[i].pid == pid)
			return &w->slots[i];
	return NULL;
}

static void stop(struct work *w)
{
	for (unsigned i = 0; i < w->slot_count; i++) {
		if (w->slots[i].pid <= 0)
			continue;
		kill(w->slots[i].pid, SIGINT);
		waitpid(w->slots[i].pid, NULL, 0);
		slot_free(&w->slots[i]);
	}
}

static enum host_code run_all(struct work *w)
{
	enum host_code code = HOST_HELD;

	while (code == HOST_HELD) {
		struct slot *slot;
		int status;
		pid_t pid;

		if (w->o->host.interrupt && *w->o->host.interrupt)
			code = HOST_BAD;
		else if (w->running < w->slot_count && find_next(w)) {
			code = start(w, slot_of(w, 0)) ? HOST_HELD : HOST_DEFECT;
			w->next++;
			w->running++;
		} else if (w->running == 0) {
			break;
		} else if ((pid = wait(&status)) > 0 && (slot = slot_of(w, pid)) != NULL) {
			w->running--;
			code = end(w, slot, status);
			progress(w);
		}
	}
	stop(w);
	if (w->o->progress)
		fputs("\r\033[K", w->o->progress);
	return code;
}

/* The number of runs; 0: more than a campaign may have. */
static uint64_t count_runs(const struct campaign_options *o)
{
	uint64_t total = o->seed_last - o->seed_first;

	if (total >= CAMPAIGN_RUNS_MAX)
		return 0;
	total++;
	for (size_t i = 0; i < o->setting_count; i++) {
		if (total > CAMPAIGN_RUNS_MAX / o->settings[i].value_count)
			return 0;
		total *= o->settings[i].value_count;
	}
	return total;
}

static void summarise(const struct work *w)
{
	fprintf(w->o->host.out, "%llu runs: %llu held, %llu failed", (unsigned long long)(w->held + w->failed),
	        (unsigned long long)w->held, (unsigned long long)w->failed);
	if (w->had)
		fprintf(w->o->host.out, "; %llu were there already", (unsigned long long)w->had);
	fputc('\n', w->o->host.out);
}

enum host_code host_campaign(const struct campaign_options *o)
{
	struct work w = { .o = o, .total = count_runs(o) };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	char error[REPORT_ERROR_LEN] = "";
	enum host_code code;

	if (!w.total) {
		fprintf(o->host.err, "more than %llu runs; name fewer seeds or values\n", (unsigned long long)CAMPAIGN_RUNS_MAX);
		return HOST_BAD;
	}
	w.campaign = o->path ? campaign_open(o->path, error) : NULL;
	if (o->path && !w.campaign) {
		fprintf(o->host.err, "%s\n", error);
		return HOST_BAD;
	}
	w.folder = o->path ? output_temp_folder(o->path, error) : NULL;
	if (o->path && !w.folder) {
		fprintf(o->host.err, "%s\n", error);
		campaign_leave(w.campaign);
		return HOST_BAD;
	}
	w.slot_count = o->jobs ? o->jobs : cores > 0 ? (unsigned)cores : 1;
	w.slots = calloc(w.slot_count, sizeof *w.slots);
	if (!w.slots)
		abort();
	code = run_all(&w);
	free(w.slots);
	if (w.folder)
		output_remove_folder(w.folder);
	free(w.folder);
	if (code != HOST_HELD) {
		campaign_leave(w.campaign);
	} else if (w.campaign && !campaign_finish(w.campaign, error)) {
		fprintf(o->host.err, "%s\n", error);
		code = HOST_BAD;
	}
	if (code == HOST_HELD)
		summarise(&w);
	return code == HOST_HELD && w.failed ? HOST_FAILED : code;
}

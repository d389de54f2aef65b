/*
 * `tollgate test`: the runs of the scenarios, each in a child process of its own, so that one that crashes is one
 * failure.
 *
 * An attack scenario runs once as it is and once for each value of each switch it turns off. Children run beside each
 * other; what they print goes to temporary files and is told in the order of paths, so that nothing told depends on
 * the machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "reports/text.h"
#include "scenarios/host/test_internal.h"

#define OUTPUTS_MAX 200 /* open temporary files */

/* A name of a file may hold anything; this one is printed. */
static char *clean_name(const char *path)
{
	char *name = host_script_name(path), *copy;

	if (text_clean(name, &copy) == name)
		return name;
	free(name);
	return copy;
}

static struct job *job_add(struct jobs *jobs, const char *path, const char *variant, const char *value, uint64_t seed)
{
	struct job *job;

	if (jobs->count == jobs->room) {
		jobs->room = jobs->room ? 2 * jobs->room : 64;
		jobs->list = sim_realloc(jobs->list, jobs->room * sizeof *jobs->list);
	}
	job = &jobs->list[jobs->count++];
	memset(job, 0, sizeof *job);
	job->path = path;
	job->name = clean_name(path);
	if (*variant)
		snprintf(job->variant, sizeof job->variant, "switch.%.80s", variant);
	job->value = sim_strdup(value);
	job->seed = seed;
	return job;
}

static bool is_chosen(const struct test_options *o, const char *path, const struct header *header)
{
	bool tagged = !o->tag;

	for (size_t i = 0; i < header->tag_count; i++)
		tagged = tagged || strcmp(header->tags[i], o->tag) == 0;
	return tagged && (!o->word || strstr(path, o->word) || strstr(header->title, o->word));
}

static void jobs_of(struct jobs *jobs, const struct test_options *o, const char *path, const struct header *header)
{
	char variant[HOST_VARIANT_LEN];
	const char *value;

	/* Every seed makes a run of the defaults and one of each variant. */
	if (o->seed_last - o->seed_first >= (TEST_RUNS_MAX - jobs->count) / (header->variant_count + 1)) {
		jobs->too_many = true;
		return;
	}
	for (uint64_t seed = o->seed_first;; seed++) {
		for (size_t n = 0; header_variant(header, n, variant, &value); n++) {
			struct job *job = job_add(jobs, path, variant, value, seed);

			job->title = sim_strdup(header->title);
			job->attack = header->attack ? sim_strdup(header->attack) : NULL;
		}
		if (seed == o->seed_last)
			break;
	}
}

void jobs_for(struct jobs *jobs, const struct test_options *o, const char *path)
{
	struct header header;
	char *why = NULL;
	size_t len;
	FILE *err = open_memstream(&why, &len);
	enum host_code code = err ? header_read(path, o->models, &header, err) : HOST_DEFECT;

	if (err)
		fclose(err);
	if (code != HOST_HELD) {
		job_add(jobs, path, "", "", o->seed_first)->unreadable = why;
		why = NULL;
	} else if (header.found && is_chosen(o, path, &header)) {
		jobs_of(jobs, o, path, &header);
	}
	free(why);
	if (err)
		header_free(&header);
}

static struct host_options options_of(const struct test_options *o, const struct job *job, const struct host_setting *setting)
{
	return (struct host_options){
		.models = o->models, .script = job->path, .seed = job->seed, .settings = setting,
		.setting_count = job->variant[0] ? 1 : 0, .cache_dir = o->cache_dir, .out = job->output, .err = job->output,
		.interrupt = o->interrupt, .database = job->database, .level = results_level(o, job),
	};
}

/* What hangs where no limit of the host's looks (a pattern that backtracks for ever) ends by the system's. */
static void limit_cpu(const struct test_options *o)
{
	rlim_t limit_s = o->cpu_limit_s ? o->cpu_limit_s : TEST_CPU_LIMIT_S;

	setrlimit(RLIMIT_CPU, &(struct rlimit){ .rlim_cur = limit_s, .rlim_max = limit_s + 1 });
}

static int job_child(const struct test_options *o, const struct job *job, struct host_result *result)
{
	struct host_setting setting = { job->variant, job->value };
	struct host_options options = options_of(o, job, &setting);
	struct host_result local;

	limit_cpu(o);
	setvbuf(job->output, NULL, _IOLBF, 0); /* what was said before a crash is shown */
	host_run(&options, &local);
	*result = local;
	fflush(job->output);
	return (int)local.code;
}

static bool job_start(struct test *test, size_t i)
{
	const struct test_options *o = test->o;
	struct jobs *jobs = &test->jobs;
	struct job *job = &jobs->list[i];

	if (job->unreadable) {
		jobs->results[i].code = HOST_BAD;
		job->done = true;
		test->done++;
		test->failed++;
		return true;
	}
	job->output = tmpfile();
	if (!job->output)
		return false;
	fflush(o->out);
	fflush(o->err);
	/* Stands if the child never gets to say otherwise. */
	jobs->results[i].code = HOST_DEFECT;
	job->pid = fork();
	if (job->pid < 0)
		return false;
	if (job->pid == 0)
		_exit(job_child(o, job, &jobs->results[i]));
	return true;
}

static void job_end(struct test *test, pid_t pid, int status)
{
	struct jobs *jobs = &test->jobs;

	for (size_t i = 0; i < jobs->count; i++) {
		struct job *job = &jobs->list[i];

		if (job->pid != pid || job->done)
			continue;
		job->done = true;
		test->done++;
		if (WIFSIGNALED(status)) {
			fseek(job->output, 0, SEEK_END);
			fprintf(job->output, WTERMSIG(status) == SIGXCPU ? "ended: its processor time is used up\n" : "ended by signal %d\n",
			        WTERMSIG(status));
			jobs->results[i].code = HOST_DEFECT;
		}
		test->failed += jobs->results[i].code != HOST_HELD;
		return;
	}
}

void job_name(const struct job *job, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s%s%s", job->name, job->variant[0] ? " " : "", job->variant, job->variant[0] ? "=" : "", job->value);
}

char *job_command(const struct test_options *o, const struct job *job)
{
	struct host_setting setting = { job->variant, job->value };
	struct host_options options = options_of(o, job, &setting);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return sim_strdup("");
	print_command(&options, out);
	fclose(out);
	return text;
}

const char *result_word(enum host_code code)
{
	static const char *const words[] = {
		[HOST_HELD] = "passed", [HOST_FAILED] = "FAILED", [HOST_BAD] = "BAD", [HOST_DEFECT] = "DEFECT",
	};

	return words[code];
}

/* Ends the children that still run, each by its own id. */
static void stop_children(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++) {
		struct job *job = &jobs->list[i];

		if (job->pid <= 0 || job->done)
			continue;
		kill(job->pid, SIGINT);
		waitpid(job->pid, NULL, 0);
		job->done = true;
	}
}

/* Starts the next run. False: no process can be had, and it has been said. */
static bool start_next(struct test *test, size_t *started, size_t *running)
{
	if (!job_start(test, *started)) {
		progress_clear(test);
		fprintf(test->o->err, "a child process cannot be started: %s\n", strerror(errno));
		stop_children(&test->jobs);
		return false;
	}
	*running += !test->jobs.list[(*started)++].done;
	return true;
}

enum host_code jobs_run(struct test *test)
{
	const struct test_options *o = test->o;
	struct jobs *jobs = &test->jobs;
	size_t started = 0, running = 0, told = 0;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = o->jobs ? o->jobs : cores > 0 ? (size_t)cores : 1;

	while (told < jobs->count) {
		int status;
		pid_t pid;

		if (o->interrupt && *o->interrupt) {
			progress_clear(test);
			stop_children(jobs);
			fprintf(o->err, "interrupted\n");
			return HOST_BAD;
		}
		for (; told < started && jobs->list[told].done; test->told = ++told)
			test_tell(test, told);
		if (started < jobs->count && running < most && started - told < OUTPUTS_MAX) {
			if (!start_next(test, &started, &running))
				return HOST_DEFECT;
			continue;
		}
		if (running == 0)
			continue;
		progress_show(test, started);
		pid = wait(&status);
		if (pid < 0)
			continue;
		job_end(test, pid, status);
		running--;
	}
	progress_clear(test);
	return HOST_HELD;
}

void jobs_free(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++) {
		free(jobs->list[i].name);
		free(jobs->list[i].title);
		free(jobs->list[i].attack);
		free(jobs->list[i].database);
		free(jobs->list[i].said);
		run_facts_free(&jobs->list[i].facts);
		free(jobs->list[i].value);
		free(jobs->list[i].unreadable);
		if (jobs->list[i].output)
			fclose(jobs->list[i].output);
	}
	if (jobs->results)
		munmap(jobs->results, (jobs->count + 1) * sizeof *jobs->results);
	free(jobs->list);
}

/*
 * `tollgate test`: every scenario, each run in a child process of its own, so that one that crashes is one failure.
 *
 * An attack scenario runs once as it is and once for each value of each switch it turns off. Children run beside each other;
 * their output goes to temporary files and is shown in the order of paths, so that the text does not depend on the machine.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "scenarios/host/internal.h"

#define DEPTH_MAX 16 /* of folders */
#define OUTPUTS_MAX 200 /* open temporary files */

/* Finding */

static void list_add(struct scenario_list *list, const char *path)
{
	list->paths = sim_realloc(list->paths, (list->count + 1) * sizeof *list->paths);
	list->paths[list->count++] = sim_strdup(path);
}

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && strcmp(s + a - b, end) == 0;
}

static bool holds_no_scenarios(const char *folder)
{
	return strcmp(folder, "topologies") == 0 || strcmp(folder, "shared") == 0;
}

static bool find_below(const char *dir, struct scenario_list *list, unsigned depth, FILE *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool fine = true;

	if (!d) {
		fprintf(err, "%s: cannot be read: %s\n", dir, strerror(errno));
		return false;
	}
	while ((entry = readdir(d)) != NULL) {
		char path[4096];
		struct stat st;

		if (entry->d_name[0] == '.'
		    || (size_t)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >= sizeof path || stat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && !holds_no_scenarios(entry->d_name) && depth < DEPTH_MAX)
			fine = find_below(path, list, depth + 1, err) && fine;
		else if (S_ISREG(st.st_mode) && ends_with(path, ".lua"))
			list_add(list, path);
	}
	closedir(d);
	return fine;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool scenario_find(const char *path, struct scenario_list *list, FILE *err)
{
	struct stat st;
	char trimmed[4096];
	size_t len = strlen(path);
	bool fine = true;

	while (len > 1 && path[len - 1] == '/')
		len--;
	snprintf(trimmed, sizeof trimmed, "%.*s", (int)len, path);
	if (stat(trimmed, &st) != 0) {
		fprintf(err, "%s: %s\n", path, strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode))
		fine = find_below(trimmed, list, 0, err);
	else
		list_add(list, trimmed);
	if (list->count > 1)
		qsort(list->paths, list->count, sizeof *list->paths, compare_paths);
	return fine;
}

void scenario_list_free(struct scenario_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	memset(list, 0, sizeof *list);
}

/* Jobs */

struct job {
	const char *path;
	char *name;                  /* of the scenario */
	char variant[HOST_VARIANT_LEN]; /* "switch.NAME", "" */
	char *value;
	uint64_t seed;
	pid_t pid;
	FILE *output;
	char *unreadable; /* why its header could not be read: it is not run, and has failed */
	bool done;
};

struct jobs {
	struct job *list;
	size_t count, room;
	struct host_result *results; /* shared with the children */
	bool too_many;
};

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
	job->name = host_script_name(path);
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
		for (size_t n = 0; header_variant(header, n, variant, &value); n++)
			job_add(jobs, path, variant, value, seed);
		if (seed == o->seed_last)
			break;
	}
}

static void jobs_for(struct jobs *jobs, const struct test_options *o, const char *path)
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
		.interrupt = o->interrupt,
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

static bool job_start(const struct test_options *o, struct jobs *jobs, size_t i)
{
	struct job *job = &jobs->list[i];

	if (job->unreadable) {
		jobs->results[i].code = HOST_BAD;
		job->done = true;
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

static void job_end(struct jobs *jobs, pid_t pid, int status)
{
	for (size_t i = 0; i < jobs->count; i++) {
		struct job *job = &jobs->list[i];

		if (job->pid != pid || job->done)
			continue;
		job->done = true;
		if (WIFSIGNALED(status)) {
			fseek(job->output, 0, SEEK_END);
			fprintf(job->output, WTERMSIG(status) == SIGXCPU ? "ended: its processor time is used up\n" : "ended by signal %d\n",
			        WTERMSIG(status));
			jobs->results[i].code = HOST_DEFECT;
		}
		return;
	}
}

/* Copies what a run has said; the last line is ended if the run did not. */
static void copy_output(FILE *from, FILE *to)
{
	char buf[4096], last = '\n';
	size_t n;

	rewind(from);
	while ((n = fread(buf, 1, sizeof buf, from)) > 0) {
		fwrite(buf, 1, n, to);
		last = buf[n - 1];
	}
	if (last != '\n')
		fputc('\n', to);
}

/* Under the line of a run that failed: what it said, and how to repeat it unless its claims have said so. */
static void print_failure(const struct test_options *o, const struct job *job, enum host_code code, FILE *out)
{
	struct host_setting setting = { job->variant, job->value };
	struct host_options options = options_of(o, job, &setting);

	if (job->unreadable)
		fputs(job->unreadable, out);
	else
		copy_output(job->output, out);
	if (code != HOST_FAILED)
		print_repeat(&options, out);
}

static void job_print(const struct test_options *o, const struct jobs *jobs, size_t i, size_t width)
{
	static const char *const words[] = {
		[HOST_HELD] = "passed", [HOST_FAILED] = "FAILED", [HOST_BAD] = "BAD", [HOST_DEFECT] = "DEFECT",
	};
	struct job *job = &jobs->list[i];
	const struct host_result *result = &jobs->results[i];
	char buf[TIME_TEXT_LEN], name[512];

	snprintf(name, sizeof name, "%s%s%s%s%s", job->name, job->variant[0] ? " " : "", job->variant, job->variant[0] ? "=" : "",
	         job->value);
	fprintf(o->out, "%-6s  %-*s  seed %llu", words[result->code], (int)width, name, (unsigned long long)job->seed);
	if (result->code == HOST_HELD || result->code == HOST_FAILED)
		fprintf(o->out, "  %u of %u claims hold  %s", result->held, result->held + result->failed,
		        clock_text(result->end_ns, buf));
	fputc('\n', o->out);
	if (result->code != HOST_HELD)
		print_failure(o, job, result->code, o->out);
	fflush(o->out);
	if (job->output)
		fclose(job->output);
	job->output = NULL;
}

static size_t name_width(const struct jobs *jobs)
{
	size_t width = 0;

	for (size_t i = 0; i < jobs->count; i++) {
		const struct job *job = &jobs->list[i];
		size_t len = strlen(job->name) + strlen(job->variant) + strlen(job->value) + (job->variant[0] ? 2 : 0);

		if (len > width)
			width = len;
	}
	return width;
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

static enum host_code run_jobs(const struct test_options *o, struct jobs *jobs)
{
	size_t started = 0, running = 0, printed = 0, width = name_width(jobs);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = o->jobs ? o->jobs : cores > 0 ? (size_t)cores : 1;

	while (printed < jobs->count) {
		int status;
		pid_t pid;

		if (o->interrupt && *o->interrupt) {
			stop_children(jobs);
			fprintf(o->err, "interrupted\n");
			return HOST_BAD;
		}
		for (; printed < started && jobs->list[printed].done; printed++)
			job_print(o, jobs, printed, width);
		if (started < jobs->count && running < most && started - printed < OUTPUTS_MAX) {
			if (!job_start(o, jobs, started)) {
				fprintf(o->err, "a child process cannot be started: %s\n", strerror(errno));
				stop_children(jobs);
				return HOST_DEFECT;
			}
			running += !jobs->list[started++].done;
			continue;
		}
		if (running == 0)
			continue;
		pid = wait(&status);
		if (pid < 0)
			continue;
		job_end(jobs, pid, status);
		running--;
	}
	return HOST_HELD;
}

static enum host_code summarise(const struct jobs *jobs, FILE *out)
{
	size_t passed = 0;
	enum host_code worst = HOST_HELD;

	for (size_t i = 0; i < jobs->count; i++) {
		passed += jobs->results[i].code == HOST_HELD;
		if (jobs->results[i].code > worst)
			worst = jobs->results[i].code;
	}
	fprintf(out, "%zu passed, %zu failed\n", passed, jobs->count - passed);
	return worst;
}

static void jobs_free(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++) {
		free(jobs->list[i].name);
		free(jobs->list[i].value);
		free(jobs->list[i].unreadable);
		if (jobs->list[i].output)
			fclose(jobs->list[i].output);
	}
	if (jobs->results)
		munmap(jobs->results, (jobs->count + 1) * sizeof *jobs->results);
	free(jobs->list);
}

enum host_code host_test(const struct test_options *o)
{
	struct scenario_list list = { .count = 0 };
	struct jobs jobs = { .count = 0 };
	enum host_code code = HOST_HELD;
	const char *dir = host_scenarios_dir();
	bool found = true;

	for (size_t i = 0; i < o->path_count; i++)
		found = scenario_find(o->paths[i], &list, o->err) && found;
	if (o->path_count == 0)
		found = scenario_find(dir, &list, o->err);
	for (size_t i = 0; i < list.count; i++)
		if (i == 0 || strcmp(list.paths[i], list.paths[i - 1]) != 0)
			jobs_for(&jobs, o, list.paths[i]);
	if (!found)
		code = HOST_BAD;
	if (jobs.too_many) {
		fprintf(o->err, "more than %d runs; name fewer scenarios or seeds\n", TEST_RUNS_MAX);
		code = HOST_BAD;
	}
	if (code == HOST_HELD && jobs.count == 0) {
		fprintf(o->err, "no scenario found\n");
		code = HOST_BAD;
	}
	if (code == HOST_HELD) {
		jobs.results = mmap(NULL, (jobs.count + 1) * sizeof *jobs.results, PROT_READ | PROT_WRITE,
		                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (jobs.results == MAP_FAILED) {
			jobs.results = NULL;
			code = HOST_DEFECT;
		} else {
			code = run_jobs(o, &jobs);
		}
	}
	if (code == HOST_HELD)
		code = summarise(&jobs, o->out);
	jobs_free(&jobs);
	scenario_list_free(&list);
	return code;
}

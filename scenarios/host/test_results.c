/*
 * `tollgate test`: the result databases of its runs, which all that it shows is read from: in the folder that --keep
 * names, called after scenario, variant and seed, or in a temporary one, where each goes away as soon as it has been
 * read.
 *
 * A run is recorded when an output wants it or when it has an attack; media never.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "reports/text.h"
#include "scenarios/host/test_internal.h"

#define RESULT_NAME_MAX 200 /* leaves room for temporary names in 255 bytes */

static bool wants_files(const struct test_options *o)
{
	return o->keep || o->junit || o->sarif || o->json || o->tap;
}

enum record_level results_level(const struct test_options *o, const struct job *job)
{
	return o->keep || (o->sarif && job->attack) ? RECORD_FLOW : RECORD_SUMMARY;
}

/* Letters that mean nothing to a shell or a file system stay. */
static void append_plain(char *name, size_t size, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-=,+";
	size_t len = strlen(name);

	for (; *text && len + 1 < size; text++)
		name[len++] = strchr(plain, *text) ? *text : '_';
	name[len] = '\0';
}

/* "attacks_ap_req_replay.switch.sc.replay_cache=off.seed1.db"; "" when it gets too long. */
static void result_name(const struct job *job, char name[RESULT_NAME_MAX + 2])
{
	static const char folder[] = "scenarios/";
	size_t skip = strncmp(job->name, folder, sizeof folder - 1) == 0 ? sizeof folder - 1 : 0;
	char end[64], *suffix;

	name[0] = '\0';
	append_plain(name, RESULT_NAME_MAX + 2, job->name + skip);
	suffix = strrchr(name, '.');
	if (suffix && strcmp(suffix, ".lua") == 0)
		*suffix = '\0';
	if (job->variant[0]) {
		append_plain(name, RESULT_NAME_MAX + 2, ".");
		append_plain(name, RESULT_NAME_MAX + 2, job->variant);
		append_plain(name, RESULT_NAME_MAX + 2, "=");
		append_plain(name, RESULT_NAME_MAX + 2, job->value);
	}
	snprintf(end, sizeof end, ".seed%llu.db", (unsigned long long)job->seed);
	append_plain(name, RESULT_NAME_MAX + 2, end);
	if (strlen(name) > RESULT_NAME_MAX)
		name[0] = '\0';
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Two runs may not take each other's place. */
static bool names_differ(struct test *test)
{
	struct jobs *jobs = &test->jobs;
	char **names = sim_alloc((jobs->count + 1) * sizeof *names);
	size_t count = 0;
	bool fine = true;

	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->list[i].database)
			names[count++] = jobs->list[i].database;
	if (count > 1)
		qsort(names, count, sizeof *names, compare_names);
	for (size_t i = 1; i < count && fine; i++) {
		fine = strcmp(names[i], names[i - 1]) != 0;
		if (!fine)
			fprintf(test->o->err, "two runs would both be kept as %s; name fewer scenarios\n", names[i]);
	}
	free(names);
	return fine;
}

static bool open_kept(struct test *test)
{
	const char *dir = test->o->keep;

	if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
		fprintf(test->o->err, "%s: cannot be made: %s\n", dir, strerror(errno));
		return false;
	}
	for (size_t i = 0; i < test->jobs.count; i++) {
		struct job *job = &test->jobs.list[i];
		char name[RESULT_NAME_MAX + 2];

		if (job->unreadable)
			continue;
		result_name(job, name);
		if (!*name) {
			fprintf(test->o->err, "%s: its name is too long for --keep\n", job->path);
			return false;
		}
		job->database = text_make("%s/%s", dir, name);
	}
	return names_differ(test);
}

static bool open_temporary(struct test *test, bool all)
{
	const char *dir = getenv("TMPDIR");

	for (size_t i = 0; i < test->jobs.count; i++) {
		struct job *job = &test->jobs.list[i];

		if (job->unreadable || !(all || job->attack))
			continue;
		if (!test->temp[0]) {
			snprintf(test->temp, sizeof test->temp, "%s/tollgate-test-XXXXXX", dir && *dir && strlen(dir) < 30 ? dir : "/tmp");
			if (!mkdtemp(test->temp)) {
				fprintf(test->o->err, "%s: cannot be made: %s\n", test->temp, strerror(errno));
				test->temp[0] = '\0';
				return false;
			}
		}
		job->database = text_make("%s/%zu.db", test->temp, i);
	}
	return true;
}

bool results_open(struct test *test)
{
	return test->o->keep ? open_kept(test) : open_temporary(test, wants_files(test->o));
}

/* The last of what a run has said. */
static char *read_said(FILE *from)
{
	char *said = sim_alloc(TEST_SAID_MAX + 1);
	size_t len;

	if (fseek(from, -TEST_SAID_MAX, SEEK_END) != 0)
		rewind(from);
	len = fread(said, 1, TEST_SAID_MAX, from);
	said[len] = '\0';
	return said;
}

void results_read(struct test *test, size_t i)
{
	struct job *job = &test->jobs.list[i];
	enum host_code code = test->jobs.results[i].code;
	char error[REPORT_ERROR_LEN] = "";
	bool steps = test->o->sarif && job->attack && code == HOST_FAILED;

	if (code >= HOST_BAD && wants_files(test->o))
		job->said = job->unreadable ? sim_strdup(job->unreadable) : read_said(job->output);
	if (job->database && code >= HOST_BAD)
		unlink(job->database); /* an older run's, which would pass for this one's */
	if (!job->database || code >= HOST_BAD)
		return;
	job->has_facts = run_facts_read(job->database, steps, &job->facts, error);
	if (!job->has_facts)
		fprintf(test->o->err, "%s\n", error);
	if (!test->o->keep)
		unlink(job->database);
}

void results_close(struct test *test)
{
	DIR *dir = test->temp[0] ? opendir(test->temp) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	if (test->temp[0])
		rmdir(test->temp);
	test->temp[0] = '\0';
}

/*
 * What the tests of the scenario host share: a script run below a temporary folder as scenarios/t.lua, one seed, what it
 * prints held against the letter. Included by the tests that use it.
 */
#ifndef TOLLGATE_TESTS_SCENARIOS_HOST_FIXTURE_H
#define TOLLGATE_TESTS_SCENARIOS_HOST_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "scenarios/host/internal.h"
#include "tests/scenarios/phone_model.h"

static const struct model *const phones[] = { &model_test_phone, NULL };

#define HEAD "scenario { title = 't' }\n"
#define NET HEAD "local net = network()\nlocal a, b = net:phone 'a' { number = '1' }, net:phone 'b' { number = '2' }\n"

#define LAN HEAD "local net = network()\nlocal lan = net:link 'lan' { subnet = '10.0.0.0/24' }\n" \
	"local a, b, c = net:phone 'a' { number = '1', on = lan }, net:phone 'b' { number = '2', on = lan }, net:phone 'c' { number = '3', on = lan }\n"

struct run {
	char dir[64], script[128];
	char *out, *err;
	size_t out_len, err_len;
	struct host_result result;
	struct host_options options;
};

static inline void run_begin(struct run *run, const char *script)
{
	FILE *f;
	char path[128];

	memset(run, 0, sizeof *run);
	snprintf(run->dir, sizeof run->dir, "/tmp/test_host.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(run->dir));
	snprintf(path, sizeof path, "%s/scenarios", run->dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(run->script, sizeof run->script, "%s/scenarios/t.lua", run->dir);
	f = fopen(run->script, "w");
	ck_assert_ptr_nonnull(f);
	fputs(script, f);
	fclose(f);
	run->options = (struct host_options){ .models = phones, .script = run->script, .seed = 1, .level = RECORD_ALL };
}

static inline void add_file(const struct run *run, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", run->dir, name);
	*strrchr(path, '/') = '\0';
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s", run->dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static inline enum host_code run_go(struct run *run)
{
	free(run->out);
	free(run->err);
	run->options.out = open_memstream(&run->out, &run->out_len);
	run->options.err = open_memstream(&run->err, &run->err_len);
	host_run(&run->options, &run->result);
	fclose(run->options.out);
	fclose(run->options.err);
	return run->result.code;
}

static inline void remove_below(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL) {
		char child[512];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof child, "%.200s/%.255s", path, entry->d_name);
		if (unlink(child) != 0)
			remove_below(child);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static inline void run_end(struct run *run)
{
	remove_below(run->dir);
	free(run->out);
	free(run->err);
}

static inline void expect_run(const char *script, enum host_code code, const char *out, const char *err)
{
	struct run run;

	run_begin(&run, script);
	run_go(&run);
	if (run.result.code != code || (out && strcmp(run.out, out) != 0) || (err && strcmp(run.err, err) != 0))
		ck_abort_msg("script:\n%s\nwant code %d\n%s%s\ngot code %d\n%s%s", script, code, out ? out : "(any)\n",
		             err ? err : "(any)", run.result.code, run.out, run.err);
	run_end(&run);
}

/* Replaces the path of the script by "@". */
static inline void hide_path_in(const struct run *run, char *text)
{
	char *at;

	while ((at = strstr(text, run->script)) != NULL) {
		*at = '@';
		memmove(at + 1, at + strlen(run->script), strlen(at + strlen(run->script)) + 1);
	}
}

static inline void hide_path(struct run *run)
{
	hide_path_in(run, run->out);
}

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Runs one case of tests; 0 when all passed. */
static inline int run_case(TCase *tc)
{
	Suite *suite = suite_create("host");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#endif

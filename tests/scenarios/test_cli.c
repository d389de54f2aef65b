/*
 * The command itself: verbs, exit codes, what it writes and leaves when a disk is full, a reader is gone or it is killed.
 *
 * Each call runs main() in a child process; its output goes to files of the temporary folder.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "tests/scenarios/host_fixture.h"
int tollgate_main(int argc, char **argv);
#define main tollgate_main
#include "scenarios/cmd/tollgate.c" /* its own main, under another name */
#undef main

#define WORDS_MAX 16

struct command {
	struct run run;
	void (*prepare)(const struct command *c); /* in the child; may be NULL */
	const char *out_path;                     /* NULL: OUT */
	int code;                                 /* the exit code; -signal */
	char *out, *err;
};

static char *slurp(const char *dir, const char *name)
{
	char path[128], *text;
	size_t len;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	text = file_read(path, &len);
	ck_assert_msg(text != NULL, "%s", path);
	return text;
}

static void redirect(const struct command *c, int fd, const char *name, const char *instead)
{
	char path[128];
	int file;

	snprintf(path, sizeof path, "%s/%s", c->run.dir, name);
	file = open(instead ? instead : path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (file < 0 || dup2(file, fd) < 0)
		_exit(99);
	close(file);
}

/* Starts the words given, "@" being the script; the child runs in the temporary folder. */
static pid_t start(struct command *c, const char *const *words)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		static char name[] = "tollgate";
		char *argv[WORDS_MAX + 1] = { name };
		int argc = 1;

		for (; *words && argc < WORDS_MAX; words++)
			argv[argc++] = strcmp(*words, "@") == 0 ? c->run.script : (char *)(uintptr_t)*words;
		redirect(c, STDOUT_FILENO, "OUT", c->out_path);
		redirect(c, STDERR_FILENO, "ERR", NULL);
		if (chdir(c->run.dir) != 0)
			_exit(99);
		if (c->prepare)
			c->prepare(c);
		argc = tollgate_main(argc, argv);
		fflush(NULL);
		_exit(argc);
	}
	return pid;
}

static void finish_command(struct command *c, pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	c->code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	free(c->out);
	free(c->err);
	c->out = c->out_path ? sim_strdup("") : slurp(c->run.dir, "OUT");
	c->err = slurp(c->run.dir, "ERR");
}

static void call(struct command *c, const char *const *words)
{
	finish_command(c, start(c, words));
}
#define CALL(c, ...) call((c), (const char *const[]){ __VA_ARGS__, NULL })

static void command_end(struct command *c)
{
	free(c->out);
	free(c->err);
	run_end(&c->run);
}

/* How many entries of the folder have a name with this in it. */
static unsigned entries_with(const char *dir, const char *part)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	unsigned count = 0;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL)
		count += strstr(entry->d_name, part) != NULL;
	closedir(d);
	return count;
}

#define FINE HEAD "network() run(function() claim('it holds', true) end)"
#define WRONG HEAD "network()\nrun(function() wait '2s'; claim('it holds', false, 'it\\ndoes not') end)"

START_TEST(exit_codes)
{
	static const struct { const char *script; const char *const words[6]; int code; const char *err; } cases[] = {
		{ FINE, { "run", "@" }, 0, "" },
		{ WRONG, { "run", "@" }, 1, "" },
		{ "x = = 1", { "run", "@" }, 2, NULL },
		{ FINE, { NULL }, 2, NULL },
		{ FINE, { "rum", "@" }, 2, "tollgate: unknown verb \"rum\"; see tollgate --help\n" },
		{ FINE, { "run" }, 2, "tollgate run: a scenario is missing; see tollgate run --help\n" },
		{ FINE, { "run", "@", "x" }, 2, "tollgate run: an argument is name=value, not \"x\"; see tollgate run --help\n" },
		{ FINE, { "run", "@", "--seed", "3..1" }, 2, "tollgate run: --seed takes N or A..B, not \"3..1\"; see tollgate run --help\n" },
		{ FINE, { "run", "@", "-o", "x", "--pcap=x" }, 2, "tollgate run: -o, --pcap and --keylog need a path each, not all \"x\"; see tollgate "
		  "run --help\n" },
		{ FINE, { "run", "@", "-o", "" }, 2, "tollgate run: -o, --pcap and --keylog take a path, not \"\"; see tollgate run --help\n" },
		{ FINE, { "run", "@", "--keylog", "OUT" }, 2, "scenarios/t.lua:1: OUT: cannot be written to: Not a directory\n" },
		{ FINE, { "run", "@", "-o", "scenarios" }, 2, "scenarios: cannot be written: Is a directory\n" },
		{ FINE, { "run", "@", "-o", "no/such/folder.db" }, 2, NULL },
		{ FINE, { "run", "@", "--pcap", "no/such/folder.pcapng" }, 2, NULL },
		{ FINE, { "run", "@", "--record", "some" }, 2, NULL },
		{ FINE, { "test", "-j", "0" }, 2, NULL },
		{ FINE, { "test", "--cpu-limit", "x" }, 2, NULL },
		{ FINE, { "test", "scenarios", "--seed", "1..18446744073709551615" }, 2, "more than 1000000 runs; name fewer scenarios or seeds\n" },
		{ FINE, { "test", "nowhere" }, 2, "nowhere: No such file or directory\n" },
		{ FINE, { "verdicts" }, 2, "tollgate verdicts: one result database is needed; see tollgate verdicts --help\n" },
		{ FINE, { "verdicts", "no.db" }, 2, "tollgate verdicts: no.db: cannot be read: No such file or directory\n" },
		{ FINE, { "verdicts", "ERR" }, 2, NULL },
		{ FINE, { "ladder", "no.db" }, 2, "tollgate ladder: no.db: cannot be read: No such file or directory\n" },
		{ FINE, { "verdicts", "--help" }, 0, "" }, { FINE, { "ladder", "--help" }, 0, "" }, { FINE, { "--help" }, 0, "" },
		{ FINE, { "run", "--help" }, 0, "" }, { FINE, { "test", "--help" }, 0, "" }, { FINE, { "list", "--help" }, 0, "" },
		{ FINE, { "doc", "--help" }, 0, "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct command c = { .code = -1 };

		run_begin(&c.run, cases[i].script);
		call(&c, cases[i].words);
		ck_assert_msg(c.code == cases[i].code, "%zu: code %d\n%s%s", i, c.code, c.out, c.err);
		if (cases[i].err)
			ck_assert_msg(strcmp(c.err, cases[i].err) == 0, "%zu: %s", i, c.err);
		else
			ck_assert_msg(c.err[0] != '\0', "%zu: nothing is said", i);
		ck_assert_msg(c.code != 0 || c.out[0] != '\0', "%zu: nothing is printed", i);
		command_end(&c);
	}
}
END_TEST

START_TEST(verdicts_of_a_run)
{
	struct command c = { .code = -1 };

	run_begin(&c.run, HEAD "network() never { 'no goodbye', message = { kind = 'BYE' } }\n"
	          "run(function() claim('first', true); wait '2s'; claim('it holds', false, 'it\\ndoes not') end)");
	CALL(&c, "run", "@", "-o", "1.db");
	ck_assert_msg(c.code == HOST_FAILED, "%d\n%s%s", c.code, c.out, c.err);
	CALL(&c, "verdicts", "1.db");
	ck_assert_int_eq(c.code, 0);
	ck_assert_str_eq(c.out, "held         0.000000 s  first  (scenarios/t.lua:3)\nheld         2.000000 s  no goodbye  (scenarios/t.lua:2)\n"
	                 "failed       2.000000 s  it holds  (scenarios/t.lua:3)\n        it\n        does not\nheld 2, failed 1\n");
	CALL(&c, "--help");
	ck_assert_ptr_nonnull(strstr(c.out, "\n  verdicts RUN.db "));
	command_end(&c);
}
END_TEST

START_TEST(last_line_of_test)
{
	struct command c = { .code = -1 };
	const char *last;

	run_begin(&c.run, WRONG);
	add_file(&c.run, "scenarios/fine.lua", FINE);
	CALL(&c, "test", "scenarios");
	ck_assert_int_eq(c.code, HOST_FAILED);
	ck_assert_str_eq(c.err, "");
	ck_assert_ptr_nonnull(strstr(c.out, "FAILED 2.000 s  scenarios/t.lua:3: it holds\n"));
	ck_assert_ptr_nonnull(strstr(c.out, "\n  repeat: tollgate run scenarios/t.lua --seed 1\n"));
	last = strstr(c.out, "\n1 passed, 1 failed\n");
	ck_assert_ptr_nonnull(last);
	ck_assert_str_eq(last, "\n1 passed, 1 failed\n");
	command_end(&c);
}
END_TEST

static void small_files(const struct command *c)
{
	(void)c;
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ .rlim_cur = 20, .rlim_max = 20 });
}

/* A disk that is full: the exit code says so, the old results stand, nothing lies about. */
START_TEST(full_disk)
{
	static const char *const outputs[][2] = { { "-o", "old" }, { "--pcap", "old" } };

	for (size_t i = 0; i < 2; i++) {
		struct command c = { .prepare = small_files };
		char *old;

		run_begin(&c.run, HEAD "local net = network() run(function() wait '1s' end)");
		add_file(&c.run, "old", "the old result");
		CALL(&c, "run", "@", outputs[i][0], outputs[i][1]);
		ck_assert_msg(c.code == HOST_BAD, "%zu: code %d\n%s%s", i, c.code, c.out, c.err);
		ck_assert_msg(strncmp(c.err, "old: cannot be writt", 20) == 0, "%zu: %s", i, c.err); /* no more fits there, either */
		old = slurp(c.run.dir, "old");
		ck_assert_str_eq(old, "the old result");
		free(old);
		ck_assert_uint_eq(entries_with(c.run.dir, "old"), 1);
		command_end(&c);
	}
}
END_TEST

START_TEST(output_that_cannot_be_written)
{
	struct command c = { .out_path = "/dev/full" };

	run_begin(&c.run, FINE);
	CALL(&c, "run", "@");
	ck_assert_int_eq(c.code, HOST_BAD);
	ck_assert_str_eq(c.err, "tollgate: the output cannot be written: No space left on device\n");
	CALL(&c, "--help");
	ck_assert_int_eq(c.code, HOST_BAD);
	command_end(&c);
}
END_TEST

static void nobody_reads(const struct command *c)
{
	int ends[2];

	(void)c;
	if (pipe(ends) != 0 || dup2(ends[1], STDOUT_FILENO) < 0)
		_exit(99);
	close(ends[0]);
	close(ends[1]);
}

START_TEST(reader_is_gone)
{
	struct command c = { .prepare = nobody_reads };

	run_begin(&c.run, HEAD "network() run(function() for i = 1, 10000 do print(i) end; claim('x', true) end)");
	CALL(&c, "run", "@", "-o", "1.db");
	ck_assert_int_eq(c.code, HOST_BAD);
	ck_assert_str_eq(c.err, "tollgate: the output cannot be written: Broken pipe\n");
	c.prepare = NULL;
	CALL(&c, "verdicts", "1.db");
	ck_assert_ptr_nonnull(strstr(c.out, "held 1, failed 0\n"));
	command_end(&c);
}
END_TEST

/* Until the command has said so; a minute is as good as never. */
static void wait_for(const struct command *c, const char *word)
{
	char path[128];

	snprintf(path, sizeof path, "%s/OUT", c->run.dir);
	for (int i = 0; i < 6000; i++) {
		size_t len;
		char *out = file_read(path, &len);
		bool there = out && strstr(out, word) != NULL;

		free(out);
		if (there)
			return;
		usleep(10000);
	}
	ck_abort_msg("%s is not said", word);
}

#define LONG_RUN HEAD "network()\nrun(function() for i = 1, 4096 do print 'it runs' end; while true do wait '1ns' end end)"

/* Killed in the middle: the old result stands, and the next run clears up. */
START_TEST(killed)
{
	struct command c = { .code = -1 };
	char *old;
	pid_t pid;

	run_begin(&c.run, LONG_RUN);
	add_file(&c.run, "old", "the old result");
	add_file(&c.run, "scenarios/fine.lua", FINE);
	pid = start(&c, (const char *const[]){ "run", "@", "-o", "old", "--pcap", "p", NULL });
	wait_for(&c, "it runs");
	kill(pid, SIGKILL);
	finish_command(&c, pid);
	ck_assert_int_eq(c.code, -SIGKILL);
	old = slurp(c.run.dir, "old");
	ck_assert_str_eq(old, "the old result");
	free(old);
	ck_assert_uint_eq(entries_with(c.run.dir, ".tmp"), 2);
	CALL(&c, "run", "scenarios/fine.lua", "-o", "old", "--pcap", "p");
	ck_assert_msg(c.code == 0, "%s%s", c.out, c.err);
	ck_assert_uint_eq(entries_with(c.run.dir, ".tmp"), 0);
	command_end(&c);
}
END_TEST

START_TEST(interrupted_once)
{
	struct command c = { .code = -1 };
	pid_t pid;

	run_begin(&c.run, LONG_RUN);
	pid = start(&c, (const char *const[]){ "run", "@", "-o", "1.db", NULL });
	wait_for(&c, "it runs");
	kill(pid, SIGINT);
	finish_command(&c, pid);
	ck_assert_int_eq(c.code, HOST_BAD);
	ck_assert_str_eq(c.err, "scenarios/t.lua: interrupted\n");
	ck_assert_uint_eq(entries_with(c.run.dir, "1.db"), 0);
	command_end(&c);
}
END_TEST

/* The first signal cannot reach a C function that does not end; the second one does. */
START_TEST(interrupted_twice)
{
	struct command c = { .code = -1 };
	pid_t pid;

	run_begin(&c.run, HEAD "network()\nrun(function() for i = 1, 4096 do print 'it runs' end; "
	          "string.find(('a'):rep(300000), ('.-'):rep(20) .. 'b') end)");
	pid = start(&c, (const char *const[]){ "run", "@", NULL });
	wait_for(&c, "it runs");
	kill(pid, SIGINT);
	usleep(50000);
	kill(pid, SIGINT);
	finish_command(&c, pid);
	ck_assert_int_eq(c.code, -SIGINT);
	command_end(&c);
}
END_TEST

static const struct { const char *all, *type, *lang; bool utf8; } locale_cases[] = {
	{ "en_US.UTF-8", "C", "C", true }, { "de_DE.utf8@euro", NULL, NULL, true }, { "", "C.UTF-8", "C", true },
	{ NULL, "", "en_GB.Utf-8", true }, { "C", "en_US.UTF-8", "en_US.UTF-8", false }, { NULL, NULL, NULL, false },
	{ NULL, NULL, "de_DE.ISO-8859-1", false }, { "POSIX", NULL, "C.UTF-8", false }, { "UTF-8", NULL, NULL, false },
};

static void set_or_unset(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void set_locale(const struct command *c)
{
	size_t i = (size_t)c->code;

	set_or_unset("LC_ALL", locale_cases[i].all);
	set_or_unset("LC_CTYPE", locale_cases[i].type);
	set_or_unset("LANG", locale_cases[i].lang);
}

START_TEST(ladder_draws_what_the_locale_writes)
{
	struct command c = { .prepare = set_locale };
	char path[128];
	bool beyond_ascii = false;

	run_begin(&c.run, LAN "run(function() a:say { kind = 'HELLO', to = b }; wait '1s' end)");
	snprintf(path, sizeof path, "%s/1.db", c.run.dir);
	c.run.options.database = path;
	ck_assert_int_eq(run_go(&c.run), HOST_HELD);
	c.code = _i;
	CALL(&c, "ladder", "1.db");
	ck_assert_msg(c.code == 0, "%s", c.err);
	ck_assert_ptr_nonnull(strstr(c.out, "HELLO"));
	for (const char *s = c.out; *s; s++)
		beyond_ascii = beyond_ascii || (unsigned char)*s >= 0x80;
	ck_assert_msg(beyond_ascii == locale_cases[_i].utf8, "%s", c.out);
	command_end(&c);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cli");

	tcase_add_test(tc, exit_codes);
	tcase_add_test(tc, verdicts_of_a_run);
	tcase_add_test(tc, last_line_of_test);
	tcase_add_test(tc, full_disk);
	tcase_add_test(tc, output_that_cannot_be_written);
	tcase_add_test(tc, reader_is_gone);
	tcase_add_test(tc, killed);
	tcase_add_test(tc, interrupted_once);
	tcase_add_test(tc, interrupted_twice);
	tcase_add_loop_test(tc, ladder_draws_what_the_locale_writes, 0, COUNT(locale_cases));
	return run_case(tc);
}

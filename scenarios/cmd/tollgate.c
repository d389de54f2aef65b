/*
 * The command `tollgate`: its verbs and exit codes.
 *
 * Exit codes: 0 all claims hold, 1 a claim failed, 2 bad scenario or arguments, 3 a defect of Tollgate's own.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static void on_signal(int number)
{
	cmd_interrupted = number;
}

/*
 * The first SIGINT or SIGTERM ends a run at its next event; the second one ends the program at once, for a run that has no next
 * event. A file that may not grow is a failed write, not a death.
 */
static void catch_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESETHAND;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGXFSZ, SIG_IGN);
}

static const char help_general[] =
"usage: tollgate VERB ...\n"
"\n"
"  run SCENARIO.lua [name=value ...]   run a scenario\n"
"  test [PATH ...]                     run every scenario, check every claim\n"
"  ladder RUN.db                       message sequence of a result\n"
"  flow RUN.db                         a result as text without times, for comparing\n"
"  verdicts RUN.db                     what was claimed in a result, and what came of it\n"
"  report RUN.db [OTHER.db] [-o FILE]  a result, or two side by side, as one HTML page\n"
"  merge -o ALL.db PART.db ...         join campaigns (many runs of one scenario)\n"
"  diff A.db B.db                      what differs between two results: 0 same, 1 different\n"
"  list [scenarios|models|switches]    what there is\n"
"  doc NAME                            what it is: a model, scenario, switch, attack, topology; language\n"
"\n"
"tollgate VERB --help says more, tollgate --version which one this is. Exit codes: 0 all claims hold, 1 a claim failed,\n"
"2 bad scenario or arguments, 3 a defect of Tollgate's own.\n";

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} verbs[] = {
	{ "run", command_run }, { "test", command_test }, { "ladder", command_ladder }, { "verdicts", command_verdicts },
	{ "flow", command_flow },
	{ "report", command_report }, { "merge", command_merge },
	{ "diff", command_diff }, { "list", command_list }, { "doc", command_doc },
};

/* What could not be written (a full disk, a closed pipe) must not look like success. */
static int finish(int code)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == HOST_HELD) {
		fprintf(stderr, "tollgate: the output cannot be written: %s\n", strerror(errno));
		return HOST_BAD;
	}
	return code;
}

/* Where there is no folder ./scenarios and none is named: the one installed beside this program, ../share/tollgate/scenarios. */
static void find_installed_scenarios(void)
{
	static const char below[] = "/share/tollgate/scenarios";
	char path[CMD_PATH_LEN];
	ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof below);

	if (len <= 0 || getenv("TOLLGATE_SCENARIOS") || access("scenarios/topologies", F_OK) == 0)
		return;
	for (int up = 0; up < 2; up++)
		while (len > 0 && path[--len] != '/')
			;
	memcpy(path + len, below, sizeof below);
	if (access(path, R_OK) == 0)
		setenv("TOLLGATE_SCENARIOS", path, 0);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(help_general, stderr);
		return HOST_BAD;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		fputs(help_general, stdout);
		return finish(HOST_HELD);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("tollgate " TOLLGATE_VERSION);
		return finish(HOST_HELD);
	}
	catch_signals();
	find_installed_scenarios();
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return finish(verbs[i].fn(argc - 1, argv + 1));
	return cmd_usage_error("", "unknown verb", argv[1]);
}

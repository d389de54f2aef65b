/*
 * `tollgate flow`: a result as text without times, for comparing.
 */
#include <getopt.h>

#include "reports/flow_text.h"
#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static const char help_flow[] =
"usage: tollgate flow RUN.db\n"
"\n"
"Prints a result without times and random values, so that two runs can be compared line by line: its messages in order with cover,\n"
"fate, the check that refused and what they answer; media as sums; the paths of the state machines (\".\": it stays where it was;\n"
"\"/\": another machine of that name goes on); refusals and claims, counted. What repeats is folded; a long list is cut, and\n"
"then all messages are counted, by kinds of elements.\n"
"\n"
"tests/golden holds this text of every scenario; make golden writes it anew, git diff then shows what a change has done.\n"
"\n"
"examples:\n"
"  tollgate flow call.db\n"
"  diff <(tollgate flow before.db) <(tollgate flow after.db)\n";

int command_flow(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	char error[REPORT_ERROR_LEN] = "";
	int option, code;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h')
			return cmd_usage_error("flow", "unknown option", NULL);
		fputs(help_flow, stdout);
		return HOST_HELD;
	}
	if (optind != argc - 1)
		return cmd_usage_error("flow", "one result database is needed", NULL);
	code = flow_print(argv[optind], stdout, error);
	if (code != 0)
		fprintf(stderr, "tollgate flow: %s\n", error);
	return code;
}

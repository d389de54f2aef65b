/*
 * `tollgate verdicts`: what was claimed in a result, and what came of it.
 */

#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static const char help_verdicts[] =
"usage: tollgate verdicts RUN.db\n"
"\n"
"Prints every verdict in order of time: held or failed, when, the claim, its place, and for a failed one what was found. The\n"
"exit code is 0 whatever the verdicts are, 2 when the file cannot be read.\n"
"\n"
"example:\n"
"  tollgate run scenarios/calls/cta_to_cta.lua -o call.db; tollgate verdicts call.db\n";

int command_verdicts(int argc, char **argv)
{
	char error[REPORT_ERROR_LEN] = "";
	int code;

	if (cmd_wants_help(argc, argv)) {
		fputs(help_verdicts, stdout);
		return HOST_HELD;
	}
	if (argc != 2)
		return cmd_usage_error("verdicts", "one result database is needed", NULL);
	code = verdicts_print(argv[1], stdout, error);
	if (code != 0)
		fprintf(stderr, "tollgate verdicts: %s\n", error);
	return code;
}

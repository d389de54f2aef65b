/*
 * `tollgate report`: a result, or two side by side, as one HTML page.
 */
#include <getopt.h>
#include <string.h>

#include "reports/report.h"
#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static const char help_report[] =
"usage: tollgate report RUN.db [-o FILE]\n"
"       tollgate report A.db B.db [-o FILE]\n"
"\n"
"Writes a result as one HTML page: claims first, then attack and refusals, messages, calls, state machines, keys, queues,\n"
"accounts. The page stands alone and asks the network for nothing; a browser without JavaScript shows all of it.\n"
"Two results stand side by side, with what differs between them.\n"
"\n"
"  -o, --output FILE   where to write it; default is the standard output\n"
"\n"
"examples:\n"
"  tollgate report call.db -o call.html\n"
"  tollgate report call.db > call.html\n"
"  tollgate report before.db after.db -o change.html\n"
"\n"
"Of a long run the page has the first messages and what went wrong with all that led to it; it says what it leaves off.\n"
"Exit codes: 0 written, 2 not a result database, or it cannot be written.\n";

enum { OPT_HELP = 256 };

int command_report(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "output", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 },
	};
	char error[REPORT_ERROR_LEN] = "";
	const char *path = NULL;
	int option, code;

	while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
		switch (option) {
		case OPT_HELP: case 'h':
			fputs(help_report, stdout);
			return HOST_HELD;
		case 'o':
			path = optarg;
			break;
		default:
			return cmd_usage_error("report", "unknown option or a value is missing", NULL);
		}
	}
	if (optind != argc - 1 && optind != argc - 2)
		return cmd_usage_error("report", "one result database is needed, or two", NULL);
	if (optind == argc - 1)
		code = report_write(argv[optind], path, path ? NULL : stdout, error);
	else
		code = report_write_pair(argv[optind], argv[optind + 1], path, path ? NULL : stdout, error);
	if (code != 0)
		fprintf(stderr, "tollgate report: %s\n", error);
	return code;
}

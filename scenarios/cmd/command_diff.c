/*
 * `tollgate diff`: what differs between two results, by meaning.
 */
#include <getopt.h>
#include <string.h>

#include "reports/diff.h"
#include "reports/reports.h"
#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static const char help_diff[] =
"usage: tollgate diff A.db B.db [options]\n"
"\n"
"Compares two results by meaning: claims first, then the first divergence with what follows from it, messages by conversation,\n"
"state paths, keys, fields, accounts and calls, refusals, elements, timing. Messages are partners by the longest common\n"
"subsequence of a conversation, so that one more or less shifts nothing. Random fields and digests are no differences.\n"
"\n"
"  --all               unfolded: also what follows from other differences, and every row\n"
"  --time=summary      times as p50, p95 and worst (default); exact: each message whose time moved\n"
"  --json              for programs; its keys are described in reports/diff_json.c, \"schema\" is their version\n"
"  --md                Markdown for a comment of a pull request, at most 65536 characters\n"
"\n"
"Exit code: 0 same, 1 different, 2 trouble (says which file and why).\n"
"\n"
"Told but not counted: arguments, switches and seeds of the runs. Not compared: digests, random fields, MAC addresses, key\n"
"fingerprints, the line of a claim and why it failed, lengths where chance has a part in them.\n"
"\n"
"examples:\n"
"  tollgate diff before.db after.db\n"
"  tollgate diff before.db after.db --md > comment.md\n"
"  tollgate diff before.db after.db --json | jq .first\n"
"\n"
"NO_COLOR turns colors off; there are none without a terminal. Large differences lie in SQLITE_TMPDIR (/var/tmp, /tmp).\n";

enum { OPT_HELP = 256, OPT_ALL, OPT_TIME, OPT_JSON, OPT_MD };

int command_diff(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "all", no_argument, NULL, OPT_ALL }, { "time", required_argument, NULL, OPT_TIME },
		{ "json", no_argument, NULL, OPT_JSON }, { "md", no_argument, NULL, OPT_MD }, { NULL, 0, NULL, 0 },
	};
	struct diff_options diff = { .color = cmd_colored() };
	char error[REPORT_ERROR_LEN] = "";
	int option, code;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPT_HELP: case 'h':
			fputs(help_diff, stdout);
			return HOST_HELD;
		case OPT_ALL:
			diff.all = true;
			break;
		case OPT_TIME:
			diff.exact_times = strcmp(optarg, "exact") == 0;
			if (!diff.exact_times && strcmp(optarg, "summary") != 0)
				return cmd_usage_error("diff", "--time takes summary or exact, not", optarg);
			break;
		case OPT_JSON: case OPT_MD:
			if (diff.format != DIFF_TEXT)
				return cmd_usage_error("diff", "one of --json and --md", NULL);
			diff.format = option == OPT_JSON ? DIFF_JSON : DIFF_MARKDOWN;
			break;
		default:
			return cmd_usage_error("diff", "unknown option or a value is missing", NULL);
		}
	}
	if (optind != argc - 2)
		return cmd_usage_error("diff", "two result databases are needed", NULL);
	code = diff_print(argv[optind], argv[optind + 1], &diff, stdout, error);
	if (code == 2)
		fprintf(stderr, "tollgate diff: %s\n", error);
	return code;
}

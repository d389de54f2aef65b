/*
 * `tollgate ladder`: the message sequence of a result, in the terminal.
 */
#include <getopt.h>

#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static const char help_ladder[] =
"usage: tollgate ladder RUN.db [options]\n"
"\n"
"  --node NAME         only messages from or to this element\n"
"  --call ID           only messages of this call\n"
"  --kind KIND         only this kind of message\n"
"  --from T, --until T virtual times: 2s, 1500ms\n"
"\n"
"A message is drawn by its cover: ---- clear, ~~~~ Kerberos, ==== ESP, ++++ AH (a thick line in UTF-8), :::: RTP; the cover also\n"
"stands beside it. It ends in a head where it was accepted, in x where it was refused (with the check) or lost (with the place).\n"
"Pauses of a second and more are told, media is folded into a bar. What does not fit is named at the end.\n"
"\n"
"examples:\n"
"  tollgate ladder call.db\n"
"  tollgate ladder call.db --node alice --from 2s --until 5s\n"
"\n"
"COLUMNS sets the width, NO_COLOR turns colours off. Lines and arrows are drawn when the locale (LC_ALL, LC_CTYPE, LANG) is\n"
"UTF-8, else in ASCII.\n";

enum { OPT_HELP = 256, OPT_NODE, OPT_CALL, OPT_KIND, OPT_FROM, OPT_UNTIL };

int command_ladder(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "node", required_argument, NULL, OPT_NODE },
		{ "call", required_argument, NULL, OPT_CALL }, { "kind", required_argument, NULL, OPT_KIND },
		{ "from", required_argument, NULL, OPT_FROM }, { "until", required_argument, NULL, OPT_UNTIL }, { NULL, 0, NULL, 0 },
	};
	struct ladder_options ladder = { .width = cmd_terminal_width(), .color = cmd_colored(), .utf8 = cmd_locale_is_utf8() };
	char error[REPORT_ERROR_LEN] = "";
	int option, code;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPT_HELP: case 'h':
			fputs(help_ladder, stdout);
			return HOST_HELD;
		case OPT_NODE:
			ladder.node = optarg;
			break;
		case OPT_CALL:
			ladder.call = optarg;
			break;
		case OPT_KIND:
			ladder.kind = optarg;
			break;
		case OPT_FROM:
			if (!host_time_parse(optarg, &ladder.from_ns))
				return cmd_usage_error("ladder", "--from takes a time like 2s or 1500ms, not", optarg);
			break;
		case OPT_UNTIL:
			if (!host_time_parse(optarg, &ladder.until_ns))
				return cmd_usage_error("ladder", "--until takes a time like 2s or 1500ms, not", optarg);
			break;
		default:
			return cmd_usage_error("ladder", "unknown option or a value is missing", NULL);
		}
	}
	if (optind != argc - 1)
		return cmd_usage_error("ladder", "one result database is needed", NULL);
	code = ladder_print(argv[optind], &ladder, stdout, error);
	if (code != 0)
		fprintf(stderr, "tollgate ladder: %s\n", error);
	return code;
}

/*
 * `tollgate merge`: joins campaigns that were made apart.
 */
#include <getopt.h>

#include "reports/campaign.h"
#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static const char help_merge[] =
"usage: tollgate merge -o ALL.db PART.db ...\n"
"\n"
"Joins campaigns of one scenario (tollgate run --seed A..B -o PART.db) into one; ALL.db may be there already. A run that is in\n"
"two of them must be the same in both. Whatever the order of the parts, the bytes are the same.\n"
"\n"
"  -o, --output FILE   the campaign that takes them\n"
"\n"
"example:\n"
"  tollgate run scenarios/calls/lossy_network.lua --seed 1..50 -o a.db      # here\n"
"  tollgate run scenarios/calls/lossy_network.lua --seed 51..100 -o b.db    # on another machine\n"
"  tollgate merge -o all.db a.db b.db\n"
"  sqlite3 all.db \"SELECT * FROM statistics WHERE metric LIKE 'call.%'\"\n";

static int join(const char *out, char **parts, int count)
{
	char error[REPORT_ERROR_LEN] = "";
	struct campaign *all = campaign_open(out, error);
	bool fine = all != NULL;

	for (int i = 0; fine && i < count; i++)
		fine = campaign_join(all, parts[i], error);
	if (fine)
		fine = campaign_finish(all, error);
	else
		campaign_leave(all);
	if (!fine)
		fprintf(stderr, "tollgate merge: %s\n", error);
	return fine ? HOST_HELD : HOST_BAD;
}

int command_merge(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' }, { "output", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 },
	};
	const char *out = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help_merge, stdout);
			return HOST_HELD;
		}
		if (option != 'o')
			return cmd_usage_error("merge", "unknown option or a value is missing", NULL);
		out = optarg;
	}
	if (!out || !*out)
		return cmd_usage_error("merge", "-o FILE says what takes them", NULL);
	if (optind == argc)
		return cmd_usage_error("merge", "no campaign is named", NULL);
	return join(out, argv + optind, argc - optind);
}

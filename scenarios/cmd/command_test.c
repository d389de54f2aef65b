/*
 * `tollgate test`: every scenario, every claim.
 */
#include <getopt.h>
#include <string.h>

#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

static const char help_test[] =
"usage: tollgate test [PATH ...] [options]\n"
"\n"
"Runs every scenario in the files and folders named (default: scenarios), each in a process of its own; an attack once as it is\n"
"and once for each switch turned off.\n"
"\n"
"  -k, --word WORD     only those whose path or title contains it\n"
"  --tag TAG           only those with this tag\n"
"  --seed N|A..B       seed, or a range: each scenario with each; default 1\n"
"  -j, --jobs N        processes at a time; default: one a core\n"
"  --cpu-limit S       seconds of processor time a run may take; default 3600\n"
"\n"
"The last line is \"N passed, N failed\", counted in runs; a scenario that cannot be read is one failed run.\n"
"\n"
"examples:\n"
"  tollgate test\n"
"  tollgate test scenarios/attacks -k replay\n"
"  tollgate test --tag smoke --seed 1..5\n";

enum { OPT_HELP = 256, OPT_SEED, OPT_TAG, OPT_CPU_LIMIT };

int command_test(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "word", required_argument, NULL, 'k' },
		{ "tag", required_argument, NULL, OPT_TAG }, { "seed", required_argument, NULL, OPT_SEED },
		{ "jobs", required_argument, NULL, 'j' }, { "cpu-limit", required_argument, NULL, OPT_CPU_LIMIT },
		{ NULL, 0, NULL, 0 },
	};
	struct test_options test = {
		.seed_first = 1, .seed_last = 1, .models = model_registry, .out = stdout, .err = stderr, .interrupt = &cmd_interrupted,
	};
	char cache[CMD_PATH_LEN];
	uint64_t value;
	int option;

	while ((option = getopt_long(argc, argv, "k:j:h", options, NULL)) != -1) {
		switch (option) {
		case OPT_HELP: case 'h':
			fputs(help_test, stdout);
			return HOST_HELD;
		case 'k':
			test.word = optarg;
			break;
		case OPT_TAG:
			test.tag = optarg;
			break;
		case OPT_SEED:
			if (!cmd_seeds(optarg, &test.seed_first, &test.seed_last))
				return cmd_usage_error("test", "--seed takes N or A..B, not", optarg);
			break;
		case 'j':
			if (!cmd_number(optarg, optarg + strlen(optarg), &value) || value == 0 || value > 1024)
				return cmd_usage_error("test", "--jobs takes a number from 1 to 1024, not", optarg);
			test.jobs = (unsigned)value;
			break;
		case OPT_CPU_LIMIT:
			if (!cmd_number(optarg, optarg + strlen(optarg), &value) || value == 0 || value > INT32_MAX)
				return cmd_usage_error("test", "--cpu-limit takes seconds, not", optarg);
			test.cpu_limit_s = (unsigned)value;
			break;
		default:
			return cmd_usage_error("test", "unknown option or a value is missing", NULL);
		}
	}
	cmd_outlive_the_reader();
	test.paths = (const char *const *)(argv + optind);
	test.path_count = (size_t)(argc - optind);
	test.cache_dir = cmd_cache_dir(cache);
	return host_test(&test);
}

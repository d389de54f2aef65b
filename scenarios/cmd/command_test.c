/*
 * `tollgate test`: every scenario, every claim.
 */
#include <getopt.h>
#include <string.h>
#include <unistd.h>

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
"  --keep DIR          keep the result database of each run: SCENARIO[.switch.NAME=VALUE].seedN.db, with messages\n"
"  --tap               Test Anything Protocol (version 14) instead of the table\n"
"  --junit FILE        JUnit XML: a scenario is a suite, a run a case, a failed claim a failure; time is virtual seconds\n"
"  --sarif FILE        SARIF 2.1.0: attacks that did not end as expected, with the steps that led there\n"
"  --json FILE         all runs; \"format\": \"tollgate-test\", \"version\": 1\n"
"\n"
"Where attacks were run, a table shows each with its switch on and off. An attack ends in one of four ways:\n"
"  stopped as expected      by the check that the scenario names\n"
"  succeeded as expected    with its switch off\n"
"  SUCCEEDED UNEXPECTEDLY   it was to be stopped, that does not hold, and all claims of its success do\n"
"  STOPPED UNEXPECTEDLY OR BY ANOTHER CHECK\n"
"                           what was expected does not hold, and it has not succeeded either\n"
"NOT TRIED stands where a run ended before its attack.\n"
"\n"
"Of a range of seeds the smallest that failed is printed, with the command that repeats it. The last line is\n"
"\"N passed, N failed\", counted in runs; a scenario that cannot be read is one failed run.\n"
"\n"
"A JSON file holds, in this order: format, version, passed, failed, runs; of each run: scenario, title, switch, value, seed,\n"
"result (passed, failed, bad, defect), claims_held, claims_failed, end_ns (virtual time), attack (id, outcome, place,\n"
"refused_by, success), failed (claim, found, place, at_ns), said, repeat. The version rises when a key goes or changes its\n"
"meaning.\n"
"\n"
"examples:\n"
"  tollgate test\n"
"  tollgate test scenarios/attacks -k replay\n"
"  tollgate test --tag smoke --seed 1..5\n"
"  tollgate test scenarios/attacks --junit junit.xml --sarif attacks.sarif\n"
"  tollgate test scenarios/calls --keep runs; tollgate ladder runs/calls_cta_to_cta.seed1.db\n"
"  prove --exec \"tollgate test --tap\" scenarios/calls scenarios/attacks\n";

enum { OPT_HELP = 256, OPT_SEED, OPT_TAG, OPT_CPU_LIMIT, OPT_KEEP, OPT_TAP, OPT_JUNIT, OPT_SARIF, OPT_JSON };

/* An option whose value is a path. */
static const char **path_option(struct test_options *test, int option)
{
	switch (option) {
	case OPT_KEEP:
		return &test->keep;
	case OPT_JUNIT:
		return &test->junit;
	case OPT_SARIF:
		return &test->sarif;
	default:
		return &test->json;
	}
}

static bool same_path(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* 0, or the exit code of what is wrong. */
static int check_paths(const struct test_options *test)
{
	const char *const paths[] = { test->keep, test->junit, test->sarif, test->json };

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (paths[i] && !*paths[i])
			return cmd_usage_error("test", "--keep, --junit, --sarif and --json take a path, not", "");
		for (size_t k = 0; k < i; k++)
			if (same_path(paths[i], paths[k]))
				return cmd_usage_error("test", "each output needs a path of its own, not all", paths[i]);
	}
	return HOST_HELD;
}

int command_test(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "word", required_argument, NULL, 'k' },
		{ "tag", required_argument, NULL, OPT_TAG }, { "seed", required_argument, NULL, OPT_SEED },
		{ "jobs", required_argument, NULL, 'j' }, { "cpu-limit", required_argument, NULL, OPT_CPU_LIMIT },
		{ "keep", required_argument, NULL, OPT_KEEP }, { "tap", no_argument, NULL, OPT_TAP },
		{ "junit", required_argument, NULL, OPT_JUNIT }, { "sarif", required_argument, NULL, OPT_SARIF },
		{ "json", required_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	struct test_options test = {
		.seed_first = 1, .seed_last = 1, .models = model_registry, .out = stdout, .err = stderr, .interrupt = &cmd_interrupted,
		.version = TOLLGATE_VERSION, .progress = isatty(STDERR_FILENO), .progress_width = cmd_terminal_width(),
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
		case OPT_TAP:
			test.tap = true;
			break;
		case OPT_KEEP: case OPT_JUNIT: case OPT_SARIF: case OPT_JSON:
			*path_option(&test, option) = optarg;
			break;
		default:
			return cmd_usage_error("test", "unknown option or a value is missing", NULL);
		}
	}
	if (check_paths(&test) != HOST_HELD)
		return HOST_BAD;
	cmd_outlive_the_reader();
	test.paths = (const char *const *)(argv + optind);
	test.path_count = (size_t)(argc - optind);
	test.cache_dir = cmd_cache_dir(cache);
	return host_test(&test);
}

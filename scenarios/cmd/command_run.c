/*
 * `tollgate run`: a scenario, once or for each seed of a range.
 */
#include <getopt.h>
#include <string.h>

#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

#define SETTINGS_MAX 256

static const char help_run[] =
"usage: tollgate run SCENARIO.lua [name=value ...] [options]\n"
"\n"
"  name=value          an argument of the scenario (tollgate doc SCENARIO lists them)\n"
"  switch.NAME=VALUE   a switch (tollgate list switches)\n"
"  --seed N|A..B       seed of all chance, or a range: one run each; default 1\n"
"  -o, --output FILE   result database (SQLite); with a range of seeds: FILE with .SEED before its suffix\n"
"  --pcap FILE         capture of every link (pcapng)\n"
"  --keylog DIR        keys for Wireshark and openssl; keep it to yourself\n"
"  --record LEVEL      all (default), flow (messages without fields), summary (calls, steps, verdicts, samples)\n"
"  --record-media      also every media packet as a message\n"
"\n"
"examples:\n"
"  tollgate run scenarios/calls/cta_to_cta.lua -o call.db --pcap call.pcapng --keylog keys\n"
"  tollgate run scenarios/calls/cta_to_cta.lua wan=80ms --seed 1..20\n"
"  tollgate run scenarios/attacks/ap_req_replay.lua switch.sc.replay_cache=off\n"
"\n"
"TOLLGATE_CACHE: where key pairs are cached (default $XDG_CACHE_HOME/tollgate, ~/.cache/tollgate).\n";

enum { OPT_HELP = 256, OPT_SEED, OPT_PCAP, OPT_KEYLOG, OPT_RECORD, OPT_MEDIA };

struct run_command {
	struct host_options host;
	struct host_setting settings[SETTINGS_MAX];
	size_t setting_count;
	const char *database, *capture, *keylog;
	uint64_t first, last;
};

/* Splits name=value in place. */
static int take_setting(struct run_command *c, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return cmd_usage_error("run", "an argument is name=value, not", text);
	if (c->setting_count == SETTINGS_MAX)
		return cmd_usage_error("run", "too many arguments", NULL);
	*equals = '\0';
	c->settings[c->setting_count++] = (struct host_setting){ text, equals + 1 };
	return HOST_HELD;
}

static bool level_of(const char *text, enum record_level *level)
{
	static const char *const names[] = { [RECORD_SUMMARY] = "summary", [RECORD_FLOW] = "flow", [RECORD_ALL] = "all" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], text) == 0) {
			*level = (enum record_level)i;
			return true;
		}
	}
	return false;
}

static bool is_empty(const char *path)
{
	return path && !*path;
}

static bool same_path(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* -1: go on; else the exit code. */
static int parse_run(struct run_command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "seed", required_argument, NULL, OPT_SEED },
		{ "output", required_argument, NULL, 'o' }, { "pcap", required_argument, NULL, OPT_PCAP },
		{ "keylog", required_argument, NULL, OPT_KEYLOG }, { "record", required_argument, NULL, OPT_RECORD },
		{ "record-media", no_argument, NULL, OPT_MEDIA }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (option) {
		case OPT_HELP: case 'h':
			fputs(help_run, stdout);
			return HOST_HELD;
		case OPT_SEED:
			if (!cmd_seeds(optarg, &c->first, &c->last))
				return cmd_usage_error("run", "--seed takes N or A..B, not", optarg);
			break;
		case 'o':
			c->database = optarg;
			break;
		case OPT_PCAP:
			c->capture = optarg;
			break;
		case OPT_KEYLOG:
			c->keylog = optarg;
			break;
		case OPT_RECORD:
			if (!level_of(optarg, &c->host.level))
				return cmd_usage_error("run", "--record takes all, flow or summary, not", optarg);
			break;
		case OPT_MEDIA:
			c->host.media = true;
			break;
		default:
			return cmd_usage_error("run", "unknown option or a value is missing", NULL);
		}
	}
	if (optind >= argc)
		return cmd_usage_error("run", "a scenario is missing", NULL);
	c->host.script = argv[optind++];
	for (; optind < argc; optind++)
		if (take_setting(c, argv[optind]) != HOST_HELD)
			return HOST_BAD;
	if (is_empty(c->database) || is_empty(c->capture) || is_empty(c->keylog))
		return cmd_usage_error("run", "-o, --pcap and --keylog take a path, not", "");
	if (same_path(c->database, c->capture) || same_path(c->database, c->keylog) || same_path(c->capture, c->keylog))
		return cmd_usage_error("run", "-o, --pcap and --keylog need a path each, not all", c->capture ? c->capture : c->database);
	return -1;
}

/* FILE for one run, FILE.SEED.SUFFIX for one of many. */
static const char *seeded(const struct run_command *c, const char *path, uint64_t seed, char out[CMD_PATH_LEN])
{
	const char *dot, *slash;

	if (!path || c->first == c->last)
		return path;
	dot = strrchr(path, '.');
	slash = strrchr(path, '/');
	if (!dot || (slash && dot < slash) || dot == path)
		dot = path + strlen(path);
	snprintf(out, CMD_PATH_LEN, "%.*s.%llu%s", (int)(dot - path), path, (unsigned long long)seed, dot);
	return out;
}

static void print_end(const struct run_command *c, const struct host_result *result, uint64_t seed)
{
	if (result->code != HOST_HELD && result->code != HOST_FAILED)
		return;
	printf("%s: %u of %u claims hold, seed %llu, %lld.%03lld s of virtual time\n",
	       result->code == HOST_HELD ? "passed" : "FAILED", result->held, result->held + result->failed,
	       (unsigned long long)seed, (long long)(result->end_ns / NS_PER_S),
	       (long long)(result->end_ns % NS_PER_S / NS_PER_MS));
	(void)c;
}

int command_run(int argc, char **argv)
{
	struct run_command c = {
		.host = { .models = model_registry, .level = RECORD_ALL, .out = stdout, .err = stderr, .claims = true,
		          .interrupt = &cmd_interrupted },
		.first = 1, .last = 1,
	};
	char cache[CMD_PATH_LEN], database[CMD_PATH_LEN], capture[CMD_PATH_LEN], keylog[CMD_PATH_LEN];
	int code = parse_run(&c, argc, argv), worst = HOST_HELD;

	if (code >= 0)
		return code;
	cmd_outlive_the_reader();
	c.host.cache_dir = cmd_cache_dir(cache);
	c.host.settings = c.settings;
	c.host.setting_count = c.setting_count;
	for (uint64_t seed = c.first;; seed++) {
		struct host_result result;

		c.host.seed = seed;
		c.host.database = seeded(&c, c.database, seed, database);
		c.host.capture = seeded(&c, c.capture, seed, capture);
		c.host.keylog = seeded(&c, c.keylog, seed, keylog);
		host_run(&c.host, &result);
		print_end(&c, &result, seed);
		if ((int)result.code > worst)
			worst = result.code;
		if (seed == c.last || cmd_interrupted || result.code >= HOST_BAD)
			return worst;
	}
}

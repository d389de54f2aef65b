/*
 * `tollgate run`: a scenario, once or for each seed of a range.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/campaign.h"
#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

#define SETTINGS_MAX 256

static const char help_run[] =
"usage: tollgate run SCENARIO.lua [name=value ...] [options]\n"
"\n"
"  name=value          an argument of the scenario (tollgate doc SCENARIO lists them)\n"
"  name=v1,v2          a campaign: a run with each value; \\, is a comma in a value\n"
"  switch.NAME=VALUE   a switch (tollgate list switches)\n"
"  --seed N|A..B       seed of all chance, default 1; a range: a campaign, a run with each seed\n"
"  -o, --output FILE   result database (SQLite); of a campaign: samples, calls and verdicts of each run, see its views. A\n"
"                      campaign's file that is there already is gone on with: runs that it has are not done again\n"
"  --campaign          write a campaign's file also for one run\n"
"  -j, --jobs N        processes of a campaign at a time; default: one a core\n"
"  --pcap FILE         capture of every link (pcapng)\n"
"  --keylog DIR        keys for Wireshark and openssl; keep it to yourself\n"
"  --record LEVEL      all (default), flow (messages without fields), summary (calls, steps, verdicts, samples)\n"
"  --record-media      also every media packet as a message\n"
"\n"
"examples:\n"
"  tollgate run scenarios/calls/cta_to_cta.lua -o call.db --pcap call.pcapng --keylog keys\n"
"  tollgate run scenarios/calls/lossy_network.lua --seed 1..20 -o lossy.db\n"
"  tollgate run scenarios/calls/cta_to_cta.lua wan=10ms,40ms,80ms pkinit=rsa,dh --seed 1..10 -o delay.db\n"
"  tollgate run scenarios/attacks/ap_req_replay.lua switch.sc.replay_cache=off\n"
"\n"
"TOLLGATE_CACHE: where key pairs are cached (default $XDG_CACHE_HOME/tollgate, ~/.cache/tollgate).\n";

enum { OPT_HELP = 256, OPT_SEED, OPT_PCAP, OPT_KEYLOG, OPT_RECORD, OPT_MEDIA, OPT_CAMPAIGN };

struct run_command {
	struct host_options host;
	struct host_setting settings[SETTINGS_MAX];      /* the first value of each */
	struct campaign_setting lists[SETTINGS_MAX];
	size_t setting_count;
	const char *database, *capture, *keylog;
	uint64_t first, last;
	unsigned jobs;
	bool campaign; /* several runs, or told so */
};

/* Splits v1,v2 in place; "\\," is a comma. */
static void split_values(struct campaign_setting *list, char *text)
{
	size_t room = 1;
	char *to = text;

	for (const char *c = text; *c; c++)
		room += *c == ',';
	list->values = calloc(room, sizeof *list->values);
	if (!list->values)
		abort();
	list->values[list->value_count++] = text;
	for (char *from = text; *from; from++) {
		if (from[0] == '\\' && from[1] == ',') {
			*to++ = *++from;
		} else if (*from == ',') {
			*to++ = '\0';
			list->values[list->value_count++] = to;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* Splits name=value in place; the later of two with one name wins. */
static int take_setting(struct run_command *c, char *text)
{
	char *equals = strchr(text, '=');
	size_t i = 0;

	if (!equals || equals == text)
		return cmd_usage_error("run", "an argument is name=value, not", text);
	*equals = '\0';
	while (i < c->setting_count && strcmp(c->lists[i].name, text) != 0)
		i++;
	if (i == SETTINGS_MAX)
		return cmd_usage_error("run", "too many arguments", NULL);
	free(c->lists[i].values);
	c->lists[i] = (struct campaign_setting){ .name = text };
	split_values(&c->lists[i], equals + 1);
	c->settings[i] = (struct host_setting){ text, c->lists[i].values[0] };
	c->setting_count += i == c->setting_count;
	c->campaign = c->campaign || c->lists[i].value_count > 1;
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
		{ "record-media", no_argument, NULL, OPT_MEDIA }, { "campaign", no_argument, NULL, OPT_CAMPAIGN },
		{ "jobs", required_argument, NULL, 'j' }, { NULL, 0, NULL, 0 },
	};
	uint64_t value;
	int option;

	while ((option = getopt_long(argc, argv, "o:j:h", options, NULL)) != -1) {
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
		case OPT_CAMPAIGN:
			c->campaign = true;
			break;
		case 'j':
			if (!cmd_number(optarg, optarg + strlen(optarg), &value) || value == 0 || value > 1024)
				return cmd_usage_error("run", "--jobs takes a number from 1 to 1024, not", optarg);
			c->jobs = (unsigned)value;
			break;
		case OPT_MEDIA:
			c->host.media = true;
			break;
		default:
			return cmd_usage_error("run", "unknown option or a value is missing", NULL);
		}
	}
	c->campaign = c->campaign || c->first != c->last;
	if (optind >= argc)
		return cmd_usage_error("run", "a scenario is missing", NULL);
	c->host.script = argv[optind++];
	for (; optind < argc; optind++)
		if (take_setting(c, argv[optind]) != HOST_HELD)
			return HOST_BAD;
	if (is_empty(c->database) || is_empty(c->capture) || is_empty(c->keylog))
		return cmd_usage_error("run", "-o, --pcap and --keylog take a path, not", "");
	if (c->campaign && (c->capture || c->keylog))
		return cmd_usage_error("run", "--pcap and --keylog are of one run; name one seed and one value of each argument", NULL);
	if (same_path(c->database, c->capture) || same_path(c->database, c->keylog) || same_path(c->capture, c->keylog))
		return cmd_usage_error("run", "-o, --pcap and --keylog need a path each, not all", c->capture ? c->capture : c->database);
	return -1;
}

static void print_end(const struct host_result *result, uint64_t seed)
{
	if (result->code != HOST_HELD && result->code != HOST_FAILED)
		return;
	printf("%s: %u of %u claims hold, seed %llu, %lld.%03lld s of virtual time\n",
	       result->code == HOST_HELD ? "passed" : "FAILED", result->held, result->held + result->failed,
	       (unsigned long long)seed, (long long)(result->end_ns / NS_PER_S),
	       (long long)(result->end_ns % NS_PER_S / NS_PER_MS));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct campaign_setting *)a)->name, ((const struct campaign_setting *)b)->name);
}

/* Many runs into one campaign; in whatever order its settings are given, its runs have the same names. */
static int run_campaign(struct run_command *c)
{
	struct campaign_options options = {
		.host = c->host, .settings = c->lists, .setting_count = c->setting_count, .seed_first = c->first, .seed_last = c->last,
		.path = c->database, .jobs = c->jobs, .progress = isatty(STDERR_FILENO) ? stderr : NULL,
	};

	if (c->setting_count > 1)
		qsort(c->lists, c->setting_count, sizeof *c->lists, compare_names);
	return (int)host_campaign(&options);
}

static int run_once(struct run_command *c)
{
	struct host_result result;

	if (c->database && campaign_is_one(c->database))
		return cmd_usage_error("run", "that file is a campaign (--campaign adds a run to it); -o needs another than", c->database);
	c->host.seed = c->first;
	c->host.settings = c->settings;
	c->host.setting_count = c->setting_count;
	c->host.database = c->database;
	c->host.capture = c->capture;
	c->host.keylog = c->keylog;
	host_run(&c->host, &result);
	print_end(&result, c->first);
	return (int)result.code;
}

int command_run(int argc, char **argv)
{
	struct run_command c = {
		.host = { .models = model_registry, .level = RECORD_ALL, .out = stdout, .err = stderr, .claims = true,
		          .interrupt = &cmd_interrupted },
		.first = 1, .last = 1,
	};
	char cache[CMD_PATH_LEN];
	int code = parse_run(&c, argc, argv);

	if (code < 0) {
		cmd_outlive_the_reader();
		c.host.cache_dir = cmd_cache_dir(cache);
		code = c.campaign ? run_campaign(&c) : run_once(&c);
	}
	for (size_t i = 0; i < c.setting_count; i++)
		free(c.lists[i].values);
	return code;
}

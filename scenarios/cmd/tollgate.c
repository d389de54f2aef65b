/*
 * The command `tollgate`: verbs, options, exit codes.
 *
 * Exit codes: 0 all claims hold, 1 a claim failed, 2 bad scenario or arguments, 3 a defect of Tollgate's own. The only
 * global state of the program is here: the flag that SIGINT and SIGTERM set.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "scenarios/host/host.h"

#define SETTINGS_MAX 256
#define PATH_LEN 4096

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/*
 * The first SIGINT or SIGTERM ends a run at its next event; the second one ends the program at once, for a run that has no next
 * event. A file that may not grow is a failed write, not a death.
 */
static void catch_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESETHAND;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGXFSZ, SIG_IGN);
}

/* What a run writes into files is wanted also when nobody reads its output any more. */
static void outlive_the_reader(void)
{
	signal(SIGPIPE, SIG_IGN);
}

static const char help_general[] =
"usage: tollgate VERB ...\n"
"\n"
"  run SCENARIO.lua [name=value ...]   run a scenario\n"
"  test [PATH ...]                     run every scenario, check every claim\n"
"  ladder RUN.db                       message sequence of a result\n"
"  verdicts RUN.db                     what was claimed in a result, and what came of it\n"
"  list [scenarios|models|switches]    what there is\n"
"  doc NAME                            what it is: a model, scenario, switch, attack, topology; language\n"
"\n"
"tollgate VERB --help says more. Exit codes: 0 all claims hold, 1 a claim failed, 2 bad scenario or arguments,\n"
"3 a defect of Tollgate's own.\n";

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

static const char help_ladder[] =
"usage: tollgate ladder RUN.db [options]\n"
"\n"
"  --node NAME         only messages from or to this element\n"
"  --call ID           only messages of this call\n"
"  --kind KIND         only this kind of message\n"
"  --from T, --until T virtual times: 2s, 1500ms\n"
"\n"
"examples:\n"
"  tollgate ladder call.db\n"
"  tollgate ladder call.db --node alice --from 2s --until 5s\n"
"\n"
"COLUMNS sets the width, NO_COLOR turns colours off. Lines and arrows are drawn when the locale (LC_ALL, LC_CTYPE, LANG) is\n"
"UTF-8, else in ASCII.\n";

static const char help_verdicts[] =
"usage: tollgate verdicts RUN.db\n"
"\n"
"Prints every verdict in order of time: held or failed, when, the claim, its place, and for a failed one what was found. The\n"
"exit code is 0 whatever the verdicts are, 2 when the file cannot be read.\n"
"\n"
"example:\n"
"  tollgate run scenarios/calls/cta_to_cta.lua -o call.db; tollgate verdicts call.db\n";

static const char help_list[] =
"usage: tollgate list [scenarios|models|switches]\n"
"\n"
"examples:\n"
"  tollgate list\n"
"  tollgate list switches\n"
"\n"
"TOLLGATE_SCENARIOS: the folder of the scenarios (default ./scenarios).\n";

static const char help_doc[] =
"usage: tollgate doc NAME | --annotations\n"
"\n"
"  NAME                a model, scenario, switch, attack or topology; `topology`: how to write one; `language`: all that a\n"
"                      scenario can use\n"
"  --annotations       Lua annotations (---@meta) for editors, on the output\n"
"\n"
"examples:\n"
"  tollgate doc cta\n"
"  tollgate doc sc.replay_cache\n"
"  tollgate doc T1\n"
"  tollgate doc --annotations > .luarc/tollgate.lua\n";

static int usage_error(const char *verb, const char *what, const char *found)
{
	fprintf(stderr, "tollgate%s%s: %s%s%s%s; see tollgate%s%s --help\n", *verb ? " " : "", verb, what, found ? " \"" : "",
	        found ? found : "", found ? "\"" : "", *verb ? " " : "", verb);
	return HOST_BAD;
}

/* Plain numbers and times of the command line */

static bool number(const char *text, const char *end, uint64_t *out)
{
	char *stop;

	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	*out = strtoull(text, &stop, 10);
	return errno == 0 && stop == end;
}

static bool seeds(const char *text, uint64_t *first, uint64_t *last)
{
	const char *dots = strstr(text, "..");

	if (!dots) {
		*last = 0;
		return number(text, text + strlen(text), first) && (*last = *first, true);
	}
	return number(text, dots, first) && number(dots + 2, dots + strlen(dots), last) && *first <= *last;
}

static const char *cache_dir(char path[PATH_LEN])
{
	const char *own = getenv("TOLLGATE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (own)
		snprintf(path, PATH_LEN, "%s", own);
	else if (xdg && *xdg)
		snprintf(path, PATH_LEN, "%s/tollgate", xdg);
	else if (home && *home)
		snprintf(path, PATH_LEN, "%s/.cache/tollgate", home);
	else
		return NULL;
	return *path ? path : NULL;
}

/* run */

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
		return usage_error("run", "an argument is name=value, not", text);
	if (c->setting_count == SETTINGS_MAX)
		return usage_error("run", "too many arguments", NULL);
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

enum { OPT_HELP = 256, OPT_SEED, OPT_PCAP, OPT_KEYLOG, OPT_RECORD, OPT_MEDIA, OPT_TAG, OPT_NODE, OPT_CALL, OPT_KIND,
	      OPT_FROM, OPT_UNTIL, OPT_CPU_LIMIT };

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
			if (!seeds(optarg, &c->first, &c->last))
				return usage_error("run", "--seed takes N or A..B, not", optarg);
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
				return usage_error("run", "--record takes all, flow or summary, not", optarg);
			break;
		case OPT_MEDIA:
			c->host.media = true;
			break;
		default:
			return usage_error("run", "unknown option or a value is missing", NULL);
		}
	}
	if (optind >= argc)
		return usage_error("run", "a scenario is missing", NULL);
	c->host.script = argv[optind++];
	for (; optind < argc; optind++)
		if (take_setting(c, argv[optind]) != HOST_HELD)
			return HOST_BAD;
	if (is_empty(c->database) || is_empty(c->capture) || is_empty(c->keylog))
		return usage_error("run", "-o, --pcap and --keylog take a path, not", "");
	if (same_path(c->database, c->capture) || same_path(c->database, c->keylog) || same_path(c->capture, c->keylog))
		return usage_error("run", "-o, --pcap and --keylog need a path each, not all", c->capture ? c->capture : c->database);
	return -1;
}

/* FILE for one run, FILE.SEED.SUFFIX for one of many. */
static const char *seeded(const struct run_command *c, const char *path, uint64_t seed, char out[PATH_LEN])
{
	const char *dot, *slash;

	if (!path || c->first == c->last)
		return path;
	dot = strrchr(path, '.');
	slash = strrchr(path, '/');
	if (!dot || (slash && dot < slash) || dot == path)
		dot = path + strlen(path);
	snprintf(out, PATH_LEN, "%.*s.%llu%s", (int)(dot - path), path, (unsigned long long)seed, dot);
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

static int command_run(int argc, char **argv)
{
	struct run_command c = {
		.host = { .models = model_registry, .level = RECORD_ALL, .out = stdout, .err = stderr, .claims = true,
		          .interrupt = &interrupted },
		.first = 1, .last = 1,
	};
	char cache[PATH_LEN], database[PATH_LEN], capture[PATH_LEN], keylog[PATH_LEN];
	int code = parse_run(&c, argc, argv), worst = HOST_HELD;

	if (code >= 0)
		return code;
	outlive_the_reader();
	c.host.cache_dir = cache_dir(cache);
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
		if (seed == c.last || interrupted || result.code >= HOST_BAD)
			return worst;
	}
}

/* test */

static int command_test(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "word", required_argument, NULL, 'k' },
		{ "tag", required_argument, NULL, OPT_TAG }, { "seed", required_argument, NULL, OPT_SEED },
		{ "jobs", required_argument, NULL, 'j' }, { "cpu-limit", required_argument, NULL, OPT_CPU_LIMIT },
		{ NULL, 0, NULL, 0 },
	};
	struct test_options test = {
		.seed_first = 1, .seed_last = 1, .models = model_registry, .out = stdout, .err = stderr, .interrupt = &interrupted,
	};
	char cache[PATH_LEN];
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
			if (!seeds(optarg, &test.seed_first, &test.seed_last))
				return usage_error("test", "--seed takes N or A..B, not", optarg);
			break;
		case 'j':
			if (!number(optarg, optarg + strlen(optarg), &value) || value == 0 || value > 1024)
				return usage_error("test", "--jobs takes a number from 1 to 1024, not", optarg);
			test.jobs = (unsigned)value;
			break;
		case OPT_CPU_LIMIT:
			if (!number(optarg, optarg + strlen(optarg), &value) || value == 0 || value > INT32_MAX)
				return usage_error("test", "--cpu-limit takes seconds, not", optarg);
			test.cpu_limit_s = (unsigned)value;
			break;
		default:
			return usage_error("test", "unknown option or a value is missing", NULL);
		}
	}
	outlive_the_reader();
	test.paths = (const char *const *)(argv + optind);
	test.path_count = (size_t)(argc - optind);
	test.cache_dir = cache_dir(cache);
	return host_test(&test);
}

/* ladder */

static unsigned terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width;

	if (columns && number(columns, columns + strlen(columns), &width) && width >= 20 && width <= 1000)
		return (unsigned)width;
	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		return size.ws_col;
	return 0;
}

static bool colored(void)
{
	const char *no = getenv("NO_COLOR");

	return (!no || !*no) && isatty(STDOUT_FILENO);
}

/* Whether the locale writes UTF-8: the first of the three that is set says. */
static bool locale_is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]), *dot;

		if (!value || !*value)
			continue;
		dot = strchr(value, '.');
		return dot && (strncasecmp(dot, ".utf-8", 6) == 0 || strncasecmp(dot, ".utf8", 5) == 0);
	}
	return false;
}

static int command_ladder(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP }, { "node", required_argument, NULL, OPT_NODE },
		{ "call", required_argument, NULL, OPT_CALL }, { "kind", required_argument, NULL, OPT_KIND },
		{ "from", required_argument, NULL, OPT_FROM }, { "until", required_argument, NULL, OPT_UNTIL }, { NULL, 0, NULL, 0 },
	};
	struct ladder_options ladder = { .width = terminal_width(), .color = colored(), .utf8 = locale_is_utf8() };
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
				return usage_error("ladder", "--from takes a time like 2s or 1500ms, not", optarg);
			break;
		case OPT_UNTIL:
			if (!host_time_parse(optarg, &ladder.until_ns))
				return usage_error("ladder", "--until takes a time like 2s or 1500ms, not", optarg);
			break;
		default:
			return usage_error("ladder", "unknown option or a value is missing", NULL);
		}
	}
	if (optind != argc - 1)
		return usage_error("ladder", "one result database is needed", NULL);
	code = ladder_print(argv[optind], &ladder, stdout, error);
	if (code != 0)
		fprintf(stderr, "tollgate ladder: %s\n", error);
	return code;
}

/* verdicts, list, doc */

static bool wants_help(int argc, char **argv)
{
	return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

static int command_verdicts(int argc, char **argv)
{
	char error[REPORT_ERROR_LEN] = "";
	int code;

	if (wants_help(argc, argv)) {
		fputs(help_verdicts, stdout);
		return HOST_HELD;
	}
	if (argc != 2)
		return usage_error("verdicts", "one result database is needed", NULL);
	code = verdicts_print(argv[1], stdout, error);
	if (code != 0)
		fprintf(stderr, "tollgate verdicts: %s\n", error);
	return code;
}

static int command_list(int argc, char **argv)
{
	if (wants_help(argc, argv)) {
		fputs(help_list, stdout);
		return HOST_HELD;
	}
	if (argc > 2)
		return usage_error("list", "too many arguments", NULL);
	return doc_list(model_registry, argc > 1 ? argv[1] : NULL, stdout, stderr);
}

static int command_doc(int argc, char **argv)
{
	if (wants_help(argc, argv)) {
		fputs(help_doc, stdout);
		return HOST_HELD;
	}
	if (argc != 2)
		return usage_error("doc", "one name is needed", NULL);
	if (strcmp(argv[1], "--annotations") == 0) {
		doc_annotations(model_registry, stdout);
		return HOST_HELD;
	}
	return doc_print(model_registry, argv[1], stdout, stderr);
}

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} verbs[] = {
	{ "run", command_run }, { "test", command_test }, { "ladder", command_ladder }, { "verdicts", command_verdicts },
	{ "list", command_list }, { "doc", command_doc },
};

/* What could not be written (a full disk, a closed pipe) must not look like success. */
static int finish(int code)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == HOST_HELD) {
		fprintf(stderr, "tollgate: the output cannot be written: %s\n", strerror(errno));
		return HOST_BAD;
	}
	return code;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(help_general, stderr);
		return HOST_BAD;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		fputs(help_general, stdout);
		return finish(HOST_HELD);
	}
	catch_signals();
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return finish(verbs[i].fn(argc - 1, argv + 1));
	return usage_error("", "unknown verb", argv[1]);
}

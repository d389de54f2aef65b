/*
 * What the verbs share: complaints about arguments, plain numbers, and what the environment says of the terminal and the cache. The
 * only global state of the program is here: the flag that SIGINT and SIGTERM set.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

volatile sig_atomic_t cmd_interrupted;

int cmd_usage_error(const char *verb, const char *what, const char *found)
{
	fprintf(stderr, "tollgate%s%s: %s%s%s%s; see tollgate%s%s --help\n", *verb ? " " : "", verb, what, found ? " \"" : "",
	        found ? found : "", found ? "\"" : "", *verb ? " " : "", verb);
	return HOST_BAD;
}

bool cmd_wants_help(int argc, char **argv)
{
	return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

void cmd_outlive_the_reader(void)
{
	signal(SIGPIPE, SIG_IGN);
}

/* Plain numbers and times of the command line */

bool cmd_number(const char *text, const char *end, uint64_t *out)
{
	char *stop;

	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	*out = strtoull(text, &stop, 10);
	return errno == 0 && stop == end;
}

bool cmd_seeds(const char *text, uint64_t *first, uint64_t *last)
{
	const char *dots = strstr(text, "..");

	if (!dots) {
		*last = 0;
		return cmd_number(text, text + strlen(text), first) && (*last = *first, true);
	}
	return cmd_number(text, dots, first) && cmd_number(dots + 2, dots + strlen(dots), last) && *first <= *last;
}

const char *cmd_cache_dir(char path[CMD_PATH_LEN])
{
	const char *own = getenv("TOLLGATE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (own)
		snprintf(path, CMD_PATH_LEN, "%s", own);
	else if (xdg && *xdg)
		snprintf(path, CMD_PATH_LEN, "%s/tollgate", xdg);
	else if (home && *home)
		snprintf(path, CMD_PATH_LEN, "%s/.cache/tollgate", home);
	else
		return NULL;
	return *path ? path : NULL;
}

unsigned cmd_terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width;

	if (columns && cmd_number(columns, columns + strlen(columns), &width) && width >= 20 && width <= 1000)
		return (unsigned)width;
	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		return size.ws_col;
	return 0;
}

bool cmd_colored(void)
{
	const char *no = getenv("NO_COLOR");

	return (!no || !*no) && isatty(STDOUT_FILENO);
}

/* Whether the locale writes UTF-8: the first of the three that is set says. */
bool cmd_locale_is_utf8(void)
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

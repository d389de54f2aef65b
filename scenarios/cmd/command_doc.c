/*
 * `tollgate list` and `tollgate doc`: what there is, and what it is.
 */
#include <string.h>

#include "scenarios/cmd/cmd.h"
#include "scenarios/host/host.h"

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

int command_list(int argc, char **argv)
{
	if (cmd_wants_help(argc, argv)) {
		fputs(help_list, stdout);
		return HOST_HELD;
	}
	if (argc > 2)
		return cmd_usage_error("list", "too many arguments", NULL);
	return doc_list(model_registry, argc > 1 ? argv[1] : NULL, stdout, stderr);
}

int command_doc(int argc, char **argv)
{
	if (cmd_wants_help(argc, argv)) {
		fputs(help_doc, stdout);
		return HOST_HELD;
	}
	if (argc != 2)
		return cmd_usage_error("doc", "one name is needed", NULL);
	if (strcmp(argv[1], "--annotations") == 0) {
		doc_annotations(model_registry, stdout);
		return HOST_HELD;
	}
	return doc_print(model_registry, argv[1], stdout, stderr);
}

/*
 * `tollgate list` and `tollgate doc`: what there is, from the descriptors themselves, and the annotations for editors.
 *
 * The texts about the language and about topologies are in guide.c.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/internal.h"

static const char *const type_words[] = {
	[VALUE_NIL] = "nil", [VALUE_BOOL] = "boolean", [VALUE_INT] = "integer", [VALUE_TEXT] = "text", [VALUE_BYTES] = "bytes",
	[VALUE_TIME] = "time", [VALUE_NODE] = "element", [VALUE_OBJECT] = "object", [VALUE_LINK] = "link",
};

static const char *first_line(const char *s, char *buf, size_t room)
{
	snprintf(buf, room, "%.*s", (int)strcspn(s, "\n"), s);
	return buf;
}

/* Models */

static void print_params(const struct param *params, const char *indent, FILE *out)
{
	for (; params && params->name; params++) {
		fprintf(out, "%s%-16s %s", indent, params->name, params->choices ? params->choices : type_words[params->type]);
		if (params->required)
			fprintf(out, ", required");
		else if (params->preset)
			fprintf(out, ", default %s", params->preset);
		fprintf(out, "\n%s    %s\n", indent, params->doc ? params->doc : "");
	}
}

static void print_call(const char *owner, const char *name, const struct param *params, const char *returns, FILE *out)
{
	fprintf(out, "  %s:%s ", owner, name);
	if (params && params->name) {
		fprintf(out, "{ ");
		for (const struct param *p = params; p->name; p++)
			fprintf(out, "%s%s%s", p == params ? "" : ", ", p->name, p->required ? "" : "?");
		fprintf(out, " }");
	} else {
		fprintf(out, "()");
	}
	if (returns && *returns)
		fprintf(out, " -> %s", returns);
	fputc('\n', out);
}

static void print_attributes(const struct attribute *list, FILE *out)
{
	for (; list && list->name; list++)
		fprintf(out, "  %-18s %-8s %s\n", list->name, type_words[list->type], list->doc ? list->doc : "");
}

static void print_machine(const struct machine_def *def, FILE *out)
{
	fprintf(out, "\nState machine %s: %s\n", def->name, def->doc ? def->doc : "");
	for (unsigned s = 0; s < def->state_count; s++) {
		for (unsigned e = 0; e < def->event_count; e++) {
			const struct machine_cell *cell = &def->cells[s * def->event_count + e];

			if (cell->legal)
				fprintf(out, "  %-28s %-28s -> %s\n", def->states[s], def->events[e], def->states[cell->next]);
		}
	}
}

static void print_class(const struct object_class *c, FILE *out)
{
	fprintf(out, "\nObject %s: %s\n", c->name, c->doc ? c->doc : "");
	print_attributes(c->attributes, out);
	for (const struct object_verb *v = c->verbs; v && v->name; v++) {
		print_call(c->name, v->name, v->params, v->returns, out);
		fprintf(out, "      %s\n", v->doc ? v->doc : "");
		print_params(v->params, "      ", out);
	}
}

static void print_model(const struct model *m, FILE *out)
{
	fprintf(out, "Model %s\n%s\n\nnet:%s \"name\" { ... }\n", m->name, m->doc ? m->doc : "", m->name);
	print_params(m->params, "  ", out);
	fprintf(out, "  on, gateway, routes, service: as for every element (tollgate doc topology)\n");
	fprintf(out, "\nAttributes\n");
	print_attributes(m->attributes, out);
	print_attributes(common_attribute_list(), out);
	if (m->verbs && m->verbs->name)
		fprintf(out, "\nVerbs\n");
	for (const struct verb *v = m->verbs; v && v->name; v++) {
		print_call(m->name, v->name, v->params, v->returns, out);
		fprintf(out, "      %s\n", v->doc ? v->doc : "");
		print_params(v->params, "      ", out);
	}
	for (const struct object_class *const *c = m->objects; c && *c; c++)
		print_class(*c, out);
	for (const struct machine_def *const *d = m->machines; d && *d; d++)
		print_machine(*d, out);
}

static const struct model *find_model(const struct model *const *models, const char *name)
{
	for (; *models; models++)
		if (strcmp((*models)->name, name) == 0)
			return *models;
	return NULL;
}

/* Switches and attacks */

static void print_switch(const struct switch_def *def, FILE *out)
{
	fprintf(out, "%-24s %-18s %-8s %s\n", def->name, def->values, def->attacks[0] ? def->attacks : "-", def->doc);
}

static bool print_attack(const char *id, FILE *out)
{
	bool found = false;

	for (const struct switch_def *def = switch_table; def->name; def++) {
		if (!switch_concerns(def, id))
			continue;
		if (!found)
			fprintf(out, "Attack %s is stopped by\n", id);
		found = true;
		fprintf(out, "  ");
		print_switch(def, out);
	}
	return found;
}

/* Scenarios */

static void print_scenario_line(const char *path, const struct header *header, FILE *out)
{
	char *name = host_script_name(path);

	fprintf(out, "%-48s %s", name, header->title);
	if (header->attack)
		fprintf(out, " [attack %s]", header->attack);
	for (size_t i = 0; i < header->tag_count; i++)
		fprintf(out, "%s%s%s", i ? ", " : " (", header->tags[i], i + 1 == header->tag_count ? ")" : "");
	fputc('\n', out);
	free(name);
}

static void print_scenario(const char *path, const struct header *header, FILE *out)
{
	print_scenario_line(path, header, out);
	fprintf(out, "\n%s", header->doc);
	if (header->arg_count)
		fprintf(out, "\nArguments\n");
	for (size_t i = 0; i < header->arg_count; i++)
		fprintf(out, "  %s=%s\n", header->args[i].name, header->args[i].preset);
	for (size_t i = 0; i < header->variant_count; i++)
		fprintf(out, "%s  switch.%s=%s\n", i ? "" : "\nThe attack succeeds with\n", header->variants[i].name,
		        header->variants[i].preset);
	fprintf(out, "\ntollgate run %s\n", path);
}

/* "calls/x", "x", "scenarios/calls/x.lua" */
static bool names_scenario(const char *path, const char *name)
{
	char *full = host_script_name(path);
	size_t len = strlen(full), n = strlen(name);
	bool found;

	if (n > 4 && strcmp(name + n - 4, ".lua") == 0)
		n -= 4;
	if (len > 4)
		len -= 4;
	found = len >= n && memcmp(full + len - n, name, n) == 0 && (len == n || full[len - n - 1] == '/');
	free(full);
	return found;
}

typedef bool scenario_fn(const char *path, const struct header *header, const char *word, FILE *out);

/* Calls fn for each scenario; how many times it said true. */
static size_t each_scenario(const struct model *const *models, scenario_fn *fn, const char *word, FILE *out, FILE *err)
{
	struct scenario_list list = { .count = 0 };
	size_t count = 0;

	if (scenario_find(host_scenarios_dir(), &list, err)) {
		for (size_t i = 0; i < list.count; i++) {
			struct header header;

			if (header_read(list.paths[i], models, &header, err) == HOST_HELD && header.found)
				count += fn(list.paths[i], &header, word, out);
			header_free(&header);
		}
	}
	scenario_list_free(&list);
	return count;
}

static bool list_scenario(const char *path, const struct header *header, const char *word, FILE *out)
{
	(void)word;
	print_scenario_line(path, header, out);
	return true;
}

static bool doc_scenario(const char *path, const struct header *header, const char *word, FILE *out)
{
	if (!names_scenario(path, word))
		return false;
	print_scenario(path, header, out);
	return true;
}

static bool attack_scenario(const char *path, const struct header *header, const char *word, FILE *out)
{
	if (!header->attack || strcmp(header->attack, word) != 0)
		return false;
	print_scenario_line(path, header, out);
	return true;
}

static bool print_topology(const char *name, FILE *out)
{
	char path[4096], *doc;

	snprintf(path, sizeof path, "%s/topologies/%s.lua", host_scenarios_dir(), name);
	doc = file_doc(path);
	if (!doc)
		return false;
	fprintf(out, "Topology %s\n%s", name, doc);
	free(doc);
	return true;
}

/* Entry points */

static void list_models(const struct model *const *models, FILE *out)
{
	for (; *models; models++) {
		char line[256];

		fprintf(out, "%-24s %s\n", (*models)->name, (*models)->doc ? first_line((*models)->doc, line, sizeof line) : "");
	}
}

static void list_switches(FILE *out)
{
	for (const struct switch_def *def = switch_table; def->name; def++)
		print_switch(def, out);
}

enum host_code doc_list(const struct model *const *models, const char *what, FILE *out, FILE *err)
{
	bool all = !what;

	if (what && strcmp(what, "scenarios") != 0 && strcmp(what, "models") != 0 && strcmp(what, "switches") != 0) {
		fprintf(err, "tollgate list: unknown \"%s\"; write tollgate list scenarios, models or switches\n", what);
		return HOST_BAD;
	}
	if (all || strcmp(what, "scenarios") == 0) {
		if (all)
			fprintf(out, "Scenarios\n");
		each_scenario(models, list_scenario, NULL, out, err);
	}
	if (all || strcmp(what, "models") == 0) {
		if (all)
			fprintf(out, "\nModels\n");
		list_models(models, out);
	}
	if (all || strcmp(what, "switches") == 0) {
		if (all)
			fprintf(out, "\nSwitches (name, values with the default first, attacks, what it does)\n");
		list_switches(out);
	}
	return HOST_HELD;
}

static void unknown_topic(const struct model *const *models, const char *name, FILE *err)
{
	struct names known = { .count = 0 };
	struct text text = { .len = 0 };

	for (const struct model *const *m = models; *m; m++)
		names_add(&known, (*m)->name);
	for (const struct switch_def *def = switch_table; def->name; def++)
		names_add(&known, def->name);
	names_add(&known, "language");
	names_add(&known, "topology");
	text_guess(&text, name, &known);
	fprintf(err, "tollgate doc: nothing is called %s `tollgate list` shows what there is\n", text.s);
}

enum host_code doc_print(const struct model *const *models, const char *name, FILE *out, FILE *err)
{
	const struct model *model = find_model(models, name);
	const struct switch_def *def = switch_find(name);
	bool found = true;

	if (strcmp(name, "topology") == 0) {
		fputs(guide_topology, out);
	} else if (strcmp(name, "language") == 0) {
		fputs(guide_language, out);
	} else if (model) {
		print_model(model, out);
	} else if (def) {
		print_switch(def, out);
	} else {
		found = print_attack(name, out);
		found = each_scenario(models, found ? attack_scenario : doc_scenario, name, out, err) > 0 || found;
		found = found || print_topology(name, out);
	}
	if (!found)
		unknown_topic(models, name, err);
	return found ? HOST_HELD : HOST_BAD;
}

/* Annotations */

static const char *const lua_types[] = {
	[VALUE_NIL] = "nil", [VALUE_BOOL] = "boolean", [VALUE_INT] = "integer", [VALUE_TEXT] = "string",
	[VALUE_BYTES] = "string", [VALUE_TIME] = "string", [VALUE_NODE] = "element|string", [VALUE_OBJECT] = "object",
	[VALUE_LINK] = "link|string",
};

/* What an attribute reads as: times are nanoseconds. */
static const char *read_type(enum value_type type)
{
	return type == VALUE_TIME ? "integer" : type == VALUE_NODE ? "element" : type == VALUE_LINK ? "link" : lua_types[type];
}

static void annotate_doc(const char *doc, FILE *out)
{
	while (doc && *doc) {
		size_t n = strcspn(doc, "\n");

		fprintf(out, "---%.*s\n", (int)n, doc);
		doc += n + (doc[n] == '\n');
	}
}

static void annotate_fields(const struct attribute *list, FILE *out)
{
	for (; list && list->name; list++)
		fprintf(out, "---@field %s? %s %s\n", list->name, read_type(list->type), list->doc ? list->doc : "");
}

static void annotate_params(const char *class_, const char *verb, const struct param *params, bool waits, FILE *out)
{
	fprintf(out, "---@class %s.%s.args\n", class_, verb);
	for (; params && params->name; params++)
		fprintf(out, "---@field %s%s %s %s\n", params->name, params->required ? "" : "?", lua_types[params->type],
		        params->doc ? params->doc : "");
	if (waits)
		fprintf(out, "---@field within? string\n");
	fputc('\n', out);
}

static void annotate_verb(const char *class_, const char *name, const char *doc, const struct param *params,
                          const char *returns, FILE *out)
{
	const char *first = params && params->name ? lua_types[params->type] : NULL;

	annotate_params(class_, name, params, returns && *returns, out);
	annotate_doc(doc, out);
	if (first)
		fprintf(out, "---@param first? %s|%s.%s.args\n---@param args? %s.%s.args\n", first, class_, name, class_, name);
	if (returns && *returns)
		fprintf(out, "---@return %s\n", returns);
	fprintf(out, "function %s:%s(%s) end\n\n", class_, name, first ? "first, args" : "");
}

static void annotate_class(const struct object_class *c, FILE *out)
{
	annotate_doc(c->doc, out);
	fprintf(out, "---@class %s: object\n", c->name);
	annotate_fields(c->attributes, out);
	fprintf(out, "local %s = {}\n\n", c->name);
	for (const struct object_verb *v = c->verbs; v && v->name; v++)
		annotate_verb(c->name, v->name, v->doc, v->params, v->returns, out);
}

static void annotate_model(const struct model *m, FILE *out)
{
	annotate_doc(m->doc, out);
	fprintf(out, "---@class %s: element\n", m->name);
	annotate_fields(m->attributes, out);
	fprintf(out, "local %s = {}\n\n", m->name);
	for (const struct verb *v = m->verbs; v && v->name; v++)
		annotate_verb(m->name, v->name, v->doc, v->params, v->returns, out);
	fprintf(out, "---@class %s.params: element.params\n", m->name);
	for (const struct param *p = m->params; p && p->name; p++)
		fprintf(out, "---@field %s%s %s %s\n", p->name, p->required ? "" : "?", lua_types[p->type], p->doc ? p->doc : "");
	fprintf(out, "\n---@param name string\n---@param params? %s.params\n---@return %s\nfunction net:%s(name, params) end\n\n",
	        m->name, m->name, m->name);
}

static bool class_seen(const struct model *const *models, const struct model *const *here, const struct object_class *c)
{
	for (; models != here; models++)
		for (const struct object_class *const *k = (*models)->objects; k && *k; k++)
			if (strcmp((*k)->name, c->name) == 0)
				return true;
	return false;
}

void doc_annotations(const struct model *const *models, FILE *out)
{
	fputs(guide_annotations, out);
	for (const struct model *const *m = models; *m; m++) {
		annotate_model(*m, out);
		for (const struct object_class *const *c = (*m)->objects; c && *c; c++)
			if (!class_seen(models, m, *c))
				annotate_class(*c, out);
	}
}

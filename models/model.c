/*
 * Looking up models, arguments and plain values: what every element needs of model.h.
 */
#include "models/model.h"

#include <assert.h>
#include <string.h>

const struct model *model_find(const char *name)
{
	for (const struct model *const *m = model_registry; *m; m++)
		if (strcmp((*m)->name, name) == 0)
			return *m;
	return NULL;
}

const struct value *args_get(const struct args *args, const char *name)
{
	for (size_t i = 0; i < args->count; i++)
		if (strcmp(args->list[i].name, name) == 0)
			return &args->list[i].value;
	return NULL;
}

const char *args_text(const struct args *args, const char *name, const char *preset)
{
	const struct value *value = args_get(args, name);

	if (!value || value->type == VALUE_NIL)
		return preset;
	assert(value->type == VALUE_TEXT || value->type == VALUE_BYTES);
	return value->text.bytes;
}

int64_t args_int(const struct args *args, const char *name, int64_t preset)
{
	const struct value *value = args_get(args, name);

	if (!value || value->type == VALUE_NIL)
		return preset;
	assert(value->type == VALUE_INT);
	return value->integer;
}

sim_ns args_time(const struct args *args, const char *name, sim_ns preset)
{
	const struct value *value = args_get(args, name);

	if (!value || value->type == VALUE_NIL)
		return preset;
	assert(value->type == VALUE_TIME);
	return value->integer;
}

bool args_bool(const struct args *args, const char *name, bool preset)
{
	const struct value *value = args_get(args, name);

	if (!value || value->type == VALUE_NIL)
		return preset;
	assert(value->type == VALUE_BOOL);
	return value->boolean;
}

struct node *args_node(const struct args *args, const char *name)
{
	const struct value *value = args_get(args, name);

	if (!value || value->type == VALUE_NIL)
		return NULL;
	assert(value->type == VALUE_NODE);
	return value->node;
}

struct value value_text(const char *text)
{
	if (!text)
		return value_nil();
	return (struct value){ .type = VALUE_TEXT, .text = { text, strlen(text) } };
}

struct value value_object(struct object *object)
{
	if (!object)
		return value_nil();
	return (struct value){ .type = VALUE_OBJECT, .object = object };
}

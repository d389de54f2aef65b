/*
 * The attacker's verbs and attributes as the host calls them, for the tests of the attacker. An unknown verb or attribute fails the
 * test. What a verb returns belongs to the test, which drops it.
 */
#ifndef TOLLGATE_TESTS_MODELS_ATTACKER_VERBS_H
#define TOLLGATE_TESTS_MODELS_ATTACKER_VERBS_H

#include <check.h>
#include <string.h>
#include "models/model.h"
#include "models/world.h"

extern const struct model model_attacker;

#define ARGS(...) ((struct arg[]){ __VA_ARGS__, { NULL, { .type = VALUE_NIL } } })
#define TEXT(n, t) { n, { .type = VALUE_TEXT, .text = { t, sizeof(t) - 1 } } }
#define BYTES(n, t) { n, { .type = VALUE_BYTES, .text = { t, sizeof(t) - 1 } } }
#define INT(n, i) { n, { .type = VALUE_INT, .integer = (i) } }
#define TIME(n, i) { n, { .type = VALUE_TIME, .integer = (i) } }
#define BOOL(n, b) { n, { .type = VALUE_BOOL, .boolean = (b) } }
#define NODE(n, p) { n, { .type = VALUE_NODE, .node = (p) } }
#define OBJECT(n, p) { n, { .type = VALUE_OBJECT, .object = (p) } }

static inline struct args args_of(const struct arg *list)
{
	struct args args = { list, 0 };

	while (list && list[args.count].name)
		args.count++;
	return args;
}

static inline struct verb_result call(struct node *node, const char *name, const struct arg *list)
{
	struct verb_result result = { .error = "" };
	struct args args = args_of(list);
	const struct verb *v = model_attacker.verbs;

	while (v->name && strcmp(v->name, name) != 0)
		v++;
	ck_assert_msg(v->name != NULL, "%s", name);
	v->fn(node, &args, &result);
	return result;
}

/* A verb that works; its object belongs to the test. */
static inline struct object *does(struct node *node, const char *name, const struct arg *list)
{
	struct verb_result result = call(node, name, list);

	ck_assert_str_eq(result.error, "");
	if (result.value.type != VALUE_OBJECT)
		return NULL;
	result.value.object->refs++;
	return result.value.object;
}

static inline void fails(struct node *node, const char *name, const struct arg *list, const char *why)
{
	struct verb_result result = call(node, name, list);

	ck_assert_msg(strstr(result.error, why) != NULL, "%s: \"%s\", not \"%s\"", name, result.error, why);
	ck_assert_int_eq(result.value.type, VALUE_NIL);
}

static inline void drop(struct object *object)
{
	if (--object->refs == 0)
		object->class_->free(object);
}

static inline struct value get(struct object *object, const char *attribute)
{
	struct value value;
	bool known = object->class_->get(object, attribute, &value);

	ck_assert(known == (value.type != VALUE_NIL));
	return value;
}

static inline void has_text(struct object *object, const char *attribute, const char *expected)
{
	struct value value = get(object, attribute);

	if (!expected) {
		ck_assert_int_eq(value.type, VALUE_NIL);
		return;
	}
	ck_assert_int_eq(value.type, VALUE_TEXT);
	ck_assert_str_eq(value.text.bytes, expected);
}

#endif

/*
 * What an element is to the rest of the program: one struct of named callbacks and tables. A new element is one new file
 * that exports one descriptor `const struct model model_NAME`; the registry is generated from the files (build rule in
 * the Makefile), so nothing else is edited and link order cannot matter.
 *
 * Values that scenarios and models exchange are plain: models know no Lua.
 */
#ifndef TOLLGATE_MODELS_MODEL_H
#define TOLLGATE_MODELS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sim/sim.h"
#include "sim/node.h"
#include "sim/machine.h"

struct object;

enum value_type { VALUE_NIL, VALUE_BOOL, VALUE_INT, VALUE_TEXT, VALUE_BYTES, VALUE_TIME /* ns */, VALUE_NODE, VALUE_OBJECT, VALUE_LINK };

struct value {
	enum value_type type;
	union {
		bool boolean;
		int64_t integer; /* VALUE_INT, VALUE_TIME */
		struct { const char *bytes; size_t len; } text; /* NUL-terminated too; lives as long as its giver says */
		struct node *node;
		struct object *object;
		struct link *link;
	};
};

struct arg { /* one named argument of a verb, a parameter of an element; position 1 has the name of the first in the table */
	const char *name;
	struct value value;
};
struct args {
	const struct arg *list;
	size_t count;
};

struct param {
	const char *name;
	enum value_type type;
	bool required;
	const char *preset;    /* default as text, shown by `tollgate doc` and parsed like a scenario's; NULL: none */
	const char *doc;
	const char *choices;   /* "on|off", NULL: anything of its type */
};

struct attribute { /* something an expect{} can ask of a node or object */
	const char *name;
	enum value_type type;
	const char *doc;
};

/* What a verb says when it cannot do what was asked. */
#define MODEL_ERROR_LEN 256
struct verb_result {
	struct value value;             /* VALUE_NIL by default */
	char error[MODEL_ERROR_LEN];    /* "" when fine; else what was found and how to write it */
};

struct verb {
	const char *name, *doc;
	const struct param *params;     /* ended by a NULL name; the first may be given by position */
	const char *returns;            /* "", "call", "message", ... for the documentation */
	void (*fn)(struct node *node, const struct args *args, struct verb_result *result);
};

/* Something a verb returned that can be asked and waited for: a call, a captured message. Reference-counted by the host. */
struct object_class {
	const char *name, *doc;
	const struct attribute *attributes;
	bool (*get)(struct object *object, const char *attribute, struct value *out); /* false: not known yet */
	const struct object_verb *verbs;
	void (*free)(struct object *object);
};
struct object {
	const struct object_class *class_;
	struct node *node;
	unsigned refs;
};
struct object_verb {
	const char *name, *doc;
	const struct param *params;
	const char *returns;
	void (*fn)(struct object *object, const struct args *args, struct verb_result *result);
};

struct model {
	const char *name;               /* "cta"; net:cta "alice" { ... } makes one */
	const char *doc;
	const struct param *params;
	const struct verb *verbs;
	const struct attribute *attributes;
	const struct machine_def *const *machines; /* NULL-ended */
	const struct object_class *const *objects; /* NULL-ended; classes its verbs return */
	/*
	 * Makes the element's state on a node that has its interfaces and routes. params are checked, complete with presets. False
	 * with a text in error when they make no sense together.
	 */
	bool (*create)(struct node *node, const struct args *params, char error[MODEL_ERROR_LEN]);
	/* All elements are made and the clock is at 0: bind sockets, start timers. Order: creation. */
	void (*start)(struct node *node);
	bool (*get)(struct node *node, const char *attribute, struct value *out);
	void (*restart)(struct node *node); /* loses what a power failure loses */
};

extern const struct model *const model_registry[]; /* NULL-ended, sorted by name; generated */
const struct model *model_find(const char *name);

/* Argument look-up; the preset is what is returned when the argument is absent. */
const struct value *args_get(const struct args *args, const char *name);
const char *args_text(const struct args *args, const char *name, const char *preset);
int64_t args_int(const struct args *args, const char *name, int64_t preset);
sim_ns args_time(const struct args *args, const char *name, sim_ns preset);
bool args_bool(const struct args *args, const char *name, bool preset);
struct node *args_node(const struct args *args, const char *name);

#define value_nil() ((struct value){ .type = VALUE_NIL })
#define value_int(i) ((struct value){ .type = VALUE_INT, .integer = (i) })
#define value_bool(b) ((struct value){ .type = VALUE_BOOL, .boolean = (b) })
#define value_time(t) ((struct value){ .type = VALUE_TIME, .integer = (t) })
struct value value_text(const char *text); /* borrowed; NULL gives VALUE_NIL */
struct value value_object(struct object *object);

#endif

/*
 * What the files of the scenario host know of each other. Subjects: errors (texts, places), sandbox (the Lua state),
 * values (units and conversion), header (scenario { ... }), topology (net, links, placement), elements (net:MODEL),
 * objects (userdata, verbs), matchers and claims, messages (the log claims ask), tasks (bodies over virtual time), run.
 *
 * Rules: Lua runs only in the main chunk and in events of the host's own, never inside a callback of a model or of the
 * trace. Whatever a Lua error may jump over lives in a userdata with a finaliser, so that it cannot leak. Pointers serve
 * as keys for look-up only; no order follows from them.
 */
#ifndef TOLLGATE_SCENARIOS_HOST_INTERNAL_H
#define TOLLGATE_SCENARIOS_HOST_INTERNAL_H

#include <lauxlib.h>
#include <lua.h>
#include "scenarios/host/host.h"

#define TYPE_NET "net"
#define TYPE_ELEMENT "element"
#define TYPE_LINK "link"
#define TYPE_OBJECT "object"
#define TYPE_GROUP "group"
#define TYPE_MATCH "matcher"
#define TYPE_TASK "task"
#define TYPE_CLAIM "claim"

#define PLACE_LEN 160 /* "scenarios/x.lua:12" */
#define LAST_MESSAGES 8 /* shown with a failed claim */
#define HOST_KEY_POOL_SEED 1 /* one pool of key pairs for all runs, so that its cache serves every seed */

struct task;
struct claim;
struct message_log;
struct watch_table;

struct pending { /* net:cta "alice" without its table yet */
	struct node *node;
	const struct model *model;
	struct link *link; /* net:link "wan" likewise */
};

struct attack { /* attack.c: what the bodies of outcome { } came to */
	unsigned begun, held;   /* branches that ran; that ran to their end without a failed claim */
	char place[PLACE_LEN];  /* of the first outcome */
};

struct host {
	const struct host_options *options;
	lua_State *L;
	struct sim *sim;
	struct world *world;
	struct recorder *recorder;
	struct capture *capture;
	struct keylog *keylog;
	struct host_result *result;
	char *script_name, *script;       /* its bytes */
	size_t script_len;
	struct header header;
	bool header_only;
	struct rng random;                /* math.random */
	bool random_ready;

	size_t memory_used, memory_limit;
	uint64_t instructions, instruction_limit;
	bool exhausted;                   /* the instruction limit: no pcall may swallow it */

	struct pending pending;
	char *topology_name, topology_hash[65];
	struct shared_file *shared;       /* read so far, the first first */
	bool topology_pending;            /* named, but its table is still to come */
	struct profile *profiles;         /* service times of elements */
	bool net_made, started, ended, interrupted;
	sim_ns moment_ns;                 /* when a body ran last, */
	unsigned moment_wakes;            /* and how often one has at that moment */

	struct task *tasks, **tasks_tail; /* in order of creation */
	struct task *current;
	unsigned bodies;                  /* tasks the run waits for */
	struct attack attack;
	bool script_failed;               /* an error in the script */
	bool defect;                      /* of the program's own */
	struct watch_table *watches;
	struct standing *standing, **standing_tail;
	struct event standing_event;
	struct message_log *log;
	struct bills *bills;              /* NULL: no claim about call records */
};

static inline struct host *host_of(lua_State *L)
{
	return *(struct host **)lua_getextraspace(L);
}

/* errors.c */

#define TEXT_LEN 1024
struct text { /* a line being written; too long a one ends in "..." */
	char s[TEXT_LEN];
	size_t len;
};
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "scenarios/x.lua:12" of the innermost line of Lua that runs. */
void place_of(lua_State *L, char *out, size_t room);
/* Raises "PLACE: ..." for the innermost line of Lua. */
int fail_here(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* The same for the innermost line of the scenario itself (a topology complains about what the scenario gave it). */
int fail_scenario(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* Raises with a finished place (of an element whose line is past). */
int fail_at(lua_State *L, const char *place, const char *text) __attribute__((noreturn));
/* A set of names, to tell what is known. */
#define NAMES_MAX 256
struct names {
	const char *list[NAMES_MAX];
	size_t count;
};
void names_add(struct names *names, const char *name);
/* Adds `"foo"; did you mean "for"?`, or `"foo".` and false when nothing is near. Sorts the names. */
bool text_guess(struct text *text, const char *found, struct names *known);
/* The same with all that is known: `... Known: a, b`. */
void text_unknown(struct text *text, const char *found, struct names *known);
/* What lies at a stack index, in words: `number 2`, `text "x"`, `a table`. */
void text_found(struct text *text, lua_State *L, int index);
/* The error at the top of a stack as text, with its place when that can still be told; pops nothing, raises nothing. */
void error_text(lua_State *L, struct text *out);

/* sandbox.c */

/* A new sandboxed state; NULL without memory. */
lua_State *sandbox_new(struct host *host);
/* tostring without addresses; pushes the text. */
void safe_tostring(lua_State *L, int index);
/* Runs the main chunk of a file; pushes its results. A status of lua_pcall. */
int sandbox_load(lua_State *L, const char *bytes, size_t len, const char *name);
/* Adds a type: metatable with these functions and __name; userdata show as their type. */
void new_type(lua_State *L, const char *name, const luaL_Reg *functions);
/* Pushes an array of the keys of the table at index, sorted: numbers, text, booleans, elements, links. */
size_t push_sorted_keys(lua_State *L, int index);
char *file_read(const char *path, size_t *len); /* NULL: errno says why; caller frees */
#define SCRIPT_LEN_MAX (4u << 20)

/* values.c */

struct span { /* text with its length, borrowed */
	const char *s;
	size_t len;
};
bool time_parse(const char *text, sim_ns *out);
bool rate_parse(const char *text, uint64_t *bps);   /* "unlimited": 0 */
bool ratio_parse(const char *text, uint32_t *ppm);
bool size_parse(const char *text, uint64_t *bytes);
bool integer_parse(const char *text, int64_t *out);
bool epoch_parse(const char *text, int64_t *unix_s); /* "2000-04-10T00:00:00Z" */
bool subnet_parse(const char *text, uint32_t *ip, uint8_t *prefix_len); /* "10.1.0.2/24" */
bool mac_parse(const char *text, uint8_t mac[6]);
#define TIME_TEXT_LEN 32
const char *time_text(sim_ns ns, char buf[TIME_TEXT_LEN]);  /* "1500us", exact, as a scenario writes it */
const char *clock_text(sim_ns ns, char buf[TIME_TEXT_LEN]); /* "5.000 s", for people */
const char *type_text(enum value_type type);                /* "time", "number", ... */
const char *type_example(enum value_type type);             /* how to write one */
/* Converts the Lua value at index. False: it is not of that type. Text is borrowed from Lua. */
bool value_from_lua(lua_State *L, int index, enum value_type type, struct value *out);
/* Converts text as a preset or argument gives it. */
bool value_from_text(struct host *host, const char *text, enum value_type type, struct value *out);
bool choice_known(const char *choices, const struct value *value);
void value_push(lua_State *L, const struct value *value);
bool value_equal(const struct value *a, const struct value *b);
void text_value(struct text *text, const struct value *value);
/*
 * Checks the table at `named` (0: none) and the value at `first` (0: none) against params and returns the arguments,
 * complete with presets, in a userdata that is pushed. what: "alice:dial", for messages. extra: further keys that the caller
 * understands itself.
 */
struct args *args_check(lua_State *L, const char *what, const struct param *params, int first, int named,
                        const struct names *extra);
/* Functions time(), ns(), now(). */
void values_open(lua_State *L);

/* header.c */

void header_open(lua_State *L);
const struct switch_def *switch_find(const char *name);
bool switch_concerns(const struct switch_def *def, const char *attack);
/* Gives the world the scenario's and the command line's switches. */
void switches_apply(lua_State *L);
/* Pushes the table of arguments in force. */
void push_args(lua_State *L);
/* The leading --- lines of a file; NULL: it cannot be read. Caller frees. */
char *file_doc(const char *path);
/* Whether any of the switches in question differs from its baseline. */
bool attack_on(lua_State *L);
/* Raises when no scenario { ... } has been read yet. */
void need_header(lua_State *L);

/* shared.c */

struct shared_file {
	struct shared_file *next;
	char *name, hash[65];
};
void shared_open(lua_State *L);
void shared_free(struct host *host);

/* topology.c */

#define SCENARIO_PATH_LEN 4096
/* FOLDER/NAME.lua: looks upwards from the scenario, then where scenarios are installed. False: nowhere. */
bool scenario_file_path(const struct host *host, const char *folder, const char *name, char path[SCENARIO_PATH_LEN]);
bool scenario_file_name(const char *name); /* letters, digits, _ and - */
/* Runs its main chunk and pushes the results, or the error: a status of lua_pcall. hash: SHA-256 of its bytes, in hex. */
int scenario_file_load(lua_State *L, const char *path, const char *what, char hash[65]);
void topology_open(lua_State *L);
void push_net(lua_State *L); /* nil before there is one */
/* Completes what still waits for its table: the topology, the last element. */
void net_ready(lua_State *L);
/* Sets link parameters from the table at index. */
void link_configure(lua_State *L, struct link *link, int index);
/* The next free address of a link's subnet; false: the link has no subnet. Raises when it is used up. */
bool subnet_next(lua_State *L, const struct link *link, uint32_t *ip, uint8_t *prefix_len, uint32_t *gateway);
/* Replaces opts (at index) by a copy completed by what the topology's placement of the model says. */
void placement_apply(lua_State *L, const struct model *model, const char *name, int index);
/* The further keys that placement understands. */
void placement_names(lua_State *L, const struct model *model, struct names *known);
/* Checks the name of a new node or link at index. */
const char *new_name(lua_State *L, int index, const char *what);

/* options.c */

void options_open(lua_State *L);

/* elements.c */

/* Functions net:MODEL "name" { ... }: pushes the constructor of a model. */
void push_constructor(lua_State *L, const struct model *model);
/* Builds an element that waits for its table, with defaults. */
void pending_finish(lua_State *L);
void pending_finish_own(lua_State *L, const struct node *node); /* only when it is this one that is pending */
/* Builds the pending node with the table at index. */
void element_build(lua_State *L, int index);
void profiles_free(struct host *host);

/* objects.c */

void objects_open(lua_State *L);
void push_element(lua_State *L, struct node *node);
void push_link(lua_State *L, struct link *link);
void push_object(lua_State *L, struct object *object);
struct node *element_at(lua_State *L, int index);   /* NULL: it is none */
struct link *link_at(lua_State *L, int index);
struct object *object_at(lua_State *L, int index);
/* Gives back a reference; the last one frees the object. */
void object_release(struct object *object);
const struct model *model_named(const struct host *host, const char *name);
/* An attribute of a node or object by name; NULL: it has none. Adds all names to known when that is given. */
const struct attribute *attribute_of(const struct node *node, const struct object *object, const char *name,
                                     struct names *known);
/* Its value; false: not known. Addresses are written into room. */
bool attribute_value(struct node *node, struct object *object, const char *name, struct value *out, char room[32]);
/* Attributes every element has; ended by a NULL name. */
const struct attribute *common_attribute_list(void);
/* Members of a group (both, all): they are its first user value, an array. */
size_t group_count(lua_State *L, int index);

/* matchers.c */

enum match_kind {
	MATCH_IS, MATCH_NOT, MATCH_AT_LEAST, MATCH_AT_MOST, MATCH_BETWEEN, MATCH_ONE_OF, MATCH_CONTAINS, MATCH_ABSENT,
	MATCH_PRESENT
};
struct match {
	enum match_kind kind;
	struct value *operands;
	size_t count;
};
void matchers_open(lua_State *L);
/* Compiles what stands at index for a value of this type. False: why says what is wrong. Else match_free() it. */
bool match_compile(lua_State *L, int index, enum value_type type, struct match *out, struct text *why);
void match_free(struct match *match);
bool match_holds(const struct match *match, bool known, const struct value *value);
void text_match(struct text *text, const struct match *match); /* `= "x"`, `at least 3` */

/* claims.c */

void claims_open(lua_State *L);
/* obj:expect{}, stays{}; also what a verb's within does. */
int claim_expect(lua_State *L);
int claim_stays(lua_State *L);
/* Waits until the object at index is ready; returns it from the calling C function. */
int claim_ready(lua_State *L, int object, const char *what, sim_ns within_ns);
struct verdict_facts {
	const char *claim, *place, *because;
	const char *expected; /* beside a title; may be NULL */
	bool held;
	struct node *const *nodes; /* whose last messages matter */
	size_t node_count;
};
/* "tollgate run SCRIPT ... --seed N", quoted for a shell. */
void print_command(const struct host_options *options, FILE *out);
/* "  repeat: tollgate run ..." with these settings, quoted for a shell. */
void print_repeat(const struct host_options *options, FILE *out);
void verdict_give(struct host *host, const struct verdict_facts *facts);
/* The error value of a failed claim. */
void push_claim_failed(lua_State *L);
bool is_claim_failed(lua_State *L, int index);
/* attack.c */

/* An outcome { } begins at this place. Whether the branch `succeeded` is the one to run. */
bool attack_begin(struct host *host, const char *place);
/* The branch has ended without a failed claim. */
void attack_held(struct host *host);
/* Is told every verdict. */
void attack_claim(struct host *host, const struct verdict_facts *facts);
/* Finds out, says and records what came of the attack. */
void attack_finish(struct host *host);
/* standing.c */

void standing_open(lua_State *L);
/* Looks at the standing claims about nodes once when the clock starts. */
void standing_start(struct host *host);
/* Judges what is left of the standing claims when the run ends. */
void standing_finish(struct host *host);
void standing_free(struct host *host);
/* never { ..., message = { proto = "rtp" } } needs media observed. */
bool standing_wants_media(const struct host *host);

/* filters.c, messages.c */

void filters_open(lua_State *L);
struct message_filter; /* compiled; owned by a userdata */
/* Compiles the table at index, pushes the userdata that owns the filter. */
struct message_filter *filter_compile(lua_State *L, int index, const char *what, const struct names *extra);
bool filter_is_media(const struct message_filter *filter);
void text_filter(struct text *text, const struct message_filter *filter);
/* A standing claim about messages. The filter outlives the log's use of it. */
void messages_never(struct host *host, const struct message_filter *filter, struct standing *claim);
void messages_attach(struct host *host);
/* Judges messages without a final fate. */
void messages_finish(struct host *host);
void messages_free(struct host *host);
void messages_print_last(const struct host *host, struct node *const *nodes, size_t node_count, FILE *out);
/* bills.c: standing claims about call records */

bool bills_known(const char *kind, struct names *known);
/* Before the clock starts. False: there is a claim of this kind already. */
bool bills_never(struct host *host, const char *kind, struct standing *claim);
void bills_attach(struct host *host);
/* Judges what is missing. */
void bills_finish(struct host *host);
void bills_free(struct host *host);
/* A standing claim does not hold: said once. (standing.c) */
void standing_violated(struct standing *claim, struct host *host, const char *because, struct node *const *nodes,
                       size_t node_count);
/* Whether media packets are observed. */
bool messages_media(const struct host *host);
void messages_forget_task(struct host *host, const struct task *task);

/* tasks.c */

void tasks_open(lua_State *L);
/* The task whose body calls; raises outside of one, or inside a coroutine of the script's own. */
struct task *task_here(lua_State *L, const char *what);
/* Blocks the calling body until it is woken or until deadline_ns, then goes on in k. */
int task_block(lua_State *L, sim_ns deadline_ns, lua_KContext ctx, lua_KFunction k);
void task_wake(struct task *task);
/* Whether a coroutine is a live body's and not one of the script's own. */
bool is_body(const struct host *host, const lua_State *L);
/* from_ns + delay_ns, short of SIM_NEVER. */
sim_ns moment_after(sim_ns from_ns, sim_ns delay_ns);
/* Wakes the task when sim_changed() names this node or object; until task_unwatch(). */
void task_watch(struct task *task, const void *what);
void task_unwatch(struct task *task);
/* Starts the tasks declared by the main chunk. */
void tasks_start(struct host *host);
void tasks_free(struct host *host);
/* Pushes the place of each body that still waits, for "the scenario ends". */
void text_waiting(struct text *text, const struct host *host);

/* watch.c: who waits for a change of what */

struct watch { /* embedded in its owner */
	const void *what;
	struct watch *next, **link; /* link NULL: not in the table */
	struct watch_table *table;
	struct task *task;         /* either a task, */
	struct standing *standing; /* or a standing claim */
};
struct watch_table *watch_table_new(void);
void watch_table_free(struct watch_table *table);
void watch_add(struct watch_table *table, struct watch *watch, const void *what);
void watch_remove(struct watch *watch);
/* sim->changed */
void watch_changed(struct sim *sim, const void *what);
/* standing.c: judges it later, in an event of its own */
void standing_touch(struct host *host, struct standing *claim);

/* guide.c: texts of `tollgate doc` */
extern const char guide_topology[], guide_language[], guide_annotations[];

/* run.c */

/* Makes simulation, world and reports once the header is known; raises on failure. */
void run_build(lua_State *L);
/* Opens a state with everything a scenario can name. */
lua_State *host_lua_new(struct host *host);

#endif

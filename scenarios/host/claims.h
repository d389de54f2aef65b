/*
 * A claim as the files that judge claims share it: whom it is about and what it wants. claims.c builds and describes it, holds
 * it once (expect, stays); standing.c holds it all run long (never).
 *
 * A claim lives in a userdata whose user values keep what it borrows from Lua.
 */
#ifndef TOLLGATE_SCENARIOS_HOST_CLAIMS_H
#define TOLLGATE_SCENARIOS_HOST_CLAIMS_H

#include "scenarios/host/internal.h"

struct target {
	struct node *node;
	struct object *object; /* or NULL: the node itself */
};

struct wanted {
	char *name;
	struct match match;
};

struct claim {
	char *title, *text;       /* title may be NULL */
	char place[PLACE_LEN];
	struct target *targets;
	size_t target_count;
	struct wanted *wanted;
	size_t wanted_count;
	sim_ns within_ns;         /* -1: not given */
	sim_ns deadline_ns;
	int result;               /* stack index of what the caller gets */
};

/* A claim in a userdata, pushed; self and table (stack indices, 0: none) are kept by it. */
struct claim *claim_new(lua_State *L, int self, int table);
/* Takes the element, object or group at index as the claim's targets. */
void claim_targets(lua_State *L, struct claim *claim, int self, const char *verb);
/* Reads { "title", attribute = ..., TIME_KEY = ... }; skip: a key that the caller reads; both may be NULL. */
void claim_read(lua_State *L, struct claim *claim, int table, const char *time_key, const char *skip);
/* Writes claim->text; word stands before the time. */
void claim_describe(struct claim *claim, const char *word);
bool target_holds(const struct claim *claim, const struct target *target);
/* What is found at a target: all that is claimed of it, or what is not as claimed. */
void text_target_found(struct text *text, const struct claim *claim, const struct target *target, bool all);

#endif

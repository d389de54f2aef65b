/*
 * What the log of messages (messages.c) and the filters a scenario asks it by (filters.c) share.
 *
 * Texts in notes and filters are interned in the log, so that equal texts are one pointer.
 */
#ifndef TOLLGATE_SCENARIOS_HOST_MESSAGES_H
#define TOLLGATE_SCENARIOS_HOST_MESSAGES_H

#include "scenarios/host/internal.h"

#define FILTER_VALUES_MAX 16

extern const char *const cover_names[], *const fate_names[];
#define COVER_COUNT (COVER_RTP + 1u)
#define FATE_COUNT (FATE_INTERCEPTED + 1u)

struct value_set { /* of texts or nodes; empty: anything */
	const void *list[FILTER_VALUES_MAX];
	size_t count;
};

struct message_filter {
	bool refusals; /* about refusals by checks, not messages */
	struct value_set kinds, protos, by, from, to, actors, at;
	unsigned covers, fates; /* bits; 0: anything */
};

/* The text's one address in the run; NULL for none or "". */
const char *messages_intern(struct host *host, const char *s);
/* How many messages, or refusals, there have been that the filter lets through. */
uint64_t messages_count(struct host *host, const struct message_filter *filter);
/* Wakes the task at each message or change of its fate that the filter lets through, until messages_forget_task(). */
void messages_wait(struct host *host, const struct message_filter *filter, struct task *task);

#endif

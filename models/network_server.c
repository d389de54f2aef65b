/*
 * Network server: a machine that plays an announcement to whoever dials its number (flows.md 4, variant "CTA ->
 * network server"; patent [0081]-[0087]). How a call comes to it and ends is models/served_call.h; here is what it
 * says, and that it hangs up when all is said.
 */
#include <stdlib.h>
#include <string.h>
#include "models/served_call.h"

struct network_server {
	struct node *node;
	struct call_server *calls;
	sim_ns announcement_ns; /* 0: without end */
};

struct announcement { /* to one caller */
	struct served_call *call;
	struct event timer;
};

static void on_played(struct sim *sim, struct event *event)
{
	(void)sim;
	served_call_end(event_owner(event, struct announcement, timer)->call, "announcement over");
}

static void on_answered(void *ctx, struct served_call *call)
{
	struct network_server *s = ctx;
	struct announcement *a;

	if (s->announcement_ns == 0)
		return;
	a = sim_alloc(sizeof *a);
	a->call = call;
	served_call_set_state(call, a);
	sim_after(s->node->sim, &a->timer, s->announcement_ns, on_played, "call.announcement");
}

static void on_over(void *ctx, struct served_call *call)
{
	struct network_server *s = ctx;
	struct announcement *a = served_call_state(call);

	if (!a)
		return;
	sim_cancel(s->node->sim, &a->timer);
	free(a);
}

/* Construction */

static const struct param params[] = {
	SERVED_CALL_PARAMS,
	{ .name = "announcement", .type = VALUE_TIME, .preset = "10s",
	  .doc = "hangs up after so long; 0s: when the caller does" },
	{ .name = NULL },
};

static void destroy(struct node *node)
{
	struct network_server *s = node->state;

	call_server_free(s->calls);
	free(s);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct network_server *s = sim_alloc(sizeof *s);
	struct call_server_config config = { .node = node, .prefix = "ns", .source = MEDIA_ANNOUNCEMENT, .ctx = s,
		                             .owner = { .answered = on_answered, .over = on_over } };

	s->node = node;
	s->announcement_ns = args_time(args, "announcement", 0);
	s->calls = call_server_new(&config, args, error);
	if (!s->calls) {
		free(s);
		return false;
	}
	node->state = s;
	node->destroy = destroy;
	return true;
}

static void power_on(struct node *node)
{
	call_server_start(((struct network_server *)node->state)->calls);
}

static void restart(struct node *node)
{
	call_server_restart(((struct network_server *)node->state)->calls);
}

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct network_server *s = node->state;

	return call_server_get(s->calls, strcmp(attribute, "refused") == 0 ? "calls_refused" : attribute, out);
}

static const struct attribute attributes[] = {
	SERVED_CALL_ATTRIBUTES,
	{ "refused", VALUE_INT, "calls_refused" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &served_call_machine, NULL };

const struct model model_network_server = {
	.name = "network_server",
	.doc = "network server: plays an announcement to CTAs that dial its number, under a CTA-to-server sub-key",
	.params = params, .attributes = attributes, .machines = machines, .create = create, .start = power_on,
	.get = get, .restart = restart,
};

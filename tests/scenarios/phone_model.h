/*
 * A telephone without cryptography, for the tests of the scenario host: enough verbs, attributes and messages to try what a
 * scenario can say. It sends no packets; its messages go to the trace alone. Included by the tests that use it.
 */
#ifndef TOLLGATE_TESTS_SCENARIOS_PHONE_MODEL_H
#define TOLLGATE_TESTS_SCENARIOS_PHONE_MODEL_H

#include <stdlib.h>
#include <string.h>
#include "models/model.h"
#include "sim/ip.h"

struct phone {
	struct event booting;
	char *number;
	sim_ns delay_ns, booted_ns;
	bool booted;
	int64_t boots;
	struct node *peer, *node;
	struct phone_message *sent; /* under way */
};

/* A call: answered after a while. The node keeps none; the script's references are all there are. */
struct phone_call {
	struct object object;
	struct event answer;
	bool answered, over;
	sim_ns took_ns;
};

/* A message under way: its fate comes later. */
struct phone_message {
	struct event arrival;
	struct phone_message *next, **link;
	uint64_t tag;
	struct node *to;
	const char *refused_by;
	char *fates; /* words, told in this order; NULL: accepted, or refused */
	uint32_t src_ip;
};

static const char *const phone_states[] = { "off", "on" };
static const char *const phone_events[] = { "boot" };
static const struct machine_cell phone_cells[] = { { true, 1, NULL }, { false, 0, NULL } };
static const struct machine_def phone_machine = {
	.name = "phone", .doc = "a phone", .states = phone_states, .events = phone_events, .state_count = 2, .event_count = 1,
	.cells = phone_cells,
};
static const struct machine_def *const phone_machines[] = { &phone_machine, NULL };

static void phone_message_free(struct phone_message *m)
{
	sim_cancel(m->to->sim, &m->arrival);
	*m->link = m->next;
	if (m->next)
		m->next->link = m->link;
	free(m->fates);
	free(m);
}

static void phone_destroy(struct node *node)
{
	struct phone *phone = node->state;

	/* Their receivers may be gone already: the queue is asked through the sender. */
	while (phone->sent) {
		phone->sent->to = node;
		phone_message_free(phone->sent);
	}
	sim_cancel(node->sim, &phone->booting);
	free(phone->number);
	free(phone);
}

static bool phone_create(struct node *node, const struct args *params, char error[MODEL_ERROR_LEN])
{
	struct phone *phone;

	if (strcmp(args_text(params, "number", ""), "000") == 0) {
		snprintf(error, MODEL_ERROR_LEN, "000 is nobody's number; write number = \"215\"");
		return false;
	}
	phone = sim_alloc(sizeof *phone);
	phone->node = node;
	phone->number = sim_strdup(args_text(params, "number", "?"));
	phone->delay_ns = args_time(params, "delay", 0);
	phone->peer = args_node(params, "peer");
	node->state = phone;
	node->destroy = phone_destroy;
	return true;
}

static void phone_booted(struct sim *sim, struct event *event)
{
	struct phone *phone = event_owner(event, struct phone, booting);

	phone->booted = true;
	phone->booted_ns = sim->now_ns;
	phone->boots++;
	sim_changed(sim, phone->node);
}

static void phone_boot(struct node *node, const struct args *args, struct verb_result *result)
{
	struct phone *phone = node->state;

	if (event_pending(&phone->booting)) {
		snprintf(result->error, sizeof result->error, "it is booting already");
		return;
	}
	sim_after(node->sim, &phone->booting, args_time(args, "after", phone->delay_ns), phone_booted, "boot");
}

static void phone_restart(struct node *node)
{
	struct phone *phone = node->state;

	sim_cancel(node->sim, &phone->booting);
	phone->booted = false;
	sim_changed(node->sim, node);
}

static bool phone_get(struct node *node, const char *attribute, struct value *out)
{
	struct phone *phone = node->state;

	*out = value_nil();
	if (strcmp(attribute, "number") == 0) {
		*out = value_text(phone->number);
	} else if (strcmp(attribute, "telephony") == 0) {
		*out = value_text(phone->booted ? "Ready" : "NotConfigured");
	} else if (strcmp(attribute, "boots") == 0) {
		*out = value_int(phone->boots);
	} else if (strcmp(attribute, "booted") == 0 && phone->boots) {
		*out = value_time(phone->booted_ns);
	} else if (strcmp(attribute, "peer") == 0 && phone->peer) {
		out->type = VALUE_NODE;
		out->node = phone->peer;
	}
	return out->type != VALUE_NIL;
}

static bool phone_call_get(struct object *object, const char *attribute, struct value *out)
{
	struct phone_call *call = (struct phone_call *)object;

	*out = value_nil();
	if (strcmp(attribute, "state") == 0)
		*out = value_text(call->over ? "over" : call->answered ? "talking" : "ringing");
	else if (strcmp(attribute, "ready") == 0)
		*out = value_bool(call->answered);
	else if (strcmp(attribute, "took") == 0 && call->answered)
		*out = value_time(call->took_ns);
	return out->type != VALUE_NIL;
}

static void phone_call_answered(struct sim *sim, struct event *event)
{
	struct phone_call *call = event_owner(event, struct phone_call, answer);

	call->answered = true;
	call->took_ns = sim->now_ns;
	sim_changed(sim, &call->object);
}

static void phone_call_free(struct object *object)
{
	struct phone_call *call = (struct phone_call *)object;

	sim_cancel(object->node->sim, &call->answer);
	free(call);
}

static void phone_call_hangup(struct object *object, const struct args *args, struct verb_result *result)
{
	struct phone_call *call = (struct phone_call *)object;

	(void)args;
	(void)result;
	sim_cancel(object->node->sim, &call->answer);
	call->over = true;
	sim_changed(object->node->sim, object);
}

static const struct attribute phone_call_attributes[] = {
	{ "state", VALUE_TEXT, "ringing, talking, over" }, { "ready", VALUE_BOOL, "answered" },
	{ "took", VALUE_TIME, "when it was answered" }, { NULL, VALUE_NIL, NULL },
};
static const struct object_verb phone_call_verbs[] = {
	{ "hangup", "ends it", NULL, "", phone_call_hangup }, { NULL, NULL, NULL, NULL, NULL },
};
static const struct object_class phone_call_class = {
	.name = "call", .doc = "a call", .attributes = phone_call_attributes, .get = phone_call_get, .verbs = phone_call_verbs,
	.free = phone_call_free,
};
static const struct object_class *const phone_objects[] = { &phone_call_class, NULL };

static void phone_dial(struct node *node, const struct args *args, struct verb_result *result)
{
	struct phone_call *call = sim_alloc(sizeof *call);

	call->object.class_ = &phone_call_class;
	call->object.node = node;
	sim_after(node->sim, &call->answer, args_time(args, "after", NS_PER_S), phone_call_answered, "answer");
	result->value = value_object(&call->object);
}

static void phone_tell_fates(struct sim *sim, struct phone_message *m)
{
	for (char *word = strtok(m->fates, " "); word; word = strtok(NULL, " ")) {
		enum fate fate = *word == 'a' ? FATE_ACCEPTED : *word == 'r' ? FATE_REFUSED : *word == 'l' ? FATE_LOST : FATE_INTERCEPTED;

		trace_fate(sim, m->tag, m->to, fate, fate == FATE_ACCEPTED ? "" : word);
	}
}

static void phone_arrived(struct sim *sim, struct event *event)
{
	struct phone_message *m = event_owner(event, struct phone_message, arrival);

	if (m->fates)
		phone_tell_fates(sim, m);
	else if (m->refused_by)
		trace_refuse(m->to, m->refused_by, m->src_ip, m->tag, "");
	else
		trace_fate(sim, m->tag, m->to, FATE_ACCEPTED, NULL);
	phone_message_free(m);
}

/* say { kind, to, cover, media, refused_by }: announces a message; its fate comes 10 ms later. */
static void phone_say(struct node *node, const struct args *args, struct verb_result *result)
{
	struct node *to = args_node(args, "to");
	const char *cover = args_text(args, "cover", "clear"), *by = args_text(args, "refused_by", NULL);
	bool media = args_bool(args, "media", false);
	struct phone_message *m = sim_alloc(sizeof *m), **sent = &((struct phone *)node->state)->sent;
	struct trace_send send = {
		.actor = node, .kind = args_text(args, "kind", "HELLO"), .proto = media ? "rtp" : "test",
		.src_ip = node->ifaces ? node->ifaces->ip : 0, .dst_ip = to->ifaces ? to->ifaces->ip : 0, .cover = COVER_CLEAR,
		.media = media,
	};

	(void)result;
	m->tag = trace_sent(node->sim, &send);
	if (strcmp(cover, "esp") == 0)
		trace_cover(node->sim, m->tag, COVER_ESP);
	m->to = to;
	m->link = sent;
	m->next = *sent;
	if (m->next)
		m->next->link = &m->next;
	*sent = m;
	m->src_ip = send.src_ip;
	m->refused_by = by ? "sc.replay_cache" : NULL;
	if (args_text(args, "fates", NULL))
		m->fates = sim_strdup(args_text(args, "fates", NULL));
	sim_after(node->sim, &m->arrival, 10 * NS_PER_MS, phone_arrived, NULL);
}

static const struct param phone_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "its number" },
	{ .name = "delay", .type = VALUE_TIME, .preset = "10ms", .doc = "how long it boots" },
	{ .name = "peer", .type = VALUE_NODE, .doc = "another phone" },
	{ .name = "ring", .type = VALUE_TEXT, .preset = "loud", .choices = "loud|soft", .doc = "how it rings" },
	{ .name = "lines", .type = VALUE_INT, .preset = "1", .doc = "how many" },
	{ .name = "lit", .type = VALUE_BOOL, .preset = "on", .doc = "its lamp" },
	{ .name = "trunk", .type = VALUE_LINK, .doc = "a link" },
	{ .name = NULL },
};
static const struct param phone_boot_params[] = {
	{ .name = "after", .type = VALUE_TIME, .doc = "how long it takes" }, { .name = NULL },
};
static const struct param phone_dial_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "whom to call" },
	{ .name = "after", .type = VALUE_TIME, .preset = "1s", .doc = "when it is answered" },
	{ .name = NULL },
};
static const struct param phone_say_params[] = {
	{ .name = "kind", .type = VALUE_TEXT, .required = true, .choices = "HELLO|BYE", .doc = "what" },
	{ .name = "to", .type = VALUE_NODE, .required = true, .doc = "to whom" },
	{ .name = "cover", .type = VALUE_TEXT, .preset = "clear", .choices = "clear|esp", .doc = "under what" },
	{ .name = "media", .type = VALUE_BOOL, .preset = "false", .doc = "a media packet" },
	{ .name = "refused_by", .type = VALUE_TEXT, .doc = "the check" },
	{ .name = "fates", .type = VALUE_TEXT, .doc = "accepted, refused, intercepted, lost in this order" },
	{ .name = NULL },
};
static const struct verb phone_verbs[] = {
	{ "boot", "switches it on", phone_boot_params, "", phone_boot },
	{ "dial", "calls a number", phone_dial_params, "call", phone_dial },
	{ "say", "sends a message", phone_say_params, "", phone_say },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute phone_attributes[] = {
	{ "number", VALUE_TEXT, "its number" }, { "telephony", VALUE_TEXT, "Ready or NotConfigured" },
	{ "boots", VALUE_INT, "how many times it booted" }, { "booted", VALUE_TIME, "when it booted last" },
	{ "peer", VALUE_NODE, "another phone" }, { NULL, VALUE_NIL, NULL },
};
static const struct model model_test_phone = {
	.name = "phone", .doc = "a telephone for tests", .params = phone_params, .verbs = phone_verbs,
	.attributes = phone_attributes, .machines = phone_machines, .objects = phone_objects, .create = phone_create,
	.get = phone_get, .restart = phone_restart,
};

#endif

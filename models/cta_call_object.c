/* What a scenario may ask of a CTA's line and calls; see cta_call.h. */
#include "models/cta_call.h"

#include <stdio.h>
#include <string.h>

static const char *state_of(const struct cta_call *call)
{
	static const char *const names[LINE_STATES] = { "over", "securing", "calling", "setting up", "ringing", "offered", "ringing",
		                                        "talking" };

	if (!call->over)
		return names[call->cta->line.state];
	return call->answered_ns >= 0 ? "over" : "failed";
}

static struct media_counters counters(const struct cta_call *call)
{
	return call->media ? media_counters(call->media) : call->counted;
}

static bool get_time(const struct cta_call *call, const char *attribute, struct value *out)
{
	sim_ns from_ns = call->dialled_ns, to_ns = -1;

	if (strcmp(attribute, "post_dial_delay") == 0) {
		to_ns = call->ringing_ns;
	} else if (strcmp(attribute, "setup_time") == 0) {
		to_ns = call->answered_ns;
	} else if (strcmp(attribute, "talk_time") == 0 && call->answered_ns >= 0) {
		from_ns = call->answered_ns;
		to_ns = call->ended_ns;
	}
	if (to_ns >= 0)
		*out = value_time(to_ns - from_ns);
	return to_ns >= 0;
}

static bool get_call(struct object *object, const char *attribute, struct value *out)
{
	const struct cta_call *call = (const struct cta_call *)object;
	struct media_counters count = counters(call);

	*out = value_nil();
	if (strcmp(attribute, "state") == 0)
		*out = value_text(state_of(call));
	else if (strcmp(attribute, "reason") == 0)
		*out = value_text(call->reason);
	else if (strcmp(attribute, "status") == 0)
		*out = value_int(call->status);
	else if (strcmp(attribute, "id") == 0)
		*out = value_text(call->id);
	else if (strcmp(attribute, "peer") == 0)
		*out = value_text(call->number);
	else if (strcmp(attribute, "ready") == 0)
		*out = value_bool(call->answered_ns >= 0);
	else if (strcmp(attribute, "rtp_sent") == 0)
		*out = value_int((int64_t)count.sent);
	else if (strcmp(attribute, "rtp_received") == 0)
		*out = value_int((int64_t)count.received);
	else if (strcmp(attribute, "rtp_lost") == 0)
		*out = value_int((int64_t)count.lost);
	else if (strcmp(attribute, "rtp_refused") == 0)
		*out = value_int((int64_t)count.refused);
	else if (strcmp(attribute, "heard") == 0)
		*out = value_text(call->words ? call->words->heard : "");
	else if (strcmp(attribute, "digits") == 0)
		*out = value_text(call->words ? call->words->keys : "");
	else if (strcmp(attribute, "keys_destroyed") == 0 && call->key_known)
		*out = value_bool(call->watching ? call->keys_gone : world_key_holders(call->world, call->key_id) == 0);
	else if (strcmp(attribute, "from") == 0 && call->peer_media.ip)
		*out = (struct value){ .type = VALUE_NODE, .node = node_by_ip(object->node->sim, call->peer_media.ip) };
	else
		return get_time(call, attribute, out);
	return out->type != VALUE_NIL;
}

bool cta_line_get(const struct cta *cta, const char *attribute, struct value *out)
{
	if (strcmp(attribute, "line") == 0)
		*out = value_text(machine_state_name(&cta->line));
	else if (strcmp(attribute, "calls") == 0)
		*out = value_int((int64_t)cta->calls_made);
	else if (strcmp(attribute, "call") == 0 && cta->last)
		*out = value_object(&cta->last->object);
	return out->type != VALUE_NIL;
}

static void verb_hangup(struct object *object, const struct args *args, struct verb_result *result)
{
	struct cta_call *call = (struct cta_call *)object;

	(void)args;
	if (call->over)
		snprintf(result->error, sizeof result->error, "the call is over already: %s", call->reason);
	else
		cta_call_hang_up(call);
}

/* A call that can carry something besides voice; else error says why it cannot. */
static struct media *talking(struct cta_call *call, struct verb_result *result)
{
	if (!call->media)
		snprintf(result->error, sizeof result->error, "nobody listens: the call is %s; wait for state = \"talking\"",
		         state_of(call));
	return call->media;
}

static void verb_press(struct object *object, const struct args *args, struct verb_result *result)
{
	struct media *media = talking((struct cta_call *)object, result);
	const char *keys = args_text(args, "keys", "");

	if (media && !media_send_digits(media, keys))
		snprintf(result->error, sizeof result->error,
		         "\"%.40s\" are no keys, or too many at once; write press \"4711#\", up to %d of 0-9 * # A-D", keys,
		         MEDIA_KEYS_MAX);
}

static void verb_type(struct object *object, const struct args *args, struct verb_result *result)
{
	struct media *media = talking((struct cta_call *)object, result);
	char line[MEDIA_TEXT_MAX + 1];
	int len = snprintf(line, sizeof line, "%s\n", args_text(args, "text", ""));

	if (media && (len >= (int)sizeof line || !media_send_text(media, line)))
		snprintf(result->error, sizeof result->error, "a line is UTF-8, and up to %d bytes wait to be sent",
		         MEDIA_TEXT_MAX);
}

static const struct param press_params[] = {
	{ .name = "keys", .type = VALUE_TEXT, .required = true, .doc = "one after the other: \"4711#\"" }, { .name = NULL },
};
static const struct param type_params[] = {
	{ .name = "text", .type = VALUE_TEXT, .required = true, .doc = "a line of text" }, { .name = NULL },
};
static const struct attribute call_attributes[] = {
	{ "state", VALUE_TEXT, "securing, calling, setting up, offered, ringing, talking; over, failed" },
	{ "ready", VALUE_BOOL, "it has been answered" },
	{ "reason", VALUE_TEXT, "why it ended or failed" },
	{ "status", VALUE_INT, "SIP status that refused it, 0 if none did" },
	{ "id", VALUE_TEXT, "the call's identifier" },
	{ "peer", VALUE_TEXT, "the other end's number" },
	{ "from", VALUE_NODE, "the element that the voice comes from" },
	{ "rtp_sent", VALUE_INT, "voice packets sent" },
	{ "rtp_received", VALUE_INT, "voice packets received that decrypted to what the other end may send" },
	{ "rtp_lost", VALUE_INT, "voice packets missing by their sequence numbers" },
	{ "rtp_refused", VALUE_INT, "voice packets refused" },
	{ "heard", VALUE_TEXT, "the last line of text that the other end said" },
	{ "digits", VALUE_TEXT, "keys that the other end pressed, so far" },
	{ "post_dial_delay", VALUE_TIME, "from dialling to ringing" },
	{ "setup_time", VALUE_TIME, "from dialling to the answer" },
	{ "talk_time", VALUE_TIME, "from the answer to the end" },
	{ "keys_destroyed", VALUE_BOOL, "of a call that had a sub-key: nobody holds the call's sub-key or a key derived from it any more" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct object_verb call_verbs[] = {
	{ "hangup", "hangs up", NULL, "", verb_hangup },
	{ "press", "presses keys, which travel in the voice stream (RFC 2833)", press_params, "", verb_press },
	{ "type", "says a line of text, which travels in the voice stream (RFC 4351)", type_params, "", verb_type },
	{ NULL, NULL, NULL, NULL, NULL },
};
const struct object_class cta_call_class = {
	.name = "call", .doc = "a call as its end sees it", .attributes = call_attributes, .get = get_call, .verbs = call_verbs,
	.free = cta_call_free,
};

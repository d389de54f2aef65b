/*
 * The PSTN: an exchange with plain phones behind a trunk group to the POTS gateways of the IP telephony network
 * (patent [0040], [0094]-[0095]; flows.md 4). It speaks ISUP (models/trunk_group.h) with the signaling gateway, and
 * with the trunk gateway the octets of each circuit (models/trunk_bearer.h): in clear, for that is what the PSTN is.
 *
 * A phone dials whatever is no phone of this exchange through the gateway. All circuits busy is cause 34 for its
 * caller; a call for a number that is no phone here is released with cause 1, one for a phone that is not idle with
 * cause 17. Whoever hangs up first, caller or called, the call is released at once with cause 16 (no suspension,
 * Q.764 section 2.4: our choice); the other phone is idle then. A phone that talks sends a tone whose pitch follows
 * from its number; a key that is pressed sounds in its place (models/dtmf_tone.h), and keys of the other end are heard.
 *
 * A restart loses all calls; the reset of all circuits tells the gateway.
 *
 * Refusals of an IAM: "pstn.unknown_number", "pstn.busy"; others are those of the parts.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/dtmf_tone.h"
#include "models/gateway_control.h"
#include "models/model.h"
#include "models/subscriber.h"
#include "models/trunk_bearer.h"
#include "models/trunk_group.h"

#define PHONES_MAX 256
#define KEYS_HEARD_MAX 63
#define PITCH_LOWEST_HZ 200
#define PITCH_RANGE_HZ 600
#define SAMPLE_RATE_HZ 8000

struct exchange { /* the element */
	struct node *node;
	uint32_t own_ip, trunk_ip; /* trunk_ip: the trunk gateway's end of the circuits */
	struct trunk_group *trunks;
	struct phone *phones;
	unsigned phone_count;
	struct rng ids;
	uint64_t failed, answered;
	struct trunk_bearer_counters carried; /* of calls that are over */
	uint64_t heard;
};

struct phone {
	struct exchange *exchange;
	char number[SUBSCRIBER_NUMBER_LEN];
	struct machine machine;
	struct pstn_call *call;    /* NULL: none */
	struct pstn_call *last;    /* what a scenario may ask about; held */
	bool will_answer;
	sim_ns answer_after_ns;
	struct event answer_timer;
	uint16_t pitch_step;       /* of a 16-bit phase, a sample */
};

struct pstn_call {
	struct object object;      /* first: the host sees this */
	struct phone *phone;       /* NULL: the element is gone */
	bool caller, over;
	char id[CALL_ID_MAX + 1], number[SUBSCRIBER_NUMBER_LEN]; /* number: the other end's, "0" unknown */
	unsigned circuit;          /* 0: none, or released by the other side */
	struct trunk_bearer *bearer;
	struct trunk_bearer_counters counted; /* of the bearer that has stopped */
	uint64_t heard;            /* packets with anything but silence in them */
	struct dtmf_tone_sender tones;
	struct dtmf_tone_receiver ear;
	char keys[KEYS_HEARD_MAX + 1]; /* that the other end pressed; more are not kept */
	unsigned key_count;
	uint16_t phase;
	unsigned cause;
	const char *reason;
	sim_ns dialled_ns, ringing_ns, answered_ns, ended_ns; /* < 0: not yet */
};

/* The phone as a table */

enum phone_state { PHONE_IDLE, PHONE_DIALLING, PHONE_RINGBACK, PHONE_RINGING, PHONE_TALKING, PHONE_STATES };
enum phone_event { PH_DIAL, PH_OFFER, PH_RINGS, PH_ANSWERED, PH_ANSWER, PH_HANG_UP, PH_RELEASED, PHONE_EVENTS };
static const char *const state_names[] = { "Idle", "Dialling", "Ringback", "Ringing", "Talking" };
static const char *const event_names[] = { "dial", "call comes", "other end rings", "other end answers", "answer",
                                           "hang up", "call released" };

static machine_action do_dial, do_ring, note_ringing, do_talk, do_answer, do_end;

static const struct machine_cell cells[PHONE_STATES * PHONE_EVENTS] = {
#define CELL(state, event, next, action) [(state) * PHONE_EVENTS + (event)] = { true, next, action }
	CELL(PHONE_IDLE, PH_DIAL, PHONE_DIALLING, do_dial),
	CELL(PHONE_IDLE, PH_OFFER, PHONE_RINGING, do_ring),
	CELL(PHONE_DIALLING, PH_RINGS, PHONE_RINGBACK, note_ringing),
	CELL(PHONE_DIALLING, PH_ANSWERED, PHONE_TALKING, do_talk),
	CELL(PHONE_DIALLING, PH_HANG_UP, PHONE_IDLE, do_end),
	CELL(PHONE_DIALLING, PH_RELEASED, PHONE_IDLE, do_end),
	CELL(PHONE_RINGBACK, PH_RINGS, PHONE_RINGBACK, NULL),
	CELL(PHONE_RINGBACK, PH_ANSWERED, PHONE_TALKING, do_talk),
	CELL(PHONE_RINGBACK, PH_HANG_UP, PHONE_IDLE, do_end),
	CELL(PHONE_RINGBACK, PH_RELEASED, PHONE_IDLE, do_end),
	CELL(PHONE_RINGING, PH_ANSWER, PHONE_TALKING, do_answer),
	CELL(PHONE_RINGING, PH_HANG_UP, PHONE_IDLE, do_end),
	CELL(PHONE_RINGING, PH_RELEASED, PHONE_IDLE, do_end),
	CELL(PHONE_TALKING, PH_HANG_UP, PHONE_IDLE, do_end),
	CELL(PHONE_TALKING, PH_RELEASED, PHONE_IDLE, do_end),
#undef CELL
};
static const struct machine_def phone_machine = {
	.name = "phone", .doc = "a plain phone of the PSTN", .states = state_names, .events = event_names,
	.state_count = PHONE_STATES, .event_count = PHONE_EVENTS, .cells = cells,
};

static const struct object_class call_class;

static struct sim *sim_of(const struct pstn_call *call)
{
	return call->object.node->sim;
}

static void changed(const struct pstn_call *call)
{
	sim_changed(sim_of(call), call);
	sim_changed(sim_of(call), call->object.node);
}

static void happen(struct pstn_call *call, enum phone_event event)
{
	if (call->over)
		return;
	machine_event(call->object.node, &call->phone->machine, event, call);
	changed(call);
}

static void end_with(struct pstn_call *call, enum phone_event event, unsigned cause, const char *reason)
{
	if (call->over)
		return;
	call->cause = cause;
	call->reason = reason;
	happen(call, event);
}

/* One end tells of a call: its caller's. */
static void tell(const struct pstn_call *call, const char *event)
{
	if (call->caller)
		trace_call(sim_of(call), &(struct trace_call){ .id = call->id, .caller = call->phone->number,
		                                               .callee = call->number,
		                                               .event = event, .reason = call->reason,
		                                               .at = call->object.node });
}

/* What a release says, for people. */
static const char *cause_text(unsigned cause)
{
	static const struct { unsigned cause; const char *text; } texts[] = {
		{ ISUP_CAUSE_UNALLOCATED, "unallocated number" }, { ISUP_CAUSE_NORMAL, "other end hung up" },
		{ ISUP_CAUSE_BUSY, "user busy" }, { ISUP_CAUSE_NO_RESPONSE, "no user responding" },
		{ ISUP_CAUSE_NO_ANSWER, "no answer" }, { ISUP_CAUSE_REJECTED, "call rejected" },
		{ ISUP_CAUSE_NO_CIRCUIT, "no circuit available" }, { ISUP_CAUSE_NETWORK, "network out of order" },
		{ ISUP_CAUSE_TEMPORARY, "temporary failure" },
		{ ISUP_CAUSE_CIRCUIT_UNAVAILABLE, "circuit not available" },
		{ ISUP_CAUSE_NO_RESOURCE, "resource unavailable" }, { ISUP_CAUSE_TIMER, "recovery on timer expiry" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i].cause == cause)
			return texts[i].text;
	return "released";
}

/* Voice */

/* A sine as parabolas, -32768..32768, by the low 16 bits of the phase. */
static int32_t wave(uint32_t phase)
{
	int32_t x = (int32_t)(phase & 0x7fff), v = x * (0x8000 - x) >> 13;

	return phase & 0x8000 ? -v : v;
}

static uint16_t pitch_of(const char *number)
{
	uint32_t hash = 2166136261u;

	for (; *number; number++)
		hash = (hash ^ (uint8_t)*number) * 16777619u;
	return (uint16_t)((PITCH_LOWEST_HZ + hash % PITCH_RANGE_HZ) * 65536u / SAMPLE_RATE_HZ);
}

static void fill(void *ctx, uint8_t octets[RTP_PAYLOAD_LEN])
{
	struct pstn_call *call = ctx;

	if (dtmf_tone_fill(&call->tones, octets))
		return;
	for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++) {
		octets[i] = g711_ulaw((int16_t)(wave(call->phase) / 4));
		call->phase = (uint16_t)(call->phase + call->phone->pitch_step);
	}
}

static void hear(void *ctx, const uint8_t octets[RTP_PAYLOAD_LEN])
{
	struct pstn_call *call = ctx;
	char key = dtmf_tone_hear(&call->ear, octets);
	bool sound = false;

	for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++)
		sound |= (octets[i] | 0x80) != TRUNK_SILENCE;
	call->heard += sound;
	if (key && call->key_count < KEYS_HEARD_MAX)
		call->keys[call->key_count++] = key;
	sim_changed(sim_of(call), call);
}

static void open_circuit(struct pstn_call *call)
{
	const struct exchange *x = call->phone->exchange;
	struct trunk_bearer_request request = { .node = x->node, .circuit = call->circuit, .local_ip = x->own_ip,
		                                .peer_ip = x->trunk_ip, .fill = fill, .heard = hear, .ctx = call };

	call->bearer = trunk_bearer_start(&request);
	assert(call->bearer); /* a circuit has one call at a time, and its port no other use */
}

static void close_circuit(struct pstn_call *call)
{
	struct exchange *x = call->phone->exchange;

	if (!call->bearer)
		return;
	call->counted = trunk_bearer_counters(call->bearer);
	x->carried.sent += call->counted.sent;
	x->carried.received += call->counted.received;
	x->carried.refused += call->counted.refused;
	x->heard += call->heard;
	trunk_bearer_stop(call->bearer);
	call->bearer = NULL;
}

/* Life of a call */

static void call_unref(struct pstn_call *call)
{
	if (call && --call->object.refs == 0)
		call_class.free(&call->object);
}

static void free_call(struct object *object)
{
	free(object);
}

/* Held by its phone while it lasts, and as the phone's last call. */
static struct pstn_call *call_new(struct phone *phone, bool caller, const char *number)
{
	struct exchange *x = phone->exchange;
	struct pstn_call *call = sim_alloc(sizeof *call);

	call->object = (struct object){ .class_ = &call_class, .node = x->node, .refs = 2 };
	call->phone = phone;
	call->caller = caller;
	call->reason = "";
	call->dialled_ns = x->node->sim->now_ns;
	call->ringing_ns = call->answered_ns = call->ended_ns = -1;
	snprintf(call->number, sizeof call->number, "%s", number);
	snprintf(call->id, sizeof call->id, "%016llx@%s", (unsigned long long)rng_u64(&x->ids), x->node->name);
	phone->call = call;
	call_unref(phone->last);
	phone->last = call;
	return call;
}

static void do_end(struct node *node, struct machine *machine, void *ctx)
{
	struct pstn_call *call = ctx;
	struct phone *phone = call->phone;
	struct exchange *x = phone->exchange;
	unsigned circuit = call->circuit;

	(void)machine;
	call->over = true;
	call->ended_ns = node->sim->now_ns;
	x->failed += call->answered_ns < 0;
	sim_cancel(node->sim, &phone->answer_timer);
	close_circuit(call);
	call->circuit = 0;
	phone->call = NULL;
	tell(call, call->answered_ns >= 0 ? "released" : "failed");
	if (circuit)
		trunk_group_release(x->trunks, circuit, call->cause);
	sim_changed(node->sim, call);
	call_unref(call);
}

static void do_dial(struct node *node, struct machine *machine, void *ctx)
{
	struct pstn_call *call = ctx;
	struct trunk_group *trunks = call->phone->exchange->trunks;
	unsigned cause;

	(void)node;
	(void)machine;
	tell(call, "dialled");
	call->circuit = trunk_group_hold(trunks, call, &cause);
	if (!call->circuit) {
		end_with(call, PH_RELEASED, cause, cause_text(cause));
		return;
	}
	open_circuit(call);
	trunk_group_call(trunks, call->circuit, call->number, call->phone->number);
}

static void note_ringing(struct node *node, struct machine *machine, void *ctx)
{
	struct pstn_call *call = ctx;

	(void)machine;
	call->ringing_ns = node->sim->now_ns;
	tell(call, "ringing");
}

static void do_talk(struct node *node, struct machine *machine, void *ctx)
{
	struct pstn_call *call = ctx;

	(void)machine;
	call->answered_ns = node->sim->now_ns;
	if (call->ringing_ns < 0)
		call->ringing_ns = call->answered_ns;
	call->phone->exchange->answered++;
	tell(call, "answered");
	trunk_bearer_talk(call->bearer);
}

static void do_answer(struct node *node, struct machine *machine, void *ctx)
{
	struct pstn_call *call = ctx;

	trunk_group_answer(call->phone->exchange->trunks, call->circuit);
	do_talk(node, machine, ctx);
}

static void on_answer_timer(struct sim *sim, struct event *event)
{
	struct phone *phone = event_owner(event, struct phone, answer_timer);

	(void)sim;
	happen(phone->call, PH_ANSWER);
}

static void answer_soon(struct phone *phone, sim_ns after_ns)
{
	struct sim *sim = phone->exchange->node->sim;

	sim_cancel(sim, &phone->answer_timer);
	sim_after(sim, &phone->answer_timer, after_ns, on_answer_timer, "answer");
}

static void do_ring(struct node *node, struct machine *machine, void *ctx)
{
	struct pstn_call *call = ctx;
	struct phone *phone = call->phone;

	(void)machine;
	call->ringing_ns = node->sim->now_ns;
	open_circuit(call);
	trunk_group_alert(phone->exchange->trunks, call->circuit);
	if (phone->will_answer)
		answer_soon(phone, phone->answer_after_ns);
	phone->will_answer = false;
}

/* What the gateway's side does */

static struct phone *phone_of(const struct exchange *x, const char *digits)
{
	for (unsigned i = 0; i < x->phone_count; i++)
		if (strcmp(x->phones[i].number, digits) == 0)
			return &x->phones[i];
	return NULL;
}

static void decline(const struct exchange *x, unsigned circuit, const char *check, unsigned cause, const char *number)
{
	trace_refuse(x->node, check, 0, 0, number);
	trunk_group_release(x->trunks, circuit, cause);
}

static void on_seized(void *ctx, unsigned circuit, const struct isup *iam)
{
	struct exchange *x = ctx;
	char called[ISUP_DIGITS_MAX + 1], number[SUBSCRIBER_NUMBER_LEN];
	struct phone *phone = isup_dialled(&iam->called, called) ? phone_of(x, called) : NULL;
	struct pstn_call *call;

	if (!phone) {
		decline(x, circuit, "pstn.unknown_number", ISUP_CAUSE_UNALLOCATED, iam->called.digits);
		return;
	}
	if (phone->call) {
		decline(x, circuit, "pstn.busy", ISUP_CAUSE_BUSY, iam->called.digits);
		return;
	}
	if (!iam->calling.present || !number_digits(iam->calling.digits, number))
		snprintf(number, sizeof number, "0");
	call = call_new(phone, false, number);
	call->circuit = circuit;
	trunk_group_set_call(x->trunks, circuit, call);
	happen(call, PH_OFFER);
}

static void on_alerting(void *ctx, void *call)
{
	(void)ctx;
	happen(call, PH_RINGS);
}

static void on_answered(void *ctx, void *call)
{
	(void)ctx;
	happen(call, PH_ANSWERED);
}

/* Both ends had taken the circuit: the call goes on, on another one. */
static void on_moved(void *ctx, void *owner, unsigned circuit)
{
	struct pstn_call *call = owner;

	(void)ctx;
	close_circuit(call);
	call->circuit = circuit;
	open_circuit(call);
}

static void on_released(void *ctx, void *owner, unsigned cause)
{
	struct pstn_call *call = owner;

	(void)ctx;
	call->circuit = 0;
	end_with(call, PH_RELEASED, cause, cause_text(cause));
}

/* Verbs */

static struct phone *named_phone(struct node *node, const struct args *args, const char *name,
                                 struct verb_result *result)
{
	const char *given = args_text(args, name, "");
	const struct exchange *x = node->state;
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct phone *phone = number_digits(given, digits) ? phone_of(x, digits) : NULL;

	if (!phone)
		snprintf(result->error, sizeof result->error, "\"%s\" is no phone of %s; write %s = \"%s\"", given,
		         node->name, name, x->phones[0].number);
	return phone;
}

static void verb_dial(struct node *node, const struct args *args, struct verb_result *result)
{
	struct phone *phone = named_phone(node, args, "from", result);
	const char *number = args_text(args, "number", "");
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct pstn_call *call;

	if (!phone)
		return;
	if (!number_digits(number, digits)) {
		snprintf(result->error, sizeof result->error,
		         "\"%s\" is no telephone number; write number = \"215-555-0101\"", number);
	} else if (phone_of(node->state, digits)) {
		snprintf(result->error, sizeof result->error,
		         "%s is a phone of the same exchange; only calls through the gateway are played", digits);
	} else if (phone->call) {
		snprintf(result->error, sizeof result->error, "phone %s is busy with a call", phone->number);
	} else {
		call = call_new(phone, true, digits);
		result->value = value_object(&call->object); /* what the phone's last call is held by keeps it */
		happen(call, PH_DIAL);
	}
}

static void verb_answer(struct node *node, const struct args *args, struct verb_result *result)
{
	struct phone *phone = named_phone(node, args, "number", result);

	if (!phone)
		return;
	if (phone->call && phone->machine.state == PHONE_RINGING) {
		answer_soon(phone, args_time(args, "after", 0));
		return;
	}
	phone->will_answer = true;
	phone->answer_after_ns = args_time(args, "after", 0);
}

static void hang_up(struct pstn_call *call)
{
	bool declines = call->phone->machine.state == PHONE_RINGING;

	end_with(call, PH_HANG_UP, declines ? ISUP_CAUSE_REJECTED : ISUP_CAUSE_NORMAL, "hung up");
}

static void verb_hangup(struct node *node, const struct args *args, struct verb_result *result)
{
	struct phone *phone = named_phone(node, args, "number", result);

	if (phone && !phone->call)
		snprintf(result->error, sizeof result->error, "phone %s has no call to hang up", phone->number);
	else if (phone)
		hang_up(phone->call);
}

static void verb_call(struct node *node, const struct args *args, struct verb_result *result)
{
	struct phone *phone = named_phone(node, args, "number", result);

	if (phone && !phone->last)
		snprintf(result->error, sizeof result->error, "phone %s has had no call yet", phone->number);
	else if (phone)
		result->value = value_object(&phone->last->object);
}

static void verb_call_hangup(struct object *object, const struct args *args, struct verb_result *result)
{
	struct pstn_call *call = (struct pstn_call *)object;

	(void)args;
	if (call->over)
		snprintf(result->error, sizeof result->error, "the call is over already: %s", call->reason);
	else
		hang_up(call);
}

/* What a scenario may ask of a call */

static const char *state_of(const struct pstn_call *call)
{
	static const char *const names[PHONE_STATES] = { "over", "dialling", "ringing", "ringing", "talking" };

	if (!call->over)
		return names[call->phone->machine.state];
	return call->answered_ns >= 0 ? "over" : "failed";
}

static void verb_call_press(struct object *object, const struct args *args, struct verb_result *result)
{
	struct pstn_call *call = (struct pstn_call *)object;
	const char *keys = args_text(args, "keys", "");

	if (call->over || call->answered_ns < 0)
		snprintf(result->error, sizeof result->error, "nobody would hear it: the call is %s", state_of(call));
	else if (!dtmf_tone_press(&call->tones, keys))
		snprintf(result->error, sizeof result->error,
		         "\"%.40s\" are no keys, or too many at once; write press \"4711#\", up to %d of 0-9 * # A-D",
		         keys, DTMF_TONE_KEYS_MAX);
}


static bool get_time(const struct pstn_call *call, const char *attribute, struct value *out)
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
	const struct pstn_call *call = (const struct pstn_call *)object;
	struct trunk_bearer_counters count = call->bearer ? trunk_bearer_counters(call->bearer) : call->counted;

	*out = value_nil();
	if (strcmp(attribute, "state") == 0)
		*out = value_text(state_of(call));
	else if (strcmp(attribute, "ready") == 0)
		*out = value_bool(call->answered_ns >= 0);
	else if (strcmp(attribute, "reason") == 0)
		*out = value_text(call->reason);
	else if (strcmp(attribute, "cause") == 0)
		*out = value_int((int64_t)call->cause);
	else if (strcmp(attribute, "id") == 0)
		*out = value_text(call->id);
	else if (strcmp(attribute, "peer") == 0)
		*out = value_text(call->number);
	else if (strcmp(attribute, "digits") == 0)
		*out = value_text(call->keys);
	else if (strcmp(attribute, "voice_sent") == 0)
		*out = value_int((int64_t)count.sent);
	else if (strcmp(attribute, "voice_received") == 0)
		*out = value_int((int64_t)count.received);
	else if (strcmp(attribute, "voice_heard") == 0)
		*out = value_int((int64_t)call->heard);
	else
		return get_time(call, attribute, out);
	return out->type != VALUE_NIL;
}

static const struct attribute call_attributes[] = {
	{ "state", VALUE_TEXT, "dialling, ringing, talking; over, failed" },
	{ "ready", VALUE_BOOL, "it has been answered" },
	{ "reason", VALUE_TEXT, "why it ended or failed" },
	{ "cause", VALUE_INT, "of its release (Q.850), 0 before" },
	{ "id", VALUE_TEXT, "the call's identifier at this end" },
	{ "peer", VALUE_TEXT, "the other end's number, \"0\" unknown" },
	{ "digits", VALUE_TEXT, "keys that the other end pressed, so far" },
	{ "voice_sent", VALUE_INT, "packets of 20 ms sent on the circuit" },
	{ "voice_received", VALUE_INT, "packets of 20 ms received from the circuit" },
	{ "voice_heard", VALUE_INT, "of those: with anything but silence in them" },
	{ "post_dial_delay", VALUE_TIME, "from dialling to ringing" },
	{ "setup_time", VALUE_TIME, "from dialling to the answer" },
	{ "talk_time", VALUE_TIME, "from the answer to the end" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct param press_params[] = {
	{ .name = "keys", .type = VALUE_TEXT, .required = true, .doc = "one after the other: \"4711#\"" },
	{ .name = NULL },
};
static const struct object_verb call_verbs[] = {
	{ "hangup", "hangs up", NULL, "", verb_call_hangup },
	{ "press", "presses keys, which sound in the circuit (ITU-T Q.23)", press_params, "", verb_call_press },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct object_class call_class = {
	.name = "phone_call", .doc = "a call as a plain phone of the PSTN sees it", .attributes = call_attributes,
	.get = get_call, .verbs = call_verbs, .free = free_call,
};
static const struct object_class *const objects[] = { &call_class, NULL };

/* Construction */

static const struct param params[] = {
	{ .name = "signaling_gateway", .type = VALUE_NODE, .required = true, .doc = "where its signaling link goes" },
	{ .name = "trunk_gateway", .type = VALUE_NODE, .required = true, .doc = "where its circuits end" },
	{ .name = "phones", .type = VALUE_TEXT, .required = true,
	  .doc = "their numbers: \"212-555-0001,212-555-0002\"" },
	{ .name = "circuits", .type = VALUE_INT, .preset = "24",
	  .doc = "of the trunk group: a T1's, as the gateways have it" },
	{ .name = "point_code", .type = VALUE_INT, .preset = "4097", .doc = "its own, ITU 14 bit" },
	{ .name = "gateway_code", .type = VALUE_INT, .preset = "4096", .doc = "the signaling gateway's" },
	{ .name = NULL },
};

static void forget(struct exchange *x)
{
	for (unsigned i = 0; i < x->phone_count; i++) {
		struct phone *phone = &x->phones[i];
		struct pstn_call *call = phone->call;

		sim_cancel(x->node->sim, &phone->answer_timer);
		phone->will_answer = false;
		machine_start(&phone->machine, &phone_machine, PHONE_IDLE);
		if (!call)
			continue;
		close_circuit(call);
		call->circuit = 0;
		call->over = true;
		call->ended_ns = x->node->sim->now_ns;
		call->reason = "power lost";
		tell(call, call->answered_ns >= 0 ? "released" : "failed");
		phone->call = NULL;
		changed(call);
		call_unref(call);
	}
}

static void destroy(struct node *node)
{
	struct exchange *x = node->state;

	forget(x);
	for (unsigned i = 0; i < x->phone_count; i++) {
		if (x->phones[i].last)
			x->phones[i].last->phone = NULL;
		call_unref(x->phones[i].last);
	}
	trunk_group_free(x->trunks);
	free(x->phones);
	free(x);
}

/* The phones' numbers; 0: the list is malformed or says one twice. */
static unsigned read_phones(const char *list, struct phone *phones)
{
	unsigned count = 0;

	while (*list) {
		size_t len = strcspn(list, ",");
		char text[2 * SUBSCRIBER_NUMBER_LEN];

		if (count == PHONES_MAX || !len || len >= sizeof text)
			return 0;
		snprintf(text, sizeof text, "%.*s", (int)len, list);
		if (!number_digits(text, phones[count].number) || strlen(phones[count].number) > ISUP_DIGITS_MAX)
			return 0;
		for (unsigned i = 0; i < count; i++)
			if (strcmp(phones[i].number, phones[count].number) == 0)
				return 0;
		count++;
		list += len + (list[len] == ',');
	}
	return count;
}

static bool check_codes(const struct args *args, char error[MODEL_ERROR_LEN])
{
	int64_t circuits = args_int(args, "circuits", 24), own = args_int(args, "point_code", 0);
	int64_t peer = args_int(args, "gateway_code", 0);

	if (circuits < 1 || circuits > TRUNK_CIRCUITS_MAX)
		snprintf(error, MODEL_ERROR_LEN, "circuits must be 1 to %d, found %lld; write circuits = 24",
		         TRUNK_CIRCUITS_MAX, (long long)circuits);
	else if (own < 0 || own > ISUP_POINT_CODE_MAX || peer < 0 || peer > ISUP_POINT_CODE_MAX || own == peer)
		snprintf(error, MODEL_ERROR_LEN,
		         "point codes must be two numbers up to %d, found %lld and %lld; "
		         "write point_code = 4097, gateway_code = 4096",
		         ISUP_POINT_CODE_MAX, (long long)own, (long long)peer);
	else
		return true;
	return false;
}

static bool check_params(const struct node *node, const struct args *args, struct phone *phones, unsigned *count,
                         char error[MODEL_ERROR_LEN])
{
	uint32_t own_ip = gateway_first_ip(node);

	*count = read_phones(args_text(args, "phones", ""), phones);
	if (!own_ip || !gateway_ip_towards(args_node(args, "signaling_gateway"), own_ip) ||
	    !gateway_ip_towards(args_node(args, "trunk_gateway"), own_ip))
		snprintf(error, MODEL_ERROR_LEN,
		         "the PSTN needs an address on a link with both gateways; "
		         "write on = { net.trunk, \"10.203.0.10/24\" }");
	else if (!*count)
		snprintf(error, MODEL_ERROR_LEN,
		         "phones must be up to %d different numbers, found \"%s\"; write phones = \"212-555-0001\"",
		         PHONES_MAX, args_text(args, "phones", ""));
	else
		return check_codes(args, error);
	return false;
}

static void install_phones(struct exchange *x, const struct phone *phones, unsigned count)
{
	x->phones = sim_alloc(count * sizeof *x->phones);
	x->phone_count = count;
	for (unsigned i = 0; i < count; i++) {
		x->phones[i].exchange = x;
		snprintf(x->phones[i].number, sizeof x->phones[i].number, "%s", phones[i].number);
		x->phones[i].pitch_step = pitch_of(phones[i].number);
		machine_start(&x->phones[i].machine, &phone_machine, PHONE_IDLE);
	}
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct trunk_group_config trunks = { .node = node, .connects = true, .seized = on_seized,
	                                     .alerting = on_alerting,
		                             .answered = on_answered, .moved = on_moved,
		                             .released = on_released };
	struct phone *phones = sim_alloc(PHONES_MAX * sizeof *phones);
	struct exchange *x;
	unsigned count;
	bool good = check_params(node, args, phones, &count, error);

	if (good) {
		x = sim_alloc(sizeof *x);
		x->node = node;
		node->state = x;
		node->destroy = destroy;
		x->own_ip = gateway_first_ip(node);
		x->trunk_ip = gateway_ip_towards(args_node(args, "trunk_gateway"), x->own_ip);
		rng_init(&x->ids, node->sim->seed, node->name, "call-ids");
		install_phones(x, phones, count);
		trunks.ctx = x;
		trunks.local_ip = x->own_ip;
		trunks.peer_ip = gateway_ip_towards(args_node(args, "signaling_gateway"), x->own_ip);
		trunks.local_code = (uint16_t)args_int(args, "point_code", 0);
		trunks.peer_code = (uint16_t)args_int(args, "gateway_code", 0);
		trunks.circuits = (unsigned)args_int(args, "circuits", 24);
		x->trunks = trunk_group_new(&trunks);
	}
	free(phones);
	return good;
}

static void power_on(struct node *node)
{
	trunk_group_start(((struct exchange *)node->state)->trunks);
}

static void restart(struct node *node)
{
	struct exchange *x = node->state;

	forget(x);
	trunk_group_start(x->trunks);
	sim_changed(node->sim, node);
}

/* What a scenario may ask of the element */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct exchange *x = node->state;
	struct trunk_counters trunks = trunk_group_counters(x->trunks);
	unsigned calls = 0, ringing = 0, talking = 0;

	for (unsigned i = 0; i < x->phone_count; i++) {
		calls += x->phones[i].call != NULL;
		ringing += x->phones[i].machine.state == PHONE_RINGING;
		talking += x->phones[i].machine.state == PHONE_TALKING;
	}
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "calls", calls }, { "ringing", ringing }, { "talking", talking }, { "answered", x->answered },
		{ "failed", x->failed }, { "circuits_idle", trunks.idle }, { "circuits_busy", trunks.busy },
		{ "circuits_blocked", trunks.blocked }, { "resets", trunks.resets },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	if (strcmp(attribute, "link_up") != 0)
		return false;
	*out = value_bool(trunks.link_up);
	return true;
}

static const struct param dial_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "whom to call" },
	{ .name = "from", .type = VALUE_TEXT, .required = true, .doc = "the phone" }, { .name = NULL },
};
static const struct param answer_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "the phone" },
	{ .name = "after", .type = VALUE_TIME, .preset = "0s", .doc = "after ringing for so long" }, { .name = NULL },
};
static const struct param phone_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "the phone" }, { .name = NULL },
};
static const struct verb verbs[] = {
	{ "dial", "a phone goes off-hook and calls a number", dial_params, "phone_call", verb_dial },
	{ "answer", "a phone answers the call that rings, or the next one", answer_params, "", verb_answer },
	{ "hangup", "a phone hangs up, or declines the call that rings", phone_params, "", verb_hangup },
	{ "call", "the phone's call, or the last that it had", phone_params, "phone_call", verb_call },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attributes[] = {
	{ "calls", VALUE_INT, "phones that have a call" },
	{ "ringing", VALUE_INT, "phones that ring" },
	{ "talking", VALUE_INT, "phones in conversation" },
	{ "answered", VALUE_INT, "calls answered, either way, so far" },
	{ "failed", VALUE_INT, "calls of phones that ended unanswered, so far" },
	{ "circuits_idle", VALUE_INT, "circuits that are free" },
	{ "circuits_busy", VALUE_INT, "circuits with a call, or being released" },
	{ "circuits_blocked", VALUE_INT, "circuits whose reset is not acknowledged" },
	{ "resets", VALUE_INT, "resets of circuits by either end, so far" },
	{ "link_up", VALUE_BOOL, "the signaling link to the gateway is up" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &phone_machine, &trunk_circuit_machine, &isup_link_machine,
                                                      NULL };

const struct model model_pstn = {
	.name = "pstn", .doc = "the PSTN: an exchange with plain phones behind a trunk group to the POTS gateways",
	.params = params,
	.verbs = verbs, .attributes = attributes, .machines = machines, .objects = objects, .create = create,
	.start = power_on, .get = get, .restart = restart,
};

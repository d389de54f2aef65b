/*
 * The trace interface: hands what happens in a run to the observers that want it, in the order they were attached.
 *
 * Invariant: sim->trace_mask is the union of what the observers want, so one test of it tells a caller that nobody
 * listens. A message that is media concerns only observers of TRACE_MEDIA, its fields those that also want TRACE_FIELD.
 * An observer that hears of fates but not of media ignores tags it was never told.
 *
 * A detached observer wants nothing; its place is given up when the next one comes, so that detaching is safe while the list
 * is being walked.
 */
#include "sim/trace.h"

#include <assert.h>

#include "sim/node.h"

bool fate_outranks(enum fate next, enum fate now)
{
	static const uint8_t ranks[] = {
		[FATE_SENT] = 0, [FATE_LOST] = 1, [FATE_INTERCEPTED] = 2, [FATE_REFUSED] = 3, [FATE_ACCEPTED] = 4,
	};

	return ranks[next] > ranks[now];
}

static void forget_detached(struct sim *sim)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < sim->observer_count; i++) {
		if (sim->observers[i].wants)
			sim->observers[kept++] = sim->observers[i];
	}
	sim->observer_count = kept;
}

void trace_attach(struct sim *sim, const struct trace_ops *ops, void *ctx, unsigned wants)
{
	assert(wants && "an observer wants something");
	forget_detached(sim);
	assert(sim->observer_count < TRACE_OBSERVERS_MAX);
	sim->observers[sim->observer_count++] = (struct trace_observer){ .ops = ops, .ctx = ctx, .wants = wants };
	sim->trace_mask |= wants;
}

void trace_detach(struct sim *sim, const struct trace_ops *ops, const void *ctx)
{
	sim->trace_mask = 0;
	for (unsigned i = 0; i < sim->observer_count; i++) {
		struct trace_observer *observer = &sim->observers[i];

		if (observer->ops == ops && observer->ctx == ctx)
			observer->wants = 0;
		sim->trace_mask |= observer->wants;
	}
}

/* Calls a callback of every observer that wants all of `kinds`. */
#define TELL(sim, kinds, callback, ...)                                                                     \
	do {                                                                                                \
		unsigned kinds_ = (kinds);                                                                  \
		if (((sim)->trace_mask & kinds_) != kinds_)                                                 \
			break;                                                                              \
		for (unsigned i_ = 0; i_ < (sim)->observer_count; i_++) {                                   \
			const struct trace_observer *o_ = &(sim)->observers[i_];                            \
			if ((o_->wants & kinds_) == kinds_)                                                 \
				o_->ops->callback(o_->ctx, __VA_ARGS__);                                    \
		}                                                                                           \
	} while (0)

void trace_node(struct sim *sim, const struct node *node)
{
	TELL(sim, TRACE_TOPOLOGY, node, node);
}

void trace_iface(struct sim *sim, const struct iface *iface)
{
	TELL(sim, TRACE_TOPOLOGY, iface, iface);
}

void trace_packet(struct sim *sim, const struct iface *at, enum packet_event what, const struct packet *packet)
{
	TELL(sim, TRACE_PACKET, packet, at, what, packet);
}

/* What an observer must want, all of it, to hear of a message and of its fields. */
static unsigned message_kinds(bool media)
{
	return media ? TRACE_MESSAGE | TRACE_MEDIA : TRACE_MESSAGE;
}

static unsigned field_kinds(bool media)
{
	return media ? TRACE_FIELD | TRACE_MEDIA : TRACE_FIELD;
}

static bool anybody_wants(const struct sim *sim, unsigned kinds)
{
	if ((sim->trace_mask & kinds) != kinds)
		return false;
	for (unsigned i = 0; i < sim->observer_count; i++) {
		if ((sim->observers[i].wants & kinds) == kinds)
			return true;
	}
	return false;
}

struct field_route {
	struct sim *sim;
	uint64_t tag;
	unsigned kinds;
};

static void route_field(void *ctx, const char *path, const char *value, enum field_class class_)
{
	const struct field_route *route = ctx;

	TELL(route->sim, route->kinds, field, route->tag, path, value, class_);
}

static void announce(struct sim *sim, struct trace_message *message)
{
	struct field_route route = { .sim = sim, .tag = message->tag, .kinds = field_kinds(message->media) };

	sim->sending = message;
	TELL(sim, message_kinds(message->media), message, message);
	if (message->describe && anybody_wants(sim, route.kinds))
		message->describe(message->bytes, message->len, route_field, &route);
	sim->sending = NULL;
}

uint64_t trace_sent(struct sim *sim, const struct trace_send *send)
{
	struct trace_message message;

	if (!anybody_wants(sim, message_kinds(send->media)) && !anybody_wants(sim, field_kinds(send->media)))
		return 0;
	message = (struct trace_message){
		.tag = sim->next_tag++,
		.kind = send->kind,
		.proto = send->proto,
		.actor = send->actor,
		.src_ip = send->src_ip,
		.dst_ip = send->dst_ip,
		.cover = send->cover,
		.bytes = send->bytes,
		.len = send->len,
		.describe = send->describe,
		.media = send->media,
		.cause = sim->cause,
		.timer = sim->cause_timer,
	};
	announce(sim, &message);
	return message.tag;
}

void trace_fate(struct sim *sim, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	if (tag != 0)
		TELL(sim, TRACE_MESSAGE, fate, tag, at, fate, why);
}

void trace_cover(struct sim *sim, uint64_t tag, enum cover cover)
{
	if (tag != 0)
		TELL(sim, TRACE_MESSAGE, cover, tag, cover);
}

void trace_field(struct sim *sim, uint64_t tag, const char *path, const char *value, enum field_class class_)
{
	if (tag != 0)
		TELL(sim, TRACE_FIELD, field, tag, path, value, class_);
}

void trace_refuse(const struct node *at, const char *check, uint32_t src_ip, uint64_t tag, const char *detail)
{
	struct sim *sim = at->sim;

	TELL(sim, TRACE_REFUSAL, refusal, at, check, src_ip, tag, detail);
	trace_fate(sim, tag, at, FATE_REFUSED, check);
}

void trace_step(const struct node *node, const struct machine *machine, unsigned before, unsigned event, unsigned after,
                bool refused)
{
	TELL(node->sim, TRACE_STEP, step, node, machine, before, event, after, refused);
}

void trace_key(struct sim *sim, const struct trace_key *key)
{
	TELL(sim, TRACE_KEY, key, key);
}

void trace_sample(const struct node *node, const char *metric, int64_t value, const char *unit)
{
	TELL(node->sim, TRACE_SAMPLE, sample, node, metric, value, unit);
}

void trace_call(struct sim *sim, const struct trace_call *call)
{
	TELL(sim, TRACE_CALL, call, call);
}

void trace_record(struct sim *sim, const struct trace_record *record)
{
	TELL(sim, TRACE_CALL, record, record);
}

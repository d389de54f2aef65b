/* A circuit's voice on the trunk link; see trunk_bearer.h. */
#include "models/trunk_bearer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/media.h"
#include "models/message.h"

#define PACKET_LEN (RTP_HEADER_LEN + RTP_PAYLOAD_LEN)

struct trunk_bearer {
	struct trunk_bearer_request request;
	struct udp_socket socket;
	struct event tick, silence;
	sim_ns start_ns, heard_ns;
	uint16_t first_sequence;
	uint32_t ssrc, first_timestamp;
	struct trunk_bearer_counters counters;
};

static uint16_t port_of(unsigned circuit)
{
	return (uint16_t)(TRUNK_PORT_FIRST + 2 * circuit);
}

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	(void)bytes;
	(void)len;
	sink(ctx, "law", "mu-law", FIELD_FACT);
}

static uint64_t announce(const struct trunk_bearer *b, const struct packet *packet)
{
	if (!trace_wants(b->request.node->sim, TRACE_MEDIA))
		return 0;
	return trace_sent(b->request.node->sim, &(struct trace_send){
		.actor = b->request.node, .kind = "G.711", .proto = "trunk", .src_ip = b->request.local_ip,
		.dst_ip = b->request.peer_ip, .cover = COVER_CLEAR, .bytes = packet->data, .len = packet->len,
		.describe = describe, .media = true });
}

static void on_tick(struct sim *sim, struct event *event)
{
	struct trunk_bearer *b = event_owner(event, struct trunk_bearer, tick);
	struct packet *packet = packet_new(sim, PACKET_LEN);
	uint8_t *bytes = packet_append(packet, PACKET_LEN);
	const uint64_t n = b->counters.sent++;

	rtp_write(bytes, &(struct rtp_header){ .payload_type = MEDIA_PCMU, .ssrc = b->ssrc,
	                                       .sequence = (uint16_t)(b->first_sequence + n),
	                                       .timestamp = (uint32_t)(b->first_timestamp + n * RTP_PAYLOAD_LEN) });
	b->request.fill(b->request.ctx, bytes + RTP_HEADER_LEN);
	packet->tag = announce(b, packet);
	packet->actor = b->request.node;
	sim_at(sim, &b->tick, b->start_ns + (sim_ns)b->counters.sent * RTP_PACKET_NS, on_tick, "trunk.packet");
	udp_send(&b->socket, b->request.local_ip, b->request.peer_ip, port_of(b->request.circuit), packet);
}

static void refuse(struct trunk_bearer *b, const char *check, const struct udp_from *from)
{
	b->counters.refused++;
	trace_refuse(b->request.node, check, from->src, from->tag, "");
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct trunk_bearer *b = socket->ctx;
	struct rtp_header header;
	size_t at;

	if (from->src != b->request.peer_ip || from->sport != b->socket.port || from->dst != b->request.local_ip ||
	    from->in->ip != b->request.local_ip) {
		refuse(b, "trunk.source", from);
		return;
	}
	if (!rtp_parse(packet->data, packet->len, &header, &at) || header.payload_type != MEDIA_PCMU ||
	    packet->len - at != RTP_PAYLOAD_LEN) {
		refuse(b, "trunk.malformed", from);
		return;
	}
	b->counters.received++;
	b->heard_ns = b->request.node->sim->now_ns;
	message_accept(b->request.node, from->tag);
	b->request.heard(b->request.ctx, packet->data + at);
}

static void on_silence(struct sim *sim, struct event *event)
{
	struct trunk_bearer *b = event_owner(event, struct trunk_bearer, silence);
	const sim_ns due_ns = b->heard_ns + b->request.lost_after_ns;

	if (due_ns > sim->now_ns)
		sim_at(sim, &b->silence, due_ns, on_silence, "trunk.lost");
	else if (b->request.lost)
		b->request.lost(b->request.ctx);
}

/* A stream for each start, as in models/media.c. */
static void draw_numbers(struct trunk_bearer *b)
{
	const struct node *node = b->request.node;
	char purpose[48];
	struct rng rng;

	snprintf(purpose, sizeof purpose, "trunk/%u/%lld", b->request.circuit, (long long)b->start_ns);
	rng_init(&rng, node->sim->seed, node->name, purpose);
	b->ssrc = (uint32_t)rng_u64(&rng);
	b->first_sequence = (uint16_t)rng_u64(&rng);
	b->first_timestamp = (uint32_t)rng_u64(&rng);
}

struct trunk_bearer *trunk_bearer_start(const struct trunk_bearer_request *request)
{
	struct sim *sim = request->node->sim;
	struct trunk_bearer *b = sim_alloc(sizeof *b);

	b->request = *request;
	b->start_ns = sim->now_ns;
	if (!udp_bind(request->node, &b->socket, port_of(request->circuit), on_datagram, b)) {
		free(b);
		return NULL;
	}
	draw_numbers(b);
	return b;
}

void trunk_bearer_talk(struct trunk_bearer *b)
{
	struct sim *sim = b->request.node->sim;

	b->start_ns = b->heard_ns = sim->now_ns;
	sim_at(sim, &b->tick, b->start_ns, on_tick, "trunk.packet");
	if (b->request.lost_after_ns > 0)
		sim_at(sim, &b->silence, b->start_ns + b->request.lost_after_ns, on_silence, "trunk.lost");
}

void trunk_bearer_stop(struct trunk_bearer *b)
{
	if (!b)
		return;
	sim_cancel(b->request.node->sim, &b->tick);
	sim_cancel(b->request.node->sim, &b->silence);
	udp_unbind(&b->socket);
	free(b);
}

struct trunk_bearer_counters trunk_bearer_counters(const struct trunk_bearer *b)
{
	return b->counters;
}

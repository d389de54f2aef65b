/*
 * The voice of one call; see media.h. RFC 3550 (5.1, A.1, A.3), RFC 3551 (4.1, 4.2), patent [0096]-[0098].
 *
 * Invariants: packet number n of a stream leaves at start_ns + n * RTP_PACKET_NS with sequence number first + n and
 * time stamp first + 160 n. Of the stream that comes in, highest is the highest position accepted and bit i of seen
 * says whether highest - i was; positions are sequence numbers counted on past 65535.
 *
 * A position is judged by sequence number and time stamp together: a packet recorded most of 65536 packets (22
 * minutes) ago has a sequence number that looks new, but an old time stamp. RFC 3550 A.1 takes two consecutive
 * packets far off for a source that has begun again; here they are replays, for a stretch of old speech would pass as
 * that.
 *
 * Without MAC about one packet in 1400 that somebody made up without the key looks like voice. So that one of them
 * cannot lock out the true stream by being first, the SSRC is firm with the second packet that has it; a single one
 * gives way.
 */
#include "models/media.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/rtp_cipher.h"
#include "models/message.h"
#include "models/wire/rtp.h"
#include "sim/service.h"

#define SAMPLE_RATE_HZ 8000
#define TELL_PACKETS ((uint64_t)(NS_PER_S / RTP_PACKET_NS)) /* samples are told once a second */
#define PAYLOAD_MAX 1600  /* 200 ms, what a receiver should take (RFC 3551 section 4.2) */
#define BLOCK_LEN 8       /* of the cipher */
#define MAC_LEN 12
#define CONTEXT_LEN (2 * (IP_TEXT_LEN + 6) + 2)

static_assert(RTP_SEAL_EXTRA_MAX <= PACKET_TAILROOM, "a packet is sealed where it stands");
static_assert(MEDIA_WINDOW == 64, "seen is a word");

struct inbound {
	uint32_t ssrc;
	uint32_t highest_timestamp;
	int64_t first, highest; /* positions */
	uint64_t packets;       /* of this SSRC; 0: none is known */
	uint64_t seen;
};

struct media {
	struct media_request request;
	struct udp_socket socket;
	struct rtp_cipher *out, *in;
	struct event tick, silence;
	sim_ns start_ns, heard_ns; /* heard: when the last packet was accepted, at first the start */
	uint32_t local_ip;
	uint32_t ssrc, first_timestamp;
	uint16_t first_sequence;
	uint16_t pitch_step;       /* of a 16-bit phase, a sample */
	uint8_t (*encode)(int16_t sample);
	struct inbound inbound;
	struct media_counters counters, told;
	uint64_t changed_at;       /* packets counted when sim_changed() was last called */
};

/* Sound: integers only, a function of the sample's number */

#define PITCH_LOWEST_HZ 90
#define PITCH_RANGE_HZ 160
#define SYLLABLE_SAMPLES 2048u /* 256 ms, three and a pause */
#define SYLLABLE_RISE 1024
#define ANNOUNCEMENT_TONE 2640u     /* 330 ms */
#define ANNOUNCEMENT_PERIOD 15920u  /* three tones, 1 s of pause */
#define PHASE_STEP(hz) ((uint16_t)(((hz) * 65536u + SAMPLE_RATE_HZ / 2) / SAMPLE_RATE_HZ))

/* A sine as parabolas, -32768..32768, by the low 16 bits of the phase. */
static inline int32_t wave(uint32_t phase)
{
	int32_t x = (int32_t)(phase & 0x7fff), v = x * (0x8000 - x) >> 13;

	return phase & 0x8000 ? -v : v;
}

/*
 * RTP_PAYLOAD_LEN samples from number first on: three harmonics, whose loudness rises and falls in a straight line. Without
 * branches, so that a compiler makes several samples at once.
 */
static void tone(uint32_t first, uint32_t step, int16_t out[RTP_PAYLOAD_LEN])
{
	for (uint32_t i = 0; i < RTP_PAYLOAD_LEN; i++) {
		uint32_t n = first + i, at = n % SYLLABLE_SAMPLES, phase = n * step;
		int32_t rise = (int32_t)(at < SYLLABLE_RISE ? at : SYLLABLE_SAMPLES - 1 - at);
		int32_t sound = wave(phase) / 2 + wave(2 * phase) / 4 + wave(3 * phase) / 8;

		out[i] = (int16_t)(n / SYLLABLE_SAMPLES % 4 == 3 ? 0 : sound * rise / SYLLABLE_RISE);
	}
}

static int16_t announcement_sample(uint32_t n)
{
	static const uint16_t steps[3] = { PHASE_STEP(950), PHASE_STEP(1400), PHASE_STEP(1800) };
	uint32_t at = n % ANNOUNCEMENT_PERIOD;

	return at < 3 * ANNOUNCEMENT_TONE ? (int16_t)(wave(at * steps[at / ANNOUNCEMENT_TONE]) / 4) : 0;
}

static void fill_voice(const struct media *m, uint32_t first, uint8_t out[RTP_PAYLOAD_LEN])
{
	int16_t samples[RTP_PAYLOAD_LEN];

	switch (m->request.source) {
	case MEDIA_TONE:
		tone(first, m->pitch_step, samples);
		g711_encode(m->encode, samples, RTP_PAYLOAD_LEN, out);
		break;
	case MEDIA_ANNOUNCEMENT:
		for (uint32_t i = 0; i < RTP_PAYLOAD_LEN; i++)
			out[i] = m->encode(announcement_sample(first + i));
		break;
	case MEDIA_SILENCE:
		memset(out, m->encode(0), RTP_PAYLOAD_LEN);
		break;
	}
}

/* FNV-1a of the name: a node sounds the same in every run. */
static uint16_t pitch_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return PHASE_STEP(PITCH_LOWEST_HZ + hash % PITCH_RANGE_HZ);
}

/* What others are told */

struct adapter {
	field_sink *sink;
	void *ctx;
};

static void adapt(void *ctx, const char *path, const char *value, int class_)
{
	struct adapter *a = ctx;

	a->sink(a->ctx, path, value, (enum field_class)class_);
}

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	struct adapter a = { sink, ctx };

	rtp_describe(bytes, len, adapt, &a);
}

static uint64_t announce(const struct media *m, const struct packet *packet)
{
	if (!trace_wants(m->request.node->sim, TRACE_MEDIA))
		return 0;
	return trace_sent(m->request.node->sim, &(struct trace_send){
		.actor = m->request.node, .kind = "RTP", .proto = "rtp", .src_ip = m->local_ip,
		.dst_ip = m->request.peer_ip, .cover = COVER_RTP, .bytes = packet->data, .len = packet->len,
		.describe = describe, .media = true });
}

static void tell_samples(struct media *m)
{
	const struct media_counters *now = &m->counters, *before = &m->told;
	struct node *node = m->request.node;

	if (trace_wants(node->sim, TRACE_SAMPLE)) {
		trace_sample(node, "rtp.sent", (int64_t)(now->sent - before->sent), "packets");
		trace_sample(node, "rtp.received", (int64_t)(now->received - before->received), "packets");
		/* Negative when more came late than were lost: the sum is what the counter says. */
		trace_sample(node, "rtp.lost", (int64_t)now->lost - (int64_t)before->lost, "packets");
	}
	m->told = m->counters;
}

static uint64_t packets_counted(const struct media *m)
{
	return m->counters.sent + m->counters.received + m->counters.refused;
}

static void counters_moved(struct media *m)
{
	if (!m->request.watched || packets_counted(m) - m->changed_at < MEDIA_CHANGED_PACKETS)
		return;
	m->changed_at = packets_counted(m);
	sim_changed(m->request.node->sim, m->request.watched);
}

static void charge(const struct media *m, size_t len)
{
	service_charge(m->request.node, &(struct service_cost){ .cipher_bytes = (uint32_t)len,
	                                                        .hash_bytes = m->request.mac ? (uint32_t)len : 0 });
}

/* Sending */

static void send_packet(struct media *m)
{
	const uint64_t n = m->counters.sent;
	struct packet *packet = packet_new(m->request.node->sim, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	uint8_t *bytes = packet_append(packet, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	size_t sealed_len;

	/* The marker stays 0 without silence suppression (RFC 3551 section 4.1). */
	rtp_write(bytes, &(struct rtp_header){ .payload_type = m->request.payload_type, .ssrc = m->ssrc,
	                                       .sequence = (uint16_t)(m->first_sequence + n),
	                                       .timestamp = (uint32_t)(m->first_timestamp + n * RTP_PAYLOAD_LEN) });
	fill_voice(m, (uint32_t)(n * RTP_PAYLOAD_LEN), bytes + RTP_HEADER_LEN);
	packet->tag = announce(m, packet);
	packet->actor = m->request.node;
	sealed_len = rtp_seal(m->out, bytes, packet->len);
	assert(sealed_len >= packet->len);
	packet_append(packet, (uint32_t)sealed_len - packet->len);
	charge(m, sealed_len);
	m->counters.sent++;
	udp_send(&m->socket, m->local_ip, m->request.peer_ip, m->request.peer_port, packet);
}

static void on_tick(struct sim *sim, struct event *event)
{
	struct media *m = event_owner(event, struct media, tick);

	if (m->counters.sent > 0 && m->counters.sent % TELL_PACKETS == 0)
		tell_samples(m);
	send_packet(m);
	sim_at(sim, &m->tick, m->start_ns + (sim_ns)m->counters.sent * RTP_PACKET_NS, on_tick, "rtp.packet");
	counters_moved(m);
}

/* Receiving */

/* Where the packet stands in the stream; false: it was there before, or too long ago to tell. */
static bool position_of(const struct inbound *in, const struct rtp_header *h, int64_t *position)
{
	const int16_t ahead = (int16_t)(h->sequence - (uint16_t)in->highest);
	const int32_t later = (int32_t)(h->timestamp - in->highest_timestamp);

	*position = in->highest + ahead;
	if (ahead > 0)
		return later > 0;
	return ahead < 0 && later < 0 && ahead > -MEDIA_WINDOW && !(in->seen >> -ahead & 1);
}

/* Decrypts and judges a packet without changing the stream. The name of the check that refuses it, NULL: it is good. */
static const char *inspect(struct media *m, struct packet *packet, struct rtp_header *h, size_t *payload_at,
                           int64_t *position)
{
	const struct inbound *in = &m->inbound;
	const size_t sealed_len = packet->len, mac_len = m->request.mac ? MAC_LEN : 0;
	size_t len;

	if (sealed_len < RTP_HEADER_LEN + mac_len || sealed_len > RTP_HEADER_LEN + PAYLOAD_MAX + RTP_SEAL_EXTRA_MAX ||
	    sealed_len % BLOCK_LEN)
		return "rtp.malformed";
	charge(m, sealed_len);
	len = rtp_open(m->in, packet->data, sealed_len);
	if (len == 0) /* the MAC is judged first: behind a right one stands what the peer sealed, and that is RTP */
		return m->request.mac ? "rtp.mac" : "rtp.malformed";
	packet_trim(packet, (uint32_t)(sealed_len - len));
	if (!rtp_parse(packet->data, len, h, payload_at) || *payload_at == len || len - *payload_at > PAYLOAD_MAX)
		return "rtp.malformed";
	if (h->payload_type != m->request.payload_type)
		return "rtp.payload_type";
	*position = h->sequence;
	if (in->packets == 0 || (in->packets == 1 && h->ssrc != in->ssrc))
		return NULL;
	if (h->ssrc != in->ssrc)
		return "rtp.ssrc";
	return position_of(in, h, position) ? NULL : "rtp.replay";
}

static void stream_begin(struct inbound *in, const struct rtp_header *h, int64_t position)
{
	*in = (struct inbound){ .ssrc = h->ssrc, .highest_timestamp = h->timestamp, .first = position,
		                .highest = position, .packets = 1, .seen = 1 };
}

static void stream_go_on(struct media *m, const struct rtp_header *h, int64_t position)
{
	struct inbound *in = &m->inbound;
	const int64_t ahead = position - in->highest;

	in->packets++;
	if (ahead > 0) {
		in->seen = ahead < MEDIA_WINDOW ? in->seen << ahead | 1 : 1;
		in->highest = position;
		in->highest_timestamp = h->timestamp;
		return;
	}
	in->seen |= UINT64_C(1) << -ahead;
	m->counters.late++;
	if (position < in->first)
		in->first = position;
}

static void accept_packet(struct media *m, const struct rtp_header *h, int64_t position)
{
	struct inbound *in = &m->inbound;

	if (in->packets == 0 || h->ssrc != in->ssrc)
		stream_begin(in, h, position);
	else
		stream_go_on(m, h, position);
	m->counters.received++;
	m->counters.lost = (uint64_t)(in->highest - in->first + 1) - in->packets;
	m->heard_ns = m->request.node->sim->now_ns;
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct media *m = socket->ctx;
	const bool from_peer = from->src == m->request.peer_ip && from->sport == m->request.peer_port;
	struct rtp_header header;
	size_t payload_at = 0;
	int64_t position;
	const char *refusal = from_peer ? inspect(m, packet, &header, &payload_at, &position) : "rtp.source";

	if (refusal) {
		m->counters.refused++;
		trace_refuse(m->request.node, refusal, from->src, from->tag, "");
		counters_moved(m);
		return;
	}
	accept_packet(m, &header, position);
	message_accept(m->request.node, from->tag);
	counters_moved(m);
	if (m->request.played) /* last, for it may stop the media */
		m->request.played(m->request.ctx, packet->data + payload_at, packet->len - payload_at,
		                  header.timestamp);
}

/* Is not set again with each packet, only when it strikes: the next one is then due so long after the last packet. */
static void on_silence(struct sim *sim, struct event *event)
{
	struct media *m = event_owner(event, struct media, silence);
	const sim_ns due_ns = m->heard_ns + m->request.lost_after_ns;

	if (due_ns > sim->now_ns)
		sim_at(sim, &m->silence, due_ns, on_silence, "rtp.lost");
	else if (m->request.lost)
		m->request.lost(m->request.ctx);
}

/* Life */

static bool open_ciphers(struct media *m)
{
	const struct media_request *r = &m->request;
	char local[IP_TEXT_LEN], peer[IP_TEXT_LEN], out[CONTEXT_LEN], in[CONTEXT_LEN];

	ip_text(m->local_ip, local);
	ip_text(r->peer_ip, peer);
	snprintf(out, sizeof out, "%s:%u %s:%u", local, r->local_port, peer, r->peer_port);
	snprintf(in, sizeof in, "%s:%u %s:%u", peer, r->peer_port, local, r->local_port);
	m->out = rtp_cipher_new(r->sm, r->subkey, r->label, r->initiator ? ESP_UP : ESP_DOWN, out, r->mac);
	if (!m->out)
		return false;
	m->in = rtp_cipher_new(r->sm, r->subkey, r->label, r->initiator ? ESP_DOWN : ESP_UP, in, r->mac);
	return m->in != NULL;
}

/*
 * SSRC and first numbers, a stream for each start: the next call does not begin as the last one did, which under the
 * same key would give the same cipher text, and what other calls of the node draw does not matter.
 */
static void draw_numbers(struct media *m)
{
	const struct node *node = m->request.node;
	char purpose[48];
	struct rng rng;

	snprintf(purpose, sizeof purpose, "rtp/%u/%lld", m->request.local_port, (long long)m->start_ns);
	rng_init(&rng, node->sim->seed, node->name, purpose);
	m->ssrc = (uint32_t)rng_u64(&rng);
	m->first_sequence = (uint16_t)rng_u64(&rng);
	m->first_timestamp = (uint32_t)rng_u64(&rng);
}

static void media_free(struct media *m)
{
	sim_cancel(m->request.node->sim, &m->tick);
	sim_cancel(m->request.node->sim, &m->silence);
	udp_unbind(&m->socket);
	rtp_cipher_free(m->out);
	rtp_cipher_free(m->in);
	free(m);
}

struct media *media_start(const struct media_request *request)
{
	struct sim *sim = request->node->sim;
	struct media *m = sim_alloc(sizeof *m);

	assert(request->local_port != 0 && request->lost_after_ns >= 0);
	assert(request->payload_type == MEDIA_PCMU || request->payload_type == MEDIA_PCMA);
	m->request = *request;
	m->start_ns = m->heard_ns = sim->now_ns;
	m->local_ip = ip_source_for(request->node, request->peer_ip);
	m->encode = request->payload_type == MEDIA_PCMU ? g711_ulaw : g711_alaw;
	m->pitch_step = pitch_of(request->node->name);
	if (!udp_bind(request->node, &m->socket, request->local_port, on_datagram, m) || !open_ciphers(m)) {
		media_free(m);
		return NULL;
	}
	draw_numbers(m);
	sim_at(sim, &m->tick, m->start_ns, on_tick, "rtp.packet");
	if (request->lost_after_ns > 0)
		sim_at(sim, &m->silence, m->start_ns + request->lost_after_ns, on_silence, "rtp.lost");
	return m;
}

void media_stop(struct media *m)
{
	if (!m)
		return;
	if (memcmp(&m->counters, &m->told, sizeof m->told) != 0)
		tell_samples(m);
	if (m->request.watched)
		sim_changed(m->request.node->sim, m->request.watched);
	media_free(m);
}

struct media_counters media_counters(const struct media *m)
{
	return m->counters;
}

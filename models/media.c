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
 * that. Only the packets of a key press share their time stamp, that of its beginning.
 *
 * Keys and text take the place of voice in their packets, keys in as many as they need, text in every
 * MEDIA_TEXT_EVERY-th, so that losses in a row do not take all MEDIA_TEXT_COPIES of a block.
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
#include "models/wire/dtmf.h"
#include "models/wire/rtp.h"
#include "models/wire/t140.h"
#include "sim/service.h"

#define SAMPLE_RATE_HZ 8000
#define TELL_PACKETS ((uint64_t)(NS_PER_S / RTP_PACKET_NS)) /* samples are told once a second */
#define PAYLOAD_MAX 1600  /* 200 ms, what a receiver should take (RFC 3551 section 4.2) */
#define BLOCK_LEN 8       /* of the cipher */
#define MAC_LEN 12
#define CONTEXT_LEN (2 * (IP_TEXT_LEN + 6) + 2)
#define KEY_DURATION (5 * DTMF_STEP) /* a key is held for 100 ms */
#define MISSING_LEN (sizeof T140_MISSING - 1)

static_assert(RTP_SEAL_EXTRA_MAX <= PACKET_TAILROOM, "a packet is sealed where it stands");
static_assert(MEDIA_WINDOW == 64, "seen is a word");

struct inbound {
	uint32_t ssrc;
	uint32_t highest_timestamp;
	int64_t first, highest; /* positions */
	uint64_t packets;       /* of this SSRC; 0: none is known */
	uint64_t seen;
	struct dtmf_receiver keys;
	struct t140_receiver text;
};

/* What is still to be sent besides voice. */
struct outgoing {
	char keys[MEDIA_KEYS_MAX];
	size_t key_count;
	bool pressed;               /* press is on its way */
	struct dtmf_press press;
	uint32_t press_timestamp;
	char text[MEDIA_TEXT_MAX];
	size_t text_len, block_len; /* block_len: of the beginning of text, which is being sent; 0: none */
	unsigned copies;            /* of that block, sent */
	uint16_t block;             /* its number */
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
	struct outgoing *outgoing; /* NULL: there never was anything */
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

/* One harmonic: wave() of the phase, divided by a power of two. */
static inline int16_t harmonic(uint16_t phase, int shift)
{
	uint16_t x = phase & 0x7fff, rest = (uint16_t)(0x8000 - x);
	int16_t size = (int16_t)((uint32_t)x * rest >> (13 + shift)), sign = (int16_t)phase >> 15;

	return (int16_t)((size ^ sign) - sign);
}

/*
 * RTP_PAYLOAD_LEN samples from number first on: three harmonics, whose loudness rises and falls in a straight line.
 * Without branches and, as far as it goes, in 16 bits, so that a compiler makes eight samples at once. All periods
 * divide 65536.
 */
static void tone(uint32_t first, uint16_t step, int16_t out[RTP_PAYLOAD_LEN])
{
	for (uint16_t i = 0; i < RTP_PAYLOAD_LEN; i++) {
		uint16_t n = (uint16_t)(first + i), at = n % SYLLABLE_SAMPLES, phase = (uint16_t)(n * step);
		int16_t rise = (int16_t)(at < SYLLABLE_RISE ? at : SYLLABLE_SAMPLES - 1 - at);
		int16_t sound = (int16_t)(harmonic(phase, 1) + harmonic((uint16_t)(2 * phase), 2) +
		                          harmonic((uint16_t)(3 * phase), 3));
		int32_t loud = (int32_t)sound * rise;
		int16_t sample = (int16_t)(loud / SYLLABLE_RISE);

		out[i] = n / SYLLABLE_SAMPLES % 4 == 3 ? 0 : sample;
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
	case MEDIA_OWNER:
		m->request.fill(m->request.ctx, out);
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
	struct rtp_header header;
	size_t at;

	rtp_describe(bytes, len, adapt, &a);
	if (!rtp_parse(bytes, len, &header, &at))
		return;
	if (header.payload_type == DTMF_PAYLOAD_TYPE)
		dtmf_describe(bytes + at, len - at, adapt, &a);
	else if (header.payload_type == T140_PAYLOAD_TYPE)
		t140_describe(bytes + at, len - at, adapt, &a);
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

/* The next packet of a key press instead of the voice that header is about; 0: no key waits. */
static size_t fill_key(struct outgoing *o, struct rtp_header *header, uint8_t *payload)
{
	struct dtmf_packet packet;

	if (!o->pressed && o->key_count > 0) {
		o->pressed = dtmf_press_start(&o->press, o->keys[0], KEY_DURATION, DTMF_STEP);
		assert(o->pressed); /* what was queued is keys */
		memmove(o->keys, o->keys + 1, --o->key_count);
		o->press_timestamp = header->timestamp;
	}
	if (!o->pressed)
		return 0;
	if (!dtmf_press_next(&o->press, &packet)) { /* a packet of voice between two keys */
		o->pressed = false;
		return 0;
	}
	header->payload_type = DTMF_PAYLOAD_TYPE;
	header->marker = packet.marker;
	header->timestamp = o->press_timestamp;
	memcpy(payload, packet.payload, DTMF_PAYLOAD_LEN);
	return DTMF_PAYLOAD_LEN;
}

/* A copy of the block of text that is being sent; 0: it is not its turn. */
static size_t fill_text(struct outgoing *o, uint64_t n, struct rtp_header *header, uint8_t *payload)
{
	size_t len;

	if (o->text_len == 0 || n % MEDIA_TEXT_EVERY)
		return 0;
	if (o->block_len == 0)
		o->block_len = utf8_cut((struct span){ o->text, o->text_len }, T140_BLOCK_MAX);
	header->payload_type = T140_PAYLOAD_TYPE;
	len = t140_write(o->block, (struct span){ o->text, o->block_len }, payload);
	if (++o->copies == MEDIA_TEXT_COPIES) {
		o->text_len -= o->block_len;
		memmove(o->text, o->text + o->block_len, o->text_len);
		o->block_len = 0;
		o->copies = 0;
		o->block++;
	}
	return len;
}

/* What packet n carries: a key, text, or voice. Returns the payload's length, up to RTP_PAYLOAD_LEN. */
static size_t fill_payload(struct media *m, uint64_t n, struct rtp_header *header, uint8_t *payload)
{
	size_t len = 0;

	if (m->outgoing) {
		len = fill_key(m->outgoing, header, payload);
		if (len == 0)
			len = fill_text(m->outgoing, n, header, payload);
	}
	if (len > 0)
		return len;
	fill_voice(m, (uint32_t)(n * RTP_PAYLOAD_LEN), payload);
	return RTP_PAYLOAD_LEN;
}

static void send_packet(struct media *m)
{
	const uint64_t n = m->counters.sent;
	struct packet *packet = packet_new(m->request.node->sim, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	uint8_t *bytes = packet_append(packet, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	/* The marker stays 0 without silence suppression (RFC 3551 section 4.1). */
	struct rtp_header header = { .payload_type = m->request.payload_type, .ssrc = m->ssrc,
		                     .sequence = (uint16_t)(m->first_sequence + n),
		                     .timestamp = (uint32_t)(m->first_timestamp + n * RTP_PAYLOAD_LEN) };
	size_t len = RTP_HEADER_LEN + fill_payload(m, n, &header, bytes + RTP_HEADER_LEN), sealed_len;

	if (len < packet->len)
		packet_trim(packet, packet->len - (uint32_t)len);
	rtp_write(bytes, &header);
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
	if (later == 0 && h->payload_type != DTMF_PAYLOAD_TYPE)
		return false;
	if (ahead > 0)
		return later >= 0;
	return ahead < 0 && later <= 0 && ahead > -MEDIA_WINDOW && !(in->seen >> -ahead & 1);
}

static bool payload_type_known(const struct media *m, uint8_t type)
{
	return type == m->request.payload_type || type == DTMF_PAYLOAD_TYPE || type == T140_PAYLOAD_TYPE;
}

/* Whether the payload is what its type says; of voice anything is. NULL: it is. */
static const char *inspect_payload(const struct inbound *in, const struct rtp_header *h, const uint8_t *payload,
                                   size_t len)
{
	struct dtmf_receiver keys = { 0 };
	struct span text;
	uint16_t number;
	char digit;

	if (h->payload_type == DTMF_PAYLOAD_TYPE) {
		if (in->packets > 0 && h->ssrc == in->ssrc)
			keys = in->keys;
		return dtmf_receive(&keys, h->timestamp, payload, len, &digit) == DTMF_REFUSED ? "rtp.event" : NULL;
	}
	if (h->payload_type == T140_PAYLOAD_TYPE)
		return t140_parse(payload, len, &number, &text) ? NULL : "rtp.text";
	return NULL;
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
	if (!payload_type_known(m, h->payload_type))
		return "rtp.payload_type";
	*position = h->sequence;
	if (in->packets > 1 && h->ssrc != in->ssrc)
		return "rtp.ssrc";
	if (in->packets > 0 && h->ssrc == in->ssrc && !position_of(in, h, position))
		return "rtp.replay";
	return inspect_payload(in, h, packet->data + *payload_at, len - *payload_at);
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

static void hear_key(struct media *m, uint32_t timestamp, const uint8_t *payload, size_t len)
{
	char digit;

	if (dtmf_receive(&m->inbound.keys, timestamp, payload, len, &digit) == DTMF_KEY && m->request.digit)
		m->request.digit(m->request.ctx, digit);
}

static void hear_text(struct media *m, const uint8_t *payload, size_t len)
{
	char whole[MISSING_LEN + PAYLOAD_MAX] = T140_MISSING;
	struct span text;
	bool missing;

	if (t140_receive(&m->inbound.text, payload, len, &text, &missing) != T140_TEXT || !m->request.text)
		return;
	memcpy(whole + MISSING_LEN, text.at, text.len);
	if (missing)
		m->request.text(m->request.ctx, whole, MISSING_LEN + text.len);
	else
		m->request.text(m->request.ctx, whole + MISSING_LEN, text.len);
}

/* What an accepted packet carries. Last of all, for its receiver may stop the media. */
static void hear(struct media *m, const struct rtp_header *h, const uint8_t *payload, size_t len)
{
	if (h->payload_type == DTMF_PAYLOAD_TYPE)
		hear_key(m, h->timestamp, payload, len);
	else if (h->payload_type == T140_PAYLOAD_TYPE)
		hear_text(m, payload, len);
	else if (m->request.played)
		m->request.played(m->request.ctx, payload, len, h->timestamp);
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
	hear(m, &header, packet->data + payload_at, packet->len - payload_at);
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
	const struct rtp_way ways[] = { { r->initiator ? ESP_UP : ESP_DOWN, out },
		                        { r->initiator ? ESP_DOWN : ESP_UP, in } };
	struct rtp_cipher *ciphers[2];

	ip_text(m->local_ip, local);
	ip_text(r->peer_ip, peer);
	snprintf(out, sizeof out, "%s:%u %s:%u", local, r->local_port, peer, r->peer_port);
	snprintf(in, sizeof in, "%s:%u %s:%u", peer, r->peer_port, local, r->local_port);
	if (!rtp_cipher_pair_new(r->sm, r->subkey, r->label, ways, r->mac, ciphers))
		return false;
	m->out = ciphers[0];
	m->in = ciphers[1];
	return true;
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
	free(m->outgoing);
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

/* Besides voice */

static struct outgoing *outgoing(struct media *m)
{
	if (!m->outgoing)
		m->outgoing = sim_alloc(sizeof *m->outgoing);
	return m->outgoing;
}

bool media_send_digits(struct media *m, const char *keys)
{
	struct outgoing *o = outgoing(m);
	size_t count = strlen(keys);

	if (count > MEDIA_KEYS_MAX - o->key_count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (dtmf_event_of(keys[i]) < 0)
			return false;
	memcpy(o->keys + o->key_count, keys, count);
	o->key_count += count;
	return true;
}

bool media_send_text(struct media *m, const char *text)
{
	struct outgoing *o = outgoing(m);
	struct span bytes = span_of(text);

	if (bytes.len > MEDIA_TEXT_MAX - o->text_len || !utf8_valid(bytes))
		return false;
	memcpy(o->text + o->text_len, bytes.at, bytes.len);
	o->text_len += bytes.len;
	return true;
}

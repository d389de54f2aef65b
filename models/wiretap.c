/* Reading a wire; see wiretap.h. RFC 791, 768, 793, 2406; RFC 4120 sections 5.10 and 7.2.2. */
#include "models/wiretap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/esp.h"
#include "models/kdc_client.h"
#include "models/wire/pktc.h"
#include "models/wire/radius.h"
#include "models/wire/rtp.h"
#include "models/wire/sip.h"
#include "sim/ip.h"

#define ETHERTYPE_IPV4 0x0800
#define TCP_HEADER_LEN 20
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define FRAGMENT_BITS 0x3fff /* more fragments, and the offset */
#define FRAGMENT_OFFSET 0x1fff

/* 20 ms of G.711: in clear, padded and encrypted, with a MAC and encrypted. */
#define RTP_LEN_CLEAR (RTP_HEADER_LEN + RTP_PAYLOAD_LEN)
#define RTP_LEN_SEALED 176
#define RTP_LEN_SEALED_MAC 184

static const struct {
	const char *name, *proto;
} kinds[WIRE_KIND_COUNT] = {
	[WIRE_OTHER] = { "packet", "ip" },        [WIRE_AS_REQ] = { "AS-REQ", "krb5" },   [WIRE_AS_REP] = { "AS-REP", "krb5" },
	[WIRE_AP_REQ] = { "AP-REQ", "pktc" },     [WIRE_AP_REP] = { "AP-REP", "pktc" },   [WIRE_KRB_ERROR] = { "KRB-ERROR", "krb5" },
	[WIRE_WAKE_UP] = { "Wake-up", "pktc" },   [WIRE_SIP] = { "SIP", "sip" },          [WIRE_ESP] = { "ESP", "esp" },
	[WIRE_RTP] = { "RTP", "rtp" },
};

const char *wire_kind_name(enum wire_kind kind)
{
	return kind < WIRE_KIND_COUNT ? kinds[kind].name : "any";
}

const char *wire_kind_proto(enum wire_kind kind)
{
	return kinds[kind < WIRE_KIND_COUNT ? kind : WIRE_OTHER].proto;
}

enum wire_kind wire_kind_find(const char *name)
{
	if (strcmp(name, "any") == 0)
		return WIRE_ANY;
	for (unsigned k = WIRE_OTHER + 1; k < WIRE_KIND_COUNT; k++)
		if (strcmp(kinds[k].name, name) == 0)
			return (enum wire_kind)k;
	return WIRE_OTHER;
}

enum wire_kind wire_kind_of_kerberos(const uint8_t *bytes, size_t len)
{
	switch (krb_type(bytes, len)) {
	case KRB_AS_REQ:
		return WIRE_AS_REQ;
	case KRB_AS_REP:
		return WIRE_AS_REP;
	case KRB_AP_REQ:
		return WIRE_AP_REQ;
	case KRB_AP_REP:
		return WIRE_AP_REP;
	case KRB_ERROR:
		return WIRE_KRB_ERROR;
	default:
		return WIRE_OTHER;
	}
}

static enum wire_kind kind_of_pktc(const uint8_t *bytes, size_t len)
{
	struct pktc m;

	if (!pktc_parse(bytes, len, krb_message_len, &m))
		return WIRE_OTHER;
	switch (m.kind) {
	case PKTC_WAKE_UP:
		return WIRE_WAKE_UP;
	case PKTC_AP_REQUEST:
		return WIRE_AP_REQ;
	case PKTC_AP_REPLY:
		return WIRE_AP_REP;
	case PKTC_ERROR_REPLY:
		return WIRE_KRB_ERROR;
	}
	return WIRE_OTHER;
}

static bool known_service(uint16_t port)
{
	static const uint16_t services[] = { 53, 67, 68, 69, KDC_PORT, PKTC_PORT, SIP_PORT, RADIUS_AUTH_PORT, RADIUS_ACCT_PORT };

	for (size_t i = 0; i < sizeof services / sizeof *services; i++)
		if (services[i] == port)
			return true;
	return false;
}

static bool looks_like_rtp(const uint8_t *bytes, size_t len)
{
	struct rtp_header header;
	size_t at;

	if (len == RTP_LEN_SEALED || len == RTP_LEN_SEALED_MAC)
		return true;
	return len == RTP_LEN_CLEAR && rtp_parse(bytes, len, &header, &at);
}

enum wire_kind wire_kind_of_udp(const uint8_t *bytes, size_t len, uint16_t sport, uint16_t dport)
{
	struct sip_message sip;

	if (sport == PKTC_PORT || dport == PKTC_PORT)
		return kind_of_pktc(bytes, len);
	if (sport == KDC_PORT || dport == KDC_PORT)
		return wire_kind_of_kerberos(bytes, len);
	if (sport == SIP_PORT || dport == SIP_PORT)
		return sip_parse(bytes, len, &sip) ? WIRE_SIP : WIRE_OTHER;
	if (known_service(sport) || known_service(dport))
		return WIRE_OTHER;
	return looks_like_rtp(bytes, len) ? WIRE_RTP : WIRE_OTHER;
}

/* Reads what is behind the IP header, len bytes at segment. */
static void read_segment(const uint8_t *segment, uint32_t len, struct wire_view *v)
{
	uint32_t header_len = 0;

	if (v->proto == IP_PROTO_ESP && len >= ESP_HEADER_LEN) {
		v->kind = WIRE_ESP;
		v->spi = get_be32(segment);
	} else if (v->proto == IP_PROTO_UDP && len >= UDP_HEADER_LEN) {
		header_len = UDP_HEADER_LEN;
		v->sport = get_be16(segment);
		v->dport = get_be16(segment + 2);
		if (get_be16(segment + 4) >= UDP_HEADER_LEN && get_be16(segment + 4) < len)
			len = get_be16(segment + 4); /* what is behind the datagram is not its payload */
		v->kind = wire_kind_of_udp(segment + UDP_HEADER_LEN, len - UDP_HEADER_LEN, v->sport, v->dport);
	} else if (v->proto == IP_PROTO_TCP && len >= TCP_HEADER_LEN) {
		header_len = (uint32_t)(segment[12] >> 4) * 4;
		if (header_len < TCP_HEADER_LEN || header_len > len)
			header_len = len;
		v->sport = get_be16(segment);
		v->dport = get_be16(segment + 2);
		v->seq = get_be32(segment + 4);
		v->flags = segment[13];
	}
	v->payload_at = v->segment_at + header_len;
	v->payload_len = len - header_len;
}

bool wire_read(const uint8_t *frame, size_t len, struct wire_view *out)
{
	struct wire_view v = { .kind = WIRE_OTHER, .ip_at = ETHERNET_HEADER_LEN };
	const uint8_t *ip = frame + ETHERNET_HEADER_LEN;
	uint32_t header_len, total_len;
	uint16_t fragment;

	if (len > WIRE_FRAME_MAX || len < ETHERNET_HEADER_LEN + IP_HEADER_LEN || get_be16(frame + 12) != ETHERTYPE_IPV4 ||
	    ip[0] >> 4 != 4)
		return false;
	header_len = (uint32_t)(ip[0] & 15) * 4;
	total_len = get_be16(ip + 2);
	if (header_len < IP_HEADER_LEN || total_len < header_len || total_len > len - ETHERNET_HEADER_LEN)
		return false;
	v.src = get_be32(ip + 12);
	v.dst = get_be32(ip + 16);
	v.proto = ip[9];
	v.segment_at = v.payload_at = ETHERNET_HEADER_LEN + header_len;
	v.payload_len = total_len - header_len;
	fragment = get_be16(ip + 6);
	v.fragment = (fragment & FRAGMENT_BITS) != 0;
	if (!(fragment & FRAGMENT_OFFSET))
		read_segment(frame + v.segment_at, total_len - header_len, &v);
	*out = v;
	return true;
}

void wire_checksums(uint8_t *frame, const struct wire_view *v)
{
	uint8_t *ip = frame + v->ip_at, *segment = frame + v->segment_at;
	uint32_t header_len = v->segment_at - v->ip_at, len = get_be16(ip + 2) - header_len;
	uint32_t at = v->proto == IP_PROTO_UDP ? 6 : 16, src = get_be32(ip + 12), dst = get_be32(ip + 16);
	uint16_t sum;

	put_be16(ip + 10, 0);
	put_be16(ip + 10, inet_fold(inet_sum(ip, header_len, 0)));
	if (v->fragment || (v->proto != IP_PROTO_UDP && v->proto != IP_PROTO_TCP) ||
	    len < (v->proto == IP_PROTO_UDP ? UDP_HEADER_LEN : TCP_HEADER_LEN))
		return;
	put_be16(segment + at, 0);
	sum = inet_fold(inet_sum(segment, len, (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + v->proto + len));
	put_be16(segment + at, sum || v->proto == IP_PROTO_TCP ? sum : 0xffff);
}

/* TCP streams */

struct range {
	uint32_t from, to;
};

struct stream { /* one direction of one connection */
	uint32_t src, dst;
	uint16_t sport, dport;
	bool used, lost;        /* lost: what came is no Kerberos framing; nothing more is read */
	uint64_t fed;           /* when it was fed last, in segments */
	uint32_t base_seq;      /* sequence number of buffer[0] */
	uint32_t have;          /* bytes without a gap from the start of the buffer */
	enum wire_kind last;    /* kind of the message before the buffer */
	struct range ahead[WIRE_RANGES_MAX];
	unsigned ahead_count;
	uint8_t *buffer;
};
#define STREAM_BUFFER_LEN (WIRE_LENGTH_PREFIX + KRB_MESSAGE_MAX)

struct wire_streams {
	struct stream streams[WIRE_STREAMS_MAX];
	uint64_t fed;
};

struct wire_streams *wire_streams_new(void)
{
	return sim_alloc(sizeof(struct wire_streams));
}

void wire_streams_free(struct wire_streams *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < WIRE_STREAMS_MAX; i++)
		free(s->streams[i].buffer);
	free(s);
}

static struct stream *stream_find(struct wire_streams *s, const struct wire_view *v)
{
	for (size_t i = 0; i < WIRE_STREAMS_MAX; i++) {
		struct stream *t = &s->streams[i];

		if (t->used && t->src == v->src && t->dst == v->dst && t->sport == v->sport && t->dport == v->dport)
			return t;
	}
	return NULL;
}

/* A SYN begins a stream anew, in the place of an equal one, a free one, or the one quiet for longest. */
static void stream_begin(struct wire_streams *s, const struct wire_view *v)
{
	struct stream *t = stream_find(s, v), *oldest = &s->streams[0];
	uint8_t *buffer;

	for (size_t i = 0; !t && i < WIRE_STREAMS_MAX; i++) {
		if (!s->streams[i].used)
			t = &s->streams[i];
		else if (s->streams[i].fed < oldest->fed)
			oldest = &s->streams[i];
	}
	if (!t)
		t = oldest;
	buffer = t->buffer ? t->buffer : sim_alloc(STREAM_BUFFER_LEN);
	*t = (struct stream){ .src = v->src, .dst = v->dst, .sport = v->sport, .dport = v->dport, .used = true, .fed = s->fed,
		              .base_seq = v->seq + 1, .buffer = buffer };
}

/* Joins what was ahead of a gap and is no longer. */
static void close_gaps(struct stream *t)
{
	for (unsigned i = 0; i < t->ahead_count;) {
		struct range r = t->ahead[i];

		if (r.from > t->have) {
			i++;
			continue;
		}
		if (r.to > t->have)
			t->have = r.to;
		t->ahead[i] = t->ahead[--t->ahead_count];
		i = 0; /* one that was skipped may touch now */
	}
}

static void stream_insert(struct stream *t, uint32_t from, const uint8_t *bytes, uint32_t len)
{
	if (from >= STREAM_BUFFER_LEN || t->ahead_count == WIRE_RANGES_MAX)
		return;
	if (len > STREAM_BUFFER_LEN - from)
		len = STREAM_BUFFER_LEN - from; /* what follows this message comes again, or is lost to the eavesdropper */
	memcpy(t->buffer + from, bytes, len);
	t->ahead[t->ahead_count++] = (struct range){ from, from + len };
	close_gaps(t);
}

static enum wire_kind kind_under_way(const struct stream *t)
{
	return t->have > WIRE_LENGTH_PREFIX ? wire_kind_of_kerberos(t->buffer + WIRE_LENGTH_PREFIX, t->have - WIRE_LENGTH_PREFIX)
	                                    : WIRE_OTHER;
}

/* Takes a message of this length, prefix included, off the front of the buffer. */
static void stream_shift(struct stream *t, uint32_t len)
{
	uint32_t top = t->have;

	for (unsigned i = 0; i < t->ahead_count; i++) {
		if (t->ahead[i].to > top)
			top = t->ahead[i].to;
		t->ahead[i].from -= len;
		t->ahead[i].to -= len;
	}
	memmove(t->buffer, t->buffer + len, top - len);
	t->have -= len;
	t->base_seq += len;
}

static void stream_deliver(struct stream *t, const struct wire_view *v, wire_message_fn *fn, void *ctx)
{
	while (t->have >= WIRE_LENGTH_PREFIX && !t->lost) {
		uint32_t len = get_be32(t->buffer);

		if (len > KRB_MESSAGE_MAX) {
			t->lost = true;
			return;
		}
		if (t->have - WIRE_LENGTH_PREFIX < len)
			return;
		t->last = wire_kind_of_kerberos(t->buffer + WIRE_LENGTH_PREFIX, len);
		fn(ctx, t->last, v, t->buffer + WIRE_LENGTH_PREFIX, len);
		stream_shift(t, WIRE_LENGTH_PREFIX + len);
	}
}

enum wire_kind wire_stream_feed(struct wire_streams *s, const uint8_t *frame, const struct wire_view *v, wire_message_fn *fn,
                                void *ctx)
{
	const uint8_t *bytes = frame + v->payload_at;
	uint32_t len = v->payload_len, offset, base;
	enum wire_kind before;
	struct stream *t;

	if (v->proto != IP_PROTO_TCP || (v->sport != KDC_PORT && v->dport != KDC_PORT) || v->fragment)
		return WIRE_OTHER;
	s->fed++;
	if (v->flags & TCP_FLAG_SYN)
		stream_begin(s, v);
	t = stream_find(s, v);
	if (!t || !len || t->lost || v->flags & (TCP_FLAG_SYN | TCP_FLAG_RST))
		return WIRE_OTHER;
	t->fed = s->fed;
	offset = v->seq - t->base_seq;
	if (offset >> 31) { /* begins before the message under way: a repetition, perhaps with something new behind */
		if (len <= -offset)
			return t->last;
		bytes += -offset;
		len -= -offset;
		offset = 0;
	}
	before = kind_under_way(t);
	base = t->base_seq;
	stream_insert(t, offset, bytes, len);
	stream_deliver(t, v, fn, ctx);
	if (t->base_seq != base && before == WIRE_OTHER)
		return t->last;
	return before != WIRE_OTHER ? before : kind_under_way(t);
}

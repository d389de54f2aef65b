/*
 * What the tests of the network share: an observer that counts, a line of nodes, and raw packets built byte by byte
 * (not by the code under test).
 */
#ifndef TOLLGATE_TESTS_NET_FIXTURE_H
#define TOLLGATE_TESTS_NET_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/ip_stack.h"

#define SEEN_MAX 256

struct seen_frame {
	sim_ns at_ns;
	const struct iface *at;
	enum packet_event what;
	uint32_t len;
	uint8_t head[64];
};

/* What an observer has heard. */
struct watcher {
	struct sim *sim;
	unsigned fates, refusals, samples;
	uint64_t fate_tag;
	char why[64];     /* of the last fate */
	char check[64];   /* of the last refusal */
	uint32_t refused_src;
	int64_t sample;
	unsigned frames;
	struct seen_frame frame[SEEN_MAX];
};

static inline void watcher_packet(void *ctx, const struct iface *at, enum packet_event what,
                                  const struct packet *packet)
{
	struct watcher *w = ctx;
	struct seen_frame *frame = &w->frame[w->frames % SEEN_MAX];

	w->frames++;
	frame->at_ns = w->sim->now_ns;
	frame->at = at;
	frame->what = what;
	frame->len = packet->len;
	memcpy(frame->head, packet->data, packet->len < sizeof(frame->head) ? packet->len : sizeof(frame->head));
}

static inline void watcher_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	struct watcher *w = ctx;

	(void)at;
	(void)fate;
	w->fates++;
	w->fate_tag = tag;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static inline void watcher_refusal(void *ctx, const struct node *at, const char *check, uint32_t src, uint64_t tag,
                                   const char *detail)
{
	struct watcher *w = ctx;

	(void)at;
	(void)tag;
	(void)detail;
	w->refusals++;
	w->refused_src = src;
	snprintf(w->check, sizeof(w->check), "%s", check);
}

static inline void watcher_sample(void *ctx, const struct node *node, const char *metric, int64_t value,
                                  const char *unit)
{
	struct watcher *w = ctx;

	(void)node;
	(void)metric;
	(void)unit;
	w->samples++;
	w->sample = value;
}

static inline void watch(struct sim *sim, struct watcher *w, unsigned wants)
{
	static const struct trace_ops ops = {
		.packet = watcher_packet, .fate = watcher_fate, .refusal = watcher_refusal, .sample = watcher_sample
	};

	memset(w, 0, sizeof(*w));
	w->sim = sim;
	trace_attach(sim, &ops, w, wants);
}

/*
 * A line of nodes n0 - n1 - ... with a link each, 10.0.k.1 and 10.0.k.2 at the ends of link k (from 1). Those in the
 * middle forward and know every subnet; the ends have a default route.
 */
#define LINE_MAX 6
struct line {
	struct sim *sim;
	unsigned count;
	struct node *node[LINE_MAX];
	struct link *link[LINE_MAX];
	struct iface *left[LINE_MAX], *right[LINE_MAX]; /* of node i */
};

static inline uint32_t line_ip(unsigned link, unsigned end)
{
	return 0x0a000000 | link << 8 | end;
}

static inline void line_routes(struct line *line, unsigned i)
{
	for (unsigned k = 1; k < line->count; k++) {
		if (k < i)
			ip_route_add(line->node[i], line_ip(k, 0), 24, line_ip(i, 1), line->left[i]);
		else if (k > i + 1)
			ip_route_add(line->node[i], line_ip(k, 0), 24, line_ip(i + 1, 2), line->right[i]);
	}
}

static inline void line_make(struct line *line, unsigned count, const struct link_params *params, uint64_t seed)
{
	char name[16];

	memset(line, 0, sizeof(*line));
	line->sim = sim_new(seed, SIM_DEFAULT_EPOCH_S);
	line->count = count;
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		line->node[i] = node_new(line->sim, name);
		ip_set_forwarding(line->node[i], i > 0 && i + 1 < count);
	}
	for (unsigned i = 0; i + 1 < count; i++) {
		snprintf(name, sizeof(name), "l%u", i + 1);
		line->link[i] = link_new(line->sim, name, params);
		line->right[i] = iface_new(line->node[i], line->link[i], "right", NULL, line_ip(i + 1, 1), 24);
		line->left[i + 1] = iface_new(line->node[i + 1], line->link[i], "left", NULL, line_ip(i + 1, 2), 24);
	}
	for (unsigned i = 1; i + 1 < count; i++)
		line_routes(line, i);
	if (count > 2) {
		ip_route_add(line->node[0], 0, 0, line_ip(1, 2), line->right[0]);
		ip_route_add(line->node[count - 1], 0, 0, line_ip(count - 1, 1), line->left[count - 1]);
	}
}

/* Ends a run and checks that no packet was lost from sight. */
static inline void run_out(struct sim *sim)
{
	sim_run(sim, SIM_NEVER);
	ck_assert_uint_eq(sim->packets_live, 0);
	sim_free(sim);
}

/* The checksum as RFC 1071 words it, 16 bits at a time. */
static inline uint16_t plain_checksum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

struct raw {
	uint32_t src, dst;
	uint8_t proto, ttl;
	uint16_t ident;
	uint16_t frag;          /* flags and offset as in the header */
	const uint8_t *options; /* option_len a multiple of 4 */
	uint32_t option_len;
	const uint8_t *bytes;
	uint32_t len;
};

/* An Ethernet frame with this packet from one interface to another. */
static inline struct packet *raw_frame(const struct iface *from, const struct iface *to, const struct raw *raw)
{
	uint32_t header_len = 20 + raw->option_len;
	struct packet *packet = packet_new(from->node->sim, 14 + header_len + raw->len);
	uint8_t *frame = packet_append(packet, 14 + header_len + raw->len);
	uint8_t *ip = frame + 14;

	memcpy(frame, to->mac, 6);
	memcpy(frame + 6, from->mac, 6);
	put_be16(frame + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = (uint8_t)(0x40 | header_len / 4);
	put_be16(ip + 2, (uint16_t)(header_len + raw->len));
	put_be16(ip + 4, raw->ident);
	put_be16(ip + 6, raw->frag);
	ip[8] = raw->ttl ? raw->ttl : 64;
	ip[9] = raw->proto;
	put_be32(ip + 12, raw->src);
	put_be32(ip + 16, raw->dst);
	if (raw->option_len)
		memcpy(ip + 20, raw->options, raw->option_len);
	put_be16(ip + 10, plain_checksum(ip, header_len, 0));
	if (raw->len)
		memcpy(ip + header_len, raw->bytes, raw->len);
	return packet;
}

/* A UDP datagram with its checksum, in out (8 + len bytes). Returns its length. */
static inline uint32_t raw_udp(uint8_t *out, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport,
                               const uint8_t *bytes, uint32_t len)
{
	uint32_t sum = (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + 17 + 8 + len;
	uint16_t checksum;

	put_be16(out, sport);
	put_be16(out + 2, dport);
	put_be16(out + 4, (uint16_t)(8 + len));
	put_be16(out + 6, 0);
	if (len)
		memcpy(out + 8, bytes, len);
	checksum = plain_checksum(out, 8 + len, sum);
	put_be16(out + 6, checksum ? checksum : 0xffff);
	return 8 + len;
}

/* A socket that remembers what it got. */
struct sink {
	struct udp_socket socket;
	unsigned count, errors;
	sim_ns at_ns[SEEN_MAX];
	uint16_t first[SEEN_MAX]; /* the first two bytes of each datagram */
	uint32_t len;
	uint8_t bytes[65536];
	struct udp_from from;
	uint8_t error_type, error_code;
	uint32_t error_dst;
	uint16_t error_dport;
	uint64_t cause;
};

static inline void sink_recv(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct sink *sink = socket->ctx;

	sink->at_ns[sink->count % SEEN_MAX] = socket->node->sim->now_ns;
	sink->first[sink->count % SEEN_MAX] = packet->len >= 2 ? get_be16(packet->data) : 0;
	sink->count++;
	sink->len = packet->len;
	memcpy(sink->bytes, packet->data, packet->len);
	sink->from = *from;
	sink->cause = socket->node->sim->cause;
}

static inline void sink_error(struct udp_socket *socket, uint8_t type, uint8_t code, uint32_t dst, uint16_t dport)
{
	struct sink *sink = socket->ctx;

	sink->errors++;
	sink->error_type = type;
	sink->error_code = code;
	sink->error_dst = dst;
	sink->error_dport = dport;
}

static inline struct sink *sink_new(struct node *node, uint16_t port)
{
	struct sink *sink = sim_alloc(sizeof(*sink));

	ck_assert(udp_bind(node, &sink->socket, port, sink_recv, sink));
	sink->socket.error = sink_error;
	return sink;
}

/* Sends len bytes that begin with a number and go on as a pattern of it. */
static inline void send_numbered(struct udp_socket *socket, uint32_t dst, uint16_t dport, uint16_t number, uint32_t len)
{
	struct packet *packet = packet_new(socket->node->sim, len);
	uint8_t *out = packet_append(packet, len);

	for (uint32_t i = 0; i < len; i++)
		out[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
	if (len >= 2)
		put_be16(out, number);
	udp_send(socket, 0, dst, dport, packet);
}

static inline bool numbered_good(const uint8_t *bytes, uint32_t len, uint16_t number)
{
	for (uint32_t i = 2; i < len; i++) {
		if (bytes[i] != (uint8_t)(number * 31 + i * 7 + (i >> 8)))
			return false;
	}
	return len < 2 || get_be16(bytes) == number;
}

/* The program of a test: its cases in one suite. Forked cases would hide leaks from the sanitizer. */
static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#endif

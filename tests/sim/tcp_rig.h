/*
 * What the tests of TCP share: two hosts on one link, an end of a connection that sends, receives and remembers, and a
 * capture in the classic pcap format for looking at with other tools.
 */
#ifndef TOLLGATE_TESTS_SIM_TCP_RIG_H
#define TOLLGATE_TESTS_SIM_TCP_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/tcp_internal.h"

#define RIG_PORT 88
#define IP_A UINT32_C(0x0a000001)
#define IP_B UINT32_C(0x0a000002)
#define RIG_MESSAGES_MAX 64

/* The byte number i of the stream that the end with this salt sends. */
static inline uint8_t rig_byte(unsigned salt, size_t i)
{
	return (uint8_t)((i * 131 + i / 251 + salt * 77) & 0xff);
}

struct rig;

/* One end: what it does, and what happened to it. */
struct end {
	struct rig *rig;
	unsigned salt;            /* of what it sends; the other's is salt ^ 1 */
	size_t to_send;           /* sent when connected, or when the peer has closed */
	bool send_late;           /* only when the peer has closed */
	bool keep_open;           /* does not close when all is sent */
	bool refuse_accept;
	size_t abort_after;       /* aborts when so many bytes have come; 0: never */
	size_t close_after;       /* closes when so many bytes have come; 0: never */
	sim_ns hungry_at_ns;      /* consumes nothing before */
	size_t bite;              /* consumes at most so many bytes at once; 0: all */

	struct tcp_conn *conn;
	size_t got;
	bool wrong_byte, connected, peer_closed, closed;
	enum tcp_end how;
	sim_ns closed_at_ns;
	unsigned connects, closes;
};

struct rig {
	struct sim *sim;
	struct link *link;
	struct node *a, *b;
	struct iface *a0, *b0;
	struct end client, server;
	struct tcp_listener listener;
	FILE *pcap;
	uint64_t frames, digest;
};

static inline void rig_send(struct end *end)
{
	uint8_t *bytes = malloc(end->to_send + 1);

	for (size_t i = 0; i < end->to_send; i++)
		bytes[i] = rig_byte(end->salt, i);
	ck_assert(tcp_send(end->conn, bytes, end->to_send, 0));
	free(bytes);
	if (!end->keep_open)
		tcp_close(end->conn);
}

static inline void rig_connected(struct tcp_conn *conn, void *ctx)
{
	struct end *end = ctx;

	ck_assert_ptr_eq(end->conn, conn);
	end->connected = true;
	end->connects++;
	if (!end->send_late && !conn->closing)
		rig_send(end);
}

static inline size_t rig_received(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct end *end = ctx;

	(void)tag;
	ck_assert(!end->closed);
	if (end->rig->sim->now_ns < end->hungry_at_ns)
		return 0;
	if (end->bite && len > end->bite)
		len = end->bite;
	for (size_t i = 0; i < len; i++)
		end->wrong_byte |= bytes[i] != rig_byte(end->salt ^ 1, end->got + i);
	end->got += len;
	if (end->abort_after && end->got >= end->abort_after) {
		end->conn = NULL;
		tcp_abort(conn);
	} else if (end->close_after && end->got >= end->close_after) {
		tcp_close(conn);
	}
	return len;
}

static inline void rig_peer_closed(struct tcp_conn *conn, void *ctx)
{
	struct end *end = ctx;

	(void)conn;
	end->peer_closed = true;
	if (end->send_late)
		rig_send(end);
	else if (!end->keep_open)
		tcp_close(end->conn);
}

static inline void rig_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct end *end = ctx;

	ck_assert_ptr_eq(end->conn, conn);
	end->closed = true;
	end->closes++;
	end->how = how;
	end->closed_at_ns = end->rig->sim->now_ns;
	end->conn = NULL;
}

static const struct tcp_handler rig_handler = {
	.connected = rig_connected, .received = rig_received, .peer_closed = rig_peer_closed, .closed = rig_closed,
};

static inline bool rig_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler,
                              void **ctx)
{
	struct rig *rig = listener->ctx;

	rig->server.conn = conn;
	*handler = &rig_handler;
	*ctx = &rig->server;
	return !rig->server.refuse_accept;
}

static inline void put_le32(FILE *file, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		fputc((int)(v >> 8 * i & 0xff), file);
}

/* Sees every frame at both ends of the link: counts, digests, captures it at its sender. */
static inline void rig_packet(void *ctx, const struct iface *at, enum packet_event what, const struct packet *packet)
{
	struct rig *rig = ctx;

	(void)at;
	if (what != PACKET_OUT)
		return;
	rig->frames++;
	rig->digest = (rig->digest ^ (uint64_t)rig->sim->now_ns) * UINT64_C(0x100000001b3);
	for (uint32_t i = 0; i < packet->len; i++)
		rig->digest = (rig->digest ^ packet->data[i]) * UINT64_C(0x100000001b3);
	if (!rig->pcap)
		return;
	put_le32(rig->pcap, (uint32_t)sim_unix_s(rig->sim));
	put_le32(rig->pcap, (uint32_t)sim_unix_us(rig->sim));
	put_le32(rig->pcap, packet->len);
	put_le32(rig->pcap, packet->len);
	fwrite(packet->data, 1, packet->len, rig->pcap);
}

static const struct trace_ops rig_trace = { .packet = rig_packet };

/* TCP_TEST_PCAP names a file that gets the frames of rigs made with capture set. */
static inline void rig_capture(struct rig *rig)
{
	const char *name = getenv("TCP_TEST_PCAP");

	rig->pcap = name ? fopen(name, "wb") : NULL;
	if (!rig->pcap)
		return;
	put_le32(rig->pcap, 0xa1b2c3d4);
	put_le32(rig->pcap, 0x00040002);
	put_le32(rig->pcap, 0);
	put_le32(rig->pcap, 0);
	put_le32(rig->pcap, 65535);
	put_le32(rig->pcap, 1); /* Ethernet */
}

static const struct link_params rig_clean = { .delay_ns = 5 * NS_PER_MS, .rate_bps = 10000000 };

/* Loss of 1, 10 and 30 %, reordering, duplication, all of it, and loss by the sender's own queue. */
static const struct link_params bad_links[] = {
	{ .delay_ns = 5 * NS_PER_MS, .rate_bps = 10000000, .loss_ppm = 10000 },
	{ .delay_ns = 5 * NS_PER_MS, .rate_bps = 10000000, .loss_ppm = 100000 },
	{ .delay_ns = 5 * NS_PER_MS, .rate_bps = 1000000, .loss_ppm = 300000 },
	{ .delay_ns = 5 * NS_PER_MS, .rate_bps = 10000000, .reorder_ppm = 200000, .reorder_ns = 7 * NS_PER_MS },
	{ .delay_ns = 5 * NS_PER_MS, .rate_bps = 10000000, .duplicate_ppm = 200000 },
	{ .delay_ns = 50 * NS_PER_MS, .jitter_ns = 40 * NS_PER_MS, .reorder_ppm = 100000, .reorder_ns = 90 * NS_PER_MS,
	  .loss_ppm = 20000, .duplicate_ppm = 50000 },
	{ .delay_ns = 5 * NS_PER_MS, .rate_bps = 1000000, .queue_bytes = 8000 },
};
#define BAD_LINK_COUNT ((int)(sizeof(bad_links) / sizeof(bad_links[0])))

static inline void rig_start(struct rig *rig, uint64_t seed, const struct link_params *params)
{
	*rig = (struct rig){ .sim = sim_new(seed, SIM_DEFAULT_EPOCH_S) };
	trace_attach(rig->sim, &rig_trace, rig, TRACE_PACKET);
	rig->link = link_new(rig->sim, "wire", params);
	rig->a = node_new(rig->sim, "a");
	rig->b = node_new(rig->sim, "b");
	rig->a0 = iface_new(rig->a, rig->link, "eth0", NULL, IP_A, 24);
	rig->b0 = iface_new(rig->b, rig->link, "eth0", NULL, IP_B, 24);
	rig->client = (struct end){ .rig = rig, .salt = 0 };
	rig->server = (struct end){ .rig = rig, .salt = 1 };
	rig->listener = (struct tcp_listener){ .port = RIG_PORT, .accept = rig_accept, .ctx = rig };
}

static inline void rig_open(struct rig *rig)
{
	ck_assert(tcp_listen(rig->b, &rig->listener));
	rig->client.conn = tcp_connect(rig->a, 0, IP_B, RIG_PORT, &rig_handler, &rig->client);
	ck_assert_ptr_nonnull(rig->client.conn);
}

static inline size_t rig_conns(const struct node *node)
{
	const struct tcp_stack *stack = node->ip->tcp;

	return stack ? tcp_conns_count(stack) : 0;
}

static inline void rig_stop(struct rig *rig)
{
	if (rig->pcap)
		fclose(rig->pcap);
	sim_free(rig->sim);
}

/* Both ends have received the other's bytes, all of them, and closed in order. */
static inline void rig_check_complete(const struct rig *rig, const char *what)
{
	const struct end *ends[] = { &rig->client, &rig->server };

	for (unsigned i = 0; i < 2; i++) {
		ck_assert_msg(ends[i]->got == ends[i ^ 1]->to_send, "%s: %s got %zu of %zu bytes", what,
		              i ? "server" : "client", ends[i]->got, ends[i ^ 1]->to_send);
		ck_assert_msg(!ends[i]->wrong_byte, "%s: wrong byte", what);
		ck_assert_msg(ends[i]->closed && ends[i]->closes == 1, "%s: %s not closed", what,
		              i ? "server" : "client");
		ck_assert_msg(ends[i]->how == TCP_END_CLOSED, "%s: ended by %d", what, (int)ends[i]->how);
	}
	ck_assert_uint_eq(rig_conns(rig->a) + rig_conns(rig->b), 0);
}

#endif

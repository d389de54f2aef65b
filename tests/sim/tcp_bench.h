/*
 * A bare node as the peer of host b's TCP, for segments made by hand: the link is tapped, and what b sends is noted
 * instead of arriving.
 */
#ifndef TOLLGATE_TESTS_SIM_TCP_BENCH_H
#define TOLLGATE_TESTS_SIM_TCP_BENCH_H

#include "tests/sim/tcp_rig.h"

#define PEER_PORT 4000
#define PEER_ISN UINT32_C(0xfffffff0) /* the sequence numbers wrap soon */
#define ANSWERS_MAX 256

struct answer {
	uint32_t seq, ack, len;
	uint16_t window, mss;
	uint8_t flags;
	sim_ns at_ns;
	uint8_t first; /* byte of data */
};

struct bench {
	struct rig rig;
	struct answer answers[ANSWERS_MAX];
	unsigned answered;
	char refused[32]; /* the last named refusal, and how many there were */
	unsigned refusals;
	uint32_t seq, ack; /* what the peer sends with */
	uint16_t window;
};

static inline enum tap_verdict take(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                    struct packet *frame)
{
	struct bench *bench = ctx;
	const uint8_t *p = frame->data + ETHERNET_HEADER_LEN + IP_HEADER_LEN;
	uint32_t header_len = (uint32_t)(p[12] >> 4) * 4;
	struct answer *answer = &bench->answers[bench->answered % ANSWERS_MAX];

	(void)from;
	(void)to;
	*answer = (struct answer){ .seq = get_be32(p + 4), .ack = get_be32(p + 8), .flags = p[13],
				   .window = get_be16(p + 14), .at_ns = link->sim->now_ns,
				   .len = frame->len - ETHERNET_HEADER_LEN - IP_HEADER_LEN - header_len };
	if (header_len == 24)
		answer->mss = get_be16(p + 22);
	if (answer->len > 0)
		answer->first = p[header_len];
	bench->answered++;
	packet_free(frame);
	return TAP_TAKEN;
}

static inline void note_refusal(void *ctx, const struct node *at, const char *check, uint32_t src_ip,
                                uint64_t tag, const char *detail)
{
	struct bench *bench = ctx;

	(void)at;
	(void)src_ip;
	(void)tag;
	(void)detail;
	snprintf(bench->refused, sizeof(bench->refused), "%s", check);
	bench->refusals++;
}

static const struct trace_ops bench_trace = { .refusal = note_refusal };

static inline void bench_start(struct bench *bench)
{
	static const struct link_params instant = { .delay_ns = 1000 };

	*bench = (struct bench){ .window = 65535 };
	rig_start(&bench->rig, 1, &instant);
	trace_attach(bench->rig.sim, &bench_trace, bench, TRACE_REFUSAL);
	bench->rig.link->tap = take;
	bench->rig.link->tap_ctx = bench;
	bench->rig.link->tapper = bench->rig.a;
	bench->rig.server.keep_open = true;
	ck_assert(tcp_listen(bench->rig.b, &bench->rig.listener));
}

/* Puts a checksum on a segment at the packet's data. */
static inline void checksum(struct packet *packet, uint32_t src, uint32_t dst)
{
	uint32_t sum = (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + IP_PROTO_TCP + packet->len;

	if (packet->len < TCP_HEADER_LEN)
		return;
	put_be16(packet->data + 16, 0);
	put_be16(packet->data + 16, inet_fold(inet_sum(packet->data, packet->len, sum)));
}

static inline struct packet *segment(struct bench *bench, uint8_t flags, uint32_t seq, uint32_t ack, size_t offset,
                                     uint32_t len)
{
	struct packet *packet = packet_new(bench->rig.sim, TCP_HEADER_LEN + len + 40);
	uint8_t *p = packet_append(packet, TCP_HEADER_LEN + len);

	put_be16(p, PEER_PORT);
	put_be16(p + 2, RIG_PORT);
	put_be32(p + 4, seq);
	put_be32(p + 8, ack);
	p[12] = 5 << 4;
	p[13] = flags;
	put_be16(p + 14, bench->window);
	put_be32(p + 16, 0);
	for (uint32_t i = 0; i < len; i++)
		p[TCP_HEADER_LEN + i] = rig_byte(0, offset + i);
	return packet;
}

/* Sends a segment to b and lets it arrive; answers are counted anew. */
static inline void send_packet(struct bench *bench, struct packet *packet)
{
	struct ip_info info = { .src = IP_A, .dst = IP_B, .proto = IP_PROTO_TCP };

	bench->answered = 0;
	ip_send(bench->rig.a, &info, packet);
	sim_run(bench->rig.sim, bench->rig.sim->now_ns + 10000);
}

static inline void send_at(struct bench *bench, uint8_t flags, uint32_t seq, uint32_t ack, size_t offset, uint32_t len)
{
	struct packet *packet = segment(bench, flags, seq, ack, offset, len);

	checksum(packet, IP_A, IP_B);
	send_packet(bench, packet);
}

static inline void later(struct bench *bench, sim_ns ns)
{
	bench->answered = 0;
	sim_run(bench->rig.sim, bench->rig.sim->now_ns + ns);
}

/* The handshake; an MSS option of 0 is left out. */
static inline void shake_hands(struct bench *bench, uint16_t mss)
{
	struct packet *syn = segment(bench, TCP_SYN, PEER_ISN, 0, 0, 0);

	if (mss) {
		uint8_t *option = packet_append(syn, 4);

		syn->data[12] = 6 << 4;
		option[0] = 2;
		option[1] = 4;
		put_be16(option + 2, mss);
	}
	checksum(syn, IP_A, IP_B);
	send_packet(bench, syn);
	ck_assert_uint_eq(bench->answered, 1);
	ck_assert_uint_eq(bench->answers[0].flags, TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(bench->answers[0].ack, PEER_ISN + 1);
	ck_assert_uint_eq(bench->answers[0].mss, TCP_MSS_DEFAULT);
	bench->seq = PEER_ISN + 1;
	bench->ack = bench->answers[0].seq + 1;
	ck_assert(!bench->rig.server.connected);
	send_at(bench, TCP_ACK, bench->seq, bench->ack, 0, 0);
	ck_assert(bench->rig.server.connected);
}

static inline void bench_stop(struct bench *bench)
{
	rig_stop(&bench->rig);
}

#endif

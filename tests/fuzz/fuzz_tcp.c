/*
 * Fuzzing of TCP: one connection and its listener meet a hostile peer.
 *
 * Input: a byte of options (bit 0: the node under test opens the connection, else it listens), then steps of STEP_LEN
 * bytes: what (enum step_kind) and seven bytes for it, see do_step(). Sequence numbers are given relative to what the
 * connection expects, so that mutations stay where they matter.
 * What must hold: the bytes received are those of their sequence numbers, each once and in order (a peer says the
 * same byte again at the same place, as real ones do); no callback after the last one; bounds of what is kept;
 * everything is gone when all is over.
 */
#include "sim/tcp_internal.h"
#include "tests/fuzz/fuzz.h"

#define PORT 88
#define PEER_PORT 4000
#define PEER_ISN UINT32_C(0xfffffff0) /* the sequence numbers wrap soon */
#define IP_A UINT32_C(0x0a000001)
#define IP_B UINT32_C(0x0a000002)
#define STEP_LEN 8
#define STEPS_MAX 200

enum step_kind {
	SEGMENT, /* flags, seq + 2 bytes (signed), ack + 2 bytes (signed), length / 8; window open */
	NARROW,  /* the same, but the ack is exact and its two bytes are the window */
	WILD,    /* the same with 4 bytes of sequence number and no data */
	OPTIONS, /* flags, then 6 bytes: a SYN's or another segment's options */
	BENT,    /* flags, then a byte of the header (modulo its length) XOR another, checksum put right */
	ICMP,    /* code, sequence number as in SEGMENT: an error about the connection */
	WAIT,    /* 2 bytes of milliseconds; third byte odd: seconds */
	SEND,    /* the owner sends so many bytes (2) */
	TAKE,    /* how many bytes the owner takes at once (2), 0: none; takes what is there */
	CLOSE,   /* first byte odd: aborts; bit 1: the listener ends, or begins again */
	STEP_KINDS
};

struct world {
	struct sim *sim;
	struct node *peer, *node;
	struct tcp_listener listener;
	struct tcp_conn *conn; /* NULL: none, or over */
	bool connected;
	uint32_t peer_isn, got;
	size_t bite;
	bool bent; /* the peer has contradicted itself */
};

/* The byte at a place of the peer's stream. */
static uint8_t byte_at(uint32_t offset)
{
	return (uint8_t)(offset * 131 + (offset >> 8) * 17);
}

static void on_connected(struct tcp_conn *conn, void *ctx)
{
	struct world *w = ctx;

	fuzz_require(conn == w->conn && !w->connected);
	w->connected = true;
}

static size_t on_received(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct world *w = ctx;

	(void)tag;
	fuzz_require(conn == w->conn && w->connected && len > 0);
	if (len > w->bite)
		len = w->bite;
	for (size_t i = 0; i < len && !w->bent; i++)
		fuzz_require(bytes[i] == byte_at(w->got + (uint32_t)i));
	w->got += (uint32_t)len;
	return len;
}

static void on_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct world *w = ctx;

	fuzz_require(conn == w->conn && how >= TCP_END_CLOSED && how <= TCP_END_TIMEOUT);
	w->conn = NULL;
	w->connected = false;
	w->got = 0;
}

static void on_peer_closed(struct tcp_conn *conn, void *ctx)
{
	fuzz_require(conn == ((struct world *)ctx)->conn); /* stays open on our side */
}

static const struct tcp_handler handler = {
	.connected = on_connected,
	.received = on_received,
	.peer_closed = on_peer_closed,
	.closed = on_closed,
};

static bool on_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **chosen,
                      void **ctx)
{
	struct world *w = listener->ctx;

	if (w->conn)
		return false; /* one at a time */
	w->conn = conn;
	w->peer_isn = conn->irs;
	*chosen = &handler;
	*ctx = w;
	return true;
}

/* The peer is played by hand: what is sent to it goes nowhere. */
static enum tap_verdict swallow(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                struct packet *frame)
{
	(void)ctx;
	(void)link;
	(void)from;
	fuzz_require(to->ip == IP_A && frame->len >= ETHERNET_HEADER_LEN + IP_HEADER_LEN);
	packet_free(frame);
	return TAP_TAKEN;
}

static void world_make(struct world *w, bool opens)
{
	static const struct link_params instant = { .delay_ns = 1000 };
	struct link *link;

	memset(w, 0, sizeof *w);
	w->sim = sim_new(1, SIM_DEFAULT_EPOCH_S);
	w->bite = SIZE_MAX;
	w->peer_isn = PEER_ISN;
	link = link_new(w->sim, "wire", &instant);
	w->peer = node_new(w->sim, "peer");
	w->node = node_new(w->sim, "node");
	iface_new(w->peer, link, "eth0", NULL, IP_A, 24);
	iface_new(w->node, link, "eth0", NULL, IP_B, 24);
	link->tap = swallow;
	link->tapper = w->peer;
	w->listener = (struct tcp_listener){ .port = PORT, .accept = on_accept, .ctx = w };
	if (opens)
		w->conn = tcp_connect(w->node, 0, IP_A, PEER_PORT, &handler, w);
	else
		fuzz_require(tcp_listen(w->node, &w->listener));
	sim_run(w->sim, w->sim->now_ns + 10000);
}

/* The connection that the peer's segments are for; NULL: none yet, or it waits for its end. */
static struct tcp_conn *live(const struct world *w)
{
	struct tcp_stack *stack = w->node->ip->tcp;

	return stack && stack->tables && stack->tables->conns.first ? conn_of(stack->tables->conns.first) : NULL;
}

static void send_segment(struct world *w, struct packet *packet)
{
	struct ip_info info = { .src = IP_A, .dst = IP_B, .proto = IP_PROTO_TCP };
	uint32_t sum = tcp_pseudo_sum(IP_A, IP_B, packet->len);

	put_be16(packet->data + 16, 0);
	put_be16(packet->data + 16, inet_fold(inet_sum(packet->data, packet->len, sum)));
	ip_send(w->peer, &info, packet);
	sim_run(w->sim, w->sim->now_ns + 10000);
}

static struct packet *segment(const struct world *w, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t window,
                              uint32_t len)
{
	const struct tcp_conn *conn = live(w);
	struct packet *packet = packet_new(w->sim, TCP_HEADER_LEN + 40 + len);
	uint8_t *p = packet_append(packet, TCP_HEADER_LEN + len);

	put_be16(p, PEER_PORT);
	put_be16(p + 2, conn ? conn->entry.local_port : PORT);
	put_be32(p + 4, seq);
	put_be32(p + 8, ack);
	p[12] = 5 << 4;
	p[13] = flags;
	put_be16(p + 14, window);
	put_be32(p + 16, 0);
	for (uint32_t i = 0; i < len; i++)
		p[TCP_HEADER_LEN + i] = byte_at(seq + i - (w->peer_isn + 1));
	return packet;
}

static uint32_t next_seq(const struct world *w)
{
	const struct tcp_conn *conn = live(w);

	return conn && conn->entry.state != TCP_SYN_SENT ? conn->entry.rcv_nxt : PEER_ISN;
}

static uint32_t next_ack(const struct world *w)
{
	const struct tcp_conn *conn = live(w);

	return conn ? conn->snd_max : 0;
}

static int16_t signed_be16(const uint8_t *p)
{
	return (int16_t)get_be16(p);
}

/* A SYN may begin another stream than the one whose bytes we check. */
static void note_flags(struct world *w, uint8_t flags)
{
	if (flags & TCP_SYN && live(w) && live(w)->entry.state != TCP_SYN_SENT)
		w->bent = true;
}

static void do_segment(struct world *w, const uint8_t *p)
{
	uint32_t seq = next_seq(w), ack = next_ack(w), len = p[7] * 8u;
	uint8_t flags = p[1] & 63;
	uint16_t window = 65535;

	note_flags(w, flags);
	if (p[0] % STEP_KINDS == WILD) {
		seq += get_be32(p + 2);
		len = 0;
	} else {
		seq += (uint32_t)(int32_t)signed_be16(p + 2);
		if (p[0] % STEP_KINDS == NARROW)
			window = get_be16(p + 4);
		else
			ack += (uint32_t)(int32_t)signed_be16(p + 4);
	}
	if (flags & TCP_SYN && !live(w))
		w->peer_isn = seq;
	else if (flags & TCP_SYN && live(w)->entry.state == TCP_SYN_SENT)
		w->peer_isn = seq;
	if (flags & TCP_SYN)
		len = 0;
	send_segment(w, segment(w, flags, seq, ack, window, len));
}

static void do_options(struct world *w, const uint8_t *p)
{
	struct packet *packet;

	note_flags(w, p[1]);
	packet = segment(w, p[1] & 63, next_seq(w), next_ack(w), 65535, 0);
	if (p[1] & TCP_SYN)
		w->peer_isn = next_seq(w);
	packet->data[12] = 7 << 4;
	memcpy(packet_append(packet, 8), (const uint8_t[8]){ p[2], p[3], p[4], p[5], p[6], p[7], 0, 0 }, 8);
	send_segment(w, packet);
}

static void do_bent(struct world *w, const uint8_t *p)
{
	struct packet *packet = segment(w, p[1] & 63, next_seq(w), next_ack(w), 65535, p[7]);

	w->bent = true;
	for (unsigned i = 2; i < 6; i += 2)
		packet->data[p[i] % packet->len] ^= p[i + 1];
	if (p[6] & 1)
		packet_trim(packet, p[6] % (packet->len - TCP_HEADER_LEN + 1));
	send_segment(w, packet);
}

/* An ICMP error that quotes a segment of the node's. */
static void do_icmp(struct world *w, const uint8_t *p)
{
	const struct tcp_conn *conn = live(w);
	struct ip_info info = { .src = IP_A, .dst = IP_B, .proto = IP_PROTO_ICMP };
	struct packet *packet = packet_new(w->sim, 36);
	uint8_t *out = packet_append(packet, 36);

	memset(out, 0, 36);
	out[0] = p[2] & 1 ? 11 : 3;
	out[1] = p[1] & 15;
	out[8] = 0x45;
	put_be16(out + 10, 40);
	out[16] = 64;
	out[17] = IP_PROTO_TCP;
	put_be32(out + 20, IP_B);
	put_be32(out + 24, IP_A);
	put_be16(out + 18, inet_fold(inet_sum(out + 8, 20, 0)));
	put_be16(out + 28, conn ? conn->entry.local_port : PORT);
	put_be16(out + 30, PEER_PORT);
	put_be32(out + 32, (conn ? conn->snd_una : 0) + (uint32_t)(int32_t)signed_be16(p + 4));
	put_be16(out + 2, inet_fold(inet_sum(out, 36, 0)));
	ip_send(w->peer, &info, packet);
	sim_run(w->sim, w->sim->now_ns + 10000);
}

static void do_close(struct world *w, uint8_t what)
{
	if (what & 2) {
		if (w->listener.node)
			tcp_unlisten(&w->listener);
		else
			fuzz_require(tcp_listen(w->node, &w->listener));
	} else if (w->conn && what & 1) {
		tcp_abort(w->conn);
		w->conn = NULL;
		w->connected = false;
		w->got = 0;
	} else if (w->conn) {
		tcp_close(w->conn);
	}
}

static void do_send(struct world *w, uint32_t len)
{
	uint8_t *bytes = malloc(len + 1);

	fuzz_require(bytes != NULL);
	memset(bytes, 0x5a, len + 1);
	if (w->conn)
		tcp_send(w->conn, bytes, len, 0);
	free(bytes);
}

static void do_step(struct world *w, const uint8_t p[STEP_LEN])
{
	switch ((enum step_kind)(p[0] % STEP_KINDS)) {
	case SEGMENT:
	case NARROW:
	case WILD:
		do_segment(w, p);
		break;
	case OPTIONS:
		do_options(w, p);
		break;
	case BENT:
		do_bent(w, p);
		break;
	case ICMP:
		do_icmp(w, p);
		break;
	case WAIT:
		sim_run(w->sim, w->sim->now_ns + get_be16(p + 1) * (p[3] & 1 ? NS_PER_S / 100 : NS_PER_MS));
		break;
	case SEND:
		do_send(w, get_be16(p + 1) % 20000u);
		break;
	case TAKE:
		w->bite = get_be16(p + 1);
		if (w->conn && w->connected)
			tcp_resume(w->conn);
		break;
	default:
		do_close(w, p[1]);
	}
}

static void check_bounds(const struct world *w)
{
	const struct tcp_stack *stack = w->node->ip->tcp;

	fuzz_require(stack != NULL && w->listener.pending <= TCP_BACKLOG_MAX);
	/* handshakes that are counted, and the one connection that its owner knows of */
	fuzz_require(tcp_conns_count(stack) == w->listener.pending + (w->conn ? 1 : 0));
	for (struct tcp_entry *e = stack->tables ? stack->tables->conns.first : NULL; e; e = e->next) {
		const struct tcp_conn *conn = conn_of(e);

		fuzz_require(conn->pieces.bytes <= TCP_RECEIVE_WINDOW && conn->pieces.count <= TCP_OUT_OF_ORDER_MAX);
		fuzz_require(conn->received.len <= TCP_RECEIVE_WINDOW && conn->buffer.len <= TCP_SEND_BUFFER_MAX);
		fuzz_require(conn->snd_max - conn->snd_una <= TCP_SEND_BUFFER_MAX + 2);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tcp_stack *stack;
	struct world w;

	if (size < 1 + STEP_LEN)
		return 0;
	world_make(&w, data[0] & 1);
	for (size_t at = 1, n = 0; at + STEP_LEN <= size && n < STEPS_MAX; at += STEP_LEN, n++) {
		do_step(&w, data + at);
		check_bounds(&w);
	}
	tcp_unlisten(&w.listener);
	if (w.conn)
		tcp_abort(w.conn);
	w.conn = NULL;
	sim_run(w.sim, w.sim->now_ns + 3600 * NS_PER_S);
	stack = w.node->ip->tcp;
	fuzz_require(tcp_conns_count(stack) == 0 && tcp_waits_count(stack) == 0);
	fuzz_require(w.sim->packets_live == 0);
	sim_free(w.sim);
	return 0;
}

#define HALVES(v) (uint8_t)((v) >> 8), (uint8_t)(v)
#define SEG(flags, seq, ack, eighths) \
	{ \
		SEGMENT, flags, HALVES(seq), HALVES(ack), 0, eighths \
	}

/* Conversations in order, and some that are not quite. */
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const uint8_t seeds[][12][STEP_LEN] = {
		/* listening: a request, an answer, the peer closes first */
		{ SEG(TCP_SYN, 0, 0, 0),
		  SEG(TCP_ACK, 0, 0, 0),
		  SEG(TCP_ACK | TCP_PSH, 0, 0, 12),
		  { SEND, 2, 0 },
		  SEG(TCP_ACK, 0, 0, 0),
		  SEG(TCP_ACK | TCP_FIN, 0, 0, 0),
		  { CLOSE },
		  SEG(TCP_ACK, 0, 0, 0),
		  { WAIT, 0xff, 0xff } },
		/* opening: we close first */
		{ SEG(TCP_SYN | TCP_ACK, 0, 0, 0),
		  { SEND, 0x10, 0 },
		  SEG(TCP_ACK, 0, 0, 0),
		  SEG(TCP_ACK | TCP_PSH, 0, 0, 200),
		  { CLOSE },
		  SEG(TCP_ACK, 0, 0, 0),
		  SEG(TCP_ACK | TCP_FIN, 0, 0, 0),
		  { WAIT, 0xff, 0xff, 1 } },
		/* out of order, overlapping, with a hungry owner */
		{ SEG(TCP_SYN, 0, 0, 0),
		  SEG(TCP_ACK, 0, 0, 0),
		  { TAKE, 0, 0 },
		  SEG(TCP_ACK, 64, 0, 16),
		  SEG(TCP_ACK, 160, 0, 8),
		  SEG(TCP_ACK, 32, 0, 8),
		  SEG(TCP_ACK, 0, 0, 12),
		  { TAKE, 0, 7 },
		  { TAKE, 0xff, 0xff },
		  SEG(TCP_ACK | TCP_FIN, 0, 0, 4),
		  { CLOSE },
		  SEG(TCP_ACK, 0, 0, 0) },
		/* losses: duplicate acknowledgements, a partial one, a closed window */
		{ SEG(TCP_SYN | TCP_ACK, 0, 0, 0),
		  { SEND, 0x40, 0 },
		  SEG(TCP_ACK, 0, -1460, 0),
		  SEG(TCP_ACK, 0, -1460, 0),
		  SEG(TCP_ACK, 0, -1460, 0),
		  SEG(TCP_ACK, 0, -1460, 0),
		  SEG(TCP_ACK, 0, -700, 0),
		  { NARROW, TCP_ACK },
		  { WAIT, 0x10, 0, 1 },
		  { NARROW, TCP_ACK, 0, 0, 1, 0 },
		  SEG(TCP_ACK, 0, 0, 0),
		  { CLOSE, 1 } },
		/* options, errors, resets */
		{ { OPTIONS, TCP_SYN, 2, 4, 2, 0, 1, 1 },
		  SEG(TCP_ACK, 0, 0, 0),
		  { ICMP, 3, 0, 0, 0, 0 },
		  { ICMP, 1, 1, 0, 0, 5 },
		  { WILD, TCP_ACK, 0x80, 0, 0, 0 },
		  { WILD, TCP_RST, 0, 0, 0, 9 },
		  { BENT, TCP_ACK, 12, 0x10, 13, 1, 3, 9 },
		  SEG(TCP_SYN, 5, 0, 0),
		  { CLOSE, 2 },
		  SEG(TCP_RST, 0, 0, 0),
		  { CLOSE, 2 },
		  SEG(TCP_SYN, 0, 0, 0) },
	};
	static const uint8_t opens[] = { 0, 1, 0, 1, 0 };

	if (nth >= sizeof opens)
		return 0;
	return fuzz_seed(opens[nth], seeds[nth], sizeof seeds[nth], out, size);
}

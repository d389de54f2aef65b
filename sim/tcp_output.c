/*
 * TCP, sending: segments (RFC 793 3.1), when they may go (RFC 1122 4.2.3.4), when they are sent again (RFC 6298, RFC
 * 793 3.7 for a closed window), and how fast (RFC 5681 with the partial acknowledgements of RFC 6582).
 *
 * Invariants: snd_una <= snd_nxt <= snd_max; bytes between snd_una and snd_max have been sent and not acknowledged. The
 * timer runs exactly when something is outstanding, or waits for the peer's window, or in FIN-WAIT-2.
 *
 * Times are integers; G of RFC 6298 is the nanosecond and vanishes.
 */
#include <assert.h>
#include <string.h>

#include "sim/tcp_internal.h"

#define MSS_OPTION_LEN 4
#define INITIAL_WINDOW_BYTES 4380 /* RFC 5681 3.1: with an MSS of at most 1460, three segments */

/* ---- segments ---- */

struct outgoing {
	uint32_t src, dst, seq, ack, len;
	uint16_t sport, dport, window;
	uint8_t flags;
	uint64_t tag;
	const struct tcp_ring *ring; /* where the data is, from offset on */
	uint32_t offset;
};

static void transmit(struct node *node, const struct outgoing *out)
{
	uint32_t header_len = TCP_HEADER_LEN + (out->flags & TCP_SYN ? MSS_OPTION_LEN : 0);
	uint32_t len = header_len + out->len;
	struct packet *packet = packet_new(node->sim, len);
	struct ip_info info = { .src = out->src, .dst = out->dst, .proto = IP_PROTO_TCP, .tag = out->tag };
	uint8_t *p = packet_append(packet, len);

	put_be16(p, out->sport);
	put_be16(p + 2, out->dport);
	put_be32(p + 4, out->seq);
	put_be32(p + 8, out->ack);
	p[12] = (uint8_t)(header_len / 4 << 4);
	p[13] = out->flags;
	put_be16(p + 14, out->window);
	put_be32(p + 16, 0); /* checksum, urgent pointer */
	if (out->flags & TCP_SYN) {
		p[20] = 2;
		p[21] = MSS_OPTION_LEN;
		put_be16(p + 22, TCP_MSS_DEFAULT);
	}
	if (out->len > 0)
		ring_copy(out->ring, out->offset, p + header_len, out->len);
	put_be16(p + 16, inet_fold(inet_sum(p, len, tcp_pseudo_sum(out->src, out->dst, len))));
	packet->tag = out->tag;
	packet->actor = node;
	ip_send(node, &info, packet);
}

uint32_t tcp_window_gain(const struct tcp_conn *conn)
{
	uint32_t edge = conn->entry.rcv_nxt + TCP_RECEIVE_WINDOW - conn->received.len;
	uint32_t gain = edge - conn->rcv_adv;

	/* RFC 1122 4.2.3.3: the edge moves by a segment or not at all; it never moves back. */
	return seq_lt(conn->rcv_adv, edge) && gain >= TCP_MSS_DEFAULT ? gain : 0;
}

/* Sends a segment of the connection: what every one has in common, and what it does to our ACKs. */
static void transmit_for(struct tcp_conn *conn, uint32_t seq, uint32_t len, uint8_t flags)
{
	struct tcp_entry *entry = &conn->entry;
	struct outgoing out = { .src = entry->local_ip, .dst = entry->remote_ip, .sport = entry->local_port,
				.dport = entry->remote_port, .seq = seq, .len = len, .flags = flags };

	if (flags & TCP_ACK) {
		conn->rcv_adv += tcp_window_gain(conn);
		conn->unacked = 0;
		conn->ack_now = false;
		sim_cancel(conn_sim(conn), &conn->ack_timer);
		out.ack = entry->rcv_nxt;
		out.window = (uint16_t)(conn->rcv_adv - entry->rcv_nxt);
	} else if (flags & TCP_SYN) {
		out.window = TCP_RECEIVE_WINDOW;
	}
	if (len > 0) {
		const struct tcp_mark *mark = marks_at(&conn->sent, seq);

		out.ring = &conn->buffer;
		out.offset = seq - conn->buffer_seq;
		out.tag = mark && mark->seq == seq ? mark->tag : 0;
	}
	if (flags & TCP_RST)
		out.window = 0;
	entry->stack->counters.sent++;
	transmit(conn_node(conn), &out);
}

/*
 * Sends what occupies sequence numbers: notes how far we have come, and times it when nothing is being timed and it is
 * sent for the first time (Karn's rule, RFC 6298 3).
 */
static void transmit_counted(struct tcp_conn *conn, uint32_t seq, uint32_t len, uint8_t flags)
{
	uint32_t end = seq + len + flags_len(flags);

	if (seq_lt(seq, conn->snd_max)) {
		conn->entry.stack->counters.retransmitted++;
		if (conn->timing && seq_lt(seq, conn->timed_seq))
			conn->timing = false;
	} else if (!conn->timing) {
		conn->timing = true;
		conn->timed_seq = end;
		conn->timed_from_ns = conn_sim(conn)->now_ns;
	}
	if (seq_lt(conn->snd_max, end))
		conn->snd_max = end;
	conn->last_sent_ns = conn_sim(conn)->now_ns;
	transmit_for(conn, seq, len, flags);
}

void tcp_send_syn(struct tcp_conn *conn)
{
	uint8_t flags = conn->entry.state == TCP_SYN_RECEIVED ? TCP_SYN | TCP_ACK : TCP_SYN;

	transmit_counted(conn, conn->iss, 0, flags);
	conn->entry.snd_nxt = conn->iss + 1;
	tcp_timer_set(conn, false);
}

void tcp_acknowledge(struct tcp_conn *conn)
{
	transmit_for(conn, conn->snd_max, 0, TCP_ACK);
}

void tcp_challenge(struct tcp_conn *conn)
{
	sim_ns now_ns = conn_sim(conn)->now_ns;

	if (now_ns < conn->challenge_due_ns)
		return;
	conn->challenge_due_ns = sim_later(now_ns, TCP_CHALLENGE_INTERVAL_NS);
	tcp_acknowledge(conn);
}

static void ack_timer_fire(struct sim *sim, struct event *event)
{
	(void)sim;
	tcp_acknowledge(event_owner(event, struct tcp_conn, ack_timer));
}

void tcp_delay_ack(struct tcp_conn *conn)
{
	if (++conn->unacked >= TCP_ACK_EVERY)
		conn->ack_now = true;
	else if (!event_pending(&conn->ack_timer))
		sim_after(conn_sim(conn), &conn->ack_timer, TCP_DELAYED_ACK_NS, ack_timer_fire, "tcp.delayed_ack");
}

void tcp_send_reset(struct tcp_conn *conn)
{
	conn->entry.stack->counters.resets_sent++;
	transmit_for(conn, conn->snd_max, 0, TCP_RST | TCP_ACK);
}

void tcp_refuse(struct node *node, const struct tcp_segment *segment)
{
	struct tcp_stack *stack = node->ip->tcp;
	struct outgoing out = { .src = segment->dst, .dst = segment->src, .sport = segment->dport,
				.dport = segment->sport, .flags = TCP_RST };

	if (segment->flags & TCP_RST)
		return;
	if (segment->flags & TCP_ACK) {
		out.seq = segment->ack;
	} else {
		out.flags |= TCP_ACK;
		out.ack = segment->seq + segment->len + flags_len(segment->flags);
	}
	if (stack) {
		stack->counters.sent++;
		stack->counters.resets_sent++;
	}
	transmit(node, &out);
}

void tcp_wait_acknowledge(struct tcp_entry *wait)
{
	struct outgoing out = { .src = wait->local_ip, .dst = wait->remote_ip, .sport = wait->local_port,
				.dport = wait->remote_port, .seq = wait->snd_nxt, .ack = wait->rcv_nxt,
				.flags = TCP_ACK, .window = TCP_RECEIVE_WINDOW };

	wait->stack->counters.sent++;
	transmit(wait->stack->node, &out);
}

/* ---- what may go ---- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static bool may_send(const struct tcp_conn *conn)
{
	switch (conn->entry.state) {
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return true;
	default:
		return false;
	}
}

/*
 * How many bytes from seq on belong to one segment if windows permit: to the MSS, or the end of what was sent in one
 * call.
 */
static uint32_t segment_len(const struct tcp_conn *conn, uint32_t seq)
{
	uint32_t end = conn_end_seq(conn);
	const struct tcp_mark *next = marks_after(&conn->sent, seq);

	if (!seq_lt(seq, end))
		return 0;
	if (next && seq_lt(next->seq, end))
		end = next->seq;
	return smaller(end - seq, conn->mss);
}

/* True when a segment that ends here ends what one call of tcp_send() gave. */
static bool ends_message(const struct tcp_conn *conn, uint32_t seq)
{
	const struct tcp_mark *mark = marks_at(&conn->sent, seq);

	return seq == conn_end_seq(conn) || (mark && mark->seq == seq);
}

/* The FIN is sent for the first time: the state says so. */
static void note_fin(struct tcp_conn *conn)
{
	if (conn->fin_sent)
		return;
	conn->fin_sent = true;
	conn->entry.state = conn->entry.state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT_1;
}

/*
 * Sends one segment from snd_nxt on if the windows permit, so many bytes at most. The FIN needs no window: it takes no
 * room at the peer. force: also one that is short because of the window (RFC 1122 4.2.3.4 lets it go only after a
 * while).
 */
static bool send_one(struct tcp_conn *conn, bool force)
{
	struct tcp_entry *entry = &conn->entry;
	uint32_t seq = entry->snd_nxt, flight = seq - conn->snd_una;
	uint32_t window = smaller(conn->snd_wnd, conn->cwnd);
	uint32_t room = window > flight ? window - flight : 0;
	uint32_t wanted = segment_len(conn, seq), len = smaller(wanted, room);
	bool fin = conn->closing && seq + len == conn_end_seq(conn);
	uint8_t flags = TCP_ACK;

	if (seq == conn_end_seq(conn) + 1 || (len == 0 && !fin))
		return false;
	if (len < wanted && !force && !seq_lt(seq, conn->snd_max) && len < conn->max_wnd / 2)
		return false;
	if (len > 0 && ends_message(conn, seq + len))
		flags |= TCP_PSH;
	if (fin) {
		flags |= TCP_FIN;
		note_fin(conn);
	}
	entry->snd_nxt = seq + len + (fin ? 1 : 0);
	transmit_counted(conn, seq, len, flags);
	return true;
}

static uint32_t initial_window(const struct tcp_conn *conn)
{
	return smaller(4u * conn->mss, larger(2u * conn->mss, INITIAL_WINDOW_BYTES));
}

static void output(struct tcp_conn *conn, bool force)
{
	bool idle = conn->snd_una == conn->snd_max;

	if (!may_send(conn))
		return;
	/* RFC 5681 4.1: after a pause nothing is known of the path any more. */
	if (idle && conn_sim(conn)->now_ns - conn->last_sent_ns > conn->rto_ns)
		conn->cwnd = smaller(conn->cwnd, initial_window(conn));
	while (send_one(conn, force))
		force = false;
	tcp_timer_set(conn, idle && conn->snd_una != conn->snd_max); /* not what is left of waiting for a window */
}

void tcp_output(struct tcp_conn *conn)
{
	output(conn, false);
}

/* ---- the timer ---- */

static bool something_unsent(const struct tcp_conn *conn)
{
	if (!may_send(conn))
		return false;
	return seq_lt(conn->entry.snd_nxt, conn_end_seq(conn)) || (conn->closing && !conn->fin_sent);
}

static uint8_t retries_max(const struct tcp_conn *conn)
{
	switch (conn->entry.state) {
	case TCP_SYN_SENT:
		return TCP_SYN_RETRIES;
	case TCP_SYN_RECEIVED:
		return TCP_SYN_ACK_RETRIES;
	default:
		return TCP_RETRIES;
	}
}

/* The window is closed: one byte shall make the peer tell us when it opens (RFC 1122 4.2.2.17). */
static void probe(struct tcp_conn *conn)
{
	uint32_t seq = conn->snd_una;
	uint8_t flags = TCP_ACK;

	if (ends_message(conn, seq + 1))
		flags |= TCP_PSH;
	transmit_counted(conn, seq, 1, flags);
	conn->timing = false;
	tcp_timer_set(conn, false);
}

/* Nothing came back in time: all that is outstanding counts as lost (RFC 5681 3.1 equation 4, RFC 6298 5.4 to 5.6). */
static void go_back(struct tcp_conn *conn)
{
	bool outstanding = conn->snd_una != conn->snd_max;

	if (outstanding) {
		if (conn->retries == 1)
			conn->ssthresh = larger((conn->snd_max - conn->snd_una) / 2, 2u * conn->mss);
		conn->cwnd = conn->mss;
		conn->recover = conn->snd_max;
		conn->recovering = false;
		conn->duplicate_acks = 0;
		conn->timing = false;
		conn->entry.snd_nxt = conn->snd_una;
	}
	output(conn, true);
}

static void retransmit(struct tcp_conn *conn)
{
	if (conn->retries >= retries_max(conn)) {
		if (conn->entry.state != TCP_SYN_SENT && conn->entry.state != TCP_SYN_RECEIVED)
			tcp_send_reset(conn);
		conn_end(conn, TCP_END_TIMEOUT);
		return;
	}
	conn->retries++;
	if (conn->rto_ns << conn->backoff < TCP_RTO_MAX_NS)
		conn->backoff++;
	if (conn->entry.state == TCP_SYN_SENT || conn->entry.state == TCP_SYN_RECEIVED)
		tcp_send_syn(conn);
	else if (conn->snd_wnd == 0 && conn->buffer.len > 0)
		probe(conn);
	else
		go_back(conn);
}

static void timer_fire(struct sim *sim, struct event *event)
{
	struct tcp_conn *conn = conn_of(event_owner(event, struct tcp_entry, timer));

	(void)sim;
	conn_hold(conn);
	if (conn->entry.state == TCP_FIN_WAIT_2) {
		tcp_send_reset(conn);
		conn_end(conn, TCP_END_TIMEOUT);
	} else {
		retransmit(conn);
	}
	conn_release(conn);
}

void tcp_timer_set(struct tcp_conn *conn, bool restart)
{
	struct sim *sim = conn_sim(conn);
	struct event *timer = &conn->entry.timer;
	sim_ns delay_ns = conn->rto_ns << conn->backoff;
	const char *name = "tcp.retransmit";

	if (delay_ns > TCP_RTO_MAX_NS)
		delay_ns = TCP_RTO_MAX_NS;
	if (conn->entry.state == TCP_FIN_WAIT_2) {
		delay_ns = TCP_FIN_WAIT_2_NS;
		name = "tcp.fin_wait_2";
	} else if (conn->snd_una == conn->snd_max) {
		name = something_unsent(conn) ? "tcp.persist" : NULL;
	}
	if (event_pending(timer) && !restart && name)
		return;
	sim_cancel(sim, timer);
	if (name)
		sim_after(sim, timer, delay_ns, timer_fire, name);
}

/* ---- round-trip time ---- */

/* RFC 6298 2.2 and 2.3 for a measured round trip, in the eighths and quarters of its constants. */
static void measured(struct tcp_conn *conn, sim_ns rtt_ns)
{
	sim_ns error_ns = rtt_ns - conn->srtt_ns;

	if (conn->srtt_ns == 0) {
		conn->srtt_ns = rtt_ns > 0 ? rtt_ns : 1;
		conn->rttvar_ns = rtt_ns / 2;
	} else {
		conn->rttvar_ns += ((error_ns < 0 ? -error_ns : error_ns) - conn->rttvar_ns) / 4;
		conn->srtt_ns += error_ns / 8;
		if (conn->srtt_ns <= 0)
			conn->srtt_ns = 1;
	}
	conn->rto_ns = conn->srtt_ns + 4 * conn->rttvar_ns;
	if (conn->rto_ns < TCP_RTO_MIN_NS)
		conn->rto_ns = TCP_RTO_MIN_NS;
	if (conn->rto_ns > TCP_RTO_MAX_NS)
		conn->rto_ns = TCP_RTO_MAX_NS;
	conn->backoff = 0;
}

/* ---- pace ---- */

void tcp_begin(struct tcp_conn *conn, uint16_t mss_option)
{
	uint16_t mss = mss_option ? mss_option : TCP_MSS_ABSENT;

	conn->mss = (uint16_t)smaller(larger(mss, TCP_MSS_MIN), TCP_MSS_DEFAULT);
	conn->cwnd = initial_window(conn);
	conn->ssthresh = TCP_SEND_BUFFER_MAX;
}

/* The handshake's end: RFC 6298 5.7 and RFC 5681 3.1, when it took more than one SYN. */
static void begin_after_loss(struct tcp_conn *conn)
{
	conn->rto_ns = TCP_RTO_AFTER_SYN_LOSS_NS;
	conn->backoff = 0;
	conn->cwnd = conn->mss;
}

static void retransmit_first(struct tcp_conn *conn)
{
	uint32_t resume = conn->entry.snd_nxt, cwnd = conn->cwnd;

	conn->entry.snd_nxt = conn->snd_una;
	conn->cwnd = larger(cwnd, conn->mss);
	send_one(conn, true);
	conn->cwnd = cwnd;
	if (seq_lt(conn->entry.snd_nxt, resume))
		conn->entry.snd_nxt = resume;
}

/* An ACK of new bytes while the losses of a window are being repaired (RFC 6582 3.2 step 3). */
static void recovering_ack(struct tcp_conn *conn, uint32_t ack)
{
	uint32_t acked = ack - conn->snd_una;

	if (seq_lt(ack, conn->recover)) {
		conn->cwnd = (conn->cwnd > acked ? conn->cwnd - acked : 0) + conn->mss;
		return; /* the next hole is filled when snd_una has moved: tcp_paced_ack() */
	}
	conn->recovering = false;
	conn->cwnd = smaller(conn->ssthresh, larger(conn->snd_max - ack, conn->mss) + conn->mss);
}

static void grow(struct tcp_conn *conn, uint32_t acked)
{
	if (conn->cwnd < conn->ssthresh)
		conn->cwnd += smaller(acked, conn->mss);
	else
		conn->cwnd += larger((uint32_t)conn->mss * conn->mss / conn->cwnd, 1);
	conn->cwnd = smaller(conn->cwnd, TCP_SEND_BUFFER_MAX);
}

void tcp_paced_ack(struct tcp_conn *conn, uint32_t ack)
{
	bool handshake = conn->snd_una == conn->iss;
	bool retried = conn->retries > 0, partial = false;

	if (conn->timing && seq_le(conn->timed_seq, ack)) {
		conn->timing = false;
		measured(conn, conn_sim(conn)->now_ns - conn->timed_from_ns);
	}
	if (handshake && retried) {
		begin_after_loss(conn);
	} else if (conn->recovering) {
		recovering_ack(conn, ack);
		partial = conn->recovering;
	} else if (!handshake) {
		grow(conn, ack - conn->snd_una);
	}
	if (!conn->recovering && seq_lt(conn->recover, ack))
		conn->recover = ack; /* so that it does not get out of date by half the sequence space */
	conn->duplicate_acks = 0;
	conn->retries = 0;
	conn->snd_una = ack;
	if (seq_lt(conn->entry.snd_nxt, ack))
		conn->entry.snd_nxt = ack;
	if (partial)
		retransmit_first(conn);
}

void tcp_paced_duplicate(struct tcp_conn *conn)
{
	if (conn->recovering) {
		conn->cwnd = smaller(conn->cwnd + conn->mss, TCP_SEND_BUFFER_MAX);
		return;
	}
	if (conn->duplicate_acks < TCP_DUPLICATE_ACKS)
		conn->duplicate_acks++;
	else
		return;
	/* RFC 6582 3.2 step 1: not for what was sent again already by the time-out. */
	if (conn->duplicate_acks < TCP_DUPLICATE_ACKS || seq_lt(conn->snd_una, conn->recover))
		return;
	conn->ssthresh = larger((conn->snd_max - conn->snd_una) / 2, 2u * conn->mss);
	conn->recover = conn->snd_max;
	conn->recovering = true;
	retransmit_first(conn);
	conn->cwnd = conn->ssthresh + TCP_DUPLICATE_ACKS * (uint32_t)conn->mss;
	tcp_timer_set(conn, true);
}

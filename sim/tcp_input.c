/*
 * TCP, receiving: a segment is taken apart and verified, finds its connection and goes through the steps of RFC 793 3.9
 * ("SEGMENT ARRIVES") in their order, with the stricter checks of RFC 5961 against blind resets and injected data.
 *
 * Nothing in a segment is believed before its lengths, options and checksum are verified. After every step that may
 * call the owner the connection may be dead: the step says so by returning false.
 */
#include <assert.h>
#include <stdlib.h>

#include "sim/tcp_internal.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define OPTION_MSS_LEN 4

/* ---- taking a segment apart ---- */

static void refuse(struct node *node, const char *why, uint32_t src, uint64_t tag, const char *detail)
{
	struct tcp_stack *stack = node->ip->tcp;

	node->ip->counters.dropped++;
	if (stack)
		stack->counters.refused++;
	trace_refuse(node, why, src, tag, detail);
}

/* RFC 793 3.1, RFC 1122 4.2.2.5: unknown options are passed over by their length. False: they do not add up. */
static bool options_parse(const uint8_t *options, uint32_t len, struct tcp_segment *segment)
{
	while (len > 0 && options[0] != OPTION_END) {
		uint32_t size = 1;

		if (options[0] != OPTION_NOP) {
			if (len < 2 || options[1] < 2 || options[1] > len)
				return false;
			size = options[1];
			if (options[0] == OPTION_MSS && size != OPTION_MSS_LEN)
				return false;
			if (options[0] == OPTION_MSS && segment->flags & TCP_SYN)
				segment->mss = get_be16(options + 2);
		}
		options += size;
		len -= size;
	}
	return true;
}

/* Addresses and flags that no peer has reason to send (RFC 1122 4.2.3.10). */
static bool is_possible(const struct node *node, const struct tcp_segment *segment)
{
	if (segment->src == 0 || ip_is_multicast(segment->dst) || ip_is_broadcast(node, segment->dst) ||
	    ip_is_broadcast(node, segment->src))
		return false;
	if (segment->sport == 0 || segment->dport == 0)
		return false;
	return !(segment->flags & TCP_SYN && segment->flags & (TCP_FIN | TCP_RST));
}

/* Verifies a segment and fills in what it says. False: refused. */
static bool segment_parse(struct node *node, const struct packet *packet, const struct ip_info *info,
                          struct tcp_segment *segment)
{
	const uint8_t *p = packet->data;
	uint32_t header_len;

	if (packet->len < TCP_HEADER_LEN) {
		refuse(node, "tcp.malformed", info->src, info->tag, "short header");
		return false;
	}
	if (inet_fold(inet_sum(p, packet->len, tcp_pseudo_sum(info->src, info->dst, packet->len))) != 0) {
		refuse(node, "tcp.checksum", info->src, info->tag, "");
		return false;
	}
	header_len = (uint32_t)(p[12] >> 4) * 4;
	if (header_len < TCP_HEADER_LEN || header_len > packet->len) {
		refuse(node, "tcp.malformed", info->src, info->tag, "data offset");
		return false;
	}
	*segment = (struct tcp_segment){
		.src = info->src,
		.dst = info->dst,
		.sport = get_be16(p),
		.dport = get_be16(p + 2),
		.seq = get_be32(p + 4),
		.ack = get_be32(p + 8),
		.flags = p[13],
		.window = get_be16(p + 14),
		.len = packet->len - header_len,
		.data = p + header_len,
		.tag = info->tag,
	};
	if (!options_parse(p + TCP_HEADER_LEN, header_len - TCP_HEADER_LEN, segment)) {
		refuse(node, "tcp.malformed", info->src, info->tag, "options");
		return false;
	}
	if (!is_possible(node, segment)) {
		refuse(node, "tcp.malformed", info->src, info->tag, "addresses or flags");
		return false;
	}
	return true;
}

/* ---- no connection ---- */

/* A segment that nobody here knows: RST, unless it is one. */
static void nobody(struct node *node, const struct tcp_segment *segment)
{
	node->ip->counters.dropped++;
	if (segment->tag)
		trace_fate(node->sim, segment->tag, node, FATE_LOST, "tcp.no_port");
	tcp_refuse(node, segment);
}

/* A SYN for a listener: the handshake begins. Its data, if any, is not acknowledged and comes again. */
static void listener_syn(struct tcp_stack *stack, struct tcp_listener *listener, const struct tcp_segment *segment)
{
	struct tcp_entry ends = { .local_ip = segment->dst, .local_port = segment->dport, .remote_ip = segment->src,
				  .remote_port = segment->sport };
	struct tcp_conn *conn;

	if (listener->pending >= TCP_BACKLOG_MAX) {
		refuse(stack->node, "tcp.backlog", segment->src, segment->tag, "");
		return;
	}
	if (tcp_conns_count(stack) >= TCP_CONNECTIONS_MAX) {
		refuse(stack->node, "tcp.connections", segment->src, segment->tag, "");
		return;
	}
	conn = conn_new(stack, &ends, TCP_SYN_RECEIVED);
	conn->listener = listener;
	listener->pending++;
	conn->irs = segment->seq;
	conn->entry.rcv_nxt = segment->seq + 1;
	conn->rcv_adv = conn->entry.rcv_nxt + TCP_RECEIVE_WINDOW;
	conn->snd_wnd = conn->max_wnd = segment->window;
	conn->snd_wl1 = segment->seq;
	tcp_begin(conn, segment->mss);
	tcp_send_syn(conn);
}

static void no_connection(struct node *node, const struct tcp_segment *segment)
{
	struct tcp_stack *stack = node->ip->tcp;
	struct tcp_listener *listener = stack ? tcp_listener_find(stack, segment->dst, segment->dport) : NULL;

	if (listener && segment->flags & TCP_RST)
		return;
	if (!listener || (segment->flags & (TCP_ACK | TCP_SYN)) != TCP_SYN)
		nobody(node, segment);
	else
		listener_syn(stack, listener, segment);
}

/*
 * A segment for an end that is closed. RST is not heeded (RFC 1337); a new SYN behind the old sequence numbers may use
 * the ports again (RFC 1122 4.2.2.13); what is sent again is acknowledged again.
 */
static void wait_input(struct tcp_entry *wait, const struct tcp_segment *segment)
{
	struct node *node = wait->stack->node;

	if (segment->flags & TCP_RST)
		return;
	if ((segment->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && seq_lt(wait->rcv_nxt, segment->seq) &&
	    tcp_listener_find(wait->stack, segment->dst, segment->dport)) {
		wait_free(wait);
		no_connection(node, segment);
		return;
	}
	if (segment->len == 0 && !(segment->flags & (TCP_SYN | TCP_FIN)))
		return;
	if (segment->flags & TCP_FIN)
		wait_restart(wait);
	tcp_wait_acknowledge(wait);
}

/* ---- handshake ---- */

/* The handshake is complete at the listening end. False: the connection is dead. */
static bool take_accept(struct tcp_conn *conn)
{
	struct tcp_listener *listener = conn->listener;
	const struct tcp_handler *handler = NULL;
	void *ctx = NULL;
	bool taken;

	conn->listener = NULL;
	listener->pending--;
	taken = listener->accept(listener, conn, &handler, &ctx);
	if (conn->entry.state == TCP_CLOSED)
		return false;
	if (!taken) {
		tcp_send_reset(conn);
		conn_forget(conn);
		return false;
	}
	assert(handler);
	conn->handler = handler;
	conn->ctx = ctx;
	conn->entry.stack->counters.accepted++;
	return true;
}

/* Both SYNs are acknowledged. False: the connection is dead. */
static bool established(struct tcp_conn *conn)
{
	conn->entry.state = TCP_ESTABLISHED;
	tcp_timer_set(conn, true);
	if (conn->listener && !take_accept(conn))
		return false;
	if (conn->handler->connected)
		conn->handler->connected(conn, conn->ctx);
	return conn->entry.state != TCP_CLOSED;
}

static void window_update(struct tcp_conn *conn, const struct tcp_segment *segment)
{
	conn->snd_wnd = segment->window;
	conn->snd_wl1 = segment->seq;
	conn->snd_wl2 = segment->ack;
	if (conn->max_wnd < conn->snd_wnd)
		conn->max_wnd = conn->snd_wnd;
}

/* RFC 793 3.9, SYN-SENT. */
static void syn_sent_input(struct tcp_conn *conn, const struct tcp_segment *segment)
{
	bool acked = (segment->flags & TCP_ACK) != 0;

	if (acked && segment->ack != conn->snd_max) {
		tcp_refuse(conn_node(conn), segment);
		return;
	}
	if (segment->flags & TCP_RST) {
		if (acked)
			conn_end(conn, TCP_END_REFUSED);
		return;
	}
	if (!(segment->flags & TCP_SYN))
		return;
	conn->irs = segment->seq;
	conn->entry.rcv_nxt = segment->seq + 1;
	conn->rcv_adv = conn->entry.rcv_nxt + TCP_RECEIVE_WINDOW;
	tcp_begin(conn, segment->mss);
	window_update(conn, segment);
	if (!acked) { /* both have opened at the same time */
		conn->entry.state = TCP_SYN_RECEIVED;
		tcp_send_syn(conn);
		return;
	}
	tcp_paced_ack(conn, segment->ack);
	tcp_acknowledge(conn);
	if (established(conn))
		tcp_output(conn);
}

/* An ACK in SYN-RECEIVED. False: it is none for our SYN, or the connection is dead. */
static bool syn_received_ack(struct tcp_conn *conn, const struct tcp_segment *segment)
{
	if (segment->ack != conn->snd_max) {
		tcp_refuse(conn_node(conn), segment);
		return false;
	}
	window_update(conn, segment);
	tcp_paced_ack(conn, segment->ack);
	return established(conn);
}

/* ---- acknowledgement ---- */

/* Our FIN is acknowledged. False: the connection is dead. */
static bool fin_acked(struct tcp_conn *conn)
{
	switch (conn->entry.state) {
	case TCP_FIN_WAIT_1:
		conn->entry.state = TCP_FIN_WAIT_2;
		tcp_timer_set(conn, true);
		return true;
	case TCP_CLOSING:
		conn_time_wait(conn);
		return false;
	case TCP_LAST_ACK:
		conn_end(conn, TCP_END_CLOSED);
		return false;
	default:
		return true;
	}
}

/* New bytes are acknowledged. False: the connection is dead. */
static bool new_ack(struct tcp_conn *conn, uint32_t ack)
{
	uint32_t end = conn_end_seq(conn);
	uint32_t bytes_to = seq_lt(end, ack) ? end : ack;

	tcp_paced_ack(conn, ack);
	ring_drop(&conn->buffer, bytes_to - conn->buffer_seq);
	conn->buffer_seq = bytes_to;
	if (conn->buffer.len == 0)
		marks_free(&conn->sent);
	else
		marks_drop(&conn->sent, bytes_to);
	tcp_timer_set(conn, true);
	return !(conn->fin_sent && ack == end + 1) || fin_acked(conn);
}

/* RFC 5681 2: an ACK that says no more than that something else has arrived. */
static bool is_duplicate(const struct tcp_conn *conn, const struct tcp_segment *segment)
{
	return segment->ack == conn->snd_una && conn->snd_una != conn->snd_max && segment->len == 0 &&
	       !(segment->flags & TCP_FIN) && segment->window == conn->snd_wnd && conn->snd_wnd > 0;
}

/* The fifth step, ACK, of a connection that stands. False: the segment is not to be looked at further. */
static bool ack_input(struct tcp_conn *conn, const struct tcp_segment *segment)
{
	bool was_closed = conn->snd_wnd == 0, duplicate = is_duplicate(conn, segment);

	/* RFC 5961 5.2: not above what was sent, nor further below than a window. */
	if (seq_lt(conn->snd_max, segment->ack) || seq_lt(segment->ack, conn->snd_una - conn->max_wnd)) {
		tcp_challenge(conn);
		return false;
	}
	if (seq_le(conn->snd_una, segment->ack) &&
	    (seq_lt(conn->snd_wl1, segment->seq) ||
	     (conn->snd_wl1 == segment->seq && seq_le(conn->snd_wl2, segment->ack))))
		window_update(conn, segment);
	if (conn->snd_wnd == 0)
		conn->retries = 0; /* it lives, and wants no more: for as long as it likes (RFC 1122 4.2.2.17) */
	if (was_closed && conn->snd_wnd > 0) {
		conn->backoff = 0;
		tcp_timer_set(conn, true);
	}
	if (seq_lt(conn->snd_una, segment->ack))
		return new_ack(conn, segment->ack);
	if (duplicate)
		tcp_paced_duplicate(conn);
	return true;
}

/* ---- data ---- */

void tcp_offer(struct tcp_conn *conn)
{
	struct sim *sim = conn_sim(conn);
	uint64_t cause = sim->cause;

	if (conn->offering)
		return;
	conn->offering = true;
	while (conn->entry.state != TCP_CLOSED && conn->received.len > 0) {
		uint32_t len = conn->received.len, seq = conn->entry.rcv_nxt - conn->fin_received - len;
		const struct tcp_mark *mark = marks_at(&conn->arrived, seq);
		uint64_t tag = mark ? mark->tag : 0;
		const uint8_t *bytes = conn->received.bytes + conn->received.start;
		size_t consumed = len;

		sim->cause = tag;
		if (conn->handler->received)
			consumed = conn->handler->received(conn, conn->ctx, bytes, len, tag);
		assert(consumed <= len);
		if (consumed == 0 || conn->entry.state == TCP_CLOSED)
			break;
		bytes_drop(&conn->received, (uint32_t)consumed);
		marks_renew(&conn->arrived, seq + (uint32_t)consumed);
	}
	conn->offering = false;
	sim->cause = cause;
}

/*
 * From seq, which is the end of what has come, on the bytes are those of another message; tag 0: of none that is
 * observed.
 */
static void mark(struct tcp_conn *conn, uint32_t seq, uint64_t tag)
{
	const struct tcp_mark *last = marks_at(&conn->arrived, seq);

	if ((last ? last->tag : 0) != tag)
		marks_add(&conn->arrived, seq, tag);
}

/* Takes the next bytes in order; what of them came before is passed over. seq is at or before rcv_nxt. */
static void take_bytes(struct tcp_conn *conn, uint32_t seq, const uint8_t *bytes, uint32_t len, uint8_t flags,
                       uint64_t tag)
{
	uint32_t old = conn->entry.rcv_nxt - seq;

	if (old >= len)
		return;
	if (old == 0 && tag)
		mark(conn, seq, tag);
	bytes_add(&conn->received, bytes + old, len - old);
	conn->entry.rcv_nxt = seq + len;
	if (flags & TCP_PSH)
		mark(conn, seq + len, 0);
}

/* What was kept and has become the next in order. True when there was a FIN behind it. */
static bool take_pieces(struct tcp_conn *conn)
{
	struct tcp_piece *piece;
	bool fin = false;

	while (!fin && (piece = pieces_take(&conn->pieces, conn->entry.rcv_nxt)) != NULL) {
		take_bytes(conn, piece->seq, piece->bytes, piece->len, piece->flags, piece->tag);
		fin = piece->flags & TCP_FIN && piece->seq + piece->len == conn->entry.rcv_nxt;
		free(piece);
	}
	return fin;
}

/* Cuts off what lies beyond the window that we have advertised; a FIN there is not heeded. */
static void trim_to_window(const struct tcp_conn *conn, struct tcp_segment *segment)
{
	uint32_t room = conn->rcv_adv - segment->seq;

	if (seq_lt(conn->rcv_adv, segment->seq))
		room = 0;
	if (segment->len > room) {
		segment->len = room;
		segment->flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
	}
}

/* The peer's FIN, in its turn. False: the connection is dead. */
static bool fin_input(struct tcp_conn *conn)
{
	conn->entry.rcv_nxt++;
	conn->fin_received = true;
	if (seq_lt(conn->rcv_adv, conn->entry.rcv_nxt))
		conn->rcv_adv = conn->entry.rcv_nxt; /* the window was closed: the FIN took no room in it */
	conn->ack_now = true;
	pieces_free(&conn->pieces);
	switch (conn->entry.state) {
	case TCP_ESTABLISHED:
		conn->entry.state = TCP_CLOSE_WAIT;
		break;
	case TCP_FIN_WAIT_1:
		conn->entry.state = TCP_CLOSING;
		break;
	default:
		break;
	}
	if (conn->handler->peer_closed)
		conn->handler->peer_closed(conn, conn->ctx);
	else
		tcp_close(conn);
	if (conn->entry.state == TCP_FIN_WAIT_2) {
		if (conn->ack_now)
			tcp_acknowledge(conn);
		conn_time_wait(conn);
	}
	return conn->entry.state != TCP_CLOSED;
}

/* The seventh and eighth steps, text and FIN. False: the connection is dead. */
static bool text_input(struct tcp_conn *conn, struct tcp_segment *segment)
{
	bool had_pieces = conn->pieces.first != NULL, fin;

	if (segment->len == 0 && !(segment->flags & TCP_FIN))
		return true;
	trim_to_window(conn, segment);
	if (seq_lt(conn->entry.rcv_nxt, segment->seq)) {
		if (segment->len > 0 || segment->flags & TCP_FIN)
			pieces_add(&conn->pieces, segment);
		conn->ack_now = true;
		return true;
	}
	fin = segment->flags & TCP_FIN;
	if (had_pieces || fin || seq_le(segment->seq + segment->len, conn->entry.rcv_nxt))
		conn->ack_now = true;
	else
		tcp_delay_ack(conn);
	take_bytes(conn, segment->seq, segment->data, segment->len, segment->flags, segment->tag);
	fin = fin || take_pieces(conn);
	tcp_offer(conn); /* also when a probe brings nothing: the owner may want by now what it did not want before */
	if (conn->entry.state == TCP_CLOSED)
		return false;
	return !fin || fin_input(conn);
}

/* ---- a connection that stands ---- */

/* RFC 793 3.3: does any of it lie in the window? With a closed one, what begins at it may carry an ACK, RST or FIN. */
static bool is_acceptable(const struct tcp_conn *conn, const struct tcp_segment *segment)
{
	uint32_t len = segment->len + flags_len(segment->flags);
	uint32_t next = conn->entry.rcv_nxt, edge = conn->rcv_adv;

	if (len == 0 || next == edge)
		return seq_le(next, segment->seq) && seq_le(segment->seq, edge);
	return seq_lt(segment->seq, edge) && seq_lt(next, segment->seq + len);
}

static void unacceptable(struct tcp_conn *conn, const struct tcp_segment *segment)
{
	if (segment->flags & TCP_RST)
		return;
	if (conn->entry.state == TCP_SYN_RECEIVED && segment->seq == conn->irs &&
	    (segment->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		tcp_send_syn(conn);
	else if (segment->len > 0 || segment->flags & TCP_FIN)
		tcp_acknowledge(conn);
	else
		tcp_challenge(conn);
}

/* RFC 5961 3.2: only an RST with exactly the next sequence number resets. */
static void reset_input(struct tcp_conn *conn, const struct tcp_segment *segment)
{
	if (segment->seq != conn->entry.rcv_nxt)
		tcp_challenge(conn);
	else
		conn_end(conn, conn->entry.state == TCP_SYN_RECEIVED ? TCP_END_REFUSED : TCP_END_RESET);
}

/* True in the states in which the peer may still send. */
static bool may_receive(const struct tcp_conn *conn)
{
	switch (conn->entry.state) {
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_FIN_WAIT_2:
		return true;
	default:
		return false;
	}
}

static void synchronized_input(struct tcp_conn *conn, struct tcp_segment *segment)
{
	if (conn->entry.state == TCP_SYN_RECEIVED && segment->seq == conn->irs && segment->ack == conn->snd_max &&
	    (segment->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		/*
		 * Both have opened at the same time: the SYN is known, its ACK completes the handshake (RFC 793 3.4
		 * figure 8).
		 */
		segment->seq++;
		segment->flags &= (uint8_t)~TCP_SYN;
	}
	if (!is_acceptable(conn, segment)) {
		unacceptable(conn, segment);
		return;
	}
	if (segment->flags & TCP_RST) {
		reset_input(conn, segment);
		return;
	}
	if (segment->flags & TCP_SYN) {
		tcp_challenge(conn); /* RFC 5961 4.2 */
		return;
	}
	if (!(segment->flags & TCP_ACK))
		return;
	if (conn->entry.state == TCP_SYN_RECEIVED && !syn_received_ack(conn, segment))
		return;
	if (!ack_input(conn, segment))
		return;
	if (conn->entry.state == TCP_FIN_WAIT_2)
		tcp_timer_set(conn, true);
	if (may_receive(conn) && !text_input(conn, segment))
		return;
	tcp_output(conn);
	if (conn->ack_now)
		tcp_acknowledge(conn);
}

/* ---- from IP ---- */

void tcp_input(struct node *node, struct packet *packet, const struct ip_info *info)
{
	struct tcp_stack *stack = node->ip->tcp;
	struct tcp_segment segment;
	struct tcp_entry *entry;
	struct tcp_conn *conn;

	if (stack)
		stack->counters.received++;
	if (!segment_parse(node, packet, info, &segment))
		return;
	entry = stack ? tcp_find(stack, segment.dst, segment.dport, segment.src, segment.sport) : NULL;
	if (!entry) {
		no_connection(node, &segment);
		return;
	}
	if (entry->state == TCP_TIME_WAIT) {
		wait_input(entry, &segment);
		return;
	}
	conn = conn_of(entry);
	conn_hold(conn);
	if (entry->state == TCP_SYN_SENT)
		syn_sent_input(conn, &segment);
	else
		synchronized_input(conn, &segment);
	conn_release(conn);
}

/* Errors that say that the peer will not answer (RFC 1122 4.2.3.9, RFC 1812 5.2.7.1). */
static bool is_hard(const struct icmp_error *error)
{
	enum { NET_PROHIBITED = 9, HOST_PROHIBITED = 10, PROHIBITED = 13 };

	if (error->type != ICMP_UNREACHABLE)
		return false;
	switch (error->code) {
	case ICMP_UNREACHABLE_PROTOCOL:
	case ICMP_UNREACHABLE_PORT:
	case NET_PROHIBITED:
	case HOST_PROHIBITED:
	case PROHIBITED:
		return true;
	default:
		return false;
	}
}

/* RFC 5927 4.1 and 5.2: only for what is outstanding, and only while the handshake we began is under way. */
void tcp_icmp_error(struct node *node, const struct icmp_error *error)
{
	struct tcp_stack *stack = node->ip->tcp;
	struct tcp_entry *entry;

	if (!stack || !is_hard(error))
		return;
	entry = tcp_find(stack, error->src, get_be16(error->transport), error->dst, get_be16(error->transport + 2));
	if (entry && entry->state == TCP_SYN_SENT && get_be32(error->transport + 4) == conn_of(entry)->iss)
		conn_end(conn_of(entry), TCP_END_REFUSED);
}

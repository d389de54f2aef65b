/*
 * What the files of TCP know of each other: a node's TCP state, a connection, and who does what to it.
 *
 * tcp.c has the table of connections, their life and the calls of tcp.h; tcp_input.c takes segments apart and moves the
 * state machine (RFC 793 3.9 with the checks of RFC 5961); tcp_output.c makes segments, times them and paces them (RFC
 * 6298, 5681, 6582); tcp_buffer.c keeps bytes not yet acknowledged, not yet in order, not yet consumed.
 *
 * Life: a connection is in its stack's list until conn_forget(), whose state TCP_CLOSED says that it is dead. Whoever
 * calls a callback holds it (conn_hold()), looks at the state afterwards, and conn_release() frees a dead one when the
 * last holder lets go. So anything may be done to a connection, or to its whole node by tcp_reset(), inside a callback.
 *
 * Tags are for observers. A segment that carries the first byte of a message carries its tag, be it the first time or
 * again; all others carry none. The receiver marks where tagged segments begin and where those with PSH end (our sender
 * sets it exactly at the end of a tcp_send()), so it knows the tag at every byte. An observer that is told LOST of a
 * tag that came over TCP takes that as provisional: the segment is sent again, and an ACCEPTED that follows is what
 * became of the message.
 */
#ifndef TOLLGATE_SIM_TCP_INTERNAL_H
#define TOLLGATE_SIM_TCP_INTERNAL_H

#include "sim/ip_stack.h"
#include "sim/tcp.h"

#define TCP_HEADER_LEN 20
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10

#define TCP_MSS_ABSENT 536 /* RFC 1122 4.2.2.6: the peer said nothing */
#define TCP_MSS_MIN 64     /* a peer that asks for less gets this: it may not make us send a packet for each byte */
#define TCP_RTO_INITIAL_NS (1 * NS_PER_S)          /* RFC 6298 2.1 */
#define TCP_RTO_AFTER_SYN_LOSS_NS (3 * NS_PER_S)   /* RFC 6298 5.7 */
#define TCP_RTO_MIN_NS (200 * NS_PER_MS)           /* below the second of RFC 6298 2.4, as stacks in use have it */
#define TCP_RTO_MAX_NS (60 * NS_PER_S)             /* RFC 6298 2.5 */
#define TCP_RETRIES 12     /* of the same bytes before the connection is given up */
#define TCP_SYN_RETRIES 6  /* of the SYN: 127 s */
#define TCP_SYN_ACK_RETRIES 5
#define TCP_DELAYED_ACK_NS (40 * NS_PER_MS)        /* RFC 1122 4.2.3.2: less than 0.5 s */
#define TCP_ACK_EVERY 2    /* segments */
#define TCP_CHALLENGE_INTERVAL_NS (500 * NS_PER_MS) /* between answers to unacceptable segments without data */
#define TCP_TIME_WAIT_NS (30 * NS_PER_S)           /* 2 MSL */
#define TCP_TIME_WAIT_MAX 65536                    /* at a node; the oldest goes */
/* How long a peer may be silent after we have closed: longer than it may need to get a segment through; as in BSD. */
#define TCP_FIN_WAIT_2_NS (675 * NS_PER_S)
#define TCP_DUPLICATE_ACKS 3                       /* RFC 5681 3.2 */
#define TCP_OUT_OF_ORDER_MAX 128                   /* segments kept of one connection */
#define TCP_PORT_EPHEMERAL_FIRST 49152
#define TCP_PORT_EPHEMERAL_COUNT (65536 - TCP_PORT_EPHEMERAL_FIRST)

enum tcp_state {
	TCP_CLOSED, /* dead */
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT /* a struct tcp_entry alone, no struct tcp_conn */
};

/* Sequence numbers, modulo 2^32 (RFC 793 3.3). */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

/* ---- buffers (tcp_buffer.c) ---- */

struct tcp_mark { /* from seq on the bytes belong to the message with this tag */
	uint32_t seq;
	uint64_t tag;
};
struct tcp_marks { /* by rising seq, each once */
	struct tcp_mark *list;
	uint32_t first, count, capacity;
};
/* Adds a mark at or behind the last; at the last's seq it takes its place. */
void marks_add(struct tcp_marks *marks, uint32_t seq, uint64_t tag);
/* The last mark at or before seq; NULL: none. */
const struct tcp_mark *marks_at(const struct tcp_marks *marks, uint32_t seq);
/* The first mark behind seq; NULL: none. */
const struct tcp_mark *marks_after(const struct tcp_marks *marks, uint32_t seq);
/* Forgets marks that say nothing of seq and what follows. */
void marks_drop(struct tcp_marks *marks, uint32_t seq);
/*
 * The same, and seq becomes where the mark begins that holds there: it does not get out of date by half the sequence
 * space while none is added. Where a message began is forgotten.
 */
void marks_renew(struct tcp_marks *marks, uint32_t seq);
void marks_free(struct tcp_marks *marks);

struct tcp_ring { /* bytes to be sent; memory only while there are some */
	uint8_t *bytes;
	uint32_t start, len, capacity; /* a power of two */
};
void ring_add(struct tcp_ring *ring, const uint8_t *bytes, uint32_t len);
void ring_copy(const struct tcp_ring *ring, uint32_t offset, uint8_t *out, uint32_t len);
void ring_drop(struct tcp_ring *ring, uint32_t len);
void ring_free(struct tcp_ring *ring);

struct tcp_bytes { /* bytes received in order and not consumed; memory only while there are some */
	uint8_t *bytes;
	uint32_t start, len, capacity;
};
void bytes_add(struct tcp_bytes *buffer, const uint8_t *bytes, uint32_t len);
void bytes_drop(struct tcp_bytes *buffer, uint32_t len);
void bytes_free(struct tcp_bytes *buffer);

struct tcp_piece { /* a segment that came before its turn */
	struct tcp_piece *next;
	uint64_t tag;
	uint32_t seq, len;
	uint8_t flags;
	uint8_t bytes[];
};
struct tcp_pieces { /* by rising seq; they may overlap */
	struct tcp_piece *first;
	uint32_t count, bytes; /* at most TCP_OUT_OF_ORDER_MAX and TCP_RECEIVE_WINDOW */
};

/* A segment as received, its header verified. */
struct tcp_segment {
	uint32_t src, dst, seq, ack;
	uint16_t sport, dport, window;
	uint16_t mss;        /* option; 0: absent */
	uint8_t flags;
	uint32_t len;        /* of data */
	const uint8_t *data; /* the lender's */
	uint64_t tag;
};
/* Keeps a copy of a segment unless it brings nothing new or there is no room. */
void pieces_add(struct tcp_pieces *pieces, const struct tcp_segment *segment);
/* Takes the first piece off when it begins at or before seq; NULL: none. The caller frees it. */
struct tcp_piece *pieces_take(struct tcp_pieces *pieces, uint32_t seq);
void pieces_free(struct tcp_pieces *pieces);

/* ---- the node's table and its entries (tcp.c) ---- */

struct tcp_entry { /* what a connection and a TIME-WAIT have in common */
	struct tcp_entry *hash_next, *previous, *next;
	struct tcp_stack *stack;
	struct event timer;          /* retransmission, persistence, FIN-WAIT-2 or TIME-WAIT */
	uint32_t local_ip, remote_ip;
	uint16_t local_port, remote_port;
	uint8_t state;               /* enum tcp_state */
	bool hashed;
	uint32_t snd_nxt;            /* next sequence number to send; goes back to snd_una on a time-out */
	uint32_t rcv_nxt;
};

struct tcp_list {
	struct tcp_entry *first, *last; /* in order of creation */
	size_t count;
};

struct tcp_tables {
	struct tcp_entry **buckets;     /* by addresses and ports; never walked to do something in its order */
	size_t bucket_count, hashed;
	struct tcp_list conns, waits;
};

struct tcp_stack {
	struct node *node;
	struct rng isn;                 /* stream "NODE/tcp.isn" */
	struct tcp_tables *tables;      /* NULL: no connection and nothing in TIME-WAIT */
	struct tcp_listener *listeners;
	uint32_t next_port;             /* ephemeral, from TCP_PORT_EPHEMERAL_FIRST */
	struct tcp_counters counters;
};
static inline size_t tcp_conns_count(const struct tcp_stack *stack)
{
	return stack->tables ? stack->tables->conns.count : 0;
}
static inline size_t tcp_waits_count(const struct tcp_stack *stack)
{
	return stack->tables ? stack->tables->waits.count : 0;
}

struct tcp_conn {
	struct tcp_entry entry;         /* first */
	const struct tcp_handler *handler; /* NULL until accepted */
	void *ctx;
	struct tcp_listener *listener;  /* while its handshake is counted there */
	unsigned holders;
	bool offering;                  /* inside received() */

	/* sending: buffer[0] has sequence number buffer_seq; the FIN comes behind its last byte */
	uint32_t iss, snd_una, snd_max;
	uint32_t snd_wnd, snd_wl1, snd_wl2, max_wnd;
	uint16_t mss;
	bool closing;                   /* tcp_close() was called */
	bool fin_sent;
	uint32_t buffer_seq;
	struct tcp_ring buffer;
	struct tcp_marks sent;          /* where each tcp_send() begins, from buffer_seq on */

	/* retransmission */
	sim_ns srtt_ns, rttvar_ns, rto_ns; /* srtt 0: not measured yet */
	uint8_t retries, backoff;
	bool timing;                    /* a segment is being timed, that ends at timed_seq */
	uint32_t timed_seq;
	sim_ns timed_from_ns, last_sent_ns;

	/* congestion */
	uint32_t cwnd, ssthresh;
	uint32_t recover;               /* snd_max when the last loss was found */
	uint8_t duplicate_acks;
	bool recovering;

	/* receiving */
	uint32_t irs, rcv_adv;          /* rcv_adv: right edge of the window that the peer knows */
	struct tcp_bytes received;
	struct tcp_marks arrived;
	struct tcp_pieces pieces;
	struct event ack_timer;
	uint8_t unacked;                /* segments since the last ACK */
	bool ack_now;
	bool fin_received;              /* rcv_nxt is one behind the last byte then */
	sim_ns challenge_due_ns;
};

static inline struct tcp_conn *conn_of(struct tcp_entry *entry)
{
	return (struct tcp_conn *)(void *)entry;
}
static inline struct node *conn_node(const struct tcp_conn *conn)
{
	return conn->entry.stack->node;
}
static inline struct sim *conn_sim(const struct tcp_conn *conn)
{
	return conn->entry.stack->node->sim;
}
/* The sequence number behind the last byte queued: the FIN's. */
static inline uint32_t conn_end_seq(const struct tcp_conn *conn)
{
	return conn->buffer_seq + conn->buffer.len;
}

/* The connection or TIME-WAIT with these ends; NULL: none. */
struct tcp_entry *tcp_find(struct tcp_stack *stack, uint32_t local_ip, uint16_t local_port, uint32_t remote_ip,
                           uint16_t remote_port);
/* The listener for an address and port, one for that address before one for all; NULL: none. */
struct tcp_listener *tcp_listener_find(const struct tcp_stack *stack, uint32_t ip, uint16_t port);
/* A new connection in the list, its initial sequence number chosen; in the table when it has a local port. */
struct tcp_conn *conn_new(struct tcp_stack *stack, const struct tcp_entry *ends, enum tcp_state state);
void conn_hold(struct tcp_conn *conn);
void conn_release(struct tcp_conn *conn);
/* Takes a connection out of everything; it is dead then, and freed when nobody holds it. No callback. */
void conn_forget(struct tcp_conn *conn);
/* The same with the callback closed(). */
void conn_end(struct tcp_conn *conn, enum tcp_end how);
/* Both directions are closed: leaves a TIME-WAIT behind and ends the connection. */
void conn_time_wait(struct tcp_conn *conn);
void wait_restart(struct tcp_entry *wait);
void wait_free(struct tcp_entry *wait);

/* ---- sending (tcp_output.c) ---- */

/* The sum over the pseudo header (RFC 793 3.1) of a segment of so many bytes. */
static inline uint32_t tcp_pseudo_sum(uint32_t src, uint32_t dst, uint32_t len)
{
	return (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + IP_PROTO_TCP + len;
}
/* How many sequence numbers SYN and FIN take. */
static inline uint32_t flags_len(uint8_t flags)
{
	return (flags & TCP_SYN ? 1 : 0) + (flags & TCP_FIN ? 1 : 0);
}
/* Sends what window and state permit, and sets the timer by what is outstanding then. */
void tcp_output(struct tcp_conn *conn);
/* Sends an ACK without data. */
void tcp_acknowledge(struct tcp_conn *conn);
/* The same for an unacceptable segment without data: not more often than TCP_CHALLENGE_INTERVAL_NS (RFC 5961 7). */
void tcp_challenge(struct tcp_conn *conn);
/* Notes that a segment wants an ACK: at once by the second, else by the timer. */
void tcp_delay_ack(struct tcp_conn *conn);
/* Sends (again) the SYN, with ACK when the peer's has come. */
void tcp_send_syn(struct tcp_conn *conn);
void tcp_send_reset(struct tcp_conn *conn);
/* RST for a segment that belongs to no connection (RFC 793 3.4); none for an RST. */
void tcp_refuse(struct node *node, const struct tcp_segment *segment);
void tcp_wait_acknowledge(struct tcp_entry *wait);
/* The peer's MSS option (0: absent) and the loss of SYNs decide how to begin. */
void tcp_begin(struct tcp_conn *conn, uint16_t mss_option);
/* New bytes are acknowledged, up to ack; snd_una is still the old one. */
void tcp_paced_ack(struct tcp_conn *conn, uint32_t ack);
/* Another ACK for the same sequence number. */
void tcp_paced_duplicate(struct tcp_conn *conn);
/* Sets the timer by what is outstanding; restart: also when it runs. */
void tcp_timer_set(struct tcp_conn *conn, bool restart);
/*
 * How far the window that we advertise could be opened beyond what the peer knows; 0 when that is too little to tell.
 */
uint32_t tcp_window_gain(const struct tcp_conn *conn);

/* ---- receiving (tcp_input.c) ---- */

/* Offers what is not consumed to the owner, as long as it consumes some. */
void tcp_offer(struct tcp_conn *conn);

#endif

/*
 * TCP (RFC 793, 1122, 6298, 5681 in its simplest sender): handshake, MSS, cumulative acknowledgement, out-of-order
 * segments kept, retransmission with back-off, FIN, RST, time-out, TIME-WAIT.
 *
 * Everything is by callback; a connection is the stack's until closed() has been called, after which its pointer is
 * dead. closed() comes when both directions are closed and acknowledged: the wait of 2 MSL that follows (TIME-WAIT)
 * needs no connection and is kept by the stack in a few bytes.
 *
 * Why a segment was dropped, as fates and refusals name it: "tcp.malformed", "tcp.checksum", "tcp.no_port" (no
 * connection and no listener, or none that may take it), "tcp.backlog", "tcp.connections" (a SYN beyond a listener's or
 * the node's bound).
 */
#ifndef TOLLGATE_SIM_TCP_H
#define TOLLGATE_SIM_TCP_H

#include "sim/ip.h"

struct tcp_conn;

enum tcp_end {
	TCP_END_CLOSED,   /* both sides closed in order */
	TCP_END_REFUSED,  /* RST or a hard ICMP error to our SYN; or the node has no route or no port to open it */
	TCP_END_RESET,
	TCP_END_TIMEOUT   /* retransmissions or the handshake gave up */
};

struct tcp_handler {
	void (*connected)(struct tcp_conn *conn, void *ctx);            /* both ends, after accept(); may be NULL */
	/*
	 * len bytes in order have come; return how many were consumed. While some are consumed the rest is offered
	 * again at once; when none are, with more or by tcp_resume(). tag is that of the message whose bytes begin at
	 * bytes[0]. Bytes that are not consumed close the window (TCP_RECEIVE_WINDOW). NULL: all are consumed and
	 * forgotten.
	 */
	size_t (*received)(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag);
	void (*peer_closed)(struct tcp_conn *conn, void *ctx);          /* FIN; default: close ours */
	void (*closed)(struct tcp_conn *conn, void *ctx, enum tcp_end how); /* last call; not after tcp_abort() */
};

struct tcp_listener {
	struct node *node;
	uint32_t ip;      /* 0: any local address */
	uint16_t port;
	/* Chooses handler and ctx of a new connection, when the handshake is complete; false refuses it (RST). */
	bool (*accept)(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler,
	               void **ctx);
	void *ctx;
	struct tcp_listener *next;
	unsigned pending; /* handshakes under way; at most TCP_BACKLOG_MAX */
};

#define TCP_MSS_DEFAULT 1460
#define TCP_CONNECTIONS_MAX 65536 /* at one node */
#define TCP_BACKLOG_MAX 512       /* handshakes under way at one listener */
#define TCP_SEND_BUFFER_MAX (1 << 20)
#define TCP_RECEIVE_WINDOW 65535

/* Listens with a listener embedded in its owner: ip, port, accept and ctx are set. False when the port is taken. */
bool tcp_listen(struct node *node, struct tcp_listener *listener);
/* Ends listening, and with RST the handshakes under way; connections stay. Harmless when it does not listen. */
void tcp_unlisten(struct tcp_listener *listener);
/*
 * Opens a connection; src 0: chosen. Never NULL. The outcome comes by callback, never from inside this call. handler
 * and ctx are borrowed until closed() or tcp_abort().
 */
struct tcp_conn *tcp_connect(struct node *node, uint32_t src, uint32_t dst, uint16_t dport,
                             const struct tcp_handler *handler, void *ctx);
/*
 * Queues bytes, which are copied and may be sent before the connection stands. tag belongs to the message that starts
 * with bytes[0]: no segment holds bytes of two calls, and the last of a call has PSH. False: buffer full or closing.
 */
bool tcp_send(struct tcp_conn *conn, const uint8_t *bytes, size_t len, uint64_t tag);
/* Offers the bytes that received() has not consumed once more, from inside this call. Harmless when there are none. */
void tcp_resume(struct tcp_conn *conn);
/* Sends what is queued, then FIN. What the peer sends until its own FIN is still received. */
void tcp_close(struct tcp_conn *conn);
/* RST, and forget; no more callbacks. Safe inside a callback; harmless inside closed(). */
void tcp_abort(struct tcp_conn *conn);
void tcp_peer(const struct tcp_conn *conn, uint32_t *ip, uint16_t *port);
uint32_t tcp_local_ip(const struct tcp_conn *conn);
struct node *tcp_node(const struct tcp_conn *conn);
/* Forgets all connections and listeners of a node without a word on the wire. Listeners are not touched. */
void tcp_reset(struct node *node);

struct tcp_counters { /* of a node; segments, but for the last two */
	uint64_t received, refused, sent, retransmitted, resets_sent;
	uint64_t opened, accepted;
};
/* Zero while the node has not used TCP. */
struct tcp_counters tcp_counters(const struct node *node);

#endif

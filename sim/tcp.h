/*
 * TCP (RFC 793, 1122, 6298, 5681 in its simplest sender): handshake, MSS, cumulative acknowledgement, out-of-order
 * segments kept, retransmission with back-off, FIN, RST, time-out, TIME-WAIT.
 *
 * Everything is by callback; a connection is the stack's until closed() has been called, after which its pointer is dead.
 */
#ifndef TOLLGATE_SIM_TCP_H
#define TOLLGATE_SIM_TCP_H

#include "sim/ip.h"

struct tcp_conn;

enum tcp_end {
	TCP_END_CLOSED,   /* both sides closed in order */
	TCP_END_REFUSED,  /* RST to our SYN */
	TCP_END_RESET,
	TCP_END_TIMEOUT   /* retransmissions or the handshake gave up */
};

struct tcp_handler {
	void (*connected)(struct tcp_conn *conn, void *ctx);            /* may be NULL */
	/* len bytes in order have come; return how many were consumed (the rest is offered again with more). tag is that of
	 * the message whose bytes begin at bytes[0]. */
	size_t (*received)(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag);
	void (*peer_closed)(struct tcp_conn *conn, void *ctx);          /* FIN; default: close ours */
	void (*closed)(struct tcp_conn *conn, void *ctx, enum tcp_end how); /* last call; not after tcp_abort() */
};

struct tcp_listener {
	struct node *node;
	uint32_t ip;      /* 0: any local address */
	uint16_t port;
	/* Chooses handler and ctx of a new connection; false refuses it (RST). */
	bool (*accept)(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler, void **ctx);
	void *ctx;
	struct tcp_listener *next;
};

#define TCP_MSS_DEFAULT 1460
#define TCP_CONNECTIONS_MAX 65536 /* at one node */
#define TCP_SEND_BUFFER_MAX (1 << 20)
#define TCP_RECEIVE_WINDOW 65535

bool tcp_listen(struct node *node, struct tcp_listener *listener);
void tcp_unlisten(struct tcp_listener *listener);
/* Opens a connection; src 0: chosen. Never NULL. The outcome comes by callback, never from inside this call. */
struct tcp_conn *tcp_connect(struct node *node, uint32_t src, uint32_t dst, uint16_t dport,
                             const struct tcp_handler *handler, void *ctx);
/* Queues bytes; copies them. tag belongs to the message that starts with bytes[0]. False: buffer full or closing. */
bool tcp_send(struct tcp_conn *conn, const uint8_t *bytes, size_t len, uint64_t tag);
/* Sends what is queued, then FIN. */
void tcp_close(struct tcp_conn *conn);
/* RST, and forget; no more callbacks. */
void tcp_abort(struct tcp_conn *conn);
void tcp_peer(const struct tcp_conn *conn, uint32_t *ip, uint16_t *port);
uint32_t tcp_local_ip(const struct tcp_conn *conn);
struct node *tcp_node(const struct tcp_conn *conn);
/* Forgets all connections and listeners of a node without a word on the wire. */
void tcp_reset(struct node *node);

#endif

/*
 * TCP of a node: its table of connections, how these begin and end, listeners, and the calls of tcp.h.
 *
 * Invariants: an entry is in exactly one of its stack's lists, conns or waits, from its creation to its end; in the
 * table it is found by its two addresses and ports, which are there once. Lists and table are there while they have an
 * entry. A stack is made when a node first listens or connects, and lasts as long as the node, so that initial sequence
 * numbers and ports do not begin anew when the node is reset.
 *
 * Initial sequence numbers are random (RFC 6528 asks that they cannot be guessed), from the node's own stream.
 */
#include <assert.h>
#include <stdlib.h>

#include "sim/tcp_internal.h"

#define BUCKETS_FIRST 4
#define ENTRIES_PER_BUCKET 2

/* ---- lists and table ---- */

static struct tcp_tables *tables_make(struct tcp_stack *stack)
{
	if (!stack->tables)
		stack->tables = sim_alloc(sizeof(*stack->tables));
	return stack->tables;
}

/* Frees the tables of a stack that has nothing in them: most nodes talk TCP now and then only. */
static void tables_end(struct tcp_stack *stack)
{
	struct tcp_tables *tables = stack->tables;

	if (tables->conns.count > 0 || tables->waits.count > 0)
		return;
	assert(tables->hashed == 0);
	free(tables->buckets);
	free(tables);
	stack->tables = NULL;
}

static void list_add(struct tcp_list *list, struct tcp_entry *entry)
{
	entry->previous = list->last;
	entry->next = NULL;
	*(list->last ? &list->last->next : &list->first) = entry;
	list->last = entry;
	list->count++;
}

static void list_remove(struct tcp_list *list, struct tcp_entry *entry)
{
	*(entry->previous ? &entry->previous->next : &list->first) = entry->next;
	*(entry->next ? &entry->next->previous : &list->last) = entry->previous;
	list->count--;
}

static struct tcp_entry **bucket_of(const struct tcp_tables *tables, uint32_t local_ip, uint16_t local_port,
                                    uint32_t remote_ip, uint16_t remote_port)
{
	uint64_t hash = ((uint64_t)local_ip << 32 | remote_ip) * UINT64_C(0x9e3779b97f4a7c15);

	hash = (hash ^ hash >> 32 ^ ((uint64_t)local_port << 16 | remote_port)) * UINT64_C(0x9e3779b97f4a7c15);
	return &tables->buckets[hash >> 32 & (tables->bucket_count - 1)];
}

static struct tcp_entry **bucket_of_entry(const struct tcp_entry *entry)
{
	return bucket_of(entry->stack->tables, entry->local_ip, entry->local_port, entry->remote_ip, entry->remote_port);
}

static void table_grow(struct tcp_tables *tables)
{
	struct tcp_entry **old = tables->buckets;
	size_t old_count = tables->bucket_count;

	tables->bucket_count = old ? old_count * 2 : BUCKETS_FIRST;
	tables->buckets = sim_alloc(tables->bucket_count * sizeof(struct tcp_entry *));
	for (size_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct tcp_entry *entry = old[i], **bucket = bucket_of_entry(entry);

			old[i] = entry->hash_next;
			entry->hash_next = *bucket;
			*bucket = entry;
		}
	}
	free(old);
}

static void table_add(struct tcp_entry *entry)
{
	struct tcp_tables *tables = entry->stack->tables;
	struct tcp_entry **bucket;

	if (tables->hashed >= tables->bucket_count * ENTRIES_PER_BUCKET)
		table_grow(tables);
	bucket = bucket_of_entry(entry);
	entry->hash_next = *bucket;
	*bucket = entry;
	entry->hashed = true;
	tables->hashed++;
}

static void table_remove(struct tcp_entry *entry)
{
	struct tcp_entry **at;

	if (!entry->hashed)
		return;
	for (at = bucket_of_entry(entry); *at != entry;)
		at = &(*at)->hash_next;
	*at = entry->hash_next;
	entry->hashed = false;
	entry->stack->tables->hashed--;
}

struct tcp_entry *tcp_find(struct tcp_stack *stack, uint32_t local_ip, uint16_t local_port, uint32_t remote_ip,
                           uint16_t remote_port)
{
	struct tcp_entry *entry;

	if (!stack->tables || !stack->tables->buckets)
		return NULL;
	entry = *bucket_of(stack->tables, local_ip, local_port, remote_ip, remote_port);
	while (entry && (entry->local_ip != local_ip || entry->remote_ip != remote_ip ||
	                 entry->local_port != local_port || entry->remote_port != remote_port))
		entry = entry->hash_next;
	return entry;
}

static struct tcp_stack *stack_make(struct node *node)
{
	struct tcp_stack *stack = node->ip->tcp;

	if (!stack) {
		stack = sim_alloc(sizeof(*stack));
		stack->node = node;
		stack->next_port = TCP_PORT_EPHEMERAL_FIRST;
		rng_init(&stack->isn, node->sim->seed, node->name, "tcp.isn");
		node->ip->tcp = stack;
	}
	return stack;
}

/* ---- the life of a connection ---- */

struct tcp_conn *conn_new(struct tcp_stack *stack, const struct tcp_entry *ends, enum tcp_state state)
{
	struct tcp_conn *conn = sim_alloc(sizeof(*conn));
	struct tcp_entry *entry = &conn->entry;

	entry->stack = stack;
	entry->local_ip = ends->local_ip;
	entry->local_port = ends->local_port;
	entry->remote_ip = ends->remote_ip;
	entry->remote_port = ends->remote_port;
	entry->state = (uint8_t)state;
	conn->iss = (uint32_t)rng_u64(&stack->isn);
	conn->snd_una = conn->snd_max = conn->recover = entry->snd_nxt = conn->iss;
	conn->buffer_seq = conn->iss + 1;
	conn->rto_ns = TCP_RTO_INITIAL_NS;
	tcp_begin(conn, 0);
	list_add(&tables_make(stack)->conns, entry);
	if (entry->local_port)
		table_add(entry);
	return conn;
}

void conn_hold(struct tcp_conn *conn)
{
	conn->holders++;
}

void conn_release(struct tcp_conn *conn)
{
	assert(conn->holders > 0);
	if (--conn->holders > 0 || conn->entry.state != TCP_CLOSED)
		return;
	ring_free(&conn->buffer);
	marks_free(&conn->sent);
	bytes_free(&conn->received);
	marks_free(&conn->arrived);
	pieces_free(&conn->pieces);
	free(conn);
}

void conn_forget(struct tcp_conn *conn)
{
	struct tcp_entry *entry = &conn->entry;

	assert(entry->state != TCP_CLOSED);
	conn_hold(conn);
	if (conn->listener)
		conn->listener->pending--;
	conn->listener = NULL;
	sim_cancel(conn_sim(conn), &entry->timer);
	sim_cancel(conn_sim(conn), &conn->ack_timer);
	table_remove(entry);
	list_remove(&entry->stack->tables->conns, entry);
	tables_end(entry->stack);
	entry->state = TCP_CLOSED;
	conn_release(conn);
}

void conn_end(struct tcp_conn *conn, enum tcp_end how)
{
	conn_hold(conn);
	conn_forget(conn);
	if (conn->handler && conn->handler->closed)
		conn->handler->closed(conn, conn->ctx, how);
	conn_release(conn);
}

/* ---- TIME-WAIT ---- */

static void wait_fire(struct sim *sim, struct event *event)
{
	(void)sim;
	wait_free(event_owner(event, struct tcp_entry, timer));
}

void wait_restart(struct tcp_entry *wait)
{
	struct sim *sim = wait->stack->node->sim;

	sim_cancel(sim, &wait->timer);
	sim_after(sim, &wait->timer, TCP_TIME_WAIT_NS, wait_fire, "tcp.time_wait");
}

void wait_free(struct tcp_entry *wait)
{
	sim_cancel(wait->stack->node->sim, &wait->timer);
	table_remove(wait);
	list_remove(&wait->stack->tables->waits, wait);
	tables_end(wait->stack);
	free(wait);
}

void conn_time_wait(struct tcp_conn *conn)
{
	struct tcp_stack *stack = conn->entry.stack;
	struct tcp_entry *wait = sim_alloc(sizeof(*wait));

	if (stack->tables->waits.count >= TCP_TIME_WAIT_MAX)
		wait_free(stack->tables->waits.first);
	table_remove(&conn->entry);
	wait->stack = stack;
	wait->local_ip = conn->entry.local_ip;
	wait->local_port = conn->entry.local_port;
	wait->remote_ip = conn->entry.remote_ip;
	wait->remote_port = conn->entry.remote_port;
	wait->snd_nxt = conn->snd_max;
	wait->rcv_nxt = conn->entry.rcv_nxt;
	wait->state = TCP_TIME_WAIT;
	list_add(&stack->tables->waits, wait);
	table_add(wait);
	wait_restart(wait);
	conn_end(conn, TCP_END_CLOSED);
}

/* ---- listeners ---- */

struct tcp_listener *tcp_listener_find(const struct tcp_stack *stack, uint32_t ip, uint16_t port)
{
	struct tcp_listener *any = NULL;

	for (struct tcp_listener *listener = stack->listeners; listener; listener = listener->next) {
		if (listener->port != port)
			continue;
		if (listener->ip == ip)
			return listener;
		if (listener->ip == 0)
			any = listener;
	}
	return any;
}

bool tcp_listen(struct node *node, struct tcp_listener *listener)
{
	struct tcp_stack *stack = stack_make(node);

	assert(listener->port && listener->accept);
	for (const struct tcp_listener *other = stack->listeners; other; other = other->next) {
		if (other->port == listener->port && other->ip == listener->ip)
			return false;
	}
	listener->node = node;
	listener->pending = 0;
	listener->next = stack->listeners;
	stack->listeners = listener;
	return true;
}

/* Where the pointer to a listener stands; NULL: it does not listen. */
static struct tcp_listener **listener_place(struct tcp_stack *stack, const struct tcp_listener *listener)
{
	struct tcp_listener **at = &stack->listeners;

	while (*at && *at != listener)
		at = &(*at)->next;
	return *at ? at : NULL;
}

void tcp_unlisten(struct tcp_listener *listener)
{
	struct tcp_stack *stack = listener->node ? listener->node->ip->tcp : NULL;
	struct tcp_listener **place = stack ? listener_place(stack, listener) : NULL;

	if (!place)
		return;
	*place = listener->next;
	listener->next = NULL;
	for (struct tcp_entry *entry = stack->tables ? stack->tables->conns.first : NULL, *next; entry; entry = next) {
		next = entry->next;
		if (conn_of(entry)->listener == listener) {
			tcp_send_reset(conn_of(entry));
			conn_forget(conn_of(entry));
		}
	}
}

/* ---- opening ---- */

/* True when a connection from this port to any peer would meet a listener's. */
static bool port_is_listened(const struct tcp_stack *stack, uint16_t port)
{
	for (const struct tcp_listener *listener = stack->listeners; listener; listener = listener->next) {
		if (listener->port == port)
			return true;
	}
	return false;
}

/* The next ephemeral port that makes the pair of ends new; 0: all are in use. */
static uint16_t ephemeral_port(struct tcp_stack *stack, const struct tcp_entry *ends)
{
	for (unsigned tries = 0; tries < TCP_PORT_EPHEMERAL_COUNT; tries++) {
		uint16_t port = (uint16_t)stack->next_port;

		if (++stack->next_port == TCP_PORT_EPHEMERAL_FIRST + TCP_PORT_EPHEMERAL_COUNT)
			stack->next_port = TCP_PORT_EPHEMERAL_FIRST;
		if (!port_is_listened(stack, port) &&
		    !tcp_find(stack, ends->local_ip, port, ends->remote_ip, ends->remote_port))
			return port;
	}
	return 0;
}

static void open_failed(struct sim *sim, struct event *event)
{
	(void)sim;
	conn_end(conn_of(event_owner(event, struct tcp_entry, timer)), TCP_END_REFUSED);
}

struct tcp_conn *tcp_connect(struct node *node, uint32_t src, uint32_t dst, uint16_t dport,
                             const struct tcp_handler *handler, void *ctx)
{
	struct tcp_stack *stack = stack_make(node);
	struct tcp_entry ends = { .local_ip = src ? src : ip_source_for(node, dst), .remote_ip = dst,
				  .remote_port = dport };
	bool possible = ends.local_ip && dst && dport && !ip_is_multicast(dst) && !ip_is_broadcast(node, dst) &&
			tcp_conns_count(stack) < TCP_CONNECTIONS_MAX;
	struct tcp_conn *conn;

	assert(handler);
	if (possible)
		ends.local_port = ephemeral_port(stack, &ends);
	conn = conn_new(stack, &ends, TCP_SYN_SENT);
	conn->handler = handler;
	conn->ctx = ctx;
	stack->counters.opened++;
	if (ends.local_port)
		tcp_send_syn(conn);
	else
		sim_after(node->sim, &conn->entry.timer, 0, open_failed, "tcp.open");
	return conn;
}

/* ---- the owner's calls ---- */

bool tcp_send(struct tcp_conn *conn, const uint8_t *bytes, size_t len, uint64_t tag)
{
	if (conn->entry.state == TCP_CLOSED || conn->closing || len > TCP_SEND_BUFFER_MAX - conn->buffer.len)
		return false;
	if (len == 0)
		return true;
	marks_add(&conn->sent, conn_end_seq(conn), tag);
	ring_add(&conn->buffer, bytes, (uint32_t)len);
	tcp_output(conn);
	return true;
}

void tcp_resume(struct tcp_conn *conn)
{
	if (conn->entry.state == TCP_CLOSED || conn->received.len == 0)
		return;
	conn_hold(conn);
	tcp_offer(conn);
	if (conn->entry.state != TCP_CLOSED && tcp_window_gain(conn) > 0)
		tcp_acknowledge(conn);
	conn_release(conn);
}

void tcp_close(struct tcp_conn *conn)
{
	if (conn->entry.state == TCP_CLOSED || conn->closing)
		return;
	conn->closing = true;
	tcp_output(conn);
}

void tcp_abort(struct tcp_conn *conn)
{
	switch (conn->entry.state) {
	case TCP_CLOSED:
		return;
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_FIN_WAIT_2:
	case TCP_CLOSE_WAIT:
		tcp_send_reset(conn);
		break;
	default:
		break;
	}
	conn_forget(conn);
}

void tcp_peer(const struct tcp_conn *conn, uint32_t *ip, uint16_t *port)
{
	*ip = conn->entry.remote_ip;
	*port = conn->entry.remote_port;
}

uint32_t tcp_local_ip(const struct tcp_conn *conn)
{
	return conn->entry.local_ip;
}

struct node *tcp_node(const struct tcp_conn *conn)
{
	return conn_node(conn);
}

struct tcp_counters tcp_counters(const struct node *node)
{
	const struct tcp_stack *stack = node->ip->tcp;

	return stack ? stack->counters : (struct tcp_counters){ 0 };
}

/* ---- a node's end ---- */

void tcp_reset(struct node *node)
{
	struct tcp_stack *stack = node->ip->tcp;

	if (!stack)
		return;
	while (stack->tables && stack->tables->conns.first) {
		struct tcp_conn *conn = conn_of(stack->tables->conns.first);

		conn->listener = NULL; /* may be gone */
		conn_forget(conn);
	}
	while (stack->tables)
		wait_free(stack->tables->waits.first);
	stack->listeners = NULL;
}

void tcp_node_free(struct node *node)
{
	struct tcp_stack *stack = node->ip->tcp;

	if (!stack)
		return;
	tcp_reset(node);
	free(stack);
	node->ip->tcp = NULL;
}

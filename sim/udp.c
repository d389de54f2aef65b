/*
 * UDP (RFC 768, RFC 1122 4.1).
 *
 * Sockets are embedded in their owners and found by port in a chained hash, one chain while there are few. Port numbers
 * that are not asked for come from a counter of the node, so that they are the same in every run.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/ip_stack.h"

#define SOCKETS_PER_BUCKET 4
#define BUCKETS_FIRST 16
#define UDP_PAYLOAD_MAX (IP_DATAGRAM_MAX - IP_HEADER_LEN - UDP_HEADER_LEN)

static struct udp_socket **bucket_of(struct ip_stack *ip, uint16_t port)
{
	return ip->udp_buckets ? &ip->udp_buckets[port & (ip->udp_bucket_count - 1)] : &ip->udp_single;
}

static struct udp_socket *socket_find(struct ip_stack *ip, uint16_t port)
{
	struct udp_socket *socket = *bucket_of(ip, port);

	while (socket && socket->port != port)
		socket = socket->next;
	return socket;
}

/* More buckets, when the chains grow long. */
static void buckets_grow(struct ip_stack *ip)
{
	uint32_t old_count = ip->udp_buckets ? ip->udp_bucket_count : 1;
	struct udp_socket **old = ip->udp_buckets;
	struct udp_socket *chain;

	if (ip->udp_count < old_count * SOCKETS_PER_BUCKET)
		return;
	ip->udp_bucket_count = old ? old_count * 2 : BUCKETS_FIRST;
	ip->udp_buckets = sim_alloc(ip->udp_bucket_count * sizeof(*ip->udp_buckets));
	for (uint32_t i = 0; i < old_count; i++) {
		chain = old ? old[i] : ip->udp_single;
		while (chain) {
			struct udp_socket *socket = chain;
			struct udp_socket **bucket = bucket_of(ip, socket->port);

			chain = socket->next;
			socket->next = *bucket;
			*bucket = socket;
		}
	}
	ip->udp_single = NULL;
	free(old);
}

/* The next free ephemeral port, 0 when all are taken. */
static uint16_t ephemeral_port(struct ip_stack *ip)
{
	for (unsigned tries = 0; tries <= UINT16_MAX - UDP_PORT_EPHEMERAL_FIRST; tries++) {
		uint16_t port = ip->next_port ? ip->next_port : UDP_PORT_EPHEMERAL_FIRST;

		ip->next_port = port == UINT16_MAX ? UDP_PORT_EPHEMERAL_FIRST : (uint16_t)(port + 1);
		if (!socket_find(ip, port))
			return port;
	}
	return 0;
}

bool udp_bind(struct node *node, struct udp_socket *socket, uint16_t port, udp_recv_fn *recv, void *ctx)
{
	struct ip_stack *ip = node->ip;
	struct udp_socket **bucket;

	assert(socket->port == 0);
	if (port == 0)
		port = ephemeral_port(ip);
	if (port == 0 || socket_find(ip, port))
		return false;
	buckets_grow(ip);
	socket->node = node;
	socket->port = port;
	socket->recv = recv;
	socket->ctx = ctx;
	bucket = bucket_of(ip, port);
	socket->next = *bucket;
	*bucket = socket;
	ip->udp_count++;
	return true;
}

void udp_unbind(struct udp_socket *socket)
{
	struct udp_socket **at;

	if (!socket->port)
		return;
	at = bucket_of(socket->node->ip, socket->port);
	while (*at != socket)
		at = &(*at)->next;
	*at = socket->next;
	socket->next = NULL;
	socket->port = 0;
	socket->node->ip->udp_count--;
}

void udp_reset(struct node *node)
{
	struct ip_stack *ip = node->ip;
	uint32_t count = ip->udp_buckets ? ip->udp_bucket_count : 1;

	for (uint32_t i = 0; i < count; i++) {
		struct udp_socket **bucket = ip->udp_buckets ? &ip->udp_buckets[i] : &ip->udp_single;

		while (*bucket)
			udp_unbind(*bucket);
	}
}

/* The sum over the pseudo header (RFC 768). */
static uint32_t pseudo_sum(uint32_t src, uint32_t dst, uint32_t len)
{
	return (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + IP_PROTO_UDP + len;
}

void udp_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t dport, struct packet *packet)
{
	struct node *node = socket->node;
	struct ip_info info = { .src = src, .dst = dst, .proto = IP_PROTO_UDP, .tag = packet->tag };
	struct ip_path path;
	uint16_t checksum;
	uint8_t *header;

	assert(socket->port);
	if (packet->len > UDP_PAYLOAD_MAX) {
		network_lose(node, DROP_IP_TOO_BIG, packet);
		return;
	}
	if (!ip_path_find(node, src, dst, &path)) {
		network_lose(node, DROP_IP_NO_ROUTE, packet);
		return;
	}
	if (!info.src)
		info.src = path.src;
	header = packet_push(packet, UDP_HEADER_LEN);
	checksum = inet_fold(inet_sum(header + UDP_HEADER_LEN, packet->len - UDP_HEADER_LEN,
	                              pseudo_sum(info.src, dst, packet->len) + socket->port + dport + packet->len));
	put_be16(header, socket->port);
	put_be16(header + 2, dport);
	put_be16(header + 4, (uint16_t)packet->len);
	put_be16(header + 6, checksum ? checksum : 0xffff); /* 0 would say: none */
	ip_send_path(node, &path, &info, packet);
}

/* Verifies a datagram's header and checksum and trims what lies behind it. False: refused. */
static bool datagram_accept(struct node *node, struct packet *packet, const struct ip_info *info)
{
	uint32_t len = packet->len >= UDP_HEADER_LEN ? get_be16(packet->data + 4) : 0;
	uint32_t sum;

	if (len < UDP_HEADER_LEN || len > packet->len) {
		network_refuse(node, DROP_UDP_MALFORMED, info->src, packet);
		return false;
	}
	packet_trim(packet, packet->len - len);
	sum = pseudo_sum(info->src, info->dst, len);
	if (get_be16(packet->data + 6) && inet_fold(inet_sum(packet->data, len, sum)) != 0) {
		network_refuse(node, DROP_UDP_CHECKSUM, info->src, packet);
		return false;
	}
	return true;
}

void udp_input(struct node *node, struct packet *packet, const struct ip_info *info)
{
	struct udp_socket *socket;
	struct udp_from from;

	if (!datagram_accept(node, packet, info))
		return;
	from = (struct udp_from){
		.src = info->src,
		.dst = info->dst,
		.sport = get_be16(packet->data),
		.dport = get_be16(packet->data + 2),
		.sa = info->sa,
		.tag = info->tag,
		.in = info->in,
	};
	socket = socket_find(node->ip, from.dport);
	if (!socket) {
		network_lost(node, DROP_UDP_NO_PORT, packet);
		if (info->header)
			icmp_send_error(node, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PORT, info->header,
			                ip_quote_len(info->header, packet->len));
		return;
	}
	packet_pull(packet, UDP_HEADER_LEN);
	socket->recv(socket, packet, &from);
}

void udp_icmp_error(struct node *node, const struct icmp_error *error)
{
	struct udp_socket *socket = socket_find(node->ip, get_be16(error->transport));

	if (socket && socket->error)
		socket->error(socket, error->type, error->code, error->dst, get_be16(error->transport + 2));
}

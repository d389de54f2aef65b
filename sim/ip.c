/*
 * IPv4 (RFC 791) of a host and a router (RFC 1122 3.2, RFC 1812 5): what is accepted, delivered, forwarded and sent.
 *
 * Every header is verified before anything in it is believed; options are carried along and not acted upon. A forwarded
 * packet's checksum is updated, not computed anew (RFC 1624), so that an error made on the way stays visible.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/ip_stack.h"
#include "sim/tcp.h"

#define ETHERTYPE_IPV4 0x0800
#define FLAG_DONT_FRAGMENT 0x4000
#define FLAG_MORE_FRAGMENTS 0x2000
#define FRAGMENT_OFFSET_MASK 0x1fff

void ip_stack_end(struct node *node)
{
	struct ip_stack *ip = node->ip;

	ip_reassembly_reset(node);
	tcp_node_free(node);
	while (ip->protos) {
		struct ip_proto *proto = ip->protos;

		ip->protos = proto->next;
		free(proto);
	}
	free(ip->udp_buckets);
	free(ip->routes);
	free(ip->groups);
	free(ip->locals);
	free(ip->aliases);
	node->ip = NULL;
}

void ip_set_forwarding(struct node *node, bool on)
{
	node->ip->forwarding = on;
}

void ip_set_filter(struct node *node, ip_filter_fn *filter, void *ctx)
{
	node->ip->filter = filter;
	node->ip->filter_ctx = ctx;
}

void ip_set_security(struct node *node, const struct ip_security *security)
{
	node->ip->security = security;
}

const struct ip_counters *ip_counters(const struct node *node)
{
	return &node->ip->counters;
}

struct ip_proto *ip_proto_find(const struct node *node, uint8_t number)
{
	struct ip_proto *proto = node->ip->protos;

	while (proto && proto->proto != number)
		proto = proto->next;
	return proto;
}

void ip_protocol(struct node *node, uint8_t number, ip_proto_fn *fn, void *ctx)
{
	struct ip_proto *proto = ip_proto_find(node, number);

	assert(number != IP_PROTO_UDP && number != IP_PROTO_TCP);
	assert(!proto || proto->fn == fn);
	if (!proto) {
		proto = sim_alloc(sizeof(*proto));
		proto->proto = number;
		proto->fn = fn;
		proto->next = node->ip->protos;
		node->ip->protos = proto;
	}
	proto->ctx = ctx;
}

void ip_reset(struct node *node)
{
	udp_reset(node);
	ip_reassembly_reset(node);
	tcp_reset(node);
	node->ip->next_ident = 0;
	node->ip->next_port = 0;
	node->ip->icmp_due_ns = 0;
}

/* ---- checksum ---- */

static inline uint64_t load64(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline uint64_t load32(const uint8_t *bytes)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline uint64_t load16(const uint8_t *bytes)
{
	uint16_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/*
 * RFC 1071: the sum does not depend on the order of bytes or the width of the additions, up to one swap at the end. So
 * words are added as the host has them, 64 bits at a time with the carries counted above.
 */
uint32_t inet_sum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	unsigned __int128 wide = 0;
	uint64_t low, high;

	for (; len >= 32; bytes += 32, len -= 32) {
		wide += load64(bytes);
		wide += load64(bytes + 8);
		wide += load64(bytes + 16);
		wide += load64(bytes + 24);
	}
	for (; len >= 8; bytes += 8, len -= 8)
		wide += load64(bytes);
	low = (uint64_t)wide;
	high = (uint64_t)(wide >> 64);
	low = (low & UINT32_MAX) + (low >> 32) + high;
	if (len & 4) {
		low += load32(bytes);
		bytes += 4;
	}
	if (len & 2) {
		low += load16(bytes);
		bytes += 2;
	}
	if (len & 1) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		low += bytes[0];
#else
		low += (uint64_t)bytes[0] << 8;
#endif
	}
	low = (low & 0xffff) + (low >> 16 & 0xffff) + (low >> 32);
	low = (low & 0xffff) + (low >> 16);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	low = (uint64_t)__builtin_bswap16((uint16_t)low) + (low >> 16 << 8);
#endif
	return sum + (uint32_t)low;
}

/*
 * The sum of a header without options, of the words of 32 bits in the host's order: enough to say whether it is right,
 * which does not depend on the order.
 */
static inline bool plain_header_good(const uint8_t *header)
{
	uint64_t a = load64(header), b = load64(header + 8);
	uint64_t sum = (a & UINT32_MAX) + (a >> 32) + (b & UINT32_MAX) + (b >> 32) + load32(header + 16);

	return sum % 0xffff == 0; /* folding is division by 2^16 - 1; the first byte is not 0, so neither is the sum */
}

static inline bool header_good(const uint8_t *header, uint32_t len)
{
	return len == IP_HEADER_LEN ? plain_header_good(header) : inet_fold(inet_sum(header, len, 0)) == 0;
}

/* ---- receiving ---- */

/* Hands a segment for this node to whoever knows its protocol; the packet stays the caller's. */
void ip_dispatch(struct node *node, struct packet *packet, const struct ip_info *info)
{
	const struct ip_proto *proto;

	node->ip->counters.delivered++;
	switch (info->proto) {
	case IP_PROTO_UDP:
		udp_input(node, packet, info);
		return;
	case IP_PROTO_TCP:
		tcp_input(node, packet, info);
		return;
	case IP_PROTO_ICMP:
		icmp_input(node, packet, info);
		return;
	}
	proto = ip_proto_find(node, info->proto);
	if (proto) {
		proto->fn(node, proto->ctx, packet, info);
		return;
	}
	network_lost(node, DROP_IP_NO_PROTOCOL, packet);
	if (info->header)
		icmp_send_error(node, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PROTOCOL, info->header,
		                ip_quote_len(info->header, packet->len));
}

void ip_deliver(struct node *node, struct packet *packet, const struct ip_info *info)
{
	struct ip_info inner = *info;

	inner.header = NULL; /* what was protected is not quoted in the clear */
	ip_dispatch(node, packet, &inner);
}

/* A fragment or whole packet for this node, data at its verified IP header. Takes it. */
static void deliver_local(struct node *node, struct packet *packet, struct ip_info *info)
{
	const uint8_t *header = packet->data;
	bool fragment = (get_be16(header + 6) & (FLAG_MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK)) != 0;

	/* An answer would go to everybody (RFC 1122 3.2.1.3). A subnet's broadcast address ends in two ones at least. */
	if ((info->src & 3) == 3 && ip_is_broadcast(node, info->src)) {
		network_refuse(node, DROP_IP_MALFORMED, info->src, packet);
		packet_free(packet);
		return;
	}
	packet_pull(packet, (uint32_t)(header[0] & 15) * 4);
	if (fragment) {
		packet = ip_reassemble(node, packet, header, &header);
		if (!packet)
			return;
		info->tag = packet->tag;
		info->tos = header[1];
		info->ttl = header[8];
		if (packet->tag)
			node->sim->cause = packet->tag;
	}
	info->header = header;
	ip_dispatch(node, packet, info);
	packet_free(packet);
}

/* RFC 1624, equation 3, for the one word that holds TTL and protocol. */
static void ttl_decrement(uint8_t *header)
{
	uint32_t before = get_be16(header + 8);
	uint32_t after = before - 0x100;
	uint32_t sum = (uint16_t)~get_be16(header + 10) + (uint16_t)~before + after;

	put_be32(header + 8, after << 16 | inet_fold(sum));
}

/*
 * RFC 1191 section 4: the next hop's MTU stands in the error's second word, which icmp_send_error() takes from
 * LINK_MTU.
 */
static void refuse_too_big(struct node *node, struct packet *packet)
{
	icmp_send_error(node, ICMP_UNREACHABLE, ICMP_UNREACHABLE_FRAGMENT, packet->data, packet->len);
	network_lose(node, DROP_IP_TOO_BIG, packet);
}

/*
 * A packet for somebody else, data at its verified IP header; route is where it goes. Takes it. The filter may change
 * the routes, so what the found one says is kept apart.
 */
static void forward(struct iface *in, struct packet *packet, const struct ip_info *info, const struct ip_route *route)
{
	struct node *node = in->node;
	struct ip_stack *ip = node->ip;
	struct iface *out = route ? route->iface : NULL;
	uint32_t next_hop = route && route->gateway ? route->gateway : info->dst;

	if (ip->filter && !ip->filter(node, ip->filter_ctx, in, packet, info)) {
		network_lose(node, DROP_IP_FILTER, packet);
		return;
	}
	if (info->ttl <= 1) {
		icmp_send_error(node, ICMP_TIME_EXCEEDED, ICMP_TIME_EXCEEDED_TTL, packet->data, packet->len);
		network_lose(node, DROP_IP_TTL, packet);
		return;
	}
	if (!out) {
		icmp_send_error(node, ICMP_UNREACHABLE, ICMP_UNREACHABLE_NET, packet->data, packet->len);
		network_lose(node, DROP_IP_NO_ROUTE, packet);
		return;
	}
	if (packet->len > LINK_MTU && get_be16(packet->data + 6) & FLAG_DONT_FRAGMENT) {
		refuse_too_big(node, packet);
		return;
	}
	ttl_decrement(packet->data);
	ip->counters.forwarded++;
	if (packet->len > LINK_MTU)
		ip_fragment_send(out, next_hop, packet);
	else
		link_send(out, next_hop, packet);
}

/* Addresses that no packet may come from: multicast, reserved, broadcast, loopback (RFC 1122 3.2.1.3). */
static bool source_is_possible(uint32_t src)
{
	return src >> 29 != 7 && src >> 24 != 127;
}

/*
 * Verifies an IP header at the packet's data and fills info; trims what follows the packet. False: refused, still the
 * caller's.
 */
static bool header_accept(struct node *node, struct packet *packet, struct ip_info *info)
{
	const uint8_t *header = packet->data;
	uint32_t header_len, total_len;

	if (packet->len < IP_HEADER_LEN || header[0] >> 4 != 4) {
		network_refuse(node, DROP_IP_MALFORMED, 0, packet);
		return false;
	}
	header_len = (uint32_t)(header[0] & 15) * 4;
	total_len = get_be16(header + 2);
	info->src = get_be32(header + 12);
	info->dst = get_be32(header + 16);
	if (header_len < IP_HEADER_LEN || header_len > packet->len || total_len < header_len ||
	    total_len > packet->len) {
		network_refuse(node, DROP_IP_MALFORMED, info->src, packet);
		return false;
	}
	if (!header_good(header, header_len)) {
		network_refuse(node, DROP_IP_CHECKSUM, info->src, packet);
		return false;
	}
	if (!source_is_possible(info->src)) {
		network_refuse(node, DROP_IP_MALFORMED, info->src, packet);
		return false;
	}
	packet_trim(packet, packet->len - total_len);
	info->tos = header[1];
	info->ident = get_be16(header + 4);
	info->ttl = header[8];
	info->proto = header[9];
	info->sa = NULL;
	info->tag = packet->tag;
	info->header = header;
	return true;
}

/*
 * What came in a frame for all must be for all (RFC 1122 3.3.6, RFC 1812 5.3.4): else every router on the link would
 * pass it on.
 */
static bool fits_frame_to_all(const struct node *node, const struct ip_info *info)
{
	return ip_is_multicast(info->dst) || ip_is_broadcast(node, info->dst);
}

/* A packet that has come to a node by an interface, data at its IP header. Takes it. */
static void receive(struct iface *in, struct packet *packet, bool frame_to_all)
{
	struct node *node = in->node;
	const struct ip_route *route;
	struct ip_info info;

	node->ip->counters.received++;
	if (packet->tag)
		node->sim->cause = packet->tag;
	info.in = in;
	if (!header_accept(node, packet, &info)) {
		packet_free(packet);
		return;
	}
	if (frame_to_all && !fits_frame_to_all(node, &info)) {
		network_lose(node, DROP_ETH_NOT_US, packet);
		return;
	}
	if (ip_is_own(node, info.dst) || info.dst == 0xffffffff) {
		deliver_local(node, packet, &info);
		return;
	}
	route = ip_route_find(node, info.dst);
	if (route && ip_route_broadcast(route, info.dst))
		deliver_local(node, packet, &info);
	else if (node->ip->forwarding && info.src && source_is_possible(info.dst))
		forward(in, packet, &info, route);
	else
		network_lose(node, DROP_IP_NO_ROUTE, packet);
}

void ip_input(struct iface *in, struct packet *packet)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	bool frame_to_all = false;

	if (packet->len < ETHERNET_HEADER_LEN) {
		network_refuse(in->node, DROP_IP_MALFORMED, 0, packet);
		packet_free(packet);
		return;
	}
	if (memcmp(packet->data, in->mac, sizeof(in->mac)) != 0) {
		if (memcmp(packet->data, all, sizeof(all)) != 0) {
			network_lose(in->node, DROP_ETH_NOT_US, packet);
			return;
		}
		frame_to_all = true;
	}
	if (get_be16(packet->data + 12) != ETHERTYPE_IPV4) {
		network_refuse(in->node, DROP_IP_MALFORMED, 0, packet);
		packet_free(packet);
		return;
	}
	packet_pull(packet, ETHERNET_HEADER_LEN);
	receive(in, packet, frame_to_all);
}

static void loop_arrive(struct sim *sim, struct event *event)
{
	struct packet *packet = event_owner(event, struct packet, delivery);

	(void)sim;
	receive(packet->to, packet, false);
}

/* ---- sending ---- */

/* The checksum is made from the fields, not from the bytes just written: a load that spans fresh stores has to wait. */
static void header_write(struct packet *packet, const struct ip_info *info)
{
	uint8_t *header = packet_push(packet, IP_HEADER_LEN);
	uint8_t ttl = info->ttl ? info->ttl : IP_TTL_DEFAULT;
	uint32_t first = UINT32_C(0x45000000) | (uint32_t)info->tos << 16 | packet->len;
	uint32_t third = (uint32_t)ttl << 24 | (uint32_t)info->proto << 16;
	uint32_t sum = (first >> 16) + (first & 0xffff) + info->ident + (third >> 16) + (info->src >> 16) +
	               (info->src & 0xffff) + (info->dst >> 16) + (info->dst & 0xffff);

	put_be32(header, first);
	put_be32(header + 4, (uint32_t)info->ident << 16);
	put_be32(header + 8, third | inet_fold(sum));
	put_be32(header + 12, info->src);
	put_be32(header + 16, info->dst);
}

void ip_send_path(struct node *node, const struct ip_path *path, struct ip_info *info, struct packet *packet)
{
	struct ip_stack *ip = node->ip;

	info->ident = ip->next_ident++;
	if (!packet->tag)
		packet->tag = info->tag;
	if (!packet->actor)
		packet->actor = node;
	if (ip->security && !path->loop && ip->security->out(node, ip->security->ctx, info, packet) == IP_OUT_DROP)
		return;
	if (packet->len > IP_DATAGRAM_MAX - IP_HEADER_LEN) {
		network_lose(node, DROP_IP_TOO_BIG, packet);
		return;
	}
	header_write(packet, info);
	ip->counters.sent++;
	if (path->loop) {
		packet->to = path->out;
		sim_at(node->sim, &packet->delivery, node->sim->now_ns, loop_arrive, NULL);
	} else if (packet->len > LINK_MTU) {
		ip_fragment_send(path->out, path->next_hop, packet);
	} else {
		link_send(path->out, path->next_hop, packet);
	}
}

void ip_send(struct node *node, const struct ip_info *info, struct packet *packet)
{
	struct ip_info out = *info;
	struct ip_path path;

	if (!packet->tag)
		packet->tag = info->tag;
	if (!ip_path_find(node, info->src, info->dst, &path)) {
		network_lose(node, DROP_IP_NO_ROUTE, packet);
		return;
	}
	if (!out.src)
		out.src = path.src;
	ip_send_path(node, &path, &out, packet);
}

/*
 * ICMP (RFC 792): the echo's answer, and errors out and in.
 *
 * Errors obey RFC 1122 3.2.2 and RFC 1812 4.3.2: none about an error, a fragment that is not the first, or a packet to
 * or from an address that is not one host's; none beyond a rate. An error that comes in is a hint from anybody: it
 * reaches UDP or TCP only when what it quotes was sent from here, and what it means is theirs to judge.
 */
#include <string.h>

#include "sim/ip_stack.h"

#define ICMP_HEADER_LEN 8
#define TOS_INTERNETWORK_CONTROL 0xc0 /* RFC 1812 4.3.2.5 */
#define QUOTE_TRANSPORT_MIN 8
#define FRAGMENT_OFFSET_MASK 0x1fff

static bool is_error_type(uint8_t type)
{
	return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
	       type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER;
}

/* Fills in the checksum and sends a message to dst; from src, 0: chosen. Takes the packet. */
static void icmp_send(struct node *node, uint32_t src, uint32_t dst, uint8_t tos, struct packet *packet)
{
	struct ip_info info = { .src = src, .dst = dst, .proto = IP_PROTO_ICMP, .tos = tos };

	put_be16(packet->data + 2, 0);
	put_be16(packet->data + 2, inet_fold(inet_sum(packet->data, packet->len, 0)));
	node->ip->counters.icmp_sent++;
	ip_send(node, &info, packet);
}

/* Whether an error about this packet is permitted (RFC 1122 3.2.2). */
static bool error_permitted(const struct node *node, const uint8_t *header, uint32_t len)
{
	uint32_t src = get_be32(header + 12), dst = get_be32(header + 16);
	uint32_t header_len = (uint32_t)(header[0] & 15) * 4;

	if (src == 0 || src >> 29 == 7 || src >> 24 == 127 || ip_is_broadcast(node, src))
		return false;
	if (ip_is_multicast(dst) || ip_is_broadcast(node, dst))
		return false;
	if (get_be16(header + 6) & FRAGMENT_OFFSET_MASK)
		return false;
	return header[9] != IP_PROTO_ICMP || (len > header_len && !is_error_type(header[header_len]));
}

/* A bucket of ICMP_ERROR_BURST errors that refills one by one. */
static bool error_within_rate(struct node *node)
{
	struct ip_stack *ip = node->ip;
	sim_ns now_ns = node->sim->now_ns;

	if (ip->icmp_due_ns < now_ns)
		ip->icmp_due_ns = now_ns;
	if (ip->icmp_due_ns - now_ns >= ICMP_ERROR_BURST * ICMP_ERROR_INTERVAL_NS)
		return false;
	ip->icmp_due_ns = sim_later(ip->icmp_due_ns, ICMP_ERROR_INTERVAL_NS);
	return true;
}

void icmp_send_error(struct node *node, uint8_t type, uint8_t code, const uint8_t *header, uint32_t len)
{
	struct packet *packet;
	uint8_t *out;

	if (!header || !error_permitted(node, header, len) || !error_within_rate(node))
		return;
	if (len > ICMP_ERROR_QUOTE_MAX)
		len = ICMP_ERROR_QUOTE_MAX;
	packet = packet_new(node->sim, ICMP_HEADER_LEN + len);
	out = packet_append(packet, ICMP_HEADER_LEN + len);
	memset(out, 0, ICMP_HEADER_LEN);
	out[0] = type;
	out[1] = code;
	if (type == ICMP_UNREACHABLE && code == ICMP_UNREACHABLE_FRAGMENT)
		put_be16(out + 6, LINK_MTU); /* RFC 1191 section 4 */
	memcpy(out + ICMP_HEADER_LEN, header, len);
	icmp_send(node, 0, get_be32(header + 12), TOS_INTERNETWORK_CONTROL, packet);
}

/* RFC 1122 3.2.2.6: the same data back, from the address that was asked. A broadcast is not answered. */
static void echo_answer(struct node *node, const struct packet *request, const struct ip_info *info)
{
	struct packet *reply;
	uint8_t *out;

	if (!ip_is_local(node, info->dst) || info->src == 0)
		return;
	reply = packet_new(node->sim, request->len);
	out = packet_append(reply, request->len);
	memcpy(out, request->data, request->len);
	out[0] = ICMP_ECHO_REPLY;
	out[1] = 0;
	reply->tag = info->tag;
	icmp_send(node, info->dst, info->src, info->tos, reply);
}

void ip_ping(struct node *node, uint32_t src, uint32_t dst, uint16_t ident, uint16_t sequence)
{
	struct packet *packet = packet_new(node->sim, ICMP_HEADER_LEN);
	uint8_t *out = packet_append(packet, ICMP_HEADER_LEN);

	memset(out, 0, ICMP_HEADER_LEN);
	out[0] = ICMP_ECHO;
	put_be16(out + 4, ident);
	put_be16(out + 6, sequence);
	icmp_send(node, src, dst, 0, packet);
}

/* Whose pings they answer, if anybody's, knows the handler. */
static void echo_reply_input(struct node *node, struct packet *packet, const struct ip_info *info)
{
	const struct ip_proto *proto = ip_proto_find(node, IP_PROTO_ICMP);

	if (proto)
		proto->fn(node, proto->ctx, packet, info);
}

/* An error about something we are said to have sent. */
static void error_input(struct node *node, const struct packet *packet, const struct ip_info *info)
{
	const uint8_t *quote = packet->data + ICMP_HEADER_LEN;
	uint32_t len = packet->len - ICMP_HEADER_LEN;
	struct icmp_error error = { .type = packet->data[0], .code = packet->data[1], .from = info->src };
	uint32_t header_len;

	/* No error is about a fragment that is not the first: that has no ports to tell whom it concerns. */
	header_len = len > 0 ? (uint32_t)(quote[0] & 15) * 4 : 0;
	if (header_len < IP_HEADER_LEN || quote[0] >> 4 != 4 || len < header_len + QUOTE_TRANSPORT_MIN ||
	    get_be16(quote + 6) & FRAGMENT_OFFSET_MASK) {
		network_refuse(node, DROP_ICMP_MALFORMED, info->src, packet);
		return;
	}
	error.src = get_be32(quote + 12);
	error.dst = get_be32(quote + 16);
	error.transport = quote + header_len;
	error.transport_len = len - header_len;
	if (!ip_is_local(node, error.src)) {
		network_refuse(node, DROP_ICMP_MALFORMED, info->src, packet);
		return;
	}
	if (quote[9] == IP_PROTO_UDP)
		udp_icmp_error(node, &error);
	else if (quote[9] == IP_PROTO_TCP)
		tcp_icmp_error(node, &error);
}

void icmp_input(struct node *node, struct packet *packet, const struct ip_info *info)
{
	if (packet->len < ICMP_HEADER_LEN) {
		network_refuse(node, DROP_ICMP_MALFORMED, info->src, packet);
		return;
	}
	if (inet_fold(inet_sum(packet->data, packet->len, 0)) != 0) {
		network_refuse(node, DROP_ICMP_CHECKSUM, info->src, packet);
		return;
	}
	if (packet->data[0] == ICMP_ECHO)
		echo_answer(node, packet, info);
	else if (packet->data[0] == ICMP_ECHO_REPLY)
		echo_reply_input(node, packet, info);
	else if (is_error_type(packet->data[0]) && packet->data[0] != ICMP_REDIRECT)
		error_input(node, packet, info); /* routes are the operator's: redirects are not followed */
}

/*
 * How fast the network is: UDP datagrams of 200 bytes over host - router - router - host, three links, real bytes and
 * real checksums, nothing recorded.
 *
 * "ours" is the engine with its events, nodes and links. "floor" is a bare loop in this program that does the same to
 * the same bytes and nothing else: builds Ethernet, IP and UDP headers with checksums, at each router parses, verifies
 * the header, looks up a route, decrements the TTL, updates the checksum (RFC 1624) and rewrites the MAC addresses, at
 * the end verifies both checksums and hands the payload over. As for any sender, addresses, ports and length are known
 * at run time only, and each hop begins from the bytes in memory. Processor time is measured; the best of several
 * rounds of each counts, taken in turn.
 *
 *   bench_chain [packets] [rounds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/ip.h"

#define PAYLOAD_LEN 200
#define PORT 5004
#define INTERVAL_NS 1000
#define DELAY_NS (10 * NS_PER_US)
#define RATIO_WANTED 0.4

static uint8_t payload[PAYLOAD_LEN];

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- ours ---- */

struct sender {
	struct event event;
	struct udp_socket socket;
	uint32_t dst;
	long left;
};

struct receiver {
	struct udp_socket socket;
	long count;
	uint64_t sum;
};

static void send_one(struct sim *sim, struct event *event)
{
	struct sender *sender = event_owner(event, struct sender, event);
	struct packet *packet = packet_new(sim, PAYLOAD_LEN);

	memcpy(packet_append(packet, PAYLOAD_LEN), payload, PAYLOAD_LEN);
	udp_send(&sender->socket, 0, sender->dst, PORT, packet);
	if (--sender->left > 0)
		sim_after(sim, &sender->event, INTERVAL_NS, send_one, NULL);
}

static void receive_one(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct receiver *receiver = socket->ctx;

	receiver->count++;
	receiver->sum += packet->data[0] + packet->data[packet->len - 1] + from->sport;
}

static void receive_nothing(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)socket;
	(void)packet;
	(void)from;
}

static double ours(long packets)
{
	struct link_params params = { .delay_ns = DELAY_NS };
	struct sim *sim = sim_new(1, SIM_DEFAULT_EPOCH_S);
	struct sender sender = { .dst = 0x0a000302, .left = packets };
	struct receiver receiver = { .count = 0 };
	struct node *node[4];
	struct link *link[3];
	char name[8];
	double start_s, end_s;

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		node[i] = node_new(sim, name);
		ip_set_forwarding(node[i], i == 1 || i == 2);
	}
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		link[i] = link_new(sim, name, &params);
		iface_new(node[i], link[i], "right", NULL, 0x0a000001 | (uint32_t)(i + 1) << 8, 24);
		iface_new(node[i + 1], link[i], "left", NULL, 0x0a000002 | (uint32_t)(i + 1) << 8, 24);
	}
	ip_route_add(node[0], 0, 0, 0x0a000102, node[0]->ifaces);
	ip_route_add(node[1], 0x0a000300, 24, 0x0a000202, node[1]->ifaces->next);
	ip_route_add(node[2], 0x0a000100, 24, 0x0a000201, node[2]->ifaces);
	ip_route_add(node[3], 0, 0, 0x0a000301, node[3]->ifaces);
	udp_bind(node[0], &sender.socket, PORT, receive_nothing, NULL);
	udp_bind(node[3], &receiver.socket, PORT, receive_one, &receiver);
	sim_at(sim, &sender.event, 0, send_one, NULL);
	start_s = now_s();
	sim_run(sim, SIM_NEVER);
	end_s = now_s();
	if (receiver.count != packets || ip_counters(node[2])->forwarded != (uint64_t)packets) {
		fprintf(stderr, "ours: %ld of %ld arrived\n", receiver.count, packets);
		exit(1);
	}
	sim_free(sim);
	return (double)packets / (end_s - start_s);
}

/* ---- floor ---- */

struct floor_route {
	uint32_t prefix, mask;
	uint8_t src_mac[6], dst_mac[6];
};

static uint32_t floor_pseudo(const uint8_t *ip, uint32_t len)
{
	return (uint32_t)get_be16(ip + 12) + get_be16(ip + 14) + get_be16(ip + 16) + get_be16(ip + 18) +
	       IP_PROTO_UDP + len;
}

static const struct floor_route *floor_route(const struct floor_route *routes, uint32_t dst)
{
	while ((dst & routes->mask) != routes->prefix)
		routes++;
	return routes;
}

struct floor_flow {
	uint32_t src, dst;
	uint16_t sport, dport;
	const uint8_t *payload;
	uint32_t len;
};

/* What is behind a pointer must be in memory, and may be anything. */
#define FROM_MEMORY(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")

static uint32_t floor_build(uint8_t *frame, uint16_t ident, const struct floor_flow *flow,
                            const struct floor_route *route)
{
	uint32_t udp_len = UDP_HEADER_LEN + flow->len;
	uint8_t *ip = frame + ETHERNET_HEADER_LEN, *udp = ip + IP_HEADER_LEN;

	memcpy(frame, route->dst_mac, 6);
	memcpy(frame + 6, route->src_mac, 6);
	put_be16(frame + 12, 0x0800);
	ip[0] = 0x45;
	ip[1] = 0;
	put_be16(ip + 2, (uint16_t)(IP_HEADER_LEN + udp_len));
	put_be16(ip + 4, ident);
	put_be16(ip + 6, 0);
	ip[8] = 64;
	ip[9] = IP_PROTO_UDP;
	put_be16(ip + 10, 0);
	put_be32(ip + 12, flow->src);
	put_be32(ip + 16, flow->dst);
	put_be16(ip + 10, inet_fold(inet_sum(ip, IP_HEADER_LEN, 0)));
	put_be16(udp, flow->sport);
	put_be16(udp + 2, flow->dport);
	put_be16(udp + 4, (uint16_t)udp_len);
	put_be16(udp + 6, 0);
	memcpy(udp + UDP_HEADER_LEN, flow->payload, flow->len);
	put_be16(udp + 6, inet_fold(inet_sum(udp, udp_len, floor_pseudo(ip, udp_len))));
	return ETHERNET_HEADER_LEN + IP_HEADER_LEN + udp_len;
}

static bool floor_header_good(const uint8_t *frame, uint32_t len)
{
	const uint8_t *ip = frame + ETHERNET_HEADER_LEN;

	return len >= ETHERNET_HEADER_LEN + IP_HEADER_LEN && get_be16(frame + 12) == 0x0800 && ip[0] == 0x45 &&
	       get_be16(ip + 2) <= len - ETHERNET_HEADER_LEN && inet_fold(inet_sum(ip, IP_HEADER_LEN, 0)) == 0;
}

static bool floor_forward(uint8_t *frame, uint32_t len, const struct floor_route *routes)
{
	uint8_t *ip = frame + ETHERNET_HEADER_LEN;
	const struct floor_route *route;
	uint32_t sum;

	if (!floor_header_good(frame, len) || ip[8] <= 1)
		return false;
	route = floor_route(routes, get_be32(ip + 16));
	sum = (uint16_t)~get_be16(ip + 10) + (uint32_t)(uint16_t)~get_be16(ip + 8);
	ip[8]--;
	put_be16(ip + 10, inet_fold(sum + get_be16(ip + 8)));
	memcpy(frame, route->dst_mac, 6);
	memcpy(frame + 6, route->src_mac, 6);
	return true;
}

static bool floor_deliver(const uint8_t *frame, uint32_t len, struct receiver *receiver)
{
	const uint8_t *ip = frame + ETHERNET_HEADER_LEN, *udp = ip + IP_HEADER_LEN;
	uint32_t udp_len;

	if (!floor_header_good(frame, len) || ip[9] != IP_PROTO_UDP)
		return false;
	udp_len = get_be16(udp + 4);
	if (udp_len < UDP_HEADER_LEN || udp_len > len - ETHERNET_HEADER_LEN - IP_HEADER_LEN ||
	    inet_fold(inet_sum(udp, udp_len, floor_pseudo(ip, udp_len))) != 0 || get_be16(udp + 2) != PORT)
		return false;
	receiver->count++;
	receiver->sum += udp[UDP_HEADER_LEN] + udp[udp_len - 1] + get_be16(udp);
	return true;
}

static double floor_rate(long packets)
{
	static const struct floor_route routes[3][3] = {
		{ { 0x0a000300, 0xffffff00, { 2, 0, 0 }, { 2, 0, 1 } } },
		{ { 0x0a000100, 0xffffff00, { 2, 1, 0 }, { 2, 1, 1 } },
		  { 0x0a000300, 0xffffff00, { 2, 1, 2 }, { 2, 2, 1 } } },
		{ { 0x0a000100, 0xffffff00, { 2, 2, 0 }, { 2, 2, 1 } },
		  { 0x0a000300, 0xffffff00, { 2, 2, 2 }, { 2, 3, 1 } } },
	};
	struct floor_flow flow = { 0x0a000101, 0x0a000302, PORT, PORT, payload, PAYLOAD_LEN };
	const struct floor_flow *from = &flow;
	uint8_t buffer[ETHERNET_HEADER_LEN + LINK_MTU], *frame = buffer;
	struct receiver receiver = { .count = 0 };
	double start_s = now_s(), end_s;

	for (long i = 0; i < packets; i++) {
		uint32_t len;

		FROM_MEMORY(from);
		len = floor_build(frame, (uint16_t)i, from, routes[0]);
		for (unsigned router = 1; router <= 2; router++) {
			FROM_MEMORY(frame);
			if (!floor_forward(frame, len, routes[router]))
				exit(1);
		}
		FROM_MEMORY(frame);
		if (!floor_deliver(frame, len, &receiver))
			exit(1);
	}
	end_s = now_s();
	return receiver.count == packets && receiver.sum ? (double)packets / (end_s - start_s) : 0;
}

int main(int argc, char **argv)
{
	long packets = argc > 1 ? atol(argv[1]) : 500000;
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	double best_ours = 0, best_floor = 0;

	for (int i = 0; i < PAYLOAD_LEN; i++)
		payload[i] = (uint8_t)(i * 7 + 1);
	for (int i = 0; i < rounds; i++) {
		double rate = ours(packets);

		best_ours = rate > best_ours ? rate : best_ours;
		rate = floor_rate(packets);
		best_floor = rate > best_floor ? rate : best_floor;
	}
	printf("chain ours=%.2fM/s floor=%.2fM/s ratio=%.2f (to reach %.1f)\n", best_ours / 1e6, best_floor / 1e6,
	       best_ours / best_floor, RATIO_WANTED);
	return best_ours / best_floor >= RATIO_WANTED ? 0 : 1;
}

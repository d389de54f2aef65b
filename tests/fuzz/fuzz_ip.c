/*
 * Fuzzing of IPv4, fragments, ICMP and UDP: a router between two hosts gets hostile frames on either side.
 *
 * Input: a list of frames, each two bytes of options, two of length (big endian) and so many bytes. Options, first
 * byte: bit 0: the bytes are a whole Ethernet frame (else an IP packet to the interface it arrives at), bit 1: the IP
 * header's checksum is put right, bit 2: that of ICMP, UDP or TCP behind it, bits 3 and 4: which interface; second
 * byte: how long nothing comes after it (pause_ns()). What must hold: limits of reassembly, and no packet is lost
 * from sight when all is over.
 */
#include "sim/ip_stack.h"
#include "tests/fuzz/fuzz.h"

#define PORT 5000
#define PROTO_TEST 253
#define FRAMES_MAX 64
#define HEAD 4
#define WHOLE_FRAME 1
#define FIX_HEADER 2
#define FIX_SEGMENT 4

/* 10.0.1.1 - 10.0.1.2 router 10.0.2.1 - 10.0.2.2 */
struct net {
	struct sim *sim;
	struct link *link[2];
	struct node *host[2], *router;
	struct iface *at_host[2], *at_router[2];
	struct udp_socket socket[3];
};

static uint32_t subnet(unsigned side)
{
	return UINT32_C(0x0a000100) + 0x100 * side;
}

/* Reads all that it is given, so that a span past the end shows. */
static void take(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	volatile uint8_t sum = 0;

	(void)node;
	(void)ctx;
	for (uint32_t i = 0; i < packet->len; i++)
		sum = (uint8_t)(sum + packet->data[i]);
	for (uint32_t i = 0; info->header && i < IP_HEADER_LEN; i++)
		sum = (uint8_t)(sum + info->header[i]);
}

static void recv_any(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	fuzz_require(from->dport == PORT);
	take(socket->node, NULL, packet, &(struct ip_info){ .src = from->src });
}

static void error_any(struct udp_socket *socket, uint8_t type, uint8_t code, uint32_t dst, uint16_t dport)
{
	(void)code;
	(void)dst;
	(void)dport;
	fuzz_require(socket->port == PORT && type != 0);
}

static void net_make(struct net *net)
{
	static const struct link_params params = { .delay_ns = 1000 };
	struct node *nodes[3];

	memset(net, 0, sizeof *net);
	net->sim = sim_new(1, SIM_DEFAULT_EPOCH_S);
	nodes[2] = net->router = node_new(net->sim, "router");
	ip_set_forwarding(net->router, true);
	for (unsigned side = 0; side < 2; side++) {
		net->link[side] = link_new(net->sim, side ? "right" : "left", &params);
		nodes[side] = net->host[side] = node_new(net->sim, side ? "b" : "a");
		net->at_host[side] =
			iface_new(net->host[side], net->link[side], "eth0", NULL, subnet(side) + 1 + side, 24);
		net->at_router[side] = iface_new(net->router, net->link[side], side ? "eth1" : "eth0", NULL,
		                                 subnet(side) + 2 - side, 24);
		ip_route_add(net->host[side], 0, 0, subnet(side) + 2 - side, net->at_host[side]);
	}
	for (unsigned i = 0; i < 3; i++) {
		fuzz_require(udp_bind(nodes[i], &net->socket[i], PORT, recv_any, NULL));
		net->socket[i].error = error_any;
		ip_protocol(nodes[i], PROTO_TEST, take, NULL);
	}
}

static void put_checksum(uint8_t *at, const uint8_t *bytes, size_t len, uint32_t sum)
{
	put_be16(at, 0);
	put_be16(at, inet_fold(inet_sum(bytes, len, sum)));
}

/* The checksum of what the IP packet carries, when it is whole and known. */
static void fix_segment(uint8_t *ip, size_t len)
{
	size_t header_len = (size_t)(ip[0] & 15) * 4;
	uint8_t *segment = ip + header_len;
	uint32_t pseudo;

	if (header_len < IP_HEADER_LEN || header_len + 18 > len || (get_be16(ip + 6) & 0x3fff) != 0)
		return;
	len -= header_len;
	pseudo = inet_sum(ip + 12, 8, 0) + ip[9] + (uint32_t)len;
	if (ip[9] == IP_PROTO_ICMP)
		put_checksum(segment + 2, segment, len, 0);
	if (ip[9] == IP_PROTO_UDP)
		put_checksum(segment + 6, segment, len, pseudo);
	if (ip[9] == IP_PROTO_TCP)
		put_checksum(segment + 16, segment, len, pseudo);
}

static void fix(uint8_t options, uint8_t *ip, size_t len)
{
	size_t header_len = len > 0 ? (size_t)(ip[0] & 15) * 4 : 0;

	if (options & FIX_SEGMENT && len >= IP_HEADER_LEN)
		fix_segment(ip, len);
	if (options & FIX_HEADER && header_len >= IP_HEADER_LEN && header_len <= len)
		put_checksum(ip + 10, ip, header_len, 0);
}

static void inject(struct net *net, uint8_t options, const uint8_t *bytes, size_t len)
{
	struct iface *to = options & 8 ? net->at_host[options >> 4 & 1] : net->at_router[options >> 4 & 1];
	size_t header = options & WHOLE_FRAME ? 0 : ETHERNET_HEADER_LEN;
	struct packet *frame = packet_new(net->sim, (uint32_t)(header + len));
	uint8_t *out = packet_append(frame, (uint32_t)(header + len));

	if (len > 0)
		memcpy(out + header, bytes, len);
	if (header > 0) {
		memcpy(out, to->mac, 6);
		memset(out + 6, 2, 6);
		put_be16(out + 12, 0x0800);
		fix(options, out + header, len);
	}
	link_inject(to->link, NULL, to, frame, 0);
}

/* Mostly none; up to some reassembly time-outs. */
static sim_ns pause_ns(uint8_t options)
{
	if (options < 0xc0)
		return options * 100;
	return options < 0xf0 ? (options - 0xbf) * 10 * NS_PER_MS : (options - 0xef) * 5 * NS_PER_S;
}

static void check_limits(const struct node *node)
{
	fuzz_require(node->ip->reassembling_count <= IP_REASSEMBLY_MAX);
	fuzz_require(node->ip->reassembling_bytes <= IP_REASSEMBLY_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net net;

	net_make(&net);
	for (unsigned n = 0; n < FRAMES_MAX && size >= HEAD; n++) {
		size_t len = get_be16(data + 2);
		uint8_t options = data[0], pause = data[1];

		if (len > size - HEAD)
			len = size - HEAD;
		inject(&net, options, data + HEAD, len);
		sim_run(net.sim, net.sim->now_ns + 4000 + pause_ns(pause));
		check_limits(net.router);
		check_limits(net.host[0]);
		check_limits(net.host[1]);
		data += HEAD + len;
		size -= HEAD + len;
	}
	sim_run(net.sim, SIM_NEVER);
	fuzz_require(net.sim->packets_live == 0);
	sim_free(net.sim);
	return 0;
}

/* What a conversation puts on the left link, as an input that says it again. */
struct capture {
	uint8_t *out;
	size_t size, len;
};

static enum tap_verdict record(void *ctx, struct link *link, struct iface *from, struct iface *to,
                               struct packet *frame)
{
	struct capture *capture = ctx;
	uint32_t len = frame->len - ETHERNET_HEADER_LEN;
	bool to_host = strcmp(to->node->name, "router") != 0;

	(void)link;
	(void)from;
	fuzz_require(capture->len + HEAD + len <= capture->size);
	capture->out[capture->len] = (uint8_t)(FIX_HEADER | FIX_SEGMENT | (to_host ? 8 : 0));
	capture->out[capture->len + 1] = 10;
	put_be16(capture->out + capture->len + 2, (uint16_t)len);
	memcpy(capture->out + capture->len + HEAD, frame->data + ETHERNET_HEADER_LEN, len);
	capture->len += HEAD + len;
	return TAP_PASS;
}

/* A datagram and its answer; whole, in fragments, to nobody's port, beyond its hops, for another protocol. */
static void talk(struct net *net, unsigned nth)
{
	static const uint32_t lens[] = { 20, 0, 4000, 1480, 40, 40, 9000 };
	uint32_t len = lens[nth], dst = nth == 1 ? UINT32_C(0xffffffff) : subnet(1) + 2;
	struct packet *packet = packet_new(net->sim, len);
	struct ip_info info = { .dst = nth == 5 ? subnet(0) + 2 : subnet(1) + 2,
		                .proto = PROTO_TEST,
		                .ttl = nth == 5 ? 0 : 1 };

	memset(packet_append(packet, len), 0x55, len);
	if (nth < 4 || nth == 6)
		udp_send(&net->socket[0], 0, dst, nth == 3 ? PORT + 1 : PORT, packet);
	else
		ip_send(net->host[0], &info, packet);
	sim_run(net->sim, net->sim->now_ns + NS_PER_S);
}

static void ping(struct net *net)
{
	static const uint8_t echo[] = { 8, 0, 0, 0, 0, 1, 0, 2, 'p', 'i', 'n', 'g' };
	struct packet *packet = packet_new(net->sim, sizeof echo);
	struct ip_info info = { .dst = subnet(1) + 2, .proto = IP_PROTO_ICMP };
	uint8_t *out = packet_append(packet, sizeof echo);

	memcpy(out, echo, sizeof echo);
	put_checksum(out + 2, out, sizeof echo, 0);
	ip_send(net->host[0], &info, packet);
	sim_run(net->sim, net->sim->now_ns + NS_PER_S);
}

size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	struct capture capture = { out, size, 0 };
	struct net net;

	if (nth > 8)
		return 0;
	net_make(&net);
	net.link[0]->tap = record;
	net.link[0]->tap_ctx = &capture;
	if (nth < 7)
		talk(&net, nth);
	else
		ping(&net);
	if (nth == 8) { /* one after the other */
		talk(&net, 0);
		talk(&net, 2);
	}
	sim_run(net.sim, SIM_NEVER);
	sim_free(net.sim);
	return capture.len;
}

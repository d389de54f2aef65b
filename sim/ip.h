/*
 * IPv4 (RFC 791, 815, 1122, 1812), ICMP (RFC 792) and UDP (RFC 768) of a node.
 *
 * What can stop a packet, as fates and counters name it: "eth.not_us" (a frame for another MAC address, or one for all
 * with a packet for one), "ip.malformed" (also a source that is no single host), "ip.checksum", "ip.ttl",
 * "ip.no_route", "ip.no_protocol", "ip.fragment_limit", "ip.reassembly_timeout", "ip.too_big", "ip.filter",
 * "icmp.malformed", "icmp.checksum", "udp.malformed", "udp.checksum", "udp.no_port". What is malformed is a refusal,
 * the rest a loss.
 *
 * IPsec hangs between IP and transport as one pair of hooks (struct ip_security), so that this layer knows no
 * cryptography: out() may turn a transport segment into ESP, ESP arrives through ip_protocol() and comes back through
 * ip_deliver() with the association it came under.
 */
#ifndef TOLLGATE_SIM_IP_H
#define TOLLGATE_SIM_IP_H

#include "sim/node.h"

#define IP_PROTO_ICMP 1
#define IP_PROTO_TCP  6
#define IP_PROTO_UDP  17
#define IP_PROTO_ESP  50
#define IP_PROTO_AH   51
#define IP_TTL_DEFAULT 64
#define IP_HEADER_LEN 20
#define UDP_HEADER_LEN 8
#define IP_REASSEMBLY_TIMEOUT_NS (30 * NS_PER_S)
#define IP_REASSEMBLY_MAX 16      /* datagrams being put together at a node */
#define IP_FRAGMENTS_MAX  64      /* fragments of one datagram */

struct ip_info {
	uint32_t src, dst;
	uint8_t proto, ttl, tos;
	const void *sa;      /* the security association it came under, NULL in clear; a local fact, not on the wire */
	uint64_t tag;        /* for observers only */
	uint16_t ident;      /* identification; chosen by ip_send() before the security hook, which AH needs */
	const struct iface *in; /* where it came in; NULL for what is sent */
	const uint8_t *header;  /* its IP header as received, in front of the segment in the same packet (whole again
	                           after reassembly); NULL for what is sent and for what came out of ESP or AH */
};

typedef void ip_proto_fn(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info);

enum ip_out_verdict { IP_OUT_PASS, IP_OUT_DROP /* the hook has taken or freed the packet */ };
struct ip_security {
	/*
	 * Before the IP header is built: packet is the transport segment. May wrap it (changing packet and *proto) or
	 * drop it.
	 */
	enum ip_out_verdict (*out)(struct node *node, void *ctx, struct ip_info *info, struct packet *packet);
	void *ctx;
};

/*
 * A router's filter: true lets a packet to be forwarded pass; its data is at the IP header. in is where it came from.
 * One that stops an attack says so itself by trace_refuse() under its own name; what it stops without a word is lost by
 * "ip.filter".
 */
typedef bool ip_filter_fn(struct node *node, void *ctx, const struct iface *in, const struct packet *packet,
                          const struct ip_info *info);

void ip_set_forwarding(struct node *node, bool on);
void ip_set_filter(struct node *node, ip_filter_fn *filter, void *ctx);
void ip_set_security(struct node *node, const struct ip_security *security); /* borrowed; NULL: none */
/*
 * Adds a route; gateway 0: connected through iface. Longest prefix wins, then the older route. iface NULL: the one
 * whose subnet the gateway is in (asserted).
 */
void ip_route_add(struct node *node, uint32_t prefix, uint8_t prefix_len, uint32_t gateway, struct iface *iface);
/* The default route through iface leads to this gateway from now on. */
void ip_default_route(struct iface *iface, uint32_t gateway);
/* An address the node accepts as its own besides its interfaces' (an attacker in the middle). */
void ip_alias_add(struct node *node, uint32_t ip);
bool ip_is_local(const struct node *node, uint32_t ip);
/* The source address that the node uses towards dst; 0 when there is no route. */
uint32_t ip_source_for(const struct node *node, uint32_t dst);
/*
 * Handler of a protocol number at a node other than UDP and TCP; one each (asserted; the same again is harmless). Of
 * ICMP it gets the echo replies alone.
 */
void ip_protocol(struct node *node, uint8_t proto, ip_proto_fn *fn, void *ctx);

/*
 * Asks the host at dst for an echo (RFC 792), from src. Answers, whoever they are from, come to the node's handler of
 * ICMP; the packet's data is at the ICMP header, whose identifier and sequence number it must know again.
 */
void ip_ping(struct node *node, uint32_t src, uint32_t dst, uint16_t ident, uint16_t sequence);

/*
 * Sends a transport segment: security hook, IP header, fragments, route. info->src 0: chosen, info->ttl 0: the default.
 * To 255.255.255.255 it leaves by the interface that has info->src, else by the first. Takes the packet.
 */
void ip_send(struct node *node, const struct ip_info *info, struct packet *packet);
/* Hands a transport segment (after ESP) to its protocol handler, which borrows it. The packet stays the caller's. */
void ip_deliver(struct node *node, struct packet *packet, const struct ip_info *info);
/* A frame that has arrived at an interface; called by the link. Takes the packet. */
void ip_input(struct iface *in, struct packet *packet);

/*
 * The Internet checksum (RFC 1071) over bytes, added to sum (in host order, unfolded). Only the last part may be odd.
 */
uint32_t inet_sum(const uint8_t *bytes, size_t len, uint32_t sum);
/* The sum folded and complemented: what stands in a header. Over bytes with a right checksum in them it is 0. */
static inline uint16_t inet_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

struct ip_counters {
	uint64_t received, delivered, forwarded, sent, dropped, fragments_sent, reassembled, icmp_sent;
};
const struct ip_counters *ip_counters(const struct node *node);

/* UDP */

struct udp_socket;
struct udp_from {
	uint32_t src, dst;
	uint16_t sport, dport;
	const void *sa; /* as in ip_info */
	uint64_t tag;
	const struct iface *in; /* where it came in */
};
/* The packet's data is the payload; borrowed unless packet_keep(). */
typedef void udp_recv_fn(struct udp_socket *socket, struct packet *packet, const struct udp_from *from);
/* An ICMP error for something sent from this socket: type, code, and whom it was sent to. */
typedef void udp_error_fn(struct udp_socket *socket, uint8_t type, uint8_t code, uint32_t dst, uint16_t dport);

struct udp_socket {
	struct node *node;
	uint16_t port;       /* 0: not bound */
	udp_recv_fn *recv;
	udp_error_fn *error; /* may be NULL */
	void *ctx;
	struct udp_socket *next;
};

/* Binds a socket, embedded in its owner; port 0: an ephemeral one. False when the port is taken. */
bool udp_bind(struct node *node, struct udp_socket *socket, uint16_t port, udp_recv_fn *recv, void *ctx);
void udp_unbind(struct udp_socket *socket); /* harmless when not bound */
/* Sends the packet's data as a datagram; its tag goes along. src 0: chosen. Takes the packet. */
void udp_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t dport, struct packet *packet);

/* Forgets sockets, reassembly and connections without a word on the wire (a restart or power loss). */
void ip_reset(struct node *node);

#endif

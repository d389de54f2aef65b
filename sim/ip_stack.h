/*
 * What the files of the network know of each other: a node's IP state, what a run keeps for its network, and what IP
 * expects of TCP. Private to sim/; tests of sim/ may include it.
 *
 * An idle node is cheap: tables, sockets' hash and reassembly are allocated when first used, and a host's two routes
 * fit their first allocation.
 */
#ifndef TOLLGATE_SIM_IP_STACK_H
#define TOLLGATE_SIM_IP_STACK_H

#include "sim/ip.h"

/* Why the network dropped a packet; drop_names[] gives the text that fates, refusals and counters use. */
enum drop {
	DROP_LINK_LOSS,
	DROP_LINK_QUEUE,
	DROP_LINK_DOWN,
	DROP_LINK_NO_NEIGHBOUR,
	DROP_LINK_MOVED,
	DROP_ETH_NOT_US,
	DROP_IP_MALFORMED,
	DROP_IP_CHECKSUM,
	DROP_IP_TTL,
	DROP_IP_NO_ROUTE,
	DROP_IP_NO_PROTOCOL,
	DROP_IP_FRAGMENT_LIMIT,
	DROP_IP_REASSEMBLY_TIMEOUT,
	DROP_IP_TOO_BIG,
	DROP_IP_FILTER,
	DROP_ICMP_MALFORMED,
	DROP_ICMP_CHECKSUM,
	DROP_UDP_MALFORMED,
	DROP_UDP_CHECKSUM,
	DROP_UDP_NO_PORT,
	DROP_COUNT
};
extern const char *const drop_names[DROP_COUNT];

struct ip_route {
	uint32_t prefix, mask;
	uint32_t gateway;    /* 0: connected */
	uint32_t age : 31;   /* number of the route at its node: of equal prefixes the older wins */
	uint32_t connected : 1; /* made by iface_set_ip(), which also removes it */
	struct iface *iface;
};

struct ip_proto {
	struct ip_proto *next;
	ip_proto_fn *fn;
	void *ctx;
	uint8_t proto;
};

struct reassembly;      /* ip_fragment.c */
struct ip_route_groups; /* ip_route.c */

/* How a packet leaves its node. */
struct ip_path {
	struct iface *out;
	uint32_t next_hop; /* 0xffffffff: broadcast */
	uint32_t src;      /* the address to send from, when none is given */
	bool loop;         /* to the node itself */
};

struct ip_stack {
	/* Routes by falling prefix length, then rising prefix, then rising age; sorted when first looked up. */
	struct ip_route *routes;
	struct ip_route_groups *groups; /* when there are many routes; see ip_route_find() */
	uint32_t route_count, route_capacity, next_route_age;
	bool routes_sorted;
	bool locals_known;   /* locals[] agrees with interfaces and aliases */
	bool forwarding;
	uint8_t reassembling_count;
	uint16_t next_ident;
	uint16_t next_port;  /* ephemeral; 0: none given out yet */
	uint32_t local_count, alias_count;
	uint32_t reassembling_bytes;
	uint32_t *locals;    /* own addresses, sorted; only when there is more than one interface or an alias */
	uint32_t *aliases;
	struct ip_proto *protos;
	ip_filter_fn *filter;
	void *filter_ctx;
	const struct ip_security *security;

	struct reassembly *reassembling; /* newest first */

	/* UDP sockets by port; one bucket (udp_single) until there are many. */
	struct udp_socket *udp_single, **udp_buckets;
	uint32_t udp_bucket_count, udp_count;

	sim_ns icmp_due_ns;  /* when the next ICMP error would be due at the permitted rate */
	void *tcp;           /* TCP's state of this node, NULL until used; tcp.c's own */
	struct ip_counters counters;
};

/* The limits of a node, beside those in ip.h. */
#define IP_REASSEMBLY_BYTES_MAX (512 * 1024) /* in fragments held by a node */
#define IP_DATAGRAM_MAX 65535
#define IP_ROUTES_MAX (1 << 20)
#define IP_ROUTE_AGE_MAX INT32_MAX
#define IP_ROUTES_IN_A_ROW 8 /* up to so many are searched one by one */
#define UDP_PORT_EPHEMERAL_FIRST 49152
#define ICMP_ERROR_QUOTE_MAX (576 - IP_HEADER_LEN - 8) /* RFC 1812 4.3.2.3 */
#define ICMP_ERROR_INTERVAL_NS (1 * NS_PER_MS)         /* RFC 1812 4.3.2.8: a thousand a second, */
#define ICMP_ERROR_BURST 64                            /* and as many at once */

#define ICMP_ECHO_REPLY 0
#define ICMP_UNREACHABLE 3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT 5
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER 12
#define ICMP_UNREACHABLE_NET 0
#define ICMP_UNREACHABLE_HOST 1
#define ICMP_UNREACHABLE_PROTOCOL 2
#define ICMP_UNREACHABLE_PORT 3
#define ICMP_UNREACHABLE_FRAGMENT 4
#define ICMP_TIME_EXCEEDED_TTL 0
#define ICMP_TIME_EXCEEDED_REASSEMBLY 1

/* An ICMP error about something that this node sent. All of it comes from the wire and may be forged. */
struct icmp_error {
	uint8_t type, code;
	uint32_t from;             /* who sent the ICMP message */
	uint32_t src, dst;         /* of the packet it is about: src is one of our addresses */
	const uint8_t *transport;  /* the first bytes of its segment as quoted */
	uint32_t transport_len;    /* at least 8 */
};

/*
 * What IP expects of TCP (tcp.c). tcp_input() gets every TCP segment for the node, also when the node has no TCP state
 * yet (stack->tcp NULL: a SYN is answered with RST); packet->data is the TCP header, the packet is lent as to any
 * protocol handler. Checksum and lengths have not been looked at. info->sa as given.
 */
void tcp_input(struct node *node, struct packet *packet, const struct ip_info *info);
void tcp_icmp_error(struct node *node, const struct icmp_error *error);
/*
 * The node goes: frees stack->tcp and its connections (events cancelled), without callbacks. Listeners belong to owners
 * that may be gone already: they are not touched.
 */
void tcp_node_free(struct node *node);

/* Frees what a node's stack holds. The stack itself is in one piece with its node. */
void ip_stack_end(struct node *node);
/* An interface's address has changed (was old/old_len): its connected route and the node's own addresses follow. */
void ip_iface_changed(struct iface *iface, uint32_t old_ip, uint8_t old_prefix_len);
/* Puts the routes in order and finds the best by bisection; for ip_route_find(). */
const struct ip_route *ip_route_search(struct ip_stack *ip, uint32_t dst);
/* The best route to dst, NULL when there is none. Few routes are searched in a row, the longest prefix first. */
static inline const struct ip_route *ip_route_find(const struct node *node, uint32_t dst)
{
	struct ip_stack *ip = node->ip;

	if (!ip->routes_sorted || ip->route_count > IP_ROUTES_IN_A_ROW)
		return ip_route_search(ip, dst);
	for (const struct ip_route *route = ip->routes, *end = route + ip->route_count; route < end; route++) {
		if ((dst & route->mask) == route->prefix)
			return route;
	}
	return NULL;
}
/* True when dst is the broadcast address of the subnet that this route leads to. */
static inline bool ip_route_broadcast(const struct ip_route *route, uint32_t dst)
{
	return route->connected && ~route->mask > 1 && dst == (route->prefix | ~route->mask);
}
/* Searches the addresses of a node that has several; for ip_is_own(). */
bool ip_own_search(const struct node *node, uint32_t dst);
/* ip_is_local() for the hot path: one interface is compared, two are compared, more and aliases are looked up. */
static inline bool ip_is_own(const struct node *node, uint32_t dst)
{
	const struct iface *iface = node->ifaces;

	if (dst == 0 || !iface)
		return false;
	if (iface->ip == dst)
		return true;
	if (node->ip->alias_count)
		return ip_own_search(node, dst);
	iface = iface->next;
	if (!iface)
		return false;
	return iface->next ? ip_own_search(node, dst) : iface->ip == dst;
}
/* How a packet from src (0: any) to dst leaves; false when there is no route. */
bool ip_path_find(const struct node *node, uint32_t src, uint32_t dst, struct ip_path *path);
/* ip_send() with the path known and info->src set. Writes into info. */
void ip_send_path(struct node *node, const struct ip_path *path, struct ip_info *info, struct packet *packet);
/* True for 255.255.255.255 and for the broadcast address of one of the node's subnets. */
bool ip_is_broadcast(const struct node *node, uint32_t ip);
static inline bool ip_is_multicast(uint32_t ip)
{
	return ip >> 28 == 0xe;
}

struct ip_proto *ip_proto_find(const struct node *node, uint8_t number); /* NULL: nobody's */
/* A transport segment for this node; the packet stays the caller's. */
void ip_dispatch(struct node *node, struct packet *packet, const struct ip_info *info);
void udp_input(struct node *node, struct packet *packet, const struct ip_info *info);
void udp_icmp_error(struct node *node, const struct icmp_error *error);
void udp_reset(struct node *node);

/* Splits a packet (data at its IP header) to LINK_MTU and sends the pieces on. Takes it. */
void ip_fragment_send(struct iface *out, uint32_t next_hop, struct packet *packet);
/*
 * A fragment for this node: data is its payload, header its IP header. Takes it. Returns the whole datagram's packet
 * (data at the segment, tag and actor of its first fragment) and its header, when this was the last that was missing;
 * else NULL.
 */
struct packet *ip_reassemble(struct node *node, struct packet *packet, const uint8_t *header,
                             const uint8_t **whole_header);
void ip_reassembly_reset(struct node *node);

/*
 * Sends an ICMP error about the received packet whose IP header and following bytes are at header (len bytes in all),
 * unless the rules of RFC 1122 3.2.2 forbid one or the node has sent too many. header NULL (protected): none.
 */
void icmp_send_error(struct node *node, uint8_t type, uint8_t code, const uint8_t *header, uint32_t len);
/* How much of a packet with this header and a segment of segment_len bytes after it there is to quote. */
static inline uint32_t ip_quote_len(const uint8_t *header, uint32_t segment_len)
{
	return (uint32_t)(header[0] & 15) * 4 + segment_len;
}
void icmp_input(struct node *node, struct packet *packet, const struct ip_info *info);

/* Counts a routine loss at node and gives a tagged message its fate. The packet stays the caller's. */
void network_lost(const struct node *node, enum drop why, const struct packet *packet);
/* The same, and frees the packet. */
void network_lose(const struct node *node, enum drop why, struct packet *packet);
/* Counts and records a refusal of something malformed or hostile. The packet stays the caller's. */
void network_refuse(const struct node *node, enum drop why, uint32_t src, const struct packet *packet);

/*
 * What a run keeps for its network. It hangs on sim->free_packets: the pool's anchor is a member of it.
 */
struct packet_slab;
struct packet_big;
struct name_table {   /* objects by their names; open-addressed; grows, never shrinks, is never walked */
	void **slots;
	size_t slot_count, used;
	size_t name_offset; /* of the name's pointer in an object */
};
struct address_table { /* interfaces by address; open-addressed, never walked */
	struct iface **slots;
	size_t slot_count, used;
};
struct network {
	struct packet *free_small, *free_large;
	struct packet_slab *slabs;
	struct packet_big *big;           /* packets beyond PACKET_LARGE, each its own allocation */
	struct name_table node_names, link_names;
	struct address_table addresses;
	uint64_t drops[DROP_COUNT];
	struct packet anchor;             /* last: it ends in a flexible array */
};
/* Adds an object, borrowed, that has its name already; false when that name is there already. */
bool name_table_add(struct name_table *table, void *object);
void *name_table_find(const struct name_table *table, const char *name);

/* Adds an interface that has no address yet to the end of a link. */
void link_attach(struct link *link, struct iface *iface);
/* Takes an interface without an address off its link. */
void link_detach(struct iface *iface);
/* An interface's address was old_ip; the neighbours follow. */
void link_iface_changed(struct iface *iface, uint32_t old_ip);

/* The network of a run, made when first asked for. */
struct network *network_make(struct sim *sim);
static inline struct network *network_of(struct sim *sim)
{
	if (!sim->free_packets)
		return network_make(sim);
	return (struct network *)(void *)((char *)sim->free_packets - offsetof(struct network, anchor));
}

static inline const struct network *network_get(const struct sim *sim) /* it must have been made */
{
	const char *anchor = (const char *)sim->free_packets;

	return (const struct network *)(const void *)(anchor - offsetof(struct network, anchor));
}

#endif

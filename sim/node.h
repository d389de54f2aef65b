/*
 * Nodes, their interfaces, and the links between these.
 *
 * A link is a shared medium: two interfaces make a point-to-point line, many an HFC segment or a backbone. Frames are
 * Ethernet II; the neighbour table of a link is static, as an operator would configure it (no ARP). Each interface has
 * its own sending queue; delay, rate, jitter, loss, reordering, duplication and the queue's bound are the link's.
 *
 * Why a packet was lost, as fates and counters name it: "link.loss", "link.queue", "link.down", "link.no_neighbour",
 * "link.moved".
 *
 * A sender's queue is time: free_at_ns says when the line has taken the last frame, and what lies between now and then
 * at the link's rate is the backlog. So a frame costs one event a hop, its arrival.
 */
#ifndef TOLLGATE_SIM_NODE_H
#define TOLLGATE_SIM_NODE_H

#include "sim/packet.h"
#include "sim/rng.h"
#include "sim/sim.h"

#define NODE_NAME_MAX 63
#define ETHERNET_HEADER_LEN 14
#define LINK_MTU 1500

struct ip_stack;
struct service;
struct model;

struct node {
	struct sim *sim;
	char *name;
	struct node *next;          /* in the sim, in order of creation */
	uint32_t index;             /* in order of creation */
	struct iface *ifaces;       /* in order of creation */
	struct ip_stack *ip;        /* see ip.h */
	struct service *service;    /* see service.h; NULL until used */
	const struct model *model;  /* what kind of element this is; NULL for a bare node */
	void *state;                /* the model's */
	void (*destroy)(struct node *node); /* frees state; may be NULL */
};

struct iface {
	struct node *node;
	struct link *link;
	struct iface *next;         /* of the node */
	struct iface *next_on_link;
	sim_ns free_at_ns;          /* when its sender has put the last queued frame on the line */
	sim_ns last_arrival_ns;     /* of what it sent: jitter does not overtake it */
	struct rng *chance;         /* stream "NODE:NAME/link", lazily; what befalls what it sends */
	uint32_t queued_bytes;      /* the backlog when it last sent */
	uint32_t capture_id;        /* for the capture */
	uint32_t ip;                /* host order; 0: none */
	uint8_t mac[6];
	uint8_t prefix_len;
	char name[];                /* "eth0"; the capture calls it NODE:NAME */
};

struct link_params {
	sim_ns delay_ns;
	uint64_t rate_bps;          /* 0: no serialisation time */
	sim_ns jitter_ns;           /* uniform in [0, jitter_ns] added to delay; order is kept unless reorder strikes */
	uint32_t loss_ppm, reorder_ppm, duplicate_ppm;
	sim_ns reorder_ns;          /* how much later a reordered frame comes */
	uint32_t queue_bytes;       /* bound of each sending queue; 0: the default. An idle line takes any frame */
};
#define LINK_QUEUE_DEFAULT_BYTES (256 * 1024)

enum tap_verdict { TAP_PASS, TAP_TAKEN };
/*
 * Sees each frame as it enters the link, before loss. TAP_TAKEN: the tap has taken ownership (drop, delay, change,
 * keep). It may alter the frame and pass it. A broadcast is seen once for each receiver. What the tapper's own node
 * sends is not shown to it. It may call link_inject() from inside.
 */
typedef enum tap_verdict link_tap_fn(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                     struct packet *frame);

struct link {
	struct sim *sim;
	char *name;
	struct link *next;
	struct iface *ifaces;
	size_t iface_count;
	struct link_params params;
	bool down;
	link_tap_fn *tap;           /* one wire-tapper at a time; NULL */
	void *tap_ctx;
	const struct node *tapper;
	struct neighbour_table *neighbours; /* IP and MAC to interface */
	uint64_t sent, lost;
};

/* Name must be unique in the sim (asserted). */
struct node *node_new(struct sim *sim, const char *name);
struct node *node_find(const struct sim *sim, const char *name); /* NULL: none */
struct link *link_new(struct sim *sim, const char *name, const struct link_params *params);
struct link *link_find(const struct sim *sim, const char *name);
/*
 * An interface of node on link, its name at most NODE_NAME_MAX long. mac NULL: made from the node's and interface's
 * number (02:...). ip may be 0 (set later with iface_set_ip). Adds the connected route.
 */
struct iface *iface_new(struct node *node, struct link *link, const char *name, const uint8_t mac[6], uint32_t ip,
                        uint8_t prefix_len);
/* Gives the interface another address; connected route and neighbour table follow. */
void iface_set_ip(struct iface *iface, uint32_t ip, uint8_t prefix_len);
/*
 * Unplugs an interface and plugs it into another link, of the same sim: a device is carried elsewhere. It loses its
 * address; what is on its way to it on the old link is lost ("link.moved"). Not the tapper's, nor one that claims an
 * address (asserted).
 */
void iface_move(struct iface *iface, struct link *link);
/*
 * Another address the link delivers to this interface (an attacker in the middle; takes the place of its true owner,
 * also when that one sets its address later). iface NULL: the claim ends.
 */
void link_claim_ip(struct link *link, uint32_t ip, struct iface *iface);

/* Sends an IP packet to the neighbour next_hop (0xffffffff: broadcast). Adds the Ethernet header, takes the packet. */
void link_send(struct iface *from, uint32_t next_hop, struct packet *packet);
/*
 * Puts a whole Ethernet frame onto the link towards an interface, past the tap, queue and chance (an attacker's
 * injection). It arrives after delay_ns and the link's delay. to NULL: whoever has the frame's destination MAC, all but
 * from for the broadcast MAC. from may be NULL; it shows in the capture when it is not. Takes the frame.
 */
void link_inject(struct link *link, struct iface *from, struct iface *to, struct packet *frame, sim_ns delay_ns);
/* The address of its first interface that has one; 0: none has. */
uint32_t node_first_ip(const struct node *node);
struct iface *link_neighbour(const struct link *link, uint32_t ip); /* NULL: none */

/* "10.1.2.3" -> host order; false on anything else. out may be written on failure. */
bool ip_parse(const char *text, uint32_t *out);
/* Writes dotted decimal, returns buf. */
#define IP_TEXT_LEN 16
const char *ip_text(uint32_t ip, char buf[IP_TEXT_LEN]);
/* The node that owns this address, NULL when none does; of several the first created. */
struct node *node_by_ip(const struct sim *sim, uint32_t ip);
/* How many packets of the run were dropped for this reason ("link.loss", "ip.ttl", ...); 0 for an unknown one. */
uint64_t network_dropped(const struct sim *sim, const char *why);

#endif

/*
 * The DHCP client of a device (RFC 2131 section 4.4, figure 5; patent [0131]): discovers, requests, renews,
 * rebinds, and starts over when it is refused. A state machine as a table; it sets and clears its interface's
 * address.
 *
 * An answer counts when it has the transaction's number and comes from the server it names; what is repeated or
 * late changes nothing. Answers to other devices, which are broadcast too, are passed over in silence.
 *
 * Refusals: "dhcp.malformed", "dhcp.type", "dhcp.xid", "dhcp.server" (not the one that was chosen, or not from
 * where it says), "dhcp.offer" (an address, mask or file that cannot be used), "dhcp.state" (nothing that is
 * waited for).
 *
 * What no check stops (RFC 2131 section 7): a neighbour on the segment hears the transaction's number, which is sent
 * to all, and may answer first, or refuse, in the server's name. It can keep the device from service; that what it
 * gives leads nowhere is for the signed configuration and for the keys of KDC and controller.
 */
#ifndef TOLLGATE_MODELS_DHCP_CLIENT_H
#define TOLLGATE_MODELS_DHCP_CLIENT_H

#include "models/access_message.h"
#include "sim/machine.h"

#define DHCP_RETRY_NS (4 * NS_PER_S)      /* RFC 2131 section 4.1: doubles, give or take a second, */
#define DHCP_RETRY_MAX_NS (64 * NS_PER_S) /* up to this */
#define DHCP_RETRY_SPREAD_NS (1 * NS_PER_S)
#define DHCP_REQUEST_TRIES 4              /* then it discovers anew */
/* Devices that get power together do not all speak at once; the RFC's 10 s are for hosts (our choice). */
#define DHCP_START_SPREAD_NS (1 * NS_PER_S)
#define DHCP_RESTART_NS (2 * NS_PER_S)    /* after a refusal */
#define DHCP_LEASE_MIN_S 10               /* who offers less would have the device renew without end */

enum dhcp_state { DHCP_STATE_INIT, DHCP_STATE_SELECTING, DHCP_STATE_REQUESTING, DHCP_STATE_BOUND, DHCP_STATE_RENEWING,
	DHCP_STATE_REBINDING, DHCP_STATES };
enum dhcp_event { DHCP_EVENT_START, DHCP_EVENT_OFFER, DHCP_EVENT_ACK, DHCP_EVENT_NAK, DHCP_EVENT_TIMEOUT,
	DHCP_EVENT_GIVE_UP, DHCP_EVENT_T1, DHCP_EVENT_T2, DHCP_EVENT_EXPIRED, DHCP_EVENT_STOP, DHCP_EVENTS };
extern const struct machine_def dhcp_client_machine;

struct dhcp_lease { /* what a device was given */
	uint32_t ip, server, router, dns, tftp;
	uint8_t prefix_len;
	char file[DHCP_NAME_MAX + 1], realm[DHCP_NAME_MAX + 1];
	sim_ns from_ns, renew_ns, rebind_ns, until_ns; /* SIM_NEVER: for good */
};

/* Whether ip is all hosts, or none, of the subnet that a lease is for. */
static inline bool dhcp_lease_is_broadcast(const struct dhcp_lease *lease, uint32_t ip)
{
	uint32_t host = UINT32_MAX >> lease->prefix_len;

	return !((ip ^ lease->ip) & ~host) && ((ip & host) == 0 || (ip & host) == host);
}

struct dhcp_client;
struct dhcp_client_config {
	struct node *node;
	struct iface *iface;
	const char *class_id;                                  /* borrowed: "pktc1.0" and what follows */
	void (*bound)(void *ctx, const struct dhcp_lease *lease); /* a new address, not a renewal */
	void (*lost)(void *ctx, const char *why);              /* the address is gone; it discovers again by itself */
	void *ctx;
};
/* config is copied. Owned by the caller. */
struct dhcp_client *dhcp_client_new(const struct dhcp_client_config *config);
void dhcp_client_free(struct dhcp_client *client);
/* Begins, from wherever it is; nobody is told that an address is lost by this. */
void dhcp_client_start(struct dhcp_client *client);
/* Ends, without a word on the wire (a power loss); the address goes. */
void dhcp_client_stop(struct dhcp_client *client);
enum dhcp_state dhcp_client_state(const struct dhcp_client *client);
const struct dhcp_lease *dhcp_client_lease(const struct dhcp_client *client); /* NULL: none */

#endif

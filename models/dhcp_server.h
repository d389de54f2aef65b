/*
 * The DHCP server of a head-end (RFC 2131, RFC 3495; flows.md 5, V1; patent [0131]): gives a device an address by
 * its MAC, out of the provisioned pool when it has an account and out of the unprovisioned one when it has none,
 * and tells it mask, router, name server, TFTP server, configuration file and realm.
 *
 * It listens on its segment alone and answers by broadcast, since a device without an address hears nothing else,
 * or to the address that a device renews. A question that is repeated is answered again and changes nothing twice.
 * A device has one address: with a new one, of the other pool, its old one ends. A lease whose pool is no longer
 * its device's is renewed while the device has more than it is due to (an account came: it will start anew by
 * itself), and refused when it has less (the account went).
 *
 * Refusals: "dhcp.malformed", "dhcp.interface" (came from the network), "dhcp.relayed" (no relay agents here),
 * "dhcp.busy" (as many wait for their admission as there is room for), "dhcp.decline" (of an address that its
 * device has used for long, or of more than it may keep from others), "dhcp.class" (no PacketCable device),
 * "dhcp.type", "dhcp.pool_empty", "dhcp.not_offered" (NAK: an address that it has not), "dhcp.renewal" (NAK: it is
 * to start anew), "dhcp.source" (a release from elsewhere), and what its owner's admission says.
 *
 * What DHCP cannot stop (RFC 2131 section 7): a neighbour on the segment that takes other devices' MACs. It can have
 * all addresses of the unprovisioned pool by as many MACs, give back or decline another's address, answer in the
 * server's place. It cannot exhaust the provisioned pool, whose addresses go to MACs with an account; what it gets
 * is worth nothing without keys; and what it takes away comes back in time.
 */
#ifndef TOLLGATE_MODELS_DHCP_SERVER_H
#define TOLLGATE_MODELS_DHCP_SERVER_H

#include "models/access_message.h"
#include "models/lease_table.h"

#define DHCP_CLASS_ID "pktc1.0"                /* a device's class identifier begins with it [facts] */
#define DHCP_OFFER_HOLD_NS (60 * NS_PER_S)     /* an address is held so long for the device it was offered to */
#define DHCP_WAITING_MAX 1024                   /* devices whose admission is not known yet; others will ask again */
#define DHCP_BLOCKED_NS (3600 * NS_PER_S)      /* after a DECLINE */
#define DHCP_DECLINE_NS (60 * NS_PER_S)        /* a device looks whether its address is free when it has got it */
#define DHCP_BLOCKED_MAX 2                     /* addresses that one MAC keeps from others */

struct dhcp_server;
struct dhcp_server_config {
	struct node *node;
	const struct iface *hfc;
	struct lease_table *leases; /* borrowed */
	sim_ns lease_ns;
	const char *file, *realm;   /* borrowed */
	/* Whether a MAC has an account. */
	bool (*has_account)(void *ctx, const uint8_t mac[LEASE_MAC_LEN]);
	/*
	 * Whether it may have an address at all: NULL, or the check that refuses it. Asked when it comes,
	 * not when it renews; may be NULL. *wait: not known yet; dhcp_server_resume() when it is.
	 */
	const char *(*admit)(void *ctx, const uint8_t mac[LEASE_MAC_LEN], bool *wait);
	void (*heard)(void *ctx, const uint8_t mac[LEASE_MAC_LEN]); /* a device has said something; may be NULL */
	void (*changed)(void *ctx); /* a lease has begun, been renewed or ended */
	void *ctx;
};
/* config is copied. Owned by the caller. Binds at reset. */
struct dhcp_server *dhcp_server_new(const struct dhcp_server_config *config);
void dhcp_server_free(struct dhcp_server *server);
void dhcp_server_reset(struct dhcp_server *server);
/* Whether this MAC may have an address is known now: what it said last is answered. */
void dhcp_server_resume(struct dhcp_server *server, const uint8_t mac[LEASE_MAC_LEN]);

#endif

/*
 * The packet filter of a head-end (flows.md 5, V1 and V10; patent [0131], [0148]). It judges by address: a device
 * that has no account reaches the KDC, the signaling controller of its segment, customer service, the provisioning
 * CA, whom its operator names besides (a gateway through which customer service is called), and nobody else; and
 * nobody else reaches it. A device with an account reaches everybody. An address that is leased to nobody reaches
 * nobody.
 *
 * It knows a device by its address and so can be lied to (attacks.md P2). What devices of one segment say to each
 * other does not come by here: the cable is theirs. The head-end's own services are not forwarded to, and open to
 * all.
 *
 * Refusal: "he.filter".
 */
#ifndef TOLLGATE_MODELS_HEAD_END_FILTER_H
#define TOLLGATE_MODELS_HEAD_END_FILTER_H

#include "models/lease_table.h"
#include "sim/ip.h"

#define FILTER_REACH_MAX 16

struct head_end_filter {
	const struct iface *hfc;
	const struct lease_table *leases; /* borrowed */
	bool (*has_account)(void *ctx, const uint8_t mac[LEASE_MAC_LEN]);
	void *ctx;
	uint32_t reach[FILTER_REACH_MAX]; /* addresses that everybody reaches */
	unsigned reach_count;
	uint64_t stopped;
};
/* Adds an address that everybody reaches; 0 is ignored. False: no room. */
bool head_end_filter_reach(struct head_end_filter *filter, uint32_t ip);
/* Adds addresses from "10.0.0.1, 10.0.0.2". False: one of them is none, or no room. */
bool head_end_filter_reach_text(struct head_end_filter *filter, const char *text);
/* An ip_filter_fn; ctx is the filter. */
bool head_end_filter_pass(struct node *node, void *ctx, const struct iface *in, const struct packet *packet,
                          const struct ip_info *info);

#endif

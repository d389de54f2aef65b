/*
 * What a head-end does for devices that want access (flows.md 5, V1): its DHCP, TFTP and name servers, the signed
 * files, and the packet filter. Owned by models/cmts.c, which keeps leases and MAC list.
 *
 * Files: DEVICE_CONFIG_FILE is made for whoever has the lease of the address that asks for it and signed by the
 * operator's CA; the image is the manufacturer's. Neither key is in the head-end: both are signed at their
 * authority's counter, as certificates are.
 */
#ifndef TOLLGATE_MODELS_HEAD_END_ACCESS_H
#define TOLLGATE_MODELS_HEAD_END_ACCESS_H

#include "models/device_files.h"
#include "models/dhcp_server.h"
#include "models/dns_server.h"
#include "models/head_end_filter.h"
#include "models/tftp_server.h"

#define HEAD_END_IMAGES_MAX 8 /* versions that are kept for download */

struct head_end_access;
struct head_end_access_config {
	struct node *node;
	const struct iface *hfc;
	struct lease_table *leases;       /* borrowed */
	const struct node *kdc, *controller;
	uint32_t kdc_ip, controller_ip;
	sim_ns lease_ns;
	const char *version;              /* of the software that devices are to run */
	size_t image_bytes;               /* of code in an image */
	bool (*has_account)(void *ctx, const uint8_t mac[LEASE_MAC_LEN]);
	/* As in dhcp_server.h; may be NULL. */
	const char *(*admit)(void *ctx, const uint8_t mac[LEASE_MAC_LEN], bool *wait);
	void (*heard)(void *ctx, const uint8_t mac[LEASE_MAC_LEN]);
	void *ctx;
};
/*
 * config is copied, version too. reach: more addresses that everybody reaches, as text. NULL: reach or version
 * cannot be read. Sets the node's packet filter. Owned by the caller. Binds at reset.
 */
struct head_end_access *head_end_access_new(const struct head_end_access_config *config, const char *reach);
void head_end_access_free(struct head_end_access *access);
void head_end_access_reset(struct head_end_access *access);
/* From now on configurations name this version. False: it cannot be one, or too many are kept. */
bool head_end_access_offer(struct head_end_access *access, const char *version);
/* Whether this MAC may have an address is known now. */
void head_end_access_admitted(struct head_end_access *access, const uint8_t mac[LEASE_MAC_LEN]);
uint64_t head_end_access_filtered(const struct head_end_access *access);
unsigned head_end_access_transfers(const struct head_end_access *access);

#endif

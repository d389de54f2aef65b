/*
 * A device's access to its HFC segment (flows.md 5, V1 and V14; 6, FIG. 5A; patent [0107]-[0111], [0131], [0160]):
 * what a CTA does from power-on until it may speak to its KDC and signaling controller. An address by DHCP, the
 * configuration by TFTP, the software image if another is due, and the addresses of KDC and controller by DNS.
 * Owned by the device.
 *
 * The clear-text servers are believed no further than what is signed: the configuration must be the operator's and
 * for this device ("cta.verify_config"), the image the manufacturer's and of the version that the configuration
 * names ("cta.verify_image"), names that DNS gives must be those of the configuration ("cta.dns_target"), and
 * addresses a host's ("cta.dns_address"); which host's it is, the keys of KDC and controller say. A
 * registration that fails is tried again with doubled pauses, and changes no state. Image and account are in
 * flash: they outlast a power loss. Everything else starts anew.
 *
 * FIG. 5A is a table: a cell that is not in it is recorded as refused.
 */
#ifndef TOLLGATE_MODELS_HFC_CLIENT_H
#define TOLLGATE_MODELS_HFC_CLIENT_H

#include "models/device_files.h"
#include "models/dhcp_client.h"

#define HFC_RETRY_NS (10 * NS_PER_S)
#define HFC_RETRY_MAX_NS (160 * NS_PER_S)
#define HFC_RETRY_SPREAD_NS (1 * NS_PER_S)
#define HFC_CLASS_ID "pktc1.0"
#define HFC_IMAGE_FILE_MAX (DEVICE_IMAGE_MAX + 16384) /* with head and signature */
#define HFC_CONFIG_FILE_MAX 8192

enum hfc_state { HFC_NOT_CONFIGURED, HFC_UNPROVISIONED_ACCESS, HFC_FULLY_REGISTERED, HFC_PROVISIONED_ACCESS,
	HFC_STATES };
enum hfc_event {
	HFC_REGISTERED_UNPROVISIONED, HFC_REGISTERED_PROVISIONED, HFC_REGISTRATION_FAILED,
	HFC_ACCOUNT_SET_UP, HFC_PROVISIONING_REJECTED, HFC_DEPROVISIONED, /* what its owner tells */
	HFC_ADDRESS_LOST, HFC_REBOOT, HFC_EVENTS
};
extern const struct machine_def hfc_access_machine;

struct hfc_configured { /* where a device stands once it is registered */
	struct dhcp_lease lease;
	struct device_config config;
	uint32_t kdc_ip, controller_ip;
	uint16_t kdc_port, controller_port;
};

struct hfc_client;
struct hfc_client_config {
	struct node *node;
	struct iface *iface;
	const struct der *operator_ca, *manufacturer_ca; /* borrowed; what it has from its makers [0103] */
	bool verify_config, verify_image;
	const char *version;    /* of the software it was made with; borrowed; NULL: none */
	/* Registered, or registered anew. configured lives until the next lost() or the client's end. */
	void (*configured)(void *ctx, const struct hfc_configured *configured);
	/* The address is gone, or it starts anew: everything that was built on it is void. Only after configured(). */
	void (*lost)(void *ctx, const char *why);
	/* May be NULL: it runs another image now; the operator's certificate in it is the client's. */
	void (*installed)(void *ctx, const char *version, const struct der *operator_ca);
	void *ctx;
};
/* config is copied. Owned by the caller. */
struct hfc_client *hfc_client_new(const struct hfc_client_config *config);
void hfc_client_free(struct hfc_client *client);
/* Power comes: it registers. Also a reboot when it is told to: lost() is called first if it was configured. */
void hfc_client_boot(struct hfc_client *client);
/* Power goes: no word on the wire, nobody is called. */
void hfc_client_power_off(struct hfc_client *client);
/*
 * HFC_ACCOUNT_SET_UP, HFC_PROVISIONING_REJECTED or HFC_DEPROVISIONED (asserted). With the last it registers anew,
 * after lost() if it was configured.
 */
void hfc_client_tell(struct hfc_client *client, enum hfc_event news);

enum hfc_state hfc_client_state(const struct hfc_client *client);
const char *hfc_client_state_name(const struct hfc_client *client);
const struct hfc_configured *hfc_client_configured(const struct hfc_client *client); /* NULL: not registered */
const char *hfc_client_version(const struct hfc_client *client); /* of the software it runs; "" none */
/* The operator's certificate of its image, or of its makers. Borrowed. */
const struct der *hfc_client_operator_ca(const struct hfc_client *client);
bool hfc_client_image_is_signed(const struct hfc_client *client); /* by its maker; for scenarios (P8) */

#endif

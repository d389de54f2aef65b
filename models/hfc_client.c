/* A device's access to its HFC segment; see hfc_client.h. */
#include "models/hfc_client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "crypto/signed_file.h"
#include "models/dns_client.h"
#include "models/tftp_client.h"
#include "models/world.h"
#include "sim/service.h"

enum step { STEP_ADDRESS, STEP_CONFIG, STEP_IMAGE, STEP_KDC_SERVICE, STEP_KDC_HOST, STEP_CONTROLLER_SERVICE,
	STEP_CONTROLLER_HOST, STEP_DONE };

struct hfc_client {
	struct hfc_client_config config;
	struct machine machine;
	struct dhcp_client *dhcp;
	struct tftp_client *tftp;
	struct dns_client *dns;
	struct event retry;
	sim_ns retry_ns;
	struct rng rng;
	enum step step;
	bool powered;
	struct hfc_configured got;
	/* In flash */
	char version[DEVICE_VERSION_MAX + 1];
	struct der operator_ca; /* of the image; empty: that of its makers */
	bool image_is_signed;
};

static struct node *node_of(const struct hfc_client *h)
{
	return h->config.node;
}

static void happen(struct hfc_client *h, enum hfc_event event)
{
	machine_event(node_of(h), &h->machine, event, h);
}

/* FIG. 5A. A device that had an account before it started anew is provisioned as soon as it is registered again. */

static const char *const states[] = { "NotConfigured", "UnprovisionedAccess", "FullyRegistered", "ProvisionedAccess" };
static const char *const events[] = { "registered, no account", "registered, account", "registration failed",
	                              "account set up", "provisioning rejected", "de-provisioned", "address lost",
	                              "reboot" };
#define CELL(state, event, next) [HFC_##state * HFC_EVENTS + HFC_##event] = { true, HFC_##next, NULL }
static const struct machine_cell cells[HFC_STATES * HFC_EVENTS] = {
	CELL(NOT_CONFIGURED, REGISTERED_UNPROVISIONED, UNPROVISIONED_ACCESS),
	CELL(NOT_CONFIGURED, REGISTERED_PROVISIONED, PROVISIONED_ACCESS),
	CELL(NOT_CONFIGURED, REGISTRATION_FAILED, NOT_CONFIGURED),
	CELL(NOT_CONFIGURED, ACCOUNT_SET_UP, NOT_CONFIGURED), /* it learns so by registering */
	CELL(NOT_CONFIGURED, PROVISIONING_REJECTED, NOT_CONFIGURED),
	CELL(NOT_CONFIGURED, DEPROVISIONED, NOT_CONFIGURED),
	CELL(NOT_CONFIGURED, REBOOT, NOT_CONFIGURED),
	CELL(UNPROVISIONED_ACCESS, ACCOUNT_SET_UP, FULLY_REGISTERED),
	CELL(UNPROVISIONED_ACCESS, PROVISIONING_REJECTED, UNPROVISIONED_ACCESS),
	CELL(UNPROVISIONED_ACCESS, DEPROVISIONED, NOT_CONFIGURED),
	CELL(UNPROVISIONED_ACCESS, ADDRESS_LOST, NOT_CONFIGURED),
	CELL(UNPROVISIONED_ACCESS, REBOOT, NOT_CONFIGURED),
	CELL(FULLY_REGISTERED, REGISTERED_UNPROVISIONED, UNPROVISIONED_ACCESS),
	CELL(FULLY_REGISTERED, REGISTERED_PROVISIONED, PROVISIONED_ACCESS),
	CELL(FULLY_REGISTERED, REGISTRATION_FAILED, FULLY_REGISTERED),
	CELL(FULLY_REGISTERED, ACCOUNT_SET_UP, FULLY_REGISTERED),
	CELL(FULLY_REGISTERED, PROVISIONING_REJECTED, FULLY_REGISTERED),
	CELL(FULLY_REGISTERED, DEPROVISIONED, NOT_CONFIGURED),
	CELL(FULLY_REGISTERED, ADDRESS_LOST, FULLY_REGISTERED),
	CELL(FULLY_REGISTERED, REBOOT, FULLY_REGISTERED),
	CELL(PROVISIONED_ACCESS, ACCOUNT_SET_UP, PROVISIONED_ACCESS),
	CELL(PROVISIONED_ACCESS, PROVISIONING_REJECTED, PROVISIONED_ACCESS),
	CELL(PROVISIONED_ACCESS, DEPROVISIONED, NOT_CONFIGURED),
	CELL(PROVISIONED_ACCESS, ADDRESS_LOST, NOT_CONFIGURED),
	CELL(PROVISIONED_ACCESS, REBOOT, NOT_CONFIGURED),
};
#undef CELL
const struct machine_def hfc_access_machine = {
	.name = "hfc", .doc = "access to the HFC segment, FIG. 5A [0107]-[0111]", .states = states, .events = events,
	.state_count = HFC_STATES, .event_count = HFC_EVENTS, .cells = cells,
};

/* Steps of a registration */

static void step_begin(struct hfc_client *h, enum step step);

static void on_retry(struct sim *sim, struct event *event)
{
	struct hfc_client *h = event_owner(event, struct hfc_client, retry);

	(void)sim;
	step_begin(h, STEP_CONFIG);
}

/* It stays where it is, and registers again from its configuration on; its address it has. */
static void fail(struct hfc_client *h)
{
	sim_ns pause_ns = h->retry_ns + (sim_ns)rng_below(&h->rng, HFC_RETRY_SPREAD_NS + 1);

	happen(h, HFC_REGISTRATION_FAILED);
	h->step = STEP_CONFIG;
	sim_after(node_of(h)->sim, &h->retry, pause_ns, on_retry, "hfc.retry");
	h->retry_ns = h->retry_ns * 2 < HFC_RETRY_MAX_NS ? h->retry_ns * 2 : HFC_RETRY_MAX_NS;
}

static void refuse(struct hfc_client *h, const char *check, const char *detail)
{
	trace_refuse(node_of(h), check, h->got.lease.tftp, node_of(h)->sim->cause, detail);
}

static struct crypto *crypto_of(const struct hfc_client *h)
{
	return world_crypto(world_of(node_of(h)->sim));
}

/* The content of a signed file; NULL: taken, else why not. The cost is that of a device's secure processor. */
static const char *open_file(struct hfc_client *h, const struct der *file, const struct der *authority, bool verify,
                             struct der *content)
{
	enum signed_file_verdict verdict;

	service_charge(node_of(h), &(struct service_cost){ .rsa_public = verify, .hash_bytes = (uint32_t)file->len });
	verdict = signed_file_open(crypto_of(h), file->bytes, file->len, authority, sim_unix_s(node_of(h)->sim), verify,
	                           content);
	return verdict == SIGNED_FILE_OK ? NULL : signed_file_verdict_names[verdict];
}

static const char *read_config(struct hfc_client *h, const struct der *file, struct device_config *out)
{
	struct der content = { NULL, 0 };
	const char *why = open_file(h, file, h->config.operator_ca, h->config.verify_config, &content);

	if (!why && !device_config_parse(span_at(content.bytes, content.len), out))
		why = "form";
	if (!why && memcmp(out->mac, h->config.iface->mac, sizeof out->mac) != 0)
		why = "device";
	der_free(&content);
	return why;
}

static void on_config(void *ctx, const struct der *file)
{
	struct hfc_client *h = ctx;
	struct device_config config;
	const char *why;

	if (!file) {
		fail(h);
		return;
	}
	why = read_config(h, file, &config);
	if (why) {
		refuse(h, "cta.verify_config", why);
		fail(h);
		return;
	}
	h->got.config = config;
	step_begin(h, STEP_IMAGE);
}

static const char *read_image(struct hfc_client *h, const struct der *file, struct device_image *out)
{
	struct der content = { NULL, 0 };
	const char *why = open_file(h, file, h->config.manufacturer_ca, h->config.verify_image, &content);

	if (!why && !device_image_parse(span_at(content.bytes, content.len), out))
		why = "form";
	else if (!why && strcmp(out->version, h->got.config.version) != 0) {
		device_image_free(out);
		why = "version";
	}
	der_free(&content);
	return why;
}

/* Writes the image into flash. Observers learn whether it is the manufacturer's, though the device did not look. */
static void install(struct hfc_client *h, const struct der *file, struct device_image *image)
{
	struct der content = { NULL, 0 };

	h->image_is_signed = signed_file_open(crypto_of(h), file->bytes, file->len, h->config.manufacturer_ca,
	                                      sim_unix_s(node_of(h)->sim), true, &content) == SIGNED_FILE_OK;
	der_free(&content);
	memcpy(h->version, image->version, sizeof h->version);
	der_free(&h->operator_ca);
	h->operator_ca = image->operator_ca;
	image->operator_ca = (struct der){ NULL, 0 };
	if (h->config.installed)
		h->config.installed(h->config.ctx, h->version, &h->operator_ca);
}

static void on_image(void *ctx, const struct der *file)
{
	struct hfc_client *h = ctx;
	struct device_image image;
	const char *why;

	if (!file) {
		fail(h);
		return;
	}
	why = read_image(h, file, &image);
	if (why) {
		refuse(h, "cta.verify_image", why);
		fail(h);
		return;
	}
	install(h, file, &image);
	step_begin(h, STEP_KDC_SERVICE);
}

/* The host of a principal "sc/sc1" in the domain of the realm. */
static void controller_host(const struct hfc_client *h, char out[DNS_NAME_MAX + 1])
{
	const char *slash = strchr(h->got.config.controller, '/');

	snprintf(out, DNS_NAME_MAX + 1, "%s.%s", slash ? slash + 1 : h->got.config.controller, h->got.config.realm);
}

/* An address that a server can have: one host's, and not this device's own. */
static bool host_address(const struct hfc_client *h, uint32_t ip)
{
	return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 29 != 7 && ip != h->got.lease.ip &&
	       !dhcp_lease_is_broadcast(&h->got.lease, ip);
}

static void on_name(void *ctx, const struct dns_record *record)
{
	struct hfc_client *h = ctx;
	bool kdc = h->step == STEP_KDC_SERVICE || h->step == STEP_KDC_HOST;
	char host[DNS_NAME_MAX + 1];

	if (!record) {
		fail(h);
		return;
	}
	if (h->step == STEP_KDC_HOST || h->step == STEP_CONTROLLER_HOST) {
		if (!host_address(h, record->ip)) {
			refuse(h, "cta.dns_address", record->name);
			fail(h);
			return;
		}
		*(kdc ? &h->got.kdc_ip : &h->got.controller_ip) = record->ip;
		step_begin(h, h->step + 1);
		return;
	}
	controller_host(h, host);
	if (strcasecmp(record->target, kdc ? h->got.config.kdc : host) != 0 || !record->port) {
		refuse(h, "cta.dns_target", record->target);
		fail(h);
		return;
	}
	*(kdc ? &h->got.kdc_port : &h->got.controller_port) = record->port;
	step_begin(h, h->step + 1);
}

static void registered(struct hfc_client *h)
{
	h->retry_ns = HFC_RETRY_NS;
	happen(h, h->got.config.provisioned ? HFC_REGISTERED_PROVISIONED : HFC_REGISTERED_UNPROVISIONED);
	h->config.configured(h->config.ctx, &h->got);
}

static void ask_name(struct hfc_client *h, const char *name, enum dns_type type)
{
	dns_client_ask(h->dns, h->got.lease.dns, name, type, on_name, h);
}

static void step_begin(struct hfc_client *h, enum step step)
{
	char name[DNS_NAME_MAX + 1];
	const char *realm = h->got.config.realm;

	if (step == STEP_IMAGE && strcmp(h->version, h->got.config.version) == 0)
		step = STEP_KDC_SERVICE;
	h->step = step;
	switch (step) {
	case STEP_CONFIG:
		tftp_client_read(h->tftp, h->got.lease.tftp, h->got.lease.file, HFC_CONFIG_FILE_MAX, on_config, h);
		break;
	case STEP_IMAGE:
		tftp_client_read(h->tftp, h->got.lease.tftp, h->got.config.image, HFC_IMAGE_FILE_MAX, on_image, h);
		break;
	case STEP_KDC_SERVICE:
		snprintf(name, sizeof name, "_kerberos._tcp.%s", realm);
		ask_name(h, name, DNS_SRV);
		break;
	case STEP_KDC_HOST:
		ask_name(h, h->got.config.kdc, DNS_A);
		break;
	case STEP_CONTROLLER_SERVICE:
		snprintf(name, sizeof name, "_sip._udp.%s", realm);
		ask_name(h, name, DNS_SRV);
		break;
	case STEP_CONTROLLER_HOST:
		controller_host(h, name);
		ask_name(h, name, DNS_A);
		break;
	case STEP_DONE:
		registered(h);
		break;
	case STEP_ADDRESS:
		break;
	}
}

/* The address */

static void forget(struct hfc_client *h)
{
	sim_cancel(node_of(h)->sim, &h->retry);
	tftp_client_reset(h->tftp);
	dns_client_reset(h->dns);
	h->step = STEP_ADDRESS;
	h->retry_ns = HFC_RETRY_NS;
	memset(&h->got, 0, sizeof h->got);
}

static void on_bound(void *ctx, const struct dhcp_lease *lease)
{
	struct hfc_client *h = ctx;

	forget(h);
	h->got.lease = *lease;
	step_begin(h, STEP_CONFIG);
}

static void on_lost(void *ctx, const char *why)
{
	struct hfc_client *h = ctx;
	bool was = h->step == STEP_DONE;

	forget(h);
	if (!was)
		return;
	happen(h, HFC_ADDRESS_LOST);
	h->config.lost(h->config.ctx, why);
}

/* Construction */

struct hfc_client *hfc_client_new(const struct hfc_client_config *config)
{
	struct hfc_client *h = sim_alloc(sizeof *h);
	struct dhcp_client_config dhcp = { .node = config->node, .iface = config->iface, .class_id = HFC_CLASS_ID,
		                           .bound = on_bound, .lost = on_lost, .ctx = h };

	assert(config->configured && config->lost && config->operator_ca && config->manufacturer_ca);
	h->config = *config;
	h->dhcp = dhcp_client_new(&dhcp);
	h->tftp = tftp_client_new(config->node);
	h->dns = dns_client_new(config->node);
	h->retry_ns = HFC_RETRY_NS;
	h->image_is_signed = true;
	snprintf(h->version, sizeof h->version, "%s", config->version ? config->version : "");
	rng_init(&h->rng, config->node->sim->seed, config->node->name, "hfc");
	machine_start(&h->machine, &hfc_access_machine, HFC_NOT_CONFIGURED);
	return h;
}

void hfc_client_free(struct hfc_client *h)
{
	if (!h)
		return;
	sim_cancel(node_of(h)->sim, &h->retry);
	dhcp_client_free(h->dhcp);
	tftp_client_free(h->tftp);
	dns_client_free(h->dns);
	der_free(&h->operator_ca);
	free(h);
}

void hfc_client_power_off(struct hfc_client *h)
{
	forget(h);
	h->powered = false;
	dhcp_client_stop(h->dhcp);
	happen(h, HFC_REBOOT);
}

static void start_anew(struct hfc_client *h, enum hfc_event event, const char *why)
{
	bool was = h->step == STEP_DONE;

	forget(h);
	dhcp_client_stop(h->dhcp);
	happen(h, event);
	h->powered = true;
	dhcp_client_start(h->dhcp);
	if (was)
		h->config.lost(h->config.ctx, why);
}

void hfc_client_boot(struct hfc_client *h)
{
	start_anew(h, HFC_REBOOT, "reboot");
}

void hfc_client_tell(struct hfc_client *h, enum hfc_event news)
{
	assert(news == HFC_ACCOUNT_SET_UP || news == HFC_PROVISIONING_REJECTED || news == HFC_DEPROVISIONED);
	if (news == HFC_DEPROVISIONED && h->powered)
		start_anew(h, news, "de-provisioned");
	else
		happen(h, news);
}

enum hfc_state hfc_client_state(const struct hfc_client *h)
{
	return (enum hfc_state)h->machine.state;
}

const char *hfc_client_state_name(const struct hfc_client *h)
{
	return machine_state_name(&h->machine);
}

const struct hfc_configured *hfc_client_configured(const struct hfc_client *h)
{
	return h->step == STEP_DONE ? &h->got : NULL;
}

const char *hfc_client_version(const struct hfc_client *h)
{
	return h->version;
}

const struct der *hfc_client_operator_ca(const struct hfc_client *h)
{
	return h->operator_ca.len ? &h->operator_ca : h->config.operator_ca;
}

bool hfc_client_image_is_signed(const struct hfc_client *h)
{
	return h->image_is_signed;
}


/* Access through a head-end; see head_end_access.h. */
#include "models/head_end_access.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/signed_file.h"
#include "models/kdc_client.h"
#include "models/wire/sip.h"
#include "models/world.h"
#include "sim/service.h"

#define AUTHORITY_BITS 2048 /* as in models/authority.c */

#define CONFIG_SLOTS 64

struct image {
	char version[DEVICE_VERSION_MAX + 1];
	struct der bytes; /* signed; made when first asked for */
};

/* The last one of a device: who asks again within the second, by mistake or to wear the signer out, gets the same. */
struct signed_config {
	struct device_config content;
	struct der bytes;
};

struct head_end_access {
	struct head_end_access_config config;
	struct head_end_filter filter;
	struct dhcp_server *dhcp;
	struct tftp_server *tftp;
	struct dns_server *dns;
	struct image images[HEAD_END_IMAGES_MAX];
	unsigned image_count, current; /* of images[] */
	struct signed_config *configs[CONFIG_SLOTS]; /* by MAC; NULL: none yet */
};

/* Signed files */

static const struct {
	enum authority authority;
	const char *key_name;
} counters[] = {
	{ AUTHORITY_OPERATOR, "authority/operator" }, { AUTHORITY_MANUFACTURER, "authority/manufacturer" },
};
enum counter { OPERATOR_COUNTER, MANUFACTURER_COUNTER };

static bool sign(struct head_end_access *a, enum counter who, const struct der *content, struct der *out)
{
	struct world *world = world_of(a->config.node->sim);
	size_t key_len;
	const uint8_t *key = key_pool_get(world_key_pool(world), counters[who].key_name, AUTHORITY_BITS, &key_len);

	service_charge(a->config.node,
	               &(struct service_cost){ .rsa_private = 1, .hash_bytes = (uint32_t)content->len });
	return signed_file_make(world_crypto(world), key, key_len, world_authority(world, counters[who].authority), content,
	                        sim_unix_s(a->config.node->sim), out);
}

static void image_name(const char *version, char out[DEVICE_HOST_MAX + 1])
{
	snprintf(out, DEVICE_HOST_MAX + 1, "cta-%s.img", version);
}

static struct signed_config **config_slot(struct head_end_access *a, const uint8_t mac[LEASE_MAC_LEN])
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < LEASE_MAC_LEN; i++)
		h = (h ^ mac[i]) * 16777619u;
	return &a->configs[(h ^ h >> 16) % CONFIG_SLOTS];
}

/* What a device's configuration says now; false: names that have no room. */
static bool config_of(const struct head_end_access *a, const struct lease *lease, struct device_config *out)
{
	bool own_pool = lease->kind == LEASE_STATIC || lease->pool == LEASE_PROVISIONED;
	const char *version = a->images[a->current].version;
	char kdc[DNS_NAME_MAX + 1];

	memset(out, 0, sizeof *out); /* padding too: it is compared */
	out->provisioned = own_pool && a->config.has_account(a->config.ctx, lease->mac);
	strcpy(out->realm, WORLD_REALM);
	out->issued_s = sim_unix_s(a->config.node->sim);
	memcpy(out->mac, lease->mac, sizeof out->mac);
	if (!dns_host_name(a->config.kdc->name, WORLD_REALM, kdc) || strlen(kdc) >= sizeof out->kdc)
		return false;
	strcpy(out->kdc, kdc);
	snprintf(out->controller, sizeof out->controller, "sc/%s", a->config.controller->name);
	snprintf(out->version, sizeof out->version, "%s", version);
	image_name(version, out->image);
	return true;
}

static bool sign_config(struct head_end_access *a, struct signed_config *kept)
{
	char text[DEVICE_CONFIG_MAX];
	struct der content = { (uint8_t *)text, 0 };

	der_free(&kept->bytes);
	content.len = device_config_write(&kept->content, text, sizeof text);
	return content.len && sign(a, OPERATOR_COUNTER, &content, &kept->bytes);
}

/* The configuration of the device that has this address. */
static bool make_config(struct head_end_access *a, const struct lease *lease, struct der *out)
{
	struct signed_config **slot = config_slot(a, lease->mac), *kept = *slot;
	struct device_config now;

	if (!config_of(a, lease, &now))
		return false;
	if (!kept)
		*slot = kept = sim_alloc(sizeof *kept);
	if (!kept->bytes.len || memcmp(&now, &kept->content, sizeof now) != 0) {
		kept->content = now;
		if (!sign_config(a, kept))
			return false;
	}
	out->bytes = sim_alloc(kept->bytes.len);
	memcpy(out->bytes, kept->bytes.bytes, kept->bytes.len);
	out->len = kept->bytes.len;
	return true;
}

static bool make_image(struct head_end_access *a, struct image *image)
{
	struct world *world = world_of(a->config.node->sim);
	struct der content = { NULL, 0 };
	bool ok = image->bytes.len ||
	          (device_image_write(world_crypto(world), image->version, world_authority(world, AUTHORITY_OPERATOR),
	                              a->config.image_bytes, &content) &&
	           sign(a, MANUFACTURER_COUNTER, &content, &image->bytes));

	der_free(&content);
	return ok;
}

/* Files are for devices of this head-end: the address that asks must be leased. */
static bool on_file(void *ctx, struct span file, uint32_t ip, struct tftp_file *out)
{
	struct head_end_access *a = ctx;
	const struct lease *lease = lease_of_ip(a->config.leases, ip);
	char name[DEVICE_HOST_MAX + 1];

	if (!lease || !lease_live(lease, a->config.node->sim->now_ns))
		return false;
	if (span_is(file, DEVICE_CONFIG_FILE))
		return make_config(a, lease, &out->bytes);
	for (unsigned i = 0; i < a->image_count; i++) {
		image_name(a->images[i].version, name);
		if (span_is(file, name)) {
			out->lent = make_image(a, &a->images[i]);
			out->bytes = a->images[i].bytes;
			return out->lent;
		}
	}
	return false;
}

bool head_end_access_offer(struct head_end_access *a, const char *version)
{
	unsigned i = 0;

	if (!*version || strlen(version) > DEVICE_VERSION_MAX || strpbrk(version, " \t\n/="))
		return false;
	while (i < a->image_count && strcmp(a->images[i].version, version) != 0)
		i++;
	if (i == HEAD_END_IMAGES_MAX)
		return false;
	if (i == a->image_count) {
		snprintf(a->images[i].version, sizeof a->images[i].version, "%s", version);
		a->image_count++;
	}
	a->current = i;
	return true;
}

/* Construction */

static void make_parts(struct head_end_access *a)
{
	const struct head_end_access_config *c = &a->config;
	struct dhcp_server_config dhcp = { .node = c->node, .hfc = c->hfc, .leases = c->leases, .lease_ns = c->lease_ns,
		                           .file = DEVICE_CONFIG_FILE, .realm = WORLD_REALM, .has_account = c->has_account,
		                           .admit = c->admit, .heard = c->heard, .ctx = c->ctx };
	struct dns_server_config dns = { .node = c->node, .kdc = c->kdc->name, .controller = c->controller->name,
		                         .kdc_port = KDC_PORT, .controller_port = SIP_PORT, .realm = WORLD_REALM };

	a->dhcp = dhcp_server_new(&dhcp);
	a->tftp = tftp_server_new(c->node, on_file, a);
	a->dns = dns_server_new(&dns);
	ip_set_filter(c->node, head_end_filter_pass, &a->filter);
}

struct head_end_access *head_end_access_new(const struct head_end_access_config *config, const char *reach)
{
	struct head_end_access *a = sim_alloc(sizeof *a);

	assert(config->kdc && config->controller && config->has_account);
	a->config = *config;
	a->filter = (struct head_end_filter){ .hfc = config->hfc, .leases = config->leases,
		                              .has_account = config->has_account, .ctx = config->ctx };
	if (!head_end_filter_reach(&a->filter, config->kdc_ip) ||
	    !head_end_filter_reach(&a->filter, config->controller_ip) ||
	    !head_end_filter_reach_text(&a->filter, reach) || !head_end_access_offer(a, config->version)) {
		free(a);
		return NULL;
	}
	make_parts(a);
	return a;
}

void head_end_access_free(struct head_end_access *a)
{
	if (!a)
		return;
	dhcp_server_free(a->dhcp);
	tftp_server_free(a->tftp);
	dns_server_free(a->dns);
	for (unsigned i = 0; i < a->image_count; i++)
		der_free(&a->images[i].bytes);
	for (unsigned i = 0; i < CONFIG_SLOTS; i++)
		if (a->configs[i]) {
			der_free(&a->configs[i]->bytes);
			free(a->configs[i]);
		}
	free(a);
}

void head_end_access_reset(struct head_end_access *a)
{
	dhcp_server_reset(a->dhcp);
	tftp_server_reset(a->tftp);
	dns_server_reset(a->dns);
}

void head_end_access_admitted(struct head_end_access *a, const uint8_t mac[LEASE_MAC_LEN])
{
	dhcp_server_resume(a->dhcp, mac);
}

uint64_t head_end_access_filtered(const struct head_end_access *a)
{
	return a->filter.stopped;
}

unsigned head_end_access_transfers(const struct head_end_access *a)
{
	return tftp_server_transfers(a->tftp);
}

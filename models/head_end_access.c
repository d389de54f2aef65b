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

struct image {
	char version[DEVICE_VERSION_MAX + 1];
	struct der bytes; /* signed; made when first asked for */
};

struct head_end_access {
	struct head_end_access_config config;
	struct head_end_filter filter;
	struct dhcp_server *dhcp;
	struct tftp_server *tftp;
	struct dns_server *dns;
	struct image images[HEAD_END_IMAGES_MAX];
	unsigned image_count, current; /* of images[] */
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

/* The configuration of the device that has this address. */
static bool make_config(struct head_end_access *a, const struct lease *lease, struct der *out)
{
	bool own_pool = lease->kind == LEASE_STATIC || lease->pool == LEASE_PROVISIONED;
	struct device_config c = { .provisioned = own_pool && a->config.has_account(a->config.ctx, lease->mac),
		                   .realm = WORLD_REALM, .issued_s = sim_unix_s(a->config.node->sim) };
	const char *version = a->images[a->current].version;
	char text[DEVICE_CONFIG_MAX], kdc[DNS_NAME_MAX + 1];
	struct der content = { (uint8_t *)text, 0 };

	memcpy(c.mac, lease->mac, sizeof c.mac);
	if (!dns_host_name(a->config.kdc->name, WORLD_REALM, kdc) || strlen(kdc) >= sizeof c.kdc)
		return false;
	strcpy(c.kdc, kdc);
	snprintf(c.controller, sizeof c.controller, "sc/%s", a->config.controller->name);
	snprintf(c.version, sizeof c.version, "%s", version);
	image_name(version, c.image);
	content.len = device_config_write(&c, text, sizeof text);
	return content.len && sign(a, OPERATOR_COUNTER, &content, out);
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

static bool copy(const struct der *from, struct der *out)
{
	out->bytes = sim_alloc(from->len);
	memcpy(out->bytes, from->bytes, from->len);
	out->len = from->len;
	return true;
}

/* Files are for devices of this head-end: the address that asks must be leased. */
static bool on_file(void *ctx, struct span file, uint32_t ip, struct der *out)
{
	struct head_end_access *a = ctx;
	const struct lease *lease = lease_of_ip(a->config.leases, ip);
	char name[DEVICE_HOST_MAX + 1];

	if (!lease || !lease_live(lease, a->config.node->sim->now_ns))
		return false;
	if (span_is(file, DEVICE_CONFIG_FILE))
		return make_config(a, lease, out);
	for (unsigned i = 0; i < a->image_count; i++) {
		image_name(a->images[i].version, name);
		if (span_is(file, name))
			return make_image(a, &a->images[i]) && copy(&a->images[i].bytes, out);
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

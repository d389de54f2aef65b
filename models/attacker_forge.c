/*
 * What the attacker signs itself; see attacker.h. It has made up CAs under the names of the real ones, with keys of its own, and signs
 * with them what CA, manufacturer and operator sign: certificates (attack K10), configurations and software images (attack P8), a KDC's
 * replies (attack K3; with its own customer's certificate: K4; with a stolen key: K5).
 * Names and forms are everybody's; the keys of the real ones it does not have, but where it has stolen a KDC's.
 */
#include "models/attacker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "crypto/signed_file.h"
#include "models/device_files.h"

#define MADE_UP_BITS 2048
#define DAY_S INT64_C(86400)
#define MADE_UP_LIFE_S (365 * DAY_S)
#define IMAGE_SLACK 1024 /* bytes of code left out, so that the forged image has no more blocks than the real one */
#define CONFIG_TEXT_MAX 2048
enum { SERIAL_CA = 66, SERIAL_CERTIFICATE, SERIAL_KDC }; /* issuer and serial number tell certificates apart */

enum made_up { FALSE_OPERATOR, FALSE_MANUFACTURER };
static const struct {
	const char *common_name, *organisation; /* as the real one's certificate says */
	const char *key_name;
} made_up_cas[] = {
	[FALSE_OPERATOR] = { "Network Operator CA", "Network Operator", "false-operator" },
	[FALSE_MANUFACTURER] = { "CTA Manufacturer CA", "CTA Manufacturer", "false-manufacturer" },
};

struct made_up_ca {
	const uint8_t *key; /* of the pool */
	size_t key_len;
	struct der cert;    /* owned */
};

static void make_up(struct node *node, enum made_up which, struct made_up_ca *out)
{
	struct world *world = world_of(node->sim);
	struct cert_request request = { .kind = CERT_ROOT, .common_name = made_up_cas[which].common_name,
		                        .organisation = made_up_cas[which].organisation, .serial = SERIAL_CA,
		                        .not_before_s = node->sim->epoch_s - MADE_UP_LIFE_S,
		                        .not_after_s = node->sim->epoch_s + MADE_UP_LIFE_S };
	char name[2 * NODE_NAME_MAX];
	bool ok;

	snprintf(name, sizeof name, "%s/%s", node->name, made_up_cas[which].key_name);
	out->key = key_pool_get(world_key_pool(world), name, MADE_UP_BITS, &out->key_len);
	ok = cert_issue(world_crypto(world), &request, out->key, out->key_len, NULL, 0, NULL, out->key, out->key_len, &out->cert);
	assert(ok && "a key can sign its own certificate");
	(void)ok;
}

/* Certificates */

bool attacker_forge_certificate(struct node *node, const char *number, struct der *out)
{
	struct world *world = world_of(node->sim);
	uint8_t id[PHONE_ID_LEN];
	struct cert_request request = { .kind = CERT_OPERATOR, .organisation = "Network Operator", .phone_id = id, .realm = WORLD_REALM,
		                        .serial = SERIAL_CERTIFICATE, .not_before_s = node->sim->epoch_s - MADE_UP_LIFE_S,
		                        .not_after_s = node->sim->epoch_s + MADE_UP_LIFE_S };
	struct made_up_ca ca;
	size_t key_len;
	const uint8_t *key = key_pool_get(world_key_pool(world), node->name, ATTACKER_RSA_BITS, &key_len);
	bool ok;

	if (!phone_id(world_crypto(world), number, id))
		return false;
	make_up(node, FALSE_OPERATOR, &ca);
	ok = cert_issue(world_crypto(world), &request, key, key_len, NULL, 0, &ca.cert, ca.key, ca.key_len, out);
	der_free(&ca.cert);
	return ok;
}

/* A KDC */

static void certify_kdc(struct node *node, const char *key_name, struct pkinit_kdc *out)
{
	struct world *world = world_of(node->sim);
	struct cert_request request = { .kind = CERT_KDC, .common_name = key_name, .organisation = "Network Operator", .realm = WORLD_REALM,
		                        .serial = SERIAL_KDC, .not_before_s = node->sim->epoch_s - MADE_UP_LIFE_S,
		                        .not_after_s = node->sim->epoch_s + MADE_UP_LIFE_S };
	struct made_up_ca ca;
	size_t key_len;
	const uint8_t *key = key_pool_get(world_key_pool(world), key_name, WORLD_KDC_BITS, &key_len);
	bool ok;

	make_up(node, FALSE_OPERATOR, &ca);
	ok = cert_issue(world_crypto(world), &request, key, key_len, NULL, 0, &ca.cert, ca.key, ca.key_len, &out->cert);
	assert(ok && "a CA can issue certificates");
	(void)ok;
	out->ca_cert = ca.cert;
}

void attacker_drop_kdc(struct attacker *a)
{
	if (!a->kdc_sm)
		return;
	sm_destroy_key(a->kdc_sm, a->server_key);
	sm_destroy_key(a->kdc_sm, a->kdc.rsa_key);
	der_free(&a->kdc.cert);
	der_free(&a->kdc.ca_cert);
	sm_free(a->kdc_sm);
	a->kdc_sm = NULL;
}

static void equip(struct attacker *a, const char *key_name, unsigned bits)
{
	a->kdc.rsa_key = sm_install_rsa(a->kdc_sm, world_key_pool(world_of(a->node->sim)), key_name, bits);
}

void attacker_equip_kdc(struct attacker *a, enum false_kdc kind, const char *stolen_from)
{
	struct node *node = a->node;
	struct world *world = world_of(node->sim);
	const struct der *ca = world_authority(world, AUTHORITY_OPERATOR); /* which stands in every reply of a KDC */
	char name[2 * NODE_NAME_MAX];

	attacker_drop_kdc(a);
	a->kdc_sm = world_module(world, node, "false KDC");
	a->server_key = sm_generate_des3(a->kdc_sm, "made up");
	if (kind == KDC_MADE_UP) {
		snprintf(name, sizeof name, "%s/false-kdc", node->name);
		equip(a, name, WORLD_KDC_BITS);
		certify_kdc(node, name, &a->kdc);
		return;
	}
	if (kind == KDC_OWN) {
		equip(a, node->name, ATTACKER_RSA_BITS);
		der_copy(&a->kdc.cert, a->cert.bytes, a->cert.len);
	} else {
		snprintf(name, sizeof name, "kdc/%s", stolen_from);
		equip(a, name, WORLD_KDC_BITS);
		world_kdc_certificate(world, name, &a->kdc.cert);
	}
	der_copy(&a->kdc.ca_cert, ca->bytes, ca->len);
}

bool attacker_false_reply(struct attacker *a, const struct der *request, struct der *reply)
{
	struct node *node = a->node;
	struct crypto *crypto = world_crypto(world_of(node->sim));
	struct krb_as_facts facts = { .preauth = KRB_PREAUTH_NONE };
	struct krb_ticket_facts ticket;
	int64_t now_s = sim_unix_s(node->sim);
	bool ok = krb_as_parse(crypto, request->bytes, request->len, &facts);

	if (ok) {
		ticket = (struct krb_ticket_facts){ .client = facts.client, .server = facts.server, .auth_time_s = now_s,
			                            .start_time_s = now_s, .end_time_s = now_s + ATTACKER_TICKET_S };
		ok = (facts.preauth == KRB_PREAUTH_PKINIT || facts.preauth == KRB_PREAUTH_PKINIT_DRAFT) &&
		     pkinit_reply_build(a->kdc_sm, &a->kdc, a->server_key, &facts, &ticket,
		                        facts.preauth == KRB_PREAUTH_PKINIT_DRAFT ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM,
		                        world_now(node->sim), reply);
	}
	krb_as_facts_free(&facts);
	return ok;
}

/* Files */

static bool sign(struct node *node, enum made_up who, const struct der *content, struct der *out)
{
	struct made_up_ca ca;
	bool ok;

	make_up(node, who, &ca);
	ok = signed_file_make(world_crypto(world_of(node->sim)), ca.key, ca.key_len, &ca.cert, content, sim_unix_s(node->sim), out);
	der_free(&ca.cert);
	return ok;
}

/* The same software with another operator's certificate in it. False: it is no image. */
static bool forge_image(struct node *node, struct span content, struct der *out)
{
	struct der text = { NULL, 0 };
	struct device_image image;
	struct made_up_ca ca;
	bool ok;

	if (!device_image_parse(content, &image))
		return false;
	make_up(node, FALSE_OPERATOR, &ca);
	ok = device_image_write(world_crypto(world_of(node->sim)), image.version, &ca.cert,
	                        image.code_len > IMAGE_SLACK ? image.code_len - IMAGE_SLACK : 0, &text) &&
	     sign(node, FALSE_MANUFACTURER, &text, out);
	der_free(&ca.cert);
	der_free(&text);
	device_image_free(&image);
	return ok;
}

/* The same configuration, newer than any, that says of the device's account what the attacker wants. False: it is none. */
static bool forge_config(struct node *node, struct span content, bool provisioned, struct der *out)
{
	char text[CONFIG_TEXT_MAX];
	struct device_config config;
	struct der der = { (uint8_t *)text, 0 };

	if (!device_config_parse(content, &config))
		return false;
	config.provisioned = provisioned;
	config.issued_s = sim_unix_s(node->sim) + DAY_S;
	der.len = device_config_write(&config, text, sizeof text);
	return der.len && sign(node, FALSE_OPERATOR, &der, out);
}

void attacker_verb_forge_file(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct deed *file = attacker_file_arg(node, args, result);
	struct der content = { NULL, 0 }, forged = { NULL, 0 };
	struct span text;
	struct deed *d;

	if (!file)
		return;
	if (signed_file_open(world_crypto(world_of(node->sim)), file->message.bytes, file->message.len, NULL, sim_unix_s(node->sim),
	                     false, &content) == SIGNED_FILE_OK) {
		text = (struct span){ (const char *)content.bytes, content.len };
		if (!forge_image(node, text, &forged))
			forge_config(node, text, args_bool(args, "provisioned", false), &forged);
	}
	der_free(&content);
	if (!forged.len) {
		snprintf(result->error, sizeof result->error, "file is neither a device's configuration nor a software image");
		return;
	}
	d = deed_new(node, DEED_RECORD, &attacker_capture_class);
	d->message = forged;
	d->block_len = file->block_len;
	d->ready = true;
	result->value = value_object(&d->object);
}

/* Provisioning at a CTA; see cta_provisioning.h. */
#include "models/cta_provisioning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/certificate_receiver.h"

struct cta_provisioning {
	struct cta *cta;
	struct hfc_client *hfc;      /* NULL: at a fixed address */
	struct certificate_receiver *receiver;
	char controller[DEVICE_HOST_MAX + 1];
	char service[SUBSCRIBER_NUMBER_LEN]; /* number of customer service; "": none */
	bool has_floor;
	int64_t floor_s;             /* latest start time seen */
	sim_ns reboot_after_ns;
	struct event reboot;
	struct event doubt;          /* a KDC refused the certificate: to register again */
	bool doubted;
	sim_ns doubted_ns;           /* when it did so last */
	uint64_t taken, refused, removed;
	const char *last_check;      /* of the last refusal, "" */
};

static struct world *world(const struct cta_provisioning *p)
{
	return world_of(p->cta->node->sim);
}

/* V12: the certificate */

static bool same_key(const struct cta *cta, const struct der *leaf)
{
	const struct der *own = cta->operator_cert.len ? &cta->operator_cert : &cta->device_cert;
	struct der a = { 0 }, b = { 0 };
	bool same = cert_public_key(leaf->bytes, leaf->len, &a) && cert_public_key(own->bytes, own->len, &b) && a.len == b.len &&
	            memcmp(a.bytes, b.bytes, a.len) == 0;

	der_free(&a);
	der_free(&b);
	return same;
}

static const struct der *operator_ca(const struct cta_provisioning *p)
{
	const struct der *ca = p->hfc ? hfc_client_operator_ca(p->hfc) : NULL;

	return ca && ca->len ? ca : world_authority(world(p), AUTHORITY_OPERATOR);
}

static const char *judge_chain(const struct cta_provisioning *p, const struct der *leaf)
{
	struct crypto *crypto = sm_crypto(p->cta->sm);

	switch (cert_verify(crypto, leaf, operator_ca(p), 1, world_authority(world(p), AUTHORITY_OPERATOR_ROOT), 1,
	                    sim_unix_s(p->cta->node->sim), false)) {
	case CERT_OK:
		return NULL;
	case CERT_NOT_YET_VALID:
	case CERT_EXPIRED:
		return "cta.certificate_time";
	default:
		return "cta.verify_certificate";
	}
}

static const char *judge(struct cta_provisioning *p, const struct der *leaf, struct cert_facts *facts)
{
	const char *check;

	if (!cert_read_with(sm_crypto(p->cta->sm), leaf->bytes, leaf->len, facts) || facts->kind != CERT_OPERATOR || !facts->has_phone_id)
		return "cta.certificate_kind";
	check = judge_chain(p, leaf);
	if (check)
		return check;
	if (!same_key(p->cta, leaf))
		return "cta.certificate_key";
	if (p->has_floor && facts->not_before_s <= p->floor_s && world_on(world(p), "cta.check_start_time"))
		return "cta.check_start_time";
	return NULL;
}

static void put_in_place(struct cta_provisioning *p, const struct der *leaf, const struct cert_facts *facts)
{
	struct cta *cta = p->cta;

	der_free(&cta->operator_cert);
	cta->operator_cert.bytes = sim_alloc(leaf->len);
	memcpy(cta->operator_cert.bytes, leaf->bytes, leaf->len);
	cta->operator_cert.len = leaf->len;
	hex_encode(facts->phone_id, PHONE_ID_LEN, cta->principal);
	if (!p->has_floor || facts->not_before_s > p->floor_s)
		p->floor_s = facts->not_before_s;
	p->has_floor = true;
	p->taken++;
}

static void on_reboot(struct sim *sim, struct event *event)
{
	struct cta_provisioning *p = event_owner(event, struct cta_provisioning, reboot);

	if (p->cta->call || p->cta->ending)
		sim_after(sim, &p->reboot, CTA_REBOOT_RETRY_NS, on_reboot, "cta.reboot");
	else
		cta_reboot(p->cta);
}

static const char *on_certificate(void *ctx, const uint8_t *bytes, size_t len, uint32_t from_ip)
{
	struct cta_provisioning *p = ctx;
	struct cta *cta = p->cta;
	struct sim *sim = cta->node->sim;
	struct der leaf = { (uint8_t *)(uintptr_t)bytes, len };
	struct cert_facts facts;
	const char *check;

	(void)from_ip;
	if (cta->operator_cert.len == len && memcmp(cta->operator_cert.bytes, bytes, len) == 0)
		return NULL;
	check = judge(p, &leaf, &facts);
	if (check) {
		p->refused++;
		p->last_check = check;
		sim_changed(sim, cta->node);
		return check;
	}
	put_in_place(p, &leaf, &facts);
	if (p->hfc && hfc_client_state(p->hfc) == HFC_UNPROVISIONED_ACCESS)
		hfc_client_tell(p->hfc, HFC_ACCOUNT_SET_UP);
	cta_certificate_taken(cta);
	sim_cancel(sim, &p->reboot);
	sim_after(sim, &p->reboot, p->reboot_after_ns, on_reboot, "cta.reboot");
	return NULL;
}

/* The certificate refused */

/* What a KDC says of a client whom it does not know, or not any more; not of the network, the clock or its own troubles. */
static bool says_no(int krb_error)
{
	static const int codes[] = { KDC_ERR_CLIENT_REVOKED, KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_CLIENT_NOT_TRUSTED,
		                     KDC_ERR_INVALID_CERTIFICATE, KDC_ERR_CANT_VERIFY_CERTIFICATE, KDC_ERR_CLIENT_NAME_MISMATCH,
		                     KDC_ERR_POLICY };

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (krb_error == codes[i])
			return true;
	return false;
}

static struct cert_facts own_facts(const struct cta_provisioning *p)
{
	const struct der *own = &p->cta->operator_cert;
	struct cert_facts facts = { 0 };

	cert_read_with(sm_crypto(p->cta->sm), own->bytes, own->len, &facts);
	return facts;
}

/* Then its issuer has confirmed the refusal beforehand. */
static bool own_has_ended(const struct cta_provisioning *p)
{
	return own_facts(p).not_after_s < sim_unix_s(p->cta->node->sim);
}

static void remove_certificate(struct cta_provisioning *p)
{
	p->doubted = false;
	p->removed++;
	cta_certificate_removed(p->cta);
}

static void on_doubt(struct sim *sim, struct event *event)
{
	struct cta_provisioning *p = event_owner(event, struct cta_provisioning, doubt);

	if (p->cta->call || p->cta->ending) {
		sim_after(sim, &p->doubt, CTA_REBOOT_RETRY_NS, on_doubt, "cta.doubt");
		return;
	}
	p->doubted = true;
	p->doubted_ns = sim->now_ns;
	hfc_client_boot(p->hfc);
}

void cta_provisioning_refused(struct cta_provisioning *p, int krb_error)
{
	struct sim *sim;

	if (!p || !p->cta->operator_cert.len || !says_no(krb_error))
		return;
	sim = p->cta->node->sim;
	if (own_has_ended(p) || world_on(world(p), "cta.trust_krb_error"))
		remove_certificate(p);
	else if (p->hfc && !event_pending(&p->doubt) && (!p->doubted_ns || sim->now_ns - p->doubted_ns >= CTA_DOUBT_PAUSE_NS))
		sim_after(sim, &p->doubt, CTA_REBOOT_RETRY_NS, on_doubt, "cta.doubt");
}

/* The head-end has been asked. A ticket that came meanwhile, which a KDC has signed, has ended the doubt, too. */
static void resolve_doubt(struct cta_provisioning *p, const struct device_config *config)
{
	struct node *node = p->cta->node;
	int64_t doubted_s = node->sim->epoch_s + p->doubted_ns / NS_PER_S;

	if (!p->doubted || !p->cta->operator_cert.len || p->cta->ticket.der.len || config->provisioned)
		p->doubted = false;
	else if (config->issued_s >= doubted_s)
		remove_certificate(p);
	else
		trace_refuse(node, "cta.old_configuration", 0, node->sim->cause, "");
}

/* V1 and V14: the address */

static void on_configured(void *ctx, const struct hfc_configured *configured)
{
	struct cta_provisioning *p = ctx;

	snprintf(p->controller, sizeof p->controller, "%s", configured->config.controller);
	resolve_doubt(p, &configured->config);
	cta_online(p->cta, configured->lease.ip, configured->kdc_ip, configured->controller_ip);
}

static void on_lost(void *ctx, const char *why)
{
	struct cta_provisioning *p = ctx;

	(void)why;
	cta_offline(p->cta);
}

static struct hfc_client *make_hfc(struct cta_provisioning *p)
{
	struct hfc_client_config config = {
		.node = p->cta->node, .iface = p->cta->node->ifaces, .operator_ca = world_authority(world(p), AUTHORITY_OPERATOR),
		.manufacturer_ca = world_authority(world(p), AUTHORITY_MANUFACTURER),
		.verify_config = world_on(world(p), "cta.verify_config"), .verify_image = world_on(world(p), "cta.verify_image"),
		.configured = on_configured, .lost = on_lost, .ctx = p,
	};

	return hfc_client_new(&config);
}

/* Life */

struct cta_provisioning *cta_provisioning_new(struct cta *cta, bool dhcp, sim_ns reboot_after_ns)
{
	struct cta_provisioning *p = sim_alloc(sizeof *p);
	struct cert_facts facts;

	p->cta = cta;
	p->reboot_after_ns = reboot_after_ns;
	p->last_check = "";
	p->receiver = certificate_receiver_new(cta->node, on_certificate, p);
	if (dhcp)
		p->hfc = make_hfc(p);
	if (cta->operator_cert.len && cert_read_with(sm_crypto(cta->sm), cta->operator_cert.bytes, cta->operator_cert.len, &facts)) {
		p->has_floor = true;
		p->floor_s = facts.not_before_s;
	}
	return p;
}

bool cta_provisioning_on(struct cta_provisioning *p)
{
	if (!p)
		return false;
	certificate_receiver_reset(p->receiver);
	if (!p->hfc)
		return false;
	hfc_client_boot(p->hfc);
	return true;
}

void cta_provisioning_off(struct cta_provisioning *p)
{
	if (!p)
		return;
	sim_cancel(p->cta->node->sim, &p->reboot);
	sim_cancel(p->cta->node->sim, &p->doubt);
	certificate_receiver_stop(p->receiver);
	if (p->hfc)
		hfc_client_power_off(p->hfc);
}

void cta_provisioning_free(struct cta_provisioning *p)
{
	if (!p)
		return;
	sim_cancel(p->cta->node->sim, &p->reboot);
	sim_cancel(p->cta->node->sim, &p->doubt);
	certificate_receiver_free(p->receiver);
	hfc_client_free(p->hfc);
	free(p);
}

bool cta_provisioning_has_hfc(const struct cta_provisioning *p)
{
	return p && p->hfc;
}

const char *cta_provisioning_controller(const struct cta_provisioning *p)
{
	return p && p->controller[0] ? p->controller : NULL;
}

void cta_provisioning_set_service(struct cta_provisioning *p, const char *number)
{
	if (p && !number_digits(number, p->service))
		p->service[0] = '\0';
}

const char *cta_provisioning_auto_dial(const struct cta_provisioning *p)
{
	bool automatic = p && p->service[0] && !p->cta->operator_cert.len && world_on(world(p), "cta.auto_dial");

	return automatic ? p->service : NULL;
}

bool cta_provisioning_get(const struct cta_provisioning *p, const char *attribute, struct value *out)
{
	if (!p)
		return false;
	if (strcmp(attribute, "hfc") == 0 && p->hfc)
		*out = value_text(hfc_client_state_name(p->hfc));
	else if (strcmp(attribute, "certificates") == 0)
		*out = value_int((int64_t)p->taken);
	else if (strcmp(attribute, "certificates_refused") == 0)
		*out = value_int((int64_t)p->refused);
	else if (strcmp(attribute, "certificate_starts") == 0 && p->cta->operator_cert.len)
		*out = value_int(own_facts(p).not_before_s);
	else if (strcmp(attribute, "certificates_removed") == 0)
		*out = value_int((int64_t)p->removed);
	else if (strcmp(attribute, "software") == 0 && p->hfc)
		*out = value_text(hfc_client_version(p->hfc));
	else if (strcmp(attribute, "software_signed") == 0 && p->hfc)
		*out = value_bool(hfc_client_image_is_signed(p->hfc));
	else if (strcmp(attribute, "certificate_refusal") == 0)
		*out = value_text(p->last_check);
	else
		return false;
	return out->type != VALUE_NIL;
}

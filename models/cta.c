/*
 * Cable telephony adapter (flows.md 0-2, 6; patent [0054]-[0076], [0103]-[0117]): one RSA key pair for life in its secure module,
 * a device certificate of its manufacturer and, once provisioned, an operator certificate for the same key. It gets a ticket for
 * its signaling controller by PKINIT, keys with the controller by an AP exchange for every call, and calls.
 *
 * An unauthenticated KRB-ERROR ends one try and is believed no further: nothing is deleted because of it alone
 * (cta_provisioning.h; attack K8).
 * Checks of a KDC's reply have their names in crypto/kerberos.h (krb_reply_checks).
 */
#include "models/cta.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/cmts.h"
#include "models/cta_provisioning.h"
#include "models/message.h"
#include "models/signaling_controller.h"
#include "sim/service.h"

#define PKINIT_RETRY_NS (5 * NS_PER_S)      /* doubles up to PKINIT_RETRY_MAX_NS */
#define PKINIT_RETRY_MAX_NS (300 * NS_PER_S)
#define CTA_IDLE_NS (60 * NS_PER_S)         /* as PARTY_IDLE_NS of the controller */
#define CTA_RSA_BITS_DEFAULT 1024

/* FIG. 5B */

enum telephony_state { TEL_NOT_CONFIGURED, TEL_UNPROVISIONED_ACCESS, TEL_UNPROVISIONED_CONTEXT, TEL_RECEIVED_CERTIFICATE,
	               TEL_PROVISIONED_ACCESS, TEL_STATES };
enum telephony_event { TEL_PKINIT_MANUFACTURER, TEL_PKINIT_OPERATOR, TEL_PKINIT_FAILED, TEL_AP_DONE, TEL_AP_FAILED,
	               TEL_TICKET_EXPIRED, TEL_TICKET_REFUSED, TEL_ASSOCIATION_ENDED, TEL_POWER_LOST, TEL_CERTIFICATE,
	               TEL_CERTIFICATE_REMOVED, TEL_EVENTS };
static const char *const telephony_states[] = { "NotConfigured", "UnprovisionedAccess", "UnprovisionedContext",
	                                        "ReceivedOperatorCertificate", "ProvisionedAccess" };
static const char *const telephony_events[] = { "PKINIT, manufacturer certificate", "PKINIT, operator certificate",
	                                        "PKINIT failed", "AP exchange", "AP exchange failed", "ticket expired",
	                                        "ticket refused", "association ended", "power or address lost",
	                                        "operator certificate", "certificate removed" };
static machine_action ask_for_ticket;

#define CELL(state, event, next) ACT(state, event, next, NULL)
#define ACT(state, event, next, action) [(state) * TEL_EVENTS + (event)] = { true, next, action }
static const struct machine_cell telephony_cells[TEL_STATES * TEL_EVENTS] = {
	CELL(TEL_NOT_CONFIGURED, TEL_PKINIT_MANUFACTURER, TEL_UNPROVISIONED_ACCESS),
	CELL(TEL_NOT_CONFIGURED, TEL_PKINIT_OPERATOR, TEL_PROVISIONED_ACCESS),
	CELL(TEL_NOT_CONFIGURED, TEL_PKINIT_FAILED, TEL_NOT_CONFIGURED),
	CELL(TEL_NOT_CONFIGURED, TEL_ASSOCIATION_ENDED, TEL_NOT_CONFIGURED),
	CELL(TEL_NOT_CONFIGURED, TEL_POWER_LOST, TEL_NOT_CONFIGURED),
	CELL(TEL_UNPROVISIONED_ACCESS, TEL_AP_DONE, TEL_UNPROVISIONED_CONTEXT),
	CELL(TEL_UNPROVISIONED_ACCESS, TEL_AP_FAILED, TEL_UNPROVISIONED_ACCESS),
	ACT(TEL_UNPROVISIONED_ACCESS, TEL_TICKET_EXPIRED, TEL_NOT_CONFIGURED, ask_for_ticket),
	ACT(TEL_UNPROVISIONED_ACCESS, TEL_TICKET_REFUSED, TEL_NOT_CONFIGURED, ask_for_ticket),
	CELL(TEL_UNPROVISIONED_ACCESS, TEL_POWER_LOST, TEL_NOT_CONFIGURED),
	CELL(TEL_UNPROVISIONED_CONTEXT, TEL_AP_DONE, TEL_UNPROVISIONED_CONTEXT),
	CELL(TEL_UNPROVISIONED_CONTEXT, TEL_AP_FAILED, TEL_UNPROVISIONED_CONTEXT),
	CELL(TEL_UNPROVISIONED_CONTEXT, TEL_ASSOCIATION_ENDED, TEL_UNPROVISIONED_ACCESS),
	ACT(TEL_UNPROVISIONED_CONTEXT, TEL_TICKET_EXPIRED, TEL_NOT_CONFIGURED, ask_for_ticket),
	ACT(TEL_UNPROVISIONED_CONTEXT, TEL_TICKET_REFUSED, TEL_NOT_CONFIGURED, ask_for_ticket),
	CELL(TEL_UNPROVISIONED_CONTEXT, TEL_POWER_LOST, TEL_NOT_CONFIGURED),
	CELL(TEL_NOT_CONFIGURED, TEL_CERTIFICATE, TEL_NOT_CONFIGURED),
	CELL(TEL_NOT_CONFIGURED, TEL_CERTIFICATE_REMOVED, TEL_NOT_CONFIGURED),
	CELL(TEL_UNPROVISIONED_ACCESS, TEL_CERTIFICATE, TEL_RECEIVED_CERTIFICATE),
	CELL(TEL_UNPROVISIONED_CONTEXT, TEL_CERTIFICATE, TEL_RECEIVED_CERTIFICATE),
	CELL(TEL_PROVISIONED_ACCESS, TEL_CERTIFICATE, TEL_RECEIVED_CERTIFICATE),
	CELL(TEL_RECEIVED_CERTIFICATE, TEL_CERTIFICATE, TEL_RECEIVED_CERTIFICATE),
	CELL(TEL_RECEIVED_CERTIFICATE, TEL_AP_DONE, TEL_RECEIVED_CERTIFICATE),
	CELL(TEL_RECEIVED_CERTIFICATE, TEL_AP_FAILED, TEL_RECEIVED_CERTIFICATE),
	CELL(TEL_RECEIVED_CERTIFICATE, TEL_ASSOCIATION_ENDED, TEL_RECEIVED_CERTIFICATE),
	ACT(TEL_RECEIVED_CERTIFICATE, TEL_TICKET_EXPIRED, TEL_NOT_CONFIGURED, ask_for_ticket),
	ACT(TEL_RECEIVED_CERTIFICATE, TEL_TICKET_REFUSED, TEL_NOT_CONFIGURED, ask_for_ticket),
	CELL(TEL_RECEIVED_CERTIFICATE, TEL_POWER_LOST, TEL_NOT_CONFIGURED),
	CELL(TEL_PROVISIONED_ACCESS, TEL_AP_DONE, TEL_PROVISIONED_ACCESS),
	CELL(TEL_PROVISIONED_ACCESS, TEL_AP_FAILED, TEL_PROVISIONED_ACCESS),
	CELL(TEL_PROVISIONED_ACCESS, TEL_ASSOCIATION_ENDED, TEL_PROVISIONED_ACCESS),
	ACT(TEL_PROVISIONED_ACCESS, TEL_TICKET_EXPIRED, TEL_NOT_CONFIGURED, ask_for_ticket),
	ACT(TEL_PROVISIONED_ACCESS, TEL_TICKET_REFUSED, TEL_NOT_CONFIGURED, ask_for_ticket),
	CELL(TEL_PROVISIONED_ACCESS, TEL_POWER_LOST, TEL_NOT_CONFIGURED),
};
#undef CELL
#undef ACT
static const struct machine_def telephony_machine = {
	.name = "telephony", .doc = "access to telephony, FIG. 5B [0107]-[0117]", .states = telephony_states,
	.events = telephony_events, .state_count = TEL_STATES, .event_count = TEL_EVENTS, .cells = telephony_cells,
};

static void happen(struct cta *cta, enum telephony_event event)
{
	machine_event(cta->node, &cta->telephony, event, cta);
	sim_changed(cta->node->sim, cta->node);
}

const char *cta_sc_principal(const struct cta *cta)
{
	const char *configured = cta_provisioning_controller(cta->provisioning);

	return configured && !cta->keeps_controller ? configured : signaling_controller_principal(cta->sc_node);
}

/* PKINIT (FIG. 3, upper half) */

static void pkinit_start(struct cta *cta);

/* The ticket as an exchange takes it, until that is over. */
static void lend(struct cta *cta)
{
	cta->lent = sim_alloc(sizeof *cta->lent);
	cta->lent->ticket = cta->ticket.der;
	cta->lent->session_key = cta->ticket.session_key;
	krb_name_set(&cta->lent->client, cta->ticket.names, WORLD_REALM);
	krb_name_set(&cta->lent->server, cta->ticket.names + strlen(cta->ticket.names) + 1, WORLD_REALM);
	cta->lent->end_time_s = cta->ticket.end_time_s;
}

/* Its ticket and key are lent, too. */
static void lent_free(struct cta *cta)
{
	free(cta->lent);
	cta->lent = NULL;
}

/* Keeps the parts of got, which is nobody's any more then. */
static void keep_ticket(struct cta *cta, struct krb_credentials *got)
{
	size_t client_size = strlen(got->client.name) + 1, server_size = strlen(got->server.name) + 1, len = got->ticket.len;
	uint8_t *bytes = sim_realloc(got->ticket.bytes, len + client_size + server_size);

	assert(strcmp(got->client.realm, WORLD_REALM) == 0 && strcmp(got->server.realm, WORLD_REALM) == 0);
	memcpy(bytes + len + client_size, got->server.name, server_size);
	cta->ticket = (struct cta_ticket){ .der = { bytes, len }, .session_key = got->session_key,
		                           .names = memcpy(bytes + len, got->client.name, client_size),
		                           .end_time_s = got->end_time_s };
}

static void drop_ticket(struct cta *cta)
{
	sim_cancel(cta->node->sim, &cta->ticket_timer);
	key_management_cancel(cta->km, cta->sc_ip);
	lent_free(cta);
	der_free(&cta->ticket.der);
	sm_destroy_key(cta->sm, cta->ticket.session_key);
	cta->ticket = (struct cta_ticket){ .session_key = 0 };
}

static void on_expiry(struct sim *sim, struct event *event)
{
	struct cta *cta = event_owner(event, struct cta, ticket_timer);

	(void)sim;
	drop_ticket(cta);
	happen(cta, TEL_TICKET_EXPIRED);
}

static void on_retry(struct sim *sim, struct event *event)
{
	(void)sim;
	pkinit_start(event_owner(event, struct cta, ticket_timer));
}

static void identify(const struct cta *cta, struct pkinit_identity *out)
{
	bool provisioned = cta->operator_cert.len > 0;

	*out = (struct pkinit_identity){ .rsa_key = cta->rsa, .cert = provisioned ? cta->operator_cert : cta->device_cert };
	if (!provisioned)
		out->issuer_cert = *world_authority(world_of(cta->node->sim), AUTHORITY_MANUFACTURER);
	krb_name_set(&out->name, cta->principal, WORLD_REALM);
}

static enum pkinit_bind binding(const struct cta *cta)
{
	return strcmp(world_switch(world_of(cta->node->sim), "pkinit.bind"), "nonce") == 0 ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM;
}

/* P1. Each try is signed anew: a fresh time stamp and nonce. */
static bool build_request(void *ctx, struct der *out)
{
	struct cta *cta = ctx;
	struct pkinit_identity identity;
	struct krb_name server;

	identify(cta, &identity);
	krb_name_set(&server, cta_sc_principal(cta), WORLD_REALM);
	pkinit_client_free(cta->pkinit->client);
	cta->pkinit->client = pkinit_request(cta->sm, &identity, &server, world_now(cta->node->sim),
	                             sim_unix_s(cta->node->sim) + cta->ticket_lifetime_s, cta->dh, binding(cta), out);
	return cta->pkinit->client != NULL;
}

static void pkinit_end(struct cta *cta)
{
	struct pkinit_try *t = cta->pkinit;

	if (!t)
		return;
	service_cancel(&t->job);
	packet_free(t->reply);
	pkinit_client_free(t->client);
	cta->pkinit = NULL;
	free(t);
}

static void pkinit_failed(struct cta *cta, const char *why)
{
	sim_ns pause_ns = PKINIT_RETRY_NS;

	pkinit_end(cta);
	cta->refusals++;
	cta->last_refusal = why;
	for (unsigned i = 0; i < cta->pkinit_failures && pause_ns < PKINIT_RETRY_MAX_NS; i++)
		pause_ns *= 2;
	if (pause_ns > PKINIT_RETRY_MAX_NS)
		pause_ns = PKINIT_RETRY_MAX_NS;
	cta->pkinit_failures++;
	sim_after(cta->node->sim, &cta->ticket_timer, pause_ns, on_retry, "pkinit.retry");
	happen(cta, TEL_PKINIT_FAILED);
	cta_call_secured(cta, false, why);
}

static void pkinit_done(struct cta *cta, struct krb_credentials *got)
{
	sim_ns left_ns = (got->end_time_s - sim_unix_s(cta->node->sim)) * NS_PER_S;

	pkinit_end(cta);
	cta->pkinit_failures = 0;
	cta->last_refusal = "";
	cta->tickets++;
	keep_ticket(cta, got);
	if (!cta->keeps_ticket)
		sim_after(cta->node->sim, &cta->ticket_timer, left_ns > 0 ? left_ns : 0, on_expiry, "ticket.expiry");
	happen(cta, cta->operator_cert.len ? TEL_PKINIT_OPERATOR : TEL_PKINIT_MANUFACTURER);
	if (cta_call_waits(cta))
		cta_secure(cta);
	sm_sleep(cta->sm);
}

/* P2, once the processor has had its time. */
static void reply_ready(struct service_job *job)
{
	struct pkinit_try *t = event_owner(job, struct pkinit_try, job);
	struct cta *cta = t->cta;
	uint64_t tag = t->reply_tag;
	bool kdcs_only = world_on(world_of(cta->node->sim), "cta.require_kdc_eku"); /* the patent looks at neither usage nor name */
	struct pkinit_policy policy = { .verify_root = world_on(world_of(cta->node->sim), "cta.verify_root"),
		                        .require_kdc_eku = kdcs_only,
		                        .check_crl = world_on(world_of(cta->node->sim), "cta.check_crl"), .check_kdc_name = kdcs_only,
		                        .check_nonce = true, .check_bind = true, .check_sealed_sname = true,
		                        .bind = binding(cta), .crl = world_crl(world_of(cta->node->sim)),
		                        .now_s = sim_unix_s(cta->node->sim) };
	struct pkinit_identity identity;
	struct krb_credentials got = { 0 };
	enum krb_reply_verdict verdict;

	identify(cta, &identity);
	verdict = pkinit_reply(cta->sm, t->client, &identity, &policy, t->reply->data, t->reply->len, &got, NULL);
	if (verdict != KRB_REPLY_OK) {
		trace_refuse(cta->node, krb_reply_checks[verdict], cta->kdc_ip, tag, "");
		pkinit_failed(cta, krb_reply_checks[verdict]);
		return;
	}
	message_accept(cta->node, tag);
	pkinit_done(cta, &got);
}

static void on_answer(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	static const struct service_cost cost = { .rsa_private = 1, .rsa_public = 2, .cipher_bytes = 1024, .hash_bytes = 3072,
		                                  .messages = 1 };
	static const struct service_cost dh_cost = { .dh = 1, .rsa_public = 2, .cipher_bytes = 1024, .hash_bytes = 3072,
		                                     .messages = 1 };
	struct cta *cta = ctx;
	struct pkinit_try *t = cta->pkinit;
	struct krb_error_info info;

	if (!bytes) {
		pkinit_failed(cta, "no answer");
		return;
	}
	if (krb_error_parse(bytes, len, &info)) {
		message_accept(cta->node, tag);
		pkinit_failed(cta, krb_error_name(info.code));
		cta_provisioning_refused(cta->provisioning, info.code);
		return;
	}
	t->reply = packet_new(cta->node->sim, (uint32_t)len);
	memcpy(packet_append(t->reply, (uint32_t)len), bytes, len);
	t->reply_tag = tag;
	if (!service_submit(cta->node, &t->job, cta->dh ? &dh_cost : &cost, reply_ready))
		pkinit_failed(cta, "service.queue");
}

/* The signature is made: ask. */
static void request_ready(struct service_job *job)
{
	struct cta *cta = event_owner(job, struct pkinit_try, job)->cta;

	if (!kdc_client_ask(cta->kdc, build_request, on_answer, cta))
		pkinit_failed(cta, "already asking");
}

static void pkinit_start(struct cta *cta)
{
	struct service_cost cost = { .rsa_private = 1, .dh = cta->dh, .hash_bytes = 2048, .messages = 1 };

	if (cta->pkinit || !cta->powered)
		return;
	sim_cancel(cta->node->sim, &cta->ticket_timer);
	cta->pkinit = sim_alloc(sizeof *cta->pkinit);
	cta->pkinit->cta = cta;
	if (!service_submit(cta->node, &cta->pkinit->job, &cost, request_ready))
		pkinit_failed(cta, "service.queue");
}

static void ask_for_ticket(struct node *node, struct machine *machine, void *ctx)
{
	(void)node, (void)machine;
	pkinit_start(ctx);
}

/* AP exchange (FIG. 3, lower half) */

static struct cta_keying *keying(struct cta *cta)
{
	if (!cta->keying) {
		cta->keying = sim_alloc(sizeof *cta->keying);
		cta->keying->cta = cta;
	}
	return cta->keying;
}

/* The last one's end is what the telephony machine calls the end of the association. */
static void on_association_expired(struct association *association)
{
	struct cta *cta = association->owner;
	const struct association *a = ipsec_find(cta->ipsec, cta->sc_ip, LABEL_CTA_SC);

	while (a && (a == association || a->peer_ip != cta->sc_ip || strcmp(a->label, LABEL_CTA_SC) != 0))
		a = a->next_peer;
	if (!a)
		happen(cta, TEL_ASSOCIATION_ENDED);
}

void cta_associations_drop(struct cta *cta, sim_ns until_ns)
{
	struct association *a;

	while ((a = ipsec_find(cta->ipsec, cta->sc_ip, LABEL_CTA_SC)) && a->born_ns <= until_ns) {
		if (a->expired)
			a->expired(a);
		ipsec_remove(a);
	}
}

static void on_idle(struct sim *sim, struct event *event)
{
	struct cta *cta = event_owner(event, struct cta_keying, idle_timer)->cta;

	if (cta->call || cta->ending) /* a call's own end may leave what came after it */
		sim_after(sim, &cta->keying->idle_timer, CTA_IDLE_NS, on_idle, "association.idle");
	else
		cta_associations_done(cta, sim->now_ns);
	sim_changed(sim, cta->node);
}

static void on_exchange(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	struct cta *cta = ctx;

	lent_free(cta);
	if (outcome == AP_ESTABLISHED) {
		cta->exchanges++;
		association->owner = cta;
		association->expired = on_association_expired;
		sim_cancel(cta->node->sim, &keying(cta)->idle_timer);
		sim_after(cta->node->sim, &cta->keying->idle_timer, CTA_IDLE_NS, on_idle, "association.idle");
		happen(cta, TEL_AP_DONE);
		cta_call_secured(cta, true, "");
		return;
	}
	happen(cta, TEL_AP_FAILED);
	if (outcome == AP_REFUSED && cta_call_waits(cta) && !cta->renewed) { /* perhaps a ticket of other days: another one, and once more */
		cta->renewed = true;
		drop_ticket(cta);
		happen(cta, TEL_TICKET_REFUSED);
	}
	cta_call_secured(cta, false, outcome == AP_REFUSED ? krb_error_name(krb_error) : "signaling controller does not answer");
}

static bool exchange(struct cta *cta, uint32_t nonce)
{
	if (!cta->ticket.der.len || cta->lent)
		return false;
	lend(cta);
	if (!key_management_initiate(cta->km, cta->sc_ip, cta->lent, LABEL_CTA_SC, nonce, on_exchange, cta))
		lent_free(cta);
	return cta->lent != NULL;
}

bool cta_secure(struct cta *cta)
{
	if (cta->ticket.der.len)
		return exchange(cta, 0);
	pkinit_start(cta);
	return false;
}

/* Whoever makes it key again needs no key for that: the packets are anybody's. So it lets itself be made to a few times only. */
static bool may_rekey(struct cta *cta)
{
	struct cta_keying *k = keying(cta);
	sim_ns now_ns = cta->node->sim->now_ns, *oldest = &k->keyed_ns[k->keyed_next];

	if (*oldest && now_ns - *oldest < CTA_REKEY_WINDOW_NS)
		return false;
	*oldest = now_ns;
	k->keyed_next = (k->keyed_next + 1) % CTA_REKEYS_MAX;
	return true;
}

static void on_rekey(struct sim *sim, struct event *event)
{
	struct cta *cta = event_owner(event, struct cta_keying, rekey_timer)->cta;

	(void)sim;
	if (may_rekey(cta))
		exchange(cta, 0);
}

/*
 * A0: only its own signaling controller may wake it. What came too soon is followed later, of its own accord: the controller takes an
 * exchange without its nonce from one that has not been told it.
 */
static bool on_wake_up(void *ctx, uint32_t server_ip, const char *principal, uint32_t nonce)
{
	struct cta *cta = ctx;
	struct sim *sim = cta->node->sim;

	if (server_ip != cta->sc_ip || strcmp(principal, cta_sc_principal(cta)) != 0 || !cta->ticket.der.len)
		return false;
	cta->wake_ups++;
	if (cta->lent)
		return true;
	if (may_rekey(cta))
		exchange(cta, nonce);
	else if (!event_pending(&cta->keying->rekey_timer))
		sim_at(sim, &cta->keying->rekey_timer, cta->keying->keyed_ns[cta->keying->keyed_next] + CTA_REKEY_WINDOW_NS,
		       on_rekey, "wake_up.later");
	return true;
}

/* Its controller speaks under an association of before our restart: key anew. */
static void on_unknown_spi(void *ctx, uint32_t peer_ip)
{
	struct cta *cta = ctx;

	if (peer_ip == cta->sc_ip && !cta->lent && cta->ticket.der.len && may_rekey(cta))
		exchange(cta, 0);
}

/* Power */

/* Everything that stands on power or address. */
static void quiesce(struct cta *cta)
{
	sim_cancel(cta->node->sim, &cta->ticket_timer);
	if (cta->keying) {
		sim_cancel(cta->node->sim, &cta->keying->idle_timer);
		sim_cancel(cta->node->sim, &cta->keying->rekey_timer);
	}
	kdc_client_cancel(cta->kdc);
	pkinit_end(cta);
	cta->pkinit_failures = 0;
	cta_calls_forget(cta);
	drop_ticket(cta);
	ipsec_reset(cta->ipsec);
}

static void power_off(struct cta *cta)
{
	quiesce(cta);
	cta_provisioning_off(cta->provisioning);
	cta->powered = false;
}

static void power_on(struct cta *cta)
{
	cta->powered = true;
	key_management_reset(cta->km);
	sip_endpoint_reset(cta->sip);
	if (!cta_provisioning_on(cta->provisioning))
		pkinit_start(cta);
}

void cta_online(struct cta *cta, uint32_t ip, uint32_t kdc_ip, uint32_t sc_ip)
{
	cta->ip = ip;
	if (!cta->keeps_controller)
		cta->sc_ip = sc_ip;
	if (kdc_ip != cta->kdc_ip) {
		kdc_client_free(cta->kdc);
		cta->kdc_ip = kdc_ip;
		cta->kdc = kdc_client_new(cta->node, kdc_ip, cta->tcp);
	}
	pkinit_start(cta);
}

void cta_offline(struct cta *cta)
{
	quiesce(cta);
	happen(cta, TEL_POWER_LOST);
}

static void name_principal(struct cta *cta, const char *number, const uint8_t mac[6])
{
	uint8_t id[PHONE_ID_LEN];

	if (number && phone_id(sm_crypto(cta->sm), number, id))
		hex_encode(id, sizeof id, cta->principal);
	else
		snprintf(cta->principal, sizeof cta->principal, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3],
		         mac[4], mac[5]);
}

void cta_certificate_removed(struct cta *cta)
{
	assert(!cta->ticket.der.len); /* a refused PKINIT is behind it */
	der_free(&cta->operator_cert);
	name_principal(cta, NULL, cta->node->ifaces->mac);
	happen(cta, TEL_CERTIFICATE_REMOVED);
}

void cta_certificate_taken(struct cta *cta)
{
	happen(cta, TEL_CERTIFICATE);
}

static void verb_boot(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cta *cta = node->state;

	(void)args;
	if (cta->powered)
		snprintf(result->error, sizeof result->error, "%s is powered already; write %s:restart()", node->name, node->name);
	else
		power_on(cta);
}

static void restart(struct node *node)
{
	struct cta *cta = node->state;

	power_off(cta);
	happen(cta, TEL_POWER_LOST);
	power_on(cta);
}

void cta_reboot(struct cta *cta)
{
	restart(cta->node);
}

static void verb_power_off(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cta *cta = node->state;

	(void)args;
	(void)result;
	power_off(cta);
	ip_reset(node);
	happen(cta, TEL_POWER_LOST);
}

/* FIG. 10: it is carried to another segment, where boot() plugs it in. */
static void verb_carry(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cta *cta = node->state;

	if (!cta_provisioning_has_hfc(cta->provisioning)) {
		snprintf(result->error, sizeof result->error, "%s has a fixed address; write dhcp = true where it is made", node->name);
		return;
	}
	verb_power_off(node, args, result);
	iface_move(node->ifaces, args_get(args, "to")->link);
}

/* FIG. 11: an engineer blows the customer's certificate away [0177]. What the module knows of start times stays. */
static void verb_wipe(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cta *cta = node->state;

	if (!cta->operator_cert.len) {
		snprintf(result->error, sizeof result->error, "%s has no operator certificate", node->name);
		return;
	}
	verb_power_off(node, args, result);
	cta_certificate_removed(cta);
	sim_changed(node->sim, node);
}

/* Construction */

static void destroy(struct node *node)
{
	struct cta *cta = node->state;

	power_off(cta);
	cta_provisioning_free(cta->provisioning);
	cta_call_unref(cta->last);
	sip_endpoint_free(cta->sip);
	kdc_client_free(cta->kdc);
	key_management_free(cta->km);
	ipsec_free(cta->ipsec);
	der_free(&cta->device_cert);
	der_free(&cta->operator_cert);
	sm_free(cta->sm);
	free(cta->keying);
	free(cta->call_ids);
	free(cta);
}

/* Attack P1: everything by which a device is known is another's. It is not noticed by its segment, where the MAC is once. */
static bool copy_hardware(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	const struct node *original = args_node(args, "copy_of");

	if (!original)
		return true;
	if (original->model != node->model || original->ifaces->link == node->ifaces->link || args_text(args, "provisioned", NULL)) {
		snprintf(error, MODEL_ERROR_LEN, "copy_of must be a cta on another segment, without provisioned here; found %.60s",
		         original->name);
		return false;
	}
	memcpy(node->ifaces->mac, original->ifaces->mac, sizeof node->ifaces->mac);
	return true;
}

/* Whose key pair and certificate it has: its own or, as a clone, its original's. */
static const char *key_name(const struct cta *cta, const struct args *args)
{
	const struct node *original = args_node(args, "copy_of");

	return original ? original->name : cta->node->name;
}

static unsigned key_bits(const struct args *args)
{
	const struct node *original = args_node(args, "copy_of");

	return original ? ((const struct cta *)original->state)->rsa_bits :
	                  (unsigned)args_int(args, "rsa_bits", CTA_RSA_BITS_DEFAULT);
}

/* The key pair for life, in the module or in a token that does its RSA part. */
static bool install_rsa(struct cta *cta, const struct args *args, unsigned bits, char error[MODEL_ERROR_LEN])
{
	char why[SM_ERROR_LEN];

	if (strcmp(args_text(args, "rsa_part", "built-in"), "token") == 0 && !sm_use_token(cta->sm, why)) {
		snprintf(error, MODEL_ERROR_LEN, "rsa_part: %s", why);
		return false;
	}
	cta->rsa = sm_install_rsa(cta->sm, world_key_pool(world_of(cta->node->sim)), key_name(cta, args), bits);
	cta->rsa_bits = (uint16_t)bits;
	if (!cta->rsa)
		snprintf(error, MODEL_ERROR_LEN, "rsa_part: %s", crypto_token_failure(sm_crypto(cta->sm)));
	return cta->rsa != 0;
}

/* What the factory and, for a provisioned one, the operator have put into it. */
static bool equip(struct cta *cta, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct world *world = world_of(cta->node->sim);
	unsigned bits = key_bits(args);
	const uint8_t *mac = cta->node->ifaces->mac;
	const char *number = args_text(args, "provisioned", NULL);
	const struct der *root = world_authority(world, AUTHORITY_OPERATOR_ROOT);
	char digits[SUBSCRIBER_NUMBER_LEN];

	if (number && !number_digits(number, digits)) {
		snprintf(error, MODEL_ERROR_LEN, "provisioned must be a telephone number, found \"%s\"; write provisioned = \"215-555-0101\"",
		         number);
		return false;
	}
	if (!install_rsa(cta, args, bits, error))
		return false;
	sm_install_root(cta->sm, root->bytes, root->len);
	name_principal(cta, number, mac);
	if (!number || args_bool(args, "managed", false))
		world_device_certificate(world, key_name(cta, args), bits, mac, &cta->device_cert);
	if (!number)
		return true;
	cta->number = memcpy(cta + 1, number, strlen(number) + 1);
	world_operator_certificate(world, cta->node->name, bits, number, args_time(args, "certificate_lifetime", 0) / NS_PER_S,
	                           &cta->operator_cert);
	if (!signaling_controller_subscribe(cta->sc_node, number, mac, cta->ip)) {
		snprintf(error, MODEL_ERROR_LEN, "number %s is taken", number);
		return false;
	}
	return true;
}

static bool places_known(const struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	const struct node *kdc = args_node(args, "kdc"), *cmts = args_node(args, "head_end"), *sc = args_node(args, "controller");
	bool dhcp = args_bool(args, "dhcp", false), provisioned = args_text(args, "provisioned", NULL) != NULL;

	if (!dhcp && !node_first_ip(node))
		snprintf(error, MODEL_ERROR_LEN, "a CTA needs an address; write on = { link, \"10.1.0.2/16\" }, or dhcp = true");
	else if (dhcp && (node_first_ip(node) || !node->ifaces))
		snprintf(error, MODEL_ERROR_LEN, "a CTA with dhcp gets its address from its head-end; write on = { link, \"none\" }");
	else if (dhcp && provisioned)
		snprintf(error, MODEL_ERROR_LEN, "a CTA with dhcp gets its number by provisioning; leave provisioned out");
	else if (args_time(args, "certificate_lifetime", NS_PER_S) < NS_PER_S)
		snprintf(error, MODEL_ERROR_LEN, "certificate_lifetime must be a second or more; write certificate_lifetime = \"8h\"");
	else if (sc->model != &model_signaling_controller)
		snprintf(error, MODEL_ERROR_LEN, "controller must be a signaling_controller, %s is none", sc->name);
	else if (cmts && cmts->model != &model_cmts)
		snprintf(error, MODEL_ERROR_LEN, "head_end must be a cmts, %s is none", cmts->name);
	else if (!node_first_ip(kdc))
		snprintf(error, MODEL_ERROR_LEN, "kdc %s has no address", kdc->name);
	else
		return true;
	return false;
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct world *world = world_of(node->sim);
	struct key_management_owner owner = { .wake_up = on_wake_up };
	struct node *kdc = args_node(args, "kdc"), *cmts = args_node(args, "head_end"), *sc = args_node(args, "controller");
	struct cta *cta;

	if (!places_known(node, args, error) || !copy_hardware(node, args, error))
		return false;
	cta = owner.ctx = sim_alloc(sizeof *cta + strlen(args_text(args, "provisioned", "")) + 1);
	cta->node = node;
	node->state = cta;
	node->destroy = destroy;
	cta->sc_node = sc;
	cta->ip = node_first_ip(node);
	cta->sc_ip = node_first_ip(sc);
	cta->kdc_ip = node_first_ip(kdc);
	cta->dh = strcmp(args_text(args, "pkinit", "rsa"), "dh") == 0;
	cta->payload_type = strcmp(args_text(args, "codec", "PCMU"), "PCMA") == 0 ? 8 : 0;
	cta->ring_timeout_ns = args_time(args, "ring_timeout", 0);
	cta->lost_after_ns = args_time(args, "media_timeout", 0);
	cta->ticket_lifetime_s = args_time(args, "ticket_lifetime", 0) / NS_PER_S;
	cta->keeps_ticket = args_bool(args, "keeps_ticket", false);
	cta->keeps_controller = args_bool(args, "keeps_controller", false);
	cta->last_refusal = "";
	if (args_get(args, "auto_answer") && args_get(args, "auto_answer")->type != VALUE_NIL)
		cta_answer(cta, args_time(args, "auto_answer", 0));
	service_set(node, &service_cta);
	cta->sm = world_module(world, node, "module");
	cta->ipsec = ipsec_new(node, cta->sm, false);
	ipsec_on_unknown_spi(cta->ipsec, on_unknown_spi, cta);
	cta->km = key_management_new(node, cta->ipsec, "", 0, &owner);
	cta->tcp = strcmp(args_text(args, "transport", "tcp"), "udp") != 0;
	cta->kdc = kdc_client_new(node, cta->kdc_ip, cta->tcp);
	cta->sip = sip_endpoint_new(node, cta->ipsec, &cta_sip_owner, cta);
	machine_start(&cta->telephony, &telephony_machine, TEL_NOT_CONFIGURED);
	machine_start(&cta->line, &cta_line_machine, 0);
	if (cmts && cta->ip)
		cmts_lease_add(cmts, cta->ip, node->ifaces->mac);
	if (!equip(cta, args, error))
		return false;
	if (!cta->number || args_bool(args, "managed", false))
		cta->provisioning = cta_provisioning_new(cta, args_bool(args, "dhcp", false), args_time(args, "reboot_after", 0));
	cta_provisioning_set_service(cta->provisioning, args_text(args, "service_number", ""));
	return true;
}

/* What a scenario may ask and do */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct cta *cta = node->state;

	*out = value_nil();
	if (strcmp(attribute, "telephony") == 0)
		*out = value_text(machine_state_name(&cta->telephony));
	else if (strcmp(attribute, "number") == 0)
		*out = value_text(cta->number);
	else if (strcmp(attribute, "principal") == 0)
		*out = value_text(cta->principal);
	else if (strcmp(attribute, "tickets") == 0)
		*out = value_int((int64_t)cta->tickets);
	else if (strcmp(attribute, "pkinit_refusals") == 0)
		*out = value_int((int64_t)cta->refusals);
	else if (strcmp(attribute, "pkinit_refusal") == 0)
		*out = value_text(cta->last_refusal);
	else if (strcmp(attribute, "ticket_ends") == 0 && cta->ticket.der.len)
		*out = value_time((cta->ticket.end_time_s - node->sim->epoch_s) * NS_PER_S);
	else if (strcmp(attribute, "exchanges") == 0)
		*out = value_int((int64_t)cta->exchanges);
	else if (strcmp(attribute, "wake_ups") == 0)
		*out = value_int((int64_t)cta->wake_ups);
	else if (strcmp(attribute, "associations") == 0)
		*out = value_int(ipsec_count(cta->ipsec));
	else
		return cta_provisioning_get(cta->provisioning, attribute, out) || cta_line_get(cta, attribute, out);
	return out->type != VALUE_NIL;
}

static void verb_dial(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cta *cta = node->state;
	const char *automatic = cta_provisioning_auto_dial(cta->provisioning);
	const char *number = automatic ? automatic : args_text(args, "number", "");
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct cta_call *call;

	if (!cta->powered) {
		snprintf(result->error, sizeof result->error, "%s has no power; write %s:boot()", node->name, node->name);
	} else if (!number_digits(number, digits)) {
		snprintf(result->error, sizeof result->error, "\"%s\" is no telephone number; write dial \"610-555-0102\"", number);
	} else if (!(call = cta_dial(cta, digits))) {
		snprintf(result->error, sizeof result->error, "the line of %s is busy with a call", node->name);
	} else {
		result->value = value_object(cta_call_object(call));
	}
}

static void verb_answer(struct node *node, const struct args *args, struct verb_result *result)
{
	(void)result;
	cta_answer(node->state, args_time(args, "after", 0));
}

static void verb_hangup(struct node *node, const struct args *args, struct verb_result *result)
{
	struct cta *cta = node->state;

	(void)args;
	if (!cta->call)
		snprintf(result->error, sizeof result->error, "%s has no call to hang up", node->name);
	else
		cta_hang_up(cta);
}

static const struct param params[] = {
	{ .name = "controller", .type = VALUE_NODE, .required = true, .doc = "its signaling controller" },
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "where it gets tickets" },
	{ .name = "head_end", .type = VALUE_NODE, .doc = "the cmts that leased it its address" },
	{ .name = "provisioned", .type = VALUE_TEXT, .doc = "its number; without one it is unprovisioned and has its device certificate only" },
	{ .name = "certificate_lifetime", .type = VALUE_TIME, .preset = "730d",
	  .doc = "of a provisioned one's operator certificate, from the run's beginning" },
	{ .name = "dhcp", .type = VALUE_BOOL, .preset = "false",
	  .doc = "it gets address, configuration and software from its head-end; its interface is { link, \"none\" }" },
	{ .name = "copy_of", .type = VALUE_NODE,
	  .doc = "attack P1: it is a hardware clone of this cta: the same MAC, key pair and manufacturer's certificate" },
	{ .name = "service_number", .type = VALUE_TEXT, .preset = "411",
	  .doc = "whom it calls by itself when it goes off-hook without an operator certificate, with the switch cta.auto_dial on" },
	{ .name = "managed", .type = VALUE_BOOL, .preset = "false",
	  .doc = "it takes new operator certificates though it is provisioned; one that is not provisioned always does" },
	{ .name = "reboot_after", .type = VALUE_TIME, .preset = "3s", .doc = "how long after a new certificate it reboots, once its line is idle" },
	{ .name = "transport", .type = VALUE_TEXT, .preset = "tcp", .choices = "tcp|udp", .doc = "to the KDC; udp in IP fragments [0069]" },
	{ .name = "pkinit", .type = VALUE_TEXT, .preset = "rsa", .choices = "rsa|dh", .doc = "how the reply key comes" },
	{ .name = "ticket_lifetime", .type = VALUE_TIME, .preset = "7d", .doc = "asked for; the KDC may give less" },
	{ .name = "keeps_ticket", .type = VALUE_BOOL, .preset = "false",
	  .doc = "changed software: it goes on with a ticket that is over (attack T2)" },
	{ .name = "keeps_controller", .type = VALUE_BOOL, .preset = "false",
	  .doc = "changed software: it asks for its own controller, whatever its configuration says (attack P6)" },
	{ .name = "rsa_bits", .type = VALUE_INT, .preset = "1024", .choices = "1024|2048", .doc = "of its key pair" },
	{ .name = "rsa_part", .type = VALUE_TEXT, .preset = "built-in", .choices = "built-in|token",
	  .doc = "where its RSA key works: in its module, or in the PKCS#11 token that TOLLGATE_PKCS11_MODULE names" },
	{ .name = "codec", .type = VALUE_TEXT, .preset = "PCMU", .choices = "PCMU|PCMA", .doc = "G.711 as it offers it" },
	{ .name = "auto_answer", .type = VALUE_TIME, .doc = "answers every call after ringing for so long" },
	{ .name = "ring_timeout", .type = VALUE_TIME, .preset = "60s", .doc = "how long it lets the other end ring" },
	{ .name = "media_timeout", .type = VALUE_TIME, .preset = "5s", .doc = "hangs up when no voice came for so long; 0s: never" },
	{ .name = NULL },
};
static const struct param dial_params[] = {
	{ .name = "number", .type = VALUE_TEXT,
	  .doc = "whom to call; with the switch cta.auto_dial on, a CTA without an operator certificate calls its service_number instead" },
	{ .name = NULL },
};
static const struct param answer_params[] = {
	{ .name = "after", .type = VALUE_TIME, .preset = "0s", .doc = "after ringing for so long" }, { .name = NULL },
};
static const struct param carry_params[] = {
	{ .name = "to", .type = VALUE_LINK, .required = true, .doc = "the HFC segment" }, { .name = NULL },
};
static const struct verb verbs[] = {
	{ "boot", "switches it on: it gets a ticket for its signaling controller", NULL, "", verb_boot },
	{ "power_off", "pulls the plug; boot() plugs it in again", NULL, "", verb_power_off },
	{ "carry", "pulls the plug and carries it to another HFC segment, where boot() plugs it in [0162]; needs dhcp", carry_params, "",
	  verb_carry },
	{ "wipe", "pulls the plug and blows its operator certificate away [0177]; boot() plugs it in again", NULL, "", verb_wipe },
	{ "dial", "goes off-hook and calls a number", dial_params, "call", verb_dial },
	{ "answer", "answers the call that rings, or else each one from now on", answer_params, "", verb_answer },
	{ "hangup", "hangs up, or declines the call that rings", NULL, "", verb_hangup },
	{ NULL, NULL, NULL, NULL, NULL },
};
static const struct attribute attributes[] = {
	{ "telephony", VALUE_TEXT, "NotConfigured, UnprovisionedAccess, UnprovisionedContext, ReceivedOperatorCertificate, ProvisionedAccess" },
	{ "hfc", VALUE_TEXT, "NotConfigured, UnprovisionedAccess, FullyRegistered, ProvisionedAccess; of a CTA with dhcp" },
	{ "certificates", VALUE_INT, "operator certificates it took" },
	{ "certificates_refused", VALUE_INT, "operator certificates it refused" },
	{ "certificate_starts", VALUE_INT, "Unix time from which its operator certificate is valid" },
	{ "certificates_removed", VALUE_INT, "operator certificates it gave up because its KDC refused them" },
	{ "software", VALUE_TEXT, "version of the software it runs; of a CTA with dhcp" },
	{ "software_signed", VALUE_BOOL, "that its manufacturer has signed it: an observer's knowledge" },
	{ "certificate_refusal", VALUE_TEXT, "the check that refused the last one; \"\": none" },
	{ "line", VALUE_TEXT, "Idle, Securing, Calling, SettingUp, Ringback, Offered, Ringing, Talking" },
	{ "number", VALUE_TEXT, "its telephone number" },
	{ "principal", VALUE_TEXT, "its name in tickets, by the certificate that it has" },
	{ "call", VALUE_OBJECT, "the call on its line, or the last one" },
	{ "calls", VALUE_INT, "calls it made and took" },
	{ "tickets", VALUE_INT, "tickets it got" },
	{ "ticket_ends", VALUE_TIME, "virtual time at which its ticket expires" },
	{ "pkinit_refusals", VALUE_INT, "PKINIT exchanges that failed" },
	{ "pkinit_refusal", VALUE_TEXT, "why the last PKINIT failed: the KRB-ERROR's name or the check of its own; \"\" after one that did not" },
	{ "exchanges", VALUE_INT, "AP exchanges done" },
	{ "wake_ups", VALUE_INT, "wake-ups it followed" },
	{ "associations", VALUE_INT, "security associations" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &telephony_machine, &hfc_access_machine, &cta_line_machine, NULL };
static const struct object_class *const objects[] = { &cta_call_class, NULL };

const struct model model_cta = {
	.name = "cta", .doc = "cable telephony adapter with one line", .params = params, .verbs = verbs, .attributes = attributes,
	.machines = machines, .objects = objects, .create = create, .get = get, .restart = restart,
};

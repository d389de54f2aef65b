/*
 * CTA -> PSTN at the POTS signaling gateway (flows.md 4; patent [0094]): the controller's offer [0083], then the CTA's
 * own INVITE [0087] becomes an IAM, and what comes back its answer. See signaling_gateway.c.
 */
#include "models/signaling_gateway_internal.h"

#include <stdio.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"

#define OFFER_GUARD_NS (20 * NS_PER_S) /* from the key to the CTA's INVITE */
#define RING_GUARD_NS (200 * NS_PER_S) /* longer than a CTA rings, should the PSTN say nothing */

/* The controller's offer */

struct offer { /* an INVITE, read and judged */
	const struct sip_message *invite;
	const struct udp_from *from;
	char id[CALL_ID_MAX + 1], caller[SUBSCRIBER_NUMBER_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	struct sdp media;
	key_handle key;
};

static bool user_digits(struct span uri, char out[SUBSCRIBER_NUMBER_LEN])
{
	char user[64];

	return span_copy(sip_user(uri), user, sizeof user) && number_digits(user, out);
}

static bool ours(const struct signaling *sg, const char *number)
{
	const char *principal = directory_number(pots_directory(sg), number);

	return principal && strcmp(principal, sg->gateway.principal) == 0;
}

static struct verdict judge(const struct signaling *sg, struct offer *o)
{
	const struct gateway *g = &sg->gateway;
	const char *speaker = gateway_speaker(g, o->from);

	if (!speaker || strncmp(speaker, "sc/", 3) != 0)
		return REFUSE("sg.check_controller", 403);
	if (!user_digits(o->invite->uri, o->callee) || !user_digits(o->invite->from, o->caller) || !ours(sg, o->callee))
		return REFUSE("sg.unknown_number", 404);
	if (!gateway_call_id(o->invite, o->id) || !sdp_parse(o->invite->body, &o->media) ||
	    !pots_place_usable(sg, &o->media) || !ipsec_spi_usable(o->media.spi))
		return REFUSE("sg.media_offer", 488);
	if (ipsec_find_initiated(g->ipsec, o->media.ip, o->media.spi)) /* it would be replaced */
		return REFUSE("sg.spi_in_use", 488);
	o->key = gateway_unwrap(g, o->from, o->media.key);
	return o->key ? (struct verdict){ NULL, 0 } : REFUSE("subkey.unwrap", 488);
}

/* Everything has passed: the key is the call's, a circuit is held. False: refused, the call is gone. */
static bool seize(struct pots_call *call, struct sip_leg *leg, const struct offer *o)
{
	struct signaling *sg = call->sg;
	unsigned cause;

	if (!pots_call_take_key(call, o->key, false, LABEL_CTA_SERVER)) {
		pots_call_free(call);
		pots_refuse(sg, leg, o->from, REFUSE("subkey.unwrap", 488), o->id);
		return false;
	}
	sg->keys++;
	call->circuit = trunk_group_hold(sg->trunks, call, &cause);
	if (call->circuit)
		return true;
	pots_call_free(call);
	pots_refuse(sg, leg, o->from, REFUSE("sg.no_circuit", cause_to_status(cause)), o->id);
	return false;
}

void pots_take_offer(struct signaling *sg, struct sip_leg *leg, const struct sip_message *invite,
                       const struct udp_from *from)
{
	struct offer o = { .invite = invite, .from = from };
	struct verdict verdict = judge(sg, &o);
	struct pots_call *call;

	if (verdict.check) {
		pots_refuse(sg, leg, from, verdict, o.id);
		return;
	}
	call = pots_call_new(sg, true);
	snprintf(call->id, sizeof call->id, "%s", o.id);
	snprintf(call->caller, sizeof call->caller, "%s", o.caller);
	snprintf(call->callee, sizeof call->callee, "%s", o.callee);
	call->cta = (struct sdp){ .ip = o.media.ip, .port = o.media.port, .payload_type = o.media.payload_type };
	call->spi = o.media.spi;
	call->controller_ip = from->src;
	if (!seize(call, leg, &o))
		return;
	call->controller_leg = leg;
	sip_leg_set_owner(leg, call);
	sip_leg_answer(leg, 100, "", "");
	pots_call_reach_trunk(call);
}

void pots_answer_controller(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;
	char proof[CALL_PROOF_LEN], body[POTS_BODY_LEN];

	(void)node;
	(void)machine;
	if (!call_key_proof(call->sg->gateway.sm, pots_call_key(call), call->spi, proof)) {
		pots_call_end(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 488, "subkey.unwrap");
		return;
	}
	pots_call_guard(call, OFFER_GUARD_NS);
	pots_call_describe(call, NULL, body);
	sip_leg_answer(call->controller_leg, 200, proof, body);
}

/* The CTA itself [0087] */
void pots_take_cta(struct signaling *sg, struct sip_leg *leg, const struct sip_message *invite,
                     const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct pots_call *call = a->owner;

	if (!call->to_pstn || call->machine.state != CALL_OFFERED ||
	    !span_is(sip_header(invite, HEADER_CALL), call->id)) {
		pots_refuse(sg, leg, from, REFUSE("sg.unknown_call", 403), "");
		return;
	}
	call->cta_leg = leg;
	sip_leg_set_owner(leg, call);
	pots_call_happen(call, EV_CTA_CALLS);
}

void pots_dial(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;

	(void)node;
	(void)machine;
	pots_call_guard(call, RING_GUARD_NS);
	call->sg->to_pstn++;
	sip_leg_answer(call->cta_leg, 100, "", "");
	trunk_group_call(call->sg->trunks, call->circuit, call->callee,
	                 strcmp(call->caller, "0") == 0 ? "" : call->caller);
}

void pots_ring_back(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	sip_leg_answer(((struct pots_call *)ctx)->cta_leg, 180, "", "");
}

void pots_answer_cta(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;
	char body[POTS_BODY_LEN];

	(void)node;
	(void)machine;
	pots_call_connect(call);
	pots_call_describe(call, NULL, body);
	sip_leg_answer(call->cta_leg, 200, "", body);
	if (call->controller_leg) /* for the call record */
		sip_leg_inform(call->controller_leg, HEADER_EVENT ": " EVENT_ANSWERED "\r\n");
}

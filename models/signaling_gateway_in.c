/*
 * PSTN -> CTA at the POTS signaling gateway (flows.md 4; patent [0095]): an IAM; the called number's controller is
 * offered the call, then the CTA itself is called. See signaling_gateway.c.
 */
#include "models/signaling_gateway_internal.h"

#include <stdio.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"
#include "models/media.h"

#define REACH_GUARD_NS (45 * NS_PER_S) /* longer than a controller waits for its CTA */
#define RING_GUARD_NS (200 * NS_PER_S) /* longer than a CTA rings */
#define HEADERS_LEN 192

/* The IAM */

static void make_key(struct pots_call *call)
{
	struct signaling *sg = call->sg;

	call->subkey = sm_generate_des3(sg->gateway.sm, "call.subkey");
	call->spi = ipsec_new_spi(sg->gateway.ipsec);
	call->cta.payload_type = MEDIA_PCMU; /* the circuit's law */
	sg->keys++;
}

static void name_call(struct pots_call *call)
{
	char ip[IP_TEXT_LEN];

	snprintf(call->id, sizeof call->id, "%016llx@%s", (unsigned long long)rng_u64(&call->sg->ids),
	         ip_text(call->sg->gateway.ip, ip));
}

static bool called_digits(const struct isup_number *number, char out[SUBSCRIBER_NUMBER_LEN])
{
	char digits[ISUP_DIGITS_MAX + 1];

	return isup_dialled(number, digits) && number_digits(digits, out);
}

/*
 * What the called CTA is told of the caller: a number that the PSTN has verified and whose owner does not mind, else
 * "0". One of our own CTAs does not call from the PSTN: who says so wants to be taken for it.
 */
static void read_caller(const struct signaling *sg, const struct isup_number *calling, char out[SUBSCRIBER_NUMBER_LEN])
{
	bool verified = calling->screening == ISUP_USER_PASSED || calling->screening == ISUP_NETWORK_PROVIDED;
	bool told = calling->present && !calling->flag && calling->presentation == ISUP_ALLOWED && verified &&
	            called_digits(calling, out);
	const char *principal = told ? directory_number(pots_directory(sg), out) : NULL;

	if (principal && strncmp(principal, "sg/", 3) != 0) {
		trace_refuse(sg->gateway.node, "sg.caller_number", 0, 0, out);
		told = false;
	}
	if (!told)
		snprintf(out, SUBSCRIBER_NUMBER_LEN, "0");
}

void pots_on_seized(void *ctx, unsigned circuit, const struct isup *iam)
{
	struct signaling *sg = ctx;
	const char *principal;
	struct pots_call *call;
	char callee[SUBSCRIBER_NUMBER_LEN];

	principal = called_digits(&iam->called, callee) ? directory_number(pots_directory(sg), callee) : NULL;
	if (!principal || strncmp(principal, "sc/", 3) != 0) {
		sg->refused++;
		trace_refuse(sg->gateway.node, "sg.unknown_number", 0, 0, iam->called.digits);
		trunk_group_release(sg->trunks, circuit, ISUP_CAUSE_UNALLOCATED);
		return;
	}
	call = pots_call_new(sg, false);
	call->circuit = circuit;
	call->controller_ip = directory_service_ip(pots_directory(sg), principal);
	snprintf(call->callee, sizeof call->callee, "%s", callee);
	read_caller(sg, &iam->calling, call->caller);
	name_call(call);
	make_key(call);
	trunk_group_set_call(sg->trunks, circuit, call);
	sg->from_pstn++;
	pots_call_reach_trunk(call);
}

/* The called number's controller */

static void on_controller(void *ctx, bool ready)
{
	struct pots_call *call = ctx;

	if (pots_call_ending(call))
		return;
	if (ready)
		pots_call_happen(call, EV_REACHED);
	else
		pots_call_end(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 503, "controller unreachable");
}

void pots_reach_controller(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;

	(void)node;
	(void)machine;
	pots_call_guard(call, REACH_GUARD_NS);
	backend_ensure(call->sg->gateway.backend, call->controller_ip, on_controller, call);
}

void pots_invite_controller(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;

	(void)node;
	(void)machine;
	call->controller_leg = pots_call_invite_server(call, call->controller_ip, "s", "");
	if (!call->controller_leg)
		pots_call_end(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 503, "controller unreachable");
}

static void bad_answer(struct pots_call *call, const char *check)
{
	trace_refuse(pots_call_node(call), check, call->controller_ip, 0, call->id);
	pots_call_end(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 500, check);
}

void pots_call_take_controller_answer(struct pots_call *call, const struct sip_message *response)
{
	struct signaling *sg = call->sg;
	struct sdp media;

	sip_leg_ack(call->controller_leg, "");
	if (call->machine.state != CALL_OFFERING)
		return;
	if (!call_key_proven(sg->gateway.sm, call->subkey, call->spi, response)) {
		bad_answer(call, "sg.verify_proof");
		return;
	}
	if (!sdp_parse(response->body, &media) || !pots_place_usable(sg, &media) ||
	    media.payload_type != call->cta.payload_type) {
		bad_answer(call, "sg.media_answer");
		return;
	}
	call->cta = (struct sdp){ .ip = media.ip, .port = media.port, .payload_type = media.payload_type };
	if (!pots_call_take_key(call, call->subkey, true, LABEL_CTA_CTA)) {
		call->subkey = 0; /* destroyed */
		sg->keys--;
		bad_answer(call, "subkey.unwrap");
		return;
	}
	call->subkey = 0;
	pots_call_happen(call, EV_KEYED);
}

/* The CTA */

void pots_invite_cta(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;
	char headers[HEADERS_LEN], body[POTS_BODY_LEN], id[SIP_CALL_ID_MAX + 1];
	struct sip_invite invite = { .peer_ip = call->cta.ip, .call_id = id, .from_user = call->caller,
	                             .to_user = call->callee, .headers = headers, .body = body };

	(void)node;
	(void)machine;
	pots_call_guard(call, RING_GUARD_NS);
	snprintf(id, sizeof id, "%s;d", call->id);
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", call->id);
	pots_call_describe(call, NULL, body);
	call->cta_leg = sip_leg_invite(call->sg->gateway.sip, &invite, call);
	if (!call->cta_leg)
		pots_call_end(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "too many legs");
}

void pots_alert_pstn(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;

	(void)node;
	(void)machine;
	trunk_group_alert(call->sg->trunks, call->circuit);
}

void pots_answer_pstn(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;

	(void)node;
	(void)machine;
	pots_call_connect(call);
	trunk_group_answer(call->sg->trunks, call->circuit);
}

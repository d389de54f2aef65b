/*
 * The POTS signaling gateway and its trunk gateway: the reset after a start, the reservation of a call's circuit, the
 * connection of its voice. See signaling_gateway.c and models/gateway_control.h.
 *
 * After a start: the trunk gateway frees what we had reserved before, and until it has said so nothing is reserved,
 * for a late reset would free that too. Attempts go on until one succeeds; calls wait no longer than their guard.
 */
#include "models/signaling_gateway_internal.h"

#include <stdio.h>
#include <string.h>

#define RESERVE_GUARD_NS (30 * NS_PER_S)
#define RESET_PAUSE_NS (5 * NS_PER_S) /* between attempts */

/* The reset */

static void reset_failed(struct signaling *sg)
{
	struct sim *sim = sg->gateway.node->sim;

	sim_after(sim, &sg->reset_timer, RESET_PAUSE_NS, pots_start_reset, "trunk.reset");
}

static void reset_done(struct signaling *sg)
{
	sg->trunk_ready = true;
	pots_changed(sg);
	for (struct pots_call *call = sg->calls; call; call = call->next)
		if (call->waits_for_reset && !pots_call_ending(call))
			pots_call_reach_trunk(call);
}

static void on_reset_reached(void *ctx, bool ready)
{
	struct signaling *sg = event_owner(ctx, struct signaling, reset_timer);
	char id[SIP_CALL_ID_MAX + 1], ip[IP_TEXT_LEN];
	struct sip_invite invite = { .peer_ip = sg->trunk_ip, .call_id = id, .from_user = "0", .to_user = "0",
		                     .headers = CIRCUIT_RESET_LINE, .body = "" };

	snprintf(id, sizeof id, "%016llx@%s;reset", (unsigned long long)rng_u64(&sg->ids), ip_text(sg->gateway.ip, ip));
	sg->reset_leg = ready ? sip_leg_invite(sg->gateway.sip, &invite, NULL) : NULL;
	if (!sg->reset_leg)
		reset_failed(sg);
}

void pots_start_reset(struct sim *sim, struct event *event)
{
	struct signaling *sg = event_owner(event, struct signaling, reset_timer);

	(void)sim;
	backend_ensure(sg->gateway.backend, sg->trunk_ip, on_reset_reached, &sg->reset_timer);
}

/* What the reset's own leg tells; answered 0: it is rejected with this status. */
void pots_reset_leg_over(struct signaling *sg, struct sip_leg *leg, bool answered, int status)
{
	if (leg != sg->reset_leg)
		return;
	sg->reset_leg = NULL;
	if (answered) {
		sip_leg_ack(leg, "");
		sip_leg_end(leg, "");
	} else if (status == 408) {
		backend_drop(sg->gateway.backend, sg->trunk_ip); /* it knows nothing of our association */
	}
	sip_leg_release(leg);
	if (answered)
		reset_done(sg);
	else
		reset_failed(sg);
}

/* A call's circuit */

static void on_trunk(void *ctx, bool ready)
{
	struct pots_call *call = ctx;

	if (pots_call_ending(call))
		return;
	if (ready)
		pots_call_happen(call, EV_TRUNK_REACHED);
	else
		pots_call_end(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "trunk gateway unreachable");
}

void pots_call_reach_trunk(struct pots_call *call)
{
	pots_call_guard(call, RESERVE_GUARD_NS);
	call->waits_for_reset = !call->sg->trunk_ready;
	if (call->waits_for_reset)
		return;
	backend_ensure(call->sg->gateway.backend, call->sg->trunk_ip, on_trunk, call);
}

void pots_invite_trunk(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;
	char line[GATEWAY_LINE_LEN];

	(void)node;
	(void)machine;
	circuit_line(line, call->circuit, call->to_pstn);
	call->moved = false;
	call->trunk_leg = pots_call_invite_server(call, call->sg->trunk_ip, "t", line);
	if (!call->trunk_leg)
		pots_call_end(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "trunk gateway unreachable");
}

static void tell_moved(struct pots_call *call)
{
	char line[GATEWAY_LINE_LEN];

	circuit_line(line, call->circuit, call->to_pstn);
	sip_leg_inform(call->trunk_leg, line);
}

void pots_on_moved(void *ctx, void *owner, unsigned circuit)
{
	struct pots_call *call = owner;

	(void)ctx;
	call->circuit = circuit;
	call->moved = call->trunk_leg != NULL;
	if (call->trunk_leg) /* before it has answered this says nothing, and is said then */
		tell_moved(call);
}

void pots_call_take_trunk_answer(struct pots_call *call, const struct sip_message *response)
{
	struct signaling *sg = call->sg;
	struct sdp place;

	sip_leg_ack(call->trunk_leg, "");
	if (call->machine.state != CALL_RESERVING)
		return;
	if (!sdp_parse(response->body, &place) || place.ip != sg->trunk_ip || !place.port ||
	    place.payload_type != call->cta.payload_type ||
	    !call_key_proven(sg->gateway.sm, pots_call_key(call), call->spi, response)) {
		trace_refuse(sg->gateway.node, "sg.trunk_answer", sg->trunk_ip, 0, call->id);
		pots_call_end(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "sg.trunk_answer");
		return;
	}
	call->trunk = (struct sdp){ .ip = place.ip, .port = place.port };
	if (call->moved)
		tell_moved(call);
	call->offered_again = false; /* from here on it is the controller's turn */
	pots_call_happen(call, call->to_pstn ? EV_RESERVED : EV_RESERVED_IN);
}

/* Voice flows from here on. */
void pots_call_connect(struct pots_call *call)
{
	char lines[2 * GATEWAY_LINE_LEN] = "";

	pots_call_guard(call, 0);
	call->answered_ns = pots_call_node(call)->sim->now_ns;
	call->sg->answered++;
	call->sg->from_pstn_answered += !call->to_pstn;
	if (call->moved) /* this takes the place of the INFO that said so first */
		circuit_line(lines, call->circuit, call->to_pstn);
	connect_line(lines + strlen(lines), &call->cta);
	if (call->trunk_leg)
		sip_leg_inform(call->trunk_leg, lines);
}

/*
 * A call at the POTS signaling gateway: its table, its life, what its legs and the PSTN tell. See
 * signaling_gateway.c; which step is whose: signaling_gateway_internal.h.
 *
 * A call is freed when its legs with servers are gone and GATEWAY_KEYS_LINGER_NS have passed since its end.
 */
#include "models/signaling_gateway_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"
#include "models/media.h"
#include "sim/service.h"

#define HEADERS_LEN 192
#define DISCARD_PORT 9 /* RFC 3264: a session description needs a port, and we take no voice */

/* The table */

static const char *const state_names[] = { "Reserving", "Offered", "Dialling", "Ringing", "Reaching", "Offering",
	                                   "Calling", "Alerting", "Talking", "Ending", "Over" };
static const char *const event_names[] = { "trunk gateway reached", "circuit reserved",
	                                   "circuit reserved for the PSTN's call", "CTA's INVITE", "PSTN rings",
	                                   "PSTN answers", "controller reached", "CTA has the key", "CTA rings",
	                                   "CTA answers", "refused", "CTA hangs up", "controller ends call",
	                                   "trunk gateway ends call", "PSTN releases", "time-out",
	                                   "legs and keys gone" };
static machine_action end_call;

#define CELL(state, event, next, action) [(state) * CALL_EVENTS + (event)] = { true, next, action }
#define ENDS(state) \
	CELL(state, EV_REFUSED, CALL_ENDING, end_call), CELL(state, EV_CTA_ENDS, CALL_ENDING, end_call), \
	CELL(state, EV_CONTROLLER_ENDS, CALL_ENDING, end_call), CELL(state, EV_TRUNK_ENDS, CALL_ENDING, end_call), \
	CELL(state, EV_PSTN_ENDS, CALL_ENDING, end_call), CELL(state, EV_TIMEOUT, CALL_ENDING, end_call)
static const struct machine_cell cells[CALL_STATES * CALL_EVENTS] = {
	CELL(CALL_RESERVING, EV_TRUNK_REACHED, CALL_RESERVING, pots_invite_trunk),
	CELL(CALL_RESERVING, EV_RESERVED, CALL_OFFERED, pots_answer_controller),
	CELL(CALL_RESERVING, EV_RESERVED_IN, CALL_REACHING, pots_reach_controller),
	ENDS(CALL_RESERVING),
	CELL(CALL_OFFERED, EV_CTA_CALLS, CALL_DIALLING, pots_dial),
	ENDS(CALL_OFFERED),
	CELL(CALL_DIALLING, EV_PSTN_RINGS, CALL_RINGING, pots_ring_back),
	CELL(CALL_DIALLING, EV_PSTN_ANSWERS, CALL_TALKING, pots_answer_cta),
	ENDS(CALL_DIALLING),
	CELL(CALL_RINGING, EV_PSTN_RINGS, CALL_RINGING, NULL),
	CELL(CALL_RINGING, EV_PSTN_ANSWERS, CALL_TALKING, pots_answer_cta),
	ENDS(CALL_RINGING),
	CELL(CALL_REACHING, EV_REACHED, CALL_OFFERING, pots_invite_controller),
	ENDS(CALL_REACHING),
	CELL(CALL_OFFERING, EV_REACHED, CALL_OFFERING, pots_invite_controller), /* once more, under a new association */
	CELL(CALL_OFFERING, EV_KEYED, CALL_CALLING, pots_invite_cta),
	ENDS(CALL_OFFERING),
	CELL(CALL_CALLING, EV_CTA_RINGS, CALL_ALERTING, pots_alert_pstn),
	CELL(CALL_CALLING, EV_CTA_ANSWERS, CALL_TALKING, pots_answer_pstn),
	ENDS(CALL_CALLING),
	CELL(CALL_ALERTING, EV_CTA_RINGS, CALL_ALERTING, NULL),
	CELL(CALL_ALERTING, EV_CTA_ANSWERS, CALL_TALKING, pots_answer_pstn),
	ENDS(CALL_ALERTING),
	ENDS(CALL_TALKING),
	CELL(CALL_ENDING, EV_ALL_GONE, CALL_OVER, NULL),
};
#undef ENDS
#undef CELL
const struct machine_def pots_call_machine = {
	.name = "gateway call", .doc = "a call between a CTA and the PSTN at the signaling gateway, either way",
	.states = state_names,
	.events = event_names, .state_count = CALL_STATES, .event_count = CALL_EVENTS, .cells = cells,
};

struct node *pots_call_node(const struct pots_call *call)
{
	return call->sg->gateway.node;
}

void pots_changed(const struct signaling *sg)
{
	sim_changed(sg->gateway.node->sim, sg->gateway.node);
}

void pots_call_happen(struct pots_call *call, enum call_event event)
{
	machine_event(pots_call_node(call), &call->machine, event, call);
	pots_changed(call->sg);
}

bool pots_call_ending(const struct pots_call *call)
{
	return call->machine.state >= CALL_ENDING;
}

/* What another network owes for a call that it sent: see models/call_records.h. */
sim_ns pots_call_owed_ns(const struct pots_call *call)
{
	bool counts = !call->to_pstn && call->answered_ns >= 0 && !pots_call_ending(call);

	return counts ? pots_call_node(call)->sim->now_ns - call->answered_ns : 0;
}

/* cause: what the PSTN is told; status: what the CTA or its controller is told. */
void pots_call_end(struct pots_call *call, enum call_event event, unsigned cause, int status, const char *reason)
{
	if (pots_call_ending(call))
		return;
	call->sg->from_pstn_ns += pots_call_owed_ns(call);
	call->cause = cause;
	call->status = status;
	call->reason = reason;
	pots_call_happen(call, event);
}

/* Life of a call */

struct pots_call *pots_call_new(struct signaling *sg, bool to_pstn)
{
	struct pots_call *call = sim_alloc(sizeof *call);

	call->sg = sg;
	call->to_pstn = to_pstn;
	call->began_ns = sg->gateway.node->sim->now_ns;
	call->answered_ns = -1;
	call->reason = "";
	machine_start(&call->machine, &pots_call_machine, CALL_RESERVING);
	call->next = sg->calls;
	sg->calls = call;
	sg->active++;
	return call;
}

/* The sub-key is counted from its coming until it is gone, whether we or the association with the CTA hold it. */
static void drop_key(struct pots_call *call)
{
	if (!call->subkey && !call->direct)
		return;
	if (call->subkey)
		sm_destroy_key(call->sg->gateway.sm, call->subkey);
	if (call->direct)
		ipsec_remove(call->direct);
	call->subkey = 0;
	call->direct = NULL;
	call->sg->keys--;
	pots_changed(call->sg);
}

key_handle pots_call_key(const struct pots_call *call)
{
	return call->direct ? call->direct->subkey : call->subkey;
}

static void on_direct_expired(struct association *association)
{
	struct pots_call *call = association->owner;

	call->direct = NULL; /* it is freed after this */
	call->sg->keys--;
	pots_call_end(call, EV_TIMEOUT, ISUP_CAUSE_TIMER, 408, "association over");
}

/* An association with the CTA from the call's sub-key, which is its own from here on. False: it is destroyed. */
bool pots_call_take_key(struct pots_call *call, key_handle key, bool initiator, const char *label)
{
	struct association_request request = { .peer_ip = call->cta.ip, .spi = call->spi, .initiator = initiator,
	                                       .subkey = key, .label = label, .lifetime_ns = GATEWAY_ASSOCIATION_NS,
		                               .expired = on_direct_expired, .owner = call };

	call->direct = ipsec_add(call->sg->gateway.ipsec, &request);
	return call->direct != NULL;
}

static void leave_circuit(struct pots_call *call)
{
	unsigned circuit = call->circuit;

	call->circuit = 0;
	if (circuit)
		trunk_group_release(call->sg->trunks, circuit, call->cause);
}

void pots_call_free(struct pots_call *call)
{
	struct signaling *sg = call->sg;
	struct pots_call **at = &sg->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	sg->from_pstn_ns += pots_call_owed_ns(call);
	if (!pots_call_ending(call))
		sg->active--;
	sim_cancel(sg->gateway.node->sim, &call->timer);
	backend_cancel(sg->gateway.backend, call);
	drop_key(call);
	free(call);
	pots_changed(sg);
}

static void settle(struct pots_call *call)
{
	if (call->machine.state != CALL_ENDING || call->controller_leg || call->trunk_leg ||
	    event_pending(&call->timer))
		return;
	pots_call_happen(call, EV_ALL_GONE);
	pots_call_free(call);
}

static void leg_gone(struct pots_call *call, struct sip_leg *leg)
{
	struct sip_leg **place = leg == call->cta_leg ? &call->cta_leg :
	                         leg == call->trunk_leg ? &call->trunk_leg : &call->controller_leg;

	*place = NULL;
	sip_leg_release(leg);
}

static void on_guard(struct sim *sim, struct event *event)
{
	(void)sim;
	pots_call_end(event_owner(event, struct pots_call, timer), EV_TIMEOUT, ISUP_CAUSE_TIMER, 504, "time-out");
}

void pots_call_guard(struct pots_call *call, sim_ns time_ns)
{
	sim_cancel(pots_call_node(call)->sim, &call->timer);
	if (time_ns)
		sim_after(pots_call_node(call)->sim, &call->timer, time_ns, on_guard, "call.guard");
}

/* After its keys a leg with the CTA can say nothing any more. */
static void on_keys_timer(struct sim *sim, struct event *event)
{
	struct pots_call *call = event_owner(event, struct pots_call, timer);

	(void)sim;
	if (call->cta_leg)
		sip_leg_abandon(call->cta_leg);
	call->cta_leg = NULL;
	drop_key(call);
	settle(call);
}

static void on_farewell_cover(void *ctx, bool ready)
{
	(void)ctx; /* the farewell is repeated and will find the association, or not */
	(void)ready;
}

static void end_leg(struct pots_call *call, struct sip_leg *leg, bool server)
{
	if (!leg)
		return;
	if (server)
		backend_ensure(call->sg->gateway.backend, sip_leg_peer(leg), on_farewell_cover, call->sg);
	if (sip_leg_state(leg) == LEG_INCOMING)
		sip_leg_answer(leg, call->status, "", "");
	else
		sip_leg_end(leg, call->reason);
}

static void end_call(struct node *node, struct machine *machine, void *ctx)
{
	struct pots_call *call = ctx;

	(void)machine;
	pots_call_guard(call, 0);
	call->sg->active--;
	leave_circuit(call);
	end_leg(call, call->cta_leg, false);
	end_leg(call, call->controller_leg, true);
	end_leg(call, call->trunk_leg, true);
	sim_after(node->sim, &call->timer, GATEWAY_KEYS_LINGER_NS, on_keys_timer, "call.keys");
}

/* What we say of voice: it is the trunk gateway's, signaling is ours. key: wrapped for a server, or NULL. */
void pots_call_describe(const struct pots_call *call, const char *key, char body[POTS_BODY_LEN])
{
	struct text t = { body, POTS_BODY_LEN, 0, false };
	struct sdp sdp = { .ip = call->trunk.ip, .port = call->trunk.port, .payload_type = call->cta.payload_type,
		           .signaling_ip = call->sg->gateway.ip };

	if (!call->trunk.ip) { /* to the trunk gateway itself */
		sdp.ip = call->sg->gateway.ip;
		sdp.port = DISCARD_PORT;
		sdp.signaling_ip = 0;
	}
	if (key) {
		sdp.key = span_of(key);
		sdp.spi = call->spi;
	}
	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
}

/* An INVITE with the sub-key to a server; NULL: there is no association any more, or too many legs. */
struct sip_leg *pots_call_invite_server(struct pots_call *call, uint32_t ip, const char *leg, const char *line)
{
	struct gateway *g = &call->sg->gateway;
	const struct association *a = ipsec_find(g->ipsec, ip, LABEL_SERVER);
	char headers[HEADERS_LEN], body[POTS_BODY_LEN], key[CALL_KEY_TEXT_LEN], id[SIP_CALL_ID_MAX + 1];
	struct sip_invite invite = { .peer_ip = ip, .call_id = id, .from_user = call->caller, .to_user = call->callee,
		                     .headers = headers, .body = body };

	if (!gateway_wrap(g, ip, pots_call_key(call), key))
		return NULL;
	call->offered_under = a ? a->serial : 0;
	snprintf(id, sizeof id, "%s;%s%s", call->id, leg, call->offered_again ? "2" : "");
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n%s", call->id, line);
	pots_call_describe(call, key, body);
	return sip_leg_invite(g->sip, &invite, call);
}

struct directory *pots_directory(const struct signaling *sg)
{
	return world_directory(world_of(sg->gateway.node->sim));
}

/* A CTA is no server: an association with one must not come between us and that server's own. */
bool pots_place_usable(const struct signaling *sg, const struct sdp *media)
{
	const struct node *node = sg->gateway.node;

	return media->ip && media->port && (media->payload_type == MEDIA_PCMU || media->payload_type == MEDIA_PCMA) &&
	       (!media->signaling_ip || media->signaling_ip == media->ip) && !ip_is_local(node, media->ip) &&
	       ip_source_for(node, media->ip) && !directory_service_at(pots_directory(sg), media->ip);
}

void pots_refuse(struct signaling *sg, struct sip_leg *leg, const struct udp_from *from, struct verdict verdict,
                   const char *detail)
{
	sg->refused++;
	trace_refuse(sg->gateway.node, verdict.check, from->src, from->tag, detail);
	sip_leg_answer(leg, verdict.status, "", "");
	sip_leg_release(leg);
	pots_changed(sg);
}

/* What the PSTN tells of a call on a circuit */

void pots_on_alerting(void *ctx, void *call)
{
	(void)ctx;
	pots_call_happen(call, EV_PSTN_RINGS);
}

void pots_on_answered(void *ctx, void *call)
{
	(void)ctx;
	pots_call_happen(call, EV_PSTN_ANSWERS);
}

void pots_on_released(void *ctx, void *owner, unsigned cause)
{
	struct pots_call *call = owner;

	(void)ctx;
	call->circuit = 0;
	pots_call_end(call, EV_PSTN_ENDS, cause, cause_to_status(cause), "PSTN released");
}

/* What the legs tell */

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct signaling *sg = ctx;

	service_charge(sg->gateway.node, &(struct service_cost){ .messages = 1 });
	if (a && strcmp(a->label, LABEL_SERVER) != 0)
		pots_take_cta(sg, leg, invite, from);
	else
		pots_take_offer(sg, leg, invite, from);
	return true;
}

static void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	struct pots_call *call = sip_leg_owner(leg);

	if (call && leg == call->cta_leg && response->status >= 180 && !pots_call_ending(call))
		pots_call_happen(call, EV_CTA_RINGS);
}

static void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct pots_call *call = sip_leg_owner(leg);

	if (!call) {
		pots_reset_leg_over(sip_leg_node(leg)->state, leg, true, 200);
	} else if (leg == call->trunk_leg) {
		pots_call_take_trunk_answer(call, response);
	} else if (leg == call->controller_leg) {
		pots_call_take_controller_answer(call, response);
	} else {
		sip_leg_ack(leg, "");
		if (!pots_call_ending(call))
			pots_call_happen(call, EV_CTA_ANSWERS);
	}
}

/*
 * A server could not open the key: it has restarted meanwhile and keyed with us anew, so that the offer reached it
 * under an association that its key is not wrapped under. Once more, under the one that there is now.
 */
static bool offer_again(struct pots_call *call, struct sip_leg *leg, int status)
{
	const struct association *a = ipsec_find(call->sg->gateway.ipsec, sip_leg_peer(leg), LABEL_SERVER);
	bool trunk = leg == call->trunk_leg && call->machine.state == CALL_RESERVING;
	bool controller = leg == call->controller_leg && call->machine.state == CALL_OFFERING;

	if (status != 488 || call->offered_again || !a || a->serial == call->offered_under || (!trunk && !controller))
		return false;
	call->offered_again = true;
	leg_gone(call, leg);
	pots_call_happen(call, trunk ? EV_TRUNK_REACHED : EV_REACHED);
	settle(call);
	return true;
}

static void on_rejected(struct sip_leg *leg, int status)
{
	struct pots_call *call = sip_leg_owner(leg);
	bool trunk, cta;

	if (!call) {
		pots_reset_leg_over(sip_leg_node(leg)->state, leg, false, status);
		return;
	}
	trunk = leg == call->trunk_leg;
	cta = leg == call->cta_leg;
	if (offer_again(call, leg, status))
		return;
	if (status == 408 && !cta)
		backend_drop(call->sg->gateway.backend, sip_leg_peer(leg)); /* it knows nothing of our association */
	leg_gone(call, leg);
	pots_call_end(call, EV_REFUSED, trunk ? ISUP_CAUSE_NO_RESOURCE : status_to_cause(status), trunk ? 503 : status,
	         trunk ? "trunk gateway refused" : sip_reason(status));
	settle(call);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	struct pots_call *call = sip_leg_owner(leg);

	if (!ack)
		pots_call_end(call, EV_TIMEOUT, ISUP_CAUSE_TEMPORARY, 408, "no ACK");
}

static void on_cancelled(struct sip_leg *leg)
{
	struct pots_call *call = sip_leg_owner(leg);

	/* The 487 is under way and its ACK still to come: ended() tells. */
	pots_call_end(call, leg == call->cta_leg ? EV_CTA_ENDS : EV_CONTROLLER_ENDS, ISUP_CAUSE_NORMAL, 487,
	              "cancelled");
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct pots_call *call = sip_leg_owner(leg);
	bool trunk = leg == call->trunk_leg, cta = leg == call->cta_leg;

	(void)bye;
	leg_gone(call, leg);
	pots_call_end(call, trunk ? EV_TRUNK_ENDS : cta ? EV_CTA_ENDS : EV_CONTROLLER_ENDS,
	         trunk ? ISUP_CAUSE_TEMPORARY : ISUP_CAUSE_NORMAL, trunk ? 503 : 487,
	         trunk ? "trunk gateway hung up" : cta ? "CTA hung up" : "controller ended call");
	settle(call);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct pots_call *call = sip_leg_owner(leg);

	if (timed_out && leg != call->cta_leg)
		backend_drop(call->sg->gateway.backend, sip_leg_peer(leg));
	leg_gone(call, leg);
	settle(call);
}

const struct sip_owner pots_sip_owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.acknowledged = on_acknowledged, .cancelled = on_cancelled, .hung_up = on_hung_up, .ended = on_ended,
};

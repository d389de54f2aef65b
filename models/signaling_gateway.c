/*
 * POTS signaling gateway: takes the far CTA's part in calls between CTAs and plain phones of the PSTN (patent [0040],
 * [0094]-[0095], [0125]; flows.md 4, variants CTA -> PSTN and PSTN -> CTA). It ends the CTA's signaling, speaks ISUP
 * with the PSTN (models/trunk_group.h) and has the trunk gateway end the voice (models/gateway_control.h).
 *
 * CTA -> PSTN: the CTA's controller offers the call with a fresh sub-key and SPI as it does to a network server
 * [0083]. A circuit is held, the trunk gateway gets the sub-key and says where it takes the voice; the answer to the
 * controller has the proof of receipt, that place, and that signaling is with us. Then the CTA's own INVITE, under
 * the CTA-server association, becomes an IAM; ACM is ringing (180), ANM the answer (200), a release before it the
 * status of RFC 3398.
 *
 * PSTN -> CTA: an IAM. We are the source: we make the sub-key and SPI, the trunk gateway gets them, the controller of
 * the called number is offered the call and answers with the CTA's proof; then we call the CTA itself under the
 * CTA-CTA association: its 180 becomes the ACM, its 200 the ANM.
 *
 * A call's end releases its circuit at once, and no later than GATEWAY_KEYS_LINGER_NS afterwards its sub-key and all
 * that was derived from it are gone, whatever the network did with the farewells. A restart loses calls, associations
 * and tickets; the reset of all circuits tells the PSTN.
 *
 * Only servers may have an association by ticket: "sc.not_us", "sg.check_service". Refusals of an INVITE, each with
 * its response: "sg.check_controller" 403, "sg.unknown_number" 404 (not one of the PSTN's), "sg.media_offer" 488,
 * "sg.spi_in_use" 488, "sg.no_circuit" 503, "subkey.unwrap" 488; under the association with a CTA: "sg.unknown_call"
 * 403. Of answers: "sg.trunk_answer", "sg.verify_proof", "sg.media_answer". Of an IAM: "sg.unknown_number" (cause 1);
 * of the caller that it names: "sg.caller_number" (one of ours; the call goes on without it). Of a question:
 * "sg.check_asker", "sg.unknown_question", "sg.no_call". Of the PSTN: those of models/trunk_group.h and
 * models/isup_link.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"
#include "models/gateway_control.h"
#include "models/media.h"
#include "models/message.h"
#include "models/model.h"
#include "models/radius_server.h"
#include "models/trunk_group.h"
#include "sim/service.h"

#define RESERVE_GUARD_NS (30 * NS_PER_S)  /* for the trunk gateway */
#define OFFER_GUARD_NS (20 * NS_PER_S)    /* from the key to the CTA's INVITE */
#define REACH_GUARD_NS (45 * NS_PER_S)    /* longer than a controller waits for its CTA */
#define RING_GUARD_NS (200 * NS_PER_S)    /* longer than a CTA rings, should the PSTN say nothing */
#define PREFIXES_MAX 16
#define BODY_LEN 512
#define HEADERS_LEN 192
#define RESET_PAUSE_NS (5 * NS_PER_S)     /* between attempts to reset the trunk gateway */
#define DISCARD_PORT 9                    /* RFC 3264: a session description needs a port, and we take no voice */

struct signaling { /* the element */
	struct gateway gateway;
	uint32_t trunk_ip;         /* the trunk gateway */
	bool trunk_ready;          /* it has answered our reset */
	struct sip_leg *reset_leg;
	struct event reset_timer;
	struct trunk_group *trunks;
	struct radius_server *answers;
	struct rng ids;
	struct call *calls;        /* those that are ending too */
	unsigned active, keys;
	uint64_t to_pstn, from_pstn, from_pstn_answered, answered, refused;
	sim_ns from_pstn_ns;       /* talked in those that are over */
};

struct call {
	struct call *next;
	struct signaling *sg;
	struct machine machine;
	bool to_pstn;
	char id[CALL_ID_MAX + 1], caller[SUBSCRIBER_NUMBER_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	struct sip_leg *controller_leg, *cta_leg, *trunk_leg; /* NULL: not begun, or ended for good */
	bool waits_for_reset;        /* of the trunk gateway */
	bool reaching_trunk, reaching_controller;             /* backend_ensure() has not called back yet */
	uint64_t offered_under;      /* serial of the association that the last offer's key was wrapped under */
	bool offered_again;
	uint32_t controller_ip;
	unsigned circuit;            /* 0: none, or released by the PSTN */
	key_handle subkey;           /* of PSTN -> CTA until the CTA has it; then it is direct's */
	struct association *direct;  /* with the CTA */
	uint32_t spi;
	struct sdp cta, trunk;       /* where each takes its voice */
	sim_ns began_ns, answered_ns; /* answered < 0: not yet */
	unsigned cause;              /* that the PSTN is told */
	int status;                  /* that the CTA or its controller is told */
	const char *reason;
	struct event timer;          /* guards; then the keys' last */
};

/* The table */

enum call_state { CALL_RESERVING, CALL_OFFERED, CALL_DIALLING, CALL_RINGING, CALL_REACHING, CALL_OFFERING,
	          CALL_CALLING, CALL_ALERTING, CALL_TALKING, CALL_ENDING, CALL_OVER, CALL_STATES };
enum call_event { EV_TRUNK_REACHED, EV_RESERVED, EV_RESERVED_IN, EV_CTA_CALLS, EV_PSTN_RINGS, EV_PSTN_ANSWERS,
	          EV_REACHED, EV_KEYED, EV_CTA_RINGS, EV_CTA_ANSWERS, EV_REFUSED, EV_CTA_ENDS, EV_CONTROLLER_ENDS,
	          EV_TRUNK_ENDS, EV_PSTN_ENDS, EV_TIMEOUT, EV_ALL_GONE, CALL_EVENTS };
static const char *const state_names[] = { "Reserving", "Offered", "Dialling", "Ringing", "Reaching", "Offering",
	                                   "Calling", "Alerting", "Talking", "Ending", "Over" };
static const char *const event_names[] = { "trunk gateway reached", "circuit reserved",
	                                   "circuit reserved for the PSTN's call", "CTA's INVITE", "PSTN rings",
	                                   "PSTN answers", "controller reached", "CTA has the key", "CTA rings",
	                                   "CTA answers", "refused", "CTA hangs up", "controller ends call",
	                                   "trunk gateway ends call", "PSTN releases", "time-out",
	                                   "legs and keys gone" };

static machine_action invite_trunk, answer_controller, dial, ring_back, answer_cta, reach_controller,
	invite_controller, invite_cta, alert_pstn, answer_pstn, end_call;

#define CELL(state, event, next, action) [(state) * CALL_EVENTS + (event)] = { true, next, action }
#define ENDS(state) \
	CELL(state, EV_REFUSED, CALL_ENDING, end_call), CELL(state, EV_CTA_ENDS, CALL_ENDING, end_call), \
	CELL(state, EV_CONTROLLER_ENDS, CALL_ENDING, end_call), CELL(state, EV_TRUNK_ENDS, CALL_ENDING, end_call), \
	CELL(state, EV_PSTN_ENDS, CALL_ENDING, end_call), CELL(state, EV_TIMEOUT, CALL_ENDING, end_call)
static const struct machine_cell cells[CALL_STATES * CALL_EVENTS] = {
	CELL(CALL_RESERVING, EV_TRUNK_REACHED, CALL_RESERVING, invite_trunk),
	CELL(CALL_RESERVING, EV_RESERVED, CALL_OFFERED, answer_controller),
	CELL(CALL_RESERVING, EV_RESERVED_IN, CALL_REACHING, reach_controller),
	ENDS(CALL_RESERVING),
	CELL(CALL_OFFERED, EV_CTA_CALLS, CALL_DIALLING, dial),
	ENDS(CALL_OFFERED),
	CELL(CALL_DIALLING, EV_PSTN_RINGS, CALL_RINGING, ring_back),
	CELL(CALL_DIALLING, EV_PSTN_ANSWERS, CALL_TALKING, answer_cta),
	ENDS(CALL_DIALLING),
	CELL(CALL_RINGING, EV_PSTN_RINGS, CALL_RINGING, NULL),
	CELL(CALL_RINGING, EV_PSTN_ANSWERS, CALL_TALKING, answer_cta),
	ENDS(CALL_RINGING),
	CELL(CALL_REACHING, EV_REACHED, CALL_OFFERING, invite_controller),
	ENDS(CALL_REACHING),
	CELL(CALL_OFFERING, EV_REACHED, CALL_OFFERING, invite_controller), /* once more, under a new association */
	CELL(CALL_OFFERING, EV_KEYED, CALL_CALLING, invite_cta),
	ENDS(CALL_OFFERING),
	CELL(CALL_CALLING, EV_CTA_RINGS, CALL_ALERTING, alert_pstn),
	CELL(CALL_CALLING, EV_CTA_ANSWERS, CALL_TALKING, answer_pstn),
	ENDS(CALL_CALLING),
	CELL(CALL_ALERTING, EV_CTA_RINGS, CALL_ALERTING, NULL),
	CELL(CALL_ALERTING, EV_CTA_ANSWERS, CALL_TALKING, answer_pstn),
	ENDS(CALL_ALERTING),
	ENDS(CALL_TALKING),
	CELL(CALL_ENDING, EV_ALL_GONE, CALL_OVER, NULL),
};
#undef ENDS
#undef CELL
static const struct machine_def gateway_call_machine = {
	.name = "gateway call", .doc = "a call between a CTA and the PSTN at the signaling gateway, either way",
	.states = state_names,
	.events = event_names, .state_count = CALL_STATES, .event_count = CALL_EVENTS, .cells = cells,
};

static struct node *node_of(const struct call *call)
{
	return call->sg->gateway.node;
}

static void changed(const struct signaling *sg)
{
	sim_changed(sg->gateway.node->sim, sg->gateway.node);
}

static void happen(struct call *call, enum call_event event)
{
	machine_event(node_of(call), &call->machine, event, call);
	changed(call->sg);
}

static bool ending(const struct call *call)
{
	return call->machine.state >= CALL_ENDING;
}

/* What another network owes for a call that it sent: see models/call_records.h. */
static sim_ns owed_ns(const struct call *call)
{
	bool counts = !call->to_pstn && call->answered_ns >= 0 && !ending(call);

	return counts ? node_of(call)->sim->now_ns - call->answered_ns : 0;
}

/* cause: what the PSTN is told; status: what the CTA or its controller is told. */
static void end_with(struct call *call, enum call_event event, unsigned cause, int status, const char *reason)
{
	if (ending(call))
		return;
	call->sg->from_pstn_ns += owed_ns(call);
	call->cause = cause;
	call->status = status;
	call->reason = reason;
	happen(call, event);
}

/* Life of a call */

static struct call *call_new(struct signaling *sg, bool to_pstn)
{
	struct call *call = sim_alloc(sizeof *call);

	call->sg = sg;
	call->to_pstn = to_pstn;
	call->began_ns = sg->gateway.node->sim->now_ns;
	call->answered_ns = -1;
	call->reason = "";
	machine_start(&call->machine, &gateway_call_machine, CALL_RESERVING);
	call->next = sg->calls;
	sg->calls = call;
	sg->active++;
	return call;
}

/* The sub-key is counted from its coming until it is gone, whether we or the association with the CTA hold it. */
static void drop_key(struct call *call)
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
	changed(call->sg);
}

static key_handle key_of(const struct call *call)
{
	return call->direct ? call->direct->subkey : call->subkey;
}

static void leave_circuit(struct call *call)
{
	unsigned circuit = call->circuit;

	call->circuit = 0;
	if (circuit)
		trunk_group_release(call->sg->trunks, circuit, call->cause);
}

static void call_free(struct call *call)
{
	struct signaling *sg = call->sg;
	struct call **at = &sg->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	sg->from_pstn_ns += owed_ns(call);
	if (!ending(call))
		sg->active--;
	sim_cancel(sg->gateway.node->sim, &call->timer);
	backend_cancel(sg->gateway.backend, call);
	drop_key(call);
	free(call);
	changed(sg);
}

static void settle(struct call *call)
{
	if (call->machine.state != CALL_ENDING || call->controller_leg || call->trunk_leg ||
	    event_pending(&call->timer))
		return;
	happen(call, EV_ALL_GONE);
	call_free(call);
}

static void leg_gone(struct call *call, struct sip_leg *leg)
{
	struct sip_leg **place = leg == call->cta_leg ? &call->cta_leg :
	                         leg == call->trunk_leg ? &call->trunk_leg : &call->controller_leg;

	*place = NULL;
	sip_leg_release(leg);
}

static void on_guard(struct sim *sim, struct event *event)
{
	(void)sim;
	end_with(event_owner(event, struct call, timer), EV_TIMEOUT, ISUP_CAUSE_TIMER, 504, "time-out");
}

static void guard(struct call *call, sim_ns time_ns)
{
	sim_cancel(node_of(call)->sim, &call->timer);
	if (time_ns)
		sim_after(node_of(call)->sim, &call->timer, time_ns, on_guard, "call.guard");
}

/* After its keys a leg with the CTA can say nothing any more. */
static void on_keys_timer(struct sim *sim, struct event *event)
{
	struct call *call = event_owner(event, struct call, timer);

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

static void end_leg(struct call *call, struct sip_leg *leg, bool server)
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
	struct call *call = ctx;

	(void)machine;
	guard(call, 0);
	call->sg->active--;
	leave_circuit(call);
	end_leg(call, call->cta_leg, false);
	end_leg(call, call->controller_leg, true);
	end_leg(call, call->trunk_leg, true);
	sim_after(node->sim, &call->timer, GATEWAY_KEYS_LINGER_NS, on_keys_timer, "call.keys");
}

static void on_direct_expired(struct association *association)
{
	struct call *call = association->owner;

	call->direct = NULL; /* it is freed after this */
	call->sg->keys--;
	end_with(call, EV_TIMEOUT, ISUP_CAUSE_TIMER, 408, "association over");
}

/* What we say of voice: it is the trunk gateway's, signaling is ours. key: wrapped for a server, or NULL. */
static void describe(const struct call *call, const char *key, char body[BODY_LEN])
{
	struct text t = { body, BODY_LEN, 0, false };
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
static struct sip_leg *invite_server(struct call *call, uint32_t ip, const char *leg, const char *line)
{
	struct gateway *g = &call->sg->gateway;
	const struct association *a = ipsec_find(g->ipsec, ip, LABEL_SERVER);
	char headers[HEADERS_LEN], body[BODY_LEN], key[CALL_KEY_TEXT_LEN], id[SIP_CALL_ID_MAX + 1];
	struct sip_invite invite = { .peer_ip = ip, .call_id = id, .from_user = call->caller, .to_user = call->callee,
		                     .headers = headers, .body = body };

	if (!gateway_wrap(g, ip, key_of(call), key))
		return NULL;
	call->offered_under = a ? a->serial : 0;
	snprintf(id, sizeof id, "%s;%s%s", call->id, leg, call->offered_again ? "2" : "");
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n%s", call->id, line);
	describe(call, key, body);
	return sip_leg_invite(g->sip, &invite, call);
}

/* The trunk gateway */

static void on_trunk(void *ctx, bool ready)
{
	struct call *call = ctx;

	call->reaching_trunk = false;
	if (ending(call))
		return;
	if (ready)
		happen(call, EV_TRUNK_REACHED);
	else
		end_with(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "trunk gateway unreachable");
}

static void reach_trunk(struct call *call)
{
	guard(call, RESERVE_GUARD_NS);
	call->waits_for_reset = !call->sg->trunk_ready;
	if (call->waits_for_reset)
		return;
	call->reaching_trunk = true;
	backend_ensure(call->sg->gateway.backend, call->sg->trunk_ip, on_trunk, call);
}

/*
 * After a start: the trunk gateway frees what we had reserved before, and until it has said so nothing is reserved,
 * for a late reset would free that too. Attempts go on until one succeeds; calls wait no longer than their guard.
 */
static void start_reset(struct sim *sim, struct event *event);

static void reset_failed(struct signaling *sg)
{
	struct sim *sim = sg->gateway.node->sim;

	sim_after(sim, &sg->reset_timer, RESET_PAUSE_NS, start_reset, "trunk.reset");
}

static void reset_done(struct signaling *sg)
{
	sg->trunk_ready = true;
	changed(sg);
	for (struct call *call = sg->calls; call; call = call->next)
		if (call->waits_for_reset && !ending(call))
			reach_trunk(call);
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

static void start_reset(struct sim *sim, struct event *event)
{
	struct signaling *sg = event_owner(event, struct signaling, reset_timer);

	(void)sim;
	backend_ensure(sg->gateway.backend, sg->trunk_ip, on_reset_reached, &sg->reset_timer);
}

/* What the reset's own leg tells; answered 0: it is rejected with this status. */
static void reset_leg_over(struct signaling *sg, struct sip_leg *leg, bool answered, int status)
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

static void invite_trunk(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	char line[GATEWAY_LINE_LEN];

	(void)node;
	(void)machine;
	circuit_line(line, call->circuit, call->to_pstn);
	call->trunk_leg = invite_server(call, call->sg->trunk_ip, "t", line);
	if (!call->trunk_leg)
		end_with(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "trunk gateway unreachable");
}

static void take_trunk_answer(struct call *call, const struct sip_message *response)
{
	struct signaling *sg = call->sg;
	struct sdp place;

	sip_leg_ack(call->trunk_leg, "");
	if (call->machine.state != CALL_RESERVING)
		return;
	if (!sdp_parse(response->body, &place) || place.ip != sg->trunk_ip || !place.port ||
	    place.payload_type != call->cta.payload_type ||
	    !call_key_proven(sg->gateway.sm, key_of(call), call->spi, response)) {
		trace_refuse(sg->gateway.node, "sg.trunk_answer", sg->trunk_ip, 0, call->id);
		end_with(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "sg.trunk_answer");
		return;
	}
	call->trunk = (struct sdp){ .ip = place.ip, .port = place.port };
	call->offered_again = false; /* from here on it is the controller's turn */
	happen(call, call->to_pstn ? EV_RESERVED : EV_RESERVED_IN);
}

/* Voice flows from here on. */
static void connect_voice(struct call *call)
{
	char line[GATEWAY_LINE_LEN];

	guard(call, 0);
	call->answered_ns = node_of(call)->sim->now_ns;
	call->sg->answered++;
	call->sg->from_pstn_answered += !call->to_pstn;
	connect_line(line, &call->cta);
	if (call->trunk_leg)
		sip_leg_inform(call->trunk_leg, line);
}

/* CTA -> PSTN: the controller's offer [0083] */

struct offer { /* an INVITE, read and judged */
	const struct sip_message *invite;
	const struct udp_from *from;
	char id[CALL_ID_MAX + 1], caller[SUBSCRIBER_NUMBER_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	struct sdp media;
	key_handle key;
};
struct verdict { /* check NULL: none against it */
	const char *check;
	int status;
};
#define REFUSE(name, code) ((struct verdict){ name, code })

static bool user_digits(struct span uri, char out[SUBSCRIBER_NUMBER_LEN])
{
	char user[64];

	return span_copy(sip_user(uri), user, sizeof user) && number_digits(user, out);
}

static struct directory *directory_of(const struct signaling *sg)
{
	return world_directory(world_of(sg->gateway.node->sim));
}

/* A CTA is no server: an association with one must not come between us and that server's own. */
static bool place_usable(const struct signaling *sg, const struct sdp *media)
{
	const struct node *node = sg->gateway.node;

	return media->ip && media->port && (media->payload_type == MEDIA_PCMU || media->payload_type == MEDIA_PCMA) &&
	       (!media->signaling_ip || media->signaling_ip == media->ip) && !ip_is_local(node, media->ip) &&
	       ip_source_for(node, media->ip) && !directory_service_at(directory_of(sg), media->ip);
}

static bool ours(const struct signaling *sg, const char *number)
{
	const char *principal = directory_number(directory_of(sg), number);

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
	    !place_usable(sg, &o->media) || !ipsec_spi_usable(o->media.spi))
		return REFUSE("sg.media_offer", 488);
	if (ipsec_find_initiated(g->ipsec, o->media.ip, o->media.spi)) /* it would be replaced */
		return REFUSE("sg.spi_in_use", 488);
	o->key = gateway_unwrap(g, o->from, o->media.key);
	return o->key ? (struct verdict){ NULL, 0 } : REFUSE("subkey.unwrap", 488);
}

static void refuse(struct signaling *sg, struct sip_leg *leg, const struct udp_from *from, struct verdict verdict,
                   const char *detail)
{
	sg->refused++;
	trace_refuse(sg->gateway.node, verdict.check, from->src, from->tag, detail);
	sip_leg_answer(leg, verdict.status, "", "");
	sip_leg_release(leg);
	changed(sg);
}

/* An association with the CTA from the call's sub-key, which is its own from here on. False: it is destroyed. */
static bool take_key(struct call *call, key_handle key, bool initiator, const char *label)
{
	struct association_request request = { .peer_ip = call->cta.ip, .spi = call->spi, .initiator = initiator,
	                                       .subkey = key, .label = label, .lifetime_ns = GATEWAY_ASSOCIATION_NS,
		                               .expired = on_direct_expired, .owner = call };

	call->direct = ipsec_add(call->sg->gateway.ipsec, &request);
	return call->direct != NULL;
}

/* Everything has passed: the key is the call's, a circuit is held. False: refused, the call is gone. */
static bool seize(struct call *call, struct sip_leg *leg, const struct offer *o)
{
	struct signaling *sg = call->sg;
	unsigned cause;

	if (!take_key(call, o->key, false, LABEL_CTA_SERVER)) {
		call_free(call);
		refuse(sg, leg, o->from, REFUSE("subkey.unwrap", 488), o->id);
		return false;
	}
	sg->keys++;
	call->circuit = trunk_group_hold(sg->trunks, call, &cause);
	if (call->circuit)
		return true;
	call_free(call);
	refuse(sg, leg, o->from, REFUSE("sg.no_circuit", cause_to_status(cause)), o->id);
	return false;
}

static void take_offer(struct signaling *sg, struct sip_leg *leg, const struct sip_message *invite,
                       const struct udp_from *from)
{
	struct offer o = { .invite = invite, .from = from };
	struct verdict verdict = judge(sg, &o);
	struct call *call;

	if (verdict.check) {
		refuse(sg, leg, from, verdict, o.id);
		return;
	}
	call = call_new(sg, true);
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
	reach_trunk(call);
}

static void answer_controller(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	char proof[CALL_PROOF_LEN], body[BODY_LEN];

	(void)node;
	(void)machine;
	if (!call_key_proof(call->sg->gateway.sm, key_of(call), call->spi, proof)) {
		end_with(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 488, "subkey.unwrap");
		return;
	}
	guard(call, OFFER_GUARD_NS);
	describe(call, NULL, body);
	sip_leg_answer(call->controller_leg, 200, proof, body);
}

/* The CTA itself [0087] */
static void take_cta(struct signaling *sg, struct sip_leg *leg, const struct sip_message *invite,
                     const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct call *call = a->owner;

	if (!call->to_pstn || call->machine.state != CALL_OFFERED ||
	    !span_is(sip_header(invite, HEADER_CALL), call->id)) {
		refuse(sg, leg, from, REFUSE("sg.unknown_call", 403), "");
		return;
	}
	call->cta_leg = leg;
	sip_leg_set_owner(leg, call);
	happen(call, EV_CTA_CALLS);
}

static void dial(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;

	(void)node;
	(void)machine;
	guard(call, RING_GUARD_NS);
	call->sg->to_pstn++;
	sip_leg_answer(call->cta_leg, 100, "", "");
	trunk_group_call(call->sg->trunks, call->circuit, call->callee,
	                 strcmp(call->caller, "0") == 0 ? "" : call->caller);
}

static void ring_back(struct node *node, struct machine *machine, void *ctx)
{
	(void)node;
	(void)machine;
	sip_leg_answer(((struct call *)ctx)->cta_leg, 180, "", "");
}

static void answer_cta(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	char body[BODY_LEN];

	(void)node;
	(void)machine;
	connect_voice(call);
	describe(call, NULL, body);
	sip_leg_answer(call->cta_leg, 200, "", body);
	if (call->controller_leg) /* for the call record */
		sip_leg_inform(call->controller_leg, HEADER_EVENT ": " EVENT_ANSWERED "\r\n");
}

/* PSTN -> CTA: an IAM */

static void make_key(struct call *call)
{
	struct signaling *sg = call->sg;

	call->subkey = sm_generate_des3(sg->gateway.sm, "call.subkey");
	call->spi = ipsec_new_spi(sg->gateway.ipsec);
	call->cta.payload_type = MEDIA_PCMU; /* the circuit's law */
	sg->keys++;
}

static void name_call(struct call *call)
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
	const char *principal = told ? directory_number(directory_of(sg), out) : NULL;

	if (principal && strncmp(principal, "sg/", 3) != 0) {
		trace_refuse(sg->gateway.node, "sg.caller_number", 0, 0, out);
		told = false;
	}
	if (!told)
		snprintf(out, SUBSCRIBER_NUMBER_LEN, "0");
}

static void on_seized(void *ctx, unsigned circuit, const struct isup *iam)
{
	struct signaling *sg = ctx;
	const char *principal;
	struct call *call;
	char callee[SUBSCRIBER_NUMBER_LEN];

	principal = called_digits(&iam->called, callee) ? directory_number(directory_of(sg), callee) : NULL;
	if (!principal || strncmp(principal, "sc/", 3) != 0) {
		sg->refused++;
		trace_refuse(sg->gateway.node, "sg.unknown_number", 0, 0, iam->called.digits);
		trunk_group_release(sg->trunks, circuit, ISUP_CAUSE_UNALLOCATED);
		return;
	}
	call = call_new(sg, false);
	call->circuit = circuit;
	call->controller_ip = directory_service_ip(directory_of(sg), principal);
	snprintf(call->callee, sizeof call->callee, "%s", callee);
	read_caller(sg, &iam->calling, call->caller);
	name_call(call);
	make_key(call);
	trunk_group_set_call(sg->trunks, circuit, call);
	sg->from_pstn++;
	reach_trunk(call);
}

static void on_controller(void *ctx, bool ready)
{
	struct call *call = ctx;

	call->reaching_controller = false;
	if (ending(call))
		return;
	if (ready)
		happen(call, EV_REACHED);
	else
		end_with(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 503, "controller unreachable");
}

static void reach_controller(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;

	(void)node;
	(void)machine;
	guard(call, REACH_GUARD_NS);
	call->reaching_controller = true;
	backend_ensure(call->sg->gateway.backend, call->controller_ip, on_controller, call);
}

static void invite_controller(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;

	(void)node;
	(void)machine;
	call->controller_leg = invite_server(call, call->controller_ip, "s", "");
	if (!call->controller_leg)
		end_with(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 503, "controller unreachable");
}

static void bad_answer(struct call *call, const char *check)
{
	trace_refuse(node_of(call), check, call->controller_ip, 0, call->id);
	end_with(call, EV_REFUSED, ISUP_CAUSE_TEMPORARY, 500, check);
}

static void take_controller_answer(struct call *call, const struct sip_message *response)
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
	if (!sdp_parse(response->body, &media) || !place_usable(sg, &media) ||
	    media.payload_type != call->cta.payload_type) {
		bad_answer(call, "sg.media_answer");
		return;
	}
	call->cta = (struct sdp){ .ip = media.ip, .port = media.port, .payload_type = media.payload_type };
	if (!take_key(call, call->subkey, true, LABEL_CTA_CTA)) {
		call->subkey = 0; /* destroyed */
		sg->keys--;
		bad_answer(call, "subkey.unwrap");
		return;
	}
	call->subkey = 0;
	happen(call, EV_KEYED);
}

static void invite_cta(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	char headers[HEADERS_LEN], body[BODY_LEN], id[SIP_CALL_ID_MAX + 1];
	struct sip_invite invite = { .peer_ip = call->cta.ip, .call_id = id, .from_user = call->caller,
	                             .to_user = call->callee, .headers = headers, .body = body };

	(void)node;
	(void)machine;
	guard(call, RING_GUARD_NS);
	snprintf(id, sizeof id, "%s;d", call->id);
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", call->id);
	describe(call, NULL, body);
	call->cta_leg = sip_leg_invite(call->sg->gateway.sip, &invite, call);
	if (!call->cta_leg)
		end_with(call, EV_REFUSED, ISUP_CAUSE_NO_RESOURCE, 503, "too many legs");
}

static void alert_pstn(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;

	(void)node;
	(void)machine;
	trunk_group_alert(call->sg->trunks, call->circuit);
}

static void answer_pstn(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;

	(void)node;
	(void)machine;
	connect_voice(call);
	trunk_group_answer(call->sg->trunks, call->circuit);
}

/* What the PSTN tells of a call on a circuit */

static void on_alerting(void *ctx, void *call)
{
	(void)ctx;
	happen(call, EV_PSTN_RINGS);
}

static void on_pstn_answered(void *ctx, void *call)
{
	(void)ctx;
	happen(call, EV_PSTN_ANSWERS);
}

static void on_released(void *ctx, void *owner, unsigned cause)
{
	struct call *call = owner;

	(void)ctx;
	call->circuit = 0;
	end_with(call, EV_PSTN_ENDS, cause, cause_to_status(cause), "PSTN released");
}

/* What the legs tell */

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct signaling *sg = ctx;

	service_charge(sg->gateway.node, &(struct service_cost){ .messages = 1 });
	if (a && strcmp(a->label, LABEL_SERVER) != 0)
		take_cta(sg, leg, invite, from);
	else
		take_offer(sg, leg, invite, from);
	return true;
}

static void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	struct call *call = sip_leg_owner(leg);

	if (call && leg == call->cta_leg && response->status >= 180 && !ending(call))
		happen(call, EV_CTA_RINGS);
}

static void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct call *call = sip_leg_owner(leg);

	if (!call) {
		reset_leg_over(sip_leg_node(leg)->state, leg, true, 200);
	} else if (leg == call->trunk_leg) {
		take_trunk_answer(call, response);
	} else if (leg == call->controller_leg) {
		take_controller_answer(call, response);
	} else {
		sip_leg_ack(leg, "");
		if (!ending(call))
			happen(call, EV_CTA_ANSWERS);
	}
}

/*
 * A server could not open the key: it has restarted meanwhile and keyed with us anew, so that the offer reached it
 * under an association that its key is not wrapped under. Once more, under the one that there is now.
 */
static bool offer_again(struct call *call, struct sip_leg *leg, int status)
{
	const struct association *a = ipsec_find(call->sg->gateway.ipsec, sip_leg_peer(leg), LABEL_SERVER);
	bool trunk = leg == call->trunk_leg && call->machine.state == CALL_RESERVING;
	bool controller = leg == call->controller_leg && call->machine.state == CALL_OFFERING;

	if (status != 488 || call->offered_again || !a || a->serial == call->offered_under || (!trunk && !controller))
		return false;
	call->offered_again = true;
	leg_gone(call, leg);
	happen(call, trunk ? EV_TRUNK_REACHED : EV_REACHED);
	settle(call);
	return true;
}

static void on_rejected(struct sip_leg *leg, int status)
{
	struct call *call = sip_leg_owner(leg);
	bool trunk, cta;

	if (!call) {
		reset_leg_over(sip_leg_node(leg)->state, leg, false, status);
		return;
	}
	trunk = leg == call->trunk_leg;
	cta = leg == call->cta_leg;
	if (offer_again(call, leg, status))
		return;
	if (status == 408 && !cta)
		backend_drop(call->sg->gateway.backend, sip_leg_peer(leg)); /* it knows nothing of our association */
	leg_gone(call, leg);
	end_with(call, EV_REFUSED, trunk ? ISUP_CAUSE_NO_RESOURCE : status_to_cause(status), trunk ? 503 : status,
	         trunk ? "trunk gateway refused" : sip_reason(status));
	settle(call);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	struct call *call = sip_leg_owner(leg);

	if (!ack)
		end_with(call, EV_TIMEOUT, ISUP_CAUSE_TEMPORARY, 408, "no ACK");
}

static void on_cancelled(struct sip_leg *leg)
{
	struct call *call = sip_leg_owner(leg);

	/* The 487 is under way and its ACK still to come: ended() tells. */
	end_with(call, leg == call->cta_leg ? EV_CTA_ENDS : EV_CONTROLLER_ENDS, ISUP_CAUSE_NORMAL, 487, "cancelled");
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct call *call = sip_leg_owner(leg);
	bool trunk = leg == call->trunk_leg, cta = leg == call->cta_leg;

	(void)bye;
	leg_gone(call, leg);
	end_with(call, trunk ? EV_TRUNK_ENDS : cta ? EV_CTA_ENDS : EV_CONTROLLER_ENDS,
	         trunk ? ISUP_CAUSE_TEMPORARY : ISUP_CAUSE_NORMAL, trunk ? 503 : 487,
	         trunk ? "trunk gateway hung up" : cta ? "CTA hung up" : "controller ended call");
	settle(call);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct call *call = sip_leg_owner(leg);

	if (timed_out && leg != call->cta_leg)
		backend_drop(call->sg->gateway.backend, sip_leg_peer(leg));
	leg_gone(call, leg);
	settle(call);
}

static const struct sip_owner sip_owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.acknowledged = on_acknowledged, .cancelled = on_cancelled, .hung_up = on_hung_up, .ended = on_ended,
};

/*
 * Who is talking with a phone of the PSTN: asked by an order terminal of the CSR centre, whose phone tells it nothing
 * [0145]. Access-Request, Connect-Info "caller", Called-Station-Id the phone's number; answered with the CTA's
 * address, its number, "0" without one, and in Acct-Session-Time how long ago the call began.
 */

static const struct call *call_with(const struct signaling *sg, const char *number)
{
	const struct call *call = sg->calls;

	while (call && (call->machine.state != CALL_TALKING ||
	                strcmp(call->to_pstn ? call->callee : call->caller, number) != 0))
		call = call->next;
	return call;
}

static const char *judge_question(const struct signaling *sg, const struct radius_asked *asked,
                                  const struct call **call)
{
	const struct radius *q = &asked->question;
	char number[SUBSCRIBER_NUMBER_LEN];

	if (strncmp(asked->principal, "csr/", 4) != 0)
		return "sg.check_asker";
	if (q->code != RADIUS_ACCESS_REQUEST || strcmp(q->connect_info, "caller") != 0 ||
	    !number_digits(q->called_station, number))
		return "sg.unknown_question";
	*call = call_with(sg, number);
	return *call ? NULL : "sg.no_call";
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct signaling *sg = ctx;
	struct radius answer = { .code = RADIUS_ACCESS_ACCEPT };
	const struct call *call = NULL;
	const char *check = judge_question(sg, asked, &call);

	if (check) {
		radius_server_judge(sg->answers, asked, check);
		return;
	}
	answer.framed_ip = call->cta.ip;
	snprintf(answer.calling_station, sizeof answer.calling_station, "%s",
	         call->to_pstn ? call->caller : call->callee);
	answer.acct_session_s = (uint32_t)((sg->gateway.node->sim->now_ns - call->began_ns) / NS_PER_S) + 1;
	message_accept(sg->gateway.node, asked->tag);
	radius_server_answer(sg->answers, asked, &answer);
}

/* Construction */

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "the KDC it gets tickets from, or its machine" },
	{ .name = "trunk_gateway", .type = VALUE_NODE, .required = true, .doc = "ends the voice" },
	{ .name = "pstn", .type = VALUE_TEXT, .required = true,
	  .doc = "address of the PSTN's end of the signaling link: \"10.203.0.10\"" },
	{ .name = "prefixes", .type = VALUE_TEXT, .required = true,
	  .doc = "what numbers of the PSTN begin with: \"212,800\"; a number that a controller serves is that one's" },
	{ .name = "circuits", .type = VALUE_INT, .preset = "24", .doc = "of the trunk group: a T1's" },
	{ .name = "point_code", .type = VALUE_INT, .preset = "4096", .doc = "its own, ITU 14 bit" },
	{ .name = "pstn_code", .type = VALUE_INT, .preset = "4097", .doc = "the PSTN's" },
	{ .name = NULL },
};

static void forget(struct signaling *sg)
{
	sim_cancel(sg->gateway.node->sim, &sg->reset_timer);
	backend_cancel(sg->gateway.backend, &sg->reset_timer);
	sg->trunk_ready = false;
	sg->reset_leg = NULL; /* the endpoint's, which forgets it too */
	while (sg->calls)
		call_free(sg->calls);
}

static void destroy(struct node *node)
{
	struct signaling *sg = node->state;

	forget(sg);
	trunk_group_free(sg->trunks);
	radius_server_free(sg->answers);
	gateway_free(&sg->gateway);
	free(sg);
}

/* Takes the next prefix off the list; false: its end. */
static bool next_prefix(const char **list, char out[SUBSCRIBER_NUMBER_LEN], bool *good)
{
	size_t len = strcspn(*list, ",");
	char text[SUBSCRIBER_NUMBER_LEN * 2];

	if (!**list)
		return false;
	*good = len > 0 && len < sizeof text;
	snprintf(text, sizeof text, "%.*s", (int)len, *list);
	*good = *good && number_digits(text, out);
	*list += len + ((*list)[len] == ',');
	return true;
}

static bool prefixes_good(const char *list)
{
	char prefix[SUBSCRIBER_NUMBER_LEN];
	unsigned count = 0;
	bool good = true, all = true;

	while (next_prefix(&list, prefix, &good)) {
		all = all && good;
		count++;
	}
	return all && count > 0 && count <= PREFIXES_MAX;
}

static bool check_codes(const struct args *args, char error[MODEL_ERROR_LEN])
{
	int64_t circuits = args_int(args, "circuits", 24), own = args_int(args, "point_code", 0);
	int64_t peer = args_int(args, "pstn_code", 0);

	if (circuits < 1 || circuits > TRUNK_CIRCUITS_MAX)
		snprintf(error, MODEL_ERROR_LEN, "circuits must be 1 to %d, found %lld; write circuits = 24",
		         TRUNK_CIRCUITS_MAX, (long long)circuits);
	else if (own < 0 || own > ISUP_POINT_CODE_MAX || peer < 0 || peer > ISUP_POINT_CODE_MAX || own == peer)
		snprintf(error, MODEL_ERROR_LEN,
		         "point codes must be two numbers up to %d, found %lld and %lld; "
		         "write point_code = 4096, pstn_code = 4097",
		         ISUP_POINT_CODE_MAX, (long long)own, (long long)peer);
	else
		return true;
	return false;
}

static bool check_params(const struct node *node, const struct args *args, uint32_t *pstn, char error[MODEL_ERROR_LEN])
{
	const char *given = args_text(args, "pstn", ""), *prefixes = args_text(args, "prefixes", "");
	const struct node *trunk = args_node(args, "trunk_gateway");

	if (!ip_parse(given, pstn) || !gateway_ip_towards(node, *pstn))
		snprintf(error, MODEL_ERROR_LEN,
		         "pstn must be an address on a link of the signaling gateway, found \"%s\"; "
		         "write pstn = \"10.203.0.10\"", given);
	else if (!trunk->model || strcmp(trunk->model->name, "trunk_gateway") != 0)
		snprintf(error, MODEL_ERROR_LEN, "trunk_gateway must be one, found %s; write trunk_gateway = net.tg",
		         trunk->name);
	else if (!prefixes_good(prefixes))
		snprintf(error, MODEL_ERROR_LEN,
		         "prefixes must be up to %d beginnings of numbers, found \"%s\"; write prefixes = \"212,800\"",
		         PREFIXES_MAX, prefixes);
	else
		return check_codes(args, error);
	return false;
}

static void enter_prefixes(const struct signaling *sg, const char *list)
{
	char prefix[SUBSCRIBER_NUMBER_LEN];
	bool good;

	while (next_prefix(&list, prefix, &good))
		directory_prefix_add(directory_of(sg), prefix, sg->gateway.principal);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct trunk_group_config trunks = { .node = node, .seized = on_seized, .alerting = on_alerting,
		                             .answered = on_pstn_answered, .released = on_released };
	struct signaling *sg;
	uint32_t pstn;

	if (!check_params(node, args, &pstn, error))
		return false;
	sg = sim_alloc(sizeof *sg);
	node->state = sg;
	node->destroy = destroy;
	sg->trunk_ip = gateway_first_ip(args_node(args, "trunk_gateway"));
	rng_init(&sg->ids, node->sim->seed, node->name, "call-ids");
	trunks.ctx = sg;
	trunks.peer_ip = pstn;
	trunks.local_ip = gateway_ip_towards(node, pstn);
	trunks.local_code = (uint16_t)args_int(args, "point_code", 0);
	trunks.peer_code = (uint16_t)args_int(args, "pstn_code", 0);
	trunks.circuits = (unsigned)args_int(args, "circuits", 24);
	sg->trunks = trunk_group_new(&trunks);
	gateway_make(&sg->gateway, node, gateway_first_ip(node), "sg", "sg.check_service",
	             gateway_first_ip(args_node(args, "kdc")), &sip_owner, sg);
	sg->answers = radius_server_new(node, sg->gateway.ipsec, RADIUS_AUTH_PORT, on_question, sg);
	enter_prefixes(sg, args_text(args, "prefixes", ""));
	return true;
}

static void power_on(struct node *node)
{
	struct signaling *sg = node->state;

	gateway_start(&sg->gateway);
	radius_server_reset(sg->answers);
	trunk_group_start(sg->trunks);
	sim_at(node->sim, &sg->reset_timer, node->sim->now_ns, start_reset, "trunk.reset");
}

static void restart(struct node *node)
{
	struct signaling *sg = node->state;

	forget(sg);
	gateway_restart(&sg->gateway);
	radius_server_reset(sg->answers);
	trunk_group_start(sg->trunks);
	sim_at(node->sim, &sg->reset_timer, node->sim->now_ns, start_reset, "trunk.reset");
	changed(sg);
}

/* What a scenario may ask */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct signaling *sg = node->state;
	struct trunk_counters trunks = trunk_group_counters(sg->trunks);
	sim_ns owed = sg->from_pstn_ns;

	for (const struct call *call = sg->calls; call; call = call->next)
		owed += owed_ns(call);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "calls", sg->active }, { "call_keys", sg->keys }, { "to_pstn", sg->to_pstn },
		{ "from_pstn", sg->from_pstn }, { "from_pstn_answered", sg->from_pstn_answered },
		{ "from_pstn_s", (uint64_t)(owed / NS_PER_S) },
		{ "answered", sg->answered }, { "refused", sg->refused },
		{ "associations", ipsec_count(sg->gateway.ipsec) },
		{ "exchanges", sg->gateway.exchanges }, { "circuits_idle", trunks.idle },
		{ "circuits_busy", trunks.busy },
		{ "circuits_blocked", trunks.blocked }, { "resets", trunks.resets },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	if (strcmp(attribute, "link_up") == 0)
		*out = value_bool(trunks.link_up);
	else if (strcmp(attribute, "trunk_ready") == 0)
		*out = value_bool(sg->trunk_ready);
	else
		return false;
	return true;
}

static const struct attribute attributes[] = {
	{ "calls", VALUE_INT, "calls that are not over" },
	{ "call_keys", VALUE_INT, "sub-keys of calls it holds" },
	{ "to_pstn", VALUE_INT, "calls of CTAs that went out on a circuit, so far" },
	{ "from_pstn", VALUE_INT, "calls that came in on a circuit for a number of a controller, so far" },
	{ "from_pstn_answered", VALUE_INT, "of those: answered" },
	{ "from_pstn_s", VALUE_INT, "seconds talked in them, so far: what the PSTN's network owes ours for" },
	{ "answered", VALUE_INT, "calls answered, so far" },
	{ "refused", VALUE_INT, "INVITEs and IAMs refused, so far" },
	{ "associations", VALUE_INT, "security associations with servers and CTAs" },
	{ "exchanges", VALUE_INT, "AP exchanges accepted" },
	{ "circuits_idle", VALUE_INT, "circuits that are free" },
	{ "circuits_busy", VALUE_INT, "circuits with a call, or being released" },
	{ "circuits_blocked", VALUE_INT, "circuits whose reset is not acknowledged" },
	{ "resets", VALUE_INT, "resets of circuits by either end, so far" },
	{ "link_up", VALUE_BOOL, "the signaling link to the PSTN is up" },
	{ "trunk_ready", VALUE_BOOL, "the trunk gateway has freed what was reserved before our start" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &gateway_call_machine, &trunk_circuit_machine,
                                                      &isup_link_machine, NULL };

const struct model model_signaling_gateway = {
	.name = "signaling_gateway",
	.doc = "POTS signaling gateway: takes the far CTA's part in calls between CTAs and plain phones of the PSTN",
	.params = params, .attributes = attributes, .machines = machines, .create = create, .start = power_on,
	.get = get, .restart = restart,
};

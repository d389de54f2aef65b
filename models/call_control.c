/* The calls of a signaling controller; see call_control.h. */
#include "models/call_control_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "sim/service.h"

#define HEADERS_LEN 192
#define BODY_LEN 512

/* The table */

enum call_event { EV_REACHED, EV_UNREACHABLE, EV_NEW_ASSOCIATION, EV_ACCEPTED, EV_DECLINED, EV_BAD_PROOF, EV_CONFIRMED, EV_NEAR_ENDS,
	          EV_FAR_ENDS, EV_TIMEOUT, EV_LEGS_GONE, CALL_EVENTS };

static const char *const state_names[] = { "Reaching", "Offering", "Confirming", "Up", "Ending", "Over" };
static const char *const event_names[] = { "reached", "unreachable", "new association", "accepted", "declined", "bad proof", "confirmed",
	                                   "near end hangs up", "far end hangs up", "time-out", "legs gone" };

static machine_action send_offer, accept_near, refuse_near, stand, end_call;

static const struct machine_cell cells[CALL_STATES * CALL_EVENTS] = {
#define CELL(state, event, next, action) [(state) * CALL_EVENTS + (event)] = { true, next, action }
	CELL(CALL_REACHING, EV_REACHED, CALL_OFFERING, send_offer),
	CELL(CALL_REACHING, EV_UNREACHABLE, CALL_ENDING, refuse_near),
	CELL(CALL_REACHING, EV_NEAR_ENDS, CALL_ENDING, end_call),
	CELL(CALL_REACHING, EV_TIMEOUT, CALL_ENDING, refuse_near),
	CELL(CALL_OFFERING, EV_NEW_ASSOCIATION, CALL_OFFERING, send_offer),
	CELL(CALL_OFFERING, EV_ACCEPTED, CALL_CONFIRMING, accept_near),
	CELL(CALL_OFFERING, EV_DECLINED, CALL_ENDING, refuse_near),
	CELL(CALL_OFFERING, EV_BAD_PROOF, CALL_ENDING, refuse_near),
	CELL(CALL_OFFERING, EV_NEAR_ENDS, CALL_ENDING, end_call),
	CELL(CALL_OFFERING, EV_TIMEOUT, CALL_ENDING, refuse_near),
	CELL(CALL_CONFIRMING, EV_CONFIRMED, CALL_UP, stand),
	CELL(CALL_CONFIRMING, EV_BAD_PROOF, CALL_ENDING, end_call),
	CELL(CALL_CONFIRMING, EV_NEAR_ENDS, CALL_ENDING, end_call),
	CELL(CALL_CONFIRMING, EV_FAR_ENDS, CALL_ENDING, end_call),
	CELL(CALL_CONFIRMING, EV_TIMEOUT, CALL_ENDING, end_call),
	CELL(CALL_UP, EV_NEAR_ENDS, CALL_ENDING, end_call),
	CELL(CALL_UP, EV_FAR_ENDS, CALL_ENDING, end_call),
	CELL(CALL_UP, EV_TIMEOUT, CALL_ENDING, end_call),
	CELL(CALL_ENDING, EV_NEAR_ENDS, CALL_ENDING, NULL),
	CELL(CALL_ENDING, EV_FAR_ENDS, CALL_ENDING, NULL),
	CELL(CALL_ENDING, EV_LEGS_GONE, CALL_OVER, NULL),
#undef CELL
};
const struct machine_def call_control_machine = {
	.name = "call control", .doc = "a call at a signaling controller: reach the far end, offer it the sub-key, confirm, end",
	.states = state_names, .events = event_names, .state_count = CALL_STATES, .event_count = CALL_EVENTS, .cells = cells,
};

static void happen(struct call *call, enum call_event event)
{
	machine_event(call->control->config.node, &call->machine, event, call);
}

static void refuse_packet(const struct call_control *c, const char *check, const struct udp_from *from, const char *detail)
{
	trace_refuse(c->config.node, check, from->src, from->tag, detail);
}

/* A leg has come to its end: the party that it was with may be forgotten when the last one has. */
static void leg_gone(struct call *call, struct sip_leg **leg)
{
	if (!*leg)
		return;
	sip_leg_release(*leg);
	if (leg == &call->near)
		call_release_near(call);
	else
		call_release_far(call);
	*leg = NULL;
}

static void settle(struct call *call)
{
	if (call->machine.state != CALL_ENDING || call->near || call->far || call->waiting)
		return;
	happen(call, EV_LEGS_GONE);
	call_free(call);
}

static struct call_record record_of(const struct call *call)
{
	return (struct call_record){ .id = call->id, .account = call->account, .caller = call->origin, .callee = call->callee,
		                     .reason = call->reason, .start_ns = call->start_ns, .answer_ns = call->answer_ns,
		                     .end_ns = call->control->config.node->sim->now_ns };
}

/* C8: the key dies and the record is written at once; the legs come to their ends in their own time. */
static void finish(struct call *call)
{
	struct call_control *c = call->control;
	struct call_record record = record_of(call);

	sim_cancel(c->config.node->sim, &call->guard);
	call_drop_key(call);
	if (call->account[0] && !call->recorded) {
		call->recorded = true;
		call_records_close(c->config.records, call->kept, &record, call->authorised && !call->booked);
		call->kept = NULL;
	}
}

/* A call longer than its association with the other server needs another one for the farewell. */
static void on_farewell_cover(void *ctx, bool ready)
{
	(void)ctx;
	(void)ready; /* the farewell is repeated under what there is */
}

static void cover_farewell(struct call *call)
{
	struct backend *backend = call->control->config.backend;

	if (call->near && !call->near_cta)
		backend_ensure(backend, call->near_ip, on_farewell_cover, call);
	if (call->far && !call->far_cta)
		backend_ensure(backend, call->far_ip, on_farewell_cover, call);
}

static void end_call(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;

	(void)node;
	(void)machine;
	finish(call);
	cover_farewell(call);
	if (call->near)
		sip_leg_end(call->near, call->reason);
	if (call->far)
		sip_leg_end(call->far, call->reason);
}

static void refuse_near(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;

	(void)node;
	(void)machine;
	call->control->counters.refused++;
	finish(call);
	if (call->near)
		sip_leg_answer(call->near, call->status, "", "");
	if (call->far)
		sip_leg_end(call->far, call->reason);
}

static void on_guard(struct sim *sim, struct event *event)
{
	struct call *call = event_owner(event, struct call, guard);

	(void)sim;
	call->status = 408;
	call->reason = "set-up time-out";
	happen(call, EV_TIMEOUT);
	settle(call);
}

/* C2: the offer with the sub-key */

/* Of one end: that of a CTA is its own, whoever else may have one with us from its address. */
static const struct association *association_with(const struct call *call, bool near)
{
	const struct party *party = near ? call->near_party : call->far_party;

	if (near ? call->near_cta : call->far_cta)
		return party ? party_association(party) : NULL;
	return ipsec_find(call->control->config.ipsec, near ? call->near_ip : call->far_ip, LABEL_SERVER);
}

/* A session description with the call's key for one end; false: there is no association to wrap it under. */
static bool describe(struct call *call, bool near, char body[BODY_LEN])
{
	const struct association *a = association_with(call, near);
	struct call_control *c = call->control;
	bool cta = near ? call->near_cta : call->far_cta;
	struct text t = { body, BODY_LEN, 0, false };
	struct sdp sdp = near ? call->far_media : call->near_media;
	char key[CALL_KEY_TEXT_LEN];

	if (!(a ? call_key_wrap(a, call->subkey, key)
	        : !cta && call_servers_uncovered(c) && call_key_wrap_open(c->sm, call->subkey, key)))
		return false;
	sdp.key = span_of(key);
	sdp.spi = call->spi;
	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
	if (!near)
		call->offered_under = a ? a->serial : 0;
	return !t.full;
}

static void cannot_offer(struct call *call)
{
	call_release_far(call);
	call->status = 480;
	call->reason = "far end unreachable";
	happen(call, EV_TIMEOUT);
}

static void send_offer(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	char headers[HEADERS_LEN], body[BODY_LEN], leg_id[SIP_CALL_ID_MAX + 1];
	struct sip_invite invite = { .peer_ip = call->far_ip, .call_id = leg_id, .from_user = call->caller, .to_user = call->callee,
		                     .headers = headers, .body = body };
	struct party *party = call->far_cta ? party_of(call->control->config.parties, call->far_ip, call->far_name) : NULL;

	(void)node;
	(void)machine;
	if (party && !call->far_party)
		call_hold_far(call, party);
	snprintf(leg_id, sizeof leg_id, "%s;%s%s", call->id, call->far_cta ? "b" : "s", call->offered_again ? "2" : "");
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", call->id);
	if (describe(call, false, body))
		call->far = sip_leg_invite(call->control->sip, &invite, call);
	if (!call->far)
		cannot_offer(call);
}

/* The far end, made reachable */

static void reached(struct call *call, bool ok)
{
	call->waiting = false;
	if (call->machine.state == CALL_ENDING) { /* given up meanwhile */
		settle(call);
		return;
	}
	if (!ok) {
		trace_refuse(call->control->config.node, "sc.unreachable", call->far_ip, 0, call->callee);
		call->status = 480;
		call->reason = "far end unreachable";
	}
	happen(call, ok ? EV_REACHED : EV_UNREACHABLE);
	settle(call);
}

static void on_backend(void *ctx, bool ready)
{
	reached(ctx, ready);
}

/* Somebody has answered from there; only the subscriber itself will do. */
static void on_woken(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	struct call *call = ctx;

	(void)krb_error;
	reached(call, outcome == AP_ESTABLISHED && strcmp(association->peer, call->far_name) == 0);
}

/* The newest association with an address is the one that what we send there goes under: it must be the subscriber's. */
static bool talking_with(const struct call *call)
{
	const struct call_control_config *c = &call->control->config;
	const struct association *newest = ipsec_find(c->ipsec, call->far_ip, LABEL_CTA_SC);

	return newest && strcmp(newest->peer, call->far_name) == 0 && party_of(c->parties, call->far_ip, call->far_name);
}

static void reach(struct call *call)
{
	struct call_control_config *c = &call->control->config;

	call->waiting = true;
	if (!call->far_cta)
		backend_ensure(c->backend, call->far_ip, on_backend, call);
	else if (talking_with(call))
		reached(call, true);
	else
		key_management_wake(c->km, call->far_ip, on_woken, call);
}

static bool read_call_id(struct call *call, const struct sip_message *invite)
{
	struct span id = sip_header(invite, HEADER_CALL);

	return id.at && id.len > 0 && span_copy(id, call->id, sizeof call->id) &&
	       strspn(call->id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_@") == id.len;
}

static void turn_away(struct call *call, const struct verdict *verdict, const struct udp_from *from)
{
	refuse_packet(call->control, verdict->check, from, call->callee);
	call->status = verdict->status;
	call->reason = verdict->check;
	happen(call, EV_UNREACHABLE);
	settle(call);
}

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	struct call_control *c = ctx;
	struct invitation in = { .message = invite, .from = from };
	struct party *party = call_inviting_party(c, from);
	struct verdict verdict = { "sip.malformed", 488 };
	struct call *call;

	service_charge(c->config.node, &(struct service_cost){ .messages = 1 });
	if (party && party->calling >= PARTY_CALLS_MAX) {
		refuse_packet(c, "sc.party_limit", from, "");
		return false;
	}
	call = call_new(c);
	call->near = leg;
	call->near_ip = from->src;
	sip_leg_set_owner(leg, call);
	if (party)
		call_hold_near(call, party);
	if (read_call_id(call, invite)) /* the caller chooses it */
		verdict = call_enter(call) ? call_judge(call, &in) : (struct verdict){ "sc.call_in_progress", 482 };
	if (verdict.check) {
		turn_away(call, &verdict, from);
		return true;
	}
	call->authorised = true;
	sip_leg_answer(leg, 100, "", "");
	sim_after(c->config.node->sim, &call->guard, CALL_SETUP_TIMEOUT_NS, on_guard, "call.set_up");
	reach(call);
	return true;
}

/* C3, C4: the far end has the key, and its proof goes the other way */

static bool answer_headers(struct call *call, char headers[HEADERS_LEN])
{
	char proof[CALL_PROOF_LEN] = "";

	if (!call->near_cta && !call_key_proof(call->control->sm, call->subkey, call->spi, proof))
		return false;
	snprintf(headers, HEADERS_LEN, "%s%s", proof, call->far_server ? "X-Peer: server\r\n" : "");
	return true;
}

/* With the key the ends can talk whatever becomes of us: from here on the call is on disk. */
static void book(struct call *call)
{
	struct call_record record = record_of(call);

	if (!call->account[0])
		return;
	call->booked = true;
	call->kept = call_records_open(call->control->config.records, &record);
}

static void accept_near(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	char headers[HEADERS_LEN], body[BODY_LEN];

	(void)node;
	(void)machine;
	if (!answer_headers(call, headers) || !describe(call, true, body)) {
		call->reason = "caller unreachable";
		happen(call, EV_TIMEOUT);
		return;
	}
	book(call);
	sip_leg_answer(call->near, 200, headers, body);
}

static void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct call *call = sip_leg_owner(leg);
	struct call_control *c = call->control;
	struct sdp media;

	sip_leg_ack(leg, "");
	if (call->machine.state != CALL_OFFERING)
		return;
	if (!sdp_parse(response->body, &media) || !call_place_good(c, &media, call->far_ip, call->far_gateway) ||
	    (media.ip != call->far_ip && (call->far_cta || call->far_server) && !call->far_gateway)) {
		trace_refuse(c->config.node, "sc.media_offer", call->far_ip, 0, call->id);
		call->status = 488;
		call->reason = "sc.media_offer";
		happen(call, EV_BAD_PROOF);
		return;
	}
	if (!call_key_proven(c->sm, call->subkey, call->spi, response)) {
		trace_refuse(c->config.node, "sc.verify_proof", call->far_ip, 0, call->id);
		call->status = 500;
		call->reason = "sc.verify_proof";
		happen(call, EV_BAD_PROOF);
		return;
	}
	call->far_media = (struct sdp){ .ip = media.ip, .port = media.port, .payload_type = media.payload_type,
		                        .signaling_ip = media.signaling_ip };
	happen(call, EV_ACCEPTED);
}

/*
 * The far end could not open the offer's key: it has restarted meanwhile and keyed with us anew, so that the offer
 * reached it under an association that its key is not wrapped under. Once more, under the one that there is now.
 */
static bool offer_again(struct call *call, int status)
{
	const struct association *a = association_with(call, false);

	if (status != 488 || call->machine.state != CALL_OFFERING || call->offered_again || !a || a->serial == call->offered_under)
		return false;
	call->offered_again = true;
	sip_leg_release(call->far);
	call->far = NULL;
	happen(call, EV_NEW_ASSOCIATION);
	settle(call);
	return true;
}

static void on_rejected(struct sip_leg *leg, int status)
{
	struct call *call = sip_leg_owner(leg);
	struct call_control *c = call->control;

	if (offer_again(call, status))
		return;
	if (status == 408 && !call->far_cta)
		backend_drop(c->config.backend, call->far_ip); /* it knows nothing of our association */
	leg_gone(call, &call->far);
	call->status = status == 408 ? 480 : status;
	call->reason = status == 408 ? "far end unreachable" : sip_reason(status);
	if (call->machine.state == CALL_OFFERING)
		happen(call, EV_DECLINED);
	settle(call);
}

/*
 * A call that stands has no end of its own: where both CTAs lose power nobody says so. From time to time this
 * controller asks its CTAs whether they still know of the call, waking those whose association has come to its end; no
 * word back ends it.
 */

static void on_audit_cover(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	(void)ctx, (void)outcome, (void)association, (void)krb_error; /* the question is repeated under what there is */
}

static void ask(struct call *call, bool near)
{
	struct sip_leg *leg = near ? call->near : call->far;
	bool cta = near ? call->near_cta : call->far_cta;

	*(near ? &call->near_heard : &call->far_heard) = !leg || !cta;
	if (!leg || !cta)
		return;
	if (!association_with(call, near))
		key_management_wake(call->control->config.km, near ? call->near_ip : call->far_ip, on_audit_cover, NULL);
	sip_leg_inform(leg, HEADER_EVENT ": " EVENT_PRESENT_ASK "\r\n");
}

static void on_audit(struct sim *sim, struct event *event)
{
	struct call *call = event_owner(event, struct call, guard);

	if (!call->asked) {
		call->asked = true;
		ask(call, true);
		ask(call, false);
		sim_after(sim, &call->guard, CALL_AUDIT_WAIT_NS, on_audit, "call.audit");
		return;
	}
	call->asked = false;
	if (call->near_heard && call->far_heard) {
		sim_after(sim, &call->guard, CALL_AUDIT_NS, on_audit, "call.audit");
		return;
	}
	trace_refuse(call->control->config.node, "sc.no_sign_of_life", call->near_heard ? call->far_ip : call->near_ip, 0, call->id);
	call->reason = "no sign of life";
	happen(call, EV_TIMEOUT);
	settle(call);
}

/* C5: the caller has the key */

static void stand(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	struct call_control *c = call->control;

	(void)machine;
	sim_cancel(node->sim, &call->guard);
	sim_after(node->sim, &call->guard, CALL_AUDIT_NS, on_audit, "call.audit");
	c->counters.set_up++;
	if (!call_is_source(call))
		call_drop_key(call); /* it has been passed on; only the source may have to yield it [0099] */
	else if (c->config.established)
		c->config.established(c->config.ctx, call);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	struct call *call = sip_leg_owner(leg);
	struct call_control *c = call->control;
	bool proven = !call->near_cta || (ack && call_key_proven(c->sm, call->subkey, call->spi, ack));

	if (call->machine.state != CALL_CONFIRMING)
		return;
	if (ack && proven) {
		happen(call, EV_CONFIRMED);
		return;
	}
	if (ack)
		trace_refuse(c->config.node, "sc.verify_proof", call->near_ip, 0, call->id);
	call->reason = ack ? "sc.verify_proof" : "no ACK";
	happen(call, ack ? EV_BAD_PROOF : EV_TIMEOUT);
}

/* Ends */

static void leg_ends(struct call *call, bool near, const char *reason)
{
	if (!call->reason[0])
		call->reason = reason;
	leg_gone(call, near ? &call->near : &call->far);
	happen(call, near ? EV_NEAR_ENDS : EV_FAR_ENDS);
	settle(call);
}

static void on_cancelled(struct sip_leg *leg)
{
	struct call *call = sip_leg_owner(leg);

	/* The 487 is under way and its ACK still to come: ended() tells. */
	call->reason = "cancelled";
	happen(call, leg == call->near ? EV_NEAR_ENDS : EV_FAR_ENDS);
	settle(call);
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct call *call = sip_leg_owner(leg);

	(void)bye;
	leg_ends(call, leg == call->near, leg == call->near ? "caller hung up" : "callee hung up");
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct call *call = sip_leg_owner(leg);
	bool near = leg == call->near;

	if (timed_out && near && !call->near_cta)
		backend_drop(call->control->config.backend, call->near_ip);
	else if (timed_out && !near && !call->far_cta)
		backend_drop(call->control->config.backend, call->far_ip);
	leg_gone(call, near ? &call->near : &call->far);
	settle(call);
}

/*
 * Either end says that the call has been answered: what the record calls the answer, by this controller's clock. It
 * may come before the caller's ACK, which the network can lose. A destination controller passes its CTA's word on, so
 * that the source need not take the payer's alone.
 */
static void note_answer(struct call *call, const struct sip_leg *leg)
{
	bool standing = call->machine.state == CALL_UP || (call->machine.state == CALL_CONFIRMING && leg == call->far);

	if (!standing || call->answer_ns >= 0)
		return;
	call->answer_ns = call->control->config.node->sim->now_ns;
	call_records_answered(call->kept, call->answer_ns);
	if (leg == call->far && !call_is_source(call) && call->near)
		sip_leg_inform(call->near, HEADER_EVENT ": " EVENT_ANSWERED "\r\n");
}

static void on_informed(struct sip_leg *leg, const struct sip_message *info)
{
	struct call *call = sip_leg_owner(leg);
	struct span event = sip_header(info, HEADER_EVENT);

	*(leg == call->near ? &call->near_heard : &call->far_heard) = true; /* whatever it says, it is there */
	if (span_is(event, EVENT_ANSWERED))
		note_answer(call, leg);
}

static void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	(void)leg;
	(void)response; /* ringing and answer travel between the CTAs (C6) */
}

static const struct sip_owner owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.acknowledged = on_acknowledged, .cancelled = on_cancelled, .hung_up = on_hung_up, .ended = on_ended,
	.informed = on_informed,
};

/* Control */

struct call_control *call_control_new(const struct call_control_config *config)
{
	struct call_control *c = sim_alloc(sizeof *c);

	struct rng rng;

	rng_init(&rng, config->node->sim->seed, config->node->name, "call-table");
	c->salt = (uint32_t)rng_u64(&rng);
	c->config = *config;
	c->sm = ipsec_module(config->ipsec);
	c->sip = sip_endpoint_new(config->node, config->ipsec, &owner, c);
	return c;
}

static void forget(struct call_control *c)
{
	while (c->calls)
		call_free(c->calls);
}

void call_control_reset(struct call_control *c)
{
	forget(c);
	sip_endpoint_reset(c->sip);
}

void call_control_free(struct call_control *c)
{
	if (!c)
		return;
	forget(c);
	sip_endpoint_free(c->sip);
	free(c->buckets);
	free(c);
}


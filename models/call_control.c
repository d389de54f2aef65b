/* The calls of a signaling controller; see call_control.h. */
#include "models/call_control.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"
#include "sim/machine.h"
#include "sim/service.h"

#define HEADERS_LEN 192
#define BODY_LEN 512

struct call {
	struct call *next;
	struct call_control *control;
	struct machine machine;
	char id[CALL_ID_MAX + 1];
	char caller[SUBSCRIBER_NUMBER_LEN], callee[SUBSCRIBER_NUMBER_LEN];
	struct sip_leg *near, *far;       /* NULL: not begun, or ended for good */
	struct party *near_party;         /* NULL: a server's leg */
	uint32_t far_party_ip;            /* 0: a server's leg */
	bool near_cta;                    /* a CTA of this segment calls: we are its source controller */
	bool far_server;                  /* a network server, not a controller */
	bool waiting;                     /* for the far end to be reachable */
	uint32_t near_ip, far_ip;
	key_handle subkey;
	uint32_t spi;
	struct sdp near_media, far_media; /* without keys */
	int status;                       /* that refuses the near leg */
	const char *reason;               /* of its end, as the record says it */
	sim_ns start_ns, answer_ns;       /* answer_ns < 0: never */
	bool recorded;
	char *cookie;
	struct event guard;
};

struct call_control {
	struct call_control_config config;
	struct secure_module *sm;
	struct sip_endpoint *sip;
	struct call *calls;
	struct call_counters counters;
};

/* The table */

enum call_state { CALL_REACHING, CALL_OFFERING, CALL_CONFIRMING, CALL_UP, CALL_ENDING, CALL_OVER, CALL_STATES };
enum call_event { EV_REACHED, EV_UNREACHABLE, EV_ACCEPTED, EV_DECLINED, EV_BAD_PROOF, EV_CONFIRMED, EV_NEAR_ENDS, EV_FAR_ENDS,
	          EV_TIMEOUT, EV_LEGS_GONE, CALL_EVENTS };

static const char *const state_names[] = { "Reaching", "Offering", "Confirming", "Up", "Ending", "Over" };
static const char *const event_names[] = { "reached", "unreachable", "accepted", "declined", "bad proof", "confirmed",
	                                   "near end hangs up", "far end hangs up", "time-out", "legs gone" };

static machine_action send_offer, accept_near, refuse_near, stand, end_call;

static const struct machine_cell cells[CALL_STATES * CALL_EVENTS] = {
#define CELL(state, event, next, action) [(state) * CALL_EVENTS + (event)] = { true, next, action }
	CELL(CALL_REACHING, EV_REACHED, CALL_OFFERING, send_offer),
	CELL(CALL_REACHING, EV_UNREACHABLE, CALL_ENDING, refuse_near),
	CELL(CALL_REACHING, EV_NEAR_ENDS, CALL_ENDING, end_call),
	CELL(CALL_REACHING, EV_TIMEOUT, CALL_ENDING, refuse_near),
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

/* Life of a call */

static struct call *call_new(struct call_control *c)
{
	struct call *call = sim_alloc(sizeof *call);

	call->control = c;
	call->reason = "";
	call->answer_ns = -1;
	call->start_ns = c->config.node->sim->now_ns;
	machine_start(&call->machine, &call_control_machine, CALL_REACHING);
	call->next = c->calls;
	c->calls = call;
	c->counters.active++;
	return call;
}

static void drop_key(struct call *call)
{
	if (!call->subkey)
		return;
	sm_destroy_key(call->control->sm, call->subkey);
	call->subkey = 0;
	call->control->counters.keys--;
	sim_changed(call->control->config.node->sim, call->control->config.node);
}

static void take_key(struct call *call, key_handle key)
{
	call->subkey = key;
	call->control->counters.keys += key != 0;
}

static void call_free(struct call *call)
{
	struct call_control *c = call->control;
	struct call **at = &c->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	c->counters.active--;
	sim_cancel(c->config.node->sim, &call->guard);
	backend_cancel(c->config.backend, call);
	drop_key(call);
	free(call->cookie);
	free(call);
	sim_changed(c->config.node->sim, c->config.node);
}

/* A leg has come to its end: the party that it was with may be forgotten when the last one has. */
static void leg_gone(struct call *call, struct sip_leg **leg)
{
	struct party *party;

	if (!*leg)
		return;
	sip_leg_release(*leg);
	if (leg == &call->near && call->near_party) {
		party_release(call->near_party);
		call->near_party = NULL;
	} else if (leg == &call->far && call->far_party_ip) {
		party = party_at(call->control->config.parties, call->far_party_ip);
		call->far_party_ip = 0;
		if (party)
			party_release(party);
	}
	*leg = NULL;
}

static void settle(struct call *call)
{
	if (call->machine.state != CALL_ENDING || call->near || call->far || call->waiting)
		return;
	happen(call, EV_LEGS_GONE);
	call_free(call);
}

/* C8: the key dies and the record is written at once; the legs come to their ends in their own time. */
static void finish(struct call *call)
{
	struct call_control *c = call->control;
	struct trace_record record = { .id = call->id, .account = call->caller, .caller = call->caller, .callee = call->callee,
		                       .reason = call->reason, .start_ns = call->start_ns, .answer_ns = call->answer_ns,
		                       .end_ns = c->config.node->sim->now_ns, .at = c->config.node };

	sim_cancel(c->config.node->sim, &call->guard);
	drop_key(call);
	if (call_is_source(call) && !call->recorded) {
		call->recorded = true;
		c->counters.records++;
		trace_record(c->config.node->sim, &record);
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
	if (call->far && !call->far_party_ip)
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

static const struct association *association_with(const struct call *call, uint32_t ip, bool cta)
{
	return ipsec_find(call->control->config.ipsec, ip, cta ? LABEL_CTA_SC : LABEL_SERVER);
}

/* Servers speak without associations: backend.ipsec is off. */
static bool uncovered(const struct call *call)
{
	return !world_on(world_of(call->control->config.node->sim), "backend.ipsec");
}

/* A session description with the call's key for the peer at ip; false: there is no association to wrap it under. */
static bool describe(struct call *call, const struct sdp *media, uint32_t ip, bool cta, char body[BODY_LEN])
{
	const struct association *a = association_with(call, ip, cta);
	struct text t = { body, BODY_LEN, 0, false };
	struct sdp sdp = *media;
	char key[CALL_KEY_TEXT_LEN];

	if (!(a ? call_key_wrap(a, call->subkey, key) : !cta && uncovered(call) && call_key_wrap_open(call->control->sm, call->subkey, key)))
		return false;
	sdp.key = span_of(key);
	sdp.spi = call->spi;
	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
	return !t.full;
}

static void cannot_offer(struct call *call)
{
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
	struct party *party = party_at(call->control->config.parties, call->far_party_ip);

	(void)node;
	(void)machine;
	snprintf(leg_id, sizeof leg_id, "%s;%s", call->id, call->far_party_ip ? "b" : "s");
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", call->id);
	if (!describe(call, &call->near_media, call->far_ip, call->far_party_ip != 0, body) || (call->far_party_ip && !party)) {
		call->far_party_ip = 0;
		cannot_offer(call);
		return;
	}
	call->far = sip_leg_invite(call->control->sip, &invite, call);
	if (!call->far) {
		call->far_party_ip = 0;
		cannot_offer(call);
	} else if (party) {
		party_hold(party);
	}
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
		call->far_party_ip = 0;
	}
	happen(call, ok ? EV_REACHED : EV_UNREACHABLE);
	settle(call);
}

static void on_backend(void *ctx, bool ready)
{
	reached(ctx, ready);
}

static void on_woken(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	(void)association;
	(void)krb_error;
	reached(ctx, outcome == AP_ESTABLISHED);
}

static void reach(struct call *call)
{
	struct call_control_config *c = &call->control->config;

	call->waiting = true;
	if (!call->far_party_ip)
		backend_ensure(c->backend, call->far_ip, on_backend, call);
	else if (association_with(call, call->far_ip, true) && party_at(c->parties, call->far_ip))
		reached(call, true);
	else if (!call->far_ip || !key_management_wake(c->km, call->far_ip, on_woken, call))
		reached(call, false);
}

/* C1 and C2: who calls whom */

struct invitation { /* an INVITE, read and judged */
	const struct sip_message *message;
	const struct udp_from *from;
	struct sdp media;
	char to[SUBSCRIBER_NUMBER_LEN], from_user[SUBSCRIBER_NUMBER_LEN];
};

struct verdict { /* of an INVITE: check NULL: none against it */
	const char *check;
	int status;
};
#define REFUSE(name, code) ((struct verdict){ name, code })
#define PASS ((struct verdict){ NULL, 0 })

static bool user_digits(struct span uri, char out[SUBSCRIBER_NUMBER_LEN])
{
	char user[64];

	return span_copy(sip_user(uri), user, sizeof user) && number_digits(user, out);
}

/* A CTA of this segment calls: its number follows from the principal it has proven. */
static struct verdict judge_cta(struct call *call, const struct invitation *in, const struct association *a)
{
	const struct call_control_config *c = &call->control->config;
	uint8_t id[PHONE_ID_LEN];
	const struct subscriber *subscriber = NULL;

	call->near_cta = true;
	call->near_party = party_at(c->parties, in->from->src);
	if (!call->near_party)
		return REFUSE("sc.no_ticket", 403);
	if (in->media.ip != in->from->src)
		return REFUSE("sc.media_offer", 488); /* another's address would misdirect what its owner says */
	if (hex_decode(span_of(a->peer), id, sizeof id) == PHONE_ID_LEN)
		subscriber = subscribers_by_phone_id(c->subscribers, id);
	if (!subscriber && !call->near_party->restricted)
		return REFUSE("sc.check_subscriber", 403);
	if (!party_may_call(call->near_party, in->to))
		return REFUSE("sc.enforce_restriction", 403);
	if (subscriber && strcmp(subscriber->number, in->from_user) != 0)
		return REFUSE("sc.check_caller", 403);
	snprintf(call->caller, sizeof call->caller, "%s", in->from_user);
	take_key(call, sm_generate_des3(call->control->sm, "call.subkey"));
	call->spi = ipsec_new_spi(c->ipsec);
	return PASS;
}

/* Another controller offers a call for this segment. */
static struct verdict judge_server(struct call *call, const struct invitation *in, const struct association *a)
{
	take_key(call, a                 ? call_key_unwrap(a, in->media.key)
	               : uncovered(call) ? call_key_unwrap_open(call->control->sm, in->media.key)
	                                 : 0);
	if (!call->subkey || !in->media.spi)
		return REFUSE("subkey.unwrap", 488);
	call->spi = in->media.spi;
	snprintf(call->caller, sizeof call->caller, "%s", in->from_user);
	return PASS;
}

/* Where the called number is. */
static struct verdict route(struct call *call, bool from_cta)
{
	const struct call_control_config *c = &call->control->config;
	struct directory *directory = world_directory(world_of(c->node->sim));
	const char *principal = directory_number(directory, call->callee);
	const struct subscriber *subscriber;

	if (!principal || (!from_cta && strcmp(principal, c->principal) != 0))
		return REFUSE("sc.unknown_number", 404);
	if (strcmp(principal, c->principal) != 0) {
		call->far_ip = directory_service_ip(directory, principal);
		call->far_server = strncmp(principal, "sc/", 3) != 0;
		return call->far_ip ? PASS : REFUSE("sc.unknown_number", 404);
	}
	subscriber = subscribers_by_number(c->subscribers, call->callee);
	if (!subscriber)
		return REFUSE("sc.unknown_number", 404);
	if (!subscriber->ip)
		return REFUSE("sc.unreachable", 480);
	call->far_ip = call->far_party_ip = subscriber->ip;
	return PASS;
}

static struct verdict judge(struct call *call, struct invitation *in)
{
	const struct association *a = in->from->sa;
	bool cta = a && strcmp(a->label, LABEL_CTA_SC) == 0;
	struct verdict verdict;

	if (!user_digits(in->message->uri, in->to) || !user_digits(in->message->from, in->from_user))
		return REFUSE("sc.unknown_number", 404);
	if (!sdp_parse(in->message->body, &in->media) || in->media.ip == 0)
		return REFUSE("sc.media_offer", 488);
	snprintf(call->callee, sizeof call->callee, "%s", in->to);
	call->near_media = (struct sdp){ .ip = in->media.ip, .port = in->media.port, .payload_type = in->media.payload_type };
	verdict = cta ? judge_cta(call, in, a) : judge_server(call, in, a);
	return verdict.check ? verdict : route(call, cta);
}

static bool read_call_id(struct call *call, const struct sip_message *invite)
{
	struct span id = sip_header(invite, HEADER_CALL);

	return id.at && id.len > 0 && span_copy(id, call->id, sizeof call->id) &&
	       strspn(call->id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_@") == id.len;
}

/* The caller chooses the identifier: it must not be that of another call. */
static bool id_taken(const struct call *call)
{
	for (const struct call *other = call->control->calls; other; other = other->next)
		if (other != call && strcmp(other->id, call->id) == 0)
			return true;
	return false;
}

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	struct call_control *c = ctx;
	struct invitation in = { .message = invite, .from = from };
	struct call *call = call_new(c);
	struct verdict verdict = REFUSE("sip.malformed", 488);

	service_charge(c->config.node, &(struct service_cost){ .messages = 1 });
	call->near = leg;
	call->near_ip = from->src;
	sip_leg_set_owner(leg, call);
	if (read_call_id(call, invite))
		verdict = id_taken(call) ? REFUSE("sc.call_in_progress", 482) : judge(call, &in);
	if (call->near_party)
		party_hold(call->near_party);
	if (verdict.check) {
		refuse_packet(c, verdict.check, from, call->callee);
		call->status = verdict.status;
		call->reason = verdict.check;
		call->far_party_ip = 0;
		happen(call, EV_UNREACHABLE);
		settle(call);
		return true;
	}
	sip_leg_answer(leg, 100, "", "");
	sim_after(c->config.node->sim, &call->guard, CALL_SETUP_TIMEOUT_NS, on_guard, "call.set_up");
	reach(call);
	return true;
}

/* C3, C4: the far end has the key, and its proof goes the other way */

static bool answer_headers(struct call *call, char headers[HEADERS_LEN])
{
	char proof[CALL_PROOF_LEN] = "";

	if (!call->near_party && !call_key_proof(call->control->sm, call->subkey, call->spi, proof))
		return false;
	snprintf(headers, HEADERS_LEN, "%s%s", proof, call->far_server ? "X-Peer: server\r\n" : "");
	return true;
}

static void accept_near(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	char headers[HEADERS_LEN], body[BODY_LEN];

	(void)node;
	(void)machine;
	if (!answer_headers(call, headers) || !describe(call, &call->far_media, call->near_ip, call->near_party != NULL, body)) {
		call->reason = "caller unreachable";
		happen(call, EV_TIMEOUT);
		return;
	}
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
	if (!sdp_parse(response->body, &media) || (media.ip != call->far_ip && (call->far_party_ip || call->far_server))) {
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
	call->far_media = (struct sdp){ .ip = media.ip, .port = media.port, .payload_type = media.payload_type };
	happen(call, EV_ACCEPTED);
}

static void on_rejected(struct sip_leg *leg, int status)
{
	struct call *call = sip_leg_owner(leg);
	struct call_control *c = call->control;

	if (status == 408 && !call->far_party_ip)
		backend_drop(c->config.backend, call->far_ip); /* it knows nothing of our association */
	leg_gone(call, &call->far);
	call->status = status == 408 ? 480 : status;
	call->reason = status == 408 ? "far end unreachable" : sip_reason(status);
	if (call->machine.state == CALL_OFFERING)
		happen(call, EV_DECLINED);
	settle(call);
}

/* C5: the caller has the key */

static void stand(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	struct call_control *c = call->control;

	(void)machine;
	sim_cancel(node->sim, &call->guard);
	c->counters.set_up++;
	if (!call_is_source(call))
		drop_key(call); /* it has been passed on; only the source may have to yield it [0099] */
	else if (c->config.established)
		c->config.established(c->config.ctx, call);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	struct call *call = sip_leg_owner(leg);
	struct call_control *c = call->control;
	bool proven = !call->near_party || (ack && call_key_proven(c->sm, call->subkey, call->spi, ack));

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

	if (timed_out && near && !call->near_party)
		backend_drop(call->control->config.backend, call->near_ip);
	else if (timed_out && !near && !call->far_party_ip)
		backend_drop(call->control->config.backend, call->far_ip);
	leg_gone(call, near ? &call->near : &call->far);
	settle(call);
}

/*
 * Either end says that the call has been answered: what the record calls the answer, by this controller's clock. A destination controller
 * passes its CTA's word on, so that the source need not take the payer's alone.
 */
static void on_informed(struct sip_leg *leg, const struct sip_message *info)
{
	struct call *call = sip_leg_owner(leg);

	if (!span_is(sip_header(info, HEADER_EVENT), EVENT_ANSWERED) || call->answer_ns >= 0 || call->machine.state != CALL_UP)
		return;
	call->answer_ns = call->control->config.node->sim->now_ns;
	if (leg == call->far && !call_is_source(call) && call->near)
		sip_leg_inform(call->near, HEADER_EVENT ": " EVENT_ANSWERED "\r\n");
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
	free(c);
}

struct call_counters call_control_counters(const struct call_control *c)
{
	return c->counters;
}

struct call *call_control_first(const struct call_control *c)
{
	return c->calls;
}

struct call *call_next(const struct call *call)
{
	return call->next;
}

struct call *call_control_find(const struct call_control *c, const char *id)
{
	struct call *call = c->calls;

	while (call && strcmp(call->id, id) != 0)
		call = call->next;
	return call;
}

const char *call_id(const struct call *call)
{
	return call->id;
}

const char *call_caller(const struct call *call)
{
	return call->caller;
}

const char *call_callee(const struct call *call)
{
	return call->callee;
}

bool call_is_source(const struct call *call)
{
	return call->near_cta;
}

bool call_is_up(const struct call *call)
{
	return call->machine.state == CALL_UP;
}

key_handle call_subkey(const struct call *call)
{
	return call->subkey;
}

void call_drop_subkey(struct call *call)
{
	drop_key(call);
}

bool call_far_is_controller(const struct call *call)
{
	return !call->far_party_ip && !call->far_server;
}

uint32_t call_far_ip(const struct call *call)
{
	return call->far_ip;
}

uint32_t call_near_ip(const struct call *call)
{
	return call->near_ip;
}

void call_media(const struct call *call, struct sdp *caller, struct sdp *callee)
{
	*caller = call->near_media;
	*callee = call->far_media;
}

void call_set_cookie(struct call *call, const char *cookie)
{
	free(call->cookie);
	call->cookie = sim_strdup(cookie);
}

const char *call_cookie(const struct call *call)
{
	return call->cookie;
}

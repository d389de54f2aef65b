/*
 * The line of a CTA and its calls (flows.md 4; patent [0079]-[0098]): with its signaling controller for the sub-key,
 * then directly with the other end for ringing and answer, then voice.
 *
 * A call that ends leaves the line at once; its legs end in their own time on the list of ending calls, and
 * CALL_KEYS_LINGER_NS later its keys are gone whatever the network did with the farewells. Refusals: "cta.not_our_sc",
 * "cta.busy", "subkey.unwrap", "cta.unknown_call".
 */
#include "models/cta_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"

#define CALL_KEYS_LINGER_NS (800 * NS_PER_MS)   /* for repetitions of the farewell between the CTAs */
#define CALL_SETUP_GUARD_NS (45 * NS_PER_S)     /* longer than a signaling controller waits */
#define CALL_OFFER_GUARD_NS (20 * NS_PER_S)     /* callee: from the key to the caller's INVITE */
#define CALL_RING_GUARD_NS (180 * NS_PER_S)     /* callee: rings no longer than that */
#define CALL_ASSOCIATION_NS (24 * 3600 * NS_PER_S)
#define RTP_PORT_FIRST 16384
#define RTP_PORTS 64                            /* even ones, in turn: voice of the call before finds no new ear */

/* The line as a table */

enum line_event { LN_DIAL, LN_SECURED, LN_NOT_SECURED, LN_KEYED, LN_REFUSED, LN_SILENCE, LN_OFFER, LN_PEER_CALLS, LN_PEER_RINGS,
	          LN_ANSWER, LN_ANSWERED, LN_HANG_UP, LN_PEER_ENDS, LN_SC_ENDS, LN_MEDIA_LOST, LN_TIMEOUT, LINE_EVENTS };
static const char *const line_states[] = { "Idle", "Securing", "Calling", "SettingUp", "Ringback", "Offered", "Ringing", "Talking" };
static const char *const line_events[] = { "dial", "association", "no association", "sub-key received", "refused",
	                                   "controller silent", "sub-key offered", "caller's INVITE", "other end rings", "answer",
	                                   "answered", "hang up", "other end hangs up", "controller ends call", "voice lost",
	                                   "time-out" };

static machine_action do_secure, do_invite, do_call_peer, do_ring, do_note_ringing, do_talk, do_answer, do_end;

#define CELL(state, event, next, action) [(state) * LINE_EVENTS + (event)] = { true, next, action }
static const struct machine_cell line_cells[LINE_STATES * LINE_EVENTS] = {
	CELL(LINE_IDLE, LN_DIAL, LINE_SECURING, do_secure),
	CELL(LINE_IDLE, LN_OFFER, LINE_OFFERED, NULL),
	CELL(LINE_SECURING, LN_SECURED, LINE_CALLING, do_invite),
	CELL(LINE_SECURING, LN_NOT_SECURED, LINE_IDLE, do_end),
	CELL(LINE_SECURING, LN_HANG_UP, LINE_IDLE, do_end),
	CELL(LINE_SECURING, LN_TIMEOUT, LINE_IDLE, do_end),
	CELL(LINE_CALLING, LN_KEYED, LINE_SETTING_UP, do_call_peer),
	CELL(LINE_CALLING, LN_REFUSED, LINE_IDLE, do_end),
	CELL(LINE_CALLING, LN_SILENCE, LINE_SECURING, do_secure),
	CELL(LINE_CALLING, LN_HANG_UP, LINE_IDLE, do_end),
	CELL(LINE_CALLING, LN_TIMEOUT, LINE_IDLE, do_end),
	CELL(LINE_SETTING_UP, LN_PEER_RINGS, LINE_RINGBACK, do_note_ringing),
	CELL(LINE_SETTING_UP, LN_ANSWERED, LINE_TALKING, do_talk),
	CELL(LINE_SETTING_UP, LN_REFUSED, LINE_IDLE, do_end),
	CELL(LINE_SETTING_UP, LN_HANG_UP, LINE_IDLE, do_end),
	CELL(LINE_SETTING_UP, LN_SC_ENDS, LINE_IDLE, do_end),
	CELL(LINE_SETTING_UP, LN_TIMEOUT, LINE_IDLE, do_end),
	CELL(LINE_RINGBACK, LN_PEER_RINGS, LINE_RINGBACK, NULL),
	CELL(LINE_RINGBACK, LN_ANSWERED, LINE_TALKING, do_talk),
	CELL(LINE_RINGBACK, LN_REFUSED, LINE_IDLE, do_end),
	CELL(LINE_RINGBACK, LN_HANG_UP, LINE_IDLE, do_end),
	CELL(LINE_RINGBACK, LN_SC_ENDS, LINE_IDLE, do_end),
	CELL(LINE_RINGBACK, LN_TIMEOUT, LINE_IDLE, do_end),
	CELL(LINE_OFFERED, LN_PEER_CALLS, LINE_RINGING, do_ring),
	CELL(LINE_OFFERED, LN_SC_ENDS, LINE_IDLE, do_end),
	CELL(LINE_OFFERED, LN_HANG_UP, LINE_IDLE, do_end),
	CELL(LINE_OFFERED, LN_TIMEOUT, LINE_IDLE, do_end),
	CELL(LINE_RINGING, LN_ANSWER, LINE_TALKING, do_answer),
	CELL(LINE_RINGING, LN_HANG_UP, LINE_IDLE, do_end),
	CELL(LINE_RINGING, LN_PEER_ENDS, LINE_IDLE, do_end),
	CELL(LINE_RINGING, LN_SC_ENDS, LINE_IDLE, do_end),
	CELL(LINE_RINGING, LN_TIMEOUT, LINE_IDLE, do_end),
	CELL(LINE_TALKING, LN_HANG_UP, LINE_IDLE, do_end),
	CELL(LINE_TALKING, LN_PEER_ENDS, LINE_IDLE, do_end),
	CELL(LINE_TALKING, LN_SC_ENDS, LINE_IDLE, do_end),
	CELL(LINE_TALKING, LN_MEDIA_LOST, LINE_IDLE, do_end),
};
#undef CELL
const struct machine_def cta_line_machine = {
	.name = "line", .doc = "the telephone line of a CTA", .states = line_states, .events = line_events, .state_count = LINE_STATES,
	.event_count = LINE_EVENTS, .cells = line_cells,
};

static struct sim *sim_of(const struct cta_call *call)
{
	return call->cta->node->sim;
}

static void changed(const struct cta_call *call)
{
	sim_changed(sim_of(call), call);
	sim_changed(sim_of(call), call->cta->node);
}

/* The event, for the line's own call only: one that is ending no longer moves the line. */
static void happen(struct cta_call *call, enum line_event event)
{
	if (call->over)
		return;
	machine_event(call->cta->node, &call->cta->line, event, call);
	changed(call);
}

static void tell(const struct cta_call *call, const char *event)
{
	const struct cta *cta = call->cta;
	struct trace_call news = { .id = call->id, .caller = cta->number ? cta->number : "", .callee = call->number, .event = event,
		                   .reason = call->reason, .at = cta->node };
	char own[SUBSCRIBER_NUMBER_LEN];

	if (!call->caller) /* one end tells of a call: its caller's */
		return;
	if (cta->number && number_digits(cta->number, own))
		news.caller = own;
	trace_call(cta->node->sim, &news);
}

/* Life of a call */

static void end_with(struct cta_call *call, enum line_event event, int status, const char *reason);
static void on_guard(struct sim *sim, struct event *event);
static void on_answer_timer(struct sim *sim, struct event *event);

static struct cta_call *call_new(struct cta *cta, bool caller)
{
	struct cta_call *call = sim_alloc(sizeof *call);

	call->object = (struct object){ .class_ = &cta_call_class, .node = cta->node, .refs = 1 };
	call->cta = cta;
	call->world = world_of(cta->node->sim);
	call->caller = caller;
	call->reason = "";
	call->label = LABEL_CTA_CTA;
	call->ringing_ns = call->answered_ns = call->ended_ns = -1;
	call->dialled_ns = cta->node->sim->now_ns;
	call->local_port = (uint16_t)(RTP_PORT_FIRST + 2 * (cta->calls_made++ % RTP_PORTS));
	cta->call = call;
	cta_call_unref(cta->last);
	cta->last = call;
	call->object.refs++;
	return call;
}

void cta_call_unref(struct cta_call *call)
{
	if (call && --call->object.refs == 0)
		cta_call_class.free(&call->object);
}

struct object *cta_call_object(struct cta_call *call)
{
	return &call->object;
}

static void on_keys_gone(void *ctx)
{
	struct cta_call *call = ctx;

	call->keys_gone = true;
	changed(call);
}

void cta_call_free(struct object *object)
{
	struct cta_call *call = (struct cta_call *)object;

	if (call->watching && !call->keys_gone)
		world_unwatch_key(call->world, call->key_id);
	free(call->words);
	free(call);
}

/* From here on nothing of the node is touched by it: only scenarios may still ask what became of it. */
static void detach(struct cta_call *call)
{
	struct cta *cta = call->cta;

	sim_cancel(cta->node->sim, &call->guard);
	sim_cancel(cta->node->sim, &call->answer_timer);
	if (call->media)
		call->counted = media_counters(call->media);
	media_stop(call->media);
	call->media = NULL;
	ipsec_remove(call->direct);
	call->direct = NULL;
}

/* Without its keys nothing of a call can go on. */
static void on_direct_expired(struct association *association)
{
	struct cta_call *call = association->owner;

	call->direct = NULL;
	if (!call->over && call->cta->line.state == LINE_TALKING)
		end_with(call, LN_MEDIA_LOST, 0, "association ended");
}

/* The sub-key has come: an association with the other end. False: the key is destroyed. */
static bool take_key(struct cta_call *call, key_handle key, uint32_t spi, uint32_t peer_ip)
{
	struct cta *cta = call->cta;
	struct association_request request = { .peer_ip = peer_ip, .spi = spi, .initiator = call->caller, .subkey = key,
		                               .label = call->label, .lifetime_ns = CALL_ASSOCIATION_NS,
		                               .expired = on_direct_expired, .owner = call };

	sm_key_id(cta->sm, key, call->key_id);
	call->direct = ipsec_add(cta->ipsec, &request);
	if (!call->direct)
		return false;
	call->key_known = true;
	call->spi = spi;
	call->peer_ip = peer_ip;
	call->watching = call->caller; /* at most one watch a key */
	if (call->watching)
		world_watch_key(call->world, call->key_id, on_keys_gone, call);
	return true;
}

/* The end */

void cta_associations_done(struct cta *cta, sim_ns until_ns)
{
	if (cta->call || cta->ending)
		return;
	cta_associations_drop(cta, until_ns);
	sm_sleep(cta->sm);
}

/* An ending call is done when its legs are and its keys had their time. */
static void settle(struct cta_call *call)
{
	struct cta *cta = call->cta;
	struct cta_call **at = &cta->ending;

	if (!call->over || call->sc_leg || call->peer_leg || event_pending(&call->guard))
		return;
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	detach(call);
	cta_associations_done(cta, call->rekeyed ? cta->node->sim->now_ns : call->ended_ns);
	changed(call);
	cta_call_unref(call);
}

static void on_keys_timer(struct sim *sim, struct event *event)
{
	struct cta_call *call = event_owner(event, struct cta_call, guard);

	(void)sim;
	ipsec_remove(call->direct);
	call->direct = NULL;
	if (call->peer_leg)
		sip_leg_abandon(call->peer_leg); /* what it would still say has no cover any more */
	call->peer_leg = NULL;
	settle(call);
}

static void do_end(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;
	struct cta *cta = call->cta;

	(void)machine;
	call->over = true;
	call->ended_ns = node->sim->now_ns;
	sim_cancel(node->sim, &call->answer_timer);
	sim_cancel(node->sim, &call->guard);
	if (call->media)
		call->counted = media_counters(call->media);
	media_stop(call->media);
	call->media = NULL;
	tell(call, call->answered_ns >= 0 ? "released" : "failed");
	cta->call = NULL;
	call->next = cta->ending;
	cta->ending = call;
	if (call->peer_leg)
		sip_leg_end(call->peer_leg, "");
	if (call->sc_leg)
		sip_leg_end(call->sc_leg, "");
	if (call->sc_leg && !ipsec_find(cta->ipsec, cta->sc_ip, LABEL_CTA_SC))
		call->rekeyed = cta_secure(cta); /* the association's lifetime is over: the farewell needs another */
	sim_after(node->sim, &call->guard, CALL_KEYS_LINGER_NS, on_keys_timer, "call.keys");
}

static void end_with(struct cta_call *call, enum line_event event, int status, const char *reason)
{
	if (call->over)
		return;
	call->status = status;
	call->reason = reason;
	happen(call, event);
}

static void on_guard(struct sim *sim, struct event *event)
{
	struct cta_call *call = event_owner(event, struct cta_call, guard);
	bool rang = call->ringing_ns >= 0;

	(void)sim;
	end_with(call, LN_TIMEOUT, rang ? 0 : 408, rang ? "no answer" : "set-up time-out");
}

static void guard(struct cta_call *call, sim_ns time_ns)
{
	sim_cancel(sim_of(call), &call->guard);
	sim_after(sim_of(call), &call->guard, time_ns, on_guard, "call.guard");
}

/* The caller: C1 */

static void do_secure(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;

	(void)node, (void)machine;
	guard(call, CALL_SETUP_GUARD_NS);
	cta_secure(call->cta);
}

static void do_invite(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;

	(void)node, (void)machine;
	call->sc_leg = cta_call_invite(call, call->cta->sc_ip, call->retried ? ";2" : "");
	if (!call->sc_leg)
		end_with(call, LN_REFUSED, 500, "too many legs");
}

/* C4: the sub-key and where the other end is. */
static void take_answer(struct cta_call *call, const struct sip_message *response)
{
	struct cta *cta = call->cta;
	const struct association *a = ipsec_find(cta->ipsec, cta->sc_ip, LABEL_CTA_SC);
	char proof[CALL_PROOF_LEN];
	struct sdp sdp;
	key_handle key = 0;

	if (span_is(sip_header(response, "X-Peer"), "server"))
		call->label = LABEL_CTA_SERVER;
	if (a && cta_media_usable(cta, response->body, &sdp))
		key = call_key_unwrap_any(a, sdp.key);
	if (!key || !call_key_proof(cta->sm, key, sdp.spi, proof) || !take_key(call, key, sdp.spi, sdp_signaling(&sdp))) {
		trace_refuse(cta->node, "subkey.unwrap", cta->sc_ip, 0, call->id);
		sip_leg_ack(call->sc_leg, "");
		end_with(call, LN_REFUSED, 488, "subkey.unwrap");
		return;
	}
	call->peer_media = (struct sdp){ .ip = sdp.ip, .port = sdp.port, .payload_type = sdp.payload_type };
	sip_leg_ack(call->sc_leg, proof); /* C5 */
	happen(call, LN_KEYED);
}

/* C6 */
static void do_call_peer(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;

	(void)node, (void)machine;
	call->peer_leg = cta_call_invite(call, call->peer_ip, ";d");
	if (!call->peer_leg)
		end_with(call, LN_REFUSED, 500, "too many legs");
}

static void do_note_ringing(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;

	(void)machine;
	call->ringing_ns = node->sim->now_ns;
	guard(call, call->cta->ring_timeout_ns);
	tell(call, "ringing");
}

/* C7 */

static void on_media_lost(void *ctx)
{
	end_with(ctx, LN_MEDIA_LOST, 0, "voice lost");
}

static struct call_words *words(struct cta_call *call)
{
	if (!call->words)
		call->words = sim_alloc(sizeof *call->words);
	return call->words;
}

static void on_digit(void *ctx, char digit)
{
	struct cta_call *call = ctx;
	struct call_words *w = words(call);

	if (w->key_count < CALL_KEYS_HEARD_MAX)
		w->keys[w->key_count++] = digit;
	changed(call);
}

static void on_text(void *ctx, const char *bytes, size_t len)
{
	struct cta_call *call = ctx;
	struct call_words *w = words(call);

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			memcpy(w->heard, w->line, w->line_len);
			w->heard[w->line_len] = '\0';
			w->line_len = 0;
		} else if (w->line_len < CALL_LINE_MAX) {
			w->line[w->line_len++] = bytes[i];
		}
	}
	changed(call);
}

static void do_talk(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;
	struct cta *cta = call->cta;
	struct media_request request = {
		.node = node, .sm = cta->sm, .subkey = cta_call_direct_key(call), .label = LABEL_RTP, .initiator = call->caller,
		.local_port = call->local_port, .peer_ip = call->peer_media.ip, .peer_port = call->peer_media.port,
		.payload_type = call->peer_media.payload_type, .mac = world_on(world_of(node->sim), "rtp.mac"),
		.source = MEDIA_TONE, .lost_after_ns = cta->lost_after_ns, .lost = on_media_lost, .digit = on_digit,
		.text = on_text, .ctx = call, .watched = call,
	};

	(void)machine;
	sim_cancel(node->sim, &call->guard);
	call->answered_ns = node->sim->now_ns;
	if (call->ringing_ns < 0)
		call->ringing_ns = call->answered_ns;
	tell(call, "answered");
	if (call->sc_leg) /* for the call record: the answer itself passes the controllers by (C6) */
		sip_leg_inform(call->sc_leg, HEADER_EVENT ": " EVENT_ANSWERED "\r\n");
	call->media = media_start(&request);
	if (!call->media)
		end_with(call, LN_MEDIA_LOST, 0, "no voice");
}

key_handle cta_call_direct_key(const struct cta_call *call)
{
	return call->direct ? call->direct->subkey : 0;
}

/* The callee: C2, C3 */

static bool refuse(struct cta *cta, struct sip_leg *leg, const struct udp_from *from, const char *check, int status)
{
	trace_refuse(cta->node, check, from->src, from->tag, "");
	sip_leg_answer(leg, status, "", "");
	sip_leg_release(leg);
	return true;
}

static bool take_offer(struct cta *cta, struct sip_leg *leg, const struct sip_message *message, const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct cta_call *call;
	struct sdp sdp;
	key_handle key;
	char proof[CALL_PROOF_LEN], body[CALL_BODY_LEN];

	if (from->src != cta->sc_ip)
		return refuse(cta, leg, from, "cta.not_our_sc", 403);
	if (cta->line.state != LINE_IDLE)
		return refuse(cta, leg, from, "cta.busy", 486);
	if (!cta_media_usable(cta, message->body, &sdp) || !(key = call_key_unwrap_any(a, sdp.key)))
		return refuse(cta, leg, from, "subkey.unwrap", 488);
	call = call_new(cta, false);
	span_copy(sip_user(message->from), call->number, sizeof call->number);
	span_copy(sip_header(message, HEADER_CALL), call->id, sizeof call->id);
	if (!call_key_proof(cta->sm, key, sdp.spi, proof) || !take_key(call, key, sdp.spi, sdp_signaling(&sdp))) {
		call->over = true;
		call->reason = "subkey.unwrap";
		cta->call = NULL;
		cta_call_unref(call);
		return refuse(cta, leg, from, "subkey.unwrap", 488);
	}
	call->sc_leg = leg;
	sip_leg_set_owner(leg, call);
	call->peer_media = (struct sdp){ .ip = sdp.ip, .port = sdp.port, .payload_type = sdp.payload_type };
	guard(call, CALL_OFFER_GUARD_NS);
	happen(call, LN_OFFER);
	cta_call_describe(call, body);
	sip_leg_answer(leg, 200, proof, body);
	return true;
}

/* C6: the caller itself, under the call's key. */
static bool take_peer_invite(struct cta *cta, struct sip_leg *leg, const struct sip_message *message, const struct udp_from *from)
{
	struct cta_call *call = cta->call;

	if (!call || call->direct != from->sa || call->peer_leg || !span_is(sip_header(message, HEADER_CALL), call->id))
		return refuse(cta, leg, from, "cta.unknown_call", 403);
	call->peer_leg = leg;
	sip_leg_set_owner(leg, call);
	happen(call, LN_PEER_CALLS);
	return true;
}

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *message, const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct cta *cta = ctx;
	bool controller = strcmp(a->label, LABEL_CTA_SC) == 0;

	return controller ? take_offer(cta, leg, message, from) : take_peer_invite(cta, leg, message, from);
}

static void answer_soon(struct cta_call *call, sim_ns after_ns)
{
	sim_cancel(sim_of(call), &call->answer_timer);
	sim_after(sim_of(call), &call->answer_timer, after_ns, on_answer_timer, "answer");
}

static void do_ring(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;
	struct cta *cta = call->cta;

	(void)machine;
	call->ringing_ns = node->sim->now_ns;
	guard(call, CALL_RING_GUARD_NS);
	sip_leg_answer(call->peer_leg, 180, "", "");
	if (cta->will_answer)
		answer_soon(call, cta->answer_after_ns);
}

static void do_answer(struct node *node, struct machine *machine, void *ctx)
{
	struct cta_call *call = ctx;
	char body[CALL_BODY_LEN];

	cta_call_describe(call, body);
	sip_leg_answer(call->peer_leg, 200, "", body);
	do_talk(node, machine, call);
}

static void on_answer_timer(struct sim *sim, struct event *event)
{
	(void)sim;
	happen(event_owner(event, struct cta_call, answer_timer), LN_ANSWER);
}

/* What the legs tell */

static void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	struct cta_call *call = sip_leg_owner(leg);

	if (leg == call->peer_leg && response->status >= 180)
		happen(call, LN_PEER_RINGS);
}

static void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct cta_call *call = sip_leg_owner(leg);

	if (leg == call->sc_leg) {
		take_answer(call, response);
		return;
	}
	sip_leg_ack(leg, "");
	happen(call, LN_ANSWERED);
}

static void leg_gone(struct cta_call *call, struct sip_leg *leg)
{
	struct sip_leg **place = leg == call->sc_leg ? &call->sc_leg : &call->peer_leg;

	sip_leg_release(leg);
	*place = NULL;
}

/*
 * Our controller does not answer although it took our AP-REQ: it may have restarted in between. Once more from there.
 */
static bool try_again(struct cta_call *call)
{
	struct cta *cta = call->cta;

	if (call->retried || call->over || cta->line.state != LINE_CALLING)
		return false;
	call->retried = true;
	cta_associations_drop(cta, cta->node->sim->now_ns);
	happen(call, LN_SILENCE);
	return true;
}

static void on_rejected(struct sip_leg *leg, int status)
{
	struct cta_call *call = sip_leg_owner(leg);
	bool sc = leg == call->sc_leg;

	leg_gone(call, leg);
	if (!(sc && status == 408 && try_again(call)))
		end_with(call, LN_REFUSED, status, sip_reason(status));
	settle(call);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	struct cta_call *call = sip_leg_owner(leg);

	if (!ack)
		end_with(call, leg == call->sc_leg ? LN_SC_ENDS : LN_PEER_ENDS, 408, "no ACK");
}

static void on_cancelled(struct sip_leg *leg)
{
	struct cta_call *call = sip_leg_owner(leg);

	end_with(call, leg == call->sc_leg ? LN_SC_ENDS : LN_PEER_ENDS, 487, "caller hung up");
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct cta_call *call = sip_leg_owner(leg);
	bool sc = leg == call->sc_leg;

	(void)bye;
	leg_gone(call, leg);
	end_with(call, sc ? LN_SC_ENDS : LN_PEER_ENDS, 0, "other end hung up");
	settle(call);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct cta_call *call = sip_leg_owner(leg);

	(void)timed_out;
	leg_gone(call, leg);
	settle(call);
}

/* The controller asks whether this call is still known. */
static void on_informed(struct sip_leg *leg, const struct sip_message *info)
{
	struct cta_call *call = sip_leg_owner(leg);

	if (leg == call->sc_leg && !call->over && span_is(sip_header(info, HEADER_EVENT), EVENT_PRESENT_ASK))
		sip_leg_inform(leg, HEADER_EVENT ": " EVENT_PRESENT "\r\n");
}

const struct sip_owner cta_sip_owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.acknowledged = on_acknowledged, .cancelled = on_cancelled, .hung_up = on_hung_up, .ended = on_ended,
	.informed = on_informed,
};

/* What the element asks */

bool cta_call_waits(const struct cta *cta)
{
	return cta->call && cta->line.state == LINE_SECURING;
}

void cta_call_secured(struct cta *cta, bool ok, const char *reason)
{
	if (!cta_call_waits(cta))
		return;
	if (ok)
		happen(cta->call, LN_SECURED);
	else if (!cta->pkinit)
		end_with(cta->call, LN_NOT_SECURED, 0, reason);
}

struct cta_call *cta_dial(struct cta *cta, const char *digits)
{
	struct cta_call *call;
	char ip[IP_TEXT_LEN];

	if (cta->call)
		return NULL;
	cta->renewed = false;
	if (!cta->call_ids) {
		cta->call_ids = sim_alloc(sizeof *cta->call_ids);
		rng_init(cta->call_ids, cta->node->sim->seed, cta->node->name, "call-id");
	}
	call = call_new(cta, true);
	snprintf(call->number, sizeof call->number, "%s", digits);
	snprintf(call->id, sizeof call->id, "%016llx@%s", (unsigned long long)rng_u64(cta->call_ids), ip_text(cta->ip, ip));
	tell(call, "dialled");
	happen(call, LN_DIAL);
	return call;
}

void cta_answer(struct cta *cta, sim_ns after_ns)
{
	if (cta->call && cta->line.state == LINE_RINGING) {
		answer_soon(cta->call, after_ns);
		return;
	}
	cta->will_answer = true;
	cta->answer_after_ns = after_ns;
}

void cta_call_hang_up(struct cta_call *call)
{
	end_with(call, LN_HANG_UP, 0, "hung up");
}

void cta_hang_up(struct cta *cta)
{
	cta_call_hang_up(cta->call);
}

static void forget_call(struct cta_call *call)
{
	struct cta *cta = call->cta;

	if (!call->over) {
		call->over = true;
		call->ended_ns = cta->node->sim->now_ns;
		call->reason = "power lost";
		tell(call, call->answered_ns >= 0 ? "released" : "failed");
	}
	call->sc_leg = call->peer_leg = NULL;
	detach(call);
	changed(call);
	cta_call_unref(call);
}

void cta_calls_forget(struct cta *cta)
{
	struct cta_call *call = cta->call;

	cta->call = NULL;
	if (call)
		forget_call(call);
	while ((call = cta->ending)) {
		cta->ending = call->next;
		forget_call(call);
	}
	sip_endpoint_reset(cta->sip);
	machine_start(&cta->line, &cta_line_machine, LINE_IDLE);
}

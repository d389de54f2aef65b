/*
 * Calls that a server answers by itself; see served_call.h. flows.md 4; patent [0081]-[0087].
 */
#include "models/served_call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/call_key.h"
#include "models/directory.h"
#include "models/sip_leg.h"
#include "sim/service.h"

#define CALL_OFFER_GUARD_NS (20 * NS_PER_S)   /* from the key to the caller's INVITE */
#define CALL_KEYS_LINGER_NS (800 * NS_PER_MS) /* for repetitions of the farewell with the caller */
#define CALL_ASSOCIATION_NS (24 * 3600 * NS_PER_S)
#define LINES_MAX 4096
#define RTP_PORT_FIRST 16384
#define RTP_PORTS (2 * LINES_MAX)             /* even ones, in turn: voice of the call before finds no new ear */
#define BODY_LEN 512
#define NO_NUMBER "0"                         /* what a CTA that has none calls itself */

struct call_server {
	struct call_server_config config;
	struct node *node;
	uint32_t ip;
	char principal[KRB_NAME_MAX + 1], number[SUBSCRIBER_NUMBER_LEN];
	unsigned lines;
	sim_ns lost_after_ns;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct sip_endpoint *sip;
	struct served_call *calls;             /* those that are ending too */
	unsigned active, keys;                 /* calls that have a line; call sub-keys held */
	uint64_t answered, refused, exchanges;
	struct media_counters counted;         /* of all media that has stopped */
	bool ports[RTP_PORTS];                 /* in use */
	unsigned next_port;
};

struct served_call {
	struct served_call *next;
	struct call_server *server;
	struct machine machine;
	char id[CALL_ID_MAX + 1], number[SUBSCRIBER_NUMBER_LEN]; /* number: the caller's; "": none */
	void *state;                                 /* its owner's */
	sim_ns began_ns;
	struct sip_leg *controller_leg, *caller_leg; /* NULL: not begun, or ended for good */
	struct association *direct;                  /* with the caller; its sub-key is the call's */
	struct sdp caller_media;
	unsigned port;                               /* number of its RTP port */
	struct media *media;
	const char *reason;                          /* of its end */
	struct event timer;                          /* of the INVITE, then the answer, then the keys */
};

/* The table */

enum call_state { CALL_OFFERED, CALL_RINGING, CALL_TALKING, CALL_ENDING, CALL_OVER, CALL_STATES };
enum call_event { EV_CALLER, EV_ANSWER, EV_DONE, EV_CALLER_ENDS, EV_CONTROLLER_ENDS, EV_VOICE_LOST, EV_TIMEOUT,
	          EV_ALL_GONE, CALL_EVENTS };
static const char *const state_names[] = { "Offered", "Ringing", "Talking", "Ending", "Over" };
static const char *const event_names[] = { "caller's INVITE", "answer", "all is said", "caller hangs up",
	                                   "controller ends call", "voice lost", "time-out", "legs and keys gone" };

static machine_action ring, talk, end_call;

static const struct machine_cell cells[CALL_STATES * CALL_EVENTS] = {
#define CELL(state, event, next, action) [(state) * CALL_EVENTS + (event)] = { true, next, action }
	CELL(CALL_OFFERED, EV_CALLER, CALL_RINGING, ring),
	CELL(CALL_OFFERED, EV_CONTROLLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_OFFERED, EV_TIMEOUT, CALL_ENDING, end_call),
	CELL(CALL_RINGING, EV_ANSWER, CALL_TALKING, talk),
	CELL(CALL_RINGING, EV_CALLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_RINGING, EV_CONTROLLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_RINGING, EV_TIMEOUT, CALL_ENDING, end_call),
	CELL(CALL_TALKING, EV_DONE, CALL_ENDING, end_call),
	CELL(CALL_TALKING, EV_CALLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_TALKING, EV_CONTROLLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_TALKING, EV_VOICE_LOST, CALL_ENDING, end_call),
	CELL(CALL_TALKING, EV_TIMEOUT, CALL_ENDING, end_call),
	CELL(CALL_ENDING, EV_ALL_GONE, CALL_OVER, NULL),
#undef CELL
};
const struct machine_def served_call_machine = {
	.name = "served call",
	.doc = "a call at a server: offered by a controller, taken up by its caller, answered, ended",
	.states = state_names, .events = event_names, .state_count = CALL_STATES, .event_count = CALL_EVENTS,
	.cells = cells,
};

static void happen(struct served_call *call, enum call_event event)
{
	machine_event(call->server->node, &call->machine, event, call);
	sim_changed(call->server->node->sim, call->server->node);
}

static bool ending(const struct served_call *call)
{
	return call->machine.state >= CALL_ENDING;
}

static void end_with(struct served_call *call, enum call_event event, const char *reason)
{
	if (ending(call))
		return;
	call->reason = reason;
	happen(call, event);
}

/* Life of a call */

static uint16_t port_of(const struct served_call *call)
{
	return (uint16_t)(RTP_PORT_FIRST + 2 * call->port);
}

/* There are more ports than lines: one is always free, but those of ending calls rest first. */
static unsigned take_port(struct call_server *s)
{
	unsigned port;

	while (s->ports[s->next_port])
		s->next_port = (s->next_port + 1) % RTP_PORTS;
	port = s->next_port;
	s->ports[port] = true;
	s->next_port = (port + 1) % RTP_PORTS;
	return port;
}

static struct served_call *call_new(struct call_server *s)
{
	struct served_call *call = sim_alloc(sizeof *call);

	call->server = s;
	call->reason = "";
	call->began_ns = s->node->sim->now_ns;
	call->port = take_port(s);
	machine_start(&call->machine, &served_call_machine, CALL_OFFERED);
	call->next = s->calls;
	s->calls = call;
	s->active++;
	return call;
}

static void drop_key(struct served_call *call)
{
	if (!call->direct)
		return;
	ipsec_remove(call->direct);
	call->direct = NULL;
	call->server->keys--;
	sim_changed(call->server->node->sim, call->server->node);
}

static void stop_media(struct served_call *call)
{
	struct media_counters *sum = &call->server->counted, count;

	if (!call->media)
		return;
	count = media_counters(call->media);
	sum->sent += count.sent;
	sum->received += count.received;
	sum->refused += count.refused;
	sum->lost += count.lost;
	media_stop(call->media);
	call->media = NULL;
}

/* The line is free for the next caller. */
static void hang_up(struct served_call *call)
{
	struct call_server *s = call->server;
	bool talked = call->media != NULL;

	sim_cancel(s->node->sim, &call->timer);
	stop_media(call);
	s->ports[call->port] = false;
	s->active--;
	if (talked && s->config.owner.over)
		s->config.owner.over(s->config.ctx, call);
	call->state = NULL;
}

static void call_free(struct served_call *call)
{
	struct call_server *s = call->server;
	struct served_call **at = &s->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (!ending(call))
		hang_up(call);
	sim_cancel(s->node->sim, &call->timer);
	drop_key(call);
	free(call);
	sim_changed(s->node->sim, s->node);
}

static void settle(struct served_call *call)
{
	if (call->machine.state != CALL_ENDING || call->controller_leg || event_pending(&call->timer))
		return;
	happen(call, EV_ALL_GONE);
	call_free(call);
}

static void leg_gone(struct served_call *call, struct sip_leg *leg)
{
	struct sip_leg **place = leg == call->caller_leg ? &call->caller_leg : &call->controller_leg;

	*place = NULL;
	sip_leg_release(leg);
}

/* After its keys a leg with the caller can say nothing any more. */
static void on_keys_timer(struct sim *sim, struct event *event)
{
	struct served_call *call = event_owner(event, struct served_call, timer);

	(void)sim;
	if (call->caller_leg)
		leg_gone(call, call->caller_leg);
	drop_key(call);
	settle(call);
}

static void on_keyed(void *ctx, bool ready)
{
	(void)ctx; /* the farewell is repeated and will find the association, or not */
	(void)ready;
}

static void end_call(struct node *node, struct machine *machine, void *ctx)
{
	struct served_call *call = ctx;

	(void)machine;
	hang_up(call);
	if (call->caller_leg)
		sip_leg_end(call->caller_leg, call->reason);
	if (call->controller_leg) {
		sip_leg_end(call->controller_leg, call->reason);
		backend_ensure(call->server->backend, sip_leg_peer(call->controller_leg), on_keyed, call->server);
	}
	sim_after(node->sim, &call->timer, CALL_KEYS_LINGER_NS, on_keys_timer, "call.keys");
}

static void on_offer_guard(struct sim *sim, struct event *event)
{
	(void)sim;
	end_with(event_owner(event, struct served_call, timer), EV_TIMEOUT, "caller did not come");
}

static void on_expired(struct association *association)
{
	struct served_call *call = association->owner;

	call->direct = NULL; /* it is freed after this */
	call->server->keys--;
	end_with(call, EV_TIMEOUT, "association over");
}

/* The controller's offer [0083] */

struct offer { /* an INVITE, read and judged */
	const struct sip_message *invite;
	const struct udp_from *from;
	char id[CALL_ID_MAX + 1], caller[SUBSCRIBER_NUMBER_LEN];
	struct sdp media;
	key_handle key;
};

struct verdict { /* check NULL: none against it */
	const char *check;
	int status;
};
#define REFUSE(name, code) ((struct verdict){ name, code })
#define PASS ((struct verdict){ NULL, 0 })

/* Who offers: the peer of the association; in clear (backend.ipsec off) there is only the address to believe. */
static bool from_controller(const struct call_server *s, const struct udp_from *from)
{
	const struct association *a = from->sa;
	const char *principal = a ? a->peer : directory_service_at(world_directory(world_of(s->node->sim)), from->src);

	return principal && strncmp(principal, "sc/", 3) == 0;
}

/* A caller is no server: an association with one must not come between us and that server's own. */
static bool media_usable(const struct call_server *s, const struct sdp *media)
{
	return media->ip && media->port && ipsec_spi_usable(media->spi) &&
	       (media->payload_type == MEDIA_PCMU || media->payload_type == MEDIA_PCMA) &&
	       !ip_is_local(s->node, media->ip) && ip_source_for(s->node, media->ip) &&
	       !directory_service_at(world_directory(world_of(s->node->sim)), media->ip);
}

static bool user_digits(struct span uri, char out[SUBSCRIBER_NUMBER_LEN])
{
	char user[64];

	return span_copy(sip_user(uri), user, sizeof user) && number_digits(user, out);
}

static struct verdict judge(const struct call_server *s, struct offer *offer)
{
	const struct association *a = offer->from->sa;
	struct span id = sip_header(offer->invite, HEADER_CALL);
	char dialled[SUBSCRIBER_NUMBER_LEN];

	if (!from_controller(s, offer->from))
		return REFUSE("ns.check_controller", 403);
	if (!user_digits(offer->invite->uri, dialled) || strcmp(dialled, s->number) != 0)
		return REFUSE("ns.unknown_number", 404);
	if (!user_digits(offer->invite->from, offer->caller) || strcmp(offer->caller, NO_NUMBER) == 0)
		offer->caller[0] = '\0';
	if (!id.at || !id.len || !span_copy(id, offer->id, sizeof offer->id) ||
	    !sdp_parse(offer->invite->body, &offer->media) || !media_usable(s, &offer->media))
		return REFUSE("ns.media_offer", 488);
	if (ipsec_find_initiated(s->ipsec, offer->media.ip, offer->media.spi)) /* it would be replaced */
		return REFUSE("ns.spi_in_use", 488);
	if (s->active >= s->lines)
		return REFUSE("ns.busy", 486);
	offer->key = a ? call_key_unwrap(a, offer->media.key) : call_key_unwrap_open(s->sm, offer->media.key);
	return offer->key ? PASS : REFUSE("subkey.unwrap", 488);
}

static void refuse(struct call_server *s, struct sip_leg *leg, const struct udp_from *from, struct verdict verdict,
                   const char *detail)
{
	s->refused++;
	trace_refuse(s->node, verdict.check, from->src, from->tag, detail);
	sip_leg_answer(leg, verdict.status, "", "");
	sip_leg_release(leg);
	sim_changed(s->node->sim, s->node);
}

/* Where our voice is, in the law that the caller speaks. */
static void describe(const struct served_call *call, char body[BODY_LEN])
{
	struct text t = { body, BODY_LEN, 0, false };
	struct sdp sdp = { .ip = call->server->ip, .port = port_of(call),
		           .payload_type = call->caller_media.payload_type };

	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
}

/* Everything has passed: an association with the caller. False: the key is destroyed. */
static bool take_key(struct served_call *call, const struct offer *offer)
{
	struct association_request request = { .peer_ip = offer->media.ip, .spi = offer->media.spi, .initiator = false,
		                               .subkey = offer->key, .label = LABEL_CTA_SERVER,
		                               .lifetime_ns = CALL_ASSOCIATION_NS, .expired = on_expired,
		                               .owner = call };

	call->direct = ipsec_add(call->server->ipsec, &request);
	call->server->keys += call->direct != NULL;
	return call->direct != NULL;
}

static void accept(struct call_server *s, struct sip_leg *leg, const struct offer *offer)
{
	struct served_call *call = call_new(s);
	char proof[CALL_PROOF_LEN], body[BODY_LEN];

	if (!take_key(call, offer) || !call_key_proof(s->sm, call->direct->subkey, offer->media.spi, proof)) {
		call_free(call);
		refuse(s, leg, offer->from, REFUSE("subkey.unwrap", 488), offer->id);
		return;
	}
	snprintf(call->id, sizeof call->id, "%s", offer->id);
	snprintf(call->number, sizeof call->number, "%s", offer->caller);
	call->caller_media = (struct sdp){ .ip = offer->media.ip, .port = offer->media.port,
		                           .payload_type = offer->media.payload_type };
	call->controller_leg = leg;
	sip_leg_set_owner(leg, call);
	sim_after(s->node->sim, &call->timer, CALL_OFFER_GUARD_NS, on_offer_guard, "call.offer");
	describe(call, body);
	sip_leg_answer(leg, 200, proof, body);
	sim_changed(s->node->sim, s->node);
}

static void take_offer(struct call_server *s, struct sip_leg *leg, const struct sip_message *invite,
                       const struct udp_from *from)
{
	struct offer offer = { .invite = invite, .from = from };
	struct verdict verdict = judge(s, &offer);

	if (verdict.check)
		refuse(s, leg, from, verdict, offer.id);
	else
		accept(s, leg, &offer);
}

/* The caller itself [0087] */

static void on_answer(struct sim *sim, struct event *event)
{
	(void)sim;
	happen(event_owner(event, struct served_call, timer), EV_ANSWER);
}

static void ring(struct node *node, struct machine *machine, void *ctx)
{
	struct served_call *call = ctx;
	sim_ns after_ns = call->server->config.answer_after_ns;

	(void)machine;
	sim_cancel(node->sim, &call->timer);
	if (after_ns == 0) {
		happen(call, EV_ANSWER);
		return;
	}
	sip_leg_answer(call->caller_leg, 180, "", "");
	sim_after(node->sim, &call->timer, after_ns, on_answer, "call.answer");
}

static void on_voice_lost(void *ctx)
{
	end_with(ctx, EV_VOICE_LOST, "voice lost");
}

static void on_digit(void *ctx, char digit)
{
	struct served_call *call = ctx;
	const struct call_server_config *c = &call->server->config;

	if (c->owner.digit)
		c->owner.digit(c->ctx, call, digit);
}

static void on_text(void *ctx, const char *bytes, size_t len)
{
	struct served_call *call = ctx;
	const struct call_server_config *c = &call->server->config;

	if (c->owner.text)
		c->owner.text(c->ctx, call, bytes, len);
}

static void talk(struct node *node, struct machine *machine, void *ctx)
{
	struct served_call *call = ctx;
	struct call_server *s = call->server;
	char body[BODY_LEN];
	struct media_request request = {
		.node = node, .sm = s->sm, .subkey = call->direct->subkey, .label = LABEL_RTP, .initiator = false,
		.local_port = port_of(call), .peer_ip = call->caller_media.ip, .peer_port = call->caller_media.port,
		.payload_type = call->caller_media.payload_type, .mac = world_on(world_of(node->sim), "rtp.mac"),
		.source = s->config.source, .watched = node, .lost_after_ns = s->lost_after_ns, .lost = on_voice_lost,
		.digit = on_digit, .text = on_text, .ctx = call,
	};

	(void)machine;
	describe(call, body);
	sip_leg_answer(call->caller_leg, 200, "", body);
	call->media = media_start(&request);
	if (!call->media) {
		end_with(call, EV_TIMEOUT, "no voice port");
		return;
	}
	s->answered++;
	if (call->controller_leg) /* for the call record */
		sip_leg_inform(call->controller_leg, HEADER_EVENT ": " EVENT_ANSWERED "\r\n");
	if (s->config.owner.answered)
		s->config.owner.answered(s->config.ctx, call);
}

static void take_caller(struct call_server *s, struct sip_leg *leg, const struct sip_message *invite,
                        const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct served_call *call = a->owner;

	if (call->machine.state != CALL_OFFERED || !span_is(sip_header(invite, HEADER_CALL), call->id)) {
		refuse(s, leg, from, REFUSE("ns.unknown_call", 403), "");
		return;
	}
	call->caller_leg = leg;
	sip_leg_set_owner(leg, call);
	happen(call, EV_CALLER);
}

/* What the legs tell */

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct call_server *s = ctx;

	service_charge(s->node, &(struct service_cost){ .messages = 1 });
	if (a && strcmp(a->label, LABEL_CTA_SERVER) == 0)
		take_caller(s, leg, invite, from);
	else
		take_offer(s, leg, invite, from);
	return true;
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	if (!ack)
		end_with(sip_leg_owner(leg), EV_TIMEOUT, "no ACK");
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct served_call *call = sip_leg_owner(leg);
	bool caller = leg == call->caller_leg;

	(void)bye;
	leg_gone(call, leg);
	end_with(call, caller ? EV_CALLER_ENDS : EV_CONTROLLER_ENDS,
	         caller ? "caller hung up" : "controller ended call");
	settle(call);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct served_call *call = sip_leg_owner(leg);

	if (timed_out && leg == call->controller_leg)
		backend_drop(call->server->backend, sip_leg_peer(leg)); /* it knows nothing of our association */
	leg_gone(call, leg);
	settle(call);
}

/* By a caller that does not want to wait, while it rings. */
static void on_cancelled(struct sip_leg *leg)
{
	end_with(sip_leg_owner(leg), EV_CALLER_ENDS, "caller hung up");
}

/* It calls nobody: no progress, answer or rejection can come. */
static const struct sip_owner sip_owner = {
	.invited = on_invited, .acknowledged = on_acknowledged, .cancelled = on_cancelled, .hung_up = on_hung_up,
	.ended = on_ended,
};

/* Tickets: whom the AP exchange admits */

static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct call_server *s = ctx;
	const struct krb_ticket_facts *ticket = &accepted->ticket;

	*check = "sc.not_us";
	if (strcmp(ticket->server.name, s->principal) != 0)
		return false;
	*check = "ns.check_service";
	return strchr(ticket->client.name, '/') &&
	       directory_service_ip(world_directory(world_of(s->node->sim)), ticket->client.name) == from_ip;
}

static void on_association(void *ctx, struct association *association, const struct krb_ticket_facts *ticket)
{
	struct call_server *s = ctx;

	(void)association;
	(void)ticket;
	s->exchanges++;
	sim_changed(s->node->sim, s->node);
}

/* Construction */

static void forget_calls(struct call_server *s)
{
	while (s->calls)
		call_free(s->calls);
}

static bool check_params(const struct node *node, const struct args *args, char number[SUBSCRIBER_NUMBER_LEN],
                         char error[MODEL_ERROR_LEN])
{
	const char *given = args_text(args, "number", "");
	int64_t lines = args_int(args, "lines", LINES_MAX);

	if (!node_first_ip(node))
		snprintf(error, MODEL_ERROR_LEN, "%s needs an address; write on = { link, \"10.104.0.20/24\" }",
		         node->name);
	else if (!number_digits(given, number))
		snprintf(error, MODEL_ERROR_LEN,
		         "number must be a telephone number, found \"%s\"; write number = \"800-555-0100\"", given);
	else if (lines < 1 || lines > LINES_MAX)
		snprintf(error, MODEL_ERROR_LEN, "lines must be 1 to %d, found %lld; write lines = 1000", LINES_MAX,
		         (long long)lines);
	else
		return true;
	return false;
}

static void make_parts(struct call_server *s, uint32_t kdc_ip)
{
	struct key_management_owner owner = { .ctx = s, .authorise = authorise, .accepted = on_association };
	struct backend_config backend = { .node = s->node, .principal = s->principal, .kdc_ip = kdc_ip };

	s->sm = world_module(world_of(s->node->sim), s->node, "module");
	backend.server_key = world_server_key(world_of(s->node->sim), s->sm, s->principal);
	s->ipsec = backend.ipsec = ipsec_new(s->node, s->sm, true);
	s->km = backend.km = key_management_new(s->node, s->ipsec, s->principal, backend.server_key, &owner);
	s->backend = backend_new(&backend);
	s->sip = sip_endpoint_new(s->node, s->ipsec, &sip_owner, s);
}

struct call_server *call_server_new(const struct call_server_config *config, const struct args *args,
                                    char error[MODEL_ERROR_LEN])
{
	struct node *node = config->node;
	struct directory *directory = world_directory(world_of(node->sim));
	char number[SUBSCRIBER_NUMBER_LEN];
	struct call_server *s;

	if (!check_params(node, args, number, error))
		return NULL;
	s = sim_alloc(sizeof *s);
	s->config = *config;
	s->node = node;
	s->ip = node_first_ip(node);
	snprintf(s->principal, sizeof s->principal, "%s/%s", config->prefix, node->name);
	snprintf(s->number, sizeof s->number, "%s", number);
	s->lines = (unsigned)args_int(args, "lines", LINES_MAX);
	s->lost_after_ns = args_time(args, "media_timeout", 0);
	make_parts(s, node_first_ip(args_node(args, "kdc")));
	directory_service_add(directory, s->principal, s->ip);
	directory_number_set(directory, s->number, s->principal);
	return s;
}

void call_server_free(struct call_server *s)
{
	if (!s)
		return;
	forget_calls(s);
	sip_endpoint_free(s->sip);
	backend_free(s->backend);
	key_management_free(s->km);
	ipsec_free(s->ipsec);
	sm_free(s->sm);
	free(s);
}

void call_server_start(struct call_server *s)
{
	key_management_reset(s->km);
	sip_endpoint_reset(s->sip);
}

void call_server_restart(struct call_server *s)
{
	forget_calls(s);
	backend_reset(s->backend);
	ipsec_reset(s->ipsec);
	call_server_start(s);
	sim_changed(s->node->sim, s->node);
}

const char *call_server_principal(const struct call_server *s)
{
	return s->principal;
}

struct ipsec *call_server_ipsec(struct call_server *s)
{
	return s->ipsec;
}

struct backend *call_server_backend(struct call_server *s)
{
	return s->backend;
}

/* What the owner does in a call */

void served_call_end(struct served_call *call, const char *reason)
{
	end_with(call, EV_DONE, reason);
}

void served_call_set_state(struct served_call *call, void *state)
{
	call->state = state;
}

void *served_call_state(const struct served_call *call)
{
	return call->state;
}

struct media *served_call_media(const struct served_call *call)
{
	return call->media;
}

const char *served_call_id(const struct served_call *call)
{
	return call->id;
}

sim_ns served_call_began_ns(const struct served_call *call)
{
	return call->began_ns;
}

uint32_t served_call_ip(const struct served_call *call)
{
	return call->caller_media.ip;
}

const char *served_call_number(const struct served_call *call)
{
	return call->number;
}

/* What a scenario may ask */

static struct media_counters voice(const struct call_server *s)
{
	struct media_counters sum = s->counted, count;

	for (const struct served_call *call = s->calls; call; call = call->next) {
		if (!call->media)
			continue;
		count = media_counters(call->media);
		sum.sent += count.sent;
		sum.received += count.received;
		sum.refused += count.refused;
		sum.lost += count.lost;
	}
	return sum;
}

bool call_server_get(const struct call_server *s, const char *attribute, struct value *out)
{
	struct media_counters heard = voice(s);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "calls", s->active }, { "call_keys", s->keys }, { "answered", s->answered },
		{ "calls_refused", s->refused }, { "associations", ipsec_count(s->ipsec) },
		{ "exchanges", s->exchanges }, { "rtp_sent", heard.sent },
		{ "rtp_received", heard.received }, { "rtp_lost", heard.lost }, { "rtp_refused", heard.refused },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	*out = value_nil();
	if (strcmp(attribute, "number") == 0)
		*out = value_text(s->number);
	return out->type != VALUE_NIL;
}

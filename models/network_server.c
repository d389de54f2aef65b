/*
 * Network server: a machine that plays an announcement to whoever dials its number (flows.md 4, variant "CTA -> network
 * server"; patent [0081]-[0087]).
 *
 * The caller's signaling controller offers a call with a fresh CTA-to-server sub-key and SPI, wrapped under the
 * association between the two servers (flows.md 13); the proof of receipt goes back [0083]. From the sub-key follows an
 * association with the CTA, which is its initiator: SPI protects CTA -> server, SPI+1 the way back [0085]-[0086]. Under
 * it comes the CTA's own INVITE, which is answered at once, and the same sub-key gives the keys of the voice.
 *
 * A call occupies a line until it ends. Then its voice stops at once, and no later than CALL_KEYS_LINGER_NS afterwards
 * its sub-key and all that was derived from it are gone, whatever the network did with the farewells. A restart loses
 * all calls, associations and tickets.
 *
 * Only servers may have an association by ticket: "sc.not_us", "ns.check_service" (no server of the directory, or not
 * at its address). Refusals of an INVITE, each with its response: "ns.check_controller" 403 (a server that controls no
 * calls), "ns.unknown_number" 404, "ns.media_offer" 488 (nothing it can speak to), "ns.spi_in_use" 488, "ns.busy" 486,
 * "subkey.unwrap" 488; under the association with a CTA: "ns.unknown_call" 403.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/backend.h"
#include "models/call_key.h"
#include "models/directory.h"
#include "models/media.h"
#include "models/model.h"
#include "models/sip_leg.h"
#include "models/subscriber.h"
#include "sim/service.h"

#define CALL_OFFER_GUARD_NS (20 * NS_PER_S)   /* from the key to the caller's INVITE */
#define CALL_KEYS_LINGER_NS (800 * NS_PER_MS) /* for repetitions of the farewell with the caller */
#define CALL_ASSOCIATION_NS (24 * 3600 * NS_PER_S)
#define LINES_MAX 4096
#define RTP_PORT_FIRST 16384
#define RTP_PORTS (2 * LINES_MAX)             /* even ones, in turn: voice of the call before finds no new ear */
#define BODY_LEN 512

struct server {
	struct node *node;
	uint32_t ip;
	char principal[KRB_NAME_MAX + 1], number[SUBSCRIBER_NUMBER_LEN];
	unsigned lines;
	sim_ns announcement_ns, lost_after_ns;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct sip_endpoint *sip;
	struct call *calls;                    /* those that are ending too */
	unsigned active, keys;                 /* calls that have a line; call sub-keys held */
	uint64_t answered, refused, exchanges;
	struct media_counters counted;         /* of all media that has stopped */
	bool ports[RTP_PORTS];                 /* in use */
	unsigned next_port;
};

struct call {
	struct call *next;
	struct server *server;
	struct machine machine;
	char id[CALL_ID_MAX + 1];
	struct sip_leg *controller_leg, *caller_leg; /* NULL: not begun, or ended for good */
	struct association *direct;                  /* with the caller; its sub-key is the call's */
	struct sdp caller_media;
	unsigned port;                               /* number of its RTP port */
	struct media *media;
	const char *reason;                          /* of its end */
	struct event timer;                          /* of the INVITE, then the announcement, then the keys */
};

/* The table */

enum call_state { CALL_OFFERED, CALL_PLAYING, CALL_ENDING, CALL_OVER, CALL_STATES };
enum call_event { EV_CALLER, EV_PLAYED, EV_CALLER_ENDS, EV_CONTROLLER_ENDS, EV_VOICE_LOST, EV_TIMEOUT, EV_ALL_GONE,
	          CALL_EVENTS };
static const char *const state_names[] = { "Offered", "Playing", "Ending", "Over" };
static const char *const event_names[] = { "caller's INVITE", "announcement over", "caller hangs up",
	                                   "controller ends call", "voice lost", "time-out", "legs and keys gone" };

static machine_action play, end_call;

static const struct machine_cell cells[CALL_STATES * CALL_EVENTS] = {
#define CELL(state, event, next, action) [(state) * CALL_EVENTS + (event)] = { true, next, action }
	CELL(CALL_OFFERED, EV_CALLER, CALL_PLAYING, play),
	CELL(CALL_OFFERED, EV_CONTROLLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_OFFERED, EV_TIMEOUT, CALL_ENDING, end_call),
	CELL(CALL_PLAYING, EV_PLAYED, CALL_ENDING, end_call),
	CELL(CALL_PLAYING, EV_CALLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_PLAYING, EV_CONTROLLER_ENDS, CALL_ENDING, end_call),
	CELL(CALL_PLAYING, EV_VOICE_LOST, CALL_ENDING, end_call),
	CELL(CALL_PLAYING, EV_TIMEOUT, CALL_ENDING, end_call),
	CELL(CALL_ENDING, EV_ALL_GONE, CALL_OVER, NULL),
#undef CELL
};
static const struct machine_def announcement_machine = {
	.name = "announcement",
	.doc = "a call at a network server: offered by a controller, taken up by its caller, played, ended",
	.states = state_names, .events = event_names, .state_count = CALL_STATES, .event_count = CALL_EVENTS,
	.cells = cells,
};

static void happen(struct call *call, enum call_event event)
{
	machine_event(call->server->node, &call->machine, event, call);
	sim_changed(call->server->node->sim, call->server->node);
}

static bool ending(const struct call *call)
{
	return call->machine.state >= CALL_ENDING;
}

static void end_with(struct call *call, enum call_event event, const char *reason)
{
	if (ending(call))
		return;
	call->reason = reason;
	happen(call, event);
}

/* Life of a call */

static uint16_t port_of(const struct call *call)
{
	return (uint16_t)(RTP_PORT_FIRST + 2 * call->port);
}

/* There are more ports than lines: one is always free, but those of ending calls rest first. */
static unsigned take_port(struct server *s)
{
	unsigned port;

	while (s->ports[s->next_port])
		s->next_port = (s->next_port + 1) % RTP_PORTS;
	port = s->next_port;
	s->ports[port] = true;
	s->next_port = (port + 1) % RTP_PORTS;
	return port;
}

static struct call *call_new(struct server *s)
{
	struct call *call = sim_alloc(sizeof *call);

	call->server = s;
	call->reason = "";
	call->port = take_port(s);
	machine_start(&call->machine, &announcement_machine, CALL_OFFERED);
	call->next = s->calls;
	s->calls = call;
	s->active++;
	return call;
}

static void drop_key(struct call *call)
{
	if (!call->direct)
		return;
	ipsec_remove(call->direct);
	call->direct = NULL;
	call->server->keys--;
	sim_changed(call->server->node->sim, call->server->node);
}

static void stop_media(struct call *call)
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
static void hang_up(struct call *call)
{
	sim_cancel(call->server->node->sim, &call->timer);
	stop_media(call);
	call->server->ports[call->port] = false;
	call->server->active--;
}

static void call_free(struct call *call)
{
	struct server *s = call->server;
	struct call **at = &s->calls;

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

static void settle(struct call *call)
{
	if (call->machine.state != CALL_ENDING || call->controller_leg || event_pending(&call->timer))
		return;
	happen(call, EV_ALL_GONE);
	call_free(call);
}

static void leg_gone(struct call *call, struct sip_leg *leg)
{
	struct sip_leg **place = leg == call->caller_leg ? &call->caller_leg : &call->controller_leg;

	*place = NULL;
	sip_leg_release(leg);
}

/* After its keys a leg with the caller can say nothing any more. */
static void on_keys_timer(struct sim *sim, struct event *event)
{
	struct call *call = event_owner(event, struct call, timer);

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
	struct call *call = ctx;

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
	end_with(event_owner(event, struct call, timer), EV_TIMEOUT, "caller did not come");
}

static void on_expired(struct association *association)
{
	struct call *call = association->owner;

	call->direct = NULL; /* it is freed after this */
	call->server->keys--;
	end_with(call, EV_TIMEOUT, "association over");
}

/* The controller's offer [0083] */

struct offer { /* an INVITE, read and judged */
	const struct sip_message *invite;
	const struct udp_from *from;
	char id[CALL_ID_MAX + 1], number[SUBSCRIBER_NUMBER_LEN];
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
static bool from_controller(const struct server *s, const struct udp_from *from)
{
	const struct association *a = from->sa;
	const char *principal = a ? a->peer : directory_service_at(world_directory(world_of(s->node->sim)), from->src);

	return principal && strncmp(principal, "sc/", 3) == 0;
}

/* A caller is no server: an association with one must not come between us and that server's own. */
static bool media_usable(const struct server *s, const struct sdp *media)
{
	return media->ip && media->port && ipsec_spi_usable(media->spi) &&
	       (media->payload_type == MEDIA_PCMU || media->payload_type == MEDIA_PCMA) &&
	       !ip_is_local(s->node, media->ip) && ip_source_for(s->node, media->ip) &&
	       !directory_service_at(world_directory(world_of(s->node->sim)), media->ip);
}

static struct verdict judge(const struct server *s, struct offer *offer)
{
	const struct association *a = offer->from->sa;
	struct span id = sip_header(offer->invite, HEADER_CALL);
	char user[64];

	if (!from_controller(s, offer->from))
		return REFUSE("ns.check_controller", 403);
	if (!span_copy(sip_user(offer->invite->uri), user, sizeof user) || !number_digits(user, offer->number) ||
	    strcmp(offer->number, s->number) != 0)
		return REFUSE("ns.unknown_number", 404);
	if (!id.at || !id.len || !span_copy(id, offer->id, sizeof offer->id) ||
	    !sdp_parse(offer->invite->body, &offer->media) || !media_usable(s, &offer->media))
		return REFUSE("ns.media_offer", 488);
	if (ipsec_find_initiated(s->ipsec, offer->media.ip, offer->media.spi)) /* it would be replaced */
		return REFUSE("ns.spi_in_use", 488);
	if (s->active >= s->lines)
		return REFUSE("ns.busy", 486);
	offer->key = a ? call_key_unwrap(a, offer->media.key) : call_key_unwrap_open(ipsec_module(s->ipsec), offer->media.key);
	return offer->key ? PASS : REFUSE("subkey.unwrap", 488);
}

static void refuse(struct server *s, struct sip_leg *leg, const struct udp_from *from, struct verdict verdict,
                   const char *detail)
{
	s->refused++;
	trace_refuse(s->node, verdict.check, from->src, from->tag, detail);
	sip_leg_answer(leg, verdict.status, "", "");
	sip_leg_release(leg);
	sim_changed(s->node->sim, s->node);
}

/* Where our voice is, in the law that the caller speaks. */
static void describe(const struct call *call, char body[BODY_LEN])
{
	struct text t = { body, BODY_LEN, 0, false };
	struct sdp sdp = { .ip = call->server->ip, .port = port_of(call),
		           .payload_type = call->caller_media.payload_type };

	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
}

/* Everything has passed: an association with the caller. False: the key is destroyed. */
static bool take_key(struct call *call, const struct offer *offer)
{
	struct association_request request = { .peer_ip = offer->media.ip, .spi = offer->media.spi, .initiator = false,
		                               .subkey = offer->key, .label = LABEL_CTA_SERVER,
		                               .lifetime_ns = CALL_ASSOCIATION_NS, .expired = on_expired,
		                               .owner = call };

	call->direct = ipsec_add(call->server->ipsec, &request);
	call->server->keys += call->direct != NULL;
	return call->direct != NULL;
}

static void accept(struct server *s, struct sip_leg *leg, const struct offer *offer)
{
	struct call *call = call_new(s);
	char proof[CALL_PROOF_LEN], body[BODY_LEN];

	if (!take_key(call, offer) || !call_key_proof(s->sm, call->direct->subkey, offer->media.spi, proof)) {
		call_free(call);
		refuse(s, leg, offer->from, REFUSE("subkey.unwrap", 488), offer->id);
		return;
	}
	snprintf(call->id, sizeof call->id, "%s", offer->id);
	call->caller_media = (struct sdp){ .ip = offer->media.ip, .port = offer->media.port,
		                           .payload_type = offer->media.payload_type };
	call->controller_leg = leg;
	sip_leg_set_owner(leg, call);
	sim_after(s->node->sim, &call->timer, CALL_OFFER_GUARD_NS, on_offer_guard, "call.offer");
	describe(call, body);
	sip_leg_answer(leg, 200, proof, body);
	sim_changed(s->node->sim, s->node);
}

static void take_offer(struct server *s, struct sip_leg *leg, const struct sip_message *invite,
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

static void on_played(struct sim *sim, struct event *event)
{
	(void)sim;
	end_with(event_owner(event, struct call, timer), EV_PLAYED, "announcement over");
}

static void on_voice_lost(void *ctx)
{
	end_with(ctx, EV_VOICE_LOST, "voice lost");
}

static void play(struct node *node, struct machine *machine, void *ctx)
{
	struct call *call = ctx;
	struct server *s = call->server;
	char body[BODY_LEN];
	struct media_request request = {
		.node = node, .sm = s->sm, .subkey = call->direct->subkey, .label = LABEL_RTP, .initiator = false,
		.local_port = port_of(call), .peer_ip = call->caller_media.ip, .peer_port = call->caller_media.port,
		.payload_type = call->caller_media.payload_type, .mac = world_on(world_of(node->sim), "rtp.mac"),
		.source = MEDIA_ANNOUNCEMENT, .watched = node, .lost_after_ns = s->lost_after_ns, .lost = on_voice_lost,
		.ctx = call,
	};

	(void)machine;
	sim_cancel(node->sim, &call->timer);
	describe(call, body);
	sip_leg_answer(call->caller_leg, 200, "", body);
	call->media = media_start(&request);
	if (!call->media) {
		end_with(call, EV_TIMEOUT, "no voice port");
		return;
	}
	s->answered++;
	if (s->announcement_ns)
		sim_after(node->sim, &call->timer, s->announcement_ns, on_played, "call.announcement");
}

static void take_caller(struct server *s, struct sip_leg *leg, const struct sip_message *invite,
                        const struct udp_from *from)
{
	const struct association *a = from->sa;
	struct call *call = a->owner;

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
	struct server *s = ctx;

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
	struct call *call = sip_leg_owner(leg);
	bool caller = leg == call->caller_leg;

	(void)bye;
	leg_gone(call, leg);
	end_with(call, caller ? EV_CALLER_ENDS : EV_CONTROLLER_ENDS,
	         caller ? "caller hung up" : "controller ended call");
	settle(call);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct call *call = sip_leg_owner(leg);

	if (timed_out && leg == call->controller_leg)
		backend_drop(call->server->backend, sip_leg_peer(leg)); /* it knows nothing of our association */
	leg_gone(call, leg);
	settle(call);
}

/* It calls nobody and answers at once: no progress, answer or rejection can come, and a CANCEL comes too late. */
static const struct sip_owner sip_owner = {
	.invited = on_invited, .acknowledged = on_acknowledged, .hung_up = on_hung_up, .ended = on_ended,
};

/* Tickets: whom the AP exchange admits */

static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct server *s = ctx;
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
	struct server *s = ctx;

	(void)association;
	(void)ticket;
	s->exchanges++;
	sim_changed(s->node->sim, s->node);
}

/* Construction */

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .required = true,
	  .doc = "the KDC it gets tickets from, or what has one in it" },
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "what callers dial: \"800-555-0100\"" },
	{ .name = "lines", .type = VALUE_INT, .preset = "1000", .doc = "calls at once; one more is busy" },
	{ .name = "announcement", .type = VALUE_TIME, .preset = "10s",
	  .doc = "hangs up after so long; 0s: when the caller does" },
	{ .name = "media_timeout", .type = VALUE_TIME, .preset = "5s",
	  .doc = "hangs up when no voice came for so long; 0s: never" },
	{ .name = NULL },
};

static uint32_t first_ip(const struct node *node)
{
	const struct iface *iface = node->ifaces;

	while (iface && !iface->ip)
		iface = iface->next;
	return iface ? iface->ip : 0;
}

static void forget_calls(struct server *s)
{
	while (s->calls)
		call_free(s->calls);
}

static void destroy(struct node *node)
{
	struct server *s = node->state;

	forget_calls(s);
	sip_endpoint_free(s->sip);
	backend_free(s->backend);
	key_management_free(s->km);
	ipsec_free(s->ipsec);
	sm_free(s->sm);
	free(s);
}

static bool check_params(const struct node *node, const struct args *args, char number[SUBSCRIBER_NUMBER_LEN],
                         char error[MODEL_ERROR_LEN])
{
	const char *given = args_text(args, "number", "");
	int64_t lines = args_int(args, "lines", LINES_MAX);

	if (!first_ip(node))
		snprintf(error, MODEL_ERROR_LEN,
		         "a network server needs an address; write on = { link, \"10.104.0.20/24\" }");
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

static void make_parts(struct server *s, uint32_t kdc_ip)
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

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct directory *directory = world_directory(world_of(node->sim));
	char number[SUBSCRIBER_NUMBER_LEN];
	struct server *s;

	if (!check_params(node, args, number, error))
		return false;
	s = sim_alloc(sizeof *s);
	s->node = node;
	s->ip = first_ip(node);
	node->state = s;
	node->destroy = destroy;
	snprintf(s->principal, sizeof s->principal, "ns/%s", node->name);
	snprintf(s->number, sizeof s->number, "%s", number);
	s->lines = (unsigned)args_int(args, "lines", LINES_MAX);
	s->announcement_ns = args_time(args, "announcement", 0);
	s->lost_after_ns = args_time(args, "media_timeout", 0);
	make_parts(s, first_ip(args_node(args, "kdc")));
	directory_service_add(directory, s->principal, s->ip);
	directory_number_set(directory, s->number, s->principal);
	return true;
}

static void power_on(struct node *node)
{
	struct server *s = node->state;

	key_management_reset(s->km);
	sip_endpoint_reset(s->sip);
}

static void restart(struct node *node)
{
	struct server *s = node->state;

	forget_calls(s);
	backend_reset(s->backend);
	ipsec_reset(s->ipsec);
	power_on(node);
	sim_changed(node->sim, node);
}

/* What a scenario may ask */

static struct media_counters voice(const struct server *s)
{
	struct media_counters sum = s->counted, count;

	for (const struct call *call = s->calls; call; call = call->next) {
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

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct server *s = node->state;
	struct media_counters heard = voice(s);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "calls", s->active }, { "call_keys", s->keys }, { "answered", s->answered },
		{ "refused", s->refused }, { "associations", ipsec_count(s->ipsec) },
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

static const struct attribute attributes[] = {
	{ "number", VALUE_TEXT, "its number, digits" },
	{ "calls", VALUE_INT, "calls that have a line: offered or playing" },
	{ "call_keys", VALUE_INT, "sub-keys of calls it holds" },
	{ "answered", VALUE_INT, "calls answered, so far" },
	{ "refused", VALUE_INT, "INVITEs refused, so far" },
	{ "associations", VALUE_INT, "security associations with servers and callers" },
	{ "exchanges", VALUE_INT, "AP exchanges accepted" },
	{ "rtp_sent", VALUE_INT, "voice packets sent, so far" },
	{ "rtp_received", VALUE_INT, "voice packets received that decrypted to what a caller may send" },
	{ "rtp_lost", VALUE_INT, "voice packets missing by their sequence numbers" },
	{ "rtp_refused", VALUE_INT, "voice packets refused" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &announcement_machine, NULL };

const struct model model_network_server = {
	.name = "network_server",
	.doc = "network server: plays an announcement to CTAs that dial its number, under a CTA-to-server sub-key",
	.params = params, .attributes = attributes, .machines = machines, .create = create, .start = power_on,
	.get = get, .restart = restart,
};

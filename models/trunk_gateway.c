/*
 * POTS trunk gateway: ends the encrypted voice of calls between CTAs and the PSTN and carries it on circuits (patent
 * [0040], [0094]-[0095], [0125]; flows.md 4, variants CTA -> PSTN and PSTN -> CTA).
 *
 * A signaling gateway reserves a circuit with a call's sub-key and connects it when the call is answered
 * (models/gateway_control.h). From then on each 20 ms of voice from the CTA go out on the circuit
 * (models/trunk_bearer.h) and back, from one law of G.711 to the other where the CTA speaks A-law; between the two
 * clocks is a short buffer a way. The signaling gateway is the master of its circuits: a new reservation of one takes
 * the place of an old one, which a restarted signaling gateway has forgotten.
 *
 * Keys that the CTA presses come as telephone events (RFC 2833) and go out on the circuit as tones
 * (models/dtmf_tone.h), and the other way round; the CTA gets hardly anything of the tones themselves.
 *
 * The sub-key dies when the voice's keys have been made from it, those when the call ends. A restart loses calls,
 * associations and tickets.
 *
 * Only servers may have an association by ticket: "sc.not_us", "tg.check_service". Refusals of an INVITE, each with
 * its response: "tg.check_gateway" 403 (not from a signaling gateway), "tg.circuit" 404 (none of ours),
 * "tg.held" 403 (another signaling gateway has the circuit), "tg.media_offer" 488, "subkey.unwrap" 488. Of an INFO:
 * "tg.connect" (no place that voice could go to), "tg.circuit", "tg.held" (it names another circuit).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"
#include "models/dtmf_tone.h"
#include "models/gateway_control.h"
#include "models/media.h"
#include "models/model.h"
#include "models/trunk_bearer.h"
#include "models/trunk_group.h"
#include "sim/service.h"

#define CONNECT_GUARD_NS (300 * NS_PER_S) /* a reservation that is not connected: longer than anybody rings */
#define RTP_PORT_FIRST 16384
#define RTP_PORTS (4 * TRUNK_CIRCUITS_MAX) /* even ones, in turn: voice of the call before finds no new ear */
#define BUFFER_PACKETS 6                  /* 120 ms */
#define BUFFER_START 2                    /* packets that wait before the first is taken: evens out 20 ms of jitter */
#define BODY_LEN 512

struct buffer { /* of one way */
	uint8_t octets[BUFFER_PACKETS][RTP_PAYLOAD_LEN];
	unsigned first, count;
	bool playing;
	uint64_t slips; /* times that it was full, or ran empty while playing */
};

struct trunk { /* the element */
	struct gateway gateway; /* first: its node's state is read through it too */
	uint32_t trunk_ip, pstn_ip;
	unsigned circuits;
	sim_ns lost_after_ns;
	struct connection *connections; /* those that are ending too */
	struct connection **by_circuit; /* those that are not */
	unsigned active, keys;
	bool ports[RTP_PORTS];
	unsigned next_port;
	uint64_t connected, refused, slips, keys_out, keys_in; /* keys: to the circuit, to the CTA */
	struct media_counters heard;           /* of all media that has stopped */
	struct trunk_bearer_counters carried;  /* of all bearers that have stopped */
};

struct connection {
	struct connection *next;
	struct trunk *trunk;
	struct machine machine;
	char id[CALL_ID_MAX + 1];
	unsigned circuit, port;
	bool callee;                   /* the PSTN's end is the called one */
	struct sip_leg *leg;           /* NULL: ended for good */
	uint32_t gateway_ip;
	key_handle subkey;             /* until the voice has its own */
	struct sdp place;              /* where the CTA takes its voice */
	struct media *media;
	struct trunk_bearer *bearer;
	struct buffer to_circuit, to_cta;
	struct dtmf_tone_sender tones;
	struct dtmf_tone_receiver ear;
	const char *reason;
	struct event guard;
};

/* The table */

enum state { TRUNK_RESERVED, TRUNK_CONNECTED, TRUNK_ENDING, TRUNK_OVER, TRUNK_STATES };
enum event_code { EV_CONNECT, EV_GATEWAY_ENDS, EV_REPLACED, EV_RESET, EV_VOICE_LOST, EV_TIMEOUT, EV_LEG_GONE,
	          TRUNK_EVENTS };
static const char *const state_names[] = { "Reserved", "Connected", "Ending", "Over" };
static const char *const event_names[] = { "connect", "signaling gateway ends", "circuit reserved anew",
	                                   "signaling gateway has started", "voice lost",
                                           "time-out", "leg gone" };

static machine_action connect_voice, end_connection;

static const struct machine_cell cells[TRUNK_STATES * TRUNK_EVENTS] = {
#define CELL(state, event, next, action) [(state) * TRUNK_EVENTS + (event)] = { true, next, action }
	CELL(TRUNK_RESERVED, EV_CONNECT, TRUNK_CONNECTED, connect_voice),
	CELL(TRUNK_RESERVED, EV_GATEWAY_ENDS, TRUNK_ENDING, end_connection),
	CELL(TRUNK_RESERVED, EV_REPLACED, TRUNK_ENDING, end_connection),
	CELL(TRUNK_RESERVED, EV_RESET, TRUNK_ENDING, end_connection),
	CELL(TRUNK_RESERVED, EV_TIMEOUT, TRUNK_ENDING, end_connection),
	CELL(TRUNK_CONNECTED, EV_GATEWAY_ENDS, TRUNK_ENDING, end_connection),
	CELL(TRUNK_CONNECTED, EV_REPLACED, TRUNK_ENDING, end_connection),
	CELL(TRUNK_CONNECTED, EV_RESET, TRUNK_ENDING, end_connection),
	CELL(TRUNK_CONNECTED, EV_VOICE_LOST, TRUNK_ENDING, end_connection),
	CELL(TRUNK_CONNECTED, EV_TIMEOUT, TRUNK_ENDING, end_connection),
	CELL(TRUNK_ENDING, EV_LEG_GONE, TRUNK_OVER, NULL),
#undef CELL
};
static const struct machine_def trunk_machine = {
	.name = "trunk", .doc = "a circuit at the trunk gateway: reserved, connected to a CTA's voice, ended",
	.states = state_names,
	.events = event_names, .state_count = TRUNK_STATES, .event_count = TRUNK_EVENTS, .cells = cells,
};

static struct node *node_of(const struct connection *c)
{
	return c->trunk->gateway.node;
}

static void changed(const struct trunk *t)
{
	sim_changed(t->gateway.node->sim, t->gateway.node);
}

static bool ending(const struct connection *c)
{
	return c->machine.state >= TRUNK_ENDING;
}

static void end_with(struct connection *c, enum event_code event, const char *reason)
{
	if (ending(c))
		return;
	c->reason = reason;
	machine_event(node_of(c), &c->machine, event, c);
	changed(c->trunk);
}

/* Voice between the two clocks */

static void buffer_put(struct buffer *b, const uint8_t octets[RTP_PAYLOAD_LEN])
{
	if (b->count == BUFFER_PACKETS) {
		b->first = (b->first + 1) % BUFFER_PACKETS;
		b->count--;
		b->slips++;
	}
	memcpy(b->octets[(b->first + b->count++) % BUFFER_PACKETS], octets, RTP_PAYLOAD_LEN);
}

static void buffer_clear(struct buffer *b)
{
	b->count = 0;
	b->playing = false;
}

static void buffer_take(struct buffer *b, uint8_t *octets)
{
	if (b->count >= BUFFER_START)
		b->playing = true;
	if (!b->playing || !b->count) {
		b->slips += b->playing;
		b->playing = false;
		memset(octets, TRUNK_SILENCE, RTP_PAYLOAD_LEN);
		return;
	}
	memcpy(octets, b->octets[b->first], RTP_PAYLOAD_LEN);
	b->first = (b->first + 1) % BUFFER_PACKETS;
	b->count--;
}

/* ITU-T G.711 section 3: between the laws, by way of linear samples. */
static void to_mu_law(uint8_t *octets)
{
	for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++)
		octets[i] = g711_ulaw(g711_alaw_decode(octets[i]));
}

static void to_a_law(uint8_t *octets)
{
	for (unsigned i = 0; i < RTP_PAYLOAD_LEN; i++)
		octets[i] = g711_alaw(g711_ulaw_decode(octets[i]));
}

static void on_cta_voice(void *ctx, const uint8_t *payload, size_t len, uint32_t timestamp)
{
	struct connection *c = ctx;
	uint8_t octets[RTP_PAYLOAD_LEN];

	(void)timestamp;
	for (size_t at = 0; at + RTP_PAYLOAD_LEN <= len; at += RTP_PAYLOAD_LEN) {
		memcpy(octets, payload + at, RTP_PAYLOAD_LEN);
		if (c->place.payload_type == MEDIA_PCMA)
			to_mu_law(octets);
		buffer_put(&c->to_circuit, octets);
	}
}

static void fill_for_cta(void *ctx, uint8_t *payload)
{
	struct connection *c = ctx;

	buffer_take(&c->to_cta, payload);
	if (c->place.payload_type == MEDIA_PCMA)
		to_a_law(payload);
}

static void on_circuit_voice(void *ctx, const uint8_t octets[RTP_PAYLOAD_LEN])
{
	struct connection *c = ctx;
	char key;

	if (!c->media) /* nobody would hear it */
		return;
	key = dtmf_tone_hear(&c->ear, octets);
	if (key && media_send_digits(c->media, (char[]){ key, '\0' })) {
		c->trunk->keys_in++;
		buffer_clear(&c->to_cta); /* its beginning waits there */
	}
	if (!dtmf_tone_lasts(&c->ear)) /* the CTA has the event instead */
		buffer_put(&c->to_cta, octets);
}

/* While a tone is sent no voice is taken: the event was in the place of as many packets of it. */
static void fill_for_circuit(void *ctx, uint8_t octets[RTP_PAYLOAD_LEN])
{
	struct connection *c = ctx;

	if (!dtmf_tone_fill(&c->tones, octets))
		buffer_take(&c->to_circuit, octets);
}

/* A hook flash has no tone; what more is pressed than can wait is lost. */
static void on_cta_key(void *ctx, char key)
{
	struct connection *c = ctx;

	if (dtmf_tone_press(&c->tones, (char[]){ key, '\0' }))
		c->trunk->keys_out++;
}

static void on_cta_lost(void *ctx)
{
	end_with(ctx, EV_VOICE_LOST, "voice lost");
}

static void on_circuit_lost(void *ctx)
{
	end_with(ctx, EV_VOICE_LOST, "circuit silent");
}

/* Life of a connection */

static uint16_t port_of(const struct connection *c)
{
	return (uint16_t)(RTP_PORT_FIRST + 2 * c->port);
}

/* There are more ports than circuits: one is always free, but those of ended calls rest first. */
static unsigned take_port(struct trunk *t)
{
	unsigned port;

	while (t->ports[t->next_port])
		t->next_port = (t->next_port + 1) % RTP_PORTS;
	port = t->next_port;
	t->ports[port] = true;
	t->next_port = (port + 1) % RTP_PORTS;
	return port;
}

static void drop_key(struct connection *c)
{
	if (!c->subkey)
		return;
	sm_destroy_key(c->trunk->gateway.sm, c->subkey);
	c->subkey = 0;
	c->trunk->keys--;
}

static void stop_voice(struct connection *c)
{
	struct trunk *t = c->trunk;

	if (c->media) {
		struct media_counters m = media_counters(c->media);

		t->heard.sent += m.sent;
		t->heard.received += m.received;
		t->heard.refused += m.refused;
		t->heard.lost += m.lost;
	}
	if (c->bearer) {
		struct trunk_bearer_counters b = trunk_bearer_counters(c->bearer);

		t->carried.sent += b.sent;
		t->carried.received += b.received;
		t->carried.refused += b.refused;
	}
	t->slips += c->to_circuit.slips + c->to_cta.slips;
	c->to_circuit.slips = c->to_cta.slips = 0;
	media_stop(c->media);
	trunk_bearer_stop(c->bearer);
	c->media = NULL;
	c->bearer = NULL;
}

/* The circuit is free for the next call; everything of the sub-key is gone. */
static void hang_up(struct connection *c)
{
	struct trunk *t = c->trunk;

	sim_cancel(node_of(c)->sim, &c->guard);
	stop_voice(c);
	drop_key(c);
	t->ports[c->port] = false;
	t->by_circuit[c->circuit - 1] = NULL;
	t->active--;
}

static void connection_free(struct connection *c)
{
	struct trunk *t = c->trunk;
	struct connection **at = &t->connections;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (!ending(c))
		hang_up(c);
	free(c);
	changed(t);
}

static void leg_gone(struct connection *c)
{
	sip_leg_release(c->leg);
	c->leg = NULL;
	if (c->machine.state != TRUNK_ENDING)
		return;
	machine_event(node_of(c), &c->machine, EV_LEG_GONE, c);
	connection_free(c);
}

static void on_keyed(void *ctx, bool ready)
{
	(void)ctx; /* the farewell is repeated and will find the association, or not */
	(void)ready;
}

static void end_connection(struct node *node, struct machine *machine, void *ctx)
{
	struct connection *c = ctx;

	(void)node;
	(void)machine;
	hang_up(c);
	if (!c->leg)
		return;
	sip_leg_end(c->leg, c->reason);
	backend_ensure(c->trunk->gateway.backend, sip_leg_peer(c->leg), on_keyed, c->trunk);
}

static void on_guard(struct sim *sim, struct event *event)
{
	(void)sim;
	end_with(event_owner(event, struct connection, guard), EV_TIMEOUT, "not connected");
}

static void connect_voice(struct node *node, struct machine *machine, void *ctx)
{
	struct connection *c = ctx;
	struct trunk *t = c->trunk;
	struct media_request media = {
		.node = node, .sm = t->gateway.sm, .subkey = c->subkey, .label = LABEL_RTP, .initiator = !c->callee,
		.local_port = port_of(c), .peer_ip = c->place.ip, .peer_port = c->place.port,
		.payload_type = c->place.payload_type,
		.mac = world_on(world_of(node->sim), "rtp.mac"), .source = MEDIA_OWNER, .watched = node,
		.lost_after_ns = t->lost_after_ns, .lost = on_cta_lost, .played = on_cta_voice, .digit = on_cta_key,
		.fill = fill_for_cta,
		.ctx = c,
	};

	(void)machine;
	sim_cancel(node->sim, &c->guard);
	c->media = media_start(&media);
	drop_key(c);
	if (!c->media || !c->bearer) {
		end_with(c, EV_TIMEOUT, "no voice port");
		return;
	}
	trunk_bearer_talk(c->bearer);
	t->connected++;
}

/* The signaling gateway */

struct offer { /* an INVITE, read and judged */
	const struct sip_message *invite;
	const struct udp_from *from;
	char id[CALL_ID_MAX + 1];
	unsigned circuit;
	bool callee;
	struct sdp media;
	key_handle key;
};
struct verdict { /* check NULL: none against it */
	const char *check;
	int status;
};
#define REFUSE(name, code) ((struct verdict){ name, code })

static bool law_known(uint8_t payload_type)
{
	return payload_type == MEDIA_PCMU || payload_type == MEDIA_PCMA;
}

static struct verdict judge(const struct trunk *t, struct offer *o)
{
	const char *speaker = gateway_speaker(&t->gateway, o->from);

	if (!speaker || strncmp(speaker, "sg/", 3) != 0)
		return REFUSE("tg.check_gateway", 403);
	if (!circuit_read(o->invite, &o->circuit, &o->callee) || o->circuit > t->circuits)
		return REFUSE("tg.circuit", 404);
	if (t->by_circuit[o->circuit - 1] && t->by_circuit[o->circuit - 1]->gateway_ip != o->from->src)
		return REFUSE("tg.held", 403);
	if (!gateway_call_id(o->invite, o->id) || !sdp_parse(o->invite->body, &o->media) ||
	    !law_known(o->media.payload_type) || !o->media.spi)
		return REFUSE("tg.media_offer", 488);
	o->key = gateway_unwrap(&t->gateway, o->from, o->media.key);
	return o->key ? (struct verdict){ NULL, 0 } : REFUSE("subkey.unwrap", 488);
}

static void refuse(struct trunk *t, struct sip_leg *leg, const struct udp_from *from, struct verdict verdict,
                   const char *detail)
{
	t->refused++;
	trace_refuse(t->gateway.node, verdict.check, from->src, from->tag, detail);
	sip_leg_answer(leg, verdict.status, "", "");
	sip_leg_release(leg);
	changed(t);
}

static struct trunk_bearer *start_bearer(struct connection *c)
{
	const struct trunk *t = c->trunk;
	struct trunk_bearer_request bearer = {
		.node = t->gateway.node, .circuit = c->circuit, .local_ip = t->trunk_ip, .peer_ip = t->pstn_ip,
		.fill = fill_for_circuit, .heard = on_circuit_voice, .lost_after_ns = t->lost_after_ns,
		.lost = on_circuit_lost, .ctx = c,
	};

	return trunk_bearer_start(&bearer);
}

static struct connection *reserve(struct trunk *t, struct sip_leg *leg, const struct offer *o)
{
	struct connection *c = sim_alloc(sizeof *c);

	c->trunk = t;
	c->leg = leg;
	c->gateway_ip = o->from->src;
	c->reason = "";
	c->circuit = o->circuit;
	c->callee = o->callee;
	c->subkey = o->key;
	c->port = take_port(t);
	c->place.payload_type = o->media.payload_type;
	snprintf(c->id, sizeof c->id, "%s", o->id);
	machine_start(&c->machine, &trunk_machine, TRUNK_RESERVED);
	c->next = t->connections;
	t->connections = c;
	t->by_circuit[c->circuit - 1] = c;
	t->active++;
	t->keys++;
	sip_leg_set_owner(leg, c);
	c->bearer = start_bearer(c);
	sim_after(t->gateway.node->sim, &c->guard, CONNECT_GUARD_NS, on_guard, "trunk.connect");
	return c;
}

static void answer(struct connection *c, const char *proof)
{
	char body[BODY_LEN];
	struct text text = { body, sizeof body, 0, false };
	struct sdp sdp = { .ip = c->trunk->gateway.ip, .port = port_of(c), .payload_type = c->place.payload_type };

	sdp_write(&text, &sdp, 1);
	text_put(&text, "", 1);
	sip_leg_answer(c->leg, 200, proof, body);
}

/* A signaling gateway has started: what it had reserved before it knows nothing of. Its leg has no connection. */
static void take_reset(struct trunk *t, struct sip_leg *leg, const struct udp_from *from)
{
	const char *speaker = gateway_speaker(&t->gateway, from);

	if (!speaker || strncmp(speaker, "sg/", 3) != 0) {
		refuse(t, leg, from, REFUSE("tg.check_gateway", 403), "reset");
		return;
	}
	for (struct connection *c = t->connections; c; c = c->next)
		if (!ending(c) && c->gateway_ip == from->src)
			end_with(c, EV_RESET, "circuits reset");
	sip_leg_set_owner(leg, NULL);
	sip_leg_answer(leg, 200, "", "");
}

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	struct trunk *t = ctx;
	struct offer offer = { .invite = invite, .from = from };
	struct verdict verdict;
	char proof[CALL_PROOF_LEN];

	service_charge(t->gateway.node, &(struct service_cost){ .messages = 1 });
	if (circuit_is_reset(invite)) {
		take_reset(t, leg, from);
		return true;
	}
	verdict = judge(t, &offer);
	if (!verdict.check && !call_key_proof(t->gateway.sm, offer.key, offer.media.spi, proof)) {
		sm_destroy_key(t->gateway.sm, offer.key);
		verdict = REFUSE("subkey.unwrap", 488);
	}
	if (verdict.check) {
		refuse(t, leg, from, verdict, offer.id);
		return true;
	}
	if (t->by_circuit[offer.circuit - 1])
		end_with(t->by_circuit[offer.circuit - 1], EV_REPLACED, "circuit reserved anew");
	answer(reserve(t, leg, &offer), proof);
	changed(t);
	return true;
}

/* The check that an INFO fails which names a circuit; NULL: the reservation is for that one now. */
static const char *move_circuit(struct connection *c, const struct sip_message *info)
{
	struct trunk *t = c->trunk;
	struct connection *old;
	unsigned circuit;
	bool callee;

	if (!circuit_read(info, &circuit, &callee) || circuit > t->circuits || callee != c->callee)
		return "tg.circuit";
	old = t->by_circuit[circuit - 1];
	if (old == c)
		return NULL;
	if (old && old->gateway_ip != c->gateway_ip)
		return "tg.held";
	if (old)
		end_with(old, EV_REPLACED, "circuit reserved anew");
	trunk_bearer_stop(c->bearer);
	t->by_circuit[c->circuit - 1] = NULL;
	c->circuit = circuit;
	t->by_circuit[circuit - 1] = c;
	c->bearer = start_bearer(c);
	return NULL;
}

/* Repeated it changes nothing: the first that came counts. */
static void on_informed(struct sip_leg *leg, const struct sip_message *info)
{
	struct connection *c = sip_leg_owner(leg);
	const struct node *node = sip_leg_node(leg);
	const char *check = NULL;
	struct sdp place;

	if (!c || c->machine.state != TRUNK_RESERVED)
		return;
	if (sip_header(info, HEADER_CIRCUIT).at)
		check = move_circuit(c, info);
	if (check) {
		trace_refuse(node, check, sip_leg_peer(leg), 0, c->id);
		return;
	}
	if (sip_header(info, HEADER_CIRCUIT).at && !sip_header(info, HEADER_CONNECT).at)
		return;
	if (!connect_read(info, &place) || !law_known(place.payload_type) ||
	    place.payload_type != c->place.payload_type ||
	    ip_is_local(node, place.ip) || !ip_source_for(node, place.ip)) {
		trace_refuse(node, "tg.connect", sip_leg_peer(leg), 0, c->id);
		return;
	}
	c->place = place;
	machine_event(node_of(c), &c->machine, EV_CONNECT, c);
	changed(c->trunk);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	if (!ack && sip_leg_owner(leg))
		end_with(sip_leg_owner(leg), EV_TIMEOUT, "no ACK");
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct connection *c = sip_leg_owner(leg);

	(void)bye;
	sip_leg_release(leg);
	if (!c)
		return;
	c->leg = NULL;
	end_with(c, EV_GATEWAY_ENDS, "call over");
	machine_event(node_of(c), &c->machine, EV_LEG_GONE, c);
	connection_free(c);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct trunk *t = sip_leg_node(leg)->state;
	struct connection *c = sip_leg_owner(leg);

	if (timed_out)
		backend_drop(t->gateway.backend, sip_leg_peer(leg)); /* it knows nothing of our association */
	if (c)
		leg_gone(c);
	else
		sip_leg_release(leg);
}

/* It calls nobody and answers at once: no progress, answer or rejection can come, and a CANCEL comes too late. */
static const struct sip_owner sip_owner = {
	.invited = on_invited, .acknowledged = on_acknowledged, .hung_up = on_hung_up, .ended = on_ended,
	.informed = on_informed,
};

/* Construction */

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "the KDC it gets tickets from, or its machine" },
	{ .name = "pstn", .type = VALUE_TEXT, .required = true,
	  .doc = "address of the PSTN's end on the trunk link: \"10.203.0.10\"" },
	{ .name = "circuits", .type = VALUE_INT, .preset = "24", .doc = "of the trunk group: a T1's" },
	{ .name = "media_timeout", .type = VALUE_TIME, .preset = "5s",
	  .doc = "gives a circuit up when no voice came for so long from either side; 0s: never" },
	{ .name = NULL },
};

static void forget(struct trunk *t)
{
	while (t->connections)
		connection_free(t->connections);
}

static void destroy(struct node *node)
{
	struct trunk *t = node->state;

	forget(t);
	gateway_free(&t->gateway);
	free(t->by_circuit);
	free(t);
}

static bool check_params(const struct node *node, const struct args *args, uint32_t *pstn, char error[MODEL_ERROR_LEN])
{
	const char *given = args_text(args, "pstn", "");
	int64_t circuits = args_int(args, "circuits", 24);

	if (!ip_parse(given, pstn) || !gateway_ip_towards(node, *pstn))
		snprintf(error, MODEL_ERROR_LEN,
		         "pstn must be an address on a link of the trunk gateway, found \"%s\"; "
		         "write pstn = \"10.203.0.10\"", given);
	else if (circuits < 1 || circuits > TRUNK_CIRCUITS_MAX)
		snprintf(error, MODEL_ERROR_LEN, "circuits must be 1 to %d, found %lld; write circuits = 24",
		         TRUNK_CIRCUITS_MAX, (long long)circuits);
	else
		return true;
	return false;
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct trunk *t;
	uint32_t pstn;

	if (!check_params(node, args, &pstn, error))
		return false;
	t = sim_alloc(sizeof *t);
	node->state = t;
	node->destroy = destroy;
	t->pstn_ip = pstn;
	t->trunk_ip = gateway_ip_towards(node, pstn);
	t->circuits = (unsigned)args_int(args, "circuits", 24);
	t->by_circuit = sim_alloc(t->circuits * sizeof *t->by_circuit);
	t->lost_after_ns = args_time(args, "media_timeout", 0);
	gateway_make(&t->gateway, node, gateway_first_ip(node), "tg", "tg.check_service",
	             gateway_first_ip(args_node(args, "kdc")), &sip_owner, t);
	return true;
}

static void power_on(struct node *node)
{
	gateway_start(&((struct trunk *)node->state)->gateway);
}

static void restart(struct node *node)
{
	struct trunk *t = node->state;

	forget(t);
	gateway_restart(&t->gateway);
	changed(t);
}

/* What a scenario may ask */

static void add_live(const struct trunk *t, struct media_counters *heard, struct trunk_bearer_counters *carried,
                     uint64_t *slips)
{
	for (const struct connection *c = t->connections; c; c = c->next) {
		struct media_counters m = c->media ? media_counters(c->media) : (struct media_counters){ 0 };
		struct trunk_bearer_counters b = { 0 };

		if (c->bearer)
			b = trunk_bearer_counters(c->bearer);
		heard->sent += m.sent;
		heard->received += m.received;
		heard->refused += m.refused;
		heard->lost += m.lost;
		carried->sent += b.sent;
		carried->received += b.received;
		carried->refused += b.refused;
		*slips += c->to_circuit.slips + c->to_cta.slips;
	}
}

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct trunk *t = node->state;
	struct media_counters heard = t->heard;
	struct trunk_bearer_counters carried = t->carried;
	uint64_t slips = t->slips;

	add_live(t, &heard, &carried, &slips);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "calls", t->active }, { "call_keys", t->keys }, { "connected", t->connected },
		{ "refused", t->refused },
		{ "associations", ipsec_count(t->gateway.ipsec) }, { "exchanges", t->gateway.exchanges },
		{ "rtp_sent", heard.sent },
		{ "rtp_received", heard.received }, { "rtp_lost", heard.lost }, { "rtp_refused", heard.refused },
		{ "circuit_sent", carried.sent }, { "circuit_received", carried.received },
		{ "circuit_refused", carried.refused },
		{ "slips", slips }, { "keys_to_circuit", t->keys_out }, { "keys_to_cta", t->keys_in },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	return false;
}

static const struct attribute attributes[] = {
	{ "calls", VALUE_INT, "circuits reserved or connected" },
	{ "call_keys", VALUE_INT, "sub-keys of calls it holds: of those not connected yet" },
	{ "connected", VALUE_INT, "circuits connected, so far" },
	{ "refused", VALUE_INT, "INVITEs refused, so far" },
	{ "associations", VALUE_INT, "security associations with servers" },
	{ "exchanges", VALUE_INT, "AP exchanges accepted" },
	{ "rtp_sent", VALUE_INT, "voice packets sent to CTAs, so far" },
	{ "rtp_received", VALUE_INT, "voice packets received that decrypted to what a CTA may send" },
	{ "rtp_lost", VALUE_INT, "voice packets missing by their sequence numbers" },
	{ "rtp_refused", VALUE_INT, "voice packets refused" },
	{ "circuit_sent", VALUE_INT, "packets of 20 ms sent on circuits, so far" },
	{ "circuit_received", VALUE_INT, "packets of 20 ms received from circuits" },
	{ "circuit_refused", VALUE_INT, "packets from elsewhere, or malformed, on circuits" },
	{ "keys_to_circuit", VALUE_INT, "keys that CTAs pressed and circuits got as tones, so far" },
	{ "keys_to_cta", VALUE_INT, "keys heard on circuits that CTAs got as telephone events, so far" },
	{ "slips", VALUE_INT, "times that a buffer was full or ran empty" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &trunk_machine, NULL };

const struct model model_trunk_gateway = {
	.name = "trunk_gateway",
	.doc = "POTS trunk gateway: ends the encrypted voice of calls with the PSTN and carries it on circuits",
	.params = params, .attributes = attributes, .machines = machines, .create = create, .start = power_on,
	.get = get, .restart = restart,
};

/* What the attacker sends, and what it does with an account of its own; see attacker.h. */
#include "models/attacker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/kerberos_attack.h"
#include "models/message.h"
#include "models/wire/pktc.h"
#include "models/wire/sip.h"

#define FORGED_SPI 0x10000u

/* Sending */

static size_t on_answer_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct deed *d = ctx;

	(void)tag;
	if (len < WIRE_LENGTH_PREFIX || len - WIRE_LENGTH_PREFIX < get_be32(bytes))
		return len > WIRE_LENGTH_PREFIX + KRB_MESSAGE_MAX ? len : 0;
	snprintf(d->answer, sizeof d->answer, "%s", kerberos_kind(bytes + WIRE_LENGTH_PREFIX, get_be32(bytes)));
	deed_changed(d);
	tcp_close(conn);
	return len;
}

static void on_send_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct deed *d = ctx;

	(void)conn;
	(void)how;
	d->conn = NULL;
	if (d->track.fate != FATE_SENT)
		deed_let_go(d);
}

static const struct tcp_handler send_side = { .received = on_answer_bytes, .closed = on_send_closed };

/* A message that came in TCP goes over a connection of our own, from our own address. */
static void send_message(struct deed *d)
{
	struct node *node = d->attacker->node;
	uint8_t framed[WIRE_LENGTH_PREFIX + KRB_MESSAGE_MAX];
	uint64_t tag;

	put_be32(framed, (uint32_t)d->message.len);
	memcpy(framed + WIRE_LENGTH_PREFIX, d->message.bytes, d->message.len);
	tag = message_announce(node, 0, d->view.dst, wire_kind_name(d->view.kind), &form_kerberos, d->message.bytes,
	                       d->message.len);
	d->conn = tcp_connect(node, 0, d->view.dst, d->view.dport, &send_side, d);
	deed_track(d, tag, d->view.dst);
	tcp_send(d->conn, framed, WIRE_LENGTH_PREFIX + d->message.len, tag);
}

static void on_due(struct sim *sim, struct event *event)
{
	struct deed *d = event_owner(event, struct deed, due);
	struct attacker *a = d->attacker;
	struct packet *frame = d->packet;

	(void)sim;
	d->ready = true;
	deed_changed(d); /* first: a packet that is lost at once may be the end of it */
	if (!frame) {
		send_message(d);
		return;
	}
	d->packet = NULL;
	deed_announce(d, frame, &d->view);
	link_inject(a->link, a->iface, NULL, frame, 0);
}

/* A packet with any source address goes its way through our own node. */
static void on_due_forged(struct sim *sim, struct event *event)
{
	struct deed *d = event_owner(event, struct deed, due);
	struct attacker *a = d->attacker;
	struct packet *frame = d->packet;
	struct ip_info info = { .src = d->view.src, .dst = d->view.dst, .proto = d->view.proto };

	(void)sim;
	d->packet = NULL;
	d->ready = true;
	deed_changed(d);
	deed_announce(d, frame, &d->view);
	info.tag = frame->tag;
	packet_pull(frame, d->view.segment_at);
	ip_send(a->node, &info, frame);
}

/* Verbs: sending */

/* For what goes by its own IP layer. */
static bool has_route(const struct node *node, uint32_t dst, struct verb_result *result)
{
	char text[IP_TEXT_LEN];
	bool known = ip_source_for(node, dst) != 0;

	if (!known)
		snprintf(result->error, sizeof result->error, "%s has no route to %s; write gateway = \"10.1.0.1\" at its making",
		         node->name, ip_text(dst, text));
	return known;
}

/* Another destination: address, frame's receiver, checksums. */
static void redirect(struct attacker *a, struct deed *d, uint32_t dst)
{
	struct iface *to = link_neighbour(a->link, dst);

	d->view.dst = dst;
	if (!d->packet)
		return;
	put_be32(d->packet->data + d->view.ip_at + 16, dst);
	if (to)
		memcpy(d->packet->data, to->mac, 6);
	wire_checksums(d->packet->data, &d->view);
}

void attacker_verb_send(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct value *given = args_get(args, "capture");
	const struct deed *c = (const struct deed *)given->object;
	const struct node *to = args_node(args, "to");
	struct deed *d;

	if (given->object->class_ != &attacker_capture_class || given->object->node != node)
		snprintf(result->error, sizeof result->error, "what is sent must be a capture of %s itself", node->name);
	else if (!c->ready)
		snprintf(result->error, sizeof result->error, "nothing has been captured yet; give the capture within = \"30s\"");
	else if (c->message.bytes && c->view.dport != KDC_PORT)
		snprintf(result->error, sizeof result->error, "an answer that came in TCP has a connection no more");
	else if (to && (!to->ifaces || !to->ifaces->ip))
		snprintf(result->error, sizeof result->error, "%s has no address", to->name);
	else if (c->message.bytes)
		has_route(node, to ? to->ifaces->ip : c->view.dst, result);
	if (result->error[0])
		return;
	d = deed_new(node, DEED_SEND, &attacker_sent_class);
	d->view = c->view;
	if (c->message.bytes)
		der_copy(&d->message, c->message.bytes, c->message.len);
	else
		d->packet = packet_copy(c->packet);
	if (to)
		redirect(d->attacker, d, to->ifaces->ip);
	deed_hold(&d->attacker->others, d);
	sim_after(node->sim, &d->due, args_time(args, "after", 0), on_due, "attacker.send");
	result->value = value_object(&d->object);
}

/* The payload out of `bytes` or `hex`; -1 with an error. */
static long payload_args(const struct args *args, uint8_t out[INJECT_MAX], struct verb_result *result)
{
	const struct value *bytes = args_get(args, "bytes");
	const char *hex = args_text(args, "hex", NULL);
	long len = -1;

	if (bytes && hex)
		snprintf(result->error, sizeof result->error, "give bytes or hex, not both");
	else if (bytes && bytes->text.len > INJECT_MAX)
		snprintf(result->error, sizeof result->error, "bytes are more than %d", INJECT_MAX);
	else if (bytes)
		memcpy(out, bytes->text.bytes, (size_t)(len = (long)bytes->text.len));
	else if (hex && (len = hex_decode(span_of(hex), out, INJECT_MAX)) < 0)
		snprintf(result->error, sizeof result->error, "hex must be pairs of hex digits, at most %d of them", INJECT_MAX);
	else if (!hex)
		snprintf(result->error, sizeof result->error, "there is no payload; write bytes = \"...\" or hex = \"...\"");
	return result->error[0] ? -1 : len;
}

/* A frame as it would be on our link, so that it is read like any other. */
static struct packet *forge(const struct attacker *a, uint8_t proto, uint32_t src, uint32_t dst, const uint16_t ports[2],
                            const uint8_t *payload, uint32_t len)
{
	uint32_t front = ETHERNET_HEADER_LEN + IP_HEADER_LEN, header_len = proto == IP_PROTO_UDP ? UDP_HEADER_LEN : 0;
	struct packet *p = packet_new(a->node->sim, front + header_len + len);
	uint8_t *frame = packet_append(p, front + header_len + len), *ip = frame + ETHERNET_HEADER_LEN;
	struct wire_view v = { .proto = proto, .ip_at = ETHERNET_HEADER_LEN, .segment_at = front };

	memset(frame, 0, front + header_len);
	put_be16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)(IP_HEADER_LEN + header_len + len));
	ip[8] = IP_TTL_DEFAULT;
	ip[9] = proto;
	put_be32(ip + 12, src);
	put_be32(ip + 16, dst);
	if (header_len) {
		put_be16(frame + front, ports[0]);
		put_be16(frame + front + 2, ports[1]);
		put_be16(frame + front + 4, (uint16_t)(UDP_HEADER_LEN + len));
	}
	memcpy(frame + front + header_len, payload, len);
	wire_checksums(frame, &v);
	return p;
}

/* Puts a forged packet among the deeds, to go out when it is due. */
static void send_forged(struct node *node, uint8_t proto, const struct node *from, const struct node *to,
                        const uint16_t ports[2], const uint8_t *payload, uint32_t len, sim_ns after_ns,
                        struct verb_result *result)
{
	struct deed *d = deed_new(node, DEED_SEND, &attacker_sent_class);

	d->packet = forge(d->attacker, proto, from->ifaces->ip, to->ifaces->ip, ports, payload, len);
	wire_read(d->packet->data, d->packet->len, &d->view);
	deed_hold(&d->attacker->others, d);
	sim_after(node->sim, &d->due, after_ns, on_due_forged, "attacker.inject");
	result->value = value_object(&d->object);
}

static bool have_addresses(const struct node *from, const struct node *to, struct verb_result *result)
{
	bool have = from->ifaces && from->ifaces->ip && to->ifaces && to->ifaces->ip;

	if (!have)
		snprintf(result->error, sizeof result->error, "from and to must have addresses");
	return have;
}

struct value attacker_send_datagram(struct node *node, const struct attacker_datagram *g, struct verb_result *result)
{
	struct deed *d;

	if (!has_route(node, g->dst, result))
		return value_nil();
	d = deed_new(node, DEED_SEND, &attacker_sent_class);
	d->packet = forge(d->attacker, IP_PROTO_UDP, g->src, g->dst, (const uint16_t[2]){ g->sport, g->dport }, g->bytes, g->len);
	if (!wire_read(d->packet->data, d->packet->len, &d->view)) /* longer than a frame, and so nothing but Kerberos */
		d->view = (struct wire_view){ .kind = WIRE_AS_REQ, .proto = IP_PROTO_UDP, .src = g->src, .dst = g->dst,
			                      .ip_at = ETHERNET_HEADER_LEN, .segment_at = ETHERNET_HEADER_LEN + IP_HEADER_LEN,
			                      .payload_at = d->packet->len - g->len, .payload_len = g->len,
			                      .sport = g->sport, .dport = g->dport };
	deed_hold(&d->attacker->others, d);
	sim_after(node->sim, &d->due, g->after_ns, on_due_forged, "attacker.datagram");
	return value_object(&d->object);
}

void attacker_send_answer(const struct deed *capture, const struct der *payload, struct verb_result *result)
{
	struct node *node = capture->object.node;
	const struct wire_view *v = &capture->view;
	const struct node *from = node_by_ip(node->sim, v->dst), *to = node_by_ip(node->sim, v->src);
	const uint16_t ports[2] = { v->dport, v->sport };

	if (from && to && has_route(node, v->src, result))
		send_forged(node, IP_PROTO_UDP, from, to, ports, payload->bytes, (uint32_t)payload->len, 0, result);
	else if (!result->error[0])
		snprintf(result->error, sizeof result->error, "who sent it has another address by now");
}

void attacker_verb_inject(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct node *from = args_node(args, "from"), *to = args_node(args, "to");
	int64_t sport = args_int(args, "sport", 0), dport = args_int(args, "dport", 0);
	bool udp = strcmp(args_text(args, "proto", "udp"), "udp") == 0;
	uint16_t ports[2] = { (uint16_t)sport, (uint16_t)dport };
	uint8_t payload[INJECT_MAX];
	long len = payload_args(args, payload, result);

	if (!from)
		from = node;
	if (len < 0 || !have_addresses(from, to, result))
		return;
	if (udp && (sport < 1 || sport > 65535 || dport < 1 || dport > 65535))
		snprintf(result->error, sizeof result->error, "sport and dport must be 1 to 65535");
	else
		has_route(node, to->ifaces->ip, result);
	if (result->error[0])
		return;
	send_forged(node, udp ? IP_PROTO_UDP : IP_PROTO_ESP, from, to, ports, payload, (uint32_t)len,
	            args_time(args, "after", 0), result);
}

void attacker_verb_forge_bye(struct node *node, const struct args *args, struct verb_result *result)
{
	static const uint16_t ports[2] = { SIP_PORT, SIP_PORT };
	const struct node *from = args_node(args, "from"), *to = args_node(args, "to");
	const struct value *given = args_get(args, "ear");
	struct attacker *a = node->state;
	const struct ear *ear = NULL;
	char text[SIP_MESSAGE_MAX];
	size_t len;

	if (given && (given->object->class_ != &attacker_ear_class || given->object->node != node)) {
		snprintf(result->error, sizeof result->error, "ear must be what %s:listen() returned", node->name);
		return;
	}
	if (!have_addresses(from, to, result) || !has_route(node, to->ifaces->ip, result))
		return;
	if (given)
		ear = ((const struct deed *)given->object)->ear;
	len = ear_forge_bye(ear, &a->forgery, from->ifaces->ip, to->ifaces->ip, text, sizeof text);
	assert(len); /* names are limited */
	send_forged(node, IP_PROTO_UDP, from, to, ports, (const uint8_t *)text, (uint32_t)len, args_time(args, "after", 0),
	            result);
}

/* T3: the AP-REQ of one who has a ticket and not its session key. 0: no ticket in it, or no room. */
static size_t forge_ap_req(struct attacker *a, struct span ap_req, uint8_t out[PKTC_MESSAGE_MAX])
{
	struct world *world = world_of(a->node->sim);
	struct secure_module *sm = world_module(world, a->node, "forger");
	struct krb_credentials stolen = { .session_key = sm_generate_des3(sm, "made up") };
	struct gss_initiator state;
	struct der token = { 0 };
	struct pktc frame = { .kind = PKTC_AP_REQUEST };
	uint32_t spi = FORGED_SPI + 2 * (uint32_t)rng_below(&a->forgery, FORGED_SPI / 2);
	size_t len = 0;

	krb_name_set(&stolen.client, a->node->name, WORLD_REALM);
	if (krb_attack_take_ticket((const uint8_t *)ap_req.at, ap_req.len, &stolen.ticket, &stolen.server) &&
	    gss_init_start(sm, &stolen, world_now(a->node->sim), spi, &state, &token)) {
		frame.kerberos = (struct span){ (const char *)token.bytes, token.len };
		frame.spi = spi + 1;
		len = pktc_write(&frame, out, PKTC_MESSAGE_MAX);
	}
	if (len && !sm_hmac_sha1(sm, stolen.session_key, out, len - PKTC_HASH_LEN, out + len - PKTC_HASH_LEN))
		len = 0;
	der_free(&token);
	der_free(&stolen.ticket);
	sm_destroy_key(sm, stolen.session_key);
	sm_free(sm);
	return len;
}

void attacker_verb_present_ticket(struct node *node, const struct args *args, struct verb_result *result)
{
	static const uint16_t ports[2] = { PKTC_PORT, PKTC_PORT };
	const struct value *given = args_get(args, "capture");
	const struct deed *c = (const struct deed *)given->object;
	uint8_t bytes[PKTC_MESSAGE_MAX];
	const struct node *to;
	struct pktc frame;
	size_t len = 0;

	if (given->object->class_ != &attacker_capture_class || given->object->node != node || !c->ready || c->view.kind != WIRE_AP_REQ) {
		snprintf(result->error, sizeof result->error, "capture must be an AP-REQ of %s itself, and ready", node->name);
		return;
	}
	to = node_by_ip(node->sim, c->view.dst);
	if (pktc_parse(c->packet->data + c->view.payload_at, c->view.payload_len, krb_message_len, &frame))
		len = forge_ap_req(node->state, frame.kerberos, bytes);
	if (!len || !to)
		snprintf(result->error, sizeof result->error, "there is no ticket in it, or nobody any more whom it is for");
	else if (has_route(node, c->view.dst, result) && have_addresses(node, to, result))
		send_forged(node, IP_PROTO_UDP, node, to, ports, bytes, (uint32_t)len, 0, result);
}

/* Verbs: with an account */

static void on_mitm_retires(void *ctx, struct kdc_client *client)
{
	struct deed *d = ctx;

	attacker_retire(d->attacker, client);
}

static void on_mitm_changed(void *ctx, uint64_t tag)
{
	struct deed *d = ctx;

	if (tag)
		deed_track(d, tag, d->from->ifaces ? d->from->ifaces->ip : 0);
	deed_changed(d);
}

static bool has_account(const struct attacker *a, struct verb_result *result)
{
	if (!a->number[0])
		snprintf(result->error, sizeof result->error, "%s has no account; write net:attacker \"%s\" { provisioned = \"NUMBER\" }",
		         a->node->name, a->node->name);
	return a->number[0] != '\0';
}

/* config has what the kind of man in the middle needs; the rest is the same for all. */
static void begin_mitm(struct node *node, const struct args *args, struct mitm_config *config, struct verb_result *result)
{
	struct attacker *a = node->state;
	struct deed *d;

	if (a->mitm || !a->iface->ip) {
		snprintf(result->error, sizeof result->error, a->iface->ip ? "it is in the middle already; stop() that first" :
		         "%s has no address on the link", node->name);
		return;
	}
	d = deed_new(node, DEED_MITM, &attacker_mitm_class);
	d->from = config->victim = args_node(args, "victim");
	d->to = config->kdc = args_node(args, "kdc");
	config->node = node;
	config->iface = a->iface;
	config->changed = on_mitm_changed;
	config->retire = on_mitm_retires;
	config->ctx = d;
	d->mitm = mitm_new(config);
	if (!d->mitm) {
		snprintf(result->error, sizeof result->error, "TCP port 88 of %s is taken", node->name);
		deed_free(&d->object);
		return;
	}
	a->mitm = d;
	deed_hold(&a->others, d);
	result->value = value_object(&d->object);
}

void attacker_verb_mitm(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	struct mitm_config config = { .sm = a->sm, .identity = &a->identity, .number = a->number };

	if (has_account(a, result))
		begin_mitm(node, args, &config, result);
}

static bool false_answer(void *ctx, const struct der *request, struct der *reply)
{
	struct deed *d = ctx;

	return attacker_false_reply(d->attacker, request, reply);
}

void attacker_verb_false_kdc(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	const char *certificate = args_text(args, "certificate", "made up"), *stolen_from = args_text(args, "stolen_from", "");
	enum false_kdc kind = strcmp(certificate, "own") == 0 ? KDC_OWN : strcmp(certificate, "stolen") == 0 ? KDC_STOLEN : KDC_MADE_UP;
	struct mitm_config config = { .answer = false_answer };

	if (kind == KDC_OWN && !has_account(a, result))
		return;
	if ((kind == KDC_STOLEN) != (stolen_from[0] != '\0') || strlen(stolen_from) >= NODE_NAME_MAX) {
		snprintf(result->error, sizeof result->error, "what is stolen is a KDC's; write certificate = \"stolen\", stolen_from = \"kdc0\"");
		return;
	}
	if (!a->mitm)
		attacker_equip_kdc(a, kind, stolen_from);
	config.sm = a->kdc_sm;
	begin_mitm(node, args, &config, result);
}

/* PKINIT in its own name, an honest customer's request; or in another's, with a certificate that it has signed itself. */

enum pkinit_bind attacker_bind_of(const struct node *node)
{
	return attacker_switch_is(node, "pkinit.bind", "nonce") ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM;
}

static bool on_ticket_request(void *ctx, struct der *out)
{
	struct deed *d = ctx;
	struct attacker *a = d->attacker;
	struct krb_time now = world_now(a->node->sim);

	pkinit_client_free(d->pkinit);
	d->pkinit = pkinit_request(a->sm, &d->as, &d->server, now, now.s + ATTACKER_TICKET_S, false, attacker_bind_of(a->node), out);
	return d->pkinit != NULL;
}

static void on_ticket_answer(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct deed *d = ctx;
	struct attacker *a = d->attacker;
	struct world *world = world_of(a->node->sim);
	struct pkinit_policy policy = {
		.verify_root = true, .require_kdc_eku = true, .check_kdc_name = true, .check_nonce = true, .check_bind = true,
		.check_sealed_sname = true, .bind = attacker_bind_of(a->node), .kdc_ca = world_authority(world, AUTHORITY_OPERATOR),
		.kdc_ca_count = 1, .now_s = sim_unix_s(a->node->sim),
	};
	struct krb_error_info error;
	enum krb_reply_verdict verdict;

	if (!bytes) {
		d->refused_by = "no answer";
	} else if (krb_error_parse(bytes, len, &error)) {
		d->refused_by = krb_error_name(error.code);
		message_accept(a->node, tag);
	} else {
		verdict = pkinit_reply(a->sm, d->pkinit, &d->as, &policy, bytes, len, &d->credentials, NULL);
		d->ready = verdict == KRB_REPLY_OK;
		if (d->ready)
			message_accept(a->node, tag);
		else
			trace_refuse(a->node, d->refused_by = krb_reply_checks[verdict], 0, tag, "");
	}
	deed_changed(d);
	deed_let_go(d);
}

/* False with an error. */
static bool take_name(struct deed *d, const char *number, struct verb_result *result)
{
	struct node *node = d->object.node;
	uint8_t id[PHONE_ID_LEN];
	char name[2 * PHONE_ID_LEN + 1];

	d->as = d->attacker->identity;
	if (!number)
		return true;
	if (!phone_id(world_crypto(world_of(node->sim)), number, id) || !attacker_forge_certificate(node, number, &d->cert)) {
		snprintf(result->error, sizeof result->error, "as is \"%.40s\"; write a customer's number, as = \"215-555-0101\"", number);
		return false;
	}
	hex_encode(id, sizeof id, name);
	krb_name_set(&d->as.name, name, WORLD_REALM);
	d->as.cert = d->cert;
	return true;
}

void attacker_verb_ticket(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	const struct node *kdc = args_node(args, "kdc");
	struct deed *d;

	if (!has_account(a, result))
		return;
	if (kdc->ifaces && kdc->ifaces->ip && !has_route(node, kdc->ifaces->ip, result))
		return;
	d = deed_new(node, DEED_TICKET, &attacker_ticket_class);
	if (!kdc->ifaces || !kdc->ifaces->ip || !krb_name_set(&d->server, args_text(args, "server", ""), WORLD_REALM)) {
		snprintf(result->error, sizeof result->error, "server must be a principal like \"sc/sc1\", kdc must have an address");
	}
	if (result->error[0] || !take_name(d, args_text(args, "as", NULL), result)) {
		deed_free(&d->object);
		return;
	}
	d->client = kdc_client_new(node, kdc->ifaces->ip, true);
	deed_hold(&a->others, d);
	result->value = value_object(&d->object);
	d->object.refs++; /* an answer may come at once */
	kdc_client_ask(d->client, on_ticket_request, on_ticket_answer, d);
	d->object.refs--;
}

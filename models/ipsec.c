/* Security associations and policy; see ipsec.h. RFC 2401, 2406; flows.md 3. */
#include "models/ipsec.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"
#include "models/wire/radius.h"
#include "models/wire/sip.h"
#include "sim/service.h"

#define SPI_FIRST 0x100 /* 1..255 are reserved */
#define CONTEXT_LEN 64

struct expectation { /* of an association, and what has come for it already */
	struct expectation *next;
	struct ipsec *ipsec;
	uint32_t peer_ip, spi;
	unsigned count;
	struct packet *packets[IPSEC_HELD_MAX];
	struct ip_info infos[IPSEC_HELD_MAX];
	struct event due;               /* the association stands: its owner first, then they */
};

struct ipsec {
	struct node *node;
	struct expectation *expectations;
	struct secure_module *sm;
	bool server;
	bool backend, signaling;        /* backend.ipsec, signaling.esp */
	struct esp_options options;
	struct association **buckets;   /* bucket_count by SPI, and behind them as many by peer */
	uint32_t bucket_count, count;
	uint64_t next_serial;
	struct association *expiring;   /* whose expired() is running; NULL once it has been removed from inside */
	struct rng *spis;               /* NULL: none drawn yet */
	struct ip_security hook;
	void (*unknown)(void *ctx, uint32_t peer_ip);
	void *unknown_ctx;
};

static uint32_t inbound_spi(const struct association *a)
{
	return a->initiator ? a->spi + 1 : a->spi;
}

static uint32_t mix(uint32_t v)
{
	v ^= v >> 16;
	v *= 0x7feb352dU;
	v ^= v >> 15;
	v *= 0x846ca68bU;
	return v ^ v >> 16;
}

static struct association **spi_bucket(const struct ipsec *s, uint32_t spi)
{
	return &s->buckets[mix(spi) & (s->bucket_count - 1)];
}

static struct association **peer_bucket(const struct ipsec *s, uint32_t ip)
{
	return &s->buckets[s->bucket_count + (mix(ip) & (s->bucket_count - 1))];
}

static struct association *find_inbound(const struct ipsec *s, uint32_t spi, uint32_t peer_ip)
{
	if (!s->bucket_count)
		return NULL;
	for (struct association *a = *spi_bucket(s, spi); a; a = a->next)
		if (inbound_spi(a) == spi && a->peer_ip == peer_ip)
			return a;
	return NULL;
}

struct association *ipsec_find(const struct ipsec *s, uint32_t peer_ip, const char *label)
{
	if (!s->bucket_count)
		return NULL;
	for (struct association *a = *peer_bucket(s, peer_ip); a; a = a->next_peer)
		if (a->peer_ip == peer_ip && (!label || strcmp(a->label, label) == 0))
			return a;
	return NULL;
}

struct association *ipsec_find_initiated(const struct ipsec *s, uint32_t peer_ip, uint32_t spi)
{
	struct association *a = find_inbound(s, spi, peer_ip);

	return a && !a->initiator ? a : NULL;
}

/* Links an association at the heads of its buckets. */
static void enter(struct ipsec *s, struct association *a)
{
	struct association **b = spi_bucket(s, inbound_spi(a));

	a->next = *b;
	*b = a;
	b = peer_bucket(s, a->peer_ip);
	a->next_peer = *b;
	*b = a;
}

static void leave(struct ipsec *s, struct association *a)
{
	struct association **at = spi_bucket(s, inbound_spi(a));

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	at = peer_bucket(s, a->peer_ip);
	while (*at != a)
		at = &(*at)->next_peer;
	*at = a->next_peer;
}

static int by_age(const void *x, const void *y)
{
	const struct association *a = *(struct association *const *)x, *b = *(struct association *const *)y;

	return a->serial < b->serial ? -1 : a->serial > b->serial;
}

static void grow(struct ipsec *s)
{
	struct association **all = sim_alloc((s->count + 1) * sizeof *all);
	uint32_t n = 0;

	for (uint32_t b = 0; b < s->bucket_count; b++)
		for (struct association *a = s->buckets[b]; a; a = a->next)
			all[n++] = a;
	/* The newest must come first again. */
	qsort(all, n, sizeof *all, by_age);
	free(s->buckets);
	s->bucket_count = s->bucket_count ? s->bucket_count * 4 : IPSEC_BUCKETS_FIRST;
	s->buckets = sim_alloc(2 * s->bucket_count * sizeof *s->buckets);
	for (uint32_t i = 0; i < n; i++)
		enter(s, all[i]);
	free(all);
}

static void destroy(struct association *a)
{
	struct ipsec *s = a->ipsec;

	if (s->expiring == a)
		s->expiring = NULL;
	leave(s, a);
	s->count--;
	sim_cancel(s->node->sim, &a->expiry);
	esp_sa_free(a->in);
	esp_sa_free(a->out);
	sm_destroy_key(s->sm, a->wrap);
	sm_destroy_key(s->sm, a->subkey);
	free(a);
}

void ipsec_remove(struct association *association)
{
	if (association)
		destroy(association);
}

/* Once: what the owner does then may lead here again. */
static void tell_end(struct association *a)
{
	void (*expired)(struct association *association) = a->expired;

	a->expired = NULL;
	if (expired)
		expired(a);
}

static void on_expiry(struct sim *sim, struct event *event)
{
	struct association *a = event_owner(event, struct association, expiry);

	struct ipsec *s = a->ipsec;

	(void)sim;
	s->expiring = a;
	tell_end(a);
	if (s->expiring == a) /* else it is gone already: expired() may remove it or reset its node */
		destroy(a);
}

/* What the crypto layer needs to say in a key log: who sends to whom under which SPI. */
static void context_of(uint32_t src, uint32_t dst, uint32_t spi, char out[CONTEXT_LEN])
{
	char a[IP_TEXT_LEN], b[IP_TEXT_LEN];

	snprintf(out, CONTEXT_LEN, "%s %s 0x%08x", ip_text(src, a), ip_text(dst, b), spi);
}

static bool both_directions(struct ipsec *s, const struct association_request *r, struct esp_pair *pair)
{
	uint32_t own_ip = ip_source_for(s->node, r->peer_ip);
	uint32_t initiator_ip = r->initiator ? own_ip : r->peer_ip, responder_ip = r->initiator ? r->peer_ip : own_ip;
	char up[CONTEXT_LEN], down[CONTEXT_LEN];

	context_of(initiator_ip, responder_ip, r->spi, up);
	context_of(responder_ip, initiator_ip, r->spi + 1, down);
	return esp_sa_pair_new(s->sm, r->subkey, r->label, r->spi, up, down, &s->options, pair);
}

static void release_held(struct ipsec *s, uint32_t peer_ip, uint32_t spi);

struct association *ipsec_add(struct ipsec *s, const struct association_request *r)
{
	uint32_t spi_in = r->initiator ? r->spi + 1 : r->spi;
	struct association *a, *replaced;
	struct esp_pair pair;

	if (s->count >= IPSEC_ASSOCIATIONS_MAX || !both_directions(s, r, &pair)) {
		sm_destroy_key(s->sm, r->subkey);
		return NULL;
	}
	replaced = find_inbound(s, spi_in, r->peer_ip);
	if (replaced)
		tell_end(replaced);
	ipsec_remove(find_inbound(s, spi_in, r->peer_ip)); /* its owner may have done so itself */
	if (s->count >= s->bucket_count)
		grow(s);
	a = sim_alloc(sizeof *a);
	a->ipsec = s;
	a->peer_ip = r->peer_ip;
	a->spi = r->spi;
	a->initiator = r->initiator;
	a->label = r->label;
	snprintf(a->peer, sizeof a->peer, "%s", r->peer ? r->peer : "");
	a->subkey = r->subkey;
	a->wrap = sm_derive_des3(s->sm, r->subkey, LABEL_WRAP, "wrap");
	a->in = r->initiator ? pair.down : pair.up;
	a->out = r->initiator ? pair.up : pair.down;
	a->expired = r->expired;
	a->owner = r->owner;
	a->born_ns = s->node->sim->now_ns;
	a->serial = s->next_serial++;
	s->count++;
	enter(s, a);
	sim_after(s->node->sim, &a->expiry, r->lifetime_ns, on_expiry, "association.lifetime");
	release_held(s, r->peer_ip, spi_in);
	return a;
}

uint32_t ipsec_new_spi(struct ipsec *s)
{
	if (!s->spis) {
		s->spis = sim_alloc(sizeof *s->spis);
		rng_init(s->spis, s->node->sim->seed, s->node->name, "spi");
	}
	return (uint32_t)(SPI_FIRST + rng_below(s->spis, UINT32_MAX - SPI_FIRST - 2)) & ~1u;
}

bool ipsec_spi_usable(uint32_t spi)
{
	return spi >= SPI_FIRST && spi < UINT32_MAX;
}

static bool protected_port(uint16_t port)
{
	return port == SIP_PORT || port == RADIUS_AUTH_PORT || port == RADIUS_ACCT_PORT || port == RADIUS_DYNAMIC_PORT;
}

/* The newest association with a CTA, or a CTA's with its peer, at this address. */
static const struct association *customer_at(const struct ipsec *s, uint32_t ip)
{
	const struct association *a = s->bucket_count ? *peer_bucket(s, ip) : NULL;

	while (a && (a->peer_ip != ip || strcmp(a->label, LABEL_SERVER) == 0))
		a = a->next_peer;
	return a;
}

static bool is_sip(const struct packet *packet)
{
	return get_be16(packet->data) == SIP_PORT || get_be16(packet->data + 2) == SIP_PORT;
}

static void charge(struct node *node, uint32_t bytes)
{
	service_charge(node, &(struct service_cost){ .cipher_bytes = bytes, .hash_bytes = bytes });
}

static enum ip_out_verdict out(struct node *node, void *ctx, struct ip_info *info, struct packet *packet)
{
	struct ipsec *s = ctx;
	struct association *a;
	uint8_t *start;
	size_t len;

	if (info->proto != IP_PROTO_UDP || packet->len < UDP_HEADER_LEN ||
	    !(protected_port(get_be16(packet->data)) || protected_port(get_be16(packet->data + 2))))
		return IP_OUT_PASS;
	a = ipsec_find(s, info->dst, NULL);
	if ((!a && s->server && !s->backend) || (a && !s->signaling && is_sip(packet) && strcmp(a->label, LABEL_SERVER) != 0))
		return IP_OUT_PASS;
	if (!a || esp_seal(a->out, packet->data, packet->len, IP_PROTO_UDP, &start, &len) != ESP_OK) {
		trace_fate(node->sim, packet->tag, node, FATE_LOST, a ? "esp.exhausted" : "ipsec.no_association");
		packet_free(packet);
		return IP_OUT_DROP;
	}
	charge(node, packet->len);
	packet->data = start;
	packet->len = (uint32_t)len;
	info->proto = IP_PROTO_ESP;
	trace_cover(node->sim, packet->tag, COVER_ESP);
	return IP_OUT_PASS;
}

/* Packets that came before their association */

static struct expectation *expected(const struct ipsec *s, uint32_t peer_ip, uint32_t spi)
{
	struct expectation *x = s->expectations;

	while (x && (x->peer_ip != peer_ip || x->spi != spi))
		x = x->next;
	return x;
}

static void unlink_expectation(struct expectation *x)
{
	struct expectation **at = &x->ipsec->expectations;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	sim_cancel(x->ipsec->node->sim, &x->due);
}

static bool hold(struct ipsec *s, struct packet *packet, const struct ip_info *info)
{
	struct expectation *x = expected(s, info->src, get_be32(packet->data));

	if (!x || x->count == IPSEC_HELD_MAX)
		return false;
	x->packets[x->count] = packet_keep(packet);
	x->infos[x->count++] = *info;
	return true;
}

static void in(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info);

/* Each goes its usual way now: through the association, or to its refusal. */
static void let_go(struct expectation *x)
{
	struct ipsec *s = x->ipsec;

	unlink_expectation(x);
	for (unsigned i = 0; i < x->count; i++) {
		in(s->node, s, x->packets[i], &x->infos[i]);
		packet_free(x->packets[i]);
	}
	free(x);
}

static void on_due(struct sim *sim, struct event *event)
{
	(void)sim;
	let_go(event_owner(event, struct expectation, due));
}

static void release_held(struct ipsec *s, uint32_t peer_ip, uint32_t spi)
{
	struct expectation *x = expected(s, peer_ip, spi);

	if (x && !event_pending(&x->due))
		sim_after(s->node->sim, &x->due, 0, on_due, "association.held");
}

void ipsec_expect(struct ipsec *s, uint32_t peer_ip, uint32_t spi_in)
{
	struct expectation *x = sim_alloc(sizeof *x);

	x->ipsec = s;
	x->peer_ip = peer_ip;
	x->spi = spi_in;
	x->next = s->expectations;
	s->expectations = x;
}

void ipsec_expect_no_more(struct ipsec *s, uint32_t peer_ip, uint32_t spi_in)
{
	struct expectation *x = expected(s, peer_ip, spi_in);

	if (x && !event_pending(&x->due))
		let_go(x);
}

static void forget_expectations(struct ipsec *s)
{
	while (s->expectations) {
		struct expectation *x = s->expectations;

		unlink_expectation(x);
		for (unsigned i = 0; i < x->count; i++)
			packet_free(x->packets[i]);
		free(x);
	}
}

static void in(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	struct ipsec *s = ctx;
	struct association *a = s && packet->len >= ESP_HEADER_LEN ? find_inbound(s, get_be32(packet->data), info->src) : NULL;
	struct ip_info inner = *info;
	enum esp_verdict verdict;
	uint8_t *start;
	size_t len;

	if (!a && s && packet->len >= ESP_HEADER_LEN && hold(s, packet, info))
		return;
	if (!a) {
		trace_refuse(node, packet->len >= ESP_HEADER_LEN ? "esp.unknown_spi" : "esp.malformed", info->src, packet->tag, "");
		if (packet->len >= ESP_HEADER_LEN && s && s->unknown)
			s->unknown(s->unknown_ctx, info->src);
		return;
	}
	verdict = esp_open(a->in, packet->data, packet->len, &start, &len, &inner.proto);
	if (verdict != ESP_OK) {
		trace_refuse(node, esp_verdict_names[verdict], info->src, packet->tag, "");
		return;
	}
	charge(node, packet->len);
	a->opened++;
	packet->data = start;
	packet->len = (uint32_t)len;
	inner.sa = a;
	ip_deliver(node, packet, &inner);
}

struct ipsec *ipsec_new(struct node *node, struct secure_module *sm, bool server)
{
	struct ipsec *s = sim_alloc(sizeof *s);
	const struct world *world = world_of(node->sim);

	s->node = node;
	s->sm = sm;
	s->server = server;
	s->backend = world_on(world, "backend.ipsec");
	s->signaling = world_on(world, "signaling.esp");
	s->options.no_auth = !world_on(world, "esp.auth");
	s->options.no_replay_window = !world_on(world, "esp.replay_window");
	s->options.implicit_iv = strcmp(world_switch(world, "esp.iv"), "implicit") == 0;
	s->hook = (struct ip_security){ out, s };
	ip_set_security(node, &s->hook);
	ip_protocol(node, IP_PROTO_ESP, in, s);
	return s;
}

void ipsec_reset(struct ipsec *s)
{
	forget_expectations(s);
	for (uint32_t b = 0; b < s->bucket_count; b++)
		while (s->buckets[b])
			destroy(s->buckets[b]);
}

void ipsec_free(struct ipsec *s)
{
	if (!s)
		return;
	ipsec_reset(s);
	ip_set_security(s->node, NULL);
	ip_protocol(s->node, IP_PROTO_ESP, in, NULL); /* what is still on its way finds nobody */
	free(s->buckets);
	free(s->spis);
	free(s);
}

struct secure_module *ipsec_module(const struct ipsec *s)
{
	return s->sm;
}

unsigned ipsec_count(const struct ipsec *s)
{
	return s->count;
}

bool ipsec_covered(const struct ipsec *s, const struct udp_from *from)
{
	return from->sa || (s->server && !s->backend);
}

const char *ipsec_check_signaling(const struct ipsec *s, struct udp_from *from)
{
	const struct association *customer;

	if (from->sa)
		return NULL;
	customer = customer_at(s, from->src);
	if (customer && !s->signaling) {
		from->sa = customer;
		return NULL;
	}
	if (!customer && ipsec_covered(s, from))
		return NULL;
	return s->server && directory_service_at(world_directory(world_of(s->node->sim)), from->src) ? "backend.ipsec" : "signaling.esp";
}

void ipsec_on_unknown_spi(struct ipsec *s, void (*fn)(void *ctx, uint32_t peer_ip), void *ctx)
{
	s->unknown = fn;
	s->unknown_ctx = ctx;
}

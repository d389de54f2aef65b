/* Associations between servers; see backend.h. RFC 4120 sections 3.1, 3.2, 5.2.7.2; flows.md 13. */
#include "models/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"
#include "models/message.h"

#define TICKET_MARGIN_S 60 /* a ticket this close to its end is not started with */

struct waiter {
	struct waiter *next;
	backend_ready_fn *ready;
	void *ctx;
	bool outcome; /* that it is about to be told */
};

enum peer_state { PEER_IDLE, PEER_TICKET, PEER_EXCHANGE };

struct peer {
	struct peer *next;
	struct backend *backend;
	const char *principal;      /* the directory's */
	uint32_t ip;
	enum peer_state state;
	bool fresh_ticket;          /* got in this attempt: a refusal is not the ticket's age */
	struct kdc_client *kdc;     /* NULL until a ticket is asked for */
	struct krb_as_client request;
	struct krb_credentials credentials;
	struct waiter *waiters, **waiters_tail;
	struct waiter *telling;     /* who is being told one by one */
	sim_ns keyed_ns;            /* when this server last keyed because of an unknown SPI */
	bool keyed;
};

struct backend {
	struct backend_config config;
	struct secure_module *sm;
	struct peer *peers;
};

static struct peer *peer_at(const struct backend *b, uint32_t ip)
{
	struct peer *p = b->peers;

	while (p && p->ip != ip)
		p = p->next;
	return p;
}

static struct peer *peer_new(struct backend *b, uint32_t ip)
{
	const char *principal = directory_service_at(world_directory(world_of(b->config.node->sim)), ip);
	struct peer *p;

	if (!principal)
		return NULL;
	p = sim_alloc(sizeof *p);
	p->backend = b;
	p->principal = principal;
	p->ip = ip;
	p->waiters_tail = &p->waiters;
	p->next = b->peers;
	b->peers = p;
	return p;
}

/*
 * Tells everybody who waits; each may ask again at once, take back another's question, or restart this server, with
 * which the peer goes: so the peer is found anew each time. Who asked in the middle waits for the next outcome, which
 * may come from inside too.
 */
static void finish(struct peer *p, bool ready)
{
	struct backend *b = p->backend;
	uint32_t ip = p->ip;
	struct waiter **tail = &p->telling;

	for (struct waiter *w = p->waiters; w; w = w->next)
		w->outcome = ready;
	while (*tail)
		tail = &(*tail)->next;
	*tail = p->waiters;
	p->state = PEER_IDLE;
	p->waiters = NULL;
	p->waiters_tail = &p->waiters;
	while ((p = peer_at(b, ip)) && p->telling) {
		struct waiter *w = p->telling, told = *w;

		p->telling = told.next;
		free(w);
		told.ready(told.ctx, told.outcome);
	}
}

static void exchange(struct peer *p);
static void get_ticket(struct peer *p);

static void on_exchange(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error)
{
	struct peer *p = ctx;

	(void)association;
	(void)krb_error;
	if (outcome == AP_REFUSED && !p->fresh_ticket)
		get_ticket(p); /* the peer does not take this ticket any more */
	else
		finish(p, outcome == AP_ESTABLISHED);
}

static void exchange(struct peer *p)
{
	p->state = PEER_EXCHANGE;
	if (!key_management_initiate(p->backend->config.km, p->ip, &p->credentials, LABEL_SERVER, 0, on_exchange, p))
		finish(p, false);
}

/* Tickets */

static int64_t now_s(const struct peer *p)
{
	return sim_unix_s(p->backend->config.node->sim);
}

static bool build_request(void *ctx, struct der *out)
{
	struct peer *p = ctx;
	const struct backend_config *c = &p->backend->config;
	struct krb_name client, server;

	return krb_name_set(&client, c->principal, WORLD_REALM) && krb_name_set(&server, p->principal, WORLD_REALM) &&
	       krb_as_request_timestamp(p->backend->sm, c->server_key, &client, &server, world_now(c->node->sim),
	                                now_s(p) + BACKEND_TICKET_LIFETIME_S, &p->request, out);
}

static void on_reply(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct peer *p = ctx;
	struct backend *b = p->backend;
	struct krb_credentials got = { 0 };
	enum krb_reply_verdict verdict;

	if (!bytes) {
		finish(p, false);
		return;
	}
	if (krb_type(bytes, len) == KRB_ERROR) {
		message_accept(b->config.node, tag);
		finish(p, false);
		return;
	}
	verdict = krb_as_reply_timestamp(b->sm, b->config.server_key, &p->request, bytes, len, &got);
	if (verdict != KRB_REPLY_OK) {
		trace_refuse(b->config.node, krb_reply_checks[verdict], b->config.kdc_ip, tag, "");
		finish(p, false);
		return;
	}
	message_accept(b->config.node, tag);
	krb_credentials_free(b->sm, &p->credentials);
	p->credentials = got;
	exchange(p);
}

static void self_issue(struct peer *p)
{
	struct backend *b = p->backend;
	struct krb_ticket_facts facts = { .auth_time_s = now_s(p), .start_time_s = now_s(p),
		                          .end_time_s = now_s(p) + BACKEND_TICKET_LIFETIME_S };
	key_handle key = world_server_key(world_of(b->config.node->sim), b->sm, p->principal);
	bool ok = krb_name_set(&facts.client, b->config.principal, WORLD_REALM) &&
	          krb_name_set(&facts.server, p->principal, WORLD_REALM);

	krb_credentials_free(b->sm, &p->credentials);
	ok = ok && krb_self_issue(b->sm, key, &facts, &p->credentials);
	sm_destroy_key(b->sm, key);
	if (ok)
		exchange(p);
	else
		finish(p, false);
}

static void get_ticket(struct peer *p)
{
	const struct backend_config *c = &p->backend->config;

	p->state = PEER_TICKET;
	p->fresh_ticket = true;
	if (c->self_issue) {
		self_issue(p);
		return;
	}
	if (!p->kdc)
		p->kdc = kdc_client_new(c->node, c->kdc_ip, false);
	if (!kdc_client_ask(p->kdc, build_request, on_reply, p))
		finish(p, false);
}

static void start(struct peer *p)
{
	p->fresh_ticket = false;
	if (p->credentials.ticket.len && p->credentials.end_time_s > now_s(p) + TICKET_MARGIN_S)
		exchange(p);
	else
		get_ticket(p);
}

/* What the element asks for */

static bool ready_already(const struct backend *b, uint32_t ip)
{
	return !world_on(world_of(b->config.node->sim), "backend.ipsec") || ipsec_find(b->config.ipsec, ip, LABEL_SERVER);
}

void backend_ensure(struct backend *b, uint32_t ip, backend_ready_fn *ready, void *ctx)
{
	struct peer *p = peer_at(b, ip);
	struct waiter *w;

	if (ready_already(b, ip)) {
		ready(ctx, true);
		return;
	}
	if (!p)
		p = peer_new(b, ip);
	if (!p) {
		ready(ctx, false);
		return;
	}
	w = sim_alloc(sizeof *w);
	*w = (struct waiter){ .ready = ready, .ctx = ctx };
	*p->waiters_tail = w;
	p->waiters_tail = &w->next;
	if (p->state == PEER_IDLE)
		start(p);
}

/* Takes a ctx's waiters out of a list; returns its end. */
static struct waiter **take_out(struct waiter **at, const void *ctx)
{
	while (*at) {
		struct waiter *w = *at;

		if (w->ctx != ctx) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
	}
	return at;
}

void backend_cancel(struct backend *b, const void *ctx)
{
	for (struct peer *p = b->peers; p; p = p->next) {
		p->waiters_tail = take_out(&p->waiters, ctx);
		take_out(&p->telling, ctx);
	}
}

void backend_drop(struct backend *b, uint32_t ip)
{
	struct association *a;

	while ((a = ipsec_find(b->config.ipsec, ip, LABEL_SERVER)))
		ipsec_remove(a);
}

/* A server that keeps sending under a lost association does not know that we have restarted. */
static void on_unknown_spi(void *ctx, uint32_t ip)
{
	struct backend *b = ctx;
	sim_ns now_ns = b->config.node->sim->now_ns;
	struct peer *p = peer_at(b, ip);

	if (!p)
		p = peer_new(b, ip);
	if (!p || p->state != PEER_IDLE || (p->keyed && now_ns - p->keyed_ns < BACKEND_REKEY_PAUSE_NS))
		return;
	p->keyed = true;
	p->keyed_ns = now_ns;
	start(p);
}

/* Life */

static void free_waiters(struct waiter *w)
{
	while (w) {
		struct waiter *next = w->next;

		free(w);
		w = next;
	}
}

static void peer_free(struct peer *p)
{
	struct backend *b = p->backend;

	key_management_cancel(b->config.km, p->ip);
	kdc_client_free(p->kdc);
	krb_credentials_free(b->sm, &p->credentials);
	free_waiters(p->waiters);
	free_waiters(p->telling);
	free(p);
}

void backend_reset(struct backend *b)
{
	while (b->peers) {
		struct peer *p = b->peers;

		b->peers = p->next;
		peer_free(p);
	}
}

struct backend *backend_new(const struct backend_config *config)
{
	struct backend *b = sim_alloc(sizeof *b);

	b->config = *config;
	b->sm = ipsec_module(config->ipsec);
	ipsec_on_unknown_spi(config->ipsec, on_unknown_spi, b);
	return b;
}

void backend_free(struct backend *b)
{
	if (!b)
		return;
	backend_reset(b);
	free(b);
}

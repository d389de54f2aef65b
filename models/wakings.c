/* Clients that have been asked for an AP exchange; see wakings.h. */
#include "models/wakings.h"

#include <stdlib.h>

#define BUCKETS_FIRST 4

struct waiter {
	struct waiter *next;
	ap_done_fn *done;
	void *ctx;
};

struct waking { /* a client that has been asked */
	struct waking *next; /* in its bucket by address; of those being told */
	struct wakings *all;
	uint32_t client_ip, nonce;
	unsigned tries;
	struct event timer;
	struct waiter *waiters, **waiters_tail;
};

struct wakings {
	struct ipsec *ipsec;
	struct node *node;
	void (*send)(void *ctx, uint32_t client_ip, uint32_t nonce);
	void *ctx;
	struct rng nonces;
	struct waking **buckets;
	uint32_t bucket_count, count;
	struct waking *telling; /* whose waiters are being told */
};

static struct waking **place_of(const struct wakings *ws, uint32_t client_ip)
{
	struct waking **at = &ws->buckets[(client_ip * 0x9e3779b1u >> 8) & (ws->bucket_count - 1)];

	while (*at && (*at)->client_ip != client_ip)
		at = &(*at)->next;
	return at;
}

static struct waking *waking_of(const struct wakings *ws, uint32_t client_ip)
{
	return ws->bucket_count ? *place_of(ws, client_ip) : NULL;
}

static void waking_free(struct waking *w)
{
	while (w->waiters) {
		struct waiter *waiter = w->waiters;

		w->waiters = waiter->next;
		free(waiter);
	}
	free(w);
}

/*
 * What a waiter does may end the association, or be a restart, which frees the waking: both are looked up again
 * before the next is told.
 */
static void waking_finish(struct waking *w, enum ap_outcome outcome, const struct association *a)
{
	struct wakings *ws = w->all;
	uint32_t ip = w->client_ip, spi = a ? a->spi : 0;
	uint64_t serial = a ? a->serial : 0;

	*place_of(ws, ip) = w->next;
	ws->count--;
	sim_cancel(ws->node->sim, &w->timer);
	w->next = ws->telling;
	ws->telling = w;
	while (ws->telling == w && w->waiters) {
		struct waiter *waiter = w->waiters, told = *waiter;
		struct association *now = outcome == AP_ESTABLISHED ? ipsec_find_initiated(ws->ipsec, ip, spi) : NULL;

		w->waiters = told.next;
		free(waiter);
		if (now && now->serial == serial)
			told.done(told.ctx, AP_ESTABLISHED, now, 0);
		else
			told.done(told.ctx, AP_TIMEOUT, NULL, 0);
	}
	if (ws->telling == w) {
		ws->telling = w->next;
		waking_free(w);
	}
}

void wakings_done(struct wakings *ws, uint32_t client_ip, const struct association *a)
{
	struct waking *w = waking_of(ws, client_ip);

	if (w)
		waking_finish(w, AP_ESTABLISHED, a);
}

bool wakings_nonce(const struct wakings *ws, uint32_t client_ip, uint32_t *nonce)
{
	const struct waking *w = waking_of(ws, client_ip);

	if (w)
		*nonce = w->nonce;
	return w != NULL;
}

/* Asking */

static void on_wake_timer(struct sim *sim, struct event *event);

static void ask(struct waking *w)
{
	w->all->send(w->all->ctx, w->client_ip, w->nonce);
	sim_after(w->all->node->sim, &w->timer, WAKE_UP_RETRANSMIT_NS << w->tries, on_wake_timer, "wake_up.retransmit");
	w->tries++;
}

static void on_wake_timer(struct sim *sim, struct event *event)
{
	struct waking *w = event_owner(event, struct waking, timer);

	(void)sim;
	if (w->tries == WAKE_UP_TRIES)
		waking_finish(w, AP_TIMEOUT, NULL);
	else
		ask(w);
}

static void grow(struct wakings *ws)
{
	struct waking **old = ws->buckets;
	uint32_t count = ws->bucket_count;

	ws->bucket_count = count ? count * 2 : BUCKETS_FIRST;
	ws->buckets = sim_alloc(ws->bucket_count * sizeof *ws->buckets);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct waking *w = old[b];

			old[b] = w->next;
			w->next = NULL;
			*place_of(ws, w->client_ip) = w;
		}
	free(old);
}

static struct waking *waking_new(struct wakings *ws, uint32_t client_ip)
{
	struct waking *w = sim_alloc(sizeof *w);

	*w = (struct waking){ .all = ws, .client_ip = client_ip, .nonce = (uint32_t)rng_u64(&ws->nonces) };
	w->waiters_tail = &w->waiters;
	if (ws->count >= ws->bucket_count)
		grow(ws);
	*place_of(ws, client_ip) = w;
	ws->count++;
	return w;
}

void wakings_add(struct wakings *ws, uint32_t client_ip, ap_done_fn *done, void *done_ctx)
{
	struct waking *w = waking_of(ws, client_ip);
	struct waiter *waiter = sim_alloc(sizeof *waiter);
	bool first = !w;

	if (first)
		w = waking_new(ws, client_ip);
	*waiter = (struct waiter){ NULL, done, done_ctx };
	*w->waiters_tail = waiter;
	w->waiters_tail = &waiter->next;
	if (first)
		ask(w);
}

/* Life */

struct wakings *wakings_new(struct ipsec *ipsec, struct node *node, void (*send)(void *ctx, uint32_t client_ip, uint32_t nonce),
                            void *ctx)
{
	struct wakings *ws = sim_alloc(sizeof *ws);

	*ws = (struct wakings){ .ipsec = ipsec, .node = node, .send = send, .ctx = ctx };
	rng_init(&ws->nonces, node->sim->seed, node->name, "wake-up");
	return ws;
}

void wakings_reset(struct wakings *ws)
{
	for (uint32_t b = 0; b < ws->bucket_count; b++)
		while (ws->buckets[b]) {
			struct waking *w = ws->buckets[b];

			ws->buckets[b] = w->next;
			sim_cancel(ws->node->sim, &w->timer);
			waking_free(w);
		}
	free(ws->buckets);
	ws->buckets = NULL;
	ws->bucket_count = ws->count = 0;
	while (ws->telling) {
		struct waking *w = ws->telling;

		ws->telling = w->next;
		waking_free(w);
	}
}

void wakings_free(struct wakings *ws)
{
	if (!ws)
		return;
	wakings_reset(ws);
	free(ws);
}

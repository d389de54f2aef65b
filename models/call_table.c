/*
 * Calls of a signaling controller: their life, look-up by identifier, and what others may ask of them; see
 * call_control_internal.h.
 */
#include "models/call_control_internal.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 16

/* By identifier */

static struct call **place_of(const struct call_control *c, const char *id)
{
	uint32_t h = 2166136261u ^ c->salt;
	struct call **at;

	for (const char *p = id; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	at = &c->buckets[(h ^ h >> 16) & (c->bucket_count - 1)];
	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next_id;
	return at;
}

static void grow(struct call_control *c)
{
	struct call **old = c->buckets;
	uint32_t count = c->bucket_count;

	c->bucket_count = count ? count * 2 : BUCKETS_FIRST;
	c->buckets = sim_alloc(c->bucket_count * sizeof *c->buckets);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct call *call = old[b];

			old[b] = call->next_id;
			call->next_id = NULL;
			*place_of(c, call->id) = call;
		}
	free(old);
}

struct call *call_control_find(const struct call_control *c, const char *id)
{
	return c->bucket_count ? *place_of(c, id) : NULL;
}

bool call_enter(struct call *call)
{
	struct call_control *c = call->control;
	struct call **at;

	if (c->entered >= c->bucket_count)
		grow(c);
	at = place_of(c, call->id);
	if (*at)
		return false;
	*at = call;
	call->entered = true;
	c->entered++;
	return true;
}

static void leave(struct call *call)
{
	if (!call->entered)
		return;
	*place_of(call->control, call->id) = call->next_id;
	call->control->entered--;
	call->entered = false;
}

/* Life */

struct call *call_new(struct call_control *c)
{
	struct call *call = sim_alloc(sizeof *call);

	call->control = c;
	call->reason = "";
	call->answer_ns = -1;
	call->start_ns = c->config.node->sim->now_ns;
	machine_start(&call->machine, &call_control_machine, CALL_REACHING);
	call->next = c->calls;
	call->at = &c->calls;
	if (call->next)
		call->next->at = &call->next;
	c->calls = call;
	c->counters.active++;
	return call;
}

void call_drop_key(struct call *call)
{
	if (!call->subkey)
		return;
	sm_destroy_key(call->control->sm, call->subkey);
	call->subkey = 0;
	call->control->counters.keys--;
	sim_changed(call->control->config.node->sim, call->control->config.node);
}

void call_take_key(struct call *call, key_handle key)
{
	call->subkey = key;
	call->control->counters.keys += key != 0;
}

void call_free(struct call *call)
{
	struct call_control *c = call->control;

	*call->at = call->next;
	if (call->next)
		call->next->at = call->at;
	leave(call);
	c->counters.active--;
	sim_cancel(c->config.node->sim, &call->guard);
	backend_cancel(c->config.backend, call);
	call_drop_key(call);
	free(call->cookie);
	free(call);
	sim_changed(c->config.node->sim, c->config.node);
}

void call_hold_near(struct call *call, struct party *party)
{
	call->near_party = party;
	party->calling++;
	party_hold(party);
}

void call_release_near(struct call *call)
{
	struct party *party = call->near_party;

	call->near_party = NULL;
	if (!party)
		return;
	party->calling--;
	party_release(party);
}

void call_hold_far(struct call *call, struct party *party)
{
	call->far_party = party;
	party_hold(party);
}

void call_release_far(struct call *call)
{
	struct party *party = call->far_party;

	call->far_party = NULL;
	if (party)
		party_release(party);
}

/* What others may ask */

struct call_counters call_control_counters(const struct call_control *c)
{
	return c->counters;
}

struct call *call_control_first(const struct call_control *c)
{
	return c->calls;
}

struct call *call_next(const struct call *call)
{
	return call->next;
}

const char *call_id(const struct call *call)
{
	return call->id;
}

const char *call_caller(const struct call *call)
{
	return call->caller;
}

const char *call_callee(const struct call *call)
{
	return call->callee;
}

bool call_is_source(const struct call *call)
{
	return call->near_cta || call->near_gateway;
}

bool call_is_up(const struct call *call)
{
	return call->machine.state == CALL_UP;
}

key_handle call_subkey(const struct call *call)
{
	return call->subkey;
}

void call_drop_subkey(struct call *call)
{
	call_drop_key(call);
}

bool call_far_is_controller(const struct call *call)
{
	return !call->far_cta && !call->far_server;
}

uint32_t call_far_ip(const struct call *call)
{
	return call->far_ip;
}

uint32_t call_near_ip(const struct call *call)
{
	return call->near_ip;
}

void call_media(const struct call *call, struct sdp *caller, struct sdp *callee)
{
	*caller = call->near_media;
	*callee = call->far_media;
}

void call_set_cookie(struct call *call, const char *cookie)
{
	free(call->cookie);
	call->cookie = sim_strdup(cookie);
}

const char *call_cookie(const struct call *call)
{
	return call->cookie;
}

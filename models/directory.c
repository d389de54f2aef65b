/* The operator's directory; see directory.h. */
#include "models/directory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/subscriber.h"

#define NUMBER_BUCKETS_FIRST 16

struct service {
	struct service *next;
	char *principal;
	uint32_t ip;
};

struct head_end {
	struct head_end *next;
	char *principal;
	char *controller; /* of its segment; NULL: not known */
	uint32_t prefix, mask;
};

struct number {
	struct number *next;
	const char *principal; /* of a service */
	char digits[SUBSCRIBER_NUMBER_LEN];
};

struct prefix { /* longest first */
	struct prefix *next;
	const char *principal; /* of a service */
	char digits[SUBSCRIBER_NUMBER_LEN];
};

struct directory {
	struct prefix *prefixes;
	struct service *services, **services_tail;
	struct head_end *head_ends, **head_ends_tail;
	struct number **numbers;
	uint32_t bucket_count, number_count;
};

struct directory *directory_new(void)
{
	struct directory *d = sim_alloc(sizeof *d);

	d->services_tail = &d->services;
	d->head_ends_tail = &d->head_ends;
	return d;
}

static void free_numbers(struct directory *d)
{
	for (uint32_t b = 0; b < d->bucket_count; b++)
		while (d->numbers[b]) {
			struct number *n = d->numbers[b];

			d->numbers[b] = n->next;
			free(n);
		}
	free(d->numbers);
}

void directory_free(struct directory *d)
{
	if (!d)
		return;
	while (d->services) {
		struct service *s = d->services;

		d->services = s->next;
		free(s->principal);
		free(s);
	}
	while (d->head_ends) {
		struct head_end *h = d->head_ends;

		d->head_ends = h->next;
		free(h->principal);
		free(h->controller);
		free(h);
	}
	while (d->prefixes) {
		struct prefix *p = d->prefixes;

		d->prefixes = p->next;
		free(p);
	}
	free_numbers(d);
	free(d);
}

static struct service *service_find(const struct directory *d, const char *principal)
{
	struct service *s = d->services;

	while (s && strcmp(s->principal, principal) != 0)
		s = s->next;
	return s;
}

static struct service *service_named(struct directory *d, const char *principal)
{
	struct service *s = service_find(d, principal);

	if (s)
		return s;
	s = sim_alloc(sizeof *s);
	s->principal = sim_strdup(principal);
	*d->services_tail = s;
	d->services_tail = &s->next;
	return s;
}

void directory_service_add(struct directory *d, const char *principal, uint32_t ip)
{
	service_named(d, principal)->ip = ip;
}

uint32_t directory_service_ip(const struct directory *d, const char *principal)
{
	const struct service *s = service_find(d, principal);

	return s ? s->ip : 0;
}

const char *directory_service_at(const struct directory *d, uint32_t ip)
{
	for (const struct service *s = d->services; s && ip; s = s->next)
		if (s->ip == ip)
			return s->principal;
	return NULL;
}

const char *directory_service_like(const struct directory *d, const char *beginning)
{
	const struct service *s = d->services;

	while (s && !(s->ip && strncmp(s->principal, beginning, strlen(beginning)) == 0))
		s = s->next;
	return s ? s->principal : NULL;
}

void directory_head_end_add(struct directory *d, uint32_t prefix, uint8_t prefix_len, const char *principal)
{
	struct head_end *h = sim_alloc(sizeof *h);

	h->principal = sim_strdup(principal);
	h->mask = prefix_len ? UINT32_MAX << (32 - prefix_len) : 0;
	h->prefix = prefix & h->mask;
	*d->head_ends_tail = h;
	d->head_ends_tail = &h->next;
}

static const struct head_end *head_end_of(const struct directory *d, uint32_t ip)
{
	const struct head_end *best = NULL;

	for (const struct head_end *h = d->head_ends; h; h = h->next)
		if ((ip & h->mask) == h->prefix && (!best || h->mask > best->mask))
			best = h;
	return best;
}

const char *directory_head_end_of(const struct directory *d, uint32_t ip)
{
	const struct head_end *h = head_end_of(d, ip);

	return h ? h->principal : NULL;
}

void directory_segment_set(struct directory *d, const char *head_end, const char *controller)
{
	struct head_end *h = d->head_ends;

	while (h && strcmp(h->principal, head_end) != 0)
		h = h->next;
	assert(h);
	free(h->controller);
	h->controller = sim_strdup(controller);
}

static bool is_controller_of(const struct head_end *h, const char *principal)
{
	return h && h->controller && strcmp(h->controller, principal) == 0;
}

bool directory_serves(const struct directory *d, const char *principal, uint32_t ip)
{
	const struct head_end *own = d->head_ends;

	while (own && !is_controller_of(own, principal))
		own = own->next;
	return !own || is_controller_of(head_end_of(d, ip), principal);
}

/* Numbers */

static struct number **place_of(const struct directory *d, const char *digits)
{
	uint32_t h = 2166136261u;
	struct number **at;

	for (const char *p = digits; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	at = &d->numbers[(h ^ h >> 16) & (d->bucket_count - 1)];
	while (*at && strcmp((*at)->digits, digits) != 0)
		at = &(*at)->next;
	return at;
}

static void grow(struct directory *d)
{
	struct number **old = d->numbers;
	uint32_t count = d->bucket_count;

	d->bucket_count = count ? count * 2 : NUMBER_BUCKETS_FIRST;
	d->numbers = sim_alloc(d->bucket_count * sizeof *d->numbers);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct number *n = old[b], **at = place_of(d, n->digits);

			old[b] = n->next;
			n->next = NULL;
			*at = n;
		}
	free(old);
}

static void number_remove(struct directory *d, const char *digits)
{
	struct number **at = d->bucket_count ? place_of(d, digits) : NULL, *n = at ? *at : NULL;

	if (!n)
		return;
	*at = n->next;
	free(n);
	d->number_count--;
}

void directory_number_set(struct directory *d, const char *digits, const char *principal)
{
	struct number **at;

	assert(strlen(digits) < SUBSCRIBER_NUMBER_LEN);
	if (!principal) {
		number_remove(d, digits);
		return;
	}
	if (d->number_count >= d->bucket_count)
		grow(d);
	at = place_of(d, digits);
	if (!*at) {
		*at = sim_alloc(sizeof **at);
		snprintf((*at)->digits, sizeof (*at)->digits, "%s", digits);
		d->number_count++;
	}
	(*at)->principal = service_named(d, principal)->principal;
}

void directory_prefix_add(struct directory *d, const char *digits, const char *principal)
{
	struct prefix **at = &d->prefixes, *p = sim_alloc(sizeof *p);
	size_t len = strlen(digits);

	strncpy(p->digits, digits, sizeof p->digits - 1);
	p->principal = service_named(d, principal)->principal;
	while (*at && strlen((*at)->digits) >= len)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
}

const char *directory_number(const struct directory *d, const char *digits)
{
	const struct number *n = d->bucket_count ? *place_of(d, digits) : NULL;

	if (n)
		return n->principal;
	for (const struct prefix *p = d->prefixes; p; p = p->next)
		if (strncmp(digits, p->digits, strlen(p->digits)) == 0)
			return p->principal;
	return NULL;
}

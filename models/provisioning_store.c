/* Devices, customers and numbers of the provisioning CA; see provisioning_store.h. */
#include "models/provisioning_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/name_index.h"

#define FIRST_CUSTOMER 1001

struct number_block {
	char controller[KRB_NAME_MAX + 1];
	uint64_t first, last, next;
	int digits;
};

struct provisioning_store {
	struct device *devices, **devices_tail; /* as they came */
	struct customer *customers, *last_customer;
	struct name_index *by_mac, *by_ip, *by_number, *denied;
	struct binding_record *bindings;
	uint64_t bindings_made;
	uint32_t next_customer;
	unsigned standing[2]; /* customers; accounts of repair facilities */
	struct number_block blocks[NUMBER_BLOCKS_MAX];
	unsigned block_count;
};

struct binding_record {
	struct binding_record *next;
	struct binding b;
};

struct provisioning_store *provisioning_store_new(void)
{
	struct provisioning_store *s = sim_alloc(sizeof *s);

	s->devices_tail = &s->devices;
	s->by_mac = name_index_new();
	s->by_ip = name_index_new();
	s->by_number = name_index_new();
	s->denied = name_index_new();
	s->next_customer = FIRST_CUSTOMER;
	return s;
}

void provisioning_store_free(struct provisioning_store *s)
{
	if (!s)
		return;
	while (s->customers)
		customer_remove(s, s->customers);
	while (s->devices) {
		struct device *d = s->devices;

		s->devices = d->next;
		der_free(&d->cert);
		free(d);
	}
	while (s->bindings) {
		struct binding_record *b = s->bindings;

		s->bindings = b->next;
		free(b);
	}
	name_index_free(s->by_mac);
	name_index_free(s->by_ip);
	name_index_free(s->by_number);
	name_index_free(s->denied);
	free(s);
}

/* Devices */

bool device_mac_parse(const char *text, uint8_t mac[6])
{
	char digits[13];

	if (strlen(text) != MAC_TEXT_LEN - 1)
		return false;
	for (int i = 0; i < 6; i++) {
		memcpy(digits + 2 * i, text + 3 * i, 2);
		if (i && text[3 * i - 1] != ':')
			return false;
	}
	digits[12] = '\0';
	return hex_decode(span_of(digits), mac, 6) == 6;
}

void device_mac_format(const uint8_t mac[6], char out[MAC_TEXT_LEN])
{
	snprintf(out, MAC_TEXT_LEN, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

struct device *device_find(const struct provisioning_store *s, const uint8_t mac[6])
{
	char text[MAC_TEXT_LEN];

	device_mac_format(mac, text);
	return name_index_get(s->by_mac, text);
}

const struct binding *binding_find(const struct provisioning_store *s, uint32_t ip)
{
	char text[IP_TEXT_LEN];
	const struct binding_record *r = name_index_get(s->by_ip, ip_text(ip, text));

	return r && r->b.device ? &r->b : NULL;
}

/*
 * The record of an address stays when its device has gone, so that the next device there is known to have overwritten
 * it.
 */
static void bind_address(struct provisioning_store *s, uint32_t ip, struct device *device, sim_ns now_ns)
{
	char text[IP_TEXT_LEN];
	struct binding_record *r = name_index_get(s->by_ip, ip_text(ip, text));

	if (!r) {
		r = sim_alloc(sizeof *r);
		r->next = s->bindings;
		s->bindings = r;
		name_index_set(s->by_ip, text, r);
		r->b.overwrote = false;
	} else {
		r->b.overwrote = true;
	}
	r->b.device = device;
	r->b.since_ns = now_ns;
	r->b.serial = ++s->bindings_made;
}

/* Whether an address is on record or can be. */
static bool has_room_for(const struct provisioning_store *s, uint32_t ip)
{
	char text[IP_TEXT_LEN];

	return name_index_count(s->by_ip) < PROVISIONING_BINDINGS_MAX || name_index_get(s->by_ip, ip_text(ip, text));
}

static struct device *device_new(struct provisioning_store *s, const uint8_t mac[6])
{
	struct device *d;

	if (name_index_count(s->by_mac) == PROVISIONING_DEVICES_MAX)
		return NULL;
	d = sim_alloc(sizeof *d);
	memcpy(d->mac, mac, 6);
	device_mac_format(mac, d->mac_text);
	*s->devices_tail = d;
	s->devices_tail = &d->next;
	name_index_set(s->by_mac, d->mac_text, d);
	return d;
}

static bool same_cert(const struct device *d, const uint8_t *cert, size_t len)
{
	return d->cert.len == len && memcmp(d->cert.bytes, cert, len) == 0;
}

static void set_cert(struct device *d, const uint8_t *cert, size_t len)
{
	der_free(&d->cert);
	d->cert.bytes = sim_alloc(len);
	memcpy(d->cert.bytes, cert, len);
	d->cert.len = len;
}

struct device *device_report(struct provisioning_store *s, const uint8_t mac[6], uint32_t ip, const char *controller,
                             const uint8_t *cert, size_t cert_len, sim_ns now_ns)
{
	struct device *d = device_find(s, mac);
	const struct binding *b = binding_find(s, ip);
	bool same;

	if (!has_room_for(s, ip))
		return NULL;
	if (!d)
		d = device_new(s, mac);
	if (!d)
		return NULL;
	same = same_cert(d, cert, cert_len);
	if (!same)
		set_cert(d, cert, cert_len);
	if (d->ip != ip && d->ip) {
		const struct binding *old = binding_find(s, d->ip);

		if (old && old->device == d)
			bind_address(s, d->ip, NULL, now_ns); /* it is elsewhere now */
	}
	if (!b || b->device != d || !same)
		bind_address(s, ip, d, now_ns);
	d->ip = ip;
	snprintf(d->controller, sizeof d->controller, "%s", controller);
	return d;
}

struct device *device_enter(struct provisioning_store *s, const uint8_t mac[6], const char *controller,
                            const struct der *cert)
{
	struct device *d = device_find(s, mac);

	if (!d)
		d = device_new(s, mac);
	if (!d)
		return NULL;
	set_cert(d, cert->bytes, cert->len);
	snprintf(d->controller, sizeof d->controller, "%s", controller);
	return d;
}

unsigned device_count(const struct provisioning_store *s)
{
	return name_index_count(s->by_mac);
}

bool device_set_denied(struct provisioning_store *s, const uint8_t mac[6], bool denied)
{
	char text[MAC_TEXT_LEN];

	if (denied && !device_denied(s, mac) && name_index_count(s->denied) == PROVISIONING_DENIED_MAX)
		return false;
	device_mac_format(mac, text);
	name_index_set(s->denied, text, denied ? s : NULL);
	return true;
}

bool device_denied(const struct provisioning_store *s, const uint8_t mac[6])
{
	char text[MAC_TEXT_LEN];

	device_mac_format(mac, text);
	return name_index_get(s->denied, text) != NULL;
}

unsigned device_denied_count(const struct provisioning_store *s)
{
	return name_index_count(s->denied);
}

/* Numbers */

static bool read_block(struct span text, struct number_block *out)
{
	const char *equals = memchr(text.at, '=', text.len), *end = text.at + text.len, *dash;
	size_t len;

	dash = equals ? memchr(equals, '-', (size_t)(end - equals)) : NULL;
	if (!dash)
		return false;
	len = (size_t)(dash - equals - 1);
	if (len == 0 || len > 15 || (size_t)(end - dash - 1) != len ||
	    !span_copy(span_trim((struct span){ text.at, (size_t)(equals - text.at) }), out->controller,
	               sizeof out->controller) ||
	    !span_number((struct span){ equals + 1, len }, UINT64_MAX, &out->first) ||
	    !span_number((struct span){ dash + 1, len }, UINT64_MAX, &out->last) || out->first > out->last)
		return false;
	out->next = out->first;
	out->digits = (int)len;
	return strchr(out->controller, '/') != NULL;
}

static bool overlaps(const struct provisioning_store *s, const struct number_block *b)
{
	for (unsigned i = 0; i < s->block_count; i++)
		if (s->blocks[i].digits == b->digits && b->first <= s->blocks[i].last && s->blocks[i].first <= b->last)
			return true;
	return false;
}

bool number_blocks_read(struct provisioning_store *s, const char *text, char error[MODEL_ERROR_LEN])
{
	while (*text) {
		size_t len = strcspn(text, ";");
		struct number_block *b = &s->blocks[s->block_count];

		if (s->block_count == NUMBER_BLOCKS_MAX || !read_block((struct span){ text, len }, b) ||
		    overlaps(s, b)) {
			snprintf(error, MODEL_ERROR_LEN,
			         "numbers takes up to %d blocks that do not overlap, found \"%.60s\"; write "
			         "numbers = \"sc/sc1=2155550200-2155550299;sc/sc2=6105550200-6105550299\"",
			         NUMBER_BLOCKS_MAX, text);
			return false;
		}
		s->block_count++;
		text += len;
		text += *text == ';';
	}
	return true;
}

bool number_local(const struct provisioning_store *s, const char *controller, const char *digits)
{
	uint64_t n;

	if (!span_number(span_of(digits), UINT64_MAX, &n))
		return false;
	for (unsigned i = 0; i < s->block_count; i++) {
		const struct number_block *b = &s->blocks[i];

		if (strcmp(b->controller, controller) == 0 && strlen(digits) == (size_t)b->digits && n >= b->first &&
		    n <= b->last)
			return true;
	}
	return false;
}

bool number_free(const struct provisioning_store *s, const char *digits)
{
	return !customer_by_number(s, digits);
}

static bool assign_from(struct provisioning_store *s, struct number_block *b,
                        bool (*taken)(void *ctx, const char *digits),
                        void *ctx, char digits[SUBSCRIBER_NUMBER_LEN])
{
	for (uint64_t left = b->last - b->first + 1; left > 0; left--) {
		snprintf(digits, SUBSCRIBER_NUMBER_LEN, "%0*" PRIu64, b->digits, b->next);
		b->next = b->next == b->last ? b->first : b->next + 1;
		if (number_free(s, digits) && !(taken && taken(ctx, digits)))
			return true;
	}
	return false;
}

bool number_assign(struct provisioning_store *s, const char *controller, bool (*taken)(void *ctx, const char *digits),
                   void *ctx, char digits[SUBSCRIBER_NUMBER_LEN])
{
	for (unsigned i = 0; i < s->block_count; i++)
		if (strcmp(s->blocks[i].controller, controller) == 0 &&
		    assign_from(s, &s->blocks[i], taken, ctx, digits))
			return true;
	return false;
}

/* Customers */

struct customer *customer_by_number(const struct provisioning_store *s, const char *digits)
{
	return name_index_get(s->by_number, digits);
}

static struct customer **place_at_device(struct customer *c)
{
	return c->repair ? &c->device->repair : &c->device->owner;
}

struct customer *customer_add(struct provisioning_store *s, const struct customer_request *request)
{
	struct customer *c;

	assert(number_free(s, request->number));
	if (name_index_count(s->by_number) == PROVISIONING_CUSTOMERS_MAX)
		return NULL;
	c = sim_alloc(sizeof *c);
	snprintf(c->id, sizeof c->id, "C-%" PRIu32, s->next_customer++);
	snprintf(c->number, sizeof c->number, "%s", request->number);
	snprintf(c->data, sizeof c->data, "%s", request->data);
	snprintf(c->options, sizeof c->options, "%s", request->options);
	snprintf(c->controller, sizeof c->controller, "%s", request->controller);
	c->device = request->device;
	c->ip = request->device->ip;
	c->repair = request->repair;
	c->replaces = request->replaces;
	c->pending = true;
	c->prev = s->last_customer;
	if (c->prev)
		c->prev->next = c;
	else
		s->customers = c;
	s->last_customer = c;
	name_index_set(s->by_number, c->number, c);
	*place_at_device(c) = c;
	return c;
}

uint32_t customer_ip(struct customer *c)
{
	if (strcmp(c->device->controller, c->controller) == 0)
		c->ip = c->device->ip;
	return c->ip;
}

void customer_settle(struct provisioning_store *s, struct customer *c)
{
	s->standing[c->repair] += c->pending;
	c->pending = false;
}

void customer_remove(struct provisioning_store *s, struct customer *c)
{
	struct customer *successor = *place_at_device(c);

	if (c->prev)
		c->prev->next = c->next;
	else
		s->customers = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		s->last_customer = c->prev;
	name_index_set(s->by_number, c->number, NULL);
	s->standing[c->repair] -= !c->pending;
	if (successor == c)
		*place_at_device(c) = c->replaces;
	else if (successor && successor->replaces == c)
		successor->replaces = NULL;
	free(c);
}

unsigned customer_count(const struct provisioning_store *s, bool repair)
{
	return s->standing[repair];
}

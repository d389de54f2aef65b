/* The subscriber database; see subscriber.h. Three chained hash tables over the same records. */
#include "models/subscriber.h"

#include <stdlib.h>
#include <string.h>
#include "sim/sim.h"

#define BUCKETS_FIRST 16

struct subscribers {
	struct subscriber **by_number, **by_id, **by_mac;
	uint32_t buckets, count;
};

bool number_digits(const char *number, char out[SUBSCRIBER_NUMBER_LEN])
{
	size_t n = 0;

	for (; *number; number++) {
		if (*number < '0' || *number > '9')
			continue;
		if (n == SUBSCRIBER_NUMBER_LEN - 1)
			return false;
		out[n++] = *number;
	}
	out[n] = '\0';
	return n > 0;
}

static uint32_t hash_bytes(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ *p++) * 16777619u;
	return h;
}

static struct subscriber **number_bucket(const struct subscribers *db, const char *digits)
{
	return &db->by_number[hash_bytes(digits, strlen(digits)) & (db->buckets - 1)];
}

static struct subscriber **id_bucket(const struct subscribers *db, const uint8_t id[PHONE_ID_LEN])
{
	return &db->by_id[hash_bytes(id, PHONE_ID_LEN) & (db->buckets - 1)];
}

static struct subscriber **mac_bucket(const struct subscribers *db, const uint8_t mac[6])
{
	return &db->by_mac[hash_bytes(mac, 6) & (db->buckets - 1)];
}

static void enter_mac(struct subscribers *db, struct subscriber *s)
{
	struct subscriber **bucket = mac_bucket(db, s->mac);

	s->next_mac = *bucket;
	*bucket = s;
}

static void leave_mac(struct subscribers *db, struct subscriber *s)
{
	struct subscriber **at = mac_bucket(db, s->mac);

	while (*at != s)
		at = &(*at)->next_mac;
	*at = s->next_mac;
}

static void enter(struct subscribers *db, struct subscriber *s)
{
	struct subscriber **bucket = number_bucket(db, s->number);

	s->next_number = *bucket;
	*bucket = s;
	bucket = id_bucket(db, s->phone_id);
	s->next_id = *bucket;
	*bucket = s;
	enter_mac(db, s);
}

static void grow(struct subscribers *db)
{
	struct subscriber **old = db->by_number;
	uint32_t count = db->buckets;

	db->buckets *= 2;
	free(db->by_id);
	free(db->by_mac);
	db->by_mac = sim_alloc(db->buckets * sizeof *db->by_mac);
	db->by_number = sim_alloc(db->buckets * sizeof *db->by_number);
	db->by_id = sim_alloc(db->buckets * sizeof *db->by_id);
	for (uint32_t b = 0; b < count; b++)
		while (old[b]) {
			struct subscriber *s = old[b];

			old[b] = s->next_number;
			enter(db, s);
		}
	free(old);
}

struct subscribers *subscribers_new(void)
{
	struct subscribers *db = sim_alloc(sizeof *db);

	db->buckets = BUCKETS_FIRST;
	db->by_number = sim_alloc(db->buckets * sizeof *db->by_number);
	db->by_id = sim_alloc(db->buckets * sizeof *db->by_id);
	db->by_mac = sim_alloc(db->buckets * sizeof *db->by_mac);
	return db;
}

void subscribers_free(struct subscribers *db)
{
	if (!db)
		return;
	for (uint32_t b = 0; b < db->buckets; b++)
		while (db->by_number[b]) {
			struct subscriber *s = db->by_number[b];

			db->by_number[b] = s->next_number;
			free(s);
		}
	free(db->by_number);
	free(db->by_id);
	free(db->by_mac);
	free(db);
}

struct subscriber *subscribers_by_number(const struct subscribers *db, const char *number)
{
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct subscriber *s;

	if (!number_digits(number, digits))
		return NULL;
	for (s = *number_bucket(db, digits); s && strcmp(s->number, digits) != 0;)
		s = s->next_number;
	return s;
}

struct subscriber *subscribers_by_phone_id(const struct subscribers *db, const uint8_t id[PHONE_ID_LEN])
{
	struct subscriber *s = *id_bucket(db, id);

	while (s && memcmp(s->phone_id, id, PHONE_ID_LEN) != 0)
		s = s->next_id;
	return s;
}

bool subscribers_put(struct subscribers *db, struct crypto *crypto, const char *number, const uint8_t mac[6], uint32_t ip)
{
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct subscriber *s;

	if (!number_digits(number, digits))
		return false;
	s = subscribers_by_number(db, digits);
	if (!s) {
		if (db->count++ == db->buckets)
			grow(db);
		s = sim_alloc(sizeof *s);
		memcpy(s->number, digits, sizeof digits);
		crypto_sha1(crypto, (const uint8_t *)digits, strlen(digits), s->phone_id);
		memcpy(s->mac, mac, sizeof s->mac);
		enter(db, s);
	} else if (memcmp(s->mac, mac, sizeof s->mac) != 0) {
		leave_mac(db, s);
		memcpy(s->mac, mac, sizeof s->mac);
		enter_mac(db, s);
	}
	s->ip = ip;
	return true;
}

bool subscribers_remove(struct subscribers *db, const char *number)
{
	struct subscriber *s = subscribers_by_number(db, number), **at;

	if (!s)
		return false;
	for (at = number_bucket(db, s->number); *at != s;)
		at = &(*at)->next_number;
	*at = s->next_number;
	for (at = id_bucket(db, s->phone_id); *at != s;)
		at = &(*at)->next_id;
	*at = s->next_id;
	leave_mac(db, s);
	free(s);
	db->count--;
	return true;
}

const struct subscriber *subscribers_next_of_mac(const struct subscribers *db, const uint8_t mac[6],
                                                 const struct subscriber *after)
{
	const struct subscriber *s = after ? after->next_mac : *mac_bucket(db, mac);

	while (s && memcmp(s->mac, mac, sizeof s->mac) != 0)
		s = s->next_mac;
	return s;
}

unsigned subscribers_count(const struct subscribers *db)
{
	return db->count;
}

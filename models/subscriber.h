/*
 * The subscriber database of a signaling controller's segment (flows.md 0; patent [0208]): number, phone ID, MAC, address. Look-ups
 * by number and by phone ID are hashed; no result depends on the order of the tables.
 */
#ifndef TOLLGATE_MODELS_SUBSCRIBER_H
#define TOLLGATE_MODELS_SUBSCRIBER_H

#include "crypto/pki.h"

#define SUBSCRIBER_NUMBER_LEN 24

struct subscriber {
	char number[SUBSCRIBER_NUMBER_LEN]; /* digits only */
	uint8_t phone_id[PHONE_ID_LEN];
	uint8_t mac[6];
	uint32_t ip;                        /* where its CTA can be woken; 0: not known */
	struct subscriber *next_number, *next_id, *next_mac;
};

struct subscribers;
struct subscribers *subscribers_new(void);
void subscribers_free(struct subscribers *db);
/* Adds or replaces the record of a number (copied). False: no digits, or too many. */
bool subscribers_put(struct subscribers *db, struct crypto *crypto, const char *number, const uint8_t mac[6], uint32_t ip);
bool subscribers_remove(struct subscribers *db, const char *number);
/* NULL: none. Borrowed until the next put or remove. */
struct subscriber *subscribers_by_number(const struct subscribers *db, const char *number);
struct subscriber *subscribers_by_phone_id(const struct subscribers *db, const uint8_t phone_id[PHONE_ID_LEN]);
/* The records of a MAC one after the other: after is NULL or the one before; NULL: no more. */
const struct subscriber *subscribers_next_of_mac(const struct subscribers *db, const uint8_t mac[6],
                                                 const struct subscriber *after);
unsigned subscribers_count(const struct subscribers *db);
/* "(215) 555-0101" -> "2155550101". False: no digits, or more than fit. */
bool number_digits(const char *number, char out[SUBSCRIBER_NUMBER_LEN]);

#endif

/*
 * Looking up a name (RFC 1035, 2782): one question at a time, repeated with doubled pauses. An answer counts when
 * it comes from the server that was asked and has the ID and the name of the question: nothing more protects it,
 * so that what is found is believed no further than to send there.
 *
 * Refusals: "dns.malformed", "dns.unexpected".
 */
#ifndef TOLLGATE_MODELS_DNS_CLIENT_H
#define TOLLGATE_MODELS_DNS_CLIENT_H

#include "models/access_message.h"
#include "sim/rng.h"

#define DNS_CLIENT_TIMEOUT_NS (2 * NS_PER_S)
#define DNS_CLIENT_TRIES 4

struct dns_client;
/* record NULL: there is none, or no answer came. It lives for the call. */
typedef void dns_done_fn(void *ctx, const struct dns_record *record);

struct dns_client *dns_client_new(struct node *node);
void dns_client_free(struct dns_client *client);
void dns_client_reset(struct dns_client *client); /* forgets what is under way */
void dns_client_ask(struct dns_client *client, uint32_t server, const char *name, enum dns_type type, dns_done_fn *done,
                    void *ctx);

#endif

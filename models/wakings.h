/*
 * Clients that a server has asked for an AP exchange (flows.md 2, A0) and those who wait for it: a wake-up leaves
 * WAKE_UP_TRIES times, each pause twice the one before, until an association stands. Several may wait for one client,
 * which is asked once. Private to key management.
 */
#ifndef TOLLGATE_MODELS_WAKINGS_H
#define TOLLGATE_MODELS_WAKINGS_H

#include "models/key_management.h"

struct wakings;
/* send puts a wake-up on the wire. Nonces come from the node's stream "wake-up". */
struct wakings *wakings_new(struct ipsec *ipsec, struct node *node, void (*send)(void *ctx, uint32_t client_ip, uint32_t nonce),
                            void *ctx);
void wakings_free(struct wakings *wakings); /* NULL is harmless */
/* A restart: all are forgotten, nobody is told. */
void wakings_reset(struct wakings *wakings);
void wakings_add(struct wakings *wakings, uint32_t client_ip, ap_done_fn *done, void *done_ctx);
/* The nonce that a client has been asked with; false: it has not been asked. */
bool wakings_nonce(const struct wakings *wakings, uint32_t client_ip, uint32_t *nonce);
/* An association with a client stands: all who wait for it are told. */
void wakings_done(struct wakings *wakings, uint32_t client_ip, const struct association *association);

#endif

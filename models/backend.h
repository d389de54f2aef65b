/*
 * A server's associations with other servers (flows.md 13): SC-SC, SC-NS, KDC-SC, KDC-HE, SC-LEA. Before a server says
 * anything to another it has an ESP association with it: a ticket from the KDC by an AS-REQ with an encrypted time
 * stamp under its server key (a KDC makes its own), then an AP exchange (models/key_management.h).
 *
 * Tickets are kept and used again until they end. An association that has gone (its peer restarted, its lifetime is
 * over) is made anew when it is needed, or when its peer's ESP comes under an SPI that nobody knows here: then this
 * server keys again of itself, at most once in BACKEND_REKEY_PAUSE_NS for a peer, so that repetitions of what was lost
 * find an association.
 *
 * With backend.ipsec off every peer is ready at once and everything travels in clear.
 */
#ifndef TOLLGATE_MODELS_BACKEND_H
#define TOLLGATE_MODELS_BACKEND_H

#include "models/kdc_client.h"
#include "models/key_management.h"

#define BACKEND_REKEY_PAUSE_NS (1 * NS_PER_S)
#define BACKEND_TICKET_LIFETIME_S (24 * 3600)

struct backend;
typedef void backend_ready_fn(void *ctx, bool ready);

struct backend_config {
	struct node *node;
	struct ipsec *ipsec;
	struct key_management *km;
	const char *principal;      /* "sc/sc1"; borrowed */
	key_handle server_key;      /* shared with the KDC; unused when self_issue is set */
	uint32_t kdc_ip;            /* 0 with self_issue */
	bool self_issue;            /* a KDC: holds every server key and makes its own tickets */
};
/* config is copied. Hooks ipsec_on_unknown_spi(). Owned by the caller. */
struct backend *backend_new(const struct backend_config *config);
void backend_free(struct backend *backend);
/* A restart: tickets and what waits for them are gone; nobody is called. */
void backend_reset(struct backend *backend);
/*
 * Calls ready, from inside or later, when there is an association with the service at peer_ip (or there cannot be
 * one). peer must be in the directory.
 */
void backend_ensure(struct backend *backend, uint32_t peer_ip, backend_ready_fn *ready, void *ctx);
/* Forgets every waiting ready of ctx. */
void backend_cancel(struct backend *backend, const void *ctx);
/*
 * The association with a peer did not carry a question and its repetitions: drop it, so that the next
 * backend_ensure() keys anew.
 */
void backend_drop(struct backend *backend, uint32_t peer_ip);

#endif

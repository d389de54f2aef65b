/*
 * IPsec at a node: its security associations (SAD) and which traffic must go through them (SPD). RFC 2401 as far as this
 * architecture needs it; flows.md 3.
 *
 * An association is a pair of ESP directions from one sub-key: SPI protects the initiator's packets, SPI+1 the responder's
 * [0072], [0086], [0092]. Signaling (SIP) and the servers' queries (RADIUS) are protected traffic: without an association
 * they do not leave ("ipsec.no_association"). Refusals of what arrives: "esp.unknown_spi", "esp.malformed", "esp.auth",
 * "esp.replay_window", "esp.padding"; none of it reaches UDP.
 */
#ifndef TOLLGATE_MODELS_IPSEC_H
#define TOLLGATE_MODELS_IPSEC_H

#include "crypto/esp.h"
#include "models/world.h"
#include "sim/ip.h"

#define IPSEC_BUCKETS_FIRST 4
#define IPSEC_ASSOCIATIONS_MAX 200000

struct ipsec;

struct association {
	struct association *next;       /* in its bucket by inbound SPI */
	struct association *next_peer;  /* in its bucket by peer address, newest first */
	struct ipsec *ipsec;
	uint32_t peer_ip, spi;          /* spi: the initiator's; the responder's is one more */
	bool initiator;
	const char *label;              /* of crypto/derive.h */
	char peer[KRB_NAME_MAX + 1];    /* the authenticated principal at the other end; "" between CTAs */
	key_handle subkey, wrap;        /* for proofs of receipt and for key delivery inside the association */
	struct esp_sa *in, *out;
	struct event expiry;
	void (*expired)(struct association *association); /* its time is over or another takes its place: freed afterwards, unless by itself */
	void *owner;
	sim_ns born_ns;
	uint64_t serial;                /* in order of making at this node */
	uint64_t opened;
};

/* Hooks the node's IP layer. sm is borrowed. server: the node is one of the servers of flows.md 13. Owned by the caller. */
struct ipsec *ipsec_new(struct node *node, struct secure_module *sm, bool server);
/* Frees all associations without calling expired. */
void ipsec_free(struct ipsec *ipsec);
void ipsec_reset(struct ipsec *ipsec); /* a restart: all associations are gone */
struct secure_module *ipsec_module(const struct ipsec *ipsec);

struct association_request {
	uint32_t peer_ip, spi;
	bool initiator;
	key_handle subkey;              /* becomes the association's: destroyed with it */
	const char *label, *peer;
	sim_ns lifetime_ns;
	void (*expired)(struct association *association);
	void *owner;
};
/*
 * Adds an association. One of the same peer and SPI is replaced; its expired() is its last call. NULL: too many, or no such key (the
 * key is destroyed then).
 */
struct association *ipsec_add(struct ipsec *ipsec, const struct association_request *request);
/* Wipes and frees; NULL is harmless. */
void ipsec_remove(struct association *association);
/* The newest association with a peer under a label (NULL: any). */
struct association *ipsec_find(const struct ipsec *ipsec, uint32_t peer_ip, const char *label);
/* The association that a peer initiated under this SPI; NULL: none. */
struct association *ipsec_find_initiated(const struct ipsec *ipsec, uint32_t peer_ip, uint32_t spi);
unsigned ipsec_count(const struct ipsec *ipsec);
/* A fresh SPI for an initiator: even, not reserved (RFC 2406 section 2.1). */
uint32_t ipsec_new_spi(struct ipsec *ipsec);
/* Whether an initiator may choose this SPI: neither it nor the next one is reserved or 0. */
bool ipsec_spi_usable(uint32_t spi);
/*
 * An exchange is under way that will give an association with this inbound SPI: what comes under it before its answer has been worked through
 * (the peer may send at once) waits, up to IPSEC_HELD_MAX packets, and is taken when the association stands. The end of the expectation
 * without one refuses them as "esp.unknown_spi".
 */
#define IPSEC_HELD_MAX 8
void ipsec_expect(struct ipsec *ipsec, uint32_t peer_ip, uint32_t spi_in);
void ipsec_expect_no_more(struct ipsec *ipsec, uint32_t peer_ip, uint32_t spi_in);
/* True when a datagram in clear may be taken: it came under ESP, or both ends are servers and backend.ipsec is off. */
bool ipsec_covered(const struct ipsec *ipsec, const struct udp_from *from);
/*
 * What stands against SIP from there: NULL nothing, else the name of the check: "backend.ipsec" (in clear, at a server,
 * from an address of the directory), "signaling.esp" (in clear, otherwise). With signaling.esp off a CTA's message in
 * clear is given, in from->sa, the newest association with its source address: the address is believed.
 */
const char *ipsec_check_signaling(const struct ipsec *ipsec, struct udp_from *from);
/* Told when an ESP packet names an SPI that nobody knows (a peer that has not heard of our restart). */
void ipsec_on_unknown_spi(struct ipsec *ipsec, void (*fn)(void *ctx, uint32_t peer_ip), void *ctx);

#endif

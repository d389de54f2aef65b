/*
 * One end of a 64 kbit/s circuit between the trunk gateway and the PSTN, both directions: mu-law G.711 octets, 160
 * every 20 ms, in RTP in clear (RFC 3550, RFC 3551) on the trunk link, where a port is a circuit: TRUNK_PORT_FIRST +
 * 2 * its number. A circuit emulated over packets is our choice; what is on it is what a time slot of a T1 would
 * carry, in clear, as the PSTN is.
 *
 * What comes from elsewhere than the circuit's other end, or says so but comes in from another network, is refused as
 * "trunk.source", what is no RTP of 160 octets of mu-law as "trunk.malformed". A time slot has no sequence: octets are handed on as they come.
 *
 * Observers see messages of protocol "trunk", so that they cannot be taken for voice on the IP network.
 */
#ifndef TOLLGATE_MODELS_TRUNK_BEARER_H
#define TOLLGATE_MODELS_TRUNK_BEARER_H

#include "models/wire/rtp.h"
#include "sim/ip.h"

#define TRUNK_PORT_FIRST 15000
#define TRUNK_SILENCE 0xff     /* mu-law of 0 */

struct trunk_bearer;

struct trunk_bearer_request {
	struct node *node;
	unsigned circuit;
	uint32_t local_ip, peer_ip;
	/* The next 20 ms to send: fill in octets. */
	void (*fill)(void *ctx, uint8_t octets[RTP_PAYLOAD_LEN]);
	/* What has come, borrowed; may not stop the bearer. */
	void (*heard)(void *ctx, const uint8_t octets[RTP_PAYLOAD_LEN]);
	/* Nothing came for so long: once, and may stop it. lost_after_ns 0: never. */
	sim_ns lost_after_ns; /* counted from trunk_bearer_talk() on */
	void (*lost)(void *ctx);
	void *ctx;
};
struct trunk_bearer_counters {
	uint64_t sent, received, refused; /* packets of 20 ms */
};

/* Hears at once, and says nothing yet. The request is copied. NULL: the port is taken. Owned by the caller. */
struct trunk_bearer *trunk_bearer_start(const struct trunk_bearer_request *request);
/* The circuit is connected in this direction too. */
void trunk_bearer_talk(struct trunk_bearer *bearer);
void trunk_bearer_stop(struct trunk_bearer *bearer); /* NULL is harmless */
struct trunk_bearer_counters trunk_bearer_counters(const struct trunk_bearer *bearer);

#endif

/*
 * Kerberized key management messages: the frame in which AP-REQ, AP-REP and the wake-up travel over UDP 1293. It is that of
 * PacketCable 1.0 (PKT-SP-SEC, section 6.5), the deployed successor of the patent's exchange, so that its decoders read ours:
 * KMMID, DOI (IPsec), version, the Kerberos message, nonce, SPI, cipher suites, flags, and a keyed SHA-1 hash over all of it.
 */
#ifndef TOLLGATE_WIRE_PKTC_H
#define TOLLGATE_WIRE_PKTC_H

#include "models/wire/span.h"

#define PKTC_PORT 1293
#define PKTC_HASH_LEN 20
#define PKTC_PRINCIPAL_MAX 127
#define PKTC_MESSAGE_MAX 1472 /* one unfragmented datagram [0070] */

enum pktc_kind { PKTC_WAKE_UP = 1, PKTC_AP_REQUEST = 2, PKTC_AP_REPLY = 3, PKTC_ERROR_REPLY = 6 };

struct pktc {
	enum pktc_kind kind;
	struct span kerberos;        /* AP-REQ, AP-REP, KRB-ERROR */
	uint32_t server_nonce;       /* wake-up, AP request (0 when it answers none) */
	char principal[PKTC_PRINCIPAL_MAX + 1]; /* wake-up */
	uint32_t spi;                /* AP request and reply: the sender's inbound SPI */
	uint32_t lifetime_s, grace_s; /* AP reply */
	const uint8_t *hash;         /* PKTC_HASH_LEN bytes; request and reply */
	size_t hashed_len;           /* bytes from the start that the hash covers */
};

/*
 * kerberos_len tells how long the DER message at a place is (crypto knows; this layer does not); 0: none.
 * False: not one whole message of a known kind.
 */
bool pktc_parse(const uint8_t *bytes, size_t len, size_t (*kerberos_len)(const uint8_t *, size_t), struct pktc *out);
/* Writes all but the hash, whose room (request, reply) the caller fills at the end. Returns the length with it; 0: no room. */
size_t pktc_write(const struct pktc *message, uint8_t *out, size_t size);

#endif

/*
 * The signaling link between the POTS signaling gateway and the PSTN: ISUP in MTP3 in TALI frames (RFC 3094) on one
 * TCP connection.
 *
 * One end listens, the other connects, and again after ISUP_LINK_RETRY_NS whenever the connection has gone. Each end
 * asks with "test" whether it may send; until the peer's "allo" its link is not up and nothing is sent. A link that
 * is up is monitored: "moni" every ISUP_LINK_MONITOR_NS, whose "mona" must bring the same bytes back within
 * ISUP_LINK_ANSWER_NS, or the connection is given up. "proh" from the peer is acknowledged, and it is asked again
 * every ISUP_LINK_TEST_NS.
 *
 * TALI has no authentication. All there is: the listener takes connections from its one peer's address only, at its
 * own address on the signaling network ("tali.check_peer"). Other refusals: "tali.malformed" (the connection is given
 * up), "tali.unexpected" (a "mona" that nobody asked for, a user part that is not served), "isup.malformed",
 * "isup.label" (not from the peer's point code to ours).
 */
#ifndef TOLLGATE_MODELS_ISUP_LINK_H
#define TOLLGATE_MODELS_ISUP_LINK_H

#include "models/wire/isup.h"
#include "sim/node.h"
#include "sim/machine.h"

#define TALI_PORT 7002 /* our choice: RFC 3094 leaves the port to the operator */
#define ISUP_LINK_RETRY_NS (2 * NS_PER_S)
#define ISUP_LINK_TEST_NS (5 * NS_PER_S)
#define ISUP_LINK_MONITOR_NS (10 * NS_PER_S)
#define ISUP_LINK_ANSWER_NS (5 * NS_PER_S)

struct isup_link;

struct isup_link_config {
	struct node *node;
	bool connects;               /* else listens */
	uint32_t local_ip, peer_ip;  /* on the signaling network */
	uint16_t local_code, peer_code; /* point codes */
	void (*up)(void *ctx);
	void (*down)(void *ctx);
	/* A message with the peer's label. tag: for observers, to be accepted or refused by who acts on it. */
	void (*received)(void *ctx, const struct isup *message, uint64_t tag);
	void *ctx;
};

/* config is copied. Owned by the caller. */
struct isup_link *isup_link_new(const struct isup_link_config *config);
void isup_link_free(struct isup_link *link);
/* Power on, or again after a restart: what was before is forgotten without a word. down() is not called. */
void isup_link_start(struct isup_link *link);
bool isup_link_is_up(const struct isup_link *link);
/* Fills in network and label and sends. False: the link is not up. Asserted: the message can be written. */
bool isup_link_send(struct isup_link *link, const struct isup *message);

extern const struct machine_def isup_link_machine;

#endif

/*
 * The clone detector of a head-end (patent [0133]; attacks.md P1). A device whose MAC, key and certificate have
 * been copied into another is told from it by where it is: before a head-end gives a MAC an address, it asks the
 * operator's other head-ends whether the MAC has one there.
 *
 * The question is a RADIUS Access-Request (Connect-Info "lease", User-Name the MAC, Framed-IP-Address the one it has
 * here already, if any); the answer an Access-Accept, whose Framed-IP-Address is the one that the MAC has there, or
 * none. A head-end that is asked looks whether the device is still there (models/presence.h), so that one that has
 * moved leaves nothing behind that keeps it from service. Two head-ends that ask each other about one MAC at the same
 * time settle it by what they have: the one that has leased it an address goes on, else the first in order of names,
 * and is said to have it. A head-end that does not answer counts as one that knows nothing: the failure of one must
 * not keep the devices of all others from their service.
 *
 * Whoever floods it with MACs makes it slow, never blind: questions beyond what can be under way wait for their turn,
 * results are forgotten early, and a device for which there is no room at all is refused and asks again.
 *
 * Refusals: "he.clone", "he.clone_busy".
 */
#ifndef TOLLGATE_MODELS_CLONE_DETECTOR_H
#define TOLLGATE_MODELS_CLONE_DETECTOR_H

#include "models/backend.h"
#include "models/lease_table.h"
#include "models/radius_client.h"

#define CLONE_QUESTION "lease"
#define CLONE_KNOWN_NS (10 * NS_PER_S)   /* an answer holds for so long: from DISCOVER to REQUEST */
#define CLONE_PEERS_MAX 16
#define CLONE_INQUIRIES_MAX 1024

struct clone_detector;
struct clone_detector_config {
	struct node *node;
	struct ipsec *ipsec;
	struct backend *backend;
	const char *principal; /* its own: "he/cmts1"; borrowed */
	/* The address that a MAC has here now; 0: none. */
	uint32_t (*address)(void *ctx, const uint8_t mac[LEASE_MAC_LEN]);
	/* An inquiry has come to its end: clone_detector_admit() does not wait now. Never from inside of that. */
	void (*settled)(void *ctx, const uint8_t mac[LEASE_MAC_LEN]);
	void *ctx;
};
/* peers: names of other head-ends, "cmts2, cmts3". NULL: they cannot be read. Owned by the caller. */
struct clone_detector *clone_detector_new(const struct clone_detector_config *config, const char *peers);
void clone_detector_free(struct clone_detector *detector);
void clone_detector_reset(struct clone_detector *detector); /* forgets every inquiry */
/* NULL: no clone, or not known yet (*wait), until settled(). Else the check that refuses it. */
const char *clone_detector_admit(struct clone_detector *detector, const uint8_t mac[LEASE_MAC_LEN], bool *wait);
/*
 * Another head-end, where the MAC has an address already or not, asks while this one does: whether this one comes
 * first. If not, it gives way, and its own inquiry ends with a clone.
 */
bool clone_detector_claims(struct clone_detector *detector, const uint8_t mac[LEASE_MAC_LEN], const char *asker,
                           bool has_it);
uint64_t clone_detector_found(const struct clone_detector *detector);

#endif

/*
 * Whether a device is still where its lease says (patent [0133]; RFC 2131 section 2.2: a server that wants to know
 * whether an address is in use sends it an echo request). A head-end that is asked by another one for a device's
 * lease looks first: one that was carried away leaves its lease behind for as long as an hour, and its owner is to
 * have service where it is now.
 *
 * A device is here when it answers an echo, or says anything to the head-end meanwhile. It is gone when it lets
 * PRESENCE_TRIES echoes go by. Identifier and sequence number are drawn for each: who has not seen the request
 * cannot answer it. A neighbour on the segment that takes the device's address can: then it is said to be here
 * until its lease ends, which keeps it from nothing but a new one elsewhere.
 *
 * Refusal: "he.echo" (for a device that is looked for, but no answer to the last echo, or not from the segment).
 */
#ifndef TOLLGATE_MODELS_PRESENCE_H
#define TOLLGATE_MODELS_PRESENCE_H

#include "models/lease_table.h"
#include "sim/ip.h"

#define PRESENCE_TRIES 4
#define PRESENCE_WAIT_NS (2 * NS_PER_S) /* for each; all of them end before another head-end gives up asking (31 s) */
#define PRESENCE_MAX 256                /* devices that are looked for at a time */

struct presence;
/* It is known now; never called from inside of presence_look(). */
typedef void presence_fn(void *ctx, const uint8_t mac[LEASE_MAC_LEN], bool here);
/* Takes the node's answers to echoes. Owned by the caller. */
struct presence *presence_new(struct node *node, const struct iface *hfc, presence_fn *settled, void *ctx);
void presence_free(struct presence *presence);
void presence_reset(struct presence *presence); /* a restart: nobody is looked for, nobody is told */
/* Looks for the device at ip, unless it is being looked for already. False: no room. */
bool presence_look(struct presence *presence, const uint8_t mac[LEASE_MAC_LEN], uint32_t ip);
/* The device has just been heard on the segment. */
void presence_heard(struct presence *presence, const uint8_t mac[LEASE_MAC_LEN]);

#endif

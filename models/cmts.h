/*
 * The HFC head-end (flows.md 0; patent [0133]): stands between its HFC segment and the network, knows which address it
 * leased to which MAC, and tells the KDC.
 */
#ifndef TOLLGATE_MODELS_CMTS_H
#define TOLLGATE_MODELS_CMTS_H

#include "models/model.h"

#define CMTS_LEASES_MAX 65536
#define CMTS_BAD_MARKS_MAX 1024

/* Enters a lease: the device with this MAC has this address. The address's lease before is replaced. False: no room. */
bool cmts_lease_add(struct node *cmts, uint32_t ip, const uint8_t mac[6]);
/* "he/NAME". Borrowed. */
const char *cmts_principal(const struct node *cmts);
extern const struct model model_cmts;

#endif

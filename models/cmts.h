/*
 * The HFC head-end (flows.md 0, 5; patent [0122], [0131]-[0133], [0148]): stands between its HFC segment and the
 * network, gives devices addresses, configurations and software, keeps those without an account to a few servers,
 * knows which address it leased to which MAC, and tells the KDC.
 */
#ifndef TOLLGATE_MODELS_CMTS_H
#define TOLLGATE_MODELS_CMTS_H

#include "models/model.h"

#define CMTS_LEASES_MAX 65536 /* LEASES_MAX of models/lease_table.h */
#define CMTS_BAD_MARKS_MAX 1024
#define CMTS_LEASE_NS (3600 * NS_PER_S)
#define CMTS_LEASE_MIN_NS (10 * NS_PER_S)
#define CMTS_SOFTWARE "1.0"
#define CMTS_IMAGE_BYTES 16384

/*
 * Enters a lease for good, as an operator would: the device with this MAC has this address, and an account until
 * it is taken from it. The address's lease before is replaced. False: no room.
 */
bool cmts_lease_add(struct node *cmts, uint32_t ip, const uint8_t mac[6]);
/* "he/NAME". Borrowed. */
const char *cmts_principal(const struct node *cmts);
extern const struct model model_cmts;

#endif

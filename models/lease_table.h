/*
 * The lease database of a head-end (RFC 2131 section 2.1; patent [0131], [0133]): which device, by its MAC, has
 * which address and until when. It is on disk: a restart keeps it.
 *
 * Invariants: an address has one entry, and it passes to another MAC only after its time has ended; a MAC has one
 * entry in each pool at most, and gets its address again for as long as nobody else has taken it. What was never
 * given out goes first, then what has been free longest, so that an address rests before it changes hands. Static
 * entries never end. Who finds a pool exhausted pays no more than who does not: its entries are a heap by their end.
 */
#ifndef TOLLGATE_MODELS_LEASE_TABLE_H
#define TOLLGATE_MODELS_LEASE_TABLE_H

#include "sim/sim.h"

#define LEASE_MAC_LEN 6
#define LEASES_MAX 65536

enum lease_pool { LEASE_UNPROVISIONED, LEASE_PROVISIONED, LEASE_POOLS };
enum lease_kind {
	LEASE_STATIC,  /* entered by the operator; of no pool */
	LEASE_OFFERED, /* held for the answer to an offer */
	LEASE_BOUND,
	LEASE_BLOCKED  /* a device found somebody else at it (DHCPDECLINE) */
};
struct lease {
	struct lease *next_by_ip, *next_by_mac;
	uint32_t ip;
	uint8_t mac[LEASE_MAC_LEN];
	uint8_t kind, pool;
	bool refuse_renewal; /* its device is to start anew */
	bool closed;         /* static: its device's account has been taken from it */
	uint32_t heap_at;    /* place in its pool's heap; the table's own */
	sim_ns until_ns;     /* SIM_NEVER: for good; changed by lease_until() alone */
};

struct lease_table;
struct lease_table *lease_table_new(void);
void lease_table_free(struct lease_table *table);
/* Addresses first to last, both included, are a pool. False: the range is none, is too long or overlaps the other. */
bool lease_table_pool(struct lease_table *table, enum lease_pool pool, uint32_t first, uint32_t last);
bool lease_table_pools(const struct lease_table *table); /* both are there */
/* The pool an address is in; false: in neither. */
bool lease_table_pool_of(const struct lease_table *table, uint32_t ip, enum lease_pool *pool);

/* Enters a static lease in place of what the address had before. False: no room. */
bool lease_table_add_static(struct lease_table *table, uint32_t ip, const uint8_t mac[LEASE_MAC_LEN]);
/* The entry of an address, whether its time has ended or not; NULL: none. Borrowed until the table changes. */
struct lease *lease_of_ip(const struct lease_table *table, uint32_t ip);
/* The entry of a MAC in a pool, or its static one. */
struct lease *lease_of_mac(const struct lease_table *table, enum lease_pool pool, const uint8_t mac[LEASE_MAC_LEN]);
struct lease *lease_static_of_mac(const struct lease_table *table, const uint8_t mac[LEASE_MAC_LEN]);
/* Somebody has it now: given out and not ended. */
bool lease_live(const struct lease *lease, sim_ns now_ns);
/*
 * An address of the pool for this MAC, held as an offer until until_ns unless the MAC has it already (then it is
 * as it was, if live). wish: an address it would like, 0: none. NULL: every address is somebody's.
 */
struct lease *lease_offer(struct lease_table *table, enum lease_pool pool, const uint8_t mac[LEASE_MAC_LEN],
                          uint32_t wish, sim_ns now_ns, sim_ns until_ns);
/* Its time ends then from now on. */
void lease_until(struct lease_table *table, struct lease *lease, sim_ns until_ns);
/* Addresses that this MAC keeps from others, having found somebody else at them. */
unsigned lease_blocked_by(const struct lease_table *table, const uint8_t mac[LEASE_MAC_LEN], sim_ns now_ns);
unsigned lease_count(const struct lease_table *table, sim_ns now_ns); /* live ones, static ones included */

#endif

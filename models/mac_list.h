/*
 * The MAC list of a head-end (patent [0148]; flows.md 5, V10): which devices have an account, and what their
 * packets may do. On disk.
 */
#ifndef TOLLGATE_MODELS_MAC_LIST_H
#define TOLLGATE_MODELS_MAC_LIST_H

#include "sim/sim.h"

#define MAC_LIST_MAX 65536

struct mac_list;
struct mac_list *mac_list_new(void);
void mac_list_free(struct mac_list *list);
/* Adding one that is there changes nothing. False: no room. */
bool mac_list_add(struct mac_list *list, const uint8_t mac[6]);
bool mac_list_remove(struct mac_list *list, const uint8_t mac[6]); /* false: it was not there */
bool mac_list_has(const struct mac_list *list, const uint8_t mac[6]);
unsigned mac_list_count(const struct mac_list *list);

#endif

/*
 * The operator's directory: what every server of the operator is configured with before a run starts. Which services there
 * are and where (as host names in a server's configuration would say), which head-end serves an address, which signaling
 * controller serves a number (the routing tables of flows.md 4, C2).
 *
 * It carries no message and no key; an element that is not in it is a stranger. Nothing depends on the order of its tables.
 */
#ifndef TOLLGATE_MODELS_DIRECTORY_H
#define TOLLGATE_MODELS_DIRECTORY_H

#include "models/world.h"

struct directory;
struct directory *directory_new(void);
void directory_free(struct directory *directory);

/* Adds a service ("sc/sc1") at an address; principal is copied. The same principal again moves it. */
void directory_service_add(struct directory *directory, const char *principal, uint32_t ip);
/* Where a service is; 0: unknown. */
uint32_t directory_service_ip(const struct directory *directory, const char *principal);
/* The service at an address, NULL: none. Borrowed for the run. With several at one address: the first added. */
const char *directory_service_at(const struct directory *directory, uint32_t ip);
/* The first service whose principal begins so ("pca/"); NULL: none. */
const char *directory_service_like(const struct directory *directory, const char *beginning);

/* principal (copied) is the head-end of a subnet. */
void directory_head_end_add(struct directory *directory, uint32_t prefix, uint8_t prefix_len, const char *principal);
/* The head-end that gave out this address: of several subnets the smallest; NULL: none of ours. */
const char *directory_head_end_of(const struct directory *directory, uint32_t ip);
/* The signaling controller (copied) of this head-end's segment; the head-end has been added. */
void directory_segment_set(struct directory *directory, const char *head_end, const char *controller);
/* Whether an address is in a segment of this service. One that is no segment's controller serves all. */
bool directory_serves(const struct directory *directory, const char *principal, uint32_t ip);

/* The service ("sc/sc1", "ns/announce") that answers for a number (digits); principal NULL removes it. */
void directory_number_set(struct directory *directory, const char *digits, const char *principal);
/* A gateway for all numbers that begin so and that no service has: the longest beginning decides. principal is copied. */
void directory_prefix_add(struct directory *directory, const char *prefix, const char *principal);
const char *directory_number(const struct directory *directory, const char *digits); /* NULL: unknown number */

#endif

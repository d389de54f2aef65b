/*
 * The certification authorities of a run and what they have issued: manufacturer root and CA (device certificates [0105]),
 * network operator root and CA (operator certificates [0206], KDC certificates and their CRL [0208]). Private to models/world.c
 * and the elements that issue certificates.
 */
#ifndef TOLLGATE_MODELS_AUTHORITY_H
#define TOLLGATE_MODELS_AUTHORITY_H

#include "models/world.h"

struct authorities;
struct authorities *authorities_new(struct crypto *crypto, struct key_pool *pool, int64_t epoch_s);
void authorities_free(struct authorities *authorities);
struct authorities *world_authorities(struct world *world);

#endif

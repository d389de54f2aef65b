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

/*
 * An operator certificate for the public key (SubjectPublicKeyInfo) taken from a device's certificate, as the provisioning CA issues
 * it [0149]; valid for lifetime_s from not_before_s (Unix). Owned by the caller. False: it is no key, or no number.
 */
bool world_operator_certificate_for(struct world *world, const struct der *spki, const char *number, int64_t not_before_s,
                                    int64_t lifetime_s, struct der *out);

#endif

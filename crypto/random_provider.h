/*
 * The OpenSSL provider that replaces the machine's randomness: its one algorithm is a RAND which hands out the bytes of
 * the random source set by crypto_random_begin(). Installed as DRBG type and as seed source of a library context, it is
 * where every random byte of that context comes from (provider-rand(7), RAND_set_DRBG_type(3)).
 */
#ifndef TOLLGATE_CRYPTO_RANDOM_PROVIDER_H
#define TOLLGATE_CRYPTO_RANDOM_PROVIDER_H

#include <openssl/types.h>
#include "crypto/crypto.h"

/*
 * Adds and loads the provider in lib and makes it the context's source of randomness; nothing may have drawn from that
 * context before. The provider keeps the pointer to crypto. NULL: OpenSSL refused. OSSL_PROVIDER_unload() frees it.
 */
OSSL_PROVIDER *random_provider_load(struct crypto *crypto, OSSL_LIB_CTX *lib);

#endif

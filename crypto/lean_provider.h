/*
 * OpenSSL's default provider without what nothing here uses: of key types only RSA and Diffie-Hellman, of digests
 * SHA-1, SHA-2 and MD5, of ciphers 3DES and AES in CBC.
 *
 * Internal to crypto/. Whenever OpenSSL 3.0 parses a certificate it decodes the key in it, and for each it goes through
 * the decoders of every key type there is, which costs several RSA verifications. A library context that knows RSA and
 * Diffie-Hellman alone does the same work in a tenth of the time, and leaves any other key undecoded.
 */
#ifndef TOLLGATE_CRYPTO_LEAN_PROVIDER_H
#define TOLLGATE_CRYPTO_LEAN_PROVIDER_H

#include <openssl/types.h>

/*
 * Adds and loads it in lib. base: the default provider, loaded in another context, which must outlive this one: it is
 * what works, also for the keys made in lib. NULL: OpenSSL refused. OSSL_PROVIDER_unload() frees it.
 */
OSSL_PROVIDER *lean_provider_load(OSSL_LIB_CTX *lib, OSSL_PROVIDER *base);

#endif

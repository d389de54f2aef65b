/*
 * The secure module of FIG. 2B/2C (patent [0059]-[0064]): keys live in it, models hold handles.
 *
 * No call returns a private or session key in the clear. Sub-keys leave only wrapped under another key of the module.
 * One operation decrypts and authenticates an ESP packet (crypto/esp.h), so that software that skips the check gains
 * nothing [0076]. crypto/pkcs11.c puts the PKCS#11 face on it. A module of a sleeping device is small: RSA keys and
 * cipher contexts are made when used and let go by sm_sleep().
 */
#ifndef TOLLGATE_CRYPTO_SECURE_MODULE_H
#define TOLLGATE_CRYPTO_SECURE_MODULE_H

#include "crypto/crypto.h"

struct secure_module;
struct key_pool;

/* A key in a module; 0 is no key. A handle is never used twice within a module's life (32 bits: asserted). */
typedef uint32_t key_handle;

/* owner is copied; random is copied (its ctx is the caller's and outlives the module). */
struct secure_module *sm_new(struct crypto *crypto, const char *owner, const struct random_source *random);
/* Wipes and frees; each key's death is told. */
void sm_free(struct secure_module *sm);
struct crypto *sm_crypto(const struct secure_module *sm);
const char *sm_owner(const struct secure_module *sm);

/*
 * RSA keys installed from now on work in a PKCS#11 token (SoftHSM2, a smart card, build/tollgate-pkcs11.so) in place of
 * the module's own RSA part; the token is the context's, opened at the first call as the environment says
 * (crypto/pkcs11_token.h). Results are the same byte for byte. False: there is no such token; error says why.
 */
#define SM_ERROR_LEN 192
bool sm_use_token(struct secure_module *sm, char error[SM_ERROR_LEN]);

/*
 * The device's key pair, installed at manufacture [0103]: NAME's key of the pool. The pool outlives the module. Its
 * role is "rsa", its context NAME. It is fetched (and perhaps made) when first used; at once when a watcher is set.
 * With sm_use_token() it goes into the token at once and leaves it when it is destroyed; a token that holds it for good
 * (a personalised card) is used as it is. 0: the token would not take it; crypto_token_failure() says why.
 */
key_handle sm_install_rsa(struct secure_module *sm, struct key_pool *pool, const char *name, unsigned bits);
/*
 * A 3-key 3DES key installed by an operator: a server key shared with the KDC [0044]. context: its principal, for key
 * logs.
 */
key_handle sm_install_des3(struct secure_module *sm, const char *role, const char *context, const uint8_t key[24]);
/* A random 3-key 3DES key with parity. */
key_handle sm_generate_des3(struct secure_module *sm, const char *role);
/* The root verification key [0061]: DER of a self-signed CA certificate, copied. Replaces the one before. */
bool sm_install_root(struct secure_module *sm, const uint8_t *der, size_t len);

/* Wipes a key; 0 is ignored, an unknown handle is a programming error. */
void sm_destroy_key(struct secure_module *sm, key_handle key);
/* Two handles of one key, in this module or another, have the same id. */
void sm_key_id(const struct secure_module *sm, key_handle key, uint8_t id[KEY_ID_LEN]);
size_t sm_key_count(const struct secure_module *sm);
/* Lets cached key objects and contexts go; keys stay. */
void sm_sleep(struct secure_module *sm);

/*
 * SHA-1 over a sub-key and an SPI (big endian), the proof of receipt of flows.md 4, C3 and C5. False: no such key.
 */
#define SUBKEY_PROOF_LEN 20
bool sm_subkey_proof(struct secure_module *sm, key_handle subkey, uint32_t spi, uint8_t out[SUBKEY_PROOF_LEN]);

/*
 * Wraps a 3DES key under another (RFC 3961 des3-cbc-sha1-kd encryption, key usage given), and back. The wrapped form is
 * KEY_WRAPPED_LEN bytes. unwrap: 0 when it does not verify.
 */
#define KEY_WRAPPED_LEN 52 /* confounder 8 + key 24 + MAC 20 */
bool sm_wrap(struct secure_module *sm, key_handle wrapping, uint32_t usage, key_handle key,
             uint8_t out[KEY_WRAPPED_LEN]);
key_handle sm_unwrap(struct secure_module *sm, key_handle wrapping, uint32_t usage, const char *role,
                     const uint8_t *wrapped, size_t len);
/*
 * A 3DES key derived from a sub-key under a label: the upward encryption key of crypto/derive.h's cut. 0: no such
 * sub-key. Roles, here and elsewhere, must outlive the module: literals.
 */
key_handle sm_derive_des3(struct secure_module *sm, key_handle subkey, const char *label, const char *role);

/*
 * HMAC-SHA1 under a key (3DES keys serve as HMAC keys by their 24 bytes), as the PacketCable key management messages
 * use it.
 */
#define SM_HMAC_LEN 20
bool sm_hmac_sha1(struct secure_module *sm, key_handle key, const uint8_t *bytes, size_t len, uint8_t out[SM_HMAC_LEN]);

#endif

/*
 * A PKCS#11 token of somebody else's (SoftHSM2, a smart card, an HSM) as the place where a module's RSA keys work.
 *
 * The keys are imported as session objects that cannot be read back, and their private operations (signatures and
 * decryption with PKCS #1 v1.5) go to the token. An EVP_PKEY stands for such a key, so that CMS and everything else
 * that signs or decrypts needs to know nothing of it. PKCS #1 v1.5 signatures are deterministic: a run with a token is
 * byte for byte the run without.
 */
#ifndef TOLLGATE_CRYPTO_PKCS11_TOKEN_H
#define TOLLGATE_CRYPTO_PKCS11_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/types.h>

#define PKCS11_ERROR_LEN 192 /* a model can put a word of its own before it */
#define PKCS11_SIGNATURE_MAX 512

struct pkcs11_token;
typedef uint64_t pkcs11_key; /* an object handle; 0 is no key */

/*
 * Loads the PKCS#11 library at module_path, finds the token with that label and logs in as its user. label NULL: the
 * library's only token that is initialised. NULL: error says why. The first to open a library in a process initialises
 * it and, by closing, finalises it: of several tokens of one library, close the one opened first last.
 */
struct pkcs11_token *pkcs11_token_open(const char *module_path, const char *label, const char *pin,
                                       char error[PKCS11_ERROR_LEN]);
/*
 * The token that the environment names: TOLLGATE_PKCS11_MODULE, the path of its library; TOLLGATE_PKCS11_PIN ("1234");
 * TOLLGATE_PKCS11_LABEL (the only token). NULL: error says why.
 */
struct pkcs11_token *pkcs11_token_from_environment(char error[PKCS11_ERROR_LEN]);
/* All keys imported through it are gone, and so must be the EVP_PKEYs. NULL is ignored. */
void pkcs11_token_close(struct pkcs11_token *token);

/* Imports the private key of a PKCS#8 DER (RSA). 0: error says why. */
pkcs11_key pkcs11_token_import(struct pkcs11_token *token, const char *label, const uint8_t *pkcs8, size_t len,
                               char error[PKCS11_ERROR_LEN]);
/* The token's own private key (CKA_TOKEN: one that was put there for good) with the same modulus; 0: it has none. */
pkcs11_key pkcs11_token_find(struct pkcs11_token *token, const uint8_t *pkcs8, size_t len);
void pkcs11_token_destroy(struct pkcs11_token *token, pkcs11_key key);

/* RAW: the bytes are a DigestInfo or whatever else is to stand behind the padding; else the token hashes them. */
enum pkcs11_signature { PKCS11_SIGN_RAW, PKCS11_SIGN_SHA1, PKCS11_SIGN_SHA256 };
/* *out_len: room in out, then the signature's length. */
bool pkcs11_token_sign(struct pkcs11_token *token, pkcs11_key key, enum pkcs11_signature kind, const uint8_t *bytes,
                       size_t len, uint8_t *out, size_t *out_len, char error[PKCS11_ERROR_LEN]);
/* PKCS #1 v1.5. *out_len: room in out, then the length of the clear text. */
bool pkcs11_token_decrypt(struct pkcs11_token *token, pkcs11_key key, const uint8_t *bytes, size_t len, uint8_t *out,
                          size_t *out_len, char error[PKCS11_ERROR_LEN]);

/*
 * Why the token last failed to import a key, to show one, or in an operation of a key object; "" when it never did. A
 * cipher text that cannot be decrypted is its sender's error and not the token's. Holds until the token is closed or
 * fails again.
 */
const char *pkcs11_token_failure(const struct pkcs11_token *token);

/*
 * A key object whose private operations are the token's; it works in every library context. The key must outlive it.
 * NULL: error says why. EVP_PKEY_free() it before the token is closed.
 */
EVP_PKEY *pkcs11_token_pkey(struct pkcs11_token *token, pkcs11_key key, char error[PKCS11_ERROR_LEN]);
/* Imports and makes the key object in one; the key leaves the token with the last reference to the object. */
EVP_PKEY *pkcs11_token_load(struct pkcs11_token *token, const char *label, const uint8_t *pkcs8, size_t len,
                            char error[PKCS11_ERROR_LEN]);

#endif

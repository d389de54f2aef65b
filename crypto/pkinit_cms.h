/*
 * CMS (RFC 5652) as PKINIT uses it: SignedData with PKINIT's content types, EnvelopedData around a bare SignedData.
 *
 * Internal to crypto/. pkinit_sign() and pkinit_open_envelope() are the only places where a Kerberos message meets a
 * private RSA key; both take a handle.
 */
#ifndef TOLLGATE_CRYPTO_PKINIT_CMS_H
#define TOLLGATE_CRYPTO_PKINIT_CMS_H

#include <openssl/cms.h>
#include "crypto/der.h"
#include "crypto/kerberos_internal.h"

/* id-data is the draft's type for everything. */
enum pkinit_content { PKINIT_AUTH_DATA, PKINIT_DH_KEY_DATA, PKINIT_REPLY_KEY_DATA, PKINIT_ID_DATA };

/* Exactly one ContentInfo; NULL otherwise. crypto NULL: in OpenSSL's default context. CMS_ContentInfo_free(). */
CMS_ContentInfo *cms_decode(struct crypto *crypto, const uint8_t *bytes, size_t len);

/* pkinit_sign() with the key object (cms_sign.c). False: the certificate cannot be read, or the key does not sign. */
bool cms_sign(struct crypto *crypto, EVP_PKEY *pkey, const struct der *cert, const struct der *extra,
              enum pkinit_content type, const struct der *content, int64_t now_s, struct der *out);

/* Issuer and serial number as they stand in a certificate. */
struct cms_name {
	struct der_span serial, issuer; /* borrowed */
};
bool cms_name_read(const struct der *cert, struct cms_name *name);

/* ContentInfo(EnvelopedData) to a certificate whose key is RSA (cms_envelope.c). */
bool cms_envelope(struct secure_module *sm, const struct der *cert, EVP_PKEY *pkey, const struct der *plain,
                  struct der *out);
/*
 * Opens exactly what cms_envelope() makes. False: anything else, and OpenSSL shall judge it. The caller has set a
 * source of randomness. content_len: of what was deciphered.
 */
bool cms_open_envelope(struct crypto *crypto, EVP_PKEY *pkey, const uint8_t *bytes, size_t len, struct der *plain,
                       size_t *content_len);

/*
 * ContentInfo(SignedData) over content, signed with the key, SHA-256, signing time now_s. The certificates go along;
 * extra may be NULL or empty.
 */
bool pkinit_sign(struct secure_module *sm, key_handle key, const struct der *cert, const struct der *extra,
                 enum pkinit_content type, const struct der *content, int64_t now_s, struct der *out);

enum pkinit_opened { PKINIT_OPENED, PKINIT_OPEN_FAILED, PKINIT_OPEN_PADDING };
/*
 * Decrypts ContentInfo(EnvelopedData) to one recipient: the bare SignedData in it. A wrong padding of the RSA block
 * goes on with a random content key, so that it fails as any other wrong key does (RFC 3218 section 2.3.2), unless
 * tell_padding.
 */
enum pkinit_opened pkinit_open_envelope(struct secure_module *sm, key_handle key, const uint8_t *bytes, size_t len,
                                        bool tell_padding, struct der *signed_data);
/* ContentInfo(EnvelopedData) with 3DES to the certificate's key. */
bool pkinit_envelope(struct secure_module *sm, const struct der *recipient, const struct der *signed_data,
                     struct der *out);

/* ContentInfo around a bare SignedData, and off again. */
bool pkinit_wrap(const struct der *signed_data, struct der *content_info);
bool pkinit_unwrap(const struct der *content_info, struct der *signed_data);

/* What a SignedData holds, nothing verified. */
struct pkinit_signed {
	CMS_ContentInfo *cms;
	struct der content;
	enum pkinit_content type;
	struct der signer;          /* its certificate */
	struct der extra[2];
	unsigned extra_count;
};
/*
 * False: not one SignedData with one signer whose certificate is there and with a content type of PKINIT. crypto NULL:
 * only to look at it.
 */
bool pkinit_signed_read(struct crypto *crypto, const uint8_t *bytes, size_t len, struct pkinit_signed *out);
/* The signature over content and attributes with the signer's certificate. */
bool pkinit_signed_verify(struct crypto *crypto, const struct pkinit_signed *read);
void pkinit_signed_free(struct pkinit_signed *read);

/* ReplyKeyPack of either profile: without has_checksum, nonce is what binds it. False: no des3 key in it. */
bool pkinit_read_key_pack(const struct der *content, uint8_t key[KRB_KEY_LEN], bool *has_checksum, uint8_t checksum[20],
                          uint32_t *nonce);

/* Diffie-Hellman with group 14 (RFC 3526 section 3). */
EVP_PKEY *pkinit_dh_generate(struct secure_module *sm);
/* The public value as SubjectPublicKeyInfo with X9.42 parameters. */
PKINIT_SPKI *pkinit_dh_spki(const EVP_PKEY *own);
/* The public value as it stands in KDCDHKeyInfo: DER INTEGER. */
bool pkinit_dh_public(const EVP_PKEY *own, struct der *integer);
bool pkinit_dh_acceptable(const PKINIT_SPKI *peer);
/*
 * The reply key from the shared secret: octetstring2key of RFC 4556 section 3.2.3.1. peer: DER INTEGER. False: a public
 * value that is no group element.
 */
bool pkinit_dh_reply_key(struct secure_module *sm, EVP_PKEY *own, const uint8_t *peer, size_t peer_len,
                         uint8_t key[KRB_KEY_LEN]);

#endif

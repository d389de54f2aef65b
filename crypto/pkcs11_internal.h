/*
 * What the files of the PKCS#11 face share: slots, sessions, objects, operations.
 *
 * Functions here get checked pointers and run under the lock of pkcs11.c. An object handle is made of the module's key
 * handle and of the part it shows (see enum p11_part), so that the keys of a module need no second table; only what the
 * face adds to a key that was made through it is kept, in struct p11_made.
 */
#ifndef TOLLGATE_CRYPTO_PKCS11_INTERNAL_H
#define TOLLGATE_CRYPTO_PKCS11_INTERNAL_H

#include "crypto/esp.h"
#include "crypto/internal.h"
#include "crypto/key_pool.h"
#include "crypto/pkcs11.h"

#define P11_SESSIONS_MAX 256
#define P11_ASSOCIATIONS_MAX 256 /* ESP associations of a slot */
#define P11_MADE_MAX 4096        /* keys made through a slot */
#define P11_LABEL_MAX 64
#define P11_ID_MAX 64
#define P11_PIN_MAX 64
#define P11_PIN_TRIES 10
#define P11_DES3_LEN 24
#define P11_DES3_BLOCK 8
#define P11_RSA_MAX 512          /* bytes of the largest modulus */
#define P11_DATA_MAX (1UL << 24) /* bytes in one call */

#define P11_RAW_USE (CKF_ENCRYPT | CKF_DECRYPT | CKF_SIGN | CKF_VERIFY)
#define P11_STRUCTURED_USE (CKF_WRAP | CKF_UNWRAP | CKF_DERIVE)

enum p11_part { P11_PART_SECRET = 1, P11_PART_PUBLIC = 2, P11_PART_ROOT = 3 }; /* low two bits of an object handle */

/* What the face adds to a key that was made through it. */
struct p11_made {
	struct p11_made *next;
	key_handle key;
	CK_SESSION_HANDLE session; /* 0: a token object */
	CK_FLAGS usage;
	bool extractable, local, trusted;
	uint8_t label[P11_LABEL_MAX], id[P11_ID_MAX];
	size_t label_len, id_len;
};

struct p11_association {
	struct p11_association *next;
	key_handle key;
	CK_FLAGS flags;
	char label[TOLLGATE_LABEL_MAX];
	struct esp_sa *sa;
};

struct p11_slot {
	struct p11_slot *next;
	CK_SLOT_ID id;
	struct secure_module *sm;
	char label[33], pin[P11_PIN_MAX + 1];
	bool strict;               /* the RSA key signs and does nothing else */
	bool logged_in;
	unsigned pin_failures;
	struct p11_made *made;
	unsigned made_count;
	struct p11_association *associations;
	unsigned association_count;
	/* Of the environment's token only. */
	struct crypto *own_crypto;
	struct key_pool *own_pool;
	struct seed_stream own_stream;
};

/* An operation between its Init and its end. The contexts are kept from one operation to the next. */
struct p11_operation {
	bool active, in_parts;
	CK_MECHANISM_TYPE mechanism;
	key_handle key;
	const EVP_MD *md;               /* signatures with a hash, digests: borrowed */
	EVP_MD_CTX *md_ctx;
	EVP_MAC_CTX *mac_ctx;
	EVP_CIPHER_CTX *cipher_ctx;
	uint8_t iv[P11_DES3_BLOCK];
	size_t held;                    /* bytes the cipher context holds back */
	size_t total;                   /* bytes hashed, authenticated or ciphered so far */
	struct p11_association *association;
	CK_BYTE_PTR next_header;
};

struct p11_session {
	struct p11_session *next;
	CK_SESSION_HANDLE handle;
	struct p11_slot *slot;
	CK_FLAGS flags;
	bool finding;
	CK_OBJECT_HANDLE *found;
	size_t found_count, found_next;
	struct p11_operation digest, sign, verify, encrypt, decrypt;
};

/* An object as it is shown. */
struct p11_view {
	CK_OBJECT_HANDLE handle;
	CK_OBJECT_CLASS object_class;
	struct sm_key *key;             /* NULL: the root certificate */
	const struct p11_made *made;    /* NULL: not made through the face */
	CK_FLAGS usage;
	bool extractable, trusted, local;
};

/* pkcs11_objects.c */
static inline CK_OBJECT_HANDLE p11_handle(key_handle key, enum p11_part part)
{
	return (CK_OBJECT_HANDLE)key << 2 | part;
}
/* False: no such object, or not to be seen without login. */
bool p11_view(struct p11_slot *slot, CK_OBJECT_HANDLE handle, struct p11_view *view);
CK_RV p11_get_attributes(struct p11_slot *slot, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *attributes, CK_ULONG count);
CK_RV p11_find_init(struct p11_session *session, const CK_ATTRIBUTE *attributes, CK_ULONG count);
CK_RV p11_find(struct p11_session *session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count);
CK_RV p11_find_final(struct p11_session *session);
/* The object of a key that must allow that use (CKF_SIGN, ...). */
CK_RV p11_usable(struct p11_slot *slot, CK_OBJECT_HANDLE handle, CK_FLAGS use, struct p11_view *view);

/* pkcs11_keys.c */
CK_RV p11_generate(struct p11_session *session, const CK_MECHANISM *mechanism, const CK_ATTRIBUTE *attributes,
                   CK_ULONG count, CK_OBJECT_HANDLE *object);
CK_RV p11_create(struct p11_session *session, const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object);
CK_RV p11_destroy(struct p11_session *session, CK_OBJECT_HANDLE object);
CK_RV p11_wrap(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
               CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_len);
CK_RV p11_unwrap(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                 const CK_BYTE *wrapped,
                 CK_ULONG wrapped_len, const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object);
CK_RV p11_derive(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                 const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object);
/* Destroys what was made in the session (0: everything made through the slot). */
void p11_destroy_made(struct p11_slot *slot, CK_SESSION_HANDLE session);
/* The association of a sub-key, made when it is new. NULL: too many, or a label that is too long. */
struct p11_association *p11_associate(struct p11_slot *slot, key_handle key, const CK_TOLLGATE_ESP_PARAMS *params);

/* pkcs11_sign.c: digest, sign, verify */
CK_RV p11_digest_init(struct p11_session *session, const CK_MECHANISM *mechanism);
CK_RV p11_digest(struct p11_session *session, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len);
CK_RV p11_digest_update(struct p11_session *session, const CK_BYTE *data, CK_ULONG len);
CK_RV p11_digest_final(struct p11_session *session, CK_BYTE *out, CK_ULONG *out_len);
CK_RV p11_sign_init(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV p11_sign(struct p11_session *session, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len);
CK_RV p11_sign_update(struct p11_session *session, const CK_BYTE *data, CK_ULONG len);
CK_RV p11_sign_final(struct p11_session *session, CK_BYTE *out, CK_ULONG *out_len);
CK_RV p11_verify_init(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV p11_verify(struct p11_session *session, const CK_BYTE *data, CK_ULONG len, const CK_BYTE *signature,
                 CK_ULONG signature_len);
CK_RV p11_verify_update(struct p11_session *session, const CK_BYTE *data, CK_ULONG len);
CK_RV p11_verify_final(struct p11_session *session, const CK_BYTE *signature, CK_ULONG signature_len);

/* pkcs11_cipher.c: encrypt, decrypt; op is the session's encrypt or decrypt operation */
CK_RV p11_cipher_init(struct p11_session *session, struct p11_operation *op, const CK_MECHANISM *mechanism,
                      CK_OBJECT_HANDLE key);
CK_RV p11_cipher(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                 CK_ULONG *out_len);
CK_RV p11_cipher_update(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, CK_ULONG len,
                        CK_BYTE *out, CK_ULONG *out_len);
CK_RV p11_cipher_final(struct p11_session *session, struct p11_operation *op, CK_BYTE *out, CK_ULONG *out_len);
/*
 * RSA decryption with PKCS #1 v1.5 padding; out has room for P11_RSA_MAX bytes. False: not to this key, or bad padding.
 */
bool p11_rsa_decrypt(struct p11_slot *slot, key_handle key, const CK_BYTE *in, size_t len, uint8_t *out,
                     size_t *out_len);
/* Ends an operation and frees what it holds. */
void p11_operation_end(struct p11_operation *op);

/* pkcs11_slot.c: what tokens can do and are */
CK_RV p11_mechanism_list(CK_MECHANISM_TYPE *list, CK_ULONG *count);
CK_RV p11_mechanism_info(CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info);
void p11_slot_info(const struct p11_slot *slot, CK_SLOT_INFO *info);
void p11_token_info(const struct p11_slot *slot, CK_ULONG sessions, CK_ULONG rw_sessions, CK_TOKEN_INFO *info);
CK_RV p11_login(struct p11_slot *slot, CK_USER_TYPE user, const CK_UTF8CHAR *pin, CK_ULONG pin_len);
struct p11_slot *p11_slot_new(struct secure_module *sm, const char *label, const char *pin, bool strict);
/* The token that the environment describes. NULL: OpenSSL refused, or a variable makes no sense (said on stderr). */
struct p11_slot *p11_slot_from_environment(void);
/* Its sessions must be closed. */
void p11_slot_free(struct p11_slot *slot);
/* Fills a fixed-length field with a text and spaces, as Cryptoki wants it. */
void p11_pad(unsigned char *field, size_t len, const char *text);

#endif

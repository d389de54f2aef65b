/*
 * Encryption and decryption at the PKCS#11 face: 3DES-CBC without and with PKCS #7 padding, RSA with PKCS #1 v1.5
 * padding, and ESP packets, which are sealed or opened whole under a sub-key.
 *
 * As in pkcs11_sign.c, a question for the length and a buffer that is too small leave the operation as it was:
 * therefore 3DES and RSA work into memory of their own first, and ESP, which cannot be undone, asks for the largest
 * length at once.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "crypto/pkcs11_internal.h"

static struct crypto *crypto_of(const struct p11_slot *slot)
{
	return sm_crypto(slot->sm);
}

static CK_RV ended(struct p11_operation *op, CK_RV rv)
{
	p11_operation_end(op);
	if (rv != CKR_OK)
		ERR_clear_error();
	return rv;
}

static bool encrypts(const struct p11_session *session, const struct p11_operation *op)
{
	return op == &session->encrypt;
}

static bool is_des3(const struct p11_operation *op)
{
	return op->mechanism == CKM_DES3_CBC || op->mechanism == CKM_DES3_CBC_PAD;
}

static bool start_des3(struct p11_session *session, struct p11_operation *op, EVP_CIPHER_CTX *ctx)
{
	const struct sm_key *key = sm_lookup(session->slot->sm, op->key, SM_DES3);

	return key && ctx && EVP_CipherInit_ex2(ctx, crypto_of(session->slot)->des3_cbc, key->bytes, op->iv,
	                                        encrypts(session, op), NULL) &&
	       EVP_CIPHER_CTX_set_padding(ctx, op->mechanism == CKM_DES3_CBC_PAD);
}

static CK_RV init_des3(struct p11_session *session, struct p11_operation *op, const CK_MECHANISM *mechanism)
{
	if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof op->iv)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(op->iv, mechanism->pParameter, sizeof op->iv);
	op->cipher_ctx = EVP_CIPHER_CTX_new();
	return start_des3(session, op, op->cipher_ctx) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV init_esp(struct p11_session *session, struct p11_operation *op, const CK_MECHANISM *mechanism)
{
	CK_TOLLGATE_ESP_PARAMS params;

	if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof params)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&params, mechanism->pParameter, sizeof params);
	if (!params.next_header || params.flags & ~(CKF_TOLLGATE_ESP_DOWN | CKF_TOLLGATE_ESP_IMPLICIT_IV))
		return CKR_MECHANISM_PARAM_INVALID;
	op->next_header = params.next_header;
	op->association = p11_associate(session->slot, op->key, &params);
	return op->association ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* The use that a key must allow for a mechanism, and its kind. */
static CK_RV wanted(CK_MECHANISM_TYPE mechanism, bool encrypt, CK_FLAGS *use, enum sm_kind *kind)
{
	*use = encrypt ? CKF_ENCRYPT : CKF_DECRYPT;
	*kind = SM_DES3;
	switch (mechanism) {
	case CKM_DES3_CBC: case CKM_DES3_CBC_PAD:
		return CKR_OK;
	case CKM_RSA_PKCS:
		*kind = SM_RSA;
		return CKR_OK;
	case CKM_TOLLGATE_ESP:
		*use = CKF_DERIVE;
		return CKR_OK;
	default:
		return CKR_MECHANISM_INVALID;
	}
}

CK_RV p11_cipher_init(struct p11_session *session, struct p11_operation *op, const CK_MECHANISM *mechanism,
                      CK_OBJECT_HANDLE key)
{
	struct p11_view view;
	enum sm_kind kind;
	CK_FLAGS use;
	CK_RV rv;

	if (op->active)
		return CKR_OPERATION_ACTIVE;
	rv = wanted(mechanism->mechanism, encrypts(session, op), &use, &kind);
	if (rv == CKR_OK)
		rv = p11_usable(session->slot, key, use, &view);
	if (rv == CKR_OK && view.key->kind != kind)
		rv = CKR_KEY_TYPE_INCONSISTENT;
	if (rv != CKR_OK)
		return rv;
	op->mechanism = mechanism->mechanism;
	op->key = view.key->handle;
	op->active = true;
	if (is_des3(op))
		rv = init_des3(session, op, mechanism);
	else if (op->mechanism == CKM_TOLLGATE_ESP)
		rv = init_esp(session, op, mechanism);
	return rv == CKR_OK ? CKR_OK : ended(op, rv);
}

/* Gives a result that lies in memory of our own; BUFFER_TOO_SMALL and questions leave the operation open. */
static CK_RV give(struct p11_operation *op, const uint8_t *bytes, size_t len, CK_BYTE *out, CK_ULONG *out_len)
{
	bool room = *out_len >= len;

	*out_len = len;
	if (!out)
		return CKR_OK;
	if (!room)
		return CKR_BUFFER_TOO_SMALL;
	if (len > 0)
		memcpy(out, bytes, len);
	return ended(op, CKR_OK);
}

/* The whole of a text through a context of its own, into out, which has room for a block more than len. */
static CK_RV des3_whole(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, size_t len,
                        uint8_t *out, size_t *out_len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int first = 0, last = 0;
	bool ok = start_des3(session, op, ctx) && EVP_CipherUpdate(ctx, out, &first, in, (int)len) &&
	          EVP_CipherFinal_ex(ctx, out + first, &last);

	EVP_CIPHER_CTX_free(ctx);
	*out_len = (size_t)first + (size_t)last;
	return ok ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
}

static CK_RV des3_cipher(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, size_t len,
                         CK_BYTE *out, CK_ULONG *out_len)
{
	const bool encrypt = encrypts(session, op), pads = encrypt && op->mechanism == CKM_DES3_CBC_PAD;
	uint8_t *bytes;
	size_t bytes_len;
	CK_RV rv;

	if (!pads && len % P11_DES3_BLOCK)
		return ended(op, encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE);
	if (!out) { /* at most */
		*out_len = pads ? (len / P11_DES3_BLOCK + 1) * P11_DES3_BLOCK : len;
		return CKR_OK;
	}
	bytes = malloc(len + P11_DES3_BLOCK);
	if (!bytes)
		return ended(op, CKR_HOST_MEMORY);
	rv = des3_whole(session, op, in, len, bytes, &bytes_len);
	if (rv == CKR_OK)
		rv = give(op, bytes, bytes_len, out, out_len);
	if (rv == CKR_OK)
		crypto_count(crypto_of(session->slot), CRYPTO_DES3, (uint32_t)len);
	crypto_wipe(bytes, len + P11_DES3_BLOCK);
	free(bytes);
	return rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL ? rv : ended(op, rv);
}

/* One RSA operation with PKCS #1 v1.5 padding; *out_len becomes the length written to out (P11_RSA_MAX bytes). */
static bool rsa_cipher(struct p11_slot *slot, key_handle key, bool encrypt, const CK_BYTE *in, size_t len, uint8_t *out,
                       size_t *out_len)
{
	struct crypto *crypto = crypto_of(slot);
	EVP_PKEY *pkey = sm_rsa_pkey(slot->sm, key);
	EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new_from_pkey(crypto->lib, pkey, NULL) : NULL;
	bool ok = false;

	*out_len = P11_RSA_MAX;
	crypto_random_begin(crypto, encrypt ? sm_random(slot->sm) : crypto_blinding(crypto));
	if (ctx && (encrypt ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) > 0 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0)
		ok = (encrypt ? EVP_PKEY_encrypt(ctx, out, out_len, in, len) :
		      EVP_PKEY_decrypt(ctx, out, out_len, in, len)) > 0;
	crypto_random_end(crypto);
	if (pkey)
		crypto_count(crypto, encrypt ? CRYPTO_RSA_ENCRYPT : CRYPTO_RSA_DECRYPT,
		             (uint32_t)EVP_PKEY_get_bits(pkey));
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		ERR_clear_error();
	return ok;
}

bool p11_rsa_decrypt(struct p11_slot *slot, key_handle key, const CK_BYTE *in, size_t len, uint8_t *out,
                     size_t *out_len)
{
	return rsa_cipher(slot, key, false, in, len, out, out_len);
}

static CK_RV rsa_cipher_op(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, size_t len,
                           CK_BYTE *out, CK_ULONG *out_len)
{
	const bool encrypt = encrypts(session, op);
	const struct sm_key *key = sm_lookup(session->slot->sm, op->key, SM_RSA);
	uint8_t bytes[P11_RSA_MAX];
	size_t bytes_len, modulus_len = key ? key->bits / 8 : 0;
	CK_RV rv;

	if (!key)
		return ended(op, CKR_KEY_HANDLE_INVALID);
	if (encrypt ? len > modulus_len - RSA_PKCS1_PADDING_SIZE : len != modulus_len)
		return ended(op, encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE);
	if (!out || (encrypt && *out_len < modulus_len)) { /* at most */
		*out_len = modulus_len;
		return out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
	}
	if (!rsa_cipher(session->slot, op->key, encrypt, in, len, bytes, &bytes_len))
		return ended(op, encrypt ? CKR_FUNCTION_FAILED : CKR_ENCRYPTED_DATA_INVALID);
	rv = give(op, bytes, bytes_len, out, out_len);
	crypto_wipe(bytes, sizeof bytes);
	return rv;
}

static CK_RV esp_result(enum esp_verdict verdict)
{
	switch (verdict) {
	case ESP_OK: return CKR_OK;
	case ESP_SHORT: return CKR_ENCRYPTED_DATA_LEN_RANGE;
	case ESP_BAD_ICV: return CKR_SIGNATURE_INVALID;
	case ESP_REPLAYED: return CKR_TOLLGATE_ESP_REPLAYED;
	case ESP_BAD_PADDING: return CKR_ENCRYPTED_DATA_INVALID;
	case ESP_EXHAUSTED: return CKR_TOLLGATE_ESP_EXHAUSTED;
	}
	return CKR_GENERAL_ERROR;
}

static CK_RV esp_cipher(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, size_t len,
                        CK_BYTE *out, CK_ULONG *out_len)
{
	const bool encrypt = encrypts(session, op);
	const size_t need = encrypt ? ESP_FRONT_MAX + len + ESP_BACK_MAX : len;
	uint8_t *room, *start = NULL;
	enum esp_verdict verdict;
	size_t result_len = 0;

	if (need > UINT16_MAX)
		return ended(op, encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE);
	if (!out || *out_len < need) {
		*out_len = need;
		return out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
	}
	room = malloc(need + 1);
	if (!room)
		return ended(op, CKR_HOST_MEMORY);
	if (len > 0)
		memcpy(encrypt ? room + ESP_FRONT_MAX : room, in, len);
	verdict = encrypt ? esp_seal(op->association->sa, room + ESP_FRONT_MAX, len, *op->next_header, &start,
	                             &result_len)
	                  : esp_open(op->association->sa, room, len, &start, &result_len, op->next_header);
	if (verdict == ESP_OK)
		memcpy(out, start, result_len);
	*out_len = verdict == ESP_OK ? result_len : 0;
	crypto_wipe(room, need + 1);
	free(room);
	return ended(op, esp_result(verdict));
}

CK_RV p11_cipher(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                 CK_ULONG *out_len)
{
	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->in_parts)
		return ended(op, CKR_OPERATION_ACTIVE);
	if (is_des3(op))
		return des3_cipher(session, op, in, len, out, out_len);
	if (op->mechanism == CKM_RSA_PKCS)
		return rsa_cipher_op(session, op, in, len, out, out_len);
	if (!sm_lookup(session->slot->sm, op->key, SM_DES3)) /* and with it the association may be gone */
		return ended(op, CKR_KEY_HANDLE_INVALID);
	return esp_cipher(session, op, in, len, out, out_len);
}

/* What EVP gives for the next len bytes: a decryption with padding holds back a whole last block. */
static size_t update_len(const struct p11_session *session, const struct p11_operation *op, size_t len)
{
	size_t total = op->held + len, whole = total / P11_DES3_BLOCK * P11_DES3_BLOCK;

	if (!encrypts(session, op) && op->mechanism == CKM_DES3_CBC_PAD && whole > 0 && whole == total)
		whole -= P11_DES3_BLOCK;
	return whole;
}

CK_RV p11_cipher_update(struct p11_session *session, struct p11_operation *op, const CK_BYTE *in, CK_ULONG len,
                        CK_BYTE *out, CK_ULONG *out_len)
{
	size_t need;
	int done = 0;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!is_des3(op))
		return ended(op, CKR_FUNCTION_NOT_SUPPORTED);
	need = update_len(session, op, len);
	if (!out || *out_len < need) {
		*out_len = need;
		return out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
	}
	if (!EVP_CipherUpdate(op->cipher_ctx, out, &done, in, (int)len) || (size_t)done != need)
		return ended(op, CKR_FUNCTION_FAILED);
	op->in_parts = true;
	op->held += len - need;
	op->total += len;
	*out_len = need;
	return CKR_OK;
}

CK_RV p11_cipher_final(struct p11_session *session, struct p11_operation *op, CK_BYTE *out, CK_ULONG *out_len)
{
	const bool encrypt = encrypts(session, op), padded = op->mechanism == CKM_DES3_CBC_PAD;
	uint8_t last[P11_DES3_BLOCK];
	const size_t need = padded ? P11_DES3_BLOCK : 0;
	int done = 0;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!is_des3(op))
		return ended(op, CKR_FUNCTION_NOT_SUPPORTED);
	if (!out || *out_len < need) { /* at most; what the last block holds shows only when it is opened */
		*out_len = need;
		return out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
	}
	if (!padded && op->held > 0)
		return ended(op, encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE);
	if (padded && !EVP_CipherFinal_ex(op->cipher_ctx, last, &done))
		return ended(op, CKR_ENCRYPTED_DATA_INVALID);
	memcpy(out, last, (size_t)done);
	*out_len = (CK_ULONG)done;
	crypto_wipe(last, sizeof last);
	crypto_count(crypto_of(session->slot), CRYPTO_DES3, (uint32_t)op->total);
	return ended(op, CKR_OK);
}

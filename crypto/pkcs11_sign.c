/*
 * Digests, signatures and their verification at the PKCS#11 face: RSA with PKCS #1 v1.5 padding (RFC 8017 section 8.2)
 * over SHA-1, SHA-256 or ready-made DigestInfo, and HMAC-SHA-1.
 *
 * An operation ends with every return but two: a question for the length, and a buffer that is too small.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "crypto/pkcs11_internal.h"

#define HASH_MAX 32
#define HMAC_LEN 20

void p11_operation_end(struct p11_operation *op)
{
	EVP_MD_CTX_free(op->md_ctx);
	EVP_MAC_CTX_free(op->mac_ctx);
	EVP_CIPHER_CTX_free(op->cipher_ctx);
	*op = (struct p11_operation){ .active = false };
}

static CK_RV ended(struct p11_operation *op, CK_RV rv)
{
	p11_operation_end(op);
	if (rv != CKR_OK)
		ERR_clear_error();
	return rv;
}

static struct crypto *crypto_of(const struct p11_session *session)
{
	return sm_crypto(session->slot->sm);
}

/*
 * Whether the caller's buffer takes need bytes: CKR_OK go on; else *answer is what to return, and the operation stays.
 */
static bool takes(CK_BYTE *out, CK_ULONG *out_len, size_t need, CK_RV *answer)
{
	bool room = out && *out_len >= need;

	*answer = out && !room ? CKR_BUFFER_TOO_SMALL : CKR_OK;
	*out_len = need;
	return room;
}

static bool start_hash(struct p11_operation *op)
{
	op->md_ctx = EVP_MD_CTX_new();
	return op->md_ctx && EVP_DigestInit_ex2(op->md_ctx, op->md, NULL);
}

static bool start_hmac(struct p11_session *session, struct p11_operation *op)
{
	const struct sm_key *key = sm_lookup(session->slot->sm, op->key, SM_DES3);
	char digest[] = "SHA1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()
	};

	op->mac_ctx = EVP_MAC_CTX_new(crypto_of(session)->hmac);
	return key && op->mac_ctx && EVP_MAC_init(op->mac_ctx, key->bytes, P11_DES3_LEN, params);
}

/* Takes more of what is signed or hashed. */
static bool absorb(struct p11_operation *op, const CK_BYTE *data, CK_ULONG len)
{
	if (len == 0)
		return true;
	op->total += len;
	return op->mac_ctx ? EVP_MAC_update(op->mac_ctx, data, len) : EVP_DigestUpdate(op->md_ctx, data, len);
}

static void count_hash(const struct p11_session *session, const struct p11_operation *op)
{
	struct crypto *crypto = crypto_of(session);

	crypto_count(crypto, op->md == crypto->sha1 ? CRYPTO_SHA1 : CRYPTO_SHA256, (uint32_t)op->total);
}

CK_RV p11_digest_init(struct p11_session *session, const CK_MECHANISM *mechanism)
{
	struct p11_operation *op = &session->digest;
	struct crypto *crypto = crypto_of(session);

	if (op->active)
		return CKR_OPERATION_ACTIVE;
	if (mechanism->mechanism != CKM_SHA_1 && mechanism->mechanism != CKM_SHA256)
		return CKR_MECHANISM_INVALID;
	op->md = mechanism->mechanism == CKM_SHA_1 ? crypto->sha1 : crypto->sha256;
	op->mechanism = mechanism->mechanism;
	op->active = true;
	return start_hash(op) ? CKR_OK : ended(op, CKR_FUNCTION_FAILED);
}

CK_RV p11_digest_update(struct p11_session *session, const CK_BYTE *data, CK_ULONG len)
{
	struct p11_operation *op = &session->digest;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	op->in_parts = true;
	return absorb(op, data, len) ? CKR_OK : ended(op, CKR_FUNCTION_FAILED);
}

CK_RV p11_digest_final(struct p11_session *session, CK_BYTE *out, CK_ULONG *out_len)
{
	struct p11_operation *op = &session->digest;
	CK_RV rv;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!takes(out, out_len, (size_t)EVP_MD_get_size(op->md), &rv))
		return rv;
	count_hash(session, op);
	return ended(op, EVP_DigestFinal_ex(op->md_ctx, out, NULL) ? CKR_OK : CKR_FUNCTION_FAILED);
}

CK_RV p11_digest(struct p11_session *session, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	struct p11_operation *op = &session->digest;
	CK_RV rv;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->in_parts)
		return ended(op, CKR_OPERATION_ACTIVE);
	if (!takes(out, out_len, (size_t)EVP_MD_get_size(op->md), &rv))
		return rv;
	return absorb(op, data, len) ? p11_digest_final(session, out, out_len) : ended(op, CKR_FUNCTION_FAILED);
}

/* Begins a signature or its verification. */
static CK_RV init(struct p11_session *session, struct p11_operation *op, const CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE key, CK_FLAGS use)
{
	struct crypto *crypto = crypto_of(session);
	struct p11_view view;
	bool hmac = mechanism->mechanism == CKM_SHA_1_HMAC, ok = true;
	CK_RV rv;

	if (op->active)
		return CKR_OPERATION_ACTIVE;
	if (!hmac && mechanism->mechanism != CKM_SHA1_RSA_PKCS && mechanism->mechanism != CKM_SHA256_RSA_PKCS &&
	    mechanism->mechanism != CKM_RSA_PKCS)
		return CKR_MECHANISM_INVALID;
	rv = p11_usable(session->slot, key, use, &view);
	if (rv != CKR_OK)
		return rv;
	if (view.key->kind != (hmac ? SM_DES3 : SM_RSA))
		return CKR_KEY_TYPE_INCONSISTENT;
	op->mechanism = mechanism->mechanism;
	op->key = view.key->handle;
	op->active = true;
	if (hmac) {
		ok = start_hmac(session, op);
	} else if (op->mechanism != CKM_RSA_PKCS) {
		op->md = op->mechanism == CKM_SHA1_RSA_PKCS ? crypto->sha1 : crypto->sha256;
		ok = start_hash(op);
	}
	return ok ? CKR_OK : ended(op, CKR_FUNCTION_FAILED);
}

/* 0: the key is gone since the operation began. */
static size_t signature_len(const struct p11_session *session, const struct p11_operation *op)
{
	const struct sm_key *rsa;

	if (op->mechanism == CKM_SHA_1_HMAC)
		return HMAC_LEN;
	rsa = sm_lookup(session->slot->sm, op->key, SM_RSA);
	return rsa ? rsa->bits / 8 : 0;
}

/* An OpenSSL context for PKCS #1 v1.5 under the operation's key. */
static EVP_PKEY_CTX *rsa_context(struct p11_session *session, const struct p11_operation *op, bool sign)
{
	EVP_PKEY *pkey = sm_rsa_pkey(session->slot->sm, op->key);
	EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new_from_pkey(crypto_of(session)->lib, pkey, NULL) : NULL;

	if (ctx && (sign ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) > 0 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 &&
	    (!op->md || EVP_PKEY_CTX_set_signature_md(ctx, op->md) > 0))
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static CK_RV rsa_sign(struct p11_session *session, const struct p11_operation *op, const uint8_t *text, size_t len,
                      CK_BYTE *out, size_t out_len)
{
	struct crypto *crypto = crypto_of(session);
	EVP_PKEY_CTX *ctx = rsa_context(session, op, true);
	bool ok;

	crypto_random_begin(crypto, crypto_blinding(crypto));
	ok = ctx && EVP_PKEY_sign(ctx, out, &out_len, text, len) > 0;
	crypto_random_end(crypto);
	EVP_PKEY_CTX_free(ctx);
	crypto_count(crypto, CRYPTO_RSA_SIGN, (uint32_t)out_len * 8);
	return ok ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV rsa_verify(struct p11_session *session, const struct p11_operation *op, const uint8_t *text, size_t len,
                        const CK_BYTE *signature, size_t signature_size)
{
	EVP_PKEY_CTX *ctx = rsa_context(session, op, false);
	CK_RV rv = CKR_FUNCTION_FAILED;

	if (ctx)
		rv = EVP_PKEY_verify(ctx, signature, signature_size, text, len) > 0 ? CKR_OK : CKR_SIGNATURE_INVALID;
	EVP_PKEY_CTX_free(ctx);
	crypto_count(crypto_of(session), CRYPTO_RSA_VERIFY, (uint32_t)signature_size * 8);
	return rv;
}

/* Finishes the hash or HMAC of what was absorbed. */
static bool finish(struct p11_session *session, struct p11_operation *op, uint8_t hash[HASH_MAX], size_t *len)
{
	if (op->mac_ctx) {
		crypto_count(crypto_of(session), CRYPTO_HMAC_SHA1, (uint32_t)op->total);
		return EVP_MAC_final(op->mac_ctx, hash, len, HASH_MAX);
	}
	*len = (size_t)EVP_MD_get_size(op->md);
	count_hash(session, op);
	return EVP_DigestFinal_ex(op->md_ctx, hash, NULL);
}

CK_RV p11_sign_init(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return init(session, &session->sign, mechanism, key, CKF_SIGN);
}

CK_RV p11_verify_init(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return init(session, &session->verify, mechanism, key, CKF_VERIFY);
}

static CK_RV update(struct p11_operation *op, const CK_BYTE *data, CK_ULONG len)
{
	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->mechanism == CKM_RSA_PKCS) /* has no parts */
		return ended(op, CKR_FUNCTION_NOT_SUPPORTED);
	op->in_parts = true;
	return absorb(op, data, len) ? CKR_OK : ended(op, CKR_FUNCTION_FAILED);
}

CK_RV p11_sign_update(struct p11_session *session, const CK_BYTE *data, CK_ULONG len)
{
	return update(&session->sign, data, len);
}

CK_RV p11_verify_update(struct p11_session *session, const CK_BYTE *data, CK_ULONG len)
{
	return update(&session->verify, data, len);
}

CK_RV p11_sign_final(struct p11_session *session, CK_BYTE *out, CK_ULONG *out_len)
{
	struct p11_operation *op = &session->sign;
	uint8_t hash[HASH_MAX];
	size_t need, len;
	CK_RV rv;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	need = signature_len(session, op);
	if (need == 0 || op->mechanism == CKM_RSA_PKCS)
		return ended(op, need == 0 ? CKR_KEY_HANDLE_INVALID : CKR_FUNCTION_NOT_SUPPORTED);
	if (!takes(out, out_len, need, &rv))
		return rv;
	if (!finish(session, op, hash, &len))
		return ended(op, CKR_FUNCTION_FAILED);
	if (op->mac_ctx)
		memcpy(out, hash, len);
	return ended(op, op->mac_ctx ? CKR_OK : rsa_sign(session, op, hash, len, out, need));
}

CK_RV p11_sign(struct p11_session *session, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	struct p11_operation *op = &session->sign;
	size_t need;
	CK_RV rv;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	need = signature_len(session, op);
	if (op->in_parts || need == 0)
		return ended(op, need == 0 ? CKR_KEY_HANDLE_INVALID : CKR_OPERATION_ACTIVE);
	if (!takes(out, out_len, need, &rv))
		return rv;
	if (op->mechanism == CKM_RSA_PKCS)
		return ended(op, len > need - RSA_PKCS1_PADDING_SIZE ? CKR_DATA_LEN_RANGE :
		             rsa_sign(session, op, data, len, out, need));
	return absorb(op, data, len) ? p11_sign_final(session, out, out_len) : ended(op, CKR_FUNCTION_FAILED);
}

CK_RV p11_verify_final(struct p11_session *session, const CK_BYTE *signature, CK_ULONG signature_size)
{
	struct p11_operation *op = &session->verify;
	uint8_t hash[HASH_MAX];
	size_t len;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->mechanism == CKM_RSA_PKCS)
		return ended(op, CKR_FUNCTION_NOT_SUPPORTED);
	if (signature_size != signature_len(session, op))
		return ended(op, CKR_SIGNATURE_LEN_RANGE);
	if (!finish(session, op, hash, &len))
		return ended(op, CKR_FUNCTION_FAILED);
	if (op->mac_ctx)
		return ended(op, crypto_equal(hash, signature, len) ? CKR_OK : CKR_SIGNATURE_INVALID);
	return ended(op, rsa_verify(session, op, hash, len, signature, signature_size));
}

CK_RV p11_verify(struct p11_session *session, const CK_BYTE *data, CK_ULONG len, const CK_BYTE *signature,
                 CK_ULONG signature_size)
{
	struct p11_operation *op = &session->verify;

	if (!op->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->in_parts)
		return ended(op, CKR_OPERATION_ACTIVE);
	if (op->mechanism == CKM_RSA_PKCS) {
		bool fits = signature_size == signature_len(session, op);

		return ended(op, fits ? rsa_verify(session, op, data, len, signature, signature_size) :
		             CKR_SIGNATURE_LEN_RANGE);
	}
	return absorb(op, data, len) ? p11_verify_final(session, signature, signature_size) :
	       ended(op, CKR_FUNCTION_FAILED);
}

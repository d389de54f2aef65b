/*
 * Verifying certificates (RFC 5280 section 6) and CRLs (section 6.3), at a time that the caller gives.
 *
 * The chain is OpenSSL's work; the verdict is ours. A trusted certificate ends a chain even if it is no root, since the
 * KDC trusts the operator's CA directly (X509_V_FLAG_PARTIAL_CHAIN). On top of OpenSSL's rules every certificate above
 * the leaf must say CA in basicConstraints and may sign certificates, whatever else older forms allow. Periods of
 * validity are checked here, too, from the leaf upwards, after the signatures; the machine's clock is never asked.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/pki_internal.h"

#define CHAIN_DEPTH_MAX 8

const char *const cert_verdict_names[] = {
	[CERT_OK] = "ok",
	[CERT_MALFORMED] = "malformed",
	[CERT_UNTRUSTED] = "untrusted",
	[CERT_BAD_SIGNATURE] = "bad_signature",
	[CERT_NOT_YET_VALID] = "not_yet_valid",
	[CERT_EXPIRED] = "expired",
	[CERT_BAD_USAGE] = "bad_usage",
};

static enum cert_verdict verdict_of(int error)
{
	switch (error) {
	case X509_V_OK:
		return CERT_OK;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		return CERT_BAD_SIGNATURE;
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_INVALID_NON_CA:
	case X509_V_ERR_INVALID_PURPOSE:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
	case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
		return CERT_BAD_USAGE;
	case X509_V_ERR_INVALID_EXTENSION:
		return CERT_MALFORMED;
	default:
		return CERT_UNTRUSTED;
	}
}

/* RFC 5280 section 4.1.2.5: both ends belong to the period (OpenSSL takes the last second as expired). */
static enum cert_verdict check_times(const X509 *cert, int64_t now_s)
{
	int64_t not_before_s, not_after_s;

	if (!pki_time(X509_get0_notBefore(cert), &not_before_s) || !pki_time(X509_get0_notAfter(cert), &not_after_s))
		return CERT_MALFORMED;
	if (now_s < not_before_s)
		return CERT_NOT_YET_VALID;
	return now_s > not_after_s ? CERT_EXPIRED : CERT_OK;
}

/* An end entity signs with its key; those that we issue must say so. */
static enum cert_verdict check_usage(X509 *cert, const struct cert_facts *facts)
{
	bool says = X509_get_extension_flags(cert) & EXFLAG_KUSAGE;
	bool may_sign = says && (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE);

	switch (facts->kind) {
	case CERT_DEVICE:
	case CERT_OPERATOR:
	case CERT_KDC:
		return may_sign ? CERT_OK : CERT_BAD_USAGE;
	case CERT_UNKNOWN:
		return may_sign || !says ? CERT_OK : CERT_BAD_USAGE;
	default:
		return CERT_OK;
	}
}

/* May this certificate stand above another one? */
static bool is_authority(X509 *cert)
{
	uint32_t flags = X509_get_extension_flags(cert);

	return (flags & EXFLAG_CA) && !(flags & EXFLAG_INVALID) &&
	       (!(flags & EXFLAG_KUSAGE) || (X509_get_key_usage(cert) & KU_KEY_CERT_SIGN));
}

/* Parses count certificates into a new stack; NULL when one of them is malformed. */
static STACK_OF(X509) *parse_all(struct crypto *crypto, const struct der *certs, size_t count)
{
	STACK_OF(X509) *stack = sk_X509_new_null();

	if (!stack)
		abort();
	for (size_t i = 0; i < count; i++) {
		X509 *cert = cert_parse(crypto, certs[i].bytes, certs[i].len);

		if (!cert) {
			sk_X509_pop_free(stack, X509_free);
			return NULL;
		}
		if (!sk_X509_push(stack, cert))
			abort();
	}
	return stack;
}

/* Counts the signatures that were checked: of every certificate in the chain that has its issuer above it. */
static void count_signatures(struct crypto *crypto, const STACK_OF(X509) *chain)
{
	for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
		EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(chain, i + 1));

		pki_count_cert_hash(crypto, sk_X509_value(chain, i));
		crypto_count(crypto, CRYPTO_RSA_VERIFY, key ? (uint32_t)EVP_PKEY_get_bits(key) : 0);
	}
}

static enum cert_verdict check_chain(struct crypto *crypto, X509 *leaf, STACK_OF(X509) *extra, STACK_OF(X509) *trusted,
                                     int64_t now_s)
{
	X509_STORE *store = X509_STORE_new(); /* stays empty: the trusted certificates are given as a stack */
	X509_STORE_CTX *ctx = X509_STORE_CTX_new_ex(crypto->lib, NULL);
	X509_VERIFY_PARAM *param;
	STACK_OF(X509) *chain;
	enum cert_verdict verdict;

	if (!store || !ctx || !X509_STORE_CTX_init(ctx, store, leaf, extra))
		abort();
	X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_verify_cert(ctx);
	verdict = verdict_of(X509_STORE_CTX_get_error(ctx));
	chain = X509_STORE_CTX_get0_chain(ctx);
	if (verdict == CERT_OK || verdict == CERT_BAD_SIGNATURE)
		count_signatures(crypto, chain);
	for (int i = 0; verdict == CERT_OK && i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);

		verdict = i > 0 && !is_authority(cert) ? CERT_BAD_USAGE : check_times(cert, now_s);
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return verdict;
}

static enum cert_verdict check_leaf(struct crypto *crypto, X509 *leaf, const struct der *chain, size_t chain_count,
                                    const struct der *trusted, size_t trusted_count, int64_t now_s)
{
	STACK_OF(X509) *extra = parse_all(crypto, chain, chain_count);
	STACK_OF(X509) *anchors = parse_all(crypto, trusted, trusted_count);
	enum cert_verdict verdict = CERT_MALFORMED;

	if (extra && anchors)
		verdict = check_chain(crypto, leaf, extra, anchors, now_s);
	sk_X509_pop_free(extra, X509_free);
	sk_X509_pop_free(anchors, X509_free);
	return verdict;
}

enum cert_verdict cert_verify(struct crypto *crypto, const struct der *leaf, const struct der *chain,
                              size_t chain_count,
                              const struct der *trusted, size_t trusted_count, int64_t now_s, bool skip_chain)
{
	X509 *cert = cert_parse(crypto, leaf->bytes, leaf->len);
	struct cert_facts facts;
	enum cert_verdict verdict = CERT_MALFORMED;

	if (cert && cert_read_with(crypto, leaf->bytes, leaf->len, &facts)) {
		verdict = skip_chain ? check_times(cert, now_s)
		                     : check_leaf(crypto, cert, chain, chain_count, trusted, trusted_count, now_s);
		if (verdict == CERT_OK)
			verdict = check_usage(cert, &facts);
	}
	X509_free(cert);
	ERR_clear_error();
	return verdict;
}

/* CRL. */

/* The CRL parsed last: clients of one realm all have the same one. */
struct crl_cache {
	X509_CRL *crl;
	size_t len;
	uint8_t der[];
};

void crl_cache_free(struct crl_cache *cache)
{
	if (cache)
		X509_CRL_free(cache->crl);
	free(cache);
}

static X509_CRL *remember(struct crypto *crypto, X509_CRL *crl, const struct der *der)
{
	struct crl_cache *cache = malloc(sizeof *cache + der->len);

	if (!cache || !X509_CRL_up_ref(crl))
		abort();
	cache->crl = crl;
	cache->len = der->len;
	memcpy(cache->der, der->bytes, der->len);
	crl_cache_free(crypto->crl);
	crypto->crl = cache;
	return crl;
}

X509_CRL *crl_parse(struct crypto *crypto, const struct der *der)
{
	const struct crl_cache *last = crypto->crl;
	const uint8_t *p = der->bytes;
	X509_CRL *crl;

	if (der->len == 0 || der->len > PKI_CRL_MAX)
		return NULL;
	if (last && last->len == der->len && memcmp(last->der, der->bytes, der->len) == 0)
		return X509_CRL_up_ref(last->crl) ? last->crl : NULL;
	crl = X509_CRL_new_ex(crypto->lib, NULL);
	if (!crl)
		abort();
	if (!d2i_X509_CRL(&crl, &p, (long)der->len) || p != der->bytes + der->len) {
		X509_CRL_free(crl);
		ERR_clear_error();
		return NULL;
	}
	return remember(crypto, crl, der);
}

/* Issued by that CA, in force at that time, with nothing critical in it that we do not know. */
static bool crl_holds(struct crypto *crypto, X509_CRL *crl, X509 *issuer, int64_t now_s)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	uint32_t flags = X509_get_extension_flags(issuer);
	int64_t this_update_s, next_update_s;

	if (!key || !is_authority(issuer) || ((flags & EXFLAG_KUSAGE) && !(X509_get_key_usage(issuer) & KU_CRL_SIGN)) ||
	    X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0)
		return false;
	if (!pki_time(X509_CRL_get0_lastUpdate(crl), &this_update_s) ||
	    !pki_time(X509_CRL_get0_nextUpdate(crl), &next_update_s) || now_s < this_update_s || now_s > next_update_s)
		return false;
	/* Critical extensions of a CRL narrow what it covers (deltas, indirect CRLs); this architecture has none. */
	if (X509_CRL_get_ext_by_critical(crl, 1, -1) >= 0)
		return false;
	pki_count_crl_hash(crypto, crl);
	crypto_count(crypto, CRYPTO_RSA_VERIFY, (uint32_t)EVP_PKEY_get_bits(key));
	return X509_CRL_verify(crl, key) == 1;
}

enum crl_verdict crl_check(struct crypto *crypto, const struct der *crl_der, const struct der *issuer_cert,
                           const struct der *leaf, int64_t now_s)
{
	X509_CRL *crl = crl_parse(crypto, crl_der);
	X509 *issuer = cert_parse(crypto, issuer_cert->bytes, issuer_cert->len);
	X509 *cert = cert_parse(crypto, leaf->bytes, leaf->len);
	X509_REVOKED *entry = NULL;
	enum crl_verdict verdict = CRL_BAD;

	if (crl && issuer && cert && X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(issuer)) == 0 &&
	    crl_holds(crypto, crl, issuer, now_s))
		verdict = X509_CRL_get0_by_cert(crl, &entry, cert) == 1 ? CRL_REVOKED : CRL_CLEAR;
	X509_free(cert);
	X509_free(issuer);
	X509_CRL_free(crl);
	ERR_clear_error();
	return verdict;
}

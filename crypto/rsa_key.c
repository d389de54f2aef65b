/*
 * RSA private keys from PKCS #8 (RFC 5208) and RSAPrivateKey (RFC 8017 appendix A.1.2).
 *
 * A device makes its key object each time it wakes up. OpenSSL's general decoder tries every key type and costs several
 * times a 1024-bit signature; the structure is known here, so its numbers are taken out by template and handed over.
 *
 * The authorities sign a certificate for each device. Their key objects are kept in the context, for a new one computes
 * its blinding first.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/asn1t.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include "crypto/internal.h"

/* Version 0: two primes. */
typedef struct {
	ASN1_INTEGER *version;
	ASN1_INTEGER *n, *e, *d, *p, *q, *dp, *dq, *qinv;
} RSA_NUMBERS;

ASN1_SEQUENCE(RSA_NUMBERS) = {
	ASN1_SIMPLE(RSA_NUMBERS, version, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, n, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, e, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, d, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, p, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, q, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, dp, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, dq, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_NUMBERS, qinv, ASN1_INTEGER),
} static_ASN1_SEQUENCE_END(RSA_NUMBERS)

/* RSAPublicKey (RFC 8017 appendix A.1.1), for writing: the numbers are borrowed. */
typedef struct {
	ASN1_INTEGER *n, *e;
} RSA_PUBLIC_NUMBERS;

ASN1_SEQUENCE(RSA_PUBLIC_NUMBERS) = {
	ASN1_SIMPLE(RSA_PUBLIC_NUMBERS, n, ASN1_INTEGER),
	ASN1_SIMPLE(RSA_PUBLIC_NUMBERS, e, ASN1_INTEGER),
} static_ASN1_SEQUENCE_END(RSA_PUBLIC_NUMBERS)

#define NUMBER_COUNT 8

static RSA_NUMBERS *parse_numbers(const PKCS8_PRIV_KEY_INFO *info)
{
	const ASN1_OBJECT *algorithm;
	const uint8_t *bytes, *p;
	int len;
	RSA_NUMBERS *numbers;
	int64_t version;

	if (!PKCS8_pkey_get0(&algorithm, &bytes, &len, NULL, info) || OBJ_obj2nid(algorithm) != NID_rsaEncryption)
		return NULL;
	p = bytes;
	numbers = (RSA_NUMBERS *)ASN1_item_d2i(NULL, &p, len, ASN1_ITEM_rptr(RSA_NUMBERS));
	if (numbers && (p != bytes + len || !ASN1_INTEGER_get_int64(&version, numbers->version) || version != 0)) {
		ASN1_item_free((ASN1_VALUE *)numbers, ASN1_ITEM_rptr(RSA_NUMBERS));
		numbers = NULL;
	}
	return numbers;
}

/* Fills the builder; the numbers stay the caller's to free, also after a failure. */
static bool push_numbers(OSSL_PARAM_BLD *builder, const RSA_NUMBERS *numbers, BIGNUM *bignums[NUMBER_COUNT])
{
	const struct {
		const char *name;
		const ASN1_INTEGER *value;
	} fields[NUMBER_COUNT] = {
		{ OSSL_PKEY_PARAM_RSA_N, numbers->n }, { OSSL_PKEY_PARAM_RSA_E, numbers->e },
		{ OSSL_PKEY_PARAM_RSA_D, numbers->d }, { OSSL_PKEY_PARAM_RSA_FACTOR1, numbers->p },
		{ OSSL_PKEY_PARAM_RSA_FACTOR2, numbers->q }, { OSSL_PKEY_PARAM_RSA_EXPONENT1, numbers->dp },
		{ OSSL_PKEY_PARAM_RSA_EXPONENT2, numbers->dq }, { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, numbers->qinv },
	};

	for (int i = 0; i < NUMBER_COUNT; i++) {
		bignums[i] = ASN1_INTEGER_to_BN(fields[i].value, NULL);
		if (!bignums[i] || BN_is_negative(bignums[i]) || BN_is_zero(bignums[i]) ||
		    !OSSL_PARAM_BLD_push_BN(builder, fields[i].name, bignums[i]))
			return false;
	}
	return true;
}

static EVP_PKEY *build(struct crypto *crypto, const RSA_NUMBERS *numbers)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto->lib, "RSA", NULL);
	BIGNUM *bignums[NUMBER_COUNT] = { NULL };
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (!builder || !ctx)
		abort();
	if (push_numbers(builder, numbers, bignums)) {
		params = OSSL_PARAM_BLD_to_param(builder);
		if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) <= 0)
			pkey = NULL;
	}
	for (OSSL_PARAM *p = params; p && p->key; p++)
		OPENSSL_cleanse(p->data, p->data_size);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	for (int i = 0; i < NUMBER_COUNT; i++)
		BN_clear_free(bignums[i]);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static void wipe(ASN1_INTEGER *number)
{
	OPENSSL_cleanse(number->data, (size_t)number->length);
}

static void free_numbers(RSA_NUMBERS *numbers)
{
	if (!numbers)
		return;
	wipe(numbers->d);
	wipe(numbers->p);
	wipe(numbers->q);
	wipe(numbers->dp);
	wipe(numbers->dq);
	wipe(numbers->qinv);
	ASN1_item_free((ASN1_VALUE *)numbers, ASN1_ITEM_rptr(RSA_NUMBERS));
}

/* The numbers of exactly one RSA key; free_numbers(). */
static RSA_NUMBERS *numbers_of(const uint8_t *pkcs8, size_t len)
{
	const uint8_t *p = pkcs8;
	PKCS8_PRIV_KEY_INFO *info = pkcs8 && len <= INT_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len) : NULL;
	RSA_NUMBERS *numbers = info && p == pkcs8 + len ? parse_numbers(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info); /* wipes the key in it */
	return numbers;
}

EVP_PKEY *crypto_private_key(struct crypto *crypto, const uint8_t *pkcs8, size_t len)
{
	RSA_NUMBERS *numbers = numbers_of(pkcs8, len);
	EVP_PKEY *pkey = numbers ? build(crypto, numbers) : NULL;

	free_numbers(numbers);
	if (!pkey)
		ERR_clear_error();
	return pkey;
}

bool crypto_public_numbers(const uint8_t *pkcs8, size_t len, uint8_t **out, int *out_len)
{
	RSA_NUMBERS *numbers = numbers_of(pkcs8, len);
	RSA_PUBLIC_NUMBERS public = { NULL, NULL };

	*out = NULL;
	*out_len = 0;
	if (numbers) {
		public.n = numbers->n;
		public.e = numbers->e;
		*out_len = ASN1_item_i2d((ASN1_VALUE *)&public, out, ASN1_ITEM_rptr(RSA_PUBLIC_NUMBERS));
	}
	free_numbers(numbers);
	if (*out_len <= 0)
		ERR_clear_error();
	return *out_len > 0;
}

int crypto_spki(const uint8_t *pkcs8, size_t len, uint8_t **out)
{
	X509_PUBKEY *spki = X509_PUBKEY_new();
	uint8_t *numbers;
	int numbers_len, out_len = 0;

	*out = NULL;
	if (!spki)
		abort();
	if (crypto_public_numbers(pkcs8, len, &numbers, &numbers_len)) {
		if (X509_PUBKEY_set0_param(spki, OBJ_nid2obj(NID_rsaEncryption), V_ASN1_NULL, NULL, numbers, numbers_len))
			out_len = i2d_X509_PUBKEY(spki, out);
		else
			OPENSSL_free(numbers);
	}
	X509_PUBKEY_free(spki);
	return out_len;
}

/* Keys that sign certificates */

#define SIGNERS_MAX 4 /* the authorities */

struct signer_cache {
	unsigned count;
	struct signer {
		uint8_t digest[32]; /* SHA-256 of the PKCS #8 */
		EVP_PKEY *pkey;
	} entries[SIGNERS_MAX];
};

/* Puts the entry first, moving down what was before the place. */
static EVP_PKEY *put_first(struct signer_cache *cache, unsigned place, struct signer entry)
{
	memmove(cache->entries + 1, cache->entries, place * sizeof entry);
	cache->entries[0] = entry;
	return EVP_PKEY_up_ref(entry.pkey) ? entry.pkey : NULL;
}

EVP_PKEY *crypto_signer_key(struct crypto *crypto, const uint8_t *pkcs8, size_t len)
{
	struct signer wanted;
	struct signer_cache *cache;

	if (!pkcs8 || !EVP_Digest(pkcs8, len, wanted.digest, NULL, crypto->sha256, NULL))
		return NULL;
	if (!crypto->signers)
		crypto->signers = calloc(1, sizeof *crypto->signers);
	cache = crypto->signers;
	if (!cache)
		abort();
	for (unsigned i = 0; i < cache->count; i++)
		if (memcmp(cache->entries[i].digest, wanted.digest, sizeof wanted.digest) == 0)
			return put_first(cache, i, cache->entries[i]);
	wanted.pkey = crypto_private_key(crypto, pkcs8, len);
	if (!wanted.pkey)
		return NULL;
	if (cache->count == SIGNERS_MAX)
		EVP_PKEY_free(cache->entries[--cache->count].pkey);
	return put_first(cache, cache->count++, wanted);
}

void signer_cache_free(struct signer_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < cache->count; i++)
		EVP_PKEY_free(cache->entries[i].pkey);
	free(cache);
}

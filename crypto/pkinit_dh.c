/*
 * Diffie-Hellman for PKINIT: group 14 (RFC 3526 section 3), X9.42 encoding (RFC 3279 section 2.3.3), and the reply key
 * from the shared secret (RFC 4556 section 3.2.3.1).
 *
 * The group is fixed; a peer's parameters are compared with it, never used. Its public value has to lie in 2 .. p - 2,
 * which in a safe-prime group leaves no small subgroup but {1, p - 1}. Key pairs are used once: there are no DH nonces.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include "crypto/pkinit_cms.h"

#define GROUP_NAME "modp_2048"
#define GROUP_BITS 2048
#define GROUP_LEN (GROUP_BITS / 8)
#define GENERATOR 2

static void *checked(void *memory)
{
	if (!memory) {
		fprintf(stderr, "pkinit: Diffie-Hellman cannot be set up\n");
		abort();
	}
	return memory;
}

EVP_PKEY *pkinit_dh_generate(struct secure_module *sm)
{
	struct crypto *crypto = sm_crypto(sm);
	EVP_PKEY *pkey = NULL;
	crypto_random_begin(crypto, sm_random(sm));
	EVP_PKEY_CTX *ctx = checked(EVP_PKEY_CTX_new_from_name(crypto->lib, "DH", NULL));
	if (EVP_PKEY_keygen_init(ctx) <= 0 || EVP_PKEY_CTX_set_group_name(ctx, GROUP_NAME) <= 0 ||
	    EVP_PKEY_keygen(ctx, &pkey) <= 0)
		checked(NULL);
	EVP_PKEY_CTX_free(ctx);
	crypto_random_end(crypto);
	crypto_count(crypto, CRYPTO_DH_GENERATE, GROUP_BITS);
	return pkey;
}

static ASN1_INTEGER *integer_of(const BIGNUM *bn, ASN1_INTEGER *into)
{
	return checked(BN_to_ASN1_INTEGER(bn, into));
}

bool pkinit_dh_public(const EVP_PKEY *own, struct der *integer)
{
	BIGNUM *value = NULL;
	unsigned char *bytes = NULL;
	if (!EVP_PKEY_get_bn_param(own, OSSL_PKEY_PARAM_PUB_KEY, &value))
		return false;
	ASN1_INTEGER *encoded = integer_of(value, NULL);
	int len = i2d_ASN1_INTEGER(encoded, &bytes);
	bool ok = len > 0 && krb_der_copy(integer, bytes, (size_t)len);
	OPENSSL_free(bytes);
	ASN1_INTEGER_free(encoded);
	BN_free(value);
	return ok;
}

static ASN1_STRING *encode_domain(void)
{
	PKINIT_DH_DOMAIN *domain = KRB_NEW(PKINIT_DH_DOMAIN);
	ASN1_STRING *sequence = checked(ASN1_STRING_type_new(V_ASN1_SEQUENCE));
	struct der der = { 0 };
	BIGNUM *p = checked(BN_get_rfc3526_prime_2048(NULL));
	integer_of(p, domain->p);
	BN_rshift1(p, p); /* q = (p - 1) / 2 */
	integer_of(p, domain->q);
	BN_set_word(p, GENERATOR);
	integer_of(p, domain->g);
	if (!KRB_ENCODE(PKINIT_DH_DOMAIN, domain, &der) || !ASN1_STRING_set(sequence, der.bytes, (int)der.len))
		checked(NULL);
	der_free(&der);
	BN_free(p);
	KRB_FREE(PKINIT_DH_DOMAIN, domain);
	return sequence;
}

PKINIT_SPKI *pkinit_dh_spki(const EVP_PKEY *own)
{
	struct der public_key = { 0 };
	if (!pkinit_dh_public(own, &public_key))
		return NULL;
	PKINIT_SPKI *spki = KRB_NEW(PKINIT_SPKI);
	X509_ALGOR_set0(spki->algorithm, OBJ_nid2obj(NID_dhpublicnumber), V_ASN1_SEQUENCE, encode_domain());
	if (!ASN1_BIT_STRING_set(spki->key, public_key.bytes, (int)public_key.len))
		checked(NULL);
	spki->key->flags |= ASN1_STRING_FLAG_BITS_LEFT; /* whole octets, whatever the last one is */
	der_free(&public_key);
	return spki;
}

/* A public value in 2 .. p - 2. NULL otherwise. */
static BIGNUM *public_value(const uint8_t *integer, size_t len)
{
	const uint8_t *p = integer;
	ASN1_INTEGER *encoded = len && len <= GROUP_LEN + 8 ? d2i_ASN1_INTEGER(NULL, &p, (long)len) : NULL;
	BIGNUM *value = encoded && p == integer + len ? ASN1_INTEGER_to_BN(encoded, NULL) : NULL;
	BIGNUM *limit = checked(BN_get_rfc3526_prime_2048(NULL));
	BN_sub_word(limit, 1);
	if (value && (BN_is_negative(value) || BN_is_zero(value) || BN_is_one(value) || BN_cmp(value, limit) >= 0)) {
		BN_free(value);
		value = NULL;
	}
	BN_free(limit);
	ASN1_INTEGER_free(encoded);
	ERR_clear_error();
	return value;
}

static bool group_is_ours(const PKINIT_SPKI *peer)
{
	const ASN1_OBJECT *oid;
	const void *value;
	int type;
	X509_ALGOR_get0(&oid, &type, &value, peer->algorithm);
	if (OBJ_obj2nid(oid) != NID_dhpublicnumber || type != V_ASN1_SEQUENCE)
		return false;
	const ASN1_STRING *sequence = value;
	PKINIT_DH_DOMAIN *domain =
		KRB_DECODE(PKINIT_DH_DOMAIN, ASN1_STRING_get0_data(sequence), (size_t)ASN1_STRING_length(sequence));
	BIGNUM *p = domain ? ASN1_INTEGER_to_BN(domain->p, NULL) : NULL,
	       *g = domain ? ASN1_INTEGER_to_BN(domain->g, NULL) : NULL;
	BIGNUM *ours = checked(BN_get_rfc3526_prime_2048(NULL));
	bool same = p && g && BN_cmp(p, ours) == 0 && BN_is_word(g, GENERATOR);
	BN_free(ours);
	BN_free(p);
	BN_free(g);
	KRB_FREE(PKINIT_DH_DOMAIN, domain);
	return same;
}

bool pkinit_dh_acceptable(const PKINIT_SPKI *peer)
{
	if (!group_is_ours(peer))
		return false;
	BIGNUM *value = public_value(ASN1_STRING_get0_data(peer->key), (size_t)ASN1_STRING_length(peer->key));
	bool ok = value != NULL;
	BN_free(value);
	return ok;
}

static EVP_PKEY *peer_key(struct crypto *crypto, const BIGNUM *value)
{
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM_BLD *build = checked(OSSL_PARAM_BLD_new());
	EVP_PKEY_CTX *ctx = checked(EVP_PKEY_CTX_new_from_name(crypto->lib, "DH", NULL));
	OSSL_PARAM *params = NULL;
	if (OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, GROUP_NAME, 0) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PUB_KEY, value))
		params = OSSL_PARAM_BLD_to_param(build);
	if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		checked(NULL);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* Padded to the length of the modulus, as RFC 4556 has it. */
static bool shared_secret(struct crypto *crypto, EVP_PKEY *own, EVP_PKEY *peer, uint8_t secret[GROUP_LEN])
{
	size_t len = GROUP_LEN;
	EVP_PKEY_CTX *ctx = checked(EVP_PKEY_CTX_new_from_pkey(crypto->lib, own, NULL));
	bool ok = EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_CTX_set_dh_pad(ctx, 1) > 0 &&
	          EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) > 0 && EVP_PKEY_derive(ctx, secret, &len) > 0 &&
	          len == GROUP_LEN;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* octetstring2key: random-to-key of SHA1(0 | x) | SHA1(1 | x) | ..., cut to the seed length. */
static void octetstring2key(struct crypto *crypto, const uint8_t secret[GROUP_LEN], uint8_t key[KRB_KEY_LEN])
{
	uint8_t input[1 + GROUP_LEN], stream[40];
	memcpy(input + 1, secret, GROUP_LEN);
	for (uint8_t i = 0; i < 2; i++) {
		input[0] = i;
		crypto_sha1(crypto, input, sizeof(input), stream + 20 * i);
	}
	krb_random_to_key(stream, key);
	crypto_wipe(input, sizeof(input));
	crypto_wipe(stream, sizeof(stream));
}

bool pkinit_dh_reply_key(struct secure_module *sm, EVP_PKEY *own, const uint8_t *peer, size_t peer_len,
                         uint8_t key[KRB_KEY_LEN])
{
	struct crypto *crypto = sm_crypto(sm);
	uint8_t secret[GROUP_LEN];
	BIGNUM *value = public_value(peer, peer_len);
	if (!value)
		return false;
	crypto_random_begin(crypto, crypto_blinding(crypto));
	EVP_PKEY *peer_pkey = peer_key(crypto, value);
	bool ok = shared_secret(crypto, own, peer_pkey, secret);
	crypto_random_end(crypto);
	if (ok) {
		octetstring2key(crypto, secret, key);
		crypto_count(crypto, CRYPTO_DH_DERIVE, GROUP_BITS);
	}
	crypto_wipe(secret, sizeof(secret));
	EVP_PKEY_free(peer_pkey);
	BN_free(value);
	ERR_clear_error();
	return ok;
}

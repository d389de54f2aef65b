/*
 * What tests of crypto/ and of the layers above share: a deterministic random source, a cryptographic context, a
 * module, and a small PKI (manufacturer root and CA, operator CA, a device, an operator certificate, a KDC).
 *
 * Everything follows from the labels given, so that a failing test fails again. Header only; a test program that uses
 * no PKI needs no PKI.
 */
#ifndef TOLLGATE_TESTS_CRYPTO_FIXTURE_H
#define TOLLGATE_TESTS_CRYPTO_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/crypto.h"
#include "crypto/key_pool.h"
#include "crypto/pki.h"
#include "crypto/secure_module.h"
#include "crypto/seed_stream.h"

/*
 * 2027-01-01 00:00:00 UTC: "now" of the fixture; certificates are valid from a day before, for ten years (device: for
 * good).
 */
#define FIXTURE_NOW_S INT64_C(1798761600)
#define FIXTURE_DAY_S INT64_C(86400)
#define FIXTURE_REALM "TOLLGATE.EXAMPLE"
#define FIXTURE_NUMBER "215-555-0101"
#define FIXTURE_POOL_SEED 7

/* A random source that gives the stream of its label. It lives as long as whatever uses it. */
struct fixture_random {
	struct seed_stream stream;
	struct random_source random;
};

static inline void fixture_random_init(struct fixture_random *random, const char *label)
{
	seed_stream_init(&random->stream, label);
	random->random = (struct random_source){ seed_stream_fill, &random->stream };
}

static inline void fixture_require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fixture: %s failed\n", what);
		abort();
	}
}

/* A context, a random source and a module on it. */
struct fixture {
	struct crypto *crypto;
	struct fixture_random random;
	struct secure_module *sm;
};

static inline void fixture_init(struct fixture *fixture, const char *label)
{
	fixture->crypto = crypto_new();
	fixture_require(fixture->crypto != NULL, "crypto_new");
	fixture_random_init(&fixture->random, label);
	fixture->sm = sm_new(fixture->crypto, label, &fixture->random.random);
	fixture_require(fixture->sm != NULL, "sm_new");
}

static inline void fixture_free(struct fixture *fixture)
{
	sm_free(fixture->sm);
	crypto_free(fixture->crypto);
}

/* A module with a random source of its own, for a second party. */
struct fixture_party {
	struct fixture_random random;
	struct secure_module *sm;
};

static inline void fixture_party_init(struct fixture_party *party, struct crypto *crypto, const char *owner)
{
	fixture_random_init(&party->random, owner);
	party->sm = sm_new(crypto, owner, &party->random.random);
}

static inline void fixture_party_free(struct fixture_party *party)
{
	sm_free(party->sm);
}

/*
 * Key names in the pool: "root", "mfg-ca", "op-ca" (2048), "kdc" (2048), "device" (1024: device and operator
 * certificate).
 */
struct fixture_pki {
	struct crypto *crypto;
	struct key_pool *pool;
	struct der root, mfg_ca, op_ca, device, operator_cert, kdc;
	uint8_t phone_id[PHONE_ID_LEN];
	char phone_id_hex[2 * PHONE_ID_LEN + 1];
};

static const uint8_t fixture_mac[6] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55 };

/* Issues a certificate for the pool's key `subject` under the pool's key `issuer`; issuer_cert NULL: self-signed. */
static inline struct der fixture_issue(struct fixture_pki *pki, const struct cert_request *request, const char *subject,
                                       unsigned subject_bits, const struct der *issuer_cert, const char *issuer,
                                       unsigned issuer_bits)
{
	struct der out = { NULL, 0 };
	size_t subject_len, issuer_len;
	const uint8_t *subject_key = key_pool_get(pki->pool, subject, subject_bits, &subject_len);
	const uint8_t *issuer_key = key_pool_get(pki->pool, issuer, issuer_bits, &issuer_len);

	fixture_require(cert_issue(pki->crypto, request, subject_key, subject_len, NULL, 0, issuer_cert, issuer_key,
	                           issuer_len, &out), subject);
	return out;
}

/* A request of the fixture's usual validity. */
static inline struct cert_request fixture_request(enum cert_kind kind, const char *common_name,
                                                  const char *organisation, uint64_t serial)
{
	return (struct cert_request){
		.kind = kind, .common_name = common_name, .organisation = organisation, .serial = serial,
		.not_before_s = FIXTURE_NOW_S - FIXTURE_DAY_S, .not_after_s = FIXTURE_NOW_S + 3650 * FIXTURE_DAY_S,
		.realm = FIXTURE_REALM,
	};
}

static inline void fixture_pki_init(struct fixture_pki *pki, struct crypto *crypto)
{
	struct cert_request r;

	memset(pki, 0, sizeof *pki);
	pki->crypto = crypto;
	pki->pool = key_pool_new(crypto, FIXTURE_POOL_SEED, NULL);
	fixture_require(phone_id(crypto, FIXTURE_NUMBER, pki->phone_id), "phone_id");
	for (int i = 0; i < PHONE_ID_LEN; i++)
		snprintf(pki->phone_id_hex + 2 * i, 3, "%02x", pki->phone_id[i]);

	r = fixture_request(CERT_ROOT, "Manufacturer Root", "Example Devices", 1);
	pki->root = fixture_issue(pki, &r, "root", 2048, NULL, "root", 2048);
	r = fixture_request(CERT_CA, "Manufacturer CA", "Example Devices", 2);
	pki->mfg_ca = fixture_issue(pki, &r, "mfg-ca", 2048, &pki->root, "root", 2048);
	r = fixture_request(CERT_CA, "Operator CA", "Example Telephony", 3);
	pki->op_ca = fixture_issue(pki, &r, "op-ca", 2048, &pki->root, "root", 2048);
	r = fixture_request(CERT_DEVICE, NULL, "Example Devices", 4);
	r.mac = fixture_mac;
	r.not_after_s = CERT_NO_EXPIRY_S;
	pki->device = fixture_issue(pki, &r, "device", 1024, &pki->mfg_ca, "mfg-ca", 2048);
	r = fixture_request(CERT_OPERATOR, NULL, "Example Telephony", 5);
	r.phone_id = pki->phone_id;
	pki->operator_cert = fixture_issue(pki, &r, "device", 1024, &pki->op_ca, "op-ca", 2048);
	r = fixture_request(CERT_KDC, "kdc1", "Example Telephony", 6);
	pki->kdc = fixture_issue(pki, &r, "kdc", 2048, &pki->op_ca, "op-ca", 2048);
}

static inline void fixture_pki_free(struct fixture_pki *pki)
{
	der_free(&pki->root);
	der_free(&pki->mfg_ca);
	der_free(&pki->op_ca);
	der_free(&pki->device);
	der_free(&pki->operator_cert);
	der_free(&pki->kdc);
	key_pool_free(pki->pool);
}

#endif

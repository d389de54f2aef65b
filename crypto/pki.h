/*
 * The certificates of the architecture (patent [0055], [0103]-[0105], [0206]-[0208]; RFC 5280, RFC 4556 section 3.2.4):
 * manufacturer root and CA, network operator CA, device certificates (MAC, valid for the device's life), operator
 * certificates (phone ID), KDC certificates (SAN krbtgt/REALM, EKU id-pkinit-KPKdc), and a CRL for KDC certificates.
 *
 * A certificate is its DER bytes everywhere outside this file.
 */
#ifndef TOLLGATE_CRYPTO_PKI_H
#define TOLLGATE_CRYPTO_PKI_H

#include "crypto/key_pool.h"
#include "crypto/secure_module.h"

struct der { /* owned bytes; der_free() */
	uint8_t *bytes;
	size_t len;
};
void der_free(struct der *der);

enum cert_kind { CERT_UNKNOWN, CERT_ROOT, CERT_CA, CERT_DEVICE, CERT_OPERATOR, CERT_KDC };

#define PHONE_ID_LEN 20
/* SHA-1 of the digits of the number ("215-555-0101" and "2155550101" give the same). False: no digits. */
bool phone_id(struct crypto *crypto, const char *number, uint8_t out[PHONE_ID_LEN]);

struct cert_facts { /* what a verifier needs of a certificate */
	enum cert_kind kind;
	uint64_t serial;
	int64_t not_before_s, not_after_s; /* Unix */
	char subject[160], issuer[160];    /* one-line, escaped, NUL-terminated */
	bool has_mac, has_phone_id, has_kdc_eku, has_client_eku;
	uint8_t mac[6];
	uint8_t phone_id[PHONE_ID_LEN];
	char principal[128];               /* of the SAN id-pkinit-san: "krbtgt/REALM@REALM", "PHONEID@REALM"; "" if none */
	unsigned rsa_bits;
};
/* False when the bytes are not exactly one certificate of a kind this architecture issues or could meet. */
bool cert_read(const uint8_t *der, size_t len, struct cert_facts *facts);
/*
 * The same by way of a context, which remembers what it parsed lately: several times faster where certificates recur.
 */
bool cert_read_with(struct crypto *crypto, const uint8_t *der, size_t len, struct cert_facts *facts);

#define CERT_NO_EXPIRY_S INT64_C(253402300799) /* 9999-12-31 23:59:59, RFC 5280 section 4.1.2.5: valid for good */

struct cert_request {
	enum cert_kind kind;             /* CERT_UNKNOWN: an end entity without extended key usage */
	const char *common_name;         /* NULL: device: the MAC as "00:11:22:33:44:55"; operator: the phone ID as 40 hex digits */
	const char *organisation;        /* NULL: none */
	uint64_t serial;                 /* 1 or more */
	int64_t not_before_s, not_after_s;
	const uint8_t *mac;              /* CERT_DEVICE: 6 bytes */
	const uint8_t *phone_id;         /* CERT_OPERATOR: PHONE_ID_LEN bytes; the principal of its SAN */
	const char *realm;               /* CERT_KDC, CERT_OPERATOR */
	bool sha1;                       /* signed with SHA-1 instead of SHA-256 */
};
/*
 * Issues a certificate for the public key of subject_key (PKCS#8 DER) or, if that is NULL, of subject_spki, signed by
 * the issuer's key. CERT_ROOT: issuer_cert NULL, signed by itself. Signature: RSA with SHA-256 or SHA-1. False: the
 * request is not one that can be met (no name, times out of range, a key that is none); out is empty then.
 */
bool cert_issue(struct crypto *crypto, const struct cert_request *request, const uint8_t *subject_key,
                size_t subject_key_len,
                const uint8_t *subject_spki, size_t spki_len, const struct der *issuer_cert, const uint8_t *issuer_key,
                size_t issuer_key_len, struct der *out);
/* SubjectPublicKeyInfo DER of a certificate. */
bool cert_public_key(const uint8_t *der, size_t len, struct der *spki);

enum cert_verdict { CERT_OK, CERT_MALFORMED, CERT_UNTRUSTED, CERT_BAD_SIGNATURE, CERT_NOT_YET_VALID, CERT_EXPIRED,
                    CERT_BAD_USAGE };
extern const char *const cert_verdict_names[];
/*
 * Verifies leaf under the trusted CAs (through the extra, untrusted chain) at time now_s. skip_chain: only times and
 * usage (a thumbprint cache hit, patent [0104]).
 */
enum cert_verdict cert_verify(struct crypto *crypto, const struct der *leaf, const struct der *chain,
                              size_t chain_count,
                              const struct der *trusted, size_t trusted_count, int64_t now_s, bool skip_chain);

/* A CRL of KDC certificates, signed by their CA. */
bool crl_issue(struct crypto *crypto, const struct der *issuer_cert, const uint8_t *issuer_key, size_t issuer_key_len,
               const uint64_t *serials, size_t count, int64_t this_update_s, int64_t next_update_s, struct der *out);
enum crl_verdict { CRL_CLEAR, CRL_REVOKED, CRL_BAD };
enum crl_verdict crl_check(struct crypto *crypto, const struct der *crl, const struct der *issuer_cert,
                           const struct der *leaf, int64_t now_s);
/* SHA-1 over the certificate [0104]. */
void cert_thumbprint(struct crypto *crypto, const struct der *cert, uint8_t out[20]);

#endif

/*
 * What the files of the PKI share: pki.c (reading), pki_issue.c (issuing), pki_verify.c (verifying). Internal to
 * crypto/.
 */
#ifndef TOLLGATE_CRYPTO_PKI_INTERNAL_H
#define TOLLGATE_CRYPTO_PKI_INTERNAL_H

#include <openssl/asn1t.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include "crypto/internal.h"
#include "crypto/kerberos_asn1.h"
#include "crypto/pki.h"

#define PKI_CERT_MAX 16384                    /* longest certificate accepted */
#define PKI_CRL_MAX (1 << 20)                 /* longest CRL accepted */
#define PKI_OID_PKINIT_SAN "1.3.6.1.5.2.2"    /* id-pkinit-san, RFC 4556 section 3.2.2 */

/* Bits of keyUsage (RFC 5280 section 4.2.1.3). */
enum { PKI_DIGITAL_SIGNATURE = 0, PKI_KEY_ENCIPHERMENT = 2, PKI_KEY_CERT_SIGN = 5, PKI_CRL_SIGN = 6 };

/* KRB5PrincipalName, RFC 4556 section 3.2.2. */
typedef struct {
	ASN1_GENERALSTRING *realm;
	KRB_PRINCIPAL *name;
} PKI_PRINCIPAL;
DECLARE_ASN1_ITEM(PKI_PRINCIPAL)

/* Exactly one certificate, in that library context (NULL: OpenSSL's default one); NULL otherwise. X509_free(). */
X509 *pki_parse(OSSL_LIB_CTX *lib, const uint8_t *der, size_t len);
/* Exactly one CRL; NULL otherwise. A shared object: its holder changes nothing in it. X509_CRL_free(). */
X509_CRL *crl_parse(struct crypto *crypto, const struct der *der);
/* What a parsed certificate says; false as for cert_read(). */
bool pki_facts(X509 *cert, struct cert_facts *facts);
/* Unix seconds of a certificate's or CRL's time. */
bool pki_time(const ASN1_TIME *time, int64_t *time_s);
/* Moves len bytes of OpenSSL's heap (freed here) into out; false when len is not positive. */
bool pki_take(uint8_t *bytes, int len, struct der *out);
/* Count the hash under a signature, over what it covers. Without a meter they cost nothing. */
void pki_count_cert_hash(struct crypto *crypto, X509 *cert);
void pki_count_crl_hash(struct crypto *crypto, X509_CRL *crl);

#endif

/*
 * Files that a certification authority signs for devices to download (flows.md 5, V1, and 8; patent [0131],
 * [0149]): CMS SignedData (RFC 5652) over the whole content, SHA-256 with RSA, the authority's certificate along.
 *
 * The signer is the authority itself and nobody under it: a device's own certificate, though it comes from the
 * same manufacturer, signs no image.
 */
#ifndef TOLLGATE_CRYPTO_SIGNED_FILE_H
#define TOLLGATE_CRYPTO_SIGNED_FILE_H

#include "crypto/pki.h"

#define SIGNED_FILE_MAX (1u << 24) /* longest file accepted */

/* Signs content under the key (PKCS#8) of cert at Unix time now_s. False: key or certificate cannot sign. */
bool signed_file_make(struct crypto *crypto, const uint8_t *key, size_t key_len, const struct der *cert,
                      const struct der *content, int64_t now_s, struct der *out);

enum signed_file_verdict {
	SIGNED_FILE_OK, SIGNED_FILE_MALFORMED,
	SIGNED_FILE_SIGNER,    /* not signed by this authority, or its certificate is not valid at that time */
	SIGNED_FILE_SIGNATURE, /* in its name, but not by its key or over other bytes */
	SIGNED_FILE_VERDICTS
};
extern const char *const signed_file_verdict_names[SIGNED_FILE_VERDICTS];
/*
 * The content of a signed file. verify false: whatever it is signed with (for a device that does not look).
 * content is set on SIGNED_FILE_OK only and then the caller's.
 */
enum signed_file_verdict signed_file_open(struct crypto *crypto, const uint8_t *bytes, size_t len,
                                          const struct der *authority, int64_t now_s, bool verify, struct der *content);

#endif

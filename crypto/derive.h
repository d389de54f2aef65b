/*
 * Everything that follows from a sub-key (patent [0085], [0091]): F(S, label) = P_SHA1(S, label), the construction of
 * RFC 2246 section 5:  A(0) = label, A(i) = HMAC-SHA-1(S, A(i-1)), output = HMAC(S, A(1)|label) | HMAC(S, A(2)|label) | ...
 * The output is cut in this order: up: authentication key (20 bytes), encryption key (24, DES parity adjusted), starting
 * sequence number (4, big endian); then the same three for down.
 */
#ifndef TOLLGATE_CRYPTO_DERIVE_H
#define TOLLGATE_CRYPTO_DERIVE_H

#include <stddef.h>
#include <stdint.h>

#define LABEL_CTA_SC     "CTA-SC signaling"
#define LABEL_CTA_CTA    "CTA-CTA signaling"
#define LABEL_CTA_SERVER "CTA-server"
#define LABEL_SERVER     "server-server"
#define LABEL_RTP        "CTA-CTA RTP"
#define LABEL_ROUTER_AH  "CTA-router AH"
#define LABEL_WRAP       "key wrap"

/*
 * start_sn is as derived. Whoever starts an association folds it into the lower half of its range (START_SN_MASK: top
 * bit cleared), so that none starts close to 2^32 (attack E5), unless the switch esp.start_sn_limit is off.
 */
#define START_SN_MASK 0x7fffffffu
struct derived_direction {
	uint8_t auth_key[20];
	uint8_t cipher_key[24];
	uint32_t start_sn;
};
struct derived_keys {
	struct derived_direction up, down;
};

/* P_SHA1 of RFC 2246 section 5: out_len bytes. secret_len > 0. The secret is wiped from scratch memory afterwards. */
void p_sha1(const uint8_t *secret, size_t secret_len, const char *label, uint8_t *out, size_t out_len);
/* Both directions' keys of a sub-key under a label; the caller wipes out. */
void derive_keys(const uint8_t *subkey, size_t subkey_len, const char *label, struct derived_keys *out);
/* Sets the low bit of each byte to odd parity. */
void des_parity(uint8_t *key, size_t len);

#endif

/*
 * Encryption of whole RTP packets (RFC 3550 section 9.1; patent [0096]-[0098]): 3DES-CBC, IV 0, one key a direction,
 * padding by the P bit; optionally a MAC (HMAC-SHA-1-96) attached before encryption. One struct rtp_cipher is one
 * direction.
 */
#ifndef TOLLGATE_CRYPTO_RTP_CIPHER_H
#define TOLLGATE_CRYPTO_RTP_CIPHER_H

#include "crypto/esp.h"

#define RTP_SEAL_EXTRA_MAX (8 + 20) /* padding and MAC that rtp_seal() may append */

struct rtp_cipher;

/*
 * Keys from the sub-key under the label "CTA-CTA RTP": the cipher key and, with mac, the authentication key. direction:
 * ESP_UP is caller to callee. context: "SRC:PORT DST:PORT" for key logs; roles told: "rtp.cipher", "rtp.auth". NULL: no
 * such key.
 */
struct rtp_cipher *rtp_cipher_new(struct secure_module *sm, key_handle subkey, const char *label,
                                  enum esp_direction direction, const char *context, bool mac);
/* Both ways of a stream, made in this order; the keys are derived once. False: no such key, out is as it was. */
struct rtp_way {
	enum esp_direction direction;
	const char *context;
};
bool rtp_cipher_pair_new(struct secure_module *sm, key_handle subkey, const char *label, const struct rtp_way ways[2],
                         bool mac, struct rtp_cipher *out[2]);
void rtp_cipher_free(struct rtp_cipher *cipher);
/*
 * Encrypts the RTP packet of len bytes in place; RTP_SEAL_EXTRA_MAX writable bytes behind. Returns the new length. 0:
 * not an RTP packet (version, header length, padding), and the bytes are as they were. Padding that the packet has is
 * dropped.
 */
size_t rtp_seal(struct rtp_cipher *cipher, uint8_t *packet, size_t len);
/*
 * Decrypts in place; returns the length without padding and MAC, with the P bit cleared; 0 when it is no RTP packet
 * under this key, and then the bytes are as they were.
 */
size_t rtp_open(struct rtp_cipher *cipher, uint8_t *packet, size_t len);

#endif

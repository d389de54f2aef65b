/*
 * Encryption of whole RTP packets: RFC 3550 section 9.1; patent [0096]-[0098].
 *
 *   { RTP header | payload | padding ... count | MAC 12 (option) } encrypted, 3DES-CBC, IV 0
 *
 * Padding is RTP's own: the P bit of the header says that the last byte of the RTP packet counts the bytes to be left
 * out at its end. It is added only when the length (with MAC) is no multiple of 8, so that 160 bytes of G.711 in a
 * packet of 172 become 176. The MAC is HMAC-SHA-1-96 (RFC 2404), as in ESP, over the padded packet and stands behind it
 * before all is encrypted.
 *
 * The caller's packets come back as they went: P is set and cleared here. A packet that has padding of its own when it
 * is sealed loses it, for it carries nothing. Without MAC the check of a packet is that of RFC 3550 appendix A.1
 * (version, padding) and no more: about every fifth packet under another key passes it, and whatever is spliced in
 * behind the first blocks does (attack R2). With IV 0, equal first blocks under one key show (attack R1); sequence
 * number and time stamp in the header are what makes them differ.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/rtp_cipher.h"
#include "crypto/transform.h"

#define RTP_HEADER_LEN 12
#define RTP_CSRC_LEN 4
#define RTP_VERSION 2
#define RTP_P_BIT 0x20
#define RTP_CSRC_MASK 0x0f
#define RTP_PACKET_MAX 65535

static const struct transform_names rtp_names = { "rtp.cipher", "rtp.auth" };
static const uint8_t zero_iv[TRANSFORM_BLOCK_LEN];

struct rtp_cipher {
	struct transform transform;
	bool mac;
};
static_assert(TRANSFORM_BLOCK_LEN - 1 + TRANSFORM_MAC_LEN <= RTP_SEAL_EXTRA_MAX, "room for padding and MAC");

static struct rtp_cipher *cipher_of(struct secure_module *sm, const struct transform_keys *keys,
                                    enum esp_direction direction, const char *context, bool mac)
{
	struct rtp_cipher *cipher = calloc(1, sizeof *cipher);
	uint32_t unused_sn;

	if (!cipher)
		abort();
	transform_init(&cipher->transform, sm, keys, direction, &rtp_names, context, mac, &unused_sn);
	cipher->mac = mac;
	return cipher;
}

struct rtp_cipher *rtp_cipher_new(struct secure_module *sm, key_handle subkey, const char *label,
                                  enum esp_direction direction, const char *context, bool mac)
{
	struct transform_keys keys;
	struct rtp_cipher *cipher;

	if (!transform_derive(&keys, sm, subkey, label))
		return NULL;
	cipher = cipher_of(sm, &keys, direction, context, mac);
	transform_keys_end(&keys);
	return cipher;
}

bool rtp_cipher_pair_new(struct secure_module *sm, key_handle subkey, const char *label, const struct rtp_way ways[2],
                         bool mac, struct rtp_cipher *out[2])
{
	struct transform_keys keys;

	if (!transform_derive(&keys, sm, subkey, label))
		return false;
	for (int i = 0; i < 2; i++)
		out[i] = cipher_of(sm, &keys, ways[i].direction, ways[i].context, mac);
	transform_keys_end(&keys);
	return true;
}

void rtp_cipher_free(struct rtp_cipher *cipher)
{
	if (!cipher)
		return;
	transform_end(&cipher->transform);
	free(cipher);
}

/* The length of a clear RTP packet without its padding; 0 when it is no RTP packet. */
static size_t unpadded_len(const uint8_t *packet, size_t len)
{
	size_t header_len, pad;

	if (len < RTP_HEADER_LEN || packet[0] >> 6 != RTP_VERSION)
		return 0;
	header_len = RTP_HEADER_LEN + RTP_CSRC_LEN * (size_t)(packet[0] & RTP_CSRC_MASK);
	if (len < header_len)
		return 0;
	if (!(packet[0] & RTP_P_BIT))
		return len;
	pad = packet[len - 1];
	return pad > 0 && pad <= len - header_len ? len - pad : 0;
}

size_t rtp_seal(struct rtp_cipher *cipher, uint8_t *packet, size_t len)
{
	const size_t mac_len = cipher->mac ? TRANSFORM_MAC_LEN : 0;
	size_t over, pad;

	assert(len <= RTP_PACKET_MAX);
	len = unpadded_len(packet, len);
	if (len == 0)
		return 0;
	over = (len + mac_len) % TRANSFORM_BLOCK_LEN;
	pad = over ? TRANSFORM_BLOCK_LEN - over : 0;
	packet[0] &= (uint8_t)~RTP_P_BIT;
	if (pad > 0) {
		packet[0] |= RTP_P_BIT;
		memset(packet + len, 0, pad);
		len += pad;
		packet[len - 1] = (uint8_t)pad;
	}
	if (cipher->mac)
		transform_mac(&cipher->transform, packet, len, packet + len);
	len += mac_len;
	transform_cbc(&cipher->transform, true, zero_iv, packet, len);
	transform_count(&cipher->transform, len);
	return len;
}

static bool mac_holds(struct rtp_cipher *cipher, const uint8_t *packet, size_t len)
{
	uint8_t mac[TRANSFORM_MAC_LEN];

	if (!cipher->mac)
		return true;
	transform_mac(&cipher->transform, packet, len, mac);
	return crypto_equal(mac, packet + len, sizeof mac);
}

size_t rtp_open(struct rtp_cipher *cipher, uint8_t *packet, size_t len)
{
	const size_t mac_len = cipher->mac ? TRANSFORM_MAC_LEN : 0;
	size_t clear_len;

	if (len > RTP_PACKET_MAX || len < RTP_HEADER_LEN + mac_len || len % TRANSFORM_BLOCK_LEN)
		return 0;
	transform_cbc(&cipher->transform, false, zero_iv, packet, len);
	transform_count(&cipher->transform, len);
	clear_len = mac_holds(cipher, packet, len - mac_len) ? unpadded_len(packet, len - mac_len) : 0;
	if (clear_len == 0)
		transform_cbc(&cipher->transform, true, zero_iv, packet, len); /* the same bytes as before */
	else
		packet[0] &= (uint8_t)~RTP_P_BIT;
	return clear_len;
}

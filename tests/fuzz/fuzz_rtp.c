/*
 * Fuzzing of the RTP cipher: rtp_open() on hostile bytes, and rtp_seal() then rtp_open() on whatever the input calls a packet.
 *
 * Input: one byte (bit 0: MAC, bit 1: seal first), then a packet. What must hold: what is refused is as it was; a clear packet is
 * not longer than the sealed one; what was sealed opens to the same bytes, but for padding; nothing else passes the MAC.
 * The key follows from the first byte, so that hostile packets meet a key under which nothing was ever sealed: libFuzzer reads
 * along in memcmp() and would learn a genuine packet there.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_rtp.c crypto/X.c ... -lcrypto
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "crypto/rtp_cipher.h"
#include "crypto/seed_stream.h"

#define PACKET_MAX 4096
#define P_BIT 0x20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void open_hostile(struct rtp_cipher *cipher, const uint8_t *bytes, size_t len, bool mac)
{
	uint8_t *packet = malloc(len ? len : 1);
	size_t clear_len;

	require(packet != NULL);
	if (len > 0)
		memcpy(packet, bytes, len);
	clear_len = rtp_open(cipher, packet, len);
	require(clear_len <= len && (clear_len == 0 || !mac));
	require(clear_len > 0 || len == 0 || memcmp(packet, bytes, len) == 0);
	free(packet);
}

static void seal_and_open(struct rtp_cipher *cipher, const uint8_t *bytes, size_t len)
{
	uint8_t *packet = malloc(len + RTP_SEAL_EXTRA_MAX);
	size_t sealed_len, clear_len;

	require(packet != NULL);
	memcpy(packet, bytes, len);
	sealed_len = rtp_seal(cipher, packet, len);
	require(sealed_len <= len + RTP_SEAL_EXTRA_MAX);
	if (sealed_len == 0) {
		require(memcmp(packet, bytes, len) == 0);
	} else {
		clear_len = rtp_open(cipher, packet, sealed_len);
		require(clear_len > 0 && clear_len <= len && packet[0] == (bytes[0] & ~P_BIT));
		require(memcmp(packet + 1, bytes + 1, clear_len - 1) == 0);
		require(clear_len == len || (bytes[0] & P_BIT));
	}
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t flags = size > 0 ? data[0] : 0;
	const bool mac = flags & 1;
	static struct crypto *crypto; /* made once: it costs more than a run, and keeps nothing from one to the next */
	char label[16];
	struct seed_stream stream;
	const struct random_source random = { seed_stream_fill, &stream };
	struct rtp_cipher *cipher;
	struct secure_module *sm;

	if (!crypto)
		crypto = crypto_new();
	require(crypto != NULL);
	snprintf(label, sizeof label, "fuzz_rtp %02x", flags);
	seed_stream_init(&stream, label);
	sm = sm_new(crypto, "fuzz", &random);
	cipher = rtp_cipher_new(sm, sm_generate_des3(sm, "subkey"), LABEL_RTP, ESP_UP, "", mac);
	if (size > 1 && size <= PACKET_MAX) {
		if (flags & 2)
			seal_and_open(cipher, data + 1, size - 1);
		else
			open_hostile(cipher, data + 1, size - 1, mac);
	}
	rtp_cipher_free(cipher);
	sm_free(sm);
	return 0;
}

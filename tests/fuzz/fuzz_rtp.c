/*
 * Fuzzing of the RTP cipher: rtp_open() on hostile bytes, and rtp_seal() then rtp_open() on whatever the input calls
 * a packet; and of the decoder of RTP headers.
 *
 * Input: one byte (bit 0: MAC, bit 1: seal first), then a packet. What must hold: what is refused is as it was; a
 * clear packet is not longer than the sealed one; what was sealed opens to the same bytes, but for padding; nothing
 * else passes the MAC. The key follows from the first byte, so that hostile packets meet a key under which nothing
 * was ever sealed: libFuzzer reads along in memcmp() and would learn a genuine packet there.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_rtp.c crypto/X.c ... -lcrypto
 */
#include "crypto/derive.h"
#include "crypto/rtp_cipher.h"
#include "crypto/seed_stream.h"
#include "models/wire/rtp.h"
#include "tests/fuzz/fuzz.h"

#define PACKET_MAX 4096
#define P_BIT 0x20

static void open_hostile(struct rtp_cipher *cipher, const uint8_t *bytes, size_t len, bool mac)
{
	uint8_t *packet = malloc(len ? len : 1);
	size_t clear_len;

	fuzz_require(packet != NULL);
	if (len > 0)
		memcpy(packet, bytes, len);
	clear_len = rtp_open(cipher, packet, len);
	fuzz_require(clear_len <= len && (clear_len == 0 || !mac));
	fuzz_require(clear_len > 0 || len == 0 || memcmp(packet, bytes, len) == 0);
	free(packet);
}

static void seal_and_open(struct rtp_cipher *cipher, const uint8_t *bytes, size_t len)
{
	uint8_t *packet = malloc(len + RTP_SEAL_EXTRA_MAX);
	size_t sealed_len, clear_len;

	fuzz_require(packet != NULL);
	memcpy(packet, bytes, len);
	sealed_len = rtp_seal(cipher, packet, len);
	fuzz_require(sealed_len <= len + RTP_SEAL_EXTRA_MAX);
	if (sealed_len == 0) {
		fuzz_require(memcmp(packet, bytes, len) == 0);
	} else {
		clear_len = rtp_open(cipher, packet, sealed_len);
		fuzz_require(clear_len > 0 && clear_len <= len && packet[0] == (bytes[0] & ~P_BIT));
		fuzz_require(memcmp(packet + 1, bytes + 1, clear_len - 1) == 0);
		fuzz_require(clear_len == len || (bytes[0] & P_BIT));
	}
	free(packet);
}

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && strlen(value) < 16 && class_ >= 0 && class_ <= 2);
}

static void decode(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = fuzz_exact(bytes, len), again[RTP_HEADER_LEN];
	struct rtp_header header, same;
	size_t at;

	rtp_describe(exact, len, take_field, NULL);
	if (rtp_parse(exact, len, &header, &at)) {
		fuzz_require(at >= RTP_HEADER_LEN && at <= len);
		rtp_write(again, &header);
		fuzz_require(rtp_parse(again, sizeof again, &same, &at) && at == RTP_HEADER_LEN);
		fuzz_require(same.marker == header.marker && same.payload_type == header.payload_type);
		fuzz_require(same.sequence == header.sequence && same.timestamp == header.timestamp &&
		             same.ssrc == header.ssrc);
	}
	free(exact);
}

/* The crypto context is made once: it costs more than a run, and keeps nothing from one to the next. */
static struct crypto *crypto;

static void end_crypto(void)
{
	crypto_free(crypto);
}

struct party {
	struct seed_stream stream;
	struct secure_module *sm;
	struct rtp_cipher *cipher;
};

static void party_init(struct party *party, const char *label, bool mac)
{
	const struct random_source random = { seed_stream_fill, &party->stream };

	if (!crypto) {
		crypto = crypto_new();
		fuzz_require(crypto != NULL && atexit(end_crypto) == 0);
	}
	seed_stream_init(&party->stream, label);
	party->sm = sm_new(crypto, "fuzz", &random);
	party->cipher = rtp_cipher_new(party->sm, sm_generate_des3(party->sm, "subkey"), LABEL_RTP, ESP_UP, "", mac);
}

static void party_free(struct party *party)
{
	rtp_cipher_free(party->cipher);
	sm_free(party->sm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t flags = size > 0 ? data[0] : 0;
	const bool mac = flags & 1;
	char label[16];
	struct party party;

	if (size < 2 || size > PACKET_MAX)
		return 0;
	decode(data + 1, size - 1);
	snprintf(label, sizeof label, "fuzz_rtp %02x", flags);
	party_init(&party, label, mac);
	if (flags & 2)
		seal_and_open(party.cipher, data + 1, size - 1);
	else
		open_hostile(party.cipher, data + 1, size - 1, mac);
	party_free(&party);
	return 0;
}

/* A packet of 20 ms, in clear and (for the open ones, under a key that no input's flags give) sealed. */
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	const struct rtp_header header = {
		.marker = nth & 1, .payload_type = 8, .sequence = 65535, .timestamp = 4000000000u, .ssrc = 0xdeadbeef
	};
	uint8_t packet[RTP_HEADER_LEN + RTP_PAYLOAD_LEN + RTP_SEAL_EXTRA_MAX];
	size_t len = RTP_HEADER_LEN + RTP_PAYLOAD_LEN;
	struct party party;

	if (nth > 3)
		return 0;
	rtp_write(packet, &header);
	memset(packet + RTP_HEADER_LEN, 0xd5, RTP_PAYLOAD_LEN);
	if (!(nth & 2)) {
		party_init(&party, "fuzz_rtp seed", nth & 1);
		len = rtp_seal(party.cipher, packet, len);
		party_free(&party);
	}
	return fuzz_seed((uint8_t)nth, packet, len, out, size);
}

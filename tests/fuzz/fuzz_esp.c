/*
 * Fuzzing of esp_open(): hostile packets, and real ones that the input changes.
 *
 * Input: one byte of options, then either a packet as it stands (bit 7 of that byte clear) or pairs of bytes
 * (position, XOR) by which a packet just sealed is changed. What must hold: a packet that is refused is as it was;
 * with authentication nothing is accepted but what was sealed, unchanged and once. The key follows from the first
 * byte, so that hostile packets meet a key under which nothing was ever sealed: libFuzzer reads along in memcmp() and
 * would learn a genuine packet there.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_esp.c crypto/X.c ... -lcrypto
 */
#include "crypto/derive.h"
#include "crypto/esp.h"
#include "crypto/seed_stream.h"
#include "tests/fuzz/fuzz.h"

#define SPI 0x1000u
#define PAYLOAD_LEN 40
#define ROOM (ESP_FRONT_MAX + PAYLOAD_LEN + ESP_BACK_MAX)

/* Opens a copy in memory of exactly the packet's size, so that a read behind it shows; twice, for replay. */
static void open_both(struct esp_sa *in, const uint8_t *bytes, size_t len, bool forged, bool auth, bool window)
{
	for (int turn = 0; turn < 2; turn++) {
		uint8_t *packet = malloc(len ? len : 1), *start = NULL, next_header = 0;
		size_t clear_len = 0;
		enum esp_verdict verdict;

		fuzz_require(packet != NULL);
		if (len > 0)
			memcpy(packet, bytes, len);
		verdict = esp_open(in, packet, len, &start, &clear_len, &next_header);
		if (verdict != ESP_OK) {
			fuzz_require(len == 0 || memcmp(packet, bytes, len) == 0);
			fuzz_require(forged || (turn == 1 && window && verdict == ESP_REPLAYED));
		} else {
			fuzz_require(start >= packet && start + clear_len <= packet + len);
			fuzz_require(!forged || !auth);
			fuzz_require(turn == 0 || !window);
		}
		free(packet);
	}
}

/* The crypto context is made once: it costs more than a run, and keeps nothing from one to the next. */
static struct crypto *crypto;

static void end_crypto(void)
{
	crypto_free(crypto);
}

static struct crypto *the_crypto(void)
{
	if (!crypto) {
		crypto = crypto_new();
		fuzz_require(crypto != NULL && atexit(end_crypto) == 0);
	}
	return crypto;
}

static struct esp_options options_of(uint8_t flags)
{
	return (struct esp_options){ .implicit_iv = flags & 1,
		                     .no_auth = flags & 2,
		                     .no_replay_window = flags & 4,
		                     .no_start_sn_limit = flags & 8 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t flags = size > 0 ? data[0] : 0;
	const struct esp_options options = options_of(flags);
	char label[16];
	struct seed_stream stream;
	const struct random_source random = { seed_stream_fill, &stream };
	uint8_t room[ROOM] = { 0 }, sealed[ROOM], *start;
	struct secure_module *sm;
	struct esp_sa *out, *in;
	key_handle subkey;
	size_t len;

	snprintf(label, sizeof label, "fuzz_esp %02x", flags);
	seed_stream_init(&stream, label);
	sm = sm_new(the_crypto(), "fuzz", &random);
	subkey = sm_generate_des3(sm, "subkey");
	out = esp_sa_new(sm, subkey, LABEL_CTA_SC, ESP_UP, SPI, "", &options);
	in = esp_sa_new(sm, subkey, LABEL_CTA_SC, ESP_UP, SPI, "", &options);
	if (!(flags & 0x80)) {
		open_both(in, size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0, true, !options.no_auth,
		          !options.no_replay_window);
	} else {
		fuzz_require(esp_seal(out, room + ESP_FRONT_MAX, flags >> 4 & 7, 17, &start, &len) == ESP_OK);
		memcpy(sealed, start, len);
		for (size_t i = 1; i + 1 < size; i += 2)
			start[data[i] % len] ^= data[i + 1];
		open_both(in, start, len, memcmp(start, sealed, len) != 0, !options.no_auth,
		          !options.no_replay_window);
	}
	esp_sa_free(in);
	esp_sa_free(out);
	sm_free(sm);
	return 0;
}

/* A packet as an association with these options seals it, under a key that no input's flags give. */
static size_t sealed_packet(uint8_t flags, uint8_t *bytes)
{
	const struct esp_options options = options_of(flags);
	struct seed_stream stream;
	const struct random_source random = { seed_stream_fill, &stream };
	uint8_t room[ROOM] = { 0 }, *start;
	struct secure_module *sm;
	struct esp_sa *sa;
	size_t len;

	seed_stream_init(&stream, "fuzz_esp seed");
	sm = sm_new(the_crypto(), "fuzz", &random);
	sa = esp_sa_new(sm, sm_generate_des3(sm, "subkey"), LABEL_CTA_SC, ESP_UP, SPI, "", &options);
	fuzz_require(esp_seal(sa, room + ESP_FRONT_MAX, PAYLOAD_LEN, 17, &start, &len) == ESP_OK);
	memcpy(bytes, start, len);
	esp_sa_free(sa);
	sm_free(sm);
	return len;
}

/* For each set of options: a packet of another key, a genuine one, a genuine one with a change. */
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	const uint8_t flags = nth % 16, change[] = { 9, 1, 3, 0x80 };
	uint8_t packet[ROOM];

	switch (nth / 16) {
	case 0:
		return fuzz_seed(flags, packet, sealed_packet(flags, packet), out, size);
	case 1:
		out[0] = (uint8_t)(0x80 | flags | (nth & 7) << 4);
		return 1;
	case 2:
		return fuzz_seed(0x80 | flags, change, sizeof change, out, size);
	default:
		return 0;
	}
}

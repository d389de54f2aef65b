/*
 * What ESP costs beyond its cryptography: 200-byte payloads sealed and opened, against the same bytes through bare EVP.
 *
 * The floor is the cheapest this machine's libcrypto does: a kept cipher context (IV set, then one EVP_CipherUpdate) and an
 * HMAC from kept, keyed hash states; the same number of bytes each way, nothing else. Both are timed in alternating rounds
 * and the best round of each counts, so that another program on the machine disturbs neither alone.
 *
 *   make build/tests/bench/bench_esp, or by hand: link with libcrypto.a of the build and -lcrypto
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/evp.h>
#include "crypto/esp.h"
#include "crypto/seed_stream.h"

#define PAYLOAD_LEN 200
#define TEXT_LEN 208    /* with padding, its length and the next header */
#define COVERED_LEN 224 /* with ESP header and IV */
#define ROUND_PACKETS 20000
#define ROUNDS 15
#define GOAL 0.95

static const uint8_t key[24] = "\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23";

static void require(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench_esp: %s failed\n", what);
		exit(3);
	}
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct floor {
	EVP_CIPHER_CTX *encrypt, *decrypt;
	EVP_MD_CTX *inner, *outer, *work;
};

static void floor_init(struct floor *f)
{
	uint8_t pad[64];

	*f = (struct floor){ EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_new(), EVP_MD_CTX_new(), EVP_MD_CTX_new(), EVP_MD_CTX_new() };
	require(EVP_CipherInit_ex2(f->encrypt, EVP_des_ede3_cbc(), key, key, 1, NULL), "3DES");
	require(EVP_CipherInit_ex2(f->decrypt, EVP_des_ede3_cbc(), key, key, 0, NULL), "3DES");
	EVP_CIPHER_CTX_set_padding(f->encrypt, 0);
	EVP_CIPHER_CTX_set_padding(f->decrypt, 0);
	memset(pad, 0x36, sizeof pad);
	require(EVP_DigestInit_ex2(f->inner, EVP_sha1(), NULL) && EVP_DigestUpdate(f->inner, pad, sizeof pad), "SHA-1");
	memset(pad, 0x5c, sizeof pad);
	require(EVP_DigestInit_ex2(f->outer, EVP_sha1(), NULL) && EVP_DigestUpdate(f->outer, pad, sizeof pad), "SHA-1");
}

static void floor_free(struct floor *f)
{
	EVP_CIPHER_CTX_free(f->encrypt);
	EVP_CIPHER_CTX_free(f->decrypt);
	EVP_MD_CTX_free(f->inner);
	EVP_MD_CTX_free(f->outer);
	EVP_MD_CTX_free(f->work);
}

static void floor_mac(struct floor *f, const uint8_t *bytes, uint8_t out[20])
{
	require(EVP_MD_CTX_copy_ex(f->work, f->inner) && EVP_DigestUpdate(f->work, bytes, COVERED_LEN) &&
	        EVP_DigestFinal_ex(f->work, out, NULL) && EVP_MD_CTX_copy_ex(f->work, f->outer) &&
	        EVP_DigestUpdate(f->work, out, 20) && EVP_DigestFinal_ex(f->work, out, NULL), "HMAC");
}

static double floor_round(struct floor *f, uint8_t *bytes)
{
	double begin = now_s();
	uint8_t hash[20];
	int len;

	for (int i = 0; i < ROUND_PACKETS; i++) {
		require(EVP_CipherInit_ex2(f->encrypt, NULL, NULL, key, 1, NULL) &&
		        EVP_CipherUpdate(f->encrypt, bytes, &len, bytes, TEXT_LEN), "3DES");
		floor_mac(f, bytes, hash);
		floor_mac(f, bytes, hash);
		require(EVP_CipherInit_ex2(f->decrypt, NULL, NULL, key, 0, NULL) &&
		        EVP_CipherUpdate(f->decrypt, bytes, &len, bytes, TEXT_LEN), "3DES");
	}
	return now_s() - begin;
}

static double our_round(struct esp_sa *out, struct esp_sa *in, uint8_t *room)
{
	double begin = now_s();

	for (int i = 0; i < ROUND_PACKETS; i++) {
		uint8_t *start, next_header;
		size_t len;

		require(esp_seal(out, room + ESP_FRONT_MAX, PAYLOAD_LEN, 17, &start, &len) == ESP_OK, "esp_seal");
		require(esp_open(in, start, len, &start, &len, &next_header) == ESP_OK && len == PAYLOAD_LEN, "esp_open");
	}
	return now_s() - begin;
}

int main(void)
{
	struct crypto *crypto = crypto_new();
	struct seed_stream stream;
	const struct random_source random = { seed_stream_fill, &stream };
	const struct esp_options options = { 0 };
	uint8_t room[ESP_FRONT_MAX + PAYLOAD_LEN + ESP_BACK_MAX] = { 0 }, bytes[COVERED_LEN] = { 0 };
	double ours = 1e9, bare = 1e9;
	struct secure_module *sm;
	struct esp_sa *out, *in;
	struct floor f;
	key_handle subkey;

	require(crypto != NULL, "crypto_new");
	seed_stream_init(&stream, "bench_esp");
	sm = sm_new(crypto, "bench", &random);
	subkey = sm_generate_des3(sm, "subkey");
	out = esp_sa_new(sm, subkey, "CTA-SC signaling", ESP_UP, 0x1000, "", &options);
	in = esp_sa_new(sm, subkey, "CTA-SC signaling", ESP_UP, 0x1000, "", &options);
	floor_init(&f);
	for (int i = 0; i < ROUNDS; i++) {
		double t = floor_round(&f, bytes);

		bare = t < bare ? t : bare;
		t = our_round(out, in, room);
		ours = t < ours ? t : ours;
	}
	printf("esp ours=%.1fk/s floor=%.1fk/s ratio=%.3f (to reach %.2f)\n", ROUND_PACKETS / ours / 1e3,
	       ROUND_PACKETS / bare / 1e3, bare / ours, GOAL);
	floor_free(&f);
	esp_sa_free(out);
	esp_sa_free(in);
	sm_free(sm);
	crypto_free(crypto);
	return bare / ours >= GOAL ? 0 : 1;
}

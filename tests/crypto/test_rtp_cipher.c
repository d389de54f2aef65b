/*
 * RTP encryption: padding by the P bit, round trips, what an independent decryption sees, hostile packets, and the two
 * weaknesses the patent's form has (attacks R1 and R2). RFC 3550 section 9.1.
 */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "crypto/derive.h"
#include "crypto/rtp_cipher.h"
#include "tests/crypto/fixture.h"

#define RTP_LEN 172 /* G.711, 20 ms */
#define LEN_MAX 400
#define MAC_LEN 12

static const uint8_t subkey_bytes[24] = "a sub-key for voice only";

struct pair {
	struct fixture near;
	struct fixture_party far;
	struct rtp_cipher *out, *in;
	struct derived_direction keys;
};

static struct rtp_cipher *cipher_new(struct secure_module *sm, enum esp_direction direction, bool mac)
{
	key_handle key = sm_install_des3(sm, "subkey", "", subkey_bytes);
	struct rtp_cipher *cipher = rtp_cipher_new(sm, key, LABEL_RTP, direction, "10.1.0.2:5004 10.2.0.2:5004", mac);

	ck_assert_ptr_nonnull(cipher);
	sm_destroy_key(sm, key);
	return cipher;
}

static void pair_init(struct pair *p, bool mac)
{
	struct derived_keys keys;

	fixture_init(&p->near, "near");
	fixture_party_init(&p->far, p->near.crypto, "far");
	p->out = cipher_new(p->near.sm, ESP_UP, mac);
	p->in = cipher_new(p->far.sm, ESP_UP, mac);
	derive_keys(subkey_bytes, 24, LABEL_RTP, &keys);
	p->keys = keys.up;
}

static void pair_free(struct pair *p)
{
	rtp_cipher_free(p->out);
	rtp_cipher_free(p->in);
	fixture_party_free(&p->far);
	fixture_free(&p->near);
}

/* An RTP packet of PCMU without padding. */
static void rtp_packet(uint8_t *packet, size_t len, uint16_t sequence)
{
	static const uint8_t header[12] = { 0x80, 0, 0, 0, 0, 0, 0x10, 0, 0xde, 0xad, 0xbe, 0xef };

	memcpy(packet, header, 12);
	packet[2] = (uint8_t)(sequence >> 8);
	packet[3] = (uint8_t)sequence;
	for (size_t i = 12; i < len; i++)
		packet[i] = (uint8_t)(i * 31 + sequence);
}

static void des3(const uint8_t key[24], bool encrypt, const uint8_t *in, size_t len, uint8_t *out)
{
	static const uint8_t zero[8];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;

	ck_assert(EVP_CipherInit_ex(ctx, EVP_des_ede3_cbc(), NULL, key, zero, encrypt));
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	ck_assert(EVP_CipherUpdate(ctx, out, &done, in, (int)len) && (size_t)done == len);
	EVP_CIPHER_CTX_free(ctx);
}

START_TEST(round_trip)
{
	struct pair p;

	pair_init(&p, _i);
	for (size_t len = 12; len <= LEN_MAX; len++) {
		uint8_t clear[LEN_MAX], packet[LEN_MAX + RTP_SEAL_EXTRA_MAX];
		size_t sealed;

		rtp_packet(clear, len, (uint16_t)len);
		memcpy(packet, clear, len);
		sealed = rtp_seal(p.out, packet, len);
		ck_assert_uint_eq(sealed, (len + (_i ? MAC_LEN : 0) + 7) / 8 * 8);
		ck_assert_mem_ne(packet, clear, 8);
		ck_assert_uint_eq(rtp_open(p.in, packet, sealed), len);
		ck_assert_mem_eq(packet, clear, len);
	}
	pair_free(&p);
}
END_TEST

/* What somebody else's decryption shows: a valid RTP packet, padded by the book, and behind it the MAC. */
START_TEST(sealed_as_the_rfc_says)
{
	uint8_t clear[LEN_MAX], packet[LEN_MAX], seen[LEN_MAX], hash[20];
	struct pair p;
	size_t sealed;

	pair_init(&p, _i);
	rtp_packet(clear, RTP_LEN, 7);
	memcpy(packet, clear, RTP_LEN);
	sealed = rtp_seal(p.out, packet, RTP_LEN);
	des3(p.keys.cipher_key, false, packet, sealed, seen);
	if (_i) { /* 172 + 12 is a multiple of 8: no padding, P unchanged */
		ck_assert_uint_eq(sealed, 184);
		ck_assert_mem_eq(seen, clear, RTP_LEN);
		ck_assert_ptr_nonnull(HMAC(EVP_sha1(), p.keys.auth_key, 20, clear, RTP_LEN, hash, NULL));
		ck_assert_mem_eq(seen + RTP_LEN, hash, MAC_LEN);
	} else {
		ck_assert_uint_eq(sealed, 176);
		ck_assert_uint_eq(seen[0], 0xa0);
		ck_assert_mem_eq(seen + 1, clear + 1, RTP_LEN - 1);
		ck_assert_uint_eq(seen[175], 4);
	}
	pair_free(&p);
}
END_TEST

/* Length a multiple of the block: nothing added, P stays 0. */
START_TEST(no_needless_padding)
{
	uint8_t packet[LEN_MAX], seen[LEN_MAX];
	struct pair p;

	pair_init(&p, false);
	rtp_packet(packet, 176, 1);
	ck_assert_uint_eq(rtp_seal(p.out, packet, 176), 176);
	des3(p.keys.cipher_key, false, packet, 176, seen);
	ck_assert_uint_eq(seen[0], 0x80);
	ck_assert_uint_eq(rtp_open(p.in, packet, 176), 176);
	pair_free(&p);
}
END_TEST

/* A packet that brings padding of its own loses it. */
START_TEST(own_padding)
{
	uint8_t clear[LEN_MAX], packet[LEN_MAX + RTP_SEAL_EXTRA_MAX];
	struct pair p;
	size_t sealed;

	pair_init(&p, _i);
	rtp_packet(clear, 50, 1);
	memcpy(packet, clear, 50);
	packet[0] |= 0x20;
	memset(packet + 50, 0, 200);
	packet[249] = 200;
	sealed = rtp_seal(p.out, packet, 250);
	ck_assert_uint_eq(sealed, _i ? 64 : 56);
	ck_assert_uint_eq(rtp_open(p.in, packet, sealed), 50);
	ck_assert_mem_eq(packet, clear, 50);
	pair_free(&p);
}
END_TEST

START_TEST(not_rtp)
{
	uint8_t packet[64 + RTP_SEAL_EXTRA_MAX], copy[64];
	struct pair p;

	pair_init(&p, _i);
	for (int c = 0; c < 6; c++) {
		size_t len = c == 0 ? 11 : 60;

		rtp_packet(packet, 60, 1);
		switch (c) {
		case 1: packet[0] = 0x40; break;                      /* version 1 */
		case 2: packet[0] = 0x8f; len = 71 - 12; break;       /* 15 CSRCs need 72 bytes */
		case 3: packet[0] = 0xa0; packet[59] = 0; break;      /* padding of 0 bytes */
		case 4: packet[0] = 0xa0; packet[59] = 49; break;     /* padding reaches into the header */
		case 5: packet[0] = 0xa2; packet[59] = 41; break;     /* ... into the CSRCs */
		}
		memcpy(copy, packet, len);
		ck_assert_msg(rtp_seal(p.out, packet, len) == 0, "case %d", c);
		ck_assert_mem_eq(packet, copy, len);
	}
	pair_free(&p);
}
END_TEST

/* The same seen by the receiver, from a peer that holds the keys. The bytes stay as they were. */
START_TEST(refused)
{
	static const struct { uint8_t first, last; bool good; } cases[] = {
		{ 0x80, 0xff, true }, { 0x40, 4, false }, { 0x00, 4, false }, { 0xc0, 4, false }, { 0xa0, 0, false },
		{ 0xa0, 1, true }, { 0xa0, 52, true }, { 0xa0, 53, false }, { 0xa0, 255, false }, { 0x8d, 0, true },
		{ 0x8e, 0, false }, { 0xad, 1, false }, { 0xac, 4, true }, { 0xac, 5, false },
	};
	struct pair p;

	pair_init(&p, false);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t clear[64], packet[64], copy[64];
		size_t len;

		rtp_packet(clear, 64, 1);
		clear[0] = cases[i].first;
		clear[63] = cases[i].last;
		des3(p.keys.cipher_key, true, clear, 64, packet);
		memcpy(copy, packet, 64);
		len = rtp_open(p.in, packet, 64);
		ck_assert_msg((len > 0) == cases[i].good, "case %zu: %zu", i, len);
		if (len > 0)
			ck_assert_uint_eq(len, cases[i].first & 0x20 ? 64u - cases[i].last : 64u);
		else
			ck_assert_mem_eq(packet, copy, 64);
	}
	pair_free(&p);
}
END_TEST

START_TEST(impossible_lengths)
{
	struct pair p;

	pair_init(&p, _i);
	for (size_t len = 0; len < 64; len++) {
		uint8_t *packet = calloc(1, len ? len : 1);

		if (len % 8 || len < (_i ? 24 : 12))
			ck_assert_uint_eq(rtp_open(p.in, packet, len), 0);
		else if (_i)
			ck_assert_uint_eq(rtp_open(p.in, packet, len), 0); /* zeros bear no MAC */
		free(packet);
	}
	pair_free(&p);
}
END_TEST

START_TEST(tampering_with_mac)
{
	uint8_t packet[LEN_MAX], copy[LEN_MAX];
	struct pair p;
	size_t len;

	pair_init(&p, true);
	rtp_packet(packet, RTP_LEN, 9);
	len = rtp_seal(p.out, packet, RTP_LEN);
	for (size_t i = 0; i < len; i++) {
		packet[i] ^= 0x10;
		memcpy(copy, packet, len);
		ck_assert_msg(rtp_open(p.in, packet, len) == 0, "byte %zu", i);
		ck_assert_mem_eq(packet, copy, len);
		packet[i] ^= 0x10;
	}
	ck_assert_uint_eq(rtp_open(p.in, packet, len - 8), 0);
	ck_assert_uint_eq(rtp_open(p.in, packet, len), RTP_LEN);
	pair_free(&p);
}
END_TEST

/* Attack R2: from the third block on, old audio in a new packet. Without MAC it plays, with MAC it does not. */
START_TEST(splice)
{
	uint8_t old[LEN_MAX], fresh[LEN_MAX], spoken[LEN_MAX];
	struct pair p;
	size_t len, old_len;

	pair_init(&p, _i);
	rtp_packet(old, RTP_LEN, 1);
	memcpy(spoken, old, RTP_LEN);
	old_len = rtp_seal(p.out, old, RTP_LEN);
	rtp_packet(fresh, RTP_LEN, 200);
	len = rtp_seal(p.out, fresh, RTP_LEN);
	ck_assert_uint_eq(len, old_len);
	memcpy(fresh + 16, old + 16, len - 16);
	if (_i) {
		ck_assert_uint_eq(rtp_open(p.in, fresh, len), 0);
	} else {
		ck_assert_uint_eq(rtp_open(p.in, fresh, len), RTP_LEN);
		ck_assert_uint_eq(fresh[3], 200); /* a new packet ... */
		ck_assert_mem_eq(fresh + 24, spoken + 24, RTP_LEN - 24); /* ... with old words, but for one block */
	}
	pair_free(&p);
}
END_TEST

/* Attack R1: IV 0 and one key give equal blocks for equal beginnings. */
START_TEST(equal_beginnings_show)
{
	uint8_t a[LEN_MAX], b[LEN_MAX];
	struct pair p;

	pair_init(&p, false);
	rtp_packet(a, RTP_LEN, 1);
	rtp_packet(b, RTP_LEN, 1);
	b[100] ^= 1;
	rtp_seal(p.out, a, RTP_LEN);
	rtp_seal(p.out, b, RTP_LEN);
	ck_assert_mem_eq(a, b, 96);
	ck_assert_mem_ne(a + 96, b + 96, 8);
	pair_free(&p);
}
END_TEST

START_TEST(directions_differ)
{
	uint8_t up[LEN_MAX], down[LEN_MAX];
	struct rtp_cipher *back;
	struct pair p;

	pair_init(&p, true);
	back = cipher_new(p.near.sm, ESP_DOWN, true);
	rtp_packet(up, RTP_LEN, 1);
	rtp_packet(down, RTP_LEN, 1);
	rtp_seal(p.out, up, RTP_LEN);
	ck_assert_uint_eq(rtp_seal(back, down, RTP_LEN), 184);
	ck_assert_mem_ne(up, down, 8);
	ck_assert_uint_eq(rtp_open(p.in, down, 184), 0);
	rtp_cipher_free(back);
	pair_free(&p);
}
END_TEST

struct told {
	unsigned born, dead;
	char roles[64];
	unsigned ops[CRYPTO_OP_COUNT];
	uint32_t bytes[CRYPTO_OP_COUNT];
};

static void on_key(void *ctx, const struct key_news *news)
{
	struct told *told = ctx;

	if (strncmp(news->role, "rtp.", 4) != 0)
		return;
	ck_assert_str_eq(news->context, "10.1.0.2:5004 10.2.0.2:5004");
	told->born += news->life == KEY_LIFE_BORN;
	told->dead += news->life == KEY_LIFE_DEAD;
	if (news->life == KEY_LIFE_BORN) {
		strcat(told->roles, news->role);
		strcat(told->roles, " ");
	}
}

static void on_op(void *ctx, enum crypto_op op, uint32_t size)
{
	struct told *told = ctx;

	told->ops[op]++;
	told->bytes[op] += size;
}

START_TEST(told_and_metered)
{
	struct told told = { .born = 0 };
	struct rtp_cipher *cipher;
	uint8_t packet[LEN_MAX];
	struct fixture f;
	size_t len;

	fixture_init(&f, "told");
	crypto_set_key_watcher(f.crypto, on_key, &told);
	cipher = cipher_new(f.sm, ESP_UP, _i);
	ck_assert_str_eq(told.roles, _i ? "rtp.cipher rtp.auth " : "rtp.cipher ");
	crypto_set_meter(f.crypto, on_op, &told);
	rtp_packet(packet, RTP_LEN, 1);
	len = rtp_seal(cipher, packet, RTP_LEN);
	ck_assert_uint_eq(rtp_open(cipher, packet, len), RTP_LEN);
	ck_assert(told.ops[CRYPTO_DES3] == 2 && told.bytes[CRYPTO_DES3] == 2 * len);
	ck_assert_uint_eq(told.bytes[CRYPTO_HMAC_SHA1], _i ? 2 * RTP_LEN : 0);
	crypto_set_meter(f.crypto, NULL, NULL);
	rtp_cipher_free(cipher);
	rtp_cipher_free(NULL);
	ck_assert(told.born == told.dead && told.dead == (_i ? 2 : 1));
	ck_assert_ptr_null(rtp_cipher_new(f.sm, 99, LABEL_RTP, ESP_UP, "", _i));
	fixture_free(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rtp_cipher");
	TCase *tcase = tcase_create("rtp_cipher");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, round_trip, 0, 2);
	tcase_add_loop_test(tcase, sealed_as_the_rfc_says, 0, 2);
	tcase_add_test(tcase, no_needless_padding);
	tcase_add_loop_test(tcase, own_padding, 0, 2);
	tcase_add_loop_test(tcase, not_rtp, 0, 2);
	tcase_add_test(tcase, refused);
	tcase_add_loop_test(tcase, impossible_lengths, 0, 2);
	tcase_add_test(tcase, tampering_with_mac);
	tcase_add_loop_test(tcase, splice, 0, 2);
	tcase_add_test(tcase, equal_beginnings_show);
	tcase_add_test(tcase, directions_differ);
	tcase_add_loop_test(tcase, told_and_metered, 0, 2);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

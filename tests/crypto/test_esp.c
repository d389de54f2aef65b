/*
 * ESP: published vectors for its parts, an independent construction of whole packets, the replay window's truth table,
 * tampering, limits, key news and metering. RFC 2406, 2451, 2404, 2202.
 */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "crypto/derive.h"
#include "crypto/esp.h"
#include "crypto/transform.h"
#include "tests/crypto/fixture.h"

#define SPI 0x1234abcdu
#define LEN_MAX 1500
#define ROOM (ESP_FRONT_MAX + LEN_MAX + ESP_BACK_MAX)

static const struct esp_options plain_options;
static const uint8_t subkey_bytes[24] = "a sub-key of 24 bytes...";
/* Found by trying: the upward start under LABEL_CTA_SC is 0xffffff6f. */
static const uint8_t late_subkey_bytes[24] = "sub-key close to 1511086";
#define LATE_START_SN 0xffffff6fu

/* A pair of associations over one sub-key; the receiver has a module of its own. */
struct pair {
	struct fixture near;
	struct fixture_party far;
	struct esp_sa *out, *in;
	struct derived_direction keys; /* what an independent implementation would use */
};

static struct esp_sa *sa_new(struct secure_module *sm, const uint8_t subkey[24], enum esp_direction direction,
                             const struct esp_options *options)
{
	key_handle key = sm_install_des3(sm, "subkey", "", subkey);
	struct esp_sa *sa = esp_sa_new(sm, key, LABEL_CTA_SC, direction, SPI, "10.1.0.2 10.9.0.5 0x1234abcd", options);

	ck_assert_ptr_nonnull(sa);
	sm_destroy_key(sm, key); /* the association does not need it any more */
	return sa;
}

static void pair_init(struct pair *p, const uint8_t subkey[24], const struct esp_options *options)
{
	struct derived_keys keys;

	fixture_init(&p->near, "near");
	fixture_party_init(&p->far, p->near.crypto, "far");
	p->out = sa_new(p->near.sm, subkey, ESP_UP, options);
	p->in = sa_new(p->far.sm, subkey, ESP_UP, options);
	derive_keys(subkey, 24, LABEL_CTA_SC, &keys);
	p->keys = keys.up;
}

static void pair_free(struct pair *p)
{
	esp_sa_free(p->out);
	esp_sa_free(p->in);
	fixture_party_free(&p->far);
	fixture_free(&p->near);
}

static void fill_pattern(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + len);
}

static void be32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* 3DES-CBC by a fresh context of OpenSSL's default library context. */
static void des3(const uint8_t key[24], const uint8_t *iv, bool encrypt, const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;

	ck_assert(EVP_CipherInit_ex(ctx, EVP_des_ede3_cbc(), NULL, key, iv, encrypt));
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	ck_assert(EVP_CipherUpdate(ctx, out, &done, in, (int)len) && (size_t)done == len);
	EVP_CIPHER_CTX_free(ctx);
}

static void icv_of(const uint8_t key[20], const uint8_t *bytes, size_t len, uint8_t out[12])
{
	uint8_t hash[20];

	ck_assert_ptr_nonnull(HMAC(EVP_sha1(), key, 20, bytes, len, hash, NULL));
	memcpy(out, hash, 12);
}

/*
 * An ESP packet as somebody else would make it: text is payload, padding, pad length and next header. Returns its
 * length.
 */
static size_t craft(const struct derived_direction *keys, uint32_t spi, uint32_t sn, const uint8_t iv[8],
                    const uint8_t *text, size_t text_len, bool auth, uint8_t *packet)
{
	size_t len = 16 + text_len;

	be32(packet, spi);
	be32(packet + 4, sn);
	memcpy(packet + 8, iv, 8);
	des3(keys->cipher_key, iv, true, text, text_len, packet + 16);
	if (!auth)
		return len;
	icv_of(keys->auth_key, packet, len, packet + len);
	return len + 12;
}

static enum esp_verdict open_sn(struct pair *p, uint32_t sn)
{
	const uint8_t iv[8] = "ivivivi", text[8] = "abcd\1\2\2";
	uint8_t packet[64], *start, next_header;
	size_t len, packet_len = craft(&p->keys, SPI, sn, iv, text, sizeof text, true, packet);

	return esp_open(p->in, packet, packet_len, &start, &len, &next_header);
}

/* The transform's HMAC against RFC 2202 section 3, the cases with a key of 20 bytes. */
START_TEST(hmac_vectors)
{
	static const struct { uint8_t key, data; size_t len; const char *text; const char *mac; } cases[] = {
		{ 0x0b, 0, 8, "Hi There", "\xb6\x17\x31\x86\x55\x05\x72\x64\xe2\x8b\xc0\xb6" },
		{ 0xaa, 0xdd, 50, NULL, "\x12\x5d\x73\x42\xb9\xac\x11\xcd\x91\xa3\x9a\xf4" },
		{ 0x0c, 0, 20, "Test With Truncation", "\x4c\x1a\x03\x42\x4b\x55\xe0\x7f\xe7\xf2\x7b\xe1" },
	};
	struct fixture f;

	fixture_init(&f, "hmac");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct transform t = { .sm = f.sm, .has_mac = true };
		uint8_t data[64], mac[TRANSFORM_MAC_LEN];

		memset(t.auth_key, cases[i].key, sizeof t.auth_key);
		memset(data, cases[i].data, sizeof data);
		if (cases[i].text)
			memcpy(data, cases[i].text, cases[i].len);
		for (int twice = 0; twice < 2; twice++) { /* from fresh states, then from kept ones */
			transform_mac(&t, data, cases[i].len, mac);
			ck_assert_mem_eq(mac, cases[i].mac, sizeof mac);
		}
		transform_sleep(&t);
	}
	fixture_free(&f);
}
END_TEST

/*
 * The transform's 3DES against the example of NIST SP 800-67 appendix B.1: with IV 0, one block of CBC is one of ECB.
 */
START_TEST(des3_vector)
{
	static const uint8_t key[24] = "\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01"
	                               "\x45\x67\x89\xab\xcd\xef\x01\x23";
	static const uint8_t clear[24] = "The qufck brown fox jump";
	static const uint8_t sealed[24] = "\xa8\x26\xfd\x8c\xe5\x3b\x85\x5f\xcc\xe2\x1c\x81\x12\x25\x6f\xe6"
	                                  "\x68\xd5\xc0\x5d\xd9\xb6\xb9\x00";
	static const uint8_t zero[8];
	struct fixture f;
	struct transform t = { 0 };
	uint8_t bytes[24];

	fixture_init(&f, "3des");
	t.sm = f.sm;
	memcpy(t.cipher_key, key, sizeof key);
	memcpy(bytes, clear, sizeof bytes);
	for (int i = 0; i < 24; i += 8)
		transform_cbc(&t, true, zero, bytes + i, 8);
	ck_assert_mem_eq(bytes, sealed, sizeof sealed);
	for (int i = 0; i < 24; i += 8)
		transform_cbc(&t, false, zero, bytes + i, 8);
	ck_assert_mem_eq(bytes, clear, sizeof clear);
	transform_sleep(&t);
	fixture_free(&f);
}
END_TEST

/* Every length with the options that change a packet's shape; some lengths with those that do not. */
static void round_trips(const struct esp_options *options)
{
	const size_t front = options->implicit_iv ? 8 : 16, back = options->no_auth ? 0 : 12;
	const size_t step = options->no_replay_window || options->no_start_sn_limit ? 13 : 1;
	struct pair p;

	pair_init(&p, subkey_bytes, options);
	for (size_t len = 0; len <= LEN_MAX; len += step) {
		uint8_t room[ROOM], clear[LEN_MAX], *start, next_header = 0;
		size_t sealed_len, open_len;

		fill_pattern(clear, len);
		memcpy(room + ESP_FRONT_MAX, clear, len);
		ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, len, (uint8_t)len, &start, &sealed_len), ESP_OK);
		ck_assert_ptr_eq(start, room + ESP_FRONT_MAX - front);
		ck_assert_uint_eq(sealed_len, front + (len + 2 + 7) / 8 * 8 + back);
		if (len >= 8)
			ck_assert_mem_ne(room + ESP_FRONT_MAX, clear, len);
		if (len % 97 < step) { /* contexts may go at any time */
			esp_sa_sleep(p.out);
			esp_sa_sleep(p.in);
		}
		ck_assert_int_eq(esp_open(p.in, start, sealed_len, &start, &open_len, &next_header), ESP_OK);
		ck_assert_uint_eq(open_len, len);
		ck_assert_mem_eq(start, clear, len);
		ck_assert_uint_eq(next_header, (uint8_t)len);
	}
	pair_free(&p);
}

START_TEST(round_trip)
{
	const struct esp_options options = {
		.implicit_iv = _i & 1, .no_auth = _i & 2, .no_replay_window = _i & 4, .no_start_sn_limit = _i & 8
	};

	round_trips(&options);
}
END_TEST

/* A sealed packet, taken apart by other means. */
START_TEST(sealed_as_the_rfc_says)
{
	const struct esp_options options = { .implicit_iv = _i };
	const size_t front = _i ? 8 : 16;
	const char *payload = "every byte of it"; /* 16 bytes: 6 of padding */
	uint8_t room[ROOM], iv[8], icv[12], text[24], want[8], *start;
	struct pair p;
	size_t len;
	uint32_t sn;

	pair_init(&p, subkey_bytes, &options);
	sn = esp_sa_next_sn(p.out);
	ck_assert_uint_eq(sn, p.keys.start_sn & 0x7fffffff);
	ck_assert_uint_eq(esp_sa_spi(p.out), SPI);
	for (uint32_t n = 0; n < 3; n++) {
		memcpy(room + ESP_FRONT_MAX, payload, 16);
		ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 16, 17, &start, &len), ESP_OK);
		ck_assert_uint_eq(len, front + 24 + 12);
		be32(want, SPI);
		be32(want + 4, sn + n);
		ck_assert_mem_eq(start, want, 8);
		memcpy(iv, _i ? want : start + 8, 8);
		des3(p.keys.cipher_key, iv, false, start + front, 24, text);
		ck_assert_mem_eq(text, payload, 16);
		ck_assert_mem_eq(text + 16, "\1\2\3\4\5\6\6\x11", 8);
		icv_of(p.keys.auth_key, start, len - 12, icv);
		ck_assert_mem_eq(start + len - 12, icv, 12);
		ck_assert_uint_eq(esp_sa_next_sn(p.out), sn + n + 1);
	}
	pair_free(&p);
}
END_TEST

/*
 * The explicit IV is drawn from the module's source: two modules' packets differ, the same module's repeat with its
 * stream.
 */
START_TEST(explicit_iv_is_drawn)
{
	uint8_t first[8], room[ROOM] = { 0 }, *start;
	size_t len;

	for (int i = 0; i < 2; i++) {
		struct pair p;

		pair_init(&p, subkey_bytes, &plain_options);
		ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 4, 17, &start, &len), ESP_OK);
		if (i == 1)
			ck_assert_mem_eq(start + 8, first, 8);
		memcpy(first, start + 8, 8);
		ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 4, 17, &start, &len), ESP_OK);
		ck_assert_mem_ne(start + 8, first, 8);
		ck_assert_int_eq(esp_seal(p.in, room + ESP_FRONT_MAX, 4, 17, &start, &len), ESP_OK);
		ck_assert_mem_ne(start + 8, first, 8);
		pair_free(&p);
	}
}
END_TEST

#define W ESP_REPLAY_WINDOW
struct step {
	uint32_t offset; /* from the derived start */
	bool accepted;
};

static void run_steps(const char *name, const struct step *steps, size_t count)
{
	struct pair p;

	pair_init(&p, subkey_bytes, &plain_options);
	for (size_t i = 0; i < count; i++) {
		enum esp_verdict verdict = open_sn(&p, esp_sa_next_sn(p.out) + steps[i].offset);

		ck_assert_msg(verdict == (steps[i].accepted ? ESP_OK : ESP_REPLAYED), "%s, step %zu (offset %d): %s",
		              name, i, (int)steps[i].offset, esp_verdict_names[verdict]);
	}
	pair_free(&p);
}
#define RUN_STEPS(name, ...) do { \
	static const struct step steps_[] = { __VA_ARGS__ }; \
	run_steps(name, steps_, sizeof steps_ / sizeof *steps_); \
} while (0)

START_TEST(window_truth_table)
{
	RUN_STEPS("from the start",
		{ 0, true }, { 1, true }, { 1, false }, { 9, true }, { 8, true }, { 7, true }, { 7, false },
		{ W, true }, { W - 1, true }, { W - 1, false }, { W - 2, true }, { 2, true }, { 2, false },
		{ 0, false }, { W + 16, true }, { 3, false }, { W + 16, false },
		{ W * 4, true }, { W * 4 - (W - 1), true }, { 10, false }, { W * 4 - W, false },
		{ W * 4 - (W + 1), false },
		{ W * 4 - (W - 2), true }, { W * 4 + 1 - W, false }, { 0, false }, { 0x40000000, true },
		{ 0x40000000 - W, false },
		{ 0x40000000 - 1, true }, { 0x40000000 - 1, false }, { 0x40000000 - 2, true }, { 0x40000000, false });
	RUN_STEPS("nothing below the start", { 0u - 1, false }, { 0u - 64, false }, { 0u - 65, false }, { 0, true },
		{ 0u - 1, false }, { 5, true }, { 0u - 2, false }, { 4, true });
	RUN_STEPS("jump of exactly the window", { W - 1, true }, { 0, true }, { 2 * W - 1, true }, { W, true },
	          { W - 1, false });
	RUN_STEPS("jump of one less", { 0, true }, { W - 1, true }, { 0, false }, { 1, true }, { W, true },
	          { 0, false }, { 1, false });
	RUN_STEPS("jump of one more", { 0, true }, { W + 1, true }, { 1, false }, { 2, true });
}
END_TEST

START_TEST(window_in_bulk)
{
	struct step up[W + 1], down[W + 1];

	for (unsigned i = 0; i <= W; i++) {
		up[i] = (struct step){ i, true };
		down[i] = (struct step){ W - i, i < W }; /* the last is one too old */
	}
	run_steps("ascending", up, W + 1);
	run_steps("descending", down, W + 1);
}
END_TEST

/* Up to the very last number that a foreign sender may use, and no wrap behind it. */
START_TEST(window_at_the_end)
{
	static const struct { uint32_t sn; enum esp_verdict verdict; } steps[] = {
		{ 0xffffff6e, ESP_REPLAYED }, { 0xfffffff0, ESP_OK }, { 0xffffffff, ESP_OK },
		{ 0xffffffff, ESP_REPLAYED },
		{ 0xfffffffe, ESP_OK }, { 0xfffffff0, ESP_REPLAYED }, { 0xffffffc0, ESP_OK },
		{ 0xffffffbf, ESP_REPLAYED },
		{ 0, ESP_REPLAYED }, { 1, ESP_REPLAYED },
	};
	const struct esp_options options = { .no_start_sn_limit = true };
	struct pair p;

	pair_init(&p, late_subkey_bytes, &options);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		ck_assert_msg(open_sn(&p, steps[i].sn) == steps[i].verdict, "step %zu", i);
	pair_free(&p);
}
END_TEST

START_TEST(replay_switch)
{
	const struct esp_options options = { .no_replay_window = true };
	struct pair p;

	pair_init(&p, subkey_bytes, &options);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(open_sn(&p, esp_sa_next_sn(p.out)), ESP_OK);
	ck_assert_int_eq(open_sn(&p, 1), ESP_OK);
	pair_free(&p);
}
END_TEST

/*
 * A changed bit anywhere is found by the ICV, leaves the bytes alone and does not spoil the window; then the packet
 * itself opens.
 */
START_TEST(tampering)
{
	const struct esp_options options = { .implicit_iv = _i };
	uint8_t room[ROOM] = "what was said", copy[ROOM], *start, *open_start, next_header;
	size_t len, open_len;
	struct pair p;

	pair_init(&p, subkey_bytes, &options);
	memmove(room + ESP_FRONT_MAX, room, 13);
	ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 13, 17, &start, &len), ESP_OK);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		start[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memcpy(copy, start, len);
		ck_assert_msg(esp_open(p.in, start, len, &open_start, &open_len, &next_header) == ESP_BAD_ICV,
		              "bit %zu", bit);
		ck_assert_mem_eq(copy, start, len);
		start[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	memcpy(copy, start, len);
	ck_assert_int_eq(esp_open(p.in, start, len, &open_start, &open_len, &next_header), ESP_OK);
	ck_assert_int_eq(esp_open(p.in, copy, len, &open_start, &open_len, &next_header), ESP_REPLAYED);
	copy[len - 1] ^= 1;
	ck_assert_int_eq(esp_open(p.in, copy, len, &open_start, &open_len, &next_header), ESP_BAD_ICV);
	pair_free(&p);
}
END_TEST

/* Another SPI or another direction's keys: no packet of this association. */
START_TEST(foreign_packets)
{
	const uint8_t iv[8] = "ivivivi", text[8] = "abcd\1\2\2";
	uint8_t packet[64], room[ROOM] = { 0 }, *start, next_header;
	struct esp_sa *down;
	struct pair p;
	size_t len;

	pair_init(&p, subkey_bytes, &plain_options);
	len = craft(&p.keys, SPI + 1, esp_sa_next_sn(p.in), iv, text, sizeof text, true, packet);
	be32(packet, SPI);
	ck_assert_int_eq(esp_open(p.in, packet, len, &start, &len, &next_header), ESP_BAD_ICV);
	down = sa_new(p.near.sm, subkey_bytes, ESP_DOWN, &plain_options);
	ck_assert_int_eq(esp_seal(down, room + ESP_FRONT_MAX, 5, 17, &start, &len), ESP_OK);
	ck_assert_int_eq(esp_open(p.in, start, len, &start, &len, &next_header), ESP_BAD_ICV);
	esp_sa_free(down);
	pair_free(&p);
}
END_TEST

START_TEST(directions_differ)
{
	struct derived_keys keys;
	struct pair p;

	derive_keys(subkey_bytes, 24, LABEL_CTA_SC, &keys);
	ck_assert_mem_ne(keys.up.cipher_key, keys.down.cipher_key, 24);
	ck_assert_mem_ne(keys.up.auth_key, keys.down.auth_key, 20);
	pair_init(&p, subkey_bytes, &plain_options);
	esp_sa_free(p.in);
	p.in = sa_new(p.far.sm, subkey_bytes, ESP_DOWN, &plain_options);
	ck_assert_uint_eq(esp_sa_next_sn(p.out), keys.up.start_sn & START_SN_MASK);
	ck_assert_uint_eq(esp_sa_next_sn(p.in), keys.down.start_sn & START_SN_MASK);
	pair_free(&p);
}
END_TEST

/* Lengths that cannot be: shorter than the least packet, or between blocks. Each in memory of exactly that size. */
START_TEST(impossible_lengths)
{
	const struct esp_options options = { .implicit_iv = _i & 1, .no_auth = _i & 2 };
	const size_t least = (_i & 1 ? 8 : 16) + 8 + (_i & 2 ? 0 : 12);
	struct pair p;

	pair_init(&p, subkey_bytes, &options);
	for (size_t len = 0; len <= least + 24; len++) {
		uint8_t *packet = calloc(1, len ? len : 1), *start, next_header;
		size_t open_len;
		enum esp_verdict verdict = esp_open(p.in, packet, len, &start, &open_len, &next_header);

		ck_assert_msg((verdict == ESP_SHORT) == (len < least || (len - least) % 8), "length %zu: %s", len,
		              esp_verdict_names[verdict]);
		ck_assert(verdict != ESP_OK || (_i & 2));
		free(packet);
	}
	pair_free(&p);
}
END_TEST

/* What a peer that holds the keys may do wrong behind a good ICV. */
START_TEST(padding)
{
	static const struct { const char *text; enum esp_verdict verdict; size_t len; } cases[] = {
		{ "abcdef\0\x11", ESP_OK, 6 },
		{ "abcde\1\1\x11", ESP_OK, 5 },
		{ "\1\2\3\4\5\6\6\x11", ESP_OK, 0 },
		{ "\1\2\3\4\5\6\7\x11", ESP_BAD_PADDING, 0 },   /* longer than the text */
		{ "\1\2\3\4\5\6\xff\x11", ESP_BAD_PADDING, 0 },
		{ "abcde\2\1\x11", ESP_BAD_PADDING, 0 },
		{ "abcd\1\1\2\x11", ESP_BAD_PADDING, 0 },
		{ "abc\0\1\2\3\x11", ESP_BAD_PADDING, 0 },
	};
	const uint8_t iv[8] = "ivivivi";
	const struct esp_options options = { .no_auth = _i };
	struct pair p;

	pair_init(&p, subkey_bytes, &options);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t packet[64], copy[64], *start, next_header;
		size_t len, packet_len = craft(&p.keys, SPI, esp_sa_next_sn(p.in) + (uint32_t)i, iv,
		                               (const uint8_t *)cases[i].text, 8, !_i, packet);
		enum esp_verdict verdict;

		memcpy(copy, packet, packet_len);
		verdict = esp_open(p.in, packet, packet_len, &start, &len, &next_header);
		ck_assert_msg(verdict == cases[i].verdict, "case %zu: %s", i, esp_verdict_names[verdict]);
		if (verdict == ESP_OK) {
			ck_assert_uint_eq(len, cases[i].len);
			ck_assert_mem_eq(start, cases[i].text, len);
			ck_assert_uint_eq(next_header, 17);
		} else {
			ck_assert_mem_eq(packet, copy, packet_len);
		}
	}
	if (!_i) /* a refused number is not used up */
		ck_assert_int_eq(open_sn(&p, esp_sa_next_sn(p.in) + 3), ESP_OK);
	pair_free(&p);
}
END_TEST

/* RFC 2406 allows up to 255 bytes of padding. */
START_TEST(long_padding)
{
	const uint8_t iv[8] = "ivivivi";
	uint8_t text[264], packet[320], *start, next_header;
	struct pair p;
	size_t len;

	pair_init(&p, subkey_bytes, &plain_options);
	memcpy(text, "voicefo", 7);
	for (int i = 1; i <= 255; i++)
		text[6 + i] = (uint8_t)i;
	text[262] = 255;
	text[263] = 6;
	len = craft(&p.keys, SPI, esp_sa_next_sn(p.in), iv, text, sizeof text, true, packet);
	ck_assert_int_eq(esp_open(p.in, packet, len, &start, &len, &next_header), ESP_OK);
	ck_assert_uint_eq(len, 7);
	ck_assert_uint_eq(next_header, 6);
	pair_free(&p);
}
END_TEST

/*
 * Attack E2: without authentication, flipped bits of the IV flip the same bits of the first block, and nobody notices.
 */
START_TEST(bit_flip_without_auth)
{
	uint8_t room[ROOM] = { 0 }, *start, next_header;
	const struct esp_options options = { .no_auth = !_i };
	struct pair p;
	size_t len;

	pair_init(&p, subkey_bytes, &options);
	memcpy(room + ESP_FRONT_MAX, "PAY 10 TO ALICE ", 16);
	ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 16, 17, &start, &len), ESP_OK);
	start[8 + 4] ^= '1' ^ '9';
	if (_i) {
		ck_assert_int_eq(esp_open(p.in, start, len, &start, &len, &next_header), ESP_BAD_ICV);
	} else {
		ck_assert_int_eq(esp_open(p.in, start, len, &start, &len, &next_header), ESP_OK);
		ck_assert_uint_eq(len, 16);
		ck_assert_mem_eq(start, "PAY 90 TO ALICE ", 16);
	}
	pair_free(&p);
}
END_TEST

/*
 * Attack E3: with the implicit IV, a guess of a block sent under number n is confirmed by equal cipher text under
 * number n + 1.
 */
START_TEST(implicit_iv_is_predictable)
{
	const struct esp_options options = { .implicit_iv = true };
	uint8_t room[ROOM] = { 0 }, secret[8] = "TO 1234.", block[8], *start;
	struct pair p;
	uint32_t sn;
	size_t len;

	pair_init(&p, subkey_bytes, &options);
	sn = esp_sa_next_sn(p.out);
	memcpy(room + ESP_FRONT_MAX, secret, 8);
	ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 8, 17, &start, &len), ESP_OK);
	memcpy(block, start + 8, 8);
	be32(room + ESP_FRONT_MAX, SPI ^ SPI);
	be32(room + ESP_FRONT_MAX + 4, sn ^ (sn + 1));
	for (int i = 0; i < 8; i++)
		room[ESP_FRONT_MAX + i] ^= secret[i];
	ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 8, 17, &start, &len), ESP_OK);
	ck_assert_mem_eq(block, start + 8, 8);
	pair_free(&p);
}
END_TEST

/* The limit on starting numbers folds this one; without it the association soon ends, and never reuses a number. */
START_TEST(exhaustion)
{
	const struct esp_options options = { .no_start_sn_limit = true };
	uint8_t room[ROOM] = { 0 }, untouched[ROOM], *start, next_header;
	unsigned sent = 0;
	struct pair p;
	size_t len;

	pair_init(&p, late_subkey_bytes, &plain_options);
	ck_assert_uint_eq(esp_sa_next_sn(p.out), LATE_START_SN & START_SN_MASK);
	pair_free(&p);

	pair_init(&p, late_subkey_bytes, &options);
	ck_assert_uint_eq(esp_sa_next_sn(p.out), LATE_START_SN);
	while (esp_seal(p.out, room + ESP_FRONT_MAX, 9, 17, &start, &len) == ESP_OK) {
		ck_assert_int_eq(esp_open(p.in, start, len, &start, &len, &next_header), ESP_OK);
		ck_assert_uint_lt(sent, 1000);
		sent++;
	}
	ck_assert_uint_eq(sent, 0xffffffffu - LATE_START_SN);
	ck_assert_uint_eq(esp_sa_next_sn(p.out), 0xffffffffu);
	memcpy(untouched, room, sizeof room);
	ck_assert_int_eq(esp_seal(p.out, room + ESP_FRONT_MAX, 9, 17, &start, &len), ESP_EXHAUSTED);
	ck_assert_mem_eq(untouched, room, sizeof room);
	pair_free(&p);
}
END_TEST

struct told {
	unsigned born[2], dead[2];
	uint8_t cipher_id[KEY_ID_LEN];
	struct derived_direction keys;
	unsigned ops[CRYPTO_OP_COUNT];
	uint32_t last_size[CRYPTO_OP_COUNT];
};

static void on_key(void *ctx, const struct key_news *news)
{
	struct told *told = ctx;
	bool auth = strcmp(news->role, "esp.auth") == 0;

	if (!auth && strcmp(news->role, "esp.cipher") != 0)
		return;
	ck_assert_str_eq(news->owner, "told");
	ck_assert_str_eq(news->context, "10.1.0.2 10.9.0.5 0x1234abcd");
	ck_assert_str_eq(news->algorithm, auth ? "hmac-sha1" : "des3-cbc");
	ck_assert_uint_eq(news->secret_len, auth ? 20 : 24);
	ck_assert_mem_eq(news->secret, auth ? told->keys.auth_key : told->keys.cipher_key, news->secret_len);
	if (news->life == KEY_LIFE_BORN) {
		ck_assert_str_eq(news->how, "derived:" LABEL_CTA_SC);
		ck_assert(news->has_parent);
		told->born[auth]++;
	} else {
		ck_assert_int_eq(news->life, KEY_LIFE_DEAD);
		told->dead[auth]++;
	}
}

static void on_op(void *ctx, enum crypto_op op, uint32_t size)
{
	struct told *told = ctx;

	told->ops[op]++;
	told->last_size[op] = size;
}

START_TEST(told_and_metered)
{
	const struct esp_options options = { .no_auth = _i };
	uint8_t room[ROOM] = { 0 }, *start, next_header;
	struct told told = { .born = { 0 } };
	struct derived_keys keys;
	struct fixture f;
	struct esp_sa *sa;
	size_t len;

	derive_keys(subkey_bytes, 24, LABEL_CTA_SC, &keys);
	told.keys = keys.up;
	fixture_init(&f, "told");
	crypto_set_key_watcher(f.crypto, on_key, &told);
	sa = sa_new(f.sm, subkey_bytes, ESP_UP, &options);
	ck_assert(told.born[0] == 1 && told.born[1] == !_i && !told.dead[0] && !told.dead[1]);
	crypto_set_meter(f.crypto, on_op, &told);
	ck_assert_int_eq(esp_seal(sa, room + ESP_FRONT_MAX, 200, 17, &start, &len), ESP_OK);
	ck_assert(told.ops[CRYPTO_DES3] == 1 && told.last_size[CRYPTO_DES3] == 208);
	ck_assert(told.ops[CRYPTO_HMAC_SHA1] == !_i && (_i || told.last_size[CRYPTO_HMAC_SHA1] == 224));
	ck_assert_int_eq(esp_open(sa, start, len, &start, &len, &next_header), ESP_OK);
	ck_assert(told.ops[CRYPTO_DES3] == 2 && told.ops[CRYPTO_HMAC_SHA1] == (_i ? 0 : 2));
	ck_assert(told.ops[CRYPTO_SHA1] == 0 && told.ops[CRYPTO_SHA256] == 0);
	crypto_set_meter(f.crypto, NULL, NULL);
	esp_sa_free(sa);
	ck_assert(told.dead[0] == 1 && told.dead[1] == !_i);
	ck_assert_uint_eq(sm_key_count(f.sm), 0);
	fixture_free(&f);
}
END_TEST

START_TEST(no_such_subkey)
{
	struct fixture f;

	fixture_init(&f, "none");
	ck_assert_ptr_null(esp_sa_new(f.sm, 77, LABEL_CTA_SC, ESP_UP, SPI, "", &plain_options));
	esp_sa_free(NULL);
	fixture_free(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("esp");
	TCase *tcase = tcase_create("esp");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, hmac_vectors);
	tcase_add_test(tcase, des3_vector);
	tcase_add_loop_test(tcase, round_trip, 0, 16);
	tcase_add_loop_test(tcase, sealed_as_the_rfc_says, 0, 2);
	tcase_add_test(tcase, explicit_iv_is_drawn);
	tcase_add_test(tcase, window_truth_table);
	tcase_add_test(tcase, window_in_bulk);
	tcase_add_test(tcase, window_at_the_end);
	tcase_add_test(tcase, replay_switch);
	tcase_add_loop_test(tcase, tampering, 0, 2);
	tcase_add_test(tcase, foreign_packets);
	tcase_add_test(tcase, directions_differ);
	tcase_add_loop_test(tcase, impossible_lengths, 0, 4);
	tcase_add_loop_test(tcase, padding, 0, 2);
	tcase_add_test(tcase, long_padding);
	tcase_add_loop_test(tcase, bit_flip_without_auth, 0, 2);
	tcase_add_test(tcase, implicit_iv_is_predictable);
	tcase_add_test(tcase, exhaustion);
	tcase_add_loop_test(tcase, told_and_metered, 0, 2);
	tcase_add_test(tcase, no_such_subkey);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

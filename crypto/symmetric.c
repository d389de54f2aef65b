/*
 * 3DES-CBC and HMAC-SHA-1 straight on libcrypto's ciphers and hashes; see symmetric.h.
 *
 * Sources: RFC 2104 (HMAC), RFC 2451 section 2.3 (3DES: encrypt, decrypt, encrypt; the outer chain).
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* here, and only here: see symmetric.h */
#include <assert.h>
#include <limits.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/des.h>
#include <openssl/sha.h>
#include "crypto/symmetric.h"

#define IPAD 0x36
#define OPAD 0x5c
#define BLOCK_BITS (8 * SHA_CBLOCK)

static_assert(sizeof(struct des3_key) == 3 * sizeof(DES_key_schedule), "three schedules and nothing else");
static_assert(sizeof(SHA_LONG) == sizeof(uint32_t), "the hash's words");

/* OpenSSL does not write to schedules, but takes them without const. */
static DES_key_schedule *schedule(const struct des3_key *key, int n)
{
	return (DES_key_schedule *)(uintptr_t)key->schedule + n;
}

void des3_key_init(struct des3_key *key, const uint8_t bytes[DES3_KEY_LEN])
{
	for (int n = 0; n < 3; n++)
		DES_set_key_unchecked((const_DES_cblock *)(bytes + n * DES3_BLOCK_LEN), schedule(key, n));
}

void des3_cbc(const struct des3_key *key, bool encrypt, const uint8_t iv[DES3_BLOCK_LEN], const uint8_t *in,
              uint8_t *out, size_t len)
{
	DES_cblock chain;

	assert(len % DES3_BLOCK_LEN == 0 && len <= LONG_MAX);
	memcpy(chain, iv, sizeof chain);
	DES_ede3_cbc_encrypt(in, out, (long)len, schedule(key, 0), schedule(key, 1), schedule(key, 2), &chain,
	                     encrypt ? DES_ENCRYPT : DES_DECRYPT);
}

static void state_save(const SHA_CTX *sha, uint32_t words[SHA1_WORDS])
{
	words[0] = sha->h0;
	words[1] = sha->h1;
	words[2] = sha->h2;
	words[3] = sha->h3;
	words[4] = sha->h4;
}

/* The hash as it stands after one block. */
static void state_load(SHA_CTX *sha, const uint32_t words[SHA1_WORDS])
{
	sha->h0 = words[0];
	sha->h1 = words[1];
	sha->h2 = words[2];
	sha->h3 = words[3];
	sha->h4 = words[4];
	sha->Nl = BLOCK_BITS;
	sha->Nh = 0;
	sha->num = 0;
}

static void padded_state(const uint8_t block[SHA_CBLOCK], uint8_t pad, uint32_t words[SHA1_WORDS])
{
	uint8_t padded[SHA_CBLOCK];
	SHA_CTX sha;

	for (size_t i = 0; i < sizeof padded; i++)
		padded[i] = block[i] ^ pad;
	SHA1_Init(&sha);
	SHA1_Update(&sha, padded, sizeof padded);
	state_save(&sha, words);
	OPENSSL_cleanse(padded, sizeof padded);
	OPENSSL_cleanse(&sha, sizeof sha);
}

void hmac_sha1_key_init(struct hmac_sha1_key *key, const uint8_t *bytes, size_t len)
{
	uint8_t block[SHA_CBLOCK] = { 0 };
	SHA_CTX sha;

	if (len > sizeof block) {
		SHA1_Init(&sha);
		SHA1_Update(&sha, bytes, len);
		SHA1_Final(block, &sha);
		OPENSSL_cleanse(&sha, sizeof sha);
	} else if (len) {
		memcpy(block, bytes, len);
	}
	padded_state(block, IPAD, key->inner);
	padded_state(block, OPAD, key->outer);
	OPENSSL_cleanse(block, sizeof block);
}

void hmac_sha1(const struct hmac_sha1_key *key, const void *a, size_t a_len, const void *b, size_t b_len,
               uint8_t out[SHA1_LEN])
{
	uint8_t hash[SHA1_LEN];
	SHA_CTX sha;

	state_load(&sha, key->inner);
	SHA1_Update(&sha, a, a_len);
	if (b_len)
		SHA1_Update(&sha, b, b_len);
	SHA1_Final(hash, &sha);
	state_load(&sha, key->outer);
	SHA1_Update(&sha, hash, sizeof hash);
	SHA1_Final(out, &sha);
	OPENSSL_cleanse(&sha, sizeof sha);
}

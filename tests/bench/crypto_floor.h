/*
 * A scenario's run against the same cryptographic operations done bare.
 *
 * A first run notes its operations: kind and size of each, in order. The floor does the same operations of the same
 * sizes in the same order with this machine's libcrypto, by the cheapest calls that we know (crypto/symmetric.h, no EVP
 * around ciphers and MACs): key objects and contexts are made before, nothing is parsed, encoded or allocated, and all
 * work on one buffer. What libcrypto does once for each key object is in both, so the floor has as many objects as the
 * run has keys:
 * - RSA with 1024 bits: one a CTA, new in each round, the operations evenly spread; the first private one sets up the
 *   blinding;
 * - RSA with 2048 bits: root, operator's CA and KDC.
 * What keys cost that wait in memory is in both, too: the floor keeps as many symmetric keys as there are media streams'
 * ends (4 a call; signaling's, 8 a call, are left out), a packet uses one of them for its cipher and its MAC, and packets
 * go through them in turn, as those of calls side by side do. A cipher or MAC that comes right behind the set-up of its
 * key (Kerberos, key derivation) uses that key, which lies in the processor's cache.
 * Not in the floor: MD5 of RADIUS, the identifiers of keys for observers, and all that is no cryptography. Processor
 * time is measured; the best of several rounds of each counts, taken in turn.
 */
#ifndef TOLLGATE_TESTS_BENCH_CRYPTO_FLOOR_H
#define TOLLGATE_TESTS_BENCH_CRYPTO_FLOOR_H

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/symmetric.h"
#include "scenarios/host/host.h"

#define BYTES_MAX 65536
#define AUTHORITIES 3
#define MEDIA_KEYS 4 /* a call has: two streams, each with its key at two ends */
#define TRACE_STEP 65536

/* What is measured. */
struct subject {
	const char *name, *script;  /* path from the top folder */
	const char *argument;       /* of the scenario: how many */
	unsigned rsa_keys;          /* CTAs of one of them */
	double none_to_reach, flow_to_reach; /* ratios without recording, with level "flow"; 0: none is set */
};

/* The run's operations, in order. */
static struct step {
	uint32_t op, size;
} *steps;
static size_t step_count;
static uint8_t bytes[BYTES_MAX];
static const uint8_t digest[32] = { 1 };

static void require(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench: %s\n", what);
		exit(2);
	}
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void note(void *ctx, enum crypto_op op, uint32_t size)
{
	(void)ctx;
	require(size <= BYTES_MAX, "an operation on more bytes than there are");
	if (step_count % TRACE_STEP == 0)
		steps = realloc(steps, (step_count + TRACE_STEP) * sizeof *steps);
	require(steps != NULL, "memory");
	steps[step_count++] = (struct step){ op, size };
}

/* The run itself */

static double run(const struct subject *subject, const char *count, const char *database, bool meter)
{
	const struct host_setting settings[] = { { subject->argument, count } };
	FILE *nowhere = fopen("/dev/null", "w");
	struct host_options options = { .models = model_registry, .script = subject->script, .seed = 1,
		                        .settings = settings, .setting_count = 1,
		                        .database = database, .level = RECORD_FLOW, .out = nowhere, .err = stderr,
		                        .cache_dir = getenv("TOLLGATE_CACHE") ? getenv("TOLLGATE_CACHE") : "build/cache",
		                        .meter = meter ? note : NULL };
	struct host_result result;
	double begin = now_s();

	require(nowhere != NULL && host_run(&options, &result) == HOST_HELD, "the run failed");
	fclose(nowhere);
	return now_s() - begin;
}

/* The floor */

struct rsa {
	EVP_PKEY *key;
	EVP_PKEY_CTX *sign, *verify, *encrypt, *decrypt;
};

/* Several objects of one key, used in turn. */
struct rsa_set {
	uint8_t pkcs1[2048];
	int pkcs1_len;
	uint8_t signature[512], sealed[512];
	size_t signature_len, sealed_len;
	unsigned count, next[CRYPTO_OP_COUNT];
	struct rsa *objects;
};

static void rsa_init(struct rsa *r, const struct rsa_set *set)
{
	const uint8_t *p = set->pkcs1;

	r->key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &p, set->pkcs1_len);
	require(r->key != NULL, "RSA key");
	r->sign = EVP_PKEY_CTX_new(r->key, NULL);
	r->verify = EVP_PKEY_CTX_new(r->key, NULL);
	r->encrypt = EVP_PKEY_CTX_new(r->key, NULL);
	r->decrypt = EVP_PKEY_CTX_new(r->key, NULL);
	require(EVP_PKEY_sign_init(r->sign) > 0 && EVP_PKEY_CTX_set_signature_md(r->sign, EVP_sha256()) > 0 &&
	        EVP_PKEY_verify_init(r->verify) > 0 && EVP_PKEY_CTX_set_signature_md(r->verify, EVP_sha256()) > 0 &&
	        EVP_PKEY_encrypt_init(r->encrypt) > 0 && EVP_PKEY_decrypt_init(r->decrypt) > 0, "RSA contexts");
}

static void rsa_free(struct rsa *r)
{
	EVP_PKEY_CTX_free(r->sign);
	EVP_PKEY_CTX_free(r->verify);
	EVP_PKEY_CTX_free(r->encrypt);
	EVP_PKEY_CTX_free(r->decrypt);
	EVP_PKEY_free(r->key);
}

static void rsa_set_init(struct rsa_set *set, unsigned bits, unsigned count)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);
	uint8_t *p = set->pkcs1;
	struct rsa first;

	require(key && i2d_PrivateKey(key, NULL) <= (int)sizeof set->pkcs1, "RSA key");
	set->pkcs1_len = i2d_PrivateKey(key, &p);
	EVP_PKEY_free(key);
	set->count = count;
	set->objects = calloc(count, sizeof *set->objects);
	require(set->objects != NULL, "memory");
	rsa_init(&first, set);
	set->signature_len = set->sealed_len = sizeof set->signature;
	require(EVP_PKEY_sign(first.sign, set->signature, &set->signature_len, digest, 32) > 0 &&
	        EVP_PKEY_encrypt(first.encrypt, set->sealed, &set->sealed_len, digest, 24) > 0, "RSA");
	rsa_free(&first);
}

static void rsa_set_free(struct rsa_set *set)
{
	free(set->objects);
}

static void rsa_do(struct rsa_set *set, enum crypto_op op)
{
	struct rsa *r = &set->objects[set->next[op]++ % set->count];
	uint8_t out[512];
	size_t len = sizeof out;
	int ok = 1;

	if (op == CRYPTO_RSA_SIGN)
		ok = EVP_PKEY_sign(r->sign, out, &len, digest, 32);
	else if (op == CRYPTO_RSA_VERIFY)
		ok = EVP_PKEY_verify(r->verify, set->signature, set->signature_len, digest, 32);
	else if (op == CRYPTO_RSA_ENCRYPT)
		ok = EVP_PKEY_encrypt(r->encrypt, out, &len, digest, 24);
	else
		ok = EVP_PKEY_decrypt(r->decrypt, out, &len, set->sealed, set->sealed_len);
	require(ok > 0, "RSA operation");
}

/* A symmetric key in use; laid out as in the run. */
struct packet_key {
	struct hmac_sha1_key mac;
	struct des3_key cipher;
};

struct floor {
	struct rsa_set rsa1024, rsa2048;
	struct packet_key *kept, fresh; /* of packets; the one set up last */
	size_t kept_count, at;
	bool cipher_done, mac_done;     /* with kept[at] */
	bool cipher_fresh, mac_fresh;   /* nothing else of that kind was done since the set-up */
	EVP_MD_CTX *work;
	EVP_MD *sha1, *sha256;
};

static const uint8_t raw_key[24] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x23, 0x45, 0x67, 0x89,
	                             0xab, 0xcd, 0xef, 0x01, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23 };

/* The packet's key: a second cipher, or a second MAC, is another packet. */
static struct packet_key *key_of_packet(struct floor *f, bool *done)
{
	if (*done) {
		f->at = (f->at + 1) % f->kept_count;
		f->cipher_done = f->mac_done = false;
	}
	*done = true;
	return &f->kept[f->at];
}

static void floor_init(struct floor *f, const struct subject *subject, unsigned calls)
{
	*f = (struct floor){ 0 };
	rsa_set_init(&f->rsa1024, 1024, subject->rsa_keys * calls);
	rsa_set_init(&f->rsa2048, 2048, AUTHORITIES);
	f->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	f->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	f->work = EVP_MD_CTX_new();
	f->kept_count = MEDIA_KEYS * (size_t)calls;
	f->kept = calloc(f->kept_count, sizeof *f->kept);
	require(f->kept != NULL, "memory");
	for (size_t i = 0; i < f->kept_count; i++) {
		des3_key_init(&f->kept[i].cipher, raw_key);
		hmac_sha1_key_init(&f->kept[i].mac, raw_key, SHA1_LEN);
	}
}

static void floor_free(struct floor *f)
{
	rsa_set_free(&f->rsa1024);
	rsa_set_free(&f->rsa2048);
	free(f->kept);
	EVP_MD_CTX_free(f->work);
	EVP_MD_free(f->sha1);
	EVP_MD_free(f->sha256);
}

static void des3_do(struct floor *f, uint32_t size)
{
	const struct packet_key *key = f->cipher_fresh ? &f->fresh : key_of_packet(f, &f->cipher_done);

	des3_cbc(&key->cipher, true, raw_key, bytes, bytes, size & ~7u);
	f->cipher_fresh = false;
}

/* Derivation does several under one key. */
static void hmac_do(struct floor *f, uint32_t size)
{
	const struct packet_key *key = f->mac_fresh ? &f->fresh : key_of_packet(f, &f->mac_done);
	uint8_t out[SHA1_LEN];

	hmac_sha1(&key->mac, bytes, size, NULL, 0, out);
}

static void hash_do(struct floor *f, const EVP_MD *md, uint32_t size)
{
	uint8_t out[32];

	require(EVP_DigestInit_ex2(f->work, md, NULL) && EVP_DigestUpdate(f->work, bytes, size) &&
	        EVP_DigestFinal_ex(f->work, out, NULL), "hash");
}

static void floor_do(struct floor *f, enum crypto_op op, uint32_t size)
{
	if (op != CRYPTO_HMAC_SHA1)
		f->mac_fresh = false;
	switch (op) {
	case CRYPTO_RSA_SIGN: case CRYPTO_RSA_VERIFY: case CRYPTO_RSA_ENCRYPT: case CRYPTO_RSA_DECRYPT:
		rsa_do(size <= 1024 ? &f->rsa1024 : &f->rsa2048, op);
		break;
	case CRYPTO_DES3:
		des3_do(f, size);
		break;
	case CRYPTO_HMAC_SHA1:
		hmac_do(f, size);
		break;
	case CRYPTO_SHA1:
		hash_do(f, f->sha1, size);
		break;
	case CRYPTO_SHA256:
		hash_do(f, f->sha256, size);
		break;
	case CRYPTO_DES3_KEY:
		des3_key_init(&f->fresh.cipher, raw_key);
		f->cipher_fresh = true;
		break;
	case CRYPTO_HMAC_KEY:
		hmac_sha1_key_init(&f->fresh.mac, raw_key, SHA1_LEN);
		f->mac_fresh = true;
		break;
	default:
		require(0, "an operation that the floor does not know");
	}
}

/* New key objects (make) or none. */
static void floor_renew(struct floor *f, bool make)
{
	struct rsa_set *sets[] = { &f->rsa1024, &f->rsa2048 };

	for (int i = 0; i < 2; i++)
		for (unsigned k = 0; k < sets[i]->count; k++)
			if (make)
				rsa_init(&sets[i]->objects[k], sets[i]);
			else
				rsa_free(&sets[i]->objects[k]);
}

static double floor_run(struct floor *f)
{
	double begin, time;

	floor_renew(f, true);
	begin = now_s();
	for (size_t i = 0; i < step_count; i++)
		floor_do(f, (enum crypto_op)steps[i].op, steps[i].size);
	time = now_s() - begin;
	floor_renew(f, false);
	return time;
}

static void print_counts(void)
{
	uint64_t n[CRYPTO_OP_COUNT] = { 0 }, total[CRYPTO_OP_COUNT] = { 0 };

	for (size_t i = 0; i < step_count; i++) {
		n[steps[i].op]++;
		total[steps[i].op] += steps[i].size;
	}
	for (int op = 0; op < CRYPTO_OP_COUNT; op++)
		if (n[op])
			printf("  %-12s %10llu operations, mean size %llu\n", crypto_op_names[op],
			       (unsigned long long)n[op], (unsigned long long)(total[op] / n[op]));
}

/* The exit code of the program: 0 when what is to be reached is. */
static int measure(const struct subject *subject, int argc, char **argv)
{
	const char *count = argc > 1 ? argv[1] : "1000";
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	char database[] = "/tmp/bench.XXXXXX";
	double none = 1e9, flow = 1e9, bare = 1e9;
	int fd = mkstemp(database);
	struct floor f;

	require(fd >= 0, "no temporary file");
	close(fd);
	run(subject, count, NULL, true); /* notes, and fills the cache of keys */
	floor_init(&f, subject, (unsigned)atoi(count));
	for (int i = 0; i < rounds; i++) {
		double t = floor_run(&f);

		bare = t < bare ? t : bare;
		t = run(subject, count, NULL, false);
		none = t < none ? t : none;
		t = run(subject, count, database, false);
		flow = t < flow ? t : flow;
	}
	floor_free(&f);
	unlink(database);
	print_counts();
	free(steps);
	printf("%s=%s bare=%.2fs none=%.2fs flow=%.2fs ratio none=%.2f (to reach %.2f) flow=%.2f", subject->name, count, bare, none, flow,
	       none / bare, subject->none_to_reach, flow / bare);
	if (subject->flow_to_reach > 0)
		printf(" (to reach %.2f)", subject->flow_to_reach);
	putchar('\n');
	return none / bare <= subject->none_to_reach && (subject->flow_to_reach <= 0 || flow / bare <= subject->flow_to_reach) ? 0 : 1;
}

#endif

/*
 * The key pool: a key follows from (seed, bits, name) alone; the cache file only saves time, whatever is in it.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "crypto/internal.h"
#include "tests/crypto/fixture.h"

#define SEED 11
#define PATH_LEN 256

static struct crypto *crypto;
static char top[PATH_LEN], directory[PATH_LEN], file_1024[PATH_LEN];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	crypto = crypto_new();
	snprintf(top, sizeof top, "%.200s/key_pool.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(directory, sizeof directory, "%.220s/a/b", top);
	snprintf(file_1024, sizeof file_1024, "%.225s/rsa-1024-%d.keys", directory, SEED);
}

static void teardown(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[2 * PATH_LEN + 256];

	while (dir && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(directory);
	snprintf(path, sizeof path, "%s/a", top);
	rmdir(path);
	rmdir(top);
	crypto_free(crypto);
}

static off_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* The names used here; their keys without any cache are the truth. */
enum { NAMES = 4 };
static const char *const names[NAMES] = { "alice", "bob", "kdc/kdc1", "" };

static void make_truth(struct der truth[NAMES])
{
	struct key_pool *pool = key_pool_new(crypto, SEED, NULL);

	for (int i = 0; i < NAMES; i++) {
		const uint8_t *key = key_pool_get(pool, names[i], 1024, &truth[i].len);

		truth[i].bytes = malloc(truth[i].len);
		memcpy(truth[i].bytes, key, truth[i].len);
	}
	key_pool_free(pool);
}

static void free_truth(struct der truth[NAMES])
{
	for (int i = 0; i < NAMES; i++)
		der_free(&truth[i]);
}

/* A new pool on the directory gives the true keys. Returns the file's size afterwards. */
static off_t check_pool(const struct der truth[NAMES], const char *where)
{
	struct key_pool *pool = key_pool_new(crypto, SEED, where);

	for (int i = NAMES; i-- > 0;) {
		size_t len;
		const uint8_t *key = key_pool_get(pool, names[i], 1024, &len);

		ck_assert_uint_eq(len, truth[i].len);
		ck_assert_msg(memcmp(key, truth[i].bytes, len) == 0, "key \"%s\" differs", names[i]);
	}
	key_pool_free(pool);
	return file_size(file_1024);
}

START_TEST(follows_from_seed_bits_and_name)
{
	struct key_pool *one = key_pool_new(crypto, SEED, NULL), *two = key_pool_new(crypto, SEED, NULL);
	struct key_pool *other = key_pool_new(crypto, SEED + 1, NULL);
	size_t len, len2;
	const uint8_t *a = key_pool_get(one, "alice", 1024, &len), *b;

	key_pool_get(two, "bob", 1024, &len2); /* what else is asked for makes no difference */
	b = key_pool_get(two, "alice", 1024, &len2);
	ck_assert_uint_eq(len, len2);
	ck_assert_mem_eq(a, b, len);
	ck_assert_ptr_eq(a, key_pool_get(one, "alice", 1024, &len2));
	b = key_pool_get(other, "alice", 1024, &len2);
	ck_assert(len != len2 || memcmp(a, b, len) != 0);
	b = key_pool_get(one, "alicf", 1024, &len2);
	ck_assert(len != len2 || memcmp(a, b, len) != 0);
	key_pool_free(one);
	key_pool_free(two);
	key_pool_free(other);
}
END_TEST

START_TEST(keys_are_keys)
{
	static const unsigned bits[] = { 1024, 2048 };
	struct key_pool *pool = key_pool_new(crypto, SEED, NULL);

	for (int i = 0; i < 2; i++) {
		size_t len;
		const uint8_t *pkcs8 = key_pool_get(pool, "k", bits[i], &len);
		EVP_PKEY *pkey = crypto_private_key(crypto, pkcs8, len);
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto->lib, pkey, NULL);

		ck_assert_int_eq(EVP_PKEY_get_bits(pkey), (int)bits[i]);
		crypto_random_begin(crypto, crypto_blinding(crypto));
		ck_assert_int_eq(EVP_PKEY_check(ctx), 1);
		crypto_random_end(crypto);
		EVP_PKEY_CTX_free(ctx);
		EVP_PKEY_free(pkey);
		/* Not a key: cut short, one byte more, another type. */
		ck_assert_ptr_null(crypto_private_key(crypto, pkcs8, len - 1));
		uint8_t *longer = calloc(1, len + 1);

		memcpy(longer, pkcs8, len);
		ck_assert_ptr_null(crypto_private_key(crypto, longer, len + 1));
		for (size_t at = 0; at < 32; at++) { /* the frame around the numbers */
			longer[at] ^= 0xff;
			EVP_PKEY_free(crypto_private_key(crypto, longer, len));
			longer[at] ^= 0xff;
		}
		free(longer);
	}
	key_pool_free(pool);
}
END_TEST

START_TEST(cache_is_used)
{
	struct der truth[NAMES];
	off_t size;

	make_truth(truth);
	ck_assert_int_eq(file_size(file_1024), -1);
	size = check_pool(truth, directory); /* makes both directories */
	ck_assert_int_gt(size, 0);
	ck_assert_int_eq(check_pool(truth, directory), size); /* nothing is made again */
	free_truth(truth);
}
END_TEST

/* A cache cut anywhere is read as far as it goes, and completed to the same bytes as before. */
START_TEST(torn_tail)
{
	struct der truth[NAMES];
	off_t size, cut;

	make_truth(truth);
	size = check_pool(truth, directory);
	for (cut = 0; cut < size; cut += cut < 100 ? 9 : 239) {
		ck_assert_int_eq(truncate(file_1024, cut), 0);
		ck_assert_msg(check_pool(truth, directory) == size, "cut at %ld", (long)cut);
		ck_assert_msg(check_pool(truth, directory) == size, "cut at %ld, again", (long)cut);
	}
	free_truth(truth);
}
END_TEST

static void overwrite(off_t at, uint8_t flip)
{
	int fd = open(file_1024, O_RDWR);
	uint8_t byte;

	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= flip;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* The file's whole content, read; or put back as it was. */
static void whole_file(uint8_t *bytes, off_t size, bool put)
{
	int fd = open(file_1024, O_RDWR);

	ck_assert_int_eq(put ? pwrite(fd, bytes, (size_t)size, 0) : pread(fd, bytes, (size_t)size, 0), size);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

/* One byte of the file changed, wherever: the keys stay the true ones, and the cache mends itself. */
START_TEST(damage)
{
	struct der truth[NAMES];
	off_t size, at;
	uint8_t *good;

	make_truth(truth);
	size = check_pool(truth, directory);
	good = malloc((size_t)size);
	whole_file(good, size, false);
	for (at = 0; at < size; at += at < 140 ? 11 : 211) {
		overwrite(at, 0x81);
		off_t mended = check_pool(truth, directory);

		ck_assert_msg(mended >= size, "byte %ld", (long)at);
		ck_assert_msg(check_pool(truth, directory) == mended, "byte %ld: not mended", (long)at);
		whole_file(good, size, true);
		ck_assert_int_eq(check_pool(truth, directory), size);
	}
	free(good);
	free_truth(truth);
}
END_TEST

/* A file of another seed or of another program under the name is replaced. */
START_TEST(foreign_file)
{
	struct der truth[NAMES];
	off_t size;
	FILE *file;

	make_truth(truth);
	size = check_pool(truth, directory);
	file = fopen(file_1024, "w");
	for (int i = 0; i < 1000; i++)
		fprintf(file, "this is something else\n");
	fclose(file);
	ck_assert_int_eq(check_pool(truth, directory), size);
	ck_assert_int_eq(check_pool(truth, directory), size);
	free_truth(truth);
}
END_TEST

/* Directories that cannot be made or written. */
START_TEST(no_cache_possible)
{
	struct der truth[NAMES];
	char path[PATH_LEN + 8];
	FILE *file;

	make_truth(truth);
	check_pool(truth, "/proc/no/such/directory");
	check_pool(truth, "");
	snprintf(path, sizeof path, "%s/a", top);
	file = fopen(path, "w"); /* a file where a directory should be */
	fclose(file);
	check_pool(truth, directory);
	unlink(path);
	free_truth(truth);
}
END_TEST

/* Several processes fill one cache; each sees the true keys, and the file is whole. */
START_TEST(several_processes)
{
	enum { PROCESSES = 4 };
	struct der truth[NAMES];
	pid_t children[PROCESSES];
	off_t size;

	make_truth(truth);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		ck_assert_int_ge(children[i], 0);
		if (children[i] == 0) {
			struct key_pool *pool = key_pool_new(crypto, SEED, directory);
			bool ok = true;

			for (int k = 0; k < NAMES; k++) {
				size_t len;
				int name = (i + k) % NAMES;
				const uint8_t *key = key_pool_get(pool, names[name], 1024, &len);

				ok = ok && len == truth[name].len && memcmp(key, truth[name].bytes, len) == 0;
			}
			key_pool_free(pool);
			_exit(ok ? 0 : 1);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	size = file_size(file_1024);
	ck_assert_int_eq(check_pool(truth, directory), size);
	unlink(file_1024);
	ck_assert_int_eq(check_pool(truth, directory), size); /* no key twice */
	free_truth(truth);
}
END_TEST

/* Two pools open at once on one file: the second finds what the first appended after it had looked. */
START_TEST(two_pools_share)
{
	struct key_pool *one = key_pool_new(crypto, SEED, directory), *two = key_pool_new(crypto, SEED, directory);
	size_t len;
	off_t size;

	key_pool_get(one, "alice", 1024, &len);
	key_pool_get(two, "bob", 1024, &len);
	key_pool_get(one, "bob", 1024, &len);
	key_pool_get(two, "carol", 1024, &len);
	size = file_size(file_1024);
	key_pool_get(one, "carol", 1024, &len);
	key_pool_get(two, "alice", 1024, &len);
	ck_assert_int_eq(file_size(file_1024), size);
	key_pool_free(one);
	key_pool_free(two);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("key_pool");
	TCase *tcase = tcase_create("key_pool");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, follows_from_seed_bits_and_name);
	tcase_add_test(tcase, keys_are_keys);
	tcase_add_test(tcase, cache_is_used);
	tcase_add_test(tcase, torn_tail);
	tcase_add_test(tcase, damage);
	tcase_add_test(tcase, foreign_file);
	tcase_add_test(tcase, no_cache_possible);
	tcase_add_test(tcase, several_processes);
	tcase_add_test(tcase, two_pools_share);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * The pool of RSA key pairs and its cache file.
 *
 * A key pair is drawn from the seed stream "SEED/BITS/NAME" and from nothing else; what the cache holds can only save
 * time. The file: a header (magic, seed, bits, OpenSSL's version, because another version may make another key of the
 * same stream), then records (magic, lengths, SHA-256 over lengths, name and key; name; PKCS #8). Records are only
 * appended, under flock(2), each with one write; what does not parse at the end is a torn write and is overwritten by
 * the next. A record is checked when its key is asked for; one that fails is made anew and appended, and the later
 * record counts. A file with another header is replaced by rename, so that processes which have mapped it keep their
 * mapping.
 *
 * No descriptor stays open, so a forked run neither shares a lock nor an offset with its parent.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <openssl/crypto.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include "crypto/internal.h"
#include "crypto/key_pool.h"

#define FILE_MAGIC "Tollgate RSA key pool 1\n"
#define FILE_HEADER_LEN 48
#define RECORD_MAGIC 0x544b4559u /* "TKEY" */
#define RECORD_HEADER_LEN (12 + 32)
#define NAME_LEN_MAX 1024
#define KEY_LEN_MAX 8192
#define INDEX_START 64           /* a power of two */
#define REOPEN_MAX 8             /* tries when the file is replaced under our hands */

struct slot {
	uint64_t hash;
	const uint8_t *record; /* NULL: free */
	bool intact; /* its sum has been looked at, at the first use */
};

/* Memory that records lie in, kept until the pool is freed. */
struct chunk {
	struct chunk *next;
	uint8_t *bytes;
	size_t len;
	bool mapped;
};

/* Keys of one size: index, memory, and what is known of their file. */
struct shelf {
	unsigned bits;
	struct slot *slots;
	size_t slot_count, used;
	struct chunk *chunks;
	char *path;            /* NULL: no cache */
	dev_t device;
	ino_t inode;
	off_t end;             /* file offset behind the last record seen; 0: header not seen */
};

static const unsigned shelf_bits[] = { 1024, 2048, 4096 };
#define SHELF_COUNT (sizeof shelf_bits / sizeof *shelf_bits)

struct key_pool {
	struct crypto *crypto;
	uint64_t seed;
	struct shelf shelves[SHELF_COUNT];
};

static void *checked(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_be64(uint8_t *p, uint64_t value)
{
	put_be32(p, (uint32_t)(value >> 32));
	put_be32(p + 4, (uint32_t)value);
}

/* Records. */

static uint32_t record_name_len(const uint8_t *record)
{
	return get_be32(record + 4);
}

static uint32_t record_key_len(const uint8_t *record)
{
	return get_be32(record + 8);
}

static const uint8_t *record_name(const uint8_t *record)
{
	return record + RECORD_HEADER_LEN;
}

static const uint8_t *record_key(const uint8_t *record)
{
	return record + RECORD_HEADER_LEN + record_name_len(record);
}

static size_t record_len(const uint8_t *record)
{
	return (size_t)RECORD_HEADER_LEN + record_name_len(record) + record_key_len(record);
}

/* The check sum: the lengths, then everything behind the sum. */
static void record_sum(const uint8_t *record, uint8_t sum[32])
{
	size_t body = record_len(record) - RECORD_HEADER_LEN;
	uint8_t *input = checked(malloc(8 + body));

	memcpy(input, record + 4, 8);
	memcpy(input + 8, record + RECORD_HEADER_LEN, body);
	SHA256(input, 8 + body, sum);
	OPENSSL_cleanse(input, 8 + body);
	free(input);
}

static bool record_intact(const uint8_t *record)
{
	uint8_t sum[32];

	record_sum(record, sum);
	return memcmp(sum, record + 12, sizeof sum) == 0;
}

/* Whether a whole record lies at the front of the bytes. Its sum is not looked at. */
static bool record_whole(const uint8_t *bytes, size_t len)
{
	if (len < RECORD_HEADER_LEN || get_be32(bytes) != RECORD_MAGIC)
		return false;
	if (record_name_len(bytes) > NAME_LEN_MAX || record_key_len(bytes) == 0 || record_key_len(bytes) > KEY_LEN_MAX)
		return false;
	return record_len(bytes) <= len;
}

/* Index. */

/* FNV-1a; decides where a name is looked for, never what is found. */
static uint64_t name_hash(const uint8_t *name, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ name[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* The slot of a name, or the free slot where it belongs. */
static struct slot *index_slot(const struct shelf *shelf, uint64_t hash, const uint8_t *name, size_t len)
{
	for (size_t i = hash & (shelf->slot_count - 1);; i = (i + 1) & (shelf->slot_count - 1)) {
		struct slot *slot = &shelf->slots[i];

		if (!slot->record)
			return slot;
		if (slot->hash == hash && record_name_len(slot->record) == len &&
		    memcmp(record_name(slot->record), name, len) == 0)
			return slot;
	}
}

static void index_grow(struct shelf *shelf)
{
	struct shelf bigger = { .slot_count = shelf->slot_count ? shelf->slot_count * 2 : INDEX_START };

	bigger.slots = checked(calloc(bigger.slot_count, sizeof *bigger.slots));
	for (size_t i = 0; i < shelf->slot_count; i++) {
		const struct slot *old = &shelf->slots[i];

		if (old->record)
			*index_slot(&bigger, old->hash, record_name(old->record), record_name_len(old->record)) = *old;
	}
	free(shelf->slots);
	shelf->slots = bigger.slots;
	shelf->slot_count = bigger.slot_count;
}

/* Enters a record; one of the same name is superseded. */
static void index_put(struct shelf *shelf, const uint8_t *record)
{
	size_t len = record_name_len(record);
	uint64_t hash = name_hash(record_name(record), len);
	struct slot *slot;

	if (shelf->used * 4 >= shelf->slot_count * 3)
		index_grow(shelf);
	slot = index_slot(shelf, hash, record_name(record), len);
	shelf->used += !slot->record;
	*slot = (struct slot){ .hash = hash, .record = record };
}

static const uint8_t *index_get(const struct shelf *shelf, const char *name)
{
	size_t len = strlen(name);
	struct slot *slot;

	if (shelf->slot_count == 0)
		return NULL;
	slot = index_slot(shelf, name_hash((const uint8_t *)name, len), (const uint8_t *)name, len);
	slot->intact = slot->record && (slot->intact || record_intact(slot->record));
	return slot->intact ? slot->record : NULL;
}

static void keep_chunk(struct shelf *shelf, uint8_t *bytes, size_t len, bool mapped)
{
	struct chunk *chunk = checked(malloc(sizeof *chunk));

	*chunk = (struct chunk){ shelf->chunks, bytes, len, mapped };
	shelf->chunks = chunk;
}

/* The cache file. */

static void file_header(const struct key_pool *pool, const struct shelf *shelf, uint8_t header[FILE_HEADER_LEN])
{
	memset(header, 0, FILE_HEADER_LEN);
	memcpy(header, FILE_MAGIC, sizeof FILE_MAGIC - 1);
	put_be64(header + 24, pool->seed);
	put_be32(header + 32, shelf->bits);
	put_be64(header + 36, OpenSSL_version_num());
}

/* The file's bytes from offset from to size, kept in a chunk. NULL when they cannot be read. */
static const uint8_t *read_chunk(struct shelf *shelf, int fd, off_t from, off_t size)
{
	size_t len = (size_t)(size - from);
	uint8_t *bytes;

	if (from == 0) {
		bytes = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
		if (bytes == MAP_FAILED)
			return NULL;
	} else {
		bytes = checked(malloc(len));
		if (pread(fd, bytes, len, from) != (ssize_t)len) {
			free(bytes);
			return NULL;
		}
	}
	keep_chunk(shelf, bytes, len, from == 0);
	return bytes;
}

/*
 * Indexes what the locked file holds beyond what was seen of it. False: it cannot be used (another header, unreadable);
 * an empty file can, and leaves end at 0.
 */
static bool catch_up(struct key_pool *pool, struct shelf *shelf, int fd)
{
	uint8_t header[FILE_HEADER_LEN];
	struct stat st;
	const uint8_t *bytes;
	size_t len, at = 0;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	if (st.st_dev != shelf->device || st.st_ino != shelf->inode || st.st_size < shelf->end) {
		shelf->device = st.st_dev;
		shelf->inode = st.st_ino;
		shelf->end = 0;
	}
	if (st.st_size == shelf->end)
		return true;
	if (shelf->end == 0) {
		file_header(pool, shelf, header);
		if (st.st_size < FILE_HEADER_LEN)
			return false;
	}
	bytes = read_chunk(shelf, fd, shelf->end, st.st_size);
	if (!bytes)
		return false;
	len = (size_t)(st.st_size - shelf->end);
	if (shelf->end == 0) {
		if (memcmp(bytes, header, FILE_HEADER_LEN) != 0)
			return false;
		at = FILE_HEADER_LEN;
	}
	for (; record_whole(bytes + at, len - at); at += record_len(bytes + at))
		index_put(shelf, bytes + at);
	shelf->end += (off_t)at;
	return true;
}

/* A mapping keeps the open file, and with it its lock, alive after close(2): the lock is given up by name. */
static void unlock_close(int fd)
{
	flock(fd, LOCK_UN);
	close(fd);
}

/* Opens and locks the file that is at the path now; -1: none that can be used. how: open(2)'s flags. */
static int open_locked(const struct shelf *shelf, int how, int lock)
{
	for (int i = 0; i < REOPEN_MAX; i++) {
		struct stat by_fd, by_path;
		int fd = open(shelf->path, how | O_CLOEXEC, 0600);

		if (fd < 0)
			return -1;
		if (flock(fd, lock) != 0 || fstat(fd, &by_fd) != 0) {
			unlock_close(fd);
			return -1;
		}
		if (stat(shelf->path, &by_path) == 0 && by_fd.st_dev == by_path.st_dev &&
		    by_fd.st_ino == by_path.st_ino)
			return fd;
		unlock_close(fd); /* replaced between open and lock */
	}
	return -1;
}

/* Reads what is new in the file, if there is one. */
static void refresh(struct key_pool *pool, struct shelf *shelf)
{
	int fd = open_locked(shelf, O_RDONLY, LOCK_SH);

	if (fd < 0)
		return;
	catch_up(pool, shelf, fd);
	unlock_close(fd);
}

/* Puts an empty file (header only) in the place of one of another kind. The old one's lock is held by the caller. */
static bool replace_file(const struct key_pool *pool, const struct shelf *shelf)
{
	uint8_t header[FILE_HEADER_LEN];
	char *temporary;
	int fd;
	bool ok;

	if (asprintf(&temporary, "%s.new", shelf->path) < 0)
		abort();
	file_header(pool, shelf, header);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, header, sizeof header) == (ssize_t)sizeof header;
	if (fd >= 0 && close(fd) != 0)
		ok = false;
	ok = ok && rename(temporary, shelf->path) == 0;
	if (!ok)
		unlink(temporary);
	free(temporary);
	return ok;
}

/* The locked file, brought up to date and with a header; -1: there is no writing. */
static int open_for_append(struct key_pool *pool, struct shelf *shelf)
{
	uint8_t header[FILE_HEADER_LEN];
	int fd = open_locked(shelf, O_RDWR | O_CREAT, LOCK_EX);

	if (fd >= 0 && !catch_up(pool, shelf, fd)) {
		bool replaced = replace_file(pool, shelf);

		unlock_close(fd);
		fd = replaced ? open_locked(shelf, O_RDWR, LOCK_EX) : -1;
		if (fd >= 0 && !catch_up(pool, shelf, fd)) {
			unlock_close(fd);
			fd = -1;
		}
	}
	if (fd >= 0 && shelf->end == 0) {
		file_header(pool, shelf, header);
		if (pwrite(fd, header, sizeof header, 0) != (ssize_t)sizeof header) {
			unlock_close(fd);
			return -1;
		}
		shelf->end = FILE_HEADER_LEN;
	}
	return fd;
}

/* Appends a record over whatever torn bytes are there. A file that cannot be written stays as it is. */
static void append(struct key_pool *pool, struct shelf *shelf, const char *name, const uint8_t *record)
{
	size_t len = record_len(record);
	int fd = open_for_append(pool, shelf);

	if (fd < 0)
		return;
	if (!index_get(shelf, name)) { /* another process may have been faster */
		off_t end = shelf->end;

		if (pwrite(fd, record, len, end) == (ssize_t)len)
			end += (off_t)len;
		if (ftruncate(fd, end) == 0)
			shelf->end = end;
	}
	unlock_close(fd);
}

/* Key pairs. */

static EVP_PKEY *generate(struct key_pool *pool, unsigned bits, const char *name)
{
	struct seed_stream stream;
	struct random_source random = { seed_stream_fill, &stream };
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(pool->crypto->lib, "RSA", NULL);
	char *label;

	if (asprintf(&label, "%llu/%u/%s", (unsigned long long)pool->seed, bits, name) < 0)
		abort();
	seed_stream_init(&stream, label);
	free(label);
	crypto_random_begin(pool->crypto, &random);
	if (!ctx || EVP_PKEY_keygen_init(ctx) <= 0 || EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) <= 0 ||
	    EVP_PKEY_generate(ctx, &pkey) <= 0) {
		fprintf(stderr, "key pool: an RSA key of %u bits cannot be made\n", bits);
		abort();
	}
	crypto_random_end(pool->crypto);
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_cleanse(&stream, sizeof stream);
	return pkey;
}

/* Makes the key's record, in memory of the shelf. */
static const uint8_t *make_record(struct key_pool *pool, struct shelf *shelf, const char *name)
{
	EVP_PKEY *pkey = generate(pool, shelf->bits, name);
	PKCS8_PRIV_KEY_INFO *info = checked(EVP_PKEY2PKCS8(pkey));
	uint8_t *der = NULL;
	int der_len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	size_t name_len = strlen(name);
	uint8_t *record;

	assert(der_len > 0 && der_len <= KEY_LEN_MAX);
	record = checked(malloc(RECORD_HEADER_LEN + name_len + (size_t)der_len));
	put_be32(record, RECORD_MAGIC);
	put_be32(record + 4, (uint32_t)name_len);
	put_be32(record + 8, (uint32_t)der_len);
	memcpy(record + RECORD_HEADER_LEN, name, name_len);
	memcpy(record + RECORD_HEADER_LEN + name_len, der, (size_t)der_len);
	record_sum(record, record + 12);
	keep_chunk(shelf, record, record_len(record), false);
	OPENSSL_clear_free(der, (size_t)der_len);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(pkey);
	return record;
}

const uint8_t *key_pool_get(struct key_pool *pool, const char *name, unsigned bits, size_t *len)
{
	struct shelf *shelf = NULL;
	const uint8_t *record;

	assert(strlen(name) <= NAME_LEN_MAX);
	for (size_t i = 0; i < SHELF_COUNT; i++)
		if (pool->shelves[i].bits == bits)
			shelf = &pool->shelves[i];
	assert(shelf && "1024, 2048 or 4096 bits");
	record = index_get(shelf, name);
	if (!record && shelf->path) {
		refresh(pool, shelf);
		record = index_get(shelf, name);
	}
	if (!record) {
		record = make_record(pool, shelf, name);
		if (shelf->path)
			append(pool, shelf, name, record);
		index_put(shelf, record);
	}
	*len = record_key_len(record);
	return record_key(record);
}

/* mkdir -p; failures show when the file is opened. */
static void make_directories(const char *directory)
{
	char *path = checked(strdup(directory));

	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(path, 0777);
		*p = '/';
	}
	mkdir(path, 0777);
	free(path);
}

struct key_pool *key_pool_new(struct crypto *crypto, uint64_t seed, const char *directory)
{
	struct key_pool *pool = checked(calloc(1, sizeof *pool));

	pool->crypto = crypto;
	pool->seed = seed;
	if (directory && !*directory)
		directory = NULL;
	if (directory)
		make_directories(directory);
	for (size_t i = 0; i < SHELF_COUNT; i++) {
		struct shelf *shelf = &pool->shelves[i];

		shelf->bits = shelf_bits[i];
		if (directory && asprintf(&shelf->path, "%s/rsa-%u-%llu.keys", directory, shelf->bits,
		                          (unsigned long long)seed) < 0)
			abort();
	}
	return pool;
}

static void free_shelf(struct shelf *shelf)
{
	while (shelf->chunks) {
		struct chunk *chunk = shelf->chunks;

		shelf->chunks = chunk->next;
		if (chunk->mapped) {
			munmap(chunk->bytes, chunk->len);
		} else {
			OPENSSL_cleanse(chunk->bytes, chunk->len);
			free(chunk->bytes);
		}
		free(chunk);
	}
	free(shelf->slots);
	free(shelf->path);
}

void key_pool_free(struct key_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < SHELF_COUNT; i++)
		free_shelf(&pool->shelves[i]);
	free(pool);
}

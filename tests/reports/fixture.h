/*
 * What the tests of reports/ share: a folder of their own that is gone afterwards, a small run to observe (alice, sc1, kdc and
 * mallory on one link), and short ways to ask a database. Header only.
 */
#ifndef TOLLGATE_TESTS_REPORTS_FIXTURE_H
#define TOLLGATE_TESTS_REPORTS_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/reports.h"
#include "sim/machine.h"
#include "sim/node.h"
#include "sim/sim.h"

#define ALICE_IP UINT32_C(0x0a010002)
#define SC1_IP UINT32_C(0x0a010003)
#define KDC_IP UINT32_C(0x0a010004)
#define MALLORY_IP UINT32_C(0x0a010066)
#define FIXTURE_PATH_MAX 256

struct fixture {
	char folder[64];
	struct sim *sim;
	struct link *link;
	struct node *alice, *sc1, *kdc, *mallory;
	char error[REPORT_ERROR_LEN];
};

static inline struct node *fixture_node(struct fixture *f, const char *name, uint32_t ip)
{
	struct node *node = node_new(f->sim, name);

	iface_new(node, f->link, "eth0", NULL, ip, 24);
	return node;
}

static inline void fixture_run_new(struct fixture *f)
{
	static const struct link_params params = { .delay_ns = NS_PER_MS };

	f->sim = sim_new(7, SIM_DEFAULT_EPOCH_S);
	f->link = link_new(f->sim, "lan", &params);
	f->alice = fixture_node(f, "alice", ALICE_IP);
	f->sc1 = fixture_node(f, "sc1", SC1_IP);
	f->kdc = fixture_node(f, "kdc", KDC_IP);
	f->mallory = fixture_node(f, "mallory", MALLORY_IP);
}

static inline void fixture_open(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	snprintf(f->folder, sizeof f->folder, "/tmp/tollgate-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->folder));
	fixture_run_new(f);
}

static inline void fixture_close(struct fixture *f)
{
	char command[128];

	sim_free(f->sim);
	snprintf(command, sizeof command, "rm -r %s", f->folder);
	ck_assert_int_eq(system(command), 0);
}

/* A path in the folder; in a buffer of the caller's. */
static inline const char *fixture_path(const struct fixture *f, const char *name, char out[FIXTURE_PATH_MAX])
{
	snprintf(out, FIXTURE_PATH_MAX, "%s/%s", f->folder, name);
	return out;
}

static inline unsigned fixture_file_count(const struct fixture *f)
{
	DIR *dir = opendir(f->folder);
	unsigned count = 0;
	struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return count;
}

/* A whole file; caller frees. */
static inline char *fixture_read(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	char *bytes;

	ck_assert_msg(file != NULL, "cannot open %s", path);
	fseek(file, 0, SEEK_END);
	*len = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(*len + 1);
	ck_assert_uint_eq(fread(bytes, 1, *len, file), *len);
	bytes[*len] = '\0';
	fclose(file);
	return bytes;
}

static inline void fixture_same_bytes(const char *a, const char *b)
{
	size_t a_len, b_len;
	char *a_bytes = fixture_read(a, &a_len), *b_bytes = fixture_read(b, &b_len);

	ck_assert_uint_eq(a_len, b_len);
	ck_assert_msg(memcmp(a_bytes, b_bytes, a_len) == 0, "%s and %s differ", a, b);
	free(a_bytes);
	free(b_bytes);
}

/* All rows of a query as "a|b\nc|d\n", NULL as "-". */
static inline const char *fixture_ask(const char *path, const char *sql)
{
	static char out[16384];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	size_t len = 0;

	out[0] = '\0';
	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const char *text = (const char *)sqlite3_column_text(stmt, i);

			len += (size_t)snprintf(out + len, sizeof out - len, "%s%s", i ? "|" : "", text ? text : "-");
			ck_assert_uint_lt(len, sizeof out);
		}
		len += (size_t)snprintf(out + len, sizeof out - len, "\n");
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return out;
}

#define ck_ask(path, sql, expected) ck_assert_str_eq(fixture_ask(path, sql), expected)

/* Sends a message of ten bytes and returns its tag. */
static inline uint64_t fixture_send(struct fixture *f, const char *kind, struct node *actor, uint32_t src, uint32_t dst)
{
	static const uint8_t bytes[] = "0123456789";
	struct trace_send send = { .actor = actor, .kind = kind, .proto = "krb5", .src_ip = src, .dst_ip = dst,
		                   .cover = COVER_KRB5, .bytes = bytes, .len = 10 };

	return trace_sent(f->sim, &send);
}

#endif

/*
 * What the files of the recorder know of each other.
 *
 * recorder.c attaches, finishes and takes the plain events; recorder_messages.c follows messages to their fates;
 * recorder_books.c keeps keys and calls until the end; recorder_rows.c writes rows.
 */
#ifndef TOLLGATE_REPORTS_RECORDER_INTERNAL_H
#define TOLLGATE_REPORTS_RECORDER_INTERNAL_H

#include <openssl/evp.h>
#include <sqlite3.h>

#include "reports/names.h"
#include "reports/reports.h"
#include "reports/schema.h"

#define MESSAGE_SHA256_LEN 32

struct sight { /* a message sent, whose fate is not known yet */
	uint64_t tag, cause;
	sim_ns sent_ns;
	const char *timer;
	uint32_t flow, nth; /* flow: index in flows */
	uint32_t actor, proto; /* names */
	uint32_t size;
	enum cover cover;
	uint8_t sha256[MESSAGE_SHA256_LEN];
};

struct sight_slot {
	uint64_t tag;     /* 0: free */
	uint32_t sight;   /* index of its sight, or SIGHT_WRITTEN */
	enum fate fate;   /* when written */
};
#define SIGHT_WRITTEN UINT32_MAX /* its row is written with a fate that a better one may replace */

struct messages { /* a zeroed struct is empty */
	struct sight_slot *slots;
	size_t slot_count, used;
	struct sight *sights;
	uint32_t *vacant; /* indexes of unused sights */
	size_t sight_room, vacant_count;
};

struct key_entry {
	uint8_t fingerprint[KEY_FINGERPRINT_LEN], parent[KEY_FINGERPRINT_LEN];
	bool has_parent;
	uint32_t role, algorithm, how, first, nth; /* names; first: who held it first; nth of its role with that one */
	uint32_t held;        /* how many handles there are now */
	uint32_t holders;     /* index of the first of its list of holders, 0: none */
	sim_ns born_ns, dead_ns;
};
struct key_holder {
	uint32_t name, next;
};

struct call_entry {
	uint32_t id, caller, callee, reason; /* names */
	const char *outcome;
	sim_ns dialled_ns, ringing_ns, answered_ns, ended_ns; /* negative: not yet */
};

struct books { /* a zeroed struct is empty */
	struct key_entry *keys;
	uint32_t *key_slots; /* index + 1; 0: free */
	size_t key_count, key_room, key_slot_count;
	struct key_holder *holders; /* the first is unused */
	size_t holder_count, holder_room;
	struct tally key_names; /* (holder, role) */
	struct tally call_ids;  /* (id): the index of its call */
	struct call_entry *calls;
	size_t call_room;
};

struct recorder {
	struct sim *sim;
	char *path, *temp;
	enum record_level level;
	sqlite3 *db;
	sqlite3_stmt *rows[ROW_COUNT];
	char error[REPORT_ERROR_LEN]; /* the first failure; "" while all is well */
	EVP_MD *sha256;
	EVP_MD_CTX *digest;

	struct names names;
	uint32_t *node_names; /* by node index: its name + 1, 0 unknown */
	uint32_t *models;     /* likewise, its model */
	size_t node_room;
	struct tally flows;    /* (src, dst, kind) */
	struct tally steps;    /* (node, machine) */
	struct tally samples;  /* (node, metric) */
	struct tally refusals; /* (node, check) */
	struct tally claims, records;
	struct messages messages;
	struct books books;
};

/* recorder.c */

/* The name of a node, by number. NULL: "". */
uint32_t recorder_node_name(struct recorder *r, const struct node *node);
static inline const char *recorder_text(const struct recorder *r, uint32_t name)
{
	return names_text(&r->names, name);
}

/* recorder_rows.c */

/* Opens the temporary database and prepares the rows. False: r->error. */
bool rows_open(struct recorder *r);
/* Keeps the first failure. */
void rows_fail(struct recorder *r);
/* Sorts everything into the tables and vacuums into this new file. False: r->error. */
bool rows_finish(struct recorder *r, const char *into);
/* Closes and removes the temporary database. */
void rows_close(struct recorder *r);

/* A row being bound, a value after the other. */
struct put {
	sqlite3_stmt *stmt;
	int at;
};
struct put put_row(struct recorder *r, enum row row);
void put_text(struct put *p, const char *text); /* lives until put_done(); NULL: "" */
void put_clean(struct put *p, const char *text); /* any bytes */
void put_int(struct put *p, int64_t value);
void put_time(struct put *p, sim_ns at_ns);     /* negative: NULL */
void put_bytes(struct put *p, const void *bytes, size_t len);
void put_done(struct recorder *r, struct put *p);

/* recorder_messages.c */

void recorder_messages_sent(struct recorder *r, const struct trace_message *message);
void recorder_messages_fate(struct recorder *r, uint64_t tag, enum fate fate, const char *why);
void recorder_messages_cover(struct recorder *r, uint64_t tag, enum cover cover);
void recorder_messages_field(struct recorder *r, uint64_t tag, const char *path, const char *value, enum field_class class_);
/* Writes what is still under way, and the flows. */
void recorder_messages_finish(struct recorder *r);
void recorder_messages_free(struct messages *messages);

/* recorder_books.c */

void books_key(struct recorder *r, const struct trace_key *key);
void books_call(struct recorder *r, const struct trace_call *call);
void books_finish(struct recorder *r);
void books_free(struct books *books);

#endif

/*
 * What a run leaves behind: the result database (recorder.c), the capture (pcapng.c) and the key directory (keylog.c); and
 * what reads it again: the ladder (ladder.c).
 *
 * The first three attach to the trace interface and write into hidden temporary files beside their targets; finish() moves
 * them into place in one step, so that a killed run or a full disk leaves the old result or a whole new one. What lies about
 * of a writer that was killed is removed by the next one with the same target.
 *
 * Recorder and capture detach from the simulation in finish() and abandon(): it must still stand then. Finish before
 * sim_free(): what lives at the end of the run is recorded as alive.
 * error buffers take REPORT_ERROR_LEN bytes. What a writer says there goes behind "PATH: " and does not name its target; what a
 * reader says names the database.
 */
#ifndef TOLLGATE_REPORTS_REPORTS_H
#define TOLLGATE_REPORTS_REPORTS_H

#include <stdio.h>
#include "sim/trace.h"

#define REPORT_ERROR_LEN 256
#define REPORT_SCHEMA_VERSION 1 /* PRAGMA user_version */
#define REPORT_APPLICATION_ID 0x546f6c6c /* PRAGMA application_id: "Toll" */

enum record_level { RECORD_SUMMARY, RECORD_FLOW, RECORD_ALL };

struct recorder;
/* Attaches to sim. media: also every media packet as a message. NULL: error says why. */
struct recorder *recorder_new(struct sim *sim, const char *path, enum record_level level, bool media, char *error);
/*
 * A row of table run; values may be set any time before finish, the last one of a name stands. The recorder itself says
 * seed, epoch_s, end_ns and record (the level) unless told otherwise.
 */
void recorder_run_value(struct recorder *recorder, const char *name, const char *value);
/* What kind of element a node is ("cta"), for table node; any time before finish. */
void recorder_node_model(struct recorder *recorder, const struct node *node, const char *model);
struct verdict {
	const char *claim;    /* what was claimed, as text; stable between runs */
	const char *result;   /* "held", "failed" */
	sim_ns at_ns;
	const char *because;  /* what happened, for a failed one; else "" */
	const char *place;    /* "scenarios/calls/x.lua:12" */
};
void recorder_verdict(struct recorder *recorder, const struct verdict *verdict);
/* Writes, vacuums and moves the database into place; frees the recorder in any case. False: error, and the old file stands. */
bool recorder_finish(struct recorder *recorder, char *error);
/* Leaves nothing behind. */
void recorder_abandon(struct recorder *recorder);

struct capture;
/* A pcapng file with an interface per link end ("NODE:IFACE"), nanosecond times, the message kind as packet comment. */
struct capture *capture_new(struct sim *sim, const char *path, char *error);
bool capture_finish(struct capture *capture, char *error);
void capture_abandon(struct capture *capture);

struct keylog;
/* A directory for Wireshark and for openssl; see keylog.c for its files. Made if missing. */
struct keylog *keylog_new(const char *directory, char *error);
/* A key as the crypto layer's watcher tells it (role, context, algorithm as there). */
void keylog_key(struct keylog *keylog, const char *role, const char *context, const char *algorithm, const uint8_t *secret,
                size_t len);
/* A certificate of an authority or element, written as NAME.pem. */
void keylog_certificate(struct keylog *keylog, const char *name, const uint8_t *der, size_t len);
bool keylog_finish(struct keylog *keylog, char *error);
void keylog_abandon(struct keylog *keylog);

struct ladder_options {
	const char *node, *call, *kind; /* NULL: all */
	sim_ns from_ns, until_ns;       /* until_ns 0: to the end */
	unsigned width;                 /* columns of the terminal; 0: 100 */
	bool color;
	bool utf8;                      /* draw with box characters and arrows; else plain ASCII */
};
/* Prints the message sequence of a result database. 0, or 2 with error. */
int ladder_print(const char *path, const struct ladder_options *options, FILE *out, char *error);
/* Prints the verdicts of a result database. 0 whatever they are, or 2 with error. */
int verdicts_print(const char *path, FILE *out, char *error);

#endif

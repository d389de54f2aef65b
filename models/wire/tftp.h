/*
 * TFTP (RFC 1350) with its options (RFC 2347; block size RFC 2348, timeout and transfer size RFC 2349): how a cable
 * device gets its configuration file and its software image. Bytes <-> struct, nothing else.
 *
 * Read strictly: an option once, its value a number within the RFC's bounds; in a request unknown options are skipped
 * (the server does not acknowledge them), in an OACK they are refused, as nothing here asks for them.
 */
#ifndef TOLLGATE_WIRE_TFTP_H
#define TOLLGATE_WIRE_TFTP_H

#include "models/wire/bytes.h"

#define TFTP_PORT 69
#define TFTP_BLOCK_DEFAULT 512
#define TFTP_BLOCK_MIN 8
#define TFTP_BLOCK_MAX 65464
#define TFTP_REQUEST_MAX 512   /* RFC 2347: the longest request */
#define TFTP_HEADER_LEN 4      /* of DATA */

enum tftp_kind {
	TFTP_READ = 1, TFTP_WRITE, TFTP_DATA, TFTP_ACK, TFTP_ERROR, TFTP_OPTIONS, TFTP_KIND_COUNT
};
enum tftp_error {
	TFTP_UNDEFINED, TFTP_NOT_FOUND, TFTP_ACCESS, TFTP_DISK_FULL, TFTP_ILLEGAL, TFTP_UNKNOWN_TID, TFTP_EXISTS,
	TFTP_NO_USER, TFTP_BAD_OPTIONS /* RFC 2347 */, TFTP_ERROR_COUNT
};

struct tftp {
	enum tftp_kind kind;
	struct span file;            /* read, write */
	bool netascii;               /* read, write; else octet */
	uint32_t block_len;          /* read, write, options: blksize; 0 absent */
	uint32_t timeout_s;          /* the same: 1..255; 0 absent */
	bool has_size;               /* the same: tsize */
	uint64_t size;
	uint16_t block;              /* data, ack */
	struct span data;            /* data; empty in the last block of a file that fills its blocks */
	enum tftp_error error;       /* error */
	struct span message;
};

bool tftp_parse(const uint8_t *bytes, size_t len, struct tftp *out);
/* Returns the length; 0: no room, or the struct holds what no packet can. */
size_t tftp_write(const struct tftp *packet, uint8_t *out, size_t size);
/* "RRQ", "OACK": what a ladder shows. */
const char *tftp_name(enum tftp_kind kind);
void tftp_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx);

#endif

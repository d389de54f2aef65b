/*
 * DNS (RFC 1035): the questions that a CTA asks of its head-end: A (who is this server), PTR (whose address is this)
 * and SRV (RFC 2782: where is the KDC of a realm, RFC 4120 section 7.2.3.2). Bytes <-> struct, nothing else.
 *
 * Read strictly: one question, class IN, names of letters, digits, '-' and '_' (their case is folded, RFC 4343); a
 * compression pointer must point before the name that holds it and to no header, so no loop is possible, and their
 * number is bounded as well. Records of other types, and the authority and additional sections, are checked for form
 * and skipped.
 */
#ifndef TOLLGATE_WIRE_DNS_H
#define TOLLGATE_WIRE_DNS_H

#include "models/wire/bytes.h"

#define DNS_PORT 53
#define DNS_MESSAGE_MAX 512    /* RFC 1035 section 2.3.4, over UDP */
#define DNS_NAME_MAX 253       /* text form: 255 bytes on the wire */
#define DNS_ANSWERS_MAX 8
#define DNS_POINTERS_MAX 16    /* followed in one name */

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_SRV = 33 };
enum dns_rcode { DNS_NO_ERROR, DNS_FORMAT_ERROR, DNS_SERVER_FAILURE, DNS_NAME_ERROR, DNS_NOT_IMPLEMENTED, DNS_REFUSED,
	DNS_RCODE_COUNT };

struct dns_record {
	char name[DNS_NAME_MAX + 1]; /* lower case, no dot at the end */
	enum dns_type type;
	uint32_t ttl_s;
	uint32_t ip;                 /* A */
	char target[DNS_NAME_MAX + 1]; /* PTR, SRV */
	uint16_t priority, weight, port; /* SRV */
};

struct dns {
	uint16_t id;
	bool response, authoritative, truncated, recursion_desired, recursion_available;
	enum dns_rcode rcode;        /* DNS_NAME_ERROR: NXDOMAIN */
	char question[DNS_NAME_MAX + 1];
	enum dns_type type;
	unsigned answer_count;
	struct dns_record answers[DNS_ANSWERS_MAX];
};

bool dns_parse(const uint8_t *bytes, size_t len, struct dns *out);
/* Names equal to the question are compressed, no others. 0: no room in size or DNS_MESSAGE_MAX, or a name is none. */
size_t dns_write(const struct dns *message, uint8_t *out, size_t size);
/* True when the response has the query's ID and question. */
bool dns_answers(const struct dns *query, const struct dns *response);
/* The name of an address's PTR record: "2.0.1.10.in-addr.arpa" for 10.1.0.2. */
#define DNS_REVERSE_LEN 29
void dns_reverse_name(uint32_t ip, char out[DNS_REVERSE_LEN]);
/* "query A", "response SRV", "NXDOMAIN": what a ladder shows. */
const char *dns_kind(const struct dns *message, char *out, size_t size);
void dns_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx);

#endif

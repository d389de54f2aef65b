/*
 * RADIUS (RFC 2865, 2866): how the KDC asks a signaling controller about a subscriber and a head-end about a lease, and how
 * a signaling controller sends its call records. It runs inside ESP between servers (flows.md 13); the shared secret of
 * the RFC is therefore a constant and protects nothing.
 */
#ifndef TOLLGATE_WIRE_RADIUS_H
#define TOLLGATE_WIRE_RADIUS_H

#include "models/wire/span.h"

#define RADIUS_AUTH_PORT 1812
#define RADIUS_ACCT_PORT 1813
#define RADIUS_MESSAGE_MAX 1024
#define RADIUS_TEXT_MAX 128
#define RADIUS_SECRET "tollgate"

enum radius_code {
	RADIUS_ACCESS_REQUEST = 1, RADIUS_ACCESS_ACCEPT = 2, RADIUS_ACCESS_REJECT = 3,
	RADIUS_ACCOUNTING_REQUEST = 4, RADIUS_ACCOUNTING_RESPONSE = 5
};

/* The attributes in use; "" or 0 is absent. */
struct radius {
	enum radius_code code;
	uint8_t id;
	uint8_t authenticator[16];
	char user_name[RADIUS_TEXT_MAX];           /* 1: phone ID in hex, or MAC */
	uint32_t framed_ip;                        /* 8 */
	char reply_message[RADIUS_TEXT_MAX];       /* 18: why it was rejected */
	char class_[RADIUS_TEXT_MAX];              /* 25: opaque to its bearer: a wrapped key, a cookie */
	char called_station[RADIUS_TEXT_MAX];      /* 30 */
	char calling_station[RADIUS_TEXT_MAX];     /* 31 */
	char nas_identifier[RADIUS_TEXT_MAX];      /* 32: who asks */
	uint32_t acct_status;                      /* 40: 1 start, 2 stop */
	char acct_session_id[RADIUS_TEXT_MAX];     /* 44 */
	uint32_t acct_session_s;                   /* 46 */
	uint32_t acct_cause;                       /* 49 */
};

bool radius_parse(const uint8_t *bytes, size_t len, struct radius *out);
/* Writes with the authenticator as given (a request to be answered); 0: no room. */
size_t radius_write(const struct radius *message, uint8_t *out, size_t size);
/* Computes the response (or accounting request) authenticator in place, RFC 2865 section 3; request: of the request it answers, or zeros. */
void radius_sign(uint8_t *bytes, size_t len, const uint8_t request[16]);
bool radius_check(const uint8_t *bytes, size_t len, const uint8_t request[16]);
const char *radius_kind(enum radius_code code);
void radius_describe(const uint8_t *bytes, size_t len,
                     void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx);

#endif

/*
 * RADIUS (RFC 2865, 2866, 5176): how the KDC asks a signaling controller about a subscriber and a head-end about a lease, and how
 * a signaling controller sends its call records. It runs inside ESP between servers (flows.md 13); the shared secret of
 * the RFC is therefore a constant and protects nothing.
 */
#ifndef TOLLGATE_WIRE_RADIUS_H
#define TOLLGATE_WIRE_RADIUS_H

#include "models/wire/span.h"

#define RADIUS_AUTH_PORT 1812
#define RADIUS_ACCT_PORT 1813
#define RADIUS_DYNAMIC_PORT 3799 /* RFC 5176 */
#define RADIUS_MESSAGE_MAX 4096
#define RADIUS_CERTIFICATE_MAX 1600
#define RADIUS_TEXT_MAX 128
#define RADIUS_SECRET "tollgate"

enum radius_code {
	RADIUS_ACCESS_REQUEST = 1, RADIUS_ACCESS_ACCEPT = 2, RADIUS_ACCESS_REJECT = 3,
	RADIUS_ACCOUNTING_REQUEST = 4, RADIUS_ACCOUNTING_RESPONSE = 5,
	RADIUS_DISCONNECT_REQUEST = 40, RADIUS_DISCONNECT_ACK = 41, RADIUS_DISCONNECT_NAK = 42, /* RFC 5176: what is to end */
	RADIUS_COA_REQUEST = 43, RADIUS_COA_ACK = 44, RADIUS_COA_NAK = 45                       /* and what is to change */
};

/* The attributes in use; "" or 0 is absent. */
struct radius {
	enum radius_code code;
	uint8_t id;
	uint8_t authenticator[16];
	char user_name[RADIUS_TEXT_MAX];           /* 1: phone ID in hex, or MAC */
	uint32_t framed_ip;                        /* 8 */
	char reply_message[RADIUS_TEXT_MAX];       /* 18: why it was rejected */
	char filter_id[RADIUS_TEXT_MAX];           /* 11: what the head-end lets pass */
	char state[RADIUS_TEXT_MAX];               /* 24: names a transaction over its repetitions */
	uint32_t session_timeout_s;                /* 27: how long something is valid */
	char class_[RADIUS_TEXT_MAX];              /* 25: opaque to its bearer: a wrapped key, a cookie */
	char called_station[RADIUS_TEXT_MAX];      /* 30 */
	char calling_station[RADIUS_TEXT_MAX];     /* 31 */
	char nas_identifier[RADIUS_TEXT_MAX];      /* 32: who asks */
	uint32_t acct_status;                      /* 40: 1 start, 2 stop */
	char acct_session_id[RADIUS_TEXT_MAX];     /* 44 */
	uint32_t acct_session_s;                   /* 46 */
	uint32_t acct_cause;                       /* 49 */
	uint32_t event_time_s;                     /* 55, RFC 2869: when the call ended, seconds since 1970 */
	char connect_info[RADIUS_TEXT_MAX];        /* 77: what a request is about */
	uint8_t certificate[RADIUS_CERTIFICATE_MAX]; /* 79, EAP-Message (RFC 3579): a certificate in DER, in pieces of 253 bytes */
	uint16_t certificate_len;
};

bool radius_parse(const uint8_t *bytes, size_t len, struct radius *out);
/* Writes with the authenticator as given (a request to be answered); 0: no room. */
size_t radius_write(const struct radius *message, uint8_t *out, size_t size);
/* Computes the response (or accounting request) authenticator in place, RFC 2865 section 3; request: of the request it answers, or zeros. */
void radius_sign(uint8_t *bytes, size_t len, const uint8_t request[16]);
bool radius_check(const uint8_t *bytes, size_t len, const uint8_t request[16]);
const char *radius_kind(enum radius_code code);
/* Puts '*' over what of a customer's data is not for the record. In place. */
void radius_mask_secrets(char *text);
/* Of customers' data it does not say how they pay, nor PINs. */
void radius_describe(const uint8_t *bytes, size_t len,
                     void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx);

#endif

/*
 * SIP messages (RFC 3261 section 7) and the part of SDP (RFC 2327) that calls use. Bytes <-> struct, nothing else.
 *
 * The parser is strict where a peer could hide something (one Call-ID, one CSeq, lengths that agree) and survives any
 * bytes. Compact header names are understood; header folding is refused, as nothing here writes it.
 */
#ifndef TOLLGATE_WIRE_SIP_H
#define TOLLGATE_WIRE_SIP_H

#include "models/wire/span.h"

#define SIP_PORT 5060
#define SIP_MESSAGE_MAX 1400 /* fits an Ethernet frame inside ESP: no fragmentation of signaling */
#define SIP_HEADERS_MAX 32

enum sip_method { SIP_OTHER, SIP_INVITE, SIP_ACK, SIP_BYE, SIP_CANCEL, SIP_OPTIONS, SIP_INFO, SIP_METHOD_COUNT };
extern const char *const sip_method_names[SIP_METHOD_COUNT];

struct sip_header {
	struct span name, value;
};

struct sip_message {
	bool request;
	enum sip_method method;      /* of the request line, or of CSeq in a response */
	struct span uri;             /* request only */
	int status;                  /* response only: 100..699 */
	struct span reason;
	struct span via, branch;     /* topmost */
	struct span from, to, from_tag, to_tag, call_id, contact;
	uint32_t cseq;
	struct span content_type, body;
	struct sip_header headers[SIP_HEADERS_MAX];
	unsigned header_count;
};

/* False: not one whole SIP message. Spans point into bytes. */
bool sip_parse(const uint8_t *bytes, size_t len, struct sip_message *out);
/* First header of that name; an empty span with at == NULL when there is none. */
struct span sip_header(const struct sip_message *message, const char *name);
/* User part of a SIP URI, bare or in <>: "sip:2155550101@sc1" gives 2155550101. */
struct span sip_user(struct span uri);
/* "INVITE", "180 Ringing": what a ladder shows. Writes at most size bytes, returns out. */
const char *sip_kind(const struct sip_message *message, char *out, size_t size);
/* Reason phrase of a status code in use; "Unknown" otherwise. */
const char *sip_reason(int status);
/* Fields for the record; same shape as trace.h's describe_fn (class 0 fact, 1 random, 2 time). */
void sip_describe(const uint8_t *bytes, size_t len,
                  void (*field)(void *ctx, const char *path, const char *value, int class_), void *ctx);

/* Session description: where one end wants its media. */
struct sdp {
	uint32_t ip;
	uint16_t port;
	uint8_t payload_type;        /* 0 PCMU, 8 PCMA */
	struct span key;             /* k=base64:... without the prefix; at NULL when absent */
	uint32_t spi;                /* a=X-spi:, 0 when absent */
	uint32_t signaling_ip;       /* a=X-signaling:, who speaks for that place when it is not the same address; 0 when absent */
};
/* Whom the call's direct signaling is with. */
static inline uint32_t sdp_signaling(const struct sdp *sdp)
{
	return sdp->signaling_ip ? sdp->signaling_ip : sdp->ip;
}
bool sdp_parse(struct span body, struct sdp *out);
/* key may be NULL; session names the o= line. */
void sdp_write(struct text *t, const struct sdp *sdp, uint64_t session);

#endif

/*
 * Asking a KDC: one Kerberos message there, one back, over TCP with its four-byte length (RFC 4120 section 7.2.2) or over UDP with
 * IP fragmentation [0069]. It retries with back-off what the network loses; what the answer says is its caller's business.
 * Each try over UDP has a port of its own, so that a late answer to an older request is not taken for one to the newest.
 * A KRB-ERROR that says KRB_AP_ERR_REPEAT over UDP is about a copy and ends nothing: the answer is still to come.
 * Refusals: "kdc_client.source" (not the KDC), "krb.too_long" (a TCP answer beyond KRB_MESSAGE_MAX).
 */
#ifndef TOLLGATE_MODELS_KDC_CLIENT_H
#define TOLLGATE_MODELS_KDC_CLIENT_H

#include "models/world.h"
#include "sim/tcp.h"

#define KDC_PORT 88
#define KDC_TRIES 4
#define KDC_RETRY_NS (2 * NS_PER_S)   /* UDP: doubles each time. TCP: pause before another connection */
#define KDC_TCP_TIMEOUT_NS (20 * NS_PER_S)

struct kdc_client;

/* bytes NULL: no answer in spite of all tries. tag: of the answer, to be accepted or refused by who judges it. */
typedef void kdc_answer_fn(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag);
/*
 * Builds the request anew for every try, so that each carries a fresh time stamp and nonce (an honest repetition must not look
 * like a replay). out is freed by the client. False gives up.
 */
typedef bool kdc_request_fn(void *ctx, struct der *out);

/* Owned by the caller. */
struct kdc_client *kdc_client_new(struct node *node, uint32_t kdc_ip, bool tcp);
void kdc_client_free(struct kdc_client *client);
/*
 * Asks; one question at a time: false when one is under way. answer is called later, but from inside this call when request gives
 * up at once. It may ask again or free the client.
 */
bool kdc_client_ask(struct kdc_client *client, kdc_request_fn *request, kdc_answer_fn *answer, void *ctx);
/* Forgets the question without an answer (a restart; before ip_reset(), which forgets the connections). */
void kdc_client_cancel(struct kdc_client *client);

#endif

/*
 * Brings a certificate to a CTA by TFTP (V12 of flows.md 5; RFC 1350): a write request for "operator.cer", mode octet,
 * then its bytes in blocks of 512. The CTA's acknowledgement of the last block says that it has taken the certificate;
 * its ERROR says that it has refused it, and the message of the ERROR is the name of its check.
 *
 * Each block is repeated until it is acknowledged, with a pause that doubles. A block acknowledged twice is not sent
 * twice (RFC 1123 section 4.2.3.1). The other end's port is what its first answer comes from; from another port of the
 * CTA comes nothing that counts, and it is told so (ERROR 5).
 *
 * Refusals: "tftp.malformed", "tftp.unexpected" (a stranger, an acknowledgement of what was not sent).
 */
#ifndef TOLLGATE_MODELS_CERTIFICATE_SENDER_H
#define TOLLGATE_MODELS_CERTIFICATE_SENDER_H

#include "crypto/pki.h"
#include "sim/node.h"

#define CERTIFICATE_FILE "operator.cer"
#define CERTIFICATE_SENDER_RETRANSMIT_NS (1 * NS_PER_S) /* doubles each time */
#define CERTIFICATE_SENDER_TRIES 5
#define CERTIFICATE_CHECK_MAX 48

enum certificate_outcome { CERTIFICATE_TAKEN, CERTIFICATE_REFUSED, CERTIFICATE_NO_ANSWER };
struct certificate_sender;
/* check: the CTA's, when it refused; else "". The sender is gone afterwards. */
typedef void certificate_sent_fn(void *ctx, enum certificate_outcome outcome, const char *check);

/*
 * Starts at once; cert is copied. done is called later, never from inside. Owned by the caller until done() is called.
 */
struct certificate_sender *certificate_sender_start(struct node *node, uint32_t ip, const struct der *cert,
                                                    certificate_sent_fn *done, void *ctx);
/* Stops without done(); NULL is harmless. */
void certificate_sender_stop(struct certificate_sender *sender);

#endif

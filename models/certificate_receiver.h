/*
 * How a CTA takes its operator certificate (flows.md 5, V12; RFC 1350): the provisioning CA writes "operator.cer" to its TFTP
 * port. Its owner judges the whole file; the acknowledgement of the last block says that it has been taken, an ERROR with
 * the name of the check that it has been refused. Nobody is believed because of where he comes from: what counts is the operator's
 * signature on the certificate.
 *
 * One transfer at a time; from the same address a new one takes the place of the one before, whose sender has restarted. A
 * repeated block is acknowledged again, the last one for CERTIFICATE_LINGER_NS. Refusals:
 * "tftp.malformed", "tftp.unexpected" (no such file, another mode, not the transfer's peer or block), "tftp.busy",
 * "cta.certificate_too_long", and the owner's.
 */
#ifndef TOLLGATE_MODELS_CERTIFICATE_RECEIVER_H
#define TOLLGATE_MODELS_CERTIFICATE_RECEIVER_H

#include "crypto/pki.h"
#include "models/access_message.h"

#define CERTIFICATE_BYTES_MAX 4096
#define CERTIFICATE_IDLE_NS (20 * NS_PER_S)
#define CERTIFICATE_LINGER_NS (20 * NS_PER_S)

struct certificate_receiver;
/* The file is whole. NULL: taken; else the check that refuses it (static text). */
typedef const char *certificate_judge_fn(void *ctx, const uint8_t *bytes, size_t len, uint32_t from_ip);

/* Owned by the caller. Binds at reset. */
struct certificate_receiver *certificate_receiver_new(struct node *node, certificate_judge_fn *judge, void *ctx);
void certificate_receiver_free(struct certificate_receiver *receiver);
void certificate_receiver_reset(struct certificate_receiver *receiver);
/* Unbinds and forgets (power is lost). */
void certificate_receiver_stop(struct certificate_receiver *receiver);

#endif

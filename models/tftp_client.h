/*
 * Reading a file by TFTP (RFC 1350, 1123 section 4.2.3, 2347, 2348): a device and its configuration or image. One
 * file at a time.
 *
 * It asks for blocks of TFTP_BLOCK_WANTED bytes and takes what it gets. It repeats what it said last when nothing
 * comes, and acknowledges a block that comes again; after the last block it goes on doing so for TFTP_DALLY_NS.
 * Its peer is the server's address and the port from which the first answer came.
 *
 * Refusals: "tftp.malformed", "tftp.unknown_tid" (not the server, or another port of it), "tftp.block" (not the
 * one that is next), "tftp.options" (more than was asked for), "tftp.too_long".
 */
#ifndef TOLLGATE_MODELS_TFTP_CLIENT_H
#define TOLLGATE_MODELS_TFTP_CLIENT_H

#include "crypto/pki.h"
#include "models/access_message.h"

#define TFTP_BLOCK_WANTED 1428
#define TFTP_CLIENT_TIMEOUT_NS (2 * NS_PER_S) /* doubles each time; longer than the server's, which repeats data */
#define TFTP_CLIENT_TRIES 5
#define TFTP_DALLY_NS (5 * NS_PER_S)

struct tftp_client;
/* file NULL: it did not come. It lives for the call. */
typedef void tftp_done_fn(void *ctx, const struct der *file);

struct tftp_client *tftp_client_new(struct node *node);
void tftp_client_free(struct tftp_client *client);
/* Forgets what is under way; nobody is called. */
void tftp_client_reset(struct tftp_client *client);
/* Reads a file of at most max bytes; what was under way is forgotten. done is never called from inside. */
void tftp_client_read(struct tftp_client *client, uint32_t server, const char *file, size_t max, tftp_done_fn *done,
                      void *ctx);

#endif

/*
 * A TFTP server that is read from (RFC 1350, 1123 section 4.2.3, 2347, 2348): a head-end's configuration files and
 * software images (flows.md 5, V1). Its owner says which bytes a name stands for, for whom.
 *
 * A transfer has a port of its own and lasts until its last block is acknowledged, its peer reports an error, or
 * TFTP_TRIES repetitions have brought no answer. Only time repeats a block, never a doubled acknowledgement (RFC
 * 1123 section 4.2.3.1). A restart forgets transfers. A peer whose host says that nobody is at the port (ICMP) ends
 * its transfer at once, so that requests under another's address leave that other room. A request that is sent to all
 * is not answered (section 4.2.3.4), and an error never by an error.
 *
 * Refusals: "tftp.malformed", "tftp.write" (nothing is written here), "tftp.mode" (not octet), "tftp.not_found",
 * "tftp.broadcast", "tftp.busy" (as many transfers as there is room for), "tftp.too_long" (for its block numbers),
 * "tftp.unknown_tid" (not the transfer's peer), "tftp.block" (of no block that was sent).
 */
#ifndef TOLLGATE_MODELS_TFTP_SERVER_H
#define TOLLGATE_MODELS_TFTP_SERVER_H

#include "crypto/pki.h"
#include "models/access_message.h"

#define TFTP_TIMEOUT_NS (1 * NS_PER_S)   /* doubles each time */
#define TFTP_TRIES 5
#define TFTP_TRANSFERS_MAX 1024
#define TFTP_TRANSFERS_PER_PEER_MAX 4
#define TFTP_BLOCK_OFFERED_MAX 1428      /* one unfragmented datagram, in a tunnel too */

struct tftp_server;
struct tftp_file {
	struct der bytes;
	bool lent; /* they are their owner's and outlive the server's transfers; else to be freed with der_free() */
};
/* Gives the file's bytes for the device at ip; false: there is none for it. out is empty before. */
typedef bool tftp_file_fn(void *ctx, struct span file, uint32_t ip, struct tftp_file *out);

/* Owned by the caller. Binds at reset. */
struct tftp_server *tftp_server_new(struct node *node, tftp_file_fn *fn, void *ctx);
void tftp_server_free(struct tftp_server *server);
void tftp_server_reset(struct tftp_server *server);
unsigned tftp_server_transfers(const struct tftp_server *server); /* under way */

#endif

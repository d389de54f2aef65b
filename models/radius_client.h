/*
 * Questions between servers by RADIUS: request, retransmission, answer (RFC 2865 section 2). Used by the KDC (subscriber at a signaling
 * controller, lease at a head-end) and for call records (RFC 2866). The datagrams are protected traffic of models/ipsec.h:
 * an association with the peer must stand, or backend.ipsec is off.
 *
 * Refusals: "backend.ipsec" (an answer in clear), "radius.malformed", "radius.unexpected" (no such question, another server, or its
 * authenticator does not answer ours).
 */
#ifndef TOLLGATE_MODELS_RADIUS_CLIENT_H
#define TOLLGATE_MODELS_RADIUS_CLIENT_H

#include "models/ipsec.h"
#include "models/wire/radius.h"

#define RADIUS_RETRANSMIT_NS (1 * NS_PER_S) /* doubles each time */
#define RADIUS_TRIES 5
#define RADIUS_PENDING_MAX 256              /* identifiers of one client port */

struct radius_client;
/* answer NULL: none came. It lives for the call. */
typedef void radius_answer_fn(void *ctx, const struct radius *answer, uint64_t tag);

/* Owned by the caller. */
struct radius_client *radius_client_new(struct node *node, struct ipsec *ipsec);
void radius_client_free(struct radius_client *client);
/* Forgets every question (a restart) and binds its port anew. */
void radius_client_reset(struct radius_client *client);
/* Sends question (id and authenticator are set here). False: as many questions as identifiers are under way already. */
bool radius_client_ask(struct radius_client *client, uint32_t server_ip, const struct radius *question,
                       radius_answer_fn *answer, void *ctx);

#endif

/*
 * Answering servers' questions by RADIUS (RFC 2865 section 2): one UDP port, protected traffic of models/ipsec.h. A question that is repeated is
 * answered again: answers must not depend on how often they were asked.
 *
 * Refusals: "backend.ipsec" (came in clear), "radius.malformed", "radius.authenticator", "radius.stranger" (not a server of the directory).
 */
#ifndef TOLLGATE_MODELS_RADIUS_SERVER_H
#define TOLLGATE_MODELS_RADIUS_SERVER_H

#include "models/ipsec.h"
#include "models/wire/radius.h"

struct radius_server;

struct radius_asked { /* a question and where its answer goes; may be kept */
	struct radius question;
	const char *principal; /* who asks, by the association or, with backend.ipsec off, by the directory; of the run */
	uint32_t ip;
	uint16_t port;
	uint64_t tag;          /* to be accepted or refused */
};
/* Answers with radius_server_answer(), now or later. */
typedef void radius_question_fn(void *ctx, const struct radius_asked *asked);

/* Owned by the caller. Binds at reset. */
struct radius_server *radius_server_new(struct node *node, struct ipsec *ipsec, uint16_t port, radius_question_fn *fn, void *ctx);
void radius_server_free(struct radius_server *server);
void radius_server_reset(struct radius_server *server);
/* code and attributes of answer are set; id and authenticator follow from the question. */
void radius_server_answer(struct radius_server *server, const struct radius_asked *asked, const struct radius *answer);
/*
 * Accept or ACK, or reject or NAK with the check that refused it, which is recorded. check NULL: accept. An accounting request that is refused
 * gets no answer.
 */
void radius_server_judge(struct radius_server *server, const struct radius_asked *asked, const char *check);

#endif

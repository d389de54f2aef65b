/*
 * What a server has answered to orders of other servers (RFC 5176), so that a copy of an order that was held back, or
 * comes again, changes nothing: its undoing may have come in between. Signaling controllers and head-ends have one, on
 * their disks. An order is known by who gave it, its name (State), its code and whom it is about; one without a name is
 * not remembered.
 *
 * Beyond ORDER_ANSWERS_MAX the oldest go.
 */
#ifndef TOLLGATE_MODELS_ORDER_ANSWERS_H
#define TOLLGATE_MODELS_ORDER_ANSWERS_H

#include "models/radius_server.h"

#define ORDER_ANSWERS_MAX 4096

struct order_answers;
struct order_answers *order_answers_new(void);
void order_answers_free(struct order_answers *answers); /* NULL is harmless */
/* Whether this order was answered before; *check: how, NULL: done. It lives until the next one is kept. */
bool order_answers_find(const struct order_answers *answers, const struct radius_asked *asked, const char **check);
/* check is copied. One answered before keeps its first answer. */
void order_answers_keep(struct order_answers *answers, const struct radius_asked *asked, const char *check);
unsigned order_answers_count(const struct order_answers *answers);

#endif

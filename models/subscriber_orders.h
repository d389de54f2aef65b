/*
 * What the provisioning CA orders of a signaling controller (flows.md 5, V3 and V9-V11; 7; patent [0140]-[0148]): a
 * subscriber is entered once its head-end has taken the device, and taken out once its head-end has let it go; and what
 * a controller asks the CA about a device that comes with its manufacturer's certificate.
 *
 * An order has a name (State) that stays over its repetitions: one that comes while it is worked on joins it, one that
 * comes afterwards has the same answer and changes nothing (models/order_answers.h), unless that was that the head-end
 * is silent. Nothing is entered before the head-end's answer. A device that has another number here stays on its
 * head-end's list.
 *
 * Refusals: "sc.check_pca" (not a provisioning CA), "sc.malformed_order", "sc.number_taken" (by another device),
 * "sc.no_head_end", "sc.head_end_timeout", "sc.limit", the head-end's own; "sc.pca_timeout" for a device. An operator
 * without a provisioning CA approves every device.
 */
#ifndef TOLLGATE_MODELS_SUBSCRIBER_ORDERS_H
#define TOLLGATE_MODELS_SUBSCRIBER_ORDERS_H

#include "models/backend.h"
#include "models/radius_client.h"
#include "models/radius_server.h"
#include "models/subscriber.h"

#define SUBSCRIBER_ORDERS_MAX 4096 /* under way */
/* The refusal that says nothing of what came of an order: it is to be given again, under the same name. */
#define SUBSCRIBER_ORDERS_UNKNOWN "sc.head_end_timeout"

struct subscriber_orders;
struct subscriber_orders_config { /* borrowed parts of the controller */
	struct node *node;
	struct backend *backend;
	struct subscribers *subscribers;
	struct radius_client *questions;
	struct radius_server *answers, *dynamic; /* 1812, 3799 */
	const char *principal;
};
/* Owned by the caller; config is copied. */
struct subscriber_orders *subscriber_orders_new(const struct subscriber_orders_config *config);
void subscriber_orders_free(struct subscriber_orders *orders);
/* A restart: what is under way is forgotten; who ordered it orders again. */
void subscriber_orders_reset(struct subscriber_orders *orders);
/* A CoA- or Disconnect-Request. */
void subscriber_orders_take(struct subscriber_orders *orders, const struct radius_asked *asked);
/* The KDC's question about a device (Connect-Info "device"). */
void subscriber_orders_device(struct subscriber_orders *orders, const struct radius_asked *asked);
unsigned subscriber_orders_under_way(const struct subscriber_orders *orders);

#endif

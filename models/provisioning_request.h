/*
 * Requests of the centre's terminals to the provisioning CA (V7 of flows.md 5; patent [0141]-[0145], [0151]-[0182]):
 * each is judged as a whole before anything is changed; what passes becomes a transaction, its number reserved.
 *
 * A request (RADIUS Access-Request) has: connect_info "new", "change", "terminate", "move" or "repair"; state, the name
 * of the transaction; framed_ip, where the calling CTA is (or calling_station, its number or MAC); user_name, the
 * customer's data; class_, a work order's number; called_station, the number wished or the one it is about; filter_id,
 * the options; acct_session_s, how long the call has lasted already; session_timeout_s, how long a repair facility's
 * certificate is to be good.
 *
 * Refusals: "pca.malformed" (no or too long a state, a number that is none), "pca.unknown_request",
 * "pca.unknown_device" (nobody reported one at this address), "pca.bind_call" (another device was reported there since
 * the call began, or it is another that calls), "pca.denied", "pca.busy" (something is under way with the device),
 * "pca.device_in_use", "pca.customer_data" (neither data nor work order), "pca.work_order" (unknown, used up or
 * about to be, or for another device), "pca.number_location" (not a number of its segment), "pca.number_taken", "pca.no_number" (none
 * left), "pca.unknown_customer", "pca.not_owner" (a move by another device than the number's), "pca.same_segment" (a
 * move to where it is), "pca.limit".
 *
 * Whether the caller may speak for the customer is not known here: that is the centre's to find out
 * ("csr.verify_caller").
 */
#ifndef TOLLGATE_MODELS_PROVISIONING_REQUEST_H
#define TOLLGATE_MODELS_PROVISIONING_REQUEST_H

#include "models/provisioning_flow.h"
#include "models/work_order.h"

#define REPAIR_LIFETIME_MAX_S (7 * 24 * 3600) /* "a few days or even a few hours" [0177] */

struct request_ground { /* what requests are judged by */
	struct node *node;
	struct provisioning_store *store;
	struct work_orders *orders;
	struct flows *flows;
	int64_t lifetime_s, repair_lifetime_s; /* of certificates */
};

/* NULL: *out is a transaction, not yet started. Else the check that refuses; nothing has changed. */
const char *provisioning_request_take(const struct request_ground *ground, const struct radius *request,
                                      struct transaction **out);

#endif

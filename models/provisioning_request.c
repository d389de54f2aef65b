/* Requests to the provisioning CA; see provisioning_request.h. */
#include "models/provisioning_request.h"

#include <stdio.h>
#include <string.h>
#include "models/directory.h"

struct wanted { /* a request, read and judged */
	const struct request_ground *ground;
	const struct radius *q;
	enum flow_kind kind;
	char number[SUBSCRIBER_NUMBER_LEN]; /* called_station; "" */
	struct device *device;
	const struct binding *binding;      /* NULL: the device was not found by its address */
	uint32_t cta_ip;
	struct customer *customer;          /* whose number it is; NULL */
	struct work_order *order;           /* NULL */
	const char *data, *options;
};

/* The calling device */

/*
 * The record of an address must be the caller's: not overwritten since the call began (to the second, in the caller's
 * favour or not: what came in the same second counts as later).
 */
static bool overwritten_in_call(const struct wanted *w)
{
	sim_ns began_ns = w->ground->node->sim->now_ns - ((sim_ns)w->q->acct_session_s + 1) * NS_PER_S;

	return w->q->acct_session_s && w->binding->overwrote && w->binding->since_ns >= began_ns;
}

static const char *find_by_address(struct wanted *w)
{
	uint8_t mac[6];

	w->binding = binding_find(w->ground->store, w->q->framed_ip);
	w->cta_ip = w->q->framed_ip;
	if (!w->binding)
		return "pca.unknown_device";
	w->device = w->binding->device;
	if (world_on(world_of(w->ground->node->sim), "pca.bind_call") &&
	    (overwritten_in_call(w) ||
	     (device_mac_parse(w->q->calling_station, mac) && memcmp(mac, w->device->mac, 6) != 0)))
		return "pca.bind_call";
	return NULL;
}

static const char *find_by_name(struct wanted *w)
{
	char digits[SUBSCRIBER_NUMBER_LEN];
	const struct customer *caller;
	uint8_t mac[6];

	if (device_mac_parse(w->q->calling_station, mac)) {
		w->device = device_find(w->ground->store, mac);
	} else if (number_digits(w->q->calling_station, digits)) {
		caller = customer_by_number(w->ground->store, digits);
		w->device = caller ? caller->device : NULL;
	}
	if (!w->device || !w->device->cert.len)
		return "pca.unknown_device";
	w->cta_ip = w->device->ip;
	w->binding = binding_find(w->ground->store, w->device->ip);
	return w->binding && w->binding->device == w->device ? NULL : "pca.unknown_device";
}

static const char *find_device(struct wanted *w)
{
	const char *check = w->q->framed_ip ? find_by_address(w) : find_by_name(w);

	if (check)
		return check;
	if (device_denied(w->ground->store, w->device->mac))
		return "pca.denied";
	return w->device->busy ? "pca.busy" : NULL;
}

/* The number */

static bool elsewhere(void *ctx, const char *digits)
{
	const struct request_ground *g = ctx;

	return directory_number(world_directory(world_of(g->node->sim)), digits) != NULL;
}

/* By wish or by location [0141], [0144]. */
static const char *choose_number(struct wanted *w, const char *wish)
{
	struct provisioning_store *store = w->ground->store;
	const char *controller = w->device->controller;

	if (!wish[0])
		return number_assign(store, controller, elsewhere, (void *)w->ground, w->number) ? NULL
		                                                                                 : "pca.no_number";
	if (!number_local(store, controller, wish))
		return "pca.number_location";
	if (!number_free(store, wish) || elsewhere((void *)w->ground, wish))
		return "pca.number_taken";
	snprintf(w->number, sizeof w->number, "%s", wish);
	return NULL;
}

static const char *find_customer(struct wanted *w)
{
	w->customer = customer_by_number(w->ground->store, w->number);
	if (!w->customer || w->customer->pending)
		return "pca.unknown_customer";
	return w->customer->device->busy ? "pca.busy" : NULL;
}

/* What each kind asks for */

static const char *find_order(struct wanted *w)
{
	struct work_order *order = work_orders_find(w->ground->orders, w->q->class_);

	if (!order || order->used || order->taken || (order->has_mac && memcmp(order->mac, w->device->mac, 6) != 0))
		return "pca.work_order";
	w->order = order;
	w->data = order->customer;
	if (!w->options[0])
		w->options = order->options;
	return NULL;
}

static const char *judge_account(struct wanted *w, bool repair)
{
	char wish[SUBSCRIBER_NUMBER_LEN];
	const char *check = NULL;

	if (repair ? w->device->repair : w->device->owner)
		return "pca.device_in_use";
	if (w->q->class_[0])
		check = find_order(w);
	else if (!w->data[0])
		check = "pca.customer_data";
	if (check)
		return check;
	snprintf(wish, sizeof wish, "%s", w->number[0] ? w->number : w->order ? w->order->wish : "");
	return choose_number(w, wish);
}

static const char *judge_new(struct wanted *w)
{
	const char *check = find_device(w);

	return check ? check : judge_account(w, false);
}

/* With the owner's number the owner's certificate is to come back [0182]. */
static const char *judge_repair(struct wanted *w)
{
	const char *check = find_device(w);

	if (check)
		return check;
	w->customer = w->device->owner;
	if (w->number[0] && w->customer && strcmp(w->customer->number, w->number) == 0) {
		w->kind = FLOW_RESTORE;
		return NULL;
	}
	return judge_account(w, true);
}

/*
 * The customer's own device may be anywhere by now: where the call comes from is where a certificate is offered, unless
 * another device is known to be there.
 */
static const char *judge_change(struct wanted *w)
{
	const struct binding *there;
	const char *check = find_customer(w);

	if (check)
		return check;
	w->device = w->customer->device;
	there = binding_find(w->ground->store, w->q->framed_ip);
	w->cta_ip = there && there->device != w->device ? 0 : w->q->framed_ip;
	if (!w->data[0])
		w->data = w->customer->data;
	return NULL;
}

static const char *judge_terminate(struct wanted *w)
{
	const char *check = find_customer(w);

	w->device = check ? NULL : w->customer->device;
	return check;
}

static const char *judge_move(struct wanted *w)
{
	const char *check = find_device(w);

	if (!check)
		check = find_customer(w);
	if (check)
		return check;
	if (w->customer->device != w->device)
		return "pca.not_owner";
	if (strcmp(w->customer->controller, w->device->controller) == 0)
		return "pca.same_segment";
	if (!w->data[0])
		w->data = w->customer->data;
	if (!w->options[0])
		w->options = w->customer->options;
	return choose_number(w, "");
}

static const char *(*const judges[FLOW_KINDS])(struct wanted *w) = {
	[FLOW_NEW] = judge_new, [FLOW_CHANGE] = judge_change, [FLOW_TERMINATE] = judge_terminate,
	[FLOW_MOVE] = judge_move, [FLOW_REPAIR] = judge_repair,
};

/* What passed becomes a transaction */

static bool has_new_customer(enum flow_kind kind)
{
	return kind == FLOW_NEW || kind == FLOW_MOVE || kind == FLOW_REPAIR;
}

static int64_t lifetime_of(const struct wanted *w)
{
	const struct request_ground *g = w->ground;
	bool repair = w->kind == FLOW_REPAIR || (w->customer && w->customer->repair);
	int64_t asked_s = w->q->session_timeout_s;

	if (!repair)
		return g->lifetime_s;
	return asked_s > 0 && asked_s <= REPAIR_LIFETIME_MAX_S ? asked_s : g->repair_lifetime_s;
}

static void set(char out[RADIUS_TEXT_MAX], const char *text)
{
	snprintf(out, RADIUS_TEXT_MAX, "%s", text);
}

static void put_sides(struct transaction *t, const struct wanted *w, struct customer *fresh)
{
	t->before = w->kind == FLOW_RESTORE ? w->device->repair : w->customer;
	t->after = fresh ? fresh : w->customer;
	if (w->kind == FLOW_NEW || w->kind == FLOW_REPAIR)
		t->before = NULL;
	if (t->before) {
		set(t->old_options, t->before->options);
		set(t->old_data, t->before->data);
	}
	if (t->after) {
		set(t->new_options,
		    w->kind == FLOW_RESTORE || w->kind == FLOW_TERMINATE ? t->after->options : w->options);
		set(t->new_data, w->data);
		snprintf(t->number, sizeof t->number, "%s", t->after->number);
		snprintf(t->customer_id, sizeof t->customer_id, "%s", t->after->id);
	}
}

static const char *make(const struct wanted *w, struct transaction **out)
{
	struct customer_request request = { .number = w->number, .data = w->data, .options = w->options,
		                            .device = w->device,
		                            .controller = w->device->controller, .repair = w->kind == FLOW_REPAIR };
	struct customer *fresh = NULL;
	struct transaction *t;

	if (w->kind == FLOW_MOVE) {
		request.replaces = w->customer;
		request.repair = w->customer->repair;
	}
	t = flow_add(w->ground->flows, w->q->state, w->kind);
	if (t && has_new_customer(w->kind))
		fresh = customer_add(w->ground->store, &request);
	if (!t)
		return "pca.limit";
	if (has_new_customer(w->kind) && !fresh) {
		flow_abandon(t);
		return "pca.limit";
	}
	t->device = w->device;
	t->device->busy = t;
	put_sides(t, w, fresh);
	t->cta_ip = w->cta_ip;
	t->binding = w->kind != FLOW_CHANGE && w->binding ? w->binding->serial : 0;
	t->lifetime_s = lifetime_of(w);
	if (w->order) {
		w->order->taken = true;
		snprintf(t->work_order, sizeof t->work_order, "%s", w->order->number);
	}
	*out = t;
	return NULL;
}

const char *provisioning_request_take(const struct request_ground *ground, const struct radius *request,
                                      struct transaction **out)
{
	struct wanted w = { .ground = ground, .q = request, .kind = flow_kind_of(request->connect_info),
		            .data = request->user_name, .options = request->filter_id };
	const char *check;

	if (!request->state[0] || strlen(request->state) > FLOW_NAME_MAX ||
	    (request->called_station[0] && !number_digits(request->called_station, w.number)))
		return "pca.malformed";
	if (w.kind == FLOW_KINDS)
		return "pca.unknown_request";
	check = judges[w.kind](&w);
	return check ? check : make(&w, out);
}

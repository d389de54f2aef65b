/* Orders of the provisioning CA at a signaling controller; see subscriber_orders.h. */
#include "models/subscriber_orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/access_message.h"
#include "models/directory.h"
#include "models/order_answers.h"

#define INFO_SUBSCRIBER "subscriber"
#define INFO_DEVICE "device"
#define FILTER_VOICE "voice" /* what the head-end lets a subscriber's device reach: everything */

enum order_kind { ORDER_ENTER, ORDER_REMOVE, ORDER_DEVICE };

struct order { /* waiting for another server's answer */
	struct order *next;
	struct subscriber_orders *orders;
	enum order_kind kind;
	struct radius_asked asked;         /* the newest of its repetitions */
	char digits[SUBSCRIBER_NUMBER_LEN];
	uint8_t mac[6];
	uint32_t at_ip;                    /* who is asked */
};

struct subscriber_orders {
	struct subscriber_orders_config config;
	struct order_answers *answered; /* on disk */
	struct order *first;
	unsigned count;
};

static struct directory *directory(const struct subscriber_orders *o)
{
	return world_directory(world_of(o->config.node->sim));
}

static struct radius_server *server_of(const struct order *order)
{
	return order->kind == ORDER_DEVICE ? order->orders->config.answers : order->orders->config.dynamic;
}

static void done(struct order *order, const char *check)
{
	struct subscriber_orders *o = order->orders;
	struct order **at = &o->first;

	if (order->kind != ORDER_DEVICE && (!check || strcmp(check, SUBSCRIBER_ORDERS_UNKNOWN) != 0))
		order_answers_keep(o->answered, &order->asked, check);

	radius_server_judge(server_of(order), &order->asked, check);
	while (*at != order)
		at = &(*at)->next;
	*at = order->next;
	o->count--;
	free(order);
	sim_changed(o->config.node->sim, o->config.node);
}

/* The head-end, or the CA, has spoken */

static void commit(const struct order *order)
{
	struct subscriber_orders *o = order->orders;
	struct crypto *crypto = world_crypto(world_of(o->config.node->sim));

	if (order->kind == ORDER_ENTER) {
		subscribers_put(o->config.subscribers, crypto, order->digits, order->mac, order->asked.question.framed_ip);
		directory_number_set(directory(o), order->digits, o->config.principal);
	} else if (order->kind == ORDER_REMOVE && subscribers_remove(o->config.subscribers, order->digits)) {
		directory_number_set(directory(o), order->digits, NULL);
	}
}

static bool accepted(const struct radius *answer)
{
	return answer->code == RADIUS_COA_ACK || answer->code == RADIUS_DISCONNECT_ACK || answer->code == RADIUS_ACCESS_ACCEPT;
}

static const char *taken_by_other(const struct order *order)
{
	const struct subscriber *known = subscribers_by_number(order->orders->config.subscribers, order->digits);

	return order->kind != ORDER_DEVICE && known && memcmp(known->mac, order->mac, sizeof known->mac) != 0 ? "sc.number_taken" : NULL;
}

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct order *order = ctx;
	struct subscriber_orders *o = order->orders;
	char check[RADIUS_TEXT_MAX];

	if (!answer) {
		backend_drop(o->config.backend, order->at_ip);
		done(order, order->kind == ORDER_DEVICE ? "sc.pca_timeout" : SUBSCRIBER_ORDERS_UNKNOWN);
		return;
	}
	message_accept(o->config.node, tag);
	if (!accepted(answer)) {
		snprintf(check, sizeof check, "%s", answer->reply_message[0] ? answer->reply_message : "sc.refused");
		done(order, check);
		return;
	}
	if (taken_by_other(order)) { /* meanwhile */
		done(order, "sc.number_taken");
		return;
	}
	commit(order);
	done(order, NULL);
}

/* The question that an order becomes */

static void fill(const struct order *order, struct radius *question)
{
	const struct radius *q = &order->asked.question;

	snprintf(question->state, sizeof question->state, "%s", q->state);
	device_mac_text(order->mac, question->user_name);
	if (order->kind == ORDER_REMOVE) {
		question->code = RADIUS_DISCONNECT_REQUEST;
		return;
	}
	question->framed_ip = q->framed_ip;
	if (order->kind == ORDER_ENTER) {
		question->code = RADIUS_COA_REQUEST;
		snprintf(question->connect_info, sizeof question->connect_info, INFO_SUBSCRIBER);
		snprintf(question->filter_id, sizeof question->filter_id, FILTER_VOICE);
		return;
	}
	question->code = RADIUS_ACCESS_REQUEST;
	snprintf(question->connect_info, sizeof question->connect_info, INFO_DEVICE);
	snprintf(question->nas_identifier, sizeof question->nas_identifier, "%s", order->orders->config.principal);
	memcpy(question->certificate, q->certificate, q->certificate_len);
	question->certificate_len = q->certificate_len;
}

static void on_ready(void *ctx, bool ready)
{
	struct order *order = ctx;
	struct subscriber_orders *o = order->orders;
	struct radius question = { 0 };

	fill(order, &question);
	if (!ready || !radius_client_ask(o->config.questions, order->at_ip, &question, on_answer, order))
		done(order, order->kind == ORDER_DEVICE ? "sc.pca_timeout" : SUBSCRIBER_ORDERS_UNKNOWN);
}

/* Taking orders */

static struct order *same_order(const struct subscriber_orders *o, enum order_kind kind, const struct radius_asked *asked)
{
	struct order *order = o->first;

	while (order && (order->kind != kind || order->asked.ip != asked->ip || !asked->question.state[0] ||
	                 strcmp(order->asked.question.state, asked->question.state) != 0))
		order = order->next;
	return order;
}

static void begin(struct subscriber_orders *o, const struct order *given)
{
	struct order *order = sim_alloc(sizeof *order);

	*order = *given;
	order->next = o->first;
	o->first = order;
	o->count++;
	backend_ensure(o->config.backend, order->at_ip, on_ready, order);
}

static uint32_t head_end_ip(const struct subscriber_orders *o, uint32_t device_ip)
{
	const char *principal = directory_head_end_of(directory(o), device_ip);

	return principal ? directory_service_ip(directory(o), principal) : 0;
}

/*
 * A device with two numbers, its owner's and a repair facility's [0176], keeps its access with the one that is left: its
 * head-end knows MACs, not numbers. One that is being entered counts: the head-end may have been told already.
 */
static bool has_other_number(const struct subscriber_orders *o, const struct order *order)
{
	const struct subscriber *known = NULL;

	for (const struct order *other = o->first; other; other = other->next)
		if (other->kind == ORDER_ENTER && memcmp(other->mac, order->mac, sizeof other->mac) == 0 &&
		    strcmp(other->digits, order->digits) != 0 && other->at_ip == order->at_ip)
			return true;
	while ((known = subscribers_next_of_mac(o->config.subscribers, order->mac, known)))
		if (strcmp(known->number, order->digits) != 0 && head_end_ip(o, known->ip) == order->at_ip)
			return true;
	return false;
}

static const char *read_order(const struct subscriber_orders *o, const struct radius_asked *asked, struct order *order)
{
	const struct radius *q = &asked->question;
	const struct subscriber *known;

	if (strncmp(asked->principal, "pca/", 4) != 0)
		return "sc.check_pca";
	if (!number_digits(q->called_station, order->digits) || !device_mac_read(q->calling_station, order->mac) ||
	    (order->kind == ORDER_ENTER && (!q->framed_ip || strcmp(q->connect_info, INFO_SUBSCRIBER) != 0)))
		return "sc.malformed_order";
	if (taken_by_other(order))
		return "sc.number_taken";
	known = subscribers_by_number(o->config.subscribers, order->digits);
	order->at_ip = head_end_ip(o, order->kind == ORDER_ENTER ? q->framed_ip : known ? known->ip : 0);
	if (order->kind == ORDER_REMOVE && order->at_ip && has_other_number(o, order))
		order->at_ip = 0; /* which is why its head-end is to keep it */
	return order->kind == ORDER_ENTER && !order->at_ip ? "sc.no_head_end" : NULL;
}

/* Refused, or nobody else is to be told. */
static void conclude(struct subscriber_orders *o, const struct order *order, const char *check)
{
	if (!check) {
		commit(order);
		sim_changed(o->config.node->sim, o->config.node);
	}
	if (!check || strcmp(check, "sc.number_taken") == 0)
		order_answers_keep(o->answered, &order->asked, check);
	radius_server_judge(o->config.dynamic, &order->asked, check);
}

void subscriber_orders_take(struct subscriber_orders *o, const struct radius_asked *asked)
{
	bool remove = asked->question.code == RADIUS_DISCONNECT_REQUEST;
	struct order order = { .orders = o, .kind = remove ? ORDER_REMOVE : ORDER_ENTER, .asked = *asked }, *same;
	const char *check = remove || asked->question.code == RADIUS_COA_REQUEST ? NULL : "sc.unknown_question";

	same = check ? NULL : same_order(o, order.kind, asked);
	if (same) {
		same->asked = *asked;
	} else if (check || order_answers_find(o->answered, asked, &check)) {
		radius_server_judge(o->config.dynamic, asked, check);
	} else {
		check = read_order(o, asked, &order);
		if (!check && o->count == SUBSCRIBER_ORDERS_MAX)
			check = "sc.limit";
		if (check || !order.at_ip)
			conclude(o, &order, check);
		else
			begin(o, &order);
	}
}

void subscriber_orders_device(struct subscriber_orders *o, const struct radius_asked *asked)
{
	struct order order = { .orders = o, .kind = ORDER_DEVICE, .asked = *asked };
	const char *pca = directory_service_like(directory(o), "pca/"), *check = NULL;

	if (!device_mac_read(asked->question.user_name, order.mac) || !asked->question.framed_ip)
		check = "sc.malformed_order";
	else if (o->count == SUBSCRIBER_ORDERS_MAX)
		check = "sc.limit";
	order.at_ip = pca ? directory_service_ip(directory(o), pca) : 0;
	if (check || !order.at_ip)
		radius_server_judge(o->config.answers, asked, check);
	else
		begin(o, &order);
}

/* Life */

struct subscriber_orders *subscriber_orders_new(const struct subscriber_orders_config *config)
{
	struct subscriber_orders *o = sim_alloc(sizeof *o);

	o->config = *config;
	o->answered = order_answers_new();
	return o;
}

/* Its backend and RADIUS client are reset by their owner before any time goes by. */
void subscriber_orders_reset(struct subscriber_orders *o)
{
	while (o->first) {
		struct order *order = o->first;

		backend_cancel(o->config.backend, order);
		o->first = order->next;
		free(order);
	}
	o->count = 0;
}

void subscriber_orders_free(struct subscriber_orders *o)
{
	if (!o)
		return;
	subscriber_orders_reset(o);
	order_answers_free(o->answered);
	free(o);
}

unsigned subscriber_orders_under_way(const struct subscriber_orders *o)
{
	return o->count;
}

/*
 * Work orders [0142]: what the operator knows of a customer before an installer comes, found by the number that the
 * installer says. An order is used up once, by the account that is opened for it, and is
 * nobody else's while that is under way. They are on the disk of the
 * provisioning CA.
 */
#ifndef TOLLGATE_MODELS_WORK_ORDER_H
#define TOLLGATE_MODELS_WORK_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define WORK_ORDERS_MAX 65536
#define WORK_ORDER_TEXT 128

struct work_order {
	struct work_order *next;
	char number[32];                 /* "4711" */
	char customer[WORK_ORDER_TEXT];  /* "name=...;address=...;pay=..." */
	char options[WORK_ORDER_TEXT];   /* "caller-id,3way" */
	char wish[24];                   /* telephone number, digits; "" any */
	bool has_mac;                    /* for this device only */
	uint8_t mac[6];
	bool taken;                      /* by a transaction that has not come to its end */
	bool used;
};

struct work_orders;
struct work_orders *work_orders_new(void);
void work_orders_free(struct work_orders *orders);
/* Copies the order. False: there is one of this number already, or no room. */
bool work_orders_add(struct work_orders *orders, const struct work_order *order);
struct work_order *work_orders_find(const struct work_orders *orders, const char *number); /* NULL: none */
/* Orders that are not used up. */
unsigned work_orders_open(const struct work_orders *orders);

#endif

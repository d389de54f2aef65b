/* Work orders; see work_order.h. */
#include "models/work_order.h"

#include <stdlib.h>
#include "models/name_index.h"
#include "sim/sim.h"

struct work_orders {
	struct work_order *first, **tail; /* as they came */
	struct name_index *by_number;
};

struct work_orders *work_orders_new(void)
{
	struct work_orders *o = sim_alloc(sizeof *o);

	o->tail = &o->first;
	o->by_number = name_index_new();
	return o;
}

void work_orders_free(struct work_orders *o)
{
	if (!o)
		return;
	while (o->first) {
		struct work_order *w = o->first;

		o->first = w->next;
		free(w);
	}
	name_index_free(o->by_number);
	free(o);
}

struct work_order *work_orders_find(const struct work_orders *o, const char *number)
{
	return name_index_get(o->by_number, number);
}

bool work_orders_add(struct work_orders *o, const struct work_order *order)
{
	struct work_order *w;

	if (!order->number[0] || work_orders_find(o, order->number) ||
	    name_index_count(o->by_number) == WORK_ORDERS_MAX)
		return false;
	w = sim_alloc(sizeof *w);
	*w = *order;
	w->next = NULL;
	w->used = w->taken = false;
	*o->tail = w;
	o->tail = &w->next;
	name_index_set(o->by_number, w->number, w);
	return true;
}

unsigned work_orders_open(const struct work_orders *o)
{
	unsigned n = 0;

	for (const struct work_order *w = o->first; w; w = w->next)
		n += !w->used;
	return n;
}

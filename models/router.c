/*
 * Router: forwards between its interfaces (RFC 1812 as far as sim/ip.h has it). What it counts is its own; it has no secrets.
 */
#include <stdio.h>
#include <string.h>
#include "models/model.h"
#include "sim/ip.h"

extern const struct model model_router;

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	(void)args;
	if (!node->ifaces || !node->ifaces->next) {
		snprintf(error, MODEL_ERROR_LEN,
		         "a router needs two interfaces or more; write on = { { hfc, \"10.1.0.1/16\" }, { core, \"10.0.0.1/24\" } }");
		return false;
	}
	ip_set_forwarding(node, true);
	return true;
}

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct ip_counters *c = ip_counters(node);

	if (strcmp(attribute, "forwarded") == 0)
		*out = value_int((int64_t)c->forwarded);
	else if (strcmp(attribute, "dropped") == 0)
		*out = value_int((int64_t)c->dropped);
	else
		return false;
	return true;
}

static const struct param params[] = { { .name = NULL } };
static const struct attribute attributes[] = {
	{ "forwarded", VALUE_INT, "packets forwarded, so far" },
	{ "dropped", VALUE_INT, "packets dropped, so far: no route, their time over, malformed" },
	{ NULL, VALUE_NIL, NULL },
};

const struct model model_router = {
	.name = "router", .doc = "router: forwards between its links", .params = params, .attributes = attributes, .create = create,
	.get = get,
};

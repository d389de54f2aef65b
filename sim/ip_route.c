/*
 * A node's addresses and routes: which are its own, and which way a packet leaves (RFC 1122 3.3.1, RFC 1812 5.2.4).
 *
 * Longest prefix wins, then the older route. A host has two routes, a router of a large topology thousands: few are
 * searched in a row, many by bisection within each prefix length, the longest first. Tables are put in order when they
 * are first asked after a change, so that building a topology of n routes costs n log n.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/ip_stack.h"

#define BROADCAST_IP UINT32_C(0xffffffff)
#define LOCALS_IN_A_ROW 8
#define ROUTES_FIRST 2    /* a host: its subnet and its gateway */

struct ip_route_groups { /* the runs of equal prefix length, longest first */
	unsigned count;
	struct {
		uint32_t mask, first, end;
	} group[33];
};

static uint32_t prefix_mask(uint8_t prefix_len)
{
	return prefix_len ? BROADCAST_IP << (32 - prefix_len) : 0;
}

/* ---- own addresses ---- */

static int address_order(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static void locals_make(const struct node *node)
{
	struct ip_stack *ip = node->ip;
	uint32_t count = ip->alias_count;

	for (const struct iface *iface = node->ifaces; iface; iface = iface->next)
		count += iface->ip != 0;
	ip->locals = sim_realloc(ip->locals, (count + 1) * sizeof(*ip->locals));
	count = 0;
	for (const struct iface *iface = node->ifaces; iface; iface = iface->next) {
		if (iface->ip)
			ip->locals[count++] = iface->ip;
	}
	for (uint32_t i = 0; i < ip->alias_count; i++)
		ip->locals[count++] = ip->aliases[i];
	qsort(ip->locals, count, sizeof(*ip->locals), address_order);
	ip->local_count = count;
	ip->locals_known = true;
}

bool ip_is_local(const struct node *node, uint32_t dst)
{
	return ip_is_own(node, dst);
}

bool ip_own_search(const struct node *node, uint32_t dst)
{
	struct ip_stack *ip = node->ip;

	if (!ip->locals_known)
		locals_make(node);
	if (ip->local_count > LOCALS_IN_A_ROW)
		return bsearch(&dst, ip->locals, ip->local_count, sizeof(dst), address_order) != NULL;
	for (uint32_t i = 0; i < ip->local_count; i++) {
		if (ip->locals[i] == dst)
			return true;
	}
	return false;
}

void ip_alias_add(struct node *node, uint32_t alias)
{
	struct ip_stack *ip = node->ip;

	if (ip_is_local(node, alias))
		return;
	ip->aliases = sim_realloc(ip->aliases, (ip->alias_count + 1) * sizeof(*ip->aliases));
	ip->aliases[ip->alias_count++] = alias;
	ip->locals_known = false;
}

bool ip_is_broadcast(const struct node *node, uint32_t dst)
{
	const struct ip_route *route;

	if (dst == BROADCAST_IP)
		return true;
	route = ip_route_find(node, dst);
	return route && ip_route_broadcast(route, dst);
}

/* ---- routes ---- */

static void route_put(struct node *node, uint32_t prefix, uint8_t prefix_len, uint32_t gateway, struct iface *iface,
                      bool connected)
{
	struct ip_stack *ip = node->ip;

	assert(prefix_len <= 32 && ip->route_count < IP_ROUTES_MAX && ip->next_route_age < IP_ROUTE_AGE_MAX);
	if (ip->route_count == ip->route_capacity) {
		ip->route_capacity = ip->route_capacity ? ip->route_capacity * 2 : ROUTES_FIRST;
		ip->routes = sim_realloc(ip->routes, ip->route_capacity * sizeof(*ip->routes));
	}
	ip->routes[ip->route_count++] = (struct ip_route){
		.prefix = prefix & prefix_mask(prefix_len),
		.mask = prefix_mask(prefix_len),
		.gateway = gateway,
		.iface = iface,
		.age = ip->next_route_age++ & IP_ROUTE_AGE_MAX,
		.connected = connected,
	};
	ip->routes_sorted = false;
}

void ip_route_add(struct node *node, uint32_t prefix, uint8_t prefix_len, uint32_t gateway, struct iface *iface)
{
	if (!iface) {
		const struct ip_route *towards = ip_route_find(node, gateway);

		assert(towards && towards->connected);
		iface = towards->iface;
	}
	assert(iface->node == node);
	route_put(node, prefix, prefix_len, gateway, iface, false);
}

void ip_default_route(struct iface *iface, uint32_t gateway)
{
	struct ip_stack *ip = iface->node->ip;

	for (uint32_t i = 0; i < ip->route_count; i++) {
		struct ip_route *route = &ip->routes[i];

		if (route->iface == iface && route->mask == 0 && !route->connected) {
			route->gateway = gateway;
			return;
		}
	}
	route_put(iface->node, 0, 0, gateway, iface, false);
}

void ip_iface_changed(struct iface *iface, uint32_t old_ip, uint8_t old_prefix_len)
{
	struct ip_stack *ip = iface->node->ip;
	uint32_t kept = 0;

	ip->locals_known = false;
	if (old_ip == iface->ip && old_prefix_len == iface->prefix_len)
		return;
	for (uint32_t i = 0; i < ip->route_count; i++) {
		if (!ip->routes[i].connected || ip->routes[i].iface != iface)
			ip->routes[kept++] = ip->routes[i];
	}
	if (kept != ip->route_count)
		ip->routes_sorted = false;
	ip->route_count = kept;
	if (iface->ip)
		route_put(iface->node, iface->ip, iface->prefix_len, 0, iface, true);
}

static int route_order(const void *a, const void *b)
{
	const struct ip_route *x = a, *y = b;

	if (x->mask != y->mask) /* the longer the prefix, the greater its mask */
		return x->mask > y->mask ? -1 : 1;
	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return (x->age > y->age) - (x->age < y->age);
}

static void routes_sort(struct ip_stack *ip)
{
	struct ip_route_groups *groups;

	if (ip->route_count) /* qsort() may not be given NULL */
		qsort(ip->routes, ip->route_count, sizeof(*ip->routes), route_order);
	ip->routes_sorted = true;
	if (ip->route_count <= IP_ROUTES_IN_A_ROW)
		return;
	if (!ip->groups)
		ip->groups = sim_alloc(sizeof(*ip->groups));
	groups = ip->groups;
	groups->count = 0;
	for (uint32_t i = 0; i < ip->route_count; i++) {
		if (i == 0 || ip->routes[i].mask != ip->routes[i - 1].mask) {
			groups->group[groups->count].mask = ip->routes[i].mask;
			groups->group[groups->count++].first = i;
		}
		groups->group[groups->count - 1].end = i + 1;
	}
}

/* The first route of [first, end), one prefix length, whose prefix is not below this one. */
static uint32_t route_bisect(const struct ip_route *routes, uint32_t first, uint32_t end, uint32_t prefix)
{
	while (first < end) {
		uint32_t middle = first + (end - first) / 2;

		if (routes[middle].prefix < prefix)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static const struct ip_route *route_find_grouped(const struct ip_stack *ip, uint32_t dst)
{
	for (unsigned i = 0; i < ip->groups->count; i++) {
		uint32_t prefix = dst & ip->groups->group[i].mask;
		uint32_t end = ip->groups->group[i].end;
		uint32_t at = route_bisect(ip->routes, ip->groups->group[i].first, end, prefix);

		if (at < end && ip->routes[at].prefix == prefix)
			return &ip->routes[at];
	}
	return NULL;
}

const struct ip_route *ip_route_search(struct ip_stack *ip, uint32_t dst)
{
	if (!ip->routes_sorted)
		routes_sort(ip);
	if (ip->route_count > IP_ROUTES_IN_A_ROW)
		return route_find_grouped(ip, dst);
	for (uint32_t i = 0; i < ip->route_count; i++) {
		if ((dst & ip->routes[i].mask) == ip->routes[i].prefix)
			return &ip->routes[i];
	}
	return NULL;
}

/* The interface by which a limited broadcast leaves. */
static struct iface *broadcast_iface(const struct node *node, uint32_t src)
{
	for (struct iface *iface = node->ifaces; iface && src; iface = iface->next) {
		if (iface->ip == src)
			return iface;
	}
	return node->ifaces;
}

bool ip_path_find(const struct node *node, uint32_t src, uint32_t dst, struct ip_path *path)
{
	const struct ip_route *route;

	path->loop = false;
	if (dst == BROADCAST_IP) {
		path->out = broadcast_iface(node, src);
		path->next_hop = BROADCAST_IP;
		path->src = path->out ? path->out->ip : 0;
		return path->out != NULL;
	}
	if (ip_is_own(node, dst)) {
		*path = (struct ip_path){ .out = node->ifaces, .src = dst, .loop = true };
		return true;
	}
	route = dst ? ip_route_find(node, dst) : NULL;
	if (!route)
		return false;
	path->out = route->iface;
	path->src = route->iface->ip;
	path->next_hop = route->gateway ? route->gateway : dst;
	if (ip_route_broadcast(route, dst))
		path->next_hop = BROADCAST_IP;
	return true;
}

uint32_t ip_source_for(const struct node *node, uint32_t dst)
{
	struct ip_path path;

	return ip_path_find(node, 0, dst, &path) ? path.src : 0;
}

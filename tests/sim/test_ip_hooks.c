/*
 * What hangs into IP: a router's filter, the security hook, aliases and the way of a node to itself.
 */
#include "tests/sim/net_fixture.h"

#define SEED 1812
#define PROTO_TEST 253 /* RFC 3692: for experiments */

static bool filter_odd_ports(struct node *node, void *ctx, const struct iface *in, const struct packet *packet,
                             const struct ip_info *info)
{
	const struct line *line = ctx;

	ck_assert_ptr_eq(node, line->node[1]);
	ck_assert(in == line->left[1] || in == line->right[1]);
	ck_assert_uint_eq(packet->data[0], 0x45);
	ck_assert_uint_eq(get_be32(packet->data + 12), info->src);
	return info->proto != 17 || packet->data[23] % 2 == 0;
}

START_TEST(filter)
{
	struct link_params params = { 0 };
	struct line line;
	struct sink *a, *b, *c;

	line_make(&line, 3, &params, SEED);
	ip_set_filter(line.node[1], filter_odd_ports, &line);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[2], 2);
	c = sink_new(line.node[2], 3);
	send_numbered(&a->socket, line_ip(2, 2), 2, 1, 10);
	send_numbered(&a->socket, line_ip(2, 2), 3, 1, 10);
	send_numbered(&a->socket, line_ip(1, 2), 3, 1, 10); /* to the router itself: not forwarded, not filtered */
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_uint_eq(c->count, 0);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.filter"), 1);
	ck_assert_uint_eq(network_dropped(line.sim, "udp.no_port"), 1);
	ip_set_filter(line.node[1], NULL, NULL);
	ip_set_forwarding(line.node[1], false);
	send_numbered(&a->socket, line_ip(2, 2), 2, 1, 10);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_uint_eq(network_dropped(line.sim, "ip.no_route"), 1);
	run_out(line.sim);
	free(a);
	free(b);
	free(c);
}
END_TEST

START_TEST(loopback_and_alias)
{
	struct link_params params = { 0 };
	struct line line;
	struct sink *a;

	line_make(&line, 2, &params, SEED);
	ip_alias_add(line.node[0], 0x0e000001);
	ip_alias_add(line.node[0], 0x0e000001);
	a = sink_new(line.node[0], 1);
	send_numbered(&a->socket, line_ip(1, 1), 1, 5, 3000); /* longer than a frame, never on one */
	ck_assert_uint_eq(a->count, 0);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(a->count, 1);
	ck_assert_uint_eq(a->len, 3000);
	ck_assert(numbered_good(a->bytes, 3000, 5));
	send_numbered(&a->socket, 0x0e000001, 1, 6, 10);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(a->count, 2);
	ck_assert_uint_eq(a->from.src, 0x0e000001);
	ck_assert_uint_eq(line.link[0]->sent, 0);
	run_out(line.sim);
	free(a);
}
END_TEST

/* a security hook that wraps UDP as PROTO_TEST with a prefix of 4 bytes, and drops what goes to port 66 */
struct shield {
	unsigned dropped, wrapped, opened;
	uint16_t idents[4];
};

static enum ip_out_verdict shield_out(struct node *node, void *ctx, struct ip_info *info, struct packet *packet)
{
	struct shield *shield = ctx;

	ck_assert_ptr_nonnull(node);
	ck_assert_uint_ne(info->src, 0);
	if (info->proto != 17)
		return IP_OUT_PASS;
	if (get_be16(packet->data + 2) == 66) {
		shield->dropped++;
		packet_free(packet);
		return IP_OUT_DROP;
	}
	shield->idents[shield->wrapped++] = info->ident;
	put_be32(packet_push(packet, 4), 17u << 24);
	info->proto = PROTO_TEST;
	return IP_OUT_PASS;
}

static void shield_in(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	struct shield *shield = ctx;
	struct ip_info inner = *info;

	ck_assert_uint_eq(info->ident, shield->idents[shield->opened]);
	shield->opened++;
	ck_assert_ptr_eq(info->header, packet->data - 20); /* for AH: the header is there */
	ck_assert_uint_eq(get_be16(info->header + 4), info->ident);
	inner.proto = packet->data[0];
	inner.sa = shield;
	packet_pull(packet, 4);
	ip_deliver(node, packet, &inner);
}

START_TEST(security_hook)
{
	struct link_params params = { 0 };
	struct shield shield = { 0 };
	struct ip_security security = { .out = shield_out, .ctx = &shield };
	struct line line;
	struct sink *a, *b;

	line_make(&line, 2, &params, SEED);
	ip_set_security(line.node[0], &security);
	ip_protocol(line.node[1], PROTO_TEST, shield_in, &shield);
	ip_protocol(line.node[1], PROTO_TEST, shield_in, &shield); /* the same again is harmless */
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[1], 2);
	send_numbered(&a->socket, line_ip(1, 2), 2, 4, 100);
	send_numbered(&a->socket, line_ip(1, 2), 66, 4, 100);
	/* nobody there, and no ICMP that would quote it in the clear */
	send_numbered(&a->socket, line_ip(1, 2), 3, 4, 100);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(shield.wrapped, 2);
	ck_assert_uint_eq(shield.dropped, 1);
	ck_assert_uint_eq(shield.opened, 2);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_ptr_eq(b->from.sa, &shield);
	ck_assert_ptr_eq(b->from.in, line.left[1]);
	ck_assert(numbered_good(b->bytes, b->len, 4));
	ck_assert_uint_eq(network_dropped(line.sim, "udp.no_port"), 1);
	ck_assert_uint_eq(ip_counters(line.node[1])->icmp_sent, 0);
	ip_set_security(line.node[0], NULL);
	send_numbered(&a->socket, line_ip(1, 2), 2, 4, 100);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_ptr_null(b->from.sa);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

struct added_routes {
	const struct line *line;
	uint32_t count;
};

/* A filter that changes the node's routes, so that they are moved and sorted anew, while a packet is on its way. */
static bool filter_adds_routes(struct node *node, void *ctx, const struct iface *in, const struct packet *packet,
                               const struct ip_info *info)
{
	const struct added_routes *routes = ctx;
	const struct line *line = routes->line;

	(void)in;
	(void)packet;
	for (uint32_t i = 0; i < routes->count; i++)
		ip_route_add(node, 0x0b000000 | i << 8, 28, line_ip(1, 1), line->left[1]);
	ck_assert_uint_eq(ip_source_for(node, info->dst), line_ip(2, 1));
	return true;
}

START_TEST(filter_changes_routes)
{
	struct link_params params = { 0 };

	for (uint32_t count = 1; count <= 30; count += 29) { /* one has room where the others are, thirty have not */
		struct line line;
		struct added_routes routes = { .line = &line, .count = count };
		struct sink *a, *b;

		line_make(&line, 3, &params, SEED);
		ip_route_add(line.node[1], 0x0c000000, 8, line_ip(1, 1), line.left[1]);
		ip_set_filter(line.node[1], filter_adds_routes, &routes);
		a = sink_new(line.node[0], 1);
		b = sink_new(line.node[2], 2);
		send_numbered(&a->socket, line_ip(2, 2), 2, 1, 10);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(b->count, 1);
		run_out(line.sim);
		free(a);
		free(b);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ip hooks");
	TCase *cases = tcase_create("ip hooks");

	tcase_add_test(cases, filter);
	tcase_add_test(cases, filter_changes_routes);
	tcase_add_test(cases, loopback_and_alias);
	tcase_add_test(cases, security_hook);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

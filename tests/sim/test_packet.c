/*
 * The packet pool, the text of addresses, and nodes found by name and address.
 */
#include "tests/sim/net_fixture.h"

#define SEED 4711

START_TEST(packet_layers)
{
	struct sim *sim = sim_new(SEED, 0);
	struct packet *packet = packet_new(sim, 10), *copy;

	memcpy(packet_append(packet, 10), "0123456789", 10);
	memcpy(packet_push(packet, 2), "ab", 2);
	packet->tag = 7;
	copy = packet_copy(packet);
	packet_pull(packet, 1);
	packet_trim(packet, 1);
	ck_assert_uint_eq(packet->len, 10);
	ck_assert_mem_eq(packet->data, "b012345678", 10);
	ck_assert_uint_eq(copy->len, 12);
	ck_assert_uint_eq(copy->tag, 7);
	ck_assert_mem_eq(copy->data, "ab0123456789", 12);
	ck_assert_uint_ge(packet_tailroom(packet), PACKET_TAILROOM);
	packet_push(copy, PACKET_HEADROOM - 2);
	ck_assert_uint_eq(sim->packets_live, 2);
	packet_free(packet);
	packet_free(copy);
	packet_free(NULL);
	ck_assert_uint_eq(sim->packets_live, 0);
	sim_free(sim);
}
END_TEST

/* A keeper and a lender each free once, in either order. */
START_TEST(packet_kept)
{
	struct sim *sim = sim_new(SEED, 0);
	struct packet *packet = packet_keep(packet_new(sim, 10));

	packet_free(packet);
	ck_assert_uint_eq(sim->packets_live, 1);
	packet_free(packet);
	ck_assert_uint_eq(sim->packets_live, 0);
	sim_free(sim);
}
END_TEST

/* Sizes around each class; the end of a run frees what is still out. */
START_TEST(packet_sizes)
{
	static const uint32_t rooms[] = { 0, 1, 279, 280, 281, 1460, 1500, 1943, 1944, 1945, 9000, 65507, 65535 };
	struct sim *sim = sim_new(SEED, 0);

	for (unsigned round = 0; round < 100; round++) {
		struct packet *packet = packet_new(sim, rooms[round % 13]);

		memset(packet_append(packet, rooms[round % 13]), (int)round, rooms[round % 13]);
		packet_push(packet, PACKET_HEADROOM);
		packet_append(packet, PACKET_TAILROOM);
		if (round % 3)
			packet_free(packet);
	}
	ck_assert_uint_eq(sim->packets_live, 34);
	sim_free(sim);
}
END_TEST

START_TEST(address_text)
{
	static const struct {
		const char *text;
		bool good;
		uint32_t ip;
	} table[] = {
		{ "10.1.2.3", true, 0x0a010203 },    { "0.0.0.0", true, 0 },       { "255.255.255.255", true, ~0u },
		{ "", false, 0 },                    { "10.1.2", false, 0 },       { "10.1.2.3.4", false, 0 },
		{ "10.1.2.256", false, 0 },          { "10.1.2.03", false, 0 },    { "10.1.2.", false, 0 },
		{ " 10.1.2.3", false, 0 },           { "10.1.2.3 ", false, 0 },    { "10.1.-2.3", false, 0 },
		{ "10.1.2.3333333333", false, 0 },   { "10..2.3", false, 0 },      { "a.b.c.d", false, 0 },
	};
	char buf[IP_TEXT_LEN];
	uint32_t ip;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_msg(ip_parse(table[i].text, &ip) == table[i].good, "row %zu: %s", i, table[i].text);
		if (table[i].good) {
			ck_assert_uint_eq(ip, table[i].ip);
			ck_assert_str_eq(ip_text(ip, buf), table[i].text);
		}
	}
}
END_TEST

START_TEST(found_by_name_and_address)
{
	struct link_params params = { 0 };
	struct sim *sim = sim_new(SEED, 0);
	struct link *link;
	struct node *node[300];
	char name[16];

	ck_assert_ptr_null(node_find(sim, "n0"));
	ck_assert_ptr_null(link_find(sim, "wire"));
	ck_assert_ptr_null(node_by_ip(sim, 1));
	link = link_new(sim, "wire", &params);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		node[i] = node_new(sim, name);
		iface_new(node[i], link, "eth0", NULL, 0x0a000001 + i, 16);
	}
	ck_assert_ptr_eq(link_find(sim, "wire"), link);
	ck_assert_ptr_null(node_find(sim, "n300"));
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ck_assert_ptr_eq(node_find(sim, name), node[i]);
		ck_assert_ptr_eq(node_by_ip(sim, 0x0a000001 + i), node[i]);
		if (i)
			ck_assert_mem_ne(node[i]->ifaces->mac, node[i - 1]->ifaces->mac, 6);
		ck_assert_uint_eq(node[i]->ifaces->mac[0], 2);
	}
	for (unsigned i = 0; i < 300; i += 2)
		iface_set_ip(node[i]->ifaces, 0x0b000001 + i, 16);
	for (unsigned i = 0; i < 300; i++) {
		ck_assert_ptr_eq(node_by_ip(sim, 0x0a000001 + i), i % 2 ? node[i] : NULL);
		ck_assert_ptr_eq(link_neighbour(link, 0x0a000001 + i), i % 2 ? node[i]->ifaces : NULL);
		if (i % 2 == 0)
			ck_assert_ptr_eq(link_neighbour(link, 0x0b000001 + i), node[i]->ifaces);
	}
	iface_set_ip(node[9]->ifaces, 0x0a000001 + 5, 16); /* two of one address: the older node */
	ck_assert_ptr_eq(node_by_ip(sim, 0x0a000001 + 5), node[5]);
	iface_set_ip(node[5]->ifaces, 0, 0);
	ck_assert_ptr_eq(node_by_ip(sim, 0x0a000001 + 5), node[9]);
	ck_assert_ptr_null(node_by_ip(sim, 0));
	sim_free(sim);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("packet");
	TCase *cases = tcase_create("packet");

	tcase_add_test(cases, packet_layers);
	tcase_add_test(cases, packet_kept);
	tcase_add_test(cases, packet_sizes);
	tcase_add_test(cases, address_text);
	tcase_add_test(cases, found_by_name_and_address);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

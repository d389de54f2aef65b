/*
 * UDP: ports, checksums, lengths, errors, who keeps a packet, tags and causes, restart.
 */
#include "tests/sim/net_fixture.h"

#define SEED 768

START_TEST(ports)
{
	struct link_params params = { 0 };
	struct udp_socket a = { 0 }, b = { 0 };
	struct line line;

	line_make(&line, 2, &params, SEED);
	ck_assert(udp_bind(line.node[0], &a, 53, sink_recv, NULL));
	ck_assert_uint_eq(a.port, 53);
	ck_assert(!udp_bind(line.node[0], &b, 53, sink_recv, NULL));
	ck_assert_uint_eq(b.port, 0);
	udp_unbind(&b); /* harmless */
	ck_assert(udp_bind(line.node[1], &b, 53, sink_recv, NULL)); /* another node, another table */
	udp_unbind(&b);
	udp_unbind(&a);
	udp_unbind(&a);
	ck_assert(udp_bind(line.node[0], &b, 53, sink_recv, NULL));
	run_out(line.sim);
}
END_TEST

START_TEST(ephemeral_ports)
{
	static struct udp_socket socket[UINT16_MAX - UDP_PORT_EPHEMERAL_FIRST + 2];
	struct link_params params = { 0 };
	struct line line;
	unsigned count = sizeof(socket) / sizeof(socket[0]) - 1;

	memset(socket, 0, sizeof(socket));
	line_make(&line, 2, &params, SEED);
	for (unsigned i = 0; i < count; i++) {
		ck_assert(udp_bind(line.node[0], &socket[i], 0, sink_recv, NULL));
		ck_assert_uint_eq(socket[i].port, UDP_PORT_EPHEMERAL_FIRST + i);
	}
	ck_assert(!udp_bind(line.node[0], &socket[count], 0, sink_recv, NULL)); /* all taken */
	udp_unbind(&socket[777]);
	ck_assert(udp_bind(line.node[0], &socket[count], 0, sink_recv, NULL));
	ck_assert_uint_eq(socket[count].port, UDP_PORT_EPHEMERAL_FIRST + 777);
	ip_reset(line.node[0]); /* and from the start again */
	for (unsigned i = 0; i <= count; i++)
		ck_assert_uint_eq(socket[i].port, 0);
	ck_assert(udp_bind(line.node[0], &socket[5], 0, sink_recv, NULL));
	ck_assert_uint_eq(socket[5].port, UDP_PORT_EPHEMERAL_FIRST);
	run_out(line.sim);
}
END_TEST

/* Many sockets: each gets its own, bound and unbound in a stir. */
START_TEST(many_sockets)
{
	static unsigned got[300];
	struct link_params params = { 0 };
	struct udp_socket from = { 0 };
	struct sink *sink[300] = { 0 };
	struct line line;
	struct rng rng;

	memset(got, 0, sizeof(got));
	rng_init(&rng, SEED, "test", "sockets");
	line_make(&line, 2, &params, SEED);
	ck_assert(udp_bind(line.node[0], &from, 0, sink_recv, NULL));
	for (unsigned i = 0; i < 6000; i++) {
		unsigned k = (unsigned)rng_below(&rng, 300);

		if (!sink[k]) {
			sink[k] = sink_new(line.node[1], (uint16_t)(1000 + k));
		} else if (rng_chance(&rng, 300000)) {
			udp_unbind(&sink[k]->socket);
			free(sink[k]);
			sink[k] = NULL;
			got[k] = 0;
		} else {
			send_numbered(&from, line_ip(1, 2), (uint16_t)(1000 + k), (uint16_t)i, 20);
			sim_run(line.sim, SIM_NEVER);
			ck_assert_msg(sink[k]->count == ++got[k] &&
			              sink[k]->first[(got[k] - 1) % SEEN_MAX] == (uint16_t)i,
			              "step %u, socket %u", i, k);
		}
	}
	run_out(line.sim);
	for (unsigned k = 0; k < 300; k++)
		free(sink[k]);
}
END_TEST

START_TEST(datagram)
{
	struct link_params params = { 0 };
	struct watcher w;
	struct line line;
	struct sink *a, *b;

	line_make(&line, 3, &params, SEED);
	watch(line.sim, &w, TRACE_PACKET);
	a = sink_new(line.node[0], 0);
	b = sink_new(line.node[2], 5060);
	send_numbered(&a->socket, line_ip(2, 2), 5060, 3, 25);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_uint_eq(b->len, 25);
	ck_assert(numbered_good(b->bytes, 25, 3));
	ck_assert_uint_eq(b->from.src, line_ip(1, 1));
	ck_assert_uint_eq(b->from.dst, line_ip(2, 2));
	ck_assert_uint_eq(b->from.sport, a->socket.port);
	ck_assert_uint_eq(b->from.dport, 5060);
	ck_assert_ptr_null(b->from.sa);
	ck_assert_ptr_eq(b->from.in, line.left[2]);
	ck_assert_uint_eq(get_be16(w.frame[0].head + 38), 33); /* the length on the wire */
	ck_assert_uint_eq(w.frame[0].head[23], 17);
	send_numbered(&b->socket, b->from.src, b->from.sport, 4, 10); /* the answer */
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(a->count, 1);
	ck_assert_uint_eq(a->from.sport, 5060);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

/* A checksum that would be 0 is sent as ffff: 0 says that there is none. */
START_TEST(zero_checksum)
{
	struct link_params params = { 0 };
	struct watcher w;
	struct line line;
	struct sink *a, *b;
	unsigned zeros = 0;

	line_make(&line, 2, &params, SEED);
	watch(line.sim, &w, TRACE_PACKET);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[1], 2);
	for (uint32_t i = 0; i < 65536; i++) {
		struct packet *packet = packet_new(line.sim, 2);
		uint8_t udp[10];

		put_be16(packet_append(packet, 2), (uint16_t)i);
		w.frames = 0;
		udp_send(&a->socket, 0, line_ip(1, 2), 2, packet);
		sim_run(line.sim, SIM_NEVER);
		put_be16(udp, (uint16_t)i);
		raw_udp(udp, line_ip(1, 1), line_ip(1, 2), 1, 2, (const uint8_t[]){ (uint8_t)(i >> 8), (uint8_t)i }, 2);
		ck_assert_uint_eq(get_be16(w.frame[0].head + 40), get_be16(udp + 6));
		ck_assert_uint_ne(get_be16(w.frame[0].head + 40), 0);
		zeros += get_be16(w.frame[0].head + 40) == 0xffff;
	}
	ck_assert_uint_eq(zeros, 1);
	ck_assert_uint_eq(b->count, 65536);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

START_TEST(hostile_datagrams)
{
	static const struct {
		const char *what;
		uint32_t cut;       /* of the IP payload: keep so many bytes, 0: all */
		int at;             /* byte to set, -1: none */
		uint8_t value;
		const char *check;  /* NULL: accepted */
		uint32_t len;       /* of what is accepted */
	} table[] = {
		{ "sound", 0, -1, 0, NULL, 16 },
		{ "no header", 7, -1, 0, "udp.malformed", 0 },
		{ "nothing", 1, -1, 0, "udp.malformed", 0 },
		{ "length 7", 0, 5, 7, "udp.malformed", 0 },
		{ "length 0", 0, 5, 0, "udp.malformed", 0 },
		{ "length beyond the packet", 0, 5, 25, "udp.malformed", 0 },
		{ "length far beyond", 0, 4, 0xff, "udp.malformed", 0 },
		{ "shorter than the packet", 0, 5, 20, "udp.checksum", 0 },
		{ "payload changed", 0, 12, 0x7e, "udp.checksum", 0 },
		{ "port changed", 0, 1, 99, "udp.checksum", 0 },
		{ "checksum changed", 0, 6, 0x7e, "udp.checksum", 0 },
		{ "cut", 20, -1, 0, "udp.malformed", 0 },
	};
	struct link_params params = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t udp[24];
		struct watcher w;
		struct line line;
		struct sink *b;
		struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = 17, .bytes = udp };

		line_make(&line, 2, &params, SEED);
		watch(line.sim, &w, TRACE_REFUSAL);
		b = sink_new(line.node[1], 7);
		raw.len = raw_udp(udp, raw.src, raw.dst, 5, 7, (const uint8_t *)"0123456789abcdef", 16);
		if (table[i].at >= 0)
			udp[table[i].at] = table[i].value;
		if (table[i].cut)
			raw.len = table[i].cut;
		link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_msg(b->count == (table[i].check == NULL), "%s", table[i].what);
		if (table[i].check) {
			ck_assert_msg(w.refusals == 1 && strcmp(w.check, table[i].check) == 0, "%s: %s", table[i].what,
			              w.check);
			ck_assert_uint_eq(w.refused_src, line_ip(1, 1));
			ck_assert_uint_eq(network_dropped(line.sim, table[i].check), 1);
		} else {
			ck_assert_uint_eq(b->len, table[i].len);
		}
		run_out(line.sim);
		free(b);
	}
}
END_TEST

/* No checksum is permitted; a length shorter than the packet cuts it. */
START_TEST(without_checksum)
{
	uint8_t udp[24];
	struct link_params params = { 0 };
	struct line line;
	struct sink *b;
	struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = 17, .bytes = udp };

	line_make(&line, 2, &params, SEED);
	b = sink_new(line.node[1], 7);
	raw.len = raw_udp(udp, raw.src, raw.dst, 5, 7, (const uint8_t *)"0123456789abcdef", 16);
	put_be16(udp + 6, 0);
	udp[5] = 12;
	link_inject(line.link[0], NULL, line.left[1], raw_frame(line.right[0], line.left[1], &raw), 0);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	ck_assert_uint_eq(b->len, 4);
	ck_assert_mem_eq(b->bytes, "0123", 4);
	run_out(line.sim);
	free(b);
}
END_TEST

/* Nobody at the port: an ICMP error comes back to the socket that sent, and the message is lost there. */
START_TEST(no_port)
{
	struct link_params params = { 0 };
	struct watcher w;
	struct line line;
	struct sink *a, *other;
	struct packet *packet;

	line_make(&line, 3, &params, SEED);
	watch(line.sim, &w, TRACE_MESSAGE | TRACE_REFUSAL);
	a = sink_new(line.node[0], 0);
	other = sink_new(line.node[0], 0);
	packet = packet_new(line.sim, 4);
	memcpy(packet_append(packet, 4), "ping", 4);
	packet->tag = 12;
	udp_send(&a->socket, 0, line_ip(2, 2), 9, packet);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(a->errors, 1);
	ck_assert_uint_eq(other->errors, 0);
	ck_assert_uint_eq(a->error_type, 3);
	ck_assert_uint_eq(a->error_code, 3);
	ck_assert_uint_eq(a->error_dst, line_ip(2, 2));
	ck_assert_uint_eq(a->error_dport, 9);
	ck_assert_uint_eq(w.fates, 1);
	ck_assert_uint_eq(w.fate_tag, 12);
	ck_assert_str_eq(w.why, "udp.no_port");
	ck_assert_uint_eq(w.refusals, 0); /* a routine loss, not a refusal */
	a->socket.error = NULL;
	send_numbered(&a->socket, line_ip(2, 2), 9, 1, 4);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(a->errors, 1);
	run_out(line.sim);
	free(a);
	free(other);
}
END_TEST

/* No route: lost at once, told to observers, never an error from inside the call. */
START_TEST(no_route)
{
	struct link_params params = { 0 };
	struct watcher w;
	struct line line;
	struct sink *a;
	struct packet *packet;

	line_make(&line, 2, &params, SEED);
	watch(line.sim, &w, TRACE_MESSAGE);
	a = sink_new(line.node[0], 0);
	packet = packet_new(line.sim, 0);
	packet->tag = 3;
	udp_send(&a->socket, 0, 0x0b000001, 9, packet);
	packet = packet_new(line.sim, 0);
	packet->tag = 4;
	udp_send(&a->socket, 0, 0, 9, packet);
	ck_assert_uint_eq(w.fates, 2);
	ck_assert_str_eq(w.why, "ip.no_route");
	ck_assert_uint_eq(a->errors, 0);
	run_out(line.sim);
	free(a);
}
END_TEST

/* ---- lending ---- */

struct keeper {
	struct udp_socket socket;
	enum { KEEP, KEEP_AND_FREE, KEEP_AND_SEND } mode;
	struct packet *kept;
	unsigned count;
};

static void keeper_recv(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct keeper *keeper = socket->ctx;

	keeper->count++;
	packet_keep(packet);
	switch (keeper->mode) {
	case KEEP:
		keeper->kept = packet;
		return;
	case KEEP_AND_FREE:
		packet_free(packet);
		return;
	case KEEP_AND_SEND:
		udp_send(socket, 0, from->src, from->sport, packet); /* the very buffer goes back */
	}
}

START_TEST(keep)
{
	for (int mode = KEEP; mode <= KEEP_AND_SEND; mode++) {
		for (uint32_t len = 100; len <= 5000; len += 4900) { /* also a packet that was put together */
			struct link_params params = { .delay_ns = 10 };
			struct keeper keeper = { .mode = mode };
			struct line line;
			struct sink *a;

			line_make(&line, 2, &params, SEED);
			a = sink_new(line.node[0], 1);
			ck_assert(udp_bind(line.node[1], &keeper.socket, 2, keeper_recv, &keeper));
			send_numbered(&a->socket, line_ip(1, 2), 2, 9, len);
			sim_run(line.sim, SIM_NEVER);
			ck_assert_uint_eq(keeper.count, 1);
			ck_assert_uint_eq(line.sim->packets_live, mode == KEEP);
			if (mode == KEEP) {
				ck_assert_uint_eq(keeper.kept->len, len);
				ck_assert(numbered_good(keeper.kept->data, len, 9));
				packet_free(keeper.kept);
			}
			ck_assert_uint_eq(a->count, mode == KEEP_AND_SEND);
			if (a->count)
				ck_assert(numbered_good(a->bytes, len, 9));
			run_out(line.sim);
			free(a);
		}
	}
}
END_TEST

/* ---- rogues: a receiver that takes away what is delivering to it ---- */

struct rogue {
	struct udp_socket *socket; /* its own allocation, so that it can be freed inside its own callback */
	struct node *node;
	enum { UNBIND, UNBIND_AND_FREE, RESET, KEEP_AND_RESET, ANSWER_AND_RESET, READDRESS, ROGUE_MODES } mode;
	struct packet *kept;
	unsigned calls;
};

static void rogue_act(struct rogue *rogue)
{
	rogue->calls++;
	switch (rogue->mode) {
	case READDRESS: /* routes and neighbours move */
		iface_set_ip(rogue->node->ifaces, line_ip(9, 9), 28);
		return;
	case UNBIND:
	case UNBIND_AND_FREE:
		udp_unbind(rogue->socket);
		break;
	default:
		ip_reset(rogue->node);
	}
	if (rogue->mode != UNBIND) {
		free(rogue->socket);
		rogue->socket = NULL;
	}
}

static void rogue_recv(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct rogue *rogue = socket->ctx;

	if (rogue->mode == KEEP_AND_RESET)
		rogue->kept = packet_keep(packet);
	if (rogue->mode == ANSWER_AND_RESET)
		udp_send(socket, 0, from->src, from->sport, packet_keep(packet));
	rogue_act(rogue);
}

static void rogue_error(struct udp_socket *socket, uint8_t type, uint8_t code, uint32_t dst, uint16_t dport)
{
	(void)type;
	(void)code;
	(void)dst;
	(void)dport;
	rogue_act(socket->ctx);
}

START_TEST(rogues)
{
	struct rogue rogue = { .mode = _i / 3 };
	uint32_t len = _i % 3 == 1 ? 4000 : 100; /* also of a packet that was put together */
	struct link_params params = { .delay_ns = 10 };
	struct line line;
	struct sink *a;

	line_make(&line, 2, &params, SEED);
	a = sink_new(line.node[0], 1);
	rogue.node = line.node[1];
	rogue.socket = sim_alloc(sizeof(*rogue.socket));
	ck_assert(udp_bind(line.node[1], rogue.socket, 2, rogue_recv, &rogue));
	rogue.socket->error = rogue_error;
	if (_i % 3 == 2) { /* and of an ICMP error */
		udp_unbind(&a->socket);
		send_numbered(rogue.socket, line_ip(1, 1), 1, 1, len);
	} else {
		send_numbered(&a->socket, line_ip(1, 2), 2, 1, len);
		send_numbered(&a->socket, line_ip(1, 2), 2, 2, len); /* the first half of it is there already */
	}
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(rogue.calls, 1);
	if (_i % 3 < 2)
		ck_assert_uint_eq(a->count, rogue.mode == ANSWER_AND_RESET);
	ck_assert_uint_eq(line.sim->packets_live, rogue.kept != NULL);
	if (rogue.kept)
		ck_assert(numbered_good(rogue.kept->data, len, 1));
	packet_free(rogue.kept);
	run_out(line.sim);
	free(rogue.socket);
	free(a);
}
END_TEST

/* A message's tag rides along, also in fragments, and what is done on its arrival has it as its cause. */
START_TEST(tags)
{
	struct link_params params = { .delay_ns = 5 };
	struct line line;
	struct sink *a, *b;

	line_make(&line, 3, &params, SEED);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[2], 2);
	for (uint64_t tag = 1; tag <= 2; tag++) {
		struct packet *packet = packet_new(line.sim, 4000);

		memset(packet_append(packet, tag == 1 ? 100 : 4000), 1, tag == 1 ? 100 : 4000);
		packet->tag = 1000 + tag;
		udp_send(&a->socket, 0, line_ip(2, 2), 2, packet);
		sim_run(line.sim, SIM_NEVER);
		ck_assert_uint_eq(b->count, tag);
		ck_assert_uint_eq(b->from.tag, 1000 + tag);
		ck_assert_uint_eq(b->cause, 1000 + tag);
	}
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

/* A client without an address and a server that answers by broadcast, as DHCP does. */
START_TEST(without_address)
{
	struct link_params params = { 0 };
	struct line line;
	struct sink *client, *server;
	struct packet *packet;

	line_make(&line, 2, &params, SEED);
	iface_set_ip(line.right[0], 0, 0);
	client = sink_new(line.node[0], 68);
	server = sink_new(line.node[1], 67);
	send_numbered(&client->socket, 0xffffffff, 67, 1, 20);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(server->count, 1);
	ck_assert_uint_eq(server->from.src, 0);
	ck_assert_uint_eq(server->from.dst, 0xffffffff);
	ck_assert_ptr_eq(server->from.in, line.left[1]);
	packet = packet_new(line.sim, 3);
	memcpy(packet_append(packet, 3), "yes", 3);
	udp_send(&server->socket, line.left[1]->ip, 0xffffffff, 68, packet);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(client->count, 1);
	ck_assert_uint_eq(client->from.src, line_ip(1, 2));
	iface_set_ip(line.right[0], line_ip(1, 77), 24);
	send_numbered(&server->socket, line_ip(1, 77), 68, 1, 20);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(client->count, 2);
	run_out(line.sim);
	free(client);
	free(server);
}
END_TEST

/* After a restart the node answers for none of its former ports. */
START_TEST(reset)
{
	struct link_params params = { .delay_ns = 1000 };
	struct line line;
	struct sink *a, *b;

	line_make(&line, 2, &params, SEED);
	a = sink_new(line.node[0], 1);
	b = sink_new(line.node[1], 2);
	send_numbered(&a->socket, line_ip(1, 2), 2, 1, 20);
	ip_reset(line.node[1]);
	ck_assert_uint_eq(b->socket.port, 0);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 0);
	ck_assert_uint_eq(a->errors, 1);
	udp_unbind(&b->socket);
	ck_assert(udp_bind(line.node[1], &b->socket, 2, sink_recv, b));
	send_numbered(&a->socket, line_ip(1, 2), 2, 1, 20);
	sim_run(line.sim, SIM_NEVER);
	ck_assert_uint_eq(b->count, 1);
	run_out(line.sim);
	free(a);
	free(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("udp");
	TCase *cases = tcase_create("udp");

	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, ports);
	tcase_add_test(cases, ephemeral_ports);
	tcase_add_test(cases, many_sockets);
	tcase_add_test(cases, datagram);
	tcase_add_test(cases, zero_checksum);
	tcase_add_test(cases, hostile_datagrams);
	tcase_add_test(cases, without_checksum);
	tcase_add_test(cases, no_port);
	tcase_add_test(cases, no_route);
	tcase_add_test(cases, keep);
	tcase_add_loop_test(cases, rogues, 0, 3 * ROGUE_MODES);
	tcase_add_test(cases, tags);
	tcase_add_test(cases, without_address);
	tcase_add_test(cases, reset);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

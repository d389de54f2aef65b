/*
 * The attacker: what it tells from bytes, what it does to packets on its link, and the plumbing of the man in the middle with
 * a small KDC, an honest CTA and a signaling controller made of the real parts (key management, IPsec, call keys).
 */
#include <check.h>
#include "crypto/derive.h"
#include "crypto/pkinit.h"
#include "crypto/rtp_cipher.h"
#include "models/attacker_listen.h"
#include "models/call_key.h"
#include "models/directory.h"
#include "models/key_management.h"
#include "models/kdc_client.h"
#include "models/message.h"
#include "models/model.h"
#include "models/subscriber.h"
#include "models/wire/pktc.h"
#include "models/wire/rtp.h"
#include "models/wiretap.h"
#include "tests/models/attacker_verbs.h"
#include "tests/sim/net_fixture.h"

#define ALICE_IP 0x0a010002
#define BOB_IP 0x0a010003
#define MALLORY_IP 0x0a010042
#define PORT 4000
#define POOL_SEED 7

static void stop(struct object *object)
{
	struct verb_result result = { .error = "" };

	object->class_->verbs->fn(object, &(struct args){ NULL, 0 }, &result);
}

/* Two honest nodes and the attacker on one link */

struct bench {
	struct sim *sim;
	struct link *link;
	struct node *alice, *bob, *mallory;
	struct udp_socket alice_socket, bob_socket;
	const char *refuse_by;          /* bob refuses what comes next by this check */
	unsigned got, alice_got;
	uint8_t bytes[2048];            /* bob's newest */
	uint32_t len, src;
	sim_ns at_ns;
	struct watcher watcher;
};

static void bob_got(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct bench *b = socket->ctx;

	if (b->refuse_by)
		trace_refuse(b->bob, b->refuse_by, from->src, from->tag, "");
	else
		trace_fate(b->sim, from->tag, b->bob, FATE_ACCEPTED, "");
	b->got++;
	b->len = packet->len;
	b->src = from->src;
	b->at_ns = b->sim->now_ns;
	memcpy(b->bytes, packet->data, packet->len);
}

static void alice_got(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct bench *b = socket->ctx;

	b->alice_got++;
	b->len = packet->len;
	b->src = from->src;
	memcpy(b->bytes, packet->data, packet->len);
}

static struct node *node_on(struct sim *sim, struct link *link, const char *name, uint32_t ip)
{
	struct node *node = node_new(sim, name);

	iface_new(node, link, "eth0", NULL, ip, 24);
	return node;
}

static void make_attacker(struct node *node, const struct arg *params)
{
	struct args args = args_of(params);
	char error[MODEL_ERROR_LEN] = "";

	node->model = &model_attacker;
	ck_assert_msg(model_attacker.create(node, &args, error), "%s", error);
}

static void bench_make(struct bench *b, const struct link_params *params)
{
	memset(b, 0, sizeof *b);
	b->sim = sim_new(11, SIM_DEFAULT_EPOCH_S);
	b->link = link_new(b->sim, "hfc", params);
	b->alice = node_on(b->sim, b->link, "alice", ALICE_IP);
	b->bob = node_on(b->sim, b->link, "bob", BOB_IP);
	b->mallory = node_on(b->sim, b->link, "mallory", MALLORY_IP);
	udp_bind(b->alice, &b->alice_socket, PORT, alice_got, b);
	udp_bind(b->bob, &b->bob_socket, PORT, bob_got, b);
	watch(b->sim, &b->watcher, TRACE_REFUSAL);
	make_attacker(b->mallory, NULL);
}

/* Ends a run: no packet may be left over but those in captures, which the test has let go. */
static void bench_end(struct bench *b)
{
	call(b->mallory, "release", NULL);
	sim_run(b->sim, SIM_NEVER);
	ck_assert_uint_eq(b->sim->packets_live, 0);
	sim_free(b->sim);
}

static const struct link_params plain = { .delay_ns = NS_PER_MS };

/* 176 bytes, as an encrypted RTP packet has; they begin with number. */
static void say(struct bench *b, uint16_t number)
{
	send_numbered(&b->alice_socket, BOB_IP, PORT, number, 176);
}

static void settle(struct bench *b, sim_ns for_ns)
{
	sim_run(b->sim, b->sim->now_ns + for_ns);
}

/* What bytes tell */

static const char sip_text[] = "OPTIONS sip:1@sc1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.2;branch=z9hG4bKx\r\nFrom: <sip:2@x>;tag=a\r\n"
			       "To: <sip:1@sc1>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

static size_t wake_up(uint8_t *out)
{
	struct pktc frame = { .kind = PKTC_WAKE_UP, .server_nonce = 5, .principal = "sc/sc1" };

	return pktc_write(&frame, out, PKTC_MESSAGE_MAX);
}

START_TEST(kinds_are_told_from_bytes)
{
	static const uint8_t as_req[] = { 0x6a, 0x82 }, as_rep[] = { 0x6b, 0x00 }, error[] = { 0x7e, 0x00 };
	uint8_t wake[PKTC_MESSAGE_MAX], rtp[200] = { 0x80 };
	size_t wake_len = wake_up(wake);
	const struct {
		const uint8_t *bytes;
		size_t len;
		uint16_t sport, dport;
		enum wire_kind kind;
	} rows[] = {
		{ as_req, 2, 5000, 88, WIRE_AS_REQ }, { as_rep, 2, 88, 5000, WIRE_AS_REP }, { error, 2, 88, 5000, WIRE_KRB_ERROR },
		{ as_req, 0, 5000, 88, WIRE_OTHER }, { wake, wake_len, 1293, 1293, WIRE_WAKE_UP },
		{ wake, wake_len - 1, 1293, 1293, WIRE_OTHER }, { as_req, 2, 1293, 1293, WIRE_OTHER },
		{ (const uint8_t *)sip_text, sizeof sip_text - 1, 5060, 5060, WIRE_SIP }, { rtp, 176, 5060, 5060, WIRE_OTHER },
		{ rtp, 176, 4000, 4002, WIRE_RTP }, { rtp, 184, 4000, 4002, WIRE_RTP }, { rtp, 172, 4000, 4002, WIRE_RTP },
		{ rtp + 1, 172, 4000, 4002, WIRE_OTHER }, { rtp, 175, 4000, 4002, WIRE_OTHER }, { rtp, 176, 1812, 4002, WIRE_OTHER },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(wire_kind_of_udp(rows[i].bytes, rows[i].len, rows[i].sport, rows[i].dport) == rows[i].kind, "row %zu", i);
	for (unsigned k = WIRE_OTHER + 1; k < WIRE_KIND_COUNT; k++) {
		ck_assert_int_eq(wire_kind_find(wire_kind_name((enum wire_kind)k)), k);
		ck_assert_ptr_nonnull(strstr(WIRE_KIND_CHOICES, wire_kind_name((enum wire_kind)k)));
	}
	ck_assert_int_eq(wire_kind_find("any"), WIRE_ANY);
	ck_assert_int_eq(wire_kind_find("packet"), WIRE_OTHER);
}
END_TEST

static void ignore_message(void *ctx, enum wire_kind kind, const struct wire_view *last, const uint8_t *bytes, size_t len)
{
	uint64_t *sum = ctx;

	(void)last;
	*sum += kind + len;
	for (size_t i = 0; i < len; i++)
		*sum += bytes[i];
}

/* Random bytes, and good frames with some bytes changed and the end torn off, each in a block of exactly its length. */
START_TEST(hostile_bytes)
{
	struct wire_streams *streams = wire_streams_new();
	struct rng rng;
	uint64_t sum = 0, read = 0;

	rng_init(&rng, 3, "hostile", "bytes");
	for (int i = 0; i < 100000; i++) {
		size_t len = rng_below(&rng, 120);
		uint8_t *frame = malloc(len ? len : 1);
		static const uint8_t protos[] = { 6, 17, 50, 1 };
		struct wire_view v;

		rng_bytes(&rng, frame, len);
		if (len >= 34 && i % 4) { /* most of them look right in front */
			put_be16(frame + 12, 0x0800);
			frame[14] = 0x45 + (uint8_t)(rng_below(&rng, 8) == 0);
			put_be16(frame + 16, (uint16_t)(rng_below(&rng, 4) ? len - 14 : rng_u64(&rng)));
			if (i % 8)
				put_be16(frame + 20, 0);
			frame[23] = protos[rng_below(&rng, 4)];
			put_be32(frame + 26, 1);
			put_be32(frame + 30, 2);
		}
		if (len >= 48 && frame[23] == 6) { /* few connections, few sequence numbers, small lengths */
			put_be16(frame + 34, (uint16_t)rng_below(&rng, 3));
			put_be16(frame + 36, 88);
			put_be32(frame + 38, (uint32_t)rng_below(&rng, 90));
			frame[46] = 0x50;
			frame[47] = rng_below(&rng, 16) ? 0x10 : 0x02;
			if (len >= 58 && rng_below(&rng, 2))
				put_be32(frame + 54, (uint32_t)rng_below(&rng, 60));
		}
		if (wire_read(frame, len, &v)) {
			read++;
			ck_assert(v.payload_at + v.payload_len <= len);
			wire_stream_feed(streams, frame, &v, ignore_message, &sum);
			wire_checksums(frame, &v);
		}
		free(frame);
	}
	ck_assert_uint_gt(read, 10000);
	ck_assert_uint_gt(sum, 0);
	wire_streams_free(streams);
}
END_TEST

/* Kerberos in TCP */

struct heard {
	unsigned count;
	enum wire_kind kind;
	size_t len;
	uint8_t bytes[KRB_MESSAGE_MAX];
};

static void hear(void *ctx, enum wire_kind kind, const struct wire_view *last, const uint8_t *bytes, size_t len)
{
	struct heard *h = ctx;

	(void)last;
	h->count++;
	h->kind = kind;
	h->len = len;
	memcpy(h->bytes, bytes, len);
}

static enum wire_kind feed(struct wire_streams *s, struct heard *h, uint32_t seq, uint8_t flags, const uint8_t *bytes, uint32_t len)
{
	struct wire_view v = { .proto = 6, .src = 1, .dst = 2, .sport = 5000, .dport = 88, .seq = seq, .flags = flags,
		               .payload_len = len };

	return wire_stream_feed(s, bytes, &v, hear, h);
}

START_TEST(segments_in_any_order)
{
	struct wire_streams *s = wire_streams_new();
	struct heard *h = sim_alloc(sizeof *h);
	uint8_t text[2 * 1004];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 7);
	for (int m = 0; m < 2; m++) {
		put_be32(text + 1004 * m, 1000);
		text[1004 * m + 4] = m ? 0x6b : 0x6a;
	}
	ck_assert_int_eq(feed(s, h, 99, 0x10, text, 100), WIRE_OTHER); /* its start was not seen */
	feed(s, h, 99, 0x02, text, 0);
	ck_assert_int_eq(feed(s, h, 600, 0x10, text + 500, 300), WIRE_OTHER);  /* ahead of a gap */
	ck_assert_int_eq(feed(s, h, 100, 0x10, text, 200), WIRE_AS_REQ);
	ck_assert_int_eq(feed(s, h, 100, 0x10, text, 200), WIRE_AS_REQ);       /* once more */
	feed(s, h, 850, 0x10, text + 750, 400);                                /* the rest and some of the second */
	ck_assert_uint_eq(h->count, 0);
	ck_assert_int_eq(feed(s, h, 250, 0x10, text + 150, 400), WIRE_AS_REQ); /* overlaps on both sides */
	ck_assert_uint_eq(h->count, 1);
	ck_assert_int_eq(h->kind, WIRE_AS_REQ);
	ck_assert_mem_eq(h->bytes, text + 4, 1000);
	ck_assert_int_eq(feed(s, h, 300, 0x10, text + 200, 100), WIRE_AS_REQ); /* of the first, late */
	ck_assert_int_eq(feed(s, h, 1000, 0x10, text + 900, 1108), WIRE_AS_REP);
	ck_assert_uint_eq(h->count, 2);
	ck_assert_int_eq(h->kind, WIRE_AS_REP);
	ck_assert_mem_eq(h->bytes, text + 1008, 1000);
	free(h);
	wire_streams_free(s);
}
END_TEST

struct server { /* bob's port 88: takes one message, answers with ten bytes of an AS-REP */
	struct tcp_listener listener;
	unsigned got;
	uint32_t from_ip;
	size_t len;
	uint8_t bytes[KRB_MESSAGE_MAX];
};

static size_t server_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	static const uint8_t answer[] = { 0, 0, 0, 6, 0x6b, 4, 1, 2, 3, 4 };
	struct server *s = ctx;
	uint16_t port;

	if (len < 4 || len - 4 < get_be32(bytes))
		return 0;
	s->got++;
	s->len = get_be32(bytes);
	memcpy(s->bytes, bytes + 4, s->len);
	tcp_peer(conn, &s->from_ip, &port);
	trace_fate(tcp_node(conn)->sim, tag, tcp_node(conn), FATE_ACCEPTED, "");
	tcp_send(conn, answer, sizeof answer, 0);
	return 4 + s->len;
}

static const struct tcp_handler server_side = { .received = server_bytes };

static bool server_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler, void **ctx)
{
	(void)conn;
	*handler = &server_side;
	*ctx = listener->ctx;
	return true;
}

static size_t client_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	(void)ctx;
	(void)bytes;
	(void)tag;
	if (len < 10)
		return 0;
	tcp_close(conn);
	return len;
}

static const struct tcp_handler client_side = { .received = client_bytes };

/* On a link that loses and reorders; then the message is sent again over a connection of the attacker's own. */
START_TEST(message_over_tcp)
{
	const struct link_params bad = { .delay_ns = NS_PER_MS, .loss_ppm = 200000, .reorder_ppm = 200000, .reorder_ns = 5 * NS_PER_MS };
	struct server *server = sim_alloc(sizeof *server);
	struct bench b;
	struct object *capture, *sent;
	uint8_t text[9004];

	bench_make(&b, _i ? &bad : &plain);
	server->listener = (struct tcp_listener){ .node = b.bob, .port = 88, .accept = server_accept, .ctx = server };
	tcp_listen(b.bob, &server->listener);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 13 + (i >> 8));
	put_be32(text, 9000);
	text[4] = 0x6a;
	capture = does(b.mallory, "capture", ARGS(TEXT("kind", "AS-REQ"), NODE("from", b.alice), NODE("to", b.bob)));
	tcp_send(tcp_connect(b.alice, 0, BOB_IP, 88, &client_side, NULL), text, sizeof text, 0);
	sim_run(b.sim, SIM_NEVER);
	ck_assert_uint_eq(server->got, 1);
	ck_assert(get(capture, "ready").boolean);
	has_text(capture, "kind", "AS-REQ");
	ck_assert_int_eq(get(capture, "size").integer, 9000);
	memset(server->bytes, 0, sizeof server->bytes);
	sent = does(b.mallory, "send", ARGS(OBJECT("capture", capture)));
	sim_run(b.sim, SIM_NEVER);
	ck_assert_uint_eq(server->got, 2);
	ck_assert_uint_eq(server->from_ip, MALLORY_IP);
	ck_assert_uint_eq(server->len, 9000);
	ck_assert_mem_eq(server->bytes, text + 4, 9000);
	has_text(sent, "fate", "accepted");
	has_text(sent, "answer", "AS-REP");
	drop(sent);
	drop(capture);
	bench_end(&b);
	free(server);
}
END_TEST

/* keep in TCP: the server never sees the message, however often it is sent again. */
START_TEST(message_over_tcp_kept)
{
	struct server *server = sim_alloc(sizeof *server);
	struct object *capture;
	struct bench b;
	uint8_t text[3004] = { 0, 0, 0x0b, 0xb8, 0x6a };

	bench_make(&b, &plain);
	server->listener = (struct tcp_listener){ .node = b.bob, .port = 88, .accept = server_accept, .ctx = server };
	tcp_listen(b.bob, &server->listener);
	capture = does(b.mallory, "capture", ARGS(TEXT("kind", "AS-REQ"), BOOL("keep", true)));
	tcp_send(tcp_connect(b.alice, 0, BOB_IP, 88, &client_side, NULL), text, sizeof text, 0);
	settle(&b, 10 * NS_PER_S);
	ck_assert(get(capture, "ready").boolean);
	ck_assert_int_eq(get(capture, "size").integer, 3000);
	ck_assert_uint_eq(server->got, 0);
	stop(capture);
	sim_run(b.sim, SIM_NEVER);
	ck_assert_uint_eq(server->got, 1); /* the next repetition passes */
	drop(capture);
	bench_end(&b);
	free(server);
}
END_TEST

/* Packets */

START_TEST(capture_and_replay)
{
	struct bench b;
	struct object *capture, *sent;
	struct verb_result result;
	uint8_t first[176];

	bench_make(&b, &plain);
	capture = does(b.mallory, "capture", ARGS(TEXT("kind", "RTP"), NODE("from", b.alice), NODE("to", b.bob), INT("nth", 2)));
	result = call(b.mallory, "send", ARGS(OBJECT("capture", capture)));
	ck_assert_ptr_nonnull(strstr(result.error, "nothing has been captured yet"));
	ck_assert(!get(capture, "ready").boolean);
	say(&b, 1);
	send_numbered(&b.alice_socket, BOB_IP, PORT, 7, 50); /* not of that kind */
	settle(&b, NS_PER_S);
	ck_assert(!get(capture, "ready").boolean);
	say(&b, 2);
	say(&b, 3);
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.got, 4);
	ck_assert(get(capture, "ready").boolean);
	has_text(capture, "src", "10.1.0.2");
	has_text(capture, "dst", "10.1.0.3");
	ck_assert_int_eq(get(capture, "size").integer, 176);
	b.refuse_by = "test.check";
	sent = does(b.mallory, "send", ARGS(OBJECT("capture", capture), TIME("after", NS_PER_S)));
	settle(&b, NS_PER_S / 2);
	ck_assert_uint_eq(b.got, 4);
	has_text(sent, "fate", NULL);
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.got, 5);
	ck_assert(numbered_good(b.bytes, b.len, 2));
	ck_assert_uint_eq(b.src, ALICE_IP);
	has_text(sent, "fate", "refused");
	has_text(sent, "by", "test.check");
	memcpy(first, b.bytes, sizeof first);
	drop(sent);
	b.refuse_by = NULL;
	sent = does(b.mallory, "send", ARGS(OBJECT("capture", capture)));
	settle(&b, NS_PER_S);
	has_text(sent, "fate", "accepted");
	has_text(sent, "by", NULL);
	ck_assert_mem_eq(b.bytes, first, sizeof first);
	drop(sent);
	/* to another: the same payload, checksums right */
	sent = does(b.mallory, "send", ARGS(OBJECT("capture", capture), NODE("to", b.alice)));
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.alice_got, 1);
	ck_assert_mem_eq(b.bytes, first, sizeof first);
	drop(sent);
	drop(capture);
	ck_assert_uint_eq(b.watcher.refusals, 1);
	bench_end(&b);
}
END_TEST

START_TEST(capture_and_keep)
{
	struct bench b;
	struct object *capture;

	bench_make(&b, &plain);
	capture = does(b.mallory, "capture", ARGS(TEXT("kind", "any"), BOOL("keep", true)));
	say(&b, 1);
	say(&b, 2);
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.got, 1);
	ck_assert(numbered_good(b.bytes, b.len, 2));
	ck_assert(get(capture, "ready").boolean);
	drop(capture);
	bench_end(&b);
}
END_TEST

/* Sends bytes as an ESP packet. */
static void send_esp(struct bench *b, const uint8_t *bytes, uint32_t len)
{
	struct packet *p = packet_new(b->sim, len);

	memcpy(packet_append(p, len), bytes, len);
	ip_send(b->alice, &(struct ip_info){ .dst = BOB_IP, .proto = IP_PROTO_ESP }, p);
}

static void bob_esp(struct node *node, void *ctx, struct packet *packet, const struct ip_info *info)
{
	struct bench *b = ctx;

	b->got++;
	b->len = packet->len;
	memcpy(b->bytes, packet->data, packet->len);
	trace_refuse(node, "esp.auth", info->src, packet->tag, "");
}

START_TEST(alter_udp)
{
	static const struct {
		const char *flip;
		unsigned at;
	} rows[] = { { "0", 0 }, { "7", 7 }, { "175", 175 }, { "-1", 175 }, { "-176", 0 } };
	struct bench b;

	bench_make(&b, &plain);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arg list[] = { TEXT("kind", "RTP"), { "flip", value_text(rows[i].flip) }, INT("mask", 0x81), { NULL, value_nil() } };
		struct object *altered = does(b.mallory, "alter", list);

		say(&b, 5);
		settle(&b, NS_PER_S);
		ck_assert_uint_eq(b.got, 2 * i + 1); /* the checksum is right: it came */
		ck_assert(!numbered_good(b.bytes, b.len, 5));
		b.bytes[rows[i].at] ^= 0x81;
		ck_assert(numbered_good(b.bytes, b.len, 5));
		has_text(altered, "fate", "accepted");
		say(&b, 6); /* the next passes as it is */
		settle(&b, NS_PER_S);
		ck_assert(numbered_good(b.bytes, b.len, 6));
		drop(altered);
	}
	ck_assert_uint_eq(b.watcher.refusals, 0);
	bench_end(&b);
}
END_TEST

START_TEST(alter_esp)
{
	static const struct {
		const char *flip;
		unsigned at;
	} rows[] = { { "iv", 8 }, { "iv+7", 15 }, { "text", 16 }, { "icv", 52 }, { "icv+11", 63 }, { "0", 0 }, { "-1", 63 } };
	uint8_t esp[64];
	struct bench b;

	bench_make(&b, &plain);
	ip_protocol(b.bob, IP_PROTO_ESP, bob_esp, &b);
	for (size_t i = 0; i < sizeof esp; i++)
		esp[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arg list[] = { TEXT("kind", "ESP"), { "flip", value_text(rows[i].flip) }, { NULL, value_nil() } };
		struct object *altered = does(b.mallory, "alter", list);

		send_esp(&b, esp, sizeof esp);
		settle(&b, NS_PER_S);
		ck_assert_uint_eq(b.got, i + 1);
		b.bytes[rows[i].at] ^= 1;
		ck_assert_mem_eq(b.bytes, esp, sizeof esp);
		has_text(altered, "fate", "refused");
		has_text(altered, "by", "esp.auth");
		drop(altered);
	}
	bench_end(&b);
}
END_TEST

START_TEST(bad_arguments)
{
	static const char *const flips[] = { "", "-0", "x", "iv+8", "icv+12", "iv-1", "1,2,3,4,5", "1,", "99999", "iv+" };
	struct bench b;

	bench_make(&b, &plain);
	for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
		struct arg list[] = { { "flip", value_text(flips[i]) }, { NULL, value_nil() } };

		ck_assert_msg(call(b.mallory, "alter", list).error[0], "flip %s", flips[i]);
	}
	ck_assert(call(b.mallory, "alter", ARGS(INT("mask", 0))).error[0]);
	ck_assert(call(b.mallory, "alter", ARGS(INT("mask", 256))).error[0]);
	ck_assert(call(b.mallory, "capture", ARGS(INT("nth", 0))).error[0]);
	ck_assert(call(b.mallory, "drop", ARGS(INT("count", -1))).error[0]);
	ck_assert(call(b.mallory, "drop", ARGS(TEXT("probability", "101%"))).error[0]);
	ck_assert(call(b.mallory, "drop", ARGS(TEXT("probability", "1"))).error[0]);
	ck_assert(call(b.mallory, "inject", ARGS(NODE("to", b.bob), TEXT("hex", "0"), INT("sport", 1), INT("dport", 1))).error[0]);
	ck_assert(call(b.mallory, "inject", ARGS(NODE("to", b.bob), INT("sport", 1), INT("dport", 1))).error[0]);
	ck_assert(call(b.mallory, "inject", ARGS(NODE("to", b.bob), BYTES("bytes", "x"))).error[0]);
	ck_assert(call(b.mallory, "inject", ARGS(NODE("to", node_on(b.sim, link_new(b.sim, "far", &plain), "far", 0x0a090001)),
						 BYTES("bytes", "x"), INT("sport", 1), INT("dport", 1))).error[0]); /* no route */
	ck_assert(call(b.mallory, "mitm", ARGS(NODE("victim", b.alice), NODE("kdc", b.bob))).error[0]); /* no account */
	ck_assert(call(b.mallory, "ticket", ARGS(TEXT("server", "sc/sc1"), NODE("kdc", b.bob))).error[0]);
	bench_end(&b);
}
END_TEST

START_TEST(drop_and_delay)
{
	struct bench b;
	struct object *two, *some, *late;
	sim_ns sent_ns;

	bench_make(&b, &plain);
	two = does(b.mallory, "drop", ARGS(TEXT("kind", "RTP"), INT("count", 2), INT("nth", 2)));
	for (uint16_t i = 1; i <= 5; i++)
		say(&b, i);
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.got, 3);
	ck_assert_int_eq(get(two, "hits").integer, 2);
	ck_assert(!get(two, "active").boolean);
	drop(two);
	some = does(b.mallory, "drop", ARGS(INT("count", 0), TEXT("probability", "30%")));
	for (uint16_t i = 0; i < 1000; i++)
		say(&b, i);
	settle(&b, NS_PER_S);
	ck_assert_int_eq(get(some, "hits").integer, 1003 - b.got);
	ck_assert(b.got > 640 && b.got < 760);
	call(b.mallory, "release", NULL);
	ck_assert(!get(some, "active").boolean);
	drop(some);
	late = does(b.mallory, "delay", ARGS(TIME("by", 2 * NS_PER_S)));
	sent_ns = b.sim->now_ns;
	say(&b, 9);
	settle(&b, 5 * NS_PER_S);
	ck_assert_int_eq(b.at_ns, sent_ns + 2 * NS_PER_S + NS_PER_MS);
	ck_assert(numbered_good(b.bytes, b.len, 9));
	stop(late);
	sent_ns = b.sim->now_ns;
	say(&b, 10);
	settle(&b, NS_PER_S);
	ck_assert_int_eq(b.at_ns, sent_ns + NS_PER_MS);
	drop(late);
	bench_end(&b);
}
END_TEST

START_TEST(inject_in_any_name)
{
	struct bench b;
	struct object *sent;

	bench_make(&b, &plain);
	sent = does(b.mallory, "inject", ARGS(NODE("from", b.alice), NODE("to", b.bob), INT("sport", 77), INT("dport", PORT),
					      TEXT("hex", "0102ff")));
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.got, 1);
	ck_assert_uint_eq(b.src, ALICE_IP);
	ck_assert_uint_eq(b.len, 3);
	ck_assert_mem_eq(b.bytes, "\x01\x02\xff", 3);
	has_text(sent, "fate", "accepted");
	drop(sent);
	sent = does(b.mallory, "inject", ARGS(NODE("to", b.bob), INT("sport", 77), INT("dport", 9), BYTES("bytes", "hello")));
	settle(&b, NS_PER_S);
	has_text(sent, "fate", "lost");
	has_text(sent, "by", "udp.no_port");
	drop(sent);
	ip_protocol(b.bob, IP_PROTO_ESP, bob_esp, &b);
	sent = does(b.mallory, "inject", ARGS(NODE("from", b.alice), NODE("to", b.bob), TEXT("proto", "esp"),
					      TEXT("hex", "00000100000000010011223344556677")));
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.len, 16);
	has_text(sent, "by", "esp.auth");
	drop(sent);
	bench_end(&b);
}
END_TEST

/* The script may let go of what it was given at any time; a restart ends everything. */
START_TEST(references_and_restart)
{
	struct bench b;
	struct object *capture;

	bench_make(&b, &plain);
	drop(does(b.mallory, "drop", ARGS(INT("count", 1))));
	say(&b, 1);
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.got, 0);
	capture = does(b.mallory, "capture", ARGS(TEXT("kind", "RTP")));
	say(&b, 2);
	settle(&b, NS_PER_S);
	drop(does(b.mallory, "send", ARGS(OBJECT("capture", capture), TIME("after", NS_PER_S))));
	drop(does(b.mallory, "drop", ARGS(INT("count", 0))));
	drop(does(b.mallory, "capture", ARGS(TEXT("kind", "RTP"))));
	model_attacker.restart(b.mallory);
	settle(&b, 2 * NS_PER_S);
	ck_assert_uint_eq(b.got, 1);
	say(&b, 3);
	settle(&b, NS_PER_S);
	ck_assert_uint_eq(b.got, 2);
	drop(capture);
	bench_end(&b);
}
END_TEST

START_TEST(one_tap_a_link)
{
	struct bench b;
	struct node *second;
	char error[MODEL_ERROR_LEN] = "";

	bench_make(&b, &plain);
	second = node_on(b.sim, b.link, "trudy", 0x0a010043);
	ck_assert(!model_attacker.create(second, &(struct args){ NULL, 0 }, error));
	ck_assert_ptr_nonnull(strstr(error, "mallory"));
	for (int i = 0; i < 8; i++) { /* more attackers than a run has observers */
		char name[24];

		snprintf(name, sizeof name, "other%d", i);
		make_attacker(node_on(b.sim, link_new(b.sim, name, &plain), name, 0x0a020001), NULL);
	}
	bench_end(&b);
}
END_TEST

/* The ear */

#define EAR_CALL "77@10.1.0.2"

struct talk { /* a bench with a world, and SIP between alice and bob */
	struct bench b;
	struct world *world;
	struct secure_module *sm;
	key_handle subkey;
	char key[CALL_KEY_TEXT_LEN];
	struct udp_socket alice_sip, bob_sip;
	struct object *ear;
	uint8_t got[SIP_MESSAGE_MAX];   /* the newest at port 5060 of either */
	size_t got_len;
};

static void sip_got(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct talk *t = socket->ctx;

	ck_assert_uint_le(packet->len, sizeof t->got);
	memcpy(t->got, packet->data, packet->len);
	t->got_len = packet->len;
	message_accept(socket->node, from->tag);
}

static void talk_make(struct talk *t, const char *mac)
{
	char error[MODEL_ERROR_LEN];

	memset(t, 0, sizeof *t);
	bench_make(&t->b, &plain);
	t->world = world_new(t->b.sim, POOL_SEED, NULL);
	ck_assert(world_switch_set(t->world, "rtp.mac", mac, error));
	t->sm = world_module(t->world, t->b.alice, "krb5");
	t->subkey = sm_generate_des3(t->sm, "call.subkey");
	ck_assert(call_key_wrap_open(t->sm, t->subkey, t->key));
	udp_bind(t->b.alice, &t->alice_sip, SIP_PORT, sip_got, t);
	udp_bind(t->b.bob, &t->bob_sip, SIP_PORT, sip_got, t);
	t->ear = does(t->b.mallory, "listen", NULL);
}

static void talk_end(struct talk *t)
{
	drop(t->ear);
	sm_destroy_key(t->sm, t->subkey);
	bench_end(&t->b);
	sm_free(t->sm);
	world_free(t->world);
}

/* to_tag: ";tag=b" or ""; key: of the session description, NULL: none. */
static void say_line(struct talk *t, struct udp_socket *socket, const char *line, const char *call_id, const char *to_tag, const char *cseq,
		     const char *key)
{
	uint32_t dst = socket == &t->alice_sip ? BOB_IP : ALICE_IP;
	struct sdp sdp = { .ip = ALICE_IP, .port = PORT, .key = key ? span_of(key) : (struct span){ NULL, 0 }, .spi = 0x4000 };
	char body[400], message[SIP_MESSAGE_MAX];
	struct text text = { .at = body, .size = sizeof body };
	int len;

	sdp_write(&text, &sdp, 1);
	len = snprintf(message, sizeof message, "%s\r\nVia: SIP/2.0/UDP 10.1.0.2;branch=z9hG4bKx\r\nFrom: <sip:2155550101@10.1.0.2>;tag=a\r\n"
		       "To: <sip:6105550102@10.1.0.3>%s\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Type: application/sdp\r\n"
		       "Content-Length: %zu\r\n\r\n%.*s", line, to_tag, call_id, cseq, text.len, (int)text.len, body);
	message_send(socket, dst, SIP_PORT, "SIP", &form_sip, (const uint8_t *)message, (size_t)len);
	settle(&t->b, 10 * NS_PER_MS);
}

static void say_invite(struct talk *t, const char *call_id, const char *key)
{
	say_line(t, &t->alice_sip, "INVITE sip:6105550102@10.1.0.3 SIP/2.0", call_id, "", "1 INVITE", key);
}

static void voice(struct talk *t, bool from_alice, uint16_t port, enum esp_direction direction, uint8_t payload_type, uint32_t ssrc)
{
	struct rtp_cipher *cipher = rtp_cipher_new(t->sm, t->subkey, LABEL_RTP, direction, "", world_on(t->world, "rtp.mac"));
	struct rtp_header header = { .payload_type = payload_type, .sequence = 1, .timestamp = 160, .ssrc = ssrc };
	struct packet *p = packet_new(t->b.sim, RTP_HEADER_LEN + RTP_PAYLOAD_LEN + RTP_SEAL_EXTRA_MAX);
	size_t len;

	rtp_write(packet_append(p, RTP_HEADER_LEN), &header);
	memset(packet_append(p, RTP_PAYLOAD_LEN), 0x55, RTP_PAYLOAD_LEN);
	len = rtp_seal(cipher, p->data, p->len);
	packet_append(p, (uint32_t)len - p->len);
	udp_send(from_alice ? &t->b.alice_socket : &t->b.bob_socket, 0, from_alice ? BOB_IP : ALICE_IP, port, p);
	settle(&t->b, 10 * NS_PER_MS);
	rtp_cipher_free(cipher);
}

static void ear_has(struct talk *t, int64_t sip_read, int64_t keys, int64_t rtp_opened)
{
	ck_assert_int_eq(get(t->ear, "sip_read").integer, sip_read);
	ck_assert_int_eq(get(t->ear, "keys").integer, keys);
	ck_assert_int_eq(get(t->ear, "rtp_opened").integer, rtp_opened);
}

START_TEST(ear_reads_what_is_in_clear)
{
	static const char *const others[] = { "", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
	uint8_t id[KEY_ID_LEN];
	struct talk t;

	talk_make(&t, _i ? "on" : "off");
	sm_key_id(t.sm, t.subkey, id);
	ck_assert(!get(t.ear, "ready").boolean);
	has_text(t.ear, "dialled", NULL);
	voice(&t, true, PORT, ESP_UP, 0, 1); /* before she has the key */
	ear_has(&t, 0, 0, 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) { /* keys that do not unwrap */
		char call_id[] = "0@x";

		call_id[0] = (char)('0' + i);
		say_invite(&t, call_id, others[i]);
	}
	say_invite(&t, "4@x", NULL);
	ear_has(&t, 4, 0, 0);
	say_invite(&t, EAR_CALL, t.key);
	say_invite(&t, EAR_CALL, t.key); /* repeated */
	ear_has(&t, 6, 1, 0);
	has_text(t.ear, "caller", "2155550101");
	has_text(t.ear, "dialled", "6105550102");
	voice(&t, true, PORT, ESP_UP, 0, 1);
	voice(&t, false, PORT, ESP_DOWN, 0, 2);
	ear_has(&t, 6, 1, 2);
	voice(&t, true, PORT, ESP_DOWN, 0, 1);   /* another key */
	voice(&t, true, PORT, ESP_UP, 8, 1);     /* not what was offered */
	voice(&t, true, PORT, ESP_UP, 0, 3);     /* another source */
	voice(&t, false, PORT + 2, ESP_DOWN, 0, 2); /* another call's port */
	send_numbered(&t.alice_sip, BOB_IP, SIP_PORT, 1, 200);
	settle(&t.b, 10 * NS_PER_MS);
	ear_has(&t, 6, 1, 2);
	voice(&t, true, PORT, ESP_UP, 0, 1);
	ear_has(&t, 6, 1, 3);
	stop(t.ear);
	say_invite(&t, EAR_CALL, t.key);
	voice(&t, true, PORT, ESP_UP, 0, 1);
	ear_has(&t, 6, 1, 3);
	ck_assert_uint_eq(world_key_holders(t.world, id), 1); /* her keys are wiped */
	talk_end(&t);
}
END_TEST

START_TEST(oldest_call_makes_room)
{
	struct talk t;

	talk_make(&t, "off");
	say_invite(&t, EAR_CALL, t.key);
	for (int i = 1; i <= EAR_CALLS_MAX; i++) {
		char call_id[16];

		voice(&t, true, PORT, ESP_UP, 0, 1);
		ear_has(&t, i, 1, i);
		snprintf(call_id, sizeof call_id, "%d@x", i);
		say_invite(&t, call_id, NULL);
	}
	voice(&t, true, PORT, ESP_UP, 0, 1);
	ear_has(&t, EAR_CALLS_MAX + 1, 1, EAR_CALLS_MAX);
	talk_end(&t);
}
END_TEST

/* What either got last is this BYE. */
static void is_bye(const struct talk *t, const char *call_id, const char *from_tag, const char *to_tag, uint32_t cseq)
{
	struct sip_message m;

	ck_assert(sip_parse(t->got, t->got_len, &m));
	ck_assert(m.request && m.method == SIP_BYE);
	ck_assert(span_is(m.call_id, call_id) && span_is(m.from_tag, from_tag) && span_is(m.to_tag, to_tag));
	ck_assert_uint_eq(m.cseq, cseq);
}

START_TEST(bye_out_of_what_was_read)
{
	struct object *sent;
	struct talk t;

	talk_make(&t, "off");
	say_invite(&t, "old@x", NULL);
	say_invite(&t, EAR_CALL, NULL);
	say_line(&t, &t.bob_sip, "SIP/2.0 180 Ringing", EAR_CALL, ";tag=early", "1 INVITE", NULL);
	say_line(&t, &t.bob_sip, "SIP/2.0 200 OK", EAR_CALL, ";tag=b", "1 INVITE", NULL);
	say_line(&t, &t.alice_sip, "INFO sip:6105550102@10.1.0.3 SIP/2.0", EAR_CALL, ";tag=b", "7 INFO", NULL);
	sent = does(t.b.mallory, "forge_bye", ARGS(NODE("from", t.b.alice), NODE("to", t.b.bob), OBJECT("ear", t.ear)));
	settle(&t.b, NS_PER_S);
	is_bye(&t, EAR_CALL, "a", "b", 8);
	has_text(sent, "fate", "accepted");
	drop(sent);
	sent = does(t.b.mallory, "forge_bye", ARGS(NODE("from", t.b.bob), NODE("to", t.b.alice), OBJECT("ear", t.ear)));
	settle(&t.b, NS_PER_S);
	is_bye(&t, EAR_CALL, "b", "a", 8);
	drop(sent);
	ear_has(&t, 5, 0, 0); /* her own are no news */
	stop(t.ear);          /* what has been read stays */
	sent = does(t.b.mallory, "forge_bye", ARGS(NODE("from", t.b.alice), NODE("to", t.b.bob), OBJECT("ear", t.ear)));
	settle(&t.b, NS_PER_S);
	is_bye(&t, EAR_CALL, "a", "b", 8);
	drop(sent);
	talk_end(&t);
}
END_TEST

START_TEST(bye_that_is_guessed)
{
	char call_id[2][64], tag[64];
	struct sip_message m;
	struct object *other;
	struct talk t;

	talk_make(&t, "off");
	for (int i = 0; i < 2; i++) { /* without an ear, with one that has read nothing */
		drop(does(t.b.mallory, "forge_bye", i ? ARGS(NODE("from", t.b.alice), NODE("to", t.b.bob), OBJECT("ear", t.ear))
						     : ARGS(NODE("from", t.b.alice), NODE("to", t.b.bob))));
		settle(&t.b, NS_PER_S);
		ck_assert(sip_parse(t.got, t.got_len, &m) && m.method == SIP_BYE);
		ck_assert(span_copy(m.call_id, call_id[i], sizeof call_id[i]) && span_copy(m.to_tag, tag, sizeof tag));
	}
	ck_assert_str_ne(call_id[0], call_id[1]);
	other = does(t.b.mallory, "capture", ARGS(TEXT("kind", "SIP")));
	ck_assert_ptr_nonnull(strstr(call(t.b.mallory, "forge_bye", ARGS(NODE("from", t.b.alice), NODE("to", t.b.bob),
									 OBJECT("ear", other))).error, "listen"));
	drop(other);
	talk_end(&t);
}
END_TEST

/* Good messages with bytes changed, each in a block of exactly its length. */
START_TEST(ear_survives_any_bytes)
{
	static const char *const lines[] = { "INVITE sip:6105550102@x SIP/2.0", "SIP/2.0 200 OK", "BYE sip:6105550102@x SIP/2.0" };
	struct ear *ear;
	struct talk t;
	struct rng rng;
	char out[SIP_MESSAGE_MAX];

	talk_make(&t, "off");
	ear = ear_new(t.b.mallory, false);
	rng_init(&rng, 4, "hostile", "sip");
	for (int i = 0; i < 20000; i++) {
		char text[800];
		int len = snprintf(text, sizeof text, "%s\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nFrom: <sip:%.*s@x>;tag=a\r\nTo: <sip:2@x>;tag=%d\r\n"
				   "Call-ID: %d\r\nCSeq: 1 %s\r\n\r\n", lines[i % 3], (int)rng_below(&rng, 200),
				   "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
				   "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
				   i, i / 3 % 50, i % 3 == 2 ? "BYE" : "INVITE");
		struct packet *p = packet_new(t.b.sim, (uint32_t)len);
		struct wire_view v = { .kind = WIRE_SIP, .src = ALICE_IP, .dst = BOB_IP, .payload_len = (uint32_t)len };

		for (uint64_t n = rng_below(&rng, 3); n; n--)
			text[rng_below(&rng, (uint64_t)len)] = (char)rng_u64(&rng);
		memcpy(packet_append(p, (uint32_t)len), text, (size_t)len);
		ear_frame(ear, p, &v);
		packet_free(p);
		ck_assert_uint_gt(ear_forge_bye(ear, &rng, ALICE_IP, BOB_IP, out, sizeof out), 0);
		ck_assert_uint_eq(ear_forge_bye(ear, &rng, ALICE_IP, BOB_IP, out, 100), 0);
	}
	ck_assert_int_gt(ear_facts(ear)->sip_read, 1000);
	ear_free(ear);
	talk_end(&t);
}
END_TEST

/* What SIP in clear is called when it is refused, and when it is believed */

struct clear_row {
	bool server, in_directory;                /* who hears; whether the sender's address is a service */
	const char *backend, *signaling, *label;  /* switches; of an association with the sender, NULL: none */
	const char *check;                        /* NULL: taken */
	bool believed;                            /* taken as the association's peer */
};
static const struct clear_row clear_rows[] = {
	{ true, true, "on", "on", NULL, "backend.ipsec", false },
	{ true, true, "on", "on", LABEL_SERVER, "backend.ipsec", false },
	{ true, false, "on", "on", NULL, "signaling.esp", false },
	{ true, false, "on", "on", LABEL_CTA_SC, "signaling.esp", false },
	{ false, true, "on", "on", LABEL_CTA_SC, "signaling.esp", false },
	{ false, true, "on", "on", NULL, "signaling.esp", false },
	{ true, true, "off", "on", NULL, NULL, false },
	{ true, false, "off", "on", LABEL_CTA_SC, "signaling.esp", false }, /* a customer's: not about servers */
	{ false, true, "off", "on", LABEL_CTA_SC, "signaling.esp", false },
	{ true, true, "on", "off", NULL, "backend.ipsec", false },
	{ true, true, "on", "off", LABEL_SERVER, "backend.ipsec", false },  /* servers: not about customers */
	{ true, false, "on", "off", NULL, "signaling.esp", false },         /* a stranger */
	{ true, false, "on", "off", LABEL_CTA_SC, NULL, true },
	{ false, true, "on", "off", LABEL_CTA_SC, NULL, true },
	{ false, false, "on", "off", LABEL_CTA_CTA, NULL, true },
	{ false, false, "on", "off", LABEL_CTA_SERVER, NULL, true },
};

static void check_clear_row(const struct clear_row *row, size_t nth)
{
	struct sim *sim = sim_new(11, SIM_DEFAULT_EPOCH_S);
	struct world *world = world_new(sim, POOL_SEED, NULL);
	struct node *bob = node_on(sim, link_new(sim, "hfc", &plain), "bob", BOB_IP);
	struct secure_module *sm = world_module(world, bob, "krb5");
	struct udp_from from = { .src = ALICE_IP, .dst = BOB_IP };
	struct association *association = NULL;
	char error[MODEL_ERROR_LEN];
	struct ipsec *ipsec;
	const char *check;

	ck_assert(world_switch_set(world, "backend.ipsec", row->backend, error));
	ck_assert(world_switch_set(world, "signaling.esp", row->signaling, error));
	if (row->in_directory)
		directory_service_add(world_directory(world), "sc/sc1", ALICE_IP);
	ipsec = ipsec_new(bob, sm, row->server);
	if (row->label)
		association = ipsec_add(ipsec, &(struct association_request){ .peer_ip = ALICE_IP, .spi = 0x4000, .label = row->label,
			.subkey = sm_generate_des3(sm, "subkey"), .lifetime_ns = NS_PER_S });
	check = ipsec_check_signaling(ipsec, &from);
	ck_assert_msg(row->check ? check && strcmp(check, row->check) == 0 : !check, "row %zu: %s", nth, check ? check : "taken");
	ck_assert_msg(from.sa == (row->believed ? association : NULL), "row %zu", nth);
	from.sa = bob; /* came under ESP */
	ck_assert_ptr_null(ipsec_check_signaling(ipsec, &from));
	ck_assert_ptr_eq(from.sa, bob);
	ipsec_free(ipsec);
	sm_free(sm);
	sim_free(sim);
	world_free(world);
}

START_TEST(clear_signaling_has_a_name)
{
	for (size_t i = 0; i < sizeof clear_rows / sizeof *clear_rows; i++)
		check_clear_row(&clear_rows[i], i);
}
END_TEST

/* K1 */

#define NUMBER_ALICE "215-555-0101"
#define NUMBER_MALLORY "215-555-0199"
#define ROUTER_HFC_IP 0x0a010001
#define ROUTER_CORE_IP 0x0a020001
#define KDC_IP 0x0a020009
#define SC_IP 0x0a020005

struct rig {
	struct sim *sim;
	struct world *world;
	struct node *alice, *mallory, *router, *kdc, *sc;
	enum pkinit_bind bind;
	bool dh;
	/* the KDC */
	struct secure_module *kdc_sm;
	struct pkinit_kdc authority;
	struct der kdc_cert;
	struct tcp_listener listener;
	unsigned kdc_requests;
	char kdc_client_name[KRB_NAME_MAX + 1];
	uint32_t kdc_client_ip;
	/* the victim */
	struct secure_module *sm;
	struct der cert;
	struct pkinit_identity identity;
	struct pkinit_client *request;
	struct kdc_client *client;
	struct krb_credentials credentials;
	enum krb_reply_verdict verdict;
	bool answered;
	struct ipsec *ipsec;
	struct key_management *km;
	struct association *association;
	struct udp_socket sip, rtp;
	/* the signaling controller */
	struct secure_module *sc_sm;
	struct ipsec *sc_ipsec;
	struct key_management *sc_km;
	struct association *sc_association;
	char sc_client_name[KRB_NAME_MAX + 1];
	struct udp_socket sc_sip;
	char sc_caller[SUBSCRIBER_NUMBER_LEN]; /* in the From of what came last */
};

static size_t kdc_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct rig *r = ctx;
	struct krb_as_facts facts;
	struct krb_ticket_facts ticket = { .restricted = false };
	struct der reply = { 0 };
	uint8_t prefix[4];
	uint16_t port;

	if (len < 4 || len - 4 < get_be32(bytes))
		return 0;
	ck_assert(krb_as_parse(world_crypto(r->world), bytes + 4, get_be32(bytes), &facts));
	ck_assert(pkinit_check_signature(world_crypto(r->world), &facts));
	r->kdc_requests++;
	tcp_peer(conn, &r->kdc_client_ip, &port);
	snprintf(r->kdc_client_name, sizeof r->kdc_client_name, "%s", facts.client.name);
	ticket.client = facts.client;
	ticket.server = facts.server;
	ticket.auth_time_s = ticket.start_time_s = sim_unix_s(r->sim);
	ticket.end_time_s = facts.till_s;
	ck_assert(pkinit_reply_build(r->kdc_sm, &r->authority, world_server_key(r->world, r->kdc_sm, "sc/sc1"), &facts, &ticket,
				     r->bind, world_now(r->sim), &reply));
	krb_as_facts_free(&facts);
	message_accept(r->kdc, tag);
	put_be32(prefix, (uint32_t)reply.len);
	tcp_send(conn, prefix, 4, 0);
	tcp_send(conn, reply.bytes, reply.len, 0);
	der_free(&reply);
	return len;
}

static const struct tcp_handler kdc_side = { .received = kdc_bytes };

static bool kdc_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **handler, void **ctx)
{
	(void)conn;
	*handler = &kdc_side;
	*ctx = listener->ctx;
	return true;
}

static bool victim_request(void *ctx, struct der *out)
{
	struct rig *r = ctx;
	struct krb_name server;

	krb_name_set(&server, "sc/sc1", WORLD_REALM);
	pkinit_client_free(r->request);
	r->request = pkinit_request(r->sm, &r->identity, &server, world_now(r->sim), sim_unix_s(r->sim) + 3600, r->dh, r->bind, out);
	return true;
}

static void victim_answer(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct rig *r = ctx;
	struct pkinit_policy policy = {
		.verify_root = true, .require_kdc_eku = true, .check_kdc_name = true, .check_nonce = true, .check_bind = true,
		.check_sealed_sname = true, .bind = r->bind, .kdc_ca = world_authority(r->world, AUTHORITY_OPERATOR),
		.kdc_ca_count = 1, .now_s = sim_unix_s(r->sim),
	};

	ck_assert_ptr_nonnull(bytes);
	r->answered = true;
	krb_credentials_free(r->sm, &r->credentials);
	r->verdict = pkinit_reply(r->sm, r->request, &r->identity, &policy, bytes, len, &r->credentials, NULL);
	if (r->verdict == KRB_REPLY_OK)
		message_accept(r->alice, tag);
	else
		trace_refuse(r->alice, krb_reply_checks[r->verdict], KDC_IP, tag, "");
}

static void ignore(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)packet;
	message_accept(socket->node, from->tag);
}

static void sc_got(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct rig *r = socket->ctx;
	struct sip_message sip;

	ck_assert(sip_parse(packet->data, packet->len, &sip));
	ck_assert(span_copy(sip_user(sip.from), r->sc_caller, sizeof r->sc_caller));
	message_accept(socket->node, from->tag);
}

static void sc_accepted(void *ctx, struct association *association, const struct krb_ticket_facts *ticket)
{
	struct rig *r = ctx;

	r->sc_association = association;
	snprintf(r->sc_client_name, sizeof r->sc_client_name, "%s", ticket->client.name);
}

static void make_victim(struct rig *r)
{
	static const struct key_management_owner owner = { .ctx = NULL };
	uint8_t id[PHONE_ID_LEN];
	char name[2 * PHONE_ID_LEN + 1];

	r->sm = world_module(r->world, r->alice, "krb5");
	world_operator_certificate(r->world, "alice", 1024, NUMBER_ALICE, 0, &r->cert);
	sm_install_root(r->sm, world_authority(r->world, AUTHORITY_OPERATOR_ROOT)->bytes,
			world_authority(r->world, AUTHORITY_OPERATOR_ROOT)->len);
	phone_id(world_crypto(r->world), NUMBER_ALICE, id);
	hex_encode(id, sizeof id, name);
	r->identity.rsa_key = sm_install_rsa(r->sm, world_key_pool(r->world), "alice", 1024);
	r->identity.cert = r->cert;
	krb_name_set(&r->identity.name, name, WORLD_REALM);
	r->client = kdc_client_new(r->alice, KDC_IP, true);
	r->ipsec = ipsec_new(r->alice, r->sm, false);
	r->km = key_management_new(r->alice, r->ipsec, "", 0, &owner);
	key_management_reset(r->km);
	udp_bind(r->alice, &r->sip, SIP_PORT, ignore, r);
	udp_bind(r->alice, &r->rtp, PORT, ignore, r);
}

static void make_servers(struct rig *r)
{
	struct key_management_owner owner = { .ctx = r, .accepted = sc_accepted };

	r->kdc_sm = world_module(r->world, r->kdc, "krb5");
	world_kdc_certificate(r->world, "kdc1", &r->kdc_cert);
	r->authority = (struct pkinit_kdc){ sm_install_rsa(r->kdc_sm, world_key_pool(r->world), "kdc1", WORLD_KDC_BITS), r->kdc_cert,
					    *world_authority(r->world, AUTHORITY_OPERATOR) };
	r->listener = (struct tcp_listener){ .node = r->kdc, .port = KDC_PORT, .accept = kdc_accept, .ctx = r };
	tcp_listen(r->kdc, &r->listener);
	r->sc_sm = world_module(r->world, r->sc, "krb5");
	r->sc_ipsec = ipsec_new(r->sc, r->sc_sm, true);
	r->sc_km = key_management_new(r->sc, r->sc_ipsec, "sc/sc1", world_server_key(r->world, r->sc_sm, "sc/sc1"), &owner);
	key_management_reset(r->sc_km);
	udp_bind(r->sc, &r->sc_sip, SIP_PORT, sc_got, r);
}

/* The KDC is behind a router, as a head-end is: nothing on the victim's link has its address. */
static void rig_make(struct rig *r, enum pkinit_bind bind, bool dh)
{
	struct link *hfc, *core;

	memset(r, 0, sizeof *r);
	r->bind = bind;
	r->dh = dh;
	r->sim = sim_new(5, SIM_DEFAULT_EPOCH_S);
	r->world = world_new(r->sim, POOL_SEED, NULL);
	hfc = link_new(r->sim, "hfc", &plain);
	core = link_new(r->sim, "core", &plain);
	r->alice = node_on(r->sim, hfc, "alice", ALICE_IP);
	r->mallory = node_on(r->sim, hfc, "mallory", MALLORY_IP);
	r->router = node_on(r->sim, hfc, "router", ROUTER_HFC_IP);
	iface_new(r->router, core, "eth1", NULL, ROUTER_CORE_IP, 24);
	ip_set_forwarding(r->router, true);
	r->kdc = node_on(r->sim, core, "kdc", KDC_IP);
	r->sc = node_on(r->sim, core, "sc", SC_IP);
	for (struct node *n = r->sim->nodes; n; n = n->next)
		if (n != r->router)
			ip_route_add(n, 0, 0, n->ifaces->link == hfc ? ROUTER_HFC_IP : ROUTER_CORE_IP, n->ifaces);
	make_victim(r);
	make_servers(r);
	make_attacker(r->mallory, ARGS(TEXT("provisioned", NUMBER_MALLORY)));
}

static void rig_end(struct rig *r)
{
	kdc_client_free(r->client);
	key_management_free(r->km);
	key_management_free(r->sc_km);
	ipsec_free(r->ipsec);
	ipsec_free(r->sc_ipsec);
	krb_credentials_free(r->sm, &r->credentials);
	pkinit_client_free(r->request);
	sm_free(r->sm);
	sm_free(r->kdc_sm);
	sm_free(r->sc_sm);
	der_free(&r->cert);
	der_free(&r->kdc_cert);
	sim_free(r->sim);
	world_free(r->world);
}

static void established(void *ctx, enum ap_outcome outcome, struct association *association, int error)
{
	struct rig *r = ctx;

	(void)error;
	if (outcome == AP_ESTABLISHED)
		r->association = association;
}

static void run_for(struct rig *r, sim_ns for_ns)
{
	sim_run(r->sim, r->sim->now_ns + for_ns);
}

/* A SIP message with a session description, under ESP. */
static void say_sip(struct udp_socket *socket, uint32_t dst, const char *first_line, uint32_t media_ip, const char *key, uint32_t spi)
{
	char body[400], message[1200];
	struct text t = { .at = body, .size = sizeof body };
	struct sdp sdp = { .ip = media_ip, .port = PORT, .key = key ? span_of(key) : (struct span){ NULL, 0 }, .spi = spi };
	int len;

	sdp_write(&t, &sdp, 1);
	len = snprintf(message, sizeof message, "%s\r\nVia: SIP/2.0/UDP 10.1.0.2;branch=z9hG4bKx\r\nFrom: <sip:2155550101@sc1>;tag=a\r\n"
		       "To: <sip:6105550102@sc1>;tag=b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
		       "Content-Length: %zu\r\n\r\n%.*s", first_line, t.len, (int)t.len, body);
	message_send(socket, dst, SIP_PORT, "SIP", &form_sip, (const uint8_t *)message, (size_t)len);
}

static void say_rtp(struct rig *r, struct rtp_cipher *cipher, uint16_t sequence)
{
	struct packet *p = packet_new(r->sim, RTP_HEADER_LEN + RTP_PAYLOAD_LEN + RTP_SEAL_EXTRA_MAX);
	struct rtp_header header = { .sequence = sequence, .timestamp = sequence * 160u, .ssrc = 0x1234 };
	size_t len;

	rtp_write(packet_append(p, RTP_HEADER_LEN), &header);
	memset(packet_append(p, RTP_PAYLOAD_LEN), 0x55, RTP_PAYLOAD_LEN);
	len = rtp_seal(cipher, p->data, p->len);
	packet_append(p, (uint32_t)len - p->len);
	udp_send(&r->rtp, 0, SC_IP, PORT, p);
}

/* The victim's call: INVITE up, an answer with the wrapped call key down, then media. */
static void make_call(struct rig *r, struct object *mitm)
{
	key_handle subkey = sm_generate_des3(r->sc_sm, "call.subkey");
	bool mac = world_on(r->world, "rtp.mac");
	struct rtp_cipher *cipher;
	char key[CALL_KEY_TEXT_LEN];

	say_sip(&r->sip, SC_IP, "INVITE sip:6105550102@sc1 SIP/2.0", ALICE_IP, NULL, 0);
	run_for(r, NS_PER_S);
	has_text(mitm, "dialled", "6105550102");
	ck_assert_str_eq(r->sc_caller, "2155550199"); /* the attacker's number, sealed by it */
	say_sip(&r->sip, SC_IP, "INVITE sip:6105550102@sc1 SIP/2.0", ALICE_IP, NULL, 0);
	ck_assert(call_key_wrap(r->sc_association, subkey, key));
	say_sip(&r->sc_sip, ALICE_IP, "SIP/2.0 200 OK", SC_IP, key, 0x4000);
	run_for(r, NS_PER_S);
	ck_assert_int_eq(get(mitm, "read").integer, 3);
	cipher = rtp_cipher_new(r->sc_sm, subkey, LABEL_RTP, ESP_UP, "", mac);
	for (uint16_t i = 0; i < 20; i++)
		say_rtp(r, cipher, i);
	run_for(r, NS_PER_S);
	ck_assert_int_eq(get(mitm, "rtp_opened").integer, 20);
	rtp_cipher_free(cipher);
	cipher = rtp_cipher_new(r->sc_sm, subkey, LABEL_RTP, ESP_DOWN, "", mac); /* another key */
	for (uint16_t i = 0; i < 20; i++)
		say_rtp(r, cipher, i);
	run_for(r, NS_PER_S);
	ck_assert_int_eq(get(mitm, "rtp_opened").integer, 20);
	rtp_cipher_free(cipher);
	sm_destroy_key(r->sc_sm, subkey);
}

static bool same_key(struct rig *r, unsigned holders)
{
	uint8_t id[KEY_ID_LEN];

	sm_key_id(r->sm, r->credentials.session_key, id);
	return world_key_holders(r->world, id) >= holders;
}

START_TEST(man_in_the_middle)
{
	struct rig *r = sim_alloc(sizeof *r);
	char principal[KRB_NAME_MAX + 1], error[MODEL_ERROR_LEN];
	struct object *mitm;
	struct value value;

	rig_make(r, PKINIT_BIND_NONCE, false);
	ck_assert(world_switch_set(r->world, "rtp.mac", _i ? "off" : "on", error));
	ck_assert(model_attacker.get(r->mallory, "principal", &value));
	snprintf(principal, sizeof principal, "%s", value.text.bytes);
	mitm = does(r->mallory, "mitm", ARGS(NODE("victim", r->alice), NODE("kdc", r->kdc)));
	kdc_client_ask(r->client, victim_request, victim_answer, r);
	run_for(r, 5 * NS_PER_S);
	ck_assert(r->answered);
	ck_assert_int_eq(r->verdict, KRB_REPLY_OK);
	ck_assert_uint_eq(r->kdc_requests, 1);
	ck_assert_uint_eq(r->kdc_client_ip, MALLORY_IP);
	ck_assert_str_eq(r->kdc_client_name, principal);
	ck_assert(get(mitm, "ready").boolean && get(mitm, "session_key").boolean);
	ck_assert(same_key(r, 2));
	has_text(mitm, "fate", "accepted");
	ck_assert(!get(mitm, "subkey").boolean);
	key_management_initiate(r->km, SC_IP, &r->credentials, LABEL_CTA_SC, 0, established, r);
	run_for(r, 5 * NS_PER_S);
	ck_assert_ptr_nonnull(r->association);
	ck_assert_str_eq(r->sc_client_name, principal); /* the attacker's account pays */
	has_text(mitm, "ticket_name", principal);
	ck_assert(get(mitm, "subkey").boolean);
	make_call(r, mitm);
	stop(mitm);
	ck_assert(get(mitm, "subkey").boolean);
	ck_assert_int_eq(get(mitm, "read").integer, 3);
	kdc_client_ask(r->client, victim_request, victim_answer, r); /* reaches the KDC now */
	run_for(r, 5 * NS_PER_S);
	ck_assert_uint_eq(r->kdc_client_ip, ALICE_IP);
	drop(mitm);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(binding_stops_it)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *mitm;

	rig_make(r, PKINIT_BIND_ASCHECKSUM, false);
	mitm = does(r->mallory, "mitm", ARGS(NODE("victim", r->alice), NODE("kdc", r->kdc)));
	kdc_client_ask(r->client, victim_request, victim_answer, r);
	run_for(r, 5 * NS_PER_S);
	ck_assert(r->answered);
	ck_assert_int_eq(r->verdict, KRB_REPLY_BINDING);
	has_text(mitm, "fate", "refused");
	has_text(mitm, "by", "pkinit.bind");
	has_text(mitm, "ticket_name", NULL);
	drop(mitm);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(diffie_hellman_passes_by)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *mitm;

	rig_make(r, PKINIT_BIND_NONCE, true);
	mitm = does(r->mallory, "mitm", ARGS(NODE("victim", r->alice), NODE("kdc", r->kdc)));
	kdc_client_ask(r->client, victim_request, victim_answer, r);
	run_for(r, 30 * NS_PER_S);
	ck_assert(r->answered); /* its second try was let through */
	ck_assert_int_eq(r->verdict, KRB_REPLY_OK);
	ck_assert(get(mitm, "gave_up").boolean && !get(mitm, "session_key").boolean);
	ck_assert_uint_eq(r->kdc_client_ip, ALICE_IP);
	drop(mitm);
	rig_end(r);
	free(r);
}
END_TEST

START_TEST(own_ticket)
{
	struct rig *r = sim_alloc(sizeof *r);
	struct object *ticket;

	rig_make(r, PKINIT_BIND_ASCHECKSUM, false);
	ticket = does(r->mallory, "ticket", ARGS(TEXT("server", "sc/sc1"), NODE("kdc", r->kdc)));
	ck_assert(!get(ticket, "ready").boolean);
	run_for(r, 5 * NS_PER_S);
	ck_assert(get(ticket, "ready").boolean);
	has_text(ticket, "server", "sc/sc1");
	has_text(ticket, "client", r->kdc_client_name);
	drop(ticket);
	drop(does(r->mallory, "ticket", ARGS(TEXT("server", "sc/sc1"), NODE("kdc", r->kdc)))); /* nobody waits for it */
	run_for(r, 5 * NS_PER_S);
	ck_assert_uint_eq(r->kdc_requests, 2);
	rig_end(r);
	free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("attacker");
	TCase *bytes = tcase_create("bytes"), *packets = tcase_create("packets"), *ears = tcase_create("ears"), *middle = tcase_create("K1");

	tcase_set_timeout(bytes, 60);
	tcase_add_test(bytes, kinds_are_told_from_bytes);
	tcase_add_test(bytes, hostile_bytes);
	tcase_add_test(bytes, segments_in_any_order);
	suite_add_tcase(suite, bytes);
	tcase_set_timeout(packets, 60);
	tcase_add_loop_test(packets, message_over_tcp, 0, 2);
	tcase_add_test(packets, message_over_tcp_kept);
	tcase_add_test(packets, capture_and_replay);
	tcase_add_test(packets, capture_and_keep);
	tcase_add_test(packets, alter_udp);
	tcase_add_test(packets, alter_esp);
	tcase_add_test(packets, bad_arguments);
	tcase_add_test(packets, drop_and_delay);
	tcase_add_test(packets, inject_in_any_name);
	tcase_add_test(packets, references_and_restart);
	tcase_add_test(packets, one_tap_a_link);
	suite_add_tcase(suite, packets);
	tcase_set_timeout(ears, 60);
	tcase_add_loop_test(ears, ear_reads_what_is_in_clear, 0, 2);
	tcase_add_test(ears, oldest_call_makes_room);
	tcase_add_test(ears, bye_out_of_what_was_read);
	tcase_add_test(ears, bye_that_is_guessed);
	tcase_add_test(ears, ear_survives_any_bytes);
	tcase_add_test(ears, clear_signaling_has_a_name);
	suite_add_tcase(suite, ears);
	tcase_set_timeout(middle, 300);
	tcase_add_loop_test(middle, man_in_the_middle, 0, 2);
	tcase_add_test(middle, binding_stops_it);
	tcase_add_test(middle, diffie_hellman_passes_by);
	tcase_add_test(middle, own_ticket);
	suite_add_tcase(suite, middle);
	return run_suite(suite);
}

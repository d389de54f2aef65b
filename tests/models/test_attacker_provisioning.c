/*
 * What the attacker does to provisioning: files off the wire, files into others' places, certificates brought, a KDC's refusal forged.
 * Devices and servers are the real parts (TFTP client and server, certificate receiver); single blocks are the test's own.
 */
#include <check.h>
#include "crypto/signed_file.h"
#include "models/attacker.h"
#include "models/certificate_receiver.h"
#include "models/device_files.h"
#include "models/message.h"
#include "models/tftp_client.h"
#include "models/tftp_server.h"
#include "models/wire/tftp.h"
#include "tests/models/attacker_verbs.h"
#include "tests/sim/net_fixture.h"

#define ALICE_IP 0x0a010002
#define BOB_IP 0x0a010003
#define CAROL_IP 0x0a010004
#define MALLORY_IP 0x0a010042
#define POOL_SEED 7
#define FILE_MAX 100000
#define RECORDED_MOST 65536 /* as the attacker says */
#define CLIENT_PORT 49200
#define SERVER_PORT 50000

static bool ready(struct object *object)
{
	return get(object, "ready").boolean;
}

/* Two devices, their server and the attacker on one link */

struct got { /* what a device read */
	struct tftp_client *client;
	unsigned done, failed;
	uint8_t bytes[FILE_MAX];
	size_t len;
};

struct bench {
	struct sim *sim;
	struct world *world;
	struct link *link;
	struct node *alice, *carol, *bob, *mallory;
	struct tftp_server *server;
	uint8_t file[FILE_MAX]; /* what the server has for everybody */
	size_t file_len;
	struct got by_alice, by_carol;
	struct certificate_receiver *receiver;
	const char *verdict;    /* of alice, of a certificate */
	uint8_t brought[FILE_MAX];
	size_t brought_len;
	unsigned judged;
	struct udp_socket blocks;
	struct watcher watcher;
};

static bool on_wanted(void *ctx, struct span file, uint32_t ip, struct tftp_file *out)
{
	struct bench *b = ctx;

	(void)ip;
	if (!span_is(file, "file"))
		return false;
	out->bytes.bytes = sim_alloc(b->file_len + 1);
	memcpy(out->bytes.bytes, b->file, b->file_len);
	out->bytes.len = b->file_len;
	return true;
}

static void on_read(void *ctx, const struct der *file)
{
	struct got *got = ctx;

	if (!file) {
		got->failed++;
		return;
	}
	ck_assert_uint_le(file->len, sizeof got->bytes);
	got->done++;
	got->len = file->len;
	if (file->len)
		memcpy(got->bytes, file->bytes, file->len);
}

static const char *on_certificate(void *ctx, const uint8_t *bytes, size_t len, uint32_t from_ip)
{
	struct bench *b = ctx;

	ck_assert_uint_eq(from_ip, MALLORY_IP);
	b->judged++;
	b->brought_len = len;
	memcpy(b->brought, bytes, len);
	return b->verdict;
}

static struct node *node_on(struct bench *b, const char *name, uint32_t ip)
{
	struct node *node = node_new(b->sim, name);

	iface_new(node, b->link, "eth0", NULL, ip, 24);
	return node;
}

static void bench_make(struct bench *b)
{
	static const struct link_params plain = { .delay_ns = NS_PER_MS };
	char error[MODEL_ERROR_LEN] = "";

	b->sim = sim_new(11, SIM_DEFAULT_EPOCH_S);
	b->world = world_new(b->sim, POOL_SEED, NULL);
	b->link = link_new(b->sim, "hfc", &plain);
	b->alice = node_on(b, "alice", ALICE_IP);
	b->carol = node_on(b, "carol", CAROL_IP);
	b->bob = node_on(b, "bob", BOB_IP);
	b->mallory = node_on(b, "mallory", MALLORY_IP);
	b->server = tftp_server_new(b->bob, on_wanted, b);
	tftp_server_reset(b->server);
	b->by_alice.client = tftp_client_new(b->alice);
	b->by_carol.client = tftp_client_new(b->carol);
	b->receiver = certificate_receiver_new(b->alice, on_certificate, b);
	watch(b->sim, &b->watcher, TRACE_REFUSAL);
	b->mallory->model = &model_attacker;
	ck_assert_msg(model_attacker.create(b->mallory, &(struct args){ NULL, 0 }, error), "%s", error);
}

static struct bench *bench_new(void)
{
	struct bench *b = sim_alloc(sizeof *b);

	bench_make(b);
	return b;
}

static void bench_end(struct bench *b)
{
	call(b->mallory, "release", NULL);
	sim_run(b->sim, SIM_NEVER);
	ck_assert_uint_eq(b->sim->packets_live, 0);
	tftp_server_free(b->server);
	tftp_client_free(b->by_alice.client);
	tftp_client_free(b->by_carol.client);
	certificate_receiver_free(b->receiver);
	udp_unbind(&b->blocks);
	sim_free(b->sim);
	world_free(b->world);
	free(b);
}

static void settle(struct bench *b, sim_ns for_ns)
{
	sim_run(b->sim, b->sim->now_ns + for_ns);
}

/* A file that begins with head and has len bytes, none of them alike in two files. */
static void put_file(struct bench *b, const char *head, size_t len)
{
	struct rng rng;

	rng_init(&rng, len, head, "file");
	rng_bytes(&rng, b->file, len);
	memcpy(b->file, head, strlen(head) < len ? strlen(head) : len);
	b->file_len = len;
}

static void reads(struct bench *b, struct got *got)
{
	tftp_client_read(got->client, BOB_IP, "file", FILE_MAX, on_read, got);
	settle(b, 60 * NS_PER_S);
}

static void has(const struct got *got, const uint8_t *bytes, size_t len)
{
	ck_assert_uint_eq(got->len, len);
	ck_assert_mem_eq(got->bytes, bytes, len);
}

/* Records a file that carol reads. */
static struct object *recorded(struct bench *b, const char *head, size_t len)
{
	struct object *file = does(b->mallory, "record_file", ARGS(NODE("from", b->bob), NODE("to", b->carol)));

	put_file(b, head, len);
	reads(b, &b->by_carol);
	ck_assert(ready(file));
	return file;
}

static const struct der *content(struct object *file)
{
	return &((struct deed *)file)->message;
}

/* Recording */

static const size_t lengths[] = { 0, 1, 511, 512, 1427, 1428, 1429, 2856, 10000, RECORDED_MOST - 1, RECORDED_MOST };

START_TEST(a_file_is_recorded)
{
	struct bench *b = bench_new();
	struct object *file = recorded(b, "A", lengths[_i]);

	ck_assert_uint_eq(content(file)->len, lengths[_i]);
	ck_assert_mem_eq(content(file)->bytes, b->file, lengths[_i]);
	ck_assert_int_eq(get(file, "size").integer, (int64_t)lengths[_i]);
	has_text(file, "src", "10.1.0.3");
	has_text(file, "dst", "10.1.0.4");
	has(&b->by_carol, b->file, b->file_len); /* it passed */
	drop(file);
	bench_end(b);
}
END_TEST

START_TEST(a_file_that_is_too_long)
{
	struct bench *b = bench_new();
	struct object *file = does(b->mallory, "record_file", NULL);

	put_file(b, "A", RECORDED_MOST + 1);
	reads(b, &b->by_alice);
	ck_assert_uint_eq(b->by_alice.done, 1);
	ck_assert(!ready(file));
	put_file(b, "B", 3000);
	reads(b, &b->by_alice);
	ck_assert(ready(file));
	ck_assert_uint_eq(content(file)->len, 3000);
	ck_assert_mem_eq(content(file)->bytes, b->file, 3000);
	drop(file);
	bench_end(b);
}
END_TEST

/* Others' files, and those that hold something else, are not what it waits for. */
START_TEST(the_file_that_is_meant)
{
	struct bench *b = bench_new();
	struct object *carols = does(b->mallory, "record_file", ARGS(NODE("to", b->carol)));
	struct object *image = does(b->mallory, "record_file", ARGS(NODE("from", b->bob), TEXT("holds", "image 1")));

	put_file(b, "a configuration", 4000);
	reads(b, &b->by_alice);
	ck_assert(!ready(carols) && !ready(image));
	put_file(b, "an image 1, which is long", 9000);
	reads(b, &b->by_alice);
	ck_assert(!ready(carols) && ready(image));
	ck_assert_uint_eq(content(image)->len, 9000);
	ck_assert_mem_eq(content(image)->bytes, b->file, 9000);
	drop(image);
	drop(carols);
	bench_end(b);
}
END_TEST

static void send_block(struct bench *b, uint16_t block, char fill, size_t len)
{
	char data[TFTP_BLOCK_DEFAULT];
	struct tftp m = { .kind = TFTP_DATA, .block = block, .data = { data, len } };
	uint8_t bytes[TFTP_BLOCK_DEFAULT + TFTP_HEADER_LEN];
	size_t n;

	memset(data, fill, sizeof data);
	n = tftp_write(&m, bytes, sizeof bytes);
	message_send(&b->blocks, ALICE_IP, CLIENT_PORT, "DATA", &(struct message_form){ "tftp", COVER_CLEAR, NULL }, bytes, n);
	settle(b, 10 * NS_PER_MS);
}

/* Blocks without options before them; repeated, out of order, from their middle on, and from the beginning again. */
START_TEST(blocks_in_any_order)
{
	struct bench *b = bench_new();
	struct object *file = does(b->mallory, "record_file", NULL);

	ck_assert(udp_bind(b->bob, &b->blocks, SERVER_PORT, NULL, NULL));
	send_block(b, 2, 'x', 100); /* the end of one whose beginning was missed */
	ck_assert(!ready(file));
	send_block(b, 1, 'a', 512);
	send_block(b, 1, 'a', 512);
	send_block(b, 3, 'c', 5);
	ck_assert(!ready(file));
	send_block(b, 2, 'b', 512);
	send_block(b, 1, 'a', 512);
	send_block(b, 2, 'b', 512);
	udp_unbind(&b->blocks);
	ck_assert(udp_bind(b->bob, &b->blocks, SERVER_PORT + 1, NULL, NULL));
	send_block(b, 1, 'A', 512); /* another transfer: of the one before there is nothing left */
	send_block(b, 2, 'B', 7);
	ck_assert(ready(file));
	ck_assert_uint_eq(content(file)->len, 519);
	ck_assert_int_eq(content(file)->bytes[0], 'A');
	ck_assert_int_eq(content(file)->bytes[511], 'A');
	ck_assert_int_eq(content(file)->bytes[518], 'B');
	drop(file);
	bench_end(b);
}
END_TEST

/* Every frame may be lost once, and so every block and option comes twice: the file is whole all the same. */
START_TEST(recording_a_transfer_that_repeats)
{
	struct bench *b = bench_new();
	struct object *lost = does(b->mallory, "drop", ARGS(INT("nth", _i + 1)));
	struct object *file = does(b->mallory, "record_file", ARGS(NODE("from", b->bob)));

	put_file(b, "A", 5000);
	reads(b, &b->by_carol);
	ck_assert_uint_eq(b->by_carol.done, 1);
	ck_assert_int_eq(get(lost, "hits").integer, 1);
	ck_assert(ready(file));
	ck_assert_uint_eq(content(file)->len, 5000);
	ck_assert_mem_eq(content(file)->bytes, b->file, 5000);
	drop(lost);
	drop(file);
	bench_end(b);
}
END_TEST

/* Putting it into another's place */

/* The device gets what was recorded, however long it is, as long as the other's blocks suffice. */
START_TEST(a_file_in_the_place_of_another)
{
	static const struct { size_t put, into; } rows[] = {
		{ 5000, 5000 }, { 5000, 5700 }, { 5700, 5000 }, { 3000, 9000 }, { 0, 3000 }, { 1428, 3000 }, { 2856, 9000 },
	};
	struct bench *b = bench_new();
	struct object *file = recorded(b, "put", rows[_i].put), *rule;
	uint8_t put[FILE_MAX];
	size_t blocks = rows[_i].put / 1428 + 1, more = rows[_i].into / 1428 + 1 - blocks;

	memcpy(put, b->file, b->file_len);
	rule = does(b->mallory, "substitute_file", ARGS(OBJECT("file", file), NODE("from", b->bob), NODE("to", b->alice)));
	drop(file); /* the rule has its own copy */
	put_file(b, "into", rows[_i].into);
	reads(b, &b->by_alice);
	reads(b, &b->by_carol);
	ck_assert_uint_eq(b->by_alice.done, 1);
	has(&b->by_alice, put, rows[_i].put);
	has(&b->by_carol, b->file, b->file_len);
	ck_assert_int_eq(get(rule, "hits").integer, (int64_t)blocks);
	ck_assert((b->watcher.refusals > 0) == (more > 0)); /* what the server still says when the device has all */
	call(b->mallory, "release", NULL);
	reads(b, &b->by_alice);
	has(&b->by_alice, b->file, b->file_len);
	drop(rule);
	bench_end(b);
}
END_TEST

START_TEST(only_into_the_place_of_what_is_meant)
{
	struct bench *b = bench_new();
	struct object *file = recorded(b, "another image 1", 4000), *rule;
	uint8_t put[4000];

	memcpy(put, b->file, sizeof put);
	rule = does(b->mallory, "substitute_file", ARGS(OBJECT("file", file), NODE("from", b->bob), TEXT("holds", "image 1")));
	put_file(b, "configuration", 4000);
	reads(b, &b->by_alice);
	has(&b->by_alice, b->file, b->file_len);
	ck_assert_int_eq(get(rule, "hits").integer, 0);
	put_file(b, "the image 1", 4200);
	reads(b, &b->by_alice);
	has(&b->by_alice, put, sizeof put);
	ck_assert_int_eq(get(rule, "hits").integer, 3);
	drop(rule);
	drop(file);
	bench_end(b);
}
END_TEST

/* Forging */

static const char *opens(struct bench *b, struct object *file, enum authority authority, bool verify, struct der *out)
{
	return signed_file_verdict_names[signed_file_open(world_crypto(b->world), content(file)->bytes, content(file)->len,
	                                                  world_authority(b->world, authority), sim_unix_s(b->sim), verify, out)];
}

/* What the server has is a text that the authority has signed. */
static void put_signed(struct bench *b, enum authority authority, const char *key_name, const struct der *text)
{
	struct der file = { NULL, 0 };
	size_t key_len;
	const uint8_t *key = key_pool_get(world_key_pool(b->world), key_name, 2048, &key_len);

	ck_assert(signed_file_make(world_crypto(b->world), key, key_len, world_authority(b->world, authority), text, sim_unix_s(b->sim),
	                           &file));
	memcpy(b->file, file.bytes, file.len);
	b->file_len = file.len;
	der_free(&file);
}

START_TEST(a_forged_image)
{
	struct bench *b = bench_new();
	struct object *real = does(b->mallory, "record_file", NULL), *forged;
	const struct der *operator_ca = world_authority(b->world, AUTHORITY_OPERATOR);
	struct der text = { NULL, 0 }, inside = { NULL, 0 };
	struct device_image image;

	ck_assert(device_image_write(world_crypto(b->world), "2.0", operator_ca, 16384, &text));
	put_signed(b, AUTHORITY_MANUFACTURER, "authority/manufacturer", &text);
	reads(b, &b->by_carol);
	forged = does(b->mallory, "forge_file", ARGS(OBJECT("file", real)));
	ck_assert(ready(forged));
	ck_assert_uint_le(content(forged)->len, content(real)->len);
	ck_assert_str_eq(opens(b, real, AUTHORITY_MANUFACTURER, true, &inside), "ok");
	der_free(&inside);
	ck_assert_str_ne(opens(b, forged, AUTHORITY_MANUFACTURER, true, &inside), "ok");
	ck_assert_str_eq(opens(b, forged, AUTHORITY_MANUFACTURER, false, &inside), "ok");
	ck_assert(device_image_parse((struct span){ (const char *)inside.bytes, inside.len }, &image));
	ck_assert_str_eq(image.version, "2.0");
	ck_assert(image.operator_ca.len != operator_ca->len ||
	          memcmp(image.operator_ca.bytes, operator_ca->bytes, operator_ca->len) != 0);
	device_image_free(&image);
	der_free(&inside);
	der_free(&text);
	drop(forged);
	drop(real);
	bench_end(b);
}
END_TEST

START_TEST(a_forged_configuration)
{
	struct bench *b = bench_new();
	struct object *real = does(b->mallory, "record_file", NULL), *forged;
	struct device_config config = { .mac = { 2, 0, 0, 0, 0, 1 }, .provisioned = !_i, .realm = WORLD_REALM, .kdc = "kdc1", .controller = "sc/sc1",
		                        .version = "2.0", .image = "cta-2.0.img", .issued_s = SIM_DEFAULT_EPOCH_S };
	char text[2048];
	struct der inside = { (uint8_t *)text, device_config_write(&config, text, sizeof text) };
	struct device_config read;

	put_signed(b, AUTHORITY_OPERATOR, "authority/operator", &inside);
	reads(b, &b->by_carol);
	forged = does(b->mallory, "forge_file", ARGS(OBJECT("file", real), BOOL("provisioned", _i)));
	ck_assert_str_ne(opens(b, forged, AUTHORITY_OPERATOR, true, &inside), "ok");
	ck_assert_str_eq(opens(b, forged, AUTHORITY_OPERATOR, false, &inside), "ok");
	ck_assert(device_config_parse((struct span){ (const char *)inside.bytes, inside.len }, &read));
	ck_assert_mem_eq(read.mac, config.mac, sizeof config.mac);
	ck_assert_int_eq(read.provisioned, _i);
	ck_assert_int_gt(read.issued_s, sim_unix_s(b->sim));
	ck_assert_str_eq(read.controller, "sc/sc1");
	der_free(&inside);
	drop(forged);
	drop(real);
	bench_end(b);
}
END_TEST

START_TEST(what_cannot_be_forged)
{
	struct bench *b = bench_new();
	struct object *file = recorded(b, "no signed file", 900), *empty = does(b->mallory, "record_file", NULL);
	struct object *capture = does(b->mallory, "capture", NULL), *rule = does(b->mallory, "drop", ARGS(TEXT("kind", "RTP")));
	const char *const verbs[] = { "forge_file", "substitute_file", "bring_certificate" };
	struct der text = { (uint8_t *)(uintptr_t) "signed, but neither", 19 };

	fails(b->mallory, "forge_file", ARGS(OBJECT("file", file)), "neither");
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		fails(b->mallory, verbs[i], ARGS(OBJECT("file", empty), NODE("to", b->alice)), "nothing has been recorded");
		fails(b->mallory, verbs[i], ARGS(OBJECT("file", capture), NODE("to", b->alice)), "file must be");
		fails(b->mallory, verbs[i], ARGS(OBJECT("file", rule), NODE("to", b->alice)), "file must be");
	}
	put_signed(b, AUTHORITY_OPERATOR, "authority/operator", &text);
	reads(b, &b->by_carol);
	fails(b->mallory, "forge_file", ARGS(OBJECT("file", empty)), "neither");
	drop(rule);
	drop(capture);
	drop(empty);
	drop(file);
	bench_end(b);
}
END_TEST

/* Bringing it */

START_TEST(a_certificate_is_brought)
{
	static const char *const verdicts[] = { NULL, "cta.check_start_time" };
	struct bench *b = bench_new();
	struct object *file = recorded(b, "certificate", 1000), *brought;
	uint8_t put[1000];

	memcpy(put, b->file, sizeof put);
	b->verdict = verdicts[_i];
	certificate_receiver_reset(b->receiver);
	brought = does(b->mallory, "bring_certificate", ARGS(OBJECT("file", file), NODE("to", b->alice)));
	drop(file);
	ck_assert(!ready(brought));
	has_text(brought, "answer", NULL);
	settle(b, NS_PER_S);
	ck_assert(ready(brought));
	has_text(brought, "answer", _i ? "refused" : "taken");
	has_text(brought, "by", verdicts[_i]);
	ck_assert_uint_eq(b->judged, 1);
	ck_assert_uint_eq(b->brought_len, sizeof put);
	ck_assert_mem_eq(b->brought, put, sizeof put);
	drop(brought);
	bench_end(b);
}
END_TEST

START_TEST(nobody_takes_it)
{
	struct bench *b = bench_new();
	struct object *file = recorded(b, "certificate", 1000);
	struct object *brought = does(b->mallory, "bring_certificate", ARGS(OBJECT("file", file), NODE("to", b->alice)));
	struct node *nowhere = node_new(b->sim, "nowhere");

	settle(b, 120 * NS_PER_S);
	has_text(brought, "answer", "none");
	has_text(brought, "by", NULL);
	fails(b->mallory, "bring_certificate", ARGS(OBJECT("file", file), NODE("to", nowhere)), "no address");
	drop(brought);
	/* one under way when it restarts, one when the run ends */
	brought = does(b->mallory, "bring_certificate", ARGS(OBJECT("file", file), NODE("to", b->alice)));
	settle(b, NS_PER_MS);
	model_attacker.restart(b->mallory);
	settle(b, 120 * NS_PER_S);
	ck_assert(!ready(brought));
	drop(brought);
	drop(does(b->mallory, "bring_certificate", ARGS(OBJECT("file", file), NODE("to", b->alice))));
	drop(file);
	bench_end(b);
}
END_TEST

/* A KDC's refusal */

struct asker {
	unsigned got;
	uint32_t from;
	uint16_t port;
	struct krb_error_info error;
};

static void on_answer(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct asker *a = socket->ctx;

	a->got++;
	a->from = from->src;
	a->port = from->sport;
	ck_assert(krb_error_parse(packet->data, packet->len, &a->error));
	message_accept(socket->node, from->tag);
}

START_TEST(a_refusal_is_forged)
{
	static const uint8_t as_req[] = { 0x6a, 0x82, 1, 2, 3 }, other[] = { 1, 2, 3 };
	struct bench *b = bench_new();
	struct asker asker = { .got = 0 };
	struct udp_socket socket = { .node = NULL };
	struct object *request = does(b->mallory, "capture", ARGS(TEXT("kind", "AS-REQ"))), *any = does(b->mallory, "capture", NULL), *forged;

	ck_assert(udp_bind(b->alice, &socket, 5000, on_answer, &asker));
	fails(b->mallory, "forge_krb_error", ARGS(OBJECT("capture", request)), "ready");
	message_send(&socket, BOB_IP, 4000, "other", &form_kerberos, other, sizeof other);
	settle(b, NS_PER_S);
	fails(b->mallory, "forge_krb_error", ARGS(OBJECT("capture", any)), "AS-REQ");
	message_send(&socket, BOB_IP, 88, "AS-REQ", &form_kerberos, as_req, sizeof as_req);
	settle(b, NS_PER_S);
	ck_assert(ready(request));
	fails(b->mallory, "forge_krb_error", ARGS(OBJECT("capture", request), TEXT("server", "")), "cannot stand");
	ck_assert_uint_eq(asker.got, 0);

	forged = does(b->mallory, "forge_krb_error", ARGS(OBJECT("capture", request), TEXT("server", "krbtgt")));
	settle(b, NS_PER_S);
	ck_assert_uint_eq(asker.got, 1);
	ck_assert_uint_eq(asker.from, BOB_IP);
	ck_assert_uint_eq(asker.port, 88);
	ck_assert_int_eq(asker.error.code, KDC_ERR_CLIENT_REVOKED);
	ck_assert_str_eq(asker.error.server.name, "krbtgt");
	has_text(forged, "fate", "accepted");
	drop(forged);
	forged = does(b->mallory, "forge_krb_error", ARGS(OBJECT("capture", request), INT("code", KDC_ERR_POLICY), TEXT("server", "sc/sc1")));
	settle(b, NS_PER_S);
	ck_assert_uint_eq(asker.got, 2);
	ck_assert_int_eq(asker.error.code, KDC_ERR_POLICY);
	ck_assert_str_eq(asker.error.server.name, "sc/sc1");
	udp_unbind(&socket);
	drop(forged);
	drop(any);
	drop(request);
	bench_end(b);
}
END_TEST

/* What needs an account, or an AP-REQ, and has none; a KDC of its own that nobody asks. */
START_TEST(refused_deeds)
{
	struct bench *b = bench_new();
	struct object *any = does(b->mallory, "capture", NULL), *kdc;

	fails(b->mallory, "ticket", ARGS(TEXT("server", "sc/sc1"), NODE("kdc", b->bob), TEXT("as", "2155550101")), "no account");
	fails(b->mallory, "false_kdc", ARGS(NODE("victim", b->alice), NODE("kdc", b->bob), TEXT("certificate", "own")), "no account");
	fails(b->mallory, "present_ticket", ARGS(OBJECT("capture", any)), "AP-REQ");
	put_file(b, "A", 100);
	reads(b, &b->by_alice);
	ck_assert(ready(any));
	fails(b->mallory, "present_ticket", ARGS(OBJECT("capture", any)), "AP-REQ");
	drop(any);
	for (int i = 0; i < 2; i++) {
		kdc = does(b->mallory, "false_kdc", ARGS(NODE("victim", b->alice), NODE("kdc", b->bob)));
		fails(b->mallory, "false_kdc", ARGS(NODE("victim", b->alice), NODE("kdc", b->bob)), "in the middle already");
		has_text(kdc, "fate", NULL);
		call(b->mallory, "release", NULL);
		drop(kdc);
	}
	bench_end(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("attacker_provisioning");
	TCase *t = tcase_create("attacker_provisioning");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_file_is_recorded, 0, sizeof lengths / sizeof *lengths);
	tcase_add_test(t, a_file_that_is_too_long);
	tcase_add_test(t, the_file_that_is_meant);
	tcase_add_test(t, blocks_in_any_order);
	tcase_add_loop_test(t, recording_a_transfer_that_repeats, 0, 11);
	tcase_add_loop_test(t, a_file_in_the_place_of_another, 0, 7);
	tcase_add_test(t, only_into_the_place_of_what_is_meant);
	tcase_add_test(t, a_forged_image);
	tcase_add_loop_test(t, a_forged_configuration, 0, 2);
	tcase_add_test(t, what_cannot_be_forged);
	tcase_add_loop_test(t, a_certificate_is_brought, 0, 2);
	tcase_add_test(t, nobody_takes_it);
	tcase_add_test(t, a_refusal_is_forged);
	tcase_add_test(t, refused_deeds);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

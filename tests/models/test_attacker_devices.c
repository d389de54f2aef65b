/*
 * The attacker with a device of its own: what it asks a KDC in another's address, how it comes by another's lease, which
 * recorded certificates are for its key. The KDC is a socket that keeps what comes; where a head-end decides, it has the
 * real lease table and DHCP server.
 */
#include <check.h>
#include "crypto/kerberos.h"
#include "models/attacker.h"
#include "models/dhcp_server.h"
#include "models/message.h"
#include "models/tftp_client.h"
#include "models/tftp_server.h"
#include "tests/models/attacker_verbs.h"
#include "tests/sim/net_fixture.h"

#define ALICE_IP 0x0a010002
#define BOB_IP 0x0a010001
#define MALLORY_IP 0x0a010042
#define POOL_SEED 7
#define LEASE_NS (3600 * NS_PER_S)
#define REQUEST_MAX 8192

#define ASK(b, name) ARGS(NODE("victim", (b).alice), NODE("kdc", (b).bob), TEXT("server", name))

/* Alice, a machine that is KDC and head-end, the attacker */

struct bench {
	struct sim *sim;
	struct world *world;
	struct link *link;
	struct node *alice, *bob, *mallory;
	struct udp_socket kdc;
	uint8_t bytes[REQUEST_MAX];
	uint32_t len, src;
	unsigned got;
	struct watcher watcher;
};

static void on_request(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct bench *b = socket->ctx;

	ck_assert_uint_le(packet->len, sizeof b->bytes);
	memcpy(b->bytes, packet->data, packet->len);
	b->len = packet->len;
	b->src = from->src;
	b->got++;
	trace_fate(b->sim, from->tag, b->bob, FATE_ACCEPTED, "");
}

static struct node *node_on(struct bench *b, const char *name, uint32_t ip)
{
	struct node *node = node_new(b->sim, name);

	iface_new(node, b->link, "eth0", NULL, ip, 16);
	return node;
}

static void bench_make(struct bench *b, bool device)
{
	static const struct link_params plain = { .delay_ns = NS_PER_MS };
	char error[MODEL_ERROR_LEN] = "";

	memset(b, 0, sizeof *b);
	b->sim = sim_new(11, SIM_DEFAULT_EPOCH_S);
	b->world = world_new(b->sim, POOL_SEED, NULL);
	b->link = link_new(b->sim, "hfc", &plain);
	b->alice = node_on(b, "alice", ALICE_IP);
	b->bob = node_on(b, "bob", BOB_IP);
	b->mallory = node_on(b, "mallory", MALLORY_IP);
	ck_assert(udp_bind(b->bob, &b->kdc, KDC_PORT, on_request, b));
	watch(b->sim, &b->watcher, TRACE_REFUSAL);
	b->mallory->model = &model_attacker;
	struct args args = args_of(ARGS(BOOL("device", device)));
	ck_assert_msg(model_attacker.create(b->mallory, &args, error), "%s", error);
}

static void settle(struct bench *b)
{
	sim_run(b->sim, b->sim->now_ns + 2 * NS_PER_S);
}

static void bench_end(struct bench *b)
{
	call(b->mallory, "release", NULL);
	settle(b);
	ck_assert_uint_eq(b->sim->packets_live, 0);
	udp_unbind(&b->kdc);
	sim_free(b->sim);
	world_free(b->world);
}

/* In another's address */

static bool signed_well(struct bench *b, const struct krb_as_facts *f)
{
	struct crypto *crypto = world_crypto(b->world);

	return pkinit_check_signature(crypto, f) &&
	       cert_verify(crypto, &f->client_cert, f->extra_certs, f->extra_count,
	                   world_authority(b->world, AUTHORITY_MANUFACTURER_ROOT), 1, sim_unix_s(b->sim), false) == CERT_OK;
}

/* All is as it should be but the address it comes from. */
START_TEST(an_as_req_in_anothers_address)
{
	struct bench b;
	struct object *sent;
	struct krb_as_facts facts;
	struct cert_facts cert;

	bench_make(&b, true);
	sent = does(b.mallory, "register_as", ASK(b, "sc/sc1"));
	ck_assert(!get(sent, "ready").boolean);
	settle(&b);
	ck_assert(get(sent, "ready").boolean);
	has_text(sent, "fate", "accepted");
	ck_assert_uint_eq(b.got, 1);
	ck_assert_uint_eq(b.src, ALICE_IP);
	ck_assert_uint_gt(b.len, 1500); /* in fragments */
	ck_assert(krb_as_parse(world_crypto(b.world), b.bytes, b.len, &facts));
	ck_assert_str_eq(facts.server.name, "sc/sc1");
	ck_assert(signed_well(&b, &facts));
	ck_assert(cert_read_with(world_crypto(b.world), facts.client_cert.bytes, facts.client_cert.len, &cert));
	ck_assert_int_eq(cert.kind, CERT_DEVICE);
	ck_assert_mem_eq(cert.mac, b.mallory->ifaces->mac, 6);
	krb_as_facts_free(&facts);
	drop(sent);
	bench_end(&b);
}
END_TEST

START_TEST(what_it_cannot_ask)
{
	struct bench b;

	bench_make(&b, _i);
	if (!_i) {
		fails(b.mallory, "register_as", ASK(b, "sc/sc1"), "no device");
	} else {
		fails(b.mallory, "register_as", ASK(b, ""), "principal");
		b.alice->ifaces->ip = 0;
		fails(b.mallory, "register_as", ASK(b, "sc/sc1"), "addresses");
		fails(b.mallory, "take_lease", ARGS(NODE("victim", b.alice), NODE("head_end", b.bob)), "addresses");
	}
	/* A device is no account. */
	fails(b.mallory, "ticket", ARGS(NODE("kdc", b.bob), TEXT("server", "sc/sc1")), "no account");
	settle(&b);
	ck_assert_uint_eq(b.got, 0);
	bench_end(&b);
}
END_TEST

/* Another's address. The head-end's table and server are the real ones. */

static bool no_account(void *ctx, const uint8_t mac[LEASE_MAC_LEN])
{
	(void)ctx;
	(void)mac;
	return false;
}

/* _i: the victim's is a lease that the operator has entered, which never ends. */
START_TEST(anothers_lease)
{
	struct bench b;
	struct lease_table *leases = lease_table_new();
	struct dhcp_server *server;
	struct object *sent;
	const struct lease *lease;

	bench_make(&b, false);
	ck_assert(lease_table_pool(leases, LEASE_UNPROVISIONED, ALICE_IP, ALICE_IP + 10));
	if (_i)
		ck_assert(lease_table_add_static(leases, ALICE_IP, b.alice->ifaces->mac));
	else
		ck_assert_ptr_nonnull(lease_offer(leases, LEASE_UNPROVISIONED, b.alice->ifaces->mac, ALICE_IP, 0, LEASE_NS));
	if (!_i)
		lease_of_ip(leases, ALICE_IP)->kind = LEASE_BOUND;
	server = dhcp_server_new(&(struct dhcp_server_config){ .node = b.bob, .hfc = b.bob->ifaces, .leases = leases,
		                                               .lease_ns = LEASE_NS, .file = "c", .realm = WORLD_REALM,
		                                               .has_account = no_account });
	dhcp_server_reset(server);
	sent = does(b.mallory, "take_lease", ARGS(NODE("victim", b.alice), NODE("head_end", b.bob)));
	settle(&b);
	lease = lease_of_ip(leases, ALICE_IP);
	has_text(sent, "fate", _i ? "refused" : "accepted");
	ck_assert_mem_eq(lease->mac, _i ? b.alice->ifaces->mac : b.mallory->ifaces->mac, 6);
	ck_assert(lease_live(lease, b.sim->now_ns));
	drop(sent);
	dhcp_server_free(server);
	lease_table_free(leases);
	bench_end(&b);
}
END_TEST

/* Files */

struct file {
	struct der bytes;
};

static bool on_wanted(void *ctx, struct span name, uint32_t ip, struct tftp_file *out)
{
	struct file *f = ctx;

	(void)name;
	(void)ip;
	out->bytes.bytes = sim_alloc(f->bytes.len);
	memcpy(out->bytes.bytes, f->bytes.bytes, f->bytes.len);
	out->bytes.len = f->bytes.len;
	return true;
}

static void on_read(void *ctx, const struct der *file)
{
	*(bool *)ctx = file != NULL;
}

/* _i: 0 its own key's, 1 another's, 2 no certificate, 3 its own key's, but it has no device. */
START_TEST(whose_key_is_certified)
{
	struct bench b;
	struct file file = { { NULL, 0 } };
	struct tftp_server *server;
	struct tftp_client *client;
	struct object *record;
	bool read = false;

	bench_make(&b, _i != 3);
	world_operator_certificate(b.world, _i == 1 ? "alice" : "mallory", ATTACKER_RSA_BITS, "215-555-0101", 0, &file.bytes);
	if (_i == 2)
		file.bytes.bytes[0] ^= 1;
	server = tftp_server_new(b.bob, on_wanted, &file);
	tftp_server_reset(server);
	client = tftp_client_new(b.alice);
	record = does(b.mallory, "record_file", NULL);
	tftp_client_read(client, BOB_IP, "c", 65536, on_read, &read);
	ck_assert_int_eq(get(record, "own_key").type, VALUE_NIL);
	settle(&b);
	ck_assert(read);
	ck_assert(get(record, "ready").boolean);
	ck_assert_int_eq(get(record, "own_key").boolean, _i == 0);
	drop(record);
	tftp_server_free(server);
	tftp_client_free(client);
	der_free(&file.bytes);
	bench_end(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("attacker_devices");
	TCase *t = tcase_create("attacker_devices");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, an_as_req_in_anothers_address);
	tcase_add_loop_test(t, what_it_cannot_ask, 0, 2);
	tcase_add_loop_test(t, anothers_lease, 0, 2);
	tcase_add_loop_test(t, whose_key_is_certified, 0, 4);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

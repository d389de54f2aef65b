/*
 * What the tests of a head-end's services and of their client share: an HFC segment with devices that have no
 * address yet, the head-end itself, and behind it stand-ins whose addresses alone matter.
 *
 * dev, other (no address) --- hfc --- 10.1.0.1 he1 10.0.0.1 --- core --- kdc1 .9, sc1 .5, pca1 .20, far .77
 */
#ifndef TOLLGATE_TESTS_ACCESS_RIG_H
#define TOLLGATE_TESTS_ACCESS_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "models/access_message.h"
#include "models/cmts.h"
#include "models/directory.h"
#include "models/ipsec.h"
#include "models/radius_client.h"

#define POOL_SEED 11
#define HE_HFC 0x0a010001u
#define HE_CORE 0x0a000001u
#define SC_IP 0x0a000005u
#define KDC_IP 0x0a000009u
#define PCA_IP 0x0a000014u
#define FAR_IP 0x0a00004du
#define FREE_FIRST 0x0a01800au /* unprovisioned pool: 10.1.128.10 .. .12 */
#define PAID_FIRST 0x0a01400au /* provisioned pool: 10.1.64.10 .. .12 */
#define POOL_SIZE 3
#define LEASE_S 600
#define ACCESS_REFUSALS_MAX 256

static const uint8_t dev_mac[6] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55 };
static const uint8_t other_mac[6] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x66 };
static char access_cache[] = "/tmp/tollgate-test-access-XXXXXX";

static const char *access_backend = "off"; /* switch backend.ipsec */
static const char *access_pools[] = { "10.1.128.10-10.1.128.12", "10.1.64.10-10.1.64.12" };
static struct arg access_more; /* one more parameter of he1; without a name: none */

struct access_rig {
	struct sim *sim;
	struct world *world;
	struct link *hfc, *core;
	struct node *dev, *other, *he, *kdc, *sc, *pca, *far;
	struct secure_module *sc_sm;
	struct ipsec *sc_ipsec;
	struct radius_client *sc_client;
	struct { const struct node *at; char check[40]; } refusals[ACCESS_REFUSALS_MAX];
	unsigned refusal_count;
	unsigned messages, fields;
};

static inline void access_refusal(void *ctx, const struct node *at, const char *check, uint32_t src_ip, uint64_t tag,
                                  const char *detail)
{
	struct access_rig *r = ctx;

	(void)src_ip, (void)tag, (void)detail;
	r->refusals[r->refusal_count % ACCESS_REFUSALS_MAX].at = at;
	snprintf(r->refusals[r->refusal_count++ % ACCESS_REFUSALS_MAX].check, sizeof r->refusals[0].check, "%s", check);
}

static inline void access_message(void *ctx, const struct trace_message *message)
{
	(void)message;
	((struct access_rig *)ctx)->messages++;
}

static inline void access_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	(void)ctx, (void)tag, (void)at, (void)fate, (void)why;
}

static inline void access_cover(void *ctx, uint64_t tag, enum cover cover)
{
	(void)ctx, (void)tag, (void)cover;
}

static inline void access_field(void *ctx, uint64_t tag, const char *path, const char *value, enum field_class class_)
{
	(void)tag, (void)path, (void)value, (void)class_;
	((struct access_rig *)ctx)->fields++;
}

/* check NULL: any. */
static inline unsigned access_refused(const struct access_rig *r, const struct node *at, const char *check)
{
	unsigned n = 0;

	ck_assert_uint_le(r->refusal_count, ACCESS_REFUSALS_MAX);
	for (unsigned i = 0; i < r->refusal_count; i++)
		n += (!at || r->refusals[i].at == at) && (!check || strcmp(r->refusals[i].check, check) == 0);
	return n;
}

static inline int64_t access_get(struct node *node, const char *attribute)
{
	struct value value;

	ck_assert(node->model->get(node, attribute, &value));
	return value.integer;
}

static inline void access_run(struct access_rig *r, sim_ns for_ns)
{
	sim_run(r->sim, r->sim->now_ns + for_ns);
}

static inline struct node *access_node(struct access_rig *r, const char *name, struct link *link, const uint8_t *mac,
                                       uint32_t ip, uint8_t len)
{
	struct node *node = node_new(r->sim, name);

	iface_new(node, link, "eth0", mac, ip, len);
	return node;
}

static inline void access_head_end(struct access_rig *r, struct arg *more, size_t more_count)
{
	struct arg args[12] = {
		{ "hfc", { .type = VALUE_LINK, .link = r->hfc } }, { "kdc", { .type = VALUE_NODE, .node = r->kdc } },
		{ "controller", { .type = VALUE_NODE, .node = r->sc } },
		{ "unprovisioned", value_text(access_pools[0]) },
		{ "provisioned", value_text(access_pools[1]) },
		{ "lease", value_time(LEASE_S * NS_PER_S) }, { "image_bytes", value_int(5000) },
	};
	char error[MODEL_ERROR_LEN] = "";

	for (size_t i = 0; i < more_count; i++)
		args[7 + i] = more[i];
	r->he->model = &model_cmts;
	ck_assert_msg(model_cmts.create(r->he, &(struct args){ args, 7 + more_count }, error), "%s", error);
	model_cmts.start(r->he);
}

static inline void access_directory(struct access_rig *r)
{
	struct directory *d = world_directory(r->world);

	directory_service_add(d, "sc/sc1", SC_IP);
	directory_service_add(d, "kdc/kdc1", KDC_IP);
	directory_service_add(d, "pca/pca1", PCA_IP);
}

static inline void access_make(struct access_rig *r, const struct link_params *hfc, uint64_t seed)
{
	static const struct trace_ops ops = { .refusal = access_refusal, .message = access_message,
		                              .fate = access_fate, .cover = access_cover, .field = access_field };
	static const struct link_params lan = { .delay_ns = NS_PER_MS }, clean = { .delay_ns = 5 * NS_PER_MS };
	char error[MODEL_ERROR_LEN];

	memset(r, 0, sizeof *r);
	r->sim = sim_new(seed, SIM_DEFAULT_EPOCH_S);
	trace_attach(r->sim, &ops, r, TRACE_REFUSAL | TRACE_MESSAGE | TRACE_FIELD);
	r->world = world_new(r->sim, POOL_SEED, access_cache);
	ck_assert(world_switch_set(r->world, "backend.ipsec", access_backend, error));
	r->hfc = link_new(r->sim, "hfc", hfc ? hfc : &clean);
	r->core = link_new(r->sim, "core", &lan);
	r->dev = access_node(r, "dev", r->hfc, dev_mac, 0, 0);
	r->other = access_node(r, "other", r->hfc, other_mac, 0, 0);
	r->he = access_node(r, "he1", r->core, NULL, HE_CORE, 24);
	iface_new(r->he, r->hfc, "eth1", NULL, HE_HFC, 16);
	r->kdc = access_node(r, "kdc1", r->core, NULL, KDC_IP, 24);
	r->sc = access_node(r, "sc1", r->core, NULL, SC_IP, 24);
	r->pca = access_node(r, "pca1", r->core, NULL, PCA_IP, 24);
	r->far = access_node(r, "far", r->core, NULL, FAR_IP, 24);
	ip_route_add(r->dev, 0, 0, HE_HFC, r->dev->ifaces);
	ip_route_add(r->other, 0, 0, HE_HFC, r->other->ifaces);
	for (struct node *n = r->kdc; n; n = n->next)
		ip_route_add(n, 0, 0, HE_CORE, NULL);
	access_directory(r);
	access_head_end(r, &access_more, access_more.name != NULL);
	r->sc_sm = world_module(r->world, r->sc, "module");
	r->sc_ipsec = ipsec_new(r->sc, r->sc_sm, true);
	r->sc_client = radius_client_new(r->sc, r->sc_ipsec);
	radius_client_reset(r->sc_client);
}

static inline void access_end(struct access_rig *r)
{
	radius_client_free(r->sc_client);
	ipsec_free(r->sc_ipsec);
	sm_free(r->sc_sm);
	sim_free(r->sim);
	world_free(r->world);
}

/* Orders and questions of the signaling controller */

struct access_answer {
	bool answered;
	enum radius_code code;
	char why[RADIUS_TEXT_MAX];
};

static inline void access_on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct access_answer *a = ctx;

	(void)tag;
	a->answered = true;
	a->code = answer ? answer->code : 0;
	snprintf(a->why, sizeof a->why, "%s", answer ? answer->reply_message : "");
}

static inline struct access_answer access_ask(struct access_rig *r, const struct radius *question)
{
	struct access_answer a = { .answered = false };

	ck_assert(radius_client_ask(r->sc_client, HE_CORE, question, access_on_answer, &a));
	for (int i = 0; i < 1000 && !a.answered; i++)
		access_run(r, 10 * NS_PER_MS);
	ck_assert(a.answered);
	return a;
}

static inline struct access_answer access_order(struct access_rig *r, enum radius_code code, const char *mac)
{
	struct radius order = { .code = code };

	snprintf(order.user_name, sizeof order.user_name, "%s", mac);
	if (code == RADIUS_COA_REQUEST) {
		snprintf(order.connect_info, sizeof order.connect_info, "subscriber");
		snprintf(order.filter_id, sizeof order.filter_id, "voice");
	}
	return access_ask(r, &order);
}

static inline int access_main(Suite *suite)
{
	static const char *const keys[] = { "authority/manufacturer-root", "authority/manufacturer", "authority/operator-root",
		                            "authority/operator", "kdc/kdc1" };
	char command[64];
	struct crypto *crypto = crypto_new();
	struct key_pool *pool;
	size_t len;
	SRunner *runner;
	int failed;

	if (!mkdtemp(access_cache))
		return EXIT_FAILURE;
	pool = key_pool_new(crypto, POOL_SEED, access_cache);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		key_pool_get(pool, keys[i], 2048, &len);
	key_pool_free(pool);
	crypto_free(crypto);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	snprintf(command, sizeof command, "rm -rf %s", access_cache);
	return system(command) != 0 || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

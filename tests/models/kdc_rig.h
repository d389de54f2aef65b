/*
 * What the tests of KDC and head-end share: a device on an HFC segment behind a head-end, a KDC and a signaling
 * controller's stand-in on the operator's network. KDC and head-end are the elements themselves; the device asks by real
 * bytes and judges what comes back.
 *
 *   device 10.1.0.2 --- hfc --- 10.1.0.1 he1 10.0.0.1 --- core --- kdc1 10.0.0.9, sc1 10.0.0.5
 */
#ifndef TOLLGATE_TESTS_KDC_RIG_H
#define TOLLGATE_TESTS_KDC_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "crypto/derive.h"
#include "crypto/pkinit_cms.h"
#include "models/cmts.h"
#include "models/directory.h"
#include "models/kdc_service.h"
#include "models/message.h"
#include "models/radius_server.h"
#include "models/wire/pktc.h"

#define POOL_SEED 11
#define NUMBER "215-555-0101"
#define OTHER_NUMBER "215-555-0102"
#define DEVICE_KEY "cta/device"
#define DEVICE_BITS 1024
#define DEVICE_IP 0x0a010002u
#define HE_HFC_IP 0x0a010001u
#define HE_IP 0x0a000001u
#define SC_IP 0x0a000005u
#define KDC_IP 0x0a000009u
#define REFUSALS_MAX 64

extern const struct model model_kdc;

static const uint8_t device_mac[6] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55 };
static char rig_cache[] = "/tmp/tollgate-test-kdc-XXXXXX"; /* key pairs, made once a program */

struct rig_refusal {
	const struct node *at;
	char check[40], detail[64];
};

struct rig_setup {
	const char *switches[8][2]; /* name, value; ended by NULL */
	bool ipsec, no_lease, he_keys; /* he_keys: the head-end knows the KDC */
	const char *numbers;
	struct link_params hfc;
	uint64_t seed;
};

struct kdc_rig {
	struct sim *sim;
	struct world *world;
	struct link *hfc, *core;
	struct node *device, *he, *sc, *kdc;
	/* the signaling controller's stand-in */
	struct secure_module *sc_sm;
	struct ipsec *sc_ipsec;
	struct key_management *sc_km;
	struct radius_server *sc_answers;
	key_handle sc_key;
	char subscriber[2 * PHONE_ID_LEN + 1]; /* whom it knows */
	bool sc_silent;
	unsigned sc_asked;
	/* the device */
	struct secure_module *sm;
	key_handle rsa;
	struct der device_cert, operator_cert;
	struct kdc_client *client;
	struct pkinit_client *request;
	const struct der *raw;      /* sent as it is, if set */
	bool tcp;
	struct pkinit_identity identity;
	struct krb_name server;
	bool dh;
	enum pkinit_bind bind;
	int64_t till_s, clock_off_s;
	struct der sent, answer;    /* the last ones */
	unsigned requests;
	bool answered;
	/* what was seen */
	struct rig_refusal refusals[REFUSALS_MAX];
	unsigned refusal_count;
	unsigned clear_radius, esp; /* frames on the operator's network */
};

static inline void rig_refusal(void *ctx, const struct node *at, const char *check, uint32_t src_ip, uint64_t tag, const char *detail)
{
	struct kdc_rig *r = ctx;
	struct rig_refusal *refusal = &r->refusals[r->refusal_count % REFUSALS_MAX];

	(void)src_ip;
	(void)tag;
	r->refusal_count++;
	refusal->at = at;
	snprintf(refusal->check, sizeof refusal->check, "%s", check);
	snprintf(refusal->detail, sizeof refusal->detail, "%s", detail);
}

static inline void rig_packet(void *ctx, const struct iface *at, enum packet_event what, const struct packet *packet)
{
	struct kdc_rig *r = ctx;
	const uint8_t *ip = packet->data + ETHERNET_HEADER_LEN;

	if (what != PACKET_IN || at->link != r->core || packet->len < ETHERNET_HEADER_LEN + IP_HEADER_LEN + UDP_HEADER_LEN)
		return;
	r->esp += ip[9] == IP_PROTO_ESP;
	r->clear_radius += ip[9] == IP_PROTO_UDP && (get_be16(ip + 20) == RADIUS_AUTH_PORT || get_be16(ip + 22) == RADIUS_AUTH_PORT);
}

static inline unsigned rig_refused(const struct kdc_rig *r, const struct node *at, const char *check)
{
	unsigned n = 0;

	ck_assert_uint_le(r->refusal_count, REFUSALS_MAX);
	for (unsigned i = 0; i < r->refusal_count; i++)
		n += r->refusals[i].at == at && (!check || strcmp(r->refusals[i].check, check) == 0);
	return n;
}

static inline int64_t rig_get(struct node *node, const char *attribute)
{
	struct value value;

	ck_assert(node->model->get(node, attribute, &value));
	return value.integer;
}

/* The stand-in */

static inline void rig_question(void *ctx, const struct radius_asked *asked)
{
	struct kdc_rig *r = ctx;

	r->sc_asked++;
	if (r->sc_silent)
		return;
	ck_assert_str_eq(asked->principal, "kdc/kdc1");
	radius_server_judge(r->sc_answers, asked,
	                    strcmp(asked->question.user_name, r->subscriber) == 0 ? NULL : "sc.unknown_subscriber");
}

static inline void rig_sc(struct kdc_rig *r)
{
	struct key_management_owner owner = { .ctx = r };

	r->sc_sm = world_module(r->world, r->sc, "module");
	r->sc_key = world_server_key(r->world, r->sc_sm, "sc/sc1");
	r->sc_ipsec = ipsec_new(r->sc, r->sc_sm, true);
	r->sc_km = key_management_new(r->sc, r->sc_ipsec, "sc/sc1", r->sc_key, &owner);
	r->sc_answers = radius_server_new(r->sc, r->sc_ipsec, RADIUS_AUTH_PORT, rig_question, r);
	key_management_reset(r->sc_km);
	radius_server_reset(r->sc_answers);
	directory_service_add(world_directory(r->world), "sc/sc1", SC_IP);
}

/* The device */

static inline bool rig_build(void *ctx, struct der *out)
{
	struct kdc_rig *r = ctx;
	struct krb_time at = world_now(r->sim);

	r->requests++;
	at.s += r->clock_off_s;
	if (r->raw) {
		ck_assert(krb_der_copy(out, r->raw->bytes, r->raw->len));
		return true;
	}
	pkinit_client_free(r->request);
	r->request = pkinit_request(r->sm, &r->identity, &r->server, at, r->till_s, r->dh, r->bind, out);
	ck_assert_ptr_nonnull(r->request);
	der_free(&r->sent);
	ck_assert(krb_der_copy(&r->sent, out->bytes, out->len));
	return true;
}

static inline void rig_answer(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct kdc_rig *r = ctx;

	(void)tag;
	r->answered = true;
	der_free(&r->answer);
	if (bytes)
		ck_assert(krb_der_copy(&r->answer, bytes, len));
}

static inline void rig_identity(struct kdc_rig *r, bool provisioned)
{
	char name[2 * PHONE_ID_LEN + 1] = "00:11:22:33:44:55";
	uint8_t id[PHONE_ID_LEN];

	r->identity = (struct pkinit_identity){ .rsa_key = r->rsa, .cert = provisioned ? r->operator_cert : r->device_cert };
	if (!provisioned)
		r->identity.issuer_cert = *world_authority(r->world, AUTHORITY_MANUFACTURER);
	ck_assert(phone_id(world_crypto(r->world), NUMBER, id));
	if (provisioned)
		hex_encode(id, sizeof id, name);
	ck_assert(krb_name_set(&r->identity.name, name, WORLD_REALM));
}

static inline void rig_device(struct kdc_rig *r, bool tcp)
{
	r->sm = world_module(r->world, r->device, "module");
	r->rsa = sm_install_rsa(r->sm, world_key_pool(r->world), DEVICE_KEY, DEVICE_BITS);
	ck_assert(sm_install_root(r->sm, world_authority(r->world, AUTHORITY_OPERATOR_ROOT)->bytes,
	                          world_authority(r->world, AUTHORITY_OPERATOR_ROOT)->len));
	world_device_certificate(r->world, DEVICE_KEY, DEVICE_BITS, device_mac, &r->device_cert);
	world_operator_certificate(r->world, DEVICE_KEY, DEVICE_BITS, NUMBER, 0, &r->operator_cert);
	r->client = kdc_client_new(r->device, KDC_IP, tcp);
	r->tcp = tcp;
	ck_assert(krb_name_set(&r->server, "sc/sc1", WORLD_REALM));
	r->till_s = 0;
	rig_identity(r, true);
	memcpy(r->subscriber, r->identity.name.name, sizeof r->subscriber);
}

static inline struct node *rig_node(struct kdc_rig *r, const char *name, struct link *link, const uint8_t *mac, uint32_t ip,
                                    uint8_t len)
{
	struct node *node = node_new(r->sim, name);

	iface_new(node, link, "eth0", mac, ip, len);
	return node;
}

static inline void rig_element(struct node *node, const struct model *model, const struct arg *list, size_t count)
{
	char error[MODEL_ERROR_LEN] = "";

	node->model = model;
	ck_assert_msg(model->create(node, &(struct args){ list, count }, error), "%s", error);
	model->start(node);
}

static inline void rig_elements(struct kdc_rig *r, const struct rig_setup *setup)
{
	struct arg kdc[] = { { "restricted_numbers", value_text(setup->numbers ? setup->numbers : "") } };
	struct arg he[] = { { "hfc", { .type = VALUE_LINK, .link = r->hfc } }, { "kdc", { .type = VALUE_NODE, .node = r->kdc } } };

	rig_element(r->kdc, &model_kdc, kdc, 1);
	rig_element(r->he, &model_cmts, he, setup->he_keys ? 2 : 1);
	if (!setup->no_lease)
		ck_assert(cmts_lease_add(r->he, DEVICE_IP, device_mac));
}

static inline void rig_make(struct kdc_rig *r, const struct rig_setup *setup, bool tcp)
{
	static const struct trace_ops ops = { .refusal = rig_refusal, .packet = rig_packet };
	static const struct link_params lan = { .delay_ns = NS_PER_MS };
	struct link_params hfc = setup->hfc;
	char error[MODEL_ERROR_LEN];

	memset(r, 0, sizeof *r);
	r->sim = sim_new(setup->seed ? setup->seed : 3, SIM_DEFAULT_EPOCH_S);
	trace_attach(r->sim, &ops, r, TRACE_REFUSAL | TRACE_PACKET);
	r->world = world_new(r->sim, POOL_SEED, rig_cache);
	ck_assert(world_switch_set(r->world, "backend.ipsec", setup->ipsec ? "on" : "off", error));
	for (unsigned i = 0; setup->switches[i][0]; i++)
		ck_assert_msg(world_switch_set(r->world, setup->switches[i][0], setup->switches[i][1], error), "%s", error);
	if (!hfc.delay_ns)
		hfc.delay_ns = 5 * NS_PER_MS;
	r->hfc = link_new(r->sim, "hfc", &hfc);
	r->core = link_new(r->sim, "core", &lan);
	r->device = rig_node(r, "device", r->hfc, device_mac, DEVICE_IP, 16);
	r->he = rig_node(r, "he1", r->hfc, NULL, HE_HFC_IP, 16);
	iface_new(r->he, r->core, "eth1", NULL, HE_IP, 24);
	r->kdc = rig_node(r, "kdc1", r->core, NULL, KDC_IP, 24);
	r->sc = rig_node(r, "sc1", r->core, NULL, SC_IP, 24);
	ip_route_add(r->device, 0, 0, HE_HFC_IP, NULL);
	ip_route_add(r->kdc, 0, 0, HE_IP, NULL);
	ip_route_add(r->sc, 0, 0, HE_IP, NULL);
	rig_sc(r);
	rig_device(r, tcp);
	rig_elements(r, setup);
}

static inline void rig_end(struct kdc_rig *r)
{
	kdc_client_free(r->client);
	pkinit_client_free(r->request);
	radius_server_free(r->sc_answers);
	key_management_free(r->sc_km);
	ipsec_free(r->sc_ipsec);
	sm_free(r->sc_sm);
	sm_free(r->sm);
	der_free(&r->device_cert);
	der_free(&r->operator_cert);
	der_free(&r->sent);
	der_free(&r->answer);
	sim_free(r->sim);
	world_free(r->world);
}

static inline void rig_run(struct kdc_rig *r, sim_ns for_ns)
{
	sim_run(r->sim, r->sim->now_ns + for_ns);
}

/* One question and its outcome; the clock stops within 10 ms of the answer. */
static inline void rig_ask(struct kdc_rig *r)
{
	r->answered = false;
	ck_assert(kdc_client_ask(r->client, rig_build, rig_answer, r));
	for (int i = 0; i < 20000 && !r->answered; i++)
		rig_run(r, 10 * NS_PER_MS);
	ck_assert(r->answered);
}

static inline void rig_raw_answer(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	rig_answer(socket->ctx, packet->data, packet->len, from->tag);
}

/* Once, and not by the client: to that one a refusal of a copy over UDP is no answer. */
static inline void rig_ask_datagram(struct kdc_rig *r, const struct der *message)
{
	struct udp_socket socket = { .node = NULL };
	struct packet *packet = packet_new(r->sim, (uint32_t)message->len);

	memcpy(packet_append(packet, (uint32_t)message->len), message->bytes, message->len);
	ck_assert(udp_bind(r->device, &socket, 0, rig_raw_answer, r));
	r->answered = false;
	udp_send(&socket, 0, KDC_IP, KDC_PORT, packet);
	for (int i = 0; i < 20000 && !r->answered; i++)
		rig_run(r, 10 * NS_PER_MS);
	ck_assert(r->answered);
	udp_unbind(&socket);
}

static inline void rig_ask_raw(struct kdc_rig *r, const struct der *message)
{
	if (!r->tcp) {
		rig_ask_datagram(r, message);
		return;
	}
	r->raw = message;
	rig_ask(r);
	r->raw = NULL;
}

/* What the answer is: 0 for an AS-REP, the code of a KRB-ERROR, -1 for none. */
static inline int rig_outcome(const struct kdc_rig *r)
{
	struct krb_error_info info;

	if (!r->answer.len)
		return -1;
	if (krb_type(r->answer.bytes, r->answer.len) == KRB_AS_REP)
		return 0;
	ck_assert(krb_error_parse(r->answer.bytes, r->answer.len, &info));
	ck_assert_int_ne(info.code, 0);
	return info.code;
}

/* The KDC refused by this check and by no other, since the last time this was asked, and said so by this code. */
static inline void rig_expect_refusal(struct kdc_rig *r, const char *check, int code)
{
	struct krb_error_info info;

	ck_assert_int_eq(rig_outcome(r), code);
	ck_assert(krb_error_parse(r->answer.bytes, r->answer.len, &info));
	ck_assert_str_eq(info.text, check);
	for (unsigned i = 0; i < r->refusal_count; i++)
		if (r->refusals[i].at == r->kdc)
			ck_assert_str_eq(r->refusals[i].check, check);
	ck_assert_uint_eq(rig_refused(r, r->kdc, check), 1);
	r->refusal_count = 0;
}

/* The device takes the reply: credentials, to be freed by krb_credentials_free(r->sm, ..). */
static inline void rig_take(struct kdc_rig *r, struct krb_credentials *out)
{
	struct pkinit_policy policy = { .verify_root = true, .require_kdc_eku = true, .check_crl = true, .check_kdc_name = true,
		                        .check_nonce = true, .check_bind = true, .check_sealed_sname = true, .bind = r->bind,
		                        .crl = world_crl(r->world), .kdc_ca = world_authority(r->world, AUTHORITY_OPERATOR),
		                        .kdc_ca_count = 1, .now_s = sim_unix_s(r->sim) };
	enum krb_reply_verdict verdict;

	ck_assert_int_eq(rig_outcome(r), 0);
	*out = (struct krb_credentials){ .session_key = 0 };
	verdict = pkinit_reply(r->sm, r->request, &r->identity, &policy, r->answer.bytes, r->answer.len, out, NULL);
	ck_assert_msg(verdict == KRB_REPLY_OK, "%s", krb_reply_checks[verdict]);
}

/* What the service finds in the ticket, by an AP-REQ made with it. */
static inline void rig_ticket(struct kdc_rig *r, const struct krb_credentials *c, struct krb_ticket_facts *out)
{
	struct gss_initiator initiator;
	struct gss_accepted accepted;
	struct der token = { 0 };

	ck_assert(gss_init_start(r->sm, c, world_now(r->sim), 0x1000, &initiator, &token));
	ck_assert_int_eq(gss_accept(r->sc_sm, r->sc_key, token.bytes, token.len, true, &accepted), GSS_OK);
	*out = accepted.ticket;
	sm_destroy_key(r->sc_sm, accepted.session_key);
	der_free(&token);
}

static inline void rig_expect_ticket(struct kdc_rig *r, struct krb_ticket_facts *facts)
{
	struct krb_credentials c;

	rig_take(r, &c);
	rig_ticket(r, &c, facts);
	krb_credentials_free(r->sm, &c);
}

/* Certificates that the world does not issue, under the keys of its authorities or of somebody else. */
static inline struct der rig_certificate(struct kdc_rig *r, const struct cert_request *request, const char *key, unsigned bits,
                                         const struct der *issuer, const char *issuer_key)
{
	struct key_pool *pool = world_key_pool(r->world);
	size_t len, issuer_len;
	const uint8_t *subject = key_pool_get(pool, key, bits, &len), *by = key_pool_get(pool, issuer_key, 2048, &issuer_len);
	struct der out = { 0 };

	ck_assert(cert_issue(world_crypto(r->world), request, subject, len, NULL, 0, issuer, by, issuer_len, &out));
	return out;
}

static inline struct der rig_operator_certificate(struct kdc_rig *r, int64_t not_before_s, int64_t not_after_s)
{
	uint8_t id[PHONE_ID_LEN];
	struct cert_request request = { .kind = CERT_OPERATOR, .organisation = "Network Operator", .serial = 77, .phone_id = id,
		                        .realm = WORLD_REALM, .not_before_s = SIM_DEFAULT_EPOCH_S + not_before_s,
		                        .not_after_s = SIM_DEFAULT_EPOCH_S + not_after_s };

	ck_assert(phone_id(world_crypto(r->world), NUMBER, id));
	return rig_certificate(r, &request, DEVICE_KEY, DEVICE_BITS, world_authority(r->world, AUTHORITY_OPERATOR),
	                       "authority/operator");
}

/* Makes the key pairs that every test needs. */
static inline void rig_fill_cache(void)
{
	static const struct { const char *name; unsigned bits; } keys[] = {
		{ "authority/manufacturer-root", 2048 }, { "authority/manufacturer", 2048 }, { "authority/operator-root", 2048 },
		{ "authority/operator", 2048 }, { "kdc/kdc1", WORLD_KDC_BITS }, { "forger", 2048 }, { DEVICE_KEY, DEVICE_BITS },
		{ "cta/mallory", DEVICE_BITS },
	};
	struct crypto *crypto = crypto_new();
	struct key_pool *pool = key_pool_new(crypto, POOL_SEED, rig_cache);
	size_t len;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		key_pool_get(pool, keys[i].name, keys[i].bits, &len);
	key_pool_free(pool);
	crypto_free(crypto);
}

/* Runs a suite with a cache of key pairs, which goes with it. */
static inline int rig_main(Suite *suite)
{
	char command[64];
	SRunner *runner;
	int failed;

	if (!mkdtemp(rig_cache))
		return EXIT_FAILURE;
	rig_fill_cache();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	snprintf(command, sizeof command, "rm -rf %s", rig_cache);
	return system(command) != 0 || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

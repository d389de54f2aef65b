/*
 * Attack K1 from end to end: an attacker with an account and the wire between victim and KDC, then between victim and
 * SC. Under bind "nonce" all three share the sub-key and the ticket names the attacker; under "aschecksum" the victim
 * refuses by pkinit.bind and by nothing else.
 */
#include <check.h>
#include "crypto/pkinit.h"
#include "tests/crypto/fixture.h"

#define NOW FIXTURE_NOW_S

static const uint8_t sc_key[24] = { 0x92, 0x51, 0x79, 0xd0, 0x45, 0x91, 0xa7, 0x9b, 0x5d, 0x31, 0x92, 0xc4,
                                    0xa7, 0xe9, 0xc2, 0x89, 0xb0, 0x49, 0xc7, 0x1f, 0x6e, 0xe6, 0x04, 0xcd };
static const struct krb_time now = { NOW, 1 };

struct world {
	struct crypto *crypto;
	struct fixture_pki pki;
	struct fixture_party victim_party, attacker_party, kdc_party, sc_party;
	struct pkinit_identity victim, attacker;
	struct der attacker_cert, crl;
	struct pkinit_kdc kdc;
	key_handle kdc_server_key, sc_server_key;
	struct krb_name server;
	struct pkinit_policy policy;
};

static struct krb_name name_of(const char *name)
{
	struct krb_name out;
	ck_assert(krb_name_set(&out, name, FIXTURE_REALM));
	return out;
}

static struct pkinit_identity attacker_identity(struct world *w)
{
	uint8_t id[PHONE_ID_LEN];
	char hex[2 * PHONE_ID_LEN + 1];
	struct cert_request r = fixture_request(CERT_OPERATOR, NULL, "Example Telephony", 77);
	ck_assert(phone_id(w->crypto, "215-555-0666", id));
	for (int i = 0; i < PHONE_ID_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	r.phone_id = id;
	w->attacker_cert = fixture_issue(&w->pki, &r, "mallory", 1024, &w->pki.op_ca, "op-ca", 2048);
	return (struct pkinit_identity){ .rsa_key = sm_install_rsa(w->attacker_party.sm, w->pki.pool, "mallory", 1024),
	                                 .cert = w->attacker_cert, .name = name_of(hex) };
}

static void world_init(struct world *w)
{
	size_t len;
	*w = (struct world){ .crypto = crypto_new() };
	fixture_pki_init(&w->pki, w->crypto);
	fixture_party_init(&w->victim_party, w->crypto, "victim");
	fixture_party_init(&w->attacker_party, w->crypto, "mallory");
	fixture_party_init(&w->kdc_party, w->crypto, "kdc");
	fixture_party_init(&w->sc_party, w->crypto, "sc");
	sm_install_root(w->victim_party.sm, w->pki.root.bytes, w->pki.root.len);
	w->victim =
		(struct pkinit_identity){ .rsa_key = sm_install_rsa(w->victim_party.sm, w->pki.pool, "device", 1024),
		                          .cert = w->pki.operator_cert,
		                          .name = name_of(w->pki.phone_id_hex) };
	w->attacker = attacker_identity(w);
	w->kdc = (struct pkinit_kdc){ .rsa_key = sm_install_rsa(w->kdc_party.sm, w->pki.pool, "kdc", 2048),
		                      .cert = w->pki.kdc,
		                      .ca_cert = w->pki.op_ca };
	w->kdc_server_key = sm_install_des3(w->kdc_party.sm, "krb.server", "sc/sc1", sc_key);
	w->sc_server_key = sm_install_des3(w->sc_party.sm, "krb.server", "sc/sc1", sc_key);
	w->server = name_of("sc/sc1");
	const uint8_t *ca_key = key_pool_get(w->pki.pool, "op-ca", 2048, &len);
	ck_assert(crl_issue(w->crypto, &w->pki.op_ca, ca_key, len, NULL, 0, NOW - 60, NOW + 86400, &w->crl));
	w->policy = (struct pkinit_policy){ .verify_root = true,
		                            .require_kdc_eku = true,
		                            .check_crl = true,
		                            .check_kdc_name = true,
		                            .check_nonce = true,
		                            .check_bind = true,
		                            .check_sealed_sname = true,
		                            .crl = &w->crl,
		                            .kdc_ca = &w->pki.op_ca,
		                            .kdc_ca_count = 1,
		                            .now_s = NOW };
}

static void world_free(struct world *w)
{
	fixture_party_free(&w->victim_party);
	fixture_party_free(&w->attacker_party);
	fixture_party_free(&w->kdc_party);
	fixture_party_free(&w->sc_party);
	der_free(&w->attacker_cert);
	der_free(&w->crl);
	fixture_pki_free(&w->pki);
	crypto_free(w->crypto);
}

/* An honest KDC, with every check a KDC has: chain, signature, the name the certificate gives. */
static void kdc_answers(struct world *w, const struct der *request, enum pkinit_bind bind, struct der *reply)
{
	struct krb_as_facts facts;
	struct cert_facts cert;
	ck_assert(krb_as_parse(w->crypto, request->bytes, request->len, &facts));
	ck_assert_int_eq(cert_verify(w->crypto, &facts.client_cert, NULL, 0, &w->pki.op_ca, 1, NOW, false), CERT_OK);
	ck_assert(pkinit_check_signature(w->crypto, &facts));
	ck_assert(cert_read(facts.client_cert.bytes, facts.client_cert.len, &cert));
	ck_assert(strncmp(cert.principal, facts.client.name, strlen(facts.client.name)) == 0);
	ck_assert(krb_name_equal(&facts.client, &w->attacker.name));
	struct krb_ticket_facts ticket = { .client = facts.client,
		                           .server = facts.server,
		                           .auth_time_s = NOW,
		                           .start_time_s = NOW,
		                           .end_time_s = facts.till_s };
	ck_assert(pkinit_reply_build(w->kdc_party.sm, &w->kdc, w->kdc_server_key, &facts, &ticket, bind, now, reply));
	krb_as_facts_free(&facts);
}

static bool same_key(struct secure_module *a, key_handle ka, struct secure_module *b, key_handle kb)
{
	uint8_t ida[KEY_ID_LEN], idb[KEY_ID_LEN];
	sm_key_id(a, ka, ida);
	sm_key_id(b, kb, idb);
	return memcmp(ida, idb, KEY_ID_LEN) == 0;
}

/* The victim's call, with the attacker between it and the SC. */
static void ap_exchange(struct world *w, const struct krb_credentials *victims, key_handle stolen_session)
{
	struct gss_initiator state;
	struct gss_accepted accepted;
	struct der req = { 0 }, rewritten = { 0 }, rep = { 0 };
	key_handle at_victim, at_sc, at_attacker;
	ck_assert(gss_init_start(w->victim_party.sm, victims, now, 0x2000, &state, &req));
	/* untouched, it does not fit its ticket: victim's name, attacker's ticket */
	ck_assert_int_eq(gss_accept(w->sc_party.sm, w->sc_server_key, req.bytes, req.len, true, &accepted),
	                 GSS_BADMATCH);
	ck_assert(krb_ap_req_rewrite(w->attacker_party.sm, stolen_session, req.bytes, req.len, &w->attacker.name,
	                             &rewritten));
	ck_assert_int_eq(gss_accept(w->sc_party.sm, w->sc_server_key, rewritten.bytes, rewritten.len, true, &accepted),
	                 GSS_OK);
	ck_assert(krb_name_equal(&accepted.ticket.client, &w->attacker.name)); /* the attacker's account pays */
	ck_assert_uint_eq(accepted.spi, 0x2000);
	ck_assert(gss_accept_reply(w->sc_party.sm, &accepted, &at_sc, &rep));
	ck_assert(krb_ap_rep_read(w->attacker_party.sm, stolen_session, rep.bytes, rep.len, &at_attacker));
	ck_assert(gss_init_finish(w->victim_party.sm, &state, rep.bytes, rep.len, &at_victim));
	ck_assert(same_key(w->victim_party.sm, at_victim, w->sc_party.sm, at_sc));
	ck_assert(same_key(w->attacker_party.sm, at_attacker, w->sc_party.sm, at_sc));
	der_free(&req);
	der_free(&rewritten);
	der_free(&rep);
}

/* Its key pairs are made once; every test forks with them at hand. */
static struct world the_world;

static void setup(void)
{
	world_init(&the_world);
}

static void teardown(void)
{
	world_free(&the_world);
}

START_TEST(man_in_the_middle)
{
	static const struct {
		enum pkinit_bind bind;
		bool check_bind;
		enum krb_reply_verdict expected;
	} rows[] = {
		{ PKINIT_BIND_NONCE, true, KRB_REPLY_OK }, { PKINIT_BIND_ASCHECKSUM, true, KRB_REPLY_BINDING },
		{ PKINIT_BIND_ASCHECKSUM, false, KRB_REPLY_OK },
	};
	struct world *w = &the_world;
	w->policy.bind = rows[_i].bind;
	w->policy.check_bind = rows[_i].check_bind;
	struct der request = { 0 }, as_attacker = { 0 }, reply = { 0 }, to_victim = { 0 };
	struct krb_credentials credentials = { .session_key = 0 };
	key_handle stolen;
	struct pkinit_client *client = pkinit_request(w->victim_party.sm, &w->victim, &w->server, now, NOW + 3600,
	                                              false, rows[_i].bind, &request);
	ck_assert_ptr_nonnull(client);
	struct pkinit_mitm *mitm =
		pkinit_mitm_request(w->attacker_party.sm, &w->attacker, request.bytes, request.len, now, &as_attacker);
	ck_assert_ptr_nonnull(mitm);
	kdc_answers(w, &as_attacker, rows[_i].bind, &reply);
	size_t keys = sm_key_count(w->attacker_party.sm);
	ck_assert(pkinit_mitm_reply(w->attacker_party.sm, mitm, reply.bytes, reply.len, &stolen, &to_victim));
	ck_assert_uint_eq(sm_key_count(w->attacker_party.sm), keys + 1);
	enum krb_reply_verdict verdict = pkinit_reply(w->victim_party.sm, client, &w->victim, &w->policy,
	                                              to_victim.bytes, to_victim.len, &credentials, NULL);
	ck_assert_int_eq(verdict, rows[_i].expected);
	if (verdict == KRB_REPLY_OK) {
		ck_assert(same_key(w->victim_party.sm, credentials.session_key, w->attacker_party.sm, stolen));
		ck_assert(krb_name_equal(&credentials.client, &w->victim.name));
		ap_exchange(w, &credentials, stolen);
	} else {
		ck_assert_str_eq(krb_reply_checks[verdict], "pkinit.bind");
	}
	krb_credentials_free(w->victim_party.sm, &credentials);
	pkinit_client_free(client);
	pkinit_mitm_free(mitm);
	der_free(&request);
	der_free(&as_attacker);
	der_free(&reply);
	der_free(&to_victim);
}
END_TEST

START_TEST(diffie_hellman_resists)
{
	/* re-signing works, but the secret stays with victim and KDC */
	struct world *w = &the_world;
	struct der request = { 0 }, as_attacker = { 0 }, reply = { 0 }, to_victim = { 0 };
	key_handle stolen = 0;
	struct pkinit_client *client = pkinit_request(w->victim_party.sm, &w->victim, &w->server, now, NOW + 3600, true,
	                                              PKINIT_BIND_NONCE, &request);
	struct pkinit_mitm *mitm =
		pkinit_mitm_request(w->attacker_party.sm, &w->attacker, request.bytes, request.len, now, &as_attacker);
	ck_assert_ptr_nonnull(mitm);
	kdc_answers(w, &as_attacker, PKINIT_BIND_NONCE, &reply);
	ck_assert(!pkinit_mitm_reply(w->attacker_party.sm, mitm, reply.bytes, reply.len, &stolen, &to_victim));
	ck_assert(stolen == 0 && to_victim.bytes == NULL);
	pkinit_client_free(client);
	pkinit_mitm_free(mitm);
	der_free(&request);
	der_free(&as_attacker);
	der_free(&reply);
}
END_TEST

START_TEST(refuses_what_is_no_request)
{
	/* a torn request gives the attacker nothing to sign */
	struct world *w = &the_world;
	struct der request = { 0 }, out = { 0 };
	struct pkinit_client *client = pkinit_request(w->victim_party.sm, &w->victim, &w->server, now, NOW + 3600,
	                                              false, PKINIT_BIND_ASCHECKSUM, &request);
	ck_assert_ptr_null(
		pkinit_mitm_request(w->attacker_party.sm, &w->attacker, request.bytes, request.len - 1, now, &out));
	ck_assert_ptr_null(out.bytes);
	pkinit_client_free(client);
	der_free(&request);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mitm");
	TCase *cases = tcase_create("K1");
	tcase_set_timeout(cases, 60);
	tcase_add_unchecked_fixture(cases, setup, teardown);
	tcase_add_loop_test(cases, man_in_the_middle, 0, 3);
	tcase_add_test(cases, diffie_hellman_resists);
	tcase_add_test(cases, refuses_what_is_no_request);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

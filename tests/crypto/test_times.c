/*
 * Times at the edges: before 1970, 2^31 and 2^32 seconds, 2049 to 2050 (UTCTime ends, RFC 5280 section 4.1.2.5), the
 * year 9999.
 */
#include <openssl/x509.h>
#include "crypto/pki_internal.h"
#include "tests/crypto/pkinit_world.h"

#define T_1950 (-INT64_C(631152000))
#define T_2050 INT64_C(2524608000)
#define T_2060 INT64_C(2840140800)

static const struct {
	int64_t time_s;
	bool good; /* a Kerberos time: 1970 to 9999 */
} edges[] = {
	{ 0, true }, { INT32_MAX, true }, { INT64_C(1) << 31, true }, { UINT32_MAX, true }, { INT64_C(1) << 32, true },
	{ T_2050 - 1, true }, { T_2050, true }, { CERT_NO_EXPIRY_S, true }, { -1, false }, { T_1950, false },
};
#define EDGES ((int)(sizeof edges / sizeof *edges))

START_TEST(kerberos_times)
{
	ASN1_GENERALIZEDTIME *field = NULL;
	int64_t back;

	krb_put_time(&field, edges[_i].time_s);
	ck_assert(krb_get_time(field, &back) == edges[_i].good);
	ck_assert(!edges[_i].good || back == edges[_i].time_s);
	ASN1_GENERALIZEDTIME_free(field);
}
END_TEST

/* What is no time, or no time that Kerberos writes. */
START_TEST(false_times)
{
	static const char *const texts[] = {
		"", "Z", "20270230000000Z", "20270229000000Z", "20271301000000Z", "20270001000000Z", "20270100000000Z",
		"20270101240000Z", "20270101006000Z", "20270101000060Z", "20270101000000", "20270101000000z",
		"270101000000Z",
		"20270101000000.5Z", "20270101000000+0100", "2027010100000-Z", "00000101000000Z", "19691231235959Z",
	};
	ASN1_GENERALIZEDTIME *field = ASN1_GENERALIZEDTIME_new();
	int64_t time_s = 1;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		ck_assert(ASN1_STRING_set(field, texts[i], -1));
		ck_assert_msg(!krb_get_time(field, &time_s), "%s", texts[i]);
	}
	ck_assert_int_eq(time_s, 1);
	ck_assert(ASN1_STRING_set(field, "20280229235959Z", -1) && krb_get_time(field, &time_s));
	ck_assert(!krb_get_time(NULL, &time_s));
	ASN1_GENERALIZEDTIME_free(field);
}
END_TEST

/* AP exchange at that time: the acceptor reads the same time, or refuses what is none. */
START_TEST(ap_exchange)
{
	struct world *w = &the_world;
	const struct krb_time when = { edges[_i].time_s, 999999 };
	struct krb_ticket_facts facts = { .client = w->server, .server = w->server, .auth_time_s = when.s,
	                                  .start_time_s = when.s, .end_time_s = when.s };
	struct krb_credentials c;
	struct gss_initiator state;
	struct gss_accepted got;
	struct der token = { 0 }, reply = { 0 };
	key_handle ours, theirs;

	ck_assert(krb_self_issue(w->kdc.sm, w->server_key, &facts, &c));
	ck_assert(gss_init_start(w->kdc.sm, &c, when, 7, &state, &token));
	if (edges[_i].good) {
		ck_assert_int_eq(gss_accept(w->kdc.sm, w->server_key, token.bytes, token.len, true, &got), GSS_OK);
		ck_assert(got.ctime.s == when.s && got.ctime.us == when.us && got.ticket.end_time_s == when.s);
		ck_assert(gss_accept_reply(w->kdc.sm, &got, &ours, &reply));
		ck_assert(gss_init_finish(w->kdc.sm, &state, reply.bytes, reply.len, &theirs));
	} else {
		ck_assert_int_eq(gss_accept(w->kdc.sm, w->server_key, token.bytes, token.len, true, &got),
		                 GSS_MALFORMED);
	}
	der_free(&token);
	der_free(&reply);
	krb_credentials_free(w->kdc.sm, &c);
}
END_TEST

/* Certificates whose period begins or ends at an edge: to the second, whatever form the time has in them. */
START_TEST(certificates)
{
	struct world *w = &the_world;
	struct cert_request r = fixture_request(CERT_DEVICE, NULL, "Example Devices", 50);
	struct cert_facts facts;
	struct der root, der;
	const int64_t edge_s = edges[_i].time_s;

	if (!edges[_i].good || edge_s == CERT_NO_EXPIRY_S)
		return;
	r.mac = fixture_mac;
	r.not_before_s = edge_s;
	r.not_after_s = edge_s + 1;
	der = fixture_issue(&w->pki, &r, "device", 1024, &w->pki.mfg_ca, "mfg-ca", 2048);
	ck_assert(cert_read_with(w->crypto, der.bytes, der.len, &facts));
	ck_assert(facts.not_before_s == edge_s && facts.not_after_s == edge_s + 1);
	root = fixture_issue(&w->pki, &(struct cert_request){ .kind = CERT_ROOT, .common_name = "r", .serial = 1,
	                     .not_before_s = 0, .not_after_s = CERT_NO_EXPIRY_S }, "mfg-ca", 2048, NULL, "mfg-ca",
	                     2048);
	ck_assert_int_eq(cert_verify(w->crypto, &der, NULL, 0, &root, 1, edge_s, true), CERT_OK);
	ck_assert_int_eq(cert_verify(w->crypto, &der, NULL, 0, &root, 1, edge_s + 1, true), CERT_OK);
	ck_assert_int_eq(cert_verify(w->crypto, &der, NULL, 0, &root, 1, edge_s + 2, true), CERT_EXPIRED);
	ck_assert_int_eq(cert_verify(w->crypto, &der, NULL, 0, &root, 1, edge_s - 1, true), CERT_NOT_YET_VALID);
	der_free(&der);
	der_free(&root);
}
END_TEST

/* The whole of PKINIT in 2060: signing times and CRLs are GeneralizedTime then. */
START_TEST(pkinit_in_2060)
{
	struct world *w = &the_world;
	struct pkinit_policy policy = w->policy;
	struct cert_request r = fixture_request(CERT_ROOT, "Root", "Example Devices", 1);
	struct pkinit_kdc kdc = w->authority;
	struct pkinit_identity identity = w->identity;
	struct krb_credentials got = { 0 };
	struct krb_as_facts facts;
	struct der request = { 0 }, reply = { 0 }, root, ca, crl = { 0 };
	struct pkinit_client *client;
	size_t len;
	const uint8_t *key = key_pool_get(w->pki.pool, "op-ca", 2048, &len);

	r.not_after_s = CERT_NO_EXPIRY_S;
	root = fixture_issue(&w->pki, &r, "root", 2048, NULL, "root", 2048);
	r.kind = CERT_CA;
	r.common_name = "CA";
	ca = fixture_issue(&w->pki, &r, "op-ca", 2048, &root, "root", 2048);
	r.kind = CERT_KDC;
	r.common_name = "KDC";
	kdc.cert = fixture_issue(&w->pki, &r, "kdc", 2048, &ca, "op-ca", 2048);
	ck_assert(crl_issue(w->crypto, &ca, key, len, NULL, 0, T_2060 - 60, T_2060 + 60, &crl));
	ck_assert(sm_install_root(w->cta.sm, root.bytes, root.len));
	kdc.ca_cert = ca;
	policy.now_s = T_2060;
	policy.crl = &crl;
	policy.kdc_ca = &ca;
	client = pkinit_request(w->cta.sm, &identity, &w->server, (struct krb_time){ T_2060, 0 }, T_2060 + 86400, _i,
	                        PKINIT_BIND_ASCHECKSUM, &request);
	ck_assert(client && krb_as_parse(w->crypto, request.bytes, request.len, &facts));
	ck_assert(pkinit_check_signature(w->crypto, &facts) && facts.ctime.s == T_2060);
	ck_assert(pkinit_reply_build(w->kdc.sm, &kdc, w->server_key, &facts, &(struct krb_ticket_facts){
		.client = facts.client, .server = facts.server, .auth_time_s = T_2060, .start_time_s = T_2060,
		.end_time_s = T_2060 + 86400 }, PKINIT_BIND_ASCHECKSUM, (struct krb_time){ T_2060, 1 }, &reply));
	ck_assert_int_eq(pkinit_reply(w->cta.sm, client, &identity, &policy, reply.bytes, reply.len, &got, NULL),
	                 KRB_REPLY_OK);
	ck_assert(got.end_time_s == T_2060 + 86400);
	krb_credentials_free(w->cta.sm, &got);
	pkinit_client_free(client);
	krb_as_facts_free(&facts);
	der_free(&request);
	der_free(&reply);
	der_free(&kdc.cert);
	der_free(&crl);
	der_free(&ca);
	der_free(&root);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("times");
	TCase *cases = tcase_create("times");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(cases, world_init, world_free);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, kerberos_times, 0, EDGES);
	tcase_add_test(cases, false_times);
	tcase_add_loop_test(cases, ap_exchange, 0, EDGES);
	tcase_add_loop_test(cases, certificates, 0, EDGES);
	tcase_add_loop_test(cases, pkinit_in_2060, 0, 2);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

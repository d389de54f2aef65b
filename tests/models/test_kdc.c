/*
 * The KDC: tickets in every mode over every transport; each check refused by its name and its KRB-ERROR; the thumbprint cache; replay;
 * restart; loss; the questions to other servers in clear and under ESP; and the attacks whose switches it reads.
 */
#include "tests/models/kdc_rig.h"

static const struct rig_setup plain = { .seed = 3 };

/* Tickets */

/* Bit 0: TCP, 1: Diffie-Hellman, 2: the draft's profile, 3: manufacturer certificate, 4: ESP between servers */
START_TEST(tickets)
{
	struct rig_setup setup = { .numbers = "411, 911", .ipsec = _i & 16 };
	struct kdc_rig r;
	struct krb_ticket_facts ticket;

	if (_i & 4)
		setup.switches[0][0] = "pkinit.bind", setup.switches[0][1] = "nonce";
	rig_make(&r, &setup, _i & 1);
	r.dh = _i & 2;
	r.bind = _i & 4 ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM;
	rig_identity(&r, !(_i & 8));
	r.till_s = SIM_DEFAULT_EPOCH_S + 30 * 86400;
	rig_ask(&r);
	rig_expect_ticket(&r, &ticket);
	ck_assert_str_eq(ticket.client.name, r.identity.name.name);
	ck_assert_str_eq(ticket.server.name, "sc/sc1");
	ck_assert_int_eq(ticket.end_time_s, ticket.start_time_s + KDC_TICKET_LIFETIME_S);
	ck_assert(ticket.restricted == !!(_i & 8));
	ck_assert_uint_eq(ticket.number_count, _i & 8 ? 2 : 0);
	ck_assert_str_eq(ticket.mac, _i & 8 ? "00:11:22:33:44:55" : "");
	if (_i & 8)
		ck_assert(strcmp(ticket.numbers[0], "411") == 0 && strcmp(ticket.numbers[1], "911") == 0);
	ck_assert_uint_eq(r.refusal_count, 0);
	ck_assert_uint_eq(r.requests, 1);
	ck_assert_uint_eq(r.sc_asked, _i & 8 ? 0 : 1);
	ck_assert_int_eq(rig_get(r.he, "asked"), _i & 8 ? 1 : 0);
	ck_assert_int_eq(rig_get(r.kdc, "issued"), 1);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 0);
	ck_assert_uint_eq(r.clear_radius, _i & 16 ? 0 : 2);
	ck_assert_uint_eq(r.esp, _i & 16 ? 2 : 0);
	rig_end(&r);
}
END_TEST

/* Its time is its true cost: request and answer, two verifications, one signature, one seal; the network's on top. */
START_TEST(time_is_cost)
{
	struct rig_setup setup = { .seed = 3 };
	struct kdc_rig r;
	sim_ns took_ns;

	setup.switches[0][0] = "kdc.check_subscriber", setup.switches[0][1] = "off";
	rig_make(&r, &setup, false);
	r.dh = _i;
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	took_ns = r.sim->now_ns;
	/* 2 x 6 ms of network; 8 ms + 2 or 3 x 0.3 ms + 0.2 ms, or 24 ms for the secret; what the bytes cost; 10 ms of the rig's */
	ck_assert_int_ge(took_ns, (_i ? 44 : 21) * NS_PER_MS);
	ck_assert_int_le(took_ns, (_i ? 55 : 32) * NS_PER_MS);
	rig_end(&r);
}
END_TEST

START_TEST(an_end_is_the_first_of_three)
{
	static const struct { int64_t till_s, cert_s, end_s; } rows[] = {
		{ 3600, 30 * 86400, 3600 }, { 30 * 86400, 7200, 7200 }, { 90 * 86400, 90 * 86400, KDC_TICKET_LIFETIME_S },
	};
	struct kdc_rig r;
	struct krb_ticket_facts ticket;
	struct der cert;

	rig_make(&r, &plain, false);
	cert = rig_operator_certificate(&r, -60, rows[_i].cert_s);
	r.identity.cert = cert;
	r.till_s = SIM_DEFAULT_EPOCH_S + rows[_i].till_s;
	rig_ask(&r);
	rig_expect_ticket(&r, &ticket);
	ck_assert_int_eq(ticket.end_time_s, SIM_DEFAULT_EPOCH_S + rows[_i].end_s);
	der_free(&cert);
	rig_end(&r);
}
END_TEST

/* A server's, by its server key; the same server may get several in one microsecond. */
START_TEST(servers)
{
	struct kdc_rig r;
	struct krb_name sc, he;
	struct krb_as_client state;
	struct krb_credentials c;
	struct der request = { 0 };

	rig_make(&r, &plain, false);
	ck_assert(krb_name_set(&sc, "sc/sc1", WORLD_REALM) && krb_name_set(&he, "he/he1", WORLD_REALM));
	for (int i = 0; i < 2; i++) {
		const struct krb_time at = { SIM_DEFAULT_EPOCH_S, 5 };

		ck_assert(krb_as_request_timestamp(r.sc_sm, r.sc_key, &sc, i ? &sc : &he, at, SIM_DEFAULT_EPOCH_S + 3600, &state,
		                                   &request));
		rig_ask_raw(&r, &request);
		ck_assert_int_eq(krb_as_reply_timestamp(r.sc_sm, r.sc_key, &state, r.answer.bytes, r.answer.len, &c), KRB_REPLY_OK);
		ck_assert_int_eq(c.end_time_s, SIM_DEFAULT_EPOCH_S + 3600);
		krb_credentials_free(r.sc_sm, &c);
		der_free(&request);
	}
	ck_assert_uint_eq(r.refusal_count, 0);
	rig_end(&r);
}
END_TEST

/* Checks: each row is one request that is refused by exactly that name and code */

static void edit(struct kdc_rig *r, struct der *request, void (*change)(struct kdc_rig *r, KRB_KDC_REQ *request))
{
	KRB_KDC_REQ *decoded = KRB_DECODE(KRB_AS_REQUEST, request->bytes, request->len);

	ck_assert_ptr_nonnull(decoded);
	change(r, decoded);
	der_free(request);
	ck_assert(KRB_ENCODE(KRB_AS_REQUEST, decoded, request));
	KRB_FREE(KRB_AS_REQUEST, decoded);
}

static void ask_edited(struct kdc_rig *r, void (*change)(struct kdc_rig *r, KRB_KDC_REQ *request))
{
	struct der request = { 0 };

	rig_build(r, &request);
	edit(r, &request, change);
	rig_ask_raw(r, &request);
	der_free(&request);
}

static void without_padata(struct kdc_rig *r, KRB_KDC_REQ *request)
{
	KRB_TYPED *typed;

	(void)r;
	while ((typed = sk_KRB_TYPED_pop(request->padata)))
		KRB_FREE(KRB_TYPED, typed);
	sk_KRB_TYPED_free(request->padata);
	request->padata = NULL;
}

/* The body stands at the end of a request and keeps its encoding: it is changed in its bytes, where they come last. */
static void flip_last(struct der *request, const uint8_t *part, size_t len)
{
	for (size_t at = request->len - len; at > 0; at--)
		if (memcmp(request->bytes + at, part, len) == 0) {
			request->bytes[at + len - 1] ^= 1;
			return;
		}
	ck_abort_msg("the request has no such part");
}

static void other_etype(struct der *request)
{
	static const uint8_t etypes[] = { 0xa8, 0x05, 0x30, 0x03, 0x02, 0x01, 0x10 };

	flip_last(request, etypes, sizeof etypes);
}

static void other_nonce(struct kdc_rig *r, struct der *request)
{
	struct krb_as_facts facts;
	uint8_t nonce[4];
	uint32_t before;

	ck_assert(krb_as_parse(world_crypto(r->world), request->bytes, request->len, &facts));
	put_be32(nonce, before = facts.nonce);
	krb_as_facts_free(&facts);
	flip_last(request, nonce, sizeof nonce);
	ck_assert(krb_as_parse(world_crypto(r->world), request->bytes, request->len, &facts));
	ck_assert_uint_eq(facts.nonce, before ^ 1);
	krb_as_facts_free(&facts);
}

/* The device signs a public value that has no secret: 1. */
static void poor_dh(struct kdc_rig *r, KRB_KDC_REQ *request)
{
	static const uint8_t one[] = { 0x02, 0x01, 0x01 };
	KRB_TYPED *typed = (KRB_TYPED *)krb_find_typed(request->padata, KRB_PA_PK_AS_REQ);
	PKINIT_AS_REQ *padata = KRB_DECODE(PKINIT_AS_REQ, ASN1_STRING_get0_data(typed->value),
	                                   (size_t)ASN1_STRING_length(typed->value));
	struct der pack = { 0 }, signed_pack = { 0 }, der = { 0 };
	struct krb_as_facts facts;
	PKINIT_AUTH_PACK *auth;

	ck_assert(krb_as_parse(world_crypto(r->world), r->sent.bytes, r->sent.len, &facts));
	auth = ((struct krb_as_inside *)facts.inside)->auth_pack;
	ck_assert(ASN1_BIT_STRING_set(auth->client_public_value->key, (uint8_t *)one, sizeof one));
	ck_assert(KRB_ENCODE(PKINIT_AUTH_PACK, auth, &pack));
	ck_assert(pkinit_sign(r->sm, r->rsa, &r->identity.cert, &r->identity.issuer_cert, PKINIT_AUTH_DATA, &pack,
	                      sim_unix_s(r->sim), &signed_pack));
	krb_put_octets(&padata->signed_auth_pack, signed_pack.bytes, signed_pack.len);
	ck_assert(KRB_ENCODE(PKINIT_AS_REQ, padata, &der));
	krb_put_octets(&typed->value, der.bytes, der.len);
	krb_as_facts_free(&facts);
	KRB_FREE(PKINIT_AS_REQ, padata);
	der_free(&pack);
	der_free(&signed_pack);
	der_free(&der);
}

static void case_malformed(struct kdc_rig *r)
{
	struct der request = { 0 };

	rig_build(r, &request);
	request.len -= 1;
	rig_ask_raw(r, &request);
	request.len += 1;
	der_free(&request);
}

static void case_realm(struct kdc_rig *r)
{
	ck_assert(krb_name_set(&r->server, "sc/sc1", "ELSEWHERE.EXAMPLE"));
	ck_assert(krb_name_set(&r->identity.name, r->subscriber, "ELSEWHERE.EXAMPLE"));
	rig_ask(r);
}

static void case_server(struct kdc_rig *r)
{
	ck_assert(krb_name_set(&r->server, "sc/nowhere", WORLD_REALM));
	rig_ask(r);
}

static void case_preauth(struct kdc_rig *r)
{
	ask_edited(r, without_padata);
}

static void case_etype(struct kdc_rig *r)
{
	struct der request = { 0 };

	rig_build(r, &request);
	other_etype(&request);
	rig_ask_raw(r, &request);
	der_free(&request);
}

static void case_draft(struct kdc_rig *r)
{
	r->bind = PKINIT_BIND_NONCE;
	rig_ask(r);
}

static void case_slow_clock(struct kdc_rig *r)
{
	r->clock_off_s = -CLOCK_SKEW_S - 1;
	rig_ask(r);
}

static void case_fast_clock(struct kdc_rig *r)
{
	r->clock_off_s = CLOCK_SKEW_S + 1;
	rig_ask(r);
}

static void case_till(struct kdc_rig *r)
{
	r->till_s = SIM_DEFAULT_EPOCH_S - 1;
	rig_ask(r);
}

/* The victim's phone ID in a certificate of somebody else's CA. */
static struct der foreign_certificate(struct kdc_rig *r)
{
	uint8_t id[PHONE_ID_LEN];
	struct cert_request ca = { .kind = CERT_ROOT, .common_name = "Network Operator CA", .organisation = "Network Operator",
		                   .serial = 1, .not_before_s = SIM_DEFAULT_EPOCH_S - 60, .not_after_s = SIM_DEFAULT_EPOCH_S + 86400 };
	struct cert_request leaf = { .kind = CERT_OPERATOR, .serial = 2, .phone_id = id, .realm = WORLD_REALM,
		                     .not_before_s = SIM_DEFAULT_EPOCH_S - 60, .not_after_s = SIM_DEFAULT_EPOCH_S + 86400 };
	struct der issuer, out;

	ck_assert(phone_id(world_crypto(r->world), NUMBER, id));
	issuer = rig_certificate(r, &ca, "forger", 2048, NULL, "forger");
	out = rig_certificate(r, &leaf, DEVICE_KEY, DEVICE_BITS, &issuer, "forger");
	der_free(&issuer);
	return out;
}

static void ask_with(struct kdc_rig *r, struct der cert)
{
	r->identity.cert = cert;
	rig_ask(r);
	der_free(&cert);
}

static void case_foreign_ca(struct kdc_rig *r)
{
	ask_with(r, foreign_certificate(r));
}

static void case_bad_chain_signature(struct kdc_rig *r)
{
	struct der cert = rig_operator_certificate(r, -60, 86400);

	cert.bytes[cert.len - 1] ^= 1;
	ask_with(r, cert);
}

/* The manufacturer's CA certifies a phone ID: its own kind only is believed of it. */
static void case_wrong_ca(struct kdc_rig *r)
{
	uint8_t id[PHONE_ID_LEN];
	struct cert_request request = { .kind = CERT_OPERATOR, .serial = 9, .phone_id = id, .realm = WORLD_REALM,
		                        .not_before_s = SIM_DEFAULT_EPOCH_S - 60, .not_after_s = SIM_DEFAULT_EPOCH_S + 86400 };

	ck_assert(phone_id(world_crypto(r->world), NUMBER, id));
	r->identity.issuer_cert = *world_authority(r->world, AUTHORITY_MANUFACTURER);
	ask_with(r, rig_certificate(r, &request, DEVICE_KEY, DEVICE_BITS, &r->identity.issuer_cert, "authority/manufacturer"));
}

static void case_not_yet(struct kdc_rig *r)
{
	ask_with(r, rig_operator_certificate(r, 60, 86400));
}

static void case_expired(struct kdc_rig *r)
{
	ask_with(r, rig_operator_certificate(r, -86400, -60));
}

static void case_usage(struct kdc_rig *r)
{
	struct cert_request request = { .kind = CERT_KDC, .common_name = "kdc/other", .serial = 9, .realm = WORLD_REALM,
		                        .not_before_s = SIM_DEFAULT_EPOCH_S - 60, .not_after_s = SIM_DEFAULT_EPOCH_S + 86400 };

	ask_with(r, rig_certificate(r, &request, DEVICE_KEY, DEVICE_BITS, world_authority(r->world, AUTHORITY_OPERATOR),
	                            "authority/operator"));
}

static void case_signature(struct kdc_rig *r)
{
	struct der request = { 0 };

	rig_build(r, &request);
	other_nonce(r, &request);
	rig_ask_raw(r, &request);
	der_free(&request);
}

static void case_dh(struct kdc_rig *r)
{
	r->dh = true;
	ask_edited(r, poor_dh);
}

static void case_replay(struct kdc_rig *r)
{
	struct der request = { 0 };

	rig_ask(r);
	ck_assert_int_eq(rig_outcome(r), 0);
	ck_assert(krb_der_copy(&request, r->sent.bytes, r->sent.len));
	rig_ask_raw(r, &request);
	der_free(&request);
}

static void case_phone_id(struct kdc_rig *r)
{
	uint8_t id[PHONE_ID_LEN];
	char name[2 * PHONE_ID_LEN + 1];

	ck_assert(phone_id(world_crypto(r->world), OTHER_NUMBER, id));
	hex_encode(id, sizeof id, name);
	ck_assert(krb_name_set(&r->identity.name, name, WORLD_REALM));
	rig_ask(r);
}

static void case_mac_name(struct kdc_rig *r)
{
	rig_identity(r, false);
	ck_assert(krb_name_set(&r->identity.name, "00:11:22:33:44:56", WORLD_REALM));
	rig_ask(r);
}

/* The controller's segment is another than the device's. */
static void case_segment(struct kdc_rig *r)
{
	struct directory *d = world_directory(r->world);

	directory_head_end_add(d, 0x0a020000, 16, "he/he2");
	directory_segment_set(d, "he/he2", "sc/sc1");
	rig_ask(r);
}

static void case_segment_by_device(struct kdc_rig *r)
{
	rig_identity(r, false);
	case_segment(r);
}

static void case_subscriber(struct kdc_rig *r)
{
	r->subscriber[0] ^= 1;
	rig_ask(r);
	ck_assert_uint_eq(rig_refused(r, r->sc, "sc.unknown_subscriber"), 1);
}

/* The KDC does not ask itself. */
static void case_kdc_ticket(struct kdc_rig *r)
{
	ck_assert(krb_name_set(&r->server, "kdc/kdc1", WORLD_REALM));
	rig_ask(r);
}

/* A head-end knows no phone IDs. */
static void case_he_ticket(struct kdc_rig *r)
{
	ck_assert(krb_name_set(&r->server, "he/he1", WORLD_REALM));
	rig_ask(r);
	ck_assert_uint_eq(rig_refused(r, r->he, "he.unknown_question"), 1);
}

static void case_other_mac(struct kdc_rig *r)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };

	rig_identity(r, false);
	ck_assert(cmts_lease_add(r->he, DEVICE_IP, other));
	rig_ask(r);
	ck_assert_uint_eq(rig_refused(r, r->he, "he.mac_mismatch"), 1);
}

static void case_bad_mark(struct kdc_rig *r)
{
	struct arg mac = { "mac", value_text("00:11:22:33:44:55") };
	struct verb_result result = { .error = "" };

	rig_identity(r, false);
	ck_assert_str_eq(r->he->model->verbs[0].name, "mark_bad");
	r->he->model->verbs[0].fn(r->he, &(struct args){ &mac, 1 }, &result);
	ck_assert_str_eq(result.error, "");
	rig_ask(r);
	ck_assert_uint_eq(rig_refused(r, r->he, "he.bad_mark"), 1);
}

static void case_stranger(struct kdc_rig *r)
{
	rig_identity(r, false);
	iface_set_ip(r->device->ifaces, 0x0a010063, 16); /* an address nobody leased */
	rig_ask(r);
	ck_assert_uint_eq(rig_refused(r, r->he, "he.unknown_lease"), 1);
}

/* Patience longer than the KDC's with its servers: the client's own tries are over before, so one UDP try that is held open. */
static void case_timeout(struct kdc_rig *r)
{
	r->sc_silent = true;
	rig_ask(r); /* in vain: four tries, no answer */
	ck_assert_int_eq(rig_outcome(r), -1);
	rig_run(r, 40 * NS_PER_S);
	ck_assert_uint_eq(rig_refused(r, r->kdc, "kdc.backend_timeout"), r->requests);
	ck_assert_int_eq(rig_get(r->kdc, "under_way"), 0);
	r->refusal_count = 0;
}

static void stamp(struct kdc_rig *r, const char *client, bool wrong_key, int64_t off_s, struct der *out)
{
	struct krb_as_client state;
	struct krb_name name;
	struct krb_time at = world_now(r->sim);
	key_handle key = wrong_key ? sm_generate_des3(r->sc_sm, "krb.server") : r->sc_key;

	at.s += off_s;
	ck_assert(krb_name_set(&name, client, WORLD_REALM));
	ck_assert(krb_as_request_timestamp(r->sc_sm, key, &name, &r->server, at, SIM_DEFAULT_EPOCH_S + 3600, &state, out));
}

static void ask_stamped(struct kdc_rig *r, const char *client, bool wrong_key, int64_t off_s)
{
	struct der request = { 0 };

	stamp(r, client, wrong_key, off_s, &request);
	rig_ask_raw(r, &request);
	der_free(&request);
}

static void case_stamp_client(struct kdc_rig *r)
{
	ask_stamped(r, "sc/nowhere", false, 0);
}

static void case_stamp_key(struct kdc_rig *r)
{
	ask_stamped(r, "sc/sc1", true, 0);
}

static void case_stamp_time(struct kdc_rig *r)
{
	ask_stamped(r, "sc/sc1", false, -CLOCK_SKEW_S - 1);
}

static void case_stamp_replay(struct kdc_rig *r)
{
	struct der request = { 0 };

	stamp(r, "sc/sc1", false, 0, &request);
	rig_ask_raw(r, &request);
	ck_assert_int_eq(rig_outcome(r), 0);
	rig_ask_raw(r, &request);
	der_free(&request);
}

static const struct check_case {
	void (*ask)(struct kdc_rig *r);
	const char *check;
	int code;
} cases[] = {
	{ case_malformed, "krb.malformed", KRB_AP_ERR_MSG_TYPE },
	{ case_realm, "kdc.realm", 68 },
	{ case_server, "kdc.server_unknown", KDC_ERR_S_PRINCIPAL_UNKNOWN },
	{ case_preauth, "kdc.preauth_required", KDC_ERR_PREAUTH_REQUIRED },
	{ case_etype, "kdc.etype", KDC_ERR_ETYPE_NOSUPP },
	{ case_draft, "pkinit.bind", KDC_ERR_PADATA_TYPE_NOSUPP },
	{ case_slow_clock, "kdc.check_time", KRB_AP_ERR_SKEW },
	{ case_fast_clock, "kdc.check_time", KRB_AP_ERR_SKEW },
	{ case_till, "kdc.till", 11 },
	{ case_foreign_ca, "kdc.verify_certificate", KDC_ERR_CANT_VERIFY_CERTIFICATE },
	{ case_wrong_ca, "kdc.verify_certificate", KDC_ERR_CANT_VERIFY_CERTIFICATE },
	{ case_bad_chain_signature, "kdc.verify_certificate", KDC_ERR_INVALID_CERTIFICATE },
	{ case_not_yet, "kdc.cert_not_yet_valid", KDC_ERR_INVALID_CERTIFICATE },
	{ case_expired, "kdc.cert_expired", KDC_ERR_INVALID_CERTIFICATE },
	{ case_usage, "kdc.cert_usage", KDC_ERR_CLIENT_NOT_TRUSTED },
	{ case_signature, "kdc.verify_signature", KDC_ERR_INVALID_SIG },
	{ case_dh, "kdc.dh_parameters", KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED },
	{ case_replay, "kdc.replay_cache", KRB_AP_ERR_REPEAT },
	{ case_phone_id, "kdc.client_name", KDC_ERR_CLIENT_NAME_MISMATCH },
	{ case_mac_name, "kdc.client_name", KDC_ERR_CLIENT_NAME_MISMATCH },
	{ case_segment, "kdc.check_segment", KDC_ERR_POLICY },
	{ case_segment_by_device, "kdc.check_segment", KDC_ERR_POLICY },
	{ case_subscriber, "kdc.check_subscriber", KDC_ERR_CLIENT_REVOKED },
	{ case_kdc_ticket, "kdc.check_subscriber", KDC_ERR_CLIENT_REVOKED },
	{ case_he_ticket, "kdc.check_subscriber", KDC_ERR_CLIENT_REVOKED },
	{ case_other_mac, "kdc.check_mac_ip", KDC_ERR_POLICY },
	{ case_bad_mark, "kdc.check_mac_ip", KDC_ERR_POLICY },
	{ case_stranger, "kdc.check_mac_ip", KDC_ERR_POLICY },
	{ case_stamp_client, "kdc.client_unknown", KDC_ERR_C_PRINCIPAL_UNKNOWN },
	{ case_stamp_key, "kdc.preauth_failed", KDC_ERR_PREAUTH_FAILED },
	{ case_stamp_time, "kdc.check_time", KRB_AP_ERR_SKEW },
	{ case_stamp_replay, "kdc.replay_cache", KRB_AP_ERR_REPEAT },
};
#define CASES ((int)(sizeof cases / sizeof *cases))

/* Each over UDP and over TCP. */
START_TEST(a_check_refuses)
{
	const struct check_case *c = &cases[_i / 2];
	struct kdc_rig r;
	int64_t issued = strstr(c->check, "replay") != NULL;

	rig_make(&r, &plain, _i % 2);
	c->ask(&r);
	rig_expect_refusal(&r, c->check, c->code);
	ck_assert_int_eq(rig_get(r.kdc, "issued"), issued);
	ck_assert_int_eq(rig_get(r.kdc, "refused"), 1);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 0);
	rig_end(&r);
}
END_TEST

/* What is inside the limits passes. */
START_TEST(a_clock_may_be_off)
{
	struct kdc_rig r;

	rig_make(&r, &plain, false);
	r.clock_off_s = _i ? CLOCK_SKEW_S : -CLOCK_SKEW_S;
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	rig_end(&r);
}
END_TEST

static bool holds(const struct der *whole, const uint8_t *part, size_t len)
{
	for (size_t at = 0; at + len <= whole->len; at++)
		if (memcmp(whole->bytes + at, part, len) == 0)
			return true;
	return false;
}

START_TEST(preauth_methods_are_named)
{
	static const uint8_t pkinit[] = { 0xa1, 0x03, 0x02, 0x01, 0x10 }, stamps[] = { 0xa1, 0x03, 0x02, 0x01, 0x02 };
	struct kdc_rig r;

	rig_make(&r, &plain, false);
	case_preauth(&r);
	ck_assert(holds(&r.answer, pkinit, sizeof pkinit));
	ck_assert(holds(&r.answer, stamps, sizeof stamps));
	rig_end(&r);
}
END_TEST

START_TEST(silence_of_a_server)
{
	struct kdc_rig r;

	rig_make(&r, &plain, false);
	case_timeout(&r);
	r.sc_silent = false;
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	rig_end(&r);
}
END_TEST

/* The thumbprint cache [0104] */

START_TEST(a_thumbprint_spares_the_chain)
{
	struct kdc_rig r;

	rig_make(&r, &plain, false);
	rig_identity(&r, _i);
	for (int i = 0; i < 3; i++) {
		rig_ask(&r);
		ck_assert_int_eq(rig_outcome(&r), 0);
		ck_assert_int_eq(rig_get(r.kdc, "cache_hits"), i);
	}
	ck_assert_int_eq(rig_get(r.kdc, "cached_certificates"), 1);
	r.kdc->model->restart(r.kdc);
	ck_assert_int_eq(rig_get(r.kdc, "cached_certificates"), 0);
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	ck_assert_int_eq(rig_get(r.kdc, "cache_hits"), 2);
	rig_end(&r);
}
END_TEST

/* K10: rides on the cache past its end. _i: the switch is off. */
START_TEST(an_expired_certificate_on_the_cache)
{
	struct rig_setup setup = { .seed = 3 };
	struct kdc_rig r;
	struct der cert;

	if (_i)
		setup.switches[0][0] = "kdc.cache_recheck_time", setup.switches[0][1] = "off";
	rig_make(&r, &setup, false);
	cert = rig_operator_certificate(&r, -60, 60);
	r.identity.cert = cert;
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	rig_run(&r, 62 * NS_PER_S);
	rig_ask(&r);
	if (_i)
		ck_assert_int_eq(rig_outcome(&r), 0);
	else
		rig_expect_refusal(&r, "kdc.cert_expired", KDC_ERR_INVALID_CERTIFICATE);
	der_free(&cert);
	rig_end(&r);
}
END_TEST

/* P7: no ticket outlives a certificate, and none comes after it. _i: the switch is off. */
START_TEST(a_certificate_past_its_end)
{
	struct rig_setup setup = { .seed = 3 };
	struct krb_ticket_facts ticket;
	struct kdc_rig r;
	struct der cert;

	if (_i)
		setup.switches[0][0] = "cert.check_end", setup.switches[0][1] = "off";
	rig_make(&r, &setup, false);
	cert = rig_operator_certificate(&r, -60, 60);
	r.identity.cert = cert;
	rig_ask(&r);
	rig_expect_ticket(&r, &ticket);
	ck_assert_int_eq(ticket.end_time_s > SIM_DEFAULT_EPOCH_S + 60, _i);
	rig_run(&r, 62 * NS_PER_S);
	rig_ask(&r);
	if (_i)
		rig_expect_ticket(&r, &ticket);
	else
		rig_expect_refusal(&r, "kdc.cert_expired", KDC_ERR_INVALID_CERTIFICATE);
	der_free(&cert);
	/* what else is wrong with a certificate is so with the switch off, too: past its end and by a foreign CA, not begun yet */
	r.identity.cert = cert = foreign_certificate(&r);
	rig_ask(&r);
	rig_expect_refusal(&r, "kdc.verify_certificate", KDC_ERR_CANT_VERIFY_CERTIFICATE);
	der_free(&cert);
	r.identity.cert = cert = rig_operator_certificate(&r, 600, 86400);
	rig_ask(&r);
	rig_expect_refusal(&r, "kdc.cert_not_yet_valid", KDC_ERR_INVALID_CERTIFICATE);
	der_free(&cert);
	rig_end(&r);
}
END_TEST

/* A CA's end is the end of what was verified under it. */
START_TEST(an_expired_ca_on_the_cache)
{
	struct kdc_rig r;
	struct cert_request ca = { .kind = CERT_CA, .common_name = "Old CA", .organisation = "CTA Manufacturer", .serial = 5,
		                   .not_before_s = SIM_DEFAULT_EPOCH_S - 60, .not_after_s = SIM_DEFAULT_EPOCH_S + 60 };
	struct cert_request leaf = { .kind = CERT_DEVICE, .serial = 6, .mac = device_mac, .not_before_s = SIM_DEFAULT_EPOCH_S - 60,
		                     .not_after_s = SIM_DEFAULT_EPOCH_S + 86400 };
	struct der issuer, cert;

	rig_make(&r, &plain, false);
	issuer = rig_certificate(&r, &ca, "forger", 2048, world_authority(r.world, AUTHORITY_MANUFACTURER_ROOT),
	                         "authority/manufacturer-root");
	cert = rig_certificate(&r, &leaf, DEVICE_KEY, DEVICE_BITS, &issuer, "forger");
	rig_identity(&r, false);
	r.identity.cert = cert;
	r.identity.issuer_cert = issuer;
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	rig_run(&r, 62 * NS_PER_S);
	rig_ask(&r);
	rig_expect_refusal(&r, "kdc.cert_expired", KDC_ERR_INVALID_CERTIFICATE);
	der_free(&issuer);
	der_free(&cert);
	rig_end(&r);
}
END_TEST

/* K10: a forged certificate is sent twice. */
START_TEST(a_forged_certificate_on_the_cache)
{
	struct rig_setup setup = { .seed = 3 };
	struct kdc_rig r;
	struct der cert;

	if (_i)
		setup.switches[0][0] = "kdc.cache_after_verify", setup.switches[0][1] = "off";
	rig_make(&r, &setup, false);
	cert = foreign_certificate(&r);
	r.identity.cert = cert;
	rig_ask(&r);
	rig_expect_refusal(&r, "kdc.verify_certificate", KDC_ERR_CANT_VERIFY_CERTIFICATE);
	rig_ask(&r);
	if (_i)
		ck_assert_int_eq(rig_outcome(&r), 0);
	else
		rig_expect_refusal(&r, "kdc.verify_certificate", KDC_ERR_CANT_VERIFY_CERTIFICATE);
	der_free(&cert);
	rig_end(&r);
}
END_TEST

/* Replay, K2. Bit 0: kdc.replay_cache off; bit 1: kdc.check_time off; bit 2: eleven minutes later instead of at once. */
START_TEST(replays)
{
	struct rig_setup setup = { .seed = 3 };
	struct kdc_rig r;
	struct der request = { 0 };
	unsigned n = 0;

	if (_i & 1)
		setup.switches[n][0] = "kdc.replay_cache", setup.switches[n++][1] = "off";
	if (_i & 2)
		setup.switches[n][0] = "kdc.check_time", setup.switches[n++][1] = "off";
	rig_make(&r, &setup, false);
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	ck_assert(krb_der_copy(&request, r.sent.bytes, r.sent.len));
	if (_i & 4)
		rig_run(&r, 660 * NS_PER_S);
	rig_ask_raw(&r, &request);
	if (_i & 4 ? _i & 2 : _i & 1)
		ck_assert_int_eq(rig_outcome(&r), 0);
	else if (_i & 4)
		rig_expect_refusal(&r, "kdc.check_time", KRB_AP_ERR_SKEW);
	else
		rig_expect_refusal(&r, "kdc.replay_cache", KRB_AP_ERR_REPEAT);
	der_free(&request);
	rig_end(&r);
}
END_TEST

/* The draft's signature does not cover the request's body, nonce (_i 0) or server (1); the authenticator is the same. */
START_TEST(a_replay_with_another_body)
{
	struct rig_setup setup = { .switches = { { "pkinit.bind", "nonce" } } };
	struct kdc_rig r;
	struct der request = { 0 };

	rig_make(&r, &setup, false);
	r.bind = PKINIT_BIND_NONCE;
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	ck_assert(krb_der_copy(&request, r.sent.bytes, r.sent.len));
	directory_service_add(world_directory(r.world), "sc/sc0", SC_IP);
	if (_i)
		flip_last(&request, (const uint8_t *)"sc1", 3);
	else
		other_nonce(&r, &request);
	rig_ask_raw(&r, &request);
	rig_expect_refusal(&r, "kdc.replay_cache", KRB_AP_ERR_REPEAT);
	der_free(&request);
	rig_end(&r);
}
END_TEST

START_TEST(authenticators_age)
{
	struct kdc_rig r;

	rig_make(&r, &plain, false);
	for (int i = 0; i < 5; i++)
		rig_ask(&r);
	ck_assert_int_eq(rig_get(r.kdc, "authenticators"), 5);
	rig_run(&r, (2 * CLOCK_SKEW_S + 2) * NS_PER_S);
	rig_ask(&r);
	ck_assert_int_eq(rig_get(r.kdc, "authenticators"), 1);
	rig_end(&r);
}
END_TEST

/* Restart: a request under way is lost and asked again; what was said before it is refused as a replay. */
START_TEST(restart)
{
	struct kdc_rig r;
	struct der old = { 0 };

	rig_make(&r, &plain, _i);
	rig_ask(&r);
	ck_assert(krb_der_copy(&old, r.sent.bytes, r.sent.len));
	r.sc_silent = true;
	r.answered = false;
	ck_assert(kdc_client_ask(r.client, rig_build, rig_answer, &r));
	rig_run(&r, 100 * NS_PER_MS);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 1);
	r.kdc->model->restart(r.kdc);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 0);
	ck_assert_int_eq(rig_get(r.kdc, "connections"), 0);
	ck_assert_int_eq(rig_get(r.kdc, "authenticators"), 0);
	r.sc_silent = false;
	while (!r.answered)
		rig_run(&r, 10 * NS_PER_MS);
	ck_assert_int_eq(rig_outcome(&r), 0);
	ck_assert_uint_eq(r.requests, 3);
	r.refusal_count = 0;
	rig_ask_raw(&r, &old);
	rig_expect_refusal(&r, "kdc.replay_cache", KRB_AP_ERR_REPEAT);
	der_free(&old);
	rig_end(&r);
}
END_TEST

/* Loss, disorder and repetition on the segment: in the end there is a ticket. */
START_TEST(loss)
{
	struct rig_setup setup = { .seed = 100 + (uint64_t)_i, .ipsec = true,
		                   .hfc = { .delay_ns = 5 * NS_PER_MS, .loss_ppm = 150000, .reorder_ppm = 50000,
		                            .duplicate_ppm = 50000, .reorder_ns = 10 * NS_PER_MS } };
	struct kdc_rig r;
	int outcome = -1;

	rig_make(&r, &setup, _i % 2);
	for (int i = 0; i < 4 && outcome != 0; i++) {
		rig_ask(&r);
		outcome = rig_outcome(&r);
	}
	ck_assert_int_eq(outcome, 0);
	rig_run(&r, 120 * NS_PER_S);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 0);
	ck_assert_int_eq(rig_get(r.kdc, "connections"), 0);
	rig_end(&r);
}
END_TEST

/* The signaling controller forgets its associations: the KDC finds out by silence and keys anew. */
START_TEST(a_server_forgets)
{
	struct rig_setup setup = { .seed = 3, .ipsec = true };
	struct kdc_rig r;
	struct krb_ticket_facts ticket;

	rig_make(&r, &setup, false);
	rig_ask(&r);
	ck_assert_int_eq(rig_outcome(&r), 0);
	ck_assert_int_eq(rig_get(r.kdc, "associations"), 1);
	ipsec_reset(r.sc_ipsec);
	rig_ask(&r); /* its tries are over before the KDC's */
	rig_run(&r, 40 * NS_PER_S);
	ck_assert_uint_gt(rig_refused(&r, r.sc, "esp.unknown_spi"), 0);
	ck_assert_uint_gt(rig_refused(&r, r.kdc, "kdc.backend_timeout"), 0);
	rig_ask(&r);
	rig_expect_ticket(&r, &ticket);
	ck_assert_uint_eq(r.clear_radius, 0);
	rig_end(&r);
}
END_TEST

/* A stranger's answer in clear is no answer. */
START_TEST(a_forged_answer_in_clear)
{
	struct rig_setup setup = { .seed = 3, .ipsec = true };
	struct kdc_rig r;
	struct udp_socket forger = { .node = NULL };
	struct radius yes = { .code = RADIUS_ACCESS_ACCEPT };
	uint8_t bytes[RADIUS_MESSAGE_MAX];

	rig_make(&r, &setup, false);
	r.sc_silent = true;
	ck_assert(kdc_client_ask(r.client, rig_build, rig_answer, &r));
	rig_run(&r, 100 * NS_PER_MS);
	ck_assert(udp_bind(r.device, &forger, RADIUS_AUTH_PORT, NULL, NULL));
	for (uint16_t port = 49152; port < 49200; port++) { /* wherever the KDC asks from */
		struct packet *p = packet_new(r.sim, RADIUS_MESSAGE_MAX);
		size_t len = radius_write(&yes, bytes, sizeof bytes);

		memcpy(packet_append(p, (uint32_t)len), bytes, len);
		udp_send(&forger, SC_IP, KDC_IP, port, p);
	}
	rig_run(&r, 100 * NS_PER_MS);
	ck_assert_uint_gt(rig_refused(&r, r.kdc, "backend.ipsec"), 0);
	ck_assert_int_eq(rig_get(r.kdc, "issued"), 0);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 1);
	udp_unbind(&forger);
	rig_end(&r);
}
END_TEST

/* P5, P3: with the question not asked, whoever has a certificate gets a ticket. */
START_TEST(unasked)
{
	static const char *const names[] = { "kdc.check_subscriber", "kdc.check_mac_ip" };
	struct rig_setup setup = { .seed = 3, .no_lease = true, .switches = { { names[_i], "off" } } };
	struct kdc_rig r;

	rig_make(&r, &setup, false);
	r.subscriber[0] ^= 1;
	for (int which = 0; which < 2; which++) {
		rig_identity(&r, which == 0);
		rig_ask(&r);
		if (which == _i)
			ck_assert_int_eq(rig_outcome(&r), 0);
		else
			rig_expect_refusal(&r, names[which], which ? KDC_ERR_POLICY : KDC_ERR_CLIENT_REVOKED);
	}
	rig_end(&r);
}
END_TEST

/*
 * K1: mallory, with an account of his own, re-signs the victim's request as himself and re-encrypts the KDC's signed reply to the victim.
 * _i: the switch says nonce.
 */
START_TEST(man_in_the_middle)
{
	struct rig_setup setup = { .seed = 3 };
	struct kdc_rig r;
	struct pkinit_identity mallory;
	struct der cert = { 0 }, as_mallory = { 0 }, to_victim = { 0 }, sent = { 0 };
	struct pkinit_policy policy;
	struct pkinit_mitm *mitm;
	struct krb_credentials c = { .session_key = 0 };
	struct krb_ticket_facts ticket;
	key_handle stolen = 0;
	enum krb_reply_verdict verdict;
	uint8_t id[PHONE_ID_LEN], key[KEY_ID_LEN], known[KEY_ID_LEN];

	if (_i)
		setup.switches[0][0] = "pkinit.bind", setup.switches[0][1] = "nonce";
	rig_make(&r, &setup, false);
	r.bind = _i ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM;
	world_operator_certificate(r.world, "cta/mallory", DEVICE_BITS, OTHER_NUMBER, 0, &cert);
	mallory = (struct pkinit_identity){ .rsa_key = sm_install_rsa(r.sm, world_key_pool(r.world), "cta/mallory", DEVICE_BITS),
		                            .cert = cert };
	ck_assert(phone_id(world_crypto(r.world), OTHER_NUMBER, id));
	hex_encode(id, sizeof id, r.subscriber);
	ck_assert(krb_name_set(&mallory.name, r.subscriber, WORLD_REALM));
	rig_build(&r, &sent);
	mitm = pkinit_mitm_request(r.sm, &mallory, sent.bytes, sent.len, world_now(r.sim), &as_mallory);
	ck_assert_ptr_nonnull(mitm);
	rig_ask_raw(&r, &as_mallory);
	ck_assert_int_eq(rig_outcome(&r), 0);
	ck_assert(pkinit_mitm_reply(r.sm, mitm, r.answer.bytes, r.answer.len, &stolen, &to_victim));
	policy = (struct pkinit_policy){ .verify_root = true, .require_kdc_eku = true, .check_crl = true, .check_kdc_name = true,
		                         .check_nonce = true, .check_bind = true, .check_sealed_sname = true, .bind = r.bind,
		                         .crl = world_crl(r.world), .kdc_ca = world_authority(r.world, AUTHORITY_OPERATOR),
		                         .kdc_ca_count = 1, .now_s = sim_unix_s(r.sim) };
	verdict = pkinit_reply(r.sm, r.request, &r.identity, &policy, to_victim.bytes, to_victim.len, &c, NULL);
	ck_assert_str_eq(krb_reply_checks[verdict], _i ? "" : "pkinit.bind");
	if (_i) {
		sm_key_id(r.sm, c.session_key, key);
		sm_key_id(r.sm, stolen, known);
		ck_assert_mem_eq(key, known, sizeof key);
		c.client = mallory.name; /* what the ticket will say */
		rig_ticket(&r, &c, &ticket);
		ck_assert_str_eq(ticket.client.name, mallory.name.name);
	}
	krb_credentials_free(r.sm, &c);
	pkinit_mitm_free(mitm);
	der_free(&cert);
	der_free(&sent);
	der_free(&as_mallory);
	der_free(&to_victim);
	rig_end(&r);
}
END_TEST

/* Framing over TCP, byte by byte */

struct raw_end {
	struct tcp_conn *conn;
	uint8_t got[3 * KRB_MESSAGE_MAX];
	size_t len;
	bool closed;
	enum tcp_end how;
};

static size_t raw_received(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct raw_end *end = ctx;

	(void)conn;
	(void)tag;
	ck_assert_uint_le(end->len + len, sizeof end->got);
	memcpy(end->got + end->len, bytes, len);
	end->len += len;
	return len;
}

static void raw_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct raw_end *end = ctx;

	(void)conn;
	end->closed = true;
	end->how = how;
}

static const struct tcp_handler raw_handler = { .received = raw_received, .closed = raw_closed };

static void raw_send(struct kdc_rig *r, struct raw_end *end, const uint8_t *bytes, size_t len)
{
	if (!end->conn)
		end->conn = tcp_connect(r->device, 0, KDC_IP, KDC_PORT, &raw_handler, end);
	ck_assert(tcp_send(end->conn, bytes, len, 0));
}

/* How many whole answers came. */
static unsigned raw_answers(const struct raw_end *end, int *code)
{
	unsigned n = 0;

	for (size_t at = 0; at + 4 <= end->len; at += 4 + get_be32(end->got + at), n++) {
		struct krb_error_info info;

		*code = 0;
		if (krb_error_parse(end->got + at + 4, get_be32(end->got + at), &info))
			*code = info.code;
	}
	return n;
}

START_TEST(too_long)
{
	static const uint8_t lengths[][4] = { { 0, 0, 0x40, 0x01 }, { 0x7f, 0xff, 0xff, 0xff }, { 0x80, 0, 0, 1 } };
	struct kdc_rig r;
	struct raw_end end = { .len = 0 };
	int code;

	rig_make(&r, &plain, true);
	raw_send(&r, &end, lengths[_i], 4);
	rig_run(&r, NS_PER_S);
	ck_assert_uint_eq(raw_answers(&end, &code), 1);
	ck_assert_int_eq(code, KRB_ERR_FIELD_TOOLONG);
	ck_assert_uint_eq(rig_refused(&r, r.kdc, NULL), 1);
	ck_assert_uint_eq(rig_refused(&r, r.kdc, "krb.too_long"), 1);
	rig_run(&r, 10 * NS_PER_S);
	ck_assert(end.closed);
	ck_assert_int_eq(rig_get(r.kdc, "connections"), 0);
	rig_end(&r);
}
END_TEST

START_TEST(too_long_a_datagram)
{
	struct kdc_rig r;
	struct der request = { calloc(1, KRB_MESSAGE_MAX + 1), KRB_MESSAGE_MAX + 1 };

	rig_make(&r, &plain, false);
	rig_ask_raw(&r, &request);
	rig_expect_refusal(&r, "krb.too_long", KRB_ERR_FIELD_TOOLONG);
	der_free(&request);
	rig_end(&r);
}
END_TEST

/* Two requests in one connection, in pieces of all sizes; the second is here before the first is answered. */
START_TEST(pieces)
{
	static const size_t sizes[] = { 1, 3, 700, 100000 };
	struct kdc_rig r;
	struct raw_end end = { .len = 0 };
	struct der request = { 0 };
	uint8_t bytes[2 * KRB_MESSAGE_MAX];
	size_t len = 0;
	int code = -1;

	rig_make(&r, &plain, true);
	for (int i = 0; i < 2; i++) {
		r.clock_off_s = i;
		rig_build(&r, &request);
		put_be32(bytes + len, (uint32_t)request.len);
		memcpy(bytes + len + 4, request.bytes, request.len);
		len += 4 + request.len;
		der_free(&request);
	}
	for (size_t at = 0; at < len; at += sizes[_i])
		raw_send(&r, &end, bytes + at, len - at < sizes[_i] ? len - at : sizes[_i]);
	r.sc_silent = true;
	rig_run(&r, 900 * NS_PER_MS);
	ck_assert_uint_eq(r.sc_asked, 1);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 1);
	r.sc_silent = false;
	rig_run(&r, 10 * NS_PER_S);
	ck_assert_uint_eq(raw_answers(&end, &code), 2);
	ck_assert_int_eq(code, 0);
	ck_assert_int_eq(rig_get(r.kdc, "issued"), 2);
	ck_assert(!end.closed);
	tcp_close(end.conn);
	rig_run(&r, 10 * NS_PER_S);
	ck_assert(end.closed && end.how == TCP_END_CLOSED);
	rig_end(&r);
}
END_TEST

/* A client may close its side when it has asked; it still gets its answer. */
START_TEST(half_closed)
{
	struct kdc_rig r;
	struct raw_end end = { .len = 0 };
	struct der request = { 0 };
	uint8_t bytes[KRB_MESSAGE_MAX];
	int code = -1;

	rig_make(&r, &plain, true);
	rig_build(&r, &request);
	put_be32(bytes, (uint32_t)request.len);
	memcpy(bytes + 4, request.bytes, request.len);
	raw_send(&r, &end, bytes, request.len + 4);
	tcp_close(end.conn);
	rig_run(&r, 10 * NS_PER_S);
	ck_assert_uint_eq(raw_answers(&end, &code), 1);
	ck_assert_int_eq(code, 0);
	ck_assert(end.closed && end.how == TCP_END_CLOSED);
	der_free(&request);
	rig_end(&r);
}
END_TEST

/* A client that goes away leaves a request that ends by itself. */
START_TEST(a_client_goes_away)
{
	struct kdc_rig r;
	struct raw_end end = { .len = 0 };
	struct der request = { 0 };
	uint8_t bytes[KRB_MESSAGE_MAX];

	rig_make(&r, &plain, true);
	r.sc_silent = true;
	rig_build(&r, &request);
	put_be32(bytes, (uint32_t)request.len);
	memcpy(bytes + 4, request.bytes, request.len);
	raw_send(&r, &end, bytes, request.len + 4);
	rig_run(&r, NS_PER_S);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 1);
	tcp_abort(end.conn);
	rig_run(&r, NS_PER_S);
	ck_assert_int_eq(rig_get(r.kdc, "connections"), 0);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 1);
	rig_run(&r, 60 * NS_PER_S);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 0);
	ck_assert_uint_eq(rig_refused(&r, r.kdc, "kdc.backend_timeout"), 1);
	der_free(&request);
	rig_end(&r);
}
END_TEST

/* A connection on which nothing is asked ends after KDC_IDLE_NS; one with half a request, too. */
START_TEST(idle)
{
	static const uint8_t half[] = { 0, 0, 1, 0, 0x6a };
	struct kdc_rig r;
	struct raw_end end = { .len = 0 };

	rig_make(&r, &plain, true);
	raw_send(&r, &end, half, sizeof half);
	rig_run(&r, KDC_IDLE_NS - NS_PER_S);
	ck_assert(!end.closed);
	ck_assert_int_eq(rig_get(r.kdc, "connections"), 1);
	rig_run(&r, 2 * NS_PER_S);
	ck_assert(end.closed && end.how == TCP_END_RESET);
	ck_assert_int_eq(rig_get(r.kdc, "connections"), 0);
	rig_end(&r);
}
END_TEST

/* An answer sent to the KDC in somebody's name gets no answer: two KDCs must not talk for ever. */
START_TEST(answers_are_not_answered)
{
	struct kdc_rig r;
	struct krb_error_info info = { .code = KRB_ERR_GENERIC };
	struct der error = { 0 };

	rig_make(&r, &plain, false);
	ck_assert(krb_name_set(&info.server, "krbtgt/" WORLD_REALM, WORLD_REALM));
	ck_assert(krb_error_build(world_crypto(r.world), &info, &error));
	r.raw = &error;
	ck_assert(kdc_client_ask(r.client, rig_build, rig_answer, &r));
	rig_run(&r, NS_PER_S);
	ck_assert(!r.answered);
	ck_assert_uint_eq(rig_refused(&r, r.kdc, "krb.malformed"), 1);
	der_free(&error);
	r.raw = NULL;
	kdc_client_cancel(r.client);
	rig_end(&r);
}
END_TEST

/* More requests than the processors' queue takes: each is answered or recorded as refused by the queue. */
START_TEST(overload)
{
	static const struct service_profile tiny = { "tiny", 1, 2, { [SERVICE_RSA_PRIVATE] = NS_PER_S, [SERVICE_MESSAGE] = NS_PER_MS } };
	struct kdc_rig r;
	struct udp_socket socket = { .node = NULL };
	struct der request = { 0 };

	rig_make(&r, &plain, false);
	service_set(r.kdc, &tiny);
	ck_assert(udp_bind(r.device, &socket, 0, NULL, NULL));
	for (int i = 0; i < 10; i++) {
		r.clock_off_s = i;
		rig_build(&r, &request);
		message_send(&socket, KDC_IP, KDC_PORT, "AS-REQ", &form_kerberos, request.bytes, request.len);
		der_free(&request);
	}
	udp_unbind(&socket);
	rig_run(&r, 60 * NS_PER_S);
	ck_assert_uint_gt(rig_refused(&r, r.kdc, "service.queue"), 0);
	ck_assert_int_gt(rig_get(r.kdc, "issued"), 0);
	ck_assert_int_eq(rig_get(r.kdc, "issued") + rig_refused(&r, r.kdc, "service.queue"), 10);
	ck_assert_int_eq(rig_get(r.kdc, "under_way"), 0);
	rig_end(&r);
}
END_TEST

/* The same run, byte by byte, twice. */
START_TEST(a_run_repeats)
{
	struct rig_setup setup = { .seed = 5, .ipsec = true };
	struct kdc_rig r;
	uint8_t digest[2][20];

	for (int i = 0; i < 2; i++) {
		rig_make(&r, &setup, true);
		rig_ask(&r);
		ck_assert_int_eq(rig_outcome(&r), 0);
		crypto_sha1(world_crypto(r.world), r.answer.bytes, r.answer.len, digest[i]);
		rig_end(&r);
	}
	ck_assert_mem_eq(digest[0], digest[1], 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kdc");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, tickets, 0, 32);
	tcase_add_loop_test(t, time_is_cost, 0, 2);
	tcase_add_loop_test(t, an_end_is_the_first_of_three, 0, 3);
	tcase_add_test(t, servers);
	tcase_add_loop_test(t, a_check_refuses, 0, 2 * CASES);
	tcase_add_loop_test(t, a_clock_may_be_off, 0, 2);
	tcase_add_test(t, preauth_methods_are_named);
	tcase_add_test(t, silence_of_a_server);
	tcase_add_loop_test(t, a_thumbprint_spares_the_chain, 0, 2);
	tcase_add_loop_test(t, an_expired_certificate_on_the_cache, 0, 2);
	tcase_add_loop_test(t, a_certificate_past_its_end, 0, 2);
	tcase_add_test(t, an_expired_ca_on_the_cache);
	tcase_add_loop_test(t, a_forged_certificate_on_the_cache, 0, 2);
	tcase_add_loop_test(t, replays, 0, 8);
	tcase_add_loop_test(t, a_replay_with_another_body, 0, 2);
	tcase_add_test(t, authenticators_age);
	tcase_add_loop_test(t, restart, 0, 2);
	tcase_add_loop_test(t, loss, 0, 10);
	tcase_add_test(t, a_server_forgets);
	tcase_add_test(t, a_forged_answer_in_clear);
	tcase_add_loop_test(t, unasked, 0, 2);
	tcase_add_loop_test(t, man_in_the_middle, 0, 2);
	tcase_add_loop_test(t, too_long, 0, 3);
	tcase_add_test(t, too_long_a_datagram);
	tcase_add_loop_test(t, pieces, 0, 4);
	tcase_add_test(t, half_closed);
	tcase_add_test(t, a_client_goes_away);
	tcase_add_test(t, idle);
	tcase_add_test(t, answers_are_not_answered);
	tcase_add_test(t, overload);
	tcase_add_test(t, a_run_repeats);
	suite_add_tcase(suite, t);
	return rig_main(suite);
}

/*
 * PKINIT in both modes and both profiles, every verdict reached by altering exactly what it is about and passed with
 * its switch off, the uniform error of attack K11, the stripping of Diffie-Hellman (K6) and keys told and gone.
 */
#include "tests/crypto/pkinit_world.h"

START_TEST(exchange_works)
{
	struct world *w = &the_world;
	struct exchange x;
	struct krb_credentials c;
	struct cert_facts cert;
	struct krb_as_facts facts;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	ck_assert(krb_as_parse(w->crypto, x.request.bytes, x.request.len, &facts));
	ck_assert_int_eq(facts.preauth,
	                 mode_bind(_i) == PKINIT_BIND_NONCE ? KRB_PREAUTH_PKINIT_DRAFT : KRB_PREAUTH_PKINIT);
	ck_assert(facts.wants_dh == mode_dh(_i) && facts.dh_acceptable == mode_dh(_i) && facts.wants_des3);
	ck_assert(facts.ctime.s == NOW && facts.ctime.us == 123456 && facts.till_s == NOW + 86400);
	ck_assert(krb_name_equal(&facts.client, &w->identity.name) && krb_name_equal(&facts.server, &w->server));
	ck_assert(facts.client_cert.len == w->pki.operator_cert.len &&
	          !memcmp(facts.client_cert.bytes, w->pki.operator_cert.bytes, facts.client_cert.len));
	krb_as_facts_free(&facts);
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	w->books = (struct books){ 0 };
	ck_assert_int_eq(
		pkinit_reply(w->cta.sm, x.client, &w->identity, &policy, x.reply.bytes, x.reply.len, &c, &cert),
		KRB_REPLY_OK);
	ck_assert(krb_name_equal(&c.server, &w->server) && krb_name_equal(&c.client, &w->identity.name));
	ck_assert(c.start_time_s == NOW && c.end_time_s == NOW + 86400);
	ck_assert(cert.kind == CERT_KDC && cert.serial == 6);
	/* the reply key came and went, named after the client; the session key stays, named after the server */
	ck_assert_uint_eq(w->books.reply_born + w->books.reply_held, 1);
	ck_assert_uint_eq(w->books.reply_held, !mode_dh(_i));
	ck_assert_uint_eq(w->books.reply_dead, 1);
	ck_assert_uint_eq(w->books.session_held, 1);
	char client[KRB_PRINCIPAL_MAX];
	krb_principal_text(&w->identity.name, client);
	ck_assert_str_eq(w->books.reply_context, client);
	ck_assert_str_eq(w->books.session_context, "sc/sc1@" FIXTURE_REALM);
	ck_assert_uint_eq(sm_key_count(w->kdc.sm), 2);
	/* and what was got works at the server */
	struct gss_initiator state;
	struct gss_accepted accepted;
	struct der token = { 0 };
	ck_assert(gss_init_start(w->cta.sm, &c, now, 0x1000, &state, &token));
	ck_assert_int_eq(gss_accept(w->kdc.sm, w->server_key, token.bytes, token.len, true, &accepted), GSS_OK);
	sm_destroy_key(w->kdc.sm, accepted.session_key);
	der_free(&token);
	krb_credentials_free(w->cta.sm, &c);
	finish(&x);
}
END_TEST

/* The first round of a mode is kept, the second is compared with it. */
static void keep_or_compare(struct der kept[2], const struct exchange *x)
{
	const struct der *messages[2] = { &x->request, &x->reply };
	for (int i = 0; i < 2; i++) {
		if (!kept[i].bytes)
			ck_assert(krb_der_copy(&kept[i], messages[i]->bytes, messages[i]->len));
		ck_assert(kept[i].len == messages[i]->len && !memcmp(kept[i].bytes, messages[i]->bytes, kept[i].len));
	}
}

START_TEST(same_streams_same_bytes)
{
	struct der kept[4][2] = { { { 0 } } };
	world_free(); /* this process's copy; both worlds of the comparison are new */
	for (int round = 0; round < 2; round++) {
		world_init();
		for (int mode = 0; mode < 4; mode++) {
			struct exchange x;
			ask(&the_world, &x, mode_dh(mode), mode_bind(mode));
			answer(&the_world, &x, &the_world.authority, mode_bind(mode), NULL);
			keep_or_compare(kept[mode], &x);
			finish(&x);
		}
		world_free();
	}
	for (int mode = 0; mode < 4; mode++) {
		der_free(&kept[mode][0]);
		der_free(&kept[mode][1]);
	}
}
END_TEST

/* A KDC under a root of its own (K3): same names, own keys. */
struct false_kdc {
	struct der root, ca, cert;
	struct pkinit_kdc kdc;
};

static void false_kdc_init(struct world *w, struct false_kdc *f, const char *ca_name)
{
	struct cert_request r = fixture_request(CERT_ROOT, "Manufacturer Root", "Example Devices", 1);
	f->root = fixture_issue(&w->pki, &r, "false-root", 1024, NULL, "false-root", 1024);
	r = fixture_request(CERT_CA, ca_name, "Example Telephony", 3);
	f->ca = fixture_issue(&w->pki, &r, "false-ca", 1024, &f->root, "false-root", 1024);
	r = fixture_request(CERT_KDC, "kdc1", "Example Telephony", 66);
	f->cert = fixture_issue(&w->pki, &r, "false-kdc", 1024, &f->ca, "false-ca", 1024);
	f->kdc = (struct pkinit_kdc){ .rsa_key = sm_install_rsa(w->kdc.sm, w->pki.pool, "false-kdc", 1024),
		                      .cert = f->cert,
		                      .ca_cert = f->ca };
}

static void false_kdc_free(struct world *w, struct false_kdc *f)
{
	sm_destroy_key(w->kdc.sm, f->kdc.rsa_key);
	der_free(&f->root);
	der_free(&f->ca);
	der_free(&f->cert);
}

START_TEST(verdict_untrusted)
{
	/* K3; the false CA has the real one's name, or another */
	struct world *w = &the_world;
	struct exchange x;
	struct false_kdc f;
	false_kdc_init(w, &f, _i & 4 ? "False CA" : "Operator CA");
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &f.kdc, mode_bind(_i), NULL);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_KDC_UNTRUSTED);
	policy.verify_root = false;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	policy.kdc_ca_count = 0;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	finish(&x);
	false_kdc_free(w, &f);
}
END_TEST

START_TEST(chain_is_judged_at_the_time_given)
{
	struct world *w = &the_world;
	struct exchange x;
	ask(w, &x, false, PKINIT_BIND_ASCHECKSUM);
	answer(w, &x, &w->authority, PKINIT_BIND_ASCHECKSUM, NULL);
	struct pkinit_policy policy = w->policy;
	policy.kdc_ca_count = 0; /* the reply brings the CA's certificate along */
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	policy.now_s = NOW + 3651 * FIXTURE_DAY_S;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_KDC_UNTRUSTED);
	finish(&x);
}
END_TEST

START_TEST(verdict_revoked)
{
	/* K5: on the list; list withheld; list past its time; list not by that CA's key */
	struct world *w = &the_world;
	struct exchange x;
	static const uint64_t serials[] = { 99, 6 };
	struct der revoked = issue_crl(w, "op-ca", &w->pki.op_ca, serials, 2, NOW + 86400), none = { 0 };
	struct der forged = issue_crl(w, "mfg-ca", &w->pki.op_ca, NULL, 0, NOW + 86400);
	const struct { const struct der *crl; enum krb_reply_verdict expected;
	} rows[] = {
		{ &revoked, KRB_REPLY_KDC_REVOKED }, { NULL, KRB_REPLY_KDC_REVOKED },
		{ &none, KRB_REPLY_KDC_REVOKED },    { &w->stale_crl, KRB_REPLY_KDC_REVOKED },
		{ &forged, KRB_REPLY_KDC_REVOKED },  { &w->pki.root, KRB_REPLY_KDC_REVOKED },
		{ &w->crl, KRB_REPLY_OK },
	};
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		policy.check_crl = true;
		policy.crl = rows[i].crl;
		ck_assert_msg(judge(w, &x, &policy) == rows[i].expected, "row %zu", i);
		policy.check_crl = false;
		ck_assert_msg(judge(w, &x, &policy) == KRB_REPLY_OK, "row %zu, switch off", i);
	}
	finish(&x);
	der_free(&revoked);
	der_free(&forged);
}
END_TEST

START_TEST(verdict_usage)
{
	/* K4: a device under the same root answers as KDC, with its own key and certificate */
	struct world *w = &the_world;
	struct exchange x;
	struct pkinit_kdc device = { .rsa_key = sm_install_rsa(w->kdc.sm, w->pki.pool, "device", 1024),
		                     .cert = w->pki.device,
		                     .ca_cert = w->pki.mfg_ca };
	struct cert_facts cert;
	struct krb_credentials c;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &device, mode_bind(_i), NULL);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_KDC_USAGE);
	policy.require_kdc_eku = false;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	ck_assert_int_eq(
		pkinit_reply(w->cta.sm, x.client, &w->identity, &policy, x.reply.bytes, x.reply.len, &c, &cert),
		KRB_REPLY_OK);
	ck_assert_int_eq(cert.kind, CERT_DEVICE);
	krb_credentials_free(w->cta.sm, &c);
	sm_destroy_key(w->kdc.sm, device.rsa_key);
	finish(&x);
}
END_TEST

START_TEST(verdict_name)
{
	/* a KDC of another realm under the same CA; and an operator certificate, whose name is a phone's, with the
	 * usage check off */
	struct world *w = &the_world;
	struct exchange x;
	struct cert_request r = fixture_request(CERT_KDC, "kdc2", "Example Telephony", 7);
	r.realm = "ELSEWHERE.EXAMPLE";
	struct der other = fixture_issue(&w->pki, &r, "kdc", 2048, &w->pki.op_ca, "op-ca", 2048);
	struct pkinit_kdc elsewhere = w->authority;
	elsewhere.cert = other;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &elsewhere, mode_bind(_i), NULL);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_KDC_NAME);
	policy.require_kdc_eku = false;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_KDC_NAME);
	policy.check_kdc_name = false;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	finish(&x);
	der_free(&other);
}
END_TEST

static void flip_signature(struct der *whole)
{
	whole->bytes[whole->len - 1] ^= 1; /* it is the last thing in the structure */
}

/* The nonce or checksum is the last thing of the signed content; the content precedes the certificates. */
static void flip_content(struct der *whole)
{
	const uint8_t *p = whole->bytes;
	unsigned char *bytes = NULL;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)whole->len);
	ASN1_OCTET_STRING **content = CMS_get0_content(cms);
	(*content)->data[(*content)->length - 1] ^= 1;
	int len = i2d_CMS_ContentInfo(cms, &bytes);
	ck_assert_int_eq(len, (int)whole->len);
	memcpy(whole->bytes, bytes, (size_t)len);
	OPENSSL_free(bytes);
	CMS_ContentInfo_free(cms);
}

START_TEST(verdict_signature)
{
	struct world *w = &the_world;
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	for (int i = 0; i < 2; i++) {
		struct exchange x;
		ask(w, &x, mode_dh(_i), mode_bind(_i));
		answer(w, &x, &w->authority, mode_bind(_i), NULL);
		alter_signed(w, &x, i ? flip_content : flip_signature);
		ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_SIGNATURE);
		alter_signed(w, &x, i ? flip_content : flip_signature); /* back again: nothing else was wrong */
		ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
		finish(&x);
	}
}
END_TEST

/* A reply made from request facts, or the decoded request, that bend() has changed. */
static void answer_bent(struct world *w, struct exchange *x, enum pkinit_bind bind,
                        void (*bend)(struct krb_as_facts *facts))
{
	struct krb_as_facts facts;
	ck_assert(krb_as_parse(w->crypto, x->request.bytes, x->request.len, &facts));
	bend(&facts);
	struct krb_ticket_facts ticket = facts_for(&facts);
	ck_assert(pkinit_reply_build(w->kdc.sm, &w->authority, w->server_key, &facts, &ticket, bind, now, &x->reply));
	krb_as_facts_free(&facts);
}

static void bend_nonce(struct krb_as_facts *facts)
{
	facts->nonce ^= 1;
}

START_TEST(verdict_nonce)
{
	struct world *w = &the_world;
	struct exchange x;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer_bent(w, &x, mode_bind(_i), bend_nonce);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_NONCE);
	policy.check_nonce = false;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	finish(&x);
}
END_TEST

/* One bit of what binds: of the request (asChecksum is over all of it) or of the authenticator's nonce. */
static void bend_binding(struct krb_as_facts *facts)
{
	struct krb_as_inside *inside = facts->inside;
	if (inside->draft)
		inside->draft->authenticator->nonce ^= 1;
	else if (facts->wants_dh)
		inside->auth_pack->authenticator->nonce ^= 1;
	else
		inside->whole.bytes[inside->whole.len - 1] ^= 1;
}

START_TEST(verdict_binding)
{
	struct world *w = &the_world;
	struct exchange x;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer_bent(w, &x, mode_bind(_i), bend_binding);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_BINDING);
	policy.check_bind = false;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	finish(&x);
	if (mode_dh(_i))
		return;
	/* the other profile's reply does not bind as this one asks */
	ask(w, &x, false, mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i) == PKINIT_BIND_NONCE ? PKINIT_BIND_ASCHECKSUM : PKINIT_BIND_NONCE,
	       NULL);
	policy.check_bind = true;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_BINDING);
	policy.check_bind = false;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	finish(&x);
}
END_TEST

START_TEST(verdict_sname)
{
	/* K7 */
	struct world *w = &the_world;
	struct exchange x;
	struct der renamed = { 0 };
	struct krb_name evil = name_of("sc/evil");
	struct krb_credentials c;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	ck_assert(krb_attack_rename_server(x.reply.bytes, x.reply.len, &evil, &renamed));
	der_free(&x.reply);
	x.reply = renamed;
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_SNAME);
	policy.check_sealed_sname = false;
	ck_assert_int_eq(pkinit_reply(w->cta.sm, x.client, &w->identity, &policy, x.reply.bytes, x.reply.len, &c, NULL),
	                 KRB_REPLY_OK);
	ck_assert(krb_name_equal(&c.server, &evil)); /* stored differs from sealed */
	krb_credentials_free(w->cta.sm, &c);
	finish(&x);
	/* a KDC that seals another name than asked */
	struct krb_ticket_facts ticket = { .client = w->identity.name,
		                           .server = evil,
		                           .auth_time_s = NOW,
		                           .start_time_s = NOW,
		                           .end_time_s = NOW + 60 };
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), &ticket);
	policy.check_sealed_sname = true;
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_SNAME);
	finish(&x);
}
END_TEST

START_TEST(verdict_time)
{
	struct world *w = &the_world;
	static const struct { int64_t start, end; enum krb_reply_verdict expected;
	} rows[] = {
		{ 0, 86400, KRB_REPLY_OK },   { 0, 86401, KRB_REPLY_TIME }, { 300, 400, KRB_REPLY_OK },
		{ 301, 400, KRB_REPLY_TIME }, { -600, -299, KRB_REPLY_OK }, { -600, -300, KRB_REPLY_TIME },
		{ 0, 0, KRB_REPLY_TIME },     { 10, 5, KRB_REPLY_TIME },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exchange x;
		struct krb_ticket_facts ticket = { .client = w->identity.name,
			                           .server = w->server,
			                           .auth_time_s = NOW,
			                           .start_time_s = NOW + rows[i].start,
			                           .end_time_s = NOW + rows[i].end };
		ask(w, &x, mode_dh(_i), PKINIT_BIND_ASCHECKSUM);
		answer(w, &x, &w->authority, PKINIT_BIND_ASCHECKSUM, &ticket);
		ck_assert_msg(judge(w, &x, &w->policy) == rows[i].expected, "row %zu", i);
		finish(&x);
	}
}
END_TEST

START_TEST(verdict_malformed)
{
	struct world *w = &the_world;
	struct exchange x, other;
	struct pkinit_policy policy = w->policy;
	struct krb_credentials c;
	struct krb_ticket_facts ticket = { .client = name_of("somebody"), .server = w->server, .auth_time_s = NOW,
	                                   .start_time_s = NOW, .end_time_s = NOW + 60 };
	policy.bind = mode_bind(_i);
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), &ticket);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_MALFORMED); /* to another client */
	der_free(&x.reply);
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	ck_assert_int_eq(
		pkinit_reply(w->cta.sm, x.client, &w->identity, &policy, x.reply.bytes, x.reply.len - 1, &c, NULL),
		KRB_REPLY_MALFORMED);
	ck_assert_int_eq(
		pkinit_reply(w->cta.sm, x.client, &w->identity, &policy, x.request.bytes, x.request.len, &c, NULL),
		KRB_REPLY_MALFORMED);
	if (mode_dh(_i)) { /* nobody asked for Diffie-Hellman */
		ask(w, &other, false, mode_bind(_i));
		ck_assert_int_eq(pkinit_reply(w->cta.sm, other.client, &w->identity, &policy, x.reply.bytes,
		                              x.reply.len, &c, NULL),
		                 KRB_REPLY_MALFORMED);
		finish(&other);
	}
	finish(&x);
}
END_TEST

START_TEST(verdict_decrypt)
{
	struct world *w = &the_world;
	struct exchange x;
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, x.reply.bytes, x.reply.len);
	rep->enc_part->cipher->data[20] ^= 1;
	der_free(&x.reply);
	ck_assert(KRB_ENCODE(KRB_AS_REPLY, rep, &x.reply));
	KRB_FREE(KRB_AS_REPLY, rep);
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_DECRYPT);
	finish(&x);
}
END_TEST

START_TEST(k11_one_answer_to_bad_envelopes)
{
	struct world *w = &the_world;
	struct exchange x;
	static const enum krb_attack_spoil spoils[] = { KRB_ATTACK_SPOIL_KEY, KRB_ATTACK_SPOIL_CONTENT };
	ask(w, &x, false, mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	for (int i = 0; i < 2; i++) {
		struct exchange spoilt = { .client = x.client, .request = x.request };
		ck_assert(krb_attack_spoil_envelope(x.reply.bytes, x.reply.len, spoils[i], &spoilt.reply));
		struct pkinit_policy policy = w->policy;
		policy.bind = mode_bind(_i);
		ck_assert_int_eq(judge(w, &spoilt, &policy), KRB_REPLY_DECRYPT);
		policy.tell_padding = true; /* cta.uniform_rsa_error off: the oracle speaks */
		ck_assert_int_eq(judge(w, &spoilt, &policy), i == 0 ? KRB_REPLY_PADDING : KRB_REPLY_DECRYPT);
		der_free(&spoilt.reply);
	}
	finish(&x);
}
END_TEST

/* At the KDC */

START_TEST(k6_stripped_dh)
{
	struct world *w = &the_world;
	struct exchange x;
	struct der stripped = { 0 };
	struct krb_as_facts facts;
	ask(w, &x, true, mode_bind(_i));
	ck_assert(krb_attack_strip_dh(w->crypto, x.request.bytes, x.request.len, &stripped));
	ck_assert(krb_as_parse(w->crypto, stripped.bytes, stripped.len, &facts));
	ck_assert(!facts.wants_dh);
	ck_assert(!pkinit_check_signature(w->crypto, &facts)); /* pkinit.sign_body */
	/* a KDC that does not look answers in RSA mode, and under the draft the client takes it */
	struct krb_ticket_facts ticket = facts_for(&facts);
	ck_assert(pkinit_reply_build(w->kdc.sm, &w->authority, w->server_key, &facts, &ticket, mode_bind(_i), now,
	                             &x.reply));
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	ck_assert_int_eq(judge(w, &x, &policy), mode_bind(_i) == PKINIT_BIND_NONCE ? KRB_REPLY_OK : KRB_REPLY_BINDING);
	krb_as_facts_free(&facts);
	der_free(&stripped);
	finish(&x);
}
END_TEST

START_TEST(body_is_bound_by_rfc4556_only)
{
	struct world *w = &the_world;
	struct exchange x;
	struct der altered = { 0 };
	struct krb_as_facts facts;
	struct krb_name evil = name_of("sc/evil");
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	KRB_KDC_REQ *request = KRB_DECODE(KRB_AS_REQUEST, x.request.bytes, x.request.len);
	krb_put_name(&request->body->sname, &request->body->realm, &evil);
	request->body->enc.modified = 1;
	ck_assert(KRB_ENCODE(KRB_AS_REQUEST, request, &altered));
	KRB_FREE(KRB_AS_REQUEST, request);
	ck_assert(krb_as_parse(w->crypto, altered.bytes, altered.len, &facts));
	ck_assert(krb_name_equal(&facts.server, &evil));
	ck_assert_int_eq(pkinit_check_signature(w->crypto, &facts), mode_bind(_i) == PKINIT_BIND_NONCE);
	krb_as_facts_free(&facts);
	der_free(&altered);
	finish(&x);
}
END_TEST

START_TEST(foreign_dh_group)
{
	struct world *w = &the_world;
	struct exchange x;
	struct krb_as_facts facts;
	ask(w, &x, true, mode_bind(_i));
	ck_assert(krb_as_parse(w->crypto, x.request.bytes, x.request.len, &facts));
	struct krb_as_inside *inside = facts.inside;
	PKINIT_SPKI *value =
		inside->auth_pack ? inside->auth_pack->client_public_value : inside->draft->client_public_value;
	ck_assert(pkinit_dh_acceptable(value));
	/* Public values 0, 1 and p - 1 have no secret worth the name; p is group 14's, three octets into the sequence's
	 * header. */
	static const uint8_t zero[] = { 0x02, 0x01, 0x00 }, one[] = { 0x02, 0x01, 0x01 },
			     negative[] = { 0x02, 0x01, 0xff };
	struct der kept = { 0 };
	uint8_t key[24];
	EVP_PKEY *own = pkinit_dh_generate(w->kdc.sm);
	krb_der_copy(&kept, value->key->data, (size_t)value->key->length);
	ck_assert(pkinit_dh_reply_key(w->kdc.sm, own, kept.bytes, kept.len, key));
	const uint8_t *bad[] = { zero, one, negative };
	for (int i = 0; i < 3; i++) {
		ck_assert(ASN1_BIT_STRING_set(value->key, (uint8_t *)bad[i], 3));
		ck_assert(!pkinit_dh_acceptable(value));
		ck_assert(!pkinit_dh_reply_key(w->kdc.sm, own, bad[i], 3, key));
	}
	ASN1_STRING *parameters = value->algorithm->parameter->value.sequence;
	PKINIT_DH_DOMAIN *domain = KRB_DECODE(PKINIT_DH_DOMAIN, parameters->data, (size_t)parameters->length);
	struct der minus_one = { 0 };
	domain->p->data[domain->p->length - 1] ^= 1; /* p is odd: p - 1 */
	unsigned char *bytes = NULL;
	int len = i2d_ASN1_INTEGER(domain->p, &bytes);
	krb_der_copy(&minus_one, bytes, (size_t)len);
	ck_assert(!pkinit_dh_reply_key(w->kdc.sm, own, minus_one.bytes, minus_one.len, key));
	ck_assert(ASN1_BIT_STRING_set(value->key, kept.bytes, (int)kept.len));
	ck_assert(pkinit_dh_acceptable(value));
	struct der foreign = { 0 };
	ck_assert(KRB_ENCODE(PKINIT_DH_DOMAIN, domain, &foreign));
	ck_assert(ASN1_STRING_set(parameters, foreign.bytes, (int)foreign.len));
	ck_assert(!pkinit_dh_acceptable(value)); /* another p */
	facts.dh_acceptable = false;
	struct krb_ticket_facts ticket = facts_for(&facts);
	struct der reply = { 0 };
	ck_assert(!pkinit_reply_build(w->kdc.sm, &w->authority, w->server_key, &facts, &ticket, mode_bind(_i), now,
	                              &reply));
	OPENSSL_free(bytes);
	der_free(&minus_one);
	der_free(&foreign);
	der_free(&kept);
	KRB_FREE(PKINIT_DH_DOMAIN, domain);
	EVP_PKEY_free(own);
	krb_as_facts_free(&facts);
	finish(&x);
}
END_TEST

START_TEST(certificates_go_along)
{
	/* a manufacturer certificate comes with its CA's (flows.md P1) */
	struct world *w = &the_world;
	struct der request = { 0 };
	struct krb_as_facts facts;
	struct pkinit_identity identity = w->identity;
	identity.cert = w->pki.device;
	identity.issuer_cert = w->pki.mfg_ca;
	struct pkinit_client *client = pkinit_request(w->cta.sm, &identity, &w->server, now, NOW + 60, false,
	                                              PKINIT_BIND_ASCHECKSUM, &request);
	ck_assert_ptr_nonnull(client);
	ck_assert(krb_as_parse(w->crypto, request.bytes, request.len, &facts));
	ck_assert_uint_eq(facts.extra_count, 1);
	ck_assert(facts.client_cert.len == w->pki.device.len && facts.extra_certs[0].len == w->pki.mfg_ca.len);
	ck_assert(!memcmp(facts.extra_certs[0].bytes, w->pki.mfg_ca.bytes, w->pki.mfg_ca.len));
	ck_assert(pkinit_check_signature(w->crypto, &facts));
	ck_assert_uint_gt(request.len, 1800);
	ck_assert_uint_lt(request.len, 3000);
	krb_as_facts_free(&facts);
	pkinit_client_free(client);
	der_free(&request);
}
END_TEST

static void count(void *ctx, enum crypto_op op, uint32_t size)
{
	unsigned *counts = ctx;
	(void)size;
	counts[op]++;
}

START_TEST(operations_are_counted)
{
	struct world *w = &the_world;
	unsigned counts[CRYPTO_OP_COUNT] = { 0 };
	struct exchange x;
	struct pkinit_policy policy = w->policy;
	policy.bind = mode_bind(_i);
	crypto_set_meter(w->crypto, count, counts);
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	ck_assert_int_eq(judge(w, &x, &policy), KRB_REPLY_OK);
	crypto_set_meter(w->crypto, NULL, NULL);
	ck_assert_uint_eq(counts[CRYPTO_RSA_SIGN], 2);
	ck_assert_uint_eq(counts[CRYPTO_RSA_VERIFY], 5); /* request, two of the chain, CRL, reply */
	ck_assert_uint_eq(counts[CRYPTO_RSA_ENCRYPT], !mode_dh(_i));
	ck_assert_uint_eq(counts[CRYPTO_RSA_DECRYPT], !mode_dh(_i));
	ck_assert_uint_eq(counts[CRYPTO_DH_GENERATE], mode_dh(_i) ? 2 : 0);
	ck_assert_uint_eq(counts[CRYPTO_DH_DERIVE], mode_dh(_i) ? 2 : 0);
	finish(&x);
}
END_TEST

struct seen {
	char text[4096];
};

static void collect(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof(seen->text) - used, "%s=%s\n", path,
	         class_ == KRB_FIELD_RANDOM ? "random" : value);
}

START_TEST(describes)
{
	struct world *w = &the_world;
	struct exchange x;
	struct seen seen = { "" };
	ask(w, &x, mode_dh(_i), mode_bind(_i));
	answer(w, &x, &w->authority, mode_bind(_i), NULL);
	krb_describe(x.request.bytes, x.request.len, collect, &seen);
	ck_assert_ptr_nonnull(strstr(seen.text, mode_bind(_i) == PKINIT_BIND_NONCE ? "pkinit.profile=draft\n" :
	                                                                             "pkinit.profile=rfc4556\n"));
	ck_assert_ptr_nonnull(strstr(seen.text, mode_dh(_i) ? "pkinit.dh=yes\n" : "pkinit.dh=no\n"));
	ck_assert_ptr_nonnull(strstr(seen.text, "pkinit.nonce=random\n"));
	ck_assert_ptr_nonnull(strstr(seen.text, "pkinit.signer.serial=5\n"));
	seen.text[0] = '\0';
	krb_describe(x.reply.bytes, x.reply.len, collect, &seen);
	ck_assert_ptr_nonnull(
		strstr(seen.text, mode_dh(_i) ? "pkinit.mode=dh\npkinit.signer.subject=" : "pkinit.mode=rsa\n"));
	finish(&x);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pkinit");
	TCase *cases = tcase_create("pkinit");
	tcase_set_timeout(cases, 300);
	tcase_add_unchecked_fixture(cases, world_init, world_free);
	tcase_add_loop_test(cases, exchange_works, 0, 4);
	tcase_add_test(cases, same_streams_same_bytes);
	tcase_add_loop_test(cases, verdict_untrusted, 0, 8);
	tcase_add_test(cases, chain_is_judged_at_the_time_given);
	tcase_add_loop_test(cases, verdict_revoked, 0, 4);
	tcase_add_loop_test(cases, verdict_usage, 0, 4);
	tcase_add_loop_test(cases, verdict_name, 0, 4);
	tcase_add_loop_test(cases, verdict_signature, 0, 4);
	tcase_add_loop_test(cases, verdict_nonce, 0, 4);
	tcase_add_loop_test(cases, verdict_binding, 0, 4);
	tcase_add_loop_test(cases, verdict_sname, 0, 4);
	tcase_add_loop_test(cases, verdict_time, 0, 2);
	tcase_add_loop_test(cases, verdict_malformed, 0, 4);
	tcase_add_loop_test(cases, verdict_decrypt, 0, 4);
	tcase_add_loop_test(cases, k11_one_answer_to_bad_envelopes, 1, 3);
	tcase_add_loop_test(cases, k6_stripped_dh, 1, 3);
	tcase_add_loop_test(cases, body_is_bound_by_rfc4556_only, 0, 4);
	tcase_add_loop_test(cases, foreign_dh_group, 1, 3);
	tcase_add_test(cases, certificates_go_along);
	tcase_add_loop_test(cases, operations_are_counted, 0, 4);
	tcase_add_loop_test(cases, describes, 0, 4);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

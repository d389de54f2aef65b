/*
 * Kerberos messages: names, lengths, errors, the AS exchange by time stamp, the AP exchange, tickets with restrictions,
 * and what an attacker without keys makes of them (K7, T3, T4). Every verdict is reached by altering exactly what it is
 * about.
 */
#include <check.h>
#include "crypto/kerberos.h"
#include "crypto/kerberos_attack.h"
#include "crypto/kerberos_internal.h"
#include "tests/crypto/fixture.h"

#define NOW FIXTURE_NOW_S
#define MUTATIONS 2500 /* of each message; tests/fuzz/fuzz_kerberos.c goes on from here */

static const uint8_t sc_key[24] = { 0x92, 0x51, 0x79, 0xd0, 0x45, 0x91, 0xa7, 0x9b, 0x5d, 0x31, 0x92, 0xc4,
                                    0xa7, 0xe9, 0xc2, 0x89, 0xb0, 0x49, 0xc7, 0x1f, 0x6e, 0xe6, 0x04, 0xcd };
static const uint8_t he_key[24] = { 0x9e, 0x58, 0xe5, 0xa1, 0x46, 0xd9, 0x94, 0x2a, 0x10, 0x1c, 0x46, 0x98,
                                    0x45, 0xd6, 0x7a, 0x20, 0xe3, 0xc4, 0x25, 0x9e, 0xd9, 0x13, 0xf2, 0x07 };

/* A client (the HE, say), the KDC and the SC, each with its module. */
struct realm {
	struct crypto *crypto;
	struct fixture_party client, kdc, server;
	key_handle client_key, kdc_client_key, kdc_server_key, server_key;
	struct krb_name client_name, server_name;
};

static struct krb_name name_of(const char *name)
{
	struct krb_name out;
	ck_assert(krb_name_set(&out, name, FIXTURE_REALM));
	return out;
}

static void realm_init(struct realm *r)
{
	r->crypto = crypto_new();
	ck_assert_ptr_nonnull(r->crypto);
	fixture_party_init(&r->client, r->crypto, "client");
	fixture_party_init(&r->kdc, r->crypto, "kdc");
	fixture_party_init(&r->server, r->crypto, "server");
	r->client_name = name_of("he/he1");
	r->server_name = name_of("sc/sc1");
	r->client_key = sm_install_des3(r->client.sm, "krb.server", "he/he1", he_key);
	r->kdc_client_key = sm_install_des3(r->kdc.sm, "krb.server", "he/he1", he_key);
	r->kdc_server_key = sm_install_des3(r->kdc.sm, "krb.server", "sc/sc1", sc_key);
	r->server_key = sm_install_des3(r->server.sm, "krb.server", "sc/sc1", sc_key);
}

static void realm_free(struct realm *r)
{
	fixture_party_free(&r->client);
	fixture_party_free(&r->kdc);
	fixture_party_free(&r->server);
	crypto_free(r->crypto);
}

static struct krb_ticket_facts facts_for(const struct realm *r)
{
	return (struct krb_ticket_facts){ .client = r->client_name, .server = r->server_name, .auth_time_s = NOW,
	                                  .start_time_s = NOW, .end_time_s = NOW + 86400 };
}

static struct krb_ticket_facts restricted_facts(const struct realm *r)
{
	struct krb_ticket_facts facts = facts_for(r);
	facts.restricted = true;
	facts.number_count = 2;
	strcpy(facts.numbers[0], "911");
	strcpy(facts.numbers[1], "2155550100");
	strcpy(facts.mac, "00:11:22:33:44:55");
	return facts;
}

static const struct krb_time now = { NOW, 123456 };

/* Request, reply and the client's state of one AS exchange. */
struct as_exchange {
	struct krb_as_client state;
	struct der request, reply;
};

static void as_exchange(struct realm *r, const struct krb_ticket_facts *ticket, struct as_exchange *x)
{
	struct krb_as_facts facts;
	struct krb_time stamp;
	*x = (struct as_exchange){ .request = { 0 } };
	ck_assert(krb_as_request_timestamp(r->client.sm, r->client_key, &r->client_name, &r->server_name, now,
	                                   NOW + 86400, &x->state, &x->request));
	ck_assert(krb_as_parse(r->crypto, x->request.bytes, x->request.len, &facts));
	ck_assert_int_eq(facts.preauth, KRB_PREAUTH_TIMESTAMP);
	ck_assert(krb_name_equal(&facts.client, &r->client_name) && krb_name_equal(&facts.server, &r->server_name));
	ck_assert(facts.wants_des3 && facts.nonce == x->state.nonce && facts.till_s == NOW + 86400);
	ck_assert(krb_as_check_timestamp(r->kdc.sm, r->kdc_client_key, &facts, &stamp));
	ck_assert(stamp.s == NOW && stamp.us == 123456);
	ck_assert(!krb_as_check_timestamp(r->kdc.sm, r->kdc_server_key, &facts, &stamp));
	ck_assert(krb_as_reply_build_timestamp(r->kdc.sm, r->kdc_client_key, r->kdc_server_key, &facts, ticket,
	                                       &x->reply));
	krb_as_facts_free(&facts);
}

static void as_exchange_free(struct as_exchange *x)
{
	der_free(&x->request);
	der_free(&x->reply);
}

static struct krb_credentials get_credentials(struct realm *r, const struct krb_ticket_facts *ticket)
{
	struct as_exchange x;
	struct krb_credentials c;
	as_exchange(r, ticket, &x);
	ck_assert_int_eq(krb_as_reply_timestamp(r->client.sm, r->client_key, &x.state, x.reply.bytes, x.reply.len, &c),
	                 KRB_REPLY_OK);
	as_exchange_free(&x);
	return c;
}

/* Names, types, lengths */

START_TEST(names)
{
	static const struct { const char *name, *realm; bool ok;
	} rows[] = {
		{ "sc/sc1", "TOLLGATE.EXAMPLE", true },
		{ "a", "R", true },
		{ "a/b/c", "R", true },
		{ "", "R", false },
		{ "a", "", false },
		{ "/a", "R", false },
		{ "a/", "R", false },
		{ "a//b", "R", false },
		{ "a@b", "R", false },
		{ "a b", "R", false },
		{ "a\\b", "R", false },
		{ "a\tb", "R", false },
		{ "a\x80", "R", false },
		{ "a", "R/S", false },
		{ "a", "R@S", false },
	};
	struct krb_name out;
	char longest[KRB_NAME_MAX + 2];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(krb_name_set(&out, rows[i].name, rows[i].realm) == rows[i].ok, "row %zu", i);
	memset(longest, 'x', sizeof(longest));
	longest[KRB_NAME_MAX + 1] = '\0';
	ck_assert(!krb_name_set(&out, longest, "R"));
	longest[KRB_NAME_MAX] = '\0';
	ck_assert(krb_name_set(&out, longest, "R"));
}
END_TEST

START_TEST(names_of_peers_are_unambiguous)
{
	/* One component "a/b" must not read as two components "a", "b". */
	struct krb_name out, two = name_of("a/b");
	KRB_PRINCIPAL *principal = NULL;
	ASN1_GENERALSTRING *realm = NULL;
	krb_put_name(&principal, &realm, &two);
	ck_assert_int_eq(sk_ASN1_GENERALSTRING_num(principal->parts), 2);
	ck_assert_int_eq(principal->type, KRB_NT_SRV_INST);
	ck_assert(krb_get_name(principal, realm, &out) && krb_name_equal(&out, &two));
	ck_assert(ASN1_STRING_set(sk_ASN1_GENERALSTRING_value(principal->parts, 0), "a/b", 3));
	ck_assert(!krb_get_name(principal, realm, &out));
	ck_assert(ASN1_STRING_set(sk_ASN1_GENERALSTRING_value(principal->parts, 0), "a\0b", 3));
	ck_assert(!krb_get_name(principal, realm, &out));
	ck_assert(ASN1_STRING_set(sk_ASN1_GENERALSTRING_value(principal->parts, 0), "", 0));
	ck_assert(!krb_get_name(principal, realm, &out));
	KRB_FREE(KRB_PRINCIPAL, principal);
	ASN1_GENERALSTRING_free(realm);
}
END_TEST

START_TEST(message_lengths)
{
	static const struct { uint8_t bytes[8]; size_t len, expected;
	} rows[] = {
		{ { 0x6a, 0x02, 1, 2 }, 4, 4 },
		{ { 0x6a, 0x02, 1, 2, 3 }, 5, 4 },
		{ { 0x6a, 0x03, 1, 2 }, 4, 0 },
		{ { 0x6a, 0x80, 1, 2 }, 4, 0 },
		{ { 0x6a, 0x81, 0x02, 1, 2 }, 5, 5 },
		{ { 0x6a, 0x82, 0x00 }, 3, 0 },
		{ { 0x6a, 0x84, 0xff, 0xff, 0xff, 0xff, 0, 0 }, 8, 0 },
		{ { 0x6a, 0x85, 0, 0, 0, 0, 1, 0 }, 8, 0 },
		{ { 0x30, 0x02, 1, 2 }, 4, 0 },
		{ { 0x6a }, 1, 0 },
		{ { 0 }, 0, 0 },
		{ { 0x7e, 0x00 }, 2, 2 },
		{ { 0x6b, 0x00 }, 2, 2 },
		{ { 0x6e, 0x00 }, 2, 2 },
		{ { 0x6f, 0x00 }, 2, 2 },
		{ { 0x6c, 0x00 }, 2, 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(krb_message_len(rows[i].bytes, rows[i].len) == rows[i].expected, "row %zu", i);
}
END_TEST

START_TEST(times)
{
	static const struct { const char *text; bool ok; int64_t s;
	} rows[] = {
		{ "19700101000000Z", true, 0 },          { "20270101000000Z", true, NOW },
		{ "20240229235959Z", true, 1709251199 }, { "20230229000000Z", false, 0 },
		{ "20271301000000Z", false, 0 },         { "20270101240000Z", false, 0 },
		{ "20270101006000Z", false, 0 },         { "2027010100000Z", false, 0 },
		{ "20270101000000+", false, 0 },         { "202701010000 0Z", false, 0 },
		{ "19691231235959Z", false, 0 },         { "20270101000000.1Z", false, 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t s = -1;
		ASN1_GENERALIZEDTIME *time = ASN1_GENERALIZEDTIME_new();
		ck_assert(ASN1_STRING_set(time, rows[i].text, -1));
		ck_assert_msg(krb_get_time(time, &s) == rows[i].ok, "row %zu", i);
		if (rows[i].ok)
			ck_assert_int_eq(s, rows[i].s);
		ASN1_GENERALIZEDTIME_free(time);
	}
}
END_TEST

START_TEST(errors)
{
	struct crypto *crypto = crypto_new();
	struct krb_error_info info = { .code = KRB_AP_ERR_REPEAT, .stime = { NOW, 5 }, .server = name_of("sc/sc1") },
			      got;
	struct der der = { 0 };
	strcpy(info.text, "seen before");
	ck_assert(krb_error_build(crypto, &info, &der));
	ck_assert_int_eq(krb_type(der.bytes, der.len), KRB_ERROR);
	ck_assert_uint_eq(krb_message_len(der.bytes, der.len), der.len);
	ck_assert(krb_error_parse(der.bytes, der.len, &got));
	ck_assert(got.code == info.code && got.stime.s == NOW && got.stime.us == 5 &&
	          krb_name_equal(&got.server, &info.server));
	ck_assert_str_eq(got.text, "seen before");
	ck_assert(!krb_error_parse(der.bytes, der.len - 1, &got));
	der_free(&der);
	/* What a client that sent no pre-authentication is told: METHOD-DATA with 16 and 2. */
	info.code = KDC_ERR_PREAUTH_REQUIRED;
	ck_assert(krb_error_build(crypto, &info, &der));
	KRB_ERROR_MSG *error = KRB_DECODE(KRB_ERROR_MSG, der.bytes, der.len);
	KRB_METHOD_DATA *methods = KRB_DECODE(KRB_METHOD_DATA, ASN1_STRING_get0_data(error->e_data),
	                                      (size_t)ASN1_STRING_length(error->e_data));
	ck_assert(krb_find_typed(methods, KRB_PA_PK_AS_REQ) && krb_find_typed(methods, KRB_PA_ENC_TIMESTAMP));
	KRB_FREE(KRB_METHOD_DATA, methods);
	KRB_FREE(KRB_ERROR_MSG, error);
	der_free(&der);
	ck_assert_str_eq(krb_error_name(34), "KRB_AP_ERR_REPEAT");
	ck_assert_str_eq(krb_error_name(99), "KRB_ERROR_99");
	ck_assert_str_eq(krb_error_name(128), "KRB_ERROR_128");
	ck_assert_str_eq(krb_error_name(-1), "KRB_ERROR_OTHER");
	ck_assert_str_eq(krb_error_name(1000), "KRB_ERROR_OTHER");
	crypto_free(crypto);
}
END_TEST

/* AS by time stamp */

START_TEST(as_timestamp)
{
	struct realm r;
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r);
	struct krb_credentials c = get_credentials(&r, &facts);
	ck_assert(krb_name_equal(&c.client, &r.client_name) && krb_name_equal(&c.server, &r.server_name));
	ck_assert(c.start_time_s == NOW && c.end_time_s == NOW + 86400 && c.session_key != 0);
	ck_assert_uint_eq(sm_key_count(r.kdc.sm), 2); /* the KDC keeps no session key */
	krb_credentials_free(r.client.sm, &c);
	ck_assert_uint_eq(sm_key_count(r.client.sm), 1);
	realm_free(&r);
}
END_TEST

START_TEST(as_timestamp_verdicts)
{
	struct realm r;
	struct as_exchange x;
	struct krb_credentials c = { .session_key = 0 };
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r);
	as_exchange(&r, &facts, &x);
	struct krb_as_client state = x.state;
	state.nonce ^= 1;
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, r.client_key, &state, x.reply.bytes, x.reply.len, &c),
	                 KRB_REPLY_NONCE);
	state = x.state;
	state.server = name_of("sc/sc2");
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, r.client_key, &state, x.reply.bytes, x.reply.len, &c),
	                 KRB_REPLY_SNAME);
	state = x.state;
	state.client = name_of("he/he2");
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, r.client_key, &state, x.reply.bytes, x.reply.len, &c),
	                 KRB_REPLY_MALFORMED);
	key_handle wrong = sm_install_des3(r.client.sm, "krb.server", "", sc_key);
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, wrong, &x.state, x.reply.bytes, x.reply.len, &c),
	                 KRB_REPLY_DECRYPT);
	/* K7's hand on it */
	struct der renamed = { 0 };
	struct krb_name other = name_of("sc/evil");
	ck_assert(krb_attack_rename_server(x.reply.bytes, x.reply.len, &other, &renamed));
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, r.client_key, &x.state, renamed.bytes, renamed.len, &c),
	                 KRB_REPLY_SNAME);
	der_free(&renamed);
	as_exchange_free(&x);
	facts.end_time_s = NOW;
	as_exchange(&r, &facts, &x);
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, r.client_key, &x.state, x.reply.bytes, x.reply.len, &c),
	                 KRB_REPLY_TIME);
	ck_assert_int_eq(
		krb_as_reply_timestamp(r.client.sm, r.client_key, &x.state, x.request.bytes, x.request.len, &c),
		KRB_REPLY_MALFORMED);
	as_exchange_free(&x);
	ck_assert_uint_eq(sm_key_count(r.client.sm), 2); /* no refusal leaves a key behind */
	realm_free(&r);
}
END_TEST

START_TEST(reply_part_of_mit)
{
	/* MIT's KDC tags the reply part 26. */
	struct realm r;
	struct as_exchange x;
	struct krb_credentials c;
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r);
	as_exchange(&r, &facts, &x);
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, x.reply.bytes, x.reply.len);
	struct der plain = { 0 }, again = { 0 };
	ck_assert(krb_open_sealed(r.crypto, he_key, KRB_USAGE_AS_REP, rep->enc_part, &plain));
	ck_assert_int_eq(plain.bytes[0], 0x60 | 25);
	KRB_ENC_REP_PART *part = krb_decode_padded(ASN1_ITEM_rptr(KRB_ENC_AS_REP_PART), plain.bytes, plain.len);
	ck_assert_ptr_nonnull(part);
	ck_assert(krb_seal_value(r.crypto, &r.kdc.random.random, he_key, KRB_USAGE_AS_REP, 0, part,
	                         ASN1_ITEM_rptr(KRB_ENC_TGS_REP_PART), &rep->enc_part));
	ck_assert(KRB_ENCODE(KRB_AS_REPLY, rep, &again));
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, r.client_key, &x.state, again.bytes, again.len, &c),
	                 KRB_REPLY_OK);
	krb_credentials_free(r.client.sm, &c);
	KRB_FREE(KRB_ENC_AS_REP_PART, part);
	KRB_FREE(KRB_AS_REPLY, rep);
	der_free(&plain);
	der_free(&again);
	as_exchange_free(&x);
	realm_free(&r);
}
END_TEST

/* AP exchange */

START_TEST(ap_exchange)
{
	struct realm r;
	realm_init(&r);
	struct krb_ticket_facts facts = _i ? restricted_facts(&r) : facts_for(&r);
	struct krb_credentials c = get_credentials(&r, &facts);
	struct gss_initiator state;
	struct gss_accepted accepted;
	struct der req = { 0 }, rep = { 0 };
	key_handle ours, theirs;
	uint8_t id1[KEY_ID_LEN], id2[KEY_ID_LEN];
	ck_assert(gss_init_start(r.client.sm, &c, now, 0x12345678, &state, &req));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, req.bytes, req.len, true, &accepted), GSS_OK);
	ck_assert(accepted.authenticator_ok && accepted.spi == 0x12345678 && accepted.ctime.s == NOW &&
	          accepted.ctime.us == 123456);
	ck_assert(krb_name_equal(&accepted.authenticator_client, &r.client_name));
	ck_assert_mem_eq(&accepted.ticket.client, &r.client_name, sizeof(r.client_name));
	ck_assert(krb_name_equal(&accepted.ticket.server, &r.server_name) && accepted.ticket.end_time_s == NOW + 86400);
	ck_assert_int_eq(accepted.ticket.restricted, facts.restricted);
	ck_assert_uint_eq(accepted.ticket.number_count, facts.number_count);
	for (unsigned i = 0; i < facts.number_count; i++)
		ck_assert_str_eq(accepted.ticket.numbers[i], facts.numbers[i]);
	ck_assert_str_eq(accepted.ticket.mac, facts.mac);
	ck_assert(gss_accept_reply(r.server.sm, &accepted, &theirs, &rep));
	ck_assert(gss_init_finish(r.client.sm, &state, rep.bytes, rep.len, &ours));
	sm_key_id(r.client.sm, ours, id1);
	sm_key_id(r.server.sm, theirs, id2);
	ck_assert_mem_eq(id1, id2, KEY_ID_LEN);
	ck_assert_uint_lt(req.len, 700); /* AP-REQ about 0.5 kB, AP-REP about 0.13 kB */
	ck_assert_uint_lt(rep.len, 200);
	state.ctime.us++; /* an answer to another AP-REQ */
	ck_assert(!gss_init_finish(r.client.sm, &state, rep.bytes, rep.len, &ours));
	der_free(&req);
	der_free(&rep);
	krb_credentials_free(r.client.sm, &c);
	realm_free(&r);
}
END_TEST

START_TEST(accept_verdicts)
{
	struct realm r;
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r);
	struct krb_credentials c = get_credentials(&r, &facts);
	struct gss_initiator state;
	struct gss_accepted accepted;
	struct der req = { 0 }, altered = { 0 };
	ck_assert(gss_init_start(r.client.sm, &c, now, 7, &state, &req));
	size_t before = sm_key_count(r.server.sm);
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, req.bytes, req.len - 1, true, &accepted), GSS_MALFORMED);
	key_handle wrong = sm_install_des3(r.server.sm, "krb.server", "", he_key);
	ck_assert_int_eq(gss_accept(r.server.sm, wrong, req.bytes, req.len, true, &accepted), GSS_TICKET_INTEGRITY);
	sm_destroy_key(r.server.sm, wrong);

	KRB_AP_REQ_MSG *m = KRB_DECODE(KRB_AP_REQ_MSG, req.bytes, req.len);
	krb_put_uint(&m->ticket->enc_part->kvno, 2);
	ck_assert(KRB_ENCODE(KRB_AP_REQ_MSG, m, &altered));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, altered.bytes, altered.len, true, &accepted),
	                 GSS_NOT_US);
	der_free(&altered);
	krb_put_uint(&m->ticket->enc_part->kvno, 1);
	m->ticket->enc_part->etype = 17;
	ck_assert(KRB_ENCODE(KRB_AP_REQ_MSG, m, &altered));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, altered.bytes, altered.len, true, &accepted),
	                 GSS_NOT_US);
	der_free(&altered);
	m->ticket->enc_part->etype = 16;
	m->authenticator->cipher->data[0] ^= 1;
	ck_assert(KRB_ENCODE(KRB_AP_REQ_MSG, m, &altered));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, altered.bytes, altered.len, true, &accepted),
	                 GSS_AUTHENTICATOR);
	ck_assert_uint_eq(sm_key_count(r.server.sm), before);
	/* sc.verify_authenticator off */
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, altered.bytes, altered.len, false, &accepted), GSS_OK);
	ck_assert(!accepted.authenticator_ok && accepted.spi == 0 && accepted.session_key != 0);
	sm_destroy_key(r.server.sm, accepted.session_key);
	der_free(&altered);
	m->authenticator->cipher->data[0] ^= 1;
	/* The name outside the sealed part is under the authenticator's checksum. */
	struct krb_name other = name_of("sc/sc2");
	krb_put_name(&m->ticket->sname, &m->ticket->realm, &other);
	ck_assert(KRB_ENCODE(KRB_AP_REQ_MSG, m, &altered));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, altered.bytes, altered.len, true, &accepted),
	                 GSS_AUTHENTICATOR);
	der_free(&altered);
	KRB_FREE(KRB_AP_REQ_MSG, m);

	struct krb_name thief = name_of("he/thief");
	ck_assert(krb_ap_req_rewrite(r.client.sm, c.session_key, req.bytes, req.len, &thief, &altered));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, altered.bytes, altered.len, true, &accepted),
	                 GSS_BADMATCH);
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, altered.bytes, altered.len, false, &accepted), GSS_OK);
	ck_assert(!accepted.authenticator_ok && krb_name_equal(&accepted.authenticator_client, &thief) &&
	          accepted.spi == 7);
	sm_destroy_key(r.server.sm, accepted.session_key);
	ck_assert_uint_eq(sm_key_count(r.server.sm), before);
	der_free(&altered);
	der_free(&req);
	krb_credentials_free(r.client.sm, &c);
	realm_free(&r);
}
END_TEST

START_TEST(unknown_restrictions_refuse)
{
	/* A ticket with authorisation data that the server does not know is refused (RFC 4120 section 5.2.6). */
	struct realm r;
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r), got;
	static const uint8_t session[24] = { 1 };
	KRB_ENC_TICKET_PART *part = krb_ticket_part(&facts, session);
	KRB_TICKET *ticket = krb_ticket_seal(r.kdc.sm, sm_lookup(r.kdc.sm, r.kdc_server_key, SM_DES3), &facts, session);
	ck_assert(krb_ticket_read(ticket, part, &got));
	krb_push_typed(&part->authorization_data, 4711, (const uint8_t *)"x", 1);
	ck_assert(!krb_ticket_read(ticket, part, &got));
	KRB_FREE(KRB_ENC_TICKET_PART, part);
	KRB_FREE(KRB_TICKET, ticket);
	/* Nor is one made that could not be read. */
	facts = restricted_facts(&r);
	strcpy(facts.mac, "short");
	ck_assert_ptr_null(krb_ticket_part(&facts, session));
	facts = restricted_facts(&r);
	facts.number_count = KRB_NUMBERS_MAX + 1;
	ck_assert_ptr_null(krb_ticket_part(&facts, session));
	realm_free(&r);
}
END_TEST

START_TEST(self_issued)
{
	struct realm r;
	struct krb_credentials c;
	struct gss_initiator state;
	struct gss_accepted accepted;
	struct der req = { 0 };
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r);
	ck_assert(krb_self_issue(r.kdc.sm, r.kdc_server_key, &facts, &c));
	ck_assert(gss_init_start(r.kdc.sm, &c, now, 9, &state, &req));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, req.bytes, req.len, true, &accepted), GSS_OK);
	der_free(&req);
	krb_credentials_free(r.kdc.sm, &c);
	realm_free(&r);
}
END_TEST

/* Attacks */

START_TEST(t3_stolen_ticket)
{
	struct realm r;
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r);
	struct krb_credentials c = get_credentials(&r, &facts), stolen = { .session_key = 0 };
	struct fixture_party thief;
	struct gss_initiator state;
	struct gss_accepted accepted;
	struct der req = { 0 }, forged = { 0 };
	fixture_party_init(&thief, r.crypto, "thief");
	ck_assert(gss_init_start(r.client.sm, &c, now, 7, &state, &req));
	ck_assert(krb_attack_take_ticket(req.bytes, req.len, &stolen.ticket, &stolen.server));
	ck_assert(stolen.ticket.len == c.ticket.len && !memcmp(stolen.ticket.bytes, c.ticket.bytes, c.ticket.len));
	stolen.client = r.client_name;
	stolen.session_key = sm_generate_des3(thief.sm, "krb.session");
	ck_assert(gss_init_start(thief.sm, &stolen, now, 8, &state, &forged));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, forged.bytes, forged.len, true, &accepted),
	                 GSS_AUTHENTICATOR);
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, forged.bytes, forged.len, false, &accepted), GSS_OK);
	ck_assert(!accepted.authenticator_ok);
	der_free(&req);
	der_free(&forged);
	krb_credentials_free(thief.sm, &stolen);
	krb_credentials_free(r.client.sm, &c);
	fixture_party_free(&thief);
	realm_free(&r);
}
END_TEST

START_TEST(t4_flipped_restriction)
{
	/* Names of many lengths move the flag through every place in its cipher block. */
	struct realm r;
	realm_init(&r);
	for (int extra = 0; extra < 16; extra++) {
		char name[64];
		snprintf(name, sizeof(name), "he/%.*s", 4 + extra, "abcdefghijklmnopqrstuvwxyz");
		r.client_name = name_of(name);
		struct krb_ticket_facts facts = restricted_facts(&r);
		struct krb_credentials c = get_credentials(&r, &facts);
		struct gss_initiator state;
		struct gss_accepted accepted;
		struct der req = { 0 };
		ck_assert_msg(krb_attack_lift_restriction(&facts, &c.ticket), "extra %d", extra);
		ck_assert(gss_init_start(r.client.sm, &c, now, 7, &state, &req));
		ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, req.bytes, req.len, true, &accepted),
		                 GSS_TICKET_INTEGRITY);
		ck_assert_int_eq(
			gss_accept_unchecked_ticket(r.server.sm, r.server_key, req.bytes, req.len, true, &accepted),
			GSS_OK);
		ck_assert(!accepted.ticket.restricted && accepted.authenticator_ok);
		ck_assert(krb_name_equal(&accepted.ticket.client, &r.client_name));
		sm_destroy_key(r.server.sm, accepted.session_key);
		der_free(&req);
		krb_credentials_free(r.client.sm, &c);
	}
	struct krb_ticket_facts plain = facts_for(&r);
	struct krb_credentials c = get_credentials(&r, &plain);
	ck_assert(!krb_attack_lift_restriction(&plain, &c.ticket)); /* nothing to lift */
	krb_credentials_free(r.client.sm, &c);
	realm_free(&r);
}
END_TEST

/* The record */

struct seen {
	char text[4096];
};

static void collect(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof(seen->text) - used, "%s=%s%s\n", path, class_ == KRB_FIELD_FACT ? "" :
	         class_ == KRB_FIELD_TIME ? "time:" : "random:", class_ == KRB_FIELD_RANDOM ? "" : value);
}

START_TEST(describes)
{
	struct realm r;
	struct as_exchange x;
	struct seen seen = { "" };
	realm_init(&r);
	struct krb_ticket_facts facts = facts_for(&r);
	as_exchange(&r, &facts, &x);
	krb_describe(x.request.bytes, x.request.len, collect, &seen);
	ck_assert_str_eq(seen.text, "msg-type=AS-REQ\ncname=he/he1@TOLLGATE.EXAMPLE\nsname=sc/sc1@TOLLGATE.EXAMPLE\n"
	                            "realm=TOLLGATE.EXAMPLE\nfrom=time:20270101000000Z\ntill=time:"
	                            "20270102000000Z\nnonce=random:\netype=16\n"
	                            "padata.types=2\n");
	seen.text[0] = '\0';
	krb_describe(x.reply.bytes, x.reply.len, collect, &seen);
	ck_assert_ptr_nonnull(strstr(
		seen.text, "ticket.sname=sc/sc1@TOLLGATE.EXAMPLE\nticket.enc-part.etype=16\nticket.enc-part.kvno=1\n"));
	ck_assert_ptr_nonnull(strstr(seen.text, "enc-part.cipher-bytes="));
	seen.text[0] = '\0';
	krb_describe(x.reply.bytes, x.reply.len - 1, collect, &seen);
	ck_assert_str_eq(seen.text, "msg-type=AS-REP\nmalformed=yes\n");
	as_exchange_free(&x);
	realm_free(&r);
}
END_TEST

/* Hostile bytes */

static uint64_t step(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void ignore(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	(void)ctx;
	(void)class_;
	ck_assert(strlen(path) > 0 && strlen(value) < 512);
}

static void feed(struct realm *r, const struct gss_initiator *state, const struct krb_as_client *as,
                 const uint8_t *bytes, size_t len)
{
	struct krb_error_info error;
	struct krb_as_facts facts;
	struct gss_accepted accepted;
	struct krb_credentials c;
	struct krb_time stamp;
	key_handle subkey;
	krb_describe(bytes, len, ignore, NULL);
	ck_assert_uint_le(krb_message_len(bytes, len), len);
	krb_error_parse(bytes, len, &error);
	if (krb_as_parse(r->crypto, bytes, len, &facts)) {
		krb_as_check_timestamp(r->kdc.sm, r->kdc_client_key, &facts, &stamp);
		krb_as_facts_free(&facts);
	}
	if (gss_accept(r->server.sm, r->server_key, bytes, len, true, &accepted) == GSS_OK)
		sm_destroy_key(r->server.sm, accepted.session_key);
	if (gss_accept_unchecked_ticket(r->server.sm, r->server_key, bytes, len, false, &accepted) == GSS_OK)
		sm_destroy_key(r->server.sm, accepted.session_key);
	if (krb_as_reply_timestamp(r->client.sm, r->client_key, as, bytes, len, &c) == KRB_REPLY_OK)
		krb_credentials_free(r->client.sm, &c);
	if (gss_init_finish(r->client.sm, state, bytes, len, &subkey))
		sm_destroy_key(r->client.sm, subkey);
}

START_TEST(survives_mutations)
{
	struct realm r;
	struct as_exchange x;
	realm_init(&r);
	struct krb_ticket_facts facts = restricted_facts(&r);
	as_exchange(&r, &facts, &x);
	struct krb_credentials c;
	ck_assert_int_eq(krb_as_reply_timestamp(r.client.sm, r.client_key, &x.state, x.reply.bytes, x.reply.len, &c),
	                 KRB_REPLY_OK);
	struct gss_initiator state;
	struct gss_accepted accepted;
	struct der req = { 0 }, rep = { 0 }, error = { 0 };
	key_handle subkey;
	struct krb_error_info info = { .code = 25, .stime = now, .server = r.server_name, .text = "no" };
	ck_assert(gss_init_start(r.client.sm, &c, now, 7, &state, &req));
	ck_assert_int_eq(gss_accept(r.server.sm, r.server_key, req.bytes, req.len, true, &accepted), GSS_OK);
	ck_assert(gss_accept_reply(r.server.sm, &accepted, &subkey, &rep));
	ck_assert(krb_error_build(r.crypto, &info, &error));
	const struct der *messages[] = { &x.request, &x.reply, &req, &rep, &error };
	const struct der *m = messages[_i];
	uint64_t seed = 0x5eed0 + (uint64_t)_i;
	size_t keys = sm_key_count(r.client.sm) + sm_key_count(r.server.sm) + sm_key_count(r.kdc.sm);
	for (unsigned i = 0; i < MUTATIONS; i++) {
		size_t len = m->len;
		/* malloc'ed to the byte, so that a read past the end is seen */
		if (step(&seed) % 8 == 0)
			len = step(&seed) % (m->len + 1);
		uint8_t *bytes = malloc(len ? len : 1);
		memcpy(bytes, m->bytes, len);
		for (unsigned k = step(&seed) % 4; k > 0 && len > 0; k--) {
			size_t at = step(&seed) % 3 ? step(&seed) % len : step(&seed) % (len < 64 ? len : 64);
			bytes[at] = (uint8_t)(step(&seed) % 2 ? step(&seed) : bytes[at] ^ 1u << step(&seed) % 8);
		}
		feed(&r, &state, &x.state, bytes, len);
		free(bytes);
	}
	ck_assert_uint_eq(keys, sm_key_count(r.client.sm) + sm_key_count(r.server.sm) + sm_key_count(r.kdc.sm));
	der_free(&req);
	der_free(&rep);
	der_free(&error);
	as_exchange_free(&x);
	krb_credentials_free(r.client.sm, &c);
	realm_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kerberos");
	TCase *cases = tcase_create("messages");
	tcase_set_timeout(cases, 120);
	tcase_add_test(cases, names);
	tcase_add_test(cases, names_of_peers_are_unambiguous);
	tcase_add_test(cases, message_lengths);
	tcase_add_test(cases, times);
	tcase_add_test(cases, errors);
	tcase_add_test(cases, as_timestamp);
	tcase_add_test(cases, as_timestamp_verdicts);
	tcase_add_test(cases, reply_part_of_mit);
	tcase_add_loop_test(cases, ap_exchange, 0, 2);
	tcase_add_test(cases, accept_verdicts);
	tcase_add_test(cases, unknown_restrictions_refuse);
	tcase_add_test(cases, self_issued);
	tcase_add_test(cases, t3_stolen_ticket);
	tcase_add_test(cases, t4_flipped_restriction);
	tcase_add_test(cases, describes);
	tcase_add_loop_test(cases, survives_mutations, 0, 5);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

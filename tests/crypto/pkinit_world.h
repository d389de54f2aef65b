/*
 * A CTA, a KDC and the PKI between them, for the tests of PKINIT: made once a program, inherited by every forked test.
 */
#ifndef TOLLGATE_TESTS_CRYPTO_PKINIT_WORLD_H
#define TOLLGATE_TESTS_CRYPTO_PKINIT_WORLD_H

#include <check.h>
#include "crypto/kerberos_attack.h"
#include "crypto/pkinit_cms.h"
#include "tests/crypto/fixture.h"

#define NOW FIXTURE_NOW_S

static const uint8_t sc_key[24] = { 0x92, 0x51, 0x79, 0xd0, 0x45, 0x91, 0xa7, 0x9b, 0x5d, 0x31, 0x92, 0xc4,
                                    0xa7, 0xe9, 0xc2, 0x89, 0xb0, 0x49, 0xc7, 0x1f, 0x6e, 0xe6, 0x04, 0xcd };
static const struct krb_time now = { NOW, 123456 };

struct books { /* of keys told */
	unsigned reply_born, reply_held, reply_dead, session_held;
	char reply_context[64], session_context[64];
};

struct world {
	struct crypto *crypto;
	struct fixture_pki pki;
	struct fixture_party cta, kdc;
	struct pkinit_identity identity;
	struct pkinit_kdc authority;
	key_handle server_key;
	struct krb_name server;
	struct der crl, stale_crl;
	struct pkinit_policy policy;
	struct books books;
};

static inline void watch(void *ctx, const struct key_news *news)
{
	struct books *books = ctx;
	if (strcmp(news->role, "krb.reply") == 0) {
		books->reply_born += news->life == KEY_LIFE_BORN;
		books->reply_held += news->life == KEY_LIFE_HELD;
		books->reply_dead += news->life == KEY_LIFE_DEAD;
		if (news->life != KEY_LIFE_DEAD)
			snprintf(books->reply_context, sizeof(books->reply_context), "%s", news->context);
	}
	if (strcmp(news->role, "krb.session") == 0 && news->life == KEY_LIFE_HELD) {
		books->session_held++;
		snprintf(books->session_context, sizeof(books->session_context), "%s", news->context);
	}
}

static inline struct krb_name name_of(const char *name)
{
	struct krb_name out;
	ck_assert(krb_name_set(&out, name, FIXTURE_REALM));
	return out;
}

static inline struct der issue_crl(struct world *w, const char *issuer, const struct der *issuer_cert,
                                   const uint64_t *serials, size_t count, int64_t next_update_s)
{
	struct der out = { 0 };
	size_t len;
	const uint8_t *key = key_pool_get(w->pki.pool, issuer, 2048, &len);
	ck_assert(crl_issue(w->crypto, issuer_cert, key, len, serials, count, NOW - 3600, next_update_s, &out));
	return out;
}

/* The key pairs of the fixture, made once: every test forks with them at hand. */
static struct world the_world;

static inline void world_init(void)
{
	struct world *w = &the_world;
	static const uint64_t other_serial = 99;
	w->crypto = crypto_new();
	ck_assert_ptr_nonnull(w->crypto);
	fixture_pki_init(&w->pki, w->crypto);
	crypto_set_key_watcher(w->crypto, watch, &w->books);
	fixture_party_init(&w->cta, w->crypto, "cta");
	fixture_party_init(&w->kdc, w->crypto, "kdc");
	sm_install_root(w->cta.sm, w->pki.root.bytes, w->pki.root.len);
	w->identity = (struct pkinit_identity){ .rsa_key = sm_install_rsa(w->cta.sm, w->pki.pool, "device", 1024),
	                                        .cert = w->pki.operator_cert, .name = name_of(w->pki.phone_id_hex) };
	w->authority = (struct pkinit_kdc){ .rsa_key = sm_install_rsa(w->kdc.sm, w->pki.pool, "kdc", 2048),
		                            .cert = w->pki.kdc,
		                            .ca_cert = w->pki.op_ca };
	w->server = name_of("sc/sc1");
	w->server_key = sm_install_des3(w->kdc.sm, "krb.server", "sc/sc1", sc_key);
	w->crl = issue_crl(w, "op-ca", &w->pki.op_ca, &other_serial, 1, NOW + 86400);
	w->stale_crl = issue_crl(w, "op-ca", &w->pki.op_ca, &other_serial, 1, NOW - 1);
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
	w->books = (struct books){ 0 };
}

static inline void world_free(void)
{
	struct world *w = &the_world;
	fixture_party_free(&w->cta);
	fixture_party_free(&w->kdc);
	der_free(&w->crl);
	der_free(&w->stale_crl);
	fixture_pki_free(&w->pki);
	crypto_free(w->crypto);
}

static inline struct krb_ticket_facts facts_for(const struct krb_as_facts *request)
{
	return (struct krb_ticket_facts){ .client = request->client, .server = request->server, .auth_time_s = NOW,
	                                  .start_time_s = NOW, .end_time_s = request->till_s };
}

struct exchange {
	struct pkinit_client *client;
	struct der request, reply;
};

static inline void ask(struct world *w, struct exchange *x, bool dh, enum pkinit_bind bind)
{
	*x = (struct exchange){ .client = NULL };
	x->client = pkinit_request(w->cta.sm, &w->identity, &w->server, now, NOW + 86400, dh, bind, &x->request);
	ck_assert_ptr_nonnull(x->client);
}

/* The KDC's answer, with ticket facts that the test may have bent. */
static inline void answer(struct world *w, struct exchange *x, const struct pkinit_kdc *kdc, enum pkinit_bind bind,
                   const struct krb_ticket_facts *ticket)
{
	struct krb_as_facts facts;
	ck_assert(krb_as_parse(w->crypto, x->request.bytes, x->request.len, &facts));
	struct krb_ticket_facts usual = facts_for(&facts);
	ck_assert(pkinit_check_signature(w->crypto, &facts));
	ck_assert(pkinit_reply_build(w->kdc.sm, kdc, w->server_key, &facts, ticket ? ticket : &usual, bind, now,
	                             &x->reply));
	krb_as_facts_free(&facts);
}

static inline enum krb_reply_verdict judge(struct world *w, struct exchange *x, const struct pkinit_policy *policy)
{
	struct krb_credentials c = { .session_key = 0 };
	struct cert_facts cert = { 0 };
	size_t before = sm_key_count(w->cta.sm);
	enum krb_reply_verdict verdict =
		pkinit_reply(w->cta.sm, x->client, &w->identity, policy, x->reply.bytes, x->reply.len, &c, &cert);
	ck_assert_uint_eq(sm_key_count(w->cta.sm), before + (verdict == KRB_REPLY_OK));
	ck_assert(verdict == KRB_REPLY_OK || (!c.ticket.bytes && !c.session_key));
	krb_credentials_free(w->cta.sm, &c);
	return verdict;
}

static inline void finish(struct exchange *x)
{
	pkinit_client_free(x->client);
	der_free(&x->request);
	der_free(&x->reply);
}

/* mode 0: RSA, rfc4556; 1: DH, rfc4556; 2: RSA, draft; 3: DH, draft */
static inline bool mode_dh(int mode) { return mode & 1; }
static inline enum pkinit_bind mode_bind(int mode) { return mode & 2 ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM; }

/* Hands the KDC's SignedData of a reply, in clear, to change(), and puts it back under its seal. */
static inline void alter_signed(struct world *w, struct exchange *x, void (*change)(struct der *whole))
{
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, x->reply.bytes, x->reply.len);
	KRB_TYPED *typed = (KRB_TYPED *)krb_find_typed(rep->padata, KRB_PA_PK_AS_REP);
	PKINIT_AS_REP *padata = KRB_DECODE(PKINIT_AS_REP, ASN1_STRING_get0_data(typed->value),
	                                   (size_t)ASN1_STRING_length(typed->value));
	struct der whole = { 0 }, bare = { 0 }, sealed = { 0 }, der = { 0 };
	ASN1_OCTET_STRING *held = padata->which == 0 ? padata->d.dh_info->signed_data : padata->d.enc_key_pack;
	if (padata->which == 0) {
		krb_der_copy(&whole, ASN1_STRING_get0_data(held), (size_t)ASN1_STRING_length(held));
		change(&whole);
		krb_put_octets(&held, whole.bytes, whole.len);
	} else {
		ck_assert_int_eq(pkinit_open_envelope(w->cta.sm, w->identity.rsa_key, ASN1_STRING_get0_data(held),
		                                      (size_t)ASN1_STRING_length(held), false, &bare), PKINIT_OPENED);
		ck_assert(pkinit_wrap(&bare, &whole));
		der_free(&bare);
		change(&whole);
		ck_assert(pkinit_unwrap(&whole, &bare) &&
		          pkinit_envelope(w->kdc.sm, &w->identity.cert, &bare, &sealed));
		krb_put_octets(&held, sealed.bytes, sealed.len);
	}
	ck_assert(KRB_ENCODE(PKINIT_AS_REP, padata, &der));
	krb_put_octets(&typed->value, der.bytes, der.len);
	der_free(&x->reply);
	ck_assert(KRB_ENCODE(KRB_AS_REPLY, rep, &x->reply));
	der_free(&der);
	der_free(&whole);
	der_free(&bare);
	der_free(&sealed);
	KRB_FREE(PKINIT_AS_REP, padata);
	KRB_FREE(KRB_AS_REPLY, rep);
}

#endif

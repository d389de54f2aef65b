/*
 * PKINIT at a client (RFC 4556 sections 3.2.1 and 3.2.4; the draft's form of both; flows.md 1).
 *
 * pkinit_reply() parses into one struct, verifies in a fixed order and commits at its end, so that each refusal has one
 * cause. The order is: syntax, opening, the KDC's certificate (chain, CRL, usage, name), signature, sealed part, nonce,
 * binding, server name, times. Everything that goes wrong between the RSA decryption and the first look at a
 * certificate is KRB_REPLY_DECRYPT, whatever it was: one RSA key signs and decrypts, and a peer must not learn what its
 * bytes became (attack K11).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/pki_internal.h"
#include "crypto/pkinit_cms.h"

#define CLOCK_SKEW_MAX_S 300 /* RFC 4120 section 1.6 */
#define CHAIN_MAX 8          /* certificates between root and KDC that are looked at */

struct pkinit_client {
	struct krb_name client, server;
	uint32_t nonce;          /* of body and authenticator */
	int64_t till_s;
	struct der request;      /* the AS-REQ: asChecksum is over it */
	EVP_PKEY *dh;            /* NULL: RSA mode asked */
};

/* The request */

static bool put_spki(EVP_PKEY *dh, PKINIT_SPKI **field)
{
	if (dh)
		*field = pkinit_dh_spki(dh);
	return !dh || *field;
}

static bool rfc_auth_pack(struct secure_module *sm, const struct pkinit_client *client, const struct der *body,
                          struct krb_time now, struct der *out)
{
	uint8_t checksum[20];
	PKINIT_AUTH_PACK *pack = KRB_NEW(PKINIT_AUTH_PACK);
	X509_ALGOR *des3 = X509_ALGOR_new();
	crypto_sha1(sm_crypto(sm), body->bytes, body->len, checksum);
	pack->authenticator->cusec = now.us;
	krb_put_time(&pack->authenticator->ctime, now.s);
	pack->authenticator->nonce = client->nonce;
	krb_put_octets(&pack->authenticator->pa_checksum, checksum, sizeof(checksum));
	pack->cms_types = sk_X509_ALGOR_new_null();
	if (!des3 || !X509_ALGOR_set0(des3, OBJ_nid2obj(NID_des_ede3_cbc), V_ASN1_UNDEF, NULL) || !pack->cms_types ||
	    !sk_X509_ALGOR_push(pack->cms_types, des3))
		abort();
	bool ok = put_spki(client->dh, &pack->client_public_value) && KRB_ENCODE(PKINIT_AUTH_PACK, pack, out);
	KRB_FREE(PKINIT_AUTH_PACK, pack);
	return ok;
}

static bool draft_auth_pack(const struct pkinit_client *client, struct krb_time now, struct der *out)
{
	PKINIT_DRAFT_AUTH_PACK *pack = KRB_NEW(PKINIT_DRAFT_AUTH_PACK);
	struct krb_name kdc = { .name = "krbtgt/" };
	memcpy(kdc.realm, client->server.realm, sizeof(kdc.realm));
	memcpy(kdc.name + strlen(kdc.name), client->server.realm, strlen(client->server.realm));
	krb_put_name(&pack->authenticator->kdc_name, &pack->authenticator->kdc_realm, &kdc);
	pack->authenticator->cusec = now.us;
	krb_put_time(&pack->authenticator->ctime, now.s);
	pack->authenticator->nonce = client->nonce;
	bool ok = put_spki(client->dh, &pack->client_public_value) && KRB_ENCODE(PKINIT_DRAFT_AUTH_PACK, pack, out);
	KRB_FREE(PKINIT_DRAFT_AUTH_PACK, pack);
	return ok;
}

/* The subject of the root in the module: which CAs this client trusts. */
static bool put_trusted(struct secure_module *sm, PKINIT_AS_REQ *padata)
{
	size_t len;
	const uint8_t *root = sm_root(sm, &len);
	X509 *x509 = root ? cert_parse(sm_crypto(sm), root, len) : NULL;
	unsigned char *name = NULL;
	if (!x509)
		return root == NULL; /* none installed: nothing to say */
	int name_len = i2d_X509_NAME(X509_get_subject_name(x509), &name);
	PKINIT_CERTIFIER *certifier = KRB_NEW(PKINIT_CERTIFIER);
	if (name_len > 0)
		krb_put_octets(&certifier->subject_name, name, (size_t)name_len);
	padata->trusted_certifiers = sk_PKINIT_CERTIFIER_new_null();
	if (!padata->trusted_certifiers || !sk_PKINIT_CERTIFIER_push(padata->trusted_certifiers, certifier))
		abort();
	OPENSSL_free(name);
	X509_free(x509);
	return name_len > 0;
}

static bool put_padata(struct secure_module *sm, const struct der *signed_pack, KRB_KDC_REQ *request)
{
	PKINIT_AS_REQ *padata = KRB_NEW(PKINIT_AS_REQ);
	struct der der = { 0 };
	krb_put_octets(&padata->signed_auth_pack, signed_pack->bytes, signed_pack->len);
	bool ok = put_trusted(sm, padata) && KRB_ENCODE(PKINIT_AS_REQ, padata, &der);
	if (ok)
		krb_push_typed(&request->padata, KRB_PA_PK_AS_REQ, der.bytes, der.len);
	der_free(&der);
	KRB_FREE(PKINIT_AS_REQ, padata);
	return ok;
}

static bool sign_request(struct secure_module *sm, const struct pkinit_identity *identity,
                         const struct pkinit_client *client, KRB_KDC_REQ *request, struct krb_time now,
                         enum pkinit_bind bind)
{
	bool draft = bind == PKINIT_BIND_NONCE;
	struct der body = { 0 }, pack = { 0 }, signed_pack = { 0 };
	bool ok = KRB_ENCODE(KRB_KDC_REQ_BODY, request->body, &body) &&
	          (draft ? draft_auth_pack(client, now, &pack) : rfc_auth_pack(sm, client, &body, now, &pack)) &&
	          pkinit_sign(sm, identity->rsa_key, &identity->cert, &identity->issuer_cert,
	                      draft ? PKINIT_ID_DATA : PKINIT_AUTH_DATA, &pack, now.s, &signed_pack) &&
	          put_padata(sm, &signed_pack, request);
	der_free(&body);
	der_free(&pack);
	der_free(&signed_pack);
	return ok;
}

struct pkinit_client *pkinit_request(struct secure_module *sm, const struct pkinit_identity *identity,
                                     const struct krb_name *server, struct krb_time now, int64_t till_s, bool dh,
                                     enum pkinit_bind bind, struct der *out)
{
	struct pkinit_client *client = calloc(1, sizeof(*client));
	if (!client)
		abort();
	client->client = identity->name;
	client->server = *server;
	client->nonce = krb_fresh_nonce(sm);
	client->till_s = till_s;
	client->dh = dh ? pkinit_dh_generate(sm) : NULL;
	KRB_KDC_REQ *request = krb_as_request(&identity->name, server, now, till_s, client->nonce);
	bool ok = sign_request(sm, identity, client, request, now, bind) &&
	          KRB_ENCODE(KRB_AS_REQUEST, request, &client->request) &&
	          krb_der_copy(out, client->request.bytes, client->request.len);
	KRB_FREE(KRB_AS_REQUEST, request);
	if (!ok) {
		pkinit_client_free(client);
		client = NULL;
	}
	return client;
}

void pkinit_client_free(struct pkinit_client *client)
{
	if (!client)
		return;
	der_free(&client->request);
	EVP_PKEY_free(client->dh);
	free(client);
}

/* The reply */

struct reply {
	KRB_KDC_REP *rep;
	PKINIT_AS_REP *padata;
	struct pkinit_signed kdc;   /* the KDC's signed data */
	struct cert_facts cert;
	bool dh;
	/* of what it signed */
	PKINIT_DH_KEY_INFO *dh_info;
	bool has_checksum;
	uint8_t checksum[20];
	uint32_t nonce;
	uint8_t key[KRB_KEY_LEN];   /* the reply key */
	key_handle key_handle;      /* the same, in the module's books */
	struct krb_reply_part part;
};

static void reply_wipe(struct secure_module *sm, struct reply *r)
{
	sm_destroy_key(sm, r->key_handle);
	KRB_FREE(PKINIT_DH_KEY_INFO, r->dh_info);
	pkinit_signed_free(&r->kdc);
	KRB_FREE(PKINIT_AS_REP, r->padata);
	KRB_FREE(KRB_AS_REPLY, r->rep);
	crypto_wipe(r, sizeof(*r));
}

bool pkinit_read_key_pack(const struct der *content, uint8_t key[KRB_KEY_LEN], bool *has_checksum, uint8_t checksum[20],
                          uint32_t *nonce)
{
	const uint8_t *bytes = NULL;
	PKINIT_REPLY_KEY_PACK *pack = KRB_DECODE(PKINIT_REPLY_KEY_PACK, content->bytes, content->len);
	PKINIT_DRAFT_REPLY_KEY_PACK *draft =
		pack ? NULL : KRB_DECODE(PKINIT_DRAFT_REPLY_KEY_PACK, content->bytes, content->len);
	KRB_TYPED *reply_key = pack ? pack->reply_key : draft ? draft->reply_key : NULL;
	*has_checksum = pack && pack->as_checksum->type == KRB_CKSUM_HMAC_SHA1_DES3 &&
	                ASN1_STRING_length(pack->as_checksum->value) == 20;
	if (*has_checksum)
		memcpy(checksum, ASN1_STRING_get0_data(pack->as_checksum->value), 20);
	*nonce = draft ? draft->nonce : 0;
	if (reply_key)
		bytes = krb_get_key(reply_key);
	if (bytes)
		memcpy(key, bytes, KRB_KEY_LEN);
	krb_wipe_typed(reply_key);
	KRB_FREE(PKINIT_REPLY_KEY_PACK, pack);
	KRB_FREE(PKINIT_DRAFT_REPLY_KEY_PACK, draft);
	return bytes != NULL;
}

static enum krb_reply_verdict parse(const struct pkinit_client *client, const uint8_t *bytes, size_t len,
                                    struct reply *r)
{
	r->rep = krb_reply_decode(bytes, len, &client->client);
	const KRB_TYPED *padata = r->rep ? krb_find_typed(r->rep->padata, KRB_PA_PK_AS_REP) : NULL;
	if (!padata)
		return KRB_REPLY_MALFORMED;
	r->padata = KRB_DECODE(PKINIT_AS_REP, ASN1_STRING_get0_data(padata->value),
	                       (size_t)ASN1_STRING_length(padata->value));
	if (!r->padata)
		return KRB_REPLY_MALFORMED;
	r->dh = r->padata->which == 0;
	/* We send neither a DH nonce nor key derivation functions: a KDC that answers to them answers somebody else. */
	if (r->dh && (!client->dh || r->padata->d.dh_info->server_dh_nonce || r->padata->d.dh_info->kdf))
		return KRB_REPLY_MALFORMED;
	return KRB_REPLY_OK;
}

static enum krb_reply_verdict open_dh(struct crypto *crypto, struct reply *r)
{
	const ASN1_OCTET_STRING *signed_data = r->padata->d.dh_info->signed_data;
	if (!pkinit_signed_read(crypto, ASN1_STRING_get0_data(signed_data),
	                        (size_t)ASN1_STRING_length(signed_data), &r->kdc) ||
	    r->kdc.type != PKINIT_DH_KEY_DATA)
		return KRB_REPLY_MALFORMED;
	r->dh_info = KRB_DECODE(PKINIT_DH_KEY_INFO, r->kdc.content.bytes, r->kdc.content.len);
	if (!r->dh_info)
		return KRB_REPLY_MALFORMED;
	r->nonce = r->dh_info->nonce;
	return KRB_REPLY_OK;
}

static enum krb_reply_verdict open_rsa(struct secure_module *sm, key_handle key, bool tell_padding, struct reply *r)
{
	const ASN1_OCTET_STRING *pack = r->padata->d.enc_key_pack;
	struct der bare = { 0 }, whole = { 0 };
	enum pkinit_opened opened = pkinit_open_envelope(sm, key, ASN1_STRING_get0_data(pack),
	                                                 (size_t)ASN1_STRING_length(pack), tell_padding, &bare);
	bool ok = opened == PKINIT_OPENED && pkinit_wrap(&bare, &whole) &&
	          pkinit_signed_read(sm_crypto(sm), whole.bytes, whole.len, &r->kdc) &&
	          r->kdc.type == PKINIT_REPLY_KEY_DATA &&
	          pkinit_read_key_pack(&r->kdc.content, r->key, &r->has_checksum, r->checksum, &r->nonce);
	krb_der_wipe(&bare);
	krb_der_wipe(&whole);
	if (opened == PKINIT_OPEN_PADDING)
		return KRB_REPLY_PADDING;
	return ok ? KRB_REPLY_OK : KRB_REPLY_DECRYPT;
}

/* The KDC's certificate */

struct candidates {
	struct der certs[CHAIN_MAX]; /* borrowed */
	size_t count;
};

static void add_candidate(struct candidates *list, const struct der *cert)
{
	if (cert->len && list->count < CHAIN_MAX)
		list->certs[list->count++] = *cert;
}

/* What may stand between root and KDC: what the client has been told before what the peer sends along. */
static void collect(const struct pkinit_policy *policy, const struct reply *r, struct candidates *list)
{
	for (unsigned i = 0; policy->kdc_ca && i < policy->kdc_ca_count; i++)
		add_candidate(list, &policy->kdc_ca[i]);
	for (unsigned i = 0; i < r->kdc.extra_count; i++)
		add_candidate(list, &r->kdc.extra[i]);
}

static enum krb_reply_verdict check_chain(struct crypto *crypto, const struct pkinit_policy *policy,
                                          const struct der *root, const struct candidates *list, const struct reply *r)
{
	if (!policy->verify_root)
		return KRB_REPLY_OK;
	enum cert_verdict verdict = root->len ? cert_verify(crypto, &r->kdc.signer, list->certs, list->count, root, 1,
	                                                    policy->now_s, false) : CERT_UNTRUSTED;
	return verdict == CERT_OK ? KRB_REPLY_OK : KRB_REPLY_KDC_UNTRUSTED;
}

/* Whether the CRL was issued under the name that issued the certificate. */
static bool crl_speaks(struct crypto *crypto, const struct der *crl, const struct der *leaf)
{
	X509_CRL *parsed = crl_parse(crypto, crl);
	X509 *cert = cert_parse(crypto, leaf->bytes, leaf->len);
	/* One that cannot be read is no evidence of anything: it counts as speaking, and crl_check() refuses it. */
	bool speaks = !parsed || !cert || X509_NAME_cmp(X509_CRL_get_issuer(parsed), X509_get_issuer_name(cert)) == 0;
	X509_free(cert);
	X509_CRL_free(parsed);
	ERR_clear_error();
	return speaks;
}

static const struct der *issuer_of(struct crypto *crypto, const struct reply *r, const struct der *root,
                                   const struct candidates *list)
{
	struct cert_facts facts;
	for (size_t i = 0; i < list->count; i++) {
		if (cert_read_with(crypto, list->certs[i].bytes, list->certs[i].len, &facts) && strcmp(facts.subject, r->cert.issuer) == 0)
			return &list->certs[i];
	}
	if (root->len && cert_read_with(crypto, root->bytes, root->len, &facts) && strcmp(facts.subject, r->cert.issuer) == 0)
		return root;
	return NULL;
}

static enum krb_reply_verdict check_crl(struct crypto *crypto, const struct pkinit_policy *policy,
                                        const struct der *root, const struct candidates *list, const struct reply *r)
{
	if (!policy->check_crl)
		return KRB_REPLY_OK;
	if (!policy->crl || !policy->crl->len)
		return KRB_REPLY_KDC_REVOKED;
	if (!crl_speaks(crypto, policy->crl, &r->kdc.signer))
		return KRB_REPLY_OK;
	const struct der *issuer = issuer_of(crypto, r, root, list);
	enum crl_verdict verdict =
		issuer ? crl_check(crypto, policy->crl, issuer, &r->kdc.signer, policy->now_s) : CRL_BAD;
	/* A client that takes any root has none under which to judge the CRL itself: only a listed number counts there.
	 */
	return verdict == CRL_CLEAR || (verdict == CRL_BAD && !policy->verify_root) ? KRB_REPLY_OK :
	                                                                              KRB_REPLY_KDC_REVOKED;
}

static enum krb_reply_verdict check_name(const struct pkinit_policy *policy, const struct pkinit_client *client,
                                         const struct reply *r)
{
	char expected[sizeof("krbtgt/@") + 2 * KRB_REALM_MAX];
	snprintf(expected, sizeof(expected), "krbtgt/%s@%s", client->server.realm, client->server.realm);
	if (!policy->check_kdc_name || strcmp(r->cert.principal, expected) == 0)
		return KRB_REPLY_OK;
	/* No name at all is no false name; RFC 4556 section 3.2.4 then leans on the extended key usage. */
	return r->cert.principal[0] == '\0' && !policy->require_kdc_eku ? KRB_REPLY_OK : KRB_REPLY_KDC_NAME;
}

static enum krb_reply_verdict check_kdc(struct secure_module *sm, const struct pkinit_policy *policy,
                                        const struct pkinit_client *client, struct reply *r,
                                        struct cert_facts *kdc_cert)
{
	struct der root = { 0 };
	struct candidates list = { .count = 0 };
	root.bytes = (uint8_t *)sm_root(sm, &root.len);
	if (!cert_read_with(sm_crypto(sm), r->kdc.signer.bytes, r->kdc.signer.len, &r->cert))
		return KRB_REPLY_KDC_UNTRUSTED;
	if (kdc_cert)
		*kdc_cert = r->cert;
	collect(policy, r, &list);
	enum krb_reply_verdict verdict = check_chain(sm_crypto(sm), policy, &root, &list, r);
	if (verdict == KRB_REPLY_OK)
		verdict = check_crl(sm_crypto(sm), policy, &root, &list, r);
	if (verdict == KRB_REPLY_OK && policy->require_kdc_eku && !r->cert.has_kdc_eku)
		verdict = KRB_REPLY_KDC_USAGE;
	if (verdict == KRB_REPLY_OK)
		verdict = check_name(policy, client, r);
	return verdict;
}

/* Keys and contents */

static enum krb_reply_verdict take_reply_key(struct secure_module *sm, const struct pkinit_client *client,
                                             struct reply *r)
{
	char context[KRB_PRINCIPAL_MAX];
	if (r->dh) {
		const ASN1_BIT_STRING *public_key = r->dh_info->public_key;
		if (!pkinit_dh_reply_key(sm, client->dh, ASN1_STRING_get0_data(public_key),
		                         (size_t)ASN1_STRING_length(public_key), r->key))
			return KRB_REPLY_MALFORMED;
	}
	krb_principal_text(&client->client, context);
	r->key_handle = sm_add(sm, SM_DES3, "krb.reply", r->key, KRB_KEY_LEN, r->dh ? "derived:pkinit-dh" : "unwrapped",
	                       context, NULL);
	return krb_reply_open(sm_crypto(sm), r->key, r->rep, &r->part);
}

static bool is_bound(struct crypto *crypto, const struct pkinit_client *client, enum pkinit_bind bind,
                     const struct reply *r)
{
	uint8_t expected[20];
	if (r->dh) /* the signed public value carries the authenticator's nonce in either profile */
		return r->nonce == client->nonce;
	if (bind == PKINIT_BIND_NONCE)
		return !r->has_checksum && r->nonce == client->nonce;
	return r->has_checksum &&
	       krb_checksum(crypto, r->key, KRB_USAGE_AS_CHECKSUM, client->request.bytes, client->request.len,
	                    expected) &&
	       crypto_equal(expected, r->checksum, sizeof(expected));
}

static bool times_hold(const struct pkinit_client *client, int64_t now_s, const struct krb_reply_part *part)
{
	return part->start_time_s <= now_s + CLOCK_SKEW_MAX_S && part->end_time_s > now_s - CLOCK_SKEW_MAX_S &&
	       part->end_time_s > part->start_time_s && (client->till_s == 0 || part->end_time_s <= client->till_s);
}

static enum krb_reply_verdict check_contents(struct crypto *crypto, const struct pkinit_policy *policy,
                                             const struct pkinit_client *client, const struct reply *r,
                                             const struct krb_name *ticket_server)
{
	if (policy->check_nonce && r->part.nonce != client->nonce)
		return KRB_REPLY_NONCE;
	if (policy->check_bind && !is_bound(crypto, client, policy->bind, r))
		return KRB_REPLY_BINDING;
	if (policy->check_sealed_sname && (!krb_name_equal(&r->part.server, &client->server) ||
	                                   !krb_name_equal(ticket_server, &r->part.server)))
		return KRB_REPLY_SNAME;
	return times_hold(client, policy->now_s, &r->part) ? KRB_REPLY_OK : KRB_REPLY_TIME;
}

static enum krb_reply_verdict verify(struct secure_module *sm, const struct pkinit_client *client, key_handle rsa_key,
                                     const struct pkinit_policy *policy, const uint8_t *bytes, size_t len,
                                     struct reply *r, struct krb_name *ticket_server, struct cert_facts *kdc_cert)
{
	struct crypto *crypto = sm_crypto(sm);
	enum krb_reply_verdict verdict = parse(client, bytes, len, r);
	if (verdict == KRB_REPLY_OK)
		verdict = r->dh ? open_dh(crypto, r) : open_rsa(sm, rsa_key, policy->tell_padding, r);
	if (verdict == KRB_REPLY_OK)
		verdict = check_kdc(sm, policy, client, r, kdc_cert);
	if (verdict == KRB_REPLY_OK && !pkinit_signed_verify(crypto, &r->kdc))
		verdict = KRB_REPLY_SIGNATURE;
	if (verdict == KRB_REPLY_OK)
		verdict = take_reply_key(sm, client, r);
	if (verdict == KRB_REPLY_OK && !krb_get_name(r->rep->ticket->sname, r->rep->ticket->realm, ticket_server))
		verdict = KRB_REPLY_MALFORMED;
	if (verdict == KRB_REPLY_OK)
		verdict = check_contents(crypto, policy, client, r, ticket_server);
	return verdict;
}

enum krb_reply_verdict pkinit_reply(struct secure_module *sm, struct pkinit_client *client,
                                    const struct pkinit_identity *identity, const struct pkinit_policy *policy,
                                    const uint8_t *bytes, size_t len, struct krb_credentials *out,
                                    struct cert_facts *kdc_cert)
{
	struct reply r = { .dh = false };
	struct krb_name ticket_server;
	enum krb_reply_verdict verdict =
		verify(sm, client, identity->rsa_key, policy, bytes, len, &r, &ticket_server, kdc_cert);
	if (verdict == KRB_REPLY_OK && !krb_credentials_fill(sm, r.rep, &r.part, &client->client, &ticket_server,
	                                                     sm_lookup(sm, r.key_handle, SM_DES3), out))
		verdict = KRB_REPLY_MALFORMED;
	reply_wipe(sm, &r);
	return verdict;
}

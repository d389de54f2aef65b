/*
 * The AP exchange (RFC 4120 section 3.2) in the shape of the GSS-API's init and accept (RFC 2743; patent [0047],
 * [0070]-[0074]).
 *
 * The authenticator carries the SPI as authorisation data (ad-type KRB_AD_SPI, four octets big endian) and the patent's
 * keyed hash as its checksum: hmac-sha1-des3-kd over the ticket, so that an authenticator speaks for one ticket. The
 * sub-key is the acceptor's choice and comes in the AP-REP. Time and replay are the acceptor's to judge, not this
 * file's.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "crypto/kerberos_internal.h"

#define SPI_LEN 4
#define SPI_CONTEXT_MAX 16
#define SEQUENCE_MASK 0x3fffffffu /* initial numbers leave room before peers that take them for signed */

static void spi_context(uint32_t spi, char out[SPI_CONTEXT_MAX])
{
	snprintf(out, SPI_CONTEXT_MAX, "0x%08x", (unsigned)spi);
}

/* Checksum over a ticket's DER. */
static bool ticket_checksum(struct crypto *crypto, const uint8_t *session, const KRB_TICKET *ticket, uint8_t out[20])
{
	struct der der = { 0 };
	bool ok = KRB_ENCODE(KRB_TICKET, ticket, &der) &&
	          krb_checksum(crypto, session, KRB_USAGE_AP_CKSUM, der.bytes, der.len, out);
	der_free(&der);
	return ok;
}

static void *open_value(struct crypto *crypto, const uint8_t *key, enum krb_usage usage, const KRB_SEALED *sealed,
                        const ASN1_ITEM *item)
{
	struct der plain = { 0 };
	void *value = NULL;
	if (krb_open_sealed(crypto, key, usage, sealed, &plain))
		value = krb_decode_padded(item, plain.bytes, plain.len);
	krb_der_wipe(&plain);
	return value;
}

/* Initiator */

static KRB_AUTHENTICATOR *make_authenticator(struct secure_module *sm, const struct krb_name *client,
                                             struct krb_time now, uint32_t spi, const uint8_t cksum[20])
{
	const uint8_t spi_bytes[SPI_LEN] = { (uint8_t)(spi >> 24), (uint8_t)(spi >> 16), (uint8_t)(spi >> 8),
		                             (uint8_t)spi };
	KRB_AUTHENTICATOR *authenticator = KRB_NEW(KRB_AUTHENTICATOR);
	authenticator->vno = KRB_PVNO;
	krb_put_name(&authenticator->cname, &authenticator->crealm, client);
	krb_put_typed(&authenticator->cksum, KRB_CKSUM_HMAC_SHA1_DES3, cksum, 20);
	authenticator->cusec = now.us;
	krb_put_time(&authenticator->ctime, now.s);
	krb_put_uint(&authenticator->seq_number, krb_fresh_nonce(sm) & SEQUENCE_MASK);
	krb_push_typed(&authenticator->authorization_data, KRB_AD_SPI, spi_bytes, sizeof(spi_bytes));
	return authenticator;
}

bool gss_init_start(struct secure_module *sm, const struct krb_credentials *credentials, struct krb_time now,
                    uint32_t spi, struct gss_initiator *state, struct der *token)
{
	const struct sm_key *session = sm_lookup(sm, credentials->session_key, SM_DES3);
	uint8_t cksum[20];
	if (!session)
		return false;
	KRB_TICKET *ticket = KRB_DECODE(KRB_TICKET, credentials->ticket.bytes, credentials->ticket.len);
	if (!ticket || !ticket_checksum(sm_crypto(sm), session->bytes, ticket, cksum)) {
		KRB_FREE(KRB_TICKET, ticket);
		return false;
	}
	KRB_AP_REQ_MSG *request = KRB_NEW(KRB_AP_REQ_MSG);
	KRB_AUTHENTICATOR *authenticator = make_authenticator(sm, &credentials->client, now, spi, cksum);
	request->pvno = KRB_PVNO;
	request->msg_type = KRB_AP_REQ;
	krb_put_flags(&request->options, KRB_AP_MUTUAL_REQUIRED);
	KRB_FREE(KRB_TICKET, request->ticket);
	request->ticket = ticket;
	bool ok = krb_seal_value(sm_crypto(sm), sm_random(sm), session->bytes, KRB_USAGE_AP_REQ, 0, authenticator,
	                         ASN1_ITEM_rptr(KRB_AUTHENTICATOR), &request->authenticator) &&
	          KRB_ENCODE(KRB_AP_REQ_MSG, request, token);
	if (ok)
		*state = (struct gss_initiator){ .session_key = credentials->session_key, .ctime = now, .spi = spi };
	KRB_FREE(KRB_AUTHENTICATOR, authenticator);
	KRB_FREE(KRB_AP_REQ_MSG, request);
	return ok;
}

static KRB_AP_REP_MSG *decode_reply(const uint8_t *token, size_t len)
{
	KRB_AP_REP_MSG *rep = krb_message_len(token, len) == len && krb_type(token, len) == KRB_AP_REP ?
	                      KRB_DECODE(KRB_AP_REP_MSG, token, len) : NULL;
	if (rep && (rep->pvno != KRB_PVNO || rep->msg_type != KRB_AP_REP)) {
		KRB_FREE(KRB_AP_REP_MSG, rep);
		rep = NULL;
	}
	return rep;
}

/* expected NULL: whatever time it answers. */
static bool take_subkey(struct secure_module *sm, key_handle session_key, const uint8_t *token, size_t len,
                        const struct krb_time *expected, const char *context, key_handle *subkey)
{
	const struct sm_key *session = sm_lookup(sm, session_key, SM_DES3);
	KRB_AP_REP_MSG *rep = session ? decode_reply(token, len) : NULL;
	KRB_ENC_AP_REP_PART *part = NULL;
	int64_t time_s;
	if (rep)
		part = open_value(sm_crypto(sm), session->bytes, KRB_USAGE_AP_REP, rep->enc_part,
		                  ASN1_ITEM_rptr(KRB_ENC_AP_REP_PART));
	const uint8_t *key = part ? krb_get_key(part->subkey) : NULL;
	bool ok = key && krb_get_time(part->ctime, &time_s) &&
	          (!expected || (time_s == expected->s && part->cusec == expected->us));
	if (ok)
		*subkey = sm_add(sm, SM_DES3, "subkey", key, KRB_KEY_LEN, "unwrapped", context, session);
	if (part)
		krb_wipe_typed(part->subkey);
	KRB_FREE(KRB_ENC_AP_REP_PART, part);
	KRB_FREE(KRB_AP_REP_MSG, rep);
	return ok;
}

bool gss_init_finish(struct secure_module *sm, const struct gss_initiator *state, const uint8_t *token, size_t len,
                     key_handle *subkey)
{
	char context[SPI_CONTEXT_MAX];
	spi_context(state->spi, context);
	return take_subkey(sm, state->session_key, token, len, &state->ctime, context, subkey);
}

bool krb_ap_rep_read(struct secure_module *sm, key_handle session_key, const uint8_t *token, size_t len,
                     key_handle *subkey)
{
	return take_subkey(sm, session_key, token, len, NULL, "", subkey);
}

/* Acceptor */

static KRB_AP_REQ_MSG *decode_request(const uint8_t *token, size_t len)
{
	KRB_AP_REQ_MSG *request = krb_message_len(token, len) == len && krb_type(token, len) == KRB_AP_REQ ?
	                          KRB_DECODE(KRB_AP_REQ_MSG, token, len) : NULL;
	if (request &&
	    (request->pvno != KRB_PVNO || request->msg_type != KRB_AP_REQ || request->ticket->vno != KRB_PVNO)) {
		KRB_FREE(KRB_AP_REQ_MSG, request);
		request = NULL;
	}
	return request;
}

static bool ours(const KRB_SEALED *sealed)
{
	uint32_t kvno;
	return sealed->etype == KRB_ETYPE_DES3 &&
	       (!sealed->kvno || (krb_get_uint(sealed->kvno, &kvno) && kvno == KRB_TICKET_KVNO));
}

/* Opens the ticket. GSS_OK: session and facts are filled. */
static enum gss_verdict open_ticket(struct crypto *crypto, const struct sm_key *server_key, const KRB_TICKET *ticket,
                                    bool check_integrity, uint8_t session[KRB_KEY_LEN], struct krb_ticket_facts *facts)
{
	const ASN1_OCTET_STRING *cipher = ticket->enc_part->cipher;
	size_t cipher_len = (size_t)ASN1_STRING_length(cipher), plain_len = 0;
	if (!ours(ticket->enc_part))
		return GSS_NOT_US;
	uint8_t *plain = malloc(cipher_len + 1);
	if (!plain)
		abort();
	enum gss_verdict verdict = GSS_TICKET_INTEGRITY;
	KRB_ENC_TICKET_PART *part = NULL;
	bool opened = check_integrity ?
	                      krb_open(crypto, server_key->bytes, KRB_USAGE_TICKET, ASN1_STRING_get0_data(cipher),
	                               cipher_len, plain, &plain_len) :
	                      krb_open_unchecked(crypto, server_key->bytes, KRB_USAGE_TICKET,
	                                         ASN1_STRING_get0_data(cipher), cipher_len, plain, &plain_len);
	if (opened)
		part = krb_decode_padded(ASN1_ITEM_rptr(KRB_ENC_TICKET_PART), plain, plain_len);
	if (opened)
		verdict = part && krb_ticket_read(ticket, part, facts) ? GSS_OK : GSS_MALFORMED;
	if (verdict == GSS_OK)
		memcpy(session, krb_get_key(part->key), KRB_KEY_LEN);
	if (part)
		krb_wipe_typed(part->key);
	KRB_FREE(KRB_ENC_TICKET_PART, part);
	crypto_wipe(plain, cipher_len);
	free(plain);
	return verdict;
}

static bool read_spi(const STACK_OF(KRB_TYPED) *list, uint32_t *spi)
{
	const KRB_TYPED *element = krb_find_typed(list, KRB_AD_SPI);
	if (!element || ASN1_STRING_length(element->value) != SPI_LEN)
		return false;
	const uint8_t *b = ASN1_STRING_get0_data(element->value);
	*spi = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	return true;
}

/* What the authenticator says, once decrypted; its checksum binds it to this ticket. */
static bool read_authenticator(struct crypto *crypto, const uint8_t *session, const KRB_TICKET *ticket,
                               const KRB_AUTHENTICATOR *in, struct gss_accepted *got)
{
	uint8_t cksum[20];
	return in->vno == KRB_PVNO && in->cksum && in->cksum->type == KRB_CKSUM_HMAC_SHA1_DES3 &&
	       ASN1_STRING_length(in->cksum->value) == sizeof(cksum) &&
	       ticket_checksum(crypto, session, ticket, cksum) &&
	       crypto_equal(cksum, ASN1_STRING_get0_data(in->cksum->value), sizeof(cksum)) &&
	       krb_get_name(in->cname, in->crealm, &got->authenticator_client) &&
	       krb_get_time(in->ctime, &got->ctime.s) && in->cusec >= 0 && in->cusec <= 999999 &&
	       read_spi(in->authorization_data, &got->spi);
}

static enum gss_verdict open_authenticator(struct crypto *crypto, const uint8_t *session, const KRB_AP_REQ_MSG *request,
                                           struct gss_accepted *got)
{
	enum gss_verdict verdict = GSS_AUTHENTICATOR;
	struct gss_accepted read = *got;
	KRB_AUTHENTICATOR *in = open_value(crypto, session, KRB_USAGE_AP_REQ, request->authenticator,
	                                   ASN1_ITEM_rptr(KRB_AUTHENTICATOR));
	if (in && read_authenticator(crypto, session, request->ticket, in, &read)) {
		read.ctime.us = in->cusec;
		verdict = krb_name_equal(&read.authenticator_client, &read.ticket.client) ? GSS_OK : GSS_BADMATCH;
	}
	if (in)
		krb_wipe_typed(in->subkey);
	KRB_FREE(KRB_AUTHENTICATOR, in);
	if (verdict != GSS_AUTHENTICATOR) {
		read.authenticator_ok = verdict == GSS_OK;
		*got = read;
	}
	return verdict;
}

static enum gss_verdict accept(struct secure_module *sm, key_handle server_key, const uint8_t *token, size_t len,
                               bool check_integrity, bool check_authenticator, struct gss_accepted *out)
{
	struct crypto *crypto = sm_crypto(sm);
	const struct sm_key *key = sm_lookup(sm, server_key, SM_DES3);
	struct gss_accepted got = { .session_key = 0 };
	uint8_t session[KRB_KEY_LEN] = { 0 };
	char context[KRB_PRINCIPAL_MAX];
	KRB_AP_REQ_MSG *request = decode_request(token, len);
	if (!request)
		return GSS_MALFORMED;
	enum gss_verdict verdict =
		key ? open_ticket(crypto, key, request->ticket, check_integrity, session, &got.ticket) : GSS_NOT_US;
	if (verdict == GSS_OK) {
		const ASN1_OCTET_STRING *sealed = request->authenticator->cipher;
		crypto_sha1(crypto, ASN1_STRING_get0_data(sealed), (size_t)ASN1_STRING_length(sealed),
		            got.authenticator_hash);
		enum gss_verdict judged = open_authenticator(crypto, session, request, &got);
		verdict = check_authenticator ? judged : GSS_OK;
	}
	if (verdict == GSS_OK) {
		krb_principal_text(&got.ticket.server, context);
		got.session_key =
			sm_add(sm, SM_DES3, "krb.session", session, sizeof(session), "unwrapped", context, key);
		*out = got;
	}
	crypto_wipe(session, sizeof(session));
	KRB_FREE(KRB_AP_REQ_MSG, request);
	return verdict;
}

enum gss_verdict gss_accept(struct secure_module *sm, key_handle server_key, const uint8_t *token, size_t len,
                            bool check_authenticator, struct gss_accepted *out)
{
	return accept(sm, server_key, token, len, true, check_authenticator, out);
}

enum gss_verdict gss_accept_unchecked_ticket(struct secure_module *sm, key_handle server_key, const uint8_t *token,
                                             size_t len, bool check_authenticator, struct gss_accepted *out)
{
	return accept(sm, server_key, token, len, false, check_authenticator, out);
}

static bool build_reply(struct secure_module *sm, const struct gss_accepted *accepted, const uint8_t key[KRB_KEY_LEN],
                        struct der *token)
{
	const struct sm_key *session = sm_lookup(sm, accepted->session_key, SM_DES3);
	if (!session)
		return false;
	KRB_AP_REP_MSG *rep = KRB_NEW(KRB_AP_REP_MSG);
	KRB_ENC_AP_REP_PART *part = KRB_NEW(KRB_ENC_AP_REP_PART);
	krb_put_time(&part->ctime, accepted->ctime.s);
	part->cusec = accepted->ctime.us;
	krb_put_typed(&part->subkey, KRB_ETYPE_DES3, key, KRB_KEY_LEN);
	krb_put_uint(&part->seq_number, krb_fresh_nonce(sm) & SEQUENCE_MASK);
	rep->pvno = KRB_PVNO;
	rep->msg_type = KRB_AP_REP;
	bool ok = krb_seal_value(sm_crypto(sm), sm_random(sm), session->bytes, KRB_USAGE_AP_REP, 0, part,
	                         ASN1_ITEM_rptr(KRB_ENC_AP_REP_PART), &rep->enc_part) &&
	          KRB_ENCODE(KRB_AP_REP_MSG, rep, token);
	krb_wipe_typed(part->subkey);
	KRB_FREE(KRB_ENC_AP_REP_PART, part);
	KRB_FREE(KRB_AP_REP_MSG, rep);
	return ok;
}

bool gss_accept_reply(struct secure_module *sm, const struct gss_accepted *accepted, key_handle *subkey,
                      struct der *token)
{
	uint8_t key[KRB_KEY_LEN];
	char context[SPI_CONTEXT_MAX];
	bool ok;

	krb_fresh_key(sm, key);
	ok = build_reply(sm, accepted, key, token);
	if (ok) {
		spi_context(accepted->spi, context);
		*subkey = sm_add(sm, SM_DES3, "subkey", key, sizeof(key), "generated", context, NULL);
	}
	crypto_wipe(key, sizeof(key));
	return ok;
}

bool gss_accept_reply_again(struct secure_module *sm, const struct gss_accepted *accepted, key_handle subkey,
                            struct der *token)
{
	const struct sm_key *key = sm_lookup(sm, subkey, SM_DES3);

	return key && build_reply(sm, accepted, key->bytes, token);
}

/* The attacker's hands */

bool krb_ap_req_rewrite(struct secure_module *sm, key_handle session_key, const uint8_t *token, size_t len,
                        const struct krb_name *new_client, struct der *out)
{
	const struct sm_key *session = sm_lookup(sm, session_key, SM_DES3);
	KRB_AP_REQ_MSG *request = session ? decode_request(token, len) : NULL;
	KRB_AUTHENTICATOR *authenticator = NULL;
	if (request)
		authenticator = open_value(sm_crypto(sm), session->bytes, KRB_USAGE_AP_REQ, request->authenticator,
		                           ASN1_ITEM_rptr(KRB_AUTHENTICATOR));
	bool ok = authenticator != NULL;
	if (ok) { /* the checksum is over the ticket, which stays */
		krb_put_name(&authenticator->cname, &authenticator->crealm, new_client);
		ok = krb_seal_value(sm_crypto(sm), sm_random(sm), session->bytes, KRB_USAGE_AP_REQ, 0, authenticator,
		                    ASN1_ITEM_rptr(KRB_AUTHENTICATOR), &request->authenticator) &&
		     KRB_ENCODE(KRB_AP_REQ_MSG, request, out);
		krb_wipe_typed(authenticator->subkey);
	}
	KRB_FREE(KRB_AUTHENTICATOR, authenticator);
	KRB_FREE(KRB_AP_REQ_MSG, request);
	return ok;
}

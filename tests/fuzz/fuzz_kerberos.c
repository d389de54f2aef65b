/*
 * Fuzzing of Kerberos, PKINIT and certificates: messages as they come from the wire, and what stands sealed or signed
 * in them, changed and then sealed or signed again under the right key, so that the mutations get past the
 * cryptography.
 *
 * Input: a byte whose lower four bits choose what the rest is (enum kind, modulo KIND_COUNT), bit 4 a client whose
 * checks are off, bit 5 Diffie-Hellman, bit 6 the draft's reply; then the bytes. What must hold: every parser is
 * total, a module has as many keys after a refusal as before, a refusal leaves nothing to free, an error message that
 * is read and built again says the same.
 */
#include "crypto/kerberos_attack.h"
#include "crypto/pkinit_cms.h"
#include "tests/crypto/fixture.h"
#include "tests/fuzz/fuzz.h"

#define NOW FIXTURE_NOW_S
#define RSA_BITS 1024 /* the smallest there is: size is not the point here */
#define SPI 0x1000u
#define OPTION_LAX 0x10
#define OPTION_DH 0x20
#define OPTION_DRAFT 0x40

enum kind {
	/* whole messages */
	AS_REQUEST,
	AS_REPLY,
	AP_REQUEST,
	AP_REPLY,
	ERROR_MESSAGE,
	CERTIFICATE,
	CRL,
	/* plain text of a sealed part */
	IN_TICKET,
	IN_AUTHENTICATOR,
	IN_AP_REPLY,
	IN_AS_REPLY,
	IN_STAMP,
	/* what is signed */
	IN_AUTH_PACK,
	IN_KEY_PACK,
	IN_ENVELOPE, /* SignedData inside the envelope */
	KIND_COUNT
};

static const uint8_t client_key_bytes[24] = {
	0x92, 0x51, 0x79, 0xd0, 0x45, 0x91, 0xa7, 0x9b, 0x5d, 0x31, 0x92, 0xc4,
	0xa7, 0xe9, 0xc2, 0x89, 0xb0, 0x49, 0xc7, 0x1f, 0x6e, 0xe6, 0x04, 0xcd
};
static const uint8_t server_key_bytes[24] = {
	0x4c, 0x57, 0x3d, 0xb0, 0xa8, 0x29, 0x0e, 0x13, 0x5e, 0xd9, 0x68, 0x31,
	0x0e, 0x7a, 0x4a, 0x79, 0x1f, 0xfd, 0x61, 0x23, 0xa7, 0x8c, 0xd5, 0x2a
};
static const struct krb_time now = { NOW, 123456 };

/* Made once: making keys costs more than thousands of inputs. Nothing in it changes from one input to the next. */
static struct {
	bool made;
	struct crypto *crypto;
	struct fixture_pki pki;
	struct fixture_party cta, kdc;
	struct pkinit_identity identity;
	struct pkinit_kdc authority;
	key_handle client_key, client_key_at_kdc, server_key;
	struct krb_name client, server;
	struct krb_ticket_facts ticket;
	struct der crl;
	struct krb_as_client as_client;
	struct der stamp_request, stamp_reply;
	struct pkinit_client *pkinit[4]; /* by mode_of() */
	struct der pk_request[4], pk_reply[4];
	struct krb_credentials credentials;
	struct gss_initiator initiator;
	uint8_t session[KRB_KEY_LEN];
	struct der ap_request, ap_reply, error;
	size_t keys_cta, keys_kdc;
} w;

static unsigned mode_of(uint8_t options)
{
	return (options & OPTION_DH ? 1u : 0u) | (options & OPTION_DRAFT ? 2u : 0u);
}
static bool mode_dh(unsigned mode)
{
	return mode & 1;
}
static enum pkinit_bind mode_bind(unsigned mode)
{
	return mode & 2 ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM;
}

static void make_pki(void)
{
	static const uint64_t revoked = 99;
	struct fixture_pki *pki = &w.pki;
	struct cert_request r = fixture_request(CERT_ROOT, "Root", "Example Devices", 1);
	const uint8_t *key;
	size_t len;

	pki->crypto = w.crypto;
	pki->pool = key_pool_new(w.crypto, FIXTURE_POOL_SEED, NULL);
	fuzz_require(phone_id(w.crypto, FIXTURE_NUMBER, pki->phone_id));
	for (int i = 0; i < PHONE_ID_LEN; i++)
		snprintf(pki->phone_id_hex + 2 * i, 3, "%02x", pki->phone_id[i]);
	pki->root = fixture_issue(pki, &r, "root", RSA_BITS, NULL, "root", RSA_BITS);
	r = fixture_request(CERT_CA, "Operator CA", "Example Telephony", 3);
	pki->op_ca = fixture_issue(pki, &r, "op-ca", RSA_BITS, &pki->root, "root", RSA_BITS);
	r = fixture_request(CERT_DEVICE, NULL, "Example Devices", 4);
	r.mac = fixture_mac;
	r.not_after_s = CERT_NO_EXPIRY_S;
	pki->device = fixture_issue(pki, &r, "device", RSA_BITS, &pki->op_ca, "op-ca", RSA_BITS);
	r = fixture_request(CERT_OPERATOR, NULL, "Example Telephony", 5);
	r.phone_id = pki->phone_id;
	pki->operator_cert = fixture_issue(pki, &r, "device", RSA_BITS, &pki->op_ca, "op-ca", RSA_BITS);
	r = fixture_request(CERT_KDC, "kdc1", "Example Telephony", 6);
	pki->kdc = fixture_issue(pki, &r, "kdc", RSA_BITS, &pki->op_ca, "op-ca", RSA_BITS);
	key = key_pool_get(pki->pool, "op-ca", RSA_BITS, &len);
	fuzz_require(crl_issue(w.crypto, &pki->op_ca, key, len, &revoked, 1, NOW - 3600, NOW + 86400, &w.crl));
}

static void make_parties(void)
{
	fixture_party_init(&w.cta, w.crypto, "cta");
	fixture_party_init(&w.kdc, w.crypto, "kdc");
	fuzz_require(sm_install_root(w.cta.sm, w.pki.root.bytes, w.pki.root.len));
	fuzz_require(krb_name_set(&w.client, w.pki.phone_id_hex, FIXTURE_REALM));
	fuzz_require(krb_name_set(&w.server, "sc/sc1", FIXTURE_REALM));
	w.identity = (struct pkinit_identity){ .rsa_key = sm_install_rsa(w.cta.sm, w.pki.pool, "device", RSA_BITS),
		                               .cert = w.pki.operator_cert,
		                               .name = w.client };
	w.authority = (struct pkinit_kdc){ .rsa_key = sm_install_rsa(w.kdc.sm, w.pki.pool, "kdc", RSA_BITS),
		                           .cert = w.pki.kdc,
		                           .ca_cert = w.pki.op_ca };
	w.client_key = sm_install_des3(w.cta.sm, "krb.server", "client", client_key_bytes);
	w.client_key_at_kdc = sm_install_des3(w.kdc.sm, "krb.server", "client", client_key_bytes);
	w.server_key = sm_install_des3(w.kdc.sm, "krb.server", "sc/sc1", server_key_bytes);
	w.ticket = (struct krb_ticket_facts){ .client = w.client,
		                              .server = w.server,
		                              .auth_time_s = NOW,
		                              .start_time_s = NOW,
		                              .end_time_s = NOW + 86400,
		                              .restricted = true,
		                              .number_count = 2,
		                              .numbers = { "611", "911" },
		                              .mac = "00:11:22:33:44:55" };
}

static void make_as_exchanges(void)
{
	struct krb_as_facts facts;

	fuzz_require(krb_as_request_timestamp(w.cta.sm, w.client_key, &w.client, &w.server, now, NOW + 86400,
	                                      &w.as_client, &w.stamp_request));
	fuzz_require(krb_as_parse(w.crypto, w.stamp_request.bytes, w.stamp_request.len, &facts));
	fuzz_require(krb_as_reply_build_timestamp(w.kdc.sm, w.client_key_at_kdc, w.server_key, &facts, &w.ticket,
	                                          &w.stamp_reply));
	krb_as_facts_free(&facts);
	for (unsigned mode = 0; mode < 4; mode++) {
		w.pkinit[mode] = pkinit_request(w.cta.sm, &w.identity, &w.server, now, NOW + 86400, mode_dh(mode),
		                                mode_bind(mode), &w.pk_request[mode]);
		fuzz_require(w.pkinit[mode] &&
		             krb_as_parse(w.crypto, w.pk_request[mode].bytes, w.pk_request[mode].len, &facts));
		fuzz_require(pkinit_reply_build(w.kdc.sm, &w.authority, w.server_key, &facts, &w.ticket,
		                                mode_bind(mode), now, &w.pk_reply[mode]));
		krb_as_facts_free(&facts);
	}
}

static void make_ap_exchange(void)
{
	struct krb_error_info info = { .code = KRB_AP_ERR_SKEW, .stime = now, .server = w.server, .text = "clock" };
	struct gss_accepted accepted;
	key_handle subkey;

	fuzz_require(krb_as_reply_timestamp(w.cta.sm, w.client_key, &w.as_client, w.stamp_reply.bytes,
	                                    w.stamp_reply.len, &w.credentials) == KRB_REPLY_OK);
	memcpy(w.session, sm_lookup(w.cta.sm, w.credentials.session_key, SM_DES3)->bytes, KRB_KEY_LEN);
	fuzz_require(gss_init_start(w.cta.sm, &w.credentials, now, SPI, &w.initiator, &w.ap_request));
	fuzz_require(gss_accept(w.kdc.sm, w.server_key, w.ap_request.bytes, w.ap_request.len, true, &accepted) ==
	             GSS_OK);
	fuzz_require(gss_accept_reply(w.kdc.sm, &accepted, &subkey, &w.ap_reply));
	fuzz_require(krb_error_build(w.crypto, &info, &w.error));
	sm_destroy_key(w.kdc.sm, subkey);
	sm_destroy_key(w.kdc.sm, accepted.session_key);
}

/* A sealed part of a message: where it is and what it is sealed with. */
struct place {
	enum kind message;
	const uint8_t *key;
	enum krb_usage usage;
};
static const struct place places[KIND_COUNT] = {
	[IN_TICKET] = { AP_REQUEST, server_key_bytes, KRB_USAGE_TICKET },
	[IN_AUTHENTICATOR] = { AP_REQUEST, w.session, KRB_USAGE_AP_REQ },
	[IN_AP_REPLY] = { AP_REPLY, w.session, KRB_USAGE_AP_REP },
	[IN_AS_REPLY] = { AS_REPLY, client_key_bytes, KRB_USAGE_AS_REP },
	[IN_STAMP] = { AS_REQUEST, client_key_bytes, KRB_USAGE_PA_TIMESTAMP },
};

/* Takes the sealed part's plain text out (put false) or puts another in and encodes the message anew. */
static void part_of(enum kind kind, ASN1_OCTET_STRING **cipher, struct der *text, bool put)
{
	const struct place *place = &places[kind];
	uint8_t *out;
	size_t len;

	if (put) {
		len = krb_sealed_len(text->len);
		out = malloc(len);
		fuzz_require(out && krb_seal(w.crypto, &w.kdc.random.random, place->key, place->usage, text->bytes,
		                             text->len, out));
		krb_put_octets(cipher, out, len);
		free(out);
		return;
	}
	len = (size_t)ASN1_STRING_length(*cipher);
	out = malloc(len);
	fuzz_require(out &&
	             krb_open(w.crypto, place->key, place->usage, ASN1_STRING_get0_data(*cipher), len, out, &len));
	*text = (struct der){ out, len };
}

static void in_ap_request(enum kind kind, struct der *text, bool put, struct der *message)
{
	KRB_AP_REQ_MSG *req = KRB_DECODE(KRB_AP_REQ_MSG, w.ap_request.bytes, w.ap_request.len);

	part_of(kind, kind == IN_TICKET ? &req->ticket->enc_part->cipher : &req->authenticator->cipher, text, put);
	fuzz_require(KRB_ENCODE(KRB_AP_REQ_MSG, req, message));
	KRB_FREE(KRB_AP_REQ_MSG, req);
}

static void in_ap_reply(enum kind kind, struct der *text, bool put, struct der *message)
{
	KRB_AP_REP_MSG *rep = KRB_DECODE(KRB_AP_REP_MSG, w.ap_reply.bytes, w.ap_reply.len);

	part_of(kind, &rep->enc_part->cipher, text, put);
	fuzz_require(KRB_ENCODE(KRB_AP_REP_MSG, rep, message));
	KRB_FREE(KRB_AP_REP_MSG, rep);
}

static void in_as_reply(enum kind kind, struct der *text, bool put, struct der *message)
{
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, w.stamp_reply.bytes, w.stamp_reply.len);

	part_of(kind, &rep->enc_part->cipher, text, put);
	fuzz_require(KRB_ENCODE(KRB_AS_REPLY, rep, message));
	KRB_FREE(KRB_AS_REPLY, rep);
}

static void in_stamp(enum kind kind, struct der *text, bool put, struct der *message)
{
	KRB_KDC_REQ *req = KRB_DECODE(KRB_AS_REQUEST, w.stamp_request.bytes, w.stamp_request.len);
	KRB_TYPED *typed = (KRB_TYPED *)krb_find_typed(req->padata, KRB_PA_ENC_TIMESTAMP);
	KRB_SEALED *sealed =
		KRB_DECODE(KRB_SEALED, ASN1_STRING_get0_data(typed->value), (size_t)ASN1_STRING_length(typed->value));
	struct der der = { 0 };

	part_of(kind, &sealed->cipher, text, put);
	fuzz_require(KRB_ENCODE(KRB_SEALED, sealed, &der));
	krb_put_octets(&typed->value, der.bytes, der.len);
	fuzz_require(KRB_ENCODE(KRB_AS_REQUEST, req, message));
	der_free(&der);
	KRB_FREE(KRB_SEALED, sealed);
	KRB_FREE(KRB_AS_REQUEST, req);
}

static void in_sealed(enum kind kind, struct der *text, bool put, struct der *message)
{
	switch (places[kind].message) {
	case AP_REQUEST:
		in_ap_request(kind, text, put, message);
		break;
	case AP_REPLY:
		in_ap_reply(kind, text, put, message);
		break;
	case AS_REPLY:
		in_as_reply(kind, text, put, message);
		break;
	default:
		in_stamp(kind, text, put, message);
	}
}

/* The signed AuthPack of a request: read, or signed anew by the client. */
static void in_auth_pack(unsigned mode, struct der *text, bool put, struct der *message)
{
	KRB_KDC_REQ *req = KRB_DECODE(KRB_AS_REQUEST, w.pk_request[mode].bytes, w.pk_request[mode].len);
	KRB_TYPED *typed = (KRB_TYPED *)krb_find_typed(req->padata, KRB_PA_PK_AS_REQ);
	PKINIT_AS_REQ *padata = KRB_DECODE(PKINIT_AS_REQ, ASN1_STRING_get0_data(typed->value),
	                                   (size_t)ASN1_STRING_length(typed->value));
	struct pkinit_signed read;
	struct der der = { 0 }, whole = { 0 };

	fuzz_require(pkinit_signed_read(NULL, ASN1_STRING_get0_data(padata->signed_auth_pack),
	                                (size_t)ASN1_STRING_length(padata->signed_auth_pack), &read));
	if (put) {
		fuzz_require(pkinit_sign(w.cta.sm, w.identity.rsa_key, &w.identity.cert, NULL, read.type, text, NOW,
		                         &whole));
		krb_put_octets(&padata->signed_auth_pack, whole.bytes, whole.len);
		fuzz_require(KRB_ENCODE(PKINIT_AS_REQ, padata, &der));
		krb_put_octets(&typed->value, der.bytes, der.len);
	} else {
		fuzz_require(krb_der_copy(text, read.content.bytes, read.content.len));
	}
	fuzz_require(KRB_ENCODE(KRB_AS_REQUEST, req, message));
	pkinit_signed_free(&read);
	der_free(&der);
	der_free(&whole);
	KRB_FREE(PKINIT_AS_REQ, padata);
	KRB_FREE(KRB_AS_REQUEST, req);
}

/* ContentInfo(SignedData) of a reply, out of its envelope in RSA mode; or another one put there. */
static void in_envelope(unsigned mode, struct der *signed_data, bool put, struct der *message)
{
	KRB_KDC_REP *rep = KRB_DECODE(KRB_AS_REPLY, w.pk_reply[mode].bytes, w.pk_reply[mode].len);
	KRB_TYPED *typed = (KRB_TYPED *)krb_find_typed(rep->padata, KRB_PA_PK_AS_REP);
	PKINIT_AS_REP *padata = KRB_DECODE(PKINIT_AS_REP, ASN1_STRING_get0_data(typed->value),
	                                   (size_t)ASN1_STRING_length(typed->value));
	ASN1_OCTET_STRING **held = padata->which == 0 ? &padata->d.dh_info->signed_data : &padata->d.enc_key_pack;
	struct der sealed = { 0 }, der = { 0 };

	if (!put && padata->which == 0) {
		fuzz_require(
			krb_der_copy(signed_data, ASN1_STRING_get0_data(*held), (size_t)ASN1_STRING_length(*held)));
	} else if (!put) {
		fuzz_require(pkinit_open_envelope(w.cta.sm, w.identity.rsa_key, ASN1_STRING_get0_data(*held),
		                                  (size_t)ASN1_STRING_length(*held), false,
		                                  signed_data) == PKINIT_OPENED);
	} else if (padata->which == 0) {
		krb_put_octets(held, signed_data->bytes, signed_data->len);
	} else {
		fuzz_require(pkinit_envelope(w.kdc.sm, &w.identity.cert, signed_data, &sealed));
		krb_put_octets(held, sealed.bytes, sealed.len);
	}
	fuzz_require(KRB_ENCODE(PKINIT_AS_REP, padata, &der));
	krb_put_octets(&typed->value, der.bytes, der.len);
	fuzz_require(KRB_ENCODE(KRB_AS_REPLY, rep, message));
	der_free(&sealed);
	der_free(&der);
	KRB_FREE(PKINIT_AS_REP, padata);
	KRB_FREE(KRB_AS_REPLY, rep);
}

/* What the KDC signed in a reply: read, or signed anew by the KDC. */
static void in_key_pack(unsigned mode, struct der *text, bool put, struct der *message)
{
	struct der signed_data = { 0 }, whole = { 0 }, none = { 0 };
	struct pkinit_signed read;

	in_envelope(mode, &signed_data, false, &none);
	if (mode_dh(mode))
		fuzz_require(krb_der_copy(&whole, signed_data.bytes, signed_data.len));
	else
		fuzz_require(pkinit_wrap(&signed_data, &whole));
	fuzz_require(pkinit_signed_read(NULL, whole.bytes, whole.len, &read));
	if (put) {
		der_free(&whole);
		der_free(&signed_data);
		fuzz_require(pkinit_sign(w.kdc.sm, w.authority.rsa_key, &w.authority.cert, &w.authority.ca_cert,
		                         read.type, text, NOW, &whole));
		fuzz_require(mode_dh(mode) ? krb_der_copy(&signed_data, whole.bytes, whole.len)
		                           : pkinit_unwrap(&whole, &signed_data));
		in_envelope(mode, &signed_data, true, message);
	} else {
		fuzz_require(krb_der_copy(text, read.content.bytes, read.content.len));
	}
	pkinit_signed_free(&read);
	der_free(&whole);
	der_free(&signed_data);
	der_free(&none);
}

/* The place's plain text in the world's own message. */
static struct der plain_of(enum kind kind, unsigned mode)
{
	struct der text = { 0 }, message = { 0 };

	switch (kind) {
	case IN_AUTH_PACK:
		in_auth_pack(mode, &text, false, &message);
		break;
	case IN_KEY_PACK:
		in_key_pack(mode, &text, false, &message);
		break;
	case IN_ENVELOPE:
		in_envelope(mode, &text, false, &message);
		break;
	default:
		in_sealed(kind, &text, false, &message);
	}
	der_free(&message);
	return text;
}

static void make_world(void)
{
	if (w.made)
		return;
	w.made = true;
	w.crypto = crypto_new();
	fuzz_require(w.crypto != NULL);
	make_pki();
	make_parties();
	make_as_exchanges();
	make_ap_exchange();
	w.keys_cta = sm_key_count(w.cta.sm);
	w.keys_kdc = sm_key_count(w.kdc.sm);
}

static void end_world(void)
{
	krb_credentials_free(w.cta.sm, &w.credentials);
	for (unsigned mode = 0; mode < 4; mode++) {
		pkinit_client_free(w.pkinit[mode]);
		der_free(&w.pk_request[mode]);
		der_free(&w.pk_reply[mode]);
	}
	der_free(&w.stamp_request);
	der_free(&w.stamp_reply);
	der_free(&w.ap_request);
	der_free(&w.ap_reply);
	der_free(&w.error);
	der_free(&w.crl);
	fixture_party_free(&w.cta);
	fixture_party_free(&w.kdc);
	fixture_pki_free(&w.pki);
	crypto_free(w.crypto);
}

static void take_field(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && strlen(value) < 1024 && class_ <= KRB_FIELD_TIME);
}

/* What an observer or a frame's decoder calls with any bytes. */
static void look_at(const uint8_t *bytes, size_t len)
{
	fuzz_require(krb_message_len(bytes, len) <= len);
	krb_type(bytes, len);
	krb_describe(bytes, len, take_field, NULL);
}

static void feed_as_request(uint8_t options, const uint8_t *bytes, size_t len)
{
	enum pkinit_bind bind = mode_bind(mode_of(options));
	struct krb_as_facts facts;
	struct krb_time stamp;
	struct der reply = { 0 }, stripped = { 0 };

	if (krb_attack_strip_dh(w.crypto, bytes, len, &stripped))
		der_free(&stripped);
	if (!krb_as_parse(w.crypto, bytes, len, &facts))
		return;
	if (facts.preauth == KRB_PREAUTH_TIMESTAMP) {
		krb_as_check_timestamp(w.kdc.sm, w.client_key_at_kdc, &facts, &stamp);
		krb_as_reply_build_timestamp(w.kdc.sm, w.client_key_at_kdc, w.server_key, &facts, &w.ticket, &reply);
	} else if (facts.preauth != KRB_PREAUTH_NONE) {
		pkinit_check_signature(w.crypto, &facts);
		/* the KDC goes on only with a group it accepts */
		if (!facts.wants_dh || facts.dh_acceptable)
			pkinit_reply_build(w.kdc.sm, &w.authority, w.server_key, &facts, &w.ticket, bind, now,
			                   &reply);
	}
	der_free(&reply);
	krb_as_facts_free(&facts);
}

static struct pkinit_policy policy_of(uint8_t options)
{
	bool strict = !(options & OPTION_LAX);

	return (struct pkinit_policy){ .verify_root = strict,
		                       .require_kdc_eku = strict,
		                       .check_crl = strict,
		                       .check_kdc_name = strict,
		                       .check_nonce = strict,
		                       .check_bind = strict,
		                       .check_sealed_sname = strict,
		                       .tell_padding = !strict,
		                       .bind = mode_bind(mode_of(options)),
		                       .crl = &w.crl,
		                       .kdc_ca = &w.pki.op_ca,
		                       .kdc_ca_count = 1,
		                       .now_s = NOW };
}

static void feed_as_reply(uint8_t options, const uint8_t *bytes, size_t len)
{
	const struct pkinit_policy policy = policy_of(options);
	struct krb_credentials c = { 0 };
	struct cert_facts cert;
	struct der out = { 0 };
	enum krb_reply_verdict verdict = krb_as_reply_timestamp(w.cta.sm, w.client_key, &w.as_client, bytes, len, &c);

	fuzz_require(verdict == KRB_REPLY_OK || (!c.ticket.bytes && !c.session_key));
	krb_credentials_free(w.cta.sm, &c);
	c = (struct krb_credentials){ 0 };
	verdict = pkinit_reply(w.cta.sm, w.pkinit[mode_of(options)], &w.identity, &policy, bytes, len, &c, &cert);
	fuzz_require(verdict == KRB_REPLY_OK || (!c.ticket.bytes && !c.session_key));
	krb_credentials_free(w.cta.sm, &c);
	if (krb_attack_rename_server(bytes, len, &w.client, &out))
		der_free(&out);
	if (krb_attack_spoil_envelope(bytes, len,
	                              options & OPTION_LAX ? KRB_ATTACK_SPOIL_KEY : KRB_ATTACK_SPOIL_CONTENT, &out))
		der_free(&out);
}

static void feed_ap_request(uint8_t options, const uint8_t *bytes, size_t len)
{
	bool lax = options & OPTION_LAX;
	struct gss_accepted accepted;
	struct krb_name name;
	struct der out = { 0 };
	key_handle subkey;
	enum gss_verdict verdict =
		(lax ? gss_accept_unchecked_ticket : gss_accept)(w.kdc.sm, w.server_key, bytes, len, !lax, &accepted);

	if (verdict == GSS_OK) {
		fuzz_require(accepted.authenticator_ok || lax);
		if (gss_accept_reply(w.kdc.sm, &accepted, &subkey, &out)) {
			sm_destroy_key(w.kdc.sm, subkey);
			der_free(&out);
		}
		sm_destroy_key(w.kdc.sm, accepted.session_key);
	}
	if (krb_ap_req_rewrite(w.cta.sm, w.credentials.session_key, bytes, len, &w.server, &out))
		der_free(&out);
	if (krb_attack_take_ticket(bytes, len, &out, &name)) {
		krb_attack_lift_restriction(&w.ticket, &out);
		der_free(&out);
	}
}

static void feed_ap_reply(const uint8_t *bytes, size_t len)
{
	key_handle subkey;

	if (gss_init_finish(w.cta.sm, &w.initiator, bytes, len, &subkey))
		sm_destroy_key(w.cta.sm, subkey);
	if (krb_ap_rep_read(w.cta.sm, w.credentials.session_key, bytes, len, &subkey))
		sm_destroy_key(w.cta.sm, subkey);
}

static void feed_error(const uint8_t *bytes, size_t len)
{
	struct krb_error_info info, again;
	struct der out = { 0 };

	if (!krb_error_parse(bytes, len, &info))
		return;
	fuzz_require(krb_error_name(info.code) != NULL);
	if (!krb_error_build(w.crypto, &info, &out))
		return;
	fuzz_require(krb_error_parse(out.bytes, out.len, &again));
	fuzz_require(again.code == info.code && again.stime.s == info.stime.s && again.stime.us == info.stime.us);
	fuzz_require(krb_name_equal(&again.server, &info.server) && strcmp(again.text, info.text) == 0);
	der_free(&out);
}

static void feed_certificate(const uint8_t *bytes, size_t len)
{
	struct der cert = { (uint8_t *)bytes, len }, spki = { 0 };
	struct cert_facts facts, same;
	uint8_t thumbprint[20];
	bool read;

	memset(&facts, 0, sizeof facts);
	memset(&same, 0, sizeof same);
	read = cert_read(bytes, len, &facts);
	fuzz_require(cert_read_with(w.crypto, bytes, len, &same) == read);
	fuzz_require(!read || memcmp(&facts, &same, sizeof facts) == 0);
	if (cert_public_key(bytes, len, &spki))
		der_free(&spki);
	cert_thumbprint(w.crypto, &cert, thumbprint);
	cert_verify(w.crypto, &cert, &w.pki.op_ca, 1, &w.pki.root, 1, NOW, false);
	cert_verify(w.crypto, &cert, NULL, 0, NULL, 0, NOW, true);
	cert_verify(w.crypto, &w.pki.kdc, &cert, 1, &w.pki.root, 1, NOW, false);
	crl_check(w.crypto, &w.crl, &w.pki.op_ca, &cert, NOW);
	crl_check(w.crypto, &w.crl, &cert, &w.pki.kdc, NOW);
}

static void feed_crl(const uint8_t *bytes, size_t len)
{
	struct der crl = { (uint8_t *)bytes, len };

	/* a change of a CRL breaks its signature, or it is the same CRL: it never says that a KDC is revoked */
	fuzz_require(crl_check(w.crypto, &crl, &w.pki.op_ca, &w.pki.kdc, NOW) != CRL_REVOKED);
	crl_check(w.crypto, &crl, &w.pki.root, &w.pki.op_ca, NOW);
}

static void feed(enum kind kind, uint8_t options, const uint8_t *bytes, size_t len)
{
	look_at(bytes, len);
	switch (kind) {
	case AS_REQUEST:
		feed_as_request(options, bytes, len);
		break;
	case AS_REPLY:
		feed_as_reply(options, bytes, len);
		break;
	case AP_REQUEST:
		feed_ap_request(options, bytes, len);
		break;
	case AP_REPLY:
		feed_ap_reply(bytes, len);
		break;
	case ERROR_MESSAGE:
		feed_error(bytes, len);
		break;
	case CERTIFICATE:
		feed_certificate(bytes, len);
		break;
	default:
		feed_crl(bytes, len);
	}
}

/* Puts the bytes where they belong, sealed and signed, and feeds the message. */
static void feed_inside(enum kind kind, uint8_t options, const uint8_t *bytes, size_t len)
{
	unsigned mode = mode_of(options);
	struct der text = { (uint8_t *)bytes, len }, message = { 0 };
	enum kind as = AS_REPLY;

	if (kind == IN_AUTH_PACK) {
		as = AS_REQUEST;
		in_auth_pack(mode, &text, true, &message);
	} else if (kind == IN_KEY_PACK) {
		in_key_pack(mode, &text, true, &message);
	} else if (kind == IN_ENVELOPE) {
		in_envelope(mode, &text, true, &message);
	} else {
		as = places[kind].message;
		in_sealed(kind, &text, true, &message);
	}
	feed(as, options, message.bytes, message.len);
	der_free(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t options = size > 0 ? data[0] : 0;
	const enum kind kind = (enum kind)((options & 15) % KIND_COUNT);

	make_world();
	if (size < 2 || size > KRB_MESSAGE_MAX / 2)
		return 0;
	seed_stream_init(&w.cta.random.stream, "cta input");
	seed_stream_init(&w.kdc.random.stream, "kdc input");
	if (kind >= IN_TICKET)
		feed_inside(kind, options, data + 1, size - 1);
	else
		feed(kind, options, data + 1, size - 1);
	fuzz_require(sm_key_count(w.cta.sm) == w.keys_cta && sm_key_count(w.kdc.sm) == w.keys_kdc);
	return 0;
}

static uint8_t options_of(unsigned mode)
{
	return (uint8_t)((mode_dh(mode) ? OPTION_DH : 0) | (mode & 2 ? OPTION_DRAFT : 0));
}

/* The messages of the world, in the order of their kinds; the parts behind them. */
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const struct {
		enum kind kind;
		const struct der *message;
	} plain[] = {
		{ AS_REQUEST, &w.stamp_request },      { AS_REPLY, &w.stamp_reply },
		{ AP_REQUEST, &w.ap_request },         { AP_REPLY, &w.ap_reply },
		{ ERROR_MESSAGE, &w.error },           { CRL, &w.crl },
		{ CERTIFICATE, &w.pki.root },          { CERTIFICATE, &w.pki.device },
		{ CERTIFICATE, &w.pki.operator_cert }, { CERTIFICATE, &w.pki.kdc },
	};
	const unsigned plain_count = sizeof plain / sizeof plain[0];
	static bool at_exit;
	unsigned mode, part;
	struct der text;
	size_t len;

	make_world();
	if (!at_exit)
		atexit(end_world);
	at_exit = true;
	if (nth < plain_count)
		return fuzz_seed((uint8_t)plain[nth].kind, plain[nth].message->bytes, plain[nth].message->len, out,
		                 size);
	mode = (nth - plain_count) & 3;
	part = (nth - plain_count) >> 2;
	if (part < 2) {
		const struct der *message = part == 0 ? &w.pk_request[mode] : &w.pk_reply[mode];

		return fuzz_seed((uint8_t)((part == 0 ? AS_REQUEST : AS_REPLY) | options_of(mode)), message->bytes,
		                 message->len, out, size);
	}
	part += IN_TICKET - 2;
	if (part >= KIND_COUNT)
		return 0;
	text = plain_of((enum kind)part, mode);
	len = fuzz_seed((uint8_t)(part | options_of(mode) | (mode == 3 ? OPTION_LAX : 0)), text.bytes, text.len, out,
	                size);
	der_free(&text);
	return len;
}

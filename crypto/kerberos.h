/*
 * Kerberos 5 (RFC 4120) with des3-cbc-sha1-kd (RFC 3961 section 6.3), as far as this architecture speaks it: AS with
 * PKINIT (crypto/pkinit.h) or encrypted time stamp, AP exchange with sub-key and SPI, KRB-ERROR, tickets with
 * authorisation data.
 *
 * Every message is encoded and decoded by OpenSSL ASN.1 templates (crypto/kerberos_asn1.h). Parsers fill locals and
 * touch no state; secrets appear as handles of the caller's secure module only. A parser survives any bytes.
 */
#ifndef TOLLGATE_CRYPTO_KERBEROS_H
#define TOLLGATE_CRYPTO_KERBEROS_H

#include "crypto/pki.h"
#include "crypto/secure_module.h"

#define KRB_NAME_MAX 127
#define KRB_REALM_MAX 63
#define KRB_NUMBERS_MAX 8
#define KRB_NUMBER_LEN 24
#define KRB_MESSAGE_MAX 16384 /* longest message accepted from the wire */

/* A principal: components joined by '/', without the realm ("sc/sc1", "krbtgt/TOLLGATE.EXAMPLE", forty hex digits of a
 * phone ID). */
struct krb_name {
	char name[KRB_NAME_MAX + 1];
	char realm[KRB_REALM_MAX + 1];
};
bool krb_name_set(struct krb_name *out, const char *name, const char *realm);
bool krb_name_equal(const struct krb_name *a, const struct krb_name *b);

struct krb_time {
	int64_t s;  /* Unix */
	int32_t us; /* 0..999999 */
};

enum krb_type { KRB_OTHER = 0, KRB_AS_REQ = 10, KRB_AS_REP = 11, KRB_AP_REQ = 14, KRB_AP_REP = 15, KRB_ERROR = 30 };
/* By the application tag of the first byte; KRB_OTHER for anything else. */
enum krb_type krb_type(const uint8_t *bytes, size_t len);
/* Length of the DER message at the front of bytes (for messages with something behind them); 0: no whole one. */
size_t krb_message_len(const uint8_t *bytes, size_t len);
/* Clear fields of any of the messages, for the record (sealed parts show as lengths). Same shape as trace.h's
 * describe_fn. */
enum krb_field { KRB_FIELD_FACT, KRB_FIELD_RANDOM, KRB_FIELD_TIME };
void krb_describe(const uint8_t *bytes, size_t len,
                  void (*field)(void *ctx, const char *path, const char *value, enum krb_field class_), void *ctx);

/* KRB-ERROR codes in use (RFC 4120 section 7.5.9, RFC 4556 section 3.1.3). */
enum krb_error {
	KDC_ERR_NONE = 0,
	KDC_ERR_C_PRINCIPAL_UNKNOWN = 6,
	KDC_ERR_S_PRINCIPAL_UNKNOWN = 7,
	KDC_ERR_POLICY = 12,
	KDC_ERR_BADOPTION = 13,
	KDC_ERR_ETYPE_NOSUPP = 14,
	KDC_ERR_PADATA_TYPE_NOSUPP = 16,
	KDC_ERR_CLIENT_REVOKED = 18,
	KDC_ERR_PREAUTH_FAILED = 24,
	KDC_ERR_PREAUTH_REQUIRED = 25,
	KRB_AP_ERR_BAD_INTEGRITY = 31,
	KRB_AP_ERR_TKT_EXPIRED = 32,
	KRB_AP_ERR_TKT_NYV = 33,
	KRB_AP_ERR_REPEAT = 34,
	KRB_AP_ERR_NOT_US = 35,
	KRB_AP_ERR_BADMATCH = 36,
	KRB_AP_ERR_SKEW = 37,
	KRB_AP_ERR_MSG_TYPE = 40,
	KRB_AP_ERR_MODIFIED = 41,
	KRB_ERR_GENERIC = 60,
	KRB_ERR_FIELD_TOOLONG = 61,
	KDC_ERR_CLIENT_NOT_TRUSTED = 62,
	KDC_ERR_INVALID_SIG = 64,
	KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED = 65,
	KDC_ERR_CANT_VERIFY_CERTIFICATE = 70,
	KDC_ERR_INVALID_CERTIFICATE = 71,
	KDC_ERR_REVOKED_CERTIFICATE = 72,
	KDC_ERR_CLIENT_NAME_MISMATCH = 75
};
/* "KRB_AP_ERR_REPEAT"; "KRB_ERROR_99" for others up to 129, "KRB_ERROR_OTHER" beyond. Constant strings. */
const char *krb_error_name(int code);

struct krb_error_info {
	int code;
	struct krb_time stime;      /* the server's clock */
	struct krb_name server;
	char text[128];
};
bool krb_error_build(struct crypto *crypto, const struct krb_error_info *info, struct der *out);
bool krb_error_parse(const uint8_t *bytes, size_t len, struct krb_error_info *out);

/* What a ticket says, once opened. */
struct krb_ticket_facts {
	struct krb_name client, server;
	int64_t auth_time_s, start_time_s, end_time_s;
	bool restricted;                                    /* an unprovisioned CTA's [0134], [0138] */
	unsigned number_count;                              /* the numbers it may call then */
	char numbers[KRB_NUMBERS_MAX][KRB_NUMBER_LEN];
	char mac[18];                                       /* "" or the MAC the certificate named */
};

/* A ticket and its session key, at its client. */
struct krb_credentials {
	struct der ticket;
	key_handle session_key;
	struct krb_name client, server;
	int64_t start_time_s, end_time_s;
};
/* Frees the ticket and destroys the session key. Harmless on a zeroed one. */
void krb_credentials_free(struct secure_module *sm, struct krb_credentials *credentials);

/* AS exchange of a server: pre-authentication by encrypted time stamp under its server key (flows.md 13). */
struct krb_as_client {          /* between request and reply */
	struct krb_name client, server;
	uint32_t nonce;
};
bool krb_as_request_timestamp(struct secure_module *sm, key_handle client_key, const struct krb_name *client,
                              const struct krb_name *server, struct krb_time now, int64_t till_s,
                              struct krb_as_client *state, struct der *out);
enum krb_reply_verdict {
	KRB_REPLY_OK,
	KRB_REPLY_MALFORMED,
	KRB_REPLY_KDC_UNTRUSTED,
	KRB_REPLY_KDC_REVOKED,
	KRB_REPLY_KDC_NAME,
	KRB_REPLY_KDC_USAGE,
	KRB_REPLY_SIGNATURE,
	KRB_REPLY_DECRYPT,
	KRB_REPLY_NONCE,
	KRB_REPLY_BINDING,
	KRB_REPLY_SNAME,
	KRB_REPLY_TIME,
	KRB_REPLY_PADDING /* only with pkinit_policy.tell_padding: cta.uniform_rsa_error is off */
};
/* The name of the check behind a verdict: "cta.verify_root", "cta.check_crl", "cta.kdc_name", "cta.require_kdc_eku",
 * "cta.kdc_signature", "cta.decrypt", "cta.nonce", "pkinit.bind", "cta.check_sealed_sname", "cta.reply_time",
 * "krb.malformed", "cta.rsa_padding". */
extern const char *const krb_reply_checks[];
enum krb_reply_verdict krb_as_reply_timestamp(struct secure_module *sm, key_handle client_key,
                                              const struct krb_as_client *state, const uint8_t *bytes, size_t len,
                                              struct krb_credentials *out);

/* AS-REQ at the KDC: parsed, nothing verified. Everything in it is a claim. */
enum krb_preauth { KRB_PREAUTH_NONE, KRB_PREAUTH_TIMESTAMP, KRB_PREAUTH_PKINIT, KRB_PREAUTH_PKINIT_DRAFT };
struct krb_as_facts {
	struct krb_name client, server;
	uint32_t nonce;             /* of the KDC-REQ-BODY */
	int64_t till_s;
	bool wants_des3;            /* offers etype 16 */
	enum krb_preauth preauth;
	struct krb_time ctime;      /* PKINIT: of the PKAuthenticator (not yet verified) */
	struct der client_cert;     /* PKINIT; owned */
	struct der extra_certs[2];
	unsigned extra_count;
	bool wants_dh;
	bool dh_acceptable;         /* its group is 14 (RFC 3526) and its public value in range: else error 65 */
	void *inside;               /* the decoded message; owned */
};
bool krb_as_parse(struct crypto *crypto, const uint8_t *bytes, size_t len, struct krb_as_facts *out);
void krb_as_facts_free(struct krb_as_facts *facts);
/* Opens the encrypted time stamp with the client's (a server's) key. False: wrong key. */
bool krb_as_check_timestamp(struct secure_module *sm, key_handle client_key, const struct krb_as_facts *facts,
                            struct krb_time *stamp);
/* AS-REP to a time stamp request: ticket under server_key, reply part under client_key. */
bool krb_as_reply_build_timestamp(struct secure_module *sm, key_handle client_key, key_handle server_key,
                                  const struct krb_as_facts *facts, const struct krb_ticket_facts *ticket,
                                  struct der *out);
/* A ticket and session key that the KDC's own module makes for itself (its queries to an SC); no wire involved. */
bool krb_self_issue(struct secure_module *sm, key_handle server_key, const struct krb_ticket_facts *ticket,
                    struct krb_credentials *out);

/* AP exchange, shaped like the GSS-API's pair init/accept (patent [0047], [0196]; RFC 2743). */
struct gss_initiator {
	key_handle session_key;     /* borrowed from the credentials */
	struct krb_time ctime;
	uint32_t spi;
};
/* First token: AP-REQ with ticket, authenticator (client name, time, SPI as authorisation data [0072]). */
bool gss_init_start(struct secure_module *sm, const struct krb_credentials *credentials, struct krb_time now,
                    uint32_t spi, struct gss_initiator *state, struct der *token);
/* Reply token: AP-REP. On success *subkey is a new handle. False: not the answer to our AP-REQ. */
bool gss_init_finish(struct secure_module *sm, const struct gss_initiator *state, const uint8_t *token, size_t len,
                     key_handle *subkey);

struct gss_accepted {
	struct krb_ticket_facts ticket;
	key_handle session_key;     /* of the ticket; the acceptor's to destroy */
	struct krb_name authenticator_client;
	struct krb_time ctime;
	uint32_t spi;
	uint8_t authenticator_hash[20]; /* SHA-1 of the sealed authenticator, for a replay cache */
	bool authenticator_ok; /* decrypted, bound to this ticket, names its client. Not decrypted: client, ctime, spi
	                          are 0 */
};
/*
 * GSS_NOT_US: sealed for a key type or key version that no server here has. Whether ticket.server is the acceptor's own
 * name the acceptor must see for itself: it stands outside the sealed part.
 */
enum gss_verdict { GSS_OK, GSS_MALFORMED, GSS_NOT_US, GSS_TICKET_INTEGRITY, GSS_AUTHENTICATOR, GSS_BADMATCH };
/*
 * Opens an AP-REQ: ticket under the server key, then authenticator under the session key. Judges neither time nor
 * replay: those are the acceptor's. With check_authenticator off (attack T3) a bad authenticator still returns GSS_OK
 * with authenticator_ok false. Frees nothing on failure: out holds no key then.
 */
enum gss_verdict gss_accept(struct secure_module *sm, key_handle server_key, const uint8_t *token, size_t len,
                            bool check_authenticator, struct gss_accepted *out);
/*
 * The same for a server whose ticket.integrity is switched off (attack T4): a ticket whose MAC is wrong is opened all
 * the same, as by a server that has 3DES-CBC and nothing else.
 */
enum gss_verdict gss_accept_unchecked_ticket(struct secure_module *sm, key_handle server_key, const uint8_t *token,
                                             size_t len, bool check_authenticator, struct gss_accepted *out);
/* AP-REP with a fresh sub-key; *subkey is the acceptor's handle of it. */
bool gss_accept_reply(struct secure_module *sm, const struct gss_accepted *accepted, key_handle *subkey,
                      struct der *token);
/* The same with the sub-key of before: the client asks again because our answer was lost or late. */
bool gss_accept_reply_again(struct secure_module *sm, const struct gss_accepted *accepted, key_handle subkey,
                            struct der *token);

/* Authority of an attacker: opens an AP-REQ's authenticator with a session key it holds and builds another for its own
 * name. */
bool krb_ap_req_rewrite(struct secure_module *sm, key_handle session_key, const uint8_t *token, size_t len,
                        const struct krb_name *new_client, struct der *out);
/* Reads the sub-key out of an AP-REP with a session key one holds, without having sent the AP-REQ. */
bool krb_ap_rep_read(struct secure_module *sm, key_handle session_key, const uint8_t *token, size_t len,
                     key_handle *subkey);

#endif

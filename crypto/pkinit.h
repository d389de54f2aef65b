/*
 * PKINIT: RFC 4556, and the draft's reply that the patent describes (draft-ietf-cat-kerberos-pk-init; patent
 * [0066]-[0069]), in RSA and in Diffie-Hellman mode. flows.md 1.
 *
 * bind "aschecksum": ReplyKeyPack{replyKey, asChecksum over the whole AS-REQ}. bind "nonce": {replyKey, nonce}; it does
 * not bind the client's identity, and the man in the middle of Cervesato et al. succeeds (attack K1).
 */
#ifndef TOLLGATE_CRYPTO_PKINIT_H
#define TOLLGATE_CRYPTO_PKINIT_H

#include "crypto/kerberos.h"

enum pkinit_bind { PKINIT_BIND_ASCHECKSUM, PKINIT_BIND_NONCE };

struct pkinit_identity {            /* a CTA's */
	key_handle rsa_key;
	struct der cert;                /* borrowed */
	struct der issuer_cert;         /* sent along with a manufacturer certificate; len 0: none. Borrowed */
	struct krb_name name;
};

struct pkinit_client;               /* between request and reply; pkinit_client_free() */
struct pkinit_client *pkinit_request(struct secure_module *sm, const struct pkinit_identity *identity,
                                     const struct krb_name *server, struct krb_time now, int64_t till_s, bool dh,
                                     enum pkinit_bind bind, struct der *out);
void pkinit_client_free(struct pkinit_client *client);

/* What a CTA checks in the reply; each can be switched off by name. */
struct pkinit_policy {
	bool verify_root, require_kdc_eku, check_crl, check_kdc_name, check_nonce, check_bind, check_sealed_sname;
	bool tell_padding; /* attack K11, cta.uniform_rsa_error off: KRB_REPLY_PADDING for a bad PKCS #1 padding */
	enum pkinit_bind bind;
	/* Newest CRL. With check_crl, none at hand (NULL, len 0) or one past its time is as good as a revoked KDC:
	 * attack K5. */
	const struct der *crl;
	const struct der *kdc_ca;       /* certificates between root and KDC; may be NULL */
	unsigned kdc_ca_count;
	int64_t now_s;
};
/*
 * require_kdc_eku off also forgives a certificate without any principal name: such a CTA takes what chains to its root,
 * as the patent has it (attack K4). A CRL speaks for certificates of its own issuer only. check_sealed_sname off: the
 * server's name is taken from the ticket's clear part (attack K7).
 *
 * Verifies a reply in the order of flows.md 1 and, all well, puts ticket and session key into out. kdc_cert, if not
 * NULL, receives what the KDC's certificate says even on some failures (for the record).
 */
enum krb_reply_verdict pkinit_reply(struct secure_module *sm, struct pkinit_client *client,
                                    const struct pkinit_identity *identity, const struct pkinit_policy *policy,
                                    const uint8_t *bytes, size_t len, struct krb_credentials *out,
                                    struct cert_facts *kdc_cert);

/* The KDC's side. */
struct pkinit_kdc {
	key_handle rsa_key;
	struct der cert;                /* borrowed */
	struct der ca_cert;             /* borrowed; sent along */
};
/* Verifies the signature over the AuthPack and, under RFC 4556, paChecksum over the request body. */
bool pkinit_check_signature(struct crypto *crypto, const struct krb_as_facts *facts);
/* The AS-REP. The request's preauth type and bind choose the profile. now: for the CMS signing time. */
bool pkinit_reply_build(struct secure_module *sm, const struct pkinit_kdc *kdc, key_handle server_key,
                        const struct krb_as_facts *facts, const struct krb_ticket_facts *ticket, enum pkinit_bind bind,
                        struct krb_time now, struct der *out);

/*
 * The attack K1, with nothing but the attacker's own identity: pkinit_mitm_request() re-signs the victim's request as
 * the attacker; pkinit_mitm_reply() opens the KDC's reply to the attacker, keeps the keys in the attacker's module, and
 * seals the KDC's unchanged signed reply to the victim.
 */
struct pkinit_mitm;
struct pkinit_mitm *pkinit_mitm_request(struct secure_module *sm, const struct pkinit_identity *attacker,
                                        const uint8_t *victim_request, size_t len, struct krb_time now,
                                        struct der *out);
bool pkinit_mitm_reply(struct secure_module *sm, struct pkinit_mitm *mitm, const uint8_t *bytes, size_t len,
                       key_handle *session_key, struct der *to_victim);
void pkinit_mitm_free(struct pkinit_mitm *mitm);

#endif

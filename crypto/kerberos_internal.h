/*
 * What the Kerberos and PKINIT files of crypto/ share: sealing of values, the pieces of an AS exchange, the decoded
 * AS-REQ. Not for anybody else: raw keys pass through these functions.
 */
#ifndef TOLLGATE_CRYPTO_KERBEROS_INTERNAL_H
#define TOLLGATE_CRYPTO_KERBEROS_INTERNAL_H

#include <openssl/cms.h>
#include "crypto/internal.h"
#include "crypto/kerberos_asn1.h"
#include "crypto/pkinit.h"

#define KRB_KEY_LEN 24
#define KRB_SEED_LEN 21           /* key-generation seed of des3-cbc-sha1-kd */
#define KRB_TICKET_KVNO 1         /* server keys are not rolled over: one version */
#define KRB_PRINCIPAL_MAX (KRB_NAME_MAX + 1 + KRB_REALM_MAX + 1)

/* DK of RFC 3961 section 5.1 for des3. False: key has two equal parts. */
bool krb_derive(struct crypto *crypto, const uint8_t key[KRB_KEY_LEN], const uint8_t *constant, size_t len,
                uint8_t out[KRB_KEY_LEN]);
/* DES3random-to-key of RFC 3961 section 6.3.1: spreads the bits, sets parity, corrects weak keys. */
void krb_random_to_key(const uint8_t seed[KRB_SEED_LEN], uint8_t key[KRB_KEY_LEN]);
/* As krb_open(), but the MAC is not looked at: only a server whose ticket integrity is switched off (attack T4) does
 * this. */
bool krb_open_unchecked(struct crypto *crypto, const uint8_t key[KRB_KEY_LEN], uint32_t usage, const uint8_t *sealed,
                        size_t sealed_len, uint8_t *out, size_t *len);

/* A fresh key from the module's stream. The caller wipes it. */
void krb_fresh_key(struct secure_module *sm, uint8_t key[KRB_KEY_LEN]);
/* A random number of 31 bits: there are peers that take a nonce for signed. */
uint32_t krb_fresh_nonce(struct secure_module *sm);

/* Wipes, then der_free(). */
void krb_der_wipe(struct der *der);
bool krb_der_copy(struct der *out, const uint8_t *bytes, size_t len);
/* "NAME@REALM", for key logs. */
void krb_principal_text(const struct krb_name *name, char out[KRB_PRINCIPAL_MAX]);

/* Encodes and seals a value. kvno 0: none given. */
bool krb_seal_value(struct crypto *crypto, const struct random_source *random, const uint8_t *key, enum krb_usage usage,
                    uint32_t kvno, const void *value, const ASN1_ITEM *item, KRB_SEALED **out);
/* Opens into plain, padding included; krb_der_wipe() it. False: not sealed under that key for that usage. */
bool krb_open_sealed(struct crypto *crypto, const uint8_t *key, enum krb_usage usage, const KRB_SEALED *sealed,
                     struct der *plain);

/* A ticket: facts and session key under the server's key. NULL: a fact cannot be encoded. */
KRB_TICKET *krb_ticket_seal(struct secure_module *sm, const struct sm_key *server_key,
                            const struct krb_ticket_facts *facts, const uint8_t session[KRB_KEY_LEN]);
/* The facts of an opened ticket; false when it says what no ticket of ours says. */
bool krb_ticket_read(const KRB_TICKET *ticket, const KRB_ENC_TICKET_PART *part, struct krb_ticket_facts *facts);
/* The plain part of a ticket, as krb_ticket_seal() seals it. NULL as there. */
KRB_ENC_TICKET_PART *krb_ticket_part(const struct krb_ticket_facts *facts, const uint8_t session[KRB_KEY_LEN]);

/* An AS-REQ without pre-authentication data. */
KRB_KDC_REQ *krb_as_request(const struct krb_name *client, const struct krb_name *server, struct krb_time now,
                            int64_t till_s, uint32_t nonce);
/*
 * An AS-REP: makes the session key, seals ticket and reply part. padata_len 0: none. The session key leaves the
 * module's table again: the KDC keeps none (patent [0050]).
 */
bool krb_as_reply(struct secure_module *sm, const struct sm_key *server_key, const uint8_t reply_key[KRB_KEY_LEN],
                  const struct krb_as_facts *request, const struct krb_ticket_facts *facts, int32_t padata_type,
                  const uint8_t *padata, size_t padata_len, struct der *out);

/* The sealed part of an AS-REP, decoded. Holds a key: wipe it. */
struct krb_reply_part {
	struct krb_name server;
	uint32_t nonce;
	int64_t auth_time_s, start_time_s, end_time_s;
	uint8_t session[KRB_KEY_LEN];
};
/* KRB_REPLY_OK, KRB_REPLY_DECRYPT or KRB_REPLY_MALFORMED. */
enum krb_reply_verdict krb_reply_open(struct crypto *crypto, const uint8_t key[KRB_KEY_LEN], const KRB_KDC_REP *rep,
                                      struct krb_reply_part *part);
/* Version, type and the client's name in a reply. NULL: not a reply to this client. KRB_FREE(KRB_AS_REPLY, ...). */
KRB_KDC_REP *krb_reply_decode(const uint8_t *bytes, size_t len, const struct krb_name *client);
/* Ticket and session key into out, as the reply names them. parent: the key the session key came under. */
bool krb_credentials_fill(struct secure_module *sm, const KRB_KDC_REP *rep, const struct krb_reply_part *part,
                          const struct krb_name *client, const struct krb_name *server, const struct sm_key *parent,
                          struct krb_credentials *out);

/* The decoded AS-REQ behind krb_as_facts.inside. */
struct krb_as_inside {
	KRB_KDC_REQ *request;
	struct der whole;              /* as received: asChecksum is over it */
	struct der body;               /* DER of the KDC-REQ-BODY as received: paChecksum is over it */
	CMS_ContentInfo *cms;          /* PKINIT: the SignedData */
	struct der content;            /* and the AuthPack in it */
	PKINIT_AUTH_PACK *auth_pack;   /* one of the two */
	PKINIT_DRAFT_AUTH_PACK *draft;
};
/* Reads PA-PK-AS-REQ into inside and facts. False: malformed. */
bool pkinit_parse_request(struct crypto *crypto, const KRB_TYPED *padata, struct krb_as_inside *inside,
                          struct krb_as_facts *facts);

#endif

/*
 * ASN.1 of Kerberos (RFC 4120 appendix A), PKINIT (RFC 4556 appendix A) and PKINIT's draft form, as OpenSSL templates.
 *
 * Internal to crypto/. The decoders are strict: every optional field of the standards is in its template, an unknown
 * one is an error. krb_decode() takes exactly one value; krb_decode_padded() allows the few bytes that a block cipher
 * leaves behind it. Integers that are always there are embedded (out of range: error); optional ones are ASN1_INTEGER
 * pointers.
 */
#ifndef TOLLGATE_CRYPTO_KERBEROS_ASN1_H
#define TOLLGATE_CRYPTO_KERBEROS_ASN1_H

#include <openssl/asn1t.h>
#include <openssl/x509.h>
#include "crypto/kerberos.h"

#define KRB_PVNO 5
#define KRB_ETYPE_DES3 16
#define KRB_CKSUM_HMAC_SHA1_DES3 12

/* Key usages of RFC 4120 section 7.5.1; RFC 4556 section 3.2.3.2 takes 6 for asChecksum. */
enum krb_usage {
	KRB_USAGE_PA_TIMESTAMP = 1, KRB_USAGE_TICKET = 2, KRB_USAGE_AS_REP = 3, KRB_USAGE_AS_CHECKSUM = 6,
	KRB_USAGE_AP_CKSUM = 10, KRB_USAGE_AP_REQ = 11, KRB_USAGE_AP_REP = 12
};

enum krb_padata { KRB_PA_ENC_TIMESTAMP = 2, KRB_PA_PK_AS_REQ = 16, KRB_PA_PK_AS_REP = 17 };

/* Authorisation data of this architecture: negative numbers are for local use (RFC 4120 section 5.2.6). */
#define KRB_AD_TICKET_PROFILE (-75681)
#define KRB_AD_SPI (-75682)

enum krb_name_type { KRB_NT_PRINCIPAL = 1, KRB_NT_SRV_INST = 2 };

/* KerberosFlags, bit 0 being the highest. */
#define KRB_TICKET_INITIAL 0x00400000u
#define KRB_TICKET_PRE_AUTHENT 0x00200000u
#define KRB_AP_MUTUAL_REQUIRED 0x20000000u

typedef struct {
	int32_t type;
	STACK_OF(ASN1_GENERALSTRING) *parts;
} KRB_PRINCIPAL;

typedef struct {
	int32_t etype;
	ASN1_INTEGER *kvno;
	ASN1_OCTET_STRING *cipher;
} KRB_SEALED;

/* EncryptionKey, Checksum, AuthorizationData's and PA-DATA's elements, HostAddress: a number and octets. */
typedef struct {
	int32_t type;
	ASN1_OCTET_STRING *value;
} KRB_TYPED;
DEFINE_STACK_OF(KRB_TYPED)

typedef struct {
	int32_t vno;
	ASN1_GENERALSTRING *realm;
	KRB_PRINCIPAL *sname;
	KRB_SEALED *enc_part;
} KRB_TICKET;
DEFINE_STACK_OF(KRB_TICKET)

typedef struct {
	ASN1_BIT_STRING *options;
	KRB_PRINCIPAL *cname;
	ASN1_GENERALSTRING *realm;
	KRB_PRINCIPAL *sname;
	ASN1_GENERALIZEDTIME *from, *till, *rtime;
	uint32_t nonce;
	STACK_OF(ASN1_INTEGER) *etypes;
	STACK_OF(KRB_TYPED) *addresses;
	KRB_SEALED *enc_authorization_data;
	STACK_OF(KRB_TICKET) *additional_tickets;
	ASN1_ENCODING enc; /* as received: paChecksum is over these bytes */
} KRB_KDC_REQ_BODY;

typedef struct {
	int32_t pvno, msg_type;
	STACK_OF(KRB_TYPED) *padata;
	KRB_KDC_REQ_BODY *body;
} KRB_KDC_REQ;

typedef struct {
	int32_t pvno, msg_type;
	STACK_OF(KRB_TYPED) *padata;
	ASN1_GENERALSTRING *crealm;
	KRB_PRINCIPAL *cname;
	KRB_TICKET *ticket;
	KRB_SEALED *enc_part;
} KRB_KDC_REP;

typedef struct {
	int32_t type;
	ASN1_GENERALIZEDTIME *value;
} KRB_LAST_REQ;
DEFINE_STACK_OF(KRB_LAST_REQ)

typedef struct {
	KRB_TYPED *key;
	STACK_OF(KRB_LAST_REQ) *last_req;
	uint32_t nonce;
	ASN1_GENERALIZEDTIME *key_expiration;
	ASN1_BIT_STRING *flags;
	ASN1_GENERALIZEDTIME *authtime, *starttime, *endtime, *renew_till;
	ASN1_GENERALSTRING *srealm;
	KRB_PRINCIPAL *sname;
	STACK_OF(KRB_TYPED) *caddr, *encrypted_pa_data;
} KRB_ENC_REP_PART;

typedef struct {
	ASN1_BIT_STRING *flags;
	KRB_TYPED *key;
	ASN1_GENERALSTRING *crealm;
	KRB_PRINCIPAL *cname;
	KRB_TYPED *transited;
	ASN1_GENERALIZEDTIME *authtime, *starttime, *endtime, *renew_till;
	STACK_OF(KRB_TYPED) *caddr, *authorization_data;
} KRB_ENC_TICKET_PART;

typedef struct {
	int32_t pvno, msg_type;
	ASN1_BIT_STRING *options;
	KRB_TICKET *ticket;
	KRB_SEALED *authenticator;
} KRB_AP_REQ_MSG;

typedef struct {
	int32_t vno;
	ASN1_GENERALSTRING *crealm;
	KRB_PRINCIPAL *cname;
	KRB_TYPED *cksum;
	int32_t cusec;
	ASN1_GENERALIZEDTIME *ctime;
	KRB_TYPED *subkey;
	ASN1_INTEGER *seq_number;
	STACK_OF(KRB_TYPED) *authorization_data;
} KRB_AUTHENTICATOR;

typedef struct {
	int32_t pvno, msg_type;
	KRB_SEALED *enc_part;
} KRB_AP_REP_MSG;

typedef struct {
	ASN1_GENERALIZEDTIME *ctime;
	int32_t cusec;
	KRB_TYPED *subkey;
	ASN1_INTEGER *seq_number;
} KRB_ENC_AP_REP_PART;

typedef struct {
	int32_t pvno, msg_type;
	ASN1_GENERALIZEDTIME *ctime;
	ASN1_INTEGER *cusec;
	ASN1_GENERALIZEDTIME *stime;
	int32_t susec, error_code;
	ASN1_GENERALSTRING *crealm;
	KRB_PRINCIPAL *cname;
	ASN1_GENERALSTRING *realm;
	KRB_PRINCIPAL *sname;
	ASN1_GENERALSTRING *e_text;
	ASN1_OCTET_STRING *e_data;
} KRB_ERROR_MSG;

typedef struct {
	ASN1_GENERALIZEDTIME *time;
	ASN1_INTEGER *usec;
} KRB_PA_TIMESTAMP;

typedef STACK_OF(KRB_TYPED) KRB_METHOD_DATA;

/*
 * What a ticket's authorisation data says about its client, ad-type KRB_AD_TICKET_PROFILE:
 *   TicketProfile ::= SEQUENCE {
 *     device  [0] OCTET STRING (SIZE (18)),              -- 17 characters of MAC or blanks, 1 octet of flags: bit 0
 * restricted numbers [1] SEQUENCE OF IA5String OPTIONAL         -- what a restricted client may call
 *   }
 * It stands outside AD-IF-RELEVANT: a server that does not know it must refuse the ticket (RFC 4120 section 5.2.6).
 */
DEFINE_STACK_OF(ASN1_IA5STRING)
typedef struct {
	ASN1_OCTET_STRING *device;
	STACK_OF(ASN1_IA5STRING) *numbers;
} KRB_TICKET_PROFILE;
#define KRB_PROFILE_MAC_LEN 17
#define KRB_PROFILE_DEVICE_LEN (KRB_PROFILE_MAC_LEN + 1)
#define KRB_PROFILE_RESTRICTED 0x01

/* PKINIT. */
typedef struct {
	ASN1_OCTET_STRING *subject_name, *issuer_and_serial, *subject_key_id;
} PKINIT_CERTIFIER;
DEFINE_STACK_OF(PKINIT_CERTIFIER)

typedef struct {
	ASN1_OCTET_STRING *signed_auth_pack;
	STACK_OF(PKINIT_CERTIFIER) *trusted_certifiers;
	ASN1_OCTET_STRING *kdc_pk_id;
} PKINIT_AS_REQ;

typedef struct {
	int32_t cusec;
	ASN1_GENERALIZEDTIME *ctime;
	uint32_t nonce;
	ASN1_OCTET_STRING *pa_checksum, *freshness_token;
} PKINIT_AUTHENTICATOR;

/* SubjectPublicKeyInfo with X9.42 domain parameters (RFC 3279 section 2.3.3), undigested: the group is compared, not
 * trusted. */
typedef struct {
	ASN1_INTEGER *p, *g, *q, *j;
	ASN1_TYPE *validation;
} PKINIT_DH_DOMAIN;
typedef struct {
	X509_ALGOR *algorithm;
	ASN1_BIT_STRING *key;
} PKINIT_SPKI;

typedef struct {
	ASN1_OBJECT *id;
} PKINIT_KDF_ID;
DEFINE_STACK_OF(PKINIT_KDF_ID)

typedef struct {
	PKINIT_AUTHENTICATOR *authenticator;
	PKINIT_SPKI *client_public_value;
	STACK_OF(X509_ALGOR) *cms_types;
	ASN1_OCTET_STRING *client_dh_nonce;
	STACK_OF(PKINIT_KDF_ID) *kdfs;
} PKINIT_AUTH_PACK;

/* The draft's: names the KDC and has no checksum over the request body (draft-ietf-cat-kerberos-pk-init-10). */
typedef struct {
	KRB_PRINCIPAL *kdc_name;
	ASN1_GENERALSTRING *kdc_realm;
	int32_t cusec;
	ASN1_GENERALIZEDTIME *ctime;
	uint32_t nonce;
} PKINIT_DRAFT_AUTHENTICATOR;
typedef struct {
	PKINIT_DRAFT_AUTHENTICATOR *authenticator;
	PKINIT_SPKI *client_public_value;
} PKINIT_DRAFT_AUTH_PACK;

typedef struct {
	ASN1_OCTET_STRING *signed_data, *server_dh_nonce;
	PKINIT_KDF_ID *kdf;
} PKINIT_DH_REP_INFO;

typedef struct {
	int which; /* 0 dh_info, 1 enc_key_pack */
	union {
		PKINIT_DH_REP_INFO *dh_info;
		ASN1_OCTET_STRING *enc_key_pack;
	} d;
} PKINIT_AS_REP;

typedef struct {
	ASN1_BIT_STRING *public_key;
	uint32_t nonce;
	ASN1_GENERALIZEDTIME *expiration;
} PKINIT_DH_KEY_INFO;

typedef struct {
	KRB_TYPED *reply_key;
	KRB_TYPED *as_checksum;
} PKINIT_REPLY_KEY_PACK;
typedef struct {
	KRB_TYPED *reply_key;
	uint32_t nonce;
} PKINIT_DRAFT_REPLY_KEY_PACK;

/* ContentInfo of RFC 5652, to put around and take off a bare SignedData. */
typedef struct {
	ASN1_OBJECT *type;
	ASN1_TYPE *content;
} PKINIT_CONTENT_INFO;

DECLARE_ASN1_ITEM(KRB_PRINCIPAL)
DECLARE_ASN1_ITEM(KRB_SEALED)
DECLARE_ASN1_ITEM(KRB_TYPED)
DECLARE_ASN1_ITEM(KRB_PA_DATA)
DECLARE_ASN1_ITEM(KRB_AD)
DECLARE_ASN1_ITEM(KRB_LAST_REQ)
DECLARE_ASN1_ITEM(KRB_TICKET)
DECLARE_ASN1_ITEM(KRB_KDC_REQ_BODY)
DECLARE_ASN1_ITEM(KRB_AS_REQUEST)
DECLARE_ASN1_ITEM(KRB_AS_REPLY)
DECLARE_ASN1_ITEM(KRB_ENC_AS_REP_PART)
DECLARE_ASN1_ITEM(KRB_ENC_TGS_REP_PART)
DECLARE_ASN1_ITEM(KRB_ENC_TICKET_PART)
DECLARE_ASN1_ITEM(KRB_AP_REQ_MSG)
DECLARE_ASN1_ITEM(KRB_AUTHENTICATOR)
DECLARE_ASN1_ITEM(KRB_AP_REP_MSG)
DECLARE_ASN1_ITEM(KRB_ENC_AP_REP_PART)
DECLARE_ASN1_ITEM(KRB_ERROR_MSG)
DECLARE_ASN1_ITEM(KRB_PA_TIMESTAMP)
DECLARE_ASN1_ITEM(KRB_METHOD_DATA)
DECLARE_ASN1_ITEM(KRB_TICKET_PROFILE)
DECLARE_ASN1_ITEM(PKINIT_CERTIFIER)
DECLARE_ASN1_ITEM(PKINIT_AS_REQ)
DECLARE_ASN1_ITEM(PKINIT_AUTH_PACK)
DECLARE_ASN1_ITEM(PKINIT_DRAFT_AUTH_PACK)
DECLARE_ASN1_ITEM(PKINIT_DH_DOMAIN)
DECLARE_ASN1_ITEM(PKINIT_SPKI)
DECLARE_ASN1_ITEM(PKINIT_AS_REP)
DECLARE_ASN1_ITEM(PKINIT_DH_REP_INFO)
DECLARE_ASN1_ITEM(PKINIT_DH_KEY_INFO)
DECLARE_ASN1_ITEM(PKINIT_REPLY_KEY_PACK)
DECLARE_ASN1_ITEM(PKINIT_DRAFT_REPLY_KEY_PACK)
DECLARE_ASN1_ITEM(PKINIT_CONTENT_INFO)

/* One value and nothing behind it; NULL otherwise. Free with krb_asn1_free(). len is bounded by KRB_MESSAGE_MAX. */
void *krb_decode(const ASN1_ITEM *item, const uint8_t *bytes, size_t len);
/* One value and at most seven bytes of padding (RFC 3961 section 6.3: their content is not defined). */
void *krb_decode_padded(const ASN1_ITEM *item, const uint8_t *bytes, size_t len);
/* An empty value, fields that are not optional present. Never NULL: memory for these is not a peer's choice (aborts).
 */
void *krb_asn1_new(const ASN1_ITEM *item);
void krb_asn1_free(void *value, const ASN1_ITEM *item);
/* DER of value; out is the caller's. False when a field cannot be encoded. */
bool krb_encode(const void *value, const ASN1_ITEM *item, struct der *out);

#define KRB_NEW(TYPE) krb_asn1_new(ASN1_ITEM_rptr(TYPE))
#define KRB_FREE(TYPE, value) krb_asn1_free(value, ASN1_ITEM_rptr(TYPE))
#define KRB_DECODE(TYPE, bytes, len) krb_decode(ASN1_ITEM_rptr(TYPE), bytes, len)
#define KRB_ENCODE(TYPE, value, out) krb_encode(value, ASN1_ITEM_rptr(TYPE), out)

/* Fields. Setters allocate what is missing and abort when memory ends; getters say false to what we do not accept. */
void krb_put_octets(ASN1_OCTET_STRING **field, const uint8_t *bytes, size_t len);
void krb_put_typed(KRB_TYPED **field, int32_t type, const uint8_t *bytes, size_t len);
void krb_push_typed(STACK_OF(KRB_TYPED) **list, int32_t type, const uint8_t *bytes, size_t len);
/* First element of a type; NULL: none (list may be NULL). */
const KRB_TYPED *krb_find_typed(const STACK_OF(KRB_TYPED) *list, int32_t type);
void krb_put_uint(ASN1_INTEGER **field, uint32_t value);
bool krb_get_uint(const ASN1_INTEGER *field, uint32_t *value);
void krb_put_time(ASN1_GENERALIZEDTIME **field, int64_t time_s);
/* "YYYYMMDDHHMMSSZ" and no other form (RFC 4120 section 5.2.3), years 1970 to 9999. */
bool krb_get_time(const ASN1_GENERALIZEDTIME *field, int64_t *time_s);
void krb_put_flags(ASN1_BIT_STRING **field, uint32_t flags);
void krb_put_text(ASN1_GENERALSTRING **field, const char *text);
void krb_put_name(KRB_PRINCIPAL **principal, ASN1_GENERALSTRING **realm, const struct krb_name *name);
/* False: a component or realm that is empty, too long or has characters that could be taken for a separator. */
bool krb_get_name(const KRB_PRINCIPAL *principal, const ASN1_GENERALSTRING *realm, struct krb_name *name);
/* The key's 24 bytes, NULL when it is not a des3-cbc-sha1-kd key. */
const uint8_t *krb_get_key(const KRB_TYPED *key);
/* Wipes a key's bytes, ahead of freeing the value around it. key may be NULL. */
void krb_wipe_typed(KRB_TYPED *key);

#endif

/*
 * Objects of the PKCS#11 face: which there are, their attributes, and the search for them.
 *
 * A module's keys are shown as they are at the moment of asking: an RSA key as a private and a public key object, a
 * 3DES key as a secret key, the root verification key as a trusted certificate. Private and secret keys are seen after
 * login only.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include "crypto/pkcs11_internal.h"

#define SUBKEY_ROLE "subkey"
#define CATEGORY_AUTHORITY 2UL

static struct sm_key *any_key(struct secure_module *sm, key_handle handle)
{
	struct sm_key *key = sm_lookup(sm, handle, SM_RSA);

	if (!key)
		key = sm_lookup(sm, handle, SM_DES3);
	return key ? key : sm_lookup(sm, handle, SM_HMAC);
}

static const struct p11_made *made_of(const struct p11_slot *slot, key_handle key)
{
	const struct p11_made *made = slot->made;

	while (made && made->key != key)
		made = made->next;
	return made;
}

static void view_rsa(const struct p11_slot *slot, enum p11_part part, struct p11_view *view)
{
	view->object_class = part == P11_PART_PUBLIC ? CKO_PUBLIC_KEY : CKO_PRIVATE_KEY;
	if (part == P11_PART_PUBLIC)
		view->usage = CKF_VERIFY | CKF_ENCRYPT;
	else
		view->usage = slot->strict ? CKF_SIGN : CKF_SIGN | CKF_DECRYPT | CKF_UNWRAP;
}

/* A secret key that the protocols use: structured use only, and only sub-keys leave (wrapped). */
static void view_secret(struct p11_view *view)
{
	view->object_class = CKO_SECRET_KEY;
	if (view->made) {
		view->usage = view->made->usage;
		view->extractable = view->made->extractable;
		view->trusted = view->made->trusted;
		view->local = view->made->local;
	} else {
		view->usage = view->key->kind == SM_DES3 ? P11_STRUCTURED_USE : 0;
		view->extractable = strcmp(view->key->role, SUBKEY_ROLE) == 0;
		view->trusted = true;
	}
}

bool p11_view(struct p11_slot *slot, CK_OBJECT_HANDLE handle, struct p11_view *view)
{
	enum p11_part part = handle & 3;
	size_t len;

	*view = (struct p11_view){ .handle = handle };
	if (handle == P11_PART_ROOT) {
		view->object_class = CKO_CERTIFICATE;
		return sm_root(slot->sm, &len) != NULL;
	}
	if (handle >> 2 == 0 || handle >> 2 > UINT32_MAX)
		return false;
	view->key = any_key(slot->sm, (key_handle)(handle >> 2));
	if (!view->key || part == 0 || part == P11_PART_ROOT)
		return false;
	if (part == P11_PART_SECRET && !slot->logged_in)
		return false;
	if (view->key->kind == SM_RSA) {
		view_rsa(slot, part, view);
		return true;
	}
	view->made = made_of(slot, view->key->handle);
	view_secret(view);
	return part == P11_PART_SECRET;
}

CK_RV p11_usable(struct p11_slot *slot, CK_OBJECT_HANDLE handle, CK_FLAGS use, struct p11_view *view)
{
	if (!p11_view(slot, handle, view) || !view->key)
		return CKR_KEY_HANDLE_INVALID;
	return view->usage & use ? CKR_OK : CKR_KEY_FUNCTION_NOT_PERMITTED;
}

/* An attribute's value: bytes point into scratch, into owned, or to what lives as long as the object. */
struct value {
	const uint8_t *bytes;
	size_t len;
	uint8_t *owned;
	union {
		CK_BBOOL boolean;
		CK_ULONG number;
		uint8_t bytes[P11_RSA_MAX];
	} scratch;
};

static CK_RV give_bytes(struct value *v, const void *bytes, size_t len)
{
	v->bytes = bytes;
	v->len = len;
	return CKR_OK;
}

static CK_RV give_bool(struct value *v, bool value)
{
	v->scratch.boolean = value ? CK_TRUE : CK_FALSE;
	return give_bytes(v, &v->scratch.boolean, sizeof v->scratch.boolean);
}

static CK_RV give_number(struct value *v, CK_ULONG value)
{
	v->scratch.number = value;
	return give_bytes(v, &v->scratch.number, sizeof v->scratch.number);
}

static CK_RV give_owned(struct value *v, uint8_t *bytes, int len)
{
	if (len <= 0)
		return CKR_GENERAL_ERROR;
	v->owned = bytes;
	return give_bytes(v, bytes, (size_t)len);
}

static CK_RV give_integer(struct value *v, EVP_PKEY *pkey, const char *name)
{
	BIGNUM *n = NULL;
	CK_RV rv = CKR_GENERAL_ERROR;

	if (EVP_PKEY_get_bn_param(pkey, name, &n) && BN_num_bytes(n) <= P11_RSA_MAX)
		rv = give_bytes(v, v->scratch.bytes, (size_t)BN_bn2bin(n, v->scratch.bytes));
	BN_free(n);
	return rv;
}

/* Attributes of RSA keys of either half. */
static CK_RV rsa_attribute(struct p11_slot *slot, const struct p11_view *view, CK_ATTRIBUTE_TYPE type, struct value *v)
{
	EVP_PKEY *pkey;

	switch (type) {
	case CKA_PRIVATE_EXPONENT: case CKA_PRIME_1: case CKA_PRIME_2: case CKA_EXPONENT_1: case CKA_EXPONENT_2:
	case CKA_COEFFICIENT:
		return view->object_class == CKO_PRIVATE_KEY ? CKR_ATTRIBUTE_SENSITIVE : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_MODULUS_BITS:
		return give_number(v, view->key->bits);
	case CKA_MODULUS: case CKA_PUBLIC_EXPONENT: case CKA_PUBLIC_KEY_INFO:
		break;
	default:
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
	pkey = sm_rsa_pkey(slot->sm, view->key->handle);
	if (!pkey) /* an external token that went away */
		return CKR_DEVICE_ERROR;
	if (type == CKA_PUBLIC_KEY_INFO) {
		uint8_t *der = NULL;
		int len = i2d_PUBKEY(pkey, &der);

		return give_owned(v, der, len);
	}
	return give_integer(v, pkey, type == CKA_MODULUS ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_RSA_E);
}

static CK_RV give_id(struct p11_slot *slot, const struct p11_view *view, struct value *v)
{
	if (view->made && view->made->id_len > 0)
		return give_bytes(v, view->made->id, view->made->id_len);
	sm_key_id(slot->sm, view->key->handle, v->scratch.bytes);
	return give_bytes(v, v->scratch.bytes, KEY_ID_LEN);
}

static CK_RV give_label(const struct p11_view *view, struct value *v)
{
	const char *text = view->key->kind == SM_RSA ? view->key->pool_name : view->key->role;

	if (view->made && view->made->label_len > 0)
		return give_bytes(v, view->made->label, view->made->label_len);
	return give_bytes(v, text, strlen(text));
}

/* The uses and properties of a key; those that a class does not have are false there, which asks for no table. */
static CK_RV key_flag(const struct p11_view *view, CK_ATTRIBUTE_TYPE type, struct value *v)
{
	const bool hidden = view->object_class != CKO_PUBLIC_KEY;

	switch (type) {
	case CKA_ENCRYPT: return give_bool(v, view->usage & CKF_ENCRYPT);
	case CKA_DECRYPT: return give_bool(v, view->usage & CKF_DECRYPT);
	case CKA_SIGN: return give_bool(v, view->usage & CKF_SIGN);
	case CKA_VERIFY: return give_bool(v, view->usage & CKF_VERIFY);
	case CKA_WRAP: return give_bool(v, view->usage & CKF_WRAP);
	case CKA_UNWRAP: return give_bool(v, view->usage & CKF_UNWRAP);
	case CKA_DERIVE: return give_bool(v, view->usage & CKF_DERIVE);
	case CKA_SIGN_RECOVER: case CKA_VERIFY_RECOVER: case CKA_ALWAYS_AUTHENTICATE: return give_bool(v, false);
	case CKA_LOCAL: return give_bool(v, view->local);
	case CKA_TRUSTED: return give_bool(v, view->trusted);
	case CKA_SENSITIVE: return hidden ? give_bool(v, true) : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_EXTRACTABLE: return hidden ? give_bool(v, view->extractable) : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_ALWAYS_SENSITIVE: return hidden ? give_bool(v, view->local) : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_NEVER_EXTRACTABLE:
		return hidden ? give_bool(v, view->local && !view->extractable) : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_WRAP_WITH_TRUSTED: return hidden ? give_bool(v, true) : CKR_ATTRIBUTE_TYPE_INVALID;
	default: return CKR_ATTRIBUTE_TYPE_INVALID;
	}
}

static CK_RV key_attribute(struct p11_slot *slot, const struct p11_view *view, CK_ATTRIBUTE_TYPE type, struct value *v)
{
	const bool rsa = view->key->kind == SM_RSA;
	CK_RV rv;

	switch (type) {
	case CKA_KEY_TYPE:
		return give_number(v, rsa ? CKK_RSA : view->key->kind == SM_DES3 ? CKK_DES3 : CKK_SHA_1_HMAC);
	case CKA_LABEL:
		return give_label(view, v);
	case CKA_ID:
		return give_id(slot, view, v);
	case CKA_START_DATE: case CKA_END_DATE:
		return give_bytes(v, "", 0);
	case CKA_KEY_GEN_MECHANISM:
		return give_number(v, view->local ? CKM_DES3_KEY_GEN : CK_UNAVAILABLE_INFORMATION);
	case CKA_SUBJECT:
		return rsa ? give_bytes(v, "", 0) : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_VALUE:
		return rsa ? CKR_ATTRIBUTE_TYPE_INVALID : CKR_ATTRIBUTE_SENSITIVE;
	case CKA_VALUE_LEN:
		return rsa ? CKR_ATTRIBUTE_TYPE_INVALID :
		       give_number(v, view->key->kind == SM_DES3 ? P11_DES3_LEN : 20);
	}
	rv = key_flag(view, type, v);
	return rv == CKR_ATTRIBUTE_TYPE_INVALID && rsa ? rsa_attribute(slot, view, type, v) : rv;
}

/* Subject, issuer, serial number and id of the root certificate, which sm_install_root() has found to be one. */
static CK_RV parsed_attribute(struct p11_slot *slot, const uint8_t *der, size_t len, CK_ATTRIBUTE_TYPE type,
                              struct value *v)
{
	X509 *cert = d2i_X509(NULL, &der, (long)len);
	uint8_t *out = NULL;
	CK_RV rv = CKR_ATTRIBUTE_TYPE_INVALID;
	int out_len;

	if (!cert)
		return CKR_GENERAL_ERROR;
	switch (type) {
	case CKA_SUBJECT:
		out_len = i2d_X509_NAME(X509_get_subject_name(cert), &out);
		rv = give_owned(v, out, out_len);
		break;
	case CKA_ISSUER:
		out_len = i2d_X509_NAME(X509_get_issuer_name(cert), &out);
		rv = give_owned(v, out, out_len);
		break;
	case CKA_SERIAL_NUMBER:
		out_len = i2d_ASN1_INTEGER(X509_get_serialNumber(cert), &out);
		rv = give_owned(v, out, out_len);
		break;
	case CKA_ID:
		out_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &out);
		if (out_len > 0) {
			key_id_of(sm_crypto(slot->sm), out, (size_t)out_len, v->scratch.bytes);
			rv = give_bytes(v, v->scratch.bytes, KEY_ID_LEN);
		}
		OPENSSL_free(out);
		break;
	}
	X509_free(cert);
	return rv;
}

static CK_RV root_attribute(struct p11_slot *slot, CK_ATTRIBUTE_TYPE type, struct value *v)
{
	size_t len;
	const uint8_t *der = sm_root(slot->sm, &len);

	switch (type) {
	case CKA_CERTIFICATE_TYPE: return give_number(v, CKC_X_509);
	case CKA_CERTIFICATE_CATEGORY: return give_number(v, CATEGORY_AUTHORITY);
	case CKA_TRUSTED: return give_bool(v, true);
	case CKA_LABEL: return give_bytes(v, "root", 4);
	case CKA_VALUE: return give_bytes(v, der, len);
	case CKA_START_DATE: case CKA_END_DATE: return give_bytes(v, "", 0);
	default: return parsed_attribute(slot, der, len, type, v);
	}
}

static CK_RV attribute(struct p11_slot *slot, const struct p11_view *view, CK_ATTRIBUTE_TYPE type, struct value *v)
{
	switch (type) {
	case CKA_CLASS:
		return give_number(v, view->object_class);
	case CKA_TOKEN:
		return give_bool(v, !view->made || view->made->session == 0);
	case CKA_PRIVATE:
		return give_bool(v, view->object_class == CKO_PRIVATE_KEY || view->object_class == CKO_SECRET_KEY);
	case CKA_MODIFIABLE: case CKA_COPYABLE:
		return give_bool(v, false);
	case CKA_DESTROYABLE:
		return give_bool(v, view->made != NULL);
	}
	return view->key ? key_attribute(slot, view, type, v) : root_attribute(slot, type, v);
}

/* One attribute of C_GetAttributeValue(): a length, a copy, or a refusal that marks the length. */
static CK_RV get_attribute(struct p11_slot *slot, const struct p11_view *view, CK_ATTRIBUTE *out)
{
	struct value v = { .owned = NULL };
	CK_RV rv = attribute(slot, view, out->type, &v);

	if (rv == CKR_OK && out->pValue && out->ulValueLen < v.len)
		rv = CKR_BUFFER_TOO_SMALL;
	if (rv == CKR_OK && out->pValue && v.len > 0)
		memcpy(out->pValue, v.bytes, v.len);
	out->ulValueLen = rv == CKR_OK ? v.len : CK_UNAVAILABLE_INFORMATION;
	OPENSSL_free(v.owned);
	return rv;
}

CK_RV p11_get_attributes(struct p11_slot *slot, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	struct p11_view view;
	CK_RV result = CKR_OK;

	if (!p11_view(slot, handle, &view))
		return CKR_OBJECT_HANDLE_INVALID;
	for (CK_ULONG i = 0; i < count; i++) {
		CK_RV rv = get_attribute(slot, &view, &attributes[i]);

		if (rv != CKR_OK)
			result = rv;
	}
	return result;
}

static bool matches(struct p11_slot *slot, const struct p11_view *view, const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	for (CK_ULONG i = 0; i < count; i++) {
		struct value v = { .owned = NULL };
		bool equal = attribute(slot, view, attributes[i].type, &v) == CKR_OK &&
		             v.len == attributes[i].ulValueLen &&
		             (v.len == 0 ||
		              (attributes[i].pValue && memcmp(v.bytes, attributes[i].pValue, v.len) == 0));

		OPENSSL_free(v.owned);
		if (!equal)
			return false;
	}
	return true;
}

static void note_if_found(struct p11_session *session, CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *attributes,
                          CK_ULONG count)
{
	struct p11_view view;

	if (p11_view(session->slot, handle, &view) && matches(session->slot, &view, attributes, count))
		session->found[session->found_count++] = handle;
}

CK_RV p11_find_init(struct p11_session *session, const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	struct secure_module *sm = session->slot->sm;
	const size_t keys = sm_key_count(sm);
	size_t seen = 0;

	if (session->finding)
		return CKR_OPERATION_ACTIVE;
	session->found = calloc(2 * keys + 1, sizeof *session->found);
	if (!session->found)
		return CKR_HOST_MEMORY;
	session->found_count = session->found_next = 0;
	session->finding = true;
	note_if_found(session, P11_PART_ROOT, attributes, count);
	for (key_handle key = 1; seen < keys; key++) { /* handles grow from 1 and are never used again */
		if (!any_key(sm, key))
			continue;
		seen++;
		note_if_found(session, p11_handle(key, P11_PART_SECRET), attributes, count);
		note_if_found(session, p11_handle(key, P11_PART_PUBLIC), attributes, count);
	}
	return CKR_OK;
}

CK_RV p11_find(struct p11_session *session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
	if (!session->finding)
		return CKR_OPERATION_NOT_INITIALIZED;
	*count = 0;
	while (*count < max && session->found_next < session->found_count)
		objects[(*count)++] = session->found[session->found_next++];
	return CKR_OK;
}

CK_RV p11_find_final(struct p11_session *session)
{
	if (!session->finding)
		return CKR_OPERATION_NOT_INITIALIZED;
	free(session->found);
	session->found = NULL;
	session->finding = false;
	return CKR_OK;
}

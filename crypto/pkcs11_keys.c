/*
 * How keys come into and leave a module through the PKCS#11 face: generate, create, unwrap, derive, wrap, destroy; and
 * the ESP associations that hang on sub-keys.
 *
 * Who may be wrapped under what: the key must be extractable, and the wrapping key must not be one that somebody
 * outside may know (created from a value, or unwrapped): CKA_WRAP_WITH_TRUSTED holds for every key.
 */
#include <stdlib.h>
#include <string.h>
#include "crypto/pkcs11_internal.h"

#define ROLE_SECRET "pkcs11.secret"
#define ROLE_DERIVED "pkcs11.derived"

/* What a template asks of a new secret key. */
struct wish {
	bool token, extractable;
	CK_FLAGS asked, denied;
	const CK_ATTRIBUTE *label, *id, *value; /* NULL: not given */
};

static bool attribute_bool(const CK_ATTRIBUTE *attribute, bool *out)
{
	CK_BBOOL value;

	if (!attribute->pValue || attribute->ulValueLen != sizeof value)
		return false;
	memcpy(&value, attribute->pValue, sizeof value);
	*out = value != CK_FALSE;
	return true;
}

static bool attribute_is(const CK_ATTRIBUTE *attribute, CK_ULONG wanted)
{
	CK_ULONG value;

	if (!attribute->pValue || attribute->ulValueLen != sizeof value)
		return false;
	memcpy(&value, attribute->pValue, sizeof value);
	return value == wanted;
}

static CK_FLAGS use_of(CK_ATTRIBUTE_TYPE type)
{
	switch (type) {
	case CKA_ENCRYPT: return CKF_ENCRYPT;
	case CKA_DECRYPT: return CKF_DECRYPT;
	case CKA_SIGN: return CKF_SIGN;
	case CKA_VERIFY: return CKF_VERIFY;
	case CKA_WRAP: return CKF_WRAP;
	case CKA_UNWRAP: return CKF_UNWRAP;
	case CKA_DERIVE: return CKF_DERIVE;
	default: return 0;
	}
}

static CK_RV read_flag(struct wish *wish, const CK_ATTRIBUTE *attribute)
{
	CK_FLAGS use = use_of(attribute->type);
	bool value;

	if (!attribute_bool(attribute, &value))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	switch (attribute->type) {
	case CKA_TOKEN:
		wish->token = value;
		return CKR_OK;
	case CKA_EXTRACTABLE:
		wish->extractable = value;
		return CKR_OK;
	case CKA_PRIVATE: case CKA_SENSITIVE: case CKA_WRAP_WITH_TRUSTED:
		return value ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
	case CKA_MODIFIABLE: case CKA_COPYABLE: case CKA_TRUSTED:
		return value ? CKR_TEMPLATE_INCONSISTENT : CKR_OK;
	}
	if (!use)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	*(value ? &wish->asked : &wish->denied) |= use;
	return CKR_OK;
}

static CK_RV read_attribute(struct wish *wish, const CK_ATTRIBUTE *attribute)
{
	switch (attribute->type) {
	case CKA_CLASS:
		return attribute_is(attribute, CKO_SECRET_KEY) ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
	case CKA_KEY_TYPE:
		return attribute_is(attribute, CKK_DES3) ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
	case CKA_VALUE_LEN:
		return attribute_is(attribute, P11_DES3_LEN) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
	case CKA_LABEL:
		wish->label = attribute;
		return attribute->ulValueLen <= P11_LABEL_MAX ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
	case CKA_ID:
		wish->id = attribute;
		return attribute->ulValueLen <= P11_ID_MAX ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
	case CKA_VALUE:
		wish->value = attribute;
		return attribute->pValue ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
	default:
		return read_flag(wish, attribute);
	}
}

/* Reads a template for a key in that session. derived: structured use only. */
static CK_RV read_wish(const struct p11_session *session, const CK_ATTRIBUTE *attributes, CK_ULONG count, bool derived,
                       struct wish *wish)
{
	*wish = (struct wish){ .token = false };
	for (CK_ULONG i = 0; i < count; i++) {
		CK_RV rv = read_attribute(wish, &attributes[i]);

		if (rv != CKR_OK)
			return rv;
	}
	if (!session->slot->logged_in)
		return CKR_USER_NOT_LOGGED_IN;
	if (wish->token && !(session->flags & CKF_RW_SESSION))
		return CKR_SESSION_READ_ONLY;
	if (wish->asked == 0)
		wish->asked = (derived ? P11_STRUCTURED_USE : P11_RAW_USE) & ~wish->denied;
	if ((wish->asked & P11_RAW_USE) && (derived || (wish->asked & P11_STRUCTURED_USE)))
		return CKR_TEMPLATE_INCONSISTENT;
	return session->slot->made_count < P11_MADE_MAX ? CKR_OK : CKR_DEVICE_MEMORY;
}

static size_t keep_text(uint8_t *out, const CK_ATTRIBUTE *attribute)
{
	if (!attribute || !attribute->pValue || attribute->ulValueLen == 0)
		return 0;
	memcpy(out, attribute->pValue, attribute->ulValueLen);
	return attribute->ulValueLen;
}

/* Enters a new key of the module as an object. */
static CK_RV enter(struct p11_session *session, key_handle key, const struct wish *wish, bool local, bool trusted,
                   CK_OBJECT_HANDLE *object)
{
	struct p11_slot *slot = session->slot;
	struct p11_made *made = calloc(1, sizeof *made);

	if (!made)
		abort();
	made->key = key;
	made->session = wish->token ? 0 : session->handle;
	made->usage = wish->asked;
	made->extractable = wish->extractable;
	made->local = local;
	made->trusted = trusted;
	made->label_len = keep_text(made->label, wish->label);
	made->id_len = keep_text(made->id, wish->id);
	made->next = slot->made;
	slot->made = made;
	slot->made_count++;
	*object = p11_handle(key, P11_PART_SECRET);
	return CKR_OK;
}

CK_RV p11_generate(struct p11_session *session, const CK_MECHANISM *mechanism, const CK_ATTRIBUTE *attributes,
                   CK_ULONG count, CK_OBJECT_HANDLE *object)
{
	struct wish wish;
	CK_RV rv;

	if (mechanism->mechanism != CKM_DES3_KEY_GEN)
		return CKR_MECHANISM_INVALID;
	rv = read_wish(session, attributes, count, false, &wish);
	if (rv != CKR_OK)
		return rv;
	if (wish.value)
		return CKR_TEMPLATE_INCONSISTENT;
	return enter(session, sm_generate_des3(session->slot->sm, ROLE_SECRET), &wish, true, true, object);
}

/* Only 3DES keys can be brought in: what an operator does (sm_install_des3()). */
CK_RV p11_create(struct p11_session *session, const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
	bool has_class = false, has_type = false;
	struct wish wish;
	CK_RV rv;

	for (CK_ULONG i = 0; i < count; i++) {
		has_class |= attributes[i].type == CKA_CLASS;
		has_type |= attributes[i].type == CKA_KEY_TYPE;
	}
	rv = read_wish(session, attributes, count, false, &wish);
	if (rv != CKR_OK)
		return rv;
	if (!has_class || !has_type || !wish.value)
		return CKR_TEMPLATE_INCOMPLETE;
	if (wish.value->ulValueLen != P11_DES3_LEN)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	return enter(session, sm_install_des3(session->slot->sm, ROLE_SECRET, "", wish.value->pValue), &wish, false,
	             false, object);
}

CK_RV p11_wrap(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
               CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_len)
{
	struct p11_view outer, inner;
	CK_ULONG usage;
	CK_RV rv;

	if (mechanism->mechanism != CKM_TOLLGATE_SUBKEY_WRAP)
		return CKR_MECHANISM_INVALID;
	if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof usage)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&usage, mechanism->pParameter, sizeof usage);
	rv = p11_usable(session->slot, wrapping, CKF_WRAP, &outer);
	if (rv != CKR_OK)
		return rv == CKR_KEY_HANDLE_INVALID ? CKR_WRAPPING_KEY_HANDLE_INVALID : rv;
	if (!p11_view(session->slot, key, &inner) || !inner.key)
		return CKR_KEY_HANDLE_INVALID;
	if (inner.object_class != CKO_SECRET_KEY || inner.key->kind != SM_DES3 || usage > UINT32_MAX)
		return usage > UINT32_MAX ? CKR_MECHANISM_PARAM_INVALID : CKR_KEY_NOT_WRAPPABLE;
	if (!inner.extractable)
		return CKR_KEY_UNEXTRACTABLE;
	if (!outer.trusted)
		return CKR_KEY_NOT_WRAPPABLE;
	if (out && *out_len < KEY_WRAPPED_LEN) {
		*out_len = KEY_WRAPPED_LEN;
		return CKR_BUFFER_TOO_SMALL;
	}
	*out_len = KEY_WRAPPED_LEN;
	if (!out)
		return CKR_OK;
	return sm_wrap(session->slot->sm, outer.key->handle, (uint32_t)usage, inner.key->handle, out) ? CKR_OK :
	       CKR_FUNCTION_FAILED;
}

/* A key that came sealed to the RSA key. Whatever is wrong with it gives one and the same error (attack K11). */
static key_handle unwrap_rsa(struct p11_slot *slot, struct sm_key *rsa, const CK_BYTE *wrapped, size_t len)
{
	uint8_t plain[P11_RSA_MAX], id[KEY_ID_LEN];
	size_t plain_len = 0;
	key_handle key = 0;

	sm_key_id(slot->sm, rsa->handle, id); /* so that the parent's id is known */
	if (p11_rsa_decrypt(slot, rsa->handle, wrapped, len, plain, &plain_len) && plain_len == P11_DES3_LEN)
		key = sm_add(slot->sm, SM_DES3, ROLE_SECRET, plain, plain_len, "unwrapped", "", rsa);
	crypto_wipe(plain, sizeof plain);
	return key;
}

CK_RV p11_unwrap(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                 const CK_BYTE *wrapped,
                 CK_ULONG wrapped_len, const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
	const bool rsa = mechanism->mechanism == CKM_RSA_PKCS;
	struct p11_view outer;
	CK_ULONG usage = 0;
	key_handle key;
	struct wish wish;
	CK_RV rv;

	if (!rsa && mechanism->mechanism != CKM_TOLLGATE_SUBKEY_WRAP)
		return CKR_MECHANISM_INVALID;
	if (!rsa && (!mechanism->pParameter || mechanism->ulParameterLen != sizeof usage))
		return CKR_MECHANISM_PARAM_INVALID;
	if (!rsa)
		memcpy(&usage, mechanism->pParameter, sizeof usage);
	rv = p11_usable(session->slot, wrapping, CKF_UNWRAP, &outer);
	if (rv != CKR_OK)
		return rv == CKR_KEY_HANDLE_INVALID ? CKR_UNWRAPPING_KEY_HANDLE_INVALID : rv;
	if (rsa != (outer.key->kind == SM_RSA) || usage > UINT32_MAX)
		return usage > UINT32_MAX ? CKR_MECHANISM_PARAM_INVALID : CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT;
	/*
	 * A sub-key that comes wrapped under a protocol's key is for structured use; else unwrapping would make it
	 * readable.
	 */
	rv = read_wish(session, attributes, count, !rsa, &wish);
	if (rv != CKR_OK)
		return rv;
	if (wish.value)
		return CKR_TEMPLATE_INCONSISTENT;
	key = rsa ? unwrap_rsa(session->slot, outer.key, wrapped, wrapped_len)
	          : sm_unwrap(session->slot->sm, outer.key->handle, (uint32_t)usage, ROLE_SECRET, wrapped, wrapped_len);
	return key ? enter(session, key, &wish, false, false, object) : CKR_WRAPPED_KEY_INVALID;
}

/* Copies a label that came as bytes. False: too long, or a NUL in it. */
static bool read_label(const void *bytes, CK_ULONG len, char out[TOLLGATE_LABEL_MAX])
{
	if (!bytes || len == 0 || len >= TOLLGATE_LABEL_MAX || memchr(bytes, '\0', len))
		return false;
	memcpy(out, bytes, len);
	out[len] = '\0';
	return true;
}

CK_RV p11_derive(struct p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                 const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
	char label[TOLLGATE_LABEL_MAX];
	struct p11_view view;
	struct wish wish;
	key_handle key;
	CK_RV rv;

	if (mechanism->mechanism != CKM_TOLLGATE_SUBKEY_DERIVE)
		return CKR_MECHANISM_INVALID;
	if (!read_label(mechanism->pParameter, mechanism->ulParameterLen, label))
		return CKR_MECHANISM_PARAM_INVALID;
	rv = p11_usable(session->slot, base, CKF_DERIVE, &view);
	if (rv == CKR_OK)
		rv = read_wish(session, attributes, count, true, &wish);
	if (rv != CKR_OK)
		return rv;
	if (wish.value)
		return CKR_TEMPLATE_INCONSISTENT;
	key = sm_derive_des3(session->slot->sm, view.key->handle, label, ROLE_DERIVED);
	return key ? enter(session, key, &wish, false, view.trusted, object) : CKR_KEY_TYPE_INCONSISTENT;
}

/* Of one key; of all that are gone (a protocol ends its own without us); of every one. */
enum drop { DROP_OF_KEY, DROP_DEAD, DROP_ALL };

static bool is_dropped(const struct p11_slot *slot, const struct p11_association *a, enum drop which, key_handle key)
{
	return which == DROP_ALL || (which == DROP_OF_KEY ? a->key == key : !sm_lookup(slot->sm, a->key, SM_DES3));
}

/* An operation that still points to one of a dead key never looks at it: p11_cipher() asks for the key first. */
static void drop_associations(struct p11_slot *slot, enum drop which, key_handle key)
{
	struct p11_association **link = &slot->associations;

	while (*link) {
		struct p11_association *a = *link;

		if (!is_dropped(slot, a, which, key)) {
			link = &a->next;
			continue;
		}
		*link = a->next;
		esp_sa_free(a->sa);
		free(a);
		slot->association_count--;
	}
}

/* Unlinks *link and destroys its key. */
static void destroy_made(struct p11_slot *slot, struct p11_made **link)
{
	struct p11_made *made = *link;

	*link = made->next;
	slot->made_count--;
	drop_associations(slot, DROP_OF_KEY, made->key);
	if (sm_lookup(slot->sm, made->key, SM_DES3))
		sm_destroy_key(slot->sm, made->key);
	free(made);
}

CK_RV p11_destroy(struct p11_session *session, CK_OBJECT_HANDLE object)
{
	struct p11_made **link = &session->slot->made;
	struct p11_view view;

	if (!p11_view(session->slot, object, &view))
		return CKR_OBJECT_HANDLE_INVALID;
	if (!view.made)
		return CKR_ACTION_PROHIBITED;
	if (view.made->session == 0 && !(session->flags & CKF_RW_SESSION))
		return CKR_SESSION_READ_ONLY;
	while (*link != view.made)
		link = &(*link)->next;
	destroy_made(session->slot, link);
	return CKR_OK;
}

void p11_destroy_made(struct p11_slot *slot, CK_SESSION_HANDLE session)
{
	struct p11_made **link = &slot->made;

	if (session == 0)
		drop_associations(slot, DROP_ALL, 0);
	while (*link) {
		if (session == 0 || (*link)->session == session)
			destroy_made(slot, link);
		else
			link = &(*link)->next;
	}
}

struct p11_association *p11_associate(struct p11_slot *slot, key_handle key, const CK_TOLLGATE_ESP_PARAMS *params)
{
	struct esp_options options = { .implicit_iv = params->flags & CKF_TOLLGATE_ESP_IMPLICIT_IV };
	enum esp_direction direction = params->flags & CKF_TOLLGATE_ESP_DOWN ? ESP_DOWN : ESP_UP;
	struct p11_association *a;
	char label[TOLLGATE_LABEL_MAX];

	if (params->spi > UINT32_MAX || !read_label(params->label, params->label_len, label))
		return NULL;
	drop_associations(slot, DROP_DEAD, 0);
	for (a = slot->associations; a; a = a->next) {
		if (a->key == key && a->flags == params->flags && esp_sa_spi(a->sa) == params->spi &&
		    strcmp(a->label, label) == 0)
			return a;
	}
	if (slot->association_count >= P11_ASSOCIATIONS_MAX)
		return NULL;
	a = calloc(1, sizeof *a);
	if (!a)
		abort();
	a->key = key;
	a->flags = params->flags;
	memcpy(a->label, label, sizeof label);
	a->sa = esp_sa_new(slot->sm, key, label, direction, (uint32_t)params->spi, "pkcs11", &options);
	if (!a->sa) {
		free(a);
		return NULL;
	}
	a->next = slot->associations;
	slot->associations = a;
	slot->association_count++;
	return a;
}

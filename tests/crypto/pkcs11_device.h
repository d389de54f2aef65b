/*
 * A simulated device's module as a PKCS#11 slot, and the token of the environment, for the tests of the PKCS#11 face.
 */
#ifndef TOLLGATE_TESTS_CRYPTO_PKCS11_DEVICE_H
#define TOLLGATE_TESTS_CRYPTO_PKCS11_DEVICE_H

#include <check.h>
#include "crypto/pkcs11.h"
#include "tests/crypto/fixture.h"

#define PIN "4711"
#define SPI 0x2000u

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY, public_class = CKO_PUBLIC_KEY;
static CK_KEY_TYPE des3_type = CKK_DES3;
static const uint8_t known_key[24] = "\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01"
                                     "\x45\x67\x89\xab\xcd\xef\x01\x23";

/* A device with an RSA key, a session key and a sub-key, shown as a slot; somebody is logged in. */
struct device {
	CK_FUNCTION_LIST *p11;
	struct fixture f;
	struct key_pool *pool;
	key_handle rsa, session_key, subkey;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
};

#define OK(call) ck_assert_uint_eq((call), CKR_OK)
#define IS(rv, call) ck_assert_uint_eq((call), (rv))

static inline void log_in(struct device *d, const char *pin)
{
	OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &d->session));
	OK(d->p11->C_Login(d->session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)));
}

static inline void device_init(struct device *d)
{
	fixture_init(&d->f, "device");
	d->pool = key_pool_new(d->f.crypto, FIXTURE_POOL_SEED, NULL);
	d->rsa = sm_install_rsa(d->f.sm, d->pool, "device", 1024);
	d->session_key = sm_generate_des3(d->f.sm, "krb.session");
	d->subkey = sm_generate_des3(d->f.sm, "subkey");
	d->slot = pkcs11_attach(d->f.sm, PIN);
	OK(C_GetFunctionList(&d->p11));
	OK(d->p11->C_Initialize(NULL));
	log_in(d, PIN);
}

static inline void device_free(struct device *d)
{
	OK(d->p11->C_Finalize(NULL));
	pkcs11_detach(d->slot);
	fixture_free(&d->f);
	key_pool_free(d->pool);
}

static inline void environment_init(struct device *d)
{
	setenv("TOLLGATE_PKCS11_BITS", "1024", 1);
	setenv("TOLLGATE_PKCS11_SEED", "7", 1);
	setenv("TOLLGATE_PKCS11_PIN", PIN, 1);
	unsetenv("TOLLGATE_PKCS11_CACHE");
	CK_ULONG count = 1;

	OK(C_GetFunctionList(&d->p11));
	OK(d->p11->C_Initialize(NULL));
	OK(d->p11->C_GetSlotList(CK_TRUE, &d->slot, &count));
	ck_assert_uint_eq(count, 1);
}

static inline size_t find(struct device *d, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *objects,
                          size_t max)
{
	CK_ULONG found;

	OK(d->p11->C_FindObjectsInit(d->session, attributes, count));
	IS(CKR_OPERATION_ACTIVE, d->p11->C_FindObjectsInit(d->session, attributes, count));
	OK(d->p11->C_FindObjects(d->session, objects, max, &found));
	OK(d->p11->C_FindObjectsFinal(d->session));
	return found;
}

/* The one object of a class, or with a label. */
static inline CK_OBJECT_HANDLE only(struct device *d, CK_ATTRIBUTE_TYPE type, void *value, size_t len)
{
	CK_ATTRIBUTE attribute = { type, value, len };
	CK_OBJECT_HANDLE objects[4];

	ck_assert_uint_eq(find(d, &attribute, 1, objects, 4), 1);
	return objects[0];
}

static inline CK_OBJECT_HANDLE rsa_private(struct device *d)
{
	return only(d, CKA_CLASS, &private_class, sizeof private_class);
}

static inline CK_OBJECT_HANDLE rsa_public(struct device *d)
{
	return only(d, CKA_CLASS, &public_class, sizeof public_class);
}

static inline CK_OBJECT_HANDLE labelled(struct device *d, const char *label)
{
	return only(d, CKA_LABEL, (void *)label, strlen(label));
}

static inline CK_OBJECT_HANDLE generate(struct device *d, CK_ATTRIBUTE_TYPE use, bool extractable)
{
	CK_MECHANISM mechanism = { CKM_DES3_KEY_GEN, NULL, 0 };
	CK_ATTRIBUTE attributes[] = { { use, &yes, 1 }, { CKA_EXTRACTABLE, extractable ? &yes : &no, 1 } };
	CK_OBJECT_HANDLE key;

	OK(d->p11->C_GenerateKey(d->session, &mechanism, attributes, 2, &key));
	return key;
}

static inline CK_OBJECT_HANDLE import(struct device *d, CK_ATTRIBUTE_TYPE use)
{
	CK_ATTRIBUTE attributes[] = {
		{ CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_KEY_TYPE, &des3_type, sizeof des3_type },
		{ CKA_VALUE, (void *)known_key, 24 }, { CKA_LABEL, (void *)"known", 5 }, { use, &yes, 1 },
	};
	CK_OBJECT_HANDLE key;

	OK(d->p11->C_CreateObject(d->session, attributes, use ? 5 : 4, &key));
	return key;
}

static inline void id_of(struct device *d, CK_OBJECT_HANDLE object, uint8_t id[KEY_ID_LEN])
{
	CK_ATTRIBUTE attribute = { CKA_ID, id, KEY_ID_LEN };

	OK(d->p11->C_GetAttributeValue(d->session, object, &attribute, 1));
	ck_assert_uint_eq(attribute.ulValueLen, KEY_ID_LEN);
}

#endif

/*
 * The PKCS#11 face, called through its function list as a program would: over a simulated device's module and over the token
 * of the environment. What it gives is compared with OpenSSL's default context; what it must not give is asked for.
 */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include "crypto/derive.h"
#include "crypto/esp.h"
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

static void log_in(struct device *d, const char *pin)
{
	OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &d->session));
	OK(d->p11->C_Login(d->session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)));
}

static void device_init(struct device *d)
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

static void device_free(struct device *d)
{
	OK(d->p11->C_Finalize(NULL));
	pkcs11_detach(d->slot);
	fixture_free(&d->f);
	key_pool_free(d->pool);
}

static void environment_init(struct device *d)
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

static size_t find(struct device *d, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *objects, size_t max)
{
	CK_ULONG found;

	OK(d->p11->C_FindObjectsInit(d->session, attributes, count));
	IS(CKR_OPERATION_ACTIVE, d->p11->C_FindObjectsInit(d->session, attributes, count));
	OK(d->p11->C_FindObjects(d->session, objects, max, &found));
	OK(d->p11->C_FindObjectsFinal(d->session));
	return found;
}

/* The one object of a class, or with a label. */
static CK_OBJECT_HANDLE only(struct device *d, CK_ATTRIBUTE_TYPE type, void *value, size_t len)
{
	CK_ATTRIBUTE attribute = { type, value, len };
	CK_OBJECT_HANDLE objects[4];

	ck_assert_uint_eq(find(d, &attribute, 1, objects, 4), 1);
	return objects[0];
}

static CK_OBJECT_HANDLE rsa_private(struct device *d)
{
	return only(d, CKA_CLASS, &private_class, sizeof private_class);
}

static CK_OBJECT_HANDLE rsa_public(struct device *d)
{
	return only(d, CKA_CLASS, &public_class, sizeof public_class);
}

static CK_OBJECT_HANDLE labelled(struct device *d, const char *label)
{
	return only(d, CKA_LABEL, (void *)label, strlen(label));
}

static CK_OBJECT_HANDLE generate(struct device *d, CK_ATTRIBUTE_TYPE use, bool extractable)
{
	CK_MECHANISM mechanism = { CKM_DES3_KEY_GEN, NULL, 0 };
	CK_ATTRIBUTE attributes[] = { { use, &yes, 1 }, { CKA_EXTRACTABLE, extractable ? &yes : &no, 1 } };
	CK_OBJECT_HANDLE key;

	OK(d->p11->C_GenerateKey(d->session, &mechanism, attributes, 2, &key));
	return key;
}

static CK_OBJECT_HANDLE import(struct device *d, CK_ATTRIBUTE_TYPE use)
{
	CK_ATTRIBUTE attributes[] = {
		{ CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_KEY_TYPE, &des3_type, sizeof des3_type },
		{ CKA_VALUE, (void *)known_key, 24 }, { CKA_LABEL, (void *)"known", 5 }, { use, &yes, 1 },
	};
	CK_OBJECT_HANDLE key;

	OK(d->p11->C_CreateObject(d->session, attributes, use ? 5 : 4, &key));
	return key;
}

static void id_of(struct device *d, CK_OBJECT_HANDLE object, uint8_t id[KEY_ID_LEN])
{
	CK_ATTRIBUTE attribute = { CKA_ID, id, KEY_ID_LEN };

	OK(d->p11->C_GetAttributeValue(d->session, object, &attribute, 1));
	ck_assert_uint_eq(attribute.ulValueLen, KEY_ID_LEN);
}

/* Every entry of the list is there. */
START_TEST(function_list)
{
	CK_FUNCTION_LIST *list;
	void *entries[(sizeof *list - offsetof(CK_FUNCTION_LIST, C_Initialize)) / sizeof(void *)];

	OK(C_GetFunctionList(&list));
	IS(CKR_ARGUMENTS_BAD, C_GetFunctionList(NULL));
	memcpy(entries, &list->C_Initialize, sizeof entries);
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
		ck_assert_ptr_nonnull(entries[i]);
	IS(CKR_FUNCTION_NOT_SUPPORTED, list->C_InitToken(1, NULL, 0, NULL));
	IS(CKR_CRYPTOKI_NOT_INITIALIZED, list->C_GetSlotList(CK_TRUE, NULL, NULL));
	IS(CKR_CRYPTOKI_NOT_INITIALIZED, list->C_CloseSession(1));
	IS(CKR_CRYPTOKI_NOT_INITIALIZED, list->C_Finalize(NULL));
}
END_TEST

START_TEST(initialize)
{
	CK_C_INITIALIZE_ARGS args = { .pReserved = &args };
	CK_SLOT_ID slot;
	CK_ULONG count = 0;
	struct device d;

	device_init(&d);
	IS(CKR_CRYPTOKI_ALREADY_INITIALIZED, d.p11->C_Initialize(NULL));
	OK(d.p11->C_Finalize(NULL));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_Initialize(&args));
	args.pReserved = NULL;
	args.CreateMutex = (CK_CREATEMUTEX)1;
	IS(CKR_ARGUMENTS_BAD, d.p11->C_Initialize(&args)); /* all four or none */
	args.DestroyMutex = (CK_DESTROYMUTEX)1;
	args.LockMutex = (CK_LOCKMUTEX)1;
	args.UnlockMutex = (CK_UNLOCKMUTEX)1;
	IS(CKR_CANT_LOCK, d.p11->C_Initialize(&args));
	args.flags = CKF_OS_LOCKING_OK;
	OK(d.p11->C_Initialize(&args));
	IS(CKR_SESSION_HANDLE_INVALID, d.p11->C_Logout(d.session)); /* finalising closed it */
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_GetSlotList(CK_TRUE, &slot, &count));
	ck_assert_uint_eq(count, 1);
	IS(CKR_SLOT_ID_INVALID, d.p11->C_OpenSession(99, CKF_SERIAL_SESSION, NULL, NULL, &d.session));
	IS(CKR_SESSION_PARALLEL_NOT_SUPPORTED, d.p11->C_OpenSession(d.slot, 0, NULL, NULL, &d.session));
	device_free(&d);
}
END_TEST

START_TEST(bad_environment)
{
	static const struct { const char *name, *value; } cases[] = {
		{ "TOLLGATE_PKCS11_BITS", "1000" }, { "TOLLGATE_PKCS11_BITS", "1024x" }, { "TOLLGATE_PKCS11_SEED", "-1" },
		{ "TOLLGATE_PKCS11_SEED", "one" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		setenv(cases[i].name, cases[i].value, 1);
		IS(CKR_GENERAL_ERROR, C_Initialize(NULL));
		unsetenv(cases[i].name);
	}
}
END_TEST

START_TEST(environment_token)
{
	CK_MECHANISM_TYPE mechanisms[32];
	CK_MECHANISM_INFO mechanism;
	CK_ULONG count = 32;
	CK_TOKEN_INFO info;
	struct device d;

	environment_init(&d);
	OK(d.p11->C_GetTokenInfo(d.slot, &info));
	ck_assert_mem_eq(info.label, "tollgate                        ", 32);
	ck_assert(info.flags & CKF_LOGIN_REQUIRED && info.flags & CKF_RNG && info.flags & CKF_TOKEN_INITIALIZED);
	OK(d.p11->C_GetMechanismList(d.slot, mechanisms, &count));
	ck_assert_uint_eq(mechanisms[0], CKM_SHA1_RSA_PKCS);
	for (CK_ULONG i = 0; i < count; i++) {
		OK(d.p11->C_GetMechanismInfo(d.slot, mechanisms[i], &mechanism));
		ck_assert(mechanism.flags & CKF_HW);
	}
	IS(CKR_MECHANISM_INVALID, d.p11->C_GetMechanismInfo(d.slot, CKM_AES_CBC, &mechanism));
	log_in(&d, PIN);
	OK(d.p11->C_CloseAllSessions(d.slot));
	OK(d.p11->C_Finalize(NULL));
}
END_TEST

START_TEST(pin)
{
	CK_TOKEN_INFO info;
	struct device d;

	environment_init(&d);
	OK(d.p11->C_OpenSession(d.slot, CKF_SERIAL_SESSION, NULL, NULL, &d.session));
	IS(CKR_USER_TYPE_INVALID, d.p11->C_Login(d.session, CKU_SO, (CK_UTF8CHAR *)PIN, 4));
	IS(CKR_PIN_INCORRECT, d.p11->C_Login(d.session, CKU_USER, (CK_UTF8CHAR *)"471", 3));
	OK(d.p11->C_GetTokenInfo(d.slot, &info));
	ck_assert(info.flags & CKF_USER_PIN_COUNT_LOW);
	OK(d.p11->C_Login(d.session, CKU_USER, (CK_UTF8CHAR *)PIN, 4));
	IS(CKR_USER_ALREADY_LOGGED_IN, d.p11->C_Login(d.session, CKU_USER, (CK_UTF8CHAR *)PIN, 4));
	OK(d.p11->C_Logout(d.session));
	IS(CKR_USER_NOT_LOGGED_IN, d.p11->C_Logout(d.session));
	for (int i = 0; i < 10; i++)
		IS(CKR_PIN_INCORRECT, d.p11->C_Login(d.session, CKU_USER, (CK_UTF8CHAR *)"4712", 4));
	IS(CKR_PIN_LOCKED, d.p11->C_Login(d.session, CKU_USER, (CK_UTF8CHAR *)PIN, 4));
	OK(d.p11->C_GetTokenInfo(d.slot, &info));
	ck_assert(info.flags & CKF_USER_PIN_LOCKED);
	OK(d.p11->C_Finalize(NULL));
}
END_TEST

START_TEST(seen_only_after_login)
{
	CK_OBJECT_HANDLE objects[8], private_key, subkey;
	CK_SESSION_INFO info;
	struct device d;

	device_init(&d);
	ck_assert_uint_eq(find(&d, NULL, 0, objects, 8), 4); /* RSA twice, session key, sub-key */
	private_key = rsa_private(&d);
	subkey = labelled(&d, "subkey");
	OK(d.p11->C_GetSessionInfo(d.session, &info));
	ck_assert_uint_eq(info.state, CKS_RW_USER_FUNCTIONS);
	OK(d.p11->C_Logout(d.session));
	ck_assert_uint_eq(find(&d, NULL, 0, objects, 8), 1);
	ck_assert_uint_eq(objects[0], rsa_public(&d));
	CK_ATTRIBUTE label = { CKA_LABEL, NULL, 0 };
	CK_MECHANISM mechanism = { CKM_SHA1_RSA_PKCS, NULL, 0 };

	IS(CKR_OBJECT_HANDLE_INVALID, d.p11->C_GetAttributeValue(d.session, subkey, &label, 1));
	IS(CKR_KEY_HANDLE_INVALID, d.p11->C_SignInit(d.session, &mechanism, private_key));
	device_free(&d);
}
END_TEST

/* No secret attribute is given, nor found by comparing. */
START_TEST(secrets_stay)
{
	static const CK_ATTRIBUTE_TYPE types[] = {
		CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT
	};
	CK_OBJECT_HANDLE private_key, secrets[4], objects[4];
	uint8_t bytes[512];
	struct device d;

	device_init(&d);
	private_key = rsa_private(&d);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		CK_ATTRIBUTE attribute = { types[i], bytes, sizeof bytes };

		memset(bytes, 0xee, sizeof bytes);
		IS(CKR_ATTRIBUTE_SENSITIVE, d.p11->C_GetAttributeValue(d.session, private_key, &attribute, 1));
		ck_assert_uint_eq(attribute.ulValueLen, CK_UNAVAILABLE_INFORMATION);
		for (size_t b = 0; b < sizeof bytes; b++)
			ck_assert_uint_eq(bytes[b], 0xee);
	}
	secrets[0] = labelled(&d, "krb.session");
	secrets[1] = labelled(&d, "subkey");
	secrets[2] = generate(&d, CKA_ENCRYPT, true);
	secrets[3] = import(&d, 0);
	for (int i = 0; i < 4; i++) {
		CK_BBOOL sensitive = no, extractable = yes;
		CK_ATTRIBUTE value = { CKA_VALUE, bytes, sizeof bytes };
		CK_ATTRIBUTE flags[] = { { CKA_SENSITIVE, &sensitive, 1 }, { CKA_EXTRACTABLE, &extractable, 1 } };

		IS(CKR_ATTRIBUTE_SENSITIVE, d.p11->C_GetAttributeValue(d.session, secrets[i], &value, 1));
		OK(d.p11->C_GetAttributeValue(d.session, secrets[i], flags, 2));
		ck_assert(sensitive == CK_TRUE && extractable == (i == 1 || i == 2));
	}
	CK_ATTRIBUTE value = { CKA_VALUE, (void *)known_key, 24 };

	ck_assert_uint_eq(find(&d, &value, 1, objects, 4), 0);
	device_free(&d);
}
END_TEST

START_TEST(attribute_lengths)
{
	uint8_t modulus[256], small[4];
	CK_ATTRIBUTE attributes[] = {
		{ CKA_MODULUS, NULL, 0 }, { CKA_LABEL, small, sizeof small }, { CKA_EC_POINT, small, sizeof small },
		{ CKA_PUBLIC_EXPONENT, small, sizeof small },
	};
	struct device d;

	device_init(&d);
	ck_assert_uint_ne(d.p11->C_GetAttributeValue(d.session, rsa_public(&d), attributes, 4), CKR_OK);
	ck_assert_uint_eq(attributes[0].ulValueLen, 128);
	ck_assert_uint_eq(attributes[1].ulValueLen, CK_UNAVAILABLE_INFORMATION); /* "device" is longer */
	ck_assert_uint_eq(attributes[2].ulValueLen, CK_UNAVAILABLE_INFORMATION); /* no such attribute */
	ck_assert_uint_eq(attributes[3].ulValueLen, 3);
	ck_assert_mem_eq(small, "\1\0\1", 3);
	attributes[0].pValue = modulus;
	OK(d.p11->C_GetAttributeValue(d.session, rsa_public(&d), attributes, 1));
	device_free(&d);
}
END_TEST

/* The public key as OpenSSL's default context reads it. */
static EVP_PKEY *public_key(struct device *d)
{
	uint8_t spki[1024];
	const uint8_t *p = spki;
	CK_ATTRIBUTE attribute = { CKA_PUBLIC_KEY_INFO, spki, sizeof spki };
	EVP_PKEY *pkey;

	OK(d->p11->C_GetAttributeValue(d->session, rsa_public(d), &attribute, 1));
	pkey = d2i_PUBKEY(NULL, &p, (long)attribute.ulValueLen);
	ck_assert_ptr_nonnull(pkey);
	return pkey;
}

START_TEST(signatures)
{
	const CK_MECHANISM_TYPE type = _i ? CKM_SHA256_RSA_PKCS : CKM_SHA1_RSA_PKCS;
	CK_MECHANISM mechanism = { type, NULL, 0 };
	CK_BYTE text[] = "signed in one piece and in three", whole[128], parts[128];
	CK_ULONG len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey;
	struct device d;

	device_init(&d);
	CK_OBJECT_HANDLE private_key = rsa_private(&d), public_object = rsa_public(&d);

	OK(d.p11->C_SignInit(d.session, &mechanism, private_key));
	IS(CKR_OPERATION_ACTIVE, d.p11->C_SignInit(d.session, &mechanism, private_key));
	OK(d.p11->C_Sign(d.session, text, sizeof text, NULL, &len));
	ck_assert_uint_eq(len, 128);
	len = 127;
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Sign(d.session, text, sizeof text, whole, &len));
	OK(d.p11->C_Sign(d.session, text, sizeof text, whole, &len));
	IS(CKR_OPERATION_NOT_INITIALIZED, d.p11->C_Sign(d.session, text, sizeof text, whole, &len));

	OK(d.p11->C_SignInit(d.session, &mechanism, private_key));
	OK(d.p11->C_SignUpdate(d.session, text, 5));
	OK(d.p11->C_SignUpdate(d.session, text + 5, 0));
	OK(d.p11->C_SignUpdate(d.session, text + 5, sizeof text - 5));
	len = sizeof parts;
	OK(d.p11->C_SignFinal(d.session, parts, &len));
	ck_assert_mem_eq(parts, whole, 128);

	pkey = public_key(&d);
	ck_assert_int_gt(EVP_DigestVerifyInit(ctx, NULL, _i ? EVP_sha256() : EVP_sha1(), NULL, pkey), 0);
	ck_assert_int_eq(EVP_DigestVerify(ctx, whole, 128, text, sizeof text), 1);

	OK(d.p11->C_VerifyInit(d.session, &mechanism, public_object));
	OK(d.p11->C_Verify(d.session, text, sizeof text, whole, 128));
	OK(d.p11->C_VerifyInit(d.session, &mechanism, public_object));
	IS(CKR_SIGNATURE_LEN_RANGE, d.p11->C_Verify(d.session, text, sizeof text, whole, 127));
	whole[40] ^= 1;
	OK(d.p11->C_VerifyInit(d.session, &mechanism, public_object));
	OK(d.p11->C_VerifyUpdate(d.session, text, sizeof text));
	IS(CKR_SIGNATURE_INVALID, d.p11->C_VerifyFinal(d.session, whole, 128));
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_SignInit(d.session, &mechanism, public_object));
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	device_free(&d);
}
END_TEST

/* CKM_RSA_PKCS over a DigestInfo is CKM_SHA1_RSA_PKCS over the text. */
START_TEST(raw_signature)
{
	CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 }, sha1 = { CKM_SHA1_RSA_PKCS, NULL, 0 };
	CK_BYTE text[] = "abc", with_hash[128], by_hand[128], long_text[118] = { 0 };
	CK_BYTE info[35] = "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"
	                   "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
	CK_ULONG len = 128;
	struct device d;

	device_init(&d);
	OK(d.p11->C_SignInit(d.session, &sha1, rsa_private(&d)));
	OK(d.p11->C_Sign(d.session, text, 3, with_hash, &len));
	OK(d.p11->C_SignInit(d.session, &raw, rsa_private(&d)));
	OK(d.p11->C_Sign(d.session, info, sizeof info, by_hand, &len));
	ck_assert_mem_eq(by_hand, with_hash, 128);
	OK(d.p11->C_VerifyInit(d.session, &raw, rsa_public(&d)));
	OK(d.p11->C_Verify(d.session, info, sizeof info, by_hand, 128));
	OK(d.p11->C_SignInit(d.session, &raw, rsa_private(&d)));
	IS(CKR_DATA_LEN_RANGE, d.p11->C_Sign(d.session, long_text, sizeof long_text, by_hand, &len));
	OK(d.p11->C_SignInit(d.session, &raw, rsa_private(&d)));
	IS(CKR_FUNCTION_NOT_SUPPORTED, d.p11->C_SignUpdate(d.session, text, 3));
	device_free(&d);
}
END_TEST

/* The environment's key decrypts and unwraps; a device's key does neither. */
START_TEST(rsa_decryption)
{
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	CK_ATTRIBUTE attributes[] = {
		{ CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_KEY_TYPE, &des3_type, sizeof des3_type },
		{ CKA_DECRYPT, &yes, 1 },
	};
	CK_BYTE sealed[128], clear[128], want[KEY_ID_LEN], got[KEY_ID_LEN];
	CK_ULONG len = sizeof sealed, clear_len = 3;
	CK_OBJECT_HANDLE key;
	struct device d;

	environment_init(&d);
	log_in(&d, PIN);
	OK(d.p11->C_EncryptInit(d.session, &mechanism, rsa_public(&d)));
	OK(d.p11->C_Encrypt(d.session, (CK_BYTE *)known_key, 24, sealed, &len));
	OK(d.p11->C_DecryptInit(d.session, &mechanism, rsa_private(&d)));
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Decrypt(d.session, sealed, 128, clear, &clear_len));
	ck_assert_uint_eq(clear_len, 24);
	OK(d.p11->C_Decrypt(d.session, sealed, 128, clear, &clear_len));
	ck_assert_mem_eq(clear, known_key, 24);
	OK(d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 128, attributes, 3, &key));
	id_of(&d, key, got);
	id_of(&d, import(&d, 0), want);
	ck_assert_mem_eq(got, want, KEY_ID_LEN);
	sealed[5] ^= 1;
	IS(CKR_WRAPPED_KEY_INVALID, d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 128, attributes, 3, &key));
	IS(CKR_WRAPPED_KEY_INVALID, d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 5, attributes, 3, &key));
	OK(d.p11->C_Finalize(NULL));

	device_init(&d);
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_DecryptInit(d.session, &mechanism, rsa_private(&d)));
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED,
	   d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 128, attributes, 3, &key));
	device_free(&d);
}
END_TEST

/* 3DES in pieces of every size, against OpenSSL's default context. */
START_TEST(des3_pieces)
{
	CK_BYTE iv[8] = "IV of 8.", clear[61], want[72], got[72], back[72];
	CK_MECHANISM mechanism = { CKM_DES3_CBC_PAD, iv, 8 };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int first, last;
	struct device d;

	device_init(&d);
	for (size_t i = 0; i < sizeof clear; i++)
		clear[i] = (CK_BYTE)i;
	ck_assert(EVP_EncryptInit_ex(ctx, EVP_des_ede3_cbc(), NULL, known_key, iv) &&
	          EVP_EncryptUpdate(ctx, want, &first, clear, sizeof clear) && EVP_EncryptFinal_ex(ctx, want + first, &last));
	EVP_CIPHER_CTX_free(ctx);
	CK_OBJECT_HANDLE key = import(&d, 0);

	for (size_t piece = 1; piece <= sizeof clear; piece++) {
		size_t done = 0, back_done = 0;
		CK_ULONG len;

		OK(d.p11->C_EncryptInit(d.session, &mechanism, key));
		for (size_t i = 0; i < sizeof clear; i += piece) {
			size_t n = sizeof clear - i < piece ? sizeof clear - i : piece;

			len = sizeof got - done;
			OK(d.p11->C_EncryptUpdate(d.session, clear + i, n, got + done, &len));
			done += len;
		}
		len = sizeof got - done;
		OK(d.p11->C_EncryptFinal(d.session, got + done, &len));
		ck_assert_uint_eq(done + len, 64);
		ck_assert_mem_eq(got, want, 64);

		OK(d.p11->C_DecryptInit(d.session, &mechanism, key));
		for (size_t i = 0; i < 64; i += piece) {
			size_t n = 64 - i < piece ? 64 - i : piece;

			len = sizeof back - back_done;
			OK(d.p11->C_DecryptUpdate(d.session, got + i, n, back + back_done, &len));
			back_done += len;
		}
		len = sizeof back - back_done;
		OK(d.p11->C_DecryptFinal(d.session, back + back_done, &len));
		ck_assert_uint_eq(back_done + len, sizeof clear);
		ck_assert_mem_eq(back, clear, sizeof clear);
	}
	device_free(&d);
}
END_TEST

START_TEST(des3_whole)
{
	CK_BYTE iv[8] = { 0 }, clear[24] = "The qufck brown fox jump", sealed[40], back[40];
	CK_MECHANISM cbc = { CKM_DES3_CBC, iv, 8 }, padded = { CKM_DES3_CBC_PAD, iv, 8 }, no_iv = { CKM_DES3_CBC, NULL, 0 };
	CK_ULONG len = sizeof sealed, back_len = 1;
	struct device d;

	device_init(&d);
	CK_OBJECT_HANDLE key = import(&d, 0);

	IS(CKR_MECHANISM_PARAM_INVALID, d.p11->C_EncryptInit(d.session, &no_iv, key));
	OK(d.p11->C_EncryptInit(d.session, &cbc, key));
	OK(d.p11->C_Encrypt(d.session, clear, 8, sealed, &len));
	ck_assert_uint_eq(len, 8);
	ck_assert_mem_eq(sealed, "\xa8\x26\xfd\x8c\xe5\x3b\x85\x5f", 8); /* NIST SP 800-67 appendix B.1 */
	OK(d.p11->C_EncryptInit(d.session, &cbc, key));
	IS(CKR_DATA_LEN_RANGE, d.p11->C_Encrypt(d.session, clear, 9, sealed, &len));
	OK(d.p11->C_EncryptInit(d.session, &padded, key));
	OK(d.p11->C_Encrypt(d.session, clear, 24, NULL, &len));
	ck_assert_uint_eq(len, 32);
	OK(d.p11->C_Encrypt(d.session, clear, 24, sealed, &len));
	OK(d.p11->C_DecryptInit(d.session, &padded, key));
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Decrypt(d.session, sealed, 32, back, &back_len));
	ck_assert_uint_eq(back_len, 24);
	OK(d.p11->C_Decrypt(d.session, sealed, 32, back, &back_len));
	ck_assert_mem_eq(back, clear, 24);
	sealed[31] ^= 0xff;
	OK(d.p11->C_DecryptInit(d.session, &padded, key));
	back_len = sizeof back;
	IS(CKR_ENCRYPTED_DATA_INVALID, d.p11->C_Decrypt(d.session, sealed, 32, back, &back_len));
	device_free(&d);
}
END_TEST

START_TEST(hmac)
{
	CK_MECHANISM mechanism = { CKM_SHA_1_HMAC, NULL, 0 };
	CK_BYTE text[] = "what is authenticated", want[20], got[20];
	CK_ULONG len = sizeof got;
	struct device d;

	device_init(&d);
	CK_OBJECT_HANDLE key = import(&d, 0);

	HMAC(EVP_sha1(), known_key, 24, text, sizeof text, want, NULL);
	OK(d.p11->C_SignInit(d.session, &mechanism, key));
	OK(d.p11->C_Sign(d.session, text, sizeof text, got, &len));
	ck_assert_mem_eq(got, want, 20);
	OK(d.p11->C_VerifyInit(d.session, &mechanism, key));
	OK(d.p11->C_Verify(d.session, text, sizeof text, got, 20));
	got[19] ^= 1;
	OK(d.p11->C_VerifyInit(d.session, &mechanism, key));
	IS(CKR_SIGNATURE_INVALID, d.p11->C_Verify(d.session, text, sizeof text, got, 20));
	IS(CKR_KEY_TYPE_INCONSISTENT, d.p11->C_SignInit(d.session, &mechanism, rsa_private(&d)));
	device_free(&d);
}
END_TEST

START_TEST(digests)
{
	CK_MECHANISM sha1 = { CKM_SHA_1, NULL, 0 }, sha256 = { CKM_SHA256, NULL, 0 }, rsa = { CKM_RSA_PKCS, NULL, 0 };
	CK_BYTE hash[32];
	CK_ULONG len = 20;
	struct device d;

	device_init(&d);
	OK(d.p11->C_DigestInit(d.session, &sha1));
	OK(d.p11->C_Digest(d.session, (CK_BYTE *)"abc", 3, hash, &len));
	ck_assert_mem_eq(hash, "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d", 20);
	OK(d.p11->C_DigestInit(d.session, &sha256));
	OK(d.p11->C_DigestUpdate(d.session, (CK_BYTE *)"a", 1));
	OK(d.p11->C_DigestUpdate(d.session, (CK_BYTE *)"bc", 2));
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_DigestFinal(d.session, hash, &len));
	OK(d.p11->C_DigestFinal(d.session, hash, &len));
	ck_assert_mem_eq(hash, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", 16);
	IS(CKR_MECHANISM_INVALID, d.p11->C_DigestInit(d.session, &rsa));
	device_free(&d);
}
END_TEST

/* Raw use of a key that the protocols use would undo them: an HMAC under a sub-key is its key derivation. */
START_TEST(uses_exclude_each_other)
{
	CK_BYTE iv[8] = { 0 };
	CK_MECHANISM hmac_mechanism = { CKM_SHA_1_HMAC, NULL, 0 }, cbc = { CKM_DES3_CBC, iv, 8 };
	CK_MECHANISM make = { CKM_DES3_KEY_GEN, NULL, 0 }, derive = { CKM_TOLLGATE_SUBKEY_DERIVE, (void *)LABEL_CTA_SC, 16 };
	static const CK_ATTRIBUTE_TYPE raw[] = { CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY };
	static const CK_ATTRIBUTE_TYPE structured[] = { CKA_WRAP, CKA_UNWRAP, CKA_DERIVE };
	const char *names[] = { "krb.session", "subkey" };
	CK_OBJECT_HANDLE key;
	struct device d;

	device_init(&d);
	for (int i = 0; i < 2; i++) {
		IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_SignInit(d.session, &hmac_mechanism, labelled(&d, names[i])));
		IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_EncryptInit(d.session, &cbc, labelled(&d, names[i])));
		IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_DecryptInit(d.session, &cbc, labelled(&d, names[i])));
	}
	for (int r = 0; r < 4; r++) {
		for (int s = 0; s < 3; s++) {
			CK_ATTRIBUTE attributes[] = { { raw[r], &yes, 1 }, { structured[s], &yes, 1 } };

			IS(CKR_TEMPLATE_INCONSISTENT, d.p11->C_GenerateKey(d.session, &make, attributes, 2, &key));
		}
	}
	OK(d.p11->C_DeriveKey(d.session, &derive, labelled(&d, "subkey"), NULL, 0, &key)); /* this is an ESP key */
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_DecryptInit(d.session, &cbc, key));
	CK_ATTRIBUTE decrypts = { CKA_DECRYPT, &yes, 1 };

	IS(CKR_TEMPLATE_INCONSISTENT, d.p11->C_DeriveKey(d.session, &derive, labelled(&d, "subkey"), &decrypts, 1, &key));
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_DeriveKey(d.session, &derive, import(&d, 0), NULL, 0, &key));
	device_free(&d);
}
END_TEST

START_TEST(templates)
{
	CK_MECHANISM make = { CKM_DES3_KEY_GEN, NULL, 0 };
	CK_ULONG wrong_len = 16;
	CK_KEY_TYPE aes = CKK_AES;
	const struct { CK_ATTRIBUTE attribute; CK_RV rv; } cases[] = {
		{ { CKA_SENSITIVE, &no, 1 }, CKR_TEMPLATE_INCONSISTENT }, { { CKA_PRIVATE, &no, 1 }, CKR_TEMPLATE_INCONSISTENT },
		{ { CKA_TRUSTED, &yes, 1 }, CKR_TEMPLATE_INCONSISTENT }, { { CKA_KEY_TYPE, &aes, sizeof aes }, CKR_TEMPLATE_INCONSISTENT },
		{ { CKA_VALUE_LEN, &wrong_len, sizeof wrong_len }, CKR_ATTRIBUTE_VALUE_INVALID },
		{ { CKA_VALUE, (void *)known_key, 24 }, CKR_TEMPLATE_INCONSISTENT }, { { CKA_ENCRYPT, NULL, 0 }, CKR_ATTRIBUTE_VALUE_INVALID },
		{ { CKA_MODULUS_BITS, &wrong_len, sizeof wrong_len }, CKR_ATTRIBUTE_VALUE_INVALID },
		{ { CKA_OWNER, &yes, 1 }, CKR_ATTRIBUTE_TYPE_INVALID },
	};
	CK_OBJECT_HANDLE key;
	struct device d;

	device_init(&d);
	size_t keys = sm_key_count(d.f.sm);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CK_ATTRIBUTE attribute = cases[i].attribute;

		ck_assert_msg(d.p11->C_GenerateKey(d.session, &make, &attribute, 1, &key) == cases[i].rv, "case %zu", i);
	}
	ck_assert_uint_eq(sm_key_count(d.f.sm), keys);
	CK_ATTRIBUTE incomplete[] = { { CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_VALUE, (void *)known_key, 24 } };

	IS(CKR_TEMPLATE_INCOMPLETE, d.p11->C_CreateObject(d.session, incomplete, 2, &key));
	device_free(&d);
}
END_TEST

/* Sub-keys travel wrapped; nothing else does, and nothing under a key that is known outside. */
START_TEST(wrapping)
{
	CK_ULONG usage = 1024;
	CK_MECHANISM wrap = { CKM_TOLLGATE_SUBKEY_WRAP, &usage, sizeof usage };
	CK_MECHANISM raw = { CKM_SHA_1_HMAC, NULL, 0 };
	CK_ATTRIBUTE signs = { CKA_SIGN, &yes, 1 };
	CK_BYTE wrapped[KEY_WRAPPED_LEN], want[KEY_ID_LEN], got[KEY_ID_LEN];
	CK_ULONG len = 0;
	CK_OBJECT_HANDLE key;
	struct device d;

	device_init(&d);
	CK_OBJECT_HANDLE session_key = labelled(&d, "krb.session"), subkey = labelled(&d, "subkey");

	OK(d.p11->C_WrapKey(d.session, &wrap, session_key, subkey, NULL, &len));
	ck_assert_uint_eq(len, KEY_WRAPPED_LEN);
	len--;
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_WrapKey(d.session, &wrap, session_key, subkey, wrapped, &len));
	OK(d.p11->C_WrapKey(d.session, &wrap, session_key, subkey, wrapped, &len));
	OK(d.p11->C_UnwrapKey(d.session, &wrap, session_key, wrapped, len, NULL, 0, &key));
	id_of(&d, key, got);
	id_of(&d, subkey, want);
	ck_assert_mem_eq(got, want, KEY_ID_LEN);
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_SignInit(d.session, &raw, key));
	IS(CKR_TEMPLATE_INCONSISTENT, d.p11->C_UnwrapKey(d.session, &wrap, session_key, wrapped, len, &signs, 1, &key));
	usage++;
	IS(CKR_WRAPPED_KEY_INVALID, d.p11->C_UnwrapKey(d.session, &wrap, session_key, wrapped, len, NULL, 0, &key));

	IS(CKR_KEY_UNEXTRACTABLE, d.p11->C_WrapKey(d.session, &wrap, subkey, session_key, wrapped, &len));
	IS(CKR_KEY_NOT_WRAPPABLE, d.p11->C_WrapKey(d.session, &wrap, session_key, rsa_private(&d), wrapped, &len));
	IS(CKR_KEY_NOT_WRAPPABLE, d.p11->C_WrapKey(d.session, &wrap, import(&d, CKA_WRAP), subkey, wrapped, &len));
	IS(CKR_KEY_NOT_WRAPPABLE, d.p11->C_WrapKey(d.session, &wrap, key, subkey, wrapped, &len)); /* an unwrapped one */
	OK(d.p11->C_WrapKey(d.session, &wrap, generate(&d, CKA_WRAP, false), subkey, wrapped, &len));
	device_free(&d);
}
END_TEST

START_TEST(derivation)
{
	CK_MECHANISM derive = { CKM_TOLLGATE_SUBKEY_DERIVE, (void *)LABEL_WRAP, strlen(LABEL_WRAP) };
	CK_BYTE want[KEY_ID_LEN], got[KEY_ID_LEN];
	CK_OBJECT_HANDLE key;
	struct device d;

	device_init(&d);
	OK(d.p11->C_DeriveKey(d.session, &derive, labelled(&d, "subkey"), NULL, 0, &key));
	id_of(&d, key, got);
	sm_key_id(d.f.sm, sm_derive_des3(d.f.sm, d.subkey, LABEL_WRAP, "test"), want);
	ck_assert_mem_eq(got, want, KEY_ID_LEN);
	derive.ulParameterLen = TOLLGATE_LABEL_MAX;
	IS(CKR_MECHANISM_PARAM_INVALID, d.p11->C_DeriveKey(d.session, &derive, labelled(&d, "subkey"), NULL, 0, &key));
	device_free(&d);
}
END_TEST

/* A peer's ESP packets through C_Decrypt(), and ours through C_Encrypt(). Authenticated, in window, or nothing. */
START_TEST(esp)
{
	static const CK_BYTE payload[] = "sealed by the peer";
	const struct esp_options options = { .implicit_iv = _i };
	CK_BYTE next_header = 0, room[128], copy[128], out[256];
	CK_TOLLGATE_ESP_PARAMS params = {
		SPI, _i ? CKF_TOLLGATE_ESP_IMPLICIT_IV : 0, (CK_UTF8CHAR *)LABEL_CTA_SC, strlen(LABEL_CTA_SC), &next_header
	};
	CK_MECHANISM mechanism = { CKM_TOLLGATE_ESP, &params, sizeof params };
	uint8_t *packet, peer_next_header;
	struct fixture_party peer;
	struct esp_sa *up, *down;
	uint8_t wrapped[KEY_WRAPPED_LEN], session_bytes[24] = "a session key, 24 bytes.";
	key_handle peer_subkey, peer_session, near_session;
	struct device d;
	CK_ULONG len;
	size_t packet_len;

	device_init(&d);
	fixture_party_init(&peer, d.f.crypto, "peer");
	/* The sub-key reaches the peer's module as in the protocols: wrapped. */
	peer_session = sm_install_des3(peer.sm, "krb.session", "", session_bytes);
	near_session = sm_install_des3(d.f.sm, "krb.session", "", session_bytes);
	ck_assert(sm_wrap(d.f.sm, near_session, 1, d.subkey, wrapped));
	peer_subkey = sm_unwrap(peer.sm, peer_session, 1, "subkey", wrapped, sizeof wrapped);
	up = esp_sa_new(peer.sm, peer_subkey, LABEL_CTA_SC, ESP_UP, SPI, "peer", &options);
	down = esp_sa_new(peer.sm, peer_subkey, LABEL_CTA_SC, ESP_DOWN, SPI + 1, "peer", &options);
	CK_OBJECT_HANDLE subkey = labelled(&d, "subkey");

	for (int n = 0; n < 3; n++) {
		memcpy(room + ESP_FRONT_MAX, payload, sizeof payload);
		ck_assert_int_eq(esp_seal(up, room + ESP_FRONT_MAX, sizeof payload, (uint8_t)(17 + n), &packet, &packet_len), ESP_OK);
		memcpy(copy, packet, packet_len);
		copy[packet_len - 20] ^= 1;
		memset(out, 0xee, sizeof out);
		OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
		len = sizeof out;
		IS(CKR_SIGNATURE_INVALID, d.p11->C_Decrypt(d.session, copy, packet_len, out, &len));
		for (size_t i = 0; i < sizeof out; i++)
			ck_assert_uint_eq(out[i], 0xee);
		OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
		len = packet_len - 1;
		IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Decrypt(d.session, packet, packet_len, out, &len));
		OK(d.p11->C_Decrypt(d.session, packet, packet_len, out, &len));
		ck_assert_uint_eq(len, sizeof payload);
		ck_assert_mem_eq(out, payload, sizeof payload);
		ck_assert_uint_eq(next_header, 17 + n);
		OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
		len = sizeof out;
		IS(CKR_TOLLGATE_ESP_REPLAYED, d.p11->C_Decrypt(d.session, packet, packet_len, out, &len));
	}
	OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	len = sizeof out;
	IS(CKR_ENCRYPTED_DATA_LEN_RANGE, d.p11->C_Decrypt(d.session, packet, 21, out, &len));
	OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	IS(CKR_FUNCTION_NOT_SUPPORTED, d.p11->C_DecryptUpdate(d.session, packet, packet_len, out, &len)); /* no part of a packet */

	params.flags |= CKF_TOLLGATE_ESP_DOWN;
	params.spi = SPI + 1;
	next_header = 17;
	OK(d.p11->C_EncryptInit(d.session, &mechanism, subkey));
	len = sizeof out;
	OK(d.p11->C_Encrypt(d.session, (CK_BYTE *)payload, sizeof payload, out, &len));
	ck_assert_int_eq(esp_open(down, out, len, &packet, &packet_len, &peer_next_header), ESP_OK);
	ck_assert(packet_len == sizeof payload && peer_next_header == 17);
	ck_assert_mem_eq(packet, payload, sizeof payload);

	params.label_len = 0;
	IS(CKR_MECHANISM_PARAM_INVALID, d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	params.label_len = strlen(LABEL_CTA_SC);
	params.flags |= 4;
	IS(CKR_MECHANISM_PARAM_INVALID, d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	esp_sa_free(up);
	esp_sa_free(down);
	fixture_party_free(&peer);
	device_free(&d);
}
END_TEST

/* Session objects go with their session, token objects with the slot; the device's own keys cannot be destroyed. */
START_TEST(lives)
{
	CK_MECHANISM make = { CKM_DES3_KEY_GEN, NULL, 0 };
	CK_ATTRIBUTE token = { CKA_TOKEN, &yes, 1 };
	CK_SESSION_HANDLE first, reader;
	CK_OBJECT_HANDLE key;
	struct device d;

	device_init(&d);
	const size_t keys = sm_key_count(d.f.sm);

	first = d.session;
	OK(d.p11->C_OpenSession(d.slot, CKF_SERIAL_SESSION, NULL, NULL, &reader));
	d.session = reader;
	generate(&d, CKA_SIGN, false);
	IS(CKR_SESSION_READ_ONLY, d.p11->C_GenerateKey(reader, &make, &token, 1, &key));
	ck_assert_uint_eq(sm_key_count(d.f.sm), keys + 1);
	OK(d.p11->C_CloseSession(reader));
	ck_assert_uint_eq(sm_key_count(d.f.sm), keys);
	d.session = first;
	OK(d.p11->C_GenerateKey(first, &make, &token, 1, &key));
	generate(&d, CKA_SIGN, false);
	OK(d.p11->C_DestroyObject(first, key));
	IS(CKR_OBJECT_HANDLE_INVALID, d.p11->C_DestroyObject(first, key));
	OK(d.p11->C_GenerateKey(first, &make, &token, 1, &key));
	IS(CKR_ACTION_PROHIBITED, d.p11->C_DestroyObject(first, labelled(&d, "krb.session")));
	IS(CKR_ACTION_PROHIBITED, d.p11->C_DestroyObject(first, rsa_private(&d)));
	ck_assert_uint_eq(sm_key_count(d.f.sm), keys + 2);
	OK(d.p11->C_CloseAllSessions(d.slot));
	ck_assert_uint_eq(sm_key_count(d.f.sm), keys + 1);
	IS(CKR_SESSION_HANDLE_INVALID, d.p11->C_CloseSession(first));
	log_in(&d, PIN); /* closing the last session logged out */
	device_free(&d);
}
END_TEST

/* A key that the simulation destroys in the middle of an operation. */
START_TEST(key_gone)
{
	CK_BYTE next_header, bytes[128] = { 0 };
	CK_TOLLGATE_ESP_PARAMS params = { SPI, 0, (CK_UTF8CHAR *)LABEL_CTA_SC, strlen(LABEL_CTA_SC), &next_header };
	CK_MECHANISM mechanism = { CKM_TOLLGATE_ESP, &params, sizeof params };
	CK_ULONG len = sizeof bytes;
	struct device d;

	device_init(&d);
	OK(d.p11->C_DecryptInit(d.session, &mechanism, labelled(&d, "subkey")));
	sm_destroy_key(d.f.sm, d.subkey);
	IS(CKR_KEY_HANDLE_INVALID, d.p11->C_Decrypt(d.session, bytes, 44, bytes, &len));
	device_free(&d);
}
END_TEST

START_TEST(random_bytes)
{
	CK_BYTE a[40] = { 0 }, b[40] = { 0 };
	struct device d;

	device_init(&d);
	OK(d.p11->C_GenerateRandom(d.session, a, sizeof a));
	OK(d.p11->C_GenerateRandom(d.session, b, sizeof b));
	ck_assert_mem_ne(a, b, sizeof a);
	IS(CKR_RANDOM_SEED_NOT_SUPPORTED, d.p11->C_SeedRandom(d.session, a, sizeof a));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_GenerateRandom(d.session, NULL, 4));
	device_free(&d);
}
END_TEST

/* Null pointers and nonsense where bytes belong. */
START_TEST(bad_arguments)
{
	CK_MECHANISM mechanism = { CKM_SHA1_RSA_PKCS, NULL, 0 };
	CK_ULONG len = 128;
	struct device d;

	device_init(&d);
	IS(CKR_ARGUMENTS_BAD, d.p11->C_GetInfo(NULL));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_GetTokenInfo(d.slot, NULL));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_SignInit(d.session, NULL, 1));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_FindObjectsInit(d.session, NULL, 1));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_GenerateKey(d.session, &mechanism, NULL, 0, NULL));
	OK(d.p11->C_SignInit(d.session, &mechanism, rsa_private(&d)));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_Sign(d.session, NULL, 5, NULL, &len));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_Sign(d.session, (CK_BYTE *)"x", 1, NULL, NULL));
	for (CK_OBJECT_HANDLE object = 0; object < 64; object++) {
		CK_ATTRIBUTE attribute = { CKA_CLASS, NULL, 0 };

		(void)d.p11->C_GetAttributeValue(d.session, object, &attribute, 1);
		IS(CKR_OPERATION_NOT_INITIALIZED, d.p11->C_FindObjectsFinal(d.session));
	}
	IS(CKR_OBJECT_HANDLE_INVALID, d.p11->C_GetAttributeValue(d.session, ~0UL, NULL, 0));
	device_free(&d);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pkcs11");
	TCase *tcase = tcase_create("pkcs11");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, function_list);
	tcase_add_test(tcase, initialize);
	tcase_add_test(tcase, bad_environment);
	tcase_add_test(tcase, environment_token);
	tcase_add_test(tcase, pin);
	tcase_add_test(tcase, seen_only_after_login);
	tcase_add_test(tcase, secrets_stay);
	tcase_add_test(tcase, attribute_lengths);
	tcase_add_loop_test(tcase, signatures, 0, 2);
	tcase_add_test(tcase, raw_signature);
	tcase_add_test(tcase, rsa_decryption);
	tcase_add_test(tcase, des3_pieces);
	tcase_add_test(tcase, des3_whole);
	tcase_add_test(tcase, hmac);
	tcase_add_test(tcase, digests);
	tcase_add_test(tcase, uses_exclude_each_other);
	tcase_add_test(tcase, templates);
	tcase_add_test(tcase, wrapping);
	tcase_add_test(tcase, derivation);
	tcase_add_loop_test(tcase, esp, 0, 2);
	tcase_add_test(tcase, lives);
	tcase_add_test(tcase, key_gone);
	tcase_add_test(tcase, random_bytes);
	tcase_add_test(tcase, bad_arguments);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

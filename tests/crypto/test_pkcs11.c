/*
 * The PKCS#11 face, called through its function list as a program would: over a simulated device's module and over the
 * token of the environment. What it gives is compared with OpenSSL's default context; what it must not give is asked
 * for.
 */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include "crypto/derive.h"
#include "crypto/esp.h"
#include "crypto/pkcs11.h"
#include "tests/crypto/pkcs11_device.h"

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
	static char long_name[2000];
	static const struct { const char *name, *value; } cases[] = {
		{ "TOLLGATE_PKCS11_BITS", "1000" }, { "TOLLGATE_PKCS11_BITS", "1024x" },
		{ "TOLLGATE_PKCS11_SEED", "-1" },
		{ "TOLLGATE_PKCS11_SEED", "one" }, { "TOLLGATE_PKCS11_SEED", "18446744073709551616" }, /* 2^64 */
		{ "TOLLGATE_PKCS11_NAME", long_name },
	};

	memset(long_name, 'n', sizeof long_name - 1);
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

/* Raw use of a key that the protocols use would undo them: an HMAC under a sub-key is its key derivation. */
START_TEST(uses_exclude_each_other)
{
	CK_BYTE iv[8] = { 0 };
	CK_MECHANISM hmac_mechanism = { CKM_SHA_1_HMAC, NULL, 0 }, cbc = { CKM_DES3_CBC, iv, 8 };
	CK_MECHANISM make = { CKM_DES3_KEY_GEN, NULL, 0 },
	                    derive = { CKM_TOLLGATE_SUBKEY_DERIVE, (void *)LABEL_CTA_SC, 16 };
	static const CK_ATTRIBUTE_TYPE raw[] = { CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY };
	static const CK_ATTRIBUTE_TYPE structured[] = { CKA_WRAP, CKA_UNWRAP, CKA_DERIVE };
	const char *names[] = { "krb.session", "subkey" };
	CK_OBJECT_HANDLE key;
	struct device d;

	device_init(&d);
	for (int i = 0; i < 2; i++) {
		IS(CKR_KEY_FUNCTION_NOT_PERMITTED,
		   d.p11->C_SignInit(d.session, &hmac_mechanism, labelled(&d, names[i])));
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

	IS(CKR_TEMPLATE_INCONSISTENT, d.p11->C_DeriveKey(d.session, &derive, labelled(&d, "subkey"), &decrypts, 1,
	                                                 &key));
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
		{ { CKA_SENSITIVE, &no, 1 }, CKR_TEMPLATE_INCONSISTENT },
		{ { CKA_PRIVATE, &no, 1 }, CKR_TEMPLATE_INCONSISTENT },
		{ { CKA_TRUSTED, &yes, 1 }, CKR_TEMPLATE_INCONSISTENT },
		{ { CKA_KEY_TYPE, &aes, sizeof aes }, CKR_TEMPLATE_INCONSISTENT },
		{ { CKA_VALUE_LEN, &wrong_len, sizeof wrong_len }, CKR_ATTRIBUTE_VALUE_INVALID },
		{ { CKA_VALUE, (void *)known_key, 24 }, CKR_TEMPLATE_INCONSISTENT },
		{ { CKA_ENCRYPT, NULL, 0 }, CKR_ATTRIBUTE_VALUE_INVALID },
		{ { CKA_MODULUS_BITS, &wrong_len, sizeof wrong_len }, CKR_ATTRIBUTE_VALUE_INVALID },
		{ { CKA_OWNER, &yes, 1 }, CKR_ATTRIBUTE_TYPE_INVALID },
	};
	CK_OBJECT_HANDLE key;
	struct device d;

	device_init(&d);
	size_t keys = sm_key_count(d.f.sm);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CK_ATTRIBUTE attribute = cases[i].attribute;

		ck_assert_msg(d.p11->C_GenerateKey(d.session, &make, &attribute, 1, &key) == cases[i].rv, "case %zu",
		              i);
	}
	ck_assert_uint_eq(sm_key_count(d.f.sm), keys);
	CK_ATTRIBUTE incomplete[] = { { CKA_CLASS, &secret_class, sizeof secret_class },
	                              { CKA_VALUE, (void *)known_key, 24 } };

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
	tcase_add_test(tcase, uses_exclude_each_other);
	tcase_add_test(tcase, templates);
	tcase_add_test(tcase, wrapping);
	tcase_add_test(tcase, derivation);
	tcase_add_test(tcase, lives);
	tcase_add_test(tcase, bad_arguments);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * Use of an external PKCS#11 token for RSA; see pkcs11_token.h.
 *
 * OpenSSL 3.0 offers two ways to put a private operation elsewhere: a provider, or an RSA_METHOD. The method is
 * deprecated but a tenth of the work, and OpenSSL treats a key that has one as foreign: it never exports it to a
 * provider and calls the method from every EVP and CMS function, in any library context. This is the only file that
 * uses deprecated functions for it.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <p11-kit/pkcs11.h>
#include "crypto/pkcs11_token.h"

#define SLOTS_MAX 64
#define DEFAULT_PIN "1234"
#define LABEL_LEN 32 /* of a token, padded with spaces */
#define NUMBER_COUNT 8
#define NUMBER_MAX PKCS11_SIGNATURE_MAX

struct pkcs11_token {
	void *library;
	CK_FUNCTION_LIST *p11;
	bool initialized_here;
	CK_SESSION_HANDLE session; /* 0: none */
	RSA_METHOD *method;
	char failure[PKCS11_ERROR_LEN];
};

/* What an RSA object of ours knows. */
struct reference {
	struct pkcs11_token *token;
	pkcs11_key key;
	bool owned; /* the key leaves the token with the object */
};

__attribute__((format(printf, 2, 3))) static void say(char error[PKCS11_ERROR_LEN], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, PKCS11_ERROR_LEN, format, args);
	va_end(args);
}

static bool good(CK_RV rv, const char *what, char error[PKCS11_ERROR_LEN])
{
	if (rv == CKR_OK)
		return true;
	say(error, "%s: PKCS#11 error 0x%lx", what, rv);
	return false;
}

/* A private operation on behalf of OpenSSL: its caller gets -1 and an entry in the error queue. */
static int from_token(bool ok, size_t len, const char *error)
{
	if (ok)
		return (int)len;
	ERR_raise_data(ERR_LIB_RSA, ERR_R_OPERATION_FAIL, "%s", error);
	return -1;
}

static void remember(struct pkcs11_token *token, const char *error)
{
	snprintf(token->failure, sizeof token->failure, "%s", error);
}

/* Whether the token still has the key; if not, why. */
static bool answers(struct pkcs11_token *token, pkcs11_key key, char error[PKCS11_ERROR_LEN])
{
	uint8_t modulus[NUMBER_MAX];
	CK_ATTRIBUTE attribute = { CKA_MODULUS, modulus, sizeof modulus };

	return good(token->p11->C_GetAttributeValue(token->session, key, &attribute, 1), "C_GetAttributeValue", error);
}

static int private_encrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	const struct reference *reference = RSA_get_app_data(rsa);
	char error[PKCS11_ERROR_LEN] = "the token pads with PKCS #1 v1.5 only";
	size_t out_len = (size_t)RSA_size(rsa);
	bool ok = padding == RSA_PKCS1_PADDING &&
	          pkcs11_token_sign(reference->token, reference->key, PKCS11_SIGN_RAW, from, (size_t)len, to, &out_len,
	                            error);

	if (!ok)
		remember(reference->token, error);
	return from_token(ok, out_len, error);
}

/* Tokens have many codes for a wrong padding: what failed is its sender's error if the token is there all the same. */
static int private_decrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	const struct reference *reference = RSA_get_app_data(rsa);
	char error[PKCS11_ERROR_LEN] = "the token pads with PKCS #1 v1.5 only", why[PKCS11_ERROR_LEN];
	size_t out_len = (size_t)RSA_size(rsa);
	bool ok = padding == RSA_PKCS1_PADDING &&
	          pkcs11_token_decrypt(reference->token, reference->key, from, (size_t)len, to, &out_len, error);

	if (!ok && (padding != RSA_PKCS1_PADDING || !answers(reference->token, reference->key, why)))
		remember(reference->token, error);
	return from_token(ok, out_len, error);
}

static int finish(RSA *rsa)
{
	struct reference *reference = RSA_get_app_data(rsa);

	if (reference && reference->owned)
		pkcs11_token_destroy(reference->token, reference->key);
	free(reference);
	RSA_set_app_data(rsa, NULL);
	return RSA_meth_get_finish(RSA_PKCS1_OpenSSL())(rsa);
}

static RSA_METHOD *method_new(void)
{
	RSA_METHOD *method = RSA_meth_dup(RSA_PKCS1_OpenSSL());

	if (!method || !RSA_meth_set1_name(method, "PKCS#11 token") || !RSA_meth_set_flags(method, RSA_FLAG_EXT_PKEY) ||
	    !RSA_meth_set_priv_enc(method, private_encrypt) || !RSA_meth_set_priv_dec(method, private_decrypt) ||
	    !RSA_meth_set_finish(method, finish))
		abort();
	return method;
}

static bool load(struct pkcs11_token *token, const char *path, char error[PKCS11_ERROR_LEN])
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_C_GetFunctionList get_list;
	CK_RV rv;

	token->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!token->library) {
		say(error, "%s", dlerror());
		return false;
	}
	*(void **)&get_list = dlsym(token->library, "C_GetFunctionList");
	if (!get_list) {
		say(error, "%s is no PKCS#11 library", path);
		return false;
	}
	rv = get_list(&token->p11);
	if (rv == CKR_OK)
		rv = token->p11->C_Initialize(&args);
	token->initialized_here = rv == CKR_OK;
	return rv == CKR_CRYPTOKI_ALREADY_INITIALIZED || good(rv, "C_Initialize", error);
}

/* label NULL: a token that somebody has initialised. */
static bool is_wanted(const CK_TOKEN_INFO *info, const char *label)
{
	const CK_FLAGS ready = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED;
	char wanted[LABEL_LEN];

	if (!label)
		return (info->flags & ready) == ready;
	memset(wanted, ' ', sizeof wanted);
	memcpy(wanted, label, strlen(label));
	return memcmp(info->label, wanted, LABEL_LEN) == 0;
}

static bool find_slot(struct pkcs11_token *token, const char *label, CK_SLOT_ID *slot, char error[PKCS11_ERROR_LEN])
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX;
	unsigned found = 0;

	if (label && strlen(label) > LABEL_LEN) {
		say(error, "a token's label has at most %d bytes", LABEL_LEN);
		return false;
	}
	if (!good(token->p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList", error))
		return false;
	for (CK_ULONG i = 0; i < count; i++) {
		CK_TOKEN_INFO info;

		if (token->p11->C_GetTokenInfo(slots[i], &info) == CKR_OK && is_wanted(&info, label) && found++ == 0)
			*slot = slots[i];
	}
	if (!found && label)
		say(error, "no token is labelled \"%s\"", label);
	else if (!found)
		say(error, "no token is initialised and has a PIN");
	else if (!label && found > 1)
		say(error, "there are %u tokens; a label must choose one", found);
	else
		return true;
	return false;
}

static bool log_in(struct pkcs11_token *token, CK_SLOT_ID slot, const char *pin, char error[PKCS11_ERROR_LEN])
{
	CK_RV rv = token->p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &token->session);

	if (!good(rv, "C_OpenSession", error)) {
		token->session = 0;
		return false;
	}
	rv = token->p11->C_Login(token->session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin));
	return rv == CKR_USER_ALREADY_LOGGED_IN || good(rv, "C_Login", error);
}

struct pkcs11_token *pkcs11_token_open(const char *module_path, const char *label, const char *pin,
                                       char error[PKCS11_ERROR_LEN])
{
	struct pkcs11_token *token = calloc(1, sizeof *token);
	CK_SLOT_ID slot;

	if (!token)
		abort();
	if (load(token, module_path, error) && find_slot(token, label, &slot, error) &&
	    log_in(token, slot, pin, error)) {
		token->method = method_new();
		return token;
	}
	pkcs11_token_close(token);
	return NULL;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

struct pkcs11_token *pkcs11_token_from_environment(char error[PKCS11_ERROR_LEN])
{
	const char *path = variable("TOLLGATE_PKCS11_MODULE"), *pin = variable("TOLLGATE_PKCS11_PIN");

	if (path)
		return pkcs11_token_open(path, variable("TOLLGATE_PKCS11_LABEL"), pin ? pin : DEFAULT_PIN, error);
	say(error, "a token is asked for, but TOLLGATE_PKCS11_MODULE does not name its PKCS#11 library");
	return NULL;
}

void pkcs11_token_close(struct pkcs11_token *token)
{
	if (!token)
		return;
	if (token->session)
		token->p11->C_CloseSession(token->session);
	if (token->initialized_here)
		token->p11->C_Finalize(NULL);
	if (token->library)
		dlclose(token->library);
	RSA_meth_free(token->method);
	free(token);
}

const char *pkcs11_token_failure(const struct pkcs11_token *token)
{
	return token->failure;
}

/* The RSAPrivateKey inside a PKCS #8 structure, which is it and nothing else. */
static RSA *parse_pkcs8(const uint8_t *pkcs8, size_t len)
{
	const uint8_t *p = pkcs8, *bytes;
	PKCS8_PRIV_KEY_INFO *info = len <= INT_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len) : NULL;
	const ASN1_OBJECT *algorithm;
	RSA *rsa = NULL;
	int bytes_len;

	if (info && p == pkcs8 + len && PKCS8_pkey_get0(&algorithm, &bytes, &bytes_len, NULL, info) &&
	    OBJ_obj2nid(algorithm) == NID_rsaEncryption)
		rsa = d2i_RSAPrivateKey(NULL, &bytes, bytes_len);
	PKCS8_PRIV_KEY_INFO_free(info);
	if (!rsa)
		ERR_clear_error();
	return rsa;
}

static pkcs11_key create(struct pkcs11_token *token, const char *label, const RSA *rsa, char error[PKCS11_ERROR_LEN])
{
	static const CK_ATTRIBUTE_TYPE types[NUMBER_COUNT] = {
		CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1,
		CKA_EXPONENT_2,
		CKA_COEFFICIENT
	};
	const BIGNUM *values[NUMBER_COUNT] = {
		RSA_get0_n(rsa), RSA_get0_e(rsa), RSA_get0_d(rsa), RSA_get0_p(rsa), RSA_get0_q(rsa), RSA_get0_dmp1(rsa),
		RSA_get0_dmq1(rsa), RSA_get0_iqmp(rsa)
	};
	CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE type = CKK_RSA;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE attributes[9 + NUMBER_COUNT] = {
		{ CKA_CLASS, &object_class, sizeof object_class }, { CKA_KEY_TYPE, &type, sizeof type },
		{ CKA_LABEL, (void *)label, strlen(label) }, { CKA_TOKEN, &no, 1 }, { CKA_PRIVATE, &yes, 1 },
		{ CKA_SENSITIVE, &yes, 1 }, { CKA_EXTRACTABLE, &no, 1 }, { CKA_SIGN, &yes, 1 },
		{ CKA_DECRYPT, &yes, 1 },
	};
	uint8_t numbers[NUMBER_COUNT][NUMBER_MAX];
	CK_OBJECT_HANDLE key = 0;

	for (int i = 0; i < NUMBER_COUNT; i++) {
		if (!values[i] || BN_num_bytes(values[i]) > NUMBER_MAX) {
			say(error, "the key has more bits than %d, or numbers are missing", 8 * NUMBER_MAX);
			OPENSSL_cleanse(numbers, sizeof numbers);
			return 0;
		}
		attributes[9 + i] = (CK_ATTRIBUTE){ types[i], numbers[i], (CK_ULONG)BN_bn2bin(values[i], numbers[i]) };
	}
	if (!good(token->p11->C_CreateObject(token->session, attributes, 9 + NUMBER_COUNT, &key), "C_CreateObject",
	          error))
		key = 0;
	OPENSSL_cleanse(numbers, sizeof numbers);
	return key;
}

pkcs11_key pkcs11_token_import(struct pkcs11_token *token, const char *label, const uint8_t *pkcs8, size_t len,
                               char error[PKCS11_ERROR_LEN])
{
	RSA *rsa = parse_pkcs8(pkcs8, len);
	pkcs11_key key = 0;

	if (rsa)
		key = create(token, label, rsa, error);
	else
		say(error, "not a PKCS#8 RSA key");
	if (!key)
		remember(token, error);
	RSA_free(rsa); /* wipes it */
	return key;
}

/* The first object that answers to the template; 0: none, or the token does not search. */
static pkcs11_key first_match(struct pkcs11_token *token, CK_ATTRIBUTE *wanted, CK_ULONG wanted_count)
{
	CK_OBJECT_HANDLE key = 0;
	CK_ULONG found = 0;

	if (token->p11->C_FindObjectsInit(token->session, wanted, wanted_count) != CKR_OK)
		return 0;
	if (token->p11->C_FindObjects(token->session, &key, 1, &found) != CKR_OK || found != 1)
		key = 0;
	token->p11->C_FindObjectsFinal(token->session);
	return key;
}

pkcs11_key pkcs11_token_find(struct pkcs11_token *token, const uint8_t *pkcs8, size_t len)
{
	RSA *rsa = parse_pkcs8(pkcs8, len);
	CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE type = CKK_RSA;
	CK_BBOOL yes = CK_TRUE;
	uint8_t modulus[NUMBER_MAX];
	CK_ATTRIBUTE wanted[] = {
		{ CKA_CLASS, &object_class, sizeof object_class }, { CKA_KEY_TYPE, &type, sizeof type },
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_MODULUS, modulus, 0 },
	};
	pkcs11_key key = 0;

	if (rsa && RSA_size(rsa) <= NUMBER_MAX) {
		wanted[3].ulValueLen = (CK_ULONG)BN_bn2bin(RSA_get0_n(rsa), modulus);
		key = first_match(token, wanted, sizeof wanted / sizeof *wanted);
	}
	RSA_free(rsa);
	return key;
}

void pkcs11_token_destroy(struct pkcs11_token *token, pkcs11_key key)
{
	token->p11->C_DestroyObject(token->session, key);
}

/*
 * Tokens write into memory of ours that always suffices, so that no operation stays open for want of room; a length
 * that makes no sense is refused.
 */
static bool give(const uint8_t *bytes, CK_ULONG len, uint8_t *out, size_t *out_len, char error[PKCS11_ERROR_LEN])
{
	if (len > PKCS11_SIGNATURE_MAX || len > *out_len) {
		say(error, "the token's answer has %lu bytes, there is room for %zu", len, *out_len);
		return false;
	}
	memcpy(out, bytes, len);
	*out_len = len;
	return true;
}

bool pkcs11_token_sign(struct pkcs11_token *token, pkcs11_key key, enum pkcs11_signature kind, const uint8_t *bytes,
                       size_t len, uint8_t *out, size_t *out_len, char error[PKCS11_ERROR_LEN])
{
	CK_MECHANISM mechanism = {
		kind == PKCS11_SIGN_RAW ? CKM_RSA_PKCS : kind == PKCS11_SIGN_SHA1 ? CKM_SHA1_RSA_PKCS :
		CKM_SHA256_RSA_PKCS, NULL, 0
	};
	uint8_t result[PKCS11_SIGNATURE_MAX];
	CK_ULONG result_len = sizeof result;

	return good(token->p11->C_SignInit(token->session, &mechanism, key), "C_SignInit", error) &&
	       good(token->p11->C_Sign(token->session, (CK_BYTE *)bytes, len, result, &result_len), "C_Sign", error) &&
	       give(result, result_len, out, out_len, error);
}

bool pkcs11_token_decrypt(struct pkcs11_token *token, pkcs11_key key, const uint8_t *bytes, size_t len, uint8_t *out,
                          size_t *out_len, char error[PKCS11_ERROR_LEN])
{
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	uint8_t result[PKCS11_SIGNATURE_MAX];
	CK_ULONG result_len = sizeof result;
	bool ok = good(token->p11->C_DecryptInit(token->session, &mechanism, key), "C_DecryptInit", error) &&
	          good(token->p11->C_Decrypt(token->session, (CK_BYTE *)bytes, len, result, &result_len), "C_Decrypt",
	               error) &&
	          give(result, result_len, out, out_len, error);

	OPENSSL_cleanse(result, sizeof result);
	return ok;
}

/* The public half of a key, as the token tells it. */
static bool public_numbers(struct pkcs11_token *token, pkcs11_key key, BIGNUM **n, BIGNUM **e,
                           char error[PKCS11_ERROR_LEN])
{
	uint8_t n_bytes[NUMBER_MAX], e_bytes[NUMBER_MAX];
	CK_ATTRIBUTE attributes[] = {
		{ CKA_MODULUS, n_bytes, sizeof n_bytes }, { CKA_PUBLIC_EXPONENT, e_bytes, sizeof e_bytes }
	};

	if (!good(token->p11->C_GetAttributeValue(token->session, key, attributes, 2), "C_GetAttributeValue", error))
		return false;
	if (attributes[0].ulValueLen > sizeof n_bytes || attributes[1].ulValueLen > sizeof e_bytes) {
		say(error, "the token does not tell the key's modulus and exponent");
		return false;
	}
	*n = BN_bin2bn(n_bytes, (int)attributes[0].ulValueLen, NULL);
	*e = BN_bin2bn(e_bytes, (int)attributes[1].ulValueLen, NULL);
	if (!*n || !*e)
		abort();
	return true;
}

static EVP_PKEY *key_object(struct pkcs11_token *token, pkcs11_key key, bool owned, char error[PKCS11_ERROR_LEN])
{
	struct reference *reference;
	BIGNUM *n, *e;
	EVP_PKEY *pkey;
	RSA *rsa;

	if (!public_numbers(token, key, &n, &e, error)) {
		remember(token, error);
		return NULL;
	}
	rsa = RSA_new();
	pkey = EVP_PKEY_new();
	reference = malloc(sizeof *reference);
	if (!rsa || !pkey || !reference)
		abort();
	*reference = (struct reference){ token, key, owned };
	if (!RSA_set_method(rsa, token->method) || !RSA_set_app_data(rsa, reference) ||
	    !RSA_set0_key(rsa, n, e, NULL) ||
	    !EVP_PKEY_assign_RSA(pkey, rsa))
		abort();
	return pkey;
}

EVP_PKEY *pkcs11_token_pkey(struct pkcs11_token *token, pkcs11_key key, char error[PKCS11_ERROR_LEN])
{
	return key_object(token, key, false, error);
}

EVP_PKEY *pkcs11_token_load(struct pkcs11_token *token, const char *label, const uint8_t *pkcs8, size_t len,
                            char error[PKCS11_ERROR_LEN])
{
	pkcs11_key key = pkcs11_token_import(token, label, pkcs8, len, error);
	EVP_PKEY *pkey = key ? key_object(token, key, true, error) : NULL;

	if (key && !pkey)
		pkcs11_token_destroy(token, key);
	return pkey;
}

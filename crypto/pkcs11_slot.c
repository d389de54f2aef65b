/*
 * Slots and tokens of the PKCS#11 face: what a token says of itself, its mechanisms, its PIN, and the token which the
 * environment describes (see pkcs11.h for the variables).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/pkcs11_internal.h"

#define NAME_MAX_LEN 128
#define SEED_LABEL_MAX (NAME_MAX_LEN + 32) /* "pkcs11 ", 20 digits, a space */

struct mechanism {
	CK_MECHANISM_TYPE type;
	CK_MECHANISM_INFO info;
};

/*
 * CKM_SHA1_RSA_PKCS stands first: there are programs that test the first signing mechanism in parts, which CKM_RSA_PKCS
 * has not.
 */
static const struct mechanism mechanisms[] = {
	{ CKM_SHA1_RSA_PKCS, { 1024, 4096, CKF_HW | CKF_SIGN | CKF_VERIFY } },
	{ CKM_SHA256_RSA_PKCS, { 1024, 4096, CKF_HW | CKF_SIGN | CKF_VERIFY } },
	{ CKM_RSA_PKCS, { 1024, 4096, CKF_HW | CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_UNWRAP } },
	{ CKM_DES3_KEY_GEN, { P11_DES3_LEN, P11_DES3_LEN, CKF_HW | CKF_GENERATE } },
	{ CKM_DES3_CBC, { P11_DES3_LEN, P11_DES3_LEN, CKF_HW | CKF_ENCRYPT | CKF_DECRYPT } },
	{ CKM_DES3_CBC_PAD, { P11_DES3_LEN, P11_DES3_LEN, CKF_HW | CKF_ENCRYPT | CKF_DECRYPT } },
	{ CKM_SHA_1, { 0, 0, CKF_HW | CKF_DIGEST } },
	{ CKM_SHA256, { 0, 0, CKF_HW | CKF_DIGEST } },
	{ CKM_SHA_1_HMAC, { P11_DES3_LEN, P11_DES3_LEN, CKF_HW | CKF_SIGN | CKF_VERIFY } },
	{ CKM_TOLLGATE_ESP, { P11_DES3_LEN, P11_DES3_LEN, CKF_HW | CKF_ENCRYPT | CKF_DECRYPT } },
	{ CKM_TOLLGATE_SUBKEY_DERIVE, { P11_DES3_LEN, P11_DES3_LEN, CKF_HW | CKF_DERIVE } },
	{ CKM_TOLLGATE_SUBKEY_WRAP, { P11_DES3_LEN, P11_DES3_LEN, CKF_HW | CKF_WRAP | CKF_UNWRAP } },
};
#define MECHANISM_COUNT (sizeof mechanisms / sizeof *mechanisms)

void p11_pad(unsigned char *field, size_t len, const char *text)
{
	size_t text_len = strlen(text);

	memset(field, ' ', len);
	memcpy(field, text, text_len < len ? text_len : len);
}

CK_RV p11_mechanism_list(CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
	CK_ULONG room = *count;

	*count = MECHANISM_COUNT;
	if (!list)
		return CKR_OK;
	if (room < MECHANISM_COUNT)
		return CKR_BUFFER_TOO_SMALL;
	for (size_t i = 0; i < MECHANISM_COUNT; i++)
		list[i] = mechanisms[i].type;
	return CKR_OK;
}

CK_RV p11_mechanism_info(CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	for (size_t i = 0; i < MECHANISM_COUNT; i++) {
		if (mechanisms[i].type == type) {
			*info = mechanisms[i].info;
			return CKR_OK;
		}
	}
	return CKR_MECHANISM_INVALID;
}

void p11_slot_info(const struct p11_slot *slot, CK_SLOT_INFO *info)
{
	char text[64];

	*info = (CK_SLOT_INFO){ .flags = CKF_TOKEN_PRESENT, .hardwareVersion = { 1, 0 }, .firmwareVersion = { 1, 0 } };
	snprintf(text, sizeof text, "Secure module %s", slot->label);
	p11_pad(info->slotDescription, sizeof info->slotDescription, text);
	p11_pad(info->manufacturerID, sizeof info->manufacturerID, "Tollgate");
}

void p11_token_info(const struct p11_slot *slot, CK_ULONG sessions, CK_ULONG rw_sessions, CK_TOKEN_INFO *info)
{
	*info = (CK_TOKEN_INFO){
		.flags = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED,
		.ulMaxSessionCount = P11_SESSIONS_MAX, .ulMaxRwSessionCount = P11_SESSIONS_MAX,
		.ulSessionCount = sessions, .ulRwSessionCount = rw_sessions,
		.ulMaxPinLen = P11_PIN_MAX, .ulMinPinLen = 1,
		.ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION, .ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
		.ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION, .ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
		.hardwareVersion = { 1, 0 }, .firmwareVersion = { 1, 0 },
	};
	if (slot->pin_failures >= P11_PIN_TRIES)
		info->flags |= CKF_USER_PIN_LOCKED;
	else if (slot->pin_failures == P11_PIN_TRIES - 1)
		info->flags |= CKF_USER_PIN_FINAL_TRY;
	else if (slot->pin_failures > 0)
		info->flags |= CKF_USER_PIN_COUNT_LOW;
	p11_pad(info->label, sizeof info->label, slot->label);
	p11_pad(info->manufacturerID, sizeof info->manufacturerID, "Tollgate");
	p11_pad(info->model, sizeof info->model, "secure module");
	p11_pad(info->serialNumber, sizeof info->serialNumber, sm_owner(slot->sm));
	p11_pad(info->utcTime, sizeof info->utcTime, "");
}

CK_RV p11_login(struct p11_slot *slot, CK_USER_TYPE user, const CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
	if (user != CKU_USER)
		return CKR_USER_TYPE_INVALID;
	if (slot->logged_in)
		return CKR_USER_ALREADY_LOGGED_IN;
	if (slot->pin_failures >= P11_PIN_TRIES)
		return CKR_PIN_LOCKED;
	if (!pin || pin_len != strlen(slot->pin) || !crypto_equal(pin, (const uint8_t *)slot->pin, pin_len)) {
		slot->pin_failures++;
		return CKR_PIN_INCORRECT;
	}
	slot->pin_failures = 0;
	slot->logged_in = true;
	return CKR_OK;
}

struct p11_slot *p11_slot_new(struct secure_module *sm, const char *label, const char *pin, bool strict)
{
	struct p11_slot *slot = calloc(1, sizeof *slot);

	if (!slot)
		abort();
	slot->sm = sm;
	slot->strict = strict;
	snprintf(slot->label, sizeof slot->label, "%s", label);
	snprintf(slot->pin, sizeof slot->pin, "%s", pin);
	return slot;
}

void p11_slot_free(struct p11_slot *slot)
{
	p11_destroy_made(slot, 0);
	if (slot->own_crypto) {
		sm_free(slot->sm);
		key_pool_free(slot->own_pool);
		crypto_free(slot->own_crypto);
	}
	crypto_wipe(slot, sizeof *slot);
	free(slot);
}

static const char *variable(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

/* A decimal number and nothing else. */
static bool number(const char *text, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

struct p11_slot *p11_slot_from_environment(void)
{
	const char *name = variable("TOLLGATE_PKCS11_NAME", "tollgate"), *pin = variable("TOLLGATE_PKCS11_PIN", "1234");
	const char *cache = variable("TOLLGATE_PKCS11_CACHE", NULL);
	bool strict = strcmp(variable("TOLLGATE_PKCS11_STRICT", "0"), "1") == 0;
	struct random_source random;
	struct p11_slot *slot;
	char stream_label[SEED_LABEL_MAX];
	uint64_t seed, bits;

	if (!number(variable("TOLLGATE_PKCS11_SEED", "1"), &seed) ||
	    !number(variable("TOLLGATE_PKCS11_BITS", "2048"), &bits) ||
	    (bits != 1024 && bits != 2048 && bits != 4096) || strlen(pin) > P11_PIN_MAX ||
	    strlen(name) > NAME_MAX_LEN) {
		fprintf(stderr, "tollgate-pkcs11: TOLLGATE_PKCS11_SEED must be a number, _BITS 1024, 2048 or 4096, "
		        "_PIN at most %d bytes, _NAME at most %d\n", P11_PIN_MAX, NAME_MAX_LEN);
		return NULL;
	}
	slot = p11_slot_new(NULL, "tollgate", pin, strict);
	slot->own_crypto = crypto_new();
	if (!slot->own_crypto) {
		free(slot);
		return NULL;
	}
	snprintf(stream_label, sizeof stream_label, "pkcs11 %llu %s", (unsigned long long)seed, name);
	seed_stream_init(&slot->own_stream, stream_label);
	random = (struct random_source){ seed_stream_fill, &slot->own_stream };
	slot->own_pool = key_pool_new(slot->own_crypto, seed, cache);
	slot->sm = sm_new(slot->own_crypto, name, &random);
	sm_install_rsa(slot->sm, slot->own_pool, name, (unsigned)bits);
	return slot;
}

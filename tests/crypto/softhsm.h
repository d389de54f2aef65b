/*
 * SoftHSM2 for tests: a token in a temporary folder, and the library behind the back of whoever uses it.
 */
#ifndef TOLLGATE_TESTS_CRYPTO_SOFTHSM_H
#define TOLLGATE_TESTS_CRYPTO_SOFTHSM_H

#include <check.h>
#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <p11-kit/pkcs11.h>

#define SOFTHSM_DEFAULT_LIBRARY "/usr/lib/softhsm/libsofthsm2.so"
#define SOFTHSM_PIN "1234"
#define SOFTHSM_SO_PIN "5678"

static inline const char *softhsm_library(void)
{
	const char *path = getenv("SOFTHSM2_LIBRARY");

	return path && *path ? path : SOFTHSM_DEFAULT_LIBRARY;
}

/* The functions of a PKCS#11 library; dlclose(*library) when done. */
static inline CK_FUNCTION_LIST *softhsm_functions(const char *path, void **library)
{
	CK_FUNCTION_LIST *p11;
	CK_C_GetFunctionList get_list;

	*library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(*library, "%s", dlerror());
	*(void **)&get_list = dlsym(*library, "C_GetFunctionList");
	ck_assert_uint_eq(get_list(&p11), CKR_OK);
	return p11;
}

static inline void softhsm_write_config(const char *folder)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/softhsm2.conf", folder);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", folder);
	fclose(file);
	setenv("SOFTHSM2_CONF", path, 1);
}

/* Initialises one more token; the library must not be in use. */
static inline void softhsm_add_token(const char *label)
{
	CK_UTF8CHAR padded[32];
	CK_SLOT_ID slots[8];
	CK_SESSION_HANDLE session;
	CK_ULONG count = 8;
	void *library;
	CK_FUNCTION_LIST *p11 = softhsm_functions(softhsm_library(), &library);

	ck_assert_uint_eq(p11->C_Initialize(NULL), CKR_OK);
	ck_assert_uint_eq(p11->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
	memset(padded, ' ', sizeof padded);
	memcpy(padded, label, strlen(label));
	/* the last slot has the token that is not initialised yet */
	ck_assert_uint_eq(p11->C_InitToken(slots[count - 1], (CK_UTF8CHAR *)SOFTHSM_SO_PIN, 4, padded), CKR_OK);
	ck_assert_uint_eq(p11->C_OpenSession(slots[count - 1], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
	                                     &session), CKR_OK);
	ck_assert_uint_eq(p11->C_Login(session, CKU_SO, (CK_UTF8CHAR *)SOFTHSM_SO_PIN, 4), CKR_OK);
	ck_assert_uint_eq(p11->C_InitPIN(session, (CK_UTF8CHAR *)SOFTHSM_PIN, 4), CKR_OK);
	ck_assert_uint_eq(p11->C_Finalize(NULL), CKR_OK);
	dlclose(library);
}

/* SoftHSM2 with one token. folder is a template for mkdtemp(). */
static inline void softhsm_init(char *folder, const char *label)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	softhsm_write_config(folder);
	softhsm_add_token(label);
}

static inline int softhsm_remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

static inline void softhsm_free(const char *folder)
{
	nftw(folder, softhsm_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif

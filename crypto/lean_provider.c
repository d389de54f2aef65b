/*
 * The provider behind lean_provider.h: tables of algorithms cut out of the default provider's own.
 *
 * Its context is the default provider's, for the functions in the tables are. The tables are constants of libcrypto,
 * the same for every instance of the default provider, so they are cut once a process.
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include "crypto/lean_provider.h"

#define PROVIDER_NAME "tollgate-lean"
#define OPERATIONS 32 /* more than OpenSSL has */
#define TABLE_MAX 32 /* algorithms of one operation that are kept */

static pthread_mutex_t cut_lock = PTHREAD_MUTEX_INITIALIZER;
static bool cut_done;
static const OSSL_ALGORITHM *tables[OPERATIONS];
static OSSL_ALGORITHM kept_digests[TABLE_MAX], kept_ciphers[TABLE_MAX];
static OSSL_ALGORITHM managers[TABLE_MAX], decoders[TABLE_MAX], encoders[TABLE_MAX];
static _Thread_local OSSL_PROVIDER *loading; /* the base of the provider that is being loaded */

/* What is kept of an operation: the first of an algorithm's names, and what must stand in its properties. */
struct kept {
	const char *name, *property;
};

static bool is_kept(const OSSL_ALGORITHM *algorithm, const struct kept *kept)
{
	size_t len = strcspn(algorithm->algorithm_names, ":");

	for (; kept->name; kept++)
		if (strlen(kept->name) == len && strncmp(kept->name, algorithm->algorithm_names, len) == 0 &&
		    strstr(algorithm->property_definition, kept->property))
			return true;
	return false;
}

/* False: more than there is room for. */
static bool cut(int operation, const struct kept *kept, OSSL_ALGORITHM out[TABLE_MAX])
{
	size_t count = 0;

	for (const OSSL_ALGORITHM *a = tables[operation]; a && a->algorithm_names; a++) {
		if (!is_kept(a, kept))
			continue;
		if (count == TABLE_MAX - 1)
			return false;
		out[count++] = *a;
	}
	out[count] = (OSSL_ALGORITHM){ NULL, NULL, NULL, NULL };
	tables[operation] = out;
	return true;
}

static bool cut_all(void)
{
	/* MD5 is there to be known and refused. */
	static const struct kept digests[] = { { "MD5", "" }, { "SHA1", "" }, { "SHA2-224", "" },
	                                       { "SHA2-256", "" }, { "SHA2-384", "" }, { "SHA2-512", "" },
	                                       { NULL, NULL } };
	static const struct kept ciphers[] = { { "DES-EDE3-CBC", "" }, { "AES-128-CBC", "" }, { "AES-192-CBC", "" },
	                                       { "AES-256-CBC", "" }, { NULL, NULL } };
	static const struct kept keys[] = { { "RSA", "" }, { "DH", "" }, { "DHX", "" }, { NULL, NULL } };
	/* Of decoders those for the key in a certificate; private keys are read by rsa_key.c. */
	static const struct kept read[] = { { "RSA", "structure=SubjectPublicKeyInfo" }, { NULL, NULL } };
	static const struct kept written[] = { { "RSA", "output=der" }, { "DH", "output=der" }, { "DHX", "output=der" },
	                                       { NULL, NULL } };

	return cut(OSSL_OP_DIGEST, digests, kept_digests) && cut(OSSL_OP_CIPHER, ciphers, kept_ciphers) &&
	       cut(OSSL_OP_KEYMGMT, keys, managers) && cut(OSSL_OP_DECODER, read, decoders) &&
	       cut(OSSL_OP_ENCODER, written, encoders);
}

static bool cut_tables(OSSL_PROVIDER *base)
{
	int no_cache;

	pthread_mutex_lock(&cut_lock);
	if (!cut_done) {
		for (int operation = 1; operation < OPERATIONS; operation++)
			tables[operation] = OSSL_PROVIDER_query_operation(base, operation, &no_cache);
		cut_done = cut_all();
	}
	pthread_mutex_unlock(&cut_lock);
	return cut_done;
}

static OSSL_FUNC_provider_query_operation_fn provider_query;
static const OSSL_ALGORITHM *provider_query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	return operation > 0 && operation < OPERATIONS ? tables[operation] : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query },
	{ 0, NULL }
};

static OSSL_provider_init_fn provider_init;
static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                         void **provctx)
{
	(void)handle;
	(void)in;
	if (!loading)
		return 0;
	*provctx = OSSL_PROVIDER_get0_provider_ctx(loading);
	*out = provider_functions;
	return 1;
}

OSSL_PROVIDER *lean_provider_load(OSSL_LIB_CTX *lib, OSSL_PROVIDER *base)
{
	OSSL_PROVIDER *loaded = NULL;

	loading = base;
	if (cut_tables(base) && OSSL_PROVIDER_add_builtin(lib, PROVIDER_NAME, provider_init))
		loaded = OSSL_PROVIDER_load(lib, PROVIDER_NAME);
	loading = NULL;
	return loaded;
}

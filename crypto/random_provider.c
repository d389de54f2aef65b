/*
 * The provider behind random_provider.h.
 *
 * OpenSSL keeps a tree of generators for each library context (seed source, primary, and a public and a private one a
 * thread). Here all of them are the same thing: a door to the provider's struct crypto. They hold no state of their
 * own, so which of them is asked, and when it was made, makes no difference to the bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include "crypto/internal.h"
#include "crypto/random_provider.h"

#define PROVIDER_NAME "tollgate-random"
#define RAND_NAME "TOLLGATE-STREAM"
#define RAND_STRENGTH_BITS 256
#define RAND_MAX_REQUEST ((size_t)1 << 20)

struct provider_ctx {
	struct crypto *crypto;
};

struct rand_ctx {
	struct provider_ctx *provider;
	int state;
};

static void draw(struct rand_ctx *rand, unsigned char *out, size_t len)
{
	const struct random_source *source = rand->provider->crypto ? rand->provider->crypto->random : NULL;

	if (!source) {
		fprintf(stderr, "crypto: %zu random bytes drawn outside crypto_random_begin()/crypto_random_end()\n",
		        len);
		abort();
	}
	source->fill(source->ctx, out, len);
}

static OSSL_FUNC_rand_newctx_fn rand_newctx;
static void *rand_newctx(void *provctx, void *parent, const OSSL_DISPATCH *parent_calls)
{
	struct rand_ctx *rand = calloc(1, sizeof *rand);

	(void)parent;
	(void)parent_calls;
	if (rand) {
		rand->provider = provctx;
		rand->state = EVP_RAND_STATE_UNINITIALISED;
	}
	return rand;
}

static OSSL_FUNC_rand_freectx_fn rand_freectx;
static void rand_freectx(void *vrand)
{
	free(vrand);
}

static OSSL_FUNC_rand_instantiate_fn rand_instantiate;
static int rand_instantiate(void *vrand, unsigned int strength, int prediction_resistance, const unsigned char *pstr,
                            size_t pstr_len, const OSSL_PARAM params[])
{
	struct rand_ctx *rand = vrand;

	(void)prediction_resistance;
	(void)pstr;
	(void)pstr_len;
	(void)params;
	if (strength > RAND_STRENGTH_BITS)
		return 0;
	rand->state = EVP_RAND_STATE_READY;
	return 1;
}

static OSSL_FUNC_rand_uninstantiate_fn rand_uninstantiate;
static int rand_uninstantiate(void *vrand)
{
	struct rand_ctx *rand = vrand;

	rand->state = EVP_RAND_STATE_UNINITIALISED;
	return 1;
}

static OSSL_FUNC_rand_generate_fn rand_generate;
static int rand_generate(void *vrand, unsigned char *out, size_t len, unsigned int strength, int prediction_resistance,
                         const unsigned char *addin, size_t addin_len)
{
	struct rand_ctx *rand = vrand;

	(void)prediction_resistance;
	(void)addin;
	(void)addin_len;
	if (strength > RAND_STRENGTH_BITS || len > RAND_MAX_REQUEST)
		return 0;
	draw(rand, out, len);
	return 1;
}

static OSSL_FUNC_rand_reseed_fn rand_reseed;
static int rand_reseed(void *vrand, int prediction_resistance, const unsigned char *ent, size_t ent_len,
                       const unsigned char *addin, size_t addin_len)
{
	/* Nothing that the caller brings (time, process number, machine entropy) may have an influence. */
	(void)vrand;
	(void)prediction_resistance;
	(void)ent;
	(void)ent_len;
	(void)addin;
	(void)addin_len;
	return 1;
}

static OSSL_FUNC_rand_enable_locking_fn rand_enable_locking;
static int rand_enable_locking(void *vrand)
{
	/* A struct crypto belongs to one thread; there is nothing to lock. */
	(void)vrand;
	return 1;
}

static OSSL_FUNC_rand_gettable_ctx_params_fn rand_gettable_ctx_params;
static const OSSL_PARAM *rand_gettable_ctx_params(void *vrand, void *provctx)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, NULL),
		OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, NULL),
		OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, NULL),
		OSSL_PARAM_END
	};

	(void)vrand;
	(void)provctx;
	return gettable;
}

static OSSL_FUNC_rand_get_ctx_params_fn rand_get_ctx_params;
static int rand_get_ctx_params(void *vrand, OSSL_PARAM params[])
{
	struct rand_ctx *rand = vrand;
	OSSL_PARAM *p;

	p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);
	if (p && !OSSL_PARAM_set_int(p, rand->state))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
	if (p && !OSSL_PARAM_set_uint(p, RAND_STRENGTH_BITS))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);
	if (p && !OSSL_PARAM_set_size_t(p, RAND_MAX_REQUEST))
		return 0;
	return 1;
}

static const OSSL_DISPATCH rand_functions[] = {
	{ OSSL_FUNC_RAND_NEWCTX, (void (*)(void))rand_newctx },
	{ OSSL_FUNC_RAND_FREECTX, (void (*)(void))rand_freectx },
	{ OSSL_FUNC_RAND_INSTANTIATE, (void (*)(void))rand_instantiate },
	{ OSSL_FUNC_RAND_UNINSTANTIATE, (void (*)(void))rand_uninstantiate },
	{ OSSL_FUNC_RAND_GENERATE, (void (*)(void))rand_generate },
	{ OSSL_FUNC_RAND_RESEED, (void (*)(void))rand_reseed },
	{ OSSL_FUNC_RAND_ENABLE_LOCKING, (void (*)(void))rand_enable_locking },
	{ OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, (void (*)(void))rand_gettable_ctx_params },
	{ OSSL_FUNC_RAND_GET_CTX_PARAMS, (void (*)(void))rand_get_ctx_params },
	{ 0, NULL }
};

static const OSSL_ALGORITHM rand_algorithms[] = {
	{ RAND_NAME, "provider=" PROVIDER_NAME, rand_functions, "bytes of the caller's random source" },
	{ NULL, NULL, NULL, NULL }
};

static OSSL_FUNC_provider_query_operation_fn provider_query;
static const OSSL_ALGORITHM *provider_query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	return operation == OSSL_OP_RAND ? rand_algorithms : NULL;
}

static OSSL_FUNC_provider_teardown_fn provider_teardown;
static void provider_teardown(void *provctx)
{
	free(provctx);
}

static const OSSL_DISPATCH provider_functions[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query },
	{ OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))provider_teardown },
	{ 0, NULL }
};

static OSSL_provider_init_fn provider_init;
static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                         void **provctx)
{
	struct provider_ctx *provider = calloc(1, sizeof *provider);

	(void)handle;
	(void)in;
	if (!provider)
		return 0;
	*provctx = provider;
	*out = provider_functions;
	return 1;
}

OSSL_PROVIDER *random_provider_load(struct crypto *crypto, OSSL_LIB_CTX *lib)
{
	OSSL_PROVIDER *loaded;
	struct provider_ctx *provider;

	if (!OSSL_PROVIDER_add_builtin(lib, PROVIDER_NAME, provider_init))
		return NULL;
	loaded = OSSL_PROVIDER_load(lib, PROVIDER_NAME);
	if (!loaded)
		return NULL;
	provider = OSSL_PROVIDER_get0_provider_ctx(loaded);
	provider->crypto = crypto;
	if (!RAND_set_DRBG_type(lib, RAND_NAME, NULL, NULL, NULL) ||
	    !RAND_set_seed_source_type(lib, RAND_NAME, NULL)) {
		OSSL_PROVIDER_unload(loaded);
		return NULL;
	}
	return loaded;
}

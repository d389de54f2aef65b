/*
 * The certificates a context parsed lately.
 *
 * Decoding a certificate's key costs OpenSSL more than checking a signature with it, and a fleet meets the same few CA
 * and KDC certificates all the time. The cache holds parsed certificates by their exact bytes, most recently used
 * first; it saves time and decides nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "crypto/pki_internal.h"

#define CACHE_MAX 32
#define TAIL_LEN 16 /* the end of the signature, compared first: it differs in all but equal certificates */

struct cached {
	X509 *cert;
	uint8_t *der;
	size_t len;
};

struct cert_cache {
	unsigned count;
	struct cached entries[CACHE_MAX];
};

static bool same(const struct cached *entry, const uint8_t *der, size_t len)
{
	size_t tail = len < TAIL_LEN ? len : TAIL_LEN;

	return entry->len == len && memcmp(entry->der + len - tail, der + len - tail, tail) == 0 &&
	       memcmp(entry->der, der, len) == 0;
}

static void drop(struct cached *entry)
{
	X509_free(entry->cert);
	free(entry->der);
}

/* Moves what is before the place down and puts the entry first. */
static void put_first(struct cert_cache *cache, unsigned place, struct cached entry)
{
	memmove(cache->entries + 1, cache->entries, place * sizeof entry);
	cache->entries[0] = entry;
}

static X509 *cached_cert(struct cert_cache *cache, const uint8_t *der, size_t len)
{
	for (unsigned i = 0; i < cache->count; i++) {
		if (same(&cache->entries[i], der, len)) {
			put_first(cache, i, cache->entries[i]);
			return cache->entries[0].cert;
		}
	}
	return NULL;
}

static void remember(struct cert_cache *cache, X509 *cert, const uint8_t *der, size_t len)
{
	struct cached entry = { .cert = cert, .der = malloc(len), .len = len };

	if (!entry.der)
		abort();
	memcpy(entry.der, der, len);
	if (cache->count == CACHE_MAX)
		drop(&cache->entries[--cache->count]);
	put_first(cache, cache->count++, entry);
}

X509 *cert_parse(struct crypto *crypto, const uint8_t *der, size_t len)
{
	X509 *cert;

	if (len == 0)
		return NULL;
	if (!crypto->certs) {
		crypto->certs = calloc(1, sizeof *crypto->certs);
		if (!crypto->certs)
			abort();
	}
	cert = cached_cert(crypto->certs, der, len);
	if (!cert) {
		cert = pki_parse(crypto->lib, der, len);
		if (!cert)
			return NULL;
		remember(crypto->certs, cert, der, len);
	}
	X509_up_ref(cert);
	return cert;
}

void cert_cache_free(struct cert_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < cache->count; i++)
		drop(&cache->entries[i]);
	free(cache);
}

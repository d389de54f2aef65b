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

#define CACHE_MAX 64

struct cached {
	X509 *cert;
	enum { FACTS_UNREAD, FACTS_NONE, FACTS_READ } facts_state;
	struct cert_facts facts;
	uint8_t *der;
	size_t len;
};

struct cert_cache {
	unsigned count;
	uint64_t tails[CACHE_MAX]; /* of entries: a search goes through these few lines of memory */
	struct cached *entries[CACHE_MAX];
};

/* The end of the signature: it differs in all but equal certificates. */
static uint64_t tail_of(const uint8_t *der, size_t len)
{
	uint64_t tail = 0;

	memcpy(&tail, der + (len < sizeof tail ? 0 : len - sizeof tail), len < sizeof tail ? len : sizeof tail);
	return tail;
}

static bool same(const struct cached *entry, const uint8_t *der, size_t len)
{
	return entry->len == len && memcmp(entry->der, der, len) == 0;
}

static void drop(struct cached *entry)
{
	X509_free(entry->cert);
	free(entry->der);
	free(entry);
}

/* Moves what is before the place down and puts the entry first. */
static struct cached *put_first(struct cert_cache *cache, unsigned place, struct cached *entry, uint64_t tail)
{
	memmove(cache->entries + 1, cache->entries, place * sizeof entry);
	memmove(cache->tails + 1, cache->tails, place * sizeof tail);
	cache->tails[0] = tail;
	return cache->entries[0] = entry;
}

static struct cached *find(struct cert_cache *cache, const uint8_t *der, size_t len)
{
	const uint64_t tail = tail_of(der, len);

	for (unsigned i = 0; i < cache->count; i++)
		if (cache->tails[i] == tail && same(cache->entries[i], der, len))
			return put_first(cache, i, cache->entries[i], tail);
	return NULL;
}

static struct cached *remember(struct cert_cache *cache, X509 *cert, const uint8_t *der, size_t len)
{
	struct cached *entry = calloc(1, sizeof *entry);

	if (!entry || !(entry->der = malloc(len)))
		abort();
	memcpy(entry->der, der, len);
	entry->cert = cert;
	entry->len = len;
	if (cache->count == CACHE_MAX)
		drop(cache->entries[--cache->count]);
	return put_first(cache, cache->count++, entry, tail_of(der, len));
}

/* NULL: not exactly one certificate. */
static struct cached *obtain(struct crypto *crypto, const uint8_t *der, size_t len)
{
	struct cached *entry;
	X509 *cert;

	if (len == 0)
		return NULL;
	if (!crypto->certs) {
		crypto->certs = calloc(1, sizeof *crypto->certs);
		if (!crypto->certs)
			abort();
	}
	entry = find(crypto->certs, der, len);
	if (entry)
		return entry;
	cert = pki_parse(crypto->lib, der, len);
	return cert ? remember(crypto->certs, cert, der, len) : NULL;
}

X509 *cert_parse(struct crypto *crypto, const uint8_t *der, size_t len)
{
	struct cached *entry = obtain(crypto, der, len);

	if (!entry)
		return NULL;
	X509_up_ref(entry->cert);
	return entry->cert;
}

bool cert_read_with(struct crypto *crypto, const uint8_t *der, size_t len, struct cert_facts *facts)
{
	struct cached *entry = obtain(crypto, der, len);

	if (!entry)
		return false;
	if (entry->facts_state == FACTS_UNREAD)
		entry->facts_state = pki_facts(entry->cert, &entry->facts) ? FACTS_READ : FACTS_NONE;
	if (entry->facts_state == FACTS_READ)
		*facts = entry->facts;
	return entry->facts_state == FACTS_READ;
}

void cert_cache_free(struct cert_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < cache->count; i++)
		drop(cache->entries[i]);
	free(cache);
}

/* The authorities; see authority.h. Keys come from the pool under the authorities' own names. */
#include "models/authority.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/wire/span.h"

#define AUTHORITY_BITS 2048
#define DAY_S INT64_C(86400)
#define YEAR_S (365 * DAY_S)
#define DEVICE_LIFE_S (20 * YEAR_S)    /* "valid for the lifetime of the CTA" [0105] */
#define OPERATOR_LIFE_S (2 * YEAR_S)
#define KDC_LIFE_S (2 * YEAR_S)
#define AUTHORITY_LIFE_S (30 * YEAR_S)
#define CRL_LIFE_S (30 * DAY_S)
#define REVOKED_MAX 64

struct issued {
	struct issued *next;
	char name[NODE_NAME_MAX + 16];
	struct der cert;
};

struct authorities {
	struct crypto *crypto;
	struct key_pool *pool;
	int64_t epoch_s;
	struct der certs[AUTHORITY_COUNT];
	struct der crl;
	uint64_t revoked[REVOKED_MAX]; /* serial numbers */
	size_t revoked_count;
	struct issued *issued, **issued_tail;
};

static const struct authority_def {
	const char *key_name, *common_name, *organisation;
	int issuer; /* -1: itself */
} defs[AUTHORITY_COUNT] = {
	[AUTHORITY_MANUFACTURER_ROOT] = { "authority/manufacturer-root", "CTA Manufacturer Root", "CTA Manufacturer", -1 },
	[AUTHORITY_MANUFACTURER] = { "authority/manufacturer", "CTA Manufacturer CA", "CTA Manufacturer",
	                             AUTHORITY_MANUFACTURER_ROOT },
	[AUTHORITY_OPERATOR_ROOT] = { "authority/operator-root", "Network Operator Root", "Network Operator", -1 },
	[AUTHORITY_OPERATOR] = { "authority/operator", "Network Operator CA", "Network Operator", AUTHORITY_OPERATOR_ROOT },
};

struct authorities *authorities_new(struct crypto *crypto, struct key_pool *pool, int64_t epoch_s)
{
	struct authorities *a = sim_alloc(sizeof *a);

	a->crypto = crypto;
	a->pool = pool;
	a->epoch_s = epoch_s;
	a->issued_tail = &a->issued;
	return a;
}

void authorities_free(struct authorities *a)
{
	if (!a)
		return;
	for (int i = 0; i < AUTHORITY_COUNT; i++)
		der_free(&a->certs[i]);
	der_free(&a->crl);
	while (a->issued) {
		struct issued *i = a->issued;

		a->issued = i->next;
		der_free(&i->cert);
		free(i);
	}
	free(a);
}

/* Serial numbers follow from what is certified, so that one more certificate does not renumber the rest. */
static uint64_t serial_of(struct authorities *a, const char *kind, const char *name)
{
	char text[256];
	uint8_t digest[32];
	uint64_t serial = 0;

	snprintf(text, sizeof text, "%s/%s", kind, name);
	crypto_sha256(a->crypto, (const uint8_t *)text, strlen(text), digest);
	for (int i = 0; i < 7; i++)
		serial = serial << 8 | digest[i];
	return serial | 1;
}

static void issue(struct authorities *a, const struct cert_request *request, const char *key_name, unsigned bits,
                  const struct der *issuer, const char *issuer_key_name, struct der *out)
{
	size_t key_len, issuer_len = 0;
	const uint8_t *key = key_pool_get(a->pool, key_name, bits, &key_len);
	const uint8_t *issuer_key = issuer_key_name ? key_pool_get(a->pool, issuer_key_name, AUTHORITY_BITS, &issuer_len) : key;
	bool ok = cert_issue(a->crypto, request, key, key_len, NULL, 0, issuer, issuer_key,
	                     issuer_key_name ? issuer_len : key_len, out);

	assert(ok && "an authority can issue its own certificates");
	(void)ok;
}

static const struct der *authority(struct authorities *a, enum authority which)
{
	const struct authority_def *def = &defs[which];
	struct cert_request request = { .kind = def->issuer < 0 ? CERT_ROOT : CERT_CA, .common_name = def->common_name,
		                        .organisation = def->organisation, .serial = serial_of(a, "authority", def->key_name),
		                        .not_before_s = a->epoch_s - YEAR_S, .not_after_s = a->epoch_s + AUTHORITY_LIFE_S };

	if (!a->certs[which].len)
		issue(a, &request, def->key_name, AUTHORITY_BITS,
		      def->issuer < 0 ? NULL : authority(a, (enum authority)def->issuer),
		      def->issuer < 0 ? NULL : defs[def->issuer].key_name, &a->certs[which]);
	return &a->certs[which];
}

const struct der *world_authority(struct world *world, enum authority which)
{
	return authority(world_authorities(world), which);
}

/* Keeps a copy for key directories and reports. */
static void remember(struct authorities *a, const char *kind, const char *name, const struct der *cert)
{
	struct issued *i = sim_alloc(sizeof *i);

	snprintf(i->name, sizeof i->name, "%s-%s", kind, name);
	for (char *p = i->name; *p; p++)
		if (*p == '/')
			*p = '-';
	i->cert.bytes = sim_alloc(cert->len);
	memcpy(i->cert.bytes, cert->bytes, cert->len);
	i->cert.len = cert->len;
	*a->issued_tail = i;
	a->issued_tail = &i->next;
}

void world_device_certificate(struct world *world, const char *key_name, unsigned bits, const uint8_t mac[6], struct der *out)
{
	struct authorities *a = world_authorities(world);
	char text[18];
	struct cert_request request = { .kind = CERT_DEVICE, .common_name = text, .organisation = "CTA Manufacturer", .mac = mac,
		                        .not_before_s = a->epoch_s - YEAR_S, .not_after_s = a->epoch_s + DEVICE_LIFE_S };

	snprintf(text, sizeof text, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	request.serial = serial_of(a, "device", text);
	issue(a, &request, key_name, bits, authority(a, AUTHORITY_MANUFACTURER), defs[AUTHORITY_MANUFACTURER].key_name, out);
}

void world_operator_certificate(struct world *world, const char *key_name, unsigned bits, const char *number,
                                int64_t lifetime_s, struct der *out)
{
	struct authorities *a = world_authorities(world);
	uint8_t id[PHONE_ID_LEN];
	char text[2 * PHONE_ID_LEN + 1];
	struct cert_request request = { .kind = CERT_OPERATOR, .common_name = text, .organisation = "Network Operator",
		                        .phone_id = id, .realm = WORLD_REALM, .not_before_s = a->epoch_s - DAY_S };

	bool ok = phone_id(a->crypto, number, id);

	assert(ok && "a number has digits");
	(void)ok;
	for (int i = 0; i < PHONE_ID_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	request.not_after_s = a->epoch_s + (lifetime_s ? lifetime_s : OPERATOR_LIFE_S);
	request.serial = serial_of(a, "operator", text);
	issue(a, &request, key_name, bits, authority(a, AUTHORITY_OPERATOR), defs[AUTHORITY_OPERATOR].key_name, out);
}

/* One number has many of them in its time: the start and the key tell their serial numbers apart. */
bool world_operator_certificate_for(struct world *world, const struct der *spki, const char *number, int64_t not_before_s,
                                    int64_t lifetime_s, struct der *out)
{
	struct authorities *a = world_authorities(world);
	uint8_t id[PHONE_ID_LEN], digest[32];
	char text[2 * PHONE_ID_LEN + 1], what[128], key[2 * 8 + 1];
	struct cert_request request = { .kind = CERT_OPERATOR, .common_name = text, .organisation = "Network Operator",
		                        .phone_id = id, .realm = WORLD_REALM, .not_before_s = not_before_s,
		                        .not_after_s = not_before_s + lifetime_s };
	const struct der *issuer = authority(a, AUTHORITY_OPERATOR);
	size_t issuer_len;
	const uint8_t *issuer_key = key_pool_get(a->pool, defs[AUTHORITY_OPERATOR].key_name, AUTHORITY_BITS, &issuer_len);

	*out = (struct der){ NULL, 0 };
	if (!phone_id(a->crypto, number, id))
		return false;
	hex_encode(id, sizeof id, text);
	crypto_sha256(a->crypto, spki->bytes, spki->len, digest);
	hex_encode(digest, 8, key);
	snprintf(what, sizeof what, "%s/%lld/%s", text, (long long)not_before_s, key);
	request.serial = serial_of(a, "operator", what);
	return cert_issue(a->crypto, &request, NULL, 0, spki->bytes, spki->len, issuer, issuer_key, issuer_len, out);
}

void world_kdc_certificate(struct world *world, const char *key_name, struct der *out)
{
	struct authorities *a = world_authorities(world);
	struct cert_request request = { .kind = CERT_KDC, .common_name = key_name, .organisation = "Network Operator",
		                        .realm = WORLD_REALM, .serial = serial_of(a, "kdc", key_name),
		                        .not_before_s = a->epoch_s - DAY_S, .not_after_s = a->epoch_s + KDC_LIFE_S };

	issue(a, &request, key_name, WORLD_KDC_BITS, authority(a, AUTHORITY_OPERATOR), defs[AUTHORITY_OPERATOR].key_name, out);
	remember(a, "kdc", key_name, out);
}

bool world_revoke_kdc(struct world *world, const char *key_name)
{
	struct authorities *a = world_authorities(world);
	uint64_t serial = serial_of(a, "kdc", key_name);

	for (size_t i = 0; i < a->revoked_count; i++)
		if (a->revoked[i] == serial)
			return true;
	if (a->revoked_count == REVOKED_MAX)
		return false;
	a->revoked[a->revoked_count++] = serial;
	der_free(&a->crl); /* a new one at the next question */
	return true;
}

const struct der *world_crl(struct world *world)
{
	struct authorities *a = world_authorities(world);
	size_t key_len;
	const uint8_t *key;
	bool ok = true;

	if (!a->crl.len) {
		key = key_pool_get(a->pool, defs[AUTHORITY_OPERATOR].key_name, AUTHORITY_BITS, &key_len);
		ok = crl_issue(a->crypto, authority(a, AUTHORITY_OPERATOR), key, key_len, a->revoked, a->revoked_count,
		               a->epoch_s - DAY_S, a->epoch_s + CRL_LIFE_S, &a->crl);
	}
	assert(ok && "the operator can issue a CRL");
	(void)ok;
	return &a->crl;
}

void world_each_certificate(struct world *world, void (*fn)(void *ctx, const char *name, const uint8_t *der, size_t len),
                            void *ctx)
{
	static const char *const names[AUTHORITY_COUNT] = { "manufacturer-root", "manufacturer-ca", "operator-root",
		                                            "operator-ca" };
	struct authorities *a = world_authorities(world);

	for (int i = 0; i < AUTHORITY_COUNT; i++)
		if (a->certs[i].len)
			fn(ctx, names[i], a->certs[i].bytes, a->certs[i].len);
	for (struct issued *i = a->issued; i; i = i->next)
		fn(ctx, i->name, i->cert.bytes, i->cert.len);
}

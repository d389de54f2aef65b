/* Kerberized key management frames; see pktc.h. */
#include "models/wire/pktc.h"

enum { DOI_IPSEC = 1, VERSION_1_0 = 0x10, SUITE_HMAC_SHA1_96 = 2, SUITE_3DES = 3 };

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	r->left -= n;
	return p;
}

static uint32_t take32(struct reader *r)
{
	const uint8_t *p = take(r, 4);

	return p ? be32(p) : 0;
}

static void take_suites(struct reader *r)
{
	const uint8_t *n = take(r, 1);

	/* Exactly one suite is known to this architecture: HMAC-SHA-1-96 with 3DES. */
	if (n && *n >= 1) {
		const uint8_t *suites = take(r, 2u * *n);
		bool ours = false;

		for (unsigned i = 0; suites && i < *n; i++)
			ours |= suites[2 * i] == SUITE_HMAC_SHA1_96 && suites[2 * i + 1] == SUITE_3DES;
		r->bad |= !ours;
	} else {
		r->bad = true;
	}
}

static void take_principal(struct reader *r, char out[PKTC_PRINCIPAL_MAX + 1])
{
	const uint8_t *end = !r->bad && r->left ? memchr(r->at, 0, r->left) : NULL;

	if (!end || end - r->at > PKTC_PRINCIPAL_MAX) {
		r->bad = true;
		return;
	}
	memcpy(out, take(r, (size_t)(end - r->at) + 1), (size_t)(end - r->at) + 1);
}

bool pktc_parse(const uint8_t *bytes, size_t len, size_t (*kerberos_len)(const uint8_t *, size_t), struct pktc *out)
{
	struct reader r = { bytes, len, false };
	struct pktc m = { 0 };
	const uint8_t *head = take(&r, 3);

	if (!head || head[1] != DOI_IPSEC || head[2] != VERSION_1_0)
		return false;
	m.kind = (enum pktc_kind)head[0];
	switch (m.kind) {
	case PKTC_WAKE_UP:
		m.server_nonce = take32(&r);
		take_principal(&r, m.principal);
		break;
	case PKTC_AP_REQUEST:
	case PKTC_AP_REPLY:
	case PKTC_ERROR_REPLY:
		m.kerberos.len = kerberos_len(r.at, r.left);
		if (!m.kerberos.len)
			return false;
		m.kerberos.at = (const char *)take(&r, m.kerberos.len);
		break;
	default:
		return false;
	}
	if (m.kind == PKTC_AP_REQUEST)
		m.server_nonce = take32(&r);
	if (m.kind == PKTC_AP_REQUEST || m.kind == PKTC_AP_REPLY) {
		m.spi = take32(&r);
		take_suites(&r);
		if (m.kind == PKTC_AP_REPLY) {
			m.lifetime_s = take32(&r);
			m.grace_s = take32(&r);
			take(&r, 1);
		}
		take(&r, 1);
		m.hashed_len = len - r.left;
		m.hash = take(&r, PKTC_HASH_LEN);
	}
	if (r.bad || r.left)
		return false;
	*out = m;
	return true;
}

struct writer {
	uint8_t *at;
	size_t left;
	bool full;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
	if (w->full || n > w->left) {
		w->full = true;
		return;
	}
	if (n)
		memcpy(w->at, bytes, n);
	w->at += n;
	w->left -= n;
}

static void put8(struct writer *w, uint8_t v)
{
	put(w, &v, 1);
}

static void put32(struct writer *w, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	put(w, b, 4);
}

size_t pktc_write(const struct pktc *m, uint8_t *out, size_t size)
{
	static const uint8_t suites[] = { 1, SUITE_HMAC_SHA1_96, SUITE_3DES };
	static const uint8_t no_hash[PKTC_HASH_LEN];
	struct writer w = { out, size, false };

	put8(&w, (uint8_t)m->kind);
	put8(&w, DOI_IPSEC);
	put8(&w, VERSION_1_0);
	if (m->kind == PKTC_WAKE_UP) {
		put32(&w, m->server_nonce);
		put(&w, m->principal, strlen(m->principal) + 1);
	} else {
		put(&w, m->kerberos.at, m->kerberos.len);
	}
	if (m->kind == PKTC_AP_REQUEST)
		put32(&w, m->server_nonce);
	if (m->kind == PKTC_AP_REQUEST || m->kind == PKTC_AP_REPLY) {
		put32(&w, m->spi);
		put(&w, suites, sizeof suites);
		if (m->kind == PKTC_AP_REPLY) {
			put32(&w, m->lifetime_s);
			put32(&w, m->grace_s);
			put8(&w, 0); /* re-establish */
		}
		put8(&w, 0); /* re-establish, or: no acknowledgement required */
		put(&w, no_hash, PKTC_HASH_LEN);
	}
	return w.full ? 0 : size - w.left;
}

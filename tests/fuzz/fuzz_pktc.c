/*
 * Fuzzing of the key management frames. Input: a frame, as it comes in a datagram.
 *
 * What must hold: any bytes are parsed or refused; what is accepted lies in the frame; written again and read again
 * it says the same; a room that is one byte short is refused and not written past.
 */
#include "crypto/kerberos.h"
#include "models/wire/pktc.h"
#include "tests/fuzz/fuzz.h"

static void check_same(const struct pktc *a, const struct pktc *b)
{
	fuzz_require(a->kind == b->kind && span_equal(a->kerberos, b->kerberos) &&
	             a->server_nonce == b->server_nonce);
	fuzz_require(strcmp(a->principal, b->principal) == 0 && a->spi == b->spi);
	fuzz_require(a->lifetime_s == b->lifetime_s && a->grace_s == b->grace_s && !a->hash == !b->hash);
}

static void check_frame(const struct pktc *m, const uint8_t *bytes, size_t len)
{
	uint8_t *room = malloc(len + 16);
	struct pktc again;
	size_t written;

	fuzz_require(room != NULL);
	if (m->kerberos.len > 0)
		fuzz_require((const uint8_t *)m->kerberos.at >= bytes &&
		             (const uint8_t *)m->kerberos.at + m->kerberos.len <= bytes + len);
	if (m->hash)
		fuzz_require(m->hash == bytes + m->hashed_len && m->hashed_len + PKTC_HASH_LEN == len);
	written = pktc_write(m, room, len + 16);
	fuzz_require(written > 0 && written <= len); /* ours names one cipher suite, a peer's may name more */
	fuzz_require(pktc_parse(room, written, krb_message_len, &again));
	check_same(m, &again);
	free(room);
	room = malloc(written);
	fuzz_require(pktc_write(m, room, written) == written && pktc_write(m, room, written - 1) == 0);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_exact(data, size);
	struct pktc m;

	if (pktc_parse(bytes, size, krb_message_len, &m))
		check_frame(&m, bytes, size);
	free(bytes);
	return 0;
}

size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const enum pktc_kind kinds[] = { PKTC_WAKE_UP, PKTC_AP_REQUEST, PKTC_AP_REPLY, PKTC_ERROR_REPLY };
	struct crypto *crypto = crypto_new();
	struct krb_error_info info = { .code = KRB_AP_ERR_SKEW, .stime = { 1798761600, 5 }, .text = "clock" };
	struct der error = { 0 };
	struct pktc m = { .server_nonce = 0x01020304,
		          .principal = "sc/sc1",
		          .spi = 0xa0b0c0d0,
		          .lifetime_s = 3600,
		          .grace_s = 60 };
	size_t len = 0;

	/* to a frame any Kerberos message is as good as another */
	fuzz_require(crypto && krb_name_set(&info.server, "sc/sc1", "TOLLGATE.EXAMPLE") &&
	             krb_error_build(crypto, &info, &error));
	if (nth < sizeof kinds / sizeof kinds[0]) {
		m.kind = kinds[nth];
		m.kerberos = (struct span){ (const char *)error.bytes, error.len };
		len = pktc_write(&m, out, size);
	}
	der_free(&error);
	crypto_free(crypto);
	return len;
}

/* Signed files; see signed_file.h. */
#include "crypto/signed_file.h"

#include <string.h>
#include <openssl/err.h>
#include "crypto/pki_internal.h"
#include "crypto/pkinit_cms.h"

const char *const signed_file_verdict_names[SIGNED_FILE_VERDICTS] = { "ok", "malformed", "signer", "signature" };

bool signed_file_make(struct crypto *crypto, const uint8_t *key, size_t key_len, const struct der *cert,
                      const struct der *content, int64_t now_s, struct der *out)
{
	EVP_PKEY *pkey = content->len && content->len <= SIGNED_FILE_MAX ? crypto_signer_key(crypto, key, key_len) : NULL;
	bool ok = pkey && cms_sign(crypto, pkey, cert, NULL, PKINIT_ID_DATA, content, now_s, out);

	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return ok;
}

/* Its very certificate, within its time. */
static bool is_signer(struct crypto *crypto, const struct der *signer, const struct der *authority, int64_t now_s)
{
	struct cert_facts facts;

	return signer->len == authority->len && memcmp(signer->bytes, authority->bytes, signer->len) == 0 &&
	       cert_read_with(crypto, signer->bytes, signer->len, &facts) && now_s >= facts.not_before_s &&
	       now_s <= facts.not_after_s;
}

static enum signed_file_verdict judge(struct crypto *crypto, const struct pkinit_signed *read,
                                      const struct der *authority, int64_t now_s)
{
	if (!is_signer(crypto, &read->signer, authority, now_s))
		return SIGNED_FILE_SIGNER;
	return pkinit_signed_verify(crypto, read) ? SIGNED_FILE_OK : SIGNED_FILE_SIGNATURE;
}

enum signed_file_verdict signed_file_open(struct crypto *crypto, const uint8_t *bytes, size_t len,
                                          const struct der *authority, int64_t now_s, bool verify, struct der *content)
{
	struct pkinit_signed read;
	enum signed_file_verdict verdict = SIGNED_FILE_OK;

	if (!len || len > SIGNED_FILE_MAX || !pkinit_signed_read(crypto, bytes, len, &read))
		return SIGNED_FILE_MALFORMED;
	if (read.type != PKINIT_ID_DATA)
		verdict = SIGNED_FILE_MALFORMED;
	else if (verify)
		verdict = judge(crypto, &read, authority, now_s);
	if (verdict == SIGNED_FILE_OK) {
		*content = read.content;
		read.content = (struct der){ NULL, 0 };
	}
	pkinit_signed_free(&read);
	return verdict;
}

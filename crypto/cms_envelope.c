/*
 * EnvelopedData by hand (RFC 5652 section 6): one recipient, named by issuer and serial number, key transport with RSA
 * (PKCS #1 v1.5), content under 3DES-CBC. OpenSSL's CMS takes as long around a 1024-bit operation as for it.
 *
 * Sealing gives the bytes that OpenSSL makes of the same request, from the same random numbers: initial vector, content
 * key, padding of the RSA block. Opening takes exactly that form and only when all goes well: whatever else comes
 * (other forms, a wrong padding, another key) is left to OpenSSL as it stands, with its rules about what may be told.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "crypto/der.h"
#include "crypto/derive.h"
#include "crypto/pki_internal.h"
#include "crypto/pkinit_cms.h"

#define BLOCK_LEN 8
#define WRAPPED_MAX 512 /* RSA with 4096 bits */
#define FRAME_MAX 512   /* headers and identifiers: all but content, name and wrapped key */
#define DER_PRIMITIVE_0 0x80

static const uint8_t oid_enveloped[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03 };
static const uint8_t oid_signed[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
static const uint8_t oid_des3_cbc[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07 };
static const uint8_t rsa_id[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
	                              0x00 };
static const uint8_t version_0[] = { DER_INTEGER, 1, 0 };

/* The content key in the context's scratch object, padding as in RFC 5652 section 6.3. */
static bool crypt(struct crypto *crypto, bool encrypt, const uint8_t key[KRB_KEY_LEN], const uint8_t iv[BLOCK_LEN],
                  struct der_span in, uint8_t *out, size_t *out_len)
{
	EVP_CIPHER_CTX *ctx = crypto->des3_scratch;
	int body = 0, last = 0;
	bool ok = EVP_CipherInit_ex2(ctx, NULL, key, iv, encrypt, NULL) &&
	          EVP_CIPHER_CTX_set_padding(ctx, 1) &&
	          EVP_CipherUpdate(ctx, out, &body, in.bytes, (int)in.len) && EVP_CipherFinal_ex(ctx, out + body, &last);

	*out_len = (size_t)body + (size_t)last;
	EVP_CIPHER_CTX_set_padding(ctx, 0); /* as it was found */
	return ok;
}

/* Sealing */

static bool wrap_key(struct crypto *crypto, EVP_PKEY *pkey, const uint8_t key[KRB_KEY_LEN], uint8_t out[WRAPPED_MAX],
                     size_t *len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto->lib, pkey, NULL);
	bool ok;

	*len = WRAPPED_MAX;
	ok = ctx && EVP_PKEY_get_size(pkey) <= WRAPPED_MAX && EVP_PKEY_encrypt_init(ctx) > 0 &&
	     EVP_PKEY_encrypt(ctx, out, len, key, KRB_KEY_LEN) > 0;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* RecipientInfos with one KeyTransRecipientInfo. */
static void put_recipient(struct der_writer *w, const struct cms_name *name, const struct der_span *wrapped)
{
	const uint8_t *end = w->at, *inner_end;

	der_put(w, wrapped->bytes, wrapped->len);
	der_wrap(w, DER_OCTETS, end);
	der_put(w, rsa_id, sizeof rsa_id);
	inner_end = w->at;
	der_put(w, name->serial.bytes, name->serial.len);
	der_put(w, name->issuer.bytes, name->issuer.len);
	der_wrap(w, DER_SEQUENCE, inner_end);
	der_put(w, version_0, sizeof version_0);
	der_wrap(w, DER_SEQUENCE, end);
	der_wrap(w, DER_SET, end);
}

/* EncryptedContentInfo. */
static void put_content(struct der_writer *w, const uint8_t iv[BLOCK_LEN], const struct der_span *content)
{
	const uint8_t *end = w->at, *inner_end;

	der_put(w, content->bytes, content->len);
	der_wrap(w, DER_PRIMITIVE_0, end);
	inner_end = w->at;
	der_put(w, iv, BLOCK_LEN);
	der_wrap(w, DER_OCTETS, inner_end);
	der_put(w, oid_des3_cbc, sizeof oid_des3_cbc);
	der_wrap(w, DER_SEQUENCE, inner_end);
	der_put(w, oid_signed, sizeof oid_signed);
	der_wrap(w, DER_SEQUENCE, end);
}

static void put_all(struct der_writer *w, const struct cms_name *name, const struct der_span *wrapped,
                    const uint8_t iv[BLOCK_LEN], const struct der_span *content)
{
	const uint8_t *end = w->at;

	put_content(w, iv, content);
	put_recipient(w, name, wrapped);
	der_put(w, version_0, sizeof version_0);
	der_wrap(w, DER_SEQUENCE, end);
	der_wrap(w, DER_CONTEXT_0, end);
	der_put(w, oid_enveloped, sizeof oid_enveloped);
	der_wrap(w, DER_SEQUENCE, end);
}

/* content: room for what follows and padding. Draws the initial vector, the key, the padding of the RSA block. */
static bool seal(struct secure_module *sm, const struct der *cert, EVP_PKEY *pkey, const struct der *plain,
                 uint8_t *content, struct der *out)
{
	struct crypto *crypto = sm_crypto(sm);
	const struct random_source *random = sm_random(sm);
	uint8_t iv[BLOCK_LEN], key[KRB_KEY_LEN], wrapped[WRAPPED_MAX];
	struct der_span sealed = { content, 0 }, wrapped_key = { wrapped, 0 };
	struct der_writer w;
	struct cms_name name;
	size_t size;
	bool ok;

	random->fill(random->ctx, iv, sizeof iv);
	random->fill(random->ctx, key, sizeof key);
	des_parity(key, sizeof key);
	ok = cms_name_read(cert, &name) && wrap_key(crypto, pkey, key, wrapped, &wrapped_key.len) &&
	     crypt(crypto, true, key, iv, (struct der_span){ plain->bytes, plain->len }, content, &sealed.len);
	crypto_wipe(key, sizeof key);
	if (!ok)
		return false;
	size = FRAME_MAX + cert->len + wrapped_key.len + sealed.len;
	w.buffer = malloc(size);
	if (!w.buffer)
		abort();
	w.at = w.buffer + size;
	put_all(&w, &name, &wrapped_key, iv, &sealed);
	ok = krb_der_copy(out, w.at, (size_t)(w.buffer + size - w.at));
	free(w.buffer);
	return ok;
}

bool cms_envelope(struct secure_module *sm, const struct der *cert, EVP_PKEY *pkey, const struct der *plain,
                  struct der *out)
{
	uint8_t *content = malloc(plain->len + BLOCK_LEN);
	bool ok;

	if (!content)
		abort();
	crypto_random_begin(sm_crypto(sm), sm_random(sm));
	ok = seal(sm, cert, pkey, plain, content, out);
	crypto_random_end(sm_crypto(sm));
	free(content);
	return ok;
}

/* Opening */

struct envelope { /* taken apart; all spans lie in the message */
	struct der_span wrapped, iv, content;
};

static bool take_exactly(struct der_span *in, const uint8_t *bytes, size_t len)
{
	if (in->len < len || memcmp(in->bytes, bytes, len) != 0)
		return false;
	in->bytes += len;
	in->len -= len;
	return true;
}

/* A name's attribute value of a kind that needs no second look: ASCII in a common string type. */
static bool plain_string(struct der_span *in)
{
	struct der_span text;

	if (!der_take(in, V_ASN1_UTF8STRING, NULL, &text) && !der_take(in, V_ASN1_PRINTABLESTRING, NULL, &text) &&
	    !der_take(in, V_ASN1_IA5STRING, NULL, &text))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.bytes[i] < 0x20 || text.bytes[i] > 0x7e)
			return false;
	return text.len > 0;
}

/* Of names: 2.5.4.x in its only encoding. */
static bool plain_type(struct der_span *in)
{
	struct der_span oid;

	return der_take(in, DER_OID, NULL, &oid) && oid.len == 3 && oid.bytes[0] == 0x55 && oid.bytes[1] == 0x04 &&
	       oid.bytes[2] < 0x80;
}

static bool plain_name(struct der_span name)
{
	struct der_span rdn, attribute;

	while (name.len)
		if (!der_take(&name, DER_SET, NULL, &rdn) || !der_take(&rdn, DER_SEQUENCE, NULL, &attribute) || rdn.len ||
		    !plain_type(&attribute) || !plain_string(&attribute) || attribute.len)
			return false;
	return true;
}

/* The recipient's name is not compared, as the key tells whose it is, but it must be one. */
static bool plain_recipient(struct der_span recipient)
{
	struct der_span name, serial;

	return der_take(&recipient, DER_SEQUENCE, NULL, &name) && plain_name(name) &&
	       der_take(&recipient, DER_INTEGER, NULL, &serial) && !recipient.len && serial.len > 0 &&
	       serial.bytes[0] < 0x80 && (serial.len == 1 || serial.bytes[0] > 0 || serial.bytes[1] >= 0x80);
}

static bool take_recipients(struct der_span *body, struct envelope *e)
{
	struct der_span set, info, name;

	return der_take(body, DER_SET, NULL, &set) && der_take(&set, DER_SEQUENCE, NULL, &info) && !set.len &&
	       take_exactly(&info, version_0, sizeof version_0) && der_take(&info, DER_SEQUENCE, NULL, &name) &&
	       plain_recipient(name) && take_exactly(&info, rsa_id, sizeof rsa_id) &&
	       der_take(&info, DER_OCTETS, NULL, &e->wrapped) && !info.len;
}

static bool take_content(struct der_span *body, struct envelope *e)
{
	struct der_span info, algorithm;

	return der_take(body, DER_SEQUENCE, NULL, &info) && !body->len &&
	       take_exactly(&info, oid_signed, sizeof oid_signed) && der_take(&info, DER_SEQUENCE, NULL, &algorithm) &&
	       take_exactly(&algorithm, oid_des3_cbc, sizeof oid_des3_cbc) &&
	       der_take(&algorithm, DER_OCTETS, NULL, &e->iv) && !algorithm.len && e->iv.len == BLOCK_LEN &&
	       der_take(&info, DER_PRIMITIVE_0, NULL, &e->content) && !info.len && e->content.len > 0 &&
	       e->content.len % BLOCK_LEN == 0;
}

static bool take_apart(struct der_span message, struct envelope *e)
{
	struct der_span info, explicit_content, body;

	return der_take(&message, DER_SEQUENCE, NULL, &info) && !message.len &&
	       take_exactly(&info, oid_enveloped, sizeof oid_enveloped) &&
	       der_take(&info, DER_CONTEXT_0, NULL, &explicit_content) && !info.len &&
	       der_take(&explicit_content, DER_SEQUENCE, NULL, &body) && !explicit_content.len &&
	       take_exactly(&body, version_0, sizeof version_0) && take_recipients(&body, e) && take_content(&body, e);
}

static bool unwrap_key(struct crypto *crypto, EVP_PKEY *pkey, const struct der_span *wrapped, uint8_t key[KRB_KEY_LEN])
{
	uint8_t block[WRAPPED_MAX];
	size_t len = sizeof block;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto->lib, pkey, NULL);
	bool ok = ctx && EVP_PKEY_get_size(pkey) <= WRAPPED_MAX && EVP_PKEY_decrypt_init(ctx) > 0;

	/* Where libcrypto would put random bytes in a bad block's place: such a block is left to CMS. */
	if (ok)
		EVP_PKEY_CTX_ctrl_str(ctx, "rsa_pkcs1_implicit_rejection", "0");
	ok = ok && EVP_PKEY_decrypt(ctx, block, &len, wrapped->bytes, wrapped->len) > 0 && len == KRB_KEY_LEN;
	if (ok)
		memcpy(key, block, KRB_KEY_LEN);
	EVP_PKEY_CTX_free(ctx);
	crypto_wipe(block, sizeof block);
	return ok;
}

bool cms_open_envelope(struct crypto *crypto, EVP_PKEY *pkey, const uint8_t *bytes, size_t len, struct der *plain,
                       size_t *content_len)
{
	struct envelope e;
	uint8_t key[KRB_KEY_LEN], *out;
	size_t out_len = 0;
	bool ok;

	if (!len || len > KRB_MESSAGE_MAX || !take_apart((struct der_span){ bytes, len }, &e) ||
	    !unwrap_key(crypto, pkey, &e.wrapped, key))
		return false;
	out = malloc(e.content.len + BLOCK_LEN);
	if (!out)
		abort();
	ok = crypt(crypto, false, key, e.iv.bytes, e.content, out, &out_len) && out_len > 0 &&
	     krb_der_copy(plain, out, out_len);
	*content_len = e.content.len;
	crypto_wipe(key, sizeof key);
	crypto_wipe(out, e.content.len + BLOCK_LEN);
	free(out);
	return ok;
}

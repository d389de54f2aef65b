/*
 * What the PKCS#11 face computes: signatures, decryption, MACs, digests and ESP, compared with OpenSSL's default
 * context and with the transforms themselves.
 */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include "crypto/derive.h"
#include "crypto/esp.h"
#include "crypto/pkcs11_internal.h"
#include "tests/crypto/pkcs11_device.h"

/* The public key as OpenSSL's default context reads it. */
static EVP_PKEY *public_key(struct device *d)
{
	uint8_t spki[1024];
	const uint8_t *p = spki;
	CK_ATTRIBUTE attribute = { CKA_PUBLIC_KEY_INFO, spki, sizeof spki };
	EVP_PKEY *pkey;

	OK(d->p11->C_GetAttributeValue(d->session, rsa_public(d), &attribute, 1));
	pkey = d2i_PUBKEY(NULL, &p, (long)attribute.ulValueLen);
	ck_assert_ptr_nonnull(pkey);
	return pkey;
}

START_TEST(signatures)
{
	const CK_MECHANISM_TYPE type = _i ? CKM_SHA256_RSA_PKCS : CKM_SHA1_RSA_PKCS;
	CK_MECHANISM mechanism = { type, NULL, 0 };
	CK_BYTE text[] = "signed in one piece and in three", whole[128], parts[128];
	CK_ULONG len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey;
	struct device d;

	device_init(&d);
	CK_OBJECT_HANDLE private_key = rsa_private(&d), public_object = rsa_public(&d);

	OK(d.p11->C_SignInit(d.session, &mechanism, private_key));
	IS(CKR_OPERATION_ACTIVE, d.p11->C_SignInit(d.session, &mechanism, private_key));
	OK(d.p11->C_Sign(d.session, text, sizeof text, NULL, &len));
	ck_assert_uint_eq(len, 128);
	len = 127;
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Sign(d.session, text, sizeof text, whole, &len));
	OK(d.p11->C_Sign(d.session, text, sizeof text, whole, &len));
	IS(CKR_OPERATION_NOT_INITIALIZED, d.p11->C_Sign(d.session, text, sizeof text, whole, &len));

	OK(d.p11->C_SignInit(d.session, &mechanism, private_key));
	OK(d.p11->C_SignUpdate(d.session, text, 5));
	OK(d.p11->C_SignUpdate(d.session, text + 5, 0));
	OK(d.p11->C_SignUpdate(d.session, text + 5, sizeof text - 5));
	len = sizeof parts;
	OK(d.p11->C_SignFinal(d.session, parts, &len));
	ck_assert_mem_eq(parts, whole, 128);

	pkey = public_key(&d);
	ck_assert_int_gt(EVP_DigestVerifyInit(ctx, NULL, _i ? EVP_sha256() : EVP_sha1(), NULL, pkey), 0);
	ck_assert_int_eq(EVP_DigestVerify(ctx, whole, 128, text, sizeof text), 1);

	OK(d.p11->C_VerifyInit(d.session, &mechanism, public_object));
	OK(d.p11->C_Verify(d.session, text, sizeof text, whole, 128));
	OK(d.p11->C_VerifyInit(d.session, &mechanism, public_object));
	IS(CKR_SIGNATURE_LEN_RANGE, d.p11->C_Verify(d.session, text, sizeof text, whole, 127));
	whole[40] ^= 1;
	OK(d.p11->C_VerifyInit(d.session, &mechanism, public_object));
	OK(d.p11->C_VerifyUpdate(d.session, text, sizeof text));
	IS(CKR_SIGNATURE_INVALID, d.p11->C_VerifyFinal(d.session, whole, 128));
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_SignInit(d.session, &mechanism, public_object));
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	device_free(&d);
}
END_TEST

/* CKM_RSA_PKCS over a DigestInfo is CKM_SHA1_RSA_PKCS over the text. */
START_TEST(raw_signature)
{
	CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 }, sha1 = { CKM_SHA1_RSA_PKCS, NULL, 0 };
	CK_BYTE text[] = "abc", with_hash[128], by_hand[128], long_text[118] = { 0 };
	CK_BYTE info[35] = "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"
	                   "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
	CK_ULONG len = 128;
	struct device d;

	device_init(&d);
	OK(d.p11->C_SignInit(d.session, &sha1, rsa_private(&d)));
	OK(d.p11->C_Sign(d.session, text, 3, with_hash, &len));
	OK(d.p11->C_SignInit(d.session, &raw, rsa_private(&d)));
	OK(d.p11->C_Sign(d.session, info, sizeof info, by_hand, &len));
	ck_assert_mem_eq(by_hand, with_hash, 128);
	OK(d.p11->C_VerifyInit(d.session, &raw, rsa_public(&d)));
	OK(d.p11->C_Verify(d.session, info, sizeof info, by_hand, 128));
	OK(d.p11->C_SignInit(d.session, &raw, rsa_private(&d)));
	IS(CKR_DATA_LEN_RANGE, d.p11->C_Sign(d.session, long_text, sizeof long_text, by_hand, &len));
	OK(d.p11->C_SignInit(d.session, &raw, rsa_private(&d)));
	IS(CKR_FUNCTION_NOT_SUPPORTED, d.p11->C_SignUpdate(d.session, text, 3));
	device_free(&d);
}
END_TEST

/* The environment's key decrypts and unwraps; a device's key does neither. */
START_TEST(rsa_decryption)
{
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	CK_ATTRIBUTE attributes[] = {
		{ CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_KEY_TYPE, &des3_type, sizeof des3_type },
		{ CKA_DECRYPT, &yes, 1 },
	};
	CK_BYTE sealed[128], clear[128], want[KEY_ID_LEN], got[KEY_ID_LEN];
	CK_ULONG len = sizeof sealed, clear_len = 3;
	CK_OBJECT_HANDLE key;
	struct device d;

	environment_init(&d);
	log_in(&d, PIN);
	OK(d.p11->C_EncryptInit(d.session, &mechanism, rsa_public(&d)));
	OK(d.p11->C_Encrypt(d.session, (CK_BYTE *)known_key, 24, sealed, &len));
	OK(d.p11->C_DecryptInit(d.session, &mechanism, rsa_private(&d)));
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Decrypt(d.session, sealed, 128, clear, &clear_len));
	ck_assert_uint_eq(clear_len, 24);
	OK(d.p11->C_Decrypt(d.session, sealed, 128, clear, &clear_len));
	ck_assert_mem_eq(clear, known_key, 24);
	OK(d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 128, attributes, 3, &key));
	id_of(&d, key, got);
	id_of(&d, import(&d, 0), want);
	ck_assert_mem_eq(got, want, KEY_ID_LEN);
	sealed[5] ^= 1;
	IS(CKR_WRAPPED_KEY_INVALID, d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 128, attributes,
	                                               3, &key));
	IS(CKR_WRAPPED_KEY_INVALID, d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 5, attributes, 3,
	                                               &key));
	OK(d.p11->C_Finalize(NULL));

	device_init(&d);
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED, d.p11->C_DecryptInit(d.session, &mechanism, rsa_private(&d)));
	IS(CKR_KEY_FUNCTION_NOT_PERMITTED,
	   d.p11->C_UnwrapKey(d.session, &mechanism, rsa_private(&d), sealed, 128, attributes, 3, &key));
	device_free(&d);
}
END_TEST

/* 3DES in pieces of every size, against OpenSSL's default context. */
START_TEST(des3_pieces)
{
	CK_BYTE iv[8] = "IV of 8.", clear[61], want[72], got[72], back[72];
	CK_MECHANISM mechanism = { CKM_DES3_CBC_PAD, iv, 8 };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int first, last;
	struct device d;

	device_init(&d);
	for (size_t i = 0; i < sizeof clear; i++)
		clear[i] = (CK_BYTE)i;
	ck_assert(EVP_EncryptInit_ex(ctx, EVP_des_ede3_cbc(), NULL, known_key, iv) &&
	          EVP_EncryptUpdate(ctx, want, &first, clear, sizeof clear) &&
	          EVP_EncryptFinal_ex(ctx, want + first, &last));
	EVP_CIPHER_CTX_free(ctx);
	CK_OBJECT_HANDLE key = import(&d, 0);

	for (size_t piece = 1; piece <= sizeof clear; piece++) {
		size_t done = 0, back_done = 0;
		CK_ULONG len;

		OK(d.p11->C_EncryptInit(d.session, &mechanism, key));
		for (size_t i = 0; i < sizeof clear; i += piece) {
			size_t n = sizeof clear - i < piece ? sizeof clear - i : piece;

			len = sizeof got - done;
			OK(d.p11->C_EncryptUpdate(d.session, clear + i, n, got + done, &len));
			done += len;
		}
		len = sizeof got - done;
		OK(d.p11->C_EncryptFinal(d.session, got + done, &len));
		ck_assert_uint_eq(done + len, 64);
		ck_assert_mem_eq(got, want, 64);

		OK(d.p11->C_DecryptInit(d.session, &mechanism, key));
		for (size_t i = 0; i < 64; i += piece) {
			size_t n = 64 - i < piece ? 64 - i : piece;

			len = sizeof back - back_done;
			OK(d.p11->C_DecryptUpdate(d.session, got + i, n, back + back_done, &len));
			back_done += len;
		}
		len = sizeof back - back_done;
		OK(d.p11->C_DecryptFinal(d.session, back + back_done, &len));
		ck_assert_uint_eq(back_done + len, sizeof clear);
		ck_assert_mem_eq(back, clear, sizeof clear);
	}
	device_free(&d);
}
END_TEST

START_TEST(des3_whole)
{
	CK_BYTE iv[8] = { 0 }, clear[24] = "The qufck brown fox jump", sealed[40], back[40];
	CK_MECHANISM cbc = { CKM_DES3_CBC, iv, 8 }, padded = { CKM_DES3_CBC_PAD, iv, 8 },
	                   no_iv = { CKM_DES3_CBC, NULL, 0 };
	CK_ULONG len = sizeof sealed, back_len = 1;
	struct device d;

	device_init(&d);
	CK_OBJECT_HANDLE key = import(&d, 0);

	IS(CKR_MECHANISM_PARAM_INVALID, d.p11->C_EncryptInit(d.session, &no_iv, key));
	OK(d.p11->C_EncryptInit(d.session, &cbc, key));
	OK(d.p11->C_Encrypt(d.session, clear, 8, sealed, &len));
	ck_assert_uint_eq(len, 8);
	ck_assert_mem_eq(sealed, "\xa8\x26\xfd\x8c\xe5\x3b\x85\x5f", 8); /* NIST SP 800-67 appendix B.1 */
	OK(d.p11->C_EncryptInit(d.session, &cbc, key));
	IS(CKR_DATA_LEN_RANGE, d.p11->C_Encrypt(d.session, clear, 9, sealed, &len));
	OK(d.p11->C_EncryptInit(d.session, &padded, key));
	OK(d.p11->C_Encrypt(d.session, clear, 24, NULL, &len));
	ck_assert_uint_eq(len, 32);
	OK(d.p11->C_Encrypt(d.session, clear, 24, sealed, &len));
	OK(d.p11->C_DecryptInit(d.session, &padded, key));
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Decrypt(d.session, sealed, 32, back, &back_len));
	ck_assert_uint_eq(back_len, 24);
	OK(d.p11->C_Decrypt(d.session, sealed, 32, back, &back_len));
	ck_assert_mem_eq(back, clear, 24);
	sealed[31] ^= 0xff;
	OK(d.p11->C_DecryptInit(d.session, &padded, key));
	back_len = sizeof back;
	IS(CKR_ENCRYPTED_DATA_INVALID, d.p11->C_Decrypt(d.session, sealed, 32, back, &back_len));
	device_free(&d);
}
END_TEST

START_TEST(hmac)
{
	CK_MECHANISM mechanism = { CKM_SHA_1_HMAC, NULL, 0 };
	CK_BYTE text[] = "what is authenticated", want[20], got[20];
	CK_ULONG len = sizeof got;
	struct device d;

	device_init(&d);
	CK_OBJECT_HANDLE key = import(&d, 0);

	HMAC(EVP_sha1(), known_key, 24, text, sizeof text, want, NULL);
	OK(d.p11->C_SignInit(d.session, &mechanism, key));
	OK(d.p11->C_Sign(d.session, text, sizeof text, got, &len));
	ck_assert_mem_eq(got, want, 20);
	OK(d.p11->C_VerifyInit(d.session, &mechanism, key));
	OK(d.p11->C_Verify(d.session, text, sizeof text, got, 20));
	got[19] ^= 1;
	OK(d.p11->C_VerifyInit(d.session, &mechanism, key));
	IS(CKR_SIGNATURE_INVALID, d.p11->C_Verify(d.session, text, sizeof text, got, 20));
	IS(CKR_KEY_TYPE_INCONSISTENT, d.p11->C_SignInit(d.session, &mechanism, rsa_private(&d)));
	device_free(&d);
}
END_TEST

START_TEST(digests)
{
	CK_MECHANISM sha1 = { CKM_SHA_1, NULL, 0 }, sha256 = { CKM_SHA256, NULL, 0 }, rsa = { CKM_RSA_PKCS, NULL, 0 };
	CK_BYTE hash[32];
	CK_ULONG len = 20;
	struct device d;

	device_init(&d);
	OK(d.p11->C_DigestInit(d.session, &sha1));
	OK(d.p11->C_Digest(d.session, (CK_BYTE *)"abc", 3, hash, &len));
	ck_assert_mem_eq(hash, "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d", 20);
	OK(d.p11->C_DigestInit(d.session, &sha256));
	OK(d.p11->C_DigestUpdate(d.session, (CK_BYTE *)"a", 1));
	OK(d.p11->C_DigestUpdate(d.session, (CK_BYTE *)"bc", 2));
	IS(CKR_BUFFER_TOO_SMALL, d.p11->C_DigestFinal(d.session, hash, &len));
	OK(d.p11->C_DigestFinal(d.session, hash, &len));
	ck_assert_mem_eq(hash, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", 16);
	IS(CKR_MECHANISM_INVALID, d.p11->C_DigestInit(d.session, &rsa));
	device_free(&d);
}
END_TEST

/* A peer's ESP packets through C_Decrypt(), and ours through C_Encrypt(). Authenticated, in window, or nothing. */
START_TEST(esp)
{
	static const CK_BYTE payload[] = "sealed by the peer";
	const struct esp_options options = { .implicit_iv = _i };
	CK_BYTE next_header = 0, room[128], copy[128], out[256];
	CK_TOLLGATE_ESP_PARAMS params = {
		SPI, _i ? CKF_TOLLGATE_ESP_IMPLICIT_IV : 0, (CK_UTF8CHAR *)LABEL_CTA_SC, strlen(LABEL_CTA_SC),
		&next_header
	};
	CK_MECHANISM mechanism = { CKM_TOLLGATE_ESP, &params, sizeof params };
	uint8_t *packet, peer_next_header;
	struct fixture_party peer;
	struct esp_sa *up, *down;
	uint8_t wrapped[KEY_WRAPPED_LEN], session_bytes[24] = "a session key, 24 bytes.";
	key_handle peer_subkey, peer_session, near_session;
	struct device d;
	CK_ULONG len;
	size_t packet_len;

	device_init(&d);
	fixture_party_init(&peer, d.f.crypto, "peer");
	/* The sub-key reaches the peer's module as in the protocols: wrapped. */
	peer_session = sm_install_des3(peer.sm, "krb.session", "", session_bytes);
	near_session = sm_install_des3(d.f.sm, "krb.session", "", session_bytes);
	ck_assert(sm_wrap(d.f.sm, near_session, 1, d.subkey, wrapped));
	peer_subkey = sm_unwrap(peer.sm, peer_session, 1, "subkey", wrapped, sizeof wrapped);
	up = esp_sa_new(peer.sm, peer_subkey, LABEL_CTA_SC, ESP_UP, SPI, "peer", &options);
	down = esp_sa_new(peer.sm, peer_subkey, LABEL_CTA_SC, ESP_DOWN, SPI + 1, "peer", &options);
	CK_OBJECT_HANDLE subkey = labelled(&d, "subkey");

	for (int n = 0; n < 3; n++) {
		memcpy(room + ESP_FRONT_MAX, payload, sizeof payload);
		ck_assert_int_eq(esp_seal(up, room + ESP_FRONT_MAX, sizeof payload, (uint8_t)(17 + n), &packet,
		                          &packet_len), ESP_OK);
		memcpy(copy, packet, packet_len);
		copy[packet_len - 20] ^= 1;
		memset(out, 0xee, sizeof out);
		OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
		len = sizeof out;
		IS(CKR_SIGNATURE_INVALID, d.p11->C_Decrypt(d.session, copy, packet_len, out, &len));
		for (size_t i = 0; i < sizeof out; i++)
			ck_assert_uint_eq(out[i], 0xee);
		OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
		len = packet_len - 1;
		IS(CKR_BUFFER_TOO_SMALL, d.p11->C_Decrypt(d.session, packet, packet_len, out, &len));
		OK(d.p11->C_Decrypt(d.session, packet, packet_len, out, &len));
		ck_assert_uint_eq(len, sizeof payload);
		ck_assert_mem_eq(out, payload, sizeof payload);
		ck_assert_uint_eq(next_header, 17 + n);
		OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
		len = sizeof out;
		IS(CKR_TOLLGATE_ESP_REPLAYED, d.p11->C_Decrypt(d.session, packet, packet_len, out, &len));
	}
	OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	len = sizeof out;
	IS(CKR_ENCRYPTED_DATA_LEN_RANGE, d.p11->C_Decrypt(d.session, packet, 21, out, &len));
	OK(d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	IS(CKR_FUNCTION_NOT_SUPPORTED, d.p11->C_DecryptUpdate(d.session, packet, packet_len, out, &len)); /* no part of a packet */

	params.flags |= CKF_TOLLGATE_ESP_DOWN;
	params.spi = SPI + 1;
	next_header = 17;
	OK(d.p11->C_EncryptInit(d.session, &mechanism, subkey));
	len = sizeof out;
	OK(d.p11->C_Encrypt(d.session, (CK_BYTE *)payload, sizeof payload, out, &len));
	ck_assert_int_eq(esp_open(down, out, len, &packet, &packet_len, &peer_next_header), ESP_OK);
	ck_assert(packet_len == sizeof payload && peer_next_header == 17);
	ck_assert_mem_eq(packet, payload, sizeof payload);

	params.label_len = 0;
	IS(CKR_MECHANISM_PARAM_INVALID, d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	params.label_len = strlen(LABEL_CTA_SC);
	params.flags |= 4;
	IS(CKR_MECHANISM_PARAM_INVALID, d.p11->C_DecryptInit(d.session, &mechanism, subkey));
	esp_sa_free(up);
	esp_sa_free(down);
	fixture_party_free(&peer);
	device_free(&d);
}
END_TEST

/* A key that the simulation destroys in the middle of an operation. */
START_TEST(key_gone)
{
	CK_BYTE next_header, bytes[128] = { 0 };
	CK_TOLLGATE_ESP_PARAMS params = { SPI, 0, (CK_UTF8CHAR *)LABEL_CTA_SC, strlen(LABEL_CTA_SC), &next_header };
	CK_MECHANISM mechanism = { CKM_TOLLGATE_ESP, &params, sizeof params };
	CK_ULONG len = sizeof bytes;
	struct device d;

	device_init(&d);
	OK(d.p11->C_DecryptInit(d.session, &mechanism, labelled(&d, "subkey")));
	sm_destroy_key(d.f.sm, d.subkey);
	IS(CKR_KEY_HANDLE_INVALID, d.p11->C_Decrypt(d.session, bytes, 44, bytes, &len));
	device_free(&d);
}
END_TEST

START_TEST(random_bytes)
{
	CK_BYTE a[40] = { 0 }, b[40] = { 0 };
	struct device d;

	device_init(&d);
	OK(d.p11->C_GenerateRandom(d.session, a, sizeof a));
	OK(d.p11->C_GenerateRandom(d.session, b, sizeof b));
	ck_assert_mem_ne(a, b, sizeof a);
	IS(CKR_RANDOM_SEED_NOT_SUPPORTED, d.p11->C_SeedRandom(d.session, a, sizeof a));
	IS(CKR_ARGUMENTS_BAD, d.p11->C_GenerateRandom(d.session, NULL, 4));
	device_free(&d);
}
END_TEST

/* Sub-keys come and go with the calls; their associations must not fill the table, nor keep the keys' descendants. */
START_TEST(associations_go_with_their_keys)
{
	CK_BYTE next_header = 17, bytes[128] = { 0 };
	CK_TOLLGATE_ESP_PARAMS params = { SPI, 0, (CK_UTF8CHAR *)LABEL_CTA_SC, strlen(LABEL_CTA_SC), &next_header };
	CK_MECHANISM mechanism = { CKM_TOLLGATE_ESP, &params, sizeof params };
	struct device d;

	device_init(&d);
	for (int i = 0; i < 2 * P11_ASSOCIATIONS_MAX; i++) {
		CK_ULONG len = sizeof bytes;

		OK(d.p11->C_EncryptInit(d.session, &mechanism, labelled(&d, "subkey")));
		OK(d.p11->C_Encrypt(d.session, bytes, 8, bytes, &len));
		sm_destroy_key(d.f.sm, d.subkey);
		d.subkey = sm_generate_des3(d.f.sm, "subkey");
	}
	device_free(&d);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pkcs11_operations");
	TCase *tcase = tcase_create("pkcs11_operations");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, signatures, 0, 2);
	tcase_add_test(tcase, raw_signature);
	tcase_add_test(tcase, rsa_decryption);
	tcase_add_test(tcase, des3_pieces);
	tcase_add_test(tcase, des3_whole);
	tcase_add_test(tcase, hmac);
	tcase_add_test(tcase, digests);
	tcase_add_loop_test(tcase, esp, 0, 2);
	tcase_add_test(tcase, key_gone);
	tcase_add_test(tcase, random_bytes);
	tcase_add_test(tcase, associations_go_with_their_keys);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * Certificates and CRLs: what is issued reads back, verifies under the right CA at the right time and under nothing
 * else; ill-formed bytes are refused; OpenSSL's command line, where there is one, agrees.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <openssl/x509v3.h>
#include "crypto/pki_internal.h"
#include "tests/crypto/fixture.h"

#define PATH_LEN 256
#define NOW FIXTURE_NOW_S
#define DAY FIXTURE_DAY_S

static struct fixture f;
static struct fixture_pki pki;

static void setup(void)
{
	fixture_init(&f, "pki");
	fixture_pki_init(&pki, f.crypto);
}

static void teardown(void)
{
	fixture_pki_free(&pki);
	fixture_free(&f);
}

static struct cert_facts facts_of(const struct der *der)
{
	struct cert_facts facts, cached;

	ck_assert(cert_read(der->bytes, der->len, &facts));
	memset(&cached, 0, sizeof cached);
	ck_assert(cert_read_with(f.crypto, der->bytes, der->len, &cached));
	ck_assert_str_eq(facts.subject, cached.subject);
	ck_assert_int_eq(facts.kind, cached.kind);
	ck_assert_uint_eq(facts.serial, cached.serial);
	return facts;
}

static struct der copy_of(const struct der *der)
{
	struct der copy = { malloc(der->len), der->len };

	memcpy(copy.bytes, der->bytes, der->len);
	return copy;
}

START_TEST(reads_back)
{
	struct cert_facts facts = facts_of(&pki.root);

	ck_assert_int_eq(facts.kind, CERT_ROOT);
	ck_assert_str_eq(facts.subject, "O=Example Devices,CN=Manufacturer Root");
	ck_assert_str_eq(facts.issuer, facts.subject);
	ck_assert_int_eq(facts_of(&pki.mfg_ca).kind, CERT_CA);

	facts = facts_of(&pki.device);
	ck_assert_int_eq(facts.kind, CERT_DEVICE);
	ck_assert_str_eq(facts.subject, "O=Example Devices,CN=00:11:22:33:44:55");
	ck_assert_str_eq(facts.issuer, "O=Example Devices,CN=Manufacturer CA");
	ck_assert(facts.has_mac && !facts.has_phone_id && facts.has_client_eku && !facts.has_kdc_eku);
	ck_assert_mem_eq(facts.mac, fixture_mac, 6);
	ck_assert_str_eq(facts.principal, "");
	ck_assert_uint_eq(facts.rsa_bits, 1024);
	ck_assert_uint_eq(facts.serial, 4);
	ck_assert_int_eq(facts.not_before_s, NOW - DAY);
	ck_assert_int_eq(facts.not_after_s, CERT_NO_EXPIRY_S);

	facts = facts_of(&pki.operator_cert);
	ck_assert_int_eq(facts.kind, CERT_OPERATOR);
	ck_assert(!facts.has_mac && facts.has_phone_id && facts.has_client_eku && !facts.has_kdc_eku);
	ck_assert_mem_eq(facts.phone_id, pki.phone_id, PHONE_ID_LEN);
	char expected[128];

	snprintf(expected, sizeof expected, "%s@" FIXTURE_REALM, pki.phone_id_hex);
	ck_assert_str_eq(facts.principal, expected);

	facts = facts_of(&pki.kdc);
	ck_assert_int_eq(facts.kind, CERT_KDC);
	ck_assert(facts.has_kdc_eku && !facts.has_client_eku);
	ck_assert_str_eq(facts.principal, "krbtgt/" FIXTURE_REALM "@" FIXTURE_REALM);
	ck_assert_uint_eq(facts.rsa_bits, 2048);
}
END_TEST

/* SHA-1 of "2155550101", made with sha1sum. */
START_TEST(phone_ids)
{
	static const uint8_t expected[PHONE_ID_LEN] = { 0xc6, 0x1e, 0xda, 0x7d, 0x75, 0xbc, 0x05, 0xa1, 0xb9, 0x25,
		                                        0x83, 0x48, 0xa0, 0xe9, 0x33, 0xb5, 0x10, 0xdf, 0x26, 0x6e };
	uint8_t id[PHONE_ID_LEN];

	ck_assert(phone_id(f.crypto, "215-555-0101", id));
	ck_assert_mem_eq(id, expected, sizeof id);
	ck_assert(phone_id(f.crypto, "2155550101", id));
	ck_assert_mem_eq(id, expected, sizeof id);
	ck_assert(phone_id(f.crypto, "2155550102", id));
	ck_assert_mem_ne(id, expected, sizeof id);
	ck_assert(!phone_id(f.crypto, "", id));
	ck_assert(!phone_id(f.crypto, "none", id));
}
END_TEST

START_TEST(same_request_same_bytes)
{
	struct fixture other;
	struct fixture_pki again;

	fixture_init(&other, "with other randomness");
	fixture_pki_init(&again, other.crypto);
	const struct der *a[] = { &pki.root, &pki.op_ca, &pki.device, &pki.operator_cert, &pki.kdc };
	const struct der *b[] = { &again.root, &again.op_ca, &again.device, &again.operator_cert, &again.kdc };

	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(a[i]->len, b[i]->len);
		ck_assert_mem_eq(a[i]->bytes, b[i]->bytes, a[i]->len);
	}
	fixture_pki_free(&again);
	fixture_free(&other);
}
END_TEST

/* Who is under whom, at what time. NULL: none. */
START_TEST(chains)
{
	const struct {
		const struct der *leaf, *chain, *trusted;
		int64_t now_s;
		bool skip;
		enum cert_verdict verdict;
	} cases[] = {
		{ &pki.device, &pki.mfg_ca, &pki.root, NOW, false, CERT_OK },
		{ &pki.device, NULL, &pki.mfg_ca, NOW, false, CERT_OK },             /* a CA trusted directly */
		{ &pki.operator_cert, NULL, &pki.op_ca, NOW, false, CERT_OK },
		{ &pki.kdc, &pki.op_ca, &pki.root, NOW, false, CERT_OK },
		{ &pki.mfg_ca, NULL, &pki.root, NOW, false, CERT_OK },
		{ &pki.device, NULL, &pki.root, NOW, false, CERT_UNTRUSTED },        /* the CA between is missing */
		{ &pki.device, &pki.op_ca, &pki.root, NOW, false, CERT_UNTRUSTED },
		{ &pki.device, NULL, &pki.op_ca, NOW, false, CERT_UNTRUSTED },
		{ &pki.operator_cert, NULL, &pki.mfg_ca, NOW, false, CERT_UNTRUSTED },
		{ &pki.device, &pki.mfg_ca, NULL, NOW, false, CERT_UNTRUSTED },
		{ &pki.root, NULL, NULL, NOW, false, CERT_UNTRUSTED },
		{ &pki.kdc, NULL, &pki.op_ca, NOW - DAY - 1, false, CERT_NOT_YET_VALID },
		{ &pki.kdc, NULL, &pki.op_ca, NOW - DAY, false, CERT_OK },
		{ &pki.kdc, NULL, &pki.op_ca, NOW + 3650 * DAY, false, CERT_OK },
		{ &pki.kdc, NULL, &pki.op_ca, NOW + 3650 * DAY + 1, false, CERT_EXPIRED },
		{ &pki.kdc, NULL, NULL, NOW, true, CERT_OK },                        /* the thumbprint was known */
		{ &pki.kdc, NULL, NULL, NOW - DAY - 1, true, CERT_NOT_YET_VALID },
		{ &pki.kdc, NULL, NULL, NOW + 3650 * DAY, true, CERT_OK },
		{ &pki.kdc, NULL, NULL, NOW + 3650 * DAY + 1, true, CERT_EXPIRED },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum cert_verdict verdict = cert_verify(f.crypto, cases[i].leaf, cases[i].chain, cases[i].chain != NULL,
		                                        cases[i].trusted, cases[i].trusted != NULL, cases[i].now_s,
		                                        cases[i].skip);

		ck_assert_msg(verdict == cases[i].verdict, "case %zu: %s, expected %s", i, cert_verdict_names[verdict],
		              cert_verdict_names[cases[i].verdict]);
	}
}
END_TEST

static void count_ops(void *ctx, enum crypto_op op, uint32_t size)
{
	if (op == CRYPTO_RSA_VERIFY) {
		((unsigned *)ctx)[0]++;
		((unsigned *)ctx)[1] += size;
	}
}

START_TEST(signatures_are_metered)
{
	unsigned seen[2] = { 0, 0 };

	crypto_set_meter(f.crypto, count_ops, seen);
	ck_assert_int_eq(cert_verify(f.crypto, &pki.device, &pki.mfg_ca, 1, &pki.root, 1, NOW, false), CERT_OK);
	ck_assert_uint_eq(seen[0], 2);
	ck_assert_uint_eq(seen[1], 4096);
	ck_assert_int_eq(cert_verify(f.crypto, &pki.device, &pki.mfg_ca, 1, &pki.root, 1, NOW, true), CERT_OK);
	ck_assert_uint_eq(seen[0], 2); /* a thumbprint hit costs none */
	crypto_set_meter(f.crypto, NULL, NULL);
}
END_TEST

/* A certificate's copy with another keyUsage (bit < 0: none), signed again. */
static struct der with_key_usage(const struct der *der, int bit, const char *issuer_key, unsigned bits)
{
	const uint8_t *p = der->bytes;
	size_t key_len;
	const uint8_t *key = key_pool_get(pki.pool, issuer_key, bits, &key_len);
	X509 *cert = X509_new_ex(f.crypto->lib, NULL);
	EVP_PKEY *signer = crypto_private_key(f.crypto, key, key_len);
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	uint8_t *out = NULL;
	struct der changed;

	ck_assert_ptr_nonnull(d2i_X509(&cert, &p, (long)der->len));
	X509_EXTENSION_free(X509_delete_ext(cert, X509_get_ext_by_NID(cert, NID_key_usage, -1)));
	if (bit >= 0) {
		ASN1_BIT_STRING_set_bit(usage, bit, 1);
		ck_assert_int_eq(X509_add1_ext_i2d(cert, NID_key_usage, usage, 1, X509V3_ADD_DEFAULT), 1);
	}
	crypto_random_begin(f.crypto, crypto_blinding(f.crypto));
	ck_assert_int_gt(X509_sign(cert, signer, f.crypto->sha256), 0);
	crypto_random_end(f.crypto);
	int len = i2d_X509(cert, &out);

	ck_assert(pki_take(out, len, &changed));
	ASN1_BIT_STRING_free(usage);
	EVP_PKEY_free(signer);
	X509_free(cert);
	return changed;
}

START_TEST(forgeries)
{
	struct cert_request request = fixture_request(CERT_DEVICE, NULL, "Example Devices", 50);
	static const uint8_t other_mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct der forged, chain[2];

	request.mac = fixture_mac;
	/* The CA's name, another key. */
	forged = fixture_issue(&pki, &request, "device", 1024, &pki.mfg_ca, "device", 1024);
	ck_assert_int_eq(cert_verify(f.crypto, &forged, &pki.mfg_ca, 1, &pki.root, 1, NOW, false), CERT_BAD_SIGNATURE);
	der_free(&forged);
	/* A device as a CA: its certificate does not allow it, not even for one who trusts it. */
	request.mac = other_mac;
	forged = fixture_issue(&pki, &request, "evil", 1024, &pki.device, "device", 1024);
	chain[0] = pki.device;
	chain[1] = pki.mfg_ca;
	ck_assert_int_eq(cert_verify(f.crypto, &forged, chain, 2, &pki.root, 1, NOW, false), CERT_BAD_USAGE);
	ck_assert_int_eq(cert_verify(f.crypto, &forged, NULL, 0, &pki.device, 1, NOW, false), CERT_BAD_USAGE);
	/* One whose keyUsage is open or even says keyCertSign: it is no CA by basicConstraints. */
	for (int bit = -1; bit <= PKI_KEY_CERT_SIGN; bit += PKI_KEY_CERT_SIGN + 1) {
		chain[0] = with_key_usage(&pki.device, bit, "mfg-ca", 2048);
		ck_assert_int_eq(cert_verify(f.crypto, &forged, chain, 2, &pki.root, 1, NOW, false), CERT_BAD_USAGE);
		ck_assert_int_eq(cert_verify(f.crypto, &forged, NULL, 0, chain, 1, NOW, false), CERT_BAD_USAGE);
		der_free(&chain[0]);
	}
	der_free(&forged);
	/* A root of the attacker's own with the manufacturer's name. */
	request = fixture_request(CERT_ROOT, "Manufacturer Root", "Example Devices", 1);
	forged = fixture_issue(&pki, &request, "evil", 1024, NULL, "evil", 1024);
	ck_assert_int_eq(cert_verify(f.crypto, &forged, NULL, 0, &pki.root, 1, NOW, false), CERT_UNTRUSTED);
	der_free(&forged);
}
END_TEST

/* A CA whose period is over ends the chain for all below it. */
START_TEST(times_of_the_authorities)
{
	struct cert_request request = fixture_request(CERT_CA, "Old CA", "Example Devices", 70);
	struct der ca, leaf;

	request.not_after_s = NOW + 10;
	ca = fixture_issue(&pki, &request, "mfg-ca", 2048, &pki.root, "root", 2048);
	request = fixture_request(CERT_DEVICE, NULL, "Example Devices", 71);
	request.mac = fixture_mac;
	leaf = fixture_issue(&pki, &request, "device", 1024, &ca, "mfg-ca", 2048);
	ck_assert_int_eq(cert_verify(f.crypto, &leaf, &ca, 1, &pki.root, 1, NOW + 10, false), CERT_OK);
	ck_assert_int_eq(cert_verify(f.crypto, &leaf, &ca, 1, &pki.root, 1, NOW + 11, false), CERT_EXPIRED);
	ck_assert_int_eq(cert_verify(f.crypto, &leaf, NULL, 0, &ca, 1, NOW + 11, false), CERT_EXPIRED);
	der_free(&leaf);
	der_free(&ca);
}
END_TEST

/* A leaf that may not sign: keyUsage keyEncipherment only; and an operator's certificate without any. */
START_TEST(usage_of_the_leaf)
{
	static const int bits[] = { -1, PKI_KEY_ENCIPHERMENT };

	for (int i = 0; i < 2; i++) {
		struct der leaf = with_key_usage(&pki.operator_cert, bits[i], "op-ca", 2048);

		ck_assert_int_eq(facts_of(&leaf).kind, CERT_OPERATOR);
		ck_assert_int_eq(cert_verify(f.crypto, &leaf, NULL, 0, &pki.op_ca, 1, NOW, false), CERT_BAD_USAGE);
		ck_assert_int_eq(cert_verify(f.crypto, &leaf, NULL, 0, NULL, 0, NOW, true), CERT_BAD_USAGE);
		der_free(&leaf);
	}
	struct der leaf = with_key_usage(&pki.operator_cert, PKI_DIGITAL_SIGNATURE, "op-ca", 2048);

	ck_assert_int_eq(cert_verify(f.crypto, &leaf, NULL, 0, &pki.op_ca, 1, NOW, false), CERT_OK);
	der_free(&leaf);
}
END_TEST

/* Every bit of a certificate is under the signature: no flip verifies. Bytes of every length and value are survived. */
START_TEST(any_flip_is_refused)
{
	struct cert_facts facts;

	for (size_t at = 0; at < pki.device.len; at++) {
		struct der bad = copy_of(&pki.device);

		bad.bytes[at] ^= (uint8_t)(1 << at % 8);
		enum cert_verdict verdict = cert_verify(f.crypto, &bad, &pki.mfg_ca, 1, &pki.root, 1, NOW, false);

		ck_assert_msg(verdict != CERT_OK, "byte %zu", at);
		cert_read(bad.bytes, bad.len, &facts);
		der_free(&bad);
	}
}
END_TEST

START_TEST(ill_formed)
{
	struct cert_facts facts;
	struct der longer = { calloc(1, pki.kdc.len + 1), pki.kdc.len + 1 }, spki;
	struct fixture_random random;
	uint8_t noise[600];

	memcpy(longer.bytes, pki.kdc.bytes, pki.kdc.len);
	ck_assert(!cert_read(longer.bytes, longer.len, &facts)); /* a byte too many */
	ck_assert(!cert_public_key(longer.bytes, longer.len, &spki));
	ck_assert_int_eq(cert_verify(f.crypto, &longer, NULL, 0, &pki.op_ca, 1, NOW, false), CERT_MALFORMED);
	ck_assert_int_eq(cert_verify(f.crypto, &pki.kdc, &longer, 1, &pki.op_ca, 1, NOW, false), CERT_MALFORMED);
	for (size_t len = 0; len < pki.kdc.len; len++) {
		struct der shorter = { malloc(len ? len : 1), len };

		memcpy(shorter.bytes, pki.kdc.bytes, len); /* its own block: reading past the end shows */
		ck_assert(!cert_read(shorter.bytes, len, &facts));
		der_free(&shorter);
	}
	fixture_random_init(&random, "noise");
	for (int i = 0; i < 500; i++) {
		seed_stream_fill(&random.stream, noise, sizeof noise);
		ck_assert(!cert_read(noise, sizeof noise, &facts));
	}
	/* Bytes of a good certificate replaced at random: whatever it says, it returns. */
	for (int i = 0; i < 3000; i++) {
		struct der bad = copy_of(&pki.operator_cert);
		uint8_t choice[6];

		seed_stream_fill(&random.stream, choice, sizeof choice);
		bad.bytes[(choice[0] << 8 | choice[1]) % bad.len] = choice[2];
		bad.bytes[(choice[3] << 8 | choice[4]) % bad.len] = choice[5];
		cert_read_with(f.crypto, bad.bytes, bad.len, &facts);
		der_free(&bad);
	}
	der_free(&longer);
}
END_TEST

/* Two principals in one certificate, a component with a separator in it, garbage for a principal. */
START_TEST(doubtful_names)
{
	static const struct {
		const char *first, *second; /* components of one name */
		int copies;
		bool readable;
	} cases[] = {
		{ "krbtgt", FIXTURE_REALM, 1, true },
		{ "krbtgt", FIXTURE_REALM, 2, false },
		{ "krbtgt/" FIXTURE_REALM, NULL, 1, false },
		{ "krbtgt", FIXTURE_REALM "@OTHER", 1, false },
		{ "", NULL, 1, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const uint8_t *p = pki.kdc.bytes;
		X509 *cert = X509_new_ex(f.crypto->lib, NULL);
		GENERAL_NAMES *names = GENERAL_NAMES_new();
		struct cert_facts facts;

		ck_assert_ptr_nonnull(d2i_X509(&cert, &p, (long)pki.kdc.len));
		X509_EXTENSION_free(X509_delete_ext(cert, X509_get_ext_by_NID(cert, NID_subject_alt_name, -1)));
		for (int c = 0; c < cases[i].copies; c++) {
			PKI_PRINCIPAL *principal = KRB_NEW(PKI_PRINCIPAL);
			const char *parts[] = { cases[i].first, cases[i].second };
			ASN1_TYPE *value = ASN1_TYPE_new();
			ASN1_STRING *sequence = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
			GENERAL_NAME *name = GENERAL_NAME_new();
			struct der der;

			krb_put_text(&principal->realm, FIXTURE_REALM);
			principal->name->type = KRB_NT_PRINCIPAL;
			for (int k = 0; k < 2 && parts[k]; k++) {
				ASN1_GENERALSTRING *part = NULL;

				krb_put_text(&part, parts[k]);
				sk_ASN1_GENERALSTRING_push(principal->name->parts, part);
			}
			ck_assert(KRB_ENCODE(PKI_PRINCIPAL, principal, &der));
			ASN1_STRING_set(sequence, der.bytes, (int)der.len);
			ASN1_TYPE_set(value, V_ASN1_SEQUENCE, sequence);
			GENERAL_NAME_set0_othername(name, OBJ_txt2obj(PKI_OID_PKINIT_SAN, 1), value);
			sk_GENERAL_NAME_push(names, name);
			der_free(&der);
			KRB_FREE(PKI_PRINCIPAL, principal);
		}
		ck_assert_int_eq(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT), 1);
		ck_assert_msg(pki_facts(cert, &facts) == cases[i].readable, "case %zu", i);
		GENERAL_NAMES_free(names);
		X509_free(cert);
	}
}
END_TEST

START_TEST(requests_that_cannot_be_met)
{
	size_t key_len, ca_len;
	const uint8_t *key = key_pool_get(pki.pool, "device", 1024, &key_len),
	                     *ca = key_pool_get(pki.pool, "op-ca", 2048, &ca_len);
	const struct cert_request good = { .kind = CERT_OPERATOR, .serial = 9, .phone_id = pki.phone_id, .realm = "R",
		                           .not_before_s = 0, .not_after_s = NOW };
	struct cert_request bad[7];
	struct der out;

	for (int i = 0; i < 7; i++)
		bad[i] = good;
	bad[0].serial = 0;
	bad[1].phone_id = NULL;
	bad[2].realm = NULL;
	bad[3].not_before_s = NOW + 1;
	bad[4].not_after_s = CERT_NO_EXPIRY_S + 1;
	bad[5].kind = CERT_ROOT; /* with an issuer */
	bad[6].common_name = "a common name that is a good deal longer than the sixty-four characters";
	for (int i = 0; i < 7; i++) {
		ck_assert_msg(!cert_issue(f.crypto, &bad[i], key, key_len, NULL, 0, &pki.op_ca, ca, ca_len, &out),
		              "case %d", i);
		ck_assert_ptr_null(out.bytes);
	}
	ck_assert(!cert_issue(f.crypto, &good, key, key_len - 1, NULL, 0, &pki.op_ca, ca, ca_len, &out));
	ck_assert(!cert_issue(f.crypto, &good, key, key_len, NULL, 0, NULL, ca, ca_len, &out));
	ck_assert(!cert_issue(f.crypto, &good, NULL, 0, NULL, 0, &pki.op_ca, ca, ca_len, &out));
	ck_assert(cert_issue(f.crypto, &good, key, key_len, NULL, 0, &pki.op_ca, ca, ca_len, &out));
	der_free(&out);
}
END_TEST

/* The provisioning CA knows a public key only; SHA-1 signatures are the suite of the time. */
START_TEST(for_a_public_key)
{
	struct cert_request request = fixture_request(CERT_OPERATOR, NULL, "Example Telephony", 60);
	size_t ca_len;
	const uint8_t *ca = key_pool_get(pki.pool, "op-ca", 2048, &ca_len);
	struct der spki, out, again;

	request.phone_id = pki.phone_id;
	request.sha1 = true;
	ck_assert(cert_public_key(pki.device.bytes, pki.device.len, &spki));
	ck_assert(cert_issue(f.crypto, &request, NULL, 0, spki.bytes, spki.len, &pki.op_ca, ca, ca_len, &out));
	ck_assert(!cert_issue(f.crypto, &request, NULL, 0, spki.bytes, spki.len - 1, &pki.op_ca, ca, ca_len, &again));
	ck_assert_int_eq(cert_verify(f.crypto, &out, NULL, 0, &pki.op_ca, 1, NOW, false), CERT_OK);
	X509 *cert = cert_parse(f.crypto, out.bytes, out.len);

	ck_assert_int_eq(X509_get_signature_nid(cert), NID_sha1WithRSAEncryption);
	X509_free(cert);
	ck_assert(cert_public_key(out.bytes, out.len, &again));
	ck_assert_uint_eq(again.len, spki.len);
	ck_assert_mem_eq(again.bytes, spki.bytes, spki.len);
	der_free(&again);
	der_free(&out);
	der_free(&spki);
}
END_TEST

START_TEST(thumbprints)
{
	uint8_t a[20], b[20];

	cert_thumbprint(f.crypto, &pki.kdc, a);
	crypto_sha1(f.crypto, pki.kdc.bytes, pki.kdc.len, b);
	ck_assert_mem_eq(a, b, 20);
	cert_thumbprint(f.crypto, &pki.device, b);
	ck_assert_mem_ne(a, b, 20);
}
END_TEST

/* More certificates than the cache holds, met again and again: each stays itself. */
START_TEST(cache_of_certificates)
{
	enum { CERTS = 50 };
	struct der certs[CERTS];

	for (int i = 0; i < CERTS; i++) {
		struct cert_request request = fixture_request(CERT_UNKNOWN, "x", NULL, 1000 + (uint64_t)i);

		certs[i] = fixture_issue(&pki, &request, "device", 1024, &pki.mfg_ca, "mfg-ca", 2048);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < CERTS; i++) {
			int which = round == 1 ? CERTS - 1 - i : i;
			struct cert_facts facts;

			ck_assert(cert_read_with(f.crypto, certs[which].bytes, certs[which].len, &facts));
			ck_assert_uint_eq(facts.serial, 1000 + (uint64_t)which);
			ck_assert_int_eq(facts.kind, CERT_UNKNOWN);
		}
	}
	for (int i = 0; i < CERTS; i++)
		der_free(&certs[i]);
}
END_TEST

static struct der make_crl(const struct der *issuer, const char *key_name, const uint64_t *serials, size_t count)
{
	size_t key_len;
	const uint8_t *key = key_pool_get(pki.pool, key_name, 2048, &key_len);
	struct der crl;

	ck_assert(crl_issue(f.crypto, issuer, key, key_len, serials, count, NOW - DAY, NOW + DAY, &crl));
	return crl;
}

START_TEST(crls)
{
	static const uint64_t others[] = { 5, 7, UINT64_MAX, 1 }, with_kdc[] = { 9, 6, 2 };
	struct der empty = make_crl(&pki.op_ca, "op-ca", NULL, 0);
	struct der clear = make_crl(&pki.op_ca, "op-ca", others, 4);
	struct der revoked = make_crl(&pki.op_ca, "op-ca", with_kdc, 3);
	struct der foreign = make_crl(&pki.mfg_ca, "mfg-ca", with_kdc, 3);
	struct der forged = make_crl(&pki.op_ca, "mfg-ca", NULL, 0);
	struct der none = { NULL, 0 };
	const struct {
		const struct der *crl, *issuer, *leaf;
		int64_t now_s;
		enum crl_verdict verdict;
	} cases[] = {
		{ &empty, &pki.op_ca, &pki.kdc, NOW, CRL_CLEAR },
		{ &clear, &pki.op_ca, &pki.kdc, NOW, CRL_CLEAR },
		{ &revoked, &pki.op_ca, &pki.kdc, NOW, CRL_REVOKED },
		{ &revoked, &pki.op_ca, &pki.kdc, NOW - DAY, CRL_REVOKED },
		{ &revoked, &pki.op_ca, &pki.kdc, NOW + DAY, CRL_REVOKED },
		{ &empty, &pki.op_ca, &pki.kdc, NOW - DAY - 1, CRL_BAD },  /* not yet in force */
		{ &empty, &pki.op_ca, &pki.kdc, NOW + DAY + 1, CRL_BAD },  /* the next one is due */
		{ &foreign, &pki.op_ca, &pki.kdc, NOW, CRL_BAD },          /* another CA's */
		{ &foreign, &pki.mfg_ca, &pki.kdc, NOW, CRL_BAD },         /* which says nothing of this certificate */
		{ &forged, &pki.op_ca, &pki.kdc, NOW, CRL_BAD },           /* signed by somebody else */
		{ &none, &pki.op_ca, &pki.kdc, NOW, CRL_BAD },
		{ &empty, &pki.op_ca, &none, NOW, CRL_BAD },
		{ &empty, &pki.device, &pki.kdc, NOW, CRL_BAD },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_msg(crl_check(f.crypto, cases[i].crl, cases[i].issuer, cases[i].leaf, cases[i].now_s) ==
		              cases[i].verdict, "case %zu", i);
	for (size_t at = 0; at < revoked.len; at++) {
		struct der bad = copy_of(&revoked);

		bad.bytes[at] ^= (uint8_t)(1 << at % 8);
		ck_assert_msg(crl_check(f.crypto, &bad, &pki.op_ca, &pki.kdc, NOW) == CRL_BAD, "byte %zu", at);
		bad.bytes[at] ^= (uint8_t)(1 << at % 8);
		bad.len = at;
		ck_assert_int_eq(crl_check(f.crypto, &bad, &pki.op_ca, &pki.kdc, NOW), CRL_BAD);
		der_free(&bad);
	}
	der_free(&empty);
	der_free(&clear);
	der_free(&revoked);
	der_free(&foreign);
	der_free(&forged);
}
END_TEST

/* OpenSSL's command line. */

static char folder[PATH_LEN];

static void write_file(const char *name, const struct der *der)
{
	char path[2 * PATH_LEN];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(der->bytes, 1, der->len, file), der->len);
	fclose(file);
}

/* Runs a command in the folder; its output into text. Returns its exit status. */
static int run(const char *command, char *text, size_t size)
{
	char line[1024];
	FILE *pipe;
	size_t len;

	snprintf(line, sizeof line, "cd '%s' && (%s) 2>&1", folder, command);
	pipe = popen(line, "r");
	ck_assert_ptr_nonnull(pipe);
	len = fread(text, 1, size - 1, pipe);
	text[len] = '\0';
	return WEXITSTATUS(pclose(pipe));
}

static void to_pem(const char *kind, const char *name)
{
	char command[256], text[1024];

	snprintf(command, sizeof command, "openssl %s -inform DER -in %s.der -out %s.pem", kind, name, name);
	ck_assert_msg(run(command, text, sizeof text) == 0, "%s: %s", command, text);
}

START_TEST(openssl_agrees)
{
	static const struct {
		const char *command, *expected;
		int status;
	} commands[] = {
		{ "openssl verify -attime 1798761600 -CAfile root.pem -untrusted mfg-ca.pem device.pem",
		  "device.pem: OK", 0 },
		{ "openssl verify -attime 1798761600 -partial_chain -CAfile op-ca.pem operator.pem", "operator.pem: OK",
		  0 },
		{ "openssl verify -attime 1798761600 -x509_strict -CAfile root.pem -untrusted op-ca.pem kdc.pem",
		  "kdc.pem: OK", 0 },
		{ "openssl verify -attime 1798761600 -CAfile root.pem -untrusted op-ca.pem device.pem", "unable to get",
		  2 },
		{ "openssl verify -attime 1798761600 -crl_check -CRLfile crl.pem -partial_chain -CAfile op-ca.pem kdc.pem",
		  "certificate revoked", 2 },
		{ "openssl verify -attime 1798761600 -crl_check -CRLfile crl.pem -partial_chain -CAfile op-ca.pem operator.pem",
		  "operator.pem: OK", 0 },
		{ "openssl crl -in crl.pem -CAfile op-ca.pem -noout", "verify OK", 0 },
		{ "openssl x509 -in kdc.pem -noout -text", "Signing KDC Response", 0 },
		{ "openssl x509 -in operator.pem -noout -text", "PKINIT Client Auth", 0 },
		{ "openssl x509 -in device.pem -noout -text", "CN = 00:11:22:33:44:55", 0 },
		{ "openssl asn1parse -in kdc.pem -strparse $(openssl asn1parse -in kdc.pem | awk '/Alternative/ { getline; sub(\":.*\", \"\"); print $1 }')",
		  ":1.3.6.1.5.2.2", 0 },
	};
	static const uint64_t revoked[] = { 6 };
	const char *tmp = getenv("TMPDIR");
	struct der crl = make_crl(&pki.op_ca, "op-ca", revoked, 1);
	char text[8192];

	if (system("openssl version > /dev/null 2>&1") != 0) {
		der_free(&crl);
		return; /* no command line here */
	}
	snprintf(folder, sizeof folder, "%.200s/pki.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	const struct {
		const char *kind, *name;
		const struct der *der;
	} files[] = {
		{ "x509", "root", &pki.root }, { "x509", "mfg-ca", &pki.mfg_ca }, { "x509", "op-ca", &pki.op_ca },
		{ "x509", "device", &pki.device }, { "x509", "operator", &pki.operator_cert },
		{ "x509", "kdc", &pki.kdc },
		{ "crl", "crl", &crl },
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s.der", files[i].name);
		write_file(name, files[i].der);
		to_pem(files[i].kind, files[i].name);
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		int status = run(commands[i].command, text, sizeof text);

		ck_assert_msg(status == commands[i].status && strstr(text, commands[i].expected), "%s: status %d\n%s",
		              commands[i].command, status, text);
	}
	run("rm -f *.der *.pem", text, sizeof text);
	rmdir(folder);
	der_free(&crl);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pki");
	TCase *tcase = tcase_create("pki");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_unchecked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reads_back);
	tcase_add_test(tcase, phone_ids);
	tcase_add_test(tcase, same_request_same_bytes);
	tcase_add_test(tcase, chains);
	tcase_add_test(tcase, signatures_are_metered);
	tcase_add_test(tcase, forgeries);
	tcase_add_test(tcase, times_of_the_authorities);
	tcase_add_test(tcase, usage_of_the_leaf);
	tcase_add_test(tcase, any_flip_is_refused);
	tcase_add_test(tcase, ill_formed);
	tcase_add_test(tcase, doubtful_names);
	tcase_add_test(tcase, requests_that_cannot_be_met);
	tcase_add_test(tcase, for_a_public_key);
	tcase_add_test(tcase, thumbprints);
	tcase_add_test(tcase, cache_of_certificates);
	tcase_add_test(tcase, crls);
	tcase_add_test(tcase, openssl_agrees);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

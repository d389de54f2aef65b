/*
 * The key directory: what is in its files, and that strangers read them: tshark opens an ESP packet that this test makes with
 * libcrypto, MIT's klist lists the keytab, openssl reads the certificates and opens an RTP packet.
 */
#define _GNU_SOURCE /* memmem */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "sim/packet.h"
#include "tests/reports/fixture.h"

static struct fixture f;
static char path[FIXTURE_PATH_MAX];
static const uint8_t key_a[24] = "\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23";
static const uint8_t key_b[24] = "\xfe\xdc\xba\x98\x76\x54\x32\x10\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23";
static const uint8_t mac_a[20] = "authentication key a";
static const uint8_t mac_b[20] = "authentication key b";

static void setup(void)
{
	fixture_open(&f);
	fixture_path(&f, "keys", path);
}

static void teardown(void)
{
	fixture_close(&f);
}

static struct keylog *start(void)
{
	struct keylog *k = keylog_new(path, f.error);

	ck_assert_msg(k != NULL, "%s", f.error);
	return k;
}

static void finish(struct keylog *k)
{
	ck_assert_msg(keylog_finish(k, f.error), "%s", f.error);
}

static void check_file(const char *name, const char *expected)
{
	char file[2 * FIXTURE_PATH_MAX];
	size_t len;
	char *bytes;

	snprintf(file, sizeof file, "%s/%s", path, name);
	bytes = fixture_read(file, &len);
	ck_assert_str_eq(bytes, expected);
	free(bytes);
}

static const char *output_of(const char *command)
{
	static char output[8192];
	FILE *pipe = popen(command, "r");
	size_t len;

	ck_assert_ptr_nonnull(pipe);
	len = fread(output, 1, sizeof output - 1, pipe);
	output[len] = '\0';
	ck_assert_msg(pclose(pipe) == 0, "%s\n%s", command, output);
	return output;
}

static bool installed(const char *program)
{
	char command[64];

	snprintf(command, sizeof command, "command -v %s > /dev/null", program);
	if (system(command) == 0)
		return true;
	printf("%s is not installed: its reading is not tested\n", program);
	return false;
}

START_TEST(esp_sa)
{
	struct keylog *k = start();
	const char *up = "10.1.0.2 10.9.0.5 0x1234abcc", *down = "10.9.0.5 10.1.0.2 0x1234abcd";

	keylog_key(k, "esp.cipher", up, "des3-cbc", key_a, 24);
	keylog_key(k, "esp.auth", up, "hmac-sha1", mac_a, 20);
	keylog_key(k, "esp.cipher", down, "des3-cbc", key_b, 24);
	keylog_key(k, "esp.cipher", up, "des3-cbc", key_a, 24); /* the other holder */
	keylog_key(k, "esp.auth", up, "hmac-sha1", mac_a, 20);
	keylog_key(k, "esp.auth", down, "hmac-sha1", mac_b, 20);
	keylog_key(k, "esp.cipher", "10.1.0.2 10.9.0.6 0x2", "des3-cbc", key_a, 24); /* no authentication */
	keylog_key(k, "esp.cipher", up, "des3-cbc", key_b, 24); /* the SPI is used again */
	keylog_key(k, "esp.auth", up, "hmac-sha1", mac_b, 20);
	keylog_key(k, "esp.cipher", "", "des3-cbc", key_a, 24);
	keylog_key(k, "esp.cipher", "10.1.0.2 10.9.0.6 0x2\",\"", "des3-cbc", key_a, 24);
	keylog_key(k, "esp.cipher", "10.1.0.2 10.9.0.600 0x2", "des3-cbc", key_a, 24);
	keylog_key(k, "esp.auth", "10.1.0.2 10.9.0.7 0x2", "hmac-sha1", mac_a, 20);
	keylog_key(k, "krb.session", "x@R", "des3-cbc", key_a, 24);
	finish(k);
#define A "0123456789abcdef23456789abcdef01456789abcdef0123"
#define B "fedcba987654321023456789abcdef01456789abcdef0123"
#define MAC_A "61757468656e7469636174696f6e206b65792061"
#define MAC_B "61757468656e7469636174696f6e206b65792062"
	check_file("esp_sa",
	           "\"IPv4\",\"10.1.0.2\",\"10.9.0.5\",\"0x1234abcc\",\"TripleDES-CBC [RFC2451]\",\"0x" A "\","
	           "\"HMAC-SHA-1-96 [RFC2404]\",\"0x" MAC_A "\"\n"
	           "\"IPv4\",\"10.9.0.5\",\"10.1.0.2\",\"0x1234abcd\",\"TripleDES-CBC [RFC2451]\",\"0x" B "\","
	           "\"HMAC-SHA-1-96 [RFC2404]\",\"0x" MAC_B "\"\n"
	           "\"IPv4\",\"10.1.0.2\",\"10.9.0.6\",\"0x00000002\",\"TripleDES-CBC [RFC2451]\",\"0x" A "\",\"NULL\",\"\"\n"
	           "\"IPv4\",\"10.1.0.2\",\"10.9.0.5\",\"0x1234abcc\",\"TripleDES-CBC [RFC2451]\",\"0x" B "\","
	           "\"HMAC-SHA-1-96 [RFC2404]\",\"0x" MAC_B "\"\n");
}
END_TEST

START_TEST(rtp_keys)
{
	struct keylog *k = start();

	keylog_key(k, "rtp.cipher", "10.1.0.2:4000 10.2.0.2:4002", "des3-cbc", key_a, 24);
	keylog_key(k, "rtp.cipher", "10.2.0.2:4002 10.1.0.2:4000", "des3-cbc", key_b, 24);
	keylog_key(k, "rtp.auth", "10.2.0.2:4002 10.1.0.2:4000", "hmac-sha1", mac_a, 20);
	keylog_key(k, "rtp.cipher", "10.1.0.2:4000 10.2.0.2:4002", "des3-cbc", key_a, 24);
	finish(k);
	check_file("rtp_keys", "# source destination cipher-key authentication-key; 3DES-CBC over the whole packet, IV 0\n"
	                       "10.1.0.2:4000 10.2.0.2:4002 " A " -\n10.2.0.2:4002 10.1.0.2:4000 " B " " MAC_A "\n");
}
END_TEST

/* 32 bytes of an RTP packet, encrypted here, come back by the README's command. */
START_TEST(openssl_opens_rtp)
{
	static const uint8_t clear[32] = "\x80\x00\x12\x34 the rest of an RTP packet ", iv[8];
	uint8_t sealed[40];
	char file[FIXTURE_PATH_MAX], command[3 * FIXTURE_PATH_MAX];
	struct keylog *k = start();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	FILE *out;
	int len;

	if (!installed("openssl"))
		return;
	keylog_key(k, "rtp.cipher", "10.1.0.2:4000 10.2.0.2:4002", "des3-cbc", key_a, 24);
	finish(k);
	EVP_EncryptInit_ex(ctx, EVP_des_ede3_cbc(), NULL, key_a, iv);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	EVP_EncryptUpdate(ctx, sealed, &len, clear, sizeof clear);
	EVP_CIPHER_CTX_free(ctx);
	ck_assert_int_eq(len, sizeof clear);
	out = fopen(fixture_path(&f, "packet", file), "wb");
	fwrite(sealed, 1, sizeof clear, out);
	fclose(out);
	snprintf(command, sizeof command, "openssl enc -d -des-ede3-cbc -nopad -K $(awk '$1 == \"10.1.0.2:4000\" { print $3 }' %s/rtp_keys)"
	         " -iv 0000000000000000 -in %s", path, file);
	ck_assert_mem_eq(output_of(command), clear, sizeof clear);
}
END_TEST

START_TEST(keytab)
{
	struct keylog *k = start();
	static const uint8_t expected[] =
		"\x05\x02"
		"\0\0\0\x37" "\0\x02" "\0\x05" "REALM" "\0\x02" "sc" "\0\x03" "sc1" "\0\0\0\x02" "\0\0\0\0" "\x01" "\0\x10" "\0\x18";
	char file[2 * FIXTURE_PATH_MAX], command[3 * FIXTURE_PATH_MAX];
	const char *listed;
	size_t len;
	char *bytes;

	keylog_key(k, "krb.server", "sc/sc1@REALM", "des3-cbc", key_a, 24);
	keylog_key(k, "krb.server", "sc/sc1@REALM", "des3-cbc", key_a, 24); /* the KDC's copy */
	keylog_key(k, "krb.reply", "alice@REALM", "des3-cbc", key_a, 24);
	keylog_key(k, "krb.reply", "alice@REALM", "des3-cbc", key_b, 24);
	keylog_key(k, "krb.reply", "alice@REALM", "des3-cbc", key_a, 24);
	keylog_key(k, "krb.reply", "a/b/@c@R", "des3-cbc", key_b, 24);
	keylog_key(k, "krb.reply", "no realm", "des3-cbc", key_b, 24);
	keylog_key(k, "krb.reply", "", "des3-cbc", key_b, 24);
	finish(k);
	snprintf(file, sizeof file, "%s/keytab", path);
	bytes = fixture_read(file, &len);
	ck_assert_mem_eq(bytes, expected, sizeof expected - 1);
	ck_assert_mem_eq(bytes + sizeof expected - 1, key_a, 24);
	free(bytes);
	if (!installed("klist"))
		return;
	snprintf(command, sizeof command, "klist -e -K -k %s/keytab 2>&1 | grep @ | sed 's/ *(DEPRECATED:/ (/; s/ *$//'", path);
	listed = output_of(command);
	ck_assert_str_eq(listed, "   1 sc/sc1@REALM (des3-cbc-sha1)  (0x" A ")\n   1 alice@REALM (des3-cbc-sha1)  (0x" A ")\n"
	                         "   1 alice@REALM (des3-cbc-sha1)  (0x" B ")\n   1 a/b/\\@c@R (des3-cbc-sha1)  (0x" B ")\n");
}
END_TEST

/* The longest principal there can be, all slashes, and one that is too long. */
START_TEST(long_principals)
{
	struct keylog *k = start();
	char principal[300], file[2 * FIXTURE_PATH_MAX];
	size_t len;

	memset(principal, '/', sizeof principal);
	strcpy(principal + 253, "@R");
	keylog_key(k, "krb.reply", principal, "des3-cbc", key_a, 24);
	strcpy(principal + 254, "@R");
	keylog_key(k, "krb.reply", principal, "des3-cbc", key_a, 24);
	finish(k);
	snprintf(file, sizeof file, "%s/keytab", path);
	free(fixture_read(file, &len));
	ck_assert_uint_eq(len, 2 + 4 + 2 + 3 + 254 * 2 + 13 + 24);
}
END_TEST

START_TEST(certificates)
{
	struct keylog *k = start();
	static const char *const names[] = { "root", "root", "root", "../../etc/x y", ".hidden", "" };
	static const char *const files[] = { "root.pem", "root-2.pem", "_._.._etc_x_y.pem", "_hidden.pem", "_.pem" };

	/* the second is the first once more, the third another */
	for (size_t i = 0; i < 6; i++)
		keylog_certificate(k, names[i], (const uint8_t *)(i < 2 ? "one" : "two"), 3);
	finish(k);
	check_file("root.pem", "-----BEGIN CERTIFICATE-----\nb25l\n-----END CERTIFICATE-----\n");
	for (size_t i = 1; i < sizeof files / sizeof files[0]; i++)
		check_file(files[i], "-----BEGIN CERTIFICATE-----\ndHdv\n-----END CERTIFICATE-----\n");
}
END_TEST

START_TEST(directory)
{
	struct stat st;
	char file[2 * FIXTURE_PATH_MAX];
	struct keylog *k;

	finish(start());
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	snprintf(file, sizeof file, "%s/esp_sa", path);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	check_file("esp_sa", "");
	check_file("preferences", "# The keytab's path is given by -K: Wireshark takes a relative one from where it is started.\n"
	                          "esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n"
	                          "kerberos.decrypt: TRUE\n");
	k = start(); /* an old one is written over */
	keylog_key(k, "esp.cipher", "10.1.0.2 10.9.0.6 0x2", "des3-cbc", key_a, 24);
	keylog_abandon(k);
	check_file("esp_sa", "");
	ck_assert_ptr_null(keylog_new(fixture_path(&f, "no/such", file), f.error));
	ck_assert_ptr_nonnull(strstr(f.error, "cannot be written to"));
	fclose(fopen(fixture_path(&f, "file", file), "w"));
	ck_assert_ptr_null(keylog_new(file, f.error));
}
END_TEST

/* ---- tshark opens an ESP packet ---- */

/* The Internet checksum (RFC 1071) of an even number of bytes. */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += get_be16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* SPI, number and IV in front, padding and ICV behind: RFC 2406 with 3DES-CBC and HMAC-SHA-1-96. Returns its length. */
static size_t esp_seal_here(uint8_t *out, const uint8_t *payload, size_t len)
{
	static const uint8_t iv[8] = "initial.";
	uint8_t clear[256], icv[20];
	size_t pad = (8 - (len + 2) % 8) % 8;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int sealed;

	memcpy(clear, payload, len);
	for (size_t i = 0; i < pad; i++)
		clear[len + i] = (uint8_t)(i + 1);
	clear[len + pad] = (uint8_t)pad;
	clear[len + pad + 1] = 17;
	put_be32(out, UINT32_C(0x1234abcc));
	put_be32(out + 4, 1);
	memcpy(out + 8, iv, 8);
	EVP_EncryptInit_ex(ctx, EVP_des_ede3_cbc(), NULL, key_a, iv);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	EVP_EncryptUpdate(ctx, out + 16, &sealed, clear, (int)(len + pad + 2));
	EVP_CIPHER_CTX_free(ctx);
	HMAC(EVP_sha1(), mac_a, sizeof mac_a, out, 16 + (size_t)sealed, icv, NULL);
	memcpy(out + 16 + sealed, icv, 12);
	return 16 + (size_t)sealed + 12;
}

static struct packet *esp_packet(void)
{
	static const char sip[] = "OPTIONS sip:bob@example.com SIP/2.0\r\nCall-ID: 42\r\nCSeq: 1 OPTIONS\r\n\r\n";
	struct packet *p = packet_new(f.sim, 512);
	uint8_t udp[256], *ip = packet_append(p, 34) + 14, esp[400];
	size_t len = sizeof sip - 1, esp_len;

	put_be16(udp, 5060);
	put_be16(udp + 2, 5060);
	put_be16(udp + 4, (uint16_t)(8 + len));
	put_be16(udp + 6, 0);
	memcpy(udp + 8, sip, len);
	esp_len = esp_seal_here(esp, udp, 8 + len);
	memset(ip - 14, 2, 12);
	put_be16(ip - 2, 0x0800);
	memcpy(ip, "\x45\0\0\0\0\x01\0\0\x40\x32\0\0\x0a\x01\0\x02\x0a\x09\0\x05", 20);
	put_be16(ip + 2, (uint16_t)(20 + esp_len));
	put_be16(ip + 10, checksum(ip, 20));
	memcpy(packet_append(p, (uint32_t)esp_len), esp, esp_len);
	return p;
}

START_TEST(tshark_opens_esp)
{
	struct keylog *k = start();
	char capture_path[FIXTURE_PATH_MAX], command[4 * FIXTURE_PATH_MAX];
	struct capture *c = capture_new(f.sim, fixture_path(&f, "run.pcapng", capture_path), f.error);
	struct packet *p = esp_packet();
	const char *output;

	ck_assert_ptr_nonnull(c);
	trace_packet(f.sim, f.alice->ifaces, PACKET_OUT, p);
	p->data[p->len - 1] ^= 1; /* the same once more, its ICV spoilt */
	trace_packet(f.sim, f.alice->ifaces, PACKET_OUT, p);
	packet_free(p);
	ck_assert(capture_finish(c, f.error));
	keylog_key(k, "esp.cipher", "10.1.0.2 10.9.0.5 0x1234abcc", "des3-cbc", key_a, 24);
	keylog_key(k, "esp.auth", "10.1.0.2 10.9.0.5 0x1234abcc", "hmac-sha1", mac_a, 20);
	keylog_key(k, "esp.cipher", "10.9.0.5 10.1.0.2 0x1234abcd", "des3-cbc", key_b, 24);
	keylog_key(k, "krb.server", "sc/sc1@REALM", "des3-cbc", key_a, 24);
	finish(k);
	if (!installed("tshark"))
		return;
	snprintf(command, sizeof command, "WIRESHARK_CONFIG_DIR=%s tshark -K %s/keytab -r %s -T fields -e esp.icv_good -e sip.Method"
	         " -e sip.Call-ID 2>&1 | grep -v 'Running as user'", path, path, capture_path);
	output = output_of(command);
	/* any complaint about the files would stand here, too */
	ck_assert_str_eq(output, "1\tOPTIONS\t42\n0\tOPTIONS\t42\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keylog");
	TCase *tcase = tcase_create("keylog");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, esp_sa);
	tcase_add_test(tcase, rtp_keys);
	tcase_add_test(tcase, openssl_opens_rtp);
	tcase_add_test(tcase, keytab);
	tcase_add_test(tcase, long_principals);
	tcase_add_test(tcase, certificates);
	tcase_add_test(tcase, directory);
	tcase_add_test(tcase, tshark_opens_esp);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

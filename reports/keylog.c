/*
 * The key directory: what an independent program needs to read a capture of the run. For eyes that may see keys: the
 * directory and its files are their owner's alone, and nothing of it goes into the result database.
 *
 * Files, which the README among them explains to the reader:
 *   esp_sa        Wireshark's table of ESP associations, a line for each direction
 *   preferences   Wireshark's switches for decryption; the directory serves as WIRESHARK_CONFIG_DIR
 *   keytab        Kerberos server keys and PKINIT reply keys; MIT's file format 0x0502, big endian
 *   rtp_keys      text: source, destination, cipher key, authentication key or "-"
 *   NAME.pem      certificates
 *
 * Each holder of a key tells it; an entry is kept once, in order of first telling. An ESP or RTP direction is known by its
 * context: a cipher key that is not its latest one begins an entry, an authentication key completes the latest. News
 * without a context (a key's death) serve nobody and are passed over. Keys are wiped when they are let go.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/names.h"
#include "reports/output.h"
#include "reports/reports.h"
#include "sim/node.h"
#include "sim/packet.h"
#include "sim/sim.h"

#define ENCTYPE_DES3_CBC_SHA1 16 /* RFC 3961 section 6.3 */
#define KEYTAB_VERSION 0x0502
#define KEYTAB_KVNO 1
#define NAME_TYPE_PRINCIPAL 1
#define NAME_TYPE_SERVICE 2
#define PRINCIPAL_MAX 255
#define SECRET_MAX 64
#define FILE_NAME_MAX 100
#define NONE UINT32_MAX

struct direction_keys { /* of an ESP or RTP direction */
	uint32_t context; /* name */
	uint8_t cipher[SECRET_MAX], auth[SECRET_MAX];
	size_t cipher_len, auth_len; /* auth_len 0: none */
};

struct directions {
	struct direction_keys *entries;
	size_t count, room;
	struct tally latest; /* (context); count: index of its latest entry */
};

struct principal_key {
	uint32_t principal; /* name */
	uint32_t earlier;   /* index of the principal's key before this one, NONE: the first */
	bool service;
	uint8_t secret[SECRET_MAX];
	size_t len;
};

struct certificate {
	uint32_t file; /* name, without ".pem" */
	uint8_t *der;
	size_t len;
};

struct keylog {
	char *directory;
	struct names names;
	struct directions esp, rtp;
	struct principal_key *principals;
	size_t principal_count, principal_room;
	struct tally principals_latest; /* (principal); count: index of its latest key */
	struct certificate *certificates;
	size_t certificate_count, certificate_room;
	struct tally certificate_files; /* (name); count: index of its certificate */
};

/* Room for one more. The old place of the array is wiped: realloc() would leave keys there. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	void *bigger;

	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 16;
	bigger = sim_alloc(*room * size);
	if (count) {
		memcpy(bigger, array, count * size);
		OPENSSL_cleanse(array, count * size);
	}
	free(array);
	return bigger;
}

/* What a tally whose counts are indexes has for a key: NONE when it is new. */
static uint32_t *latest_of(struct tally *tally, uint32_t key)
{
	size_t before = tally->count;
	uint32_t at = tally_at(tally, key, 0, 0);

	if (tally->count > before)
		tally->entries[at].count = NONE;
	return &tally->entries[at].count;
}

/* ---- what is told ---- */

static void direction_key(struct keylog *k, struct directions *d, bool cipher, const char *context, const uint8_t *secret,
                          size_t len)
{
	uint32_t name = names_id(&k->names, context);
	uint32_t *latest = latest_of(&d->latest, name);
	struct direction_keys *entry = *latest == NONE ? NULL : &d->entries[*latest];

	if (!cipher) {
		if (entry && !entry->auth_len) {
			memcpy(entry->auth, secret, len);
			entry->auth_len = len;
		}
		return;
	}
	if (entry && entry->cipher_len == len && memcmp(entry->cipher, secret, len) == 0)
		return;
	d->entries = grow(d->entries, d->count, &d->room, sizeof *d->entries);
	entry = &d->entries[d->count];
	*entry = (struct direction_keys){ .context = name, .cipher_len = len };
	memcpy(entry->cipher, secret, len);
	*latest = (uint32_t)d->count++;
}

static void principal_key(struct keylog *k, bool service, const char *principal, const uint8_t *secret, size_t len)
{
	uint32_t name = names_id(&k->names, principal);
	uint32_t *latest = latest_of(&k->principals_latest, name);
	struct principal_key *entry;

	for (uint32_t at = *latest; at != NONE; at = k->principals[at].earlier) {
		entry = &k->principals[at];
		if (entry->len == len && memcmp(entry->secret, secret, len) == 0)
			return;
	}
	k->principals = grow(k->principals, k->principal_count, &k->principal_room, sizeof *k->principals);
	entry = &k->principals[k->principal_count];
	*entry = (struct principal_key){ .principal = name, .earlier = *latest, .service = service, .len = len };
	memcpy(entry->secret, secret, len);
	*latest = (uint32_t)k->principal_count++;
}

void keylog_key(struct keylog *k, const char *role, const char *context, const char *algorithm, const uint8_t *secret, size_t len)
{
	if (!context[0] || !secret || len == 0 || len > SECRET_MAX)
		return;
	if (strcmp(role, "esp.cipher") == 0 || strcmp(role, "esp.auth") == 0)
		direction_key(k, &k->esp, strcmp(role, "esp.cipher") == 0, context, secret, len);
	else if (strcmp(role, "rtp.cipher") == 0 || strcmp(role, "rtp.auth") == 0)
		direction_key(k, &k->rtp, strcmp(role, "rtp.cipher") == 0, context, secret, len);
	else if ((strcmp(role, "krb.server") == 0 || strcmp(role, "krb.reply") == 0) && strcmp(algorithm, "des3-cbc") == 0)
		principal_key(k, strcmp(role, "krb.server") == 0, context, secret, len);
}

/* A name that is a file name everywhere: letters, digits, '-', '_' and inner dots. */
static void file_name(const char *name, unsigned nth, char out[FILE_NAME_MAX])
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	snprintf(out, FILE_NAME_MAX - 16, "%s", name[0] ? name : "_");
	for (char *s = out; *s; s++) {
		if (!strchr(fine, *s) || (s == out && *s == '.'))
			*s = '_';
	}
	if (nth > 1)
		snprintf(out + strlen(out), 16, "-%u", nth);
}

void keylog_certificate(struct keylog *k, const char *name, const uint8_t *der, size_t len)
{
	char file[FILE_NAME_MAX];
	uint32_t id, *latest;
	struct certificate *entry;

	for (unsigned nth = 1;; nth++) {
		file_name(name, nth, file);
		id = names_id(&k->names, file);
		latest = latest_of(&k->certificate_files, id);
		if (*latest == NONE)
			break;
		entry = &k->certificates[*latest];
		if (entry->len == len && memcmp(entry->der, der, len) == 0)
			return;
	}
	k->certificates = grow(k->certificates, k->certificate_count, &k->certificate_room, sizeof *k->certificates);
	entry = &k->certificates[k->certificate_count];
	*entry = (struct certificate){ .file = id, .der = sim_alloc(len), .len = len };
	memcpy(entry->der, der, len);
	*latest = (uint32_t)k->certificate_count++;
}

/* ---- the files ---- */

static void put_hex(FILE *file, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fprintf(file, "%02x", bytes[i]);
}

/* "10.1.0.2 10.9.0.5 0x1234abcd": only that goes into Wireshark's table. */
static bool parse_association(const char *context, char src[IP_TEXT_LEN], char dst[IP_TEXT_LEN], unsigned *spi)
{
	uint32_t ip;
	int end = 0;

	return sscanf(context, "%15[0-9.] %15[0-9.] 0x%8x%n", src, dst, spi, &end) == 3 && context[end] == '\0' &&
	       ip_parse(src, &ip) && ip_parse(dst, &ip);
}

static void write_esp_sa(const struct keylog *k, size_t index, FILE *file)
{
	(void)index;
	for (size_t i = 0; i < k->esp.count; i++) {
		const struct direction_keys *entry = &k->esp.entries[i];
		char src[IP_TEXT_LEN], dst[IP_TEXT_LEN];
		unsigned spi;

		if (!parse_association(names_text(&k->names, entry->context), src, dst, &spi))
			continue;
		fprintf(file, "\"IPv4\",\"%s\",\"%s\",\"0x%08x\",\"TripleDES-CBC [RFC2451]\",\"0x", src, dst, spi);
		put_hex(file, entry->cipher, entry->cipher_len);
		if (entry->auth_len) {
			fputs("\",\"HMAC-SHA-1-96 [RFC2404]\",\"0x", file);
			put_hex(file, entry->auth, entry->auth_len);
			fputs("\"\n", file);
		} else {
			fputs("\",\"NULL\",\"\"\n", file);
		}
	}
}

static void write_rtp_keys(const struct keylog *k, size_t index, FILE *file)
{
	(void)index;
	fputs("# source destination cipher-key authentication-key; 3DES-CBC over the whole packet, IV 0\n", file);
	for (size_t i = 0; i < k->rtp.count; i++) {
		const struct direction_keys *entry = &k->rtp.entries[i];
		const char *context = names_text(&k->names, entry->context);

		if (strpbrk(context, "\n\t"))
			continue;
		fprintf(file, "%s ", context);
		put_hex(file, entry->cipher, entry->cipher_len);
		fputc(' ', file);
		if (entry->auth_len)
			put_hex(file, entry->auth, entry->auth_len);
		else
			fputc('-', file);
		fputc('\n', file);
	}
}

static uint8_t *put_counted(uint8_t *p, const char *text, size_t len)
{
	put_be16(p, (uint16_t)len);
	memcpy(p + 2, text, len);
	return p + 2 + len;
}

/* "sc/sc1@REALM": count, realm, components. Returns what follows, NULL for a name that is none. */
static uint8_t *put_principal(uint8_t *p, const char *principal)
{
	const char *at = strrchr(principal, '@');
	uint16_t count = 1;
	uint8_t *next;

	if (!at || at == principal || strlen(principal) > PRINCIPAL_MAX)
		return NULL;
	for (const char *s = principal; s < at; s++)
		count += *s == '/';
	put_be16(p, count);
	next = put_counted(p + 2, at + 1, strlen(at + 1));
	for (const char *s = principal; count > 0; count--) {
		size_t len = count > 1 ? (size_t)(strchr(s, '/') - s) : (size_t)(at - s);

		next = put_counted(next, s, len);
		s += len + 1;
	}
	return next;
}

static void write_keytab_entry(const struct keylog *k, const struct principal_key *key, FILE *file)
{
	uint8_t entry[4 + 2 + 4 * PRINCIPAL_MAX + 16 + SECRET_MAX]; /* every second byte a component: three for it */
	uint8_t *p = put_principal(entry + 4, names_text(&k->names, key->principal));

	if (!p)
		return;
	put_be32(p, key->service ? NAME_TYPE_SERVICE : NAME_TYPE_PRINCIPAL);
	put_be32(p + 4, 0); /* no time of writing */
	p[8] = KEYTAB_KVNO;
	put_be16(p + 9, ENCTYPE_DES3_CBC_SHA1);
	put_be16(p + 11, (uint16_t)key->len);
	memcpy(p + 13, key->secret, key->len);
	p += 13 + key->len;
	put_be32(entry, (uint32_t)(p - entry - 4));
	fwrite(entry, 1, (size_t)(p - entry), file);
	OPENSSL_cleanse(entry, sizeof entry);
}

static void write_keytab(const struct keylog *k, size_t index, FILE *file)
{
	uint8_t version[2];

	(void)index;
	put_be16(version, KEYTAB_VERSION);
	fwrite(version, 1, sizeof version, file);
	for (size_t i = 0; i < k->principal_count; i++)
		write_keytab_entry(k, &k->principals[i], file);
}

static void write_preferences(const struct keylog *k, size_t index, FILE *file)
{
	(void)k, (void)index;
	fputs("# The keytab's path is given by -K: Wireshark takes a relative one from where it is started.\n"
	      "esp.enable_encryption_decode: TRUE\n"
	      "esp.enable_authentication_check: TRUE\n"
	      "kerberos.decrypt: TRUE\n", file);
}

static void write_readme(const struct keylog *k, size_t index, FILE *file)
{
	(void)k, (void)index;
	fputs("Keys of a simulated run, to read its capture with. Below, KEYS is this directory and RUN.pcapng the capture.\n"
	      "\n"
	      "ESP and Kerberos, in Wireshark or tshark (esp_sa, preferences and keytab are read from here):\n"
	      "\n"
	      "    WIRESHARK_CONFIG_DIR=KEYS tshark -K KEYS/keytab -r RUN.pcapng\n"
	      "    WIRESHARK_CONFIG_DIR=KEYS tshark -K KEYS/keytab -r RUN.pcapng -Y sip -V\n"
	      "\n"
	      "A packet whose authentication does not hold is shown all the same: filter for esp.icv_good. What a frame is for is its\n"
	      "comment (frame.comment); a frame shows at each end of its link (frame.interface_name).\n"
	      "\n"
	      "Kerberos keys, with MIT's tools:\n"
	      "\n"
	      "    klist -e -K -k KEYS/keytab\n"
	      "\n"
	      "RTP: a line of rtp_keys is SOURCE DESTINATION CIPHER-KEY AUTHENTICATION-KEY. A packet is encrypted whole, IV 0; what\n"
	      "comes out begins with the RTP header 80 ... and may end in RTP padding (P bit), the MAC behind it when there is a key:\n"
	      "\n"
	      "    tshark -r RUN.pcapng -Y 'ip.src == ADDRESS && udp.srcport == PORT' -c 1 -T fields -e udp.payload | xxd -r -p |\n"
	      "        openssl enc -d -des-ede3-cbc -nopad -K CIPHER-KEY -iv 0000000000000000 | xxd\n"
	      "\n"
	      "Certificates:\n"
	      "\n"
	      "    openssl x509 -in KEYS/NAME.pem -noout -text\n"
	      "    openssl verify -attime UNIX-TIME -CAfile KEYS/ROOT.pem -untrusted KEYS/CA.pem KEYS/NAME.pem\n", file);
}

static void write_certificate(const struct keylog *k, size_t index, FILE *file)
{
	const struct certificate *certificate = &k->certificates[index];

	PEM_write(file, "CERTIFICATE", "", certificate->der, (long)certificate->len);
}

/* Writes a file of the directory by way of a temporary one. */
static bool write_file(const struct keylog *k, const char *name, void (*write)(const struct keylog *, size_t, FILE *),
                       size_t index, char *error)
{
	char *path = text_make("%s/%s", k->directory, name);
	char reason[REPORT_ERROR_LEN];
	struct output output;
	bool fine = output_open(&output, path, 0600, reason);

	if (fine) {
		write(k, index, output.file);
		fine = output_finish(&output, reason);
	}
	if (!fine)
		report_error(error, "%s %s", name, reason);
	free(path);
	return fine;
}

static bool write_certificates(const struct keylog *k, char *error)
{
	bool fine = true;

	for (size_t i = 0; i < k->certificate_count && fine; i++) {
		char *name = text_make("%s.pem", names_text(&k->names, k->certificates[i].file));

		fine = write_file(k, name, write_certificate, i, error);
		free(name);
	}
	return fine;
}

/* ---- beginning and end ---- */

struct keylog *keylog_new(const char *directory, char *error)
{
	struct keylog *k;
	bool usable = mkdir(directory, 0700) == 0 || errno == EEXIST;
	struct stat st;

	if (usable && stat(directory, &st) == 0 && !S_ISDIR(st.st_mode)) {
		usable = false;
		errno = ENOTDIR;
	}
	if (!usable || access(directory, W_OK | X_OK) != 0) {
		report_error(error, "cannot be written to: %s", strerror(errno));
		return NULL;
	}
	k = sim_alloc(sizeof *k);
	k->directory = sim_strdup(directory);
	return k;
}

static void directions_free(struct directions *d)
{
	if (d->entries)
		OPENSSL_cleanse(d->entries, d->count * sizeof *d->entries);
	free(d->entries);
	tally_free(&d->latest);
}

void keylog_abandon(struct keylog *k)
{
	if (!k)
		return;
	directions_free(&k->esp);
	directions_free(&k->rtp);
	if (k->principals)
		OPENSSL_cleanse(k->principals, k->principal_count * sizeof *k->principals);
	free(k->principals);
	for (size_t i = 0; i < k->certificate_count; i++)
		free(k->certificates[i].der);
	free(k->certificates);
	tally_free(&k->principals_latest);
	tally_free(&k->certificate_files);
	names_free(&k->names);
	free(k->directory);
	free(k);
}

bool keylog_finish(struct keylog *k, char *error)
{
	bool fine = write_file(k, "esp_sa", write_esp_sa, 0, error) && write_file(k, "preferences", write_preferences, 0, error) &&
	            write_file(k, "keytab", write_keytab, 0, error) && write_file(k, "rtp_keys", write_rtp_keys, 0, error) &&
	            write_certificates(k, error) && write_file(k, "README", write_readme, 0, error);

	keylog_abandon(k);
	return fine;
}

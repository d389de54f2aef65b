/*
 * The key directory: what an independent program needs to read a capture of the run. For eyes that may see keys: the
 * directory and its files belong to their owner alone, and nothing of it goes into the result database.
 *
 * Files, which the README among them explains to the reader:
 *   esp_sa        Wireshark's table of ESP associations, one line a direction
 *   preferences   Wireshark's switches for decryption; the directory serves as WIRESHARK_CONFIG_DIR
 *   keytab        Kerberos server keys and PKINIT reply keys, version 0x0502
 *   rtp_keys      text: direction, cipher key, authentication key or "-"
 *   NAME.pem      certificates
 *
 * Keys are told once by each holder; every entry is kept once, in order of first telling. An ESP or RTP direction is known by
 * its context; its cipher key comes first and begins an entry, the authentication key completes it.
 *
 * Keytab: MIT's file format 0x0502, big endian.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/names.h"
#include "reports/output.h"
#include "reports/reports.h"
#include "sim/sim.h"

#define ENCTYPE_DES3_CBC_SHA1 16
#define KEYTAB_VERSION 0x0502
#define KEYTAB_KVNO 1
#define NAME_TYPE_PRINCIPAL 1
#define NAME_TYPE_SERVICE 2
#define COMPONENTS_MAX 8
#define CONTEXT_MAX 512
#define SECRET_MAX 64
#define CERTIFICATE_NAME_MAX 100

struct direction_keys { /* of an ESP or RTP direction */
	uint32_t context; /* name */
	uint8_t cipher[SECRET_MAX], auth[SECRET_MAX];
	size_t cipher_len, auth_len; /* 0: none */
};

struct principal_key {
	uint32_t principal; /* name */
	uint8_t secret[SECRET_MAX];
	size_t len;
	bool service;
};

struct certificate {
	uint32_t file; /* name */
	uint8_t *der;
	size_t len;
};

struct key_list { /* of directions */
	struct direction_keys *entries;
	size_t count, room;
	struct tally latest; /* (context): entry + 1 in count */
};

struct keylog {
	char *directory;
	struct names names;
	struct key_list esp, rtp;
	struct principal_key *principals;
	size_t principal_count, principal_room;
	struct tally principals_seen; /* (principal, key as hex text) */
	struct certificate *certificates;
	size_t certificate_count, certificate_room;
	struct tally certificate_files; /* (name) */
};

/* Room for one more element; a grown array is moved by hand, so that no key stays behind in freed memory. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	void *bigger;

	if (count < *room)
		return array;
	bigger = sim_alloc((*room ? *room * 2 : 16) * size);
	if (array)
		memcpy(bigger, array, count * size);
	if (array)
		OPENSSL_clear_free(array, 0), array = NULL;
	*room = *room ? *room * 2 : 16;
	return bigger;
}

/*
 * Fuzzing of DNS. Input: a message, as it comes in a datagram.
 *
 * What must hold: any bytes are parsed or refused; what is accepted says the same when it is written and read again, if
 * it still fits into a message (names that were compressed grow).
 */
#include "models/wire/dns.h"
#include "tests/fuzz/fuzz.h"

static void check_record(const struct dns_record *a, const struct dns_record *b)
{
	fuzz_require(strcmp(a->name, b->name) == 0 && a->type == b->type && a->ttl_s == b->ttl_s && a->ip == b->ip);
	fuzz_require(strcmp(a->target, b->target) == 0 && a->priority == b->priority && a->weight == b->weight);
	fuzz_require(a->port == b->port && strlen(a->name) <= DNS_NAME_MAX && strlen(a->target) <= DNS_NAME_MAX);
}

static void check_same(const struct dns *a, const struct dns *b)
{
	fuzz_require(a->id == b->id && a->response == b->response && a->authoritative == b->authoritative);
	fuzz_require(a->truncated == b->truncated && a->recursion_desired == b->recursion_desired);
	fuzz_require(a->recursion_available == b->recursion_available && a->rcode == b->rcode && a->type == b->type);
	fuzz_require(strcmp(a->question, b->question) == 0 && a->answer_count == b->answer_count);
	for (unsigned i = 0; i < a->answer_count; i++)
		check_record(&a->answers[i], &b->answers[i]);
}

static void check_message(const struct dns *m)
{
	uint8_t *room = malloc(DNS_MESSAGE_MAX), *exact;
	struct dns again;
	char kind[16];
	size_t written;

	fuzz_require(room && strlen(dns_kind(m, kind, sizeof kind)) > 0 && m->answer_count <= DNS_ANSWERS_MAX);
	written = dns_write(m, room, DNS_MESSAGE_MAX);
	if (written) {
		fuzz_require(dns_parse(room, written, &again));
		check_same(m, &again);
		exact = malloc(written);
		fuzz_require(exact && dns_write(m, exact, written) == written && dns_write(m, exact, written - 1) == 0);
		free(exact);
	} else {
		fuzz_require(m->answer_count > 0);
	}
	free(room);
}

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && strlen(value) <= DNS_NAME_MAX && class_ >= 0 && class_ <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_exact(data, size);
	static struct dns m; /* written whole before it is read */

	dns_describe(bytes, size, take_field, NULL);
	if (dns_parse(bytes, size, &m))
		check_message(&m);
	free(bytes);
	return 0;
}

static const struct dns seeds[] = {
	{ .id = 0x1234, .recursion_desired = true, .question = "kdc1.tollgate.example", .type = DNS_A },
	{ .id = 0x1234, .response = true, .authoritative = true, .question = "kdc1.tollgate.example", .type = DNS_A,
	  .answer_count = 2, .answers = {
		{ .name = "kdc1.tollgate.example", .type = DNS_A, .ttl_s = 3600, .ip = 0x0a030001 },
		{ .name = "kdc1.tollgate.example", .type = DNS_A, .ttl_s = 3600, .ip = 0x0a030002 } } },
	{ .id = 2, .response = true, .question = "_kerberos._udp.tollgate.example", .type = DNS_SRV,
	  .answer_count = 2, .answers = {
		{ .name = "_kerberos._udp.tollgate.example", .type = DNS_SRV, .ttl_s = 60,
		  .target = "kdc1.tollgate.example",
		  .priority = 1, .weight = 2, .port = 88 },
		{ .name = "_kerberos._udp.tollgate.example", .type = DNS_SRV, .ttl_s = 60,
		  .target = "kdc2.tollgate.example",
		  .priority = 2, .weight = 2, .port = 88 } } },
	{ .id = 3, .response = true, .recursion_available = true, .question = "1.0.3.10.in-addr.arpa", .type = DNS_PTR,
	  .answer_count = 1, .answers = {
		{ .name = "1.0.3.10.in-addr.arpa", .type = DNS_PTR, .ttl_s = 60,
		  .target = "kdc1.tollgate.example" } } },
	{ .id = 4, .response = true, .rcode = DNS_NAME_ERROR, .question = "nobody.tollgate.example", .type = DNS_A },
};

/* RFC 1035 section 4.1.4 in use: an SOA in the authority section, each name behind a pointer to the end of another. */
static const uint8_t compressed[] =
	"\0\5\x85\0\0\1\0\1\0\1\0\1" "\3sc1\10tollgate\7example\0\0\1\0\1" "\xc0\14\0\1\0\1\0\0\0\x3c\0\4\12\3\0\3"
	"\xc0\20\0\6\0\1\0\0\0\x3c\0\x24\3dns\xc0\20\4root\xc0\20\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0"
	"\0\0\x29\2\0\0\0\0\0\0\0";

size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	size_t count = sizeof seeds / sizeof seeds[0];

	if (nth == count) {
		memcpy(out, compressed, sizeof compressed - 1);
		return sizeof compressed - 1;
	}
	return nth < count ? dns_write(&seeds[nth], out, size) : 0;
}

/*
 * DNS on the wire: the names of RFC 1035 section 4.1.4, messages put together by hand, round trips, what is refused
 * (loops of pointers above all), mutations.
 */
#include "models/wire/dns.h"
#include "tests/models/wire_fixture.h"

/* Put together by hand; tshark 4.0 reads them without complaint. The question stands at 12. */
#define KDC1 "04 6b646331 08 746f6c6c67617465 07 6578616d706c65 00 "
static const char query[] = "1234 0100 0001 0000 0000 0000" KDC1 "0001 0001";
static const char response[] = "1234 8400 0001 0002 0000 0000" KDC1 "0001 0001"
	"c00c 0001 0001 00000e10 0004 0a030001 c00c 0001 0001 00000e10 0004 0a030002";
static const char service[] = "0002 8000 0001 0001 0000 0000 09 5f6b65726265726f73 04 5f756470 08 746f6c6c67617465"
	"07 6578616d706c65 00 0021 0001 c00c 0021 0001 0000003c 001d 0001 0002 0058" KDC1;
static const char no_such_name[] = "0004 8083 0001 0000 0000 0000 06 6e6f626f6479 00 0001 0001";
/* F.ISI.ARPA in the question, FOO.F.ISI.ARPA and ARPA as in RFC 1035 section 4.1.4 (there at 20, 40 and 64). */
static const char isi[] = "0001 8000 0001 0002 0000 0000 01 46 03 495349 04 41525041 00 000c 0001"
	"03 464f4f c00c 0001 0001 00000001 0004 0a000001 c012 000c 0001 00000001 0006 03 464f4f c00c";

static bool parse(const char *hex, struct dns *m)
{
	uint8_t bytes[FIXTURE_MAX], *block;
	size_t len = bytes_of(hex, bytes);
	bool good;

	block = exact_copy(bytes, len);
	good = dns_parse(block, len, m);
	free(block);
	return good;
}

static void check_written(const struct dns *m, const char *hex)
{
	uint8_t golden[FIXTURE_MAX], out[FIXTURE_MAX];
	size_t len = bytes_of(hex, golden);

	ck_assert_uint_eq(dns_write(m, out, sizeof out), len);
	ck_assert_mem_eq(out, golden, len);
	ck_assert_uint_eq(dns_write(m, out, len), len);
	ck_assert_uint_eq(dns_write(m, out, len - 1), 0);
}

START_TEST(addresses)
{
	struct dns q, r;
	char kind[32];

	ck_assert(parse(query, &q) && parse(response, &r));
	ck_assert(!q.response && q.recursion_desired && q.id == 0x1234 && q.type == DNS_A && q.answer_count == 0);
	ck_assert_str_eq(q.question, "kdc1.tollgate.example");
	ck_assert(r.response && r.authoritative && !r.recursion_desired && r.answer_count == 2);
	ck_assert_str_eq(r.answers[1].name, "kdc1.tollgate.example");
	ck_assert(r.answers[0].ip == 0x0a030001 && r.answers[1].ip == 0x0a030002 && r.answers[1].ttl_s == 3600);
	ck_assert(dns_answers(&q, &r) && !dns_answers(&q, &q) && !dns_answers(&r, &r));
	ck_assert_str_eq(dns_kind(&q, kind, sizeof kind), "query A");
	check_written(&q, query);
	check_written(&r, response);
	r.id++;
	ck_assert(!dns_answers(&q, &r));
	r.id--;
	strcpy(q.question, "KDC1.tollgate.example"); /* as its asker wrote it */
	ck_assert(dns_answers(&q, &r));
	strcpy(r.question, "kdc2.tollgate.example");
	ck_assert(!dns_answers(&q, &r));
}
END_TEST

START_TEST(services)
{
	struct dns m;
	char kind[32];

	ck_assert(parse(service, &m));
	ck_assert(m.type == DNS_SRV && m.answer_count == 1 && m.answers[0].type == DNS_SRV);
	ck_assert_str_eq(m.question, "_kerberos._udp.tollgate.example");
	ck_assert_str_eq(m.answers[0].target, "kdc1.tollgate.example");
	ck_assert(m.answers[0].priority == 1 && m.answers[0].weight == 2 && m.answers[0].port == 88);
	ck_assert_str_eq(dns_kind(&m, kind, sizeof kind), "response SRV");
	check_written(&m, service);
}
END_TEST

START_TEST(unknown_names)
{
	struct dns m;
	char kind[32];

	ck_assert(parse(no_such_name, &m));
	ck_assert(m.rcode == DNS_NAME_ERROR && m.recursion_available && m.answer_count == 0);
	ck_assert_str_eq(dns_kind(&m, kind, sizeof kind), "NXDOMAIN");
	check_written(&m, no_such_name);
}
END_TEST

START_TEST(names_of_rfc1035)
{
	struct dns m;

	ck_assert(parse(isi, &m));
	ck_assert_str_eq(m.question, "f.isi.arpa");
	ck_assert_str_eq(m.answers[0].name, "foo.f.isi.arpa");
	ck_assert_str_eq(m.answers[1].name, "arpa");
	ck_assert_str_eq(m.answers[1].target, "foo.f.isi.arpa");
}
END_TEST

START_TEST(other_records_are_skipped) /* a CNAME among the answers, an SOA in authority, an OPT behind */
{
	struct dns m;

	ck_assert(parse("0005 8580 0001 0002 0001 0001 03 736331 00 0001 0001 c00c 0005 0001 0000003c 0002 c00c"
	                "c00c 0001 0001 0000003c 0004 0a030003 c00c 0006 0001 0000003c 0018 c00c c00c 00*20 "
	                "00 0029 0200 00000000 0000", &m));
	ck_assert(m.answer_count == 1 && m.answers[0].ip == 0x0a030003);
}
END_TEST

START_TEST(reverse_names)
{
	char name[DNS_REVERSE_LEN];

	dns_reverse_name(0x0a010002, name);
	ck_assert_str_eq(name, "2.0.1.10.in-addr.arpa");
	dns_reverse_name(UINT32_MAX, name);
	ck_assert_str_eq(name, "255.255.255.255.in-addr.arpa");
}
END_TEST

/* Each by one change to the response with two addresses: question 12..34, its type at 35, answers at 39 and 55. */
static const struct edit refusals[] = {
	{ "operation code", 2, 1, "8c" },
	{ "response code 6", 3, 1, "06" },
	{ "query with answers", 2, 1, "04" },
	{ "no question", 4, 2, "0000" },
	{ "two questions", 4, 2, "0002" },
	{ "more answers than there are", 6, 2, "0003" },
	{ "fewer answers than there are", 6, 2, "0001" },
	{ "authority that is not there", 8, 2, "0001" },
	{ "additional records that are not there", 10, 2, "0001" },
	{ "question of the root", 12, 23, "00" },
	{ "dot in a label", 14, 1, "2e" },
	{ "NUL in a label", 14, 1, "00" },
	{ "label of 64 bytes", 12, 5, "40 61*64" },
	{ "label of the form 10", 12, 1, "84" },
	{ "question of another type", 36, 1, "0f" },
	{ "question of another class", 38, 1, "03" },
	{ "name that points to itself", 39, 2, "c027" },
	{ "name that points ahead", 39, 2, "c037" },
	{ "name that points into the header", 39, 2, "c000" },
	{ "name that points behind the message", 39, 2, "ffff" },
	{ "labels that lead back to themselves", 39, 2, "01 61 c027" },
	{ "question that points to itself", 12, 23, "c00c" },
	{ "address of three bytes", 49, 6, "0003 0a0300" },
	{ "address of five bytes", 49, 6, "0005 0a03000101" },
	{ "address beyond the message", -6, 2, "0005" },
	{ "time to live below 0", 45, 4, "80000000" },
	{ "PTR without a name", 39, 16, "c00c 000c 0001 00000e10 0000" },
	{ "PTR with bytes behind its name", 39, 16, "c00c 000c 0001 00000e10 0003 c00c 00" },
	{ "PTR whose length takes in the next record", 39, 16, "c00c 000c 0001 00000e10 0003 c00c" },
	{ "PTR that ends in a pointer", 39, 16, "c00c 000c 0001 00000e10 0001 c0" },
	{ "PTR whose name goes on behind it", 39, 16, "c00c 000c 0001 00000e10 0001 0a" },
	{ "SRV without a target", 39, 16, "c00c 0021 0001 00000e10 0006 0001 0002 0058" },
	{ "answer without data", -6, 6, "" },
	{ "bytes behind the message", -1, 0, "00" },
	{ "cut in the header", 11, 60, "" },
};

START_TEST(refuses)
{
	uint8_t bytes[FIXTURE_MAX], *block;
	size_t len = bytes_of(response, bytes), edited_len;
	struct dns m = { .id = 77 };

	block = edited(bytes, len, &refusals[_i], &edited_len);
	ck_assert_msg(!dns_parse(block, edited_len, &m), "accepted: %s", refusals[_i].why);
	ck_assert_uint_eq(m.id, 77);
	free(block);
}
END_TEST

/* Records of an unknown type, each named "b" and a pointer to the name before: the nth follows n pointers. */
static size_t chain(unsigned count, uint8_t out[FIXTURE_MAX])
{
	size_t len = bytes_of("0001 8000 0001 0000 0000 0000 01 61 00 0001 0001", out), before = 12;

	out[7] = (uint8_t)count;
	for (unsigned i = 0; i < count; i++) {
		size_t at = len;

		len += bytes_of("01 62 c000 0063 0001 00000000 0000", out + len);
		out[at + 3] = (uint8_t)before;
		out[at + 2] = (uint8_t)(0xc0 | before >> 8);
		before = at;
	}
	return len;
}

START_TEST(pointers_are_bounded)
{
	uint8_t bytes[FIXTURE_MAX];
	struct dns m;

	ck_assert(dns_parse(bytes, chain(DNS_POINTERS_MAX, bytes), &m));
	ck_assert(!dns_parse(bytes, chain(DNS_POINTERS_MAX + 1, bytes), &m));
}
END_TEST

START_TEST(limits) /* 253 characters of a name, 8 answers, 512 bytes */
{
	struct dns m = { .type = DNS_A, .response = true }, out;
	uint8_t bytes[FIXTURE_MAX];
	size_t len;

	memset(m.question, 'a', DNS_NAME_MAX);
	m.question[63] = m.question[127] = m.question[191] = '.';
	len = dns_write(&m, bytes, sizeof bytes);
	ck_assert_uint_eq(len, 12 + 255 + 4);
	ck_assert(dns_parse(bytes, len, &out));
	ck_assert_str_eq(out.question, m.question);
	memmove(bytes + 12 + 193, bytes + 12 + 192, len - 12 - 192); /* the last label, one longer */
	bytes[12 + 192]++;
	ck_assert(!dns_parse(bytes, len + 1, &out));
	strcpy(m.question, "a");
	m.answer_count = DNS_ANSWERS_MAX;
	for (unsigned i = 0; i < DNS_ANSWERS_MAX; i++)
		m.answers[i] = (struct dns_record){ .name = "a", .type = DNS_A, .ip = i };
	len = dns_write(&m, bytes, sizeof bytes);
	ck_assert(len && dns_parse(bytes, len, &out) && out.answer_count == 8 && out.answers[7].ip == 7);
	memcpy(bytes + len, bytes + len - 16, 16);
	bytes[7]++;
	ck_assert(!dns_parse(bytes, len + 16, &out));
	m.answer_count++;
	ck_assert_uint_eq(dns_write(&m, bytes, sizeof bytes), 0);
	m.answer_count = 1;
	m.answers[0].type = (enum dns_type)5;
	ck_assert_uint_eq(dns_write(&m, bytes, sizeof bytes), 0);
	m.answers[0] = (struct dns_record){ .name = "", .type = DNS_A };
	ck_assert_uint_eq(dns_write(&m, bytes, sizeof bytes), 0);
	m.answer_count = 2;
	for (unsigned i = 0; i < 2; i++) {
		m.answers[i] = (struct dns_record){ .name = "a", .type = DNS_PTR };
		memset(m.answers[i].target, 'a', DNS_NAME_MAX);
		m.answers[i].target[63] = m.answers[i].target[127] = m.answers[i].target[191] = '.';
	}
	ck_assert_uint_eq(dns_write(&m, bytes, sizeof bytes), 0);
}
END_TEST

START_TEST(length_of_a_message) /* 512 bytes; the rest of it is one record of an unknown type */
{
	uint8_t bytes[FIXTURE_MAX] = { 0 };
	size_t at = bytes_of("0001 8000 0001 0001 0000 0000 01 61 00 0001 0001 c00c 0063 0001 00000000", bytes);
	struct dns m;

	for (size_t len = 511; len < 515; len++) {
		bytes[at] = (uint8_t)((len - at - 2) >> 8);
		bytes[at + 1] = (uint8_t)(len - at - 2);
		ck_assert_msg(dns_parse(bytes, len, &m) == (len <= DNS_MESSAGE_MAX), "%zu", len);
	}
}
END_TEST

START_TEST(characters_of_names)
{
	struct dns m = { .type = DNS_A, .question = "AZaz09.-_" }, out;
	uint8_t bytes[DNS_MESSAGE_MAX];
	size_t len = dns_write(&m, bytes, sizeof bytes);

	ck_assert(len && dns_parse(bytes, len, &out));
	ck_assert_str_eq(out.question, "azaz09.-_");
	for (const char *bad = "@[`{/:,^"; *bad; bad++) { /* the neighbours of letters, digits, '-' and '_' */
		bytes[13] = (uint8_t)*bad;
		ck_assert_msg(!dns_parse(bytes, len, &out), "%c", *bad);
	}
}
END_TEST

START_TEST(bad_names_are_not_written)
{
	static const char *const bad[] = { "", ".", "a..b", ".a",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	uint8_t bytes[FIXTURE_MAX];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct dns m = { .type = DNS_A };

		strcpy(m.question, bad[i]);
		ck_assert_msg(dns_write(&m, bytes, sizeof bytes) == 0, "written: %s", bad[i]);
	}
}
END_TEST

static size_t accepted, described;

static void run_mutant(const uint8_t *bytes, size_t len)
{
	char all[FIXTURE_MAX] = "";
	struct dns m;

	accepted += dns_parse(bytes, len, &m);
	dns_describe(bytes, len, collect, all);
	described += strlen(all) > 0;
}

START_TEST(survives_mutations)
{
	uint8_t bytes[FIXTURE_MAX];

	mutate(bytes, bytes_of(_i ? isi : service, bytes), 1035, run_mutant);
	ck_assert(accepted > 0 && accepted < FIXTURE_MUTATIONS && described == accepted);
}
END_TEST

START_TEST(describes)
{
	uint8_t bytes[FIXTURE_MAX];
	char all[FIXTURE_MAX] = "";

	dns_describe(bytes, bytes_of(service, bytes), collect, all);
	ck_assert_str_eq(all,
	                 "id=2;question=_kerberos._udp.tollgate.example;type=SRV;rcode=0;answer=kdc1.tollgate.example;"
	                 "port=88;ttl-s=60;");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_test(t, addresses);
	tcase_add_test(t, services);
	tcase_add_test(t, unknown_names);
	tcase_add_test(t, names_of_rfc1035);
	tcase_add_test(t, other_records_are_skipped);
	tcase_add_test(t, reverse_names);
	tcase_add_loop_test(t, refuses, 0, (int)(sizeof refusals / sizeof refusals[0]));
	tcase_add_test(t, pointers_are_bounded);
	tcase_add_test(t, limits);
	tcase_add_test(t, length_of_a_message);
	tcase_add_test(t, characters_of_names);
	tcase_add_test(t, bad_names_are_not_written);
	tcase_add_loop_test(t, survives_mutations, 0, 2);
	tcase_add_test(t, describes);
	return run_suite("DNS", t);
}

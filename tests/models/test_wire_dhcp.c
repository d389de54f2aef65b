/*
 * DHCP on the wire: the messages of a well-known capture, options of RFC 3495, round trips, what is refused, mutations.
 */
#include "models/wire/dhcp.h"
#include "tests/models/wire_fixture.h"

#define HEADER_ZEROS " 00*64 00*128 63825363"
/* DISCOVER and OFFER of the sample capture dhcp.pcap of the Wireshark wiki (xid 0x3d1d, 00:0b:82:01:fc:42). */
static const char discover[] = "01 01 06 00 00003d1d 0000 0000 00*16 000b8201fc42 00*10" HEADER_ZEROS
	"35 01 01 3d 07 01000b8201fc42 32 04 00000000 37 04 0103062a ff 00*7";
static const char offer[] = "02 01 06 00 00003d1d 0000 0000 00000000 c0a8000a c0a80001 00000000 000b8201fc42 00*10"
	HEADER_ZEROS "35 01 02 01 04 ffffff00 3a 04 00000708 3b 04 00000c4e 33 04 00000e10 36 04 c0a80001 ff 00*26";
/* Put together by hand after RFC 2132 and RFC 3495; tshark 4.0 reads it without complaint. Options begin at 240. */
static const char ack[] = "02 01 06 01 3903f326 0002 8000 00000000 0a010002 0a010001 0a010003 001018010203 00*10 00*64 "
	"756e70726f762e636667 00*118 63825363"
	"35 01 05 01 04 ffff0000 03 04 0a010001 06 08 0a0100010a020001 0c 04 63746131 33 04 00000e10 36 04 0a010001"
	"7a 1b 03 05 01 0a030001 06 12 08 544f4c4c47415445 07 4558414d504c45 00 ff";

static bool parse(const char *hex, struct dhcp *m, uint8_t **block)
{
	uint8_t bytes[FIXTURE_MAX];
	size_t len = bytes_of(hex, bytes);

	*block = exact_copy(bytes, len);
	return dhcp_parse(*block, len, m);
}

START_TEST(capture_is_read)
{
	struct dhcp m;
	uint8_t *block;

	ck_assert(parse(discover, &m, &block));
	ck_assert_uint_eq(m.type, DHCP_DISCOVER);
	ck_assert_str_eq(dhcp_kind(m.type), "DHCPDISCOVER");
	ck_assert_uint_eq(m.xid, 0x3d1d);
	ck_assert_mem_eq(m.chaddr, "\0\x0b\x82\1\xfc\x42", 6);
	ck_assert(m.client_id.len == 7 && memcmp(m.client_id.at, "\1\0\x0b\x82\1\xfc\x42", 7) == 0);
	ck_assert(dhcp_wants(&m, 1) && dhcp_wants(&m, 42) && !dhcp_wants(&m, 122));
	ck_assert(!m.broadcast && !m.requested_ip && !m.host_name.at && !m.file.at);
	free(block);
	ck_assert(parse(offer, &m, &block));
	ck_assert_uint_eq(m.type, DHCP_OFFER);
	ck_assert_uint_eq(m.yiaddr, 0xc0a8000a);
	ck_assert_uint_eq(m.siaddr, 0xc0a80001);
	ck_assert_uint_eq(m.mask, 0xffffff00);
	ck_assert_uint_eq(m.renew_s, 1800);
	ck_assert_uint_eq(m.rebind_s, 3150);
	ck_assert_uint_eq(m.lease_s, 3600);
	ck_assert_uint_eq(m.server_id, 0xc0a80001);
	free(block);
}
END_TEST

START_TEST(client_configuration_is_read)
{
	struct dhcp m;
	uint8_t *block;

	ck_assert(parse(ack, &m, &block));
	ck_assert(m.type == DHCP_ACK && m.broadcast && m.secs == 2 && m.hops == 1);
	ck_assert(span_is(m.file, "unprov.cfg") && span_is(m.host_name, "cta1"));
	ck_assert(m.dns[0] == 0x0a010001 && m.dns[1] == 0x0a020001 && m.dns[2] == 0);
	ck_assert_uint_eq(m.provisioning_ip, 0x0a030001);
	ck_assert_str_eq(m.provisioning_name, "");
	ck_assert_str_eq(m.realm, "TOLLGATE.EXAMPLE");
	free(block);
}
END_TEST

START_TEST(written_bytes_are_golden)
{
	struct dhcp m = { .type = DHCP_ACK, .xid = 0x3903f326, .secs = 2, .hops = 1, .broadcast = true,
	                  .yiaddr = 0x0a010002,
		          .siaddr = 0x0a010001, .giaddr = 0x0a010003, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 },
		          .file = span_of("unprov.cfg"), .mask = 0xffff0000, .router = 0x0a010001,
		          .dns = { 0x0a010001, 0x0a020001 }, .host_name = span_of("cta1"), .lease_s = 3600,
		          .server_id = 0x0a010001, .provisioning_ip = 0x0a030001, .realm = "TOLLGATE.EXAMPLE" };
	uint8_t golden[FIXTURE_MAX], out[FIXTURE_MAX];
	size_t len = bytes_of(ack, golden);

	ck_assert_uint_eq(dhcp_write(&m, out, sizeof out), len);
	ck_assert_mem_eq(out, golden, len);
	ck_assert_uint_eq(dhcp_write(&m, out, len), len);
	ck_assert_uint_eq(dhcp_write(&m, out, len - 1), 0);
}
END_TEST

static void check_spans(const struct dhcp *a, const struct dhcp *b)
{
	ck_assert(span_equal(a->host_name, b->host_name) && span_equal(a->domain, b->domain));
	ck_assert(span_equal(a->vendor_specific, b->vendor_specific) && span_equal(a->parameters, b->parameters));
	ck_assert(span_equal(a->message, b->message) && span_equal(a->class_id, b->class_id));
	ck_assert(span_equal(a->client_id, b->client_id) && span_equal(a->tftp_server, b->tftp_server));
	ck_assert(span_equal(a->boot_file, b->boot_file) && span_equal(a->sname, b->sname) &&
	          span_equal(a->file, b->file));
}

START_TEST(every_field_comes_back) /* in a message of every type */
{
	struct dhcp in = { .type = (enum dhcp_type)_i, .xid = 0xfffffffe, .secs = 65535, .hops = 2, .ciaddr = 1,
	                   .yiaddr = 2, .siaddr = 3, .giaddr = 4, .chaddr = { 1, 2, 3, 4, 5, 6 },
	                   .sname = span_of("head-end"),
		           .file = span_of("a.cfg"), .mask = 5, .router = 6, .dns = { 7, 8, 9 }, .requested_ip = 10,
		           .lease_s = DHCP_LEASE_INFINITE, .server_id = 11, .renew_s = 12, .rebind_s = 13,
		           .host_name = span_of("cta1"), .domain = span_of("tollgate.example"),
	                   .vendor_specific = { "\0\1", 2 },
		           .parameters = { "\1\3", 2 }, .message = span_of("no"), .class_id = span_of("pktc1.0"),
		           .client_id = { "\0\0x", 3 }, .tftp_server = span_of("10.1.0.1"),
	                   .boot_file = span_of("b.cfg"),
		           .provisioning_name = "pca.tollgate.example", .realm = "R" };
	struct dhcp out;
	uint8_t bytes[DHCP_MESSAGE_MAX];
	size_t len = dhcp_write(&in, bytes, sizeof bytes);

	ck_assert_uint_gt(len, 0);
	ck_assert(dhcp_parse(bytes, len, &out));
	check_spans(&in, &out);
	ck_assert(out.type == in.type && out.xid == in.xid && out.secs == 65535 && out.hops == 2 && !out.broadcast);
	ck_assert(out.ciaddr == 1 && out.yiaddr == 2 && out.siaddr == 3 && out.giaddr == 4 && out.mask == 5 &&
	          out.router == 6);
	ck_assert(out.dns[0] == 7 && out.dns[1] == 8 && out.dns[2] == 9 && out.requested_ip == 10 &&
	          out.server_id == 11);
	ck_assert(out.lease_s == DHCP_LEASE_INFINITE && out.renew_s == 12 && out.rebind_s == 13 &&
	          !out.provisioning_ip);
	ck_assert_str_eq(out.provisioning_name, in.provisioning_name);
	ck_assert_str_eq(out.realm, "R");
}
END_TEST

/* Each by one change to the ACK above. */
static const struct edit refusals[] = {
	{ "op of a request", 0, 1, "01" },
	{ "not Ethernet", 1, 1, "06" },
	{ "hardware address of another length", 2, 1, "08" },
	{ "no NUL in sname", 44, 64, "41*64" },
	{ "no NUL in file", 108, 128, "41*128" },
	{ "file name that is no text", 109, 1, "0a" },
	{ "another cookie", 236, 1, "64" },
	{ "no message type", 240, 3, "" },
	{ "message type 0", 242, 1, "00" },
	{ "message type of no message", 242, 1, "09" },
	{ "message type of two bytes", 241, 2, "02 05 05" },
	{ "message type twice", 243, 0, "35 01 05" },
	{ "message type of a request", 242, 1, "03" },
	{ "offer without an address", 16, 227, "00*12 001018010203 00*10" HEADER_ZEROS "35 01 02" },
	{ "mask of three bytes", 243, 6, "01 03 ffff00" },
	{ "no router in the list", 249, 6, "03 00" },
	{ "DNS list of six bytes", 255, 10, "06 06 0a0100010a02" },
	{ "DNS server 0.0.0.0", 257, 4, "00000000" },
	{ "host name of no length", 265, 6, "0c 00" },
	{ "host name that is no text", 267, 1, "00" },
	{ "host name with a control character", 267, 1, "1f" },
	{ "host name with a DEL", 267, 1, "7f" },
	{ "client identifier of one byte", 265, 0, "3d 01 01" },
	{ "lease of eight bytes", 271, 6, "33 08 00000e1000000e10" },
	{ "no server identifier", 277, 6, "" },
	{ "option overload", 243, 0, "34 01 01" },
	{ "unknown option twice", 243, 0, "fe 01 01 fe 01 01" },
	{ "option longer than the message", 284, 1, "1d" },
	{ "client configuration that ends in a sub-option", 284, 1, "1a" },
	{ "sub-option of no length", 284, 8, "16 03 00" },
	{ "provisioning server of an unknown kind", 287, 1, "02" },
	{ "provisioning server 0.0.0.0", 288, 4, "00000000" },
	{ "provisioning server of three bytes", 283, 9, "7a 1a 03 04 01 0a0300" },
	{ "provisioning server twice", 283, 2, "7a 22 03 05 01 0a030001" },
	{ "realm of no labels", 284, 28, "0a 03 05 01 0a030001 06 01 00" },
	{ "realm with a compressed label", 294, 1, "c8" },
	{ "realm with a label too long", 303, 1, "08" },
	{ "realm with a dot in a label", 295, 1, "2e" },
	{ "bytes behind the realm", 303, 1, "00" },
	{ "no END", -1, 1, "" },
	{ "END in the middle", 283, 1, "ff" },
	{ "an option without a length", -1, 1, "0c" },
	{ "bytes behind END", -1, 1, "ff 00 01" },
	{ "longer than a datagram", -1, 0, "00*1172" },
};

START_TEST(refuses)
{
	uint8_t bytes[FIXTURE_MAX], *block;
	size_t len = bytes_of(ack, bytes), edited_len;
	struct dhcp m = { .xid = 77 };

	block = edited(bytes, len, &refusals[_i], &edited_len);
	ck_assert_msg(!dhcp_parse(block, edited_len, &m), "accepted: %s", refusals[_i].why);
	ck_assert_uint_eq(m.xid, 77);
	free(block);
}
END_TEST

/* What RFC 2131 tables 3 and 5 demand of each message, and what RFC 2131 leaves to padding. */
START_TEST(needs_of_each_type)
{
	static const struct dhcp bad[] = {
		{ .type = DHCP_OFFER, .yiaddr = 1, .lease_s = 1 }, { .type = DHCP_OFFER, .yiaddr = 1, .server_id = 1 },
		{ .type = DHCP_OFFER, .lease_s = 1, .server_id = 1 }, { .type = DHCP_ACK, .yiaddr = 1, .lease_s = 1 },
		{ .type = DHCP_NAK }, { .type = DHCP_RELEASE, .ciaddr = 1 }, { .type = DHCP_RELEASE, .server_id = 1 },
		{ .type = DHCP_INFORM }, { .type = DHCP_DECLINE, .server_id = 1 }, { .type = (enum dhcp_type)0 },
		{ .type = DHCP_TYPE_COUNT }, { .type = DHCP_DISCOVER, .realm = "a..b" },
		{ .type = DHCP_DISCOVER, .realm = "." },
	};
	uint8_t bytes[DHCP_MESSAGE_MAX], *block;
	char text[257];
	struct dhcp m;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(dhcp_write(&bad[i], bytes, sizeof bytes) == 0, "written: %zu", i);
	memset(text, 'a', sizeof text);
	m = (struct dhcp){ .type = DHCP_DISCOVER, .file = { text, 127 }, .host_name = { text, 255 } };
	ck_assert_uint_gt(dhcp_write(&m, bytes, sizeof bytes), 0);
	m.file.len = 128;
	ck_assert_uint_eq(dhcp_write(&m, bytes, sizeof bytes), 0);
	m.file.len = 0;
	m.host_name.len = 256;
	ck_assert_uint_eq(dhcp_write(&m, bytes, sizeof bytes), 0);
	ck_assert(parse("01 01 06 00 00*4 0000 0000 00*16 00*6 00*10" HEADER_ZEROS "00 00 35 01 01 00 fe 00 ff", &m,
	                &block));
	free(block);
}
END_TEST

START_TEST(longer_lists_are_cut) /* two routers, four DNS servers: their neighbours stay what they were */
{
	struct dhcp m;
	uint8_t *block;

	ck_assert(parse("01 01 06 00 00*4 0000 0000 00*16 00*6 00*10" HEADER_ZEROS
	                "35 01 01 01 04 ffffff00 03 08 00000001 00000002 06 10"
	                "00000003 00000004 00000005 00000006 ff", &m,
	                &block));
	ck_assert(m.mask == 0xffffff00 && m.router == 1 && m.dns[0] == 3 && m.dns[1] == 4 && m.dns[2] == 5);
	ck_assert(!m.requested_ip && !m.lease_s);
	free(block);
}
END_TEST

/* a text of one byte, text from space to tilde, characters of a name, 1472 bytes, a name as long as an option */
START_TEST(shortest_and_longest)
{
	struct dhcp in = { .type = DHCP_DISCOVER, .host_name = span_of("c"), .class_id = span_of(" ~"),
	                   .client_id = { "\1\2", 2 }, .realm = "AZaz09.-_" }, out;
	uint8_t bytes[DHCP_MESSAGE_MAX + 1] = { 0 };
	size_t len = dhcp_write(&in, bytes, sizeof bytes);

	ck_assert(len && dhcp_parse(bytes, len, &out));
	ck_assert(span_is(out.host_name, "c") && span_is(out.class_id, " ~") && out.client_id.len == 2);
	ck_assert_str_eq(out.realm, "AZaz09.-_");
	ck_assert(dhcp_parse(bytes, DHCP_MESSAGE_MAX, &out) && !dhcp_parse(bytes, DHCP_MESSAGE_MAX + 1, &out));
	for (const char *bad = "@[`{/:,^"; *bad; bad++) { /* the neighbours of letters, digits, '-' and '_' */
		snprintf(in.realm, sizeof in.realm, "A%cA", *bad);
		len = dhcp_write(&in, bytes, sizeof bytes);
		ck_assert(len && !dhcp_parse(bytes, len, &out));
	}
	memset(in.realm, 'a', sizeof in.realm - 1); /* 251 and their two bytes fill option 122 */
	in.realm[63] = in.realm[127] = in.realm[191] = '.';
	in.realm[251] = '\0';
	len = dhcp_write(&in, bytes, sizeof bytes);
	ck_assert(len && dhcp_parse(bytes, len, &out));
	ck_assert_str_eq(out.realm, in.realm);
	strcat(in.realm, "a");
	ck_assert_uint_eq(dhcp_write(&in, bytes, sizeof bytes), 0);
	memset(in.realm, 'a', 64);
	in.realm[64] = '\0';
	ck_assert_uint_eq(dhcp_write(&in, bytes, sizeof bytes), 0);
}
END_TEST

static size_t accepted, described;

static void run_mutant(const uint8_t *bytes, size_t len)
{
	char all[FIXTURE_MAX] = "";
	struct dhcp m;

	accepted += dhcp_parse(bytes, len, &m);
	dhcp_describe(bytes, len, collect, all);
	described += strlen(all) > 0;
}

START_TEST(survives_mutations)
{
	uint8_t bytes[FIXTURE_MAX];

	mutate(bytes, bytes_of(ack, bytes), 21311, run_mutant);
	ck_assert(accepted > 0 && accepted < FIXTURE_MUTATIONS && described == accepted);
}
END_TEST

START_TEST(describes)
{
	uint8_t bytes[FIXTURE_MAX];
	char all[FIXTURE_MAX] = "";

	dhcp_describe(bytes, bytes_of(ack, bytes), collect, all);
	ck_assert_str_eq(all,
	                 "xid=3903f326;secs=2;chaddr=00:10:18:01:02:03;yiaddr=10.1.0.2;siaddr=10.1.0.1;giaddr=10.1.0.3;"
	                 "provisioning-server=10.3.0.1;file=unprov.cfg;subnet-mask=255.255.0.0;router=10.1.0.1;"
	                 "dns=10.1.0.1;"
	                 "host-name=cta1;lease-s=3600;server-id=10.1.0.1;realm=TOLLGATE.EXAMPLE;");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_test(t, capture_is_read);
	tcase_add_test(t, client_configuration_is_read);
	tcase_add_test(t, written_bytes_are_golden);
	tcase_add_loop_test(t, every_field_comes_back, DHCP_DISCOVER, DHCP_TYPE_COUNT);
	tcase_add_loop_test(t, refuses, 0, (int)(sizeof refusals / sizeof refusals[0]));
	tcase_add_test(t, needs_of_each_type);
	tcase_add_test(t, longer_lists_are_cut);
	tcase_add_test(t, shortest_and_longest);
	tcase_add_test(t, survives_mutations);
	tcase_add_test(t, describes);
	return run_suite("DHCP", t);
}

/*
 * Fuzzing of DHCP. Input: a message, as it comes in a datagram.
 *
 * What must hold: any bytes are parsed or refused; what is accepted says the same when it is written and read again.
 */
#include "models/wire/dhcp.h"
#include "tests/fuzz/fuzz.h"

static void check_spans(const struct dhcp *a, const struct dhcp *b)
{
	fuzz_require(span_equal(a->sname, b->sname) && span_equal(a->file, b->file));
	fuzz_require(span_equal(a->host_name, b->host_name) && span_equal(a->domain, b->domain));
	fuzz_require(span_equal(a->vendor_specific, b->vendor_specific) && span_equal(a->parameters, b->parameters));
	fuzz_require(span_equal(a->message, b->message) && span_equal(a->class_id, b->class_id));
	fuzz_require(span_equal(a->client_id, b->client_id) && span_equal(a->tftp_server, b->tftp_server));
	fuzz_require(span_equal(a->boot_file, b->boot_file));
}

static void check_same(const struct dhcp *a, const struct dhcp *b)
{
	fuzz_require(a->type == b->type && a->xid == b->xid && a->secs == b->secs && a->hops == b->hops);
	fuzz_require(a->broadcast == b->broadcast && memcmp(a->chaddr, b->chaddr, sizeof a->chaddr) == 0);
	fuzz_require(a->ciaddr == b->ciaddr && a->yiaddr == b->yiaddr && a->siaddr == b->siaddr &&
	             a->giaddr == b->giaddr);
	fuzz_require(a->mask == b->mask && a->router == b->router && memcmp(a->dns, b->dns, sizeof a->dns) == 0);
	fuzz_require(a->requested_ip == b->requested_ip && a->lease_s == b->lease_s && a->server_id == b->server_id);
	fuzz_require(a->renew_s == b->renew_s && a->rebind_s == b->rebind_s);
	fuzz_require(a->provisioning_ip == b->provisioning_ip && strcmp(a->realm, b->realm) == 0);
	fuzz_require(strcmp(a->provisioning_name, b->provisioning_name) == 0);
	check_spans(a, b);
}

static void check_message(const struct dhcp *m)
{
	uint8_t *room = malloc(DHCP_MESSAGE_MAX), *exact;
	struct dhcp again;
	size_t written;

	fuzz_require(room && dhcp_kind(m->type) != NULL);
	written = dhcp_write(m, room, DHCP_MESSAGE_MAX);
	fuzz_require(written >= DHCP_MESSAGE_MIN && dhcp_parse(room, written, &again));
	check_same(m, &again);
	exact = malloc(written);
	fuzz_require(exact && dhcp_write(m, exact, written) == written && dhcp_write(m, exact, written - 1) == 0);
	free(exact);
	free(room);
}

static void take_field(void *ctx, const char *path, const char *value, int class_)
{
	(void)ctx;
	fuzz_require(strlen(path) > 0 && strlen(value) <= WIRE_FIELD_MAX && class_ >= 0 && class_ <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = fuzz_exact(data, size);
	struct dhcp m;

	dhcp_describe(bytes, size, take_field, NULL);
	if (dhcp_parse(bytes, size, &m))
		check_message(&m);
	free(bytes);
	return 0;
}

#define TEXT(s) { s, sizeof s - 1 }
static const struct dhcp seeds[] = {
	{ .type = DHCP_DISCOVER, .xid = 0x3903f326, .broadcast = true, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 },
	  .class_id = TEXT("pktc1.0:0501"), .client_id = TEXT("\1\0\x10\x18\1\2\3"),
	  .parameters = TEXT("\1\3\6\14\17\173"), .vendor_specific = TEXT("\2\5ECMTA") },
	{ .type = DHCP_OFFER, .xid = 0x3903f326, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 }, .yiaddr = 0x0a010002,
	  .siaddr = 0x0a010001, .file = TEXT("unprov.cfg"), .mask = 0xffff0000, .router = 0x0a010001,
	  .dns = { 0x0a010001, 0x0a020001 }, .lease_s = 3600, .renew_s = 1800, .rebind_s = 3150,
	  .server_id = 0x0a010001, .domain = TEXT("tollgate.example"),
	  .tftp_server = TEXT("10.1.0.1"), .boot_file = TEXT("unprov.cfg"),
	  .provisioning_ip = 0x0a030001, .realm = "TOLLGATE.EXAMPLE" },
	{ .type = DHCP_REQUEST, .xid = 0x3903f326, .secs = 2, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 },
	  .requested_ip = 0x0a010002, .server_id = 0x0a010001, .host_name = TEXT("cta1"), .class_id = TEXT("pktc1.0") },
	{ .type = DHCP_ACK, .xid = 0x3903f326, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 }, .yiaddr = 0x0a010002,
	  .giaddr = 0x0a010003, .hops = 1, .lease_s = DHCP_LEASE_INFINITE, .server_id = 0x0a010001,
	  .sname = TEXT("head-end"), .provisioning_name = "pca.tollgate.example", .realm = "TOLLGATE.EXAMPLE" },
	{ .type = DHCP_NAK, .xid = 7, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 }, .server_id = 0x0a010001,
	  .message = TEXT("address in use") },
	{ .type = DHCP_RELEASE, .xid = 8, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 }, .ciaddr = 0x0a010002,
	  .server_id = 0x0a010001 },
	{ .type = DHCP_INFORM, .xid = 9, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 }, .ciaddr = 0x0a010002,
	  .parameters = TEXT("\173") },
	{ .type = DHCP_DECLINE, .xid = 10, .chaddr = { 0, 0x10, 0x18, 1, 2, 3 }, .requested_ip = 0x0a010002,
	  .server_id = 0x0a010001 },
};

size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	return nth < sizeof seeds / sizeof seeds[0] ? dhcp_write(&seeds[nth], out, size) : 0;
}

/* The capture: its blocks as the format describes them, read by a parser of this test and by tshark. */
#define _GNU_SOURCE /* memmem */
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>

#include "sim/packet.h"
#include "tests/reports/fixture.h"

static struct fixture f;
static char path[FIXTURE_PATH_MAX];

static void setup(void)
{
	fixture_open(&f);
	fixture_path(&f, "run.pcapng", path);
}

static void teardown(void)
{
	fixture_close(&f);
}

static struct capture *start(void)
{
	struct capture *c = capture_new(f.sim, path, f.error);

	ck_assert_msg(c != NULL, "%s", f.error);
	return c;
}

static void finish(struct capture *c)
{
	ck_assert_msg(capture_finish(c, f.error), "%s", f.error);
}

/* An Ethernet frame of this length (at least 60, so that nobody takes it for cut), of a local experimental type. */
static struct packet *frame(uint32_t len, uint64_t tag)
{
	struct packet *p = packet_new(f.sim, len);
	uint8_t *bytes = packet_append(p, len);

	memset(bytes, 0x5a, len);
	memcpy(bytes, f.sc1->ifaces->mac, 6);
	memcpy(bytes + 6, f.alice->ifaces->mac, 6);
	put_be16(bytes + 12, 0x88b5);
	p->tag = tag;
	return p;
}

static void see(const struct node *at, enum packet_event what, uint32_t len, uint64_t tag)
{
	struct packet *p = frame(len, tag);

	trace_packet(f.sim, at->ifaces, what, p);
	packet_free(p);
}

/* Two ends of a frame of a message, a frame of none, and one by an attacker in alice's name. */
static void small_run(void)
{
	uint64_t tag = fixture_send(&f, "AS-REQ", f.alice, ALICE_IP, KDC_IP);

	f.sim->now_ns = 1;
	see(f.alice, PACKET_OUT, 61, tag);
	f.sim->now_ns = 2 * NS_PER_S + 123456789;
	see(f.sc1, PACKET_IN, 61, tag);
	see(f.alice, PACKET_OUT, 64, 0);
	see(f.mallory, PACKET_OUT, 63, fixture_send(&f, "AS-REQ", f.mallory, ALICE_IP, UINT32_C(0x01020304)));
	see(f.alice, PACKET_IN, 62, 4711); /* a tag nobody told of */
}

/* ---- our reading ---- */

struct reader {
	uint8_t *bytes;
	size_t len, at;
};

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* The next block's type and body; both of its lengths must be the same and a multiple of four. 0 at the end. */
static uint32_t next_block(struct reader *r, const uint8_t **body, uint32_t *len)
{
	uint32_t type, total;

	if (r->at == r->len)
		return 0;
	ck_assert_uint_ge(r->len - r->at, 12);
	type = le32(r->bytes + r->at);
	total = le32(r->bytes + r->at + 4);
	ck_assert_uint_eq(total % 4, 0);
	ck_assert_uint_ge(total, 12);
	ck_assert_uint_le(total, r->len - r->at);
	ck_assert_uint_eq(le32(r->bytes + r->at + total - 4), total);
	*body = r->bytes + r->at + 8;
	*len = total - 12;
	r->at += total;
	return type;
}

/* Writes options as "code:length " and says that they end properly. */
static void list_options(const uint8_t *p, const uint8_t *end, char out[256])
{
	size_t at = 0;

	out[0] = '\0';
	for (;;) {
		uint32_t code, len;

		ck_assert_uint_ge((size_t)(end - p), 4);
		code = le32(p) & 0xffff;
		len = le32(p) >> 16;
		p += 4;
		if (!code)
			break;
		ck_assert_uint_le(len, (size_t)(end - p));
		at += (size_t)snprintf(out + at, 256 - at, "%u:%u ", code, len);
		p += (len + 3) & ~3u;
	}
	ck_assert_ptr_eq(p, end);
}

START_TEST(blocks)
{
	static const struct {
		uint32_t iface, len, after_ns;
		const char *options;
	} packets[] = {
		{ 0, 61, 1, "2:4 1:16 " },
		{ 1, 61, 2123456789, "2:4 1:16 " },
		{ 0, 64, 2123456789, "2:4 " },
		{ 2, 63, 2123456789, "2:4 1:31 " },
		{ 0, 62, 2123456789, "2:4 " },
	};
	static const char *const ifaces[] = { "alice:eth0", "sc1:eth0", "mallory:eth0" };
	struct capture *c = start();
	struct reader r = { 0 };
	const uint8_t *body;
	uint32_t len, type, iface_count = 0, packet_count = 0;
	char options[256];

	small_run();
	finish(c);
	r.bytes = (uint8_t *)fixture_read(path, &r.len);
	ck_assert_uint_eq(next_block(&r, &body, &len), 0x0a0d0d0a);
	ck_assert_uint_eq(len, 16); /* no options: no program, no machine */
	ck_assert_uint_eq(le32(body), 0x1a2b3c4d);
	ck_assert_uint_eq(le32(body + 4), 1);
	while ((type = next_block(&r, &body, &len)) != 0) {
		if (type == 1) {
			ck_assert_uint_lt(iface_count, 3);
			ck_assert_uint_eq(le32(body), 1); /* Ethernet */
			list_options(body + 8, body + len, options);
			ck_assert_ptr_nonnull(memmem(body, len, ifaces[iface_count], strlen(ifaces[iface_count])));
			ck_assert_ptr_nonnull(strstr(options, "9:1 "));
			iface_count++;
		} else {
			uint64_t time_ns = (uint64_t)le32(body + 4) << 32 | le32(body + 8);

			ck_assert_uint_eq(type, 6);
			ck_assert_uint_lt(packet_count, 5);
			ck_assert_uint_eq(le32(body), packets[packet_count].iface);
			ck_assert_uint_eq(time_ns, UINT64_C(955324800000000000) + packets[packet_count].after_ns);
			ck_assert_uint_eq(le32(body + 12), packets[packet_count].len);
			ck_assert_uint_eq(le32(body + 16), packets[packet_count].len);
			list_options(body + 20 + ((packets[packet_count].len + 3) & ~3u), body + len, options);
			ck_assert_str_eq(options, packets[packet_count].options);
			packet_count++;
		}
	}
	ck_assert_uint_eq(iface_count, 3);
	ck_assert_uint_eq(packet_count, 5);
	free(r.bytes);
}
END_TEST

/* ---- a stranger's reading ---- */

START_TEST(tshark_reads)
{
	struct capture *c;
	char command[512], output[2048];
	size_t len;
	FILE *pipe;

	if (system("command -v tshark > /dev/null") != 0) {
		printf("tshark is not installed: its reading is not tested\n");
		return;
	}
	c = start();
	small_run();
	finish(c);
	snprintf(command, sizeof command, "tshark -r %s -T fields -E separator='|' -e frame.time_epoch -e frame.interface_name"
	         " -e frame.interface_description -e frame.packet_flags -e frame.len -e frame.comment -e eth.src 2> /dev/null", path);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	len = fread(output, 1, sizeof output - 1, pipe);
	output[len] = '\0';
	ck_assert_int_eq(pclose(pipe), 0);
	ck_assert_str_eq(output,
	                 "955324800.000000001|alice:eth0|lan|0x00000002|61|AS-REQ alice>kdc|02:00:00:00:00:00\n"
	                 "955324802.123456789|sc1:eth0|lan|0x00000001|61|AS-REQ alice>kdc|02:00:00:00:00:00\n"
	                 "955324802.123456789|alice:eth0|lan|0x00000002|64||02:00:00:00:00:00\n"
	                 "955324802.123456789|mallory:eth0|lan|0x00000002|63|AS-REQ alice>1.2.3.4 by mallory|02:00:00:00:00:00\n"
	                 "955324802.123456789|alice:eth0|lan|0x00000001|62||02:00:00:00:00:00\n");
}
END_TEST

START_TEST(same_bytes)
{
	struct capture *c = start();
	char other[FIXTURE_PATH_MAX];

	small_run();
	finish(c);
	sim_free(f.sim);
	fixture_run_new(&f);
	c = capture_new(f.sim, fixture_path(&f, "another name", other), f.error);
	ck_assert_ptr_nonnull(c);
	small_run();
	ck_assert(capture_finish(c, f.error));
	fixture_same_bytes(path, other);
	ck_assert_uint_eq(fixture_file_count(&f), 2);
}
END_TEST

/* Interfaces made while the run goes on, more than the table begins with. */
START_TEST(many_interfaces)
{
	enum { COUNT = 500 };
	struct capture *c = start();
	struct reader r = { 0 };
	const uint8_t *body;
	uint32_t len, type, ifaces = 0, packets = 0;

	for (uint32_t i = 0; i < COUNT; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%u", i);
		see(fixture_node(&f, name, UINT32_C(0x0a020000) + i), PACKET_OUT, 60, 0);
		see(f.alice, PACKET_IN, 60, 0);
	}
	for (const struct node *node = f.sim->nodes; node; node = node->next)
		see(node, PACKET_OUT, 60, 0);
	finish(c);
	r.bytes = (uint8_t *)fixture_read(path, &r.len);
	ck_assert_uint_eq(next_block(&r, &body, &len), 0x0a0d0d0a);
	while ((type = next_block(&r, &body, &len)) != 0) {
		if (type == 6)
			ck_assert_uint_lt(le32(body), ifaces); /* an interface is described before its packets */
		ifaces += type == 1;
		packets += type == 6;
	}
	ck_assert_uint_eq(ifaces, COUNT + 4);
	ck_assert_uint_eq(packets, 2 * COUNT + COUNT + 4);
	free(r.bytes);
}
END_TEST

START_TEST(accidents)
{
	char bad[FIXTURE_PATH_MAX];
	struct capture *c;
	pid_t child;
	int status;

	ck_assert_ptr_null(capture_new(f.sim, fixture_path(&f, "no/such.pcapng", bad), f.error));
	ck_assert_ptr_nonnull(strstr(f.error, "cannot be written"));
	c = start();
	small_run();
	capture_abandon(c);
	ck_assert_uint_eq(fixture_file_count(&f), 0);
	ck_assert_uint_eq(f.sim->trace_mask, 0);
	finish(start()); /* what stood before */
	child = fork();
	if (child == 0) {
		struct rlimit limit = { 100, 100 };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		c = capture_new(f.sim, path, f.error);
		small_run();
		_exit(c && !capture_finish(c, f.error) && strstr(f.error, "cannot be written") ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(fixture_file_count(&f), 1);
	{
		size_t len;
		char *bytes = fixture_read(path, &len);

		ck_assert_uint_eq(len, 28); /* the section block of the empty capture */
		free(bytes);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pcapng");
	TCase *tcase = tcase_create("pcapng");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, blocks);
	tcase_add_test(tcase, tshark_reads);
	tcase_add_test(tcase, same_bytes);
	tcase_add_test(tcase, many_interfaces);
	tcase_add_test(tcase, accidents);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

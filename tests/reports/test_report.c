/*
 * The page of `tollgate report`: equal bytes for equal databases, its policy, its escaping with hostile text in every column, its
 * size for a long run and what it then keeps, and that a file which is no such database gives an error and no page. How it looks
 * and acts in a browser is tests/report_page.sh's.
 */
#include <openssl/evp.h>

#include "reports/report.h"
#include "tests/reports/fixture.h"

static struct fixture f;
static char path[FIXTURE_PATH_MAX], page_path[FIXTURE_PATH_MAX];

static void setup(void)
{
	fixture_open(&f);
	fixture_path(&f, "run.db", path);
	fixture_path(&f, "page.html", page_path);
}

static void teardown(void)
{
	fixture_close(&f);
}

/* ---- a run ---- */

static const char *const state_names[] = { "Idle", "Securing", "Talking" };
static const char *const event_names[] = { "dial", "answered" };
static const struct machine_cell cells[] = {
	{ .legal = true, .next = 1 }, { 0 }, { 0 }, { .legal = true, .next = 2 }, { 0 }, { 0 },
};
static const struct machine_def line_def = { .name = "line", .states = state_names, .events = event_names, .state_count = 3,
	                                     .event_count = 2, .cells = cells };

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	(void)bytes, (void)len;
	sink(ctx, "cname", "alice", FIELD_FACT);
	sink(ctx, "nonce", "12345", FIELD_RANDOM);
}

static uint64_t send_message(const char *kind, struct node *actor, uint32_t src, uint32_t dst, enum fate fate, const char *why)
{
	struct trace_send send = { .actor = actor,
		                   .kind = kind,
		                   .proto = "krb5",
		                   .src_ip = src,
		                   .dst_ip = dst,
		                   .cover = COVER_KRB5,
		                   .bytes = (const uint8_t *)"0123456789",
		                   .len = 10,
		                   .describe = describe };
	uint64_t tag = trace_sent(f.sim, &send);

	f.sim->now_ns += NS_PER_MS;
	trace_fate(f.sim, tag, f.sc1, fate, why);
	return tag;
}

static void key_made(const char *holder, const char *role, uint8_t number, uint8_t parent)
{
	struct trace_key key = { .step = KEY_BORN, .holder = holder, .role = role, .algorithm = "des3-cbc", .how = "generated",
		                 .fingerprint = { number }, .has_parent = parent != 0, .parent = { parent } };

	trace_key(f.sim, &key);
}

static void call_event(const char *event, const char *reason)
{
	struct trace_call news = {
		.id = "call-1", .caller = "5550101", .callee = "5550102", .event = event, .reason = reason, .at = f.alice
	};

	trace_call(f.sim, &news);
}

static void run(struct recorder *r)
{
	const struct verdict held = { "keys are gone", "held", NS_PER_S, "", "x.lua:9" };
	const struct verdict failed = { "alice talks", "failed", 2 * NS_PER_S, "no answer", "x.lua:12" };
	struct machine machine;

	recorder_run_value(r, "title", "A run");
	recorder_run_value(r, "attack", "T1");
	recorder_run_value(r, "attack.switches", "sc.replay_cache");
	recorder_run_value(r, "attack.expected", "stopped");
	recorder_run_value(r, "switch.sc.replay_cache", "on");
	recorder_node_model(r, f.alice, "cta");
	recorder_node_model(r, f.mallory, "attacker");
	key_made("kdc", "krb.reply", 1, 0);
	key_made("kdc", "krb.session", 2, 1);
	key_made("mallory", "krb.session", 2, 1);
	send_message("AS-REQ", f.alice, ALICE_IP, KDC_IP, FATE_ACCEPTED, NULL);
	send_message("AS-REP", f.kdc, KDC_IP, ALICE_IP, FATE_ACCEPTED, NULL);
	machine_start(&machine, &line_def, 0);
	call_event("dialled", "");
	machine_event(f.alice, &machine, 0, NULL);
	send_message("AP-REQ", f.mallory, ALICE_IP, SC1_IP, FATE_REFUSED, "sc.replay_cache");
	f.sim->now_ns += 3 * NS_PER_S;
	machine_event(f.alice, &machine, 0, NULL);
	machine_event(f.alice, &machine, 1, NULL);
	call_event("answered", "");
	trace_refuse(f.sc1, "sc.replay_cache", ALICE_IP, 0, "seen before");
	trace_sample(f.kdc, "service.queued", 3, "jobs");
	call_event("failed", "486 Busy Here");
	recorder_verdict(r, &held);
	recorder_verdict(r, &failed);
}

static void record(const char *to, enum record_level level)
{
	struct recorder *r = recorder_new(f.sim, to, level, false, f.error);

	ck_assert_msg(r != NULL, "%s", f.error);
	run(r);
	ck_assert_msg(recorder_finish(r, f.error), "%s", f.error);
}

static void change(const char *sql)
{
	sqlite3 *db;
	char *error = NULL;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, sql, NULL, NULL, &error);
	ck_assert_msg(error == NULL, "%s: %s", sql, error);
	sqlite3_close(db);
}

/* The page; caller frees. */
static char *page(size_t *len)
{
	ck_assert_msg(report_write(path, page_path, NULL, f.error) == 0, "%s", f.error);
	return fixture_read(page_path, len);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

/* ---- tests ---- */

START_TEST(sections)
{
	static const char *const wanted[] = {
		"<h1>A run</h1>",
		"1 of 2 claims failed",
		"<td>T1</td>",
		"<section id=\"claims\"",
		"<section id=\"attack\"",
		"<section id=\"refusals\"",
		"<section id=\"ladder\"",
		"<section id=\"calls\"",
		"<section id=\"machines\"",
		"<section id=\"keys\"",
		"<section id=\"load\"",
		"AP-REQ",
		"sc.replay_cache",
		"mallory (attacker)",
		"486 Busy Here",
		"<th scope=\"row\">cname</th>",
		"Securing",
		"in the name of alice",
		"\xe2\x80\xa6 1.99 s \xe2\x80\xa6",
		"peak 3 jobs",
	};
	size_t len;
	char *text;

	record(path, RECORD_ALL);
	text = page(&len);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s is missing", wanted[i]);
	ck_assert_uint_eq(len, strlen(text));
	ck_assert(strstr(text, "alice talks") < strstr(text, "keys are gone")); /* what failed comes first */
	ck_assert(strstr(text, "id=\"claims\"") < strstr(text, "id=\"ladder\""));
	ck_assert_uint_eq(count(text, "<section"), count(text, "</section>"));
	ck_assert_uint_eq(count(text, "<details"), count(text, "</details>"));
	ck_assert_uint_eq(count(text, "<table"), count(text, "</table>"));
	free(text);
}
END_TEST

START_TEST(equal_bytes)
{
	char second[FIXTURE_PATH_MAX], second_page[FIXTURE_PATH_MAX], whole[FIXTURE_PATH_MAX];
	size_t len;
	FILE *out;

	fixture_path(&f, "second.db", second);
	fixture_path(&f, "second.html", second_page);
	fixture_path(&f, "stream.html", whole);
	record(path, RECORD_ALL);
	free(page(&len));
	sim_free(f.sim);
	fixture_run_new(&f);
	record(second, RECORD_ALL);
	ck_assert_int_eq(report_write(second, second_page, NULL, f.error), 0);
	fixture_same_bytes(page_path, second_page);
	out = fopen(whole, "w");
	ck_assert_int_eq(report_write(second, NULL, out, f.error), 0);
	fclose(out);
	fixture_same_bytes(page_path, whole);
}
END_TEST

/* The policy names the hash of exactly the style and the script that are there, and allows nothing else. */
static void check_hash(const char *text, const char *directive, const char *open, const char *close)
{
	const char *from = strstr(text, open) + strlen(open), *to = strstr(from, close);
	unsigned char hash[32], base64[48];
	char expected[128];

	ck_assert_int_eq(EVP_Digest(from, (size_t)(to - from), hash, NULL, EVP_sha256(), NULL), 1);
	EVP_EncodeBlock(base64, hash, sizeof hash);
	snprintf(expected, sizeof expected, "%s 'sha256-%s';", directive, (char *)base64);
	ck_assert_msg(strstr(text, expected) != NULL, "%s", expected);
}

START_TEST(policy)
{
	size_t len;
	char *text;

	record(path, RECORD_ALL);
	text = page(&len);
	ck_assert_ptr_nonnull(strstr(text, "content=\"default-src 'none'; style-src 'sha256-"));
	check_hash(text, "style-src", "<style>", "</style>");
	check_hash(text, "script-src", "<script>", "</script>");
	ck_assert_uint_eq(count(text, "unsafe"), 0);
	ck_assert_uint_eq(count(text, "http:") + count(text, "https:") + count(text, "url(") + count(text, "@import"), 0);
	ck_assert_uint_eq(count(text, " src=") + count(text, " style=") + count(text, " onclick="), 0);
	free(text);
}
END_TEST

/* Two runs: what differs, each section twice, no id twice, no byte that depends on the files' names. */
START_TEST(pair)
{
	char second[FIXTURE_PATH_MAX], copy[FIXTURE_PATH_MAX];
	size_t len, other_len;
	char *text, *other;

	fixture_path(&f, "second.db", second);
	fixture_path(&f, "copy.html", copy);
	record(path, RECORD_ALL);
	sim_free(f.sim);
	fixture_run_new(&f);
	record(second, RECORD_ALL);
	ck_assert_int_eq(report_write_pair(path, second, page_path, NULL, f.error), 0);
	text = fixture_read(page_path, &len);
	ck_assert_uint_eq(count(text, "section id=\"a-"), count(text, "section id=\"b-"));
	ck_assert_ptr_nonnull(strstr(text, "identical"));
	check_hash(text, "script-src", "<script>", "</script>");
	ck_assert_uint_eq(count(text, "id=\"a-m0\"") + count(text, "id=\"b-m0\""), 2);
	ck_assert_int_eq(report_write_pair(second, path, copy, NULL, f.error), 0);
	fixture_same_bytes(page_path, copy);
	change("UPDATE verdict SET result = 'held' WHERE result = 'failed'");
	ck_assert_int_eq(report_write_pair(path, second, copy, NULL, f.error), 0);
	other = fixture_read(copy, &other_len);
	ck_assert_ptr_nonnull(strstr(other, "held -&gt; failed"));
	ck_assert_ptr_nonnull(strstr(other, "1 of 2 claims failed"));
	ck_assert_ptr_nonnull(strstr(other, "all 2 claims held"));
	unlink(second);
	ck_assert_int_eq(report_write_pair(path, second, copy, NULL, f.error), 2);
	ck_assert_ptr_eq(strstr(f.error, second), f.error);
	ck_assert_int_eq(report_write_pair(second, path, copy, NULL, f.error), 2);
	ck_assert_ptr_eq(strstr(f.error, second), f.error);
	free(text);
	free(other);
}
END_TEST

#define HOSTILE                                                                                                            \
	"'</style></script><script>alert(1)</script>\"''><img src=x onerror=alert(2)>&lt;' || char(8238, 7, 27) || "       \
	"CAST(x'ff' AS TEXT) || 'z'"

START_TEST(hostile_text)
{
	static const struct {
		const char *table, *columns;
	} tables[] = {
		{ "message", "src kind fate why cause actor cover proto sha256" },
		{ "field", "path value class" },
		{ "node", "model" },
		{ "step", "machine before event after cause" },
		{ "key", "role algorithm how holders fingerprint" },
		{ "call", "caller callee outcome reason" },
		{ "verdict", "claim result because place" },
		{ "refusal", "why src detail message" },
		{ "refusal_count", "why" },
		{ "run", "value" },
		{ "sample", "unit" },
	};
	char sql[1024], columns[128], *text;
	size_t len;

	record(path, RECORD_ALL);
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		snprintf(columns, sizeof columns, "%s", tables[i].columns);
		for (char *rest, *column = strtok_r(columns, " ", &rest); column; column = strtok_r(NULL, " ", &rest)) {
			snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s = %s", tables[i].table, column, HOSTILE);
			change(sql);
		}
		text = page(&len);
		ck_assert_uint_eq(len, strlen(text));
		ck_assert_msg(count(text, "<script") == 1 && count(text, "</script") == 1 && count(text, "</style") == 1,
		              "%s", tables[i].table);
		ck_assert_uint_eq(count(text, "<img"), 0);
		ck_assert_uint_gt(count(text, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;&lt;img"), 0);
		ck_assert_uint_gt(count(text, "&amp;lt;\\u{202e}\\x07\\x1b\\xffz"), 0);
		for (size_t at = 0; at < len; at++)
			ck_assert((unsigned char)text[at] >= 0x20 || text[at] == '\n' || text[at] == '\t');
		free(text);
	}
}
END_TEST

/* A long run: bounded, what went wrong late is there with what led to it, and what is left off is said. */
START_TEST(long_run)
{
	struct recorder *r = recorder_new(f.sim, path, RECORD_ALL, false, f.error);
	size_t len;
	char *text;

	ck_assert_ptr_nonnull(r);
	for (int i = 0; i < 20000; i++)
		send_message("AS-REQ", f.alice, ALICE_IP, KDC_IP, FATE_ACCEPTED, NULL);
	send_message("AS-REP", f.kdc, KDC_IP, ALICE_IP, FATE_REFUSED, "pkinit.bind");
	for (int i = 0; i < 20000; i++)
		send_message("AS-REQ", f.alice, ALICE_IP, KDC_IP, FATE_ACCEPTED, NULL);
	ck_assert(recorder_finish(r, f.error));
	change("UPDATE message SET cause = 'alice>kdc AS-REQ #15000' WHERE kind = 'AS-REP';"
	       "UPDATE message SET cause = 'alice>kdc AS-REQ #14000' WHERE kind = 'AS-REQ' AND nth = 15000");
	text = page(&len);
	ck_assert_uint_lt(len, 12000000);
	ck_assert_uint_gt(count(text, "<details class=\"m\""), 1000);
	ck_assert_uint_le(count(text, "<details class=\"m\""), 3000);
	ck_assert_ptr_nonnull(strstr(text, "refused: pkinit.bind"));
	ck_assert_ptr_nonnull(strstr(text, "\xe2\x86\x92 kdc: AS-REQ #15000 "));
	ck_assert_ptr_nonnull(strstr(text, "\xe2\x86\x92 kdc: AS-REQ #14000 "));
	ck_assert_ptr_null(strstr(text, "\xe2\x86\x92 kdc: AS-REQ #14001 "));
	ck_assert_ptr_nonnull(strstr(text, "This run has 40001 messages; "));
	ck_assert_ptr_nonnull(strstr(text, " messages and 0 other rows until 13.998000 s are left off"));
	ck_assert_ptr_nonnull(strstr(text, ">alice&gt;kdc AS-REQ #15000</a>"));
	free(text);
}
END_TEST

/* Keys whose parents go round are all there, once. */
START_TEST(key_circle)
{
	size_t len;
	char *text;

	record(path, RECORD_ALL);
	change("DELETE FROM key;"
	       "INSERT INTO key VALUES ('a', 'r', 'x', 'b', '', 0, NULL, '', ''), ('b', 'r', 'x', 'c', '', 0, NULL, '', "
	       "''),"
	       " ('c', 'r', 'x', 'a', '', 0, NULL, '', ''), ('d', 'r', 'x', 'd', '', 0, NULL, '', ''), ('e', 'r', 'x', '', "
	       "'', 0, NULL, '', '')");
	text = page(&len);
	ck_assert_uint_eq(count(text, "<li id=\"k"), 5);
	free(text);
}
END_TEST

START_TEST(empty_and_summary)
{
	struct recorder *r = recorder_new(f.sim, path, RECORD_ALL, false, f.error);
	size_t len;
	char *text;

	ck_assert(recorder_finish(r, f.error));
	text = page(&len);
	ck_assert_ptr_nonnull(strstr(text, "Nothing was claimed"));
	free(text);
	record(path, RECORD_SUMMARY);
	text = page(&len);
	ck_assert_ptr_nonnull(strstr(text, "Recorded as a summary"));
	free(text);
}
END_TEST

START_TEST(no_database)
{
	FILE *file = fopen(path, "w");
	char *text;
	size_t len;

	fputs("no database", file);
	fclose(file);
	file = fopen(page_path, "w");
	fputs("the old page", file);
	fclose(file);
	ck_assert_int_eq(report_write(path, page_path, NULL, f.error), 2);
	ck_assert_ptr_eq(strstr(f.error, path), f.error);
	text = fixture_read(page_path, &len);
	ck_assert_str_eq(text, "the old page");
	free(text);
	unlink(path);
	record(path, RECORD_ALL);
	ck_assert_int_eq(report_write(path, "/nowhere/page.html", NULL, f.error), 2);
	ck_assert_ptr_eq(strstr(f.error, "/nowhere/page.html"), f.error);
	change("UPDATE message SET got_ns = -9223372036854775808, size = -1; UPDATE message SET sent_ns = "
	       "9223372036854775807 WHERE nth = 1;"
	       "UPDATE call SET dialled_ns = -9223372036854775808, answered_ns = 9223372036854775807, ended_ns = "
	       "9223372036854775807;"
	       "UPDATE step SET at_ns = 9223372036854775807; UPDATE sample SET at_ns = -5, value = 9223372036854775807;"
	       "UPDATE run SET value = '9223372036854775807' WHERE name = 'end_ns'; UPDATE key SET born_ns = -1, dead_ns = "
	       "-9223372036854775808");
	free(page(&len));
	ck_assert_uint_eq(fixture_file_count(&f), 2); /* nothing temporary is left */
}
END_TEST

/* Bytes of a good database altered, and its end cut off: a page or an error, whatever the bytes. */
START_TEST(damaged)
{
	uint32_t random = 2463534242u;
	unsigned errors = 0;
	char *good, *bad;
	size_t len;

	record(path, RECORD_ALL);
	good = fixture_read(path, &len);
	bad = malloc(len);
	for (int i = 0; i < 300; i++) {
		FILE *file = fopen(path, "wb");

		memcpy(bad, good, len);
		for (int n = 0; n < 1 + i % 40; n++) {
			random ^= random << 13;
			random ^= random >> 17;
			random ^= random << 5;
			bad[random % len] = (char)(random >> 24);
		}
		fwrite(bad, 1, i % 5 ? len : len - random % len, file);
		fclose(file);
		errors += report_write(path, page_path, NULL, f.error) == 2;
	}
	ck_assert_uint_gt(errors, 50); /* the damage is seen */
	free(good);
	free(bad);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report");
	TCase *tcase = tcase_create("report");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, sections);
	tcase_add_test(tcase, equal_bytes);
	tcase_add_test(tcase, policy);
	tcase_add_test(tcase, pair);
	tcase_add_test(tcase, hostile_text);
	tcase_add_test(tcase, long_run);
	tcase_add_test(tcase, key_circle);
	tcase_add_test(tcase, empty_and_summary);
	tcase_add_test(tcase, no_database);
	tcase_add_test(tcase, damaged);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

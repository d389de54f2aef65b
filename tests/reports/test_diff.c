/*
 * The diff: what it prints, character by character, for a database and edited copies of it; that it is silent about chance; that
 * trouble names the file; and that no damage to a file does harm. The longest common subsequence and the percentiles are held
 * against slow ways to find them.
 */
#include <errno.h>

#include "reports/diff_internal.h"
#include "tests/reports/fixture.h"

static struct fixture f;
static char path_a[FIXTURE_PATH_MAX], path_b[FIXTURE_PATH_MAX];

/* ---- a run ---- */

static const char *const state_names[] = { "Idle", "Calling", "Talking" };
static const char *const event_names[] = { "dial", "answer" };
static const struct machine_cell cells[] = { { .legal = true, .next = 1 }, { 0 }, { 0 }, { .legal = true, .next = 2 },
	                                     { 0 }, { 0 } };
static const struct machine_def line_def = { .name = "line", .states = state_names, .events = event_names, .state_count = 3,
	                                     .event_count = 2, .cells = cells };

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	(void)bytes, (void)len;
	sink(ctx, "CSeq", "1", FIELD_FACT);
	sink(ctx, "Call-ID", "abc", FIELD_RANDOM);
	sink(ctx, "ctime", "20000410000000Z", FIELD_TIME);
	sink(ctx, "via", "one", FIELD_FACT);
	sink(ctx, "via", "two", FIELD_FACT);
}

static uint64_t send(const char *kind, struct node *actor, uint32_t src, uint32_t dst, uint64_t cause)
{
	struct trace_send message = { .actor = actor, .kind = kind, .proto = "sip", .src_ip = src, .dst_ip = dst, .cover = COVER_ESP,
		                      .bytes = (const uint8_t *)"0123456789", .len = 10, .describe = describe };
	uint64_t tag;

	f.sim->cause = cause;
	tag = trace_sent(f.sim, &message);
	f.sim->now_ns += NS_PER_MS;
	trace_fate(f.sim, tag, f.sc1, FATE_ACCEPTED, NULL);
	f.sim->cause = tag;
	return tag;
}

static void call_event(const char *event, const char *reason)
{
	struct trace_call news = { .id = "call-1", .caller = "5550101", .callee = "5550102", .event = event, .reason = reason,
		                   .at = f.alice };

	trace_call(f.sim, &news);
}

/* Alice calls by way of sc1: INVITE, on to the KDC, back; then INFO, INFO, BYE, each from the one before. */
static void run(struct recorder *r)
{
	const struct verdict talks = { "alice talks", "held", 5 * NS_PER_S, "", "calls/x.lua:12" };
	const struct verdict clear = { "voice in clear", "held", 6 * NS_PER_S, "", "calls/x.lua:3" };
	struct machine machine;
	uint64_t invite, query, ok, info;

	recorder_run_value(r, "scenario", "calls/x.lua");
	machine_start(&machine, &line_def, 0);
	f.sim->now_ns = NS_PER_S;
	call_event("dialled", "");
	machine_event(f.alice, &machine, 0, NULL);
	invite = send("INVITE", f.alice, ALICE_IP, SC1_IP, 0);
	query = send("QUERY", f.sc1, SC1_IP, KDC_IP, invite);
	ok = send("REPLY", f.kdc, KDC_IP, SC1_IP, query);
	send("200 INVITE", f.sc1, SC1_IP, ALICE_IP, ok);
	machine_event(f.alice, &machine, 1, NULL);
	call_event("answered", "");
	f.sim->now_ns = 3 * NS_PER_S;
	info = send("INFO", f.alice, ALICE_IP, SC1_IP, 0);
	info = send("INFO", f.alice, ALICE_IP, SC1_IP, info);
	send("BYE", f.alice, ALICE_IP, SC1_IP, info);
	f.sim->cause = 0;
	call_event("released", "hung up");
	trace_sample(f.alice, "rtp.sent", 25, "packets");
	recorder_verdict(r, &talks);
	recorder_verdict(r, &clear);
}

/* What no element of the fixture makes: a key, a call record. */
static const char more_sql[] =
	"INSERT INTO key VALUES ('sc1/esp.cipher/1', 'esp.cipher', 'des3-cbc', 'sc1/subkey/1', 'derived', 1000000000, NULL, 'alice,sc1', 'aa');"
	"INSERT INTO call_record VALUES ('call-1', 1, '5550101', '5550101', '5550102', 1000000000, 1004000000, 3003000000, 'hung up', 'sc1');"
	"INSERT INTO account VALUES ('5550101', 1, 1, 1999000000);";

static void change(const char *path, const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	FILE *file = fopen(path, "wb");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

static void copy_a(void)
{
	size_t len;
	char *bytes = fixture_read(path_a, &len);

	write_file(path_b, bytes, len);
	free(bytes);
}

static void setup(void)
{
	struct recorder *r;

	fixture_open(&f);
	fixture_path(&f, "a.db", path_a);
	fixture_path(&f, "b.db", path_b);
	r = recorder_new(f.sim, path_a, RECORD_ALL, false, f.error);
	ck_assert_msg(r != NULL, "%s", f.error);
	run(r);
	ck_assert_msg(recorder_finish(r, f.error), "%s", f.error);
	change(path_a, more_sql);
	copy_a();
}

static void teardown(void)
{
	fixture_close(&f);
}

/* What is printed; f.error when that fails. */
static char *printed(const struct diff_options *options, int expected_code)
{
	static char *text;
	size_t len;
	FILE *out;
	int code;

	free(text);
	text = NULL;
	out = open_memstream(&text, &len);
	ck_assert_ptr_nonnull(out);
	code = diff_print(path_a, path_b, options, out, f.error);
	fclose(out);
	ck_assert_msg(code == expected_code, "%d and not %d: %s\n%s", code, expected_code, f.error, text);
	return text;
}

static const struct diff_options plain, all = { .all = true };

/* ---- edited copies ---- */

/* Renumbers as a recorder would have: a message more of this kind before number n. */
#define SHIFT_INFO "UPDATE message SET nth = nth + 100 WHERE kind = 'INFO'; UPDATE message SET nth = nth - 99 WHERE kind = 'INFO';" \
	"UPDATE field SET nth = nth + 100 WHERE kind = 'INFO'; UPDATE field SET nth = nth - 99 WHERE kind = 'INFO';"
#define MESSAGE_COPY(change_, where_) \
	"INSERT INTO message SELECT src, dst, " change_ ", got_ns, fate, why, cause, actor, cover, proto, size, sha256 FROM message" \
	" WHERE " where_ ";"

static const struct {
	const char *name, *sql;
	int code;
	const char *text;
} edits[] = {
#include "tests/reports/diff_golden.h"
};

START_TEST(edited)
{
	change(path_b, edits[_i].sql);
	ck_assert_msg(strcmp(printed(&plain, edits[_i].code), edits[_i].text) == 0, "%s:\n%s", edits[_i].name, printed(&plain, edits[_i].code));
}
END_TEST

START_TEST(unfolded)
{
	const char *text;

	change(path_b, "UPDATE field SET value = '2' WHERE kind IN ('INVITE', 'QUERY', '200 INVITE') AND path = 'CSeq'");
	text = printed(&plain, 1);
	ck_assert_ptr_nonnull(strstr(text, "  2 differences follow from it:\n"));
	ck_assert_ptr_null(strstr(text, "sc1>kdc QUERY #1  CSeq"));
	ck_assert_ptr_nonnull(strstr(text, "2 more, following from those told; --all shows them\n"));
	text = printed(&all, 1);
	ck_assert_ptr_nonnull(strstr(text, "sc1>kdc QUERY #1  CSeq: 1 -> 2\n"));
	ck_assert_ptr_nonnull(strstr(text, "sc1>alice 200 INVITE #1  CSeq: 1 -> 2\n")); /* by way of REPLY, which is the same */
	ck_assert_ptr_null(strstr(text, "--all"));
}
END_TEST

START_TEST(exact_times)
{
	const struct diff_options exact = { .exact_times = true };
	const char *text;

	change(path_b, "UPDATE message SET sent_ns = sent_ns + 20000 WHERE kind = 'BYE';"
	               "UPDATE message SET got_ns = got_ns + 1 WHERE kind = 'QUERY'");
	text = printed(&exact, 1);
	ck_assert_ptr_nonnull(strstr(text, "alice>sc1 BYE #1\n        sent_ns: 3.002000 s -> 3.002020 s\n        got_ns: 3.003000 s -> 3.003000 s\n"));
	ck_assert_ptr_nonnull(strstr(text, "sc1>kdc QUERY #1\n"));
	ck_assert_ptr_null(strstr(text, "INFO"));
	ck_assert_ptr_null(strstr(printed(&plain, 1), "sent_ns"));
}
END_TEST

START_TEST(color)
{
	const struct diff_options colored = { .color = true };
	char bare[65536];
	size_t len = 0;

	change(path_b, "DELETE FROM message WHERE kind = 'BYE'; UPDATE field SET value = CAST(x'1b5b334a' AS TEXT) WHERE path = 'CSeq'");
	for (const char *s = printed(&colored, 1); *s;) {
		if (*s == '\033') {
			s = strchr(s, 'm') + 1;
			continue;
		}
		ck_assert_uint_lt(len, sizeof bare - 1);
		bare[len++] = *s++;
	}
	bare[len] = '\0';
	ck_assert_ptr_nonnull(strstr(printed(&colored, 1), "\033[1mdifferent\033[0m"));
	ck_assert_str_eq(printed(&plain, 1), bare);
	ck_assert_ptr_null(strchr(printed(&plain, 1), '\033'));
}
END_TEST

/* More edits in one conversation than are looked for: paired by number, and said so. */
START_TEST(by_number)
{
	const char *text;
	char sql[1024];

	for (int side = 0; side < 2; side++) {
		snprintf(sql, sizeof sql, "INSERT INTO message WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
		         " SELECT 'kdc', 'mallory', char(65 + i * i * %d / 7 %% 26), i, 1000 + i, NULL, 'sent', '', '', '', 'clear', '', 1, ''"
		         " FROM n", side ? 5 : 3);
		change(side ? path_b : path_a, sql);
	}
	text = printed(&plain, 1);
	ck_assert_ptr_nonnull(strstr(text, "1024 differences, or kinds that are no text: 1; paired by number"));
	ck_assert_ptr_nonnull(strstr(text, "  kdc <> mallory: missing "));
	ck_assert_ptr_nonnull(strstr(text, ", moved 0"));
}
END_TEST

/* ---- formats for others ---- */

/* What SQLite's reader of JSON finds at a place. */
static const char *json_at(const char *json, const char *place)
{
	static char out[4096];
	sqlite3 *db;
	sqlite3_stmt *stmt;

	ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT iif(json_valid(?1), json_extract(?1, ?2), 'not JSON')", -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_text(stmt, 1, json, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, place, -1, SQLITE_STATIC);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	snprintf(out, sizeof out, "%s", sqlite3_column_text(stmt, 0) ? (const char *)sqlite3_column_text(stmt, 0) : "null");
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return out;
}

START_TEST(json)
{
	const struct diff_options options = { .format = DIFF_JSON }, unfold = { .format = DIFF_JSON, .all = true };
	const char *text;

	text = printed(&options, 0);
	ck_assert_str_eq(json_at(text, "$.result"), "identical");
	change(path_b, "UPDATE field SET value = CAST(x'1b5b324a0a3c22275c09ff' AS TEXT) WHERE kind IN ('INVITE', 'QUERY') AND path = 'CSeq';"
	               "UPDATE message SET sent_ns = sent_ns + 7 WHERE kind = 'BYE';"
	               "UPDATE verdict SET result = 'failed', because = 'no answer' WHERE claim = 'alice talks'");
	text = printed(&options, 1);
	ck_assert_str_eq(json_at(text, "$.schema"), "1");
	ck_assert_str_eq(json_at(text, "$.result"), "different");
	ck_assert_str_eq(json_at(text, "$.a"), path_a);
	ck_assert_str_eq(json_at(text, "$.b"), path_b);
	ck_assert_str_eq(json_at(text, "$.claims[0].values[0]"), "{\"path\":\"result\",\"a\":\"held\",\"b\":\"failed\",\"start\":0}");
	ck_assert_str_eq(json_at(text, "$.first.a"), "alice>sc1 INVITE #1");
	ck_assert_str_eq(json_at(text, "$.first.at_ns"), "1000000000");
	ck_assert_str_eq(json_at(text, "$.first.values[0].b"), "\\x1b[2J\n<\"'\\\t\\xff");
	ck_assert_str_eq(json_at(text, "$.first.followers"), "1");
	ck_assert_str_eq(json_at(text, "$.folded"), "1");
	ck_assert_str_eq(json_at(text, "$.fields[1].a"), "null");
	ck_assert_str_eq(json_at(text, "$.timing.moved.messages.worst_ns"), "7");
	ck_assert_str_eq(json_at(text, "$.timing.moved.messages.worst"), "alice>sc1 BYE #1");
	ck_assert_str_eq(json_at(text, "$.timing.spans.delivery.b.p50_ns"), "1000000");
	text = printed(&unfold, 1);
	ck_assert_str_eq(json_at(text, "$.fields[1].a"), "sc1>kdc QUERY #1");
	ck_assert_str_eq(json_at(text, "$.fields[1].follows"), "alice>sc1 INVITE #1");
	ck_assert_str_eq(json_at(text, "$.folded"), "0");
}
END_TEST

/* Much more than fits, and bytes that would be markup. */
START_TEST(markdown)
{
	const struct diff_options options = { .format = DIFF_MARKDOWN }, unfold = { .format = DIFF_MARKDOWN, .all = true };
	const char *text;

	ck_assert_str_eq(printed(&options, 0), "**identical**: the same bytes\n");
	change(path_b, "INSERT INTO node WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
	               " SELECT '@user [x](http://a.b) <img> | ``` & www.x.y' || i, 'cta' FROM n");
	text = printed(&options, 1);
	ck_assert_uint_lt(strlen(text), 8000);
	ck_assert_ptr_nonnull(strstr(text, "**different**: 5000 elements\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n4980 rows are left out for want of space; `tollgate diff --all` shows everything.\n"));
	text = printed(&unfold, 1);
	ck_assert_uint_le(strlen(text), DIFF_MARKDOWN_MAX);
	ck_assert_uint_gt(strlen(text), DIFF_MARKDOWN_MAX * 9 / 10);
	ck_assert_ptr_nonnull(strstr(text, "rows are left out for want of space"));
	ck_assert_ptr_null(strstr(text, "<img>"));
	ck_assert_ptr_null(strstr(text, "@user"));
	ck_assert_ptr_null(strstr(text, "```"));
	ck_assert_ptr_null(strstr(text, "http:"));
	ck_assert_ptr_null(strstr(text, "www.x"));
	ck_assert_ptr_null(strstr(text, "](http"));
}
END_TEST

/* ---- trouble ---- */

static void check_trouble(const char *path, const char *says)
{
	printed(&plain, 2);
	ck_assert_msg(strncmp(f.error, path, strlen(path)) == 0 && strstr(f.error, says), "\"%s\": %s wanted", f.error, says);
}

START_TEST(trouble)
{
	const char *good = path_b;
	size_t len;
	char *bytes = fixture_read(path_a, &len);

	for (int side = 0; side < 2; side++) {
		char *bad = side ? path_b : path_a;

		unlink(bad);
		check_trouble(bad, "cannot be read: No such file");
		ck_assert_int_eq(mkdir(bad, 0700), 0);
		check_trouble(bad, "cannot be read: not a file");
		rmdir(bad);
		write_file(bad, "", 0);
		check_trouble(bad, "not a result database");
		write_file(bad, "This is a text that is long enough to be looked at as if it were a database, one hundred bytes of it.", 101);
		check_trouble(bad, "not a result database");
		unlink(bad);
		change(bad, "CREATE TABLE verdict (x); PRAGMA user_version = 1");
		check_trouble(bad, "not a result database");
		write_file(bad, bytes, len / 2);
		check_trouble(bad, "truncated: ");
		write_file(bad, bytes, len - 1);
		check_trouble(bad, "truncated: ");
		write_file(bad, bytes, len);
		change(bad, "PRAGMA user_version = 2");
		check_trouble(bad, "schema version 2, this program reads version 1");
		change(bad, "PRAGMA user_version = 1; DROP VIEW failures; DROP VIEW timeline; DROP TABLE refusal");
		check_trouble(bad, "table refusal is missing");
		write_file(bad, bytes, len);
	}
	ck_assert_ptr_nonnull(good);
	printed(&plain, 0);
	free(bytes);
}
END_TEST

/* Two files that are the same bytes but no result: trouble, not identical. */
START_TEST(same_nonsense)
{
	write_file(path_a, "nonsense", 8);
	write_file(path_b, "nonsense", 8);
	check_trouble(path_a, "not a result database");
}
END_TEST

/* What cannot be in a result, but may be in a file that claims to be one. */
START_TEST(extreme_values)
{
	change(path_b, "UPDATE message SET got_ns = -9223372036854775808, size = -1 WHERE kind = 'INVITE';"
	               "UPDATE message SET sent_ns = 9223372036854775807 WHERE kind = 'BYE';"
	               "UPDATE message SET sent_ns = -9223372036854775808, got_ns = 9223372036854775807 WHERE kind = 'REPLY';"
	               "UPDATE message SET cause = 'sc1>kdc QUERY #1' WHERE kind = 'INVITE'; UPDATE message SET fate = 'lost';" /* a circle */
	               "UPDATE step SET at_ns = 9223372036854775807, machine = hex(zeroblob(5000));"
	               "UPDATE call SET dialled_ns = -9223372036854775808, answered_ns = 9223372036854775807;"
	               "UPDATE account SET talk_ns = -9223372036854775808; UPDATE key SET born_ns = -9223372036854775808;"
	               "UPDATE verdict SET at_ns = -9223372036854775808, claim = claim || hex(zeroblob(100000));"
	               "UPDATE run SET value = hex(zeroblob(10000)) WHERE name <> 'record';"
	               "UPDATE field SET value = hex(zeroblob(100000)), path = hex(zeroblob(3000)) WHERE kind = 'QUERY' AND path = 'CSeq'");
	for (int format = DIFF_TEXT; format <= DIFF_MARKDOWN; format++) {
		for (int unfold = 0; unfold < 2; unfold++) {
			const struct diff_options options = { .format = (enum diff_format)format, .all = unfold, .exact_times = unfold };

			printed(&options, 1);
		}
	}
}
END_TEST

/* Bytes of a good database altered: a result or an error, whatever the bytes. */
START_TEST(damaged)
{
	uint32_t random = 2463534242u;
	unsigned errors = 0, differences = 0;
	size_t len;
	char *good = fixture_read(path_a, &len), *bad = malloc(len);
	FILE *out = fopen("/dev/null", "w");

	change(path_a, "UPDATE field SET value = '2' WHERE path = 'CSeq'; DELETE FROM message WHERE kind = 'BYE'");
	for (int i = 0; i < 600; i++) {
		const struct diff_options options = { .format = (enum diff_format)(i % 3), .all = i % 2, .exact_times = i % 5 == 0 };
		int code;

		memcpy(bad, good, len);
		for (int n = 0; n < 1 + i % 40; n++) {
			random ^= random << 13;
			random ^= random >> 17;
			random ^= random << 5;
			bad[random % len] = (char)(random >> 24);
		}
		write_file(path_b, bad, len);
		code = i % 7 ? diff_print(path_a, path_b, &options, out, f.error) : diff_print(path_b, path_a, &options, out, f.error);
		ck_assert(code == 1 || (code == 2 && f.error[0]));
		errors += code == 2;
		differences += code == 1;
	}
	ck_assert_uint_gt(errors, 50); /* the damage is seen */
	ck_assert_uint_gt(differences, 50);
	fclose(out);
	free(good);
	free(bad);
}
END_TEST

/* ---- parts, held against slow ways ---- */

static uint32_t next_random(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 8;
}

/* The length of the longest common subsequence by the table of all prefixes. */
static size_t lcs_length(const uint32_t *a, size_t n, const uint32_t *b, size_t m)
{
	static size_t table[33][33];

	for (size_t i = 0; i <= n; i++)
		for (size_t j = 0; j <= m; j++)
			table[i][j] = !i || !j ? 0 : a[i - 1] == b[j - 1] ? table[i - 1][j - 1] + 1
				      : table[i - 1][j] > table[i][j - 1] ? table[i - 1][j] : table[i][j - 1];
	return table[n][m];
}

START_TEST(align_shortest)
{
	uint32_t random = 7, a[32], b[32], common_a[32], common_b[32];
	uint8_t a_alone[32], b_alone[32];

	for (int round = 0; round < 20000; round++) {
		size_t n = next_random(&random) % 33, m = next_random(&random) % 33, in_a = 0, in_b = 0;
		uint32_t symbols = 1 + next_random(&random) % 6;

		for (size_t i = 0; i < n; i++)
			a[i] = next_random(&random) % symbols;
		for (size_t i = 0; i < m; i++)
			b[i] = next_random(&random) % symbols;
		ck_assert(align(a, n, b, m, a_alone, b_alone));
		for (size_t i = 0; i < n; i++)
			if (!a_alone[i])
				common_a[in_a++] = a[i];
		for (size_t i = 0; i < m; i++)
			if (!b_alone[i])
				common_b[in_b++] = b[i];
		ck_assert_uint_eq(in_a, in_b);
		ck_assert(in_a == 0 || memcmp(common_a, common_b, in_a * sizeof *common_a) == 0);
		ck_assert_uint_eq(in_a, lcs_length(a, n, b, m));
	}
}
END_TEST

START_TEST(align_limit)
{
	static uint32_t a[ALIGN_EDITS_MAX], b[ALIGN_EDITS_MAX];
	static uint8_t a_alone[ALIGN_EDITS_MAX], b_alone[ALIGN_EDITS_MAX];

	for (uint32_t i = 0; i < ALIGN_EDITS_MAX; i++) {
		a[i] = i;
		b[i] = i + ALIGN_EDITS_MAX;
	}
	ck_assert(align(a, ALIGN_EDITS_MAX / 2, b, ALIGN_EDITS_MAX / 2, a_alone, b_alone));
	ck_assert(!align(a, ALIGN_EDITS_MAX / 2 + 1, b, ALIGN_EDITS_MAX / 2, a_alone, b_alone));
}
END_TEST

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

START_TEST(ranks_exact)
{
	static const size_t counts[] = { 1, 2, 3, 19, 20, 21, 99, 100, 101, RANKS_IN_MEMORY, RANKS_IN_MEMORY + 1, 3 * RANKS_IN_MEMORY + 5 };
	static int64_t values[3 * RANKS_IN_MEMORY + 5];
	uint32_t random = 3;

	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		struct ranks ranks = { 0 };

		ck_assert_int_eq(ranks_at(&ranks, 50), 0);
		for (size_t i = 0; i < counts[c]; i++) {
			values[i] = (int64_t)next_random(&random) << (next_random(&random) % 40);
			if (i == 7)
				values[i] = INT64_MAX;
			ranks_add(&ranks, values[i]);
		}
		qsort(values, counts[c], sizeof *values, by_value);
		for (unsigned percent = 1; percent <= 100; percent++)
			ck_assert_int_eq(ranks_at(&ranks, percent), values[(counts[c] * percent + 99) / 100 - 1]);
		ck_assert(!ranks.failed);
		ranks_free(&ranks);
	}
}
END_TEST

START_TEST(message_names)
{
	static const char *const bad[] = { "", "timer:x", "a>b", "a>b c", "a>b c #", "a>b c #0", "a>b c #-1", "a>b c #1x", "a b #1", "a>b #1" };
	struct message_key key;

	ck_assert(message_parse(&key, "sc1>alice 200 INVITE #12"));
	ck_assert_str_eq(key.src, "sc1");
	ck_assert_str_eq(key.dst, "alice");
	ck_assert_str_eq(key.kind, "200 INVITE");
	ck_assert_int_eq(key.nth, 12);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!message_parse(&key, bad[i]), "%s", bad[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diff");
	TCase *text = tcase_create("text"), *files = tcase_create("files"), *parts = tcase_create("parts");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(text, setup, teardown);
	tcase_set_timeout(text, 60);
	tcase_add_loop_test(text, edited, 0, (int)(sizeof edits / sizeof edits[0]));
	tcase_add_test(text, unfolded);
	tcase_add_test(text, exact_times);
	tcase_add_test(text, color);
	tcase_add_test(text, by_number);
	tcase_add_test(text, json);
	tcase_add_test(text, markdown);
	suite_add_tcase(suite, text);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_set_timeout(files, 240);
	tcase_add_test(files, trouble);
	tcase_add_test(files, same_nonsense);
	tcase_add_test(files, extreme_values);
	tcase_add_test(files, damaged);
	suite_add_tcase(suite, files);
	tcase_set_timeout(parts, 60);
	tcase_add_test(parts, align_shortest);
	tcase_add_test(parts, align_limit);
	tcase_add_test(parts, ranks_exact);
	tcase_add_test(parts, message_names);
	suite_add_tcase(suite, parts);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * The trace interface: who hears what, and that nothing is built when nobody listens.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "sim/node.h"

/* An observer's log: one line for each call. */
struct log {
	char text[2000];
	size_t len;
	struct sim *sim;
};

#define LOG(ctx, ...)                                                                                           \
	do {                                                                                                    \
		struct log *log_ = (ctx);                                                                       \
		log_->len += (size_t)snprintf(log_->text + log_->len, sizeof(log_->text) - log_->len, __VA_ARGS__); \
		ck_assert_uint_lt(log_->len, sizeof(log_->text));                                               \
	} while (0)

static void on_node(void *ctx, const struct node *node)
{
	LOG(ctx, "node %s\n", node->name);
}

static void on_iface(void *ctx, const struct iface *iface)
{
	LOG(ctx, "iface %s\n", iface->name);
}

static void on_packet(void *ctx, const struct iface *at, enum packet_event what, const struct packet *packet)
{
	LOG(ctx, "packet %s %d %u\n", at->name, what, packet->len);
}

static void on_message(void *ctx, const struct trace_message *m)
{
	struct log *log = ctx;

	ck_assert_ptr_eq(log->sim->sending, m);
	LOG(ctx, "message %d %s %s %s %x>%x cover %d len %d media %d cause %d timer %s\n", (int)m->tag, m->kind, m->proto,
	    m->actor->name, m->src_ip, m->dst_ip, m->cover, (int)m->len, m->media, (int)m->cause, m->timer ? m->timer : "-");
}

static void on_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	LOG(ctx, "fate %d %s %d %s\n", (int)tag, at->name, fate, why);
}

static void on_cover(void *ctx, uint64_t tag, enum cover cover)
{
	LOG(ctx, "cover %d %d\n", (int)tag, cover);
}

static void on_field(void *ctx, uint64_t tag, const char *path, const char *value, enum field_class class_)
{
	LOG(ctx, "field %d %s=%s %d\n", (int)tag, path, value, class_);
}

static void on_refusal(void *ctx, const struct node *at, const char *check, uint32_t src_ip, uint64_t tag,
                       const char *detail)
{
	LOG(ctx, "refusal %s %s %x %d %s\n", at->name, check, src_ip, (int)tag, detail);
}

static void on_step(void *ctx, const struct node *node, const struct machine *machine, unsigned before, unsigned event,
                    unsigned after, bool refused)
{
	(void)machine;
	LOG(ctx, "step %s %u %u %u %d\n", node->name, before, event, after, refused);
}

static void on_key(void *ctx, const struct trace_key *key)
{
	LOG(ctx, "key %s\n", key->role);
}

static void on_sample(void *ctx, const struct node *node, const char *metric, int64_t value, const char *unit)
{
	LOG(ctx, "sample %s %s %d %s\n", node->name, metric, (int)value, unit);
}

static void on_call(void *ctx, const struct trace_call *call)
{
	LOG(ctx, "call %s\n", call->event);
}

static void on_record(void *ctx, const struct trace_record *record)
{
	LOG(ctx, "record %s\n", record->account);
}

static const struct trace_ops all_ops = {
	.node = on_node, .iface = on_iface, .packet = on_packet, .message = on_message, .fate = on_fate,
	.cover = on_cover, .field = on_field, .refusal = on_refusal, .step = on_step, .key = on_key,
	.sample = on_sample, .call = on_call, .record = on_record,
};

static unsigned describes;

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	char value[8];

	describes++;
	snprintf(value, sizeof(value), "%zu", len);
	sink(ctx, "len", value, FIELD_FACT);
	snprintf(value, sizeof(value), "%u", bytes[0]);
	sink(ctx, "first", value, FIELD_RANDOM);
}

static uint64_t send(struct node *actor, bool media)
{
	static const uint8_t bytes[] = { 7, 8, 9 };

	return trace_sent(actor->sim, &(struct trace_send){
		.actor = actor, .kind = media ? "RTP" : "INVITE", .proto = media ? "rtp" : "sip", .src_ip = 0xa, .dst_ip = 0xb,
		.cover = COVER_ESP, .bytes = bytes, .len = sizeof(bytes), .describe = describe, .media = media,
	});
}

struct run {
	struct sim *sim;
	struct node *alice;
};

static struct run run_new(void)
{
	struct run run = { .sim = sim_new(1, 0) };

	describes = 0;
	run.alice = node_new(run.sim, "alice");
	return run;
}

static void attach(struct run *run, struct log *log, unsigned wants)
{
	*log = (struct log){ .sim = run->sim };
	trace_attach(run->sim, &all_ops, log, wants);
}

START_TEST(test_nobody_listens)
{
	struct run run = run_new();

	for (unsigned kind = TRACE_TOPOLOGY; kind <= TRACE_MEDIA; kind <<= 1)
		ck_assert(!trace_wants(run.sim, kind));
	ck_assert_uint_eq(send(run.alice, false), 0);
	ck_assert_uint_eq(send(run.alice, true), 0);
	ck_assert_uint_eq(describes, 0);
	trace_fate(run.sim, 1, run.alice, FATE_LOST, "link.loss");
	trace_refuse(run.alice, "sc.replay_cache", 1, 1, "");
	ck_assert_uint_eq(run.sim->next_tag, 1);
	sim_free(run.sim);
}
END_TEST

START_TEST(test_mask_is_union)
{
	struct run run = run_new();
	struct log a, b;

	attach(&run, &a, TRACE_STEP);
	attach(&run, &b, TRACE_CALL | TRACE_KEY);
	ck_assert(trace_wants(run.sim, TRACE_STEP));
	ck_assert(trace_wants(run.sim, TRACE_CALL));
	ck_assert(trace_wants(run.sim, TRACE_KEY));
	ck_assert(!trace_wants(run.sim, TRACE_MESSAGE));
	ck_assert_uint_eq(run.sim->trace_mask, TRACE_STEP | TRACE_CALL | TRACE_KEY);
	sim_free(run.sim);
}
END_TEST

START_TEST(test_message)
{
	struct run run = run_new();
	struct log log;

	attach(&run, &log, TRACE_MESSAGE);
	run.sim->cause = 9;
	run.sim->cause_timer = "sip.t1";
	ck_assert_uint_eq(send(run.alice, false), 1);
	run.sim->cause = 1;
	run.sim->cause_timer = NULL;
	ck_assert_uint_eq(send(run.alice, false), 2);
	ck_assert_ptr_null(run.sim->sending);
	trace_fate(run.sim, 2, run.alice, FATE_ACCEPTED, "");
	trace_cover(run.sim, 2, COVER_RTP);
	trace_fate(run.sim, 0, run.alice, FATE_LOST, "link.loss");
	trace_cover(run.sim, 0, COVER_RTP);
	trace_field(run.sim, 2, "path", "value", FIELD_TIME);
	ck_assert_str_eq(log.text, "message 1 INVITE sip alice a>b cover 2 len 3 media 0 cause 9 timer sip.t1\n"
	                           "message 2 INVITE sip alice a>b cover 2 len 3 media 0 cause 1 timer -\n"
	                           "fate 2 alice 1 \n"
	                           "cover 2 4\n");
	ck_assert_uint_eq(describes, 0);
	sim_free(run.sim);
}
END_TEST

#define MESSAGE_1 "message 1 INVITE sip alice a>b cover 2 len 3 media 0 cause 0 timer -\n"
#define MEDIA_N(n) "message " n " RTP rtp alice a>b cover 2 len 3 media 1 cause 0 timer -\n"
#define FIELDS_N(n) "field " n " len=3 0\nfield " n " first=7 1\n"

/* One observer, one message and one media packet: tags given, times decoded, and what was heard. */
START_TEST(test_media_and_fields)
{
	static const struct {
		unsigned wants;
		uint64_t tag, media_tag;
		unsigned describes;
		const char *heard;
	} row[] = {
		{ TRACE_MESSAGE, 1, 0, 0, MESSAGE_1 },
		{ TRACE_FIELD, 1, 0, 1, FIELDS_N("1") },
		{ TRACE_MEDIA, 0, 0, 0, "" },
		{ TRACE_MESSAGE | TRACE_FIELD, 1, 0, 1, MESSAGE_1 FIELDS_N("1") },
		{ TRACE_MESSAGE | TRACE_MEDIA, 1, 2, 0, MESSAGE_1 MEDIA_N("2") },
		{ TRACE_FIELD | TRACE_MEDIA, 1, 2, 2, FIELDS_N("1") FIELDS_N("2") },
		{ TRACE_MESSAGE | TRACE_FIELD | TRACE_MEDIA, 1, 2, 2, MESSAGE_1 FIELDS_N("1") MEDIA_N("2") FIELDS_N("2") },
		{ TRACE_STEP, 0, 0, 0, "" },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct run run = run_new();
		struct log log;

		attach(&run, &log, row[i].wants);
		ck_assert_msg(send(run.alice, false) == row[i].tag, "row %zu", i);
		ck_assert_msg(send(run.alice, true) == row[i].media_tag, "row %zu", i);
		ck_assert_msg(describes == row[i].describes, "row %zu: decoded %u times", i, describes);
		ck_assert_msg(strcmp(log.text, row[i].heard) == 0, "row %zu: heard\n%s", i, log.text);
		sim_free(run.sim);
	}
}
END_TEST

/* What different observers want together is not what one of them wants. */
START_TEST(test_observers_apart)
{
	struct run run = run_new();
	struct log messages, fields, media;

	attach(&run, &messages, TRACE_MESSAGE);
	attach(&run, &fields, TRACE_FIELD);
	attach(&run, &media, TRACE_MEDIA);
	ck_assert_uint_eq(send(run.alice, true), 0);
	ck_assert_uint_eq(send(run.alice, false), 1);
	ck_assert_str_eq(messages.text, MESSAGE_1);
	ck_assert_str_eq(fields.text, FIELDS_N("1"));
	ck_assert_str_eq(media.text, "");
	ck_assert_uint_eq(describes, 1);
	sim_free(run.sim);
}
END_TEST

START_TEST(test_refusal)
{
	struct run run = run_new();
	struct log refusals, messages;

	attach(&run, &refusals, TRACE_REFUSAL);
	attach(&run, &messages, TRACE_MESSAGE);
	trace_refuse(run.alice, "sc.replay_cache", 0xa, 5, "seen before");
	trace_refuse(run.alice, "ip.checksum", 0xb, 0, "");
	ck_assert_str_eq(refusals.text, "refusal alice sc.replay_cache a 5 seen before\nrefusal alice ip.checksum b 0 \n");
	ck_assert_str_eq(messages.text, "fate 5 alice 2 sc.replay_cache\n");
	sim_free(run.sim);
}
END_TEST

/* Every pair of fates, by the rank the header gives them. */
START_TEST(test_fate_outranks)
{
	static const enum fate worst_first[] = { FATE_SENT, FATE_LOST, FATE_INTERCEPTED, FATE_REFUSED, FATE_ACCEPTED };

	for (unsigned next = 0; next < 5; next++) {
		for (unsigned now = 0; now < 5; now++)
			ck_assert_msg(fate_outranks(worst_first[next], worst_first[now]) == (next > now), "%u over %u", next, now);
	}
}
END_TEST

START_TEST(test_detach)
{
	struct run run = run_new();
	struct log a, b, c;

	attach(&run, &a, TRACE_SAMPLE | TRACE_KEY);
	attach(&run, &b, TRACE_SAMPLE);
	trace_detach(run.sim, &all_ops, &c); /* never attached */
	trace_sample(run.alice, "queue", 1, "jobs");
	trace_detach(run.sim, &all_ops, &a);
	ck_assert(!trace_wants(run.sim, TRACE_KEY));
	ck_assert(trace_wants(run.sim, TRACE_SAMPLE));
	trace_sample(run.alice, "queue", 2, "jobs");
	trace_detach(run.sim, &all_ops, &a); /* again */
	for (int i = 0; i < 3 * TRACE_OBSERVERS_MAX; i++) { /* places are given back */
		attach(&run, &c, TRACE_SAMPLE);
		trace_sample(run.alice, "queue", 3, "jobs");
		trace_detach(run.sim, &all_ops, &c);
		b.len = 0;
	}
	trace_detach(run.sim, &all_ops, &b);
	ck_assert_uint_eq(run.sim->trace_mask, 0);
	trace_sample(run.alice, "queue", 4, "jobs");
	ck_assert_str_eq(a.text, "sample alice queue 1 jobs\n");
	ck_assert_str_eq(b.text, "sample alice queue 3 jobs\n");
	ck_assert_str_eq(c.text, "sample alice queue 3 jobs\n");
	sim_free(run.sim);
}
END_TEST

/* An observer may leave while it is being told, and the next one still hears. */
static void leave_on_sample(void *ctx, const struct node *node, const char *metric, int64_t value, const char *unit);
static const struct trace_ops leaving_ops = { .sample = leave_on_sample };

static void leave_on_sample(void *ctx, const struct node *node, const char *metric, int64_t value, const char *unit)
{
	LOG(ctx, "leaves at %s %d\n", metric, (int)value);
	(void)unit;
	trace_detach(node->sim, &leaving_ops, ctx);
}

START_TEST(test_detach_inside)
{
	struct run run = run_new();
	struct log leaving = { .sim = run.sim }, staying;

	trace_attach(run.sim, &leaving_ops, &leaving, TRACE_SAMPLE);
	attach(&run, &staying, TRACE_SAMPLE);
	trace_sample(run.alice, "queue", 1, "jobs");
	trace_sample(run.alice, "queue", 2, "jobs");
	ck_assert_str_eq(leaving.text, "leaves at queue 1\n");
	ck_assert_str_eq(staying.text, "sample alice queue 1 jobs\nsample alice queue 2 jobs\n");
	sim_free(run.sim);
}
END_TEST

/* Every kind by itself brings its own calls and no others. */
START_TEST(test_kinds)
{
	static const struct {
		unsigned kind;
		const char *heard;
	} row[] = {
		{ TRACE_TOPOLOGY, "node alice\niface eth0\n" },
		{ TRACE_PACKET, "packet eth0 1 3\n" },
		{ TRACE_MESSAGE, "fate 4 alice 3 link.loss\nfate 4 alice 2 check\ncover 4 1\n" },
		{ TRACE_FIELD, "field 4 p=v 2\n" },
		{ TRACE_STEP, "step alice 1 2 3 1\n" },
		{ TRACE_KEY, "key krb.session\n" },
		{ TRACE_SAMPLE, "sample alice queue 5 jobs\n" },
		{ TRACE_CALL, "call ringing\nrecord 215\n" },
		{ TRACE_MEDIA, "" },
		{ TRACE_REFUSAL, "refusal alice check 1 4 \n" },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct run run = run_new();
		struct link *link = link_new(run.sim, "lan", &(struct link_params){ 0 });
		struct iface *iface = iface_new(run.alice, link, "eth0", NULL, 0x0a000001, 24);
		struct packet *packet = packet_new(run.sim, 3);
		struct log log;

		packet_append(packet, 3);
		attach(&run, &log, row[i].kind);
		trace_node(run.sim, run.alice);
		trace_iface(run.sim, iface);
		trace_packet(run.sim, iface, PACKET_IN, packet);
		trace_fate(run.sim, 4, run.alice, FATE_LOST, "link.loss");
		trace_refuse(run.alice, "check", 1, 4, "");
		trace_cover(run.sim, 4, COVER_KRB5);
		trace_field(run.sim, 4, "p", "v", FIELD_TIME);
		trace_step(run.alice, NULL, 1, 2, 3, true);
		trace_key(run.sim, &(struct trace_key){ .role = "krb.session" });
		trace_sample(run.alice, "queue", 5, "jobs");
		trace_call(run.sim, &(struct trace_call){ .event = "ringing" });
		trace_record(run.sim, &(struct trace_record){ .account = "215" });
		ck_assert_msg(strcmp(log.text, row[i].heard) == 0, "kind %#x: heard\n%s", row[i].kind, log.text);
		packet_free(packet);
		sim_free(run.sim);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tests = tcase_create("trace");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_nobody_listens);
	tcase_add_test(tests, test_mask_is_union);
	tcase_add_test(tests, test_message);
	tcase_add_test(tests, test_media_and_fields);
	tcase_add_test(tests, test_observers_apart);
	tcase_add_test(tests, test_fate_outranks);
	tcase_add_test(tests, test_detach);
	tcase_add_test(tests, test_detach_inside);
	tcase_add_test(tests, test_refusal);
	tcase_add_test(tests, test_kinds);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/*
 * What recording costs: messages from trace_sent() to a finished database, fates in another order than sending, many flows.
 *
 * "none" is the same calls with nobody attached, "flow" and "all" with the recorder at that level ("all" adds five fields a
 * message); "run" is the part that falls into the run, "finish" sorting, vacuuming and putting it in place. Rows are messages,
 * at "all" fields too. Counted is time on the processor, so that a busy machine measures the same. What is wanted: a "flow"
 * message costs less than a tenth of one RSA-2048 signature (220 us).
 *
 *   bench_recorder [messages]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reports/reports.h"
#include "sim/node.h"
#include "sim/sim.h"

#define NODES 1000
#define MESSAGE_LEN 500
#define FIELDS 5
#define UNDER_WAY 64 /* messages on the wire at a time */
#define GOAL_PER_S 45000

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void describe(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	static const char *const paths[FIELDS] = { "cname", "crealm", "ctime", "nonce", "sname" };

	(void)bytes, (void)len;
	for (int i = 0; i < FIELDS; i++)
		sink(ctx, paths[i], "a value of some length", FIELD_FACT);
}

static void send_all(struct sim *sim, struct node **nodes, long count)
{
	static const char *const kinds[] = { "AS-REQ", "AS-REP", "AP-REQ", "AP-REP", "INVITE", "ACK", "BYE" };
	uint8_t bytes[MESSAGE_LEN] = { 0 };
	uint64_t tags[UNDER_WAY] = { 0 };
	uint32_t random = 1;

	for (long i = 0; i < count; i++) {
		struct node *from = nodes[(random = random * 1664525 + 1013904223) >> 8 & 0xff];
		struct node *to = nodes[NODES - 1 - (random >> 16) % NODES];
		struct trace_send send = { .actor = from, .kind = kinds[i % 7], .proto = "krb5", .src_ip = from->ifaces->ip,
			                   .dst_ip = to->ifaces->ip, .cover = COVER_KRB5, .bytes = bytes, .len = sizeof bytes,
			                   .describe = describe };
		uint64_t *slot = &tags[random % UNDER_WAY];

		sim->now_ns += 1000;
		trace_fate(sim, *slot, to, random & 0x1f00 ? FATE_ACCEPTED : FATE_LOST, "link.loss");
		sim->cause = *slot;
		memcpy(bytes, &i, sizeof i);
		*slot = trace_sent(sim, &send);
	}
	sim->cause = 0;
}

/* Returns messages a second; level < 0: nobody records. */
static double one(const char *name, int level, const char *path, long count)
{
	static const struct link_params params;
	struct sim *sim = sim_new(1, 0);
	struct link *link = link_new(sim, "lan", &params);
	struct node *nodes[NODES];
	struct recorder *recorder = NULL;
	char error[REPORT_ERROR_LEN], node_name[16];
	double begin, run, end;

	for (unsigned i = 0; i < NODES; i++) {
		snprintf(node_name, sizeof node_name, "cta%u", i);
		nodes[i] = node_new(sim, node_name);
		iface_new(nodes[i], link, "eth0", NULL, UINT32_C(0x0a000000) + i, 8);
	}
	if (level >= 0 && !(recorder = recorder_new(sim, path, (enum record_level)level, false, error))) {
		fprintf(stderr, "%s: %s\n", path, error);
		exit(1);
	}
	begin = now_s();
	send_all(sim, nodes, count);
	run = now_s();
	if (recorder && !recorder_finish(recorder, error)) {
		fprintf(stderr, "%s: %s\n", path, error);
		exit(1);
	}
	end = now_s();
	sim_free(sim);
	printf("%-5s run %.0f k/s, finish %.0f k/s, together %.0f k messages/s, %.0f k rows/s\n", name, (double)count / (run - begin) / 1e3,
	       (double)count / (end - run) / 1e3, (double)count / (end - begin) / 1e3,
	       (double)count * (level == RECORD_ALL ? 1 + FIELDS : 1) / (end - begin) / 1e3);
	return (double)count / (end - begin);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 300000;
	char path[] = "/tmp/tollgate-bench-XXXXXX"; /* the recorder writes over it */
	int fd = mkstemp(path);
	double flow;

	if (fd < 0) {
		perror(path);
		return 1;
	}
	one("none", -1, path, count);
	flow = one("flow", RECORD_FLOW, path, count);
	one("all", RECORD_ALL, path, count / 4);
	remove(path);
	return flow >= GOAL_PER_S ? 0 : 1;
}

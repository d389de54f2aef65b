/*
 * Service times: what costs add up to, who waits for whom, when a queue is full, what cancelling and restarting do.
 */
#include "tests/sim/net_fixture.h"
#include "sim/service.h"

#define SEED 100

static const struct service_profile one = {
	.name = "one", .servers = 1, .queue_max = 2,
	.cost_ns = { 1000000, 100000, 10000, 1024, 2048, 10 },
};
static const struct service_profile three = {
	.name = "three", .servers = 3, .queue_max = 2,
	.cost_ns = { 1000000, 100000, 10000, 1024, 2048, 10 },
};

struct job {
	struct service_job job;
	sim_ns done_ns;
	unsigned nth; /* in order of being done, from 1 */
	unsigned *counter;
};

static void job_done(struct service_job *service_job)
{
	struct job *job = event_owner(service_job, struct job, job);

	job->done_ns = service_job->node->sim->now_ns;
	job->nth = ++*job->counter;
}

struct bench {
	struct sim *sim;
	struct node *node;
	struct job job[16];
	unsigned counter;
};

static void bench_make(struct bench *b, const struct service_profile *profile)
{
	memset(b, 0, sizeof(*b));
	b->sim = sim_new(SEED, 0);
	b->node = node_new(b->sim, "kdc");
	if (profile)
		service_set(b->node, profile);
	for (unsigned i = 0; i < 16; i++) {
		b->job[i].counter = &b->counter;
		b->job[i].done_ns = -1;
	}
}

/* Submits job i, of so many DH operations of 10 us. */
static bool submit(struct bench *b, unsigned i, uint32_t dh)
{
	struct service_cost cost = { .dh = dh };

	return service_submit(b->node, &b->job[i].job, &cost, job_done);
}

START_TEST(times)
{
	static const struct {
		struct service_cost cost;
		sim_ns ns;
	} table[] = {
		{ { 0 }, 0 },
		{ { .rsa_private = 1 }, 1000000 },
		{ { .rsa_public = 3 }, 300000 },
		{ { .dh = 2 }, 20000 },
		{ { .messages = 5 }, 50 },
		{ { .cipher_bytes = 1 }, 1 },
		{ { .cipher_bytes = 1024 }, 1024 },
		{ { .cipher_bytes = 1500 }, 1500 },
		{ { .hash_bytes = 1 }, 2 },
		{ { .hash_bytes = 100 }, 200 },
		{ { .cipher_bytes = 4000000000u }, INT64_C(4000000000) },
		{ { .rsa_private = 4000000000u }, INT64_C(4000000000000000) },
		{ { 1, 1, 1, 1024, 1024, 1 }, 1000000 + 100000 + 10000 + 1024 + 2048 + 10 },
	};
	struct bench b;

	bench_make(&b, &one);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_msg(service_time_ns(b.node, &table[i].cost) == table[i].ns, "row %zu: %lld", i,
		              (long long)service_time_ns(b.node, &table[i].cost));
	run_out(b.sim);
}
END_TEST

/* A cost beyond the end of time: the job is never done, nor is what waits behind it. */
START_TEST(without_end)
{
	static const struct service_profile endless = {
		.name = "endless", .servers = 1, .queue_max = 8,
		.cost_ns = { [SERVICE_RSA_PRIVATE] = SIM_NEVER, [SERVICE_CIPHER_KB] = SIM_NEVER / 2, [SERVICE_DH] = 10 },
	};
	static const struct service_cost costs[] = {
		{ .rsa_private = 3 }, { .cipher_bytes = 4000000000u }, { .rsa_private = 1, .dh = 1 },
	};

	for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
		struct bench b;

		bench_make(&b, &endless);
		sim_run(b.sim, 7);
		ck_assert_int_eq(service_time_ns(b.node, &costs[i]), SIM_NEVER);
		ck_assert(service_submit(b.node, &b.job[0].job, &costs[i], job_done));
		ck_assert(submit(&b, 1, 1));
		sim_run(b.sim, SIM_NEVER - 1);
		ck_assert_uint_eq(service_queued(b.node), 2);
		service_cancel(&b.job[0].job);
		service_cancel(&b.job[1].job);
		run_out(b.sim);
	}
}
END_TEST

START_TEST(defaults)
{
	struct bench b;
	struct service_cost as_req = { .rsa_private = 1, .rsa_public = 2, .hash_bytes = 2048, .messages = 1 };

	bench_make(&b, NULL);
	ck_assert_ptr_eq(service_profile(b.node), &service_server);
	ck_assert_ptr_null(b.node->service); /* nothing until used */
	ck_assert_int_eq(service_time_ns(b.node, &as_req), 8000000 + 600000 + 24000 + 100000);
	service_set(b.node, &service_cta);
	ck_assert_int_eq(service_time_ns(b.node, &as_req), 25000000 + 2000000 + 120000 + 200000);
	for (unsigned op = 0; op < SERVICE_OP_COUNT; op++) {
		ck_assert_int_gt(service_cta.cost_ns[op], 0);
		ck_assert_int_gt(service_server.cost_ns[op], 0);
		ck_assert_ptr_nonnull(service_op_names[op]);
	}
	run_out(b.sim);
}
END_TEST

/* One server: first come, first served, one after the other. */
START_TEST(one_server)
{
	struct bench b;

	bench_make(&b, &one);
	ck_assert(submit(&b, 0, 3));
	ck_assert(submit(&b, 1, 1));
	ck_assert(submit(&b, 2, 2));
	ck_assert_int_eq(b.job[0].done_ns, -1); /* never from inside the call */
	ck_assert_uint_eq(service_queued(b.node), 3);
	sim_run(b.sim, 100 * NS_PER_US);
	ck_assert_int_eq(b.job[0].done_ns, 30000);
	ck_assert_int_eq(b.job[1].done_ns, 40000);
	ck_assert_int_eq(b.job[2].done_ns, 60000);
	ck_assert_uint_eq(service_queued(b.node), 0);
	ck_assert(submit(&b, 3, 1)); /* idle since: starts now */
	ck_assert(submit(&b, 4, 0)); /* costs nothing, waits all the same */
	sim_run(b.sim, SIM_NEVER);
	ck_assert_int_eq(b.job[3].done_ns, 110000);
	ck_assert_int_eq(b.job[4].done_ns, 110000);
	ck_assert_uint_eq(b.job[4].nth, 5);
	run_out(b.sim);
}
END_TEST

START_TEST(three_servers)
{
	static const sim_ns done_ns[5] = { 40000, 10000, 20000, 30000, 30000 };
	static const uint32_t cost[5] = { 4, 1, 2, 2, 1 };
	struct bench b;

	bench_make(&b, &three);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(submit(&b, i, cost[i]));
	sim_run(b.sim, SIM_NEVER);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_msg(b.job[i].done_ns == done_ns[i], "job %u at %lld", i, (long long)b.job[i].done_ns);
	run_out(b.sim);
}
END_TEST

/*
 * One being served and two waiting fill a queue of two; the refusal is recorded with the message that brought the job.
 */
START_TEST(full)
{
	struct watcher w;
	struct bench b;

	bench_make(&b, &one);
	watch(b.sim, &w, TRACE_REFUSAL | TRACE_MESSAGE);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(submit(&b, i, 1));
	b.sim->cause = 55;
	ck_assert(!submit(&b, 3, 1));
	b.sim->cause = 0;
	ck_assert_uint_eq(w.refusals, 1);
	ck_assert_str_eq(w.check, "service.queue");
	ck_assert_uint_eq(w.fate_tag, 55);
	ck_assert_uint_eq(service_queued(b.node), 3);
	sim_run(b.sim, 10000);
	ck_assert(submit(&b, 3, 1)); /* one has left */
	ck_assert(!submit(&b, 4, 1));
	sim_run(b.sim, SIM_NEVER);
	ck_assert_uint_eq(b.counter, 4);
	ck_assert_int_eq(b.job[3].done_ns, 40000);
	run_out(b.sim);
}
END_TEST

START_TEST(cancel)
{
	struct bench b;

	bench_make(&b, &one);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(submit(&b, i, 1));
	service_cancel(&b.job[1].job);
	service_cancel(&b.job[1].job); /* harmless */
	service_cancel(&b.job[9].job); /* never queued: harmless */
	ck_assert_uint_eq(service_queued(b.node), 2);
	ck_assert(submit(&b, 3, 1));
	sim_run(b.sim, SIM_NEVER);
	ck_assert_int_eq(b.job[1].done_ns, -1);
	ck_assert_int_eq(b.job[2].done_ns, 30000); /* its time is spent all the same */
	ck_assert_int_eq(b.job[3].done_ns, 40000);
	ck_assert(submit(&b, 1, 1)); /* may be used again */
	sim_run(b.sim, SIM_NEVER);
	ck_assert_int_eq(b.job[1].done_ns, 50000);
	run_out(b.sim);
}
END_TEST

/* Media packets load the server without being queued: later jobs wait for them, and they never fill the queue. */
START_TEST(charge)
{
	struct service_cost cost = { .dh = 1 };
	struct bench b;

	bench_make(&b, &one);
	for (unsigned i = 1; i <= 100; i++)
		ck_assert_int_eq(service_charge(b.node, &cost), i * 10000);
	ck_assert_uint_eq(service_queued(b.node), 0);
	ck_assert(submit(&b, 0, 1));
	ck_assert_int_eq(service_charge(b.node, &cost), 1020000);
	sim_run(b.sim, SIM_NEVER);
	ck_assert_int_eq(b.job[0].done_ns, 1010000);
	sim_run(b.sim, 2000000);
	ck_assert_int_eq(service_charge(b.node, &cost), 2010000); /* idle since */
	run_out(b.sim);
}
END_TEST

/* A restart: the servers are free, jobs of before the restart are no longer counted whenever they are cancelled. */
START_TEST(reset)
{
	struct bench b;

	bench_make(&b, &one);
	service_reset(b.node);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(submit(&b, i, 100));
	service_cancel(&b.job[0].job);
	service_reset(b.node);
	ck_assert_uint_eq(service_queued(b.node), 0);
	ck_assert(submit(&b, 3, 1));
	service_cancel(&b.job[1].job);
	service_cancel(&b.job[2].job);
	ck_assert_uint_eq(service_queued(b.node), 1);
	sim_run(b.sim, SIM_NEVER);
	ck_assert_uint_eq(b.counter, 1);
	ck_assert_int_eq(b.job[3].done_ns, 10000);
	ck_assert_uint_eq(service_queued(b.node), 0);
	run_out(b.sim);
}
END_TEST

/* Another profile: what runs ends as promised, what comes later takes the new servers and costs. */
START_TEST(another_profile)
{
	struct bench b;

	bench_make(&b, &one);
	ck_assert(submit(&b, 0, 5));
	service_set(b.node, &three);
	ck_assert_uint_eq(service_queued(b.node), 1);
	ck_assert(submit(&b, 1, 1));
	ck_assert(submit(&b, 2, 1));
	ck_assert(submit(&b, 3, 1));
	service_set(b.node, &one);
	ck_assert(!submit(&b, 4, 1)); /* four of at most three */
	sim_run(b.sim, SIM_NEVER);
	ck_assert_int_eq(b.job[0].done_ns, 50000);
	ck_assert_int_eq(b.job[1].done_ns, 10000);
	ck_assert_int_eq(b.job[2].done_ns, 10000);
	ck_assert_int_eq(b.job[3].done_ns, 20000);
	ck_assert_uint_eq(service_queued(b.node), 0);
	run_out(b.sim);
}
END_TEST

/* What a job's end does is a consequence of the message that brought it, not of a timer. */
static void cause_seen(struct service_job *service_job)
{
	struct job *job = event_owner(service_job, struct job, job);

	job->nth = (unsigned)service_job->node->sim->cause;
	job->done_ns = service_job->node->sim->cause_timer == NULL;
}

START_TEST(cause)
{
	struct service_cost cost = { .dh = 1 };
	struct bench b;

	bench_make(&b, &one);
	b.sim->cause = 321;
	ck_assert(service_submit(b.node, &b.job[0].job, &cost, cause_seen));
	b.sim->cause = 0;
	sim_run(b.sim, SIM_NEVER);
	ck_assert_uint_eq(b.job[0].nth, 321);
	ck_assert_int_eq(b.job[0].done_ns, 1);
	run_out(b.sim);
}
END_TEST

/* The queue is sampled at most every 10 ms, and only when somebody wants samples. */
START_TEST(samples)
{
	for (unsigned wanted = 0; wanted < 2; wanted++) {
		struct watcher w;
		struct bench b;

		bench_make(&b, &three);
		watch(b.sim, &w, wanted ? TRACE_SAMPLE : TRACE_REFUSAL);
		ck_assert(submit(&b, 0, 10000));
		ck_assert_uint_eq(w.samples, wanted);
		ck_assert(submit(&b, 1, 10000));
		sim_run(b.sim, 10 * NS_PER_MS - 1);
		ck_assert(submit(&b, 2, 10000));
		ck_assert_uint_eq(w.samples, wanted);
		sim_run(b.sim, 10 * NS_PER_MS);
		ck_assert(submit(&b, 3, 10000));
		ck_assert_uint_eq(w.samples, 2 * wanted);
		ck_assert_int_eq(w.sample, wanted ? 4 : 0);
		run_out(b.sim);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service");
	TCase *cases = tcase_create("service");

	tcase_add_test(cases, times);
	tcase_add_test(cases, without_end);
	tcase_add_test(cases, defaults);
	tcase_add_test(cases, one_server);
	tcase_add_test(cases, three_servers);
	tcase_add_test(cases, full);
	tcase_add_test(cases, cancel);
	tcase_add_test(cases, charge);
	tcase_add_test(cases, reset);
	tcase_add_test(cases, another_profile);
	tcase_add_test(cases, cause);
	tcase_add_test(cases, samples);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}

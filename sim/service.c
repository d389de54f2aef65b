/*
 * Service times; see service.h.
 *
 * Invariant: queued counts the pending jobs of the present epoch; free_at_ns of a server never goes back except by a
 * reset.
 */
#include "sim/service.h"

#include <assert.h>
#include <stdlib.h>

#define BYTES_PER_KB 1024
#define SERVERS_MAX 1024
#define SAMPLE_INTERVAL_NS (10 * NS_PER_MS) /* "service.queued" is sampled at most so often at a node */

struct service {
	const struct service_profile *profile;
	unsigned queued;
	uint32_t epoch;
	sim_ns sample_due_ns;
	sim_ns free_at_ns[]; /* of each server */
};

const char *const service_op_names[SERVICE_OP_COUNT] = {
	[SERVICE_RSA_PRIVATE] = "rsa_private",
	[SERVICE_RSA_PUBLIC] = "rsa_public",
	[SERVICE_DH] = "dh",
	[SERVICE_CIPHER_KB] = "cipher_kb",
	[SERVICE_HASH_KB] = "hash_kb",
	[SERVICE_MESSAGE] = "message",
};

const struct service_profile service_cta = {
	.name = "cta",
	.servers = 1,
	.queue_max = 64,
	.cost_ns = {
		[SERVICE_RSA_PRIVATE] = 25 * NS_PER_MS,
		[SERVICE_RSA_PUBLIC] = 1 * NS_PER_MS,
		[SERVICE_DH] = 40 * NS_PER_MS,
		[SERVICE_CIPHER_KB] = 40 * NS_PER_US,
		[SERVICE_HASH_KB] = 60 * NS_PER_US,
		[SERVICE_MESSAGE] = 200 * NS_PER_US,
	},
};

const struct service_profile service_server = {
	.name = "server",
	.servers = 4,
	.queue_max = 4096,
	.cost_ns = {
		[SERVICE_RSA_PRIVATE] = 8 * NS_PER_MS,
		[SERVICE_RSA_PUBLIC] = 300 * NS_PER_US,
		[SERVICE_DH] = 12 * NS_PER_MS,
		[SERVICE_CIPHER_KB] = 60 * NS_PER_US,
		[SERVICE_HASH_KB] = 12 * NS_PER_US,
		[SERVICE_MESSAGE] = 100 * NS_PER_US,
	},
};

void service_set(struct node *node, const struct service_profile *profile)
{
	struct service *old = node->service;
	struct service *service;

	assert(profile->servers > 0 && profile->servers <= SERVERS_MAX);
	service = sim_alloc(sizeof(*service) + profile->servers * sizeof(service->free_at_ns[0]));
	if (old) {
		service->queued = old->queued;
		service->epoch = old->epoch;
		service->sample_due_ns = old->sample_due_ns;
		for (unsigned i = 0; i < old->profile->servers && i < profile->servers; i++)
			service->free_at_ns[i] = old->free_at_ns[i];
	}
	service->profile = profile;
	node->service = service;
	free(old);
}

const struct service_profile *service_profile(const struct node *node)
{
	return node->service ? node->service->profile : &service_server;
}

static struct service *service_of(struct node *node)
{
	if (!node->service)
		service_set(node, &service_server);
	return node->service;
}

/* Wide: a scenario may give any cost that is a time. */
typedef unsigned __int128 wide_ns;

static wide_ns times_ns(uint32_t count, sim_ns cost_ns)
{
	return (wide_ns)(uint64_t)cost_ns * count;
}

static wide_ns per_kb_ns(uint32_t bytes, sim_ns cost_ns)
{
	return (times_ns(bytes, cost_ns) + BYTES_PER_KB - 1) / BYTES_PER_KB;
}

sim_ns service_time_ns(const struct node *node, const struct service_cost *cost)
{
	const sim_ns *cost_ns = service_profile(node)->cost_ns;

	wide_ns sum_ns = times_ns(cost->rsa_private, cost_ns[SERVICE_RSA_PRIVATE]) +
			 times_ns(cost->rsa_public, cost_ns[SERVICE_RSA_PUBLIC]) +
			 times_ns(cost->dh, cost_ns[SERVICE_DH]) +
			 per_kb_ns(cost->cipher_bytes, cost_ns[SERVICE_CIPHER_KB]) +
			 per_kb_ns(cost->hash_bytes, cost_ns[SERVICE_HASH_KB]) +
			 times_ns(cost->messages, cost_ns[SERVICE_MESSAGE]);

	return sum_ns < SIM_NEVER ? (sim_ns)sum_ns : SIM_NEVER;
}

sim_ns service_charge(struct node *node, const struct service_cost *cost)
{
	struct service *service = service_of(node);
	sim_ns *first = &service->free_at_ns[0];

	for (unsigned i = 1; i < service->profile->servers; i++) {
		if (service->free_at_ns[i] < *first)
			first = &service->free_at_ns[i];
	}
	if (*first < node->sim->now_ns)
		*first = node->sim->now_ns;
	*first = sim_later(*first, service_time_ns(node, cost));
	return *first;
}

static void sample_queue(struct node *node, struct service *service)
{
	if (!trace_wants(node->sim, TRACE_SAMPLE) || node->sim->now_ns < service->sample_due_ns)
		return;
	service->sample_due_ns = sim_later(node->sim->now_ns, SAMPLE_INTERVAL_NS);
	trace_sample(node, "service.queued", service->queued, "jobs");
}

/* A job has left the queue; one that was submitted before a reset is no longer counted. */
static void job_leaves(struct service_job *job)
{
	struct service *service = job->node->service;

	if (job->epoch == service->epoch)
		service->queued--;
}

static void job_done(struct sim *sim, struct event *event)
{
	struct service_job *job = event_owner(event, struct service_job, event);

	(void)sim;
	job_leaves(job);
	job->done(job); /* may submit or free the job */
}

bool service_submit(struct node *node, struct service_job *job, const struct service_cost *cost,
                    void (*done)(struct service_job *job))
{
	struct service *service = service_of(node);

	assert(!event_pending(&job->event));
	if (service->queued >= service->profile->servers + service->profile->queue_max) {
		trace_refuse(node, "service.queue", 0, node->sim->cause, "");
		return false;
	}
	job->node = node;
	job->done = done;
	job->epoch = service->epoch;
	service->queued++;
	/* No timer's name: what follows is the consequence of the message being handled. */
	sim_at(node->sim, &job->event, service_charge(node, cost), job_done, NULL);
	sample_queue(node, service);
	return true;
}

void service_cancel(struct service_job *job)
{
	if (!event_pending(&job->event))
		return;
	sim_cancel(job->node->sim, &job->event);
	job_leaves(job);
}

unsigned service_queued(const struct node *node)
{
	return node->service ? node->service->queued : 0;
}

void service_reset(struct node *node)
{
	struct service *service = node->service;

	if (!service)
		return;
	service->epoch++;
	service->queued = 0;
	for (unsigned i = 0; i < service->profile->servers; i++)
		service->free_at_ns[i] = node->sim->now_ns;
}

void service_free(struct node *node)
{
	free(node->service);
	node->service = NULL;
}

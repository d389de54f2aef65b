/*
 * Service times: what a node's operations cost in virtual time, and the queue they wait in.
 *
 * A node has one queue served by a number of servers (a CTA's secure microprocessor: one; a KDC: its cores). A job
 * waits for a server, takes its cost, then its callback runs. The cost comes from the node's table, never from how fast
 * this host is. A full queue refuses the job ("service.queue").
 *
 * Each server is the time at which it will be free; a job is placed on the one that is free first when it is submitted,
 * so that its end is known then and costs one event. A cancelled job's time is spent all the same.
 */
#ifndef TOLLGATE_SIM_SERVICE_H
#define TOLLGATE_SIM_SERVICE_H

#include "sim/node.h"

enum service_op {
	SERVICE_RSA_PRIVATE, /* per operation */
	SERVICE_RSA_PUBLIC,
	SERVICE_DH,
	SERVICE_CIPHER_KB,   /* per 1024 bytes of 3DES or its successor */
	SERVICE_HASH_KB,
	SERVICE_MESSAGE,     /* parsing, a database look-up, the answer */
	SERVICE_OP_COUNT
};
extern const char *const service_op_names[SERVICE_OP_COUNT];

struct service_profile { /* shared by nodes of a kind; borrowed by them */
	const char *name;
	unsigned servers;
	unsigned queue_max;
	sim_ns cost_ns[SERVICE_OP_COUNT];
};
/*
 * Defaults: "cta" (a 100 MHz secure microprocessor with a DES engine) and "server" (a rack server of the year 2000,
 * four processors, all in software). A node that was never given a profile is a server.
 *
 *                        cta      server
 *   servers              1        4
 *   queue                64       4096
 *   RSA private, 2048    25 ms    8 ms
 *   RSA public           1 ms     300 us
 *   Diffie-Hellman       40 ms    12 ms
 *   3DES per kB          40 us    60 us
 *   hash per kB          60 us    12 us
 *   message              200 us   100 us
 */
extern const struct service_profile service_cta, service_server;

struct service_cost { /* how many of each operation a job is made of; bytes for the two per-kB ones */
	uint32_t rsa_private, rsa_public, dh, cipher_bytes, hash_bytes, messages;
};

struct service_job {
	struct event event; /* embedded in its owner */
	struct node *node;
	void (*done)(struct service_job *job);
	uint32_t epoch;     /* the node's number of service_reset()s when it was submitted */
};

/* Gives the node a profile. Jobs already submitted end when they would have. */
void service_set(struct node *node, const struct service_profile *profile);
const struct service_profile *service_profile(const struct node *node);
/* What a cost takes on one server of the node; a started kB counts for its bytes, rounded up to the nanosecond. */
sim_ns service_time_ns(const struct node *node, const struct service_cost *cost);
/*
 * Queues a job, which is not pending; done() runs when it is finished, never from inside this call. False: the queue is
 * full (as many jobs wait as it holds), the refusal is recorded and nothing was queued.
 */
bool service_submit(struct node *node, struct service_job *job, const struct service_cost *cost,
                    void (*done)(struct service_job *job));
void service_cancel(struct service_job *job); /* harmless when not queued */
/* Charges a cost without a callback (a media packet): later jobs wait for it. Returns when it is finished. */
sim_ns service_charge(struct node *node, const struct service_cost *cost);
/* Jobs submitted whose done() has not run: those waiting and those being served. */
unsigned service_queued(const struct node *node);
/* Drops every queued job's claim on the servers (a restart). Owners cancel their own jobs. */
void service_reset(struct node *node);
void service_free(struct node *node);

#endif

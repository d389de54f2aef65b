/*
 * The transactions of the provisioning CA (flows.md 5, 7 to 10; patent [0144]-[0149], [0155]-[0161], [0169]-[0175],
 * [0176]-[0182]) as tables of steps: what is said to the billing host, to signaling controllers and to the CTA, in
 * order, and how each step is taken back.
 *
 *   new         open at BH; subscriber at SC; certificate to the CTA
 *   change      change at BH; options at SC; certificate to the CTA, if it is where the call comes from
 *   terminate   close at BH; remove at SC
 *   move        old customer becomes new one at BH; remove at the old SC; subscriber at the new SC; certificate
 *   repair      as new, for an account of the repair facility, with a certificate of hours
 *   restore     the owner's certificate to the CTA; close the facility's account at BH; remove its number at its SC
 *
 * What happens to a step:
 * - acknowledged: the next one.
 * - refused for good (a NAK, the CTA's ERROR): the steps before it are taken back in reverse order, and the transaction
 *   is refused by that check. The certificate of a change is an exception: the one that the CTA has stays good, so the
 *   change stands without.
 * - no answer: asked again, with a pause that doubles up to FLOW_PAUSE_MAX_NS, until there is one: a server that is
 *   away will have the answer in the end, and until then nobody knows what it has done; a controller whose head-end
 *   does not answer ("sc.head_end_timeout") does not know either. After the patience of the
 *   configuration whoever asked is told that it failed ("pca.billing_away", "pca.controller_away"), and when the answer
 *   comes the step is taken back too. A termination is never given up: whoever asked waits. A CTA that takes no
 *   certificate for so long has refused it ("pca.cta_away").
 * - taking back is asked until it is acknowledged.
 *
 * Each request has a `state` of its own, "NAME/STEP" or, taking back, "NAME/STEPu", which is the same over all
 * repetitions, so that its receiver can do it once and answer it often. A taking back that was refused is asked under
 * another name, "NAME/STEPu1" and so on: the refusal was the answer to the first.
 *
 * Transactions are on disk: a restart of the machine asks the step again that was under way. A finished one is kept, up
 * to FLOWS_KEPT_MAX of them, to answer repetitions of the request.
 */
#ifndef TOLLGATE_MODELS_PROVISIONING_FLOW_H
#define TOLLGATE_MODELS_PROVISIONING_FLOW_H

#include "models/backend.h"
#include "models/certificate_sender.h"
#include "models/provisioning_store.h"
#include "models/radius_client.h"
#include "models/radius_server.h"

#define FLOW_PAUSE_FIRST_NS (1 * NS_PER_S) /* doubles each time */
#define FLOW_PAUSE_MAX_NS (60 * NS_PER_S)
#define FLOW_NAME_MAX 100                  /* of a transaction */
#define FLOWS_UNDER_WAY_MAX 4096
#define FLOWS_KEPT_MAX 4096

enum flow_kind { FLOW_NEW, FLOW_CHANGE, FLOW_TERMINATE, FLOW_MOVE, FLOW_REPAIR, FLOW_RESTORE, FLOW_KINDS };

struct flows;

struct transaction {
	struct transaction *next, *prev;
	struct flows *flows;
	char name[FLOW_NAME_MAX + 1];
	uint8_t digest[32];                /* of the request: another one may not use its name */
	enum flow_kind kind;
	struct machine machine;
	unsigned step;
	unsigned refusals;                 /* of the taking back of this step */
	bool given_up;                     /* whoever asked has been told; what is done will be taken back */
	char check[CERTIFICATE_CHECK_MAX]; /* that refused it; "" */
	sim_ns began_ns, step_began_ns;
	/* What it is about. After its end only what the answer needs is good. */
	struct device *device;
	struct customer *before, *after;   /* NULL: there is none */
	char old_options[RADIUS_TEXT_MAX], new_options[RADIUS_TEXT_MAX];
	char old_data[RADIUS_TEXT_MAX], new_data[RADIUS_TEXT_MAX];
	char work_order[32];               /* that it uses up; "" */
	uint32_t cta_ip;                   /* 0: nothing can be sent to the CTA */
	uint64_t binding;                  /* serial of the record of its address; 0: it does not count */
	struct der cert;                   /* issued for it */
	int64_t lifetime_s;                /* of that; 0: none was brought */
	int64_t cert_start_s;
	/* The answer. */
	char terms[RADIUS_TEXT_MAX], number[SUBSCRIBER_NUMBER_LEN], customer_id[CUSTOMER_ID_LEN];
	/* What a restart loses. */
	struct radius_asked *asked;        /* the newest repetition of the request; NULL */
	struct event timer;
	sim_ns pause_ns;
	struct certificate_sender *sender;
};

struct flow_config {
	struct node *node;
	struct backend *backend;
	struct radius_client *questions;
	const char *billing;               /* "bh/bh1"; borrowed */
	sim_ns patience_ns;
	void *ctx;
	/*
	 * Makes t->cert, unless it is there. NULL, or the check that refuses. *wait_ns: so long until it may be sent.
	 */
	const char *(*issue)(void *ctx, struct transaction *t, sim_ns *wait_ns);
	/* Given up: whoever asked is to be told. The transaction goes on. */
	void (*given_up)(void *ctx, struct transaction *t);
	/* The end: all is done, or (t->check says why) all is taken back. Customers may be settled and removed. */
	void (*finished)(void *ctx, struct transaction *t, bool done);
};

struct flow_counters {
	unsigned under_way;
	uint64_t done, undone, retries;
};

extern const struct machine_def flow_machine;

/* config is copied. Owned by the caller. */
struct flows *flows_new(const struct flow_config *config);
void flows_free(struct flows *flows);
/* A transaction of this name, which is fresh (asserted), to be filled in. NULL: too many under way. */
struct transaction *flow_add(struct flows *flows, const char *name, enum flow_kind kind);
/* It was not started and never will be. */
void flow_abandon(struct transaction *t);
/* Takes its first step. */
void flow_start(struct transaction *t);
struct transaction *flow_find(const struct flows *flows, const char *name); /* NULL: none */
bool flow_over(const struct transaction *t);
/* Keeps the newest repetition of the request; the one before is accepted. */
void flow_keep_asked(struct transaction *t, const struct radius_asked *asked);
void flow_drop_asked(struct transaction *t);
/* Power is lost: timers, questions and transfers are gone. */
void flows_stop(struct flows *flows);
/* Power is back: what was under way goes on. */
void flows_resume(struct flows *flows);
struct flow_counters flows_counters(const struct flows *flows);
/* "new", "change", ... or FLOW_KINDS for anything else; restore has no name of its own. */
enum flow_kind flow_kind_of(const char *name);

#endif

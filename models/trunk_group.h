/*
 * A group of circuits between the signaling gateway and the PSTN, and the calls on them as ISUP sets them up and
 * releases them (ITU-T Q.764 section 2). Both ends use the same table; circuits are numbered by their circuit
 * identification code from 1 on.
 *
 * After a start all circuits are blocked until the peer has acknowledged their reset (GRS, RSC; Q.764 section 2.9.3):
 * whatever calls it had on them are gone then. When the signaling link is lost, calls that stand go on; what was lost
 * is repeated by timers (T1) or given up by them (T7, T9). No new call is begun while the link is down.
 *
 * Dual seizure (section 2.9.1.4): each end first takes circuits that it controls, the end with the higher point code
 * the even ones, the other the odd ones. When both seize one, the call of the end that does not control it gives way:
 * it is begun anew on another circuit (automatic repeat attempt, section 2.8.1), or, where none is idle, released with
 * cause 44. So does a call whose circuit is only held.
 *
 * Refusals: "isup.circuit" (a circuit that is not of the group), "isup.unexpected" (not in the circuit's table;
 * nothing changes), and those of models/isup_link.h.
 */
#ifndef TOLLGATE_MODELS_TRUNK_GROUP_H
#define TOLLGATE_MODELS_TRUNK_GROUP_H

#include "models/isup_link.h"

#define TRUNK_CIRCUITS_MAX 480

/* Q.764 table A.1; where it gives a range, the shorter end. */
#define ISUP_T1_NS (15 * NS_PER_S)   /* REL is repeated */
#define ISUP_T5_NS (300 * NS_PER_S)  /* from the first REL: the circuit is reset instead */
#define ISUP_T7_NS (20 * NS_PER_S)   /* IAM to ACM */
#define ISUP_T9_NS (90 * NS_PER_S)   /* ACM to ANM */
#define ISUP_T16_NS (15 * NS_PER_S)  /* RSC is repeated */
#define ISUP_T22_NS (15 * NS_PER_S)  /* GRS is repeated */

struct trunk_group;

struct trunk_group_config {
	struct node *node;
	bool connects;                  /* of the signaling link, see there */
	uint32_t local_ip, peer_ip;
	uint16_t local_code, peer_code; /* not equal */
	unsigned circuits;              /* up to TRUNK_CIRCUITS_MAX */
	/* The peer has seized a circuit for a call: the owner's to alert, answer and release, also from inside. */
	void (*seized)(void *ctx, unsigned circuit, const struct isup *iam);
	/* Of the owner's call on a circuit, as trunk_group_hold() or trunk_group_set_call() gave it. */
	void (*alerting)(void *ctx, void *call);
	void (*answered)(void *ctx, void *call);
	/* The call has given way and has another circuit; its IAM goes out on return. NULL: it is released instead. */
	void (*moved)(void *ctx, void *call, unsigned circuit);
	/* The circuit is no longer the call's. cause: Q.850. */
	void (*released)(void *ctx, void *call, unsigned cause);
	void *ctx;
};

/* config is copied. Owned by the caller. */
struct trunk_group *trunk_group_new(const struct trunk_group_config *config);
void trunk_group_free(struct trunk_group *group);
/* Power on or a restart: all calls are forgotten without a word. */
void trunk_group_start(struct trunk_group *group);

/* Takes an idle circuit for a call that is not begun yet. 0: none, *cause says why (34, 38). */
unsigned trunk_group_hold(struct trunk_group *group, void *call, unsigned *cause);
/* Begins the call on the held circuit. Digits only; calling "" is not said. */
void trunk_group_call(struct trunk_group *group, unsigned circuit, const char *called, const char *calling);
void trunk_group_set_call(struct trunk_group *group, unsigned circuit, void *call);
/* The called party rings; has answered. */
void trunk_group_alert(struct trunk_group *group, unsigned circuit);
void trunk_group_answer(struct trunk_group *group, unsigned circuit);
/* The owner's call leaves the circuit, in whatever state. */
void trunk_group_release(struct trunk_group *group, unsigned circuit, unsigned cause);

struct trunk_counters {
	unsigned idle, busy, blocked;  /* circuits; busy: everything between */
	bool link_up;
	uint64_t seizures, resets;     /* calls on circuits either way; resets of either end */
};
struct trunk_counters trunk_group_counters(const struct trunk_group *group);
/* Which circuits are in which state never depends on anything but messages: for tests. */
const char *trunk_group_state(const struct trunk_group *group, unsigned circuit);

extern const struct machine_def trunk_circuit_machine;

/* SIP status that an ISUP release before the answer becomes, and back: RFC 3398 sections 7.2.4.1 and 8.2.6.1. */
int cause_to_status(unsigned cause);
unsigned status_to_cause(int status);

#endif

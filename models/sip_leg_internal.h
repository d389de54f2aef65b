/*
 * SIP legs from inside: what sip_leg.c (legs, their owners' wishes, time), sip_leg_send.c (messages out) and sip_leg_receive.c
 * (messages in) share. Private to them.
 */
#ifndef TOLLGATE_MODELS_SIP_LEG_INTERNAL_H
#define TOLLGATE_MODELS_SIP_LEG_INTERNAL_H

#include "models/sip_leg.h"

#define TAG_LEN 12
#define USER_MAX 47
#define SIP_BRANCH_LEN 32
#define REASON_MAX 63
#define INVITE_CSEQ 1     /* a leg has one INVITE */
#define NO_LEG_TAG "none" /* our tag where there is no leg to have one */

enum repeat { REPEAT_NONE, REPEAT_INVITE, REPEAT_ANSWER, REPEAT_CANCEL, REPEAT_BYE, REPEAT_INFO };

struct stored { /* a message that may have to go out again */
	char *text;
	size_t len;
	const char *kind;
};

struct sip_leg {
	struct sip_leg *next;         /* in its bucket by Call-ID */
	struct sip_endpoint *endpoint;
	void *owner;
	bool released;
	bool hang_up;                 /* the owner has ended it before the ACK came: a BYE is due then */
	enum leg_state state;
	enum repeat repeat;
	bool caller;                  /* we sent the INVITE */
	uint32_t peer_ip, cseq, peer_cseq, bye_cseq, info_cseq, peer_info_cseq;
	char info[SIP_INFO_MAX + 1];  /* that waits for the ACK */
	char call_id[SIP_CALL_ID_MAX + 1];
	char local_tag[TAG_LEN + 1], remote_tag[64];
	char local_user[USER_MAX + 1], remote_user[USER_MAX + 1];
	char branch[SIP_BRANCH_LEN];  /* of our INVITE */
	char reason[REASON_MAX + 1];  /* of the BYE that is due */
	struct stored request, response, ack;
	sim_ns interval_ns, deadline_ns;
	struct event timer;
};

struct sip_endpoint {
	struct node *node;
	struct ipsec *ipsec;
	const struct sip_owner *owner;
	void *ctx;
	struct udp_socket socket;
	struct sip_leg **buckets;
	uint32_t bucket_count, count;
	struct rng *tags; /* NULL: none drawn yet; sip_random() */
};

/* Legs by Call-ID. leg_new() gives a zeroed one with its tag; NULL: too many, a Call-ID too long or in use. */
struct sip_leg *leg_find(const struct sip_endpoint *e, struct span call_id);
/* The next of the endpoint's own numbers: tags and branches. */
uint64_t sip_random(struct sip_endpoint *e);
struct sip_leg *leg_new(struct sip_endpoint *e, uint32_t peer_ip, struct span call_id);
void leg_free(struct sip_leg *leg);

/* Starts repeating a message: first after SIP_T1_NS, doubling, until SIP_TIMEOUT_NS from now. */
void leg_repeat(struct sip_leg *leg, enum repeat what);
/* Stops repeating; the leg's time-out still stands where something is still awaited. */
void leg_await(struct sip_leg *leg, sim_ns time_ns);
void leg_quiet(struct sip_leg *leg);
/* Ended: it lingers for repetitions, and is freed then if its owner has released it. */
void leg_finish(struct sip_leg *leg);

/* Sends a stored message to the peer; nothing when none is stored. */
void leg_transmit(struct sip_leg *leg, const struct stored *s);
/* Keeps a message in place of the one before; false when it did not fit. kind is static. */
bool stored_set(struct stored *s, const struct text *t, const char *kind);
void stored_free(struct stored *s);
void sip_new_branch(struct sip_endpoint *e, char out[SIP_BRANCH_LEN]);
/* A request of this dialog into the store; headers are whole lines. False: it does not fit. */
bool leg_build_request(struct sip_leg *leg, struct stored *into, enum sip_method method, const char *branch, uint32_t cseq,
                       const char *headers, const char *body);
/* A response to the stored INVITE into leg->response; what does not fit becomes a 500. Returns the status that it has; 0: none. */
int leg_build_answer(struct sip_leg *leg, int status, const char *headers, const char *body);
/* A response without headers of its own to any request. */
void sip_respond(struct sip_endpoint *e, uint32_t to, int status, const struct sip_message *request, const char *to_tag);
/* Sends, starts repeating and changes the state. */
void leg_send_bye(struct sip_leg *leg, const char *reason);
void leg_send_cancel(struct sip_leg *leg);
void leg_send_info(struct sip_leg *leg, const char *headers);

/* The endpoint's udp_recv_fn. */
void sip_leg_receive(struct udp_socket *socket, struct packet *packet, const struct udp_from *from);

#endif

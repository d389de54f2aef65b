/*
 * The trace interface: how a run is observed. The recorder, the capture and the scenario host implement it.
 *
 * A message (AS-REQ, INVITE, ...) gets a tag when it is sent. The tag rides along with its packets as an annotation for
 * observers; no model reads it to decide anything, and it is not on the wire. With no observer of a kind attached
 * (trace_wants() false) nothing is built and nothing is called.
 */
#ifndef TOLLGATE_SIM_TRACE_H
#define TOLLGATE_SIM_TRACE_H

#include "sim/event.h"

struct sim;
struct node;
struct iface;
struct link;
struct packet;
struct machine;

enum trace_kind {
	TRACE_TOPOLOGY = 1 << 0, /* nodes, interfaces */
	TRACE_PACKET = 1 << 1,   /* every frame at every link end */
	TRACE_MESSAGE = 1 << 2,  /* messages and their fates */
	TRACE_FIELD = 1 << 3,    /* decoded fields of messages */
	TRACE_STEP = 1 << 4,     /* state machines */
	TRACE_KEY = 1 << 5,      /* key lineage, never key bytes */
	TRACE_SAMPLE = 1 << 6,   /* metrics */
	TRACE_CALL = 1 << 7,     /* calls and call records */
	TRACE_MEDIA = 1 << 9,    /* messages that are media packets; without it they are not announced at all */
	TRACE_REFUSAL = 1 << 8,  /* a check refused something, whether or not it was a tagged message */
};

enum cover { COVER_CLEAR, COVER_KRB5, COVER_ESP, COVER_AH, COVER_RTP };
enum fate {
	FATE_SENT,       /* under way */
	FATE_ACCEPTED,   /* the receiver acted on it */
	FATE_REFUSED,    /* a named check refused it */
	FATE_LOST,       /* the network lost it; why names the place ("link.loss", "link.queue", "ip.ttl", "ip.no_route") */
	FATE_INTERCEPTED /* an attacker took it off the wire */
};
/*
 * Whether `next` replaces `now` as the fate of a message. A message may meet several: a lost segment is sent again, a link
 * doubles a packet, a broadcast reaches bystanders. The one stands that says most of what a receiver did, wherever it happened:
 * accepted before refused before intercepted before lost before sent; of two alike the first. So only FATE_ACCEPTED is final.
 */
bool fate_outranks(enum fate next, enum fate now);
enum field_class { FIELD_FACT, FIELD_RANDOM, FIELD_TIME };
enum packet_event { PACKET_OUT, PACKET_IN };

/* Receives one decoded field. path and value live for the call only. */
typedef void field_sink(void *ctx, const char *path, const char *value, enum field_class class_);
/* Decodes the clear bytes of a message into fields; it must survive any bytes. */
typedef void describe_fn(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx);

struct trace_message {
	uint64_t tag;
	const char *kind;       /* "AS-REQ", "INVITE", ... : static or interned */
	const char *proto;      /* "krb5", "pktc", "sip", ... */
	const struct node *actor; /* who really sends it */
	uint32_t src_ip, dst_ip;  /* what the packet says */
	enum cover cover;
	const uint8_t *bytes;   /* the message in clear as its sender built it */
	size_t len;
	describe_fn *describe;  /* may be NULL */
	bool media;             /* a media packet: only observers of TRACE_MEDIA hear of it */
	uint64_t cause;         /* tag of the message it answers, or 0 */
	const char *timer;      /* name of the timer that made it, or NULL */
};

enum key_step { KEY_BORN, KEY_HELD, KEY_DEAD };
#define KEY_FINGERPRINT_LEN 16

struct trace_key {
	enum key_step step;
	const char *holder;    /* node */
	const char *role;      /* "krb.session", "esp.subkey", ... */
	const char *algorithm; /* "des3-cbc", "hmac-sha1", "rsa-2048" */
	const char *how;       /* "generated", "unwrapped", "derived:CTA-CTA RTP", ... */
	uint8_t fingerprint[KEY_FINGERPRINT_LEN];
	bool has_parent;
	uint8_t parent[KEY_FINGERPRINT_LEN];
};

struct trace_call {
	const char *id;      /* Call-ID of the caller's dialog */
	const char *caller, *callee; /* numbers as dialled */
	const char *event;   /* "dialled", "ringing", "answered", "released", "failed" */
	const char *reason;  /* "" or e.g. "486 Busy Here" */
	const struct node *at;
};

struct trace_record { /* a billing call record: taken by the billing host, or made by the source SC where there is none */
	const char *id, *account, *caller, *callee, *reason;
	sim_ns start_ns, answer_ns, end_ns; /* answer_ns < 0: never answered */
	const struct node *at;
};

struct trace_ops {
	void (*node)(void *ctx, const struct node *node);
	void (*iface)(void *ctx, const struct iface *iface);
	void (*packet)(void *ctx, const struct iface *at, enum packet_event what, const struct packet *packet);
	void (*message)(void *ctx, const struct trace_message *message);
	void (*fate)(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why);
	void (*cover)(void *ctx, uint64_t tag, enum cover cover);
	void (*field)(void *ctx, uint64_t tag, const char *path, const char *value, enum field_class class_);
	void (*refusal)(void *ctx, const struct node *at, const char *check, uint32_t src_ip, uint64_t tag, const char *detail);
	void (*step)(void *ctx, const struct node *node, const struct machine *machine, unsigned before, unsigned event,
	             unsigned after, bool refused);
	void (*key)(void *ctx, const struct trace_key *key);
	void (*sample)(void *ctx, const struct node *node, const char *metric, int64_t value, const char *unit);
	void (*call)(void *ctx, const struct trace_call *call);
	void (*record)(void *ctx, const struct trace_record *record);
};

#define TRACE_OBSERVERS_MAX 6

struct trace_observer {
	const struct trace_ops *ops;
	void *ctx;
	unsigned wants; /* of enum trace_kind; every bit set has its callback */
};

/*
 * Attaches an observer until trace_detach() or the end of the sim, which it outlives otherwise. At most TRACE_OBSERVERS_MAX at
 * a time (asserted). Not from inside a callback of an observer.
 */
void trace_attach(struct sim *sim, const struct trace_ops *ops, void *ctx, unsigned wants);
/* Ends an observer's part: it hears nothing any more. Harmless when it is not attached; allowed inside a callback. */
void trace_detach(struct sim *sim, const struct trace_ops *ops, const void *ctx);

/* The calls below reach every observer that wants them. Callers on a hot path test trace_wants() first. */
void trace_node(struct sim *sim, const struct node *node);
void trace_iface(struct sim *sim, const struct iface *iface);
void trace_packet(struct sim *sim, const struct iface *at, enum packet_event what, const struct packet *packet);

struct trace_send { /* what a sender says of a message; the rest is filled in from the run */
	const struct node *actor;
	const char *kind, *proto;
	uint32_t src_ip, dst_ip;
	enum cover cover;
	const uint8_t *bytes;
	size_t len;
	describe_fn *describe;
	bool media;
};
/* Registers a message about to be sent; returns the tag to put on its packets (0 when nobody observes such messages). */
uint64_t trace_sent(struct sim *sim, const struct trace_send *send);
/* Says what became of a message; of several fates fate_outranks() chooses. Tag 0 is ignored. */
void trace_fate(struct sim *sim, uint64_t tag, const struct node *at, enum fate fate, const char *why);
void trace_cover(struct sim *sim, uint64_t tag, enum cover cover);
void trace_field(struct sim *sim, uint64_t tag, const char *path, const char *value, enum field_class class_);
/*
 * A named check refused a packet or message: counts it, records it, and sets the message's fate when it has a tag. check
 * is the check's name as in the list of switches ("sc.replay_cache"); detail may be "".
 */
void trace_refuse(const struct node *at, const char *check, uint32_t src_ip, uint64_t tag, const char *detail);
void trace_step(const struct node *node, const struct machine *machine, unsigned before, unsigned event, unsigned after,
                bool refused);
void trace_key(struct sim *sim, const struct trace_key *key);
void trace_sample(const struct node *node, const char *metric, int64_t value, const char *unit);
void trace_call(struct sim *sim, const struct trace_call *call);
void trace_record(struct sim *sim, const struct trace_record *record);

#endif

/*
 * Calls that a server answers by itself (flows.md 4, variant "CTA -> network server"; patent [0081]-[0087], [0139]):
 * what the announcement server and the customer service centre have in common. It is the whole of such a server but
 * for what is said in a call: module, IPsec, tickets, associations with other servers, SIP legs, lines, voice.
 *
 * The caller's signaling controller offers a call with a fresh CTA-to-server sub-key and SPI, wrapped under the
 * association between the two servers (flows.md 13); the proof of receipt goes back [0083]. From the sub-key follows
 * an association with the CTA, which is its initiator: SPI protects CTA -> server, SPI+1 the way back [0085]-[0086].
 * Under it comes the CTA's own INVITE, which is answered at once or after some ringing, and the same sub-key gives
 * the keys of the voice.
 *
 * A call occupies a line until it ends. Then its voice stops at once, and no later than CALL_KEYS_LINGER_NS
 * afterwards its sub-key and all that was derived from it are gone, whatever the network did with the farewells. A
 * restart loses all calls, associations and tickets.
 *
 * Only servers may have an association by ticket: "sc.not_us", "ns.check_service" (no server of the directory, or not
 * at its address). Refusals of an INVITE, each with its response: "ns.check_controller" 403 (a server that controls
 * no calls), "ns.unknown_number" 404, "ns.media_offer" 488 (nothing it can speak to), "ns.spi_in_use" 488, "ns.busy"
 * 486, "subkey.unwrap" 488; under the association with a CTA: "ns.unknown_call" 403.
 */
#ifndef TOLLGATE_MODELS_SERVED_CALL_H
#define TOLLGATE_MODELS_SERVED_CALL_H

#include "models/backend.h"
#include "models/media.h"
#include "models/model.h"
#include "models/subscriber.h"

struct call_server;
struct served_call;

struct call_server_owner { /* each may be NULL; all but over() may end the call */
	/* The voice runs. What the owner sets by served_call_set_state() is handed back until over(). */
	void (*answered)(void *ctx, struct served_call *call);
	/* A call that was answered is at its end, in whatever way, a restart too: forget it. Its voice has stopped. */
	void (*over)(void *ctx, struct served_call *call);
	void (*digit)(void *ctx, struct served_call *call, char digit);
	void (*text)(void *ctx, struct served_call *call, const char *bytes, size_t len);
};

struct call_server_config {
	struct node *node;
	const char *prefix;            /* of its principal: "ns" makes "ns/NAME" */
	enum media_source source;      /* what its voice is */
	sim_ns answer_after_ns;        /* rings for so long; 0: answers at once */
	struct call_server_owner owner;
	void *ctx;
};

/* Parameters of every such element, for its table. */
#define SERVED_CALL_PARAMS \
	{ .name = "kdc", .type = VALUE_NODE, .required = true, \
	  .doc = "the KDC it gets tickets from, or what has one in it" }, \
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "what callers dial: \"800-555-0100\"" }, \
	{ .name = "lines", .type = VALUE_INT, .preset = "1000", .doc = "calls at once; one more is busy" }, \
	{ .name = "media_timeout", .type = VALUE_TIME, .preset = "5s", \
	  .doc = "hangs up when no voice came for so long; 0s: never" }

/* And what may be asked of it, by call_server_get(). */
#define SERVED_CALL_ATTRIBUTES \
	{ "number", VALUE_TEXT, "its number, digits" }, \
	{ "calls", VALUE_INT, "calls that have a line: offered, ringing or talking" }, \
	{ "call_keys", VALUE_INT, "sub-keys of calls it holds" }, \
	{ "answered", VALUE_INT, "calls answered, so far" }, \
	{ "calls_refused", VALUE_INT, "INVITEs refused, so far" }, \
	{ "associations", VALUE_INT, "security associations with servers and callers" }, \
	{ "exchanges", VALUE_INT, "AP exchanges accepted" }, \
	{ "rtp_sent", VALUE_INT, "voice packets sent, so far" }, \
	{ "rtp_received", VALUE_INT, "voice packets received that decrypted to what a caller may send" }, \
	{ "rtp_lost", VALUE_INT, "voice packets missing by their sequence numbers" }, \
	{ "rtp_refused", VALUE_INT, "voice packets refused" }

extern const struct machine_def served_call_machine;

/*
 * Makes the server on a node with an address and enters it and its number into the operator's directory. config is
 * copied. NULL with a text in error when the parameters make no sense. Owned by the caller.
 */
struct call_server *call_server_new(const struct call_server_config *config, const struct args *args,
                                    char error[MODEL_ERROR_LEN]);
void call_server_free(struct call_server *server);
void call_server_start(struct call_server *server);
/* Everything is lost, nobody is told, and it starts anew. */
void call_server_restart(struct call_server *server);
bool call_server_get(const struct call_server *server, const char *attribute, struct value *out);
/* All borrowed. */
const char *call_server_principal(const struct call_server *server);
struct ipsec *call_server_ipsec(struct call_server *server);
struct backend *call_server_backend(struct call_server *server);

/* Hangs up. reason is static. Harmless when the call has ended. */
void served_call_end(struct served_call *call, const char *reason);
/* Of an answered call, until over(). */
void served_call_set_state(struct served_call *call, void *state);
void *served_call_state(const struct served_call *call);
struct media *served_call_media(const struct served_call *call);
const char *served_call_id(const struct served_call *call);
/* When its controller offered it. */
sim_ns served_call_began_ns(const struct served_call *call);
/* Where the caller is: its voice decrypts only from there. */
uint32_t served_call_ip(const struct served_call *call);
/* The caller's number, as its controller has found it by its ticket; "": it has none. */
const char *served_call_number(const struct served_call *call);

#endif

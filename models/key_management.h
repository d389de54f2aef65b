/*
 * The AP exchange between two nodes (FIG. 3, lower half; flows.md 2), both sides: wake-up, AP-REQ, AP-REP over UDP
 * 1293, from a ticket to an ESP association. Used by a CTA with its signaling controller and by servers among
 * themselves (13).
 *
 * The acceptor checks, in this order, each with its own name in the record: "pktc.malformed", "krb.malformed",
 * "sc.not_us", "ticket.integrity", "sc.verify_authenticator", "pktc.hash", "sad.check_spi_range", "sc.check_expiry",
 * "sc.skew", "sc.replay_cache", "sc.stale_authenticator", "sc.client_rate" (replay_memory.h), "sad.spi_in_use" (by
 * another client at this address), "sc.server_nonce", then what its owner asks ("sc.check_subscriber", ...), then
 * "sc.limit" (too many associations or authenticators). Nothing is changed before all have passed. The initiator's
 * own: "ap.unexpected_reply", "ap.verify_reply", "pktc.hash", "cta.wake_up".
 *
 * A retransmitted AP-REQ carries a new authenticator (RFC 4120 section 3.2.2), so that the replay cache meets no
 * honest one but a copy that the network made. Its answer is the sub-key of before, if that answer was lost.
 *
 * A KRB-ERROR is authenticated by nobody: one packet of an attacker must not end an exchange. So a first error is
 * noted and the next try leaves soon; only an error to a second try ends it, as AP_REFUSED. A client that is really
 * refused learns it after AP_ERROR_PAUSE_NS and two round trips. When tries run out after a single error, that one is
 * told. KRB_AP_ERR_REPEAT never counts.
 */
#ifndef TOLLGATE_MODELS_KEY_MANAGEMENT_H
#define TOLLGATE_MODELS_KEY_MANAGEMENT_H

#include "models/ipsec.h"
#include "models/replay_memory.h"
#include "sim/service.h"

#define AP_RETRANSMIT_NS (1 * NS_PER_S)              /* doubles each time */
#define AP_TRIES 5
#define AP_ERROR_PAUSE_NS (200 * NS_PER_MS)          /* from a first error to the next try, at most */
#define WAKE_UP_RETRANSMIT_NS (1 * NS_PER_S)
#define WAKE_UP_TRIES 4
#define AP_ASSOCIATIONS_MAX 8                        /* of one peer under one name: of more the oldest go */
#define ASSOCIATION_LIFETIME_DEFAULT_NS (3600 * NS_PER_S)

struct key_management;

struct key_management_owner { /* what the element that has it is asked and told */
	void *ctx;
	/*
	 * Acceptor: may this client have an association? All of the ticket is verified. False: *check names the refusal. NULL: anyone
	 * with a ticket.
	 */
	bool (*authorise)(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check);
	/* Acceptor: an association stands (its owner and expired may be set here). */
	void (*accepted)(void *ctx, struct association *association, const struct krb_ticket_facts *ticket);
	/*
	 * Initiator: a server asks for an exchange. NULL: wake-ups are refused ("cta.wake_up"). False: not our
	 * server.
	 */
	bool (*wake_up)(void *ctx, uint32_t server_ip, const char *principal, uint32_t nonce);
};

/* principal without realm; server_key 0: never an acceptor. Owned by the caller; the owner struct is copied. */
struct key_management *key_management_new(struct node *node, struct ipsec *ipsec, const char *principal, key_handle server_key,
                                          const struct key_management_owner *owner);
void key_management_free(struct key_management *km);
/* Binds its port; forgets all exchanges and wake-ups, whose done() is not called, and the replay cache (a restart). */
void key_management_reset(struct key_management *km);
void key_management_set_lifetime(struct key_management *km, sim_ns lifetime_ns);

enum ap_outcome { AP_ESTABLISHED, AP_REFUSED, AP_TIMEOUT };
typedef void ap_done_fn(void *ctx, enum ap_outcome outcome, struct association *association, int krb_error);
/*
 * Starts an exchange with the server at server_ip under the credentials (borrowed until done). nonce: of the wake-up
 * it answers, or 0. One exchange per server at a time: false when one is under way already.
 */
bool key_management_initiate(struct key_management *km, uint32_t server_ip, const struct krb_credentials *credentials,
                             const char *label, uint32_t nonce, ap_done_fn *done, void *ctx);
/* Forgets the exchange with a server, if there is one, without done(). */
void key_management_cancel(struct key_management *km, uint32_t server_ip);
/*
 * Asks a client for an exchange; done, later, when an association with it stands (or not). Several may wait for one
 * client. Whoever waits stays until it is told or this is reset.
 */
void key_management_wake(struct key_management *km, uint32_t client_ip, ap_done_fn *done, void *ctx);

#endif

/*
 * Lawful intercept at a signaling controller (CALEA; patent [0099]-[0101]): the source controller made the call's
 * sub-key and can therefore yield the keys of its voice, for as long as the call lasts, to one who has a warrant, and
 * to nobody else.
 *
 * "kept": the controller keeps the sub-key itself. "cookie": it seals the sub-key under an escrow key of its own,
 * parks the sealed form at the other controller of the call, which cannot read it, and destroys its handle; a request
 * fetches the cookie back. The key that seals is derived for that call alone, so that a cookie of another call does
 * not open (attack S4). A call within one segment has no other controller, nor has one from the PSTN [0095], whose
 * sub-key the POTS signaling gateway made and the called CTA's controller passed on: their keys are kept.
 *
 * On the wire: RADIUS inside ESP. Parking: Accounting-Request (start) with session id and cookie; fetching:
 * Access-Request with the session id. A request: Access-Request of a "lea/..." with Calling-Station-Id = number (and a
 * session id to choose one of several calls); the Accept has the session id, where the voice flows, and the sub-key
 * wrapped for the requester's association.
 *
 * Refusals: "intercept.authorise" (no warrant in force), "intercept.no_call", "intercept.no_association" (nothing to
 * wrap under), "cookie.stranger" (parked or asked for by a controller that did not bring the call), "cookie.gone" (its
 * holder has it no longer), "cookie.integrity", "cookie.timeout". Who asks again while the cookie is being fetched is
 * answered once. A warrant must be in force both when the question comes and when the key leaves.
 */
#ifndef TOLLGATE_MODELS_INTERCEPT_H
#define TOLLGATE_MODELS_INTERCEPT_H

#include "models/call_control.h"
#include "models/radius_client.h"
#include "models/radius_server.h"

#define WARRANTS_MAX 1024  /* in force at once */
#define COOKIE_TIMEOUT_NS (10 * NS_PER_S) /* before who asked gives up (RADIUS_TRIES), so that it is told */

enum intercept_form { INTERCEPT_KEPT, INTERCEPT_COOKIE };

struct intercept;
struct intercept_config { /* borrowed parts of the controller */
	struct node *node;
	struct ipsec *ipsec;
	struct backend *backend;
	struct call_control *calls;
	struct radius_client *questions;
	struct radius_server *answers, *accounts;
	enum intercept_form form;
};
/* Owned by the caller; config is copied. */
struct intercept *intercept_new(const struct intercept_config *config);
void intercept_free(struct intercept *intercept);
/*
 * A restart: requests under way are forgotten; warrants and the escrow key are not. The RADIUS client must be reset
 * before virtual time goes on.
 */
void intercept_reset(struct intercept *intercept);

/*
 * The operator enters a court's order: to ("lea/NAME", copied) may have the keys of calls of a number (digits) until
 * until_ns. False: too many.
 */
bool intercept_warrant(struct intercept *intercept, const char *digits, const char *to, sim_ns until_ns);
/* Takes every warrant for the number out; false: there was none. */
bool intercept_revoke(struct intercept *intercept, const char *digits);
/*
 * Attack S4, at a controller that has been broken into: the cookies of two calls that other controllers have parked here change
 * places. False: it has not both.
 */
bool intercept_swap_cookies(struct intercept *intercept, const char *call, const char *with);
uint64_t intercept_released(const struct intercept *intercept); /* how many times keys were released */

/* Hooks of call control, and of the two RADIUS servers: false: not a question of this kind. */
void intercept_established(struct intercept *intercept, struct call *call);
bool intercept_question(struct intercept *intercept, const struct radius_asked *asked);
bool intercept_account(struct intercept *intercept, const struct radius_asked *asked);

#endif

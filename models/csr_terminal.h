/*
 * The terminal of the customer service centre (flows.md 5 to 10, V7 and V13; patent [0126], [0144]-[0145], [0150]):
 * what a customer wants is entered here, becomes a request to the provisioning CA, and what comes of it is told.
 *
 * A request is a RADIUS Access-Request inside ESP (contract of the life cycle; models/provisioning_request.h reads
 * it). It carries the address of the calling CTA as the call shows it, never one that somebody says, and how long ago
 * that call began. Its name (State) stays the same however often it is asked: while the provisioning CA does not
 * answer the terminal asks again, REQUEST_PAUSE_NS and doubling after each time that a question and its repetitions
 * went unanswered, for REQUEST_LIFE_NS; then it gives up. Whoever wants the same from the same address meanwhile
 * joins the request, and so does one who did not hear that it is done, unless it can as well be done again (a change,
 * an owner's certificate) or something else was done about that line since.
 *
 * A caller on a plain phone of the PSTN: the phone tells nothing of the CTA, so the signaling gateway is asked first
 * ("caller", [0145]; models/signaling_gateway.c) for its address, its number and how long ago the call began; a call
 * that began later than the request was entered is somebody else's ("csr.caller_changed"). What the representative is
 * told needs no telling again: such a request is not kept once it is over.
 *
 * Changes, terminations and moves are for the customer only ("csr.verify_caller", attack P11): the call must come
 * from the line itself, by the number that the caller's controller has proven, or the caller knows the customer's
 * PIN, which is on file here; after PIN_TRIES wrong ones the PIN is blocked until a call from the line. Other
 * refusals: "csr.unknown_wish", "csr.customer_data" (too long, or nothing that can be sent), "csr.no_number" (about
 * which line?), "csr.pin" (a new PIN that is none), "csr.limit"; of answers: "csr.answer".
 *
 * On disk: the requests that are not over, the PINs, and the number of the next request, so that no name comes twice.
 */
#ifndef TOLLGATE_MODELS_CSR_TERMINAL_H
#define TOLLGATE_MODELS_CSR_TERMINAL_H

#include "models/served_call.h"
#include "models/wire/radius.h"
#include "sim/machine.h"

#define REQUEST_PAUSE_NS (5 * NS_PER_S)
#define REQUEST_PAUSE_MAX_NS (120 * NS_PER_S)
#define REQUEST_LIFE_NS (600 * NS_PER_S)  /* asked for so long; done and not heard, it is remembered as long */
#define REQUESTS_MAX 1000
#define PIN_MIN 4
#define PIN_MAX 12
#define PIN_TRIES 3
#define ORDER_LEN 32

struct csr_wish { /* what a customer wants; "" is absent */
	char kind[16];                       /* "new", "change", "terminate", "move", "repair" */
	char data[RADIUS_TEXT_MAX];          /* "name=...;address=...;pay=..." */
	char order[ORDER_LEN];               /* work order */
	char number[SUBSCRIBER_NUMBER_LEN];  /* digits: wished for, or which it is about */
	char options[RADIUS_TEXT_MAX];       /* "caller-id,3way" */
	char pin[PIN_MAX + 1];               /* a new customer's choice, or proof */
};

struct csr_terminal;
struct csr_request; /* an object for scenarios: csr_request_class */

struct csr_terminal_config {
	struct node *node;
	struct call_server *calls;
	uint32_t pca_ip;
	uint32_t gateway_ip; /* of the signaling gateway, for callers on phones of the PSTN; 0: none */
	/* Something has come of a request; csr_request_call() waits for it. Not from inside csr_terminal_enter(). */
	void (*news)(void *ctx, struct csr_request *request);
	void *ctx;
};
/* config is copied. Owned by the caller, who frees it before the call server. */
struct csr_terminal *csr_terminal_new(const struct csr_terminal_config *config);
void csr_terminal_free(struct csr_terminal *terminal);
void csr_terminal_start(struct csr_terminal *terminal);
/* After call_server_restart(): what is on disk is asked again. */
void csr_terminal_restart(struct csr_terminal *terminal);

/* Enters what the caller wants. The request is the caller's to unref; it may be refused or done already. */
struct csr_request *csr_terminal_enter(struct csr_terminal *terminal, struct served_call *call,
                                       const struct csr_wish *wish);
/*
 * The same for the caller whom a representative has on a plain phone of the PSTN (digits): who that is, the signaling
 * gateway says. config.gateway_ip must be set (asserted).
 */
struct csr_request *csr_terminal_enter_phone(struct csr_terminal *terminal, const char *phone,
                                             const struct csr_wish *wish);
/* The call has ended: nobody waits for its request any more. */
void csr_terminal_forget_call(struct csr_terminal *terminal, const struct served_call *call);
/* A customer's PIN as it is on file. False: no number, or no PIN of PIN_MIN to PIN_MAX digits. */
bool csr_terminal_set_pin(struct csr_terminal *terminal, const char *number, const char *pin);

enum csr_outcome { CSR_ASKING, CSR_WAITING, CSR_DONE, CSR_REFUSED, CSR_GIVEN_UP, CSR_OUTCOMES };
enum csr_outcome csr_request_outcome(const struct csr_request *request);
struct served_call *csr_request_call(const struct csr_request *request); /* NULL: nobody waits */
const char *csr_request_kind(const struct csr_request *request);
const char *csr_request_number(const struct csr_request *request);  /* "" until it is done */
const char *csr_request_terms(const struct csr_request *request);
const char *csr_request_reason(const struct csr_request *request);  /* the check that refused it, "" */
/* The customer has heard what came of it. */
void csr_request_told(struct csr_request *request);
struct object *csr_request_object(struct csr_request *request);
void csr_request_unref(struct csr_request *request); /* NULL is harmless */

struct csr_figures {
	uint64_t requests, done, refused, given_up;
	unsigned open, pins;
};
struct csr_figures csr_terminal_figures(const struct csr_terminal *terminal);
/* The last request that was entered, NULL: none. Borrowed. */
struct csr_request *csr_terminal_last(const struct csr_terminal *terminal);

extern const struct object_class csr_request_class;
extern const struct machine_def csr_request_machine;

#endif

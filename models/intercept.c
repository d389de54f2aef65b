/* Lawful intercept; see intercept.h. */
#include "models/intercept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/message.h"

#define ACCT_START 1
#define ROLE_ESCROW "escrow"
#define LABEL_LEN (CALL_ID_MAX + 16)

struct warrant {
	struct warrant *next;
	char digits[SUBSCRIBER_NUMBER_LEN];
	char to[KRB_NAME_MAX + 1];
	sim_ns until_ns;
};

enum errand_kind { ERRAND_PARK, ERRAND_FETCH };

struct errand { /* something asked of the controller that has, or shall have, the cookie */
	struct errand *next;
	struct intercept *intercept;
	enum errand_kind kind;
	char call[CALL_ID_MAX + 1];
	char cookie[CALL_KEY_TEXT_LEN];  /* ERRAND_PARK */
	uint32_t at_ip;
	struct radius_asked asked;       /* ERRAND_FETCH: whom the key is for */
	bool told;                       /* ERRAND_FETCH: and has had an answer already */
	struct event deadline;
};

struct intercept {
	struct intercept_config config;
	struct secure_module *sm;
	key_handle escrow;               /* made at first use */
	struct warrant *warrants;
	unsigned warrant_count;
	struct errand *errands;
	uint64_t released;
	bool authorise, bind;            /* switches */
};

/* Warrants */

/* Takes out the warrants that match; a NULL number: those that have run out. */
static bool drop_warrants(struct intercept *i, const char *digits)
{
	struct warrant **at = &i->warrants;
	bool found = false;

	while (*at) {
		struct warrant *w = *at;

		if (digits ? strcmp(w->digits, digits) != 0 : i->config.node->sim->now_ns < w->until_ns) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
		i->warrant_count--;
		found = true;
	}
	return found;
}

bool intercept_warrant(struct intercept *i, const char *digits, const char *to, sim_ns until_ns)
{
	struct warrant *w;

	drop_warrants(i, NULL);
	if (i->warrant_count == WARRANTS_MAX)
		return false;
	w = sim_alloc(sizeof *w);
	w->next = i->warrants;
	w->until_ns = until_ns;
	snprintf(w->digits, sizeof w->digits, "%s", digits);
	snprintf(w->to, sizeof w->to, "%s", to);
	i->warrants = w;
	i->warrant_count++;
	return true;
}

bool intercept_revoke(struct intercept *i, const char *digits)
{
	return drop_warrants(i, digits);
}

static bool warranted(const struct intercept *i, const char *to, const char *digits)
{
	if (!i->authorise)
		return true;
	for (const struct warrant *w = i->warrants; w; w = w->next)
		if (strcmp(w->to, to) == 0 && strcmp(w->digits, digits) == 0 &&
		    i->config.node->sim->now_ns < w->until_ns)
			return true;
	return false;
}

/* Cookies: the key that seals one is of its call alone, unless cookie.bind is off: then one key seals them all */

static key_handle cookie_key(struct intercept *i, const char *call)
{
	char label[LABEL_LEN];

	if (!i->escrow)
		i->escrow = sm_generate_des3(i->sm, ROLE_ESCROW);
	snprintf(label, sizeof label, "cookie %s", i->bind ? call : "");
	return sm_derive_des3(i->sm, i->escrow, label, ROLE_ESCROW);
}

static bool cookie_seal(struct intercept *i, const struct call *call, char out[CALL_KEY_TEXT_LEN])
{
	uint8_t wrapped[KEY_WRAPPED_LEN];
	key_handle key = cookie_key(i, call_id(call));
	bool ok = sm_wrap(i->sm, key, KEY_USAGE_ESCROW, call_subkey(call), wrapped) &&
	          base64_encode(wrapped, sizeof wrapped, out, CALL_KEY_TEXT_LEN) > 0;

	sm_destroy_key(i->sm, key);
	return ok;
}

static key_handle cookie_open(struct intercept *i, const char *call, const char *text)
{
	uint8_t wrapped[KEY_WRAPPED_LEN];
	key_handle key, subkey = 0;

	if (base64_decode(span_of(text), wrapped, sizeof wrapped) != KEY_WRAPPED_LEN)
		return 0;
	key = cookie_key(i, call);
	subkey = sm_unwrap(i->sm, key, KEY_USAGE_ESCROW, "call.subkey", wrapped, sizeof wrapped);
	sm_destroy_key(i->sm, key);
	return subkey;
}

/*
 * Calls by identifier: its caller chose it, so it alone says little. Ours as source, or the one that a controller
 * brought to us; NULL: none.
 */

static struct call *source_call(const struct intercept *i, const char *id)
{
	for (struct call *call = call_control_first(i->config.calls); call; call = call_next(call))
		if (call_is_source(call) && call_is_up(call) && strcmp(call_id(call), id) == 0)
			return call;
	return NULL;
}

/* *check: why there is none. */
static struct call *brought_call(const struct intercept *i, const char *id, uint32_t by_ip, const char **check)
{
	*check = "intercept.no_call";
	for (struct call *call = call_control_first(i->config.calls); call; call = call_next(call)) {
		if (strcmp(call_id(call), id) != 0 || call_is_source(call))
			continue;
		if (call_near_ip(call) == by_ip)
			return call;
		*check = "cookie.stranger";
	}
	return NULL;
}

/* Errands */

static struct errand *errand_new(struct intercept *i, enum errand_kind kind, const struct call *call)
{
	struct errand *e = sim_alloc(sizeof *e);

	e->intercept = i;
	e->kind = kind;
	e->at_ip = call_far_ip(call);
	snprintf(e->call, sizeof e->call, "%s", call_id(call));
	e->next = i->errands;
	i->errands = e;
	return e;
}

static void errand_done(struct errand *e)
{
	struct errand **at = &e->intercept->errands;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	sim_cancel(e->intercept->config.node->sim, &e->deadline);
	free(e);
}

/* The errand of a question that is repeated while its answer is still being fetched; NULL: it is new. */
static struct errand *errand_of(const struct intercept *i, const struct radius_asked *asked)
{
	const struct radius *q = &asked->question;
	struct errand *e = i->errands;

	while (e && !(e->kind == ERRAND_FETCH && !e->told && e->asked.ip == asked->ip && e->asked.port == asked->port &&
	              e->asked.question.id == q->id &&
	              memcmp(e->asked.question.authenticator, q->authenticator, sizeof q->authenticator) == 0))
		e = e->next;
	return e;
}

/* Release */

static void place_text(const struct sdp *media, char out[RADIUS_TEXT_MAX])
{
	char ip[IP_TEXT_LEN];

	snprintf(out, RADIUS_TEXT_MAX, "%s:%u", ip_text(media->ip, ip), media->port);
}

static void release(struct intercept *i, const struct radius_asked *asked, const struct call *call, key_handle subkey)
{
	const struct association *a = ipsec_find(i->config.ipsec, asked->ip, LABEL_SERVER);
	struct radius answer = { .code = RADIUS_ACCESS_ACCEPT };
	char wrapped[CALL_KEY_TEXT_LEN];
	struct sdp caller, callee;

	if (!a || !call_key_wrap(a, subkey, wrapped)) {
		radius_server_judge(i->config.answers, asked, "intercept.no_association");
		return;
	}
	call_media(call, &caller, &callee);
	snprintf(answer.acct_session_id, sizeof answer.acct_session_id, "%s", call_id(call));
	snprintf(answer.class_, sizeof answer.class_, "%s", wrapped);
	place_text(&caller, answer.calling_station);
	place_text(&callee, answer.called_station);
	message_accept(i->config.node, asked->tag);
	i->released++;
	radius_server_answer(i->config.answers, asked, &answer);
}

/* A fetch has failed; who asked is told once. */
static void fetch_failed(struct errand *e, const char *check)
{
	if (!e->told)
		radius_server_judge(e->intercept->config.answers, &e->asked, check);
	e->told = true;
	sim_cancel(e->intercept->config.node->sim, &e->deadline);
}

static void on_deadline(struct sim *sim, struct event *event)
{
	struct errand *e = event_owner(event, struct errand, deadline);

	(void)sim;
	fetch_failed(e, "cookie.timeout");
}

static void numbers_asked(const struct radius_asked *asked, char digits[SUBSCRIBER_NUMBER_LEN])
{
	if (!number_digits(asked->question.calling_station, digits))
		digits[0] = '\0'; /* nobody's: a warrant is for a number */
}

/* The check that an answer of the other controller fails; NULL: *key is the sub-key, the caller destroys it. */
static const char *judge_fetched(const struct errand *e, const struct call *call, const struct radius *answer,
                                 key_handle *key)
{
	struct intercept *i = e->intercept;
	char digits[SUBSCRIBER_NUMBER_LEN];

	numbers_asked(&e->asked, digits);
	if (!warranted(i, e->asked.principal, digits))
		return "intercept.authorise"; /* no longer: it ended or was revoked while the cookie was under way */
	if (!call)
		return "intercept.no_call";
	if (answer->code != RADIUS_ACCESS_ACCEPT)
		return "cookie.gone";
	*key = cookie_open(i, e->call, answer->class_);
	return *key ? NULL : "cookie.integrity";
}

/* The cookie has come back, or not. */
static void on_fetched(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct errand *e = ctx;
	struct intercept *i = e->intercept;
	const struct call *call = source_call(i, e->call);
	const char *check = "cookie.timeout";
	key_handle key = 0;

	if (answer)
		check = e->told ? NULL : judge_fetched(e, call, answer, &key);
	else
		backend_drop(i->config.backend, e->at_ip); /* it may know nothing of our association */
	if (check && strcmp(check, "cookie.integrity") == 0)
		trace_refuse(i->config.node, check, e->at_ip, tag, e->call);
	else if (answer)
		message_accept(i->config.node, tag);
	if (check)
		fetch_failed(e, check);
	else if (!e->told)
		release(i, &e->asked, call, key);
	sm_destroy_key(i->sm, key);
	errand_done(e);
}

static void fetch(void *ctx, bool ready)
{
	struct errand *e = ctx;
	struct intercept *i = e->intercept;
	struct radius question = { .code = RADIUS_ACCESS_REQUEST };

	snprintf(question.user_name, sizeof question.user_name, "cookie");
	snprintf(question.acct_session_id, sizeof question.acct_session_id, "%s", e->call);
	if (ready && !e->told && radius_client_ask(i->config.questions, e->at_ip, &question, on_fetched, e))
		return;
	fetch_failed(e, "cookie.timeout");
	errand_done(e);
}

static struct call *wanted(const struct intercept *i, const char *digits, const char *session)
{
	for (struct call *call = call_control_first(i->config.calls); call; call = call_next(call))
		if (call_is_source(call) && call_is_up(call) && (!session[0] || strcmp(session, call_id(call)) == 0) &&
		    (strcmp(call_caller(call), digits) == 0 || strcmp(call_callee(call), digits) == 0))
			return call;
	return NULL;
}

static void take_request(struct intercept *i, const struct radius_asked *asked)
{
	char digits[SUBSCRIBER_NUMBER_LEN];
	struct errand *e = errand_of(i, asked);
	struct call *call;

	if (e) {
		message_accept(i->config.node, asked->tag);
		return;
	}
	numbers_asked(asked, digits);
	if (!warranted(i, asked->principal, digits)) {
		radius_server_judge(i->config.answers, asked, "intercept.authorise");
		return;
	}
	call = wanted(i, digits, asked->question.acct_session_id);
	if (!call) {
		radius_server_judge(i->config.answers, asked, "intercept.no_call");
		return;
	}
	if (call_subkey(call)) {
		release(i, asked, call, call_subkey(call));
		return;
	}
	e = errand_new(i, ERRAND_FETCH, call);
	e->asked = *asked;
	sim_after(i->config.node->sim, &e->deadline, COOKIE_TIMEOUT_NS, on_deadline, "cookie.timeout");
	backend_ensure(i->config.backend, e->at_ip, fetch, e);
}

/* The other controller's side: it gives the cookie back to who parked it */

static void give_back(struct intercept *i, const struct radius_asked *asked)
{
	struct radius answer = { .code = RADIUS_ACCESS_ACCEPT };
	const char *check;
	const struct call *call = brought_call(i, asked->question.acct_session_id, asked->ip, &check);

	if (!call || !call_cookie(call)) {
		radius_server_judge(i->config.answers, asked, call ? "cookie.gone" : check);
		return;
	}
	snprintf(answer.class_, sizeof answer.class_, "%s", call_cookie(call));
	message_accept(i->config.node, asked->tag);
	radius_server_answer(i->config.answers, asked, &answer);
}

bool intercept_question(struct intercept *i, const struct radius_asked *asked)
{
	if (asked->question.code != RADIUS_ACCESS_REQUEST)
		return false;
	if (strncmp(asked->principal, "lea/", 4) == 0)
		take_request(i, asked);
	else if (strncmp(asked->principal, "sc/", 3) == 0 && strcmp(asked->question.user_name, "cookie") == 0)
		give_back(i, asked);
	else
		return false;
	return true;
}

bool intercept_account(struct intercept *i, const struct radius_asked *asked)
{
	struct radius answer = { .code = RADIUS_ACCOUNTING_RESPONSE };
	const char *check;
	struct call *call;

	if (strncmp(asked->principal, "sc/", 3) != 0 || asked->question.acct_status != ACCT_START)
		return false;
	call = brought_call(i, asked->question.acct_session_id, asked->ip, &check);
	if (!call) {
		trace_refuse(i->config.node, check, asked->ip, asked->tag, asked->question.acct_session_id);
		/* Accounting has no way to say no (RFC 2866 section 4.2): who asks gives up and keeps the key. */
		return true;
	}
	call_set_cookie(call, asked->question.class_);
	message_accept(i->config.node, asked->tag);
	radius_server_answer(i->config.accounts, asked, &answer);
	return true;
}

/* Calls that another controller brought, by identifier alone: what has been broken into does not ask who it was. */
static struct call *parked(const struct intercept *i, const char *id)
{
	for (struct call *call = call_control_first(i->config.calls); call; call = call_next(call))
		if (!call_is_source(call) && call_cookie(call) && strcmp(call_id(call), id) == 0)
			return call;
	return NULL;
}

bool intercept_swap_cookies(struct intercept *i, const char *call, const char *with)
{
	struct call *a = parked(i, call), *b = parked(i, with);
	char *cookie;

	if (!a || !b)
		return false;
	cookie = sim_strdup(call_cookie(a));
	call_set_cookie(a, call_cookie(b));
	call_set_cookie(b, cookie);
	free(cookie);
	return true;
}

/* Parking */

static void on_parked(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct errand *e = ctx;
	struct intercept *i = e->intercept;
	struct call *call = source_call(i, e->call);

	if (answer)
		message_accept(i->config.node, tag);
	if (answer && answer->code == RADIUS_ACCOUNTING_RESPONSE && call)
		call_drop_subkey(call);
	errand_done(e);
}

static void park(void *ctx, bool ready)
{
	struct errand *e = ctx;
	struct intercept *i = e->intercept;
	struct radius question = { .code = RADIUS_ACCOUNTING_REQUEST, .acct_status = ACCT_START };

	snprintf(question.class_, sizeof question.class_, "%s", e->cookie);
	snprintf(question.acct_session_id, sizeof question.acct_session_id, "%s", e->call);
	if (!ready || !source_call(i, e->call) ||
	    !radius_client_ask(i->config.questions, e->at_ip, &question, on_parked, e))
		errand_done(e); /* the key stays where it is */
}

void intercept_established(struct intercept *i, struct call *call)
{
	struct errand *e;

	if (i->config.form != INTERCEPT_COOKIE || !call_far_is_controller(call))
		return;
	e = errand_new(i, ERRAND_PARK, call);
	if (cookie_seal(i, call, e->cookie))
		backend_ensure(i->config.backend, e->at_ip, park, e);
	else
		errand_done(e);
}

/* Life */

struct intercept *intercept_new(const struct intercept_config *config)
{
	struct intercept *i = sim_alloc(sizeof *i);

	i->config = *config;
	i->sm = ipsec_module(config->ipsec);
	i->authorise = world_on(world_of(config->node->sim), "intercept.authorise");
	i->bind = world_on(world_of(config->node->sim), "cookie.bind");
	return i;
}

void intercept_reset(struct intercept *i)
{
	while (i->errands) {
		backend_cancel(i->config.backend, i->errands);
		errand_done(i->errands);
	}
}

void intercept_free(struct intercept *i)
{
	if (!i)
		return;
	while (i->errands)
		errand_done(i->errands);
	while (i->warrants) {
		struct warrant *w = i->warrants;

		i->warrants = w->next;
		free(w);
	}
	sm_destroy_key(i->sm, i->escrow);
	free(i);
}

uint64_t intercept_released(const struct intercept *i)
{
	return i->released;
}

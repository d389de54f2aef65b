/* The AP exchange, both sides; see key_management.h. RFC 4120 section 3.2, patent [0070]-[0074], flows.md 2 and 13. */
#include "models/key_management.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/message.h"
#include "models/replay_memory.h"
#include "models/wakings.h"
#include "models/wire/pktc.h"

struct exchange { /* one under way, at its initiator */
	struct exchange *next;
	struct key_management *km;
	uint32_t server_ip, spi, nonce;
	const struct krb_credentials *credentials;
	const char *label;
	struct gss_initiator state;
	unsigned tries;
	unsigned refused_try;     /* the last try that an error answered; 0: none */
	int error;                /* and its code */
	struct event timer;
	ap_done_fn *done;
	void *ctx;
};

struct job { /* a message waiting for the processor */
	struct service_job service;
	struct job *next, **at;   /* at: what points to it */
	struct key_management *km;
	struct packet *packet;
	struct udp_from from;
};

#define SERVER_TEXT_LEN (KRB_NAME_MAX + KRB_REALM_MAX + 2) /* "sc/sc1@REALM" */

struct acceptor { /* what only a server has */
	struct key_management_owner owner;
	char *principal;              /* NULL: nobody */
	key_handle server_key;        /* 0: never an acceptor */
	struct replay_memory *memory; /* NULL: never an acceptor */
};

struct key_management {
	struct node *node;
	struct ipsec *ipsec;
	void *owner_ctx;
	bool (*wake_up)(void *ctx, uint32_t ip, const char *principal, uint32_t server_nonce); /* may be NULL */
	struct acceptor *acceptor;    /* NULL: it only initiates, in few bytes */
	struct udp_socket socket;
	sim_ns lifetime_ns;
	struct exchange *exchanges;
	struct wakings *wakings;      /* NULL: none yet */
	struct job *jobs;
};

static const char *self_name(const struct key_management *km)
{
	return km->acceptor && km->acceptor->principal ? km->acceptor->principal : "";
}

static struct replay_memory *memory(const struct key_management *km) /* an acceptor's */
{
	return km->acceptor->memory;
}

static struct secure_module *module(const struct key_management *km)
{
	return ipsec_module(km->ipsec);
}

/* Sending */

static void put_hash(struct key_management *km, key_handle key, uint8_t *bytes, size_t len)
{
	sm_hmac_sha1(module(km), key, bytes, len - PKTC_HASH_LEN, bytes + len - PKTC_HASH_LEN);
}

static void send_frame(struct key_management *km, uint32_t to, uint16_t port, const char *kind, const struct pktc *frame,
                       key_handle hash_key)
{
	uint8_t bytes[PKTC_MESSAGE_MAX];
	size_t len = pktc_write(frame, bytes, sizeof bytes);

	if (!len)
		return;
	if (hash_key)
		put_hash(km, hash_key, bytes, len);
	message_send(&km->socket, to, port, kind, &form_pktc, bytes, len);
}

static void send_error(struct key_management *km, const struct udp_from *to, int code)
{
	struct krb_error_info info = { .code = code, .stime = world_now(km->node->sim) };
	struct pktc frame = { .kind = PKTC_ERROR_REPLY };
	struct der der = { 0 };

	krb_name_set(&info.server, self_name(km), WORLD_REALM);
	if (krb_error_build(sm_crypto(module(km)), &info, &der)) {
		frame.kerberos = (struct span){ (const char *)der.bytes, der.len };
		send_frame(km, to->src, to->sport, "KRB-ERROR", &frame, 0);
	}
	der_free(&der);
}

/*
 * One client, or whoever makes one key again and again, does not fill the tables: of many associations the oldest go.
 */
static void trim(struct key_management *km, const struct association *newest)
{
	struct association *a = ipsec_find(km->ipsec, newest->peer_ip, newest->label), *next;
	unsigned n = 0;

	for (; a; a = next) {
		next = a->next_peer;
		if (a->peer_ip == newest->peer_ip && strcmp(a->label, newest->label) == 0 && strcmp(a->peer, newest->peer) == 0 &&
		    ++n > AP_ASSOCIATIONS_MAX)
			ipsec_remove(a);
	}
}

/* The initiator */

static void finish(struct exchange *x, enum ap_outcome outcome, struct association *a, int error)
{
	struct exchange **at = &x->km->exchanges;
	ap_done_fn *done = x->done;
	void *ctx = x->ctx;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	sim_cancel(x->km->node->sim, &x->timer);
	ipsec_expect_no_more(x->km->ipsec, x->server_ip, x->spi + 1);
	free(x);
	done(ctx, outcome, a, error);
}

static void on_retransmit(struct sim *sim, struct event *event);

static void send_request(struct exchange *x)
{
	struct key_management *km = x->km;
	struct pktc frame = { .kind = PKTC_AP_REQUEST, .server_nonce = x->nonce, .spi = x->spi + 1 };
	struct der token = { 0 };

	if (gss_init_start(module(km), x->credentials, world_now(km->node->sim), x->spi, &x->state, &token)) {
		frame.kerberos = (struct span){ (const char *)token.bytes, token.len };
		send_frame(km, x->server_ip, PKTC_PORT, "AP-REQ", &frame, x->credentials->session_key);
	}
	der_free(&token);
	sim_after(km->node->sim, &x->timer, AP_RETRANSMIT_NS << x->tries, on_retransmit, "ap.retransmit");
	x->tries++;
}

static void on_retransmit(struct sim *sim, struct event *event)
{
	struct exchange *x = event_owner(event, struct exchange, timer);

	(void)sim;
	if (x->tries == AP_TRIES)
		finish(x, x->refused_try ? AP_REFUSED : AP_TIMEOUT, NULL, x->error);
	else
		send_request(x);
}

static struct exchange *exchange_with(const struct key_management *km, uint32_t server_ip)
{
	struct exchange *x = km->exchanges;

	while (x && x->server_ip != server_ip)
		x = x->next;
	return x;
}

bool key_management_initiate(struct key_management *km, uint32_t server_ip, const struct krb_credentials *credentials,
                             const char *label, uint32_t nonce, ap_done_fn *done, void *ctx)
{
	struct exchange *x;

	if (exchange_with(km, server_ip))
		return false;
	x = sim_alloc(sizeof *x);
	*x = (struct exchange){ .next = km->exchanges, .km = km, .server_ip = server_ip, .spi = ipsec_new_spi(km->ipsec),
		                .nonce = nonce, .credentials = credentials, .label = label, .done = done, .ctx = ctx };
	km->exchanges = x;
	ipsec_expect(km->ipsec, server_ip, x->spi + 1);
	send_request(x);
	return true;
}

static void drop_exchange(struct key_management *km, struct exchange **at)
{
	struct exchange *x = *at;

	*at = x->next;
	sim_cancel(km->node->sim, &x->timer);
	ipsec_expect_no_more(km->ipsec, x->server_ip, x->spi + 1);
	free(x);
}

void key_management_cancel(struct key_management *km, uint32_t server_ip)
{
	for (struct exchange **at = &km->exchanges; *at; at = &(*at)->next)
		if ((*at)->server_ip == server_ip) {
			drop_exchange(km, at);
			return;
		}
}

static void take_reply(struct key_management *km, const struct udp_from *from, const struct pktc *m, const uint8_t *bytes)
{
	struct exchange *x = exchange_with(km, from->src);
	struct association_request request;
	struct association *a;
	uint8_t hash[SM_HMAC_LEN];
	key_handle subkey;

	if (!x || m->spi != x->spi) {
		trace_refuse(km->node, "ap.unexpected_reply", from->src, from->tag, "");
		return;
	}
	if (!gss_init_finish(module(km), &x->state, (const uint8_t *)m->kerberos.at, m->kerberos.len, &subkey)) {
		trace_refuse(km->node, "ap.verify_reply", from->src, from->tag, "");
		return;
	}
	if (!sm_hmac_sha1(module(km), subkey, bytes, m->hashed_len, hash) || !crypto_equal(hash, m->hash, sizeof hash)) {
		trace_refuse(km->node, "pktc.hash", from->src, from->tag, "");
		sm_destroy_key(module(km), subkey);
		return;
	}
	message_accept(km->node, from->tag);
	request = (struct association_request){ .peer_ip = x->server_ip, .spi = x->spi, .initiator = true, .subkey = subkey,
		                                .label = x->label, .peer = x->credentials->server.name,
		                                .lifetime_ns = m->lifetime_s * NS_PER_S };
	a = ipsec_add(km->ipsec, &request);
	if (a)
		trim(km, a);
	finish(x, a ? AP_ESTABLISHED : AP_REFUSED, a, 0);
}

/*
 * Nobody vouches for an error, so one alone ends nothing (key_management.h). KRB_AP_ERR_REPEAT is about a copy that
 * the network or somebody else made: each of our tries is new.
 */
static void take_error(struct key_management *km, const struct udp_from *from, const struct pktc *m)
{
	struct exchange *x = exchange_with(km, from->src);
	struct sim *sim = km->node->sim;
	struct krb_error_info info;
	bool again;

	if (!x || !krb_error_parse((const uint8_t *)m->kerberos.at, m->kerberos.len, &info)) {
		trace_refuse(km->node, "ap.unexpected_reply", from->src, from->tag, "");
		return;
	}
	message_accept(km->node, from->tag);
	if (info.code == KRB_AP_ERR_REPEAT || x->refused_try == x->tries)
		return;
	again = x->refused_try != 0;
	x->refused_try = x->tries;
	x->error = info.code;
	if (again) {
		finish(x, AP_REFUSED, NULL, info.code);
	} else if (x->timer.at_ns > sim->now_ns + AP_ERROR_PAUSE_NS) {
		sim_cancel(sim, &x->timer);
		sim_after(sim, &x->timer, AP_ERROR_PAUSE_NS, on_retransmit, "ap.retransmit");
	}
}

static void take_wake_up(struct key_management *km, const struct udp_from *from, const struct pktc *m)
{
	struct exchange *x;

	if (!km->wake_up || !km->wake_up(km->owner_ctx, from->src, m->principal, m->server_nonce)) {
		trace_refuse(km->node, "cta.wake_up", from->src, from->tag, m->principal);
		return;
	}
	message_accept(km->node, from->tag);
	x = exchange_with(km, from->src);
	if (x) /* under way already, perhaps for an older wake-up: its next try answers this one */
		x->nonce = m->server_nonce;
}

/* The acceptor */

struct refusal {
	const char *check;
	int code;
};

static const struct refusal gss_refusals[] = {
	[GSS_OK] = { NULL, KDC_ERR_NONE },
	[GSS_MALFORMED] = { "krb.malformed", KRB_AP_ERR_MSG_TYPE },
	[GSS_NOT_US] = { "sc.not_us", KRB_AP_ERR_NOT_US },
	[GSS_TICKET_INTEGRITY] = { "ticket.integrity", KRB_AP_ERR_BAD_INTEGRITY },
	[GSS_AUTHENTICATOR] = { "sc.verify_authenticator", KRB_AP_ERR_BAD_INTEGRITY },
	[GSS_BADMATCH] = { "sc.verify_authenticator", KRB_AP_ERR_BADMATCH },
};

static bool is_on(const struct key_management *km, const char *name)
{
	return world_on(world_of(km->node->sim), name);
}

/* While a client is being asked, an answer to somebody else's question is none; 0 is a client that comes by itself. */
static bool answers_other_wake_up(const struct key_management *km, uint32_t client_ip, uint32_t nonce)
{
	uint32_t asked;

	return nonce && km->wakings && wakings_nonce(km->wakings, client_ip, &asked) && asked != nonce;
}

/* An authenticator overtaken on the way by a newer one of the same exchange must not undo it. */
static bool stale(const struct key_management *km, uint32_t ip, const struct gss_accepted *accepted)
{
	struct krb_time newest;

	return replay_memory_newest(memory(km), ip, accepted->spi, &newest) && krb_time_older(accepted->ctime, newest);
}

/* The SPI is that of an association which somebody else has with us from this address. */
static bool takes_place(const struct key_management *km, uint32_t ip, const struct gss_accepted *accepted)
{
	const struct association *a = ipsec_find_initiated(km->ipsec, ip, accepted->spi);

	return a && strcmp(a->peer, accepted->ticket.client.name) != 0;
}

/* The frame's hash is the second proof of the session key: it goes with the first, the authenticator. */
static bool proves_key(const struct key_management *km, const struct pktc *m, const uint8_t *bytes, const struct gss_accepted *accepted)
{
	uint8_t hash[SM_HMAC_LEN];

	return !accepted->authenticator_ok ||
	       (sm_hmac_sha1(module(km), accepted->session_key, bytes, m->hashed_len, hash) &&
	        crypto_equal(hash, m->hash, sizeof hash) && m->spi == accepted->spi + 1);
}

/* What is wrong with the ticket's times; NULL: nothing. */
static const struct refusal *judge_times(const struct key_management *km, const struct gss_accepted *accepted)
{
	static const struct refusal expired = { "sc.check_expiry", KRB_AP_ERR_TKT_EXPIRED };
	static const struct refusal not_yet = { "sc.check_expiry", KRB_AP_ERR_TKT_NYV };
	int64_t now_s = sim_unix_s(km->node->sim);

	if (!is_on(km, "sc.check_expiry"))
		return NULL;
	if (accepted->ticket.end_time_s + CLOCK_SKEW_S < now_s)
		return &expired;
	return accepted->ticket.start_time_s - CLOCK_SKEW_S > now_s ? &not_yet : NULL;
}

static bool judge(struct key_management *km, const struct udp_from *from, const struct pktc *m, const uint8_t *bytes,
                  const struct gss_accepted *accepted, struct refusal *refusal)
{
	const struct key_management_owner *owner = &km->acceptor->owner;
	int64_t now_s = sim_unix_s(km->node->sim), age_s = now_s - accepted->ctime.s;
	const struct refusal *times = judge_times(km, accepted);
	const char *check = NULL;

	if (!proves_key(km, m, bytes, accepted))
		*refusal = (struct refusal){ "pktc.hash", KRB_AP_ERR_MODIFIED };
	else if (!ipsec_spi_usable(accepted->spi))
		*refusal = (struct refusal){ "sad.check_spi_range", KRB_ERR_GENERIC };
	else if (times)
		*refusal = *times;
	else if (age_s > CLOCK_SKEW_S || age_s < -CLOCK_SKEW_S)
		*refusal = (struct refusal){ "sc.skew", KRB_AP_ERR_SKEW };
	else if (is_on(km, "sc.replay_cache") &&
	         replay_memory_holds(memory(km), accepted->authenticator_hash))
		*refusal = (struct refusal){ "sc.replay_cache", KRB_AP_ERR_REPEAT };
	else if (stale(km, from->src, accepted))
		*refusal = (struct refusal){ "sc.stale_authenticator", KRB_AP_ERR_REPEAT };
	else if (replay_memory_crowded(memory(km), from->src, now_s))
		*refusal = (struct refusal){ "sc.client_rate", KRB_ERR_GENERIC };
	else if (takes_place(km, from->src, accepted))
		*refusal = (struct refusal){ "sad.spi_in_use", KRB_ERR_GENERIC };
	else if (answers_other_wake_up(km, from->src, m->server_nonce))
		*refusal = (struct refusal){ "sc.server_nonce", KRB_ERR_GENERIC };
	else if (owner->authorise && !owner->authorise(owner->ctx, accepted, from->src, &check))
		*refusal = (struct refusal){ check, KDC_ERR_POLICY };
	else
		return true;
	return false;
}

/*
 * The client asks again, with a newer authenticator, for what it has been given: its answer was lost or is late. It
 * gets the same sub-key, so that what either end may already have sent under it stays good. An authenticator of before
 * (sc.replay_cache off, attack T1) begins anew.
 */
static struct association *given_already(struct key_management *km, uint32_t ip, const struct gss_accepted *accepted)
{
	struct association *a = ipsec_find_initiated(km->ipsec, ip, accepted->spi);
	struct krb_time newest;

	return a && replay_memory_newest(memory(km), ip, accepted->spi, &newest) && krb_time_older(newest, accepted->ctime) ? a : NULL;
}

static void send_reply(struct key_management *km, const struct udp_from *to, const struct association *a,
                       const struct der *token)
{
	struct pktc frame = { .kind = PKTC_AP_REPLY, .spi = a->spi, .lifetime_s = (uint32_t)(km->lifetime_ns / NS_PER_S),
		              .kerberos = { (const char *)token->bytes, token->len } };

	send_frame(km, to->src, to->sport, "AP-REP", &frame, a->subkey);
}

/* Everything has passed: sub-key, association, answer. False: a limit is reached, nothing stands. */
static bool commit(struct key_management *km, const struct udp_from *from, const struct gss_accepted *accepted)
{
	struct association_request request = { .peer_ip = from->src, .spi = accepted->spi,
		                               .label = strchr(accepted->ticket.client.name, '/') ? LABEL_SERVER : LABEL_CTA_SC,
		                               .peer = accepted->ticket.client.name, .lifetime_ns = km->lifetime_ns };
	struct association *a = given_already(km, from->src, accepted);
	bool given = a != NULL;
	int64_t now_s = sim_unix_s(km->node->sim);
	struct der token = { 0 };

	if (!replay_memory_add(memory(km), accepted->authenticator_hash, accepted->ctime, now_s))
		return false;
	if (given ? !gss_accept_reply_again(module(km), accepted, a->subkey, &token)
	          : !gss_accept_reply(module(km), accepted, &request.subkey, &token) || !(a = ipsec_add(km->ipsec, &request))) {
		der_free(&token);
		return false;
	}
	replay_memory_note(memory(km), from->src, accepted->spi, accepted->ctime, now_s);
	trim(km, a);
	send_reply(km, from, a, &token);
	der_free(&token);
	if (!given && km->acceptor->owner.accepted)
		km->acceptor->owner.accepted(km->acceptor->owner.ctx, a, &accepted->ticket);
	if (km->wakings)
		wakings_done(km->wakings, from->src, a);
	return true;
}

static void note_server(void *ctx, const char *path, const char *value, enum krb_field class_)
{
	char *server = ctx;

	(void)class_;
	if (strcmp(path, "ticket.sname") == 0)
		snprintf(server, SERVER_TEXT_LEN, "%s", value);
}

/* A ticket that our key does not open because it is another server's is no forgery. */
static bool made_for_another(const struct key_management *km, const struct span *token)
{
	char server[SERVER_TEXT_LEN] = "", own[SERVER_TEXT_LEN];

	snprintf(own, sizeof own, "%s@%s", self_name(km), WORLD_REALM);
	krb_describe((const uint8_t *)token->at, token->len, note_server, server);
	return strcmp(server, own) != 0;
}

static enum gss_verdict open_request(struct key_management *km, const struct pktc *m, struct gss_accepted *accepted)
{
	struct krb_name self;
	enum gss_verdict verdict = GSS_NOT_US;

	if (km->acceptor && km->acceptor->server_key)
		verdict = gss_accept(module(km), km->acceptor->server_key, (const uint8_t *)m->kerberos.at, m->kerberos.len,
		                     is_on(km, "sc.verify_authenticator"), accepted);
	if (verdict == GSS_OK && !accepted->authenticator_ok) { /* nobody looks (attack T3): as if it had said what the frame says */
		accepted->spi = m->spi - 1;
		accepted->ctime = world_now(km->node->sim);
	}
	krb_name_set(&self, self_name(km), WORLD_REALM);
	if (verdict == GSS_TICKET_INTEGRITY && made_for_another(km, &m->kerberos))
		verdict = GSS_NOT_US;
	else if (verdict == GSS_OK && !krb_name_equal(&accepted->ticket.server, &self)) /* stands outside the sealed part */
		verdict = GSS_NOT_US;
	return verdict;
}

static void take_request(struct key_management *km, const struct udp_from *from, const struct pktc *m, const uint8_t *bytes)
{
	struct gss_accepted accepted = { 0 };
	enum gss_verdict verdict = open_request(km, m, &accepted);
	struct refusal refusal = gss_refusals[verdict];

	if (verdict == GSS_OK && judge(km, from, m, bytes, &accepted, &refusal)) {
		refusal = (struct refusal){ "sc.limit", KRB_ERR_GENERIC };
		if (commit(km, from, &accepted))
			refusal.check = NULL;
	}
	if (refusal.check) {
		trace_refuse(km->node, refusal.check, from->src, from->tag, krb_error_name(refusal.code));
		send_error(km, from, refusal.code);
	} else {
		message_accept(km->node, from->tag);
	}
	sm_destroy_key(module(km), accepted.session_key);
}

static void process(struct key_management *km, struct packet *packet, const struct udp_from *from)
{
	struct pktc m;

	if (!pktc_parse(packet->data, packet->len, krb_message_len, &m)) {
		trace_refuse(km->node, "pktc.malformed", from->src, from->tag, "");
		return;
	}
	switch (m.kind) {
	case PKTC_AP_REQUEST:
		take_request(km, from, &m, packet->data);
		break;
	case PKTC_AP_REPLY:
		take_reply(km, from, &m, packet->data);
		break;
	case PKTC_ERROR_REPLY:
		take_error(km, from, &m);
		break;
	case PKTC_WAKE_UP:
		take_wake_up(km, from, &m);
		break;
	}
}

static void job_unlink(struct job *job)
{
	*job->at = job->next;
	if (job->next)
		job->next->at = job->at;
}

static void job_free(struct job *job)
{
	job_unlink(job);
	service_cancel(&job->service);
	packet_free(job->packet);
	free(job);
}

/* Off the list first: what it leads to may be a restart, which frees the jobs. */
static void job_done(struct service_job *service)
{
	struct job *job = event_owner(service, struct job, service);

	job_unlink(job);
	process(job->km, job->packet, &job->from);
	packet_free(job->packet);
	free(job);
}

/* Decryption of ticket and authenticator, the hash, one answer: bytes as in facts.md. */
static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct key_management *km = socket->ctx;
	struct service_cost cost = { .cipher_bytes = packet->len, .hash_bytes = 2 * packet->len, .messages = 1 };
	struct job *job = sim_alloc(sizeof *job);

	*job = (struct job){ .next = km->jobs, .at = &km->jobs, .km = km, .packet = packet_keep(packet), .from = *from };
	job->from.sa = NULL; /* it may be gone when the job is done */
	if (job->next)
		job->next->at = &job->next;
	km->jobs = job;
	if (!service_submit(km->node, &job->service, &cost, job_done)) {
		trace_fate(km->node->sim, from->tag, km->node, FATE_LOST, "service.queue");
		job_free(job);
	}
}

/* Waking a client */

static void send_wake_up(void *ctx, uint32_t client_ip, uint32_t nonce)
{
	struct key_management *km = ctx;
	struct pktc frame = { .kind = PKTC_WAKE_UP, .server_nonce = nonce };

	snprintf(frame.principal, sizeof frame.principal, "%s", self_name(km));
	send_frame(km, client_ip, PKTC_PORT, "Wake-up", &frame, 0);
}

void key_management_wake(struct key_management *km, uint32_t client_ip, ap_done_fn *done, void *ctx)
{
	if (!km->wakings)
		km->wakings = wakings_new(km->ipsec, km->node, send_wake_up, km);
	wakings_add(km->wakings, client_ip, done, ctx);
}

/* Life */

static void forget(struct key_management *km)
{
	while (km->exchanges)
		drop_exchange(km, &km->exchanges);
	if (km->wakings)
		wakings_reset(km->wakings);
	while (km->jobs)
		job_free(km->jobs);
	if (km->acceptor && km->acceptor->memory)
		replay_memory_reset(km->acceptor->memory);
}

void key_management_reset(struct key_management *km)
{
	forget(km);
	udp_unbind(&km->socket);
	udp_bind(km->node, &km->socket, PKTC_PORT, on_datagram, km);
}

struct key_management *key_management_new(struct node *node, struct ipsec *ipsec, const char *principal, key_handle server_key,
                                          const struct key_management_owner *owner)
{
	struct key_management *km = sim_alloc(sizeof *km);

	km->node = node;
	km->ipsec = ipsec;
	km->owner_ctx = owner->ctx;
	km->wake_up = owner->wake_up;
	km->lifetime_ns = ASSOCIATION_LIFETIME_DEFAULT_NS;
	if (server_key || *principal) {
		km->acceptor = sim_alloc(sizeof *km->acceptor);
		*km->acceptor = (struct acceptor){ .owner = *owner, .principal = *principal ? sim_strdup(principal) : NULL,
			                           .server_key = server_key, .memory = server_key ? replay_memory_new() : NULL };
	}
	return km;
}

void key_management_free(struct key_management *km)
{
	if (!km)
		return;
	forget(km);
	udp_unbind(&km->socket);
	wakings_free(km->wakings);
	if (km->acceptor) {
		replay_memory_free(km->acceptor->memory);
		free(km->acceptor->principal);
	}
	free(km->acceptor);
	free(km);
}

void key_management_set_lifetime(struct key_management *km, sim_ns lifetime_ns)
{
	km->lifetime_ns = lifetime_ns;
}

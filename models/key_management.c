/* The AP exchange, both sides; see key_management.h. RFC 4120 section 3.2, patent [0070]-[0074], flows.md 2 and 13. */
#include "models/key_management.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/message.h"
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

struct waking { /* a client that has been asked, at its server */
	struct waking *next;
	struct key_management *km;
	uint32_t client_ip, nonce;
	unsigned tries;
	struct event timer;
	ap_done_fn *done;
	void *ctx;
};

struct replay { /* an authenticator that has been accepted */
	struct replay *next;      /* in its bucket */
	uint8_t hash[20];
	int64_t expires_s;
};

struct job { /* a message waiting for the processor */
	struct service_job service;
	struct job *next, **at;   /* at: what points to it */
	struct key_management *km;
	struct packet *packet;
	struct udp_from from;
};

struct newest { /* the newest authenticator accepted from a client address */
	uint32_t ip, spi;
	struct krb_time ctime;
};

#define REPLAY_BUCKETS_FIRST 64
#define NEWEST_FIRST 16
#define SERVER_TEXT_LEN (KRB_NAME_MAX + KRB_REALM_MAX + 2) /* "sc/sc1@REALM" */

struct key_management {
	struct node *node;
	struct ipsec *ipsec;
	struct secure_module *sm;
	struct key_management_owner owner;
	char principal[KRB_NAME_MAX + 1];
	key_handle server_key;
	struct udp_socket socket;
	sim_ns lifetime_ns;
	struct exchange *exchanges;
	struct waking *wakings;
	struct job *jobs;
	struct replay **replays;
	uint32_t replay_buckets, replay_count;
	int64_t replay_cleaned_s;
	struct newest *newest;    /* open addressing by address */
	uint32_t newest_size, newest_count;
	struct rng nonces;
};

/* Sending */

static void put_hash(struct key_management *km, key_handle key, uint8_t *bytes, size_t len)
{
	sm_hmac_sha1(km->sm, key, bytes, len - PKTC_HASH_LEN, bytes + len - PKTC_HASH_LEN);
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

	krb_name_set(&info.server, km->principal, WORLD_REALM);
	if (krb_error_build(sm_crypto(km->sm), &info, &der)) {
		frame.kerberos = (struct span){ (const char *)der.bytes, der.len };
		send_frame(km, to->src, to->sport, "KRB-ERROR", &frame, 0);
	}
	der_free(&der);
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

	if (gss_init_start(km->sm, x->credentials, world_now(km->node->sim), x->spi, &x->state, &token)) {
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
	if (!gss_init_finish(km->sm, &x->state, (const uint8_t *)m->kerberos.at, m->kerberos.len, &subkey)) {
		trace_refuse(km->node, "ap.verify_reply", from->src, from->tag, "");
		return;
	}
	if (!sm_hmac_sha1(km->sm, subkey, bytes, m->hashed_len, hash) || !crypto_equal(hash, m->hash, sizeof hash)) {
		trace_refuse(km->node, "pktc.hash", from->src, from->tag, "");
		sm_destroy_key(km->sm, subkey);
		return;
	}
	message_accept(km->node, from->tag);
	request = (struct association_request){ .peer_ip = x->server_ip, .spi = x->spi, .initiator = true, .subkey = subkey,
		                                .label = x->label, .peer = x->credentials->server.name,
		                                .lifetime_ns = m->lifetime_s * NS_PER_S };
	a = ipsec_add(km->ipsec, &request);
	finish(x, a ? AP_ESTABLISHED : AP_REFUSED, a, 0);
}

/*
 * Nobody vouches for an error, so one alone ends nothing (key_management.h). KRB_AP_ERR_REPEAT is about a copy that the network
 * or somebody else made: each of our tries is new.
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

	if (!km->owner.wake_up || !km->owner.wake_up(km->owner.ctx, from->src, m->principal, m->server_nonce)) {
		trace_refuse(km->node, "cta.wake_up", from->src, from->tag, m->principal);
		return;
	}
	message_accept(km->node, from->tag);
	x = exchange_with(km, from->src);
	if (x) /* under way already, perhaps for an older wake-up: its next try answers this one */
		x->nonce = m->server_nonce;
}

/* The acceptor's memory of authenticators */

static uint32_t replay_bucket(const struct key_management *km, const uint8_t hash[20])
{
	return get_be32(hash) & (km->replay_buckets - 1);
}

static bool replayed(const struct key_management *km, const uint8_t hash[20])
{
	if (!km->replay_buckets)
		return false;
	for (const struct replay *r = km->replays[replay_bucket(km, hash)]; r; r = r->next)
		if (memcmp(r->hash, hash, sizeof r->hash) == 0)
			return true;
	return false;
}

/* Moves what is in memory to a table of so many buckets, without what the skew check would refuse anyway. */
static void replay_rebuild(struct key_management *km, uint32_t buckets, int64_t now_s)
{
	struct replay **old = km->replays;
	uint32_t old_buckets = km->replay_buckets;

	km->replay_buckets = buckets;
	km->replays = sim_alloc(km->replay_buckets * sizeof *km->replays);
	for (uint32_t b = 0; b < old_buckets; b++)
		while (old[b]) {
			struct replay *r = old[b], **at;

			old[b] = r->next;
			if (r->expires_s < now_s) {
				free(r);
				km->replay_count--;
				continue;
			}
			at = &km->replays[replay_bucket(km, r->hash)];
			r->next = *at;
			*at = r;
		}
	free(old);
	km->replay_cleaned_s = now_s;
}

/* Makes room for one more; at most one cleaning a second when the cache is full of what is still valid. */
static bool replay_room(struct key_management *km)
{
	int64_t now_s = sim_unix_s(km->node->sim);

	if (!km->replay_buckets)
		replay_rebuild(km, REPLAY_BUCKETS_FIRST, now_s);
	if (km->replay_count < km->replay_buckets && km->replay_count < REPLAY_CACHE_MAX)
		return true;
	if (km->replay_cleaned_s != now_s)
		replay_rebuild(km, km->replay_buckets, now_s);
	if (km->replay_count * 2 > km->replay_buckets && km->replay_buckets < REPLAY_CACHE_MAX)
		replay_rebuild(km, km->replay_buckets * 2, now_s);
	return km->replay_count < REPLAY_CACHE_MAX;
}

static bool remember(struct key_management *km, const struct gss_accepted *accepted)
{
	struct replay *r, **at;

	if (!replay_room(km))
		return false;
	r = sim_alloc(sizeof *r);
	memcpy(r->hash, accepted->authenticator_hash, sizeof r->hash);
	r->expires_s = accepted->ctime.s + CLOCK_SKEW_S;
	at = &km->replays[replay_bucket(km, r->hash)];
	r->next = *at;
	*at = r;
	km->replay_count++;
	return true;
}

static struct newest *newest_slot(struct newest *table, uint32_t size, uint32_t ip)
{
	uint32_t at = (ip * 0x9e3779b1u) >> 7 & (size - 1);

	while (table[at].ip && table[at].ip != ip)
		at = (at + 1) & (size - 1);
	return &table[at];
}

/* An older authenticator than these is refused by the skew check alone: they may go. */
static bool newest_outdated(const struct key_management *km, const struct newest *n)
{
	return n->ctime.s + CLOCK_SKEW_S < sim_unix_s(km->node->sim);
}

static void newest_grow(struct key_management *km)
{
	struct newest *old = km->newest;
	uint32_t size = km->newest_size, live = 0;

	for (uint32_t i = 0; i < size; i++)
		live += old[i].ip && !newest_outdated(km, &old[i]);
	km->newest_size = !size ? NEWEST_FIRST : live * 4 > size ? size * 2 : size;
	km->newest_count = live;
	km->newest = sim_alloc(km->newest_size * sizeof *km->newest);
	for (uint32_t i = 0; i < size; i++)
		if (old[i].ip && !newest_outdated(km, &old[i]))
			*newest_slot(km->newest, km->newest_size, old[i].ip) = old[i];
	free(old);
}

static bool older(struct krb_time a, struct krb_time b)
{
	return a.s != b.s ? a.s < b.s : a.us < b.us;
}

/* An authenticator overtaken on the way by a newer one of the same exchange must not undo it. */
static bool stale(struct key_management *km, uint32_t ip, const struct gss_accepted *accepted)
{
	const struct newest *n;

	if (!km->newest_size)
		return false;
	n = newest_slot(km->newest, km->newest_size, ip);
	return n->ip == ip && n->spi == accepted->spi && older(accepted->ctime, n->ctime);
}

static void note_newest(struct key_management *km, uint32_t ip, const struct gss_accepted *accepted)
{
	struct newest *n;

	if (km->newest_count * 2 >= km->newest_size)
		newest_grow(km);
	n = newest_slot(km->newest, km->newest_size, ip);
	if (!n->ip)
		km->newest_count++;
	*n = (struct newest){ ip, accepted->spi, accepted->ctime };
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

/* While a client is being asked, an answer to somebody else's question is none; 0 is a client that comes by itself. */
static bool answers_other_wake_up(const struct key_management *km, uint32_t client_ip, uint32_t nonce)
{
	const struct waking *w = km->wakings;

	while (w && w->client_ip != client_ip)
		w = w->next;
	return nonce && w && w->nonce != nonce;
}

static bool judge(struct key_management *km, const struct udp_from *from, const struct pktc *m, const uint8_t *bytes,
                  const struct gss_accepted *accepted, struct refusal *refusal)
{
	int64_t now_s = sim_unix_s(km->node->sim), age_s = now_s - accepted->ctime.s;
	uint8_t hash[SM_HMAC_LEN];
	const char *check = NULL;

	if (!sm_hmac_sha1(km->sm, accepted->session_key, bytes, m->hashed_len, hash) ||
	    !crypto_equal(hash, m->hash, sizeof hash) || m->spi != accepted->spi + 1)
		*refusal = (struct refusal){ "pktc.hash", KRB_AP_ERR_MODIFIED };
	else if (!ipsec_spi_usable(accepted->spi))
		*refusal = (struct refusal){ "sad.check_spi_range", KRB_ERR_GENERIC };
	else if (accepted->ticket.end_time_s + CLOCK_SKEW_S < now_s)
		*refusal = (struct refusal){ "sc.check_expiry", KRB_AP_ERR_TKT_EXPIRED };
	else if (accepted->ticket.start_time_s - CLOCK_SKEW_S > now_s)
		*refusal = (struct refusal){ "sc.check_expiry", KRB_AP_ERR_TKT_NYV };
	else if (age_s > CLOCK_SKEW_S || age_s < -CLOCK_SKEW_S)
		*refusal = (struct refusal){ "sc.skew", KRB_AP_ERR_SKEW };
	else if (world_on(world_of(km->node->sim), "sc.replay_cache") && replayed(km, accepted->authenticator_hash))
		*refusal = (struct refusal){ "sc.replay_cache", KRB_AP_ERR_REPEAT };
	else if (stale(km, from->src, accepted))
		*refusal = (struct refusal){ "sc.stale_authenticator", KRB_AP_ERR_REPEAT };
	else if (answers_other_wake_up(km, from->src, m->server_nonce))
		*refusal = (struct refusal){ "sc.server_nonce", KRB_ERR_GENERIC };
	else if (km->owner.authorise && !km->owner.authorise(km->owner.ctx, accepted, from->src, &check))
		*refusal = (struct refusal){ check, KDC_ERR_POLICY };
	else
		return true;
	return false;
}

static void waking_done(struct key_management *km, uint32_t client_ip, enum ap_outcome outcome, struct association *a);

/*
 * The client asks again, with a newer authenticator, for what it has been given: its answer was lost or is late. It gets the same
 * sub-key, so that what either end may already have sent under it stays good. An authenticator of before (sc.replay_cache
 * off, attack T1) begins anew.
 */
static struct association *given_already(struct key_management *km, uint32_t ip, const struct gss_accepted *accepted)
{
	struct association *a = ipsec_find_initiated(km->ipsec, ip, accepted->spi);
	const struct newest *n = km->newest_size ? newest_slot(km->newest, km->newest_size, ip) : NULL;

	if (!a || !n || n->ip != ip || n->spi != accepted->spi || !older(n->ctime, accepted->ctime) ||
	    strcmp(a->peer, accepted->ticket.client.name) != 0)
		return NULL;
	return a;
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
	struct der token = { 0 };

	if (!remember(km, accepted))
		return false;
	if (given ? !gss_accept_reply_again(km->sm, accepted, a->subkey, &token)
	          : !gss_accept_reply(km->sm, accepted, &request.subkey, &token) || !(a = ipsec_add(km->ipsec, &request))) {
		der_free(&token);
		return false;
	}
	note_newest(km, from->src, accepted);
	send_reply(km, from, a, &token);
	der_free(&token);
	if (!given && km->owner.accepted)
		km->owner.accepted(km->owner.ctx, a, &accepted->ticket);
	waking_done(km, from->src, AP_ESTABLISHED, a);
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

	snprintf(own, sizeof own, "%s@%s", km->principal, WORLD_REALM);
	krb_describe((const uint8_t *)token->at, token->len, note_server, server);
	return strcmp(server, own) != 0;
}

static enum gss_verdict open_request(struct key_management *km, const struct pktc *m, struct gss_accepted *accepted)
{
	struct krb_name self;
	enum gss_verdict verdict = GSS_NOT_US;

	if (km->server_key)
		verdict = gss_accept(km->sm, km->server_key, (const uint8_t *)m->kerberos.at, m->kerberos.len, true, accepted);
	krb_name_set(&self, km->principal, WORLD_REALM);
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
	sm_destroy_key(km->sm, accepted.session_key);
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

static void waking_finish(struct waking *w, enum ap_outcome outcome, struct association *a)
{
	struct waking **at = &w->km->wakings;
	ap_done_fn *done = w->done;
	void *ctx = w->ctx;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	sim_cancel(w->km->node->sim, &w->timer);
	free(w);
	done(ctx, outcome, a, 0);
}

static void waking_done(struct key_management *km, uint32_t client_ip, enum ap_outcome outcome, struct association *a)
{
	for (struct waking *w = km->wakings, *next; w; w = next) {
		next = w->next;
		if (w->client_ip == client_ip) {
			waking_finish(w, outcome, a);
			return;
		}
	}
}

static void on_wake_timer(struct sim *sim, struct event *event);

static void send_wake_up(struct waking *w)
{
	struct pktc frame = { .kind = PKTC_WAKE_UP, .server_nonce = w->nonce };

	snprintf(frame.principal, sizeof frame.principal, "%s", w->km->principal);
	send_frame(w->km, w->client_ip, PKTC_PORT, "Wake-up", &frame, 0);
	sim_after(w->km->node->sim, &w->timer, WAKE_UP_RETRANSMIT_NS << w->tries, on_wake_timer, "wake_up.retransmit");
	w->tries++;
}

static void on_wake_timer(struct sim *sim, struct event *event)
{
	struct waking *w = event_owner(event, struct waking, timer);

	(void)sim;
	if (w->tries == WAKE_UP_TRIES)
		waking_finish(w, AP_TIMEOUT, NULL);
	else
		send_wake_up(w);
}

bool key_management_wake(struct key_management *km, uint32_t client_ip, ap_done_fn *done, void *ctx)
{
	struct waking *w;

	for (w = km->wakings; w; w = w->next)
		if (w->client_ip == client_ip)
			return false;
	w = sim_alloc(sizeof *w);
	*w = (struct waking){ .next = km->wakings, .km = km, .client_ip = client_ip, .done = done, .ctx = ctx,
		              .nonce = (uint32_t)rng_u64(&km->nonces) };
	km->wakings = w;
	send_wake_up(w);
	return true;
}

/* Life */

static void forget(struct key_management *km)
{
	while (km->exchanges)
		drop_exchange(km, &km->exchanges);
	while (km->wakings) {
		struct waking *w = km->wakings;

		km->wakings = w->next;
		sim_cancel(km->node->sim, &w->timer);
		free(w);
	}
	while (km->jobs)
		job_free(km->jobs);
	for (uint32_t b = 0; b < km->replay_buckets; b++)
		while (km->replays[b]) {
			struct replay *r = km->replays[b];

			km->replays[b] = r->next;
			free(r);
		}
	free(km->replays);
	free(km->newest);
	km->replays = NULL;
	km->newest = NULL;
	km->replay_buckets = km->replay_count = km->newest_size = km->newest_count = 0;
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
	km->sm = ipsec_module(ipsec);
	km->owner = *owner;
	km->server_key = server_key;
	km->lifetime_ns = ASSOCIATION_LIFETIME_DEFAULT_NS;
	snprintf(km->principal, sizeof km->principal, "%s", principal);
	rng_init(&km->nonces, node->sim->seed, node->name, "wake-up");
	return km;
}

void key_management_free(struct key_management *km)
{
	if (!km)
		return;
	forget(km);
	udp_unbind(&km->socket);
	free(km);
}

void key_management_set_lifetime(struct key_management *km, sim_ns lifetime_ns)
{
	km->lifetime_ns = lifetime_ns;
}

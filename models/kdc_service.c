/*
 * The KDC; see kdc_service.h. RFC 4120 sections 3.1, 5.2.7.2, 7.2; RFC 4556 section 3.2.2; flows.md 1.
 *
 * A request passes stages. Each is a job of the node's service queue with its true cost, then its checks; the first
 * check that fails answers and ends it. Costly stages come after cheap ones, and what another server must be asked comes
 * after the signature, so that nobody can make others work with a request that is not signed. A certificate is
 * remembered once its chain has been verified, an authenticator once its signature has.
 */
#include "models/kdc_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/derive.h"
#include "crypto/pkinit.h"
#include "models/digest_cache.h"
#include "models/directory.h"
#include "models/message.h"

#define LENGTH_PREFIX 4
#define LENGTH_RESERVED 0x80000000u        /* RFC 4120 section 7.2.2: must be 0 */
#define SAMPLE_INTERVAL_NS (10 * NS_PER_MS) /* "kdc.requests" is sampled at most so often */
#define MAC_TEXT_LEN 18
/* RFC 4120 section 7.5.9 */
#define ERROR_NEVER_VALID 11
#define ERROR_WRONG_REALM 68

struct refusal {
	const char *check;
	int code;
};

struct connection {
	struct connection *next, **link;
	struct kdc_service *kdc;
	struct tcp_conn *tcp;
	struct request *request;    /* one at a time */
	struct event idle;
	bool peer_done;             /* it sends no more */
	bool closing;               /* what comes now is not looked at */
};

struct request {
	struct request *next, **link;
	struct kdc_service *kdc;
	struct service_job job;
	uint32_t src, dst;
	uint16_t sport;
	uint64_t tag;
	bool by_tcp;
	struct connection *connection; /* NULL: UDP, or its client has gone */
	struct der bytes;
	unsigned stage;
	struct krb_as_facts facts;
	struct cert_facts cert;
	uint8_t thumbprint[DIGEST_LEN];
	bool chain_known;              /* a thumbprint says so */
	int64_t cert_until_s;          /* when the first certificate of its chain ends */
	const struct refusal *asked;   /* what a "no" of the server asked means */
	uint32_t asked_ip;
	sim_ns asked_ns;
	struct der reply;
};

struct service_key {
	struct service_key *next;
	key_handle key;
	char principal[];
};

struct kdc_service {
	struct kdc_config config;
	struct world *world;
	struct crypto *crypto;
	struct pkinit_kdc authority;
	struct service_key *keys;
	char (*numbers)[KRB_NUMBER_LEN];
	unsigned number_count;
	struct tcp_listener listener;
	struct udp_socket socket;
	struct connection *connections;
	struct request *requests;
	struct digest_cache *certificates, *authenticators;
	bool restarted;
	struct krb_time restarted_at;
	sim_ns sample_due_ns;
	struct kdc_counters counters;
	struct { /* switches */
		bool draft, check_time, replay_cache, check_segment, check_subscriber, check_mac_ip, recheck_time, after_verify,
		     check_end;
	} on;
};

/* Requests and their answers */

static void advance(struct request *r, unsigned stage);
static void connection_ready(struct connection *c);
static void close_connection(struct connection *c);

static void request_free(struct request *r)
{
	struct kdc_service *kdc = r->kdc;

	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	kdc->counters.under_way--;
	service_cancel(&r->job);
	if (r->connection)
		r->connection->request = NULL;
	krb_as_facts_free(&r->facts);
	der_free(&r->bytes);
	der_free(&r->reply);
	free(r);
}

static void send_udp(struct kdc_service *kdc, const struct request *r, const struct der *message)
{
	struct packet *p = packet_new(kdc->config.node->sim, (uint32_t)message->len);

	memcpy(packet_append(p, (uint32_t)message->len), message->bytes, message->len);
	p->tag = message_announce(kdc->config.node, r->dst, r->src, kerberos_kind(message->bytes, message->len), &form_kerberos,
	                          message->bytes, message->len);
	p->actor = kdc->config.node;
	udp_send(&kdc->socket, r->dst, r->src, r->sport, p);
}

static void send_tcp(struct connection *c, const struct der *message)
{
	struct node *node = c->kdc->config.node;
	uint8_t framed[LENGTH_PREFIX + KRB_MESSAGE_MAX];
	uint32_t peer;
	uint16_t port;
	uint64_t tag;

	if (message->len > KRB_MESSAGE_MAX)
		return;
	tcp_peer(c->tcp, &peer, &port);
	put_be32(framed, (uint32_t)message->len);
	memcpy(framed + LENGTH_PREFIX, message->bytes, message->len);
	tag = message_announce(node, tcp_local_ip(c->tcp), peer, kerberos_kind(message->bytes, message->len), &form_kerberos,
	                       message->bytes, message->len);
	tcp_send(c->tcp, framed, LENGTH_PREFIX + message->len, tag);
}

/* The last of a request: message goes to whoever asked, if still there. */
static void answer(struct request *r, const struct der *message)
{
	struct connection *c = r->connection;
	struct node *node = r->kdc->config.node;

	if (c)
		send_tcp(c, message);
	else if (!r->by_tcp)
		send_udp(r->kdc, r, message);
	request_free(r);
	sim_changed(node->sim, node);
	if (c)
		connection_ready(c);
}

static bool build_error(const struct kdc_service *kdc, const struct krb_name *server, const struct refusal *refusal,
                        struct der *out)
{
	struct krb_error_info info = { .code = refusal->code, .stime = world_now(kdc->config.node->sim) };

	snprintf(info.text, sizeof info.text, "%s", refusal->check);
	if (server && server->name[0])
		info.server = *server;
	else
		krb_name_set(&info.server, "krbtgt/" WORLD_REALM, WORLD_REALM);
	return krb_error_build(kdc->crypto, &info, out);
}

static void refuse(struct request *r, const struct refusal *refusal, const char *detail)
{
	struct kdc_service *kdc = r->kdc;
	struct der error = { 0 };

	trace_refuse(kdc->config.node, refusal->check, r->src, r->tag, detail);
	kdc->counters.refused++;
	if (build_error(kdc, &r->facts.server, refusal, &error))
		answer(r, &error);
	else
		request_free(r);
	der_free(&error);
}

/* A request that is dropped without a word: its client will ask again. */
static void drop(struct request *r)
{
	struct connection *c = r->connection;

	request_free(r);
	if (c)
		close_connection(c);
}

static int64_t now_s(const struct kdc_service *kdc)
{
	return sim_unix_s(kdc->config.node->sim);
}

/* Keys of services, fetched when first asked for */

static key_handle server_key(struct kdc_service *kdc, const char *principal)
{
	struct service_key *k = kdc->keys;

	while (k && strcmp(k->principal, principal) != 0)
		k = k->next;
	if (!k) {
		k = sim_alloc(sizeof *k + strlen(principal) + 1);
		memcpy(k->principal, principal, strlen(principal) + 1);
		k->key = world_server_key(kdc->world, kdc->config.sm, principal);
		k->next = kdc->keys;
		kdc->keys = k;
	}
	return k->key;
}

/* First stage: what the bytes say */

static const struct refusal malformed = { "krb.malformed", KRB_AP_ERR_MSG_TYPE };
static const struct refusal skewed = { "kdc.check_time", KRB_AP_ERR_SKEW };
static const struct refusal bad_usage = { "kdc.cert_usage", KDC_ERR_CLIENT_NOT_TRUSTED };
static const struct refusal bad_cert = { "kdc.verify_certificate", KDC_ERR_INVALID_CERTIFICATE };

static const struct refusal *check_skew(const struct kdc_service *kdc, struct krb_time at)
{
	int64_t off_s = now_s(kdc) - at.s;

	return kdc->on.check_time && (off_s > CLOCK_SKEW_S || off_s < -CLOCK_SKEW_S) ? &skewed : NULL;
}

static const struct refusal *check_names(const struct kdc_service *kdc, const struct krb_as_facts *f)
{
	static const struct refusal realm = { "kdc.realm", ERROR_WRONG_REALM };
	static const struct refusal server = { "kdc.server_unknown", KDC_ERR_S_PRINCIPAL_UNKNOWN };

	if (strcmp(f->server.realm, WORLD_REALM) != 0)
		return &realm;
	return directory_service_ip(world_directory(kdc->world), f->server.name) ? NULL : &server;
}

static const struct refusal *check_request(struct request *r)
{
	static const struct refusal preauth = { "kdc.preauth_required", KDC_ERR_PREAUTH_REQUIRED };
	static const struct refusal etype = { "kdc.etype", KDC_ERR_ETYPE_NOSUPP };
	static const struct refusal profile = { "pkinit.bind", KDC_ERR_PADATA_TYPE_NOSUPP };
	static const struct refusal till = { "kdc.till", ERROR_NEVER_VALID };
	struct kdc_service *kdc = r->kdc;
	struct krb_as_facts *f = &r->facts;
	const struct refusal *refusal;

	if (!krb_as_parse(kdc->crypto, r->bytes.bytes, r->bytes.len, f))
		return &malformed;
	refusal = check_names(kdc, f);
	if (refusal)
		return refusal;
	if (f->preauth == KRB_PREAUTH_NONE)
		return &preauth;
	if (!f->wants_des3)
		return &etype;
	if (f->preauth == KRB_PREAUTH_PKINIT_DRAFT && !kdc->on.draft)
		return &profile;
	if (f->preauth != KRB_PREAUTH_TIMESTAMP && (refusal = check_skew(kdc, f->ctime)))
		return refusal;
	return f->till_s && f->till_s <= now_s(kdc) ? &till : NULL; /* 0: as long as there is */
}

/* The certificate, behind a cache of thumbprints [0104] */

static const struct refusal *check_kind(struct request *r)
{
	const struct der *cert = &r->facts.client_cert;

	if (!cert_read_with(r->kdc->crypto, cert->bytes, cert->len, &r->cert))
		return &bad_cert;
	if (r->cert.kind == CERT_DEVICE && r->cert.has_mac)
		return NULL;
	return r->cert.kind == CERT_OPERATOR && r->cert.has_phone_id ? NULL : &bad_usage;
}

static const struct der *anchor_of(const struct request *r)
{
	return world_authority(r->kdc->world, r->cert.kind == CERT_DEVICE ? AUTHORITY_MANUFACTURER_ROOT : AUTHORITY_OPERATOR);
}

/* A verified chain counts until its first certificate ends; then it is verified again. */
static int64_t chain_end(const struct request *r)
{
	const struct der *anchor = anchor_of(r);
	int64_t end_s = r->cert.not_after_s;
	struct cert_facts above;

	if (cert_read_with(r->kdc->crypto, anchor->bytes, anchor->len, &above) && above.not_after_s < end_s)
		end_s = above.not_after_s;
	for (unsigned i = 0; i < r->facts.extra_count; i++) {
		const struct der *extra = &r->facts.extra_certs[i];

		if (cert_read_with(r->kdc->crypto, extra->bytes, extra->len, &above) && above.not_after_s < end_s)
			end_s = above.not_after_s;
	}
	return end_s;
}

static void remember_certificate(struct request *r)
{
	struct digest_cache *cache = r->kdc->certificates;

	if (digest_cache_count(cache) >= KDC_CERTIFICATES_MAX)
		digest_cache_drop_oldest(cache);
	digest_cache_add(cache, r->thumbprint, chain_end(r));
}

static struct service_cost certificate_cost(struct request *r)
{
	struct kdc_service *kdc = r->kdc;
	const struct krb_as_facts *f = &r->facts;
	struct service_cost cost = { .hash_bytes = (uint32_t)f->client_cert.len };
	int64_t until_s;

	cert_thumbprint(kdc->crypto, &f->client_cert, r->thumbprint);
	r->chain_known = digest_cache_get(kdc->certificates, r->thumbprint, &until_s) &&
	                 (!kdc->on.recheck_time || now_s(kdc) <= until_s);
	if (r->chain_known)
		return cost;
	cost.rsa_public = 1 + f->extra_count;
	for (unsigned i = 0; i < f->extra_count; i++)
		cost.hash_bytes += (uint32_t)f->extra_certs[i].len;
	return cost;
}

/* The time at which a certificate is judged: now, and of one past its end, if ends do not count, its last second. */
static int64_t judged_s(const struct request *r)
{
	int64_t now = now_s(r->kdc);

	return r->kdc->on.check_end || now <= r->cert.not_after_s ? now : r->cert.not_after_s;
}

static const struct refusal *check_certificate(struct request *r)
{
	static const struct refusal refusals[] = {
		[CERT_MALFORMED] = { "kdc.verify_certificate", KDC_ERR_INVALID_CERTIFICATE },
		[CERT_UNTRUSTED] = { "kdc.verify_certificate", KDC_ERR_CANT_VERIFY_CERTIFICATE },
		[CERT_BAD_SIGNATURE] = { "kdc.verify_certificate", KDC_ERR_INVALID_CERTIFICATE },
		[CERT_NOT_YET_VALID] = { "kdc.cert_not_yet_valid", KDC_ERR_INVALID_CERTIFICATE },
		[CERT_EXPIRED] = { "kdc.cert_expired", KDC_ERR_INVALID_CERTIFICATE },
		[CERT_BAD_USAGE] = { "kdc.cert_usage", KDC_ERR_CLIENT_NOT_TRUSTED },
	};
	struct kdc_service *kdc = r->kdc;
	const struct krb_as_facts *f = &r->facts;
	const struct refusal *refusal = check_kind(r);
	enum cert_verdict verdict;

	if (refusal)
		return refusal;
	if (!kdc->on.after_verify)
		remember_certificate(r);
	kdc->counters.cache_hits += r->chain_known;
	if (r->chain_known && !kdc->on.recheck_time)
		return NULL;
	verdict = cert_verify(kdc->crypto, &f->client_cert, f->extra_certs, f->extra_count, anchor_of(r), 1, judged_s(r),
	                      r->chain_known);
	if (verdict == CERT_OK && !r->chain_known)
		remember_certificate(r);
	return verdict == CERT_OK ? NULL : &refusals[verdict];
}

/* Proof of the key, and that it is no old one */

static void put_time(uint8_t out[12], struct krb_time t)
{
	put_be32(out, (uint32_t)((uint64_t)t.s >> 32));
	put_be32(out + 4, (uint32_t)t.s);
	put_be32(out + 8, (uint32_t)t.us);
}

/*
 * Client and time make an authenticator (RFC 4120 section 3.2.3). The server's name belongs to it where the signature
 * covers that name, which in the draft's profile it does not.
 */
static void authenticator_digest(const struct request *r, struct krb_time at, uint8_t out[DIGEST_LEN])
{
	uint8_t text[DIGEST_LEN + 12 + 2 * (KRB_NAME_MAX + 1)] = { 0 }, *p = text + DIGEST_LEN + 12;

	if (r->facts.preauth == KRB_PREAUTH_TIMESTAMP)
		snprintf((char *)p, KRB_NAME_MAX + 1, "%s", r->facts.client.name);
	else
		memcpy(text, r->thumbprint, DIGEST_LEN);
	if (r->facts.preauth != KRB_PREAUTH_PKINIT_DRAFT)
		snprintf((char *)p + KRB_NAME_MAX + 1, KRB_NAME_MAX + 1, "%s", r->facts.server.name);
	put_time(text + DIGEST_LEN, at);
	crypto_sha1(r->kdc->crypto, text, sizeof text, out);
}

static bool before(struct krb_time a, struct krb_time b)
{
	return a.s != b.s ? a.s < b.s : a.us < b.us;
}

/* Entries all live equally long, so that the oldest is always the first to go. */
static const struct refusal *check_replay(struct request *r, struct krb_time at)
{
	static const struct refusal replay = { "kdc.replay_cache", KRB_AP_ERR_REPEAT };
	static const struct refusal full = { "kdc.busy", KRB_ERR_GENERIC };
	struct kdc_service *kdc = r->kdc;
	uint8_t digest[DIGEST_LEN];
	int64_t until_s;

	if (!kdc->on.replay_cache)
		return NULL;
	digest_cache_age(kdc->authenticators, now_s(kdc));
	authenticator_digest(r, at, digest);
	if (digest_cache_get(kdc->authenticators, digest, &until_s) || (kdc->restarted && before(at, kdc->restarted_at)))
		return &replay;
	return digest_cache_add(kdc->authenticators, digest, now_s(kdc) + 2 * CLOCK_SKEW_S) ? NULL : &full;
}

static struct service_cost signature_cost(struct request *r)
{
	return (struct service_cost){ .rsa_public = 1, .hash_bytes = (uint32_t)r->bytes.len };
}

static void mac_text(const uint8_t mac[6], char out[MAC_TEXT_LEN])
{
	snprintf(out, MAC_TEXT_LEN, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static bool named_after_certificate(const struct request *r)
{
	char name[2 * PHONE_ID_LEN + 1];

	if (r->cert.kind == CERT_OPERATOR)
		hex_encode(r->cert.phone_id, PHONE_ID_LEN, name);
	else
		mac_text(r->cert.mac, name);
	return strcmp(name, r->facts.client.name) == 0;
}

static const struct refusal *check_signature(struct request *r)
{
	static const struct refusal signature = { "kdc.verify_signature", KDC_ERR_INVALID_SIG };
	static const struct refusal dh = { "kdc.dh_parameters", KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED };
	static const struct refusal name = { "kdc.client_name", KDC_ERR_CLIENT_NAME_MISMATCH };
	const struct refusal *refusal;

	if (!pkinit_check_signature(r->kdc->crypto, &r->facts))
		return &signature;
	if (r->facts.wants_dh && !r->facts.dh_acceptable)
		return &dh;
	refusal = check_replay(r, r->facts.ctime);
	if (refusal)
		return refusal;
	return named_after_certificate(r) ? NULL : &name;
}

/* A server proves itself by its server key (RFC 4120 section 5.2.7.2). */
static struct service_cost stamp_cost(struct request *r)
{
	(void)r;
	return (struct service_cost){ .cipher_bytes = 64, .hash_bytes = 64 };
}

static const struct refusal *check_stamp(struct request *r)
{
	static const struct refusal client = { "kdc.client_unknown", KDC_ERR_C_PRINCIPAL_UNKNOWN };
	static const struct refusal failed = { "kdc.preauth_failed", KDC_ERR_PREAUTH_FAILED };
	struct kdc_service *kdc = r->kdc;
	const char *name = r->facts.client.name;
	const struct refusal *refusal;
	struct krb_time stamp;

	if (!directory_service_ip(world_directory(kdc->world), name))
		return &client;
	if (!krb_as_check_timestamp(kdc->config.sm, server_key(kdc, name), &r->facts, &stamp))
		return &failed;
	refusal = check_skew(kdc, stamp);
	return refusal ? refusal : check_replay(r, stamp);
}

/* The ticket */

static void make_ticket(const struct request *r, struct krb_ticket_facts *t)
{
	const struct kdc_service *kdc = r->kdc;
	int64_t now = now_s(kdc), lifetime_s = kdc->config.ticket_lifetime_s;

	*t = (struct krb_ticket_facts){ .client = r->facts.client, .server = r->facts.server, .auth_time_s = now,
		                        .start_time_s = now, .end_time_s = now + lifetime_s };
	if (r->facts.till_s && r->facts.till_s < t->end_time_s)
		t->end_time_s = r->facts.till_s;
	if (r->facts.preauth == KRB_PREAUTH_TIMESTAMP)
		return;
	if (kdc->on.recheck_time && kdc->on.check_end && r->cert.not_after_s < t->end_time_s)
		t->end_time_s = r->cert.not_after_s;
	t->restricted = r->cert.kind == CERT_DEVICE;
	if (!t->restricted)
		return;
	mac_text(r->cert.mac, t->mac);
	t->number_count = kdc->number_count;
	for (unsigned i = 0; i < kdc->number_count; i++)
		memcpy(t->numbers[i], kdc->numbers[i], KRB_NUMBER_LEN);
}

static bool build_reply(struct request *r)
{
	struct kdc_service *kdc = r->kdc;
	struct secure_module *sm = kdc->config.sm;
	key_handle key = server_key(kdc, r->facts.server.name);
	bool draft = r->facts.preauth == KRB_PREAUTH_PKINIT_DRAFT;
	struct krb_ticket_facts ticket;

	make_ticket(r, &ticket);
	if (r->facts.preauth == KRB_PREAUTH_TIMESTAMP)
		return krb_as_reply_build_timestamp(sm, server_key(kdc, r->facts.client.name), key, &r->facts, &ticket, &r->reply);
	return pkinit_reply_build(sm, &kdc->authority, key, &r->facts, &ticket,
	                          draft ? PKINIT_BIND_NONCE : PKINIT_BIND_ASCHECKSUM, world_now(kdc->config.node->sim), &r->reply);
}

static struct service_cost reply_cost(struct request *r)
{
	struct service_cost cost = { .messages = 1, .cipher_bytes = (uint32_t)r->reply.len, .hash_bytes = (uint32_t)r->reply.len };

	if (r->facts.preauth == KRB_PREAUTH_TIMESTAMP)
		return cost;
	cost.rsa_private = 1;                      /* our signature */
	cost.rsa_public = r->facts.wants_dh ? 0 : 1; /* the seal to the client */
	cost.dh = r->facts.wants_dh ? 2 : 0;       /* our key pair, the shared secret */
	return cost;
}

static void issue(struct request *r)
{
	message_accept(r->kdc->config.node, r->tag);
	r->kdc->counters.issued++;
	answer(r, &r->reply);
}

/* Whether others know the client: its signaling controller, or the head-end that leased its address */

static const struct refusal other_segment = { "kdc.check_segment", KDC_ERR_POLICY };
static const struct refusal no_subscriber = { "kdc.check_subscriber", KDC_ERR_CLIENT_REVOKED };
static const struct refusal no_lease = { "kdc.check_mac_ip", KDC_ERR_POLICY };
static const struct refusal not_approved = { "kdc.check_provisioning", KDC_ERR_POLICY };
static const struct refusal timed_out = { "kdc.backend_timeout", KRB_ERR_GENERIC };
static const struct refusal busy = { "kdc.busy", KRB_ERR_GENERIC };

static void authorised(struct request *r);

/* The answer did not come: the peer may have forgotten the association it was asked under. A newer one stays. */
static void drop_association(const struct request *r)
{
	const struct kdc_config *c = &r->kdc->config;
	const struct association *a = ipsec_find(c->ipsec, r->asked_ip, LABEL_SERVER);

	if (a && a->born_ns <= r->asked_ns)
		backend_drop(c->backend, r->asked_ip);
}

static void ask_approval(struct request *r);

static void on_answer(void *ctx, const struct radius *m, uint64_t tag)
{
	struct request *r = ctx;

	if (!m) {
		drop_association(r);
		refuse(r, &timed_out, "");
		return;
	}
	message_accept(r->kdc->config.node, tag);
	if (m->code != RADIUS_ACCESS_ACCEPT)
		refuse(r, r->asked, m->reply_message);
	else if (r->asked == &no_lease)
		ask_approval(r);
	else
		authorised(r);
}

/* V3: who wants to be provisioned, for the provisioning CA. */
static void put_device(const struct request *r, struct radius *question)
{
	snprintf(question->connect_info, sizeof question->connect_info, "device");
	if (r->facts.client_cert.len > sizeof question->certificate)
		return;
	memcpy(question->certificate, r->facts.client_cert.bytes, r->facts.client_cert.len);
	question->certificate_len = (uint16_t)r->facts.client_cert.len;
}

static void on_ready(void *ctx, bool ready)
{
	struct request *r = ctx;
	struct kdc_service *kdc = r->kdc;
	struct radius question = { .code = RADIUS_ACCESS_REQUEST };

	if (!ready) {
		refuse(r, &timed_out, "no association");
		return;
	}
	question.framed_ip = r->src;
	if (r->cert.kind == CERT_OPERATOR)
		hex_encode(r->cert.phone_id, PHONE_ID_LEN, question.user_name);
	else
		mac_text(r->cert.mac, question.user_name);
	if (r->asked == &not_approved)
		put_device(r, &question);
	snprintf(question.nas_identifier, sizeof question.nas_identifier, "%s",
	         r->asked == &not_approved && kdc->config.local_service ? kdc->config.local_service : kdc->config.name);
	r->asked_ns = kdc->config.node->sim->now_ns;
	if (!radius_client_ask(kdc->config.radius, r->asked_ip, &question, on_answer, r))
		refuse(r, &busy, "questions");
}

static void ask(struct request *r, const char *principal, const struct refusal *refusal)
{
	struct kdc_service *kdc = r->kdc;

	r->asked = refusal;
	r->asked_ip = principal ? directory_service_ip(world_directory(kdc->world), principal) : 0;
	if (!r->asked_ip || ip_is_local(kdc->config.node, r->asked_ip))
		refuse(r, refusal, principal ? principal : "no head-end");
	else
		backend_ensure(kdc->config.backend, r->asked_ip, on_ready, r);
}

static bool is_local_service(const struct kdc_service *kdc, const char *principal);

/* The controller of the ticket asks the provisioning CA (V3); one in our own machine has us ask. */
static void ask_approval(struct request *r)
{
	const struct directory *directory = world_directory(r->kdc->world);
	const char *pca = directory_service_like(directory, "pca/"), *server = r->facts.server.name;

	if (!pca)
		authorised(r);
	else
		ask(r, is_local_service(r->kdc, server) ? pca : server, &not_approved);
}

static bool is_local_service(const struct kdc_service *kdc, const char *principal)
{
	return kdc->config.local_service && strcmp(kdc->config.local_service, principal) == 0;
}

static void authorise(struct request *r)
{
	struct kdc_service *kdc = r->kdc;
	const struct kdc_config *c = &kdc->config;
	const char *server = r->facts.server.name;

	if (r->facts.preauth == KRB_PREAUTH_TIMESTAMP)
		authorised(r);
	else if (kdc->on.check_segment && !directory_serves(world_directory(kdc->world), server, r->src))
		refuse(r, &other_segment, server);
	else if (r->cert.kind == CERT_DEVICE && !kdc->on.check_mac_ip)
		ask_approval(r);
	else if (r->cert.kind == CERT_DEVICE)
		ask(r, directory_head_end_of(world_directory(kdc->world), r->src), &no_lease);
	else if (!kdc->on.check_subscriber)
		authorised(r);
	else if (!is_local_service(kdc, server))
		ask(r, server, &no_subscriber);
	else if (c->local_subscriber(c->local_ctx, r->cert.phone_id))
		authorised(r);
	else
		refuse(r, &no_subscriber, "");
}

/* Stages */

enum { STAGE_REQUEST, STAGE_CERTIFICATE, STAGE_SIGNATURE, STAGE_STAMP, STAGE_ANSWER };

static struct service_cost request_cost(struct request *r)
{
	return (struct service_cost){ .messages = 1, .hash_bytes = (uint32_t)r->bytes.len };
}

static const struct stage {
	struct service_cost (*cost)(struct request *r);
	const struct refusal *(*check)(struct request *r); /* NULL: passed */
} stages[] = {
	[STAGE_REQUEST] = { request_cost, check_request },
	[STAGE_CERTIFICATE] = { certificate_cost, check_certificate },
	[STAGE_SIGNATURE] = { signature_cost, check_signature },
	[STAGE_STAMP] = { stamp_cost, check_stamp },
	[STAGE_ANSWER] = { reply_cost, NULL },
};

static void stage_done(struct service_job *job)
{
	struct request *r = event_owner(&job->event, struct request, job.event);
	const struct stage *stage = &stages[r->stage];
	const struct refusal *refusal = stage->check ? stage->check(r) : NULL;

	if (refusal)
		refuse(r, refusal, "");
	else if (r->stage == STAGE_REQUEST)
		advance(r, r->facts.preauth == KRB_PREAUTH_TIMESTAMP ? STAGE_STAMP : STAGE_CERTIFICATE);
	else if (r->stage == STAGE_CERTIFICATE)
		advance(r, STAGE_SIGNATURE);
	else if (r->stage == STAGE_ANSWER)
		issue(r);
	else
		authorise(r);
}

static void advance(struct request *r, unsigned stage)
{
	struct service_cost cost = stages[stage].cost(r);

	r->stage = stage;
	if (!service_submit(r->kdc->config.node, &r->job, &cost, stage_done))
		drop(r);
}

static void authorised(struct request *r)
{
	static const struct refusal failed = { "kdc.build_reply", KRB_ERR_GENERIC };

	if (build_reply(r))
		advance(r, STAGE_ANSWER);
	else
		refuse(r, &failed, "");
}

/* Arrival */

static void sample(struct kdc_service *kdc)
{
	struct node *node = kdc->config.node;

	if (!trace_wants(node->sim, TRACE_SAMPLE) || node->sim->now_ns < kdc->sample_due_ns)
		return;
	kdc->sample_due_ns = node->sim->now_ns + SAMPLE_INTERVAL_NS;
	trace_sample(node, "kdc.requests", kdc->counters.under_way, "requests");
}

/* A request with a copy of its bytes, not yet under way. NULL, and recorded: too many are. */
static struct request *request_new(struct kdc_service *kdc, const struct udp_from *from, const uint8_t *bytes, size_t len)
{
	struct request *r;

	if (kdc->counters.under_way >= KDC_REQUESTS_MAX) {
		trace_refuse(kdc->config.node, "kdc.busy", from->src, from->tag, "");
		return NULL;
	}
	r = sim_alloc(sizeof *r);
	r->kdc = kdc;
	r->src = from->src;
	r->dst = from->dst;
	r->sport = from->sport;
	r->tag = from->tag;
	r->bytes = (struct der){ sim_alloc(len), len };
	memcpy(r->bytes.bytes, bytes, len);
	r->link = &kdc->requests;
	r->next = kdc->requests;
	if (r->next)
		r->next->link = &r->next;
	kdc->requests = r;
	kdc->counters.under_way++;
	kdc->counters.requests++;
	sample(kdc);
	return r;
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	static const struct refusal too_long = { "krb.too_long", KRB_ERR_FIELD_TOOLONG };
	struct kdc_service *kdc = socket->ctx;
	enum krb_type type = krb_type(packet->data, packet->len);
	struct request *r;

	if (type == KRB_AS_REP || type == KRB_ERROR || !ip_is_local(kdc->config.node, from->dst)) {
		trace_refuse(kdc->config.node, "krb.malformed", from->src, from->tag, "not answered");
		return;
	}
	r = request_new(kdc, from, packet->data, packet->len <= KRB_MESSAGE_MAX ? packet->len : 0);
	if (!r)
		return;
	if (packet->len > KRB_MESSAGE_MAX)
		refuse(r, &too_long, "");
	else
		advance(r, STAGE_REQUEST);
}

/* Connections */

static void connection_free(struct connection *c)
{
	if (c->request)
		c->request->connection = NULL;
	sim_cancel(c->kdc->config.node->sim, &c->idle);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->kdc->counters.connections--;
	free(c);
}

static void on_idle(struct sim *sim, struct event *event)
{
	struct connection *c = event_owner(event, struct connection, idle);

	(void)sim;
	tcp_abort(c->tcp);
	connection_free(c);
}

static void watch_idle(struct connection *c)
{
	struct sim *sim = c->kdc->config.node->sim;

	sim_cancel(sim, &c->idle);
	sim_after(sim, &c->idle, KDC_IDLE_NS, on_idle, "kdc.idle");
}

static void close_connection(struct connection *c)
{
	c->closing = true;
	tcp_close(c->tcp);
	watch_idle(c);
}

/* Its answer is sent: the next request, which may be here already. */
static void connection_ready(struct connection *c)
{
	if (c->closing)
		return;
	if (c->peer_done) {
		close_connection(c);
		return;
	}
	watch_idle(c);
	tcp_resume(c->tcp);
}

static void refuse_length(struct connection *c, uint64_t tag)
{
	static const struct refusal too_long = { "krb.too_long", KRB_ERR_FIELD_TOOLONG };
	struct kdc_service *kdc = c->kdc;
	struct der error = { 0 };
	uint32_t peer;
	uint16_t port;

	tcp_peer(c->tcp, &peer, &port);
	trace_refuse(kdc->config.node, too_long.check, peer, tag, "");
	kdc->counters.refused++;
	if (build_error(kdc, NULL, &too_long, &error))
		send_tcp(c, &error);
	der_free(&error);
	close_connection(c);
}

static void take(struct connection *c, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct udp_from from = { .dst = tcp_local_ip(c->tcp), .tag = tag };
	struct request *r;

	tcp_peer(c->tcp, &from.src, &from.sport);
	r = request_new(c->kdc, &from, bytes, len);
	if (!r) {
		close_connection(c);
		return;
	}
	sim_cancel(c->kdc->config.node->sim, &c->idle);
	r->by_tcp = true;
	r->connection = c;
	c->request = r;
	advance(r, STAGE_REQUEST);
}

static size_t on_bytes(struct tcp_conn *tcp, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct connection *c = ctx;
	uint32_t want;

	(void)tcp;
	if (c->closing)
		return len;
	if (c->request || len < LENGTH_PREFIX)
		return 0;
	want = get_be32(bytes);
	if ((want & LENGTH_RESERVED) || want > KRB_MESSAGE_MAX) {
		refuse_length(c, tag);
		return len;
	}
	if (len - LENGTH_PREFIX < want)
		return 0;
	take(c, bytes + LENGTH_PREFIX, want, tag);
	return LENGTH_PREFIX + want;
}

static void on_peer_closed(struct tcp_conn *tcp, void *ctx)
{
	struct connection *c = ctx;

	(void)tcp;
	c->peer_done = true;
	if (!c->request && !c->closing)
		close_connection(c);
}

static void on_closed(struct tcp_conn *tcp, void *ctx, enum tcp_end how)
{
	(void)tcp;
	(void)how;
	connection_free(ctx);
}

static const struct tcp_handler connection_handler = { .received = on_bytes, .peer_closed = on_peer_closed,
	                                               .closed = on_closed };

static bool on_accept(struct tcp_listener *listener, struct tcp_conn *tcp, const struct tcp_handler **handler, void **ctx)
{
	struct kdc_service *kdc = listener->ctx;
	struct connection *c;
	uint32_t peer;
	uint16_t port;

	if (kdc->counters.connections >= KDC_CONNECTIONS_MAX) {
		tcp_peer(tcp, &peer, &port);
		trace_refuse(kdc->config.node, "kdc.connections", peer, 0, "");
		return false;
	}
	c = sim_alloc(sizeof *c);
	c->kdc = kdc;
	c->tcp = tcp;
	c->link = &kdc->connections;
	c->next = kdc->connections;
	if (c->next)
		c->next->link = &c->next;
	kdc->connections = c;
	kdc->counters.connections++;
	watch_idle(c);
	*handler = &connection_handler;
	*ctx = c;
	return true;
}

/* Life */

/* The next number of a text like "411, 911"; "" at its end. Sets p behind it. */
static bool next_number(const char **p, char out[KRB_NUMBER_LEN])
{
	size_t len;

	*p += strspn(*p, ", ");
	len = strcspn(*p, ", ");
	if (len >= KRB_NUMBER_LEN)
		return false;
	memcpy(out, *p, len);
	memset(out + len, 0, KRB_NUMBER_LEN - len);
	*p += len;
	return true;
}

static bool read_numbers(const char *text, char numbers[KRB_NUMBERS_MAX][KRB_NUMBER_LEN], unsigned *count)
{
	char number[KRB_NUMBER_LEN];

	for (*count = 0; next_number(&text, number) && number[0]; (*count)++) {
		if (*count == KRB_NUMBERS_MAX)
			return false;
		memcpy(numbers[*count], number, sizeof number);
	}
	return *text == '\0';
}

bool kdc_numbers_fit(const char *text)
{
	char numbers[KRB_NUMBERS_MAX][KRB_NUMBER_LEN];
	unsigned count;

	return read_numbers(text, numbers, &count);
}

static void read_switches(struct kdc_service *kdc)
{
	const struct world *w = kdc->world;

	kdc->on.draft = strcmp(world_switch(w, "pkinit.bind"), "nonce") == 0;
	kdc->on.check_time = world_on(w, "kdc.check_time");
	kdc->on.replay_cache = world_on(w, "kdc.replay_cache");
	kdc->on.check_segment = world_on(w, "kdc.check_segment");
	kdc->on.check_subscriber = world_on(w, "kdc.check_subscriber");
	kdc->on.check_mac_ip = world_on(w, "kdc.check_mac_ip");
	kdc->on.recheck_time = world_on(w, "kdc.cache_recheck_time");
	kdc->on.after_verify = world_on(w, "kdc.cache_after_verify");
	kdc->on.check_end = world_on(w, "cert.check_end");
}

/* Its authority: key pair and certificate, and the CA's that is sent along. */
static void equip(struct kdc_service *kdc)
{
	const struct der *ca = world_authority(kdc->world, AUTHORITY_OPERATOR);
	char name[NODE_NAME_MAX + 8];

	snprintf(name, sizeof name, "kdc/%s", kdc->config.name);
	kdc->authority.rsa_key = sm_install_rsa(kdc->config.sm, world_key_pool(kdc->world), name, WORLD_KDC_BITS);
	world_kdc_certificate(kdc->world, name, &kdc->authority.cert);
	kdc->authority.ca_cert = *ca;
}

struct kdc_service *kdc_service_new(const struct kdc_config *config)
{
	struct kdc_service *kdc = sim_alloc(sizeof *kdc);

	kdc->config = *config;
	kdc->config.name = sim_strdup(config->name);
	if (!kdc->config.ticket_lifetime_s)
		kdc->config.ticket_lifetime_s = KDC_TICKET_LIFETIME_S;
	kdc->world = world_of(config->node->sim);
	kdc->crypto = world_crypto(kdc->world);
	kdc->numbers = sim_alloc(KRB_NUMBERS_MAX * sizeof *kdc->numbers);
	if (config->restricted_numbers)
		read_numbers(config->restricted_numbers, kdc->numbers, &kdc->number_count);
	kdc->certificates = digest_cache_new(KDC_CERTIFICATES_MAX);
	kdc->authenticators = digest_cache_new(KDC_REPLAYS_MAX);
	read_switches(kdc);
	equip(kdc);
	return kdc;
}

static void forget(struct kdc_service *kdc)
{
	tcp_unlisten(&kdc->listener);
	udp_unbind(&kdc->socket);
	while (kdc->connections) {
		tcp_abort(kdc->connections->tcp);
		connection_free(kdc->connections);
	}
	while (kdc->requests) {
		backend_cancel(kdc->config.backend, kdc->requests);
		request_free(kdc->requests);
	}
	digest_cache_clear(kdc->certificates);
	digest_cache_clear(kdc->authenticators);
}

void kdc_service_reset(struct kdc_service *kdc)
{
	forget(kdc);
	kdc->restarted = true;
	kdc->restarted_at = world_now(kdc->config.node->sim);
}

void kdc_service_start(struct kdc_service *kdc)
{
	struct node *node = kdc->config.node;

	tcp_unlisten(&kdc->listener);
	udp_unbind(&kdc->socket);
	kdc->listener = (struct tcp_listener){ .port = KDC_PORT, .accept = on_accept, .ctx = kdc };
	tcp_listen(node, &kdc->listener);
	udp_bind(node, &kdc->socket, KDC_PORT, on_datagram, kdc);
}

void kdc_service_free(struct kdc_service *kdc)
{
	if (!kdc)
		return;
	forget(kdc);
	while (kdc->keys) {
		struct service_key *k = kdc->keys;

		kdc->keys = k->next;
		sm_destroy_key(kdc->config.sm, k->key);
		free(k);
	}
	sm_destroy_key(kdc->config.sm, kdc->authority.rsa_key);
	der_free(&kdc->authority.cert);
	digest_cache_free(kdc->certificates);
	digest_cache_free(kdc->authenticators);
	free(kdc->numbers);
	free((char *)kdc->config.name);
	free(kdc);
}

struct kdc_counters kdc_service_counters(const struct kdc_service *kdc)
{
	struct kdc_counters counters = kdc->counters;

	counters.certificates = digest_cache_count(kdc->certificates);
	counters.authenticators = digest_cache_count(kdc->authenticators);
	return counters;
}

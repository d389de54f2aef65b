/*
 * The AP exchange between two nodes: what establishes, every refusal by its name and in its order, what the network loses, doubles
 * and overtakes, forged errors, wake-ups, restarts of either side at every moment.
 *
 * Requests that no honest initiator sends are built here, from the same parts; the answers are read from a plain socket.
 */
#include "tests/models/rig.h"
#include "models/wire/pktc.h"
#include "models/wire/sip.h"

#define SERVER "sc/sc1"
#define OTHER_SERVER "sc/sc2"
#define CLIENT "0123456789012345678901234567890123456789"
#define DAY_S 86400

struct done {
	unsigned count;
	enum ap_outcome outcome;
	struct association *association;
	int error;
	sim_ns at_ns;
	struct sim *sim;
};

static void on_done(void *ctx, enum ap_outcome outcome, struct association *association, int error)
{
	struct done *d = ctx;

	d->count++;
	d->outcome = outcome;
	d->association = association;
	d->error = error;
	d->at_ns = d->sim->now_ns;
}

struct pair {
	struct rig rig;
	struct krb_credentials credentials;
	key_handle server_key; /* in the client's module, which plays the KDC */
	struct done done, woken;
	bool refuse, willing;
	bool reset_in_callback, anywhere;
	unsigned accepted, asked, wake_ups;
	uint32_t nonce;
};

static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	struct pair *p = ctx;

	ck_assert_str_eq(accepted->ticket.client.name, CLIENT);
	ck_assert(p->anywhere || from_ip == p->rig.end[0].ip);
	p->asked++;
	if (p->refuse)
		*check = "sc.check_subscriber";
	return !p->refuse;
}

static void on_accepted(void *ctx, struct association *association, const struct krb_ticket_facts *ticket)
{
	struct pair *p = ctx;

	ck_assert_str_eq(association->peer, CLIENT);
	ck_assert_str_eq(ticket->client.name, CLIENT);
	ck_assert(!association->initiator);
	p->accepted++;
	if (p->reset_in_callback)
		key_management_reset(p->rig.end[1].km);
}

static bool on_wake_up(void *ctx, uint32_t server_ip, const char *principal, uint32_t nonce)
{
	struct pair *p = ctx;

	ck_assert_uint_eq(server_ip, p->rig.end[1].ip);
	ck_assert_str_eq(principal, SERVER);
	p->wake_ups++;
	p->nonce = nonce;
	if (p->willing)
		key_management_initiate(p->rig.end[0].km, server_ip, &p->credentials, LABEL_CTA_SC, nonce, on_done, &p->done);
	return p->willing;
}

static struct krb_ticket_facts facts_of(const struct rig *rig)
{
	struct krb_ticket_facts facts = { .start_time_s = sim_unix_s(rig->sim) };

	facts.auth_time_s = facts.start_time_s;
	facts.end_time_s = facts.start_time_s + DAY_S;
	krb_name_set(&facts.client, CLIENT, WORLD_REALM);
	krb_name_set(&facts.server, SERVER, WORLD_REALM);
	return facts;
}

static void pair_make(struct pair *p, const struct link_params *params, uint64_t seed, const char *const *sets)
{
	struct key_management_owner client = { p, NULL, NULL, on_wake_up }, server = { p, authorise, on_accepted, NULL };
	struct krb_ticket_facts facts;
	struct rig_end *end = p->rig.end;

	memset(p, 0, sizeof *p);
	rig_make(&p->rig, params, seed, false, sets);
	p->done.sim = p->woken.sim = p->rig.sim;
	p->willing = true;
	end[0].km = key_management_new(end[0].node, end[0].ipsec, "", 0, &client);
	end[1].km = key_management_new(end[1].node, end[1].ipsec, SERVER, world_server_key(p->rig.world, end[1].sm, SERVER),
	                               &server);
	key_management_reset(end[0].km);
	key_management_reset(end[1].km);
	p->server_key = world_server_key(p->rig.world, end[0].sm, SERVER);
	facts = facts_of(&p->rig);
	ck_assert(krb_self_issue(end[0].sm, p->server_key, &facts, &p->credentials));
}

static void pair_free(struct pair *p)
{
	static const unsigned keys_left[2] = { 1, 1 }; /* the server's */

	key_management_free(p->rig.end[0].km); /* it borrows the credentials */
	p->rig.end[0].km = NULL;
	krb_credentials_free(p->rig.end[0].sm, &p->credentials);
	rig_free(&p->rig, keys_left);
}

static bool initiate(struct pair *p)
{
	return key_management_initiate(p->rig.end[0].km, p->rig.end[1].ip, &p->credentials, LABEL_CTA_SC, 0, on_done, &p->done);
}

/* Both ends hold the same association: what one seals the other opens, both ways. */
static void assert_agreed(struct pair *p)
{
	struct sink *sink[2];

	ck_assert_uint_eq(ipsec_count(p->rig.end[0].ipsec), 1);
	ck_assert_uint_eq(ipsec_count(p->rig.end[1].ipsec), 1);
	p->rig.take_mask = 0;
	p->rig.line.link[0]->params = rig_clean;
	for (int i = 0; i < 2; i++)
		sink[i] = sink_new(p->rig.end[i].node, SIP_PORT);
	for (int i = 0; i < 2; i++)
		send_numbered(&sink[i]->socket, p->rig.end[!i].ip, SIP_PORT, 1, 100);
	rig_run_for(&p->rig, NS_PER_S);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(sink[i]->count, 1);
		udp_unbind(&sink[i]->socket);
		free(sink[i]);
	}
}

START_TEST(an_exchange_establishes_one_association_at_both_ends)
{
	struct pair p;
	const struct association *there;

	pair_make(&p, &rig_clean, 1, NULL);
	ck_assert(initiate(&p));
	ck_assert(!initiate(&p)); /* one a server */
	rig_run_for(&p.rig, NS_PER_S / 2);
	ck_assert_uint_eq(p.done.count, 1);
	ck_assert_int_eq(p.done.outcome, AP_ESTABLISHED);
	there = ipsec_find(p.rig.end[1].ipsec, p.rig.end[0].ip, LABEL_CTA_SC);
	ck_assert_uint_eq(there->spi, p.done.association->spi);
	ck_assert_str_eq(p.done.association->peer, SERVER);
	ck_assert(p.done.association->initiator);
	ck_assert_uint_eq(p.accepted, 1);
	ck_assert_uint_eq(book_count(&p.rig.sent, "AP-REQ"), 1);
	ck_assert_uint_eq(book_count(&p.rig.sent, "AP-REP"), 1);
	assert_agreed(&p);
	ck_assert_uint_eq(p.rig.refused.total, 0);
	rig_run_for(&p.rig, ASSOCIATION_LIFETIME_DEFAULT_NS);
	ck_assert_uint_eq(ipsec_count(p.rig.end[0].ipsec) + ipsec_count(p.rig.end[1].ipsec), 0);
	pair_free(&p);
}
END_TEST

START_TEST(the_acceptor_sets_the_lifetime)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	key_management_set_lifetime(p.rig.end[1].km, 30 * NS_PER_S);
	ck_assert(initiate(&p));
	rig_run_for(&p.rig, 29 * NS_PER_S);
	ck_assert_uint_eq(ipsec_count(p.rig.end[0].ipsec) + ipsec_count(p.rig.end[1].ipsec), 2);
	rig_run_for(&p.rig, 2 * NS_PER_S);
	ck_assert_uint_eq(ipsec_count(p.rig.end[0].ipsec) + ipsec_count(p.rig.end[1].ipsec), 0);
	pair_free(&p);
}
END_TEST

/* Requests of our own making */

enum fault { NO_FAULT, JUNK, NOT_A_REQUEST, ANOTHER_SERVER, TICKET_BENT, WRONG_SESSION_KEY, HASH_BENT, BAD_SPI, EXPIRED, SKEWED, STALE,
	     UNWELCOME, FAULT_COUNT };
static const struct {
	const char *check;
	int code;
} named[FAULT_COUNT] = {
	[JUNK] = { "pktc.malformed", 0 }, /* nobody is answered who does not speak the protocol */
	[NOT_A_REQUEST] = { "krb.malformed", KRB_AP_ERR_MSG_TYPE },
	[ANOTHER_SERVER] = { "sc.not_us", KRB_AP_ERR_NOT_US },
	[TICKET_BENT] = { "ticket.integrity", KRB_AP_ERR_BAD_INTEGRITY },
	[WRONG_SESSION_KEY] = { "sc.verify_authenticator", KRB_AP_ERR_BAD_INTEGRITY },
	[HASH_BENT] = { "pktc.hash", KRB_AP_ERR_MODIFIED },
	[BAD_SPI] = { "sad.check_spi_range", KRB_ERR_GENERIC },
	[EXPIRED] = { "sc.check_expiry", KRB_AP_ERR_TKT_EXPIRED },
	[SKEWED] = { "sc.skew", KRB_AP_ERR_SKEW },
	[STALE] = { "sc.stale_authenticator", KRB_AP_ERR_REPEAT },
	[UNWELCOME] = { "sc.check_subscriber", KDC_ERR_POLICY },
};

struct request { /* what an AP-REQ is made of; presets make a good one */
	struct krb_ticket_facts facts;
	const char *sealed_for;
	struct krb_time now;
	uint32_t spi, frame_spi, nonce;
	bool bend_ticket, wrong_session, bend_hash, other_name, error_inside;
	uint8_t bytes[PKTC_MESSAGE_MAX];
	size_t len;
};

static struct request request_of(struct pair *p)
{
	struct request r = { .facts = facts_of(&p->rig), .sealed_for = SERVER, .now = world_now(p->rig.sim), .spi = RIG_SPI };

	return r;
}

static void issue(struct pair *p, const struct request *r, struct krb_credentials *out)
{
	struct secure_module *sm = p->rig.end[0].sm;
	key_handle sealing = world_server_key(p->rig.world, sm, r->sealed_for);

	ck_assert(krb_self_issue(sm, sealing, &r->facts, out));
	if (sealing != p->server_key)
		sm_destroy_key(sm, sealing);
	if (r->bend_ticket)
		out->ticket.bytes[out->ticket.len - 1] ^= 1;
	if (r->other_name)
		krb_name_set(&out->client, "somebody", WORLD_REALM);
	if (r->wrong_session) {
		sm_destroy_key(sm, out->session_key);
		out->session_key = sm_generate_des3(sm, "krb.session");
	}
}

static void put_error_inside(struct pair *p, struct der *token)
{
	struct krb_error_info info = { .code = KRB_ERR_GENERIC };

	krb_name_set(&info.server, SERVER, WORLD_REALM);
	der_free(token);
	ck_assert(krb_error_build(sm_crypto(p->rig.end[0].sm), &info, token));
}

static void build(struct pair *p, struct request *r)
{
	struct pktc frame = { .kind = PKTC_AP_REQUEST, .server_nonce = r->nonce, .spi = r->frame_spi ? r->frame_spi : r->spi + 1 };
	struct secure_module *sm = p->rig.end[0].sm;
	struct krb_credentials credentials = { .session_key = 0 };
	struct gss_initiator state;
	struct der token = { 0 };

	issue(p, r, &credentials);
	ck_assert(gss_init_start(sm, &credentials, r->now, r->spi, &state, &token));
	if (r->error_inside)
		put_error_inside(p, &token);
	frame.kerberos = (struct span){ (const char *)token.bytes, token.len };
	r->len = pktc_write(&frame, r->bytes, sizeof r->bytes);
	ck_assert_uint_gt(r->len, 0);
	ck_assert(sm_hmac_sha1(sm, credentials.session_key, r->bytes, r->len - PKTC_HASH_LEN, r->bytes + r->len - PKTC_HASH_LEN));
	r->bytes[r->len - 1] ^= r->bend_hash;
	der_free(&token);
	krb_credentials_free(sm, &credentials);
}

static void send_bytes(struct udp_socket *socket, uint32_t to, const uint8_t *bytes, size_t len)
{
	struct packet *packet = packet_new(socket->node->sim, (uint32_t)len);

	memcpy(packet_append(packet, (uint32_t)len), bytes, len);
	udp_send(socket, 0, to, PKTC_PORT, packet);
}

/* The code of the KRB-ERROR the socket got; 0: an AP-REP or nothing. */
static int error_in(const struct sink *sink)
{
	struct krb_error_info info;
	struct pktc m;

	if (!sink->count || !pktc_parse(sink->bytes, sink->len, krb_message_len, &m) || m.kind != PKTC_ERROR_REPLY)
		return 0;
	ck_assert(krb_error_parse((const uint8_t *)m.kerberos.at, m.kerberos.len, &info));
	ck_assert_str_eq(info.server.name, SERVER);
	return info.code;
}

/* Sends one request; what it was refused by, or NULL. */
static const char *judged(struct pair *p, struct sink *sink, const struct request *r)
{
	unsigned accepted = p->accepted;

	memset(&p->rig.refused, 0, sizeof p->rig.refused);
	sink->count = 0;
	send_bytes(&sink->socket, p->rig.end[1].ip, r->bytes, r->len);
	rig_run_for(&p->rig, 100 * NS_PER_MS);
	ck_assert_uint_le(p->rig.refused.total, 1);
	ck_assert_uint_eq(p->accepted - accepted, !p->rig.refused.total);
	return p->rig.refused.total ? p->rig.refused.line[0].word : NULL;
}

static void make_fault(struct pair *p, struct request *r, enum fault fault)
{
	switch (fault) {
	case NOT_A_REQUEST:
		r->error_inside = true;
		break;
	case ANOTHER_SERVER:
		r->sealed_for = OTHER_SERVER;
		krb_name_set(&r->facts.server, OTHER_SERVER, WORLD_REALM);
		break;
	case TICKET_BENT:
		r->bend_ticket = true;
		break;
	case WRONG_SESSION_KEY:
		r->wrong_session = true;
		break;
	case HASH_BENT:
		r->bend_hash = true;
		break;
	case BAD_SPI:
		r->spi = 0x80;
		break;
	case EXPIRED:
		r->facts.start_time_s -= 2 * DAY_S;
		r->facts.end_time_s = sim_unix_s(p->rig.sim) - CLOCK_SKEW_S - 1;
		break;
	case SKEWED:
		r->now.s -= CLOCK_SKEW_S + 1;
		break;
	case STALE:
		r->now.s -= 1;
		break;
	case UNWELCOME:
		p->refuse = true;
		break;
	default:
		break;
	}
}

/* A request with this fault and all that come after it in the order: the first one is named. */
START_TEST(refusals_have_names_and_an_order)
{
	struct pair p;
	struct sink *sink;

	pair_make(&p, &rig_clean, 1, NULL);
	sink = sink_new(p.rig.end[0].node, 4000);
	rig_run_for(&p.rig, 10 * NS_PER_S);
	for (enum fault first = FAULT_COUNT; first-- > NO_FAULT;) {
		struct request good = request_of(&p), bad = good;
		size_t keys;

		p.refuse = false;
		build(&p, &good);
		ck_assert_ptr_null(judged(&p, sink, &good)); /* also what makes a stale one stale */
		ck_assert_int_eq(error_in(sink), 0);
		ipsec_reset(p.rig.end[1].ipsec);
		if (first == NO_FAULT)
			break;
		keys = sm_key_count(p.rig.end[1].sm);
		for (enum fault f = first; f < FAULT_COUNT; f++)
			make_fault(&p, &bad, f);
		if (first == STALE) /* of this very SPI */
			bad.spi = good.spi;
		build(&p, &bad);
		if (first == JUNK)
			bad.bytes[1] ^= 1;
		ck_assert_ptr_nonnull(judged(&p, sink, &bad));
		ck_assert_str_eq(p.rig.refused.line[0].word, named[first].check);
		ck_assert_int_eq(error_in(sink), named[first].code);
		ck_assert_uint_eq(ipsec_count(p.rig.end[1].ipsec), 0);
		ck_assert_uint_eq(sm_key_count(p.rig.end[1].sm), keys);
	}
	udp_unbind(&sink->socket);
	free(sink);
	pair_free(&p);
}
END_TEST

/* A switch that is off lets its own fault pass (attacks T2, T3) and no other. */
START_TEST(a_switch_lets_one_fault_pass)
{
	static const struct { const char *set; enum fault passes; } rows[] = {
		{ "sc.check_expiry=off", EXPIRED }, { "sc.verify_authenticator=off", WRONG_SESSION_KEY },
	};
	const char *const sets[] = { rows[_i].set, NULL };
	struct pair p;
	struct sink *sink;

	pair_make(&p, &rig_clean, 1, sets);
	sink = sink_new(p.rig.end[0].node, 4000);
	rig_run_for(&p.rig, 10 * NS_PER_S);
	for (enum fault f = NOT_A_REQUEST; f < FAULT_COUNT; f++) {
		struct request good = request_of(&p), bad = good;

		p.refuse = false;
		build(&p, &good);
		ck_assert_ptr_null(judged(&p, sink, &good));
		ipsec_reset(p.rig.end[1].ipsec);
		make_fault(&p, &bad, f);
		if (f == STALE)
			bad.spi = good.spi;
		build(&p, &bad);
		if (f == rows[_i].passes) {
			ck_assert_ptr_null(judged(&p, sink, &bad));
			ck_assert_uint_eq(ipsec_count(p.rig.end[1].ipsec), 1);
			ipsec_reset(p.rig.end[1].ipsec);
		} else {
			ck_assert_ptr_nonnull(judged(&p, sink, &bad));
			ck_assert_str_eq(p.rig.refused.line[0].word, named[f].check);
		}
		rig_run_for(&p.rig, 10 * NS_PER_S);
	}
	udp_unbind(&sink->socket);
	free(sink);
	pair_free(&p);
}
END_TEST

static void not_yet_valid(struct pair *p, struct request *r)
{
	r->facts.start_time_s = sim_unix_s(p->rig.sim) + CLOCK_SKEW_S + 1;
}

static void just_valid(struct pair *p, struct request *r)
{
	r->facts.start_time_s = sim_unix_s(p->rig.sim) + CLOCK_SKEW_S;
}

static void just_expired(struct pair *p, struct request *r)
{
	r->facts.start_time_s -= DAY_S;
	r->facts.end_time_s = sim_unix_s(p->rig.sim) - CLOCK_SKEW_S;
}

static void late_clock(struct pair *p, struct request *r)
{
	(void)p;
	r->now.s -= CLOCK_SKEW_S;
}

static void early_clock(struct pair *p, struct request *r)
{
	(void)p;
	r->now.s += CLOCK_SKEW_S;
}

static void too_early_clock(struct pair *p, struct request *r)
{
	(void)p;
	r->now.s += CLOCK_SKEW_S + 1;
}

static void somebody_else(struct pair *p, struct request *r)
{
	(void)p;
	r->other_name = true;
}

static void another_frame_spi(struct pair *p, struct request *r)
{
	(void)p;
	r->frame_spi = r->spi + 3;
}

static void last_spi(struct pair *p, struct request *r)
{
	(void)p;
	r->spi = UINT32_MAX;
	r->frame_spi = 0;
}

static void renamed_outside(struct pair *p, struct request *r)
{
	(void)p;
	krb_name_set(&r->facts.server, OTHER_SERVER, WORLD_REALM); /* sealed with our key all the same */
}

static const struct {
	void (*make)(struct pair *p, struct request *r);
	const char *check;
	int code;
} edges[] = {
	{ not_yet_valid, "sc.check_expiry", KRB_AP_ERR_TKT_NYV }, { just_valid, NULL, 0 }, { just_expired, NULL, 0 },
	{ late_clock, NULL, 0 }, { early_clock, NULL, 0 }, { too_early_clock, "sc.skew", KRB_AP_ERR_SKEW },
	{ somebody_else, "sc.verify_authenticator", KRB_AP_ERR_BADMATCH },
	{ another_frame_spi, "pktc.hash", KRB_AP_ERR_MODIFIED }, { last_spi, "sad.check_spi_range", KRB_ERR_GENERIC },
	{ renamed_outside, "sc.not_us", KRB_AP_ERR_NOT_US },
};

START_TEST(the_edges_of_the_checks)
{
	for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
		struct pair p;
		struct sink *sink;
		struct request r;
		const char *check;

		pair_make(&p, &rig_clean, i, NULL);
		sink = sink_new(p.rig.end[0].node, 4000);
		r = request_of(&p);
		edges[i].make(&p, &r);
		build(&p, &r);
		check = judged(&p, sink, &r);
		ck_assert_msg(!check == !edges[i].check && (!check || strcmp(check, edges[i].check) == 0), "row %zu: %s", i, check);
		ck_assert_int_eq(error_in(sink), edges[i].code);
		udp_unbind(&sink->socket);
		free(sink);
		pair_free(&p);
	}
}
END_TEST

START_TEST(a_node_without_a_server_key_accepts_nobody)
{
	struct pair p;
	struct sink *sink;
	struct request r;

	pair_make(&p, &rig_clean, 1, NULL);
	sink = sink_new(p.rig.end[1].node, 4000);
	r = request_of(&p);
	build(&p, &r);
	send_bytes(&sink->socket, p.rig.end[0].ip, r.bytes, r.len);
	rig_run_for(&p.rig, NS_PER_S);
	ck_assert_uint_eq(book_count(&p.rig.refused, "sc.not_us"), 1);
	udp_unbind(&sink->socket);
	free(sink);
	pair_free(&p);
}
END_TEST

static const char *const replay_off[] = { "sc.replay_cache=off", NULL };

START_TEST(a_replayed_request_is_stopped_by_the_cache_alone)
{
	for (int off = 0; off < 2; off++) {
		struct pair p;
		struct sink *sink;
		struct request r;
		const struct association *first;
		const char *check;

		pair_make(&p, &rig_clean, 1, off ? replay_off : NULL);
		sink = sink_new(p.rig.end[0].node, 4000);
		r = request_of(&p);
		build(&p, &r);
		ck_assert_ptr_null(judged(&p, sink, &r));
		first = ipsec_find(p.rig.end[1].ipsec, p.rig.end[0].ip, NULL);
		ck_assert_ptr_nonnull(first);
		rig_run_for(&p.rig, (CLOCK_SKEW_S - 1) * NS_PER_S); /* to the end of the skew window */
		check = judged(&p, sink, &r);
		if (off) {
			ck_assert_ptr_null(check); /* attack T1: a second AP-REP, and the live association is replaced */
			ck_assert_int_eq(error_in(sink), 0);
			ck_assert_uint_eq(sink->count, 1);
			ck_assert_uint_eq(p.accepted, 2);
			ck_assert_uint_eq(ipsec_find(p.rig.end[1].ipsec, p.rig.end[0].ip, NULL)->serial, 1);
		} else {
			ck_assert_str_eq(check, "sc.replay_cache");
			ck_assert_uint_eq(ipsec_find(p.rig.end[1].ipsec, p.rig.end[0].ip, NULL)->serial, 0);
			rig_run_for(&p.rig, 2 * NS_PER_S);
			ck_assert_str_eq(judged(&p, sink, &r), "sc.skew"); /* what the cache may forget then */
		}
		ck_assert_uint_eq(ipsec_count(p.rig.end[1].ipsec), 1);
		udp_unbind(&sink->socket);
		free(sink);
		pair_free(&p);
	}
}
END_TEST

/* The cache and the newest times stay right through growth, and a restart forgets them. */
START_TEST(many_authenticators_are_remembered)
{
	enum { COUNT = 300 };
	struct request *all = sim_alloc(COUNT * sizeof *all);
	struct pair p;
	struct sink *sink;

	pair_make(&p, &rig_clean, 1, NULL);
	sink = sink_new(p.rig.end[0].node, 4000);
	for (unsigned i = 0; i < COUNT; i++) {
		all[i] = request_of(&p);
		all[i].spi += 2 * i;
		build(&p, &all[i]);
		ck_assert_ptr_null(judged(&p, sink, &all[i]));
	}
	for (unsigned i = 0; i < COUNT; i++)
		ck_assert_str_eq(judged(&p, sink, &all[i]), "sc.replay_cache");
	key_management_reset(p.rig.end[1].km);
	ck_assert_ptr_null(judged(&p, sink, &all[COUNT - 1]));
	free(all);
	udp_unbind(&sink->socket);
	free(sink);
	pair_free(&p);
}
END_TEST

/* Puts a request on the line as if from another address. */
static void inject_from(struct pair *p, uint32_t src, const struct request *r)
{
	struct iface *from = p->rig.line.right[0], *to = p->rig.line.left[1];
	uint8_t udp[PKTC_MESSAGE_MAX + UDP_HEADER_LEN];
	struct raw raw = { .src = src, .dst = p->rig.end[1].ip, .proto = IP_PROTO_UDP, .bytes = udp };

	raw.len = raw_udp(udp, raw.src, raw.dst, PKTC_PORT, PKTC_PORT, r->bytes, (uint32_t)r->len);
	link_inject(p->rig.line.link[0], from, to, raw_frame(from, to, &raw), 0);
	rig_run_for(&p->rig, 100 * NS_PER_MS);
}

/* Each address has its newest time, through growth of their table; those too old to matter make room. */
START_TEST(the_newest_time_of_each_address)
{
	enum { COUNT = 100 };
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.anywhere = true;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < COUNT; i++) {
			struct request r = request_of(&p);

			build(&p, &r);
			inject_from(&p, line_ip(5 + round, 1) + i, &r);
		}
		ck_assert_uint_eq(p.accepted, (round + 1) * COUNT);
		for (unsigned i = 0; i < COUNT; i++) {
			struct request r = request_of(&p);

			r.now.s -= 60; /* before all of them */
			build(&p, &r);
			inject_from(&p, line_ip(5 + round, 1) + i, &r);
		}
		ck_assert_uint_eq(book_count(&p.rig.refused, "sc.stale_authenticator"), (round + 1) * COUNT);
		ck_assert_uint_eq(p.rig.refused.total, (round + 1) * COUNT);
		rig_run_for(&p.rig, 2 * CLOCK_SKEW_S * NS_PER_S);
	}
	pair_free(&p);
}
END_TEST

/* The network */

#define LOSS_FRAMES 6

START_TEST(any_two_losses_are_made_good)
{
	for (unsigned i = 0; i < LOSS_FRAMES; i++)
		for (unsigned j = i; j < LOSS_FRAMES; j++) {
			struct pair p;

			pair_make(&p, &rig_clean, i * LOSS_FRAMES + j, NULL);
			p.rig.take_mask = 1u << i | 1u << j;
			ck_assert(initiate(&p));
			rig_run_for(&p.rig, 20 * NS_PER_S);
			ck_assert_uint_eq(p.done.count, 1);
			ck_assert_int_eq(p.done.outcome, AP_ESTABLISHED);
			ck_assert_uint_le(p.done.at_ns, 3 * NS_PER_S + NS_PER_S / 10); /* two retransmissions */
			ck_assert_uint_eq(p.accepted, 1); /* asked again, it gives the same sub-key */
			ck_assert_uint_eq(p.rig.refused.total, 0);
			assert_agreed(&p);
			pair_free(&p);
		}
}
END_TEST

START_TEST(a_bad_network_ends_in_agreement_or_time_out)
{
	unsigned established = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct pair p;

		pair_make(&p, &rig_bad, seed, NULL);
		ck_assert(initiate(&p));
		rig_run_for(&p.rig, 60 * NS_PER_S);
		ck_assert_uint_eq(p.done.count, 1);
		ck_assert_msg(p.done.outcome != AP_REFUSED, "seed %llu", (unsigned long long)seed);
		if (p.done.outcome == AP_ESTABLISHED) {
			established++;
			assert_agreed(&p);
		}
		pair_free(&p);
	}
	ck_assert_uint_ge(established, 99);
}
END_TEST

START_TEST(nobody_there_is_a_time_out)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.rig.take_all = true;
	ck_assert(initiate(&p));
	rig_run_for(&p.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(p.done.count, 1);
	ck_assert_int_eq(p.done.outcome, AP_TIMEOUT);
	ck_assert_int_eq(p.done.at_ns, 31 * NS_PER_S);
	ck_assert_uint_eq(book_count(&p.rig.sent, "AP-REQ"), AP_TRIES);
	ck_assert(initiate(&p));
	key_management_cancel(p.rig.end[0].km, p.rig.end[1].ip);
	rig_run_for(&p.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(p.done.count, 1);
	pair_free(&p);
}
END_TEST

/* Errors */

static size_t error_frame(struct pair *p, int code, uint8_t out[PKTC_MESSAGE_MAX])
{
	struct krb_error_info info = { .code = code };
	struct pktc frame = { .kind = PKTC_ERROR_REPLY };
	struct der der = { 0 };
	size_t len;

	krb_name_set(&info.server, SERVER, WORLD_REALM);
	ck_assert(krb_error_build(sm_crypto(p->rig.end[1].sm), &info, &der));
	frame.kerberos = (struct span){ (const char *)der.bytes, der.len };
	len = pktc_write(&frame, out, PKTC_MESSAGE_MAX);
	der_free(&der);
	return len;
}

/* Sends an error as the server would, from another port of its node. */
static void forge(struct pair *p, int code)
{
	struct sink *sink = sink_new(p->rig.end[1].node, 4001);
	uint8_t bytes[PKTC_MESSAGE_MAX];
	size_t len = error_frame(p, code, bytes);

	send_bytes(&sink->socket, p->rig.end[0].ip, bytes, len);
	udp_unbind(&sink->socket);
	free(sink);
}

START_TEST(one_forged_error_stops_nothing)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.rig.take_mask = 1; /* the AP-REQ is lost, the forger's packets come through, even twice */
	ck_assert(initiate(&p));
	forge(&p, KDC_ERR_POLICY);
	forge(&p, KDC_ERR_POLICY);
	rig_run_for(&p.rig, 100 * NS_PER_MS);
	ck_assert_uint_eq(p.done.count, 0);
	rig_run_for(&p.rig, NS_PER_S);
	ck_assert_int_eq(p.done.outcome, AP_ESTABLISHED);
	ck_assert_uint_le(p.done.at_ns, AP_ERROR_PAUSE_NS + 100 * NS_PER_MS);
	assert_agreed(&p);
	pair_free(&p);
}
END_TEST

START_TEST(the_refused_learn_it_soon)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.refuse = true;
	ck_assert(initiate(&p));
	rig_run_for(&p.rig, 10 * NS_PER_S);
	ck_assert_uint_eq(p.done.count, 1);
	ck_assert_int_eq(p.done.outcome, AP_REFUSED);
	ck_assert_int_eq(p.done.error, KDC_ERR_POLICY);
	ck_assert_uint_le(p.done.at_ns, AP_ERROR_PAUSE_NS + 100 * NS_PER_MS);
	ck_assert_uint_eq(p.asked, 2);
	pair_free(&p);
}
END_TEST

START_TEST(a_single_error_is_told_when_tries_run_out)
{
	for (int repeat = 0; repeat < 2; repeat++) {
		struct pair p;

		pair_make(&p, &rig_clean, 1, NULL);
		ck_assert(initiate(&p));
		forge(&p, repeat ? KRB_AP_ERR_REPEAT : KRB_AP_ERR_SKEW);
		p.rig.take_all = true; /* from now on; what is on the line arrives, and the AP-REP never leaves */
		rig_run_for(&p.rig, 100 * NS_PER_S);
		ck_assert_uint_eq(p.done.count, 1);
		ck_assert_int_eq(p.done.outcome, repeat ? AP_TIMEOUT : AP_REFUSED); /* REPEAT is about some copy, not about us */
		ck_assert_int_eq(p.done.error, repeat ? 0 : KRB_AP_ERR_SKEW);
		pair_free(&p);
	}
}
END_TEST

START_TEST(replies_that_answer_nothing_are_refused)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	forge(&p, KDC_ERR_POLICY);
	rig_run_for(&p.rig, NS_PER_S);
	ck_assert_uint_eq(book_count(&p.rig.refused, "ap.unexpected_reply"), 1);
	pair_free(&p);
}
END_TEST

static void bend_reply(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	uint8_t *udp = frame->data + ETHERNET_HEADER_LEN + IP_HEADER_LEN, *at = udp + UDP_HEADER_LEN;
	size_t len = frame->len - ETHERNET_HEADER_LEN - IP_HEADER_LEN - UDP_HEADER_LEN;

	(void)to;
	if (from->node != rig->end[1].node || at[0] != PKTC_AP_REPLY)
		return;
	if (rig->frames_seen == 2)
		at[3 + krb_message_len(at + 3, len - 3) - 1] ^= 1;
	else
		at[len - 1] ^= 1;
	put_be16(udp + 6, 0); /* no checksum: it is not what stops it */
}

/* The first AP-REP is bent inside its sealed part, the next in its hash; both are refused, and so on until tries are used up. */
START_TEST(a_bent_reply_is_refused)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.rig.alter = bend_reply;
	ck_assert(initiate(&p));
	rig_run_for(&p.rig, 100 * NS_PER_S);
	ck_assert_int_eq(p.done.outcome, AP_TIMEOUT);
	ck_assert_uint_eq(book_count(&p.rig.refused, "ap.verify_reply"), 1);
	ck_assert_uint_eq(book_count(&p.rig.refused, "pktc.hash"), AP_TRIES - 1);
	ck_assert_uint_eq(ipsec_count(p.rig.end[0].ipsec), 0);
	pair_free(&p);
}
END_TEST

/* Wake-up */

static void wake(struct pair *p)
{
	key_management_wake(p->rig.end[1].km, p->rig.end[0].ip, on_done, &p->woken);
}

START_TEST(a_client_is_woken_whatever_two_frames_are_lost)
{
	for (unsigned i = 0; i < LOSS_FRAMES; i++)
		for (unsigned j = i; j < LOSS_FRAMES; j++) {
			struct pair p;

			pair_make(&p, &rig_clean, i * LOSS_FRAMES + j, NULL);
			p.rig.take_mask = 1u << i | 1u << j;
			wake(&p);
			wake(&p); /* asked once, told twice */
			rig_run_for(&p.rig, 20 * NS_PER_S);
			ck_assert_uint_eq(p.woken.count, 2);
			ck_assert_int_eq(p.woken.outcome, AP_ESTABLISHED);
			ck_assert_uint_eq(p.done.count, 1);
			ck_assert_int_eq(p.done.outcome, AP_ESTABLISHED);
			ck_assert_uint_ne(p.nonce, 0);
			assert_agreed(&p);
			pair_free(&p);
		}
}
END_TEST

START_TEST(an_unwilling_client_is_a_time_out)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.willing = false;
	wake(&p);
	rig_run_for(&p.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(p.woken.count, 1);
	ck_assert_int_eq(p.woken.outcome, AP_TIMEOUT);
	ck_assert_int_eq(p.woken.at_ns, 15 * NS_PER_S);
	ck_assert_uint_eq(p.wake_ups, WAKE_UP_TRIES);
	ck_assert_uint_eq(book_count(&p.rig.refused, "cta.wake_up"), WAKE_UP_TRIES);
	pair_free(&p);
}
END_TEST

START_TEST(a_server_is_not_woken)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	key_management_wake(p.rig.end[0].km, p.rig.end[1].ip, on_done, &p.woken);
	rig_run_for(&p.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(book_count(&p.rig.refused, "cta.wake_up"), WAKE_UP_TRIES);
	pair_free(&p);
}
END_TEST

START_TEST(the_nonce_ties_an_answer_to_its_wake_up)
{
	static const struct {
		int nonce; /* 0: none, 1: right, 2: another */
		const char *check;
	} rows[] = { { 0, NULL }, { 1, NULL }, { 2, "sc.server_nonce" } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pair p;
		struct sink *sink;
		struct request r;
		const char *check;

		pair_make(&p, &rig_clean, i, NULL);
		p.willing = false;
		wake(&p);
		rig_run_for(&p.rig, 100 * NS_PER_MS);
		sink = sink_new(p.rig.end[0].node, 4000);
		r = request_of(&p);
		r.nonce = rows[i].nonce ? p.nonce + (uint32_t)rows[i].nonce - 1 : 0;
		build(&p, &r);
		check = judged(&p, sink, &r);
		ck_assert_msg(!check == !rows[i].check && (!check || strcmp(check, rows[i].check) == 0), "row %zu: %s", i, check);
		ck_assert_uint_eq(p.woken.count, !check);
		udp_unbind(&sink->socket);
		free(sink);
		pair_free(&p);
	}
}
END_TEST

/* An exchange that is under way for an older wake-up, which its server has forgotten, goes on to answer the newer. */
START_TEST(a_wake_up_reaches_an_exchange_under_way)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.rig.take_mask = 2; /* the first AP-REQ */
	wake(&p);
	rig_run_for(&p.rig, 100 * NS_PER_MS);
	key_management_reset(p.rig.end[1].km);
	wake(&p);
	rig_run_for(&p.rig, 10 * NS_PER_S);
	ck_assert_uint_eq(p.woken.count, 1);
	ck_assert_int_eq(p.woken.outcome, AP_ESTABLISHED);
	ck_assert_uint_eq(p.rig.refused.total, 0);
	assert_agreed(&p);
	pair_free(&p);
}
END_TEST

/* Restarts */

static void restart(struct pair *p, unsigned end)
{
	ipsec_reset(p->rig.end[end].ipsec);
	key_management_reset(p->rig.end[end].km);
}

/* Every 200 us of the exchange (12 ms with its service times), either end loses all it knows; then they begin anew. */
START_TEST(either_end_may_restart_at_any_moment)
{
	for (unsigned end = 0; end < 2; end++)
		for (sim_ns at_ns = 0; at_ns < 14 * NS_PER_MS; at_ns += NS_PER_MS / 5) {
			struct pair p;

			pair_make(&p, &rig_clean, (uint64_t)at_ns, NULL);
			wake(&p);
			rig_run_for(&p.rig, 5 * NS_PER_MS);
			rig_run_for(&p.rig, at_ns);
			restart(&p, end);
			rig_run_for(&p.rig, 100 * NS_PER_S);
			ck_assert_uint_le(p.done.count, 1);
			initiate(&p);
			rig_run_for(&p.rig, 100 * NS_PER_S);
			ck_assert_int_eq(p.done.outcome, AP_ESTABLISHED);
			ck_assert_ptr_nonnull(ipsec_find(p.rig.end[1].ipsec, p.rig.end[0].ip, LABEL_CTA_SC));
			ck_assert_uint_eq(ipsec_find(p.rig.end[1].ipsec, p.rig.end[0].ip, LABEL_CTA_SC)->spi,
			                  ipsec_find(p.rig.end[0].ipsec, p.rig.end[1].ip, LABEL_CTA_SC)->spi);
			pair_free(&p);
		}
}
END_TEST

START_TEST(a_restart_from_inside_a_callback)
{
	struct pair p;

	pair_make(&p, &rig_clean, 1, NULL);
	p.reset_in_callback = true;
	wake(&p);
	ck_assert(initiate(&p));
	rig_run_for(&p.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(p.done.count, 1);
	ck_assert_int_eq(p.done.outcome, AP_ESTABLISHED);
	ck_assert_uint_eq(p.woken.count, 0); /* forgotten in between */
	pair_free(&p);
}
END_TEST

static void add_network_cases(TCase *t)
{
	tcase_add_test(t, any_two_losses_are_made_good);
	tcase_add_test(t, a_bad_network_ends_in_agreement_or_time_out);
	tcase_add_test(t, nobody_there_is_a_time_out);
	tcase_add_test(t, one_forged_error_stops_nothing);
	tcase_add_test(t, the_refused_learn_it_soon);
	tcase_add_test(t, a_single_error_is_told_when_tries_run_out);
	tcase_add_test(t, replies_that_answer_nothing_are_refused);
	tcase_add_test(t, a_bent_reply_is_refused);
	tcase_add_test(t, a_client_is_woken_whatever_two_frames_are_lost);
	tcase_add_test(t, an_unwilling_client_is_a_time_out);
	tcase_add_test(t, a_server_is_not_woken);
	tcase_add_test(t, the_nonce_ties_an_answer_to_its_wake_up);
	tcase_add_test(t, a_wake_up_reaches_an_exchange_under_way);
	tcase_add_test(t, either_end_may_restart_at_any_moment);
	tcase_add_test(t, a_restart_from_inside_a_callback);
}

int main(void)
{
	Suite *suite = suite_create("key_management");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_exchange_establishes_one_association_at_both_ends);
	tcase_add_test(t, the_acceptor_sets_the_lifetime);
	tcase_add_test(t, refusals_have_names_and_an_order);
	tcase_add_loop_test(t, a_switch_lets_one_fault_pass, 0, 2);
	tcase_add_test(t, the_edges_of_the_checks);
	tcase_add_test(t, a_node_without_a_server_key_accepts_nobody);
	tcase_add_test(t, a_replayed_request_is_stopped_by_the_cache_alone);
	tcase_add_test(t, many_authenticators_are_remembered);
	tcase_add_test(t, the_newest_time_of_each_address);
	add_network_cases(t);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

/*
 * Asking a KDC over UDP and TCP: a small server on the other node answers, keeps silent, is slow, cuts connections, sends too much;
 * the line loses and doubles. The question is always ended by one answer or by the news that there is none.
 */
#include "tests/models/rig.h"
#include "models/kdc_client.h"

#define REQUEST_LEN 900
#define ANSWER_LEN 3000
#define CONNECTIONS_MAX 16

enum conduct { ANSWERS, SILENT, CLOSES, RESETS, CUTS_ANSWER, TOO_LONG, TWICE, REFUSES, CONDUCT_COUNT };

struct client_rig {
	struct rig rig;
	struct kdc_client *client;
	/* The server */
	struct udp_socket socket;
	struct tcp_listener listener;
	enum conduct conduct;
	unsigned good_after;     /* requests until it answers well */
	unsigned requests, open;
	sim_ns think_ns;         /* UDP: how long it takes; each request's own */
	struct reply {
		struct client_rig *r;
		struct event event;
		uint32_t dst;
		uint16_t dport, number;
	} replies[CONNECTIONS_MAX];
	/* What came of it */
	unsigned built, give_up_at, answers, failures;
	uint16_t number;         /* of the request that was answered */
	bool ask_again, free_inside;
	sim_ns at_ns;
	uint16_t ports[CONNECTIONS_MAX];
	bool errors_first;       /* UDP: a KRB_AP_ERR_REPEAT goes ahead of each answer */
};

static bool build_request(void *ctx, struct der *out)
{
	struct client_rig *r = ctx;

	if (r->give_up_at && r->built + 1 == r->give_up_at)
		return false;
	out->len = REQUEST_LEN;
	out->bytes = sim_alloc(out->len);
	put_be16(out->bytes, (uint16_t)++r->built);
	return true;
}

static void on_answer(void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct client_rig *r = ctx;

	(void)tag;
	r->at_ns = r->rig.sim->now_ns;
	r->failures += !bytes;
	r->answers += bytes != NULL;
	if (bytes) {
		ck_assert_uint_eq(len, ANSWER_LEN);
		r->number = get_be16(bytes);
		for (size_t i = 2; i < len; i++)
			ck_assert_uint_eq(bytes[i], (uint8_t)i);
	}
	if (r->ask_again) {
		r->ask_again = false;
		ck_assert(kdc_client_ask(r->client, build_request, on_answer, r));
	}
	if (r->free_inside) {
		kdc_client_free(r->client);
		r->client = NULL;
	}
}

static void put_answer(uint8_t out[ANSWER_LEN], uint16_t number)
{
	for (size_t i = 0; i < ANSWER_LEN; i++)
		out[i] = (uint8_t)i;
	put_be16(out, number);
}

static void on_think(struct sim *sim, struct event *event)
{
	struct reply *reply = event_owner(event, struct reply, event);
	struct packet *packet = packet_new(sim, ANSWER_LEN);

	put_answer(packet_append(packet, ANSWER_LEN), reply->number);
	udp_send(&reply->r->socket, 0, reply->dst, reply->dport, packet);
}

static void send_repeat(struct client_rig *r, const struct udp_from *to)
{
	struct krb_error_info info = { .code = KRB_AP_ERR_REPEAT, .stime = world_now(r->rig.sim) };
	struct der der = { 0 };
	struct packet *packet;

	ck_assert(krb_name_set(&info.server, "krbtgt", WORLD_REALM));
	ck_assert(krb_error_build(world_crypto(r->rig.world), &info, &der));
	packet = packet_new(r->rig.sim, (uint32_t)der.len);
	memcpy(packet_append(packet, (uint32_t)der.len), der.bytes, der.len);
	udp_send(&r->socket, 0, to->src, to->sport, packet);
	der_free(&der);
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct client_rig *r = socket->ctx;
	struct reply *reply = &r->replies[r->requests % CONNECTIONS_MAX];

	ck_assert_uint_eq(packet->len, REQUEST_LEN);
	r->ports[r->requests++ % CONNECTIONS_MAX] = from->sport;
	if (r->conduct == SILENT && r->requests <= r->good_after)
		return;
	if (r->errors_first)
		send_repeat(r, from);
	sim_cancel(r->rig.sim, &reply->event);
	*reply = (struct reply){ .r = r, .dst = from->src, .dport = from->sport, .number = get_be16(packet->data) };
	sim_after(r->rig.sim, &reply->event, r->think_ns, on_think, NULL);
}

static void answer_tcp(struct tcp_conn *conn, uint16_t number, uint32_t announced, size_t sent)
{
	uint8_t framed[4 + ANSWER_LEN];

	put_be32(framed, announced);
	put_answer(framed + 4, number);
	ck_assert(tcp_send(conn, framed, sent, 0));
}

static size_t on_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct client_rig *r = ctx;
	enum conduct conduct;

	(void)tag;
	if (len < 4 + REQUEST_LEN)
		return 0;
	ck_assert_uint_eq(get_be32(bytes), REQUEST_LEN);
	conduct = r->requests++ < r->good_after ? r->conduct : ANSWERS;
	switch (conduct) {
	case CLOSES:
		tcp_close(conn);
		break;
	case RESETS:
		tcp_abort(conn);
		r->open--;
		return 0;
	case CUTS_ANSWER:
		answer_tcp(conn, get_be16(bytes + 4), ANSWER_LEN, ANSWER_LEN / 2);
		tcp_close(conn);
		break;
	case TOO_LONG:
		answer_tcp(conn, get_be16(bytes + 4), KRB_MESSAGE_MAX + 1, 4 + ANSWER_LEN);
		break;
	case TWICE:
		answer_tcp(conn, get_be16(bytes + 4), ANSWER_LEN, 4 + ANSWER_LEN);
		answer_tcp(conn, 999, ANSWER_LEN, 4 + ANSWER_LEN);
		break;
	case SILENT:
		break;
	default:
		answer_tcp(conn, get_be16(bytes + 4), ANSWER_LEN, 4 + ANSWER_LEN);
		break;
	}
	return 4 + REQUEST_LEN;
}

static void on_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	(void)conn, (void)how;
	((struct client_rig *)ctx)->open--;
}

static const struct tcp_handler handler = { .received = on_bytes, .closed = on_closed };

static bool on_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **h, void **ctx)
{
	struct client_rig *r = listener->ctx;

	(void)conn;
	if (r->conduct == REFUSES && r->requests++ < r->good_after)
		return false;
	r->open++;
	*h = &handler;
	*ctx = r;
	return true;
}

static void make(struct client_rig *r, const struct link_params *params, uint64_t seed, bool tcp)
{
	memset(r, 0, sizeof *r);
	rig_make(&r->rig, params, seed, false, NULL);
	ck_assert(udp_bind(r->rig.end[1].node, &r->socket, KDC_PORT, on_datagram, r));
	r->listener = (struct tcp_listener){ .node = r->rig.end[1].node, .port = KDC_PORT, .accept = on_accept, .ctx = r };
	ck_assert(tcp_listen(r->rig.end[1].node, &r->listener));
	r->client = kdc_client_new(r->rig.end[0].node, r->rig.end[1].ip, tcp);
}

static void done(struct client_rig *r)
{
	kdc_client_free(r->client);
	udp_unbind(&r->socket);
	tcp_unlisten(&r->listener);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		sim_cancel(r->rig.sim, &r->replies[i].event);
	tcp_reset(r->rig.end[0].node);
	tcp_reset(r->rig.end[1].node);
	rig_free(&r->rig, NULL);
}

static void ask(struct client_rig *r)
{
	ck_assert(kdc_client_ask(r->client, build_request, on_answer, r));
}

START_TEST(one_question_one_answer)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct client_rig r;

		make(&r, &rig_clean, 1, tcp);
		r.ask_again = true; /* from inside the first answer */
		ask(&r);
		ck_assert(!kdc_client_ask(r.client, build_request, on_answer, &r));
		rig_run_for(&r.rig, NS_PER_S);
		ck_assert_uint_eq(r.answers, 2);
		ck_assert_uint_eq(r.number, 2);
		ck_assert_uint_eq(r.failures, 0);
		rig_run_for(&r.rig, 100 * NS_PER_S);
		ck_assert_uint_eq(r.answers + r.failures, 2);
		ck_assert_uint_eq(r.open, 0); /* connections end in order */
		ck_assert_uint_eq(r.rig.refused.total, 0);
		done(&r);
	}
}
END_TEST

static const struct {
	bool tcp;
	enum conduct conduct;
	unsigned good_after, answers, requests;
	const char *check;
} conducts[] = {
	{ false, SILENT, 2, 1, 3, NULL },     { false, SILENT, 100, 0, KDC_TRIES, NULL },
	{ true, SILENT, 1, 1, 2, NULL },      { true, SILENT, 100, 0, KDC_TRIES, NULL },
	{ true, CLOSES, 1, 1, 2, NULL },      { true, CLOSES, 100, 0, KDC_TRIES, NULL },
	{ true, RESETS, 1, 1, 2, NULL },      { true, RESETS, 100, 0, KDC_TRIES, NULL },
	{ true, CUTS_ANSWER, 1, 1, 2, NULL }, { true, CUTS_ANSWER, 100, 0, KDC_TRIES, NULL },
	{ true, TOO_LONG, 1, 1, 2, "krb.too_long" }, { true, TOO_LONG, 100, 0, KDC_TRIES, "krb.too_long" },
	{ true, TWICE, 100, 1, 1, NULL },     { true, REFUSES, 1, 1, 3, NULL },
	{ true, REFUSES, 100, 0, KDC_TRIES, NULL },
};

START_TEST(whatever_the_server_does_there_is_an_end)
{
	for (size_t i = 0; i < sizeof conducts / sizeof conducts[0]; i++) {
		struct client_rig r;

		make(&r, &rig_clean, i, conducts[i].tcp);
		r.conduct = conducts[i].conduct;
		r.good_after = conducts[i].good_after;
		ask(&r);
		rig_run_for(&r.rig, 300 * NS_PER_S);
		ck_assert_msg(r.answers == conducts[i].answers, "row %zu: %u", i, r.answers);
		ck_assert_uint_eq(r.failures, !conducts[i].answers);
		ck_assert_msg(r.requests == conducts[i].requests, "row %zu: %u", i, r.requests);
		ck_assert_msg((book_count(&r.rig.refused, "krb.too_long") > 0) == (conducts[i].check != NULL), "row %zu", i);
		ck_assert_uint_eq(r.open, 0);
		if (r.answers)
			ck_assert_uint_eq(r.number, r.built); /* of the newest request */
		done(&r);
	}
}
END_TEST

START_TEST(a_bad_line_only_delays)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		unsigned answers = 0;

		for (uint64_t seed = 0; seed < 40; seed++) {
			struct client_rig r;

			make(&r, &rig_bad, seed, tcp);
			ask(&r);
			rig_run_for(&r.rig, 600 * NS_PER_S);
			ck_assert_uint_eq(r.answers + r.failures, 1);
			answers += r.answers;
			done(&r);
		}
		ck_assert_uint_ge(answers, tcp ? 40 : 30); /* a UDP try is 4 frames: (0.85)^4 come through, of 4 tries 95 % */
	}
}
END_TEST

START_TEST(nobody_there)
{
	for (int tcp = 0; tcp < 2; tcp++)
		for (int down = 0; down < 2; down++) {
			struct client_rig r;

			make(&r, &rig_clean, 1, tcp);
			udp_unbind(&r.socket);
			tcp_unlisten(&r.listener); /* RST, port unreachable */
			r.rig.take_all = down;     /* or nothing at all */
			ask(&r);
			rig_run_for(&r.rig, 300 * NS_PER_S);
			ck_assert_uint_eq(r.failures, 1);
			ck_assert_uint_eq(r.built, KDC_TRIES);
			if (!tcp)
				ck_assert_int_eq(r.at_ns, (2 + 4 + 8 + 16) * NS_PER_S);
			else if (down)
				ck_assert_int_le(r.at_ns, KDC_TRIES * (KDC_TCP_TIMEOUT_NS + KDC_RETRY_NS));
			else
				ck_assert_int_eq(r.at_ns / NS_PER_S, KDC_TRIES * KDC_RETRY_NS / NS_PER_S);
			done(&r);
		}
}
END_TEST

/* A KDC that takes five seconds: what it says to the first try comes during the second, and must not be taken for its answer. */
START_TEST(a_slow_kdc_is_waited_for)
{
	struct client_rig r;

	make(&r, &rig_clean, 1, false);
	r.think_ns = 5 * NS_PER_S;
	ask(&r);
	rig_run_for(&r.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(r.answers, 1);
	ck_assert_uint_eq(r.number, 3); /* tries at 0, 2, 6 s; the third may take eight */
	ck_assert_uint_eq(r.number, r.built);
	ck_assert(r.ports[0] != r.ports[1] && r.ports[1] != r.ports[2]);
	done(&r);
}
END_TEST

/* The network doubles a request: what the KDC says of the copy may be faster than its answer. */
START_TEST(an_error_about_a_copy_ends_nothing)
{
	struct client_rig r;

	make(&r, &rig_clean, 1, false);
	r.errors_first = true;
	r.think_ns = 100 * NS_PER_MS;
	ask(&r);
	rig_run_for(&r.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(r.answers, 1);
	ck_assert_uint_eq(r.number, 1);
	done(&r);
}
END_TEST

START_TEST(only_the_kdc_is_heard)
{
	struct client_rig r;
	struct sink *stranger;

	make(&r, &rig_clean, 1, false);
	r.conduct = SILENT;
	r.good_after = 1;
	ask(&r);
	rig_run_for(&r.rig, 100 * NS_PER_MS);
	stranger = sink_new(r.rig.end[1].node, 4000);
	send_numbered(&stranger->socket, r.rig.end[0].ip, r.ports[0], 1, 100);
	rig_run_for(&r.rig, NS_PER_S);
	ck_assert_uint_eq(book_count(&r.rig.refused, "kdc_client.source"), 1);
	ck_assert_uint_eq(r.answers, 0);
	rig_run_for(&r.rig, 10 * NS_PER_S);
	ck_assert_uint_eq(r.answers, 1);
	udp_unbind(&stranger->socket);
	free(stranger);
	done(&r);
}
END_TEST

START_TEST(who_has_nothing_to_ask_gives_up)
{
	for (int tcp = 0; tcp < 2; tcp++)
		for (unsigned at = 1; at <= 2; at++) {
			struct client_rig r;

			make(&r, &rig_clean, 1, tcp);
			r.conduct = SILENT;
			r.good_after = 100;
			r.give_up_at = at;
			ask(&r);
			ck_assert_uint_eq(r.failures, at == 1);
			rig_run_for(&r.rig, 300 * NS_PER_S);
			ck_assert_uint_eq(r.failures, 1);
			ck_assert_uint_eq(r.requests, at - 1);
			ck_assert_uint_eq(r.open, 0);
			done(&r);
		}
}
END_TEST

/* Every 2 ms of an exchange: cancelled or freed, no answer comes and nothing is touched afterwards. */
START_TEST(cancelled_or_freed_at_any_moment)
{
	for (int tcp = 0; tcp < 2; tcp++)
		for (int freed = 0; freed < 2; freed++)
			for (unsigned at_ms = 0; at_ms < 80; at_ms += 2) {
				struct client_rig r;
				unsigned answers;

				make(&r, &rig_clean, at_ms, tcp);
				ask(&r);
				rig_run_for(&r.rig, at_ms * NS_PER_MS);
				answers = r.answers;
				if (freed)
					kdc_client_free(r.client);
				else
					kdc_client_cancel(r.client);
				if (freed)
					r.client = NULL;
				rig_run_for(&r.rig, 100 * NS_PER_S);
				ck_assert_uint_eq(r.answers, answers);
				ck_assert_uint_eq(r.failures, 0);
				ck_assert_uint_eq(r.open, 0);
				if (!freed) {
					ask(&r);
					rig_run_for(&r.rig, NS_PER_S);
					ck_assert_uint_eq(r.answers, answers + 1);
				}
				done(&r);
			}
}
END_TEST

START_TEST(freed_from_inside_its_answer)
{
	for (int tcp = 0; tcp < 2; tcp++)
		for (int silent = 0; silent < 2; silent++) {
			struct client_rig r;

			make(&r, &rig_clean, 1, tcp);
			r.free_inside = true;
			r.conduct = silent ? SILENT : ANSWERS;
			r.good_after = 100;
			ask(&r);
			rig_run_for(&r.rig, 300 * NS_PER_S);
			ck_assert_uint_eq(r.answers, !silent);
			ck_assert_uint_eq(r.failures, silent);
			ck_assert_ptr_null(r.client);
			done(&r);
		}
}
END_TEST

/* Power fails: the client is told first, then the stacks forget everything without a word. */
START_TEST(a_restart_of_the_client)
{
	for (int tcp = 0; tcp < 2; tcp++)
		for (unsigned at_ms = 0; at_ms < 60; at_ms += 3) {
			struct client_rig r;
			unsigned answers;

			make(&r, &rig_clean, at_ms, tcp);
			ask(&r);
			rig_run_for(&r.rig, at_ms * NS_PER_MS);
			kdc_client_cancel(r.client);
			ip_reset(r.rig.end[0].node);
			answers = r.answers;
			ask(&r);
			rig_run_for(&r.rig, 100 * NS_PER_S);
			ck_assert_uint_eq(r.answers, answers + 1);
			done(&r);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kdc_client");
	TCase *t = tcase_create("all");

	tcase_add_test(t, one_question_one_answer);
	tcase_add_test(t, whatever_the_server_does_there_is_an_end);
	tcase_add_test(t, a_bad_line_only_delays);
	tcase_add_test(t, nobody_there);
	tcase_add_test(t, a_slow_kdc_is_waited_for);
	tcase_add_test(t, an_error_about_a_copy_ends_nothing);
	tcase_add_test(t, only_the_kdc_is_heard);
	tcase_add_test(t, who_has_nothing_to_ask_gives_up);
	tcase_add_test(t, cancelled_or_freed_at_any_moment);
	tcase_add_test(t, freed_from_inside_its_answer);
	tcase_add_test(t, a_restart_of_the_client);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

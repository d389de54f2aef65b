/*
 * Questions by RADIUS: answers, retransmission, time-out, forged and stray answers, every identifier in use, restarts. The other end is
 * a plain socket under an association (or in clear between servers, where that is switched so).
 */
#include "tests/models/rig.h"
#include "models/radius_client.h"

struct asker {
	struct rig rig;
	struct radius_client *client;
	struct udp_socket auth, acct;  /* the server's */
	unsigned requests, silent, told, answered, accounting;
	uint8_t ids[1024], last[RADIUS_MESSAGE_MAX], authenticators[1024][16];
	size_t last_len;
	uint16_t last_port;
	enum { RIGHT, WRONG_AUTHENTICATOR, WRONG_ID, CUT, TWICE } how;
	enum radius_code code;
	char name[RADIUS_TEXT_MAX];
	sim_ns at_ns;
	bool ask_again;
};

static void answer_from(struct asker *a, struct udp_socket *socket, const uint8_t *request, uint16_t port)
{
	struct radius m;
	uint8_t bytes[RADIUS_MESSAGE_MAX];
	struct packet *packet;
	size_t len;

	ck_assert(radius_parse(request, get_be16(request + 2), &m));
	m.code = m.code == RADIUS_ACCOUNTING_REQUEST ? RADIUS_ACCOUNTING_RESPONSE : RADIUS_ACCESS_ACCEPT;
	m.id = (uint8_t)(m.id + (a->how == WRONG_ID));
	len = radius_write(&m, bytes, sizeof bytes);
	radius_sign(bytes, len, request + 4);
	bytes[19] ^= a->how == WRONG_AUTHENTICATOR;
	len -= a->how == CUT;
	packet = packet_new(a->rig.sim, (uint32_t)len);
	memcpy(packet_append(packet, (uint32_t)len), bytes, len);
	udp_send(socket, 0, a->rig.end[0].ip, port, packet);
}

static void on_request(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct asker *a = socket->ctx;
	static const uint8_t zeros[16];

	ck_assert_uint_lt(a->requests, 1024);
	a->ids[a->requests] = packet->data[1];
	memcpy(a->authenticators[a->requests], packet->data + 4, 16);
	memcpy(a->last, packet->data, packet->len);
	a->last_len = packet->len;
	a->last_port = from->sport;
	if (socket == &a->acct) {
		ck_assert(radius_check(packet->data, packet->len, zeros));
		a->accounting++;
	}
	if (a->requests++ < a->silent)
		return;
	answer_from(a, socket, packet->data, from->sport);
	if (a->how == TWICE)
		answer_from(a, socket, packet->data, from->sport);
}

static void ask(struct asker *a, enum radius_code code);

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct asker *a = ctx;

	(void)tag;
	a->told++;
	a->at_ns = a->rig.sim->now_ns;
	if (answer) {
		a->answered++;
		a->code = answer->code;
		snprintf(a->name, sizeof a->name, "%s", answer->user_name);
	}
	if (a->ask_again) {
		a->ask_again = false;
		ask(a, RADIUS_ACCESS_REQUEST);
	}
}

static bool try_ask(struct asker *a, enum radius_code code)
{
	struct radius question = { .code = code, .user_name = "0123456789", .nas_identifier = "kdc", .framed_ip = 7 };

	return radius_client_ask(a->client, a->rig.end[1].ip, &question, on_answer, a);
}

static void ask(struct asker *a, enum radius_code code)
{
	ck_assert(try_ask(a, code));
}

static const char *const backend_off[] = { "backend.ipsec=off", NULL };

static void make(struct asker *a, const struct link_params *params, uint64_t seed, const char *const *sets)
{
	memset(a, 0, sizeof *a);
	rig_make(&a->rig, params, seed, true, sets);
	if (!sets)
		rig_associate(&a->rig);
	ck_assert(udp_bind(a->rig.end[1].node, &a->auth, RADIUS_AUTH_PORT, on_request, a));
	ck_assert(udp_bind(a->rig.end[1].node, &a->acct, RADIUS_ACCT_PORT, on_request, a));
	a->client = radius_client_new(a->rig.end[0].node, a->rig.end[0].ipsec);
	radius_client_reset(a->client);
}

static void done(struct asker *a)
{
	radius_client_free(a->client);
	udp_unbind(&a->auth);
	udp_unbind(&a->acct);
	rig_free(&a->rig, NULL);
}

START_TEST(a_question_has_its_answer)
{
	static const enum radius_code codes[] = { RADIUS_ACCESS_REQUEST, RADIUS_ACCOUNTING_REQUEST };

	for (int i = 0; i < 2; i++) {
		struct asker a;

		make(&a, &rig_clean, 1, NULL);
		a.ask_again = true; /* from inside the answer */
		ask(&a, codes[i]);
		rig_run_for(&a.rig, 100 * NS_PER_S);
		ck_assert_uint_eq(a.told, 2);
		ck_assert_uint_eq(a.answered, 2);
		ck_assert_uint_eq(a.accounting, codes[i] == RADIUS_ACCOUNTING_REQUEST);
		ck_assert_str_eq(a.name, "0123456789");
		ck_assert_uint_ne(a.ids[0], a.ids[1]);
		ck_assert_mem_ne(a.authenticators[0], a.authenticators[1], 16);
		ck_assert_uint_eq(a.rig.esp_frames, 4);
		ck_assert_uint_eq(a.rig.refused.total, 0);
		done(&a);
	}
}
END_TEST

START_TEST(silence_is_repeated_into)
{
	for (unsigned silent = 0; silent <= RADIUS_TRIES; silent++) {
		struct asker a;

		make(&a, &rig_clean, 1, NULL);
		a.silent = silent;
		ask(&a, RADIUS_ACCESS_REQUEST);
		rig_run_for(&a.rig, 100 * NS_PER_S);
		ck_assert_uint_eq(a.told, 1);
		ck_assert_uint_eq(a.answered, silent < RADIUS_TRIES);
		ck_assert_uint_eq(a.requests, silent < RADIUS_TRIES ? silent + 1 : RADIUS_TRIES);
		ck_assert_int_eq(a.at_ns / NS_PER_S, ((1 << silent) - 1)); /* 0, 1, 3, 7, 15, and 31 to give up */
		for (unsigned i = 1; i < a.requests; i++) { /* the same question each time: RFC 2865 section 2.5 */
			ck_assert_uint_eq(a.ids[i], a.ids[0]);
			ck_assert_mem_eq(a.authenticators[i], a.authenticators[0], 16);
		}
		done(&a);
	}
}
END_TEST

START_TEST(a_bad_line_only_delays)
{
	unsigned answered = 0;

	for (uint64_t seed = 0; seed < 50; seed++) {
		struct asker a;

		make(&a, &rig_bad, seed, NULL);
		for (int i = 0; i < 4; i++)
			ask(&a, i % 2 ? RADIUS_ACCESS_REQUEST : RADIUS_ACCOUNTING_REQUEST);
		rig_run_for(&a.rig, 100 * NS_PER_S);
		ck_assert_uint_eq(a.told, 4);
		answered += a.answered;
		done(&a);
	}
	ck_assert_uint_ge(answered, 198);
}
END_TEST

static const struct {
	int how;
	const char *check;
	unsigned refusals;
} forgeries[] = {
	{ WRONG_AUTHENTICATOR, "radius.unexpected", RADIUS_TRIES }, { WRONG_ID, "radius.unexpected", RADIUS_TRIES },
	{ CUT, "radius.malformed", RADIUS_TRIES }, { TWICE, "radius.unexpected", 1 },
};

START_TEST(answers_that_are_none_are_refused)
{
	for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
		struct asker a;

		make(&a, &rig_clean, i, NULL);
		a.how = forgeries[i].how;
		ask(&a, RADIUS_ACCESS_REQUEST);
		rig_run_for(&a.rig, 100 * NS_PER_S);
		ck_assert_uint_eq(a.told, 1);
		ck_assert_uint_eq(a.answered, a.how == TWICE);
		ck_assert_uint_eq(book_count(&a.rig.refused, forgeries[i].check), forgeries[i].refusals);
		ck_assert_uint_eq(a.rig.refused.total, forgeries[i].refusals);
		done(&a);
	}
}
END_TEST

/* A right answer, signed with what the question had, but put on the line in clear. */
static void forge_in_clear(struct asker *a)
{
	struct iface *from = a->rig.line.left[1], *to = a->rig.line.right[0];
	uint8_t bytes[RADIUS_MESSAGE_MAX], udp[RADIUS_MESSAGE_MAX + 8];
	struct raw raw = { .src = a->rig.end[1].ip, .dst = a->rig.end[0].ip, .proto = IP_PROTO_UDP, .bytes = udp };
	struct radius m;
	size_t len;

	ck_assert(radius_parse(a->last, a->last_len, &m));
	m.code = RADIUS_ACCESS_ACCEPT;
	len = radius_write(&m, bytes, sizeof bytes);
	radius_sign(bytes, len, a->last + 4);
	raw.len = raw_udp(udp, raw.src, raw.dst, RADIUS_AUTH_PORT, a->last_port, bytes, (uint32_t)len);
	link_inject(a->rig.line.link[0], from, to, raw_frame(from, to, &raw), 0);
}

START_TEST(an_answer_in_clear_is_believed_only_where_that_is_switched_so)
{
	for (int off = 0; off < 2; off++) {
		struct asker a;

		make(&a, &rig_clean, 1, off ? backend_off : NULL);
		a.silent = 1000;
		ask(&a, RADIUS_ACCESS_REQUEST);
		rig_run_for(&a.rig, 100 * NS_PER_MS);
		forge_in_clear(&a);
		rig_run_for(&a.rig, 100 * NS_PER_MS);
		ck_assert_uint_eq(a.answered, off);
		ck_assert_uint_eq(book_count(&a.rig.refused, "backend.ipsec"), !off);
		ck_assert_uint_eq(a.rig.refused.total, !off);
		done(&a);
	}
}
END_TEST

START_TEST(as_many_questions_as_identifiers)
{
	bool used[RADIUS_PENDING_MAX] = { false };
	struct asker a;

	make(&a, &rig_clean, 1, NULL);
	a.silent = RADIUS_PENDING_MAX;
	for (unsigned i = 0; i < RADIUS_PENDING_MAX; i++)
		ask(&a, RADIUS_ACCESS_REQUEST);
	ck_assert(!try_ask(&a, RADIUS_ACCESS_REQUEST));
	rig_run_for(&a.rig, 500 * NS_PER_MS);
	ck_assert_uint_eq(a.requests, RADIUS_PENDING_MAX);
	for (unsigned i = 0; i < RADIUS_PENDING_MAX; i++) {
		ck_assert(!used[a.ids[i]]);
		used[a.ids[i]] = true;
	}
	ck_assert(!try_ask(&a, RADIUS_ACCESS_REQUEST));
	rig_run_for(&a.rig, 10 * NS_PER_S);
	ck_assert_uint_eq(a.answered, RADIUS_PENDING_MAX); /* each its own */
	ask(&a, RADIUS_ACCESS_REQUEST);
	rig_run_for(&a.rig, 10 * NS_PER_S);
	ck_assert_uint_eq(a.answered, RADIUS_PENDING_MAX + 1);
	done(&a);
}
END_TEST

START_TEST(the_longest_question_fits)
{
	struct radius question = { .code = RADIUS_ACCESS_REQUEST };
	struct asker a;
	char *const texts[] = { question.user_name, question.reply_message, question.called_station, question.calling_station,
		                question.nas_identifier, question.acct_session_id };

	make(&a, &rig_clean, 1, NULL);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		memset(texts[i], 'x', RADIUS_TEXT_MAX - 1);
	ck_assert(radius_client_ask(a.client, a.rig.end[1].ip, &question, on_answer, &a)); /* all texts at their longest fit */
	rig_run_for(&a.rig, NS_PER_S);
	ck_assert_uint_eq(a.answered, 1);
	done(&a);
}
END_TEST

START_TEST(a_restart_forgets_its_questions)
{
	for (unsigned at_ms = 0; at_ms < 20; at_ms++) {
		struct asker a;
		unsigned told;

		make(&a, &rig_clean, at_ms, NULL);
		for (int i = 0; i < 10; i++)
			ask(&a, RADIUS_ACCESS_REQUEST);
		rig_run_for(&a.rig, at_ms * NS_PER_MS);
		told = a.told;
		radius_client_reset(a.client);
		rig_run_for(&a.rig, 100 * NS_PER_S);
		ck_assert_uint_eq(a.told, told);
		ask(&a, RADIUS_ACCESS_REQUEST);
		rig_run_for(&a.rig, NS_PER_S);
		ck_assert_uint_eq(a.told, told + 1);
		done(&a);
	}
}
END_TEST

START_TEST(without_an_association_nothing_leaves)
{
	struct asker a;

	make(&a, &rig_clean, 1, NULL);
	ipsec_reset(a.rig.end[0].ipsec);
	ask(&a, RADIUS_ACCESS_REQUEST);
	rig_run_for(&a.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(a.told, 1);
	ck_assert_uint_eq(a.answered, 0);
	ck_assert_uint_eq(a.rig.frames_seen, 0);
	ck_assert_uint_eq(book_count(&a.rig.lost, "ipsec.no_association"), RADIUS_TRIES);
	done(&a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("radius_client");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_question_has_its_answer);
	tcase_add_test(t, silence_is_repeated_into);
	tcase_add_test(t, a_bad_line_only_delays);
	tcase_add_test(t, answers_that_are_none_are_refused);
	tcase_add_test(t, an_answer_in_clear_is_believed_only_where_that_is_switched_so);
	tcase_add_test(t, as_many_questions_as_identifiers);
	tcase_add_test(t, the_longest_question_fits);
	tcase_add_test(t, a_restart_forgets_its_questions);
	tcase_add_test(t, without_an_association_nothing_leaves);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

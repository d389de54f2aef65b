/*
 * IPsec of a node: what may leave in clear, what each refusal is called, and the life of associations: expiry, replacement,
 * the newest of a peer, removal from inside a delivery or an expiry, thousands of them against a plain list.
 */
#include "tests/models/rig.h"
#include "models/wire/radius.h"
#include "models/wire/sip.h"

#define OTHER_PORT 4000
#define MANY 3000

/* Policy */

struct policy_row {
	bool servers, backend, association;
	uint16_t sport, dport;
	enum { CLEAR, ESP, NOT_AT_ALL } how;
};
static const struct policy_row policy[] = {
	{ false, true, false, OTHER_PORT, SIP_PORT, NOT_AT_ALL },
	{ false, true, false, SIP_PORT, OTHER_PORT, NOT_AT_ALL },
	{ false, true, false, OTHER_PORT, RADIUS_AUTH_PORT, NOT_AT_ALL },
	{ false, true, false, RADIUS_ACCT_PORT, OTHER_PORT, NOT_AT_ALL },
	{ false, true, false, OTHER_PORT, OTHER_PORT + 1, CLEAR },
	{ false, true, true, OTHER_PORT, SIP_PORT, ESP },
	{ false, true, true, SIP_PORT, OTHER_PORT, ESP },
	{ false, true, true, OTHER_PORT, RADIUS_ACCT_PORT, ESP },
	{ false, true, true, OTHER_PORT, OTHER_PORT + 1, CLEAR },
	{ false, false, false, OTHER_PORT, SIP_PORT, NOT_AT_ALL }, /* a CTA is no server: backend.ipsec is not about it */
	{ false, false, true, OTHER_PORT, SIP_PORT, ESP },
	{ true, true, false, OTHER_PORT, SIP_PORT, NOT_AT_ALL },
	{ true, true, false, OTHER_PORT, RADIUS_AUTH_PORT, NOT_AT_ALL },
	{ true, true, true, OTHER_PORT, RADIUS_AUTH_PORT, ESP },
	{ true, false, false, OTHER_PORT, RADIUS_AUTH_PORT, CLEAR },
	{ true, false, false, OTHER_PORT, SIP_PORT, CLEAR },
	{ true, false, true, OTHER_PORT, SIP_PORT, ESP },
};

static const char *const backend_off[] = { "backend.ipsec=off", NULL };

START_TEST(policy_decides_what_leaves_and_how)
{
	for (size_t i = 0; i < sizeof policy / sizeof policy[0]; i++) {
		const struct policy_row *row = &policy[i];
		struct rig rig;
		struct sink *from, *to;

		rig_make(&rig, &rig_clean, i, row->servers, row->backend ? NULL : backend_off);
		if (row->association)
			rig_associate(&rig);
		from = sink_new(rig.end[0].node, row->sport);
		to = sink_new(rig.end[1].node, row->dport);
		send_numbered(&from->socket, rig.end[1].ip, row->dport, (uint16_t)i, 100);
		rig_run_for(&rig, NS_PER_S);
		ck_assert_msg(to->count == (row->how != NOT_AT_ALL), "row %zu", i);
		ck_assert_uint_eq(rig.esp_frames, row->how == ESP);
		ck_assert_uint_eq(rig.clear_udp_frames, row->how == CLEAR);
		ck_assert_msg(!to->count || (to->from.sa != NULL) == (row->how == ESP), "row %zu", i);
		if (to->count)
			ck_assert(numbered_good(to->bytes, to->len, (uint16_t)i) &&
			          ipsec_covered(rig.end[1].ipsec, &to->from) == (row->how == ESP || (row->servers && !row->backend)));
		udp_unbind(&from->socket);
		udp_unbind(&to->socket);
		free(from);
		free(to);
		rig_free(&rig, NULL);
	}
}
END_TEST

/* Refusals */

static uint8_t *esp_of(struct packet *frame)
{
	uint8_t *ip = frame->data + ETHERNET_HEADER_LEN;

	return ip[9] == IP_PROTO_ESP ? ip + IP_HEADER_LEN : NULL;
}

static void alter_spi(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	(void)rig, (void)from, (void)to;
	put_be32(esp_of(frame), RIG_SPI + 0x100);
}

static void alter_spi_to_reverse(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	(void)rig, (void)from, (void)to;
	put_be32(esp_of(frame), RIG_SPI + 1); /* the receiver's own outbound one */
}

static void alter_text(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	(void)rig, (void)from, (void)to;
	esp_of(frame)[30] ^= 1;
}

static void alter_last(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	(void)rig, (void)from, (void)to;
	frame->data[frame->len - 1] ^= 0x80;
}

static void alter_copy(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	link_inject(rig->line.link[0], from, to, packet_copy(frame), NS_PER_MS);
}

static void shorten(struct packet *frame, uint32_t esp_len)
{
	uint8_t *ip = frame->data + ETHERNET_HEADER_LEN;

	packet_trim(frame, frame->len - ETHERNET_HEADER_LEN - IP_HEADER_LEN - esp_len);
	put_be16(ip + 2, (uint16_t)(IP_HEADER_LEN + esp_len));
	put_be16(ip + 10, 0);
	put_be16(ip + 10, plain_checksum(ip, IP_HEADER_LEN, 0));
}

static void alter_to_seven(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	(void)rig, (void)from, (void)to;
	shorten(frame, ESP_HEADER_LEN - 1);
}

static void alter_to_header(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	(void)rig, (void)from, (void)to;
	shorten(frame, ESP_HEADER_LEN);
}

static const struct refusal_row {
	void (*alter)(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to);
	const char *set, *check;
	unsigned delivered, unknown;
} refusals[] = {
	{ NULL, NULL, NULL, 1, 0 },
	{ alter_spi, NULL, "esp.unknown_spi", 0, 1 },
	{ alter_spi_to_reverse, NULL, "esp.unknown_spi", 0, 1 },
	{ alter_text, NULL, "esp.auth", 0, 0 },
	{ alter_last, NULL, "esp.auth", 0, 0 },
	{ alter_to_seven, NULL, "esp.malformed", 0, 0 },
	{ alter_to_header, NULL, "esp.malformed", 0, 0 },
	{ alter_copy, NULL, "esp.replay_window", 1, 0 },
	{ alter_copy, "esp.replay_window=off", NULL, 2, 0 },
	{ NULL, "esp.iv=implicit", NULL, 1, 0 },
	{ alter_text, "esp.auth=off", "udp.checksum", 0, 0 }, /* decrypted and passed on all the same */
};

static void on_unknown(void *ctx, uint32_t peer_ip)
{
	ck_assert_uint_eq(peer_ip, line_ip(1, 1));
	++*(unsigned *)ctx;
}

START_TEST(what_arrives_is_refused_by_name)
{
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		const struct refusal_row *row = &refusals[i];
		const char *sets[] = { row->set, NULL };
		unsigned unknown = 0;
		struct rig rig;
		struct sink *from, *to;

		rig_make(&rig, &rig_clean, i, false, sets);
		rig_associate(&rig);
		ipsec_on_unknown_spi(rig.end[1].ipsec, on_unknown, &unknown);
		rig.alter = row->alter;
		from = sink_new(rig.end[0].node, SIP_PORT);
		to = sink_new(rig.end[1].node, SIP_PORT);
		send_numbered(&from->socket, rig.end[1].ip, SIP_PORT, 1, 100);
		rig_run_for(&rig, NS_PER_S);
		ck_assert_msg(to->count == row->delivered, "row %zu: %u delivered", i, to->count);
		ck_assert_uint_eq(unknown, row->unknown);
		ck_assert_msg(rig.refused.total == (row->check != NULL), "row %zu: %s", i, rig.refused.line[0].word);
		if (row->check)
			ck_assert_str_eq(rig.refused.line[0].word, row->check);
		udp_unbind(&from->socket);
		udp_unbind(&to->socket);
		free(from);
		free(to);
		rig_free(&rig, NULL);
	}
}
END_TEST

/* Life */

struct life {
	struct rig *rig;
	unsigned told;
	enum { ONLY_HEAR, REMOVE_IT, RESET, REMOVE_ANOTHER, ADD_ANOTHER, DEED_COUNT } deed;
};

static void on_expired(struct association *a)
{
	struct life *life = a->owner;
	struct ipsec *ipsec = life->rig->end[0].ipsec;

	life->told++;
	switch (life->deed) {
	case REMOVE_IT:
		ipsec_remove(a);
		break;
	case RESET:
		ipsec_reset(ipsec);
		break;
	case REMOVE_ANOTHER:
		ipsec_remove(ipsec_find(ipsec, life->rig->end[1].ip, LABEL_CTA_CTA));
		break;
	case ADD_ANOTHER:
		rig_add(life->rig, 0, RIG_SPI, true, LABEL_CTA_SC, 9); /* the same peer and SPI: takes its place */
		break;
	default:
		break;
	}
}

START_TEST(a_lifetime_ends_whatever_its_owner_does_then)
{
	static const unsigned left[DEED_COUNT] = { [ONLY_HEAR] = 1, [REMOVE_IT] = 1, [RESET] = 0, [REMOVE_ANOTHER] = 0,
		                                   [ADD_ANOTHER] = 2 };

	for (unsigned deed = 0; deed < DEED_COUNT; deed++) {
		struct rig rig;
		struct life life = { &rig, 0, deed };
		struct association *a;

		rig_make(&rig, &rig_clean, deed, false, NULL);
		rig_add(&rig, 0, RIG_SPI + 2, true, LABEL_CTA_CTA, 8);
		a = rig_add(&rig, 0, RIG_SPI, true, LABEL_CTA_SC, 7);
		a->owner = &life;
		a->expired = on_expired;
		sim_cancel(rig.sim, &a->expiry);
		sim_after(rig.sim, &a->expiry, 10 * NS_PER_S, a->expiry.fire, "association.lifetime");
		rig_run_for(&rig, 10 * NS_PER_S - 1);
		ck_assert_uint_eq(life.told, 0);
		rig_run_for(&rig, 1);
		ck_assert_uint_eq(life.told, 1);
		ck_assert_uint_eq(ipsec_count(rig.end[0].ipsec), left[deed]);
		rig_run_for(&rig, 100 * NS_PER_S);
		ck_assert_uint_eq(life.told, 1);
		rig_free(&rig, NULL);
	}
}
END_TEST

/* Another of the same peer and SPI takes its place: its owner hears of the end once, whatever it does then. */
START_TEST(the_owner_of_a_replaced_one_hears_of_it)
{
	static const unsigned left[ADD_ANOTHER] = { [ONLY_HEAR] = 2, [REMOVE_IT] = 2, [RESET] = 1, [REMOVE_ANOTHER] = 1 };

	for (unsigned deed = 0; deed < ADD_ANOTHER; deed++) {
		struct rig rig;
		struct life life = { &rig, 0, deed };
		struct association *a;

		rig_make(&rig, &rig_clean, deed, false, NULL);
		rig_add(&rig, 0, RIG_SPI + 2, true, LABEL_CTA_CTA, 8);
		a = rig_add(&rig, 0, RIG_SPI, true, LABEL_CTA_SC, 7);
		a->owner = &life;
		a->expired = on_expired;
		ck_assert_ptr_nonnull(rig_add(&rig, 0, RIG_SPI, true, LABEL_CTA_SC, 9));
		ck_assert_uint_eq(life.told, 1);
		ck_assert_uint_eq(ipsec_count(rig.end[0].ipsec), left[deed]);
		rig_run_for(&rig, 2 * RIG_LIFETIME_NS);
		ck_assert_uint_eq(life.told, 1);
		rig_free(&rig, NULL);
	}
}
END_TEST

/* A receiver that undoes the association under which it is being called. */
struct undoer {
	struct udp_socket socket;
	struct rig *rig;
	bool reset;
	unsigned count;
	uint8_t first;
};

static void undo(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct undoer *u = socket->ctx;

	if (u->reset)
		ipsec_reset(u->rig->end[1].ipsec);
	else
		ipsec_remove((struct association *)(uintptr_t)from->sa);
	u->count++;
	u->first = packet->data[packet->len - 1]; /* the bytes outlive their association */
}

START_TEST(a_receiver_may_remove_the_association_of_its_packet)
{
	for (int reset = 0; reset < 2; reset++) {
		struct rig rig;
		struct undoer u = { .rig = &rig, .reset = reset != 0 };
		struct sink *from;

		rig_make(&rig, &rig_clean, 1, false, NULL);
		rig_associate(&rig);
		ck_assert(udp_bind(rig.end[1].node, &u.socket, SIP_PORT, undo, &u));
		from = sink_new(rig.end[0].node, SIP_PORT);
		send_numbered(&from->socket, rig.end[1].ip, SIP_PORT, 1, 100);
		send_numbered(&from->socket, rig.end[1].ip, SIP_PORT, 2, 100);
		rig_run_for(&rig, NS_PER_S);
		ck_assert_uint_eq(u.count, 1);
		ck_assert_uint_eq(ipsec_count(rig.end[1].ipsec), 0);
		ck_assert_uint_eq(book_count(&rig.refused, "esp.unknown_spi"), 1);
		udp_unbind(&u.socket);
		udp_unbind(&from->socket);
		free(from);
		rig_free(&rig, NULL);
	}
}
END_TEST

START_TEST(the_same_peer_and_spi_is_replaced_the_newest_wins)
{
	struct rig rig;
	struct association *first, *second, *third;
	uint32_t peer;

	rig_make(&rig, &rig_clean, 1, false, NULL);
	peer = rig.end[1].ip;
	first = rig_add(&rig, 0, RIG_SPI, true, LABEL_CTA_SC, 1);
	second = rig_add(&rig, 0, RIG_SPI + 2, true, LABEL_CTA_SC, 2);
	third = rig_add(&rig, 0, RIG_SPI + 4, true, LABEL_CTA_CTA, 3);
	ck_assert_ptr_eq(ipsec_find(rig.end[0].ipsec, peer, NULL), third);
	ck_assert_ptr_eq(ipsec_find(rig.end[0].ipsec, peer, LABEL_CTA_SC), second);
	ck_assert_ptr_null(ipsec_find(rig.end[0].ipsec, peer, LABEL_SERVER));
	ck_assert_ptr_null(ipsec_find(rig.end[0].ipsec, peer + 1, NULL));
	first = rig_add(&rig, 0, RIG_SPI, true, LABEL_CTA_SC, 4);
	ck_assert_uint_eq(ipsec_count(rig.end[0].ipsec), 3);
	ck_assert_ptr_eq(ipsec_find(rig.end[0].ipsec, peer, NULL), first);
	ck_assert_uint_eq(sm_key_count(rig.end[0].sm), 3 * 2); /* sub-key and wrapping key of each */
	ipsec_remove(first);
	ipsec_remove(NULL);
	ck_assert_ptr_eq(ipsec_find(rig.end[0].ipsec, peer, LABEL_CTA_SC), second);
	ipsec_reset(rig.end[0].ipsec);
	ck_assert_ptr_null(ipsec_find(rig.end[0].ipsec, peer, NULL));
	ck_assert_uint_eq(sm_key_count(rig.end[0].sm), 0);
	rig_free(&rig, NULL);
}
END_TEST

/* Both directions have both roles under one number: the initiator's SPI and a peer's never meet. */
START_TEST(what_is_sent_up_and_down_are_two_things)
{
	struct rig rig;
	struct sink *end[2];

	rig_make(&rig, &rig_clean, 1, false, NULL);
	rig_associate(&rig);
	for (int i = 0; i < 2; i++)
		end[i] = sink_new(rig.end[i].node, SIP_PORT);
	for (uint16_t n = 0; n < 100; n++)
		for (int i = 0; i < 2; i++)
			send_numbered(&end[i]->socket, rig.end[!i].ip, SIP_PORT, n, 20 + n);
	rig_run_for(&rig, NS_PER_S);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(end[i]->count, 100);
		ck_assert_uint_eq(((const struct association *)end[i]->from.sa)->opened, 100);
		udp_unbind(&end[i]->socket);
		free(end[i]);
	}
	ck_assert_uint_eq(rig.refused.total, 0);
	rig_free(&rig, NULL);
}
END_TEST

/* Thousands, added, replaced and removed by chance, held against a list in order of age. */
struct plain {
	struct association *a;
	uint32_t peer, spi;
};

static struct association *newest_of(const struct plain *list, unsigned count, uint32_t peer)
{
	while (count--)
		if (list[count].peer == peer)
			return list[count].a;
	return NULL;
}

static unsigned drop(struct plain *list, unsigned count, unsigned at)
{
	memmove(&list[at], &list[at + 1], (count - at - 1) * sizeof list[0]);
	return count - 1;
}

START_TEST(thousands_behave_like_a_list)
{
	struct plain *list = sim_alloc(MANY * sizeof *list);
	unsigned count = 0;
	uint8_t key[24] = "one sub-key for them all";
	struct rig rig;
	struct rng rng;

	rig_make(&rig, &rig_clean, 5, false, NULL);
	rng_init(&rng, 5, "test", "associations");
	for (int i = 0; i < 2 * MANY; i++) {
		uint32_t peer = line_ip(1, 2) + (uint32_t)rng_below(&rng, 500), spi = 0x1000 + 2 * (uint32_t)rng_below(&rng, 40);
		struct association_request request = { .peer_ip = peer, .spi = spi, .initiator = true, .label = LABEL_SERVER,
			                               .lifetime_ns = RIG_LIFETIME_NS };

		if (count == MANY || (count && rng_below(&rng, 4) == 0)) {
			unsigned at = (unsigned)rng_below(&rng, count);

			ipsec_remove(list[at].a);
			count = drop(list, count, at);
		} else {
			for (unsigned at = 0; at < count; at++)
				if (list[at].peer == peer && list[at].spi == spi)
					count = drop(list, count, at--);
			request.subkey = sm_install_des3(rig.end[0].sm, "subkey", "test", key);
			list[count++] = (struct plain){ ipsec_add(rig.end[0].ipsec, &request), peer, spi };
		}
		ck_assert_uint_eq(ipsec_count(rig.end[0].ipsec), count);
		ck_assert_ptr_eq(ipsec_find(rig.end[0].ipsec, peer, NULL), newest_of(list, count, peer));
	}
	ck_assert_uint_gt(count, 1000);
	for (unsigned p = 0; p < 500; p++)
		ck_assert_ptr_eq(ipsec_find(rig.end[0].ipsec, line_ip(1, 2) + p, LABEL_SERVER),
		                 newest_of(list, count, line_ip(1, 2) + p));
	ipsec_reset(rig.end[0].ipsec);
	free(list);
	rig_free(&rig, NULL);
}
END_TEST

START_TEST(spis_are_even_and_not_reserved)
{
	struct rig rig;

	rig_make(&rig, &rig_clean, 1, false, NULL);
	for (int i = 0; i < 10000; i++) {
		uint32_t spi = ipsec_new_spi(rig.end[0].ipsec);

		ck_assert(spi % 2 == 0 && spi >= 0x100 && ipsec_spi_usable(spi));
	}
	ck_assert(!ipsec_spi_usable(0) && !ipsec_spi_usable(255) && !ipsec_spi_usable(UINT32_MAX));
	ck_assert(ipsec_spi_usable(256) && ipsec_spi_usable(UINT32_MAX - 1));
	rig_free(&rig, NULL);
}
END_TEST

START_TEST(a_key_that_is_none_makes_no_association)
{
	struct association_request request = { .peer_ip = line_ip(1, 2), .spi = RIG_SPI, .label = LABEL_CTA_SC,
		                               .lifetime_ns = RIG_LIFETIME_NS };
	struct rig rig;

	rig_make(&rig, &rig_clean, 1, false, NULL);
	ck_assert_ptr_null(ipsec_add(rig.end[0].ipsec, &request));
	ck_assert_uint_eq(ipsec_count(rig.end[0].ipsec), 0);
	rig_free(&rig, NULL);
}
END_TEST

/* Packets of a peer that has its association before we have ours: { when ours stands, how many come, how many are taken, refused }. */
static const struct {
	enum { STANDS, GIVEN_UP, NOT_EXPECTED, RESTART } then;
	unsigned sent, taken, refused;
} early[] = {
	{ STANDS, 3, 3, 0 },
	{ STANDS, IPSEC_HELD_MAX + 2, IPSEC_HELD_MAX, 2 },
	{ GIVEN_UP, 3, 0, 3 },
	{ NOT_EXPECTED, 3, 0, 3 },
	{ RESTART, 3, 0, 0 },
};

START_TEST(what_comes_before_its_association_waits_for_it)
{
	struct rig rig;
	struct sink *from, *to;

	rig_make(&rig, &rig_clean, 1, false, NULL);
	from = sink_new(rig.end[1].node, SIP_PORT);
	to = sink_new(rig.end[0].node, SIP_PORT);
	rig_add(&rig, 1, RIG_SPI, false, LABEL_CTA_SC, 7);
	if (early[_i].then != NOT_EXPECTED)
		ipsec_expect(rig.end[0].ipsec, rig.end[1].ip, RIG_SPI + 1);
	for (unsigned n = 0; n < early[_i].sent; n++)
		send_numbered(&from->socket, rig.end[0].ip, SIP_PORT, (uint16_t)n, 100);
	rig_run_for(&rig, NS_PER_S);
	ck_assert_uint_eq(to->count, 0);
	if (early[_i].then == STANDS)
		rig_add(&rig, 0, RIG_SPI, true, LABEL_CTA_SC, 7);
	else if (early[_i].then == GIVEN_UP)
		ipsec_expect_no_more(rig.end[0].ipsec, rig.end[1].ip, RIG_SPI + 1);
	else if (early[_i].then == RESTART)
		ipsec_reset(rig.end[0].ipsec);
	ck_assert_uint_eq(to->count, 0); /* the owner of the association is told first */
	rig_run_for(&rig, NS_PER_S);
	ck_assert_uint_eq(to->count, early[_i].taken);
	ck_assert_uint_eq(book_count(&rig.refused, "esp.unknown_spi"), early[_i].refused);
	ipsec_expect_no_more(rig.end[0].ipsec, rig.end[1].ip, RIG_SPI + 1); /* harmless afterwards */
	udp_unbind(&from->socket);
	udp_unbind(&to->socket);
	free(from);
	free(to);
	rig_free(&rig, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec");
	TCase *t = tcase_create("all");

	tcase_add_test(t, policy_decides_what_leaves_and_how);
	tcase_add_test(t, what_arrives_is_refused_by_name);
	tcase_add_test(t, a_lifetime_ends_whatever_its_owner_does_then);
	tcase_add_test(t, the_owner_of_a_replaced_one_hears_of_it);
	tcase_add_test(t, a_receiver_may_remove_the_association_of_its_packet);
	tcase_add_test(t, the_same_peer_and_spi_is_replaced_the_newest_wins);
	tcase_add_test(t, what_is_sent_up_and_down_are_two_things);
	tcase_add_test(t, thousands_behave_like_a_list);
	tcase_add_test(t, spis_are_even_and_not_reserved);
	tcase_add_loop_test(t, what_comes_before_its_association_waits_for_it, 0, sizeof early / sizeof early[0]);
	tcase_add_test(t, a_key_that_is_none_makes_no_association);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

/*
 * Media of a call: two ends and a link between, clean and bad; what each check refuses; what libcrypto alone makes of
 * the bytes on the wire; the schedule; samples, messages and what the scenario host hears.
 *
 * Frames are counted by an observer at both ends of the link, so that the counters are held against something of
 * their own. Packets with numbers of the test's choosing come from the test's own cipher and socket.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "crypto/derive.h"
#include "crypto/rtp_cipher.h"
#include "models/media.h"
#include "models/wire/dtmf.h"
#include "models/wire/rtp.h"
#include "models/wire/t140.h"
#include "sim/service.h"
#include "tests/crypto/fixture.h"
#undef LINE_MAX /* POSIX's, by way of libcrypto's headers; the fixture has its own */
#include "tests/sim/net_fixture.h"

#define PORT_A 5004
#define PORT_B 6004
#define UDP_AT (ETHERNET_HEADER_LEN + IP_HEADER_LEN)
#define RTP_AT (UDP_AT + UDP_HEADER_LEN)
#define FRAMES_MAX 4096
#define FRAME_MAX 256
#define CHECKS_MAX 16
#define START_NS (3 * NS_PER_S + 1234567)

static const uint8_t subkey_bytes[24] = "a sub-key for voice only", other_bytes[24] = "another sub-key of a lot";

struct frame {
	sim_ns at_ns;
	uint32_t len;
	uint8_t bytes[FRAME_MAX];
};

struct refused_by {
	char check[32];
	unsigned count;
};

/* What one end heard. */
struct ear {
	struct media **media;    /* stopped at the packet whose number this is, or when it is lost; 0: not */
	unsigned stop_at;
	unsigned count, late, lost_calls;
	uint32_t timestamps[FRAMES_MAX];
	uint8_t payload[FRAMES_MAX][RTP_PAYLOAD_LEN];
	sim_ns last_ns, lost_ns;
	char keys[MEDIA_KEYS_MAX + 1], text[2 * MEDIA_TEXT_MAX];
	size_t key_count, text_len;
	struct sim *sim;
};

struct talk {
	struct line line;
	struct fixture a;
	struct fixture_party b;
	struct secure_module *sm[2];
	struct media *media[2];
	struct ear *ear[2];
	struct frame *out;       /* of frames from node 0 */
	unsigned out_count, in_count[2]; /* in: arrived at node */
	struct refused_by refused[CHECKS_MAX];
	unsigned refusals, announced, accepted, fields, samples, changed;
	int64_t sample[3];       /* sent, received, lost of node 0 */
	int key_balance;         /* born less dead */
	unsigned keys_born;
};

/* The observer */

static void saw_packet(void *ctx, const struct iface *at, enum packet_event what, const struct packet *packet)
{
	struct talk *t = ctx;
	struct frame *frame;

	if (what == PACKET_IN && packet->data[ETHERNET_HEADER_LEN + 9] == IP_PROTO_UDP) /* not an ICMP error */
		t->in_count[at->node->index]++;
	if (what == PACKET_OUT && at->node->index == 0 && t->out_count < FRAMES_MAX) {
		frame = &t->out[t->out_count++];
		frame->at_ns = t->line.sim->now_ns;
		frame->len = packet->len;
		memcpy(frame->bytes, packet->data, packet->len < FRAME_MAX ? packet->len : FRAME_MAX);
	}
}

static void saw_message(void *ctx, const struct trace_message *message)
{
	struct talk *t = ctx;

	ck_assert(message->media && message->cover == COVER_RTP);
	ck_assert_str_eq(message->kind, "RTP");
	ck_assert_uint_eq(message->len, RTP_HEADER_LEN + RTP_PAYLOAD_LEN);
	ck_assert_uint_eq(message->bytes[0], 0x80); /* in clear, before padding */
	t->announced++;
}

static void saw_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	struct talk *t = ctx;

	(void)tag, (void)at, (void)why;
	t->accepted += fate == FATE_ACCEPTED;
}

static void saw_field(void *ctx, uint64_t tag, const char *path, const char *value, enum field_class class_)
{
	(void)tag, (void)path, (void)value, (void)class_;
	((struct talk *)ctx)->fields++;
}

static void saw_refusal(void *ctx, const struct node *at, const char *check, uint32_t src, uint64_t tag,
                        const char *detail)
{
	struct talk *t = ctx;
	unsigned i = 0;

	(void)at, (void)src, (void)tag, (void)detail;
	while (t->refused[i].count && strcmp(t->refused[i].check, check) != 0)
		i++;
	ck_assert_uint_lt(i, CHECKS_MAX - 1);
	snprintf(t->refused[i].check, sizeof t->refused[i].check, "%s", check);
	t->refused[i].count++;
	t->refusals++;
}

static void saw_sample(void *ctx, const struct node *node, const char *metric, int64_t value, const char *unit)
{
	static const char *const metrics[3] = { "rtp.sent", "rtp.received", "rtp.lost" };
	struct talk *t = ctx;

	for (unsigned i = 0; i < 3 && node->index == 0; i++) {
		if (strcmp(metric, metrics[i]) == 0) {
			ck_assert_str_eq(unit, "packets");
			t->sample[i] += value;
			t->samples++;
		}
	}
}

static unsigned refused(const struct talk *t, const char *check)
{
	for (unsigned i = 0; t->refused[i].count; i++) {
		if (strcmp(t->refused[i].check, check) == 0)
			return t->refused[i].count;
	}
	return 0;
}

static void saw_change(struct sim *sim, const void *object)
{
	struct talk *t = (struct talk *)(uintptr_t)object;

	ck_assert_ptr_eq(sim, t->line.sim);
	t->changed++;
}

static void saw_key(void *ctx, const struct key_news *news)
{
	struct talk *t = ctx;

	if (strncmp(news->role, "rtp.", 4) != 0)
		return;
	t->key_balance += news->life == KEY_LIFE_DEAD ? -1 : 1;
	t->keys_born += news->life != KEY_LIFE_DEAD;
}

/* The talk */

#define WATCH_ALL (TRACE_PACKET | TRACE_MESSAGE | TRACE_MEDIA | TRACE_FIELD | TRACE_REFUSAL | TRACE_SAMPLE)

static void talk_make(struct talk *t, const struct link_params *params, uint64_t seed, unsigned wants)
{
	static const struct trace_ops ops = { .packet = saw_packet, .message = saw_message, .fate = saw_fate,
		                              .field = saw_field, .refusal = saw_refusal, .sample = saw_sample };

	memset(t, 0, sizeof *t);
	line_make(&t->line, 2, params, seed);
	fixture_init(&t->a, "n0");
	fixture_party_init(&t->b, t->a.crypto, "n1");
	t->sm[0] = t->a.sm;
	t->sm[1] = t->b.sm;
	for (unsigned i = 0; i < 2; i++) {
		t->ear[i] = sim_alloc(sizeof *t->ear[i]);
		t->ear[i]->sim = t->line.sim;
	}
	t->out = sim_alloc(FRAMES_MAX * sizeof *t->out);
	t->line.sim->changed = saw_change;
	crypto_set_key_watcher(t->a.crypto, saw_key, t);
	if (wants)
		trace_attach(t->line.sim, &ops, t, wants);
	sim_run(t->line.sim, START_NS);
}

static void talk_free(struct talk *t)
{
	for (unsigned i = 0; i < 2; i++) {
		media_stop(t->media[i]);
		free(t->ear[i]);
	}
	ck_assert_int_eq(t->key_balance, 0);
	run_out(t->line.sim);
	free(t->out);
	fixture_party_free(&t->b);
	fixture_free(&t->a);
}

static void heard(void *ctx, const uint8_t *payload, size_t len, uint32_t timestamp)
{
	struct ear *ear = ctx;

	ck_assert_uint_le(len, RTP_PAYLOAD_LEN);
	ck_assert_uint_lt(ear->count, FRAMES_MAX);
	for (unsigned i = 0, behind = 0; i < ear->count && !behind; i++) {
		behind = (int32_t)(ear->timestamps[i] - timestamp) > 0;
		ear->late += behind;
	}
	ear->timestamps[ear->count] = timestamp;
	memcpy(ear->payload[ear->count++], payload, len);
	ear->last_ns = ear->sim->now_ns;
	if (ear->stop_at == ear->count) {
		media_stop(*ear->media);
		*ear->media = NULL;
	}
}

static void heard_nothing(void *ctx)
{
	struct ear *ear = ctx;

	ear->lost_calls++;
	ear->lost_ns = ear->sim->now_ns;
	if (ear->media) {
		media_stop(*ear->media);
		*ear->media = NULL;
	}
}

static void heard_key(void *ctx, char digit)
{
	struct ear *ear = ctx;

	ck_assert_uint_lt(ear->key_count, MEDIA_KEYS_MAX);
	ear->keys[ear->key_count++] = digit;
}

static void heard_text(void *ctx, const char *bytes, size_t len)
{
	struct ear *ear = ctx;

	ck_assert(len > 0 && utf8_valid((struct span){ bytes, len }));
	ck_assert_uint_lt(ear->text_len + len, sizeof ear->text);
	memcpy(ear->text + ear->text_len, bytes, len);
	ear->text_len += len;
}

/* What end i asks for; the key is of end i's module. */
static struct media_request request_of(struct talk *t, unsigned i, bool mac)
{
	return (struct media_request){
		.node = t->line.node[i], .sm = t->sm[i], .label = LABEL_RTP, .initiator = i == 0,
		.local_port = i ? PORT_B : PORT_A, .peer_port = i ? PORT_A : PORT_B, .peer_ip = line_ip(1, i ? 1 : 2),
		.mac = mac, .payload_type = MEDIA_PCMU, .source = MEDIA_TONE, .played = heard, .digit = heard_key,
		.text = heard_text, .ctx = t->ear[i],
	};
}

static struct media *start(struct talk *t, unsigned i, const struct media_request *request, const uint8_t key[24])
{
	struct media_request r = *request;
	struct media *media;

	r.subkey = sm_install_des3(t->sm[i], "subkey", "", key);
	media = media_start(&r);
	sm_destroy_key(t->sm[i], r.subkey);
	return media;
}

static void start_both(struct talk *t, bool mac)
{
	for (unsigned i = 0; i < 2; i++) {
		struct media_request r = request_of(t, i, mac);

		t->media[i] = start(t, i, &r, subkey_bytes);
		ck_assert_ptr_nonnull(t->media[i]);
	}
}

static void run_for(struct talk *t, sim_ns ns)
{
	sim_run(t->line.sim, t->line.sim->now_ns + ns);
}

/* Ends node 0's sending, lets what is under way arrive at node 1. */
static struct media_counters stop_sender(struct talk *t)
{
	struct media_counters sent = media_counters(t->media[0]);

	media_stop(t->media[0]);
	t->media[0] = NULL;
	run_for(t, NS_PER_S / 2);
	return sent;
}

/* Tests */

START_TEST(clean)
{
	struct link_params params = { .delay_ns = 7 * NS_PER_MS };
	struct media_counters c;
	struct talk t;

	talk_make(&t, &params, 1, WATCH_ALL);
	start_both(&t, _i);
	run_for(&t, 10 * NS_PER_S - 1);
	for (unsigned i = 0; i < 2; i++) {
		c = media_counters(t.media[i]);
		ck_assert_uint_eq(c.sent, 500);
		ck_assert_uint_eq(c.received, 500);
		ck_assert_uint_eq(c.received, t.in_count[i]);
		ck_assert_uint_eq(c.lost + c.refused + c.late, 0);
		ck_assert_uint_eq(t.ear[i]->count, 500);
		ck_assert_uint_eq(t.ear[i]->late, 0);
	}
	ck_assert_uint_eq(t.announced, 1000);
	ck_assert_uint_eq(t.accepted, 1000);
	ck_assert_uint_gt(t.fields, 3000);
	/* Every frame left to the nanosecond, although the ciphers have a cost. */
	for (unsigned n = 0; n < t.out_count; n++)
		ck_assert_int_eq(t.out[n].at_ns, START_NS + n * RTP_PACKET_NS);
	talk_free(&t);
}
END_TEST

/* 3DES-CBC with IV 0 by libcrypto alone, under the key that P_SHA1 gives. */
static void des3_open(const uint8_t key[24], const uint8_t *in, size_t len, uint8_t *out)
{
	static const uint8_t zero[8];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done = 0;

	ck_assert(EVP_DecryptInit_ex(ctx, EVP_des_ede3_cbc(), NULL, key, zero));
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	ck_assert(EVP_DecryptUpdate(ctx, out, &done, in, (int)len) && (size_t)done == len);
	EVP_CIPHER_CTX_free(ctx);
}

START_TEST(others_can_open_it)
{
	struct link_params params = { .delay_ns = NS_PER_MS };
	const size_t sealed = _i ? 184 : 176; /* 172 + 4 of padding; 172 + 12 of MAC */
	struct derived_keys keys;
	uint8_t seen[FRAME_MAX], mac[20];
	struct talk t;

	talk_make(&t, &params, 2, TRACE_PACKET);
	start_both(&t, _i);
	run_for(&t, NS_PER_S);
	derive_keys(subkey_bytes, 24, LABEL_RTP, &keys);
	ck_assert_uint_eq(t.out_count, 51);
	ck_assert_uint_eq(t.ear[1]->count, 50);
	for (unsigned n = 0; n < t.ear[1]->count; n++) {
		const uint8_t *udp = t.out[n].bytes + UDP_AT;

		ck_assert_uint_eq(t.out[n].bytes[ETHERNET_HEADER_LEN + 9], IP_PROTO_UDP);
		ck_assert_uint_eq(get_be16(udp), PORT_A);
		ck_assert_uint_eq(get_be16(udp + 2), PORT_B);
		ck_assert_uint_eq(t.out[n].len, RTP_AT + sealed);
		des3_open(keys.up.cipher_key, t.out[n].bytes + RTP_AT, sealed, seen);
		ck_assert_uint_eq(seen[0], _i ? 0x80 : 0xa0);
		ck_assert_uint_eq(seen[1], MEDIA_PCMU);
		ck_assert_mem_eq(seen + 12, t.ear[1]->payload[n], RTP_PAYLOAD_LEN);
		ck_assert_uint_eq(get_be32(seen + 4), t.ear[1]->timestamps[n]);
		if (n > 0)
			ck_assert_uint_eq(t.ear[1]->timestamps[n] - t.ear[1]->timestamps[n - 1], 160);
		if (_i) {
			HMAC(EVP_sha1(), keys.up.auth_key, 20, seen, 172, mac, NULL);
			ck_assert_mem_eq(seen + 172, mac, 12);
		} else {
			ck_assert_uint_eq(get_be32(seen + 172), 4);
		}
	}
	talk_free(&t);
}
END_TEST

/* A bad line: what arrived is what is counted, and the gaps are what did not arrive between first and last. */
START_TEST(loss)
{
	static const uint32_t loss_ppm[] = { 10000, 100000 };
	struct link_params params = { .delay_ns = 5 * NS_PER_MS, .loss_ppm = loss_ppm[_i] };
	struct media_counters sent, got;
	uint32_t span;
	struct talk t;

	talk_make(&t, &params, 3, WATCH_ALL);
	start_both(&t, true);
	run_for(&t, 60 * NS_PER_S - 1);
	sent = stop_sender(&t);
	got = media_counters(t.media[1]);
	ck_assert_uint_eq(sent.sent, 3000);
	ck_assert_uint_eq(got.received, t.in_count[1]);
	ck_assert_uint_eq(got.received, t.ear[1]->count);
	span = (t.ear[1]->timestamps[t.ear[1]->count - 1] - t.ear[1]->timestamps[0]) / 160 + 1;
	ck_assert_uint_eq(got.lost, span - got.received);
	ck_assert_uint_eq(got.refused + got.late, 0);
	/* Within five standard deviations of what the line is set to lose. */
	ck_assert_uint_ge(got.lost, _i ? 218 : 3);
	ck_assert_uint_le(got.lost, _i ? 382 : 57);
	talk_free(&t);
}
END_TEST

START_TEST(duplicates)
{
	struct link_params params = { .delay_ns = 5 * NS_PER_MS, .duplicate_ppm = 200000 };
	struct media_counters sent, got;
	struct talk t;

	talk_make(&t, &params, 4, WATCH_ALL);
	start_both(&t, _i);
	run_for(&t, 20 * NS_PER_S - 1);
	sent = stop_sender(&t);
	got = media_counters(t.media[1]);
	ck_assert_uint_eq(got.received, sent.sent);
	ck_assert_uint_eq(got.lost, 0);
	ck_assert_uint_gt(got.refused, 100);
	ck_assert_uint_eq(got.refused, t.in_count[1] - sent.sent);
	ck_assert_uint_eq(refused(&t, "rtp.replay"), t.refusals);
	talk_free(&t);
}
END_TEST

START_TEST(reordering)
{
	struct link_params params = { .delay_ns = 5 * NS_PER_MS, .reorder_ppm = 100000, .reorder_ns = 70 * NS_PER_MS };
	struct media_counters sent, got;
	struct talk t;

	talk_make(&t, &params, 5, WATCH_ALL);
	start_both(&t, false);
	run_for(&t, 20 * NS_PER_S - 1);
	sent = stop_sender(&t);
	got = media_counters(t.media[1]);
	ck_assert_uint_eq(got.received, sent.sent);
	ck_assert_uint_eq(got.lost + got.refused, 0);
	ck_assert_uint_gt(got.late, 50);
	ck_assert_uint_eq(got.late, t.ear[1]->late);
	talk_free(&t);
}
END_TEST

START_TEST(wrong_key)
{
	struct link_params params = { .delay_ns = NS_PER_MS };
	struct media_request a, b;
	struct media_counters got;
	struct talk t;

	talk_make(&t, &params, 6, WATCH_ALL);
	a = request_of(&t, 0, _i);
	b = request_of(&t, 1, _i);
	t.media[0] = start(&t, 0, &a, subkey_bytes);
	t.media[1] = start(&t, 1, &b, other_bytes);
	run_for(&t, 60 * NS_PER_S);
	got = media_counters(t.media[1]);
	ck_assert_uint_gt(got.refused, 2900);
	if (_i) {
		ck_assert_uint_eq(got.received, 0);
		ck_assert_uint_eq(refused(&t, "rtp.mac"), t.refusals);
	} else { /* nothing but the header's form tells noise from voice: a few pass */
		ck_assert_uint_lt(got.received, 15);
		ck_assert_uint_gt(refused(&t, "rtp.malformed"), t.refusals * 7 / 10);
		ck_assert_uint_gt(refused(&t, "rtp.payload_type"), t.refusals / 20);
	}
	talk_free(&t);
}
END_TEST

/* Both send under the key of the caller's direction: neither takes what comes back to it as if reflected. */
START_TEST(directions_have_their_own_keys)
{
	struct link_params params = { .delay_ns = NS_PER_MS };
	struct media_request b;
	struct talk t;

	talk_make(&t, &params, 7, WATCH_ALL);
	start_both(&t, true);
	media_stop(t.media[1]);
	b = request_of(&t, 1, true);
	b.initiator = true;
	t.media[1] = start(&t, 1, &b, subkey_bytes);
	run_for(&t, NS_PER_S);
	ck_assert_uint_eq(media_counters(t.media[0]).received + media_counters(t.media[1]).received, 0);
	ck_assert_uint_gt(refused(&t, "rtp.mac"), 90);
	talk_free(&t);
}
END_TEST

/* The far end by hand: numbers, SSRC, payload of the test's choosing, from node 0's socket, with the right key. */
struct hand {
	struct talk *t;
	struct udp_socket socket;
	struct rtp_cipher *cipher;
	struct rtp_header header;
	size_t payload_len;
	bool clear;    /* not encrypted */
	int64_t ahead; /* packets by which its time stamps are ahead of its numbers */
};
#define HAND_MAX 2048

static void ignore(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)socket, (void)packet, (void)from;
}

static void hand_make(struct hand *hand, struct talk *t, bool mac)
{
	struct media_request b = request_of(t, 1, mac);
	key_handle key = sm_install_des3(t->sm[0], "subkey", "", subkey_bytes);

	*hand = (struct hand){ .t = t, .payload_len = RTP_PAYLOAD_LEN, .header = { .ssrc = 0xfeedbee5 } };
	ck_assert(udp_bind(t->line.node[0], &hand->socket, PORT_A, ignore, NULL));
	hand->cipher = rtp_cipher_new(t->sm[0], key, LABEL_RTP, ESP_UP, "", mac);
	sm_destroy_key(t->sm[0], key);
	t->media[1] = start(t, 1, &b, subkey_bytes);
	ck_assert_ptr_nonnull(t->media[1]);
}

static void hand_free(struct hand *hand)
{
	rtp_cipher_free(hand->cipher);
	udp_unbind(&hand->socket);
}

static void hand_bytes(struct hand *hand, const uint8_t *bytes, size_t len)
{
	struct packet *packet = packet_new(hand->t->line.sim, (uint32_t)len);

	memcpy(packet_append(packet, (uint32_t)len), bytes, len);
	udp_send(&hand->socket, 0, line_ip(1, 2), PORT_B, packet);
	run_for(hand->t, NS_PER_MS);
}

/* Number n of a stream that begins with sequence 0 and time stamp 0. Returns its length. */
static size_t hand_packet(struct hand *hand, int64_t n, uint8_t bytes[HAND_MAX])
{
	size_t len = RTP_HEADER_LEN + hand->payload_len;

	hand->header.sequence = (uint16_t)n;
	hand->header.timestamp = (uint32_t)((n + hand->ahead) * 160);
	rtp_write(bytes, &hand->header);
	memset(bytes + RTP_HEADER_LEN, 0x55, hand->payload_len);
	return hand->clear ? len : rtp_seal(hand->cipher, bytes, len);
}

/* True: it was accepted. */
static bool hand_send(struct hand *hand, int64_t n)
{
	const uint64_t before = media_counters(hand->t->media[1]).received;
	uint8_t bytes[HAND_MAX];

	hand_bytes(hand, bytes, hand_packet(hand, n, bytes));
	return media_counters(hand->t->media[1]).received > before;
}

static void deaf(void *ctx, const uint8_t *payload, size_t len, uint32_t timestamp)
{
	(void)ctx, (void)payload, (void)len, (void)timestamp;
}

START_TEST(window)
{
	struct link_params params = { 0 };
	struct hand hand;
	struct talk t;

	talk_make(&t, &params, 8, WATCH_ALL);
	hand_make(&hand, &t, _i);
	ck_assert(hand_send(&hand, 65530)); /* 16 bits run over soon */
	ck_assert(hand_send(&hand, 65534));
	ck_assert_uint_eq(media_counters(t.media[1]).lost, 3);
	ck_assert(!hand_send(&hand, 65530) && !hand_send(&hand, 65534));
	ck_assert(hand_send(&hand, 65538));
	ck_assert_uint_eq(media_counters(t.media[1]).lost, 6);
	ck_assert(!hand_send(&hand, 65534));
	ck_assert(hand_send(&hand, 65536) && hand_send(&hand, 65535) && hand_send(&hand, 65537)); /* late */
	ck_assert(!hand_send(&hand, 65536) && !hand_send(&hand, 65538));
	ck_assert_uint_eq(media_counters(t.media[1]).lost, 3);
	ck_assert(hand_send(&hand, 65528)); /* before the first one: it then is the first */
	ck_assert_uint_eq(media_counters(t.media[1]).lost, 4);
	ck_assert_uint_eq(media_counters(t.media[1]).late, 4);
	ck_assert(hand_send(&hand, 65600));
	ck_assert(!hand_send(&hand, 65600 - 64) && !hand_send(&hand, 65600 - 63)); /* 65537 was there */
	ck_assert(hand_send(&hand, 65600 - 60));
	ck_assert(hand_send(&hand, 65600 + 1000) && !hand_send(&hand, 65600) && !hand_send(&hand, 65600 + 936));
	ck_assert(hand_send(&hand, 65600 + 937));
	ck_assert_uint_eq(refused(&t, "rtp.replay"), t.refusals);
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

/* Recorded nearly a round of sequence numbers ago: they look new, their time stamps do not. Nor do two in a row. */
START_TEST(old_speech_does_not_come_round)
{
	struct link_params params = { 0 };
	struct hand hand;
	struct talk t;

	talk_make(&t, &params, 9, WATCH_ALL);
	hand_make(&hand, &t, false);
	for (int64_t n = 0; n <= 3 * 20000; n += 20000)
		ck_assert(hand_send(&hand, n));
	ck_assert(hand_send(&hand, 65536 + 10));
	for (int64_t n = 20; n < 60; n++)
		ck_assert(!hand_send(&hand, n));
	ck_assert(!hand_send(&hand, 40000) && !hand_send(&hand, 40001));
	ck_assert(hand_send(&hand, 65536 + 11));
	ck_assert_uint_eq(refused(&t, "rtp.replay"), 42);
	hand.ahead = 100; /* a number behind with a time stamp ahead is no late packet */
	ck_assert(!hand_send(&hand, 65536 + 9));
	hand.ahead = 0;
	ck_assert(hand_send(&hand, 65536 + 9));
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

START_TEST(what_is_no_voice_of_this_call)
{
	struct link_params params = { 0 };
	struct hand hand;
	struct talk t;
	uint8_t junk[2000];

	talk_make(&t, &params, 10, WATCH_ALL);
	hand_make(&hand, &t, _i);
	ck_assert(hand_send(&hand, 1) && hand_send(&hand, 2));
	hand.header.payload_type = MEDIA_PCMA;
	ck_assert(!hand_send(&hand, 3));
	ck_assert_uint_eq(refused(&t, "rtp.payload_type"), 1);
	hand.header.payload_type = MEDIA_PCMU;
	hand.header.ssrc ^= 1;
	ck_assert(!hand_send(&hand, 3));
	ck_assert_uint_eq(refused(&t, "rtp.ssrc"), 1);
	hand.header.ssrc ^= 1;
	hand.payload_len = 0;
	ck_assert(!hand_send(&hand, 3));
	ck_assert_uint_eq(refused(&t, "rtp.malformed"), 1);
	memset(junk, 0x5a, sizeof junk);
	hand_bytes(&hand, junk, 0);
	hand_bytes(&hand, junk, 8);
	hand_bytes(&hand, junk, 171);
	hand_bytes(&hand, junk, 2000); /* in fragments */
	ck_assert_uint_eq(refused(&t, "rtp.malformed"), 5);
	hand.payload_len = 164; /* a clear packet, although its length would do */
	hand.clear = true;
	ck_assert(!hand_send(&hand, 3));
	ck_assert_uint_eq(refused(&t, _i ? "rtp.mac" : "rtp.malformed"), _i ? 1 : 6);
	hand.clear = false;
	hand.payload_len = RTP_PAYLOAD_LEN;
	udp_unbind(&hand.socket);
	ck_assert(udp_bind(t.line.node[0], &hand.socket, PORT_A + 2, ignore, NULL));
	ck_assert(!hand_send(&hand, 3));
	ck_assert_uint_eq(refused(&t, "rtp.source"), 1);
	udp_unbind(&hand.socket);
	ck_assert(udp_bind(t.line.node[0], &hand.socket, PORT_A, ignore, NULL));
	ck_assert(hand_send(&hand, 3)); /* none of it has hurt the stream */
	ck_assert_uint_eq(media_counters(t.media[1]).refused, t.refusals);
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

/* One packet does not take the stream's place; the second one of an SSRC makes it firm. */
START_TEST(ssrc_is_firm_with_the_second_packet)
{
	struct link_params params = { 0 };
	struct hand hand;
	struct talk t;

	talk_make(&t, &params, 11, WATCH_ALL);
	hand_make(&hand, &t, false);
	ck_assert(hand_send(&hand, 30000));
	hand.header.ssrc++;
	ck_assert(hand_send(&hand, 5) && hand_send(&hand, 6));
	ck_assert_uint_eq(media_counters(t.media[1]).lost, 0);
	hand.header.ssrc--;
	ck_assert(!hand_send(&hand, 30001));
	ck_assert_uint_eq(refused(&t, "rtp.ssrc"), 1);
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

/* Real packets of the peer, sent again from another address of the line and the right port. */
START_TEST(from_another_address)
{
	struct link_params params = { 0 };
	struct raw raw = { .src = line_ip(1, 9), .dst = line_ip(1, 2), .proto = IP_PROTO_UDP };
	uint8_t bytes[HAND_MAX], segment[8 + HAND_MAX];
	struct hand hand;
	struct talk t;
	size_t len;

	talk_make(&t, &params, 25, WATCH_ALL);
	hand_make(&hand, &t, true);
	ck_assert(hand_send(&hand, 1));
	len = hand_packet(&hand, 2, bytes);
	raw.bytes = segment;
	raw.len = raw_udp(segment, raw.src, raw.dst, PORT_A, PORT_B, bytes, (uint32_t)len);
	link_inject(t.line.link[0], NULL, t.line.left[1], raw_frame(t.line.right[0], t.line.left[1], &raw), 0);
	run_for(&t, NS_PER_MS);
	ck_assert_uint_eq(media_counters(t.media[1]).received, 1);
	ck_assert_uint_eq(refused(&t, "rtp.source"), 1);
	ck_assert(hand_send(&hand, 2));
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

/* A forger with the peer's address and no key; without MAC he is heard once in a thousand packets, with it never. */
START_TEST(forged)
{
	struct link_params params = { 0 };
	struct media_request b;
	struct raw raw = { .src = line_ip(1, 1), .dst = line_ip(1, 2), .proto = IP_PROTO_UDP };
	uint8_t bytes[176], segment[8 + 176];
	struct rng rng;
	struct talk t;

	talk_make(&t, &params, 12, WATCH_ALL);
	b = request_of(&t, 1, _i);
	b.played = deaf;
	t.media[1] = start(&t, 1, &b, subkey_bytes);
	rng_init(&rng, 12, "mallory", "junk");
	for (unsigned n = 0; n < 5000; n++) {
		rng_bytes(&rng, bytes, sizeof bytes);
		raw.bytes = segment;
		raw.len = raw_udp(segment, raw.src, raw.dst, PORT_A, PORT_B, bytes, sizeof bytes);
		link_inject(t.line.link[0], NULL, t.line.left[1], raw_frame(t.line.right[0], t.line.left[1], &raw), 0);
		run_for(&t, NS_PER_MS);
	}
	ck_assert_uint_eq(media_counters(t.media[1]).refused + media_counters(t.media[1]).received, 5000);
	ck_assert_uint_le(media_counters(t.media[1]).received, _i ? 0 : 20);
	if (_i)
		ck_assert_uint_eq(refused(&t, "rtp.mac"), 5000);
	talk_free(&t);
}
END_TEST

/* Changes one bit of cipher text in the middle of every packet of node 0, and leaves the checksum out. */
static enum tap_verdict change_one_bit(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                       struct packet *frame)
{
	(void)link, (void)from, (void)to;
	if (to == ctx) {
		frame->data[RTP_AT + 80] ^= 4;
		put_be16(frame->data + UDP_AT + 6, 0);
	}
	return TAP_PASS;
}

START_TEST(changed_on_the_way)
{
	struct link_params params = { .delay_ns = NS_PER_MS };
	struct derived_keys keys;
	uint8_t sent[FRAME_MAX];
	struct talk t;

	talk_make(&t, &params, 13, WATCH_ALL);
	start_both(&t, _i);
	t.line.link[0]->tap = change_one_bit;
	t.line.link[0]->tap_ctx = t.line.left[1];
	run_for(&t, NS_PER_S);
	ck_assert_uint_eq(media_counters(t.media[0]).received, 50);
	if (_i) {
		ck_assert_uint_eq(media_counters(t.media[1]).received, 0);
		ck_assert_uint_eq(refused(&t, "rtp.mac"), 50);
	} else { /* attack R2: what is played is not what was said, and nobody notices */
		ck_assert_uint_eq(media_counters(t.media[1]).received, 50);
		derive_keys(subkey_bytes, 24, LABEL_RTP, &keys);
		for (unsigned n = 0; n < 50; n++) {
			des3_open(keys.up.cipher_key, t.out[n].bytes + RTP_AT, 176, sent);
			ck_assert_mem_eq(sent + 12, t.ear[1]->payload[n], 80 - 12);
			ck_assert_mem_ne(sent + 80, t.ear[1]->payload[n] + 80 - 12, 8);
			ck_assert_uint_eq(sent[88] ^ 4, t.ear[1]->payload[n][88 - 12]);
			ck_assert_mem_eq(sent + 96, t.ear[1]->payload[n] + 96 - 12, 160 - 84);
		}
	}
	talk_free(&t);
}
END_TEST

START_TEST(silence_ends_it_once)
{
	struct link_params params = { .delay_ns = 3 * NS_PER_MS };
	const sim_ns after_ns = 5 * NS_PER_S;
	struct media_request a, b;
	struct talk t;

	talk_make(&t, &params, 14, WATCH_ALL);
	a = request_of(&t, 0, false);
	b = request_of(&t, 1, false);
	b.lost_after_ns = after_ns;
	b.lost = heard_nothing;
	t.ear[1]->media = _i ? &t.media[1] : NULL; /* stopped from inside, or going on */
	t.media[1] = start(&t, 1, &b, subkey_bytes);
	if (_i < 2) { /* else the peer never speaks */
		t.media[0] = start(&t, 0, &a, subkey_bytes);
		run_for(&t, 20 * NS_PER_S);
		ck_assert_uint_eq(t.ear[1]->lost_calls, 0);
		stop_sender(&t);
	}
	run_for(&t, 60 * NS_PER_S);
	ck_assert_uint_eq(t.ear[1]->lost_calls, 1);
	ck_assert_int_eq(t.ear[1]->lost_ns, (_i < 2 ? t.ear[1]->last_ns : START_NS) + after_ns);
	ck_assert_int_eq(t.media[1] == NULL, _i > 0);
	talk_free(&t);
}
END_TEST

START_TEST(stop_and_start_again)
{
	struct link_params params = { .delay_ns = 3 * NS_PER_MS };
	struct media_request a;
	struct talk t;
	uint8_t first[8];

	media_stop(NULL);
	talk_make(&t, &params, 15, WATCH_ALL);
	a = request_of(&t, 0, false);
	ck_assert_ptr_null(media_start(&a)); /* no key */
	ck_assert_uint_eq(t.keys_born, 0);
	start_both(&t, true);
	ck_assert_ptr_null(start(&t, 0, &a, subkey_bytes)); /* the port is taken */
	ck_assert_uint_eq(t.keys_born, 8);
	run_for(&t, NS_PER_S);
	memcpy(first, t.out[0].bytes + RTP_AT, 8);
	for (unsigned i = 0; i < 2; i++) {
		media_stop(t.media[i]);
		t.media[i] = NULL;
	}
	ck_assert_int_eq(t.key_balance, 0);
	run_for(&t, NS_PER_S);
	ck_assert_uint_eq(t.ear[1]->count, 50); /* the last was on its way: nobody takes it */
	t.out_count = 0;
	start_both(&t, true);
	run_for(&t, NS_PER_S);
	ck_assert_uint_eq(media_counters(t.media[1]).received, 50);
	ck_assert_uint_eq(media_counters(t.media[1]).refused, 0);
	ck_assert_mem_ne(t.out[0].bytes + RTP_AT, first, 8); /* same key, IV 0: other numbers keep first blocks apart */
	talk_free(&t);
}
END_TEST

START_TEST(stopped_by_what_is_played)
{
	struct link_params params = { .delay_ns = 3 * NS_PER_MS };
	struct talk t;

	talk_make(&t, &params, 16, WATCH_ALL);
	start_both(&t, false);
	t.ear[1]->media = &t.media[1];
	t.ear[1]->stop_at = 30;
	run_for(&t, NS_PER_S);
	ck_assert_ptr_null(t.media[1]);
	ck_assert_uint_eq(t.ear[1]->count, 30);
	ck_assert_uint_eq(media_counters(t.media[0]).sent, 51);
	talk_free(&t);
}
END_TEST

/* The sums of what is told are the counters, on a line that loses and reorders. */
START_TEST(samples_and_changes)
{
	struct link_params params = { .delay_ns = 3 * NS_PER_MS, .loss_ppm = 50000, .reorder_ppm = 50000,
		                      .reorder_ns = 90 * NS_PER_MS };
	struct media_counters c;
	struct media_request a;
	struct talk t;

	talk_make(&t, &params, 17, WATCH_ALL);
	start_both(&t, true);
	media_stop(t.media[0]);
	a = request_of(&t, 0, true);
	a.watched = &t;
	t.media[0] = start(&t, 0, &a, subkey_bytes);
	t.samples = 0;
	run_for(&t, 10 * NS_PER_S + 105 * NS_PER_MS);
	ck_assert_uint_eq(t.samples, 3 * 10);
	c = media_counters(t.media[0]);
	ck_assert_uint_eq(c.sent, 506);
	ck_assert_int_eq(t.sample[0], 500);
	ck_assert_uint_gt(c.lost, 0);
	ck_assert_uint_gt(c.late, 0);
	ck_assert_uint_ge(t.changed, (unsigned)(c.sent + c.received) / 10);
	ck_assert_uint_le(t.changed, (unsigned)(c.sent + c.received) / 10 + 1);
	t.changed = 0;
	stop_sender(&t);
	ck_assert_uint_eq(t.changed, 1);
	ck_assert_uint_eq(t.samples, 3 * 11);
	ck_assert_int_eq(t.sample[0], (int64_t)c.sent);
	ck_assert_int_eq(t.sample[1], (int64_t)c.received);
	ck_assert_int_eq(t.sample[2], (int64_t)c.lost);
	talk_free(&t);
}
END_TEST

/* Without an observer of media no packet is a message, whatever else is observed. */
START_TEST(unasked_is_unannounced)
{
	struct link_params params = { .delay_ns = 3 * NS_PER_MS };
	struct talk t;

	talk_make(&t, &params, 18, TRACE_MESSAGE | TRACE_FIELD);
	start_both(&t, false);
	run_for(&t, NS_PER_S);
	ck_assert_uint_eq(media_counters(t.media[1]).received, 50);
	ck_assert_uint_eq(t.announced + t.accepted + t.fields + t.changed, 0);
	talk_free(&t);
}
END_TEST

/* The work of the ciphers is the node's: 176 bytes at 40 us a kB, 6875 ns, with MAC 184 bytes at 100 us, 17969 ns. */
START_TEST(work_is_charged)
{
	static const struct service_cost nothing = { 0 };
	struct link_params params = { .delay_ns = 3 * NS_PER_MS };
	struct media_request a;
	struct talk t;

	talk_make(&t, &params, 19, 0);
	service_set(t.line.node[0], &service_cta);
	a = request_of(&t, 0, _i);
	t.media[0] = start(&t, 0, &a, subkey_bytes);
	run_for(&t, 0);
	ck_assert_uint_eq(media_counters(t.media[0]).sent, 1);
	ck_assert_int_eq(service_charge(t.line.node[0], &nothing) - t.line.sim->now_ns, _i ? 7188 + 10782 : 6875);
	talk_free(&t);
}
END_TEST

/* How many different codes, and how loud the loudest, of a second of what node i says. */
static unsigned voice_of(uint64_t seed, enum media_source source, uint8_t type, bool second,
                         uint8_t out[50][RTP_PAYLOAD_LEN], int *loudest)
{
	struct link_params params = { 0 };
	struct media_request r[2];
	bool used[256] = { false };
	unsigned kinds = 0;
	struct talk t;

	talk_make(&t, &params, seed, 0);
	for (unsigned i = 0; i < 2; i++) {
		r[i] = request_of(&t, i, false);
		r[i].source = source;
		r[i].payload_type = type;
		t.media[i] = start(&t, i, &r[i], subkey_bytes);
	}
	run_for(&t, NS_PER_S - 1);
	memcpy(out, t.ear[!second]->payload, (size_t)50 * RTP_PAYLOAD_LEN);
	*loudest = 0;
	for (unsigned n = 0; n < 50 * RTP_PAYLOAD_LEN; n++) {
		uint8_t code = out[n / RTP_PAYLOAD_LEN][n % RTP_PAYLOAD_LEN];
		int level = abs(type ? g711_alaw_decode(code) : g711_ulaw_decode(code));

		kinds += !used[code];
		used[code] = true;
		if (level > *loudest)
			*loudest = level;
	}
	talk_free(&t);
	return kinds;
}

START_TEST(voices)
{
	const uint8_t type = _i ? MEDIA_PCMA : MEDIA_PCMU;
	uint8_t one[50][RTP_PAYLOAD_LEN], two[50][RTP_PAYLOAD_LEN];
	int loudest;

	ck_assert_uint_gt(voice_of(20, MEDIA_TONE, type, false, one, &loudest), 100);
	ck_assert_int_gt(loudest, 10000);
	voice_of(21, MEDIA_TONE, type, false, two, &loudest);
	ck_assert_mem_eq(one, two, sizeof one); /* the name makes it, not the seed */
	voice_of(20, MEDIA_TONE, type, true, two, &loudest);
	ck_assert_mem_ne(one, two, sizeof one);
	ck_assert_uint_gt(voice_of(20, MEDIA_ANNOUNCEMENT, type, false, two, &loudest), 50);
	ck_assert_mem_ne(one, two, sizeof one);
	ck_assert_int_gt(loudest, 5000);
	voice_of(20, MEDIA_ANNOUNCEMENT, type, true, one, &loudest);
	ck_assert_mem_eq(one, two, sizeof one); /* the same announcement everywhere */
	ck_assert_uint_eq(voice_of(20, MEDIA_SILENCE, type, false, one, &loudest), 1);
	ck_assert_int_le(loudest, 8);
	ck_assert_uint_eq(one[0][0], _i ? 0xd5 : 0xff);
}
END_TEST

/* The announcement's first tone has 950 periods a second, counted where the wave goes up through 0. */
START_TEST(announcement_is_the_tone_of_the_book)
{
	uint8_t voice[50][RTP_PAYLOAD_LEN];
	int loudest, periods[3] = { 0 };

	voice_of(22, MEDIA_ANNOUNCEMENT, MEDIA_PCMU, false, voice, &loudest);
	for (unsigned n = 1; n < 3 * 2640; n++) {
		int16_t before = g711_ulaw_decode(voice[(n - 1) / RTP_PAYLOAD_LEN][(n - 1) % RTP_PAYLOAD_LEN]);
		int16_t now = g711_ulaw_decode(voice[n / RTP_PAYLOAD_LEN][n % RTP_PAYLOAD_LEN]);

		periods[n / 2640] += before < 0 && now >= 0;
	}
	ck_assert_int_le(abs(periods[0] - 950 * 33 / 100), 1);
	ck_assert_int_le(abs(periods[1] - 1400 * 33 / 100), 1);
	ck_assert_int_le(abs(periods[2] - 1800 * 33 / 100), 1);
}
END_TEST

/* Equal seeds give equal frames, other seeds others. */
START_TEST(repeatable)
{
	struct link_params params = { .delay_ns = NS_PER_MS, .loss_ppm = 20000, .jitter_ns = NS_PER_MS };
	struct talk t[3];
	static const uint64_t seeds[3] = { 23, 23, 24 };

	for (unsigned i = 0; i < 3; i++) {
		talk_make(&t[i], &params, seeds[i], WATCH_ALL);
		start_both(&t[i], true);
		run_for(&t[i], 2 * NS_PER_S);
		ck_assert_uint_eq(t[i].out_count, 101);
	}
	for (unsigned n = 0; n < 101; n++) {
		ck_assert_mem_eq(t[0].out[n].bytes, t[1].out[n].bytes, t[0].out[n].len);
		ck_assert_mem_ne(t[0].out[n].bytes + RTP_AT, t[2].out[n].bytes + RTP_AT, 184);
	}
	ck_assert_mem_eq(t[0].ear[1]->timestamps, t[1].ear[1]->timestamps, sizeof t[0].ear[1]->timestamps);
	for (unsigned i = 0; i < 3; i++)
		talk_free(&t[i]);
}
END_TEST

/* Keys and text among the voice */

#define ALL_KEYS "1234567890*#ABCD"
/* Characters of one to four bytes, in several blocks, which would end inside them if they could. */
#define VERSE "name=J\xc3\xb6rg M\xc3\xbc\xc3\x9fig;address=1 Elm St;note=\xe2\x82\xac 20 \xf0\x9f\x93\x9e\n"
#define LONG_TEXT VERSE VERSE VERSE VERSE VERSE VERSE

static void says_all(struct talk *t)
{
	ck_assert(media_send_digits(t->media[0], ALL_KEYS));
	ck_assert(media_send_text(t->media[0], LONG_TEXT));
}

static void heard_all(const struct talk *t)
{
	ck_assert_str_eq(t->ear[1]->keys, ALL_KEYS);
	ck_assert_str_eq(t->ear[1]->text, LONG_TEXT);
}

START_TEST(keys_and_text_are_heard)
{
	struct link_params params = { .delay_ns = 7 * NS_PER_MS };
	struct media_counters c;
	struct talk t;

	talk_make(&t, &params, 30, TRACE_PACKET | TRACE_REFUSAL);
	start_both(&t, _i);
	run_for(&t, NS_PER_S / 2);
	says_all(&t);
	run_for(&t, 5 * NS_PER_S);
	heard_all(&t);
	ck_assert_uint_eq(t.ear[0]->key_count + t.ear[0]->text_len, 0);
	c = media_counters(t.media[1]);
	ck_assert_uint_eq(c.lost + c.refused + c.late, 0);
	ck_assert_uint_eq(c.received, 275);
	ck_assert_uint_lt(t.ear[1]->count, 275 - 16 * 7); /* the rest was no voice */
	for (unsigned n = 0; n < t.out_count; n++)
		ck_assert_int_eq(t.out[n].at_ns, START_NS + n * RTP_PACKET_NS);
	talk_free(&t);
}
END_TEST

/* One packet less, whichever: nothing is missing. The tap takes the _i-th. */
static enum tap_verdict take_one(void *ctx, struct link *link, struct iface *from, struct iface *to,
                                 struct packet *frame)
{
	int *left = ctx;

	(void)link, (void)to;
	if (from->node->index != 0 || (*left)-- != 0)
		return TAP_PASS;
	packet_free(frame);
	return TAP_TAKEN;
}

START_TEST(one_lost_packet_loses_nothing)
{
	struct link_params params = { .delay_ns = NS_PER_MS };
	int left = _i;
	struct talk t;

	talk_make(&t, &params, 31, 0);
	start_both(&t, true);
	t.line.link[0]->tap = take_one;
	t.line.link[0]->tap_ctx = &left;
	says_all(&t);
	run_for(&t, 4 * NS_PER_S);
	heard_all(&t);
	ck_assert_uint_eq(media_counters(t.media[1]).lost, _i > 0); /* before the first nothing is missing */
	talk_free(&t);
}
END_TEST

START_TEST(keys_and_text_on_a_bad_line)
{
	struct link_params params = { .delay_ns = 5 * NS_PER_MS, .loss_ppm = 20000, .duplicate_ppm = 100000,
		                      .reorder_ppm = 100000, .reorder_ns = 30 * NS_PER_MS };
	struct talk t;

	talk_make(&t, &params, 100 + (uint64_t)_i, 0);
	start_both(&t, true);
	for (unsigned n = 0; n < 10; n++) {
		says_all(&t);
		run_for(&t, 5 * NS_PER_S);
		heard_all(&t);
		memset(t.ear[1]->keys, 0, sizeof t.ear[1]->keys);
		memset(t.ear[1]->text, 0, sizeof t.ear[1]->text);
		t.ear[1]->key_count = t.ear[1]->text_len = 0;
	}
	talk_free(&t);
}
END_TEST

/* When all copies of a block are lost the gap is heard, and the text goes on behind it. */
START_TEST(text_that_is_lost_leaves_a_mark)
{
	struct link_params params = { 0 };
	struct talk t;

	talk_make(&t, &params, 32, 0);
	start_both(&t, true);
	ck_assert(media_send_text(t.media[0], "one "));
	run_for(&t, NS_PER_S);
	t.line.link[0]->down = true;
	ck_assert(media_send_text(t.media[0], "two "));
	run_for(&t, NS_PER_S);
	t.line.link[0]->down = false;
	ck_assert(media_send_text(t.media[0], "three"));
	run_for(&t, NS_PER_S);
	ck_assert_str_eq(t.ear[1]->text, "one " T140_MISSING "three");
	talk_free(&t);
}
END_TEST

/* RFC 2833 section 3.6 and RFC 4351, read with libcrypto alone. */
START_TEST(others_can_read_keys_and_text)
{
	struct link_params params = { .delay_ns = NS_PER_MS };
	struct derived_keys keys;
	uint8_t seen[FRAME_MAX];
	unsigned press = 0, ends = 0, copies = 0;
	uint32_t press_timestamp = 0, first = 0;
	struct talk t;

	talk_make(&t, &params, 33, TRACE_PACKET);
	start_both(&t, false);
	ck_assert(media_send_digits(t.media[0], "#") && media_send_text(t.media[0], "caf\xc3\xa9"));
	run_for(&t, NS_PER_S);
	derive_keys(subkey_bytes, 24, LABEL_RTP, &keys);
	for (unsigned n = 0; n < t.out_count; n++) {
		des3_open(keys.up.cipher_key, t.out[n].bytes + RTP_AT, t.out[n].len - RTP_AT, seen);
		if (n == 0)
			first = get_be32(seen + 4);
		if ((seen[1] & 127) == 101) {
			if (press == 0)
				press_timestamp = get_be32(seen + 4);
			ck_assert_uint_eq(get_be32(seen + 4), press_timestamp);
			ck_assert_uint_eq(seen[1] >> 7, press == 0);
			ck_assert_uint_eq(seen[12], 11);
			ends += seen[13] >> 7;
			ck_assert_uint_eq(get_be16(seen + 14), press < 5 ? 160 * (press + 1) : 800);
			press++;
			continue;
		}
		ck_assert_uint_eq(get_be32(seen + 4), first + 160 * n); /* as they would be without keys */
		if (seen[1] == 98) {
			ck_assert_uint_eq(t.out[n].len, RTP_AT + 24); /* 12 + 2 + 5, padded */
			ck_assert_mem_eq(seen + 12, "\0\0caf\xc3\xa9", 7);
			copies++;
		}
	}
	ck_assert_uint_eq(press, 7);
	ck_assert_uint_eq(ends, 3);
	ck_assert_uint_eq(copies, 3);
	talk_free(&t);
}
END_TEST

/* Packet n with this payload. True: it was accepted. */
static bool hand_payload(struct hand *hand, int64_t n, uint8_t type, const void *payload, size_t len)
{
	const uint64_t before = media_counters(hand->t->media[1]).received;
	uint8_t bytes[HAND_MAX];

	hand->header.payload_type = type;
	hand->header.sequence = (uint16_t)n;
	hand->header.timestamp = (uint32_t)(n * 160);
	rtp_write(bytes, &hand->header);
	memcpy(bytes + RTP_HEADER_LEN, payload, len);
	hand_bytes(hand, bytes, rtp_seal(hand->cipher, bytes, RTP_HEADER_LEN + len));
	return media_counters(hand->t->media[1]).received > before;
}

START_TEST(what_is_no_key_and_no_text)
{
	static const char *const bad_texts[] = { "\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		                                 "\xe2\x82", "a\xff" };
	struct link_params params = { 0 };
	struct hand hand;
	struct talk t;
	uint8_t payload[64] = { 0 };

	talk_make(&t, &params, 34, TRACE_REFUSAL);
	hand_make(&hand, &t, false);
	ck_assert(hand_send(&hand, 1) && hand_send(&hand, 2));
	ck_assert(!hand_payload(&hand, 3, 102, "\1\0\0\240", 4));
	ck_assert_uint_eq(refused(&t, "rtp.payload_type"), 1);
	ck_assert(!hand_payload(&hand, 3, 101, "\1\0\0", 3) && !hand_payload(&hand, 3, 101, "\1\0\0\240\1\0\0\240", 8));
	ck_assert_uint_eq(refused(&t, "rtp.event"), 2);
	ck_assert(hand_payload(&hand, 3, 101, "\1\0\0\240", 4));
	ck_assert(hand_payload(&hand, 4, 101, "\24\0\0\240", 4)); /* a modem's tone: no key, no harm */
	ck_assert(!hand_payload(&hand, 5, 98, "\0", 1) && !hand_payload(&hand, 5, 98, "\0\0", 2));
	ck_assert(!hand_payload(&hand, 5, 98, "\0\0a\0b", 5)); /* NUL */
	for (unsigned i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++) {
		memcpy(payload + 2, bad_texts[i], strlen(bad_texts[i]));
		ck_assert(!hand_payload(&hand, 5, 98, payload, 2 + strlen(bad_texts[i])));
	}
	ck_assert_uint_eq(refused(&t, "rtp.text"), 3 + sizeof bad_texts / sizeof *bad_texts);
	ck_assert(hand_payload(&hand, 5, 98, "\0\0ok", 4));
	ck_assert(hand_payload(&hand, 6, 98, "\0\0ok", 4)); /* repeated */
	ck_assert(!hand_payload(&hand, 6, 98, "\0\1no", 4) && refused(&t, "rtp.replay") == 1);
	ck_assert_str_eq(t.ear[1]->keys, "1");
	ck_assert_str_eq(t.ear[1]->text, "ok");
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

/* Another key with the time stamp of the one that was heard: the packets of one press agree. */
START_TEST(a_press_is_one_key)
{
	struct link_params params = { 0 };
	struct hand hand;
	struct talk t;

	talk_make(&t, &params, 35, TRACE_REFUSAL);
	hand_make(&hand, &t, true);
	ck_assert(hand_send(&hand, 1) && hand_send(&hand, 2));
	ck_assert(hand_payload(&hand, 3, 101, "\1\0\0\240", 4));
	hand.ahead = -1;
	hand.payload_len = 0;
	hand.header.payload_type = 101;
	for (uint8_t event = 1; event < 3; event++) { /* number 4 with the time stamp of number 3 */
		uint8_t bytes[HAND_MAX], payload[4] = { event, 0, 1, 0x40 };

		hand_packet(&hand, 4, bytes);
		rtp_write(bytes, &hand.header);
		memcpy(bytes + RTP_HEADER_LEN, payload, sizeof payload);
		hand_bytes(&hand, bytes, rtp_seal(hand.cipher, bytes, RTP_HEADER_LEN + sizeof payload));
		ck_assert_uint_eq(media_counters(t.media[1]).received, 4);
		ck_assert_uint_eq(t.refusals, event - 1u);
	}
	ck_assert_uint_eq(refused(&t, "rtp.replay"), 1); /* its number was taken by the first */
	hand_packet(&hand, 5, (uint8_t[HAND_MAX]){ 0 });
	hand.header.timestamp -= 160;
	{
		uint8_t bytes[HAND_MAX] = { 0 };

		rtp_write(bytes, &hand.header);
		memcpy(bytes + RTP_HEADER_LEN, "\2\0\1\340", 4);
		hand_bytes(&hand, bytes, rtp_seal(hand.cipher, bytes, RTP_HEADER_LEN + 4));
	}
	ck_assert_uint_eq(refused(&t, "rtp.event"), 1);
	ck_assert_str_eq(t.ear[1]->keys, "1");
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

/* A peer with the right key that sends anything: what is heard is whole characters and keys, and the stream goes on. */
START_TEST(any_payload)
{
	struct link_params params = { 0 };
	struct rng rng;
	struct hand hand;
	struct talk t;
	uint8_t payload[64];

	talk_make(&t, &params, 36, 0);
	hand_make(&hand, &t, _i);
	rng_init(&rng, 36, "peer", "payloads");
	for (int64_t n = 1; n < 4000; n++) {
		size_t len = (size_t)rng_below(&rng, 8);

		rng_bytes(&rng, payload, sizeof payload);
		payload[0] &= 0x1f;
		if (rng_chance(&rng, 500000))
			for (size_t i = 2; i < len; i++)
				payload[i] &= 0x7f;
		hand_payload(&hand, n, rng_chance(&rng, 500000) ? 101 : 98, payload, len);
		t.ear[1]->key_count = t.ear[1]->text_len = 0;
	}
	ck_assert(hand_payload(&hand, 4000, MEDIA_PCMU, payload, sizeof payload));
	hand_free(&hand);
	talk_free(&t);
}
END_TEST

START_TEST(what_cannot_be_said)
{
	struct link_params params = { 0 };
	char text[MEDIA_TEXT_MAX + 2] = "", keys[MEDIA_KEYS_MAX + 2] = "";
	struct talk t;

	talk_make(&t, &params, 37, 0);
	start_both(&t, true);
	memset(text, 'x', MEDIA_TEXT_MAX + 1);
	memset(keys, '7', MEDIA_KEYS_MAX + 1);
	ck_assert(!media_send_text(t.media[0], text) && !media_send_digits(t.media[0], keys));
	ck_assert(!media_send_text(t.media[0], "\xc3(") && !media_send_digits(t.media[0], "12x"));
	text[MEDIA_TEXT_MAX] = keys[MEDIA_KEYS_MAX] = '\0';
	ck_assert(media_send_text(t.media[0], text) && media_send_digits(t.media[0], keys));
	ck_assert(!media_send_text(t.media[0], "x") && !media_send_digits(t.media[0], "7"));
	run_for(&t, 15 * NS_PER_S);
	ck_assert_str_eq(t.ear[1]->text, text);
	ck_assert_str_eq(t.ear[1]->keys, keys);
	ck_assert(media_send_text(t.media[0], "x") && media_send_digits(t.media[0], "7"));
	talk_free(&t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("media");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, clean, 0, 2);
	tcase_add_loop_test(t, others_can_open_it, 0, 2);
	tcase_add_loop_test(t, loss, 0, 2);
	tcase_add_loop_test(t, duplicates, 0, 2);
	tcase_add_test(t, reordering);
	tcase_add_loop_test(t, wrong_key, 0, 2);
	tcase_add_test(t, directions_have_their_own_keys);
	tcase_add_loop_test(t, window, 0, 2);
	tcase_add_test(t, old_speech_does_not_come_round);
	tcase_add_loop_test(t, what_is_no_voice_of_this_call, 0, 2);
	tcase_add_test(t, ssrc_is_firm_with_the_second_packet);
	tcase_add_test(t, from_another_address);
	tcase_add_loop_test(t, forged, 0, 2);
	tcase_add_loop_test(t, changed_on_the_way, 0, 2);
	tcase_add_loop_test(t, silence_ends_it_once, 0, 3);
	tcase_add_test(t, stop_and_start_again);
	tcase_add_test(t, stopped_by_what_is_played);
	tcase_add_test(t, samples_and_changes);
	tcase_add_test(t, unasked_is_unannounced);
	tcase_add_loop_test(t, work_is_charged, 0, 2);
	tcase_add_loop_test(t, voices, 0, 2);
	tcase_add_test(t, announcement_is_the_tone_of_the_book);
	tcase_add_test(t, repeatable);
	tcase_add_loop_test(t, keys_and_text_are_heard, 0, 2);
	tcase_add_loop_test(t, one_lost_packet_loses_nothing, 0, 150);
	tcase_add_loop_test(t, keys_and_text_on_a_bad_line, 0, 4);
	tcase_add_test(t, text_that_is_lost_leaves_a_mark);
	tcase_add_test(t, others_can_read_keys_and_text);
	tcase_add_test(t, what_is_no_key_and_no_text);
	tcase_add_test(t, a_press_is_one_key);
	tcase_add_loop_test(t, any_payload, 0, 2);
	tcase_add_test(t, what_cannot_be_said);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

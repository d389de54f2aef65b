/*
 * Two ends on a line of their own, for tests of what elements are made of: each a node with a secure module, IPsec and, where asked
 * for, key management; an observer that keeps count of refusals, losses and messages; a tap that takes chosen frames away.
 */
#ifndef TOLLGATE_TESTS_RIG_H
#define TOLLGATE_TESTS_RIG_H

#include "crypto/derive.h"
#include "models/key_management.h"
#include "models/world.h"
#undef LINE_MAX /* POSIX's, by way of libcrypto's headers; the fixture has its own */
#include "tests/sim/net_fixture.h"

#define RIG_BOOK_MAX 32
#define RIG_FRAMES_MAX 64
#define RIG_LIFETIME_NS (3600 * NS_PER_S)
#define RIG_SPI 0x4000u

struct book { /* how often each word was heard */
	struct {
		char word[48];
		unsigned count;
	} line[RIG_BOOK_MAX];
	unsigned total;
};

struct rig_end {
	struct node *node;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	uint32_t ip;
};

struct rig {
	struct line line;
	struct sim *sim;
	struct world *world;
	struct rig_end end[2];
	struct book refused, lost, sent;
	unsigned esp_frames, clear_udp_frames, covered;
	/* The tap: frames in the order in which they enter the line. */
	uint64_t take_mask;      /* bit i: the i-th is taken away */
	unsigned frames_seen;
	bool take_all;
	void (*alter)(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to); /* or NULL */
};

static inline void book_note(struct book *book, const char *word)
{
	unsigned i = 0;

	while (book->line[i].count && strcmp(book->line[i].word, word) != 0)
		ck_assert_uint_lt(++i, RIG_BOOK_MAX);
	snprintf(book->line[i].word, sizeof book->line[i].word, "%s", word);
	book->line[i].count++;
	book->total++;
}

static inline unsigned book_count(const struct book *book, const char *word)
{
	for (unsigned i = 0; i < RIG_BOOK_MAX && book->line[i].count; i++)
		if (strcmp(book->line[i].word, word) == 0)
			return book->line[i].count;
	return 0;
}

static inline void rig_packet(void *ctx, const struct iface *at, enum packet_event what, const struct packet *packet)
{
	struct rig *rig = ctx;

	(void)at;
	if (what != PACKET_OUT)
		return;
	rig->esp_frames += packet->data[ETHERNET_HEADER_LEN + 9] == IP_PROTO_ESP;
	rig->clear_udp_frames += packet->data[ETHERNET_HEADER_LEN + 9] == IP_PROTO_UDP;
}

static inline void rig_message(void *ctx, const struct trace_message *message)
{
	book_note(&((struct rig *)ctx)->sent, message->kind);
}

static inline void rig_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	(void)tag, (void)at;
	if (fate == FATE_LOST)
		book_note(&((struct rig *)ctx)->lost, why);
}

static inline void rig_cover(void *ctx, uint64_t tag, enum cover cover)
{
	(void)tag;
	ck_assert(cover == COVER_ESP);
	((struct rig *)ctx)->covered++;
}

static inline void rig_refusal(void *ctx, const struct node *at, const char *check, uint32_t src, uint64_t tag,
                               const char *detail)
{
	(void)at, (void)src, (void)tag, (void)detail;
	book_note(&((struct rig *)ctx)->refused, check);
}

static inline enum tap_verdict rig_tap(void *ctx, struct link *link, struct iface *from, struct iface *to, struct packet *frame)
{
	struct rig *rig = ctx;
	unsigned n = rig->frames_seen++;

	(void)link;
	if (rig->take_all || (n < RIG_FRAMES_MAX && rig->take_mask >> n & 1)) {
		packet_free(frame);
		return TAP_TAKEN;
	}
	if (rig->alter)
		rig->alter(rig, frame, from, to);
	return TAP_PASS;
}

static const struct link_params rig_clean = { .delay_ns = 5 * NS_PER_MS };
static const struct link_params rig_bad = { .delay_ns = 5 * NS_PER_MS, .jitter_ns = 2 * NS_PER_MS, .loss_ppm = 150000,
	                                    .duplicate_ppm = 150000, .reorder_ppm = 150000, .reorder_ns = 40 * NS_PER_MS };

/* sets: switches as "name=value", ended by NULL, or NULL. */
static inline void rig_make(struct rig *rig, const struct link_params *params, uint64_t seed, bool servers,
                            const char *const *sets)
{
	static const struct trace_ops ops = { .packet = rig_packet, .message = rig_message, .fate = rig_fate,
		                              .cover = rig_cover, .refusal = rig_refusal };
	char name[48], error[MODEL_ERROR_LEN];

	memset(rig, 0, sizeof *rig);
	line_make(&rig->line, 2, params, seed);
	rig->sim = rig->line.sim;
	rig->world = world_new(rig->sim, 1, NULL);
	ck_assert_ptr_nonnull(rig->world);
	for (; sets && *sets; sets++) {
		snprintf(name, sizeof name, "%s", *sets);
		*strchr(name, '=') = '\0';
		ck_assert(world_switch_set(rig->world, name, strchr(*sets, '=') + 1, error));
	}
	trace_attach(rig->sim, &ops, rig, TRACE_PACKET | TRACE_MESSAGE | TRACE_REFUSAL);
	rig->line.link[0]->tap = rig_tap;
	rig->line.link[0]->tap_ctx = rig;
	for (unsigned i = 0; i < 2; i++) {
		struct rig_end *end = &rig->end[i];

		end->node = rig->line.node[i];
		end->ip = line_ip(1, i + 1);
		end->sm = world_module(rig->world, end->node, "module");
		end->ipsec = ipsec_new(end->node, end->sm, servers);
	}
}

static inline void rig_run_for(struct rig *rig, sim_ns time_ns)
{
	sim_run(rig->sim, rig->sim->now_ns + time_ns);
}

/* Ends it all, and checks that no packet and, but for those that the test names, no key is left. */
static inline void rig_free(struct rig *rig, const unsigned keys_left[2])
{
	rig->take_all = true;
	for (unsigned i = 0; i < 2; i++) {
		key_management_free(rig->end[i].km);
		ipsec_free(rig->end[i].ipsec);
		ck_assert_uint_eq(sm_key_count(rig->end[i].sm), keys_left ? keys_left[i] : 0);
		sm_free(rig->end[i].sm);
	}
	sim_run(rig->sim, rig->sim->now_ns + 120 * NS_PER_S); /* what is on the line arrives at nodes without IPsec */
	ck_assert_uint_eq(rig->sim->packets_live, 0);
	world_free(rig->world);
	sim_free(rig->sim);
}

static inline struct association *rig_add(struct rig *rig, unsigned end, uint32_t spi, bool initiator, const char *label,
                                          uint8_t key_byte)
{
	uint8_t key[24];
	struct association_request request = { .peer_ip = rig->end[!end].ip, .spi = spi, .initiator = initiator, .label = label,
		                               .peer = initiator ? "sc/sc1" : "client", .lifetime_ns = RIG_LIFETIME_NS };

	memset(key, key_byte, sizeof key);
	request.subkey = sm_install_des3(rig->end[end].sm, "subkey", "test", key);
	return ipsec_add(rig->end[end].ipsec, &request);
}

/* The same association at both ends; end 0 is its initiator. */
static inline void rig_associate(struct rig *rig)
{
	ck_assert_ptr_nonnull(rig_add(rig, 0, RIG_SPI, true, LABEL_CTA_SC, 7));
	ck_assert_ptr_nonnull(rig_add(rig, 1, RIG_SPI, false, LABEL_CTA_SC, 7));
}

#endif

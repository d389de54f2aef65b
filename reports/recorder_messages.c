/*
 * Messages from their sending to their fate.
 *
 * A message under way is a sight in a table by tag. Its first fate writes its row and lets the sight go. Which fate stands when
 * a message meets several is fate_outranks()'s to say; a tag whose row could still change stays in the table without its sight.
 *
 * Tags that were never announced here (media that nobody wants recorded) are ignored.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reports/recorder_internal.h"
#include "sim/node.h"
#include "sim/sim.h"

#define SLOTS_FIRST 256
#define SIGHTS_FIRST 64

static const char *const fate_names[] = {
	[FATE_SENT] = "sent",
	[FATE_ACCEPTED] = "accepted",
	[FATE_REFUSED] = "refused",
	[FATE_LOST] = "lost",
	[FATE_INTERCEPTED] = "intercepted",
};
static const char *const cover_names[] = {
	[COVER_CLEAR] = "clear", [COVER_KRB5] = "krb5", [COVER_ESP] = "esp", [COVER_AH] = "ah", [COVER_RTP] = "rtp",
};
static const char *const class_names[] = {
	[FIELD_FACT] = "fact", [FIELD_RANDOM] = "random", [FIELD_TIME] = "time",
};

/* ---- the table by tag: open addressing, linear probing ---- */

static size_t home_of(const struct messages *m, uint64_t tag)
{
	return hash_mix(tag) & (m->slot_count - 1);
}

/* The slot of a tag, or the free one where it belongs. */
static struct sight_slot *slot_of(const struct messages *m, uint64_t tag)
{
	size_t at = home_of(m, tag);

	while (m->slots[at].tag && m->slots[at].tag != tag)
		at = (at + 1) & (m->slot_count - 1);
	return &m->slots[at];
}

static struct sight_slot *slot_find(const struct messages *m, uint64_t tag)
{
	struct sight_slot *slot = m->slot_count ? slot_of(m, tag) : NULL;

	return slot && slot->tag ? slot : NULL;
}

static void slots_grow(struct messages *m)
{
	struct messages bigger = *m;

	bigger.slot_count = m->slot_count ? m->slot_count * 2 : SLOTS_FIRST;
	bigger.slots = sim_alloc(bigger.slot_count * sizeof *bigger.slots);
	for (size_t i = 0; i < m->slot_count; i++) {
		if (m->slots[i].tag)
			*slot_of(&bigger, m->slots[i].tag) = m->slots[i];
	}
	free(m->slots);
	*m = bigger;
}

static struct sight_slot *slot_add(struct messages *m, uint64_t tag)
{
	struct sight_slot *slot;

	if (m->used * 2 >= m->slot_count)
		slots_grow(m);
	slot = slot_of(m, tag);
	if (!slot->tag)
		m->used++;
	slot->tag = tag;
	return slot;
}

/* Frees a slot and closes the gap (Knuth 6.4, algorithm R). */
static void slot_remove(struct messages *m, struct sight_slot *slot)
{
	size_t mask = m->slot_count - 1;
	size_t gap = (size_t)(slot - m->slots);

	for (size_t at = (gap + 1) & mask; m->slots[at].tag; at = (at + 1) & mask) {
		size_t home = home_of(m, m->slots[at].tag);

		if (((at - home) & mask) >= ((at - gap) & mask)) {
			m->slots[gap] = m->slots[at];
			gap = at;
		}
	}
	m->slots[gap] = (struct sight_slot){ 0 };
	m->used--;
}

static uint32_t sight_take(struct messages *m)
{
	if (!m->vacant_count) {
		size_t room = m->sight_room ? m->sight_room * 2 : SIGHTS_FIRST;

		assert(room < SIGHT_WRITTEN);
		m->sights = sim_realloc(m->sights, room * sizeof *m->sights);
		m->vacant = sim_realloc(m->vacant, room * sizeof *m->vacant);
		for (size_t i = room; i > m->sight_room; i--)
			m->vacant[m->vacant_count++] = (uint32_t)i - 1;
		m->sight_room = room;
	}
	return m->vacant[--m->vacant_count];
}

void recorder_messages_free(struct messages *m)
{
	free(m->slots);
	free(m->sights);
	free(m->vacant);
	*m = (struct messages){ 0 };
}

/* ---- */

static void digest(struct recorder *r, const struct trace_message *message, uint8_t out[MESSAGE_SHA256_LEN])
{
	if (!EVP_DigestInit_ex2(r->digest, r->sha256, NULL) || !EVP_DigestUpdate(r->digest, message->bytes, message->len) ||
	    !EVP_DigestFinal_ex(r->digest, out, NULL))
		abort(); /* a fetched digest fails for want of memory only */
}

/* The name of whoever has this address now, the address itself when it is nobody's. */
static uint32_t name_of_ip(struct recorder *r, uint32_t ip)
{
	const struct node *node = node_by_ip(r->sim, ip);
	char text[IP_TEXT_LEN];

	return node ? recorder_node_name(r, node) : names_id(&r->names, ip_text(ip, text));
}

void recorder_messages_sent(struct recorder *r, const struct trace_message *message)
{
	uint32_t src = name_of_ip(r, message->src_ip);
	uint32_t dst = name_of_ip(r, message->dst_ip);
	uint32_t flow = tally_at(&r->flows, src, dst, names_id(&r->names, message->kind));
	struct sight_slot *slot = slot_add(&r->messages, message->tag);
	struct sight *sight;

	slot->sight = sight_take(&r->messages);
	slot->fate = FATE_SENT;
	sight = &r->messages.sights[slot->sight];
	*sight = (struct sight){
		.tag = message->tag,
		.cause = message->cause,
		.sent_ns = r->sim->now_ns,
		.timer = message->timer,
		.flow = flow,
		.nth = ++r->flows.entries[flow].count,
		.actor = recorder_node_name(r, message->actor),
		.proto = names_id(&r->names, message->proto),
		.size = (uint32_t)message->len,
		.cover = message->cover,
	};
	digest(r, message, sight->sha256);
}

static void write_sight(struct recorder *r, const struct sight *sight, enum fate fate, sim_ns got_ns, const char *why)
{
	struct put p = put_row(r, ROW_MESSAGE);

	put_int(&p, (int64_t)sight->tag);
	put_int(&p, sight->flow);
	put_int(&p, sight->nth);
	put_int(&p, sight->sent_ns);
	put_time(&p, got_ns);
	put_text(&p, fate_names[fate]);
	put_clean(&p, why);
	put_int(&p, (int64_t)sight->cause);
	put_text(&p, sight->timer);
	put_text(&p, recorder_text(r, sight->actor));
	put_text(&p, cover_names[sight->cover]);
	put_text(&p, recorder_text(r, sight->proto));
	put_int(&p, sight->size);
	put_bytes(&p, sight->sha256, sizeof sight->sha256);
	put_done(r, &p);
}

static void rewrite_fate(struct recorder *r, uint64_t tag, enum fate fate, const char *why)
{
	struct put p = put_row(r, ROW_FATE);

	put_int(&p, r->sim->now_ns);
	put_text(&p, fate_names[fate]);
	put_clean(&p, why);
	put_int(&p, (int64_t)tag);
	put_done(r, &p);
}

void recorder_messages_fate(struct recorder *r, uint64_t tag, enum fate fate, const char *why)
{
	struct messages *m = &r->messages;
	struct sight_slot *slot = slot_find(m, tag);

	if (!slot || !fate_outranks(fate, slot->fate))
		return;
	if (slot->sight == SIGHT_WRITTEN) {
		rewrite_fate(r, tag, fate, why);
	} else {
		write_sight(r, &m->sights[slot->sight], fate, r->sim->now_ns, why);
		m->vacant[m->vacant_count++] = slot->sight;
		slot->sight = SIGHT_WRITTEN;
	}
	slot->fate = fate;
	if (fate == FATE_ACCEPTED)
		slot_remove(m, slot);
}

void recorder_messages_cover(struct recorder *r, uint64_t tag, enum cover cover)
{
	struct sight_slot *slot = slot_find(&r->messages, tag);
	struct put p;

	if (!slot)
		return;
	if (slot->sight != SIGHT_WRITTEN) {
		r->messages.sights[slot->sight].cover = cover;
		return;
	}
	p = put_row(r, ROW_COVER);
	put_text(&p, cover_names[cover]);
	put_int(&p, (int64_t)tag);
	put_done(r, &p);
}

void recorder_messages_field(struct recorder *r, uint64_t tag, const char *path, const char *value, enum field_class class_)
{
	struct put p = put_row(r, ROW_FIELD);

	put_int(&p, (int64_t)tag);
	put_clean(&p, path);
	put_clean(&p, value);
	put_text(&p, class_names[class_]);
	put_done(r, &p);
}

void recorder_messages_finish(struct recorder *r)
{
	const struct messages *m = &r->messages;

	for (size_t i = 0; i < m->slot_count; i++) {
		if (m->slots[i].tag && m->slots[i].sight != SIGHT_WRITTEN)
			write_sight(r, &m->sights[m->slots[i].sight], FATE_SENT, -1, "");
	}
	for (size_t i = 0; i < r->flows.count; i++) {
		struct put p = put_row(r, ROW_FLOW);

		put_int(&p, (int64_t)i);
		for (int part = 0; part < 3; part++)
			put_text(&p, recorder_text(r, r->flows.entries[i].key[part]));
		put_done(r, &p);
	}
}

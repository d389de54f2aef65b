/*
 * The capture: every frame at every link end as a pcapng file (draft-ietf-opsawg-pcapng), readable by Wireshark and its kin.
 *
 * A section header without options (no program, machine or time of writing), an interface block "NODE:IFACE" when an
 * interface is first seen with a frame, an enhanced packet block per frame and end: times are the run's epoch plus virtual
 * time in nanoseconds, flags give the direction, and a frame of a tagged message has "KIND SRC>DST" as its comment, with
 * "by ACTOR" where somebody else sent it. Little endian on every host, so equal runs are equal bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/names.h"
#include "reports/output.h"
#include "reports/reports.h"
#include "sim/node.h"
#include "sim/packet.h"
#include "sim/sim.h"

#define BLOCK_SECTION UINT32_C(0x0a0d0d0a)
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET 6
#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)
#define LINKTYPE_ETHERNET 1
#define OPT_COMMENT 1
#define OPT_IF_NAME 2
#define OPT_IF_DESCRIPTION 3
#define OPT_IF_MAC 6
#define OPT_IF_TSRESOL 9
#define OPT_EPB_FLAGS 2
#define TSRESOL_NS 9
#define DIRECTION_IN 1
#define DIRECTION_OUT 2
#define BLOCK_FRAME_LEN 12 /* type, and the length twice */
#define SLOTS_FIRST 64

struct iface_slot {
	const struct iface *iface; /* NULL: free */
	uint32_t id;
};

struct capture {
	struct sim *sim;
	struct output out;
	struct names comments;
	uint32_t *comment_of; /* by tag: number of its comment + 1, 0 none */
	size_t tag_room;
	struct iface_slot *slots; /* which interface has which number: open addressing, asked only */
	size_t slot_count;
	uint32_t iface_count;
	uint8_t *block; /* the block being built, without its frame */
	size_t len, room;
};

/* ---- blocks ---- */

static uint8_t *block_more(struct capture *c, size_t bytes)
{
	if (c->len + bytes > c->room) {
		c->room = (c->len + bytes) * 2;
		c->block = sim_realloc(c->block, c->room);
	}
	c->len += bytes;
	return c->block + c->len - bytes;
}

static void put_le16(struct capture *c, uint16_t v)
{
	uint8_t *p = block_more(c, 2);

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void store_le32(uint8_t p[4], uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static void put_le32(struct capture *c, uint32_t v)
{
	store_le32(block_more(c, 4), v);
}

/* Bytes, filled up with zeros to a multiple of four. */
static void put_padded(struct capture *c, const void *bytes, size_t len)
{
	size_t padded = (len + 3) & ~(size_t)3;
	uint8_t *p = block_more(c, padded);

	memcpy(p, bytes, len);
	memset(p + len, 0, padded - len);
}

static void put_option(struct capture *c, uint16_t code, const void *value, size_t len)
{
	put_le16(c, code);
	put_le16(c, (uint16_t)len);
	put_padded(c, value, len);
}

static void put_text_option(struct capture *c, uint16_t code, const char *text)
{
	size_t len = strlen(text);

	put_option(c, code, text, len < UINT16_MAX ? len : UINT16_MAX);
}

static void end_options(struct capture *c)
{
	put_le32(c, 0);
}

static void write_block(struct capture *c, uint32_t type)
{
	uint8_t head[8], tail[4];

	store_le32(head, type);
	store_le32(head + 4, (uint32_t)c->len + BLOCK_FRAME_LEN);
	store_le32(tail, (uint32_t)c->len + BLOCK_FRAME_LEN);
	fwrite(head, 1, sizeof head, c->out.file);
	fwrite(c->block, 1, c->len, c->out.file);
	fwrite(tail, 1, sizeof tail, c->out.file);
	c->len = 0;
}

static void write_section(struct capture *c)
{
	put_le32(c, BYTE_ORDER_MAGIC);
	put_le16(c, 1); /* version 1.0 */
	put_le16(c, 0);
	put_le32(c, UINT32_MAX); /* the section's length is not said */
	put_le32(c, UINT32_MAX);
	write_block(c, BLOCK_SECTION);
}

static void write_iface(struct capture *c, const struct iface *iface)
{
	static const uint8_t resolution = TSRESOL_NS;
	char *name = text_make("%s:%s", iface->node->name, iface->name), *clean;

	put_le16(c, LINKTYPE_ETHERNET);
	put_le16(c, 0);
	put_le32(c, 0); /* frames are whole */
	put_text_option(c, OPT_IF_NAME, text_clean(name, &clean));
	free(clean);
	put_text_option(c, OPT_IF_DESCRIPTION, text_clean(iface->link->name, &clean));
	free(clean);
	put_option(c, OPT_IF_MAC, iface->mac, sizeof iface->mac);
	put_option(c, OPT_IF_TSRESOL, &resolution, sizeof resolution);
	end_options(c);
	write_block(c, BLOCK_INTERFACE);
	free(name);
}

/* ---- who and what ---- */

static struct iface_slot *iface_slot(const struct capture *c, const struct iface *iface)
{
	size_t at = hash_mix((uintptr_t)iface) & (c->slot_count - 1);

	while (c->slots[at].iface && c->slots[at].iface != iface)
		at = (at + 1) & (c->slot_count - 1);
	return &c->slots[at];
}

static void ifaces_grow(struct capture *c)
{
	struct capture bigger = *c;

	bigger.slot_count = c->slot_count ? c->slot_count * 2 : SLOTS_FIRST;
	bigger.slots = sim_alloc(bigger.slot_count * sizeof *bigger.slots);
	for (size_t i = 0; i < c->slot_count; i++) {
		if (c->slots[i].iface)
			*iface_slot(&bigger, c->slots[i].iface) = c->slots[i];
	}
	free(c->slots);
	*c = bigger;
}

/* The number of an interface; writes its block when it is new. */
static uint32_t iface_id(struct capture *c, const struct iface *iface)
{
	struct iface_slot *slot;

	if (c->iface_count * 2 >= c->slot_count)
		ifaces_grow(c);
	slot = iface_slot(c, iface);
	if (!slot->iface) {
		*slot = (struct iface_slot){ .iface = iface, .id = c->iface_count++ };
		write_iface(c, iface);
	}
	return slot->id;
}

static const char *name_of_ip(const struct capture *c, uint32_t ip, char text[IP_TEXT_LEN])
{
	const struct node *node = node_by_ip(c->sim, ip);

	return node ? node->name : ip_text(ip, text);
}

static void on_message(void *ctx, const struct trace_message *message)
{
	struct capture *c = ctx;
	char src_ip[IP_TEXT_LEN], dst_ip[IP_TEXT_LEN];
	const char *src = name_of_ip(c, message->src_ip, src_ip);
	const char *dst = name_of_ip(c, message->dst_ip, dst_ip);
	const char *actor = message->actor ? message->actor->name : src;
	bool other = strcmp(actor, src) != 0;
	char *comment = text_make("%s %s>%s%s%s", message->kind, src, dst, other ? " by " : "", other ? actor : "");

	if (message->tag >= c->tag_room) {
		size_t room = (size_t)(message->tag + 1) * 2;

		c->comment_of = sim_realloc(c->comment_of, room * sizeof *c->comment_of);
		memset(c->comment_of + c->tag_room, 0, (room - c->tag_room) * sizeof *c->comment_of);
		c->tag_room = room;
	}
	c->comment_of[message->tag] = names_id(&c->comments, comment) + 1;
	free(comment);
}

/* Nothing hangs on these for the capture. */
static void on_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	(void)ctx, (void)tag, (void)at, (void)fate, (void)why;
}
static void on_cover(void *ctx, uint64_t tag, enum cover cover)
{
	(void)ctx, (void)tag, (void)cover;
}

static void on_packet(void *ctx, const struct iface *at, enum packet_event what, const struct packet *packet)
{
	struct capture *c = ctx;
	uint32_t id = iface_id(c, at);
	uint64_t time_ns = (uint64_t)(c->sim->epoch_s * NS_PER_S + c->sim->now_ns);
	uint8_t flags[4];

	put_le32(c, id);
	put_le32(c, (uint32_t)(time_ns >> 32));
	put_le32(c, (uint32_t)time_ns);
	put_le32(c, packet->len);
	put_le32(c, packet->len);
	put_padded(c, packet->data, packet->len);
	store_le32(flags, what == PACKET_IN ? DIRECTION_IN : DIRECTION_OUT);
	put_option(c, OPT_EPB_FLAGS, flags, sizeof flags);
	if (packet->tag < c->tag_room && c->comment_of[packet->tag])
		put_text_option(c, OPT_COMMENT, names_text(&c->comments, c->comment_of[packet->tag] - 1));
	end_options(c);
	write_block(c, BLOCK_PACKET);
}

static const struct trace_ops capture_ops = {
	.packet = on_packet, .message = on_message, .fate = on_fate, .cover = on_cover,
};

/* ---- beginning and end ---- */

static void capture_free(struct capture *c)
{
	names_free(&c->comments);
	free(c->comment_of);
	free(c->slots);
	free(c->block);
	free(c);
}

struct capture *capture_new(struct sim *sim, const char *path, char *error)
{
	struct capture *c = sim_alloc(sizeof *c);

	c->sim = sim;
	if (!output_open(&c->out, path, 0666, error)) {
		capture_free(c);
		return NULL;
	}
	write_section(c);
	trace_attach(sim, &capture_ops, c, TRACE_PACKET | TRACE_MESSAGE);
	return c;
}

bool capture_finish(struct capture *c, char *error)
{
	bool fine;

	trace_detach(c->sim, &capture_ops, c);
	fine = output_finish(&c->out, error);
	capture_free(c);
	return fine;
}

void capture_abandon(struct capture *c)
{
	if (!c)
		return;
	trace_detach(c->sim, &capture_ops, c);
	output_abandon(&c->out);
	capture_free(c);
}

/*
 * Packets: real bytes in pooled buffers.
 *
 * Ownership: whoever holds a struct packet * owns it and passes it on or frees it with packet_free(); a receive
 * callback borrows its packet and may read it only until it returns, unless it says packet_keep(). Layers add headers
 * in the headroom and trailers in the tailroom, so that a packet is written once and never copied on its way.
 *
 * packet_keep() is a second reference: the lender calls packet_free() when the callback has returned in any case, and
 * the keeper calls it once too, at any time, also from inside the callback (or passes the packet on to something that
 * takes it).
 */
#ifndef TOLLGATE_SIM_PACKET_H
#define TOLLGATE_SIM_PACKET_H

#include <assert.h>
#include <stdint.h>
#include "sim/event.h"

struct sim;
struct iface;

#define PACKET_HEADROOM 64   /* Ethernet 14 + IPv4 20 + ESP 16 + UDP 8, rounded up */
#define PACKET_TAILROOM 40   /* ESP padding, trailer and ICV */
#define PACKET_SMALL    384  /* bytes of buffer in a small packet: signaling-free media, acknowledgements */
#define PACKET_LARGE    2048
#define PACKET_MAX      66000 /* a whole reassembled datagram */

struct packet {
	struct event delivery; /* the arrival at the next interface */
	struct sim *sim;
	struct iface *to;      /* where it is going while it is on a link */
	const struct link *on; /* that link: the interface may have moved meanwhile */
	uint8_t *data;         /* first byte of what the current layer sees */
	uint32_t len;
	uint32_t capacity;     /* of buffer */
	uint64_t tag;          /* for observers only, see trace.h */
	const struct node *actor; /* for observers only: who put it on the wire */
	bool kept;             /* a borrower holds it beside its lender */
	struct packet *next;   /* for its owner's lists */
	uint8_t buffer[];
};

/* A packet with room for len bytes of payload beside head- and tailroom; len is 0 at first. Aborts without memory. */
struct packet *packet_new(struct sim *sim, uint32_t room);
void packet_free(struct packet *packet); /* NULL is harmless */
/* The callback that got this packet keeps it; at most once while it is lent (asserted). Returns it. */
struct packet *packet_keep(struct packet *packet);
/* Same bytes, tag and actor. */
struct packet *packet_copy(const struct packet *packet);
/* Unused bytes behind the data. */
static inline uint32_t packet_tailroom(const struct packet *packet)
{
	return (uint32_t)(packet->buffer + packet->capacity - (packet->data + packet->len));
}
/* Grow at the front or back; the room is there by construction (asserted). Return the first new byte. */
static inline uint8_t *packet_push(struct packet *packet, uint32_t bytes)
{
	assert((size_t)(packet->data - packet->buffer) >= bytes);
	packet->data -= bytes;
	packet->len += bytes;
	return packet->data;
}
static inline uint8_t *packet_append(struct packet *packet, uint32_t bytes)
{
	uint8_t *end = packet->data + packet->len;

	assert(packet_tailroom(packet) >= bytes);
	packet->len += bytes;
	return end;
}
/* Shrink at the front or back (asserted). */
static inline void packet_pull(struct packet *packet, uint32_t bytes)
{
	assert(packet->len >= bytes);
	packet->data += bytes;
	packet->len -= bytes;
}
static inline void packet_trim(struct packet *packet, uint32_t bytes)
{
	assert(packet->len >= bytes);
	packet->len -= bytes;
}

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

#endif

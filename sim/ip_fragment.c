/*
 * Fragmentation (RFC 791 2.3, 3.2) and reassembly (RFC 815).
 *
 * Of overlapping fragments the first to arrive wins, byte for byte: what has been received cannot be rewritten by a
 * later, forged piece. A datagram whose fragments contradict each other about its end, or that would be longer than a
 * datagram can be ("ping of death"), is refused as a whole. All of it is bounded: datagrams at a node, fragments of a
 * datagram, bytes held by a node, and time.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/ip_stack.h"

#define FLAG_MORE_FRAGMENTS 0x2000
#define FRAGMENT_OFFSET_MASK 0x1fff
#define IP_HEADER_MAX 60
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_COPIED 0x80
#define HOLE_END 0xffff /* the last byte of a hole whose end is not known */

struct hole {
	uint16_t first, last;
};

struct reassembly {
	struct event timeout;
	struct reassembly *next;
	struct node *node;
	uint32_t src, dst;
	uint16_t ident;
	uint8_t proto;
	bool end_known;
	uint32_t end;               /* bytes of the segment, when end_known; else the highest seen so far */
	uint32_t bytes;             /* of buffer held by fragments */
	unsigned fragment_count, hole_count;
	struct packet *fragments;   /* newest first, each with data at its payload */
	struct packet *head;        /* the one with offset 0, NULL until it has come */
	const uint8_t *head_header; /* its IP header, in the same packet */
	uint16_t offsets[IP_FRAGMENTS_MAX]; /* in order of arrival */
	struct hole holes[IP_FRAGMENTS_MAX + 1];
};

/* ---- sending ---- */

/*
 * Writes the header of a fragment that is not the first: only options that say so are copied (RFC 791 3.1). Returns its
 * length.
 */
static uint32_t fragment_header(const uint8_t *header, uint8_t out[IP_HEADER_MAX])
{
	uint32_t header_len = (uint32_t)(header[0] & 15) * 4;
	uint32_t len = IP_HEADER_LEN;

	memset(out, 0, IP_HEADER_MAX);
	memcpy(out, header, IP_HEADER_LEN);
	for (uint32_t at = IP_HEADER_LEN; at < header_len && header[at] != OPTION_END;) {
		uint32_t option_len = 1;

		if (header[at] != OPTION_NOP) {
			option_len = at + 1 < header_len ? header[at + 1] : 0;
			if (option_len < 2 || option_len > header_len - at)
				break;
		}
		if (header[at] & OPTION_COPIED) {
			memcpy(out + len, header + at, option_len);
			len += option_len;
		}
		at += option_len;
	}
	len = (len + 3) & ~UINT32_C(3);
	out[0] = (uint8_t)(0x40 | len / 4);
	return len;
}

/*
 * One piece: header, then bytes [from, from + len) of the segment, whose first byte lies at offset in the whole
 * datagram.
 */
static struct packet *piece_make(const struct packet *whole, const uint8_t *header, uint32_t header_len, uint32_t from,
                                 uint32_t len, uint16_t flags_offset)
{
	uint32_t whole_header_len = (uint32_t)(whole->data[0] & 15) * 4;
	struct packet *piece = packet_new(whole->sim, header_len + len);
	uint8_t *out = packet_append(piece, header_len + len);

	memcpy(out, header, header_len);
	memcpy(out + header_len, whole->data + whole_header_len + from, len);
	put_be16(out + 2, (uint16_t)(header_len + len));
	put_be16(out + 6, flags_offset);
	put_be16(out + 10, 0);
	put_be16(out + 10, inet_fold(inet_sum(out, header_len, 0)));
	piece->tag = whole->tag;
	piece->actor = whole->actor;
	return piece;
}

void ip_fragment_send(struct iface *out, uint32_t next_hop, struct packet *packet)
{
	uint8_t header[IP_HEADER_MAX];
	uint32_t header_len = (uint32_t)(packet->data[0] & 15) * 4;
	uint32_t segment_len = packet->len - header_len;
	uint16_t field = get_be16(packet->data + 6);
	uint32_t offset = field & FRAGMENT_OFFSET_MASK;

	if (offset * 8 + segment_len > IP_DATAGRAM_MAX) {
		network_refuse(out->node, DROP_IP_MALFORMED, get_be32(packet->data + 12), packet);
		packet_free(packet);
		return;
	}
	memcpy(header, packet->data, header_len);
	for (uint32_t from = 0; from < segment_len;) {
		uint32_t room = (LINK_MTU - header_len) & ~UINT32_C(7);
		uint32_t left = segment_len - from;
		uint32_t len = left > LINK_MTU - header_len ? room : left;
		bool more = len < left || field & FLAG_MORE_FRAGMENTS;
		uint16_t flags_offset = (uint16_t)((offset + from / 8) | (more ? FLAG_MORE_FRAGMENTS : 0));

		link_send(out, next_hop, piece_make(packet, header, header_len, from, len, flags_offset));
		out->node->ip->counters.fragments_sent++;
		if (from == 0)
			header_len = fragment_header(packet->data, header);
		from += len;
	}
	packet_free(packet);
}

/* ---- reassembly ---- */

static struct reassembly **reassembly_find(struct ip_stack *ip, const uint8_t *header)
{
	struct reassembly **at = &ip->reassembling;
	uint32_t src = get_be32(header + 12), dst = get_be32(header + 16);
	uint16_t ident = get_be16(header + 4);

	while (*at && ((*at)->ident != ident || (*at)->src != src || (*at)->dst != dst || (*at)->proto != header[9]))
		at = &(*at)->next;
	return at;
}

/* Takes a datagram off the node's list and frees it with its fragments. */
static void reassembly_free(struct reassembly *r)
{
	struct ip_stack *ip = r->node->ip;
	struct reassembly **at = &ip->reassembling;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	ip->reassembling_count--;
	ip->reassembling_bytes -= r->bytes;
	sim_cancel(r->node->sim, &r->timeout);
	while (r->fragments) {
		struct packet *fragment = r->fragments;

		r->fragments = fragment->next;
		packet_free(fragment);
	}
	free(r);
}

/* Gives up a datagram: its message is lost. */
static void reassembly_lose(struct reassembly *r, enum drop why)
{
	const struct packet *tagged = r->head ? r->head : r->fragments;

	if (tagged)
		network_lost(r->node, why, tagged);
	reassembly_free(r);
}

static void reassembly_timeout(struct sim *sim, struct event *event)
{
	struct reassembly *r = event_owner(event, struct reassembly, timeout);

	(void)sim;
	if (r->head)
		icmp_send_error(r->node, ICMP_TIME_EXCEEDED, ICMP_TIME_EXCEEDED_REASSEMBLY, r->head_header,
		                ip_quote_len(r->head_header, r->head->len));
	reassembly_lose(r, DROP_IP_REASSEMBLY_TIMEOUT);
}

void ip_reassembly_reset(struct node *node)
{
	while (node->ip->reassembling)
		reassembly_free(node->ip->reassembling);
}

/* Makes room by giving up the datagram that has waited longest, except keep. False: there is none to give up. */
static bool oldest_give_up(struct ip_stack *ip, const struct reassembly *keep)
{
	struct reassembly *oldest = NULL;

	for (struct reassembly *r = ip->reassembling; r; r = r->next) {
		if (r != keep)
			oldest = r;
	}
	if (oldest)
		reassembly_lose(oldest, DROP_IP_FRAGMENT_LIMIT);
	return oldest != NULL;
}

static struct reassembly *reassembly_new(struct node *node, const uint8_t *header)
{
	struct ip_stack *ip = node->ip;
	struct reassembly *r;

	if (ip->reassembling_count == IP_REASSEMBLY_MAX)
		oldest_give_up(ip, NULL);
	r = sim_alloc(sizeof(*r));
	r->node = node;
	r->src = get_be32(header + 12);
	r->dst = get_be32(header + 16);
	r->ident = get_be16(header + 4);
	r->proto = header[9];
	r->hole_count = 1;
	r->holes[0] = (struct hole){ 0, HOLE_END };
	r->next = ip->reassembling;
	ip->reassembling = r;
	ip->reassembling_count++;
	sim_after(node->sim, &r->timeout, IP_REASSEMBLY_TIMEOUT_NS, reassembly_timeout, "ip.reassembly");
	return r;
}

/* Whether a fragment of bytes [first, end) agrees with what is known of the datagram's end; takes note of it. */
static bool end_agrees(struct reassembly *r, uint32_t end, bool more)
{
	if (r->end_known)
		return more ? end <= r->end : end == r->end;
	if (!more && end < r->end)
		return false;
	if (!more)
		r->end_known = true;
	if (end > r->end)
		r->end = end;
	return true;
}

/* RFC 815 section 3: fills bytes [first, end) in the list of holes. False when there was nothing to fill. */
static bool holes_fill(struct reassembly *r, uint32_t first, uint32_t end, bool more)
{
	struct hole kept[IP_FRAGMENTS_MAX + 1];
	unsigned count = 0;
	bool filled = false;
	uint32_t last = end - 1;

	for (unsigned i = 0; i < r->hole_count; i++) {
		struct hole hole = r->holes[i];

		if (first > hole.last || last < hole.first) {
			if (more || hole.first < end)
				kept[count++] = hole;
			continue;
		}
		filled = true;
		if (first > hole.first)
			kept[count++] = (struct hole){ hole.first, (uint16_t)(first - 1) };
		if (last < hole.last && more)
			kept[count++] = (struct hole){ (uint16_t)end, hole.last };
	}
	memcpy(r->holes, kept, count * sizeof(kept[0]));
	r->hole_count = count;
	return filled;
}

/*
 * All bytes are there: copies the fragments into one packet, the newest first and the oldest last, so that of two that
 * overlap the first to arrive is what stands.
 */
static struct packet *assemble(const struct reassembly *r, const uint8_t **whole_header)
{
	uint32_t header_len = (uint32_t)(r->head_header[0] & 15) * 4;
	struct packet *whole = packet_new(r->node->sim, header_len + r->end);
	uint8_t *header = packet_append(whole, header_len + r->end);
	unsigned index = r->fragment_count;

	memcpy(header, r->head_header, header_len);
	for (const struct packet *fragment = r->fragments; fragment; fragment = fragment->next)
		memcpy(header + header_len + r->offsets[--index], fragment->data, fragment->len);
	put_be16(header + 2, (uint16_t)whole->len);
	put_be16(header + 6, 0);
	put_be16(header + 10, 0);
	put_be16(header + 10, inet_fold(inet_sum(header, header_len, 0)));
	whole->tag = r->head->tag;
	whole->actor = r->head->actor;
	packet_pull(whole, header_len);
	*whole_header = header;
	return whole;
}

/* Adds a fragment that fills something. */
static void fragment_add(struct reassembly *r, struct packet *packet, const uint8_t *header, uint32_t first)
{
	r->offsets[r->fragment_count++] = (uint16_t)first;
	r->bytes += packet->capacity;
	r->node->ip->reassembling_bytes += packet->capacity;
	packet->next = r->fragments;
	r->fragments = packet;
	if (first == 0 && !r->head) {
		r->head = packet;
		r->head_header = header;
	}
}

/* Refuses a fragment and with it the datagram it claims to belong to. */
static void fragment_refuse(struct node *node, struct reassembly *r, struct packet *packet, const uint8_t *header)
{
	network_refuse(node, DROP_IP_MALFORMED, get_be32(header + 12), packet);
	packet_free(packet);
	if (r)
		reassembly_free(r);
}

/* Room for one more fragment of r. False: r has been given up, the packet is still the caller's. */
static bool fragment_room(struct reassembly *r, const struct packet *packet)
{
	struct ip_stack *ip = r->node->ip;

	if (r->fragment_count == IP_FRAGMENTS_MAX) {
		reassembly_lose(r, DROP_IP_FRAGMENT_LIMIT);
		return false;
	}
	while (ip->reassembling_bytes + packet->capacity > IP_REASSEMBLY_BYTES_MAX) {
		if (!oldest_give_up(ip, r)) {
			reassembly_lose(r, DROP_IP_FRAGMENT_LIMIT);
			return false;
		}
	}
	return true;
}

/* The whole datagram of r, which ends with this; NULL when the header of its head leaves it no room in a datagram. */
static struct packet *reassembly_finish(struct reassembly *r, const uint8_t **whole_header)
{
	struct node *node = r->node;
	struct packet *whole = NULL;

	if (ip_quote_len(r->head_header, r->end) <= IP_DATAGRAM_MAX) {
		whole = assemble(r, whole_header);
		node->ip->counters.reassembled++;
	} else {
		network_refuse(node, DROP_IP_MALFORMED, r->src, r->head);
	}
	reassembly_free(r);
	return whole;
}

struct packet *ip_reassemble(struct node *node, struct packet *packet, const uint8_t *header,
                             const uint8_t **whole_header)
{
	struct reassembly *r = *reassembly_find(node->ip, header);
	uint32_t first = (uint32_t)(get_be16(header + 6) & FRAGMENT_OFFSET_MASK) * 8;
	uint32_t end = first + packet->len;
	bool more = (get_be16(header + 6) & FLAG_MORE_FRAGMENTS) != 0;

	if (packet->len == 0 || (more && packet->len % 8 != 0) || ip_quote_len(header, end) > IP_DATAGRAM_MAX) {
		fragment_refuse(node, r, packet, header);
		return NULL;
	}
	if (!r)
		r = reassembly_new(node, header);
	if (!end_agrees(r, end, more)) {
		fragment_refuse(node, r, packet, header);
		return NULL;
	}
	if (!fragment_room(r, packet)) {
		packet_free(packet);
		return NULL;
	}
	if (holes_fill(r, first, end, more))
		fragment_add(r, packet, header, first);
	else
		packet_free(packet); /* nothing new, though it may have told where the datagram ends */
	return r->hole_count == 0 ? reassembly_finish(r, whole_header) : NULL;
}

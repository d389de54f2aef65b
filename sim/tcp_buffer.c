/*
 * TCP: bytes not yet acknowledged, not yet in order, not yet consumed, and the marks that say which message they belong
 * to.
 *
 * Buffers hold memory only while they hold bytes: an idle connection costs its struct alone. Their bounds are kept by
 * their users: TCP_SEND_BUFFER_MAX by tcp_send(), TCP_RECEIVE_WINDOW by the window.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/tcp_internal.h"

#define RING_FIRST 1024
#define BYTES_FIRST 2048
#define MARKS_FIRST 4

/* ---- marks ---- */

void marks_add(struct tcp_marks *marks, uint32_t seq, uint64_t tag)
{
	if (marks->count > 0) {
		struct tcp_mark *last = &marks->list[marks->first + marks->count - 1];

		assert(seq_le(last->seq, seq));
		if (last->seq == seq) {
			last->tag = tag;
			return;
		}
	}
	if (marks->first + marks->count == marks->capacity) {
		if (marks->first > marks->capacity / 2) {
			memmove(marks->list, marks->list + marks->first, marks->count * sizeof(*marks->list));
			marks->first = 0;
		} else {
			marks->capacity = marks->capacity ? marks->capacity * 2 : MARKS_FIRST;
			marks->list = sim_realloc(marks->list, marks->capacity * sizeof(*marks->list));
		}
	}
	marks->list[marks->first + marks->count++] = (struct tcp_mark){ .seq = seq, .tag = tag };
}

/* How many marks lie at or before seq. */
static uint32_t marks_before(const struct tcp_marks *marks, uint32_t seq)
{
	uint32_t low = 0, high = marks->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (seq_le(marks->list[marks->first + middle].seq, seq))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct tcp_mark *marks_at(const struct tcp_marks *marks, uint32_t seq)
{
	uint32_t before = marks_before(marks, seq);

	return before > 0 ? &marks->list[marks->first + before - 1] : NULL;
}

const struct tcp_mark *marks_after(const struct tcp_marks *marks, uint32_t seq)
{
	uint32_t before = marks_before(marks, seq);

	return before < marks->count ? &marks->list[marks->first + before] : NULL;
}

void marks_drop(struct tcp_marks *marks, uint32_t seq)
{
	uint32_t before = marks_before(marks, seq);

	if (before > 1) {
		marks->first += before - 1;
		marks->count -= before - 1;
	}
}

void marks_renew(struct tcp_marks *marks, uint32_t seq)
{
	marks_drop(marks, seq);
	if (marks->count > 0 && seq_lt(marks->list[marks->first].seq, seq))
		marks->list[marks->first].seq = seq;
}

void marks_free(struct tcp_marks *marks)
{
	free(marks->list);
	*marks = (struct tcp_marks){ 0 };
}

/* ---- bytes to be sent ---- */

static void ring_grow(struct tcp_ring *ring, uint32_t len)
{
	struct tcp_ring bigger = { .len = ring->len, .capacity = ring->capacity ? ring->capacity : RING_FIRST };

	while (bigger.capacity < len)
		bigger.capacity *= 2;
	bigger.bytes = sim_alloc(bigger.capacity);
	ring_copy(ring, 0, bigger.bytes, ring->len);
	free(ring->bytes);
	*ring = bigger;
}

void ring_add(struct tcp_ring *ring, const uint8_t *bytes, uint32_t len)
{
	uint32_t at, before_wrap;

	if (len == 0)
		return;
	if (ring->len + len > ring->capacity)
		ring_grow(ring, ring->len + len);
	at = (ring->start + ring->len) & (ring->capacity - 1);
	before_wrap = ring->capacity - at < len ? ring->capacity - at : len;
	memcpy(ring->bytes + at, bytes, before_wrap);
	memcpy(ring->bytes, bytes + before_wrap, len - before_wrap);
	ring->len += len;
}

void ring_copy(const struct tcp_ring *ring, uint32_t offset, uint8_t *out, uint32_t len)
{
	uint32_t at, before_wrap;

	assert(offset <= ring->len && len <= ring->len - offset);
	if (len == 0)
		return;
	at = (ring->start + offset) & (ring->capacity - 1);
	before_wrap = ring->capacity - at < len ? ring->capacity - at : len;
	memcpy(out, ring->bytes + at, before_wrap);
	memcpy(out + before_wrap, ring->bytes, len - before_wrap);
}

void ring_drop(struct tcp_ring *ring, uint32_t len)
{
	assert(len <= ring->len);
	if (len == ring->len) {
		ring_free(ring);
		return;
	}
	ring->start = (ring->start + len) & (ring->capacity - 1);
	ring->len -= len;
}

void ring_free(struct tcp_ring *ring)
{
	free(ring->bytes);
	*ring = (struct tcp_ring){ 0 };
}

/* ---- bytes in order ---- */

void bytes_add(struct tcp_bytes *buffer, const uint8_t *bytes, uint32_t len)
{
	if (len == 0)
		return;
	if (buffer->start > 0 && buffer->start + buffer->len + len > buffer->capacity) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->len);
		buffer->start = 0;
	}
	if (buffer->len + len > buffer->capacity) {
		if (!buffer->capacity)
			buffer->capacity = BYTES_FIRST;
		while (buffer->capacity < buffer->len + len)
			buffer->capacity *= 2;
		buffer->bytes = sim_realloc(buffer->bytes, buffer->capacity);
	}
	memcpy(buffer->bytes + buffer->start + buffer->len, bytes, len);
	buffer->len += len;
}

void bytes_drop(struct tcp_bytes *buffer, uint32_t len)
{
	assert(len <= buffer->len);
	if (len == buffer->len) {
		bytes_free(buffer);
		return;
	}
	buffer->start += len;
	buffer->len -= len;
}

void bytes_free(struct tcp_bytes *buffer)
{
	free(buffer->bytes);
	*buffer = (struct tcp_bytes){ 0 };
}

/* ---- segments before their turn ---- */

void pieces_add(struct tcp_pieces *pieces, const struct tcp_segment *segment)
{
	uint32_t end = segment->seq + segment->len;
	struct tcp_piece **at = &pieces->first;
	struct tcp_piece *piece;

	if (pieces->count == TCP_OUT_OF_ORDER_MAX || segment->len > TCP_RECEIVE_WINDOW - pieces->bytes)
		return;
	for (; *at && seq_le((*at)->seq, segment->seq); at = &(*at)->next) {
		if (seq_le(end, (*at)->seq + (*at)->len) && !(segment->flags & ~(*at)->flags & TCP_FIN))
			return; /* all of it is there */
	}
	piece = sim_alloc(sizeof(*piece) + segment->len);
	piece->seq = segment->seq;
	piece->len = segment->len;
	piece->flags = segment->flags;
	piece->tag = segment->tag;
	if (segment->len > 0)
		memcpy(piece->bytes, segment->data, segment->len);
	piece->next = *at;
	*at = piece;
	pieces->count++;
	pieces->bytes += piece->len;
}

struct tcp_piece *pieces_take(struct tcp_pieces *pieces, uint32_t seq)
{
	struct tcp_piece *piece = pieces->first;

	if (!piece || seq_lt(seq, piece->seq))
		return NULL;
	pieces->first = piece->next;
	pieces->count--;
	pieces->bytes -= piece->len;
	return piece;
}

void pieces_free(struct tcp_pieces *pieces)
{
	while (pieces->first) {
		struct tcp_piece *piece = pieces->first;

		pieces->first = piece->next;
		free(piece);
	}
	pieces->count = 0;
	pieces->bytes = 0;
}

/*
 * What the binary formats share: integers in network order read from bytes and put into a bounded buffer, and fields
 * handed to the record. The buffer under construction is struct text (span.h): the first thing that does not fit makes
 * it full.
 */
#ifndef TOLLGATE_WIRE_BYTES_H
#define TOLLGATE_WIRE_BYTES_H

#include "models/wire/span.h"

/* Same shape as trace.h's field sink: class 0 a fact, 1 random, 2 a time. */
typedef void wire_field(void *ctx, const char *path, const char *value, int class_);
enum wire_class { WIRE_FACT, WIRE_RANDOM, WIRE_TIME };

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline struct span span_at(const uint8_t *bytes, size_t len)
{
	return (struct span){ (const char *)bytes, len };
}

void put_u8(struct text *t, unsigned value);
void put_u16(struct text *t, unsigned value);
void put_u32(struct text *t, uint32_t value);
void put_zeros(struct text *t, size_t count);

void field_number(wire_field *field, void *ctx, const char *path, uint64_t value, enum wire_class class_);
void field_hex32(wire_field *field, void *ctx, const char *path, uint32_t value, enum wire_class class_);
void field_ip(wire_field *field, void *ctx, const char *path, uint32_t ip);
/* A fact in text: bytes that are not printable ASCII become '?', and at most WIRE_FIELD_MAX bytes are shown. */
#define WIRE_FIELD_MAX 128
void field_span(wire_field *field, void *ctx, const char *path, struct span value);

#endif

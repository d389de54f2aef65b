/* Integers and fields of the binary formats; see bytes.h. */
#include "models/wire/bytes.h"

#include <inttypes.h>
#include <stdio.h>

void put_u8(struct text *t, unsigned value)
{
	char byte = (char)value;

	text_put(t, &byte, 1);
}

void put_u16(struct text *t, unsigned value)
{
	put_u8(t, value >> 8 & 255);
	put_u8(t, value & 255);
}

void put_u32(struct text *t, uint32_t value)
{
	put_u16(t, value >> 16);
	put_u16(t, value & 0xffff);
}

void put_zeros(struct text *t, size_t count)
{
	while (count-- && !t->full)
		put_u8(t, 0);
}

void field_number(wire_field *field, void *ctx, const char *path, uint64_t value, enum wire_class class_)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	field(ctx, path, text, (int)class_);
}

void field_hex32(wire_field *field, void *ctx, const char *path, uint32_t value, enum wire_class class_)
{
	char text[12];

	snprintf(text, sizeof text, "%08" PRIx32, value);
	field(ctx, path, text, (int)class_);
}

void field_ip(wire_field *field, void *ctx, const char *path, uint32_t ip)
{
	char text[16];

	snprintf(text, sizeof text, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
	field(ctx, path, text, WIRE_FACT);
}

void field_span(wire_field *field, void *ctx, const char *path, struct span value)
{
	char text[WIRE_FIELD_MAX + 1];
	size_t len = value.len < WIRE_FIELD_MAX ? value.len : WIRE_FIELD_MAX;

	for (size_t i = 0; i < len; i++)
		text[i] = value.at[i] >= ' ' && value.at[i] <= '~' ? value.at[i] : '?';
	text[len] = '\0';
	field(ctx, path, text, WIRE_FACT);
}

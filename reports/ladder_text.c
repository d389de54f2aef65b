/* The texts of the ladder: times, durations, labels, remarks and notes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "reports/ladder_internal.h"

#define US_PER_S 1000000

size_t text_clock(sim_ns at_ns, char *out, size_t size)
{
	sim_ns us = at_ns / NS_PER_US;

	return (size_t)snprintf(out, size, "%" PRId64 ".%06" PRId64, us / US_PER_S, us % US_PER_S);
}

/* Three digits of a count of 1/1000 parts: "1.23", "12.3", "123". */
static void text_parts(int64_t thousandths, const char *unit, char *out, size_t size)
{
	int64_t whole = thousandths / 1000, rest = thousandths % 1000;

	if (whole >= 100)
		snprintf(out, size, "%" PRId64 " %s", whole, unit);
	else if (whole >= 10)
		snprintf(out, size, "%" PRId64 ".%" PRId64 " %s", whole, rest / 100, unit);
	else
		snprintf(out, size, "%" PRId64 ".%02" PRId64 " %s", whole, rest / 10, unit);
}

void text_duration(sim_ns ns, char *out, size_t size)
{
	int64_t s = ns / NS_PER_S;

	if (ns < NS_PER_US)
		snprintf(out, size, "%" PRId64 " ns", ns);
	else if (ns < NS_PER_MS)
		text_parts(ns, "us", out, size);
	else if (ns < NS_PER_S)
		text_parts(ns / 1000, "ms", out, size);
	else if (s < 60)
		text_parts(ns / NS_PER_MS, "s", out, size);
	else if (s < 3600)
		snprintf(out, size, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, size, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(out, size, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
}

void text_label(const struct item *message, char out[LADDER_TEXT_MAX])
{
	if (message->nth > 1)
		snprintf(out, LADDER_TEXT_MAX, "%s #%" PRId64, message->kind, message->nth);
	else
		snprintf(out, LADDER_TEXT_MAX, "%s", message->kind);
}

/* What became of it: for an accepted message its size and how long it took. */
static void text_fate(const struct item *message, char out[LADDER_TEXT_MAX])
{
	char took[48] = "";

	if (strcmp(message->fate, "accepted") == 0) {
		if (message->got_ns >= message->at_ns)
			text_duration(message->got_ns - message->at_ns, took, sizeof took);
		snprintf(out, LADDER_TEXT_MAX, "%" PRId64 " B %s", message->size, took);
	} else if (strcmp(message->fate, "sent") == 0) {
		snprintf(out, LADDER_TEXT_MAX, "no fate");
	} else {
		snprintf(out, LADDER_TEXT_MAX, "%s%s%s", message->fate, message->why[0] ? ": " : "", message->why);
	}
}

void text_remark(const struct item *message, char out[LADDER_TEXT_MAX])
{
	char fate[LADDER_TEXT_MAX];
	bool other = strcmp(message->from, message->src) != 0;

	text_fate(message, fate);
	snprintf(out, LADDER_TEXT_MAX, "[%.20s]%s%.100s %.300s", message->cover, other ? " as " : "", other ? message->src : "", fate);
}

void text_note(const struct item *item, char out[LADDER_TEXT_MAX])
{
	if (item->what == WHAT_STEP && item->size)
		snprintf(out, LADDER_TEXT_MAX, "%s: %s refused in %s", item->kind, item->fate, item->cover);
	else if (item->what == WHAT_STEP)
		snprintf(out, LADDER_TEXT_MAX, "%s: %s -> %s", item->kind, item->cover, item->why);
	else
		snprintf(out, LADDER_TEXT_MAX, "refused: %s%s%s%s%s", item->kind, item->src[0] ? " from " : "", item->src,
		         item->why[0] ? ": " : "", item->why);
}

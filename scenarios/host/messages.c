/*
 * The message log that claims ask: which messages there were, from whom to whom, under what cover, what became of them.
 *
 * Two things are kept: the last messages one by one (a ring, by tag), to show beside a failed claim and to find a message
 * again when its fate arrives; and how many there were of each sort (a tally), so that a count is exact however long the run is.
 * Pointers are hashed for look-up only; sums do not depend on their order.
 *
 * A message is judged by a standing claim when it is sent, unless the claim asks for its cover or fate: then when its fate can
 * change no more (fate_outranks() in sim/trace.h, the rule of the database, too), or at the end of the run, since ESP covers a
 * message after it was announced, and what was lost may be sent again.
 */
#include <stdlib.h>
#include <string.h>
#include "scenarios/host/messages.h"

#define RING_FIRST 4096
#define RING_MAX (1u << 18) /* beyond, messages whose fate may still change are forgotten, too */

struct note {
	uint64_t tag; /* 0: none */
	sim_ns at_ns;
	const char *kind, *proto, *why; /* interned; why is the check or the place of the loss */
	const struct node *actor, *from, *to;
	uint32_t src_ip, dst_ip;
	enum cover cover;
	enum fate fate;
};

struct ring {
	struct note *notes; /* [tag % size] */
	size_t size;
	uint64_t last_tag;
};

struct tally {
	struct note *sorts; /* one note of each sort; kind NULL: a free slot */
	uint64_t *counts;
	size_t size, used;
};

struct interned {
	char **texts; /* open addressing */
	size_t size, used;
};

struct waiter {
	const struct message_filter *filter;
	struct task *task;
};

struct never {
	const struct message_filter *filter;
	struct standing *standing;
};

struct message_log {
	struct host *host;
	struct ring rings[2]; /* signaling, media */
	struct tally messages, refusals;
	struct interned interned;
	struct waiter *waiters;
	size_t waiter_count;
	struct never *nevers;
	size_t never_count;
	bool attached, media;
};

const char *const cover_names[] = {
	[COVER_CLEAR] = "clear", [COVER_KRB5] = "krb5", [COVER_ESP] = "esp", [COVER_AH] = "ah", [COVER_RTP] = "rtp",
};
const char *const fate_names[] = {
	[FATE_SENT] = "sent", [FATE_ACCEPTED] = "accepted", [FATE_REFUSED] = "refused", [FATE_LOST] = "lost",
	[FATE_INTERCEPTED] = "intercepted",
};

static struct message_log *log_of(struct host *host)
{
	if (!host->log) {
		host->log = sim_alloc(sizeof *host->log);
		host->log->host = host;
	}
	return host->log;
}

/* Interning: one address for each text */

static uint64_t text_hash(const char *s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(1099511628211);
	return h;
}

static const char *intern(struct message_log *log, const char *s)
{
	struct interned *t = &log->interned;
	size_t i;

	if (!s || !*s)
		return NULL;
	if (2 * t->used >= t->size) {
		struct interned old = *t;

		t->size = old.size ? 2 * old.size : 64;
		t->texts = sim_alloc(t->size * sizeof *t->texts);
		for (size_t k = 0; k < old.size; k++) {
			if (!old.texts[k])
				continue;
			for (i = text_hash(old.texts[k]) % t->size; t->texts[i]; i = (i + 1) % t->size)
				;
			t->texts[i] = old.texts[k];
		}
		free(old.texts);
	}
	for (i = text_hash(s) % t->size; t->texts[i]; i = (i + 1) % t->size)
		if (strcmp(t->texts[i], s) == 0)
			return t->texts[i];
	t->used++;
	return t->texts[i] = sim_strdup(s);
}

const char *messages_intern(struct host *host, const char *s)
{
	return intern(log_of(host), s);
}

/* Tally */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t sort_hash(const struct note *n)
{
	uint64_t h = mix((uintptr_t)n->kind, (uintptr_t)n->proto);

	h = mix(mix(h, (uintptr_t)n->why), (uintptr_t)n->actor);
	h = mix(mix(h, (uintptr_t)n->from), (uintptr_t)n->to);
	return mix(h, (uint64_t)n->cover << 8 | n->fate);
}

static bool same_sort(const struct note *a, const struct note *b)
{
	return a->kind == b->kind && a->proto == b->proto && a->why == b->why && a->actor == b->actor && a->from == b->from
		&& a->to == b->to && a->cover == b->cover && a->fate == b->fate;
}

static size_t tally_slot(const struct tally *t, const struct note *sort)
{
	size_t i = sort_hash(sort) & (t->size - 1);

	while (t->sorts[i].kind && !same_sort(&t->sorts[i], sort))
		i = (i + 1) & (t->size - 1);
	return i;
}

static void tally_grow(struct tally *t)
{
	struct tally old = *t;

	t->size = old.size ? 2 * old.size : 256;
	t->sorts = sim_alloc(t->size * sizeof *t->sorts);
	t->counts = sim_alloc(t->size * sizeof *t->counts);
	for (size_t k = 0; k < old.size; k++) {
		if (old.sorts[k].kind) {
			size_t i = tally_slot(t, &old.sorts[k]);

			t->sorts[i] = old.sorts[k];
			t->counts[i] = old.counts[k];
		}
	}
	free(old.sorts);
	free(old.counts);
}

static void tally_add(struct tally *t, const struct note *sort, int64_t by)
{
	size_t i;

	if (2 * t->used >= t->size)
		tally_grow(t);
	i = tally_slot(t, sort);
	if (!t->sorts[i].kind) {
		t->sorts[i] = *sort;
		t->used++;
	}
	t->counts[i] += (uint64_t)by;
}

/* Filters */

static bool set_has(const struct value_set *set, const void *value)
{
	if (set->count == 0)
		return true;
	for (size_t i = 0; i < set->count; i++)
		if (set->list[i] == value)
			return true;
	return false;
}

static bool filter_matches(const struct message_filter *f, const struct note *n)
{
	return set_has(&f->kinds, n->kind) && set_has(&f->protos, n->proto) && set_has(&f->by, n->why)
		&& set_has(&f->from, n->from) && set_has(&f->to, n->to) && set_has(&f->actors, n->actor) && set_has(&f->at, n->to)
		&& (!f->covers || f->covers & 1u << n->cover) && (!f->fates || f->fates & 1u << n->fate);
}

/* Whether a claim with this filter must wait for a message's fate. */
static bool filter_asks_fate(const struct message_filter *f)
{
	return f->covers || f->fates || f->by.count;
}

uint64_t messages_count(struct host *host, const struct message_filter *f)
{
	const struct message_log *log = log_of(host);
	const struct tally *t = f->refusals ? &log->refusals : &log->messages;
	uint64_t count = 0;

	for (size_t i = 0; i < t->size; i++)
		if (t->sorts[i].kind && filter_matches(f, &t->sorts[i]))
			count += t->counts[i];
	return count;
}

static void wake_waiters(struct message_log *log, const struct note *note, bool refusal)
{
	for (size_t i = 0; i < log->waiter_count; i++)
		if (log->waiters[i].filter->refusals == refusal && filter_matches(log->waiters[i].filter, note))
			task_wake(log->waiters[i].task);
}

static const char *node_text(const struct node *node, uint32_t ip, char buf[IP_TEXT_LEN])
{
	return node ? node->name : ip_text(ip, buf);
}

static void text_note(struct text *text, const struct note *n)
{
	char from[IP_TEXT_LEN], to[IP_TEXT_LEN];

	text_add(text, "%s > %s  %s (%s, %s)  %s", node_text(n->from, n->src_ip, from), node_text(n->to, n->dst_ip, to), n->kind,
	         n->proto ? n->proto : "-", cover_names[n->cover], fate_names[n->fate]);
	if (n->why)
		text_add(text, " by %s", n->why);
	if (n->actor && n->actor != n->from)
		text_add(text, "  [really sent by %s]", n->actor->name);
}

static void judge(struct message_log *log, const struct note *note, bool final)
{
	for (size_t i = 0; i < log->never_count; i++) {
		const struct never *never = &log->nevers[i];
		struct node *nodes[2];
		size_t count = 0;
		struct text because = { .len = 0 };
		char buf[TIME_TEXT_LEN];

		if (filter_asks_fate(never->filter) != final || !filter_matches(never->filter, note))
			continue;
		text_add(&because, "sent at %s: ", clock_text(note->at_ns, buf));
		text_note(&because, note);
		if (note->from)
			nodes[count++] = (struct node *)(uintptr_t)note->from;
		if (note->to)
			nodes[count++] = (struct node *)(uintptr_t)note->to;
		standing_violated(never->standing, log->host, because.s, nodes, count);
	}
}

/* Ring */

static void ring_grow(struct ring *ring)
{
	struct ring old = *ring;

	ring->size = old.size ? 2 * old.size : RING_FIRST;
	ring->notes = sim_alloc(ring->size * sizeof *ring->notes);
	for (size_t i = 0; i < old.size; i++)
		if (old.notes[i].tag)
			ring->notes[old.notes[i].tag & (ring->size - 1)] = old.notes[i];
	free(old.notes);
}

static struct note *ring_find(struct ring *ring, uint64_t tag)
{
	struct note *note = ring->size ? &ring->notes[tag & (ring->size - 1)] : NULL;

	return note && note->tag == tag ? note : NULL;
}

static struct note *note_find(struct message_log *log, uint64_t tag)
{
	struct note *note = ring_find(&log->rings[0], tag);

	return note ? note : ring_find(&log->rings[1], tag);
}

/* Whatever may still be outranked waits for the end of the run to be judged. */
static bool is_settled(enum fate fate)
{
	return !fate_outranks(FATE_ACCEPTED, fate);
}

static struct note *ring_add(struct message_log *log, struct ring *ring, const struct note *note)
{
	struct note *slot;

	if (ring->size == 0)
		ring_grow(ring);
	slot = &ring->notes[note->tag & (ring->size - 1)];
	while (slot->tag && !is_settled(slot->fate) && ring->size < RING_MAX) {
		ring_grow(ring);
		slot = &ring->notes[note->tag & (ring->size - 1)];
	}
	if (slot->tag && !is_settled(slot->fate))
		judge(log, slot, true);
	*slot = *note;
	ring->last_tag = note->tag;
	return slot;
}

/* Observing */

static void on_message(void *ctx, const struct trace_message *m)
{
	struct message_log *log = ctx;
	struct sim *sim = log->host->sim;
	struct note note = {
		.tag = m->tag, .at_ns = sim->now_ns, .kind = intern(log, m->kind), .proto = intern(log, m->proto), .actor = m->actor,
		.from = node_by_ip(sim, m->src_ip), .to = node_by_ip(sim, m->dst_ip), .src_ip = m->src_ip, .dst_ip = m->dst_ip,
		.cover = m->cover, .fate = FATE_SENT,
	};

	if (log->host->options->interrupt && *log->host->options->interrupt)
		sim_stop(sim);
	if (!note.kind)
		note.kind = intern(log, "?");
	ring_add(log, &log->rings[m->media], &note);
	tally_add(&log->messages, &note, 1);
	judge(log, &note, false);
	wake_waiters(log, &note, false);
}

static void on_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	struct message_log *log = ctx;
	struct note *note = note_find(log, tag);

	(void)at;
	if (!note || !fate_outranks(fate, note->fate))
		return;
	tally_add(&log->messages, note, -1);
	note->fate = fate;
	note->why = intern(log, why);
	tally_add(&log->messages, note, 1);
	if (is_settled(fate))
		judge(log, note, true);
	wake_waiters(log, note, false);
}

static void on_cover(void *ctx, uint64_t tag, enum cover cover)
{
	struct message_log *log = ctx;
	struct note *note = note_find(log, tag);

	if (!note || is_settled(note->fate) || note->cover == cover)
		return;
	tally_add(&log->messages, note, -1);
	note->cover = cover;
	tally_add(&log->messages, note, 1);
	wake_waiters(log, note, false);
}

static void on_refusal(void *ctx, const struct node *at, const char *check, uint32_t src_ip, uint64_t tag, const char *detail)
{
	struct message_log *log = ctx;
	struct note note = {
		.kind = intern(log, "refusal"), .why = intern(log, check), .from = node_by_ip(log->host->sim, src_ip), .to = at,
		.fate = FATE_REFUSED,
	};

	(void)tag;
	(void)detail;
	tally_add(&log->refusals, &note, 1);
	wake_waiters(log, &note, true);
}

void messages_attach(struct host *host)
{
	static const struct trace_ops ops = {
		.message = on_message, .fate = on_fate, .cover = on_cover, .refusal = on_refusal,
	};
	struct message_log *log = log_of(host);

	if (!host->header.messages)
		return;
	log->attached = true;
	log->media = host->header.media || standing_wants_media(host);
	trace_attach(host->sim, &ops, log, TRACE_MESSAGE | TRACE_REFUSAL | (log->media ? TRACE_MEDIA : 0));
}

bool messages_media(const struct host *host)
{
	return host->log && host->log->media;
}

void messages_never(struct host *host, const struct message_filter *filter, struct standing *claim)
{
	struct message_log *log = log_of(host);

	log->nevers = sim_realloc(log->nevers, (log->never_count + 1) * sizeof *log->nevers);
	log->nevers[log->never_count++] = (struct never){ .filter = filter, .standing = claim };
}

void messages_finish(struct host *host)
{
	struct message_log *log = host->log;

	for (size_t r = 0; log && r < 2; r++) {
		struct ring *ring = &log->rings[r];
		uint64_t first = ring->last_tag >= ring->size ? ring->last_tag - ring->size + 1 : 1;

		for (uint64_t tag = first; ring->size && tag <= ring->last_tag; tag++) {
			const struct note *note = ring_find(ring, tag);

			if (note && !is_settled(note->fate))
				judge(log, note, true);
		}
	}
}

void messages_wait(struct host *host, const struct message_filter *filter, struct task *task)
{
	struct message_log *log = log_of(host);

	log->waiters = sim_realloc(log->waiters, (log->waiter_count + 1) * sizeof *log->waiters);
	log->waiters[log->waiter_count++] = (struct waiter){ .filter = filter, .task = task };
}

void messages_forget_task(struct host *host, const struct task *task)
{
	struct message_log *log = host->log;
	size_t kept = 0;

	for (size_t i = 0; log && i < log->waiter_count; i++)
		if (log->waiters[i].task != task)
			log->waiters[kept++] = log->waiters[i];
	if (log)
		log->waiter_count = kept;
}

void messages_free(struct host *host)
{
	struct message_log *log = host->log;

	if (!log)
		return;
	for (size_t r = 0; r < 2; r++)
		free(log->rings[r].notes);
	for (size_t i = 0; i < log->interned.size; i++)
		free(log->interned.texts[i]);
	free(log->interned.texts);
	free(log->messages.sorts);
	free(log->messages.counts);
	free(log->refusals.sorts);
	free(log->refusals.counts);
	free(log->waiters);
	free(log->nevers);
	free(log);
	host->log = NULL;
}

static bool note_concerns(const struct note *note, struct node *const *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (note->from == nodes[i] || note->to == nodes[i] || note->actor == nodes[i])
			return true;
	return false;
}

void messages_print_last(const struct host *host, struct node *const *nodes, size_t node_count, FILE *out)
{
	struct message_log *log = host->log;
	const struct note *last[LAST_MESSAGES];
	struct ring *ring = log ? &log->rings[0] : NULL;
	uint64_t first;
	size_t count = 0;

	if (!ring || !ring->size || node_count == 0)
		return;
	first = ring->last_tag >= ring->size ? ring->last_tag - ring->size + 1 : 1;
	for (uint64_t tag = ring->last_tag; tag >= first && count < LAST_MESSAGES; tag--) {
		const struct note *note = ring_find(ring, tag);

		if (note && note_concerns(note, nodes, node_count))
			last[count++] = note;
	}
	if (count == 0)
		return;
	fprintf(out, "  last messages of");
	for (size_t i = 0; i < node_count; i++)
		fprintf(out, "%s %s", i ? "," : "", nodes[i]->name);
	fprintf(out, ":\n");
	while (count-- > 0) {
		struct text text = { .len = 0 };
		char buf[TIME_TEXT_LEN];

		text_note(&text, last[count]);
		fprintf(out, "    %s  %s\n", clock_text(last[count]->at_ns, buf), text.s);
	}
}

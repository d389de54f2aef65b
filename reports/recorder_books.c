/*
 * Keys and calls, which are known in full only at the end of the run.
 *
 * A key is one row however many hold it, and may be held again after its last holder let it go: a KDC drops the session key
 * it has made before the client has unwrapped it. So it stays in the book, at about a hundred bytes. Order of entry is the
 * order of events; hash order reaches no row.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/recorder_internal.h"
#include "sim/sim.h"

#define KEY_SLOTS_FIRST 256
#define HOLDERS_FIRST 256
#define CALLS_FIRST 16
#define FINGERPRINT_TEXT_LEN (2 * KEY_FINGERPRINT_LEN + 1)

static uint64_t fingerprint_hash(const uint8_t fingerprint[KEY_FINGERPRINT_LEN])
{
	uint64_t h;

	memcpy(&h, fingerprint, sizeof h); /* a digest, but whoever tells may use another */
	return hash_mix(h);
}

/* Where a fingerprint is, or belongs. */
static uint32_t *key_slot(const struct books *b, const uint8_t fingerprint[KEY_FINGERPRINT_LEN])
{
	size_t at = fingerprint_hash(fingerprint) & (b->key_slot_count - 1);

	while (b->key_slots[at] && memcmp(b->keys[b->key_slots[at] - 1].fingerprint, fingerprint, KEY_FINGERPRINT_LEN) != 0)
		at = (at + 1) & (b->key_slot_count - 1);
	return &b->key_slots[at];
}

static struct key_entry *key_find(const struct books *b, const uint8_t fingerprint[KEY_FINGERPRINT_LEN])
{
	uint32_t slot = b->key_slot_count ? *key_slot(b, fingerprint) : 0;

	return slot ? &b->keys[slot - 1] : NULL;
}

static void keys_grow(struct books *b)
{
	b->key_slot_count = b->key_slot_count ? b->key_slot_count * 2 : KEY_SLOTS_FIRST;
	assert(b->key_slot_count <= UINT32_MAX / 2);
	b->key_room = b->key_slot_count / 2;
	b->keys = sim_realloc(b->keys, b->key_room * sizeof *b->keys);
	free(b->key_slots);
	b->key_slots = sim_alloc(b->key_slot_count * sizeof *b->key_slots);
	for (size_t i = 0; i < b->key_count; i++)
		*key_slot(b, b->keys[i].fingerprint) = (uint32_t)i + 1;
}

static struct key_entry *key_enter(struct recorder *r, const struct trace_key *key)
{
	struct books *b = &r->books;
	uint32_t holder = names_id(&r->names, key->holder);
	uint32_t role = names_id(&r->names, key->role);
	uint32_t named = tally_at(&b->key_names, holder, role, 0);
	struct key_entry *entry;

	if (b->key_count == b->key_room)
		keys_grow(b);
	entry = &b->keys[b->key_count];
	*entry = (struct key_entry){
		.role = role,
		.algorithm = names_id(&r->names, key->algorithm),
		.how = names_id(&r->names, key->how),
		.first = holder,
		.nth = ++b->key_names.entries[named].count,
		.born_ns = r->sim->now_ns,
		.dead_ns = -1,
	};
	memcpy(entry->fingerprint, key->fingerprint, KEY_FINGERPRINT_LEN);
	*key_slot(b, key->fingerprint) = (uint32_t)++b->key_count;
	return entry;
}

static void holder_add(struct books *b, struct key_entry *entry, uint32_t name)
{
	for (uint32_t at = entry->holders; at; at = b->holders[at].next) {
		if (b->holders[at].name == name)
			return;
	}
	if (b->holder_count == b->holder_room) {
		b->holder_room = b->holder_room ? b->holder_room * 2 : HOLDERS_FIRST;
		assert(b->holder_room <= UINT32_MAX);
		b->holders = sim_realloc(b->holders, b->holder_room * sizeof *b->holders);
	}
	if (!b->holder_count)
		b->holder_count = 1;
	b->holders[b->holder_count] = (struct key_holder){ .name = name, .next = entry->holders };
	entry->holders = (uint32_t)b->holder_count++;
}

void books_key(struct recorder *r, const struct trace_key *key)
{
	struct key_entry *entry = key_find(&r->books, key->fingerprint);

	if (key->step == KEY_DEAD) {
		if (entry && entry->held && --entry->held == 0)
			entry->dead_ns = r->sim->now_ns;
		return;
	}
	if (!entry)
		entry = key_enter(r, key);
	entry->held++;
	entry->dead_ns = -1;
	if (key->has_parent && !entry->has_parent && memcmp(key->parent, key->fingerprint, KEY_FINGERPRINT_LEN) != 0) {
		entry->has_parent = true;
		memcpy(entry->parent, key->parent, KEY_FINGERPRINT_LEN);
	}
	holder_add(&r->books, entry, names_id(&r->names, key->holder));
}

void books_call(struct recorder *r, const struct trace_call *call)
{
	struct books *b = &r->books;
	sim_ns now_ns = r->sim->now_ns;
	uint32_t id = names_id(&r->names, call->id);
	uint32_t at = tally_at(&b->call_ids, id, 0, 0);
	struct call_entry *entry;

	if (at == b->call_room) {
		b->call_room = b->call_room ? b->call_room * 2 : CALLS_FIRST;
		b->calls = sim_realloc(b->calls, b->call_room * sizeof *b->calls);
	}
	entry = &b->calls[at];
	if (b->call_ids.entries[at].count++ == 0)
		*entry = (struct call_entry){ .id = id, .caller = names_id(&r->names, call->caller),
			                      .callee = names_id(&r->names, call->callee), .reason = names_id(&r->names, ""),
			                      .outcome = "open", .dialled_ns = -1, .ringing_ns = -1, .answered_ns = -1,
			                      .ended_ns = -1 };
	if (entry->ended_ns >= 0)
		return; /* the other end tells it, too */
	if (strcmp(call->event, "dialled") == 0 && entry->dialled_ns < 0)
		entry->dialled_ns = now_ns;
	else if (strcmp(call->event, "ringing") == 0 && entry->ringing_ns < 0)
		entry->ringing_ns = now_ns;
	else if (strcmp(call->event, "answered") == 0 && entry->answered_ns < 0)
		entry->answered_ns = now_ns;
	else if (strcmp(call->event, "released") == 0 || strcmp(call->event, "failed") == 0) {
		entry->ended_ns = now_ns;
		entry->outcome = call->event[0] == 'r' ? "released" : "failed";
		entry->reason = names_id(&r->names, call->reason);
	}
}

/* ---- the end of the run ---- */

static void fingerprint_text(const uint8_t fingerprint[KEY_FINGERPRINT_LEN], char out[FINGERPRINT_TEXT_LEN])
{
	for (size_t i = 0; i < KEY_FINGERPRINT_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", fingerprint[i]);
}

/* Caller frees. */
static char *key_name(const struct recorder *r, const struct key_entry *entry)
{
	const char *holder = recorder_text(r, entry->first), *role = recorder_text(r, entry->role);
	size_t room = strlen(holder) + strlen(role) + 16;
	char *name = sim_alloc(room);

	snprintf(name, room, "%s/%s/%u", holder, role, entry->nth);
	return name;
}

/* Caller frees; "" when there is none. */
static char *parent_name(const struct recorder *r, const struct key_entry *entry)
{
	const struct key_entry *parent = entry->has_parent ? key_find(&r->books, entry->parent) : NULL;
	char text[FINGERPRINT_TEXT_LEN] = "";

	if (parent)
		return key_name(r, parent);
	if (entry->has_parent)
		fingerprint_text(entry->parent, text);
	return sim_strdup(text);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All who ever held it, sorted, with commas between. Caller frees. */
static char *holders_text(const struct recorder *r, const struct key_entry *entry)
{
	const struct key_holder *list = r->books.holders;
	size_t count = 0, room = 1, len = 0;
	const char **names;
	char *text;

	for (uint32_t at = entry->holders; at; at = list[at].next) {
		count++;
		room += strlen(recorder_text(r, list[at].name)) + 1;
	}
	names = sim_alloc(count * sizeof *names);
	text = sim_alloc(room);
	count = 0;
	for (uint32_t at = entry->holders; at; at = list[at].next)
		names[count++] = recorder_text(r, list[at].name);
	qsort(names, count, sizeof *names, compare_texts);
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, room - len, "%s%s", i ? "," : "", names[i]);
	free(names);
	return text;
}

static void write_key(struct recorder *r, const struct key_entry *entry)
{
	char fingerprint[FINGERPRINT_TEXT_LEN];
	char *name = key_name(r, entry), *parent = parent_name(r, entry), *holders = holders_text(r, entry);
	struct put p = put_row(r, ROW_KEY);

	fingerprint_text(entry->fingerprint, fingerprint);
	put_text(&p, name);
	put_text(&p, recorder_text(r, entry->role));
	put_text(&p, recorder_text(r, entry->algorithm));
	put_text(&p, parent);
	put_text(&p, recorder_text(r, entry->how));
	put_int(&p, entry->born_ns);
	put_time(&p, entry->dead_ns);
	put_text(&p, holders);
	put_text(&p, fingerprint);
	put_done(r, &p);
	free(name);
	free(parent);
	free(holders);
}

static void write_call(struct recorder *r, const struct call_entry *entry)
{
	struct put p = put_row(r, ROW_CALL);

	put_text(&p, recorder_text(r, entry->id));
	put_text(&p, recorder_text(r, entry->caller));
	put_text(&p, recorder_text(r, entry->callee));
	put_time(&p, entry->dialled_ns);
	put_time(&p, entry->ringing_ns);
	put_time(&p, entry->answered_ns);
	put_time(&p, entry->ended_ns);
	put_text(&p, entry->outcome);
	put_text(&p, recorder_text(r, entry->reason));
	put_done(r, &p);
}

void books_finish(struct recorder *r)
{
	for (size_t i = 0; i < r->books.key_count; i++)
		write_key(r, &r->books.keys[i]);
	for (size_t i = 0; i < r->books.call_ids.count; i++)
		write_call(r, &r->books.calls[i]);
}

void books_free(struct books *b)
{
	free(b->keys);
	free(b->key_slots);
	free(b->holders);
	free(b->calls);
	tally_free(&b->key_names);
	tally_free(&b->call_ids);
	*b = (struct books){ 0 };
}

/*
 * The recorder: an observer that writes a run into a result database (schema.c says what is in it).
 *
 * Levels: summary leaves messages, their fields and single refusals out; flow has messages; all has fields, too. A message is
 * observed only where it is recorded, so a summary costs nothing per message.
 *
 * Nothing of the host reaches a row: no wall clock, no path, no process. Text that came over the wire is made clean first.
 * Design page, "Result database".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/output.h"
#include "reports/recorder_internal.h"
#include "sim/machine.h"
#include "sim/node.h"
#include "sim/sim.h"

static const char *const level_names[] = {
	[RECORD_SUMMARY] = "summary", [RECORD_FLOW] = "flow", [RECORD_ALL] = "all",
};

/* Makes the tables by node index long enough for this one. */
static void nodes_fit(struct recorder *r, uint32_t index)
{
	size_t room = r->node_room ? r->node_room : 64;

	if (index < r->node_room)
		return;
	while (room <= index)
		room *= 2;
	r->node_names = sim_realloc(r->node_names, room * sizeof *r->node_names);
	r->models = sim_realloc(r->models, room * sizeof *r->models);
	memset(r->node_names + r->node_room, 0, (room - r->node_room) * sizeof *r->node_names);
	memset(r->models + r->node_room, 0, (room - r->node_room) * sizeof *r->models);
	r->node_room = room;
}

uint32_t recorder_node_name(struct recorder *r, const struct node *node)
{
	if (!node)
		return names_id(&r->names, "");
	nodes_fit(r, node->index);
	if (!r->node_names[node->index])
		r->node_names[node->index] = names_id(&r->names, node->name) + 1;
	return r->node_names[node->index] - 1;
}

/* ---- what the run tells ---- */

static void on_message(void *ctx, const struct trace_message *message)
{
	recorder_messages_sent(ctx, message);
}

static void on_fate(void *ctx, uint64_t tag, const struct node *at, enum fate fate, const char *why)
{
	(void)at;
	recorder_messages_fate(ctx, tag, fate, why);
}

static void on_cover(void *ctx, uint64_t tag, enum cover cover)
{
	recorder_messages_cover(ctx, tag, cover);
}

static void on_field(void *ctx, uint64_t tag, const char *path, const char *value, enum field_class class_)
{
	recorder_messages_field(ctx, tag, path, value, class_);
}

static void on_key(void *ctx, const struct trace_key *key)
{
	books_key(ctx, key);
}

static void on_call(void *ctx, const struct trace_call *call)
{
	books_call(ctx, call);
}

static void on_refusal(void *ctx, const struct node *at, const char *check, uint32_t src_ip, uint64_t tag, const char *detail)
{
	struct recorder *r = ctx;
	uint32_t node = recorder_node_name(r, at);
	uint32_t why = names_id(&r->names, check);
	uint32_t refusal = tally_at(&r->refusals, node, why, 0);
	uint32_t nth = ++r->refusals.entries[refusal].count;
	const struct node *claimed = node_by_ip(r->sim, src_ip);
	char ip[IP_TEXT_LEN];
	struct put p;

	if (r->level == RECORD_SUMMARY)
		return;
	p = put_row(r, ROW_REFUSAL);
	put_text(&p, recorder_text(r, node));
	put_text(&p, recorder_text(r, why));
	put_int(&p, nth);
	put_int(&p, r->sim->now_ns);
	put_text(&p, claimed ? recorder_text(r, recorder_node_name(r, claimed)) : src_ip ? ip_text(src_ip, ip) : "");
	put_clean(&p, detail);
	put_int(&p, (int64_t)tag);
	put_done(r, &p);
}

static void on_step(void *ctx, const struct node *at, const struct machine *machine, unsigned before, unsigned event,
                    unsigned after, bool refused)
{
	struct recorder *r = ctx;
	const struct machine_def *def = machine->def;
	uint32_t node = recorder_node_name(r, at);
	uint32_t name = names_id(&r->names, def->name);
	uint32_t step = tally_at(&r->steps, node, name, 0);
	struct put p = put_row(r, ROW_STEP);

	put_text(&p, recorder_text(r, node));
	put_text(&p, recorder_text(r, name));
	put_int(&p, ++r->steps.entries[step].count);
	put_int(&p, r->sim->now_ns);
	put_text(&p, def->states[before]);
	put_text(&p, def->events[event]);
	put_text(&p, def->states[after]);
	put_int(&p, refused);
	put_int(&p, (int64_t)r->sim->cause);
	put_text(&p, r->sim->cause_timer);
	put_done(r, &p);
}

static void on_sample(void *ctx, const struct node *at, const char *metric, int64_t value, const char *unit)
{
	struct recorder *r = ctx;
	uint32_t node = recorder_node_name(r, at);
	uint32_t name = names_id(&r->names, metric);
	uint32_t sample = tally_at(&r->samples, node, name, 0);
	struct put p = put_row(r, ROW_SAMPLE);

	put_text(&p, recorder_text(r, node));
	put_text(&p, recorder_text(r, name));
	put_int(&p, ++r->samples.entries[sample].count);
	put_int(&p, r->sim->now_ns);
	put_int(&p, value);
	put_text(&p, unit);
	put_done(r, &p);
}

static void on_record(void *ctx, const struct trace_record *record)
{
	struct recorder *r = ctx;
	uint32_t id = names_id(&r->names, record->id);
	uint32_t at = tally_at(&r->records, id, 0, 0);
	struct put p = put_row(r, ROW_RECORD);

	put_text(&p, recorder_text(r, id));
	put_int(&p, ++r->records.entries[at].count);
	put_clean(&p, record->account);
	put_clean(&p, record->caller);
	put_clean(&p, record->callee);
	put_int(&p, record->start_ns);
	put_time(&p, record->answer_ns);
	put_int(&p, record->end_ns);
	put_clean(&p, record->reason);
	put_text(&p, recorder_text(r, recorder_node_name(r, record->at)));
	put_done(r, &p);
}

static const struct trace_ops recorder_ops = {
	.message = on_message,
	.fate = on_fate,
	.cover = on_cover,
	.field = on_field,
	.refusal = on_refusal,
	.step = on_step,
	.key = on_key,
	.sample = on_sample,
	.call = on_call,
	.record = on_record,
};

/* ---- beginning and end ---- */

static unsigned wanted(enum record_level level, bool media)
{
	unsigned wants = TRACE_STEP | TRACE_KEY | TRACE_SAMPLE | TRACE_CALL | TRACE_REFUSAL;

	if (level >= RECORD_FLOW)
		wants |= TRACE_MESSAGE | (media ? TRACE_MEDIA : 0u);
	if (level == RECORD_ALL)
		wants |= TRACE_FIELD;
	return wants;
}

static void recorder_free(struct recorder *r)
{
	rows_close(r);
	recorder_messages_free(&r->messages);
	books_free(&r->books);
	names_free(&r->names);
	tally_free(&r->flows);
	tally_free(&r->steps);
	tally_free(&r->samples);
	tally_free(&r->refusals);
	tally_free(&r->claims);
	tally_free(&r->records);
	EVP_MD_CTX_free(r->digest);
	EVP_MD_free(r->sha256);
	free(r->node_names);
	free(r->models);
	free(r->path);
	free(r->temp);
	free(r);
}

struct recorder *recorder_new(struct sim *sim, const char *path, enum record_level level, bool media, char *error)
{
	struct recorder *r = sim_alloc(sizeof *r);

	output_remove_stale(path);
	r->sim = sim;
	r->path = sim_strdup(path);
	r->temp = output_temp_name(path, "tmp");
	r->level = level;
	r->digest = EVP_MD_CTX_new();
	r->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!r->digest || !r->sha256)
		report_error(r->error, "cannot be written: OpenSSL offers no SHA-256");
	if (r->error[0] || !rows_open(r)) {
		report_error(error, "%s", r->error);
		recorder_free(r);
		return NULL;
	}
	trace_attach(sim, &recorder_ops, r, wanted(level, media));
	return r;
}

void recorder_run_value(struct recorder *r, const char *name, const char *value)
{
	struct put p = put_row(r, ROW_RUN);

	put_clean(&p, name);
	put_clean(&p, value);
	put_done(r, &p);
}

void recorder_node_model(struct recorder *r, const struct node *node, const char *model)
{
	nodes_fit(r, node->index);
	r->models[node->index] = names_id(&r->names, model) + 1;
}

void recorder_verdict(struct recorder *r, const struct verdict *verdict)
{
	uint32_t claim = names_id(&r->names, verdict->claim);
	uint32_t at = tally_at(&r->claims, claim, 0, 0);
	struct put p = put_row(r, ROW_VERDICT);

	put_text(&p, recorder_text(r, claim));
	put_int(&p, ++r->claims.entries[at].count);
	put_clean(&p, verdict->result);
	put_int(&p, verdict->at_ns);
	put_clean(&p, verdict->because);
	put_clean(&p, verdict->place);
	put_done(r, &p);
}

static void write_iface(struct recorder *r, const struct iface *iface)
{
	char mac[18], ip[IP_TEXT_LEN];
	struct put p = put_row(r, ROW_IFACE);

	snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", iface->mac[0], iface->mac[1], iface->mac[2], iface->mac[3],
	         iface->mac[4], iface->mac[5]);
	put_text(&p, recorder_text(r, recorder_node_name(r, iface->node)));
	put_clean(&p, iface->name);
	put_text(&p, mac);
	put_text(&p, iface->ip ? ip_text(iface->ip, ip) : "");
	put_clean(&p, iface->link ? iface->link->name : "");
	put_done(r, &p);
}

static void write_nodes(struct recorder *r)
{
	for (const struct node *node = r->sim->nodes; node; node = node->next) {
		uint32_t name = recorder_node_name(r, node);
		uint32_t model = r->models[node->index]; /* the name has made room for it */
		struct put p = put_row(r, ROW_NODE);

		put_text(&p, recorder_text(r, name));
		put_text(&p, model ? recorder_text(r, model - 1) : "");
		put_done(r, &p);
		for (const struct iface *iface = node->ifaces; iface; iface = iface->next)
			write_iface(r, iface);
	}
}

static void write_refusal_counts(struct recorder *r)
{
	for (size_t i = 0; i < r->refusals.count; i++) {
		const struct tally_entry *entry = &r->refusals.entries[i];
		struct put p = put_row(r, ROW_REFUSAL_COUNT);

		put_text(&p, recorder_text(r, entry->key[0]));
		put_text(&p, recorder_text(r, entry->key[1]));
		put_int(&p, entry->count);
		put_done(r, &p);
	}
}

/* What the recorder says of the run itself, unless the host has said it. */
static void write_presets(struct recorder *r)
{
	char seed[24], epoch[24], end[24];
	const char *const presets[][2] = { { "seed", seed }, { "epoch_s", epoch }, { "end_ns", end },
		                           { "record", level_names[r->level] } };

	snprintf(seed, sizeof seed, "%" PRIu64, r->sim->seed);
	snprintf(epoch, sizeof epoch, "%" PRId64, r->sim->epoch_s);
	snprintf(end, sizeof end, "%" PRId64, r->sim->now_ns);
	for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
		struct put p = put_row(r, ROW_RUN_PRESET);

		put_text(&p, presets[i][0]);
		put_text(&p, presets[i][1]);
		put_done(r, &p);
	}
}

static bool write_all(struct recorder *r, char *error)
{
	char *whole = output_temp_name(r->path, "new");
	bool fine;

	write_presets(r);
	recorder_messages_finish(r);
	books_finish(r);
	write_nodes(r);
	write_refusal_counts(r);
	fine = rows_finish(r, whole);
	if (!fine) {
		report_error(error, "%s", r->error);
		unlink(whole);
	} else {
		fine = output_commit(whole, r->path, error);
	}
	free(whole);
	return fine;
}

bool recorder_finish(struct recorder *r, char *error)
{
	bool fine;

	trace_detach(r->sim, &recorder_ops, r);
	fine = write_all(r, error);
	recorder_free(r);
	return fine;
}

void recorder_abandon(struct recorder *r)
{
	if (!r)
		return;
	trace_detach(r->sim, &recorder_ops, r);
	recorder_free(r);
}
